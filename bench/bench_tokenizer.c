// SPDX-License-Identifier: MIT
/* bench_tokenizer.c - how fast a vocabulary encodes, as CSV: texts given, and texts that are hard
 * on tokenizers (one letter, spaces, newlines, a long word), each also at half its size, so that
 * one sees whether time is linear. CPU time of one thread; the best of several runs.
 *
 *   usage: bench_tokenizer VOCABULARY [TEXT...]
 *          bench_tokenizer --pre-tokenizers   the cutting alone, of every one by name: the worst of
 *                                             many repeated texts, at 128 and at 512 KiB
 *
 * Figures of one machine are in docs/tokenizers.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockstep/tokenizer.h"
#include "text/pretok.h"

enum { RUNS = 5, MIB = 1 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* one thread; others may be at work, too */
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
    long  size = 0;
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

/* ---- pre-tokenizers ---- */

static const char *const units[] = {
    "a",      "A",      "aB",     "Ab",      " ",      "  x",    "\n",          "\r\n",   "\r",
    "\t",     " \n",    "\n ",    " \t\n x", "1",      "123 ",   "1a",          "a1",     "a-",
    "<",      "$",      "^",      "_",       ".",      "a.",     "-",           "/",      "'",
    "' ",     "a'",     "'s",     "'re",     "'LL",    "S'",     "(",           ",",      "a b",
    " a",     "AAAb",   "XxX",    "\u00e9",  "\u00c4", "\u01c5", "\u02b0",      "\u0301", "\u4f60",
    "\u304b", "\ud55c", "\u0643", "\u0663",  "\u3002", "\u00a0", "\u2014",      "\u0e01", "\ue000",
    "\xff",   "\x01",   "\u0e34", "\u3007",  "IMGIMG", "a a",    "<sentinel:1",
};

static double time_cutting(const ls_pretok *p, const char *unit, size_t len)
{
    char    *text = malloc(len);
    ls_words words;
    ls_error err = {0};
    double   start;
    if (!text) die(unit, NULL);
    for (size_t i = 0; i < len; i++) text[i] = unit[i % strlen(unit)];
    start = now();
    if (ls_pretok_split(p, text, len, &words, &err) != LS_OK) die(unit, &err);
    start = now() - start;
    ls_words_fini(&words);
    free(text);
    return start;
}

static int time_pre_tokenizers(void)
{
    const ls_pretok_family *f;
    puts("name,text,seconds_128_KiB,seconds_512_KiB");
    for (size_t i = 0; (f = ls_pretok_family_at(i)) != NULL; i++) {
        ls_pretok *p;
        ls_error   err = {0};
        int        traits;
        double     worst = 0, smaller = 0;
        size_t     which = 0;
        if (ls_pretok_create(&p, (ls_str){f->names[0], strlen(f->names[0])}, &traits, &err) !=
            LS_OK)
            die(f->names[0], &err);
        for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
            double little = time_cutting(p, units[u], MIB / 8);
            double took = time_cutting(p, units[u], MIB / 2);
            if (took <= worst) continue;
            worst = took;
            smaller = little;
            which = u;
        }
        printf("%s,", f->names[0]);
        for (const char *c = units[which]; *c; c++) {
            if (*c > 32 && *c < 127) {
                putchar(*c);
            } else {
                printf("\\x%02x", (unsigned char)*c);
            }
        }
        printf(",%.4f,%.4f\n", smaller, worst);
        fflush(stdout);
        ls_pretok_destroy(p);
    }
    return 0;
}

int main(int argc, char **argv)
{
    ls_tokenizer *t;
    ls_error      err = {0};
    double        start = now();
    if (argc < 2) {
        fprintf(stderr, "usage: bench_tokenizer VOCABULARY [TEXT...] | --pre-tokenizers\n");
        return 2;
    }
    if (strcmp(argv[1], "--pre-tokenizers") == 0) return time_pre_tokenizers();
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
