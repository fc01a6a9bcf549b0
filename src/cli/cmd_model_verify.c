// SPDX-License-Identifier: MIT
/* cmd_model_verify.c - `lockstep model verify`: does everything in a model file fit together? */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"

typedef struct verify_opts {
    cli_model_opts model;
    const char    *tokenizer;
} verify_opts;

enum { MAX_CHECKS = 12, DETAIL = 640 };

typedef struct check {
    const char *name;
    bool        ok;
    char        detail[DETAIL];
} check;

typedef struct report {
    check    checks[MAX_CHECKS];
    size_t   n;
    char     sha256[65];
    uint64_t n_elements;
    size_t   n_tensors;
} report;

LS_PRINTF(4, 5)
static void add(report *r, const char *name, bool ok, const char *fmt, ...)
{
    check  *c = &r->checks[r->n < MAX_CHECKS ? r->n++ : MAX_CHECKS - 1];
    va_list ap;
    c->name = name;
    c->ok = ok;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
    va_end(ap);
}

/* A file of prepacked weights beside the model must hold exactly its weights. */
static void check_prepacked(report *r, ls_model *m)
{
    ls_prepacked p;
    ls_error     err = {0};
    bool         found;
    ls_status    status = ls_model_verify_prepacked(&p, m, NULL, &found, &err);
    if (status != LS_OK)
        add(r, "prepacked", false, "%s", err.what);
    else if (found)
        add(r, "prepacked", true, "%zu matrices, every byte that of the model", p.n_matrices);
}

/* Whether the native engine can evaluate the file; what it says if not. */
static void check_weights(report *r, ls_gguf *g)
{
    ls_model *m = NULL;
    ls_error  err = {0};
    if (ls_model_open_gguf(&m, g, &err) == LS_OK) {
        const ls_model_config *c = ls_model_get_config(m);
        add(r, "weights", true,
            "%s: %d layers, width %d, %d query and %d KV heads of %d, every tensor used", c->arch,
            c->n_layers, c->n_embd, c->n_heads, c->n_kv_heads, c->head_dim);
        check_prepacked(r, m);
    } else {
        add(r, "weights", false, "%s", err.what);
    }
    ls_model_close(m);
}

/* Ids that the metadata name must be tokens, and there must be an embedding for every token. */
static void check_vocabulary(report *r, const ls_gguf *g, const ls_tokenizer *t)
{
    static const char *const ids[] = {"bos", "eos", "unknown", "padding", "eot", "separator"};
    const ls_tensor         *embd = ls_gguf_tensor(g, "token_embd.weight");
    int64_t                  n = ls_tokenizer_n_vocab(t);
    bool                     ok = true;
    /* a list of the metadata has its rows of padding, a tokenizer.json has none */
    if (embd &&
        (embd->ne[1] < n || (embd->ne[1] > n && ls_gguf_find(g, "tokenizer.ggml.tokens")))) {
        add(r, "vocabulary", false, "%lld tokens, but embeddings for %lld", (long long)n,
            (long long)embd->ne[1]);
        return;
    }
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char    key[64];
        int64_t id;
        snprintf(key, sizeof(key), "tokenizer.ggml.%s_token_id", ids[i]);
        if (!ls_gguf_int(g, key, &id) || (id >= 0 && id < n)) continue;
        add(r, "vocabulary", false, "metadata key '%s' is %lld, the last token is %lld", key,
            (long long)id, (long long)n - 1);
        ok = false;
    }
    if (ok) {
        add(r, "vocabulary", true, "%lld tokens%s", (long long)n,
            !embd              ? ", no embeddings in the file"
            : embd->ne[1] == n ? ", as many embeddings"
                               : ", more embeddings");
    }
}

/* ---- two descriptions of the vocabulary ---- */

typedef struct quoted {
    char s[96];
} quoted;

/* Cut short and readable: what is no ASCII stays, controls become escapes. */
static const char *quote(quoted *q, ls_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (n + 8 > sizeof(q->s) || (n + 12 > sizeof(q->s) && (c & 0xc0) != 0x80)) {
            n += (size_t)snprintf(q->s + n, sizeof(q->s) - n, "...");
            break;
        }
        if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(q->s + n, sizeof(q->s) - n, "\\x%02x", c);
        } else {
            q->s[n++] = (char)c;
        }
    }
    q->s[n] = '\0';
    return q->s;
}

