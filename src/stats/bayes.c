/* bayes.c: posterior probabilities that one system is better, by more than a region of practical
 * equivalence (Benavoli, Corani, Demsar and Zaffalon 2017, "Time for a change"). baycomp's models;
 * left and right are B and A, as differences here are a - b.
 *
 * Draw r of a posterior is a pure function of (seed, r). What threads add up are whole numbers of
 * draws. */
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "stats/many.h"
#include "stats/many_options.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 256, DEFAULT_DRAWS = 50000 };

static as_status check_differences(const double *d, int64_t n, double rope, as_err *err) {
    if (n <= 0 || n > INT32_MAX)
        return as_fail(err, AS_USAGE, "%lld differences to compare", (long long)n);
    if (!(rope >= 0 && isfinite(rope))) {
        (void)as_fail(err, AS_USAGE, "region of practical equivalence of %g", rope);
        as_hint(err, "Give the largest difference that does not matter, in the metric's units.");
        return AS_USAGE;
    }
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(d[i]))
            return as_fail(err, AS_NUMERIC, "difference %lld is not a finite number",
                           (long long)i + 1);
    return AS_OK;
}

/* ---- one task, cross-validated ---- */

/* All differences the same: the mean is known. */
static as_rope without_spread(double mean, double rope) {
    as_rope out = {.left = mean<-rope, .right = mean> rope};
    if (rope == 0 && mean == 0) out.left = out.right = 0.5;
    out.rope = 1 - out.left - out.right;
    return out;
}

as_status as_bayes_correlated_t(as_rope *out, const double *d, int64_t n, int64_t folds,
                                double rope, as_err *err) {
    *out = (as_rope){NAN, NAN, NAN};
    AS_TRY(check_differences(d, n, rope, err));
    if (folds < 2 || n % folds != 0) {
        (void)as_fail(err, AS_USAGE, "%lld differences do not make runs of %lld folds",
                      (long long)n, (long long)folds);
        as_hint(err, "Give one difference for each fold of each run, and at least two folds.");
        return AS_USAGE;
    }
    double sum = 0, rest = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += d[i];
        largest = fmax(largest, fabs(d[i]));
    }
    const double count = (double)n;
    for (int64_t i = 0; i < n; i++)
        rest += d[i] - sum / count;
    const double mean = sum / count + rest / count;
    for (int64_t i = 0; i < n; i++)
        squares += (d[i] - mean) * (d[i] - mean);
    if (!isfinite(squares)) return as_fail(err, AS_NUMERIC, "the differences are too large to add");
    if (sqrt(squares / count) <= 1e-14 * largest) { /* what rounding leaves of equal values */
        *out = without_spread(mean, rope);
        return AS_OK;
    }
    /* Training sets overlap: rho / (1 - rho), rho = 1 / folds, is added to 1 / n (Nadeau and
     * Bengio 2003). */
    const double se = sqrt(squares / (count - 1) * (1 / count + 1 / (double)(folds - 1)));
    out->left = as_t_cdf((-rope - mean) / se, count - 1);
    out->right = as_t_cdf((mean - rope) / se, count - 1);
    out->rope = rope == 0 ? 0 : fmax(0, 1 - out->left - out->right);
    return AS_OK;
}

/* ---- several tasks: which of the three has most of the posterior, draw by draw ---- */

typedef struct posterior {
    as_random_opts o;
    double rope;
    int64_t n;            /* values: the differences and the prior's 0 */
    const double *shape;  /* [n] of each ascending value's gamma variate: 1, or 0.5 for the prior */
    const int64_t *reach; /* [4][n], see pair_bounds */
    double count[3];      /* sign test: Dirichlet parameters of left, rope, right */
    double *weight;       /* [threads][n] */
    int64_t (*wins)[3];   /* [chunks] in halves of a draw */
} posterior;

static double draw_exponential(as_rng *r) {
    return -log1p(-as_rng_double(r));
}

/* Gamma(shape), shape a multiple of 1/2: Marsaglia and Tsang (2000) from 1 on. */
static double draw_gamma(as_rng *r, double shape) {
    if (shape == 0) return 0;
    if (shape == 1) return draw_exponential(r);
    if (shape < 1) {
        const double z = as_rng_normal(r);
        return 0.5 * z * z;
    }
    const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double z = as_rng_normal(r), root = 1 + c * z, u = 1 - as_rng_double(r);
        const double v = root * root * root;
        if (root > 0 && log(u) < 0.5 * z * z + d - d * v + d * log(v)) return d * v;
    }
}

/* Ties share the draw between left and right; elsewhere they do not happen. */
static void add_winner(int64_t wins[3], double left, double rope, double right) {
    if (rope > left && rope > right)
        wins[1] += 2;
    else if (left == right)
        wins[0]++, wins[2]++;
    else
        wins[left > right ? 0 : 2] += 2;
}

static double weigh(double *weight, const posterior *p, as_rng *r) {
    double total = 0;
    for (int64_t i = 0; i < p->n; i++)
        total += weight[i] = draw_gamma(r, p->shape[i]);
    return total;
}

/* Weight of the pairs (i, j) with value_i + value_j below -2 rope and above 2 rope, pairs on the
 * border counted half. Weights become running sums as they are used. */
