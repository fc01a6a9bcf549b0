// SPDX-License-Identifier: MIT
/* cmd_misc.c - the commands about the program itself: help, completion, env, version. */
#include <string.h>

#include "cli/cli_json.h"
#include "cli/framework.h"

/* ---- help ---- */

typedef struct help_opts {
    bool man;
} help_opts;

static ls_status run_help(cli_context *ctx, void *opts, ls_error *err)
{
    const help_opts   *o = opts;
    const char        *noun = ctx->n_args > 0 ? ctx->args[0] : NULL;
    const char        *verb = ctx->n_args > 1 ? ctx->args[1] : NULL;
    const cli_command *c = noun ? cli_find_command(noun, verb) : NULL;
    if (o->man) {
        cli_help_man(stdout);
    } else if (!noun) {
        cli_help_program(stdout);
    } else if (c) {
        cli_help_command(stdout, c);
    } else if (!verb && cli_is_noun(noun)) {
        cli_help_noun(stdout, noun);
    } else {
        ls_fail(err, LS_ERR_USAGE, "unknown command '%s%s%s'", noun, verb ? " " : "",
                verb ? verb : "");
        return ls_fail_hint(err, "see 'lockstep --help'");
    }
    return LS_OK;
}

static const cli_option help_table[] = {
    {.name = "man",
     .kind = CLI_FLAG,
     .off = offsetof(help_opts, man),
     .help = "Print the manual page lockstep(1) in roff."},
    {0},
};
static const cli_group help_groups[] = {{"Output", help_table, 0}, {0}};

const cli_command cli_cmd_help = {
    .noun = "help",
    .summary = "Explain a command",
    .operands = "[COMMAND]",
    .max_args = 2,
    .groups = help_groups,
    .opts_bytes = sizeof(help_opts),
    .examples = "$ lockstep help crossval per-token\n$ lockstep help --man | man -l -\n",
    .run = run_help,
};

/* ---- completion ---- */

static const struct {
    const char *shell;
    void (*print)(FILE *f);
} shells[] = {{"bash", cli_complete_bash}, {"zsh", cli_complete_zsh}, {"fish", cli_complete_fish}};
static const char *const shell_names[] = {"bash", "zsh", "fish", NULL};

static ls_status run_completion(cli_context *ctx, void *opts, ls_error *err)
{
    (void)opts;
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(shells[i].shell, ctx->args[0]) == 0) {
            shells[i].print(stdout);
            return LS_OK;
        }
    return ls_fail(err, LS_ERR_INTERNAL, "no completion for '%s'", ctx->args[0]);
}

const cli_command cli_cmd_completion = {
    .noun = "completion",
    .summary = "Print a completion script for a shell",
    .operands = "bash|zsh|fish",
    .min_args = 1,
    .max_args = 1,
    .operand_words = shell_names,
    .examples = "$ source <(lockstep completion bash)\n"
                "$ lockstep completion zsh > ~/.zfunc/_lockstep\n"
                "$ lockstep completion fish > ~/.config/fish/completions/lockstep.fish\n",
    .run = run_completion,
};

/* ---- env ---- */

static ls_status run_env(cli_context *ctx, void *opts, ls_error *err)
{
    const char *name, *meaning, *value;
    json_t     *list;
    (void)opts;
    if (!ctx->json) {
        for (size_t i = 0; cli_env_at(i, &name, &meaning, &value); i++) {
            printf("%-23s %s\n", name, meaning);
            printf("%-23s %s%s\n", "", value ? "= " : "(not set)", value ? value : "");
        }
        printf("\nReferences are installed in: %s\n",
               ctx->env->refs.cache_dir ? ctx->env->refs.cache_dir : "(no HOME: nowhere)");
        return LS_OK;
    }
    list = json_array();
    for (size_t i = 0; cli_env_at(i, &name, &meaning, &value); i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o}", "name", name, "meaning", meaning, "value",
                            value ? cli_json_text(value, strlen(value)) : json_null()));
    return cli_json_print(
        json_pack("{s:o, s:s?}", "variables", list, "cache_dir", ctx->env->refs.cache_dir), NULL,
        err);
}

const cli_command cli_cmd_env = {
    .noun = "env",
    .summary = "List the environment variables that are read, with their values",
    .reports = true,
    .run = run_env,
};

/* ---- version ---- */

static ls_status run_version(cli_context *ctx, void *opts, ls_error *err)
{
    (void)opts;
    if (ctx->json)
        return cli_json_print(
            json_pack("{s:s, s:s}", "version", ls_version(), "isa", ls_tier_name(ls_tier_best())),
            NULL, err);
    printf("lockstep %s\n", ls_version());
    return LS_OK;
}

const cli_command cli_cmd_version = {
    .noun = "version",
    .summary = "Print the version",
    .reports = true,
    .run = run_version,
};
