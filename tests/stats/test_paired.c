/* test_paired.c: closed-form paired tests against scipy, statsmodels and mpmath
 * (tests/golden/stats/paired.py). */
#include "paired_check.h"

#include "base/mem.h"
#include "stats/paired.h"
#include "stats/special.h"

/* ---- distributions ---- */

static void test_stats_t_and_chi2_match_mpmath(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    char line[1 << 16], what[200];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        double a, b, c;
        snprintf(what, sizeof what, "%.150s", line);
        if (sscanf(line, "t_cdf %lf %lf %lf", &a, &b, &c) == 3)
            near(what, as_t_cdf(a, b), c, 1e-12);
        else if (sscanf(line, "t_quantile %lf %lf %lf", &a, &b, &c) == 3)
            near(what, as_t_quantile(a, b), c, 1e-12);
        else if (sscanf(line, "chi2_sf %lf %lf %lf", &a, &b, &c) == 3)
            near(what, as_chi2_sf(a, b), c, 1e-12);
        else
            continue;
        seen++;
    }
    fclose(f);
    assert_true(seen > 220);
}

static void test_stats_t_approaches_the_normal_without_a_step(void **state) {
    (void)state;
    for (double t = -30; t <= 3; t += 0.7) {
        near("many df", as_t_cdf(t, 1e300), as_normal_cdf(t), 1e-13);
        near("infinite df", as_t_cdf(t, INFINITY), as_normal_cdf(t), 1e-14);
        near("across the switch", as_t_cdf(t, 0.99999999e9), as_t_cdf(t, 1.00000001e9), 1e-10);
    }
    near("quantile", as_t_quantile(0.975, 1e12), as_normal_quantile(0.975), 1e-11);
    assert_true(as_t_quantile(0.3, INFINITY) == as_normal_quantile(0.3));
}

static void test_stats_t_quantile_undoes_cdf(void **state) {
    (void)state;
    for (double df = 0.25; df < 1e11; df *= 3.7)
        for (double p = 1e-250; p < 0.5; p = p < 1e-3 ? p * 1e30 : p + 0.0317) {
            if (p < 1e-3 && p > 1e-10) p = 1e-3;
            const double t = as_t_quantile(p, df);
            if (isinf(t) || t < -1e300) continue; /* below the range of doubles */
            near("round trip", as_t_cdf(t, df), p, 1e-11);
            if (p > 1e-3) near("symmetry", as_t_quantile(1 - p, df), -t, 1e-11);
        }
}

static void test_stats_distributions_keep_to_their_domains(void **state) {
    (void)state;
    assert_true(as_t_cdf(0, 3) == 0.5 && as_t_cdf(-INFINITY, 3) == 0 && as_t_cdf(INFINITY, 3) == 1);
    assert_true(isnan(as_t_cdf(1, 0)) && isnan(as_t_cdf(NAN, 2)) && isnan(as_t_cdf(1, NAN)));
    assert_true(isnan(as_t_quantile(-0.1, 2)) && isnan(as_t_quantile(0.1, -2)) &&
                as_t_quantile(0.5, 2) == 0);
    assert_true(isinf(as_t_quantile(0, 2)) && as_t_quantile(1, 2) > 0);
    assert_true(as_chi2_sf(0, 1) == 1 && as_chi2_sf(-1, 1) == 1 && as_chi2_sf(INFINITY, 4) == 0);
    assert_true(isnan(as_chi2_sf(NAN, 1)) && isnan(as_chi2_sf(1, 0)));
    assert_true(as_binomial_cdf(-1, 5, 0.5, 0.5) == 0 && as_binomial_cdf(5, 5, 0.5, 0.5) == 1);
    assert_true(as_binomial_mass(0, 0, 0.5, 0.5) == 1 && as_binomial_mass(3, 2, 0.5, 0.5) == 0);
    near("mass", as_binomial_mass(2, 4, 0.5, 0.5), 0.375, 1e-14);
    near("mass at n", as_binomial_mass(3, 3, 0.25, 0.75), 0.015625, 1e-14);
    near("mass at 0", as_binomial_mass(0, 3, 0.25, 0.75), 0.421875, 1e-14);
}

