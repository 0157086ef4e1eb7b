/* version.c - the compiled version. */
#include "tokenstore/version.h"

const char *tks_version(void) {
    return TKS_VERSION;
}
