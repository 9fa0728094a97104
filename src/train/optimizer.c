#include "train/optimizer.h"
#include "base/mem.h"
#include "base/parallel.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 15 }; /* floats of one unit of work: fixed, so that sums do not depend on threads */

typedef struct sparse {       /* a lazily updated table */
    as_param *p;
    int32_t *slot;            /* [rows] gradient slot in this step, or -1 */
    int32_t *touched;         /* [touched_n] rows with a slot */
    int64_t touched_n, touched_cap;
    int64_t *last;            /* [rows] steps that the row has had; */
    uint8_t *moved;           /* [rows] it has had a gradient: its moments may be other than 0 */
    float *grad[AS_SHARDS_MAX];
    size_t grad_cap;          /* floats */
} sparse;

typedef struct dense { as_param *p; size_t at; float rate; } dense; /* at: offset of its gradient and moments */
typedef struct unit { int dense; size_t from, n; } unit;            /* a piece of one dense parameter */

struct as_optimizer {
    as_model *m;
    as_recipe recipe;
    int shards;
    int64_t total, steps;
    dense *d;
    size_t dense_n, floats;
    float *m1, *m2, *grads;   /* [floats], [floats], [shards, floats] */
    unit *units;
    size_t unit_n;
    double *unit_squares;     /* [unit_n + rows of the sparse part] */
    sparse table;             /* the word embedding; p NULL when there is none to update lazily */
    float *table_m1, *table_m2;
    float table_rate;
    double *row_squares;
    int64_t row_squares_cap;
    as_grads *shard;          /* [shards] */
    float **pointers;         /* [shards, params] behind the shards */
    int32_t **slots;          /* [params] */
    char **names;             /* of the state's tensors */
    size_t name_n;
};

/* --- setting up --- */
static bool matches(const char *pattern, size_t n, const char *s) {
    if (n == 0) return *s == '\0';
    if (*pattern == '*') return matches(pattern + 1, n - 1, s) || (*s && matches(pattern, n, s + 1));
    return *s && (*pattern == '?' || *pattern == *s) && matches(pattern + 1, n - 1, s + 1);
}
static as_status freeze(as_model *m, const char *list, as_err *err) {
    for (size_t i = 0; i < as_model_param_count(m); i++) as_model_param(m, i)->trainable = true;
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        bool any = false;
        for (size_t i = 0; i < as_model_param_count(m); i++)
            if (matches(list, n, as_model_param(m, i)->name)) as_model_param(m, i)->trainable = false, any = true;
        if (!any) {
            (void)as_fail(err, AS_USAGE, "--freeze: no weight matches \"%.*s\"", (int)n, list);
            as_hint(err, "Weights are named as in the checkpoint, for example bert.embeddings.* or bert.encoder.layer.0.*");
            return AS_USAGE;
        }
        list += n + (list[n] == ',');
    }
    return AS_OK;
}

static float rate_of(const as_model *m, const as_param *p, double decay) {
    return (float)pow(decay, (double)(as_model_config(m)->layers + 1 - as_model_depth(m, p)));
}

static bool lazily(const as_model *m, const as_param *p) {
    /* The word table, unless a decoder is tied to it: then every row has a gradient. */
    const as_head head = as_model_head(m);
    return p == as_model_word(m) && p->rows > 1 && head != AS_HEAD_MLM && head != AS_HEAD_PRETRAIN && head != AS_HEAD_CLM && !as_model_generator(m);
}

static as_status plan_dense(as_optimizer *o, as_err *err) {
    const size_t n = as_model_param_count(o->m);
    o->d = as_calloc(n, sizeof *o->d);
    if (!o->d) return as_fail_nomem(err, "the optimiser", 0);
    for (size_t i = 0; i < n; i++) {
        as_param *p = as_model_param(o->m, i);
        p->sparse = p->trainable && lazily(o->m, p);
        const float rate = rate_of(o->m, p, o->recipe.layer_decay);
        if (p->sparse) o->table.p = p, o->table_rate = rate;
        if (!p->trainable || p->sparse) continue;
        o->d[o->dense_n++] = (dense){p, o->floats, rate};
        o->floats += ((size_t)(p->rows * p->cols) + 15) / 16 * 16;
        o->unit_n += ((size_t)(p->rows * p->cols) + CHUNK - 1) / CHUNK;
    }
    o->units = as_calloc(o->unit_n + 1, sizeof *o->units);
    o->unit_squares = as_calloc(o->unit_n + 1, sizeof *o->unit_squares);
    if (!o->units || !o->unit_squares) return as_fail_nomem(err, "the optimiser", 0);
    size_t u = 0;
    for (size_t i = 0; i < o->dense_n; i++) {
        const size_t all = (size_t)(o->d[i].p->rows * o->d[i].p->cols);
        for (size_t from = 0; from < all; from += CHUNK) o->units[u++] = (unit){(int)i, from, all - from < CHUNK ? all - from : CHUNK};
    }
    return AS_OK;
}

