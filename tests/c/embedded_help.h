/* embedded_help.h - for the tests of private servers: owners in separate processes, and checks for live
 * processes, open descriptors and responding servers.
 *
 * An owner child must not use CHECK (it would count in the child): it reports over a pipe. */
#ifndef TKSP_TESTS_EMBEDDED_HELP_H
#define TKSP_TESTS_EMBEDDED_HELP_H

#include <sys/types.h>

#include "tokenstore/embedded.h"

enum { HELP_TIMEOUT_MS = 10000 };

/* A process that owns a private server. */
typedef struct help_owner {
    pid_t pid;
    int to;
    tks_status status; /* the result of its start */
    char message[TKS_ERROR_SIZE];
    char socket[128];
    pid_t server, supervisor;
} help_owner;

/* The server to test: $TEST_SERVER, or NULL. */
const char *help_binary(void);

/* Forks a process that calls `before`, starts a server, and calls `after` (either may be NULL). True
 * if it started. */
bool help_own(help_owner *owner, const char *directory, void (*before)(void), void (*after)(void));

/* Makes the owner stop its server and exit; reaps it. */
void help_leave(help_owner *owner);

/* Kills the owner with SIGKILL; reaps it. */
void help_kill(help_owner *owner);

/* Starts in this process; a failure is a failed check. */
tks_embedded *help_start(const char *directory);

/* A start in this process that must fail, leaving nothing open or running; `message` is
 * TKS_ERROR_SIZE bytes. */
tks_status help_fail_start(const char *directory, const char *binary, int64_t timeout_ms,
                           char *message);

/* True if the server at `socket` answers the inline `command` with text that contains `want`. */
bool help_answers(const char *socket, const char *command, const char *want);

/* Makes the server run an endless script, so that only SIGKILL ends it. Returns the connection. */
int help_keep_busy(const char *socket);

/* The process id of the server at `socket`, 0 if it does not answer; the parent of a process. */
pid_t help_server(const char *socket);
pid_t help_parent(pid_t pid);

/* Waits until the process has ended; false if it has not within `ms`. */
bool help_ended(pid_t pid, int ms);

/* Waits for server, supervisor and private directory to be gone. */
bool help_all_gone(const help_owner *owner, int ms);

/* The private directory of a socket; a caller's buffer of 128 bytes. */
const char *help_home(const char *socket, char *out);

bool help_has_pidfds(void); /* valgrind may hide them */
int64_t help_now_ms(void);
bool help_exists(const char *path);
size_t help_count(const char *directory); /* entries */
bool help_has_children(void);

/* Creates a new directory in /tmp, and removes it with its contents. */
void help_make_directory(char out[64]);
void help_remove_directory(const char *path);

/* Writes an executable script. */
void help_write_script(const char *path, const char *text);

#endif
