// SPDX-License-Identifier: MIT
/* quant.c - the table of encoders, the checks around them, plain types. */
#include "lockstep/quant.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dtype/packed.h"
#include "quant/book.h"
#include "quant/quant_priv.h"

static void encode_f32(void *out, const float *x, size_t n, const float *importance)
{
    (void)importance;
    memcpy(out, x, n * sizeof(*x));
}

static void encode_f16(void *out, const float *x, size_t n, const float *importance)
{
    uint16_t *h = out;
    (void)importance;
    for (size_t i = 0; i < n; i++) h[i] = ls_f32_to_f16(x[i]);
}

static void encode_bf16(void *out, const float *x, size_t n, const float *importance)
{
    uint16_t *h = out;
    (void)importance;
    for (size_t i = 0; i < n; i++) h[i] = ls_f32_to_bf16(x[i]);
}

/* What weights of importance are to an encoder. */
typedef enum use { UNUSED, USED, NEEDED } use;

static const struct encoder {
    int                dtype;
    use                importance;
    ls_encode_fn      *row;
    ls_encode_book_fn *with_book; /* neither: ternary types, which are no matter of one row */
} encoders[] = {
    {LS_DTYPE_F32, UNUSED, encode_f32, NULL},
    {LS_DTYPE_F16, UNUSED, encode_f16, NULL},
    {LS_DTYPE_BF16, UNUSED, encode_bf16, NULL},
    {LS_DTYPE_Q1_0, UNUSED, ls_encode_Q1_0, NULL},
    {LS_DTYPE_Q2_0, UNUSED, ls_encode_Q2_0, NULL},
    {LS_DTYPE_Q4_0, USED, ls_encode_Q4_0, NULL},
    {LS_DTYPE_Q4_1, USED, ls_encode_Q4_1, NULL},
    {LS_DTYPE_Q5_0, USED, ls_encode_Q5_0, NULL},
    {LS_DTYPE_Q5_1, USED, ls_encode_Q5_1, NULL},
    {LS_DTYPE_Q8_0, UNUSED, ls_encode_Q8_0, NULL},
    {LS_DTYPE_Q8_1, UNUSED, ls_encode_Q8_1, NULL},
    {LS_DTYPE_Q2_K, USED, ls_encode_Q2_K, NULL},
    {LS_DTYPE_Q3_K, USED, ls_encode_Q3_K, NULL},
    {LS_DTYPE_Q4_K, USED, ls_encode_Q4_K, NULL},
    {LS_DTYPE_Q5_K, USED, ls_encode_Q5_K, NULL},
    {LS_DTYPE_Q6_K, USED, ls_encode_Q6_K, NULL},
    {LS_DTYPE_Q8_K, UNUSED, ls_encode_Q8_K, NULL},
    {LS_DTYPE_IQ4_NL, USED, ls_encode_IQ4_NL, NULL},
    {LS_DTYPE_IQ4_XS, USED, ls_encode_IQ4_XS, NULL},
    {LS_DTYPE_TQ1_0, UNUSED, ls_encode_TQ1_0, NULL},
    {LS_DTYPE_TQ2_0, UNUSED, ls_encode_TQ2_0, NULL},
    {LS_DTYPE_MXFP4, UNUSED, ls_encode_MXFP4, NULL},
    {LS_DTYPE_NVFP4, UNUSED, ls_encode_NVFP4, NULL},
    {LS_DTYPE_IQ2_XXS, NEEDED, NULL, ls_encode_IQ2_XXS},
    {LS_DTYPE_IQ2_XS, NEEDED, NULL, ls_encode_IQ2_XS},
    {LS_DTYPE_IQ2_S, USED, NULL, ls_encode_IQ2_S},
    {LS_DTYPE_IQ3_XXS, USED, NULL, ls_encode_IQ3_XXS},
    {LS_DTYPE_IQ3_S, USED, NULL, ls_encode_IQ3_S},
    {LS_DTYPE_IQ1_S, NEEDED, NULL, ls_encode_IQ1_S},
    {LS_DTYPE_IQ1_M, USED, NULL, ls_encode_IQ1_M},
    {LS_DTYPE_I2_S, UNUSED, NULL, NULL},
    {LS_DTYPE_TL1, UNUSED, NULL, NULL},
    {LS_DTYPE_TL2, UNUSED, NULL, NULL},
};

static const struct encoder *find(int dtype)
{
    for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
        if (encoders[i].dtype == dtype) return &encoders[i];
    }
    return NULL;
}

bool ls_quant_supported(int dtype) { return find(dtype) != NULL; }

bool ls_quant_uses_importance(int dtype)
{
    const struct encoder *e = find(dtype);
    return e && e->importance != UNUSED;
}

bool ls_quant_needs_importance(int dtype)
{
    const struct encoder *e = find(dtype);
    return e && e->importance == NEEDED;
}

bool ls_quant_by_rows(int dtype)
{
    const struct encoder *e = find(dtype);
    return e && (e->row || e->with_book);
}

size_t ls_quant_bytes(int dtype, size_t n_rows, size_t n_per_row)
{
    ls_tiles tiles;
    bool     tiled = dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_TL2;
    if (!find(dtype) || (tiled && !ls_tiles_for(dtype, n_rows, n_per_row, &tiles))) return 0;
    return ls_matrix_bytes(dtype, n_rows, n_per_row);
}

