// SPDX-License-Identifier: MIT
/* ternary.c - which ternary layout a tensor has whose number in files stands for several.
 *
 * 36 is I2_S: of bitnet.cpp (rows * n / 4 bytes and 32 with the scale; how the codes are packed
 * depends on the machine that wrote it and is told by no byte), or one of three layouts of
 * BitNet-rs. 39 is bitnet.cpp's TL2 and llama.cpp's MXFP4. What tells them apart is the room that
 * a tensor has in the file, up to the next one. */
#include "format/ternary.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"

typedef struct finder {
    const ls_ternary_part *p;
    uint64_t              *offsets; /* of all tensors, ascending */
    const ls_tensor      **names;   /* by name                   */
    int                    packing; /* the dtype of bitnet.cpp's I2_S here */
    const uint8_t         *tiles;   /* five u32 for a shape, unaligned     */
    size_t                 n_tiles;
} finder;

/* ---- metadata ---- */

static ls_status bad_key(const ls_gguf_kv *kv, const char *why, const void **at, ls_error *err)
{
    *at = kv->key.p;
    return ls_fail(err, LS_ERR_FORMAT, "key '%.*s' %s", LS_FMT(kv->key), why);
}

static ls_status read_packing(finder *f, const ls_gguf_kv *kv, const void **at, ls_error *err)
{
    static const struct {
        const char *name;
        int         dtype;
    } packings[] = {{"x86", LS_DTYPE_I2_S}, {"arm", LS_DTYPE_I2_S_ARM}, {"1x4", LS_DTYPE_I2_S_1X4}};
    for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
        if (kv->type != LS_GGUF_STR || !ls_str_is(kv->str, packings[i].name)) continue;
        f->packing = packings[i].dtype;
        return LS_OK;
    }
    return bad_key(kv, "is none of \"x86\", \"arm\" and \"1x4\"", at, err);
}

static ls_status read_keys(finder *f, const void **at, ls_error *err)
{
    const ls_gguf_hints *hints = f->p->hints;
    f->packing = LS_DTYPE_I2_S;
    for (size_t i = 0; i < f->p->n_kv; i++) {
        const ls_gguf_kv *kv = &f->p->kv[i];
        if (ls_str_is(kv->key, LS_KEY_PACKING)) LS_TRY(read_packing(f, kv, at, err));
        if (!ls_str_is(kv->key, LS_KEY_TILES)) continue;
        if (kv->type != LS_GGUF_ARRAY || kv->elem_type != LS_GGUF_U32 || kv->n % 5) {
            return bad_key(kv, "is no list of five u32 for each shape", at, err);
        }
        f->tiles = kv->data;
        f->n_tiles = (size_t)(kv->n / 5);
    }
    if (hints && hints->packing) f->packing = hints->packing;
    if (hints && hints->n_kernels) {
        f->tiles = (const uint8_t *)hints->kernels;
        f->n_tiles = hints->n_kernels;
    }
    return LS_OK;
}

static bool tiles_of(const finder *f, int dtype, size_t rows, size_t n, ls_tiles *out)
{
    for (size_t i = 0; i < f->n_tiles; i++) {
        uint32_t v[5];
        memcpy(v, f->tiles + i * sizeof(v), sizeof(v));
        if (v[0] != rows || v[1] != n) continue;
        *out = (ls_tiles){v[2], v[3], v[4]};
        return ls_tiles_fit(dtype, rows, n, *out);
    }
    return ls_tiles_preset(dtype, rows, n, out);
}

/* ---- room and neighbours ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static int compare(ls_str x, ls_str y)
{
    int d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

static int by_name(const void *a, const void *b)
{
    return compare((*(const ls_tensor *const *)a)->name, (*(const ls_tensor *const *)b)->name);
}

/* Bytes from a tensor to the next, or to the end of the file. */
static uint64_t room_of(const finder *f, const ls_tensor *t)
{
    uint64_t end = f->p->data_bytes;
    size_t   lo = 0, hi = f->p->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->offsets[mid] > t->file_off)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (lo < f->p->n_tensors && f->offsets[lo] < end) end = f->offsets[lo];
    return end > t->file_off ? end - t->file_off : 0;
}

