/* script_spike.c - see script_spike.h. Uses opaque tokens and no valid key: this tests the order of steps;
 * tests/spike has real keys. */
#include "script_spike.h"

#include <stdio.h>
#include <string.h>

#include "test.h"
#include "tokenstore/http.h"
#include "tokenstore/spike.h"

enum { TURNS_MAX = 16, REPLIES_MAX = 8 };
#define NOW_MS  INT64_C(1800000000000)
#define BOOT_MS INT64_C(1000000) /* at the same moment */

/* The next need of the operation, and the reply to it. */
typedef struct turn {
    tks_need need;
    const char *holds;  /* substring of the commands or the URL; NULL: not checked */
    const char *answer; /* RESP; or "<status> <body>"; NULL: it is lost */
    int64_t later_ms;   /* elapsed time */
} turn;

typedef struct talk {
    const char *name;
    bool redis; /* with Redis */
    bool jwt;   /* JWTs, with a key to fetch; otherwise opaque tokens */
    int64_t held_until_ms;
    turn turns[TURNS_MAX]; /* the last one is DONE with the token as `holds`, or FAILED */
    tks_status status;
} talk;

#define GRANTED "200 {\"access_token\":\"fresh\",\"token_type\":\"Bearer\",\"expires_in\":3600}"
#define NIL     "$-1\r\n"
#define LOOKED  "*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n" NIL NIL /* the time, and no failure */
#define LOADING "-LOADING Redis is loading\r\n"
#define LOCKED  "+OK\r\n"
#define STORED  "$20\r\n1800000600000:stored\r\n" /* ten minutes */
#define SOON    "$20\r\n1800000005000:stored\r\n" /* within the offset */
#define EVIL    "$23\r\n1800000600000:a\r\nX-E: 1\r\n"
#define SEND    TKS_NEED_SEND
#define HTTP    TKS_NEED_HTTP
#define SLEEP   TKS_NEED_SLEEP

