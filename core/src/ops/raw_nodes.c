/* raw_nodes.c - see raw_nodes.h. And a command for every primary, tks_raw_each_new. */
#include "raw_nodes.h"

#include <stdlib.h>

#include "meter.h"
#include "raw_key.h"
#include "raw_refused.h"
#include "router.h"
#include "server.h"

enum { NAME_MAX_SIZE = 4096 };

bool tksp_raw_knows_nodes(const tks_op *op) {
    return op->router == NULL || tksp_router_any(op->router) >= 0;
}

tks_status tksp_raw_ask_nodes(tks_op *op) {
    static const tks_bytes ping[] = {{"PING", 4}};
    op->safety = TKS_READ;
    tks_status status = tksp_op_add(op, NULL, ping, 1, tks_bytes_of(NULL, 0));
    if (status == TKS_OK) op->commands[op->count - 1].may_be_forbidden = true;
    return status;
}

/* ---- one node ---- */

/* In words, as many as there is room for. */
static tks_bytes list_nodes(tks_op *op) {
    tks_buf text;
    tks_buf_init(&text, TKS_ERROR_SIZE / 2);
    if (op->router == NULL) tks_buf_append_bytes(&text, tksp_server_name(op->server));
    for (int node = 0; op->router != NULL && node < TKS_NODES_MAX; node++) {
        if (!tks_router_serves(op->router, node)) continue;
        if (text.size > 0) tks_buf_append(&text, ", ", 2);
        tksp_router_write_name(op->router, node, &text);
    }
    tks_bytes list = tksp_arena_dup(&op->arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return list;
}

tks_status tksp_raw_find_node(tks_op *op, tks_bytes name, int *out) {
    *out = -1;
    if (op->router != NULL && tksp_router_named(op->router, name, out) != TKS_OK) {
        return TKS_ERR_MEMORY;
    }
    bool found = *out >= 0;
    if (op->router == NULL) found = tks_bytes_equal(name, tksp_server_name(op->server));
    if (found) return TKS_OK;
    tks_bytes list = list_nodes(op);
    return tksp_op_fail(op, TKS_ERR_CONFIGURATION, "node %.*s is no primary here: there is %.*s",
                        name.size < 100 ? (int)name.size : 100, name.data, (int)list.size,
                        list.data != NULL ? list.data : "");
}

/* ---- every primary ---- */

/* A command is for whatever node serves a slot: one of each primary's. So where a replica takes over, it goes there. One that may not
 * be made twice is for the node itself. When all have answered, a primary without an answer is new: it is asked as well. */
typedef struct each_op {
    tks_op op;
    const tks_bytes *argv;
    size_t argc;
    tks_safety safety; /* of the command */
    unsigned rounds;
    tks_node_reply *replies;
} each_op;

typedef struct known {
    const char *name, *subcommand; /* NULL: all of them */
    tks_safety safety;
} known;

/* Others have effects that are not known here. FLUSHALL is none of these: later, it removes more. Source: redis.io, "Commands". */
static const known KNOWN[] = {
    {"ACL", "DELUSER", TKS_IDEMPOTENT}, {"ACL", "GETUSER", TKS_READ},
    {"ACL", "LIST", TKS_READ},          {"ACL", "SETUSER", TKS_IDEMPOTENT},
    {"ACL", "USERS", TKS_READ},         {"ACL", "WHOAMI", TKS_READ},
    {"CLIENT", "LIST", TKS_READ},       {"CLUSTER", "COUNTKEYSINSLOT", TKS_READ},
    {"CLUSTER", "INFO", TKS_READ},      {"CLUSTER", "MYID", TKS_READ},
    {"CLUSTER", "NODES", TKS_READ},     {"CONFIG", "GET", TKS_READ},
    {"CONFIG", "SET", TKS_IDEMPOTENT},  {"DBSIZE", NULL, TKS_READ},
    {"ECHO", NULL, TKS_READ},           {"FUNCTION", "LIST", TKS_READ},
    {"FUNCTION", "STATS", TKS_READ},    {"INFO", NULL, TKS_READ},
    {"KEYS", NULL, TKS_READ},           {"LASTSAVE", NULL, TKS_READ},
    {"LATENCY", "LATEST", TKS_READ},    {"MEMORY", "STATS", TKS_READ},
    {"MODULE", "LIST", TKS_READ},       {"PING", NULL, TKS_READ},
    {"PUBSUB", NULL, TKS_READ},         {"RANDOMKEY", NULL, TKS_READ},
    {"ROLE", NULL, TKS_READ},           {"SCAN", NULL, TKS_READ},
    {"SCRIPT", "EXISTS", TKS_READ},     {"SCRIPT", "FLUSH", TKS_IDEMPOTENT},
    {"SCRIPT", "LOAD", TKS_IDEMPOTENT}, {"SLOWLOG", "GET", TKS_READ},
    {"SLOWLOG", "LEN", TKS_READ},       {"TIME", NULL, TKS_READ},
};

static tks_safety safety_of(size_t argc, const tks_bytes *argv) {
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        const known *k = &KNOWN[i];
        if (tksp_raw_is(argv[0], k->name) &&
            (k->subcommand == NULL || (argc > 1 && tksp_raw_is(argv[1], k->subcommand)))) {
            return k->safety;
        }
    }
    return TKS_ONCE;
}

