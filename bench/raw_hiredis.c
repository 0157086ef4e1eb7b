/* bench/raw_hiredis.c - the baseline: a blocking loop on bare hiredis.
 *
 * Purpose:   does the minimum of `get` and `create`: GET of one value, SET … EX of new ones. Reads jobs from
 *            stdin, one per line, and prints "ok" when a job is done; the caller measures the time.
 *                get KEY COUNT          setex PREFIX SIZE COUNT
 * Lifecycle: one connection, to the unix socket or the port of 127.0.0.1 given, until stdin ends.
 * Threads:   one. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 512, VALUE_SIZE = 4096 };

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

/* Runs the job in `line`; a missing word is empty. */
static bool run_job(redisContext *redis, char *line) {
    const char *words[4] = {"", "", "", ""};
    char *rest = line;
    for (size_t i = 0; i < 4; i++) {
        char *word = strtok_r(rest, " \n", &rest);
        if (word == NULL) break;
        words[i] = word;
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
        bool good = run_job(redis, line);
        puts(good ? "ok" : "failed");
        fflush(stdout);
        if (!good) status = 1;
    }
    redisFree(redis);
    return status;
}
