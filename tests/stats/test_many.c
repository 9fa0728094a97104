/* test_many.c: closed forms, published examples, promises and hard inputs of many.h. */
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
#include "base/rng.h"
#include "stats/many.h"

static void near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static void fill_normal(double *v, int64_t n, double mean, uint32_t stream) {
    as_rng r = as_rng_at(99, AS_STREAM_SAMPLE, stream);
    for (int64_t i = 0; i < n; i++)
        v[i] = mean + as_rng_normal(&r);
}

/* ---- Bradley-Terry ---- */

static void test_stats_bradley_terry_gives_stiglers_citation_table(void **state) {
    (void)state;
    /* Biometrika, Comm. Statist., JASA, JRSS-B; the figures of BradleyTerry2's vignette */
    const double wins[16] = {0, 730, 498, 221, 33, 0, 68, 17, 320, 813, 0, 142, 284, 276, 325, 0};
    const double strength[4] = {0, -2.94907, -0.47957, 0.26895};
    const double se[4] = {0, 0.10255, 0.06059, 0.07083};
    double got[4], error[4];
    assert_int_equal(as_bradley_terry(got, error, wins, 4, 0, NULL), AS_OK);
    for (int i = 0; i < 4; i++) {
        near("strength", got[i], strength[i], 5.1e-6);
        near("se", error[i], se[i], 5.1e-6);
    }
}

static void test_stats_bradley_terry_of_two_is_a_log_odds(void **state) {
    (void)state;
    const double wins[4] = {0, 1e9, 3, 0};
    double strength[2], se[2];
    assert_int_equal(as_bradley_terry(strength, se, wins, 2, 0, NULL), AS_OK);
    near("log odds", strength[1], log(3 / 1e9), 1e-9);
    near("se", se[1], sqrt(1 / 1e9 + 1 / 3.0), 1e-9);
    assert_int_equal(as_bradley_terry(strength, se, (double[4]){0, 7, 0, 0}, 2, 0.5, NULL), AS_OK);
    near("with a prior", strength[1], log(0.5 / 7.5), 1e-12);
    assert_int_equal(as_bradley_terry(strength, se, (double[1]){0}, 1, 0, NULL), AS_OK);
    assert_true(strength[0] == 0 && se[0] == 0);
}

static void test_stats_bradley_terry_says_what_cannot_be_ranked(void **state) {
    (void)state;
    double strength[4], se[4];
    as_err err;
    const double never_lost[9] = {0, 2, 3, 0, 0, 1, 0, 4, 0};
    assert_int_equal(as_bradley_terry(strength, se, never_lost, 3, 0, &err), AS_NUMERIC);
    assert_non_null(strstr(err.msg, "from system 2 to system 1"));
    assert_non_null(strstr(err.hint, "prior"));
    const double never_won[9] = {0, 2, 3, 2, 0, 1, 0, 0, 0};
    assert_int_equal(as_bradley_terry(strength, se, never_won, 3, 0, &err), AS_NUMERIC);
    assert_non_null(strstr(err.msg, "from system 3 to system 1"));
    const double islands[16] = {0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0};
    assert_int_equal(as_bradley_terry(strength, se, islands, 4, 0, &err), AS_NUMERIC);
    assert_int_equal(as_bradley_terry(strength, se, islands, 4, 0.1, &err), AS_OK);
    near("islands of equals", strength[3], 0, 1e-12);
    assert_int_equal(as_bradley_terry(strength, se, never_won, 3, 0.1, &err), AS_OK);
    assert_true(strength[2] < -1 && se[2] > 0 && isfinite(se[2]));
    const double bad[4] = {0, -1, 1, 0}, nan[4] = {0, NAN, 1, 0}, self[4] = {1, 1, 1, 0};
    assert_int_equal(as_bradley_terry(strength, se, bad, 2, 0, &err), AS_USAGE);
    assert_int_equal(as_bradley_terry(strength, se, nan, 2, 0, &err), AS_USAGE);
    assert_int_equal(as_bradley_terry(strength, se, self, 2, 0, &err), AS_USAGE);
    assert_int_equal(as_bradley_terry(strength, se, islands, 4, -1, &err), AS_USAGE);
    assert_int_equal(as_bradley_terry(strength, se, islands, 0, 0, &err), AS_USAGE);
}

/* ---- Friedman and Nemenyi ---- */

