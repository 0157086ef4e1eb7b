/* test_embedded_start.c - starts that fail, and starts in unusual environments. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "embedded_help.h"
#include "test.h"

/* ---- binaries ------------------------------------------------------------------------------- */

TEST(embedded_says_which_package_is_missing) {
    char message[TKS_ERROR_SIZE], *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent::.", 1);
    CHECK_STATUS(help_fail_start(NULL, NULL, 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "install one (apt install redis-server)");
    setenv("PATH", path, 1);
    free(path);
    CHECK_STATUS(help_fail_start(NULL, "no-such-server", 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "no-such-server");
    CHECK_STATUS(help_fail_start(NULL, "/etc/passwd", 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_STATUS(help_fail_start(NULL, "/tmp", 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "is missing or not executable: /tmp");
}

TEST(embedded_runs_a_binary_by_any_path) {
    char base[64], script[128], here[4096], message[TKS_ERROR_SIZE], *path = strdup(getenv("PATH"));
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    help_write_script(script, "#!/bin/sh\necho It is me\nexit 1\n");
    CHECK(getcwd(here, sizeof here) != NULL && chdir(base) == 0);
    CHECK_STATUS(help_fail_start(NULL, "./server", 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "It is me");
    setenv("PATH", "/nonexistent::/bin", 1); /* an empty entry is the working directory */
    CHECK_STATUS(help_fail_start(NULL, "server", 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "It is me");
    setenv("PATH", path, 1);
    free(path);
    CHECK(chdir(here) == 0);
    help_remove_directory(base);
}

TEST(embedded_server_has_the_owners_environment_but_for_what_would_harm_it) {
    char base[64], script[128], message[TKS_ERROR_SIZE];
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    help_write_script(
        script,
        "#!/bin/sh\necho \"<$(grep -cz ^LC_ALL= /proc/$$/environ)|$LC_ALL|$LD_PRELOAD|"
        "$TKS_OTHER>\"\nexit 1\n");
    setenv("LC_ALL", "xx_XX.UTF-8", 1);
    setenv("LD_PRELOAD", "/nonexistent.so", 1);
    setenv("TKS_OTHER", "kept", 1);
    CHECK_STATUS(help_fail_start(NULL, script, 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "<1|C||kept>");
    unsetenv("LC_ALL");
    unsetenv("LD_PRELOAD");
    unsetenv("TKS_OTHER");
    help_remove_directory(base);
}

TEST(embedded_says_why_a_server_ended) {
    char base[64], script[128], message[TKS_ERROR_SIZE];
    CHECK_STATUS(help_fail_start(NULL, "false", 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "exit status 1): it printed nothing");
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    help_write_script(script,
                      "#!/bin/sh\nseq 1 50000\necho '12:M 1 Jan # First'\n"
                      "echo '12:M 1 Jan # No more ink' >&2\nexit 3\n");
    CHECK_STATUS(help_fail_start(NULL, script, 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "exit status 3): No more ink");
    help_write_script(script, "#!/bin/sh\nkill -9 $$\n");
    CHECK_STATUS(help_fail_start(NULL, script, 5000, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "signal 9");
    help_write_script(script, "#!/nonexistent\n");
    CHECK_STATUS(help_fail_start(NULL, script, 5000, message), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(message, "cannot be run (No such file or directory)");
    help_write_script(script, "no magic number\n");
    CHECK_STATUS(help_fail_start(NULL, script, 5000, message), TKS_ERR_CONFIGURATION);
    help_remove_directory(base);
}

/* A wrapper that waits for a child and records the child's process id. */
static pid_t write_hanging_server(const char *script, const char *note, bool read) {
    char text[512];
    pid_t pid = 0;
    if (read) {
        FILE *file = fopen(note, "re");
        int n = file == NULL ? 0 : fscanf(file, "%d", &pid);
        if (file != NULL) fclose(file);
        return n == 1 ? pid : 0;
    }
    snprintf(text, sizeof text, "#!/bin/sh\nsleep 1000 &\necho $! > %s\nwait\n", note);
    help_write_script(script, text);
    return 0;
}

TEST(embedded_gives_up_on_a_server_that_hangs) {
    char base[64], script[128], note[128], message[TKS_ERROR_SIZE];
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    snprintf(note, sizeof note, "%s/pid", base);
    write_hanging_server(script, note, false);
    int64_t before = help_now_ms();
    CHECK_STATUS(help_fail_start(NULL, script, 400, message), TKS_ERR_CONNECTION);
    CHECK_CONTAINS(message, "did not accept connections within 400 ms");
    int64_t took = help_now_ms() - before;
    CHECK(took >= 400 && took < 3000);
    pid_t sleeper = write_hanging_server(script, note, true);
    CHECK(sleeper > 0 && help_ended(sleeper, 1000)); /* the wrapper's child ends as well */
    help_remove_directory(base);
}

TEST(embedded_lets_a_server_with_data_end_by_itself) {
    char base[64], script[128], note[128], text[512], message[TKS_ERROR_SIZE];
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    snprintf(note, sizeof note, "%s/note", base);
    snprintf(text, sizeof text,
             "#!/bin/sh\ntrap 'sleep 0.2; echo done > %s; exit 0' TERM\nsleep 1000 &\nwait\n",
             note);
    help_write_script(script, text);
    signal(SIGTERM, SIG_IGN); /* a shell cannot trap a signal that it inherited as ignored */
    CHECK_STATUS(help_fail_start(base, script, 1000, message), TKS_ERR_CONNECTION);
    signal(SIGTERM, SIG_DFL);
    CHECK(help_exists(note));
    help_remove_directory(base);
}

static bool give_up(void *context) {
    return ++*(int *)context > 3;
}

TEST(embedded_start_can_be_interrupted) {
    char base[64], script[128], note[128];
    int calls = 0;
    tks_error err = TKS_ERROR_INIT;
    tks_embedded *e;
    const tks_interrupt interrupt = {give_up, &calls};
    help_make_directory(base);
    snprintf(script, sizeof script, "%s/server", base);
    snprintf(note, sizeof note, "%s/pid", base);
    write_hanging_server(script, note, false);
    CHECK_STATUS(tks_embedded_start(NULL, script, 5000, &interrupt, &e, &err), TKS_ERR_INTERRUPTED);
    CHECK(e == NULL);
    CHECK_INT(calls, 4);
    CHECK(!help_has_children());
    help_remove_directory(base);
}

/* ---- places for the socket ------------------------------------------------------------------ */

static void check_place(const char *runtime, const char *temporary, const char *begins) {
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    setenv("TMPDIR", temporary, 1);
    test_context("%s, %s", runtime, temporary);
    tks_embedded *e = help_start(NULL);
    if (e == NULL) return;
    CHECK(strncmp(tks_embedded_get_socket(e), begins, strlen(begins)) == 0);
    CHECK(help_answers(tks_embedded_get_socket(e), "PING", "+PONG"));
    tks_embedded_stop(e);
}

TEST(embedded_finds_a_place_for_its_socket) {
    char base[64], odd[96], deep[400];
    help_make_directory(base);
    snprintf(odd, sizeof odd, "%s/a \"b'\\\n\xff", base);
    snprintf(deep, sizeof deep, "%s/%0100d", base, 0);
    CHECK(mkdir(odd, 0700) == 0 && mkdir(deep, 0700) == 0);
    check_place(odd, "/nonexistent", odd);
    check_place("/nonexistent", odd, odd);
    check_place("", "", "/tmp/tokenstore-");
    check_place("relative", "/dev/null", "/tmp/tokenstore-");
    check_place(deep, deep, "/tmp/tokenstore-");
    CHECK_INT(help_count(odd), 2);
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("TMPDIR");
    help_remove_directory(base);
}

/* ---- an older kernel ------------------------------------------------------------------------ */

/* Disables pidfd_open and close_range. */
static void use_older_kernel(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(1);
}

static void fork_one_that_lives_a_while(void) {
    if (fork() != 0) return;
    alarm(20);
    for (;;) pause();
}

static int inherited[2];

static void close_inherited(void) {
    close(inherited[1]);
}

TEST(embedded_works_on_an_older_kernel) {
    help_owner owner;
    char byte;
    if (!CHECK(pipe(inherited) == 0)) return;
    if (!CHECK(help_own(&owner, NULL, use_older_kernel, close_inherited))) return;
    close_inherited();
    struct pollfd p = {.fd = inherited[0], .events = POLLIN};
    CHECK(poll(&p, 1, 300) == 1 &&
          read(inherited[0], &byte, 1) == 0); /* the other end is closed everywhere */
    close(inherited[0]);
    help_leave(&owner);
    CHECK(help_all_gone(&owner, 100)); /* without a pidfd, stop cannot wait for the exit itself */

    if (!CHECK(help_own(&owner, NULL, use_older_kernel, fork_one_that_lives_a_while))) return;
    help_kill(&owner);
    CHECK(help_all_gone(&owner, 2000));

    if (!CHECK(help_own(&owner, NULL, use_older_kernel, NULL))) return;
    kill(owner.server, SIGKILL);
    CHECK(help_all_gone(&owner, 2000));
    help_kill(&owner);
}
