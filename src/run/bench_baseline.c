/* bench_baseline.c: baselines stand in the store like models: items with predictions, and metrics. */
#include "base/hash.h"
#include "base/mem.h"
#include "run/bench_impl.h"
#include "run/evaluate.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the records say, in order. */
static as_status digest(char hex[65], const as_records *r, as_err *err) {
    uint64_t *v = as_alloc((size_t)r->n, sizeof *v);
    if (!v) return as_fail_nomem(err, "a digest", 0);
    for (int64_t i = 0; i < r->n; i++) v[i] = as_record_hash(&r->v[i], r);
    memcpy(hex, as_sha256_of(v, (size_t)r->n * sizeof *v).hex, 65);
    as_free(v);
    return AS_OK;
}

static as_status describe(const as_bench *w, as_baseline which, uint64_t seed, as_buf *config, char key[65], as_err *err) {
    char train[65], test[65];
    AS_TRY(digest(train, &w->train, err));
    AS_TRY(digest(test, &w->test, err));
    as_buf_fmt(config, "{\"command\":\"eval\",\"baseline\":\"%s\",\"train_sha256\":\"%s\",\"data_sha256\":\"%s\",\"seed\":%" PRIu64, as_baseline_name(which), train, test, seed);
    if (config->failed) return as_fail_nomem(err, "a run's record", 0);
    memcpy(key, as_sha256_of(config->p, config->n).hex, 65);
    const as_label_kind kind = w->test.kind;
    as_buf_fmt(config, ",\"version\":\"%s\",\"kind\":\"%s\",\"values\":[", w->b->job.version,
               kind == AS_LABEL_VALUE ? "regress" : kind == AS_LABEL_MULTI ? "multilabel" : "classify");
    for (int i = 0; i < w->test.labels.count; i++) {
        if (i) as_buf_char(config, ',');
        as_buf_json_str(config, as_str_of(w->test.labels.names[i]));
    }
    as_buf_str(config, kind == AS_LABEL_VALUE ? "\"value\"]}" : "]}");
    return config->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

static as_status store_items(const as_bench *w, as_scored *s, as_store *store, int64_t run, as_err *err) {
    as_buf pred = {0}, gold = {0};
    double *values = as_alloc((size_t)s->num_labels, sizeof *values);
    as_status st = values ? AS_OK : as_fail_nomem(err, "items", 0);
    for (int64_t i = 0; st == AS_OK && i < w->test.n; i++) {
        const as_record *r = &w->test.v[i];
        as_buf_clear(&pred), as_buf_clear(&gold);
        as_scored_pred_text(s, i, &pred), as_record_gold(&gold, r, &w->test);
        for (int k = 0; k < s->num_labels; k++) values[k] = (double)s->logits[i * s->num_labels + k];
        const as_item item = {.index = i, .id = r->id, .cluster = r->cluster, .text = r->text, .pair = r->pair, .gold = as_buf_view(&gold), .pred = as_buf_view(&pred),
                              .hash = as_record_hash(r, &w->test), .values = values, .count = s->num_labels};
        st = pred.failed || gold.failed ? as_fail_nomem(err, "items", 0) : as_store_item_add(store, run, &item, err);
    }
    as_buf_free(&pred), as_buf_free(&gold), as_free(values);
    return st == AS_OK ? as_store_flush(store, err) : st;
}

/* Scores as logits of a head. */
static as_status compute(const as_bench *w, as_baseline which, uint64_t seed, as_scored *s, as_baseline_cost *cost, as_err *err) {
    const int64_t cells = w->test.n * s->num_labels;
    double *scores = as_alloc((size_t)cells, sizeof *scores);
    if (!scores) return as_fail_nomem(err, "scores", (size_t)cells * sizeof *scores);
    const as_status st = as_baseline_scores(scores, which, &w->train, &w->test, seed, cost, err);
    for (int64_t i = 0; st == AS_OK && i < cells; i++) s->logits[i] = (float)scores[i];
    for (int64_t i = 0; st == AS_OK && i < w->test.n; i++) as_scored_predict(s, i);
    as_free(scores);
    return st;
}

static as_status keep(const as_bench *w, as_baseline which, uint64_t seed, as_scored *s, as_eval_result *out, as_err *err) {
    as_store *store;
    as_run run;
    as_buf config = {0}, cost = {0};
    char key[65];
    as_baseline_cost spent = {0};
    AS_TRY(as_store_open(&store, w->b->job.db, err));
    as_status st = describe(w, which, seed, &config, key, err);
    const as_run_key k = {.command = "eval", .key = key, .config_json = config.p, .model = as_baseline_name(which), .task = w->task, .dtype = "f64", .isa = ""};
    if (st == AS_OK) st = as_store_run_begin(store, &k, w->b->job.again, &run, err);
    if (st == AS_OK) st = compute(w, which, seed, s, &spent, err);
    out->seconds = spent.score_seconds;
    if (st == AS_OK) st = as_scored_metrics(s, &w->b->job, w->b->job.threads, out, err);
    if (st == AS_OK && run.state != AS_RUN_DONE) {
        st = store_items(w, s, store, run.id, err);
        if (st == AS_OK) st = as_run_cost_json(&cost, &(as_run_cost){.seconds = out->seconds, .items_per_second = (double)w->test.n / (out->seconds > 1e-9 ? out->seconds : 1e-9),
                                                                           .train_seconds = spent.fit_seconds}, err);
        if (st == AS_OK) st = as_evaluate_store(out, store, run.id, err);
        if (st == AS_OK) st = as_store_run_end(store, run.id, AS_RUN_DONE, cost.p, err);
    }
    out->run = st == AS_OK ? run.id : 0;
    as_buf_free(&config), as_buf_free(&cost);
    as_store_close(store);
    return st;
}

as_status as_bench_baseline(as_bench *w, as_baseline which, uint64_t seed, as_eval_result *out, as_err *err) {
    static char value_name[] = "value";
    static char *value_names[] = {value_name};
    const bool value = w->test.kind == AS_LABEL_VALUE;
    as_scored s;
    *out = (as_eval_result){.n = w->test.n};
    AS_TRY(as_scored_init(&s, &w->test, NULL, w->test.kind, value ? value_names : w->test.labels.names, value ? 1 : w->test.labels.count, err));
    out->model = as_strdup(as_baseline_name(which)), out->task = as_strdup(w->task), out->dtype = as_strdup("f64"), out->isa = as_strdup("");
    as_status st = out->model && out->task && out->dtype && out->isa ? AS_OK : as_fail_nomem(err, "a result", 0);
    if (st == AS_OK) st = keep(w, which, seed, &s, out, err);
    as_scored_free(&s);
    if (st != AS_OK) as_eval_result_free(out);
    return st;
}
