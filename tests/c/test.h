/* test.h - a small harness for the C tests.
 *
 * Purpose:   TEST(name) { … } defines a test that registers itself; CHECK… macros count, print location and
 *            values on failure, and return the result, so that a test can stop early. main() in test.c runs
 *            every test, or those whose names contain an
 *            argument, and ends with "N passed, N failed": N counts checks.
 * Threads:   one. */
#ifndef TKSP_TESTS_TEST_H
#define TKSP_TESTS_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tokenstore/buf.h"
#include "tokenstore/status.h"

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;

void test_register(test_case *test);

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    __attribute__((constructor)) static void register_##test_name(void) {                          \
        static test_case test = {#test_name, test_name, NULL};                                     \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void test_name(void)

/* Counts a check; returns whether it passed. */
#define CHECK(condition) test_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(got, want)                                                                       \
    test_check_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got)
#define CHECK_STATUS(got, want) test_check_status((got), (want), __FILE__, __LINE__, #got)
#define CHECK_TEXT(got, want)   test_check_text((got), (want), __FILE__, __LINE__, #got)
#define CHECK_BYTES(got, want)  test_check_bytes((got), (want), __FILE__, __LINE__, #got)
/* `got` contains `part`. */
#define CHECK_CONTAINS(got, part) test_check_contains((got), (part), __FILE__, __LINE__, #got)

bool test_check(bool held, const char *file, int line, const char *what);
bool test_check_int(int64_t got, int64_t want, const char *file, int line, const char *what);
bool test_check_status(tks_status got, tks_status want, const char *file, int line,
                       const char *what);
bool test_check_text(const char *got, const char *want, const char *file, int line,
                     const char *what);
bool test_check_bytes(tks_bytes got, tks_bytes want, const char *file, int line, const char *what);
bool test_check_contains(const char *got, const char *part, const char *file, int line,
                         const char *what);

/* Additional text for failed checks, until the next call, such as the current case of a table. Copied. */
void test_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports that something could not be tested here, and why. */
void test_skip(const char *why);

/* The number of failed checks so far. */
int test_failures(void);

/* Reads tests/vectors/<name>. Ends the program if it is missing: vectors are not optional. The
 * caller clears the buffer. */
void test_read_vectors(const char *name, tks_buf *out);

/* `text` as bytes, without its NUL. */
tks_bytes test_bytes(const char *text);

#endif
