/* test_bootstrap.c: resampling, BCa intervals, clusters, threads, degenerate data. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "stats/interval.h"
#include "stats/resample.h"

static void near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static as_interval run(const as_statistic *s, int64_t resamples, int threads, const char *method) {
    const as_bootstrap_opts o = {
        .resamples = resamples, .seed = 11, .threads = threads, .method = method};
    as_interval out;
    as_err err = {0};
    if (as_interval_bootstrap(&out, s, &o, &err) != AS_OK) fail_msg("%s", err.msg);
    return out;
}

/* ---- drawing ---- */

static void test_stats_resamples_draw_n_units_uniformly(void **state) {
    (void)state;
    enum { N = 37, R = 20000 };
    uint32_t counts[N];
    double total[N] = {0}, squares = 0;
    for (uint32_t r = 0; r < R; r++) {
        uint32_t sum = 0;
        as_resample_counts(counts, N, 3, r);
        for (int i = 0; i < N; i++) {
            sum += counts[i];
            total[i] += counts[i];
            squares += (double)counts[i] * counts[i];
        }
        assert_int_equal(sum, N);
    }
    for (int i = 0; i < N; i++)
        near("mean count", total[i] / R, 1, 5 * sqrt(1.0 / R));
    near("second moment", squares / R / N, 2 - 1.0 / N, 0.02); /* variance 1 - 1/n */
}

static void test_stats_resample_sums_are_sums_of_the_same_draws(void **state) {
    (void)state;
    const double x[5] = {1, 10, 100, 1000, 10000}, y[5] = {3, 1, 4, 1, 5};
    for (uint32_t r = 0; r < 50; r++) {
        uint32_t counts[5];
        double a, b, want_a = 0, want_b = 0;
        as_resample_counts(counts, 5, 9, r);
        for (int i = 0; i < 5; i++)
            want_a += counts[i] * x[i], want_b += counts[i] * y[i];
        as_resample_sums(&a, &b, x, y, 5, 9, r);
        assert_true(a == want_a && b == want_b);
        as_resample_sums(&a, &b, x, NULL, 5, 9, r);
        assert_true(a == want_a && b == 5);
    }
}

/* Chi-square of 200,000 draws against the exact mass function; the bound is the 1 - 1e-6 quantile
 * (Wilson-Hilferty). */
static void check_binomial(uint32_t n, double p) {
    enum { R = 200000, MOST = 4096 };
    static double seen[MOST];
    memset(seen, 0, sizeof seen);
    as_rng r = as_rng_at(42, AS_STREAM_BOOTSTRAP, n);
    for (int i = 0; i < R; i++) {
        const uint32_t k = as_draw_binomial(&r, n, p);
        assert_true(k <= n && k < MOST);
        seen[k] += 1;
    }
    double chi2 = 0, cells = 0, rest_seen = 0, rest_want = 0;
    for (uint32_t k = 0; k <= n; k++) {
        const double want = R * exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) +
                                    k * log(p) + (n - k) * log1p(-p));
        rest_seen += seen[k];
        rest_want += want;
        if (rest_want < 10) continue; /* pool thin tails with the next value */
        chi2 += (rest_seen - rest_want) * (rest_seen - rest_want) / rest_want;
        cells += 1;
        rest_seen = rest_want = 0;
    }
    const double df = cells - 1, spread = 2 / (9 * df),
                 bound = df * pow(1 - spread + 4.75 * sqrt(spread), 3);
    if (chi2 > bound + 5)
        fail_msg("binomial(%u, %g): chi2 %.1f with %g degrees, bound %.1f", n, p, chi2, df, bound);
}

static void test_stats_binomial_draws_follow_the_mass_function(void **state) {
    (void)state;
    check_binomial(1, 0.3);
    check_binomial(7, 0.9);
    check_binomial(60, 0.1);  /* inversion */
    check_binomial(25, 0.45); /* rejection, just above its limit */
    check_binomial(300, 0.5);
    check_binomial(3000, 0.02);
    check_binomial(4000, 0.97);
    as_rng r = as_rng_at(1, AS_STREAM_BOOTSTRAP, 0);
    assert_int_equal(as_draw_binomial(&r, 0, 0.5), 0);
    assert_int_equal(as_draw_binomial(&r, 9, 0), 0);
    assert_int_equal(as_draw_binomial(&r, 9, 1), 9);
}

