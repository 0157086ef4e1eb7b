/* raw_key.c - for test_raw_key.py: reads commands, one a line with a tab between two words, and prints the first key of
 * each in a line of its own. */
#include <stdio.h>
#include <string.h>

#include "ops/raw_key.h"

int main(void) {
    enum { LINE = 4096, WORDS = 64 };
    char line[LINE];
    tks_bytes words[WORDS];
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t count = 0;
        for (char *at = line; at != NULL && count < WORDS; count++) {
            size_t size = strcspn(at, "\t\n");
            words[count] = tks_bytes_of(at, size);
            at = at[size] == '\t' ? at + size + 1 : NULL;
        }
        tks_bytes key = tksp_raw_key(count, words);
        printf("%.*s\n", (int)key.size, key.size > 0 ? key.data : "");
    }
    return 0;
}
