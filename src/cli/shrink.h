// SPDX-License-Identifier: MIT
/* shrink.h - what `crossval shrink` found, and the folder that shows it again. */
#ifndef LS_CLI_SHRINK_H
#define LS_CLI_SHRINK_H

#include <jansson.h>

#include "cli/pair.h"

typedef struct cli_shrink {
    cli_context           *ctx;
    const cli_engine_opts *engine;  /* as on the command line: the replay takes over what matters */
    const ls_faults       *faults;
    const char            *model_path, *against; /* "llama", "bitnet", "native" */
    const ls_gguf         *gguf;
    cli_pair              *pair;    /* both engines, of the whole model */
    ls_budget              budget;
    bool                   alone; /* tokens are evaluated one at a time, as in decoding */
    bool                   own_sums, by_op; /* by_op: an operation is looked for, else the logits */
    /* what was found */
    ls_verdict             verdict;
    char                   reason[1024];
    const int32_t         *ids;  /* [shrunk.n] the shortest prompt */
    size_t                 n_original;
    ls_shrunk              shrunk;
    ls_located             located; /* with the shortest prompt */
    /* the folder; block.n_vocab 0: there is no block in it */
    const char            *folder;
    ls_block_info          block;
    int32_t                block_layer; /* its number in the model */
    bool                   replayed;    /* the block alone shows the same operation */
    ls_verdict             replay_verdict;
    ls_located             replay;
} cli_shrink;

/* Refuse a folder that is there, unless `force` is given and it holds nothing but what this command
 * writes. Errors: USAGE, IO. */
ls_status cli_shrink_check_folder(const cli_shrink *s, bool force, ls_error *err);
/* Write the folder beside its place and rename it. Errors: IO, and those of the engines. */
ls_status cli_shrink_write(cli_shrink *s, ls_error *err);

/* The report, also of report.json: a new reference, NULL where memory ran out. */
json_t *cli_shrink_json(const cli_shrink *s);

#endif
