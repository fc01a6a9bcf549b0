// SPDX-License-Identifier: MIT
/* cli.h - the framework of the program: commands and options are rows of tables.
 *
 * A command is one row: names, help texts, option groups, a run function. Parsing, usage errors,
 * --help, the man page and shell completion all come from the rows. To add a command: write
 * cmd_NAME.c with its row, list it in commands.c, add a case under tests/cli.
 * The program sees the public headers of the library only.
 */
#ifndef LS_CLI_CLI_H
#define LS_CLI_CLI_H

#include <stdio.h>

#include "lockstep/lockstep.h"

/* ---- options ---- */

typedef enum cli_kind {
    CLI_FLAG,   /* bool:       true when given                                 */
    CLI_STRING, /* const char *                                                */
    CLI_INT,    /* int32_t     within [min, max]                               */
    CLI_U64,    /* uint64_t                                                    */
    CLI_DOUBLE, /* double      within [min, max]                               */
    CLI_ENUM,   /* int         one of `choices`                                */
    CLI_LIST,   /* cli_list:   may be given several times, at most CLI_MAX_LIST */
    CLI_ENUMS,  /* cli_enums:  the same, each one of `choices`                 */
} cli_kind;

typedef struct cli_choice {
    const char *name; /* NULL ends the list */
    int         value;
} cli_choice;

#define CLI_MAX_LIST 16
typedef struct cli_list {
    const char *at[CLI_MAX_LIST];
    size_t      n;
} cli_list;

typedef struct cli_enums {
    int    at[CLI_MAX_LIST];
    size_t n;
} cli_enums;

typedef struct cli_option {
    const char       *name;    /* long name without dashes; NULL ends a table               */
    char              letter;  /* short name; 0: none                                       */
    cli_kind          kind;
    size_t            off;     /* of the field, in the struct of this table                 */
    const char       *metavar; /* "FILE", "DIR" and "MODEL" complete to paths; NULL for flags */
    const char       *help;    /* one or two sentences; the default is appended from `def`  */
    const char       *def;     /* the default in words; NULL: none worth saying             */
    const cli_choice *choices; /* CLI_ENUM, CLI_ENUMS                                       */
    double            min, max;/* CLI_INT, CLI_DOUBLE; both 0: any value                    */
    const char       *aliases; /* other long names, separated by spaces                     */
    const char *(*suggest)(size_t i); /* CLI_STRING: values to complete, NULL past the end  */
} cli_option;

/* A table of options and where its struct lies within the command's struct. Tables are shared
 * between commands this way: {"Engine", cli_engine_table, offsetof(my_opts, engine)}. */
typedef struct cli_group {
    const char       *title;   /* heading in the help; NULL ends the list */
    const cli_option *options;
    size_t            off;
} cli_group;

/* ---- commands ---- */

typedef struct cli_env cli_env;
typedef struct cli_command cli_command;

#define CLI_MAX_GIVEN 64

typedef struct cli_context {
    const cli_command *command;
    const cli_env     *env;
    bool               quiet;
    bool               json;        /* --json; reporting commands only                       */
    int                json_errors; /* --errors=json or --json: errors on stderr are JSON;
                                       a command with a --format of its own may set it       */
    const char *const *words;       /* of the command line, after the command's name         */
    size_t             n_words;
    const char *const *args;        /* operands: what is neither an option nor its value     */
    size_t             n_args;
    int                exit_code;   /* set by the command: a verdict is not an error         */
    const cli_option  *given[CLI_MAX_GIVEN]; /* options on the command line                  */
    size_t             n_given;
} cli_context;

/* Do the work. `opts` is the command's own struct with defaults and command line applied.
 * LS_OK: the program exits with ctx->exit_code. Anything else: *err is printed and the program
 * exits with ls_exit_code(). */
typedef ls_status cli_run_fn(cli_context *ctx, void *opts, ls_error *err);

struct cli_command {
    const char       *noun;     /* "crossval"                                                */
    const char       *verb;     /* "per-token"; NULL when the noun is the whole command      */
    const char       *summary;  /* one line, no final period                                 */
    const char       *details;  /* paragraphs separated by blank lines; NULL: none. Wrapped by
                                   the help; lines that begin with a space are kept as they are */
    const char       *examples; /* lines "$ command", kept as they are; NULL: none           */
    const char       *operands; /* for the usage line: "[NAME]"; NULL: none are taken        */
    size_t            min_args, max_args;
    const char *const *operand_words; /* the operands allowed, NULL-terminated; NULL: any    */
    const cli_group  *groups;   /* ends with a NULL title; NULL: only the common options     */
    const void       *defaults; /* [opts_bytes], copied before parsing; NULL: zeros          */
    size_t            opts_bytes;
    void (*init)(void *opts);       /* what `defaults` cannot hold, being no constant; NULL: nothing */
    bool              reports;  /* takes --json                                              */
    cli_run_fn       *run;
};

/* Whether the option with this long name was on the command line. */
bool cli_given(const cli_context *ctx, const char *name);

/* The table of all commands, NULL-terminated, in the order of the help. */
extern const cli_command *const cli_commands[];