/* "17 'the'", or "none". */
static const char *token_of(char *buf, size_t cap, const ls_tokenizer *t, int32_t id)
{
    quoted q;
    if (id < 0) return "none";
    snprintf(buf, cap, "%d '%s'", (int)id, quote(&q, ls_tokenizer_text(t, id)));
    return buf;
}

static void add_comparison(report *r, const ls_tokenizer *a, const ls_tokenizer *b,
                           const char *name, const ls_vocab_comparison *c)
{
    char        x[128], y[128];
    quoted      q;
    const char *here = token_of(x, sizeof(x), a, c->id[0]),
               *there = token_of(y, sizeof(y), b, c->id[1]);
    switch (c->difference) {
    case LS_VOCABS_TOKEN:
        add(r, "tokenizer", false, "token %d: %s here, %s in %s (%d and %d tokens)",
            (int)(c->id[0] >= 0 ? c->id[0] : c->id[1]), c->id[0] < 0 ? here : strchr(here, ' ') + 1,
            c->id[1] < 0 ? there : strchr(there, ' ') + 1, name, (int)ls_tokenizer_n_vocab(a),
            (int)ls_tokenizer_n_vocab(b));
        return;
    case LS_VOCABS_SPECIAL:
        add(r, "tokenizer", false, "%s: %s here, %s in %s", c->role, here, there, name);
        return;
    case LS_VOCABS_TEXT:
        add(r, "tokenizer", false, "id %zu of '%s': %s here, %s in %s", c->place,
            quote(&q, c->text), here, there, name);
        return;
    case LS_VOCABS_AGREE:
        break;
    }
    add(r, "tokenizer", true, "%s has the same tokens and gives the same ids for %zu texts%s%s%s",
        name, c->n_texts, c->normalized.len ? ", but for those that one of them normalizes: '" : "",
        c->normalized.len ? quote(&q, c->normalized) : "", c->normalized.len ? "'" : "");
}

static void compare(report *r, const ls_tokenizer *t, const ls_tokenizer *other, const char *name)
{
    ls_vocab_comparison c;
    ls_error            err = {0};
    if (ls_tokenizer_compare(t, other, &c, &err) == LS_OK) {
        add_comparison(r, t, other, name, &c);
    } else {
        add(r, "tokenizer", false, "%s: %s", name, err.what);
    }
}

/* Against the tokenizer.json that a folder, or the file itself, holds beside its vocabulary. */
static void compare_own(report *r, const ls_gguf *g, const ls_tokenizer *t)
{
    ls_tokenizer *other = NULL;
    ls_error      err = {0};
    if (!ls_gguf_find(g, "tokenizer.huggingface.json")) return;
    if (!ls_gguf_find(g, "tokenizer.ggml.model")) return; /* it is the only one */
    if (ls_tokenizer_create_json(&other, g, &err) == LS_OK) {
        compare(r, t, other, "its tokenizer.json");
    } else {
        add(r, "tokenizer", false, "its tokenizer.json: %s", err.what);
    }
    ls_tokenizer_destroy(other);
}

static ls_status check_tokenizer(report *r, const ls_gguf *g, const verify_opts *o, ls_error *err)
{
    ls_tokenizer *t = NULL, *other = NULL;
    ls_error      why = {0};
    ls_status     status = LS_OK;
    if (ls_tokenizer_create(&t, g, &why) != LS_OK) {
        add(r, "vocabulary", false, "%s", why.what);
        return LS_OK;
    }
    check_vocabulary(r, g, t);
    compare_own(r, g, t);
    if (o->tokenizer) status = ls_tokenizer_open(&other, o->tokenizer, err);
    if (status == LS_OK && o->tokenizer) compare(r, t, other, o->tokenizer);
    ls_tokenizer_destroy(other);
    ls_tokenizer_destroy(t);
    return status;
}

