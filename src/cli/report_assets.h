// SPDX-License-Identifier: MIT
/* report_assets.h - report.html, report.css and report.js, built into the program by
 * cmake/embed.cmake. */
#ifndef LS_CLI_REPORT_ASSETS_H
#define LS_CLI_REPORT_ASSETS_H

#include <stddef.h>

typedef struct cli_asset {
    const char          *name;
    const unsigned char *bytes;
    size_t               size;
} cli_asset;
extern const cli_asset cli_assets[]; /* the page's skeleton first */
extern const size_t    cli_n_assets;

#endif
