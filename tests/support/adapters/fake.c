// SPDX-License-Identifier: MIT
/* fake.c - a toy engine behind ref_main.c: any file is a model, a byte is a token, and the
 * logits are a formula that tests know (fake.h). Faults come from faults.c. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "ref_engine.h"

static struct {
    int32_t n_ctx, n_past, n_last, first; /* first: position of the last evaluation's first token */
    int32_t ids[FAKE_MAX_BATCH];
    float   row[FAKE_VOCAB];
    bool    watched;
    float   nodes[FAKE_MAX_BATCH][FAKE_WIDTH], offset[FAKE_MAX_BATCH];
} fake;

uint32_t ref_load(const ref_manifest *m, ls_ref_identity *out)
{
    (void)m;
    if (!out->engine[0]) snprintf(out->engine, sizeof(out->engine), "fake");
    if (!out->version[0]) snprintf(out->version, sizeof(out->version), "1.2.3");
    snprintf(out->library, sizeof(out->library), "/nowhere/libfake.so");
    if (fault_is("load")) return ref_fail(LS_REF_FAILED, "cannot load libfake.so");
    return LS_REF_DONE;
}

uint32_t ref_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out)
{
    if (access(path, R_OK) != 0) return ref_fail(LS_REF_REFUSED, "no such file");
    if (fault_is("refuse")) return ref_fail(LS_REF_REFUSED, "unknown architecture 'toy'\nsorry");
    fake.n_ctx = opt->n_ctx ? opt->n_ctx : 64;
    out->n_vocab = FAKE_VOCAB;
    out->n_ctx = fake.n_ctx;
    out->n_batch = opt->n_batch < FAKE_MAX_BATCH ? opt->n_batch : FAKE_MAX_BATCH;
    out->n_threads = opt->n_threads;
    out->kv_type = opt->kv_type;
    out->flash_attn = 0;
    snprintf(out->isa, sizeof(out->isa), "abacus");
    return LS_REF_DONE;
}

uint32_t ref_tokenize(const char *text, size_t len, const ls_ref_tokenize *opt, int32_t **ids,
                      size_t *n)
{
    size_t lead = opt->bos == LS_REF_BOS_NO ? 0 : 1;
    *ids = malloc((len + 1) * sizeof(**ids));
    if (!*ids) return ref_fail(LS_REF_FAILED, "not enough memory");
    (*ids)[0] = FAKE_BOS;
    for (size_t i = 0; i < len; i++) (*ids)[lead + i] = (unsigned char)text[i];
    *n = len + lead;
    return LS_REF_DONE;
}

static void show(const char *name, const char *op, size_t n)
{
    ls_ref_tap tap = {.n_dims = 4, .ne = {FAKE_WIDTH, (int64_t)n, 1, 1}};
    snprintf(tap.name, sizeof(tap.name), "%s", name);
    snprintf(tap.op, sizeof(tap.op), "%s", op);
    fault_tap(&tap, fake.nodes[0], n * FAKE_WIDTH);
    if (ref_tap(&tap, fake.nodes[0]) == REF_TAP_GONE) exit(1);
}

/* The graph of fake.h, as the host has it go on. */
static void show_nodes(const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < FAKE_WIDTH; k++)
            fake.nodes[i][k] = fake_norm(ids[i], fake.first + (int32_t)i, k);
    show("attn_norm", "MUL", n);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < FAKE_WIDTH; k++) fake.nodes[i][k] *= 2;
    show("attn_q.weight", "MUL_MAT", n);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < FAKE_WIDTH; k++) fake.nodes[i][k] += 1;
    show("attn_q.bias", "ADD", n);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < FAKE_WIDTH; k++)
            fake.offset[i] +=
                fake.nodes[i][k] - (2 * fake_norm(ids[i], fake.first + (int32_t)i, k) + 1);
}

uint32_t ref_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out)
{
    fault_eval();
    if (fault_is("full")) return ref_fail(LS_REF_FULL, "no room left");
    if (fault_is("fail")) return ref_fail(LS_REF_FAILED, "llama_decode returned -3");
    memcpy(fake.ids, ids, n * sizeof(*ids));
    fake.first = fake.n_past;
    fake.n_past += (int32_t)n;
    memset(fake.offset, 0, sizeof(fake.offset));
    if (fake.watched) show_nodes(ids, n);
    out->wall_ns = 1000 * n;
    return LS_REF_DONE;
}

const float *ref_row(size_t i)
{
    int32_t pos = fake.first + (int32_t)i;
    for (int32_t j = 0; j < FAKE_VOCAB; j++)
        fake.row[j] = fake_logit(fake.ids[i], pos, j) + fake.offset[i];
    fault_row(fake.row, FAKE_VOCAB, pos);
    return fake.row;
}

uint32_t ref_watch(const char *names, int answers)
{
    (void)names;
    (void)answers;
    fake.watched = true;
    return LS_REF_DONE;
}

uint32_t ref_reset(uint32_t n_keep)
{
    fake.n_past = (int32_t)n_keep;
    return LS_REF_DONE;
}

void ref_close(void) {}
