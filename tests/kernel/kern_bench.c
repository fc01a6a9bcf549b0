// SPDX-License-Identifier: MIT
/* kern_bench.c - times every kernel of every tier against what the machine can do; one CSV row
 * each.
 *
 * Matrices are walked as a session walks them, in claims of some rows out of a large one. Tiers
 * take turns, so that a ratio is of the same moment; a time is the median of its samples, in CPU
 * time of the thread: other programs' turns are not in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/pages.h"
#include "bench/peaks.h"
#include "dtype/strips.h"
#include "kern.h"
#include "lockstep/bench.h"
#include "lockstep/quant.h"

enum {
    SAMPLES = 7,
    SLOW_SAMPLES = 3,
    SAMPLE_NS = 3000000,
    SLOW_NS = 50000000,
    CACHED_BYTES = 256 << 10,
    READ_BYTES = 256 << 20
};

/* The rows of the table that a kernel has: matrices out of the cache and out of memory for one
 * token, and for 512; sums of attention for the queries of one, four and twelve heads. */
typedef struct shape {
    const char *place;                /* "cache", "memory" */
    size_t      n, rows, cols, bytes; /* rows 0: as many as have `bytes` */
} shape;
static const shape matrices[] = {{"cache", 2048, 0, 1, CACHED_BYTES},
                                 {"memory", 4096, 0, 1, 64 << 20},
                                 {"memory", 2048, 2048, 512, 0},
                                 {"memory", 8192, 2048, 512, 0},
                                 {NULL, 0, 0, 0, 0}};
static const shape heads[] = {
    {"cache", 64, 64, 1, 0}, {"cache", 64, 64, 4, 0}, {"cache", 64, 64, 12, 0}, {NULL, 0, 0, 0, 0}};
static const shape vectors[] = {{"cache", 4096, 1, 1, 0}, {NULL, 0, 0, 0, 0}};

/* One thread's limits. */
typedef struct limits {
    ls_limits machine;
    double    cache_bytes; /* per second, out of CACHED_BYTES */
} limits;

/* What is timed: one call, or claim after claim of a matrix. */
typedef struct job {
    kern_case c;
    kern_data d;
    bool      matrix;
    ls_pages  w, x, y;
    size_t    n_claims, at; /* the next one; tiers go on where the one before was */
    size_t    claim_rows, claim_bytes;
    ls_matmul m;
} job;

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void need(ls_status status, const ls_error *err)
{
    if (status == LS_OK) return;
    fprintf(stderr, "%s: %s\n", kern_program, err->what);
    exit(2);
}

static void take_pages(ls_pages *p, size_t bytes)
{
    ls_error err = {0};
    need(ls_pages_alloc(p, bytes, "a matrix to time", &err), &err);
}

/* ---- matrices ---- */

static bool is_matrix(kern_kind kind) { return kind == KIND_MATMUL || kind == KIND_STRIPS; }

/* As src/session/linear.c hands them out. */
static size_t claim_of(const kern_info *k)
{
    bool looks_up = k->type == LS_DTYPE_TL1 || k->type == LS_DTYPE_TL2;
    return k->kind == KIND_STRIPS && (looks_up || ls_dtype_block(k->type) == 1) ? 64 : 32;
}

/* Weights as a model has them: a row of normal floats by our own quantiser; the rows are that one,
 * each turned by a block. Bytes drawn at random would be scales without number in some types, which
 * are slow. Where there is no quantiser, as for integers, what the tests draw is fine. */
static void make_weights(job *j, int type)
{
    size_t   n = j->c.n, row = kern_row_bytes(&j->c), block = ls_dtype_block_bytes(type);
    uint64_t rng = 1;
    ls_error err = {0};
    float   *x = malloc(2 * n * sizeof(*x));
    uint8_t *rows = malloc(j->claim_rows * row);
    if (!x || !rows) exit(2);
    kern_fill_f32(x, n, PAT_RANDOM, &rng);
    for (size_t i = 0; i < n; i++) {
        x[i] *= 0.03f;
        x[n + i] = 1; /* importance: some types ask for it */
    }
    need(ls_quantize(type, rows, x, 1, n, x + n, &err), &err);
    for (size_t r = 1; r < j->claim_rows; r++) {
        size_t turn = r * block % row;
        memcpy(rows + r * row, rows + turn, row - turn);
        memcpy(rows + r * row + row - turn, rows, turn);
    }
    if (kern_info_of(j->c.kernel)->kind == KIND_STRIPS) {
        for (size_t r = 0; r < j->claim_rows; r += LS_STRIP_ROWS)
            ls_strips_pack(type, j->d.in[0].data + r * row, rows + r * row, row, n);
    } else {
        memcpy(j->d.in[0].data, rows, j->claim_rows * row);
    }
    free(rows);
    free(x);
}

