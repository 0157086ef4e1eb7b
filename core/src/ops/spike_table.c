/* spike_table.c - the options of Spike as a table. See tokenstore/option.h. */
#include "option.h"
#include "spike_private.h"
#include "tokenstore/tokens.h"

#define NAME(name, text) text,
static const char *const auths[] = {TKS_CLIENT_AUTH_MAP(NAME) NULL};
static const char *const audience_parameters[] = {TKS_AUDIENCE_MAP(NAME) NULL};
static const char *const body_formats[] = {[false] = "form", [true] = "json", NULL};
static const char *const token_formats[] = {[false] = "jwt", [true] = "opaque", NULL};

#define TKSP_OPTIONS_OF tks_spike_options

/* Texts with only a size limit here. One that the core reports as missing may be empty. */
#define TEXT(name, member, least)                                                                  \
    TKSP_OPTION(name, TKS_OPTION_STRING, member), .min = (least), .max = 65536
#define PAUSE(name, member) TKSP_OPTION(name, TKS_OPTION_DURATION, member), .min = 0, .max = 600000
#define FILE_NAME(name)                                                                            \
    TKSP_OPTION(name, TKS_OPTION_PATH, client_file), .min = 1, .max = 4095, .wanted = "a file name"

static const tks_option rows[] = {
    {TEXT("discover", discover, 1)},
    {TEXT("token_url", token_url, 0)},
    {TEXT("key_url", key_url, 0)},
    {TKSP_OPTION("key_text", TKS_OPTION_TEXT, key_text), .min = 1, .max = INT32_MAX},
    {TEXT("client_id", client_id, 0)},
    {TEXT("client_secret", client_secret, 0)},
    {TKSP_OPTION("client_auth", TKS_OPTION_CHOICE, client_auth), .choices = auths,
     .fallback = "auto"},
    {TKSP_OPTION("client_given", TKS_OPTION_FLAG, client_given), .fallback = "false"},
    {FILE_NAME("client_secret_file")},
    {FILE_NAME("client_assertion_file")},
    {TEXT("client_key", client_key_text, 1)},
    {TEXT("client_certificate", client_certificate, 1)},
    {TEXT("client_algorithm", client_algorithm, 1)},
    {TEXT("assertion_audience", assertion_audience, 1)},
    {TEXT("grant_type", grant_type, 1), .fallback = "client_credentials"},
    {TEXT("scope", scope, 1)},
    {TKSP_OPTION("audience_parameter", TKS_OPTION_CHOICE, audience_parameter),
     .choices = audience_parameters, .fallback = "audience"},
    {TKSP_OPTION("any_audience", TKS_OPTION_FLAG, any_audience), .fallback = "false"},
    {TEXT("expect_audience", expect_audience, 1)},
    {TKSP_OPTION("parameters", TKS_OPTION_PAIRS, parameters)},
    {TKSP_OPTION("headers", TKS_OPTION_PAIRS, headers)},
    {TEXT("host_header", host_header, 1)},
    {TKSP_OPTION("body_format", TKS_OPTION_CHOICE, json_body), .choices = body_formats,
     .fallback = "form"},
    {TKSP_OPTION("token_format", TKS_OPTION_CHOICE, opaque), .choices = token_formats,
     .fallback = "jwt"},
    {TEXT("redis_key", redis_key, 1)},
    {TEXT("redis_string", redis_string, 1)},
    {TEXT("issuer", issuer, 1)},
    {TKSP_OPTION("default_lifetime", TKS_OPTION_DURATION, default_lifetime_ms), .min = 0,
     .max = TKS_DURATION_MAX_MS},
    {TKSP_OPTION("expiration_offset", TKS_OPTION_DURATION, offset_ms), .min = 0, .max = 86400000,
     .fallback = "10"},
    {TKSP_OPTION("retry.retries", TKS_OPTION_COUNT, retries), .min = 0, .max = 100,
     .fallback = "3"},
    {TKSP_OPTION("retry.factor", TKS_OPTION_NUMBER, factor), .min = 1, .max = 10, .fallback = "2"},
    {PAUSE("retry.min", pause_ms), .fallback = "0.1"},
    {PAUSE("retry.max", pause_max_ms), .fallback = "1"},
    {TKSP_OPTION("retry.total", TKS_OPTION_DURATION, budget_ms), .min = 1, .max = 3600000,
     .fallback = "10"},
};

static const tks_spike_options nothing = TKS_SPIKE_OPTIONS_INIT;
const tks_options tks_spike_table = TKSP_OPTIONS(rows, nothing);
