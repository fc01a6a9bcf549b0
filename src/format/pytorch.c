// SPDX-License-Identifier: MIT
/* pytorch.c - PyTorch's files: a zip archive of PREFIX/data.pkl, which says what tensors there are,
 * and PREFIX/data/KEY, the storages that they are windows on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/mem.h"
#include "format/checkpoint_priv.h"
#include "format/pickle.h"

enum { MAX_PICKLE = 64 << 20, MAX_PREFIX = 200 };

typedef struct storage {
    ls_str         key;
    const uint8_t *data;
    size_t         n;
} storage;

typedef struct reader {
    ls_checkpoint *c;
    const char    *path;
    size_t         index;
    zip_t         *zip;
    char           prefix[MAX_PREFIX + 1]; /* "archive" */
    storage       *storages;
    size_t         n, cap;
    ls_error      *err;
} reader;

static ls_status broken(const reader *r, const char *entry, const char *what)
{
    ls_fail(r->err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(r->err, "%s: '%s' in the archive", r->path, entry);
    return LS_ERR_FORMAT;
}

/* The bytes of one entry, in the checkpoint's memory. Entries are stored, not compressed: PyTorch
 * writes them so, and so no file can ask for more memory than it has bytes. */
static ls_status read_entry(reader *r, const char *name, size_t limit, const uint8_t **out,
                            size_t *n)
{
    zip_stat_t  st;
    zip_file_t *f;
    uint8_t    *data = NULL;
    size_t      done = 0;
    ls_status   status;
    if (zip_stat(r->zip, name, ZIP_FL_ENC_RAW, &st) != 0 || !(st.valid & ZIP_STAT_SIZE)) {
        return broken(r, name, "the archive lacks an entry that it needs");
    }
    if ((st.valid & ZIP_STAT_COMP_METHOD && st.comp_method != ZIP_CM_STORE) ||
        (st.valid & ZIP_STAT_ENCRYPTION_METHOD && st.encryption_method != ZIP_EM_NONE)) {
        return broken(r, name, "the entry is compressed or encrypted, which PyTorch's are not");
    }
    if (st.size > limit || st.size > r->c->parts[r->index].map.size) {
        return broken(r, name, "the entry is larger than can be");
    }
    f = zip_fopen_index(r->zip, st.index, 0);
    if (!f) return broken(r, name, "the entry cannot be read");
    status =
        ls_arena_alloc(&r->c->mem, &data, (size_t)st.size, 1, "an entry of an archive", r->err);
    while (status == LS_OK && done < st.size) {
        zip_int64_t got = zip_fread(f, data + done, st.size - done);
        if (got <= 0) status = broken(r, name, "the entry is cut, or its checksum is wrong");
        if (got > 0) done += (size_t)got;
    }
    zip_fclose(f);
    *out = data;
    *n = done;
    return status;
}

static ls_status find_storage(reader *r, ls_str key, const storage **out)
{
    char     name[MAX_PREFIX + 100];
    storage *s;
    if (key.len > 64 || memchr(key.p, '/', key.len)) {
        return broken(r, "data.pkl", "a storage has no valid name");
    }
    for (size_t i = 0; i < r->n; i++) {
        *out = &r->storages[i];
        if (ls_str_eq(r->storages[i].key, key)) return LS_OK;
    }
    snprintf(name, sizeof(name), "%s/data/%.*s", r->prefix, (int)key.len, key.p);
    LS_TRY(ls_grow(&r->storages, &r->cap, r->n + 1, sizeof(*s), "the storages", r->err));
    s = &r->storages[r->n];
    LS_TRY(ls_arena_str(&r->c->mem, &s->key, key.p, key.len, r->err));
    LS_TRY(read_entry(r, name, SIZE_MAX, &s->data, &s->n));
    r->n++;
    *out = s;
    return LS_OK;
}

/* Elements of the tensor, and one past the last element of the storage that it touches. */
static bool extent(const ls_pickle_tensor *p, size_t *n, size_t *end)
{
    size_t last = (size_t)p->offset;
    *n = 1;
    for (uint32_t i = 0; i < p->n_dims; i++) {
        size_t reach;
        if (!ls_mul_size(*n, (size_t)p->shape[i], n)) return false;
        if (p->shape[i] == 0) continue;
        if (!ls_mul_size((size_t)p->shape[i] - 1, (size_t)p->stride[i], &reach) ||
            !ls_add_size(last, reach, &last)) {
            return false;
        }
    }
    *end = *n ? last + 1 : 0;
    return last != SIZE_MAX;
}

static bool is_contiguous(const ls_pickle_tensor *p)
{
    int64_t want = 1;
    for (uint32_t i = p->n_dims; i-- > 0;) {
        if (p->shape[i] != 1 && p->stride[i] != want) return false;
        want *= p->shape[i];
    }
    return true;
}

/* Gather a tensor whose elements are not side by side. */
static void gather(uint8_t *out, const uint8_t *data, const ls_pickle_tensor *p, size_t n,
                   size_t size)
{
    int64_t at[LS_CKPT_MAX_DIMS] = {0};
    size_t  from = (size_t)p->offset;
    for (size_t i = 0; i < n; i++) {
        memcpy(out + i * size, data + from * size, size);
        for (uint32_t d = p->n_dims; d-- > 0;) {
            from += (size_t)p->stride[d];
            if (++at[d] < p->shape[d]) break;
            from -= (size_t)(p->shape[d] * p->stride[d]);
            at[d] = 0;
        }
    }
}

static ls_status add_tensor(void *ctx, const ls_pickle_tensor *p, ls_error *err)
{
    reader        *r = ctx;
    ls_ckpt_tensor t = {.dtype = p->dtype, .n_dims = p->n_dims, .part = (uint32_t)r->index};
    const storage *s = NULL;
    size_t         n, end, size = ls_ckpt_dtype_bytes(p->dtype);
    char           name[200];
    snprintf(name, sizeof(name), "%.*s", LS_FMT(p->name));
    LS_TRY(find_storage(r, p->storage, &s));
    memcpy(t.shape, p->shape, sizeof(t.shape));
    if (!extent(p, &n, &end) || end > s->n / size || end > p->n_storage) {
        return broken(r, name, "the tensor reaches past the end of its storage");
    }
    if (n > s->n / size) return broken(r, name, "the tensor repeats elements of its storage");
    if (!ls_ckpt_bytes(&t, &t.n_bytes)) return broken(r, name, "the tensor is too large");
    if (is_contiguous(p)) {
        t.data = n ? s->data + (size_t)p->offset * size : s->data;
    } else {
        uint8_t *copy = NULL;
        LS_TRY(ls_arena_alloc(&r->c->mem, &copy, t.n_bytes, 1, "a tensor", err));
        gather(copy, s->data, p, n, size);
        t.data = copy;
    }
    LS_TRY(ls_arena_str(&r->c->mem, &t.name, p->name.p, p->name.len, err));
    return ls_checkpoint_add(r->c, &t, err);
}

/* PREFIX/data.pkl; TorchScript archives have code as well. */
static ls_status find_prefix(reader *r)
{
    static const char suffix[] = "/data.pkl", code[] = "/code/";
    zip_int64_t       n = zip_get_num_entries(r->zip, 0);
    bool              found = false, script = false;
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(r->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW), *slash;
        if (!name || !(slash = strchr(name, '/')) || slash - name > MAX_PREFIX) continue;
        script = script || strncmp(slash, code, sizeof(code) - 1) == 0;
        if (found || strcmp(slash, suffix) != 0) continue;
        memcpy(r->prefix, name, (size_t)(slash - name));
        found = true;
    }
    if (found && !script) return LS_OK;
    ls_fail(r->err, LS_ERR_UNSUPPORTED, "expected PyTorch weights, found %s",
            script ? "a TorchScript program" : "a zip archive without a data.pkl");
    ls_fail_at(r->err, "%s: byte 0", r->path);
    ls_fail_hint(r->err, script ? "save the state_dict of the model, best as safetensors"
                                : "weights are what torch.save writes, or safetensors");
    return LS_ERR_UNSUPPORTED;
}

