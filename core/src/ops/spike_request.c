/* spike_request.c - a request as one text that identifies it, and its meaning for a client.
 *
 * An audience alone is its own text. Any other request begins with a NUL, which no audience
 * contains, and each of its three fields follows a NUL. */
#include "spike_private.h"

enum { AUDIENCE_MAX = 1024, SCOPE_MAX = 4096, EXPANDED_MAX = 16 * 1024 };

/* ---- as a text ---- */

static tks_status check(tks_bytes text, const char *name, size_t most, tks_error *err) {
    if (text.size <= most && (text.size == 0 || memchr(text.data, '\0', text.size) == NULL)) {
        return TKS_OK;
    }
    return tks_fail(err, TKS_ERR_DATA, "%s must be 1 to %zu bytes without NUL", name, most);
}

static tks_status check_all(const tks_spike_request *r, tks_error *err) {
    tks_status status = check(r->audience, "audience", AUDIENCE_MAX, err);
    if (status == TKS_OK) status = check(r->scope, "scope", SCOPE_MAX, err);
    return status == TKS_OK ? check(r->resource, "resource", SCOPE_MAX, err) : status;
}

tks_status tks_spike_request_write(const tks_spike_request *r, tks_buf *out, tks_error *err) {
    tks_status status = check_all(r, err);
    if (status != TKS_OK) return status;
    if (r->audience.size > 0 && r->scope.size == 0 && r->resource.size == 0) {
        return tks_buf_append_bytes(out, r->audience) == TKS_OK ? TKS_OK : tks_fail_memory(err);
    }
    (void)tks_buf_append_char(out, '\0');
    (void)tks_buf_append_bytes(out, r->audience);
    (void)tks_buf_append_char(out, '\0');
    (void)tks_buf_append_bytes(out, r->scope);
    (void)tks_buf_append_char(out, '\0');
    return tks_buf_append_bytes(out, r->resource) == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

static tks_bytes before_zero(tks_bytes *rest) {
    const char *zero = rest->size > 0 ? memchr(rest->data, '\0', rest->size) : NULL;
    tks_bytes field = *rest;
    if (zero != NULL) {
        field.size = (size_t)(zero - rest->data);
        *rest = tks_bytes_of(zero + 1, rest->size - field.size - 1);
    } else {
        *rest = tks_bytes_of(NULL, 0);
    }
    return field;
}

static tks_status read_request(tks_bytes text, tks_spike_request *out, tks_error *err) {
    *out = (tks_spike_request){.audience = text};
    if (text.size == 0) return tks_fail(err, TKS_ERR_DATA, "audience is empty");
    if (text.data[0] == '\0') {
        tks_bytes rest = tks_bytes_of(text.data + 1, text.size - 1);
        out->audience = before_zero(&rest);
        out->scope = before_zero(&rest);
        out->resource = rest;
    }
    return check_all(out, err);
}

/* ---- for a client ---- */

static const char place_of_audience[] = "{audience}";

static const char *find_place(tks_bytes text) {
    const size_t size = sizeof place_of_audience - 1;
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, place_of_audience, size) == 0) return text.data + i;
    }
    return NULL;
}

/* Replaces each placeholder in `text` by the audience. */
static tks_status expand(tks_bytes text, const char *name, tks_bytes audience, tksp_arena *arena,
                         tks_bytes *out, tks_error *err) {
    const char *place;
    tks_buf result;
    *out = text;
    if (find_place(text) == NULL) return TKS_OK;
    if (audience.size == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "%s contains {audience}, but no audience was given", name);
    }
    tks_buf_init(&result, EXPANDED_MAX);
    while ((place = find_place(text)) != NULL) {
        size_t before = (size_t)(place - text.data), taken = before + sizeof place_of_audience - 1;
        (void)tks_buf_append(&result, text.data, before);
        (void)tks_buf_append_bytes(&result, audience);
        text = tks_bytes_of(text.data + taken, text.size - taken);
    }
    tks_status status = tks_buf_append_bytes(&result, text);
    *out = tksp_arena_dup(arena, tks_buf_bytes(&result));
    tks_buf_clear(&result);
    if (status == TKS_ERR_DATA) {
        return tks_fail(err, status, "%s is too long with the audience in it", name);
    }
    return status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

