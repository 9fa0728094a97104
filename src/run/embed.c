/* embed.c: sentence vectors, pooled as the checkpoint says (sentence-transformers: modules.json, 1_Pooling, 2_Normalize). */
#include "base/file.h"
#include "base/mem.h"
#include "run/session.h"
#include <string.h>

/* A JSON file of the checkpoint folder, or NULL when it has none. */
static as_status optional(const char *dir, const char *name, as_json **out, as_err *err) {
    *out = NULL;
    char *path = as_path_join(dir, name);
    if (!path) return as_fail_nomem(err, "a path", 0);
    const as_status s = as_file_exists(path) ? as_json_read(out, path, err) : AS_OK;
    as_free(path);
    return s;
}

static as_status read_pooling(const char *dir, as_answer_opts *o, as_err *err) {
    as_json *p, *modules;
    o->pooling = AS_POOL_MEAN;
    AS_TRY(optional(dir, "1_Pooling/config.json", &p, err));
    if (p) {
        if (as_json_bool(as_json_get(p, "pooling_mode_cls_token"), false)) o->pool_first = true;
        else if (as_json_bool(as_json_get(p, "pooling_mode_max_tokens"), false)) o->pooling = AS_POOL_MAX;
        else if (as_json_bool(as_json_get(p, "pooling_mode_mean_sqrt_len_tokens"), false)) o->pooling = AS_POOL_MEAN_SQRT;
        as_json_free(p);
    }
    AS_TRY(optional(dir, "modules.json", &modules, err));
    for (size_t i = 0; i < as_json_count(modules); i++) {
        const as_str type = as_json_str(as_json_get(as_json_at(modules, i), "type"), AS_LIT(""));
        static const char end[] = ".Normalize";
        if (type.n >= sizeof end - 1 && memcmp(type.p + type.n - (sizeof end - 1), end, sizeof end - 1) == 0) o->unit = true;
    }
    as_json_free(modules);
    return AS_OK;
}

/* sentence_bert_config.json: max_seq_length cuts shorter than the tokenizer does. */
static as_status read_length(as_session *s, const as_job *j, as_err *err) {
    as_json *c;
    if (j->max_length > 0) return AS_OK;
    AS_TRY(optional(j->model, "sentence_bert_config.json", &c, err));
    const int64_t n = as_json_int(as_json_get(c, "max_seq_length"), 0);
    if (n > 0 && n < s->max_length) s->max_length = n;
    as_json_free(c);
    return AS_OK;
}

typedef struct keeping { float *v; int64_t dim; } keeping;
static as_status keep(void *ctx, const as_answer *a, int64_t n, as_err *err) {
    (void)err;
    const keeping *k = ctx;
    for (int64_t i = 0; i < n; i++) memcpy(k->v + a[i].item * k->dim, a[i].v, (size_t)k->dim * sizeof *k->v);
    return AS_OK;
}

static as_status embed(as_session *s, const as_job *j, as_records *r, as_encoded *e, float **v, as_err *err) {
    as_answer_opts o = {.request = AS_REQUEST_EMBED, .batch_tokens = j->batch_tokens, .stop = as_interrupted};
    AS_TRY(read_pooling(j->model, &o, err));
    AS_TRY(read_length(s, j, err));
    AS_TRY(as_session_encode(s, j, r, e, err));
    const int64_t dim = as_model_config(s->model)->hidden;
    *v = as_alloc((size_t)(r->n * dim), sizeof **v);
    if (!*v) return as_fail_nomem(err, "vectors", (size_t)(r->n * dim) * sizeof **v);
    as_progress p;
    as_progress_begin(&p, j->progress_fd, j->progress_fd < 0, "embed", r->n);
    o.progress = &p;
    const as_status st = as_answer_items(s->model, e, NULL, 0, &o, keep, &(keeping){*v, dim}, err);
    as_progress_end(&p);
    return st;
}

as_status as_run_embed(const as_job *j, const as_str *texts, int64_t count, as_vector_sink sink, void *ctx, as_err *err) {
    as_session s;
    as_encoded e = {0};
    float *v = NULL;
    if (count == 0) return AS_OK;
    AS_TRY(as_session_open(&s, j, (as_model_opts){.head = AS_HEAD_NONE, .seed = j->seed}, err));
    as_records r = {.n = count, .v = as_calloc((size_t)count, sizeof *r.v)};
    as_status st = r.v ? AS_OK : as_fail_nomem(err, "texts", 0);
    for (int64_t i = 0; st == AS_OK && i < count; i++) r.v[i] = (as_record){.text = texts[i], .line = i + 1, .label = -1};
    if (st == AS_OK) st = embed(&s, j, &r, &e, &v, err);
    const int64_t dim = as_model_config(s.model)->hidden;
    for (int64_t i = 0; st == AS_OK && i < count; i++) st = sink(ctx, i, texts[i], v + i * dim, dim, err);
    as_free(v), as_free(r.v);
    as_encoded_free(&e);
    as_session_close(&s);
    return st;
}
