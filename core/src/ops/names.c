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

tks_status tksp_check_duration(int64_t ms, const char *what, tks_error *err) {
    return ms >= 1000 && ms <= TKS_DURATION_MAX_MS
               ? TKS_OK
               : tks_fail(err, TKS_ERR_DATA, "%s must be 1 to 315360000 seconds", what);
}

bool tksp_is_possible_token(tks_bytes token) {
    return token.size > 0 && token.size <= TKS_NAME_MAX &&
           memchr(token.data, '\0', token.size) == NULL;
}
