// SPDX-License-Identifier: MIT
/* fuzz.h - what a fuzz target is: one function that must survive any bytes, and seeds to start
 * from. The same file is linked with libFuzzer (LOCKSTEP_FUZZ, clang) and with replay.c (any
 * compiler). */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Survive these bytes: no crash, no undefined behaviour, no broken promise (then: abort). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Seed i as owned bytes (free), or NULL past the last. */
uint8_t *fuzz_seed(size_t i, size_t *size);

/* A file in memory with these bytes; its path is valid until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

/* A promise that must hold whatever the input; abort() with a line otherwise. */
#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
