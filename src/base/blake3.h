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
    uint32_t last[8];        /* the last chunk that was read whole, where it is not yet merged */
    uint32_t has_last;       /* 1: it is there, and no block of another chunk                  */
} ls_blake3;

void ls_blake3_init(ls_blake3 *b);
void ls_blake3_update(ls_blake3 *b, const void *data, size_t n);
void ls_blake3_final(const ls_blake3 *b, uint8_t digest[32]);

/* blake3_lanes.c: chaining values of so many chunks that lie one after the other, the first of which is
 * number `first`. flags: of each of a chunk's blocks. */
#define LS_BLAKE3_LANES 8
#define LS_BLAKE3_CHUNK 1024
void ls_blake3_chunks(uint32_t out[LS_BLAKE3_LANES][8], const uint8_t *data, uint64_t first,
                      const uint32_t iv[8], const uint32_t flags[16]);

#endif
