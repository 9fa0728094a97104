/* test_interval.c: closed-form intervals and special functions against scipy (tests/golden/stats).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "stats/interval.h"

static const char golden[] = "tests/golden/stats/stats.txt";

/* Relative: scipy's own error is about 1e-13. */
static void near(const char *what, double got, double want, double tolerance) {
    const double error = want == 0 ? fabs(got) : fabs(got - want) / fabs(want);
    if (!(error <= tolerance))
        fail_msg("%s: got %.17g, want %.17g (relative error %.2g)", what, got, want, error);
}

static FILE *open_golden(void) {
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    return f;
}

static void test_stats_special_functions_match_scipy(void **state) {
    (void)state;
    FILE *f = open_golden();
    char line[1 << 16], what[600];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        double a, b, c, d;
        snprintf(what, sizeof what, "%.500s", line);
        if (sscanf(line, "normal_quantile %lf %lf", &a, &b) == 2)
            near(what, as_normal_quantile(a), b, 1e-12);
        else if (sscanf(line, "normal_cdf %lf %lf", &a, &b) == 2)
            near(what, as_normal_cdf(a), b, 1e-12);
        else if (sscanf(line, "beta_cdf %lf %lf %lf %lf", &a, &b, &c, &d) == 4)
            near(what, as_beta_cdf(a, b, c), d, 2e-12);
        else if (sscanf(line, "beta_quantile %lf %lf %lf %lf", &a, &b, &c, &d) == 4)
            near(what, as_beta_quantile(a, b, c), d, 1e-12);
        else
            continue;
        seen++;
    }
    fclose(f);
    assert_true(seen > 200);
}

static void test_stats_special_functions_keep_to_their_domains(void **state) {
    (void)state;
    assert_true(isinf(as_normal_quantile(0)) && as_normal_quantile(0) < 0);
    assert_true(isinf(as_normal_quantile(1)) && as_normal_quantile(1) > 0);
    assert_true(isnan(as_normal_quantile(-0.1)) && isnan(as_normal_quantile(NAN)));
    assert_true(as_beta_cdf(0, 2, 3) == 0 && as_beta_cdf(1, 2, 3) == 1);
    assert_true(isnan(as_beta_cdf(0.5, 0, 1)) && isnan(as_beta_cdf(-1, 1, 1)) &&
                isnan(as_beta_quantile(2, 1, 1)));
    assert_true(as_beta_quantile(0, 2, 3) == 0 && as_beta_quantile(1, 2, 3) == 1);
    /* cdf(quantile(p)) = p over a wide range of shapes */
    for (double a = 0.2; a < 1e6; a *= 7)
        for (double b = 0.3; b < 1e6; b *= 5)
            for (double p = 0.01; p < 1; p += 0.14) {
                const double x = as_beta_quantile(p, a, b);
                if (x < 1)
                    near("round trip", as_beta_cdf(x, a, b), p,
                         1e-8); /* x near 1 has few digits of 1 - x */
            }
}

static void test_stats_proportion_intervals_match_scipy(void **state) {
    (void)state;
    FILE *f = open_golden();
    char line[1 << 16];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        int k, n;
        double level, low, high;
        const int wilson =
            sscanf(line, "wilson %d %d %lf %lf %lf", &k, &n, &level, &low, &high) == 5;
        if (!wilson &&
            sscanf(line, "clopper_pearson %d %d %lf %lf %lf", &k, &n, &level, &low, &high) != 5)
            continue;
        const as_interval got =
            wilson ? as_interval_wilson(k, n, level) : as_interval_clopper_pearson(k, n, level);
        assert_null(got.why);
        /* scipy may leave a rounding error of 1e-17 at the edges, where the bound is exactly 0 or 1
         */
        if (k == 0)
            assert_true(got.low == 0);
        else
            near(line, got.low, low, 1e-11);
        if (k == n)
            assert_true(got.high == 1);
        else
            near(line, got.high, high, 1e-11);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 54);
}

static void test_stats_proportion_interval_of_nothing_says_why(void **state) {
    (void)state;
    const as_interval none = as_interval_wilson(0, 0, 0.95);
    assert_true(isnan(none.low) && isnan(none.high));
    assert_non_null(none.why);
    assert_non_null(as_interval_clopper_pearson(5, 4, 0.95).why);
    assert_non_null(as_interval_wilson(1, 4, 1.0).why);
    assert_string_equal(as_interval_wilson(1, 4, 0.9).method, "wilson");
}

static void read_numbers(FILE *f, double *v, int n) {
    for (int i = 0; i < n; i++)
        if (fscanf(f, "%lf", &v[i]) != 1) fail_msg("%s: too few numbers", golden);
}

static void test_stats_bca_of_given_replicates_matches_scipy(void **state) {
    (void)state;
    FILE *f = open_golden();
    char line[1 << 16], name[64];
    static double theta[1000], jack[1000];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        double level, point, low, high;
        int count, jacks;
        if (sscanf(line, "replicates %63s %lf %lf %lf %lf %d %d", name, &level, &point, &low, &high,
                   &count, &jacks) != 7)
            continue;
        assert_true(count <= 1000 && jacks <= 1000);
        read_numbers(f, theta, count);
        read_numbers(f, jack, jacks);
        const as_interval got =
            as_interval_of_replicates(theta, count, point, jack, NULL, jacks, level, "bca");
        assert_null(got.why);
        assert_string_equal(got.method, "bca");
        near(name, got.low, low, 1e-11);
        near(name, got.high, high, 1e-11);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_special_functions_match_scipy),
        cmocka_unit_test(test_stats_special_functions_keep_to_their_domains),
        cmocka_unit_test(test_stats_proportion_intervals_match_scipy),
        cmocka_unit_test(test_stats_proportion_interval_of_nothing_says_why),
        cmocka_unit_test(test_stats_bca_of_given_replicates_matches_scipy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
