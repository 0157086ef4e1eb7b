/* spike_place.c - the Redis keys of one request's tokens. See docs/reference/spike.md.
 *
 * All but the STRING of spike-get-token lie in the slot of the HASH, since scripts change several of them: on a cluster
 * they begin with its name in braces, unless that has a hash tag of its own.
 *
 * The HASH shared with the Node package spike-token-manager contains only JWTs, one per audience.
 * Our own HASH contains what it cannot distinguish: tokens of another server, scope or parameter,
 * and opaque tokens. Its fields are digests, so that no parameter can be read from them. */
#include "slot.h"
#include "spike_private.h"

#include <string.h>

#include "tokenstore/secret.h"

enum { NAME_MAX_BYTES = 64 * 1024 };

/* The digest of `fields` as text in the arena. */
static tks_bytes digest(tksp_arena *arena, const tks_bytes *fields, size_t count) {
    char text[TKS_DIGEST_TEXT_SIZE];
    tks_digest(tks_bytes_of(NULL, 0), fields, count, text);
    return tksp_arena_dup(arena, tks_bytes_of(text, sizeof text));
}

/* Identifies the server without a request. */
static tks_bytes server_of(const tks_spike_options *o) {
    return o->token_url.size > 0 ? o->token_url : o->discover;
}

/* The digest of all that distinguishes requests: what is requested, and from which server. */
static tks_bytes digest_request(const tks_spike_options *o, const tksp_spike_asked *asked,
                                tksp_arena *arena) {
    size_t count = 6 + 2 * (asked->count + o->header_count), n = 0;
    tks_bytes *fields = tksp_arena_alloc(arena, count * sizeof *fields);
    if (fields == NULL) return tks_bytes_of(NULL, 0);
    fields[n++] = server_of(o);
    fields[n++] = o->client_id;
    fields[n++] = o->host_header;
    fields[n++] = asked->audience; /* even if it is not sent, `aud` may have to match it */
    for (size_t i = 0; i < asked->count; i++) {
        fields[n++] = asked->parameters[i].name;
        fields[n++] = asked->parameters[i].value;
    }
    fields[n++] = TKS_LITERAL("\0headers"); /* no parameter has this name */
    for (size_t i = 0; i < o->header_count; i++) {
        fields[n++] = o->headers[i].name;
        fields[n++] = o->headers[i].value;
    }
    fields[n++] = o->binding;
    return digest(arena, fields, n);
}

/* Adds how the client authenticates: one method may fail and another succeed. */
static tks_bytes digest_manner(const tks_spike_options *o, tks_bytes request, tksp_arena *arena) {
    const char manner[] = {(char)('a' + o->client_auth), o->json_body ? 'j' : 'f'};
    const tks_bytes fields[] = {request, tks_bytes_of(manner, sizeof manner)};
    return digest(arena, fields, 2);
}

static tks_bytes joined(tksp_arena *arena, tks_bytes a, tks_bytes b, tks_bytes c) {
    tks_buf text;
    tks_buf_init(&text, NAME_MAX_BYTES);
    (void)tks_buf_append_bytes(&text, a);
    (void)tks_buf_append_bytes(&text, b);
    if (tks_buf_append_bytes(&text, c) != TKS_OK) arena->status = TKS_ERR_MEMORY;
    tks_bytes result = tksp_arena_dup(arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return result;
}

tks_status tksp_spike_place_init(const tks_spike *spike, const tksp_spike_asked *asked,
                                 tksp_arena *arena, tksp_spike_place *out) {
    const tks_spike_options *o = &spike->options;
    const tks_bytes who[] = {server_of(o), o->client_id, o->redis_key};
    const tks_bytes hash[] = {o->redis_key};

    bool tagged = tksp_slot_tag(o->redis_key).size < o->redis_key.size;
    const tks_bytes name =
        tagged ? o->redis_key : joined(arena, TKS_LITERAL("{"), o->redis_key, TKS_LITERAL("}"));

    *out = (tksp_spike_place){.hash = o->redis_key};
    /* No client's id ends in a digest of its own beginning, so no two names collide. */
    out->own = joined(arena, name, TKS_LITERAL(":own:"), digest(arena, hash, 1));
    out->field = digest_request(o, asked, arena);
    out->owner = digest(arena, who, 3);
    out->claim = joined(arena, TKS_LITERAL("by:"), asked->audience, tks_bytes_of(NULL, 0));
    out->lock = joined(arena, name, TKS_LITERAL(":lock:"), out->field);
    out->barred = joined(arena, name, TKS_LITERAL(":barred:"), out->owner);
    out->failed = joined(arena, name, TKS_LITERAL(":failed:"), digest_manner(o, out->field, arena));
    if (asked->is_plain) {
        out->audience = asked->audience;
        out->string = o->redis_string;
    }
    return arena->status;
}

int64_t tksp_spike_read_digits(tks_bytes text) {
    int64_t value = 0;
    if (text.size == 0 || text.size > 15) return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

/* A claim consists of the owner, the token's last characters, and its expiry. */
tksp_claimed tksp_spike_read_claim(const tksp_spike_place *place, tks_bytes token, tks_bytes claim,
                                   int64_t *end_ms) {
    size_t tail = token.size < TKSP_SPIKE_TAIL ? token.size : TKSP_SPIKE_TAIL;
    size_t head = TKS_DIGEST_TEXT_SIZE + tail;
    *end_ms = -1;
    if (token.size == 0) return TKSP_BY_NODE;
    if (claim.size <= head ||
        !tks_bytes_equal(tks_bytes_of(claim.data + TKS_DIGEST_TEXT_SIZE, tail),
                         tks_bytes_of(token.data + token.size - tail, tail))) {
        return TKSP_BY_NODE; /* Node has replaced it since */
    }
    if (!tks_bytes_equal(tks_bytes_of(claim.data, TKS_DIGEST_TEXT_SIZE), place->owner)) {
        return TKSP_BY_OTHERS;
    }
    *end_ms = tksp_spike_read_digits(tks_bytes_of(claim.data + head, claim.size - head));
    return TKSP_BY_US;
}
