/* names.c - see names.h. */
#include "names.h"

#include "tokenstore/tokens.h"

tks_status tksp_check_name(tks_bytes name, const char *what, tks_error *err) {
    if (name.size == 0) return tks_fail(err, TKS_ERR_DATA, "%s is empty", what);
    if (name.size > TKS_NAME_MAX) {
        return tks_fail(err, TKS_ERR_DATA, "%s is longer than %d bytes", what, TKS_NAME_MAX);
    }
    if (memchr(name.data, '\0', name.size) != NULL) {
        return tks_fail(err, TKS_ERR_DATA, "%s contains a NUL byte", what);
    }
    return TKS_OK;
}

bool tksp_is_possible_token(tks_bytes token) {
    return token.size > 0 && token.size <= TKS_NAME_MAX &&
           memchr(token.data, '\0', token.size) == NULL;
}
