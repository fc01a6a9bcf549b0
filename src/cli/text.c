// SPDX-License-Identifier: MIT
/* text.c - escapes for text of unknown origin. */
#include "cli/text.h"

#include <string.h>

/* Well-formed sequences: The Unicode Standard, table 3-7. */
size_t cli_utf8_sequence(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t               n;
    unsigned char        low = 0x80, high = 0xbf;
    if (len == 0) return 0;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n > len) return 0;
    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (p[i] < low || p[i] > high) return 0;
    return n;
}

size_t cli_clean_one(const char *p, size_t len, char out[8], size_t *n_out)
{
    static const char plain[] = "\n\t\r", letters[] = "ntr";
    size_t            n = cli_utf8_sequence(p, len);
    unsigned char     c = (unsigned char)*p;
    const char       *known = c ? strchr(plain, c) : NULL;
    /* U+0080 to U+009F are control characters too. */
    bool c1 = n == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0;
    if (known) {
        *n_out = (size_t)snprintf(out, 8, "\\%c", letters[known - plain]);
    } else if (n == 0 || c < 32 || c == 127 || c1) {
        *n_out = (size_t)snprintf(out, 8, "\\x%02x", c);
        return 1;
    } else {
        memcpy(out, p, n);
        *n_out = n;
    }
    return n;
}

/* One character or one escape; returns the bytes read and adds the columns written. */
static size_t put_one(FILE *f, const char *p, size_t len, bool quoted, int *columns)
{
    char   out[8];
    size_t n_out, n = cli_clean_one(p, len, out, &n_out);
    if (quoted && (*p == '"' || *p == '\\')) {
        *columns += 1;
        fputc('\\', f);
    }
    fwrite(out, 1, n_out, f);
    *columns += out[0] & 0x80 ? 1 : (int)n_out;
    return n;
}

static int put(FILE *f, ls_str s, bool quoted)
{
    int columns = 0;
    for (size_t i = 0; i < s.len;) i += put_one(f, s.p + i, s.len - i, quoted, &columns);
    return columns;
}

void cli_print_clean(FILE *f, ls_str s) { put(f, s, false); }

void cli_print_padded(FILE *f, ls_str s, int width)
{
    int columns = put(f, s, false);
    if (columns < width) fprintf(f, "%*s", width - columns, "");
}

void cli_print_quoted(FILE *f, ls_str s, size_t shown)
{
    size_t len = s.len, cut;
    if (shown && len > shown) {
        /* Not in the middle of a character. */
        for (cut = shown; cut > 0 && ((unsigned char)s.p[cut] & 0xc0) == 0x80; cut--) {
        }
        s.len = cut;
    }
    fputc('"', f);
    put(f, s, true);
    fputc('"', f);
    if (s.len < len) fprintf(f, "... (%zu bytes)", len);
}
