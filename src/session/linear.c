// SPDX-License-Identifier: MIT
/* linear.c - matrix products: round the activations as the weight's type asks, then share the
 * rows of the matrices between threads.
 *
 * Threads split rows, never a sum: the result does not depend on how many there are. Products of
 * the same activations are one loop of the pool, since each loop ends with threads that wait.
 */
#include <math.h>
#include <string.h>

#include "dtype/dtype.h"
#include "model/strips.h"
#include "session/session_priv.h"

/* Products that share their activations. */
enum { MAX_PRODUCTS = 4 };
/* Tokens from which claims of several matrices alternate. With fewer, weights are read but once,
 * and memory is faster in one stream than in turns. */
enum { JOIN_FROM = 8 };
/* Tokens from which rows that have a fast kernel of their own are worth being put into strips for
 * one product. */
enum { PACK_FROM = 8 };
/* Weight rows handed out at a time: few enough to balance, enough to be worth a claim. */
enum { ROWS_PER_CLAIM = 32, PLAIN_ROWS_PER_CLAIM = 64, LOOKUP_ROWS_PER_CLAIM = 64 };
/* Of few tokens: bytes of a claim, and claims of a matrix to a thread, at least. */
enum { CLAIM_BYTES = 1 << 18, CLAIMS_PER_THREAD = 4 };
_Static_assert((int)PLAIN_ROWS_PER_CLAIM <= (int)LS_ROWS_BESIDE, "claims of up fit beside");
/* Bytes that a thread fetches of what it reads in the next loop. */
enum { FETCH_BYTES = 4096, LINE = 64 };
/* A decoded piece of a weight row (a multiple of every block), and the tokens that share it. */
enum { CODE_CHUNK = 256, CODE_TOKENS = 16 };

typedef struct job {
    ls_session      *s;
    const ls_matrix *w;
    ls_input         rows;
    ls_act_fn       *round;   /* NULL: plain floats                          */
    ls_tables_fn    *tables;  /* behind an I8_TL row; NULL: none are asked for */
    bool             codes;   /* int8 codes are the activations, see below */
    bool             vectors; /* see follows_vectors */
    bool             sums;    /* strips want them behind Q8_0 */
    bool             strips;
    size_t           claim;
    size_t           first; /* row whose results begin at m.y */
    int              form;  /* that s->act takes; jobs of the same one can share it */
    int              dtype;
    ls_pool_fn      *work; /* some rows of the matrix */
    ls_matmul_fn    *matmul;
    ls_matmul        m;
} job;

static bool is_int8(ls_act form) { return form == LS_ACT_I8_ROW || form == LS_ACT_I8_TL; }

/* LS_ROUND_I8 for a weight that is not I2_S: the int8 codes of the row, as I2_S rounds it. */
static void int8_codes(const job *j, size_t t, const float *x, void *slot)
{
    const ls_i8_row *row = slot;
    float           *codes = j->s->codes + t * j->m.n;
    j->s->k.act_i8_row(slot, x, j->m.n);
    for (size_t i = 0; i < j->m.n; i++) codes[i] = (float)row->qs[i];
    j->s->code_scale[t] = row->s;
}

static void round_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        uint8_t     *slot = (uint8_t *)j->s->act + t * j->m.x_bytes;
        const float *x = ls_make_row(j->s, &j->rows, j->m.n, t);
        if (j->codes) {
            int8_codes(j, t, x, slot);
        } else if (j->round) {
            j->round(slot, x, j->m.n);
            if (j->sums) j->s->k.sums_q8_0(slot, j->m.n);
            if (j->tables) j->tables(slot, j->m.n);
        } else {
            memcpy(slot, x, j->m.n * sizeof(float));
        }
    }
}

static void multiply(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    ls_matmul  m = j->m;
    if (j->strips) m.scratch = j->s->panel + (size_t)thread * j->s->panel_bytes;
    m.y += begin - j->first;
    m.w = (const uint8_t *)m.w + begin * m.row_bytes;
    m.n_rows = end - begin;
    j->matmul(&m);
}

/* The same of a matrix that is not in strips: a few rows are, as long as it takes. */
static void pack_and_multiply(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    ls_matmul  m = j->m;
    uint8_t   *strips = j->s->strips + (size_t)thread * j->s->strips_bytes;
    m.scratch = j->s->panel + (size_t)thread * j->s->panel_bytes;
    m.w = strips;
    for (size_t r = begin; r < end; r += m.n_rows) {
        m.n_rows = end - r < LS_ROWS_PACKED ? end - r : LS_ROWS_PACKED;
        m.y = j->m.y + (r - j->first);
        ls_matrix_to_strips(j->w, strips, r / LS_STRIP_ROWS, (r + m.n_rows) / LS_STRIP_ROWS);
        j->matmul(&m);
    }
}