/* ---- 0/1 scores ---- */

/* From the literature; tolerance = half a unit of the last digit given there. */
static const struct {
    int b, c;
    double corrected, corrected_p, exact, mid;
} mcnemar_cases[] = {
    {121, 59, 20.6722, 5.45009e-6, 4.43445e-6, NAN},
    {6, 16, 3.68182, NAN, 0.0524788, 0.0346896},
    {70, 59, 0.7751938, 0.3786151, 0.378688, NAN},
    {80, 59, 2.87769784, 0.08981434, 0.089452, NAN},
    {30, 60, NAN, NAN, 0.00206, NAN},
    {10, 30, NAN, NAN, 0.002221, NAN},
    {10, 10, NAN, NAN, 1, NAN},
};

static void test_stats_mcnemar_gives_published_values(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(mcnemar_cases); i++) {
        const int b = mcnemar_cases[i].b, c = mcnemar_cases[i].c;
        const as_test corrected = as_mcnemar_chi2(b, c, true);
        if (!isnan(mcnemar_cases[i].corrected))
            near("corrected", corrected.statistic, mcnemar_cases[i].corrected, 3e-6);
        if (!isnan(mcnemar_cases[i].corrected_p))
            near("corrected p", corrected.p, mcnemar_cases[i].corrected_p, 2e-6);
        near("exact", as_mcnemar_exact(b, c).p, mcnemar_cases[i].exact, 1e-3);
        if (mcnemar_cases[i].exact < 1e-4 || b == 6)
            near("exact, all digits", as_mcnemar_exact(b, c).p, mcnemar_cases[i].exact, 2e-6);
        if (!isnan(mcnemar_cases[i].mid))
            near("mid-p", as_mcnemar_mid_p(b, c).p, mcnemar_cases[i].mid, 2e-6);
    }
    near("uncorrected", as_mcnemar_chi2(121, 59, false).statistic, 21.35556, 3e-7);
    near("uncorrected p", as_mcnemar_chi2(121, 59, false).p, 3.815136e-06, 2e-7);
    near("Bentur et al. 2009, in Fagerland et al. 2013", as_mcnemar_mid_p(1, 7).p, 0.0390625,
         1e-14);
}

static void test_stats_mcnemar_matches_exact_arithmetic(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    char line[1 << 16];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        int b, c;
        double exact, mid, plain, plain_p, corrected, corrected_p;
        if (sscanf(line, "mcnemar %d %d %lf %lf %lf %lf %lf %lf", &b, &c, &exact, &mid, &plain,
                   &plain_p, &corrected, &corrected_p) != 8)
            continue;
        line[30] = 0;
        near(line, as_mcnemar_exact(b, c).p, exact, 1e-12);
        near(line, as_mcnemar_mid_p(b, c).p, mid, 1e-12);
        near(line, as_mcnemar_mid_p(c, b).p, mid, 1e-12);
        near(line, as_mcnemar_chi2(b, c, false).statistic, plain, 1e-14);
        near(line, as_mcnemar_chi2(b, c, false).p, plain_p, 1e-12);
        near(line, as_mcnemar_chi2(b, c, true).statistic, corrected, 1e-14);
        near(line, as_mcnemar_chi2(b, c, true).p, corrected_p, 1e-12);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 15);
}

static void test_stats_mcnemar_of_no_discordant_items_is_one(void **state) {
    (void)state;
    assert_true(as_mcnemar_exact(0, 0).p == 1 && as_mcnemar_mid_p(0, 0).p == 1);
    assert_true(as_mcnemar_chi2(0, 0, false).p == 1 && as_mcnemar_chi2(0, 0, true).p == 1);
    assert_true(isnan(as_mcnemar_exact(-1, 3).p) && as_mcnemar_exact(-1, 3).why);
    assert_true(isnan(as_mcnemar_mid_p(1, -3).p) && isnan(as_mcnemar_chi2(-1, 3, true).p));
    assert_string_equal(as_mcnemar_exact(2, 3).method, "mcnemar exact");
    assert_null(as_mcnemar_exact(2, 3).why);
}

