/* vectors.h - reads the files of tests/vectors, in the notations described in their README.
 *
 * An error in a vector file (a missing member, an unknown word) ends the program: a case that is not
 * understood must not count as passed. */
#ifndef TKSP_TESTS_VECTORS_H
#define TKSP_TESTS_VECTORS_H

#include "tokenstore/json.h"

/* A vector file, parsed. */
typedef struct vectors {
    tks_buf text;
    tks_json *root;
} vectors;

void vectors_open(vectors *v, const char *name);
void vectors_close(vectors *v);

/* Reports an error in the vector file and ends the program. */
void vectors_broken(const char *why, const char *name) __attribute__((noreturn));

/* The member `name` of `object`; must be there. */
const tks_json *vectors_get(const tks_json *object, const char *name);

/* The same as a C string / as an integer. */
const char *vectors_text(const tks_json *object, const char *name);
int64_t vectors_integer(const tks_json *object, const char *name);

/* The bytes described by `node`: a string, {"hex": …}, {"repeat": [bytes, n]} or
 * {"join": [bytes, …]}. Appended to `out`. */
void vectors_bytes(const tks_json *node, tks_buf *out);

#endif
