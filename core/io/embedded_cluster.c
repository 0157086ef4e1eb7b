/* embedded_cluster.c - a private cluster: three private servers that are made to know each other.
 *
 * Purpose:   each has a supervisor of its own, as a private server has. Over their unix sockets, each is given a third of
 *            the slots and an epoch; the first is told of the others; and then it takes them a second to agree.
 * Threads:   as tks_embedded_start. Source: redis.io, "Redis cluster specification". */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "embedded_private.h"
#include "tokenstore/client.h"
#include "tokenstore/secret.h"

enum {
    NODES = TKS_EMBEDDED_NODES,
    SLOTS = 16384,
    BUS = 10000, /* from a port to that of the cluster's bus */
    PORT_MIN = 10240,
    PORTS = 65536 - BUS - 32768 -
            PORT_MIN, /* with their buses' below the ports that clients are given */
    TRIES = 20,
    WORDS_MAX = 4,
    CONFIG_MAX = 512,
};

typedef struct forming {
    tks_embedded_cluster *cluster;
    tks_embedded *servers[NODES];
    tks_client *clients[NODES];
    const tks_interrupt *interrupt;
    int64_t deadline;
    tks_error *err;
} forming;

/* ---- servers -------------------------------------------------------------------------------- */

static bool is_free(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool good = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    return good;
}

static uint16_t draw_port(void) {
    uint16_t port = PORT_MIN;
    for (int i = 0; i < TRIES; i++) {
        port = (uint16_t)(PORT_MIN + tks_random_below(PORTS));
        if (is_free(port) && is_free((uint16_t)(port + BUS))) break;
    }
    return port;
}

/* Another process may take the port before the server does: then again, with another. */
static tks_status start_server(forming *f, size_t i, const char *binary) {
    tks_status status = TKS_ERR_CONNECTION;
    for (int tries = 0; tries < 3 && status == TKS_ERR_CONNECTION; tries++) {
        char more[CONFIG_MAX];
        tks_error why = TKS_ERROR_INIT;
        uint16_t port = draw_port();
        (void)snprintf(more, sizeof more,
                       "port %u\nbind 127.0.0.1\nprotected-mode no\nrequirepass %s\n"
                       "cluster-enabled yes\ncluster-config-file nodes.conf\n"
                       "cluster-node-timeout 2000\n",
                       (unsigned)port, f->cluster->password);
        int64_t left = f->deadline - tksp_clock_ms();
        status = tksp_embedded_start(NULL, binary, more, left > 1 ? left : 1, f->interrupt,
                                     &f->servers[i], &why);
        f->cluster->ports[i] = port;
        if (status != TKS_OK && (status != TKS_ERR_CONNECTION || tries == 2)) {
            return tks_fail(f->err, status, "%s", why.message);
        }
    }
    return status;
}

/* ---- commands ------------------------------------------------------------------------------- */

static tks_status connect_to(forming *f, size_t i) {
    static const char placeholder[] = "redis+unix:///socket";
    tks_target *target = NULL;
    tks_status status =
        tks_target_parse(tks_bytes_of(placeholder, sizeof placeholder - 1), &target, f->err);
    if (status != TKS_OK) return status;
    free(target->path);
    target->path = strdup(tks_embedded_get_socket(f->servers[i]));
    target->password = strdup(f->cluster->password);
    if (target->path == NULL || target->password == NULL) {
        tks_target_free(target);
        return tks_fail_memory(f->err);
    }
    return tks_client_new(target, f->interrupt, &f->clients[i], f->err);
}

/* Sends CLUSTER and `words`, and calls `check` with the answer. */
static tks_status ask(forming *f, size_t i, size_t count, const tks_bytes *words, bool *accepted,
                      bool (*check)(const tks_reply *reply)) {
    tks_op *op = NULL;
    int64_t left = f->deadline - tksp_clock_ms();
    *accepted = false;
    tks_status status = tks_raw_new(1, &count, words, NULL, NULL, &op, f->err);
    if (status != TKS_OK) return status;
    status = tks_client_run(f->clients[i], op, left > 1 ? left : 1, f->interrupt, f->err);
    if (status == TKS_OK) *accepted = check(tks_op_get_result(op)->replies[0]);
    tks_op_free(op);
    return status;
}

static bool is_good(const tks_reply *reply) {
    return tks_reply_get_type(reply) != TKS_REPLY_ERROR;
}

/* "CLUSTER …", of words without spaces. */
static tks_status tell(forming *f, size_t i, const char *first, const char *second,
                       const char *third, bool *accepted) {
    const char *const all[] = {"CLUSTER", first, second, third};
    tks_bytes words[WORDS_MAX];
    size_t count = 0;
    while (count < WORDS_MAX && all[count] != NULL) {
        words[count] = tks_bytes_of(all[count], strlen(all[count]));
        count++;
    }
    return ask(f, i, count, words, accepted, is_good);
}

