// SPDX-License-Identifier: MIT
/* test_base.c - errors, checked sizes, allocation, files read and files written, SHA-2.
 *
 * The digests are the examples of FIPS 180-2, appendices B.1, B.2 and C.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "lockstep/hash.h"

/* A scratch folder per test. */
static int make_scratch(void **state)
{
    char *dir = strdup("/tmp/lockstep-base-XXXXXX");
    if (!dir || !mkdtemp(dir)) return -1;
    *state = dir;
    return 0;
}

static int remove_scratch(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command) == 0 ? 0 : -1;
}

static void put_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void expect_content(const char *path, const char *text)
{
    char  *data = NULL;
    size_t len = 0;
    assert_int_equal(ls_read_file(&data, &len, path, NULL), LS_OK);
    assert_string_equal(data, text);
    assert_int_equal(len, strlen(text));
    free(data);
}

/* ---- errors ---- */

static void keeps_the_innermost_sentence(void **state)
{
    ls_error err = {0};
    (void)state;
    assert_int_equal(ls_fail(&err, LS_ERR_FORMAT, "expected %d, found %d", 1, 2), LS_ERR_FORMAT);
    assert_int_equal(ls_fail(&err, LS_ERR_USAGE, "later"), LS_ERR_USAGE);
    assert_int_equal(ls_fail_at(&err, "file.gguf: byte %d", 8), LS_ERR_FORMAT);
    ls_fail_at(&err, "elsewhere");
    ls_fail_hint(&err, "download it again");
    ls_fail_hint(&err, "never mind");
    assert_int_equal(err.status, LS_ERR_FORMAT);
    assert_string_equal(err.what, "expected 1, found 2");
    assert_string_equal(err.where, "file.gguf: byte 8");
    assert_string_equal(err.hint, "download it again");
    ls_error_clear(&err);
    assert_int_equal(err.status, LS_OK);
    assert_string_equal(err.where, "");
}

static void places_no_error_where_none_is_recorded(void **state)
{
    ls_error err = {0};
    (void)state;
    assert_int_equal(ls_fail_at(&err, "somewhere"), LS_OK);
    assert_string_equal(err.where, "");
    assert_int_equal(ls_fail_at(NULL, "somewhere"), LS_ERR_INTERNAL);
    assert_int_equal(ls_fail(NULL, LS_ERR_LIMIT, "text nobody wants"), LS_ERR_LIMIT);
}

static void cuts_a_long_sentence_instead_of_overflowing(void **state)
{
    ls_error err = {0};
    char     text[2000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ls_fail_errno(&err, EACCES, "%s", text);
    ls_fail_at(&err, "%s", text);
    assert_int_equal(strlen(err.what), sizeof(err.what) - 1);
    assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
    assert_int_equal(err.sys_errno, EACCES);
}

static void maps_every_status_to_its_exit_code(void **state)
{
    /* The table of README.md, typed again from the contract. */
    static const struct {
        ls_status   status;
        int         code;
        const char *name;
    } rows[] = {
        {LS_OK, 0, "ok"},
        {LS_ERR_REFERENCE, 3, "reference"},
        {LS_ERR_TEMPLATE, 4, "template"},
        {LS_ERR_IO, 5, "io"},
        {LS_ERR_FORMAT, 5, "format"},
        {LS_ERR_UNSUPPORTED, 5, "unsupported"},
        {LS_ERR_LIMIT, 6, "limit"},
        {LS_ERR_NOMEM, 6, "memory"},
        {LS_ERR_USAGE, 64, "usage"},
        {LS_ERR_INTERNAL, 70, "internal"},
        {LS_ERR_CANCELLED, 130, "cancelled"},
    };
    ls_error full = {.status = LS_ERR_IO, .sys_errno = ENOSPC};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ls_exit_code(rows[i].status, NULL), rows[i].code);
        assert_string_equal(ls_status_name(rows[i].status), rows[i].name);
    }
    assert_int_equal(ls_exit_code(LS_ERR_IO, &full), 6); /* a full disk is a limit */
    assert_int_equal(ls_exit_code((ls_status)99, NULL), 70);
}

