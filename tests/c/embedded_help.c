/* embedded_help.c - see embedded_help.h. */
#define _GNU_SOURCE
#include "embedded_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

typedef struct answer {
    tks_status status;
    char message[TKS_ERROR_SIZE];
    char socket[128];
} answer;

int64_t help_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *help_binary(void) {
    return getenv("TEST_SERVER");
}

/* ---- owners --------------------------------------------------------------------------------- */

static void be_owner(const char *directory, void (*before)(void), void (*after)(void), int to,
                     int from) {
    char command;
    answer a = {.status = TKS_OK};
    tks_error err = TKS_ERROR_INIT;
    tks_embedded *e;
    if (before != NULL) before();
    a.status = tks_embedded_start(directory, help_binary(), HELP_TIMEOUT_MS, NULL, &e, &err);
    memcpy(a.message, err.message, sizeof a.message);
    if (e != NULL) snprintf(a.socket, sizeof a.socket, "%s", tks_embedded_get_socket(e));
    if (after != NULL) after();
    if (write(to, &a, sizeof a) != (ssize_t)sizeof a) _exit(1);
    if (read(from, &command, 1) == 1) tks_embedded_stop(e);
    _exit(0);
}

bool help_own(help_owner *owner, const char *directory, void (*before)(void), void (*after)(void)) {
    int there[2], back[2];
    answer a = {.status = TKS_ERR_MEMORY};
    memset(owner, 0, sizeof *owner);
    if (pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0) return false;
    owner->pid = fork();
    if (owner->pid == 0) {
        close(there[1]);
        close(back[0]);
        be_owner(directory, before, after, back[1], there[0]);
    }
    close(there[0]);
    close(back[1]);
    owner->to = there[1];
    ssize_t n = read(back[0], &a, sizeof a);
    close(back[0]);
    if (n != (ssize_t)sizeof a) a.status = TKS_ERR_MEMORY;
    owner->status = a.status;
    memcpy(owner->message, a.message, sizeof owner->message);
    memcpy(owner->socket, a.socket, sizeof owner->socket);
    if (a.status != TKS_OK) return false;
    owner->server = help_server(owner->socket);
    owner->supervisor = help_parent(owner->server);
    return owner->server > 0;
}

void help_leave(help_owner *owner) {
    if (write(owner->to, "s", 1) != 1) kill(owner->pid, SIGKILL);
    close(owner->to);
    waitpid(owner->pid, NULL, 0);
}

void help_kill(help_owner *owner) {
    kill(owner->pid, SIGKILL);
    waitpid(owner->pid, NULL, 0);
    close(owner->to);
}

tks_embedded *help_start(const char *directory) {
    tks_error err = TKS_ERROR_INIT;
    tks_embedded *e;
    CHECK_STATUS(tks_embedded_start(directory, help_binary(), HELP_TIMEOUT_MS, NULL, &e, &err),
                 TKS_OK);
    CHECK_TEXT(err.message, "");
    return e;
}

tks_status help_fail_start(const char *directory, const char *binary, int64_t timeout_ms,
                           char *message) {
    tks_error err = TKS_ERROR_INIT;
    tks_embedded *e;
    size_t fds = help_count("/proc/self/fd");
    bool had_children = help_has_children(); /* owners that the test has forked */
    tks_status status = tks_embedded_start(directory, binary, timeout_ms, NULL, &e, &err);
    CHECK(e == NULL);
    tks_embedded_stop(e);
    CHECK_INT(help_count("/proc/self/fd"), fds);
    CHECK(help_has_children() == had_children);
    memcpy(message, err.message, TKS_ERROR_SIZE);
    return status;
}

/* ---- servers -------------------------------------------------------------------------------- */

/* Connects and sends the inline `command`; returns the socket, or -1. */
static int send_command(const char *socket_path, const char *command) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 5};
    char line[256];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size = snprintf(line, sizeof line, "%s\r\n", command);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, line, (size_t)size, MSG_NOSIGNAL) == size) {
        return fd;
    }
    close(fd);
    return -1;
}

/* The reply as text; false: none. */
static bool ask(const char *socket_path, const char *command, char *out, size_t size) {
    int fd = send_command(socket_path, command);
    ssize_t n = fd < 0 ? -1 : recv(fd, out, size - 1, 0);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool help_answers(const char *socket, const char *command, const char *want) {
    char reply[16384];
    return ask(socket, command, reply, sizeof reply) && strstr(reply, want) != NULL;
}

int help_keep_busy(const char *socket) {
    CHECK(help_answers(socket, "CONFIG SET lua-time-limit 1", "+OK"));
    int fd = send_command(socket, "EVAL 'while true do end' 0");
    int64_t end = help_now_ms() + HELP_TIMEOUT_MS;
    bool busy = false;
    while (!busy && help_now_ms() < end) busy = help_answers(socket, "PING", "-BUSY");
    CHECK(busy);
    return fd;
}

pid_t help_server(const char *socket) {
    char reply[16384];
    if (!ask(socket, "INFO server", reply, sizeof reply)) return 0;
    const char *at = strstr(reply, "process_id:");
    return at == NULL ? 0 : (pid_t)strtol(at + strlen("process_id:"), NULL, 10);
}

/* The parent of a process and its state letter; 0: no such process. */
static pid_t read_stat(pid_t pid, char *state) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *at = n > 0 ? strrchr(text, ')') : NULL;
    if (at == NULL) return 0;
    *state = at[2];
    return (pid_t)strtol(at + 4, NULL, 10);
}

pid_t help_parent(pid_t pid) {
    char state;
    return read_stat(pid, &state);
}

static int open_pidfd(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, (long)pid, 0L);
}

bool help_has_pidfds(void) {
    int fd = open_pidfd(getpid());
    close(fd);
    return fd >= 0;
}

/* True if it has ended, reaped or not. */
static bool is_dead(pid_t pid) {
    char state = 0;
    return read_stat(pid, &state) == 0 || state == 'Z' || state == 'X';
}

bool help_ended(pid_t pid, int ms) {
    int fd = open_pidfd(pid);
    if (fd < 0 && errno == ESRCH) return true;
    if (fd >= 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, ms);
        close(fd);
        return n == 1;
    }
    /* valgrind 3.19 does not support pidfds: without them stop waits less precisely. */
    int64_t end = help_now_ms() + ms + 2000;
    while (!is_dead(pid) && help_now_ms() < end) poll(NULL, 0, 10);
    return is_dead(pid);
}

bool help_all_gone(const help_owner *owner, int ms) {
    char home[128];
    int64_t end = help_now_ms() + ms;
    bool server = help_ended(owner->server, ms);
    bool supervisor =
        help_ended(owner->supervisor, (int)(end > help_now_ms() ? end - help_now_ms() : 0));
    return server && supervisor && !help_exists(help_home(owner->socket, home));
}

/* ---- files and processes -------------------------------------------------------------------- */

const char *help_home(const char *socket, char *out) {
    snprintf(out, 128, "%s", socket);
    char *slash = strrchr(out, '/');
    if (slash != NULL) *slash = '\0';
    return out;
}

bool help_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

size_t help_count(const char *directory) {
    size_t count = 0;
    DIR *dir = opendir(directory);
    if (dir == NULL) return 0;
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

bool help_has_children(void) {
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

void help_make_directory(char out[64]) {
    snprintf(out, 64, "/tmp/tks-test-XXXXXX");
    CHECK(mkdtemp(out) != NULL);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw) {
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

void help_remove_directory(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void help_write_script(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    CHECK(file != NULL && fputs(text, file) >= 0);
    if (file != NULL) fclose(file);
    chmod(path, 0755);
}
