// SPDX-License-Identifier: MIT
/* test_reference_taps.c - what a reference shows of its graph and what it is made to go on from:
 * the host against the toy adapter (tests/support/adapters), sound and misbehaving; and the adapter
 * against a host that misbehaves, which is this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/ref_protocol.h"
#include "base/clock.h"
#include "lockstep/engine.h"
#include "support/adapters/fake.h"

#define MODEL LS_SOURCE_DIR "/CMakeLists.txt" /* to the toy engine any file is a model */

enum { N = 3 };
static const int32_t ids[N] = {17, 4, 99};

/* What a tap function adds, and what it and the watch have seen. */
typedef struct seen {
    float  add[LS_N_OPS];
    float  tap[LS_N_OPS][N + 1][FAKE_WIDTH], watch[LS_N_OPS][N + 1][FAKE_WIDTH];
    size_t n_taps, n_watched;
} seen;

static void on_tap(void *ctx, const ls_tap *t)
{
    seen *s = ctx;
    assert_true(t->layer == 0 && t->head == -1 && t->n == FAKE_WIDTH && t->pos <= N);
    memcpy(s->tap[t->op][t->pos], t->data, sizeof(s->tap[0][0]));
    for (size_t k = 0; k < t->n; k++) t->data[k] += s->add[t->op];
    s->n_taps++;
}

static void on_watch(void *ctx, const ls_tap_values *v)
{
    seen *s = ctx;
    assert_true(v->layer == 0 && v->heads == 1 && v->n == FAKE_WIDTH && v->rows <= N);
    memcpy(s->watch[v->op][v->pos], v->data, v->rows * v->n * sizeof(float));
    s->n_watched++;
}

static ls_status open_fake(ls_engine **e, const char *fault, seen *s, bool change, double timeout_s,
                           ls_error *err)
{
    ls_engine_options o = {.model_path = MODEL,
                           .n_ctx = 64,
                           .n_batch = 64,
                           .n_threads = 1,
                           .timeout_s = timeout_s,
                           .watch = {on_watch, s},
                           .tap = change ? on_tap : NULL,
                           .tap_ctx = s};
    ls_error_clear(err);
    setenv("LS_FAKE_FAULT", fault, 1);
    return ls_engine_open_reference(e, LS_FAKE_ADAPTER, &o, err);
}

/* All three nodes after what was added to the norm and to the product with its bias. */
static void check_values(const seen *s, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++)
        for (int32_t k = 0; k < FAKE_WIDTH; k++) {
            float norm = fake_norm(i < N ? ids[i] : 5, (int32_t)i, k);
            float q = 2 * (norm + s->add[LS_OP_ATTN_NORM]) + 1;
            assert_true(s->tap[LS_OP_ATTN_NORM][i][k] == norm && s->tap[LS_OP_Q_PROJ][i][k] == q);
            assert_true(s->watch[LS_OP_ATTN_NORM][i][k] == norm);
            assert_true(s->watch[LS_OP_Q_PROJ][i][k] == q);
        }
}

static void check_logits(ls_engine *e, size_t i, int32_t id, int32_t pos, float offset)
{
    const float *row;
    assert_int_equal(ls_engine_logits(e, i, &row, NULL), LS_OK);
    for (int32_t j = 0; j < FAKE_VOCAB; j++) assert_true(row[j] == fake_logit(id, pos, j) + offset);
}

/* The product is not the last node of its operation, and is left alone: its bias comes once. */
static void goes_on_from_what_it_is_given(void **state)
{
    static const float adds[][2] = {{0, 0}, {1, 0}, {0, 0.5f}, {2, -3}};
    (void)state;
    for (size_t a = 0; a < sizeof(adds) / sizeof(adds[0]); a++) {
        static const int32_t next[] = {5};
        seen                 s = {.n_taps = 0};
        float                offset = FAKE_WIDTH * (2 * adds[a][0] + adds[a][1]);
        ls_engine           *e;
        ls_error             err;
        s.add[LS_OP_ATTN_NORM] = adds[a][0];
        s.add[LS_OP_Q_PROJ] = adds[a][1];
        assert_int_equal(open_fake(&e, "", &s, true, 20, &err), LS_OK);
        assert_int_equal(ls_engine_eval(e, ids, N, &err), LS_OK);
        check_values(&s, 0, N);
        for (int32_t i = 0; i < N; i++) check_logits(e, (size_t)i, ids[i], i, offset);
        assert_int_equal(ls_engine_eval(e, next, 1, &err), LS_OK);
        check_values(&s, N, 1);
        check_logits(e, 0, 5, N, offset);
        assert_int_equal(s.n_taps, 2 * (N + 1)); /* that the first was done twice does not show */
        assert_int_equal(s.n_watched, 2 * 2);
        ls_engine_close(e);
    }
}

