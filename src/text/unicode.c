// SPDX-License-Identifier: MIT
/* unicode.c - UTF-8 (RFC 3629's bit layout) kinds, lower case and bases of code points. */
#include "text/unicode.h"

static bool is_space(uint32_t c)
{
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

uint8_t ls_kind_among(const ls_kind_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else if (c < ranges[mid].first)
            high = mid;
        else
            return ranges[mid].kind;
    }
    return 0;
}

uint8_t ls_unicode_kind(uint32_t c)
{
    uint8_t kind;
    if (c < 0x80) return (uint8_t)c;
    if (is_space(c)) return LS_KIND_SPACE;
    kind = ls_kind_among(ls_kind_ranges, ls_n_kind_ranges, c);
    return kind ? kind : LS_KIND_OTHER;
}

uint8_t ls_unicode_category(uint32_t c)
{
    static const char kinds[] = /* U+0021 to U+007E: punctuation, symbol, number or letter */
        "PPPSPPPPPPSPPPPNNNNNNNNNNPPSSSPPLLLLLLLLLLLLLLLLLLLLLLLLLLPPPSPSLLLLLLLLLLLLLLLLLLLLLLLLLL"
        "PSPS";
    if (c >= 0x80) return ls_unicode_kind(c);
    if (c == ' ' || (c >= '\t' && c <= '\r')) return LS_KIND_SPACE;
    if (c < ' ' || c == 0x7f) return LS_KIND_CONTROL;
    switch (kinds[c - '!']) {
    case 'P':
        return LS_KIND_PUNCT;
    case 'S':
        return LS_KIND_SYMBOL;
    case 'N':
        return LS_KIND_NUMBER;
    default:
        return LS_KIND_LETTER;
    }
}

uint32_t ls_unicode_lower(uint32_t c)
{
    size_t low = 0, high = ls_n_case_pairs;
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c == ls_case_pairs[mid].upper) return ls_case_pairs[mid].lower;
        if (c > ls_case_pairs[mid].upper)
            low = mid + 1;
        else
            high = mid;
    }
    return c;
}

uint32_t ls_unicode_base(uint32_t c)
{
    size_t low = 0, high = c < 0x80 ? 0 : ls_n_base_ranges;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > ls_base_ranges[mid].last)
            low = mid + 1;
        else if (c < ls_base_ranges[mid].first)
            high = mid;
        else
            return ls_base_ranges[mid].base;
    }
    return c;
}

uint32_t ls_byte_char(uint8_t byte)
{
    if (byte < 33) return 256u + byte;
    if (byte >= 127 && byte <= 160) return 256u + 33 + (byte - 127u);
    return byte == 173 ? 256 + 67 : byte;
}

size_t ls_utf8_len(char first)
{
    static const uint8_t by_high_nibble[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    return by_high_nibble[(uint8_t)first >> 4];
}

size_t ls_utf8_decode(const char *p, size_t left, uint32_t *c)
{
    uint8_t  first = (uint8_t)*p;
    size_t   n = ls_utf8_len(*p);
    uint32_t v = first;
    if (n > left || (first >= 0x80 && first < 0xc0) || first >= 0xf8) return 0;
    if (n > 1) v = first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        uint8_t b = (uint8_t)p[i];
        if ((b & 0xc0) != 0x80) return 0;
        v = v << 6 | (b & 0x3fu);
    }
    if (v > 0x10ffff) return 0;
    *c = v;
    return n;
}

size_t ls_utf8_encode(uint32_t c, char *out)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)c;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xf0) | c);
    return n;
}

bool ls_utf8_is_valid(const char *p, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = 0;
        k = ls_utf8_decode(p + i, n - i, &c);
        if (k == 0 || (c >= 0xd800 && c < 0xe000)) return false;
        if (k != (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u)) return false;
    }
    return true;
}
