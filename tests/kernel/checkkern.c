// SPDX-License-Identifier: MIT
/* checkkern.c - proves that every kernel of every tier gives the bits of the scalar one.
 *
 * checkkern [--kernel NAME] [--tier T] [--seed N] [--every N] [--list | --bench | --self-test |
 * --hashes] With --n (and --pattern, --rows, --cols, --place) a single case is repeated; --every N
 * takes one case of N, for emulated processors. --hashes prints, for one tier, a hash of what each
 * kernel wrote, which is the same on every processor (--wrong: of a table with a wrong kernel in
 * it). Exit status: 0 all equal, 1 a difference, 2 usage. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtype/strips.h"
#include "kern.h"

typedef struct tally {
    size_t compared, failed, kernels, inherited;
} tally;

static tally       total;
static uint64_t   *hash; /* of what the kernel wrote in all cases; NULL: it is compared */
static const char *tier_now;
static ls_tier     tier_id;
static size_t      every = 1, turn; /* one case of so many; cases so far */

/* The case being run, for the handler of a read or write outside of a buffer. */
static char case_line[512];

static void describe(const kern_case *c)
{
    snprintf(case_line, sizeof(case_line),
             "kernel %s, tier %s, pattern %s, seed %" PRIu64
             ", n %zu, rows %zu, cols %zu, place %d, lanes %d\n"
             "  repeat: %s --kernel %s --tier %s --pattern %s --seed %" PRIu64
             " --n %zu --rows %zu --cols %zu --place %d --lanes %d\n",
             kern_info_of(c->kernel)->name, tier_now, kern_pattern_names[c->pattern], c->seed, c->n,
             c->rows, c->cols, c->place, c->lanes, kern_program, kern_info_of(c->kernel)->name,
             ls_tier_name(tier_id), kern_pattern_names[c->pattern], c->seed, c->n, c->rows, c->cols,
             c->place, c->lanes);
}

static void on_fault(int sig)
{
    static const char text[] = "checkkern: access outside of a buffer: ";
    (void)sig;
    if (write(2, text, sizeof(text) - 1) < 0 || write(2, case_line, strlen(case_line)) < 0)
        _exit(1);
    _exit(1);
}

static int64_t ordered(uint32_t bits)
{
    return bits >> 31 ? -(int64_t)(bits & 0x7fffffff) : (int64_t)bits;
}

/* Whether subnormal numbers are what they should be: kernels may not leave a mode of the processor
 * behind in which they are zero. */
static bool keeps_subnormals(void)
{
    volatile float least = 0x1p-126f, less = least * 0.5f;
    return less * 2.0f == least;
}

bool kern_check(const kern_case *c, const ls_kernels *scalar, const ls_kernels *k, bool quiet)
{
    static kern_data d;
    size_t           index;
    uint32_t         ref, got;
    bool             flushes;
    tier_now = kern_tier_name(k->tier);
    tier_id = k->tier;
    describe(c);
    kern_prepare(&d, c);
    if (hash) {
        total.compared++;
        kern_invoke(&d, c, k, 0);
        *hash = kern_hash(&d, c, *hash);
        return true;
    }
    kern_invoke(&d, c, scalar, 0);
    kern_invoke(&d, c, k, 1);
    total.compared++;
    flushes = !keeps_subnormals();
    if (kern_compare(&d, c, &index, &ref, &got) && !flushes) return true;
    total.failed++;
    if (quiet || total.failed > 20) return false;
    fprintf(stderr, "checkkern: DIFFERS: %s", case_line);
    if (flushes) {
        fprintf(stderr, "  left the processor flushing subnormal numbers to zero\n");
    } else if (index == SIZE_MAX) {
        fprintf(stderr, "  wrote outside of a buffer\n");
    } else {
        int64_t ulp = ordered(got) - ordered(ref);
        fprintf(stderr,
                "  first at index %zu: scalar %08" PRIx32 ", %s %08" PRIx32 ", %" PRId64 " ULP\n",
                index, ref, tier_now, got, ulp);
    }
    return false;
}

static void sweep_case(const kern_case *c, const ls_kernels *scalar, const ls_kernels *k)
{
    if (turn++ % every == 0) kern_check(c, scalar, k, false);
}

