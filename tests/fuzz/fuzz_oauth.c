/* fuzz_oauth.c - whatever a token endpoint returns, and whatever is stored in Redis as a token, get_token
 * ends within its budget: with a token that is valid in a header and for some time, or with an error that
 * does not contain it. Input: "<status> <content type>", a line with Retry-After, then the body, the response
 * to every request, and the stored value if the status is below 200. */
#include "fuzz.h"
#include "oauth.h"
#include "tokenstore/secret.h"

enum { STEPS_MAX = 2000, REPLIES_MAX = 8, LONG_TOKEN = 24, BUSY_MS = 1000 };

#define NOW_MS  INT64_C(1700000000000)
#define BOOT_MS INT64_C(1000000) /* at the same moment */

typedef struct input {
    tks_http_response response;
    bool stored;
} input;

static tks_bytes next_line(tks_bytes *rest) {
    const char *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    tks_bytes line =
        tks_bytes_of(rest->data, end != NULL ? (size_t)(end - rest->data) : rest->size);
    size_t used = line.size + (end != NULL);
    *rest = tks_bytes_of(rest->data + used, rest->size - used);
    return line;
}

static input read_input(tks_bytes rest) {
    input in = {.stored = false};
    tks_bytes first = next_line(&rest);
    size_t i = 0;
    for (; i < first.size && i < 3 && first.data[i] >= '0' && first.data[i] <= '9'; i++) {
        in.response.status = in.response.status * 10 + (first.data[i] - '0');
    }
    if (i < first.size) i++;
    in.stored = in.response.status < 200;
    if (in.stored) in.response.status = 200;
    in.response.content_type = tks_bytes_of(first.data + i, first.size - i);
    in.response.retry_after = next_line(&rest);
    in.response.body = rest;
    return in;
}

/* ---- invariants ------------------------------------------------------------------------------- */

/* RFC 6749, A.12: valid in a header. */
static void require_token(tks_bytes token) {
    REQUIRE(token.size > 0);
    for (size_t i = 0; i < token.size; i++) REQUIRE(token.data[i] >= ' ' && token.data[i] <= '~');
}

