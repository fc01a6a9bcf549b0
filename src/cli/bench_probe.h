// SPDX-License-Identifier: MIT
/* bench_probe.h - an engine in a process of its own: how long it takes to its first token, and how much
 * memory it has in use. */
#ifndef LS_CLI_BENCH_PROBE_H
#define LS_CLI_BENCH_PROBE_H

#include "lockstep/bench.h"

typedef struct bench_probe {
    uint64_t first_ns;   /* opening and the logits of one token, without starting the process */
    uint64_t peak_bytes; /* after `n_prompt` tokens and one more; 0: not known               */
} bench_probe;

/* The native engine (exe NULL) in a fork of this process, which must have one thread; a reference in
 * its own. Errors: as opening and evaluating; IO. */
ls_status bench_probe_run(bench_probe *out, const ls_engine_options *opt, const char *exe,
                          int32_t n_prompt, ls_error *err);

#endif
