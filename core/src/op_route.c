/* op_route.c - see op_route.h. Source: redis.io, "Redis cluster specification". */
#include "op_route.h"

#include "server.h"

bool tksp_op_lacks_tag(const tks_op *op) {
    bool asks = op->kind->cluster_advice != NULL && tksp_router_is_cluster(op->router);
    for (size_t i = 0; asks && i < op->count; i++) {
        tks_bytes key = op->commands[i].route;
        if (key.size > 0 && tksp_slot_tag(key).size == key.size) return true;
    }
    return false;
}

bool tksp_op_has_place(const tksp_command *command) {
    return command->node >= 0 || command->slot >= 0 || command->route.size > 0;
}

/* A question to whatever node serves a slot, about no key. */
static bool is_of_slot(const tksp_command *command) {
    return command->slot >= 0 && command->route.size == 0;
}

/* A question to this node alone. */
static bool is_pinned(const tksp_command *command) {
    return command->node >= 0 && command->route.size == 0;
}

bool tksp_op_is_left(const tks_op *op) {
    const tksp_command *first = op->count > 0 ? &op->commands[0] : NULL;
    return op->router != NULL && first != NULL && op->safety == TKS_ONCE && is_pinned(first) &&
           !tks_router_serves(op->router, first->node);
}

/* Several commands in a row are often about one key, and have the very same text of it. */
static int slot_of(const tks_op *op, const tksp_command *command) {
    const tksp_command *before = command > op->commands ? command - 1 : NULL;
    bool same = before != NULL && before->slot >= 0 && before->route.data == command->route.data &&
                before->route.size == command->route.size;
    return same ? before->slot : (int)tksp_slot_of(command->route);
}

int tksp_op_node_of(const tks_op *op, tksp_command *command) {
    if (command->node >= 0) return command->node;
    if (command->slot < 0) command->slot = slot_of(op, command);
    return tksp_router_primary(op->router, (unsigned)command->slot);
}

int tksp_op_choose_node(tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (command->reply == NULL && tksp_op_has_place(command)) {
            return tksp_op_node_of(op, command);
        }
    }
    return tksp_router_any(op->router);
}

bool tksp_op_goes_along(const tks_op *op, size_t i) {
    tksp_command *command = &op->commands[i];
    /* Whatever is known of its slot by now: half a transaction must not be sent. */
    if (command->tie != TKSP_FREE && command[-1].reply == NULL) return command[-1].sent;
    return !tksp_op_has_place(command) || tksp_op_node_of(op, command) == op->batch.node;
}

bool tksp_op_has_unsent(const tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        if (op->commands[i].reply == NULL) return true;
    }
    return false;
}

tks_status tksp_op_format_asking(tks_buf *out) {
    return tks_buf_append_bytes(out, TKS_LITERAL("*1\r\n$6\r\nASKING\r\n"));
}

/* MOVED and ASK name a slot and a node. */
static tksp_redirection follow(tks_op *op, tksp_command *command, tks_bytes text, bool moved) {
    unsigned slot;
    tks_bytes host;
    uint16_t port;
    if (!tksp_redirection_read(text, &slot, &host, &port)) return TKSP_LATER;
    int to = tksp_router_number(op->router, op->batch.node, host, port);
    if (to < 0) return TKSP_LATER;
    command->standby = false;
    if (!moved) {
        command->node = to;
        command->asking = true;
        return TKSP_ELSEWHERE;
    }
    if (to == op->batch.node) { /* it contradicts itself */
        tks_router_lost(op->router, to);
        return TKSP_LATER;
    }
    tksp_router_moved(op->router, slot, to);
    bool known = command->route.size > 0 && tksp_slot_of(command->route) == slot;
    if (!known) command->route = tks_bytes_of(NULL, 0); /* only the server knows its key */
    command->node = known ? -1 : to;
    return TKSP_ELSEWHERE;
}

/* The text behind the error's first word. */
static tks_bytes behind(const tks_reply *error, size_t word) {
    tks_bytes text = tks_reply_get_bytes(error);
    return text.size > word ? tks_bytes_of(text.data + word, text.size - word) : text;
}

/* A script found that a key has left while it ran: in a slot that is being moved, or by its own deletion. One that may run again
 * does, and finds done what it did. Source: Redis, script.c; Valkey, script.c. */
static bool is_torn(const tks_op *op, const tksp_command *command, const tks_reply *error) {
    static const char text[] = "ERR Script attempted to access a non local key";
    tks_bytes said = tks_reply_get_bytes(error);
    return command->script != NULL && op->safety != TKS_ONCE && said.size >= sizeof text - 1 &&
           memcmp(said.data, text, sizeof text - 1) == 0;
}

