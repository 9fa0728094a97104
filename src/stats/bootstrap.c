/* bootstrap.c: percentile and BCa intervals from resamples of items, of whole clusters, or of
 * cells.
 *
 * Resample r is a pure function of (seed, r) and its replicate goes to theta[r], so threads only
 * share the work. What is resampled is called a unit: an item, or a cluster when there are
 * clusters. */
#include "base/mem.h"
#include "base/parallel.h"
#include "stats/interval.h"
#include "stats/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 32, MOST_JACKKNIVES = 10000, JACKKNIFE_GROUPS = 1000 };

typedef struct plan {
    const as_statistic *s;
    uint64_t seed;
    int64_t resamples;
    int threads;
    uint32_t units;
    int32_t *unit_of;             /* [n] cluster index, or NULL when the items are the units */
    double *unit_sum, *unit_size; /* means of clusters: [units] */
    const double *mean_sum;       /* means: [units] sum of the unit's items, else NULL */
    bool by_cells;
    unsigned char *work; /* threads x stride: unit counts, item weights, the statistic's scratch */
    size_t stride, weights_at, scratch_at;
    double *theta;              /* [resamples] */
    double *jack;               /* [jacks] */
    int64_t *shuffled;          /* [units] when jackknife groups hold several units, else NULL */
    const uint32_t *jack_times; /* [jacks] or NULL */
    int64_t jacks;
} plan;

