// SPDX-License-Identifier: MIT
/* markup.c - escapes of HTML, XML, Markdown, JSON and CSV; base64. */
#include "cli/markup.h"

#include <string.h>

#include "cli/text.h"

/* Write one character or escape of n bytes. */
typedef void put_fn(FILE *f, const char *p, size_t n);

/* Of three bytes of valid UTF-8. */
static unsigned code_point(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (u[0] & 15u) << 12 | (u[1] & 63u) << 6 | (u[2] & 63u);
}

/* What no document should hold: U+FFFE and U+FFFF are no characters of XML, and the controls of
 * bidirectional text would turn around what stands behind them. */
static bool hidden(const char *p, size_t n)
{
    unsigned c = n == 3 ? code_point(p) : 0;
    return c >= 0xfffe || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void each(FILE *f, ls_str s, put_fn *put)
{
    char   one[8];
    size_t n;
    for (size_t i = 0; i < s.len;) {
        i += cli_clean_one(s.p + i, s.len - i, one, &n);
        if (hidden(one, n)) n = (size_t)snprintf(one, sizeof(one), "\\u%04x", code_point(one));
        if (one[0] & 0x80)
            put(f, one, n);
        else /* one letter, or an escape: the backslash may be markup, too */
            for (size_t k = 0; k < n; k++) put(f, one + k, 1);
    }
}

static void put_xml(FILE *f, const char *p, size_t n)
{
    switch (*p) {
    case '&':
        fputs("&amp;", f);
        break;
    case '<':
        fputs("&lt;", f);
        break;
    case '>':
        fputs("&gt;", f);
        break;
    case '"':
        fputs("&quot;", f);
        break;
    case '\'':
        fputs("&#39;", f);
        break;
    default:
        fwrite(p, 1, n, f);
    }
}

/* A reference stands for the character and never for markup, of whatever dialect. */
static void put_md(FILE *f, const char *p, size_t n)
{
    if (n == 1 && strchr("&<>\"'|\\`*_{}[]#!~@:$^", *p))
        fprintf(f, "&#%d;", *p);
    else
        fwrite(p, 1, n, f);
}

static void put_json(FILE *f, const char *p, size_t n)
{
    if (n == 1 && strchr("\"\\<>&", *p))
        fprintf(f, "\\u%04x", (unsigned)*p);
    else
        fwrite(p, 1, n, f);
}

static void put_csv(FILE *f, const char *p, size_t n)
{
    if (*p == '"') fputc('"', f);
    fwrite(p, 1, n, f);
}

void cli_markup_xml(FILE *f, ls_str s) { each(f, s, put_xml); }
void cli_markup_md(FILE *f, ls_str s) { each(f, s, put_md); }
void cli_markup_json(FILE *f, ls_str s) { each(f, s, put_json); }
void cli_markup_csv(FILE *f, ls_str s) { each(f, s, put_csv); }

static void put_three(const cli_base64 *b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned          x = (unsigned)b->held[0] << 16 | (unsigned)b->held[1] << 8 | b->held[2];
    char out[4] = {digits[x >> 18], digits[x >> 12 & 63], digits[x >> 6 & 63], digits[x & 63]};
    if (b->n < 3) out[3] = '=';
    if (b->n < 2) out[2] = '=';
    fwrite(out, 1, 4, b->f);
}

void cli_base64_put(cli_base64 *b, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        b->held[b->n++] = p[i];
        if (b->n < 3) continue;
        put_three(b);
        b->n = 0;
    }
}

void cli_base64_end(cli_base64 *b)
{
    if (!b->n) return;
    memset(b->held + b->n, 0, 3 - b->n);
    put_three(b);
    b->n = 0;
}
