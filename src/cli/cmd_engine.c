// SPDX-License-Identifier: MIT
/* cmd_engine.c - `lockstep engine list | check | setup | path`: which engines are there, which
 * are missing, and how to get them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/framework.h"

static const char *const ref_names[] = {"llama", "bitnet", NULL};

static const char *const state_names[] = {
    [LS_REF_READY] = "ready",
    [LS_REF_UNBUILT] = "unbuilt",
    [LS_REF_INCOMPLETE] = "incomplete",
    [LS_REF_ABSENT] = "absent",
};

static json_t *status_json(const ls_ref_status *s)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name",
                     ls_ref_name(s->kind), "display_name", ls_ref_display_name(s->kind),
                     "available", (int)(s->state == LS_REF_READY), "state", state_names[s->state],
                     "version", s->version, "adapter", s->exe, "libraries", s->lib_dir, "source",
                     s->source, "missing", s->missing, "fix", s->fix);
}

static void print_field(const char *label, const char *value)
{
    if (value[0]) printf("    %-11s %s\n", label, value);
}

static void print_status(const ls_ref_status *s)
{
    bool ready = s->state == LS_REF_READY;
    printf("  %s %s: %s\n", ready ? "✓" : "✗", ls_ref_display_name(s->kind),
           ready ? "AVAILABLE" : "NOT AVAILABLE");
    print_field("Version:", s->version);
    print_field("Libraries:", s->lib_dir);
    print_field("Found by:", s->source);
    if (ready) return;
    if (s->missing[0]) {
        printf("    %-11s ", "Missing:");
        cli_wrap_rest(stdout, s->missing, 16, 80);
    }
    print_field("Setup:", s->fix);
}

static ls_ref_kind kind_of(const char *name)
{
    ls_ref_kind kind = LS_REF_LLAMA;
    ls_ref_parse(name, &kind); /* the operand table has let known names through only */
    return kind;
}

/* ---- list and check ---- */

static void find_all(const cli_context *ctx, ls_ref_status all[LS_N_REFS], size_t *n_ready)
{
    *n_ready = 0;
    for (int k = 0; k < LS_N_REFS; k++) {
        ls_ref_find(&all[k], (ls_ref_kind)k, &ctx->env->refs);
        *n_ready += all[k].state == LS_REF_READY;
    }
}

static const char *verdict_on(size_t n_ready)
{
    if (n_ready == 0)
        return "No reference is available: only the native engine can run, nothing can be "
               "cross-validated.";
    if (n_ready == LS_N_REFS) return "Both references are available.";
    return "One reference is available: cross-validation works.";
}

static void print_tiers(void)
{
    fputs("    Instruction sets:", stdout);
    for (int t = LS_TIER_SCALAR; t < LS_N_TIERS; t++)
        if (ls_tier_available((ls_tier)t))
            printf(" %s%s", ls_tier_name((ls_tier)t), (ls_tier)t == ls_tier_best() ? "*" : "");
    putchar('\n');
}

static ls_status run_list(cli_context *ctx, void *opts, ls_error *err)
{
    ls_ref_status all[LS_N_REFS];
    size_t        n_ready;
    json_t       *list;
    (void)opts;
    find_all(ctx, all, &n_ready);
    if (!ctx->json) {
        puts("Backend Library Status:");
        printf("  ✓ native: AVAILABLE\n    %-11s %s\n", "Version:", ls_version());
        print_tiers();
        for (size_t k = 0; k < LS_N_REFS; k++) print_status(&all[k]);
        printf("\n%s\n", verdict_on(n_ready));
        return LS_OK;
    }
    list = json_array();
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:b, s:s, s:s, s:s}", "name", "native",
                                    "display_name", "native", "available", 1, "state", "ready",
                                    "version", ls_version(), "isa", ls_tier_name(ls_tier_best())));
    for (size_t k = 0; k < LS_N_REFS; k++) json_array_append_new(list, status_json(&all[k]));
    return cli_json_print(json_pack("{s:s, s:o}", "schema", "lockstep.engines/1", "engines", list),
                          NULL, err);
}

