// SPDX-License-Identifier: MIT
/* input.h - a model and what it is to read: the options for it, and how they become token ids. The same for every
 * command that evaluates a prompt. */
#ifndef LS_CLI_INPUT_H
#define LS_CLI_INPUT_H

#include "cli/cli.h"

typedef struct cli_input_opts {
    cli_model_opts    model;
    cli_prompt_opts   prompt;
    cli_ids_opts      ids;
    cli_template_opts chat;
} cli_input_opts;
#define CLI_INPUT_DEFAULTS                                                                         \
    {                                                                                              \
        .chat = CLI_TEMPLATE_DEFAULTS                                                              \
    }

/* The groups of options, for a command's struct with the above at offset `at`. */
#define CLI_INPUT_GROUPS(at)                                                                       \
    {"Model and prompt", cli_model_table, (at) + offsetof(cli_input_opts, model)},                 \
        {"Model and prompt", cli_prompt_table, (at) + offsetof(cli_input_opts, prompt)},           \
        {"Model and prompt", cli_ids_table, (at) + offsetof(cli_input_opts, ids)},                 \
    {                                                                                              \
        "Model and prompt", cli_template_table, (at) + offsetof(cli_input_opts, chat)              \
    }

typedef struct cli_input {
    char         *text; /* of the prompt option; NULL: ids were given */
    size_t        len;
    ls_gguf      *gguf;
    ls_tokenizer *tokenizer;
    ls_prompt     prompt; /* the text in its template; empty where ids were given */
    int32_t      *ids;    /* those given; cli_input_encode makes them of a text, else NULL */
    size_t        n_ids;
} cli_input;

/* Is there a model and one kind of prompt? Reads the prompt. Errors: USAGE, IO, NOMEM. */
ls_status cli_input_check(const cli_context *ctx, const cli_input_opts *o, cli_input *in,
                          ls_error *err);
/* The model, its tokenizer, the text in its template or the ids. Errors: as ls_gguf_open,
 * ls_tokenizer_create, cli_template_apply and cli_ids_read. */
ls_status cli_input_open(const cli_context *ctx, const cli_input_opts *o, cli_input *in,
                         ls_error *err);
/* For a single engine: the ids of the text, with a beginning-of-text token as --bos says, else as template
 * and model do. Nothing where ids were given. Errors: as ls_tokenizer_encode. */
ls_status cli_input_encode(const cli_input_opts *o, cli_input *in, ls_error *err);
void      cli_input_fini(cli_input *in); /* zeroed is allowed */

#endif
