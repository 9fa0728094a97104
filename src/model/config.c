#include "model/config.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/arch.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct { const char *name; as_act act; } activations[] = {
    {"gelu", AS_ACT_GELU}, {"gelu_new", AS_ACT_GELU_TANH}, {"gelu_pytorch_tanh", AS_ACT_GELU_TANH}, {"gelu_fast", AS_ACT_GELU_TANH},
    {"relu", AS_ACT_RELU}, {"silu", AS_ACT_SILU}, {"swish", AS_ACT_SILU}, {"tanh", AS_ACT_TANH},
};

static as_status bad(const as_config *c, as_err *err, const char *what) {
    return as_fail(err, AS_FORMAT, "%s: %s", c->path, what);
}

/* A key whose default is 0 may be null: `otherwise` then. */
static as_status read_size(const as_config *c, int64_t *out, as_config_key k, int64_t otherwise, as_err *err) {
    const as_json *v = k.key ? as_json_get(c->raw, k.key) : NULL;
    const bool absent = !v || (k.value == 0 && as_json_typeof(v) == AS_JSON_NULL);
    *out = !absent ? as_json_int(v, -1) : k.value > 0 ? (int64_t)k.value : otherwise;
    if (!absent && (*out <= 0 || *out > INT32_MAX))
        return as_fail(err, AS_FORMAT, "%s: \"%s\" is not a size between 1 and 2147483647", c->path, k.key);
    return AS_OK;
}
/* A default below 0: `otherwise`. */
static as_status read_probability(const as_config *c, float *out, as_config_key k, float otherwise, as_err *err) {
    const as_json *v = k.key ? as_json_get(c->raw, k.key) : NULL;
    *out = v && as_json_typeof(v) != AS_JSON_NULL ? (float)as_json_real(v, -1.0) : k.value >= 0 ? (float)k.value : otherwise;
    if (!(*out >= 0.0f && *out < 1.0f)) return as_fail(err, AS_FORMAT, "%s: \"%s\" is not a probability", c->path, k.key);
    return AS_OK;
}

/* A number in [0, most]; NaN cannot be written in JSON, but 1e999 can. */
static as_status read_small(const as_config *c, float *out, const char *key, double fallback, double most, as_err *err) {
    const as_json *v = as_json_get(c->raw, key);
    const double x = v ? as_json_real(v, -1.0) : fallback;
    if (!(x >= 0.0 && x <= most)) return as_fail(err, AS_FORMAT, "%s: \"%s\" is not a number between 0 and %g", c->path, key, most);
    *out = (float)x;
    return AS_OK;
}

/* The value of a string key; null is absent; "" for a value of another type, which then matches nothing. */
static as_str read_word(const as_config *c, const char *key, const char *fallback) {
    const as_json *v = as_json_get(c->raw, key);
    return as_json_typeof(v) == AS_JSON_NULL ? as_str_of(fallback) : as_json_str(v, AS_LIT(""));
}

static as_status read_act(as_config *c, const as_config_keys *k, as_err *err) {
    const as_str name = read_word(c, k->act, k->act_default);
    for (size_t i = 0; i < AS_COUNT(activations); i++)
        if (as_str_is(name, activations[i].name)) return c->act = activations[i].act, AS_OK;
    (void)as_fail(err, AS_FORMAT, "%s: unknown %s \"%.*s\"", c->path, k->act, (int)name.n, name.p);
    as_hint(err, "Known: gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, silu, swish, tanh.");
    return AS_FORMAT;
}

