/* tokenstore/json.h - strict JSON: a reader, a writer.
 *
 * Purpose:   values are read back equal. Reading: the grammar of RFC 8259 and the rules below, or fewer of them for
 *            data from other programs. Writing: a streaming writer with one canonical form (no white space,
 *            shortest escapes, doubles that read back bit for bit).
 * Rules:     integers within ±(2^53-1); no NaN or infinity; no U+0000; valid UTF-8; nesting at most
 *            TKS_JSON_DEPTH; names unique; look-ups case-sensitive.
 * Lifecycle: tks_json_parse creates a tree, tks_json_free frees it; nodes and strings are borrowed from the tree.
 *            tks_json_writer is the caller's storage and owns nothing.
 * Threads:   a tree may be read from many threads; a writer belongs to one. */
#ifndef TOKENSTORE_JSON_H
#define TOKENSTORE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/api.h"
#include "tokenstore/buf.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

enum {
    TKS_JSON_DEPTH = 32,              /**< an object in an object is depth 2 */
    TKS_JSON_DEPTH_MAX = 512,         /**< of data from other programs */
    TKS_JSON_DIGITS_MAX = 4300,       /**< of an integer; Python's own limit, too */
    TKS_JSON_SIZE_DEFAULT = 64 * 1024 /**< bytes of text */
};
#define TKS_JSON_INTEGER_MAX INT64_C(9007199254740991) /**< 2^53-1 */

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct tks_json tks_json; /**< a node of a tree */

typedef enum tks_json_type {
    TKS_JSON_NULL,
    TKS_JSON_BOOL,
    TKS_JSON_INTEGER, /**< written without fraction or exponent */
    TKS_JSON_BIG,     /**< the same beyond 64 bits; only in data from other programs */
    TKS_JSON_DOUBLE,
    TKS_JSON_STRING,
    TKS_JSON_ARRAY,
    TKS_JSON_OBJECT
} tks_json_type;

/** What a text may contain, and how much of it. */
typedef struct tks_json_rules {
    size_t max_size;    /**< bytes of text */
    unsigned max_depth; /**< at most TKS_JSON_DEPTH_MAX */
    bool any; /**< all that RFC 8259 allows: any integer of up to TKS_JSON_DIGITS_MAX digits; a
                         * double that is too large is an infinity; U+0000; an unpaired surrogate,
                         * read as the three bytes that it would have in UTF-8 (WTF-8) */
    bool last_counts; /**< of duplicate members the last counts, as in JavaScript and Python; else
                           they are rejected */
} tks_json_rules;

/** Reads exactly one value from `text`; white space around it is allowed, anything else is not.
 * The caller frees `*out`. TKS_ERR_DATA says what is wrong and at which byte (never quoting the text),
 * TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_json_read(tks_bytes text, const tks_json_rules *rules, tks_json **out,
                                      tks_error *err);

/** The same for data of another program: of any size (2 GiB), TKS_JSON_DEPTH_MAX deep, with `any` and
 * `last_counts`. */
TKS_MUST_USE tks_status tks_json_read_foreign(tks_bytes text, tks_json **out, tks_error *err);

/** The same with the rules of our own data. */
TKS_MUST_USE tks_status tks_json_parse(tks_bytes text, size_t max_size, tks_json **out,
                                       tks_error *err);

/** Only the checks of tks_json_parse. */
tks_status tks_json_check(tks_bytes text, size_t max_size, tks_error *err);

/** Frees a tree by its root. NULL is accepted. */
void tks_json_free(tks_json *root);

tks_json_type tks_json_get_type(const tks_json *node) TKS_ALL_NONNULL;
bool tks_json_get_bool(const tks_json *node) TKS_ALL_NONNULL; /**< of a BOOL */
int64_t tks_json_get_integer(const tks_json *node);           /**< of an INTEGER */
bool tks_json_is_number(const tks_json *node)
    TKS_ALL_NONNULL; /**< an INTEGER, a BIG or a DOUBLE? */
double tks_json_get_double(const tks_json *node)
    TKS_ALL_NONNULL; /**< of a number: the nearest double */
