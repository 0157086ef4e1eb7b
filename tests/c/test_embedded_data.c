/* test_embedded_data.c - data directories: persistence, exclusive ownership, errors. */
#define _GNU_SOURCE
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "embedded_help.h"
#include "test.h"

/* ---- data directories ----------------------------------------------------------------------- */

static void check_persistence(const char *directory) {
    struct stat info;
    tks_embedded *e = help_start(directory);
    if (e == NULL) return;
    CHECK(stat(directory, &info) == 0 && (info.st_mode & 07777) == 0700);
    CHECK(help_answers(tks_embedded_get_socket(e), "CONFIG GET appendonly", "\r\nyes\r\n"));
    CHECK(help_answers(tks_embedded_get_socket(e), "SET key value", "+OK"));
    tks_embedded_stop(e);
    e = help_start(directory);
    if (e == NULL) return;
    CHECK(help_answers(tks_embedded_get_socket(e), "GET key", "value"));
    tks_embedded_stop(e);
}

TEST(embedded_keeps_its_data_in_a_directory) {
    char base[64], directory[128];
    static const char *const names[] = {"data", "with space", "q\"uo'te\\", "new\nline", "%d#{}*é"};
    help_make_directory(base);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        test_context("%s", names[i]);
        snprintf(directory, sizeof directory, "%s/%s", base, names[i]);
        check_persistence(directory);
    }
    help_remove_directory(base);
}

TEST(embedded_takes_a_relative_directory) {
    char base[64], here[4096], data[128];
    help_make_directory(base);
    CHECK(getcwd(here, sizeof here) != NULL && chdir(base) == 0);
    check_persistence("data");
    snprintf(data, sizeof data, "%s/data/appendonlydir", base);
    CHECK(help_exists(data) || help_exists("data/appendonly.aof"));
    CHECK(chdir(here) == 0);
    help_remove_directory(base);
}

TEST(embedded_keeps_what_was_acknowledged_when_the_owner_is_killed) {
    char base[64];
    help_owner owner;
    help_make_directory(base);
    if (CHECK(help_own(&owner, base, NULL, NULL))) {
        CHECK(help_answers(owner.socket, "SET key value", "+OK"));
        help_kill(&owner);
        tks_embedded *e =
            help_start(base); /* immediately: it waits until the old server has exited */
        if (e != NULL) CHECK(help_answers(tks_embedded_get_socket(e), "GET key", "value"));
        tks_embedded_stop(e);
    }
    help_remove_directory(base);
}

TEST(embedded_directory_has_one_owner) {
    char base[64], message[TKS_ERROR_SIZE], want[64];
    help_owner owner;
    help_make_directory(base);
    if (CHECK(help_own(&owner, base, NULL, NULL))) {
        snprintf(want, sizeof want, "in use by process %ld;", (long)owner.pid);
        int64_t before = help_now_ms();
        CHECK_STATUS(help_fail_start(base, help_binary(), 500, message), TKS_ERR_CONFIGURATION);
        CHECK(help_now_ms() - before < 3000);
        CHECK_CONTAINS(message, want);
        CHECK(help_answers(owner.socket, "PING", "+PONG"));
        help_leave(&owner);
    }
    tks_embedded *e = help_start(base);
    CHECK_STATUS(help_fail_start(base, help_binary(), 500, message),
                 TKS_ERR_CONFIGURATION); /* same process */
    tks_embedded_stop(e);
    help_remove_directory(base);
}

static void *leave_later(void *owner) {
    static const struct timespec moment = {.tv_nsec = 300 * 1000 * 1000};
    nanosleep(&moment, NULL); /* until the other start is waiting for the lock */
    help_leave(owner);
    return NULL;
}

TEST(embedded_waits_for_an_owner_that_is_leaving) {
    char base[64];
    help_owner owner;
    pthread_t thread;
    help_make_directory(base);
    if (CHECK(help_own(&owner, base, NULL, NULL))) {
        pthread_create(&thread, NULL, leave_later, &owner);
        tks_embedded_stop(help_start(base));
        pthread_join(thread, NULL);
    }
    help_remove_directory(base);
}

/* A wrapper that does not exec the server but waits for it, and so orphans it when killed. */
static char wrapper[96];

static void use_wrapper(void) {
    setenv("TEST_SERVER", wrapper, 1);
}

TEST(embedded_directory_is_owned_until_the_server_is_gone) {
    char base[64], home[128], text[256], message[TKS_ERROR_SIZE];
    help_owner owner;
    help_make_directory(base);
    snprintf(wrapper, sizeof wrapper, "%s/wrapper", base);
    snprintf(text, sizeof text, "#!/bin/sh\n'%s' \"$@\"\n",
             help_binary() == NULL ? "redis-server" : help_binary());
    help_write_script(wrapper, text);
    if (CHECK(help_own(&owner, base, use_wrapper, NULL))) {
        pid_t shell = owner.supervisor;
        kill(help_parent(shell), SIGKILL);
        CHECK(help_ended(shell, HELP_TIMEOUT_MS));
        CHECK(!help_ended(owner.server, 0));
        CHECK_STATUS(help_fail_start(base, help_binary(), 500, message), TKS_ERR_CONFIGURATION);
        kill(owner.server, SIGKILL);
        tks_embedded_stop(help_start(base));
        help_kill(&owner);
        help_remove_directory(help_home(owner.socket, home));
    }
    help_remove_directory(base);
}

TEST(embedded_refuses_unusable_directories) {
    char message[TKS_ERROR_SIZE];
    CHECK_STATUS(help_fail_start("/dev/null", NULL, 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "(Not a directory): /dev/null");
    CHECK_STATUS(help_fail_start("/dev/null/x", NULL, 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_STATUS(help_fail_start("/nowhere/x", NULL, 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "(No such file or directory): /nowhere/x");
    CHECK_STATUS(help_fail_start("", NULL, 5000, message), TKS_ERR_CONFIGURATION);
}

/* ---- other users ---------------------------------------------------------------------------- */

static void become_nobody(void) {
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
    setenv("HOME", "/nonexistent", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/0", 1); /* as inherited through sudo and su */
}

TEST(embedded_works_for_a_normal_user) {
    help_owner owner;
    if (geteuid() != 0) {
        test_skip("becoming another user needs root; every other test ran as a normal user");
        return;
    }
    if (!CHECK(help_own(&owner, NULL, become_nobody, NULL))) return;
    help_leave(&owner);
    CHECK(help_all_gone(&owner, 0));
}

TEST(embedded_refuses_a_directory_that_is_not_writable) {
    char base[64];
    help_owner owner;
    help_make_directory(base);
    chmod(base, 0555);
    CHECK(!help_own(&owner, base, geteuid() == 0 ? become_nobody : NULL, NULL));
    CHECK_STATUS(owner.status, TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(owner.message, "cannot be used (Permission denied)");
    help_kill(&owner);
    chmod(base, 0755);
    help_remove_directory(base);
}
