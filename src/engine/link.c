// SPDX-License-Identifier: MIT
/* link.c - requests and responses over the socket to a reference's child process (link.h). */
#include "engine/link.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define GRACE_S           1.0   /* how long a child that should end may take */
#define DEFAULT_TIMEOUT_S 300.0 /* as engine.h promises                      */
#define MAX_TIMEOUT_S     1e7   /* in nanoseconds it still fits a deadline   */
#define POLL_MS           200   /* a signal just before poll is seen this late */

ls_status ls_link_open(ls_link *l, const char *exe, const char *arg, int window_fd,
                       double timeout_s, ls_error *err)
{
    const char     *argv[] = {exe, arg, NULL};
    int             fds[2], pass[2];
    ls_proc_options opt = {.argv = argv, .pass = pass, .n_pass = 2};
    ls_status       status;
    memset(l, 0, sizeof(*l));
    l->fd = -1;
    l->timeout_s = timeout_s > 0 ? timeout_s : DEFAULT_TIMEOUT_S;
    if (l->timeout_s > MAX_TIMEOUT_S) l->timeout_s = MAX_TIMEOUT_S;
    snprintf(l->name, sizeof(l->name), "%.60s", strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe);
    if (access(exe, X_OK) != 0) {
        return ls_fail(err, LS_ERR_REFERENCE, "cannot run the reference program '%.300s': %s", exe,
                       strerror(errno));
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return ls_fail_errno(err, errno, "cannot make a socket for '%.300s'", exe);
    }
    pass[0] = fds[1];
    pass[1] = window_fd;
    status = ls_proc_start(&l->proc, &opt, err);
    close(fds[1]);
    l->fd = fds[0];
    if (status != LS_OK) ls_link_close(l);
    return status;
}

/* The link is dead: remember why, with the child's last words, and end the child. */
static ls_status give_up(ls_link *l, const char *why, ls_error *err)
{
    char words[200];
    ls_proc_stop(&l->proc);
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    ls_proc_last_words(&l->proc, words, sizeof(words));
    if (words[0])
        snprintf(l->broken, sizeof(l->broken), "%.180s; its last words: \"%s\"", why, words);
    else
        snprintf(l->broken, sizeof(l->broken), "%s", why);
    return ls_fail(err, LS_ERR_REFERENCE, "%s %s", l->name, l->broken);
}