/* Servers before Redis 7.0 have no ADDSLOTSRANGE. */
static tks_status add_slots_one_by_one(forming *f, size_t i, unsigned first, unsigned last) {
    enum { DIGITS = 6 };
    size_t count = 2 + last - first + 1;
    tks_bytes *words = calloc(count, sizeof *words);
    char *digits = malloc(count * DIGITS);
    bool accepted = false;
    tks_status status = TKS_ERR_MEMORY;
    if (words != NULL && digits != NULL) {
        words[0] = TKS_LITERAL("CLUSTER");
        words[1] = TKS_LITERAL("ADDSLOTS");
        for (size_t k = 2; k < count; k++) {
            char *at = digits + k * DIGITS;
            int size = snprintf(at, DIGITS, "%u", first + (unsigned)(k - 2));
            words[k] = tks_bytes_of(at, (size_t)size);
        }
        status = ask(f, i, count, words, &accepted, is_good);
    }
    free(words);
    free(digits);
    if (status != TKS_OK) return status == TKS_ERR_MEMORY ? tks_fail_memory(f->err) : status;
    return accepted ? TKS_OK
                    : tks_fail(f->err, TKS_ERR_CONNECTION, "embedded: this server has no cluster");
}

static tks_status add_slots(forming *f, size_t i) {
    unsigned first = (unsigned)(i * SLOTS / NODES), last = (unsigned)((i + 1) * SLOTS / NODES) - 1;
    char from[8], to[8], epoch[8];
    bool accepted;
    (void)snprintf(from, sizeof from, "%u", first);
    (void)snprintf(to, sizeof to, "%u", last);
    (void)snprintf(epoch, sizeof epoch, "%u", (unsigned)i + 1);
    tks_status status = tell(f, i, "ADDSLOTSRANGE", from, to, &accepted);
    if (status == TKS_OK && !accepted) status = add_slots_one_by_one(f, i, first, last);
    if (status == TKS_OK) status = tell(f, i, "SET-CONFIG-EPOCH", epoch, NULL, &accepted);
    return status;
}

/* ---- agreement ------------------------------------------------------------------------------ */

static bool has_agreed(const tks_reply *info) {
    if (tks_reply_get_type(info) != TKS_REPLY_STRING) return false;
    tks_bytes text = tks_reply_get_bytes(info);
    static const char *const wanted[] = {"cluster_state:ok", "cluster_slots_ok:16384",
                                         "cluster_known_nodes:3"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        size_t size = strlen(wanted[i]);
        bool found = false;
        for (size_t at = 0; !found && at + size <= text.size; at++) {
            found = memcmp(text.data + at, wanted[i], size) == 0;
        }
        if (!found) return false;
    }
    return true;
}

static tks_status await_agreement(forming *f, size_t i) {
    const tks_bytes words[] = {TKS_LITERAL("CLUSTER"), TKS_LITERAL("INFO")};
    const struct timespec pause = {.tv_nsec = 20000000};
    bool agreed = false;
    tks_status status = TKS_OK;
    while (status == TKS_OK && !agreed) {
        status = ask(f, i, 2, words, &agreed, has_agreed);
        if (status == TKS_OK && !agreed) (void)nanosleep(&pause, NULL);
    }
    return status;
}

static tks_status form(forming *f, const char *binary) {
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < NODES; i++) {
        status = start_server(f, i, binary);
        if (status == TKS_OK) status = connect_to(f, i);
        if (status == TKS_OK) status = add_slots(f, i);
    }
    for (size_t i = 1; status == TKS_OK && i < NODES; i++) {
        char port[8];
        bool accepted;
        (void)snprintf(port, sizeof port, "%u", (unsigned)f->cluster->ports[i]);
        status = tell(f, 0, "MEET", "127.0.0.1", port, &accepted);
    }
    for (size_t i = 0; status == TKS_OK && i < NODES; i++) status = await_agreement(f, i);
    return status;
}

tks_status tks_embedded_start_cluster(const char *binary, int64_t timeout_ms,
                                      const tks_interrupt *interrupt, tks_embedded_cluster *cluster,
                                      tks_embedded **out, tks_error *err) {
    forming f = {.cluster = cluster,
                 .interrupt = interrupt,
                 .deadline = tksp_clock_ms() + timeout_ms,
                 .err = err};
    *out = NULL;
    tks_status status = tks_secret_start(err);
    if (status != TKS_OK) return status;
    tks_random_letters(cluster->password, TKS_EMBEDDED_PASSWORD_SIZE);
    cluster->password[TKS_EMBEDDED_PASSWORD_SIZE] = '\0';
    status = form(&f, binary);
    for (size_t i = 0; i < NODES; i++) tks_client_free(f.clients[i]);
    for (size_t i = NODES - 1; i > 0; i--) {
        if (f.servers[i] != NULL) tksp_embedded_join(f.servers[0], f.servers[i]);
    }
    if (status != TKS_OK) {
        tks_embedded_stop(f.servers[0]);
    } else {
        *out = f.servers[0];
    }
    return status;
}
