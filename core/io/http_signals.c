/* http_signals.c - no signal handler runs inside libcurl, and libcurl raises no SIGPIPE.
 *
 * With CURLOPT_NOSIGNAL libcurl does not handle SIGPIPE, and OpenSSL may write to a socket whose peer is
 * gone. The process's disposition of SIGPIPE belongs to the host, so the signal is blocked in this thread and
 * consumed if it became pending. The other signals are blocked because libcurl's resolver thread inherits the
 * mask: it may outlive the deadline and must not run the host's handlers. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "http_private.h"

void tksp_signals_hold(tksp_signals *signals) {
    static const int broken[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t held;
    sigset_t pending;
    (void)sigfillset(&held);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        (void)sigdelset(&held, broken[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &held, &signals->before);
    signals->pipe_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void tksp_signals_release(const tksp_signals *signals) {
    static const struct timespec at_once = {0, 0};
    int error = errno;
    sigset_t pending;
    if (!signals->pipe_pending && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGPIPE) == 1) {
        sigset_t pipe;
        (void)sigemptyset(&pipe);
        (void)sigaddset(&pipe, SIGPIPE);
        while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
    errno = error;
}