/* One element of the product by sums of other orders than the matrix kernels have. */
static float one_by_one(const job *j, const void *w, const void *x)
{
    const ls_kernels *k = &j->s->k;
    switch (j->dtype) {
    case LS_DTYPE_F16:
        return k->dot_f16_wide(w, x, j->m.n, j->m.lanes);
    case LS_DTYPE_BF16:
        return k->dot_bf16_wide(w, x, j->m.n, j->m.lanes);
    default:
        return k->dot_f32(w, x, j->m.n, j->m.lanes);
    }
}

/* Floats where the reference multiplies vectors (NUMERICS.md, clause 9). */
static void multiply_one_by_one(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t t = 0; t < j->m.n_cols; t++) {
        const void *x = (const uint8_t *)j->m.x + t * j->m.x_bytes;
        for (size_t r = begin; r < end; r++) {
            const void *w = (const uint8_t *)j->m.w + r * j->m.row_bytes;
            j->m.y[t * j->m.ldy + r - j->first] = one_by_one(j, w, x);
        }
    }
}

/* Does the reference decode eight rows of this into a panel? It takes eight tokens and more. */
static bool follows_panels(const ls_session *s, const ls_matrix *w, size_t T)
{
    size_t batch = s->expert_batch ? s->expert_batch : T;
    if (!s->opt.follow || batch < 8 || w->n_rows % 8) return false;
    switch (w->dtype) {
    case LS_DTYPE_IQ1_S:
    case LS_DTYPE_IQ1_M:
    case LS_DTYPE_IQ2_XXS:
    case LS_DTYPE_IQ2_XS:
    case LS_DTYPE_IQ2_S:
    case LS_DTYPE_IQ3_XXS:
    case LS_DTYPE_IQ3_S:
    case LS_DTYPE_IQ4_XS:
        return true;
    default:
        return false;
    }
}

/* Rows that are no multiple of 8 the reference does not interleave. IQ4_NL of several tokens then
 * goes to a kernel that has no MXFP4 and takes no experts. */
static ls_rows follows_rows(const ls_session *s, const ls_matrix *w, size_t T)
{
    if (!s->opt.follow || w->n_rows % 8 == 0) return LS_ROWS_INTERLEAVED;
    switch (w->dtype) {
    case LS_DTYPE_Q4_0:
        return LS_ROWS_LANES;
    case LS_DTYPE_IQ4_NL:
        return T > 1 && !s->expert_batch ? LS_ROWS_LANES : LS_ROWS_PAIRS;
    case LS_DTYPE_MXFP4:
        return LS_ROWS_PAIRS;
    default:
        return LS_ROWS_INTERLEAVED;
    }
}

/* Does the reference multiply this by vectors? Its matrix kernels for floats take two tokens and
 * more, whole registers and rows in fours. */
static bool follows_vectors(const ls_session *s, const ls_matrix *w, size_t T)
{
    bool   pairs = s->opt.bf16_pairs && w->dtype == LS_DTYPE_BF16;
    size_t width = pairs ? 32 : (size_t)s->opt.lanes;
    if (!s->opt.follow || ls_dtype_block(w->dtype) != 1) return false;
    return T == 1 || w->n % width || w->n_rows % 4;
}

/* Add the products of the row's elements [i, i + n) with the codes of T tokens to sum, and the
 * largest weight to max. Eight sums each, which compilers turn into vectors: the order is here. */
static void add_codes(const job *j, size_t r, size_t i, size_t n, size_t t0, size_t T,
                      double (*sum)[8], float *max)
{
    float       w[CODE_CHUNK];
    const void *row = (const uint8_t *)j->m.w + r * j->m.row_bytes;
    ls_dtype_decode(j->dtype, w, (const uint8_t *)row + ls_dtype_row_bytes(j->dtype, i), n, 1);
    for (size_t k = 0; k < n; k++) *max = fabsf(w[k]) > *max ? fabsf(w[k]) : *max;
    for (size_t t = 0; t < T; t++) {
        const float *codes = j->s->codes + (t0 + t) * j->m.n + i;
        for (size_t k = 0; k < n; k++) sum[t][k % 8] += (double)w[k] * (double)codes[k];
    }
}

