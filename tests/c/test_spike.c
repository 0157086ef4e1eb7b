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