static void test_stats_newcombe_matches_the_paper_formula(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    char line[1 << 16];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        int e, g, h, i;
        double level, low, high;
        if (sscanf(line, "newcombe %d %d %d %d %lf %lf %lf", &e, &g, &h, &i, &level, &low, &high) !=
            7)
            continue;
        const as_interval got = as_interval_newcombe(e, g, h, i, level);
        const as_interval swapped = as_interval_newcombe(e, h, g, i, level);
        assert_null(got.why);
        /* the bounds are differences of numbers of size 1 */
        line[60] = 0;
        within(line, got.low - low, -1e-13, 1e-13);
        within(line, got.high - high, -1e-13, 1e-13);
        within(line, got.low + swapped.high, -1e-15, 1e-15);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 44);
}

static void test_stats_newcombe_gives_published_intervals(void **state) {
    (void)state;
    /* Fagerland, Lydersen and Laake 2014, 2017: Bentur et al. and Cavo et al. */
    const as_interval bentur = as_interval_newcombe(1, 1, 7, 12, 0.95);
    within("bentur", bentur.low, -0.5075, -0.5065);
    within("bentur", bentur.high, -0.0265, -0.0255);
    const as_interval cavo = as_interval_newcombe(59, 6, 16, 80, 0.95);
    within("cavo", cavo.low, -0.11865, -0.11855);
    within("cavo", cavo.high, -0.00465, -0.00455);
}

static void test_stats_newcombe_of_nothing_says_why(void **state) {
    (void)state;
    assert_true(isnan(as_interval_newcombe(0, 0, 0, 0, 0.95).low));
    assert_non_null(as_interval_newcombe(0, 0, 0, 0, 0.95).why);
    assert_non_null(as_interval_newcombe(1, -1, 0, 0, 0.95).why);
    assert_non_null(as_interval_newcombe(1, 1, 0, 0, 1).why);
}

/* ---- means ---- */

/* "key value value ..." lines of one case. */
static void check_case(const paired_case *c, FILE *f) {
    char line[4096];
    const int32_t *ids = ids_of(c);
    double a, b, x, y;
    while (fgets(line, sizeof line, f) && strncmp(line, "end", 3) != 0) {
        if (sscanf(line, "se %lf %lf", &a, &b) == 2) {
            double deff;
            near(c->name, as_standard_error(c->d, c->n, ids, &deff), a, 1e-10);
            near(c->name, deff, b, 1e-10);
        } else if (sscanf(line, "t %lf %lf %lf", &a, &b, &x) == 3) {
            const as_test t = as_paired_t(c->d, c->n, ids);
            near(c->name, t.statistic, a, 1e-10);
            assert_true(t.df == b);
            near(c->name, t.p, x, 1e-9);
        } else if (sscanf(line, "interval %lf %lf %lf", &a, &b, &x) == 3) {
            const as_interval i = as_interval_paired_t(c->d, c->n, ids, a);
            near(c->name, i.low, b, 1e-9);
            near(c->name, i.high, x, 1e-9);
        } else if (sscanf(line, "margin %lf %lf %lf %lf", &a, &b, &x, &y) == 4) {
            near(c->name, as_equivalence_test(c->d, c->n, ids, a).p, b, 1e-9);
            near(c->name, as_noninferiority_test(c->d, c->n, ids, a).statistic, x, 1e-10);
            near(c->name, as_noninferiority_test(c->d, c->n, ids, a).p, y, 1e-9);
        }
    }
}

static void test_stats_paired_means_match_scipy_and_statsmodels(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    static paired_case c;
    int seen = 0;
    for (; next_case(&c, f); seen++)
        check_case(&c, f);
    fclose(f);
    assert_int_equal(seen, 13);
}

