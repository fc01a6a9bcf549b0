// SPDX-License-Identifier: MIT
/* fuzz_vocabulary.c - any bytes as a tokenizer.json or a tokenizer.model: refused with a place, or
 * opened; then texts are encoded and decoded with it, and it agrees with itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/tokenizer.h"

static void encode(const ls_tokenizer *t, const char *text, size_t len, bool special)
{
    const ls_encode_options o = {.bos = LS_BOS_AUTO, .parse_special = special};
    ls_error                err = {0};
    int32_t                *ids;
    size_t                  n, got;
    char                   *back;
    ls_status               status = ls_tokenizer_encode(t, text, len, &o, &ids, &n, &err);
    if (status != LS_OK) { /* a pattern that is too slow, a damaged map of characters */
        FUZZ_REQUIRE(status == LS_ERR_LIMIT || status == LS_ERR_FORMAT ||
                     status == LS_ERR_UNSUPPORTED);
        FUZZ_REQUIRE(ids == NULL && err.what[0]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < ls_tokenizer_n_vocab(t));
    }
    FUZZ_REQUIRE(ls_tokenizer_decode(t, ids, n, special, &back, &got, NULL) == LS_OK);
    FUZZ_REQUIRE(strlen(back) <= got);
    free(back);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const texts[] = {
        "",
        "a ab b <s> Hello, world!  It's 1234\n\n x",
        "caf\xc3\xa9 e\xcc\x81 \xe4\xbd\xa0\xe5\xa5\xbd \xe2\x96\x81 "
        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0"
        "\x9f\x91\xa9",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\xff\xc3 \xed\xa0\x80 \x80 <unk> [CLS]",
    };
    ls_error            err = {0};
    ls_tokenizer       *t;
    ls_vocab_comparison c;
    ls_status           status = ls_tokenizer_open(&t, fuzz_file(data, size), &err);
    if (status != LS_OK) {
        FUZZ_REQUIRE(t == NULL && err.status == status && err.what[0]);
        return 0;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        encode(t, texts[i], strlen(texts[i]), i % 2);
    }
    encode(t, (const char *)data, size < 512 ? size : 512, true);
    if (ls_tokenizer_compare(t, t, &c, &err) == LS_OK) {
        FUZZ_REQUIRE(c.difference == LS_VOCABS_AGREE && c.normalized.len == 0);
    }
    ls_tokenizer_destroy(t);
    return 0;
}

#define MODEL(type, rest) "\"model\":{\"type\":\"" type "\"," rest "}"
#define ADDED                                                                                      \
    "\"added_tokens\":[{\"id\":9,\"content\":\"<s>\",\"special\":true,\"lstrip\":true},{\"id\":8," \
    "\"content\":\"Hello\",\"normalized\":true,\"single_word\":true}],"

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const struct {
        const char *bytes;
        size_t      n;
    } seeds[] = {
#define SEED(s) {s, sizeof(s) - 1}
        SEED("{" ADDED
             "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{"
             "\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a+)+$\"},\"content\":\"b\"},{\"type\":"
             "\"Prepend\",\"prepend\":\"a\"}]},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{"
             "\"Regex\":\"\\\\p{L}+|\\\\s+(?!\\\\S)\"},\"behavior\":\"Isolated\"},\"decoder\":{"
             "\"type\":"
             "\"ByteLevel\"}," MODEL("BPE", "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<unk>\":3},"
                                            "\"merges\":[\"a b\"],\"unk_token\":\"<unk>\","
                                            "\"fuse_unk\":true,\"byte_fallback\":true") "}"),
        SEED("{" ADDED "\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"
             "\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"<s>"
             "\",9]"
             ",\"sep\":[\"<s>\",9]},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\"}," MODEL(
                 "WordPiece", "\"vocab\":{\"[UNK]\":0,\"a\":1,\"##b\":2},\"unk_token\":\"[UNK]\","
                              "\"continuing_subword_prefix\":\"##\"") "}"),
        SEED(
            "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"CAAAAAAAAAAAAAAA"
            "YWIA\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\"},"
            "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{"
            "\"type\":"
            "\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}," MODEL(
                "Unigram", "\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],[\"a\",-1]"
                           ",[\"\xe2\x96\x81\",-2],[\"<0x62>\",-3]]") "}"),
        SEED(
            "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{"
            "\"type\":\"Punctuation\"},{\"type\":\"FixedLength\",\"length\":2},{\"type\":"
            "\"ByteLevel\"}"
            "]},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
            "\"id\":\"a\"}},{\"Sequence\":{}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}}," MODEL(
                "WordLevel", "\"vocab\":{\"a\":0,\"b\":1},\"unk_token\":\"b\"") "}"),
        SEED("\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\2\x0a\x0a\x0a\3\xe2\x96\x81\x15\0\0\0\xc0"
             "\x0a\x08\x0a\1a\x15\0\0\x80\xbf\x0a\x09\x0a\2ab\x15\0\0\0\xbf"
             "\x0a\x0f\x0a\6<0x62>\x15\0\0\0\0\x18\6\x12\5\x18\2\x98\2\1"),
        SEED("\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\2\x0a\x0b\x0a\4\xe2\x96\x81"
             "a\x15\0\0\0\xc0\x0a\x0a\x0a\1b\x15\0\0\x80\xbf\x18\4\x12\2\x18\1"
             "\x1a\x10\x12\x0a\4\0\0\0\0\0\0\0 \0\x18\1\x20\1"),
    };
    uint8_t *out;
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    *size = seeds[i].n;
    out = malloc(*size);
    if (!out) abort();
    memcpy(out, seeds[i].bytes, *size);
    return out;
}
