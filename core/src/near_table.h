/* near_table.h - the near cache's memory: records by key and field, and all of a key at once.
 *
 * What is not asked for again goes first (SIEVE: Zhang et al., "SIEVE is simpler than LRU", NSDI 2024): a scan of many keys displaces
 * only what was not used since the hand passed it last.
 *
 * Threads: one at a time, but for the release of entries. Pure. */
#ifndef TKSP_NEAR_TABLE_H
#define TKSP_NEAR_TABLE_H

#include <stdatomic.h>

#include "near.h"
#include "near_keys.h"

typedef struct tksp_near_owner tksp_near_owner;

/* A binding's value of a record, see tokenstore/near.h. */
struct tksp_near_view {
    tksp_near_view *next;   /* in its bucket, or of those to be taken back */
    tksp_near_entry *entry; /* whose view it is */
    tks_near_question question;
    int64_t until_ms; /* by the server's clock; 0: as long as the record */
    void *value;
};

struct tksp_near_entry {
    tksp_near_entry *next;           /* in its bucket */
    tksp_near_entry *newer, *older;  /* in the queue */
    tksp_near_entry *before, *after; /* of the same key */
    tksp_near_owner *owner;          /* NULL: it is not in the table any more */
    tksp_near_view *view;            /* owned; NULL: none */
    uint64_t hash;
    atomic_uint holders; /* the table is one */
    bool visited;        /* since the hand passed */
    int node;            /* whose link it came under, */
    unsigned opening;    /* and which opening of that */
    int64_t ends_ms;     /* as tksp_near_record */
    int64_t ahead_ms;    /* the server's clock, less tks_event's boot_ms */
    size_t field_size, text_size;
    char bytes[]; /* the field, the text */
};

/* A key of which there are records. */
struct tksp_near_owner {
    tksp_near_owner *next; /* in its bucket */
    tksp_near_entry *first;
    uint64_t hash;
    size_t key_size;
    char key[];
};

typedef struct tksp_near_table {
    tksp_near_entry **entries; /* `mask` + 1 buckets each */
    tksp_near_owner **owners;
    tksp_near_view **views;
    tksp_near_view *gone; /* views whose records are */
    size_t mask;
    uint64_t seed;
    tksp_near_entry *newest, *oldest, *hand;
    size_t count, count_max;
    size_t bytes, bytes_max;
    uint64_t evictions;
    tksp_near_keys *keys; /* are told of which keys there are no records any more; NULL: none are */
} tksp_near_table;

/* False: out of memory. Before it is cleared, all views are to be taken back. */
bool tksp_near_table_init(tksp_near_table *table, size_t entries, size_t bytes);
void tksp_near_table_clear(tksp_near_table *table);

uint64_t tksp_near_hash(const tksp_near_table *table, tks_bytes text);

/* NULL: there is none. Borrowed. */
tksp_near_entry *tksp_near_table_find(tksp_near_table *table, tks_bytes key, tks_bytes field);

/* A new entry in place of one under this key and field, with `text`; the caller fills in the rest. NULL: it is too large, or out of
 * memory. */
tksp_near_entry *tksp_near_table_put(tksp_near_table *table, tks_bytes key, tks_bytes field,
                                     tks_bytes text);

/* NULL: there is none. Borrowed. */
tksp_near_view *tksp_near_table_ask(const tksp_near_table *table,
                                    const tks_near_question *question);

/* Gives the entry its view, which is filled in but for `entry`. */
void tksp_near_table_leave(tksp_near_table *table, tksp_near_entry *entry, tksp_near_view *view);

/* Takes back a view whose record is gone; with `all`, any. The caller frees it. */
tksp_near_view *tksp_near_table_reap(tksp_near_table *table, bool all);

void tksp_near_table_remove(tksp_near_table *table, tksp_near_entry *entry);

/* Removes all of a key; how many there were. */
size_t tksp_near_table_drop(tksp_near_table *table, tks_bytes key);

#endif
