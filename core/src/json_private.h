/* json_private.h - what the json*.c files share: bytes of strings, numbers, trees.
 *
 * Threads: nothing here keeps state. */
#ifndef TKSP_JSON_PRIVATE_H
#define TKSP_JSON_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "tokenstore/json.h"

enum {
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

/* The C library reads and prints doubles with the locale's decimal point. Between enter and leave this
 * thread has the "C" locale. */
typedef struct tksp_c_locale {
    void *own, *before;
} tksp_c_locale;

tks_status tksp_c_locale_enter(tksp_c_locale *locale);
void tksp_c_locale_leave(const tksp_c_locale *locale);

/* Prints a finite `value` in the shortest form of 15, 16 or 17 digits that reads back bit for bit;
 * always with '.' or 'e', so that it stays a double. */
tks_status tksp_json_print_double(double value, char out[TKSP_DOUBLE_MAX]);

/* ---- trees (json.c, json_names.c) --------------------------------------------------------------- */

struct tks_json {
    tks_json *next, *child;
    tks_bytes name; /* of an object's member */
    tks_bytes text; /* of a STRING; of a BIG its digits, which a NUL ends, too */
    union {
        double number;   /* DOUBLE, BIG */
        int64_t integer; /* INTEGER, BOOL */
        size_t size;     /* ARRAY, OBJECT */
    } u;
    tks_json_type type;
    bool dropped; /* a later member has its name */
};

typedef struct tksp_json_chunk tksp_json_chunk;

typedef struct tksp_json_tree {
    tks_json root; /* the first, so that it stands for the tree */
    tksp_json_chunk *chunks;
    tks_json *next, *end; /* nodes that are free */
    size_t chunk_size;
    char *text, *room; /* the strings; where the next one goes */
    tks_json first[];  /* behind them the room for the strings */
} tksp_json_tree;

/* A tree for a text of `size` bytes, its root not set; NULL: no memory. */
tksp_json_tree *tksp_json_tree_new(size_t size);
void tksp_json_tree_free(tksp_json_tree *tree);

/* A further node, not set; NULL: no memory. */
tks_json *tksp_json_tree_node(tksp_json_tree *tree);

/* Two members of one name are TKS_ERR_DATA; where the last counts, the others are taken out. TKS_OK,
 * TKS_ERR_MEMORY. */
tks_status tksp_json_check_names(tks_json *object, bool last_counts, tks_error *err);

#endif
