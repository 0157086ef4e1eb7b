/* spike.c - a Spike client's options, and what its operations share. See tokenstore/spike.h. */
#include <stdio.h>
#include <stdlib.h>

#include "http_text.h"
#include "op_private.h"
#include "option.h"
#include "spike_private.h"
#include "tokenstore/secret.h"

/* ---- options ---- */

static const char *const credentials[] = {"client_id", "client_secret", "client_assertion",
                                          "client_assertion_type", NULL};

/* Headers that are set here, or that would change where one message ends. */
static const char *const own_headers[] = {"Accept",
                                          "Authorization",
                                          "Connection",
                                          "Content-Encoding",
                                          "Content-Length",
                                          "Content-Type",
                                          "Cookie",
                                          "Expect",
                                          "Host",
                                          "Keep-Alive",
                                          "Proxy-Authorization",
                                          "Proxy-Connection",
                                          "TE",
                                          "Trailer",
                                          "Transfer-Encoding",
                                          "Upgrade",
                                          NULL};

static bool is_one_of(tks_bytes name, const char *const *names) {
    while (*names != NULL && !tks_bytes_equal(name, tks_bytes_of(*names, strlen(*names)))) names++;
    return *names != NULL;
}

static void check_headers(const tks_spike_options *o, tks_buf *faults) {
    if (o->header_count > TKSP_SPIKE_HEADERS_MAX) tks_faults_add(faults, "more than 32 headers");
    for (size_t i = 0; i < o->header_count; i++) {
        const tks_bytes name = o->headers[i].name;
        if (!tksp_http_is_header_name(name) || !tksp_http_is_header_value(o->headers[i].value)) {
            tks_faults_add(
                faults,
                "headers: a name is invalid, or a value contains a control character or begins "
                "or ends with a blank");
            continue;
        }
        for (const char *const *own = own_headers; *own != NULL; own++) {
            if (!tksp_http_name_is(name, *own)) continue;
            tks_faults_add(faults, "headers: must not set ");
            (void)tks_buf_append(faults, *own, strlen(*own));
        }
    }
}

/* All faults at once, so that they are not found one restart at a time. */
static void check(const tks_spike_options *o, tks_buf *faults) {
    if (o->faults.size > 0) tks_buf_append_bytes(faults, o->faults);
    if (o->discover.size > 0 && !tksp_metadata_is_issuer(o->discover)) {
        tks_faults_add(
            faults,
            "with discovery the url is the issuer: https (or http on localhost), without query "
            "and fragment");
    }
    if ((o->discover.size == 0 || o->token_url.size > 0) && !tksp_http_is_url(o->token_url)) {
        tks_faults_add(faults, "the server's url must begin with https:// or http://");
    }
    if (o->key_url.size > 0 && !tksp_http_is_url(o->key_url)) {
        tks_faults_add(faults, "the public key's url must begin with https:// or http://");
    }
    for (size_t i = 0; i < o->parameter_count; i++) {
        if (is_one_of(o->parameters[i].name, credentials)) {
            tks_faults_add(
                faults,
                "parameters must not contain client credentials: use client_id, client_secret "
                "and client_auth");
        }
    }
    if (o->any_audience && o->issuer.size + o->discover.size == 0 && !o->opaque) {
        tks_faults_add(faults, "issuer is missing: it is required without expect_audience");
    }
    check_headers(o, faults);
    if (!tksp_http_is_header_value(o->host_header)) {
        tks_faults_add(
            faults, "the host header contains a control character, or begins or ends with a blank");
    }
    if (o->key_url.size + o->key_text.size + o->discover.size == 0 && !o->opaque) {
        tks_faults_add(faults, "a public key is missing: give its url, or the key");
    }
    tksp_options_check(&tks_spike_table, o, faults);
    if (o->pause_ms > o->pause_max_ms) {
        tks_faults_add(faults, "retry.min must not be above retry.max");
    }
}

