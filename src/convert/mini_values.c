// SPDX-License-Identifier: MIT
/* mini_values.c - random weights of every type, and a vocabulary without a corpus.
 *
 * Of a quantised type every pattern of bits is a block: its codes are drawn, and its scales are
 * set so that values have the size wanted.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "dtype/dtype.h"
#include "lockstep/mini.h"
#include "lockstep/tokenizer.h"

/* How a block holds its scale. */
typedef enum scale_form {
    HALF,    /* F16 */
    POWER,   /* of two, E8M0 of the OCP specification for half the value */
    NIBBLES, /* the uppermost four bits of four 16-bit words, the lowest first, are an F16 */
    UE4M3,   /* four bytes, for half the value: exponent (bias 7) and three bits of mantissa */
} scale_form;

/* Where a block has its scale and its F16 minimum, and the largest magnitude of code times inner
 * scale. */
static const struct {
    int   dtype, form;
    int   scale_at; /* bytes */
    int   min_at;   /* -1: none */
    float largest;
    float min; /* the minimum's factor, as a share of the spread */
} blocks[] = {
    {LS_DTYPE_Q4_0, HALF, 0, -1, 8, 0},          {LS_DTYPE_Q4_1, HALF, 0, 2, 8, -1},
    {LS_DTYPE_Q5_0, HALF, 0, -1, 16, 0},         {LS_DTYPE_Q5_1, HALF, 0, 2, 16, -1},
    {LS_DTYPE_Q8_0, HALF, 0, -1, 127, 0},        {LS_DTYPE_Q1_0, HALF, 0, -1, 2, 0},
    {LS_DTYPE_Q2_0, HALF, 0, -1, 2, 0},          {LS_DTYPE_Q2_K, HALF, 80, 82, 24, 1.0f / 15},
    {LS_DTYPE_Q3_K, HALF, 108, -1, 64, 0},       {LS_DTYPE_Q4_K, HALF, 0, 2, 256, 1.0f / 32},
    {LS_DTYPE_Q5_K, HALF, 0, 2, 512, 1.0f / 32}, {LS_DTYPE_Q6_K, HALF, 208, -1, 2048, 0},
    {LS_DTYPE_IQ1_S, HALF, 0, -1, 17, 0},        {LS_DTYPE_IQ2_XXS, HALF, 0, -1, 96, 0},
    {LS_DTYPE_IQ2_XS, HALF, 0, -1, 96, 0},       {LS_DTYPE_IQ2_S, HALF, 0, -1, 96, 0},
    {LS_DTYPE_IQ3_XXS, HALF, 0, -1, 256, 0},     {LS_DTYPE_IQ3_S, HALF, 0, -1, 256, 0},
    {LS_DTYPE_IQ4_NL, HALF, 0, -1, 127, 0},      {LS_DTYPE_IQ4_XS, HALF, 0, -1, 2048, 0},
    {LS_DTYPE_TQ1_0, HALF, 52, -1, 2, 0},        {LS_DTYPE_TQ2_0, HALF, 64, -1, 2, 0},
    {LS_DTYPE_MXFP4, POWER, 0, -1, 12, 0},       {LS_DTYPE_IQ1_M, NIBBLES, 48, -1, 17, 0},
    {LS_DTYPE_NVFP4, UE4M3, 0, -1, 12, 0},
};
#define N_BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

bool ls_mini_is_plain(int dtype)
{
    return dtype == LS_DTYPE_F32 || dtype == LS_DTYPE_F16 || dtype == LS_DTYPE_BF16;
}

bool ls_mini_has_dtype(int dtype)
{
    for (size_t i = 0; i < N_BLOCKS; i++) {
        if (blocks[i].dtype == dtype) return true;
    }
    return ls_mini_is_plain(dtype) || dtype == LS_DTYPE_I2_S || ls_mini_is_tiled(dtype);
}

void ls_mini_encode(int dtype, void *out, const float *x, size_t n)
{
    uint16_t *h = out;
    if (dtype == LS_DTYPE_F32) {
        memcpy(out, x, n * sizeof(*x));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        h[i] = dtype == LS_DTYPE_F16 ? ls_f32_to_f16(x[i]) : ls_f32_to_bf16(x[i]);
    }
}

static void put_half(uint8_t *at, float x)
{
    uint16_t h = ls_f32_to_f16(x);
    memcpy(at, &h, sizeof(h));
}

static void put_nibbles(uint8_t *at, float x)
{
    uint16_t h = ls_f32_to_f16(x);
    for (size_t i = 0; i < 4; i++) { /* little-endian words: the upper byte is the second */
        uint8_t *top = at + 2 * i + 1;
        *top = (uint8_t)((*top & 15) | (h >> 4 * i & 15) << 4);
    }
}

/* Rounded down to a power of two, times 1, 9/8, 10/8 and 11/8. */
static void put_ue4m3(uint8_t *at, float x)
{
    int e = ilogbf(2 * x) + 7;
    e = e < 1 ? 1 : e > 14 ? 14 : e;
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(e << 3 | i);
}

static void put_scale(int form, uint8_t *at, float x)
{
    switch (form) {
    case POWER:
        *at = (uint8_t)(128 + ilogbf(x));
        break;
    case NIBBLES:
        put_nibbles(at, x);
        break;
    case UE4M3:
        put_ue4m3(at, x);
        break;
    default:
        put_half(at, x);
    }
}

