#include "run/scored.h"
#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

as_status as_scored_init(as_scored *s, const as_records *r, const as_encoded *e, as_label_kind kind, char *const *labels, int num_labels, as_err *err) {
    *s = (as_scored){.records = r, .encoded = e, .kind = kind, .labels = labels, .num_labels = num_labels};
    const size_t n = (size_t)r->n, cells = n * (size_t)num_labels;
    s->logits = as_calloc(cells, sizeof *s->logits);
    s->done = as_calloc(n, 1);
    bool ok = s->logits && s->done;
    if (kind == AS_LABEL_CLASS) ok = ok && (s->pred = as_calloc(n, sizeof *s->pred)) && (s->gold = as_calloc(n, sizeof *s->gold));
    if (kind == AS_LABEL_MULTI) ok = ok && (s->pred_sets = as_calloc(cells, 1)) && (s->gold_sets = as_calloc(cells, 1));
    if (kind == AS_LABEL_VALUE)
        ok = ok && (s->pred_value = as_calloc(n, sizeof *s->pred_value)) && (s->gold_value = as_calloc(n, sizeof *s->gold_value));
    else
        ok = ok && (s->probs = as_calloc(cells, sizeof *s->probs));
    if (ok) return AS_OK;
    as_scored_free(s);
    return as_fail_nomem(err, "scores", cells * sizeof(double));
}
void as_scored_free(as_scored *s) {
    as_free(s->logits), as_free(s->done), as_free(s->pred), as_free(s->pred_sets), as_free(s->probs), as_free(s->pred_value);
    as_free(s->gold), as_free(s->gold_sets), as_free(s->gold_value);
    *s = (as_scored){0};
}

void as_scored_predict(as_scored *s, int64_t i) {
    const int64_t k = s->num_labels;
    const float *x = s->logits + i * k;
    s->done[i] = 1;
    if (s->kind == AS_LABEL_VALUE) {
        s->pred_value[i] = (double)x[0];
        return;
    }
    double *p = s->probs + i * k;
    if (s->kind == AS_LABEL_MULTI) {
        for (int64_t j = 0; j < k; j++) {
            p[j] = 1.0 / (1.0 + exp(-(double)x[j]));
            s->pred_sets[i * k + j] = x[j] >= 0.0f; /* probability of one half or more */
        }
        return;
    }
    int64_t best = 0;
    double sum = 0.0;
    for (int64_t j = 1; j < k; j++)
        if (x[j] > x[best]) best = j;
    for (int64_t j = 0; j < k; j++) sum += p[j] = exp((double)x[j] - (double)x[best]);
    for (int64_t j = 0; j < k; j++) p[j] /= sum;
    s->pred[i] = (int32_t)best;
}

void as_scored_share(as_scored *s, as_comm *comm) {
    const int64_t n = s->records->n;
    if (as_comm_size(comm) == 1) return;
    as_comm_broadcast(comm, s->done, (size_t)n);
    as_comm_broadcast(comm, s->logits, (size_t)(n * s->num_labels) * sizeof *s->logits);
    for (int64_t i = 0; i < n && !as_comm_leads(comm); i++)
        if (s->done[i]) as_scored_predict(s, i);
}

as_status as_scored_part_open(as_scored_part *out, const as_scored *from, const int64_t *index, int64_t n, as_err *err) {
    *out = (as_scored_part){.view = *from->records, .rows = as_alloc((size_t)n, sizeof *out->rows)};
    if (!out->rows) return as_fail_nomem(err, "an evaluation", (size_t)n * sizeof *out->rows);
    for (int64_t i = 0; i < n; i++) out->rows[i] = from->records->v[index[i]];
    out->view.v = out->rows, out->view.n = n;
    const as_status st = as_scored_init(&out->s, &out->view, from->encoded, from->kind, from->labels, from->num_labels, err);
    for (int64_t i = 0; st == AS_OK && i < n; i++) {
        memcpy(out->s.logits + i * from->num_labels, from->logits + index[i] * from->num_labels, (size_t)from->num_labels * sizeof *from->logits);
        as_scored_predict(&out->s, i);
    }
    if (st != AS_OK) as_free(out->rows);
    return st;
}
void as_scored_part_free(as_scored_part *p) {
    as_scored_free(&p->s);
    as_free(p->rows);
}

