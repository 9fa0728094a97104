/* cmd_report.c: stored runs as one page, or as tables for other programs. Runs of one model are its seeds. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/job_options.h"
#include "io/json.h"
#include "report/report.h"
#include "run/evaluate.h"
#include "run/scored.h"
#include "run/stored_refs.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct kept { char **v; size_t n, cap; } kept; /* analyses, JSON */
typedef struct curve { as_report_step *v; size_t n, cap; } curve;
typedef struct reporting {
    as_cli *c;
    as_refs refs;
    int count;
    as_stored *stored;         /* [count], all below too */
    as_eval_result *results;
    as_predictions *preds;     /* in the order of the systems */
    curve *curves;
    kept *analyses;
    as_buf bench;              /* its result, JSON */
    as_labels labels;          /* of the bench; count 0: those of the first run */
    as_report_run *runs;
    as_system *systems;
    int system_count;
    as_buf metrics;            /* those that the bench compared */
    as_contest contest;
    as_contest_result decision;
    bool pretraining;          /* all runs are */
} reporting;

static void release(reporting *w) {
    for (int i = 0; i < w->count; i++) {
        if (w->stored) as_stored_free(&w->stored[i]);
        if (w->results) as_eval_result_free(&w->results[i]);
        if (w->curves) as_free(w->curves[i].v);
        for (size_t k = 0; w->analyses && k < w->analyses[i].n; k++) as_free(w->analyses[i].v[k]);
        if (w->analyses) as_free(w->analyses[i].v);
    }
    for (int i = 0; i < w->labels.count; i++) as_free(w->labels.names[i]);
    as_free(w->labels.names), as_free(w->analyses);
    as_buf_free(&w->bench);
    as_free(w->stored), as_free(w->results), as_free(w->preds), as_free(w->curves), as_free(w->runs), as_free(w->systems);
    as_contest_result_free(&w->decision);
    as_refs_free(&w->refs);
    as_buf_free(&w->metrics);
}

static as_status allocate(reporting *w, as_err *err) {
    const size_t n = w->refs.n;
    w->count = (int)n;
    w->stored = as_calloc(n, sizeof *w->stored), w->results = as_calloc(n, sizeof *w->results), w->preds = as_calloc(n, sizeof *w->preds);
    w->curves = as_calloc(n, sizeof *w->curves), w->analyses = as_calloc(n, sizeof *w->analyses), w->runs = as_calloc(n, sizeof *w->runs), w->systems = as_calloc(n, sizeof *w->systems);
    const bool ok = w->stored && w->results && w->preds && w->curves && w->analyses && w->runs && w->systems;
    return ok ? AS_OK : as_fail_nomem(err, "a report", n * sizeof *w->runs);
}

/* --- learning curves, from the log of the training --- */
static as_status log_line(void *ctx, int64_t step, const char *json, as_err *err) {
    curve *v = ctx;
    as_json *doc;
    if (as_json_parse(&doc, as_str_of(json), "a log line", 0, NULL) != AS_OK) return AS_OK;
    const bool evaluation = as_str_is(as_json_str(as_json_get(doc, "kind"), AS_LIT("")), "evaluation");
    as_report_step s = {.step = step, .train_loss = NAN, .dev_loss = NAN, .dev_score = NAN, .lr = NAN};
    s.train_loss = as_json_real(as_json_get(doc, evaluation ? "train_loss" : "loss"), NAN), s.lr = as_json_real(as_json_get(doc, "lr"), NAN);
    for (as_json_iter *it = evaluation ? as_json_first(doc) : NULL; it; it = as_json_next(doc, it)) {
        const as_str k = as_json_iter_key(it);
        if (as_str_is(k, "kind") || as_str_is(k, "step") || as_str_is(k, "epoch") || as_str_is(k, "train_loss") || as_str_is(k, "loss_low") ||
            as_str_is(k, "loss_high"))
            continue;
        const double value = as_json_real(as_json_iter_value(it), NAN);
        if (as_str_is(k, "loss")) s.dev_loss = value;
        else if (isnan(s.dev_score)) s.dev_score = value; /* the first metric is what selects */
    }
    as_json_free(doc);
    if (evaluation) s.train_loss = NAN; /* the steps have it */
    if (!as_grow(&v->v, &v->cap, v->n + 1, sizeof *v->v)) return as_fail_nomem(err, "a learning curve", 0);
    v->v[v->n++] = s;
    return AS_OK;
}

/* --- slices that the evaluation noted with its items --- */
typedef struct noted { as_slicing *v; size_t n; char ***text; } noted;

