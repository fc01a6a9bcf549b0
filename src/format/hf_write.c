// SPDX-License-Identifier: MIT
/* hf_write.c - a Hugging Face folder put together: small files, then weights in one file or
 * several, beside the place where it is to be, and the rename at the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "format/hf_back.h"
#include "lockstep/safetensors_write.h"

enum { MAX_PATH_LEN = 4096, MAX_SHARDS = 99999 };
static const uint64_t shard_bytes = 5000000000; /* where the caller does not say */

/* ---- weights ---- */

/* Pieces [first, last) that go into one file. */
typedef struct shard {
    size_t first, last;
} shard;

static ls_status cut_shards(const ls_hf_back *b, shard **out, size_t *n)
{
    uint64_t limit = b->opt->max_shard_bytes ? b->opt->max_shard_bytes : shard_bytes, size = 0;
    size_t   cap = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < b->n_pieces; i++) {
        if (*n == 0 || size + b->pieces[i].n_bytes > limit) {
            LS_TRY(ls_grow(out, &cap, *n + 1, sizeof(**out), "the files", b->err));
            (*out)[(*n)++].first = i;
            size = 0;
        }
        (*out)[*n - 1].last = i + 1;
        size += b->pieces[i].n_bytes;
    }
    if (*n <= MAX_SHARDS) return LS_OK;
    return ls_fail(b->err, LS_ERR_USAGE, "files of %llu bytes would be %zu, more than %d",
                   (unsigned long long)limit, *n, MAX_SHARDS);
}

static void shard_name(char *buf, size_t cap, size_t i, size_t n)
{
    if (n == 1) {
        snprintf(buf, cap, "model.safetensors");
    } else {
        snprintf(buf, cap, "model-%05zu-of-%05zu.safetensors", i + 1, n);
    }
}

static ls_status fill_shard(const ls_hf_back *b, const shard *s, ls_safetensors_writer *w,
                            const char *path)
{
    size_t    largest = 0;
    void     *buf;
    ls_status status = ls_safetensors_note(w, "format", LS_STR("pt"), b->err);
    for (size_t i = s->first; i < s->last && status == LS_OK; i++) {
        const ls_hf_piece *p = &b->pieces[i];
        if (p->n_bytes > largest) largest = p->n_bytes;
        status = ls_safetensors_add(w, p->name, p->dtype, p->n_dims, p->shape, b->err);
    }
    if (status == LS_OK) status = ls_safetensors_begin(w, path, b->err);
    if (status != LS_OK) return status;
    LS_TRY(ls_alloc(&buf, largest, 1, "a tensor", b->err));
    for (size_t i = s->first; i < s->last && status == LS_OK; i++) {
        const ls_hf_piece *p = &b->pieces[i];
        status = p->fill(b, p, buf);
        if (status == LS_OK) status = ls_safetensors_data(w, buf, p->n_bytes, b->err);
        if (b->opt->progress) b->opt->progress(b->opt->progress_ctx, i + 1, b->n_pieces);
    }
    free(buf);
    return status == LS_OK ? ls_safetensors_finish(w, b->err) : status;
}

static ls_status write_shard(const ls_hf_back *b, const shard *s, const char *name)
{
    ls_safetensors_writer *w;
    char                   path[MAX_PATH_LEN];
    ls_status              status;
    int                    n = snprintf(path, sizeof(path), "%s%s", b->folder, name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return ls_fail(b->err, LS_ERR_USAGE, "the path of the folder is too long");
    }
    LS_TRY(ls_safetensors_writer_create(&w, b->err));
    status = fill_shard(b, s, w, path);
    ls_safetensors_writer_destroy(w);
    return status;
}

static ls_status write_index(const ls_hf_back *b, const shard *shards, size_t n)
{
    json_t   *map = json_object(), *root;
    uint64_t  total = 0;
    ls_status status;
    for (size_t k = 0; k < n; k++) {
        char name[64];
        shard_name(name, sizeof(name), k, n);
        for (size_t i = shards[k].first; i < shards[k].last; i++) {
            const ls_hf_piece *p = &b->pieces[i];
            json_object_setn_new(map, p->name.p, p->name.len, json_string(name));
            total += p->n_bytes;
        }
    }
    root =
        json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
    status = root ? ls_hf_back_json(b, "model.safetensors.index.json", root)
                  : ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for the index");
    json_decref(root);
    return status;
}

static ls_status write_weights(const ls_hf_back *b)
{
    shard    *shards;
    size_t    n;
    ls_status status = cut_shards(b, &shards, &n);
    for (size_t k = 0; k < n && status == LS_OK; k++) {
        char name[64];
        shard_name(name, sizeof(name), k, n);
        status = write_shard(b, &shards[k], name);
    }
    if (status == LS_OK && n > 1) status = write_index(b, shards, n);
    free(shards);
    return status;
}

/* ---- folders ---- */

