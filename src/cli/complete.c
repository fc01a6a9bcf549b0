// SPDX-License-Identifier: MIT
/* complete.c - completion scripts for bash, zsh and fish, from the tables.
 *
 * The scripts are static: completing a word never runs the program.
 */
#include <string.h>

#include "cli/framework.h"

static bool completes_path(const cli_option *o)
{
    return o->metavar && (strcmp(o->metavar, "FILE") == 0 || strcmp(o->metavar, "MODEL") == 0);
}

static bool completes_dir(const cli_option *o)
{
    return o->metavar && strcmp(o->metavar, "DIR") == 0;
}

/* The values of an option separated by `sep`; nothing if they cannot be listed. */
static void put_values(FILE *f, const cli_option *o, const char *sep)
{
    const char *word;
    if (o->choices)
        for (const cli_choice *c = o->choices; c->name; c++)
            fprintf(f, "%s%s", c == o->choices ? "" : sep, c->name);
    else if (o->suggest)
        for (size_t i = 0; (word = o->suggest(i)) != NULL; i++)
            fprintf(f, "%s%s", i ? sep : "", word);
}

static void put_nouns(FILE *f)
{
    for (const cli_noun *n = cli_nouns; n->name; n++)
        fprintf(f, "%s%s", n == cli_nouns ? "" : " ", n->name);
}

/* Verbs of a noun, separated by spaces; false if it has none. */
static bool put_verbs(FILE *f, const char *noun)
{
    bool any = false;
    for (const cli_command *const *c = cli_commands; *c; c++) {
        if (!(*c)->verb || strcmp((*c)->noun, noun) != 0) continue;
        if (f) fprintf(f, "%s%s", any ? " " : "", (*c)->verb);
        any = true;
    }
    return any;
}

/* ---- bash ---- */

static void bash_command(FILE *f, const cli_command *c)
{
    cli_option_iter it = {0};
    char            name[64];
    fprintf(f, "    '%s')\n        case $prev in\n", cli_command_name(c, name, sizeof(name)));
    while (cli_next_option(c, &it)) {
        const cli_option *o = it.option;
        if (o->kind == CLI_FLAG) continue;
        fputs("        ", f);
        if (o->letter) fprintf(f, "-%c|", o->letter);
        fprintf(f, "--%s) ", o->name);
        if (completes_path(o))
            fputs("_lockstep_reply -o filenames -f", f);
        else if (completes_dir(o))
            fputs("_lockstep_reply -o filenames -d", f);
        else if (o->choices || o->suggest) {
            fputs("_lockstep_reply -W '", f);
            put_values(f, o, " ");
            fputc('\'', f);
        } else
            fputs(":", f);
        fputs("; return;;\n", f);
    }
    fputs("        esac\n        words='", f);
    for (const char *const *w = c->operand_words; w && *w; w++) fprintf(f, "%s ", *w);
    it = (cli_option_iter){0};
    while (cli_next_option(c, &it)) fprintf(f, "--%s ", it.option->name);
    fputs("';;\n", f);
}

void cli_complete_bash(FILE *f)
{
    fputs("# bash completion for lockstep\n_lockstep_reply()\n{\n"
          "    [ \"$1\" = -o ] && compopt -o filenames 2>/dev/null\n"
          "    mapfile -t COMPREPLY < <(compgen \"$@\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n}\n"
          "_lockstep()\n{\n"
          "    local prev=${COMP_WORDS[COMP_CWORD-1]} words='' command=''\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        _lockstep_reply -W '",
          f);
    put_nouns(f);
    fputs(" --help --version'\n        return\n    fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          f);
    for (const cli_noun *n = cli_nouns; n->name; n++) {
        if (!put_verbs(NULL, n->name)) continue;
        fprintf(f,
                "    %s)\n        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                "            _lockstep_reply -W '",
                n->name);
        put_verbs(f, n->name);
        fputs(" --help'\n            return\n        fi\n"
              "        command=\"${COMP_WORDS[1]} ${COMP_WORDS[2]}\";;\n",
              f);
    }
    fputs("    *) command=${COMP_WORDS[1]};;\n    esac\n    case $command in\n", f);
    for (const cli_command *const *c = cli_commands; *c; c++) bash_command(f, *c);
    fputs("    esac\n    _lockstep_reply -W \"$words\"\n}\n"
          "complete -F _lockstep lockstep\n",
          f);
}

/* ---- zsh ---- */

/* Text inside '...' and inside the brackets or after the colon of a _arguments form. */
static void zsh_text(FILE *f, const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", f);
        else if (strchr("[]:\\", *s))
            fprintf(f, "\\%c", *s);
        else
            fputc(*s, f);
    }
}

static void zsh_option(FILE *f, const cli_option *o, const char *form, const char *kind)
{
    fprintf(f, " \\\n            '%s%s%s[", o->kind == CLI_LIST || o->kind == CLI_ENUMS ? "*" : "",
            form, kind);
    zsh_text(f, o->help);
    fputc(']', f);
    if (o->kind != CLI_FLAG) {
        fprintf(f, ":%s:", o->metavar);
        if (completes_path(o))
            fputs("_files", f);
        else if (completes_dir(o))
            fputs("_files -/", f);
        else if (o->choices || o->suggest) {
            fputc('(', f);
            put_values(f, o, " ");
            fputc(')', f);
        }
    }
    fputc('\'', f);
}

