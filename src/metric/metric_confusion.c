/* metric_confusion.c: metrics of (gold, predicted) labels. All but accuracy depend only on the
 * counts of the non-empty cells of the confusion matrix, so a resample needs those counts and no
 * more. */
#include "base/mem.h"
#include "metric/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Labels are renumbered to those present in the data, in the order of their ids. */
typedef struct confusion {
    int labels;
    int64_t cells;
    int32_t *gold, *pred; /* [cells] renumbered */
    uint32_t *items;      /* [cells] */
    int32_t *cell_of;     /* [n] */
    as_average average;   /* precision, recall, f1 */
    int target;           /* renumbered label of binary and class, -1 when it is absent */
    int kind;             /* a prf_kind or a kappa_kind */
} confusion;
enum prf_kind { PRECISION, RECALL, F1 };
enum kappa_kind { PLAIN, LINEAR, QUADRATIC };

/* What every metric here needs of one resample; arrays [labels], within the scratch. */
typedef struct sums {
    double *hit, *gold, *pred;
    double total;
} sums;

static void free_confusion(void *data) {
    confusion *c = data;
    as_free(c->gold);
    as_free(c->pred);
    as_free(c->items);
    as_free(c->cell_of);
    as_free(c);
}

/* ---- preparation ---- */

typedef struct keyed {
    int64_t key;
    int32_t item;
} keyed;

