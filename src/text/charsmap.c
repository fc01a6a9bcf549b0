// SPDX-License-Identifier: MIT
/* charsmap.c - see charsmap.h. Every index comes out of the file and is checked when it is used. */
#include "text/charsmap.h"

#include <string.h>

static uint32_t get32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

const char *ls_charsmap_init(ls_charsmap *m, ls_str bytes)
{
    uint32_t size;
    *m = (ls_charsmap){0};
    if (bytes.len < 4) return "is cut off";
    size = get32(bytes.p);
    if (size >= bytes.len - 4) return "is cut off";
    if (bytes.p[bytes.len - 1] != '\0') return "does not end with a NUL";
    m->units = bytes.p + 4;
    m->n_units = size / 4;
    m->texts = (ls_str){bytes.p + 4 + size, bytes.len - 4 - size};
    return NULL;
}

/* Bits of a unit: 0-7 the byte that leads here, 8 a value is near, 9 the offset counts in 256s,
 * 10-30 the offset to the children; a value has bit 31. */
static uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

static ls_status bad_map(size_t node, ls_error *err)
{
    ls_fail(err, LS_ERR_FORMAT, "the 'precompiled_charsmap' points past its end");
    ls_fail_at(err, "node %zu", node);
    return LS_ERR_FORMAT;
}

ls_status ls_charsmap_find(const ls_charsmap *m, ls_str text, bool shortest, size_t *used,
                           ls_str *by, ls_error *err)
{
    size_t at = 0, node;
    *used = 0;
    if (m->n_units == 0) return LS_OK;
    node = offset_of(get32(m->units));
    for (size_t i = 0; i < text.len && text.p[i]; i++) {
        uint32_t unit;
        node ^= (uint8_t)text.p[i];
        if (node >= m->n_units) return bad_map(node, err);
        unit = get32(m->units + 4 * node);
        if ((unit & 0x800000ff) != (uint8_t)text.p[i]) break;
        node ^= offset_of(unit);
        if (!(unit & 0x100)) continue;
        if (node >= m->n_units) return bad_map(node, err);
        *used = i + 1;
        at = get32(m->units + 4 * node) & 0x7fffffff;
        if (shortest) break;
    }
    if (*used == 0) return LS_OK;
    if (at >= m->texts.len) return bad_map(at, err);
    *by = (ls_str){m->texts.p + at, strlen(m->texts.p + at)};
    return LS_OK;
}
