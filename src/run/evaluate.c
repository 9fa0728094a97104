#include "run/evaluate.h"
#include "base/mem.h"
#include "io/json.h"
#include <inttypes.h>
#include <string.h>

/* --- one run of the model, items to scores and store --- */
typedef struct receiving {
    as_scored *s;
    as_store *store;
    int64_t run;
    double *values;          /* [num_labels] */
    as_buf pred, gold;
} receiving;

static as_status keep_item(receiving *r, int64_t i, int64_t tokens, as_err *err) {
    const as_scored *s = r->s;
    const as_record *rec = &s->records->v[i];
    as_buf_clear(&r->pred), as_buf_clear(&r->gold);
    as_scored_pred_text(s, i, &r->pred);
    as_record_gold(&r->gold, rec, s->records);
    if (r->pred.failed || r->gold.failed) return as_fail_nomem(err, "an item", 0);
    for (int k = 0; k < s->num_labels; k++) r->values[k] = (double)s->logits[i * s->num_labels + k];
    const as_item item = {.index = i, .id = rec->id, .cluster = rec->cluster, .text = rec->text, .pair = rec->pair, .gold = as_buf_view(&r->gold),
                          .pred = as_buf_view(&r->pred), .hash = as_record_hash(rec, s->records), .values = r->values, .count = s->num_labels,
                          .tokens = tokens, .truncated = s->encoded->truncated[i]};
    return as_store_item_add(r->store, r->run, &item, err);
}
static as_status receive(void *ctx, const as_answer *a, int64_t n, as_err *err) {
    receiving *r = ctx;
    for (int64_t i = 0; i < n; i++) {
        memcpy(r->s->logits + a[i].item * r->s->num_labels, a[i].v, (size_t)a[i].cols * sizeof(float));
        as_scored_predict(r->s, a[i].item);
        if (r->store) AS_TRY(keep_item(r, a[i].item, a[i].tokens, err));
    }
    return AS_OK;
}

as_status as_evaluate_items(as_session *ses, const as_job *j, as_scored *s, const int64_t *index, int64_t n, as_store *store, int64_t run, const char *what,
                            as_err *err) {
    receiving r = {.s = s, .store = store, .run = run, .values = as_calloc((size_t)s->num_labels, sizeof(double))};
    if (!r.values) return as_fail_nomem(err, "scores", 0);
    as_progress p;
    as_progress_begin(&p, j->progress_fd, j->progress_fd < 0, j->doing ? j->doing : what, index ? n : s->records->n);
    p.whole = j->whole, p.aside = j->aside;
    const as_answer_opts o = {.request = AS_REQUEST_CLASS, .batch_tokens = j->batch_tokens, .progress = &p, .stop = as_interrupted};
    as_status st = as_answer_items(ses->model, s->encoded, index, n, &o, receive, &r, err);
    as_progress_end(&p);
    as_err flushed = {0}; /* what is scored is kept, also when something went wrong; the first error is told */
    if (store && as_store_flush(store, &flushed) != AS_OK && st == AS_OK) {
        st = flushed.status;
        if (err) *err = flushed;
    }
    as_free(r.values), as_buf_free(&r.pred), as_buf_free(&r.gold);
    return st;
}

as_status as_evaluate_describe(const as_session *ses, const as_job *j, const char *data, as_eval_result *out, as_err *err) {
    out->model = j->model_name ? as_strdup(j->model_name) : as_display_name(j->model);
    out->task = j->task_name ? as_strdup(j->task_name) : as_display_name(data);
    out->dtype = as_strdup(j->dtype == AS_COMPUTE_BF16 ? "bf16" : "f32"), out->isa = as_strdup(as_isa_name(as_engine_isa(ses->engine)));
    out->threads = as_engine_threads(ses->engine), out->head_fresh = as_model_head_is_fresh(ses->model);
    return out->model && out->task && out->dtype && out->isa ? AS_OK : as_fail_nomem(err, "a result", 0);
}

as_status as_run_cost_json(as_buf *out, const as_run_cost *c, as_err *err) {
    as_buf_str(out, "{\"seconds\":"), as_buf_real(out, c->seconds);
    as_buf_str(out, ",\"items_per_second\":"), as_buf_real(out, c->items_per_second);
    if (c->train_seconds > 0) as_buf_str(out, ",\"train_seconds\":"), as_buf_real(out, c->train_seconds);
    as_buf_fmt(out, ",\"peak_bytes\":%" PRIu64 "}", c->peak_bytes);
    return out->failed ? as_fail_nomem(err, "a result", 0) : AS_OK;
}
as_run_cost as_run_cost_parse(const char *json) {
    as_json *doc;
    as_run_cost c = {0};
    if (!json || as_json_parse(&doc, as_str_of(json), "a run's result", 0, NULL) != AS_OK) return c;
    c.seconds = as_json_real(as_json_get(doc, "seconds"), 0), c.items_per_second = as_json_real(as_json_get(doc, "items_per_second"), 0);
    c.train_seconds = as_json_real(as_json_get(doc, "train_seconds"), 0);
    c.peak_bytes = (uint64_t)as_json_int(as_json_get(doc, "peak_bytes"), 0);
    as_json_free(doc);
    return c;
}

as_status as_evaluate_store(const as_eval_result *r, as_store *store, int64_t run, as_err *err) {
    for (size_t i = 0; i < r->metric_count; i++) {
        const as_result_metric *m = &r->metrics[i];
        const as_aggregate a = {.metric = m->name, .signature = m->name, .method = m->method ? m->method : "", .why = m->why, .value = m->value,
                                .low = m->low, .high = m->high, .level = m->level, .n = m->n};
        AS_TRY(as_store_aggregate_put(store, run, &a, err));
    }
    return AS_OK;
}
