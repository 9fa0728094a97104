/* test_paired_random.c: permutation, randomisation, bootstrap: enumeration, draws, threads,
 * degenerate data. */
#include "paired_check.h"

#include "base/mem.h"
#include "base/rng.h"
#include "stats/paired.h"

typedef as_status (*test_function)(as_test *, const double *, int64_t, const int32_t *,
                                   const as_random_opts *, as_err *);

static as_test run(test_function f, const double *d, int64_t n, const int32_t *ids,
                   int64_t resamples, uint64_t seed, int threads) {
    const as_random_opts o = {.resamples = resamples, .seed = seed, .threads = threads};
    as_test out;
    as_err err = {0};
    if (f(&out, d, n, ids, &o, &err) != AS_OK) fail_msg("%s", err.msg);
    return out;
}

static void fill_normal(double *d, int64_t n, double mean, uint64_t seed) {
    as_rng r = as_rng_at(seed, AS_STREAM_SAMPLE, 0);
    for (int64_t i = 0; i < n; i++)
        d[i] = mean + as_rng_normal(&r);
}

/* ---- sign flips ---- */

static void test_stats_permutation_enumerates_as_scipy_does(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    static paired_case c;
    char line[4096];
    int seen = 0;
    while (next_case(&c, f))
        while (fgets(line, sizeof line, f) && strncmp(line, "end", 3) != 0) {
            double want;
            if (sscanf(line, "signs %lf", &want) != 1) continue;
            const as_test t = run(as_permutation_test, c.d, c.n, ids_of(&c), 0, 1, 2);
            near(c.name, t.p, want, 1e-15);
            assert_true(t.resamples == 0 && !t.why);
            seen++;
        }
    fclose(f);
    assert_int_equal(seen, 8);
}

/* 0/1 scores: the number of positive signs among the discordant items is binomial, and the test is
 * McNemar's. */
static void test_stats_permutation_of_zero_one_scores_is_mcnemar(void **state) {
    (void)state;
    double d[20] = {0};
    for (int a = 0; a <= 10; a++)
        for (int b = 0; a + b <= 20; b += 3) {
            for (int i = 0; i < 20; i++)
                d[i] = i < a ? 1 : i < a + b ? -1 : 0;
            near("p", run(as_permutation_test, d, 20, NULL, 0, 0, 1).p, as_mcnemar_exact(a, b).p,
                 1e-13);
        }
}

/* 0.1, 0.2 and 0.3 cannot be held exactly; 0.1 + 0.2 must tie with 0.3. */
static void test_stats_sums_equal_but_for_rounding_tie(void **state) {
    (void)state;
    const double d[3] = {0.1, 0.2, -0.3};
    assert_true(run(as_permutation_test, d, 3, NULL, 0, 0, 1).p == 1);
    const double e[4] = {0.3, 0.1, 0.2, -0.6},
                 scaled[4] = {0.3e-200, 0.1e-200, 0.2e-200, -0.6e-200};
    assert_true(run(as_permutation_test, e, 4, NULL, 0, 0, 1).p == 1);
    assert_true(run(as_permutation_test, scaled, 4, NULL, 0, 0, 1).p == 1);
}

static void test_stats_permutation_draws_agree_with_the_exact_p(void **state) {
    (void)state;
    /* 21 items with a 0 are as 20 items: drawn and enumerated p differ by the drawing alone */
    double d[21];
    fill_normal(d, 20, 0.3, 5);
    d[20] = 0;
    const double exact = run(as_permutation_test, d, 20, NULL, 0, 0, 1).p;
    const as_test drawn = run(as_permutation_test, d, 21, NULL, 200000, 4, 2);
    assert_int_equal(drawn.resamples, 200000);
    assert_true(exact > 0.01 && exact < 0.9);
    within("drawn - exact", drawn.p - exact, -4 * sqrt(exact * (1 - exact) / 200000),
           4 * sqrt(exact * (1 - exact) / 200000));
    assert_true(run(as_permutation_test, d, 21, NULL, 0, 4, 2).resamples == 10000);
}

/* Each sign is fair and flips on its own: with one large difference per pair of units the joint
 * flips can be seen. */
static double seen_sides[300], seen_pairs[300], seen_far[300];
static double record_sides(const void *ctx, const uint8_t *swap, void *scratch) {
    (void)scratch;
    const int n = *(const int *)ctx;
    if (!swap) return 1;
    for (int i = 0; i < n; i++) {
        assert_true(swap[i] <= 1);
        seen_sides[i] += swap[i];
        seen_pairs[i] += swap[i] ^ swap[(i + 1) % n];
        seen_far[i] += swap[i] ^ swap[(i + 128) % n]; /* 128 units share a block of random bits */
    }
    return 0;
}

