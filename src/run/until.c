#include "run/until.h"
#include "base/mem.h"
#include "base/rng.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 64 }; /* items between two looks; a fixed number, so that where it stops does not depend on threads */

static const char *first_metric(const as_job *j, as_pred_kind kind, int num_labels, size_t *n) {
    const char *list = j->metrics ? j->metrics : as_metric_defaults(kind, num_labels);
    *n = j->metrics ? strlen(list) : strcspn(list, ",");
    return list;
}
static as_pred_kind pred_kind(as_label_kind kind) { return kind == AS_LABEL_VALUE ? AS_PRED_VALUE : kind == AS_LABEL_MULTI ? AS_PRED_MULTILABEL : AS_PRED_CLASS; }

as_status as_until_identity(as_buf *config, const as_job *j, as_label_kind kind, int num_labels, as_err *err) {
    size_t n;
    const char *metric = first_metric(j, pred_kind(kind), num_labels, &n);
    as_buf_fmt(config, ",\"until\":%.17g,\"level\":%.17g,\"order_seed\":%" PRIu64 ",\"metric\":", j->until, j->level, j->seed);
    as_buf_json_str(config, (as_str){metric, n});
    return config->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

/* Per-item scores of the metric on all items; those of items that are not scored mean nothing. */
static as_status item_scores(as_until *u, const as_job *j, as_scored *s, as_err *err) {
    as_predictions p;
    as_metric *m;
    AS_TRY(as_scored_predictions(s, j, &p, err));
    AS_TRY(as_metric_open(&m, u->metric, &p, err));
    const bool share = as_metric_is_proportion(m);
    if (share) memcpy(u->scores, as_metric_items(m), (size_t)p.n * sizeof *u->scores);
    as_metric_free(m);
    if (share) return AS_OK;
    (void)as_fail(err, AS_USAGE, "--until: %s is not a share of items", u->metric);
    as_hint(err, "The metric must be accuracy, or subset_accuracy for sets: a mean of scores that are 0 or 1.");
    return AS_USAGE;
}

static as_status choose_metric(as_until *u, const as_job *j, const as_scored *s, as_err *err) {
    size_t n;
    if (s->kind == AS_LABEL_VALUE) return as_fail(err, AS_USAGE, "--until needs labels that are right or wrong, not numbers");
    if (j->metrics && strchr(j->metrics, ',')) return as_fail(err, AS_USAGE, "--until goes with one metric");
    const char *list = first_metric(j, pred_kind(s->kind), s->num_labels, &n);
    snprintf(u->metric, sizeof u->metric, "%.*s", (int)n, list);
    return AS_OK;
}

/* The next chunk: what of it is not done is scored, then all of it is looked at in its order. */
static as_status next_chunk(as_until *u, as_session *ses, const as_job *j, as_scored *s, as_store *store, int64_t run, as_err *err) {
    int64_t todo[CHUNK], n = 0;
    const int64_t end = u->seen + CHUNK < s->records->n ? u->seen + CHUNK : s->records->n;
    for (int64_t i = u->seen; i < end; i++)
        if (!s->done[u->order[i]]) todo[n++] = u->order[i];
    if (n > 0) AS_TRY(as_evaluate_items(ses, j, s, todo, n, store, run, "score", err));
    u->computed += n;
    AS_TRY(item_scores(u, j, s, err));
    for (; u->seen < end; u->seen++) as_sequence_add(&u->sequence, u->scores[u->order[u->seen]]);
    return AS_OK;
}

as_status as_evaluate_until(as_until *out, as_session *ses, const as_job *j, as_scored *s, as_store *store, int64_t run, as_err *err) {
    const int64_t n = s->records->n;
    *out = (as_until){.order = as_alloc((size_t)n, sizeof *out->order), .scores = as_calloc((size_t)n, sizeof *out->scores)};
    as_status st = out->order && out->scores ? choose_metric(out, j, s, err) : as_fail_nomem(err, "an order", (size_t)n * 16);
    if (st == AS_OK) {
        as_rng rng = as_rng_at(j->seed, AS_STREAM_SAMPLE, 0);
        for (int64_t i = 0; i < n; i++) out->order[i] = i;
        as_rng_shuffle(&rng, out->order, n);
        out->sequence = as_sequence_begin(0, 1, j->level, n);
    }
    while (st == AS_OK && out->seen < n && !(out->sequence.high - out->sequence.low <= 2 * j->until)) st = next_chunk(out, ses, j, s, store, run, err);
    if (st != AS_OK) as_until_free(out);
    return st;
}
void as_until_free(as_until *u) {
    as_free(u->order), as_free(u->scores);
    *u = (as_until){0};
}

as_status as_until_interval(const as_until *u, as_result_metric *m, as_err *err) {
    as_free(m->method);
    m->low = u->sequence.low, m->high = u->sequence.high;
    m->method = as_strdup("confidence sequence");
    return m->method ? AS_OK : as_fail_nomem(err, "a result", 0);
}
