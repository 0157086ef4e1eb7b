/* py_jwt.h - what is common to decoding with given keys (py_jwt.c) and with those at a URL (py_remote_keys.c).
 *
 * Threads: with the GIL, except for public-key cryptography. Meanwhile, borrowed values are held by tuples, because a
 * list may change. */
#ifndef TKSP_PY_JWT_H
#define TKSP_PY_JWT_H

#include "py_options.h"

/* Values of a list, kept alive until they are cleared. */
typedef struct tksp_py_held {
    PyObject *items; /* a tuple; NULL: one value, kept alive by the caller */
    void *values;    /* an array of tks_bytes or tks_key * */
    tksp_py_text *texts;
    size_t count;
} tksp_py_held;

void tksp_py_held_clear(tksp_py_held *held);

/* The arguments of a decode, after the key. */
typedef struct tksp_py_jwt_given {
    tks_bytes token;
    tks_jwt_policy policy;
    PyObject *now; /* borrowed: a number, or None */
    tksp_py_text texts[2];
    tksp_py_held audiences, issuers, required;
} tksp_py_jwt_given;

enum { TKSP_PY_JWT_GIVEN = 12 };

/* Reads TKSP_PY_JWT_GIVEN arguments: token, algorithms, audience, issuer, leeway, require, now, typ, max_size,
 * complete, any_audience, verify_exp. The last three are bools. To be cleared, on failure too. TypeError, DataError,
 * ConfigurationError. */
bool tksp_py_jwt_given_get(const tksp_py_state *state, PyObject *const *args,
                           tksp_py_jwt_given *out);
void tksp_py_jwt_given_clear(tksp_py_jwt_given *given);

/* The time of a decode: `arg`, or the clock's if that is None. */
bool tksp_py_jwt_now(const tksp_py_state *state, PyObject *arg, double *out);

/* A number of bytes; None: the default. */
bool tksp_py_jwt_size(const tksp_py_state *state, PyObject *arg, size_t *out);

/* What a client presented: anything but text is an invalid token. */
bool tksp_py_jwt_token(const tksp_py_state *state, PyObject *arg, tksp_py_text *out);

/* One attempt. Releases the GIL for public-key cryptography. */
tks_status tksp_py_jwt_try(const tksp_py_jwt_given *given, tks_key *const *keys, size_t count,
                           bool public, tks_jwt *out, tks_error *err);

/* The claims, with `complete` (header, claims); or the exception. Clears `jwt`. */
PyObject *tksp_py_jwt_result(const tksp_py_state *state, const tksp_py_jwt_given *given,
                             tks_status status, tks_jwt *jwt, const tks_error *err);

#endif
