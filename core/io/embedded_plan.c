/* embedded_plan.c - the binary, its configuration, and candidate directories for its socket.
 *
 * Purpose:   does everything that allocates memory in the owner, before the supervisor is forked.
 * Lifecycle: tksp_plan_init, tksp_plan_clear; the caller's storage.
 * Threads:   reads the environment; like getenv(), it must not run concurrently with setenv(). */
#define _GNU_SOURCE
#include "embedded_private.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tokenstore/buf.h"
#include "tokenstore/secret.h"

static const char *const SERVERS[] = {"redis-server", "valkey-server"};

/* ---- the binary ----------------------------------------------------------------------------- */

static bool is_runnable(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* `folder`/`name` as an absolute path (the server runs in another directory). *out stays NULL if it is not
 * executable. */
static tks_status try_folder(tks_bytes folder, const char *name, char **out) {
    char here[PATH_MAX];
    tks_buf path;
    tks_buf_init(&path, PATH_MAX);
    if (folder.size == 0 || folder.data[0] != '/') {
        if (getcwd(here, sizeof here) == NULL) return TKS_OK;
        tks_buf_append(&path, here, strlen(here));
        tks_buf_append_char(&path, '/');
    }
    tks_buf_append_bytes(&path, folder);
    if (folder.size > 0) tks_buf_append_char(&path, '/');
    tks_buf_append(&path, name, strlen(name) + 1);

    tks_status status = path.status;
    if (status == TKS_OK && is_runnable(path.data)) {
        *out = path.data;
        return TKS_OK;
    }
    tks_buf_clear(&path);
    return status == TKS_ERR_MEMORY ? status : TKS_OK; /* a path that is too long names no file */
}

static tks_status search_path(const char *name, char **out) {
    const char *at = getenv("PATH");
    if (at == NULL) at = "/usr/local/bin:/usr/bin:/bin";
    for (;;) {
        size_t size = strcspn(at, ":");
        tks_status status = try_folder(tks_bytes_of(at, size), name, out);
        if (status != TKS_OK || *out != NULL) return status;
        if (at[size] == '\0') return TKS_OK;
        at += size + 1;
    }
}

static tks_status find_binary(const char *binary, char **out, tks_error *err) {
    tks_status status = TKS_OK;
    if (binary == NULL) {
        for (size_t i = 0; i < sizeof SERVERS / sizeof *SERVERS; i++) {
            status = search_path(SERVERS[i], out);
            if (status != TKS_OK || *out != NULL) break;
        }
    } else if (strchr(binary, '/') == NULL) {
        status = search_path(binary, out);
    } else {
        const char *name = strrchr(binary, '/') + 1;
        status = try_folder(tks_bytes_of(binary, (size_t)(name - binary)), name, out);
    }
    if (status != TKS_OK) return tks_fail_memory(err);
    if (*out != NULL) return TKS_OK;
    if (binary != NULL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "embedded: the server binary is missing or not executable: %s", binary);
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "embedded: neither redis-server nor valkey-server is on PATH; install one (apt "
                    "install redis-server), or set the option server to the binary's path");
}

/* ---- its environment ------------------------------------------------------------------------ */

/* The owner's environment without LC_ALL, with which the server exits if the locale is not installed, and
 * without preloads meant for the owner. */
static tks_status copy_environment(char ***out) {
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL) count++;
    char **copy = calloc(count + 2, sizeof *copy);
    if (copy == NULL) return TKS_ERR_MEMORY;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "LC_ALL=", 7) == 0) continue;
        if (strncmp(environ[i], "LD_PRELOAD=", 11) == 0) continue;
        copy[kept++] = environ[i];
    }
    static char locale[] = "LC_ALL=C";
    copy[kept] = locale;
    *out = copy;
    return TKS_OK;
}

/* ---- the private directory ------------------------------------------------------------------ */

