/* test_many_golden.c: several systems, seeds and looks against scipy, statsmodels, baycomp,
 * scikit-posthocs and formulas coded apart (tests/golden/stats/many.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stats/many.h"

static const char golden[] = "tests/golden/stats/many.txt";

enum { MOST = 5000 };

static void near(const char *what, double got, double want, double relative, double absolute) {
    if (!(fabs(got - want) <= relative * fabs(want) + absolute))
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static FILE *open_golden(void) {
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    return f;
}

/* Goes to the numbers of the next row of that name. */
static bool next_row(FILE *f, const char *name) {
    char word[64];
    while (fscanf(f, "%63s", word) == 1) {
        if (strcmp(word, name) == 0) return true;
        for (int c = fgetc(f); c != '\n' && c != EOF;)
            c = fgetc(f);
    }
    return false;
}

static void read_numbers(FILE *f, double *v, int64_t n) {
    if (n > MOST) fail_msg("%s: %lld numbers in one list", golden, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (fscanf(f, "%lf", &v[i]) != 1) fail_msg("%s: too few numbers", golden);
}

static double read_number(FILE *f) {
    double v;
    read_numbers(f, &v, 1);
    return v;
}

static int64_t read_count(FILE *f) {
    return (int64_t)read_number(f);
}

static void test_stats_friedman_matches_scipy(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double score[MOST], want[64], rank[64];
    int seen = 0;
    for (; next_row(f, "friedman"); seen++) {
        const int64_t tasks = read_count(f), systems = read_count(f);
        read_numbers(f, score, tasks * systems);
        const double statistic = read_number(f), p = read_number(f);
        read_numbers(f, want, systems);
        as_test got;
        assert_int_equal(as_friedman_test(&got, rank, score, tasks, systems, NULL), AS_OK);
        near("statistic", got.statistic, statistic, 1e-11, 0);
        near("p", got.p, p, 1e-9, 0);
        assert_true(got.df == (double)(systems - 1) && got.why == NULL);
        for (int64_t j = 0; j < systems; j++)
            near("mean rank", rank[j], want[j], 1e-14, 0);
    }
    fclose(f);
    assert_int_equal(seen, 7);
}

static void test_stats_nemenyi_matches_high_precision_and_scikit_posthocs(void **state) {
    (void)state;
    FILE *f = open_golden();
    int seen = 0;
    for (; next_row(f, "nemenyi_p"); seen++) {
        const double difference = read_number(f);
        const int64_t n = read_count(f), k = read_count(f);
        const double p = as_nemenyi_p(difference, n, k);
        near("p", p, read_number(f), 1e-10, 0);
        assert_true(p == as_nemenyi_p(-difference, n, k));
    }
    assert_int_equal(seen, 42);
    rewind(f);
    for (seen = 0; next_row(f, "nemenyi_cd"); seen++) {
        const int64_t n = read_count(f), k = read_count(f);
        const double level = read_number(f), got = as_nemenyi_critical_difference(n, k, level);
        near("critical difference", got, read_number(f), 1e-9, 0);
        near("its p", as_nemenyi_p(got, n, k), 1 - level, 1e-10, 0);
    }
    assert_int_equal(seen, 40);
    rewind(f);
    for (seen = 0; next_row(f, "nemenyi_table"); seen++) {
        const double difference = read_number(f);
        const int64_t n = read_count(f), k = read_count(f);
        near("p", as_nemenyi_p(difference, n, k), read_number(f), 1e-7, 1e-9);
    }
    assert_int_equal(seen, 10);
    fclose(f);
}

static void test_stats_bradley_terry_matches_logistic_regression(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double wins[MOST], strength[64], se[64], want[64];
    int seen = 0;
    for (; next_row(f, "bradley_terry"); seen++) {
        const int64_t k = read_count(f);
        const double prior = read_number(f);
        read_numbers(f, wins, k * k);
        assert_int_equal(as_bradley_terry(strength, se, wins, k, prior, NULL), AS_OK);
        read_numbers(f, want, k);
        for (int64_t i = 0; i < k; i++)
            near("strength", strength[i], want[i], 1e-9, 1e-11);
        read_numbers(f, want, k);
        for (int64_t i = 0; i < k; i++)
            near("se", se[i], want[i], 1e-9, 0);
    }
    fclose(f);
    assert_int_equal(seen, 6);
}

static void test_stats_bayes_correlated_t_matches_baycomp(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double d[MOST], want[3];
    int seen = 0;
    for (; next_row(f, "correlated_t"); seen++) {
        const int64_t n = read_count(f), folds = read_count(f);
        const double rope = read_number(f);
        read_numbers(f, d, n);
        read_numbers(f, want, 3);
        as_rope got;
        assert_int_equal(as_bayes_correlated_t(&got, d, n, folds, rope, NULL), AS_OK);
        near("left", got.left, want[0], 1e-9, 1e-15);
        near("rope", got.rope, want[1], 1e-9, 1e-15);
        near("right", got.right, want[2], 1e-9, 1e-15);
    }
    fclose(f);
    assert_int_equal(seen, 5);
}

/* 200,000 draws there, `draws` here: five standard errors of the difference. */
static void near_share(const char *what, double got, double want, double draws) {
    const double spread = sqrt(want * (1 - want) * (1 / 200000.0 + 1 / draws));
    near(what, got, want, 0, 5 * spread + 2 / draws);
}

static void check_posteriors(const char *name,
                             as_status (*test)(as_rope *, const double *, int64_t, double,
                                               const as_random_opts *, as_err *)) {
    FILE *f = open_golden();
    static double d[MOST], want[3];
    int seen = 0;
    for (; next_row(f, name); seen++) {
        const int64_t n = read_count(f);
        (void)read_count(f);
        const double rope = read_number(f);
        read_numbers(f, d, n);
        read_numbers(f, want, 3);
        as_rope got;
        assert_int_equal(test(&got, d, n, rope, NULL, NULL), AS_OK);
        near_share(name, got.left, want[0], 50000);
        near_share(name, got.rope, want[1], 50000);
        near_share(name, got.right, want[2], 50000);
        near("sum", got.left + got.rope + got.right, 1, 1e-15, 0);
    }
    fclose(f);
    assert_int_equal(seen, 6);
}

static void test_stats_bayes_tests_over_tasks_match_baycomp(void **state) {
    (void)state;
    check_posteriors("signed_rank", as_bayes_signed_rank);
    check_posteriors("sign", as_bayes_sign);
}

static void test_stats_almost_stochastic_order_matches_its_formula(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double a[MOST], b[MOST];
    int seen = 0;
    for (; next_row(f, "aso"); seen++) {
        const int64_t na = read_count(f), nb = read_count(f);
        read_numbers(f, a, na);
        read_numbers(f, b, nb);
        const double ratio = read_number(f), reverse = read_number(f), draws = read_number(f);
        const double sd = read_number(f), kurtosis = read_number(f);
        double got;
        /* at level 0.5 the bound is the ratio itself */
        assert_int_equal(as_almost_stochastic_order(&got, a, na, b, nb, 0.5, NULL, NULL), AS_OK);
        near("ratio", got, ratio, 1e-12, 1e-14);
        assert_int_equal(as_almost_stochastic_order(&got, b, nb, a, na, 0.5, NULL, NULL), AS_OK);
        near("reverse ratio", got, reverse, 1e-12, 1e-14);
        near("both directions", ratio + reverse, 1, 1e-12, 0);
        assert_int_equal(as_almost_stochastic_order(&got, a, na, b, nb, 0.95, NULL, NULL), AS_OK);
        /* four standard errors of a deviation that is estimated twice */
        const double slack = 4 * sd * sqrt((kurtosis - 1) / 4 * (1 / draws + 1 / 10000.0));
        near("bound", got, fmin(1, ratio + 1.6448536269514722 * sd), 0, 1.645 * slack);
    }
    fclose(f);
    assert_int_equal(seen, 5);
}

static void test_stats_confidence_sequence_matches_its_formula(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double x[MOST], low[MOST], high[MOST];
    int seen = 0;
    for (; next_row(f, "sequence"); seen++) {
        const int64_t n = read_count(f);
        const double lower = read_number(f), upper = read_number(f), level = read_number(f);
        as_sequence s = as_sequence_begin(lower, upper, level, read_count(f));
        read_numbers(f, x, n);
        read_numbers(f, low, n);
        read_numbers(f, high, n);
        assert_true(s.low == lower && s.high == upper);
        for (int64_t i = 0; i < n; i++) {
            as_sequence_add(&s, x[i]);
            near("low", s.low, low[i], 1e-10, 1e-13);
            near("high", s.high, high[i], 1e-10, 1e-13);
        }
    }
    fclose(f);
    assert_int_equal(seen, 4);
}

static void test_stats_letters_match_insert_and_absorb(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double score[64], p[MOST];
    int seen = 0;
    for (; next_row(f, "letters"); seen++) {
        const int64_t k = read_count(f);
        const double alpha = read_number(f);
        read_numbers(f, score, k);
        read_numbers(f, p, k * k);
        uint64_t letters[64];
        int64_t low[64], high[64];
        assert_int_equal(as_letter_groups(letters, score, p, k, alpha, NULL), AS_OK);
        as_rank_intervals(low, high, score, p, k, alpha);
        for (int64_t i = 0; i < k; i++) {
            unsigned long long want;
            if (fscanf(f, "%llu", &want) != 1) fail_msg("%s: too few letters", golden);
            if (letters[i] != want)
                fail_msg("system %d of %d: letters %llx, want %llx", (int)i, (int)k,
                         (unsigned long long)letters[i], want);
        }
        for (int64_t i = 0; i < k; i++)
            assert_int_equal(low[i], read_count(f));
        for (int64_t i = 0; i < k; i++)
            assert_int_equal(high[i], read_count(f));
    }
    fclose(f);
    assert_int_equal(seen, 8);
}

static void check_multi(const as_seeds *s, FILE *f) {
    as_seeds_result got;
    const as_bootstrap_opts o = {.resamples = 40000, .seed = 5};
    assert_int_equal(as_multi_bootstrap(&got, s, &o, NULL), AS_OK);
    double a, b, se, sd, low, high, extreme;
    if (fscanf(f, "%lf %lf %lf %lf %lf %lf %lf", &a, &b, &se, &sd, &low, &high, &extreme) != 7)
        fail_msg("%s: too few numbers", golden);
    near("mean of A", got.a, a, 1e-13, 1e-15);
    if (s->b)
        near("mean of B", got.b, b, 1e-13, 1e-15);
    else
        assert_true(isnan(got.b) && got.diff == got.a);
    near("se of seeds", got.se_seeds, se, 1e-11, 0);
    /* a 2.5 % quantile's own error is 2.67 sd / sqrt(R); five of both sides' */
    const double slack = 5 * 2.67 * sd * sqrt(1 / 40000.0 + 1 / 100000.0);
    near("low", got.interval.low, low, 0, slack);
    near("high", got.interval.high, high, 0, slack);
    if (s->b)
        near("p", got.test.p, extreme, 0,
             5 * sqrt(extreme * (1 - extreme) * (1 / 40000.0 + 1 / 100000.0)) + 1e-4);
    else
        assert_true(isnan(got.test.p) && got.test.why);
}

static void test_stats_multi_bootstrap_matches_a_naive_one(void **state) {
    (void)state;
    FILE *f = open_golden();
    static double a[MOST], b[MOST];
    static int32_t cluster[MOST];
    int seen = 0;
    for (; next_row(f, "multi"); seen++) {
        as_seeds s = {.a = a};
        s.seeds_a = read_count(f);
        s.seeds_b = read_count(f);
        s.n = read_count(f);
        s.paired_seeds = read_count(f) != 0;
        if (read_count(f) > 0) s.cluster = cluster;
        if (s.seeds_b > 0) s.b = b;
        read_numbers(f, a, s.seeds_a * s.n);
        read_numbers(f, b, s.seeds_b * s.n);
        for (int64_t i = 0; i < s.n; i++)
            cluster[i] = (int32_t)read_count(f);
        check_multi(&s, f);
    }
    fclose(f);
    assert_int_equal(seen, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_friedman_matches_scipy),
        cmocka_unit_test(test_stats_nemenyi_matches_high_precision_and_scikit_posthocs),
        cmocka_unit_test(test_stats_bradley_terry_matches_logistic_regression),
        cmocka_unit_test(test_stats_bayes_correlated_t_matches_baycomp),
        cmocka_unit_test(test_stats_bayes_tests_over_tasks_match_baycomp),
        cmocka_unit_test(test_stats_almost_stochastic_order_matches_its_formula),
        cmocka_unit_test(test_stats_confidence_sequence_matches_its_formula),
        cmocka_unit_test(test_stats_letters_match_insert_and_absorb),
        cmocka_unit_test(test_stats_multi_bootstrap_matches_a_naive_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