/* The block that n must be a multiple of. */
static size_t block_of(const kern_info *k)
{
    static const size_t act_block[LS_N_ACTS] = {1, 1, 1, 32, 32, 256, 128, 1};
    if (k->kind == KIND_MATMUL || k->kind == KIND_STRIPS) return ls_dtype_block(k->type);
    if (k->kind == KIND_ACT || k->kind == KIND_SUMS) return act_block[k->type];
    return k->kind == KIND_ROPE ? 2 : 1;
}

/* Kernels whose outputs have rows and columns. */
static bool has_shapes(kern_kind kind)
{
    return kind == KIND_MATMUL || kind == KIND_STRIPS || kind == KIND_CHAINS || kind == KIND_MIX;
}

static void sweep_lengths(kern_case c, const ls_kernels *scalar, const ls_kernels *k)
{
    static const size_t primes[] = {131, 257, 521, 1031, 2053};
    const kern_info    *info = kern_info_of(c.kernel);
    size_t              block = block_of(info), top = block <= 2 ? 130 / block : 9;
    bool                shapes = has_shapes(info->kind);
    for (size_t i = 0; i <= top + 5; i++) {
        c.n = block * (i <= top ? i : block <= 2 ? primes[i - top - 1] : 3 * (i - top) + 8);
        c.rows = info->kind == KIND_CHAINS ? 1 + i % 4 : shapes ? 5 + i % 5 : 1;
        c.cols = shapes ? 1 + i % 5 : 1;
        if ((info->kind == KIND_ACT || info->kind == KIND_SUMS) && c.n == 0) continue;
        for (int p = 0; p < N_PATTERNS; p++) {
            c.pattern = (kern_pattern)p;
            for (c.place = 0; c.place < N_PLACES; c.place++) sweep_case(&c, scalar, k);
        }
    }
}

/* Lookups add in 16 bits, as long as the largest sums let them: rows beyond that. */
static void sweep_lookups(kern_case c, const ls_kernels *scalar, const ls_kernels *k)
{
    c.n = 12700;
    for (c.pattern = PAT_HUGE; c.pattern <= PAT_MAX; c.pattern++) kern_check(&c, scalar, k, false);
}

static void sweep_shapes(kern_case c, const ls_kernels *scalar, const ls_kernels *k)
{
    static const size_t large[][2] = {{97, 1}, {33, 5}, {16, 16}, {40, 11}, {1, 33}, {20, 101}};
    size_t              block = block_of(kern_info_of(c.kernel));
    for (size_t i = 0; i < 81 + sizeof(large) / sizeof(large[0]); i++) {
        c.n = block == 1 ? (i < 81 ? 83 : 523) : block * 3;
        c.rows = i < 81 ? 1 + i / 9 : large[i - 81][0];
        c.cols = i < 81 ? 1 + i % 9 : large[i - 81][1];
        for (c.place = 0; c.place < N_PLACES; c.place++) {
            c.pattern = PAT_RANDOM;
            sweep_case(&c, scalar, k);
            c.pattern = c.place == 0 ? PAT_MAX : c.place == 1 ? PAT_OUTLIER : PAT_NONFINITE;
            sweep_case(&c, scalar, k);
        }
    }
}

static bool inherits(int kernel, const ls_kernels *scalar, const ls_kernels *k)
{
    size_t at = kern_info_of(kernel)->offset;
    return !memcmp((const uint8_t *)scalar + at, (const uint8_t *)k + at, sizeof(void (*)(void)));
}

/* Rows of floats have an order without lanes, too; strips the reference's, as 16, and the own one.
 */
static int least_lanes(int kernel)
{
    const kern_info *k = kern_info_of(kernel);
    if (kernel == KERN_matmul_bf16_pairs) return 8;
    bool floats = k->type == LS_DTYPE_F32 || k->type == LS_DTYPE_F16 || k->type == LS_DTYPE_BF16;
    if (k->kind == KIND_STRIPS) return ls_strips_follow(k->type) ? 8 : 16;
    return !k->lanes ? 16 : k->kind == KIND_MATMUL && floats ? 0 : 8;
}