/* The products with int8 codes in double, in units of the row's largest weight. For ternary weights
 * that is I2_S's integer sum, whatever type they are stored in, and the result is I2_S's to the
 * bit (NUMERICS.md, clause 4). */
static void multiply_codes(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        for (size_t t0 = 0; t0 < j->m.n_cols; t0 += CODE_TOKENS) {
            size_t T = j->m.n_cols - t0 < CODE_TOKENS ? j->m.n_cols - t0 : CODE_TOKENS;
            double sum[CODE_TOKENS][8] = {{0}};
            float  max = 0;
            for (size_t i = 0; i < j->m.n; i += CODE_CHUNK) {
                size_t n = j->m.n - i < CODE_CHUNK ? j->m.n - i : CODE_CHUNK;
                add_codes(j, r, i, n, t0, T, sum, &max);
            }
            for (size_t t = 0; t < T; t++) {
                const double *a = sum[t];
                double all = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
                float  units = max > 0 ? (float)(all / (double)max) : (float)all;
                j->m.y[(t0 + t) * j->m.ldy + r - j->first] = units / j->s->code_scale[t0 + t] * max;
            }
        }
    }
}

/* Weight rows that are claimed at a time for T tokens. A claim waits for all that was read before
 * it: of few tokens, which do nothing but read, each thread has but a few. */
static size_t claim_of(const ls_session *s, const ls_matrix *w, bool strips, size_t T)
{
    if (strips && w->lookup) return LOOKUP_ROWS_PER_CLAIM;
    size_t least = strips && ls_dtype_block(w->dtype) == 1 ? PLAIN_ROWS_PER_CLAIM : ROWS_PER_CLAIM;
    if (!strips || !w->strips || T >= JOIN_FROM) return least;
    size_t part = w->n_rows / (CLAIMS_PER_THREAD * (size_t)ls_pool_n_threads(s->pool));
    size_t rows = CLAIM_BYTES / ls_matrix_strip_row(w);
    rows = (rows < part ? rows : part) / least * least;
    return rows > least ? rows : least;
}

/* Indices of tables, which a few rows bring with them. */
static void take_lookups(job *j, const ls_matrix *w)
{
    bool pairs = w->lookup == LS_DTYPE_TL1;
    j->m.row_bytes = ls_matrix_strip_row(w);
    if (j->m.n_cols >= LS_LOOKUP_COLS) return;
    j->tables = pairs ? j->s->k.tables_tl1 : j->s->k.tables_tl2;
    j->m.x_bytes += ls_lookup_table_bytes(w->lookup, w->n);
    j->form += (LS_N_ACTS + 1) * (pairs ? 2 : 3);
}

/* Are rows put into strips for this product alone? Types that have no fast kernel for rows are
 * better off so even for one token; those of code books have none but that. */
static bool packs_rows(const ls_matrix *w, size_t T)
{
    if (!ls_matrix_has_strips(w)) return false;
    switch (w->dtype) {
    case LS_DTYPE_F32:
    case LS_DTYPE_F16:
    case LS_DTYPE_BF16:
    case LS_DTYPE_Q4_0:
    case LS_DTYPE_Q8_0:
    case LS_DTYPE_Q4_K:
    case LS_DTYPE_Q6_K:
    case LS_DTYPE_TQ2_0:
    case LS_DTYPE_I2_S:
    case LS_DTYPE_TERNARY:
        return T >= PACK_FROM;
    default:
        return T >= PACK_FROM || !ls_strips_of(w->dtype)->rows;
    }
}

/* Where the reference is followed: the same, if a product of strips can add as it does. */
static bool follows_strips(const ls_matrix *w, const ls_matmul *m)
{
    if (m->rows != LS_ROWS_INTERLEAVED || !packs_rows(w, m->n_cols)) return false;
    return ls_strips_follow(w->dtype) || (m->whole && ls_dtype_block(w->dtype) != 1);
}

/* Strips for rows. Plain numbers want their activations as floats, whatever form they are rounded
 * to, and in rows that do not all begin in the same place of the cache. */
static void take_strips(job *j, const ls_matrix *w)
{
    j->matmul = ls_kernels_strips(&j->s->k, ls_matrix_form(w));
    j->m.w = w->strips;
    if (!w->strips) j->work = pack_and_multiply;
    if (w->lookup) {
        take_lookups(j, w);
        return;
    }
    if (ls_dtype_block(w->dtype) != 1) return;
    if (w->dtype == LS_DTYPE_F16) j->round = j->s->k.floats_f16;
    if (w->dtype == LS_DTYPE_BF16) j->round = j->s->k.floats_bf16;
    j->m.x_bytes = ls_act_row_bytes(LS_ACT_F32, w->n) + LS_ACT_APART;
    j->form += LS_N_ACTS + 1; /* not that of rows */
}

