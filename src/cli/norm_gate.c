// SPDX-License-Identifier: MIT
/* norm_gate.c - see norm_gate.h. */
#include "cli/norm_gate.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* Ranges that models in use keep, by kind of model and file. */
static const gate_rules built_in[] = {
    {"bitnet-b1.58:f16",
     {{"ffn_layernorm", .05, 2},
      {"post_attention_layernorm", .25, 2},
      {"input_layernorm", .35, 2},
      {"final_(layer)?norm", .5, 2},
      {"(attn|ffn|rms).*norm", .5, 2},
      {".*norm", .5, 2}},
     6,
     .01,
     .40},
    {"bitnet-b1.58:i2_s",
     {{"attn_norm", .01, 2},
      {"ffn_norm", .5, 2},
      {"final_(layer)?norm", .5, 2},
      {".*norm", .25, 2}},
     4,
     .002,
     .20},
    {"generic", {{".*norm", .80, 1.20}}, 1, 0, 0},
};

const gate_rules *gate_rules_for(const ls_gguf *g)
{
    ls_str  arch = {"", 0};
    int64_t file_type = -1;
    char    name[64];
    ls_gguf_str(g, "general.architecture", &arch);
    snprintf(name, sizeof(name), "%.*s", LS_FMT(arch));
    if (!strstr(name, "bitnet") && !strstr(name, "b1.58")) return &built_in[2];
    ls_gguf_int(g, "general.file_type", &file_type);
    return &built_in[file_type == 1 ? 0 : 1];
}

static ls_status bad_policy(ls_error *err, const char *path, const char *what)
{
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(err, "%s", path);
    return LS_ERR_FORMAT;
}

static bool read_rule(gate_rule *out, const json_t *j)
{
    const char   *pattern = json_string_value(json_object_get(j, "pattern"));
    const json_t *min = json_object_get(j, "min"), *max = json_object_get(j, "max");
    regex_t       re;
    if (!pattern || !json_is_number(min) || !json_is_number(max)) return false;
    if (strlen(pattern) >= sizeof(out->pattern)) return false;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0) return false;
    regfree(&re);
    strcpy(out->pattern, pattern);
    out->min = json_number_value(min);
    out->max = json_number_value(max);
    return out->min <= out->max;
}

static ls_status read_rules(gate_rules *out, const json_t *set, const char *path, ls_error *err)
{
    const json_t *ln = json_object_get(set, "ln"), *rule;
    const char   *name = json_string_value(json_object_get(set, "name"));
    size_t        i;
    snprintf(out->name, sizeof(out->name), "%s", name ? name : "policy");
    out->proj_min = json_number_value(json_object_get(set, "proj_weight_rms_min"));
    out->proj_max = json_number_value(json_object_get(set, "proj_weight_rms_max"));
    if (!json_is_array(ln) || json_array_size(ln) > GATE_MAX_RULES) {
        return bad_policy(err, path, "the policy's 'ln' is no list of at most 16 rules");
    }
    json_array_foreach(ln, i, rule)
    {
        if (read_rule(&out->norms[out->n_norms++], rule)) continue;
        ls_fail(err, LS_ERR_FORMAT,
                "rule %zu of the policy has no sound 'pattern', 'min' and 'max'", i);
        ls_fail_at(err, "%s", path);
        return LS_ERR_FORMAT;
    }
    return LS_OK;
}

ls_status gate_rules_read(gate_rules *out, const char *path, const char *key, ls_error *err)
{
    json_error_t  at;
    json_t       *root = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    const json_t *set;
    ls_status     status;
    *out = (gate_rules){0};
    if (!root) {
        ls_fail(err, LS_ERR_FORMAT, "the policy cannot be read as JSON: %s", at.text);
        ls_fail_at(err, "%s: line %d", path, at.line);
        return LS_ERR_FORMAT;
    }
    set = json_object_get(json_object_get(root, "rules"), key);
    status = json_is_object(set) ? read_rules(out, set, path, err) : LS_ERR_FORMAT;
    if (!json_is_object(set)) {
        ls_fail(err, LS_ERR_FORMAT, "the policy has no rules '%s'", key);
        ls_fail_at(err, "%s", path);
    }
    json_decref(root);
    return status;
}

static bool matches(const char *pattern, const char *name)
{
    regex_t re;
    bool    found;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0) return false;
    found = regexec(&re, name, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

/* NaN is outside. */
static bool within(double rms, double min, double max) { return rms >= min && rms <= max; }

static bool norm_ok(const gate_rules *rules, const char *name, double rms)
{
    for (size_t i = 0; i < rules->n_norms; i++) {
        const gate_rule *r = &rules->norms[i];
        if (matches(r->pattern, name)) return within(rms, r->min, r->max);
    }
    return within(rms, .5, 2); /* the envelope of everything */
}

static bool proj_ok(const gate_rules *rules, double rms)
{
    if (rules->proj_min == 0 && rules->proj_max == 0) return true;
    return within(rms, rules->proj_min, rules->proj_max);
}

typedef enum kind { OTHER, NORM, PROJECTION } kind;

static kind kind_of(const char *name)
{
    if (matches("norm.*\\.weight$", name)) return NORM;
    if (matches("(attn_(q|k|v|qkv|output)|ffn_(gate|up|down)|_proj)(_exps|_shexp)?\\.weight$",
                name)) {
        return PROJECTION;
    }
    return OTHER;
}

static ls_status look_at(gate_report *out, const ls_gguf *g, const ls_tensor *t,
                         const gate_rules *rules, bool text, ls_error *err)
{
    char            name[256], rms[32];
    kind            k;
    bool            ok = true;
    ls_tensor_stats s;
    snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
    k = kind_of(name);
    if (k == OTHER) return LS_OK;
    LS_TRY(ls_tensor_stats_get(&s, g, t, err));
    if (rules) ok = k == NORM ? norm_ok(rules, name, s.rms) : proj_ok(rules, s.rms);
    if (s.n_bad) ok = false;
    out->n_norms += k == NORM;
    out->n_proj += k == PROJECTION;
    out->bad_norms += k == NORM && !ok;
    out->bad_proj += k == PROJECTION && !ok;
    snprintf(rms, sizeof(rms), "%.4f", s.rms);
    if (text) printf("%s [%s] rms=%s %s\n", name, k == NORM ? "LN" : "PROJ", rms, ok ? "✅" : "❌");
    json_array_append_new(out->tensors, json_pack("{s:s, s:s, s:s, s:s}", "name", name, "kind",
                                                  k == NORM ? "layernorm" : "projection", "rms",
                                                  rms, "status", ok ? "ok" : "suspicious"));
    return LS_OK;
}

ls_status gate_run(gate_report *out, const ls_gguf *g, const gate_rules *rules, bool text,
                   ls_error *err)
{
    ls_status status = LS_OK;
    *out = (gate_report){.tensors = json_array()};
    for (size_t i = 0; i < ls_gguf_n_tensors(g) && status == LS_OK; i++) {
        status = look_at(out, g, ls_gguf_tensor_at(g, i), rules, text, err);
    }
    return status;
}
