// SPDX-License-Identifier: MIT
/* inspect.c - what is in a GGUF file: inspect MODEL.gguf
 *
 * cc inspect.c $(pkg-config --cflags --libs lockstep) -o inspect
 */
#include <stdio.h>

#include <lockstep/lockstep.h>

int main(int argc, char **argv)
{
    ls_gguf *g = NULL;
    ls_error err = {0};

    if (argc != 2) {
        fprintf(stderr, "usage: inspect MODEL.gguf\n");
        return 64;
    }
    if (ls_gguf_open(&g, argv[1], &err) != LS_OK) {
        fprintf(stderr, "inspect: %s\n     at: %s\n", err.what, err.where);
        return ls_exit_code(err.status, &err);
    }
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        char              value[80];
        ls_gguf_format(kv, value, sizeof(value));
        printf("%.*s = %s\n", LS_FMT(kv->key), value);
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        printf("%.*s: %s, %lld x %lld, %zu bytes at %llu\n", LS_FMT(t->name),
               ls_dtype_name(t->dtype), (long long)t->ne[0], (long long)t->ne[1], t->n_bytes,
               (unsigned long long)t->file_off);
    }
    ls_gguf_close(g);
    return 0;
}
