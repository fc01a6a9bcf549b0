// SPDX-License-Identifier: MIT
/* parse.c - the command line against the option tables.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`, flags together (`-qv`); `--` ends the
 * options. The last one wins where an option that takes one value is given twice.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/framework.h"

enum { ERRORS_TEXT, ERRORS_JSON };
static const cli_choice error_forms[] = {{"text", ERRORS_TEXT}, {"json", ERRORS_JSON}, {NULL, 0}};

const cli_option cli_common_table[] = {
    {.name = "help",
     .letter = 'h',
     .kind = CLI_FLAG,
     .off = offsetof(cli_common, help),
     .help = "Print this help and exit."},
    {.name = "quiet",
     .letter = 'q',
     .kind = CLI_FLAG,
     .off = offsetof(cli_common, quiet),
     .help = "Print results and errors only: no notes, no progress."},
    {.name = "errors",
     .kind = CLI_ENUM,
     .off = offsetof(cli_common, errors),
     .metavar = "FORM",
     .choices = error_forms,
     .def = "text",
     .help = "Form of errors on standard error."},
    {0},
};

const cli_option cli_json_table[] = {
    {.name = "json",
     .kind = CLI_FLAG,
     .off = offsetof(cli_common, json),
     .help = "Print one JSON document on standard output; errors are JSON too."},
    {0},
};

bool cli_next_option(const cli_command *c, cli_option_iter *it)
{
    static const cli_group common[] = {{"Common", cli_json_table, 0},
                                       {"Common", cli_common_table, 0}};
    size_t                 n_own = 0;
    if (c->groups)
        while (c->groups[n_own].title) n_own++;
    if (it->option) it->index++;
    it->first_of_group = false;
    for (; it->group < n_own + 2; it->group++, it->index = 0) {
        size_t           k = it->group - n_own;
        const cli_group *g = it->group < n_own ? &c->groups[it->group] : &common[k];
        if (g->options == cli_json_table && !c->reports) continue;
        it->option = &g->options[it->index];
        if (!it->option->name) continue;
        it->first_of_group = !it->title || strcmp(it->title, g->title) != 0;
        it->title = g->title;
        it->common = it->group >= n_own;
        it->off = g->off + it->option->off;
        return true;
    }
    it->option = NULL;
    return false;
}

/* Whether `aliases` (separated by spaces) holds the word of len bytes. */
static bool has_alias(const char *aliases, const char *word, size_t len)
{
    while (aliases && *aliases) {
        size_t n = strcspn(aliases, " ");
        if (n == len && memcmp(aliases, word, n) == 0) return true;
        aliases += n + strspn(aliases + n, " ");
    }
    return false;
}

static bool find_long(const cli_command *c, const char *word, size_t len, cli_option_iter *it)
{
    *it = (cli_option_iter){0};
    while (cli_next_option(c, it)) {
        const char *name = it->option->name;
        if (strlen(name) == len && memcmp(name, word, len) == 0) return true;
        if (has_alias(it->option->aliases, word, len)) return true;
    }
    return false;
}

static bool find_short(const cli_command *c, char letter, cli_option_iter *it)
{
    *it = (cli_option_iter){0};
    while (cli_next_option(c, it))
        if (it->option->letter == letter) return true;
    return false;
}

static ls_status unknown_option(const cli_context *ctx, const char *word, size_t len, ls_error *err)
{
    cli_option_iter it = {0};
    char            typed[64];
    cli_closest     near = {.typed = typed};
    snprintf(typed, sizeof(typed), "%.*s", (int)len, word);
    while (cli_next_option(ctx->command, &it)) {
        const char *alias = it.option->aliases;
        cli_closest_offer(&near, it.option->name, it.option->name);
        while (alias && *alias) {
            char   one[64];
            size_t n = strcspn(alias, " ");
            snprintf(one, sizeof(one), "%.*s", (int)n, alias);
            cli_closest_offer(&near, one, it.option->name);
            alias += n + (alias[n] == ' ');
        }
    }
    ls_fail(err, LS_ERR_USAGE, "unknown option '--%.*s'", (int)len, word);
    if (near.best) ls_fail_hint(err, "did you mean '--%s'?", near.best);
    return cli_hint_help(ctx, err);
}

static ls_status bad_choice(const cli_context *ctx, const cli_option *o, const char *value,
                            ls_error *err)
{
    char        all[256] = "";
    cli_closest near = {.typed = value};
    for (const cli_choice *c = o->choices; c->name; c++) {
        size_t      n = strlen(all);
        const char *sep = n == 0 ? "" : c[1].name ? ", " : " or ";
        snprintf(all + n, sizeof(all) - n, "%s%s", sep, c->name);
        cli_closest_offer(&near, c->name, c->name);
    }
    ls_fail(err, LS_ERR_USAGE, "option '--%s' takes %s, not '%s'", o->name, all, value);
    if (near.best) ls_fail_hint(err, "did you mean '%s'?", near.best);
    return cli_hint_help(ctx, err);
}

