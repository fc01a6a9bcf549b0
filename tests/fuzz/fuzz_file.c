// SPDX-License-Identifier: MIT
/* fuzz_file.c - bytes as a file that has a path, without touching a disk. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int  fd = -1;
    if (fd < 0) fd = memfd_create("lockstep-fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) {
        perror("memfd");
        abort();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}
