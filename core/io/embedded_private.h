/* embedded_private.h - what the owner and its supervisor process agree on.
 *
 * Purpose:   the owner (embedded.c) thinks everything out beforehand in a tksp_plan; the supervisor
 *            (embedded_supervisor.c) is a copy of the owner's process that may only make system
 *            calls, and answers with tksp_reports over a socket pair. The owner itself creates
 *            nothing on disk, so that nothing is left if it is killed at any moment. */
#ifndef TKSP_IO_EMBEDDED_PRIVATE_H
#define TKSP_IO_EMBEDDED_PRIVATE_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#include "tokenstore/status.h"

enum {
    TKSP_PLACES = 3, /* $XDG_RUNTIME_DIR, $TMPDIR, /tmp */
    TKSP_SOCKET_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path),
    TKSP_CONFIG_SIZE = 1024,   /* less than a pipe takes without a reader, whatever its size */
    TKSP_OUTPUT_SIZE = 512,    /* how much of the server's last output is kept */
    TKSP_LOCK_WAIT_MS = 2000,  /* the last owner's server may still be ending */
    TKSP_TERM_GRACE_MS = 3000, /* from SIGTERM to SIGKILL; acknowledged writes are in the kernel */
    TKSP_POLL_MS = 50          /* how often to look where the kernel cannot tell */
};

/* A private directory to try. */
typedef struct tksp_place {
    char directory[TKSP_SOCKET_SIZE];
    char socket[TKSP_SOCKET_SIZE]; /* in it */
    char config[TKSP_CONFIG_SIZE]; /* what the server reads from its standard input */
    size_t config_size;
} tksp_place;

typedef struct tksp_plan {
    pid_t owner;
    char owner_text[24];   /* the same for the lock file, with a newline */
    int owner_fd;          /* a pidfd; -1 where the kernel has none */
    int control;           /* the supervisor's end */
    char *binary;          /* an absolute path */
    char **environment;    /* NULL at its end; the strings are the owner's */
    const char *directory; /* where the data stays, or NULL; borrowed */
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
    TKSP_ENDED,        /* the server ended by itself. `code`: wait status; `output`: its last */
    TKSP_GONE          /* always the last: no server, no files, no lock */
} tksp_report_kind;

typedef struct tksp_report {
    tksp_report_kind kind;
    int code;
    pid_t pid;
    size_t place;
    char output[TKSP_OUTPUT_SIZE + 1];
} tksp_report;

/* Finds the binary (`binary` NULL: redis-server, else valkey-server) and fills in all but owner_fd
 * and control. TKS_OK, TKS_ERR_CONFIGURATION, TKS_ERR_MEMORY; tksp_plan_clear in each case. */
tks_status tksp_plan_init(tksp_plan *plan, const char *directory, const char *binary,
                          tks_error *err);
void tksp_plan_clear(tksp_plan *plan);

/* fork() without its company: no handlers of pthread_atfork run (they may wait for locks of threads
 * that the copy does not have), and the parent gets no SIGCHLD and cannot reap the child by accident
 * in a waitpid(-1) of its own. The child may only make system calls. */
pid_t tksp_fork(void);

/* Sends a report; never waits, never raises SIGPIPE. */
void tksp_report_send(int control, const tksp_report *report);

/* The supervisor's whole life, to be called in the child with all signals blocked. */
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
