/* selective.c: risk against coverage: what the error rate is among the items that a model is surest of. */
#include "base/mem.h"
#include "run/calibrate.h"
#include <math.h>
#include <stdlib.h>

/* Items by falling confidence, in groups of one confidence. */
typedef struct ranked { double confidence; int64_t item; bool wrong; } ranked;
typedef struct ranking {
    ranked *v;          /* [n] */
    int64_t *end;       /* [groups] */
    int64_t n, groups;
    double *harmonic;   /* [most + 1] of 1 + 1/2 + ... + 1/k */
    bool excess;        /* less the area of the best order */
} ranking;

static int by_falling(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence < y->confidence ? 1 : -1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Resamples of clusters can hold more items than there are: twice as many are rarely needed, more are added up on the spot. */
static double harmonic(const ranking *r, int64_t k) {
    const int64_t most = 2 * r->n;
    if (k <= most) return r->harmonic[k];
    double h = r->harmonic[most];
    for (int64_t i = most + 1; i <= k; i++) h += 1.0 / (double)i;
    return h;
}

/* Sum over k of (expected errors among the first k) / k. In a group that begins behind K items with E errors and holds g with e
 * errors, the j-th term is (E + j e / g) / (K + j) = e / g + (E - K e / g) / (K + j). */
static double area(const ranking *r, const uint32_t *weights) {
    double sum = 0, errors = 0;
    int64_t seen = 0;
    for (int64_t k = 0, i = 0; k < r->groups; k++) {
        int64_t g = 0;
        double e = 0;
        for (; i < r->end[k]; i++) {
            const uint32_t w = weights ? weights[r->v[i].item] : 1;
            g += w, e += r->v[i].wrong ? w : 0;
        }
        if (g == 0) continue;
        const double share = e / (double)g;
        sum += e + (errors - (double)seen * share) * (harmonic(r, seen + g) - harmonic(r, seen));
        seen += g, errors += e;
    }
    if (seen == 0) return NAN;
    /* All errors last: term k is (k - right) / k for k > right. */
    const double right = (double)seen - errors;
    const double best = errors - right * (harmonic(r, seen) - harmonic(r, (int64_t)right));
    return (sum - (r->excess ? best : 0)) / (double)seen;
}
static double area_of(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)scratch;
    return area(ctx, weights);
}

/* Expected errors among the k most confident. */
static double errors_of(const ranking *r, int64_t k, double *threshold) {
    double errors = 0;
    int64_t i = 0;
    for (int64_t b = 0; b < r->groups && i < k; b++) {
        const int64_t begin = i, g = r->end[b] - begin;
        int64_t e = 0;
        for (; i < r->end[b]; i++) e += r->v[i].wrong;
        errors += k - begin >= g ? (double)e : (double)e * (double)(k - begin) / (double)g;
        *threshold = r->v[begin].confidence;
    }
    return errors;
}
static int64_t items_at(const ranking *r, double coverage) {
    const int64_t k = (int64_t)ceil(coverage * (double)r->n - 1e-9);
    return k < 1 ? 1 : k;
}

static as_status rank(ranking *r, const as_predictions *p, as_err *err) {
    *r = (ranking){.v = as_alloc((size_t)p->n, sizeof *r->v), .end = as_alloc((size_t)p->n, sizeof *r->end), .n = p->n,
                   .harmonic = as_alloc(2 * (size_t)p->n + 1, sizeof *r->harmonic)};
    if (!r->v || !r->end || !r->harmonic) return as_fail_nomem(err, "confidences", (size_t)p->n * sizeof *r->v);
    for (int64_t i = 0; i < p->n; i++) {
        const double *row = p->probs + i * p->num_labels;
        int top = 0;
        for (int k = 1; k < p->num_labels; k++)
            if (row[k] > row[top]) top = k;
        r->v[i] = (ranked){row[top], i, p->gold[i] != top};
    }
    qsort(r->v, (size_t)p->n, sizeof *r->v, by_falling);
    for (int64_t i = 0; i < p->n; i++)
        if (i + 1 == p->n || r->v[i + 1].confidence != r->v[i].confidence) r->end[r->groups++] = i + 1;
    r->harmonic[0] = 0;
    for (int64_t i = 1; i <= 2 * p->n; i++) r->harmonic[i] = r->harmonic[i - 1] + 1.0 / (double)i;
    return AS_OK;
}

static void curve(double *risk, const ranking *r) {
    for (int k = 0; k < AS_CURVE_POINTS; k++) {
        const int64_t n = items_at(r, (k + 1.0) / AS_CURVE_POINTS);
        double threshold;
        risk[k] = errors_of(r, n, &threshold) / (double)n;
    }
}
as_status as_risk_curve(double risk[AS_CURVE_POINTS], const as_predictions *p, as_err *err) {
    ranking r;
    const as_status s = rank(&r, p, err);
    if (s == AS_OK) curve(risk, &r);
    as_free(r.v), as_free(r.end), as_free(r.harmonic);
    return s;
}

as_status as_selective_of(as_selective *out, const as_predictions *p, const int32_t *cluster, double level, uint64_t seed, int threads, as_err *err) {
    static const double coverages[AS_COVERAGES] = {0.5, 0.8, 0.9, 0.95};
    ranking r;
    as_interval i = {0};
    *out = (as_selective){.method = NULL};
    as_status s = rank(&r, p, err);
    const as_statistic area_statistic = {.value = area_of, .ctx = &r, .n = p->n, .cluster = cluster};
    const as_bootstrap_opts o = {.level = level, .seed = seed, .threads = threads};
    if (s == AS_OK) out->aurc = area(&r, NULL), s = as_interval_bootstrap(&i, &area_statistic, &o, err);
    out->aurc_low = i.low, out->aurc_high = i.high, out->method = i.method;
    r.excess = true;
    if (s == AS_OK) out->e_aurc = area(&r, NULL), s = as_interval_bootstrap(&i, &area_statistic, &o, err);
    out->e_aurc_low = i.low, out->e_aurc_high = i.high;
    for (int k = 0; s == AS_OK && k < AS_COVERAGES; k++) {
        as_coverage_point *at = &out->at[k];
        *at = (as_coverage_point){.coverage = coverages[k], .n = items_at(&r, coverages[k])};
        const double right = (double)at->n - errors_of(&r, at->n, &at->threshold);
        const as_interval w = as_interval_wilson(llround(right), at->n, level);
        at->accuracy = right / (double)at->n, at->low = w.low, at->high = w.high;
    }
    if (s == AS_OK) curve(out->curve_risk, &r);
    as_free(r.v), as_free(r.end), as_free(r.harmonic);
    return s;
}