static bool is_quantised(int type)
{
    return ls_dtype_block(type) > 1 && ls_dtype_row_bytes(type, 256) && type != LS_DTYPE_I2_S &&
           type != LS_DTYPE_TL1 && type != LS_DTYPE_TL2 && ls_quant_supported(type);
}

/* The same claim over and over: what matters is where it comes from. */
static void make_matrix(job *j, const shape *s)
{
    const kern_info *k = kern_info_of(j->c.kernel);
    size_t           row = kern_row_bytes(&j->c), stride = kern_act_stride(&j->c);
    size_t           scratch = ls_strips_scratch(s->n), apart = stride + 64, rows = s->rows;
    j->claim_rows = claim_of(k);
    if (!rows) rows = s->bytes / row / j->claim_rows * j->claim_rows;
    if (!rows) rows = j->claim_rows;
    j->c.rows = j->claim_rows;
    kern_prepare(&j->d, &j->c);
    if (is_quantised(k->type)) make_weights(j, k->type);
    j->n_claims = rows / j->claim_rows;
    j->claim_bytes = row * j->claim_rows;
    take_pages(&j->w, j->n_claims * j->claim_bytes + scratch + 64);
    take_pages(&j->x, apart * s->cols);
    take_pages(&j->y, rows * s->cols * sizeof(float));
    for (size_t i = 0; i < j->n_claims; i++)
        memcpy((uint8_t *)j->w.data + i * j->claim_bytes, j->d.in[0].data, j->claim_bytes);
    for (size_t i = 0; i < s->cols; i++) {
        size_t left = j->d.in[1].bytes - i * stride;
        memcpy((uint8_t *)j->x.data + i * apart, j->d.in[1].data + i * stride,
               left < stride ? left : stride);
    }
    j->m = (ls_matmul){.ldy = rows,
                       .row_bytes = row,
                       .n_rows = j->claim_rows,
                       .x = j->x.data,
                       .x_bytes = apart,
                       .n_cols = s->cols,
                       .n = s->n,
                       .w_scale = 0.37f,
                       .lanes = j->c.kernel == KERN_matmul_bf16_pairs && s->cols > 1 ? 8 : 16,
                       .rows = j->c.kernel == KERN_matmul_q4_0_lanes ? LS_ROWS_LANES : 0,
                       .whole = true,
                       .scratch =
                           (uint8_t *)j->w.data + (j->n_claims * j->claim_bytes + 63) / 64 * 64};
}

static void multiply(job *j, const ls_kernels *k)
{
    const kern_info *info = kern_info_of(j->c.kernel);
    j->m.w = (const uint8_t *)j->w.data + j->at * j->claim_bytes;
    j->m.y = (float *)j->y.data + j->at * j->claim_rows;
    j->at = (j->at + 1) % j->n_claims;
    if (info->kind == KIND_STRIPS)
        ls_kernels_strips(k, info->type)(&j->m);
    else if (j->c.kernel == KERN_matmul_q4_0_lanes)
        k->matmul_q4_0_lanes(&j->m);
    else if (j->c.kernel == KERN_matmul_bf16_pairs)
        k->matmul_bf16_pairs(&j->m);
    else
        ls_kernels_matmul(k, info->type)(&j->m);
}

static void make(job *j, int kernel, const shape *s)
{
    kern_kind kind = kern_info_of(kernel)->kind;
    j->c = (kern_case){kernel, PAT_RANDOM, 1, s->n, s->rows, s->cols, PLACE_BEGIN, 16};
    j->matrix = is_matrix(kind);
    j->at = 0;
    if (j->matrix)
        make_matrix(j, s);
    else
        kern_prepare(&j->d, &j->c);
}

static void drop(job *j)
{
    ls_pages_free(&j->w);
    ls_pages_free(&j->x);
    ls_pages_free(&j->y);
}

/* ---- limits ---- */

/* Bytes per second, the best of some passes. `kept` makes them happen. */
static double reading(const void *p, size_t bytes, int passes, size_t turns, uint64_t *kept)
{
    ls_read_fn *read = ls_read_loop();
    double      best = 0;
    for (int pass = 0; pass < passes; pass++) {
        double begin = cpu_ns(), rate;
        for (size_t i = 0; i < turns; i++) *kept ^= read(p, bytes);
        rate = 1e9 * (double)(turns * bytes) / (cpu_ns() - begin);
        if (rate > best) best = rate;
    }
    return best;
}

