/* test_embedded.c - a private server lives exactly as long as its owner, and leaves nothing behind. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedded_help.h"
#include "test.h"

enum { SOON_MS = 2000 };

/* The state of an owner in this process. */
static help_owner look_at(const tks_embedded *e) {
    help_owner seen = {.pid = getpid()};
    snprintf(seen.socket, sizeof seen.socket, "%s", tks_embedded_get_socket(e));
    seen.server = help_server(seen.socket);
    seen.supervisor = help_parent(seen.server);
    return seen;
}

/* The number of descriptors that an exec would inherit. */
static size_t count_inheritable(void) {
    size_t count = 0;
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0) count++;
    }
    return count;
}

TEST(embedded_starts_answers_and_stops) {
    char home[128];
    struct stat info;
    size_t fds = help_count("/proc/self/fd"), inheritable = count_inheritable();
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_owner seen = look_at(e);
    help_home(seen.socket, home);

    CHECK(help_answers(seen.socket, "PING", "+PONG"));
    CHECK(help_answers(seen.socket, "CONFIG GET port", "$4\r\nport\r\n$1\r\n0\r\n"));
    CHECK(help_answers(seen.socket, "CONFIG GET save", "$4\r\nsave\r\n$0\r\n"));
    CHECK(help_answers(seen.socket, "CONFIG GET appendonly", "\r\nno\r\n"));
    CHECK(lstat(home, &info) == 0 && S_ISDIR(info.st_mode) && (info.st_mode & 07777) == 0700);
    CHECK(lstat(seen.socket, &info) == 0 && (info.st_mode & 0777) == 0700);
    CHECK(getsid(seen.server) > 0 && getsid(seen.server) != getsid(0));
    CHECK(!help_has_children());
    CHECK_INT(count_inheritable(), inheritable);
    CHECK_INT(help_count("/proc/self/fd"), fds + (help_has_pidfds() ? 2 : 1));

    tks_embedded_stop(e);
    CHECK(help_all_gone(&seen, 0));
    CHECK_INT(help_count("/proc/self/fd"), fds);
    CHECK(!help_has_children());
    tks_embedded_stop(NULL);
}

TEST(embedded_removes_what_the_server_wrote) {
    char home[128];
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_home(tks_embedded_get_socket(e), home);
    CHECK(help_answers(tks_embedded_get_socket(e), "SAVE", "+OK"));
    CHECK(help_answers(tks_embedded_get_socket(e), "CONFIG SET appendonly yes", "+OK"));
    CHECK(help_count(home) >= 5); /* ., .., socket, dump.rdb, appendonlydir */
    tks_embedded_stop(e);
    CHECK(!help_exists(home));
}

/* ---- the owner's death ---------------------------------------------------------------------- */

TEST(embedded_ends_when_the_owner_is_killed) {
    help_owner owner;
    if (!CHECK(help_own(&owner, NULL, NULL, NULL))) return;
    help_kill(&owner);
    CHECK(help_all_gone(&owner, SOON_MS));
}

TEST(embedded_ends_when_the_owner_exits_without_stop) {
    help_owner owner;
    if (!CHECK(help_own(&owner, NULL, NULL, NULL))) return;
    close(owner.to);
    waitpid(owner.pid, NULL, 0);
    CHECK(help_all_gone(&owner, SOON_MS));
}

/* A process forked by an owner that lives until the test closes lifeline[1]. It has a copy of the
 * owner's end of the control socket. */
static int lifeline[2];

static void fork_one_that_stays(void) {
    char byte;
    if (fork() != 0) return;
    close(lifeline[1]);
    while (read(lifeline[0], &byte, 1) > 0) continue;
    _exit(0);
}

TEST(embedded_ends_with_its_owner_while_a_forked_child_lives) {
    help_owner owner;
    if (!CHECK(pipe2(lifeline, O_CLOEXEC) == 0)) return;
    if (CHECK(help_own(&owner, NULL, NULL, fork_one_that_stays))) {
        help_kill(&owner);
        CHECK(help_all_gone(&owner, SOON_MS));
    }
    close(lifeline[0]);
    close(lifeline[1]);
}

TEST(embedded_stop_ends_it_while_a_forked_child_lives) {
    help_owner owner;
    if (!CHECK(pipe2(lifeline, O_CLOEXEC) == 0)) return;
    if (CHECK(help_own(&owner, NULL, NULL, fork_one_that_stays))) {
        help_leave(&owner);
        CHECK(help_all_gone(&owner, 0));
    }
    close(lifeline[0]);
    close(lifeline[1]);
}

/* ---- processes and threads other than the owner --------------------------------------------- */

static void *start_in_thread(void *out) {
    *(tks_embedded **)out = help_start(NULL);
    return NULL;
}

TEST(embedded_outlives_the_thread_that_started_it) {
    pthread_t thread;
    tks_embedded *e = NULL;
    int failed = pthread_create(&thread, NULL, start_in_thread, &e);
    if (failed == 0) pthread_join(thread, NULL);
    if (!CHECK_INT(failed, 0) || e == NULL) return;
    help_owner seen = look_at(e);
    CHECK(
        !help_ended(seen.server, 300)); /* a death signal of the thread would have arrived by now */
    CHECK(help_answers(seen.socket, "PING", "+PONG"));
    tks_embedded_stop(e);
    CHECK(help_all_gone(&seen, 0));
}

