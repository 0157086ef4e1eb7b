/* bench/spike_threads.c - many threads read one token from memory.
 *
 * Purpose:   shows whether readers contend: the same number of reads, by one thread or divided among several,
 *            started together. Reads jobs from stdin, one per line, and prints "ok SECONDS" when a job is
 *            done.
 *                read THREADS COUNT
 * Lifecycle: one client, whose token comes from the server at the given URL, until stdin ends.
 * Threads:   as many as a job requests, plus the one that waits for them. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tokenstore/spike_client.h"

enum { LINE_SIZE = 128, THREADS_MAX = 64, TOKEN_MAX = 1 << 16 };

typedef struct crowd {
    tks_spike_client *client;
    pthread_barrier_t ready;
    long each;
} crowd;

static const tks_bytes audience = {"https://api.example", 19};

static void *read_often(void *context) {
    crowd *c = context;
    tks_buf token;
    bool good = true;
    tks_buf_init(&token, TOKEN_MAX);
    (void)pthread_barrier_wait(&c->ready);
    for (long i = 0; good && i < c->each; i++) {
        tks_buf_reset(&token);
        good = tks_spike_client_peek(c->client, audience, &token);
    }
    tks_buf_clear(&token);
    return good ? c : NULL;
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The elapsed seconds; negative: failure. */
static double run(tks_spike_client *client, long threads, long count) {
    pthread_t ids[THREADS_MAX];
    crowd c = {.client = client};
    bool good = true;
    if (threads < 1 || threads > THREADS_MAX ||
        pthread_barrier_init(&c.ready, NULL, (unsigned)threads + 1) != 0) {
        return -1;
    }
    c.each = count / threads;
    for (long i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, read_often, &c) != 0) return -1;
    }
    double began = now();
    (void)pthread_barrier_wait(&c.ready);
    for (long i = 0; i < threads; i++) {
        void *result = NULL;
        (void)pthread_join(ids[i], &result);
        good = good && result != NULL;
    }
    (void)pthread_barrier_destroy(&c.ready);
    return good ? now() - began : -1;
}

static tks_status open_client(const char *url, tks_spike_client **out, tks_error *err) {
    tks_spike_options options = TKS_SPIKE_OPTIONS_INIT;
    tks_spike *spike = NULL;
    tks_http *http = NULL;
    tks_buf token;
    bool asks;
    options.token_url = tks_bytes_of(url, strlen(url));
    options.client_id = options.client_secret = tks_bytes_of("bench", 5);
    options.opaque = true;
    tks_buf_init(&token, TOKEN_MAX);
    tks_status status = tks_spike_new(&options, &spike, err);
    if (status == TKS_OK) status = tks_http_new(NULL, &http, err);
    if (status == TKS_OK) status = tks_spike_client_new(spike, http, NULL, out, err);
    if (status == TKS_OK) {
        status = tks_spike_client_get(*out, audience, 0, tks_bytes_of(NULL, 0), NULL, &asks, &token,
                                      NULL, err);
    }
    tks_buf_clear(&token);
    return status;
}

int main(int argc, char **argv) {
    tks_error err = TKS_ERROR_INIT;
    tks_spike_client *client = NULL;
    char line[LINE_SIZE];
    if (argc != 2) {
        fprintf(stderr, "usage: spike_threads TOKEN_URL < jobs\n");
        return 2;
    }
    if (open_client(argv[1], &client, &err) != TKS_OK) {
        fprintf(stderr, "spike_threads: %s\n", err.message);
        return 1;
    }
    int status = 0;
    while (status == 0 && fgets(line, sizeof line, stdin) != NULL) {
        char *rest = line + strcspn(line, " ");
        long threads = strtol(rest, &rest, 10);
        double seconds = run(client, threads, strtol(rest, NULL, 10));
        if (seconds < 0) status = 1;
        printf(status == 0 ? "ok %.9f\n" : "failed\n", seconds);
        fflush(stdout);
    }
    tks_spike_client_free(client);
    return status;
}
