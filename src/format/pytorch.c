// SPDX-License-Identifier: MIT
/* pytorch.c - stub */
#include "format/checkpoint_priv.h"
ls_status ls_pytorch_read(ls_checkpoint *c, size_t index, ls_error *err)
{
    ls_fail(err, LS_ERR_UNSUPPORTED, "PyTorch files are not read");
    return ls_fail_at(err, "%s: byte 0", c->parts[index].path);
}