static void test_stats_sides_are_drawn_fairly_and_independently(void **state) {
    (void)state;
    const int n = 300, draws = 20000;
    const as_swap_statistic s = {.value = record_sides, .ctx = &n, .n = n};
    const as_random_opts o = {.resamples = draws, .seed = 8, .threads = 1};
    as_test out;
    assert_int_equal(as_randomisation_test(&out, &s, &o, NULL), AS_OK);
    near("p", out.p, 1.0 / (draws + 1), 1e-15);
    for (int i = 0; i < n; i++) {
        within("share of swaps", seen_sides[i] / draws, 0.5 - 4.5 * sqrt(0.25 / draws),
               0.5 + 4.5 * sqrt(0.25 / draws));
        within("share of unlike neighbours", seen_pairs[i] / draws, 0.5 - 4.5 * sqrt(0.25 / draws),
               0.5 + 4.5 * sqrt(0.25 / draws));
        within("share of unlike units of two blocks", seen_far[i] / draws,
               0.5 - 4.5 * sqrt(0.25 / draws), 0.5 + 4.5 * sqrt(0.25 / draws));
    }
}

static void test_stats_permutation_of_clusters_flips_their_sums(void **state) {
    (void)state;
    double d[90], sums[30] = {0};
    int32_t ids[90];
    fill_normal(d, 90, 0.2, 3);
    for (int i = 0; i < 90; i++) {
        ids[i] = (i * 7 % 30) * 50000000 - 700000000; /* ascending ids are ascending units */
        sums[i * 7 % 30] += d[i];
    }
    const as_test clustered = run(as_permutation_test, d, 90, ids, 5000, 2, 2);
    const as_test by_sum = run(as_permutation_test, sums, 30, NULL, 5000, 2, 2);
    assert_true(clustered.p == by_sum.p && clustered.p < 1 && clustered.resamples == 5000);
    near("statistic", clustered.statistic, by_sum.statistic / 3, 1e-12);
}

/* ---- any statistic ---- */

typedef struct two_systems {
    const double *a, *b;
    int64_t n;
    double undefined_above;
} two_systems;
static double mean_difference(const void *ctx, const uint8_t *swap, void *scratch) {
    const two_systems *t = ctx;
    double *sum = scratch; /* the scratch is ours and aligned */
    *sum = 0;
    for (int64_t i = 0; i < t->n; i++)
        *sum += swap && swap[i] ? t->b[i] - t->a[i] : t->a[i] - t->b[i];
    return *sum / (double)t->n > t->undefined_above ? NAN : *sum / (double)t->n;
}

static as_test randomise(const double *a, const double *b, int64_t n, const int32_t *ids,
                         int64_t resamples, int threads, double undefined_above) {
    const two_systems ctx = {a, b, n, undefined_above};
    const as_swap_statistic s = {.value = mean_difference,
                                 .ctx = &ctx,
                                 .scratch_bytes = sizeof(double),
                                 .n = n,
                                 .cluster = ids};
    const as_random_opts o = {.resamples = resamples, .seed = 6, .threads = threads};
    as_test out;
    as_err err = {0};
    if (as_randomisation_test(&out, &s, &o, &err) != AS_OK) fail_msg("%s", err.msg);
    return out;
}

static void test_stats_randomisation_of_the_mean_is_the_permutation_test(void **state) {
    (void)state;
    double a[150], b[150], d[150];
    int32_t ids[150];
    fill_normal(a, 150, 0.15, 10);
    fill_normal(b, 150, 0, 11);
    for (int i = 0; i < 150; i++) {
        d[i] = a[i] - b[i];
        ids[i] = -(i / 3);
    }
    static const int sizes[] = {1, 2, 7, 12, 21, 127, 128, 129, 150};
    for (size_t k = 0; k < AS_COUNT(sizes); k++) {
        const as_test general = randomise(a, b, sizes[k], NULL, 3000, 2, INFINITY);
        const as_test fast = run(as_permutation_test, d, sizes[k], NULL, 3000, 6, 2);
        assert_true(general.p == fast.p && general.resamples == fast.resamples);
        assert_true(randomise(a, b, sizes[k], ids, 3000, 2, INFINITY).p ==
                    run(as_permutation_test, d, sizes[k], ids, 3000, 6, 2).p);
    }
}

static void test_stats_values_equal_but_for_rounding_tie(void **state) {
    (void)state;
    /* sums in plain doubles give 4 of the 16 patterns, for 0.1 + 0.1 + 0.1 - 0.1 > 0.2 */
    double a[4] = {0.1, 0.1, 0.1, 0}, b[4] = {0, 0, 0, 0.1};
    assert_true(randomise(a, b, 4, NULL, 0, 1, INFINITY).p == 10.0 / 16);
    for (int i = 0; i < 4; i++) {
        a[i] *= 1e-200;
        b[i] *= 1e-200;
    }
    assert_true(randomise(a, b, 4, NULL, 0, 1, INFINITY).p == 10.0 / 16);
}