static job job_of(ls_session *s, const ls_product *p, ls_input x, size_t T, bool layer_weight)
{
    const ls_matrix *w = p->w;
    ls_act           form = ls_dtype_act(w->dtype);
    job              j = {
                     .s = s,
                     .w = w,
                     .rows = x,
                     .round = ls_kernels_act(&s->k, (int)form),
                     .codes = s->opt.rounding == LS_ROUND_I8 && layer_weight && !is_int8(form),
                     .vectors = follows_vectors(s, w, T),
                     .sums = form == LS_ACT_Q8_0,
                     .dtype = w->dtype,
                     .work = multiply,
                     .matmul = ls_kernels_matmul(&s->k, w->dtype),
                     .m = {.y = p->y,
                           .ldy = p->ldy,
                           .w = w->data,
                           .row_bytes = w->row_bytes,
                           .n_rows = w->n_rows,
                           .x = s->act,
                           .x_bytes = ls_act_row_bytes(form, w->n),
                           .n_cols = T,
                           .n = w->n,
                           .w_scale = w->scale,
                           .lanes = s->opt.lanes,
                           .follow = s->opt.follow,
                           .rows = follows_rows(s, w, T),
                           .whole = !s->opt.follow || follows_panels(s, w, T)},
    };
    j.strips =
        !j.codes && (s->opt.follow ? follows_strips(w, &j.m) : w->strips || packs_rows(w, T));
    j.claim = claim_of(s, w, j.strips, T);
    j.form = j.codes ? (int)LS_N_ACTS : (int)form;
    if (j.dtype == LS_DTYPE_Q4_0 && j.m.rows) j.matmul = s->k.matmul_q4_0_lanes;
    if (j.strips) take_strips(&j, w);
    if (s->opt.follow && s->opt.bf16_pairs && w->dtype == LS_DTYPE_BF16) {
        j.matmul = s->k.matmul_bf16_pairs;
        j.m.lanes = j.vectors ? 16 : 8;
    } else if (j.vectors) {
        j.work = multiply_one_by_one;
    }
    if (j.codes) {
        j.work = multiply_codes;
        j.m.x_bytes = ls_act_row_bytes(LS_ACT_I8_ROW, w->n); /* the codes pass through it */
    }
    return j;
}

/* Products that are one loop: item `first` and those behind it are claims of job 0, and so on. */
typedef struct group {
    job              *j;
    size_t            n;
    size_t            items[2 * MAX_PRODUCTS]; /* claims of each job                      */
    size_t            n_items;
    const ls_row_end *end;  /* then an item is claim i of all the jobs */
    const ls_matrix  *next; /* what the next loop begins with; NULL: not of interest */
} group;

static void multiply_claim(job *j, size_t claim, int thread)
{
    size_t begin = claim * j->claim, end = begin + j->claim;
    j->work(j, begin, end < j->m.n_rows ? end : j->m.n_rows, thread);
}

/* The rows that this thread takes first in the next loop: between two loops memory has nothing to
 * do, and the processor cannot know where the next one begins. */
static void fetch_next(const group *g, int thread)
{
    const ls_session *s = g->j->s;
    const ls_matrix  *w = g->next;
    bool              rows_only = s->opt.follow || g->j->codes;
    size_t n = w->n_rows, claim = claim_of(s, w, w->strips && !rows_only, g->j->m.n_cols);
    for (const ls_matrix *k = w; k->joined; k = k->next) n += k->next->n_rows;
    size_t at = ls_pool_first(s->pool, (n + claim - 1) / claim, thread) * claim;
    if (at >= n) return;
    for (; at >= w->n_rows; w = w->next) at -= w->n_rows;

    bool           strips = at < w->n_packed && !rows_only;
    size_t         row = strips ? ls_matrix_strip_row(w) : w->row_bytes;
    const uint8_t *from = (strips ? w->strips : (const uint8_t *)w->data) + at * row;
    for (size_t b = 0; b < (w->n_rows - at) * row && b < FETCH_BYTES; b += LINE)
        __builtin_prefetch(from + b, 0, 2);
}

