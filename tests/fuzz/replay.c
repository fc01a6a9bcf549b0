// SPDX-License-Identifier: MIT
/* replay.c - runs a fuzz target without libFuzzer: its seeds, the files of its corpus folder
 * (inputs that once found a fault), and deterministic mutations of all of them.
 *
 *   usage: replay_NAME [--mutations N] [--write-seeds FOLDER] [FILE_OR_FOLDER...] */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/files.h"
#include "support/rng.h"

typedef struct input {
    uint8_t *data;
    size_t   size;
} input;

static input *inputs;
static size_t n_inputs;

static void add(uint8_t *data, size_t size)
{
    inputs = realloc(inputs, (n_inputs + 1) * sizeof(*inputs));
    FUZZ_REQUIRE(inputs);
    inputs[n_inputs++] = (input){data, size};
}

static void add_path(const char *path)
{
    DIR           *dir = opendir(path);
    struct dirent *e;
    char           file[4096];
    size_t         n;
    if (!dir) {
        uint8_t *data = file_read(path, &n);
        add(data, n);
        return;
    }
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        add_path(file);
    }
    closedir(dir);
}

/* A few random edits: flipped bits, chosen bytes, numbers, cut and repeated parts. */
static input mutate(rng *r, const input *from)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       0x7f,
                                       0xff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       (uint64_t)1 << 62,
                                       (uint64_t)1 << 63,
                                       UINT64_MAX};
    input                 m = {malloc(2 * from->size + 16), from->size};
    size_t                n_edits = 1 + rng_below(r, 4);
    FUZZ_REQUIRE(m.data);
    if (m.size) memcpy(m.data, from->data, m.size);
    for (size_t i = 0; i < n_edits && m.size; i++) {
        size_t at = rng_below(r, m.size), n = rng_below(r, m.size - at) + 1;
        size_t kind = rng_below(r, 6);
        if (kind <= 1) m.data[at] ^= (uint8_t)(1u << rng_below(r, 8));
        if (kind == 2) m.data[at] = (uint8_t)rng_next(r);
        if (kind == 3) {
            size_t width = n < 8 ? n : rng_below(r, 2) ? 4 : 8;
            memcpy(m.data + at, &numbers[rng_below(r, 10)], width);
        }
        if (kind == 4) m.size = at;                      /* cut here */
        if (kind == 5 && m.size + n <= 2 * from->size) { /* say it twice */
            memmove(m.data + at + n, m.data + at, m.size - at);
            m.size += n;
        }
    }
    return m;
}

static void write_seeds(const char *folder)
{
    char     path[4096];
    uint8_t *seed;
    size_t   n;
    for (size_t i = 0; (seed = fuzz_seed(i, &n)) != NULL; i++) {
        snprintf(path, sizeof(path), "%s/seed-%zu", folder, i);
        file_write(path, seed, n);
        free(seed);
    }
}

int main(int argc, char **argv)
{
    long     n_mutations = 0;
    rng      r = {4711};
    uint8_t *seed;
    size_t   n;
    for (size_t i = 0; (seed = fuzz_seed(i, &n)) != NULL; i++) add(seed, n);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
            n_mutations = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--write-seeds") == 0 && i + 1 < argc) {
            write_seeds(argv[++i]);
            return 0;
        } else {
            add_path(argv[i]);
        }
    }
    for (size_t i = 0; i < n_inputs; i++) LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    for (long k = 0; k < n_mutations; k++) {
        input m = mutate(&r, &inputs[(size_t)k % n_inputs]);
        LLVMFuzzerTestOneInput(m.data, m.size);
        free(m.data);
    }
    printf("%zu inputs and %ld mutations survived\n", n_inputs, n_mutations);
    for (size_t i = 0; i < n_inputs; i++) free(inputs[i].data);
    free(inputs);
    return 0;
}
