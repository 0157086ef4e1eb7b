/* notes.c - see tokenstore/notes.h. */
#include "tokenstore/notes.h"

#include <stdio.h>

void tks_notes_init(tks_notes *notes, size_t max) {
    notes->max = max < TKS_NOTES_MIN ? TKS_NOTES_MIN : max;
    notes->dropped = 0;
    tks_buf_init(&notes->lines, notes->max);
}

void tks_notes_clear(tks_notes *notes) {
    if (notes == NULL) return;
    tks_buf_clear(&notes->lines);
    notes->dropped = 0;
}

/* The size of the line at `at`, with its newline. Every line has one: lines are written whole or not at all.
 * */
static size_t line_size(const tks_buf *lines, size_t at) {
    const char *line = lines->data + at;
    return (size_t)((const char *)memchr(line, '\n', lines->size - at) - line) + 1;
}

/* Drops the least important lines: all of level info, then the oldest warnings until half of the room is
 * free. */
static void make_room(tks_notes *notes) {
    tks_buf *lines = &notes->lines;
    size_t kept = 0, cut = 0;
    for (size_t at = 0, size; at < lines->size; at += size) {
        size = line_size(lines, at);
        if (lines->data[at] != 'w') {
            notes->dropped++;
            continue;
        }
        memmove(lines->data + kept, lines->data + at, size);
        kept += size;
    }
    lines->size = kept;
    for (; kept - cut > notes->max / 2; notes->dropped++) cut += line_size(lines, cut);
    tks_buf_consume(lines, cut);
}

static void add(tks_notes *notes, char level, tks_bytes text) {
    size_t size = text.size < TKS_NOTE_MAX ? text.size : TKS_NOTE_MAX;
    char *at = NULL;
    if (notes->lines.size + size + 2 > notes->max) make_room(notes);
    if (tks_buf_reserve(&notes->lines, size + 2, &at) != TKS_OK) {
        notes->lines.status = TKS_OK; /* the next allocation may succeed */
        notes->dropped++;
        return;
    }
    *at++ = level;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        *at++ = c < 0x20 || c == 0x7F ? ' ' : (char)c;
    }
    *at = '\n';
    tks_buf_advance(&notes->lines, size + 2);
}

void tks_notes_add(tks_notes *notes, char level, const char *text) {
    add(notes, level, tks_bytes_of(text, strlen(text)));
}

void tks_notes_move(tks_notes *from, tks_notes *to) {
    tks_bytes rest = tks_buf_bytes(&from->lines);
    tks_bytes text;
    char level;
    to->dropped += from->dropped;
    while (tks_notes_next(&rest, &level, &text)) add(to, level, text);
    tks_notes_clear(from);
}

tks_status tks_notes_take(tks_notes *notes, tks_buf *out) {
    char gap[80];
    char *at = NULL;
    size_t size = 0;
    if (notes->dropped > 0) {
        size = (size_t)snprintf(gap, sizeof gap, "w%zu log lines dropped: too many at once\n",
                                notes->dropped);
    }
    tks_status status = tks_buf_reserve(out, size + notes->lines.size, &at);
    if (status != TKS_OK) return status;
    memcpy(at, gap, size);
    if (notes->lines.size > 0) memcpy(at + size, notes->lines.data, notes->lines.size);
    tks_buf_advance(out, size + notes->lines.size);
    tks_notes_clear(notes);
    return TKS_OK;
}

bool tks_notes_next(tks_bytes *rest, char *level, tks_bytes *text) {
    if (rest->size < 2) return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    *level = rest->data[0];
    *text = tks_bytes_of(rest->data + 1, size - 1);
    size += end != NULL ? 1 : 0;
    *rest = tks_bytes_of(rest->data + size, rest->size - size);
    return true;
}
