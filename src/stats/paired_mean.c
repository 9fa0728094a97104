/* paired_mean.c: means of per-item scores and of their differences, by Student's t. */
#include "stats/paired.h"
#include "stats/paired_units.h"

#include <math.h>

/* The mean of n values with its standard error. */
typedef struct moments {
    double mean, se, naive_se; /* naive: as if items were independent */
    double df;                 /* units - 1 */
    const char *why;           /* static, when se is NaN */
} moments;

/* Residuals below this share of the values are what rounding leaves of equal values. */
static const double rounding = 1e-14;

/* Two passes; the second corrects the mean by what rounding left of it. *scale = largest |x|. */
static double mean_of(const double *x, int64_t n, double *scale) {
    double sum = 0, rest = 0;
    *scale = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        *scale = fmax(*scale, fabs(x[i]));
    }
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        rest += x[i] - mean;
    return mean + rest / (double)n;
}

static const char *first_problem(const double *x, int64_t n) {
    if (n <= 0) return "no items";
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return "a score is not a finite number";
    return n == 1 ? "one item has no spread" : NULL;
}

/* sqrt(units / (units - 1) sum of squared unit residuals) / n; values are divided by `scale` so
 * that squares of large ones do not overflow. */
static double se_of_residuals(double squares, double units, double n, double scale) {
    if (squares <= units * rounding * rounding) return 0;
    return sqrt(units / (units - 1) * squares) / n * scale;
}

static double clustered_se(const double *x, int64_t n, const as_units *u, double mean,
                           double scale) {
    double squares = 0;
    for (int64_t c = 0; c < u->count; c++)
        u->sum[c] = 0;
    for (int64_t i = 0; i < n; i++)
        u->sum[u->of[i]] += (x[i] - mean) / scale;
    for (int64_t c = 0; c < u->count; c++)
        squares += u->sum[c] * u->sum[c];
    return se_of_residuals(squares, (double)u->count, (double)n, scale);
}

static moments moments_of(const double *x, int64_t n, const int32_t *cluster) {
    moments m = {.mean = NAN, .se = NAN, .naive_se = NAN, .df = NAN};
    m.why = first_problem(x, n);
    if (m.why && n != 1) return m;
    double scale, squares = 0;
    m.mean = mean_of(x, n, &scale);
    if (m.why) return m;
    if (!isfinite(m.mean)) return m.why = "the scores are too large to add", m;
    if (scale > 0)
        for (int64_t i = 0; i < n; i++) {
            const double r = (x[i] - m.mean) / scale;
            squares += r * r;
        }
    m.naive_se = se_of_residuals(squares, (double)n, (double)n, scale);
    m.df = (double)(n - 1);
    m.se = m.naive_se;
    if (!cluster) return m;
    as_units u;
    m.se = m.df = NAN;
    if (as_units_of(&u, n, cluster, x, NULL) != AS_OK)
        return m.why = "not enough memory for the clusters", m;
    if (u.count < 2)
        m.why = "one cluster has no spread";
    else {
        m.se = scale > 0 ? clustered_se(x, n, &u, m.mean, scale) : 0;
        m.df = (double)(u.count - 1);
    }
    as_units_free(&u);
    return m;
}

double as_standard_error(const double *x, int64_t n, const int32_t *cluster, double *deff) {
    const moments m = moments_of(x, n, cluster);
    if (deff) {
        const double ratio = m.se / m.naive_se;
        *deff = isnan(m.se) ? NAN : cluster ? ratio * ratio : 1; /* 0 / 0 of equal values is NaN */
    }
    return m.se;
}

/* (mean - at) / se. Without spread the sign alone is known: infinite, or 0 where the mean is just
 * there. */
static double t_of(const moments *m, double at) {
    const double gap = m->mean - at;
    if (m->se > 0) return gap / m->se;
    return fabs(gap) <= rounding * fmax(fabs(m->mean), fabs(at)) ? 0 : copysign(INFINITY, gap);
}

static as_test begin_test(const moments *m, const char *method) {
    return (as_test){.p = NAN, .statistic = NAN, .df = m->df, .method = method, .why = m->why};
}

/* Equal differences that are not 0 give an infinite t and p = 0, as scipy does.
 * Differs: where all differences are 0, scipy gives NaN; here p is 1. */
as_test as_paired_t(const double *d, int64_t n, const int32_t *cluster) {
    const moments m = moments_of(d, n, cluster);
    as_test t = begin_test(&m, cluster ? "clustered paired t" : "paired t");
    if (t.why) return t;
    t.statistic = t_of(&m, 0);
    t.p = 2 * as_t_cdf(-fabs(t.statistic), m.df);
    return t;
}

as_interval as_interval_paired_t(const double *d, int64_t n, const int32_t *cluster, double level) {
    as_interval out = {.low = NAN,
                       .high = NAN,
                       .level = level,
                       .method = cluster ? "clustered paired t" : "paired t"};
    if (!(level > 0 && level < 1)) return out.why = "the level is not between 0 and 1", out;
    const moments m = moments_of(d, n, cluster);
    if (m.why) return out.why = m.why, out;
    const double half = -as_t_quantile((1 - level) / 2, m.df) * m.se;
    out.low = m.mean - half;
    out.high = m.mean + half;
    return out;
}

/* H0: mean <= at. On the border without spread H0 holds. */
static double p_above(const moments *m, double at) {
    const double t = t_of(m, at);
    return m->se == 0 && t == 0 ? 1 : as_t_cdf(-t, m->df);
}

/* H0: mean >= at. */
static double p_below(const moments *m, double at) {
    const double t = t_of(m, at);
    return m->se == 0 && t == 0 ? 1 : as_t_cdf(t, m->df);
}

as_test as_equivalence_test(const double *d, int64_t n, const int32_t *cluster, double margin) {
    const moments m = moments_of(d, n, cluster);
    as_test t = begin_test(&m, cluster ? "clustered tost" : "tost");
    if (!(margin > 0) || isinf(margin)) t.why = "the margin is not above 0";
    if (t.why) return t;
    const double above = p_above(&m, -margin), below = p_below(&m, margin);
    t.p = fmax(above, below);
    t.statistic = t_of(&m, above >= below ? -margin : margin);
    return t;
}

as_test as_noninferiority_test(const double *d, int64_t n, const int32_t *cluster, double margin) {
    const moments m = moments_of(d, n, cluster);
    as_test t = begin_test(&m, cluster ? "clustered non-inferiority t" : "non-inferiority t");
    if (!(margin >= 0) || isinf(margin)) t.why = "the margin is below 0";
    if (t.why) return t;
    t.p = p_above(&m, -margin);
    t.statistic = t_of(&m, -margin);
    return t;
}
