#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# accept.sh NAME - one check from outside, as the shared folder has it.
. "$(dirname "$0")/lib.sh"
check=$SHARED/accept/$1
[[ -x $check ]] || skip "there is no '$check' (set LOCKSTEP_SHARED)"
[[ $1 == crossval || $1 == exit-codes ]] && need_reference
expect 0 "$1" "$check" "$LS"
tail -n 1 "$T/o"
finish
