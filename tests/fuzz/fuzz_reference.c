// SPDX-License-Identifier: MIT
/* fuzz_reference.c - any bytes as what a reference's child process answers: the host refuses with a
 * sentence, or hands out ids of the vocabulary and rows that can be read.
 *
 * No process is started: ls_proc_start is replaced (the linker's --wrap) by one that writes all
 * answers into the socket beforehand. An input is a row of answers, each a byte of how it begins, a
 * byte of its length in units, and that many bytes: with a true header, or all of it as it is. The
 * highest bit of the first: somebody changes the taps, so that the first evaluation comes twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/ref_protocol.h"
#include "engine/proc.h"
#include "fuzz/fuzz.h"
#include "lockstep/lockstep.h"

enum {
    AS_IT_IS = 1,
    FAILS = 2,
    WRONG_LENGTH = 4,
    TAP = 8,       /* comes before the answer to the request at hand */
    CHANGES = 128, /* of the first alone */
    UNIT = 4,
    MAX_ANSWERS = 32,
    MAX_BYTES = 32768
};

/* What the host asks below, in this order. */
enum { N_ASKED = 10, N_MORE = 2 };
static const uint16_t asked[][N_ASKED + N_MORE] = {
    {LS_REF_HELLO, LS_REF_WATCH, LS_REF_OPEN, LS_REF_WINDOW, LS_REF_TOKENIZE, LS_REF_EVAL,
     LS_REF_ROWS, LS_REF_ROWS, LS_REF_RESET, LS_REF_CLOSE},
    {LS_REF_HELLO, LS_REF_WATCH, LS_REF_OPEN, LS_REF_WINDOW, LS_REF_TOKENIZE, LS_REF_EVAL,
     LS_REF_RESET, LS_REF_EVAL, LS_REF_ROWS, LS_REF_ROWS, LS_REF_RESET, LS_REF_CLOSE}};
static const uint8_t *input;
static size_t         input_len;

static void write_answers(int fd)
{
    uint8_t out[MAX_BYTES + MAX_ANSWERS * sizeof(ls_ref_msg)];
    size_t  n = 0;
    bool    changes = input_len > 0 && input[0] & CHANGES;
    for (uint32_t i = 0, k = 0; k < MAX_ANSWERS && input_len >= 2; k++) {
        unsigned   how = input[0];
        size_t     len = (size_t)input[1] * UNIT;
        ls_ref_msg m = {LS_REF_MAGIC,
                        LS_REF_VERSION,
                        asked[changes][i % (changes ? N_ASKED + N_MORE : N_ASKED)],
                        i + 1,
                        LS_REF_DONE,
                        0};
        input += 2;
        input_len -= 2;
        if (len > input_len) len = input_len;
        m.len = how & WRONG_LENGTH ? len + 4 : len;
        if (how & TAP)
            m.op = LS_REF_TAP;
        else
            i++;
        if (how & FAILS) m.status = 1 + (how >> 4) % 5;
        if (!(how & AS_IT_IS)) {
            memcpy(out + n, &m, sizeof(m));
            n += sizeof(m);
        }
        memcpy(out + n, input, len);
        n += len;
        input += len;
        input_len -= len;
    }
    if (n > 0 && write(fd, out, n) != (ssize_t)n) abort();
    if (shutdown(fd, SHUT_WR) != 0) abort();
}

static volatile float sum_of_taps;
static int            far_end = -1; /* stays open: what the host says has to go somewhere */

ls_status __wrap_ls_proc_start(ls_proc *p, const ls_proc_options *opt, ls_error *err);
ls_status __wrap_ls_proc_start(ls_proc *p, const ls_proc_options *opt, ls_error *err)
{
    (void)err;
    memset(p, 0, sizeof(*p));
    p->out_fd = -1;
    far_end = dup(opt->pass[0]);
    if (far_end < 0) abort();
    write_answers(far_end);
    return LS_OK;
}

static void check_text(const char *s, size_t cap)
{
    FUZZ_REQUIRE(strnlen(s, cap) < cap);
    for (; *s; s++) FUZZ_REQUIRE((unsigned char)*s >= ' ' && *s != 0x7f);
}

static void read_rows(ls_engine *e, const int32_t *ids, size_t n)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    const float          *row;
    float                 sum = 0;
    if (n > (size_t)info->n_batch) n = (size_t)info->n_batch;
    if (n == 0 || ls_engine_eval(e, ids, n, NULL) != LS_OK) return;
    for (size_t i = 0; i < n && ls_engine_logits(e, i, &row, NULL) == LS_OK; i++) {
        sum += row[0] + row[info->n_vocab - 1];
    }
    FUZZ_REQUIRE(sum == 0); /* nobody wrote into the window */
}

static void converse(ls_engine *e)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    int32_t              *ids;
    size_t                n;
    check_text(info->engine, sizeof(info->engine));
    check_text(info->version, sizeof(info->version));
    check_text(info->library, sizeof(info->library));
    check_text(info->isa, sizeof(info->isa));
    FUZZ_REQUIRE(info->n_vocab > 0 && info->n_batch > 0 && info->n_ctx > 0);
    if (ls_engine_tokenize(e, "text", 4, NULL, &ids, &n, NULL) == LS_OK) {
        for (size_t i = 0; i < n; i++) FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < info->n_vocab);
        read_rows(e, ids, n);
        free(ids);
    }
    (void)ls_engine_reset(e, NULL);
}

