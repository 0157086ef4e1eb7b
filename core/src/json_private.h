/* json_private.h - what the json*.c files share: bytes of strings, numbers, the scanner.
 *
 * Threads: nothing here keeps state. */
#ifndef TKSP_JSON_PRIVATE_H
#define TKSP_JSON_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "tokenstore/json.h"

enum {
    TKSP_NUMBER_MAX = 63, /* characters in a number: cJSON copies at most that many */
    TKSP_DOUBLE_MAX = 32, /* room for any double as text, its NUL included */
    TKSP_ESCAPE_MAX = 6
};

/* ---- bytes of strings (json_text.c) ----------------------------------------------------------- */

/* May stand in a JSON string as it is, alone? Not: '"', '\', control characters, parts of UTF-8
 * sequences. DEL is plain: RFC 8259 lets it stand. */
static inline bool tksp_json_is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The length (2 … 4) of the well-formed UTF-8 sequence that begins at `at`, or 0: none begins there,
 * or `left` bytes are too few. Refuses overlong forms, surrogates, beyond U+10FFFF. */
size_t tksp_utf8_sequence(const unsigned char *at, size_t left);

/* Writes the escape of `c`, one of '"', '\' and the control characters, to `out` (TKSP_ESCAPE_MAX
 * bytes); returns how many bytes that were. */
size_t tksp_json_escape(unsigned char c, char *out);

/* ---- numbers (json_number.c) ------------------------------------------------------------------- */

/* The C library reads and prints doubles with the locale's decimal point, and so does cJSON (how
 * depends on how it was built). Between enter and leave this thread has the "C" locale. */
typedef struct tksp_c_locale {
    void *own, *before;
} tksp_c_locale;

tks_status tksp_c_locale_enter(tksp_c_locale *locale);
void tksp_c_locale_leave(const tksp_c_locale *locale);

/* Reads `text`, a number by JSON's grammar of at most TKSP_NUMBER_MAX characters. Needs the "C"
 * locale where there is a fraction. An overflow gives an infinity. */
double tksp_json_read_double(tks_bytes text);

/* Prints a finite `value` in the shortest form of 15, 16 or 17 digits that reads back bit for bit;
 * always with '.' or 'e', so that it stays a double. */
tks_status tksp_json_print_double(double value, char out[TKSP_DOUBLE_MAX]);

/* ---- the scanner (json_scan.c) ----------------------------------------------------------------- */

/* What the scan saw, for those who build a tree from the same text. */
typedef struct tksp_json_facts {
    bool has_fraction; /* some number has a '.', so reading it depends on the locale */
    bool has_exponent; /* without either in the text all its numbers are integers */
} tksp_json_facts;

/* All rules but unique names, nesting up to `max_depth`. TKS_OK, TKS_ERR_DATA, TKS_ERR_MEMORY. */
tks_status tksp_json_scan(tks_bytes text, size_t max_size, unsigned max_depth,
                          tksp_json_facts *facts, tks_error *err);

/* The next number in `text`, which passed the scan, without its sign; *at begins at 0 and moves on.
 * Numbers come in document order. */
tks_bytes tksp_json_next_number(tks_bytes text, size_t *at);

/* Was this number written without fraction and exponent? */
bool tksp_json_is_integer(tks_bytes number);

#endif
