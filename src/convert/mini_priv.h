// SPDX-License-Identifier: MIT
/* mini_priv.h - between the files that make small models: values of each type, the vocabulary. */
#ifndef LS_CONVERT_MINI_PRIV_H
#define LS_CONVERT_MINI_PRIV_H

#include "lockstep/gguf_write.h"
#include "model/arch.h"

/* Types that hold each value on its own: F32, F16, BF16. */
bool ls_mini_is_plain(int dtype);
/* Round n floats to a plain type. */
void ls_mini_encode(int dtype, void *out, const float *x, size_t n);
/* Blocks of random codes for n elements whose values spread to about +-spread. `large`: faster, and
 * as they are in models, where no ternary code is a 3. */
void ls_mini_draw(int dtype, void *out, size_t n, float spread, bool large, uint64_t *random);
/* A SentencePiece vocabulary of n tokens: bytes, letters, and words that no text has.
 * n >= 286. Errors: NOMEM. */
ls_status ls_mini_vocabulary(ls_gguf_writer *w, uint32_t n, ls_error *err);

#endif
