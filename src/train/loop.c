#include "train/loop.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "train/state.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What a shard came to in a step. */
typedef struct outcome { double loss; as_tally tally; bool failed; } outcome;

/* Where a step begins in its epoch, and how many items it has: an epoch's last step takes what is left. */
typedef struct place { int64_t epoch, at, n; } place;

typedef struct run {
    const as_trainer *t;
    as_optimizer *opt;
    int shards, first, end, workers, team; /* of all shards, [first, end) are this rank's */
    as_ctx *ctx;               /* [workers] */
    int64_t *order;            /* [n] this epoch's order */
    int64_t order_epoch;
    int64_t *part[AS_SHARDS_MAX], part_n[AS_SHARDS_MAX], part_tokens[AS_SHARDS_MAX];
    outcome outcome[AS_SHARDS_MAX];
    as_tally *each;            /* [shards, batch_size] */
    int32_t *ids;              /* token ids of a step */
    size_t ids_cap;
    float scale[AS_LOSSES];
    as_train_at at;
    place place;               /* of the next step */
    as_train_state state;
} run;

static int64_t items_per_step(const as_recipe *r) { return r->batch_size * r->accumulate; }
static int64_t steps_per_epoch(const as_recipe *r, int64_t n) { return (n + items_per_step(r) - 1) / items_per_step(r); }

/* Items of a step: grown linearly from an eighth over the warm-up of the batch size. */
static int64_t step_items(const as_recipe *r, int64_t step) {
    const int64_t all = items_per_step(r), least = all / 8 > 0 ? all / 8 : 1;
    if (step >= r->batch_warmup) return all;
    return least + (int64_t)((double)(all - least) * (double)step / (double)r->batch_warmup);
}
static place place_first(const as_recipe *r, int64_t n) { return (place){0, 0, step_items(r, 0) < n ? step_items(r, 0) : n}; }
static place place_next(place p, const as_recipe *r, int64_t n, int64_t step) {
    p.at += p.n;
    if (p.at >= n) p.at = 0, p.epoch++;
    p.n = step_items(r, step) < n - p.at ? step_items(r, step) : n - p.at;
    return p;
}

int64_t as_train_total_steps(const as_recipe *r, int64_t n) {
    if (r->steps > 0) return r->steps;
    const double s = ceil(r->epochs * (double)steps_per_epoch(r, n) - 1e-9);
    if (r->batch_warmup <= 0) return s < 1.0 ? 1 : (int64_t)s;
    int64_t steps = 1;
    for (place p = place_first(r, n); (double)p.epoch * (double)n + (double)(p.at + p.n) < r->epochs * (double)n; steps++)
        p = place_next(p, r, n, steps);
    return steps;
}

int as_train_shards(const as_recipe *r, const as_model *m) {
    if (r->grad_shards > 0) {
        int s = 1;
        while (s * 2 <= r->grad_shards && s * 2 <= AS_SHARDS_MAX) s *= 2;
        return s;
    }
    /* A shard costs one more gradient of the weights, of which there may be 1 GiB; where that leaves too few, threads share rows. */
    const int64_t gradient = as_model_parameters(m) * (int64_t)sizeof(float);
    int s = 1;
    while (s < AS_SHARDS_MAX && r->batch_size / (s * 2) >= 8 && s * 2 * gradient <= (int64_t)1 << 30) s *= 2;
    return s;
}

/* --- the pieces of a step --- */
uint64_t as_train_drop_seed(uint64_t seed, int64_t step) {
    const as_philox p = as_philox_at(seed, AS_STREAM_DROPOUT, (uint32_t)step, (uint32_t)(step >> 32), 0);
    return (uint64_t)p.v[0] << 32 | p.v[1];
}

void as_train_longest_first(int64_t *by, const as_objective *o, const int64_t *items, int64_t n) {
    for (int64_t i = 0; i < n; i++) { /* insertion sort: a batch is small */
        const int64_t len = o->length(o->self, items[i]);
        int64_t at = i;
        while (at > 0 && o->length(o->self, items[by[at - 1]]) < len) by[at] = by[at - 1], at--;
        by[at] = i;
    }
}

/* --- one step --- */
static void shuffle_epoch(run *r, int64_t epoch) {
    if (r->order_epoch == epoch) return;
    r->t->objective->order(r->t->objective->self, r->order, r->t->recipe->seed, epoch);
    r->order_epoch = epoch;
}

