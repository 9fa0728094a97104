/* test_paired_power.c: adjusted p values, minimum detectable effects, power. */
#include "paired_check.h"

#include "base/mem.h"
#include "stats/paired.h"

/* ---- several comparisons ---- */

static void check_adjusted(const double *p, int m, const double *holm, const double *bh) {
    double got[64];
    assert_int_equal(as_adjust_holm(got, p, m, NULL), AS_OK);
    for (int i = 0; i < m; i++)
        near("holm", got[i], holm[i], 1e-14);
    memcpy(got, p, (size_t)m * sizeof *got); /* in place */
    assert_int_equal(as_adjust_benjamini_hochberg(got, got, m, NULL), AS_OK);
    for (int i = 0; i < m; i++)
        near("bh", got[i], bh[i], 1e-14);
}

static void test_stats_adjusted_p_match_statsmodels(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    char line[1 << 16];
    int m, seen = 0;
    double p[64], holm[64], bh[64];
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "adjust %d", &m) != 1) continue;
        assert_true(m <= 32);
        read_numbers(f, p, m);
        read_numbers(f, holm, m);
        read_numbers(f, bh, m);
        check_adjusted(p, m, holm, bh);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 5);
}

static void test_stats_undefined_p_stay_undefined_and_are_not_counted(void **state) {
    (void)state;
    const double p[5] = {NAN, 0.04, 0.01, NAN, 0.03};
    double got[5];
    assert_int_equal(as_adjust_holm(got, p, 5, NULL), AS_OK);
    assert_true(isnan(got[0]) && isnan(got[3]));
    near("holm", got[1], 0.06, 1e-15);
    near("holm", got[2], 0.03, 1e-15);
    near("holm", got[4], 0.06, 1e-15);
    assert_int_equal(as_adjust_benjamini_hochberg(got, p, 5, NULL), AS_OK);
    assert_true(isnan(got[0]) && isnan(got[3]));
    near("bh", got[1], 0.04, 1e-15);
    near("bh", got[2], 0.03, 1e-15);
    near("bh", got[4], 0.04, 1e-15);
    assert_int_equal(as_adjust_holm(got, p, 1, NULL), AS_OK);
    assert_true(isnan(got[0]));
    assert_int_equal(as_adjust_holm(NULL, NULL, 0, NULL), AS_OK);
}

static void test_stats_adjusting_refuses_what_is_no_p(void **state) {
    (void)state;
    const double p[2] = {0.5, 1.5};
    double got[2];
    as_err err = {0};
    assert_int_equal(as_adjust_holm(got, p, 2, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "p value 2 is 1.5"));
    assert_int_equal(as_adjust_benjamini_hochberg(got, p, -1, &err), AS_USAGE);
    as_mem_fail_after(1);
    const as_status status = as_adjust_holm(got, p, 1, &err);
    as_mem_fail_after(0);
    assert_int_equal(status, AS_NOMEM);
}

/* ---- power ---- */

static void test_stats_power_formulas_match_scipy(void **state) {
    (void)state;
    FILE *f = open_paired_golden();
    char line[1 << 16];
    int n, seen = 0;
    double a, b, c, d, e;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "mde %lf %lf %lf %lf", &a, &b, &c, &d) == 4)
            near("mde", as_minimum_detectable_effect(a, b, c), d, 1e-12);
        else if (sscanf(line, "items %lf %lf %lf %lf %lf", &a, &b, &c, &d, &e) == 5)
            near("items", as_items_needed(a, b, c, d), e, 1e-12);
        else if (sscanf(line, "mde_proportions %lf %d %lf %lf %lf", &a, &n, &c, &d, &e) == 5)
            near("mde_proportions", as_mde_proportions(a, n, c, d), e, 1e-12);
        else if (sscanf(line, "mcnemar_power %lf %lf %d %lf %lf", &a, &b, &n, &c, &d) == 5)
            within("mcnemar_power", as_mcnemar_power(a, b, n, c) - d, -2e-12, 2e-12);
        else
            continue;
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 25);
}

