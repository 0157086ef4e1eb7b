/* test_tokens.c - the limits of options and arguments that the core enforces, on both sides of each.
 * (tests/vectors/limits.json has those of the languages.) */
#include <math.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/option.h"
#include "tokenstore/tokens.h"

TEST(tokens_timeouts_are_positive) {
    static const double bad[] = {0, -1, -0.0, 315360000.1, 1e300, (double)INFINITY, (double)NAN};
    tks_error err = TKS_ERROR_INIT;
    int64_t ms;
    CHECK_STATUS(tks_timeout(0.0001, &ms, &err), TKS_OK);
    CHECK_INT(ms, 1); /* never 0, which is none */
    CHECK_STATUS(tks_timeout(1.5, &ms, &err), TKS_OK);
    CHECK_INT(ms, 1500);
    CHECK_STATUS(tks_timeout(315360000, &ms, &err), TKS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(tks_timeout(bad[i], &ms, &err), TKS_ERR_DATA);
        CHECK_CONTAINS(err.message, "timeout must be more than 0");
    }
}

TEST(tokens_durations) {
    static const struct {
        double seconds;
        int64_t ms; /* 0: rejected */
    } cases[] = {{1, 1000},
                 {1.0004, 1000},
                 {1.5, 1500},
                 {60, 60000},
                 {315360000, TKS_DURATION_MAX_MS},
                 {0.999, 0},
                 {0, 0},
                 {-1, 0},
                 {315360000.5, 0},
                 {1e300, 0},
                 {NAN, 0},
                 {INFINITY, 0},
                 {-INFINITY, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_error err = TKS_ERROR_INIT;
        int64_t ms = -1;
        test_context("%g s", cases[i].seconds);
        CHECK_STATUS(tks_duration(cases[i].seconds, "duration", &ms, &err),
                     cases[i].ms > 0 ? TKS_OK : TKS_ERR_DATA);
        CHECK_INT(ms, cases[i].ms);
        if (cases[i].ms == 0) {
            CHECK_CONTAINS(err.message, "duration must be 1 to 315360000 seconds");
        }
    }
}

/* Creates a store with `options`; `word` NULL: succeeds, else the message contains it. */
static void check_options(tks_tokens_options options, const char *word) {
    tks_error err = TKS_ERROR_INIT;
    tks_tokens *tokens = (tks_tokens *)(void *)&err; /* must be nulled */
    tks_status status = tks_tokens_new(&options, &tokens, &err);
    CHECK_STATUS(status, word == NULL ? TKS_OK : TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(err.message, word == NULL ? "" : word);
    CHECK_INT(tokens == NULL, word != NULL);
    if (status == TKS_OK) tks_tokens_free(tokens);
}

TEST(tokens_options) {
    static const char text[200] =
        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp";
    tks_tokens_options o = TKS_TOKENS_OPTIONS_INIT;
    check_options(o, NULL);
    o.prefix = tks_bytes_of(text, 128);
    check_options(o, NULL);
    o.prefix = tks_bytes_of(text, 129);
    check_options(o, "prefix");
    o.prefix = TKS_LITERAL("a{");
    check_options(o, "prefix");
    o.prefix = TKS_LITERAL("}a");
    check_options(o, "prefix");
    o.prefix = TKS_LITERAL("a\0");
    check_options(o, "prefix");
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    for (size_t size = 14; size <= 66; size++) {
        const tks_bytes peppers[] = {tks_bytes_of(text, 16), tks_bytes_of(text, size)};
        o.peppers = peppers;
        o.pepper_count = 2;
        check_options(o, size >= 16 && size <= 64 ? NULL : "pepper");
    }
    tks_bytes many[TKS_TEXTS_MAX + 1];
    for (size_t i = 0; i <= TKS_TEXTS_MAX; i++) many[i] = tks_bytes_of(text, 16 + i);
    o.peppers = many;
    for (size_t count = 0; count <= TKS_TEXTS_MAX + 1; count++) {
        o.pepper_count = count;
        check_options(o, count >= 1 && count <= TKS_TEXTS_MAX ? NULL : "pepper");
    }
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    for (size_t size = 1; size <= TKS_TOKEN_SIZE_MAX + 1; size++) {
        o.token_size = size;
        check_options(o, size >= 16 && size <= TKS_TOKEN_SIZE_MAX ? NULL : "token_size");
    }
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    o.max_age_ms = 999;
    check_options(o, "max_age");
    o.max_age_ms = 1000;
    check_options(o, NULL);
    o.max_age_ms = TKS_DURATION_MAX_MS + 1;
    check_options(o, "max_age");
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    o.touch_interval_ms = -2;
    check_options(o, "touch_interval");
    o.touch_interval_ms = TKS_DURATION_MAX_MS + 1;
    check_options(o, "touch_interval");
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    o.max_per_owner = -1;
    check_options(o, "max_per_owner");
    o.max_per_owner = 1000001;
    check_options(o, "max_per_owner");
    o = (tks_tokens_options)TKS_TOKENS_OPTIONS_INIT;
    o.when_full = TKS_FULL_IDLE;
    check_options(o, "when_full needs max_per_owner");
    o.max_per_owner = 1;
    o.when_full = (tks_when_full)3;
    check_options(o, "when_full");
    tks_tokens_free(NULL);
}

/* Each of app, type, owner and custom token in turn is `name`. */
static void check_name(tks_bytes name, bool good) {
    static const char *const words[] = {"app", "type", "owner", "custom_token"};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;

    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    for (int i = 0; i < 4; i++) {
        tks_error err = TKS_ERROR_INIT;
        tks_op *op = (tks_op *)(void *)&err; /* must be nulled */
        tks_new_token new = {.app = TKS_LITERAL("a"),
                             .type = TKS_LITERAL("t"),
                             .owner = TKS_LITERAL("o"),
                             .data = TKS_LITERAL("{}"),
                             .custom_token = TKS_LITERAL("custom")};
        tks_bytes *places[] = {&new.app, &new.type, &new.owner, &new.custom_token};
        *places[i] = name;
        CHECK_STATUS(tks_tokens_create(tokens, &new, &op, &err), good ? TKS_OK : TKS_ERR_DATA);
        CHECK_CONTAINS(err.message, good ? "" : words[i]);
        CHECK_INT(op == NULL, !good);
        if (good) tks_op_free(op);
    }
    tks_tokens_free(tokens);
}

TEST(tokens_names) {
    char *text = malloc(TKS_NAME_MAX + 1);
    memset(text, 0xFF, TKS_NAME_MAX + 1);
    check_name(tks_bytes_of(text, 1), true);
    check_name(tks_bytes_of(text, TKS_NAME_MAX), true);
    check_name(tks_bytes_of(text, TKS_NAME_MAX + 1), false);
    check_name(tks_bytes_of("", 0), false);
    check_name(TKS_LITERAL("a\0b"), false);
    check_name(TKS_LITERAL("*?[]\\^:|{},\"\n"), true);
    memset(text, '"', TKS_NAME_MAX); /* the longest text when escaped */
    check_name(tks_bytes_of(text, TKS_NAME_MAX), true);
    free(text);
}

TEST(tokens_data_must_be_an_object) {
    static const char *const texts[] = {"", "[]", "1", "null", "{", "{\"a\":1,\"a\":2}", "{}{}"};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;

    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_INT(tks_tokens_get_max_data_size(tokens), TKS_JSON_SIZE_DEFAULT);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_bytes name = TKS_LITERAL("x");
        tks_new_token new = {.app = name,
                             .type = name,
                             .owner = name,
                             .data = test_bytes(texts[i])};
        test_context("%s", texts[i]);
        CHECK_STATUS(tks_tokens_create(tokens, &new, &op, NULL), TKS_ERR_DATA);
        CHECK(op == NULL);
        if (strchr(texts[i], ',') != NULL) continue; /* update's caller has written it */
        const tks_update update = {.data = new.data};
        CHECK_STATUS(tks_tokens_update(tokens, name, name, name, &update, &op, NULL), TKS_ERR_DATA);
        CHECK(op == NULL);
    }
    tks_tokens_free(tokens);
}

/* The size of generated tokens, for every allowed encoding and size. */
TEST(tokens_generated_tokens_can_be_presented) {
    static const tks_encoding encodings[] = {TKS_BASE64URL, TKS_BASE64, TKS_HEX};
    for (size_t e = 0; e < 3; e++) {
        tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
        tks_tokens *tokens = NULL;
        tks_op *op = NULL;
        tks_bytes name = TKS_LITERAL("x");
        tks_new_token new = {.app = name, .type = name, .owner = name, .data = TKS_LITERAL("{}")};
        tks_event start = {.type = TKS_EVENT_START};

        options.encoding = encodings[e];
        options.token_size = TKS_TOKEN_SIZE_MAX;
        CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
        CHECK_STATUS(tks_tokens_create(tokens, &new, &op, NULL), TKS_OK);
        CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
        tks_op_free(op);
        size_t size = 4 + (encodings[e] == TKS_HEX ? 2 * TKS_TOKEN_SIZE_MAX
                                                   : (4 * TKS_TOKEN_SIZE_MAX + 2) / 3);
        CHECK(size <= TKS_NAME_MAX);
        tks_tokens_free(tokens);
    }
}
