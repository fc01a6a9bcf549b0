// SPDX-License-Identifier: MIT
/* machine.c - what this machine is, and what it can do at most: bytes out of memory and products,
 * with as many threads as an engine has.
 *
 * Limits are the best of several passes. Memory is read out of huge pages where the system gives
 * them, because that is how it goes fastest.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/pool.h"
#include "bench/peaks.h"
#include "lockstep/bench.h"

#define HUGE_PAGE      ((size_t)2 << 20)
#define DEFAULT_BUFFER ((size_t)512 << 20)
#define DEFAULT_TIME   0.2 /* seconds */
enum { MIN_PASSES = 3, PEAK_CHUNKS = 16, MAX_THREADS = 256 };

static int n_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return CPU_COUNT(&set);
}

/* The value behind the colon of the first line "key : value" of a file. */
static void find_line(char *out, size_t cap, const char *path, const char *key)
{
    char  line[512];
    FILE *f = fopen(path, "re");
    out[0] = '\0';
    while (f && !out[0] && fgets(line, sizeof(line), f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !value) continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(out, cap, "%.*s", (int)strcspn(value, "\n"), value);
    }
    if (f) fclose(f);
}

void ls_machine_describe(ls_machine *out)
{
    *out = (ls_machine){.tier = ls_tier_best(), .n_cpus = n_cpus()};
    find_line(out->cpu, sizeof(out->cpu), "/proc/cpuinfo", "model name");
    ls_cpu_features(out->features, sizeof(out->features));
}

/* ---- reading ---- */

typedef struct work {
    uint8_t         *buffer;
    ls_read_fn      *read;
    ls_peak_fn      *peak;
    size_t           turns; /* of a chunk */
    _Atomic uint64_t kept;  /* what the loops return */
} work;

static void touch(void *ctx, size_t begin, size_t end, int thread)
{
    work *w = ctx;
    (void)thread;
    memset(w->buffer + begin * HUGE_PAGE, 1, (end - begin) * HUGE_PAGE);
}

static void read_pages(void *ctx, size_t begin, size_t end, int thread)
{
    work *w = ctx;
    (void)thread;
    w->kept ^= w->read(w->buffer + begin * HUGE_PAGE, (end - begin) * HUGE_PAGE);
}

static bool most_are_huge(size_t bytes)
{
    char               line[128];
    unsigned long long kib = 0;
    find_line(line, sizeof(line), "/proc/self/smaps_rollup", "AnonHugePages");
    return sscanf(line, "%llu", &kib) == 1 && kib << 10 > bytes / 2;
}

static ls_status measure_reading(ls_limits *out, ls_pool *pool, size_t bytes, double seconds,
                                 ls_error *err)
{
    size_t   n = (bytes + HUGE_PAGE - 1) / HUGE_PAGE, whole = (n + 1) * HUGE_PAGE;
    uint8_t *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    work     w = {.read = ls_read_loop()};
    uint64_t begin = ls_now_ns();
    if (map == MAP_FAILED) return ls_fail_errno(err, errno, "no %zu MiB to read", whole >> 20);
    madvise(map, whole, MADV_HUGEPAGE); /* a wish: without, the limit is that of small pages */
    w.buffer = map + (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;
    ls_pool_run(pool, touch, &w, n, 1);
    out->huge_pages = most_are_huge(bytes);
    begin = ls_now_ns();
    for (int pass = 0; pass < MIN_PASSES || (double)(ls_now_ns() - begin) < seconds * 1e9; pass++) {
        uint64_t start = ls_now_ns(), ns;
        double   rate;
        ls_pool_run(pool, read_pages, &w, n, 1);
        ns = ls_now_ns() - start;
        rate = ns ? (double)(n * HUGE_PAGE) * 1e9 / (double)ns : 0;
        if (rate > out->read_bytes) out->read_bytes = rate;
    }
    munmap(map, whole);
    return LS_OK;
}

/* ---- computing ---- */

static void turn(void *ctx, size_t begin, size_t end, int thread)
{
    work *w = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) w->kept ^= w->peak(w->turns);
}

static ls_peak measure_peak(ls_peak_kind kind, ls_pool *pool, double seconds)
{
    const ls_peak_loop *loop = ls_peak_loops;
    size_t              chunks = (size_t)ls_pool_n_threads(pool) * PEAK_CHUNKS;
    ls_peak             best = {0, ""};
    work                w = {.turns = 1000};
    uint64_t            begin;
    while (loop->how && (loop->kind != kind || !loop->available())) loop++;
    if (!loop->how) return best;
    w.peak = loop->run;
    best.how = loop->how;
    begin = ls_now_ns();
    for (int pass = 0; pass < MIN_PASSES || (double)(ls_now_ns() - begin) < seconds * 1e9; pass++) {
        uint64_t start = ls_now_ns(), ns;
        double   rate;
        ls_pool_run(pool, turn, &w, chunks, 1);
        ns = ls_now_ns() - start;
        rate = ns ? loop->ops * (double)w.turns * (double)chunks * 1e9 / (double)ns : 0;
        if (rate > best.per_second) best.per_second = rate;
        if ((double)ns < seconds * 1e9 / 10) w.turns *= 2; /* chunks much longer than a hand-over */
    }
    return best;
}

ls_status ls_limits_measure(ls_limits *out, const ls_limits_options *opt, ls_error *err)
{
    ls_limits_options o = opt ? *opt : (ls_limits_options){0};
    ls_pool          *pool;
    ls_status         status;
    if (o.n_threads < 0 || o.n_threads > MAX_THREADS) {
        return ls_fail(err, LS_ERR_USAGE, "%d threads: 1 to %d are possible", o.n_threads,
                       MAX_THREADS);
    }
    if (o.n_threads == 0) o.n_threads = n_cpus();
    if (o.buffer_bytes == 0) o.buffer_bytes = DEFAULT_BUFFER;
    if (!(o.seconds > 0)) o.seconds = DEFAULT_TIME;
    *out = (ls_limits){.n_threads = o.n_threads};
    LS_TRY(ls_pool_create(&pool, o.n_threads, err));
    status = measure_reading(out, pool, o.buffer_bytes, o.seconds, err);
    if (status == LS_OK && !o.only_read) {
        out->int8 = measure_peak(LS_PEAK_INT8, pool, o.seconds);
        out->fp32 = measure_peak(LS_PEAK_FP32, pool, o.seconds);
        out->bf16 = measure_peak(LS_PEAK_BF16, pool, o.seconds);
    }
    ls_pool_destroy(pool);
    return status;
}

const ls_peak *ls_limits_for(const ls_limits *l, int dtype)
{
    if (dtype == LS_DTYPE_BF16 && l->bf16.per_second > 0) return &l->bf16;
    if (dtype == LS_DTYPE_F32 || dtype == LS_DTYPE_F16 || dtype == LS_DTYPE_BF16) return &l->fp32;
    return &l->int8;
}
