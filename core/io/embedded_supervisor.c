/* embedded_supervisor.c - the process between an owner and its private server.
 *
 *     owner ──(socket pair; pidfd)── supervisor ──(signals, wait)── server
 *
 * Purpose:   stops the server when the owner asks for it or dies, and leaves nothing behind. It watches the
 *            owner's process, because EOF on the socket pair is not enough: a child forked by the owner has a
 *            copy of the owner's end. The supervisor creates all files, so that it can always remove them.
 * Lifecycle: tksp_supervise never returns. It acquires the lock, the data directory, the private directory
 *            and the server in this order, and releases them in reverse.
 * Threads:   a fork of a process that may have had many threads, of which one continues here: only system
 *            calls, no malloc, no stdio, nothing that takes a lock. */
#define _GNU_SOURCE
#include "embedded_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum event { TIME_OVER, OWNER_LEFT, SERVER_ENDED } event;

typedef struct supervisor {
    const tksp_plan *plan;
    bool leaving;     /* shutting down; the owner is no longer watched */
    int data;         /* the data directory, or -1 */
    int lock;         /* the lock file in it, or -1 */
    size_t place;     /* the index of the private directory */
    int home;         /* the private directory, or -1 */
    pid_t server;     /* also its process group; 0: none */
    int server_fd;    /* its pidfd, or -1 */
    int output;       /* the read end of its output, or -1 */
    tksp_report last; /* with the end of its output */
    size_t last_size;
} supervisor;

pid_t tksp_fork(void) {
    /* All arguments are 0, because their order depends on the architecture. */
    return (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
}

void tksp_report_send(int control, const tksp_report *report) {
    while (send(control, report, sizeof *report, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
           errno == EINTR) {
    }
}

static void report(const supervisor *s, tksp_report_kind kind, int code, pid_t pid) {
    tksp_report message = {.kind = kind, .code = code, .pid = pid, .place = s->place};
    tksp_report_send(s->plan->control, &message);
}

static int open_pidfd(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, (long)pid, 0L);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Reads the server's output and keeps the end of it. */
static void read_output(supervisor *s) {
    char chunk[TKSP_OUTPUT_SIZE];
    while (s->output >= 0) {
        ssize_t n = read(s->output, chunk, sizeof chunk);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            close(s->output);
            s->output = -1;
            return;
        }
        size_t size = (size_t)n;
        size_t kept = TKSP_OUTPUT_SIZE - size;
        if (kept > s->last_size) kept = s->last_size;
        memmove(s->last.output, s->last.output + s->last_size - kept, kept);
        memcpy(s->last.output + kept, chunk, size);
        s->last_size = kept + size;
    }
}

/* Does not reap it, so that its process id and group are not reused. */
static bool server_ended(const supervisor *s) {
    siginfo_t info = {.si_pid = 0};
    if (s->server == 0) return false;
    int result = waitid(P_PID, (id_t)s->server, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
    return result == 0 ? info.si_pid == s->server : errno != EINTR;
}

static bool owner_left(const supervisor *s, const struct pollfd *control,
                       const struct pollfd *owner) {
    if (s->leaving) return false;
    /* A stop request, or all copies of the other end are closed. */
    if (control->revents != 0) return true;
    if (s->plan->owner_fd >= 0) return owner->revents != 0;
    return kill(s->plan->owner, 0) != 0 && errno == ESRCH;
}

/* Waits for an event for `ms` milliseconds (-1: forever). */
static event wait_event(supervisor *s, int64_t ms) {
    int64_t end = tksp_clock_ms() + ms;
    bool blind = s->plan->owner_fd < 0 || (s->server != 0 && s->server_fd < 0);
    for (;;) {
        int64_t left = ms < 0 ? -1 : end - tksp_clock_ms();
        if (ms >= 0 && left < 0) left = 0;
        if (blind && (left < 0 || left > TKSP_POLL_MS)) left = TKSP_POLL_MS;
        struct pollfd fds[] = {
            {.fd = s->leaving ? -1 : s->plan->control, .events = POLLIN},
            {.fd = s->leaving ? -1 : s->plan->owner_fd, .events = POLLIN},
            {.fd = s->server_fd, .events = POLLIN},
            {.fd = s->output, .events = POLLIN},
        };
        if (poll(fds, sizeof fds / sizeof *fds, (int)left) < 0) {
            for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) fds[i].revents = 0;
        }
        if (fds[3].revents != 0) read_output(s);
        if (server_ended(s)) return SERVER_ENDED;
        if (owner_left(s, &fds[0], &fds[1])) return OWNER_LEFT;
        if (ms >= 0 && tksp_clock_ms() >= end) return TIME_OVER;
    }
}

/* ---- beginning ------------------------------------------------------------------------------ */

/* Detaches from the owner's signal handlers, descriptors, working directory and umask. All signals stay
 * blocked: a signal sent to all processes with the owner's name must end the owner; the server follows. */
static bool settle(supervisor *s) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++) sigaction(i, &action, NULL);
    prctl(PR_SET_NAME, "tks-supervisor");
    umask(077);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        if (null < 0 || dup2(null, i) < 0) {
            report(s, TKSP_NO_PROCESS, errno, 0);
            return false;
        }
    }
    tksp_close_all_but(s->plan->control, s->plan->owner_fd);
    return true;
}

