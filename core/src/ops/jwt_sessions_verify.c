/* jwt_sessions_verify.c - verify: the signature here, the session in Redis, in one round trip. */
#include "jwt_sessions_private.h"

static tks_status send_verify(tksp_rjwt_op *self) {
    const tks_bytes get[] = {TKS_LITERAL("GET"), self->key};
    const tks_bytes ttl[] = {TKS_LITERAL("TTL"), self->key};
    tks_status status = tksp_rjwt_send(self, NULL, 2, get);
    return status == TKS_OK ? tksp_rjwt_send(self, NULL, 2, ttl) : status;
}

static tks_status fail_ended(tks_error *err) {
    return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the session has ended");
}

static bool is_text(const tks_json *node, tks_bytes text) {
    return node != NULL && tks_json_get_type(node) == TKS_JSON_STRING &&
           tks_bytes_equal(tks_json_get_string(node), text);
}

/* Does the record begin as both packages write it, `{"rjwt":"<key>"`? Then it need not be read to see
 * whose it is. A key with escapes never looks so. */
static bool begins_with_key(tks_bytes record, tks_bytes key) {
    static const char head[] = "{\"rjwt\":\"";
    const size_t size = sizeof head - 1;
    return record.size > size + key.size && memcmp(record.data, head, size) == 0 &&
           memcmp(record.data + size, key.data, key.size) == 0 &&
           record.data[size + key.size] == '"';
}

/* Reads the record. TKS_ERR_DATA, TKS_ERR_MEMORY. */
static tks_status read_session(tksp_rjwt_op *self, tks_bytes record, tks_json **out) {
    tks_error why = TKS_ERROR_INIT;
    tks_status status = tks_json_parse_envelope(record, SIZE_MAX, out, &why);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(&self->op.error);
    if (status == TKS_OK && tks_json_get_type(*out) == TKS_JSON_OBJECT &&
        is_text(tks_json_find(*out, "rjwt"), self->key))
        return TKS_OK;
    tks_json_free(*out);
    *out = NULL;
    return tks_fail(&self->op.error, TKS_ERR_DATA,
                    "what is stored under the session's key is not this session: does another "
                    "program write there?");
}

/* What the Node package gives: the claims, and what Redis knows, which counts where both say it. */
static tks_status merge(tksp_rjwt_op *self, tks_json *session, int64_t ttl) {
    tks_json *claims = self->jwt.claims;
    tks_status status = tks_json_set_string(claims, "id", self->id);
    if (status == TKS_OK) status = tks_json_set_integer(claims, "ttl", ttl);
    if (status == TKS_OK && self->value_session)
        status = tks_json_move(claims, "dataSession", session);
    else
        tks_json_remove(claims, "dataSession");
    return status == TKS_OK ? TKS_OK : tks_fail_memory(&self->op.error);
}

static tks_status take_verify(tksp_rjwt_op *self) {
    const tks_reply *record = self->op.commands[0].reply, *ttl = self->op.commands[1].reply;
    tks_json *session = NULL;
    tks_status status = TKS_OK;
    if (tks_reply_get_type(ttl) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(&self->op);
    if (tks_reply_get_type(record) == TKS_REPLY_NIL || tks_reply_get_integer(ttl) == -2)
        return fail_ended(&self->op.error);
    if (tks_reply_get_type(record) != TKS_REPLY_STRING) return tksp_op_fail_foreign(&self->op);
    tks_bytes text = tks_reply_get_bytes(record);
    if (self->value_session || !begins_with_key(text, self->key))
        status = read_session(self, text, &session);
    if (status == TKS_OK) status = merge(self, session, tks_reply_get_integer(ttl));
    tks_json_free(session);
    if (status != TKS_OK) return status;
    self->values[0] = self->jwt.claims; /* the operation frees it as such */
    self->op.result.type = TKS_RESULT_JSON;
    self->op.result.values = self->values;
    return TKS_OK;
}

tks_status tks_jwt_sessions_verify(const tks_jwt_sessions *sessions, tks_bytes token,
                                   bool value_session, double now, tks_op **out, tks_error *err) {
    static const tks_bytes required[] = {{"rjwt", 4}};
    const tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(sessions->algorithm),
                                   .required = required,
                                   .required_count = 1,
                                   .now = now,
                                   .claims_only = true};
    tks_jwt jwt = {NULL, NULL};
    tksp_rjwt_op *self;
    tks_bytes key, id;
    *out = NULL;
    tks_status status =
        tks_jwt_decode(token, sessions->keys, sessions->key_count, &policy, &jwt, err);
    if (status != TKS_OK) return status;
    const tks_json *rjwt = tks_json_find(jwt.claims, "rjwt");
    if (tks_json_get_type(rjwt) == TKS_JSON_STRING)
        key = tks_json_get_string(rjwt);
    else
        key = tks_bytes_of(NULL, 0);
    if (!tksp_rjwt_split(key, &id)) {
        tks_jwt_clear(&jwt);
        return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token names no session");
    }
    status = tksp_rjwt_op_new(TKS_READ, id, key, &self, err);
    if (status != TKS_OK) {
        tks_jwt_clear(&jwt);
        return status;
    }
    self->jwt = jwt;
    self->value_session = value_session;
    self->send = send_verify;
    self->take = take_verify;
    return tksp_rjwt_op_ready(self, false, out, err);
}
