/* special.c: the normal distribution, the incomplete beta and gamma functions, the binomial.
 *
 * The beta density is computed by Loader's saddle-point form ("Fast and accurate computation of
 * binomial probabilities", 2000): log-gamma differences would lose log10(n) digits, which
 * Clopper-Pearson with a million items cannot spare. */
#include "stats/special.h"
#include "stats/interval.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

static const double log_sqrt_2pi = 0.91893853320467274178;
static const double sqrt_half = 0.70710678118654752440;

double as_normal_cdf(double x) {
    return 0.5 * erfc(-x * sqrt_half);
}

static double normal_pdf(double x) {
    return exp(-0.5 * x * x - log_sqrt_2pi);
}

/* Abramowitz and Stegun 26.2.23: |error| < 4.5e-4, enough for Newton's steps to finish. q <= 0.5.
 */
static double normal_quantile_start(double q) {
    const double t = sqrt(-2.0 * log(q));
    const double num = 2.515517 + t * (0.802853 + t * 0.010328);
    const double den = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    return -(t - num / den);
}

double as_normal_quantile(double p) {
    if (!(p >= 0.0 && p <= 1.0)) return NAN;
    if (p == 0.0) return -INFINITY;
    if (p == 1.0) return INFINITY;
    if (p == 0.5) return 0.0;
    const double q = p < 0.5 ? p : 1.0 - p;
    double x = normal_quantile_start(q);
    /* Near the middle cdf(x) - q cancels; erf keeps the digits there (p - 0.5 is exact). */
    const bool central = q > 0.25;
    const double target = central ? -fabs(p - 0.5) : q;
    for (int i = 0; i < 4; i++) {
        const double f = central ? 0.5 * erf(x * sqrt_half) - target : as_normal_cdf(x) - target;
        const double step = f / normal_pdf(x);
        x -= step / (1.0 + 0.5 * x * step); /* Halley: pdf'/pdf = -x */
    }
    return p < 0.5 ? x : -x;
}

/* log(n!) - log(sqrt(2 pi n) (n/e)^n) for real n > 0. */
static double stirling_error(double n) {
    if (n < 10.0) return log(tgamma(n + 1.0)) - (n + 0.5) * log(n) + n - log_sqrt_2pi;
    const double r = 1.0 / (n * n);
    return (1.0 / 12 -
            r * (1.0 / 360 -
                 r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * (691.0 / 360360)))))) /
           n;
}

/* x log(x / m) + m - x without cancellation where x is near m. */
static double deviance(double x, double m) {
    if (fabs(x - m) >= 0.1 * (x + m)) return x * log(x / m) + m - x;
    const double v = (x - m) / (x + m), v2 = v * v;
    double sum = (x - m) * v, term = 2.0 * x * v;
    for (int j = 1; j < 1000; j++) {
        term *= v2;
        const double next = sum + term / (2 * j + 1);
        if (next == sum) break;
        sum = next;
    }
    return sum;
}

/* Binomial "mass" at real k of n with p + q = 1; 0 < k < n. */
static double binomial_mass(double k, double n, double p, double q) {
    const double rest = n - k;
    const double log_mass = stirling_error(n) - stirling_error(k) - stirling_error(rest) -
                            deviance(k, n * p) - deviance(rest, n * q);
    return exp(log_mass) * sqrt(n / k / rest) * exp(-log_sqrt_2pi);
}

/* x^a y^b / (B(a, b) I_x(a, b)): the continued fraction of DiDonato and Morris (TOMS 708, 1992), by
 * Lentz's method. It takes x and y = 1 - x apart, which the better known one (A&S 26.5.8) cannot,
 * and that cancels where x is near 1. Converges fast for x below (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double y, double a, double b) {
    const double tiny = 1e-300;
    double h = a * (a * y - b * x + 1.0) / (a + 1.0);
    if (fabs(h) < tiny) h = tiny;
    double c = h, d = 0.0;
    for (int64_t i = 1; i < 1000000; i++) {
        const double m = (double)i, odd = a + 2 * m - 1.0;
        const double above = (a + m - 1.0) / odd * ((a + b + m - 1.0) / odd) * m * (b - m) * x * x;
        const double below = m + m * (b - m) * x / odd +
                             (a + m) * (a * y - b * x + 1.0 + m * (1.0 + y)) / (a + 2 * m + 1.0);
        d = below + above * d;
        c = below + above / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        if (fabs(c) < tiny) c = tiny;
        h *= c * d;
        if (fabs(c * d - 1.0) <= 2 * DBL_EPSILON) break;
    }
    return h;
}

/* Both tails of Beta(a, b) at x, one of them without cancellation; y = 1 - x. 0 < x < 1. */
static void beta_tails(double x, double y, double a, double b, double *lower, double *upper) {
    const double power = a * b / (a + b) * binomial_mass(a, a + b, x, y);
    if (x < (a + 1.0) / (a + b + 2.0)) {
        *lower = power / beta_fraction(x, y, a, b);
        *upper = 1.0 - *lower;
    } else {
        *upper = power / beta_fraction(y, x, b, a);
        *lower = 1.0 - *upper;
    }
}

