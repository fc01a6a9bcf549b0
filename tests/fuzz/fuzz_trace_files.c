// SPDX-License-Identifier: MIT
/* fuzz_trace_files.c - any bytes as a folder of one to four NAME.trace files without a manifest
 * (zero bytes between them): refused with a sentence, or a trace of as many records that is equal
 * to itself, and to which the folder without its last file compares as it does to the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "lockstep/record.h"

enum { MAX_FILES = 4 };
static char folders[MAX_FILES + 1][64]; /* folder k has k files */
static int  fds[MAX_FILES];

static const char *file_name(int k, int i, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/%d.trace", folders[k], i);
    return buf;
}

static void remove_folders(void)
{
    char path[128];
    for (int k = 1; k <= MAX_FILES; k++) {
        for (int i = 0; i < k; i++) unlink(file_name(k, i, path, sizeof(path)));
        rmdir(folders[k]);
    }
}

/* Folders of links to the same files in memory. */
static void make_folders(void)
{
    char path[128], target[64];
    for (int i = 0; i < MAX_FILES; i++) {
        fds[i] = memfd_create("lockstep-fuzz", MFD_CLOEXEC);
        if (fds[i] < 0) abort();
    }
    for (int k = 1; k <= MAX_FILES; k++) {
        strcpy(folders[k], "/tmp/lockstep-fuzz-XXXXXX");
        if (!mkdtemp(folders[k])) abort();
        for (int i = 0; i < k; i++) {
            snprintf(target, sizeof(target), "/proc/self/fd/%d", fds[i]);
            if (symlink(target, file_name(k, i, path, sizeof(path))) != 0) abort();
        }
    }
    atexit(remove_folders);
}

/* How many files there are. */
static int put(const uint8_t *data, size_t size)
{
    int k = 0;
    while (k < MAX_FILES) {
        const uint8_t *zero = k + 1 < MAX_FILES && size ? memchr(data, 0, size) : NULL;
        size_t         n = zero ? (size_t)(zero - data) : size;
        if (ftruncate(fds[k], 0) != 0 || pwrite(fds[k], data, n, 0) != (ssize_t)n) abort();
        k++;
        if (!zero) break;
        data = zero + 1;
        size -= n + 1;
    }
    return k;
}

static bool read_folder(ls_trace *t, int k)
{
    ls_error err = {0};
    if (ls_trace_read(t, folders[k], &err) != LS_OK) {
        FUZZ_REQUIRE(err.what[0]);
        return false;
    }
    FUZZ_REQUIRE(t->bare && t->n_records == (size_t)k && t->n_tokens == 0);
    return true;
}

static size_t findings(const ls_trace *a, const ls_trace *b)
{
    ls_trace_diff d;
    size_t        n;
    FUZZ_REQUIRE(ls_trace_compare(&d, a, b, 1e300, NULL) == LS_OK);
    FUZZ_REQUIRE(d.verdict != LS_VERDICT_TOKENS_DIFFER && d.n_compared <= d.n_planned);
    FUZZ_REQUIRE(d.verdict != LS_VERDICT_MATCH || (d.n_findings == 0 && d.n_compared > 0));
    for (size_t i = 0; a == b && i < d.n_rows; i++) {
        FUZZ_REQUIRE(d.rows[i].a == d.rows[i].b);
        FUZZ_REQUIRE(!d.rows[i].a || d.rows[i].d.same_bits);
    }
    n = d.n_findings;
    ls_trace_diff_fini(&d);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ls_trace all, less;
    int      k;
    if (!folders[1][0]) make_folders();
    k = put(data, size);
    if (!read_folder(&all, k)) return 0;
    findings(&all, &all);
    if (k > 1) {
        FUZZ_REQUIRE(read_folder(&less, k - 1));
        FUZZ_REQUIRE(findings(&all, &less) == findings(&less, &all));
        ls_trace_fini(&less);
    }
    ls_trace_fini(&all);
    return 0;
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TAP(name, shape, n, hash, rest)                                                            \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"F32\",\"" hash "\":\"" HASH            \
    "\",\"rms\":0.5,\"num_elements\":" n rest "}"
#define PLACE(seq, layer, stage) ",\"seq\":" seq ",\"layer\":" layer ",\"stage\":\"" stage "\""

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const char places[] =
        TAP("t0/embeddings", "[1,2,4]", "8", "blake3", PLACE("0", "-1", "embeddings")) "\0" TAP(
            "t0/blk3/attn_norm", "[2,4]", "8", "blake3",
            PLACE("0", "3", "attn_norm")) "\0" TAP("t0/logits", "[2,16]", "32", "blake3",
                                                   PLACE("0", "-1", "logits"));
    static const char names[] = TAP("t1/blk0/q_proj", "[4]", "4", "sha256", "") "\0" TAP(
        "t1_all_layers_out", "[1,1,2,2,4]", "16", "blake3",
        ",\"layer\":-2") "\0" TAP("t0/blk0/q_proj", "[2,4]", "8", "blake3",
                                  "") "\0" TAP("t2_x", "[1]", "1", "blake3", "");
    static const char own[] = TAP(
        "x", "[2,4]", "8", "blake3",
        PLACE("0", "-1", "embeddings") ",\"pos\":0,\"sum\":0.25,\"max_abs\":1.5,\"not_finite\":0,"
                                       "\"projections\":[1,2,3,4,5,6,7,8]");
    static const struct {
        const char *p;
        size_t      n;
    } seeds[] = {{places, sizeof(places) - 1}, {names, sizeof(names) - 1}, {own, sizeof(own) - 1}};
    uint8_t *out;
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    *size = seeds[i].n;
    out = malloc(*size);
    if (!out) abort();
    memcpy(out, seeds[i].p, *size);
    return out;
}
