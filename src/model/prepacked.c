// SPDX-License-Identifier: MIT
/* prepacked.c - a file that holds a model's matrices in strips, so that they need not be packed.
 *
 * A head, then the image that strips.c would make in memory. Who opens it makes the head that it
 * must have out of the model and compares: nothing in the file is believed, no offset of it is
 * used. What the head cannot tell (another change of the layout than the one that was counted,
 * bytes that changed under an unchanged date) shows in rows that are packed anew and compared. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/blake3.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/pool.h"
#include "dtype/strips.h"
#include "lockstep/hash.h"
#include "model/strips.h"

/* docs/models.md describes the format. All numbers are little-endian. */
enum { VERSION = 1, HEAD_UNIT = 4096, SUM = 32 };
static const char magic[8] = {'l', 's', 's', 't', 'r', 'i', 'p', 's'};

typedef struct file_head {
    char     magic[8];
    uint32_t version, layout; /* of this format, and of the strips (LS_STRIPS_LAYOUT) */
    uint64_t head_bytes; /* where the image begins; the last 32 before it are the head's BLAKE3 */
    uint64_t image_bytes, n_items;
    uint8_t  model_head[32], model_files[32]; /* ls_gguf_identity */
    uint8_t  image_sum[SUM];                  /* BLAKE3 */
} file_head;
_Static_assert(sizeof(file_head) == 136, "as it is in files");

/* One for each matrix, behind the above. */
typedef struct file_item {
    uint64_t at, bytes, n_strips, n, dtype;
} file_item;
_Static_assert(sizeof(file_item) == 40, "as it is in files");

static file_item item_of(const ls_strip_item *it)
{
    return (file_item){it->at, it->bytes, it->n_strips, it->w->n, (uint64_t)ls_matrix_form(it->w)};
}

static void sum_head(uint8_t sum[SUM], const uint8_t *head, size_t bytes)
{
    ls_blake3 b;
    ls_blake3_init(&b);
    ls_blake3_update(&b, head, bytes - SUM);
    ls_blake3_final(&b, sum);
}

/* The head that this model's file has, but for both sums. Owned. */
static ls_status make_head(uint8_t **out, size_t *bytes, const ls_strip_plan *p,
                           const ls_gguf_identity *id, ls_error *err)
{
    size_t    need = sizeof(file_head) + p->n * sizeof(file_item) + SUM;
    file_head h = {.version = VERSION,
                   .layout = LS_STRIPS_LAYOUT,
                   .head_bytes = (need + HEAD_UNIT - 1) / HEAD_UNIT * HEAD_UNIT,
                   .image_bytes = p->bytes,
                   .n_items = p->n};
    *bytes = (size_t)h.head_bytes;
    memcpy(h.magic, magic, sizeof(magic));
    memcpy(h.model_head, id->head, sizeof(id->head));
    memcpy(h.model_files, id->files, sizeof(id->files));
    LS_TRY(ls_alloc(out, *bytes, 1, "the head of a file", err));
    memcpy(*out, &h, sizeof(h));
    for (size_t i = 0; i < p->n; i++) {
        file_item item = item_of(&p->items[i]);
        memcpy(*out + sizeof(h) + i * sizeof(item), &item, sizeof(item));
    }
    return LS_OK;
}

/* `path`, or that of the file beside the model. Owned. */
static ls_status path_of(char **out, const ls_model *m, const char *path, ls_error *err)
{
    const char *model = ls_gguf_path(m->gguf);
    size_t      cap = (path ? strlen(path) : strlen(model)) + sizeof(LS_PREPACKED_SUFFIX);
    LS_TRY(ls_alloc(out, cap, 1, "a file name", err));
    snprintf(*out, cap, "%s%s", path ? path : model, path ? "" : LS_PREPACKED_SUFFIX);
    return LS_OK;
}

/* ---- writing ---- */

/* A file that is changed again before the clock of the file system moves on keeps its time of
 * change. So whoever remembers that time has to read later than that. */
