// SPDX-License-Identifier: MIT
/* export.h - the visibility mark of public symbols. Everything else is hidden. */
#ifndef LOCKSTEP_EXPORT_H
#define LOCKSTEP_EXPORT_H

#if defined(__GNUC__)
#define LS_API __attribute__((visibility("default")))
#define LS_PRINTF(fmt_index, arg_index) __attribute__((format(printf, fmt_index, arg_index)))
#else
#define LS_API
#define LS_PRINTF(fmt_index, arg_index)
#endif

#endif
