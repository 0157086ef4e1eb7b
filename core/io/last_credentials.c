/* last_credentials.c - see last_credentials.h. */
#include "last_credentials.h"

#include <string.h>

bool tksp_last_credentials_init(tksp_last_credentials *last) {
    last->credentials = (tks_credentials){NULL, NULL, false};
    last->number = 0;
    return pthread_mutex_init(&last->mutex, NULL) == 0;
}

void tksp_last_credentials_clear(tksp_last_credentials *last) {
    tks_credentials_clear(&last->credentials);
    (void)pthread_mutex_destroy(&last->mutex);
}

static tks_bytes text_of(const char *text) {
    return tks_bytes_of(text, text != NULL ? strlen(text) : 0);
}

/* False: out of memory. */
static bool copy(const tks_credentials *from, tks_credentials *to) {
    *to = (tks_credentials){NULL, NULL, false};
    return tks_credentials_init(to, text_of(from->user), text_of(from->password)) == TKS_OK;
}

void tksp_last_credentials_note(tksp_last_credentials *last, const tks_credentials *credentials) {
    (void)pthread_mutex_lock(&last->mutex);
    tks_credentials_clear(&last->credentials);
    last->number++;
    (void)copy(credentials, &last->credentials);
    (void)pthread_mutex_unlock(&last->mutex);
}

void tksp_last_credentials_forget(tksp_last_credentials *last) {
    (void)pthread_mutex_lock(&last->mutex);
    tks_credentials_clear(&last->credentials);
    (void)pthread_mutex_unlock(&last->mutex);
}

bool tksp_last_credentials_get(tksp_last_credentials *last, uint64_t after, tks_credentials *out,
                               uint64_t *number) {
    (void)pthread_mutex_lock(&last->mutex);
    bool good =
        last->number > after && last->credentials.password != NULL && copy(&last->credentials, out);
    *number = last->number;
    (void)pthread_mutex_unlock(&last->mutex);
    return good;
}