static void test_stats_cell_resamples_have_multinomial_moments(void **state) {
    (void)state;
    enum { R = 20000 };
    const uint32_t items[5] = {500, 0, 30, 469, 1};
    double sum[5] = {0}, squares[5] = {0}, cross = 0;
    for (uint32_t r = 0; r < R; r++) {
        uint32_t c[5], n = 0;
        as_resample_cells(c, items, 5, 1000, 4, r);
        for (int i = 0; i < 5; i++) {
            n += c[i];
            sum[i] += c[i];
            squares[i] += (double)c[i] * c[i];
        }
        cross += ((double)c[0] - 500) * ((double)c[3] - 469);
        assert_int_equal(n, 1000);
    }
    for (int i = 0; i < 5; i++) {
        const double mean = sum[i] / R, variance = squares[i] / R - mean * mean,
                     want = items[i] * (1 - items[i] / 1000.0);
        near("mean", mean, items[i], 5 * sqrt(want / R));
        near("variance", variance, want, 0.06 * want);
    }
    near("covariance", cross / R, -1000 * 0.5 * 0.469, 0.05 * 1000);
}

/* ---- intervals ---- */

enum { SCHOOLS = 15 };
static const double lsat[SCHOOLS] = {576, 635, 558, 578, 666, 580, 555, 661,
                                     651, 605, 653, 575, 545, 572, 594};
static const double gpa[SCHOOLS] = {3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43,
                                    3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96};

static double correlation(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)ctx;
    (void)scratch;
    double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    for (int i = 0; i < SCHOOLS; i++)
        n += weights ? weights[i] : 1, x += (weights ? weights[i] : 1) * lsat[i],
            y += (weights ? weights[i] : 1) * gpa[i];
    for (int i = 0; i < SCHOOLS; i++) {
        const double w = weights ? weights[i] : 1, dx = lsat[i] - x / n, dy = gpa[i] - y / n;
        xx += w * dx * dx, xy += w * dx * dy, yy += w * dy * dy;
    }
    return xy / sqrt(xx * yy);
}

/* Efron and Tibshirani 1993: BCa 90 % .43-.92, 95 % .33-.94 of the law school correlation. Monte
 * Carlo error below .01. */
static void test_stats_bca_gives_efrons_law_school_interval(void **state) {
    (void)state;
    const as_statistic s = {.value = correlation, .n = SCHOOLS};
    as_interval got = run(&s, 100000, 2, NULL);
    assert_string_equal(got.method, "bca");
    near("low", got.low, 0.333, 0.01);
    near("high", got.high, 0.942, 0.005);
    near("level", got.level, 0.95, 0);
    const as_bootstrap_opts o = {.level = 0.9, .resamples = 100000, .threads = 1};
    assert_int_equal(as_interval_bootstrap(&got, &s, &o, NULL), AS_OK);
    near("low 90", got.low, 0.429, 0.01);
    near("high 90", got.high, 0.927, 0.005);
}

enum { ITEMS = 240, CELLS = 4 };
typedef struct sample {
    double x[ITEMS];
    int32_t cell[ITEMS], cluster[ITEMS];
    uint32_t cell_items[CELLS];
} sample;

static sample make_sample(void) {
    sample s = {0};
    as_rng r = as_rng_at(77, AS_STREAM_SAMPLE, 0);
    for (int i = 0; i < ITEMS; i++) {
        s.cell[i] = (int32_t)as_rng_below(&r, CELLS) * (i % 3 != 0);
        s.cell_items[s.cell[i]]++;
        s.x[i] = s.cell[i] * s.cell[i];
        s.cluster[i] = i / 6 * 17 - 100; /* ids need not be dense or positive */
    }
    return s;
}

static double mean_of(const void *ctx, const uint32_t *weights, void *scratch) {
    const sample *s = ctx;
    double sum = 0, n = 0;
    *(char *)scratch = 1; /* scratch must be there */
    for (int i = 0; i < ITEMS; i++)
        sum += (weights ? weights[i] : 1) * s->x[i], n += weights ? weights[i] : 1;
    return sum / n;
}

static double mean_of_cells(const void *ctx, const uint32_t *counts, void *scratch) {
    (void)ctx;
    (void)scratch;
    double sum = 0, n = 0;
    for (int c = 0; c < CELLS; c++)
        sum += (double)c * c * counts[c], n += counts[c];
    return sum / n;
}

static void same(const char *what, as_interval a, as_interval b, double tolerance) {
    near(what, a.low, b.low, tolerance);
    near(what, a.high, b.high, tolerance);
}

