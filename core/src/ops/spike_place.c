/* spike_place.c - where in Redis the tokens of one request are. docs/spike.md shows the picture.
 *
 * The HASH that the Node package spike-token-manager has too holds JWTs alone, one for each audience. Beside it is
 * one of our own, for what that one cannot tell apart: another server, scope or parameter, opaque tokens. Its
 * fields are digests, so that no parameter can be read there. */
#include "spike_private.h"

#include "tokenstore/secret.h"

enum { NAME_MAX_BYTES = 64 * 1024 };

/* The digest of `fields` as text in the arena. */
static tks_bytes digest(tksp_arena *arena, const tks_bytes *fields, size_t count) {
    char text[TKS_DIGEST_TEXT_SIZE];
    tks_digest(tks_bytes_of(NULL, 0), fields, count, text);
    return tksp_arena_dup(arena, tks_bytes_of(text, sizeof text));
}

/* By what is known of it without asking. */
static tks_bytes server_of(const tks_spike_options *o) {
    return o->token_url.size > 0 ? o->token_url : o->discover;
}

/* All that makes one request another: what is asked, and of whom. */
static tks_bytes digest_request(const tks_spike_options *o, const tksp_spike_asked *asked,
                                tksp_arena *arena) {
    size_t count = 6 + 2 * (asked->count + o->header_count), n = 0;
    tks_bytes *fields = tksp_arena_alloc(arena, count * sizeof *fields);
    if (fields == NULL) return tks_bytes_of(NULL, 0);
    fields[n++] = server_of(o);
    fields[n++] = o->client_id;
    fields[n++] = o->host_header;
    fields[n++] = asked->audience; /* where it is not sent, it may still be what `aud` must be */
    for (size_t i = 0; i < asked->count; i++) {
        fields[n++] = asked->parameters[i].name;
        fields[n++] = asked->parameters[i].value;
    }
    fields[n++] = TKS_LITERAL("\0headers"); /* no parameter is called so */
    for (size_t i = 0; i < o->header_count; i++) {
        fields[n++] = o->headers[i].name;
        fields[n++] = o->headers[i].value;
    }
    fields[n++] = o->binding;
    return digest(arena, fields, n);
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

    *out = (tksp_spike_place){.hash = o->redis_key};
    /* No client's id ends in a digest of what is before it: no two names meet. */
    out->own = joined(arena, o->redis_key, TKS_LITERAL(":own:"), digest(arena, hash, 1));
    out->field = digest_request(o, asked, arena);
    out->owner = digest(arena, who, 3);
    out->claim = joined(arena, TKS_LITERAL("by:"), asked->audience, tks_bytes_of(NULL, 0));
    out->lock = joined(arena, o->redis_key, TKS_LITERAL(":lock:"), out->field);
    if (asked->is_plain) {
        out->audience = asked->audience;
        out->string = o->redis_string;
    }
    return arena->status;
}

bool tksp_spike_is_others(const tksp_spike_place *place, tks_bytes token, tks_bytes claim) {
    tks_bytes tail = tks_bytes_of(token.data, token.size);
    if (tail.size > TKSP_SPIKE_TAIL)
        tail = tks_bytes_of(token.data + token.size - TKSP_SPIKE_TAIL, TKSP_SPIKE_TAIL);
    if (claim.size != TKS_DIGEST_TEXT_SIZE + tail.size) return false; /* Node has written since */
    tks_bytes by = tks_bytes_of(claim.data, TKS_DIGEST_TEXT_SIZE);
    tks_bytes of = tks_bytes_of(claim.data + by.size, tail.size);
    return tks_bytes_equal(of, tail) && !tks_bytes_equal(by, place->owner);
}

bool tksp_spike_is_ours(const tksp_spike_place *place, tks_bytes token, tks_bytes claim) {
    return claim.size > TKS_DIGEST_TEXT_SIZE &&
           tks_bytes_equal(tks_bytes_of(claim.data, TKS_DIGEST_TEXT_SIZE), place->owner) &&
           !tksp_spike_is_others(place, token, claim);
}
