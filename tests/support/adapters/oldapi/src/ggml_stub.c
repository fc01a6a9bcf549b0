// SPDX-License-Identifier: MIT
/* ggml_stub.c - becomes the test's libggml.so. */
#include "ggml.h"

int ggml_stub_answer(void) { return 42; }
