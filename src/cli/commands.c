// SPDX-License-Identifier: MIT
/* commands.c - the tables of nouns, commands and exit codes. */
#include <string.h>

#include "cli/framework.h"

const cli_command *const cli_commands[] = {
    &cli_cmd_run,
    &cli_cmd_crossval_per_token,
    &cli_cmd_crossval_determinism,
    &cli_cmd_crossval_shrink,
    &cli_cmd_crossval_explain,
    &cli_cmd_trace_record,
    &cli_cmd_trace_diff,
    &cli_cmd_trace_show,
    &cli_cmd_bench_run,
    &cli_cmd_bench_compare,
    &cli_cmd_bench_machine,
    &cli_cmd_engine_list,
    &cli_cmd_engine_check,
    &cli_cmd_engine_setup,
    &cli_cmd_engine_path,
    &cli_cmd_model_inspect,
    &cli_cmd_model_verify,
    &cli_cmd_model_convert,
    &cli_cmd_model_quantize,
    &cli_cmd_model_tokenize,
    &cli_cmd_model_mini,
    &cli_cmd_model_prepack,
    &cli_cmd_completion,
    &cli_cmd_env,
    &cli_cmd_help,
    &cli_cmd_version,
    NULL,
};

const cli_noun cli_nouns[] = {
    {"run", NULL, "Run a model"},
    {"crossval", "Do two engines compute the same thing?", "Compare engines"},
    {"trace", "What engines compute, operation by operation", "Compare engines"},
    {"bench", "How fast is an engine, and how fast could it be?", "Measure"},
    {"engine", "The engines: what is there, what is missing, how to get it", "Engines"},
    {"model", "Look into model files, convert them, make small ones", "Models"},
    {"completion", NULL, "This program"},
    {"env", NULL, "This program"},
    {"help", NULL, "This program"},
    {"version", NULL, "This program"},
    {NULL, NULL, NULL},
};

const cli_exit cli_exits[] = {
    {0, "success; of a comparison: MATCH"},
    {1, "DIVERGED: same tokens, other numbers"},
    {2, "TOKENS_DIFFER: the two sides see different token ids"},
    {3, "INCONCLUSIVE: no verdict (reference missing, crashed, timed out)"},
    {4, "the prompt template is unknown or cannot be applied"},
    {5, "a model or input file is missing, malformed or unsupported"},
    {6, "a limit: memory, context length, disk"},
    {64, "usage: the command line is wrong"},
    {70, "internal error: please report it"},
    {130, "interrupted"},
    {0, NULL},
};

const cli_command *cli_find_command(const char *noun, const char *verb)
{
    for (const cli_command *const *c = cli_commands; *c; c++) {
        bool same_verb = (*c)->verb ? verb && strcmp((*c)->verb, verb) == 0 : !verb;
        if (same_verb && strcmp((*c)->noun, noun) == 0) return *c;
    }
    return NULL;
}

bool cli_is_noun(const char *word)
{
    for (const cli_noun *n = cli_nouns; n->name; n++)
        if (strcmp(n->name, word) == 0) return true;
    return false;
}

const char *cli_command_name(const cli_command *c, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
    return buf;
}