static int compare_double(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_int32(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* ---- from replicates to an interval ---- */

/* The q-quantile of ascending v by linear interpolation (numpy's default, type 7). */
static double quantile_of_sorted(const double *v, int64_t n, double q) {
    const double at = q * (double)(n - 1), below = floor(at);
    const int64_t i = (int64_t)below;
    if (i + 1 >= n) return v[n - 1];
    return v[i] + (at - below) * (v[i + 1] - v[i]);
}

/* Share of replicates below the point, ties counted half. Replicates sum in another order than the
 * point did, so a tie is equality up to rounding. */
static double share_below(const double *theta, int64_t n, double point) {
    const double slack = 1e-13 * fmax(fabs(point), 1e-300);
    int64_t twice = 0;
    for (int64_t i = 0; i < n; i++)
        if (theta[i] < point - slack)
            twice += 2;
        else if (theta[i] <= point + slack)
            twice += 1;
    return (double)twice / (2 * (double)n);
}

/* a = sum d^3 / (6 (sum d^2)^1.5), d = mean of the leave-one-out values - each. NaN when they are
 * all the same. */
static double acceleration(const double *jack, const uint32_t *times, int64_t n) {
    double sum = 0, count = 0, squares = 0, cubes = 0;
    for (int64_t i = 0; i < n; i++) {
        const double w = times ? times[i] : 1;
        if (w == 0) continue;
        if (isnan(jack[i])) return NAN;
        sum += w * jack[i];
        count += w;
    }
    const double mean = sum / count;
    for (int64_t i = 0; i < n; i++) {
        const double w = times ? times[i] : 1, d = mean - jack[i];
        if (w == 0) continue;
        squares += w * d * d;
        cubes += w * d * d * d;
    }
    /* Equal values whose mean is rounded are not a spread. */
    if (squares <= count * 1e-28 * mean * mean) return NAN;
    return cubes / (6 * pow(squares, 1.5));
}

/* The two probabilities whose quantiles bound the interval; false when BCa cannot say. */
static bool bca_levels(double *low, double *high, double z0, double a, double level) {
    const double z = as_normal_quantile((1 - level) / 2), from = z0 + z, to = z0 - z;
    if (!isfinite(z0) || !isfinite(a) || 1 - a * from <= 0 || 1 - a * to <= 0) return false;
    *low = as_normal_cdf(z0 + from / (1 - a * from));
    *high = as_normal_cdf(z0 + to / (1 - a * to));
    return true;
}

as_interval as_interval_of_replicates(double *theta, int64_t count, double point,
                                      const double *jack, const uint32_t *jack_times, int64_t jacks,
                                      double level, const char *method) {
    as_interval out = {
        .low = NAN, .high = NAN, .level = level, .method = "bca", .resamples = count};
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++)
        if (!isnan(theta[i])) theta[n++] = theta[i];
    out.undefined = count - n;
    if (isnan(point)) return out.why = "undefined on all items", out;
    if (n == 0) return out.why = "undefined in every resample", out;
    qsort(theta, (size_t)n, sizeof *theta, compare_double);
    double low = (1 - level) / 2, high = 1 - low;
    const bool percentile = strcmp(method, "percentile") == 0;
    if (percentile)
        out.method = "percentile";
    else if (!bca_levels(&low, &high, as_normal_quantile(share_below(theta, n, point)),
                         acceleration(jack, jack_times, jacks), level))
        out.method = "percentile (bca degenerate)";
    out.low = quantile_of_sorted(theta, n, low);
    out.high = quantile_of_sorted(theta, n, high);
    return out;
}

/* ---- replicates ---- */

static uint32_t *counts_of(const plan *p, int thread) {
    return (uint32_t *)(void *)(p->work + (size_t)thread * p->stride);
}
static uint32_t *weights_of(const plan *p, int thread) {
    return (uint32_t *)(void *)(p->work + (size_t)thread * p->stride + p->weights_at);
}
static void *scratch_of(const plan *p, int thread) {
    return p->work + (size_t)thread * p->stride + p->scratch_at;
}

/* The statistic when each unit counts unit_counts[u] times. */
static double value_of_counts(const plan *p, const uint32_t *unit_counts, int thread) {
    const as_statistic *s = p->s;
    if (!p->unit_of) return s->value(s->ctx, unit_counts, scratch_of(p, thread));
    uint32_t *weights = weights_of(p, thread);
    for (int64_t i = 0; i < s->n; i++)
        weights[i] = unit_counts[p->unit_of[i]];
    return s->value(s->ctx, weights, scratch_of(p, thread));
}

static double replicate(const plan *p, uint32_t resample, int thread) {
    const as_statistic *s = p->s;
    if (p->mean_sum) {
        double sum, size;
        as_resample_sums(&sum, &size, p->mean_sum, p->unit_size, p->units, p->seed, resample);
        return sum / size;
    }
    uint32_t *counts = counts_of(p, thread);
    if (p->by_cells) {
        as_resample_cells(counts, s->cell_items, s->cells, p->units, p->seed, resample);
        return s->cell_value(s->ctx, counts, scratch_of(p, thread));
    }
    as_resample_counts(counts, p->units, p->seed, resample);
    return value_of_counts(p, counts, thread);
}

static void draw_chunk(void *ctx, int64_t chunk, int thread) {
    const plan *p = ctx;
    const int64_t end = (chunk + 1) * CHUNK < p->resamples ? (chunk + 1) * CHUNK : p->resamples;
    for (int64_t r = chunk * CHUNK; r < end; r++)
        p->theta[r] = replicate(p, (uint32_t)r, thread);
}

/* ---- leave-one-out values ---- */

/* Without one unit, or one of `jacks` groups of them. Groups are drawn at random: both neighbours
 * and units a fixed step apart may be alike in real files. */
static void jackknife_group(void *ctx, int64_t group, int thread) {
    const plan *p = ctx;
    uint32_t *counts = counts_of(p, thread);
    for (uint32_t u = 0; u < p->units; u++)
        counts[u] = 1;
    if (!p->shuffled)
        counts[group] = 0;
    else
        for (int64_t u = group; u < p->units; u += p->jacks)
            counts[p->shuffled[u]] = 0;
    p->jack[group] = value_of_counts(p, counts, thread);
}

static as_status shuffle_units(plan *p, as_err *err) {
    p->shuffled = as_alloc(p->units, sizeof *p->shuffled);
    if (!p->shuffled) return as_fail_nomem(err, "a jackknife", p->units * sizeof *p->shuffled);
    for (uint32_t u = 0; u < p->units; u++)
        p->shuffled[u] = u;
    as_rng r = as_rng_at(p->seed, AS_STREAM_PERMUTE, 0);
    as_rng_shuffle(&r, p->shuffled, p->units);
    return AS_OK;
}

static void jackknife_cell(void *ctx, int64_t cell, int thread) {
    const plan *p = ctx;
    const as_statistic *s = p->s;
    if (s->cell_items[cell] == 0) {
        p->jack[cell] = 0; /* counts zero times */
        return;
    }
    uint32_t *counts = counts_of(p, thread);
    memcpy(counts, s->cell_items, (size_t)s->cells * sizeof *counts);
    counts[cell]--;
    p->jack[cell] = s->cell_value(s->ctx, counts, scratch_of(p, thread));
}

static void jackknife_means(const plan *p) {
    double sum = 0, size = 0;
    for (uint32_t u = 0; u < p->units; u++) {
        sum += p->mean_sum[u];
        size += p->unit_size ? p->unit_size[u] : 1;
    }
    for (uint32_t u = 0; u < p->units; u++)
        p->jack[u] = (sum - p->mean_sum[u]) / (size - (p->unit_size ? p->unit_size[u] : 1));
}

static as_status run_jackknife(plan *p, as_err *err) {
    const int64_t units = p->units;
    p->jacks = p->by_cells                               ? p->s->cells
               : p->mean_sum || units <= MOST_JACKKNIVES ? units
                                                         : JACKKNIFE_GROUPS;
    p->jack = as_alloc((size_t)p->jacks, sizeof *p->jack);
    if (!p->jack) return as_fail_nomem(err, "a jackknife", (size_t)p->jacks * sizeof *p->jack);
    if (p->by_cells) p->jack_times = p->s->cell_items;
    if (p->jacks < units && !p->by_cells) AS_TRY(shuffle_units(p, err));
    if (p->mean_sum)
        jackknife_means(p);
    else
        as_parallel_for(p->threads, p->jacks, p->by_cells ? jackknife_cell : jackknife_group, p);
    return AS_OK;
}

/* ---- preparation ---- */

/* Clusters as indices 0..units-1, in the order of their ids. */
static as_status index_clusters(plan *p, as_err *err) {
    const int64_t n = p->s->n;
    int32_t *ids = as_alloc((size_t)n, sizeof *ids);
    p->unit_of = as_alloc((size_t)n, sizeof *p->unit_of);
    if (!ids || !p->unit_of) {
        as_free(ids);
        return as_fail_nomem(err, "clusters", (size_t)n * 2 * sizeof *ids);
    }
    memcpy(ids, p->s->cluster, (size_t)n * sizeof *ids);
    qsort(ids, (size_t)n, sizeof *ids, compare_int32);
    int64_t distinct = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1]) ids[distinct++] = ids[i];
    for (int64_t i = 0; i < n; i++) {
        const int32_t *at =
            bsearch(&p->s->cluster[i], ids, (size_t)distinct, sizeof *ids, compare_int32);
        p->unit_of[i] = (int32_t)(at - ids);
    }
    as_free(ids);
    p->units = (uint32_t)distinct;
    return AS_OK;
}

