/* many_seeds.c: the multi-bootstrap (Sellam et al. 2022, "The MultiBERTs"): training seeds and test
 * items are resampled together, so that the interval speaks of the training recipe and not of the
 * checkpoints that happen to lie here.
 *
 * A resample is a pure function of (seed, r). Seeds first make one weighted mean per unit (item, or
 * sum of a cluster); units are then drawn from that: O(seeds n) a resample. */
#include "base/mem.h"
#include "base/parallel.h"
#include "stats/many.h"
#include "stats/many_options.h"
#include "stats/paired_units.h"
#include "stats/resample.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 32, ENOUGH_SEEDS = 20 };

typedef struct plan {
    const as_seeds *s;
    as_bootstrap_opts o;
    as_units units;
    double *a, *b; /* [seeds, units] sums over the items of each unit; b NULL with one system */
    double *seed_a, *seed_b; /* [seeds] mean of each seed */
    double *item;            /* [n] a - b of each item, mean over seeds */
    double *work;            /* [threads][units] */
    double *theta;           /* [resamples] */
    double point, scale;     /* scale: size of the means, for rounding */
} plan;

/* ---- resamples ---- */

/* row [units] += share * the sums of seeds that are drawn with replacement from `seeds` of them. */
static void add_drawn_seeds(double *row, const double *sums, int64_t seeds, int64_t units,
                            double share, as_rng *r) {
    for (int64_t k = 0; k < seeds; k++) {
        const double *from = sums + (int64_t)as_rng_below(r, (uint64_t)seeds) * units;
        for (int64_t u = 0; u < units; u++)
            row[u] += share * from[u];
    }
}

static double replicate(const plan *p, int64_t resample, double *row) {
    const as_seeds *s = p->s;
    const int64_t units = p->units.count;
    as_rng r = as_rng_at(p->o.seed, AS_STREAM_SAMPLE, (uint32_t)resample), again = r;
    memset(row, 0, (size_t)units * sizeof *row);
    add_drawn_seeds(row, p->a, s->seeds_a, units, 1 / (double)s->seeds_a, &r);
    if (p->b) /* the same seeds where they are paired */
        add_drawn_seeds(row, p->b, s->seeds_b, units, -1 / (double)s->seeds_b,
                        s->paired_seeds ? &again : &r);
    double sum, size;
    as_resample_sums(&sum, &size, row, p->units.size, (uint32_t)units, p->o.seed,
                     (uint32_t)resample);
    return sum / size;
}

static void draw_chunk(void *ctx, int64_t chunk, int thread) {
    const plan *p = ctx;
    double *row = p->work + thread * p->units.count;
    const int64_t end = (chunk + 1) * CHUNK < p->o.resamples ? (chunk + 1) * CHUNK : p->o.resamples;
    for (int64_t r = chunk * CHUNK; r < end; r++)
        p->theta[r] = replicate(p, r, row);
}

static as_test test_of(const plan *p) {
    as_test t = {.p = NAN, .statistic = p->point, .df = NAN, .method = "multi-bootstrap"};
    if (!p->b) return t.why = "one system", t;
    const double reach = fabs(p->point) - 1e-12 * p->scale;
    int64_t extreme = 0;
    for (int64_t r = 0; r < p->o.resamples; r++)
        extreme += fabs(p->theta[r] - p->point) >= reach;
    t.p = (double)(1 + extreme) / (double)(p->o.resamples + 1);
    t.resamples = p->o.resamples;
    return t;
}

/* ---- what is resampled ---- */

static as_status check_seeds(const as_seeds *s, as_err *err) {
    if (s->seeds_a < 1 || (s->b && s->seeds_b < 1) || s->n < 0)
        return as_fail(err, AS_USAGE, "%lld and %lld seeds of %lld items", (long long)s->seeds_a,
                       (long long)s->seeds_b, (long long)s->n);
    if (s->b && s->paired_seeds && s->seeds_a != s->seeds_b) {
        (void)as_fail(err, AS_USAGE, "paired seeds, but %lld of A and %lld of B",
                      (long long)s->seeds_a, (long long)s->seeds_b);
        as_hint(err, "Give the same seeds of both systems, or say that they are not paired.");
        return AS_USAGE;
    }
    return AS_OK;
}