static void test_stats_undefined_draws_count_as_extreme(void **state) {
    (void)state;
    double a[30], b[30] = {0};
    fill_normal(a, 30, 0.2, 12);
    const as_test all = randomise(a, b, 30, NULL, 4000, 2, INFINITY);
    assert_true(all.statistic > 0.1);
    /* draws above the observed value are extreme already: undefined, they change nothing */
    assert_true(randomise(a, b, 30, NULL, 4000, 2, all.statistic + 1e-9).p == all.p);
    /* with the systems exchanged, all draws above the observed value turn extreme */
    const as_test back = randomise(b, a, 30, NULL, 4000, 2, INFINITY);
    const as_test mixed = randomise(b, a, 30, NULL, 4000, 2, back.statistic + 1e-9);
    assert_true(back.p == all.p && mixed.p > 0.9);
    const as_test undefined = randomise(a, b, 30, NULL, 4000, 2, -1e9);
    assert_true(isnan(undefined.p) && undefined.why);
    assert_true(randomise(b, b, 30, NULL, 4000, 2, INFINITY).p == 1);
}

/* ---- bootstrap ---- */

static void test_stats_bootstrap_p_is_near_its_normal_limit(void **state) {
    (void)state;
    double d[400], deff;
    fill_normal(d, 400, 0.1, 22);
    const double se = as_standard_error(d, 400, NULL, &deff);
    const as_test t = run(as_paired_bootstrap_test, d, 400, NULL, 40000, 3, 2);
    const double want = 2 * as_normal_cdf(-fabs(t.statistic) / (se * sqrt(399.0 / 400)));
    assert_true(want > 0.01 && want < 0.6);
    within("p - limit", t.p - want, -0.012, 0.012);
    assert_int_equal(t.resamples, 40000);
    /* clusters of equal items: the spread of 100 values, not of 400 */
    int32_t ids[400];
    for (int i = 0; i < 400; i++) {
        ids[i] = 5 * (i % 100);
        d[i] = d[i % 100];
    }
    const as_test clustered = run(as_paired_bootstrap_test, d, 400, ids, 20000, 3, 2);
    const as_test once = run(as_paired_bootstrap_test, d, 100, NULL, 20000, 3, 2);
    within("clustered - once", clustered.p - once.p, -1e-9, 1e-9);
}

/* ---- everywhere ---- */

static void test_stats_random_tests_do_not_depend_on_threads(void **state) {
    (void)state;
    enum { N = 1000 };
    static double d[N], zero[N];
    static int32_t ids[N];
    fill_normal(d, N, 0.05, 9);
    for (int i = 0; i < N; i++)
        ids[i] = i % 77 * -31;
    static const test_function tests[] = {as_permutation_test, as_paired_bootstrap_test};
    for (int clustered = 0; clustered < 2; clustered++) {
        const int32_t *c = clustered ? ids : NULL;
        for (size_t k = 0; k < AS_COUNT(tests); k++)
            for (int64_t n = 15; n <= N; n = n * 8) {
                const double p = run(tests[k], d, n, c, 2500, 7, 1).p;
                assert_true(p > 0 && p <= 1);
                assert_true(run(tests[k], d, n, c, 2500, 7, 2).p == p &&
                            run(tests[k], d, n, c, 2500, 7, 4).p == p);
            }
        const double p = randomise(d, zero, N, c, 999, 1, INFINITY).p;
        assert_true(randomise(d, zero, N, c, 999, 2, INFINITY).p == p &&
                    randomise(d, zero, N, c, 999, 4, INFINITY).p == p);
    }
    assert_true(run(as_permutation_test, d, 300, NULL, 2500, 7, 1).p !=
                run(as_permutation_test, d, 300, NULL, 2500, 8, 1).p);
    assert_true(run(as_permutation_test, d, 300, NULL, 0, 7, 0).resamples == 10000);
}

/* A draw is a function of its own number: more resamples keep the first ones. */
static void test_stats_more_resamples_extend_the_first_ones(void **state) {
    (void)state;
    double d[50];
    fill_normal(d, 50, 0.1, 2);
    const double few = run(as_permutation_test, d, 50, NULL, 1500, 7, 2).p * 1501;
    const double more = run(as_permutation_test, d, 50, NULL, 1501, 7, 2).p * 1502;
    within("the draw that was added", more - few, -1e-6, 1 + 1e-6);
}

