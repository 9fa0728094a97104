#include "train/loop.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "data/pack.h"
#include "train/state.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct run {
    const as_trainer *t;
    as_optimizer *opt;
    int shards, workers, team;
    as_ctx *ctx;               /* [workers] */
    int64_t *order;            /* [n] this epoch's order */
    int64_t order_epoch;
    int64_t *part[AS_SHARDS_MAX], part_n[AS_SHARDS_MAX], part_tokens[AS_SHARDS_MAX];
    double shard_loss[AS_SHARDS_MAX];
    bool shard_failed[AS_SHARDS_MAX];
    int32_t *ids;              /* token ids of a step */
    size_t ids_cap;
    float scale;
    as_train_state state;
} run;

static int64_t items_per_step(const as_recipe *r) { return r->batch_size * r->accumulate; }
static int64_t steps_per_epoch(const as_recipe *r, int64_t n) { return (n + items_per_step(r) - 1) / items_per_step(r); }
int64_t as_train_total_steps(const as_recipe *r, int64_t n) {
    if (r->steps > 0) return r->steps;
    const double s = ceil(r->epochs * (double)steps_per_epoch(r, n) - 1e-9);
    return s < 1.0 ? 1 : (int64_t)s;
}

int as_train_shards(const as_recipe *r, const as_model *m) {
    if (r->grad_shards > 0) {
        int s = 1;
        while (s * 2 <= r->grad_shards && s * 2 <= AS_SHARDS_MAX) s *= 2;
        return s;
    }
    /* A shard costs one more gradient of the dense weights: for a large model and a small batch, threads share rows instead. */
    if (as_model_parameters(m) > 60000000 && r->batch_size < 64) return 1;
    int s = 1;
    while (s < AS_SHARDS_MAX && r->batch_size / (s * 2) >= 8) s *= 2;
    return s;
}

/* --- the pieces of a step --- */
void as_train_order(int64_t *order, const int64_t *index, int64_t n, uint64_t seed, int64_t epoch) {
    memcpy(order, index, (size_t)n * sizeof *order);
    as_rng g = as_rng_at(seed, AS_STREAM_SHUFFLE, (uint32_t)epoch);
    as_rng_shuffle(&g, order, n);
}

uint64_t as_train_drop_seed(uint64_t seed, int64_t step) {
    const as_philox p = as_philox_at(seed, AS_STREAM_DROPOUT, (uint32_t)step, (uint32_t)(step >> 32), 0);
    return (uint64_t)p.v[0] << 32 | p.v[1];
}

static int64_t length(const as_encoded *e, int64_t item) { return e->offset[item + 1] - e->offset[item]; }

void as_train_longest_first(int64_t *by, const as_encoded *e, const int64_t *items, int64_t n) {
    for (int64_t i = 0; i < n; i++) { /* insertion sort: a batch is small */
        int64_t at = i;
        while (at > 0 && length(e, items[by[at - 1]]) < length(e, items[i])) by[at] = by[at - 1], at--;
        by[at] = i;
    }
}

as_status as_train_ids(int32_t **ids, size_t *cap, int64_t *count, const as_encoded *e, const int64_t *items, int64_t n, as_err *err) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t len = length(e, items[i]);
        if (!as_grow(ids, cap, (size_t)(*count + len), sizeof **ids)) return as_fail_nomem(err, "a step", 0);
        memcpy(*ids + *count, e->ids + e->offset[items[i]], (size_t)len * sizeof **ids);
        *count += len;
    }
    return AS_OK;
}

double as_train_denominator(const as_trainer *tr, const int64_t *items, int64_t n) {
    const as_targets *t = &tr->targets;
    if (t->sets) return (double)(n * as_model_num_labels(tr->model));
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += t->label && t->class_weight ? (double)t->class_weight[t->label[items[i]]] : 1.0;
    return sum;
}

/* Loss of the items into c->loss; false when memory ran out. */
static bool item_losses(const as_trainer *tr, as_ctx *c, as_tensor *logits, const int64_t *items, int64_t n, float scale) {
    const as_targets *t = &tr->targets;
    const int64_t labels = as_model_num_labels(tr->model);
    if (t->label) {
        int32_t *y = as_ctx_push(c, (size_t)n, sizeof *y);
        for (int64_t i = 0; y && i < n; i++) y[i] = t->label[items[i]];
        return y && as_class_loss(c, logits, y, t->class_weight, (float)tr->recipe->label_smoothing, scale, NULL);
    }
    if (t->sets) {
        uint8_t *y = as_ctx_push(c, (size_t)(n * labels), sizeof *y);
        for (int64_t i = 0; y && i < n; i++) memcpy(y + i * labels, t->sets + items[i] * labels, (size_t)labels);
        return y && as_binary_loss(c, logits, y, scale, NULL);
    }
    float *y = as_ctx_push(c, (size_t)n, sizeof *y);
    for (int64_t i = 0; y && i < n; i++) y[i] = t->value[items[i]];
    return y && as_square_loss(c, logits, y, scale, NULL);
}

