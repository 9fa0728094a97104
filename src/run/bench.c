/* bench.c: models x seeds on one task: train what has no head for it, evaluate, compare, decide. */
#include "run/bench.h"
#include "base/file.h"
#include "base/mem.h"
#include "run/bench_impl.h"
#include "run/finetune.h"
#include "stats/many.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

as_finetune_job as_bench_training(const as_bench *w, int model, uint64_t seed, const char *out) {
    const as_bench_job *b = w->b;
    as_finetune_job f = {.job = b->job, .recipe = b->recipe, .train = w->train_path, .dev = w->dev_path,
                         .dev_fraction = w->dev_path ? 0 : b->dev_fraction, .cols = &w->cols, .out = out,
                         .scratch = b->scratch && b->scratch[model]};
    f.job.model = b->models[model], f.job.model_name = w->names[model], f.job.task_name = w->task, f.job.seed = b->job.seed, f.recipe.seed = seed;
    f.job.comm = NULL, f.job.again = b->job.again && !w->spread; /* a cell is one process's */
    return f;
}

/* --- the grid --- */
static as_bench_cell *new_cell(as_bench *w, int system, uint64_t seed) {
    as_bench_result *r = w->out;
    as_bench_cell *more = as_realloc(r->cells, r->cell_count + 1, sizeof *more);
    if (!more) return NULL;
    r->cells = more;
    more[r->cell_count] = (as_bench_cell){.system = system, .seed = seed};
    return &more[r->cell_count++];
}

/* A model's warnings (a fresh head) are told with its first seed, not with each. */
static void drop_warnings(void *ctx, as_level level, const char *line) {
    const as_log *inner = ctx;
    if (level > AS_WARN) as_log_line(inner, level, "%s", line);
}

/* What a stored run has cost: a cell that comes from the store costs nothing now. */
typedef struct recall { int64_t run; as_run_cost cost; } recall;
static as_status recall_row(void *ctx, const as_run_info *r, as_err *err) {
    (void)err;
    recall *c = ctx;
    if (r->id == c->run) c->cost = as_run_cost_parse(r->result_json);
    return AS_OK;
}
static as_status stored_cost(const as_bench *w, int64_t run, as_run_cost *out, as_err *err) {
    as_store *store;
    recall c = {.run = run};
    AS_TRY(as_store_open(&store, w->b->job.db, err));
    const as_status s = as_store_runs_each(store, recall_row, &c, err);
    as_store_close(store);
    *out = c.cost;
    return s;
}

/* A checkpoint that numbers the labels in its own way (`fit`) scores with its own numbers; gather brings them into the task's. */
static as_status evaluate(as_bench *w, as_bench_cell *cell, const char *model, const char *doing, as_fit fit, as_err *err) {
    as_job j = w->b->job;
    as_data_cols cols = w->cols;
    const as_labels *labels = &w->train.labels;
    j.model = model, j.model_name = w->names[cell->system], j.task_name = w->task, j.doing = doing;
    j.comm = NULL, j.again = w->b->job.again && !w->spread;
    if (fit == AS_FIT_BY_NAME) {
        cols.labels = NULL;
        if (!j.positive && labels->count == 2) j.positive = labels->names[1]; /* the task's second label, wherever it stands */
    }
    as_peak_memory_reset();
    as_whole_begin(j.whole, w->cost[cell->system].eval_seconds);
    AS_TRY(as_run_eval(&j, w->test_path, &cols, NULL, NULL, &cell->result, err));
    as_whole_end(j.whole, !cell->result.from_store);
    cell->eval_run = cell->result.run;
    return AS_OK;
}

