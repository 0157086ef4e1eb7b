/* operation.h - macros for the tables of operations. See tokenstore/operation.h. */
#ifndef TKSP_OPERATION_H
#define TKSP_OPERATION_H

#include "tokenstore/operation.h"

#define TKSP_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The number of parameters, and the parameters. */
#define TKSP_PARAMS(...)                                                                           \
    TKSP_COUNT(((const tks_param[]){__VA_ARGS__})), (const tks_param[]) {                          \
        __VA_ARGS__                                                                                \
    }

#define TKSP_REQUIRED(name, type)                                                                  \
    { (name), (type), true, NULL, NULL }
#define TKSP_OPTIONAL(name, type)                                                                  \
    { (name), (type), false, NULL, NULL }
#define TKSP_DEFAULT(name, type, fallback)                                                         \
    { (name), (type), false, (fallback), NULL }

/* The last parameter of a revocation. */
#define TKSP_WAIT_REPLICAS TKSP_OPTIONAL("wait_replicas", TKS_PARAM_REPLICAS)

/* Defines a maker, which calls `function` with the store, the given arguments, and the out-parameters. `args`
 * are the values of the row's parameters, in order. */
#define TKSP_MAKER(maker, function, ...)                                                           \
    static tks_status maker(const void *store, const tks_arg *args, tks_op **out,                  \
                            tks_error *err) {                                                      \
        return function(store, __VA_ARGS__, out, err);                                             \
    }

/* As TKSP_MAKER, without arguments. */
#define TKSP_MAKER_OF_NONE(maker, function)                                                        \
    static tks_status maker(const void *store, const tks_arg *args, tks_op **out,                  \
                            tks_error *err) {                                                      \
        (void)args;                                                                                \
        return function(store, out, err);                                                          \
    }

/* What the type of a store has besides its options and operations. `handle` is a pointer. */
#define TKSP_STORE_FUNCTIONS(handle, new, get_max_data_size, free)                                 \
    static tks_status make_store(const void *options, void **out, tks_error *err) {                \
        handle store;                                                                              \
        tks_status status = new (options, &store, err);                                            \
        *out = store;                                                                              \
        return status;                                                                             \
    }                                                                                              \
    static size_t max_data_size(const void *store) {                                               \
        return get_max_data_size(store);                                                           \
    }                                                                                              \
    static void free_store(void *store) {                                                          \
        free(store);                                                                               \
    }

#endif