static void let_clock_move(const ls_gguf_identity *id)
{
    enum { TICK_NS = 20000000, COARSE_S = 2 }; /* some systems have even seconds */
    struct timespec now, pause = {0, TICK_NS};
    bool            coarse = id->changed_ns == 0;
    for (int i = 0; i < COARSE_S * (1000000000 / TICK_NS); i++) {
        int64_t s, ns;
        clock_gettime(CLOCK_REALTIME, &now);
        s = now.tv_sec - id->changed_s;
        ns = now.tv_nsec - id->changed_ns;
        if (s < 0 || s > COARSE_S ||
            s * 1000000000 + ns > (coarse ? COARSE_S * 1000000000LL : TICK_NS))
            return;
        nanosleep(&pause, NULL);
    }
}

typedef struct writer {
    ls_outfile           file;
    ls_pool             *pool;
    ls_pages             room; /* for one item */
    const ls_strip_item *item;
    ls_blake3            sum;
    size_t               done;
} writer;

static void pack(void *ctx, size_t begin, size_t end, int thread)
{
    writer *w = ctx;
    (void)thread;
    ls_matrix_to_strips(w->item->w, (uint8_t *)w->room.data + begin * ls_strip_bytes(w->item),
                        begin, end);
}

static void put(writer *w, const void *data, size_t n)
{
    ls_blake3_update(&w->sum, data, n);
    fwrite(data, 1, n, w->file.f); /* commit looks at errors */
    w->done += n;
}

static ls_status write_image(writer *w, const ls_model *m, const ls_strip_plan *p,
                             const ls_prepack_options *opt, ls_error *err)
{
    static const uint8_t zeros[64];
    enum { PART = 4 << 20 };
    for (size_t i = 0; i < p->n; i++) {
        const ls_strip_item *it = &p->items[i];
        if (opt->cancelled && *opt->cancelled) return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        w->item = it;
        ls_pool_run(w->pool, pack, w, it->n_strips, 4);
        ls_gguf_forget(m->gguf, it->w->data, ls_strips_source(it));
        for (size_t at = 0; at < it->bytes; at += PART) {
            size_t n = it->bytes - at < PART ? it->bytes - at : PART;
            put(w, (const uint8_t *)w->room.data + at, n);
            if (opt->progress) opt->progress(opt->progress_ctx, w->done, p->bytes);
        }
        put(w, zeros, (i + 1 < p->n ? p->items[i + 1].at : p->bytes) - w->done);
        if (ferror(w->file.f)) break;
    }
    return ferror(w->file.f) ? ls_outfile_commit(&w->file, err) : LS_OK;
}

static ls_status write_file(writer *w, ls_prepacked *out, const ls_model *m, const ls_strip_plan *p,
                            uint8_t *head, size_t head_bytes, const ls_prepack_options *opt,
                            ls_error *err)
{
    file_head h;
    fwrite(head, 1, head_bytes, w->file.f);
    LS_TRY(write_image(w, m, p, opt, err));
    memcpy(&h, head, sizeof(h));
    ls_blake3_final(&w->sum, h.image_sum);
    memcpy(head, &h, sizeof(h));
    sum_head(head + head_bytes - SUM, head, head_bytes);
    if (fseek(w->file.f, 0, SEEK_SET) == 0) fwrite(head, 1, head_bytes, w->file.f);
    LS_TRY(ls_outfile_commit(&w->file, err));
    if (out) {
        *out = (ls_prepacked){.n_matrices = p->n, .n_bytes = p->bytes};
        ls_hex(out->blake3, h.image_sum, SUM);
    }
    return LS_OK;
}

static ls_status write_plan(ls_prepacked *out, const ls_model *m, const ls_strip_plan *p,
                            const char *path, const ls_prepack_options *opt, ls_error *err)
{
    long             cores = sysconf(_SC_NPROCESSORS_ONLN);
    int              n_threads = opt->n_threads > 0 ? opt->n_threads : cores > 0 ? (int)cores : 1;
    writer           w = {.done = 0};
    ls_gguf_identity id;
    uint8_t         *head = NULL;
    size_t           head_bytes = 0, most = 0;
    ls_status        status;
    LS_TRY(ls_gguf_identify(&id, m->gguf, err));
    if (p->n == 0)
        return ls_fail(err, LS_ERR_UNSUPPORTED,
                       "no matrix of this model has a form that is faster to read than its own");
    let_clock_move(&id);
    ls_blake3_init(&w.sum);
    for (size_t i = 0; i < p->n; i++) most = p->items[i].bytes > most ? p->items[i].bytes : most;
    status = make_head(&head, &head_bytes, p, &id, err);
    if (status == LS_OK) status = ls_pages_alloc(&w.room, most, "a matrix", err);
    if (status == LS_OK) status = ls_pool_create(&w.pool, n_threads, err);
    if (status == LS_OK) status = ls_outfile_open(&w.file, path, err);
    if (status == LS_OK) status = write_file(&w, out, m, p, head, head_bytes, opt, err);
    ls_outfile_abort(&w.file);
    ls_pool_destroy(w.pool);
    ls_pages_free(&w.room);
    free(head);
    return status;
}

