// SPDX-License-Identifier: MIT
/* test_tokenizer.c - ids and bytes against those of llama.cpp (tests/golden/tokenizer), and what
 * the options and look-ups promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"
#include "text/unicode.h"

#define GOLDEN LS_SOURCE_DIR "/tests/golden/tokenizer/"
#define MODELS LS_SOURCE_DIR "/models/"

typedef struct vocabulary {
    ls_gguf      *g;
    ls_tokenizer *t;
} vocabulary;

static vocabulary open_model(const char *path)
{
    vocabulary v;
    ls_error   err = {0};
    if (ls_gguf_open(&v.g, path, &err) != LS_OK || ls_tokenizer_create(&v.t, v.g, &err) != LS_OK) {
        fail_msg("%s: %s", path, err.what);
    }
    return v;
}

static void close_model(vocabulary *v)
{
    ls_tokenizer_destroy(v->t);
    ls_gguf_close(v->g);
}

/* ---- golden lines ---- */

/* Undo \xNN and \\ in place; returns the length. */
static size_t unescape(char *s)
{
    size_t n = 0;
    for (size_t i = 0; s[i];) {
        if (s[i] != '\\') {
            s[n++] = s[i++];
        } else if (s[i + 1] == 'x') {
            const char hex[3] = {s[i + 2], s[i + 3], '\0'};
            s[n++] = (char)strtoul(hex, NULL, 16);
            i += 4;
        } else {
            s[n++] = '\\';
            i += 2;
        }
    }
    return n;
}

static bool same_ids(const ls_tokenizer *t, char *const field[4])
{
    size_t len = unescape(field[2]);
    bool   bos = strchr(field[1], 'b') != NULL, special = strchr(field[1], 's') != NULL, ok;
    char  *ids = text_ids(t, field[2], len, bos ? LS_BOS_AUTO : LS_BOS_NO, special);
    ok = ids && strcmp(ids, field[3]) == 0;
    if (!ok) print_message("'%s': %s, not %s\n", field[2], ids, field[3]);
    free(ids);
    return ok;
}

static bool same_piece(const ls_tokenizer *t, char *const field[4])
{
    char   buf[512];
    size_t len = unescape(field[3]);
    size_t n = ls_tokenizer_piece(t, atoi(field[1]), field[2][0] == 's', buf, sizeof(buf));
    return n == len && memcmp(buf, field[3], n) == 0;
}

static bool same_special_ids(const ls_tokenizer *t, char *const field[4])
{
    char   line[256];
    size_t n = (size_t)snprintf(line, sizeof(line), "%d %d %d", (int)ls_tokenizer_bos(t),
                                (int)ls_tokenizer_eos(t), (int)ls_tokenizer_eot(t));
    for (int32_t id = 0; id < ls_tokenizer_n_vocab(t); id++) {
        if (!ls_tokenizer_is_end(t, id)) continue;
        n += (size_t)snprintf(line + n, sizeof(line) - n, " %d", (int)id);
    }
    return strcmp(line, field[1]) == 0;
}

static bool same_corpus(const ls_tokenizer *t, char *const field[4])
{
    const ls_encode_options o = {LS_BOS_AUTO, true};
    char                    path[512];
    uint64_t                h = 0xcbf29ce484222325u;
    size_t                  len, n;
    uint8_t                *text;
    int32_t                *ids;
    snprintf(path, sizeof(path), "%s/corpus/christmas-carol.txt", text_shared());
    if (access(path, R_OK) != 0) {
        print_message("not compared, since it is not there: %s\n", path);
        return true;
    }
    text = file_read(path, &len);
    assert_int_equal(ls_tokenizer_encode(t, (char *)text, len, &o, &ids, &n, NULL), LS_OK);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 32; k += 8) {
            h = (h ^ ((uint32_t)ids[i] >> k & 0xff)) * 0x100000001b3u;
        }
    }
    free(ids);
    free(text);
    return n == strtoul(field[1], NULL, 10) && h == strtoull(field[2], NULL, 16);
}

/* Whether a golden line holds. It is taken apart in place. */
static bool holds(const ls_tokenizer *t, char *line)
{
    char *field[4] = {line, NULL, NULL, NULL};
    for (size_t i = 1; i < 4 && (field[i] = strchr(field[i - 1], '\t')) != NULL; i++) {
        *field[i]++ = '\0';
    }
    switch (line[0]) {
    case '#':
        return true;
    case 'T':
        return field[3] && same_ids(t, field);
    case 'P':
        return field[3] && same_piece(t, field);
    case 'I':
        return field[1] && same_special_ids(t, field);
    case 'C':
        return field[2] && same_corpus(t, field);
    default:
        return false;
    }
}

