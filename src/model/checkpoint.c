#include "model/model.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/model_impl.h"
#include <stdio.h>
#include <string.h>

/* The labels of the head: the caller's, else the config's. */
static as_status choose_labels(as_model *m, as_err *err) {
    char *const *from = m->opts.labels ? m->opts.labels : m->config.labels;
    m->num_labels = m->opts.labels ? m->opts.num_labels : m->config.num_labels;
    m->problem = m->opts.problem ? m->opts.problem : m->config.problem;
    if (!m->problem) m->problem = m->num_labels == 1 ? AS_PROBLEM_REGRESSION : AS_PROBLEM_SINGLE;
    m->labels = as_calloc((size_t)m->num_labels, sizeof *m->labels);
    if (!m->labels) return as_fail_nomem(err, "labels", 0);
    for (int i = 0; i < m->num_labels; i++)
        if (!(m->labels[i] = as_strdup(from[i]))) return as_fail_nomem(err, "labels", 0);
    return AS_OK;
}

/* Memory is said before the work: private masters and packs (twice in training), not the mapped tables. */
static as_status check_memory(const as_model *m, as_err *err) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->param_count; i++) {
        uint64_t n;
        if (!as_mul_u64((uint64_t)m->params[i]->rows, (uint64_t)m->params[i]->cols, &n) || !as_mul_u64(n, m->opts.train ? 16 : 4, &n) ||
            !as_add_u64(bytes, n, &bytes))
            bytes = UINT64_MAX;
    }
    const uint64_t have = as_mem_available();
    if (bytes <= have) return AS_OK;
    (void)as_fail(err, AS_NOMEM, "%s: needs about %llu MB of memory, %llu MB are free", m->dir, (unsigned long long)(bytes >> 20),
                  (unsigned long long)(have >> 20));
    as_hint(err, "Use a smaller model, or a machine with more memory.");
    return AS_NOMEM;
}

/* Like transformers 5, a config that ties is not believed when the file holds two different tensors. */
static bool ties_broken(const as_model *m) {
    bool broken = false;
    for (size_t i = 0; i < AS_COUNT(m->arch->ties) && m->arch->ties[i].source; i++) {
        const as_weight_view *a = as_model_find(m, m->arch->ties[i].source), *b = as_model_find(m, m->arch->ties[i].copy);
        if (!a || !b || a->data == b->data) continue; /* torch files give both names one storage */
        if (a->dtype == b->dtype && a->numel == b->numel && memcmp(a->data, b->data, (size_t)a->numel * as_dtype_size(a->dtype)) == 0) continue;
        as_log_line(m->opts.log, AS_WARN, "%s: \"%s\" and \"%s\" differ although config.json ties them: both are used", m->dir, a->name, b->name);
        broken = true;
    }
    return broken;
}

static as_status choose_pieces(as_model *m, as_err *err) {
    const struct as_arch_head *head = &m->arch->heads[m->opts.head];
    if (!head->name) {
        (void)as_fail(err, AS_USAGE, "%s: the architecture %s has no %s head", m->dir, m->arch->model_type, as_head_name(m->opts.head));
        as_hint(err, "Use a model of another architecture.");
        return AS_USAGE;
    }
    m->pieces = head->pieces;
    if (m->config.embedding != m->config.hidden) m->pieces |= PIECE_PROJECT;
    if (as_model_is_lm(m) && (!m->config.tied || ties_broken(m))) m->pieces |= PIECE_DECODER;
    /* What a headless model saves has the pooler that it came with, since transformers' class has one. */
    for (size_t i = 0; m->opts.head == AS_HEAD_NONE && m->opts.train && i < m->arch->row_count; i++)
        if (m->arch->rows[i].piece == PIECE_POOLER && as_model_find(m, m->arch->rows[i].name)) m->pieces |= PIECE_POOLER;
    return AS_OK;
}

static as_status open_into(as_model *m, const char *dir, as_config *c, as_err *err) {
    if (c) m->config = *c, memset(c, 0, sizeof *c);
    if (!(m->dir = as_strdup(dir))) return as_fail_nomem(err, "a path", 0);
    if (!m->config.raw) AS_TRY(as_config_read(&m->config, dir, err));
    m->arch = as_arch_find(as_str_of(m->config.model_type));
    if (!m->opts.fresh) AS_TRY(as_weights_open(&m->files, dir, err));
    AS_TRY(choose_pieces(m, err));
    AS_TRY(choose_labels(m, err));
    AS_TRY(as_model_expand(m, err));
    AS_TRY(check_memory(m, err));
    AS_TRY(as_model_load(m, err));
    return m->opts.train && m->opts.head == AS_HEAD_RTD ? as_model_open_generator(m, err) : AS_OK;
}

as_status as_model_open_config(as_model **out, as_engine *e, const char *dir, as_config *c, const as_model_opts *o, as_err *err) {
    *out = NULL;
    as_model *m = as_calloc(1, sizeof *m);
    if (!m) {
        if (c) as_config_free(c);
        return as_fail_nomem(err, "a model", sizeof *m);
    }
    m->e = e, m->opts = *o;
    const as_status s = open_into(m, dir, c, err);
    m->opts.labels = NULL; /* borrowed for the call only */
    if (s == AS_OK)
        *out = m;
    else
        as_model_free(m);
    return s;
}
as_status as_model_open(as_model **out, as_engine *e, const char *dir, const as_model_opts *o, as_err *err) {
    return as_model_open_config(out, e, dir, NULL, o, err);
}

