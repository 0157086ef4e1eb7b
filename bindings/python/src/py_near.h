/* py_near.h - records that are kept ready beside the near cache's: its views (tokenstore/near.h).
 *
 * A view is a Record without its token, which no one else has. What a caller gets is a copy of it.
 *
 * Threads:   any, with the GIL, which also guards the views. */
#ifndef TKSP_PY_NEAR_H
#define TKSP_PY_NEAR_H

#include "py_glue.h"
#include "tokenstore/near.h"

/* The record under this question, with `token`; NULL without an exception: there is none. */
PyObject *tksp_py_near_find(PyObject *client, const tks_near_question *question, PyObject *token);

/* Keeps a copy of `record`, the result of `op`, if it may be found again by the same question. Never fails: then it is not kept. */
void tksp_py_near_leave(tks_op *op, const tks_near_question *question, PyObject *record);

/* Frees the views of a client that is about to be freed. */
void tksp_py_near_clear(tks_client *client);

#endif
