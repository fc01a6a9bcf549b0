// SPDX-License-Identifier: MIT
/* dtype.c - the table of element types: names, block sizes, activation forms. */
#include "dtype/dtype.h"

#include <string.h>

#include "base/mem.h"
#include "dtype/blocks.h"

typedef struct dtype_row {
    int         id;
    const char *name;
    size_t      block, bytes;
    ls_act      act;
} dtype_row;

static const dtype_row rows[] = {
#define LS_DTYPE(sym, id, name, block, bytes, act) {id, name, block, bytes, LS_ACT_##act},
#include "lockstep/dtypes.def"
#undef LS_DTYPE
};

static const dtype_row *find(int dtype)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].id == dtype) return &rows[i];
    }
    return NULL;
}

const char *ls_dtype_name(int dtype)
{
    const dtype_row *r = find(dtype);
    return r ? r->name : NULL;
}

bool ls_dtype_supported(int dtype) { return find(dtype) != NULL; }

size_t ls_dtype_block(int dtype)
{
    const dtype_row *r = find(dtype);
    return r ? r->block : 0;
}

size_t ls_dtype_block_bytes(int dtype)
{
    const dtype_row *r = find(dtype);
    return r ? r->bytes : 0;
}

ls_act ls_dtype_act(int dtype)
{
    const dtype_row *r = find(dtype);
    return r ? r->act : LS_ACT_F32;
}

size_t ls_act_row_bytes(ls_act act, size_t n)
{
    size_t bytes = 0;
    switch (act) {
    case LS_ACT_F32:
        bytes = n * 4;
        break;
    case LS_ACT_F16:
    case LS_ACT_BF16:
        bytes = n * 2;
        break;
    case LS_ACT_Q8_0:
        bytes = n / 32 * (sizeof(ls_q8_0) + sizeof(ls_q8_sum));
        break;
    case LS_ACT_Q8_1:
        bytes = n / 32 * sizeof(ls_q8_1);
        break;
    case LS_ACT_Q8_K:
        bytes = n / 256 * sizeof(ls_q8_k);
        break;
    case LS_ACT_I8_ROW:
    case LS_ACT_I8_TL:
        bytes = sizeof(ls_i8_row) + (n + 127) / 128 * 128;
        break;
    case LS_N_ACTS:
        break;
    }
    return (bytes + 63) & ~(size_t)63;
}

size_t ls_dtype_row_bytes(int dtype, size_t n)
{
    const dtype_row *r = find(dtype);
    size_t           bytes;
    if (!r || n % r->block || !ls_mul_size(n / r->block, r->bytes, &bytes)) return 0;
    return bytes;
}

size_t ls_dtype_tensor_bytes(int dtype, size_t n)
{
    size_t bytes = ls_dtype_row_bytes(dtype, n);
    if (bytes && dtype == LS_DTYPE_I2_S && !ls_add_size(bytes, LS_I2_S_TAIL, &bytes)) return 0;
    return bytes;
}

float ls_dtype_tensor_scale(int dtype, const void *data, size_t n)
{
    float scale = 1.0f;
    if (dtype == LS_DTYPE_I2_S) memcpy(&scale, (const uint8_t *)data + n / 4, sizeof(scale));
    return scale;
}

bool ls_str_eq(ls_str a, ls_str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}
bool ls_str_is(ls_str a, const char *b) { return ls_str_eq(a, (ls_str){b, strlen(b)}); }
