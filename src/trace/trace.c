// SPDX-License-Identifier: MIT
/* trace.c - the table of taps, and faults: taps that change what passes them. */
#include "lockstep/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool        per_layer;
} ops[LS_N_OPS] = {
#define LS_TRACEPOINT(sym, name, per_layer, meaning) {name, per_layer},
#include "lockstep/tracepoints.def"
#undef LS_TRACEPOINT
};

const char *ls_op_name(ls_op op) { return (unsigned)op < LS_N_OPS ? ops[op].name : NULL; }
bool        ls_op_per_layer(ls_op op) { return (unsigned)op < LS_N_OPS && ops[op].per_layer; }

bool ls_op_parse(const char *name, size_t len, ls_op *out)
{
    for (int i = 0; i < LS_N_OPS; i++) {
        if (strlen(ops[i].name) == len && memcmp(ops[i].name, name, len) == 0) {
            *out = (ls_op)i;
            return true;
        }
    }
    return false;
}

static ls_status bad_fault(ls_error *err, const char *text, const char *why)
{
    ls_fail(err, LS_ERR_USAGE, "fault '%s' %s", text, why);
    ls_fail_hint(err, "write LAYER.OP[@POSITION][#ELEMENT]=scale:X|add:X|nan, for example "
                      "1.attn_norm=scale:2, 0.q_rope@5=nan or final_norm#7=add:0.1");
    return LS_ERR_USAGE;
}

/* Decimal digits to a number of at most INT32_MAX; NULL if there is none. */
static const char *parse_index(const char *p, int32_t *out)
{
    long long v = 0;
    if (*p < '0' || *p > '9') return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (*p - '0');
        if (v > INT32_MAX) return NULL;
    }
    *out = (int32_t)v;
    return p;
}

static bool parse_kind(const char *p, ls_fault *f)
{
    char *end;
    if (strcmp(p, "nan") == 0) {
        f->kind = LS_FAULT_NAN;
        return true;
    }
    if (strncmp(p, "scale:", 6) == 0) {
        f->kind = LS_FAULT_SCALE;
        p += 6;
    } else if (strncmp(p, "add:", 4) == 0) {
        f->kind = LS_FAULT_ADD;
        p += 4;
    } else {
        return false;
    }
    if (!*p || strchr(" \t\n", *p)) return false;
    f->x = strtof(p, &end);
    return *end == '\0' && isfinite(f->x);
}

ls_status ls_faults_add(ls_faults *list, const char *text, ls_error *err)
{
    ls_fault    f = {.layer = -1, .pos = -1, .element = -1};
    const char *p = text, *end;

    if (*p >= '0' && *p <= '9') {
        p = parse_index(p, &f.layer);
        if (!p || *p != '.') return bad_fault(err, text, "has no operation after the layer");
        p++;
    }
    end = p + strcspn(p, "@#=");
    if (!ls_op_parse(p, (size_t)(end - p), &f.op)) {
        return bad_fault(err, text, "names no operation that Lockstep has");
    }
    if (ls_op_per_layer(f.op) != (f.layer >= 0)) {
        return bad_fault(
            err, text, f.layer >= 0 ? "names a layer for what belongs to none" : "names no layer");
    }
    p = end;
    if (strncmp(p, "@alone", 6) == 0) {
        f.alone = true;
        p += 6;
        if (f.op == LS_OP_LOGITS) return bad_fault(err, text, "cannot act on lone tokens alone");
    }
    if (*p == '@' && !f.alone && !(p = parse_index(p + 1, &f.pos))) {
        return bad_fault(err, text, "has a position that is no number");
    }
    if (*p == '#' && !(p = parse_index(p + 1, &f.element))) {
        return bad_fault(err, text, "has an element that is no number");
    }
    if (*p != '=' || !parse_kind(p + 1, &f)) {
        return bad_fault(err, text, "does not say scale:X, add:X or nan");
    }
    if (list->n == LS_MAX_FAULTS) {
        return ls_fail(err, LS_ERR_LIMIT, "more than %d faults", LS_MAX_FAULTS);
    }
    list->at[list->n++] = f;
    return LS_OK;
}

static void apply(const ls_fault *f, float *x)
{
    switch (f->kind) {
    case LS_FAULT_SCALE:
        *x *= f->x;
        break;
    case LS_FAULT_ADD:
        *x += f->x;
        break;
    case LS_FAULT_NAN:
        *x = NAN;
        break;
    }
}

void ls_faults_tap(void *faults, const ls_tap *tap)
{
    const ls_faults *list = faults;
    for (size_t i = 0; i < list->n; i++) {
        const ls_fault *f = &list->at[i];
        size_t          first = f->element < 0 ? 0 : (size_t)f->element;
        size_t          end = f->element < 0 ? tap->n : first + 1;
        if (f->op != tap->op || f->layer != tap->layer) continue;
        if (f->pos >= 0 && f->pos != tap->pos) continue;
        if (f->alone && !tap->alone) continue;
        for (size_t j = first; j < end && j < tap->n; j++) apply(f, &tap->data[j]);
    }
}
