/* oauth.c - see oauth.h. */
#include "oauth.h"

#include <stdio.h>

#include "http_text.h"
#include "tokenstore/secret.h"

enum {
    ANSWER_MAX = 1024 * 1024,
    EXPIRES_MAX_S = 315360000 /* ten years */
};

/* ---- requests ---- */

static tks_status write_form(const tks_spike_parameter *list, size_t count, tks_buf *out) {
    for (size_t i = 0; i < count; i++) (void)tksp_http_form_field(out, list[i].name, list[i].value);
    return out->status;
}

static tks_status write_members(tks_json_writer *w, const tks_spike_parameter *list, size_t count) {
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < count; i++) {
        if (i > 0 && tks_bytes_equal(list[i].name, list[i - 1].name)) return TKS_ERR_DATA;
        status = tks_json_write_name(w, list[i].name);
        if (status == TKS_OK) status = tks_json_write_string(w, list[i].value);
    }
    return status;
}

tks_status tksp_oauth_write_body(bool json, const tks_spike_parameter *asked, size_t asked_count,
                                 const tks_spike_parameter *client, size_t client_count,
                                 tks_buf *out) {
    tks_json_writer w;
    if (!json) {
        (void)write_form(asked, asked_count, out);
        return write_form(client, client_count, out);
    }
    tks_json_writer_init(&w, out, TKS_JSON_SIZE_DEFAULT, "request", NULL);
    tks_status status = tks_json_begin_object(&w);
    if (status == TKS_OK) status = write_members(&w, asked, asked_count);
    if (status == TKS_OK) status = write_members(&w, client, client_count);
    return status == TKS_OK ? tks_json_end_object(&w) : status;
}

/* ---- responses --------- */

static tksp_oauth_verdict wrong(tksp_oauth_answer *out, const char *why) {
    (void)snprintf(out->why, sizeof out->why, "the token endpoint answered %d: %s",
                   out->said.status, why);
    return TKS_OAUTH_WRONG;
}

/* Copies a member of RFC 6749's error object as text. */
static void copy_member(const tks_json *tree, const char *name, const tksp_secrets *secrets,
                        char *out, size_t size) {
    const tks_json *member = tree != NULL ? tks_json_find(tree, name) : NULL;
    if (member != NULL && tks_json_get_type(member) == TKS_JSON_STRING) {
        tksp_said_text(tks_json_get_string(member), secrets, out, size);
    }
}

/* True if the body may be JSON. Some servers declare it as text, or not at all. */
static bool may_be_json(tks_bytes type) {
    static const char suffix[] = "+json";
    const char *end = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    tks_bytes name = tksp_http_trim(
        tks_bytes_of(type.data, end != NULL ? (size_t)(end - type.data) : type.size));
    if (name.size >= sizeof suffix - 1 &&
        tksp_http_name_is(
            tks_bytes_of(name.data + name.size - (sizeof suffix - 1), sizeof suffix - 1), suffix)) {
        return true;
    }
    return name.size == 0 || tksp_http_name_is(name, "application/json") ||
           tksp_http_name_is(name, "text/json") || tksp_http_name_is(name, "text/plain");
}

/* Parses the body as an object; NULL: it is not one. */
static tks_status read_object(const tks_http_response *response, tks_json **out) {
    tks_bytes body = response->body;
    *out = NULL;
    if (!may_be_json(response->content_type)) return TKS_ERR_DATA;
    if (body.size >= 3 && memcmp(body.data, "\xEF\xBB\xBF", 3) == 0) {
        body = tks_bytes_of(body.data + 3, body.size - 3);
    }
    static const tks_json_rules rules = {.max_size = ANSWER_MAX,
                                         .max_depth = TKS_JSON_DEPTH_MAX,
                                         .any = true};
    tks_status status = tks_json_read(body, &rules, out, NULL);
    if (status == TKS_OK && tks_json_get_type(*out) != TKS_JSON_OBJECT) {
        tks_json_free(*out);
        *out = NULL;
        status = TKS_ERR_DATA;
    }
    return status;
}

