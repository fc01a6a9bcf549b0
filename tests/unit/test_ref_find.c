// SPDX-License-Identifier: MIT
/* test_ref_find.c - which reference is found where: one row per situation, each played out in a
 * temporary folder. In every path "@" stands for that folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/proc.h"
#include "engine/ref_layout.h"
#include "engine/refs.h"
#include "lockstep/engine.h"

static char root[64];

/* "@" becomes the temporary folder. A ring of buffers, so that several can be in one call. */
static const char *at(const char *path)
{
    static char ring[8][1024];
    static int  next;
    char       *out = ring[next++ % 8];
    size_t      n = 0;
    if (!path) return NULL;
    for (; *path && n < 900; path++) {
        if (*path == '@')
            n += (size_t)sprintf(out + n, "%s", root);
        else
            out[n++] = *path;
    }
    out[n] = '\0';
    return out;
}

static void put(const char *path, const char *text, mode_t mode)
{
    char  full[1024];
    FILE *f;
    snprintf(full, sizeof(full), "%s", at(path));
    for (char *p = strchr(full + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(full, 0777);
        *p = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(full, mode);
}

static void clear(void)
{
    const char *const argv[] = {"rm", "-rf", root, NULL};
    ls_proc_options   opt = {.argv = argv};
    int               code;
    assert_int_equal(ls_proc_run(&opt, 20, &code, NULL, 0, NULL), LS_OK);
    mkdir(root, 0777);
}

/* An engine folder with everything, for `engine`; its library is outside of it. */
static void put_engine(const char *folder, const char *engine, const char *protocol)
{
    char path[512], text[2048];
    put("@/opt/libllama.so", "", 0644);
    put("@/opt/llama.h", "", 0644);
    snprintf(path, sizeof(path), "%s/lockstep-ref-%s", folder, engine);
    put(path, "#!/bin/sh\n", 0755);
    snprintf(path, sizeof(path), "%s/engine.manifest", folder);
    snprintf(text, sizeof(text),
             "protocol %s\nengine %s\nversion v9\nlib_dir %s\nlibrary %s\nheader %s\ncomment x\n",
             protocol, engine, at("@/opt"), at("@/opt/libllama.so"), at("@/opt/llama.h"));
    put(path, text, 0644);
}

/* What there is, as words: each word of `world` makes something. */
static void build(const char *world)
{
    char words[512], *save = NULL;
    snprintf(words, sizeof(words), "%s", world);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (!strcmp(w, "cache-llama"))
            put_engine("@/cache/engines/llama", "llama", "5");
        else if (!strcmp(w, "cache-pinned"))
            put_engine("@/cache/engines/" LS_REF_PINNED, "llama", "5");
        else if (!strcmp(w, "cache-bitnet"))
            put_engine("@/cache/engines/bitnet", "bitnet", "5");
        else if (!strcmp(w, "cache-old"))
            put_engine("@/cache/engines/llama", "llama", "0");
        else if (!strcmp(w, "engine-llama"))
            put_engine("@/mine", "llama", "5");
        else if (!strcmp(w, "-library"))
            unlink(at("@/opt/libllama.so"));
        else if (!strcmp(w, "-adapter"))
            unlink(at("@/cache/engines/llama/lockstep-ref-llama"));
        else
            put(w, "", 0644);
    }
}

#define CHECKOUT                                                                                   \
    "@/src/build/bin/libllama.so @/src/build/bin/libggml.so @/src/include/llama.h "                \
    "@/src/ggml/include/ggml.h "
#define BITNET                                                                                     \
    "@/bit/build/3rdparty/llama.cpp/src/libllama.so "                                              \
    "@/bit/build/3rdparty/llama.cpp/ggml/src/libggml.so "                                          \
    "@/bit/3rdparty/llama.cpp/include/llama.h "                                                    \
    "@/bit/3rdparty/llama.cpp/ggml/include/ggml.h "
#define HOME_BITNET                                                                                \
    "@/home/.cache/bitnet_cpp/build/lib/libllama.so "                                              \
    "@/home/.cache/bitnet_cpp/include/llama.h @/home/.cache/bitnet_cpp/include/ggml.h "

static const struct row {
    const char  *name;
    const char  *world;
    ls_ref_kind  kind;
    ls_ref_dirs  dirs; /* cache_dir and home are always set */
    ls_ref_state state;
    const char  *source, *missing, *fix; /* source whole, the others in part; NULL: empty */
} rows[] = {
    {"nothing for llama",
     "",
     LS_REF_LLAMA,
     {0},
     LS_REF_ABSENT,
     NULL,
     "llama.cpp is not installed",
     "lockstep engine setup llama"},
    {"nothing for bitnet",
     "",
     LS_REF_BITNET,
     {0},
     LS_REF_ABSENT,
     NULL,
     "builds no libbitnet",
     "lockstep engine setup bitnet --dir"},
    {"the cache", "cache-llama", LS_REF_LLAMA, {0}, LS_REF_READY, "cache", NULL, NULL},
    {"the pinned build, its link lost",
     "cache-pinned",
     LS_REF_LLAMA,
     {0},
     LS_REF_READY,
     "cache",
     NULL,
     NULL},
    {"an engine of the other kind",
     "cache-llama",
     LS_REF_BITNET,
     {0},
     LS_REF_ABSENT,
     NULL,
     "no build of bitnet.cpp",
     "setup bitnet"},
    {"the cache for bitnet", "cache-bitnet", LS_REF_BITNET, {0}, LS_REF_READY, "cache", NULL, NULL},
    {"a library is gone",
     "cache-llama -library",
     LS_REF_LLAMA,
     {0},
     LS_REF_INCOMPLETE,
     "cache",
     "@/opt/libllama.so' is gone",
     "lockstep engine setup llama --force"},
    {"the adapter is gone",
     "cache-llama -adapter",
     LS_REF_LLAMA,
     {0},
     LS_REF_INCOMPLETE,
     "cache",
     "lockstep-ref-llama' is gone",
     "lockstep engine setup llama --force"},
    {"an adapter of an older protocol",
     "cache-old",
     LS_REF_LLAMA,
     {0},
     LS_REF_UNBUILT,
     "cache",
     "another version of Lockstep",
     "lockstep engine setup llama"},
    {"a checkout without adapter",
     CHECKOUT,
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/src"},
     LS_REF_UNBUILT,
     "LLAMA_CPP_DIR",
     "not compiled yet",
     "lockstep engine setup llama --dir '@/src'"},
    {"the checkout that was asked for, not the cache",
     CHECKOUT "cache-llama",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/src"},
     LS_REF_UNBUILT,
     "LLAMA_CPP_DIR",
     "not compiled yet",
     "--dir '@/src'"},
    {"LLAMA_CPP_DIR is not for bitnet",
     CHECKOUT,
     LS_REF_BITNET,
     {.llama_cpp_dir = "@/src"},
     LS_REF_ABSENT,
     NULL,
     "no build of bitnet.cpp",
     "setup bitnet"},
    {"a named folder with nothing is passed over, with a note",
     "cache-llama @/empty/x",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/empty"},
     LS_REF_READY,
     "cache",
     "LLAMA_CPP_DIR is set, but '@/empty' holds no libllama.so",
     NULL},
    {"a named folder that is not there",
     "",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/gone"},
     LS_REF_ABSENT,
     NULL,
     "LLAMA_CPP_DIR is set, but the folder '@/gone' is not there",
     "setup llama"},
    {"an empty variable is an unset one",
     "cache-llama",
     LS_REF_LLAMA,
     {.llama_cpp_dir = ""},
     LS_REF_READY,
     "cache",
     NULL,
     NULL},
    {"BITNET_CROSSVAL_LIBDIR is exclusive",
     CHECKOUT "cache-llama @/empty/x",
     LS_REF_LLAMA,
     {.crossval_libdir = "@/empty", .llama_cpp_dir = "@/src"},
     LS_REF_ABSENT,
     "BITNET_CROSSVAL_LIBDIR",
     "BITNET_CROSSVAL_LIBDIR is set, but '@/empty' holds no libllama.so",
     "unset BITNET_CROSSVAL_LIBDIR"},
    {"libraries alone, headers up the tree",
     CHECKOUT,
     LS_REF_LLAMA,
     {.crossval_libdir = "@/src/build/bin"},
     LS_REF_UNBUILT,
     "BITNET_CROSSVAL_LIBDIR",
     "not compiled yet",
     "--dir '@/src/build/bin'"},
    {"libraries without headers",
     "@/lib/libllama.so",
     LS_REF_LLAMA,
     {.crossval_libdir = "@/lib"},
     LS_REF_INCOMPLETE,
     "BITNET_CROSSVAL_LIBDIR",
     "headers llama.h and ggml.h",
     "--dir '@/lib'"},
    {"a static build",
     "@/src/build/src/libllama.a",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/src"},
     LS_REF_INCOMPLETE,
     "LLAMA_CPP_DIR",
     "-DBUILD_SHARED_LIBS=ON",
     "--dir '@/src'"},
    {"libllama-common is no libllama",
     "@/src/libllama-common.so",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/src"},
     LS_REF_ABSENT,
     NULL,
     "holds no libllama.so",
     "setup llama"},
    {"a versioned library",
     "@/src/libllama.v0.5.0.so @/src/llama.h @/src/ggml.h",
     LS_REF_LLAMA,
     {.llama_cpp_dir = "@/src"},
     LS_REF_UNBUILT,
     "LLAMA_CPP_DIR",
     "not compiled yet",
     "--dir '@/src'"},
    {"an engine folder by name",
     "engine-llama",
     LS_REF_LLAMA,
     {.crossval_libdir = "@/mine"},
     LS_REF_READY,
     "BITNET_CROSSVAL_LIBDIR",
     NULL,
     NULL},
    {"bitnet.cpp's layout",
     BITNET,
     LS_REF_BITNET,
     {.bitnet_cpp_dir = "@/bit"},
     LS_REF_UNBUILT,
     "BITNET_CPP_DIR",
     "not compiled yet",
     "lockstep engine setup bitnet --dir '@/bit'"},
    {"BITNET_CPP_PATH comes after BITNET_CPP_DIR",
     BITNET,
     LS_REF_BITNET,
     {.bitnet_cpp_dir = "@/gone", .bitnet_cpp_path = "@/bit"},
     LS_REF_UNBUILT,
     "BITNET_CPP_PATH",
     "not compiled yet",
     "--dir '@/bit'"},
    {"the cache comes before the home folder",
     HOME_BITNET "cache-bitnet",
     LS_REF_BITNET,
     {0},
     LS_REF_READY,
     "cache",
     NULL,
     NULL},
    {"the home folder",
     HOME_BITNET,
     LS_REF_BITNET,
     {0},
     LS_REF_UNBUILT,
     "~/.cache/bitnet_cpp",
     "not compiled yet",
     "--dir '@/home/.cache/bitnet_cpp'"},
    {"CROSSVAL_RPATH_LLAMA, the second folder",
     CHECKOUT,
     LS_REF_LLAMA,
     {.rpath = {[LS_REF_LLAMA] = "@/gone:@/src/build/bin"}},
     LS_REF_UNBUILT,
     "CROSSVAL_RPATH_LLAMA",
     "not compiled yet",
     "--dir '@/src/build/bin'"},
};

static void assert_part(const char *row, const char *text, const char *part)
{
    if (part ? strstr(text, at(part)) == NULL : text[0] != '\0') {
        fail_msg("%s: '%s' where '%s' was expected", row, text, part ? at(part) : "");
    }
}

static void finds_what_is_there_and_says_what_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        ls_ref_dirs       d = r->dirs;
        ls_ref_status     s;
        char              copy[8][600] = {{0}};
        const char      **paths[] = {
                 &d.crossval_libdir, &d.bitnet_cpp_dir, &d.bitnet_cpp_path, &d.llama_cpp_dir,
                 &d.rpath[0],        &d.rpath[1],       &d.cache_dir,       &d.home};
        d.cache_dir = "@/cache";
        d.home = "@/home";
        clear();
        build(r->world);
        for (size_t k = 0; k < 8; k++) {
            if (!*paths[k]) continue;
            snprintf(copy[k], sizeof(copy[k]), "%s", at(*paths[k]));
            *paths[k] = copy[k];
        }
        ls_ref_find(&s, r->kind, &d);
        if (s.state != r->state || s.kind != r->kind) {
            fail_msg("%s: state %d, not %d: %s", r->name, (int)s.state, (int)r->state, s.missing);
        }
        if (strcmp(s.source, r->source ? r->source : "") != 0)
            fail_msg("%s: %s", r->name, s.source);
        assert_part(r->name, s.missing, r->missing);
        assert_part(r->name, s.fix, r->fix);
        assert_int_equal(s.exe[0] != '\0', s.state == LS_REF_READY);
        if (s.state == LS_REF_READY) assert_string_equal(s.version, "v9");
    }
}

