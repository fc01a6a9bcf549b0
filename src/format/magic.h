// SPDX-License-Identifier: MIT
/* magic.h - what a file is, by its content first and its name second, and how it becomes one
 * that Lockstep reads. */
#ifndef LS_FORMAT_MAGIC_H
#define LS_FORMAT_MAGIC_H

#include "base/map.h"

/* LS_OK for a file that starts as GGUF does. Otherwise UNSUPPORTED for a format that is known by
 * its content or name, FORMAT for any other: with what was expected, what was found, and what
 * leads to a file that can be read. */
ls_status ls_magic_check_gguf(const ls_map *map, const char *path, ls_error *err);
/* The same for a file that should hold weights of a folder (safetensors or PyTorch). */
ls_status ls_magic_refuse_weights(const ls_map *map, const char *path, ls_error *err);

#endif
