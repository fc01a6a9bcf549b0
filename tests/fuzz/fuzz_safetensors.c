// SPDX-License-Identifier: MIT
/* fuzz_safetensors.c - any bytes as a file of weights: safetensors, and zip archives of PyTorch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char    *path = fuzz_file(data, size);
    ls_error       err = {0};
    ls_checkpoint *c;
    ls_status      status = ls_checkpoint_open(&c, path, &err);
    unsigned       sum = 0;
    if (status != LS_OK) {
        FUZZ_REQUIRE(c == NULL && err.status == status && err.what[0]);
        FUZZ_REQUIRE(status == LS_ERR_NOMEM || strncmp(err.where, path, strlen(path)) == 0);
        return 0;
    }
    for (size_t i = 0; i < ls_checkpoint_n_tensors(c); i++) {
        const ls_ckpt_tensor *t = ls_checkpoint_tensor_at(c, i);
        const uint8_t        *p = t->data;
        FUZZ_REQUIRE(t->name.len > 0 && t->n_dims <= LS_CKPT_MAX_DIMS);
        FUZZ_REQUIRE(ls_checkpoint_tensor(c, t->name) == t);
        FUZZ_REQUIRE(t->n_bytes <= size);
        for (size_t k = 0; k < t->n_bytes; k++) sum += p[k]; /* every byte can be read */
    }
    FUZZ_REQUIRE(sum + 1 != 0 || size > 0);
    ls_checkpoint_close(c);
    return 0;
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const char *const headers[] = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}",
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_"
        "offsets\":[0,2]},"
        "\"c\":{\"dtype\":\"U8\",\"shape\":[14,1],\"data_offsets\":[2,16]}}",
    };
    uint64_t n;
    uint8_t *out;
    if (i >= sizeof(headers) / sizeof(headers[0])) return NULL;
    n = strlen(headers[i]);
    *size = 8 + (size_t)n + 16;
    out = calloc(*size, 1);
    if (!out) abort();
    memcpy(out, &n, 8);
    memcpy(out + 8, headers[i], (size_t)n);
    return out;
}
