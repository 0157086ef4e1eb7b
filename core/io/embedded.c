/* embedded.c - the owner's side of a private server: start it, wait for it, stop it.
 *
 * Purpose:   tks_embedded_start makes a plan, starts a supervisor process that executes it, and polls the
 *            server's socket until it answers PING. The supervisor reports failures; this file turns them
 *            into messages.
 * Lifecycle: see tokenstore/embedded.h. The owner holds two descriptors, both close-on-exec: the
 *            control socket, and a pidfd of the supervisor to wait for its exit.
 * Threads:   no state but the handle's. Signals are blocked in the calling thread during the fork, so that none
 *            of the host's handlers runs in the child. */
#define _GNU_SOURCE
#include "tokenstore/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedded_private.h"

struct tks_embedded {
    pid_t owner;
    int control;
    int supervisor_fd; /* -1 where the kernel has no pidfds */
    bool gone;         /* the supervisor reported the end, or exited */
    char socket[TKSP_SOCKET_SIZE];
    tks_embedded *next; /* of a cluster */
};

/* A start in progress. */
typedef struct starting {
    tks_embedded *embedded;
    const tksp_plan *plan;
    const tks_interrupt *interrupt;
    int64_t timeout_ms;
    int64_t deadline;
    bool started; /* the server process exists; `embedded->socket` is known */
    tks_error *err;
} starting;

/* ---- the supervisor's reports ------------------------------------------------------------- */

/* The last line of what a server printed, without process id and time: "42:M 1 Jan … # Why". */
static const char *last_line(char *output) {
    size_t size = strlen(output);
    while (size > 0 && (output[size - 1] == '\n' || output[size - 1] == ' ')) output[--size] = '\0';
    char *line = strrchr(output, '\n');
    line = line == NULL ? output : line + 1;
    for (char *at = line; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') *at = ' ';
    }
    char *mark = strstr(line, " # ");
    if (mark != NULL && line[0] >= '0' && line[0] <= '9') line = mark + 3;
    return *line == '\0' ? "it printed nothing" : line;
}

static tks_status fail_ended(const starting *s, tksp_report *report) {
    report->output[TKSP_OUTPUT_SIZE] = '\0';
    bool killed = WIFSIGNALED(report->code);
    return tks_fail(
        s->err, TKS_ERR_CONNECTION, "embedded: the server exited while starting (%s %d): %s",
        killed ? "signal" : "exit status",
        killed ? WTERMSIG(report->code) : WEXITSTATUS(report->code), last_line(report->output));
}

static tks_status fail_in_use(const starting *s, pid_t by) {
    if (by == 0) {
        return tks_fail(s->err, TKS_ERR_CONFIGURATION,
                        "embedded: the data directory is in use by another process: %s",
                        s->plan->directory);
    }
    return tks_fail(
        s->err, TKS_ERR_CONFIGURATION,
        "embedded: the data directory is in use by process %ld; only one process may use it: %s",
        (long)by, s->plan->directory);
}