void as_scored_pred_text(const as_scored *s, int64_t i, as_buf *out) {
    if (s->kind == AS_LABEL_VALUE) {
        as_buf_real(out, s->pred_value[i]);
    } else if (s->kind == AS_LABEL_CLASS) {
        as_buf_str(out, s->labels[s->pred[i]]);
    } else {
        bool any = false;
        as_buf_char(out, '[');
        for (int j = 0; j < s->num_labels; j++)
            if (s->pred_sets[i * s->num_labels + j]) {
                if (any) as_buf_char(out, ',');
                as_buf_json_str(out, as_str_of(s->labels[j]));
                any = true;
            }
        as_buf_char(out, ']');
    }
}

as_status as_scored_each(const as_scored *s, as_item_sink sink, void *ctx, as_err *err) {
    as_buf pred = {0}, gold = {0};
    as_status st = AS_OK;
    for (int64_t i = 0; st == AS_OK && i < s->records->n; i++) {
        const as_record *r = &s->records->v[i];
        as_buf_clear(&pred), as_buf_clear(&gold);
        as_scored_pred_text(s, i, &pred);
        if (s->records->has_label) as_record_gold(&gold, r, s->records);
        if (pred.failed || gold.failed) {
            st = as_fail_nomem(err, "a prediction", 0);
            break;
        }
        const as_result_item item = {
            .index = i, .id = r->id, .text = r->text, .pair = r->pair, .gold = s->records->has_label ? as_buf_view(&gold) : (as_str){NULL, 0},
            .pred = as_buf_view(&pred), .probs = s->probs ? s->probs + i * s->num_labels : NULL, .logits = s->logits + i * s->num_labels,
            .labels = s->labels, .num_labels = s->num_labels, .value = s->pred_value ? s->pred_value[i] : NAN, .kind = s->kind,
            .truncated = s->encoded->truncated[i]};
        st = sink(ctx, &item, err);
    }
    as_buf_free(&pred), as_buf_free(&gold);
    return st;
}

as_status as_records_clusters(int32_t **out, const as_records *r, as_err *err) {
    *out = NULL;
    bool any = false;
    for (int64_t i = 0; i < r->n && !any; i++) any = r->v[i].cluster.n > 0;
    if (!any) return AS_OK;
    size_t cap = 64;
    while (cap < (size_t)r->n * 2) cap *= 2;
    int64_t *table = as_alloc(cap, sizeof *table);
    int32_t *id = as_alloc((size_t)r->n, sizeof *id), next = 0;
    if (!table || !id) {
        as_free(table), as_free(id);
        return as_fail_nomem(err, "clusters", cap * sizeof *table);
    }
    for (size_t i = 0; i < cap; i++) table[i] = -1;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->v[i].cluster.n == 0) {
            id[i] = next++;
            continue;
        }
        uint64_t h = 14695981039346656037u;
        for (size_t k = 0; k < r->v[i].cluster.n; k++) h = (h ^ (unsigned char)r->v[i].cluster.p[k]) * 1099511628211u;
        size_t at = (size_t)(h ^ h >> 32) & (cap - 1);
        while (table[at] >= 0 && !as_str_eq(r->v[table[at]].cluster, r->v[i].cluster)) at = (at + 1) & (cap - 1);
        if (table[at] < 0) table[at] = i, id[i] = next++;
        else id[i] = id[table[at]];
    }
    as_free(table);
    *out = id;
    return AS_OK;
}

static void gold_arrays(as_scored *s, as_predictions *p) {
    const as_records *r = s->records;
    *p = (as_predictions){.n = r->n, .num_labels = s->num_labels, .label_names = (const char *const *)s->labels, .positive = -1};
    p->kind = s->kind == AS_LABEL_CLASS ? AS_PRED_CLASS : s->kind == AS_LABEL_MULTI ? AS_PRED_MULTILABEL : AS_PRED_VALUE;
    for (int64_t i = 0; i < r->n; i++) {
        if (s->kind == AS_LABEL_CLASS) s->gold[i] = r->v[i].label;
        if (s->kind == AS_LABEL_VALUE) s->gold_value[i] = r->v[i].value;
        if (s->kind == AS_LABEL_MULTI && r->v[i].set) memcpy(s->gold_sets + i * s->num_labels, r->v[i].set, (size_t)s->num_labels);
    }
    p->gold = s->gold, p->pred = s->pred, p->probs = s->probs, p->gold_sets = s->gold_sets, p->pred_sets = s->pred_sets;
    p->gold_value = s->gold_value, p->pred_value = s->pred_value;
}

