// SPDX-License-Identifier: MIT
/* test_pool.c - every item exactly once, whatever the threads do. Also run under TSan. */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"

#define MAX_ITEMS 5000

typedef struct tally {
    _Atomic int count[MAX_ITEMS];
    size_t      grain, n;
    int         n_threads;
    _Atomic int bad;       /* a chunk or thread index outside its bounds */
    long        plain[64]; /* unsynchronised, one per thread: TSan would see sharing */
    double      result[MAX_ITEMS];
} tally;

static void count_items(void *ctx, size_t begin, size_t end, int thread)
{
    tally *t = ctx;
    if (begin >= end || end > t->n || end - begin > t->grain || begin % t->grain != 0 ||
        thread < 0 || thread >= t->n_threads) {
        atomic_fetch_add(&t->bad, 1);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add_explicit(&t->count[i], 1, memory_order_relaxed);
        t->result[i] = (double)i * 0.5;
        t->plain[thread]++;
    }
}

static void run_and_check(ls_pool *p, tally *t, size_t n, size_t grain)
{
    long total = 0;
    memset(t, 0, sizeof(*t));
    t->n = n;
    t->grain = grain;
    t->n_threads = ls_pool_n_threads(p);
    ls_pool_run(p, count_items, t, n, grain);
    assert_int_equal(atomic_load(&t->bad), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(atomic_load(&t->count[i]), 1);
        assert_true(t->result[i] == (double)i * 0.5); /* visible without further locks */
    }
    for (int i = 0; i < t->n_threads; i++) total += t->plain[i];
    assert_int_equal(total, n);
}

/* With threads that all wait for each other nobody takes what is another's to begin with. */
typedef struct beginning {
    atomic_int n_here;
    int        n_threads;
    size_t     item[16];
} beginning;

static void note_first(void *ctx, size_t begin, size_t end, int thread)
{
    beginning *b = ctx;
    (void)end;
    b->item[thread] = begin;
    atomic_fetch_add(&b->n_here, 1);
    while (atomic_load(&b->n_here) < b->n_threads) sched_yield();
}

static void threads_begin_where_they_are_said_to(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 9; threads += 2) {
        ls_pool *p = NULL;
        assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
        beginning b = {.n_threads = threads};
        ls_pool_run(p, note_first, &b, (size_t)threads, 1);
        for (int i = 0; i < threads; i++)
            assert_int_equal(b.item[i], ls_pool_first(p, (size_t)threads, i));
        for (size_t n = 0; n < 40; n++) {
            assert_int_equal(ls_pool_first(p, n, 0), 0);
            assert_int_equal(ls_pool_first(p, n, threads), n);
        }
        ls_pool_destroy(p);
    }
}

static void hands_out_every_item_exactly_once(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 7, 64, 999, MAX_ITEMS};
    static const size_t grains[] = {1, 3, 64, 10000};
    tally              *t = malloc(sizeof(*t));
    (void)state;
    assert_non_null(t);
    for (int threads = 1; threads <= 9; threads += threads < 4 ? 1 : 5) {
        ls_pool *p = NULL;
        assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
        assert_int_equal(ls_pool_n_threads(p), threads);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            for (size_t k = 0; k < sizeof(grains) / sizeof(grains[0]); k++) {
                run_and_check(p, t, sizes[i], grains[k]);
            }
        }
        ls_pool_destroy(p);
    }
    free(t);
}

static void runs_thousands_of_loops_one_after_another(void **state)
{
    tally *t = malloc(sizeof(*t));
    (void)state;
    assert_non_null(t);
    for (int threads = 2; threads <= 5; threads += 3) {
        ls_pool *p = NULL;
        assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
        for (size_t i = 0; i < 3000; i++) run_and_check(p, t, 2 + i % 13, 1 + i % 3);
        ls_pool_destroy(p);
    }
    free(t);
}

static void wakes_workers_that_fell_asleep(void **state)
{
    const struct timespec pause = {.tv_nsec = 3000000};
    tally                *t = malloc(sizeof(*t));
    ls_pool              *p = NULL;
    (void)state;
    assert_non_null(t);
    assert_int_equal(ls_pool_create(&p, 3, NULL), LS_OK);
    for (int i = 0; i < 20; i++) {
        nanosleep(&pause, NULL);
        run_and_check(p, t, 100, 1);
    }
    nanosleep(&pause, NULL);
    ls_pool_destroy(p);
    free(t);
}

typedef struct meeting {
    _Atomic int arrived;
    _Atomic int met;
} meeting;

/* Each item waits (a while) for the other: both are only met if two threads work at once. */
static void meet(void *ctx, size_t begin, size_t end, int thread)
{
    meeting              *m = ctx;
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)begin, (void)end, (void)thread;
    atomic_fetch_add(&m->arrived, 1);
    for (int i = 0; i < 5000 && atomic_load(&m->arrived) < 2; i++) nanosleep(&pause, NULL);
    if (atomic_load(&m->arrived) == 2) atomic_fetch_add(&m->met, 1);
}