static as_status settle_options(plan *p, const as_bootstrap_opts *given, as_err *err) {
    p->o = given ? *given : (as_bootstrap_opts){0};
    if (p->o.level == 0) p->o.level = 0.95;
    AS_TRY(as_check_level(p->o.level, err));
    if (p->o.method && strcmp(p->o.method, "percentile") != 0) {
        (void)as_fail(err, AS_USAGE, "interval method \"%s\" over seeds and items", p->o.method);
        as_hint(err, "Over seeds and items the interval is \"percentile\".");
        return AS_USAGE;
    }
    as_random_opts random = {p->o.resamples, p->o.seed, p->o.threads};
    AS_TRY(as_settle_random(&random, &random, 10000, err));
    p->o.resamples = random.resamples;
    p->o.threads = random.threads;
    return AS_OK;
}

static bool all_finite(const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

/* sums [seeds, units], mean [seeds]; item [n] += sign / seeds * score. Returns the mean. */
static double sum_units(double *sums, double *mean, double *item, const double *score,
                        int64_t seeds, double sign, const plan *p) {
    const int64_t n = p->s->n, units = p->units.count;
    double total = 0;
    for (int64_t k = 0; k < seeds; k++) {
        const double *row = score + k * n;
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            sums[k * units + (p->units.of ? p->units.of[i] : i)] += row[i];
            item[i] += sign * row[i] / (double)seeds;
            sum += row[i];
        }
        mean[k] = sum / (double)n;
        total += mean[k];
    }
    return total / (double)seeds;
}

static as_status allocate(plan *p, as_err *err) {
    const as_seeds *s = p->s;
    const size_t n = (size_t)s->n, units = (size_t)p->units.count;
    p->a = as_calloc(units, (size_t)s->seeds_a * sizeof *p->a);
    p->seed_a = as_alloc((size_t)s->seeds_a, sizeof *p->seed_a);
    p->b = s->b ? as_calloc(units, (size_t)s->seeds_b * sizeof *p->b) : NULL;
    p->seed_b = s->b ? as_alloc((size_t)s->seeds_b, sizeof *p->seed_b) : NULL;
    p->item = as_calloc(n, sizeof *p->item);
    p->work = as_alloc(units, (size_t)p->o.threads * sizeof *p->work);
    p->theta = as_alloc((size_t)p->o.resamples, sizeof *p->theta);
    if (!p->a || !p->seed_a || (s->b && (!p->b || !p->seed_b)) || !p->item || !p->work || !p->theta)
        return as_fail_nomem(err, "a multi-bootstrap",
                             (size_t)(s->seeds_a + s->seeds_b + 2) * n * sizeof(double));
    return AS_OK;
}

/* ---- where the uncertainty comes from ---- */

static double variance_of(const double *v, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    for (int64_t i = 0; i < n; i++)
        squares += (v[i] - sum / (double)n) * (v[i] - sum / (double)n);
    return squares / (double)(n - 1); /* NaN of one */
}

/* Squared standard error of the difference from the spread of the seeds' means, and what
 * Satterthwaite's degrees of freedom divide by: the sum of v^2 / df over its parts. A system with
 * one seed adds NaN to the first and nothing to the second. */
typedef struct spread {
    double variance, known, over_df;
} spread;

static void add_spread(spread *sum, const double *mean, int64_t seeds) {
    const double v = variance_of(mean, seeds) / (double)seeds;
    sum->variance += v;
    if (isnan(v)) return;
    sum->known += v;
    sum->over_df += v * v / (double)(seeds - 1);
}

static spread spread_of_seeds(const plan *p) {
    const as_seeds *s = p->s;
    spread sum = {0};
    const bool paired = s->b && s->paired_seeds;
    for (int64_t k = 0; paired && k < s->seeds_a; k++)
        p->seed_a[k] -= p->seed_b[k];
    add_spread(&sum, p->seed_a, s->seeds_a);
    if (s->b && !paired) add_spread(&sum, p->seed_b, s->seeds_b);
    return sum;
}

/* Student's t of the difference, its variance being the sum of the seeds' and the items'. */
static void fill_student(as_seeds_result *out, const plan *p, spread seeds) {
    const double items = out->se_items * out->se_items, variance = seeds.known + items;
    const double over_df = seeds.over_df + items * items / (double)(p->units.count - 1);
    const double df = over_df > 0 ? variance * variance / over_df : INFINITY, se = sqrt(variance);
    const double half = as_t_quantile(0.5 + 0.5 * p->o.level, df) * se;
    out->student_interval.low = out->diff - half;
    out->student_interval.high = out->diff + half;
    out->student.df = df;
    out->student.statistic = se > 0           ? out->diff / se
                             : out->diff == 0 ? 0
                                              : copysign(INFINITY, out->diff);
    if (p->b)
        out->student.p = 2 * as_t_cdf(-fabs(out->student.statistic), df);
    else
        out->student.why = "one system";
}