ls_status ls_model_prepack(ls_prepacked *out, ls_model *m, const char *path,
                           const ls_prepack_options *opt, ls_error *err)
{
    ls_prepack_options none = {0};
    ls_strip_plan      plan;
    char              *to = NULL;
    ls_status          status;
    LS_TRY(ls_strip_plan_make(&plan, m, err));
    status = path_of(&to, m, path, err);
    if (status == LS_OK) status = write_plan(out, m, &plan, to, opt ? opt : &none, err);
    free(to);
    ls_strip_plan_fini(&plan);
    return status;
}

/* ---- reading ---- */

static ls_status refuse(ls_error *err, const ls_model *m, const char *path, const char *why)
{
    ls_fail(err, LS_ERR_FORMAT, "'%s' %s", path, why);
    return ls_fail_hint(err, "`lockstep model prepack -m %s` writes it again",
                        ls_gguf_path(m->gguf));
}

/* Why a file is not that of this model; NULL: its head says that it is. */
static const char *find_fault(const ls_map *f, const ls_strip_plan *p, const uint8_t *head,
                              size_t head_bytes)
{
    const size_t items = sizeof(file_head), end = items + p->n * sizeof(file_item);
    file_head    got, want;
    uint8_t      sum[SUM];
    memcpy(&want, head, sizeof(want));
    if (f->size < sizeof(got)) return "is no file of prepacked weights: it is too short";
    memcpy(&got, f->data, sizeof(got));
    if (memcmp(got.magic, want.magic, sizeof(magic)) != 0) return "is no file of prepacked weights";
    if (got.version != VERSION) return "was written by another version of Lockstep";
    if (got.head_bytes < sizeof(got) + SUM || got.head_bytes > f->size)
        return "is damaged: it does not hold its own head";
    sum_head(sum, f->data, (size_t)got.head_bytes);
    if (memcmp(sum, f->data + got.head_bytes - SUM, SUM) != 0)
        return "is damaged: its head has another checksum than it says";
    if (memcmp(got.model_head, want.model_head, sizeof(got.model_head)) != 0)
        return "belongs to another model";
    if (memcmp(got.model_files, want.model_files, sizeof(got.model_files)) != 0)
        return "was made before the model's file was changed, copied or renamed";
    if (got.layout != want.layout || got.head_bytes != head_bytes || got.n_items != p->n ||
        got.image_bytes != want.image_bytes ||
        memcmp(f->data + items, head + items, end - items) != 0)
        return "has the weights in the order of another version of Lockstep or another processor";
    if (f->size != head_bytes + p->bytes) return "is not complete";
    return NULL;
}

/* Strip s of an item, packed anew, against the file. */
static bool agrees(const ls_strip_item *it, const uint8_t *image, uint8_t *room, size_t s)
{
    size_t bytes = ls_strip_bytes(it);
    ls_matrix_to_strips(it->w, room, s, s + 1);
    return memcmp(room, image + it->at + s * bytes, bytes) == 0;
}

/* Every strip of an item, or two: its last, and one that is another in each item. */
static bool item_agrees(const ls_model *m, const ls_strip_plan *p, size_t i, const uint8_t *image,
                        uint8_t *room, bool all)
{
    const ls_strip_item *it = &p->items[i];
    size_t               source = ls_strip_source(it), n = all ? it->n_strips : 2;
    bool                 same = true;
    for (size_t k = 0; k < n && same; k++) {
        size_t s = all ? k : k == 0 ? it->n_strips - 1 : i * 2654435761u % it->n_strips;
        same = agrees(it, image, room, s);
        if (all) ls_gguf_forget(m->gguf, (const uint8_t *)it->w->data + s * source, source);
    }
    ls_gguf_forget(m->gguf, it->w->data, ls_strips_source(it));
    return same;
}