static int by_key(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Number of each label id among those present, -1 for absent ones; counts them. */
static int32_t *number_labels(const as_predictions *p, int *labels) {
    int32_t *number = as_alloc((size_t)p->num_labels, sizeof *number);
    if (!number) return NULL;
    for (int k = 0; k < p->num_labels; k++)
        number[k] = -1;
    for (int64_t i = 0; i < p->n; i++)
        number[p->gold[i]] = number[p->pred[i]] = 0;
    *labels = 0;
    for (int k = 0; k < p->num_labels; k++)
        if (number[k] == 0) number[k] = (*labels)++;
    return number;
}

/* Cells in the order of (gold, pred), by sorting the items' keys. */
static as_status collect_cells(confusion *c, const as_predictions *p, const int32_t *number,
                               as_err *err) {
    keyed *keys = as_alloc((size_t)p->n, sizeof *keys);
    c->cell_of = as_alloc((size_t)p->n, sizeof *c->cell_of);
    if (!keys || !c->cell_of) goto nomem;
    for (int64_t i = 0; i < p->n; i++)
        keys[i] = (keyed){(int64_t)number[p->gold[i]] * c->labels + number[p->pred[i]], (int32_t)i};
    qsort(keys, (size_t)p->n, sizeof *keys, by_key);
    for (int64_t i = 0; i < p->n; i++)
        c->cells += i == 0 || keys[i].key != keys[i - 1].key;
    c->gold = as_alloc((size_t)c->cells, sizeof *c->gold);
    c->pred = as_alloc((size_t)c->cells, sizeof *c->pred);
    c->items = as_calloc((size_t)c->cells, sizeof *c->items);
    if (!c->gold || !c->pred || !c->items) goto nomem;
    int32_t cell = -1;
    for (int64_t i = 0; i < p->n; i++) {
        if (i == 0 || keys[i].key != keys[i - 1].key) {
            cell++;
            c->gold[cell] = (int32_t)(keys[i].key / c->labels);
            c->pred[cell] = (int32_t)(keys[i].key % c->labels);
        }
        c->items[cell]++;
        c->cell_of[keys[i].item] = cell;
    }
    as_free(keys);
    return AS_OK;
nomem:
    as_free(keys);
    return as_fail_nomem(err, "a confusion matrix", (size_t)p->n * sizeof *keys);
}

static size_t counts_bytes(int64_t cells) {
    return ((size_t)cells * sizeof(uint32_t) + 63) & ~(size_t)63;
}

/* Count each cell's items, then leave the rest to of_cells. */
static as_metric_value aggregate_cells(const as_metric *m, const uint32_t *weights, void *scratch) {
    const confusion *c = m->data;
    if (!weights) return m->of_cells(m, c->items, scratch);
    uint32_t *counts = scratch;
    memset(counts, 0, (size_t)c->cells * sizeof *counts);
    for (int64_t i = 0; i < m->p.n; i++)
        counts[c->cell_of[i]] += weights[i];
    return m->of_cells(m, counts, scratch);
}

static as_status open_confusion(as_metric *m,
                                as_metric_value (*of_cells)(const as_metric *, const uint32_t *,
                                                            void *),
                                int kind, as_average average, as_err *err) {
    AS_TRY(as_check_classes(m, true, err));
    confusion *c = as_calloc(1, sizeof *c);
    if (!c) return as_fail_nomem(err, "a confusion matrix", sizeof *c);
    m->data = c;
    m->free_data = free_confusion;
    int32_t *number = number_labels(&m->p, &c->labels);
    if (!number)
        return as_fail_nomem(err, "a confusion matrix", (size_t)m->p.num_labels * sizeof *number);
    c->target = m->label >= 0 && m->label < m->p.num_labels ? number[m->label] : -1;
    const as_status status = collect_cells(c, &m->p, number, err);
    as_free(number);
    AS_TRY(status);
    c->kind = kind;
    c->average = average;
    m->cells = c->cells;
    m->cell_items = c->items;
    m->of_cells = of_cells;
    m->aggregate = aggregate_cells;
    m->scratch_bytes = counts_bytes(c->cells) + (size_t)c->labels * 3 * sizeof(double);
    return AS_OK;
}

static sums sum_cells(const as_metric *m, const uint32_t *counts, void *scratch) {
    const confusion *c = m->data;
    sums s = {.hit = (double *)(void *)((char *)scratch + counts_bytes(c->cells))};
    s.gold = s.hit + c->labels;
    s.pred = s.gold + c->labels;
    memset(s.hit, 0, (size_t)c->labels * 3 * sizeof(double));
    for (int64_t i = 0; i < c->cells; i++) {
        const double count = counts[i];
        s.gold[c->gold[i]] += count;
        s.pred[c->pred[i]] += count;
        if (c->gold[i] == c->pred[i]) s.hit[c->gold[i]] += count;
        s.total += count;
    }
    return s;
}

/* ---- accuracy ---- */

static as_status fill_hits(as_metric *m, as_err *err) {
    AS_TRY(as_check_classes(m, true, err));
    AS_TRY(as_metric_use_items(m, true, err));
    for (int64_t i = 0; i < m->p.n; i++)
        m->items[i] = m->p.gold[i] == m->p.pred[i];
    return AS_OK;
}

as_status as_open_accuracy(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    return fill_hits(m, err);
}

/* Labels without gold items have no recall and are left out, as sklearn does. */
static as_metric_value balanced_accuracy(const as_metric *m, const uint32_t *counts,
                                         void *scratch) {
    const sums s = sum_cells(m, counts, scratch);
    double sum = 0, labels = 0;
    for (int k = 0; k < ((const confusion *)m->data)->labels; k++)
        if (s.gold[k] > 0) {
            sum += s.hit[k] / s.gold[k];
            labels += 1;
        }
    return labels > 0 ? as_defined(sum / labels) : as_undefined("no items");
}

as_status as_open_balanced_accuracy(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    return open_confusion(m, balanced_accuracy, 0, AS_AVERAGE_MACRO, err);
}

/* ---- precision, recall, F1 ---- */

/* 0 / 0 is 0, sklearn's zero_division. */
static double prf_of(int kind, double hit, double gold, double pred) {
    const double above = kind == F1 ? 2 * hit : hit;
    const double below = kind == F1 ? gold + pred : kind == PRECISION ? pred : gold;
    return below > 0 ? above / below : 0;
}

static as_metric_value prf(const as_metric *m, const uint32_t *counts, void *scratch) {
    const confusion *c = m->data;
    const sums s = sum_cells(m, counts, scratch);
    if (s.total <= 0) return as_undefined("no items");
    if (c->average == AS_AVERAGE_BINARY || c->average == AS_AVERAGE_CLASS)
        return as_defined(c->target < 0 ? 0
                                        : prf_of(c->kind, s.hit[c->target], s.gold[c->target],
                                                 s.pred[c->target]));
    double sum = 0, weight = 0;
    for (int k = 0; k < c->labels; k++) {
        if (s.gold[k] + s.pred[k] <= 0) continue; /* neither gold nor predicted in this resample */
        const double w = c->average == AS_AVERAGE_WEIGHTED ? s.gold[k] : 1;
        sum += w * prf_of(c->kind, s.hit[k], s.gold[k], s.pred[k]);
        weight += w;
    }
    return as_defined(sum / weight);
}

static as_status open_prf(as_metric *m, const as_metric_name *name, enum prf_kind kind,
                          as_err *err) {
    as_average average;
    AS_TRY(as_metric_average(&average, m, name,
                             AS_AVERAGE_BINARY | AS_AVERAGE_MICRO | AS_AVERAGE_MACRO |
                                 AS_AVERAGE_WEIGHTED | AS_AVERAGE_CLASS,
                             err));
    /* With one label an item, every wrong answer is one false positive and one false negative:
     * micro is accuracy. */
    if (average == AS_AVERAGE_MICRO) return fill_hits(m, err);
    return open_confusion(m, prf, kind, average, err);
}

as_status as_open_precision(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, PRECISION, err);
}
as_status as_open_recall(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, RECALL, err);
}
as_status as_open_f1(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_prf(m, name, F1, err);
}