static void rank_draw(const posterior *p, double *weight, as_rng *r, int64_t wins[3]) {
    const int64_t n = p->n;
    const double total = weigh(weight, p, r);
    double left = 0, right = 0, before = 0;
    for (int64_t i = 0; i < n; i++) { /* weight[i] becomes the sum up to and with i */
        before += weight[i];
        weight[i] = before;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t *at = p->reach + 4 * i;
        double up_to[4];
        for (int b = 0; b < 4; b++)
            up_to[b] = at[b] > 0 ? weight[at[b] - 1] : 0;
        const double own = weight[i] - (i > 0 ? weight[i - 1] : 0);
        left += own * (up_to[0] + up_to[1]);
        right += own * (2 * before - up_to[2] - up_to[3]);
    }
    left /= 2 * total * total;
    right /= 2 * total * total;
    add_winner(wins, left, 1 - left - right, right);
}

static void rank_chunk(void *ctx, int64_t chunk, int thread) {
    const posterior *p = ctx;
    const int64_t end = (chunk + 1) * CHUNK < p->o.resamples ? (chunk + 1) * CHUNK : p->o.resamples;
    for (int64_t k = chunk * CHUNK; k < end; k++) {
        as_rng r = as_rng_at(p->o.seed, AS_STREAM_SAMPLE, (uint32_t)k);
        rank_draw(p, p->weight + thread * p->n, &r, p->wins[chunk]);
    }
}

static void sign_chunk(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    const posterior *p = ctx;
    const int64_t end = (chunk + 1) * CHUNK < p->o.resamples ? (chunk + 1) * CHUNK : p->o.resamples;
    for (int64_t k = chunk * CHUNK; k < end; k++) {
        as_rng r = as_rng_at(p->o.seed, AS_STREAM_SAMPLE, (uint32_t)k);
        const double left = draw_gamma(&r, p->count[0]), rope = draw_gamma(&r, p->count[1]);
        add_winner(p->wins[chunk], left, rope, draw_gamma(&r, p->count[2]));
    }
}

static as_status draw_posterior(as_rope *out, posterior *p,
                                void (*body)(void *ctx, int64_t chunk, int thread), as_err *err) {
    const int64_t chunks = (p->o.resamples + CHUNK - 1) / CHUNK;
    int64_t sum[3] = {0};
    p->wins = as_calloc((size_t)chunks, sizeof *p->wins);
    if (!p->wins) return as_fail_nomem(err, "a posterior", (size_t)chunks * sizeof *p->wins);
    as_parallel_for(p->o.threads, chunks, body, p);
    for (int64_t c = 0; c < chunks; c++)
        for (int side = 0; side < 3; side++)
            sum[side] += p->wins[c][side];
    as_free(p->wins);
    if (p->rope == 0) sum[1] = 0; /* no region: the share among draws that one of the two wins */
    const double all = (double)(sum[0] + sum[1] + sum[2]);
    *out = all == 0 ? (as_rope){0.5, 0, 0.5}
                    : (as_rope){(double)sum[0] / all, (double)sum[1] / all, (double)sum[2] / all};
    return AS_OK;
}

/* How many of the ascending values lie so that value + mine < bound (or <= bound). */
static int64_t count_below(const double *value, int64_t n, double mine, double bound, bool equal) {
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const double sum = value[middle] + mine;
        if (sum < bound || (equal && sum == bound))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* reach [n][4]: numbers of partners below -2 rope, up to it, below 2 rope, up to it. */
static void pair_bounds(int64_t *reach, const double *value, int64_t n, double rope) {
    for (int64_t i = 0; i < n; i++)
        for (int b = 0; b < 4; b++)
            reach[4 * i + b] = count_below(value, n, value[i], b < 2 ? -2 * rope : 2 * rope, b & 1);
}

static int compare_double(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

as_status as_bayes_signed_rank(as_rope *out, const double *d, int64_t n, double rope,
                               const as_random_opts *o, as_err *err) {
    *out = (as_rope){NAN, NAN, NAN};
    posterior p = {.rope = rope, .n = n + 1};
    AS_TRY(check_differences(d, n, rope, err));
    AS_TRY(as_settle_random(&p.o, o, DEFAULT_DRAWS, err));
    double *value = as_alloc((size_t)p.n, sizeof *value);
    double *shape = as_alloc((size_t)p.n, sizeof *shape);
    int64_t *reach = as_alloc((size_t)p.n, 4 * sizeof *reach);
    p.weight = as_alloc((size_t)p.n, (size_t)p.o.threads * sizeof *p.weight);
    as_status status;
    if (!value || !shape || !reach || !p.weight) {
        status = as_fail_nomem(err, "a posterior", (size_t)p.n * 8 * sizeof(double));
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        value[i] = d[i];
    value[n] = 0;
    qsort(value, (size_t)p.n, sizeof *value, compare_double);
    bool prior_placed = false;
    for (int64_t i = 0; i < p.n; i++) { /* the prior is any one of the zeros */
        const bool prior = value[i] == 0 && !prior_placed;
        shape[i] = prior ? 0.5 : 1;
        prior_placed |= prior;
    }
    pair_bounds(reach, value, p.n, rope);
    p.shape = shape;
    p.reach = reach;
    status = draw_posterior(out, &p, rank_chunk, err);
done:
    as_free(value);
    as_free(shape);
    as_free(reach);
    as_free(p.weight);
    return status;
}

as_status as_bayes_sign(as_rope *out, const double *d, int64_t n, double rope,
                        const as_random_opts *o, as_err *err) {
    *out = (as_rope){NAN, NAN, NAN};
    posterior p = {.rope = rope, .n = n, .count = {0, 1, 0}};
    AS_TRY(check_differences(d, n, rope, err));
    AS_TRY(as_settle_random(&p.o, o, DEFAULT_DRAWS, err));
    for (int64_t i = 0; i < n; i++)
        p.count[d[i] < -rope ? 0 : d[i] > rope ? 2 : 1] += 1;
    return draw_posterior(out, &p, sign_chunk, err);
}
