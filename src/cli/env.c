// SPDX-License-Identifier: MIT
/* env.c - the only file that reads environment variables. `lockstep env` prints its table. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Threads: the first one set counts. */
enum {
    ENV_CACHE_DIR,
    ENV_XDG_CACHE,
    ENV_HOME,
    ENV_LIBDIR,
    ENV_BITNET_DIR,
    ENV_BITNET_PATH,
    ENV_LLAMA_DIR,
    ENV_RPATH_BITNET,
    ENV_RPATH_LLAMA,
    ENV_LLAMA_CPU,
    ENV_TIMEOUT,
    ENV_GGML_THREADS,
    ENV_OMP_THREADS,
    ENV_RAYON_THREADS,
    ENV_SEED,
    ENV_TERM,
    ENV_CI,
    ENV_TMPDIR,
    ENV_TRACE_DIR,
    ENV_BITNET_TRACE_DIR,
    N_ENV,
};

static const struct {
    const char *name, *meaning;
} variables[N_ENV] = {
    [ENV_CACHE_DIR] = {"LOCKSTEP_CACHE_DIR", "folder where references are installed"},
    [ENV_XDG_CACHE] = {"XDG_CACHE_HOME", "its parent, if LOCKSTEP_CACHE_DIR is unset"},
    [ENV_HOME] = {"HOME", "~/.cache/lockstep, if neither is set; ~/.cache/bitnet_cpp"},
    [ENV_LIBDIR] = {"BITNET_CROSSVAL_LIBDIR",
                    "libraries of the reference: no other place is searched"},
    [ENV_BITNET_DIR] = {"BITNET_CPP_DIR", "checkout of bitnet.cpp"},
    [ENV_BITNET_PATH] = {"BITNET_CPP_PATH", "the same, if BITNET_CPP_DIR is unset"},
    [ENV_LLAMA_DIR] = {"LLAMA_CPP_DIR", "checkout of llama.cpp"},
    [ENV_RPATH_BITNET] = {"CROSSVAL_RPATH_BITNET", "folder of bitnet.cpp's libraries at run time"},
    [ENV_RPATH_LLAMA] = {"CROSSVAL_RPATH_LLAMA", "folder of llama.cpp's libraries at run time"},
    [ENV_LLAMA_CPU] = {"LOCKSTEP_LLAMA_CPU", "llama.cpp's CPU library to use, for example haswell"},
    [ENV_TIMEOUT] = {"CROSSVAL_TIMEOUT_SECS", "default of --timeout"},
    [ENV_GGML_THREADS] = {"GGML_NUM_THREADS", "default of --threads"},
    [ENV_OMP_THREADS] = {"OMP_NUM_THREADS", "default of --threads, if GGML_NUM_THREADS is unset"},
    [ENV_RAYON_THREADS] = {"RAYON_NUM_THREADS", "default of --threads, if neither is set"},
    [ENV_SEED] = {"BITNET_SEED", "default of --seed"},
    [ENV_TERM] = {"TERM", "'dumb': no progress bar"},
    [ENV_CI] = {"CI", "set: no questions"},
    [ENV_TMPDIR] = {"TMPDIR", "folder of scratch files; /tmp, if unset"},
    [ENV_TRACE_DIR] = {"LOCKSTEP_TRACE_DIR",
                       "commands that evaluate leave a trace there, as 'trace record' does"},
    [ENV_BITNET_TRACE_DIR] = {"BITNET_TRACE_DIR",
                              "the same with a file for each tap, if LOCKSTEP_TRACE_DIR is unset"},
};

/* An empty variable counts as unset. */
static const char *value_of(size_t i)
{
    const char *v = getenv(variables[i].name);
    return v && *v ? v : NULL;
}

bool cli_env_at(size_t i, const char **name, const char **meaning, const char **value)
{
    if (i >= N_ENV) return false;
    *name = variables[i].name;
    *meaning = variables[i].meaning;
    *value = value_of(i);
    return true;
}

