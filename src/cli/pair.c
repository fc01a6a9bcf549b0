// SPDX-License-Identifier: MIT
/* pair.c - two engines for many runs. Who looks on is fixed when an engine is opened: here somebody
 * always does, and hands on to whoever looks on now. */
#include "cli/pair.h"

cli_pair cli_pair_of(const cli_comparison *c)
{
    return (cli_pair){.subject = c->subject,
                      .reference = c->reference,
                      .exe = cli_comparison_exe(c),
                      .own_sums = c->o->sums == CLI_SUMS_OWN};
}

static void watch(void *ctx, const ls_tap_values *v)
{
    const cli_pair_side *s = ctx;
    if (s->watch.fn) s->watch.fn(s->watch.ctx, v);
}

static void tap(void *ctx, const ls_tap *t)
{
    const cli_pair_side *s = ctx;
    if (s->tap) s->tap(s->tap_ctx, t);
}

static ls_status open_side(cli_pair *p, bool subject, ls_error *err)
{
    cli_pair_side    *s = &p->sides[subject];
    ls_engine_options opt = subject ? p->subject : p->reference;
    opt.watch = (ls_watch){watch, s};
    if (!subject && p->exe) return ls_engine_open_reference(&s->engine, p->exe, &opt, err);
    if (subject) {
        opt.tap = tap;
        opt.tap_ctx = s;
    }
    return ls_engine_open_native(&s->engine, &opt, err);
}

ls_status cli_pair_open(cli_pair *p, ls_error *err)
{
    const ls_engine_info *info;
    LS_TRY(open_side(p, false, err));
    info = ls_engine_get_info(p->sides[0].engine);
    if (!p->subject.lanes) p->subject.lanes = info->lanes;
    p->subject.follow = p->exe && !p->own_sums;
    p->subject.bf16_pairs = p->subject.follow && info->bf16_pairs;
    return open_side(p, true, err);
}

void cli_pair_close(cli_pair *p)
{
    for (int i = 0; i < 2; i++) {
        ls_engine_close(p->sides[i].engine);
        p->sides[i] = (cli_pair_side){0};
    }
}

ls_status cli_pair_take(void *pair, bool subject, ls_watch watched, ls_tap_fn *tapped,
                        void *tap_ctx, ls_engine **out, ls_error *err)
{
    cli_pair      *p = pair;
    cli_pair_side *s = &p->sides[subject];
    LS_TRY(ls_engine_reset(s->engine, err));
    s->watch = watched;
    s->tap = tapped;
    s->tap_ctx = tap_ctx;
    *out = s->engine;
    return LS_OK;
}

void cli_pair_leave(void *pair, ls_engine *e)
{
    cli_pair *p = pair;
    for (int i = 0; i < 2; i++) {
        if (p->sides[i].engine != e) continue;
        p->sides[i].watch = (ls_watch){0};
        p->sides[i].tap = NULL;
    }
}
