// SPDX-License-Identifier: MIT
/* made_report.c - see made_report.h. */
#include "support/made_report.h"

#include <math.h>

#include "support/text_vocab.h"

#define N_VOCAB 512

const char *const made_tokens[MADE_TOKENS] = {
    "<unk>",        "</script><script>document.title='broken'</script>",
    "<!--",         "a|b`c*d_e",
    "\x01\x1b[31m", "\xff\xfe",
    "\u202eabc",    "]]>",
    "&lt;&amp;",    "\"quoted\"",
    "it's",         "=1+1",
    "\xef\xbf\xbf", "line\nbreak,",
    " King",        "\xe2\x96\x81once",
};

static void model(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "llama"); }

static void tokens(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_STR, MADE_TOKENS);
    for (size_t i = 0; i < MADE_TOKENS; i++) gguf_build_str(b, made_tokens[i]);
}

static void scores(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_F32, MADE_TOKENS);
    for (size_t i = 0; i < MADE_TOKENS; i++) gguf_build_f32(b, -(float)i);
}

static void types(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_I32, MADE_TOKENS);
    for (size_t i = 0; i < MADE_TOKENS; i++) gguf_build_u32(b, i == 0 ? 2 : 1);
}

static const text_entry vocabulary[] = {
    {"model", model}, {"tokens", tokens}, {"scores", scores}, {"token_type", types}};

/* ---- logits ---- */

static void fill_positions(made_report *m, size_t n)
{
    ls_per_token_result *x = &m->result;
    float                row[2][N_VOCAB];
    x->n_positions = n;
    x->positions = calloc(n, sizeof(*x->positions));
    if (!x->positions) abort();
    for (size_t i = 0; i < n; i++) {
        ls_position *p = &x->positions[i];
        float        wrong = i >= n / 3 ? 0.6f : 1e-5f;
        for (size_t k = 0; k < N_VOCAB; k++) {
            row[1][k] = 3.0f * sinf((float)(k * 7 + i * 13));
            row[0][k] = row[1][k] + wrong * cosf((float)(k * 3 + i)) / (float)(1 + (i + k) % 5);
        }
        if (n > 4 && i == n - 2) row[0][5] = NAN;
        ls_compare_row(p, row[0], row[1], N_VOCAB, &m->report.budget);
        p->pos = (int32_t)i;
        p->token = (int32_t)(1 + i % (MADE_TOKENS - 1));
        p->decode = i + 4 >= n;
        p->top1_subject %= MADE_TOKENS;
        p->top1_reference %= MADE_TOKENS;
        if (p->ok) x->summary.n_equal++;
    }
}

static void worst(ls_extreme *e, double x, bool more, size_t i)
{
    if (e->pos >= 0 && !isnan(x) && (isnan(e->value) || (more ? x <= e->value : x >= e->value)))
        return;
    e->value = x;
    e->pos = (int32_t)i;
}

static void summarise(ls_per_token_result *x)
{
    ls_summary      *s = &x->summary;
    const ls_extreme none = {(double)NAN, -1};
    s->min_cosine = s->min_cosine_centred = s->max_l2 = s->max_abs = s->max_nmse = s->max_kl = none;
    s->max_abs_token = 3;
    s->top1_agreement = 0.5;
    s->first_divergence = (int32_t)(x->n_positions / 3);
    for (size_t i = 0; i < x->n_positions; i++) {
        const ls_position *p = &x->positions[i];
        worst(&s->min_cosine, p->cosine, false, i);
        worst(&s->min_cosine_centred, p->cosine_centred, false, i);
        worst(&s->max_l2, p->l2, true, i);
        worst(&s->max_abs, p->max_abs, true, i);
        worst(&s->max_nmse, p->nmse, true, i);
        worst(&s->max_kl, p->kl, true, i);
        s->mean_cosine += p->cosine / (double)x->n_positions;
        s->mean_l2 += p->l2 / (double)x->n_positions;
        s->mean_abs += p->mean_abs / (double)x->n_positions;
        s->mean_nmse += p->nmse / (double)x->n_positions;
        s->mean_kl += p->kl / (double)x->n_positions;
        s->flips += p->flip == LS_FLIP_HARD;
        s->near_ties += p->flip == LS_FLIP_NEAR_TIE;
    }
}

/* ---- taps ---- */

static void fill_cell(ls_map_cell *c, size_t row, size_t born, size_t i, size_t first)
{
    bool wrong = row >= born && i >= first;
    c->isolated =
        row == born && i >= first ? 0.04 / (double)(1 + i) : 1e-15 * (double)(1 + row % 7);
    c->accumulated = wrong ? 0.02 * exp(-0.003 * (double)(row - born)) / (double)(1 + i - first)
                           : 1e-13 * pow(1.7, (double)(row % 20)) * (double)(1 + i % 3);
    if (i == 0) c->isolated = c->accumulated = 0;
    if (row == born + 3 && i == first + 1) c->accumulated = (double)NAN;
    if (row % 18 == 9) c->isolated = -1;
    c->n_worst = i == 0 ? 0 : LS_MAP_VALUES;
    for (uint32_t k = 0; k < c->n_worst; k++)
        c->worst[k] = (ls_map_value){(uint32_t)(row * 3 + i * 5 + k * 11) % 64,
                                     0.1f + (float)row / (float)(k + 3), -0.7f * (float)(i + k)};
    if (isnan(c->accumulated)) c->worst[0].subject = NAN, c->worst[1].subject = INFINITY;
}