as_tensor *as_train_forward(const as_trainer *t, as_ctx *c, const int64_t *items, int64_t n, float scale) {
    const as_seqs *s = as_seqs_pack(&c->arena, t->data, items, n);
    as_tensor *logits = s ? as_model_classify(t->model, c, s) : NULL;
    return logits && item_losses(t, c, logits, items, n, scale) ? logits : NULL;
}

/* --- one step --- */
static void shuffle_epoch(run *r, int64_t epoch) {
    if (r->order_epoch == epoch) return;
    as_train_order(r->order, r->t->index, r->t->n, r->t->recipe->seed, epoch);
    r->order_epoch = epoch;
}

/* Items to shards, longest first to the shard with the fewest tokens: balanced, and a function of the batch alone. */
static void deal(run *r, const int64_t *items, int64_t n) {
    const as_encoded *e = r->t->data;
    for (int s = 0; s < r->shards; s++) r->part_n[s] = r->part_tokens[s] = 0;
    int64_t *by = r->part[r->shards - 1] + n; /* behind the last part: room for one batch more */
    as_train_longest_first(by, e, items, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t item = items[by[i]];
        int least = 0;
        for (int s = 1; s < r->shards; s++)
            if (r->part_tokens[s] < r->part_tokens[least]) least = s;
        r->part[least][r->part_n[least]++] = item;
        r->part_tokens[least] += length(e, item);
    }
}

static void run_shard(void *arg, int64_t shard, int thread) {
    run *r = arg;
    as_ctx *c = &r->ctx[r->workers > 1 ? thread : 0];
    if (r->part_n[shard] == 0) return;
    as_ctx_reset(c);
    c->training = true;
    c->grads = as_optimizer_shard(r->opt, (int)shard);
    c->drop_seed = as_train_drop_seed(r->t->recipe->seed, r->state.step);
    const bool ok = as_train_forward(r->t, c, r->part[shard], r->part_n[shard], r->scale) && as_ctx_backward(c);
    r->shard_loss[shard] += c->loss;
    if (!ok) r->shard_failed[shard] = true;
}

static as_status one_step(run *r, as_train_step *log, as_err *err) {
    const as_recipe *re = r->t->recipe;
    const int64_t per_epoch = steps_per_epoch(re, r->t->n), epoch = r->state.step / per_epoch, at = r->state.step % per_epoch * items_per_step(re);
    shuffle_epoch(r, epoch);
    const int64_t *items = r->order + at, n = r->t->n - at < items_per_step(re) ? r->t->n - at : items_per_step(re);
    int64_t tokens = 0;
    AS_TRY(as_train_ids(&r->ids, &r->ids_cap, &tokens, r->t->data, items, n, err));
    AS_TRY(as_optimizer_begin(r->opt, r->ids, tokens, err));
    r->scale = (float)(1.0 / as_train_denominator(r->t, items, n));
    memset(r->shard_loss, 0, sizeof r->shard_loss);
    memset(r->shard_failed, 0, sizeof r->shard_failed);
    for (int64_t i = 0; i < n; i += re->batch_size) {
        deal(r, items + i, n - i < re->batch_size ? n - i : re->batch_size);
        if (r->workers > 1)
            as_parallel_for(r->workers, r->shards, run_shard, r);
        else
            for (int s = 0; s < r->shards; s++) run_shard(r, s, 0);
    }
    double loss = 0.0;
    for (int s = 0; s < r->shards; s++) {
        if (r->shard_failed[s]) return as_fail_nomem(err, "the activations of a training step", 0);
        loss += r->shard_loss[s];
    }
    if (!isfinite(loss)) {
        (void)as_fail(err, AS_NUMERIC, "step %" PRId64 ": the loss is not finite", r->state.step + 1);
        as_hint(err, "Training diverged: use a smaller --lr.");
        return AS_NUMERIC;
    }
    const double lr = as_recipe_lr(re, r->state.step, r->state.total);
    double norm;
    AS_TRY(as_optimizer_step(r->opt, &norm, err));
    r->state.step++;
    r->state.loss_sum += loss, r->state.loss_n++;
    *log = (as_train_step){.step = r->state.step, .total = r->state.total, .tokens = tokens, .epoch = (double)r->state.step / (double)per_epoch,
                           .loss = loss, .lr = lr, .norm = norm};
    return AS_OK;
}

static bool evaluates(const run *r) {
    const as_recipe *re = r->t->recipe;
    const int64_t every = re->eval_every > 0 ? re->eval_every : steps_per_epoch(re, r->t->n);
    return r->t->validate && (r->state.step % every == 0 || r->state.step == r->state.total);
}