static void test_stats_fast_paths_agree_with_the_general_one(void **state) {
    (void)state;
    const sample data = make_sample();
    as_statistic s = {.value = mean_of, .ctx = &data, .scratch_bytes = 1, .n = ITEMS};
    const as_interval general = run(&s, 4000, 1, NULL);
    s.mean_items = data.x;
    same("means draw the same items", run(&s, 4000, 1, NULL), general, 1e-12);
    s.cluster = data.cluster;
    const as_interval clustered = run(&s, 4000, 1, NULL);
    s.mean_items = NULL;
    same("means of clusters too", run(&s, 4000, 1, NULL), clustered, 1e-12);
    s = (as_statistic){.value = mean_of,
                       .ctx = &data,
                       .scratch_bytes = 1,
                       .n = ITEMS,
                       .cells = CELLS,
                       .cell_items = data.cell_items,
                       .cell_value = mean_of_cells};
    /* other draws, same distribution: standard error about 0.22, its Monte Carlo error in the tails
     * some 0.01 */
    same("cells", run(&s, 100000, 1, NULL), general, 0.04);
}

static void test_stats_interval_does_not_depend_on_threads(void **state) {
    (void)state;
    const sample data = make_sample();
    const as_statistic paths[] = {
        {.value = mean_of, .ctx = &data, .scratch_bytes = 1, .n = ITEMS},
        {.value = mean_of, .ctx = &data, .scratch_bytes = 1, .n = ITEMS, .cluster = data.cluster},
        {.value = mean_of, .ctx = &data, .scratch_bytes = 1, .n = ITEMS, .mean_items = data.x},
        {.value = mean_of,
         .ctx = &data,
         .scratch_bytes = 1,
         .n = ITEMS,
         .cells = CELLS,
         .cell_items = data.cell_items,
         .cell_value = mean_of_cells},
    };
    for (size_t i = 0; i < AS_COUNT(paths); i++) {
        const as_interval one = run(&paths[i], 999, 1, NULL);
        assert_null(one.why);
        for (int threads = 2; threads <= 5; threads++)
            same("threads", run(&paths[i], 999, threads, NULL), one, 0);
    }
}

/* Ten clusters of five identical items hold the information of ten items. */
static void test_stats_clusters_widen_the_interval(void **state) {
    (void)state;
    double x[50];
    int32_t cluster[50];
    as_rng r = as_rng_at(5, AS_STREAM_SAMPLE, 1);
    for (int c = 0; c < 10; c++) {
        const double v = as_rng_normal(&r);
        for (int i = 0; i < 5; i++)
            x[c * 5 + i] = v, cluster[c * 5 + i] = c;
    }
    as_statistic s = {.n = 50, .mean_items = x};
    const as_interval naive = run(&s, 40000, 2, "percentile");
    s.cluster = cluster;
    const as_interval clustered = run(&s, 40000, 2, "percentile");
    near("design effect", (clustered.high - clustered.low) / (naive.high - naive.low), sqrt(5),
         0.1);
}

static double constant(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)ctx, (void)weights, (void)scratch;
    return 0.3;
}
static double undefined(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)ctx, (void)scratch;
    return weights ? NAN : 0.3;
}
static double undefined_at_all(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)ctx, (void)weights, (void)scratch;
    return NAN;
}
/* Undefined without item 0. */
static double sometimes(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)ctx, (void)scratch;
    if (!weights) return 0.5;
    return weights[0] == 0 ? NAN : 1.0 / (1 + weights[0]);
}

static void test_stats_degenerate_data_falls_back_or_says_why(void **state) {
    (void)state;
    const int32_t one_cluster[4] = {7, 7, 7, 7};
    as_statistic s = {.value = constant, .n = 4};
    as_interval got = run(&s, 100, 1, NULL);
    assert_string_equal(got.method, "percentile (bca degenerate)");
    assert_true(got.low == 0.3 && got.high == 0.3 && !got.why);
    s.value = sometimes;
    got = run(&s, 1000, 1, NULL);
    assert_null(got.why);
    assert_true(got.undefined > 200 && got.undefined < 450 &&
                got.resamples == 1000); /* (3/4)^4 = .32 */
    assert_string_equal(got.method,
                        "percentile (bca degenerate)"); /* without item 0 there is no value */
    s.value = undefined;
    got = run(&s, 100, 1, NULL);
    assert_true(isnan(got.low) && isnan(got.high));
    assert_string_equal(got.why, "undefined in every resample");
    s.value = undefined_at_all;
    assert_string_equal(run(&s, 100, 1, NULL).why, "undefined on all items");
    s.value = constant;
    s.cluster = one_cluster;
    assert_string_equal(run(&s, 100, 1, NULL).why, "one cluster has no spread");
    s = (as_statistic){.value = constant, .n = 1};
    assert_string_equal(run(&s, 100, 1, NULL).why, "one item has no spread");
    s.n = 0;
    assert_string_equal(run(&s, 100, 1, NULL).why, "no items");
}

