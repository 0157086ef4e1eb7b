/* number_text.c - see number_text.h. Not strtod: it minds the locale, and takes "inf" and "0x1p3". */
#include "number_text.h"

bool tksp_decimal(tks_bytes text, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    *out = 0;
    if (text.size == 0) return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9') return false;
        uint64_t digit = (uint64_t)(c - '0');
        if (value > (max - digit) / 10 || digit > max) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool tksp_number(tks_bytes text, size_t *at, double *out) {
    double value = 0, scale = 1;
    bool fraction = false, digits = false;
    for (; *at < text.size; (*at)++) {
        char c = text.data[*at];
        if (c == '.' && !fraction) {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            digits = true;
            value = value * 10 + (c - '0');
            if (fraction) scale *= 10;
        } else {
            break;
        }
    }
    *out = value / scale;
    return digits;
}