/* Defined in cmd_*.c, one row each. */
extern const cli_command cli_cmd_run, cli_cmd_crossval_per_token, cli_cmd_crossval_determinism,
    cli_cmd_crossval_shrink, cli_cmd_crossval_explain,
    cli_cmd_bench_run, cli_cmd_bench_compare, cli_cmd_bench_machine,
    cli_cmd_trace_record, cli_cmd_trace_diff, cli_cmd_trace_show, cli_cmd_engine_list, cli_cmd_engine_check, cli_cmd_engine_setup, cli_cmd_engine_path,
    cli_cmd_model_inspect, cli_cmd_model_verify, cli_cmd_model_convert,
    cli_cmd_model_quantize, cli_cmd_model_tokenize, cli_cmd_model_mini, cli_cmd_model_prepack,
    cli_cmd_completion, cli_cmd_env, cli_cmd_help, cli_cmd_version;

/* ---- what the user sees on standard error ---- */

/* Print an error (text or JSON, by ctx->json_errors) and return its exit code. */
int cli_print_error(const cli_context *ctx, const ls_error *err);
/* One line of information on stderr; nothing with --quiet. */
void cli_note(const cli_context *ctx, const char *fmt, ...) LS_PRINTF(2, 3);
/* Record a usage error (exit 64), with a hint to --help. */
ls_status cli_usage(const cli_context *ctx, ls_error *err, const char *fmt, ...) LS_PRINTF(3, 4);

/* A progress bar on a terminal's stderr; silent elsewhere and with --quiet. One at a time. It is
 * erased by cli_progress_end, and by cli_note and cli_print_error before they print. Call
 * cli_progress_erase before writing anything else to the terminal. */
typedef struct cli_progress {
    char     label[64];
    bool     on;
    uint64_t begin_ns, drawn_ns;
} cli_progress;
void cli_progress_begin(cli_progress *p, const cli_context *ctx, const char *label);
/* An ls_verify_progress_fn: pass the cli_progress as ctx. Redraws at most 20 times a second. */
void cli_progress_update(void *progress, size_t done, size_t total);
void cli_progress_end(cli_progress *p);
void cli_progress_erase(void);

/* From here on Ctrl-C sets the flag; a second Ctrl-C kills. Returns the flag, for polling and for
 * ls_per_token_options.cancelled. */
const volatile int *cli_catch_interrupt(void);
/* LS_ERR_CANCELLED (exit 130) once the flag is set, else LS_OK. */
ls_status cli_check_interrupt(ls_error *err);

/* ---- the environment, read in env.c alone ---- */

struct cli_env {
    ls_ref_dirs refs;             /* where references are looked for; cache_dir NULL: no HOME */
    char        cache_dir[4096];
    const char *scratch_dir;
    const char *threads, *threads_name; /* text of the variable and which one it was; NULL: unset */
    const char *timeout, *seed;
    const char *trace_dir, *trace_name;  /* traces of every command go there: NULL: unset; the variable */
    bool        trace_per_file;
    bool        ci;               /* CI is set: nobody is there to be asked */
    bool        dumb_terminal;    /* TERM=dumb: no progress bar */
};

void cli_env_load(cli_env *env);
/* Variable i: name, meaning and current value (NULL: unset); false past the end. */
bool cli_env_at(size_t i, const char **name, const char **meaning, const char **value);
/* Values of variables; *out is untouched where unset. Errors: USAGE, naming the variable. */
ls_status cli_env_threads(const cli_env *env, int32_t *out, ls_error *err);
ls_status cli_env_timeout(const cli_env *env, double *out, ls_error *err);
ls_status cli_env_seed(const cli_env *env, uint64_t *out, ls_error *err);
/* LS_OK if there is a cache folder; else USAGE: neither HOME nor LOCKSTEP_CACHE_DIR is set. */
ls_status cli_env_need_cache(const cli_env *env, ls_error *err);

/* ---- option groups that commands share ---- */

/* -m: embed, list {"Model", cli_model_table, offsetof(...)}; the table marks it as required. */
typedef struct cli_model_opts {
    const char *path;
} cli_model_opts;
extern const cli_option cli_model_table[];
/* USAGE when -m is absent. */
ls_status cli_model_check(const cli_context *ctx, const cli_model_opts *o, ls_error *err);

/* -p or -f. */
typedef struct cli_prompt_opts {
    const char *text;
    const char *file; /* byte for byte; "-" is standard input */
} cli_prompt_opts;
extern const cli_option cli_prompt_table[];
/* --ids: the prompt's token ids instead of its text; a table of its own, for the commands that take
 * them. */
typedef struct cli_ids_opts {
    const char *text; /* "1, 15043, 3186"; NULL: not given */
} cli_ids_opts;
extern const cli_option cli_ids_table[];
/* Parse them: *ids is owned (free). Errors: USAGE (no list of ids, an id that is not below n_vocab, or
 * given together with a prompt or with what acts on its text), NOMEM. */
ls_status cli_ids_read(const cli_context *ctx, const cli_ids_opts *o, int32_t n_vocab, int32_t **ids,
                       size_t *n, ls_error *err);
