// SPDX-License-Identifier: MIT
/* kernel_config.h - bitnet.cpp's kernel_config.ini: sections of m, k, bm, bk and bmm. */
#ifndef LS_CLI_KERNEL_CONFIG_H
#define LS_CLI_KERNEL_CONFIG_H

#include "cli/cli.h"

enum { KERNEL_CONFIG_MAX = 64 };

typedef struct kernel_config {
    uint32_t kernels[KERNEL_CONFIG_MAX][5];
    size_t   n;
} kernel_config;

/* Errors: IO; FORMAT, naming the line. */
ls_status kernel_config_read(kernel_config *out, const char *path, ls_error *err);

#endif