/* Ten clusters of five equal items know as much as ten items. */
static void test_stats_duplicated_items_widen_the_error_by_sqrt_5(void **state) {
    (void)state;
    static const double v[10] = {0.3, 1, -2, 0.7, 0.1, 4, 2.5, -1, 0, 0.9};
    double x[50], deff;
    int32_t ids[50];
    for (int i = 0; i < 50; i++) {
        x[i] = v[i % 10];
        ids[i] = 90 - i % 10;
    }
    const double naive = as_standard_error(x, 50, NULL, NULL);
    const double clustered = as_standard_error(x, 50, ids, &deff);
    /* without C / (C - 1) = 10 / 9 and n / (n - 1) = 50 / 49 the ratio is sqrt(5) exactly */
    near("sqrt 5", clustered / naive * sqrt(50.0 / 49) / sqrt(10.0 / 9), sqrt(5), 1e-14);
    near("deff", deff, clustered * clustered / (naive * naive), 1e-14);
    near("ten items", clustered, as_standard_error(v, 10, NULL, NULL), 1e-14);
    near("t of ten items", as_paired_t(x, 50, ids).p, as_paired_t(v, 10, NULL).p, 1e-12);
}

static void test_stats_clusters_of_one_item_change_nothing(void **state) {
    (void)state;
    const double x[6] = {1, 2, -4, 0.5, 3, 3};
    const int32_t ids[6] = {INT32_MIN, INT32_MAX, 0, -1, 77, 3};
    double deff;
    near("se", as_standard_error(x, 6, ids, &deff), as_standard_error(x, 6, NULL, NULL), 1e-15);
    near("deff", deff, 1, 1e-15);
    near("p", as_paired_t(x, 6, ids).p, as_paired_t(x, 6, NULL).p, 1e-14);
    assert_true(as_paired_t(x, 6, ids).df == 5);
    assert_string_equal(as_paired_t(x, 6, ids).method, "clustered paired t");
}

static void check_undefined(const double *d, int64_t n, const int32_t *ids,
                            const char *part_of_why) {
    const as_test tests[] = {as_paired_t(d, n, ids), as_equivalence_test(d, n, ids, 1),
                             as_noninferiority_test(d, n, ids, 1)};
    for (size_t i = 0; i < AS_COUNT(tests); i++) {
        assert_true(isnan(tests[i].p) && tests[i].why);
        if (!strstr(tests[i].why, part_of_why))
            fail_msg("\"%s\" does not hold \"%s\"", tests[i].why, part_of_why);
    }
    const as_interval interval = as_interval_paired_t(d, n, ids, 0.95);
    assert_true(isnan(interval.low) && isnan(interval.high) && interval.why);
    double deff = 0;
    assert_true(isnan(as_standard_error(d, n, ids, &deff)) && isnan(deff));
}

static void test_stats_paired_t_of_too_little_says_why(void **state) {
    (void)state;
    const double d[4] = {1, 2, 3, 4}, nan_inside[3] = {1, NAN, 2}, infinite[3] = {1, INFINITY, 2};
    const double huge[3] = {1e308, 1.5e308, 1.6e308};
    const int32_t one[4] = {-7, -7, -7, -7};
    check_undefined(d, 0, NULL, "no items");
    check_undefined(NULL, 0, NULL, "no items");
    check_undefined(d, 1, NULL, "one item");
    check_undefined(d, 4, one, "one cluster");
    check_undefined(nan_inside, 3, NULL, "finite");
    check_undefined(infinite, 3, NULL, "finite");
    check_undefined(huge, 3, NULL, "too large");
    assert_non_null(as_equivalence_test(d, 4, NULL, 0).why);
    assert_non_null(as_equivalence_test(d, 4, NULL, NAN).why);
    assert_non_null(as_noninferiority_test(d, 4, NULL, -1).why);
    assert_non_null(as_noninferiority_test(d, 4, NULL, INFINITY).why);
    assert_non_null(as_interval_paired_t(d, 4, NULL, 0).why);
}