/* The prompt: *text is owned (free), NUL-terminated; it may hold any bytes.
 * Errors: USAGE (neither or both given), IO, NOMEM. */
ls_status cli_prompt_read(const cli_context *ctx, const cli_prompt_opts *o, char **text,
                          size_t *len, ls_error *err);

/* "128,512", the value of an option: whole numbers from min to max, `most` of them at most. Errors:
 * USAGE. */
typedef struct cli_numbers {
    int32_t min, max;
    size_t  most;
} cli_numbers;
ls_status cli_numbers_read(const cli_context *ctx, const char *option, const char *text,
                           const cli_numbers *range, int32_t *out, size_t *n, ls_error *err);

/* What --fault was given, one by one. Errors: USAGE. */
ls_status cli_faults_read(const cli_list *list, ls_faults *out, ls_error *err);
/* --threads --batch --ctx --kv-type --isa --lanes --act-quant --prepacked --fault. Defaults: CLI_ENGINE_DEFAULTS. */
typedef struct cli_engine_opts {
    int32_t  threads, batch, ctx;
    int      kv_type, isa, act_quant; /* ls_dtype, ls_tier, ls_act_rounding */
    int      lanes;                   /* 0: auto */
    double   timeout_s;               /* --timeout: per request to a reference */
    cli_list faults;
    const char *prepacked;            /* NULL: what lies beside the model; "none" */
} cli_engine_opts;
#define CLI_ENGINE_DEFAULTS                                                                        \
    {                                                                                              \
        .batch = 512, .kv_type = LS_DTYPE_F16, .isa = LS_TIER_AUTO, .act_quant = LS_ROUND_AUTO     \
    }
extern const cli_option cli_engine_table[];
/* What --kv-type and --isa take: ls_dtype, ls_tier. */
extern const cli_choice cli_kv_types[], cli_tiers[];
/* Fill *out (but model_path) from options and environment. `faults` holds the parsed faults and
 * must live as long as *out. Errors: USAGE, UNSUPPORTED (a tier that this machine lacks). */
ls_status cli_engine_resolve(const cli_context *ctx, const cli_engine_opts *o,
                             ls_engine_options *out, ls_faults *faults, ls_error *err);

/* ls_engine_info.note on standard error, if there is one. */
void cli_engine_note(const cli_context *ctx, const ls_engine *e);

/* --prompt-template --system-prompt --bos. Defaults: CLI_TEMPLATE_DEFAULTS (raw, none, auto). */
typedef struct cli_template_opts {
    const char *name, *system;
    int         bos; /* ls_bos_mode; what it acts on is the command's matter */
} cli_template_opts;
#define CLI_TEMPLATE_DEFAULTS                                                                      \
    {                                                                                              \
        .name = "raw", .system = NULL, .bos = LS_BOS_AUTO                                          \
    }
extern const cli_option cli_template_table[];
/* ls_chat_apply with one system message (if given) and one user message; says on stderr when the
 * template has no place for the system prompt. Release *out with ls_prompt_fini. */
ls_status cli_template_apply(const cli_context *ctx, const cli_template_opts *o, const char *text,
                             size_t len, const ls_tokenizer *t, const ls_gguf *g, ls_prompt *out,
                             ls_error *err);

/* --tap-tol --cos-tol --nmse-tol --kl-tol --strict, into an ls_budget that is ls_budget_default() before. */
extern const cli_option cli_budget_table[];
/* A --cos-tol below 0.5 means 1 - cosine; says so. */
void cli_budget_resolve(const cli_context *ctx, ls_budget *b);

/* ---- references ---- */

/* Find reference `kind`; LS_ERR_REFERENCE with the command that fixes it when it is not ready. */
ls_status cli_reference_find(const cli_context *ctx, ls_ref_kind kind, ls_ref_status *out,
                             ls_error *err);

/* ---- output to a file ---- */

/* Written beside the target and renamed when complete; devices and pipes are written directly. */
typedef struct cli_output {
    FILE *f; /* NULL: closed */
    char  path[4096], tmp[4160];
} cli_output;
/* Begin. path NULL or "-": standard output. Errors: IO. */
ls_status cli_output_open(cli_output *o, const char *path, ls_error *err);
/* Flush and rename. Errors: IO, also for every earlier write that failed. */
ls_status cli_output_commit(cli_output *o, ls_error *err);
/* Give up: remove what was written. Safe after commit and on a zeroed struct. */
void cli_output_abort(cli_output *o);

/* ---- small helpers ---- */

uint64_t cli_now_ns(void); /* monotonic */
/* Read a whole file of any kind; "-" is standard input. *text is owned, NUL-terminated. */
ls_status cli_read_file(const char *path, char **text, size_t *len, ls_error *err);
/* "1.2 MiB", "640 B". Returns buf. */
const char *cli_format_bytes(uint64_t n, char *buf, size_t cap);
/* Number with a comma every three digits. Returns buf. */
const char *cli_format_count(uint64_t n, char *buf, size_t cap);

#endif
