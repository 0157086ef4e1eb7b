/* status.c - the texts of the status table, and tks_fail. */
#include "tokenstore/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const codes[TKS_STATUS_COUNT] = {
#define CODE(name, code, exception, text) code,
    TKS_STATUS_MAP(CODE)
#undef CODE
};

static const char *const texts[TKS_STATUS_COUNT] = {
#define TEXT(name, code, exception, text) text,
    TKS_STATUS_MAP(TEXT)
#undef TEXT
};

const char *tks_status_code(tks_status status) {
    return (unsigned)status < TKS_STATUS_COUNT ? codes[status] : "unknown";
}

const char *tks_status_text(tks_status status) {
    return (unsigned)status < TKS_STATUS_COUNT ? texts[status] : "unknown status";
}

tks_status tks_fail(tks_error *err, tks_status status, const char *format, ...) {
    if (err != NULL && err->status == TKS_OK) {
        va_list args;
        err->status = status;
        va_start(args, format);
        (void)vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

tks_status tks_fail_memory(tks_error *err) {
    return tks_fail(err, TKS_ERR_MEMORY, "out of memory");
}