/* "from 1 to 64", "of at least 1" or "". */
static void range_text(const cli_option *o, char *buf, size_t cap)
{
    if (o->min == 0 && o->max == 0)
        snprintf(buf, cap, "%s", "");
    else if (o->max >= 2147483647.0)
        snprintf(buf, cap, " of at least %.10g", o->min);
    else
        snprintf(buf, cap, " from %.10g to %.10g", o->min, o->max);
}

static ls_status set_number(const cli_context *ctx, const cli_option *o, const char *value,
                            void *field, ls_error *err)
{
    char     *end = NULL;
    char      range[80];
    bool      ok = *value != '\0' && !strchr(" \t\n", *value);
    double    real = 0;
    long long whole = 0;
    uint64_t  u64 = 0;
    errno = 0;
    if (o->kind == CLI_INT)
        real = (double)(whole = strtoll(value, &end, 10));
    else if (o->kind == CLI_U64)
        u64 = strtoull(value, &end, 10);
    else
        real = strtod(value, &end);
    ok = ok && end && *end == '\0' && errno == 0 && isfinite(real);
    if (o->kind == CLI_U64) ok = ok && *value != '-';
    if (o->kind == CLI_INT) ok = ok && whole >= INT32_MIN && whole <= INT32_MAX;
    if (ok && (o->min != 0 || o->max != 0)) ok = real >= o->min && real <= o->max;
    if (!ok) {
        range_text(o, range, sizeof(range));
        return cli_usage(ctx, err, "option '--%s' takes a%s number%s, not '%s'", o->name,
                         o->kind == CLI_DOUBLE ? "" : " whole", range, value);
    }
    if (o->kind == CLI_INT)
        *(int32_t *)field = (int32_t)whole;
    else if (o->kind == CLI_U64)
        *(uint64_t *)field = u64;
    else
        *(double *)field = real;
    return LS_OK;
}

static ls_status set_choice(const cli_context *ctx, const cli_option *o, const char *value,
                            int *field, ls_error *err)
{
    for (const cli_choice *c = o->choices; c->name; c++) {
        if (strcmp(c->name, value) != 0) continue;
        *field = c->value;
        return LS_OK;
    }
    return bad_choice(ctx, o, value, err);
}

static ls_status too_often(const cli_context *ctx, const cli_option *o, ls_error *err)
{
    return cli_usage(ctx, err, "option '--%s' is given more than %d times", o->name, CLI_MAX_LIST);
}

static ls_status set_value(const cli_context *ctx, const cli_option *o, const char *value,
                           void *field, ls_error *err)
{
    if (o->kind == CLI_FLAG) {
        *(bool *)field = true;
        return LS_OK;
    }
    if (!value) return ls_fail(err, LS_ERR_INTERNAL, "option '--%s' has no value", o->name);
    switch (o->kind) {
    case CLI_FLAG:
        break;
    case CLI_STRING:
        *(const char **)field = value;
        return LS_OK;
    case CLI_INT:
    case CLI_U64:
    case CLI_DOUBLE:
        return set_number(ctx, o, value, field, err);
    case CLI_LIST: {
        cli_list *l = field;
        if (l->n == CLI_MAX_LIST) return too_often(ctx, o, err);
        l->at[l->n++] = value;
        return LS_OK;
    }
    case CLI_ENUM:
        return set_choice(ctx, o, value, field, err);
    case CLI_ENUMS: {
        cli_enums *l = field;
        if (l->n == CLI_MAX_LIST) return too_often(ctx, o, err);
        return set_choice(ctx, o, value, &l->at[l->n++], err);
    }
    }
    return ls_fail(err, LS_ERR_INTERNAL, "option '--%s' has no kind", o->name);
}

static void note_given(cli_context *ctx, const cli_option *o)
{
    for (size_t i = 0; i < ctx->n_given; i++)
        if (ctx->given[i] == o) return;
    if (ctx->n_given < CLI_MAX_GIVEN) ctx->given[ctx->n_given++] = o;
}

bool cli_given(const cli_context *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->n_given; i++)
        if (strcmp(ctx->given[i]->name, name) == 0) return true;
    return false;
}

typedef struct parser {
    cli_context *ctx;
    cli_common  *common;
    void        *opts;
    char       **argv;
    int          argc, next;
} parser;