static ls_status run_check(cli_context *ctx, void *opts, ls_error *err)
{
    ls_ref_status all[LS_N_REFS];
    const char   *name = ctx->n_args ? ctx->args[0] : NULL;
    size_t        n_ready, first = 0, end = LS_N_REFS;
    json_t       *list;
    (void)opts;
    find_all(ctx, all, &n_ready);
    if (name) {
        first = (size_t)kind_of(name);
        end = first + 1;
        n_ready = all[first].state == LS_REF_READY;
    }
    ctx->exit_code = n_ready ? 0 : ls_exit_code(LS_ERR_REFERENCE, NULL);
    if (!ctx->json) {
        if (ctx->quiet) return LS_OK;
        puts("Backend Library Status:");
        for (size_t k = first; k < end; k++) print_status(&all[k]);
        if (!name) printf("\n%s\n", verdict_on(n_ready));
        return LS_OK;
    }
    list = json_array();
    for (size_t k = first; k < end; k++) json_array_append_new(list, status_json(&all[k]));
    return cli_json_print(json_pack("{s:s, s:b, s:i, s:o}", "schema", "lockstep.engines/1",
                                    "available", (int)(n_ready > 0), "exit_code", ctx->exit_code,
                                    "engines", list),
                          NULL, err);
}

const cli_command cli_cmd_engine_list = {
    .noun = "engine",
    .verb = "list",
    .summary = "List all engines: what is there, what is missing, and the command that fixes it",
    .reports = true,
    .run = run_list,
};

const cli_command cli_cmd_engine_check = {
    .noun = "engine",
    .verb = "check",
    .summary = "Check whether a reference can be used",
    .details = "Exits with 0 if the named reference (without a name: at least one of them) is "
               "available, else with 3. With --quiet the exit code is all.\n",
    .operands = "[llama|bitnet]",
    .max_args = 1,
    .operand_words = ref_names,
    .reports = true,
    .run = run_check,
};

/* ---- path ---- */

static ls_status run_path(cli_context *ctx, void *opts, ls_error *err)
{
    ls_ref_status s;
    (void)opts;
    if (ctx->n_args == 0) {
        LS_TRY(cli_env_need_cache(ctx->env, err));
        if (ctx->json)
            return cli_json_print(
                json_pack("{s:s+}", "engines", ctx->env->refs.cache_dir, "/engines"), NULL, err);
        printf("%s/engines\n", ctx->env->refs.cache_dir);
        return LS_OK;
    }
    LS_TRY(cli_reference_find(ctx, kind_of(ctx->args[0]), &s, err));
    if (ctx->json) return cli_json_print(status_json(&s), NULL, err);
    puts(s.lib_dir);
    return LS_OK;
}

const cli_command cli_cmd_engine_path = {
    .noun = "engine",
    .verb = "path",
    .summary = "Print where a reference's libraries are",
    .details = "Without a name: the folder that references are installed in. Exits with 3 if the "
               "named reference is not available.\n",
    .operands = "[llama|bitnet]",
    .max_args = 1,
    .operand_words = ref_names,
    .reports = true,
    .run = run_path,
};

/* ---- setup ---- */

typedef struct setup_opts {
    const char *dir;
    bool        force;
    int         emit;
} setup_opts;

enum { EMIT_NONE, EMIT_SH, EMIT_FISH, EMIT_PWSH, EMIT_CMD };

static const cli_choice emits[] = {
    {"sh", EMIT_SH}, {"fish", EMIT_FISH}, {"pwsh", EMIT_PWSH}, {"cmd", EMIT_CMD}, {NULL, 0}};

/* How a shell assigns a variable: before the name, between name and value, after the value; the
 * characters that are special within the value, and what goes before them. `path` is the old value
 * of the variable NAME in the list of folders. */
static const struct {
    const char *begin, *middle, *end, *special, *escape, *path;
} dialects[] = {
    [EMIT_SH] = {"export ", "=\"", "\"", "\"\\$`", "\\", ":${LD_LIBRARY_PATH:-}"},
    [EMIT_FISH] = {"set -gx ", " \"", "\"", "\"\\$", "\\", ":$LD_LIBRARY_PATH"},
    [EMIT_PWSH] = {"$env:", " = \"", "\"", "\"`$", "`", ":$env:LD_LIBRARY_PATH"},
    [EMIT_CMD] = {"set ", "=", "", "", "", ";%LD_LIBRARY_PATH%"},
};

