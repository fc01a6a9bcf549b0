// SPDX-License-Identifier: MIT
/* hf_priv.h - a Hugging Face folder on its way to an ls_gguf.
 *
 * What an architecture is stands in one row of hf_archs.c: its keys, its tensors with what is done
 * to each, and where its vocabulary comes from. The other files do what the rows say and know no
 * architecture by name. Facts (keys, names, permutations) are those of llama.cpp's converter.
 */
#ifndef LS_FORMAT_HF_PRIV_H
#define LS_FORMAT_HF_PRIV_H

#include "format/gguf_priv.h"
#include "format/hf_rope.h"
#include "format/json.h"
#include "format/meta.h"

typedef struct ls_hf_arch ls_hf_arch;

typedef struct ls_hf {
    ls_gguf          *g; /* being filled; borrowed */
    ls_meta           meta;
    char             *folder;  /* with a slash at the end */
    char             *config_path, *tokenizer_path, *tokenizer_config_path, *generation_path;
    ls_json           config, tokenizer, tokenizer_config, generation; /* root NULL: no such file */
    const json_t     *text;    /* config's text_config: looked at first */
    const ls_hf_arch *arch;
    bool              dry; /* metadata and vocabulary alone */
    const ls_checkpoint *ckpt;
    bool             *used;    /* [tensors of ckpt] */
    size_t            tensor_cap;
    int64_t           n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_experts, n_vocab;
    ls_error         *err;
} ls_hf;

/* Where a row's pattern has matched a tensor of the checkpoint. */
typedef struct ls_hf_match {
    const ls_ckpt_tensor *t;
    const char           *from, *to;     /* the row's patterns */
    int64_t               layer, expert; /* -1 where the pattern has none */
} ls_hf_match;

/* What is done to a tensor: ends in ls_hf_emit. */
typedef ls_status ls_hf_op(ls_hf *hf, const ls_hf_match *m);

/* A tensor. `%` in both patterns stands for the layer, `&` for the expert. */
typedef struct ls_hf_name {
    const char *from, *to;
    ls_hf_op   *op;
} ls_hf_name;

/* A key of the metadata. `key` without a dot-separated prefix of its own gets the architecture's. */
typedef struct ls_hf_key {
    const char  *key;
    ls_gguf_type type;
    const char  *from[6];  /* in config.json: the first that is there and not null */
    double       fallback; /* where none is; LS_HF_ABSENT: then there is no key */
} ls_hf_key;
#define LS_HF_ABSENT (-1e300)

typedef ls_status ls_hf_fn(ls_hf *hf);
typedef struct ls_hf_back ls_hf_back;
typedef ls_status ls_hf_back_fn(ls_hf_back *b);

/* A switch of config.json that stands for a tensor being there. */
typedef struct ls_hf_flag {
    const char *key, *tensor;
} ls_hf_flag;

/* The last five matter only on the way back (hf_back.h). */
struct ls_hf_arch {
    const char       *classes[6];   /* config.json's "architectures" */
    const char       *when[2];      /* and this key with this value (a string), or NULL */
    const char       *name;         /* general.architecture */
    const ls_hf_key  *keys[3];      /* in place of the common ones of the same name */
    ls_hf_fn         *more[4];      /* keys and tensors that need arithmetic */
    const ls_hf_name *names[7];     /* the first pattern that fits decides */
    const char       *has;          /* a key above 0 or a tensor: such models are of this row; NULL:
                                     * all models of the name that no row above takes */
    const char       *fixed;        /* entries of config.json that are the same in all, as JSON */
    const char       *own[9];       /* of the names that a key has, those of this class */
    ls_hf_flag        flags[4];
    ls_hf_back_fn    *extra;        /* entries that take arithmetic and are not read */
};

/* Heads, as the rows of a tensor are counted by them. */
typedef struct ls_hf_heads {
    size_t n, kv, dim;
} ls_hf_heads;

/* What moves whole rows, for both directions. */
typedef struct ls_hf_shuffle {
    ls_hf_op *op;
    bool (*fits)(const ls_hf_heads *h, size_t n_rows);
    size_t (*row)(const ls_hf_heads *h, size_t n_rows, size_t i); /* of the folder's tensor, for i
                                                                   * of GGUF's */
} ls_hf_shuffle;

/* hf_archs.c */
const ls_hf_arch *ls_hf_arch_at(size_t i); /* NULL behind the last */
const ls_hf_arch *ls_hf_arch_find(const ls_hf *hf, ls_str class_name);
void              ls_hf_arch_list(char *buf, size_t cap); /* names, for a hint */