static as_status evaluate(run *r, bool *stop, as_err *err) {
    as_optimizer_settle(r->opt);
    double score;
    const double epoch = (double)r->state.step / (double)steps_per_epoch(r->t->recipe, r->t->n);
    AS_TRY(r->t->validate(r->t->ctx, r->state.step, epoch, r->state.loss_sum / (double)(r->state.loss_n ? r->state.loss_n : 1), &score, err));
    r->state.loss_last = r->state.loss_sum / (double)(r->state.loss_n ? r->state.loss_n : 1);
    r->state.loss_sum = 0.0, r->state.loss_n = 0;
    const bool last = r->t->recipe->select && strcmp(r->t->recipe->select, "last") == 0;
    if (last || r->state.best_step == 0 || score > r->state.best_score) {
        r->state.best_step = r->state.step, r->state.best_score = score, r->state.stale = 0;
        AS_TRY(as_state_keep_best(&r->state, r->t, err));
    } else {
        r->state.stale++;
    }
    *stop = r->t->recipe->patience > 0 && r->state.stale >= r->t->recipe->patience;
    return AS_OK;
}

static as_status loop(run *r, as_trained *out, as_err *err) {
    double checked = as_clock(), began = as_clock();
    bool stop = r->state.stopped;
    while (r->state.step < r->state.total && !stop) {
        as_train_step log;
        AS_TRY(one_step(r, &log, err));
        log.seconds = as_clock() - began;
        if (r->t->log) AS_TRY(r->t->log(r->t->ctx, &log, err));
        if (r->t->progress) as_progress_add(r->t->progress, 1, log.tokens);
        if (evaluates(r)) AS_TRY(evaluate(r, &stop, err));
        r->state.stopped = stop;
        const bool interrupted = r->t->stop && r->t->stop();
        if (r->t->state_dir && (interrupted || as_clock() - checked >= r->t->recipe->checkpoint_minutes * 60.0)) {
            if (r->t->checkpoint) AS_TRY(r->t->checkpoint(r->t->ctx, r->state.step, false, err));
            AS_TRY(as_state_write(&r->state, r->t, r->opt, err));
            checked = as_clock();
        }
        if (interrupted && r->state.step < r->state.total && !stop) {
            (void)as_fail(err, AS_INTERRUPTED, "interrupted at step %" PRId64 " of %" PRId64, r->state.step, r->state.total);
            as_hint(err, "The same command goes on from here.");
            return AS_INTERRUPTED;
        }
    }
    as_optimizer_settle(r->opt);
    out->loss = r->state.loss_n ? r->state.loss_sum / (double)r->state.loss_n : r->state.loss_last;
    if (r->state.best_step > 0 && r->state.best_step != r->state.step) AS_TRY(as_state_take_best(&r->state, r->t, err));
    out->steps = r->state.step, out->total = r->state.total, out->best_step = r->state.best_step ? r->state.best_step : r->state.step;
    out->best_score = r->state.best_score, out->stopped_early = stop, out->seconds = as_clock() - began;
    return AS_OK;
}

static as_status prepare(run *r, as_trained *out, as_err *err) {
    const as_trainer *t = r->t;
    const int threads = as_engine_threads(as_model_engine(t->model));
    r->shards = as_train_shards(t->recipe, t->model);
    r->state.total = as_train_total_steps(t->recipe, t->n);
    r->workers = r->shards >= threads ? threads : 1;
    r->team = r->workers > 1 ? 1 : threads;
    r->order_epoch = -1;
    as_model_set_dropout(t->model, (float)t->recipe->dropout);
    r->order = as_alloc((size_t)t->n, sizeof *r->order);
    r->ctx = as_calloc((size_t)r->workers, sizeof *r->ctx);
    if (!r->order || !r->ctx) return as_fail_nomem(err, "training", 0);
    for (int s = 0; s < r->shards; s++)
        if (!(r->part[s] = as_alloc((size_t)(2 * t->recipe->batch_size), sizeof **r->part))) return as_fail_nomem(err, "training", 0);
    for (int i = 0; i < r->workers; i++) AS_TRY(as_ctx_init(&r->ctx[i], as_model_engine(t->model), r->workers > 1 ? i : 0, r->team, err));
    AS_TRY(as_optimizer_new(&r->opt, t->model, t->recipe, r->shards, r->state.total, err));
    AS_TRY(as_state_resume(&r->state, t, r->opt, &out->resumed, err));
    if (out->resumed && t->checkpoint) AS_TRY(t->checkpoint(t->ctx, r->state.step, true, err));
    if (t->progress) as_progress_skip(t->progress, r->state.step);
    return AS_OK;
}

as_status as_train(const as_trainer *t, as_trained *out, as_err *err) {
    *out = (as_trained){0};
    AS_ASSERT(t->n > 0);
    run *r = as_calloc(1, sizeof *r);
    if (!r) return as_fail_nomem(err, "training", sizeof *r);
    r->t = t;
    as_status s = prepare(r, out, err);
    if (s == AS_OK) s = loop(r, out, err);
    as_optimizer_free(r->opt);
    for (int i = 0; r->ctx && i < r->workers; i++) as_ctx_deinit(&r->ctx[i]);
    for (int i = 0; i < AS_SHARDS_MAX; i++) as_free(r->part[i]);
    as_state_free(&r->state);
    as_free(r->ctx), as_free(r->order), as_free(r->ids), as_free(r);
    return s;
}