/* Splits `resource` into its URIs. `out` has room for them; NULL: only counts them. */
static size_t split(tks_bytes resource, tks_bytes *out) {
    size_t count = 0, i = 0;
    while (i < resource.size) {
        size_t begin = i;
        while (i < resource.size && resource.data[i] != ' ') i++;
        if (i > begin && out != NULL) out[count] = tks_bytes_of(resource.data + begin, i - begin);
        count += i > begin ? 1 : 0;
        i++;
    }
    return count;
}

static tks_status set_expected(const tks_spike_options *o, tks_bytes *resources, size_t count,
                               tksp_arena *arena, tksp_spike_asked *out, tks_error *err) {
    tks_bytes *one = tksp_arena_alloc(arena, sizeof *one);
    if (one == NULL) return tks_fail_memory(err);
    out->expected = one;
    out->expected_count = 1;
    if (o->opaque || o->any_audience) {
        out->expected_count = 0;
    } else if (o->expect_audience.size > 0) {
        return expand(o->expect_audience, "expect_audience", out->audience, arena, one, err);
    } else if (out->audience.size > 0) {
        *one = out->audience;
    } else if (count > 0) {
        out->expected = resources;
        out->expected_count = count;
    } else {
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "the expected aud is unknown: give an audience or a resource, or set expect_audience");
    }
    return TKS_OK;
}

static bool is_sent(const tksp_spike_asked *asked, tks_bytes name) {
    for (size_t i = 0; i < asked->count; i++) {
        if (tks_bytes_equal(asked->parameters[i].name, name)) return true;
    }
    return false;
}

static void send(tksp_spike_asked *asked, tks_bytes name, tks_bytes value) {
    if (value.size > 0) asked->parameters[asked->count++] = (tks_spike_parameter){name, value};
}

tks_status tksp_spike_asked_init(const tks_spike *spike, tks_bytes request, tksp_arena *arena,
                                 tksp_spike_asked *out, tks_error *err) {
    const tks_spike_options *o = &spike->options;
    tks_spike_request r;

    *out = (tksp_spike_asked){0};
    tks_status status = read_request(tksp_arena_dup(arena, request), &r, err);
    if (arena->status != TKS_OK) return tks_fail_memory(err);
    if (status != TKS_OK) return status;
    size_t resource_count = split(r.resource, NULL);
    tks_bytes *resources = tksp_arena_alloc(arena, (resource_count + 1) * sizeof *resources);
    size_t most = 3 + resource_count + o->parameter_count;
    out->parameters = tksp_arena_alloc(arena, most * sizeof *out->parameters);
    if (resources == NULL || out->parameters == NULL) return tks_fail_memory(err);
    (void)split(r.resource, resources);
    out->audience = r.audience;
    tks_bytes scope = r.scope;
    if (scope.size == 0) status = expand(o->scope, "scope", r.audience, arena, &scope, err);
    if (status == TKS_OK) status = set_expected(o, resources, resource_count, arena, out, err);
    if (status != TKS_OK) return status;

    send(out, TKS_LITERAL("grant_type"),
         o->grant_type.size > 0 ? o->grant_type : TKS_LITERAL("client_credentials"));
    if (o->audience_parameter == TKS_AUDIENCE_AS_AUDIENCE) {
        send(out, TKS_LITERAL("audience"), r.audience);
    } else if (o->audience_parameter == TKS_AUDIENCE_AS_RESOURCE) {
        send(out, TKS_LITERAL("resource"), r.audience);
    }
    send(out, TKS_LITERAL("scope"), scope);
    for (size_t i = 0; i < resource_count; i++) send(out, TKS_LITERAL("resource"), resources[i]);
    for (size_t i = 0; i < o->parameter_count;
         i++) { /* a call's parameter overrides the option's */
        if (!is_sent(out, o->parameters[i].name)) out->parameters[out->count++] = o->parameters[i];
    }
    out->is_plain = !o->opaque && r.audience.size > 0 && scope.size == 0 && resource_count == 0 &&
                    o->parameter_count == 0 && o->header_count == 0 && o->binding.size == 0 &&
                    o->expect_audience.size == 0 && !o->any_audience &&
                    o->audience_parameter == TKS_AUDIENCE_AS_AUDIENCE;
    return TKS_OK;
}
