// SPDX-License-Identifier: MIT
/* hf_rope.h - the rule of RoPE factors that config.json has parameters for. */
#ifndef LS_FORMAT_HF_ROPE_H
#define LS_FORMAT_HF_ROPE_H

#include <stddef.h>

/* Factor i of Llama 3's RoPE for heads of `dim`. */
float ls_hf_llama3_factor(size_t i, size_t dim, double base, double factor, double low, double high,
                          double ctx);

#endif
