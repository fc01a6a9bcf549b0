// SPDX-License-Identifier: MIT
/* random_text.c - text of random assigned code points, one in four of them from the first 1024:
 * what no corpus holds.   usage: random_text SEED BYTES */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <utf8proc.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int main(int argc, char **argv)
{
    uint64_t      state = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
    unsigned long left = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (argc != 3) {
        fprintf(stderr, "usage: random_text SEED BYTES\n");
        return 64;
    }
    while (left > 0) {
        uint64_t            r = next(&state);
        utf8proc_int32_t    c = (utf8proc_int32_t)((r >> 8) % (r & 3 ? 0x110000 : 0x400));
        utf8proc_category_t kind = utf8proc_category(c);
        utf8proc_uint8_t    bytes[4];
        unsigned long       n;
        if (kind == UTF8PROC_CATEGORY_CN || kind == UTF8PROC_CATEGORY_CS ||
            kind == UTF8PROC_CATEGORY_CO || c == 0) {
            continue;
        }
        n = (unsigned long)utf8proc_encode_char(c, bytes);
        if (n > left) break;
        fwrite(bytes, 1, n, stdout);
        left -= n;
    }
    return fflush(stdout) ? 1 : 0;
}