void as_model_free(as_model *m) {
    if (!m) return;
    for (size_t i = 0; i < m->param_count; i++) as_pack_free(m->params[i]->pack);
    for (size_t i = 0; i < m->pair_count; i++) as_free(m->pair_names[i]);
    as_free(m->pair_names);
    if (m->generator) m->generator->param_count = 0; /* its packs were among these */
    as_model_free(m->generator);
    for (size_t i = 0; i < m->slot_count; i++) as_free(m->slots[i].name), as_free(m->slots[i].alias);
    for (int i = 0; m->labels && i < m->num_labels; i++) as_free(m->labels[i]);
    if (m->weights) {
        void *layers;
        memcpy(&layers, (char *)m->weights + m->arch->layers_at, sizeof layers);
        as_free(layers);
    }
    as_free(m->labels), as_free(m->slots), as_free(m->params), as_free(m->weights), as_free(m->dir);
    as_free_aligned(m->block);
    as_arena_deinit(&m->packs);
    as_weights_close(m->files);
    as_config_free(&m->config);
    as_free(m);
}

const as_config *as_model_config(const as_model *m) { return &m->config; }
const void *as_model_weights(const as_model *m) { return m->weights; }
as_engine *as_model_engine(const as_model *m) { return m->e; }
const char *as_model_dir(const as_model *m) { return m->dir; }
as_head as_model_head(const as_model *m) { return m->opts.head; }
as_problem as_model_problem(const as_model *m) { return m->problem; }
int as_model_num_labels(const as_model *m) { return m->num_labels; }
char *const *as_model_labels(const as_model *m) { return m->labels; }
bool as_model_head_is_fresh(const as_model *m) { return m->head_fresh; }
int64_t as_model_missing(const as_model *m) { return m->missing; }
size_t as_model_param_count(const as_model *m) { return m->param_count; }
as_param *as_model_param(const as_model *m, size_t i) { return m->params[i]; }
size_t as_model_bytes(const as_model *m) {
    return m->block_floats * sizeof(float) + m->pack_bytes + (m->generator ? as_model_bytes(m->generator) : 0);
}
int64_t as_model_parameters(const as_model *m) {
    int64_t n = 0;
    for (size_t i = 0; i < m->param_count; i++) n += m->params[i]->rows * m->params[i]->cols;
    return n;
}
void as_model_set_dropout(as_model *m, float p) {
    if (p >= 0.0f) m->config.dropout = m->config.embedding_dropout = m->config.attention_dropout = m->config.classifier_dropout = p;
    if (m->generator) as_model_set_dropout(m->generator, p);
}

as_status as_model_rename_labels(as_model *m, char *const *names, as_err *err) {
    for (int i = 0; i < m->num_labels; i++) {
        char *copy = as_strdup(names[i]);
        if (!copy) return as_fail_nomem(err, "labels", 0);
        as_free(m->labels[i]);
        m->labels[i] = copy;
    }
    return AS_OK;
}

const as_param *as_model_word(const as_model *m) {
    for (size_t i = 0; i < m->slot_count; i++) {
        const as_weight_row *r = m->slots[i].row;
        if (r->kind == WEIGHT_TABLE && r->rows == DIM_VOCAB && r->piece == PIECE_BASE) return m->slots[i].param;
    }
    return NULL;
}
int64_t as_model_depth(const as_model *m, const as_param *p) {
    for (size_t i = 0; i < m->slot_count; i++)
        if (m->slots[i].param == p) return m->slots[i].depth;
    return m->generator ? as_model_depth(m->generator, p) : 0;
}

bool as_files_have_classifier(const as_config *c, const as_weight_files *w) {
    const as_arch *a = as_arch_find(as_str_of(c->model_type));
    for (size_t i = 0; i < a->row_count; i++)
        if (a->rows[i].piece == PIECE_CLASSIFIER && a->rows[i].rows == DIM_LABELS && as_weights_find(w, a->rows[i].name)) return true;
    return false;
}
as_status as_model_has_classifier(bool *out, const char *dir, as_err *err) {
    as_weight_files *w = NULL;
    as_config c;
    *out = false;
    AS_TRY(as_config_read(&c, dir, err));
    const as_status s = as_weights_open(&w, dir, err);
    if (s == AS_OK) *out = as_files_have_classifier(&c, w);
    as_weights_close(w);
    as_config_free(&c);
    return s;
}

