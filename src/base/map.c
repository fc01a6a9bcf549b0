// SPDX-License-Identifier: MIT
/* map.c - files as bytes: read-only mappings and whole-file reads. */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static ls_status open_regular(int *fd, struct stat *st, const char *path, ls_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return ls_fail_errno(err, errno, "cannot open '%s'", path);
    if (fstat(*fd, st) != 0) {
        ls_fail_errno(err, errno, "cannot examine '%s'", path);
    } else if (S_ISDIR(st->st_mode)) {
        ls_fail_errno(err, EISDIR, "cannot read '%s'", path);
    } else {
        return LS_OK;
    }
    close(*fd);
    *fd = -1;
    return LS_ERR_IO;
}

ls_status ls_map_open(ls_map *out, const char *path, ls_error *err)
{
    int         fd;
    struct stat st;
    void       *p;

    *out = (ls_map){0};
    LS_TRY(open_regular(&fd, &st, path, err));
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        ls_fail(err, LS_ERR_IO, "cannot map '%s': not a regular file", path);
        return LS_ERR_IO;
    }
    if (st.st_size == 0) {
        close(fd);
        return LS_OK;
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        int e = errno;
        close(fd);
        return ls_fail_errno(err, e, "cannot map '%s'", path);
    }
    close(fd);
    out->data = p;
    out->size = (size_t)st.st_size;
    out->stamp = (ls_map_stamp){.size = (uint64_t)st.st_size,
                                .inode = (uint64_t)st.st_ino,
                                .written_s = st.st_mtim.tv_sec,
                                .written_ns = st.st_mtim.tv_nsec,
                                .changed_s = st.st_ctim.tv_sec,
                                .changed_ns = st.st_ctim.tv_nsec};
    return LS_OK;
}

static bool lies_in(const ls_map *m, const void *p, size_t n)
{
    uintptr_t base = (uintptr_t)m->data, at = (uintptr_t)p;
    return m->data && at >= base && n <= m->size && at - base <= m->size - n;
}

/* Whoever touches a page gets its neighbours, too: Linux maps 64 KiB around it, which begin at a
 * multiple of that. What lies before the bytes came with them, and goes with them. */
enum { AROUND = 64 << 10 };

void ls_map_forget(const ls_map *m, const void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), base = (uintptr_t)m->data;
    uintptr_t begin = (uintptr_t)p & ~(uintptr_t)(AROUND - 1),
              end = ((uintptr_t)p + n) & ~(page - 1);
    if (begin < base) begin = base;
    if (lies_in(m, p, n) && begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void ls_map_fetch(const ls_map *m, const void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p & ~(page - 1);
    if (lies_in(m, p, n)) madvise((void *)begin, (uintptr_t)p + n - begin, MADV_WILLNEED);
}

void ls_map_close(ls_map *m)
{
    if (!m || !m->data) return;
    munmap((void *)(uintptr_t)m->data, m->size);
    *m = (ls_map){0};
}

ls_status ls_read_file(char **out, size_t *len, const char *path, ls_error *err)
{
    int         fd;
    struct stat st;
    char       *buf = NULL;
    size_t      cap = 0, n = 0;
    ls_status   status = LS_OK;

    *out = NULL;
    LS_TRY(open_regular(&fd, &st, path, err));
    for (;;) {
        ssize_t got;
        status = ls_grow(&buf, &cap, n + 65536 + 1, 1, "a file", err);
        if (status != LS_OK) break;
        got = read(fd, buf + n, 65536);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = ls_fail_errno(err, errno, "cannot read '%s'", path);
        if (got <= 0) break;
        n += (size_t)got;
    }
    close(fd);
    if (status != LS_OK) {
        free(buf);
        return status;
    }
    buf[n] = '\0';
    *out = buf;
    *len = n;
    return LS_OK;
}
