// SPDX-License-Identifier: MIT
/* compare.c - do two engines agree? compare MODEL.gguf PROMPT [REFERENCE-HOST]
 *
 * REFERENCE-HOST is the "adapter" that `lockstep engine list --json` names; without one, the
 * native engine's plain C serves as reference for its fastest kernels.
 *
 * cc compare.c $(pkg-config --cflags --libs lockstep) -o compare
 */
#include <stdio.h>
#include <string.h>

#include <lockstep/lockstep.h>

int main(int argc, char **argv)
{
    ls_engine          *subject = NULL, *reference = NULL;
    ls_per_token_result r = {0};
    ls_error            err = {0};
    ls_status           st;
    int                 code;

    if (argc < 3) return fprintf(stderr, "usage: compare MODEL.gguf PROMPT [REFERENCE-HOST]\n"), 64;
    ls_engine_options    opt = {.model_path = argv[1], .n_ctx = 256, .kv_type = LS_DTYPE_F16};
    ls_per_token_options what = {
        .text = argv[2], .len = strlen(argv[2]), .max_tokens = 16, .budget = ls_budget_default()};

    st = ls_engine_open_native(&subject, &opt, &err);
    if (st == LS_OK && argc > 3) {
        st = ls_engine_open_reference(&reference, argv[3], &opt, &err);
    } else if (st == LS_OK) {
        opt.tier = LS_TIER_SCALAR;
        st = ls_engine_open_native(&reference, &opt, &err);
    }
    if (st == LS_OK) st = ls_verify_per_token(&r, subject, reference, &what, &err);
    if (st == LS_OK) {
        for (size_t i = 0; i < r.n_positions; i++) {
            const ls_position *p = &r.positions[i];
            printf("%3d  token %6d  cosine %.9f  max |d| %.3g%s\n", p->pos, p->token, p->cosine,
                   p->max_abs, p->ok ? "" : "  outside its budget");
        }
        printf("%s: %zu of %zu positions compared %s\n", ls_verdict_name(r.verdict),
               r.coverage.positions_compared, r.coverage.positions_planned, r.reason);
        code = ls_verdict_exit_code(r.verdict);
    } else {
        fprintf(stderr, "compare: %s\n", err.what);
        code = ls_exit_code(st, &err);
    }
    ls_per_token_fini(&r);
    ls_engine_close(reference);
    ls_engine_close(subject);
    return code;
}
