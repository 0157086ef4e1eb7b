/* alloc_jwt_sessions.c - the operations of RedisJWT on scripted replies; each with every allocation failing
 * in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/secret.h"

enum { ALLOCATIONS_MAX = 10000, STEPS_MAX = 4, TEXT_MAX = 4096 };

#define KEY   "bob:ABCDEFGHIJK"
#define VALUE "{\"rjwt\":\"" KEY "\",\"dataSession\":{\"n\":1}}"

/* The operation, the replies step by step ("%s" is the key that was sent), and the result. */
typedef struct script {
    const char *name;
    tks_status (*make)(const tks_jwt_sessions *, tks_op **, tks_error *);
    bool node_writers;
    const char *answers[STEPS_MAX];
    tks_status status;
    tks_result_type type;
    const char *result; /* "": any */
} script;

static tks_key *secret(void) {
    tks_key *key = NULL;
    tks_bytes text = TKS_LITERAL("0123456789abcdef0123456789abcdef");
    return tks_key_from_secret(text, NULL, NULL, &key, NULL) == TKS_OK ? key : NULL;
}

/* ---- operations ------ */

static tks_status make_sign(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    const tks_jwt_session_new new = {.id = TKS_LITERAL("bob"),
                                     .data_token = TKS_LITERAL("{\"a\":1}"),
                                     .data_session = TKS_LITERAL("{\"b\":2}"),
                                     .ttl_ms = 60000,
                                     .now = 1700000000};
    return tks_jwt_sessions_sign(s, &new, out, err);
}

static tks_status make_put(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_put(s, TKS_LITERAL(KEY), TKS_LITERAL(VALUE), 0, out, err);
}

static tks_status verify(const tks_jwt_sessions *s, tks_bytes claims, tks_op **out,
                         tks_error *err) {
    tks_key *key = secret();
    tks_buf token;
    tks_status status = TKS_ERR_MEMORY;
    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    *out = NULL;
    if (key != NULL) {
        status = tks_jwt_encode(claims, key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0, &token, err);
    } else {
        (void)tks_fail_memory(err);
    }
    if (status == TKS_OK) {
        status = tks_jwt_sessions_verify(s, tks_buf_bytes(&token), true, 1700000000, out, err);
    }
    tks_buf_clear(&token);
    tks_key_free(key);
    return status;
}

static tks_status make_verify(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return verify(s, TKS_LITERAL("{\"rjwt\":\"" KEY "\",\"iat\":5}"), out, err);
}

static tks_status make_verify_data(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return verify(s, TKS_LITERAL("{\"rjwt\":\"" KEY "\",\"dataToken\":[1],\"iat\":5}"), out, err);
}

static tks_status make_list(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_list(s, TKS_LITERAL("bob"), out, err);
}

static tks_status make_values(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_get_values(s, TKS_LITERAL("bob"), out, err);
}

static tks_status make_count(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_count(s, TKS_LITERAL("bob"), out, err);
}

static tks_status make_destroy_all(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_destroy_all(s, TKS_LITERAL("bob"), out, err);
}

static tks_status make_destroy(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_destroy(s, TKS_LITERAL(KEY), out, err);
}

static tks_status make_exists_other(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_exists(s, TKS_LITERAL("somebody's key"), out, err);
}

static tks_status make_value(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_get_value(s, TKS_LITERAL(KEY), out, err);
}

static tks_status make_reindex(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_reindex(s, out, err);
}

static tks_status make_dbsize(const tks_jwt_sessions *s, tks_op **out, tks_error *err) {
    return tks_jwt_sessions_get_info(s, TKS_LITERAL("DBSIZE"), out, err);
}

#define BULK_KEY   "$15\r\n" KEY "\r\n"
#define BULK_VALUE "$48\r\n" VALUE "\r\n"
#define SCANNED    "*2\r\n$1\r\n0\r\n*3\r\n" BULK_KEY "$9\r\nbob:short\r\n$15\r\nbop:ABCDEFGHIJK\r\n"
#define LISTED     "*4\r\n$3\r\nbob\r\n" BULK_KEY BULK_VALUE ":9\r\n"

#define INFO_FOR(limit, policy, size)                                                              \
    "$" size "\r\n# Memory\r\nmaxmemory:" limit "\r\nmaxmemory_policy:" policy "\r\n\r\n"
#define KEEPS    INFO_FOR("7", "noeviction", "52")
#define NO_LIMIT INFO_FOR("0", "allkeys-lru", "53")
#define EVICTS   INFO_FOR("7", "allkeys-lru", "53")
#define WANTED   "*3\r\n$3\r\nbob\r\n:-2\r\n" BULK_KEY
#define MAY_HAVE_ENDED                                                                             \
    "*4\r\n$15\r\n%s\r\n:1\r\n$27\r\n0000000000000000ABCDEFGHIJK\r\n$3\r\nodd\r\n"
