/* waker.c - see waker.h. */
#define _POSIX_C_SOURCE 200809L

#include "waker.h"

#include <sys/socket.h>

void tksp_waker_init(tksp_waker *waker) {
    tksp_sock_init(&waker->ear);
    tksp_sock_init(&waker->voice);
}

void tksp_waker_open(tksp_waker *waker) {
    (void)tksp_sock_open_pair(&waker->ear, &waker->voice);
}

void tksp_waker_close(tksp_waker *waker) {
    tksp_sock_close(&waker->ear);
    tksp_sock_close(&waker->voice);
}

void tksp_waker_drop_inherited(tksp_waker *waker) {
    tksp_sock_drop_inherited(&waker->ear);
    tksp_sock_drop_inherited(&waker->voice);
}

/* If there is no room for a byte, it has been woken. */
void tksp_waker_wake(const tksp_waker *waker) {
    int fd = atomic_load(&waker->voice.fd);
    if (fd >= 0) {
        (void)send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

int tksp_waker_get_fd(const tksp_waker *waker) {
    return atomic_load(&waker->ear.fd);
}

void tksp_waker_calm(const tksp_waker *waker) {
    char bytes[64];
    while (recv(atomic_load(&waker->ear.fd), bytes, sizeof bytes, MSG_DONTWAIT) ==
           (ssize_t)sizeof bytes) {
    }
}
