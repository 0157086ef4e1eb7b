/* client.c - a line protocol for the HTTP driver, for the tests in this directory.
 *
 * Reads one command per line from standard input: percent-encoded words separated by one space; a word is
 * NAME=VALUE. Prints one line for each, a JSON object. Commands:
 *   new      ca cert key proxy insecure connect_timeout       makes the tks_http all others use
 *   fetch    url post header timeout max interrupt            one fetch; `header` (Name:value) repeats
 *   start    as fetch, in a thread; join gives its answer
 *   threads  count times, and as fetch                        many fetches; how many ended how
 *   fork     as fetch, in a forked child, which frees the tks_http afterwards; its answer
 *   failing  after, and as new and fetch                      all of a tks_http's life, with the n-th
 *                                                             allocation failing (failing_memory.c)
 *   close, free, signals, descriptors
 * interrupt=1: stop after a SIGINT. interrupt=fork: at a SIGINT, fork in the check. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http_private.h"
#include "tokenstore/http_client.h"

enum { HEADERS_MAX = 64, THREADS_MAX = 64 };

typedef struct call {
    tks_http_request request;
    tks_http_header headers[HEADERS_MAX];
    int64_t timeout_ms;
    tks_interrupt interrupt;
    long count, times, after;
    tks_http_options options;
} call;

typedef struct outcome {
    tks_status status;
    tks_http_response *response;
    bool sent, final;
    tks_error error;
    int64_t ms, ms_since_signal;
    bool child; /* forked in the check */
} outcome;