as_status as_find_positive(as_predictions *p, const char *name, as_err *err) {
    if (!name) return AS_OK;
    if (p->kind == AS_PRED_VALUE) return as_fail(err, AS_USAGE, "--positive: numbers have no positive label");
    for (int i = 0; i < p->num_labels; i++)
        if (strcmp(p->label_names[i], name) == 0) return p->positive = i, AS_OK;
    const int near = as_nearest(name, p->label_names, (size_t)p->num_labels);
    (void)as_fail(err, AS_USAGE, "--positive: no label \"%s\"", name);
    if (near >= 0) as_hint(err, "Did you mean \"%s\"?", p->label_names[near]);
    return AS_USAGE;
}

static as_status one_metric(const char *name, const as_predictions *p, const int32_t *cluster, const as_job *j, int threads, as_eval_result *out, as_err *err) {
    as_metric *m;
    AS_TRY(as_metric_open(&m, name, p, err));
    const size_t need = as_metric_scratch(m);
    void *scratch = as_alloc_aligned(need ? need : 1, 1);
    as_status s = scratch ? AS_OK : as_fail_nomem(err, "a metric", need);
    as_interval iv = {0};
    const as_bootstrap_opts o = {.level = j->level, .seed = j->seed, .threads = threads, .method = j->ci};
    as_metric_value v = {0};
    if (s == AS_OK) v = as_metric_aggregate(m, NULL, scratch);
    if (s == AS_OK) s = as_metric_interval(&iv, m, cluster, &o, err);
    if (s == AS_OK) {
        as_result_metric *r = &out->metrics[out->metric_count];
        *r = (as_result_metric){.name = as_strdup(as_metric_signature(m)), .value = v.value, .low = iv.low, .high = iv.high, .level = iv.level, .higher_is_better = as_metric_higher_is_better(m),
                                .method = iv.method ? as_strdup(iv.method) : NULL, .why = v.why ? as_strdup(v.why) : NULL, .n = p->n};
        out->metric_count++;
        if (!r->name) s = as_fail_nomem(err, "a metric", 0);
    }
    as_free_aligned(scratch);
    as_metric_free(m);
    return s;
}

static as_status all_metrics(const as_predictions *p, const int32_t *cluster, const as_job *j, int threads, as_eval_result *out, as_err *err) {
    char **names;
    size_t n;
    const char *list = j->metrics ? j->metrics : as_metric_defaults(p->kind, p->num_labels);
    AS_TRY(as_metric_list_split(list, &names, &n, err));
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < n; i++) {
        char **each;
        size_t k;
        s = as_metric_expand(names[i], p->label_names, p->num_labels, &each, &k, err);
        if (s != AS_OK) break;
        as_result_metric *more = as_realloc(out->metrics, out->metric_count + k, sizeof *more);
        if (!more) s = as_fail_nomem(err, "metrics", k * sizeof *more);
        else out->metrics = more;
        for (size_t e = 0; s == AS_OK && e < k; e++) s = one_metric(each[e], p, cluster, j, threads, out, err);
        as_metric_list_free(each, k);
    }
    as_metric_list_free(names, n);
    return s;
}

as_status as_score_predictions(const as_predictions *p, const int32_t *cluster, const as_job *j, int threads, as_eval_result *out, as_err *err) {
    AS_TRY(all_metrics(p, cluster, j, threads, out, err));
    out->n = p->n;
    if (p->kind == AS_PRED_VALUE) return AS_OK;
    const size_t k = (size_t)p->num_labels;
    if (!(out->labels = as_calloc(k, sizeof *out->labels))) return as_fail_nomem(err, "labels", 0);
    out->num_labels = p->num_labels;
    for (size_t i = 0; i < k; i++)
        if (!(out->labels[i] = as_strdup(p->label_names[i]))) return as_fail_nomem(err, "labels", 0);
    if (p->kind != AS_PRED_CLASS) return AS_OK;
    if (!(out->confusion = as_calloc(k * k, sizeof *out->confusion))) return as_fail_nomem(err, "the confusion matrix", 0);
    as_confusion(out->confusion, p);
    return AS_OK;
}

as_status as_scored_predictions(as_scored *s, const as_job *j, as_predictions *out, as_err *err) {
    gold_arrays(s, out);
    return as_find_positive(out, j->positive, err);
}
as_status as_scored_metrics(as_scored *s, const as_job *j, int threads, as_eval_result *out, as_err *err) {
    as_predictions p;
    AS_TRY(as_scored_predictions(s, j, &p, err));
    int32_t *cluster;
    AS_TRY(as_records_clusters(&cluster, s->records, err));
    const as_status st = as_score_predictions(&p, cluster, j, threads, out, err);
    as_free(cluster);
    return st;
}
