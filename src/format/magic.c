// SPDX-License-Identifier: MIT
/* magic.c - naming files that cannot be read: a table of contents and a table of extensions. */
#include "format/magic.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char to_folder[] =
    "put it beside config.json and tokenizer.json (PyTorch weights as pytorch_model.bin, "
    "safetensors "
    "as model.safetensors) and give the folder, or convert that folder to GGUF with llama.cpp's "
    "convert_hf_to_gguf.py";
static const char save_again[] =
    "load it with the program that wrote it and save the weights alone as safetensors; then give "
    "the folder that holds them with config.json and tokenizer.json";
static const char to_hf[] =
    "export the model as a Hugging Face folder (config.json, model.safetensors, tokenizer.json) "
    "with the program that wrote it, and give that folder or convert it to GGUF";
static const char old_ggml[] =
    "this form is from before GGUF: convert the original model with llama.cpp's "
    "convert_hf_to_gguf.py";
static const char fetch_again[] = "fetch the file itself: what lies here only stands for it";
static const char folder_file[] = "give the folder that this file belongs to";
static const char anything[] =
    "give a GGUF file, or a Hugging Face folder with config.json and weights";

/* Content: `bytes` at `at`. The first row that fits names the file. */
static const struct {
    size_t      at, n;
    const char *bytes, *what, *hint;
} contents[] = {
    {0, 4, "PK\3\4", "a zip archive, as PyTorch writes (.pt, .pth, .bin)", to_folder},
    {0, 2, "\x80\2", "a Python pickle, as old versions of PyTorch write", save_again},
    {0, 2, "\x80\3", "a Python pickle", save_again},
    {0, 2, "\x80\4", "a Python pickle", save_again},
    {0, 2, "\x80\5", "a Python pickle", save_again},
    {5, 4, "\0\0\0{", "a safetensors file", to_folder},
    {0, 4, "lmgg", "a GGML file from before GGUF", old_ggml},
    {0, 4, "fmgg", "a GGML file (GGMF) from before GGUF", old_ggml},
    {0, 4, "tjgg", "a GGML file (GGJT) from before GGUF", old_ggml},
    {0, 4, "algg", "a GGML adapter file (GGLA)", old_ggml},
    {0, 4, "FUGG", "a GGUF file with its bytes swapped", anything},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", to_hf},
    {4, 4, "TFL3", "a TensorFlow Lite file", to_hf},
    {0, 6, "\x93NUMPY", "a NumPy array", to_hf},
    {0, 23, "version https://git-lfs", "a Git LFS pointer, not the model", fetch_again},
    {0, 9, "<!DOCTYPE", "an HTML page, probably an error message of a server", fetch_again},
    {0, 5, "<html", "an HTML page, probably an error message of a server", fetch_again},
    {0, 2, "\x1f\x8b", "a gzip archive", "unpack it first"},
    {0, 4, "\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "an xz archive", "unpack it first"},
    {257, 5, "ustar", "a tar archive", "unpack it first"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program", anything},
    {0, 2, "\x08\x03", "an ONNX file", to_hf},
    {0, 2, "\x08\x04", "an ONNX file", to_hf},
    {0, 2, "\x08\x05", "an ONNX file", to_hf},
    {0, 2, "\x08\x06", "an ONNX file", to_hf},
    {0, 2, "\x08\x07", "an ONNX file", to_hf},
    {0, 2, "\x08\x08", "an ONNX file", to_hf},
    {0, 2, "\x08\x09", "an ONNX file", to_hf},
    {0, 2, "\x08\x0a", "an ONNX file", to_hf},
    {0, 1, "{", "a JSON file", folder_file},
};

/* Names, in any case, for files whose content says nothing. */
static const struct {
    const char *extension, *what, *hint;
} extensions[] = {
    {".pt", "a file named like PyTorch's", save_again},
    {".pth", "a file named like PyTorch's", save_again},
    {".ckpt", "a file named like a PyTorch checkpoint", save_again},
    {".bin", "a file named like PyTorch's", save_again},
    {".pkl", "a file named like a Python pickle", save_again},
    {".safetensors", "a file named like safetensors", to_folder},
    {".onnx", "a file named like ONNX", to_hf},
    {".pb", "a file named like a TensorFlow graph", to_hf},
    {".tflite", "a file named like TensorFlow Lite", to_hf},
    {".h5", "a file named like Keras's", to_hf},
    {".keras", "a file named like Keras's", to_hf},
    {".msgpack", "a file named like Flax's", to_hf},
    {".model", "a file named like a SentencePiece vocabulary", folder_file},
};

typedef struct finding {
    const char *what, *hint;
    bool        named_only;
} finding;

static bool identify(const ls_map *map, const char *path, finding *out)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        if (map->size < contents[i].at + contents[i].n) continue;
        if (memcmp(map->data + contents[i].at, contents[i].bytes, contents[i].n) != 0) continue;
        *out = (finding){contents[i].what, contents[i].hint, false};
        return true;
    }
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        size_t len = strlen(extensions[i].extension);
        if (n < len || strcasecmp(path + n - len, extensions[i].extension) != 0) continue;
        *out = (finding){extensions[i].what, extensions[i].hint, true};
        return true;
    }
    return false;
}

static ls_status refuse(const ls_map *map, const char *path, const char *expected, ls_error *err)
{
    char      bytes[16] = "";
    finding   f;
    ls_status status = LS_ERR_UNSUPPORTED;
    size_t    shown = map->size < 4 ? map->size : 4;
    for (size_t i = 0; i < shown; i++) {
        snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x", map->data[i]);
    }
    if (!identify(map, path, &f)) {
        status = LS_ERR_FORMAT;
        ls_fail(err, status, "expected %s, found a file that starts with bytes%s", expected, bytes);
        ls_fail_hint(err, "%s", anything);
    } else if (f.named_only) {
        ls_fail(err, status, "expected %s, found %s that starts with bytes%s", expected, f.what,
                bytes);
    } else {
        ls_fail(err, status, "expected %s, found %s", expected, f.what);
    }
    ls_fail_at(err, "%s: byte 0", path);
    if (status == LS_ERR_UNSUPPORTED) ls_fail_hint(err, "%s", f.hint);
    return status;
}

ls_status ls_magic_check_gguf(const ls_map *map, const char *path, ls_error *err)
{
    if (map->size < 4) {
        ls_fail(err, LS_ERR_FORMAT, "the file has %zu bytes, too few for a GGUF header", map->size);
        ls_fail_at(err, "%s: byte 0", path);
        return LS_ERR_FORMAT;
    }
    if (memcmp(map->data, "GGUF", 4) == 0) return LS_OK;
    return refuse(map, path, "a GGUF file", err);
}

ls_status ls_magic_refuse_weights(const ls_map *map, const char *path, ls_error *err)
{
    if (map->size >= 4 && memcmp(map->data, "GGUF", 4) == 0) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "expected safetensors or PyTorch weights, found GGUF");
        ls_fail_at(err, "%s: byte 0", path);
        ls_fail_hint(err, "give this file itself instead of the folder");
        return LS_ERR_UNSUPPORTED;
    }
    if (map->size < 9) {
        ls_fail(err, LS_ERR_FORMAT, "the file has %zu bytes, too few for weights", map->size);
        ls_fail_at(err, "%s: byte 0", path);
        return LS_ERR_FORMAT;
    }
    return refuse(map, path, "safetensors or PyTorch weights", err);
}