static void require_printable(const char *text) {
    REQUIRE(text[0] != '\0');
    for (; *text != '\0'; text++) REQUIRE((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void require_hidden(tks_bytes token, tks_bytes text) {
    if (token.size < LONG_TOKEN) return;
    for (size_t i = 0; i + token.size <= text.size; i++) {
        REQUIRE(memcmp(text.data + i, token.data, token.size) != 0);
    }
}

static void require_answer(const input *in, tks_buf *token) {
    const tksp_secrets secrets = {NULL, 0};
    tksp_oauth_answer answer;
    tksp_oauth_verdict verdict = tksp_oauth_read_answer(&in->response, &secrets, NOW_MS, &answer);
    REQUIRE((verdict == TKS_OAUTH_GRANTED) == (answer.tree != NULL));
    if (verdict == TKS_OAUTH_GRANTED) {
        REQUIRE(in->response.status == 200 || in->response.status == 201);
        require_token(answer.access_token);
        tks_buf_append_bytes(token, answer.access_token);
    } else {
        require_printable(answer.why);
    }
    REQUIRE(answer.expires_in_ms >= -1 && answer.refresh_in_ms >= -1);
    REQUIRE(answer.retry_after_ms >= -1);
    tksp_oauth_answer_clear(&answer);
}

/* ---- the whole conversation ------------------------------------------------------------------- */

/* A bulk string, as Redis sends it. */
static tks_reply *stored_reply(tks_bytes value) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    char head[32];
    int size = snprintf(head, sizeof head, "$%zu\r\n", value.size);
    REQUIRE(tks_reader_new(1 << 20, &reader, NULL) == TKS_OK);
    REQUIRE(tks_reader_feed(reader, head, (size_t)size, NULL) == TKS_OK);
    REQUIRE(tks_reader_feed(reader, value.data, value.size, NULL) == TKS_OK);
    REQUIRE(tks_reader_feed(reader, "\r\n", 2, NULL) == TKS_OK);
    REQUIRE(tks_reader_next(reader, &reply, NULL) == TKS_OK && reply != NULL);
    tks_reader_free(reader);
    return reply;
}

static tks_need answer(tks_op *op, tks_need need, const input *in, int64_t *now_ms) {
    tks_reply *replies[REPLIES_MAX] = {NULL};
    tks_event event = {.replies = replies};
    if (need == TKS_NEED_HTTP) {
        event.type = TKS_EVENT_RESPONSE;
        event.response = &in->response;
    } else if (need == TKS_NEED_SEND) {
        REQUIRE(tks_op_get_batch(op)->replies <= REPLIES_MAX);
        for (size_t i = 0; i < tks_op_get_batch(op)->replies; i++) {
            replies[i] = stored_reply(in->response.body);
        }
        event.type = TKS_EVENT_REPLIES;
    } else {
        *now_ms += tks_op_get_sleep(op) + (in->stored ? BUSY_MS : 0); /* or most of it is waiting */
        event.type = TKS_EVENT_AWAKE;
    }
    event.now_ms = *now_ms;
    event.boot_ms = *now_ms - NOW_MS + BOOT_MS;
    need = tks_op_step(op, &event);
    for (size_t i = 0; i < REPLIES_MAX; i++) tks_reply_free(replies[i]);
    return need;
}

static void converse(const input *in, bool opaque, tks_bytes token) {
    static const char key_url[] = "https://spike.example/key";
    tks_spike_options options = TKS_SPIKE_OPTIONS_INIT;
    tks_event event = {.type = TKS_EVENT_START, .now_ms = NOW_MS, .boot_ms = BOOT_MS};
    tks_spike *spike = NULL;
    tks_op *op = NULL;
    int64_t now_ms = NOW_MS;
    int steps = 0;

    options.token_url = TKS_LITERAL("https://spike.example/oauth2/token");
    options.client_id = options.client_secret = TKS_LITERAL("id");
    options.opaque = opaque;
    if (!opaque) options.key_url = tks_bytes_of(key_url, sizeof key_url - 1);
    if (in->stored) options.redis_key = TKS_LITERAL("tokens");
    if (in->stored) options.redis_string = TKS_LITERAL("token");
    REQUIRE(tks_spike_new(&options, &spike, NULL) == TKS_OK);
    REQUIRE(tks_spike_get_token(spike, TKS_LITERAL("aud"), 0, tks_bytes_of(NULL, 0), &op, NULL) ==
            TKS_OK);
    tks_need need = tks_op_step(op, &event);
    while (need != TKS_DONE && need != TKS_FAILED) {
        REQUIRE(++steps < STEPS_MAX);
        need = answer(op, need, in, &now_ms);
    }
    REQUIRE(in->stored || now_ms - NOW_MS <= options.budget_ms);
    if (need == TKS_DONE) {
        const tks_access *access = tks_op_get_result(op)->access;
        require_token(access->token);
        REQUIRE(access->good_until_ms > now_ms - NOW_MS + BOOT_MS &&
                access->renew_at_ms <= access->good_until_ms);
    } else {
        const char *message = tks_op_get_error(op)->message;
        require_printable(message);
        require_hidden(token, tks_bytes_of(message, strlen(message)));
    }
    require_hidden(token, tks_buf_bytes(&tks_op_get_notes(op)->lines));
    tks_op_free(op);
    tks_spike_free(spike);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = read_input(fuzz_bytes(data, size));
    tks_buf token;
    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    tks_buf_init(&token, 1 << 20);
    require_answer(&in, &token);
    converse(&in, true, tks_buf_bytes(&token));
    converse(&in, false, tks_buf_bytes(&token));
    tks_buf_wipe(&token);
    return 0;
}
