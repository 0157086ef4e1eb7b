/* jwt_claims.c - rules for headers and claims (RFC 7515 section 4, RFC 7519 section 4).
 *
 * Nothing here needs a key: jwt.c checks the header before the signature and the claims after it. Messages
 * contain a claim's name, never its value. */
#include <math.h>

#include "jwt_private.h"

enum { LEEWAY_MAX = 86400 }; /* a day: more is a mistake */

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token is not valid: %s", problem);
}

bool tksp_equal_nocase(tks_bytes a, tks_bytes b) {
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++) {
        char x = a.data[i];
        char y = b.data[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x + ('a' - 'A'));
        if (y >= 'A' && y <= 'Z') y = (char)(y + ('a' - 'A'));
        if (x != y) return false;
    }
    return true;
}

/* ---- the policy ---------------------------------------------------------------------------- */

static bool has_empty(const tks_bytes *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (texts[i].size == 0 || memchr(texts[i].data, '\0', texts[i].size) != NULL) return true;
    }
    return false;
}

tks_status tksp_jwt_check_size(size_t max_size, tks_error *err) {
    return max_size <= TKS_JWT_SIZE_MAX
               ? TKS_OK
               : tks_fail(err, TKS_ERR_CONFIGURATION, "max_size must be 1 to %d bytes",
                          TKS_JWT_SIZE_MAX);
}

tks_status tksp_jwt_check_policy(const tks_jwt_policy *policy, tks_error *err) {
    if (policy->algorithms == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "no algorithms given: list those to accept");
    }
    if (!isfinite(policy->now) || policy->now <= 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "now must be the time in seconds since the epoch");
    }
    if (!(policy->leeway >= 0 && policy->leeway <= LEEWAY_MAX)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "leeway must be 0 to %d seconds", LEEWAY_MAX);
    }
    if (has_empty(policy->audiences, policy->audience_count) ||
        has_empty(policy->issuers, policy->issuer_count) ||
        has_empty(policy->required, policy->required_count)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "audience, issuer and require must be non-empty strings without NUL");
    }
    if (policy->typ.data != NULL && policy->typ.size == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "typ is empty: omit it or provide one");
    }
    return tksp_jwt_check_size(policy->max_size, err);
}

/* ---- the header ---------------------------------------------------------------------------- */

/* A media type as in `typ` and `cty`: without "application/", unless the rest contains a '/'. */
static tks_bytes short_type(tks_bytes type) {
    static const char prefix[] = "application/";
    size_t size = sizeof prefix - 1;

    if (type.size <= size ||
        !tksp_equal_nocase(tks_bytes_of(type.data, size), TKS_LITERAL("application/"))) {
        return type;
    }
    type = tks_bytes_of(type.data + size, type.size - size);
    return type;
}

/* The member `name` as a media type; empty if it is missing. False: not a string. */
static bool get_type(const tks_json *header, const char *name, tks_bytes *out) {
    const tks_json *member = tks_json_find(header, name);
    *out = tks_bytes_of("", 0);
    if (member == NULL) return true;
    if (tks_json_get_type(member) != TKS_JSON_STRING) return false;
    *out = short_type(tks_json_get_string(member));
    return true;
}

bool tksp_jwt_is_nested(tks_bytes cty) {
    return tksp_equal_nocase(short_type(cty), TKS_LITERAL("JWT"));
}

tks_status tksp_jwt_check_header(const tks_json *header, const tks_jwt_policy *policy,
                                 tks_error *err) {
    const tks_json *kid = tks_json_find(header, "kid");
    tks_bytes typ, cty;

    if (tks_json_find(header, "crit") != NULL) {
        return refuse(err, "its header has crit, and no extensions are supported");
    }
    if (tks_json_find(header, "b64") != NULL) {
        return refuse(err, "its header has b64: the payload must be base64url");
    }
    if (tks_json_find(header, "zip") != NULL) return refuse(err, "its header has zip");
    if (kid != NULL && tks_json_get_type(kid) != TKS_JSON_STRING) {
        return refuse(err, "its kid is not a string");
    }
    if (!get_type(header, "typ", &typ) || !get_type(header, "cty", &cty)) {
        return refuse(err, "its typ or cty is not a string");
    }
    if (tksp_jwt_is_nested(cty)) return refuse(err, "it contains a nested token (cty)");
    if (policy->typ.data != NULL && !tksp_equal_nocase(typ, short_type(policy->typ))) {
        return refuse(err, "its typ is not the expected one");
    }
    return TKS_OK;
}

