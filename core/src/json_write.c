/* json_write.c - the canonical writer: equal values give equal texts.
 *
 * Purpose:   no whitespace, shortest escapes, doubles that read back exactly. Error messages contain the path
 *            ("data.user.items[3] is NaN: …"), so the writer tracks the nesting.
 * Lifecycle: a tks_json_writer owns nothing; the levels borrow names from the caller.
 * Threads:   a writer belongs to one thread. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "json_private.h"

enum {
    PATH_SIZE = 200, /* leaves room in tks_error for the problem */
    PATH_OUTER = 2,  /* outermost levels shown … */
    PATH_INNER = 4,  /* … and innermost ones, if there are more than both */
    NAME_SHOWN = 24  /* bytes of a name in a path */
};

void tks_json_writer_init(tks_json_writer *w, tks_buf *out, size_t max_size, const char *root,
                          tks_error *err) {
    w->out = out; /* the levels are not cleared: that would cost more than writing a small value */
    w->start = out->size;
    w->max_size = max_size;
    w->root = root;
    w->err = err;
    w->depth = 0;
    w->first = 0;
    w->named = false;
}

/* ---- the path ---------------------------------------------------------------------------------- */

typedef struct path {
    char text[PATH_SIZE];
    size_t size;
} path;

/* Appends, truncated to fit. */
static void path_add(path *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void path_add(path *p, const char *format, ...) {
    va_list args;
    int size = 0;

    va_start(args, format);
    size = vsnprintf(p->text + p->size, sizeof p->text - p->size, format, args);
    va_end(args);
    if (size > 0) {
        size_t room = sizeof p->text - p->size - 1;
        p->size += (size_t)size < room ? (size_t)size : room;
    }
}

/* `.name`: at most NAME_SHOWN bytes, cut between characters, printable only. */
static void path_add_name(path *p, tks_bytes name) {
    char shown[NAME_SHOWN + 1];
    size_t size = name.size;

    if (size > NAME_SHOWN) {
        size = NAME_SHOWN;
        while (size > 0 && ((unsigned char)name.data[size] & 0xC0) == 0x80) {
            size--;
        }
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        shown[i] = c < 0x20 || c == 0x7F ? '?' : name.data[i];
    }
    shown[size] = '\0';
    path_add(p, ".%s%s", shown, size < name.size ? "..." : "");
}

/* Writes the path of the current member: the next one to write, or, between two members of an object, the
 * object. */
static void path_make(const tks_json_writer *w, path *p) {
    *p = (path){{0}, 0};
    path_add(p, "%s", w->root);
    for (unsigned i = 0; i < w->depth; i++) {
        const tks_json_level *level = &w->levels[i];
        bool innermost = i + 1 == w->depth;
        if (w->depth > PATH_OUTER + PATH_INNER && i == PATH_OUTER) {
            path_add(p, "...");
            i = w->depth - PATH_INNER - 1;
            continue;
        }
        if (level->is_array) {
            path_add(p, "[%zu]", (innermost ? level->count : level->count - 1) + w->first);
        } else if (!innermost || w->named) {
            path_add_name(p, level->name);
        }
    }
}

tks_status tks_json_refuse(tks_json_writer *w, const char *problem) {
    path p;

    path_make(w, &p);
    return tks_fail(w->err, TKS_ERR_DATA, "%s %s", p.text, problem);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

static tks_status refuse_size(tks_json_writer *w) {
    return tks_fail(w->err, TKS_ERR_DATA,
                    "%s is larger than %zu bytes as JSON: make it smaller, or raise max_data_size "
                    "for a store's data",
                    w->root, w->max_size);
}

/* Reserves `size` bytes. Checks the limit first, so that a huge value is rejected before it is copied. */
static tks_status take(tks_json_writer *w, size_t size, char **at) {
    size_t used = w->out->size - w->start;
    tks_status status = TKS_ERR_DATA;

    if (used <= w->max_size && size <= w->max_size - used) {
        status = tks_buf_reserve(w->out, size, at);
    }
    if (status == TKS_OK) {
        tks_buf_advance(w->out, size);
        return TKS_OK;
    }
    return status == TKS_ERR_MEMORY ? tks_fail_memory(w->err) : refuse_size(w);
}

static tks_status put(tks_json_writer *w, const char *data, size_t size) {
    char *at = NULL;
    tks_status status = take(w, size, &at);

    if (status == TKS_OK) {
        memcpy(at, data, size);
    }
    return status;
}

static tks_status put_char(tks_json_writer *w, char c) {
    return put(w, &c, 1);
}

/* ---- structure --------------------------------------------------------------------------------- */

/* Checks that a value is allowed here. It fails only for an incorrect caller. */
static tks_status check_place(tks_json_writer *w) {
    if (w->depth == 0 ? w->out->size != w->start : !w->levels[w->depth - 1].is_array && !w->named) {
        return tks_json_refuse(
            w, "cannot take a value here: it already has one, or needs a name first");
    }
    return TKS_OK;
}

/* Called when nothing can be rejected any more: afterwards the path is that of the next member. */
static tks_status begin_value(tks_json_writer *w) {
    tks_json_level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;

    w->named = false;
    if (level != NULL && level->is_array && level->count++ > 0) {
        return put_char(w, ',');
    }
    return TKS_OK;
}

static tks_status write_plain(tks_json_writer *w, const char *text, size_t size) {
    tks_status status = check_place(w);

    if (status == TKS_OK) {
        status = begin_value(w);
    }
    return status == TKS_OK ? put(w, text, size) : status;
}

static tks_status begin_level(tks_json_writer *w, bool is_array) {
    tks_status status = check_place(w);

    if (status != TKS_OK) {
        return status;
    }
    if (w->depth == TKS_JSON_DEPTH) {
        return tks_json_refuse(w, "is nested deeper than 32 levels: flatten it");
    }
    status = begin_value(w);
    if (status == TKS_OK) {
        status = put_char(w, is_array ? '[' : '{');
    }
    w->levels[w->depth++] = (tks_json_level){.is_array = is_array};
    return status;
}

static tks_status end_level(tks_json_writer *w, bool is_array) {
    if (w->depth == 0 || w->levels[w->depth - 1].is_array != is_array || w->named) {
        return tks_json_refuse(w, "cannot end here");
    }
    w->depth--;
    return put_char(w, is_array ? ']' : '}');
}

tks_status tks_json_begin_array(tks_json_writer *w) {
    return begin_level(w, true);
}

tks_status tks_json_end_array(tks_json_writer *w) {
    return end_level(w, true);
}

tks_status tks_json_begin_object(tks_json_writer *w) {
    return begin_level(w, false);
}

tks_status tks_json_end_object(tks_json_writer *w) {
    return end_level(w, false);
}

/* ---- values ------------------------------------------------------------------------------------ */

tks_status tks_json_write_null(tks_json_writer *w) {
    return write_plain(w, "null", 4);
}

tks_status tks_json_write_bool(tks_json_writer *w, bool value) {
    return value ? write_plain(w, "true", 4) : write_plain(w, "false", 5);
}

tks_status tks_json_write_integer(tks_json_writer *w, int64_t value) {
    char text[TKS_INT_SIZE];

    if (value > TKS_JSON_INTEGER_MAX || value < -TKS_JSON_INTEGER_MAX) {
        return tks_json_refuse(w, "is beyond 2^53-1, where other JSON readers round: use a string");
    }
    return write_plain(w, text, tks_format_int(value, text));
}

tks_status tks_json_write_double(tks_json_writer *w, double value) {
    char text[TKSP_DOUBLE_MAX];

    if (isnan(value)) {
        return tks_json_refuse(w, "is NaN: use null or a finite number");
    }
    if (isinf(value)) {
        return tks_json_refuse(w, "is infinite: use null or a finite number");
    }
    if (tksp_json_print_double(value, text) != TKS_OK) {
        return tks_fail_memory(w->err);
    }
    return write_plain(w, text, strlen(text));
}

/* Stores the escaped size of `text` in *size. Returns why it cannot be a string, or NULL. */
static const char *measure(tks_bytes text, bool is_name, size_t *size) {
    const unsigned char *data = (const unsigned char *)text.data;
    char escape[TKSP_ESCAPE_MAX];
    size_t i = 0;

    *size = text.size;
    while (i < text.size) {
        size_t length = 1;
        if (data[i] >= 0x80) {
            length = tksp_utf8_sequence(data + i, text.size - i);
        } else if (!tksp_json_is_plain(data[i])) {
            *size += tksp_json_escape(data[i], escape) - 1;
        }
        if (length == 0) {
            return is_name ? "has a name that is not valid UTF-8: decode it first"
                           : "is not valid UTF-8: decode it, or store it as base64";
        }
        if (data[i] == 0) {
            return is_name ? "has a name that contains U+0000: remove it"
                           : "contains U+0000: remove it, or store the text as base64";
        }
        i += length;
    }
    return NULL;
}

/* Writes the measured `text` with quotes; returns the end. */
static char *fill(char *at, tks_bytes text) {
    *at++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (tksp_json_is_plain(c) || c >= 0x80) {
            *at++ = text.data[i];
        } else {
            at += tksp_json_escape(c, at);
        }
    }
    *at++ = '"';
    return at;
}

tks_status tks_json_write_string(tks_json_writer *w, tks_bytes value) {
    size_t size = 0;
    char *at = NULL;
    const char *problem = measure(value, false, &size);
    tks_status status = problem == NULL ? check_place(w) : tks_json_refuse(w, problem);

    if (status == TKS_OK) {
        status = begin_value(w);
    }
    if (status == TKS_OK) {
        status = take(w, size + 2, &at);
    }
    if (status == TKS_OK) {
        (void)fill(at, value);
    }
    return status;
}

tks_status tks_json_write_name(tks_json_writer *w, tks_bytes name) {
    size_t size = 0;
    char *at = NULL;
    const char *problem = measure(name, true, &size);
    tks_json_level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
    size_t comma = level != NULL && level->count > 0;
    tks_status status = TKS_OK;

    if (level == NULL || level->is_array || w->named) {
        return tks_json_refuse(w, "cannot take a name here");
    }
    if (problem != NULL) {
        return tks_json_refuse(w, problem);
    }
    status = take(w, comma + size + 3, &at);
    if (status != TKS_OK) {
        return status;
    }
    if (comma) {
        *at++ = ',';
    }
    *fill(at, name) = ':';
    level->count++;
    level->name = name;
    w->named = true;
    return TKS_OK;
}

/* ---- trees ------------------------------------------------------------------------------------- */

static tks_status write_members(tks_json_writer *w, const tks_json *node, bool named) {
    tks_status status = TKS_OK;

    for (node = tks_json_get_child(node); node != NULL && status == TKS_OK;
         node = tks_json_get_next(node)) {
        if (named) {
            status = tks_json_write_name(w, tks_json_get_name(node));
        }
        if (status == TKS_OK) {
            status = tks_json_write_tree(w, node);
        }
    }
    return status;
}

/* begin_level limits the recursion to TKS_JSON_DEPTH. */
tks_status tks_json_write_tree(tks_json_writer *w, const tks_json *node) {
    tks_json_type type = tks_json_get_type(node);
    bool is_array = type == TKS_JSON_ARRAY;
    tks_status status = TKS_OK;

    switch (type) {
    case TKS_JSON_NULL: return tks_json_write_null(w);
    case TKS_JSON_BOOL: return tks_json_write_bool(w, tks_json_get_bool(node));
    case TKS_JSON_INTEGER: return tks_json_write_integer(w, tks_json_get_integer(node));
    case TKS_JSON_BIG: return tks_json_write_integer(w, INT64_MAX);
    case TKS_JSON_DOUBLE: return tks_json_write_double(w, tks_json_get_double(node));
    case TKS_JSON_STRING: return tks_json_write_string(w, tks_json_get_string(node));
    case TKS_JSON_ARRAY:
    case TKS_JSON_OBJECT: break;
    }
    status = begin_level(w, is_array);
    if (status == TKS_OK) {
        status = write_members(w, node, !is_array);
    }
    return status == TKS_OK ? end_level(w, is_array) : status;
}
