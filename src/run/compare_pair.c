/* compare_pair.c: one pair of systems on one metric: which interval and which test suit it (see the table in docs/metrics.md). */
#include "base/mem.h"
#include "base/parallel.h"
#include "run/compare_impl.h"
#include "stats/resample.h"
#include <math.h>
#include <string.h>

#define POWER 0.8

static double z_of(const as_arena_metric *m) { return as_normal_quantile(0.5 + m->c->level / 2); }

static as_bootstrap_opts bootstrap_opts(const as_arena_metric *m) {
    return (as_bootstrap_opts){.level = m->c->level, .seed = m->c->seed, .threads = m->c->threads};
}
static as_random_opts random_opts(const as_arena_metric *m) {
    return (as_random_opts){.resamples = m->resamples, .seed = m->c->seed, .threads = m->c->threads};
}

static void take_interval(as_comparison *out, const as_interval *i) {
    out->low = i->low, out->high = i->high, out->interval_method = i->method;
    if (i->why && !out->why) out->why = i->why;
}
static void take_test(as_comparison *out, const as_test *t) {
    out->p = t->p, out->test_method = t->method;
    if (t->why && !out->why) out->why = t->why;
}

/* What the items can show, from the standard error of the difference. */
static void take_power(as_comparison *out, double se, double level) {
    if (isnan(out->mde)) out->mde = as_minimum_detectable_effect(se, level, POWER);
    if (out->diff != 0.0) out->items_needed = as_items_needed(se * se * (double)out->n, out->diff, level, POWER);
}

/* Normal approximations where there are no per-item differences. */
static void take_margin_normal(as_comparison *out, double se, double margin, bool higher) {
    if (!(margin > 0.0) || !(se > 0.0)) return;
    out->p_equivalent = fmax(as_normal_cdf((out->diff - margin) / se), as_normal_cdf((-out->diff - margin) / se));
    out->p_noninferior = as_normal_cdf(((higher ? -out->diff : out->diff) - margin) / se);
}

/* --- one seed each, a mean of per-item scores --- */
static void count_cells(as_comparison *out, const double *a, const double *b) {
    out->both = out->only_a = out->only_b = out->neither = 0;
    for (int64_t i = 0; i < out->n; i++) {
        if (a[i] != 0 && b[i] != 0) out->both++;
        else if (a[i] != 0) out->only_a++;
        else if (b[i] != 0) out->only_b++;
        else out->neither++;
    }
}

static double mean_of(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const as_statistic *s = ctx;
    double sum = 0.0, n = 0.0;
    for (int64_t i = 0; i < s->n; i++) sum += weights ? weights[i] * s->mean_items[i] : s->mean_items[i], n += weights ? weights[i] : 1;
    return n > 0.0 ? sum / n : NAN;
}

static as_status mean_difference(as_comparison *out, const as_arena_metric *m, const double *d, as_err *err) {
    as_statistic s = {.value = mean_of, .n = out->n, .cluster = m->c->cluster, .mean_items = d};
    s.ctx = &s;
    const as_bootstrap_opts b = bootstrap_opts(m);
    const as_random_opts r = random_opts(m);
    as_interval i;
    as_test t;
    AS_TRY(as_interval_bootstrap(&i, &s, &b, err));
    AS_TRY(as_permutation_test(&t, d, out->n, m->c->cluster, &r, err));
    take_interval(out, &i), take_test(out, &t);
    return AS_OK;
}

