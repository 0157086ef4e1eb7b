/* ask_sentinel.c - asks all Sentinels for the address of the primary; the newest answer counts. A Sentinel that was cut off may still
 * name the old one, which a write must not reach. Source: redis.io, "High availability with Redis Sentinel". */
#include "number_text.h"
#include "refresh.h"

static tks_status ask_for(tksp_refresh *self, tks_bytes what) {
    tks_bytes *words = tksp_arena_alloc(&self->base.arena, 3 * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = TKS_LITERAL("SENTINEL");
    words[1] = what;
    words[2] = tksp_router_service(self->router);
    return tksp_op_add(&self->base, NULL, words, 3, tks_bytes_of(NULL, 0));
}

static tks_status ask(tksp_refresh *self) {
    tks_status status = ask_for(self, TKS_LITERAL("MASTER"));
    return status == TKS_OK && tksp_router_wants_replicas(self->router)
               ? ask_for(self, TKS_LITERAL("REPLICAS"))
               : status;
}

/* The value of a name, of an array of names and values. */
static tks_bytes value_of(const tks_reply *reply, const char *name) {
    size_t size = tks_reply_get_size(reply);
    for (size_t i = 0; i + 1 < size; i += 2) {
        const tks_reply *key = tks_reply_get_item(reply, i),
                        *value = tks_reply_get_item(reply, i + 1);
        if (tks_reply_get_type(key) == TKS_REPLY_STRING &&
            tks_reply_get_type(value) == TKS_REPLY_STRING &&
            tks_bytes_equal(tks_reply_get_bytes(key), tks_bytes_of(name, strlen(name)))) {
            return tks_reply_get_bytes(value);
        }
    }
    return tks_bytes_of(NULL, 0);
}

/* The number of the server that names and values describe; -2: they do not, -1: out of memory. */
static int read_server(tksp_refresh *self, const tks_reply *reply) {
    uint64_t port;
    tks_bytes host = value_of(reply, "ip");
    bool good = tksp_decimal(value_of(reply, "port"), UINT16_MAX, &port) && port > 0;
    return good && host.size > 0 ? tksp_router_number(self->router, -1, host, (uint16_t)port) : -2;
}

static void take_address(tksp_refresh *self, const tks_reply *reply) {
    uint64_t epoch;
    int node = read_server(self, reply);
    if (!tksp_decimal(value_of(reply, "config-epoch"), UINT64_MAX, &epoch)) epoch = 0;
    if (node == -2) {
        tks_fail(&self->why, TKS_ERR_CONNECTION, "unexpected answer to SENTINEL MASTER");
    } else if (node == -1) {
        tks_fail_memory(&self->why);
    } else if (self->primary < 0 || epoch > self->epoch) {
        self->primary = node;
        self->epoch = epoch;
    }
}

/* Those that are reached. A Sentinel that does not allow the question knows none. */
static void take_replicas(tksp_refresh *self, const tks_reply *reply) {
    for (size_t i = 0; i < tks_reply_get_size(reply); i++) {
        const tks_reply *replica = tks_reply_get_item(reply, i);
        if (tks_reply_get_type(replica) == TKS_REPLY_ARRAY &&
            !tksp_contains(value_of(replica, "flags"), "down")) {
            tksp_router_note_replica(self->router, read_server(self, replica));
        }
    }
}

static bool take(tksp_refresh *self) {
    const tks_reply *reply = self->base.commands[0].reply;
    const tks_reply *replicas = self->base.count > 1 ? self->base.commands[1].reply : NULL;
    if (replicas != NULL && tks_reply_get_type(replicas) == TKS_REPLY_ARRAY) {
        take_replicas(self, replicas);
    }
    char text[TKS_ERROR_SIZE - 80];
    if (tks_reply_get_type(reply) == TKS_REPLY_ARRAY) {
        take_address(self, reply);
    } else if (tks_reply_get_type(reply) == TKS_REPLY_ERROR) {
        tks_reply_describe_error(reply, text, sizeof text);
        bool other = tksp_contains(tks_reply_get_bytes(reply), "unknown command");
        tks_fail(&self->why,
                 tks_reply_is_not_now(reply) ? TKS_ERR_CONNECTION : TKS_ERR_CONFIGURATION,
                 other ? "this server is not a Sentinel: use redis:// instead of redis+sentinel://"
                       : "SENTINEL MASTER refused: %s - does the URL name the primary as the "
                         "Sentinels do?",
                 text);
    } else {
        tks_fail(&self->why, TKS_ERR_CONNECTION, "unexpected answer to SENTINEL MASTER");
    }
    return false; /* all are asked */
}

static void conclude(tksp_refresh *self) {
    if (self->primary < 0) return;
    self->adopted = tksp_router_set_primary(self->router, self->primary, self->epoch);
    if (!self->adopted) {
        tks_fail(&self->why, TKS_ERR_CONNECTION,
                 "the Sentinels that answer name the primary from before the last failover");
    }
}

const tksp_asker tksp_ask_sentinel = {.ask = ask, .take = take, .conclude = conclude};
