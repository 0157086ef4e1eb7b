/* spike_token.c - checks whether an access token is valid, and for how long.
 *
 * Our clock, the server's and that of Redis may differ. So a token is valid until the earliest
 * known end, measured from now by a clock that cannot be set. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <time.h>

#include "spike_private.h"
#include "tokenstore/secret.h"

enum {
    CLOCKS_MS = 60000, /* how far the server's clock may be ahead of ours */
    NBF_S = 86400,     /* further ahead is not a clock difference */
    TIME_SIZE = 40
};

tksp_lifetime tksp_spike_lifetime(const tks_spike *spike, int64_t boot_ms, int64_t age_ms,
                                  int64_t left_ms, int64_t refresh_in_ms) {
    tksp_lifetime life = {.good_until_ms = boot_ms + left_ms - spike->options.offset_ms};
    int64_t half = refresh_in_ms >= 0 ? refresh_in_ms : (age_ms + left_ms) / 2;
    if (half < 0) half = 0;
    int64_t jitter = half / 10 < UINT32_MAX ? half / 10 : UINT32_MAX - 1;
    if (refresh_in_ms >= 0) age_ms = 0;
    life.renew_at_ms = boot_ms - age_ms + half - tks_random_below((uint32_t)jitter + 1);
    if (life.renew_at_ms > life.good_until_ms) life.renew_at_ms = life.good_until_ms;
    return life;
}

/* ---- claims ---- */

/* A claim in seconds, as milliseconds; -1: absent. */
static int64_t claim_ms(const tks_json *claims, const char *name) {
    const tks_json *claim = tks_json_find(claims, name);
    if (claim == NULL || !tks_json_is_number(claim)) return -1;
    double ms = tks_json_get_double(claim) * 1000;
    return ms < 0 ? 0 : ms > 9e15 ? INT64_C(9000000000000000) : (int64_t)ms;
}

/* Only signatures with a private key; never a shared secret. */
static uint32_t signature_algorithms(void) {
    uint32_t set = TKS_JWT_BIT(TKS_JWT_EDDSA) | TKS_JWT_BIT(TKS_JWT_ED25519);
    for (int alg = TKS_JWT_RS256; alg <= TKS_JWT_ES512; alg++) set |= TKS_JWT_BIT(alg);
    return set;
}

/* RFC 9068 has client_id and, with client credentials, sub; the others are those of Auth0 and Keycloak, Entra,
 * Okta. OSpike has sub alone. */
static tksp_named whom(const tks_json *claims, tks_bytes client_id) {
    static const char *const names[] = {"client_id", "azp", "appid", "cid", "clientId", "sub"};
    tksp_named named = TKSP_NAMES_NOBODY;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const tks_json *claim = tks_json_find(claims, names[i]);
        if (claim == NULL || tks_json_get_type(claim) != TKS_JSON_STRING) continue;
        if (tks_bytes_equal(tks_json_get_string(claim), client_id)) return TKSP_NAMES_US;
        named = TKSP_NAMES_OTHERS;
    }
    return named;
}

/* ---- clocks ---- */

/* 2026-11-29T03:00:00Z */
static const char *write_time(int64_t ms, char *out) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 8099 ||
        strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        (void)snprintf(out, TIME_SIZE, "%lld s since 1970", (long long)(ms / 1000));
    }
    return out;
}

/* "it expired at … (exp), and was issued at … (iat); this machine's clock says …, the server's Date …: …" */
static void tell_clocks(const tksp_spike_now *now, const char *problem, int64_t claim,
                        const char *name, int64_t issued_ms, char *why) {
    char a[TIME_SIZE], b[TIME_SIZE], c[TIME_SIZE], d[TIME_SIZE];
    char issued[TIME_SIZE + 40] = "", other[TIME_SIZE + 40] = "";
    if (issued_ms >= 0) {
        (void)snprintf(issued, sizeof issued, ", and was issued at %s (iat)",
                       write_time(issued_ms, a));
    }
    if (now->other_ms > 0) {
        (void)snprintf(other, sizeof other, ", %s %s", now->other_name,
                       write_time(now->other_ms, b));
    }
    (void)snprintf(why, TKS_OAUTH_WHY_SIZE,
                   "%s %s (%s)%s; this machine's clock says %s%s: compare the clocks", problem,
                   write_time(claim, c), name, issued, write_time(now->wall_ms, d), other);
}

