// SPDX-License-Identifier: MIT
/* battery.h - texts on which tokenizers of one model have to agree. Private. */
#ifndef LS_TEXT_BATTERY_H
#define LS_TEXT_BATTERY_H

#include "lockstep/types.h"

typedef struct ls_battery_text {
    ls_str text;
    bool   plain; /* no normalizer that models have changes it, lower case and accents apart */
} ls_battery_text;

extern const ls_battery_text ls_battery[];
extern const size_t          ls_n_battery;

#endif
