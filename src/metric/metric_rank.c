/* metric_rank.c: ROC AUC and average precision. Scores are sorted once; a resample is one walk down
 * the order. */
#include "base/mem.h"
#include "metric/family.h"

#include <stdlib.h>
#include <string.h>

/* Entries of one ranking, by falling score: item | POSITIVE if it is one | LAST of its tied group.
 */
#define POSITIVE 0x40000000u
#define LAST     0x80000000u
#define ITEM     0x3fffffffu
typedef struct ranking {
    uint32_t *entry;
    int64_t n;
} ranking;

typedef struct rankings {
    ranking *columns;
    int count;
    as_average average;
    bool one_vs_one,
        absent_is_zero; /* absent_is_zero: an average precision without positives counts as 0 */
    double (*of)(const ranking *r, const uint32_t *weights,
                 double *positives); /* NaN when undefined */
} rankings;

static void free_rankings(void *data) {
    rankings *r = data;
    for (int k = 0; r->columns && k < r->count; k++)
        as_free(r->columns[k].entry);
    as_free(r->columns);
    as_free(r);
}

/* ---- preparation ---- */

typedef struct scored {
    double score;
    uint32_t entry;
} scored;

static int by_falling_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

static bool is_positive(const as_predictions *p, int64_t i, int label) {
    return p->kind == AS_PRED_CLASS
               ? p->gold[i] == label
               : p->gold_sets[(size_t)i * (size_t)p->num_labels + (size_t)label] != 0;
}

static void put_label(scored *out, const as_predictions *p, int label) {
    for (int64_t i = 0; i < p->n; i++) {
        out[i].score = p->probs[(size_t)i * (size_t)p->num_labels + (size_t)label];
        out[i].entry = (uint32_t)i | (is_positive(p, i, label) ? POSITIVE : 0);
    }
}

/* Rank the items by the scores of labels first..last (all of them: micro, as one ranking of n x
 * labels decisions). */
static as_status rank_labels(ranking *r, const as_predictions *p, int first, int last,
                             as_err *err) {
    uint64_t n;
    if (!as_mul_u64((uint64_t)p->n, (uint64_t)(last - first + 1), &n)) n = UINT64_MAX;
    scored *v = as_alloc(n, sizeof *v);
    r->entry = as_alloc(n, sizeof *r->entry);
    if (!v || !r->entry) {
        as_free(v);
        return as_fail_nomem(err, "a ranking", n > SIZE_MAX / sizeof *v ? SIZE_MAX : n * sizeof *v);
    }
    r->n = (int64_t)n;
    for (int k = first; k <= last; k++)
        put_label(v + (size_t)(k - first) * (size_t)p->n, p, k);
    qsort(v, n, sizeof *v, by_falling_score);
    for (uint64_t i = 0; i < n; i++)
        r->entry[i] = v[i].entry | (i + 1 == n || v[i + 1].score != v[i].score ? LAST : 0);
    as_free(v);
    return AS_OK;
}

static as_status build_rankings(rankings *r, as_metric *m, as_err *err) {
    const int labels = m->p.num_labels;
    const bool single = r->average == AS_AVERAGE_BINARY || r->average == AS_AVERAGE_CLASS;
    r->columns = as_calloc((size_t)(single ? 1 : labels), sizeof *r->columns);
    if (!r->columns) return as_fail_nomem(err, "rankings", (size_t)labels * sizeof *r->columns);
    r->count = single || r->average == AS_AVERAGE_MICRO ? 1 : labels;
    if (single) return rank_labels(&r->columns[0], &m->p, m->label, m->label, err);
    if (r->average == AS_AVERAGE_MICRO)
        return rank_labels(&r->columns[0], &m->p, 0, labels - 1, err);
    for (int k = 0; k < labels; k++)
        AS_TRY(rank_labels(&r->columns[k], &m->p, k, k, err));
    return AS_OK;
}

/* ---- one ranking ---- */

