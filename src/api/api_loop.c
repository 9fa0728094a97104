/* api_loop.c: the loop in the caller's hands: batches, forward, backward, step. A step is made of the same pieces as one of
 * as_train with one gradient shard, in the same order, so it has the same bits.
 *
 * Model, optimizer and batches know of each other only while all are open: what is freed first parts from the others, so that
 * a stale handle is an error and never a stray pointer. */
#include "api/api_impl.h"
#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct assay_batches {
    assay_model *model;      /* NULL once that is freed */
    assay_batches *next;     /* of the same model */
    as_tuning data;          /* records, ids, targets; without a session */
    as_recipe recipe;        /* batch size, seed of the order */
    as_supervised train;     /* a view of the above */
    as_objective objective;  /* of train */
    bool shuffle;
    int64_t *index, *order;  /* [records] as in the data; as this epoch has them */
    int64_t *by, *sorted;    /* [batch_size] the newest batch as it is packed: places in it, and records */
    int32_t *label;          /* [batch_size] */
    int64_t begin, count;    /* the newest batch, in order */
    int64_t at, epoch, number;
};

struct assay_optimizer {
    assay_model *model;      /* NULL once that is freed; then opt is, too */
    as_optimizer *opt;
    as_recipe recipe;
    as_rates rates;          /* of all steps so far: rows that are updated lazily replay them */
    double lr;
    int64_t steps;
    int32_t *ids;            /* [ids_n] distinct token ids since the gradients were zeroed, in the order of their slots */
    size_t ids_cap;
    int64_t ids_n;
    float *aside;            /* a copy of the gradients, while the optimiser zeroes its own */
    size_t aside_cap;
    bool holds;              /* there are gradients: a backward pass since they were zeroed */
    bool ready;              /* and one since the last step */
};

static as_status misuse(as_err *err, const char *what, const char *hint) {
    (void)as_fail(err, AS_USAGE, "%s", what);
    as_hint(err, "%s", hint);
    return AS_USAGE;
}

/* --- batches --- */
assay_batches_opts assay_batches_defaults(void) {
    const as_recipe r = as_recipe_defaults();
    return (assay_batches_opts){.batch_size = r.batch_size, .shuffle = 1, .seed = r.seed};
}

static as_status fill_batches(assay_batches *b, assay_model *m, const assay_data *data, as_err *err) {
    as_tuning *t = &b->data;
    AS_TRY(as_api_records(m, data, &t->records, err));
    AS_TRY(as_session_encode(&m->ses, &m->job, &t->records, &t->encoded, err));
    AS_TRY(as_tuning_targets(t, err));
    const size_t n = (size_t)t->records.n;
    if ((int64_t)n < b->recipe.batch_size) b->recipe.batch_size = (int64_t)n;
    const size_t size = (size_t)b->recipe.batch_size;
    b->index = as_alloc(n, sizeof *b->index), b->order = as_alloc(n, sizeof *b->order);
    b->by = as_alloc(size, sizeof *b->by), b->sorted = as_alloc(size, sizeof *b->sorted), b->label = as_alloc(size, sizeof *b->label);
    if (!b->index || !b->order || !b->by || !b->sorted || !b->label) return as_fail_nomem(err, "batches", 0);
    for (size_t i = 0; i < n; i++) b->index[i] = b->order[i] = (int64_t)i;
    b->train = (as_supervised){.model = m->ses.model, .data = &t->encoded, .index = b->index, .n = (int64_t)n,
                               .targets = {.label = t->label, .sets = t->sets, .value = t->value}};
    b->objective = as_supervised_objective(&b->train);
    return AS_OK;
}

assay_status assay_batches_open(assay_batches **out, assay_model *m, const assay_data *data, const assay_batches_opts *opts, assay_err *err) {
    const assay_batches_opts o = opts ? *opts : assay_batches_defaults();
    *out = NULL;
    if (o.batch_size < 1) return misuse(err, "batch_size must be above 0", "assay_batches_defaults() gives 16.");
    assay_batches *b = as_calloc(1, sizeof *b);
    if (!b) return as_fail_nomem(err, "batches", sizeof *b);
    b->recipe = as_recipe_defaults();
    b->recipe.batch_size = o.batch_size, b->recipe.seed = o.seed, b->shuffle = o.shuffle != 0;
    const as_status s = fill_batches(b, m, data, err);
    if (s != AS_OK) {
        assay_batches_free(b);
        return s;
    }
    b->model = m, b->next = m->batches, m->batches = b;
    *out = b;
    return AS_OK;
}
void assay_batches_free(assay_batches *b) {
    if (!b) return;
    for (assay_batches **p = b->model ? &b->model->batches : NULL; p && *p; p = &(*p)->next)
        if (*p == b) {
            *p = b->next;
            break;
        }
    as_tuning_close(&b->data);
    as_free(b->index), as_free(b->order), as_free(b->by), as_free(b->sorted), as_free(b->label);
    as_free(b);
}
int64_t assay_batches_count(const assay_batches *b) { return (b->train.n + b->recipe.batch_size - 1) / b->recipe.batch_size; }