static as_status allocate(as_optimizer *o, as_err *err) {
    const size_t params = as_model_param_count(o->m);
    o->m1 = as_alloc_aligned(o->floats + 16, sizeof *o->m1);
    o->m2 = as_alloc_aligned(o->floats + 16, sizeof *o->m2);
    o->grads = as_alloc_aligned((o->floats + 16) * (size_t)o->shards, sizeof *o->grads);
    o->shard = as_calloc((size_t)o->shards, sizeof *o->shard);
    o->pointers = as_calloc((size_t)o->shards * params, sizeof *o->pointers);
    o->slots = as_calloc(params, sizeof *o->slots);
    if (!o->m1 || !o->m2 || !o->grads || !o->shard || !o->pointers || !o->slots)
        return as_fail_nomem(err, "gradients and moments", o->floats * sizeof(float) * (size_t)(o->shards + 2));
    for (int s = 0; s < o->shards; s++) {
        o->shard[s] = (as_grads){.dense = o->pointers + (size_t)s * params, .row_slot = o->slots};
        for (size_t i = 0; i < o->dense_n; i++) o->shard[s].dense[o->d[i].p->index] = o->grads + (size_t)s * o->floats + o->d[i].at;
    }
    sparse *t = &o->table;
    if (!t->p) return AS_OK;
    const size_t rows = (size_t)t->p->rows, all = rows * (size_t)t->p->cols;
    t->slot = as_alloc(rows, sizeof *t->slot);
    t->last = as_calloc(rows, sizeof *t->last);
    t->moved = as_calloc(rows, sizeof *t->moved);
    o->table_m1 = as_alloc_aligned(all, sizeof *o->table_m1);
    o->table_m2 = as_alloc_aligned(all, sizeof *o->table_m2);
    if (!t->slot || !t->last || !t->moved || !o->table_m1 || !o->table_m2) return as_fail_nomem(err, "moments", all * 2 * sizeof(float));
    for (size_t i = 0; i < rows; i++) t->slot[i] = -1;
    o->slots[t->p->index] = t->slot;
    return AS_OK;
}

as_status as_optimizer_new(as_optimizer **out, as_model *m, const as_recipe *r, int shards, int64_t total, as_err *err) {
    *out = NULL;
    AS_ASSERT(shards >= 1 && shards <= AS_SHARDS_MAX && (shards & (shards - 1)) == 0);
    as_optimizer *o = as_calloc(1, sizeof *o);
    if (!o) return as_fail_nomem(err, "the optimiser", sizeof *o);
    o->m = m, o->recipe = *r, o->shards = shards, o->total = total;
    as_status s = freeze(m, r->freeze, err);
    if (s == AS_OK) s = plan_dense(o, err);
    if (s == AS_OK) s = allocate(o, err);
    if (s == AS_OK)
        *out = o;
    else
        as_optimizer_free(o);
    return s;
}

void as_optimizer_free(as_optimizer *o) {
    if (!o) return;
    for (int i = 0; i < AS_SHARDS_MAX; i++) as_free_aligned(o->table.grad[i]);
    for (size_t i = 0; i < o->name_n; i++) as_free(o->names[i]);
    as_free(o->names), as_free(o->table.slot), as_free(o->table.touched), as_free(o->table.last), as_free(o->table.moved);
    as_free_aligned(o->table_m1), as_free_aligned(o->table_m2), as_free_aligned(o->m1), as_free_aligned(o->m2), as_free_aligned(o->grads);
    as_free(o->d), as_free(o->units), as_free(o->unit_squares), as_free(o->row_squares), as_free(o->shard), as_free(o->pointers), as_free(o->slots);
    as_free(o);
}

