#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench.sh mirror|llama - what `bench` prints, whatever the times are: keys of llama.cpp's benchmark, one row for
# each test, samples that fit their mean, native and reference side by side. mirror: Lockstep's own engine behind
# an adapter, for machines where nothing is installed.
. "$(dirname "$0")/lib.sh"
model stories260K.gguf
if [[ $1 == llama ]]; then
    need_reference
else
    mkdir "$T/engine"
    cp "$TOOLS/mirror_adapter" "$T/engine/lockstep-ref-llama"
    printf 'protocol 5\nengine llama\nversion mirror\n' >"$T/engine/engine.manifest"
    export BITNET_CROSSVAL_LIBDIR=$T/engine
fi
bench() { local verb=$1; shift; "$LS" bench "$verb" -m "$MODEL" "$@"; }

# The fields of llama-bench -o json in llama.cpp v0.5.0.
keys="build_commit build_number cpu_info gpu_info backends model_filename model_type model_size model_n_params
    n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers n_cpu_moe split_mode main_gpu
    no_kv_offload flash_attn devices tensor_split tensor_buft_overrides load_mode lazy_mode embeddings no_op_offload
    no_host fit_target fit_min_ctx n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts samples_ns
    samples_ts"

# fits PATH: the mean of a row's samples is its avg_ts, and tokens by time are those samples
fits() {
    json "$T/o" "$1.n_prompt" "$1.n_gen" "$1.samples_ns.0" "$1.samples_ns.1" "$1.samples_ts.0" "$1.samples_ts.1" \
        "$1.avg_ts" | awk '{ v[NR] = $1 } function near(a, b) { return a - b < 1e-6 * b && b - a < 1e-6 * b }
        END { n = v[1] + v[2]; exit !(near(n * 1e9 / v[3], v[5]) && near(n * 1e9 / v[4], v[6]) && near((v[5] + v[6]) / 2, v[7])) }' ||
        fail "$1: samples, their mean and their times do not fit"
    n_checked=$((n_checked + 1))
}

expect 0 "native" bench run --prompt 8,16 --gen 4 --depth 0,8 --threads 1,2 --reps 2 --json -q
equal "rows" "$(json "$T/o" '#')" 12
for key in $keys; do json "$T/o" "0.$key.#" >/dev/null 2>&1 || json "$T/o" "0.$key" >/dev/null || fail "no key '$key'"; done
equal "sizes" "$(json "$T/o" 0.n_prompt 1.n_prompt 2.n_gen 3.n_depth 6.n_threads 0.engine | tr '\n' ' ')" "8 16 4 8 2 native "
equal "model" "$(json "$T/o" 0.model_filename)" "$MODEL"
fits 0
fits 2
fits 11
expect 0 "the reference" bench run --engine llama --prompt 8 --gen 2 --threads 1 --reps 2 --json -q
equal "engine" "$(json "$T/o" 0.engine 1.n_gen | tr '\n' ' ')" "llama 2 "
fits 0
expect 0 "as a table" bench run --prompt 8 --gen 4 --depth 8 --threads 1 --reps 1 -q
says "pp8 @ d8 |"
says "tg4 @ d8 |"

expect 0 "both" bench compare --prompt 8 --gen 2 --depth 8 --threads 1 --reps 2 --json -q
equal "tests" "$(json "$T/o" 'runs.0.tests.#' runs.0.tests.0.name runs.0.tests.1.name | tr '\n' ';')" \
    "2;pp8;tg2 @ d8;"
fits runs.0.tests.0.native
fits runs.0.tests.1.reference
json "$T/o" runs.0.tests.0.native.samples_ts.1 runs.0.tests.0.reference.samples_ts.1 \
    runs.0.tests.0.ratio.samples.1 | awk '{ v[NR] = $1 } END { r = v[1] / v[2] / v[3]; exit !(r > 0.999999 && r < 1.000001) }' ||
    fail "a ratio is not that of two neighbouring samples"
json "$T/o" runs.0.limits.read_bytes runs.0.native.peak_bytes runs.0.reference.peak_bytes \
    runs.0.native.first_token_s.median runs.0.reference.first_token_s.median token.weight_bytes |
    awk '!($1 > 0) { bad = 1 } END { exit bad || NR != 6 }' || fail "limits, memory or load time are missing"
# A share of reading is that of the better measurement beside each sample, and the median of two is their mean.
equal "measurements of reading" "$(json "$T/o" 'runs.0.tests.0.reads.#' 'runs.0.tests.1.reads.#' | tr '\n' ' ')" "0 3 "
for side in native reference; do
    json "$T/o" runs.0.tests.1.reads.0 runs.0.tests.1.reads.1 runs.0.tests.1.reads.2 "runs.0.tests.1.$side.samples_ts.0" \
        "runs.0.tests.1.$side.samples_ts.1" "runs.0.tests.1.${side}_of_limit" token.weight_bytes token.kv_bytes_per_position |
        awk 'function max(a, b) { return a > b ? a : b } { v[NR] = $1 }
            END { bytes = v[6] * 2 / (v[4] / max(v[1], v[2]) + v[5] / max(v[2], v[3]))
                  exit !(bytes >= v[7] && bytes <= v[7] + 16 * v[8]) }' || fail "$side: not a share of what could be read"
done
expect 0 "both as a table" bench compare --prompt 8 --gen 0 --threads 1 --reps 1 --no-limits -q
says "Load to first token: native"
says "Peak memory: native"

expect 0 "the machine" "$LS" bench machine --threads 1 --json
equal "one thread" "$(json "$T/o" 'limits.#' limits.0.n_threads | tr '\n' ' ')" "1 1 "
finish