static void find_cache(cli_env *env)
{
    const char *own = value_of(ENV_CACHE_DIR), *xdg = value_of(ENV_XDG_CACHE);
    const char *home = value_of(ENV_HOME);
    char       *dir = env->cache_dir;
    size_t      cap = sizeof(env->cache_dir);
    int         n = -1;
    if (own) n = snprintf(dir, cap, "%s", own);
    /* The XDG specification has relative paths ignored. */
    else if (xdg && xdg[0] == '/')
        n = snprintf(dir, cap, "%s/lockstep", xdg);
    else if (home)
        n = snprintf(dir, cap, "%s/.cache/lockstep", home);
    if (n < 0 || (size_t)n >= cap) dir[0] = '\0';
    env->refs.cache_dir = dir[0] ? dir : NULL;
}

void cli_env_load(cli_env *env)
{
    static const size_t threads[] = {ENV_GGML_THREADS, ENV_OMP_THREADS, ENV_RAYON_THREADS};
    const char         *term = value_of(ENV_TERM);
    *env = (cli_env){0};
    find_cache(env);
    env->scratch_dir = value_of(ENV_TMPDIR) ? value_of(ENV_TMPDIR) : "/tmp";
    env->refs.crossval_libdir = value_of(ENV_LIBDIR);
    env->refs.bitnet_cpp_dir = value_of(ENV_BITNET_DIR);
    env->refs.bitnet_cpp_path = value_of(ENV_BITNET_PATH);
    env->refs.llama_cpp_dir = value_of(ENV_LLAMA_DIR);
    env->refs.home = value_of(ENV_HOME);
    env->refs.rpath[LS_REF_LLAMA] = value_of(ENV_RPATH_LLAMA);
    env->refs.rpath[LS_REF_BITNET] = value_of(ENV_RPATH_BITNET);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]) && !env->threads; i++) {
        env->threads = value_of(threads[i]);
        env->threads_name = variables[threads[i]].name;
    }
    env->timeout = value_of(ENV_TIMEOUT);
    env->seed = value_of(ENV_SEED);
    for (size_t i = ENV_TRACE_DIR; i <= ENV_BITNET_TRACE_DIR && !env->trace_dir; i++) {
        env->trace_dir = value_of(i);
        env->trace_name = variables[i].name;
        env->trace_per_file = i == ENV_BITNET_TRACE_DIR;
    }
    env->ci = value_of(ENV_CI) != NULL;
    env->dumb_terminal = term && strcmp(term, "dumb") == 0;
}

ls_status cli_env_threads(const cli_env *env, int32_t *out, ls_error *err)
{
    char *end;
    long  n;
    if (!env->threads) return LS_OK;
    n = strtol(env->threads, &end, 10);
    /* OpenMP allows one number per nesting level, "4,2": the first is the outermost. */
    if (end == env->threads || (*end && *end != ',') || n < 1 || n > 1024)
        return ls_fail(err, LS_ERR_USAGE,
                       "the environment variable %s must be a number from 1 to "
                       "1024, not '%s'",
                       env->threads_name, env->threads);
    *out = (int32_t)n;
    return LS_OK;
}

ls_status cli_env_timeout(const cli_env *env, double *out, ls_error *err)
{
    char  *end;
    double s;
    if (!env->timeout) return LS_OK;
    s = strtod(env->timeout, &end);
    if (end == env->timeout || *end || !(s > 0 && s <= 1e6))
        return ls_fail(err, LS_ERR_USAGE,
                       "the environment variable %s must be a number of seconds "
                       "above 0, not '%s'",
                       variables[ENV_TIMEOUT].name, env->timeout);
    *out = s;
    return LS_OK;
}

ls_status cli_env_seed(const cli_env *env, uint64_t *out, ls_error *err)
{
    char              *end;
    unsigned long long n;
    if (!env->seed) return LS_OK;
    errno = 0;
    n = strtoull(env->seed, &end, 10);
    if (end == env->seed || *end || errno || strchr(env->seed, '-'))
        return ls_fail(err, LS_ERR_USAGE,
                       "the environment variable %s must be a whole number, not "
                       "'%s'",
                       variables[ENV_SEED].name, env->seed);
    *out = n;
    return LS_OK;
}

ls_status cli_env_need_cache(const cli_env *env, ls_error *err)
{
    if (env->refs.cache_dir) return LS_OK;
    ls_fail(err, LS_ERR_USAGE,
            "there is no cache folder: neither LOCKSTEP_CACHE_DIR, "
            "XDG_CACHE_HOME nor HOME is set");
    return ls_fail_hint(err, "set LOCKSTEP_CACHE_DIR to a folder that can be written");
}