assay_status assay_next_batch(assay_batches *b, assay_batch *out, assay_err *err) {
    *out = (assay_batch){0};
    if (!b->model) return misuse(err, "the model of these batches was freed", "Free the model last.");
    const int64_t left = b->train.n - b->at;
    b->begin = b->at, b->count = left < b->recipe.batch_size ? left : b->recipe.batch_size;
    *out = (assay_batch){.count = b->count, .from = b, .number = ++b->number};
    if (left == 0) {
        b->at = 0, b->epoch++;
        return AS_OK;
    }
    if (b->at == 0 && b->shuffle) b->objective.order(&b->train, b->order, b->recipe.seed, b->epoch);
    b->at += b->count;
    const int64_t *items = b->order + b->begin;
    const as_encoded *e = &b->data.encoded;
    as_train_longest_first(b->by, &b->objective, items, b->count);
    for (int64_t i = 0; i < b->count; i++) {
        b->sorted[i] = items[b->by[i]];
        if (b->data.label) b->label[i] = b->data.label[items[i]];
        out->tokens += e->offset[items[i] + 1] - e->offset[items[i]];
    }
    out->record = items, out->label = b->data.label ? b->label : NULL;
    return AS_OK;
}

/* --- the optimizer --- */
assay_optimizer_opts assay_optimizer_defaults(void) {
    const as_recipe r = as_recipe_defaults();
    return (assay_optimizer_opts){.lr = r.lr, .weight_decay = r.weight_decay, .beta1 = r.beta1, .beta2 = r.beta2, .eps = r.eps, .clip = r.clip,
                                  .dropout = r.dropout, .accumulate = r.accumulate, .seed = r.seed};
}

static bool from_zero(double x) { return isfinite(x) && x >= 0.0; }
static as_status read_opts(as_recipe *r, const assay_optimizer_opts *o, as_err *err) {
    const char *bad = !from_zero(o->lr) ? "lr is not a number of 0 or more"
                      : !from_zero(o->weight_decay) ? "weight_decay is not a number of 0 or more"
                      : !from_zero(o->beta1) || o->beta1 >= 1.0 || !from_zero(o->beta2) || o->beta2 >= 1.0 ? "beta1 and beta2 must be from 0 to below 1"
                      : !from_zero(o->eps) || o->eps == 0.0 ? "eps must be above 0"
                      : !from_zero(o->clip) ? "clip is not a number of 0 or more"
                      : !(o->dropout < 1.0) ? "dropout must be below 1"
                      : o->accumulate < 1 ? "accumulate must be above 0" : NULL;
    if (bad) return misuse(err, bad, "Begin with assay_optimizer_defaults() and change what is to be other.");
    *r = as_recipe_defaults();
    r->weight_decay = o->weight_decay, r->beta1 = o->beta1, r->beta2 = o->beta2, r->eps = o->eps, r->clip = o->clip, r->dropout = o->dropout;
    r->accumulate = o->accumulate, r->seed = o->seed;
    return AS_OK;
}

assay_status assay_optimizer_open(assay_optimizer **out, assay_model *m, const assay_optimizer_opts *opts, assay_err *err) {
    const assay_optimizer_opts o = opts ? *opts : assay_optimizer_defaults();
    *out = NULL;
    if (m->optimizer) return misuse(err, "an optimizer is open on this model", "A model has one at a time: free the other first.");
    as_recipe recipe;
    AS_TRY(read_opts(&recipe, &o, err));
    assay_optimizer *p = as_calloc(1, sizeof *p);
    if (!p) return as_fail_nomem(err, "the optimiser", sizeof *p);
    p->recipe = recipe, p->recipe.rates = &p->rates, p->lr = o.lr;
    const as_status s = as_optimizer_new(&p->opt, m->ses.model, &p->recipe, 1, 1, err);
    if (s != AS_OK) {
        as_free(p);
        return s;
    }
    as_model_set_dropout(m->ses.model, (float)o.dropout);
    p->model = m, m->optimizer = p, m->training = true;
    *out = p;
    return AS_OK;
}
void assay_optimizer_free(assay_optimizer *o) {
    if (!o) return;
    if (o->model) {
        as_optimizer_settle(o->opt);
        as_optimizer_free(o->opt);
        o->model->optimizer = NULL, o->model->training = o->model->pending = false;
    }
    as_free(o->rates.v), as_free(o->ids), as_free_aligned(o->aside);
    as_free(o);
}
void assay_set_lr(assay_optimizer *o, double lr) { o->lr = lr; }
int64_t assay_steps(const assay_optimizer *o) { return o->steps; }