/* id2label is an object {"0": "name", ...}: every id from 0 to n-1 once. */
static as_status read_labels(as_config *c, as_err *err) {
    const as_json *map = as_json_get(c->raw, "id2label");
    if (map && as_json_typeof(map) != AS_JSON_OBJECT && as_json_typeof(map) != AS_JSON_NULL)
        return bad(c, err, "\"id2label\" is not an object of names by id");
    c->labels_given = as_json_typeof(map) == AS_JSON_OBJECT && as_json_count(map) > 0;
    int64_t n = c->labels_given ? (int64_t)as_json_count(map) : as_json_int(as_json_get(c->raw, "num_labels"), 2);
    if (n < 1 || n > 1 << 20) return bad(c, err, "the number of labels is not between 1 and 1048576");
    c->labels = as_calloc((size_t)n, sizeof *c->labels);
    if (!c->labels) return as_fail_nomem(err, "labels", (size_t)n);
    c->num_labels = (int)n;
    for (as_json_iter *it = c->labels_given ? as_json_first(map) : NULL; it; it = as_json_next(map, it)) {
        int64_t id;
        const as_str name = as_json_str(as_json_iter_value(it), (as_str){NULL, 0});
        if (!as_parse_i64(as_json_iter_key(it), &id) || id < 0 || id >= n || c->labels[id] || !name.p)
            return bad(c, err, "\"id2label\" does not map each id from 0 on to one name");
        if (!(c->labels[id] = as_strndup(name.p, name.n))) return as_fail_nomem(err, "labels", name.n);
    }
    for (int64_t i = 0; i < n && !c->labels_given; i++) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%" PRId64, i);
        if (!(c->labels[i] = as_strdup(name))) return as_fail_nomem(err, "labels", sizeof name);
    }
    return AS_OK;
}

static as_status read_problem(as_config *c, as_err *err) {
    const as_json *v = as_json_get(c->raw, "problem_type");
    if (as_json_typeof(v) == AS_JSON_NULL) return AS_OK;
    const as_str s = as_json_str(v, AS_LIT(""));
    if (as_str_is(s, "single_label_classification")) c->problem = AS_PROBLEM_SINGLE;
    else if (as_str_is(s, "multi_label_classification")) c->problem = AS_PROBLEM_MULTI;
    else if (as_str_is(s, "regression")) c->problem = AS_PROBLEM_REGRESSION;
    else return as_fail(err, AS_FORMAT, "%s: unknown problem_type \"%.*s\"", c->path, (int)s.n, s.p);
    return AS_OK;
}

/* Variants of the same model_type that compute something else. */
static as_status read_kind(const as_config *c, as_err *err) {
    const as_str position = read_word(c, "position_embedding_type", "absolute");
    if (!as_str_is(position, "absolute")) {
        (void)as_fail(err, AS_FORMAT, "%s: position_embedding_type \"%.*s\" is not supported", c->path, (int)position.n, position.p);
        as_hint(err, "Supported: absolute.");
        return AS_FORMAT;
    }
    if (as_json_bool(as_json_get(c->raw, "is_decoder"), false) || as_json_bool(as_json_get(c->raw, "add_cross_attention"), false)) {
        (void)bad(c, err, "\"is_decoder\" is true: this model attends as a decoder, which is not supported");
        as_hint(err, "Use the encoder's checkpoint.");
        return AS_FORMAT;
    }
    return AS_OK;
}

static as_status read_sizes(as_config *c, const as_config_keys *k, as_err *err) {
    AS_TRY(read_size(c, &c->vocab, k->vocab, 0, err));
    AS_TRY(read_size(c, &c->hidden, k->hidden, 0, err));
    AS_TRY(read_size(c, &c->embedding, k->embedding, c->hidden, err));
    AS_TRY(read_size(c, &c->layers, k->layers, 0, err));
    AS_TRY(read_size(c, &c->heads, k->heads, 0, err));
    AS_TRY(read_size(c, &c->inter, k->inter, 4 * c->hidden, err));
    AS_TRY(read_size(c, &c->max_pos, k->max_pos, 0, err));
    AS_TRY(read_size(c, &c->types, k->types, 0, err));
    if (c->layers > 4096) return as_fail(err, AS_FORMAT, "%s: \"%s\" is over 4096", c->path, k->layers.key);
    if (c->hidden % c->heads != 0)
        return as_fail(err, AS_FORMAT, "%s: \"%s\" %" PRId64 " is not a multiple of \"%s\" %" PRId64, c->path, k->hidden.key, c->hidden, k->heads.key,
                       c->heads);
    return AS_OK;
}

