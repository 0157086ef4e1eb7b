/* topology.c - see topology.h. */
#include "topology.h"

#include "number_text.h"

static tks_status fail_answer(tks_error *err) {
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "unexpected answer to CLUSTER SLOTS: is this a proxy that does not know it?");
}

static const tks_reply *item_of(const tks_reply *array, size_t i, tks_reply_type type) {
    const tks_reply *item =
        tks_reply_get_type(array) == TKS_REPLY_ARRAY ? tks_reply_get_item(array, i) : NULL;
    return item != NULL && tks_reply_get_type(item) == type ? item : NULL;
}

static bool number_at(const tks_reply *array, size_t i, int64_t max, int64_t *out) {
    const tks_reply *item = item_of(array, i, TKS_REPLY_INTEGER);
    if (item == NULL) return false;
    *out = tks_reply_get_integer(item);
    return *out >= 0 && *out <= max;
}

bool tksp_is_no_host(tks_bytes host) {
    return host.size == 0 || (host.size == 1 && host.data[0] == '?');
}

/* The number of the node that [host, port, id …] describes; -2: it describes none, -1: out of memory. */
static int read_node(const tks_reply *described, int asked, tksp_nodes *nodes) {
    int64_t port;
    if (!number_at(described, 1, UINT16_MAX, &port) || port == 0) return -2;
    const tks_reply *item = item_of(described, 0, TKS_REPLY_STRING);
    if (item == NULL && item_of(described, 0, TKS_REPLY_NIL) == NULL) return -2;
    tks_bytes host = item != NULL ? tks_reply_get_bytes(item) : tks_bytes_of(NULL, 0);
    if (tksp_is_no_host(host)) {
        const tksp_node *node = tksp_nodes_find(nodes, asked);
        if (node == NULL) return -2;
        host = tks_bytes_of(node->host, strlen(node->host));
    }
    if (host.size > TKS_HOST_MAX || memchr(host.data, '\0', host.size) != NULL) return -2;
    return tksp_nodes_announced(nodes, host, (uint16_t)port);
}

/* Of all of them, the first alone is always known. */
static void read_replicas(const tks_reply *range, int asked, tksp_nodes *nodes,
                          tksp_node *primary) {
    enum { FIRST = 3 };
    bool all = atomic_load(&nodes->with_replicas);
    atomic_store(&primary->standby, 0);
    for (size_t i = FIRST; i < tks_reply_get_size(range) && (all || i == FIRST); i++) {
        int replica = read_node(tks_reply_get_item(range, i), asked, nodes);
        if (i == FIRST && replica >= 0) atomic_store(&primary->standby, replica + 1);
        if (all) tksp_nodes_note_replica(nodes, replica);
    }
}

/* [first slot, last slot, primary, replica …] */
static tks_status read_range(const tks_reply *range, int asked, tksp_nodes *nodes, tksp_view *out,
                             tks_error *err) {
    int64_t first, last;
    if (!number_at(range, 0, INT64_MAX, &first) || !number_at(range, 1, INT64_MAX, &last)) {
        return fail_answer(err);
    }
    const tks_reply *primary = item_of(range, 2, TKS_REPLY_ARRAY);
    if (primary == NULL || first >= TKS_SLOTS) return TKS_OK;
    int node = read_node(primary, asked, nodes);
    if (node == -2) return fail_answer(err);
    if (node == -1) return tks_fail_memory(err);
    for (int64_t slot = first; slot <= last && slot < TKS_SLOTS; slot++) {
        out->coverage += out->of[slot] == 0;
        out->of[slot] = (uint16_t)(node + 1);
    }
    read_replicas(range, asked, nodes, tksp_nodes_find(nodes, node));
    return TKS_OK;
}

tks_status tksp_view_read(const tks_reply *reply, int asked, tksp_nodes *nodes, tksp_view *out,
                          tks_error *err) {
    memset(out, 0, sizeof *out);
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY) return fail_answer(err);
    size_t ranges = tks_reply_get_size(reply);
    if (ranges > TKS_SLOTS) return fail_answer(err);
    tks_status status = TKS_OK;
    for (size_t i = 0; i < ranges && status == TKS_OK; i++) {
        status = read_range(tks_reply_get_item(reply, i), asked, nodes, out, err);
    }
    return status;
}

bool tksp_redirection_read(tks_bytes text, unsigned *slot, tks_bytes *host, uint16_t *port) {
    const char *space = text.size > 0 ? memchr(text.data, ' ', text.size) : NULL;
    if (space == NULL) return false;
    size_t before = (size_t)(space - text.data);
    uint64_t number, given;
    size_t end = before + 1; /* some servers append words */
    while (end < text.size && text.data[end] != ' ') end++;
    size_t colon = end;
    while (colon > before + 1 && text.data[colon - 1] != ':') colon--;
    if (colon == before + 1 ||
        !tksp_decimal(tks_bytes_of(text.data, before), TKS_SLOTS - 1, &number) ||
        !tksp_decimal(tks_bytes_of(text.data + colon, end - colon), UINT16_MAX, &given) ||
        given == 0) {
        return false;
    }
    *slot = (unsigned)number;
    *host = tks_bytes_of(space + 1, colon - 1 - (before + 1));
    *port = (uint16_t)given;
    return host->size <= TKS_HOST_MAX;
}
