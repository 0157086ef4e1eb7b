/* tokenstore/notes.h - log lines, kept until the host can log them.
 *
 * Purpose:   operations, and clients with their own threads, record log lines here. The host's logger may only be
 *            called from a thread of the host, so the lines wait.
 * Rules:     a note is one line, whatever its text. If there are too many, info lines are dropped first, then the
 *            oldest warnings, and one line says how many: the last warning is always kept. No line may contain a
 *            token or a secret; that is up to the callers of tks_notes_add.
 * Lifecycle: tks_notes is the caller's storage: init, add, take, clear.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_NOTES_H
#define TOKENSTORE_NOTES_H

#include "tokenstore/api.h"
#include "tokenstore/buf.h"

TKS_BEGIN_DECLS

enum {
    TKS_NOTE_MAX = 1024,             /**< bytes of one note; a longer one is truncated */
    TKS_NOTES_MIN = 4 * TKS_NOTE_MAX /**< the minimum of `max` */
};

typedef struct tks_notes {
    tks_buf lines;
    size_t max;
    size_t dropped; /**< lines dropped for lack of room */
} tks_notes;

/** Empty, with room for `max` bytes, at least TKS_NOTES_MIN. Allocates nothing. */
void tks_notes_init(tks_notes *notes, size_t max);

/** Frees the storage; no notes remain. NULL is accepted. */
void tks_notes_clear(tks_notes *notes);

static inline bool tks_notes_is_empty(const tks_notes *notes) {
    return notes->lines.size == 0 && notes->dropped == 0;
}

/** Adds a note; `level` is 'i' (information) or 'w' (warning). Control characters in `text` become
 * blanks. Never fails: without memory, the note counts as dropped. */
void tks_notes_add(tks_notes *notes, char level, const char *text);

/** Moves the notes of `from` to `to`. */
void tks_notes_move(tks_notes *from, tks_notes *to);

/** Moves the notes to `out` as lines: the level, the text, a newline. The first one says how many were
 * dropped, if any. TKS_OK; TKS_ERR_MEMORY: nothing was moved. */
tks_status tks_notes_take(tks_notes *notes, tks_buf *out);

/** Splits the output of tks_notes_take, one line per call. False: none left. */
bool tks_notes_next(tks_bytes *rest, char *level, tks_bytes *text);

TKS_END_DECLS
#endif
