/* tokenstore/option.h - the options of clients and stores, as tables.
 *
 * Purpose:   one row describes one option: its name, its type, its limits, its default, and the member of the options
 *            struct that holds it. The bindings read what a caller gives by the rows, the core checks a struct by
 *            them, and tests/operations holds signatures, types and docs against them. C programs fill the structs.
 * Lifecycle: all of it is constant.
 * Threads:   any. */
#ifndef TOKENSTORE_OPTION_H
#define TOKENSTORE_OPTION_H

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

/** What a caller gives for an option, the member of tks_value that holds it, and what the struct has. */
typedef enum tks_option_type {
    TKS_OPTION_TEXT,   /**< `text`: bytes, borrowed, as tks_bytes */
    TKS_OPTION_STRING, /**< `text`: characters, as tks_bytes; or without NUL, as char * */
    TKS_OPTION_MAP, /**< `text`: a STRING, "name=value,name=value", which the bindings make of a table, too */
    TKS_OPTION_PATH,     /**< `text`: the name of a file, without NUL, as either */
    TKS_OPTION_CHOICE,   /**< `text`: one of `choices`; an enum or a bool has its place */
    TKS_OPTION_COUNT,    /**< `number`: a whole number, as an integer */
    TKS_OPTION_DURATION, /**< `number`: seconds, as milliseconds */
    TKS_OPTION_NUMBER,   /**< `number`: a double */
    TKS_OPTION_FLAG,     /**< `flag`: a bool */
    TKS_OPTION_TEXTS, /**< `items`: one TEXT or up to TKS_TEXTS_MAX, as a const tks_bytes *, followed
                              by a size_t, their `count` */
    TKS_OPTION_KEYS,  /**< `items`: a tks_key *const *, followed by a size_t, their `count` */
    TKS_OPTION_PAIRS  /**< the same of const tks_pair */
} tks_option_type;

/** A name and its value. */
typedef struct tks_pair {
    tks_bytes name, value;
} tks_pair;

/** A value for an option. A text of a STRING or a PATH is followed by a NUL, which its size does not count. */
typedef union tks_value {
    tks_bytes text;
    double number;
    bool flag;
    struct {
        const void *items;
        size_t count;
    };
} tks_value;

typedef struct tks_option {
    const char *name; /**< in snake_case */
    tks_option_type type;
    size_t offset, size;          /**< of the member, in bytes */
    int64_t min, max;             /**< of a text in bytes, of a number in the member's unit */
    const char *fallback;         /**< the default, as a URL would give it; NULL: nothing */
    const char *wanted;           /**< what messages say that it must be; NULL: the limits */
    bool (*fits)(tks_bytes text); /**< a further check of a text; NULL: none */
    const char *const *choices;   /**< of CHOICE: ends with NULL */
} tks_option;

/** The options of one struct. */
typedef struct tks_options {
    size_t count;
    const tks_option *rows;
    size_t size;         /**< of the struct, in bytes */
    const void *initial; /**< the struct with nothing given */
} tks_options;

enum {
    TKS_OPTIONS_MAX = 64, /**< rows of a table */
    TKS_TEXTS_MAX = 8     /**< items of a TEXTS */
};

/** The row of `name`, or NULL. */
const tks_option *tks_option_find(const tks_options *table, tks_bytes name);

/** Checks a value and puts it into the struct. TKS_OK, TKS_ERR_CONFIGURATION (the message names the option and what it must be, never the value). */
TKS_MUST_USE tks_status tks_option_set(const tks_option *option, void *options,
                                       const tks_value *value, tks_error *err);

/** Appends a message to a list of what is wrong with options, for classes that report all of it at once. */
void tks_faults_add(tks_buf *faults, const char *message);

TKS_END_DECLS
#endif