/* The test that --test names in place of the usual one. */
static as_status named_test(as_comparison *out, const as_arena_metric *m, const double *d, as_err *err) {
    const char *name = m->c->test;
    const as_random_opts r = random_opts(m);
    const bool share = m->proportion && !m->c->cluster, exact = strcmp(name, "mcnemar") == 0, mid = strcmp(name, "mid-p") == 0;
    as_test t;
    if ((exact || mid) && !share) {
        (void)as_fail(err, AS_USAGE, "--test %s is for shares of independent items, not for %s%s", name, m->signature, m->c->cluster ? " with clusters" : "");
        as_hint(err, "Use permutation, bootstrap or t.");
        return AS_USAGE;
    }
    if (exact) t = as_mcnemar_exact(out->only_a, out->only_b);
    else if (mid) t = as_mcnemar_mid_p(out->only_a, out->only_b);
    else if (strcmp(name, "t") == 0) t = as_paired_t(d, out->n, m->c->cluster);
    else if (strcmp(name, "bootstrap") == 0) AS_TRY(as_paired_bootstrap_test(&t, d, out->n, m->c->cluster, &r, err));
    else if (strcmp(name, "permutation") == 0) AS_TRY(as_permutation_test(&t, d, out->n, m->c->cluster, &r, err));
    else return as_fail(err, AS_USAGE, "unknown test \"%.40s\"", name);
    take_test(out, &t);
    return AS_OK;
}

static as_status compare_items(as_comparison *out, const as_arena_metric *m, const double *a, const double *b, as_err *err) {
    double *d = as_alloc((size_t)out->n, sizeof *d);
    if (!d) return as_fail_nomem(err, "differences", (size_t)out->n * sizeof *d);
    for (int64_t i = 0; i < out->n; i++) d[i] = a[i] - b[i];
    const int32_t *cluster = m->c->cluster;
    const double se = as_standard_error(d, out->n, cluster, &out->design_effect);
    as_status s = AS_OK;
    if (m->proportion) count_cells(out, a, b);
    if (m->proportion && !cluster) {
        const as_interval i = as_interval_newcombe(out->both, out->only_a, out->only_b, out->neither, m->c->level);
        const as_test t = as_mcnemar_exact(out->only_a, out->only_b);
        take_interval(out, &i), take_test(out, &t);
        out->mde = as_mde_proportions((double)(out->only_a + out->only_b) / (double)out->n, out->n, m->c->level, POWER);
    } else {
        s = mean_difference(out, m, d, err);
    }
    if (s == AS_OK && m->c->test) s = named_test(out, m, d, err);
    take_power(out, se, m->c->level);
    const double sd = se * sqrt((double)out->n);
    if (!cluster && sd > 0.0) out->effect = out->diff / sd;
    if (m->c->margin > 0.0) {
        out->p_equivalent = as_equivalence_test(d, out->n, cluster, m->c->margin).p;
        for (int64_t i = 0; !m->higher && i < out->n; i++) d[i] = -d[i]; /* less is better: turn it round */
        out->p_noninferior = as_noninferiority_test(d, out->n, cluster, m->c->margin).p;
    }
    as_free(d);
    return s;
}

/* --- one seed each, a metric of the whole set --- */
static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

typedef struct corpus { const as_metric *a, *b, *both; int64_t n; } corpus;

static double corpus_difference(const void *ctx, const uint32_t *weights, void *scratch) {
    const corpus *c = ctx;
    return as_metric_aggregate(c->a, weights, scratch).value - as_metric_aggregate(c->b, weights, scratch).value;
}

/* Both systems' predictions stand in one metric, A's first; weights say whose are whose, so nothing is opened or sorted again. */
static double swapped_difference(const void *ctx, const uint8_t *swap, void *scratch) {
    const corpus *c = ctx;
    uint32_t *w = scratch;
    void *room = (char *)scratch + lines((size_t)c->n * 2 * sizeof *w);
    double value[2];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < c->n; i++) {
            const uint32_t first = (swap && swap[i]) == (side == 1);
            w[i] = first, w[c->n + i] = 1 - first;
        }
        value[side] = as_metric_aggregate(c->both, w, room).value;
    }
    return value[0] - value[1];
}