size_t as_optimizer_bytes(const as_model *m, int shards) {
    size_t bytes = 0;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        bytes += (size_t)(p->rows * p->cols) * sizeof(float) * (size_t)(2 + (lazily(m, p) ? 0 : shards));
    }
    return bytes;
}

/* --- one step's AdamW constants --- */
static as_adamw constants(const as_optimizer *o, int64_t step, float rate, bool decay, float scale) {
    const as_recipe *r = &o->recipe;
    const double t = (double)(step + 1);
    return (as_adamw){.lr = (float)as_recipe_lr(r, step, o->total) * rate, .beta1 = (float)r->beta1, .beta2 = (float)r->beta2,
                      .fresh1 = (float)(1.0 - r->beta1), .fresh2 = (float)(1.0 - r->beta2), .eps = (float)r->eps, .decay = decay ? (float)r->weight_decay : 0.0f, .scale = scale, .bias1 = (float)(1.0 - pow(r->beta1, t)),
                      .bias2 = (float)(1.0 - pow(r->beta2, t))};
}

/* --- lazy rows --- */
/* Replay the steps [last, upto) that a row missed, all with gradient 0. A row that never had one has zero moments: of the
 * update only the decay is left, w * keep + (-lr) * (0 / eps), which is w * keep to the bit. */
static void catch_up(const as_optimizer *o, int64_t row, int64_t upto) {
    const sparse *t = &o->table;
    const int64_t cols = t->p->cols, at = row * cols;
    const as_kernels *k = as_engine_kernels(as_model_engine(o->m));
    for (int64_t s = t->last[row]; s < upto; s++) {
        const as_adamw c = t->moved[row] ? constants(o, s, o->table_rate, t->p->decay, 0.0f) : (as_adamw){0};
        if (t->moved[row])
            k->adamw(t->p->w + at, o->table_m1 + at, o->table_m2 + at, NULL, cols, &c);
        else if (t->p->decay && o->recipe.weight_decay != 0.0)
            k->scale(t->p->w + at, 1.0f - (float)as_recipe_lr(&o->recipe, s, o->total) * o->table_rate * (float)o->recipe.weight_decay, cols);
    }
    t->last[row] = upto;
}
static void settle_rows(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    as_optimizer *o = ctx;
    const int64_t rows = o->table.p->rows, end = (chunk + 1) * 256 < rows ? (chunk + 1) * 256 : rows;
    for (int64_t r = chunk * 256; r < end; r++) catch_up(o, r, o->steps);
}
void as_optimizer_settle(as_optimizer *o) {
    if (o->table.p) as_parallel_dynamic(as_engine_threads(as_model_engine(o->m)), (o->table.p->rows + 255) / 256, settle_rows, o);
}

static void catch_up_touched(void *ctx, int64_t i, int thread) {
    (void)thread;
    const as_optimizer *o = ctx;
    catch_up(o, o->table.touched[i], o->steps);
}

