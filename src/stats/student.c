/* student.c: Student's t and chi-squared. Tails are computed as tails: a p of 1e-200 has all its
 * digits. */
#include "stats/paired.h"
#include "stats/special.h"

#include <float.h>
#include <math.h>

/* From here on the expansion around the normal is exact to 1e-12 where the tail is not zero. */
static const double many_df = 1e9;

/* P(T > t), t > 0, for large df. With z^2 = df log(1 + t^2 / df) the density of t is that of a
 * normal z times 1 + (z^2 - 1) / (4 df) + O((z^2 / df)^2). */
static double tail_near_normal(double t, double df) {
    const double z = isinf(df) ? t : sqrt(df * log1p(t / df * t));
    if (isinf(z)) return 0;
    const double density = exp(-0.5 * z * z) * 0.39894228040143267794;
    return as_normal_cdf(-z) + z * density / (4 * df);
}

/* P(T > t) and P(0 < T < t), t > 0, each without cancellation. */
static void t_tails(double t, double df, double *tail, double *central) {
    if (df >= many_df) {
        *tail = tail_near_normal(t, df);
        const double z = isinf(df) ? t : sqrt(df * log1p(t / df * t));
        *central = t > 1 ? 0.5 - *tail
                         : 0.5 * erf(z * 0.70710678118654752440) -
                               z * exp(-0.5 * z * z) * 0.39894228040143267794 / (4 * df);
        return;
    }
    const double r = t / sqrt(df), a = 0.5 * df;
    if (r > 1e9) { /* the first term of the series in 1 / r^2, which would underflow below */
        int sign;
        const double log_beta =
            lgamma_r(a, &sign) + lgamma_r(0.5, &sign) - lgamma_r(a + 0.5, &sign);
        *tail = exp(-df * log(r) - log_beta) / df;
        *central = 0.5 - *tail;
        return;
    }
    if (r < 1e-150) { /* r^2 would underflow; the density at 0 times t is all there is */
        int sign;
        *central = r * exp(lgamma_r(a + 0.5, &sign) - lgamma_r(a, &sign)) * 0.56418958354775628695;
        *tail = 0.5;
        return;
    }
    const double r2 = r * r, x = 1 / (1 + r2), y = r2 / (1 + r2);
    *tail = 0.5 * as_beta_cdf_xy(x, y, a, 0.5);
    *central = 0.5 * as_beta_cdf_xy(y, x, 0.5, a);
}

double as_t_cdf(double t, double df) {
    if (!(df > 0) || isnan(t)) return NAN;
    if (t == 0) return 0.5;
    if (isinf(t)) return t < 0 ? 0 : 1;
    double tail, central;
    t_tails(fabs(t), df, &tail, &central);
    return t < 0 ? tail : central < 0.25 ? 0.5 + central : 1 - tail;
}

static double t_log_density(double t, double df) {
    if (df >= many_df) return -0.5 * (df + 1) * log1p(t / df * t) - 0.91893853320467274178;
    int sign;
    const double r = t / sqrt(df), log_1_r2 = r > 1e9 ? 2 * log(r) : log1p(r * r);
    return lgamma_r(0.5 * (df + 1), &sign) - lgamma_r(0.5 * df, &sign) -
           0.5 * log(df * 3.14159265358979323846) - 0.5 * (df + 1) * log_1_r2;
}

/* Newton's method for log(probability) as a function of log t, kept inside a bracket: quantiles of
 * few df span the whole range of doubles. Near the median the central probability is solved for,
 * else the tail. */
double as_t_quantile(double p, double df) {
    if (!(p >= 0 && p <= 1 && df > 0)) return NAN;
    if (p == 0 || p == 1) return p == 0 ? -INFINITY : INFINITY;
    if (p == 0.5) return 0;
    if (isinf(df)) return as_normal_quantile(p);
    const double q = p < 0.5 ? p : 1 - p;
    const bool use_central = q > 0.25;
    const double target = use_central ? fabs(p - 0.5) : q;
    double low = -745, high = 709.7, u = log(-as_normal_quantile(q));
    for (int i = 0; i < 400; i++) {
        const double t = exp(u);
        double tail, central;
        t_tails(t, df, &tail, &central);
        const double now = use_central ? central : tail;
        if (use_central ? now > target : now < target)
            high = u;
        else
            low = u;
        /* d log(now) / d log(t) = +-t density / now */
        const double slope = exp(u + t_log_density(t, df)) / now * (use_central ? 1 : -1);
        double next = u - log(now / target) / slope;
        if (!(next > low && next < high)) next = 0.5 * (low + high);
        const double moved = fabs(next - u);
        u = next;
        if (moved <= DBL_EPSILON || high - low <= DBL_EPSILON * fabs(low)) break;
    }
    return p < 0.5 ? -exp(u) : exp(u);
}

double as_chi2_sf(double x, double df) {
    if (!(df > 0) || isnan(x)) return NAN;
    return x <= 0 ? 1 : as_gamma_sf(0.5 * df, 0.5 * x);
}