static void check_golden(const char *golden, const char *path)
{
    vocabulary v = open_model(path);
    FILE      *f = fopen(golden, "r");
    char       line[4096];
    size_t     n = 0, n_bad = 0;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        n++;
        if (holds(v.t, line)) continue;
        print_message("%s: line %zu\n", golden, n);
        n_bad++;
    }
    fclose(f);
    close_model(&v);
    assert_true(n > 100);
    assert_int_equal(n_bad, 0);
}

static void gives_the_ids_of_the_reference_for_sentencepiece(void **state)
{
    (void)state;
    check_golden(GOLDEN "stories260K.txt", MODELS "stories260K.gguf");
}

static void gives_the_ids_of_the_reference_for_byte_level_bpe(void **state)
{
    (void)state;
    check_golden(GOLDEN "fables.txt", MODELS "fables-llama-5m-Q8_0.gguf");
    check_golden(GOLDEN "fables.txt", MODELS "fables-bitnet-5m-I2_S.gguf");
}

static void a_wrong_golden_line_is_noticed(void **state)
{
    static const char *const wrong[] = {
        "T\t-\t \t221", "T\t-\t \t",     "T\tbs\t \t220",          "T\t-\ta",
        "P\t220\t-\ta", "P\t4091\t-\t<", "I\t4091 4092 4095 4092", "C\t45613\taa122ab8c48bef51",
        "X\t",
    };
    vocabulary v = open_model(MODELS "fables-llama-5m-Q8_0.gguf");
    char       line[64], right[] = "T\t-\t \t220";
    (void)state;
    assert_true(holds(v.t, right));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/corpus/christmas-carol.txt", text_shared());
        if (wrong[i][0] == 'C' && access(path, R_OK) != 0) continue;
        snprintf(line, sizeof(line), "%s", wrong[i]);
        if (holds(v.t, line)) fail_msg("not noticed: %s", wrong[i]);
    }
    close_model(&v);
}

/* The numbers are those of llama.cpp's tables: white space, letters, numbers, punctuation, marks,
 * symbols, controls, others, and FNV-1a over the kinds 0 to 7 of all code points above U+007F in
 * order. */
static void every_code_point_is_of_the_kind_that_the_reference_gives_it(void **state)
{
    static const int32_t expected[8] = {19, 136674, 1821, 819, 2450, 7766, 139717, 824718};
    int32_t              n[8] = {0};
    uint64_t             h = 0xcbf29ce484222325u;
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        unsigned kind = ls_unicode_kind(c) - (unsigned)LS_KIND_SPACE;
        assert_true(kind < 8);
        n[kind]++;
        h = (h ^ kind) * 0x100000001b3u;
    }
    assert_memory_equal(n, expected, sizeof(n));
    assert_true(h == 0x4ff4a1d4ffe04f3eu);
    for (uint32_t c = 0; c < 0x80; c++) assert_int_equal(ls_unicode_kind(c), c);
}

/* ---- options ---- */

static void assert_ids(const ls_tokenizer *t, const char *text, ls_bos_mode bos, bool special,
                       const char *expected)
{
    char *ids = text_ids(t, text, strlen(text), bos, special);
    assert_non_null(ids);
    assert_string_equal(ids, expected);
    free(ids);
}

static void the_bos_mode_decides_over_the_first_id(void **state)
{
    vocabulary v = open_model(MODELS "stories260K.gguf");
    int32_t   *ids;
    size_t     n;
    (void)state;
    assert_true(ls_tokenizer_adds_bos(v.t));
    assert_ids(v.t, "", LS_BOS_AUTO, false, "1");
    assert_ids(v.t, "", LS_BOS_YES, false, "1");
    assert_ids(v.t, "", LS_BOS_NO, false, "");
    assert_ids(v.t, "<s>", LS_BOS_YES, true, "1 1");
    assert_int_equal(ls_tokenizer_encode(v.t, "", 0, NULL, &ids, &n, NULL), LS_OK);
    assert_int_equal(n, 1); /* no options: as the metadata say */
    free(ids);
    close_model(&v);
}

static void refuses_a_text_that_is_too_long(void **state)
{
    vocabulary v = open_model(MODELS "stories260K.gguf");
    int32_t   *ids;
    size_t     n;
    ls_error   err = {0};
    (void)state;
    assert_int_equal(ls_tokenizer_encode(v.t, "", (size_t)1 << 30, NULL, &ids, &n, &err),
                     LS_ERR_LIMIT);
    assert_null(ids);
    assert_non_null(strstr(err.what, "1073741824 bytes"));
    close_model(&v);
}

static void finds_tokens_by_their_exact_text(void **state)
{
    vocabulary v = open_model(MODELS "fables-llama-5m-Q8_0.gguf");
    int32_t    id = ls_tokenizer_find(v.t, "<|eot_id|>");
    (void)state;
    assert_true(id >= 0);
    assert_int_equal(ls_tokenizer_type(v.t, id), LS_TOKEN_CONTROL);
    assert_true(ls_str_is(ls_tokenizer_text(v.t, id), "<|eot_id|>"));
    assert_true(ls_tokenizer_is_end(v.t, id));
    assert_int_equal(ls_tokenizer_find(v.t, "<|eot_id|"), -1);
    assert_int_equal(ls_tokenizer_find(v.t, ""), -1);
    assert_string_equal(ls_tokenizer_model(v.t), "gpt2");
    assert_string_equal(ls_tokenizer_pre(v.t), "llama-bpe");
    close_model(&v);
}

