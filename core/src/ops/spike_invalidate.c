/* spike_invalidate.c - takes a token out of Redis that its audience did not accept; and the names that
 * get_token and invalidate share. */
#include "http_text.h"
#include "op_private.h"
#include "spike_private.h"

enum { AUDIENCE_MAX = 1024, FIELD_MAX = 64 * 1024 };

tks_status tksp_spike_check_audience(tks_bytes audience, tks_error *err) {
    if (audience.size == 0 || audience.size > AUDIENCE_MAX ||
        memchr(audience.data, '\0', audience.size) != NULL)
        return tks_fail(err, TKS_ERR_DATA, "audience must be 1 to %d bytes without NUL",
                        AUDIENCE_MAX);
    return TKS_OK;
}

/* The audience alone, as the Node package has it, unless a scope or further parameters are asked for: what
 * they give are other tokens. These are encoded and stand behind a NUL, which no audience holds, so that no
 * two requests meet in one field. Whose token an opaque one is cannot be verified when it is found, so that
 * there the server is told apart too. */
tks_status tksp_spike_write_field(const tks_spike *spike, tks_bytes audience, tks_buf *out) {
    const tks_spike_options *options = &spike->options;
    tks_buf_append_bytes(out, audience);
    if (options->opaque || options->scope.size > 0 || options->parameter_count > 0)
        tks_buf_append_char(out, '\0');
    if (options->opaque) (void)tksp_http_form_field(out, TKS_LITERAL("server"), options->token_url);
    if (options->scope.size > 0)
        (void)tksp_http_form_field(out, TKS_LITERAL("scope"), options->scope);
    for (size_t i = 0; i < options->parameter_count; i++)
        (void)tksp_http_form_field(out, options->parameters[i].name, options->parameters[i].value);
    return out->status;
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    const tks_reply *reply = op->commands[0].reply;
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer =
        tks_reply_get_type(reply) == TKS_REPLY_INTEGER && tks_reply_get_integer(reply) == 1;
    return TKS_OK;
}

static const tksp_op_kind kind = {.finish = finish};

tks_status tks_spike_invalidate(tks_spike *spike, tks_bytes audience, tks_bytes token, tks_op **out,
                                tks_error *err) {
    *out = NULL;
    tks_status status = tksp_spike_check_audience(audience, err);
    if (status != TKS_OK) return status;
    tks_op *op = tksp_op_new(sizeof *op, &kind, TKS_IDEMPOTENT);
    if (op == NULL) return tks_fail_memory(err);
    tks_buf field;
    tks_buf_init(&field, FIELD_MAX);
    status = tksp_spike_write_field(spike, audience, &field);
    tks_bytes *words = tksp_arena_alloc(&op->arena, 4 * sizeof *words);
    if (status == TKS_OK && words != NULL) {
        words[0] = TKS_LITERAL("1");
        words[1] = tksp_arena_dup(&op->arena, spike->options.redis_key);
        words[2] = tksp_arena_dup(&op->arena, tks_buf_bytes(&field));
        words[3] = tksp_arena_dup(&op->arena, token);
        status = tksp_op_add(op, &tksp_script_spike_forget, words, 4, words[1]);
    }
    tks_buf_clear(&field);
    if (status != TKS_OK || op->arena.status != TKS_OK) {
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    *out = op;
    return TKS_OK;
}