static const char *few_seeds(const as_seeds *s) {
    const bool a = s->seeds_a > 1 && s->seeds_a < ENOUGH_SEEDS;
    const bool b = s->b && s->seeds_b > 1 && s->seeds_b < ENOUGH_SEEDS;
    return a || b ? "few training seeds: the bootstrap over them is too short" : NULL;
}

static const char *one_seed(const as_seeds *s) {
    if (s->seeds_a == 1 && (!s->b || s->seeds_b == 1))
        return "one training seed: the result holds for this checkpoint only";
    if (s->seeds_a == 1) return "one training seed of A: the result holds for that checkpoint only";
    if (s->b && s->seeds_b == 1)
        return "one training seed of B: the result holds for that checkpoint only";
    return NULL;
}

static spread fill_point(as_seeds_result *out, plan *p) {
    const as_seeds *s = p->s;
    out->a = sum_units(p->a, p->seed_a, p->item, s->a, s->seeds_a, 1, p);
    out->b = s->b ? sum_units(p->b, p->seed_b, p->item, s->b, s->seeds_b, -1, p) : NAN;
    out->diff = p->point = s->b ? out->a - out->b : out->a;
    p->scale = fmax(fabs(out->a), s->b ? fabs(out->b) : 0);
    out->se_items = as_standard_error(p->item, s->n, s->cluster, NULL);
    return spread_of_seeds(p);
}

static const char *first_problem(const as_seeds *s) {
    if (s->n == 0) return "no items";
    if (!all_finite(s->a, s->seeds_a * s->n) || (s->b && !all_finite(s->b, s->seeds_b * s->n)))
        return "a score is not a finite number";
    return NULL;
}

static void set_why(as_seeds_result *out, const char *why) {
    out->interval.why = out->student_interval.why = out->test.why = out->student.why = why;
}

as_status as_multi_bootstrap(as_seeds_result *out, const as_seeds *s, const as_bootstrap_opts *o,
                             as_err *err) {
    *out = (as_seeds_result){.a = NAN, .b = NAN, .diff = NAN, .se_seeds = NAN, .se_items = NAN};
    plan p = {.s = s};
    AS_TRY(check_seeds(s, err));
    AS_TRY(settle_options(&p, o, err));
    out->interval = (as_interval){NAN, NAN, p.o.level, "percentile", NULL, 0, 0};
    out->student_interval = (as_interval){NAN, NAN, p.o.level, "welch t", NULL, 0, 0};
    out->test = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "multi-bootstrap"};
    out->student = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "welch t"};
    out->why_one_seed = one_seed(s);
    out->why_few_seeds = few_seeds(s);
    set_why(out, first_problem(s));
    if (out->test.why) return AS_OK;
    AS_TRY(as_units_of(&p.units, s->n, s->cluster, s->a, err));
    as_status status = allocate(&p, err);
    if (status != AS_OK) goto done;
    const spread seeds = fill_point(out, &p);
    out->se_seeds = sqrt(seeds.variance);
    if (!isfinite(p.point))
        set_why(out, "the scores are too large to add");
    else if (p.units.count < 2)
        set_why(out, s->n > 1 ? "one cluster has no spread" : "one item has no spread");
    if (out->test.why) goto done;
    if (isnan(out->se_items)) { /* the scores are fit to add, so that only memory can be missing */
        status = as_fail_nomem(err, "clusters", (size_t)s->n * 2 * sizeof *s->cluster);
        goto done;
    }
    fill_student(out, &p, seeds);
    as_parallel_for(p.o.threads, (p.o.resamples + CHUNK - 1) / CHUNK, draw_chunk, &p);
    out->test = test_of(&p);
    out->interval = as_interval_of_replicates(p.theta, p.o.resamples, p.point, NULL, NULL, 0,
                                              p.o.level, "percentile");
done:
    as_units_free(&p.units);
    as_free(p.a);
    as_free(p.b);
    as_free(p.seed_a);
    as_free(p.seed_b);
    as_free(p.item);
    as_free(p.work);
    as_free(p.theta);
    return status;
}