static char *slice_value(const char *json, const char *column) {
    as_json *doc;
    if (!json[0] || as_json_parse(&doc, as_str_of(json), "slices", 0, NULL) != AS_OK) return as_strdup("");
    const as_str s = as_json_str(as_json_get(doc, column), AS_LIT(""));
    char *copy = as_strndup(s.p, s.n);
    as_json_free(doc);
    return copy;
}
static void noted_free(noted *v, int64_t n) {
    for (size_t k = 0; v->text && k < v->n; k++) {
        for (int64_t i = 0; v->text[k] && i < n; i++) as_free(v->text[k][i]);
        as_free(v->text[k]);
        if (v->v) as_free((void *)(uintptr_t)v->v[k].column);
    }
    as_free(v->v), as_free(v->text);
}
static as_status read_noted(noted *v, const as_stored *s, as_err *err) {
    as_json *doc;
    if (s->n == 0 || !s->slices[0][0] || as_json_parse(&doc, as_str_of(s->slices[0]), "slices", 0, NULL) != AS_OK) return AS_OK;
    const size_t most = as_json_count(doc);
    v->v = as_calloc(most, sizeof *v->v), v->text = as_calloc(most, sizeof *v->text);
    as_status st = v->v && v->text ? AS_OK : as_fail_nomem(err, "slices", 0);
    for (as_json_iter *it = as_json_first(doc); it && st == AS_OK; it = as_json_next(doc, it)) {
        const as_str name = as_json_iter_key(it);
        as_slicing *one = &v->v[v->n];
        v->text[v->n] = as_calloc((size_t)s->n, sizeof **v->text);
        one->column = as_strndup(name.p, name.n), one->value = v->text[v->n++];
        if (!one->column || !one->value) st = as_fail_nomem(err, "slices", 0);
        for (int64_t i = 0; st == AS_OK && i < s->n; i++)
            if (!(v->text[v->n - 1][i] = slice_value(s->slices[i], one->column))) st = as_fail_nomem(err, "slices", 0);
    }
    as_json_free(doc);
    return st;
}

static as_status slices(reporting *w, int i, const as_job *j, as_err *err) {
    noted v = {0};
    as_eval_result *r = &w->results[i];
    as_status s = read_noted(&v, &w->stored[i], err);
    if (s == AS_OK && v.n > 0) s = as_slices_of(&r->slices, &r->slice_count, &w->stored[i].p, v.v, v.n, r->metrics[0].name, j->level, j->seed, j->threads, err);
    noted_free(&v, w->stored[i].n);
    return s;
}

static as_status keep_analysis(void *ctx, const char *kind, const char *name, const char *json, as_err *err) {
    (void)kind, (void)name;
    kept *k = ctx;
    if (!as_grow(&k->v, &k->cap, k->n + 1, sizeof *k->v) || !(k->v[k->n] = as_strdup(json))) return as_fail_nomem(err, "an analysis", 0);
    k->n++;
    return AS_OK;
}

/* --- a pre-training: no items, but what it scored on held-out text, and its curve --- */
static as_status keep_metric(void *ctx, const as_aggregate *a, as_err *err) {
    as_eval_result *r = ctx;
    size_t cap = r->metric_count;
    if (!as_grow(&r->metrics, &cap, r->metric_count + 1, sizeof *r->metrics)) return as_fail_nomem(err, "a report", 0);
    as_result_metric *m = &r->metrics[r->metric_count++];
    *m = (as_result_metric){.name = as_strdup(a->metric), .method = as_strdup(a->method), .value = a->value, .low = a->low, .high = a->high, .level = a->level, .n = a->n,
                            .higher_is_better = strstr(a->metric, "accuracy") != NULL};
    return m->name && m->method ? AS_OK : as_fail_nomem(err, "a report", 0);
}
static as_status read_pretraining(reporting *w, int i, as_store *store, as_err *err) {
    as_stored *s = &w->stored[i];
    as_eval_result *r = &w->results[i];
    AS_TRY(as_stored_open_bare(s, store, w->refs.v[i].run, err));
    AS_TRY(as_store_aggregates_each(store, s->run, keep_metric, r, err));
    AS_TRY(as_store_logs_each(store, s->run, log_line, &w->curves[i], err));
    const as_run_cost cost = as_run_cost_parse(s->result_json);
    r->run = s->run, r->seconds = cost.seconds, r->peak_bytes = cost.peak_bytes, r->n = r->metric_count ? r->metrics[0].n : 0;
    r->model = as_strdup(s->model), r->task = as_strdup(s->task), r->dtype = as_strdup(s->dtype), r->isa = as_strdup(s->isa);
    if (!r->model || !r->task || !r->dtype || !r->isa) return as_fail_nomem(err, "a report", 0);
    w->runs[i] = (as_report_run){.stored = s, .result = r, .steps = w->curves[i].v, .step_count = w->curves[i].n};
    return AS_OK;
}
/* All of the runs are pre-trainings, or none. */
static as_status check_kinds(reporting *w, as_store *store, as_err *err) {
    int pre = 0;
    for (int i = 0; i < w->count; i++) {
        bool is;
        AS_TRY(as_stored_is(&is, store, w->refs.v[i].run, "pretrain", err));
        pre += is;
    }
    w->pretraining = pre > 0;
    if (pre == 0 || pre == w->count) return AS_OK;
    (void)as_fail(err, AS_USAGE, "pre-trainings beside other runs");
    as_hint(err, "Report them apart: a pre-training has no items that others could be compared on.");
    return AS_USAGE;
}

