/* near.h - the near cache's other side: operations. See tokenstore/near.h. */
#ifndef TKSP_NEAR_H
#define TKSP_NEAR_H

#include "arena.h"
#include "tokenstore/near.h"

typedef struct tksp_near_entry tksp_near_entry;
typedef struct tksp_near_view tksp_near_view;

/* A record, as it was read. */
typedef struct tksp_near_record {
    tks_bytes text;
    int64_t ends_ms; /* by the server's clock; 0: never */
    int64_t
        clock_ms; /* what that says now; a little ahead, by 2 ms and the way of an answer at most */
} tksp_near_record;

/* What was known when the server was asked. */
typedef struct tksp_near_ticket {
    unsigned generation;
    int64_t asked_ms;
} tksp_near_ticket;

/* What is known under this key and field from `node`, which serves it; NULL: nothing that counts. The caller holds the entry, and as
 * long the text. */
tksp_near_entry *tksp_near_find(tks_near *near, int node, tks_bytes key, tks_bytes field,
                                int64_t now_ms, tksp_near_record *out);
void tksp_near_release(tksp_near_entry *entry); /* NULL is accepted */

/* Gives the entry this view, which was allocated. False: the entry is gone, and the view the caller's. */
bool tksp_near_leave_view(tks_near *near, tksp_near_entry *entry, tksp_near_view *view);

enum { TKSP_NEAR_PREFIXES_MAX = 8 };

/* Keys with this prefix will be asked for. The first time, the links begin anew. */
void tksp_near_want(tks_near *near, tks_bytes prefix);

/* The prefixes that are wanted, in `arena`, and the version of them. NULL: out of memory. */
const tks_bytes *tksp_near_prefixes(tks_near *near, tksp_arena *arena, size_t *count,
                                    unsigned *version);

/* Before the server is asked for this key. */
tksp_near_ticket tksp_near_reserve(tks_near *near, tks_bytes key, int64_t now_ms);

/* The server's answer, from this node. Nothing is kept if the key was invalidated since, or the link was not open all the time, or
 * memory is short. `record.clock_ms` is what the server's clock said meanwhile. */
void tksp_near_put(tks_near *near, tksp_near_ticket ticket, int node, tks_bytes key,
                   tks_bytes field, const tksp_near_record *record);

/* Adds what is to be logged. */
void tksp_near_tell(tks_near *near, tks_notes *notes);

/* This process has changed the key, or may have. */
void tksp_near_drop(tks_near *near, tks_bytes key);

#endif
