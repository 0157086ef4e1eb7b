/* operation.c - makes the operation of a row. See tokenstore/operation.h. */
#include "op_private.h"

/* A revocation may ask for more replicas than its store does. */
static tks_status set_replicas(tks_op *op, const tks_param *param, int64_t replicas,
                               tks_error *err) {
    if (replicas < 0 || replicas > TKS_REPLICAS_MAX) {
        return tks_fail(err, TKS_ERR_DATA, "%s must be a whole number from 0 to %d", param->name,
                        TKS_REPLICAS_MAX);
    }
    tks_op_set_replicas(op, replicas);
    return TKS_OK;
}

tks_status tks_operation_make(const tks_operation *row, const void *store, const tks_arg *args,
                              tks_op **out, tks_error *err) {
    const tks_param *last = row->param_count > 0 ? &row->params[row->param_count - 1] : NULL;
    tks_status status = row->make(store, args, out, err);
    if (status != TKS_OK) return status;
    tksp_op_name(*out, row);
    if (last == NULL) return TKS_OK;
    int64_t number = args[row->param_count - 1].number;
    if (last->type == TKS_PARAM_FRESH && number != 0) tks_op_set_fresh(*out);
    if (last->type != TKS_PARAM_REPLICAS) return TKS_OK;
    status = set_replicas(*out, last, number, err);
    if (status != TKS_OK) {
        tks_op_free(*out);
        *out = NULL;
    }
    return status;
}
