// SPDX-License-Identifier: MIT
/* grid_tables.h - the code books of the IQ formats: eight elements in a 64-bit word, four in a
 * 32-bit one, the first element in the lowest byte. Those of IQ1 are signed. */
#ifndef LS_DTYPE_GRID_TABLES_H
#define LS_DTYPE_GRID_TABLES_H

#include <stdint.h>

extern const uint64_t ls_grid_iq1[2048];
extern const uint64_t ls_grid_iq2_xxs[256];
extern const uint64_t ls_grid_iq2_xs[512];
extern const uint64_t ls_grid_iq2_s[1024];
extern const uint32_t ls_grid_iq3_xxs[256];
extern const uint32_t ls_grid_iq3_s[512];

#endif