static void ids_outside_the_vocabulary_are_harmless(void **state)
{
    const int32_t bad[] = {-1, INT32_MIN, 512, INT32_MAX};
    vocabulary    v = open_model(MODELS "stories260K.gguf");
    char         *text;
    size_t        len;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ls_tokenizer_piece(v.t, bad[i], true, NULL, 0), 0);
        assert_int_equal(ls_tokenizer_text(v.t, bad[i]).len, 0);
        assert_int_equal(ls_tokenizer_type(v.t, bad[i]), LS_TOKEN_UNDEFINED);
        assert_false(ls_tokenizer_is_end(v.t, bad[i]));
    }
    assert_int_equal(ls_tokenizer_decode(v.t, bad, 4, true, &text, &len, NULL), LS_OK);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    free(text);
    close_model(&v);
}

/* ---- the way back ---- */

static void a_piece_is_cut_at_the_buffer_and_its_length_is_told(void **state)
{
    vocabulary v = open_model(MODELS "fables-llama-5m-Q8_0.gguf");
    char       buf[4] = "....";
    (void)state;
    assert_int_equal(ls_tokenizer_piece(v.t, ls_tokenizer_bos(v.t), true, buf, 3), 17);
    assert_memory_equal(buf, "<|b.", 4);
    assert_int_equal(ls_tokenizer_piece(v.t, ls_tokenizer_bos(v.t), true, NULL, 0), 17);
    assert_int_equal(ls_tokenizer_piece(v.t, ls_tokenizer_bos(v.t), false, NULL, 0), 0);
    close_model(&v);
}

static void decode_gives_back_what_was_encoded(void **state)
{
    static const char        text[] = " Once\tupon a  time \n\xe4\xbd\xa0\xe5\xa5\xbd, don't! ";
    static const char *const models[] = {MODELS "stories260K.gguf",
                                         MODELS "fables-llama-5m-Q8_0.gguf"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (int bos = LS_BOS_YES; bos <= LS_BOS_NO; bos++) {
            const ls_encode_options o = {(ls_bos_mode)bos, true};
            vocabulary              v = open_model(models[i]);
            int32_t                *ids;
            size_t                  n, len;
            char                   *back;
            assert_int_equal(ls_tokenizer_encode(v.t, text, sizeof(text) - 1, &o, &ids, &n, NULL),
                             LS_OK);
            assert_int_equal(ls_tokenizer_decode(v.t, ids, n, false, &back, &len, NULL), LS_OK);
            assert_int_equal(len, sizeof(text) - 1);
            assert_string_equal(back, text);
            free(back);
            free(ids);
            close_model(&v);
        }
    }
}

static void a_long_text_takes_well_under_a_second(void **state)
{
    static const char *const models[] = {MODELS "stories260K.gguf",
                                         MODELS "fables-llama-5m-Q8_0.gguf"};
    const size_t             len = 400000;
    char                    *text = malloc(len);
    (void)state;
    assert_non_null(text);
    for (int kind = 0; kind < 3; kind++) { /* one letter, only spaces, one long word */
        for (size_t i = 0; i < len; i++) {
            text[i] = kind == 0 ? 'a' : kind == 1 ? ' ' : (char)('a' + i * i % 23);
        }
        for (size_t i = 0; i < 2; i++) {
            vocabulary v = open_model(models[i]);
            int32_t   *ids;
            size_t     n;
            assert_int_equal(ls_tokenizer_encode(v.t, text, len, NULL, &ids, &n, NULL), LS_OK);
            assert_true(n > 0);
            free(ids);
            close_model(&v);
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_ids_of_the_reference_for_sentencepiece),
        cmocka_unit_test(gives_the_ids_of_the_reference_for_byte_level_bpe),
        cmocka_unit_test(a_wrong_golden_line_is_noticed),
        cmocka_unit_test(every_code_point_is_of_the_kind_that_the_reference_gives_it),
        cmocka_unit_test(the_bos_mode_decides_over_the_first_id),
        cmocka_unit_test(refuses_a_text_that_is_too_long),
        cmocka_unit_test(finds_tokens_by_their_exact_text),
        cmocka_unit_test(ids_outside_the_vocabulary_are_harmless),
        cmocka_unit_test(a_piece_is_cut_at_the_buffer_and_its_length_is_told),
        cmocka_unit_test(decode_gives_back_what_was_encoded),
        cmocka_unit_test(a_long_text_takes_well_under_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