ls_status ls_link_break(ls_link *l, ls_error *err, const char *fmt, ...)
{
    char    why[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return give_up(l, why, err);
}

/* The socket is closed at the other end: say how the child ended. */
static ls_status hung_up(ls_link *l, const char *doing, ls_error *err)
{
    char how[80];
    if (!ls_proc_wait(&l->proc, GRACE_S)) {
        return ls_link_break(l, err, "closed the connection while %s", doing);
    }
    ls_proc_how(&l->proc, how, sizeof(how));
    return ls_link_break(l, err, "%s while %s", how, doing);
}

/* Wait until the socket is ready for `events`, collecting the child's output meanwhile. */
static ls_status wait_for(ls_link *l, short events, uint64_t deadline, const char *doing,
                          ls_error *err)
{
    for (;;) {
        struct pollfd fds[2] = {{l->fd, events, 0}, {l->proc.out_fd, POLLIN, 0}};
        uint64_t      now = ls_now_ns();
        int           left_ms;
        if (l->cancelled && *l->cancelled) {
            ls_link_break(l, NULL, "was stopped by an interrupt while %s", doing);
            return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        }
        if (now >= deadline) {
            return ls_link_break(l, err, "did not answer within %g s while %s and was stopped",
                                 l->timeout_s, doing);
        }
        left_ms = (int)((deadline - now) / 1000000u < POLL_MS ? (deadline - now) / 1000000u + 1
                                                              : POLL_MS);
        if (poll(fds, l->proc.out_fd >= 0 ? 2 : 1, left_ms) < 0 && errno != EINTR) {
            return ls_link_break(l, err, "cannot be waited for: %s", strerror(errno));
        }
        if (fds[1].revents) ls_proc_drain(&l->proc);
        if (fds[0].revents) return LS_OK;
    }
}

static ls_status send_all(ls_link *l, const void *data, size_t n, const char *doing,
                          uint64_t deadline, ls_error *err)
{
    const char *p = data;
    while (n > 0) {
        ssize_t k = send(l->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else if (errno == EAGAIN) {
            LS_TRY(wait_for(l, POLLOUT, deadline, doing, err));
        } else if (errno != EINTR) {
            return hung_up(l, doing, err);
        }
    }
    return LS_OK;
}

static ls_status receive_all(ls_link *l, void *data, size_t n, const char *doing, uint64_t deadline,
                             ls_error *err)
{
    char *p = data;
    while (n > 0) {
        ssize_t k = recv(l->fd, p, n, MSG_DONTWAIT);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else if (k < 0 && errno == EAGAIN) {
            LS_TRY(wait_for(l, POLLIN, deadline, doing, err));
        } else if (k == 0 || errno != EINTR) {
            return hung_up(l, doing, err);
        }
    }
    return LS_OK;
}

/* A refusal in order: the child lives on and says why. */
static ls_status refused(ls_link *l, const ls_ref_msg *m, const ls_link_call *call,
                         uint64_t deadline, ls_error *err)
{
    char text[LS_REF_MAX_ERROR + 1];
    if (m->len > LS_REF_MAX_ERROR) {
        return ls_link_break(l, err, "sent %llu bytes as the text of an error",
                             (unsigned long long)m->len);
    }
    LS_TRY(receive_all(l, text, (size_t)m->len, call->doing, deadline, err));
    text[m->len] = '\0';
    ls_proc_clean(text);
    switch (m->status) {
    case LS_REF_REFUSED:
        return ls_fail(err, LS_ERR_FORMAT, "%s refuses the model: %.400s", l->name, text);
    case LS_REF_FULL:
        return ls_fail(err, LS_ERR_LIMIT, "%s, %s: %.400s", l->name, call->doing, text);
    default:
        return ls_fail(err, LS_ERR_REFERENCE, "%s failed while %s: %.400s", l->name, call->doing,
                       text);
    }
}

/* The response's header: everything about it that can be wrong. */
static ls_status check_header(ls_link *l, const ls_ref_msg *m, const ls_link_call *call,
                              ls_error *err)
{
    if (m->magic != LS_REF_MAGIC) {
        return ls_link_break(l, err, "sent 0x%08x instead of a response while %s", m->magic,
                             call->doing);
    }
    if (m->version != LS_REF_VERSION) {
        return ls_link_break(l, err, "speaks version %u of the protocol, not %u", m->version,
                             LS_REF_VERSION);
    }
    if (m->op != call->op || m->seq != l->seq) {
        return ls_link_break(l, err, "answered request %u.%u instead of %u.%u while %s", m->seq,
                             m->op, l->seq, call->op, call->doing);
    }
    if (m->status != LS_REF_DONE) return LS_OK; /* refused() checks the length */
    if (call->owned ? m->len > LS_REF_MAX_PAYLOAD : m->len != call->reply_len) {
        return ls_link_break(
            l, err, "sent %llu bytes where %zu were expected while %s", (unsigned long long)m->len,
            call->owned ? (size_t)LS_REF_MAX_PAYLOAD : call->reply_len, call->doing);
    }
    return LS_OK;
}

static ls_status answer_tap(ls_link *l, const float *data, size_t n, const ls_link_call *call,
                            uint64_t deadline, ls_error *err)
{
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP,
                    l->seq,       LS_REF_DONE,    n * sizeof(*data)};
    LS_TRY(send_all(l, &m, sizeof(m), call->doing, deadline, err));
    return send_all(l, data, n * sizeof(*data), call->doing, deadline, err);
}

/* A node of the graph, which precedes the response: taken in, and handed on. */
static ls_status take_tap(ls_link *l, const ls_ref_msg *m, const ls_link_call *call,
                          uint64_t deadline, ls_error *err)
{
    ls_ref_tap tap;
    uint64_t   n = 1;
    void      *data;
    bool       changed = false;
    ls_status  status;
    if (!call->tap || m->magic != LS_REF_MAGIC || m->version != LS_REF_VERSION ||
        m->seq != l->seq || m->len < sizeof(tap) || m->len > LS_REF_MAX_TAP) {
        return ls_link_break(l, err, "sent a tap that nobody asked for while %s", call->doing);
    }
    LS_TRY(receive_all(l, &tap, sizeof(tap), call->doing, deadline, err));
    for (int d = 0; d < 4; d++) {
        if (tap.ne[d] < 1 || (uint64_t)tap.ne[d] > LS_REF_MAX_TAP / n) n = 0;
        if (n == 0) break;
        n *= (uint64_t)tap.ne[d];
    }
    if (n == 0 || n * sizeof(float) != m->len - sizeof(tap) || tap.name[sizeof(tap.name) - 1] ||
        tap.op[sizeof(tap.op) - 1] || tap.layer < -1) {
        return ls_link_break(l, err, "sent a tap of the wrong size while %s", call->doing);
    }
    LS_TRY(ls_alloc(&data, (size_t)n, sizeof(float), "a tap of a reference", err));
    status = receive_all(l, data, (size_t)n * sizeof(float), call->doing, deadline, err);
    if (status == LS_OK) status = call->tap(call->tap_ctx, &tap, data, (size_t)n, &changed, err);
    if (status == LS_OK && call->answers)
        status = answer_tap(l, data, changed ? (size_t)n : 0, call, deadline, err);
    free(data);
    return status;
}

/* A short request goes out in one piece: the child is woken once, with all there. */
static ls_status send_request(ls_link *l, const ls_ref_msg *m, const ls_link_call *call,
                              uint64_t deadline, ls_error *err)
{
    char        packed[256];
    const void *parts[] = {m, call->head, call->body};
    size_t      sizes[] = {sizeof(*m), call->head_len, call->body_len}, n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (sizes[i] <= sizeof(packed) - n) {
            if (sizes[i] > 0) memcpy(packed + n, parts[i], sizes[i]);
            n += sizes[i];
            continue;
        }
        LS_TRY(send_all(l, packed, n, call->doing, deadline, err));
        LS_TRY(send_all(l, parts[i], sizes[i], call->doing, deadline, err));
        n = 0;
    }
    return send_all(l, packed, n, call->doing, deadline, err);
}

