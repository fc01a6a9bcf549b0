// SPDX-License-Identifier: MIT
/* types.h - small shared vocabulary: byte views, element types, instruction-set tiers. */
#ifndef LOCKSTEP_TYPES_H
#define LOCKSTEP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockstep/export.h"

/* Borrowed bytes, not NUL-terminated. Print with "%.*s", LS_FMT(s). */
typedef struct ls_str {
    const char *p;
    size_t      len;
} ls_str;
#define LS_FMT(s) ((int)((s).len > 256 ? 256 : (s).len)), ((s).p)
#define LS_STR(literal) ((ls_str){(literal), sizeof(literal) - 1})

LS_API bool ls_str_eq(ls_str a, ls_str b);
LS_API bool ls_str_is(ls_str a, const char *b);

/* Tensor element types; values below 128 are those of GGUF files (ggml_type). */
typedef enum ls_dtype {
#define LS_DTYPE(sym, id, name, block, bytes, act) LS_DTYPE_##sym = id,
#include "lockstep/dtypes.def"
#undef LS_DTYPE
    LS_DTYPE_NONE = -1,
} ls_dtype;

/* Lower-case name as llama.cpp prints it ("q4_K"); NULL for a value that no GGUF file may
 * hold. */
LS_API const char *ls_dtype_name(int dtype);
/* True if Lockstep can decode and multiply this type. */
LS_API bool ls_dtype_supported(int dtype);
/* Whose layout it is where one number in files stands for several ("Microsoft x86", "BitNet32-F16",
 * ...: I2_S and what belongs to it); NULL for every other type. */
LS_API const char *ls_dtype_flavour(int dtype);
/* Elements per block (1 for plain types) and bytes per block; 0 if unsupported. */
LS_API size_t ls_dtype_block(int dtype);
LS_API size_t ls_dtype_block_bytes(int dtype);

/* Instruction-set tiers. A CPU is assigned the highest tier all of whose features it has. */
typedef enum ls_tier {
    LS_TIER_AUTO = 0, /* the best this machine has                       */
    LS_TIER_SCALAR,   /* plain C: the specification                      */
    LS_TIER_AVX2,     /* AVX2 + FMA + F16C                               */
    LS_TIER_AVX512,   /* AVX-512 F, BW, DQ, VL, VNNI                     */
    LS_TIER_NEON,     /* Arm: Advanced SIMD, which every AArch64 has     */
    LS_TIER_DOTPROD,  /* NEON + the dot products of Armv8.2              */
    LS_N_TIERS,
} ls_tier;

/* "scalar", "avx2", ...; "auto" for LS_TIER_AUTO. */
LS_API const char *ls_tier_name(ls_tier tier);
/* Parse a name; false if unknown. */
LS_API bool ls_tier_parse(const char *name, ls_tier *out);
/* Whether this machine can run the tier (LS_TIER_AUTO: always). */
LS_API bool ls_tier_available(ls_tier tier);
/* The tier that LS_TIER_AUTO means here. */
LS_API ls_tier ls_tier_best(void);

#endif
