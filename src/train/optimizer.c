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
    as_sums sum;
    size_t grad_cap, foreign_cap; /* floats, of an own shard and of another rank's root */
    size_t begin[AS_SHARDS_MAX + 1]; /* floats: whole rows, in the order of touched, for each rank to add up */
} sparse;

typedef struct dense { as_param *p; size_t at; float rate; } dense; /* at: offset of its gradient and moments */
typedef struct unit { int dense; size_t from, n; } unit;            /* a piece of one dense parameter */

struct as_optimizer {
    as_model *m;
    as_recipe recipe;
    as_shares shares;
    int shards;               /* own ones */
    int64_t total, steps;
    dense *d;
    size_t dense_n, floats;
    float *m1, *m2, *grads;   /* [floats], [floats], [shards, floats] */
    float *foreign;           /* [others' roots, own region] */
    as_sums sum;              /* of the dense weights */
    unit *units;
    size_t unit_n;
    size_t unit_begin[AS_SHARDS_MAX + 1], float_begin[AS_SHARDS_MAX + 1]; /* the ranks' regions */
    as_parcel *send, *receive; /* stepped weights */
    size_t send_n, receive_n;
    double *unit_squares;     /* [unit_n + rows of the sparse part] */
    sparse table;             /* the word embedding; p NULL when there is none to update lazily */
    float *table_m1, *table_m2;
    float table_rate;
    double *row_squares;
    int64_t row_squares_cap;
    as_grads *shard;          /* [shards] */
    float **pointers;         /* [shards, params] behind the shards */
    uint8_t *fresh;           /* [shards, params] of the shards */
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

/* --- ranks --- */
/* Regions of about as many floats each, cut between units. */
static void cut_regions(as_optimizer *o) {
    const size_t ranks = (size_t)o->shares.tree.ranks;
    size_t u = 0;
    for (size_t r = 0; r <= ranks; r++) {
        while (u < o->unit_n && (r == ranks || o->d[o->units[u].dense].at + o->units[u].from < o->floats / ranks * r)) u++;
        o->unit_begin[r] = u;
        o->float_begin[r] = u < o->unit_n ? o->d[o->units[u].dense].at + o->units[u].from : o->floats;
    }
}

/* The weights of a rank's region as pieces without gaps. */
static size_t weight_parcels(const as_optimizer *o, int rank, int peer, as_parcel *out) {
    size_t n = 0;
    for (size_t u = o->unit_begin[rank]; u < o->unit_begin[rank + 1]; u++) {
        const unit *v = &o->units[u];
        if (u > o->unit_begin[rank] && o->units[u - 1].dense == v->dense) out[n - 1].n += v->n * sizeof(float);
        else out[n++] = (as_parcel){o->d[v->dense].p->w + v->from, v->n * sizeof(float), peer};
    }
    return n;
}

static as_status plan_regions(as_optimizer *o, as_err *err) {
    const as_tree *t = &o->shares.tree;
    cut_regions(o);
    if (as_shares_alone(&o->shares)) return AS_OK;
    const size_t most = (o->dense_n + (size_t)t->ranks) * (size_t)t->ranks;
    o->send = as_calloc(most, sizeof *o->send), o->receive = as_calloc(most, sizeof *o->receive);
    if (!o->send || !o->receive) return as_fail_nomem(err, "the optimiser", 0);
    for (int r = 0; r < t->ranks; r++) {
        if (r == t->rank) continue;
        o->send_n += weight_parcels(o, t->rank, r, o->send + o->send_n);
        o->receive_n += weight_parcels(o, r, r, o->receive + o->receive_n);
    }
    const size_t begin = o->float_begin[t->rank], region = o->float_begin[t->rank + 1] - begin;
    o->foreign = as_alloc_aligned(region * (size_t)o->shares.root_n + 16, sizeof *o->foreign);
    if (!o->foreign) return as_fail_nomem(err, "gradients of other ranks", region * sizeof(float));
    for (int k = 0; k < o->shares.root_n; k++) o->sum.p[o->shares.root[k]] = o->foreign + (size_t)k * region, o->sum.skip[o->shares.root[k]] = begin;
    return AS_OK;
}

static as_status allocate(as_optimizer *o, as_err *err) {
    const size_t params = as_model_param_count(o->m);
    o->m1 = as_alloc_aligned(o->floats + 16, sizeof *o->m1);
    o->m2 = as_alloc_aligned(o->floats + 16, sizeof *o->m2);
    o->grads = as_alloc_aligned((o->floats + 16) * (size_t)o->shards, sizeof *o->grads);
    o->shard = as_calloc((size_t)o->shards, sizeof *o->shard);
    o->pointers = as_calloc((size_t)o->shards * params, sizeof *o->pointers);
    o->fresh = as_calloc((size_t)o->shards * params, sizeof *o->fresh);
    o->slots = as_calloc(params, sizeof *o->slots);
    if (!o->m1 || !o->m2 || !o->grads || !o->shard || !o->pointers || !o->fresh || !o->slots)
        return as_fail_nomem(err, "gradients and moments", o->floats * sizeof(float) * (size_t)(o->shards + 2));
    for (int s = 0; s < o->shards; s++) {
        o->sum.p[o->shares.first + s] = o->grads + (size_t)s * o->floats;
        o->shard[s] = (as_grads){.dense = o->pointers + (size_t)s * params, .row_slot = o->slots, .fresh = o->fresh + (size_t)s * params};
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
    return as_optimizer_new_on(out, NULL, m, r, shards, total, err);
}
as_status as_optimizer_new_on(as_optimizer **out, as_comm *comm, as_model *m, const as_recipe *r, int shards, int64_t total, as_err *err) {
    *out = NULL;
    AS_ASSERT(shards >= 1 && shards <= AS_SHARDS_MAX && (shards & (shards - 1)) == 0);
    as_optimizer *o = as_calloc(1, sizeof *o);
    if (!o) return as_fail_nomem(err, "the optimiser", sizeof *o);
    o->m = m, o->recipe = *r, o->total = total;
    as_status s = as_shares_init(&o->shares, comm, shards, err);
    o->shards = o->shares.end - o->shares.first;
    if (s == AS_OK) s = freeze(m, r->freeze, err);
    if (s == AS_OK) s = plan_dense(o, err);
    if (s == AS_OK) s = plan_regions(o, err);
    if (s == AS_OK) s = allocate(o, err);
    if (s == AS_OK)
        *out = o;
    else
        as_optimizer_free(o);
    return s;
}

void as_optimizer_free(as_optimizer *o) {
    if (!o) return;
    for (int i = 0; i < AS_SHARDS_MAX; i++) as_free_aligned(o->table.sum.p[i]);
    as_free_aligned(o->foreign), as_free(o->send), as_free(o->receive);
    for (size_t i = 0; i < o->name_n; i++) as_free(o->names[i]);
    as_free(o->names), as_free(o->table.slot), as_free(o->table.touched), as_free(o->table.last), as_free(o->table.moved);
    as_free_aligned(o->table_m1), as_free_aligned(o->table_m2), as_free_aligned(o->m1), as_free_aligned(o->m2), as_free_aligned(o->grads);
    as_free(o->d), as_free(o->units), as_free(o->unit_squares), as_free(o->row_squares), as_free(o->shard), as_free(o->pointers), as_free(o->fresh), as_free(o->slots);
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

static as_status room(float **p, size_t floats, as_err *err) {
    as_free_aligned(*p);
    *p = as_alloc_aligned(floats, sizeof **p);
    return *p ? AS_OK : as_fail_nomem(err, "embedding gradients", floats * sizeof **p);
}
static as_status begin_table(as_optimizer *o, const int32_t *ids, int64_t n, as_err *err) {
    sparse *t = &o->table;
    for (int64_t i = 0; i < t->touched_n; i++) t->slot[t->touched[i]] = -1;
    t->touched_n = 0;
    if (!as_grow(&t->touched, (size_t *)&t->touched_cap, (size_t)n, sizeof *t->touched)) return as_fail_nomem(err, "a step", (size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        if (t->slot[ids[i]] < 0) t->slot[ids[i]] = (int32_t)t->touched_n, t->touched[t->touched_n++] = ids[i];
    const size_t cols = (size_t)t->p->cols, need = (size_t)t->touched_n * cols;
    if (need > t->grad_cap) {
        t->grad_cap = 0;
        for (int s = o->shares.first; s < o->shares.end; s++) AS_TRY(room(&t->sum.p[s], need + need / 2, err));
        t->grad_cap = need + need / 2;
    }
    as_shares_cut(&o->shares, t->begin, need, cols);
    const size_t from = t->begin[o->shares.tree.rank], region = t->begin[o->shares.tree.rank + 1] - from;
    if (region > t->foreign_cap) {
        t->foreign_cap = 0;
        for (int k = 0; k < o->shares.root_n; k++) AS_TRY(room(&t->sum.p[o->shares.root[k]], region + region / 2, err));
        t->foreign_cap = region + region / 2;
    }
    for (int k = 0; k < o->shares.root_n; k++) t->sum.skip[o->shares.root[k]] = from;
    for (int s = 0; s < o->shards; s++) {
        memset(t->sum.p[o->shares.first + s], 0, need * sizeof(float));
        o->shard[s].dense[t->p->index] = t->sum.p[o->shares.first + s];
    }
    if (!as_grow(&o->row_squares, (size_t *)&o->row_squares_cap, (size_t)t->touched_n + 1, sizeof *o->row_squares)) return as_fail_nomem(err, "a step", 0);
    as_parallel_for(as_engine_threads(as_model_engine(o->m)), t->touched_n, catch_up_touched, o);
    return AS_OK;
}

/* Linear weights are most of the memory, and what first adds to one writes all of it: they are left fresh instead of zeroed. */
static void zero_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    const as_optimizer *o = ctx;
    const unit *u = &o->units[i];
    const as_param *p = o->d[u->dense].p;
    for (int s = 0; s < o->shards && !p->pack; s++) memset(o->grads + (size_t)s * o->floats + o->d[u->dense].at + u->from, 0, u->n * sizeof(float));
}
static void zero_fresh(void *ctx, int64_t i, int thread) {
    (void)thread;
    const as_optimizer *o = ctx;
    const dense *d = &o->d[i];
    for (int s = 0; s < o->shards; s++) {
        uint8_t *const fresh = &o->shard[s].fresh[d->p->index];
        if (*fresh) memset(o->grads + (size_t)s * o->floats + d->at, 0, (size_t)(d->p->rows * d->p->cols) * sizeof(float));
        *fresh = 0;
    }
}
void as_optimizer_fill(as_optimizer *o) {
    as_parallel_for(as_engine_threads(as_model_engine(o->m)), (int64_t)o->dense_n, zero_fresh, o);
}
as_status as_optimizer_begin(as_optimizer *o, const int32_t *ids, int64_t n, as_err *err) {
    if (o->table.p) AS_TRY(begin_table(o, ids, n, err));
    as_parallel_for(as_engine_threads(as_model_engine(o->m)), (int64_t)o->unit_n, zero_unit, o);
    for (int s = 0; s < o->shards; s++)
        for (size_t i = 0; i < o->dense_n; i++) o->shard[s].fresh[o->d[i].p->index] = o->d[i].p->pack != NULL;
    return AS_OK;
}
as_grads *as_optimizer_shard(as_optimizer *o, int shard) { return &o->shard[shard - o->shares.first]; }
void as_optimizer_own(const as_optimizer *o, int *first, int *end) { *first = o->shares.first, *end = o->shares.end; }
int64_t as_optimizer_steps(const as_optimizer *o) { return o->steps; }

/* --- the step --- */
/* The tree over the shards, ((g0 + g1) + (g2 + g3)) + ..., and the sum of squares of what comes out. A rank adds what is its own, then,
 * in its region, the rest. */
typedef struct folding { as_optimizer *o; bool own, rest; int64_t first; } folding;
typedef struct adding { const as_kernels *k; const as_sums *g; size_t at; int64_t n; } adding;
static void add(void *ctx, int to, int from) {
    const adding *a = ctx;
    a->k->add(as_sums_at(a->g, to, a->at), as_sums_at(a->g, from, a->at), a->n);
}
static void fold(const folding *f, const as_sums *g, size_t at, int64_t n, double *squares) {
    adding a = {as_engine_kernels(as_model_engine(f->o->m)), g, at, n};
    if (f->own) as_tree_fold_own(&f->o->shares.tree, add, &a);
    if (!f->rest) return;
    as_tree_fold_rest(&f->o->shares.tree, add, &a);
    *squares = a.k->sum_squares(as_sums_at(g, 0, at), n);
}
static void fold_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    const folding *f = ctx;
    const unit *u = &f->o->units[f->first + i];
    fold(f, &f->o->sum, f->o->d[u->dense].at + u->from, (int64_t)u->n, &f->o->unit_squares[f->first + i]);
}
static void fold_row(void *ctx, int64_t i, int thread) {
    (void)thread;
    const folding *f = ctx;
    const int64_t cols = f->o->table.p->cols;
    fold(f, &f->o->table.sum, (size_t)((f->first + i) * cols), cols, &f->o->row_squares[f->first + i]);
}

/* Rows are stepped by every rank: the sums of all of them go to all, into the first own shard. */
static as_status exchange_rows(as_optimizer *o, as_err *err) {
    sparse *t = &o->table;
    const int rank = o->shares.tree.rank, threads = as_engine_threads(as_model_engine(o->m));
    const size_t cols = (size_t)t->p->cols, from = t->begin[rank], n = t->begin[rank + 1] - from;
    folding f = {.o = o, .rest = true, .first = (int64_t)(from / cols)};
    AS_TRY(as_shares_collect(&o->shares, &t->sum, t->begin, err));
    as_parallel_for(threads, (int64_t)(n / cols), fold_row, &f);
    float *all = t->sum.p[o->shares.first];
    if (n && rank != 0) memcpy(all + from, as_sums_at(&t->sum, 0, from), n * sizeof *all);
    AS_TRY(as_shares_spread(&o->shares, all, sizeof *all, t->begin, err));
    size_t rows[AS_SHARDS_MAX + 1];
    for (int r = 0; r <= o->shares.tree.ranks; r++) rows[r] = t->begin[r] / cols;
    return as_shares_spread(&o->shares, o->row_squares, sizeof *o->row_squares, rows, err);
}

static as_status fold_all(as_optimizer *o, as_err *err) {
    const int threads = as_engine_threads(as_model_engine(o->m)), rank = o->shares.tree.rank;
    folding f = {.o = o, .own = true, .rest = as_shares_alone(&o->shares)};
    as_parallel_for(threads, (int64_t)o->unit_n, fold_unit, &f);
    if (o->table.p) as_parallel_for(threads, o->table.touched_n, fold_row, &f);
    if (as_shares_alone(&o->shares)) return AS_OK;
    AS_TRY(as_shares_collect(&o->shares, &o->sum, o->float_begin, err));
    f = (folding){.o = o, .rest = true, .first = (int64_t)o->unit_begin[rank]};
    as_parallel_for(threads, (int64_t)(o->unit_begin[rank + 1] - o->unit_begin[rank]), fold_unit, &f);
    AS_TRY(as_shares_spread(&o->shares, o->unit_squares, sizeof *o->unit_squares, o->unit_begin, err));
    return o->table.p ? exchange_rows(o, err) : AS_OK;
}

typedef struct update { as_optimizer *o; float scale; } update;
static void update_unit(void *ctx, int64_t i, int thread) {
    (void)thread;
    const update *job = ctx;
    const as_optimizer *o = job->o;
    const unit *u = &o->units[o->unit_begin[o->shares.tree.rank] + (size_t)i];
    const dense *d = &o->d[u->dense];
    const as_adamw c = constants(o, o->steps, d->rate, d->p->decay, job->scale);
    as_engine_kernels(as_model_engine(o->m))->adamw(d->p->w + u->from, o->m1 + d->at + u->from, o->m2 + d->at + u->from, as_sums_at(&o->sum, 0, d->at + u->from), (int64_t)u->n, &c);
}
static void update_row(void *ctx, int64_t i, int thread) {
    (void)thread;
    const update *job = ctx;
    const as_optimizer *o = job->o;
    const sparse *t = &o->table;
    const int64_t row = t->touched[i], at = row * t->p->cols;
    const as_adamw c = constants(o, o->steps, o->table_rate, t->p->decay, job->scale);
    as_engine_kernels(as_model_engine(o->m))->adamw(t->p->w + at, o->table_m1 + at, o->table_m2 + at, t->sum.p[o->shares.first] + i * t->p->cols, t->p->cols, &c);
    t->moved[row] = 1;
    t->last[row] = o->steps + 1;
}

as_status as_optimizer_step(as_optimizer *o, double *norm_out, as_err *err) {
    const int threads = as_engine_threads(as_model_engine(o->m));
    sparse *t = &o->table;
    as_optimizer_fill(o);
    AS_TRY(fold_all(o, err));
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
    const int rank = o->shares.tree.rank;
    as_parallel_for(threads, (int64_t)(o->unit_begin[rank + 1] - o->unit_begin[rank]), update_unit, &job);
    AS_TRY(as_comm_exchange(o->shares.comm, o->send, o->send_n, o->receive, o->receive_n, err));
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

as_status as_optimizer_gather(as_optimizer *o, as_err *err) {
    AS_TRY(as_shares_gather(&o->shares, o->m1, sizeof *o->m1, o->float_begin, err));
    return as_shares_gather(&o->shares, o->m2, sizeof *o->m2, o->float_begin, err);
}

as_status as_optimizer_share(as_optimizer *o, as_err *err) {
    as_weight_view *v = NULL;
    size_t n = 0;
    AS_TRY(as_comm_agree(o->shares.comm, as_optimizer_views(o, &v, &n, err), err));
    for (size_t i = 0; i < n; i++) as_comm_broadcast(o->shares.comm, (void *)(uintptr_t)v[i].data, (size_t)v[i].numel * as_dtype_size(v[i].dtype));
    as_free(v);
    as_comm_broadcast(o->shares.comm, &o->steps, sizeof o->steps);
    return as_model_repack(o->m, err);
}