double as_beta_cdf(double x, double a, double b) {
    if (!(a > 0.0 && b > 0.0 && x >= 0.0 && x <= 1.0)) return NAN;
    if (x == 0.0 || x == 1.0) return x;
    double lower, upper;
    beta_tails(x, 1.0 - x, a, b, &lower, &upper);
    return lower;
}

double as_beta_cdf_xy(double x, double y, double a, double b) {
    if (!(a > 0.0 && b > 0.0 && x >= 0.0 && y >= 0.0 && x <= 1.0 && y <= 1.0)) return NAN;
    if (x == 0.0) return 0.0;
    if (y == 0.0) return 1.0;
    double lower, upper;
    beta_tails(x, y, a, b, &lower, &upper);
    return lower;
}

double as_binomial_mass(int64_t k, int64_t n, double p, double q) {
    if (!(p >= 0.0 && q >= 0.0) || n < 0) return NAN;
    if (k < 0 || k > n) return 0.0;
    const double size = (double)n;
    /* p^n by the logarithm that has the digits: q may be far below the spacing of doubles near 1 */
    if (k == n) return n == 0 ? 1.0 : exp(size * (q < 0.5 ? log1p(-q) : log(p)));
    if (k == 0) return exp(size * (p < 0.5 ? log1p(-p) : log(q)));
    if (p == 0.0 || q == 0.0) return 0.0;
    return binomial_mass((double)k, size, p, q);
}

double as_binomial_cdf(int64_t k, int64_t n, double p, double q) {
    if (!(p >= 0.0 && q >= 0.0) || n < 0) return NAN;
    if (k < 0) return 0.0;
    if (k >= n) return 1.0;
    return as_beta_cdf_xy(q, p, (double)(n - k), (double)k + 1.0);
}

/* P(a, x) / (x^a e^-x / Gamma(a + 1)): Kummer's series, all terms positive. For x < a + 1. */
static double gamma_series(double a, double x) {
    double sum = 1.0, term = 1.0;
    for (double k = 1.0; k < 1e7; k++) {
        term *= x / (a + k);
        sum += term;
        if (term <= sum * (0.25 * DBL_EPSILON)) break;
    }
    return sum;
}

/* Q(a, x) / (x^a e^-x / Gamma(a)): Legendre's continued fraction by Lentz's method. For x >= a + 1.
 */
static double gamma_fraction(double a, double x) {
    const double tiny = 1e-300;
    double b = x + 1.0 - a, c = 1.0 / tiny, d = 1.0 / b, h = d;
    for (double k = 1.0; k < 1e7; k++) {
        const double above = -k * (k - a);
        b += 2.0;
        d = above * d + b;
        c = b + above / c;
        if (fabs(d) < tiny) d = tiny;
        if (fabs(c) < tiny) c = tiny;
        d = 1.0 / d;
        h *= c * d;
        if (fabs(c * d - 1.0) <= 2 * DBL_EPSILON) break;
    }
    return h;
}

double as_gamma_sf(double a, double x) {
    if (!(a > 0.0 && x >= 0.0)) return NAN;
    if (x == 0.0) return 1.0;
    if (isinf(x)) return 0.0;
    /* x^a e^-x / Gamma(a + 1), Loader's form of the Poisson mass */
    const double mass = exp(-stirling_error(a) - deviance(a, x) - log_sqrt_2pi) / sqrt(a);
    if (x < a + 1.0) return 1.0 - mass * gamma_series(a, x);
    return mass * a * gamma_fraction(a, x);
}

/* Newton's method for log(tail) as a function of log x, kept inside a bracket. Log x because a
 * quantile of 1e-9 must have as many digits as one of 0.5; the smaller tail because the other one
 * has lost its digits. */
double as_beta_quantile(double p, double a, double b) {
    if (!(a > 0.0 && b > 0.0 && p >= 0.0 && p <= 1.0)) return NAN;
    if (p == 0.0 || p == 1.0) return p;
    const bool use_lower = p <= 0.5;
    const double target = use_lower ? p : 1.0 - p;
    double low = -700.0, high = 0.0; /* bracket of log x */
    double u = log(a / (a + b));
    for (int i = 0; i < 300; i++) {
        const double x = exp(u), y = -expm1(u);
        double lower, upper;
        beta_tails(x, y, a, b, &lower, &upper);
        const double tail = use_lower ? lower : upper;
        const bool too_far = use_lower ? lower > target : upper < target;
        if (too_far)
            high = u;
        else
            low = u;
        /* x * density = a b / (a + b) * mass / y */
        const double slope =
            a * b / (a + b) * binomial_mass(a, a + b, x, y) / y / tail * (use_lower ? 1.0 : -1.0);
        double next = u - log(tail / target) / slope;
        if (!(next > low && next < high)) next = 0.5 * (low + high);
        const double moved = fabs(next - u);
        u = next;
        if (moved <= DBL_EPSILON * (1.0 + fabs(u)) || high - low <= DBL_EPSILON * fabs(low)) break;
    }
    return exp(u);
}
