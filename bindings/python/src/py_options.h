/* py_options.h - options: from Python objects to the members that the rows of a table name (tokenstore/option.h).
 *
 * Threads: with the GIL. */
#ifndef TKSP_PY_OPTIONS_H
#define TKSP_PY_OPTIONS_H

#include "py_glue.h"
#include "tokenstore/option.h"

/* A value, and what it borrows from. */
typedef struct tksp_py_option {
    tks_value value;
    tksp_py_text text;
    PyObject *path;      /* a reference, or NULL; of TEXTS their tuple */
    void *items;         /* owned */
    tksp_py_text *texts; /* owned, as many as value.count */
} tksp_py_option;

/* The row of `name`, a str; NULL with a TypeError. */
const tks_option *tksp_py_option_find(const tks_options *table, PyObject *name);

/* Reads one object, of the row's type. To be cleared, on failure too. TypeError, ConfigurationError, MemoryError. */
bool tksp_py_option_get(const tksp_py_state *state, const tks_option *row, PyObject *object,
                        tksp_py_option *out);
void tksp_py_option_clear(tksp_py_option *option);

/* A struct of options, and what it borrows from. */
typedef struct tksp_py_options {
    const tks_options *table;
    void *values;         /* the struct */
    tksp_py_option *held; /* one for each row */
} tksp_py_options;

/* Fills a struct from a dict of options by their names; NULL is an empty one. None is one that is not given, unless the
 * option has a default: then the class that calls this gives it. What is wrong with values is added to `faults`; NULL:
 * the first raises. To be cleared, on failure too. TypeError, ConfigurationError, MemoryError. */
bool tksp_py_options_get(const tksp_py_state *state, const tks_options *table, PyObject *given,
                         tks_buf *faults, tksp_py_options *out);
void tksp_py_options_clear(tksp_py_options *options);

#endif