static void survives_folders_and_manifests_of_nonsense(void **state)
{
    ls_ref_dirs   d = {0};
    ls_ref_status s;
    char          text[6000], path[600];
    (void)state;
    ls_ref_find(&s, LS_REF_LLAMA, &d); /* nothing at all is known */
    assert_int_equal(s.state, LS_REF_ABSENT);
    clear();
    snprintf(path, sizeof(path), "%s/cache", root);
    d.cache_dir = path;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    put("@/cache/engines/llama/engine.manifest", text, 0644);
    ls_ref_find(&s, LS_REF_LLAMA, &d);
    assert_int_equal(s.state, LS_REF_ABSENT);
    memcpy(text, "engine llama\nlib_dir ", 21); /* a path longer than any field */
    put("@/cache/engines/llama/engine.manifest", text, 0644);
    ls_ref_find(&s, LS_REF_LLAMA, &d);
    assert_int_not_equal(s.state, LS_REF_READY);
    d.llama_cpp_dir = text + 2000;
    ls_ref_find(&s, LS_REF_LLAMA, &d);
    assert_int_not_equal(s.state, LS_REF_READY);
    text[0] = '\0'; /* more libraries than fit */
    strcat(text, "protocol 5\nengine llama\n");
    for (int i = 0; i < 40; i++) strcat(text, "library a.so\n");
    put("@/cache/engines/llama/engine.manifest", text, 0644);
    d.llama_cpp_dir = NULL;
    ls_ref_find(&s, LS_REF_LLAMA, &d);
    assert_int_equal(s.state, LS_REF_ABSENT);
}