static void really_works_in_parallel(void **state)
{
    meeting  m = {0};
    ls_pool *p = NULL;
    (void)state;
    assert_int_equal(ls_pool_create(&p, 2, NULL), LS_OK);
    ls_pool_run(p, meet, &m, 2, 1);
    ls_pool_destroy(p);
    assert_int_equal(atomic_load(&m.met), 2);
}

/* ---- waiting costs little, whoever has the processor ----
 *
 * Bounds are in processor time: on a busy machine the wall clock says nothing. Who waits by
 * spinning alone spins until the scheduler takes its processor away, some milliseconds; a pool that
 * sleeps after a while takes a tenth of a millisecond for the same wait. */

static double cpu_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL);
}

static void threads_without_work_sleep(void **state)
{
    tally   *t = malloc(sizeof(*t));
    ls_pool *p = NULL;
    double   before;
    (void)state;
    assert_non_null(t);
    for (int threads = 2; threads <= 4; threads++) {
        assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
        run_and_check(p, t, 100, 1);
        before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
        nap(200);
        assert_true(cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - before < 0.05);
        ls_pool_destroy(p);
    }
    free(t);
}

/* Two items, held by two threads; the worker's takes long and needs no processor. */
static void keep_the_caller_waiting(void *ctx, size_t begin, size_t end, int thread)
{
    meet(ctx, begin, end, thread);
    if (thread != 0) nap(200);
}

static void a_caller_that_waits_for_long_sleeps(void **state)
{
    ls_pool *p = NULL;
    (void)state;
    for (int threads = 2; threads <= 4; threads++) {
        meeting m = {0};
        double  before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
        assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
        ls_pool_run(p, keep_the_caller_waiting, &m, 2, 1);
        assert_int_equal(atomic_load(&m.met), 2);
        assert_true(cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - before < 0.05);
        ls_pool_destroy(p);
    }
}

/* All threads that this program has. */
static void all_threads_on(const cpu_set_t *cpus)
{
    DIR           *d = opendir("/proc/self/task");
    struct dirent *e;
    assert_non_null(d);
    while ((e = readdir(d))) {
        int id = atoi(e->d_name);
        if (id > 0) sched_setaffinity(id, sizeof(*cpus), cpus);
    }
    closedir(d);
}

/* An item during which the thread loses its processor: the worst moment, since others wait. */
static void lose_the_processor(void *ctx, size_t begin, size_t end, int thread)
{
    (void)begin, (void)end, (void)thread;
    sched_yield();
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void *never_wait(void *stop)
{
    while (!atomic_load((_Atomic int *)stop)) continue;
    return NULL;
}

/* Loops of a pool that was made for several processors and has been left with one, alone or with a
 * thread that never waits. */
static void run_on_one_processor(int threads, int loops, bool company)
{
    cpu_set_t    all, one;
    pthread_t    other;
    ls_pool     *p = NULL;
    _Atomic int  done = 0, stop = 0;
    double       caller, total;
    const double each = 0.001; /* at most, on average; 0.01 to 0.1 ms are usual */
    int          n = 0;

    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    assert_int_equal(ls_pool_create(&p, threads, NULL), LS_OK);
    if (company) assert_int_equal(pthread_create(&other, NULL, never_wait, &stop), 0);
    all_threads_on(&one);
    caller = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    total = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (n < loops) { /* not to the end, where it takes for ever */
        for (int i = 0; i < 50; i++, n++) ls_pool_run(p, lose_the_processor, &done, 4, 1);
        if (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - caller > each * n) break;
    }
    caller = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - caller;
    total = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - total;
    atomic_store(&stop, 1);
    if (company) pthread_join(other, NULL);
    all_threads_on(&all);
    ls_pool_destroy(p);
    print_message("%d threads on one processor%s: %.3f ms a loop, %.3f of them the caller's\n",
                  threads, company ? " and another" : "", 1e3 * total / n, 1e3 * caller / n);
    assert_int_equal(atomic_load(&done), 4 * n);
    assert_true(caller <= each * n);
    assert_true(company || total <= each * n * threads);
}

static void survives_the_loss_of_processors(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 4; threads++) run_on_one_processor(threads, 5000, false);
}

static void survives_company_on_its_last_processor(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 4; threads++) run_on_one_processor(threads, 50, true);
}

static void refuses_a_pool_without_threads(void **state)
{
    ls_pool *p = NULL;
    ls_error err = {0};
    (void)state;
    assert_int_equal(ls_pool_create(&p, 0, &err), LS_ERR_USAGE);
    assert_null(p);
    assert_string_equal(err.what, "0 threads asked for, at least 1 is needed");
    ls_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_every_item_exactly_once),
        cmocka_unit_test(threads_begin_where_they_are_said_to),
        cmocka_unit_test(runs_thousands_of_loops_one_after_another),
        cmocka_unit_test(wakes_workers_that_fell_asleep),
        cmocka_unit_test(really_works_in_parallel),
        cmocka_unit_test(threads_without_work_sleep),
        cmocka_unit_test(a_caller_that_waits_for_long_sleeps),
        cmocka_unit_test(survives_the_loss_of_processors),
        cmocka_unit_test(survives_company_on_its_last_processor),
        cmocka_unit_test(refuses_a_pool_without_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
