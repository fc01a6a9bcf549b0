// SPDX-License-Identifier: MIT
/* pool.h - a fixed set of threads that share one loop at a time. */
#ifndef LS_BASE_POOL_H
#define LS_BASE_POOL_H

#include <stddef.h>

#include "lockstep/error.h"

typedef struct ls_pool ls_pool;

/* Work on items [begin, end). `thread` is 0 to n_threads - 1: an index for scratch memory. */
typedef void ls_pool_fn(void *ctx, size_t begin, size_t end, int thread);

/* n_threads >= 1, the caller counts as one. Errors: NOMEM, IO (thread creation). */
ls_status ls_pool_create(ls_pool **out, int n_threads, ls_error *err);
void      ls_pool_destroy(ls_pool *p); /* NULL is allowed */
int       ls_pool_n_threads(const ls_pool *p);
int       ls_pool_processors(void); /* that this program may use; at least 1 */

/* Run fn over [0, n) in chunks of `grain` items, handed out dynamically, and return when all
 * are done. Which thread gets which chunk is not determined: results must not depend on it.
 * Called from one thread at a time, never from inside fn. Allocates nothing. */
void ls_pool_run(ls_pool *p, ls_pool_fn *fn, void *ctx, size_t n, size_t grain);

/* The chunk of n that a thread begins with: those before it are dealt to the threads before it. Of
 * thread n_threads: n. */
size_t ls_pool_first(const ls_pool *p, size_t n, int thread);

#endif