/* Every element of every tensor is a number. */
static ls_status check_numbers(report *r, const cli_context *ctx, const ls_gguf *g, ls_error *err)
{
    cli_progress progress;
    ls_status    status = LS_OK;
    size_t       n = ls_gguf_n_tensors(g), skipped = 0, bad = 0;
    cli_progress_begin(&progress, ctx, "looking at every number");
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        ls_tensor_stats  s;
        status = ls_tensor_stats_get(&s, g, t, err);
        if (status == LS_ERR_UNSUPPORTED) {
            skipped++;
            status = LS_OK;
            *err = (ls_error){0};
        } else if (status == LS_OK && s.n_bad && bad++ == 0) {
            add(r, "numbers", false,
                "tensor '%.*s': %llu of %llu elements are NaN or infinite, first %llu",
                LS_FMT(t->name), (unsigned long long)s.n_bad, (unsigned long long)s.n,
                (unsigned long long)s.first_bad);
        }
        r->n_elements += s.n;
        cli_progress_update(&progress, i + 1, n);
    }
    cli_progress_end(&progress);
    r->n_tensors = n - skipped;
    if (skipped) add(r, "numbers", false, "%zu tensors are of types that are not decoded", skipped);
    if (!skipped && !bad) {
        add(r, "numbers", true, "%zu tensors, %llu elements, all finite", r->n_tensors,
            (unsigned long long)r->n_elements);
    }
    return status;
}

static bool all_ok(const report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!r->checks[i].ok) return false;
    }
    return r->n > 0;
}

static json_t *report_json(const report *r, const char *path)
{
    json_t *checks = json_array();
    for (size_t i = 0; i < r->n; i++) {
        json_array_append_new(
            checks, json_pack("{s:s, s:s, s:o}", "name", r->checks[i].name, "status",
                              r->checks[i].ok ? "ok" : "failed", "detail",
                              cli_json_text(r->checks[i].detail, strlen(r->checks[i].detail))));
    }
    return json_pack("{s:s, s:o, s:s, s:s, s:i, s:I, s:I, s:o}", "schema", "lockstep.verify/1",
                     "path", cli_json_text(path, strlen(path)), "sha256", r->sha256, "status",
                     all_ok(r) ? "ok" : "failed", "exit_code", all_ok(r) ? 0 : 5, "tensors",
                     (json_int_t)r->n_tensors, "elements", (json_int_t)r->n_elements, "checks",
                     checks);
}

static void report_text(const report *r, const char *path)
{
    printf("%s\nsha256 %s\n", path, r->sha256);
    for (size_t i = 0; i < r->n; i++) {
        printf("%s %-10s  ", r->checks[i].ok ? "✓" : "✗", r->checks[i].name);
        cli_print_clean(stdout, (ls_str){r->checks[i].detail, strlen(r->checks[i].detail)});
        putchar('\n');
    }
    puts(all_ok(r) ? "everything fits together" : "something is wrong with this file");
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const verify_opts *o = opts;
    ls_gguf           *g = NULL;
    report             r = {0};
    ls_status          status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    LS_TRY(ls_gguf_open(&g, o->model.path, err));
    status = ls_gguf_sha256(r.sha256, g, err);
    if (status == LS_OK) {
        if (ls_gguf_n_tensors(g)) check_weights(&r, g);
        status = check_tokenizer(&r, g, o, err);
        if (status == LS_OK && ls_gguf_n_tensors(g)) status = check_numbers(&r, ctx, g, err);
    }
    ls_gguf_close(g);
    LS_TRY(status);
    ctx->exit_code = all_ok(&r) ? 0 : 5;
    if (ctx->json) return cli_json_print(report_json(&r, o->model.path), NULL, err);
    report_text(&r, o->model.path);
    return LS_OK;
}

static const cli_option table[] = {
    {.name = "tokenizer",
     .kind = CLI_STRING,
     .off = offsetof(verify_opts, tokenizer),
     .metavar = "FILE",
     .help = "Compare the vocabulary with this one: another GGUF file, a tokenizer.json, a "
             "tokenizer.model, or a folder with one of these."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(verify_opts, model)},
    {"Vocabulary", table, 0},
    {0},
};

const cli_command cli_cmd_model_verify = {
    .noun = "model",
    .verb = "verify",
    .summary = "Check that everything in a model file fits together",
    .details =
        "Weights against metadata, vocabulary against embeddings, every element of every "
        "tensor a number; and the file's SHA-256. Where the model has a tokenizer.json beside "
        "the vocabulary of its metadata, both must have the same tokens and give the same ids "
        "for some texts. Prepacked weights beside the model must be its own, byte for byte. Exit 5 "
        "if "
        "something does not fit.\n",
    .examples = "$ lockstep model verify -m model.gguf\n"
                "$ lockstep model verify -m model.gguf --tokenizer original/tokenizer.json\n",
    .groups = groups,
    .opts_bytes = sizeof(verify_opts),
    .reports = true,
    .run = run,
};
