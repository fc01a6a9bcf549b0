// SPDX-License-Identifier: MIT
/* facts.h - what a model is, in the numbers that people ask for first: its shape, its attention, its
 * positions, its experts, and how it is quantised. From the metadata, also of models that nothing
 * here can run. */
#ifndef LS_CLI_FACTS_H
#define LS_CLI_FACTS_H

#include "cli/cli.h"
#include "cli/cli_json.h"

typedef struct model_facts {
    /* 0: the metadata do not say */
    int64_t layers, width, feed_forward, vocabulary, context;
    int64_t heads, kv_heads, head_size, group_size, window;
    int64_t experts, experts_used, expert_width, shared_width;
    /* RoPE: order NULL where there is none, or it is not known */
    const char *rope_order;
    int64_t     rope_dims, rope_context;
    double      rope_base, rope_factor; /* factor 0: not scaled */
    char        rope_scaling[24];       /* "": none             */
    /* Quantisation */
    int64_t     file_type; /* -1: none given                                       */
    const char *claimed;   /* what that number stands for; NULL: not known         */
    int         main_type; /* of most elements of matrices; -1: there are none     */
    size_t      n_main, n_matrices;
    bool        agrees;    /* file_type and tensors, or there is nothing to compare */
    char        flavour[64];
} model_facts;

/* `config` may be NULL: not a model that the native engine runs. */
void    model_facts_of(model_facts *f, const ls_gguf *g, const ls_model_config *config);
void    model_facts_print(const model_facts *f);
json_t *model_facts_shape_json(const model_facts *f);
json_t *model_facts_flavour_json(const model_facts *f);

#endif
