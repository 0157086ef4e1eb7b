/* near_keys.c - see near_keys.h. */
#include "near_keys.h"

#include <stdlib.h>
#include <string.h>

#include "tokenstore/resp.h"
#include "tokenstore/secret.h"

enum {
    SPARE_PART = 4,   /* of the records: so many keys more, */
    SPARE_LEAST = 16, /* at least */
    ASK_BYTES =
        4096, /* a socket takes these at once: nothing is on its way when they are written */
    COMMAND_ROOM = 64 /* of a command, beside its key */
};

struct tksp_near_key {
    tksp_near_key *next;           /* in its bucket */
    tksp_near_key *before, *after; /* in its queue */
    tksp_near_queue *queue;
    uint64_t hash;
    tksp_near_place place; /* idle, held: who tells of it */
    size_t size;
    char text[];
};

/* ---- queues and buckets ---- */

static void leave(tksp_near_key *key) {
    tksp_near_queue *queue = key->queue;
    *(key->before != NULL ? &key->before->after : &queue->first) = key->after;
    *(key->after != NULL ? &key->after->before : &queue->last) = key->before;
}

static void enter(tksp_near_key *key, tksp_near_queue *queue) {
    key->queue = queue;
    key->after = NULL;
    key->before = queue->last;
    *(queue->last != NULL ? &queue->last->after : &queue->first) = key;
    queue->last = key;
}

static void move(tksp_near_key *key, tksp_near_queue *queue) {
    leave(key);
    enter(key, queue);
}

/* The link that leads to the key, or to the end of its bucket. */
static tksp_near_key **seek(tksp_near_keys *keys, tksp_near_name name) {
    tksp_near_key **at = &keys->buckets[name.hash & keys->mask];
    while (*at != NULL && ((*at)->hash != name.hash || (*at)->size != name.text.size ||
                           memcmp((*at)->text, name.text.data, name.text.size) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void drop(tksp_near_keys *keys, tksp_near_key *key) {
    tksp_near_key **at = &keys->buckets[key->hash & keys->mask];
    while (*at != key) at = &(*at)->next;
    *at = key->next;
    leave(key);
    keys->count--;
    tks_wipe(key->text, key->size);
    free(key);
}

static void drop_all(tksp_near_keys *keys, tksp_near_queue *queue) {
    while (queue->first != NULL) drop(keys, queue->first);
}

/* ---- life ---- */

bool tksp_near_keys_init(tksp_near_keys *keys, size_t records) {
    size_t buckets = 16;
    while (buckets < records) buckets *= 2;
    *keys = (tksp_near_keys){.mask = buckets - 1,
                             .count_max = records + records / SPARE_PART + SPARE_LEAST};
    keys->buckets = calloc(buckets, sizeof(tksp_near_key *));
    return keys->buckets != NULL;
}

void tksp_near_keys_clear(tksp_near_keys *keys) {
    tksp_near_keys_forget_all(keys);
    free(keys->buckets);
}

/* ---- what is told ---- */

static bool is_told(const tksp_near_keys *keys, const tksp_near_key *key) {
    return key->queue == &keys->idle || key->queue == &keys->held;
}

static bool is_from(const tksp_near_key *key, tksp_near_place place) {
    return key->place.node == place.node && key->place.opening == place.opening;
}

static tksp_near_key *add(tksp_near_keys *keys, tksp_near_key **at, tksp_near_name name,
                          tksp_near_queue *queue) {
    tksp_near_key *key = malloc(sizeof *key + name.text.size);
    if (key == NULL) return NULL;
    *key = (tksp_near_key){.next = *at, .hash = name.hash, .size = name.text.size};
    memcpy(key->text, name.text.data, name.text.size);
    *at = key;
    enter(key, queue);
    keys->count++;
    return key;
}

tksp_near_key *tksp_near_keys_want(tksp_near_keys *keys, tksp_near_name name, tksp_near_place place,
                                   tksp_near_asking *asking) {
    tksp_near_key *key = *seek(keys, name);
    if (key != NULL && is_told(keys, key) && is_from(key, place)) return key;
    if (asking->refused) return NULL;
    if (key != NULL) {
        /* Another server told of it, or an earlier connection, and has no more to say. */
        if (is_told(keys, key)) move(key, &asking->wanted);
        return NULL;
    }
    if (keys->count == keys->count_max) {
        if (keys->idle.first == NULL) return NULL;
        drop(keys, keys->idle.first);
    }
    (void)add(keys, seek(keys, name), name, &asking->wanted);
    return NULL;
}

void tksp_near_keys_hold(tksp_near_keys *keys, tksp_near_key *key) {
    move(key, &keys->held);
}

void tksp_near_keys_release(tksp_near_keys *keys, tksp_near_name name) {
    tksp_near_key *key = *seek(keys, name);
    if (key != NULL && key->queue == &keys->held) move(key, &keys->idle);
}

void tksp_near_keys_forget(tksp_near_keys *keys, tksp_near_name name) {
    tksp_near_key *key = *seek(keys, name);
    if (key != NULL && is_told(keys, key)) drop(keys, key);
}

void tksp_near_keys_forget_all(tksp_near_keys *keys) {
    drop_all(keys, &keys->idle);
    drop_all(keys, &keys->held);
}

/* ---- asking ---- */

void tksp_near_keys_reset(tksp_near_keys *keys, tksp_near_asking *asking) {
    drop_all(keys, &asking->wanted);
    drop_all(keys, &asking->asked);
    asking->refused = false;
}

/* PTTL: it reads, as the server sees it, does not count as a use of the key, and every user may send it that docs/reference/acl.md describes. */
tks_status tksp_near_keys_ask(tksp_near_asking *asking, tks_buf *out, size_t *count) {
    size_t begin = out->size;
    *count = 0;
    for (tksp_near_key *key; (key = asking->wanted.first) != NULL;) {
        const tks_bytes words[] = {TKS_LITERAL("PTTL"), tks_bytes_of(key->text, key->size)};
        if (*count > 0 && out->size - begin + COMMAND_ROOM + key->size > ASK_BYTES) break;
        tks_status status = tks_resp_format(out, 2, words);
        if (status != TKS_OK) return status;
        move(key, &asking->asked);
        ++*count;
    }
    return TKS_OK;
}

bool tksp_near_keys_answer(tksp_near_keys *keys, tksp_near_asking *asking, tksp_near_place place,
                           bool good, uint64_t *hash) {
    tksp_near_key *key = asking->asked.first;
    if (key == NULL) return false;
    *hash = key->hash;
    if (good) {
        key->place = place;
        move(key, &keys->idle);
    } else {
        drop(keys, key);
    }
    return good;
}