static void orders_libraries_by_their_dependencies(void **state)
{
    ls_ref_layout l;
    (void)state;
    clear();
    build("@/x/build/bin/libllama.so @/x/build/bin/libggml.so @/x/build/bin/libggml-base.so "
          "@/x/build/bin/libggml-cpu-haswell.so @/x/include/llama.h @/x/ggml/include/ggml.h");
    assert_int_equal(ls_ref_layout_find(&l, at("@/x")), LS_REF_FOUND_ALL);
    assert_int_equal(l.n_libraries, 3);
    assert_string_equal(l.libraries[0], at("@/x/build/bin/libggml-base.so"));
    assert_string_equal(l.libraries[1], at("@/x/build/bin/libggml.so"));
    assert_string_equal(l.libraries[2], at("@/x/build/bin/libllama.so"));
    assert_string_equal(l.lib_dir, at("@/x/build/bin"));
}

static void knows_the_kinds_and_which_one_a_model_is_for(void **state)
{
    ls_ref_kind kind = LS_REF_LLAMA;
    (void)state;
    assert_string_equal(ls_ref_name(LS_REF_BITNET), "bitnet");
    assert_string_equal(ls_ref_display_name(LS_REF_LLAMA), "llama.cpp");
    assert_true(ls_ref_parse("bitnet", &kind));
    assert_int_equal(kind, LS_REF_BITNET);
    assert_false(ls_ref_parse("Bitnet", &kind));
    assert_false(ls_ref_parse(NULL, &kind));
    assert_int_equal(ls_ref_for_model("/models/Microsoft-BITNET-b1.58/ggml.gguf"), LS_REF_BITNET);
    assert_int_equal(ls_ref_for_model("/models/llama-3.gguf"), LS_REF_LLAMA);
    assert_int_equal(ls_ref_for_model("/models/bit-net.gguf"), LS_REF_LLAMA);
    assert_int_equal(ls_ref_for_model("/models/bbitnet"), LS_REF_BITNET);
    assert_int_equal(ls_ref_for_model("bitne"), LS_REF_LLAMA);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), P_tmpdir "/lockstep-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    clear();
    return rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there_and_says_what_is_missing),
        cmocka_unit_test(survives_folders_and_manifests_of_nonsense),
        cmocka_unit_test(orders_libraries_by_their_dependencies),
        cmocka_unit_test(knows_the_kinds_and_which_one_a_model_is_for),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
