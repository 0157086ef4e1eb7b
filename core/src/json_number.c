/* json_number.c - doubles as text, in any locale.
 *
 * Threads:   no state; uselocale affects only the calling thread. */
#define _POSIX_C_SOURCE 200809L /* newlocale, uselocale */

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_private.h"

tks_status tksp_c_locale_enter(tksp_c_locale *locale) {
    /* For LC_ALL_MASK and "C", glibc and musl return a constant: this is free. */
    locale_t own = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (own == (locale_t)0) {
        return TKS_ERR_MEMORY;
    }
    locale->own = own;
    locale->before = uselocale(own);
    return TKS_OK;
}

void tksp_c_locale_leave(const tksp_c_locale *locale) {
    uselocale(locale->before);
    freelocale(locale->own);
}

tks_status tksp_json_print_double(double value, char out[TKSP_DOUBLE_MAX]) {
    tksp_c_locale locale;
    int size = 0;

    if (tksp_c_locale_enter(&locale) != TKS_OK) {
        return TKS_ERR_MEMORY;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double back = 0;
        size = snprintf(out, TKSP_DOUBLE_MAX, "%.*g", digits, value);
        back = strtod(out, NULL);
        if (memcmp(&back, &value, sizeof value) == 0) {
            break; /* 17 digits always suffice */
        }
    }
    tksp_c_locale_leave(&locale);
    if (strpbrk(out, ".e") == NULL) {
        memcpy(out + size, ".0", sizeof ".0");
    }
    return TKS_OK;
}