/* Mann-Whitney: a tie is half a win. */
static double auc_of(const ranking *r, const uint32_t *weights, double *positives) {
    double above = 0, tied_pos = 0, tied_neg = 0, negatives = 0, twice_wins = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const uint32_t e = r->entry[i];
        const double w = weights ? weights[e & ITEM] : 1;
        if (e & POSITIVE)
            tied_pos += w;
        else
            tied_neg += w;
        if (!(e & LAST)) continue;
        twice_wins += tied_neg * (2 * above + tied_pos);
        above += tied_pos;
        negatives += tied_neg;
        tied_pos = tied_neg = 0;
    }
    *positives = above;
    return above > 0 && negatives > 0 ? twice_wins / (2 * above * negatives)
                                      : as_undefined(NULL).value;
}

/* Sum over thresholds of (recall step) x precision. 0 without positives, as sklearn. */
static double ap_of(const ranking *r, const uint32_t *weights, double *positives) {
    double hit = 0, seen = 0, tied_hit = 0, sum = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const uint32_t e = r->entry[i];
        const double w = weights ? weights[e & ITEM] : 1;
        seen += w;
        if (e & POSITIVE) tied_hit += w;
        if (!(e & LAST) || tied_hit == 0) continue;
        hit += tied_hit;
        sum += tied_hit * hit / seen;
        tied_hit = 0;
    }
    *positives = hit;
    return hit > 0 ? sum / hit : 0;
}

/* ---- averages ---- */

static as_metric_value average_columns(const as_metric *m, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const rankings *r = m->data;
    double sum = 0, weight = 0;
    for (int k = 0; k < r->count; k++) {
        double positives;
        const double value = r->of(&r->columns[k], weights, &positives);
        const bool one =
            r->count == 1 && r->average != AS_AVERAGE_MACRO && r->average != AS_AVERAGE_WEIGHTED;
        const double w = r->average == AS_AVERAGE_WEIGHTED ? positives : 1;
        if (w == 0) continue; /* a weighted average leaves absent labels out */
        if (value != value)
            return as_undefined(one ? "only one class among the gold labels"
                                    : "for some label, all gold labels are on one side");
        if (positives == 0 && !one && !r->absent_is_zero)
            return as_undefined("some label has no gold items");
        sum += w * value;
        weight += w;
    }
    if (weight > 0) return as_defined(sum / weight);
    return m->p.num_labels > 0 && r->average == AS_AVERAGE_WEIGHTED &&
                   m->p.kind == AS_PRED_MULTILABEL
               ? as_defined(0)
               : as_undefined("no labels");
}

/* Hand and Till (2001): for each ordered pair of labels (a, b), the AUC by a's score of a's items
 * against b's. One walk down a's ranking serves all b. scratch: count [labels], wins [labels x
 * labels]. */
static as_metric_value average_pairs(const as_metric *m, const uint32_t *weights, void *scratch) {
    const rankings *r = m->data;
    const int labels = r->count;
    double *count = scratch, *wins = count + labels;
    memset(count, 0, ((size_t)labels + 1) * (size_t)labels * sizeof *count);
    double total = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        count[m->p.gold[i]] += weights ? weights[i] : 1;
        total += weights ? weights[i] : 1;
    }
    for (int a = 0; a < labels; a++) {
        double above = 0, tied_pos = 0, *row = wins + (size_t)a * (size_t)labels;
        int64_t start = 0;
        for (int64_t i = 0; i < r->columns[a].n; i++) {
            const uint32_t e = r->columns[a].entry[i];
            if (e & POSITIVE) tied_pos += weights ? weights[e & ITEM] : 1;
            if (!(e & LAST)) continue;
            for (; start <= i; start++) {
                const uint32_t item = r->columns[a].entry[start] & ITEM;
                row[m->p.gold[item]] += (weights ? weights[item] : 1) * (2 * above + tied_pos);
            }
            above += tied_pos;
            tied_pos = 0;
        }
    }
    double sum = 0, weight = 0;
    for (int a = 0; a < labels; a++)
        for (int b = a + 1; b < labels; b++) {
            if (count[a] == 0 || count[b] == 0) continue;
            const double pairs = 2 * count[a] * count[b];
            const double auc = (wins[(size_t)a * (size_t)labels + (size_t)b] +
                                wins[(size_t)b * (size_t)labels + (size_t)a]) /
                               pairs / 2;
            const double w = r->average == AS_AVERAGE_WEIGHTED ? (count[a] + count[b]) / total : 1;
            sum += w * auc;
            weight += w;
        }
    return weight > 0 ? as_defined(sum / weight)
                      : as_undefined("only one class among the gold labels");
}

