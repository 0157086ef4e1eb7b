/* embedded_private.h - shared by the owner and its supervisor process.
 *
 * Purpose:   the owner (embedded.c) prepares everything in a tksp_plan. The supervisor (embedded_supervisor.c)
 *            is a fork of the owner that may only make system calls; it sends tksp_reports over a socket
 *            pair. The owner creates nothing on disk, so that nothing is left if it is killed. */
#ifndef TKSP_IO_EMBEDDED_PRIVATE_H
#define TKSP_IO_EMBEDDED_PRIVATE_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#include "tokenstore/embedded.h"

enum {
    TKSP_PLACES = 3, /* $XDG_RUNTIME_DIR, $TMPDIR, /tmp */
    TKSP_SOCKET_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path),
    TKSP_CONFIG_SIZE = 1024,  /* always fits into a pipe without a reader */
    TKSP_OUTPUT_SIZE = 512,   /* bytes of the server's last output that are kept */
    TKSP_LOCK_WAIT_MS = 2000, /* the previous owner's server may still be exiting */
    TKSP_TERM_GRACE_MS =
        3000,         /* from SIGTERM to SIGKILL; acknowledged writes have reached the kernel */
    TKSP_POLL_MS = 50 /* polling interval where the kernel has no pidfds */
};

/* A private directory to try. */
typedef struct tksp_place {
    char directory[TKSP_SOCKET_SIZE];
    char socket[TKSP_SOCKET_SIZE]; /* its path in the directory */
    char config[TKSP_CONFIG_SIZE]; /* the server reads it from standard input */
    size_t config_size;
} tksp_place;

typedef struct tksp_plan {
    pid_t owner;
    char owner_text[24];   /* `owner` as text for the lock file, with a newline */
    int owner_fd;          /* a pidfd; -1 where the kernel has none */
    int control;           /* the supervisor's end */
    char *binary;          /* an absolute path */
    char **environment;    /* NULL-terminated; the strings belong to the owner */
    const char *directory; /* the data directory, or NULL; borrowed */
    const char *more;      /* lines for its configuration; borrowed */
    size_t count;
    tksp_place places[TKSP_PLACES];
} tksp_plan;

typedef enum tksp_report_kind {
    TKSP_SPAWNED,      /* `pid`: the supervisor; always the first */
    TKSP_STARTED,      /* `place`: the one in use. The server is being started */
    TKSP_NO_DIRECTORY, /* `code`: errno */
    TKSP_IN_USE,       /* `pid`: the directory's owner, or 0 */
    TKSP_NO_PLACE,     /* `code`: errno of the last place tried */
    TKSP_NO_EXEC,      /* `code`: errno */
    TKSP_NO_PROCESS,   /* `code`: errno of fork, pipe … */
    TKSP_ENDED,        /* the server exited. `code`: wait status; `output`: its last output */
    TKSP_GONE          /* always the last: no server, no files, no lock */
} tksp_report_kind;

typedef struct tksp_report {
    tksp_report_kind kind;
    int code;
    pid_t pid;
    size_t place;
    char output[TKSP_OUTPUT_SIZE + 1];
} tksp_report;

/* Starts one server, with `more` lines of configuration. See tokenstore/embedded.h. */
tks_status tksp_embedded_start(const char *directory, const char *binary, const char *more,
                               int64_t timeout_ms, const tks_interrupt *interrupt,
                               tks_embedded **out, tks_error *err);

/* Has the first stop the others, too. */
void tksp_embedded_join(tks_embedded *first, tks_embedded *next);

/* Finds the binary (`binary` NULL: redis-server, else valkey-server) and fills in all but owner_fd
 * and control. TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY; tksp_plan_clear in each case. */
tks_status tksp_plan_init(tksp_plan *plan, const char *directory, const char *binary,
                          const char *more, tks_error *err);
void tksp_plan_clear(tksp_plan *plan);

/* fork() without side effects: no pthread_atfork handlers run (they may wait for locks of threads that the
 * child does not have), the parent gets no SIGCHLD, and its waitpid(-1) does not reap the child. The child
 * may only make system calls. */
pid_t tksp_fork(void);

/* Sends a report; never blocks, never raises SIGPIPE. */
void tksp_report_send(int control, const tksp_report *report);

/* Runs the supervisor; call it in the child with all signals blocked. Does not return. */
noreturn void tksp_supervise(const tksp_plan *plan);

/* Removes everything in the directory that `fd` is open on; system calls only. */
void tksp_remove_entries(int fd);

/* Closes every descriptor from 3 up but `a` and `b` (-1: none); system calls only. */
void tksp_close_all_but(int a, int b);

static inline int64_t tksp_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
