// SPDX-License-Identifier: MIT
/* ggml_golden.c - writes tests/golden/dtype: blocks made by libggml and the floats that libggml
 * decodes them to. Nothing of Lockstep is linked.
 *
 *   usage: ggml_golden LIBRARY_FOLDER OUTPUT_FOLDER
 *
 * Per type NAME.blocks (512 elements that libggml quantised, then 512 of random bytes) and NAME.f32
 * (1024 little-endian floats); halves.txt holds hashes over all half-precision conversions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/ggml_lib.h"

enum { N = 512 };

static void write_file(const char *dir, const char *name, const char *ext, const void *data,
                       size_t n)
{
    char  path[4096];
    FILE *f;
    snprintf(path, sizeof(path), "%s/%s.%s", dir, name, ext);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        fprintf(stderr, "cannot write '%s'\n", path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static uint8_t blocks[2 * N * 4];
    static float   values[2 * N];
    char           text[512];
    int            len;
    ggml_lib       g;

    if (argc != 3) {
        fprintf(stderr, "usage: ggml_golden LIBRARY_FOLDER OUTPUT_FOLDER\n");
        return 64;
    }
    if (!ggml_lib_open(&g, argv[1])) return 1;
    for (size_t i = 0; i < ggml_n_formats; i++) {
        const ggml_format *f = &ggml_formats[i];
        rng                r = {0x1057e9 + i};
        size_t             bytes = N / f->block * f->bytes;
        ggml_lib_blocks(&g, f, &r, false, blocks, N);
        ggml_lib_blocks(&g, f, &r, true, blocks + bytes, N);
        if (!ggml_lib_decode(&g, f, blocks, values, 2 * N)) return 1;
        write_file(argv[2], f->name, "blocks", blocks, 2 * bytes);
        write_file(argv[2], f->name, "f32", values, sizeof(values));
    }
    len = snprintf(text, sizeof(text),
                   "f16_to_f32 %016llx\nf32_to_f16 %016llx\n"
                   "bf16_to_f32 %016llx\nf32_to_bf16 %016llx\n",
                   (unsigned long long)ggml_hash_widen(g.f16_to_f32),
                   (unsigned long long)ggml_hash_narrow(g.f32_to_f16, g.f16_to_f32),
                   (unsigned long long)ggml_hash_widen(g.bf16_to_f32),
                   (unsigned long long)ggml_hash_narrow(g.f32_to_bf16, g.bf16_to_f32));
    write_file(argv[2], "halves", "txt", text, (size_t)len);
    ggml_lib_close(&g);
    return 0;
}