static const tks_reply *answer_of(const each_op *self, int node) {
    for (size_t i = 0; i < self->op.count; i++) {
        const tksp_command *command = &self->op.commands[i];
        bool ours = command->argv == self->argv && command->from == node;
        if (ours && command->reply != NULL) return command->reply;
    }
    return NULL;
}

static tks_status add(each_op *self, int node, int slot) {
    tks_op *op = &self->op;
    tks_status status = tksp_op_add(op, NULL, self->argv, self->argc, tks_bytes_of(NULL, 0));
    if (status != TKS_OK) return status;
    tksp_command *command = &op->commands[op->count - 1];
    if (self->safety == TKS_ONCE) {
        command->node = node;
    } else {
        command->slot = slot;
    }
    return TKS_OK;
}

/* Adds the command for each primary that has not answered; false: out of memory. */
static bool add_missing(each_op *self, const int *slots) {
    for (int node = 0; node < TKS_NODES_MAX; node++) {
        if (slots[node] < 0 || answer_of(self, node) != NULL) continue;
        if (add(self, node, slots[node]) != TKS_OK) return false;
    }
    return true;
}

static tks_status take_answers(each_op *self, const int *slots) {
    tks_op *op = &self->op;
    size_t size = 0;
    self->replies = tksp_arena_alloc(&op->arena, (op->count + 1) * sizeof *self->replies);
    if (self->replies == NULL) return TKS_ERR_MEMORY;
    if (op->router == NULL) {
        self->replies[size++] =
            (tks_node_reply){tksp_server_name(op->server), op->commands[0].reply};
    }
    for (int node = 0; slots != NULL && node < TKS_NODES_MAX; node++) {
        tks_buf name;
        if (slots[node] < 0) continue;
        tks_buf_init(&name, NAME_MAX_SIZE);
        tksp_router_write_name(op->router, node, &name);
        if (name.status != TKS_OK) op->arena.status = TKS_ERR_MEMORY;
        self->replies[size++] = (tks_node_reply){tksp_arena_dup(&op->arena, tks_buf_bytes(&name)),
                                                 answer_of(self, node)};
        tks_buf_clear(&name);
    }
    op->result.type = TKS_RESULT_NODES;
    op->result.size = size;
    op->result.nodes = self->replies;
    return op->arena.status;
}

/* Asks all primaries that there are by now, or takes what all have answered. */
static tks_status go_on(each_op *self, const int *slots) {
    enum { ROUNDS_MAX = 10 };
    tks_op *op = &self->op;
    size_t before = op->count;
    op->safety = self->safety;
    if (!add_missing(self, slots)) return TKS_ERR_MEMORY;
    if (op->count == before) return take_answers(self, slots);
    if (self->rounds++ < ROUNDS_MAX) return TKS_OK;
    return tksp_op_fail(op, TKS_ERR_CONNECTION,
                        "the primaries of the cluster keep changing: try again");
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    each_op *self = (each_op *)op;
    (void)now_ms;
    if (op->router == NULL) {
        op->safety = self->safety;
        return op->count > 0 ? take_answers(self, NULL) : add(self, -1, -1);
    }
    if (!tksp_raw_knows_nodes(op)) return tksp_raw_ask_nodes(op);
    int *slots = malloc(TKS_NODES_MAX * sizeof *slots);
    if (slots == NULL) return TKS_ERR_MEMORY;
    tksp_router_slots(op->router, slots);
    tks_status status = go_on(self, slots);
    free(slots);
    return status;
}

static const tksp_op_kind each_kind = {.finish = finish, .names_node = true};

tks_status tks_raw_each_new(size_t argc, const tks_bytes *argv, tks_op **out, tks_error *err) {
    *out = NULL;
    tks_status status = tksp_raw_check(1, &argc, argv, err);
    if (status != TKS_OK) return status;
    each_op *self = (each_op *)tksp_op_new(sizeof *self, &each_kind, TKS_READ);
    if (self == NULL) return tks_fail_memory(err);
    tks_bytes *words = tksp_arena_alloc(&self->op.arena, argc * sizeof *words);
    for (size_t i = 0; words != NULL && i < argc; i++) {
        words[i] = tksp_arena_dup(&self->op.arena, argv[i]);
    }
    if (words == NULL || self->op.arena.status != TKS_OK) {
        tks_op_free(&self->op);
        return tks_fail_memory(err);
    }
    self->argv = words;
    self->argc = argc;
    self->safety = safety_of(argc, words);
    tksp_op_name(&self->op, &tksp_plain_rows[TKSP_FOR_EACH_PRIMARY]);
    *out = &self->op;
    return TKS_OK;
}