static void *joined(const void *a, const void *b, size_t bytes) {
    if (!a || !b) return NULL;
    unsigned char *v = as_alloc_aligned(bytes * 2, 1);
    if (v) memcpy(v, a, bytes), memcpy(v + bytes, b, bytes);
    return v;
}
/* The arrays are ours although as_predictions has them const. */
static void free_joined(as_predictions *p) {
    const void *arrays[] = {p->gold, p->pred, p->probs, p->gold_sets, p->pred_sets, p->gold_value, p->pred_value};
    for (size_t i = 0; i < AS_COUNT(arrays); i++) as_free_aligned((void *)(uintptr_t)arrays[i]);
}
static as_status join(as_predictions *out, const as_predictions *a, const as_predictions *b, as_err *err) {
    *out = *a;
    const size_t n = (size_t)a->n, cells = n * (size_t)a->num_labels;
    out->n = a->n * 2;
    out->gold = joined(a->gold, b->gold, n * sizeof *a->gold), out->pred = joined(a->pred, b->pred, n * sizeof *a->pred);
    out->probs = joined(a->probs, b->probs, cells * sizeof *a->probs);
    out->gold_sets = joined(a->gold_sets, b->gold_sets, cells), out->pred_sets = joined(a->pred_sets, b->pred_sets, cells);
    out->gold_value = joined(a->gold_value, b->gold_value, n * sizeof *a->gold_value);
    out->pred_value = joined(a->pred_value, b->pred_value, n * sizeof *a->pred_value);
    const bool ok = (!a->gold || out->gold) && (!a->pred || out->pred) && (!a->probs || !b->probs || out->probs) && (!a->gold_sets || out->gold_sets) &&
                    (!a->pred_sets || out->pred_sets) && (!a->gold_value || out->gold_value) && (!a->pred_value || out->pred_value);
    if (ok) return AS_OK;
    free_joined(out);
    return as_fail_nomem(err, "a comparison", cells * 2 * sizeof(double));
}

static as_status compare_corpus(as_comparison *out, const as_arena_metric *m, int a, int b, as_err *err) {
    corpus c = {.a = as_seed_metric(m, a, 0), .b = as_seed_metric(m, b, 0), .n = out->n};
    const size_t sa = as_metric_scratch(c.a), sb = as_metric_scratch(c.b);
    const as_statistic s = {.value = corpus_difference, .ctx = &c, .scratch_bytes = sa > sb ? sa : sb, .n = out->n, .cluster = m->c->cluster};
    const as_bootstrap_opts bo = bootstrap_opts(m);
    as_interval i;
    AS_TRY(as_interval_bootstrap(&i, &s, &bo, err));
    take_interval(out, &i);
    as_predictions p;
    as_metric *both = NULL;
    as_test t;
    AS_TRY(join(&p, m->c->systems[a].seed, m->c->systems[b].seed, err));
    as_status st = as_metric_open(&both, m->signature, &p, err);
    if (st == AS_OK) {
        c.both = both;
        const as_random_opts ro = random_opts(m);
        const as_swap_statistic w = {.value = swapped_difference, .ctx = &c, .n = out->n, .cluster = m->c->cluster,
                                     .scratch_bytes = lines((size_t)out->n * 2 * sizeof(uint32_t)) + as_metric_scratch(both)};
        st = as_randomisation_test(&t, &w, &ro, err);
    }
    if (st == AS_OK) take_test(out, &t);
    as_metric_free(both);
    free_joined(&p);
    const double se = (out->high - out->low) / (2 * z_of(m));
    take_power(out, se, m->c->level);
    take_margin_normal(out, se, m->c->margin, m->higher);
    return st;
}

/* --- several seeds --- */
double *as_seed_items(const as_arena_metric *m, int system) {
    const int64_t k = as_seeds_of(m, system);
    double *v = as_alloc((size_t)(k * m->n), sizeof *v);
    for (int64_t s = 0; v && s < k; s++) memcpy(v + s * m->n, as_metric_items(as_seed_metric(m, system, s)), (size_t)m->n * sizeof *v);
    return v;
}

/* A metric of the whole set, over seeds and items: its replicates. */
enum { SEEDS_CHUNK = 64 };
typedef struct replicates {
    const as_arena_metric *m;
    int a, b;                   /* b -1: one system */
    int64_t count, units;       /* resamples; items or clusters */
    bool fixed;                 /* items alone are drawn, every seed stands once */
    double *theta;
    unsigned char *work;        /* per thread */
    size_t stride, weights_at, seeds_at, scratch_at;
} replicates;

