/* hub_select.c: which files of a repository are fetched. */
#include "base/mem.h"
#include "io/hub_impl.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

as_status as_hub_names_add(as_hub_names *n, as_str name, as_err *err) {
    if (!as_grow(&n->v, &n->cap, n->count + 1, sizeof *n->v))
        return as_fail_nomem(err, "file names", 0);
    if ((n->v[n->count] = as_strndup(name.p, name.n)) == NULL)
        return as_fail_nomem(err, "file names", name.n);
    n->count++;
    return AS_OK;
}

void as_hub_names_free(as_hub_names *n) {
    for (size_t i = 0; i < n->count; i++)
        as_free(n->v[i]);
    as_free(n->v);
    *n = (as_hub_names){0};
}

static bool matches(const char *name, const char *const *patterns) {
    for (; *patterns != NULL; patterns++)
        if (fnmatch(*patterns, name, 0) == 0) return true;
    return false;
}

/* ---- models ---- */

/* Weights in the order in which the loader looks for them. A folder's other .safetensors (fp16
 * variants, adapters, consolidated copies of the same weights) are for other programs. */
static const char *const safetensors[] = {"model.safetensors", "model-*-of-*.safetensors",
                                          "model.safetensors.index.json", NULL};
static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model-*-of-*.bin",
                                      "pytorch_model.bin.index.json", NULL};
/* Configuration and tokenizer, by the names that the families use; and what looks so but is not. */
static const char *const settings[] = {"*.json",     "*.model", "*.jinja",    "vocab*.txt",
                                       "merges.txt", "*.bpe",   "*.tiktoken", "bpe.codes",
                                       "dict.txt",   NULL};
static const char *const foreign[] = {"*.index.json", "tf_*",   "flax_*", "onnx*",
                                      "openvino*",    "rust_*", NULL};

/* Length of the folder's name with its '/': the top has none, sentence-transformers' modules are
 * 0_Transformer/, 1_Pooling/, 2_Dense/. -1: another folder (onnx/, openvino/, checkpoints). */
static int module_folder(const char *name) {
    const char *const slash = strchr(name, '/');
    if (slash == NULL) return 0;
    const size_t digits = strspn(name, "0123456789");
    if (digits == 0 || name[digits] != '_' || strchr(slash + 1, '/') != NULL) return -1;
    return (int)(slash - name) + 1;
}

/* The folder of `name` has one of these. */
static bool folder_has(const as_hub_names *all, const char *name, int folder,
                       const char *const *patterns) {
    for (size_t i = 0; i < all->count; i++)
        if (module_folder(all->v[i]) == folder && memcmp(all->v[i], name, (size_t)folder) == 0 &&
            matches(all->v[i] + folder, patterns))
            return true;
    return false;
}

static bool of_model(const as_hub_names *all, const char *name) {
    static const char *const one[] = {"model.safetensors", NULL};
    const int folder = module_folder(name);
    if (folder < 0) return false;
    const char *const base = name + folder;
    if (matches(
            base,
            safetensors)) /* one file and shards of the same weights: the loader reads the one */
        return strcmp(base, one[0]) == 0 || !folder_has(all, name, folder, one);
    if (matches(base, pickles)) return !folder_has(all, name, folder, safetensors);
    return matches(base, settings) && !matches(base, foreign);
}

/* ---- data sets ---- */

static bool of_dataset(const char *name) {
    static const char *const others[] = {"*.py", ".*", "*/.*", NULL};
    return !matches(name, others);
}

/* ---- choice ---- */

static as_status check_patterns(const as_hub_names *names, const as_hub_opts *o, const char *shown,
                                as_err *err) {
    for (int64_t k = 0; k < o->pattern_count; k++) {
        bool any = false;
        for (size_t i = 0; i < names->count && !any; i++)
            any = fnmatch(o->patterns[k], names->v[i], 0) == 0;
        if (any) continue;
        (void)as_fail(err, AS_USAGE, "%s has no file \"%.128s\"", shown, o->patterns[k]);
        const int near =
            names->count < 4096
                ? as_nearest(o->patterns[k], (const char *const *)names->v, names->count)
                : -1;
        if (near >= 0)
            as_hint(err, "Did you mean %s? It has %zu files; * stands for any characters.",
                    names->v[near], names->count);
        else
            as_hint(err,
                    "It has %zu files; * stands for any characters, '*.json' for all JSON files.",
                    names->count);
        return AS_USAGE;
    }
    return AS_OK;
}

static bool chosen(const as_hub_names *names, const as_hub_opts *o, const char *name) {
    if (o->pattern_count == 0)
        return o->kind == AS_HUB_MODEL ? of_model(names, name) : of_dataset(name);
    for (int64_t k = 0; k < o->pattern_count; k++)
        if (fnmatch(o->patterns[k], name, 0) == 0) return true;
    return false;
}

as_status as_hub_select(as_hub_names *names, const as_hub_opts *o, const char *shown, as_err *err) {
    AS_TRY(check_patterns(names, o, shown, err));
    bool *const keep = as_calloc(names->count + 1, sizeof *keep);
    if (keep == NULL) return as_fail_nomem(err, "file names", names->count);
    for (size_t i = 0; i < names->count; i++)
        keep[i] = chosen(names, o, names->v[i]);
    size_t n = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (keep[i])
            names->v[n++] = names->v[i];
        else
            as_free(names->v[i]);
    }
    const size_t all = names->count;
    names->count = n;
    as_free(keep);
    if (n > 0) return AS_OK;
    (void)as_fail(err, AS_FORMAT, "%s has no file that assay reads (of %zu)", shown, all);
    as_hint(err,
            "--file PATTERN chooses files, --file '*' all of them; a data set needs --dataset.");
    return AS_FORMAT;
}
