// SPDX-License-Identifier: MIT
/* cmd_bench_machine.c - `lockstep bench machine`: what this machine can do at most. */
#include "cli/bench.h"

typedef struct machine_opts {
    int32_t threads; /* 0: one per core */
} machine_opts;

static void print_limits(const ls_limits *l)
{
    char int8[96], fp32[96], bf16[96];
    printf("%d thread%s\n", l->n_threads, l->n_threads == 1 ? "" : "s");
    printf("  read   %.1f GB/s (%s pages)\n", l->read_bytes / 1e9,
           l->huge_pages ? "huge" : "small");
    printf("  int8   %s\n", bench_peak_text(&l->int8, "GOP/s", int8, sizeof(int8)));
    printf("  fp32   %s\n", bench_peak_text(&l->fp32, "GFLOP/s", fp32, sizeof(fp32)));
    if (l->bf16.per_second > 0)
        printf("  bf16   %s\n", bench_peak_text(&l->bf16, "GFLOP/s", bf16, sizeof(bf16)));
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const machine_opts *o = opts;
    ls_machine          m;
    int32_t             threads[2] = {1, o->threads};
    json_t             *limits = ctx->json ? json_array() : NULL;
    ls_machine_describe(&m);
    if (!threads[1]) LS_TRY(cli_env_threads(ctx->env, &threads[1], err));
    if (!threads[1]) threads[1] = m.n_cpus;
    if (!ctx->json)
        printf("CPU    %s, %d CPU%s\nHas    %s; tier %s\n", m.cpu, m.n_cpus,
               m.n_cpus == 1 ? "" : "s", m.features, ls_tier_name(m.tier));
    for (int i = 0; i < (threads[1] > 1 ? 2 : 1); i++) {
        ls_limits_options opt = {.n_threads = threads[i]};
        ls_limits         l;
        ls_status         status = ls_limits_measure(&l, &opt, err);
        if (status != LS_OK) return json_decref(limits), status;
        if (ctx->json)
            json_array_append_new(limits, bench_limits_json(&l));
        else
            print_limits(&l);
    }
    if (!ctx->json) return LS_OK;
    return cli_json_print(
        json_pack("{s:o, s:o}", "machine", bench_machine_json(&m), "limits", limits), NULL, err);
}

static const cli_option table[] = {
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .off = offsetof(machine_opts, threads),
     .metavar = "N",
     .min = 1,
     .max = 256,
     .def = "one per core",
     .help = "Threads to measure with, beside one."},
    {0},
};
static const cli_group groups[] = {{"Machine", table, 0}, {0}};

const cli_command cli_cmd_bench_machine = {
    .noun = "bench",
    .verb = "machine",
    .summary = "Measure what this machine can do at most",
    .details = "The best of several passes: bytes read out of memory, in huge pages where the "
               "system gives them, products of bytes, and fused multiplications and additions of "
               "floats, with one thread and with all. A multiplication and an addition count as "
               "two operations.\n",
    .examples = "$ lockstep bench machine --json\n",
    .groups = groups,
    .opts_bytes = sizeof(machine_opts),
    .reports = true,
    .run = run,
};