static void sweep(int kernel, uint64_t seed, const ls_kernels *scalar, const ls_kernels *k)
{
    kern_case c = {.kernel = kernel, .seed = seed, .rows = 1, .cols = 1};
    for (c.lanes = 16; c.lanes >= least_lanes(kernel); c.lanes -= 8) {
        sweep_lengths(c, scalar, k);
        if (has_shapes(kern_info_of(kernel)->kind)) sweep_shapes(c, scalar, k);
        if (kernel == KERN_strips_tl1 || kernel == KERN_strips_tl2) sweep_lookups(c, scalar, k);
    }
}

static void check_kernel(int kernel, uint64_t seed, const ls_kernels *k)
{
    ls_kernels scalar = ls_kernels_for(LS_TIER_SCALAR);
    size_t     before = total.compared, failed = total.failed;
    if (inherits(kernel, &scalar, k)) {
        printf("%-14s %-17s inherits\n", kern_info_of(kernel)->name, tier_now);
        total.inherited++;
        return;
    }
    sweep(kernel, seed, &scalar, k);
    total.kernels++;
    printf("%-14s %-17s %s (%zu cases)\n", kern_info_of(kernel)->name, tier_now,
           total.failed == failed ? "passed" : "FAILED", total.compared - before);
}

/* The support matrix. The table of a tier that cannot run here cannot be asked either: the code
 * that fills it is compiled with the tier's instructions. */
static int list(void)
{
    ls_kernels scalar = ls_kernels_for(LS_TIER_SCALAR);
    printf("%-14s", "kernel");
    for (int t = LS_TIER_SCALAR; t < LS_N_TIERS; t++) printf(" %-9s", ls_tier_name((ls_tier)t));
    printf("\n");
    for (int i = 0; i < N_KERNELS; i++) {
        printf("%-14s %-9s", kern_info_of(i)->name, "own");
        for (int t = LS_TIER_AVX2; t < LS_N_TIERS; t++) {
            const char *what = "not here";
            if (kern_available((ls_tier)t)) {
                ls_kernels k = kern_table((ls_tier)t);
                what = inherits(i, &scalar, &k) ? "inherits" : "own";
            }
            printf(" %-9s", what);
        }
        printf("\n");
    }
    return 0;
}

typedef struct options {
    kern_case c;
    bool      single, list, bench, self_test, hashes, wrong, help;
    ls_tier   tier; /* LS_TIER_AUTO: every available one */
} options;

static int find_name(const char *name, bool pattern)
{
    for (int i = 0; i < (pattern ? N_PATTERNS : N_KERNELS); i++) {
        if (!strcmp(name, pattern ? kern_pattern_names[i] : kern_info_of(i)->name)) return i;
    }
    return -1;
}

static bool parse(options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"kernel", 1, 0, 'k'}, {"tier", 1, 0, 't'},  {"pattern", 1, 0, 'p'},
        {"seed", 1, 0, 's'},   {"n", 1, 0, 'n'},     {"rows", 1, 0, 'r'},
        {"cols", 1, 0, 'c'},   {"place", 1, 0, 'a'}, {"list", 0, 0, 'l'},
        {"bench", 0, 0, 'b'},  {"help", 0, 0, 'h'},  {"self-test", 0, 0, 'x'},
        {"lanes", 1, 0, 'w'},  {"every", 1, 0, 'e'}, {"hashes", 0, 0, 'H'},
        {"wrong", 0, 0, 'W'},  {0, 0, 0, 0},
    };
    int pattern = PAT_RANDOM;
    *o = (options){.c = {.kernel = N_KERNELS, .seed = 1, .rows = 1, .cols = 1, .lanes = 16}};
    for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (opt) {
        case 'k':
            o->c.kernel = find_name(optarg, false);
            break;
        case 't':
            if (!ls_tier_parse(optarg, &o->tier)) return false;
            break;
        case 'p':
            pattern = find_name(optarg, true);
            break;
        case 's':
            o->c.seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            o->c.n = strtoull(optarg, NULL, 10);
            o->single = true;
            break;
        case 'r':
            o->c.rows = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            o->c.cols = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            o->c.place = atoi(optarg);
            break;
        case 'w':
            o->c.lanes = atoi(optarg);
            break;
        case 'e':
            every = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            o->list = true;
            break;
        case 'b':
            o->bench = true;
            break;
        case 'h':
            o->help = true;
            break;
        case 'H':
            o->hashes = true;
            break;
        case 'W':
            o->wrong = true;
            break;
        case 'x':
            o->self_test = true;
            break;
        default:
            return false;
        }
    }
    o->c.pattern = (kern_pattern)pattern;
    return optind == argc && pattern >= 0 && every > 0 &&
           (o->c.lanes == 0 || o->c.lanes == 8 || o->c.lanes == 16) && o->c.kernel >= 0 &&
           (!o->single || o->c.kernel < N_KERNELS);
}