static void test_stats_paired_t_without_spread_knows_the_sign(void **state) {
    (void)state;
    const double zero[3] = {0, 0, 0}, same[7] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    double rounded[5], deff;
    for (int i = 0; i < 5; i++)
        rounded[i] = (0.7 + i / 10.0) - (0.6 + i / 10.0); /* 0.1, give or take rounding */
    assert_true(as_paired_t(zero, 3, NULL).p == 1 && as_paired_t(zero, 3, NULL).statistic == 0);
    const as_test t = as_paired_t(same, 7, NULL);
    assert_true(t.p == 0 && isinf(t.statistic) && t.statistic > 0 && !t.why);
    assert_true(as_paired_t(rounded, 5, NULL).p == 0 ||
                as_paired_t(rounded, 5, NULL).statistic > 1e10);
    assert_true(as_standard_error(same, 7, NULL, &deff) == 0 && deff == 1);
    assert_true(as_equivalence_test(zero, 3, NULL, 0.1).p == 0);
    assert_true(as_equivalence_test(same, 7, NULL, 0.2).p == 0);
    assert_true(as_equivalence_test(same, 7, NULL, 0.1).p == 1); /* on the margin: not inside it */
    assert_true(as_equivalence_test(same, 7, NULL, 0.05).p == 1);
    assert_true(as_noninferiority_test(same, 7, NULL, 0).p == 0);
    assert_true(as_noninferiority_test(zero, 3, NULL, 0).p == 1);
    const as_interval i = as_interval_paired_t(same, 7, NULL, 0.95);
    near("low", i.low, 0.1, 1e-15);
    near("high", i.high, 0.1, 1e-15);
}

static void test_stats_scores_of_any_size_are_compared(void **state) {
    (void)state;
    double d[5] = {1, -0.5, 0.25, 3, 1.5}, large[5], small[5];
    for (int i = 0; i < 5; i++) {
        large[i] = d[i] * 0x1p1000;
        small[i] = d[i] * 0x1p-1000;
    }
    assert_true(as_paired_t(large, 5, NULL).p == as_paired_t(d, 5, NULL).p);
    assert_true(as_paired_t(small, 5, NULL).p == as_paired_t(d, 5, NULL).p);
}

/* Running out of memory is told, and nothing is kept. */
static void test_stats_clustered_t_survives_allocation_failures(void **state) {
    (void)state;
    const double d[4] = {1, 2, 3, 5};
    const int32_t ids[4] = {1, 1, 2, 2};
    const int64_t live = as_mem_live_blocks();
    for (int64_t fail = 1;; fail++) {
        as_mem_fail_after(fail);
        const as_test t = as_paired_t(d, 4, ids);
        as_mem_fail_after(0);
        assert_int_equal(as_mem_live_blocks(), live);
        if (!t.why) {
            assert_true(fail > 3);
            break;
        }
        assert_true(isnan(t.p) && strstr(t.why, "memory"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_t_and_chi2_match_mpmath),
        cmocka_unit_test(test_stats_t_approaches_the_normal_without_a_step),
        cmocka_unit_test(test_stats_t_quantile_undoes_cdf),
        cmocka_unit_test(test_stats_distributions_keep_to_their_domains),
        cmocka_unit_test(test_stats_mcnemar_gives_published_values),
        cmocka_unit_test(test_stats_mcnemar_matches_exact_arithmetic),
        cmocka_unit_test(test_stats_mcnemar_of_no_discordant_items_is_one),
        cmocka_unit_test(test_stats_newcombe_matches_the_paper_formula),
        cmocka_unit_test(test_stats_newcombe_gives_published_intervals),
        cmocka_unit_test(test_stats_newcombe_of_nothing_says_why),
        cmocka_unit_test(test_stats_paired_means_match_scipy_and_statsmodels),
        cmocka_unit_test(test_stats_duplicated_items_widen_the_error_by_sqrt_5),
        cmocka_unit_test(test_stats_clusters_of_one_item_change_nothing),
        cmocka_unit_test(test_stats_paired_t_of_too_little_says_why),
        cmocka_unit_test(test_stats_paired_t_without_spread_knows_the_sign),
        cmocka_unit_test(test_stats_scores_of_any_size_are_compared),
        cmocka_unit_test(test_stats_clustered_t_survives_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