static as_status train_cell(as_bench *w, as_bench_cell *cell, double lr, int64_t place, as_err *err) {
    as_buf path = {0}, doing = {0};
    const int i = cell->system;
    const int64_t number = (int64_t)(cell->seed - w->b->recipe.seed) + 1;
    as_buf_fmt(&path, "%s/%s-seed%" PRIu64, w->b->out, w->names[i], cell->seed);
    for (size_t k = strlen(w->b->out) + 1; !path.failed && k < path.n; k++)
        if (path.p[k] == '/') path.p[k] = '_'; /* a Hub id */
    as_buf_fmt(&doing, "fine-tune %s, seed %" PRId64 " of %" PRId64, w->names[i], number, w->b->seeds);
    as_status s = path.failed || doing.failed ? as_fail_nomem(err, "a path", 0) : AS_OK;
    as_finetune_result t = {0};
    if (s == AS_OK) {
        as_finetune_job f = as_bench_training(w, i, cell->seed, path.p);
        const as_log later = {.write = drop_warnings, .ctx = (void *)(uintptr_t)w->b->job.log};
        f.recipe.lr = lr, f.job.doing = doing.p;
        if (number > 1) f.job.log = &later;
        char left[32];
        as_format_time(left, sizeof left, as_whole_left(f.job.whole));
        as_log_line(w->b->job.log, AS_INFO, "%s: %" PRId64 " of %" PRId64 ", at most %s left for all", doing.p, place, w->planned, left);
        as_peak_memory_reset();
        as_whole_begin(f.job.whole, w->cost[i].plan.seconds);
        s = as_run_finetune(&f, &t, err);
        if (s == AS_OK) as_whole_end(f.job.whole, !t.from_store);
    }
    if (s == AS_OK) {
        cell->finetune_run = t.run;
        as_finetune_result_free(&t);
        s = evaluate(w, cell, path.p, doing.p, AS_FIT_AS_IS, err);
    }
    as_buf_free(&path), as_buf_free(&doing);
    return s;
}

as_status as_bench_run_cell(as_bench *w, as_bench_cell *cell, double lr, int64_t place, as_err *err) {
    char doing[512];
    const as_fit fit = w->cost[cell->system].fit;
    if (fit == AS_FIT_NONE) return train_cell(w, cell, lr, place, err);
    snprintf(doing, sizeof doing, "evaluate %s", w->names[cell->system]);
    return evaluate(w, cell, w->b->models[cell->system], doing, fit, err);
}

/* Steps and cost of one training, without doing it. */
static as_status plan_model(as_bench *w, int model, as_plan *plan, as_err *err) {
    as_finetune_job f = as_bench_training(w, model, w->b->recipe.seed, NULL);
    f.job.dry_run = true, f.job.log = NULL;
    as_finetune_result t;
    AS_TRY(as_run_finetune(&f, &t, err));
    *plan = t.plan;
    as_finetune_result_free(&t);
    return AS_OK;
}

/* A checkpoint with a head for the task: scoring is all that it costs. */
static as_status plan_scoring(as_bench *w, int model, double *seconds, as_err *err) {
    as_job j = w->b->job;
    as_eval_result r;
    as_data_cols cols = w->cols;
    if (w->cost[model].fit == AS_FIT_BY_NAME) cols.labels = NULL;
    j.model = w->b->models[model], j.dry_run = true, j.comm = NULL, j.log = NULL, j.calibrate = j.perturb = NULL;
    AS_TRY(as_run_eval(&j, w->test_path, &cols, NULL, NULL, &r, err));
    *seconds = r.seconds;
    as_eval_result_free(&r);
    return AS_OK;
}

static as_status plan_all(as_bench *w, as_err *err) {
    const as_bench_job *b = w->b;
    as_bench_result *r = w->out;
    if (!(w->cost = as_calloc((size_t)r->count, sizeof *w->cost))) return as_fail_nomem(err, "a plan", 0);
    for (int i = 0; i < b->model_count; i++) {
        as_bench_cost *c = &w->cost[i];
        if (!(b->scratch && b->scratch[i])) AS_TRY(as_head_fits(&c->fit, b->models[i], &w->train, err));
        const bool trains = c->fit == AS_FIT_NONE;
        w->planned += trains ? b->seeds : 1;
        if (trains) {
            AS_TRY(plan_model(w, i, &c->plan, err));
            c->eval_seconds = c->plan.item_seconds * (double)w->test.n;
            const double train = c->plan.seconds * ((double)b->seeds + as_bench_search_share(b->search));
            r->plan_seconds += train;
            if (b->job.whole) b->job.whole->planned += train + c->eval_seconds * (double)b->seeds;
        } else {
            AS_TRY(plan_scoring(w, i, &c->eval_seconds, err));
            if (b->job.whole) b->job.whole->planned += c->eval_seconds;
        }
        if (c->plan.bytes > r->plan_bytes) r->plan_bytes = c->plan.bytes;
    }
    return AS_OK;
}

static as_status count_parameters(const as_bench_job *b, int i, int64_t *out, as_err *err) {
    as_info info;
    as_job j = b->job;
    j.model = b->models[i];
    AS_TRY(as_run_describe(&j, &info, err));
    *out = info.parameters;
    as_info_free(&info);
    return AS_OK;
}