/* ---- memory ---- */

static void refuses_sizes_that_overflow(void **state)
{
    size_t   out = 7;
    void    *p = &out;
    ls_error err = {0};
    (void)state;
    assert_false(ls_mul_size(SIZE_MAX / 2, 3, &out));
    assert_false(ls_add_size(SIZE_MAX, 1, &out));
    assert_true(ls_mul_size(6, 7, &out));
    assert_int_equal(out, 42);
    assert_int_equal(ls_alloc_aligned(&p, SIZE_MAX / 4, 8, "a test", &err), LS_ERR_NOMEM);
    assert_null(p);
    assert_non_null(strstr(err.what, "a test"));
}

static void allocates_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n += 37) {
        unsigned char *p = NULL;
        assert_int_equal(ls_alloc_aligned(&p, n, 1, "a test", NULL), LS_OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        free(p);
    }
}

static void grows_an_array_and_keeps_its_content(void **state)
{
    int   *a = NULL;
    size_t cap = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ls_grow(&a, &cap, (size_t)i + 1, sizeof(*a), "a test", NULL), LS_OK);
        assert_true(cap > (size_t)i);
        a[i] = i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(a[i], i);
    assert_int_equal(ls_grow(&a, &cap, SIZE_MAX / 2, sizeof(*a), "a test", NULL), LS_ERR_NOMEM);
    assert_int_equal(a[999], 999); /* still owned by the caller */
    free(a);
}

/* ---- files ---- */

static void reads_and_maps_the_same_bytes(void **state)
{
    char   path[256];
    ls_map m;
    snprintf(path, sizeof(path), "%s/f", (char *)*state);
    put_file(path, "some bytes", 10);
    assert_int_equal(ls_map_open(&m, path, NULL), LS_OK);
    assert_int_equal(m.size, 10);
    assert_memory_equal(m.data, "some bytes", 10);
    ls_map_close(&m);
    ls_map_close(&m); /* closing twice is harmless */
    expect_content(path, "some bytes");
}

static void maps_an_empty_file_as_no_bytes(void **state)
{
    char   path[256];
    ls_map m;
    snprintf(path, sizeof(path), "%s/empty", (char *)*state);
    put_file(path, "", 0);
    assert_int_equal(ls_map_open(&m, path, NULL), LS_OK);
    assert_int_equal(m.size, 0);
    assert_null(m.data);
    ls_map_close(&m);
    expect_content(path, "");
}

static void names_the_file_it_cannot_open(void **state)
{
    char     path[256];
    ls_map   m;
    ls_error err = {0};
    char    *data = (char *)*state;
    size_t   len;
    snprintf(path, sizeof(path), "%s/missing", (char *)*state);
    assert_int_equal(ls_map_open(&m, path, &err), LS_ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_non_null(strstr(err.what, path));
    assert_non_null(strstr(err.what, "No such file"));
    assert_null(m.data);
    ls_error_clear(&err);
    assert_int_equal(ls_read_file(&data, &len, *state, &err), LS_ERR_IO);
    assert_int_equal(err.sys_errno, EISDIR);
    assert_null(data);
    ls_error_clear(&err);
    assert_int_equal(ls_map_open(&m, "/dev/null", &err), LS_ERR_IO);
    assert_non_null(strstr(err.what, "not a regular file"));
}

/* ---- files written ---- */

static void replaces_a_file_only_on_commit(void **state)
{
    char       path[256];
    ls_outfile o;
    snprintf(path, sizeof(path), "%s/out", (char *)*state);
    put_file(path, "old", 3);
    assert_int_equal(ls_outfile_open(&o, path, NULL), LS_OK);
    fputs("new", o.f);
    expect_content(path, "old");
    assert_int_equal(ls_outfile_commit(&o, NULL), LS_OK);
    expect_content(path, "new");
    ls_outfile_abort(&o); /* safe after commit */
    expect_content(path, "new");
}

static void leaves_nothing_behind_when_it_gives_up(void **state)
{
    char       path[256];
    ls_outfile o;
    snprintf(path, sizeof(path), "%s/out", (char *)*state);
    assert_int_equal(ls_outfile_open(&o, path, NULL), LS_OK);
    fputs("half", o.f);
    ls_outfile_abort(&o);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(*state), 0); /* the folder is empty again */
    assert_int_equal(mkdir(*state, 0700), 0);
}