static void test_stats_friedman_answers_hard_tables(void **state) {
    (void)state;
    as_test t;
    double rank[3];
    const double ties[6] = {1, 1, 1, 0, 0, 0};
    assert_int_equal(as_friedman_test(&t, rank, ties, 2, 3, NULL), AS_OK);
    assert_true(t.p == 1 && t.statistic == 0 && t.why == NULL && rank[0] == 2);
    assert_int_equal(as_friedman_test(&t, rank, ties, 0, 3, NULL), AS_OK);
    assert_true(isnan(t.p) && t.why && isnan(rank[0]));
    assert_int_equal(as_friedman_test(&t, NULL, ties, 2, 1, NULL), AS_OK);
    assert_true(isnan(t.p) && t.why);
    const double nan[4] = {1, NAN, 1, 2};
    assert_int_equal(as_friedman_test(&t, NULL, nan, 2, 2, NULL), AS_OK);
    assert_true(isnan(t.p) && t.why);
    const double infinite[6] = {-INFINITY, 0, INFINITY, 1, 2, 3}; /* ranks are all that counts */
    assert_int_equal(as_friedman_test(&t, rank, infinite, 2, 3, NULL), AS_OK);
    near("statistic", t.statistic, 4, 1e-14);
    assert_true(rank[0] == 3 && rank[2] == 1);
}

static void test_stats_nemenyi_gives_demsars_table(void **state) {
    (void)state;
    /* Demsar 2006, table 5: q / sqrt(2) at 0.05 and 0.10 for 2 .. 10 systems */
    const double q05[] = {1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164};
    const double q10[] = {1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920};
    for (int64_t k = 2; k <= 10; k++) {
        const double one = sqrt((double)(k * (k + 1)) / 6);
        near("0.05", as_nemenyi_critical_difference(1, k, 0.95) / one, q05[k - 2], 0.00101);
        near("0.10", as_nemenyi_critical_difference(1, k, 0.90) / one, q10[k - 2], 0.00101);
    }
    /* two systems: a normal */
    near("p of two", as_nemenyi_p(3, 4, 2), 2 * as_normal_cdf(-3 / sqrt(6 / 24.0)), 1e-18);
    /* tails keep their digits */
    near("ratio", as_nemenyi_p(18, 2, 2) / (2 * as_normal_cdf(-18 / sqrt(0.5))), 1, 1e-11);
    assert_true(as_nemenyi_p(0, 3, 4) == 1 && as_nemenyi_p(1e9, 3, 64) == 0);
    assert_true(isnan(as_nemenyi_p(NAN, 3, 4)) && isnan(as_nemenyi_p(1, 0, 4)) &&
                isnan(as_nemenyi_p(1, 3, 1)));
    assert_true(isnan(as_nemenyi_critical_difference(3, 4, 1)) &&
                isnan(as_nemenyi_critical_difference(0, 4, 0.9)) &&
                isnan(as_nemenyi_critical_difference(3, 1, 0.9)));
}

/* ---- Bayesian comparison ---- */

static void test_stats_bayes_correlated_t_follows_baycomps_example(void **state) {
    (void)state;
    const double d[3] = {1, 5, -3}; /* y - x of x = 4, 2, 6 and y = 5, 7, 3 */
    as_rope got;
    assert_int_equal(as_bayes_correlated_t(&got, d, 3, 3, 0, NULL), AS_OK);
    const double t = 1 / sqrt(16 * (1 / 3.0 + 1 / 2.0)); /* mean 1, variance 13.333 */
    near("right", got.right, 0.5 + t / (2 * sqrt(2 + t * t)), 1e-14);
    near("left", got.left, 1 - got.right, 1e-14);
    assert_true(got.rope == 0);
    assert_int_equal(as_bayes_correlated_t(&got, (double[2]){2, 2}, 2, 2, 1, NULL), AS_OK);
    assert_true(got.left == 0 && got.rope == 0 && got.right == 1);
    assert_int_equal(as_bayes_correlated_t(&got, (double[2]){0, 0}, 2, 2, 0, NULL), AS_OK);
    assert_true(got.left == 0.5 && got.rope == 0 && got.right == 0.5);
    assert_int_equal(as_bayes_correlated_t(&got, (double[2]){0.1, 0.1}, 2, 2, 0.2, NULL), AS_OK);
    assert_true(got.rope == 1);
    as_err err;
    assert_int_equal(as_bayes_correlated_t(&got, d, 3, 2, 0, &err), AS_USAGE);
    assert_int_equal(as_bayes_correlated_t(&got, d, 3, 1, 0, &err), AS_USAGE);
    assert_int_equal(as_bayes_correlated_t(&got, d, 0, 2, 0, &err), AS_USAGE);
    assert_int_equal(as_bayes_correlated_t(&got, d, 3, 3, -1, &err), AS_USAGE);
    assert_int_equal(as_bayes_correlated_t(&got, (double[2]){NAN, 1}, 2, 2, 0, &err), AS_NUMERIC);
    assert_true(isnan(got.left) && isnan(got.rope) && isnan(got.right));
}

