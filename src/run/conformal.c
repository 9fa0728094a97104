/* conformal.c: split-conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021): from the scores of true labels on dev
 * data, how far a label's score may go before it is left out. */
#include "base/mem.h"
#include "run/calibrate.h"
#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct place { double p; int label; } place;
static int by_rank(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->p != y->p) return x->p < y->p ? 1 : -1;
    return x->label - y->label;
}
/* Scores of all labels of one row, [num_labels]. APS: the mass of what ranks before a label, the first label first among equals:
 * the deterministic form whose sets { score <= q } need no randomisation to be neither empty nor all labels. */
static void scores_of(double *out, place *room, const double *p, int labels, as_conformal_score score) {
    double before = 0;
    for (int k = 0; k < labels; k++) room[k] = (place){p[k], k}, out[k] = 1 - p[k];
    if (score == AS_CONFORMAL_LAC) return;
    qsort(room, (size_t)labels, sizeof *room, by_rank);
    for (int k = 0; k < labels; k++) out[room[k].label] = before, before += room[k].p;
}

static void find_threshold(as_conformal *out, double *score, int64_t n) {
    qsort(score, (size_t)n, sizeof *score, by_value);
    const int64_t k = (int64_t)ceil((double)(n + 1) * out->level - 1e-9);
    out->threshold = k > n ? INFINITY : score[k - 1];
    out->beta_low = k > n ? 1.0 : as_beta_quantile(0.025, (double)k, (double)(n + 1 - k));
    out->beta_high = k > n ? 1.0 : as_beta_quantile(0.975, (double)k, (double)(n + 1 - k));
}

static double mean_of(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const as_statistic *s = ctx;
    double sum = 0, n = 0;
    for (int64_t i = 0; i < s->n; i++) sum += weights ? weights[i] * s->mean_items[i] : s->mean_items[i], n += weights ? weights[i] : 1;
    return n > 0 ? sum / n : NAN;
}

as_status as_conformal_of(as_conformal *out, as_conformal_score score, const as_predictions *dev, const as_predictions *test, const int32_t *cluster, double level,
                          const as_bootstrap_opts *o, as_err *err) {
    const int labels = test->num_labels;
    const int64_t most = dev->n > test->n ? dev->n : test->n;
    *out = (as_conformal){.score = score, .level = level, .n = test->n, .dev_n = dev->n};
    double *v = as_alloc((size_t)most, sizeof *v), *row = as_alloc((size_t)labels, sizeof *row);
    place *room = as_alloc((size_t)labels, sizeof *room);
    as_status s = v && row && room ? AS_OK : as_fail_nomem(err, "conformal scores", (size_t)most * sizeof *v);
    for (int64_t i = 0; s == AS_OK && i < dev->n; i++) {
        scores_of(row, room, dev->probs + i * labels, labels, score);
        v[i] = row[dev->gold[i]];
    }
    if (s == AS_OK) find_threshold(out, v, dev->n);
    int64_t covered = 0, sizes = 0;
    for (int64_t i = 0; s == AS_OK && i < test->n; i++) {
        int size = 0;
        scores_of(row, room, test->probs + i * labels, labels, score);
        for (int k = 0; k < labels; k++) size += row[k] <= out->threshold;
        covered += row[test->gold[i]] <= out->threshold;
        out->empty += size == 0, out->single += size == 1, sizes += size, v[i] = size;
    }
    if (s == AS_OK) {
        const as_interval w = as_interval_wilson(covered, test->n, o->level);
        as_interval b;
        as_statistic mean = {.value = mean_of, .n = test->n, .cluster = cluster, .mean_items = v};
        mean.ctx = &mean;
        out->coverage = (double)covered / (double)test->n, out->low = w.low, out->high = w.high;
        out->size = (double)sizes / (double)test->n;
        s = as_interval_bootstrap(&b, &mean, o, err);
        if (s == AS_OK) out->size_low = b.low, out->size_high = b.high, out->size_method = b.method;
    }
    as_free(v), as_free(row), as_free(room);
    return s;
}
