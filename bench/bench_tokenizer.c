// SPDX-License-Identifier: MIT
/* bench_tokenizer.c - how fast a vocabulary encodes, as CSV: texts given, and texts that are hard
 * on tokenizers (one letter, spaces, newlines, a long word), each also at half its size, so that
 * one sees whether time is linear. One thread; the best of several runs.
 *
 *   usage: bench_tokenizer VOCABULARY [TEXT...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockstep/tokenizer.h"

enum { RUNS = 5, MIB = 1 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const ls_error *err)
{
    fprintf(stderr, "bench_tokenizer: %s: %s\n", what, err ? err->what : "failed");
    exit(1);
}

static void time_text(const ls_tokenizer *t, const char *name, const char *text, size_t len)
{
    const ls_encode_options o = {LS_BOS_NO, false};
    double                  best = 1e30;
    size_t                  n = 0;
    for (int i = 0; i < RUNS; i++) {
        int32_t *ids;
        ls_error err = {0};
        double   start = now(), took;
        if (ls_tokenizer_encode(t, text, len, &o, &ids, &n, &err) != LS_OK) die(name, &err);
        took = now() - start;
        if (took < best) best = took;
        free(ids);
        if (took > 2) break;
    }
    printf("%s,%zu,%zu,%.4f,%.2f\n", name, len, n, best, (double)len / best / 1e6);
    fflush(stdout);
}

static void time_file(const ls_tokenizer *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text;
    long  size;
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
        die(path, NULL);
    }
    text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) die(path, NULL);
    fclose(f);
    time_text(t, strrchr(path, '/') ? strrchr(path, '/') + 1 : path, text, (size_t)size);
    free(text);
}

/* A megabyte of a short text over and over, and half a megabyte. */
static void time_repeated(const ls_tokenizer *t, const char *name, const char *unit)
{
    char  *text = malloc(MIB);
    size_t len = strlen(unit);
    if (!text) die(name, NULL);
    for (size_t i = 0; i < MIB; i++) text[i] = unit[i % len];
    time_text(t, name, text, MIB / 2);
    time_text(t, name, text, MIB);
    free(text);
}

/* A word of a megabyte without a pattern. */
static void time_noise(const ls_tokenizer *t)
{
    char    *text = malloc(MIB);
    unsigned x = 1;
    if (!text) die("noise", NULL);
    for (size_t i = 0; i < MIB; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = (char)('a' + (x >> 16) % 26);
    }
    time_text(t, "random letters", text, MIB / 2);
    time_text(t, "random letters", text, MIB);
    free(text);
}

int main(int argc, char **argv)
{
    ls_tokenizer *t;
    ls_error      err = {0};
    double        start = now();
    if (argc < 2) {
        fprintf(stderr, "usage: bench_tokenizer VOCABULARY [TEXT...]\n");
        return 2;
    }
    if (ls_tokenizer_open(&t, argv[1], &err) != LS_OK) die(argv[1], &err);
    printf("# %s: %d tokens, opened in %.3f s\n", argv[1], (int)ls_tokenizer_n_vocab(t),
           now() - start);
    printf("text,bytes,ids,seconds,MB_per_second\n");
    for (int i = 2; i < argc; i++) time_file(t, argv[i]);
    time_repeated(t, "a", "a");
    time_repeated(t, "spaces", " ");
    time_repeated(t, "newlines", "\n");
    time_repeated(t, "spaces and a letter", "                                       x");
    time_repeated(t, "digits", "1234567890");
    time_repeated(t, "<", "<");
    time_noise(t);
    ls_tokenizer_destroy(t);
    return 0;
}
