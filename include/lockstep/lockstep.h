// SPDX-License-Identifier: MIT
/* lockstep.h - the whole public interface of liblockstep. */
#ifndef LOCKSTEP_LOCKSTEP_H
#define LOCKSTEP_LOCKSTEP_H

#include "lockstep/bench.h"
#include "lockstep/chat.h"
#include "lockstep/convert.h"
#include "lockstep/engine.h"
#include "lockstep/error.h"
#include "lockstep/explain.h"
#include "lockstep/gguf.h"
#include "lockstep/hash.h"
#include "lockstep/mini.h"
#include "lockstep/model.h"
#include "lockstep/oracle.h"
#include "lockstep/quant.h"
#include "lockstep/quantize.h"
#include "lockstep/record.h"
#include "lockstep/sampler.h"
#include "lockstep/stats.h"
#include "lockstep/tokenizer.h"
#include "lockstep/trace.h"
#include "lockstep/types.h"
#include "lockstep/verify.h"

/* "0.1.0" */
LS_API const char *ls_version(void);

#endif
