/* ask_cluster.c - asks a node of a cluster for its map. Source: redis.io, "CLUSTER SLOTS" and "CLUSTER INFO". */
#include "refresh.h"

static const tks_bytes INFO[] = {{"CLUSTER", 7}, {"INFO", 4}},
                       SLOTS[] = {{"CLUSTER", 7}, {"SLOTS", 5}};

static tks_status ask(tksp_refresh *self) {
    const tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status = tksp_op_add(&self->base, NULL, INFO, 2, none);
    return status == TKS_OK ? tksp_op_add(&self->base, NULL, SLOTS, 2, none) : status;
}

/* A node that sees no majority knows nothing new. */
static bool is_cut_off(const tks_reply *info) {
    return tks_reply_get_type(info) == TKS_REPLY_STRING &&
           tksp_contains(tks_reply_get_bytes(info), "cluster_state:fail");
}

/* The error of a server that is no cluster, or does not allow the question; to ask others does not help. */
static void explain(tksp_refresh *self, const tks_reply *reply) {
    char text[TKS_ERROR_SIZE - 80];
    tks_reply_describe_error(reply, text, sizeof text);
    bool alone = tksp_contains(tks_reply_get_bytes(reply), "cluster support disabled");
    tks_fail(&self->why, tks_reply_is_not_now(reply) ? TKS_ERR_CONNECTION : TKS_ERR_CONFIGURATION,
             alone ? "this server is not a cluster: use redis:// instead of redis+cluster://"
                   : "CLUSTER SLOTS refused: %s",
             text);
}

static bool take(tksp_refresh *self) {
    const tks_reply *slots = self->base.commands[1].reply;
    if (tks_reply_get_type(slots) == TKS_REPLY_ERROR) {
        explain(self, slots);
    } else if (is_cut_off(self->base.commands[0].reply)) {
        tks_fail(&self->why, TKS_ERR_CONNECTION, "the cluster is down: cluster_state is fail");
    } else {
        self->adopted = tksp_router_adopt(self->router, self->nodes[self->at], slots, &self->why);
    }
    return self->adopted;
}

const tksp_asker tksp_ask_cluster = {.ask = ask, .take = take};
