// SPDX-License-Identifier: MIT
/* fuzz_pickle.c - any bytes as the pickle inside a PyTorch file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/pickle.h"
#include "fuzz/fuzz.h"

static ls_status sink(void *ctx, const ls_pickle_tensor *t, ls_error *err)
{
    (void)err;
    FUZZ_REQUIRE(t->name.len > 0 && t->n_dims <= LS_CKPT_MAX_DIMS && t->storage.p);
    FUZZ_REQUIRE((unsigned)t->dtype < LS_CKPT_N_DTYPES);
    for (uint32_t i = 0; i < t->n_dims; i++) FUZZ_REQUIRE(t->shape[i] >= 0 && t->stride[i] >= 0);
    ++*(size_t *)ctx;
    return LS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ls_error  err = {0};
    size_t    n = 0;
    ls_status status = ls_pickle_read(data, size, "p", sink, &n, &err);
    if (status == LS_OK) {
        FUZZ_REQUIRE(n > 0);
        return 0;
    }
    FUZZ_REQUIRE(err.status == status && err.what[0]);
    FUZZ_REQUIRE(status == LS_ERR_NOMEM || strncmp(err.where, "p: byte ", 8) == 0);
    return 0;
}

#define STORAGE "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\4tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const struct {
        const char *bytes;
        size_t      n;
    } seeds[] = {
#define SEED(s) {s, sizeof(s) - 1}
        SEED("\x80\2}q\0X\1\0\0\0wq\1" REBUILD "q\2(" STORAGE "K\0K\2K\2\x86K\2K\1\x86\x89"
             "ccollections\nOrderedDict\nq\3)Rq\4tq\5Rq\6s."),
        SEED("\x80\2ccollections\nOrderedDict\n)R(X\1\0\0\0w" REBUILD "(" STORAGE
             "K\0K\4\x85K\1\x85\x89NtRX\1\0\0\0vh\0u}b."),
        SEED("\x80\4\x95\x20\0\0\0\0\0\0\0}\x94(\x8c\1w\x94\x8c\2os\x94\x8c\6system\x94\x93\x94u."),
    };
    uint8_t *out;
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    *size = seeds[i].n;
    out = malloc(*size);
    if (!out) abort();
    memcpy(out, seeds[i].bytes, *size);
    return out;
}
