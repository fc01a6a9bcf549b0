// SPDX-License-Identifier: MIT
/* pool.c - threads made once that share one loop at a time.
 *
 * The chunks of a loop are dealt in runs, one to each thread: neighbours go to one thread, which
 * reads memory in one stream and, loop after loop, the same part of it. Who has finished his own
 * run takes chunks of the others'.
 *
 * A loop is "open" between its publication and the moment the caller finds no chunk left. A worker
 * joins an open loop, takes chunks until there are none, and leaves. The caller waits for those
 * that joined, never for one that is still asleep: with more threads than free processors, a loop
 * costs no more than its work.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

/* Turns of a waiting loop before a thread sleeps: some tens of microseconds, longer than the gap
 * between two loops of one token and far shorter than anything a person waits for. */
#define SPIN_TURNS 2000

/* `state`: the number of the loop, whether it is open, and how many workers are inside. */
#define ACTIVE_MASK UINT64_C(0x7fffffff)
#define OPEN_BIT    UINT64_C(0x80000000)
#define LOOP_SHIFT  32

typedef struct worker {
    struct ls_pool *pool;
    pthread_t       thread;
    int             index;
} worker;

/* Chunks [next, end). */
typedef struct run {
    _Alignas(64) _Atomic size_t next;
    size_t end;
} run;

struct ls_pool {
    int     n_threads; /* with the caller */
    int     n_started; /* workers to join in destroy */
    int     spin;      /* turns before sleeping; 0 when there are more threads than processors */
    worker *workers;
    run    *runs; /* one of each thread */

    /* The open loop. Written while no worker is inside, read only by those who joined. */
    ls_pool_fn *fn;
    void       *ctx;
    size_t      n, grain, n_chunks;

    _Alignas(64) _Atomic uint64_t state;

