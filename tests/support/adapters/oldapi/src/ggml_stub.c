// SPDX-License-Identifier: MIT
/* ggml_stub.c - becomes the test's libggml.so. */
#include "ggml.h"

int ggml_stub_answer(void) { return 42; }

const char *ggml_op_name(enum ggml_op op)
{
    static const char *const names[] = {"ADD", "MUL", "MUL_MAT", "SOFT_MAX"};
    return names[op];
}

/* Halves of the test's nodes are 1.0 times a power of two. */
float ggml_fp16_to_fp32(ggml_fp16_t x)
{
    float y = 1;
    for (int e = x >> 10; e > 15; e--) y *= 2;
    for (int e = x >> 10; e < 15; e++) y /= 2;
    return y;
}

ggml_fp16_t ggml_fp32_to_fp16(float x)
{
    int e = 15;
    for (; x >= 2; x /= 2) e++;
    for (; x > 0 && x < 1; x *= 2) e--;
    return (ggml_fp16_t)(e << 10);
}
