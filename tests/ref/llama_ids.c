// SPDX-License-Identifier: MIT
/* llama_ids.c - token ids of files, read through llama.h alone: what the reference itself makes of
 * a text. Compiled by tests against an installation's own headers; shares no code with Lockstep.
 *
 *   usage: llama_ids LIBRARY_FOLDER VOCABULARY OUT TEXT [TEXT...]
 *
 * Loads nothing but the vocabulary. OUT: for each text one little-endian int32, the number of its
 * ids, and then the ids; without special tokens in the text and without BOS or EOS; then the length
 * in bytes of what the ids decode to, and that text, padded to a multiple of four. -1: it failed.
 */
#define WITNESS "llama_ids"
#include "llama_lib.h"

static char *read_text(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text;
    long  size;
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) die(path);
    text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) die(path);
    fclose(f);
    *n = (size_t)size;
    return text;
}

static void write_text(const struct llama_vocab *vocab, const int32_t *ids, int32_t n, FILE *out)
{
    int32_t cap = 64 * n + 64, len;
    char   *text = calloc((size_t)cap + 4, 1);
    if (!text) die("no memory");
    len = CALL(llama_detokenize)(vocab, ids, n, text, cap, false, true);
    if (len < 0) die("a token is longer than 64 bytes");
    memset(text + len, 0, 4);
    fwrite(&len, sizeof(len), 1, out);
    fwrite(text, 4, ((size_t)len + 3) / 4, out);
    free(text);
}

static void write_ids(const struct llama_vocab *vocab, const char *path, FILE *out)
{
    size_t   len;
    char    *text = read_text(path, &len);
    int32_t  cap = (int32_t)(4 * len + 16), n;
    int32_t *ids = malloc((size_t)cap * sizeof(*ids));
    if (!ids) die("no memory");
    n = CALL(llama_tokenize)(vocab, text, (int32_t)len, ids, cap, false, false);
    if (n < 0) n = -1;
    fwrite(&n, sizeof(n), 1, out);
    if (n > 0) fwrite(ids, sizeof(*ids), (size_t)n, out);
    write_text(vocab, ids, n < 0 ? 0 : n, out);
    free(ids);
    free(text);
}

int main(int argc, char **argv)
{
    struct llama_model_params params;
    struct llama_model       *model;
    FILE                     *out;
    if (argc < 5) die("usage: llama_ids LIBRARY_FOLDER VOCABULARY OUT TEXT...");
    load_llama(argv[1]);
    params = CALL(llama_model_default_params)();
    params.vocab_only = true;
    model = CALL(llama_model_load_from_file)(argv[2], params);
    if (!model) die("the vocabulary cannot be loaded");
    out = fopen(argv[3], "wb");
    if (!out) die(argv[3]);
    for (int i = 4; i < argc; i++) {
        write_ids(CALL(llama_model_get_vocab)(model), argv[i], out);
    }
    if (fclose(out)) die(argv[3]);
    CALL(llama_model_free)(model);
    return 0;
}