/* ---- MCC ---- */

/* Gorodkin 2004, R_K. 0 when either side has one label only, as sklearn. */
static as_metric_value mcc(const as_metric *m, const uint32_t *counts, void *scratch) {
    const sums s = sum_cells(m, counts, scratch);
    if (s.total <= 0) return as_undefined("no items");
    double hits = 0, gold_pred = 0, gold_gold = 0, pred_pred = 0;
    for (int k = 0; k < ((const confusion *)m->data)->labels; k++) {
        hits += s.hit[k];
        gold_pred += s.gold[k] * s.pred[k];
        gold_gold += s.gold[k] * s.gold[k];
        pred_pred += s.pred[k] * s.pred[k];
    }
    const double square = s.total * s.total, spread = (square - pred_pred) * (square - gold_gold);
    return as_defined(spread > 0 ? (hits * s.total - gold_pred) / sqrt(spread) : 0);
}

as_status as_open_mcc(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    return open_confusion(m, mcc, 0, AS_AVERAGE_MACRO, err);
}

/* ---- Cohen's kappa ---- */

/* Turn s.hit into each label's rank among the labels present in this resample: linear and quadratic
 * weights are distances between those ranks, as sklearn's are. */
static void rank_labels(const sums *s, int labels) {
    double rank = 0;
    for (int k = 0; k < labels; k++) {
        s->hit[k] = rank;
        if (s->gold[k] + s->pred[k] > 0) rank += 1;
    }
}

/* Sum over all pairs of labels of distance x gold x pred, in O(labels). */
static double expected_distance(const sums *s, int labels, int kind) {
    double a = 0, b = 0, c = 0, d = 0;
    if (kind == PLAIN) {
        for (int k = 0; k < labels; k++)
            a += s->gold[k] * s->pred[k];
        return s->total * s->total - a;
    }
    if (kind == QUADRATIC) {
        for (int k = 0; k < labels; k++) {
            const double r = s->hit[k];
            a += r * r * s->gold[k];
            b += r * r * s->pred[k];
            c += r * s->gold[k];
            d += r * s->pred[k];
        }
        return s->total * (a + b) - 2 * c * d;
    }
    /* |i - j| counts the steps between i and j: sum, over each step, the pairs that it divides. */
    for (int k = 0; k < labels; k++) {
        if (s->gold[k] + s->pred[k] <= 0) continue;
        a += s->gold[k];
        b += s->pred[k];
        c += a * (s->total - b) + (s->total - a) * b;
    }
    return c;
}

static as_metric_value kappa(const as_metric *m, const uint32_t *counts, void *scratch) {
    const confusion *c = m->data;
    const sums s = sum_cells(m, counts, scratch);
    if (s.total <= 0) return as_undefined("no items");
    rank_labels(&s, c->labels);
    double observed = 0;
    for (int64_t i = 0; i < c->cells; i++) {
        const double step = fabs(s.hit[c->gold[i]] - s.hit[c->pred[i]]);
        observed += counts[i] * (c->kind == PLAIN    ? c->gold[i] != c->pred[i]
                                 : c->kind == LINEAR ? step
                                                     : step * step);
    }
    const double expected = expected_distance(&s, c->labels, c->kind);
    return expected > 0 ? as_defined(1 - s.total * observed / expected)
                        : as_undefined("gold and predicted labels are all the same one: agreement "
                                       "by chance is certain");
}

as_status as_open_kappa(as_metric *m, const as_metric_name *name, as_err *err) {
    static const char *const kinds[] = {NULL, "linear", "quadratic"};
    int kind = name->count == 0 ? PLAIN : -1;
    for (int i = LINEAR; i <= QUADRATIC && kind < 0; i++)
        if (strcmp(name->args[0].key, kinds[i]) == 0 && !name->args[0].value) kind = i;
    if (kind < 0) return as_metric_bad_arg(m, name, 0, err);
    if (name->count > 1) return as_metric_bad_arg(m, name, 1, err);
    AS_TRY(as_metric_sign(m, kinds[kind], err));
    return open_confusion(m, kappa, kind, AS_AVERAGE_MACRO, err);
}