/* Items to shards, longest first to the shard with the fewest tokens: balanced, and a function of the batch alone. */
static void deal(run *r, const int64_t *items, int64_t n) {
    const as_objective *o = r->t->objective;
    for (int s = 0; s < r->shards; s++) r->part_n[s] = r->part_tokens[s] = 0;
    int64_t *by = r->part[r->shards - 1] + n; /* behind the last part: room for one batch more */
    as_train_longest_first(by, o, items, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t item = items[by[i]];
        int least = 0;
        for (int s = 1; s < r->shards; s++)
            if (r->part_tokens[s] < r->part_tokens[least]) least = s;
        r->part[least][r->part_n[least]++] = item;
        r->part_tokens[least] += o->length(o->self, item);
    }
}

static void run_shard(void *arg, int64_t own, int thread) {
    run *r = arg;
    const int64_t shard = r->first + own;
    as_ctx *c = &r->ctx[r->workers > 1 ? thread : 0];
    const as_objective *o = r->t->objective;
    const int64_t n = r->part_n[shard];
    if (n == 0) return;
    as_ctx_reset(c);
    c->training = true;
    c->grads = as_optimizer_shard(r->opt, (int)shard);
    c->drop_seed = as_train_drop_seed(r->t->recipe->seed, r->state.step);
    c->recompute = r->t->recompute;
    as_tally *each = r->each + shard * r->t->recipe->batch_size;
    outcome *sum = &r->outcome[shard];
    const bool ok = o->forward(o->self, c, &r->at, r->part[shard], n, r->scale, each) && as_ctx_backward(c);
    sum->loss += c->loss;
    for (int64_t i = 0; ok && i < n; i++)
        for (int p = 0; p < AS_LOSSES; p++) sum->tally.count[p] += each[i].count[p], sum->tally.correct[p] += each[i].correct[p];
    if (!ok) sum->failed = true;
}

/* Gradients of the step's items into the shards, batch by batch. */
static void accumulate(run *r, const int64_t *items, int64_t n) {
    const int64_t size = r->t->recipe->batch_size;
    for (int64_t i = 0; i < n; i += size) {
        deal(r, items + i, n - i < size ? n - i : size);
        if (r->workers > 1)
            as_parallel_for(r->workers, r->end - r->first, run_shard, r);
        else
            for (int s = 0; s < r->end - r->first; s++) run_shard(r, s, 0);
    }
}

/* What each rank's shards came to, to all. */
static void share_outcomes(run *r) {
    const as_tree t = {r->shards, as_comm_size(r->t->comm), as_comm_rank(r->t->comm)};
    outcome all[AS_SHARDS_MAX][AS_SHARDS_MAX];
    if (t.ranks == 1) return;
    as_comm_all(r->t->comm, all, r->outcome, sizeof r->outcome);
    for (int s = 0; s < r->shards; s++) r->outcome[s] = all[as_tree_owner(&t, s)][s];
}

/* The shards' losses in order, and their tallies, into the step's log. */
static as_status add_up(const run *r, as_train_step *log, as_err *err) {
    for (int s = 0; s < r->shards; s++) {
        if (r->outcome[s].failed) return as_fail_nomem(err, "the activations of a training step", 0);
        log->loss += r->outcome[s].loss;
        for (int p = 0; p < AS_LOSSES; p++) log->count[p] += r->outcome[s].tally.count[p], log->correct[p] += r->outcome[s].tally.correct[p];
    }
    if (isfinite(log->loss)) return AS_OK;
    (void)as_fail(err, AS_NUMERIC, "step %" PRId64 ": the loss is not finite", r->state.step + 1);
    as_hint(err, "Training diverged: use a smaller --lr.");
    return AS_NUMERIC;
}

static double epochs_done(const run *r) {
    if (r->t->recipe->batch_warmup <= 0) return (double)r->state.step / (double)steps_per_epoch(r->t->recipe, r->t->objective->n);
    return (double)r->place.epoch + (double)r->place.at / (double)r->t->objective->n;
}

static as_status one_step(run *r, as_train_step *log, as_err *err) {
    const as_recipe *re = r->t->recipe;
    const as_objective *o = r->t->objective;
    shuffle_epoch(r, r->place.epoch);
    const int64_t *items = r->order + r->place.at, n = r->place.n;
    r->at = (as_train_at){.seed = re->seed, .step = r->state.step, .epoch = r->place.epoch};
    int64_t tokens = 0;
    memset(r->outcome, 0, sizeof r->outcome);
    as_status ready = o->ids(o->self, &r->at, items, n, &r->ids, &r->ids_cap, &tokens, err);
    if (ready == AS_OK) ready = as_optimizer_begin(r->opt, r->ids, tokens, err);
    if (ready != AS_OK && as_comm_size(r->t->comm) == 1) return ready;
    for (int s = r->first; s < r->end; s++) r->outcome[s].failed = ready != AS_OK; /* the others wait to hear of it */
    double denominators[AS_LOSSES];
    o->denominators(o->self, &r->at, items, n, denominators);
    for (int i = 0; i < AS_LOSSES; i++) r->scale[i] = (float)(1.0 / denominators[i]);
    if (ready == AS_OK) accumulate(r, items, n);
    share_outcomes(r);
    *log = (as_train_step){.total = r->state.total, .tokens = tokens};
    AS_TRY(add_up(r, log, err));
    log->lr = as_recipe_lr(re, r->state.step, r->state.total);
    AS_TRY(as_optimizer_step(r->opt, &log->norm, err));
    log->step = ++r->state.step;
    r->place = place_next(r->place, re, o->n, r->state.step);
    r->state.loss_sum += log->loss, r->state.loss_n++;
    log->epoch = epochs_done(r);
    return AS_OK;
}