/* ---- the claims ---------------------------------------------------------------------------- */

/* A time in seconds. *there: the claim is present. */
static tks_status get_time(const tks_json *claims, const char *name, bool *there, double *out,
                           tks_error *err) {
    const tks_json *claim = tks_json_find(claims, name);

    *there = claim != NULL;
    *out = 0;
    if (claim == NULL) return TKS_OK;
    if (tks_json_is_number(claim)) {
        *out = tks_json_get_double(claim);
        if (isfinite(*out)) return TKS_OK;
    }
    return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token is not valid: %s is not a number", name);
}

static bool is_one_of(const tks_json *node, const tks_bytes *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tks_bytes_equal(tks_json_get_string(node), texts[i])) return true;
    }
    return false;
}

static tks_status check_required(const tks_json *claims, const tks_jwt_policy *policy,
                                 tks_error *err) {
    for (size_t i = 0; i < policy->required_count; i++) {
        const tks_json *claim = tks_json_get_child(claims);
        while (claim != NULL && !tks_bytes_equal(tks_json_get_name(claim), policy->required[i])) {
            claim = tks_json_get_next(claim);
        }
        if (claim == NULL || tks_json_get_type(claim) == TKS_JSON_NULL) {
            return refuse(err, "a required claim is missing");
        }
    }
    return TKS_OK;
}

static tks_status check_issuer(const tks_json *claims, const tks_jwt_policy *policy,
                               tks_error *err) {
    const tks_json *iss = tks_json_find(claims, "iss");
    if (policy->issuer_count == 0) return TKS_OK;
    if (iss == NULL || tks_json_get_type(iss) != TKS_JSON_STRING ||
        !is_one_of(iss, policy->issuers, policy->issuer_count)) {
        return refuse(err, "its issuer (iss) is missing or not the expected one");
    }
    return TKS_OK;
}

static tks_status check_audience(const tks_json *claims, const tks_jwt_policy *policy,
                                 tks_error *err) {
    const tks_json *aud = tks_json_find(claims, "aud");
    bool found = policy->any_audience;

    if (aud == NULL) {
        return found || policy->audience_count == 0 ? TKS_OK
                                                    : refuse(err, "it has no audience (aud)");
    }
    if (tks_json_get_type(aud) == TKS_JSON_STRING) {
        found = found || is_one_of(aud, policy->audiences, policy->audience_count);
    } else if (tks_json_get_type(aud) == TKS_JSON_ARRAY) {
        for (const tks_json *one = tks_json_get_child(aud); one != NULL;
             one = tks_json_get_next(one)) {
            if (tks_json_get_type(one) != TKS_JSON_STRING) {
                return refuse(err, "its audience (aud) contains a value that is not a string");
            }
            found = found || is_one_of(one, policy->audiences, policy->audience_count);
        }
    } else {
        return refuse(err, "its audience (aud) is neither a string nor a list of strings");
    }
    if (!found && policy->audience_count == 0) {
        return refuse(err, "it has an audience (aud), but no expected audience was given");
    }
    return found ? TKS_OK : refuse(err, "it is for another audience (aud)");
}

tks_status tksp_jwt_check_claims(const tks_json *claims, const tks_jwt_policy *policy,
                                 tks_error *err) {
    bool has_exp = false;
    bool has_nbf = false;
    bool has_iat = false;
    double exp = 0;
    double nbf = 0;
    double iat = 0;
    tks_status status = get_time(claims, "exp", &has_exp, &exp, err);

    if (status == TKS_OK) status = get_time(claims, "nbf", &has_nbf, &nbf, err);
    if (status == TKS_OK) status = get_time(claims, "iat", &has_iat, &iat, err);
    if (status == TKS_OK) status = check_required(claims, policy, err);
    if (status == TKS_OK) status = check_issuer(claims, policy, err);
    if (status == TKS_OK) status = check_audience(claims, policy, err);
    if (status != TKS_OK) return status;
    if (has_nbf && nbf > policy->now + policy->leeway) {
        return refuse(err, "it is not valid yet (nbf)");
    }
    if (has_exp && !policy->any_expiry && policy->now >= exp + policy->leeway) {
        return tks_fail(err, TKS_ERR_EXPIRED_TOKEN, "the token has expired");
    }
    return TKS_OK;
}
