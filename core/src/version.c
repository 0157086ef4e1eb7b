/* version.c - the version that was compiled. */
#include "tokenstore/version.h"

const char *tks_version(void) {
    return TKS_VERSION;
}
