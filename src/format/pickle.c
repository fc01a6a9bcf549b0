// SPDX-License-Identifier: MIT
/* pickle.c - a stack machine that can build containers and nothing else. */
#include "format/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "format/arena.h"

enum { MAX_VALUES = 4 << 20 };

typedef enum kind { NONE, BOOL, INT, FLOAT, TEXT, LIST, TUPLE, DICT, GLOBAL, STORAGE, TENSOR } kind;

typedef struct value {
    kind              kind;
    ls_ckpt_dtype     dtype; /* STORAGE, and GLOBAL of one */
    int64_t           i;     /* BOOL, INT; STORAGE: elements; GLOBAL: its row */
    ls_str            s;     /* TEXT; STORAGE: its key */
    struct value    **items; /* LIST, TUPLE; DICT: key, value, key, value */
    size_t            n, cap;
    ls_pickle_tensor *tensor;
} value;

/* All names that a pickle may ask for. */
typedef enum call { CALL_TENSOR, CALL_PARAMETER, CALL_DICT, NO_CALL } call;
static const struct {
    const char   *module, *name;
    call          call;
    ls_ckpt_dtype dtype;
} globals[] = {
    {"torch._utils", "_rebuild_tensor_v2", CALL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", CALL_PARAMETER, 0},
    {"collections", "OrderedDict", CALL_DICT, 0},
    {"torch", "DoubleStorage", NO_CALL, LS_CKPT_F64},
    {"torch", "FloatStorage", NO_CALL, LS_CKPT_F32},
    {"torch", "HalfStorage", NO_CALL, LS_CKPT_F16},
    {"torch", "BFloat16Storage", NO_CALL, LS_CKPT_BF16},
    {"torch", "LongStorage", NO_CALL, LS_CKPT_I64},
    {"torch", "IntStorage", NO_CALL, LS_CKPT_I32},
    {"torch", "ShortStorage", NO_CALL, LS_CKPT_I16},
    {"torch", "CharStorage", NO_CALL, LS_CKPT_I8},
    {"torch", "ByteStorage", NO_CALL, LS_CKPT_U8},
    {"torch", "BoolStorage", NO_CALL, LS_CKPT_BOOL},
};

/* Instructions that make or call objects, to refuse them by name. */
static const struct {
    uint8_t     op;
    const char *name;
} refused[] = {
    {'i', "INST"},  {'o', "OBJ"},   {0x81, "NEWOBJ"}, {0x92, "NEWOBJ_EX"},   {'P', "PERSID"},
    {0x82, "EXT1"}, {0x83, "EXT2"}, {0x84, "EXT4"},   {0x97, "NEXT_BUFFER"}, {0x8f, "EMPTY_SET"},
    {'I', "INT"},   {'L', "LONG"},  {'F', "FLOAT"},   {'S', "STRING"},       {'V', "UNICODE"},
    {'d', "DICT"},  {'l', "LIST"},  {'g', "GET"},     {'p', "PUT"},          {0x91, "FROZENSET"},
};

typedef struct machine {
    ls_cursor   c;
    const char *place;
    ls_arena    mem;
    value     **stack, **memo;
    size_t     *marks, n_stack, n_memo, n_marks, stack_cap, memo_cap, marks_cap, n_values;
    size_t      at; /* of the instruction being carried out */
    ls_error   *err;
} machine;

/* ---- errors ---- */

LS_PRINTF(2, 3) static ls_status broken(machine *m, const char *fmt, ...)
{
    char    what[sizeof(m->err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(m->err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(m->err, "%s: byte %zu", m->place, m->at);
    return LS_ERR_FORMAT;
}

static ls_status cut(machine *m) { return broken(m, "the pickle ends inside an instruction"); }

LS_PRINTF(2, 3) static ls_status refuse(machine *m, const char *fmt, ...)
{
    char    what[sizeof(m->err->what) - 64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(m->err, LS_ERR_UNSUPPORTED, "the pickle asks for %s, which is not carried out", what);
    ls_fail_at(m->err, "%s: byte %zu", m->place, m->at);
    ls_fail_hint(m->err, "only tensors in plain containers are read, and nothing in a file is "
                         "executed; save the weights alone, best as safetensors");
    return LS_ERR_UNSUPPORTED;
}

/* ---- values and the stack ---- */

static ls_status push(machine *m, value *v)
{
    LS_TRY(ls_grow(&m->stack, &m->stack_cap, m->n_stack + 1, sizeof(value *), "a pickle", m->err));
    m->stack[m->n_stack++] = v;
    return LS_OK;
}

static ls_status push_new(machine *m, kind k, value **out)
{
    value *v = NULL;
    if (m->n_values++ == MAX_VALUES) {
        ls_fail(m->err, LS_ERR_LIMIT, "the pickle has more than %d values", MAX_VALUES);
        ls_fail_at(m->err, "%s: byte %zu", m->place, m->at);
        return LS_ERR_LIMIT;
    }
    LS_TRY(ls_arena_alloc(&m->mem, &v, 1, sizeof(*v), "a pickle", m->err));
    v->kind = k;
    *out = v;
    return push(m, v);
}

static ls_status push_int(machine *m, kind k, int64_t i)
{
    value *v;
    LS_TRY(push_new(m, k, &v));
    v->i = i;
    return LS_OK;
}

/* Values below the last mark are out of reach. */
static ls_status pop(machine *m, value **out)
{
    size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;
    *out = NULL;
    if (m->n_stack <= floor) return broken(m, "the pickle takes more from its stack than is there");
    *out = m->stack[--m->n_stack];
    return LS_OK;
}

static ls_status pop_mark(machine *m, size_t *start)
{
    *start = 0;
    if (!m->n_marks) return broken(m, "the pickle has no mark to go back to");
    *start = m->marks[--m->n_marks];
    return LS_OK;
}

static ls_status append(machine *m, value *list, value *item)
{
    if (list->n == list->cap) {
        size_t  cap = list->cap ? 2 * list->cap : 8;
        value **items;
        LS_TRY(ls_arena_alloc(&m->mem, &items, cap, sizeof(*items), "a pickle", m->err));
        if (list->n) memcpy(items, list->items, list->n * sizeof(*items));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = item;
    return LS_OK;
}

/* The values from `start` up go into the container that lies below them. */
static ls_status gather(machine *m, size_t start, kind k)
{
    value *to;
    size_t n = m->n_stack;
    if (start == 0 || m->stack[start - 1]->kind != k || (k == DICT && (n - start) % 2)) {
        return broken(m, "the pickle adds to something that is no %s",
                      k == DICT ? "dictionary" : "list");
    }
    to = m->stack[start - 1];
    for (size_t i = start; i < n; i++) LS_TRY(append(m, to, m->stack[i]));
    m->n_stack = start;
    return LS_OK;
}

static ls_status make_tuple(machine *m, size_t start)
{
    value *t = NULL;
    size_t n = m->n_stack;
    LS_TRY(push_new(m, TUPLE, &t));
    for (size_t i = start; i < n; i++) LS_TRY(append(m, t, m->stack[i]));
    m->n_stack = start;
    return push(m, t);
}

/* ---- names and calls ---- */

static ls_status push_global(machine *m, ls_str module, ls_str name)
{
    value *v;
    for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
        if (!ls_str_is(module, globals[i].module) || !ls_str_is(name, globals[i].name)) continue;
        LS_TRY(push_new(m, GLOBAL, &v));
        v->i = (int64_t)i;
        v->dtype = globals[i].dtype;
        return LS_OK;
    }
    return refuse(m, "'%.*s.%.*s'", LS_FMT(module), LS_FMT(name));
}

static bool read_line(ls_cursor *c, ls_str *out)
{
    const uint8_t *p = c->data + c->off, *end = memchr(p, '\n', c->size - c->off);
    if (!end) return false;
    *out = (ls_str){(const char *)p, (size_t)(end - p)};
    c->off += out->len + 1;
    return true;
}

static ls_status op_global(machine *m)
{
    ls_str module, name;
    if (!read_line(&m->c, &module) || !read_line(&m->c, &name)) return cut(m);
    return push_global(m, module, name);
}

static ls_status op_stack_global(machine *m)
{
    value *module, *name;
    LS_TRY(pop(m, &name));
    LS_TRY(pop(m, &module));
    if (module->kind != TEXT || name->kind != TEXT)
        return broken(m, "a name in the pickle is no text");
    return push_global(m, module->s, name->s);
}

/* ('storage', type, key, device, elements) */
static ls_status op_storage(machine *m)
{
    value *id, *v;
    LS_TRY(pop(m, &id));
    if (id->kind != TUPLE || id->n < 5 || id->items[0]->kind != TEXT ||
        !ls_str_is(id->items[0]->s, "storage") || id->items[1]->kind != GLOBAL ||
        globals[id->items[1]->i].call != NO_CALL || id->items[2]->kind != TEXT ||
        id->items[4]->kind != INT || id->items[4]->i < 0) {
        return broken(m, "the pickle names a storage in a way that PyTorch does not");
    }
    LS_TRY(push_new(m, STORAGE, &v));
    v->dtype = id->items[1]->dtype;
    v->s = id->items[2]->s;
    v->i = id->items[4]->i;
    return LS_OK;
}

static ls_status read_ints(machine *m, const value *v, int64_t *out, uint32_t *n)
{
    if (v->kind != TUPLE || v->n > LS_CKPT_MAX_DIMS) {
        return broken(m, "a tensor has no shape of at most %d dimensions", LS_CKPT_MAX_DIMS);
    }
    *n = (uint32_t)v->n;
    for (size_t i = 0; i < v->n; i++) {
        out[i] = v->items[i]->i;
        if (v->items[i]->kind != INT || out[i] < 0) {
            return broken(m, "a tensor has a dimension or a stride that is no number");
        }
    }
    return LS_OK;
}

/* (storage, offset, shape, stride, requires_grad, hooks) */
static ls_status make_tensor(machine *m, const value *args)
{
    ls_pickle_tensor *t = NULL;
    value            *v;
    uint32_t          n_strides = 0;
    if (args->n < 4 || args->items[0]->kind != STORAGE || args->items[1]->kind != INT ||
        args->items[1]->i < 0) {
        return broken(m, "a tensor is not made of a storage and an offset");
    }
    LS_TRY(ls_arena_alloc(&m->mem, &t, 1, sizeof(*t), "a tensor", m->err));
    LS_TRY(read_ints(m, args->items[2], t->shape, &t->n_dims));
    LS_TRY(read_ints(m, args->items[3], t->stride, &n_strides));
    if (n_strides != t->n_dims)
        return broken(m, "a tensor has more strides than dimensions, or fewer");
    t->storage = args->items[0]->s;
    t->dtype = args->items[0]->dtype;
    t->n_storage = (uint64_t)args->items[0]->i;
    t->offset = (uint64_t)args->items[1]->i;
    LS_TRY(push_new(m, TENSOR, &v));
    v->tensor = t;
    return LS_OK;
}

static ls_status op_reduce(machine *m)
{
    value *args, *f, *v;
    LS_TRY(pop(m, &args));
    LS_TRY(pop(m, &f));
    if (f->kind != GLOBAL || args->kind != TUPLE) {
        return broken(m, "the pickle calls something that is no function");
    }
    switch (globals[f->i].call) {
    case CALL_TENSOR:
        return make_tensor(m, args);
    case CALL_PARAMETER:
        if (!args->n || args->items[0]->kind != TENSOR)
            return broken(m, "a parameter is no tensor");
        return push(m, args->items[0]);
    case CALL_DICT:
        if (args->n) return refuse(m, "an OrderedDict made of other objects");
        return push_new(m, DICT, &v);
    case NO_CALL:
        break;
    }
    return refuse(m, "a call of '%s.%s'", globals[f->i].module, globals[f->i].name);
}

/* Attributes of a dictionary (PyTorch's _metadata) are dropped. */
static ls_status op_build(machine *m)
{
    value *state, *to;
    LS_TRY(pop(m, &state));
    LS_TRY(pop(m, &to));
    if (to->kind != DICT) return refuse(m, "attributes of an object");
    return push(m, to);
}

/* ---- numbers, texts, memo ---- */

/* An unsigned number of n bytes. */
static bool read_bytes(machine *m, size_t n, uint64_t *out)
{
    const uint8_t *p = ls_cursor_take(&m->c, n);
    *out = 0;
    if (p) memcpy(out, p, n);
    return p != NULL;
}

static ls_status op_long(machine *m)
{
    uint64_t       n;
    int64_t        v = 0;
    const uint8_t *p;
    if (!read_bytes(m, 1, &n)) return cut(m);
    p = ls_cursor_take(&m->c, n);
    if (!p) return cut(m);
    if (n > 8) return broken(m, "a number of the pickle has %llu bytes", (unsigned long long)n);
    if (n) v = (p[n - 1] & 0x80) ? -1 : 0;
    if (n) memcpy(&v, p, n);
    return push_int(m, INT, v);
}

static ls_status op_int(machine *m, size_t bytes)
{
    uint64_t v;
    if (!read_bytes(m, bytes, &v)) return cut(m);
    return push_int(m, INT, bytes == 4 ? (int64_t)(int32_t)v : (int64_t)v);
}

static ls_status op_text(machine *m, size_t length_bytes)
{
    uint64_t       n;
    const uint8_t *p;
    value         *v;
    if (!read_bytes(m, length_bytes, &n)) return cut(m);
    p = ls_cursor_take(&m->c, n);
    if (!p) return cut(m);
    LS_TRY(push_new(m, TEXT, &v));
    v->s = (ls_str){(const char *)p, (size_t)n};
    return LS_OK;
}

static ls_status op_put(machine *m, size_t bytes)
{
    uint64_t i = m->n_memo;
    if (bytes && !read_bytes(m, bytes, &i)) return cut(m);
    if (!m->n_stack || i > m->c.size)
        return broken(m, "the pickle keeps something that is not there");
    LS_TRY(ls_grow(&m->memo, &m->memo_cap, (size_t)i + 1, sizeof(value *), "a pickle", m->err));
    while (m->n_memo <= i) m->memo[m->n_memo++] = NULL;
    m->memo[i] = m->stack[m->n_stack - 1];
    return LS_OK;
}

static ls_status op_get(machine *m, size_t bytes)
{
    uint64_t i;
    if (!read_bytes(m, bytes, &i)) return cut(m);
    if (i >= m->n_memo || !m->memo[i]) return broken(m, "the pickle asks for what it has not kept");
    return push(m, m->memo[i]);
}

static ls_status op_mark(machine *m)
{
    LS_TRY(ls_grow(&m->marks, &m->marks_cap, m->n_marks + 1, sizeof(size_t), "a pickle", m->err));
    m->marks[m->n_marks++] = m->n_stack;
    return LS_OK;
}

static ls_status op_tuple(machine *m, size_t n)
{
    size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;
    if (m->n_stack - floor < n)
        return broken(m, "the pickle takes more from its stack than is there");
    return make_tuple(m, m->n_stack - n);
}

static ls_status op_marked(machine *m, uint8_t op)
{
    size_t start;
    LS_TRY(pop_mark(m, &start));
    if (op == 't') return make_tuple(m, start);
    if (op == '1') m->n_stack = start;
    if (op == '1') return LS_OK;
    return gather(m, start, op == 'u' ? DICT : LIST);
}

/* One item, or a key and its value, into the container below. */
static ls_status op_add(machine *m, size_t n, kind k)
{
    size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;
    if (m->n_stack - floor < n + 1) {
        return broken(m, "the pickle takes more from its stack than is there");
    }
    return gather(m, m->n_stack - n, k);
}

static ls_status other(machine *m, uint8_t op)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (refused[i].op == op) return refuse(m, "instruction %s", refused[i].name);
    }
    return broken(m, "0x%02x is no instruction of a pickle", op);
}

static ls_status skip(machine *m, size_t n) { return ls_cursor_take(&m->c, n) ? LS_OK : cut(m); }

static ls_status step(machine *m, uint8_t op)
{
    value *v;
    switch (op) {
    case 0x80:
        return skip(m, 1); /* PROTO */
    case 0x95:
        return skip(m, 8); /* FRAME */
    case '(':
        return op_mark(m);
    case '}':
        return push_new(m, DICT, &v);
    case ']':
        return push_new(m, LIST, &v);
    case ')':
        return push_new(m, TUPLE, &v);
    case 'N':
        return push_new(m, NONE, &v);
    case 0x88:
        return push_int(m, BOOL, 1);
    case 0x89:
        return push_int(m, BOOL, 0);
    case 'K':
        return op_int(m, 1);
    case 'M':
        return op_int(m, 2);
    case 'J':
        return op_int(m, 4);
    case 0x8a:
        return op_long(m);
    case 'G':
        LS_TRY(skip(m, 8));
        return push_new(m, FLOAT, &v);
    case 'X':
        return op_text(m, 4);
    case 0x8c:
        return op_text(m, 1);
    case 0x8d:
        return op_text(m, 8);
    case 'U':
    case 'C':
        return op_text(m, 1);
    case 'T':
    case 'B':
        return op_text(m, 4);
    case 'q':
        return op_put(m, 1);
    case 'r':
        return op_put(m, 4);
    case 0x94:
        return op_put(m, 0);
    case 'h':
        return op_get(m, 1);
    case 'j':
        return op_get(m, 4);
    case 0x85:
    case 0x86:
    case 0x87:
        return op_tuple(m, (size_t)op - 0x84);
    case 't':
    case '1':
    case 'e':
    case 'u':
        return op_marked(m, op);
    case 'a':
        return op_add(m, 1, LIST);
    case 's':
        return op_add(m, 2, DICT);
    case '0':
        return pop(m, &v);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'Q':
        return op_storage(m);
    case 'R':
        return op_reduce(m);
    case 'b':
        return op_build(m);
    default:
        return other(m, op);
    }
}

/* ---- the result ---- */

static size_t count_tensors(const value *dict)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < dict->n; i += 2) n += dict->items[i + 1]->kind == TENSOR;
    return n;
}

static ls_status hand_out(machine *m, ls_pickle_sink *sink, void *ctx)
{
    value *top;
    LS_TRY(pop(m, &top));
    if (top->kind != DICT) return broken(m, "the pickle holds no dictionary of tensors");
    if (!count_tensors(top)) { /* {"state_dict": {...}, "epoch": 3} */
        const value *outer = top;
        for (size_t i = 0; i + 1 < outer->n; i += 2) {
            if (outer->items[i + 1]->kind == DICT && count_tensors(outer->items[i + 1])) {
                top = outer->items[i + 1];
            }
        }
    }
    if (!count_tensors(top)) return broken(m, "the pickle holds no tensors");
    for (size_t i = 0; i + 1 < top->n; i += 2) {
        const value *key = top->items[i], *v = top->items[i + 1];
        if (v->kind != TENSOR) continue;
        if (key->kind != TEXT || !key->s.len || key->s.len > 4096 ||
            memchr(key->s.p, 0, key->s.len)) {
            return broken(m, "a tensor of the pickle has no valid name");
        }
        v->tensor->name = key->s;
        LS_TRY(sink(ctx, v->tensor, m->err));
    }
    return LS_OK;
}

static ls_status run(machine *m)
{
    for (;;) {
        const uint8_t *op;
        m->at = m->c.off;
        op = ls_cursor_take(&m->c, 1);
        if (!op) return broken(m, "the pickle has no end");
        if (*op == '.') return LS_OK;
        LS_TRY(step(m, *op));
    }
}

ls_status ls_pickle_read(const uint8_t *data, size_t n, const char *place, ls_pickle_sink *sink,
                         void *ctx, ls_error *err)
{
    machine   m = {.c = {data, n, 0}, .place = place, .err = err};
    ls_status status = run(&m);
    if (status == LS_OK) status = hand_out(&m, sink, ctx);
    ls_arena_free(&m.mem);
    free(m.stack);
    free(m.memo);
    free(m.marks);
    return status;
}