static as_status read_keys(as_config *c, as_err *err) {
    if (as_json_typeof(c->raw) != AS_JSON_OBJECT) return bad(c, err, "is not a JSON object");
    const as_str type = as_json_str(as_json_get(c->raw, "model_type"), AS_LIT(""));
    const as_arch *a = as_arch_find(type);
    if (!a) {
        if (type.n == 0)
            (void)bad(c, err, "has no \"model_type\"");
        else
            (void)as_fail(err, AS_FORMAT, "%s: architecture \"%.*s\" is not supported", c->path, (int)type.n, type.p);
        as_hint(err, "Supported: %s.", as_arch_names());
        return AS_FORMAT;
    }
    memcpy(c->model_type, type.p, type.n); /* as_arch_find bounds its length */
    const as_config_keys *k = a->keys;
    AS_TRY(read_sizes(c, k, err));
    AS_TRY(read_act(c, k, err));
    AS_TRY(read_small(c, &c->eps, k->eps.key, k->eps.value, 1.0, err));
    AS_TRY(read_small(c, &c->init_range, "initializer_range", 0.02, 1e6, err));
    AS_TRY(read_probability(c, &c->dropout, k->dropout, 0, err));
    AS_TRY(read_probability(c, &c->embedding_dropout, k->embedding_dropout, c->dropout, err));
    AS_TRY(read_probability(c, &c->attention_dropout, k->attention_dropout, 0, err));
    AS_TRY(read_probability(c, &c->classifier_dropout, k->classifier_dropout, c->dropout, err));
    c->pad_id = as_json_int(as_json_get(c->raw, k->pad.key), (int64_t)k->pad.value);
    c->tied = as_json_bool(as_json_get(c->raw, "tie_word_embeddings"), true);
    c->scale_by_width = as_json_bool(as_json_get(c->raw, "scale_attn_weights"), true);
    c->scale_by_layer = as_json_bool(as_json_get(c->raw, "scale_attn_by_inverse_layer_idx"), false);
    AS_TRY(read_kind(c, err));
    const as_str arch = as_json_str(as_json_at(as_json_get(c->raw, "architectures"), 0), AS_LIT(""));
    memcpy(c->architecture, arch.p, arch.n < sizeof c->architecture ? arch.n : sizeof c->architecture - 1);
    AS_TRY(read_problem(c, err));
    return read_labels(c, err);
}

static as_status from_raw(as_config *out, as_json *raw, const char *where, as_err *err) {
    *out = (as_config){.raw = raw, .path = as_strdup(where)};
    const as_status s = out->path ? read_keys(out, err) : as_fail_nomem(err, "a path", 0);
    if (s != AS_OK) as_config_free(out);
    return s;
}
static as_status advise(as_status s, as_err *err) {
    if (s == AS_FORMAT && err && err->hint[0] == '\0') as_hint(err, "Correct the value in the file, or fetch the checkpoint again.");
    return s;
}
as_status as_config_parse(as_config *out, as_str text, const char *where, as_err *err) {
    *out = (as_config){0};
    as_json *raw = NULL;
    as_status s = as_json_parse(&raw, text, where, 0, err);
    if (s == AS_OK) s = from_raw(out, raw, where, err);
    return advise(s, err);
}
as_status as_config_read(as_config *out, const char *dir, as_err *err) {
    *out = (as_config){0};
    char *path = as_path_join(dir, "config.json");
    if (!path) return as_fail_nomem(err, "a path", 0);
    as_json *raw = NULL;
    as_status s;
    if (!as_dir_exists(dir)) {
        s = as_fail(err, AS_IO, "%s: no such model folder", dir);
        as_hint(err, "MODEL is a folder in Hugging Face layout: config.json, tokenizer.json or vocab.txt, model.safetensors.");
    } else {
        s = as_json_read(&raw, path, err);
    }
    if (s == AS_OK) s = from_raw(out, raw, path, err);
    as_free(path);
    return advise(s, err);
}

void as_config_free(as_config *c) {
    for (int i = 0; c->labels && i < c->num_labels; i++) as_free(c->labels[i]);
    as_free(c->labels);
    as_free(c->path);
    as_json_free(c->raw);
    memset(c, 0, sizeof *c);
}

/* --- saving --- */
static void write_labels(as_buf *b, const as_config_change *g, bool inverse) {
    as_buf_str(b, "{");
    for (int i = 0; i < g->num_labels; i++) {
        if (i) as_buf_str(b, ",");
        as_buf_str(b, "\n    ");
        if (inverse) {
            as_buf_json_str(b, as_str_of(g->labels[i]));
            as_buf_fmt(b, ": %d", i);
        } else {
            as_buf_fmt(b, "\"%d\": ", i);
            as_buf_json_str(b, as_str_of(g->labels[i]));
        }
    }
    as_buf_str(b, "\n  }");
}
static const char *const problem_names[] = {
    [AS_PROBLEM_SINGLE] = "single_label_classification", [AS_PROBLEM_MULTI] = "multi_label_classification", [AS_PROBLEM_REGRESSION] = "regression"};