static tks_status take_report(starting *s) {
    tksp_report report;
    tks_embedded *e = s->embedded;
    ssize_t n = recv(e->control, &report, sizeof report, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return TKS_OK;
    if (n != (ssize_t)sizeof report) report.kind = TKSP_GONE;
    switch (report.kind) {
    case TKSP_SPAWNED:
        e->supervisor_fd = (int)syscall(SYS_pidfd_open, (long)report.pid, 0L);
        return TKS_OK;
    case TKSP_STARTED:
        memcpy(e->socket, s->plan->places[report.place].socket, sizeof e->socket);
        s->started = true;
        return TKS_OK;
    case TKSP_NO_DIRECTORY:
        return tks_fail(s->err, TKS_ERR_CONFIGURATION,
                        "embedded: the data directory cannot be used (%s): %s",
                        strerror(report.code), s->plan->directory);
    case TKSP_IN_USE: return fail_in_use(s, report.pid);
    case TKSP_NO_PLACE:
        return tks_fail(
            s->err, TKS_ERR_CONFIGURATION,
            "embedded: no directory for the private socket (%s); set XDG_RUNTIME_DIR or "
            "TMPDIR to a writable directory with a short path",
            strerror(report.code));
    case TKSP_NO_EXEC:
        return tks_fail(s->err, TKS_ERR_CONFIGURATION,
                        "embedded: the server cannot be run (%s): %s", strerror(report.code),
                        s->plan->binary);
    case TKSP_NO_PROCESS:
        return tks_fail(s->err, TKS_ERR_CONNECTION,
                        "embedded: the server process could not be started (%s)",
                        strerror(report.code));
    case TKSP_ENDED: return fail_ended(s, &report);
    case TKSP_GONE: break;
    }
    e->gone = true;
    return tks_fail(s->err, TKS_ERR_CONNECTION, "embedded: the server's supervisor exited");
}

/* ---- the supervisor ----------------------------------------------------------------------- */

/* A host may run with its standard descriptors closed; the supervisor needs 0 to 2 itself. */
static int above_stdio(int fd) {
    if (fd < 0 || fd > 2) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return moved;
}

/* Starts the supervisor as a grandchild in a separate session, so that the terminal's signals do not reach
 * it; the intermediate child is reaped at once. */
static tks_status spawn_supervisor(const tksp_plan *plan, tks_error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = tksp_fork();
    if (child == 0) {
        setsid();
        pid_t grandchild = tksp_fork();
        if (grandchild == 0) tksp_supervise(plan);
        tksp_report failure = {.kind = TKSP_NO_PROCESS, .code = errno};
        if (grandchild < 0) tksp_report_send(plan->control, &failure);
        _exit(0);
    }
    int why = errno;
    while (child > 0 && waitpid(child, NULL, __WALL) < 0 && errno == EINTR) continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child > 0) return TKS_OK;
    return tks_fail(err, TKS_ERR_CONNECTION,
                    "embedded: the server process could not be started (%s)", strerror(why));
}

static tks_status begin(tks_embedded *e, tksp_plan *plan, tks_error *err) {
    int ends[2] = {-1, -1};
    tks_status status = TKS_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
        e->control = ends[0];
        plan->control = above_stdio(ends[1]);
    }
    if (plan->control < 0) {
        status = tks_fail(err, TKS_ERR_CONNECTION,
                          "embedded: could not create the control socket (%s)", strerror(errno));
        goto cleanup;
    }
    plan->owner_fd = above_stdio((int)syscall(SYS_pidfd_open, (long)plan->owner, 0L));
    status = spawn_supervisor(plan, err);
cleanup:
    close(plan->control);
    close(plan->owner_fd);
    return status;
}

/* ---- waiting for the server --------------------------------------------------------------- */

/* Waits at most `ms` for a report or, unless it is -1, for `fd`. *ready: `fd` is readable. */
static tks_status pause_for(starting *s, int fd, int ms, bool *ready) {
    struct pollfd fds[] = {{.fd = s->embedded->control, .events = POLLIN},
                           {.fd = fd, .events = POLLIN}};
    *ready = false;
    if (tksp_clock_ms() >= s->deadline) {
        return tks_fail(s->err, TKS_ERR_CONNECTION,
                        "embedded: the server did not accept connections within %ld ms",
                        (long)s->timeout_ms);
    }
    int n = poll(fds, 2, ms);
    if (s->interrupt != NULL && s->interrupt->check(s->interrupt->context)) {
        return tks_fail(s->err, TKS_ERR_INTERRUPTED, "%s", tks_status_text(TKS_ERR_INTERRUPTED));
    }
    if (n <= 0) return TKS_OK;
    *ready = fds[1].revents != 0;
    return fds[0].revents != 0 ? take_report(s) : TKS_OK;
}

/* A node of a cluster has a password. */
static bool is_up(const char *reply, ssize_t size) {
    return size >= 7 && (memcmp(reply, "+PONG\r\n", 7) == 0 || memcmp(reply, "-NOAUTH", 7) == 0);
}

/* Sends PING on a new connection. *pong stays false if there is no socket yet, or the server is still loading
 * its data. */
static tks_status ping(starting *s, bool *pong) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char reply[64];
    tks_status status = TKS_OK;
    memcpy(address.sun_path, s->embedded->socket, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return tks_fail(s->err, TKS_ERR_CONNECTION, "embedded: could not create a socket (%s)",
                        strerror(errno));
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) goto cleanup;
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) goto cleanup;
    for (bool ready = false; status == TKS_OK && !ready;) {
        status = pause_for(s, fd, TKSP_POLL_MS, &ready);
    }
    if (status == TKS_OK) {
        *pong = is_up(reply, recv(fd, reply, sizeof reply, 0));
    }