static void test_stats_bayes_tests_over_tasks_have_their_closed_forms(void **state) {
    (void)state;
    as_rope got;
    const double one[1] = {1}, five_errors = 5 * 0.5 / sqrt(50000);
    /* sign: two equal Dirichlet parameters, 1 on the right and the prior's 1 in the region */
    assert_int_equal(as_bayes_sign(&got, one, 1, 0.5, NULL, NULL), AS_OK);
    near("sign", got.right, 0.5, five_errors);
    assert_true(got.left == 0);
    /* signed rank: the region has w0^2, w0 ~ Beta(1/2, 1), P(w0^2 < 1/2) = 2^(-1/4) */
    assert_int_equal(as_bayes_signed_rank(&got, one, 1, 0.1, NULL, NULL), AS_OK);
    near("signed rank", got.right, pow(2, -0.25), five_errors);
    near("signed rank, region", got.rope, 1 - pow(2, -0.25), five_errors);
    const double zeros[4] = {0, 0, 0, 0};
    assert_int_equal(as_bayes_signed_rank(&got, zeros, 4, 0, NULL, NULL), AS_OK);
    assert_true(got.left == 0.5 && got.rope == 0 && got.right == 0.5);
    assert_int_equal(as_bayes_signed_rank(&got, zeros, 4, 0.1, NULL, NULL), AS_OK);
    assert_true(got.rope == 1);
    assert_int_equal(as_bayes_sign(&got, zeros, 4, 0, NULL, NULL), AS_OK);
    assert_true(got.left == 0.5 && got.rope == 0 && got.right == 0.5);
    as_err err;
    assert_int_equal(as_bayes_sign(&got, zeros, 0, 0, NULL, &err), AS_USAGE);
    assert_int_equal(as_bayes_signed_rank(&got, zeros, 0, 0, NULL, &err), AS_USAGE);
    assert_int_equal(as_bayes_signed_rank(&got, zeros, 4, NAN, NULL, &err), AS_USAGE);
    assert_int_equal(as_bayes_sign(&got, (double[1]){NAN}, 1, 0, NULL, &err), AS_NUMERIC);
    const as_random_opts bad = {.resamples = -1};
    assert_int_equal(as_bayes_sign(&got, one, 1, 0, &bad, &err), AS_USAGE);
}

/* ---- almost stochastic order ---- */

static void test_stats_almost_stochastic_order_knows_its_ends(void **state) {
    (void)state;
    const double high[3] = {5, 6, 7}, low[4] = {1, 2, 3, 4}, huge[2] = {-1e308, 1.5e308};
    double eps;
    assert_int_equal(as_almost_stochastic_order(&eps, high, 3, low, 4, 0.95, NULL, NULL), AS_OK);
    assert_true(eps == 0);
    assert_int_equal(as_almost_stochastic_order(&eps, low, 4, high, 3, 0.95, NULL, NULL), AS_OK);
    assert_true(eps == 1);
    assert_int_equal(as_almost_stochastic_order(&eps, low, 4, low, 4, 0.5, NULL, NULL), AS_OK);
    assert_true(eps == 0.5);
    assert_int_equal(as_almost_stochastic_order(&eps, huge, 2, high, 3, 0.95, NULL, NULL), AS_OK);
    assert_true(eps > 0.2 && eps <= 1);
    assert_int_equal(as_almost_stochastic_order(&eps, high, 1, low, 1, 0.95, NULL, NULL), AS_OK);
    assert_true(eps == 0);
    as_err err;
    assert_int_equal(as_almost_stochastic_order(&eps, high, 0, low, 4, 0.95, NULL, &err), AS_USAGE);
    assert_true(isnan(eps));
    assert_int_equal(as_almost_stochastic_order(&eps, high, 3, low, 4, 1, NULL, &err), AS_USAGE);
    const double nan[1] = {NAN};
    assert_int_equal(as_almost_stochastic_order(&eps, high, 3, nan, 1, 0.9, NULL, &err),
                     AS_NUMERIC);
    assert_non_null(strstr(err.msg, "score 1 of B"));
}