static tks_http *http;
static atomic_llong signalled; /* when SIGINT arrived; 0: it has not */

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int hex(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Decodes in place; returns the size. */
static size_t decode(char *text) {
    char *out = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%') {
            *out++ = (char)(hex(at[1]) * 16 + hex(at[2]));
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

static bool give_up(void *context) {
    (void)context;
    return atomic_load(&signalled) != 0;
}

static bool fork_in_check(void *context) {
    (void)context;
    if (atomic_exchange(&signalled, 0) != 0 && fork() < 0) {
        exit(1);
    }
    return false;
}

static void set(call *c, const char *name, char *value, size_t size) {
    tks_bytes bytes = tks_bytes_of(size > 0 ? value : NULL, size);
    if (strcmp(name, "url") == 0) {
        c->request.url = bytes;
    } else if (strcmp(name, "post") == 0) {
        c->request.post = true;
        c->request.body = bytes;
    } else if (strcmp(name, "header") == 0) {
        tks_http_header *header = &c->headers[c->request.header_count++];
        char *colon = memchr(value, ':', size);
        header->name = tks_bytes_of(value, (size_t)(colon - value));
        header->value = tks_bytes_of(colon + 1, size - header->name.size - 1);
    } else if (strcmp(name, "timeout") == 0) {
        c->timeout_ms = atoll(value);
    } else if (strcmp(name, "max") == 0) {
        c->request.max_body = (size_t)atoll(value);
    } else if (strcmp(name, "interrupt") == 0) {
        c->interrupt.check = strcmp(value, "fork") == 0 ? fork_in_check : give_up;
    } else if (strcmp(name, "count") == 0) {
        c->count = atol(value);
    } else if (strcmp(name, "times") == 0) {
        c->times = atol(value);
    } else if (strcmp(name, "after") == 0) {
        c->after = atol(value);
    } else if (strcmp(name, "ca") == 0) {
        c->options.ca = value;
    } else if (strcmp(name, "cert") == 0) {
        c->options.cert = value;
    } else if (strcmp(name, "key") == 0) {
        c->options.key = value;
    } else if (strcmp(name, "proxy") == 0) {
        c->options.proxy = value;
    } else if (strcmp(name, "insecure") == 0) {
        c->options.insecure = true;
    } else if (strcmp(name, "connect_timeout") == 0) {
        c->options.connect_timeout_ms = atoll(value);
    } else {
        fprintf(stderr, "client: unknown word %s\n", name);
        exit(2);
    }
}

static void parse(call *c, char *words) {
    *c = (call){.timeout_ms = 60000, .count = 1, .times = 1};
    c->request.max_body = 65536;
    c->request.headers = c->headers;
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        *equals = '\0';
        set(c, word, equals + 1, decode(equals + 1));
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void print_hex(const char *name, tks_bytes bytes) {
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < bytes.size; i++) {
        printf("%02x", (unsigned char)bytes.data[i]);
    }
    printf("\"");
}

static void print_response(const tks_http_response *response) {
    printf(",\"http\":%d", response->status);
    print_hex("type", response->content_type);
    print_hex("retry_after", response->retry_after);
    print_hex("body", response->body);
}

static void print_outcome(const outcome *o) {
    printf("{\"status\":\"%s\",\"sent\":%s,\"final\":%s,\"ms\":%lld,\"ms_since_signal\":%lld",
           tks_status_code(o->status), o->sent ? "true" : "false", o->final ? "true" : "false",
           (long long)o->ms, (long long)o->ms_since_signal);
    print_hex("message", tks_bytes_of(o->error.message, strlen(o->error.message)));
    if (o->response != NULL) {
        print_response(o->response);
    }
    printf("}\n");
    fflush(stdout);
}

static outcome fetch(const call *c) {
    outcome o = {.status = TKS_OK, .error = TKS_ERROR_INIT};
    pid_t pid = getpid();
    int64_t began = now_ms();
    o.status = tks_http_fetch(http, &c->request, c->timeout_ms,
                              c->interrupt.check != NULL ? &c->interrupt : NULL, &o.response,
                              &o.sent, &o.final, &o.error);
    int64_t ended = now_ms();
    int64_t signal = atomic_load(&signalled);
    o.ms = ended - began;
    o.ms_since_signal = signal != 0 ? ended - signal : -1;
    o.child = getpid() != pid;
    return o;
}

static void finish(outcome *o) {
    print_outcome(o);
    tks_http_response_free(o->response);
    o->response = NULL;
    atomic_store(&signalled, 0);
}

/* ---- actions --------------------------------------------------------------------------------- */

static void do_new(const call *c) {
    outcome o = {.status = TKS_OK, .error = TKS_ERROR_INIT};
    tks_http_free(http);
    o.status = tks_http_new(&c->options, &http, &o.error);
    print_outcome(&o);
}

static void do_fetch(const call *c) {
    outcome o = fetch(c);
    if (o.child) {
        /* First the error of the interrupted fetch, then a new fetch in this process. */
        outcome again = fetch(c);
        char line[64];
        snprintf(line, sizeof(line), "%s %s\n", tks_status_code(o.status),
                 tks_status_code(again.status));
        ssize_t written = write(STDERR_FILENO, line, strlen(line));
        tks_http_response_free(again.response);
        tks_http_free(http);
        _exit(written > 0 ? 0 : 1);
    }
    finish(&o);
}

typedef struct background {
    pthread_t thread;
    call call;
    char *line; /* storage of the call's arguments */
    outcome outcome;
    bool begun;
} background;

static background behind;

static void *run_behind(void *context) {
    background *b = context;
    b->outcome = fetch(&b->call);
    return NULL;
}

static void do_start(char *words) {
    behind.line = strdup(words);
    parse(&behind.call, behind.line);
    behind.call.request.headers = behind.call.headers;
    pthread_create(&behind.thread, NULL, run_behind, &behind);
    printf("{}\n");
}

static void do_join(void) {
    pthread_join(behind.thread, NULL);
    finish(&behind.outcome);
    free(behind.line);
}

typedef struct worker {
    pthread_t thread;
    const call *call;
    long ok, failed;
    tks_error error; /* the first */
} worker;

static void *work(void *context) {
    worker *w = context;
    for (long i = 0; i < w->call->times; i++) {
        outcome o = fetch(w->call);
        if (o.status == TKS_OK && o.response->status == 200) {
            w->ok++;
        } else {
            w->failed++;
            (void)tks_fail(&w->error, o.status, "%s", o.error.message);
        }
        tks_http_response_free(o.response);
    }
    return NULL;
}

static void do_threads(const call *c) {
    worker workers[THREADS_MAX] = {0};
    long ok = 0;
    long failed = 0;
    tks_error error = TKS_ERROR_INIT;
    for (long i = 0; i < c->count; i++) {
        workers[i].call = c;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (long i = 0; i < c->count; i++) {
        pthread_join(workers[i].thread, NULL);
        ok += workers[i].ok;
        failed += workers[i].failed;
        (void)tks_fail(&error, workers[i].error.status, "%s", workers[i].error.message);
    }
    printf("{\"ok\":%ld,\"failed\":%ld", ok, failed);
    print_hex("message", tks_bytes_of(error.message, strlen(error.message)));
    printf("}\n");
}

static void do_fork(const call *c) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        outcome o = fetch(c);
        print_outcome(&o);
        tks_http_response_free(o.response);
        tks_http_free(http);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("{\"status\":\"the child died: %d\"}\n", status);
    }
}

/* A SIGPIPE from a write is discarded; one that was pending stays pending; other signals are delivered
 * afterwards. */
static void do_signals(void) {
    int pair[2];
    tksp_signals signals;
    sigset_t pending;
    sigset_t mask;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    close(pair[1]);
    tksp_signals_hold(&signals);
    bool broken = write(pair[0], "x", 1) < 0 && errno == EPIPE;
    raise(SIGINT);
    bool held = atomic_load(&signalled) == 0;
    tksp_signals_release(&signals);
    bool came = atomic_exchange(&signalled, 0) != 0;

    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    raise(SIGPIPE);
    tksp_signals_hold(&signals);
    tksp_signals_release(&signals);
    sigpending(&pending);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    bool stayed = sigismember(&pending, SIGPIPE) == 1 && sigismember(&mask, SIGINT) == 0;
    int number;
    sigwait(&pipe, &number);
    pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
    close(pair[0]);
    printf("{\"broken\":%d,\"held\":%d,\"came\":%d,\"stayed\":%d}\n", broken, held, came, stayed);
}

/* The open descriptors, and the number of internet sockets that an exec would inherit. */
static void do_descriptors(void) {
    int count = 0;
    int leaking = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        struct sockaddr_storage at = {0};
        socklen_t size = sizeof at;
        int fd = atoi(entry->d_name);
        count++;
        if (getsockname(fd, (struct sockaddr *)&at, &size) == 0 && at.ss_family != AF_UNIX &&
            (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) {
            leaking++;
        }
    }
    closedir(directory);
    printf("{\"count\":%d,\"leaking\":%d}\n", count, leaking);
}

static void do_failing(const call *c) {
    long *countdown = dlsym(RTLD_DEFAULT, "failing_countdown");
    atomic_long *live = dlsym(RTLD_DEFAULT, "failing_live");
    outcome o = {.error = TKS_ERROR_INIT};
    tks_http_free(http);
    http = NULL;
    long before = atomic_load(live);
    *countdown = c->after;
    o.status = tks_http_new(&c->options, &http, &o.error);
    if (o.status == TKS_OK) {
        o = fetch(c);
    }
    long left = *countdown;
    *countdown = 0;
    printf("{\"status\":\"%s\",\"left\":%ld", tks_status_code(o.status), left);
    if (o.response != NULL) {
        print_response(o.response);
    }
    tks_http_response_free(o.response);
    tks_http_free(http);
    http = NULL;
    printf(",\"leaked\":%ld}\n", atomic_load(live) - before);
}

static void on_signal(int number) {
    (void)number;
    atomic_store(&signalled, now_ms());
}

static void run(const char *command, char *words) {
    call c;
    if (strcmp(command, "start") == 0) {
        do_start(words);
        return;
    }
    parse(&c, words);
    c.request.headers = c.headers;
    if (strcmp(command, "new") == 0) {
        do_new(&c);
    } else if (strcmp(command, "fetch") == 0) {
        do_fetch(&c);
    } else if (strcmp(command, "join") == 0) {
        do_join();
    } else if (strcmp(command, "threads") == 0) {
        do_threads(&c);
    } else if (strcmp(command, "fork") == 0) {
        do_fork(&c);
    } else if (strcmp(command, "close") == 0) {
        tks_http_close(http);
        printf("{}\n");
    } else if (strcmp(command, "free") == 0) {
        tks_http_free(http);
        http = NULL;
        printf("{}\n");
    } else if (strcmp(command, "failing") == 0) {
        do_failing(&c);
    } else if (strcmp(command, "signals") == 0) {
        do_signals();
    } else if (strcmp(command, "descriptors") == 0) {
        do_descriptors();
    } else {
        fprintf(stderr, "client: unknown command %s\n", command);
        exit(2);
    }
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *space = strchr(line, ' ');
        char none[] = "";
        if (space != NULL) {
            *space = '\0';
        }
        run(line, space != NULL ? space + 1 : none);
        fflush(stdout);
    }
    tks_http_free(http);
    free(line);
    return 0;
}