/* --- one run --- */
static as_status read_run(reporting *w, int i, as_store *store, const as_job *j, as_err *err) {
    as_stored *s = &w->stored[i];
    as_eval_result *r = &w->results[i];
    AS_TRY(as_stored_open(s, store, w->refs.v[i].run, err));
    AS_TRY(as_stored_relabel(s, w->labels.count ? &w->labels : &w->stored[0].labels, err));
    AS_TRY(as_store_analyses_each(store, s->run, keep_analysis, &w->analyses[i], err));
    AS_TRY(as_find_positive(&s->p, j->positive, err));
    AS_TRY(as_score_predictions(&s->p, s->cluster, j, j->threads, r, err));
    const as_run_cost cost = as_run_cost_parse(s->result_json);
    r->run = s->run, r->seconds = cost.seconds, r->peak_bytes = cost.peak_bytes;
    r->model = as_strdup(s->model), r->task = as_strdup(s->task), r->dtype = as_strdup(s->dtype), r->isa = as_strdup(s->isa);
    if (!r->model || !r->task || !r->dtype || !r->isa) return as_fail_nomem(err, "a report", 0);
    AS_TRY(slices(w, i, j, err));
    if (w->refs.v[i].finetune > 0) AS_TRY(as_store_logs_each(store, w->refs.v[i].finetune, log_line, &w->curves[i], err));
    w->runs[i] = (as_report_run){.stored = s, .result = r, .slices = r->slices, .slice_count = r->slice_count, .steps = w->curves[i].v, .step_count = w->curves[i].n,
                                 .analyses = (const char *const *)w->analyses[i].v, .analysis_count = w->analyses[i].n};
    return AS_OK;
}

/* --- systems: runs of one model, precision and instruction set are its seeds --- */
static bool same_system(const as_stored *a, const as_stored *b) {
    return strcmp(a->model, b->model) == 0 && strcmp(a->dtype, b->dtype) == 0 && strcmp(a->isa, b->isa) == 0;
}
static void make_systems(reporting *w) {
    int at = 0;
    for (int i = 0; i < w->count; i++) {
        bool before = false;
        for (int k = 0; k < i; k++) before |= same_system(&w->stored[k], &w->stored[i]);
        if (before) continue;
        as_system *y = &w->systems[w->system_count++];
        *y = (as_system){.name = w->stored[i].model, .seed = &w->preds[at]};
        for (int k = i; k < w->count; k++) {
            if (!same_system(&w->stored[i], &w->stored[k])) continue;
            const as_run_cost cost = as_run_cost_parse(w->stored[k].result_json);
            w->preds[at++] = w->stored[k].p;
            y->seeds++, y->items_per_second += cost.items_per_second, y->train_seconds += cost.train_seconds;
            if (cost.peak_bytes > y->peak_bytes) y->peak_bytes = cost.peak_bytes;
        }
        y->items_per_second /= (double)y->seeds;
    }
}

/* A bench knows parameters and times of training, and what it compared: the page's verdict is the bench's. */
static as_status read_costs(reporting *w, as_err *err) {
    as_json *doc = NULL;
    if (!w->refs.bench) return AS_OK;
    as_status s = as_json_parse(&doc, as_buf_view(&w->bench), "a bench's result", 0, err);
    const as_json *all = s == AS_OK ? as_json_get(doc, "systems") : NULL;
    for (size_t k = 0; k < as_json_count(all); k++)
        for (int i = 0; i < w->system_count; i++) {
            const as_json *one = as_json_at(all, k);
            as_system *y = &w->systems[i];
            if (!as_str_is(as_json_str(as_json_get(one, "name"), AS_LIT("")), y->name)) continue;
            y->parameters = as_json_int(as_json_get(one, "parameters"), 0), y->train_seconds = as_json_real(as_json_get(one, "train_seconds"), 0);
        }
    const as_json *metrics = s == AS_OK ? as_json_get(doc, "metrics") : NULL;
    for (size_t k = 0; k < as_json_count(metrics); k++) {
        const as_str name = as_json_str(as_json_at(metrics, k), AS_LIT(""));
        if (k) as_buf_char(&w->metrics, ',');
        as_buf_add(&w->metrics, name.p, name.n);
    }
    if (s == AS_OK && w->metrics.failed) s = as_fail_nomem(err, "a report", 0);
    as_json_free(doc);
    return s;
}