static bool is_redirect(int status) {
    return status >= 300 && status < 400;
}

/* "the token endpoint answered 400 invalid_scope: error_description (error_uri)" */
static void write_why(tksp_oauth_answer *out) {
    const tks_spike_answer *said = &out->said;
    (void)snprintf(out->why, sizeof out->why, "the token endpoint answered %d%s%s%s%s%s%s%s",
                   said->status, said->error[0] != '\0' ? " " : "", said->error,
                   said->description[0] != '\0' ? ": " : "", said->description,
                   said->uri[0] != '\0' ? " (" : "", said->uri, said->uri[0] != '\0' ? ")" : "");
    if (is_redirect(said->status)) {
        (void)snprintf(out->why, sizeof out->why,
                       "the token endpoint answered %d: it redirects to %s, and credentials are "
                       "not sent there: correct url or token_url",
                       said->status,
                       said->location[0] != '\0' ? said->location : "an unnamed location");
    }
}

/* Copies standard codes, which are never a secret: RFC 6749 (4.1.2.1, 5.2), 8628, 8707. */
static bool copy_known_code(const tks_json *tree, char *out) {
    static const char *const codes[] = {
        "invalid_request",     "invalid_client",         "invalid_grant",
        "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        "invalid_target",      "access_denied",          "slow_down",
        "server_error",        "temporarily_unavailable"};
    const tks_json *error = tree != NULL ? tks_json_find(tree, "error") : NULL;
    if (error == NULL || tks_json_get_type(error) != TKS_JSON_STRING) return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (!tks_bytes_equal(tks_json_get_string(error),
                             tks_bytes_of(codes[i], strlen(codes[i])))) {
            continue;
        }
        memcpy(out, codes[i], strlen(codes[i]) + 1);
        return true;
    }
    return false;
}

/* Classifies a response without a token. An error code is more specific than the status. */
static tksp_oauth_verdict describe_error(const tks_json *tree, const tksp_secrets *secrets,
                                         tksp_oauth_answer *out) {
    tks_spike_answer *said = &out->said;
    if (!copy_known_code(tree, said->error)) {
        copy_member(tree, "error", secrets, said->error, sizeof said->error);
    }
    copy_member(tree, "error_description", secrets, said->description, sizeof said->description);
    copy_member(tree, "error_uri", secrets, said->uri, sizeof said->uri);
    out->client_refused = strcmp(said->error, "invalid_client") == 0;
    write_why(out);
    if (strcmp(said->error, "temporarily_unavailable") == 0 ||
        strcmp(said->error, "server_error") == 0) {
        return TKS_OAUTH_LATER;
    }
    switch (said->status) {
    case 400:
    case 401:
    case 403: return TKS_OAUTH_REFUSED;
    case 408:
    case 425:
    case 429: return TKS_OAUTH_LATER;
    default: break;
    }
    if (said->status >= 500) return TKS_OAUTH_LATER;
    return said->error[0] != '\0' && said->status < 300 ? TKS_OAUTH_REFUSED : TKS_OAUTH_WRONG;
}

/* Digits with an optional fraction; -1: something else. */
static double decimal(tks_bytes text) {
    double value = 0, unit = 1;
    bool fraction = false;
    if (text.size == 0 || text.size > 20 || text.data[0] == '.') return -1;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.' && !fraction) {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            unit = fraction ? unit / 10 : unit;
            value = fraction ? value + unit * (c - '0') : value * 10 + (c - '0');
        } else {
            return -1;
        }
    }
    return value;
}

