// SPDX-License-Identifier: MIT
/* map.c - the errors of every tap at every position, as located results own them. */
#include <stdlib.h>

#include "lockstep/record.h"

void ls_tap_map_fini(ls_tap_map *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n_rows; i++) free(m->rows[i].cells);
    free(m->rows);
    *m = (ls_tap_map){0};
}

void ls_located_fini(ls_located *l)
{
    if (!l) return;
    ls_tap_map_fini(&l->map);
    *l = (ls_located){0};
}