static ls_peak peak_of(ls_peak_kind kind, uint64_t *kept)
{
    enum { PASSES = 20, TURNS = 100000 };
    const ls_peak_loop *loop = ls_peak_loops;
    ls_peak             best = {0, ""};
    while (loop->how && (loop->kind != kind || !loop->available())) loop++;
    if (!loop->how) return best;
    best.how = loop->how;
    for (int pass = 0; pass < PASSES; pass++) {
        double begin = cpu_ns(), rate;
        *kept ^= loop->run(TURNS);
        rate = 1e9 * TURNS * loop->ops / (cpu_ns() - begin);
        if (rate > best.per_second) best.per_second = rate;
    }
    return best;
}

/* The loops of `bench machine`, in CPU time of one thread as everything here. */
static void measure(limits *l)
{
    ls_pages p = {0};
    uint64_t kept = 0;
    take_pages(&p, READ_BYTES);
    memset(p.data, 1, READ_BYTES);
    l->machine.read_bytes = reading(p.data, READ_BYTES, 10, 1, &kept);
    l->cache_bytes = reading(p.data, CACHED_BYTES, 20, 100, &kept);
    ls_pages_free(&p);
    l->machine.int8 = peak_of(LS_PEAK_INT8, &kept);
    l->machine.fp32 = peak_of(LS_PEAK_FP32, &kept);
    l->machine.bf16 = peak_of(LS_PEAK_BF16, &kept);
    printf("# limits of one thread: memory %.1f GB/s, cache %.1f GB/s, int8 %.1f GOP/s (%s), "
           "fp32 %.1f GFLOP/s (%s)",
           l->machine.read_bytes / 1e9, l->cache_bytes / 1e9, l->machine.int8.per_second / 1e9,
           l->machine.int8.how, l->machine.fp32.per_second / 1e9, l->machine.fp32.how);
    if (l->machine.bf16.per_second > 0)
        printf(", bf16 %.1f GFLOP/s (%s)", l->machine.bf16.per_second / 1e9, l->machine.bf16.how);
    printf("%s\n", kept == 1 ? " " : "");
}

/* ---- times ---- */

static void call(job *j, const ls_kernels *k)
{
    if (j->matrix)
        multiply(j, k);
    else
        kern_invoke(&j->d, &j->c, k, 1);
}

/* Nanoseconds per call, of as many as take SAMPLE_NS. */
static double sample(job *j, const ls_kernels *k)
{
    size_t calls = 0;
    double begin = cpu_ns(), ns = 0;
    for (size_t next = 1; ns < SAMPLE_NS; next *= 2) {
        for (size_t i = 0; i < next; i++) call(j, k);
        calls += next;
        ns = cpu_ns() - begin;
    }
    return ns / (double)calls;
}

/* Of the calls that one row of the table is about: operands and results, each once. */
static double bytes_of(const job *j)
{
    double bytes = 0;
    if (j->matrix) {
        size_t x = kern_act_stride(&j->c) * j->c.cols;
        return (double)(j->claim_bytes + x + j->claim_rows * j->c.cols * sizeof(float));
    }
    for (int i = 0; i < kern_n_inputs(&j->c); i++) bytes += (double)j->d.in[i].bytes;
    return bytes + (double)j->d.out[1].bytes;
}

static double ops_of(const job *j)
{
    kern_kind kind = kern_info_of(j->c.kernel)->kind;
    double    products = (double)(j->c.n * j->c.rows * j->c.cols);
    if (kind == KIND_CHAINS) return 2 * products * LS_CHAIN_LANES;
    if (kind == KIND_MIX) return 2 * (double)(j->c.n * j->c.rows);
    return j->matrix || kind == KIND_DOT || kind == KIND_AXPY ? 2 * products : 0;
}

static void print_row(const job *j, const shape *s, const char *tier, bool own, double ns,
                      double scalar_ns, const limits *l)
{
    const kern_info *k = kern_info_of(j->c.kernel);
    const ls_peak   *peak = ls_limits_for(&l->machine, j->matrix ? k->type : LS_DTYPE_F32);
    double           rate = s->place[0] == 'm' ? l->machine.read_bytes : l->cache_bytes;
    double           bytes = bytes_of(j), ops = ops_of(j);
    double           reading = bytes / rate * 1e9;
    double           computing = peak->per_second > 0 ? ops / peak->per_second * 1e9 : 0;
    bool             computes = computing > reading;
    const char      *name = peak == &l->machine.int8   ? "int8"
                            : peak == &l->machine.bf16 ? "bf16"
                                                       : "fp32";
    printf("%s,%s,%s,%s,%zu,%zu,%zu,%.0f,%.2f,%.1f,%s,%.1f,%.3f,%.2f\n", k->name, tier,
           own ? "own" : "inherits", s->place, s->n, j->c.rows, s->cols, ns, bytes / ns, ops / ns,
           computes ? name : s->place, (computes ? peak->per_second : rate) / 1e9,
           (computes ? computing : reading) / ns, scalar_ns / ns);
    fflush(stdout);
}

