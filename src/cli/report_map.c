// SPDX-License-Identifier: MIT
/* report_map.c - the data in the page: the JSON report, texts of tokens, and the map in base64.
 *
 * A map of 512 positions x 32 layers x 18 operations has 300,000 cells. In decimal they would make
 * 60 MB; as bytes, with as many values per cell as fit, 16. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/markup.h"
#include "cli/report_html.h"

#define MAX_VALUE_BYTES ((size_t)10 << 20) /* of base64, over all rows */
enum { VALUE_BYTES = 12 };

/* ---- the report ---- */

/* Outside of strings JSON has none of these, inside it may spell them so. */
static int put_safely(const char *p, size_t n, void *ctx)
{
    FILE *f = ctx;
    for (size_t i = 0; i < n; i++) {
        if (strchr("<>&", p[i]) && p[i])
            fprintf(f, "\\u%04x", (unsigned)p[i]);
        else
            fputc(p[i], f);
    }
    return 0;
}

static ls_status report(const cli_report *r, FILE *f, ls_error *err)
{
    json_t *root = cli_report_json_build(r);
    if (!root) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the data of the page");
    json_dump_callback(root, put_safely, f,
                       JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17));
    json_decref(root);
    return LS_OK;
}

/* The text of a token, if it has one and was not written before. */
static void piece(const cli_report *r, FILE *f, int32_t id, bool *written, size_t n)
{
    char   buf[256];
    ls_str s = cli_token_text(r, id, buf, sizeof(buf));
    if (!s.len || (size_t)id >= n || written[id]) return;
    written[id] = true;
    fprintf(f, ",\"%d\":\"", (int)id);
    cli_markup_json(f, s);
    fputc('"', f);
}

/* Of every token that the script may show. */
static ls_status texts(const cli_report *r, FILE *f, ls_error *err)
{
    const ls_per_token_result *x = r->result;
    size_t                     n = r->tokenizer ? (size_t)ls_tokenizer_n_vocab(r->tokenizer) : 0;
    bool                      *written = calloc(n + 1, sizeof(*written));
    if (!written) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the data of the page");
    fputs("{\"\":\"\"", f);
    for (size_t i = 0; i < x->n_positions; i++) {
        piece(r, f, x->positions[i].token, written, n);
        piece(r, f, x->positions[i].top1_subject, written, n);
        piece(r, f, x->positions[i].top1_reference, written, n);
    }
    fputc('}', f);
    free(written);
    return LS_OK;
}

/* ---- the map ---- */

static void put_u32(cli_base64 *b, uint32_t x)
{
    unsigned char bytes[4] = {(unsigned char)x, (unsigned char)(x >> 8), (unsigned char)(x >> 16),
                              (unsigned char)(x >> 24)};
    cli_base64_put(b, bytes, 4);
}

static void put_f32(cli_base64 *b, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    put_u32(b, bits);
}

static void put_f64(cli_base64 *b, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    put_u32(b, (uint32_t)bits);
    put_u32(b, (uint32_t)(bits >> 32));
}

/* Its name in the page and which number of a cell it is. */
typedef struct error_kind {
    const char *name;
    size_t      off;
    bool        of_oracle;
} error_kind;
static const error_kind error_kinds[] = {
    {"i", offsetof(ls_map_cell, isolated), false},
    {"a", offsetof(ls_map_cell, accumulated), false},
    {"s", offsetof(ls_map_cell, subject), true},
    {"r", offsetof(ls_map_cell, reference), true},
};
enum { N_ERROR_KINDS = sizeof(error_kinds) / sizeof(error_kinds[0]) };

static double nmse(const ls_map_cell *c, const error_kind *k)
{
    return *(const double *)(const void *)((const char *)c + k->off);
}

static void errors(FILE *f, const ls_map_row *row, size_t n, const error_kind *k)
{
    cli_base64 b = {.f = f};
    double     first = n ? nmse(&row->cells[0], k) : -1;
    size_t     same = 0;
    fprintf(f, ",\"%s\":", k->name);
    while (same < n && nmse(&row->cells[same], k) == first) same++;
    if (same == n && (first == 0 || first == -1)) {
        fprintf(f, "%d", (int)first);
        return;
    }
    fputc('"', f);
    for (size_t i = 0; i < n; i++) put_f64(&b, nmse(&row->cells[i], k));
    cli_base64_end(&b);
    fputc('"', f);
}

static uint32_t kept(const ls_map_cell *c, uint32_t most)
{
    uint32_t n = c->n_worst < LS_MAP_VALUES ? c->n_worst : LS_MAP_VALUES;
    return n < most ? n : most;
}

static void values(FILE *f, const ls_map_row *row, size_t n, uint32_t most)
{
    cli_base64 b = {.f = f};
    fputs(",\"c\":\"", f);
    for (size_t i = 0; i < n; i++) {
        unsigned char k = (unsigned char)kept(&row->cells[i], most);
        cli_base64_put(&b, &k, 1);
    }
    cli_base64_end(&b);
    fputs("\",\"w\":\"", f);
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < kept(&row->cells[i], most); k++) {
            const ls_map_value *v = &row->cells[i].worst[k];
            put_u32(&b, v->index);
            put_f32(&b, v->subject);
            put_f32(&b, v->reference);
        }
    }
    cli_base64_end(&b);
    fputc('"', f);
}

/* How many values of each cell fit. */
static uint32_t most_values(const ls_tap_map *m)
{
    for (uint32_t most = LS_MAP_VALUES; most > 0; most--) {
        size_t n = 0;
        for (size_t k = 0; k < m->n_rows; k++)
            for (size_t i = 0; i < m->n_positions; i++) n += kept(&m->rows[k].cells[i], most);
        if (n <= MAX_VALUE_BYTES / 4 * 3 / VALUE_BYTES) return most;
    }
    return 0;
}

static void map(const ls_tap_map *m, bool oracle, FILE *f)
{
    uint32_t most = most_values(m);
    fprintf(f, ",\"values\":%u,\"map\":[", (unsigned)most);
    for (size_t i = 0; i < m->n_rows; i++) {
        const ls_map_row *row = &m->rows[i];
        fprintf(f, "%s{\"op\":\"%s\",\"layer\":%d,\"heads\":%zu,\"n\":%zu", i ? ",\n" : "\n",
                ls_op_name(row->op), (int)row->layer, row->heads, row->n);
        for (size_t k = 0; k < N_ERROR_KINDS; k++)
            if (oracle || !error_kinds[k].of_oracle)
                errors(f, row, m->n_positions, &error_kinds[k]);
        values(f, row, m->n_positions, most);
        fputc('}', f);
    }
    fputs("]", f);
}

ls_status cli_report_data(const cli_report *r, FILE *f, ls_error *err)
{
    static const ls_tap_map none = {0};
    bool                    oracle = r->located && r->located->by_oracle;
    fputs("{\"report\":", f);
    LS_TRY(report(r, f, err));
    fputs(",\n\"texts\":", f);
    LS_TRY(texts(r, f, err));
    if (r->located) fprintf(f, ",\n\"budget\":%.17g", r->located->budget);
    if (oracle)
        fprintf(f, ",\n\"rho_tol\":%.17g,\"rho_floor\":%.17g", r->budget.rho_tol,
                r->budget.rho_floor);
    map(r->located ? &r->located->map : &none, oracle, f);
    fputs("}", f);
    return LS_OK;
}
