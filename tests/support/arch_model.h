// SPDX-License-Identifier: MIT
/* arch_model.h - a small model with random weights of any architecture that Lockstep evaluates, from
 * its own tables of tensors; valid for the reference, too, which reads none of those tables. */
#ifndef TESTS_ARCH_MODEL_H
#define TESTS_ARCH_MODEL_H

#include <stdbool.h>

#include "support/gguf_build.h"

/* Append a whole file to an empty builder. dtype: GGUF id of the matrices, 0 (F32), 1 (F16), 8
 * (Q8_0) or 12 (Q4_K). False: no such architecture. `variant` switches what is optional on. */
bool arch_model_build(gguf_build *b, const char *arch, uint32_t dtype, uint64_t seed, bool variant);

#endif