static as_status begin_table(as_optimizer *o, const int32_t *ids, int64_t n, as_err *err) {
    sparse *t = &o->table;
    for (int64_t i = 0; i < t->touched_n; i++) t->slot[t->touched[i]] = -1;
    t->touched_n = 0;
    if (!as_grow(&t->touched, (size_t *)&t->touched_cap, (size_t)n, sizeof *t->touched)) return as_fail_nomem(err, "a step", (size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        if (t->slot[ids[i]] < 0) t->slot[ids[i]] = (int32_t)t->touched_n, t->touched[t->touched_n++] = ids[i];
    const size_t need = (size_t)(t->touched_n * t->p->cols);
    if (need > t->grad_cap) {
        t->grad_cap = need + need / 2;
        for (int s = 0; s < o->shards; s++) {
            as_free_aligned(t->grad[s]);
            if (!(t->grad[s] = as_alloc_aligned(t->grad_cap, sizeof(float)))) {
                t->grad_cap = 0;
                return as_fail_nomem(err, "embedding gradients", need * sizeof(float));
            }
        }
    }
    for (int s = 0; s < o->shards; s++) {
        memset(t->grad[s], 0, need * sizeof(float));
        o->shard[s].dense[t->p->index] = t->grad[s];
    }
    as_parallel_for(as_engine_threads(as_model_engine(o->m)), t->touched_n, catch_up_touched, o);
    return AS_OK;
}

static void zero_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    const as_optimizer *o = ctx;
    const unit *u = &o->units[i];
    for (int s = 0; s < o->shards; s++) memset(o->grads + (size_t)s * o->floats + o->d[u->dense].at + u->from, 0, u->n * sizeof(float));
}
as_status as_optimizer_begin(as_optimizer *o, const int32_t *ids, int64_t n, as_err *err) {
    if (o->table.p) AS_TRY(begin_table(o, ids, n, err));
    as_parallel_for(as_engine_threads(as_model_engine(o->m)), (int64_t)o->unit_n, zero_unit, o);
    return AS_OK;
}
as_grads *as_optimizer_shard(as_optimizer *o, int shard) { return &o->shard[shard]; }
int64_t as_optimizer_steps(const as_optimizer *o) { return o->steps; }

/* --- the step --- */
/* ((g0 + g1) + (g2 + g3)) + ...: one fixed tree, into g[0]; then the sum of squares. */
static double fold(const as_kernels *k, float *const *g, int shards, size_t at, int64_t n) {
    for (int gap = 1; gap < shards; gap *= 2)
        for (int s = 0; s + gap < shards; s += 2 * gap) k->add(g[s] + at, g[s + gap] + at, n);
    return k->sum_squares(g[0] + at, n);
}
static void fold_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    as_optimizer *o = ctx;
    const unit *u = &o->units[i];
    float *g[AS_SHARDS_MAX];
    for (int s = 0; s < o->shards; s++) g[s] = o->grads + (size_t)s * o->floats;
    o->unit_squares[i] = fold(as_engine_kernels(as_model_engine(o->m)), g, o->shards, o->d[u->dense].at + u->from, (int64_t)u->n);
}
static void fold_row(void *ctx, int64_t i, int thread) {
    (void)thread;
    as_optimizer *o = ctx;
    const int64_t cols = o->table.p->cols;
    o->row_squares[i] = fold(as_engine_kernels(as_model_engine(o->m)), o->table.grad, o->shards, (size_t)(i * cols), cols);
}

typedef struct update { as_optimizer *o; float scale; } update;
static void update_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    const update *job = ctx;
    const as_optimizer *o = job->o;
    const unit *u = &o->units[i];
    const dense *d = &o->d[u->dense];
    const as_adamw c = constants(o, o->steps, d->rate, d->p->decay, job->scale);
    as_engine_kernels(as_model_engine(o->m))->adamw(d->p->w + u->from, o->m1 + d->at + u->from, o->m2 + d->at + u->from, o->grads + d->at + u->from, (int64_t)u->n, &c);
}
static void update_row(void *ctx, int64_t i, int thread) {
    (void)thread;
    const update *job = ctx;
    const as_optimizer *o = job->o;
    const sparse *t = &o->table;
    const int64_t row = t->touched[i], at = row * t->p->cols;
    const as_adamw c = constants(o, o->steps, o->table_rate, t->p->decay, job->scale);
    as_engine_kernels(as_model_engine(o->m))->adamw(t->p->w + at, o->table_m1 + at, o->table_m2 + at, t->grad[0] + i * t->p->cols, t->p->cols, &c);
    t->moved[row] = 1;
    t->last[row] = o->steps + 1;
}