enum {
    MANY = 12001
}; /* above the limit of one leave-out per item, and no multiple of the groups */
static double mean_of_many(const void *ctx, const uint32_t *weights, void *scratch) {
    (void)scratch;
    const double *x = ctx;
    double sum = 0, n = 0;
    for (int i = 0; i < MANY; i++)
        sum += (weights ? weights[i] : 1) * x[i], n += weights ? weights[i] : 1;
    return sum / n;
}

static void test_stats_grouped_jackknife_agrees_with_the_full_one(void **state) {
    (void)state;
    static double x[MANY];
    as_rng r = as_rng_at(8, AS_STREAM_SAMPLE, 2);
    for (int i = 0; i < MANY; i++)
        x[i] = i % 400 == 0 ? 40 : as_rng_double(&r); /* strongly skewed: acceleration matters */
    as_statistic s = {.value = mean_of_many, .ctx = x, .n = MANY};
    const as_interval grouped = run(&s, 1000, 2, NULL), percentile = run(&s, 1000, 2, "percentile");
    s.mean_items = x;
    const as_interval full = run(&s, 1000, 2, NULL);
    assert_string_equal(grouped.method, "bca");
    same("grouped", grouped, full, 0.1 * (full.high - percentile.high));
    assert_true(full.high > percentile.high);
}

static void test_stats_bad_bootstrap_options_are_usage_errors(void **state) {
    (void)state;
    const as_statistic s = {.value = constant, .n = 4};
    const as_bootstrap_opts bad[] = {
        {.level = 1.5}, {.level = -0.1}, {.level = NAN}, {.resamples = -1}, {.method = "basic"}};
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        as_interval out;
        as_err err = {0};
        assert_int_equal(as_interval_bootstrap(&out, &s, &bad[i], &err), AS_USAGE);
        assert_true(err.msg[0] != '\0');
    }
}

static void test_stats_bootstrap_survives_every_failed_allocation(void **state) {
    (void)state;
    const sample data = make_sample();
    as_statistic s = {
        .value = mean_of, .ctx = &data, .scratch_bytes = 1, .n = ITEMS, .cluster = data.cluster};
    for (int path = 0; path < 2; path++) {
        s.mean_items = path ? data.x : NULL;
        const int64_t before = as_mem_live_blocks();
        as_status status = AS_NOMEM;
        for (int64_t n = 1; status != AS_OK && n < 100; n++) {
            const as_bootstrap_opts o = {.resamples = 50, .threads = 1};
            as_interval out;
            as_err err = {0};
            as_mem_fail_after(n);
            status = as_interval_bootstrap(&out, &s, &o, &err);
            as_mem_fail_after(0);
            assert_true(status == AS_OK || status == AS_NOMEM);
            assert_int_equal(as_mem_live_blocks(), before);
        }
        assert_int_equal(status, AS_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_resamples_draw_n_units_uniformly),
        cmocka_unit_test(test_stats_resample_sums_are_sums_of_the_same_draws),
        cmocka_unit_test(test_stats_binomial_draws_follow_the_mass_function),
        cmocka_unit_test(test_stats_cell_resamples_have_multinomial_moments),
        cmocka_unit_test(test_stats_bca_gives_efrons_law_school_interval),
        cmocka_unit_test(test_stats_fast_paths_agree_with_the_general_one),
        cmocka_unit_test(test_stats_interval_does_not_depend_on_threads),
        cmocka_unit_test(test_stats_clusters_widen_the_interval),
        cmocka_unit_test(test_stats_degenerate_data_falls_back_or_says_why),
        cmocka_unit_test(test_stats_grouped_jackknife_agrees_with_the_full_one),
        cmocka_unit_test(test_stats_bad_bootstrap_options_are_usage_errors),
        cmocka_unit_test(test_stats_bootstrap_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