static bool is_own(int kernel, const ls_kernels *weaker, const ls_kernels *k)
{
    size_t at = kern_info_of(kernel)->offset;
    return memcmp((const uint8_t *)weaker + at, (const uint8_t *)k + at, sizeof(void (*)(void)));
}

static void time_shape(int kernel, const shape *s, ls_tier only, const limits *l)
{
    static job j;
    limits     now = *l;
    uint64_t   kept = 0;
    ls_kernels k[LS_N_TIERS];
    double     ns[LS_N_TIERS][SAMPLES];
    int        tiers[LS_N_TIERS], n = 0, n_samples[LS_N_TIERS];
    for (int t = LS_TIER_SCALAR; t < LS_N_TIERS; t++) {
        bool asked = !only || only == (ls_tier)t || t == LS_TIER_SCALAR;
        if (!asked || !kern_available((ls_tier)t)) continue;
        k[n] = kern_table((ls_tier)t);
        tiers[n++] = t;
    }
    make(&j, kernel, s);
    for (int i = 0; i < n; i++) {
        /* whatever is done once; and who is slow takes part in fewer turns */
        double begin = cpu_ns();
        call(&j, &k[i]);
        n_samples[i] = cpu_ns() - begin > SLOW_NS ? SLOW_SAMPLES : SAMPLES;
    }
    if (s->place[0] == 'm' && s->cols == 1) now.machine.read_bytes = 0;
    for (int r = 0; r < SAMPLES; r++) {
        for (int i = 0; i < n; i++)
            if (r < n_samples[i]) ns[i][r] = sample(&j, &k[i]);
        if (s->place[0] != 'm' || s->cols > 1) continue;
        /* memory changes its speed over minutes: it takes its turn, too */
        double rate = reading(j.w.data, j.n_claims * j.claim_bytes / 512 * 512, 1, 1, &kept);
        if (rate > now.machine.read_bytes) now.machine.read_bytes = rate;
    }
    for (int i = 0; i < n; i++) qsort(ns[i], (size_t)n_samples[i], sizeof(double), by_value);
    for (int i = 0; i < n; i++)
        print_row(&j, s, kern_tier_name((ls_tier)tiers[i]), i == 0 || is_own(kernel, &k[0], &k[i]),
                  ns[i][n_samples[i] / 2], ns[0][n_samples[0] / 2], &now);
    if (kept == 1) puts("");
    drop(&j);
}

void kern_bench_columns(void)
{
    puts("Columns of --bench:\n"
         "  kernel, tier   what was timed; `code` says whether the tier has one of its own or "
         "inherits\n"
         "                 scalar's\n"
         "  place          of the matrix: `cache` (256 KiB) or `memory` (out of a matrix too large "
         "for\n"
         "                 a cache, or one claim after another of one that 512 tokens are "
         "multiplied with)\n"
         "  n, rows, cols  elements of a row, rows of a call (as many as a thread claims at a "
         "time),\n"
         "                 tokens\n"
         "  ns             of a call: median, CPU time of the thread\n"
         "  gb_per_s       operands and results, each counted once\n"
         "  gop_per_s      a multiplication and an addition are two operations; 0: not counted\n"
         "  limit          what the machine runs into first: reading from `memory` or `cache`, "
         "products of\n"
         "                 bytes (int8), of BF16 pairs (bf16) or of floats (fp32)\n"
         "  limit_per_s    that limit in GB/s or GOP/s, measured in this run with one thread: the "
         "lines\n"
         "                 above the table; memory again beside each row, since it changes over "
         "minutes\n"
         "  of_limit       time at that limit / time measured\n"
         "  times_scalar   scalar's time / this one's; the two took turns");
}

int kern_bench(int only_kernel, ls_tier only_tier)
{
    static limits l;
    measure(&l);
    printf("kernel,tier,code,place,n,rows,cols,ns,gb_per_s,gop_per_s,limit,limit_per_s,of_limit,"
           "times_scalar\n");
    for (int i = 0; i < N_KERNELS; i++) {
        kern_kind    kind = kern_info_of(i)->kind;
        bool         head = kind == KIND_CHAINS || kind == KIND_MIX;
        const shape *s = is_matrix(kind) ? matrices : head ? heads : vectors;
        if (only_kernel != N_KERNELS && only_kernel != i) continue;
        for (; s->place; s++) time_shape(i, s, only_tier, &l);
    }
    return 0;
}
