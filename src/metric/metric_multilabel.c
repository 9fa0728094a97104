/* metric_multilabel.c: metrics of sets of labels. Only the labels in either set of an item are
 * kept, so a resample costs as much as there are labels set, not n x labels. */
#include "base/mem.h"
#include "metric/family.h"

#include <string.h>

enum prf_kind { PRECISION, RECALL, F1 };

/* Entries of item i: from[i] .. from[i + 1] - 1; an entry is label x 4 + gold x 2 + predicted. */
typedef struct sets {
    int64_t *from;
    uint32_t *entry;
    as_average average;
    enum prf_kind kind;
} sets;

static void free_sets(void *data) {
    sets *s = data;
    as_free(s->from);
    as_free(s->entry);
    as_free(s);
}

static unsigned bits_at(const as_metric *m, int64_t i, int k) {
    const size_t at = (size_t)i * (size_t)m->p.num_labels + (size_t)k;
    return (unsigned)m->p.gold_sets[at] * 2 + m->p.pred_sets[at];
}

/* 0 / 0 is 0, sklearn's zero_division. */
static double prf_of(enum prf_kind kind, double hit, double gold, double pred) {
    const double above = kind == F1 ? 2 * hit : hit;
    const double below = kind == F1 ? gold + pred : kind == PRECISION ? pred : gold;
    return below > 0 ? above / below : 0;
}

static as_metric_value prf(const as_metric *m, const uint32_t *weights, void *scratch) {
    const sets *s = m->data;
    const int labels = m->p.num_labels;
    double *hit = scratch, *gold = hit + labels, *pred = gold + labels;
    memset(hit, 0, (size_t)labels * 3 * sizeof *hit);
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[i] : 1;
        if (w == 0) continue;
        for (int64_t e = s->from[i]; e < s->from[i + 1]; e++) {
            const uint32_t k = s->entry[e] >> 2, bits = s->entry[e] & 3;
            hit[k] += bits == 3 ? w : 0;
            gold[k] += bits & 2 ? w : 0;
            pred[k] += bits & 1 ? w : 0;
        }
    }
    if (s->average == AS_AVERAGE_CLASS)
        return as_defined(prf_of(s->kind, hit[m->label], gold[m->label], pred[m->label]));
    double sum = 0, weight = 0, hits = 0, golds = 0, preds = 0;
    for (int k = 0; k < labels; k++) {
        const double value = prf_of(s->kind, hit[k], gold[k], pred[k]),
                     w = s->average == AS_AVERAGE_WEIGHTED ? gold[k] : 1;
        sum += w * value;
        weight += w;
        hits += hit[k];
        golds += gold[k];
        preds += pred[k];
    }
    if (s->average == AS_AVERAGE_MICRO) return as_defined(prf_of(s->kind, hits, golds, preds));
    return as_defined(weight > 0
                          ? sum / weight
                          : 0); /* no gold label at all: every value is 0, so is any average */
}

static as_status build_sets(sets *s, const as_metric *m, as_err *err) {
    int64_t entries = 0;
    for (int64_t i = 0; i < m->p.n; i++)
        for (int k = 0; k < m->p.num_labels; k++)
            entries += bits_at(m, i, k) != 0;
    s->from = as_alloc((size_t)m->p.n + 1, sizeof *s->from);
    s->entry = as_alloc((size_t)entries, sizeof *s->entry);
    if (!s->from || !s->entry)
        return as_fail_nomem(err, "sets of labels", (size_t)(entries + m->p.n) * sizeof *s->from);
    int64_t at = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        s->from[i] = at;
        for (int k = 0; k < m->p.num_labels; k++) {
            const unsigned bits = bits_at(m, i, k);
            if (bits) s->entry[at++] = (uint32_t)k * 4 + bits;
        }
    }
    s->from[m->p.n] = at;
    return AS_OK;
}

/* The mean over items of each item's own value. */
static as_status fill_samples(as_metric *m, enum prf_kind kind, as_err *err) {
    AS_TRY(as_metric_use_items(m, false, err));
    for (int64_t i = 0; i < m->p.n; i++) {
        double hit = 0, gold = 0, pred = 0;
        for (int k = 0; k < m->p.num_labels; k++) {
            const unsigned bits = bits_at(m, i, k);
            hit += bits == 3;
            gold += bits >> 1;
            pred += bits & 1;
        }
        m->items[i] = prf_of(kind, hit, gold, pred);
    }
    return AS_OK;
}

static as_status need_labels(const as_metric *m, as_err *err) {
    if (m->p.num_labels > 0 && m->p.num_labels < 1 << 29) return AS_OK;
    return as_fail(err, AS_USAGE, "metric \"%s\": there are %d labels", m->info->name,
                   m->p.num_labels);
}

static as_status open_prf(as_metric *m, const as_metric_name *name, enum prf_kind kind,
                          as_err *err) {
    as_average average;
    AS_TRY(need_labels(m, err));
    AS_TRY(as_metric_average(&average, m, name,
                             AS_AVERAGE_MICRO | AS_AVERAGE_MACRO | AS_AVERAGE_WEIGHTED |
                                 AS_AVERAGE_SAMPLES | AS_AVERAGE_CLASS,
                             err));
    AS_TRY(as_check_sets(m, true, err));
    if (average == AS_AVERAGE_SAMPLES) return fill_samples(m, kind, err);
    sets *s = as_calloc(1, sizeof *s);
    if (!s) return as_fail_nomem(err, "sets of labels", sizeof *s);
    s->average = average;
    s->kind = kind;
    m->data = s;
    m->free_data = free_sets;
    m->aggregate = prf;
    m->scratch_bytes = (size_t)m->p.num_labels * 3 * sizeof(double);
    return build_sets(s, m, err);
}

as_status as_open_set_precision(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, PRECISION, err);
}
as_status as_open_set_recall(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, RECALL, err);
}
as_status as_open_set_f1(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, F1, err);
}

/* Wrong decisions per item; what both metrics below are made of. */
static as_status open_wrongs(as_metric *m, const as_metric_name *name, bool proportion,
                             as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(need_labels(m, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    AS_TRY(as_check_sets(m, true, err));
    AS_TRY(as_metric_use_items(m, proportion, err));
    for (int64_t i = 0; i < m->p.n; i++)
        for (int k = 0; k < m->p.num_labels; k++) {
            const unsigned bits = bits_at(m, i, k);
            m->items[i] += bits == 1 || bits == 2;
        }
    return AS_OK;
}

as_status as_open_subset_accuracy(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(open_wrongs(m, name, true, err));
    for (int64_t i = 0; i < m->p.n; i++)
        m->items[i] = m->items[i] == 0;
    return AS_OK;
}

as_status as_open_hamming_loss(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(open_wrongs(m, name, false, err));
    for (int64_t i = 0; i < m->p.n; i++)
        m->items[i] /= m->p.num_labels;
    return AS_OK;
}
