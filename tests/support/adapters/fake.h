// SPDX-License-Identifier: MIT
/* fake.h - what tests know of the toy engine in fake.c. */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <stdint.h>

#define FAKE_VOCAB     300
#define FAKE_BOS       256
#define FAKE_MAX_BATCH 4096

/* Logit of token j after `id` was evaluated at position `pos`. */
static inline float fake_logit(int32_t id, int32_t pos, int32_t j)
{
    return (float)((id * 31 + pos * 17 + j * 7) % 101) / 8.0f;
}

/* Its graph has one layer of three nodes, FAKE_WIDTH values a token: attn_norm, as below; a product,
 * twice that; and the product with a bias, one more. What differs in the last one is added to every
 * logit of the token. */
#define FAKE_WIDTH 4
static inline float fake_norm(int32_t id, int32_t pos, int32_t k)
{
    return (float)((id * 3 + pos * 5 + k) % 64) / 4.0f;
}

#endif