static void add_row(ls_tap_map *m, ls_op op, int32_t layer)
{
    ls_map_row *row = &m->rows[m->n_rows++];
    bool        scores = op == LS_OP_ATTN_SCORES || op == LS_OP_ATTN_SCORES_SOFTMAX;
    *row = (ls_map_row){.op = op, .layer = layer, .heads = scores ? 8 : 1, .n = scores ? 8 : 64};
    row->cells = calloc(m->n_positions, sizeof(*row->cells));
    if (!row->cells) abort();
}

static void fill_map(made_report *r, size_t n_positions, size_t n_layers)
{
    static const ls_op ops[] = {
        LS_OP_ATTN_NORM, LS_OP_Q_PROJ,        LS_OP_K_PROJ,      LS_OP_V_PROJ,
        LS_OP_Q_ROPE,    LS_OP_K_ROPE,        LS_OP_ATTN_SCORES, LS_OP_ATTN_SCORES_SOFTMAX,
        LS_OP_ATTN_OUT,  LS_OP_ATTN_SUB_NORM, LS_OP_ATTN_PROJ,   LS_OP_RESIDUAL,
        LS_OP_FFN_NORM,  LS_OP_FFN_GATE,      LS_OP_FFN_UP,      LS_OP_FFN_ACT,
        LS_OP_FFN_DOWN,  LS_OP_LAYER_OUT};
    size_t      n_ops = sizeof(ops) / sizeof(ops[0]), born = 0;
    ls_located *l = &r->located;
    ls_tap_map *m = &l->map;
    m->n_positions = n_positions;
    m->rows = calloc(n_layers * n_ops + 3, sizeof(*m->rows));
    if (!m->rows) abort();
    add_row(m, LS_OP_EMBEDDINGS, -1);
    for (size_t layer = 0; layer < n_layers; layer++)
        for (size_t k = 0; k < n_ops; k++) {
            if (layer == n_layers / 2 && ops[k] == LS_OP_FFN_ACT) born = m->n_rows;
            add_row(m, ops[k], (int32_t)layer);
        }
    add_row(m, LS_OP_FINAL_NORM, -1);
    add_row(m, LS_OP_LOGITS, -1);
    for (size_t row = 0; row < m->n_rows; row++)
        for (size_t i = 0; i < n_positions; i++)
            fill_cell(&m->rows[row].cells[i], row, born, i, n_positions / 3);
    *l = (ls_located){.found = true, .born = true, .op = LS_OP_FFN_ACT, .map = *m, .budget = 1e-6};
    l->layer = (int32_t)(n_layers / 2);
    l->position = (int32_t)(n_positions / 3);
    l->isolated = m->rows[born].cells[n_positions / 3].isolated;
    l->reversed = true;
    l->isolated_reverse = l->isolated / 2;
    l->accumulated = m->rows[born].cells[n_positions / 3].accumulated;
    l->taps_planned = l->taps_compared = m->n_rows;
    l->declined[LS_OP_FFN_ROUTER] = true;
    r->report.located = l;
}

static void fill_engines(ls_per_token_result *x)
{
    x->subject_info = (ls_engine_info){.engine = "native",
                                       .version = "0.1.0",
                                       .isa = "avx2",
                                       .n_threads = 2,
                                       .n_batch = 512,
                                       .kv_type = "f16",
                                       .lanes = 8};
    x->reference_info = (ls_engine_info){.engine = "llama",
                                         .version = "v0.5.0",
                                         .isa = "haswell",
                                         .library = "/opt/<llama>/libllama.so",
                                         .n_threads = 2,
                                         .n_batch = 512,
                                         .kv_type = "f16"};
    x->subject_stats = (ls_engine_stats){1000000, 250000000, 40};
}

ls_status made_report_init(made_report *m, size_t n_positions, size_t n_layers, ls_error *err)
{
    static const char    prompt[] = "Once </script> upon\n\x01 a \xff time";
    ls_per_token_result *x = &m->result;
    *m = (made_report){0};
    m->faults.at[m->faults.n++] = "3.ffn_act=scale:1.5";
    m->report = (cli_report){.model_path = "models/a<b>&\"c\" | `d`.gguf",
                             .prompt = prompt,
                             .prompt_len = sizeof(prompt) - 1,
                             .backend = "both",
                             .template_name = "raw",
                             .budget = ls_budget_default(),
                             .faults = &m->faults,
                             .result = x,
                             .exit_code = 1};
    LS_TRY(text_vocab_open(vocabulary, sizeof(vocabulary) / sizeof(vocabulary[0]), NULL, &m->gguf,
                           &m->tokenizer, err));
    m->report.tokenizer = m->tokenizer;
    m->report.gguf = m->gguf;
    x->verdict = LS_VERDICT_DIVERGED;
    x->first_difference = -1;
    snprintf(x->reason, sizeof(x->reason), "position %zu: KL is over its budget <&>",
             n_positions / 3);
    snprintf(x->reason_code, sizeof(x->reason_code), "kl");
    fill_positions(m, n_positions);
    summarise(x);
    x->coverage = (ls_coverage){n_positions, n_positions, N_VOCAB, N_VOCAB, 0, 0};
    fill_engines(x);
    if (n_layers) fill_map(m, n_positions, n_layers);
    x->coverage.taps_planned = m->located.taps_planned;
    x->coverage.taps_compared = m->located.taps_compared;
    return LS_OK;
}

void made_report_fini(made_report *m)
{
    ls_per_token_fini(&m->result);
    ls_located_fini(&m->located);
    ls_tokenizer_destroy(m->tokenizer);
    ls_gguf_close(m->gguf);
}