static void emit_escaped(int emit, const char *value)
{
    for (const char *p = value; *p; p++)
        printf("%s%c", strchr(dialects[emit].special, *p) ? dialects[emit].escape : "", *p);
}

static void emit_variable(int emit, const char *name, const char *value, const char *raw_tail)
{
    printf("%s%s%s", dialects[emit].begin, name, dialects[emit].middle);
    emit_escaped(emit, value);
    printf("%s%s\n", raw_tail, dialects[emit].end);
}

static void emit_setup(const setup_opts *o, const ls_ref_status *s)
{
    const char *name = s->kind == LS_REF_BITNET ? "BITNET_CPP_DIR" : "LLAMA_CPP_DIR";
    char        full[PATH_MAX];
    if (o->dir && realpath(o->dir, full)) emit_variable(o->emit, name, full, "");
    emit_variable(o->emit, "LD_LIBRARY_PATH", s->lib_dir, dialects[o->emit].path);
    if (o->emit != EMIT_SH && o->emit != EMIT_FISH) return;
    printf("echo \"[%s] C++ ready at ", ls_ref_name(s->kind));
    emit_escaped(o->emit, s->lib_dir);
    puts("\"");
}

static void say_step(void *ctx, const char *step) { cli_note(ctx, "%s", step); }

static ls_status run_setup(cli_context *ctx, void *opts, ls_error *err)
{
    const setup_opts *o = opts;
    ls_ref_kind       kind = kind_of(ctx->args[0]);
    ls_ref_status     s = {0};
    ls_setup_options  setup = {
         .dir = o->dir, .force = o->force, .progress = say_step, .progress_ctx = ctx};
    if (ctx->json && o->emit)
        return cli_usage(ctx, err, "options '--json' and '--emit' cannot be used together");
    LS_TRY(cli_env_need_cache(ctx->env, err));
    LS_TRY(ls_ref_setup(kind, &ctx->env->refs, &setup, &s, err));
    if (o->emit) emit_setup(o, &s);
    if (ctx->json) return cli_json_print(status_json(&s), NULL, err);
    cli_note(ctx, "%s %s is ready: %s", ls_ref_display_name(kind), s.version, s.lib_dir);
    return LS_OK;
}

static const cli_option setup_table[] = {
    {.name = "dir",
     .kind = CLI_STRING,
     .off = offsetof(setup_opts, dir),
     .metavar = "DIR",
     .help = "Use the build in this folder instead of installing one."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(setup_opts, force),
     .help = "Install again even if it is there."},
    {.name = "emit",
     .kind = CLI_ENUM,
     .off = offsetof(setup_opts, emit),
     .metavar = "SHELL",
     .choices = emits,
     .help = "Print the commands that set the environment variables of other tools for this "
             "engine. Lockstep itself needs none."},
    {0},
};
static const cli_group setup_groups[] = {{"Setup", setup_table, 0}, {0}};

const cli_command cli_cmd_engine_setup = {
    .noun = "engine",
    .verb = "setup",
    .summary = "Install a reference engine",
    .details = "llama: installs the pinned prebuilt llama.cpp from npm, after checking its "
               "sha512, and compiles the adapter against its headers; needs npm, git, a C compiler "
               "and, the first time, a network. With --dir any other build of llama.cpp is "
               "used.\n\n"
               "bitnet: has no prebuilt libraries; build bitnet.cpp and name its folder with --dir "
               "or BITNET_CPP_DIR.\n",
    .operands = "llama|bitnet",
    .min_args = 1,
    .max_args = 1,
    .operand_words = ref_names,
    .examples = "$ lockstep engine setup llama\n"
                "$ lockstep engine setup bitnet --dir ~/src/BitNet\n"
                "$ eval \"$(lockstep engine setup llama --emit sh)\"\n",
    .groups = setup_groups,
    .opts_bytes = sizeof(setup_opts),
    .reports = true,
    .run = run_setup,
};
