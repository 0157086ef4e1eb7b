/* http_handle.c - a libcurl handle: an easy one for requests, a multi one that keeps connections.
 *
 * Each transfer has its own multi handle, because libcurl's connections cannot be shared between threads. The
 * sockets are opened and closed here, so that a forked child can close its copies. */
#define _GNU_SOURCE

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_private.h"

/* ---- libcurl --------------------------------------------------------------------------------- */

/* The one exception to "no process-global mutable state": curl_global_init has such state, and before 7.84 it
 * is not thread-safe. curl_global_cleanup is never called, because other code in the process may use libcurl
 * too. */
static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static CURLcode start_result;

static void start(void) {
    start_result = curl_global_init(CURL_GLOBAL_ALL);
}

tks_status tksp_http_start(tks_error *err) {
    (void)pthread_once(&start_once, start);
    if (start_result != CURLE_OK) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "libcurl could not start: %s",
                        curl_easy_strerror(start_result));
    }
    return TKS_OK;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *at) {
    tksp_http_handle *handle = context;
    struct stat info;
    tksp_sock *sock = NULL;
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS && sock == NULL; i++) {
        if (atomic_load(&handle->sockets[i].fd) < 0) {
            sock = &handle->sockets[i];
        }
    }
    if (purpose != CURLSOCKTYPE_IPCXN || sock == NULL) {
        return CURL_SOCKET_BAD;
    }
    int fd = socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    if (fstat(fd, &info) != 0) {
        (void)close(fd);
        return CURL_SOCKET_BAD;
    }
    sock->device = info.st_dev;
    sock->inode = info.st_ino;
    atomic_store(&sock->fd, fd);
    return fd;
}

static int close_socket(void *context, curl_socket_t fd) {
    tksp_http_handle *handle = context;
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS; i++) {
        if (atomic_load(&handle->sockets[i].fd) == fd) {
            tksp_sock_close(&handle->sockets[i]);
        }
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

tksp_http_handle *tksp_http_handle_new(void) {
    tksp_http_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS; i++) {
        tksp_sock_init(&handle->sockets[i]);
    }
    handle->multi = curl_multi_init();
    handle->easy = curl_easy_init();
    if (handle->multi == NULL || handle->easy == NULL ||
        curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, (long)TKSP_HTTP_CONNECTIONS) !=
            CURLM_OK ||
        tksp_http_handle_reset(handle) != TKS_OK) {
        tksp_http_handle_free(handle);
        return NULL;
    }
    return handle;
}

tks_status tksp_http_handle_reset(tksp_http_handle *handle) {
    CURL *easy = handle->easy;
    curl_easy_reset(easy);
    bool set = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    return set ? TKS_OK : TKS_ERR_MEMORY;
}

void tksp_http_handle_free(tksp_http_handle *handle) {
    tksp_signals signals;
    tksp_signals_hold(&signals);
    curl_easy_cleanup(handle->easy);
    (void)curl_multi_cleanup(handle->multi);
    tksp_signals_release(&signals);
    free(handle);
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* True if the descriptor is still the one that was opened here. A child may have closed it and reused its
 * number. */
static bool is_ours(const tksp_sock *sock) {
    struct stat info;
    int fd = atomic_load(&sock->fd);
    return fd >= 0 && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) &&
           info.st_dev == sock->device && info.st_ino == sock->inode;
}

/* Replaces each open socket by an unconnected one. False: not all were replaced. */
static bool cut_off(tksp_http_handle *handle) {
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS; i++) {
        if (atomic_load(&handle->sockets[i].fd) >= 0 && !is_ours(&handle->sockets[i])) {
            return false;
        }
    }
    int nowhere = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool cut = nowhere >= 0;
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS && cut; i++) {
        int fd = atomic_load(&handle->sockets[i].fd);
        cut = fd < 0 || dup3(nowhere, fd, O_CLOEXEC) == fd;
    }
    if (nowhere >= 0) {
        (void)close(nowhere);
    }
    return cut;
}

void tksp_http_handle_free_inherited(tksp_http_handle *handle) {
    if (!handle->busy && cut_off(handle)) {
        tksp_http_handle_free(handle);
        return;
    }
    for (size_t i = 0; i < TKSP_HTTP_SOCKETS; i++) {
        tksp_sock_drop_inherited(&handle->sockets[i]);
    }
}
