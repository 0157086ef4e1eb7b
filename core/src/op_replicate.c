/* op_replicate.c - see op_replicate.h. */
#include "op_replicate.h"

#include <inttypes.h>
#include <stdio.h>

#include "op_describe.h"

enum { WORDS_MAX = 4, NUMBER_MAX = 24 };

static tks_bytes print(char *out, int64_t number) {
    int size = snprintf(out, NUMBER_MAX, "%" PRId64, number);
    return tks_bytes_of(out, (size_t)size);
}

tks_status tksp_replicate_ask(tks_op *op) {
    const tks_durability *wanted = &op->durability;
    char replicas[NUMBER_MAX], timeout[NUMBER_MAX];
    bool wants =
        wanted->timeout_ms > 0 && (wanted->replicas > 0 || wanted->fsync); /* 0: for ever */
    op->batch.blocks = op->safety != TKS_READ && wants;
    if (!op->batch.blocks) return TKS_OK;
    tks_bytes words[WORDS_MAX];
    size_t count = 0;
    words[count++] = wanted->fsync ? TKS_LITERAL("WAITAOF") : TKS_LITERAL("WAIT");
    if (wanted->fsync) words[count++] = TKS_LITERAL("1");
    words[count++] = print(replicas, wanted->replicas);
    words[count++] = print(timeout, wanted->timeout_ms);
    op->batch.replies++;
    op->batch.safety = TKS_ONCE; /* its silence is no sign that the connection is dead */
    return tks_resp_format(&op->out, count, words);
}

/* The operation fails when all else is done; the fewest replicas of all its batches count. */
static void fall_short(tks_op *op, int64_t replicas, const char *message) {
    if (op->shortage != NULL && op->replicas <= replicas) return;
    op->replicas = replicas;
    tks_bytes copy = tksp_arena_dup(&op->arena, tks_bytes_of(message, strlen(message) + 1));
    op->shortage = copy.data != NULL ? copy.data : "";
}

static int64_t number_of(const tks_reply *reply) {
    bool number = reply != NULL && tks_reply_get_type(reply) == TKS_REPLY_INTEGER;
    return number ? tks_reply_get_integer(reply) : 0;
}

static int64_t number_at(const tks_reply *reply, size_t index) {
    bool list = tks_reply_get_type(reply) == TKS_REPLY_ARRAY;
    return list ? number_of(tks_reply_get_item(reply, index)) : 0;
}

static void describe(const tks_durability *wanted, bool disk, int64_t replicas, char *out) {
    char have[128] = "";
    if (wanted->replicas > 0) {
        (void)snprintf(have, sizeof have, "%s%" PRId64 " of %" PRId64 " replicas have it%s",
                       disk ? "only " : ", and ", replicas, wanted->replicas,
                       wanted->fsync ? " on disk" : "");
    }
    (void)snprintf(out, TKS_ERROR_SIZE,
                   "the change was made, but after %.3g s %s%s: see INFO %s, or raise wait_timeout",
                   (double)wanted->timeout_ms / 1000, disk ? "" : "it is not on the primary's disk",
                   have, wanted->fsync ? "persistence and replication" : "replication");
}

void tksp_replicate_take(tks_op *op, const tks_reply *answer) {
    const tks_durability *wanted = &op->durability;
    char text[TKS_ERROR_SIZE];
    bool fsync = wanted->fsync;
    int64_t disk = fsync ? number_at(answer, 0) : 1;
    int64_t replicas = fsync ? number_at(answer, 1) : number_of(answer);
    if (tks_reply_get_type(answer) == TKS_REPLY_ERROR) {
        static const char made[] = "the change was made, but whether it is safe is not known: ";
        memcpy(text, made, sizeof made);
        tksp_op_describe_error(answer, text + sizeof made - 1, sizeof text - sizeof made);
        fall_short(op, 0, text);
    } else if (disk < 1 || replicas < wanted->replicas) {
        describe(wanted, disk >= 1, replicas, text);
        fall_short(op, replicas, text);
    }
}

void tksp_replicate_join(tks_op *op, const tks_op *part) {
    if (part->shortage != NULL) fall_short(op, part->replicas, part->shortage);
}

void tks_op_set_replicas(tks_op *op, int64_t replicas) {
    if (op->durability.replicas < replicas) op->durability.replicas = replicas;
}

int64_t tks_op_get_replicas(const tks_op *op) {
    return op->replicas;
}