static const talk talks[] = {
    {"memory alone",
     false,
     false,
     0,
     {{HTTP, "/oauth2/token", GRANTED, 0}, {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"stored",
     true,
     false,
     0,
     {{SEND, "HGET", LOOKED STORED, 0}, {TKS_DONE, "stored", "", 0}},
     TKS_OK},
    {"fetched, stored, unlocked in one script",
     true,
     false,
     0,
     {{SEND, "HGET", LOOKED NIL, 0},
      {SEND, "\r\nNX\r\n", LOCKED LOOKED NIL, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, "EVALSHA", "-NOSCRIPT No matching script\r\n", 0},
      {SEND, "1800003600000:fresh", ":1\r\n", 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"stored between the look and the lock",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, LOCKED LOOKED STORED, 0},
      {SEND, "EVALSHA", ":1\r\n", 0},
      {TKS_DONE, "stored", "", 0}},
     TKS_OK},
    {"another fetches it",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, NIL LOOKED NIL, 0},
      {SLEEP, NULL, "", 30},
      {SEND, NULL, NIL LOOKED NIL, 0},
      {SLEEP, NULL, "", 30},
      {SEND, NULL, NIL LOOKED STORED, 0},
      {TKS_DONE, "stored", "", 0}},
     TKS_OK},
    {"another holds the lock for too long",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, NIL LOOKED NIL, 0},
      {SLEEP, NULL, "", TKS_SPIKE_WAIT_MS + 1},
      {SEND, NULL, NIL LOOKED NIL, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, NULL, ":1\r\n", 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"what is stored ends too soon",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED SOON, 0},
      {SEND, NULL, LOCKED LOOKED SOON, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, NULL, ":1\r\n", 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"what is stored cannot stand in a header",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED EVIL, 0},
      {SEND, NULL, LOCKED LOOKED EVIL, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, NULL, ":1\r\n", 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"what is stored is no better than what is held",
     true,
     false,
     BOOT_MS + 590000,
     {{SEND, NULL, LOOKED STORED, 0},
      {SEND, NULL, LOCKED LOOKED STORED, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, NULL, ":1\r\n", 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"redis is lost at once",
     true,
     false,
     0,
     {{SEND, NULL, NULL, 0}, {HTTP, NULL, GRANTED, 0}, {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"redis is lost with the lock",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, NULL, 0},
      {HTTP, NULL, GRANTED, 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"redis is lost when it is to store",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, LOCKED LOOKED NIL, 0},
      {HTTP, NULL, GRANTED, 0},
      {SEND, NULL, NULL, 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"redis is loading",
     true,
     false,
     0,
     {{SEND, NULL, LOADING LOADING LOADING LOADING, 0},
      {HTTP, NULL, GRANTED, 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"the hash is no hash",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED "-WRONGTYPE Operation against a key\r\n", 0},
      {HTTP, NULL, GRANTED, 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"tried again",
     false,
     false,
     0,
     {{HTTP, NULL, "503 ", 0},
      {SLEEP, NULL, "", 50},
      {HTTP, NULL, NULL, 0},
      {SLEEP, NULL, "", 50},
      {HTTP, NULL, GRANTED, 0},
      {TKS_DONE, "fresh", "", 0}},
     TKS_OK},
    {"given up, and the lock given back",
     true,
     false,
     0,
     {{SEND, NULL, LOOKED NIL, 0},
      {SEND, NULL, LOCKED LOOKED NIL, 0},
      {HTTP, NULL, "500 ", 0},
      {SLEEP, NULL, "", 50},
      {HTTP, NULL, "500 ", 0},
      {SLEEP, NULL, "", 50},
      {HTTP, NULL, "500 ", 0},
      {SEND, ":failed:", "+OK\r\n:1\r\n", 0},
      {TKS_FAILED, "no token after 3 tries", "", 0}},
     TKS_ERR_SPIKE},
    {"the budget ends",
     false,
     false,
     0,
     {{HTTP, NULL, "500 ", 10000}, {TKS_FAILED, "no token after 1 try in 10.0 s", "", 0}},
     TKS_ERR_SPIKE},
    {"refused",
     false,
     false,
     0,
     {{HTTP, NULL, "401 ", 0}, {TKS_FAILED, "answered 401", "", 0}},
     TKS_ERR_SPIKE_AUTH},
    {"no answer of a token endpoint",
     false,
     false,
     0,
     {{HTTP, NULL, "302 ", 0}, {TKS_FAILED, "answered 302", "", 0}},
     TKS_ERR_SPIKE},
    {"no key for what is stored: it is asked for once",
     true,
     true,
     0,
     {{SEND, "HGET", LOOKED NIL STORED NIL, 0},
      {HTTP, "/key", "404 ", 0},
      {SEND, "\r\nNX\r\n", NIL LOOKED NIL STORED NIL, 0},
      {SLEEP, NULL, "", 30},
      {SEND, "\r\nNX\r\n", NIL LOOKED NIL STORED NIL, 0},
      {SLEEP, NULL, "", TKS_SPIKE_WAIT_MS},
      {SEND, "\r\nNX\r\n", NIL LOOKED NIL STORED NIL, 0},
      {HTTP, "/oauth2/token", GRANTED, 0},
      {HTTP, "/key", "404 ", 0},
      {TKS_FAILED, "no public key: the key endpoint answered 404", "", 0}},
     TKS_ERR_SPIKE},
    {"nonsense",
     false,
     false,
     0,
     {{HTTP, NULL, "200 [1]", 0}, {TKS_FAILED, "JSON object", "", 0}},
     TKS_ERR_SPIKE},
};

size_t spike_talks(void) {
    return sizeof talks / sizeof talks[0];
}

static bool holds(tks_bytes text, const char *part) {
    size_t size = part == NULL ? 0 : strlen(part);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (size == 0 || memcmp(text.data + i, part, size) == 0) return true;
    }
    return size == 0;
}

static void read_replies(const char *text, size_t count, tks_reply **out) {
    tks_reader *reader;
    if (!CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK)) return;
    (void)tks_reader_feed(reader, text, strlen(text), NULL);
    for (size_t i = 0; i < count; i++) {
        CHECK_STATUS(tks_reader_next(reader, &out[i], NULL), TKS_OK);
        CHECK(out[i] != NULL);
    }
    CHECK(tks_reader_is_idle(reader));
    tks_reader_free(reader);
}

/* The event with the reply of turn `t`, and its storage. */
typedef struct answer {
    tks_event event;
    tks_reply *replies[REPLIES_MAX];
    tks_http_response response;
    tks_error why;
} answer;

static int64_t boot_of(int64_t now_ms) {
    return now_ms - NOW_MS + BOOT_MS;
}

static void make_answer(const turn *t, const tks_op *op, int64_t now_ms, answer *out) {
    memset(out, 0, sizeof *out);
    out->event = (tks_event){.type = TKS_EVENT_AWAKE, .now_ms = now_ms, .boot_ms = boot_of(now_ms)};
    if (t->answer == NULL) {
        (void)tks_fail(&out->why, TKS_ERR_CONNECTION, "lost");
        out->event.type = TKS_EVENT_LOST;
        out->event.why = &out->why;
    } else if (t->need == TKS_NEED_SEND) {
        read_replies(t->answer, tks_op_get_batch(op)->replies, out->replies);
        out->event.type = TKS_EVENT_REPLIES;
        out->event.replies = out->replies;
    } else if (t->need == TKS_NEED_HTTP) {
        out->response.status =
            (t->answer[0] - '0') * 100 + (t->answer[1] - '0') * 10 + t->answer[2] - '0';
        out->response.content_type = TKS_LITERAL("application/json; charset=utf-8");
        out->response.body = test_bytes(t->answer + 4);
        out->event.type = TKS_EVENT_RESPONSE;
        out->event.response = &out->response;
    }
}

static bool check_turn(const turn *t, const tks_op *op, tks_need need) {
    if (!CHECK_INT(need, t->need)) return false;
    switch (need) {
    case TKS_NEED_SEND: return CHECK(holds(tks_op_get_batch(op)->bytes, t->holds));
    case TKS_NEED_HTTP: return CHECK(holds(tks_op_get_request(op)->url, t->holds));
    case TKS_FAILED: return CHECK_CONTAINS(tks_op_get_error(op)->message, t->holds);
    case TKS_DONE: return CHECK_BYTES(tks_op_get_result(op)->access->token, test_bytes(t->holds));
    default: return true;
    }
}

/* Runs the turns until one fails, or an allocation has failed. */
static void take_turns(const talk *held, tks_op *op, const script_guard *guard) {
    answer a = {.event = {.type = TKS_EVENT_START, .now_ms = NOW_MS, .boot_ms = BOOT_MS}};
    int64_t now_ms = NOW_MS;
    for (const turn *t = held->turns;; t++) {
        if (guard != NULL) guard->enter();
        tks_need need = tks_op_step(op, &a.event);
        if (guard != NULL) guard->leave();
        for (size_t i = 0; i < REPLIES_MAX; i++) tks_reply_free(a.replies[i]);
        if (guard != NULL && guard->failed()) return;
        test_context("%s, turn %d", held->name, (int)(t - held->turns) + 1);
        if (!check_turn(t, op, need)) return;
        if (need == TKS_DONE || need == TKS_FAILED) {
            CHECK_STATUS(tks_op_get_error(op)->status, held->status);
            CHECK_INT(tks_op_step(op, &a.event), need); /* final states are sticky */
            return;
        }
        now_ms += t->later_ms;
        make_answer(t, op, now_ms, &a);
    }
}

void spike_talk(size_t index, const script_guard *guard) {
    const talk *held = &talks[index];
    tks_spike_options options = TKS_SPIKE_OPTIONS_INIT;
    tks_spike *spike = NULL;
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    options.token_url = TKS_LITERAL("https://spike.example/oauth2/token");
    options.client_id = TKS_LITERAL("id");
    options.client_secret = TKS_LITERAL("secret");
    options.retries = 2;
    options.opaque = !held->jwt;
    if (held->jwt) options.key_url = TKS_LITERAL("https://spike.example/key");
    if (held->redis) options.redis_key = TKS_LITERAL("tokens");
    test_context("%s", held->name);
    if (guard != NULL) guard->enter();
    tks_status status = tks_spike_new(&options, &spike, &err);
    if (status == TKS_OK) {
        status = tks_spike_get_token(spike, TKS_LITERAL("aud"), held->held_until_ms,
                                     tks_bytes_of(NULL, 0), &op, &err);
    }
    if (guard != NULL) guard->leave();
    if (guard != NULL && guard->failed() && status != TKS_OK) {
        CHECK_STATUS(status, TKS_ERR_MEMORY);
        CHECK(op == NULL);
    } else if (CHECK_STATUS(status, TKS_OK)) {
        take_turns(held, op, guard);
    }
    tks_spike_free(spike); /* the operation keeps it alive */
    tks_op_free(op);
}