ls_status ls_link_ask(ls_link *l, const ls_link_call *call, ls_error *err)
{
    uint64_t   deadline = ls_now_ns() + (uint64_t)(l->timeout_s * 1e9);
    size_t     len = call->head_len + call->body_len;
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, call->op, ++l->seq, LS_REF_DONE, len};
    void      *data = call->reply;
    ls_status  status;
    if (l->broken[0]) {
        return ls_fail(err, LS_ERR_REFERENCE, "%s failed earlier: it %s", l->name, l->broken);
    }
    LS_TRY(send_request(l, &m, call, deadline, err));
    LS_TRY(receive_all(l, &m, sizeof(m), call->doing, deadline, err));
    while (m.op == LS_REF_TAP) {
        LS_TRY(take_tap(l, &m, call, deadline, err));
        deadline = ls_now_ns() + (uint64_t)(l->timeout_s * 1e9);
        LS_TRY(receive_all(l, &m, sizeof(m), call->doing, deadline, err));
    }
    LS_TRY(check_header(l, &m, call, err));
    if (m.status != LS_REF_DONE) return refused(l, &m, call, deadline, err);
    if (call->owned) LS_TRY(ls_alloc(&data, 1, (size_t)m.len, "the reference's answer", err));
    status = receive_all(l, data, (size_t)m.len, call->doing, deadline, err);
    if (!call->owned) return status;
    if (status != LS_OK) {
        free(data);
        return status;
    }
    *call->owned = data;
    *call->owned_len = (size_t)m.len;
    return LS_OK;
}

void ls_link_close(ls_link *l)
{
    if (l->fd > 0 && !l->broken[0]) {
        ls_link_call bye = {.op = LS_REF_CLOSE, .doing = "closing"};
        l->timeout_s = GRACE_S;
        if (ls_link_ask(l, &bye, NULL) == LS_OK) ls_proc_wait(&l->proc, GRACE_S);
    }
    ls_proc_stop(&l->proc);
    if (l->fd > 0) close(l->fd);
    l->fd = -1;
}