static void shows_the_same_to_one_who_only_watches(void **state)
{
    seen       s = {.n_taps = 0};
    ls_engine *e;
    ls_error   err;
    (void)state;
    assert_int_equal(open_fake(&e, "", &s, false, 20, &err), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, N, &err), LS_OK);
    memcpy(s.tap, s.watch, sizeof(s.tap));
    check_values(&s, 0, N);
    check_logits(e, 1, ids[1], 1, 0);
    assert_true(s.n_taps == 0 && s.n_watched == 2);
    ls_engine_close(e);
}

static const struct fault {
    const char *name, *text;
} faults[] = {
    {"tap-long", "sent a tap of the wrong size while evaluating 3 tokens"},
    {"tap-short", "sent a tap that nobody asked for while evaluating 3 tokens"},
    {"tap-endless", "sent a tap that nobody asked for"},
    {"tap-sequence", "sent a tap that nobody asked for"},
    {"tap-layer", "sent a tap of the wrong size"},
    {"tap-negative", "sent a tap of the wrong size"},
    {"tap-overflow", "sent a tap of the wrong size"},
    {"tap-name", "sent a tap of the wrong size"},
    {"tap-exit", "exited with status 0 while evaluating 3 tokens"},
    {"tap-hang", "did not answer within 0.4 s while evaluating 3 tokens and was stopped"},
    {"tap-flood", "did not answer within 0.4 s while evaluating 3 tokens and was stopped"},
};

static void reports_every_fault_of_taps_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const struct fault *f = &faults[i];
        bool       waits = strcmp(f->name, "tap-hang") == 0 || strcmp(f->name, "tap-flood") == 0;
        seen       s = {.n_taps = 0};
        uint64_t   begin = ls_now_ns();
        ls_engine *e;
        ls_error   err;
        assert_int_equal(open_fake(&e, f->name, &s, true, waits ? 0.4 : 20, &err), LS_OK);
        if (ls_engine_eval(e, ids, N, &err) != LS_ERR_REFERENCE || !strstr(err.what, f->text))
            fail_msg("%s: %s", f->name, err.what);
        ls_engine_close(e);
        assert_true((double)(ls_now_ns() - begin) < 10e9);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
}

/* ---- the child's side ---- */

typedef struct child {
    pid_t    pid;
    int      fd;
    uint32_t seq;
} child;