static pid_t read_pid(int fd) {
    char text[24];
    pid_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text, 0);
    for (ssize_t i = 0; i < n && i < 9 && text[i] >= '0' && text[i] <= '9'; i++) {
        pid = pid * 10 + (text[i] - '0');
    }
    return pid;
}

/* Opens the data directory and locks it. The lock file is never removed: another process may just have opened
 * it, and would lock a deleted file. */
static bool own_directory(supervisor *s) {
    const char *path = s->plan->directory;
    if (path == NULL) return true;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) goto unusable;
    s->data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->data < 0) goto unusable;
    s->lock = openat(s->data, "tokenstore.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0) goto unusable;

    int64_t end = tksp_clock_ms() + TKSP_LOCK_WAIT_MS;
    while (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) goto unusable;
        if (tksp_clock_ms() >= end) {
            report(s, TKSP_IN_USE, 0, read_pid(s->lock));
            return false;
        }
        if (wait_event(s, 20) == OWNER_LEFT) return false;
    }
    const char *text = s->plan->owner_text;
    if (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, text, strlen(text), 0) < 0) goto unusable;
    return true;

unusable:
    report(s, TKSP_NO_DIRECTORY, errno, 0);
    return false;
}

/* Creates the private directory in the first usable place. */
static bool make_home(supervisor *s) {
    int why = ENOENT;
    for (s->place = 0; s->place < s->plan->count; s->place++) {
        const char *path = s->plan->places[s->place].directory;
        if (mkdir(path, 0700) == 0) {
            s->home = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (s->home >= 0) return true;
            why = errno;
            rmdir(path);
        } else {
            why = errno;
        }
    }
    report(s, TKSP_NO_PLACE, why, 0);
    return false;
}

/* Runs in the server's process, up to exec. */
static noreturn void become_server(const supervisor *s, pid_t parent, int config, int output) {
    char dash[] = "-";
    char *arguments[] = {s->plan->binary, dash, NULL};
    sigset_t none;
    sigemptyset(&none);
    /* The server dies with the supervisor even if that is killed. SIGKILL, because a server in an endless
     * script ignores SIGTERM and nothing is left to escalate. The signal is sent when the forking thread
     * exits; the supervisor has only one. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);
    bool ready = dup2(config, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0 &&
                 fchdir(s->data >= 0 ? s->data : s->home) == 0;
    /* The server inherits the lock, so that the data stays locked for as long as any process writes it. */
    if (ready && s->lock >= 0) ready = fcntl(s->lock, F_SETFD, 0) == 0;
    if (ready) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(s->plan->binary, arguments, s->plan->environment);
    }
    report(s, TKSP_NO_EXEC, errno, 0);
    _exit(127);
}

static bool start_server(supervisor *s) {
    const tksp_place *place = &s->plan->places[s->place];
    int config[2] = {-1, -1}, output[2] = {-1, -1};
    pid_t parent = getpid();
    bool ready = pipe2(config, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0 &&
                 fcntl(output[0], F_SETFL, O_NONBLOCK) == 0 &&
                 write(config[1], place->config, place->config_size) == (ssize_t)place->config_size;
    close(config[1]);
    config[1] = -1;
    pid_t pid = ready ? tksp_fork() : -1;
    if (pid == 0) become_server(s, parent, config[0], output[1]);
    if (pid < 0) report(s, TKSP_NO_PROCESS, errno, 0);
    close(config[0]);
    close(output[1]);
    s->output = output[0];
    if (pid < 0) return false;
    setpgid(pid, pid); /* in parent and child: whichever runs first */
    s->server = pid;
    s->server_fd = open_pidfd(pid);
    return true;
}

/* ---- ending --------------------------------------------------------------------------------- */

/* Ends the server's process group: a wrapper script, the server, a child that rewrites its file. A server
 * with data gets SIGTERM first, so that it can write everything. Acknowledged writes have reached the kernel
 * even if it must be killed. */
static void end_server(supervisor *s) {
    if (s->server == 0) return;
    s->leaving = true;
    if (s->data >= 0) {
        kill(-s->server, SIGTERM);
        wait_event(s, TKSP_TERM_GRACE_MS);
    }
    kill(-s->server, SIGKILL); /* the group's id is not reused until the server is reaped */
    wait_event(s, -1);
    waitpid(s->server, &s->last.code, __WALL);
    s->server = 0;
}

static void remove_home(supervisor *s) {
    if (s->home < 0) return;
    tksp_remove_entries(s->home);
    close(s->home);
    rmdir(s->plan->places[s->place].directory);
}

noreturn void tksp_supervise(const tksp_plan *plan) {
    supervisor s =
        {.plan = plan, .data = -1, .lock = -1, .home = -1, .server_fd = -1, .output = -1};
    report(&s, TKSP_SPAWNED, 0, getpid());
    if (settle(&s) && own_directory(&s) && chdir("/") == 0 && make_home(&s) && start_server(&s)) {
        report(&s, TKSP_STARTED, 0, 0);
        bool by_itself = wait_event(&s, -1) == SERVER_ENDED;
        end_server(&s);
        if (by_itself) {
            s.last.kind = TKSP_ENDED;
            tksp_report_send(plan->control, &s.last);
        }
    }
    remove_home(&s);
    close(s.lock);
    report(&s, TKSP_GONE, 0, 0);
    _exit(0);
}
