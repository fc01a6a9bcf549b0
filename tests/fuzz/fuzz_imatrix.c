// SPDX-License-Identifier: MIT
/* fuzz_imatrix.c - any bytes as a file of importance, in either form. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/quantize.h"
#include "support/gguf_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    ls_error    err = {0};
    ls_imatrix *m;
    ls_status   status = ls_imatrix_open(&m, path, &err);
    if (status != LS_OK) {
        FUZZ_REQUIRE(m == NULL && err.status == status && err.what[0]);
        FUZZ_REQUIRE(status == LS_ERR_NOMEM || strncmp(err.where, path, strlen(path)) == 0);
        return 0;
    }
    FUZZ_REQUIRE(ls_imatrix_n_entries(m) > 0 && ls_imatrix_n_chunks(m) >= 0);
    for (size_t i = 0; i < ls_imatrix_n_entries(m); i++) {
        const ls_imatrix_entry *e = ls_imatrix_at(m, i);
        FUZZ_REQUIRE(e->name.len > 0 && e->n > 0 && e->n <= size / 4);
        FUZZ_REQUIRE(ls_imatrix_find(m, e->name) == e);
        for (size_t k = 0; k < e->n; k++) {
            FUZZ_REQUIRE(isfinite(e->weights[k]) && e->weights[k] >= 0);
        }
    }
    ls_imatrix_close(m);
    return 0;
}

static void seed_gguf(gguf_build *b)
{
    uint64_t wide[2] = {3, 2}, narrow[2] = {1, 2};
    gguf_build_header(b, 3, 2, 3);
    gguf_build_kv_array(b, "imatrix.datasets", 8, 1);
    gguf_build_str(b, "a text");
    gguf_build_kv_u32(b, "imatrix.chunk_count", 7);
    gguf_build_kv_u32(b, "imatrix.chunk_size", 512);
    gguf_build_tensor(b, "a.in_sum2", 2, wide, 0, 0);
    gguf_build_tensor(b, "a.counts", 2, narrow, 0, 32);
    gguf_build_pad(b, 32);
    for (int i = 0; i < 6; i++) gguf_build_f32(b, (float)i);
    gguf_build_pad(b, 32);
    gguf_build_f32(b, 4);
    gguf_build_f32(b, 0);
}

static void seed_old(gguf_build *b)
{
    gguf_build_u32(b, 2);
    for (int i = 0; i < 2; i++) {
        gguf_build_u32(b, 1);
        gguf_build_u8(b, (uint8_t)('a' + i));
        gguf_build_u32(b, 2);
        gguf_build_u32(b, 3);
        for (int k = 0; k < 3; k++) gguf_build_f32(b, 0.5f * (float)k);
    }
    gguf_build_u32(b, 11);
    gguf_build_u32(b, 6);
    gguf_build_bytes(b, "a text", 6);
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    gguf_build b = {0};
    if (i > 1) return NULL;
    if (i == 0) {
        seed_gguf(&b);
    } else {
        seed_old(&b);
    }
    *size = b.n;
    return b.data;
}
