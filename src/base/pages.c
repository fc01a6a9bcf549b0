// SPDX-License-Identifier: MIT
/* pages.c - anonymous mappings that ask for large pages. */
#include "base/pages.h"

#include <sys/mman.h>

ls_status ls_pages_alloc(ls_pages *out, size_t bytes, const char *what, ls_error *err)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = (ls_pages){0};
    if (p == MAP_FAILED)
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s: %zu MiB", what, bytes >> 20);
    madvise(p, bytes, MADV_HUGEPAGE); /* without them it is only slower */
    *out = (ls_pages){p, bytes};
    return LS_OK;
}

void ls_pages_free(ls_pages *p)
{
    if (p->data) munmap(p->data, p->size);
    *p = (ls_pages){0};
}