as_status as_model_digest(const as_model *m, char hex[65], as_err *err) {
    as_buf all = {0};
    as_buf_str(&all, m->arch->model_type);
    as_json_dump(&all, m->config.raw, 0);
    as_status s = AS_OK;
    if (m->opts.fresh)
        as_buf_fmt(&all, "fresh %llu", (unsigned long long)m->opts.seed);
    else
        for (size_t i = 0; s == AS_OK && i < as_weights_file_count(m->files); i++) {
            as_sha256 h;
            s = as_sha256_file(&h, as_weights_file_path(m->files, i), err);
            if (s == AS_OK) as_buf_str(&all, h.hex);
        }
    if (s == AS_OK && m->generator) {
        char more[65];
        s = as_model_digest(m->generator, more, err);
        if (s == AS_OK) as_buf_str(&all, more);
    }
    if (s == AS_OK && all.failed) s = as_fail_nomem(err, "a digest", all.n);
    if (s == AS_OK) memcpy(hex, as_sha256_of(all.p, all.n).hex, 65);
    as_buf_free(&all);
    return s;
}

/* --- saving --- */
/* Each slot is rows of its parameter, so a fused parameter is written as the tensors it was read from. Masters are needed:
 * a model opened for training, or one whose linear weights are still in its files. */
static as_status rounded(as_weight_view *v, as_err *err) {
    const float *w = v->data;
    uint16_t *half = as_alloc((size_t)v->numel, sizeof *half); /* free_views */
    if (!half) return as_fail_nomem(err, "saving", (size_t)v->numel * sizeof *half);
    for (int64_t i = 0; i < v->numel; i++) half[i] = as_f32_to_bf16(w[i]);
    v->data = half, v->dtype = AS_BF16;
    return AS_OK;
}
static as_status view_slot(const as_model *m, const as_slot *s, as_dtype dtype, as_weight_view *v, as_err *err) {
    const as_param *p = s->param;
    const bool matrix = s->row->kind == WEIGHT_LINEAR || s->row->kind == WEIGHT_TABLE;
    *v = (as_weight_view){.name = s->name, .dtype = AS_F32, .rank = matrix ? 2 : 1, .numel = s->rows * s->cols};
    v->shape[0] = v->rank == 1 ? s->cols : s->rows, v->shape[1] = s->cols;
    if (!p->w) return as_fail(err, AS_USAGE, "%s: was opened for inference and cannot be saved", m->dir);
    const float *w = p->w + (p->rows == 1 ? s->at : s->at * p->cols);
    v->data = w;
    if (!(s->row->flags & ROW_TRANSPOSED)) return dtype == AS_BF16 ? rounded(v, err) : AS_OK;
    float *turned = as_alloc((size_t)v->numel, sizeof *turned); /* free_views */
    v->data = turned, v->shape[0] = s->cols, v->shape[1] = s->rows;
    if (!turned) return as_fail_nomem(err, "saving", (size_t)v->numel * sizeof *turned);
    as_transpose(turned, w, s->rows, s->cols);
    if (dtype != AS_BF16) return AS_OK;
    const as_status r = rounded(v, err);
    if (r == AS_OK) as_free(turned);
    return r;
}
static void free_views(const as_model *m, as_weight_view *v) {
    for (size_t i = 0; v && i < m->slot_count; i++)
        if (m->slots[i].row->flags & ROW_TRANSPOSED || v[i].dtype == AS_BF16) as_free((void *)(uintptr_t)v[i].data);
    as_free(v);
}

static as_status save_generator(const as_model *m, const char *dir, as_dtype dtype, as_err *err) {
    char *path = as_path_join(dir, "generator");
    const as_status s = path ? as_model_save_as(m->generator, path, dtype, err) : as_fail_nomem(err, "a path", 0);
    as_free(path);
    return s;
}
as_status as_model_save(const as_model *m, const char *dir, as_err *err) { return as_model_save_as(m, dir, AS_F32, err); }
as_status as_model_save_as(const as_model *m, const char *dir, as_dtype dtype, as_err *err) {
    AS_TRY(as_dir_make(dir, err));
    as_weight_view *v = as_calloc(m->slot_count, sizeof *v);
    char *config = as_path_join(dir, "config.json"), *weights = as_path_join(dir, "model.safetensors");
    as_status s = v && config && weights ? AS_OK : as_fail_nomem(err, "saving", 0);
    for (size_t i = 0; s == AS_OK && i < m->slot_count; i++) {
        s = view_slot(m, &m->slots[i], dtype, &v[i], err);
        /* The headless class of transformers has no prefix. */
        if (m->opts.head == AS_HEAD_NONE && strncmp(v[i].name, m->arch->prefix, strlen(m->arch->prefix)) == 0) v[i].name += strlen(m->arch->prefix);
    }
    const bool classify = m->opts.head == AS_HEAD_CLASSIFY;
    const as_config_change g = {.architecture = m->arch->heads[m->opts.head].name, .labels = classify ? m->labels : NULL, .num_labels = m->num_labels,
                                .problem = classify ? m->problem : AS_PROBLEM_UNSET, .bf16 = dtype == AS_BF16, .untie = m->config.tied && (m->pieces & PIECE_DECODER)};
    if (s == AS_OK) s = as_safetensors_write(weights, v, m->slot_count, err);
    if (s == AS_OK) s = as_config_write(&m->config, &g, config, err);
    free_views(m, v), as_free(config), as_free(weights);
    return s == AS_OK && m->generator ? save_generator(m, dir, dtype, err) : s;
}
