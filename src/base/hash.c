// SPDX-License-Identifier: MIT
/* hash.c - one incremental interface over libcrypto's SHA-2 and our BLAKE3. */
#include "lockstep/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blake3.h"
#include "base/mem.h"

struct ls_hash {
    ls_hash_kind kind;
    EVP_MD_CTX  *evp;
    ls_blake3    blake3;
};

ls_status ls_hash_create(ls_hash **out, ls_hash_kind kind, ls_error *err)
{
    ls_hash *h;
    *out = NULL;
    LS_TRY(ls_alloc(&h, 1, sizeof(*h), "a hash", err));
    h->kind = kind;
    if (kind == LS_BLAKE3) {
        ls_blake3_init(&h->blake3);
    } else {
        h->evp = EVP_MD_CTX_new();
        if (!h->evp ||
            !EVP_DigestInit_ex(h->evp, kind == LS_SHA256 ? EVP_sha256() : EVP_sha512(), NULL)) {
            ls_hash_destroy(h);
            return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a hash");
        }
    }
    *out = h;
    return LS_OK;
}

void ls_hash_update(ls_hash *h, const void *data, size_t n)
{
    if (h->kind == LS_BLAKE3) {
        ls_blake3_update(&h->blake3, data, n);
    } else {
        EVP_DigestUpdate(h->evp, data, n);
    }
}

size_t ls_hash_final(ls_hash *h, uint8_t digest[LS_HASH_MAX])
{
    unsigned n = 0;
    if (h->kind == LS_BLAKE3) {
        ls_blake3_final(&h->blake3, digest);
        return 32;
    }
    EVP_DigestFinal_ex(h->evp, digest, &n);
    return n;
}

void ls_hash_destroy(ls_hash *h)
{
    if (!h) return;
    EVP_MD_CTX_free(h->evp);
    free(h);
}

void ls_hex(char *hex, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

ls_status ls_hash_file(char *hex, size_t cap, ls_hash_kind kind, const char *path, ls_error *err)
{
    static const size_t chunk = 1 << 20;
    uint8_t             digest[LS_HASH_MAX];
    ls_hash            *h = NULL;
    char               *buf = NULL;
    ls_status           status;
    size_t              n;
    int                 fd = open(path, O_RDONLY | O_CLOEXEC);

    if (cap) hex[0] = '\0';
    if (fd < 0) return ls_fail_errno(err, errno, "cannot open '%s'", path);
    status = ls_hash_create(&h, kind, err);
    if (status == LS_OK) status = ls_alloc(&buf, chunk, 1, "a read buffer", err);
    while (status == LS_OK) {
        ssize_t got = read(fd, buf, chunk);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = ls_fail_errno(err, errno, "cannot read '%s'", path);
        if (got <= 0) break;
        ls_hash_update(h, buf, (size_t)got);
    }
    if (status == LS_OK) {
        n = ls_hash_final(h, digest);
        if (cap >= 2 * n + 1) ls_hex(hex, digest, n);
    }
    ls_hash_destroy(h);
    free(buf);
    close(fd);
    return status;
}
