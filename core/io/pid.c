/* pid.c - see pid.h. The process id is cached in a MADV_WIPEONFORK page, which is zeroed in a child. Every
 * operation checks whether it runs in a forked child; a system call for that would cost more than all locks
 * together. */
#define _GNU_SOURCE

#include "pid.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void) {
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

void *tksp_forkwiped_new(void) {
#ifdef MADV_WIPEONFORK
    size_t size = page_size();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED && madvise(page, size, MADV_WIPEONFORK) == 0) {
        return page;
    }
    if (page != MAP_FAILED) {
        (void)munmap(page, size);
    }
#endif
    return NULL;
}

void tksp_forkwiped_free(void *page) {
    if (page != NULL) {
        (void)munmap(page, page_size());
    }
}

void tksp_pid_init(tksp_pid_cache *cache) {
    cache->page = tksp_forkwiped_new();
}

pid_t tksp_pid_get(const tksp_pid_cache *cache) {
    atomic_int *cached = cache->page;
    if (cached == NULL) {
        return getpid();
    }
    int pid = atomic_load_explicit(cached, memory_order_relaxed);
    if (pid == 0) {
        pid = getpid();
        atomic_store_explicit(cached, pid, memory_order_relaxed);
    }
    return pid;
}

void tksp_pid_clear(tksp_pid_cache *cache) {
    tksp_forkwiped_free(cache->page);
    cache->page = NULL;
}
