// SPDX-License-Identifier: MIT
/* files.h - reading and writing whole files in tests; failures end the test program. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The whole file, owned by the caller. *n may not be NULL. */
static inline uint8_t *file_read(const char *path, size_t *n)
{
    FILE    *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long     size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    if (size >= 0) data = malloc((size_t)size + 1);
    if (!f || !data || fseek(f, 0, SEEK_SET) != 0 ||
        fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "cannot read '%s'\n", path);
        exit(2);
    }
    fclose(f);
    *n = (size_t)size;
    return data;
}

static inline void file_write(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        fprintf(stderr, "cannot write '%s'\n", path);
        exit(2);
    }
}

/* A new empty file in the temporary folder; its name goes to path [cap]. */
static inline void file_temporary(char *path, size_t cap, const char *stem)
{
    const char *dir = getenv("TMPDIR");
    int         fd;
    snprintf(path, cap, "%s/%s-XXXXXX", dir && dir[0] ? dir : "/tmp", stem);
    fd = mkstemp(path);
    if (fd < 0) {
        fprintf(stderr, "cannot make a temporary file '%s'\n", path);
        exit(2);
    }
    close(fd);
}

#endif