/* ---- letters ---- */

static void test_stats_letters_show_a_chain_and_keep_a_for_the_best(void **state) {
    (void)state;
    /* scores ascending: 2 and 1 alike, 1 and 0 alike, 2 and 0 not */
    const double score[3] = {0.1, 0.2, 0.3};
    const double p[9] = {1, 0.4, 0.01, 0.4, 1, 0.3, 0.01, 0.3, 1};
    uint64_t letters[64];
    int64_t low[3], high[3];
    assert_int_equal(as_letter_groups(letters, score, p, 3, 0.05, NULL), AS_OK);
    assert_true(letters[2] == 1 && letters[1] == 3 && letters[0] == 2);
    as_rank_intervals(low, high, score, p, 3, 0.05);
    assert_true(low[2] == 1 && high[2] == 2 && low[1] == 1 && high[1] == 3 && low[0] == 2 &&
                high[0] == 3);
    const double unknown[9] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    assert_int_equal(as_letter_groups(letters, score, unknown, 3, 0.05, NULL), AS_OK);
    assert_true(letters[0] == 1 && letters[1] == 1 && letters[2] == 1);
    as_rank_intervals(low, high, score, unknown, 3, 0.05);
    assert_true(low[0] == 1 && high[0] == 3);
    assert_int_equal(as_letter_groups(letters, score, p, 0, 0.05, NULL), AS_OK);
    as_err err;
    const double nan[3] = {1, NAN, 2};
    assert_int_equal(as_letter_groups(letters, nan, p, 3, 0.05, &err), AS_NUMERIC);
}

static void test_stats_letters_hold_for_64_systems(void **state) {
    (void)state;
    static double score[65], p[65 * 65];
    static uint64_t letters[65];
    for (int i = 0; i < 64; i++)
        score[i] = i % 7;
    for (int i = 0; i < 64 * 64; i++)
        p[i] = i % 65 == 0 ? 1 : 0;
    assert_int_equal(as_letter_groups(letters, score, p, 64, 0.05, NULL), AS_OK);
    uint64_t all = 0;
    for (int i = 0; i < 64; i++) {
        assert_int_equal(__builtin_popcountll(letters[i]), 1);
        all |= letters[i];
    }
    assert_true(all == UINT64_MAX && letters[6] == 1); /* the first of the best */
    for (int i = 0; i < 64 * 64; i++) /* each system differs from one other: 2^32 groups */
        p[i] = (i / 64 ^ 1) == i % 64 ? 0 : 1;
    as_err err;
    assert_int_equal(as_letter_groups(letters, score, p, 64, 0.05, &err), AS_NUMERIC);
    assert_int_equal(as_letter_groups(letters, score, p, 65, 0.05, &err), AS_USAGE);
}

/* ---- the confidence sequence ---- */

static void test_stats_confidence_sequence_keeps_to_its_promise(void **state) {
    (void)state;
    as_sequence s = as_sequence_begin(0, 1, 0.95, 3);
    as_sequence_add(&s, 1);
    assert_true(s.low == 1 / 3.0 && s.high == 1); /* what one seen item says for certain */
    as_sequence_add(&s, 0);
    as_sequence_add(&s, 1);
    assert_true(s.low == s.high && fabs(s.low - 2 / 3.0) < 1e-15);
    as_sequence_add(&s, 1); /* a fourth of three */
    assert_true(isnan(s.low) && isnan(s.high));
    s = as_sequence_begin(0, 1, 0.95, 0);
    as_sequence_add(&s, 1.01);
    as_sequence_add(&s, 0.5);
    assert_true(isnan(s.low) && isnan(s.high));
    s = as_sequence_begin(0, 1, 0.95, 0);
    as_sequence_add(&s, NAN);
    assert_true(isnan(s.low));
    s = as_sequence_begin(0, 1, 1, 0);
    assert_true(isnan(s.low) && isnan(s.high));
    s = as_sequence_begin(1, 1, 0.9, 0);
    assert_true(isnan(s.low));
    s = as_sequence_begin(0, 1, 0.9, -1);
    assert_true(isnan(s.low));
    double width = 4;
    s = as_sequence_begin(-1, 3, 0.95, 0);
    for (int i = 0; i < 5000; i++) { /* constant values: narrower and narrower around them */
        as_sequence_add(&s, 0.5);
        assert_true(s.high - s.low <= width && s.low <= 0.5 && s.high >= 0.5);
        width = s.high - s.low;
    }
    assert_true(width < 0.02);
}