tks_bytes tks_json_get_string(const tks_json *node)
    TKS_ALL_NONNULL; /**< of a STRING; of a BIG its digits, NUL behind */
size_t tks_json_get_size(const tks_json *node)
    TKS_ALL_NONNULL; /**< members of an ARRAY or OBJECT */

/** Walking: the first member of an ARRAY or OBJECT, then the next; NULL at the end. */
const tks_json *tks_json_get_child(const tks_json *node) TKS_ALL_NONNULL;
const tks_json *tks_json_get_next(const tks_json *node) TKS_ALL_NONNULL;
tks_bytes tks_json_get_name(const tks_json *member) TKS_ALL_NONNULL; /**< of an OBJECT's member */

/** The member of OBJECT `node` named `name`, case-sensitively, or NULL. O(members). */
const tks_json *tks_json_find(const tks_json *node, const char *name);

/* ---- writing ------------------------------------------------------------------------------- */

/** One level of nesting; private to the writer. */
typedef struct tks_json_level {
    bool is_array;
    size_t count;   /**< members so far */
    tks_bytes name; /**< of the current member, borrowed from the caller */
} tks_json_level;

typedef struct tks_json_writer {
    tks_buf *out;
    size_t start;     /**< out->size when the writing began */
    size_t max_size;  /**< bytes of text */
    const char *root; /**< the name of the whole value in messages: "data" */
    tks_error *err;
    unsigned depth;
    size_t first; /**< how messages number an array's first item: 0, or 1 if set after init */
    bool named;   /**< a name was written and needs its value */
    tks_json_level levels[TKS_JSON_DEPTH];
} tks_json_writer;

/** Begins one value, appended to `out`. `root` is what error messages call it ("data"); errors go
 * to `err` (may be NULL) with the path: "data.user.items[3] is NaN: …". Borrows all three. Names
 * given to tks_json_write_name must stay valid until their value is written, and the caller must not repeat a name
 * in an object: they are not compared here. */
void tks_json_writer_init(tks_json_writer *w, tks_buf *out, size_t max_size, const char *root,
                          tks_error *err);

/** Each returns TKS_OK, TKS_ERR_DATA (a rule broken; the message names the path) or TKS_ERR_MEMORY.
 * After a failure the text is worthless: stop. */
tks_status tks_json_write_null(tks_json_writer *w);
tks_status tks_json_write_bool(tks_json_writer *w, bool value);
tks_status tks_json_write_integer(tks_json_writer *w, int64_t value);
tks_status tks_json_write_double(tks_json_writer *w, double value);
tks_status tks_json_write_string(tks_json_writer *w, tks_bytes value);
tks_status tks_json_begin_array(tks_json_writer *w);
tks_status tks_json_end_array(tks_json_writer *w);
tks_status tks_json_begin_object(tks_json_writer *w);
tks_status tks_json_end_object(tks_json_writer *w);
tks_status tks_json_write_name(tks_json_writer *w, tks_bytes name);

/** Fails with TKS_ERR_DATA and the path of the current member: for problems that only the host language can see
 * ("is a set", "has a key that is not a string"). `problem` is a static text that says what is
 * wrong and what to do. */
tks_status tks_json_refuse(tks_json_writer *w, const char *problem);

/** Writes a tree that was read: converts foreign text to the canonical form. */
tks_status tks_json_write_tree(tks_json_writer *w, const tks_json *node);

/** Appends `text` as a JSON string with every '"' as \u0022, so that an unescaped '"' always ends
 * it. For names in records and keys: any bytes but NUL are accepted, valid UTF-8 or not. */
tks_status tks_json_append_name(tks_buf *out, tks_bytes text);

/** Splits canonical object text (as the writer makes it) into its members, one call each: *at
 * begins at 0; returns false at the end. `name` includes its quotes; `value` is the value's text.
 * O(size of the member). */
bool tks_json_next_member(tks_bytes object, size_t *at, tks_bytes *name, tks_bytes *value);

/** The same for canonical array text: `item` is the item's text. */
bool tks_json_next_item(tks_bytes array, size_t *at, tks_bytes *item);

TKS_END_DECLS
#endif
