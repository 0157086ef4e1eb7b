/* jwt_sessions_key.c - one session by its key: destroy, exists, ttl, get_value; and ping, get_info. */
#include "jwt_sessions_private.h"

/* ---- ping, get_info: plain commands with one answer ---- */

static tks_status take_text(tksp_rjwt_op *self) {
    const tks_reply *reply = self->op.commands[0].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING &&
        tks_reply_get_type(reply) != TKS_REPLY_STATUS) {
        return tksp_op_fail_foreign(&self->op);
    }
    self->op.result.type = TKS_RESULT_TEXT;
    self->op.result.text = tks_reply_get_bytes(reply); /* the operation keeps the reply */
    return TKS_OK;
}

static tks_status send_nothing(tksp_rjwt_op *self) {
    (void)self;
    return TKS_OK;
}

/* Sends `word` and, unless it is empty, `argument`. */
static tks_status send_plain(tks_bytes word, tks_bytes argument, tks_op **out, tks_error *err) {
    tksp_rjwt_op *self;
    *out = NULL;
    tks_status status = tksp_rjwt_op_new(TKS_READ, tks_bytes_of(NULL, 0), argument, &self, err);
    if (status != TKS_OK) return status;
    const tks_bytes head[] = {word, self->key};
    self->take = take_text;
    self->send = send_nothing;
    if (tksp_rjwt_send(self, argument.size > 0 ? 2 : 1, head) != TKS_OK) {
        self->op.arena.status = TKS_ERR_MEMORY;
    } else {
        self->op.commands[0].route = tks_bytes_of(NULL, 0); /* about no user: of any node */
    }
    return tksp_rjwt_op_ready(self, TKSP_RJWT_FOUND, out, err);
}

tks_status tks_jwt_sessions_ping(const tks_jwt_sessions *sessions, tks_op **out, tks_error *err) {
    (void)sessions;
    return send_plain(TKS_LITERAL("PING"), tks_bytes_of(NULL, 0), out, err);
}

tks_status tks_jwt_sessions_get_info(const tks_jwt_sessions *sessions, tks_bytes section,
                                     tks_op **out, tks_error *err) {
    (void)sessions;
    if (tks_bytes_equal(section, TKS_LITERAL("DBSIZE"))) return tksp_rjwt_size(out, err);
    return send_plain(TKS_LITERAL("INFO"), section, out, err);
}

/* ---- exists, ttl, get_value: what is under a session's key counts only where it is the session ---- */

static tks_status take_session(tksp_rjwt_op *self) {
    tks_result *result = &self->op.result;
    tks_error why = TKS_ERROR_INIT;
    tks_bytes text = {NULL, 0};
    bool found = false;
    tks_status status = self->op.count > 0 ? tksp_rjwt_take_record(self, &found, &text) : TKS_OK;
    if (status == TKS_OK && found) status = tksp_rjwt_read_record(self->key, text, NULL, &why);
    if (status == TKS_ERR_MEMORY) return TKS_ERR_MEMORY;
    if (status == TKS_ERR_DATA) {
        found = false; /* the value belongs to another program */
    } else if (status != TKS_OK) {
        return status;
    }
    result->type = self->wanted;
    switch (self->wanted) {
    case TKS_RESULT_BOOL: result->integer = found; break;
    case TKS_RESULT_COUNT: result->integer = found ? self->ttl_left : -2; break;
    default: result->text = found ? text : tks_bytes_of(NULL, 0); break;
    }
    return TKS_OK;
}

/* Text that cannot be a session's key is not found, without a request. */
static tks_status ask(tks_bytes rjwt, tks_result_type wanted, tks_op **out, tks_error *err) {
    tksp_rjwt_op *self;
    tks_bytes id;
    *out = NULL;
    bool possible = tksp_rjwt_split(rjwt, &id);
    if (!possible) id = rjwt = tks_bytes_of(NULL, 0);
    tks_status status = tksp_rjwt_op_new(TKS_READ, id, rjwt, &self, err);
    if (status != TKS_OK) return status;
    self->take = take_session;
    self->send = possible ? tksp_rjwt_send_record : send_nothing;
    self->wanted = wanted;
    return tksp_rjwt_op_ready(self, TKSP_RJWT_FOUND, out, err);
}

tks_status tks_jwt_sessions_exists(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_op **out,
                                   tks_error *err) {
    (void)sessions;
    return ask(rjwt, TKS_RESULT_BOOL, out, err);
}

tks_status tks_jwt_sessions_ttl(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_op **out,
                                tks_error *err) {
    (void)sessions;
    return ask(rjwt, TKS_RESULT_COUNT, out, err);
}

tks_status tks_jwt_sessions_get_value(const tks_jwt_sessions *sessions, tks_bytes rjwt,
                                      tks_op **out, tks_error *err) {
    (void)sessions;
    return ask(rjwt, TKS_RESULT_TEXT, out, err);
}

/* ---- destroy ---- */

static tks_status send_destroy(tksp_rjwt_op *self) {
    const tks_bytes keys[] = {self->key, self->index};
    return tksp_rjwt_send_script(self, &tksp_script_rjwt_destroy, 2, keys, 0, NULL);
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
    tks_bytes id;
    *out = NULL;
    if (!tksp_rjwt_split(rjwt, &id)) return tks_jwt_sessions_exists(sessions, rjwt, out, err);
    tks_status status = tksp_rjwt_op_new(TKS_ONCE, id, rjwt, &self, err);
    if (status != TKS_OK) return status;
    self->op.durability = sessions->durability;
    self->send = send_destroy;
    self->take = take_destroy;
    return tksp_rjwt_op_ready(self, TKSP_RJWT_FOUND, out, err);
}
