// SPDX-License-Identifier: MIT
/* cmd_model_tokenize.c - `lockstep model tokenize`: the token ids of a text, and the text of ids.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"

typedef struct tokenize_opts {
    cli_model_opts  model;
    cli_prompt_opts prompt;
    bool            ids, no_bos, special, decode;
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

static ls_status encode(cli_context *ctx, const tokenize_opts *o, const ls_tokenizer *t,
                        const char *text, size_t len, ls_error *err)
{
    ls_encode_options options = {.bos = o->no_bos ? LS_BOS_NO : LS_BOS_AUTO,
                                 .parse_special = o->special};
    int32_t          *ids = NULL;
    size_t            n = 0;
    ls_status         status;
    LS_TRY(ls_tokenizer_encode(t, text, len, &options, &ids, &n, err));
    if (ctx->json) {
        status = print_json(o, t, ids, n, err);
    } else if (o->ids) {
        status = LS_OK;
        print_ids(ids, n);
    } else {
        status = print_pieces(t, ids, n, err);
    }
    free(ids);
    return status;
}

/* ---- back to text ---- */

/* The number that the text goes on with, after white space and commas; *done at the end of it. */
static ls_status next_id(const cli_context *ctx, const ls_tokenizer *t, const char **at,
                         int32_t *id, bool *done, ls_error *err)
{
    char *end;
    long  v;
    while (isspace((unsigned char)**at) || **at == ',') ++*at;
    *done = **at == '\0';
    if (*done) return LS_OK;
    errno = 0;
    v = strtol(*at, &end, 10);
    if (end == *at || (*end && *end != ',' && !isspace((unsigned char)*end))) {
        return cli_usage(ctx, err, "'%.16s' does not start with a token id", *at);
    }
    if (errno || v < 0 || v >= ls_tokenizer_n_vocab(t)) {
        return cli_usage(ctx, err, "%.*s is no token id: they go from 0 to %d", (int)(end - *at),
                         *at, (int)ls_tokenizer_n_vocab(t) - 1);
    }
    *id = (int32_t)v;
    *at = end;
    return LS_OK;
}

static ls_status read_ids(const cli_context *ctx, const ls_tokenizer *t, const char *text,
                          size_t len, int32_t **ids, size_t *n, ls_error *err)
{
    bool done = false;
    *n = 0;
    if (strlen(text) != len) return cli_usage(ctx, err, "the ids have a NUL byte among them");
    *ids = calloc(len / 2 + 1, sizeof(**ids)); /* a digit and what parts it from the next */
    if (!*ids) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the ids");
    while (!done) {
        int32_t id = 0;
        LS_TRY(next_id(ctx, t, &text, &id, &done, err));
        if (!done) (*ids)[(*n)++] = id;
    }
    return LS_OK;
}

static ls_status decode(cli_context *ctx, const tokenize_opts *o, const ls_tokenizer *t,
                        const char *text, size_t len, ls_error *err)
{
    int32_t  *ids = NULL;
    char     *out = NULL;
    size_t    n = 0, out_len = 0;
    ls_status status = read_ids(ctx, t, text, len, &ids, &n, err);
    if (status == LS_OK) status = ls_tokenizer_decode(t, ids, n, o->special, &out, &out_len, err);
    free(ids);
    if (status == LS_OK && ctx->json) {
        status = cli_json_print(
            json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "schema", "lockstep.text/1", "model",
                      o->model.path, "tokenizer", ls_tokenizer_model(t), "pre", ls_tokenizer_pre(t),
                      "count", (json_int_t)n, "text", cli_json_text(out, out_len)),
            NULL, err);
    } else if (status == LS_OK) {
        fwrite(out, 1, out_len, stdout);
        putchar('\n');
    }
    free(out);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const tokenize_opts *o = opts;
    ls_tokenizer        *t = NULL;
    char                *text = NULL;
    size_t               len = 0;
    ls_status            status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    if (o->decode && (o->ids || o->no_bos)) {
        return cli_usage(ctx, err, "option '--decode' gives text: '--%s' is about ids",
                         o->ids ? "ids" : "no-bos");
    }
    status = cli_prompt_read(ctx, &o->prompt, &text, &len, err);
    if (status == LS_OK) status = ls_tokenizer_open(&t, o->model.path, err);
    if (status == LS_OK) status = (o->decode ? decode : encode)(ctx, o, t, text, len, err);
    free(text);
    ls_tokenizer_destroy(t);
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
     .help = "Take the text of control tokens (<|eot_id|>) for the token, not for its letters; "
             "with --decode, show them."},
    {.name = "decode",
     .kind = CLI_FLAG,
     .off = offsetof(tokenize_opts, decode),
     .help = "The other way: the text is a list of token ids, print what they spell."},
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
    .summary = "Show the token ids of a text, or the text of ids",
    .details =
        "One line per token: its id and its text. Needs a vocabulary alone, no weights: MODEL "
        "may be a GGUF file, a tokenizer.json, a SentencePiece tokenizer.model, or a folder "
        "that holds one of these.\n",
    .examples = "$ lockstep model tokenize -m model.gguf -p \"Once upon a time\"\n"
                "$ lockstep model tokenize -m model.gguf -f story.txt --ids --no-bos\n"
                "$ lockstep model tokenize -m tokenizer.json -p \"403 407 261 378\" --decode\n",
    .groups = groups,
    .opts_bytes = sizeof(tokenize_opts),
    .reports = true,
    .run = run,
};