static bool evaluates(const run *r) {
    const as_recipe *re = r->t->recipe;
    const int64_t every = re->eval_every > 0 ? re->eval_every : steps_per_epoch(re, r->t->objective->n);
    return r->t->validate && (r->state.step % every == 0 || r->state.step == r->state.total);
}

static as_status evaluate(run *r, bool *stop, as_err *err) {
    as_optimizer_settle(r->opt);
    double score;
    as_status s = r->t->validate(r->t->ctx, r->state.step, epochs_done(r), r->state.loss_sum / (double)(r->state.loss_n ? r->state.loss_n : 1), &score, err);
    if (s != AS_OK) return as_comm_agree(r->t->comm, s, err);
    r->state.loss_last = r->state.loss_sum / (double)(r->state.loss_n ? r->state.loss_n : 1);
    r->state.loss_sum = 0.0, r->state.loss_n = 0;
    const bool last = r->t->recipe->select && strcmp(r->t->recipe->select, "last") == 0;
    if (last || r->state.best_step == 0 || score > r->state.best_score) {
        r->state.best_step = r->state.step, r->state.best_score = score, r->state.stale = 0;
        s = as_state_keep_best(&r->state, r->t, err);
    } else {
        r->state.stale++;
    }
    *stop = r->t->recipe->patience > 0 && r->state.stale >= r->t->recipe->patience;
    return as_comm_agree(r->t->comm, s, err);
}

/* The loss has left its course: tell, after AS_GUARD_BAD steps. */
static as_status check_course(run *r, double loss, as_err *err) {
    const as_guard before = r->state.guard;
    if (!r->t->guard || !as_guard_see(&r->state.guard, loss)) return AS_OK;
    (void)as_fail(err, AS_NUMERIC, "step %" PRId64 ": the loss is %.3f, and has been above %.3f for %d steps; before, it was %.3f on average", r->state.step, loss,
                  as_guard_limit(&before), AS_GUARD_BAD, before.mean);
    as_hint(err, "Training diverged: use a smaller --lr, a longer --warmup or a smaller --clip.");
    return AS_NUMERIC;
}
/* When a loss is not finite or off its course, the model of rank 0, which saves it, becomes that of the newest checkpoint: none is
 * written in bad steps. */
static void roll_back(run *r, as_trained *out) {
    as_err unseen;
    if (!r->t->guard || !as_comm_leads(r->t->comm) || as_state_read(&r->state, r->t, r->opt, &out->rolled_back, &unseen) != AS_OK) return;
    if (out->rolled_back) out->steps = r->state.step, as_optimizer_settle(r->opt);
}

static as_status checkpoint(run *r, as_err *err) {
    const as_status s = r->t->checkpoint ? r->t->checkpoint(r->t->ctx, r->state.step, false, err) : AS_OK;
    AS_TRY(as_comm_agree(r->t->comm, s, err));
    return as_comm_agree(r->t->comm, as_state_write(&r->state, r->t, r->opt, err), err);
}

/* What a rank wishes for after a step; rank 0 looks at the clock for all. */
enum { STOP = 1, SAVE = 2 };
static unsigned wishes(const run *r, double checked) {
    const as_trainer *t = r->t;
    const bool steps = t->checkpoint_steps > 0 && r->state.step % t->checkpoint_steps == 0;
    const bool due = r->state.guard.bad == 0 && as_comm_leads(t->comm) && (steps || as_clock() - checked >= t->recipe->checkpoint_minutes * 60.0);
    return as_comm_any(t->comm, (t->stop && t->stop() ? STOP : 0) | (due ? SAVE : 0));
}

static as_status say_interrupted(const run *r, const char *what_then, as_err *err) {
    (void)as_fail(err, AS_INTERRUPTED, "interrupted at step %" PRId64 " of %" PRId64, r->state.step, r->state.total);
    as_hint(err, "%s", what_then);
    return AS_INTERRUPTED;
}