/* ---- seeds and items ---- */

static void test_stats_multi_bootstrap_of_one_seed_is_a_bootstrap_of_items(void **state) {
    (void)state;
    double a[40], b[40];
    fill_normal(a, 40, 0.3, 1);
    fill_normal(b, 40, 0, 2);
    const as_seeds s = {a, b, 1, 1, 40, NULL, true};
    as_seeds_result got;
    const as_bootstrap_opts o = {.seed = 3, .resamples = 2000, .method = "percentile"};
    assert_int_equal(as_multi_bootstrap(&got, &s, &o, NULL), AS_OK);
    double d[40];
    for (int i = 0; i < 40; i++)
        d[i] = a[i] - b[i];
    as_interval plain;
    const as_statistic mean = {.n = 40, .mean_items = d};
    assert_int_equal(as_interval_bootstrap(&plain, &mean, &o, NULL), AS_OK);
    near("low", got.interval.low, plain.low, 1e-14);
    near("high", got.interval.high, plain.high, 1e-14);
    const as_test t = as_paired_t(d, 40, NULL);
    near("student is the paired t", got.student.p, t.p, 1e-12);
    assert_true(isnan(got.se_seeds) && got.why_one_seed && !got.why_few_seeds);
    near("se of items", got.se_items, as_standard_error(d, 40, NULL, NULL), 1e-15);
    const as_seeds many_b = {a, b, 1, 20, 2, NULL, false};
    assert_int_equal(as_multi_bootstrap(&got, &many_b, &o, NULL), AS_OK);
    assert_non_null(strstr(got.why_one_seed, "of A"));
}

static void test_stats_multi_bootstrap_says_what_is_missing(void **state) {
    (void)state;
    double a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 2, 3, 4, 5, 6};
    const int32_t cluster[3] = {7, 7, 7};
    as_seeds_result got;
    as_err err;
    as_seeds s = {a, b, 2, 2, 0, NULL, false};
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, NULL), AS_OK);
    assert_true(got.test.why && got.interval.why && isnan(got.test.p) && isnan(got.diff));
    s.n = 1;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, NULL), AS_OK);
    assert_string_equal(got.test.why, "one item has no spread");
    s.n = 3;
    s.cluster = cluster;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, NULL), AS_OK);
    assert_string_equal(got.interval.why, "one cluster has no spread");
    s.cluster = NULL;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, NULL), AS_OK); /* ties everywhere */
    assert_true(got.diff == 0 && got.test.p == 1 && got.student.p == 1 && got.why_few_seeds);
    b[5] = NAN;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, NULL), AS_OK);
    assert_string_equal(got.student.why, "a score is not a finite number");
    b[5] = 6;
    const as_bootstrap_opts bca = {.method = "bca"}, level = {.level = 2};
    assert_int_equal(as_multi_bootstrap(&got, &s, &bca, &err), AS_USAGE);
    assert_int_equal(as_multi_bootstrap(&got, &s, &level, &err), AS_USAGE);
    s.paired_seeds = true;
    s.seeds_b = 1;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, &err), AS_USAGE);
    s.seeds_a = 0;
    assert_int_equal(as_multi_bootstrap(&got, &s, NULL, &err), AS_USAGE);
}

static void test_stats_multi_bootstrap_sees_that_seeds_are_paired(void **state) {
    (void)state;
    enum { SEEDS = 20, N = 50 };
    static double a[SEEDS * N], b[SEEDS * N];
    double shift[SEEDS];
    fill_normal(a, SEEDS * N, 0, 3);
    fill_normal(b, SEEDS * N, 0, 4);
    fill_normal(shift, SEEDS, 0, 5);
    for (int i = 0; i < SEEDS * N; i++) {
        a[i] += 3 * shift[i / N];
        b[i] += 3 * shift[i / N];
    }
    as_seeds s = {a, b, SEEDS, SEEDS, N, NULL, true};
    as_seeds_result paired, apart;
    assert_int_equal(as_multi_bootstrap(&paired, &s, NULL, NULL), AS_OK);
    s.paired_seeds = false;
    assert_int_equal(as_multi_bootstrap(&apart, &s, NULL, NULL), AS_OK);
    assert_true(paired.interval.high - paired.interval.low <
                0.3 * (apart.interval.high - apart.interval.low));
    assert_true(paired.se_seeds < 0.3 * apart.se_seeds && paired.se_items == apart.se_items);
    assert_true(!paired.why_few_seeds && !paired.why_one_seed);
}

