// SPDX-License-Identifier: MIT
/* framework.h - what the files of the framework share: parsing, help, completion, man page. */
#ifndef LS_CLI_FRAMEWORK_H
#define LS_CLI_FRAMEWORK_H

#include "cli/cli.h"

/* Nouns in the order of the help, with the line that describes them; ends with a NULL name. */
typedef struct cli_noun {
    const char *name;
    const char *summary;
    const char *title; /* heading in the program's help */
} cli_noun;
extern const cli_noun cli_nouns[];

/* The exit codes of the public contract; ends with a NULL meaning. */
typedef struct cli_exit {
    int         code;
    const char *meaning;
} cli_exit;
extern const cli_exit cli_exits[];

/* Command by noun and verb (NULL: none given); NULL if there is none. */
const cli_command *cli_find_command(const char *noun, const char *verb);
bool               cli_is_noun(const char *word);
/* Full name, "crossval per-token". Returns buf. */
const char *cli_command_name(const cli_command *c, char *buf, size_t cap);

/* Options of every command: --help, --quiet, --errors; and --json for those that report. The field
 * offsets are into cli_common. */
typedef struct cli_common {
    bool help, quiet, json;
    int  errors; /* 1: JSON */
} cli_common;
extern const cli_option cli_common_table[], cli_json_table[];

/* Walk every option of a command, its own groups first, then the common ones. Call with *it
 * zeroed; false at the end. `off` is the offset within the command's struct, and `common` says
 * that it is within cli_common instead. */
typedef struct cli_option_iter {
    size_t            group, index;
    const cli_option *option;
    const char       *title;
    size_t            off;
    bool              common, first_of_group;
} cli_option_iter;
bool cli_next_option(const cli_command *c, cli_option_iter *it);

/* Parse the words after the command's name. ctx->args borrows from argv.
 * Errors: USAGE, naming the word. */
ls_status cli_parse(cli_context *ctx, cli_common *common, void *opts, int argc, char **argv,
                    ls_error *err);

/* Of the words offered one by one, the one most like `typed`, if it is near enough to be a slip
 * of the finger; `best` is then what was to be said for it. Start with `typed` set, the rest zero. */
typedef struct cli_closest {
    const char *typed, *best;
    size_t      distance;
} cli_closest;
void cli_closest_offer(cli_closest *c, const char *word, const char *say);

/* Point to the command's --help where the error has no hint yet. Returns the recorded status. */
ls_status cli_hint_help(const cli_context *ctx, ls_error *err);

/* Help texts. */
void cli_help_program(FILE *f);
void cli_help_noun(FILE *f, const char *noun);
void cli_help_command(FILE *f, const cli_command *c);
void cli_help_man(FILE *f);
/* "run -m MODEL (-p TEXT | -f FILE) [options]". Returns buf. */
const char *cli_usage_line(const cli_command *c, char *buf, size_t cap);
/* Print text wrapped at `width` columns with every line indented; blank lines part paragraphs and
 * lines that begin with a space are kept as they are. */
void cli_wrap(FILE *f, const char *text, int indent, int width);
/* One paragraph where the cursor already stands at column `indent`. */
void cli_wrap_rest(FILE *f, const char *text, int indent, int width);
/* The option's form for help: "-n, --n-predict N". Returns buf. */
const char *cli_option_form(const cli_option *o, char *buf, size_t cap);
/* The option's help with its choices and its default. Returns buf. */
const char *cli_option_help(const cli_option *o, char *buf, size_t cap);

/* Completion scripts. */
void cli_complete_bash(FILE *f);
void cli_complete_zsh(FILE *f);
void cli_complete_fish(FILE *f);

#endif
