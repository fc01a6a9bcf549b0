// SPDX-License-Identifier: MIT
/* man.c - the manual page lockstep(1), from the tables. */
#include <string.h>

#include "cli/framework.h"

/* Text with what roff would take for its own escaped; `bol`: at the beginning of a line. */
static void put(FILE *f, const char *p, size_t len, bool bol)
{
    for (size_t i = 0; i < len; i++) {
        if (bol && (p[i] == '.' || p[i] == '\'')) fputs("\\&", f);
        bol = p[i] == '\n';
        if (p[i] == '\\')
            fputs("\\e", f);
        else if (p[i] == '-')
            fputs("\\-", f);
        else
            fputc(p[i], f);
    }
}

/* Paragraphs filled, lines that begin with a space or `$` kept. */
static void put_text(FILE *f, const char *text)
{
    bool kept = false, begun = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        bool   keep = *text == ' ' || *text == '$';
        if (keep != kept)
            fputs(keep ? ".RS\n.nf\n" : ".fi\n.RE\n", f);
        else if (n == 0 && begun)
            fputs(".PP\n", f);
        kept = keep;
        begun = true;
        if (n) {
            put(f, text, n, true);
            fputc('\n', f);
        }
        text += n + (text[n] == '\n');
    }
    if (kept) fputs(".fi\n.RE\n", f);
}

static void put_options(FILE *f, const cli_command *c)
{
    cli_option_iter it = {0};
    char            text[1024];
    while (cli_next_option(c, &it)) {
        const char *form = cli_option_form(it.option, text, sizeof(text));
        if (it.common) continue;
        form += strspn(form, " ");
        fputs(".TP\n.B ", f);
        put(f, form, strlen(form), false);
        fputc('\n', f);
        cli_option_help(it.option, text, sizeof(text));
        put(f, text, strlen(text), true);
        fputc('\n', f);
    }
}

static void put_command(FILE *f, const cli_command *c)
{
    char text[256];
    fputs(".SS lockstep ", f);
    cli_usage_line(c, text, sizeof(text));
    put(f, text, strlen(text), false);
    fputc('\n', f);
    put(f, c->summary, strlen(c->summary), true);
    fputs(".\n", f);
    if (c->details) {
        fputs(".PP\n", f);
        put_text(f, c->details);
    }
    put_options(f, c);
    if (c->examples) {
        fputs(".PP\nExamples:\n", f);
        put_text(f, c->examples);
    }
}

static void put_common(FILE *f)
{
    static const cli_option *const tables[] = {cli_common_table, cli_json_table};
    char                           text[512];
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const cli_option *o = tables[t]; o->name; o++) {
            const char *form = cli_option_form(o, text, sizeof(text));
            form += strspn(form, " ");
            fputs(".TP\n.B ", f);
            put(f, form, strlen(form), false);
            fputc('\n', f);
            cli_option_help(o, text, sizeof(text));
            put(f, text, strlen(text), true);
            fputs(t ? " Commands that report only.\n" : "\n", f);
        }
}

void cli_help_man(FILE *f)
{
    const char *name, *meaning, *value;
    fprintf(f, ".TH LOCKSTEP 1 \"\" \"Lockstep %s\" \"User Commands\"\n", ls_version());
    fputs(".SH NAME\nlockstep \\- run a language model in two inference engines and compare them\n"
          ".SH SYNOPSIS\n.B lockstep\n.I command\n[\\fIoptions\\fR]\n"
          ".SH DESCRIPTION\nRuns one language model in two inference engines, in lockstep, and "
          "says whether they compute the same thing and, where they do not, at which token they "
          "part.\n"
          ".SH COMMANDS\n",
          f);
    for (const cli_command *const *c = cli_commands; *c; c++) put_command(f, *c);
    fputs(".SH OPTIONS OF EVERY COMMAND\n", f);
    put_common(f);
    fputs(".SH EXIT STATUS\n", f);
    for (const cli_exit *e = cli_exits; e->meaning; e++) {
        fprintf(f, ".TP\n.B %d\n", e->code);
        put(f, e->meaning, strlen(e->meaning), true);
        fputs(".\n", f);
    }
    fputs(".SH ENVIRONMENT\n", f);
    for (size_t i = 0; cli_env_at(i, &name, &meaning, &value); i++) {
        fprintf(f, ".TP\n.B %s\n", name);
        put(f, meaning, strlen(meaning), true);
        fputs(".\n", f);
    }
}
