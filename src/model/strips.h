// SPDX-License-Identifier: MIT
/* strips.h - which matrices of a model go into strips, where each lies in the image that they make
 * together, and the filling of it. In memory (strips.c) and in a file (prepacked.c) it is the same. */
#ifndef LS_MODEL_STRIPS_H
#define LS_MODEL_STRIPS_H

#include "dtype/strips.h"
#include "model/weights.h"

/* A matrix, or the matrices of a kind of a layer's experts, one behind the other. */
typedef struct ls_strip_item {
    ls_matrix *w;        /* borrowed from the model */
    size_t     n_strips; /* of 16 rows              */
    size_t     at, bytes; /* in the image; at is a multiple of 64 */
} ls_strip_item;

typedef struct ls_strip_plan {
    ls_strip_item *items; /* owned */
    size_t         n, bytes;
} ls_strip_plan;

/* Errors: NOMEM. n is 0 for a model without matrices that have such a form. */
ls_status ls_strip_plan_make(ls_strip_plan *out, ls_model *m, ls_error *err);
void      ls_strip_plan_fini(ls_strip_plan *p); /* zeroed is allowed */

/* Bytes of one strip of an item; of the rows that it is made of, and of all rows. */
static inline size_t ls_strip_bytes(const ls_strip_item *it) { return it->bytes / it->n_strips; }
static inline size_t ls_strip_source(const ls_strip_item *it)
{
    return LS_STRIP_ROWS * it->w->row_bytes;
}
static inline size_t ls_strips_source(const ls_strip_item *it)
{
    return it->n_strips * ls_strip_source(it);
}
/* Is the matrix one that can be put into strips? */
bool ls_matrix_has_strips(const ls_matrix *w);
/* Strips [begin, end) of it, or of those behind it (experts), to where the first of them belongs. */
void ls_matrix_to_strips(const ls_matrix *w, uint8_t *to, size_t begin, size_t end);
/* From here on products read the image, of which the first bytes are there. */
void ls_strip_plan_use(const ls_strip_plan *p, uint8_t *image, size_t bytes);

#endif
