/* json_private.h - shared by the json*.c files: strings, numbers, trees.
 *
 * Threads:   no state. */
#ifndef TKSP_JSON_PRIVATE_H
#define TKSP_JSON_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "tokenstore/json.h"

enum {
    TKSP_NUMBER_MAX = 63, /* characters in a number: cJSON copies at most that many */
    TKSP_DOUBLE_MAX = 32, /* room for any double as text, its NUL included */
    TKSP_ESCAPE_MAX = 6
};

/* ---- bytes of strings (json_text.c) ----------------------------------------------------------- */

/* True for a byte that needs no escape in a JSON string and is a complete character: not '"', '\', control
 * characters, or parts of UTF-8 sequences. DEL is plain: RFC 8259 permits it. */
static inline bool tksp_json_is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The length (2 … 4) of the well-formed UTF-8 sequence at `at`, or 0: not well formed, or longer than `left`
 * bytes. Rejects overlong forms, surrogates, and values beyond U+10FFFF. */
size_t tksp_utf8_sequence(const unsigned char *at, size_t left);

/* Writes the escape of `c`, one of '"', '\' and the control characters, to `out` (TKSP_ESCAPE_MAX
 * bytes); returns the number of bytes. */
size_t tksp_json_escape(unsigned char c, char *out);

/* ---- numbers (json_number.c) ------------------------------------------------------------------- */

/* The C library reads and prints doubles with the locale's decimal point, and so does cJSON, depending on its
 * build. Between enter and leave this thread uses the "C" locale. */
typedef struct tksp_c_locale {
    void *own, *before;
} tksp_c_locale;

tks_status tksp_c_locale_enter(tksp_c_locale *locale);
void tksp_c_locale_leave(const tksp_c_locale *locale);

/* Prints a finite `value` with 15, 16 or 17 digits, the fewest that read back exactly; always with '.' or
 * 'e', so that it remains a double. */
tks_status tksp_json_print_double(double value, char out[TKSP_DOUBLE_MAX]);

/* ---- trees of cJSON's nodes (json.c) ----------------------------------------------------------- */

/* Our flags in a node's `type`, in addition to cJSON's. */
enum {
    TKSP_JSON_IS_INTEGER = 1 << 16, /* a Number: written as an integer; a Raw: of at most 64 bits */
    TKSP_JSON_TEXT_SIZED =
        1 << 17, /* valuedouble is the size of valuestring, which may contain NULs */
    TKSP_JSON_NAME_SIZED = 1 << 18 /* valueint is the size of string, which may contain NULs */
};

static inline tks_bytes tksp_json_bytes(const char *text, bool is_sized, double size) {
    if (text == NULL) return tks_bytes_of(NULL, 0);
    return tks_bytes_of(text, is_sized ? (size_t)size : strlen(text));
}

/* The bytes of a String; the digits of a Raw, an integer that a double cannot represent; else empty. */
static inline tks_bytes tksp_json_text(const cJSON *item) {
    return tksp_json_bytes(item->valuestring, item->type & TKSP_JSON_TEXT_SIZED, item->valuedouble);
}

/* The name of an object's member; else empty. */
static inline tks_bytes tksp_json_name(const cJSON *item) {
    return tksp_json_bytes(item->string, item->type & TKSP_JSON_NAME_SIZED, item->valueint);
}

/* Wipes the strings of a tree and frees it. NULL is accepted. */
void tksp_json_free(cJSON *root);

/* ---- the scan (json_scan.c) -------------------------------------------------------------------- */

/* What the scan found, for building a tree from the same text. */
typedef struct tksp_json_facts {
    bool is_plain;     /* cJSON parses it exactly */
    bool has_fraction; /* some number has a '.', so reading it depends on the locale */
    bool has_double;   /* some number has a fraction or an exponent */
} tksp_json_facts;

/* Checks all rules except unique names and doubles that are too large. TKS_OK, TKS_ERR_DATA. */
tks_status tksp_json_scan(tks_bytes text, const tks_json_rules *rules, tksp_json_facts *facts,
                          tks_error *err);

/* The code of the "\uXXXX" at `at`, or of two that form a surrogate pair, and its size in bytes; -1: not four
 * hexadecimal digits. An unpaired surrogate is returned as it is. */
int tksp_json_read_escape(const char *at, const char *end, size_t *size);

/* The next number in `text`, which has passed the scan, without its sign; *at starts at 0 and is advanced.
 * Numbers come in document order. */
tks_bytes tksp_json_next_number(tks_bytes text, size_t *at);

/* True if the number has no fraction and no exponent. */
bool tksp_json_is_integer(tks_bytes number);

/* ---- making trees (json_build.c, json_finish.c) ------------------------------------------------ */

/* Builds the tree of a text that has passed the scan, plain or not. Needs the "C" locale. NULL: out of
 * memory. */
cJSON *tksp_json_build(tks_bytes text);

/* Marks the integers of a tree built by cJSON or tksp_json_build, and applies the rules that the scan does
 * not check: of members with the same name all but the last are removed, or they are rejected. TKS_OK,
 * TKS_ERR_DATA, TKS_ERR_MEMORY. */
tks_status tksp_json_finish(cJSON *root, tks_bytes text, const tksp_json_facts *facts,
                            const tks_json_rules *rules, tks_error *err);

#endif