/* Seconds as a number, or as a string, which some servers send. */
static int64_t seconds_of(const tks_json *tree, const char *name) {
    const tks_json *value = tks_json_find(tree, name);
    double seconds = -1;
    if (value == NULL) return -1;
    if (tks_json_is_number(value)) {
        seconds = tks_json_get_double(value);
    } else if (tks_json_get_type(value) == TKS_JSON_STRING) {
        seconds = decimal(tks_json_get_string(value));
    }
    if (!(seconds >= 0)) return -1;
    return seconds > EXPIRES_MAX_S ? INT64_C(1000) * EXPIRES_MAX_S : (int64_t)(seconds * 1000);
}

bool tksp_oauth_is_token(tks_bytes token) {
    if (token.size == 0 || token.size > TKS_OAUTH_TOKEN_MAX) return false;
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] < 0x20 || token.data[i] > 0x7E) return false;
    }
    return true;
}

static tksp_oauth_verdict read_token(const tks_http_response *response, const tksp_secrets *secrets,
                                     tksp_oauth_answer *out) {
    tks_status status = read_object(response, &out->tree);
    if (status == TKS_ERR_MEMORY) return wrong(out, "out of memory");
    if (status != TKS_OK) {
        return wrong(out, may_be_json(response->content_type)
                              ? "it is not a JSON object"
                              : "its content type is not application/json");
    }
    const tks_json *token = tks_json_find(out->tree, "access_token");
    if (token == NULL && tks_json_find(out->tree, "error") != NULL) {
        return describe_error(out->tree, secrets, out);
    }
    if (token == NULL || tks_json_get_type(token) != TKS_JSON_STRING ||
        !tksp_oauth_is_token(tks_json_get_string(token))) {
        return wrong(out, "it has no usable access_token");
    }
    const tks_json *type = tks_json_find(out->tree, "token_type");
    if (type != NULL && (tks_json_get_type(type) != TKS_JSON_STRING ||
                         !tksp_http_name_is(tks_json_get_string(type), "bearer"))) {
        return wrong(out, "token_type is not Bearer");
    }
    out->access_token = tks_json_get_string(token);
    out->expires_in_ms = seconds_of(out->tree, "expires_in");
    out->refresh_in_ms = seconds_of(out->tree, "refresh_in");
    return TKS_OAUTH_GRANTED;
}

void tksp_oauth_read_head(const tks_http_response *response, const tksp_secrets *secrets,
                          int64_t now_ms, tksp_oauth_answer *out) {
    *out = (tksp_oauth_answer){.expires_in_ms = -1,
                               .refresh_in_ms = -1,
                               .retry_after_ms = -1,
                               .said = {.status = response->status}};
    if (is_redirect(response->status)) {
        tksp_said_url(response->location, secrets, out->said.location, sizeof out->said.location);
    }
    if (!tksp_http_date(response->date, now_ms, &out->date_ms)) out->date_ms = 0;
}

tksp_oauth_verdict tksp_oauth_read_answer(const tks_http_response *response,
                                          const tksp_secrets *secrets, int64_t now_ms,
                                          tksp_oauth_answer *out) {
    tksp_oauth_verdict verdict;
    tksp_oauth_read_head(response, secrets, now_ms, out);
    if (response->status == 200 || response->status == 201) {
        verdict = read_token(response, secrets, out);
    } else {
        (void)read_object(response, &out->tree);
        verdict = describe_error(out->tree, secrets, out);
        /* A date is relative to the server's clock. */
        if (!tksp_http_retry_after(response->retry_after, out->date_ms > 0 ? out->date_ms : now_ms,
                                   &out->retry_after_ms)) {
            out->retry_after_ms = -1;
        }
    }
    if (verdict != TKS_OAUTH_GRANTED) tksp_oauth_answer_clear(out);
    return verdict;
}

void tksp_oauth_answer_clear(tksp_oauth_answer *answer) {
    if (answer->access_token.data != NULL) {
        tks_wipe((char *)(uintptr_t)answer->access_token.data, answer->access_token.size);
    }
    tks_json_free(answer->tree);
    answer->tree = NULL;
    answer->access_token = tks_bytes_of(NULL, 0);
}