/* ---- opening ---- */

static as_status open_rankings(as_metric *m, rankings setup, as_err *err) {
    if (m->p.kind == AS_PRED_CLASS)
        AS_TRY(as_check_classes(m, false, err));
    else
        AS_TRY(as_check_sets(m, false, err));
    AS_TRY(as_check_scores(m, false, err));
    rankings *r = as_alloc(1, sizeof *r);
    if (!r) return as_fail_nomem(err, "rankings", sizeof *r);
    *r = setup;
    m->data = r;
    m->free_data = free_rankings;
    m->aggregate = r->one_vs_one ? average_pairs : average_columns;
    const size_t labels = (size_t)m->p.num_labels;
    if (r->one_vs_one) m->scratch_bytes = (labels + 1) * labels * sizeof(double);
    return build_rankings(r, m, err);
}

/* Takes the words "ovr" and "ovo" out of the arguments; what is left is the average. */
static as_status open_multiclass_auc(as_metric *m, const as_metric_name *name, as_err *err) {
    rankings setup = {.of = auc_of, .average = AS_AVERAGE_MACRO};
    bool scheme_given = false, average_given = false;
    for (int i = 0; i < name->count; i++) {
        const char *key = name->args[i].key;
        const bool scheme = strcmp(key, "ovo") == 0 || strcmp(key, "ovr") == 0;
        const bool average = strcmp(key, "macro") == 0 || strcmp(key, "weighted") == 0;
        if (name->args[i].value || (!scheme && !average) || (scheme && scheme_given) ||
            (average && average_given))
            return as_metric_bad_arg(m, name, i, err);
        scheme_given |= scheme;
        average_given |= average;
        if (strcmp(key, "ovo") == 0) setup.one_vs_one = true;
        if (strcmp(key, "weighted") == 0) setup.average = AS_AVERAGE_WEIGHTED;
    }
    const bool weighted = setup.average == AS_AVERAGE_WEIGHTED;
    AS_TRY(as_metric_sign(m,
                          setup.one_vs_one ? (weighted ? "ovo,weighted" : "ovo,macro")
                          : weighted       ? "ovr,weighted"
                                           : "ovr,macro",
                          err));
    return open_rankings(m, setup, err);
}

as_status as_open_roc_auc(as_metric *m, const as_metric_name *name, as_err *err) {
    const bool sets = m->p.kind == AS_PRED_MULTILABEL;
    const char *first = name->count > 0        ? name->args[0].key
                        : m->p.num_labels == 2 ? "binary"
                                               : "ovr";
    if (!sets && strcmp(first, "binary") != 0 && strcmp(first, "class") != 0)
        return open_multiclass_auc(m, name, err);
    rankings setup = {.of = auc_of};
    const int of_sets =
        AS_AVERAGE_MICRO | AS_AVERAGE_MACRO | AS_AVERAGE_WEIGHTED | AS_AVERAGE_CLASS;
    AS_TRY(as_metric_average(&setup.average, m, name,
                             sets ? of_sets : AS_AVERAGE_BINARY | AS_AVERAGE_CLASS, err));
    return open_rankings(m, setup, err);
}

as_status as_open_average_precision(as_metric *m, const as_metric_name *name, as_err *err) {
    const bool sets = m->p.kind == AS_PRED_MULTILABEL;
    rankings setup = {.of = ap_of, .absent_is_zero = sets};
    const int all = AS_AVERAGE_MICRO | AS_AVERAGE_MACRO | AS_AVERAGE_WEIGHTED | AS_AVERAGE_CLASS;
    AS_TRY(as_metric_average(&setup.average, m, name, sets ? all : all | AS_AVERAGE_BINARY, err));
    return open_rankings(m, setup, err);
}
