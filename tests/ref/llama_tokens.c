// SPDX-License-Identifier: MIT
/* llama_tokens.c - ids of a text, read through llama.h alone. Compiled by tests against an
 * installation's own headers.
 *
 *   usage: llama_tokens LIBRARY_FOLDER MODEL TEXT_FILE OUT [MODEL TEXT_FILE OUT]...
 *
 * Special tokens are added as the vocabulary wants them and not looked for in the text; writes each
 * OUT, ids on one line. */
#define WITNESS "llama_tokens"
#include "llama_lib.h"

static char *read_text(const char *path, int32_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text;
    long  size;
    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) die("no text");
    rewind(f);
    text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) die("cannot read the text");
    fclose(f);
    *n = (int32_t)size;
    return text;
}

static void write_ids(const struct llama_vocab *vocab, const char *text_path, const char *out_path)
{
    int32_t      len, n;
    char        *text = read_text(text_path, &len);
    llama_token *ids = malloc(((size_t)len + 16) * sizeof(*ids));
    FILE        *out = fopen(out_path, "w");
    if (!ids || !out) die("cannot write");
    n = CALL(llama_tokenize)(vocab, text, len, ids, len + 16, true, false);
    if (n < 0) die("more ids than bytes");
    for (int32_t i = 0; i < n; i++) fprintf(out, i ? " %d" : "%d", ids[i]);
    fputc('\n', out);
    if (fclose(out) != 0) die("cannot write");
    free(ids);
    free(text);
}

int main(int argc, char **argv)
{
    struct llama_model *model = NULL;
    if (argc < 5) die("usage: llama_tokens LIBRARY_FOLDER MODEL TEXT_FILE OUT...");
    load_llama(argv[1]);
    for (int i = 2; i + 2 < argc; i += 3) {
        struct llama_model_params mp = CALL(llama_model_default_params)();
        mp.vocab_only = true;
        mp.n_gpu_layers = 0;
        if (i == 2 || strcmp(argv[i], argv[i - 3]) != 0) {
            if (model) CALL(llama_model_free)(model);
            model = CALL(llama_model_load_from_file)(argv[i], mp);
            if (!model) die("the vocabulary does not load");
        }
        write_ids(CALL(llama_model_get_vocab)(model), argv[i + 1], argv[i + 2]);
    }
    CALL(llama_model_free)(model);
    return 0;
}
