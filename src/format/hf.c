// SPDX-License-Identifier: MIT
/* hf.c - stub */
#include "format/gguf_priv.h"
ls_status ls_hf_read(ls_gguf *g, ls_error *err)
{
    ls_map m;
    return ls_map_open(&m, g->path, err);
}
