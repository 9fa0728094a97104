/* test_paired_rates.c: do the tests reject, and the intervals cover, as often as they say?
 * Simulations with fixed seeds; the bounds are 4.5 standard errors of the simulation. ASSAY_FULL:
 * twenty times as many. */
#include "paired_check.h"

#include "base/rng.h"
#include "stats/paired.h"

static int trials(int usual) {
    return getenv("ASSAY_FULL") ? 20 * usual : usual;
}

static double slack(double rate, int count) {
    return 4.5 * sqrt(rate * (1 - rate) / count);
}

static void check_rate(const char *what, int64_t hits, int count, double want) {
    const double rate = (double)hits / count;
    within(what, rate, want - slack(want, count), want + slack(want, count));
}

/* Counts of n items with the four outcomes: both, only A, only B, neither. */
static void draw_table(int64_t *cells, as_rng *r, int n, double both, double only_a,
                       double only_b) {
    memset(cells, 0, 4 * sizeof *cells);
    for (int i = 0; i < n; i++) {
        const double u = as_rng_double(r);
        cells[u < both ? 0 : u < both + only_a ? 1 : u < both + only_a + only_b ? 2 : 3]++;
    }
}

static void test_stats_mcnemar_rejects_a_true_null_rarely(void **state) {
    (void)state;
    const int count = trials(20000), n = 80;
    int64_t exact = 0, mid = 0;
    as_rng r = as_rng_at(101, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        int64_t c[4];
        draw_table(c, &r, n, 0.6, 0.15, 0.15);
        exact += as_mcnemar_exact(c[1], c[2]).p <= 0.05;
        mid += as_mcnemar_mid_p(c[1], c[2]).p <= 0.05;
    }
    /* the simulation and the exact sum over the trinomial are two ways to one number */
    const double size = as_mcnemar_power(0.15, 0.15, n, 0.95);
    assert_true(size < 0.05 && size > 0.01);
    check_rate("exact", exact, count, size);
    within("mid-p", (double)mid / count, size, 0.05 + slack(0.05, count));
    assert_true(mid > exact);
}

static void test_stats_mcnemar_power_is_what_simulation_finds(void **state) {
    (void)state;
    const int count = trials(10000), n = 120;
    int64_t found = 0;
    as_rng r = as_rng_at(102, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        int64_t c[4];
        draw_table(c, &r, n, 0.5, 0.2, 0.08);
        found += as_mcnemar_exact(c[1], c[2]).p <= 0.05;
    }
    check_rate("power", found, count, as_mcnemar_power(0.2, 0.08, n, 0.95));
}

static const struct {
    int n;
    double both, only_a, only_b;
} newcombe_cases[] = {
    {30, 0.6, 0.2, 0.1}, {50, 0.8, 0.08, 0.05}, {100, 0.45, 0.05, 0.2}, {200, 0.3, 0.1, 0.1}};

static void test_stats_newcombe_covers(void **state) {
    (void)state;
    const int count = trials(8000);
    for (size_t i = 0; i < AS_COUNT(newcombe_cases); i++) {
        int64_t covered = 0;
        as_rng r = as_rng_at(103, AS_STREAM_SAMPLE, (uint32_t)i);
        const double true_difference = newcombe_cases[i].only_a - newcombe_cases[i].only_b;
        for (int k = 0; k < count; k++) {
            int64_t c[4];
            draw_table(c, &r, newcombe_cases[i].n, newcombe_cases[i].both, newcombe_cases[i].only_a,
                       newcombe_cases[i].only_b);
            const as_interval got = as_interval_newcombe(c[0], c[1], c[2], c[3], 0.95);
            covered += got.low <= true_difference && true_difference <= got.high;
        }
        /* the paper finds a mean coverage of 0.955, and little below 0.94 */
        within("newcombe", (double)covered / count, 0.94 - slack(0.94, count), 0.975);
    }
}

static void fill(double *d, int n, as_rng *r) {
    for (int i = 0; i < n; i++)
        d[i] = as_rng_normal(r);
}

static void test_stats_paired_t_holds_its_level(void **state) {
    (void)state;
    const int count = trials(15000), n = 6;
    int64_t rejected = 0, covered = 0, equivalent = 0, noninferior = 0;
    as_rng r = as_rng_at(104, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[6], shifted[6];
        fill(d, n, &r);
        rejected += as_paired_t(d, n, NULL).p <= 0.05;
        const as_interval i = as_interval_paired_t(d, n, NULL, 0.9);
        covered += i.low <= 0 && 0 <= i.high;
        for (int j = 0; j < n; j++)
            shifted[j] = 5 + d[j];
        equivalent +=
            as_equivalence_test(shifted, n, NULL, 5).p <= 0.05; /* the truth is the margin itself */
        noninferior += as_noninferiority_test(d, n, NULL, 0).p <= 0.05;
    }
    check_rate("t", rejected, count, 0.05);
    check_rate("interval", covered, count, 0.9);
    check_rate("tost", equivalent, count, 0.05); /* the other margin is far away */
    check_rate("non-inferiority", noninferior, count, 0.05);
}

/* Clusters of one size and normal effects: the robust t has C - 1 degrees of freedom exactly. The
 * naive t is lost. */