static int64_t latest(const tksp_spike_now *now) {
    return now->other_ms > now->wall_ms ? now->other_ms : now->wall_ms;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Determines a token's end from everything known about it. */
static bool judge_times(const tks_spike *spike, const tks_json *claims, const tksp_spike_now *now,
                        tksp_lifetime *out, char *why) {
    int64_t exp = claim_ms(claims, "exp"), iat = claim_ms(claims, "iat"),
            nbf = claim_ms(claims, "nbf");
    int64_t left = exp - now->wall_ms;
    if (nbf > latest(now) + CLOCKS_MS) {
        tell_clocks(now, "it is not valid before", nbf, "nbf", iat, why);
        return false;
    }
    if (iat >= 0 && exp > iat) {
        left = least(left, exp - iat); /* a fresh token cannot be valid for longer */
    }
    if (now->left_ms >= 0) left = least(left, now->left_ms);
    /* If the server gives a lifetime, its Date need not be right. */
    if (now->other_ms > 0 && !(now->fresh && now->left_ms >= 0)) {
        left = least(left, exp - now->other_ms);
    }
    if (left <= spike->options.offset_ms) {
        tell_clocks(now, left <= 0 ? "it expired at" : "it expires within expiration_offset, at",
                    exp, "exp", iat, why);
        if (!now->fresh || left <= 0 || exp - now->wall_ms <= 0) return false;
        (void)snprintf(why, TKS_OAUTH_WHY_SIZE,
                       "it expires within expiration_offset, in %.1f s: raise its lifetime, or "
                       "lower expiration_offset",
                       (double)left / 1000);
        return false;
    }
    /* A server may return an earlier token: its own clock shows the age. */
    int64_t age = (now->other_ms > 0 ? now->other_ms : now->wall_ms) - iat;
    if (iat < 0 || age < 0) age = 0;
    *out = tksp_spike_lifetime(spike, now->boot_ms, age, left, -1);
    if (now->fresh && iat > now->wall_ms + CLOCKS_MS) {
        tell_clocks(now, "this machine's clock is behind the server's: a token is valid until", exp,
                    "exp", iat, why);
    }
    return true;
}

/* ---- verifying ---- */

bool tksp_spike_verify(tks_spike *spike, tks_bytes token, const tksp_spike_asked *asked,
                       const tksp_spike_now *now, tksp_lifetime *out, tksp_named *named,
                       bool *key_unknown, char *why) {
    const tks_bytes required = TKS_LITERAL("exp");
    tks_jwt_policy policy = {
        .algorithms = signature_algorithms(),
        .audiences = asked->expected,
        .audience_count = asked->expected_count,
        .any_audience = asked->expected_count == 0,
        .issuers = &spike->options.issuer,
        .issuer_count = spike->options.issuer.size > 0 ? 1 : 0,
        .required = &required,
        .required_count = 1,
        .now = (double)latest(now) / 1000,
        .leeway = NBF_S,
        .any_expiry = true,              /* judge_times checks it by more clocks */
        .max_size = TKS_OAUTH_TOKEN_MAX, /* it comes from the configured server */
        .claims_only = true,
    };
    tks_jwt jwt = {.header = NULL};
    tks_error err = TKS_ERROR_INIT;
    tks_key *const *list;

    *key_unknown = false;
    why[0] = '\0';
    tks_keyset *keys = tksp_key_source_get(&spike->keys, NULL);
    if (keys == NULL) {
        *key_unknown = true;
        (void)snprintf(why, TKS_OAUTH_WHY_SIZE, "there is no public key");
        return false;
    }
    size_t count = tks_keyset_get_keys(keys, &list);
    tks_status status = tks_jwt_decode(token, list, count, &policy, &jwt, &err);
    tks_keyset_free(keys);
    if (status != TKS_OK) {
        *key_unknown = jwt.key_unknown;
        (void)snprintf(why, TKS_OAUTH_WHY_SIZE, "%.300s", err.message);
        return false;
    }
    bool good = judge_times(spike, jwt.claims, now, out, why);
    if (named != NULL) *named = whom(jwt.claims, spike->options.client_id);
    tks_jwt_clear(&jwt);
    return good;
}
