/* nodes.c - see nodes.h. */
#include "nodes.h"

#include <stdlib.h>

#include "address_map.h"

static void free_node(tksp_node *node) {
    if (node == NULL) return;
    tks_server_free(node->clock);
    free(node->host);
    free(node);
}

void tksp_nodes_clear(tksp_nodes *nodes) {
    int count = atomic_load(&nodes->count);
    for (int i = 0; i < count; i++) free_node(atomic_load(&nodes->all[i]));
    atomic_store(&nodes->count, 0);
    free(nodes->address_map);
    nodes->address_map = NULL;
}

tksp_node *tksp_nodes_find(const tksp_nodes *nodes, int number) {
    if (number < 0 || number >= atomic_load_explicit(&nodes->count, memory_order_acquire)) {
        return NULL;
    }
    return atomic_load_explicit(&nodes->all[number], memory_order_relaxed);
}

static tksp_node *new_node(tks_bytes host, uint16_t port) {
    tksp_node *node = calloc(1, sizeof *node);
    if (node == NULL) return NULL;
    node->port = port;
    node->clock = tks_server_new();
    node->host = malloc(host.size + 1);
    if (node->clock == NULL || node->host == NULL) {
        free_node(node);
        return NULL;
    }
    memcpy(node->host, host.data, host.size);
    node->host[host.size] = '\0';
    return node;
}

int tksp_nodes_number(tksp_nodes *nodes, tks_bytes host, uint16_t port) {
    int count = atomic_load(&nodes->count);
    if (host.size == 0 || host.size > TKS_HOST_MAX || memchr(host.data, '\0', host.size) != NULL) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        const tksp_node *node = atomic_load(&nodes->all[i]);
        if (node->port == port && strlen(node->host) == host.size &&
            memcmp(node->host, host.data, host.size) == 0) {
            return i;
        }
    }
    tksp_node *added = count < TKS_NODES_MAX ? new_node(host, port) : NULL;
    if (added == NULL) return -1;
    atomic_store(&nodes->all[count], added);
    atomic_store_explicit(&nodes->count, count + 1, memory_order_release);
    return count;
}

void tksp_nodes_note_replica(tksp_nodes *nodes, int number) {
    tksp_node *node = tksp_nodes_find(nodes, number);
    if (node != NULL) atomic_store(&node->copied, atomic_load(&nodes->round));
}

int tksp_nodes_announced(tksp_nodes *nodes, tks_bytes host, uint16_t port) {
    const char *map = nodes->address_map;
    if (map != NULL) tksp_address_map(tks_bytes_of(map, strlen(map)), &host, &port);
    return tksp_nodes_number(nodes, host, port);
}
