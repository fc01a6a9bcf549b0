// SPDX-License-Identifier: MIT
/* book.c - code books with the entries around every combination of levels; see book.h. */
#include "quant/book.h"

#include <float.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dtype/grid_tables.h"

/* How many distances a list reaches. */
static const struct shape {
    int             dtype, dims, bits, n_levels, n_entries, reach;
    const uint64_t *words;
    const uint32_t *half_words;
} shapes[] = {
    {LS_DTYPE_IQ2_XXS, 8, 2, 3, 256, 2, ls_grid_iq2_xxs, NULL},
    {LS_DTYPE_IQ2_XS, 8, 2, 3, 512, 2, ls_grid_iq2_xs, NULL},
    {LS_DTYPE_IQ2_S, 8, 2, 3, 1024, 1, ls_grid_iq2_s, NULL},
    {LS_DTYPE_IQ3_XXS, 4, 3, 8, 256, 2, NULL, ls_grid_iq3_xxs},
    {LS_DTYPE_IQ3_S, 4, 3, 8, 512, 3, NULL, ls_grid_iq3_s},
    {LS_DTYPE_IQ1_S, 8, 2, 3, 2048, 3, ls_grid_iq1, NULL},
    {LS_DTYPE_IQ1_M, 8, 2, 3, 2048, 3, ls_grid_iq1, NULL},
};

/* The level that a value of the grid stands for. */
static uint8_t level_of(const struct shape *s, int value)
{
    if (s->words == ls_grid_iq1) return (uint8_t)((int8_t)value + 1);
    if (s->dims == 8) return value == 8 ? 0 : value == 25 ? 1 : 2;
    return (uint8_t)(s->dtype == LS_DTYPE_IQ3_XXS ? value / 8 : value / 2);
}

int ls_book_key(const ls_book *b, const uint8_t *level)
{
    int key = 0;
    for (int i = 0; i < b->dims; i++) key |= level[i] << (b->bits * i);
    return key;
}

static int distance(const ls_book *b, const uint8_t *level, int entry)
{
    int sum = 0;
    for (int i = 0; i < b->dims; i++) {
        int d = b->entry[entry][i] - level[i];
        sum += d * d;
    }
    return sum;
}

/* The list of a key: entries at the `reach` smallest distances, by distance, then by number. */
static ls_status list_around(ls_book *b, int key, int reach, ls_error *err)
{
    uint8_t  level[8];
    int      last = -1;
    size_t   head = b->n_near;
    uint16_t count = 0;
    int      far[2048];
    for (int i = 0; i < b->dims; i++) {
        level[i] = (uint8_t)(key >> (b->bits * i) & ((1 << b->bits) - 1));
    }
    for (int e = 0; e < b->n_entries; e++) far[e] = distance(b, level, e);
    b->map[key] = -1 - (int32_t)head;
    LS_TRY(ls_grow(&b->near, &b->cap_near, head + 1 + (size_t)b->n_entries, sizeof(*b->near),
                   "the neighbours in a code book", err));
    for (int ring = 0; ring < reach; ring++) {
        int next = INT32_MAX;
        for (int e = 0; e < b->n_entries; e++) {
            if (far[e] > last && far[e] < next) next = far[e];
        }
        for (int e = 0; e < b->n_entries; e++) {
            if (far[e] == next) b->near[head + 1 + count++] = (uint16_t)e;
        }
        last = next;
    }
    b->near[head] = count;
    b->n_near = head + 1 + count;
    return LS_OK;
}

/* The next combination of levels, as a key; -1 behind the last one. */
static int next_key(const ls_book *b, int key)
{
    int mask = (1 << b->bits) - 1;
    for (int i = 0; i < b->dims; i++) {
        int at = b->bits * i;
        if ((key >> at & mask) + 1 < b->n_levels) return key + (1 << at);
        key &= ~(mask << at);
    }
    return -1;
}

static ls_status fill(ls_book *b, const struct shape *s, ls_error *err)
{
    size_t n_keys = (size_t)1 << (b->bits * b->dims);
    LS_TRY(ls_alloc(&b->entry, (size_t)b->n_entries, sizeof(*b->entry), "a code book", err));
    LS_TRY(ls_alloc(&b->map, n_keys, sizeof(*b->map), "a code book's keys", err));
    for (size_t k = 0; k < n_keys; k++) b->map[k] = INT32_MIN;
    for (int e = 0; e < b->n_entries; e++) {
        uint64_t word = s->words ? s->words[e] : s->half_words[e];
        for (int i = 0; i < b->dims; i++) {
            b->entry[e][i] = level_of(s, (int)(word >> (8 * i) & 255));
        }
        b->map[ls_book_key(b, b->entry[e])] = e;
    }
    for (int key = 0; key >= 0; key = next_key(b, key)) {
        if (b->map[key] == INT32_MIN) LS_TRY(list_around(b, key, s->reach, err));
    }
    return LS_OK;
}

ls_status ls_book_create(ls_book **out, int dtype, ls_error *err)
{
    const struct shape *s = shapes;
    ls_book            *b;
    ls_status           status;
    *out = NULL;
    while (s->dtype != dtype) s++;
    LS_TRY(ls_alloc(&b, 1, sizeof(*b), "a code book", err));
    *b = (ls_book){.dtype = dtype,
                   .dims = s->dims,
                   .bits = s->bits,
                   .n_levels = s->n_levels,
                   .n_entries = s->n_entries};
    status = fill(b, s, err);
    if (status == LS_OK) {
        *out = b;
    } else {
        ls_book_destroy(b);
    }
    return status;
}

void ls_book_destroy(ls_book *b)
{
    if (!b) return;
    free(b->entry);
    free(b->map);
    free(b->near);
    free(b);
}

int ls_book_entry(const ls_book *b, uint8_t *level, const float *x, const float *w,
                  const float *value, float scale, bool *exact)
{
    int             found = b->map[ls_book_key(b, level)];
    const uint16_t *list;
    float           least = FLT_MAX;
    *exact = found >= 0;
    if (*exact) return found;
    list = b->near + (-1 - found);
    found = list[1];
    for (int j = 1; j <= list[0]; j++) {
        float error = 0;
        for (int i = 0; i < b->dims; i++) {
            float diff = scale * value[b->entry[list[j]][i]] - x[i];
            error += w[i] * diff * diff;
        }
        if (!(error < least)) continue;
        least = error;
        found = list[j];
    }
    memcpy(level, b->entry[found], (size_t)b->dims);
    return found;
}
