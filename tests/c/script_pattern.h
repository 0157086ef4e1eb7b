/* script_pattern.h - bytes with variables, for the random parts in operations.json.
 *
 * A pattern is bytes in the notation of vectors.h, with two additions: {"capture": name, "size": n} stores
 * the next n bytes in a variable, {"var": name} or {"var": name, "first": n} is its value. */
#ifndef TKSP_TESTS_SCRIPT_PATTERN_H
#define TKSP_TESTS_SCRIPT_PATTERN_H

#include "tokenstore/json.h"

enum { PATTERN_VARIABLES = 16, PATTERN_VALUE_MAX = 128 };

typedef struct pattern_variables {
    struct {
        const char *name;
        char value[PATTERN_VALUE_MAX];
        size_t size;
    } all[PATTERN_VARIABLES];
    int count;
} pattern_variables;

/* True if `got` matches `pattern` at *at; advances *at. */
bool pattern_match(pattern_variables *v, const tks_json *pattern, tks_bytes got, size_t *at);

/* Appends the expanded `pattern`. */
void pattern_expand(const pattern_variables *v, const tks_json *pattern, tks_buf *out);

#endif
