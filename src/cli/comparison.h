// SPDX-License-Identifier: MIT
/* comparison.h - what the commands that compare the native engine with a reference have in common: options,
 * the model with its text, where the reference is and what both are opened with. */
#ifndef LS_CLI_COMPARISON_H
#define LS_CLI_COMPARISON_H

#include "cli/input.h"
#include "cli/scratch.h"

enum { CLI_AGAINST_AUTO = -2, CLI_AGAINST_NATIVE = -1 }; /* else an ls_ref_kind */
enum { CLI_SUMS_REFERENCE, CLI_SUMS_OWN };
enum { CLI_SAME_KV = -1 };

typedef struct cli_comparison_opts {
    cli_input_opts  in;
    cli_engine_opts engine;
    cli_enums       against; /* the first is the reference */
    int             sums, reference_kv;
    int32_t         max_tokens;
    const char     *reference_model; /* NULL: the subject's */
    ls_budget       budget;
} cli_comparison_opts;

/* --against --reference-model --reference-kv-type --sums --max-tokens. */
extern const cli_option cli_comparison_table[];

/* The groups of options, for a struct that has the above as its member `at`; `engine` comes last in a
 * command's list. */
#define CLI_COMPARISON_AT(type, at, field) (offsetof(type, at) + offsetof(cli_comparison_opts, field))
#define CLI_COMPARISON_GROUPS(type, at)                                                            \
    CLI_INPUT_GROUPS(CLI_COMPARISON_AT(type, at, in)),                                             \
        {"Comparison", cli_comparison_table, offsetof(type, at)},                                  \
        {"Comparison", cli_budget_table, CLI_COMPARISON_AT(type, at, budget)}
#define CLI_COMPARISON_ENGINE(type, at)                                                            \
    {"Engine", cli_engine_table, CLI_COMPARISON_AT(type, at, engine)}
/* Defaults: this, and cli_comparison_init as the command's `init`, where its struct begins with a
 * cli_comparison_opts. */
#define CLI_COMPARISON_DEFAULTS                                                                    \
    .in = CLI_INPUT_DEFAULTS, .engine = CLI_ENGINE_DEFAULTS, .reference_kv = CLI_SAME_KV,     \
    .max_tokens = 4
void cli_comparison_init(void *opts);

typedef struct cli_comparison {
    cli_context         *ctx;
    cli_comparison_opts *o;
    bool                 votes; /* --against may be given several times */
    cli_input            in;
    ls_faults            faults;
    size_t               n_prompt, n_positions; /* tokens, as either side may see them; with the decoded ones */
    int                  against;               /* the reference that is asked for        */
    ls_engine_options    subject, reference;    /* what they are opened with              */
    ls_ref_status        found;                 /* the reference, unless it is native     */
    const char          *why;                   /* that one                               */
    cli_scratch          scratch;               /* what it reads in a folder's stead      */
} cli_comparison;

/* Options, cheapest first; reads the prompt. Errors: USAGE, IO, UNSUPPORTED (an instruction set). */
ls_status cli_comparison_check(cli_comparison *c, ls_error *err);
/* The model, its tokenizer, the prompt in its template, room for all positions. Errors: as
 * cli_input_open. */
ls_status cli_comparison_open(cli_comparison *c, ls_error *err);
/* The reference: the one asked for, or the one that the model's path suggests, or another that is there; and
 * what it is opened with. A folder becomes a scratch file. Errors: REFERENCE (with the command that fixes
 * it), as ls_gguf_open (--reference-model), IO. */
ls_status cli_comparison_find(cli_comparison *c, ls_error *err);
/* Ourselves on another instruction set: scalar, unless the subject runs that. Without faults. */
ls_engine_options cli_comparison_other_native(const cli_comparison *c);
/* The host of the reference; NULL: it is native. */
const char *cli_comparison_exe(const cli_comparison *c);
/* Once the reference is open: the subject takes the width of its sums from it, and follows their order. */
void cli_comparison_follow(cli_comparison *c, const ls_engine_info *reference);
/* What ls_verify_per_token is to do; the caller adds progress. */
ls_per_token_options cli_comparison_per_token(const cli_comparison *c);
void                 cli_comparison_fini(cli_comparison *c); /* zeroed is allowed */

#endif
