// SPDX-License-Identifier: MIT
/* tj_post.c - the post-processor of a tokenizer.json: ids before and behind a text. What it would
 * put between two texts is not looked at. */
#include <string.h>

#include "text/tj.h"

enum { MAX_DEPTH = 16, MAX_IDS = 64 };

typedef struct reader {
    ls_tokenizer     *t;
    const ls_tj_file *f;
    int               depth;
} reader;

typedef ls_status post_fn(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err);

static ls_status push(reader *r, const ls_tj_place *at, ls_ids *to, const json_t *id, ls_error *err)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= r->t->n_vocab) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "names no token of the vocabulary");
    }
    if (to->n >= MAX_IDS) return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "has too many tokens");
    return ls_ids_push(to, (int32_t)json_integer_value(id), err);
}

/* ["[SEP]", 102] */
static ls_status push_pair(reader *r, const ls_tj_place *at, const json_t *o, const char *key,
                           ls_ids *to, ls_error *err)
{
    const ls_tj_place here = {at, key, 0};
    return push(r, &here, to, json_array_get(json_object_get(o, key), 1), err);
}

static ls_status read_bert(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err)
{
    LS_TRY(push_pair(r, at, o, "cls", &r->t->tj->before, err));
    return push_pair(r, at, o, "sep", &r->t->tj->behind, err);
}

static ls_status push_special(reader *r, const ls_tj_place *at, const json_t *o,
                              const json_t *special, ls_ids *to, ls_error *err)
{
    const json_t *name = json_object_get(json_object_get(o, "SpecialToken"), "id"), *ids;
    if (!json_is_string(name)) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "is neither Sequence nor SpecialToken");
    }
    ids = json_object_get(json_object_get(special, json_string_value(name)), "ids");
    if (!json_is_array(ids)) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "is not among the special_tokens");
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        LS_TRY(push(r, at, to, json_array_get(ids, i), err));
    }
    return LS_OK;
}

static ls_status read_template(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err)
{
    const ls_tj_place here = {at, "single", 0};
    const json_t     *list = json_object_get(o, "single");
    ls_ids           *to = &r->t->tj->before;
    if (!json_is_array(list)) return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is no list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const ls_tj_place item = {&here, NULL, i};
        const json_t     *part = json_array_get(list, i);
        if (json_object_get(part, "Sequence")) {
            to = &r->t->tj->behind;
        } else {
            LS_TRY(push_special(r, &item, part, json_object_get(o, "special_tokens"), to, err));
        }
    }
    return LS_OK;
}

static ls_status read_nothing(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err)
{
    (void)r, (void)at, (void)o, (void)err;
    return LS_OK;
}

static const struct {
    const char *name;
    post_fn    *read;
} types[] = {
    {"TemplateProcessing", read_template},
    {"BertProcessing", read_bert},
    {"RobertaProcessing", read_bert},
    {"ByteLevel", read_nothing}, /* moves offsets only */
};

static ls_status read_one(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err);

static ls_status read_sequence(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err)
{
    const ls_tj_place here = {at, "processors", 0};
    const json_t     *list = json_object_get(o, "processors");
    if (!json_is_array(list)) return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is no list");
    if (++r->depth > MAX_DEPTH) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "is nested too deep");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const ls_tj_place item = {&here, NULL, i};
        LS_TRY(read_one(r, &item, json_array_get(list, i), err));
    }
    r->depth--;
    return LS_OK;
}

static ls_status read_one(reader *r, const ls_tj_place *at, const json_t *o, ls_error *err)
{
    const ls_tj_place here = {at, "type", 0};
    const json_t     *v = json_object_get(o, "type");
    const char       *type = json_string_value(v);
    if (!type) return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is missing or no string");
    if (strcmp(type, "Sequence") == 0) return read_sequence(r, at, o, err);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(type, types[i].name) == 0) return types[i].read(r, at, o, err);
    }
    return ls_tj_fail(r->f, &here, LS_ERR_UNSUPPORTED, err, "'%.64s' is not supported", type);
}

ls_status ls_tj_read_post(ls_tokenizer *t, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    const ls_tj_place at = {NULL, "post_processor", 0};
    const json_t     *o = json_object_get(root, "post_processor");
    reader            r = {t, f, 0};
    if (o && !json_is_null(o)) LS_TRY(read_one(&r, &at, o, err));
    t->bos = t->tj->before.n ? t->tj->before.at[0] : -1;
    t->eos = t->tj->behind.n ? t->tj->behind.at[t->tj->behind.n - 1] : -1;
    return LS_OK;
}
