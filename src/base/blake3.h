// SPDX-License-Identifier: MIT
/* blake3.h - BLAKE3 in its plain hash mode, 32-byte output. Private: use lockstep/hash.h. */
#ifndef LS_BASE_BLAKE3_H
#define LS_BASE_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

typedef struct ls_blake3 {
    uint32_t cv[8];          /* chaining value of the chunk being read */
    uint64_t chunk;          /* its index                              */
    uint8_t  block[64];
    uint32_t block_len, n_blocks;
    uint32_t stack[54][8];   /* chaining values of finished subtrees: 2^54 chunks is 2^64 bytes */
    uint32_t n_stack;
} ls_blake3;

void ls_blake3_init(ls_blake3 *b);
void ls_blake3_update(ls_blake3 *b, const void *data, size_t n);
void ls_blake3_final(const ls_blake3 *b, uint8_t digest[32]);

#endif
