/* json_write.c - the canonical writer: one text for one value.
 *
 * Purpose:   no white space, shortest escapes, doubles that read back bit for bit; every refusal names
 *            the path ("data.user.items[3] is NaN: …"), which needs the nesting at hand.
 * Lifecycle: a tks_json_writer owns nothing; the levels borrow names from the caller.
 * Threads:   a writer belongs to one thread. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "json_private.h"

enum {
    PATH_SIZE = 200,  /* leaves room in tks_error for what is wrong */
    PATH_OUTER = 2,   /* levels shown from the outside … */
    PATH_INNER = 4,   /* … and from the inside, when there are more than both */
    NAME_SHOWN = 24   /* bytes of a name in a path */
};

void tks_json_writer_init(tks_json_writer *w, tks_buf *out, size_t max_size, const char *root,
                          tks_error *err) {
    *w = (tks_json_writer){
        .out = out, .start = out->size, .max_size = max_size, .root = root, .err = err};
}

/* ---- the path ---------------------------------------------------------------------------------- */

typedef struct path {
    char text[PATH_SIZE];
    size_t size;
} path;

/* Appends, cut to what fits. */
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

/* `.name`: at most NAME_SHOWN bytes, cut between characters, nothing that upsets a log line. */
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

/* Names the member at hand: the one to be written next, or, inside an object between two members,
 * the object. */
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
            path_add(p, "[%zu]", innermost ? level->count : level->count - 1);
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
                    "%s is over %zu bytes as JSON: store less, or raise max_data_size", w->root,
                    w->max_size);
}

/* Turns a buffer's status, which has no message, into ours. */
static tks_status done(tks_json_writer *w, tks_status status) {
    if (status == TKS_ERR_MEMORY) {
        return tks_fail_memory(w->err);
    }
    if (status != TKS_OK || w->out->size - w->start > w->max_size) {
        return refuse_size(w);
    }
    return TKS_OK;
}

/* Looks at the size first, so that a huge value is refused before it is copied. */
static tks_status put(tks_json_writer *w, const char *data, size_t size) {
    size_t used = w->out->size - w->start;

    if (used > w->max_size || size > w->max_size - used) {
        return refuse_size(w);
    }
    return done(w, tks_buf_append(w->out, data, size));
}

static tks_status put_char(tks_json_writer *w, char c) {
    return put(w, &c, 1);
}

/* ---- structure --------------------------------------------------------------------------------- */

/* Is there a place for a value? Only a faulty caller ever hears no. */
static tks_status check_place(tks_json_writer *w) {
    if (w->depth == 0 ? w->out->size != w->start : !w->levels[w->depth - 1].is_array && !w->named) {
        return tks_json_refuse(w, "cannot take a value here: it has one already, or wants a name");
    }
    return TKS_OK;
}

/* To be called when nothing can be refused any more: afterwards the path is the next member's. */
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
        return tks_json_refuse(w, "is nested deeper than 32: store it flatter");
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
    tks_status status = check_place(w);

    if (status != TKS_OK) {
        return status;
    }
    if (value > TKS_JSON_INTEGER_MAX || value < -TKS_JSON_INTEGER_MAX) {
        return tks_json_refuse(w, "is beyond 2^53-1, where other JSON readers round: use a string");
    }
    status = begin_value(w);
    return status == TKS_OK ? done(w, tks_buf_append_int(w->out, value)) : status;
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

/* Why `text` cannot be a string, or NULL. */
static const char *string_problem(tks_bytes text, bool is_name) {
    const unsigned char *data = (const unsigned char *)text.data;
    size_t i = 0;

    while (i < text.size) {
        size_t length = 1;
        if (data[i] >= 0x80) {
            length = tksp_utf8_sequence(data + i, text.size - i);
        }
        if (length == 0) {
            return is_name ? "has a name that is not valid UTF-8: decode it first"
                           : "is not valid UTF-8: decode it, or store it as base64";
        }
        if (data[i] == 0) {
            return is_name ? "has a name with U+0000 in it: leave that out"
                           : "has U+0000 in it: leave that out, or store it as base64";
        }
        i += length;
    }
    return NULL;
}

/* Quotes and escapes `text`, which is known to be good. */
static tks_status put_string(tks_json_writer *w, tks_bytes text) {
    size_t begin = 0; /* of the bytes not yet written */
    tks_status status = put_char(w, '"');

    for (size_t i = 0; i < text.size && status == TKS_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (tksp_json_is_plain(c) || c >= 0x80) {
            continue;
        }
        status = put(w, text.data + begin, i - begin);
        if (status == TKS_OK) {
            status = done(w, tksp_json_append_escape(w->out, c));
        }
        begin = i + 1;
    }
    if (status == TKS_OK && begin < text.size) {
        status = put(w, text.data + begin, text.size - begin);
    }
    return status == TKS_OK ? put_char(w, '"') : status;
}

tks_status tks_json_write_string(tks_json_writer *w, tks_bytes value) {
    const char *problem = string_problem(value, false);
    tks_status status = check_place(w);

    if (status == TKS_OK && problem != NULL) {
        status = tks_json_refuse(w, problem);
    }
    if (status == TKS_OK) {
        status = begin_value(w);
    }
    return status == TKS_OK ? put_string(w, value) : status;
}

tks_status tks_json_write_name(tks_json_writer *w, tks_bytes name) {
    const char *problem = string_problem(name, true);
    tks_json_level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
    tks_status status = TKS_OK;

    if (level == NULL || level->is_array || w->named) {
        return tks_json_refuse(w, "cannot take a name here");
    }
    if (problem != NULL) {
        return tks_json_refuse(w, problem);
    }
    if (level->count++ > 0) {
        status = put_char(w, ',');
    }
    level->name = name;
    w->named = true;
    if (status == TKS_OK) {
        status = put_string(w, name);
    }
    return status == TKS_OK ? put_char(w, ':') : status;
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

/* Recursion ends at TKS_JSON_DEPTH, by begin_level. */
tks_status tks_json_write_tree(tks_json_writer *w, const tks_json *node) {
    tks_json_type type = tks_json_get_type(node);
    bool is_array = type == TKS_JSON_ARRAY;
    tks_status status = TKS_OK;

    switch (type) {
    case TKS_JSON_NULL: return tks_json_write_null(w);
    case TKS_JSON_BOOL: return tks_json_write_bool(w, tks_json_get_bool(node));
    case TKS_JSON_INTEGER: return tks_json_write_integer(w, tks_json_get_integer(node));
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
