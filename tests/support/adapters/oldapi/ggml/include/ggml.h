// SPDX-License-Identifier: MIT
/* ggml.h - a stand-in for the tests: the few names of ggml that llama.cpp's API of autumn 2024
 * needs. Written for the tests; see README.md. */
#ifndef STUB_GGML_H
#define STUB_GGML_H

enum ggml_type { GGML_TYPE_F32 = 0, GGML_TYPE_F16 = 1 };
enum ggml_log_level { GGML_LOG_LEVEL_NONE, GGML_LOG_LEVEL_INFO, GGML_LOG_LEVEL_WARN, GGML_LOG_LEVEL_ERROR };
typedef void (*ggml_log_callback)(enum ggml_log_level level, const char *text, void *user_data);

/* libggml of the stub: lets the tests see which libggml a libllama found. */
int ggml_stub_answer(void);

#endif
