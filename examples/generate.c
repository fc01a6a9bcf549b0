// SPDX-License-Identifier: MIT
/* generate.c - continue a text, greedily: generate MODEL.gguf PROMPT [TOKENS]
 *
 * cc generate.c $(pkg-config --cflags --libs lockstep) -o generate
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/lockstep.h>

static ls_status generate(const char *path, const char *prompt, int n_tokens, ls_error *err)
{
    ls_session_options opt = {.kv_type = LS_DTYPE_F16};
    ls_encode_options  encode = {.bos = LS_BOS_AUTO};
    ls_model          *model = NULL;
    ls_tokenizer      *tokenizer = NULL;
    ls_session        *session = NULL;
    int32_t           *ids = NULL, next;
    size_t             n = 0;
    const float       *logits;
    ls_status          st = ls_model_open(&model, path, err);

    if (st == LS_OK) st = ls_tokenizer_create(&tokenizer, ls_model_gguf(model), err);
    if (st == LS_OK) st = ls_session_create(&session, model, &opt, err);
    if (st == LS_OK)
        st = ls_tokenizer_encode(tokenizer, prompt, strlen(prompt), &encode, &ids, &n, err);
    if (st == LS_OK) st = ls_session_eval(session, ids, n, err);
    fputs(prompt, stdout);
    for (size_t last = n - 1; st == LS_OK && n_tokens-- > 0; last = 0) {
        char piece[256];
        st = ls_session_logits(session, last, &logits, err);
        if (st != LS_OK) break;
        next = ls_argmax(logits, (size_t)ls_tokenizer_n_vocab(tokenizer));
        if (ls_tokenizer_is_end(tokenizer, next)) break;
        fwrite(piece, 1, ls_tokenizer_piece(tokenizer, next, false, piece, sizeof(piece)), stdout);
        st = ls_session_eval(session, &next, 1, err);
    }
    putchar('\n');
    free(ids);
    ls_session_destroy(session);
    ls_tokenizer_destroy(tokenizer);
    ls_model_close(model);
    return st;
}

int main(int argc, char **argv)
{
    ls_error err = {0};
    if (argc < 3) return fprintf(stderr, "usage: generate MODEL.gguf PROMPT [TOKENS]\n"), 64;
    if (generate(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 32, &err) != LS_OK)
        fprintf(stderr, "generate: %s\n", err.what);
    return ls_exit_code(err.status, &err);
}