as_status as_optimizer_step(as_optimizer *o, double *norm_out, as_err *err) {
    const int threads = as_engine_threads(as_model_engine(o->m));
    sparse *t = &o->table;
    if (t->p && !as_grow(&o->row_squares, (size_t *)&o->row_squares_cap, (size_t)t->touched_n + 1, sizeof *o->row_squares))
        return as_fail_nomem(err, "a step", 0);
    as_parallel_for(threads, (int64_t)o->unit_n, fold_unit, o);
    if (t->p) as_parallel_for(threads, t->touched_n, fold_row, o);
    double squares = 0.0;
    for (size_t i = 0; i < o->unit_n; i++) squares += o->unit_squares[i];
    for (int64_t i = 0; t->p && i < t->touched_n; i++) squares += o->row_squares[i];
    const double norm = sqrt(squares);
    if (norm_out) *norm_out = norm;
    if (!isfinite(norm)) {
        (void)as_fail(err, AS_NUMERIC, "step %" PRId64 ": the gradient is not finite", o->steps + 1);
        as_hint(err, "Training diverged: use a smaller --lr, or --clip.");
        return AS_NUMERIC;
    }
    /* torch.nn.utils.clip_grad_norm_: scale by clip / (norm + 1e-6) when that is below 1. */
    const double scale = o->recipe.clip > 0.0 ? fmin(1.0, o->recipe.clip / (norm + 1e-6)) : 1.0;
    update job = {o, (float)scale};
    as_parallel_for(threads, (int64_t)o->unit_n, update_unit, &job);
    if (t->p) as_parallel_for(threads, t->touched_n, update_row, &job);
    o->steps++;
    return as_model_repack(o->m, err);
}

/* --- state --- */
static const char *keep_name(as_optimizer *o, const char *kind, const char *name) {
    char text[512];
    snprintf(text, sizeof text, "%s/%s", kind, name);
    o->names[o->name_n] = as_strdup(text);
    return o->names[o->name_n] ? o->names[o->name_n++] : NULL;
}
static void view(as_optimizer *o, as_weight_view *v, size_t *n, const char *kind, const as_param *p, as_dtype type, int64_t rows, int64_t cols, const void *data) {
    v[*n] = (as_weight_view){.name = keep_name(o, kind, p->name), .dtype = type, .rank = 2, .shape = {rows, cols}, .numel = rows * cols, .data = data};
    (*n)++;
}
as_status as_optimizer_views(as_optimizer *o, as_weight_view **out, size_t *count, as_err *err) {
    const size_t most = as_model_param_count(o->m) * 3 + 5;
    as_weight_view *v = as_calloc(most, sizeof *v);
    for (size_t i = 0; i < o->name_n; i++) as_free(o->names[i]);
    as_free(o->names);
    o->name_n = 0;
    o->names = as_calloc(most, sizeof *o->names);
    size_t n = 0;
    if (v && o->names) {
        for (size_t i = 0; i < o->dense_n; i++) {
            const as_param *p = o->d[i].p;
            view(o, v, &n, "weight", p, AS_F32, p->rows, p->cols, p->w);
            view(o, v, &n, "moment1", p, AS_F32, p->rows, p->cols, o->m1 + o->d[i].at);
            view(o, v, &n, "moment2", p, AS_F32, p->rows, p->cols, o->m2 + o->d[i].at);
        }
        const sparse *t = &o->table;
        if (t->p) {
            view(o, v, &n, "weight", t->p, AS_F32, t->p->rows, t->p->cols, t->p->w);
            view(o, v, &n, "moment1", t->p, AS_F32, t->p->rows, t->p->cols, o->table_m1);
            view(o, v, &n, "moment2", t->p, AS_F32, t->p->rows, t->p->cols, o->table_m2);
            view(o, v, &n, "last", t->p, AS_I64, t->p->rows, 1, t->last);
            view(o, v, &n, "moved", t->p, AS_U8, t->p->rows, 1, t->moved);
        }
    }
    if (!v || !o->names || o->name_n != n) {
        as_free(v);
        return as_fail_nomem(err, "a checkpoint", most * sizeof *v);
    }
    *out = v, *count = n;
    return AS_OK;
}

as_status as_optimizer_restore(as_optimizer *o, const as_weight_files *state, int64_t steps, as_err *err) {
    as_weight_view *v;
    size_t n;
    AS_TRY(as_optimizer_views(o, &v, &n, err));
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < n; i++) {
        const as_weight_view *from = as_weights_find(state, v[i].name);
        if (!from || from->dtype != v[i].dtype || from->numel != v[i].numel)
            s = as_fail(err, AS_FORMAT, "the training checkpoint has no tensor \"%s\" of this shape", v[i].name);
        else
            memcpy((void *)(uintptr_t)v[i].data, from->data, (size_t)v[i].numel * as_dtype_size(v[i].dtype));
    }
    as_free(v);
    if (s != AS_OK) return s;
    o->steps = steps;
    return as_model_repack(o->m, err);
}
