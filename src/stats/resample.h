/* resample.h: multinomial counts of a resample, a pure function of (seed, resample). */
#ifndef AS_STATS_RESAMPLE_H
#define AS_STATS_RESAMPLE_H

#include "base/rng.h"

/* n draws with replacement from n units: counts [n] say how often each was drawn. O(n). n < 2^32.
 */
void as_resample_counts(uint32_t *counts, uint32_t n, uint64_t seed, uint32_t resample);
/* The same draws, as the sums of two values per unit: *a = sum of x, *b = sum of y (y may be NULL:
 * *b = n). */
void as_resample_sums(double *a, double *b, const double *x, const double *y, uint32_t n,
                      uint64_t seed, uint32_t resample);
/* n = sum of items draws from cells of the given sizes: counts [cells]. O(cells), by conditional
 * binomials. */
void as_resample_cells(uint32_t *counts, const uint32_t *items, int64_t cells, uint32_t n,
                       uint64_t seed, uint32_t resample);
/* One Binomial(n, p) draw: inversion where n p < 10, else transformed rejection (Hoermann 1993,
 * BTRS). */
uint32_t as_draw_binomial(as_rng *r, uint32_t n, double p);

#endif