static tks_status fault_of(tks_status status, const tks_error *why, tks_buf *faults) {
    if (status != TKS_ERR_CONFIGURATION) return status;
    tks_faults_add(faults, why->message);
    return TKS_OK;
}

/* The keys that were given, too, are among what may be wrong. */
static tks_status take_keys(tks_spike *spike, const tks_spike_options *o, tks_buf *faults) {
    tks_error client = TKS_ERROR_INIT, server = TKS_ERROR_INIT;
    tks_status status = tksp_client_credentials_init(&spike->credentials, o, &client);
    status = fault_of(status, &client, faults);
    if (status != TKS_OK || o->key_text.size == 0) return status;
    return fault_of(tksp_spike_set_keys(spike, o->key_text, &server), &server, faults);
}

static const tks_spike_parameter *copy_pairs(tksp_arena *arena, const tks_spike_parameter *from,
                                             size_t count) {
    tks_spike_parameter *to = tksp_arena_alloc(arena, count * sizeof *to);
    for (size_t i = 0; to != NULL && i < count; i++) {
        to[i].name = tksp_arena_dup(arena, from[i].name);
        to[i].value = tksp_arena_dup(arena, from[i].value);
    }
    return to;
}

static tks_status copy(tks_spike *spike, const tks_spike_options *from, tks_error *err) {
    tksp_arena *arena = &spike->arena;
    tks_spike_options *to = &spike->options;

    *to = *from;
    to->token_url = tksp_arena_dup(arena, from->token_url);
    to->key_url = tksp_arena_dup(arena, from->key_url);
    to->client_id = tksp_arena_dup(arena, from->client_id);
    to->client_secret = tks_bytes_of(NULL, 0); /* the credentials have what is needed of them */
    to->client_key = NULL;
    to->client_key_text = tks_bytes_of(NULL, 0);
    to->client_certificate = tks_bytes_of(NULL, 0);
    to->client_algorithm = tks_bytes_of(NULL, 0);
    to->assertion_audience = tks_bytes_of(NULL, 0);
    to->key_text = tks_bytes_of(NULL, 0);
    to->faults = tks_bytes_of(NULL, 0);
    to->redis_key = tksp_arena_dup(arena, from->redis_key);
    to->redis_string = tksp_arena_dup(arena, from->redis_string);
    to->discover = tksp_arena_dup(arena, from->discover);
    to->issuer = from->issuer.size > 0 ? tksp_arena_dup(arena, from->issuer) : to->discover;
    to->grant_type = tksp_arena_dup(arena, from->grant_type);
    to->scope = tksp_arena_dup(arena, from->scope);
    if (!tks_bytes_equal(from->expect_audience, TKS_LITERAL("{audience}"))) {
        to->expect_audience = tksp_arena_dup(arena, from->expect_audience);
    } else {
        to->expect_audience = tks_bytes_of(NULL, 0); /* what is expected anyway */
    }
    to->host_header = tksp_arena_dup(arena, from->host_header);

    to->binding = tksp_arena_dup(arena, from->binding);
    to->client_file = tksp_arena_dup(arena, from->client_file);
    to->parameters = copy_pairs(arena, from->parameters, from->parameter_count);
    to->headers = copy_pairs(arena, from->headers, from->header_count);

    return arena->status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

tks_status tks_spike_new(const tks_spike_options *options, tks_spike **out, tks_error *err) {
    tks_buf faults;
    *out = NULL;
    tks_status status = tks_secret_start(err);
    if (status != TKS_OK) return status;
    tks_spike *spike = calloc(1, sizeof *spike);
    if (spike == NULL) return tks_fail_memory(err);
    atomic_init(&spike->users, 1);
    tksp_metadata_place_init(&spike->metadata);
    atomic_flag_clear(&spike->busy);
    atomic_init(&spike->fetching_keys, false);
    tksp_key_source_init(&spike->keys, TKSP_KEY_INTERVAL_MS);
    tks_buf_init(&faults, SIZE_MAX); /* the message is cut, none of them lost before */
    check(options, &faults);
    status = take_keys(spike, options, &faults);
    if (status != TKS_OK || faults.status != TKS_OK) {
        status = tks_fail_memory(err);
    } else if (faults.size > 0) {
        status = tks_fail(err, TKS_ERR_CONFIGURATION, "%.*s", (int)faults.size, faults.data);
    } else {
        status = copy(spike, options, err);
    }
    tks_buf_clear(&faults);
    if (status != TKS_OK) {
        tks_spike_free(spike);
        return status;
    }
    *out = spike;
    return TKS_OK;
}

/* ---- life ---- */

/* The lock is held for a copy: nobody spins for long. */
static void enter(tks_spike *spike) {
    while (atomic_flag_test_and_set_explicit(&spike->busy, memory_order_acquire)) {
        ;
    }
}

static void leave(tks_spike *spike) {
    atomic_flag_clear_explicit(&spike->busy, memory_order_release);
}

tks_spike *tksp_spike_hold(tks_spike *spike) {
    atomic_fetch_add(&spike->users, 1);
    return spike;
}

void tks_spike_free(tks_spike *spike) {
    if (spike == NULL || atomic_fetch_sub(&spike->users, 1) != 1) return;
    tksp_key_source_clear(&spike->keys);
    tksp_metadata_place_clear(&spike->metadata);
    tksp_client_credentials_clear(&spike->credentials);
    tksp_arena_clear(&spike->arena);
    free(spike);
}

void tks_spike_after_fork(tks_spike *spike) {
    tksp_key_source_after_fork(&spike->keys);
    tksp_metadata_place_after_fork(&spike->metadata);
    leave(spike);
    atomic_store(&spike->fetching_keys, false);
}

bool tks_spike_is_ready(tks_spike *spike) {
    tks_keyset *keys = tksp_key_source_get(&spike->keys, NULL);
    tks_keyset_free(keys);
    tksp_metadata *metadata = tksp_metadata_get(&spike->metadata);
    tksp_metadata_leave(metadata);
    return (keys != NULL || spike->options.opaque) &&
           (metadata != NULL || spike->options.discover.size == 0);
}

bool tks_spike_is_given(const tks_spike *spike, tks_bytes *file) {
    *file = spike->options.client_file;
    return spike->options.client_given;
}

uint32_t tks_spike_get_budget(const tks_spike *spike) {
    return spike->options.budget_ms;
}

/* ---- failures ---- */

void tksp_spike_bar(tks_spike *spike, const tksp_spike_failure *failure) {
    enter(spike);
    if (failure->until_ms > spike->barred.until_ms) spike->barred = *failure;
    leave(spike);
}

bool tksp_spike_is_barred(tks_spike *spike, int64_t boot_ms, tksp_spike_failure *out) {
    enter(spike);
    bool barred = spike->barred.until_ms > boot_ms;
    if (barred) *out = spike->barred;
    leave(spike);
    return barred;
}

/* ---- keys ---- */

bool tksp_spike_begin_keys(tks_spike *spike) {
    bool busy = false;
    return atomic_compare_exchange_strong(&spike->fetching_keys, &busy, true);
}

void tksp_spike_end_keys(tks_spike *spike) {
    atomic_store(&spike->fetching_keys, false);
}

tks_status tksp_spike_set_keys(tks_spike *spike, tks_bytes text, tks_error *err) {
    tks_keyset *keys;
    tks_status status = tks_keyset_from_published(text, &keys, err);
    if (status == TKS_OK) tksp_key_source_put(&spike->keys, keys);
    return status;
}

bool tksp_spike_may_fetch_keys(tks_spike *spike, int64_t boot_ms) {
    if (spike->options.key_url.size + spike->options.discover.size == 0) return false;
    tks_keyset *keys = tksp_key_source_get(&spike->keys, NULL);
    tks_keyset_free(keys);
    return keys == NULL || tksp_key_source_ask(&spike->keys, boot_ms);
}
