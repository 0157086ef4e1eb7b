/* bench/raw_hiredis.c - the baseline: a blocking loop on bare hiredis.
 *
 * Purpose:   does the minimum of `get` and `create`: GET of one value, SET … EX of new ones; or any command. Reads
 *            jobs from stdin, one per line, and prints "ok" when a job is done; the caller measures the time.
 *                get KEY COUNT          setex PREFIX SIZE COUNT
 *                run COUNT WORD…        a word "#" is the number of the round, from 0 on
 *                wait MS                PINGs for so long; prints how long the longest took, in microseconds
 * Lifecycle: one connection, to the unix socket or the port of 127.0.0.1 given, until stdin ends.
 * Threads:   one. */
#define _POSIX_C_SOURCE 200809L /* strtok_r, clock_gettime */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_SIZE = 512, VALUE_SIZE = 4096, WORDS_MAX = 12 };

static bool expect(redisReply *reply, int type) {
    bool good = reply != NULL && reply->type == type;
    if (reply != NULL) freeReplyObject(reply);
    return good;
}

static bool run_get(redisContext *redis, const char *key, long count) {
    const char *argv[] = {"GET", key};
    const size_t sizes[] = {3, strlen(key)};
    for (long i = 0; i < count; i++) {
        if (!expect(redisCommandArgv(redis, 2, argv, sizes), REDIS_REPLY_STRING)) return false;
    }
    return true;
}

/* Each job writes new keys, like `create`. */
static bool run_setex(redisContext *redis, const char *prefix, size_t size, long count) {
    static char value[VALUE_SIZE];
    if (size > sizeof value) return false;
    memset(value, 'x', size);
    for (long i = 0; i < count; i++) {
        char key[LINE_SIZE + 32];
        int key_size = snprintf(key, sizeof key, "%s%ld", prefix, i);
        const char *argv[] = {"SET", key, value, "EX", "3600"};
        const size_t sizes[] = {3, (size_t)key_size, size, 2, 4};
        if (!expect(redisCommandArgv(redis, 5, argv, sizes), REDIS_REPLY_STATUS)) return false;
    }
    return true;
}

static bool run_command(redisContext *redis, long count, int argc, const char **argv) {
    char number[24];
    for (int j = 0; j < argc; j++) {
        if (strcmp(argv[j], "#") == 0) argv[j] = number;
    }
    for (long i = 0; i < count; i++) {
        (void)snprintf(number, sizeof number, "%ld", i);
        redisReply *reply = redisCommandArgv(redis, argc, argv, NULL);
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR) return false;
        freeReplyObject(reply);
    }
    return true;
}

static double now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* What another client has to wait for. */
static bool run_wait(redisContext *redis, long ms) {
    const char *argv[] = {"PING"};
    double longest = 0, began = now_us(), last = began;
    while (last < began + (double)ms * 1e3) {
        if (!expect(redisCommandArgv(redis, 1, argv, NULL), REDIS_REPLY_STATUS)) return false;
        double now = now_us();
        if (now - last > longest) longest = now - last;
        last = now;
    }
    printf("ok %.0f\n", longest);
    return true;
}

/* Runs the job in `line`; a missing word is empty. False: it failed. */
static bool run_job(redisContext *redis, char *line, bool *answered) {
    const char *words[WORDS_MAX];
    char *rest = line;
    int count = 0;
    for (int i = 0; i < WORDS_MAX; i++) words[i] = "";
    for (int i = 0; i < WORDS_MAX; i++) {
        char *word = strtok_r(rest, " \n", &rest);
        if (word == NULL) break;
        words[i] = word;
        count = i + 1;
    }
    *answered = strcmp(words[0], "wait") == 0;
    if (*answered) return run_wait(redis, strtol(words[1], NULL, 10));
    if (strcmp(words[0], "run") == 0 && count > 2) {
        return run_command(redis, strtol(words[1], NULL, 10), count - 2, words + 2);
    }
    if (strcmp(words[0], "get") == 0) return run_get(redis, words[1], strtol(words[2], NULL, 10));
    if (strcmp(words[0], "setex") != 0) return false;
    return run_setex(redis, words[1], strtoul(words[2], NULL, 10), strtol(words[3], NULL, 10));
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: raw_hiredis SOCKET|PORT < jobs\n");
        return 2;
    }
    redisContext *redis = argv[1][0] == '/'
                              ? redisConnectUnix(argv[1])
                              : redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "raw_hiredis: no connection\n");
        return 1;
    }
    int status = 0;
    char line[LINE_SIZE];
    while (status == 0 && fgets(line, sizeof line, stdin) != NULL) {
        bool answered = false;
        bool good = run_job(redis, line, &answered);
        if (!good || !answered) puts(good ? "ok" : "failed");
        fflush(stdout);
        if (!good) status = 1;
    }
    redisFree(redis);
    return status;
}
