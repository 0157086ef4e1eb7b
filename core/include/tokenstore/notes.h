/* tokenstore/notes.h - lines for a log, kept until somebody can log them.
 *
 * Purpose:   an operation, and a client with threads of its own, note what is worth a line in a log. The
 *            host's logger may only be called where the host calls in, so the lines wait here.
 * Rules:     a note is one line, whatever its text. Where there are too many, information goes first,
 *            then the oldest warnings, and one line says how many are missing: the last warning always
 *            arrives. No line holds a token or a secret; that is up to the callers of tks_notes_add.
 * Lifecycle: tks_notes is the caller's storage: init, add, take, clear.
 * Threads:   one thread at a time. */
#ifndef TOKENSTORE_NOTES_H
#define TOKENSTORE_NOTES_H

#include "tokenstore/api.h"
#include "tokenstore/buf.h"

TKS_BEGIN_DECLS

enum {
    TKS_NOTE_MAX = 1024,             /**< bytes of one note; the rest of a longer one is cut off */
    TKS_NOTES_MIN = 4 * TKS_NOTE_MAX /**< the least that `max` may be */
};

typedef struct tks_notes {
    tks_buf lines;
    size_t max;
    size_t dropped; /**< lines that found no room */
} tks_notes;

/** No notes, and room for `max` bytes of them, TKS_NOTES_MIN at least. Allocates nothing. */
void tks_notes_init(tks_notes *notes, size_t max);

/** Frees the storage; there are no notes then. NULL is accepted. */
void tks_notes_clear(tks_notes *notes);

static inline bool tks_notes_is_empty(const tks_notes *notes) {
    return notes->lines.size == 0 && notes->dropped == 0;
}

/** Adds a note; `level` is 'i' (information) or 'w' (warning). Control characters in `text` become
 * blanks. Never fails: a note that finds no memory counts as dropped. */
void tks_notes_add(tks_notes *notes, char level, const char *text);

/** Adds the notes of `from` to `to`; `from` has none afterwards. */
void tks_notes_move(tks_notes *from, tks_notes *to);

/** Moves the notes to `out` as lines: the level, the text, a newline. The first one says how many were
 * dropped, if any. TKS_OK; TKS_ERR_MEMORY: nothing was moved. */
tks_status tks_notes_take(tks_notes *notes, tks_buf *out);

/** Splits what tks_notes_take gave, a line each call. False: there is none left. */
bool tks_notes_next(tks_bytes *rest, char *level, tks_bytes *text);

TKS_END_DECLS
#endif
