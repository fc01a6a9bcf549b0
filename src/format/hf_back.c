// SPDX-License-Identifier: MIT
/* hf_back.c - the tensors that a folder of this model has: each of the model's is looked up among
 * the names on the right of the rows, and the row's operation is undone. */
#include "format/hf_back.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "format/checkpoint_priv.h"

ls_status ls_hf_back_refuse(const ls_hf_back *b, const ls_tensor *t, const char *fmt, ...)
{
    char    what[sizeof(b->err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "tensor '%.*s' %s", LS_FMT(t->name), what);
    ls_gguf_fail_at(b->g, t->name.p, b->err);
    return LS_ERR_UNSUPPORTED;
}

/* ---- the row ---- */

static bool is_there(const ls_hf_back *b, const char *has)
{
    double v;
    return ls_gguf_tensor(b->g, has) || (ls_hf_back_num(b, has, &v) && v > 0);
}

static ls_status find_arch(ls_hf_back *b)
{
    ls_str            name = {NULL, 0};
    const ls_hf_arch *a;
    char              known[400];
    ls_gguf_str(b->g, "general.architecture", &name);
    for (size_t i = 0; (a = ls_hf_arch_at(i)) != NULL; i++) {
        if (!name.p || !ls_str_is(name, a->name)) continue;
        b->arch = a;
        if (!a->has || is_there(b, a->has)) return LS_OK;
    }
    ls_hf_arch_list(known, sizeof(known));
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "folders of architecture '%.*s' are not written",
            LS_FMT(name.p ? name : LS_STR("unknown")));
    ls_fail_at(b->err, "%s", ls_gguf_path(b->g));
    ls_fail_hint(b->err, "written are those of %s", known);
    return LS_ERR_UNSUPPORTED;
}

static ls_status read_count(const ls_hf_back *b, const char *suffix, double fallback, size_t *out)
{
    double v = fallback;
    ls_hf_back_num(b, suffix, &v);
    if (v >= 1 && v <= 1 << 24) {
        *out = (size_t)v;
        return LS_OK;
    }
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "'%s.%s' is no number that config.json can say",
            b->arch->name, suffix);
    ls_fail_at(b->err, "%s", ls_gguf_path(b->g));
    return LS_ERR_UNSUPPORTED;
}

/* The float type that most elements of matrices have; F16 where none is a float. */
static ls_ckpt_dtype main_type(const ls_hf_back *b)
{
    static const struct {
        int           gguf;
        ls_ckpt_dtype dtype;
    } types[] = {
        {LS_DTYPE_F16, LS_CKPT_F16}, {LS_DTYPE_BF16, LS_CKPT_BF16}, {LS_DTYPE_F32, LS_CKPT_F32}};
    double count[3] = {0};
    size_t best = 0;
    for (size_t k = 0; k < 3; k++) {
        if (types[k].gguf == b->opt->dtype) return types[k].dtype;
        for (size_t i = 0; i < ls_gguf_n_tensors(b->g); i++) {
            const ls_tensor *t = ls_gguf_tensor_at(b->g, i);
            if (t->dtype != types[k].gguf || ls_hf_wants_f32(t->name, t->n_dims)) continue;
            count[k] += (double)t->ne[0] * (double)t->ne[1] * (double)t->ne[2];
        }
        if (count[k] > count[best]) best = k;
    }
    return types[best].dtype;
}

ls_status ls_hf_back_init(ls_hf_back *b)
{
    size_t embd;
    LS_TRY(find_arch(b));
    LS_TRY(read_count(b, "embedding_length", 0, &embd));
    LS_TRY(read_count(b, "attention.head_count", 0, &b->heads.n));
    LS_TRY(read_count(b, "attention.head_count_kv", (double)b->heads.n, &b->heads.kv));
    LS_TRY(read_count(b, "attention.key_length", (double)(embd / b->heads.n), &b->heads.dim));
    b->main = main_type(b);
    return LS_OK;
}

/* ---- the plan ---- */

