// SPDX-License-Identifier: MIT
/* chars.c - lenient UTF-8 (RFC 3629 without its prohibitions) and the classes of characters that
 * pre-tokenizers tell apart. */
#include "text/chars.h"

#include <utf8proc.h>

#define REPLACEMENT 0xfffd

uint8_t ls_char_class(uint32_t c)
{
    if (c < 0x80) return (uint8_t)c;
    /* CJK extension I came with Unicode 15.1, after the utf8proc of some distributions. */
    if (c >= 0x2ebf0 && c <= 0x2ee5d) return LS_CHAR_LETTER;
    switch ((int)utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LS_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return LS_CHAR_NUMBER;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return LS_CHAR_SPACE;
    default: return c == 0x85 ? LS_CHAR_SPACE : LS_CHAR_OTHER; /* next line: a control character */
    }
}

size_t ls_char_get(const char *p, size_t left, uint32_t *c)
{
    uint8_t  first = (uint8_t)*p;
    size_t   n = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t value = n == 1 ? first : first & (0xffu >> (n + 1));

    *c = REPLACEMENT;
    if (n == 0 || n > left || first >= 0xf8) return 1;
    for (size_t i = 1; i < n; i++) {
        if (((uint8_t)p[i] & 0xc0) != 0x80) return 1;
        value = value << 6 | ((uint8_t)p[i] & 0x3f);
    }
    if (value > 0x10ffff) return 1;
    *c = value;
    return n;
}

size_t ls_char_put(char out[4], uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
    return n;
}
