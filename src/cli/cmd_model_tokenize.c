// SPDX-License-Identifier: MIT
/* cmd_model_tokenize.c - `lockstep model tokenize`: the token ids of a text. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"

typedef struct tokenize_opts {
    cli_model_opts  model;
    cli_prompt_opts prompt;
    bool            ids, no_bos, special;
} tokenize_opts;

static const char *const type_names[] = {
    [LS_TOKEN_UNDEFINED] = "undefined", [LS_TOKEN_NORMAL] = "normal",
    [LS_TOKEN_UNKNOWN] = "unknown",     [LS_TOKEN_CONTROL] = "control",
    [LS_TOKEN_USER_DEFINED] = "user",   [LS_TOKEN_UNUSED] = "unused",
    [LS_TOKEN_BYTE] = "byte",
};

static const char *type_name(const ls_tokenizer *t, int32_t id)
{
    size_t type = (size_t)ls_tokenizer_type(t, id);
    return type < sizeof(type_names) / sizeof(type_names[0]) ? type_names[type] : "undefined";
}

/* The text of a token, control tokens written out; *buf grows as needed. */
static ls_status piece(const ls_tokenizer *t, int32_t id, char **buf, size_t *cap, ls_str *out,
                       ls_error *err)
{
    char   none;
    size_t len = ls_tokenizer_piece(t, id, true, *buf ? *buf : &none, *cap);
    if (len > *cap) {
        char *grown = realloc(*buf, len);
        if (!grown) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a token's text");
        *buf = grown;
        *cap = len;
        ls_tokenizer_piece(t, id, true, *buf, *cap);
    }
    *out = (ls_str){*buf, len};
    return LS_OK;
}

static void print_ids(const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) printf("%s%d", i ? " " : "", (int)ids[i]);
    putchar('\n');
}

static ls_status print_pieces(const ls_tokenizer *t, const int32_t *ids, size_t n, ls_error *err)
{
    char     *buf = NULL;
    size_t    cap = 0;
    ls_status status = LS_OK;
    int       width = snprintf(NULL, 0, "%d", (int)ls_tokenizer_n_vocab(t));
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        ls_str s = {NULL, 0};
        status = piece(t, ids[i], &buf, &cap, &s, err);
        if (status != LS_OK) break;
        printf("%*d  ", width, (int)ids[i]);
        cli_print_quoted(stdout, s, 0);
        if (ls_tokenizer_type(t, ids[i]) != LS_TOKEN_NORMAL) printf("  (%s)", type_name(t, ids[i]));
        putchar('\n');
    }
    free(buf);
    return status;
}

static ls_status print_json(const tokenize_opts *o, const ls_tokenizer *t, const int32_t *ids,
                            size_t n, ls_error *err)
{
    json_t   *tokens = json_array(), *list = json_array();
    char     *buf = NULL;
    size_t    cap = 0;
    ls_status status = LS_OK;
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        ls_str s = {NULL, 0};
        status = piece(t, ids[i], &buf, &cap, &s, err);
        json_array_append_new(list, json_integer(ids[i]));
        if (status == LS_OK)
            json_array_append_new(tokens, json_pack("{s:i, s:o, s:s}", "id", (int)ids[i], "text",
                                                    cli_json_text(s.p, s.len), "type",
                                                    type_name(t, ids[i])));
    }
    free(buf);
    if (status != LS_OK) {
        json_decref(tokens);
        json_decref(list);
        return status;
    }
    return cli_json_print(json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "schema",
                                    "lockstep.tokens/1", "model", o->model.path, "tokenizer",
                                    ls_tokenizer_model(t), "pre", ls_tokenizer_pre(t), "count",
                                    (json_int_t)n, "ids", list, "tokens", tokens),
                          NULL, err);
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const tokenize_opts *o = opts;
    ls_encode_options    encode = {.bos = o->no_bos ? LS_BOS_NO : LS_BOS_AUTO,
                                   .parse_special = o->special};
    ls_gguf             *g = NULL;
    ls_tokenizer        *t = NULL;
    char                *text = NULL;
    int32_t             *ids = NULL;
    size_t               len = 0, n = 0;
    ls_status            status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    status = cli_prompt_read(ctx, &o->prompt, &text, &len, err);
    if (status == LS_OK) status = ls_gguf_open(&g, o->model.path, err);
    if (status == LS_OK) status = ls_tokenizer_create(&t, g, err);
    if (status == LS_OK) status = ls_tokenizer_encode(t, text, len, &encode, &ids, &n, err);
    if (status == LS_OK && ctx->json)
        status = print_json(o, t, ids, n, err);
    else if (status == LS_OK && o->ids)
        print_ids(ids, n);
    else if (status == LS_OK)
        status = print_pieces(t, ids, n, err);
    free(ids);
    free(text);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
    return status;
}

static const cli_option table[] = {
    {.name = "ids",
     .kind = CLI_FLAG,
     .off = offsetof(tokenize_opts, ids),
     .help = "Print the ids alone, on one line."},
    {.name = "no-bos",
     .kind = CLI_FLAG,
     .off = offsetof(tokenize_opts, no_bos),
     .help = "Do not put the beginning-of-text token first where the model asks for it."},
    {.name = "special",
     .kind = CLI_FLAG,
     .off = offsetof(tokenize_opts, special),
     .help = "Take the text of control tokens (<|eot_id|>) for the token, not for its letters."},
    {0},
};

static const cli_group groups[] = {
    {"Model and text", cli_model_table, offsetof(tokenize_opts, model)},
    {"Model and text", cli_prompt_table, offsetof(tokenize_opts, prompt)},
    {"Tokens", table, 0},
    {0},
};

const cli_command cli_cmd_model_tokenize = {
    .noun = "model",
    .verb = "tokenize",
    .summary = "Show the token ids of a text",
    .details = "One line per token: its id and its text. Needs the vocabulary of the file alone, "
               "no weights.\n",
    .examples = "$ lockstep model tokenize -m model.gguf -p \"Once upon a time\"\n"
                "$ lockstep model tokenize -m model.gguf -f story.txt --ids --no-bos\n",
    .groups = groups,
    .opts_bytes = sizeof(tokenize_opts),
    .reports = true,
    .run = run,
};