/* A tap has rows for the tokens evaluated, of floats that can be read. */
static void see(void *ctx, const ls_tap_values *v)
{
    size_t n = v->heads * v->rows * v->n;
    (void)ctx;
    FUZZ_REQUIRE((unsigned)v->op < LS_N_OPS && n > 0 && v->rows <= 64 && v->layer >= -1);
    FUZZ_REQUIRE(ls_op_per_layer(v->op) || v->layer == -1);
    for (size_t i = 0; i < n; i++) sum_of_taps += v->data[i];
}

/* Rows that can be read and written. */
static void change(void *ctx, const ls_tap *t)
{
    (void)ctx;
    FUZZ_REQUIRE((unsigned)t->op < LS_N_OPS && t->n > 0 && t->layer >= -1 && t->pos >= 0);
    FUZZ_REQUIRE(ls_op_per_layer(t->op) || t->layer == -1);
    for (size_t i = 0; i < t->n; i++) sum_of_taps += t->data[i];
    t->data[t->n - 1] = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ls_engine_options opt = {
        .model_path = "model.gguf", .n_batch = 64, .n_threads = 1, .watch = {see, NULL}};
    ls_engine *e;
    ls_error   err = {0};
    input = data;
    input_len = size < MAX_BYTES ? size : MAX_BYTES;
    if (input_len > 0 && input[0] & CHANGES) opt.tap = change;
    if (ls_engine_open_reference(&e, "/proc/self/exe", &opt, &err) == LS_OK) {
        converse(e);
        ls_engine_close(e);
    } else {
        check_text(err.what, sizeof(err.what));
        FUZZ_REQUIRE(!e && err.what[0]);
    }
    if (far_end >= 0) close(far_end);
    far_end = -1;
    return 0;
}

/* ---- seeds: a whole conversation, and the same broken at each answer ---- */

enum { SECOND = 0x100 }; /* is said only where taps are changed */

typedef struct seed {
    uint8_t bytes[4096];
    size_t  n;
} seed;

static void answer(seed *s, unsigned how, const void *data, size_t len)
{
    s->bytes[s->n++] = (uint8_t)how;
    s->bytes[s->n++] = (uint8_t)(len / UNIT);
    if (len > 0) memcpy(s->bytes + s->n, data, len);
    s->n += len;
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const unsigned how[] = {0, AS_IT_IS, FAILS, FAILS | 0x10, WRONG_LENGTH};
    ls_ref_identity       id = {ls_ref_sizes_here(), "llama", "v1", "/lib/libllama.so"};
    ls_ref_opened         opened = {.n_vocab = 100,
                                    .n_ctx = 64,
                                    .n_batch = 64,
                                    .n_threads = 1,
                                    .kv_type = LS_REF_KV_F32,
                                    .isa = "haswell"};
    ls_ref_evaluated      done = {.n_rows = 4, .n_vocab = 100};
    ls_ref_rows           rows = {0, 4, 4 * 100 * sizeof(float)};
    const int32_t         ids[] = {1, 2, 99, 0};
    const struct {
        ls_ref_tap tap;
        float      values[32];
    } norm = {{"attn_norm", "MUL", 0, 4, {2, 4, 1, 1}, {0}}, {1, 2, 3, 4, 5, 6, 7, 8}},
      scores = {{"kq", "MUL_MAT", 0, 4, {8, 4, 1, 1}, {0}}, {1}},
      weights = {{"kq_soft_max", "SOFT_MAX", 0, 4, {8, 4, 1, 1}, {0.5f}}, {1}},
      mask = {{"mask", "SOFT_MAX", 0, 4, {8, 4, 1, 1}, {0.5f}}, {0}},
      entry = {{"scores", "SOFT_MAX", 0, 4, {8, 4, 1, 1}, {0.5f}}, {1}};
    const struct {
        const void *data;
        size_t      len;
        unsigned    how;
    } said[] = {{&id, sizeof(id), 0},
                {NULL, 0, 0},
                {&opened, sizeof(opened), 0},
                {NULL, 0, 0},
                {ids, sizeof(ids), 0},
                {&norm, sizeof(ls_ref_tap) + 32, TAP},
                {&scores, sizeof(scores), TAP},
                {&weights, sizeof(weights), TAP},
                {&mask, sizeof(mask), TAP},
                {&done, sizeof(done), 0},
                /* where taps are changed, else none of these */
                {NULL, 0, SECOND},
                {&norm, sizeof(ls_ref_tap) + 32, TAP | SECOND},
                {&scores, sizeof(scores), TAP | SECOND},
                {&mask, sizeof(mask), TAP | SECOND},
                {&entry, sizeof(entry), TAP | SECOND},
                {&weights, sizeof(weights), TAP | SECOND},
                {&done, sizeof(done), SECOND},
                {&rows, sizeof(rows), 0},
                {NULL, 0, 0},
                {NULL, 0, 0}};
    size_t   n_said = sizeof(said) / sizeof(said[0]), n_seeds = 1 + 4 * n_said;
    seed     s = {.n = 0};
    uint8_t *out;
    if (i >= 2 * n_seeds) return NULL;
    for (size_t k = 0, at = i % n_seeds; k < n_said; k++) {
        unsigned broken = at > 0 && k == (at - 1) / 4 ? how[1 + (at - 1) % 4] : 0;
        unsigned first = k == 0 && i >= n_seeds ? CHANGES : 0;
        if (said[k].how & SECOND && i < n_seeds) continue;
        answer(&s, (said[k].how & ~(unsigned)SECOND) | broken | first, said[k].data, said[k].len);
    }
    out = malloc(s.n);
    if (!out) abort();
    memcpy(out, s.bytes, s.n);
    *size = s.n;
    return out;
}