    _Alignas(64) _Atomic int n_asleep; /* workers that wait on `work` */
    _Atomic int     caller_asleep;     /* the caller waits on `done`  */
    _Atomic bool    stop;
    pthread_mutex_t lock;
    pthread_cond_t  work, done;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_run(ls_pool *p, run *r, int thread)
{
    while (atomic_load_explicit(&r->next, memory_order_relaxed) < r->end) {
        size_t chunk = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
        if (chunk >= r->end) return;
        size_t begin = chunk * p->grain;
        size_t end = p->n - begin < p->grain ? p->n : begin + p->grain;
        p->fn(p->ctx, begin, end, thread);
    }
}

static void take_chunks(ls_pool *p, int thread)
{
    for (int i = 0; i < p->n_threads; i++)
        take_run(p, &p->runs[(thread + i) % p->n_threads], thread);
}

/* Runs whose sizes differ by one at most. */
size_t ls_pool_first(const ls_pool *p, size_t n, int thread)
{
    size_t threads = (size_t)p->n_threads, i = (size_t)thread, more = n % threads;
    return i * (n / threads) + (i < more ? i : more);
}

static void deal_chunks(ls_pool *p)
{
    for (int i = 0; i < p->n_threads; i++) {
        atomic_store_explicit(&p->runs[i].next, ls_pool_first(p, p->n_chunks, i),
                              memory_order_relaxed);
        p->runs[i].end = ls_pool_first(p, p->n_chunks, i + 1);
    }
}

/* Enter the open loop unless it is loop `last`, which this worker has finished with. */
static bool join_loop(ls_pool *p, uint64_t *last)
{
    uint64_t s = atomic_load(&p->state);
    while ((s & OPEN_BIT) && s >> LOOP_SHIFT != *last) {
        if (atomic_compare_exchange_weak(&p->state, &s, s + 1)) {
            *last = s >> LOOP_SHIFT;
            return true;
        }
    }
    return false;
}

static void leave_loop(ls_pool *p)
{
    uint64_t s = atomic_fetch_sub(&p->state, 1) - 1;
    if ((s & (OPEN_BIT | ACTIVE_MASK)) == 0 && atomic_load(&p->caller_asleep)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

/* Whether a worker has something to wake up for. */
static bool has_news(ls_pool *p, uint64_t last)
{
    uint64_t s = atomic_load(&p->state);
    return ((s & OPEN_BIT) && s >> LOOP_SHIFT != last) || atomic_load(&p->stop);
}

/* Wait for a loop other than `last`, or for the end of the pool. The order matters: a sleeper
 * counts itself before it looks at the state, and the caller changes the state before it looks at
 * the count (both sequentially consistent), so that one of the two sees the other. */
static void wait_for_news(ls_pool *p, uint64_t last)
{
    for (int i = 0; i < p->spin; i++) {
        if (has_news(p, last)) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->n_asleep, 1);
    while (!has_news(p, last)) pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->n_asleep, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    const worker *w = arg;
    ls_pool      *p = w->pool;
    uint64_t      last = 0;

    while (!atomic_load(&p->stop)) {
        if (join_loop(p, &last)) {
            take_chunks(p, w->index);
            leave_loop(p);
        } else {
            wait_for_news(p, last);
        }
    }
    return NULL;
}

static void wake_workers(ls_pool *p)
{
    if (atomic_load(&p->n_asleep) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static bool all_left(ls_pool *p) { return (atomic_load(&p->state) & ACTIVE_MASK) == 0; }

static void wait_until_all_left(ls_pool *p)
{
    for (int i = 0; i < p->spin; i++) {
        if (all_left(p)) return;
        relax();
    }
    if (all_left(p)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_asleep, 1);
    while (!all_left(p)) pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_asleep, 0);
    pthread_mutex_unlock(&p->lock);
}

void ls_pool_run(ls_pool *p, ls_pool_fn *fn, void *ctx, size_t n, size_t grain)
{
    if (n == 0) return;
    if (grain == 0) grain = 1;
    p->fn = fn;
    p->ctx = ctx;
    p->n = n;
    p->grain = grain;
    p->n_chunks = n / grain + (n % grain != 0);
    deal_chunks(p);
    if (p->n_threads == 1 || p->n_chunks == 1) {
        take_chunks(p, 0);
        return;
    }
    uint64_t loop = (atomic_load(&p->state) >> LOOP_SHIFT) + 1;
    if (loop > UINT32_MAX) loop = 1; /* 0 is the number that new workers have "finished" */
    atomic_store(&p->state, loop << LOOP_SHIFT | OPEN_BIT);
    wake_workers(p);
    take_chunks(p, 0);
    atomic_fetch_and(&p->state, ~OPEN_BIT);
    wait_until_all_left(p);
}

int ls_pool_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return CPU_COUNT(&set);
}

/* Workers block every signal: an interrupt is for the program's own threads. */
static ls_status start_workers(ls_pool *p, ls_error *err)
{
    sigset_t all, before;
    int      rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && p->n_started < p->n_threads - 1) {
        worker *w = &p->workers[p->n_started];
        w->pool = p;
        w->index = p->n_started + 1;
        rc = pthread_create(&w->thread, NULL, worker_main, w);
        if (rc == 0) p->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) return LS_OK;
    return ls_fail_errno(err, rc, "cannot start thread %d of %d", p->n_started + 2, p->n_threads);
}

ls_status ls_pool_create(ls_pool **out, int n_threads, ls_error *err)
{
    ls_pool  *p;
    ls_status status;

    *out = NULL;
    if (n_threads < 1) {
        return ls_fail(err, LS_ERR_USAGE, "%d threads asked for, at least 1 is needed", n_threads);
    }
    LS_TRY(ls_alloc_aligned(&p, 1, sizeof(*p), "the thread pool", err));
    p->n_threads = n_threads;
    p->spin = n_threads <= ls_pool_processors() ? SPIN_TURNS : 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    status = ls_alloc(&p->workers, (size_t)n_threads, sizeof(*p->workers), "the thread pool", err);
    if (status == LS_OK)
        status =
            ls_alloc_aligned(&p->runs, (size_t)n_threads, sizeof(*p->runs), "the thread pool", err);
    if (status == LS_OK) status = start_workers(p, err);
    if (status != LS_OK) {
        ls_pool_destroy(p);
        return status;
    }
    *out = p;
    return LS_OK;
}

void ls_pool_destroy(ls_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    wake_workers(p);
    for (int i = 0; i < p->n_started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p->runs);
    free(p->workers);
    free(p);
}

int ls_pool_n_threads(const ls_pool *p) { return p->n_threads; }