static double resampled(const replicates *r, int system, uint32_t replicate, uint64_t seed, const uint32_t *weights, uint32_t *seeds, void *scratch) {
    const int64_t k = as_seeds_of(r->m, system);
    if (!r->fixed) as_resample_counts(seeds, (uint32_t)k, seed, replicate);
    for (int64_t s = 0; r->fixed && s < k; s++) seeds[s] = 1;
    double sum = 0.0;
    for (int64_t s = 0; s < k; s++)
        if (seeds[s]) sum += seeds[s] * as_metric_aggregate(as_seed_metric(r->m, system, s), weights, scratch).value;
    return sum / (double)k;
}

static void replicate_chunk(void *ctx, int64_t chunk, int thread) {
    const replicates *r = ctx;
    const as_contest *c = r->m->c;
    unsigned char *at = r->work + (size_t)thread * r->stride;
    uint32_t *units = (uint32_t *)(void *)at, *weights = (uint32_t *)(void *)(at + r->weights_at), *seeds = (uint32_t *)(void *)(at + r->seeds_at);
    void *scratch = at + r->scratch_at;
    const int64_t end = (chunk + 1) * SEEDS_CHUNK < r->count ? (chunk + 1) * SEEDS_CHUNK : r->count;
    for (int64_t i = chunk * SEEDS_CHUNK; i < end; i++) {
        as_resample_counts(units, (uint32_t)r->units, c->seed, (uint32_t)i);
        for (int64_t k = 0; c->cluster && k < r->m->n; k++) weights[k] = units[c->cluster[k]];
        const uint32_t *w = c->cluster ? weights : units;
        /* Seeds are drawn apart from items, and for each system apart: keys of their own. */
        double v = resampled(r, r->a, (uint32_t)i, c->seed + 0x9E3779B97F4A7C15u * (uint64_t)(r->a + 1), w, seeds, scratch);
        if (r->b >= 0) v -= resampled(r, r->b, (uint32_t)i, c->seed + 0x9E3779B97F4A7C15u * (uint64_t)(r->b + 1), w, seeds, scratch);
        r->theta[i] = v;
    }
}

static int64_t unit_count(const as_arena_metric *m) {
    int64_t most = -1;
    for (int64_t i = 0; m->c->cluster && i < m->n; i++) most = m->c->cluster[i] > most ? m->c->cluster[i] : most;
    return m->c->cluster ? most + 1 : m->n;
}

static as_status draw_replicates(replicates *r, as_err *err) {
    size_t scratch = 0;
    int64_t most = 1;
    for (int side = 0; side < 2; side++) {
        const int system = side ? r->b : r->a;
        for (int64_t s = 0; system >= 0 && s < as_seeds_of(r->m, system); s++) {
            const size_t need = as_metric_scratch(as_seed_metric(r->m, system, s));
            scratch = need > scratch ? need : scratch;
        }
        if (system >= 0 && as_seeds_of(r->m, system) > most) most = as_seeds_of(r->m, system);
    }
    const int threads = r->m->c->threads > 0 ? r->m->c->threads : as_cpu_count();
    r->units = unit_count(r->m);
    r->weights_at = lines((size_t)r->units * sizeof(uint32_t));
    r->seeds_at = r->weights_at + lines((size_t)r->m->n * sizeof(uint32_t));
    r->scratch_at = r->seeds_at + lines((size_t)most * sizeof(uint32_t));
    r->stride = r->scratch_at + lines(scratch) + 64;
    r->work = as_alloc_aligned((size_t)threads * r->stride, 1);
    r->theta = as_alloc((size_t)r->count, sizeof *r->theta);
    if (!r->work || !r->theta) return as_fail_nomem(err, "resamples", (size_t)threads * r->stride);
    as_parallel_for(threads, (r->count + SEEDS_CHUNK - 1) / SEEDS_CHUNK, replicate_chunk, r);
    return AS_OK;
}

/* 10,000 resamples while that is a matter of seconds, as for single seeds. */
static int64_t affordable(const as_arena_metric *m, int a, int b) {
    const double visits = (double)m->n * (double)(as_seeds_of(m, a) + (b >= 0 ? as_seeds_of(m, b) : 0)), most = 2e9 / visits;
    return most > 10000 ? 10000 : most < 1000 ? 1000 : (int64_t)most;
}

