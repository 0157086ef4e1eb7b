/* json_build.c - builds the trees of texts that cJSON cannot parse exactly, from cJSON's nodes.
 *
 * Purpose:   cJSON's parser rejects unpaired surrogates, rounds integers, truncates numbers at 63 characters
 *            and does not return the length of strings with U+0000. Its nodes can represent all of these.
 * Lifecycle: the builder is on the caller's stack and borrows the text, which has passed the scan: nothing is
 *            checked again.
 * Threads:   no state. The caller has set the "C" locale. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "json_private.h"
#include "tokenstore/secret.h"

typedef struct builder {
    const char *at, *end;
} builder;

static void skip_space(builder *b) {
    while (b->at < b->end && strchr(" \n\r\t", *b->at) != NULL) b->at++;
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* Writes UTF-8; an unpaired surrogate as three bytes (WTF-8). */
static char *put_code(char *out, int code) {
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xE0 | code >> 12);
        } else {
            *out++ = (char)(0xF0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* At '\'. */
static char *put_escape(builder *b, char *out) {
    char c = b->at[1];
    size_t size;
    if (c == 'u') {
        int code = tksp_json_read_escape(b->at, b->end, &size);
        b->at += size;
        return put_code(out, code);
    }
    switch (c) {
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    default: break;
    }
    *out++ = c;
    b->at += 2;
    return out;
}

static const char *end_of_string(const char *at) {
    while (*at != '"') at += *at == '\\' ? 2 : 1;
    return at;
}

/* At the opening quote. The string, in memory of cJSON; data NULL: out of memory. */
static tks_bytes build_string(builder *b) {
    const char *end = end_of_string(++b->at);
    char *data = cJSON_malloc((size_t)(end - b->at) + 1), *out = data;
    if (data == NULL) return tks_bytes_of(NULL, 0);
    while (b->at < end) {
        if (*b->at == '\\') {
            out = put_escape(b, out);
        } else {
            *out++ = *b->at++;
        }
    }
    *out = '\0';
    b->at = end + 1;
    return tks_bytes_of(data, (size_t)(out - data));
}

static void drop_string(tks_bytes string) {
    tks_wipe((char *)string.data, string.size);
    cJSON_free((char *)string.data);
}

static cJSON *build_text(builder *b) {
    tks_bytes text = build_string(b);
    if (text.data == NULL) return NULL;
    cJSON *item = cJSON_CreateNull();
    if (item == NULL) {
        drop_string(text);
        return NULL;
    }
    item->type = cJSON_String | TKSP_JSON_TEXT_SIZED;
    item->valuestring = (char *)text.data;
    item->valuedouble = (double)text.size;
    return item;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

/* An integer that a double cannot represent exactly becomes a Raw node with its digits. */
static cJSON *build_integer(const char *digits, double nearest) {
    if (fabs(nearest) <= (double)TKS_JSON_INTEGER_MAX) return cJSON_CreateNumber(nearest);
    cJSON *item = cJSON_CreateRaw(digits);
    if (item == NULL) return NULL;
    item->valuedouble = nearest;
    errno = 0;
    (void)strtoll(digits, NULL, 10);
    if (errno == 0) item->type |= TKSP_JSON_IS_INTEGER;
    return item;
}

static cJSON *build_number(builder *b) {
    const char *begin = b->at;
    while (b->at < b->end && strchr("+-.0123456789Ee", *b->at) != NULL) b->at++;
    size_t size = (size_t)(b->at - begin);
    char *copy = cJSON_malloc(size + 1); /* strtod needs a NUL */
    if (copy == NULL) return NULL;
    memcpy(copy, begin, size);
    copy[size] = '\0';
    double value = strtod(copy, NULL);
    cJSON *item =
        strpbrk(copy, ".eE") == NULL ? build_integer(copy, value) : cJSON_CreateNumber(value);
    tks_wipe(copy, size);
    cJSON_free(copy);
    return item;
}

/* ---- values ------------------------------------------------------------------------------------ */

static cJSON *build_value(builder *b);

/* At the name's opening quote: builds the member with its name. */
static cJSON *build_member(builder *b) {
    tks_bytes name = build_string(b);
    if (name.data == NULL) return NULL;
    skip_space(b);
    b->at++; /* ':' */
    skip_space(b);
    cJSON *item = build_value(b);
    if (item == NULL) {
        drop_string(name);
        return NULL;
    }
    item->string = (char *)name.data;
    item->valueint = (int)name.size;
    item->type |= TKSP_JSON_NAME_SIZED;
    return item;
}

/* At '[' or '{'. The scan has limited the depth of recursion. */
static cJSON *build_members(builder *b, bool is_object) {
    cJSON *item = is_object ? cJSON_CreateObject() : cJSON_CreateArray();
    if (item == NULL) return NULL;
    b->at++;
    skip_space(b);
    while (*b->at != (is_object ? '}' : ']')) {
        cJSON *child = is_object ? build_member(b) : build_value(b);
        if (child == NULL) {
            tksp_json_free(item);
            return NULL;
        }
        cJSON_AddItemToArray(item, child); /* also for an object: the child has its name */
        skip_space(b);
        if (*b->at != ',') continue;
        b->at++;
        skip_space(b);
    }
    b->at++;
    return item;
}

/* At the value's first byte. */
static cJSON *build_value(builder *b) {
    switch (*b->at) {
    case '{':
    case '[': return build_members(b, *b->at == '{');
    case '"': return build_text(b);
    case 't': b->at += 4; return cJSON_CreateTrue();
    case 'f': b->at += 5; return cJSON_CreateFalse();
    case 'n': b->at += 4; return cJSON_CreateNull();
    default: return build_number(b);
    }
}

cJSON *tksp_json_build(tks_bytes text) {
    builder b = {text.data, text.data + text.size};
    skip_space(&b);
    return build_value(&b);
}
