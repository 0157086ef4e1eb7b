/* tokenstore/operation.h - each kind of store as a table: its options and operations.
 *
 * Purpose:   one row describes one operation: its name, its parameters, its result, and the function that makes it.
 *            The bindings build their methods from the rows, and tests/operations holds stubs, docs and tests
 *            against them. C programs call the functions of tokens.h, node_tokens.h and jwt_sessions.h directly.
 * Lifecycle: all of it is constant.
 * Threads:   any. */
#ifndef TOKENSTORE_OPERATION_H
#define TOKENSTORE_OPERATION_H

#include "tokenstore/api.h"
#include "tokenstore/near.h"
#include "tokenstore/op.h"
#include "tokenstore/option.h"

TKS_BEGIN_DECLS

/** What a caller gives for a parameter, and the member of tks_arg that holds it. */
typedef enum tks_param_type {
    TKS_PARAM_NAME, /**< `text`: an app, a type, an owner: text, or an integer or UUID by its text */
    TKS_PARAM_ID,   /**< `text`: as a NAME, or nothing, which is not found */
    TKS_PARAM_PRESENTED, /**< `text`: what a client presented; nothing is not found */
    TKS_PARAM_JWT,       /**< `text`: as PRESENTED, and so is a value that is not text */
    TKS_PARAM_TEXT,      /**< `text` */
    TKS_PARAM_OBJECT,    /**< `text`: an object of the language, as canonical JSON */
    TKS_PARAM_PATCH,     /**< `text`: as OBJECT, of which members may be left out */
    TKS_PARAM_EXPECTED, /**< `text`: as OBJECT; the names of members that must be absent follow as an array */
    TKS_PARAM_FIELDS,   /**< `text`: names of fields, as an array of canonical JSON */
    TKS_PARAM_DURATION, /**< `number`: seconds, as milliseconds */
    TKS_PARAM_GRACE,    /**< `number`: as DURATION, or 0 */
    TKS_PARAM_REFRESH,  /**< `number`: as DURATION, or true: TKS_OWN_IDLE */
    TKS_PARAM_TTL,      /**< `number`: as DURATION, or a text such as "15 minutes" */
    TKS_PARAM_LIMIT,    /**< `number`: a whole number from 1; -1: a value that is not */
    TKS_PARAM_REPLICAS, /**< `number`: as LIMIT, or 0; for tks_operation_make */
    TKS_PARAM_FLAG,     /**< `number`: 0 or 1 */
    TKS_PARAM_FRESH,    /**< `number`: as FLAG; for tks_operation_make */
    TKS_PARAM_TOKENS,   /**< `count` and `texts`: a list of PRESENTED */
    TKS_PARAM_ROWS,     /**< `count` and `rows`: a list of what the operation `each` takes */
    TKS_PARAM_FIXED,    /**< `text`: `fallback`. The caller does not give it */
    TKS_PARAM_NOW, /**< `number`: the wall clock in microseconds since 1970. The caller does not give it */
    TKS_PARAM_TIMEOUT /**< seconds, for the driver that runs the operation; no member of tks_arg */
} tks_param_type;

typedef struct tks_operation tks_operation;

typedef struct tks_param {
    const char *name; /**< in snake_case */
    tks_param_type type;
    bool required;
    const char *
        fallback; /**< what a binding takes if nothing is given, of a DURATION in seconds; NULL: nothing */
    const tks_operation *each; /**< of ROWS */
} tks_param;

/** A value for a parameter. Nothing is {NULL, 0}, and 0 where it is a number. */
typedef struct tks_arg {
    union {
        tks_bytes text;
        int64_t number;
        struct {
            union {
                const tks_bytes *texts;
                const struct tks_arg *rows; /**< `count` times as many as `each` has parameters */
            };
            size_t count;
        };
    };
} tks_arg;

enum { TKS_PARAM_MAX = 12 }; /**< parameters of an operation */

struct tks_operation {
    const char *name;
    const char *summary; /**< one line */
    tks_result_type result;
    bool optional; /**< the result may be none: not found */
    size_t param_count;
    const tks_param *params;
    /** For tks_operation_make. `store` is of the type that the table belongs to; `args` has one value for each
     * parameter, and is copied. TKS_OK, TKS_ERR_DATA, TKS_ERR_MEMORY, and what the function of the store's header says. */
    tks_status (*make)(const void *store, const tks_arg *args, tks_op **out, tks_error *err);
};

/** Makes the operation of a row. What the row's parameters have in common over all kinds of stores is done here: REPLICAS, FRESH. */
TKS_MUST_USE tks_status tks_operation_make(const tks_operation *row, const void *store,
                                           const tks_arg *args, tks_op **out, tks_error *err);

/** A kind of store. */
typedef struct tks_store_type {
    const char *name;
    const tks_options *options;
    /** Makes a store of its struct of options, whose texts and keys are copied. TKS_OK, TKS_ERR_CONFIGURATION (the
     * message names the option), TKS_ERR_MEMORY. */
    tks_status (*make)(const void *options, void **out, tks_error *err);
    size_t operation_count;
    const tks_operation *operations;
    size_t (*get_max_data_size)(const void *store); /**< bytes of an OBJECT as JSON */
    void (*free)(void *store);
    /** The question that such a call asks the near cache (near.h) about a view. False: it asks for more than a view can tell. NULL: the
     * store has no views. */
    bool (*ask)(const void *store, const tks_operation *row, const tks_arg *args,
                tks_near_question *out);
} tks_store_type;

extern const tks_store_type tks_redis_tokens_type; /**< of a tks_tokens */
extern const tks_store_type tks_sessions_type;     /**< of a tks_tokens with options.session */
extern const tks_store_type tks_tokenstore_type;   /**< of a tks_node_tokens */
extern const tks_store_type tks_redis_jwt_type;    /**< of a tks_jwt_sessions */

TKS_END_DECLS
#endif