/* ---- threads and memory ---- */

typedef struct outcome {
    double v[16];
} outcome;

static as_status run_all(outcome *out, int threads, as_err *err) {
    static double a[5 * 60], b[5 * 60];
    fill_normal(a, 300, 0.2, 6);
    fill_normal(b, 300, 0, 7);
    const as_random_opts o = {.resamples = 700, .seed = 11, .threads = threads};
    const as_bootstrap_opts bootstrap = {.resamples = 700, .seed = 11, .threads = threads};
    static int32_t cluster[60];
    for (int i = 0; i < 60; i++)
        cluster[i] = i / 4;
    const as_seeds s = {a, b, 5, 5, 60, cluster, false};
    as_seeds_result seeds;
    as_rope rank, sign;
    double eps, strength[5], se[5];
    as_test friedman;
    *out = (outcome){{0}};
    AS_TRY(as_multi_bootstrap(&seeds, &s, &bootstrap, err));
    AS_TRY(as_almost_stochastic_order(&eps, a, 60, b, 50, 0.95, &o, err));
    AS_TRY(as_bayes_signed_rank(&rank, a, 30, 0.1, &o, err));
    AS_TRY(as_bayes_sign(&sign, a, 30, 0.1, &o, err));
    AS_TRY(as_friedman_test(&friedman, NULL, a, 60, 5, err));
    double wins[25] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0};
    AS_TRY(as_bradley_terry(strength, se, wins, 5, 0, err));
    *out = (outcome){{seeds.interval.low, seeds.interval.high, seeds.test.p, eps, rank.left,
                      rank.rope, rank.right, sign.left, sign.rope, sign.right, friedman.p,
                      strength[4], se[4], seeds.student.p}};
    return AS_OK;
}

static void test_stats_many_does_not_depend_on_threads(void **state) {
    (void)state;
    outcome one, other;
    assert_int_equal(run_all(&one, 1, NULL), AS_OK);
    for (int threads = 2; threads <= 4; threads += 2) {
        assert_int_equal(run_all(&other, threads, NULL), AS_OK);
        assert_memory_equal(&one, &other, sizeof one);
    }
    for (int i = 0; i < 14; i++)
        assert_true(isfinite(one.v[i]));
}

static void test_stats_many_survives_every_failing_allocation(void **state) {
    (void)state;
    const int64_t before = as_mem_live_blocks();
    outcome out;
    as_err err;
    int failures = 0;
    for (int64_t n = 1;; n++) {
        as_mem_fail_after(n);
        const as_status status = run_all(&out, 2, &err);
        as_mem_fail_after(0);
        assert_int_equal(as_mem_live_blocks(), before);
        if (status == AS_OK) break;
        assert_int_equal(status, AS_NOMEM);

        failures++;
        assert_true(n < 200);
    }
    assert_true(failures > 25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_bradley_terry_gives_stiglers_citation_table),
        cmocka_unit_test(test_stats_bradley_terry_of_two_is_a_log_odds),
        cmocka_unit_test(test_stats_bradley_terry_says_what_cannot_be_ranked),
        cmocka_unit_test(test_stats_friedman_answers_hard_tables),
        cmocka_unit_test(test_stats_nemenyi_gives_demsars_table),
        cmocka_unit_test(test_stats_bayes_correlated_t_follows_baycomps_example),
        cmocka_unit_test(test_stats_bayes_tests_over_tasks_have_their_closed_forms),
        cmocka_unit_test(test_stats_almost_stochastic_order_knows_its_ends),
        cmocka_unit_test(test_stats_letters_show_a_chain_and_keep_a_for_the_best),
        cmocka_unit_test(test_stats_letters_hold_for_64_systems),
        cmocka_unit_test(test_stats_confidence_sequence_keeps_to_its_promise),
        cmocka_unit_test(test_stats_multi_bootstrap_of_one_seed_is_a_bootstrap_of_items),
        cmocka_unit_test(test_stats_multi_bootstrap_says_what_is_missing),
        cmocka_unit_test(test_stats_multi_bootstrap_sees_that_seeds_are_paired),
        cmocka_unit_test(test_stats_many_does_not_depend_on_threads),
        cmocka_unit_test(test_stats_many_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