/* Appends `text`, which may contain any byte, to a configuration as a quoted word. */
static void append_quoted(tks_buf *out, const char *text) {
    static const char hex[] = "0123456789abcdef";
    tks_buf_append_char(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        bool plain = c > ' ' && c < 0x7f && c != '"' && c != '\\';
        if (plain) {
            tks_buf_append_char(out, *text);
        } else {
            tks_buf_append(out, escaped, sizeof escaped);
        }
    }
    tks_buf_append_char(out, '"');
}

static tks_status write_config(const tksp_plan *plan, tksp_place *place) {
    tks_buf text;
    tks_buf_init(&text, sizeof place->config);
    tks_buf_append_bytes(&text, TKS_LITERAL("daemonize no\n"
                                            "supervised no\n"
                                            "loglevel warning\n"
                                            "logfile \"\"\n"
                                            "save \"\"\n"
                                            "unixsocket "));
    append_quoted(&text, place->socket);
    tks_buf_append_bytes(&text, plan->directory != NULL
                                    ? TKS_LITERAL("\nappendonly yes\nappendfsync everysec\n")
                                    : TKS_LITERAL("\nappendonly no\n"));
    tks_buf_append(&text, plan->more, strlen(plan->more));
    tks_status status = text.status;
    if (status == TKS_OK) {
        memcpy(place->config, text.data, text.size);
        place->config_size = text.size;
    }
    tks_buf_clear(&text);
    return status;
}

/* Adds a place below `base`, unless the socket's path would be too long. */
static tks_status add_place(tksp_plan *plan, const char *base, tks_bytes name) {
    if (base == NULL || base[0] != '/') return TKS_OK;
    tksp_place *place = &plan->places[plan->count];
    int size = snprintf(place->socket, sizeof place->socket, "%s/tokenstore-%.*s/socket", base,
                        (int)name.size, name.data);
    if (size < 0 || (size_t)size >= sizeof place->socket) return TKS_OK;
    memcpy(place->directory, place->socket, (size_t)size);
    place->directory[(size_t)size - (sizeof "/socket" - 1)] = '\0';
    tks_status status = write_config(plan, place);
    if (status == TKS_OK) plan->count++;
    return status;
}

static tks_status add_places(tksp_plan *plan, tks_error *err) {
    unsigned char random[9];
    tks_buf name;
    tks_buf_init(&name, 64);
    tks_status status = tks_secret_start(err);
    if (status != TKS_OK) goto cleanup;
    tks_random(random, sizeof random);
    status = tks_encode(TKS_BASE64URL, random, sizeof random, &name);
    if (status == TKS_OK) status = add_place(plan, getenv("XDG_RUNTIME_DIR"), tks_buf_bytes(&name));
    if (status == TKS_OK) status = add_place(plan, getenv("TMPDIR"), tks_buf_bytes(&name));
    if (status == TKS_OK) status = add_place(plan, "/tmp", tks_buf_bytes(&name));
    if (status != TKS_OK) tks_fail_memory(err);
cleanup:
    tks_buf_clear(&name);
    return status;
}

/* ---- all together --------------------------------------------------------------------------- */

tks_status tksp_plan_init(tksp_plan *plan, const char *directory, const char *binary,
                          const char *more, tks_error *err) {
    memset(plan, 0, sizeof *plan);
    plan->owner = getpid();
    plan->owner_fd = -1;
    plan->control = -1;
    plan->directory = directory;
    plan->more = more;
    snprintf(plan->owner_text, sizeof plan->owner_text, "%ld\n", (long)plan->owner);
    tks_status status = find_binary(binary, &plan->binary, err);
    if (status != TKS_OK) return status;
    if (copy_environment(&plan->environment) != TKS_OK) return tks_fail_memory(err);
    return add_places(plan, err);
}

void tksp_plan_clear(tksp_plan *plan) {
    free(plan->binary);
    free(plan->environment);
    plan->binary = NULL;
    plan->environment = NULL;
}