static as_status model_cells(as_bench *w, int i, as_err *err) {
    const as_bench_job *b = w->b;
    as_system *y = &w->out->systems[i];
    const as_bench_cost *c = &w->cost[i];
    const bool trains = c->fit == AS_FIT_NONE;
    y->parameters = c->plan.parameters;
    if (!trains) AS_TRY(count_parameters(b, i, &y->parameters, err));
    double lr = b->recipe.lr;
    if (trains && b->search > 0) AS_TRY(as_bench_search(w, i, &c->plan, &lr, err));
    /* A head that is there is evaluated as it is: it has one seed only. */
    for (int64_t s = 0; s < (trains ? b->seeds : 1); s++) {
        as_bench_cell *cell = new_cell(w, i, b->recipe.seed + (uint64_t)s);
        if (!cell) return as_fail_nomem(err, "the grid", 0);
        if (!trains && c->fit == AS_FIT_BY_NAME)
            as_log_line(b->job.log, AS_INFO, "%s numbers the labels in an order of its own: they are matched by name", w->names[i]);
        AS_TRY(as_bench_run_cell(w, cell, lr, (int64_t)w->out->cell_count, err));
    }
    return AS_OK;
}

static as_status baseline_cells(as_bench *w, as_err *err) {
    const as_bench_job *b = w->b;
    for (int k = 0; b->baselines && k < AS_BASELINE_COUNT; k++) {
        const int system = b->model_count + k;
        as_bench_cell *cell = new_cell(w, system, b->recipe.seed);
        if (!cell) return as_fail_nomem(err, "the grid", 0);
        AS_TRY(as_bench_baseline(w, (as_baseline)k, b->recipe.seed, &cell->result, err));
        cell->eval_run = cell->result.run;
        w->out->systems[system].parameters = as_baseline_parameters((as_baseline)k, &w->train);
    }
    return AS_OK;
}

/* --- from runs to systems --- */
static as_status gather(as_bench *w, as_err *err) {
    as_bench_result *r = w->out;
    as_store *store;
    w->stored = as_calloc(r->cell_count, sizeof *w->stored), w->preds = as_calloc(r->cell_count, sizeof *w->preds);
    if (!w->stored || !w->preds) return as_fail_nomem(err, "results", 0);
    AS_TRY(as_store_open(&store, w->b->job.db, err));
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < r->cell_count; i++) {
        s = as_stored_open(&w->stored[i], store, r->cells[i].eval_run, err);
        if (s == AS_OK) s = as_stored_relabel(&w->stored[i], &w->train.labels, err);
        if (s == AS_OK && i > 0) s = as_stored_align(&w->stored[0], &w->stored[i], err);
        w->preds[i] = w->stored[i].p;
        if (s == AS_OK) s = as_find_positive(&w->preds[i], w->b->job.positive, err);
    }
    as_store_close(store);
    return s;
}

static as_status fill_systems(as_bench *w, as_err *err) {
    as_bench_result *r = w->out;
    for (size_t i = 0; i < r->cell_count; i++) {
        const as_bench_cell *c = &r->cells[i];
        as_system *y = &r->systems[c->system];
        const as_run_cost cost = as_run_cost_parse(w->stored[i].result_json);
        as_run_cost training = {0};
        if (c->finetune_run) AS_TRY(stored_cost(w, c->finetune_run, &training, err));
        if (y->seeds++ == 0) y->seed = &w->preds[i]; /* the cells of a system stand side by side */
        y->items_per_second += cost.items_per_second, y->train_seconds += training.seconds + cost.train_seconds;
        if (cost.peak_bytes > y->peak_bytes) y->peak_bytes = cost.peak_bytes;
    }
    for (int i = 0; i < r->count; i++) {
        r->systems[i].items_per_second /= (double)r->systems[i].seeds, r->systems[i].train_seconds /= (double)r->systems[i].seeds;
        r->systems[i].name = w->names[i];
    }
    return AS_OK;
}

static as_status decide(as_bench *w, as_err *err) {
    as_bench_result *r = w->out;
    AS_TRY(gather(w, err));
    AS_TRY(fill_systems(w, err));
    /* One metric unless more are asked for: each metric makes Holm's family larger. */
    const as_predictions *p = &w->preds[0];
    const char *all = as_metric_defaults(p->kind, p->num_labels);
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(all, ","), all);
    r->contest = (as_contest){.systems = r->systems, .count = r->count, .cluster = w->stored[0].cluster, .metrics = w->b->job.metrics ? w->b->job.metrics : first, .level = w->b->job.level,
                              .margin = w->b->margin, .seed = w->b->job.seed, .threads = w->b->job.threads};
    const as_status s = as_contest_decide(&r->contest, &r->decision, err);
    r->contest.metrics = NULL;
    return s;
}

