// SPDX-License-Identifier: MIT
/* base64.c - see base64.h. */
#include "text/base64.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool ls_base64_decode(ls_str text, char *out, size_t *n)
{
    uint32_t bits = 0;
    int      n_bits = 0;
    *n = 0;
    if (text.len % 4) return false;
    while (text.len && text.p[text.len - 1] == '=') text.len--; /* too many show as wrong length */
    if (text.len % 4 == 1) return false;
    for (size_t i = 0; i < text.len; i++) {
        int v = value_of(text.p[i]);
        if (v < 0) return false;
        bits = (bits << 6 | (uint32_t)v) & 0xffffff;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        out[(*n)++] = (char)(bits >> n_bits);
    }
    return true;
}