cleanup:
    close(fd);
    return status;
}

static tks_status await_server(starting *s) {
    tks_status status = TKS_OK;
    bool ready = false, pong = false;
    s->deadline = tksp_clock_ms() + s->timeout_ms + TKSP_LOCK_WAIT_MS;
    while (status == TKS_OK && !s->started) status = pause_for(s, -1, TKSP_POLL_MS, &ready);
    s->deadline = tksp_clock_ms() + s->timeout_ms;
    for (int ms = 1; status == TKS_OK && !pong; ms = ms < 16 ? 2 * ms : ms) {
        status = pause_for(s, -1, ms, &ready);
        if (status == TKS_OK) status = ping(s, &pong);
    }
    return status;
}

tks_status tksp_embedded_start(const char *directory, const char *binary, const char *more,
                               int64_t timeout_ms, const tks_interrupt *interrupt,
                               tks_embedded **out, tks_error *err) {
    tksp_plan plan;
    *out = NULL;
    tks_status status = tksp_plan_init(&plan, directory, binary, more, err);
    if (status != TKS_OK) goto cleanup;
    tks_embedded *e = calloc(1, sizeof *e);
    if (e == NULL) {
        status = tks_fail_memory(err);
        goto cleanup;
    }
    e->owner = plan.owner;
    e->control = -1;
    e->supervisor_fd = -1;

    starting s = {.embedded = e,
                  .plan = &plan,
                  .interrupt = interrupt,
                  .timeout_ms = timeout_ms,
                  .err = err};
    status = begin(e, &plan, err);
    if (status == TKS_OK) status = await_server(&s);
    if (status == TKS_OK) {
        *out = e;
    } else {
        tks_embedded_stop(e);
    }
cleanup:
    tksp_plan_clear(&plan);
    return status;
}

tks_status tks_embedded_start(const char *directory, const char *binary, int64_t timeout_ms,
                              const tks_interrupt *interrupt, tks_embedded **out, tks_error *err) {
    return tksp_embedded_start(directory, binary, "port 0\n", timeout_ms, interrupt, out, err);
}

void tksp_embedded_join(tks_embedded *first, tks_embedded *next) {
    next->next = first->next;
    first->next = next;
}

const char *tks_embedded_get_socket(const tks_embedded *embedded) {
    return embedded->socket;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* For a supervisor that was killed and could not clean up. The server dies with it and leaves only a socket
 * there. */
static void remove_home(tks_embedded *e) {
    unlink(e->socket);
    char *slash = strrchr(e->socket, '/');
    if (slash == NULL) return;
    *slash = '\0';
    rmdir(e->socket);
}

/* Tells the supervisor to exit and waits for it. Copies of the control socket in other processes cannot
 * prevent this: shutdown() affects all of them. */
static void end_supervisor(tks_embedded *e) {
    tksp_report report;
    int64_t deadline = tksp_clock_ms() + 2 * TKSP_TERM_GRACE_MS;
    shutdown(e->control, SHUT_WR);
    while (!e->gone && tksp_clock_ms() < deadline) {
        struct pollfd fd = {.fd = e->control, .events = POLLIN};
        if (poll(&fd, 1, TKSP_POLL_MS) <= 0) continue;
        ssize_t n = recv(e->control, &report, sizeof report, MSG_DONTWAIT);
        e->gone = n <= 0 || report.kind == TKSP_GONE;
        if (n <= 0) remove_home(e);
    }
    if (e->supervisor_fd < 0) return;
    struct pollfd fd = {.fd = e->supervisor_fd, .events = POLLIN};
    while (poll(&fd, 1, TKSP_POLL_MS) <= 0 && tksp_clock_ms() < deadline) continue;
    /* If the owner is process 1 (a container) or a subreaper, the supervisor is its child: reap it. */
    if (fd.revents != 0) waitid(P_PIDFD, (id_t)e->supervisor_fd, NULL, WEXITED | WNOHANG | __WALL);
}

static void stop_one(tks_embedded *embedded) {
    if (embedded->control >= 0 && getpid() == embedded->owner) end_supervisor(embedded);
    close(embedded->control);
    close(embedded->supervisor_fd);
    free(embedded);
}

void tks_embedded_stop(tks_embedded *embedded) {
    while (embedded != NULL) {
        tks_embedded *next = embedded->next;
        stop_one(embedded);
        embedded = next;
    }
}