void assay_zero_grad(assay_optimizer *o) {
    if (!o) return;
    o->ids_n = 0, o->holds = o->ready = false; /* zeroed when the next forward pass begins */
    if (o->model) o->model->pending = false;
}

void as_api_settle(const assay_model *m) {
    if (m->optimizer) as_optimizer_settle(m->optimizer->opt);
}
void as_api_loop_close(assay_model *m) {
    for (assay_batches *b = m->batches; b; b = b->next) b->model = NULL;
    if (m->optimizer) {
        as_optimizer_free(m->optimizer->opt);
        m->optimizer->opt = NULL, m->optimizer->model = NULL;
    }
    if (m->pass.e) as_ctx_deinit(&m->pass);
    as_free(m->logits);
}

/* --- a step --- */
void assay_set_training(assay_model *m, int on) { m->training = on != 0; }

static const as_param *lazy_table(const as_model *m) {
    for (size_t i = 0; i < as_model_param_count(m); i++)
        if (as_model_param(m, i)->sparse) return as_model_param(m, i);
    return NULL;
}

/* Copy all gradients, of the table the rows that have one, to or from `aside`, when that is given; their count. */
static size_t copy_gradients(const assay_optimizer *o, float *aside, bool back) {
    if (aside) as_optimizer_fill(o->opt);
    const as_model *m = o->model->ses.model;
    const as_grads *g = as_optimizer_shard(o->opt, 0);
    size_t at = 0;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        if (!g->dense[p->index]) continue;
        const size_t n = (size_t)((p->sparse ? o->ids_n : p->rows) * p->cols);
        if (aside && back) memcpy(g->dense[p->index], aside + at, n * sizeof *aside);
        if (aside && !back) memcpy(aside + at, g->dense[p->index], n * sizeof *aside);
        at += n;
    }
    return at;
}
static as_status put_aside(assay_optimizer *o, as_err *err) {
    const size_t need = copy_gradients(o, NULL, false);
    if (need > o->aside_cap) {
        as_free_aligned(o->aside);
        o->aside_cap = 0;
        if (!(o->aside = as_alloc_aligned(need + need / 8, sizeof *o->aside))) return as_fail_nomem(err, "accumulated gradients", need * sizeof(float));
        o->aside_cap = need + need / 8;
    }
    (void)copy_gradients(o, o->aside, false);
    return AS_OK;
}

/* Make the rows of the batch ready. The optimiser begins a step with all of its rows known and all gradients zero; here the rows
 * come batch by batch. So it begins again with those so far and the new ones: the earlier ones keep their slots. */
static as_status begin(assay_optimizer *o, const assay_batches *b, as_err *err) {
    const as_param *table = lazy_table(o->model->ses.model);
    const int64_t before = o->ids_n;
    int64_t all = before;
    AS_TRY(b->objective.ids(&b->train, NULL, b->order + b->begin, b->count, &o->ids, &o->ids_cap, &all, err));
    if (o->holds) AS_TRY(put_aside(o, err));
    const as_status s = as_optimizer_begin(o->opt, o->ids, all, err);
    if (s != AS_OK) {
        assay_zero_grad(o); /* what there was is lost */
        return s;
    }
    if (o->holds) (void)copy_gradients(o, o->aside, true);
    if (!table) return AS_OK;
    const int32_t *slot = as_optimizer_shard(o->opt, 0)->row_slot[table->index];
    for (int64_t i = before; i < all; i++)
        if (slot[o->ids[i]] == o->ids_n) o->ids[o->ids_n++] = o->ids[i]; /* slots are given by first appearance */
    return AS_OK;
}

