// SPDX-License-Identifier: MIT
/* trace.c - the table of taps, and faults: taps that change what passes them. */
#include "lockstep/trace.h"

#include <math.h>
#include <stdio.h>
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

/* ---- the language ---- */

static const struct {
    const char *name;
    enum { NO_NUMBER, A_NUMBER, MAYBE_WHOLE } takes;
} kinds[] = {
    [LS_FAULT_SCALE] = {"scale", A_NUMBER},
    [LS_FAULT_ADD] = {"add", A_NUMBER},
    [LS_FAULT_NAN] = {"nan", NO_NUMBER},
    [LS_FAULT_ULP] = {"ulp", MAYBE_WHOLE},
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]), MAX_ULP = 1 << 23 /* whole as a float */ };

static ls_status bad_fault(ls_error *err, const char *text, const char *why)
{
    ls_fail(err, LS_ERR_USAGE, "fault '%s' %s", text, why);
    ls_fail_hint(err, "write LAYER.OP[@POSITION][#ELEMENT[-LAST]]=scale:X|add:X|nan|ulp[:N], for "
                      "example 1.attn_norm=scale:2, 0.q_rope@5=nan or final_norm#7=add:0.1");
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

static bool parse_number(const char *p, float *out)
{
    char *end;
    if (!*p || strchr(" \t\n", *p)) return false;
    *out = strtof(p, &end);
    return *end == '\0' && isfinite(*out);
}

static bool parse_kind(const char *p, ls_fault *f)
{
    size_t len = strcspn(p, ":");
    int    k = 0;
    while (k < N_KINDS && (strlen(kinds[k].name) != len || memcmp(kinds[k].name, p, len) != 0)) k++;
    if (k == N_KINDS) return false;
    f->kind = (ls_fault_kind)k;
    f->x = 1;
    p += len;
    if (kinds[k].takes != A_NUMBER && !*p) return true;
    if (kinds[k].takes == NO_NUMBER || *p != ':' || !parse_number(p + 1, &f->x)) return false;
    return kinds[k].takes == A_NUMBER || (f->x >= 1 && f->x <= MAX_ULP && f->x == floorf(f->x));
}

/* LAYER.OP or '*'; NULL: *why is wrong. */
static const char *parse_tap(const char *p, ls_fault *f, const char **why)
{
    const char *end;
    f->op = LS_N_OPS;
    if (*p == '*') return p + 1;
    *why = "has no operation after the layer";
    if (*p >= '0' && *p <= '9') {
        p = parse_index(p, &f->layer);
        if (!p || *p != '.') return NULL;
        p++;
    }
    end = p + strcspn(p, "@#=");
    *why = "names no operation that Lockstep has";
    if (!ls_op_parse(p, (size_t)(end - p), &f->op)) return NULL;
    *why = f->layer >= 0 ? "names a layer for what belongs to none" : "names no layer";
    return ls_op_per_layer(f->op) == (f->layer >= 0) ? end : NULL;
}

/* "#3" or "#3-7". */
static const char *parse_elements(const char *p, ls_fault *f)
{
    p = parse_index(p, &f->element);
    f->last = f->element;
    if (!p || *p != '-') return p;
    p = parse_index(p + 1, &f->last);
    return f->last >= f->element ? p : NULL;
}

ls_status ls_faults_add(ls_faults *list, const char *text, ls_error *err)
{
    ls_fault    f = {.layer = -1, .pos = -1, .element = -1, .last = -1};
    const char *why, *p = parse_tap(text, &f, &why);
    if (!p) return bad_fault(err, text, why);
    if (strncmp(p, "@alone", 6) == 0) {
        f.alone = true;
        p += 6;
        if (f.op == LS_OP_LOGITS || f.op == LS_N_OPS)
            return bad_fault(err, text, "cannot act on lone tokens alone");
    }
    if (*p == '@' && !f.alone && !(p = parse_index(p + 1, &f.pos)))
        return bad_fault(err, text, "has a position that is no number");
    if (*p == '#' && !(p = parse_elements(p + 1, &f)))
        return bad_fault(err, text, "has an element that is no number");
    if (*p != '=' || !parse_kind(p + 1, &f))
        return bad_fault(err, text, "does not say scale:X, add:X, nan or ulp:N");
    if (list->n == LS_MAX_FAULTS)
        return ls_fail(err, LS_ERR_LIMIT, "more than %d faults", LS_MAX_FAULTS);
    list->at[list->n++] = f;
    return LS_OK;
}

const char *ls_fault_text(const ls_fault *f, char *buf, size_t cap)
{
    char layer[16] = "", pos[16] = "", elements[32] = "", x[32] = "";
    if (f->layer >= 0) snprintf(layer, sizeof(layer), "%d.", (int)f->layer);
    if (f->pos >= 0) snprintf(pos, sizeof(pos), "@%d", (int)f->pos);
    if (f->alone) snprintf(pos, sizeof(pos), "@alone");
    if (f->element >= 0 && f->last > f->element)
        snprintf(elements, sizeof(elements), "#%d-%d", (int)f->element, (int)f->last);
    else if (f->element >= 0)
        snprintf(elements, sizeof(elements), "#%d", (int)f->element);
    if (kinds[f->kind].takes != NO_NUMBER) snprintf(x, sizeof(x), ":%.9g", (double)f->x);
    snprintf(buf, cap, "%s%s%s%s=%s%s", layer, f->op == LS_N_OPS ? "*" : ls_op_name(f->op), pos,
             elements, kinds[f->kind].name, x);
    return buf;
}

/* ---- what a fault does ---- */

/* The float n steps above (below) v, none beyond the largest; 0 and -0 are one. */
static float neighbour(float v, int64_t n)
{
    uint32_t bits;
    int64_t  at;
    if (!isfinite(v)) return v;
    memcpy(&bits, &v, sizeof(bits));
    at = bits >> 31 ? -(int64_t)(bits & 0x7fffffff) : (int64_t)bits;
    at += n;
    if (at > 0x7f7fffff) at = 0x7f7fffff;
    if (at < -0x7f7fffff) at = -0x7f7fffff;
    bits = at < 0 ? (uint32_t)-at | 0x80000000 : (uint32_t)at;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* A bit for every place (the finalizer of SplitMix64: Steele, Lea and Flood 2014). */
static bool up(const ls_tap *tap, size_t element)
{
    uint64_t z = (uint64_t)tap->op << 56 ^ (uint64_t)(uint32_t)tap->layer << 40 ^
                 (uint64_t)(uint32_t)tap->pos << 20 ^ (uint64_t)(uint32_t)tap->head << 32 ^ element;
    z += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) & 1;
}

static void apply(const ls_fault *f, const ls_tap *tap, size_t i)
{
    float *x = &tap->data[i];
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
    case LS_FAULT_ULP:
        *x = neighbour(*x, up(tap, i) ? (int64_t)f->x : -(int64_t)f->x);
        break;
    }
}

static bool acts_on(const ls_fault *f, const ls_tap *tap)
{
    if (f->pos >= 0 && f->pos != tap->pos) return false;
    if (f->alone && !tap->alone) return false;
    if (f->op == LS_N_OPS) return tap->op != LS_OP_FFN_MOE_TOPK; /* numbers, not values */
    return f->op == tap->op && f->layer == tap->layer;
}

void ls_faults_tap(void *faults, const ls_tap *tap)
{
    const ls_faults *list = faults;
    for (size_t i = 0; i < list->n; i++) {
        const ls_fault *f = &list->at[i];
        size_t          first = f->element < 0 ? 0 : (size_t)f->element;
        size_t          end = f->element < 0 ? tap->n : (size_t)f->last + 1;
        if (!acts_on(f, tap)) continue;
        for (size_t j = first; j < end && j < tap->n; j++) apply(f, tap, j);
    }
}
