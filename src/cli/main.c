// SPDX-License-Identifier: MIT
/* main.c - from words to a command: find its row, parse its options, run it, report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/framework.h"

static ls_status unknown_command(const char *noun, const char *verb, ls_error *err)
{
    cli_closest near = {.typed = verb ? verb : noun};
    char        names[64][40];
    for (size_t i = 0; i < 64 && cli_commands[i]; i++) {
        const cli_command *c = cli_commands[i];
        cli_command_name(c, names[i], sizeof(names[i]));
        /* "lockstep tokenize" forgets the noun. */
        if (c->verb && (!verb || strcmp(c->noun, noun) == 0))
            cli_closest_offer(&near, c->verb, names[i]);
        if (!verb) cli_closest_offer(&near, c->noun, c->noun);
    }
    ls_fail(err, LS_ERR_USAGE, "unknown command '%s%s%s'", noun, verb ? " " : "", verb ? verb : "");
    if (near.best)
        ls_fail_hint(err, "did you mean 'lockstep %s'?", near.best);
    else
        ls_fail_hint(err, "see 'lockstep %s%s--help'", verb ? noun : "", verb ? " " : "");
    return LS_ERR_USAGE;
}

/* Standard output may fail as late as here: a full disk must not look like success. */
static int finish(const cli_context *ctx, int code)
{
    ls_error err = {0};
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    ls_fail_errno(&err, errno ? errno : EIO, "cannot write to standard output");
    return code ? code : cli_print_error(ctx, &err);
}

static int run_command(cli_context *ctx, int argc, char **argv)
{
    const cli_command *c = ctx->command;
    cli_common         common = {0};
    ls_error           err = {0};
    ls_status          status;
    void              *opts = calloc(1, c->opts_bytes ? c->opts_bytes : 1);
    int                code;
    if (!opts) {
        ls_fail(&err, LS_ERR_NOMEM, "not enough memory to start");
        return cli_print_error(ctx, &err);
    }
    if (c->defaults) memcpy(opts, c->defaults, c->opts_bytes);
    if (c->init) c->init(opts);
    ctx->words = (const char *const *)argv;
    ctx->n_words = argc > 0 ? (size_t)argc : 0;
    status = cli_parse(ctx, &common, opts, argc, argv, &err);
    if (common.help) {
        cli_help_command(stdout, c);
        ls_error_clear(&err);
        status = LS_OK;
    } else if (status == LS_OK) {
        status = c->run(ctx, opts, &err);
    }
    free(opts);
    /* Ctrl-C reaches a reference's process as well: its death is then not the news. */
    if (cli_check_interrupt(NULL) != LS_OK && (status != LS_OK || ctx->exit_code == 3)) {
        ls_error_clear(&err);
        status = cli_check_interrupt(&err);
    }
    if (status == LS_OK) return finish(ctx, ctx->exit_code);
    if (err.status == LS_OK) ls_fail(&err, status, "the command failed without saying why");
    code = cli_print_error(ctx, &err);
    fflush(stdout);
    return code;
}

/* A noun that has verbs, used without one or with a wrong one. */
static int run_noun(cli_context *ctx, int argc, char **argv)
{
    ls_error    err = {0};
    const char *noun = argv[0], *word = argc > 1 ? argv[1] : NULL;
    if (word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
        cli_help_noun(stdout, noun);
        return finish(ctx, 0);
    }
    if (!word) {
        ls_fail(&err, LS_ERR_USAGE, "'%s' needs a command after it", noun);
        ls_fail_hint(&err, "see 'lockstep %s --help'", noun);
    } else if (word[0] == '-') {
        ls_fail(&err, LS_ERR_USAGE, "'%s' needs a command before the option '%s'", noun, word);
        ls_fail_hint(&err, "see 'lockstep %s --help'", noun);
    } else {
        unknown_command(noun, word, &err);
    }
    return cli_print_error(ctx, &err);
}

static bool has_verbs(const char *noun)
{
    for (const cli_command *const *c = cli_commands; *c; c++)
        if ((*c)->verb && strcmp((*c)->noun, noun) == 0) return true;
    return false;
}

/* Errors of the command line itself are JSON too, wherever the word for it stands. */
static int wants_json_errors(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--errors=json") == 0) return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static cli_env env;
    cli_context    ctx = {.env = &env};
    ls_error       err = {0};
    const char    *word = argc > 1 ? argv[1] : NULL;
    cli_env_load(&env);
    ctx.json_errors = wants_json_errors(argc, argv);
    if (!word) {
        cli_help_program(stderr);
        return ls_exit_code(LS_ERR_USAGE, NULL);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        cli_help_program(stdout);
        return finish(&ctx, 0);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) word = "version";
    ctx.command = cli_find_command(word, NULL);
    if (ctx.command) return run_command(&ctx, argc - 2, argv + 2);
    if (has_verbs(word)) {
        ctx.command = argc > 2 ? cli_find_command(word, argv[2]) : NULL;
        if (ctx.command) return run_command(&ctx, argc - 3, argv + 3);
        return run_noun(&ctx, argc - 1, argv + 1);
    }
    if (word[0] == '-') {
        ls_fail(&err, LS_ERR_USAGE, "unknown option '%s'", word);
        ls_fail_hint(&err, "options come after the command; see 'lockstep --help'");
    } else {
        unknown_command(word, NULL, &err);
    }
    return cli_print_error(&ctx, &err);
}