static child start_child(void)
{
    child c = {.seq = 0};
    int   fds[2], window = memfd_create("window", 0);
    setenv("LS_FAKE_FAULT", "", 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(ftruncate(window, 1 << 20), 0);
    c.fd = dup2(fds[0], 20); /* out of the way of the child's two */
    close(fds[0]);
    c.pid = fork();
    if (c.pid == 0) {
        int w = dup2(window, 21), s = dup2(fds[1], 22);
        dup2(s, LS_REF_SOCKET_FD);
        dup2(w, LS_REF_WINDOW_FD);
        for (int fd = LS_REF_WINDOW_FD + 1; fd < 32; fd++) close(fd);
        execl(LS_FAKE_ADAPTER, LS_FAKE_ADAPTER, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    close(window);
    return c;
}

static void say(child *c, uint16_t op, const void *a, size_t n_a, const void *b, size_t n_b)
{
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, op, op == LS_REF_TAP ? c->seq : ++c->seq, 0,
                    n_a + n_b};
    assert_int_equal(send(c->fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
    if (n_a) assert_int_equal(send(c->fd, a, n_a, MSG_NOSIGNAL), n_a);
    if (n_b) assert_int_equal(send(c->fd, b, n_b, MSG_NOSIGNAL), n_b);
}

/* Its next message: status and length; the payload into out. -1: it has gone. */
static int hear(child *c, ls_ref_msg *m, void *out, size_t cap)
{
    memset(m, 0, sizeof(*m));
    if (recv(c->fd, m, sizeof(*m), MSG_WAITALL) != sizeof(*m)) return -1;
    assert_true(m->len <= cap);
    if (m->len) assert_int_equal(recv(c->fd, out, (size_t)m->len, MSG_WAITALL), m->len);
    return (int)m->status;
}

static int ask(child *c, uint16_t op, const void *a, size_t n_a, const void *b, size_t n_b)
{
    static char payload[4096];
    ls_ref_msg  m;
    say(c, op, a, n_a, b, n_b);
    return hear(c, &m, payload, sizeof(payload));
}

/* Up to the first tap of an evaluation, which waits for its answer. */
static child reach_tap(void)
{
    static const char names[] = "attn_norm MUL\n";
    static char       payload[4096];
    child             c = start_child();
    ls_ref_sizes      sizes = ls_ref_sizes_here();
    ls_ref_watch      w = {.answers = 1};
    ls_ref_open       open = {64, 64, 1, LS_REF_KV_F32, (uint32_t)strlen(MODEL), 0};
    ls_ref_window     window = {1 << 20};
    ls_ref_msg        m;
    assert_int_equal(ask(&c, LS_REF_HELLO, &sizes, sizeof(sizes), NULL, 0), LS_REF_DONE);
    assert_int_equal(ask(&c, LS_REF_WATCH, &w, sizeof(w), names, sizeof(names) - 1), LS_REF_DONE);
    assert_int_equal(ask(&c, LS_REF_OPEN, &open, sizeof(open), MODEL, strlen(MODEL)), LS_REF_DONE);
    assert_int_equal(ask(&c, LS_REF_WINDOW, &window, sizeof(window), NULL, 0), LS_REF_DONE);
    say(&c, LS_REF_EVAL, ids, sizeof(ids), NULL, 0);
    assert_int_equal(hear(&c, &m, payload, sizeof(payload)), LS_REF_DONE);
    assert_int_equal(m.op, LS_REF_TAP);
    assert_int_equal(m.len, sizeof(ls_ref_tap) + N * FAKE_WIDTH * sizeof(float));
    return c;
}

static int end_of(child *c)
{
    int status = 0;
    close(c->fd);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_child_goes_on_after_an_answer_in_order(void **state)
{
    static char payload[4096];
    float       values[N * FAKE_WIDTH] = {0};
    ls_ref_msg  m;
    child       c = reach_tap();
    (void)state;
    say(&c, LS_REF_TAP, values, sizeof(values), NULL, 0);
    for (int k = 0; k < 2; k++) { /* the other two nodes keep what they have */
        assert_int_equal(hear(&c, &m, payload, sizeof(payload)), LS_REF_DONE);
        assert_int_equal(m.op, LS_REF_TAP);
        memcpy(values, payload + sizeof(ls_ref_tap), sizeof(values));
        for (int i = 0; i < N * FAKE_WIDTH; i++) assert_true(values[i] == (float)k);
        say(&c, LS_REF_TAP, NULL, 0, NULL, 0);
    }
    assert_int_equal(hear(&c, &m, payload, sizeof(payload)), LS_REF_DONE);
    assert_int_equal(m.op, LS_REF_EVAL);
    assert_int_equal(end_of(&c), 0);
}

/* Nothing of it is taken; the child ends instead of guessing. */
static void the_child_ends_at_an_answer_that_makes_no_sense(void **state)
{
    static float     values[N * FAKE_WIDTH + 1];
    const uint64_t   n = sizeof(values) - sizeof(float);
    const ls_ref_msg answers[] = {
        {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP, 5, 0, n + 4},
        {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP, 5, 0, n - 4},
        {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP, 5, 0, UINT64_MAX},
        {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP, 4, 0, n},
        {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_EVAL, 5, 0, n},
        {LS_REF_MAGIC, LS_REF_VERSION - 1, LS_REF_TAP, 5, 0, n},
        {0x50545448, LS_REF_VERSION, LS_REF_TAP, 5, 0, n},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        ls_ref_msg m;
        uint8_t    answer[sizeof(m) + sizeof(values)]; /* in one piece: the child may end early */
        child      c = reach_tap();
        memcpy(answer, &answers[i], sizeof(m));
        memcpy(answer + sizeof(m), values, sizeof(values));
        assert_int_equal(send(c.fd, answer, sizeof(answer), MSG_NOSIGNAL), sizeof(answer));
        if (recv(c.fd, &m, sizeof(m), MSG_WAITALL) == sizeof(m)) fail_msg("answer %zu", i);
        assert_int_equal(end_of(&c), 1);
    }
    { /* no answer at all */
        child c = reach_tap();
        assert_int_equal(end_of(&c), 1);
    }
}

static void the_child_refuses_to_watch_what_makes_no_sense(void **state)
{
    static char  names[sizeof(ls_ref_watch) + LS_REF_MAX_NAMES + 1];
    ls_ref_sizes sizes = ls_ref_sizes_here();
    child        c = start_child();
    (void)state;
    memset(names, 'x', sizeof(names));
    assert_int_equal(ask(&c, LS_REF_HELLO, &sizes, sizeof(sizes), NULL, 0), LS_REF_DONE);
    assert_int_equal(ask(&c, LS_REF_WATCH, names, 1, NULL, 0), LS_REF_MISUSED);
    assert_int_equal(ask(&c, LS_REF_WATCH, names, 9, NULL, 0), LS_REF_MISUSED);
    assert_int_equal(ask(&c, LS_REF_WATCH, names, sizeof(names), NULL, 0), LS_REF_MISUSED);
    assert_int_equal(ask(&c, LS_REF_WATCH, names, 12, NULL, 0), LS_REF_DONE);
    assert_int_equal(ask(&c, LS_REF_WATCH, names, 12, NULL, 0), LS_REF_MISUSED); /* once */
    assert_int_equal(end_of(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_from_what_it_is_given),
        cmocka_unit_test(shows_the_same_to_one_who_only_watches),
        cmocka_unit_test(reports_every_fault_of_taps_in_time),
        cmocka_unit_test(the_child_goes_on_after_an_answer_in_order),
        cmocka_unit_test(the_child_ends_at_an_answer_that_makes_no_sense),
        cmocka_unit_test(the_child_refuses_to_watch_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