/* The order of the labels is the bench's, whatever its first cell has. */
static as_status read_labels(reporting *w, as_store *store, as_err *err) {
    as_json *doc = NULL;
    if (!w->refs.bench) return AS_OK;
    AS_TRY(as_refs_result(&w->bench, store, w->refs.bench, err));
    AS_TRY(as_json_parse(&doc, as_buf_view(&w->bench), "a bench's result", 0, err));
    const as_json *all = as_json_get(doc, "labels");
    const size_t n = as_json_count(all);
    w->labels.names = as_calloc(n + 1, sizeof *w->labels.names);
    bool ok = w->labels.names != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        const as_str name = as_json_str(as_json_at(all, i), AS_LIT(""));
        ok = (w->labels.names[i] = as_strndup(name.p, name.n)) != NULL;
        w->labels.count += ok;
    }
    as_json_free(doc);
    return ok ? AS_OK : as_fail_nomem(err, "labels", 0);
}

static as_status read_all(reporting *w, const as_job *j, as_err *err) {
    as_store *store;
    AS_TRY(as_cli_store(&store, w->c, err));
    as_status s = AS_OK;
    for (int i = 0; s == AS_OK && i < w->c->p.arg_count; i++) s = as_refs_add(&w->refs, store, w->c->p.args[i], err);
    if (s == AS_OK) s = allocate(w, err);
    if (s == AS_OK) s = check_kinds(w, store, err);
    for (int i = 0; s == AS_OK && w->pretraining && i < w->count; i++) s = read_pretraining(w, i, store, err);
    if (s != AS_OK || w->pretraining) {
        as_store_close(store);
        return s;
    }
    s = read_labels(w, store, err);
    for (int i = 0; s == AS_OK && i < w->count; i++) {
        s = read_run(w, i, store, j, err);
        if (s == AS_OK && i > 0) s = as_stored_align(&w->stored[0], &w->stored[i], err);
    }
    if (s == AS_OK) make_systems(w), s = read_costs(w, err);
    as_store_close(store);
    return s;
}

/* --- documents --- */
typedef as_status (*writer)(as_buf *out, const as_report *r, as_err *err);
static as_status write_document(const char *path, writer how, const as_report *r, as_err *err) {
    as_buf b = {0};
    if (!path) return AS_OK;
    as_status s = how(&b, r, err);
    if (s == AS_OK) s = as_file_write(path, b.p ? b.p : "", b.n, err);
    as_buf_free(&b);
    return s;
}

static as_status write_all(reporting *w, const as_report *r, as_err *err) {
    const as_options *o = &w->c->p.o;
    const bool none = !o->out && !o->markdown && !o->latex && !o->csv && !o->lm_eval && !o->json;
    AS_TRY(write_document(o->out ? o->out : none ? "report.html" : NULL, as_report_html, r, err));
    AS_TRY(write_document(o->markdown, as_report_markdown, r, err));
    AS_TRY(write_document(o->latex, as_report_latex, r, err));
    AS_TRY(write_document(o->csv, as_report_csv, r, err));
    if (o->lm_eval) AS_TRY(as_report_lm_eval(o->lm_eval, r, err));
    if (o->json) return as_report_json(&w->c->out.buf, r, err);
    const char *paths[] = {o->out ? o->out : none ? "report.html" : NULL, o->markdown, o->latex, o->csv, o->lm_eval};
    for (size_t i = 0; i < AS_COUNT(paths); i++)
        if (paths[i]) as_buf_fmt(&w->c->out.buf, "written   %s\n", paths[i]);
    return AS_OK;
}

as_status as_cmd_report(as_cli *c, as_err *err) {
    reporting w = {.c = c, .decision = {.best = -1}};
    as_job j;
    AS_TRY(as_cli_job(&j, c, NULL, err));
    as_status s = read_all(&w, &j, err);
    if (s == AS_OK && w.system_count > 1) {
        w.contest = (as_contest){.systems = w.systems, .count = w.system_count, .cluster = w.stored[0].cluster, .metrics = j.metrics || !w.metrics.n ? j.metrics : w.metrics.p, .level = j.level, .seed = j.seed, .threads = j.threads};
        s = as_contest_decide(&w.contest, &w.decision, err);
    }
    if (s == AS_OK) {
        const as_report r = {.title = w.stored[0].task, .runs = w.runs, .run_count = w.count, .contest = w.system_count > 1 ? &w.decision : NULL, .systems = w.systems,
                             .system_count = w.system_count, .command = c->line, .bench = w.bench.n ? w.bench.p : NULL, .version = AS_VERSION, .level = j.level};
        s = write_all(&w, &r, err);
    }
    release(&w);
    return s == AS_OK ? as_out_flush(&c->out, true, err) : s;
}
