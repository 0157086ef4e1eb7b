/* op_measure.c - see op_measure.h. */
#include "op_measure.h"

#include "meter.h"

/* In Lua, one shared object makes operations and another runs them, each with a copy of this library. */
void tksp_op_name(tks_op *op, const tks_operation *row) {
    op->row = row;
    op->place_of = tksp_meter_place_of;
}

void tks_op_set_meter(tks_op *op, tks_meter *meter) {
    if (op->row == NULL || op->measuring.on || !tks_meter_is_started(meter)) return;
    op->measuring.on = true;
    op->measuring.meter = tks_meter_hold(meter);
}

void tksp_op_measure_part(const tks_op *op, tks_op *part) {
    part->measuring.on = op->measuring.on;
}

const tks_measure *tks_op_get_measure(const tks_op *op) {
    return op->measuring.on && op->measuring.ended ? &op->measuring.measure : NULL;
}

/* The bytes of its texts. */
static uint64_t weigh(const tks_reply *reply) {
    uint64_t bytes = 0;
    switch (tks_reply_get_type(reply)) {
    case TKS_REPLY_STATUS:
    case TKS_REPLY_ERROR:
    case TKS_REPLY_STRING: return tks_reply_get_bytes(reply).size;
    case TKS_REPLY_ARRAY:
        for (size_t i = 0; i < tks_reply_get_size(reply); i++) {
            bytes += weigh(tks_reply_get_item(reply, i));
        }
        return bytes;
    case TKS_REPLY_NIL:
    case TKS_REPLY_INTEGER:
    case TKS_REPLY_OVERSIZED: break;
    }
    return bytes;
}

static void take_replies(const tks_op *op, const tks_event *event, tks_measure *m) {
    for (size_t i = 0; i < op->batch.replies; i++) m->received += weigh(event->replies[i]);
}

static void take_parts(const tks_op *op, tks_measure *m) {
    for (size_t i = 0; i < op->part_count; i++) {
        const tks_measure *part = &op->parts[i]->measuring.measure;
        m->tries += part->tries;
        m->trips += part->trips;
        m->sent += part->sent;
        m->received += part->received;
    }
}

/* Did it look for something that is not there? */
static bool has_missed(const tks_result *result) {
    switch (result->type) {
    case TKS_RESULT_TOKEN: return !result->tokens[0].found;
    case TKS_RESULT_TEXT: return result->text.data == NULL;
    case TKS_RESULT_JSON: return result->values[0] == NULL;
    default: return false;
    }
}

/* Is there anything in it that only a server, or the near cache, can know? */
static bool has_found(const tks_result *result) {
    switch (result->type) {
    case TKS_RESULT_TOKEN: return result->tokens[0].found;
    case TKS_RESULT_TOKENS:
        for (size_t i = 0; i < result->size; i++) {
            if (result->tokens[i].found) return true;
        }
        return false;
    case TKS_RESULT_SESSION: return true;
    default: return false;
    }
}

static void end(tks_op *op, tks_status status) {
    tksp_measuring *m = &op->measuring;
    m->ended = true;
    if (m->meter == NULL) return;
    const size_t place = op->place_of(op->row, &m->measure.store);
    m->measure.name = op->row->name;
    m->measure.status = status;
    m->measure.missed = status == TKS_OK && has_missed(&op->result);
    m->measure.node = op->batch.node;
    m->measure.near =
        status == TKS_OK && op->near != NULL && m->measure.trips == 0 && has_found(&op->result);
    m->measure.tries++;
    m->measure.took_us = tksp_meter_now(m->meter) - m->measure.began_us;
    if (!m->measure.near) tksp_meter_add(m->meter, place, &m->measure);
}

tks_need tksp_op_step_measured(tks_op *op, const tks_event *event) {
    tks_measure *m = &op->measuring.measure;
    if (op->measuring.ended) return tksp_op_advance(op, event);
    if (!op->measuring.begun && op->measuring.meter != NULL) {
        m->began_us = tksp_meter_now(op->measuring.meter);
    }
    op->measuring.begun = true;
    if (event->type == TKS_EVENT_REPLIES) take_replies(op, event, m);
    if (event->type == TKS_EVENT_PARTS) take_parts(op, m);
    tks_need need = tksp_op_advance(op, event);
    switch (need) {
    case TKS_NEED_SEND:
        m->trips++;
        m->sent += op->batch.bytes.size;
        break;
    case TKS_NEED_HTTP: m->trips++; break;
    case TKS_NEED_SLEEP: m->tries++; break;
    case TKS_NEED_PARTS: break;
    case TKS_DONE: end(op, TKS_OK); break;
    case TKS_FAILED: end(op, tks_op_get_error(op)->status); break;
    }
    return need;
}

void tks_op_give_up(tks_op *op) {
    const tksp_measuring *m = &op->measuring;
    if (m->on && m->begun && !m->ended) end(op, TKS_ERR_INTERRUPTED);
}

void tksp_op_end_measure(tks_op *op) {
    tks_op_give_up(op);
    tks_meter_free(op->measuring.meter);
}
