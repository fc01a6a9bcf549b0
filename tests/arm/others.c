// SPDX-License-Identifier: MIT
/* others.c - stands for the reader of Hugging Face folders, which other libraries belong to and
 * which a GGUF file does not need. */
#include "format/gguf_priv.h"
#include "lockstep/checkpoint.h"

ls_status ls_hf_read(ls_gguf *g, bool dry, ls_error *err)
{
    (void)g, (void)dry;
    return ls_fail(err, LS_ERR_UNSUPPORTED, "no folders here");
}

void        ls_checkpoint_close(ls_checkpoint *c) { (void)c; }
uint64_t    ls_checkpoint_file_bytes(const ls_checkpoint *c) { return (void)c, 0; }
size_t      ls_checkpoint_n_parts(const ls_checkpoint *c) { return (void)c, 0; }
const char *ls_checkpoint_part_path(const ls_checkpoint *c, size_t i)
{
    return (void)c, (void)i, NULL;
}