/* One member of the new file; false when the change leaves it out. */
static bool write_member(as_buf *b, as_str key, const as_json *value, const as_config_change *g) {
    const bool ours = as_str_is(key, "architectures") || as_str_is(key, "dtype") || as_str_is(key, "torch_dtype") ||
                      (g->labels && (as_str_is(key, "id2label") || as_str_is(key, "label2id") || as_str_is(key, "num_labels"))) ||
                      (g->problem && as_str_is(key, "problem_type")) || (g->untie && as_str_is(key, "tie_word_embeddings"));
    if (ours) return false;
    as_buf_str(b, ",\n  ");
    as_buf_json_str(b, key);
    as_buf_str(b, ": ");
    as_json_dump(b, value, 0);
    return true;
}

as_status as_config_write(const as_config *c, const as_config_change *g, const char *path, as_err *err) {
    as_buf b = {0};
    as_buf_str(&b, "{\n  \"architectures\": [");
    as_buf_json_str(&b, as_str_of(g->architecture ? g->architecture : c->architecture));
    as_buf_fmt(&b, "],\n  \"dtype\": \"%s\"", g->bf16 ? "bfloat16" : "float32");
    if (g->labels) {
        as_buf_str(&b, ",\n  \"id2label\": ");
        write_labels(&b, g, false);
        as_buf_str(&b, ",\n  \"label2id\": ");
        write_labels(&b, g, true);
    }
    if (g->problem) as_buf_fmt(&b, ",\n  \"problem_type\": \"%s\"", problem_names[g->problem]);
    if (g->untie) as_buf_str(&b, ",\n  \"tie_word_embeddings\": false");
    for (as_json_iter *it = as_json_first(c->raw); it; it = as_json_next(c->raw, it))
        (void)write_member(&b, as_json_iter_key(it), as_json_iter_value(it), g);
    as_buf_str(&b, "\n}\n");
    const as_status s = b.failed ? as_fail_nomem(err, "config.json", b.n) : as_file_write(path, b.p, b.n, err);
    as_buf_free(&b);
    return s;
}

static int64_t at_least_one(int64_t n) { return n > 0 ? n : 1; }
as_status as_config_narrow(as_config *out, const as_config *c, int64_t by, as_err *err) {
    *out = (as_config){0};
    const as_config_keys *k = as_arch_find(as_str_of(c->model_type))->keys;
    const int64_t hidden = at_least_one(c->hidden / by);
    int64_t heads = at_least_one(c->heads / by);
    while (hidden % heads != 0) heads--;
    const struct { const char *key; int64_t value; } changes[] = {
        {k->hidden.key, hidden}, {k->heads.key, heads}, {k->inter.key, at_least_one(c->inter / by)}, {k->embedding.key, c->embedding}};
    as_buf b = {0};
    as_buf_str(&b, "{");
    for (size_t i = 0; i < AS_COUNT(changes); i++)
        if (changes[i].key) as_buf_fmt(&b, "%s\"%s\": %" PRId64, b.n > 1 ? ", " : "", changes[i].key, changes[i].value);
    for (as_json_iter *it = as_json_first(c->raw); it; it = as_json_next(c->raw, it)) {
        bool changed = as_str_is(as_json_iter_key(it), "architectures");
        for (size_t i = 0; i < AS_COUNT(changes); i++) changed = changed || (changes[i].key && as_str_is(as_json_iter_key(it), changes[i].key));
        if (changed) continue;
        as_buf_str(&b, ", ");
        as_buf_json_str(&b, as_json_iter_key(it));
        as_buf_str(&b, ": ");
        as_json_dump(&b, as_json_iter_value(it), 0);
    }
    as_buf_str(&b, "}");
    const as_status s = b.failed ? as_fail_nomem(err, "a config", b.n) : as_config_parse(out, (as_str){b.p, b.n}, c->path, err);
    as_buf_free(&b);
    return s;
}
