/* jwt_sessions_key.c - one session by its key: destroy, exists, ttl, get_value; and ping, get_info. */
#include "jwt_sessions_private.h"

/* ---- plain commands with one answer ---- */

static tks_status take_bool(tksp_rjwt_op *self) {
    const tks_reply *reply = self->op.count > 0 ? self->op.commands[0].reply : NULL;
    self->op.result.type = TKS_RESULT_BOOL;
    self->op.result.integer = 0;
    if (reply == NULL) return TKS_OK;
    if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(&self->op);
    self->op.result.integer = tks_reply_get_integer(reply) > 0;
    return TKS_OK;
}

static tks_status take_count(tksp_rjwt_op *self) {
    const tks_reply *reply = self->op.count > 0 ? self->op.commands[0].reply : NULL;
    self->op.result.type = TKS_RESULT_COUNT;
    self->op.result.integer = -2;
    if (reply == NULL) return TKS_OK;
    if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(&self->op);
    self->op.result.integer = tks_reply_get_integer(reply);
    return TKS_OK;
}

static tks_status take_text(tksp_rjwt_op *self) {
    const tks_reply *reply = self->op.count > 0 ? self->op.commands[0].reply : NULL;
    self->op.result.type = TKS_RESULT_TEXT;
    self->op.result.text = tks_bytes_of(NULL, 0);
    if (reply == NULL || tks_reply_get_type(reply) == TKS_REPLY_NIL) return TKS_OK;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING &&
        tks_reply_get_type(reply) != TKS_REPLY_STATUS)
        return tksp_op_fail_foreign(&self->op);
    self->op.result.text = tks_reply_get_bytes(reply); /* the operation keeps the reply */
    return TKS_OK;
}

static tks_status send_nothing(tksp_rjwt_op *self) {
    (void)self;
    return TKS_OK;
}

/* `word` and, unless it is empty, `argument`. */
static tks_status send_plain(tks_bytes word, tks_bytes argument,
                             tks_status (*take)(tksp_rjwt_op *self), tks_op **out, tks_error *err) {
    tksp_rjwt_op *self;
    *out = NULL;
    tks_status status = tksp_rjwt_op_new(TKS_READ, tks_bytes_of(NULL, 0), argument, &self, err);
    if (status != TKS_OK) return status;
    const tks_bytes head[] = {word, self->key};
    self->take = take;
    self->send = send_nothing;
    if (word.size > 0 && tksp_rjwt_send(self, NULL, argument.size > 0 ? 2 : 1, head) != TKS_OK)
        self->op.arena.status = TKS_ERR_MEMORY;
    return tksp_rjwt_op_ready(self, false, out, err);
}

/* The same with a session's key; what is none is not found, without asking. */
static tks_status ask(tks_bytes word, tks_bytes rjwt, tks_status (*take)(tksp_rjwt_op *self),
                      tks_op **out, tks_error *err) {
    tks_bytes id, nothing = tks_bytes_of(NULL, 0);
    bool possible = tksp_rjwt_split(rjwt, &id);
    return send_plain(possible ? word : nothing, possible ? rjwt : nothing, take, out, err);
}

tks_status tks_jwt_sessions_exists(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_op **out,
                                   tks_error *err) {
    (void)sessions;
    return ask(TKS_LITERAL("EXISTS"), rjwt, take_bool, out, err);
}

tks_status tks_jwt_sessions_ttl(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_op **out,
                                tks_error *err) {
    (void)sessions;
    return ask(TKS_LITERAL("TTL"), rjwt, take_count, out, err);
}

tks_status tks_jwt_sessions_get_value(const tks_jwt_sessions *sessions, tks_bytes rjwt,
                                      tks_op **out, tks_error *err) {
    (void)sessions;
    return ask(TKS_LITERAL("GET"), rjwt, take_text, out, err);
}

tks_status tks_jwt_sessions_ping(const tks_jwt_sessions *sessions, tks_op **out, tks_error *err) {
    (void)sessions;
    return send_plain(TKS_LITERAL("PING"), tks_bytes_of(NULL, 0), take_text, out, err);
}

tks_status tks_jwt_sessions_get_info(const tks_jwt_sessions *sessions, tks_bytes section,
                                     tks_op **out, tks_error *err) {
    (void)sessions;
    if (tks_bytes_equal(section, TKS_LITERAL("DBSIZE")))
        return send_plain(section, tks_bytes_of(NULL, 0), take_count, out, err);
    return send_plain(TKS_LITERAL("INFO"), section, take_text, out, err);
}

/* ---- destroy ---- */

static tks_status send_destroy(tksp_rjwt_op *self) {
    const tks_bytes head[] = {TKS_LITERAL("2"), self->key, self->index};
    return tksp_rjwt_send(self, &tksp_script_rjwt_destroy, 3, head);
}

static tks_status take_destroy(tksp_rjwt_op *self) {
    tks_status status;
    const tks_reply *reply = tksp_rjwt_checked_reply(self, &status);
    if (reply == NULL) return status;
    self->op.result.type = TKS_RESULT_BOOL;
    self->op.result.integer = tksp_rjwt_integer(reply, 1, 0) > 0;
    return TKS_OK;
}

tks_status tks_jwt_sessions_destroy(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_op **out,
                                    tks_error *err) {
    tksp_rjwt_op *self;
    tks_bytes id, nothing = tks_bytes_of(NULL, 0);
    (void)sessions;
    *out = NULL;
    if (!tksp_rjwt_split(rjwt, &id)) return send_plain(nothing, nothing, take_bool, out, err);
    tks_status status = tksp_rjwt_op_new(TKS_ONCE, id, rjwt, &self, err);
    if (status != TKS_OK) return status;
    self->send = send_destroy;
    self->take = take_destroy;
    return tksp_rjwt_op_ready(self, false, out, err);
}
