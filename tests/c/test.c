/* test.c - the harness: registration, counting, printing. */
#include "test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TEST_VECTORS
#define TEST_VECTORS "tests/vectors"
#endif

enum { VECTORS_MAX = 16 * 1024 * 1024 };

static test_case *tests;
static int passed, failed, skipped;
static char context[256];

void test_register(test_case *test) {
    test_case **at = &tests;
    while (*at != NULL && strcmp((*at)->name, test->name) < 0) at = &(*at)->next;
    test->next = *at;
    *at = test;
}

void test_context(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(context, sizeof context, format, args);
    va_end(args);
}

void test_skip(const char *why) {
    skipped++;
    printf("SKIP %s\n", why);
}

int test_failures(void) {
    return failed;
}

/* Counts a check; on failure prints the location, without ending the line, for the values. */
static bool count(bool held, const char *file, int line, const char *what) {
    if (held) {
        passed++;
        return true;
    }
    failed++;
    printf("%s:%d: %s", file, line, what);
    if (context[0] != '\0') printf(" [%s]", context);
    return false;
}

bool test_check(bool held, const char *file, int line, const char *what) {
    if (!count(held, file, line, what)) printf(" does not hold\n");
    return held;
}

bool test_check_int(int64_t got, int64_t want, const char *file, int line, const char *what) {
    bool held = got == want;
    if (!count(held, file, line, what)) printf(" is %" PRId64 ", not %" PRId64 "\n", got, want);
    return held;
}

bool test_check_status(tks_status got, tks_status want, const char *file, int line,
                       const char *what) {
    bool held = got == want;
    if (!count(held, file, line, what)) {
        printf(" is %s, not %s\n", tks_status_code(got), tks_status_code(want));
    }
    return held;
}

bool test_check_text(const char *got, const char *want, const char *file, int line,
                     const char *what) {
    bool held = strcmp(got, want) == 0;
    if (!count(held, file, line, what)) printf(" is \"%s\", not \"%s\"\n", got, want);
    return held;
}

static void print_bytes(tks_bytes bytes) {
    putchar('"');
    for (size_t i = 0; i < bytes.size && i < 400; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c >= 0x20 && c < 0x7F) {
            putchar(c);
        } else {
            printf("\\x%02x", c);
        }
    }
    printf("\"%s", bytes.size > 400 ? "..." : "");
}

bool test_check_bytes(tks_bytes got, tks_bytes want, const char *file, int line, const char *what) {
    bool held = tks_bytes_equal(got, want);
    if (!count(held, file, line, what)) {
        printf(" is ");
        print_bytes(got);
        printf(", not ");
        print_bytes(want);
        putchar('\n');
    }
    return held;
}

bool test_check_contains(const char *got, const char *part, const char *file, int line,
                         const char *what) {
    bool held = strstr(got, part) != NULL;
    if (!count(held, file, line, what)) printf(" is \"%s\", without \"%s\"\n", got, part);
    return held;
}

void test_read_vectors(const char *name, tks_buf *out) {
    char path[512];
    FILE *file = NULL;
    char *at = NULL;
    size_t size = 0;

    tks_buf_init(out, VECTORS_MAX);
    (void)snprintf(path, sizeof path, "%s/%s", TEST_VECTORS, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        printf("%s: cannot be read\n", path);
        exit(1);
    }
    while (tks_buf_reserve(out, 65536, &at) == TKS_OK && (size = fread(at, 1, 65536, file)) > 0) {
        tks_buf_advance(out, size);
    }
    fclose(file);
}

tks_bytes test_bytes(const char *text) {
    return tks_bytes_of(text, strlen(text));
}

static bool chosen(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) return true;
    }
    return argc <= 1;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const test_case *test = tests; test != NULL; test = test->next) {
        int before = passed + failed + skipped;
        if (!chosen(test->name, argc, argv)) continue;
        context[0] = '\0';
        test->run();
        if (passed + failed + skipped == before) { /* a test without checks is an error */
            failed++;
            printf("%s: no check in it ran\n", test->name);
        }
    }
    printf("%d passed, %d skipped, %d failed\n", passed, skipped, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