/* The means' fast path: sums and sizes per unit. */
static as_status sum_units(plan *p, as_err *err) {
    if (!p->unit_of) return p->mean_sum = p->s->mean_items, AS_OK;
    p->unit_sum = as_calloc(p->units, sizeof *p->unit_sum);
    p->unit_size = as_calloc(p->units, sizeof *p->unit_size);
    if (!p->unit_sum || !p->unit_size)
        return as_fail_nomem(err, "cluster sums", (size_t)p->units * 2 * sizeof(double));
    for (int64_t i = 0; i < p->s->n; i++) {
        p->unit_sum[p->unit_of[i]] += p->s->mean_items[i];
        p->unit_size[p->unit_of[i]] += 1;
    }
    p->mean_sum = p->unit_sum;
    return AS_OK;
}

static size_t round_to_line(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static as_status allocate_work(plan *p, as_err *err) {
    const size_t counts = p->by_cells ? (size_t)p->s->cells : p->units;
    p->weights_at = p->mean_sum ? 0 : round_to_line(counts * sizeof(uint32_t));
    p->scratch_at =
        p->weights_at +
        (p->unit_of && !p->mean_sum ? round_to_line((size_t)p->s->n * sizeof(uint32_t)) : 0);
    p->stride = p->scratch_at + round_to_line(p->s->scratch_bytes) + 64;
    p->work = as_alloc_aligned((size_t)p->threads, p->stride);
    if (!p->work) return as_fail_nomem(err, "resamples", (size_t)p->threads * p->stride);
    p->theta = as_alloc((size_t)p->resamples, sizeof *p->theta);
    if (!p->theta) return as_fail_nomem(err, "replicates", (size_t)p->resamples * sizeof *p->theta);
    return AS_OK;
}

/* 10,000 resamples while that is a matter of seconds; never fewer than 1,000. */
static int64_t default_resamples(const plan *p) {
    const double visits = p->by_cells   ? (double)p->s->cells
                          : p->mean_sum ? p->units
                                        : (double)p->s->n;
    const double affordable = 1e9 / visits;
    return affordable > 10000 ? 10000 : affordable < 1000 ? 1000 : (int64_t)affordable;
}

static as_status check_options(const as_bootstrap_opts *o, int64_t n, as_err *err) {
    if (!(o->level > 0 && o->level < 1)) {
        (void)as_fail(err, AS_USAGE, "interval level %g is not between 0 and 1", o->level);
        as_hint(err, "Give the level as a fraction, such as 0.95.");
        return AS_USAGE;
    }
    if (o->resamples < 0 || o->resamples > 100000000)
        return as_fail(err, AS_USAGE, "%lld resamples asked for; the limit is 100000000",
                       (long long)o->resamples);
    if (strcmp(o->method, "bca") != 0 && strcmp(o->method, "percentile") != 0) {
        (void)as_fail(err, AS_USAGE, "unknown interval method \"%s\"", o->method);
        as_hint(err, "A bootstrap interval is \"bca\" or \"percentile\".");
        return AS_USAGE;
    }
    if (n >= UINT32_MAX)
        return as_fail(err, AS_USAGE, "%lld items are too many to resample", (long long)n);
    return AS_OK;
}

static as_status prepare(plan *p, const as_bootstrap_opts *o, as_err *err) {
    p->seed = o->seed;
    p->threads = o->threads > 0 ? o->threads : as_cpu_count();
    p->units = (uint32_t)p->s->n;
    if (p->s->cluster) AS_TRY(index_clusters(p, err));
    if (p->s->mean_items) AS_TRY(sum_units(p, err));
    /* A binomial draw costs some 20 draws of items: many small cells are dearer than the items
     * themselves. */
    p->by_cells = !p->mean_sum && !p->unit_of && p->s->cells > 0 &&
                  (p->s->cells <= p->s->n / 16 || !p->s->value);
    p->resamples = o->resamples > 0 ? o->resamples : default_resamples(p);
    return allocate_work(p, err);
}

/* The statistic on all items, by the very path that resamples take, so that ties with it are ties.
 */
static double point_value(const plan *p) {
    if (p->by_cells) return p->s->cell_value(p->s->ctx, p->s->cell_items, scratch_of(p, 0));
    if (!p->mean_sum) return p->s->value(p->s->ctx, NULL, scratch_of(p, 0));
    double sum = 0;
    for (uint32_t u = 0; u < p->units; u++)
        sum += p->mean_sum[u];
    return sum / (double)p->s->n;
}

/* ---- means of few different values: how many items have each is all that counts ---- */

enum { MOST_VALUES = 16 };
typedef struct few_values {
    double value[MOST_VALUES];
    uint32_t items[MOST_VALUES];
    int64_t count;
} few_values;

static double mean_of_counts(const void *ctx, const uint32_t *counts, void *scratch) {
    (void)scratch;
    const few_values *v = ctx;
    double sum = 0, n = 0;
    for (int64_t i = 0; i < v->count; i++) {
        sum += counts[i] * v->value[i];
        n += counts[i];
    }
    return sum / n;
}

/* False when there are more than MOST_VALUES. */
static bool count_values(few_values *v, const double *x, int64_t n) {
    *v = (few_values){.count = 0};
    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;
        while (k < v->count && v->value[k] != x[i])
            k++;
        if (k == v->count) {
            if (v->count == MOST_VALUES || isnan(x[i])) return false;
            v->value[v->count++] = x[i];
        }
        v->items[k]++;
    }
    return true;
}