static as_status check_forward(const assay_model *m, const assay_batch *batch, as_err *err) {
    const assay_batches *b = batch ? batch->from : NULL;
    if (!b || b->count < 1) return misuse(err, "the batch is empty", "Take one with assay_next_batch; a count of 0 is the end of an epoch.");
    if (b->model != m) return misuse(err, "the batch is for another model", "Token ids are a model's own: open batches for each model.");
    if (batch->number != b->number) return misuse(err, "the batch is not the newest of its batches", "A batch is a view, until the next one is taken.");
    if (m->pending) return misuse(err, "a forward pass has had no backward yet", "Call assay_backward, or assay_zero_grad to drop the pass.");
    if (m->training && !m->optimizer)
        return misuse(err, "training mode without an optimizer", "Open one with assay_optimizer_open, or call assay_set_training(model, 0).");
    return AS_OK;
}

/* Answers come in the packed order, longest first; the caller's are in that of the batch. */
static as_status keep_logits(assay_model *m, const assay_batches *b, const as_tensor *logits, as_err *err) {
    const int64_t k = logits->cols;
    if (!as_grow(&m->logits, &m->logits_cap, (size_t)(b->count * k), sizeof *m->logits)) return as_fail_nomem(err, "logits", 0);
    for (int64_t i = 0; i < b->count; i++) memcpy(m->logits + b->by[i] * k, logits->x + i * k, (size_t)k * sizeof *m->logits);
    return AS_OK;
}

assay_status assay_forward(assay_model *m, const assay_batch *batch, assay_output *out, assay_err *err) {
    *out = (assay_output){0};
    AS_TRY(check_forward(m, batch, err));
    const assay_batches *b = batch->from;
    assay_optimizer *o = m->optimizer;
    as_ctx *c = &m->pass;
    if (!c->e) AS_TRY(as_ctx_init(c, m->ses.engine, 0, as_engine_threads(m->ses.engine), err));
    as_ctx_reset(c);
    c->training = m->training;
    double parts = 1.0;
    if (m->training) {
        AS_TRY(begin(o, b, err));
        c->grads = as_optimizer_shard(o->opt, 0);
        c->drop_seed = as_train_drop_seed(o->recipe.seed, o->steps);
        parts = (double)o->recipe.accumulate;
    } else {
        as_api_settle(m);
    }
    double all[AS_LOSSES];
    b->objective.denominators(&b->train, NULL, b->order + b->begin, b->count, all);
    const double scale = 1.0 / (all[0] * parts);
    const as_tensor *logits = as_supervised_forward(&b->train, c, b->sorted, b->count, (float)scale);
    if (!logits) return as_fail_nomem(err, "the activations of a batch", 0);
    if (!isfinite(c->loss)) {
        (void)as_fail(err, AS_NUMERIC, "step %" PRId64 ": the loss is not finite", (o ? o->steps : 0) + 1);
        as_hint(err, "Training diverged: use a smaller learning rate.");
        return AS_NUMERIC;
    }
    AS_TRY(keep_logits(m, b, logits, err));
    m->pending = m->training;
    *out = (assay_output){.loss = c->loss * parts, .logits = m->logits};
    return AS_OK;
}

assay_status assay_backward(assay_model *m, assay_err *err) {
    if (!m->pending) return misuse(err, "no forward pass to go back through", "Call assay_forward first, in training mode: each is gone through once.");
    m->pending = false;
    assay_optimizer *o = m->optimizer;
    if (!as_ctx_backward(&m->pass)) {
        assay_zero_grad(o); /* some of the gradients have this batch, some have not */
        return as_fail_nomem(err, "the gradients of a batch", 0);
    }
    o->holds = o->ready = true;
    return AS_OK;
}

assay_status assay_step(assay_optimizer *o, assay_err *err) {
    if (!o || !o->model) return misuse(err, "the model of this optimizer was freed", "Free the model last.");
    if (o->model->pending) return misuse(err, "a forward pass has had no backward yet", "Call assay_backward before assay_step.");
    if (!o->ready) return misuse(err, "no gradient: no backward pass since the last step", "Call assay_forward and assay_backward before assay_step.");
    if (!from_zero(o->lr)) return misuse(err, "the learning rate is not a number of 0 or more", "Set it with assay_set_lr.");
    if (!as_grow(&o->rates.v, &o->rates.cap, (size_t)o->steps + 1, sizeof *o->rates.v)) return as_fail_nomem(err, "a step", 0);
    o->rates.v[o->steps] = o->lr, o->rates.n = (size_t)o->steps + 1;
    const as_status s = as_optimizer_step(o->opt, NULL, err);
    o->steps = as_optimizer_steps(o->opt);
    if (s == AS_OK) o->ready = false;
    return s;
}
