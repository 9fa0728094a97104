/* metric_value.c: metrics of numbers. */
#include "base/mem.h"
#include "metric/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- means of errors ---- */

static as_status open_errors(as_metric *m, const as_metric_name *name, bool squared, as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    AS_TRY(as_check_values(m, err));
    AS_TRY(as_metric_use_items(m, false, err));
    for (int64_t i = 0; i < m->p.n; i++) {
        const double d = m->p.gold_value[i] - m->p.pred_value[i];
        m->items[i] = squared ? d * d : fabs(d);
    }
    return AS_OK;
}

as_status as_open_mse(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_errors(m, name, true, err);
}
as_status as_open_mae(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_errors(m, name, false, err);
}

static as_status
open_plain(as_metric *m, const as_metric_name *name,
           as_metric_value (*aggregate)(const as_metric *, const uint32_t *, void *), as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    m->aggregate = aggregate;
    return as_check_values(m, err);
}

static as_metric_value rmse(const as_metric *m, const uint32_t *weights, void *scratch) {
    (void)scratch;
    double sum = 0, count = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[i] : 1, d = m->p.gold_value[i] - m->p.pred_value[i];
        sum += w * d * d;
        count += w;
    }
    return count > 0 ? as_defined(sqrt(sum / count)) : as_undefined("no items");
}

as_status as_open_rmse(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_plain(m, name, rmse, err);
}

/* ---- R2 and Pearson ---- */

typedef struct moments {
    double count, mean;
    bool constant;
} moments;

/* Constant means all equal: a rounded mean would leave a variance of 1e-33 that is none. */
static moments moments_of(const double *v, const uint32_t *weights, int64_t n) {
    moments out = {0, 0, true};
    double sum = 0, first = NAN;
    for (int64_t i = 0; i < n; i++) {
        const double w = weights ? weights[i] : 1;
        if (w == 0) continue;
        if (out.count == 0) first = v[i];
        out.constant &= v[i] == first;
        sum += w * v[i];
        out.count += w;
    }
    out.mean = out.constant ? first : sum / out.count;
    return out;
}

/* sklearn's convention (force_finite): a constant gold gives 1 when all predictions are right, else
 * 0. */
static as_metric_value r2(const as_metric *m, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const moments gold = moments_of(m->p.gold_value, weights, m->p.n);
    if (gold.count < 2) return as_undefined("fewer than two items");
    double error = 0, spread = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[i] : 1, d = m->p.gold_value[i] - m->p.pred_value[i],
                     s = m->p.gold_value[i] - gold.mean;
        error += w * d * d;
        spread += w * s * s;
    }
    if (error == 0) return as_defined(1);
    return as_defined(spread > 0 ? 1 - error / spread : 0);
}

as_status as_open_r2(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_plain(m, name, r2, err);
}

static as_metric_value correlation(double xy, double xx, double yy) {
    const double r = xy / (sqrt(xx) * sqrt(yy));
    return r != r ? as_undefined("the spread is too small or too large for floating point")
                  : as_defined(r > 1    ? 1
                               : r < -1 ? -1
                                        : r);
}

/* A power of two that brings the largest deviation from the mean near 1. */
static double unit_of(const double *v, const uint32_t *weights, int64_t n, double mean) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        if (!weights || weights[i] > 0) largest = fmax(largest, fabs(v[i] - mean));
    int exponent;
    (void)frexp(largest, &exponent);
    return ldexp(1, exponent < -1020 ? 1020 : -exponent);
}

typedef struct products {
    double xy, xx, yy;
} products;

static products products_of(const as_metric *m, const uint32_t *weights, double mean_x,
                            double mean_y, double unit_x, double unit_y) {
    products p = {0, 0, 0};
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[i] : 1, dx = (m->p.gold_value[i] - mean_x) * unit_x,
                     dy = (m->p.pred_value[i] - mean_y) * unit_y;
        p.xy += w * dx * dy;
        p.xx += w * dx * dx;
        p.yy += w * dy * dy;
    }
    return p;
}

/* Squares of the one or the other have left the range in which they keep their digits. */
static bool out_of_range(products p) {
    return !(p.xx > 1e-140 && p.xx < 1e140 && p.yy > 1e-140 && p.yy < 1e140);
}

