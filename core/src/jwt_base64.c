/* jwt_base64.c - base64url without padding, as JOSE requires (RFC 7515, section 2 and appendix C).
 *
 * libsodium's functions are constant-time, which a token does not need, and slower. */
#include "jwt_private.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NONE = 0x40 }; /* a bit that no value uses, so that one test checks four characters */

/* Maps a character to its value. */
/* clang-format off */
static const unsigned char values[256] = {
#define NONE_8  NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE
#define NONE_16 NONE_8, NONE_8
    NONE_16, NONE_16,                                                           /* 00 10 */
    NONE_8, NONE, NONE, NONE, NONE, NONE, 62, NONE, NONE,                       /* 20: '-' */
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NONE, NONE, NONE, NONE, NONE, NONE, /* 30: '0' */
    NONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,                     /* 40: 'A' */
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NONE, NONE, NONE, NONE, 63,     /* 50: 'P', '_' */
    NONE, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,           /* 60: 'a' */
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NONE, NONE, NONE, NONE, NONE,   /* 70: 'p' */
    NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16      /* 80 to F0 */
#undef NONE_8
#undef NONE_16
};
/* clang-format on */

bool tksp_base64url_decode(tks_bytes text, unsigned char *out, size_t *size) {
    const unsigned char *in = (const unsigned char *)text.data;
    size_t tail = text.size % 4;
    size_t groups = text.size / 4;
    unsigned bad = 0;
    unsigned char *at = out;

    *size = 0;
    if (tail == 1) return false;
    for (; groups > 0; groups--, in += 4, at += 3) {
        unsigned a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
        bad |= a | b | c | d;
        at[0] = (unsigned char)(a << 2 | b >> 4);
        at[1] = (unsigned char)(b << 4 | c >> 2);
        at[2] = (unsigned char)(c << 6 | d);
    }
    if (tail > 0) {
        unsigned a = values[in[0]], b = values[in[1]], c = tail == 3 ? values[in[2]] : 0;
        unsigned left = tail == 3 ? c & 0x03 : b & 0x0F; /* unused bits */
        bad |= a | b | c | (left != 0 ? NONE : 0);
        *at++ = (unsigned char)(a << 2 | b >> 4);
        if (tail == 3) *at++ = (unsigned char)(b << 4 | c >> 2);
    }
    if ((bad & NONE) != 0) return false;
    *size = (size_t)(at - out);
    return true;
}

tks_status tksp_base64url_encode(tks_bytes bytes, tks_buf *out) {
    const unsigned char *in = (const unsigned char *)bytes.data;
    size_t tail = bytes.size % 3;
    size_t size = bytes.size / 3 * 4 + (tail > 0 ? tail + 1 : 0);
    char *at = NULL;
    tks_status status = tks_buf_reserve(out, size, &at);

    if (status != TKS_OK) return status;
    for (size_t groups = bytes.size / 3; groups > 0; groups--, in += 3) {
        *at++ = alphabet[in[0] >> 2];
        *at++ = alphabet[(in[0] & 0x03) << 4 | in[1] >> 4];
        *at++ = alphabet[(in[1] & 0x0F) << 2 | in[2] >> 6];
        *at++ = alphabet[in[2] & 0x3F];
    }
    if (tail > 0) {
        unsigned second = tail == 2 ? in[1] : 0;
        *at++ = alphabet[in[0] >> 2];
        *at++ = alphabet[(unsigned)(in[0] & 0x03) << 4 | second >> 4];
        if (tail == 2) *at = alphabet[(second & 0x0F) << 2];
    }
    tks_buf_advance(out, size);
    return TKS_OK;
}