static void zsh_command(FILE *f, const cli_command *c)
{
    cli_option_iter it = {0};
    char            form[80];
    fprintf(f, "        '%s')\n        _arguments -s", cli_command_name(c, form, sizeof(form)));
    while (cli_next_option(c, &it)) {
        bool takes = it.option->kind != CLI_FLAG;
        snprintf(form, sizeof(form), "--%s", it.option->name);
        zsh_option(f, it.option, form, takes ? "=" : "");
        if (!it.option->letter) continue;
        snprintf(form, sizeof(form), "-%c", it.option->letter);
        zsh_option(f, it.option, form, takes ? "+" : "");
    }
    if (c->operand_words) {
        fputs(" \\\n            '*:argument:(", f);
        for (const char *const *w = c->operand_words; *w; w++) fprintf(f, "%s ", *w);
        fputs(")'", f);
    }
    fputs(";;\n", f);
}

/* An array of 'word:description' for _describe. */
static void zsh_describe(FILE *f, const char *word, const char *summary)
{
    fprintf(f, " '%s:", word);
    zsh_text(f, summary);
    fputc('\'', f);
}

static const char *noun_summary(const cli_noun *n)
{
    const cli_command *c = cli_find_command(n->name, NULL);
    return c ? c->summary : n->summary;
}

void cli_complete_zsh(FILE *f)
{
    fputs("#compdef lockstep\n_lockstep()\n{\n    local command\n    local -a list\n"
          "    if (( CURRENT == 2 )); then\n        list=(",
          f);
    for (const cli_noun *n = cli_nouns; n->name; n++) zsh_describe(f, n->name, noun_summary(n));
    fputs(")\n        _describe command list\n        return\n    fi\n    case $words[2] in\n", f);
    for (const cli_noun *n = cli_nouns; n->name; n++) {
        if (!put_verbs(NULL, n->name)) continue;
        fprintf(f, "    %s)\n        if (( CURRENT == 3 )); then\n            list=(", n->name);
        for (const cli_command *const *c = cli_commands; *c; c++)
            if ((*c)->verb && strcmp((*c)->noun, n->name) == 0)
                zsh_describe(f, (*c)->verb, (*c)->summary);
        fputs(")\n            _describe command list\n            return\n        fi\n"
              "        command=\"$words[2] $words[3]\"\n        shift 2 words\n"
              "        (( CURRENT -= 2 ));;\n",
              f);
    }
    fputs("    *)\n        command=$words[2]\n        shift words\n        (( CURRENT-- ));;\n"
          "    esac\n"
          "    case $command in\n",
          f);
    for (const cli_command *const *c = cli_commands; *c; c++) zsh_command(f, *c);
    fputs("    esac\n}\n_lockstep \"$@\"\n", f);
}

/* ---- fish ---- */

static void fish_text(FILE *f, const char *s)
{
    fputc('\'', f);
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') fputc('\\', f);
        fputc(*s, f);
    }
    fputc('\'', f);
}

static void fish_condition(FILE *f, const cli_command *c)
{
    fprintf(f, "complete -c lockstep -n '__fish_seen_subcommand_from %s", c->noun);
    if (c->verb) fprintf(f, "; and __fish_seen_subcommand_from %s", c->verb);
    fputc('\'', f);
}

static void fish_command(FILE *f, const cli_command *c)
{
    cli_option_iter it = {0};
    while (cli_next_option(c, &it)) {
        const cli_option *o = it.option;
        fish_condition(f, c);
        fprintf(f, " -l %s", o->name);
        if (o->letter) fprintf(f, " -s %c", o->letter);
        if (completes_path(o))
            fputs(" -r -F", f);
        else if (completes_dir(o))
            fputs(" -x -a '(__fish_complete_directories)'", f);
        else if (o->kind != CLI_FLAG)
            fputs(" -x", f);
        if (o->choices || o->suggest) {
            fputs(" -a '", f);
            put_values(f, o, " ");
            fputc('\'', f);
        }
        fputs(" -d ", f);
        fish_text(f, o->help);
        fputc('\n', f);
    }
    for (const char *const *w = c->operand_words; w && *w; w++) {
        fish_condition(f, c);
        fprintf(f, " -a %s\n", *w);
    }
}

void cli_complete_fish(FILE *f)
{
    fputs("# fish completion for lockstep\ncomplete -c lockstep -f\n", f);
    for (const cli_noun *n = cli_nouns; n->name; n++) {
        fprintf(f, "complete -c lockstep -n __fish_use_subcommand -a %s -d ", n->name);
        fish_text(f, noun_summary(n));
        fputc('\n', f);
    }
    for (const cli_command *const *c = cli_commands; *c; c++) {
        if ((*c)->verb) {
            fprintf(f,
                    "complete -c lockstep -n '__fish_seen_subcommand_from %s; and not "
                    "__fish_seen_subcommand_from ",
                    (*c)->noun);
            put_verbs(f, (*c)->noun);
            fprintf(f, "' -a %s -d ", (*c)->verb);
            fish_text(f, (*c)->summary);
            fputc('\n', f);
        }
        fish_command(f, *c);
    }
}
