/* fuzz.h - shared by the fuzz targets.
 *
 * A target is one function that libFuzzer calls with bytes. REQUIRE checks a condition and aborts if it is
 * false, so that the fuzzer keeps the input. */
#ifndef TKSP_TESTS_FUZZ_H
#define TKSP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tokenstore/buf.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline tks_bytes fuzz_bytes(const uint8_t *data, size_t size) {
    return tks_bytes_of((const char *)data, size);
}

#endif
