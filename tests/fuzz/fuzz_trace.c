// SPDX-License-Identifier: MIT
/* fuzz_trace.c - any bytes as manifest.json and trace.jsonl (with a zero byte between them):
 * refused with a sentence, or a trace that is equal to itself and written as it was read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "lockstep/record.h"

static char folder[64];
static int  fds[2];

static void remove_folder(void)
{
    static const char *const names[] = {"manifest.json", "trace.jsonl"};
    char                     path[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A folder of links to files in memory. */
static void make_folder(void)
{
    static const char *const names[] = {"manifest.json", "trace.jsonl"};
    char                     path[128], target[64];
    strcpy(folder, "/tmp/lockstep-fuzz-XXXXXX");
    if (!mkdtemp(folder)) abort();
    for (int i = 0; i < 2; i++) {
        fds[i] = memfd_create("lockstep-fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        snprintf(target, sizeof(target), "/proc/self/fd/%d", fds[i]);
        if (fds[i] < 0 || symlink(target, path) != 0) abort();
    }
    atexit(remove_folder);
}

static void put(int i, const uint8_t *p, size_t n)
{
    if (ftruncate(fds[i], 0) != 0 || pwrite(fds[i], p, n, 0) != (ssize_t)n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    size_t         n = zero ? (size_t)(zero - data) : size;
    ls_trace       t;
    ls_trace_diff  d;
    ls_error       err = {0};
    if (!folder[0]) make_folder();
    put(0, data, n);
    put(1, zero ? zero + 1 : data, zero ? size - n - 1 : 0);
    if (ls_trace_read(&t, folder, &err) != LS_OK) {
        FUZZ_REQUIRE(err.what[0]);
        return 0;
    }
    FUZZ_REQUIRE(t.n_records > 0 && t.n_tokens >= t.n_prompt && t.n_prompt > 0);
    t.has_values = false; /* there are none in this folder */
    FUZZ_REQUIRE(ls_trace_compare(&d, &t, &t, 1e300, NULL) == LS_OK);
    FUZZ_REQUIRE(d.n_findings == 0 && d.verdict != LS_VERDICT_TOKENS_DIFFER);
    ls_trace_diff_fini(&d);
    ls_trace_fini(&t);
    return 0;
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RECORD(seq, layer, stage, shape, n)                                                        \
    "{\"name\":\"x\",\"shape\":" shape ",\"dtype\":\"F32\",\"blake3\":\"" HASH                     \
    "\",\"rms\":0.5,\"num_elements\":" n ",\"seq\":" seq ",\"layer\":" layer ",\"stage\":\"" stage \
    "\",\"pos\":0,\"sum\":0.25,\"max_abs\":1.5,\"not_finite\":0,"                                  \
    "\"projections\":[1,2,3,4,5,6,7,8]}\n"

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const char manifest[] =
        "{\"schema\":\"lockstep.trace/1\",\"engine\":{\"engine\":\"native\",\"version\":\"1\","
        "\"isa\":\"avx2\"},\"model\":{\"path\":\"m\",\"sha256\":\"" HASH
        "\",\"architecture\":\"llama\"},\"tokens\":{\"prompt\":[1,2],\"decoded\":[3]},"
        "\"n_records\":2,\"declined\":[\"q_norm\"],\"values\":\"sketch\",\"logits_sha256\":\"" HASH
        "\",\"perturbed\":false}";
    static const char rows[] = RECORD("0", "-1", "embeddings", "[2,4]", "8")
        RECORD("1", "3", "attn_scores", "[2,1,3]", "6");
    static const char twice[] =
        RECORD("0", "0", "q_proj", "[2,4]", "8") RECORD("0", "0", "q_proj", "[2,4]", "8");
    const char *second = i == 0 ? rows : twice;
    uint8_t    *out;
    if (i > 1) return NULL;
    *size = sizeof(manifest) + strlen(second);
    out = malloc(*size);
    if (!out) abort();
    memcpy(out, manifest, sizeof(manifest));
    memcpy(out + sizeof(manifest), second, strlen(second));
    return out;
}