static as_status loop(run *r, as_trained *out, as_err *err) {
    double checked = as_clock(), began = as_clock();
    bool stop = r->state.stopped;
    while (r->state.step < r->state.total && !stop) {
        as_train_step log;
        as_status s = one_step(r, &log, err);
        log.seconds = as_clock() - began;
        if (s == AS_OK && r->t->log) s = r->t->log(r->t->ctx, &log, err);
        if (s == AS_OK) s = check_course(r, log.loss, err);
        AS_TRY(as_comm_agree(r->t->comm, s, err));
        if (r->t->progress) as_progress_add(r->t->progress, 1, log.tokens);
        if (evaluates(r)) {
            const as_status e = evaluate(r, &stop, err);
            if (e == AS_INTERRUPTED) return say_interrupted(r, "The same command goes on from the last checkpoint.", err);
            if (e != AS_OK) return e;
        }
        r->state.stopped = stop;
        const unsigned wish = wishes(r, checked);
        const bool interrupted = (wish & STOP) != 0;
        if (r->t->state_dir && wish) {
            AS_TRY(checkpoint(r, err));
            checked = as_clock();
        }
        if (interrupted && r->state.step < r->state.total && !stop) return say_interrupted(r, "The same command goes on from here.", err);
    }
    as_optimizer_settle(r->opt);
    out->loss = r->state.loss_n ? r->state.loss_sum / (double)r->state.loss_n : r->state.loss_last;
    if (r->state.best_step > 0 && r->state.best_step != r->state.step) AS_TRY(as_state_take_best(&r->state, r->t, err));
    out->steps = r->state.step, out->total = r->state.total, out->best_step = r->state.best_step ? r->state.best_step : r->state.step;
    out->best_score = r->state.best_score, out->stopped_early = stop, out->seconds = as_clock() - began;
    return AS_OK;
}

static as_status allocate(run *r, as_err *err) {
    const as_trainer *t = r->t;
    const int threads = as_engine_threads(as_model_engine(t->model));
    AS_TRY(as_optimizer_new_on(&r->opt, t->comm, t->model, t->recipe, r->shards, r->state.total, err));
    as_optimizer_own(r->opt, &r->first, &r->end);
    r->workers = r->end - r->first >= threads ? threads : 1;
    r->team = r->workers > 1 ? 1 : threads;
    r->order = as_alloc((size_t)t->objective->n, sizeof *r->order);
    r->ctx = as_calloc((size_t)r->workers, sizeof *r->ctx);
    r->each = as_alloc((size_t)(r->shards * t->recipe->batch_size), sizeof *r->each);
    if (!r->order || !r->ctx || !r->each) return as_fail_nomem(err, "training", 0);
    for (int s = 0; s < r->shards; s++)
        if (!(r->part[s] = as_alloc((size_t)(2 * t->recipe->batch_size), sizeof **r->part))) return as_fail_nomem(err, "training", 0);
    for (int i = 0; i < r->workers; i++) AS_TRY(as_ctx_init(&r->ctx[i], as_model_engine(t->model), r->workers > 1 ? i : 0, r->team, err));
    return AS_OK;
}

static as_status prepare(run *r, as_trained *out, as_err *err) {
    const as_trainer *t = r->t;
    r->shards = as_train_shards(t->recipe, t->model);
    r->state.total = as_train_total_steps(t->recipe, t->objective->n);
    r->order_epoch = -1;
    as_model_set_dropout(t->model, (float)t->recipe->dropout);
    AS_TRY(as_comm_agree(t->comm, allocate(r, err), err));
    AS_TRY(as_state_resume(&r->state, t, r->opt, &out->resumed, err));
    r->place = place_first(t->recipe, t->objective->n);
    for (int64_t i = 0; i < r->state.step; i++) r->place = place_next(r->place, t->recipe, t->objective->n, i + 1);
    const as_status s = out->resumed && t->checkpoint ? t->checkpoint(t->ctx, r->state.step, true, err) : AS_OK;
    if (t->progress) as_progress_skip(t->progress, r->state.step);
    return as_comm_agree(t->comm, s, err);
}

as_status as_train(const as_trainer *t, as_trained *out, as_err *err) {
    *out = (as_trained){0};
    AS_ASSERT(t->objective->n > 0);
    run *r = as_calloc(1, sizeof *r);
    if (!r) return as_fail_nomem(err, "training", sizeof *r);
    r->t = t;
    as_status s = prepare(r, out, err);
    if (s == AS_OK) s = loop(r, out, err);
    if (s == AS_NUMERIC) roll_back(r, out);
    as_optimizer_free(r->opt);
    for (int i = 0; r->ctx && i < r->workers; i++) as_ctx_deinit(&r->ctx[i]);
    for (int i = 0; i < AS_SHARDS_MAX; i++) as_free(r->part[i]);
    as_state_free(&r->state);
    as_free(r->ctx), as_free(r->each), as_free(r->order), as_free(r->ids), as_free(r);
    return s;
}