/* In points of accuracy, one decimal given. */
static const struct {
    double discordant;
    int64_t n;
    double points;
} mde_cases[] = {{0.06, 872, 2.3}, {0.08, 408, 3.9}, {0.20, 277, 7.4}, {0.10, 1000, 2.8}};

static void test_stats_mde_of_known_test_sets(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(mde_cases); i++) {
        const double mde = as_mde_proportions(mde_cases[i].discordant, mde_cases[i].n, 0.95, 0.8);
        within("points", 100 * mde, mde_cases[i].points - 0.05, mde_cases[i].points + 0.05);
        /* the defining equation */
        near("equation",
             as_minimum_detectable_effect(
                 sqrt((mde_cases[i].discordant - mde * mde) / (double)mde_cases[i].n), 0.95, 0.8),
             mde, 1e-12);
        near("items", as_items_needed(mde_cases[i].discordant - mde * mde, -mde, 0.95, 0.8),
             (double)mde_cases[i].n, 1e-10);
    }
}

/* At the minimum detectable effect the exact test has nearly the power asked for (it is
 * conservative). */
static void test_stats_mcnemar_power_agrees_with_the_mde(void **state) {
    (void)state;
    for (int64_t n = 1000; n <= 1000000; n *= 10) {
        const double mde = as_mde_proportions(0.1, n, 0.95, 0.8);
        within("power", as_mcnemar_power(0.05 + mde / 2, 0.05 - mde / 2, n, 0.95),
               n < 5000 ? 0.74 : 0.78, 0.805);
        near("either way", as_mcnemar_power(0.05 - mde / 2, 0.05 + mde / 2, n, 0.95),
             as_mcnemar_power(0.05 + mde / 2, 0.05 - mde / 2, n, 0.95), 1e-9);
    }
    within("size", as_mcnemar_power(0.05, 0.05, 100000, 0.95), 0.04, 0.05);
}

static void test_stats_power_of_nothing_is_undefined_or_zero(void **state) {
    (void)state;
    assert_true(isnan(as_items_needed(1, 0, 0.95, 0.8)) &&
                isnan(as_items_needed(-1, 1, 0.95, 0.8)) &&
                isnan(as_items_needed(1, NAN, 0.95, 0.8)));
    assert_true(isnan(as_minimum_detectable_effect(NAN, 0.95, 0.8)) &&
                isnan(as_minimum_detectable_effect(1, 1, 0.8)) &&
                isnan(as_minimum_detectable_effect(1, 0.95, 0)));
    assert_true(
        isnan(as_minimum_detectable_effect(1, 0.95, 0.01))); /* less than the test's own size */
    assert_true(isnan(as_mde_proportions(0, 10, 0.95, 0.8)) &&
                isnan(as_mde_proportions(0.1, 0, 0.95, 0.8)) &&
                isnan(as_mde_proportions(1.1, 5, 0.95, 0.8)));
    assert_true(as_mcnemar_power(0, 0, 50, 0.95) == 0 && as_mcnemar_power(0.2, 0.1, 0, 0.95) == 0);
    assert_true(isnan(as_mcnemar_power(0.6, 0.6, 10, 0.95)) &&
                isnan(as_mcnemar_power(-0.1, 0.2, 10, 0.95)) &&
                isnan(as_mcnemar_power(0.1, 0.2, -1, 0.95)) &&
                isnan(as_mcnemar_power(0.1, 0.2, 10, 0)));
    near("certain", as_mcnemar_power(1, 0, 6, 0.95), 1, 1e-14);
    assert_true(as_mcnemar_power(1, 0, 5, 0.95) == 0); /* 2 / 2^5 > 0.05 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_adjusted_p_match_statsmodels),
        cmocka_unit_test(test_stats_undefined_p_stay_undefined_and_are_not_counted),
        cmocka_unit_test(test_stats_adjusting_refuses_what_is_no_p),
        cmocka_unit_test(test_stats_power_formulas_match_scipy),
        cmocka_unit_test(test_stats_mde_of_known_test_sets),
        cmocka_unit_test(test_stats_mcnemar_power_agrees_with_the_mde),
        cmocka_unit_test(test_stats_power_of_nothing_is_undefined_or_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
