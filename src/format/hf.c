// SPDX-License-Identifier: MIT
/* hf.c - a Hugging Face folder shown as an ls_gguf: which files there are, and in which order they
 * are read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "format/hf_priv.h"

enum { MAX_CONFIG = 16 << 20, MAX_TOKENIZER = 512 << 20 };

/* FOLDER/name, owned. */
static ls_status join(char **out, const ls_hf *hf, const char *name)
{
    size_t n = strlen(hf->folder), m = strlen(name);
    char  *p = malloc(n + m + 1);
    *out = p;
    if (!p) return ls_fail(hf->err, LS_ERR_NOMEM, "not enough memory for a file name");
    memcpy(p, hf->folder, n);
    memcpy(p + n, name, m + 1);
    return LS_OK;
}

static ls_status find_folder(ls_hf *hf)
{
    static const char config[] = "config.json";
    const char       *path = hf->g->path;
    size_t            n = strlen(path), m = sizeof(config) - 1;
    struct stat       st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) n -= m; /* .../config.json */
    hf->folder = malloc(n + 3);
    if (!hf->folder) return ls_fail(hf->err, LS_ERR_NOMEM, "not enough memory for a file name");
    memcpy(hf->folder, path, n);
    hf->folder[n] = '\0';
    if (n == 0) strcpy(hf->folder, "./");
    if (n && path[n - 1] != '/') strcpy(hf->folder + n, "/");
    return LS_OK;
}

static ls_status open_config(ls_hf *hf)
{
    LS_TRY(join(&hf->config_path, hf, "config.json"));
    if (access(hf->config_path, F_OK) != 0) {
        ls_fail_errno(hf->err, errno, "cannot open the folder '%s' as a model: config.json",
                      hf->g->path);
        ls_fail_at(hf->err, "%s", hf->config_path);
        ls_fail_hint(hf->err, "a folder is a model when it holds config.json, model.safetensors "
                              "and tokenizer.json; or give a GGUF file");
        return LS_ERR_IO;
    }
    LS_TRY(ls_json_open(&hf->config, hf->config_path, MAX_CONFIG, hf->err));
    hf->text = json_object_get(hf->config.root, "text_config");
    if (!json_is_object(hf->text)) hf->text = NULL;
    return LS_OK;
}

static ls_status open_optional(ls_json *j, char **path, const ls_hf *hf, const char *name,
                               size_t limit)
{
    LS_TRY(join(path, hf, name));
    if (access(*path, F_OK) != 0) return LS_OK;
    return ls_json_open(j, *path, limit, hf->err);
}

static ls_status find_arch(ls_hf *hf)
{
    const json_t *list = json_object_get(hf->config.root, "architectures");
    ls_str        name = ls_json_str(json_array_get(list, 0));
    char          known[400];
    if (!name.p) {
        return ls_json_fail(&hf->config, "architectures", hf->err,
                            "config.json names no architecture (\"architectures\": [...])");
    }
    hf->arch = ls_hf_arch_find(hf, name);
    if (hf->arch) return LS_OK;
    ls_hf_arch_list(known, sizeof(known));
    ls_fail(hf->err, LS_ERR_UNSUPPORTED, "folders of architecture '%.*s' are not read",
            LS_FMT(name));
    ls_fail_at(hf->err, "%s", hf->config_path);
    ls_fail_hint(hf->err, "read are those of %s", known);
    return LS_ERR_UNSUPPORTED;
}

static ls_status open_weights(ls_hf *hf)
{
    static const char *const names[] = {"model.safetensors.index.json", "model.safetensors",
                                        "pytorch_model.bin.index.json", "pytorch_model.bin"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char     *path;
        ls_status status = LS_OK;
        bool      there;
        LS_TRY(join(&path, hf, names[i]));
        there = access(path, F_OK) == 0;
        if (there) status = ls_checkpoint_open(&hf->g->checkpoint, path, hf->err);
        free(path);
        if (!there) continue;
        hf->ckpt = hf->g->checkpoint;
        return status;
    }
    ls_fail(hf->err, LS_ERR_FORMAT, "the folder has no weights");
    ls_fail_at(hf->err, "%s", hf->folder);
    ls_fail_hint(hf->err, "expected model.safetensors, pytorch_model.bin, or the .index.json of "
                          "either, beside config.json");
    return LS_ERR_FORMAT;
}

/* Weights that were quantised for other programs; what is not here is refused by name. */
static ls_status check_quantisation(ls_hf *hf)
{
    static const char *const known[] = {"bitnet", "mxfp4"};
    const json_t            *q = ls_hf_get(hf, "quantization_config");
    ls_str                   method = ls_json_str(json_object_get(q, "quant_method"));
    if (!q) return LS_OK;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (method.p && ls_str_is(method, known[i])) return LS_OK;
    }
    ls_fail(hf->err, LS_ERR_UNSUPPORTED, "weights quantised by '%.*s' are not read",
            LS_FMT(method.p ? method : LS_STR("an unnamed method")));
    ls_fail_at(hf->err, "%s", hf->config_path);
    ls_fail_hint(hf->err, "give the folder of the model before it was quantised");
    return LS_ERR_UNSUPPORTED;
}

static ls_status read_all(ls_hf *hf)
{
    LS_TRY(find_folder(hf));
    LS_TRY(open_config(hf));
    LS_TRY(find_arch(hf));
    LS_TRY(check_quantisation(hf));
    LS_TRY(open_optional(&hf->tokenizer, &hf->tokenizer_path, hf, "tokenizer.json", MAX_TOKENIZER));
    LS_TRY(open_optional(&hf->tokenizer_config, &hf->tokenizer_config_path, hf,
                         "tokenizer_config.json", MAX_TOKENIZER));
    LS_TRY(open_optional(&hf->generation, &hf->generation_path, hf, "generation_config.json",
                         MAX_CONFIG));
    if (!hf->dry) LS_TRY(open_weights(hf));
    if (!hf->dry)
        LS_TRY(ls_alloc(&hf->used, ls_checkpoint_n_tensors(hf->ckpt), 1, "the tensors", hf->err));
    LS_TRY(ls_hf_read_sizes(hf));
    LS_TRY(ls_hf_read_config(hf));
    LS_TRY(ls_hf_read_generation(hf));
    if (!hf->dry) LS_TRY(ls_hf_read_tensors(hf));
    return ls_hf_read_vocab(hf);
}

ls_status ls_hf_read(ls_gguf *g, bool dry, ls_error *err)
{
    ls_hf     hf = {.g = g, .meta = {.mem = &g->mem}, .dry = dry, .err = err};
    ls_status status;
    g->source = LS_SOURCE_HF;
    g->version = 3;
    g->alignment = 32;
    status = read_all(&hf);
    g->kv = hf.meta.kv;
    g->n_kv = hf.meta.n;
    ls_json_free(&hf.config);
    ls_json_free(&hf.tokenizer);
    ls_json_free(&hf.tokenizer_config);
    ls_json_free(&hf.generation);
    free(hf.used);
    free(hf.folder);
    free(hf.config_path);
    free(hf.tokenizer_path);
    free(hf.tokenizer_config_path);
    free(hf.generation_path);
    return status == LS_OK ? ls_gguf_check_unique(g, err) : status;
}
