/* jwt_sessions_look.c - RedisJWT: finds a user's sessions by SCAN if the index may be incomplete.
 * That is so if Node writes sessions, or if the server evicts keys, since it may evict the index. */
#include <stdio.h>
#include <stdlib.h>

#include "jwt_sessions_private.h"
#include "scan.h"

/* ---- SCAN ---- */

static tks_status send_scan(tksp_rjwt_op *self, tks_bytes cursor) {
    return tksp_slot_scan_add(&self->scan, &self->op, &self->op.arena, cursor, self->pattern, 1000);
}

/* Keeps `name` if it is a session of this user, except the one being signed. */
static tks_status keep_found(tksp_rjwt_op *self, tks_bytes name) {
    tks_bytes id;
    if (!tksp_rjwt_split(name, &id) || !tks_bytes_equal(id, self->id)) return TKS_OK;
    if (self->found_count == self->found_room) {
        size_t room = self->found_room == 0 ? 16 : self->found_room * 2;
        tks_bytes *found = tksp_arena_alloc(&self->op.arena, room * sizeof *found);
        if (found == NULL) return TKS_ERR_MEMORY;
        if (self->found_count > 0) memcpy(found, self->found, self->found_count * sizeof *found);
        self->found = found;
        self->found_room = room;
    }
    self->found[self->found_count++] = tksp_arena_dup(&self->op.arena, name);
    return self->op.arena.status;
}

/* All sessions that a node has are found: is there another that has some? */
static tks_status end_scan(tksp_rjwt_op *self) {
    if (tksp_slot_scan_ask(&self->scan, &self->op, &self->op.arena)) return TKS_OK;
    if (self->op.arena.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_rjwt_send_look(self, TKSP_RJWT_FOUND);
}

static tks_status take_scan(tksp_rjwt_op *self) {
    if (self->scan.asking) {
        return tksp_slot_scan_goes_on(&self->scan, &self->op)
                   ? send_scan(self, TKS_LITERAL("0"))
                   : tksp_rjwt_send_look(self, TKSP_RJWT_FOUND);
    }
    tksp_slot_scan_note(&self->scan, &self->op, 0);
    tks_reply *reply = tksp_op_take_reply(&self->op, 0);
    const tks_reply *names;
    tks_bytes cursor;
    tks_status status = TKS_OK;
    tksp_op_clear_commands(&self->op);
    if (!tksp_scan_read(reply, &cursor, &names)) {
        tks_reply_free(reply);
        return tksp_op_fail_foreign(&self->op);
    }
    for (size_t i = 0; status == TKS_OK && i < tks_reply_get_size(names); i++) {
        status = keep_found(self, tks_reply_get_bytes(tks_reply_get_item(names, i)));
    }
    if (status == TKS_OK) {
        status = cursor.size == 0 ? end_scan(self) : send_scan(self, cursor);
    }
    tks_reply_free(reply);
    return status;
}

/* ---- does the server evict? ---- */

/* A login must stay cheap: it reuses an answer for this long, and uses SCAN for at most this many
 * keys. */
enum { MEMORY_MS = 60 * 1000, SIGN_KEYS_MAX = 100 * 1000 };

tksp_rjwt_memory *tksp_rjwt_memory_new(void) {
    tksp_rjwt_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) return NULL;
    atomic_init(&memory->references, 1);
    atomic_init(&memory->said, 0);
    return memory;
}

tksp_rjwt_memory *tksp_rjwt_memory_ref(tksp_rjwt_memory *memory) {
    atomic_fetch_add_explicit(&memory->references, 1, memory_order_relaxed);
    return memory;
}

void tksp_rjwt_memory_free(tksp_rjwt_memory *memory) {
    if (memory == NULL) return;
    if (atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) == 1) free(memory);
}

/* If the clock was set back, the age is unknown: ask again. */
static tks_status recall(tksp_rjwt_op *self, int64_t now_ms) {
    int64_t said = atomic_load_explicit(&self->memory->said, memory_order_relaxed);
    int64_t age = now_ms - said / 2;
    if (said == 0 || age < 0 || age >= MEMORY_MS) return tksp_rjwt_send_look(self, TKSP_RJWT_ASK);
    return tksp_rjwt_send_look(self, said % 2 != 0 ? TKSP_RJWT_SCAN : TKSP_RJWT_FOUND);
}

