/* test_spike.c - the Spike operation: conversations, options, and endpoints of get_token_creator. */
#include "script_spike.h"
#include "test.h"
#include "tokenstore/spike.h"
#include "tokenstore/spike_creator.h"

TEST(spike_conversations) {
    for (size_t i = 0; i < spike_talks(); i++) spike_talk(i, NULL);
}

TEST(spike_options_name_every_fault) {
    tks_spike_options options = TKS_SPIKE_OPTIONS_INIT;
    tks_spike *spike;
    tks_error err = TKS_ERROR_INIT;
    options.token_url = TKS_LITERAL("ftp://x");
    options.retries = 101;
    options.factor = 0.5;
    CHECK_STATUS(tks_spike_new(&options, &spike, &err), TKS_ERR_CONFIGURATION);
    CHECK(spike == NULL);
    CHECK_CONTAINS(err.message, "url must begin with https://");
    CHECK_CONTAINS(err.message, "client_id is missing");
    CHECK_CONTAINS(err.message, "client_secret is missing");
    CHECK_CONTAINS(err.message, "public key is missing");
    CHECK_CONTAINS(err.message, "retries must be");
    CHECK_CONTAINS(err.message, "factor must be");
}

static void join(const char *url, const char *want) {
    tks_buf out;
    tks_buf_init(&out, 1000);
    CHECK_STATUS(tks_spike_join_url(test_bytes(url), "/p", &out), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), test_bytes(want));
    tks_buf_clear(&out);
}

TEST(spike_urls_are_joined_with_one_slash) {
    join("https://a", "https://a/p");
    join("https://a/", "https://a/p");
    join("https://a/b//", "https://a/b/p");
}

static uint32_t budget(double retries, double sleep_ms) {
    const struct {
        tks_bytes name;
        tks_creator_value value;
    } given[] = {
        {TKS_LITERAL("ClientId"), {TKS_CREATOR_TEXT, TKS_LITERAL("id"), 0}},
        {TKS_LITERAL("clientSecret"), {TKS_CREATOR_TEXT, TKS_LITERAL("secret"), 0}},
        {TKS_LITERAL("spikeUrl"), {TKS_CREATOR_TEXT, TKS_LITERAL("https://a"), 0}},
        {TKS_LITERAL("tokenAudience"), {TKS_CREATOR_TEXT, TKS_LITERAL("aud"), 0}},
        {TKS_LITERAL("retries"), {TKS_CREATOR_NUMBER, {NULL, 0}, retries}},
        {TKS_LITERAL("sleepBetweenRetries"), {TKS_CREATOR_NUMBER, {NULL, 0}, sleep_ms}},
    };
    tks_creator_options options = {0};
    tks_creator *creator = tks_creator_new();
    if (!CHECK(creator != NULL)) return 0;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        tks_creator_set(creator, given[i].name, &given[i].value);
    }
    CHECK_STATUS(tks_creator_finish(creator, &options, NULL), TKS_OK);
    tks_creator_free(creator);
    return options.budget_ms;
}

TEST(spike_creator_leaves_time_for_its_sleeps) {
    CHECK_INT(budget(0, 600000), 10000);
    CHECK_INT(budget(3, 100), 10300);
    CHECK_INT(budget(5, 60000), 310000);
    CHECK_INT(budget(100, 600000), 3600000);
}