static as_metric_value pearson(const as_metric *m, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const double *x = m->p.gold_value, *y = m->p.pred_value;
    const moments a = moments_of(x, weights, m->p.n), b = moments_of(y, weights, m->p.n);
    if (a.count < 2) return as_undefined("fewer than two items");
    if (a.constant) return as_undefined("the gold values are all the same");
    if (b.constant) return as_undefined("the predicted values are all the same");
    products p = products_of(m, weights, a.mean, b.mean, 1, 1);
    if (out_of_range(p))
        p = products_of(m, weights, a.mean, b.mean, unit_of(x, weights, m->p.n, a.mean),
                        unit_of(y, weights, m->p.n, b.mean));
    return correlation(p.xy, p.xx, p.yy);
}

as_status as_open_pearson(as_metric *m, const as_metric_name *name, as_err *err) {
    return open_plain(m, name, pearson, err);
}

/* ---- Spearman ---- */

/* Items by rising value; the top bit marks the last of a tied group. */
#define LAST 0x80000000u
typedef struct orders {
    uint32_t *gold, *pred;
} orders;

static void free_orders(void *data) {
    orders *o = data;
    as_free(o->gold);
    as_free(o->pred);
    as_free(o);
}

typedef struct valued {
    double value;
    uint32_t item;
} valued;

static int by_rising_value(const void *a, const void *b) {
    const valued *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static uint32_t *order_of(const double *v, int64_t n) {
    valued *sorted = as_alloc((size_t)n, sizeof *sorted);
    uint32_t *out = as_alloc((size_t)n, sizeof *out);
    if (!sorted || !out) {
        as_free(sorted);
        as_free(out);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++)
        sorted[i] = (valued){v[i], (uint32_t)i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_rising_value);
    for (int64_t i = 0; i < n; i++)
        out[i] = sorted[i].item | (i + 1 == n || sorted[i + 1].value != sorted[i].value ? LAST : 0);
    as_free(sorted);
    return out;
}

/* Walk an order; write each item's mean rank, less (count + 1) / 2, the mean of all ranks, into
 * out. Returns the sum of squares of those deviations. */
static double deviations_of_rank(double *out, const uint32_t *order, const uint32_t *weights,
                                 int64_t n, double count) {
    double before = 0, squares = 0;
    for (int64_t start = 0, end; start < n; start = end) {
        double tied = 0;
        for (end = start; end == start || !(order[end - 1] & LAST); end++)
            tied += weights ? weights[order[end] & ~LAST] : 1;
        const double deviation = before + (tied + 1) / 2 - (count + 1) / 2;
        for (int64_t i = start; i < end; i++)
            out[order[i] & ~LAST] = deviation;
        squares += tied * deviation * deviation;
        before += tied;
    }
    return squares;
}

static as_metric_value spearman(const as_metric *m, const uint32_t *weights, void *scratch) {
    const orders *o = m->data;
    const int64_t n = m->p.n;
    double count = 0, *x = scratch, *y = x + n;
    for (int64_t i = 0; i < n; i++)
        count += weights ? weights[i] : 1;
    if (count < 2) return as_undefined("fewer than two items");
    const double xx = deviations_of_rank(x, o->gold, weights, n, count),
                 yy = deviations_of_rank(y, o->pred, weights, n, count);
    /* ranks are exact halves, so a constant side has squares of exactly 0 */
    if (xx == 0) return as_undefined("the gold values are all the same");
    if (yy == 0) return as_undefined("the predicted values are all the same");
    double xy = 0;
    for (int64_t i = 0; i < n; i++)
        xy += (weights ? weights[i] : 1) * x[i] * y[i];
    return correlation(xy, xx, yy);
}

as_status as_open_spearman(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(open_plain(m, name, spearman, err));
    orders *o = as_calloc(1, sizeof *o);
    if (!o) return as_fail_nomem(err, "ranks", sizeof *o);
    m->data = o;
    m->free_data = free_orders;
    m->scratch_bytes = (size_t)m->p.n * 2 * sizeof(double);
    o->gold = order_of(m->p.gold_value, m->p.n);
    o->pred = order_of(m->p.pred_value, m->p.n);
    return o->gold && o->pred ? AS_OK : as_fail_nomem(err, "ranks", m->scratch_bytes);
}
