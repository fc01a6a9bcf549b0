// SPDX-License-Identifier: MIT
/* shrink_folder.c - a divergence as a folder: one layer as a model, what it reads, what both
 * engines make of it, and a script that shows it again.
 *
 * Everything is written beside the folder's place and moved there at the end. Before that the block
 * is run by both engines: whether it alone shows the operation is part of the report.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_json.h"
#include "cli/locate.h"
#include "cli/shrink.h"
#include "lockstep/safetensors_write.h"

enum { BLOCK, INPUT, SUBJECT, REFERENCE, REPORT, SCRIPT, README, N_FILES };
static const char *const files[N_FILES] = {"block.gguf",
                                           "input.safetensors",
                                           "subject.safetensors",
                                           "reference.safetensors",
                                           "report.json",
                                           "replay.sh",
                                           "README.md"};

typedef struct folder {
    cli_shrink *s;
    char        path[4096]; /* beside its place */
    char        file[N_FILES][4200];
    float      *input; /* [n][width] hidden states, NULL: the block is the embeddings' */
    size_t      width;
    ls_op       op; /* the tap that is the input */
    int32_t     layer;
    ls_faults   faults; /* those of the block */
    cli_pair    pair;
    ls_status   status; /* of the watch */
    ls_error    error;
} folder;

/* ---- the place ---- */

