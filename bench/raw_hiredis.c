/* bench/raw_hiredis.c - the measure of things: a blocking loop on bare hiredis.
 *
 * Purpose:   does what `get` and `create` cannot do without: GET of one value, SET … EX of new ones.
 *            Reads jobs from stdin, one a line, and answers "ok" when a job is done; who asks takes
 *            the time.
 *                get KEY COUNT          setex PREFIX SIZE COUNT
 * Lifecycle: one connection to the unix socket given as argument, until stdin ends.
 * Threads:   one. */
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 512, VALUE_SIZE = 4096 };

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

/* Each job writes keys of its own: `create` makes a new token each time, too. */
static bool run_setex(redisContext *redis, const char *prefix, size_t size, long count) {
    static char value[VALUE_SIZE];
    if (size > sizeof value) return false;
    memset(value, 'x', size);
    for (long i = 0; i < count; i++) {
        char key[TEXT_SIZE + 32];
        int key_size = snprintf(key, sizeof key, "%s%ld", prefix, i);
        const char *argv[] = {"SET", key, value, "EX", "3600"};
        const size_t sizes[] = {3, (size_t)key_size, size, 2, 4};
        if (!expect(redisCommandArgv(redis, 5, argv, sizes), REDIS_REPLY_STATUS)) return false;
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: raw_hiredis SOCKET < jobs\n");
        return 2;
    }
    redisContext *redis = redisConnectUnix(argv[1]);
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "raw_hiredis: no connection\n");
        return 1;
    }
    int status = 0;
    char line[TEXT_SIZE], text[TEXT_SIZE];
    while (status == 0 && fgets(line, sizeof line, stdin) != NULL) {
        size_t size = 0;
        long count = 0;
        bool good = false;
        if (sscanf(line, "get %511s %ld", text, &count) == 2) {
            good = run_get(redis, text, count);
        } else if (sscanf(line, "setex %511s %zu %ld", text, &size, &count) == 3) {
            good = run_setex(redis, text, size, count);
        }
        puts(good ? "ok" : "failed");
        fflush(stdout);
        if (!good) status = 1;
    }
    redisFree(redis);
    return status;
}