static ls_status compare_rows(const ls_model *m, const ls_strip_plan *p, const uint8_t *image,
                              const char *path, bool all, ls_error *err)
{
    size_t   most = 0, i = 0;
    uint8_t *room;
    for (size_t k = 0; k < p->n; k++)
        most = ls_strip_bytes(&p->items[k]) > most ? ls_strip_bytes(&p->items[k]) : most;
    LS_TRY(ls_alloc_aligned(&room, most, 1, "some rows", err));
    while (i < p->n && item_agrees(m, p, i, image, room, all)) i++;
    free(room);
    return i == p->n ? LS_OK : refuse(err, m, path, "holds other weights than the model");
}

static ls_status check_sum(ls_prepacked *out, const ls_model *m, const ls_map *f, const char *path,
                           ls_error *err)
{
    file_head h;
    ls_blake3 b;
    uint8_t   sum[SUM];
    memcpy(&h, f->data, sizeof(h));
    ls_blake3_init(&b);
    ls_blake3_update(&b, f->data + h.head_bytes, (size_t)h.image_bytes);
    ls_blake3_final(&b, sum);
    ls_map_forget(f, f->data, f->size);
    if (out) {
        *out = (ls_prepacked){.n_matrices = (size_t)h.n_items, .n_bytes = h.image_bytes};
        ls_hex(out->blake3, sum, SUM);
    }
    if (memcmp(sum, h.image_sum, SUM) == 0) return LS_OK;
    return refuse(err, m, path, "is damaged: its weights have another checksum than it says");
}

/* *f is open on success. */
static ls_status open_checked(ls_map *f, size_t *head_bytes, const ls_model *m,
                              const ls_strip_plan *p, const char *path, ls_error *err)
{
    ls_gguf_identity id;
    uint8_t         *head;
    const char      *why;
    LS_TRY(ls_gguf_identify(&id, m->gguf, err));
    LS_TRY(ls_map_open(f, path, err));
    if (make_head(&head, head_bytes, p, &id, err) != LS_OK) {
        ls_map_close(f);
        return LS_ERR_NOMEM;
    }
    why = find_fault(f, p, head, *head_bytes);
    free(head);
    if (!why) return LS_OK;
    ls_map_close(f);
    return refuse(err, m, path, why);
}

/* `out` is for who wants every byte compared, and nothing is kept then. */
static ls_status read_file(ls_prepacked *out, ls_model *m, const char *path, bool verify,
                           ls_error *err)
{
    ls_strip_plan p;
    ls_map        f = {0};
    size_t        at = 0;
    ls_status     status;
    LS_TRY(ls_strip_plan_make(&p, m, err));
    status = open_checked(&f, &at, m, &p, path, err);
    if (status == LS_OK && verify) status = check_sum(out, m, &f, path, err);
    if (status == LS_OK) status = compare_rows(m, &p, f.data + at, path, verify, err);
    if (status == LS_OK && !verify) {
        ls_strip_plan_use(&p, (uint8_t *)(uintptr_t)f.data + at, p.bytes);
        m->prepacked = f;
        f = (ls_map){0};
    }
    ls_map_close(&f);
    ls_strip_plan_fini(&p);
    return status;
}

static ls_status with_path(ls_prepacked *out, ls_model *m, const char *path, bool verify,
                           bool *found, ls_error *err)
{
    char     *from;
    ls_status status = LS_OK;
    LS_TRY(path_of(&from, m, path, err));
    *found = path || access(from, F_OK) == 0 || errno != ENOENT;
    if (*found && !path && ls_gguf_get_source(m->gguf) != LS_SOURCE_GGUF) *found = false;
    if (*found) status = read_file(out, m, from, verify, err);
    if (status != LS_OK) *found = false;
    free(from);
    return status;
}

ls_status ls_model_use_prepacked(ls_model *m, const char *path, bool *used, ls_error *err)
{
    *used = m->strips.data || m->prepacked.data;
    return *used ? LS_OK : with_path(NULL, m, path, false, used, err);
}

ls_status ls_model_verify_prepacked(ls_prepacked *out, ls_model *m, const char *path, bool *found,
                                    ls_error *err)
{
    return with_path(out, m, path, true, found, err);
}
