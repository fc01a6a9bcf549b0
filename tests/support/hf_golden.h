// SPDX-License-Identifier: MIT
/* hf_golden.h - the Hugging Face folders that tests/golden/hf describes, made anew. */
#ifndef TESTS_HF_GOLDEN_H
#define TESTS_HF_GOLDEN_H

typedef void hf_golden_fn(void *ctx, char *line);

/* Names of all descriptions; ends with NULL. */
extern const char *const hf_golden_names[];
/* "FOLDER/name", valid until the next call. */
const char *hf_golden_path(const char *folder, const char *name);
/* Call fn for each line of a description that begins with `with`. */
void hf_golden_lines(const char *golden, const char *with, hf_golden_fn *fn, void *ctx);
/* Write config.json and model.safetensors of a description into a folder that is there. */
void hf_golden_build(const char *golden, const char *folder);

#endif