ls_status ls_hf_back_add(ls_hf_back *b, ls_hf_piece *p)
{
    ls_ckpt_tensor t = {.dtype = p->dtype, .n_dims = p->n_dims};
    memcpy(t.shape, p->shape, sizeof(p->shape));
    if (!ls_ckpt_bytes(&t, &p->n_bytes)) return ls_hf_back_refuse(b, p->src[0], "is too large");
    LS_TRY(
        ls_grow(&b->pieces, &b->cap, b->n_pieces + 1, sizeof(*b->pieces), "the tensors", b->err));
    b->pieces[b->n_pieces++] = *p;
    return LS_OK;
}

/* Does t fit one of a row's names "A|B"? 0: no; 1: A, or the only one; 2: B. */
static int fits_target(const char *to, ls_str name, int64_t *layer)
{
    char        first[256];
    const char *bar = strchr(to, '|');
    size_t      n = bar ? (size_t)(bar - to) : strlen(to);
    int64_t     none;
    if (n == 0 || n >= sizeof(first)) return 0;
    memcpy(first, to, n);
    first[n] = '\0';
    if (ls_hf_fits(first, name, layer, &none)) return 1;
    return bar && ls_hf_fits(bar + 1, name, layer, &none) ? 2 : 0;
}

/* A folder with this tensor would be read by this very row, not by one before it. */
static bool is_read_by(const ls_hf_back *b, const ls_hf_name *row, int64_t layer)
{
    char        name[256];
    ls_hf_match m;
    return ls_hf_fill(name, sizeof(name), row->from, layer, 0) &&
           ls_hf_find_row(b->arch, (ls_str){name, strlen(name)}, &m) == row;
}

static ls_status plan_tensor(ls_hf_back *b, const ls_tensor *t, bool *done)
{
    *done = false;
    for (size_t i = 0; b->arch->names[i] && !*done; i++) {
        for (const ls_hf_name *row = b->arch->names[i]; row->from && !*done; row++) {
            ls_hf_match m = {.from = row->from, .to = row->to};
            int         which = fits_target(row->to, t->name, &m.layer);
            if (!which || !is_read_by(b, row, m.layer)) continue;
            if (which == 2) { /* goes with the first; without it no row will fit that */
                char   name[256];
                size_t n = (size_t)(strchr(row->to, '|') - row->to);
                char   first[256];
                memcpy(first, row->to, n);
                first[n] = '\0';
                *done = ls_hf_fill(name, sizeof(name), first, m.layer, 0) &&
                        ls_gguf_tensor(b->g, name) != NULL;
                continue;
            }
            LS_TRY(ls_hf_back_op(b, row, &m, t, done));
        }
    }
    return LS_OK;
}

/* Tensors that the reader computes from config.json. */
static bool is_computed(ls_str name)
{
    static const char *const names[] = {"rope_freqs.weight", "rope_factors_long.weight",
                                        "rope_factors_short.weight"};
    for (size_t i = 0; i < 3; i++) {
        if (ls_str_is(name, names[i])) return true;
    }
    return false;
}

ls_status ls_hf_back_plan(ls_hf_back *b)
{
    for (size_t i = 0; i < ls_gguf_n_tensors(b->g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(b->g, i);
        bool             done;
        if (is_computed(t->name)) continue; /* hf_back_config.c */
        if (!t->data || !ls_dtype_supported(t->dtype)) {
            const char *name = ls_dtype_name(t->dtype);
            return ls_hf_back_refuse(b, t, "has type %s, which cannot be written",
                                     name ? name : "?");
        }
        LS_TRY(plan_tensor(b, t, &done));
        if (!done) {
            return ls_hf_back_refuse(b, t, "is none that a folder of '%s' has",
                                     b->arch->classes[0]);
        }
    }
    if (b->n_pieces) return LS_OK;
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "the model has no weights");
    ls_fail_at(b->err, "%s", ls_gguf_path(b->g));
    return LS_ERR_UNSUPPORTED;
}
