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

/* --- several processes: each scores its part, and posts every finished micro-batch to rank 0 --- */
typedef struct posting { receiving *r; as_comm *comm; as_buf message; int open; as_progress *progress; } posting;

/* What belongs to this rank: every size-th micro-batch of all, so that the parts take the same time. */
static as_status own_part(int64_t **part, int64_t *count, const as_comm *comm, const as_encoded *e, const int64_t *index, int64_t n, int64_t batch_tokens, as_err *err) {
    as_batches b;
    *part = NULL, *count = 0;
    AS_TRY(as_batches_make(&b, e, index, n, batch_tokens > 0 ? batch_tokens : AS_ROW_MAX, err));
    *part = as_alloc((size_t)b.begin[b.count], sizeof **part);
    for (int64_t i = as_comm_rank(comm); *part && i < b.count; i += as_comm_size(comm))
        for (int64_t k = b.begin[i]; k < b.begin[i + 1]; k++) (*part)[(*count)++] = b.item[k];
    as_batches_free(&b);
    return *part ? AS_OK : as_fail_nomem(err, "scores", 0);
}

/* A message: for each item its number, its tokens and its logits; none = this rank is done. */
static as_status post_answers(void *ctx, const as_answer *a, int64_t n, as_err *err) {
    posting *p = ctx;
    as_buf_clear(&p->message);
    for (int64_t i = 0; i < n; i++) {
        as_buf_add(&p->message, &a[i].item, sizeof a[i].item);
        as_buf_add(&p->message, &a[i].tokens, sizeof a[i].tokens);
        as_buf_add(&p->message, a[i].v, (size_t)a[i].cols * sizeof *a[i].v);
    }
    return p->message.failed ? as_fail_nomem(err, "a message", 0) : as_comm_post(p->comm, p->message.p, p->message.n, err);
}

static as_status receive_posted(posting *p, as_err *err) {
    const size_t cols = (size_t)p->r->s->num_labels, each = 2 * sizeof(int64_t) + cols * sizeof(float);
    float v[64], *logits = cols <= AS_COUNT(v) ? v : as_alloc(cols, sizeof *logits);
    if (!logits) return as_fail_nomem(err, "an answer", cols * sizeof *logits);
    as_status s = AS_OK;
    for (size_t at = 0; s == AS_OK && at + each <= p->message.n; at += each) {
        as_answer a = {.v = logits, .cols = (int64_t)cols};
        memcpy(&a.item, p->message.p + at, sizeof a.item), memcpy(&a.tokens, p->message.p + at + sizeof a.item, sizeof a.tokens);
        memcpy(logits, p->message.p + at + 2 * sizeof(int64_t), cols * sizeof *logits);
        s = receive(p->r, &a, 1, err);
        as_progress_add(p->progress, 1, a.tokens);
    }
    if (logits != v) as_free(logits);
    return s;
}
/* Rank 0: what has arrived; until all have said that they are done when `wait`. A failure does not leave messages behind. */
static as_status take_answers(posting *p, bool wait, as_err *err) {
    as_status s = AS_OK;
    while (p->open > 0) {
        int from;
        const as_status got = as_comm_take(p->comm, &p->message, &from, wait, err);
        if (got != AS_OK) return got;
        if (from < 0) break;
        if (p->message.n == 0) p->open--;
        else if (s == AS_OK) s = receive_posted(p, err);
    }
    return s;
}
static as_status receive_all(void *ctx, const as_answer *a, int64_t n, as_err *err) {
    posting *p = ctx;
    AS_TRY(receive(p->r, a, n, err));
    return take_answers(p, false, err);
}

static as_status answer_together(as_session *ses, const as_job *j, receiving *r, const int64_t *index, int64_t n, const as_answer_opts *o, as_err *err) {
    const bool leads = as_comm_leads(j->comm);
    posting p = {.r = r, .comm = j->comm, .open = leads ? as_comm_size(j->comm) - 1 : 0, .progress = o->progress};
    int64_t *part, count;
    as_status s = own_part(&part, &count, j->comm, r->s->encoded, index, n, o->batch_tokens, err);
    if (s == AS_OK && count > 0) s = as_answer_items(ses->model, r->s->encoded, part, count, o, leads ? receive_all : post_answers, &p, err);
    as_err late = {0};
    const as_status end = leads ? take_answers(&p, true, &late) : as_comm_post(j->comm, "", 0, &late);
    if (s == AS_OK && end != AS_OK) {
        s = end;
        if (err) *err = late;
    }
    as_free(part), as_buf_free(&p.message);
    return s;
}

as_status as_evaluate_items(as_session *ses, const as_job *j, as_scored *s, const int64_t *index, int64_t n, as_store *store, int64_t run, const char *what,
                            as_err *err) {
    const bool together = as_comm_size(j->comm) > 1;
    receiving r = {.s = s, .store = store, .run = run, .values = as_calloc((size_t)s->num_labels, sizeof(double))};
    as_progress p;
    as_progress_begin(&p, j->progress_fd, j->progress_fd < 0, j->doing ? j->doing : what, index ? n : s->records->n);
    p.whole = j->whole, p.aside = j->aside;
    const as_answer_opts o = {.request = AS_REQUEST_CLASS, .batch_tokens = j->batch_tokens, .progress = &p, .stop = as_interrupted};
    as_status st = r.values ? AS_OK : as_fail_nomem(err, "scores", 0);
    if (st == AS_OK) st = together ? answer_together(ses, j, &r, index, n, &o, err) : as_answer_items(ses->model, s->encoded, index, n, &o, receive, &r, err);
    as_progress_end(&p);
    as_err flushed = {0}; /* what is scored is kept, also when something went wrong; the first error is told */
    if (store && as_store_flush(store, &flushed) != AS_OK && st == AS_OK) {
        st = flushed.status;
        if (err) *err = flushed;
    }
    as_free(r.values), as_buf_free(&r.pred), as_buf_free(&r.gold);
    AS_TRY(as_comm_agree(j->comm, st, err));
    as_scored_share(s, j->comm);
    return AS_OK;
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