static ls_status read_all(reader *r)
{
    char           entry[MAX_PREFIX + 20], place[4400];
    const uint8_t *order, *pickle;
    size_t         n;
    LS_TRY(find_prefix(r));
    snprintf(entry, sizeof(entry), "%s/byteorder", r->prefix);
    if (zip_name_locate(r->zip, entry, ZIP_FL_ENC_RAW) >= 0) {
        LS_TRY(read_entry(r, entry, 16, &order, &n));
        if (n != 6 || memcmp(order, "little", 6) != 0) {
            return broken(r, entry, "the weights are not little-endian");
        }
    }
    snprintf(entry, sizeof(entry), "%s/data.pkl", r->prefix);
    LS_TRY(read_entry(r, entry, MAX_PICKLE, &pickle, &n));
    snprintf(place, sizeof(place), "%s: %s", r->path, entry);
    return ls_pickle_read(pickle, n, place, add_tensor, r, r->err);
}

ls_status ls_pytorch_read(ls_checkpoint *c, size_t index, ls_error *err)
{
    reader    r = {.c = c, .path = c->parts[index].path, .index = index, .err = err};
    int       code = 0;
    ls_status status;
    r.zip = zip_open(r.path, ZIP_RDONLY, &code);
    if (!r.zip) {
        zip_error_t e;
        zip_error_init_with_code(&e, code);
        ls_fail(err, LS_ERR_FORMAT, "the zip archive cannot be read: %s", zip_error_strerror(&e));
        ls_fail_at(err, "%s: byte 0", r.path);
        ls_fail_hint(err, "the download is probably truncated");
        zip_error_fini(&e);
        return LS_ERR_FORMAT;
    }
    status = read_all(&r);
    zip_discard(r.zip);
    free(r.storages);
    return status;
}