static const ls_tensor *named(const finder *f, ls_str name)
{
    size_t lo = 0, hi = f->p->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int    d = compare(f->names[mid]->name, name);
        if (d == 0) return f->names[mid];
        if (d > 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static size_t elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

/* A tensor of `n` floats whose bytes are in the file. */
static const void *floats(const finder *f, const ls_tensor *t, size_t n)
{
    bool type = t->dtype == LS_DTYPE_F32 || t->dtype == LS_DTYPE_F16 || t->dtype == LS_DTYPE_F64;
    uint64_t bytes = type ? n * ls_dtype_block_bytes(t->dtype) : 0;
    if (!bytes || elements(t) != n || t->file_off > f->p->data_bytes) return NULL;
    return bytes <= f->p->data_bytes - t->file_off ? f->p->data + t->file_off : NULL;
}

/* "blk.0.attn_q.weight" is scaled by "blk.0.attn_q.scale", "blk.0.attn_q.weight_scale", ... */
static bool find_scales(const finder *f, ls_tensor *t)
{
    static const char *const ends[] = {".scale", ".scales", "_scale", "_scales"};
    char                     name[256];
    size_t                   whole = t->name.len, base = whole;
    if (whole + 8 > sizeof(name)) return false;
    memcpy(name, t->name.p, whole);
    if (whole > 7 && memcmp(name + whole - 7, ".weight", 7) == 0) base -= 7;
    for (size_t i = 0; i < 8; i++) {
        const char      *end = ends[i % 4];
        size_t           at = i < 4 ? base : whole;
        const ls_tensor *s;
        memcpy(name, t->name.p, whole);
        memcpy(name + at, end, strlen(end));
        s = named(f, (ls_str){name, at + strlen(end)});
        if (!s || !floats(f, s, elements(t) / 32)) continue;
        t->scales = floats(f, s, elements(t) / 32);
        t->scales_dtype = s->dtype;
        return true;
    }
    return false;
}

/* ---- layouts ---- */

/* Does a matrix of this size fill the room, padding to the alignment aside? */
static bool fills(const finder *f, uint64_t bytes, uint64_t room)
{
    return bytes && room >= bytes && room - bytes < f->p->alignment &&
           (room == bytes || room % f->p->alignment == 0);
}

/* BitNet-rs's tolerance: 0.1 % of the size and at least 8 bytes; never more than there is. */
static bool nearly_fills(uint64_t bytes, uint64_t room)
{
    uint64_t slack = bytes / 1000 > 8 ? bytes / 1000 : 8;
    return bytes && room >= bytes && room - bytes <= slack;
}

/* The order is BitNet-rs's but for two things: bitnet.cpp's own size comes first, and a tensor of
 * scales is believed, since 256 elements without a scale take the room of eight times 32. */
static int i2_s_layout(const finder *f, ls_tensor *t)
{
    size_t   n = (size_t)t->ne[0], rows = elements(t) / n;
    uint64_t room = room_of(f, t), ms = ls_matrix_bytes(f->packing, rows, n),
             inside = ls_matrix_bytes(LS_DTYPE_I2_S32, rows, n),
             apart = ls_matrix_bytes(LS_DTYPE_I2_S32_SPLIT, rows, n),
             bare = ls_matrix_bytes(LS_DTYPE_I2_S256, rows, n);
    if (fills(f, ms, room)) return f->packing;
    if (fills(f, apart, room) && find_scales(f, t)) return LS_DTYPE_I2_S32_SPLIT;
    if (fills(f, bare, room)) return LS_DTYPE_I2_S256;
    if (fills(f, inside, room)) return LS_DTYPE_I2_S32;
    if (nearly_fills(ms, room)) return f->packing;
    if (nearly_fills(bare, room)) return LS_DTYPE_I2_S256;
    if (nearly_fills(apart, room) && find_scales(f, t)) return LS_DTYPE_I2_S32_SPLIT;
    if (nearly_fills(inside, room)) return LS_DTYPE_I2_S32;
    return f->packing;
}

/* A matrix of 2 bits and less where MXFP4, with more than 4, would not fit. */
static bool is_tl2(const finder *f, const ls_tensor *t)
{
    uint64_t room = room_of(f, t);
    size_t   n = (size_t)t->ne[0], rows = (size_t)t->ne[1];
    if (t->ne[2] != 1 || t->ne[3] != 1 || ls_matrix_bytes(LS_DTYPE_MXFP4, rows, n) <= room) {
        return false;
    }
    return fills(f, ls_matrix_bytes(LS_DTYPE_TL2, rows, n), room);
}

static bool is_mixed(const ls_ternary_part *p, int packing)
{
    bool ms = false, other = false;
    for (size_t i = 0; i < p->n_tensors; i++) {
        int dtype = p->tensors[i].dtype;
        ms |= dtype == packing;
        other |= dtype >= LS_DTYPE_I2_S32 && dtype <= LS_DTYPE_I2_S256;
    }
    return ms && other;
}

static void resolve(finder *f)
{
    const ls_ternary_part *p = f->p;
    bool                   mixed;
    for (size_t i = 0; i < p->n_tensors; i++) {
        ls_tensor *t = &p->tensors[i];
        if (t->dtype == LS_DTYPE_I2_S) t->dtype = i2_s_layout(f, t);
        if (t->dtype == LS_DTYPE_MXFP4 && is_tl2(f, t)) t->dtype = LS_DTYPE_TL2;
        if (t->dtype != LS_DTYPE_TL1 && t->dtype != LS_DTYPE_TL2) continue;
        if (t->ne[2] * t->ne[3] != 1 ||
            !tiles_of(f, t->dtype, (size_t)t->ne[1], (size_t)t->ne[0], &t->tiles)) {
            t->tiles = (ls_tiles){0};
        }
    }
    /* Nobody writes both: the end of a file of bitnet.cpp's is missing, and with it a scale. */
    mixed = is_mixed(p, f->packing);
    for (size_t i = 0; i < p->n_tensors && mixed; i++) {
        ls_tensor *t = &p->tensors[i];
        if (t->dtype < LS_DTYPE_I2_S32 || t->dtype > LS_DTYPE_I2_S256) continue;
        t->dtype = f->packing;
        t->scales = NULL;
    }
}

ls_status ls_ternary_resolve(const ls_ternary_part *p, const void **at, ls_error *err)
{
    finder    f = {.p = p};
    bool      any = false;
    ls_status status;
    for (size_t i = 0; i < p->n_tensors; i++) {
        int dtype = p->tensors[i].dtype;
        any |= dtype == LS_DTYPE_I2_S || dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_MXFP4;
    }
    if (!any) return LS_OK;
    LS_TRY(read_keys(&f, at, err));
    LS_TRY(ls_alloc(&f.offsets, p->n_tensors, sizeof(*f.offsets), "the tensor directory", err));
    status = ls_alloc(&f.names, p->n_tensors, sizeof(*f.names), "the tensor directory", err);
    if (status == LS_OK) {
        for (size_t i = 0; i < p->n_tensors; i++) {
            f.offsets[i] = p->tensors[i].file_off;
            f.names[i] = &p->tensors[i];
        }
        qsort(f.offsets, p->n_tensors, sizeof(*f.offsets), by_value);
        qsort(f.names, p->n_tensors, sizeof(*f.names), by_name);
        resolve(&f);
    }
    free(f.names);
    free(f.offsets);
    return status;
}