/* What converters write: nothing else is ever removed. */
static bool is_model_file(const char *name)
{
    static const char *const endings[] = {".json", ".safetensors", ".jinja", "tokenizer.model"};
    size_t                   n = strlen(name);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t m = strlen(endings[i]);
        if (n >= m && strcmp(name + n - m, endings[i]) == 0) return true;
    }
    return strstr(name, ".tmp-") != NULL; /* of a run that was killed */
}

/* A regular file of a model? For every entry of a folder. */
static ls_status check_entries(const char *path, ls_error *err)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    ls_status      status = LS_OK;
    if (!d) return ls_fail_errno(err, errno, "cannot read the folder '%s'", path);
    while ((e = readdir(d)) != NULL && status == LS_OK) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (is_model_file(e->d_name) &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            continue;
        status = ls_fail(err, LS_ERR_USAGE, "the folder '%s' is not replaced: it holds '%s'", path,
                         e->d_name);
        ls_fail_hint(err, "a folder is replaced only where it holds nothing but a model's files");
    }
    closedir(d);
    return status;
}

static void remove_folder(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    if (!d) return;
    while ((e = readdir(d)) != NULL) {
        if (is_model_file(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    rmdir(path); /* stays if anything else is in it */
}

/* `tmp` takes the place of `path`; what is there goes to `old` first and away at the end. */
static ls_status take_place(const char *path, const char *tmp, const char *old, ls_error *err)
{
    bool there = access(path, F_OK) == 0;
    if (there && rename(path, old) != 0) {
        return ls_fail_errno(err, errno, "cannot replace the folder '%s'", path);
    }
    if (rename(tmp, path) != 0) {
        ls_fail_errno(err, errno, "cannot write the folder '%s'", path);
        if (there && rename(old, path) != 0) return LS_ERR_IO;
        return LS_ERR_IO;
    }
    if (there) remove_folder(old);
    return LS_OK;
}

static ls_status check_place(const char *path, const ls_convert_options *opt, ls_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) return LS_OK;
    if (!opt->replace) {
        return ls_fail(err, LS_ERR_USAGE, "'%s' is there already", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return ls_fail(err, LS_ERR_USAGE, "'%s' is there already and is no folder", path);
    }
    return check_entries(path, err);
}

/* Blocks that became floats: nobody takes F16 for what a Q4_K file held without being told. */
static void tell_decoded(const ls_hf_back *b)
{
    size_t n = 0;
    char   note[160];
    for (size_t i = 0; i < b->n_pieces; i++) {
        const ls_hf_piece *p = &b->pieces[i];
        n += p->dtype != LS_CKPT_U8 && p->src[0] && ls_dtype_block(p->src[0]->dtype) > 1;
    }
    if (!n || !b->opt->note || b->opt->dtype >= 0) return;
    snprintf(note, sizeof(note), "%zu tensors are decoded to %s; F32 would hold their exact values",
             n, ls_ckpt_dtype_name(b->main));
    b->opt->note(b->opt->note_ctx, note);
}

static ls_status write_all(ls_hf_back *b)
{
    LS_TRY(ls_hf_back_plan(b));
    tell_decoded(b);
    LS_TRY(ls_hf_back_config(b));
    LS_TRY(ls_hf_back_vocab(b));
    LS_TRY(ls_hf_back_check(b));
    return write_weights(b);
}

/* Without slashes at the end. */
static size_t trimmed(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}

ls_status ls_convert_to_folder(const char *path, const ls_gguf *model,
                               const ls_convert_options *opt, ls_error *err)
{
    ls_error   local = {0};
    ls_hf_back b = {.g = model, .opt = opt, .err = err ? err : &local};
    char       to[MAX_PATH_LEN], tmp[MAX_PATH_LEN + 40], old[MAX_PATH_LEN + 40],
        folder[MAX_PATH_LEN + 41];
    size_t    n = trimmed(path);
    ls_status status;
    if (n == 0 || n >= sizeof(to)) {
        return ls_fail(b.err, LS_ERR_USAGE, "the path of the folder is empty or too long");
    }
    memcpy(to, path, n);
    to[n] = '\0';
    snprintf(tmp, sizeof(tmp), "%s.tmp-%ld", to, (long)getpid());
    snprintf(old, sizeof(old), "%s.old-%ld", to, (long)getpid());
    snprintf(folder, sizeof(folder), "%s/", tmp);
    b.folder = folder;
    LS_TRY(check_place(to, opt, b.err));
    status = ls_hf_back_init(&b);
    if (status == LS_OK && mkdir(tmp, 0777) != 0) {
        status = ls_fail_errno(b.err, errno, "cannot write the folder '%s'", to);
    } else if (status == LS_OK) {
        status = write_all(&b);
        if (status == LS_OK) status = take_place(to, tmp, old, b.err);
        if (status != LS_OK) remove_folder(tmp);
    }
    json_decref(b.config);
    free(b.pieces);
    ls_arena_free(&b.mem);
    return status;
}