static bool is_ours(const char *name)
{
    for (int i = 0; i < N_FILES; i++)
        if (strcmp(files[i], name) == 0) return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A folder beside it can be made, before hours are spent on what shall go there. */
static ls_status check_place(const char *place, ls_error *err)
{
    char   path[4096];
    size_t n = strlen(place);
    while (n > 1 && place[n - 1] == '/') n--;
    snprintf(path, sizeof(path), "%.*s.tmp-%ld", (int)n, place, (long)getpid());
    if (mkdir(path, 0777) == 0)
        rmdir(path);
    else if (errno != EEXIST)
        return ls_fail_errno(err, errno, "cannot make the folder '%s'", place);
    return LS_OK;
}

ls_status cli_shrink_check_folder(const cli_shrink *s, bool force, ls_error *err)
{
    struct stat    sb;
    DIR           *d;
    struct dirent *e;
    bool           empty = true, ours = true;
    if (strlen(s->folder) > 3900) return cli_usage(s->ctx, err, "the folder's path is too long");
    LS_TRY(check_place(s->folder, err));
    if (lstat(s->folder, &sb) != 0) return LS_OK;
    if (!S_ISDIR(sb.st_mode))
        return cli_usage(s->ctx, err, "'%s' is there already and no folder", s->folder);
    d = opendir(s->folder);
    if (!d) return ls_fail_errno(err, errno, "cannot read the folder '%s'", s->folder);
    while ((e = readdir(d)) != NULL) {
        if (!is_ours(e->d_name)) ours = false;
        if (e->d_name[0] != '.') empty = false;
    }
    closedir(d);
    if (!ours)
        return cli_usage(s->ctx, err, "'%s' holds files that are not of this command", s->folder);
    if (empty || force) return LS_OK;
    return cli_usage(s->ctx, err, "'%s' is there already; --force replaces it", s->folder);
}

/* Our files in a folder, then the folder itself. */
static void remove_folder(const char *path)
{
    char file[4400];
    for (int i = 0; i < N_FILES; i++) {
        snprintf(file, sizeof(file), "%.4100s/%s", path, files[i]);
        unlink(file);
    }
    rmdir(path);
}

static ls_status begin(folder *f, ls_error *err)
{
    size_t n = strlen(f->s->folder);
    while (n > 1 && f->s->folder[n - 1] == '/') n--;
    snprintf(f->path, sizeof(f->path), "%.*s.tmp-%ld", (int)n, f->s->folder, (long)getpid());
    for (int i = 0; i < N_FILES; i++)
        snprintf(f->file[i], sizeof(f->file[i]), "%s/%s", f->path, files[i]);
    remove_folder(f->path);
    if (mkdir(f->path, 0777) == 0) return LS_OK;
    return ls_fail_errno(err, errno, "cannot make the folder '%s'", f->s->folder);
}

/* Move it to its place; what was there goes away only when it is there. */
static ls_status commit(folder *f, ls_error *err)
{
    char old[4200];
    snprintf(old, sizeof(old), "%.4000s.old", f->path);
    if (rename(f->path, f->s->folder) == 0) return LS_OK; /* nothing was there, or an empty one */
    if (rename(f->s->folder, old) != 0)
        return ls_fail_errno(err, errno, "cannot replace the folder '%s'", f->s->folder);
    if (rename(f->path, f->s->folder) != 0) {
        int e = errno;
        rename(old, f->s->folder);
        return ls_fail_errno(err, e, "cannot write the folder '%s'", f->s->folder);
    }
    remove_folder(old);
    return LS_OK;
}

/* ---- what the layer reads ---- */

static void watch(void *ctx, const ls_tap_values *v)
{
    folder *f = ctx;
    size_t  n = f->s->shrunk.n;
    if (v->op != f->op || v->layer != f->layer || f->status != LS_OK) return;
    if ((size_t)v->pos + v->rows > n || (f->input && v->n != f->width)) return;
    f->width = v->n;
    if (!f->input) f->input = calloc(n, v->n * sizeof(float));
    if (f->input)
        memcpy(f->input + (size_t)v->pos * v->n, v->data, v->rows * v->n * sizeof(float));
    else
        f->status = ls_fail(&f->error, LS_ERR_NOMEM, "not enough memory for the block's input");
}

/* The reference's: the operation was found on its input. */
static ls_status take_input(folder *f, ls_error *err)
{
    cli_shrink *s = f->s;
    ls_engine  *e;
    ls_status   status;
    f->layer = s->block_layer - 1;
    f->op = f->layer < 0 ? LS_OP_EMBEDDINGS : LS_OP_LAYER_OUT;
    if (s->located.op == LS_OP_EMBEDDINGS) return LS_OK;
    LS_TRY(cli_pair_take(s->pair, false, (ls_watch){watch, f}, NULL, NULL, &e, err));
    status = ls_engine_eval(e, s->ids, s->alone ? 1 : s->shrunk.n, err);
    for (size_t i = 1; s->alone && status == LS_OK && i < s->shrunk.n; i++)
        status = ls_engine_eval(e, s->ids + i, 1, err);
    cli_pair_leave(s->pair, e);
    LS_TRY(status);
    if (f->status != LS_OK) return *err = f->error, f->status;
    if (f->input) return LS_OK;
    return ls_fail(err, LS_ERR_REFERENCE, "the reference does not show what layer %d reads",
                   (int)s->block_layer);
}

static ls_status write_input(const folder *f, ls_error *err)
{
    ls_safetensors_writer *w;
    int64_t                shape[] = {(int64_t)f->s->shrunk.n, (int64_t)f->width};
    ls_status              status;
    if (!f->input) return LS_OK;
    LS_TRY(ls_safetensors_writer_create(&w, err));
    status = ls_safetensors_add(w, LS_STR("input"), LS_CKPT_F32, 2, shape, err);
    if (status == LS_OK) status = ls_safetensors_begin(w, f->file[INPUT], err);
    if (status == LS_OK)
        status =
            ls_safetensors_data(w, f->input, f->s->shrunk.n * f->width * sizeof(*f->input), err);
    if (status == LS_OK) status = ls_safetensors_finish(w, err);
    ls_safetensors_writer_destroy(w);
    return status;
}

/* ---- the block ---- */

static ls_status choose_layer(cli_shrink *s, ls_error *err)
{
    ls_str  arch = {"", 0};
    char    key[96];
    int64_t n = 0;
    s->block_layer = s->located.layer;
    if (s->block_layer >= 0) return LS_OK;
    s->block_layer = 0;
    if (s->located.op == LS_OP_EMBEDDINGS) return LS_OK;
    ls_gguf_str(s->gguf, "general.architecture", &arch);
    snprintf(key, sizeof(key), "%.*s.block_count", (int)(arch.len < 64 ? arch.len : 64), arch.p);
    if (!ls_gguf_int(s->gguf, key, &n) || n < 1)
        return ls_fail(err, LS_ERR_FORMAT, "the model does not say how many layers it has");
    s->block_layer = (int32_t)(n - 1);
    return LS_OK;
}

/* Faults of the layer under its new number; of those that belong to no layer the one that was
 * found, and those that act everywhere. */
static void move_faults(folder *f)
{
    const cli_shrink *s = f->s;
    for (size_t i = 0; i < s->faults->n; i++) {
        ls_fault x = s->faults->at[i];
        if (x.op != LS_N_OPS && (x.layer < 0 ? x.op != s->located.op : x.layer != s->block_layer))
            continue;
        if (x.layer >= 0) x.layer = s->block.layer;
        f->faults.at[f->faults.n++] = x;
    }
}

static ls_status write_block(folder *f, ls_error *err)
{
    cli_shrink      *s = f->s;
    ls_block_options opt = {.n_rows = s->shrunk.n};
    LS_TRY(choose_layer(s, err));
    LS_TRY(take_input(f, err));
    opt.layer = s->block_layer;
    opt.input = f->input;
    opt.ids = s->ids;
    LS_TRY(ls_convert_block(f->file[BLOCK], s->gguf, &opt, &s->block, err));
    move_faults(f);
    return write_input(f, err);
}

/* ---- does it show there? ---- */

static ls_status record_side(folder *f, const int32_t *ids, bool subject, ls_error *err)
{
    size_t           n = f->s->shrunk.n, prompt = f->s->alone ? 1 : n;
    ls_trace_options opt = {.prompt = ids,
                            .n_prompt = prompt,
                            .decoded = ids + prompt,
                            .max_tokens = (int32_t)(n - prompt),
                            .values_path = f->file[subject ? SUBJECT : REFERENCE]};
    ls_recorder     *r;
    ls_engine       *e = NULL;
    ls_trace         t = {0};
    ls_status        status;
    for (int op = 0; op < LS_N_OPS; op++) opt.ops[op] = true;
    LS_TRY(ls_recorder_create(&r, &opt, err));
    status = cli_pair_take(&f->pair, subject, ls_recorder_watch(r), NULL, NULL, &e, err);
    if (status == LS_OK) status = ls_recorder_run(r, e, &t, err);
    if (e) cli_pair_leave(&f->pair, e);
    ls_trace_fini(&t);
    ls_recorder_destroy(r);
    return status;
}

static ls_status compare_sides(folder *f, const int32_t *ids, ls_error *err)
{
    cli_shrink          *s = f->s;
    ls_per_token_result  r;
    size_t               n = s->shrunk.n, prompt = s->alone ? 1 : n;
    ls_per_token_options verify = {.ids = ids,
                                   .n_ids = n,
                                   .batch = s->alone ? 1 : 0,
                                   .budget = s->budget,
                                   .cancelled = cli_catch_interrupt()};
    ls_locate_options    locate = {.prompt = ids,
                                   .n_prompt = prompt,
                                   .decoded = ids + prompt,
                                   .n_decoded = n - prompt,
                                   .tap_tol = s->budget.tap_tol,
                                   .open = cli_pair_take,
                                   .close = cli_pair_leave,
                                   .ctx = &f->pair,
                                   .cancelled = cli_catch_interrupt()};
    LS_TRY(ls_verify_per_token(&r, f->pair.sides[1].engine, f->pair.sides[0].engine, &verify, err));
    s->replay_verdict = r.verdict;
    ls_per_token_fini(&r);
    LS_TRY(ls_locate(&s->replay, &locate, err));
    s->replayed = s->replay.found && s->replay.born && s->replay.op == s->located.op &&
                  (s->located.layer < 0 || s->replay.layer == s->block.layer);
    if (s->replayed) s->replay_verdict = LS_VERDICT_DIVERGED;
    LS_TRY(record_side(f, ids, true, err));
    return record_side(f, ids, false, err);
}

static ls_status replay(folder *f, ls_error *err)
{
    cli_shrink        *s = f->s;
    ls_engine_options *sides[] = {&f->pair.reference, &f->pair.subject};
    int32_t           *ids = calloc(s->shrunk.n, sizeof(*ids));
    ls_status          status;
    if (!ids) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the ids");
    for (size_t i = 0; i < s->shrunk.n; i++) ids[i] = (int32_t)i;
    f->pair = (cli_pair){.subject = s->pair->subject,
                         .reference = s->pair->reference,
                         .exe = s->pair->exe,
                         .own_sums = s->pair->own_sums};
    for (int i = 0; i < 2; i++) {
        sides[i]->model = NULL;
        sides[i]->model_path = f->file[BLOCK];
        sides[i]->n_ctx = (int32_t)s->shrunk.n;
    }
    f->pair.subject.faults = f->faults.n ? &f->faults : NULL;
    status = cli_pair_open(&f->pair, err);
    if (status == LS_OK) status = compare_sides(f, ids, err);
    cli_pair_close(&f->pair);
    free(ids);
    return status;
}

/* ---- the script and the words ---- */

/* A word for the shell. */
static void print_word(FILE *out, const char *word)
{
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

static void print_options(const folder *f, FILE *out)
{
    const cli_shrink      *s = f->s;
    const cli_engine_opts *e = s->engine;
    const ls_faults       *faults = s->block.n_vocab ? &f->faults : s->faults;
    ls_budget              normal = ls_budget_default();
    char                   text[96];
    fprintf(out, " --locate --tap-tol %g --against %s --kv-type %s", s->budget.tap_tol, s->against,
            ls_dtype_name(e->kv_type));
    if (s->alone)
        fputs(" --batch 1", out);
    else if (s->shrunk.n > 512)
        fprintf(out, " --batch %zu", s->shrunk.n);
    if (e->isa != LS_TIER_AUTO) fprintf(out, " --isa %s", ls_tier_name((ls_tier)e->isa));
    if (e->lanes) fprintf(out, " --lanes %d", e->lanes);
    if (e->act_quant == LS_ROUND_I8) fputs(" --act-quant i8", out);
    if (s->own_sums) fputs(" --sums own", out);
    if (s->budget.cos_tol != normal.cos_tol) fprintf(out, " --cos-tol %.17g", s->budget.cos_tol);
    if (s->budget.nmse_tol != normal.nmse_tol)
        fprintf(out, " --nmse-tol %.17g", s->budget.nmse_tol);
    if (s->budget.kl_tol != normal.kl_tol) fprintf(out, " --kl-tol %.17g", s->budget.kl_tol);
    if (s->budget.strict) fputs(" --strict", out);
    for (size_t i = 0; i < faults->n; i++)
        fprintf(out, " --fault %s", ls_fault_text(&faults->at[i], text, sizeof(text)));
}

static void print_script(const folder *f, FILE *out)
{
    const cli_shrink *s = f->s;
    char             *model = s->block.n_vocab ? NULL : realpath(s->model_path, NULL);
    fputs("#!/bin/sh\n"
          "# Shows the divergence again: exit 1. LOCKSTEP names the program; options may follow.\n"
          "cd \"$(dirname \"$0\")\" || exit 70\n"
          "exec \"${LOCKSTEP:-lockstep}\" crossval per-token -n 0 -m ",
          out);
    print_word(out, s->block.n_vocab ? files[BLOCK] : model ? model : s->model_path);
    fputs(" --ids ", out);
    for (size_t i = 0; i < s->shrunk.n; i++)
        fprintf(out, "%s%d", i ? "," : "", s->block.n_vocab ? (int)i : (int)s->ids[i]);
    print_options(f, out);
    fputs(" \"$@\"\n", out);
    free(model);
}

static void print_readme(const folder *f, FILE *out)
{
    const cli_shrink *s = f->s;
    char              place[96];
    if (!s->by_op) {
        fputs("# Two engines differ in their logits\n\nNo single operation is over its budget, so "
              "this folder holds no layer: `replay.sh` runs the whole\nmodel over the shortest "
              "prompt that was found. `report.json` has its token ids.\n",
              out);
        return;
    }
    fprintf(out,
            "# Two engines differ: %s\n\n"
            "`sh replay.sh` shows it again (`lockstep` has to be in the path, or its place in "
            "`LOCKSTEP`).%s%s\n\n"
            "| file | |\n|---|---|\n"
            "| `block.gguf` | layer %d of the model as layer %d of its own; token i is what that "
            "layer reads at position i |\n",
            cli_located_place(&s->located, place, sizeof(place)),
            s->alone ? " Tokens are evaluated one at a time: it shows in decoding alone." : "",
            s->replayed ? "" : " **The layer alone does not show it.**", (int)s->block_layer,
            (int)s->block.layer);
    if (f->input)
        fprintf(out,
                "| `input.safetensors` | the same hidden states, as the reference computed "
                "them%s |\n",
                s->block.exact ? "" : "; the scaled embeddings give them but for a last bit");
    fprintf(out, "| `subject.safetensors`, `reference.safetensors` | every tap of the block in "
                 "both engines |\n"
                 "| `report.json` | the prompt that was left, the operation, the replay |\n");
}

typedef void print_fn(const folder *f, FILE *out);

static ls_status write_text(const folder *f, int file, print_fn *print, ls_error *err)
{
    cli_output out = {0};
    ls_status  status;
    LS_TRY(cli_output_open(&out, f->file[file], err));
    print(f, out.f);
    status = cli_output_commit(&out, err);
    cli_output_abort(&out);
    return status;
}

/* ---- the report ---- */

static json_t *place_of(const ls_located *l)
{
    if (!l->found) return json_null();
    return json_pack("{s:o, s:s, s:i, s:s, s:o, s:o, s:o}", "layer",
                     l->layer < 0 ? json_null() : json_integer(l->layer), "op", ls_op_name(l->op),
                     "position", (int)l->position, "origin", l->born ? "born" : "carried",
                     "isolated", l->born ? cli_json_real(l->isolated) : json_null(), "accumulated",
                     cli_json_real(l->accumulated), "budget", cli_json_real(l->budget));
}

static json_t *model_of(const cli_shrink *s)
{
    char sha[65] = "";
    ls_gguf_sha256(sha, s->gguf, NULL);
    return json_pack("{s:o, s:s}", "path", cli_json_text(s->model_path, strlen(s->model_path)),
                     "sha256", sha);
}

json_t *cli_shrink_json(const cli_shrink *s)
{
    json_t *ids = json_array(), *block = json_null(), *replayed = json_null();
    bool    done = s->shrunk.n > 0;
    for (size_t i = 0; i < s->shrunk.n; i++) json_array_append_new(ids, json_integer(s->ids[i]));
    if (s->block.n_vocab) {
        block = json_pack("{s:i, s:i, s:b, s:I}", "layer", (int)s->block_layer, "as_layer",
                          (int)s->block.layer, "exact_input", s->block.exact, "bytes",
                          (json_int_t)s->block.n_bytes);
        replayed = json_pack("{s:s, s:b, s:o}", "verdict", ls_verdict_name(s->replay_verdict),
                             "same_operation", s->replayed, "located", place_of(&s->replay));
    }
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:b, s:I, s:I, s:b, s:o, s:o, s:o}",
                     "schema", "lockstep.shrink/1", "verdict", ls_verdict_name(s->verdict),
                     "exit_code", ls_verdict_exit_code(s->verdict), "reason",
                     cli_json_text(s->reason, strlen(s->reason)), "model", model_of(s), "against",
                     s->against, "folder",
                     done ? cli_json_text(s->folder, strlen(s->folder)) : json_null(), "ids", ids,
                     "one_at_a_time", (int)s->alone, "n_before", (json_int_t)s->n_original,
                     "n_tests", (json_int_t)s->shrunk.n_tests, "minimal", s->shrunk.minimal,
                     "located", place_of(&s->located), "block", block, "replay", replayed);
}

/* ---- all of it ---- */

static ls_status write_all(folder *f, ls_error *err)
{
    cli_shrink *s = f->s;
    LS_TRY(begin(f, err));
    if (s->by_op) {
        LS_TRY(write_block(f, err));
        LS_TRY(replay(f, err));
    }
    LS_TRY(write_text(f, SCRIPT, print_script, err));
    LS_TRY(write_text(f, README, print_readme, err));
    LS_TRY(cli_json_print(cli_shrink_json(s), f->file[REPORT], err));
    return commit(f, err);
}

ls_status cli_shrink_write(cli_shrink *s, ls_error *err)
{
    folder   *f = calloc(1, sizeof(*f));
    ls_status status;
    if (!f) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a folder");
    f->s = s;
    status = write_all(f, err);
    if (status != LS_OK && f->path[0]) remove_folder(f->path);
    free(f->input);
    free(f);
    return status;
}
