// SPDX-License-Identifier: MIT
/* fuzz_tokenizer.c - any bytes as text, with a SentencePiece and a byte-level BPE vocabulary: ids
 * are in range, and the text comes back. The first byte chooses vocabulary and options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/lockstep.h"

static ls_gguf      *files[2]; /* open to the end of the process */
static ls_tokenizer *tokenizers[2];

static void open_tokenizer(int i, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), LS_SOURCE_DIR "/models/%s", name);
    FUZZ_REQUIRE(ls_gguf_open(&files[i], path, NULL) == LS_OK);
    FUZZ_REQUIRE(ls_tokenizer_create(&tokenizers[i], files[i], NULL) == LS_OK);
}

/* Well-formed UTF-8 (Unicode 15, table 3-7). */
static bool is_utf8(const uint8_t *p, size_t n)
{
    while (n) {
        size_t   len = *p < 0x80   ? 1
                       : *p < 0xc2 ? 0
                       : *p < 0xe0 ? 2
                       : *p < 0xf0 ? 3
                       : *p < 0xf5 ? 4
                                   : 0;
        uint32_t c = *p;
        if (!len || len > n) return false;
        for (size_t i = 1; i < len; i++) {
            if ((p[i] & 0xc0) != 0x80) return false;
            c = c << 8 | p[i];
        }
        if (len == 3 && (c < 0xe0a080 || (c >= 0xeda080 && c <= 0xedbfbf))) return false;
        if (len == 4 && (c < 0xf0908080 || c > 0xf48fbfbf)) return false;
        p += len;
        n -= len;
    }
    return true;
}

/* Without special tokens and BOS, well-formed text comes back byte for byte, token by token; but
 * SentencePiece puts a space in front, and cannot tell the character that it writes for a space
 * from a space. Decoding it all may drop spaces, and nothing else. */
static void check_round_trip(const ls_tokenizer *t, const char *text, size_t len,
                             const int32_t *ids, size_t n)
{
    bool   spm = strcmp(ls_tokenizer_model(t), "llama") == 0, whole;
    char  *back, *all = malloc(8 * len + 64);
    size_t got, at = 0;
    FUZZ_REQUIRE(all != NULL);
    FUZZ_REQUIRE(ls_tokenizer_decode(t, ids, n, true, &back, &got, NULL) == LS_OK);
    for (size_t i = 0; i < n; i++) {
        at += ls_tokenizer_piece(t, ids[i], true, all + at, 8 * len + 64 - at);
        FUZZ_REQUIRE(at <= 8 * len + 64);
    }
    whole = is_utf8((const uint8_t *)text, len) && (!spm || !memmem(text, len, "\xe2\x96\x81", 3));
    if (whole && len) FUZZ_REQUIRE(at == len + spm && memcmp(all + spm, text, len) == 0);
    if (whole && spm) FUZZ_REQUIRE(got == len && memcmp(back, text, len) == 0);
    if (whole && !spm) {
        size_t kept = 0;
        for (size_t i = 0; i < len; i++) {
            if (kept < got && back[kept] == text[i]) {
                kept++;
            } else {
                FUZZ_REQUIRE(text[i] == ' ');
            }
        }
        FUZZ_REQUIRE(kept == got);
    }
    free(back);
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ls_tokenizer *t;
    ls_encode_options   o;
    int32_t            *ids;
    size_t              n;
    char                piece[256];

    if (!tokenizers[0]) {
        open_tokenizer(0, "stories260K.gguf");
        open_tokenizer(1, "fables-llama-5m-Q8_0.gguf");
    }
    if (size == 0) return 0;
    t = tokenizers[data[0] & 1];
    o.parse_special = (data[0] & 2) != 0;
    o.bos = data[0] & 4 ? LS_BOS_YES : LS_BOS_NO;
    FUZZ_REQUIRE(ls_tokenizer_encode(t, (const char *)data + 1, size - 1, &o, &ids, &n, NULL) ==
                 LS_OK);
    for (size_t i = 0; i < n; i++) {
        FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < ls_tokenizer_n_vocab(t));
        (void)ls_tokenizer_piece(t, ids[i], true, piece, sizeof(piece));
    }
    if (o.bos == LS_BOS_YES) FUZZ_REQUIRE(n >= 1 && ids[0] == ls_tokenizer_bos(t));
    if (o.bos == LS_BOS_NO && !o.parse_special) {
        check_round_trip(t, (const char *)data + 1, size - 1, ids, n);
    }
    free(ids);
    return 0;
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const char *const seeds[] = {
        "Once upon a time, there was a little girl named Lily.",
        "1It's 3.14159 o'clock; we'll've 1000000  \n\n  \t spaces",
        "2<s>hello</s> <unk> <|x|>",
        "3<|begin_of_text|><|eot_id|> a <|end_of_text|>",
        "1caf\xc3\xa9 na\xc3\xafve \xe2\x96\x81 \xf0\x9f\x98\x80 \xe4\xbd\xa0\xe5\xa5\xbd",
        "0caf\xc3\xa9 \xf0\x9f\x98\x80 \xff\xfe\xc3 \xed\xa0\x80 \xf4\x90\x80\x80",
        "7\r\n\r\n\v\f   leading and trailing   ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    *size = strlen(seeds[i]);
    return (uint8_t *)strdup(seeds[i]);
}
