/* test_notes.c - tokenstore/notes.h: only whole lines, whatever the notes contain and however many there are.
 * */
#include <stdio.h>

#include "test.h"
#include "tokenstore/notes.h"

/* Takes the notes, each of which must be a whole line. Returns their number, and the last warning. */
static size_t take(tks_notes *notes, char *last, size_t last_size) {
    tks_buf out;
    tks_bytes rest, text;
    char level;
    size_t count = 0;

    tks_buf_init(&out, SIZE_MAX);
    CHECK_STATUS(tks_notes_take(notes, &out), TKS_OK);
    CHECK(tks_notes_is_empty(notes));
    CHECK(out.size == 0 || out.data[out.size - 1] == '\n');
    rest = tks_buf_bytes(&out);
    last[0] = '\0';
    for (; tks_notes_next(&rest, &level, &text); count++) {
        CHECK(level == 'i' || level == 'w');
        CHECK(text.size <= TKS_NOTE_MAX);
        if (level == 'w') (void)snprintf(last, last_size, "%.*s", (int)text.size, text.data);
    }
    CHECK_INT(rest.size, 0);
    tks_buf_clear(&out);
    return count;
}

TEST(notes_come_back_as_they_were_given) {
    tks_notes notes;
    tks_buf out;

    tks_notes_init(&notes, 0);
    tks_buf_init(&out, 100);
    CHECK(tks_notes_is_empty(&notes));
    CHECK_STATUS(tks_notes_take(&notes, &out), TKS_OK);
    CHECK_INT(out.size, 0);
    tks_notes_add(&notes, 'i', "asked");
    tks_notes_add(&notes, 'w', "");
    tks_notes_add(&notes, 'w', "two\nlines,\ta NUL's neighbour \x01 and \xc3\xa4");
    CHECK(!tks_notes_is_empty(&notes));
    CHECK_STATUS(tks_notes_take(&notes, &out), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out),
                TKS_LITERAL("iasked\nw\nwtwo lines, a NUL's neighbour   and \xc3\xa4\n"));
    tks_buf_clear(&out);
    tks_notes_clear(&notes);
}

/* At every fill level, with lines of every length. */
TEST(notes_that_find_no_room_are_whole_lines_and_a_count) {
    char line[TKS_NOTE_MAX + 20], last[TKS_NOTE_MAX + 1], want[TKS_NOTE_MAX + 1];

    for (size_t length = 1; length < sizeof line; length += 13) {
        tks_notes notes;
        size_t added = 0, count;
        tks_notes_init(&notes, 0);
        memset(line, 'x', sizeof line);
        line[length] = '\0';
        for (size_t bytes = 0; bytes < 5 * TKS_NOTES_MIN; bytes += length + 2, added++) {
            line[0] = (char)('A' + added % 26);
            tks_notes_add(&notes, 'w', line);
            CHECK(notes.lines.size <= TKS_NOTES_MIN);
        }
        (void)snprintf(want, sizeof want, "%s", line);
        CHECK(notes.dropped > 0);
        size_t dropped = notes.dropped;
        count = take(&notes, last, sizeof last);
        CHECK_INT(count + dropped, added + 1); /* the line that says so */
        CHECK(strcmp(last, want) == 0);
        tks_notes_clear(&notes);
    }
}

TEST(notes_say_first_how_many_are_missing) {
    tks_notes notes;
    tks_buf out;
    char want[80];
    char line[TKS_NOTE_MAX + 1];

    tks_notes_init(&notes, 0);
    tks_buf_init(&out, SIZE_MAX);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (size_t i = 0; i < 9; i++) tks_notes_add(&notes, 'w', line);
    (void)snprintf(want, sizeof want, "w%zu log lines dropped", notes.dropped);
    CHECK_STATUS(tks_notes_take(&notes, &out), TKS_OK);
    CHECK(out.size > strlen(want) && memcmp(out.data, want, strlen(want)) == 0);
    tks_buf_clear(&out);
    tks_notes_clear(&notes);
}

/* However many lines of level info follow it, and through several copies. */
TEST(notes_keep_the_last_warning) {
    char last[TKS_NOTE_MAX + 1];
    tks_notes notes, further;

    tks_notes_init(&notes, 0);
    tks_notes_init(&further, 0);
    for (unsigned i = 0; i < 100; i++) tks_notes_add(&notes, 'w', "an older warning");
    tks_notes_add(&notes, 'w', "the last warning");
    for (unsigned i = 0; i < 10000; i++) tks_notes_add(&notes, 'i', "something happened");
    CHECK(notes.dropped > 9000);
    tks_notes_move(&notes, &further);
    CHECK(tks_notes_is_empty(&notes));
    for (unsigned i = 0; i < 10000; i++) tks_notes_add(&notes, 'i', "something else happened");
    tks_notes_move(&notes, &further);
    CHECK(further.dropped > 18000);
    CHECK(take(&further, last, sizeof last) > 0);
    CHECK(strcmp(last, "the last warning") == 0);
    tks_notes_clear(&notes);
    tks_notes_clear(&further);
}

/* Text that is not from tks_notes_take: no read outside of it. */
TEST(notes_are_split_whatever_the_text) {
    tks_bytes text = {NULL, 0}, rest = TKS_LITERAL("wfirst\niwithout an end");
    char level = '?';

    CHECK(tks_notes_next(&rest, &level, &text));
    CHECK(level == 'w');
    CHECK_BYTES(text, TKS_LITERAL("first"));
    CHECK(tks_notes_next(&rest, &level, &text));
    CHECK(level == 'i');
    CHECK_BYTES(text, TKS_LITERAL("without an end"));
    CHECK(!tks_notes_next(&rest, &level, &text));
    rest = tks_bytes_of(NULL, 0);
    CHECK(!tks_notes_next(&rest, &level, &text));
}
