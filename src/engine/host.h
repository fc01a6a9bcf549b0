// SPDX-License-Identifier: MIT
/* host.h - trying a reference program without a model. */
#ifndef LS_ENGINE_HOST_H
#define LS_ENGINE_HOST_H

#include "lockstep/engine.h"

/* Start program `exe`, have it load its libraries, end it. `info` gets engine, version and
 * library. Errors: as ls_engine_open_reference. */
ls_status ls_host_try(const char *exe, double timeout_s, ls_engine_info *info, ls_error *err);

#endif
