// SPDX-License-Identifier: MIT
/* gguf_hash.c - the SHA-256 that names a model, of one file or of several, and what tells files
 * apart without reading them whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/blake3.h"
#include "base/mem.h"
#include "format/gguf_priv.h"
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

static bool later(const ls_map_stamp *s, const ls_gguf_identity *than)
{
    return s->changed_s != than->changed_s ? s->changed_s > than->changed_s
                                           : s->changed_ns > than->changed_ns;
}

ls_status ls_gguf_identify(ls_gguf_identity *out, const ls_gguf *g, ls_error *err)
{
    ls_blake3 head, files;
    *out = (ls_gguf_identity){.changed_s = INT64_MIN};
    if (g->source != LS_SOURCE_GGUF) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "'%s' is no GGUF file", g->path);
        return ls_fail_hint(err, "`lockstep model convert` makes one of it");
    }
    ls_blake3_init(&head);
    ls_blake3_init(&files);
    for (size_t i = 0; i < g->n_parts; i++) {
        const ls_part      *p = &g->parts[i];
        const ls_map_stamp *s = &p->map.stamp;
        size_t              n = p->data_off < p->map.size ? (size_t)p->data_off : p->map.size;
        const uint64_t      facts[] = {n,
                                       s->size,
                                       s->inode,
                                       (uint64_t)s->written_s,
                                       (uint64_t)s->written_ns,
                                       (uint64_t)s->changed_s,
                                       (uint64_t)s->changed_ns};
        ls_blake3_update(&head, facts, sizeof(facts[0]));
        ls_blake3_update(&head, p->map.data, n);
        ls_blake3_update(&files, facts, sizeof(facts));
        if (later(s, out)) {
            out->changed_s = s->changed_s;
            out->changed_ns = s->changed_ns;
        }
    }
    ls_blake3_final(&head, out->head);
    ls_blake3_final(&files, out->files);
    return LS_OK;
}