tksp_redirection tksp_op_redirect(tks_op *op, tksp_command *command, const tks_reply *error) {
    static const char *const absent[] = {"CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY"};
    bool cluster = tksp_router_is_cluster(op->router);
    if (is_pinned(command)) return TKSP_STAYS;
    cluster = cluster && !is_of_slot(command);
    if (cluster && tks_reply_is_error(error, "MOVED")) {
        return follow(op, command, behind(error, sizeof "MOVED " - 1), true);
    }
    if (cluster && tks_reply_is_error(error, "ASK")) {
        return follow(op, command, behind(error, sizeof "ASK " - 1), false);
    }
    if (tks_reply_is_error(error, "TRYAGAIN") || is_torn(op, command, error)) return TKSP_LATER;
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        if (!tks_reply_is_error(error, absent[i])) continue;
        tks_router_lost(op->router, op->batch.node);
        return command->raw && i > 1 ? TKSP_STAYS : TKSP_LATER;
    }
    return TKSP_STAYS;
}

static void send_again(tksp_command *command, int node) {
    tks_reply_free(command->reply);
    command->reply = NULL;
    command->node = node;
    command->asking = command->standby = false;
}

/* ASKING stands before MULTI, and holds until EXEC. */
void tksp_op_keep_ties(tks_op *op) {
    for (size_t i = op->count; i-- > 1;) {
        tksp_command *command = &op->commands[i], *before = command - 1;
        if (command->tie != TKSP_WITH || command->reply != NULL) continue;
        bool asking = command->asking || before->asking;
        send_again(before, command->node);
        before->asking = asking;
    }
    for (size_t i = 1; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (command->tie != TKSP_FREE && command[-1].reply == NULL) {
            send_again(command, command[-1].node);
        }
    }
}

void tksp_op_forget_ask(tksp_command *command) {
    command->asking = command->standby = false;
    if (!is_pinned(command)) command->node = -1;
}

bool tksp_op_was_executed(const tks_op *op, tks_reply *const *replies) {
    size_t next = 0;
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (!command->sent) continue;
        const tks_reply *reply = replies[next + command->asking];
        next += 1 + command->asking;
        bool executed = tks_reply_get_type(reply) != TKS_REPLY_ERROR;
        if (executed && command->node < 0) return true; /* neither asked nor pinned */
    }
    return false;
}

/* Would a replica answer it with MOVED? Only a command that names a key: TIME, or a raw one with `key=`, is executed anywhere. */
static bool names_its_key(const tksp_command *command) {
    bool found = false;
    for (size_t i = 0; !command->raw && command->route.size > 0 && i < command->argc; i++) {
        found = found || tks_bytes_equal(command->argv[i], command->route);
    }
    return found;
}

/* A node that refuses a connection may be back soon. But one that was lost again, or while it was to answer, has a replica, which is
 * tried in turn: it answers MOVED, until it has taken over. */
void tksp_op_lose_node(tks_op *op, bool sent) {
    int node = op->batch.node, standby = -1;
    bool tried = false, asks = false;
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        tried = tried || (command->sent && command->standby);
        asks = asks || (command->sent && names_its_key(command));
    }
    tksp_server_forget(tksp_router_clock(op->router, node));
    if (!tried) tks_router_lost(op->router, node);
    if (!tried && asks && (sent || op->losses > 0)) standby = tksp_router_standby(op->router, node);
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (!command->sent) continue;
        tksp_op_forget_ask(command);
        command->standby = standby >= 0 && command->route.size > 0 && !command->raw;
        if (command->standby) command->node = standby;
        command->sent = false;
    }
}

bool tksp_op_note_executed(tks_op *op, const tksp_command *command, const tks_reply *reply) {
    if (!command->standby) return true;
    if (!names_its_key(command)) return false;
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        tksp_router_take_over(op->router, tksp_slot_of(command->route), command->node);
    }
    return true;
}

tks_server *tksp_op_clock(const tks_op *op, tks_bytes route) {
    if (op->router == NULL) return op->server;
    return tksp_router_clock(op->router, tksp_router_primary(op->router, tksp_slot_of(route)));
}

int tksp_op_serves(const tks_op *op, tks_bytes route) {
    if (op->router == NULL) return -1;
    return tksp_router_primary(op->router, tksp_slot_of(route));
}

int tksp_op_get_node(tks_op *op, size_t command) {
    return op->router != NULL ? tksp_op_node_of(op, &op->commands[command]) : -1;
}