static ls_status refuse(ls_error *err, int dtype, size_t row, size_t column, float x,
                        const char *why)
{
    ls_fail(err, LS_ERR_UNSUPPORTED, "cannot quantise %g to %s: %s", (double)x,
            ls_dtype_name(dtype), why);
    ls_fail_at(err, "row %zu, column %zu", row, column);
    return LS_ERR_UNSUPPORTED;
}

static ls_status check_row(int dtype, const float *x, size_t row, size_t n, ls_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return refuse(err, dtype, row, i, x[i], "no finite number");
    }
    return LS_OK;
}

/* A scale beyond the range of F16 is an infinity in the file: nothing like the weights. */
static ls_status check_blocks(int dtype, const void *blocks, const float *x, size_t row, size_t n,
                              ls_error *err)
{
    float  y[256];
    size_t block = ls_dtype_block(dtype), step = 256 / block * block;
    for (size_t i = 0; i < n; i += step) {
        size_t k = n - i < step ? n - i : step;
        ls_dtype_decode(dtype, y, (const uint8_t *)blocks + ls_dtype_row_bytes(dtype, i), k, 1.0f);
        for (size_t j = 0; j < k; j++) {
            if (!isfinite(y[j])) {
                return refuse(err, dtype, row, i + j, x[i + j], "beyond the range of its scales");
            }
        }
    }
    return LS_OK;
}

static ls_status encode_rows(const struct encoder *e, const ls_book *book, uint8_t *out,
                             const float *x, size_t first, size_t n_rows, size_t n,
                             const float *importance, ls_error *err)
{
    size_t bytes = ls_dtype_row_bytes(e->dtype, n);
    for (size_t r = first; r < first + n_rows; r++, out += bytes, x += n) {
        LS_TRY(check_row(e->dtype, x, r, n, err));
        if (e->with_book)
            e->with_book(book, out, x, n, importance);
        else
            e->row(out, x, n, importance);
        LS_TRY(check_blocks(e->dtype, out, x, r, n, err));
    }
    return LS_OK;
}

static ls_status check_arguments(const struct encoder *e, size_t n_rows, size_t n,
                                 const float *importance, ls_error *err)
{
    const char *name = ls_dtype_name(e->dtype);
    if (!ls_quant_bytes(e->dtype, n_rows, n)) {
        return ls_fail(err, LS_ERR_USAGE, "cannot quantise %zu rows of %zu elements to %s", n_rows,
                       n, name);
    }
    if (e->importance == NEEDED && !importance) {
        return ls_fail(err, LS_ERR_USAGE, "%s needs weights of importance", name);
    }
    for (size_t i = 0; importance && i < n; i++) {
        if (importance[i] >= 0 && isfinite(importance[i])) continue;
        return refuse(err, e->dtype, 0, i, importance[i], "no weight of importance");
    }
    return LS_OK;
}

struct ls_quantizer {
    const struct encoder *e;
    ls_book              *book;
};

static ls_status init(ls_quantizer *q, int dtype, ls_error *err)
{
    const char *name = ls_dtype_name(dtype);
    *q = (ls_quantizer){.e = find(dtype)};
    if (!q->e) {
        return ls_fail(err, LS_ERR_USAGE, "there is no quantiser for %s",
                       name ? name : "a type that does not exist");
    }
    return q->e->with_book ? ls_book_create(&q->book, dtype, err) : LS_OK;
}

ls_status ls_quantizer_create(ls_quantizer **out, int dtype, ls_error *err)
{
    ls_quantizer *q;
    ls_status     status;
    *out = NULL;
    LS_TRY(ls_alloc(&q, 1, sizeof(*q), "a quantiser", err));
    status = init(q, dtype, err);
    if (status == LS_OK) {
        *out = q;
    } else {
        ls_quantizer_destroy(q);
    }
    return status;
}

void ls_quantizer_destroy(ls_quantizer *q)
{
    if (!q) return;
    ls_book_destroy(q->book);
    free(q);
}

ls_status ls_quantizer_rows(const ls_quantizer *q, void *out, const float *x, size_t first_row,
                            size_t n_rows, size_t n_per_row, const float *importance, ls_error *err)
{
    int dtype = q->e->dtype;
    LS_TRY(check_arguments(q->e, n_rows, n_per_row, importance, err));
    if (q->e->row || q->e->with_book) {
        return encode_rows(q->e, q->book, out, x, first_row, n_rows, n_per_row, importance, err);
    }
    for (size_t r = 0; r < n_rows; r++) {
        LS_TRY(check_row(dtype, x + r * n_per_row, first_row + r, n_per_row, err));
    }
    return ls_encode_ternary(dtype, out, x, n_rows, n_per_row, err); /* a matrix as a whole */
}

ls_status ls_quantize(int dtype, void *out, const float *x, size_t n_rows, size_t n_per_row,
                      const float *importance, ls_error *err)
{
    ls_quantizer q;
    ls_status    status = init(&q, dtype, err);
    if (status == LS_OK) {
        status = ls_quantizer_rows(&q, out, x, 0, n_rows, n_per_row, importance, err);
    }
    ls_book_destroy(q.book);
    return status;
}
