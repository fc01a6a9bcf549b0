// SPDX-License-Identifier: MIT
/* help.c - help texts of the program, of a noun and of a command, from the tables. */
#include <string.h>

#include "cli/framework.h"

enum { WIDTH = 80, COLUMN = 28 };

/* One paragraph, wrapped; the cursor stands at `at` when it begins. */
static void wrap_paragraph(FILE *f, const char *p, size_t len, int indent, int width, int at)
{
    const char *end = p + len;
    int         column = at;
    bool        begun = false;
    while (p < end) {
        size_t n = 0, cells = 0;
        p += strspn(p, " \n");
        while (p + n < end && p[n] != ' ' && p[n] != '\n') {
            cells += ((unsigned char)p[n] & 0xc0) != 0x80;
            n++;
        }
        if (n == 0) break;
        if (begun && column + 1 + (int)cells > width) {
            fprintf(f, "\n%*s", indent, "");
            column = indent;
            begun = false;
        }
        fprintf(f, "%s%.*s", begun ? " " : "", (int)n, p);
        column += (int)cells + begun;
        begun = true;
        p += n;
    }
    fputc('\n', f);
}

void cli_wrap(FILE *f, const char *text, int indent, int width)
{
    while (*text) {
        const char *end = text;
        if (*text == ' ' || *text == '\n') {
            size_t n = strcspn(text, "\n");
            fprintf(f, "%*s%.*s\n", n ? indent : 0, "", (int)n, text);
            text += n + (text[n] == '\n');
            continue;
        }
        while (*end && !(end[0] == '\n' && (end[1] == '\n' || end[1] == ' '))) end++;
        fprintf(f, "%*s", indent, "");
        wrap_paragraph(f, text, (size_t)(end - text), indent, width, indent);
        text = end + (*end == '\n');
    }
}

void cli_wrap_rest(FILE *f, const char *text, int indent, int width)
{
    wrap_paragraph(f, text, strlen(text), indent, width, indent);
}

const char *cli_option_form(const cli_option *o, char *buf, size_t cap)
{
    char letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(buf, cap, "%s--%s%s%s", letter, o->name, o->metavar ? " " : "",
             o->metavar ? o->metavar : "");
    return buf;
}

const char *cli_option_help(const cli_option *o, char *buf, size_t cap)
{
    size_t n = (size_t)snprintf(buf, cap, "%s", o->help);
    if (o->choices) {
        for (const cli_choice *c = o->choices; c->name && n < cap; c++)
            n += (size_t)snprintf(buf + n, cap - n, "%s%s", c == o->choices ? " One of " : ", ",
                                  c->name);
        if (n < cap) n += (size_t)snprintf(buf + n, cap - n, ".");
    }
    if (o->def && n < cap) n += (size_t)snprintf(buf + n, cap - n, " Default: %s.", o->def);
    for (const char *a = o->aliases; a && *a && n < cap;) {
        int len = (int)strcspn(a, " ");
        n += (size_t)snprintf(buf + n, cap - n, "%s--%.*s%s", a == o->aliases ? " Also " : ", ",
                              len, a, a[len] ? "" : ".");
        a += len + (a[len] == ' ');
    }
    return buf;
}

static bool has_table(const cli_command *c, const cli_option *table)
{
    for (const cli_group *g = c->groups; g && g->title; g++)
        if (g->options == table) return true;
    return false;
}

const char *cli_usage_line(const cli_command *c, char *buf, size_t cap)
{
    char name[64];
    snprintf(buf, cap, "%s%s%s%s%s [options]", cli_command_name(c, name, sizeof(name)),
             has_table(c, cli_model_table) ? " -m MODEL" : "",
             has_table(c, cli_ids_table)      ? " (-p TEXT | -f FILE | --ids LIST)"
             : has_table(c, cli_prompt_table) ? " (-p TEXT | -f FILE)"
                                              : "",
             c->operands ? " " : "", c->operands ? c->operands : "");
    return buf;
}

static void print_row(FILE *f, const char *left, const char *right)
{
    int n = fprintf(f, "  %s", left);
    if (n > COLUMN - 2) {
        fputc('\n', f);
        n = 0;
    }
    fprintf(f, "%*s", COLUMN - n, "");
    wrap_paragraph(f, right, strlen(right), COLUMN, WIDTH, COLUMN);
}

static void print_exits(FILE *f)
{
    char code[16];
    fputs("\nExit codes:\n", f);
    for (const cli_exit *e = cli_exits; e->meaning; e++) {
        snprintf(code, sizeof(code), "%d", e->code);
        fprintf(f, "  %3s  %s\n", code, e->meaning);
    }
}

void cli_help_command(FILE *f, const cli_command *c)
{
    cli_option_iter it = {0};
    char            text[1024];
    fprintf(f, "Usage: lockstep %s\n\n", cli_usage_line(c, text, sizeof(text)));
    snprintf(text, sizeof(text), "%s.", c->summary);
    cli_wrap(f, text, 0, WIDTH);
    if (c->details) {
        fputc('\n', f);
        cli_wrap(f, c->details, 0, WIDTH);
    }
    while (cli_next_option(c, &it)) {
        char form[64];
        if (it.first_of_group) fprintf(f, "\n%s:\n", it.title);
        print_row(f, cli_option_form(it.option, form, sizeof(form)),
                  cli_option_help(it.option, text, sizeof(text)));
    }
    if (c->examples) {
        fputs("\nExamples:\n", f);
        for (const char *p = c->examples; *p;) {
            size_t n = strcspn(p, "\n");
            fprintf(f, "  %.*s\n", (int)n, p);
            p += n + (p[n] == '\n');
        }
    }
}

static void print_commands(FILE *f, const char *noun)
{
    char name[64];
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->noun, noun) == 0)
            print_row(f, cli_command_name(*c, name, sizeof(name)), (*c)->summary);
}

void cli_help_noun(FILE *f, const char *noun)
{
    fprintf(f, "Usage: lockstep %s COMMAND [options]\n\n", noun);
    for (const cli_noun *n = cli_nouns; n->name; n++)
        if (strcmp(n->name, noun) == 0 && n->summary) fprintf(f, "%s\n\n", n->summary);
    fputs("Commands:\n", f);
    print_commands(f, noun);
    fprintf(f, "\n'lockstep %s COMMAND --help' explains one of them.\n", noun);
}

void cli_help_program(FILE *f)
{
    const char *title = NULL;
    fputs("Usage: lockstep COMMAND [options]\n\n", f);
    cli_wrap(f,
             "Runs one language model in two inference engines, in lockstep, and says whether "
             "they compute the same thing and, where they do not, at which token they part.\n",
             0, WIDTH);
    for (const cli_noun *n = cli_nouns; n->name; n++) {
        if (!title || strcmp(title, n->title) != 0) fprintf(f, "\n%s:\n", n->title);
        title = n->title;
        print_commands(f, n->name);
    }
    print_exits(f);
    fputs("\n'lockstep COMMAND --help' explains a command.\n", f);
}