TEST(embedded_stop_in_a_forked_child_ends_nothing) {
    int status = -1;
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_owner seen = look_at(e);
    pid_t child = fork();
    if (child == 0) {
        bool answers = help_answers(tks_embedded_get_socket(e), "PING", "+PONG");
        tks_embedded_stop(e);
        _exit(answers ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    CHECK(!help_ended(seen.server, 300));
    CHECK(help_answers(seen.socket, "PING", "+PONG"));
    tks_embedded_stop(e);
    CHECK(help_all_gone(&seen, 0));
}

static void lead_a_group_that_ignores_sigint(void) {
    setpgid(0, 0);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
}

TEST(embedded_is_out_of_the_terminals_reach) {
    help_owner owner;
    if (!CHECK(help_own(&owner, NULL, lead_a_group_that_ignores_sigint, NULL))) return;
    kill(-owner.pid, SIGINT);
    CHECK(!help_ended(owner.server, 300));
    CHECK(help_answers(owner.socket, "PING", "+PONG"));
    help_leave(&owner);
}

TEST(embedded_supervisor_minds_no_signal_meant_for_the_owner) {
    help_owner owner;
    if (!CHECK(help_own(&owner, NULL, lead_a_group_that_ignores_sigint, NULL))) return;
    kill(owner.supervisor, SIGTERM); /* as pkill with the owner's name would */
    CHECK(!help_ended(owner.supervisor, 300));
    help_leave(&owner);
    CHECK(help_all_gone(&owner, 0));
}

/* ---- accidents ------------------------------------------------------------------------------ */

TEST(embedded_cleans_up_when_the_server_dies) {
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_owner seen = look_at(e);
    kill(seen.server, SIGKILL);
    CHECK(help_all_gone(&seen, SOON_MS));
    tks_embedded_stop(e);
}

TEST(embedded_server_ends_when_the_supervisor_is_killed) {
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_owner seen = look_at(e);
    char home[128];
    kill(seen.supervisor, SIGKILL);
    CHECK(help_ended(seen.server, SOON_MS));
    tks_embedded_stop(e);
    CHECK(!help_exists(help_home(seen.socket, home)));
}

TEST(embedded_busy_server_ends_when_the_supervisor_is_killed) {
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    help_owner seen = look_at(e);
    char home[128];
    int busy = help_keep_busy(seen.socket);
    kill(seen.supervisor, SIGKILL);
    CHECK(help_ended(seen.server, SOON_MS));
    close(busy);
    tks_embedded_stop(e);
    CHECK(!help_exists(help_home(seen.socket, home)));
}

TEST(embedded_kills_a_server_that_does_not_end) {
    char base[64];
    help_make_directory(base);
    tks_embedded *e = help_start(base);
    if (e != NULL) {
        help_owner seen = look_at(e);
        int busy = help_keep_busy(seen.socket);
        tks_embedded_stop(e);
        close(busy);
        CHECK(help_all_gone(&seen, 0));
    }
    help_remove_directory(base);
}

/* ---- effects on the host -------------------------------------------------------------------- */

static volatile sig_atomic_t child_signals;

static void count_signal(int number) {
    (void)number;
    child_signals++;
}

TEST(embedded_sends_the_host_no_sigchld) {
    struct sigaction action = {.sa_handler = count_signal}, before;
    sigaction(SIGCHLD, &action, &before);
    tks_embedded *e = help_start(NULL);
    tks_embedded_stop(e);
    sigaction(SIGCHLD, &before, NULL);
    CHECK_INT(child_signals, 0);
}

static void ignore_sigchld(void) {
    signal(SIGCHLD, SIG_IGN);
}

TEST(embedded_works_where_sigchld_is_ignored) {
    help_owner owner;
    if (!CHECK(help_own(&owner, NULL, ignore_sigchld, NULL))) return;
    help_leave(&owner);
    CHECK(help_all_gone(&owner, 0));
}

TEST(embedded_leaves_no_zombie_to_a_subreaper) {
    if (!help_has_pidfds()) {
        test_skip("the kernel has no pidfds, by which a supervisor is reaped");
        return;
    }
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* as if it were process 1 of a container */
    tks_embedded *e = help_start(NULL);
    CHECK(help_has_children());
    tks_embedded_stop(e);
    CHECK(!help_has_children());
    tks_error err = TKS_ERROR_INIT;
    CHECK_STATUS(tks_embedded_start(NULL, "/bin/false", HELP_TIMEOUT_MS, NULL, &e, &err),
                 TKS_ERR_CONNECTION);
    CHECK(!help_has_children());
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(embedded_holds_no_descriptor_of_the_host) {
    int fds[2];
    char byte;
    if (!CHECK(pipe(fds) == 0)) return; /* would be inherited by any exec */
    tks_embedded *e = help_start(NULL);
    close(fds[1]);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    CHECK(poll(&p, 1, 300) == 1 && read(fds[0], &byte, 1) == 0);
    close(fds[0]);
    tks_embedded_stop(e);
}

static void close_stdio(void) {
    for (int fd = 0; fd < 3; fd++) close(fd);
}

TEST(embedded_works_where_the_standard_descriptors_are_closed) {
    help_owner owner;
    fflush(stdout);
    if (!CHECK(help_own(&owner, NULL, close_stdio, NULL))) return;
    help_leave(&owner);
    CHECK(help_all_gone(&owner, 0));
}