/* --- names --- */
static as_status name_systems(as_bench *w, as_err *err) {
    const as_bench_job *b = w->b;
    w->out->count = b->model_count + (b->baselines ? AS_BASELINE_COUNT : 0);
    w->names = as_calloc((size_t)w->out->count, sizeof *w->names), w->out->systems = as_calloc((size_t)w->out->count, sizeof *w->out->systems);
    if (!w->names || !w->out->systems) return as_fail_nomem(err, "the grid", 0);
    for (int i = 0; i < w->out->count; i++) {
        const char *name = i < b->model_count ? b->names[i] : as_baseline_name((as_baseline)(i - b->model_count));
        int before = 0;
        for (int k = 0; k < i && i < b->model_count; k++) before += strcmp(b->names[k], name) == 0;
        as_buf text = {0};
        as_buf_str(&text, name);
        if (before) as_buf_fmt(&text, "-%d", before + 1); /* two folders of one name */
        if (text.failed) return as_buf_free(&text), as_fail_nomem(err, "a name", 0);
        w->names[i] = text.p;
    }
    return AS_OK;
}

static as_status check(const as_bench_job *b, as_err *err) {
    if (!b->job.db) return as_fail(err, AS_USAGE, "bench needs a store");
    if (b->seeds < 1) return as_fail(err, AS_USAGE, "--seeds is less than 1");
    if (b->model_count + (b->baselines ? AS_BASELINE_COUNT : 0) < 2) return as_fail(err, AS_USAGE, "bench compares two systems or more");
    return AS_OK;
}

/* Rank 0 writes the files of the data, the others find them there. */
static as_status data_in_turn(as_bench *w, as_err *err) {
    as_comm *comm = w->b->job.comm;
    AS_TRY(as_comm_agree(comm, as_comm_leads(comm) ? as_bench_data(w, err) : AS_OK, err));
    return as_comm_leads(comm) ? AS_OK : as_bench_data(w, err);
}

static as_status plan(as_bench *w, as_err *err) {
    as_bench_result *r = w->out;
    AS_TRY(check(w->b, err));
    AS_TRY(name_systems(w, err));
    AS_TRY(data_in_turn(w, err));
    r->train_items = w->train.n, r->test_items = w->test.n;
    AS_TRY(plan_all(w, err));
    if (r->plan_seconds > 0)
        as_log_line(w->b->job.log, AS_INFO, "needs about %.0f s of training and %" PRIu64 " MB, less what is stored", r->plan_seconds / (double)as_comm_size(w->b->job.comm), r->plan_bytes >> 20);
    return AS_OK;
}

static as_status work(as_bench *w, as_err *err) {
    const as_bench_job *b = w->b;
    as_bench_result *r = w->out;
    AS_TRY(as_bench_spread(w, err));
    if (!as_comm_leads(b->job.comm)) return AS_OK; /* what follows is rank 0's */
    for (int i = 0; i < b->model_count; i++) AS_TRY(model_cells(w, i, err));
    AS_TRY(baseline_cells(w, err));
    r->isa = as_strdup(r->cells[0].result.isa), r->task = as_strdup(w->task), r->threads = r->cells[0].result.threads;
    if (!r->isa || !r->task) return as_fail_nomem(err, "a result", 0);
    AS_TRY(decide(w, err));
    return b->one_of_several ? AS_OK : as_bench_store(w, err);
}

/* Friedman over tasks, with the oriented value of each task's first metric. */
static as_status rank(as_bench_result *const *results, int n, as_bench_ranks *ranks, as_err *err) {
    const int k = results[0]->count;
    double *score = as_alloc((size_t)n * (size_t)k, sizeof *score);
    ranks->mean_rank = as_calloc((size_t)k, sizeof *ranks->mean_rank);
    as_status s = score && ranks->mean_rank ? AS_OK : as_fail_nomem(err, "ranks", 0);
    for (int t = 0; s == AS_OK && t < n; t++)
        for (int i = 0; i < k; i++) {
            const as_standing *v = &results[t]->decision.standings[i]; /* the first metric's stand first */
            score[t * k + v->system] = v->higher_is_better ? v->value : -v->value;
        }
    as_test test = {.p = NAN};
    if (s == AS_OK) s = as_friedman_test(&test, ranks->mean_rank, score, n, k, err);
    ranks->friedman_p = test.p, ranks->why = test.why;
    if (s == AS_OK) ranks->critical_difference = as_nemenyi_critical_difference(n, k, results[0]->contest.level);
    as_free(score);
    return s;
}