static void test_stats_random_tests_of_too_little_say_why(void **state) {
    (void)state;
    const double zero[30] = {0}, one[1] = {3}, nan_inside[2] = {1, NAN},
                 huge[2] = {1.5e308, 1.5e308};
    const int32_t same[30] = {0};
    static const test_function tests[] = {as_permutation_test, as_paired_bootstrap_test};
    for (size_t k = 0; k < AS_COUNT(tests); k++) {
        assert_non_null(run(tests[k], NULL, 0, NULL, 0, 0, 1).why);
        assert_true(isnan(run(tests[k], NULL, 0, NULL, 0, 0, 1).p));
        assert_non_null(run(tests[k], nan_inside, 2, NULL, 0, 0, 1).why);
        assert_non_null(run(tests[k], huge, 2, NULL, 0, 0, 1).why);
        assert_true(run(tests[k], zero, 30, NULL, 0, 0, 1).p == 1);
        assert_true(run(tests[k], zero, 5, NULL, 0, 0, 1).p == 1);
    }
    assert_true(run(as_permutation_test, one, 1, NULL, 0, 0, 1).p == 1);
    assert_true(run(as_permutation_test, zero, 30, same, 0, 0, 1).p == 1);
    assert_non_null(run(as_paired_bootstrap_test, one, 1, NULL, 0, 0, 1).why);
    assert_string_equal(run(as_paired_bootstrap_test, zero, 30, same, 0, 0, 1).why,
                        "one cluster has no spread");
    assert_true(isnan(randomise(NULL, NULL, 0, NULL, 0, 1, INFINITY).p));
}

static void test_stats_random_tests_refuse_bad_options(void **state) {
    (void)state;
    const double d[2] = {1, 2};
    as_test out;
    as_err err = {0};
    as_random_opts o = {.resamples = -1};
    assert_int_equal(as_permutation_test(&out, d, 2, NULL, &o, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "-1 resamples"));
    o.resamples = 1000000000;
    assert_int_equal(as_paired_bootstrap_test(&out, d, 2, NULL, &o, &err), AS_USAGE);
    assert_int_equal(as_permutation_test(&out, d, 2, NULL, NULL, &err), AS_OK);
    assert_true(out.p == 0.5);
}

static as_status run_any(int which, as_test *out, as_err *err) {
    static const double d[25] = {1, 2, -1}, zero[25];
    static const int32_t ids[25] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 24};
    static const two_systems ctx = {d, zero, 25, INFINITY};
    const as_swap_statistic s = {
        .value = mean_difference, .ctx = &ctx, .scratch_bytes = 8, .n = 25, .cluster = ids};
    const as_random_opts o = {.resamples = 40, .threads = 1};
    return which == 0   ? as_permutation_test(out, d, 25, ids, &o, err)
           : which == 1 ? as_paired_bootstrap_test(out, d, 25, ids, &o, err)
                        : as_randomisation_test(out, &s, &o, err);
}

static void test_stats_random_tests_survive_allocation_failures(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++) {
        const int64_t live = as_mem_live_blocks();
        for (int64_t fail = 1;; fail++) {
            as_test out;
            as_err err = {0};
            as_mem_fail_after(fail);
            const as_status status = run_any(which, &out, &err);
            as_mem_fail_after(0);
            assert_int_equal(as_mem_live_blocks(), live);
            if (status == AS_OK) {
                assert_true(fail > 3 && out.p > 0);
                break;
            }
            assert_int_equal(status, AS_NOMEM);
            assert_non_null(strstr(err.msg, "memory"));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_permutation_enumerates_as_scipy_does),
        cmocka_unit_test(test_stats_permutation_of_zero_one_scores_is_mcnemar),
        cmocka_unit_test(test_stats_sums_equal_but_for_rounding_tie),
        cmocka_unit_test(test_stats_permutation_draws_agree_with_the_exact_p),
        cmocka_unit_test(test_stats_sides_are_drawn_fairly_and_independently),
        cmocka_unit_test(test_stats_permutation_of_clusters_flips_their_sums),
        cmocka_unit_test(test_stats_randomisation_of_the_mean_is_the_permutation_test),
        cmocka_unit_test(test_stats_values_equal_but_for_rounding_tie),
        cmocka_unit_test(test_stats_undefined_draws_count_as_extreme),
        cmocka_unit_test(test_stats_bootstrap_p_is_near_its_normal_limit),
        cmocka_unit_test(test_stats_random_tests_do_not_depend_on_threads),
        cmocka_unit_test(test_stats_more_resamples_extend_the_first_ones),
        cmocka_unit_test(test_stats_random_tests_of_too_little_say_why),
        cmocka_unit_test(test_stats_random_tests_refuse_bad_options),
        cmocka_unit_test(test_stats_random_tests_survive_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
