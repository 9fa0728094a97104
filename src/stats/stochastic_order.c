/* stochastic_order.c: almost stochastic order (del Barrio, Cuesta-Albertos and Matran 2018; Dror,
 * Shlomov and Reichart 2019).
 *
 * The violation ratio is the share of the squared Wasserstein distance between the two samples that
 * lies where B's quantile is above A's. eps_min adds z_level times the bootstrap's standard
 * deviation of it: A is better than B by all but eps_min with that confidence.
 * Differs: deepsig leaves the first grid point out of the numerator, so that its two directions do
 * not add up to 1; here both sums run over t = dt .. 1 - dt. */
#include "base/mem.h"
#include "base/parallel.h"
#include "stats/many.h"
#include "stats/many_options.h"
#include "stats/resample.h"

#include <math.h>
#include <stdlib.h>

enum { GRID = 200, CHUNK = 32 }; /* dt = 1 / GRID */

typedef struct sample {
    double *sorted; /* [n] ascending */
    int64_t n;
} sample;

typedef struct plan {
    sample a, b;
    as_random_opts o;
    uint32_t *counts; /* [threads][a.n + b.n] */
    double *ratio;    /* [resamples] */
} plan;

static int compare_double(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* quantile [GRID - 1]: at t = i / GRID the smallest value that t n of the values reach, each value
 * being there counts[] times (NULL = once). */
static void fill_quantiles(double *quantile, const sample *s, const uint32_t *counts) {
    int64_t at = -1, seen = 0;
    for (int64_t i = 1; i < GRID; i++) {
        const int64_t need = s->n / GRID * i + (s->n % GRID * i + GRID - 1) / GRID; /* ceil */
        while (seen < need) {
            at++;
            seen += counts ? counts[at] : 1;
        }
        quantile[i - 1] = s->sorted[at];
    }
}

/* 0.5 where the two are the same: neither is better. */
static double violation_ratio(const plan *p, const uint32_t *count_a, const uint32_t *count_b) {
    double of_a[GRID - 1], of_b[GRID - 1], violated = 0, all = 0;
    fill_quantiles(of_a, &p->a, count_a);
    fill_quantiles(of_b, &p->b, count_b);
    for (int i = 0; i < GRID - 1; i++) {
        const double gap = of_b[i] - of_a[i];
        all += gap * gap;
        if (gap > 0) violated += gap * gap;
    }
    return all > 0 ? violated / all : 0.5;
}

static void ratio_chunk(void *ctx, int64_t chunk, int thread) {
    const plan *p = ctx;
    uint32_t *count_a = p->counts + thread * (p->a.n + p->b.n), *count_b = count_a + p->a.n;
    const int64_t end = (chunk + 1) * CHUNK < p->o.resamples ? (chunk + 1) * CHUNK : p->o.resamples;
    for (int64_t r = chunk * CHUNK; r < end; r++) { /* A and B are drawn apart */
        as_resample_counts(count_a, (uint32_t)p->a.n, p->o.seed, (uint32_t)(2 * r));
        as_resample_counts(count_b, (uint32_t)p->b.n, p->o.seed, (uint32_t)(2 * r + 1));
        p->ratio[r] = violation_ratio(p, count_a, count_b);
    }
}

static as_status check_scores(const double *v, int64_t n, const char *whose, as_err *err) {
    if (n < 1 || n > INT32_MAX)
        return as_fail(err, AS_USAGE, "%lld scores of %s to compare", (long long)n, whose);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return as_fail(err, AS_NUMERIC, "score %lld of %s is not a finite number",
                           (long long)i + 1, whose);
    return AS_OK;
}

/* Divided by a power of two, so that squares of large scores do not overflow. */
static as_status sort_sample(sample *s, const double *v, int64_t n, int exponent, as_err *err) {
    s->n = n;
    s->sorted = as_alloc((size_t)n, sizeof *s->sorted);
    if (!s->sorted) return as_fail_nomem(err, "sorted scores", (size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++)
        s->sorted[i] = ldexp(v[i], -exponent);
    qsort(s->sorted, (size_t)n, sizeof *v, compare_double);
    return AS_OK;
}

static int common_exponent(const double *a, int64_t na, const double *b, int64_t nb) {
    double largest = 0;
    int exponent = 0;
    for (int64_t i = 0; i < na; i++)
        largest = fmax(largest, fabs(a[i]));
    for (int64_t i = 0; i < nb; i++)
        largest = fmax(largest, fabs(b[i]));
    (void)frexp(largest, &exponent);
    return exponent;
}

/* Standard deviation of the resampled ratios, with the number of resamples as divisor. */
static double deviation(const double *v, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    for (int64_t i = 0; i < n; i++)
        squares += (v[i] - sum / (double)n) * (v[i] - sum / (double)n);
    return sqrt(squares / (double)n);
}

as_status as_almost_stochastic_order(double *eps_min, const double *a, int64_t na, const double *b,
                                     int64_t nb, double level, const as_random_opts *o,
                                     as_err *err) {
    *eps_min = NAN;
    plan p = {0};
    AS_TRY(as_check_level(level, err));
    AS_TRY(check_scores(a, na, "A", err));
    AS_TRY(check_scores(b, nb, "B", err));
    AS_TRY(as_settle_random(&p.o, o, 10000, err));
    const int exponent = common_exponent(a, na, b, nb);
    as_status status = sort_sample(&p.a, a, na, exponent, err);
    if (status == AS_OK) status = sort_sample(&p.b, b, nb, exponent, err);
    if (status != AS_OK) goto done;
    p.counts = as_alloc((size_t)(na + nb), (size_t)p.o.threads * sizeof *p.counts);
    p.ratio = as_alloc((size_t)p.o.resamples, sizeof *p.ratio);
    if (!p.counts || !p.ratio) {
        status = as_fail_nomem(err, "resamples", (size_t)p.o.resamples * sizeof *p.ratio);
        goto done;
    }
    as_parallel_for(p.o.threads, (p.o.resamples + CHUNK - 1) / CHUNK, ratio_chunk, &p);
    const double bound = violation_ratio(&p, NULL, NULL) +
                         as_normal_quantile(level) * deviation(p.ratio, p.o.resamples);
    *eps_min = fmin(1, fmax(0, bound));
done:
    as_free(p.a.sorted);
    as_free(p.b.sorted);
    as_free(p.counts);
    as_free(p.ratio);
    return status;
}
