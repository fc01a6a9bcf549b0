// SPDX-License-Identifier: MIT
/* patch_priv.h - weights that are others: the search for them, and the words for what it finds. */
#ifndef LS_EXPLAIN_PATCH_PRIV_H
#define LS_EXPLAIN_PATCH_PRIV_H

#include "explain/explain_priv.h"

/* A fit multiplies weights, or adds to each. */
typedef enum patch_form { FACTOR, ADD } patch_form;

typedef struct patcher {
    work          *w;
    ls_sem_part    part;
    ls_oracle_part of;
    size_t         width; /* values of one position                               */
    size_t         n;     /* of all                                               */
    size_t        *unit;  /* [n] row of weights that a value comes from           */
    double        *own, *part_of, *d; /* [n] own result, what some weights contribute, reference - own */
    double        *parts; /* [blocks][n]                                          */
} patcher;

typedef struct patch_fit {
    double       left; /* sum of squares */
    patch_form   form;
    ls_sem_patch patch;
} patch_fit;

/* patch_name.c: the best fit, with a number as short as it can be, becomes a line of the table. */
void ls_explain_name_patch(patcher *p, const patch_fit *best);
/* The same for a vector of which every element is another; `count` of them differ. */
void ls_explain_name_each(patcher *p, const ls_sem_patch *all, size_t count);

#endif
