/* op_describe.h - what an operation says of the server's errors; for core/src/op.c only. */
#ifndef TKSP_OP_DESCRIBE_H
#define TKSP_OP_DESCRIBE_H

#include "op_private.h"

/* Writes what an error reply says, without anything secret. */
void tksp_op_describe_error(const tks_reply *reply, char *out, size_t size);

/* Puts the name of the node that gave `reply` before the message in `out`, where the operation's kind says so. */
void tksp_op_name_node(const tks_op *op, const tks_reply *reply, char *out, size_t size);

/* The same, with what to do about it. */
void tksp_op_describe_final(const tks_op *op, const tks_reply *error, char *out, size_t size);

/* `what` describes the limit. For a change, any reply means that it was executed. */
void tksp_op_describe_oversized(const tks_op *op, const char *what, char *out, size_t size);

/* The first error among the final replies that makes the operation fail, or NULL. */
const tks_reply *tksp_op_first_error(const tks_op *op);

/* The first final reply that was too large, or NULL. */
const tks_reply *tksp_op_first_oversized(const tks_op *op);

#endif
