/* jwt_sessions_verify.c - verify: the signature here, the session in Redis, in one round trip. */
#include "audit.h"
#include "jwt_private.h"
#include "jwt_sessions_private.h"

static const char has_ended[] = "the session has ended";

/* Sets the result from the session's record. */
static tks_status take_record(tksp_rjwt_op *self, tks_bytes text, tks_error *err) {
    tks_status status =
        tksp_rjwt_read_record(self->key, text, self->value_session ? &self->record : NULL, err);
    if (status != TKS_OK) return status;
    self->session.rjwt = self->key;
    self->session.id = self->id;
    self->session.ttl = self->ttl_left;
    if (self->value_session) self->session.data = tks_json_find(self->record, "dataSession");
    self->op.result.type = TKS_RESULT_SESSION;
    self->op.result.sessions = &self->session;
    return TKS_OK;
}

/* ---- the near cache ---- */

enum { SECOND = 1000, HALF = SECOND / 2 }; /* ms; TTL rounds to seconds */

#define FIELD TKS_LITERAL("") /* a string has none */

static void put_near(const tksp_rjwt_op *self, tks_bytes text) {
    bool ends = self->ttl_left >= 0;
    const tksp_near_record record = {
        .text = text,
        .ends_ms =
            ends ? self->ttl_left * SECOND - HALF : 0, /* at the earliest, from the question on */
    };
    if (self->op.near == NULL || (ends && record.ends_ms <= 0)) return;
    tksp_near_put(self->op.near, self->ticket, self->op.commands[0].from, self->key, FIELD,
                  &record);
}

/* Users' keys have no prefix: all keys are listened to. */
bool tksp_rjwt_find_verified(tks_op *op) {
    tksp_rjwt_op *self = (tksp_rjwt_op *)op;
    tksp_near_record record;
    tks_error err = TKS_ERROR_INIT;
    if (self->session.rjwt.size == 0) return false; /* another operation */
    tksp_near_want(op->near, tks_bytes_of(NULL, 0));
    tksp_near_tell(op->near, &op->notes);
    self->near = tksp_near_find(op->near, tksp_op_serves(op, self->key), self->key, FIELD,
                                op->boot_ms, &record);
    if (self->near == NULL) {
        self->ticket = tksp_near_reserve(op->near, self->key, op->boot_ms);
        return false;
    }
    int64_t left_ms = record.ends_ms + HALF - record.clock_ms;
    self->ttl_left = record.ends_ms > 0 ? (left_ms + HALF) / SECOND : -1;
    return take_record(self, record.text, &err) == TKS_OK;
}

static tks_status take_verify(tksp_rjwt_op *self) {
    tks_bytes text;
    tks_error why = TKS_ERROR_INIT;
    bool found;
    tks_status status = tksp_rjwt_take_record(self, &found, &text);
    if (status != TKS_OK) return status;
    if (!found && self->op.audit != NULL) tksp_audit_tell_missed(&self->op, self->key);
    if (!found) return tksp_op_fail(&self->op, TKS_ERR_INVALID_TOKEN, "%s", has_ended);
    status = take_record(self, text, &why);
    if (status != TKS_OK) return tksp_op_fail(&self->op, status, "%s", why.message);
    put_near(self, text);
    return TKS_OK;
}

/* ---- the token ---- */

/* Skips `text`. */
static bool skip(tks_bytes *rest, tks_bytes text) {
    if (rest->size < text.size || memcmp(rest->data, text.data, text.size) != 0) return false;
    *rest = tks_bytes_of(rest->data + text.size, rest->size - text.size);
    return true;
}

enum { DIGITS = 15 }; /* this many are exact in a double, too */

/* Skips an integer of at most DIGITS digits, without leading zeros. */
static bool skip_integer(tks_bytes *rest, int64_t *out) {
    size_t size = 0;
    *out = 0;
    while (size < rest->size && size <= DIGITS && rest->data[size] >= '0' &&
           rest->data[size] <= '9') {
        *out = *out * 10 + (rest->data[size++] - '0');
    }
    if (size == 0 || size > DIGITS || (size > 1 && rest->data[0] == '0')) return false;
    *rest = tks_bytes_of(rest->data + size, rest->size - size);
    return true;
}

/* Recognises claims without data exactly as both packages write them,
 * `{"rjwt":"<key>","iat":<seconds>}`, with a key without escapes. Nearly all tokens have this form,
 * which needs no parser. */
static bool read_plain(tks_bytes claims, tks_session *out) {
    if (!skip(&claims, TKS_LITERAL("{\"rjwt\":\""))) return false;
    size_t size = 0;
    while (size < claims.size && claims.data[size] >= ' ' && claims.data[size] <= '~' &&
           claims.data[size] != '"' && claims.data[size] != '\\') {
        size++;
    }
    out->rjwt = tks_bytes_of(claims.data, size);
    claims = tks_bytes_of(claims.data + size, claims.size - size);
    return skip(&claims, TKS_LITERAL("\",\"iat\":")) && skip_integer(&claims, &out->iat) &&
           skip(&claims, TKS_LITERAL("}")) && claims.size == 0;
}

/* Verifies the token. *claims is owned by the caller, and stays NULL for plain ones. `out` borrows
 * from *claims or from `room`. */
static tks_status read_token(const tks_jwt_sessions *sessions, tks_bytes token, double now,
                             tksp_jwt_room *room, tks_json **claims, tks_session *out,
                             tks_error *err) {
    static const tks_bytes required[] = {{"rjwt", 4}};
    const tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(sessions->algorithm),
                                   .required = required,
                                   .required_count = 1,
                                   .now = now,
                                   .max_size = sessions->max_size,
                                   .claims_only = true};
    tks_jwt jwt;
    tks_bytes payload;
    *claims = NULL;
    tks_status status = tksp_jwt_open(token, sessions->keys, sessions->key_count, &policy, room,
                                      &jwt, &payload, err);
    tks_jwt_clear(&jwt);
    if (status != TKS_OK || read_plain(payload, out)) return status;
    status = tksp_jwt_read_claims(payload, &policy, claims, err);
    if (status != TKS_OK) return status;
    const tks_json *rjwt = tks_json_find(*claims, "rjwt");
    if (tks_json_get_type(rjwt) == TKS_JSON_STRING) {
        out->rjwt = tks_json_get_string(rjwt);
    } else {
        out->rjwt = tks_bytes_of(NULL, 0);
    }
    return TKS_OK;
}

tks_status tks_jwt_sessions_verify(const tks_jwt_sessions *sessions, tks_bytes token,
                                   bool value_session, double now, tks_op **out, tks_error *err) {
    tksp_jwt_room room;
    tks_session session = {0};
    tks_json *claims;
    tksp_rjwt_op *self;
    *out = NULL;
    tks_status status = read_token(sessions, token, now, &room, &claims, &session, err);
    if (status == TKS_OK && !tksp_rjwt_split(session.rjwt, &session.id)) {
        status = tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token names no session");
    }
    if (status == TKS_OK) status = tksp_rjwt_op_new(TKS_READ, session.id, session.rjwt, &self, err);
    tksp_jwt_room_clear(&room);
    if (status != TKS_OK) {
        tks_json_free(claims);
        return status;
    }
    self->claims = claims;
    self->session.claims = claims;
    self->session.rjwt = self->key;
    self->session.iat = session.iat;
    self->value_session = value_session;
    self->send = tksp_rjwt_send_record;
    self->take = take_verify;
    return tksp_rjwt_op_ready(self, TKSP_RJWT_FOUND, out, err);
}