/* hf_config.c: a value of config.json (NULL for absent and null), metadata from it. */
extern const ls_hf_key ls_hf_common_keys[]; /* of all architectures; ends with a NULL key */
extern const ls_hf_key ls_hf_layers_key;    /* block_count */
extern const ls_hf_key ls_hf_rope_base_key;
typedef struct ls_hf_scaling { /* what a type of RoPE scaling becomes */
    const char *type, *gguf;
    bool        factor, yarn;
} ls_hf_scaling;
extern const ls_hf_scaling ls_hf_scalings[];      /* ends with a NULL type */
extern const ls_hf_key     ls_hf_yarn_keys[];     /* in the RoPE object */
extern const ls_hf_key     ls_hf_sampling_keys[]; /* in generation_config.json */
/* Whether the architecture has a row of its own in place of the common one. */
bool ls_hf_overridden(const ls_hf_arch *arch, const ls_hf_key *k);
const json_t *ls_hf_get(const ls_hf *hf, const char *key);
bool          ls_hf_num(const ls_hf *hf, const char *key, double *out);
bool          ls_hf_str(const ls_hf *hf, const char *key, ls_str *out);
const json_t *ls_hf_rope(const ls_hf *hf); /* rope_parameters or rope_scaling; NULL: none */
ls_status     ls_hf_read_sizes(ls_hf *hf);
ls_status     ls_hf_read_config(ls_hf *hf);
ls_status     ls_hf_read_generation(ls_hf *hf);
/* "ARCH.suffix" in buf. */
const char *ls_hf_key_name(const ls_hf *hf, const char *suffix, char buf[128]);
/* A key of the metadata under the architecture's name. */
ls_status ls_hf_set_float(ls_hf *hf, const char *suffix, double v);
ls_status ls_hf_set_int(ls_hf *hf, const char *suffix, int64_t v);

/* hf_extra.c: what rows put into `more`. */
ls_hf_fn ls_hf_rope_dims, ls_hf_llama3_freqs, ls_hf_longrope, ls_hf_no_rope_scaling,
    ls_hf_gemma3_rope, ls_hf_bitnet_scaling, ls_hf_sliding_window, ls_hf_sliding_layers,
    ls_hf_ff_4, ls_hf_falcon_heads;

/* hf_back_config.c: what rows put into `extra`. */
ls_hf_back_fn ls_hf_back_query_scale, ls_hf_back_attention_scale;

/* hf_ops.c: what rows do to tensors; NULL in a row is "as it is". */
ls_hf_op ls_hf_plain, ls_hf_skip, ls_hf_one_row, ls_hf_permute_q, ls_hf_permute_k, ls_hf_norm_plus_1,
    ls_hf_transpose, ls_hf_ternary, ls_hf_qkv_groups, ls_hf_qkv_heads, ls_hf_stack,
    ls_hf_split_halves, ls_hf_split_pairs, ls_hf_split_pairs_bias, ls_hf_transpose_experts,
    ls_hf_mxfp4, ls_hf_mxfp4_pairs;
/* How `op` moves rows; NULL: it is none that does. */
const ls_hf_shuffle *ls_hf_shuffle_of(ls_hf_op *op);
/* Codes of an I2_S tensor: element i of the flattened tensor. */
unsigned ls_hf_i2s_code(const uint8_t *data, size_t i);

/* hf_tensors.c */
ls_status ls_hf_read_tensors(ls_hf *hf);
/* The row of `arch` for a tensor of its folder, filling layer and expert; NULL: none. */
const ls_hf_name *ls_hf_find_row(const ls_hf_arch *arch, ls_str name, ls_hf_match *m);
/* Does a name fit a pattern? `%` layer, `&` expert, `*` anything to the end; -1: there is none. */
bool ls_hf_fits(const char *pattern, ls_str name, int64_t *layer, int64_t *expert);
/* `pattern` with its numbers in buf; false if it does not fit there. */
bool ls_hf_fill(char *buf, size_t cap, const char *pattern, int64_t layer, int64_t expert);
/* What GGUF's engines read as F32 only: vectors, norms, routers, positions. */
bool ls_hf_wants_f32(ls_str name, uint32_t n_dims);
/* Put numbers into a pattern. */
ls_status ls_hf_name_of(ls_hf *hf, const char *pattern, int64_t layer, int64_t expert, ls_str *out);
/* The tensor of the checkpoint with this pattern's name, marked as used; NULL if it is not there. */
const ls_ckpt_tensor *ls_hf_take(ls_hf *hf, const char *pattern, int64_t layer, int64_t expert);
/* A tensor of the model: row-major shape, data that live as long as hf->g, `like` for its place.
 * Where GGUF has F32 (vectors, norms, routers), it is decoded. */
ls_status ls_hf_emit(ls_hf *hf, ls_str name, ls_ckpt_dtype dtype, uint32_t n_dims,
                     const int64_t *shape, const void *data, const ls_ckpt_tensor *like);
/* The same for a GGUF type, with nothing decoded. */
ls_status ls_hf_emit_blocks(ls_hf *hf, ls_str name, int dtype, uint32_t n_dims,
                            const int64_t *shape, const void *data, const ls_ckpt_tensor *like);
/* FORMAT at tensor t. */
ls_status ls_hf_bad_tensor(ls_hf *hf, const ls_ckpt_tensor *t, const char *fmt, ...)
    LS_PRINTF(3, 4);
/* Element i of F64, F32, F16, BF16 data as float. */
float  ls_hf_element(ls_ckpt_dtype dtype, const void *data, size_t i);
double ls_hf_number(ls_ckpt_dtype dtype, const void *data, size_t i); /* the same, unrounded */
bool  ls_hf_is_float(ls_ckpt_dtype dtype);

/* hf_vocab.c, hf_spm.c */
ls_status ls_hf_read_vocab(ls_hf *hf);

#endif