static ls_status apply(parser *p, const cli_option_iter *it, const char *value, ls_error *err)
{
    unsigned char *base = it->common ? (void *)p->common : p->opts;
    note_given(p->ctx, it->option);
    return set_value(p->ctx, it->option, value, base + it->off, err);
}

/* The word after an option that needs a value. An option's own name there is a forgotten value:
 * taking it silently would hide the slip; `--prompt=--help` says it on purpose. */
static ls_status take_value(parser *p, const cli_option *o, const char **out, ls_error *err)
{
    cli_option_iter it;
    const char     *word = p->next < p->argc ? p->argv[p->next] : NULL;
    bool            is_option = word && word[0] == '-' && word[1] == '-' &&
                     find_long(p->ctx->command, word + 2, strcspn(word + 2, "="), &it);
    if (!word || is_option) {
        ls_fail(err, LS_ERR_USAGE, "option '--%s' needs a value", o->name);
        if (is_option)
            ls_fail_hint(err, "if the value really is '%s', write '--%s=%s'", word, o->name, word);
        return cli_hint_help(p->ctx, err);
    }
    p->next++;
    *out = word;
    return LS_OK;
}

static ls_status parse_long(parser *p, const char *word, ls_error *err)
{
    cli_option_iter it;
    size_t          len = strcspn(word, "=");
    const char     *value = word[len] == '=' ? word + len + 1 : NULL;
    if (!find_long(p->ctx->command, word, len, &it)) return unknown_option(p->ctx, word, len, err);
    if (it.option->kind == CLI_FLAG) {
        if (value) return cli_usage(p->ctx, err, "option '--%s' takes no value", it.option->name);
    } else if (!value) {
        LS_TRY(take_value(p, it.option, &value, err));
    }
    return apply(p, &it, value, err);
}

static ls_status parse_short(parser *p, const char *word, ls_error *err)
{
    cli_option_iter it;
    for (; *word; word++) {
        const char *value = NULL;
        if (!find_short(p->ctx->command, *word, &it))
            return cli_usage(p->ctx, err, "unknown option '-%c'", *word);
        if (it.option->kind == CLI_FLAG) {
            LS_TRY(apply(p, &it, NULL, err));
            continue;
        }
        if (word[1])
            value = word + 1;
        else
            LS_TRY(take_value(p, it.option, &value, err));
        return apply(p, &it, value, err);
    }
    return LS_OK;
}

static ls_status check_operands(const cli_context *ctx, ls_error *err)
{
    const cli_command *c = ctx->command;
    if (ctx->n_args > c->max_args)
        return cli_usage(ctx, err, "unexpected argument '%s'", ctx->args[c->max_args]);
    if (ctx->n_args < c->min_args)
        return cli_usage(ctx, err, "argument %s is missing", c->operands);
    for (size_t i = 0; c->operand_words && i < ctx->n_args; i++) {
        const char *const *word = c->operand_words;
        cli_closest        near = {.typed = ctx->args[i]};
        char               all[128] = "";
        for (; *word && strcmp(*word, ctx->args[i]) != 0; word++) {
            size_t n = strlen(all);
            snprintf(all + n, sizeof(all) - n, "%s%s",
                     n == 0    ? ""
                     : word[1] ? ", "
                               : " or ",
                     *word);
            cli_closest_offer(&near, *word, *word);
        }
        if (*word) continue;
        ls_fail(err, LS_ERR_USAGE, "the argument must be %s, not '%s'", all, ctx->args[i]);
        if (near.best) ls_fail_hint(err, "did you mean '%s'?", near.best);
        return cli_hint_help(ctx, err);
    }
    return LS_OK;
}

ls_status cli_parse(cli_context *ctx, cli_common *common, void *opts, int argc, char **argv,
                    ls_error *err)
{
    parser p = {.ctx = ctx, .common = common, .opts = opts, .argv = argv, .argc = argc};
    int    n_args = 0;
    bool   ended = false;
    while (p.next < argc) {
        char *word = argv[p.next++];
        /* Operands move to the front of argv: there is always room for one already read. */
        if (ended || word[0] != '-' || word[1] == '\0')
            argv[n_args++] = word;
        else if (strcmp(word, "--") == 0)
            ended = true;
        else if (word[1] == '-')
            LS_TRY(parse_long(&p, word + 2, err));
        else
            LS_TRY(parse_short(&p, word + 1, err));
        ctx->quiet = common->quiet;
        ctx->json = common->json;
        if (common->json || common->errors == ERRORS_JSON) ctx->json_errors = 1;
    }
    ctx->args = (const char *const *)argv;
    ctx->n_args = (size_t)n_args;
    return common->help ? LS_OK : check_operands(ctx, err);
}
