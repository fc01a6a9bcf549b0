// SPDX-License-Identifier: MIT
/* tj.c - a tokenizer from tokenizer.json, and from the tokenizer_config.json beside it what its BOS
 * and EOS tokens are. */
#include "text/tj.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static ls_status parse(json_t **root, const char *path, ls_str json, ls_error *err)
{
    json_error_t e;
    *root = json_loadb(json.p, json.len, JSON_ALLOW_NUL, &e);
    if (*root && json_is_object(*root)) return LS_OK;
    if (*root) {
        json_decref(*root);
        *root = NULL;
        ls_fail(err, LS_ERR_FORMAT, "the file is JSON, but no object");
        ls_fail_at(err, "%s", path);
        return LS_ERR_FORMAT;
    }
    if (json_error_code(&e) == json_error_out_of_memory) {
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a tokenizer");
    }
    ls_fail(err, LS_ERR_FORMAT, "the file is no JSON: %s", e.text);
    ls_fail_at(err, "%s: line %d, column %d (byte %d)", path, e.line, e.column, e.position);
    return LS_ERR_FORMAT;
}

/* "bos_token": a text, or an object that has it. */
static void find_named(const ls_tokenizer *t, const json_t *config, const char *key, int32_t *id)
{
    const json_t *v = json_object_get(config, key);
    int32_t       found;
    if (json_is_object(v)) v = json_object_get(v, "content");
    if (!json_is_string(v)) return;
    found = ls_str_map_get(&t->ids, (ls_str){json_string_value(v), json_string_length(v)});
    if (found >= 0) *id = found;
}

static ls_status read_config(ls_tokenizer *t, ls_str config, ls_error *err)
{
    json_t *root;
    if (config.len == 0) return LS_OK;
    LS_TRY(parse(&root, "tokenizer_config.json", config, err));
    find_named(t, root, "bos_token", &t->bos);
    find_named(t, root, "eos_token", &t->eos);
    json_decref(root);
    return LS_OK;
}

static ls_status read_all(ls_tokenizer *t, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    LS_TRY(ls_tj_read_normalizer(t->tj, f, root, err));
    LS_TRY(ls_tj_read_pretok(t->tj, f, root, err));
    LS_TRY(ls_tj_read_decoder(t->tj, f, root, err));
    LS_TRY(ls_tj_read_vocab(t, f, root, err));
    LS_TRY(ls_tj_read_post(t, f, root, err));
    return ls_tj_decode_all(t, f, err);
}

ls_status ls_tj_open(ls_tokenizer *t, const char *path, ls_str json, ls_str config, ls_error *err)
{
    const ls_tj_file f = {path};
    json_t          *root;
    ls_status        status;
    t->bos = t->eos = t->eot = t->unk = t->sep = -1;
    LS_TRY(ls_alloc(&t->tj, 1, sizeof(*t->tj), "a tokenizer", err));
    LS_TRY(parse(&root, path, json, err));
    status = read_all(t, &f, root, err);
    json_decref(root);
    if (status != LS_OK) return status;
    t->add_bos = t->tj->before.n > 0;
    LS_TRY(read_config(t, config, err));
    ls_vocab_mark_ends(t);
    return LS_OK;
}

void ls_tj_destroy(ls_tj *tj)
{
    if (!tj) return;
    ls_steps_fini(&tj->normalizer);
    ls_steps_fini(&tj->pretok);
    ls_steps_fini(&tj->decoder);
    ls_trie_fini(&tj->raw);
    ls_trie_fini(&tj->normal);
    ls_str_map_fini(&tj->model_ids);
    free(tj->before.at);
    free(tj->behind.at);
    free((void *)(uintptr_t)tj->prefix.p);
    free((void *)(uintptr_t)tj->suffix.p);
    free(tj->added);
    free(tj->texts);
    free(tj->pieces);
    free(tj->piece_texts);
    free(tj);
}
