/* fuzz_url.c - any URL is accepted or rejected; the description of a target never contains its password, nor
 * does an error. Input: a URL, then, after a newline, `name=value` options. */
#include "fuzz.h"
#include "tokenstore/url.h"

static bool holds(const char *text, const char *secret) {
    return text != NULL && strstr(text, secret) != NULL;
}

/* A long secret that is no part of what is shown anyway is not shown. */
static void require_kept(const tks_target *target, const char *secret, const char *shown) {
    if (secret == NULL || strlen(secret) < 12) return;
    bool open = holds(target->host, secret) || holds(target->path, secret) ||
                holds(target->service, secret);
    for (size_t i = 0; i < target->host_count; i++) {
        open = open || holds(target->hosts[i].host, secret);
    }
    REQUIRE(open || !holds(shown, secret));
}

static void require_secret_kept(const tks_target *target) {
    tks_buf text;
    tks_buf_init(&text, 1 << 20);
    REQUIRE(tks_target_describe(target, &text) == TKS_OK);
    tks_buf_append_char(&text, '\0');
    require_kept(target, target->password, text.data);
    require_kept(target, target->sentinel_password, text.data);
    tks_buf_clear(&text);
}

static void set_option(tks_target *target, tks_bytes option) {
    char name[32];
    tks_error err = TKS_ERROR_INIT;
    const char *sign = memchr(option.data, '=', option.size);
    size_t size = sign == NULL ? 0 : (size_t)(sign - option.data);

    if (sign == NULL || size >= sizeof name) return;
    memcpy(name, option.data, size);
    name[size] = '\0';
    tks_bytes value = tks_bytes_of(sign + 1, option.size - size - 1);
    tks_status status = tks_target_set(target, name, value, &err);
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    REQUIRE(err.status == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = NULL;
    const uint8_t *line = memchr(data, '\n', size);
    size_t url_size = line == NULL ? size : (size_t)(line - data);

    tks_status status = tks_target_parse(fuzz_bytes(data, url_size), &target, &err);
    REQUIRE((status == TKS_OK) == (target != NULL));
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    if (target == NULL) {
        REQUIRE(err.message[0] != '\0');
        return 0;
    }
    REQUIRE(target->connect_timeout_ms > 0 && target->timeout_ms > 0);
    REQUIRE(target->pool_size > 0 && target->max_reply_size > 0);
    REQUIRE(target->transport != TKS_TCP || (target->host != NULL && target->port > 0));
    REQUIRE(target->transport != TKS_UNIX || target->path != NULL);
    bool many = target->transport == TKS_CLUSTER || target->transport == TKS_SENTINEL;
    REQUIRE(many == (target->host_count > 0));
    REQUIRE((target->transport == TKS_SENTINEL) == (target->service != NULL));
    for (size_t i = 0; i < target->host_count; i++) {
        REQUIRE(target->hosts[i].host[0] != '\0' && target->hosts[i].port > 0);
    }
    if (line != NULL) set_option(target, fuzz_bytes(line + 1, size - url_size - 1));
    require_secret_kept(target);
    tks_target_free(target);
    return 0;
}