static void test_stats_clustered_t_holds_its_level(void **state) {
    (void)state;
    enum { CLUSTERS = 12, EACH = 5, N = CLUSTERS * EACH };
    const int count = trials(8000);
    int64_t clustered = 0, naive = 0, covered = 0;
    int32_t ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = i % CLUSTERS * 1000;
    as_rng r = as_rng_at(105, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[N], effect[CLUSTERS];
        fill(d, N, &r);
        fill(effect, CLUSTERS, &r);
        for (int i = 0; i < N; i++)
            d[i] += effect[i % CLUSTERS];
        clustered += as_paired_t(d, N, ids).p <= 0.05;
        naive += as_paired_t(d, N, NULL).p <= 0.05;
        const as_interval i = as_interval_paired_t(d, N, ids, 0.95);
        covered += i.low <= 0 && 0 <= i.high;
    }
    check_rate("clustered t", clustered, count, 0.05);
    check_rate("clustered interval", covered, count, 0.95);
    assert_true((double)naive / count > 0.15);
}

/* Clusters of two to eight items: no longer exact. */
static void test_stats_clustered_t_of_unequal_clusters_is_near_its_level(void **state) {
    (void)state;
    enum { CLUSTERS = 40, MOST = CLUSTERS * 8 };
    const int count = trials(3000);
    int64_t rejected = 0;
    as_rng r = as_rng_at(106, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[MOST];
        int32_t ids[MOST];
        int n = 0;
        for (int c = 0; c < CLUSTERS; c++) {
            const double effect = as_rng_normal(&r);
            for (int i = 0; i < 2 + c % 7; i++, n++) {
                d[n] = effect + as_rng_normal(&r);
                ids[n] = c;
            }
        }
        rejected += as_paired_t(d, n, ids).p <= 0.05;
    }
    within("unequal clusters", (double)rejected / count, 0.035, 0.075);
}

/* p = (1 + extreme) / (R + 1) with R + 1 = 200: P(p <= 0.05) is 0.05 under the null, for any
 * symmetric d. */
static void test_stats_permutation_holds_its_level(void **state) {
    (void)state;
    const int count = trials(4000);
    int64_t drawn = 0, enumerated = 0, clustered = 0;
    int32_t ids[60];
    for (int i = 0; i < 60; i++)
        ids[i] = i / 2;
    as_rng r = as_rng_at(107, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[60];
        const as_random_opts o = {.resamples = 199, .seed = (uint64_t)k, .threads = 1};
        as_test t;
        fill(d, 60, &r);
        for (int i = 0; i < 60; i++)
            d[i] = d[i] * d[i] * d[i]; /* heavy tails: the t test would be off */
        assert_int_equal(as_permutation_test(&t, d, 30, NULL, &o, NULL), AS_OK);
        drawn += t.p <= 0.05;
        assert_int_equal(as_permutation_test(&t, d, 8, NULL, &o, NULL), AS_OK);
        enumerated += t.p <= 0.05;
        for (int i = 0; i < 60; i++)
            d[i] = d[i / 2 * 2]; /* pairs of equal items */
        assert_int_equal(as_permutation_test(&t, d, 60, ids, &o, NULL), AS_OK);
        clustered += t.p <= 0.05;
    }
    check_rate("drawn", drawn, count, 0.05);
    check_rate("clustered", clustered, count, 0.05);
    check_rate("enumerated", enumerated, count, 12.0 / 256); /* p is an even number of 256ths */
}

/* The bootstrap is a large-sample method: with 60 items it is a little too eager. */
static void test_stats_bootstrap_is_near_its_level(void **state) {
    (void)state;
    const int count = trials(1500);
    int64_t rejected = 0;
    as_rng r = as_rng_at(108, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[60];
        const as_random_opts o = {.resamples = 199, .seed = (uint64_t)k, .threads = 1};
        as_test t;
        fill(d, 60, &r);
        assert_int_equal(as_paired_bootstrap_test(&t, d, 60, NULL, &o, NULL), AS_OK);
        rejected += t.p <= 0.05;
    }
    within("bootstrap", (double)rejected / count, 0.035, 0.085);
}

/* p of a true null is uniform: its deciles are filled alike. Chi-squared with 9 df, 1e-6
 * quantile 45. */
static void test_stats_permutation_p_is_uniform(void **state) {
    (void)state;
    const int count = trials(4000);
    double seen[10] = {0}, chi2 = 0;
    as_rng r = as_rng_at(109, AS_STREAM_SAMPLE, 0);
    for (int k = 0; k < count; k++) {
        double d[25];
        const as_random_opts o = {.resamples = 199, .seed = (uint64_t)k, .threads = 1};
        as_test t;
        fill(d, 25, &r);
        assert_int_equal(as_permutation_test(&t, d, 25, NULL, &o, NULL), AS_OK);
        const int k200 = (int)lround(t.p * 200); /* 1 .. 200 */
        assert_true(k200 >= 1 && k200 <= 200);
        seen[(k200 - 1) / 20] += 1;
    }
    for (int i = 0; i < 10; i++)
        chi2 += (seen[i] - count / 10.0) * (seen[i] - count / 10.0) / (count / 10.0);
    within("p of chi-squared", as_chi2_sf(chi2, 9), 1e-6, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_mcnemar_rejects_a_true_null_rarely),
        cmocka_unit_test(test_stats_mcnemar_power_is_what_simulation_finds),
        cmocka_unit_test(test_stats_newcombe_covers),
        cmocka_unit_test(test_stats_paired_t_holds_its_level),
        cmocka_unit_test(test_stats_clustered_t_holds_its_level),
        cmocka_unit_test(test_stats_clustered_t_of_unequal_clusters_is_near_its_level),
        cmocka_unit_test(test_stats_permutation_holds_its_level),
        cmocka_unit_test(test_stats_bootstrap_is_near_its_level),
        cmocka_unit_test(test_stats_permutation_p_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