#define ENDED "*2\r\n$3\r\nbob\r\n:3\r\n"

static const script scripts[] = {
    {"sign", make_sign, false, {KEEPS ":9\r\n", "$15\r\n%s\r\n"}, TKS_OK, TKS_RESULT_TEXT, ""},
    {"sign, another's answer",
     make_sign,
     false,
     {KEEPS ":9\r\n", BULK_KEY},
     TKS_ERR_OUTCOME_UNKNOWN,
     0,
     ""},
    {"sign, a number",
     make_sign,
     false,
     {KEEPS ":9\r\n", ":1\r\n"},
     TKS_ERR_OUTCOME_UNKNOWN,
     0,
     ""},
    {"sign where keys are evicted",
     make_sign,
     false,
     {EVICTS ":100000\r\n", SCANNED, "$15\r\n%s\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign where keys are evicted, of too many",
     make_sign,
     false,
     {EVICTS ":100001\r\n", "$15\r\n%s\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign where keys are evicted, DBSIZE forbidden",
     make_sign,
     false,
     {EVICTS "-NOPERM no permissions\r\n", "$15\r\n%s\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign, another's answer to INFO",
     make_sign,
     false,
     {":1\r\n:9\r\n"},
     TKS_ERR_CONNECTION,
     0,
     ""},
    {"sign beside Node", make_sign, true, {SCANNED, "$15\r\n%s\r\n"}, TKS_OK, TKS_RESULT_TEXT, ""},
    {"sign, others are listed",
     make_sign,
     false,
     {KEEPS ":9\r\n", "*4\r\n$15\r\n%s\r\n:-2\r\n" BULK_KEY BULK_KEY, "$15\r\n%s\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign, another's keys are wanted",
     make_sign,
     false,
     {KEEPS ":9\r\n", "*3\r\n$1\r\nx\r\n:-2\r\n" BULK_KEY},
     TKS_ERR_OUTCOME_UNKNOWN,
     0,
     ""},
    {"sign, some may have ended",
     make_sign,
     false,
     {KEEPS ":9\r\n", MAY_HAVE_ENDED, "$17\r\nrjwt-sessions/bob\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign, some may have ended, another's answer",
     make_sign,
     false,
     {KEEPS ":9\r\n", MAY_HAVE_ENDED, ":1\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign, some may have ended, an error",
     make_sign,
     false,
     {KEEPS ":9\r\n", MAY_HAVE_ENDED, "-TRYAGAIN\r\n"},
     TKS_OK,
     TKS_RESULT_TEXT,
     ""},
    {"sign, a number may have ended",
     make_sign,
     false,
     {KEEPS ":9\r\n", "*3\r\n$15\r\n%s\r\n:1\r\n:1\r\n"},
     TKS_ERR_OUTCOME_UNKNOWN,
     0,
     ""},
    {"put", make_put, false, {KEEPS ":9\r\n", BULK_KEY}, TKS_OK, TKS_RESULT_BOOL, "1"},
    {"put, another's", make_put, false, {KEEPS ":9\r\n", "$-1\r\n"}, TKS_ERR_DATA, 0, ""},
    {"verify, another type",
     make_verify,
     false,
     {"-WRONGTYPE Operation\r\n:60\r\n"},
     TKS_ERR_INVALID_TOKEN,
     0,
     ""},
    {"verify", make_verify, false, {BULK_VALUE ":60\r\n"}, TKS_OK, TKS_RESULT_SESSION, ""},
    {"verify, data",
     make_verify_data,
     false,
     {BULK_VALUE ":60\r\n"},
     TKS_OK,
     TKS_RESULT_SESSION,
     ""},
    {"verify, ended", make_verify, false, {"$-1\r\n:-2\r\n"}, TKS_ERR_INVALID_TOKEN, 0, ""},
    {"verify, another's",
     make_verify,
     false,
     {"$2\r\n{}\r\n:60\r\n", "$4\r\nsaid\r\n"},
     TKS_ERR_DATA,
     0,
     ""},
    {"verify, nonsense", make_verify, false, {":1\r\n:60\r\n"}, TKS_ERR_CONNECTION, 0, ""},
    {"list", make_list, false, {KEEPS, LISTED}, TKS_OK, TKS_RESULT_SESSIONS, ""},
    {"list beside Node", make_list, true, {SCANNED, LISTED}, TKS_OK, TKS_RESULT_SESSIONS, ""},
    {"list, no scan", make_list, true, {":1\r\n"}, TKS_ERR_CONNECTION, 0, ""},
    {"list, some are listed",
     make_list,
     false,
     {KEEPS, WANTED, LISTED},
     TKS_OK,
     TKS_RESULT_SESSIONS,
     ""},
    {"list, a number is wanted",
     make_list,
     false,
     {KEEPS, "*3\r\n$3\r\nbob\r\n:-2\r\n:1\r\n"},
     TKS_ERR_CONNECTION,
     0,
     ""},
    {"list, another's",
     make_list,
     false,
     {KEEPS, "*1\r\n$3\r\nbop\r\n"},
     TKS_ERR_CONNECTION,
     0,
     ""},
    {"values", make_values, false, {KEEPS, LISTED}, TKS_OK, TKS_RESULT_TEXTS, VALUE},
    {"count", make_count, false, {KEEPS, LISTED}, TKS_OK, TKS_RESULT_COUNT, "1"},
    {"list, no INFO", make_list, false, {":1\r\n"}, TKS_ERR_CONNECTION, 0, ""},
    {"destroy_all", make_destroy_all, false, {KEEPS, ENDED}, TKS_OK, TKS_RESULT_COUNT, "3"},
    {"destroy_all, some are listed",
     make_destroy_all,
     false,
     {KEEPS, WANTED, WANTED, ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all, some are listed, another's answer",
     make_destroy_all,
     false,
     {KEEPS, WANTED, "*2\r\n$3\r\nbop\r\n:3\r\n"},
     TKS_ERR_OUTCOME_UNKNOWN,
     0,
     ""},
    {"destroy_all, no limit",
     make_destroy_all,
     false,
     {NO_LIMIT, ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all where keys are evicted",
     make_destroy_all,
     false,
     {EVICTS, SCANNED, ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all, INFO forbidden",
     make_destroy_all,
     false,
     {"-NOPERM no permissions\r\n", ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all, no such command as INFO",
     make_destroy_all,
     false,
     {"-ERR unknown command 'INFO'\r\n", ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all, INFO says nothing",
     make_destroy_all,
     false,
     {"$0\r\n\r\n", ENDED},
     TKS_OK,
     TKS_RESULT_COUNT,
     "3"},
    {"destroy_all, INFO fails", make_destroy_all, false, {"-ERR x\r\n"}, TKS_ERR_SERVER, 0, ""},
    {"destroy", make_destroy, false, {"*2\r\n" BULK_KEY ":1\r\n"}, TKS_OK, TKS_RESULT_BOOL, "1"},
    {"exists, no session's key", make_exists_other, false, {NULL}, TKS_OK, TKS_RESULT_BOOL, "0"},
    {"value", make_value, false, {BULK_VALUE ":60\r\n"}, TKS_OK, TKS_RESULT_TEXT, VALUE},
    {"value, another's", make_value, false, {"$1\r\nx\r\n:60\r\n"}, TKS_OK, TKS_RESULT_TEXT, ""},
    {"reindex",
     make_reindex,
     false,
     {"*2\r\n$1\r\n7\r\n*1\r\n" BULK_KEY, ":1\r\n*2\r\n$1\r\n0\r\n*0\r\n"},
     TKS_OK,
     TKS_RESULT_COUNT,
     "1"},
    {"reindex, two users",
     make_reindex,
     false,
     {"*2\r\n$1\r\n7\r\n*4\r\n" BULK_KEY "$15\r\nbop:ABCDEFGHIJK\r\n" BULK_KEY "$1\r\nx\r\n",
      ":1\r\n:1\r\n*2\r\n$1\r\n0\r\n*0\r\n"},
     TKS_OK,
     TKS_RESULT_COUNT,
     "2"},
    {"reindex, nothing there",
     make_reindex,
     false,
     {"*2\r\n$1\r\n0\r\n*0\r\n"},
     TKS_OK,
     TKS_RESULT_COUNT,
     "0"},
    {"dbsize", make_dbsize, false, {":42\r\n"}, TKS_OK, TKS_RESULT_COUNT, "42"},
};

/* ---- running ---- */

/* Inserts the session's key from the batch into `answer`, if it has a "%s". */
static void complete(const char *answer, tks_bytes batch, char *out) {
    const char *mark = strstr(answer, "%s");
    const char *key = NULL;
    for (size_t i = 0; mark != NULL && i + 15 <= batch.size; i++) {
        if (memcmp(batch.data + i, "\r\nbob:", 6) == 0) {
            key = batch.data + i + 2;
            break;
        }
    }
    if (key == NULL) {
        snprintf(out, TEXT_MAX, "%s", answer);
    } else {
        snprintf(out, TEXT_MAX, "%.*s%.15s%s", (int)(mark - answer), answer, key, mark + 2);
    }
}

/* Steps with the replies in `answer`. False: out of memory while parsing them. */
static bool step(tks_op *op, const char *answer, tks_need *need, tks_error *err) {
    enum { REPLIES_MAX = 4 };
    const tks_batch *batch = tks_op_get_batch(op);
    tks_reply *replies[REPLIES_MAX] = {NULL};
    size_t count = batch->replies;
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = 1700000000000, .replies = replies};
    tks_reader *reader = NULL;
    char text[TEXT_MAX];
    complete(answer, batch->bytes, text);
    tks_status status = tks_reader_new(1 << 20, &reader, err);
    if (status == TKS_OK) status = tks_reader_feed(reader, text, strlen(text), err);
    for (size_t i = 0; status == TKS_OK && i < count && i < REPLIES_MAX; i++) {
        status = tks_reader_next(reader, &replies[i], err);
        if (status == TKS_OK) CHECK(replies[i] != NULL);
    }
    if (status == TKS_OK) {
        CHECK(tks_reader_is_idle(reader));
        *need = tks_op_step(op, &event);
    }
    for (size_t i = 0; i < REPLIES_MAX; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
    return status == TKS_OK;
}

static void check_result(const script *s, const tks_result *result) {
    char number[32];
    CHECK_INT(result->type, s->type);
    if (s->result[0] == '\0') return;
    snprintf(number, sizeof number, "%lld", (long long)result->integer);
    switch (s->type) {
    case TKS_RESULT_TEXT: CHECK_BYTES(result->text, test_bytes(s->result)); break;
    case TKS_RESULT_TEXTS: CHECK_BYTES(result->texts[0], test_bytes(s->result)); break;
    default: CHECK_TEXT(number, s->result); break;
    }
}

static void run(const script *s) {
    const tks_event start = {.type = TKS_EVENT_START, .now_ms = 1700000000000};
    tks_error err = TKS_ERROR_INIT;
    tks_jwt_sessions *sessions = NULL;
    tks_op *op = NULL;
    tks_need need = TKS_FAILED;
    bool answered = true;

    alloc_enter();
    tks_key *key = secret();
    const tks_jwt_sessions_options options = {.keys = &key,
                                              .key_count = 1,
                                              .algorithm = TKS_JWT_HS256,
                                              .max_sessions = 1,
                                              .node_writers = s->node_writers};
    tks_status status = key == NULL ? tks_fail_memory(&err) : TKS_OK;
    if (status == TKS_OK) status = tks_jwt_sessions_new(&options, &sessions, &err);
    if (status == TKS_OK) status = s->make(sessions, &op, &err);
    CHECK((status == TKS_OK) == (op != NULL));
    if (status == TKS_OK) need = tks_op_step(op, &start);
    for (int i = 0; status == TKS_OK && answered && need == TKS_NEED_SEND && i < STEPS_MAX; i++) {
        if (!CHECK(s->answers[i] != NULL)) break;
        answered = step(op, s->answers[i], &need, &err);
    }
    alloc_leave();
    if (status == TKS_OK && answered && need == TKS_FAILED) {
        status = tks_op_get_error(op)->status;
    } else if (!answered) {
        status = err.status;
    }
    /* If only a note could not be allocated, the operation continues. */
    bool only_note = op != NULL && tks_op_get_notes(op)->dropped > 0;
    CHECK_STATUS(status, alloc_failed() && !only_note ? TKS_ERR_MEMORY : s->status);
    if (status == TKS_OK && CHECK_INT(need, TKS_DONE)) check_result(s, tks_op_get_result(op));
    tks_op_free(op);
    tks_jwt_sessions_free(sessions);
    tks_key_free(key);
}

TEST(jwt_sessions_operations) {
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    alloc_fail_at(0);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        test_context("%s", scripts[i].name);
        run(&scripts[i]);
    }
}

TEST(alloc_jwt_sessions) {
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        long n = 0;
        test_context("%s", scripts[i].name);
        alloc_fail_at(0);
        run(&scripts[i]); /* one-time allocations happen now */
        do {
            long before = alloc_live();
            alloc_fail_at(++n);
            run(&scripts[i]);
            CHECK_INT(alloc_live() - before, 0);
        } while (alloc_failed() && n < ALLOCATIONS_MAX);
        CHECK(n > 5 && n < ALLOCATIONS_MAX);
    }
}
