// SPDX-License-Identifier: MIT
/* gguf_hash.c - the SHA-256 that names a model, of one file or of several. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "lockstep/gguf.h"
#include "lockstep/hash.h"

static ls_status add_file(ls_hash *h, const char *path, uint8_t *buf, size_t cap, ls_error *err)
{
    ls_status status = LS_OK;
    int       fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ls_fail_errno(err, errno, "cannot open '%s'", path);
    for (;;) {
        ssize_t got = read(fd, buf, cap);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = ls_fail_errno(err, errno, "cannot read '%s'", path);
        if (got <= 0) break;
        ls_hash_update(h, buf, (size_t)got);
    }
    close(fd);
    return status;
}

ls_status ls_gguf_sha256(char hex[65], const ls_gguf *g, ls_error *err)
{
    enum { CAP = 1 << 20 };
    uint8_t   digest[LS_HASH_MAX], *buf = NULL;
    ls_hash  *h = NULL;
    ls_status status = ls_hash_create(&h, LS_SHA256, err);
    hex[0] = '\0';
    if (status == LS_OK) status = ls_alloc(&buf, CAP, 1, "a read buffer", err);
    for (size_t i = 0; i < ls_gguf_n_parts(g) && status == LS_OK; i++) {
        status = add_file(h, ls_gguf_part_path(g, i), buf, CAP, err);
    }
    if (status == LS_OK) ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
    free(buf);
    return status;
}