static as_status over_tasks(as_bench_ranks *ranks, const as_contest *const *c, const as_contest_result *const *r, int n, as_err *err) {
    int best = 0;
    for (int i = 1; i < c[0]->count; i++)
        if (ranks->mean_rank[i] < ranks->mean_rank[best]) best = i;
    if (!(ranks->ropes = as_calloc((size_t)c[0]->count, sizeof *ranks->ropes))) return as_fail_nomem(err, "ranks", 0);
    return as_bayes_of_tasks(ranks->ropes, best, c, r, n, err);
}

as_status as_bench_join(as_bench_result *const *results, int n, as_bench_ranks *ranks, as_err *err) {
    *ranks = (as_bench_ranks){.friedman_p = NAN, .critical_difference = NAN};
    as_contest_result **decisions = as_calloc((size_t)n, sizeof *decisions);
    const as_contest **contests = as_calloc((size_t)n, sizeof *contests);
    as_status s = decisions && contests ? AS_OK : as_fail_nomem(err, "a bench", 0);
    for (int t = 0; s == AS_OK && t < n; t++) {
        decisions[t] = &results[t]->decision, contests[t] = &results[t]->contest;
        if (results[t]->count != results[0]->count) s = as_fail(err, AS_USAGE, "the tasks have different systems");
    }
    if (s == AS_OK) s = as_contests_adjust(decisions, contests, n, err);
    for (int t = 0; s == AS_OK && t < n; t++) s = as_bench_store(results[t]->owned, err);
    if (s == AS_OK && n > 1) s = rank(results, n, ranks, err);
    const as_contest_result *const *read = (const as_contest_result *const *)decisions;
    if (s == AS_OK && n > 1) s = as_abilities_of(&ranks->abilities, contests, read, n, err);
    if (s == AS_OK && n > 1) s = over_tasks(ranks, contests, read, n, err);
    as_free(decisions), as_free(contests);
    if (s != AS_OK) as_bench_ranks_free(ranks);
    return s;
}
void as_bench_ranks_free(as_bench_ranks *r) {
    as_free(r->mean_rank), as_free(r->ropes);
    as_abilities_free(&r->abilities);
    *r = (as_bench_ranks){.friedman_p = NAN};
}

as_status as_bench_plan(const as_bench_job *b, as_bench_result *out, as_err *err) {
    *out = (as_bench_result){.decision = {.best = -1}};
    as_bench *w = as_calloc(1, sizeof *w);
    if (!w) return as_fail_nomem(err, "a bench", sizeof *w);
    w->b = b, w->out = out, out->owned = w;
    const as_status s = as_comm_agree(b->job.comm, plan(w, err), err);
    if (s != AS_OK) as_bench_result_free(out);
    return s;
}

as_status as_bench_work(as_bench_result *out, as_err *err) {
    as_bench *w = out->owned;
    const as_status s = as_comm_agree(w->b->job.comm, work(w, err), err);
    if (s != AS_OK) as_bench_result_free(out);
    return s;
}

as_status as_run_bench(const as_bench_job *b, as_bench_result *out, as_err *err) {
    AS_TRY(as_bench_plan(b, out, err));
    return b->job.dry_run ? AS_OK : as_bench_work(out, err);
}

void as_bench_result_free(as_bench_result *r) {
    as_bench *w = r->owned;
    for (size_t i = 0; i < r->cell_count; i++) {
        as_eval_result_free(&r->cells[i].result);
        if (w && w->stored) as_stored_free(&w->stored[i]);
    }
    for (int i = 0; w && w->names && i < r->count; i++) as_free(w->names[i]);
    if (w) {
        as_records_free(&w->train), as_records_free(&w->test);
        as_free(w->names), as_free(w->cost), as_free(w->stored), as_free(w->preds), as_free(w->train_path), as_free(w->dev_path), as_free(w->test_path), as_free(w->labels), as_free(w->task);
    }
    as_contest_result_free(&r->decision);
    as_free(r->cells), as_free(r->tries), as_free(r->systems), as_free(r->isa), as_free(r->task), as_free(w);
    *r = (as_bench_result){.decision = {.best = -1}};
}