/* Two-bit codes of 0 to 2, as they are in ternary matrices: bytes without a 3. */
static void without_threes(uint8_t *codes, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) {
        unsigned threes = codes[k] & codes[k] >> 1 & 0x55u;
        codes[k] = (uint8_t)(codes[k] & ~(threes * 3));
    }
}

static void draw_bytes(uint8_t *out, size_t bytes, uint64_t *random)
{
    for (size_t k = 0; k < bytes; k++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        out[k] = (uint8_t)(*random >> 56);
    }
}

/* The same eight bytes at a time: large models are to be there soon. */
static void draw_words(uint8_t *out, size_t bytes, uint64_t *random)
{
    uint64_t s = *random, z;
    for (size_t k = 0; k < bytes; k += sizeof(z)) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        z = (s ^ s >> 32) * 0xd6e8feb86659fd93u; /* the upper bits come down */
        z ^= z >> 32;
        memcpy(out + k, &z, bytes - k < sizeof(z) ? bytes - k : sizeof(z));
    }
    *random = s;
}

void ls_mini_draw(int dtype, void *out, size_t n, float spread, bool large, uint64_t *random)
{
    size_t   bytes = ls_dtype_block_bytes(dtype), count = n / ls_dtype_block(dtype), row = 0;
    uint8_t *block = out;
    if (dtype == LS_DTYPE_I2_S) { /* its scale is behind all of them */
        draw_words(out, n / 4, random);
        without_threes(out, n / 4);
        return;
    }
    while (row < N_BLOCKS && blocks[row].dtype != dtype) row++;
    for (size_t i = 0; row < N_BLOCKS && i < count; i++, block += bytes) {
        large ? draw_words(block, bytes, random) : draw_bytes(block, bytes, random);
        if (large && dtype == LS_DTYPE_TQ2_0) without_threes(block, bytes);
        put_scale(blocks[row].form, block + blocks[row].scale_at, spread / blocks[row].largest);
        if (blocks[row].min_at >= 0) put_half(block + blocks[row].min_at, spread * blocks[row].min);
    }
}

/* ---- vocabulary ---- */

enum { N_SPECIAL = 3, N_BYTES = 256, N_LETTERS = 26, TEXT = 16 };

static int32_t describe(uint32_t id, char *text)
{
    static const char *const special[N_SPECIAL] = {"<unk>", "<s>", "</s>"};
    if (id < N_SPECIAL) {
        snprintf(text, TEXT, "%s", special[id]);
        return id == 0 ? LS_TOKEN_UNKNOWN : LS_TOKEN_CONTROL;
    }
    if (id < N_SPECIAL + N_BYTES) {
        snprintf(text, TEXT, "<0x%02X>", (unsigned)(id - N_SPECIAL));
        return LS_TOKEN_BYTE;
    }
    id -= N_SPECIAL + N_BYTES;
    if (id == 0) {
        snprintf(text, TEXT, "\xe2\x96\x81"); /* U+2581: a space */
    } else if (id <= N_LETTERS) {
        snprintf(text, TEXT, "%c", (int)('a' + id - 1));
    } else {
        snprintf(text, TEXT, "w%u", (unsigned)id);
    }
    return LS_TOKEN_NORMAL;
}

static ls_status put_tokens(ls_gguf_writer *w, uint32_t n, ls_str *tokens, char (*texts)[TEXT],
                            float *scores, int32_t *types, ls_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        types[i] = describe(i, texts[i]);
        tokens[i] = (ls_str){texts[i], strlen(texts[i])};
        scores[i] = -(float)i;
    }
    LS_TRY(ls_gguf_write_str(w, "tokenizer.ggml.model", LS_STR("llama"), err));
    LS_TRY(ls_gguf_write_strs(w, "tokenizer.ggml.tokens", tokens, n, err));
    LS_TRY(ls_gguf_write_array(w, "tokenizer.ggml.scores", LS_GGUF_F32, scores, n, err));
    LS_TRY(ls_gguf_write_array(w, "tokenizer.ggml.token_type", LS_GGUF_I32, types, n, err));
    LS_TRY(ls_gguf_write_int(w, "tokenizer.ggml.bos_token_id", LS_GGUF_U32, 1, err));
    LS_TRY(ls_gguf_write_int(w, "tokenizer.ggml.eos_token_id", LS_GGUF_U32, 2, err));
    return ls_gguf_write_int(w, "tokenizer.ggml.unknown_token_id", LS_GGUF_U32, 0, err);
}

ls_status ls_mini_vocabulary(ls_gguf_writer *w, uint32_t n, ls_error *err)
{
    ls_str  *tokens = NULL;
    float   *scores = NULL;
    int32_t *types = NULL;
    char(*texts)[TEXT] = NULL;
    ls_status status = ls_alloc(&tokens, n, sizeof(*tokens), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&scores, n, sizeof(*scores), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&types, n, sizeof(*types), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&texts, n, sizeof(*texts), "the vocabulary", err);
    if (status == LS_OK) status = put_tokens(w, n, tokens, texts, scores, types, err);
    free(tokens);
    free(scores);
    free(types);
    free(texts);
    return status;
}
