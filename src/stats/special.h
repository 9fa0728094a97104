/* special.h: distribution functions that several files of this folder need. Relative error below 1e-11. */
#ifndef AS_STATS_SPECIAL_H
#define AS_STATS_SPECIAL_H

#include <stdint.h>

/* Regularised incomplete beta I_x(a, b) where y = 1 - x is known to more digits than 1 - x has. x, y in [0, 1]. */
double as_beta_cdf_xy(double x, double y, double a, double b);
/* Regularised upper incomplete gamma Q(a, x), a > 0, x >= 0. NaN outside the domain. */
double as_gamma_sf(double a, double x);
/* Binomial(n, p): P(X = k) and P(X <= k) for any k; q = 1 - p is given apart. n >= 0. */
double as_binomial_mass(int64_t k, int64_t n, double p, double q);
double as_binomial_cdf(int64_t k, int64_t n, double p, double q);
#endif
