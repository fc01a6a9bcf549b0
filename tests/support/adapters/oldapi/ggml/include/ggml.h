// SPDX-License-Identifier: MIT
/* ggml.h - a stand-in for the tests: the few names of ggml that llama.cpp's API of autumn 2024
 * needs. Written for the tests; see README.md. */
#ifndef STUB_GGML_H
#define STUB_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ggml_type {
    GGML_TYPE_F32 = 0,
    GGML_TYPE_F16 = 1,
    GGML_TYPE_Q8_0 = 8,
    GGML_TYPE_I32 = 26,
    GGML_TYPE_BF16 = 30
};
enum ggml_op { GGML_OP_ADD, GGML_OP_MUL, GGML_OP_MUL_MAT, GGML_OP_SOFT_MAX };
typedef uint16_t ggml_fp16_t;

/* The fields in no real version's order. */
struct ggml_tensor {
    char                name[64];
    enum ggml_op        op;
    enum ggml_type      type;
    struct ggml_tensor *src[10];
    size_t              nb[4];
    int64_t             ne[4];
    int32_t             op_params[16];
    void               *data;
};

const char *ggml_op_name(enum ggml_op op);
float       ggml_fp16_to_fp32(ggml_fp16_t x);
ggml_fp16_t ggml_fp32_to_fp16(float x);
enum ggml_log_level { GGML_LOG_LEVEL_NONE, GGML_LOG_LEVEL_INFO, GGML_LOG_LEVEL_WARN, GGML_LOG_LEVEL_ERROR };
typedef void (*ggml_log_callback)(enum ggml_log_level level, const char *text, void *user_data);

/* libggml of the stub: lets the tests see which libggml a libllama found. */
int ggml_stub_answer(void);

#endif
