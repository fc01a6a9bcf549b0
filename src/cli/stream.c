// SPDX-License-Identifier: MIT
/* stream.c - holding back half characters and half stop texts. */
#include "cli/stream.h"

#include <stdlib.h>
#include <string.h>

void cli_stream_init(cli_stream *s, FILE *f, const char *const *stops, size_t n_stops)
{
    *s = (cli_stream){.f = f, .stops = stops, .n_stops = n_stops};
}

void cli_stream_fini(cli_stream *s)
{
    if (!s) return;
    free(s->held);
    s->held = NULL;
    s->n_held = s->cap = 0;
}

/* Bytes at the end of p that begin a UTF-8 sequence and do not finish it: 0 to 3. */
static size_t incomplete_tail(const char *p, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)p[len - back];
        size_t        need = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        if ((c & 0xc0) == 0x80) continue;
        return c <= 0xf4 && need > back ? back : 0;
    }
    return 0;
}

/* Bytes at the end of p that are the beginning of `stop`. */
static size_t stop_tail(const char *p, size_t len, const char *stop)
{
    size_t n = strlen(stop) - 1;
    for (n = n < len ? n : len; n > 0; n--)
        if (memcmp(p + len - n, stop, n) == 0) return n;
    return 0;
}

static void print(cli_stream *s, size_t n)
{
    if (n == 0) return;
    fwrite(s->held, 1, n, s->f);
    fflush(s->f);
    s->last = s->held[n - 1];
    memmove(s->held, s->held + n, s->n_held - n);
    s->n_held -= n;
}

ls_status cli_stream_add(cli_stream *s, const char *p, size_t len, ls_error *err)
{
    size_t      keep;
    const char *first = NULL;
    if (s->stopped || len == 0) return LS_OK;
    if (s->cap - s->n_held < len) {
        size_t cap = 2 * (s->n_held + len);
        char  *grown = realloc(s->held, cap);
        if (!grown) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the answer's text");
        s->held = grown;
        s->cap = cap;
    }
    memcpy(s->held + s->n_held, p, len);
    s->n_held += len;
    keep = incomplete_tail(s->held, s->n_held);
    for (size_t i = 0; i < s->n_stops && s->stops[i]; i++) {
        const char *at = memmem(s->held, s->n_held, s->stops[i], strlen(s->stops[i]));
        size_t      tail = stop_tail(s->held, s->n_held, s->stops[i]);
        if (at && (!first || at < first)) first = at;
        if (tail > keep) keep = tail;
    }
    if (first) {
        s->n_held = (size_t)(first - s->held);
        s->stopped = true;
        keep = 0;
    }
    print(s, s->n_held - keep);
    return LS_OK;
}

void cli_stream_end(cli_stream *s)
{
    print(s, s->n_held);
    if (s->last != '\n') fputc('\n', s->f);
    s->last = '\n';
    fflush(s->f);
}