/* The same statistic by counts of its values; s itself where that does not serve. A binomial draw costs some 20 draws of items.
 */
static const as_statistic *by_values(as_statistic *room, few_values *v, const as_statistic *s) {
    if (!s->mean_items || s->cluster || s->n < 16 * MOST_VALUES || s->n >= UINT32_MAX) return s;
    if (!count_values(v, s->mean_items, s->n)) return s;
    *room = (as_statistic){
        .ctx = v, .n = s->n, .cells = v->count, .cell_items = v->items, .cell_value = mean_of_counts};
    return room;
}

as_status as_interval_bootstrap(as_interval *out, const as_statistic *given,
                                const as_bootstrap_opts *opts, as_err *err) {
    few_values values;
    as_statistic room;
    const as_statistic *s = by_values(&room, &values, given);
    as_bootstrap_opts o = opts ? *opts : (as_bootstrap_opts){0};
    if (o.level == 0) o.level = 0.95;
    if (!o.method) o.method = "bca";
    *out = (as_interval){.low = NAN,
                         .high = NAN,
                         .level = o.level,
                         .method = strcmp(o.method, "percentile") == 0 ? "percentile" : "bca"};
    AS_TRY(check_options(&o, s->n, err));
    if (s->n < 2) return out->why = s->n == 1 ? "one item has no spread" : "no items", AS_OK;
    plan p = {.s = s};
    as_status status = prepare(&p, &o, err);
    if (status != AS_OK) goto done;
    if (p.units < 2) {
        out->why = "one cluster has no spread";
        goto done;
    }
    const double point = point_value(&p);
    if (isnan(point)) {
        out->why = "undefined on all items";
        goto done;
    }
    as_parallel_for(p.threads, (p.resamples + CHUNK - 1) / CHUNK, draw_chunk, &p);
    if (strcmp(o.method, "bca") == 0) status = run_jackknife(&p, err);
    if (status == AS_OK)
        *out = as_interval_of_replicates(p.theta, p.resamples, point, p.jack, p.jack_times, p.jacks,
                                         o.level, o.method);
done:
    as_free(p.unit_of);
    as_free(p.unit_sum);
    as_free(p.unit_size);
    as_free_aligned(p.work);
    as_free(p.theta);
    as_free(p.jack);
    as_free(p.shuffled);
    return status;
}
