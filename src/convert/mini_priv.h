// SPDX-License-Identifier: MIT
/* mini_priv.h - between the files that make small models: values of each type, the vocabulary. */
#ifndef LS_CONVERT_MINI_PRIV_H
#define LS_CONVERT_MINI_PRIV_H

#include "base/pool.h"
#include "lockstep/gguf_write.h"
#include "model/arch.h"

/* Types that hold each value on its own: F32, F16, BF16. */
bool ls_mini_is_plain(int dtype);
/* Round n floats to a plain type. */
void ls_mini_encode(int dtype, void *out, const float *x, size_t n);
/* Blocks of random codes for n elements whose values spread to about +-spread. `large`: faster, and
 * as they are in models, where no ternary code is a 3. */
void ls_mini_draw(int dtype, void *out, size_t n, float spread, bool large, uint64_t *random);
/* TL1 and TL2 are stored as whole matrices (dtype/packed.h). The shapes of those in a model, and how
 * they are cut: rows, columns, BM, BK, bmm. */
enum { LS_MINI_MOST_TILES = 16 };
typedef struct ls_mini_tiles {
    uint32_t v[LS_MINI_MOST_TILES][5];
    size_t   n;
} ls_mini_tiles;
bool ls_mini_is_tiled(int dtype);
/* Errors: UNSUPPORTED (no tiles fit, or there are several matrices), LIMIT. */
ls_status ls_mini_add_tiles(ls_mini_tiles *all, int dtype, const char *name, const int64_t *ne,
                            ls_error *err);
/* Write them to the metadata, if there are any. */
ls_status ls_mini_put_tiles(ls_gguf_writer *w, const ls_mini_tiles *all, ls_error *err);
/* A matrix of such a shape, of random codes: *bytes in a new buffer, for free(). Errors: NOMEM. */
ls_status ls_mini_draw_tiles(uint8_t **out, size_t *bytes, int dtype, const int64_t *ne, float scale,
                             uint64_t seed, ls_pool *pool, ls_error *err);
/* A SentencePiece vocabulary of n tokens: bytes, letters, and words that no text has.
 * n >= 286. Errors: NOMEM. */
ls_status ls_mini_vocabulary(ls_gguf_writer *w, uint32_t n, ls_error *err);

#endif