static void check_tier(const options *o, ls_tier tier)
{
    ls_kernels k = kern_table(tier), scalar = ls_kernels_for(LS_TIER_SCALAR);
    tier_now = kern_tier_name(tier);
    if (o->single) {
        kern_check(&o->c, &scalar, &k, false);
        return;
    }
    for (int i = 0; i < N_KERNELS; i++) {
        if (o->c.kernel == N_KERNELS || o->c.kernel == i) check_kernel(i, o->c.seed, &k);
    }
}

/* Each kernel's cases are counted anew, so that one of them alone has the same hash. */
static int print_hashes(const options *o)
{
    ls_tier    tier = o->tier ? o->tier : LS_TIER_SCALAR;
    ls_kernels scalar = ls_kernels_for(LS_TIER_SCALAR), k;
    if (!kern_available(tier)) {
        printf("%s: SKIP: this machine cannot run tier %s\n", kern_program, ls_tier_name(tier));
        return 77;
    }
    k = kern_table(tier);
    if (o->wrong) kern_put_wrong(&k);
    for (int i = 0; i < N_KERNELS; i++) {
        uint64_t h = 0;
        if (o->c.kernel != N_KERNELS && o->c.kernel != i) continue;
        hash = &h;
        turn = total.compared = 0;
        sweep(i, o->c.seed, &scalar, &k);
        printf("%s %zu cases %016" PRIx64 "\n", kern_info_of(i)->name, total.compared, h);
    }
    return 0;
}

static void usage(FILE *f)
{
    fputs("usage: checkkern [--kernel NAME] [--tier T] [--seed N] [--every N] [--list | "
          "--bench | --self-test | --hashes [--wrong] | --help] [--n N --pattern P --rows R --cols "
          "C --place 0|1|2 "
          "--lanes "
          "0|8|16]\n",
          f);
}

int main(int argc, char **argv)
{
    options o;
    int     tiers = 0;
    if (!parse(&o, argc, argv)) {
        usage(stderr);
        return 2;
    }
    if (o.help) {
        usage(stdout);
        kern_bench_columns();
        return 0;
    }
    if (o.list) return list();
    for (int i = 0; i < N_KERNELS; i++) {
        if (kern_info_of(i)->kind != KIND_NONE) continue;
        fprintf(stderr, "checkkern: %s has no test\n", kern_info_of(i)->name);
        return 1;
    }
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    if (o.self_test) return kern_self_test();
    if (o.hashes) return print_hashes(&o);
    if (o.bench) return kern_bench(o.c.kernel, o.tier);
    for (int t = LS_TIER_AVX2; t < LS_N_TIERS; t++) {
        if (!kern_available((ls_tier)t) || (o.tier && o.tier != (ls_tier)t)) continue;
        check_tier(&o, (ls_tier)t);
        tiers++;
    }
    if (o.tier > LS_TIER_SCALAR && !tiers) {
        printf("%s: SKIP: this machine cannot run tier %s\n", kern_program, ls_tier_name(o.tier));
        return 77;
    }
    printf("checkkern: seed %" PRIu64
           ", %d tiers beside scalar, %zu kernels compared in %zu cases, "
           "%zu inherited, %zu cases failed\n",
           o.c.seed, tiers, total.kernels, total.compared, total.inherited, total.failed);
    return total.failed ? 1 : 0;
}
