#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# accept.sh LOCKSTEP SOURCE_DIR NAME: one acceptance check of the shared folder.
. "$(dirname "$0")/common.sh"
[ -x "$SHARED/accept/$3" ] || skip "no $SHARED/accept/$3"
need_python
[ "$3" = story ] || [ "$3" = bit-identity ] || need_reference
expect 0 "$SHARED/accept/$3" "$LS"
cat out
finish