static tks_status send_info(tksp_rjwt_op *self) {
    static const tks_bytes info[] = {{"INFO", 4}, {"memory", 6}}, size[] = {{"DBSIZE", 6}};
    tks_status status = tksp_op_add(&self->op, NULL, info, 2, self->index);
    if (status == TKS_OK && self->memory != NULL) {
        status = tksp_op_add(&self->op, NULL, size, 1, self->index);
    }
    if (status != TKS_OK) return status;
    for (size_t i = 0; i < self->op.count; i++) self->op.commands[i].may_be_forbidden = true;
    return TKS_OK;
}

/* The value of the line `<name>:<value>`; NULL data: not found. Source: redis.io, "INFO". */
static tks_bytes find_field(tks_bytes info, tks_bytes name) {
    size_t at = 0;
    while (at < info.size) {
        const char *line = info.data + at, *last = memchr(line, '\r', info.size - at);
        size_t size = last != NULL ? (size_t)(last - line) : info.size - at;
        if (size > name.size && line[name.size] == ':' && memcmp(line, name.data, name.size) == 0) {
            return tks_bytes_of(line + name.size + 1, size - name.size - 1);
        }
        at += size + 2;
    }
    return tks_bytes_of(NULL, 0);
}

/* True if there are more keys than a login may scan, or if their number is unknown. */
static bool is_too_large(const tksp_rjwt_op *self) {
    if (self->memory == NULL) return false;
    const tks_reply *size = self->op.commands[1].reply;
    return tks_reply_get_type(size) != TKS_REPLY_INTEGER ||
           tks_reply_get_integer(size) > SIGN_KEYS_MAX;
}

static tks_status take_info(tksp_rjwt_op *self, int64_t now_ms) {
    const tks_reply *reply = self->op.commands[0].reply;
    tks_bytes info = tks_bytes_of(NULL, 0);
    char note[TKS_NOTE_MAX];
    if (tks_reply_get_type(reply) == TKS_REPLY_STRING) {
        info = tks_reply_get_bytes(reply);
    } else if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        return tksp_op_fail_foreign(&self->op);
    }
    tks_bytes limit = find_field(info, TKS_LITERAL("maxmemory"));
    tks_bytes policy = find_field(info, TKS_LITERAL("maxmemory_policy"));
    bool evicts = policy.size > 0 && !tks_bytes_equal(policy, TKS_LITERAL("noeviction")) &&
                  !tks_bytes_equal(limit, TKS_LITERAL("0"));
    bool scans = evicts && !is_too_large(self);
    if (policy.size == 0) {
        tks_notes_add(&self->op.notes, 'w',
                      "INFO does not show whether the server evicts keys; if it does, some of this "
                      "user's sessions may be missed: allow +info, and use a server whose "
                      "maxmemory-policy is noeviction");
    } else if (evicts) {
        (void)snprintf(note, sizeof note,
                       "the server evicts keys (maxmemory-policy %.*s), so %s: use a server whose "
                       "maxmemory-policy is noeviction",
                       (int)(policy.size < 64 ? policy.size : 64), policy.data,
                       scans ? "a user's sessions are found by SCAN over all keys"
                             : "sign may miss sessions that it should end, as there are too many "
                               "keys to scan at each login");
        tks_notes_add(&self->op.notes, 'w', note);
    }
    if (self->memory != NULL) {
        atomic_store_explicit(&self->memory->said, now_ms * 2 + scans, memory_order_relaxed);
    }
    tksp_op_clear_commands(&self->op);
    return tksp_rjwt_send_look(self, scans ? TKSP_RJWT_SCAN : TKSP_RJWT_FOUND);
}

/* ---- both ---- */

tks_status tksp_rjwt_send_look(tksp_rjwt_op *self, tksp_rjwt_look look) {
    if (self->looking == TKSP_RJWT_FOUND) self->safety = self->op.safety;
    self->looking = look;
    /* Finding sessions changes nothing. */
    self->op.safety = look == TKSP_RJWT_FOUND ? self->safety : TKS_READ;
    switch (look) {
    case TKSP_RJWT_RECALL: return TKS_OK; /* the first step supplies the time */
    case TKSP_RJWT_ASK: return send_info(self);
    case TKSP_RJWT_SCAN:
        self->pattern = tksp_scan_pattern(&self->op.arena, self->id, ":*");
        self->scan = (tksp_slot_scan){.route = self->index};
        return self->pattern.data == NULL ? TKS_ERR_MEMORY : send_scan(self, TKS_LITERAL("0"));
    case TKSP_RJWT_FOUND: break;
    }
    return self->send(self);
}

tks_status tksp_rjwt_take_look(tksp_rjwt_op *self, int64_t now_ms) {
    switch (self->looking) {
    case TKSP_RJWT_RECALL: return recall(self, now_ms);
    case TKSP_RJWT_ASK: return take_info(self, now_ms);
    default: return take_scan(self);
    }
}
