// SPDX-License-Identifier: MIT
/* input.c - from the options to a model, its tokenizer, and text or token ids. */
#include "cli/input.h"

#include <stdlib.h>

ls_status cli_input_check(const cli_context *ctx, const cli_input_opts *o, cli_input *in,
                          ls_error *err)
{
    LS_TRY(cli_model_check(ctx, &o->model, err));
    return o->ids.text ? LS_OK : cli_prompt_read(ctx, &o->prompt, &in->text, &in->len, err);
}

ls_status cli_input_open(const cli_context *ctx, const cli_input_opts *o, cli_input *in,
                         ls_error *err)
{
    LS_TRY(ls_gguf_open(&in->gguf, o->model.path, err));
    LS_TRY(ls_tokenizer_create(&in->tokenizer, in->gguf, err));
    if (o->ids.text)
        return cli_ids_read(ctx, &o->ids, ls_tokenizer_n_vocab(in->tokenizer), &in->ids, &in->n_ids,
                            err);
    return cli_template_apply(ctx, &o->chat, in->text, in->len, in->tokenizer, in->gguf,
                              &in->prompt, err);
}

ls_status cli_input_encode(const cli_input_opts *o, cli_input *in, ls_error *err)
{
    if (in->ids) return LS_OK;
    if (o->chat.bos != LS_BOS_AUTO) in->prompt.encode.bos = (ls_bos_mode)o->chat.bos;
    return ls_tokenizer_encode(in->tokenizer, in->prompt.text, in->prompt.len, &in->prompt.encode,
                               &in->ids, &in->n_ids, err);
}

void cli_input_fini(cli_input *in)
{
    ls_prompt_fini(&in->prompt);
    ls_tokenizer_destroy(in->tokenizer);
    ls_gguf_close(in->gguf);
    free(in->text);
    free(in->ids);
    *in = (cli_input){0};
}
