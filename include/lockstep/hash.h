// SPDX-License-Identifier: MIT
/* hash.h - SHA-256 and SHA-512 (OpenSSL's libcrypto) and BLAKE3 (ours, from its specification). */
#ifndef LOCKSTEP_HASH_H
#define LOCKSTEP_HASH_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef enum ls_hash_kind { LS_SHA256, LS_SHA512, LS_BLAKE3 } ls_hash_kind;
#define LS_HASH_MAX 64 /* bytes of the longest digest */

typedef struct ls_hash ls_hash;

/* Incremental hashing. Errors: NOMEM. ls_hash_final writes 32 or 64 bytes, returns how many,
 * and leaves only ls_hash_destroy to call. */
LS_API ls_status ls_hash_create(ls_hash **out, ls_hash_kind kind, ls_error *err);
LS_API void      ls_hash_update(ls_hash *h, const void *data, size_t n);
LS_API size_t    ls_hash_final(ls_hash *h, uint8_t digest[LS_HASH_MAX]);
LS_API void      ls_hash_destroy(ls_hash *h); /* NULL is allowed */

/* Lower-case hex of n bytes into hex [2n + 1]. */
LS_API void ls_hex(char *hex, const uint8_t *bytes, size_t n);

/* Digest of a whole file as hex (cap >= 129). Errors: IO, NOMEM. */
LS_API ls_status ls_hash_file(char *hex, size_t cap, ls_hash_kind kind, const char *path,
                              ls_error *err);

#endif