enum { MANY_SEEDS = 20 }; /* from here on the bootstrap over seeds holds its level; see as_multi_bootstrap */
static bool few_seeds(const as_arena_metric *m, int a, int b) {
    const int64_t x = as_seeds_of(m, a), y = b >= 0 ? as_seeds_of(m, b) : 1;
    return (x > 1 && x < MANY_SEEDS) || (y > 1 && y < MANY_SEEDS);
}

/* Variance of the mean over seeds. */
static double seed_variance(const as_arena_metric *m, int system) {
    const int64_t k = as_seeds_of(m, system);
    const double sd = k > 1 ? as_seed_spread(m, system) : 0.0;
    return sd * sd / (double)k;
}

/* Welch and Satterthwaite's t: seeds with k - 1 degrees of freedom each, items (clusters) with n - 1. */
static void student(as_interval *interval, double *se, double *p, const as_arena_metric *m, int a, int b, double point) {
    const double va = seed_variance(m, a), vb = b >= 0 ? seed_variance(m, b) : 0.0, vi = *se * *se, all = va + vb + vi;
    const double ka = (double)as_seeds_of(m, a) - 1, kb = b >= 0 ? (double)as_seeds_of(m, b) - 1 : 0, units = (double)(unit_count(m) - 1);
    const double df = all * all / (vi * vi / units + (ka > 0 ? va * va / ka : 0) + (kb > 0 ? vb * vb / kb : 0));
    *se = sqrt(all);
    const double half = all == 0.0 ? 0.0 : as_t_quantile(0.5 + m->c->level / 2, df) * *se; /* nothing ever differs: no df */
    *interval = (as_interval){.low = point - half, .high = point + half, .level = m->c->level, .method = "welch t"};
    *p = *se > 0 ? 2 * as_t_cdf(-fabs(point) / *se, df) : point == 0.0 ? 1.0 : 0.0;
}

static as_status corpus_seeds(as_interval *interval, double *se, double *p, const as_arena_metric *m, int a, int b, double point, as_err *err) {
    replicates r = {.m = m, .a = a, .b = b, .count = affordable(m, a, b), .fixed = few_seeds(m, a, b)};
    as_status s = draw_replicates(&r, err);
    double sum = 0.0, squares = 0.0;
    int64_t extreme = 0, defined = 0;
    for (int64_t i = 0; s == AS_OK && i < r.count; i++) {
        if (isnan(r.theta[i])) {
            extreme++;
            continue;
        }
        defined++, sum += r.theta[i], squares += r.theta[i] * r.theta[i];
        extreme += fabs(r.theta[i] - point) >= fabs(point) * (1 - 1e-12);
    }
    if (s == AS_OK) {
        const double mean = sum / (double)defined;
        *se = defined > 1 ? sqrt(fmax(0.0, squares / (double)defined - mean * mean)) : NAN;
        *p = (1.0 + (double)extreme) / ((double)r.count + 1.0);
        *interval = as_interval_of_replicates(r.theta, r.count, point, NULL, NULL, 0, m->c->level, "percentile");
        interval->method = "multi-bootstrap";
        if (r.fixed) student(interval, se, p, m, a, b, point);
    }
    as_free(r.theta), as_free_aligned(r.work);
    return s;
}

static as_status items_seeds(as_seeds_result *out, const as_arena_metric *m, int a, int b, as_err *err) {
    double *va = as_seed_items(m, a), *vb = b >= 0 ? as_seed_items(m, b) : NULL;
    const as_seeds s = {.a = va, .b = vb, .seeds_a = as_seeds_of(m, a), .seeds_b = b >= 0 ? as_seeds_of(m, b) : 0, .n = m->n, .cluster = m->c->cluster};
    const as_bootstrap_opts o = bootstrap_opts(m);
    const as_status st = va && (b < 0 || vb) ? as_multi_bootstrap(out, &s, &o, err) : as_fail_nomem(err, "scores", (size_t)m->n * sizeof *va);
    as_free(va), as_free(vb);
    return st;
}

