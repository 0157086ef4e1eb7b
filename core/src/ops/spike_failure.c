/* spike_failure.c - a failure as text, which other processes read from Redis.
 *
 * One line each: status, HTTP status, its end by the clock of Redis, error, description, URI, the
 * redirect's target, message. None contains a newline or a secret. */
#include <stdio.h>
#include <stdlib.h>

#include "spike_private.h"

enum { LINES = 8 };

tks_bytes tksp_spike_failure_write(const tksp_spike_failure *failure, int64_t ahead_ms,
                                   tksp_arena *arena) {
    char text[TKSP_SPIKE_NOTE_SIZE];
    const tks_spike_answer *said = &failure->answer;
    int n = snprintf(text, sizeof text, "%s\n%d\n%lld\n%s\n%s\n%s\n%s\n%s",
                     tks_status_code(failure->status), said->status,
                     (long long)failure->until_ms + (long long)ahead_ms, said->error,
                     said->description, said->uri, said->location, failure->why);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return tksp_arena_dup(arena, tks_bytes_of(text, size));
}

static bool split(tks_bytes text, tks_bytes *lines) {
    for (size_t i = 0; i < LINES; i++) {
        const char *end = text.size > 0 ? memchr(text.data, '\n', text.size) : NULL;
        if ((end == NULL) != (i == LINES - 1)) return false;
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        lines[i] = tks_bytes_of(text.data, size);
        if (end != NULL) text = tks_bytes_of(end + 1, text.size - size - 1);
    }
    return true;
}

static bool read_status(tks_bytes code, tks_status *out) {
    *out = TKS_ERR_SPIKE;
    if (tks_bytes_equal(code, TKS_LITERAL("spike"))) return true;
    *out = TKS_ERR_SPIKE_AUTH;
    return tks_bytes_equal(code, TKS_LITERAL("spike_auth"));
}

bool tksp_spike_failure_read(tks_bytes text, int64_t ahead_ms, int64_t boot_ms,
                             const tksp_secrets *secrets, tksp_spike_failure *out) {
    tks_bytes lines[LINES];
    if (text.size == 0 || text.size > TKSP_SPIKE_NOTE_SIZE || !split(text, lines) ||
        !read_status(lines[0], &out->status)) {
        return false;
    }
    int64_t status = tksp_spike_read_digits(lines[1]);
    int64_t until = tksp_spike_read_digits(lines[2]);
    if (status < 0 || status > 999 || until < 0) return false;
    out->until_ms = until - ahead_ms;
    if (out->until_ms <= boot_ms || out->until_ms > boot_ms + TKS_SPIKE_RETRY_AFTER_MAX_MS) {
        return false;
    }
    tks_spike_answer *said = &out->answer;
    said->status = (int)status;
    said->retry_after_ms = out->until_ms - boot_ms;
    tksp_said_text(lines[3], secrets, said->error, sizeof said->error);
    tksp_said_text(lines[4], secrets, said->description, sizeof said->description);
    tksp_said_text(lines[5], secrets, said->uri, sizeof said->uri);
    tksp_said_text(lines[6], secrets, said->location, sizeof said->location);
    tksp_said_text(lines[7], secrets, out->why, sizeof out->why);
    return true;
}
