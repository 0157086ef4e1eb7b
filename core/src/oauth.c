/* oauth.c - see oauth.h. */
#include "oauth.h"

#include <stdio.h>

#include "http_text.h"
#include "tokenstore/secret.h"

enum {
    ANSWER_MAX = 1024 * 1024,
    EXPIRES_MAX_S = 315360000 /* ten years */
};

/* ---- asking ---- */

static tks_bytes grant_type(const tks_spike_options *options) {
    return options->grant_type.size > 0 ? options->grant_type : TKS_LITERAL("client_credentials");
}

static void write_form(const tks_spike_options *options, tks_bytes audience,
                       const tks_spike_parameter *client, size_t client_count, tks_buf *out) {
    (void)tksp_http_form_field(out, TKS_LITERAL("grant_type"), grant_type(options));
    (void)tksp_http_form_field(out, TKS_LITERAL("audience"), audience);
    if (options->scope.size > 0)
        (void)tksp_http_form_field(out, TKS_LITERAL("scope"), options->scope);
    for (size_t i = 0; i < options->parameter_count; i++)
        (void)tksp_http_form_field(out, options->parameters[i].name, options->parameters[i].value);
    for (size_t i = 0; i < client_count; i++)
        (void)tksp_http_form_field(out, client[i].name, client[i].value);
}

static tks_status write_member(tks_json_writer *w, tks_bytes name, tks_bytes value) {
    tks_status status = tks_json_write_name(w, name);
    return status == TKS_OK ? tks_json_write_string(w, value) : status;
}

static tks_status write_json(const tks_spike_options *options, tks_bytes audience,
                             const tks_spike_parameter *client, size_t client_count, tks_buf *out) {
    tks_json_writer w;
    tks_json_writer_init(&w, out, TKS_JSON_SIZE_DEFAULT, "request", NULL);
    tks_status status = tks_json_begin_object(&w);
    if (status == TKS_OK) status = write_member(&w, TKS_LITERAL("grant_type"), grant_type(options));
    if (status == TKS_OK) status = write_member(&w, TKS_LITERAL("audience"), audience);
    if (status == TKS_OK && options->scope.size > 0)
        status = write_member(&w, TKS_LITERAL("scope"), options->scope);
    for (size_t i = 0; status == TKS_OK && i < options->parameter_count; i++)
        status = write_member(&w, options->parameters[i].name, options->parameters[i].value);
    for (size_t i = 0; status == TKS_OK && i < client_count; i++)
        status = write_member(&w, client[i].name, client[i].value);
    return status == TKS_OK ? tks_json_end_object(&w) : status;
}

tks_status tksp_oauth_write_body(const tks_spike_options *options, tks_bytes audience,
                                 const tks_spike_parameter *client, size_t client_count,
                                 tks_buf *out) {
    if (options->json_body) return write_json(options, audience, client, client_count, out);
    write_form(options, audience, client, client_count, out);
    return out->status;
}

/* ---- being answered ---- */

static tksp_oauth_verdict wrong(tksp_oauth_answer *out, const char *why) {
    (void)snprintf(out->why, sizeof out->why, "the token endpoint answered %d: %s", out->status,
                   why);
    return TKS_OAUTH_WRONG;
}

/* The value of RFC 6749's `error`, where it is one: a few printable characters. */
static bool copy_error_code(const tks_json *tree, char *out, size_t size) {
    const tks_json *error = NULL;
    if (tks_json_get_type(tree) == TKS_JSON_OBJECT) error = tks_json_find(tree, "error");
    if (error == NULL || tks_json_get_type(error) != TKS_JSON_STRING) return false;
    tks_bytes code = tks_json_get_string(error);
    if (code.size == 0 || code.size >= size) return false;
    for (size_t i = 0; i < code.size; i++) {
        char c = code.data[i];
        if (!(c >= 'a' && c <= 'z') && c != '_') return false;
    }
    memcpy(out, code.data, code.size);
    out[code.size] = '\0';
    return true;
}

static void describe_error(const tks_http_response *response, tksp_oauth_answer *out) {
    char code[64];
    tks_json *tree = NULL;
    bool coded = tksp_http_media_type_is(response->content_type, "application/json") &&
                 tks_json_parse(response->body, ANSWER_MAX, &tree, NULL) == TKS_OK &&
                 copy_error_code(tree, code, sizeof code);
    tks_json_free(tree);
    out->client_refused = out->status == 401 || (coded && strcmp(code, "invalid_client") == 0);
    (void)snprintf(out->why, sizeof out->why, "the token endpoint answered %d%s%s", out->status,
                   coded ? " " : "", coded ? code : "");
}