static void reports_a_full_device(void **state)
{
    char       path[256];
    ls_outfile o;
    ls_error   err = {0};
    FILE      *full = fopen("/dev/full", "wb");
    snprintf(path, sizeof(path), "%s/out", (char *)*state);
    if (!full) {
        print_message("SKIP: no /dev/full here\n");
        skip();
    }
    put_file(path, "old", 3);
    assert_int_equal(ls_outfile_open(&o, path, NULL), LS_OK);
    fclose(o.f);
    o.f = full; /* every write to it fails as on a full disk */
    fputs("new", o.f);
    assert_int_equal(ls_outfile_commit(&o, &err), LS_ERR_IO);
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_int_equal(ls_exit_code(LS_ERR_IO, &err), 6);
    expect_content(path, "old");
}

static void refuses_a_folder_that_does_not_exist(void **state)
{
    char       path[256];
    ls_outfile o;
    ls_error   err = {0};
    snprintf(path, sizeof(path), "%s/none/out", (char *)*state);
    assert_int_equal(ls_outfile_open(&o, path, &err), LS_ERR_IO);
    assert_int_equal(err.sys_errno, ENOENT);
    ls_outfile_abort(&o);
}

/* ---- hashes and time ---- */

static void hash_text(char *hex, ls_hash_kind kind, const char *text)
{
    ls_hash *h = NULL;
    uint8_t  digest[LS_HASH_MAX];
    assert_int_equal(ls_hash_create(&h, kind, NULL), LS_OK);
    for (const char *p = text; *p; p++) ls_hash_update(h, p, 1);
    ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
}

static void hashes_as_fips_180_2_says(void **state)
{
    char hex[2 * LS_HASH_MAX + 1], path[256];
    hash_text(hex, LS_SHA256, "abc");
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_text(hex, LS_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    hash_text(hex, LS_SHA512, "abc");
    assert_string_equal(hex, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    snprintf(path, sizeof(path), "%s/abc", (char *)*state);
    put_file(path, "abc", 3);
    assert_int_equal(ls_hash_file(hex, sizeof(hex), LS_SHA256, path, NULL), LS_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(ls_hash_file(hex, sizeof(hex), LS_SHA256, "/nonexistent", NULL), LS_ERR_IO);
    assert_string_equal(hex, "");
}

static void time_does_not_run_backwards(void **state)
{
    uint64_t before = ls_now_ns();
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = ls_now_ns();
        assert_true(now >= before);
        before = now;
    }
}

#define WITH_SCRATCH(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_innermost_sentence),
        cmocka_unit_test(places_no_error_where_none_is_recorded),
        cmocka_unit_test(cuts_a_long_sentence_instead_of_overflowing),
        cmocka_unit_test(maps_every_status_to_its_exit_code),
        cmocka_unit_test(refuses_sizes_that_overflow),
        cmocka_unit_test(allocates_zeroed_and_aligned),
        cmocka_unit_test(grows_an_array_and_keeps_its_content),
        WITH_SCRATCH(reads_and_maps_the_same_bytes),
        WITH_SCRATCH(maps_an_empty_file_as_no_bytes),
        WITH_SCRATCH(names_the_file_it_cannot_open),
        WITH_SCRATCH(replaces_a_file_only_on_commit),
        WITH_SCRATCH(leaves_nothing_behind_when_it_gives_up),
        WITH_SCRATCH(reports_a_full_device),
        WITH_SCRATCH(refuses_a_folder_that_does_not_exist),
        WITH_SCRATCH(hashes_as_fips_180_2_says),
        cmocka_unit_test(time_does_not_run_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
