/* script_pattern.h - bytes with variables: what operations.json expects of random parts.
 *
 * A pattern is bytes in the notation of vectors.h, with two words more: {"capture": name, "size": n}
 * takes the next n bytes into a variable, {"var": name} or {"var": name, "first": n} stands for it. */
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

/* Does `got` begin with `pattern` from *at on? Moves *at behind it. */
bool pattern_match(pattern_variables *v, const tks_json *pattern, tks_bytes got, size_t *at);

/* Appends what `pattern` stands for. */
void pattern_expand(const pattern_variables *v, const tks_json *pattern, tks_buf *out);

#endif
