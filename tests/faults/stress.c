/* stress.c - the blocking driver from many threads at once, for ThreadSanitizer.
 *
 * usage: stress URL [SECONDS]
 *
 * Threads echo words through one client with a small pool, and check that each gets its own word back. Others
 * kill connections at the server, send signals, and let runs time out. At the end the client is closed under
 * load. Prints "N passed" (the echoes) or the problem. Raw commands are sent once, so a lost connection is an
 * unknown outcome, which is not a failure here. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tokenstore/client.h"

enum { THREADS = 12, WORD_SIZE = 64, LARGE = 200000 };

static tks_client *client;
static atomic_bool stopping;
static atomic_ulong echoes, unknown, late, interrupted;
static atomic_bool failed;

static void fail(const char *what, const tks_error *err) {
    (void)fprintf(stderr, "stress: %s: %s\n", what, err->message);
    atomic_store(&failed, true);
}

static void ignore(int number) {
    (void)number;
}

static bool check(void *context) {
    unsigned *calls = context;
    return ++*calls % 8 == 0;
}

/* Runs one raw command; its reply in *out must be freed with the operation in *op. */
static tks_status run(size_t argc, const tks_bytes *argv, int64_t timeout_ms, unsigned *calls,
                      tks_op **op, tks_error *err) {
    tks_interrupt interrupt = {check, calls};
    if (tks_raw_new(1, &argc, argv, NULL, NULL, op, err) != TKS_OK) {
        abort();
    }
    return tks_client_run(client, *op, timeout_ms, &interrupt, err);
}

static void *echo(void *argument) {
    unsigned number = *(unsigned *)argument;
    unsigned calls = 0;
    char *text = malloc(LARGE);
    if (text == NULL) {
        abort();
    }
    for (unsigned i = 0; !atomic_load(&stopping); i++) {
        size_t size = i % 64 == 0 ? LARGE : WORD_SIZE;
        memset(text, 'a' + (int)(number % 26), size);
        (void)snprintf(text, size, "%u-%u", number, i);
        tks_bytes argv[] = {TKS_LITERAL("ECHO"), tks_bytes_of(text, size)};
        tks_op *op = NULL;
        tks_error err = TKS_ERROR_INIT;
        tks_status status = run(2, argv, i % 16 == 0 ? 1 : 0, &calls, &op, &err);
        if (status == TKS_OK) {
            const tks_reply *reply = tks_op_get_result(op)->replies[0];
            if (!tks_bytes_equal(tks_reply_get_bytes(reply), argv[1])) {
                fail("a foreign answer", &err);
            }
            atomic_fetch_add(&echoes, 1);
        } else if (status == TKS_ERR_OUTCOME_UNKNOWN || status == TKS_ERR_CONNECTION) {
            atomic_fetch_add(&unknown, 1);
        } else if (status == TKS_ERR_TIMEOUT) {
            atomic_fetch_add(&late, 1);
        } else if (status == TKS_ERR_INTERRUPTED) {
            atomic_fetch_add(&interrupted, 1);
        } else if (status != TKS_ERR_CLOSED) {
            fail("unexpected", &err);
        }
        tks_op_free(op);
        if (status == TKS_ERR_CLOSED) {
            break;
        }
    }
    free(text);
    return NULL;
}

static void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Kills all connections at the server, including this one. */
static void *kill_connections(void *unused) {
    unsigned calls = 0;
    (void)unused;
    while (!atomic_load(&stopping)) {
        tks_bytes argv[] = {TKS_LITERAL("CLIENT"), TKS_LITERAL("KILL"),   TKS_LITERAL("TYPE"),
                            TKS_LITERAL("normal"), TKS_LITERAL("SKIPME"), TKS_LITERAL("no")};
        tks_op *op = NULL;
        tks_error err = TKS_ERROR_INIT;
        (void)run(6, argv, 0, &calls, &op, &err);
        tks_op_free(op);
        pause_ms(10);
    }
    return NULL;
}

int main(int argc, char **argv) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = NULL;
    pthread_t threads[THREADS], killer;
    unsigned numbers[THREADS];
    if (argc < 2 ||
        tks_target_parse(tks_bytes_of(argv[1], strlen(argv[1])), &target, &err) != TKS_OK ||
        tks_target_set(target, "pool_size", TKS_LITERAL("5"), &err) != TKS_OK ||
        tks_client_new(target, NULL, &client, &err) != TKS_OK) {
        (void)fprintf(stderr, "usage: stress URL [SECONDS]: %s\n", err.message);
        return 2;
    }
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, echo, &numbers[i]) != 0) {
            return 2;
        }
    }
    if (pthread_create(&killer, NULL, kill_connections, NULL) != 0) {
        return 2;
    }
    long ms = argc > 2 ? strtol(argv[2], NULL, 10) * 1000 : 2000;
    for (long i = 0; i < ms; i++) {
        pause_ms(1);
        (void)pthread_kill(threads[i % THREADS], SIGUSR1);
    }
    tks_client_close(client); /* under load */
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_join(killer, NULL);
    tks_client_free(client);
    (void)printf("%lu passed (echoes; %lu unknown, %lu late, %lu interrupted)\n",
                 atomic_load(&echoes), atomic_load(&unknown), atomic_load(&late),
                 atomic_load(&interrupted));
    return atomic_load(&failed) ? 1 : 0;
}