/* Seconds as a number, or as digits in a string, which some servers send. */
static int64_t seconds_of(const tks_json *tree, const char *name) {
    const tks_json *value = tks_json_find(tree, name);
    double seconds = -1;
    if (value == NULL) return -1;
    switch (tks_json_get_type(value)) {
    case TKS_JSON_INTEGER:
    case TKS_JSON_DOUBLE: seconds = tks_json_get_double(value); break;
    case TKS_JSON_STRING: {
        tks_bytes text = tks_json_get_string(value);
        seconds = text.size > 0 && text.size <= 9 ? 0 : -1;
        for (size_t i = 0; i < text.size && seconds >= 0; i++)
            seconds = text.data[i] >= '0' && text.data[i] <= '9'
                          ? seconds * 10 + (text.data[i] - '0')
                          : -1;
        break;
    }
    default: break;
    }
    if (!(seconds >= 0)) return -1;
    return seconds > EXPIRES_MAX_S ? INT64_C(1000) * EXPIRES_MAX_S : (int64_t)(seconds * 1000);
}

bool tksp_oauth_is_bearer(tks_bytes token) {
    if (token.size == 0 || token.size > TKS_OAUTH_TOKEN_MAX) return false;
    for (size_t i = 0; i < token.size; i++) {
        char c = token.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == '\0' || strchr("-._~+/=", c) == NULL)) return false;
    }
    return true;
}

static tksp_oauth_verdict read_token(const tks_http_response *response, tksp_oauth_answer *out) {
    if (!tksp_http_media_type_is(response->content_type, "application/json"))
        return wrong(out, "its content type is not application/json");
    tks_status status = tks_json_parse(response->body, ANSWER_MAX, &out->tree, NULL);
    if (status == TKS_ERR_MEMORY) return wrong(out, "out of memory");
    if (status != TKS_OK || tks_json_get_type(out->tree) != TKS_JSON_OBJECT)
        return wrong(out, "it is not a JSON object");
    const tks_json *token = tks_json_find(out->tree, "access_token");
    if (token == NULL || tks_json_get_type(token) != TKS_JSON_STRING ||
        !tksp_oauth_is_bearer(tks_json_get_string(token)))
        return wrong(out, "there is no usable access_token in it");
    const tks_json *type = tks_json_find(out->tree, "token_type");
    if (type != NULL && (tks_json_get_type(type) != TKS_JSON_STRING ||
                         !tksp_http_name_is(tks_json_get_string(type), "bearer")))
        return wrong(out, "token_type is not Bearer");
    out->access_token = tks_json_get_string(token);
    out->expires_in_ms = seconds_of(out->tree, "expires_in");
    out->refresh_in_ms = seconds_of(out->tree, "refresh_in");
    return TKS_OAUTH_GRANTED;
}

tksp_oauth_verdict tksp_oauth_read_answer(const tks_http_response *response, int64_t now_ms,
                                          tksp_oauth_answer *out) {
    *out = (tksp_oauth_answer){.expires_in_ms = -1,
                               .refresh_in_ms = -1,
                               .retry_after_ms = -1,
                               .status = response->status};
    if (response->status == 200) {
        tksp_oauth_verdict verdict = read_token(response, out);
        if (verdict != TKS_OAUTH_GRANTED) tksp_oauth_answer_clear(out);
        return verdict;
    }
    describe_error(response, out);
    if (!tksp_http_retry_after(response->retry_after, now_ms, &out->retry_after_ms))
        out->retry_after_ms = -1;
    switch (response->status) {
    case 400:
    case 401:
    case 403: return TKS_OAUTH_REFUSED;
    case 408:
    case 425:
    case 429: return TKS_OAUTH_LATER;
    default: return response->status >= 500 ? TKS_OAUTH_LATER : TKS_OAUTH_WRONG;
    }
}

void tksp_oauth_answer_clear(tksp_oauth_answer *answer) {
    if (answer->access_token.data != NULL)
        tks_wipe((char *)(uintptr_t)answer->access_token.data, answer->access_token.size);
    tks_json_free(answer->tree);
    answer->tree = NULL;
    answer->access_token = tks_bytes_of(NULL, 0);
}