/* What these items show, and how many more would: they narrow only the items' part. */
static void take_power_seeds(as_comparison *out, const as_arena_metric *m, double se, double seeds) {
    out->mde = as_minimum_detectable_effect(se, m->c->level, POWER);
    const double z = z_of(m) + as_normal_quantile(POWER), rest = out->diff * out->diff / (z * z) - seeds;
    if (out->diff != 0.0) out->items_needed = rest > 0.0 ? ceil(fmax(0.0, se * se - seeds) * (double)out->n / rest) : INFINITY;
}

static as_status compare_seeds(as_comparison *out, const as_arena_metric *m, int a, int b, as_err *err) {
    const double seeds = seed_variance(m, a) + seed_variance(m, b); /* a single seed adds nothing that is known */
    double se;
    if (!m->per_item) {
        as_interval i;
        AS_TRY(corpus_seeds(&i, &se, &out->p, m, a, b, out->diff, err));
        take_interval(out, &i);
        out->test_method = i.method;
    } else {
        as_seeds_result r;
        AS_TRY(items_seeds(&r, m, a, b, err));
        take_interval(out, r.why_few_seeds ? &r.student_interval : &r.interval), take_test(out, r.why_few_seeds ? &r.student : &r.test);
        se = sqrt(r.se_items * r.se_items + seeds);
    }
    take_power_seeds(out, m, se, seeds);
    take_margin_normal(out, se, m->c->margin, m->higher);
    return AS_OK;
}

/* Student's intervals know no bounds; a share has them. Others lie within by themselves. */
static double within(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

as_status as_compare_pair(as_comparison *out, const as_arena_metric *m, int a, int b, as_err *err) {
    *out = (as_comparison){.a = a, .b = b, .metric = m->signature, .higher_is_better = m->higher, .percent = m->percent, .value_a = m->value[a],
                           .value_b = m->value[b], .diff = m->value[a] - m->value[b], .low = NAN, .high = NAN, .level = m->c->level, .p = NAN,
                           .p_adjusted = NAN, .mde = NAN, .items_needed = NAN, .p_equivalent = NAN, .p_noninferior = NAN, .both = -1, .only_a = -1,
                           .only_b = -1, .neither = -1, .effect = NAN, .design_effect = 1.0, .n = m->n, .interval_method = "none", .test_method = "none"};
    if (isnan(out->diff)) return out->why = "undefined for one of the two", AS_OK;
    if (as_seeds_of(m, a) > 1 || as_seeds_of(m, b) > 1) {
        AS_TRY(compare_seeds(out, m, a, b, err));
        if (m->percent) out->low = within(out->low, -1, 1), out->high = within(out->high, -1, 1);
        return AS_OK;
    }
    if (!m->per_item && m->c->test) {
        (void)as_fail(err, AS_USAGE, "--test %s is for means of per-item scores, not for %s", m->c->test, m->signature);
        as_hint(err, "Metrics of the whole set are tested by approximate randomisation; leave --test out.");
        return AS_USAGE;
    }
    if (!m->per_item) return compare_corpus(out, m, a, b, err);
    return compare_items(out, m, as_metric_items(as_seed_metric(m, a, 0)), as_metric_items(as_seed_metric(m, b, 0)), err);
}

as_status as_system_interval(as_interval *out, const as_arena_metric *m, int system, as_err *err) {
    const as_bootstrap_opts o = bootstrap_opts(m);
    double se, p;
    if (as_seeds_of(m, system) == 1) return as_metric_interval(out, as_seed_metric(m, system, 0), m->c->cluster, &o, err);
    if (m->per_item) {
        as_seeds_result r;
        AS_TRY(items_seeds(&r, m, system, -1, err));
        *out = r.why_few_seeds ? r.student_interval : r.interval;
    } else {
        AS_TRY(corpus_seeds(out, &se, &p, m, system, -1, m->value[system], err));
    }
    if (m->percent) out->low = within(out->low, 0, 1), out->high = within(out->high, 0, 1);
    return AS_OK;
}
