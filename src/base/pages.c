// SPDX-License-Identifier: MIT
/* pages.c - anonymous mappings that ask for large pages. */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

/* Where a large page may begin on every system that has them in this size. */
#define LARGE ((size_t)2 << 20)

static size_t up(size_t n) { return (n + LARGE - 1) & ~(LARGE - 1); }

ls_status ls_pages_alloc(ls_pages *out, size_t bytes, const char *what, ls_error *err)
{
    /* not every kernel lets a mapping begin where a large page can: ask for more, give back the
     * rest */
    size_t size = bytes < LARGE ? bytes : up(bytes), more = bytes < LARGE ? 0 : LARGE, before;
    void  *p = MAP_FAILED;
    *out = (ls_pages){0};
    if (size >= bytes && size <= SIZE_MAX - more)
        p = mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s: %zu MiB", what, bytes >> 20);
    if (more) {
        before = up((uintptr_t)p) - (uintptr_t)p;
        if (before) munmap(p, before);
        munmap((uint8_t *)p + before + size, more - before);
        p = (uint8_t *)p + before;
    }
    madvise(p, size, MADV_HUGEPAGE); /* without them it is only slower */
    *out = (ls_pages){p, size};
    return LS_OK;
}

void ls_pages_free(ls_pages *p)
{
    if (p->data) munmap(p->data, p->size);
    *p = (ls_pages){0};
}