static void multiply_items(void *ctx, size_t begin, size_t end, int thread)
{
    const group *g = ctx;
    for (size_t item = begin; item < end; item++) {
        size_t at = item, k = 0;
        if (g->next && item + 1 == ls_pool_first(g->j->s->pool, g->n_items, thread + 1))
            fetch_next(g, thread); /* the last claim of its own */
        while (at >= g->items[k]) at -= g->items[k++];
        multiply_claim(&g->j[k], at, thread);
    }
}

/* Claim i of every product, and what comes of them together. The second one's stays in the cache.
 */
static void multiply_and_end(void *ctx, size_t begin, size_t end, int thread)
{
    const group *g = ctx;
    job          second = g->j[g->n - 1];
    float       *beside = second.s->beside + (size_t)thread * second.m.n_cols * LS_ROWS_BESIDE;
    for (size_t item = begin; item < end; item++) {
        size_t from = item * g->j->claim, to = from + g->j->claim;
        multiply_claim(&g->j[0], item, thread);
        second.m.y = beside;
        second.m.ldy = g->j->claim;
        second.first = from;
        if (g->n == 2) multiply_claim(&second, item, thread);
        g->end->fn(g->end->ctx, from, to < g->j->m.n_rows ? to : g->j->m.n_rows,
                   g->n == 2 ? beside : NULL, second.m.ldy);
    }
}

/* Jobs that read the same rounded activations. */
static void run_group(ls_session *s, job *j, size_t n)
{
    group g = {.j = j, .n = n, .next = j->m.n_cols < JOIN_FROM ? j[n - 1].w->next : NULL};
    for (size_t k = 0; k < n; k++) {
        g.items[k] = (j[k].m.n_rows + j[k].claim - 1) / j[k].claim;
        g.n_items += g.items[k];
    }
    ls_pool_run(s->pool, multiply_items, &g, g.n_items, 1);
}

static bool is_packed_in_part(const ls_matrix *w) { return w->strips && w->n_packed < w->n_rows; }

/* The rows of a product that are in strips, and behind them those that are not. */
static void split(const ls_product *p, ls_product part[2], ls_matrix w[2])
{
    size_t packed = p->w->n_packed;
    w[0] = w[1] = *p->w;
    w[0].n_rows = packed;
    w[1].n_rows -= packed;
    w[1].data = (const uint8_t *)w[1].data + packed * w[1].row_bytes;
    w[1].strips = NULL;
    w[1].n_packed = 0;
    part[0] = (ls_product){&w[0], p->y, p->ldy};
    part[1] = (ls_product){&w[1], p->y + packed, p->ldy};
}

/* Of several groups the first one makes the rows. */
void ls_linear(ls_session *s, const ls_product *p, size_t n, ls_input x, size_t T,
               bool layer_weight)
{
    job        j[2 * MAX_PRODUCTS];
    ls_product part[2];
    ls_matrix  w[MAX_PRODUCTS][2];
    ls_input   made = ls_input_made(&x);
    size_t     n_jobs = 0;
    for (size_t i = 0; i < n; i++) {
        bool two = !s->opt.follow && is_packed_in_part(p[i].w);
        if (two) split(&p[i], part, w[i]);
        for (size_t k = 0; k <= two; k++, n_jobs++)
            j[n_jobs] = job_of(s, two ? &part[k] : &p[i], n_jobs ? made : x, T, layer_weight);
    }
    for (size_t i = 0, k; i < n_jobs; i = k) {
        for (k = i + 1; k < n_jobs && j[k].form == j[i].form;) k++;
        ls_pool_run(s->pool, round_rows, &j[i], T, 1);
        run_group(s, &j[i], k - i);
    }
}

void ls_linear_end(ls_session *s, const ls_product *p, size_t n, ls_input x, size_t T,
                   const ls_row_end *end)
{
    job    j[MAX_PRODUCTS];
    group  g = {.j = j, .n = n, .end = end};
    size_t rows = p->w->n_rows;
    bool   alike = true;
    for (size_t i = 0; i < n; i++) {
        j[i] = job_of(s, &p[i], x, T, true);
        alike = alike && j[i].form == j[0].form && j[i].claim == j[0].claim;
        alike = alike && !is_packed_in_part(p[i].w);
    }
    if (!alike || T < JOIN_FROM) {
        ls_linear(s, p, n, x, T, true);
        end->fn(end->ctx, 0, rows, n == 2 ? p[1].y : NULL, p[n - 1].ldy);
        return;
    }
    ls_pool_run(s->pool, round_rows, j, T, 1);
    ls_pool_run(s->pool, multiply_and_end, &g, (rows + j->claim - 1) / j->claim, 1);
}
