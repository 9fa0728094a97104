/* test_many_coverage.c: by simulation, do intervals cover and tests reject as often as they say?
 * Every bound is the nominal rate and four standard errors of the simulation, unless a line says
 * more. ASSAY_FULL=1 runs ten times as many trials. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "stats/many.h"

static int64_t trials_of(int64_t few) {
    const char *is_long = getenv("ASSAY_FULL");
    return is_long && is_long[0] == '1' ? 10 * few : few;
}

/* share lies in [low, high], up to four standard errors. */
static void within(const char *what, int64_t hits, int64_t trials, double low, double high) {
    const double n = (double)trials, share = (double)hits / n;
    if (share < low - 4 * sqrt(low * (1 - low) / n) ||
        share > high + 4 * sqrt(high * (1 - high) / n))
        fail_msg("%s: %.4f of %lld trials, not in %g .. %g", what, share, (long long)trials, low,
                 high);
}

enum { MOST_TRIALS = 200000 };
static unsigned char hit[MOST_TRIALS][4];

static int64_t count_hits(int64_t trials, int which) {
    int64_t sum = 0;
    for (int64_t t = 0; t < trials; t++)
        sum += hit[t][which];
    return sum;
}

/* ---- seeds and items ---- */

typedef struct world {
    int64_t seeds, n;
    double spread_seeds, spread_noise; /* items differ by 0.5 between systems */
    bool paired;
    int64_t resamples;
} world;

static double noise(as_rng *r, double spread) {
    return spread * as_rng_normal(r);
}

/* One study of two recipes that are equally good. */
static void study(void *ctx, int64_t trial, int thread) {
    (void)thread;
    const world *w = ctx;
    double a[64 * 64], b[64 * 64];
    as_rng r = as_rng_at(31, AS_STREAM_SPLIT, (uint32_t)trial);
    for (int64_t k = 0; k < w->seeds; k++) {
        const double common = w->paired ? noise(&r, 1) : 0;
        const double of_a = common + noise(&r, w->spread_seeds);
        const double of_b = common + noise(&r, w->spread_seeds);
        for (int64_t i = 0; i < w->n; i++) {
            a[k * w->n + i] = of_a + noise(&r, w->spread_noise);
            b[k * w->n + i] = of_b + noise(&r, w->spread_noise);
        }
    }
    for (int64_t i = 0; i < w->n; i++) {
        const double hard = as_rng_normal(&r), own = noise(&r, 0.5);
        for (int64_t k = 0; k < w->seeds; k++) {
            a[k * w->n + i] += hard + own;
            b[k * w->n + i] += hard;
        }
    }
    const as_seeds s = {a, b, w->seeds, w->seeds, w->n, NULL, w->paired};
    const as_bootstrap_opts o = {.resamples = w->resamples, .seed = (uint64_t)trial, .threads = 1};
    as_seeds_result got;
    if (as_multi_bootstrap(&got, &s, &o, NULL) != AS_OK) return;
    hit[trial][0] = got.interval.low <= 0 && 0 <= got.interval.high;
    hit[trial][1] = got.test.p <= 0.05;
    hit[trial][2] = got.student_interval.low <= 0 && 0 <= got.student_interval.high;
    hit[trial][3] = got.student.p <= 0.05;
}

static void test_stats_multi_bootstrap_covers_and_rejects_as_it_says(void **state) {
    (void)state;
    for (int paired = 0; paired < 2; paired++) {
        world w = {.seeds = 24, .n = 50, .spread_noise = 0.3, .paired = paired, .resamples = 499};
        /* both parts of the variance alike: 2 s^2 / 24 = 0.25 / 50 */
        w.spread_seeds = sqrt(0.005 * 12);
        const int64_t trials = trials_of(400);
        as_parallel_for(as_cpu_count(), trials, study, &w);
        within("interval", count_hits(trials, 0), trials, 0.94, 0.97);
        within("rejections", count_hits(trials, 1), trials, 0.02, 0.055);
    }
}

static void test_stats_students_t_holds_where_seeds_are_few(void **state) {
    (void)state;
    /* seeds dominate, items dominate, both alike. Satterthwaite's t is approximate: 0.045 is
     * allowed to be 0.06 */
    const double spread[] = {0.5, 0.02, 0.1};
    for (size_t i = 0; i < AS_COUNT(spread); i++)
        for (int paired = 0; paired < 2; paired++) {
            const world w = {4, 40, spread[i], 0.3, paired, 1};
            const int64_t trials = trials_of(1500);
            as_parallel_for(as_cpu_count(), trials, study, (void *)&w);
            within("t interval", count_hits(trials, 2), trials, 0.94, 0.98);
            within("t rejections", count_hits(trials, 3), trials, 0.02, 0.06);
        }
}

/* ---- Friedman ---- */

static void test_stats_friedman_rejects_as_often_as_it_says(void **state) {
    (void)state;
    const int64_t trials = trials_of(4000);
    int64_t rejected = 0, coarse = 0;
    for (int64_t t = 0; t < trials; t++) {
        double score[25 * 6];
        as_rng r = as_rng_at(32, AS_STREAM_SPLIT, (uint32_t)t);
        for (int i = 0; i < 25 * 6; i++)
            score[i] = as_rng_normal(&r);
        as_test got;
        assert_int_equal(as_friedman_test(&got, NULL, score, 25, 6, NULL), AS_OK);
        rejected += got.p <= 0.05;
        for (int i = 0; i < 25 * 6; i++) /* many ties */
            score[i] = floor(score[i]);
        assert_int_equal(as_friedman_test(&got, NULL, score, 25, 6, NULL), AS_OK);
        coarse += got.p <= 0.05;
    }
    within("rejections", rejected, trials, 0.042, 0.05);
    within("rejections with ties", coarse, trials, 0.042, 0.05);
}

/* ---- the confidence sequence ---- */

typedef struct stream {
    const char *name;
    double (*draw)(as_rng *r);
    double mean;
} stream;

static double draw_coin(as_rng *r) {
    return as_rng_double(r) < 0.5;
}
static double draw_rare(as_rng *r) {
    return as_rng_double(r) < 0.02;
}
static double draw_uniform(as_rng *r) {
    return as_rng_double(r);
}

static const stream streams[] = {
    {"coin", draw_coin, 0.5}, {"rare", draw_rare, 0.02}, {"uniform", draw_uniform, 0.5}};

/* Is the mean inside at every look? level 0.8, so that a wrong bound would show. */
static void test_stats_confidence_sequence_covers_at_all_times_together(void **state) {
    (void)state;
    for (size_t d = 0; d < AS_COUNT(streams); d++) {
        const int64_t trials = trials_of(500);
        int64_t missed = 0;
        double width = 0;
        for (int64_t t = 0; t < trials; t++) {
            as_rng r = as_rng_at(33 + d, AS_STREAM_SPLIT, (uint32_t)t);
            as_sequence s = as_sequence_begin(0, 1, 0.8, 0);
            bool inside = true;
            for (int i = 0; i < 1500; i++) {
                as_sequence_add(&s, streams[d].draw(&r));
                inside &= s.low <= streams[d].mean && streams[d].mean <= s.high;
            }
            missed += !inside;
            width += (s.high - s.low) / (double)trials;
        }
        within(streams[d].name, missed, trials, 0, 0.2);
        /* useful, too: below three times the width of a plain 95 % interval of the coin */
        assert_true(width < 3 * 3.92 * 0.5 / sqrt(1500));
    }
}

/* Spread of the finite population: half, few or graded values. */
static double member(int kind, int64_t i, int64_t n) {
    return kind == 0 ? i < n / 2 : kind == 1 ? i < n / 20 : (double)i / (double)(n - 1);
}

static void test_stats_confidence_sequence_covers_a_finite_population(void **state) {
    (void)state;
    enum { N = 400 };
    for (int kind = 0; kind < 3; kind++) {
        const int64_t trials = trials_of(1000);
        int64_t missed = 0;
        double half_way = 0, endless = 0;
        for (int64_t t = 0; t < trials; t++) {
            int64_t order[N];
            double mean = 0;
            for (int64_t i = 0; i < N; i++) {
                order[i] = i;
                mean += member(kind, i, N) / N;
            }
            as_rng r = as_rng_at(40 + (uint64_t)kind, AS_STREAM_SPLIT, (uint32_t)t);
            as_rng_shuffle(&r, order, N);
            as_sequence s = as_sequence_begin(0, 1, 0.8, N),
                        plain = as_sequence_begin(0, 1, 0.8, 0);
            bool inside = true;
            for (int64_t i = 0; i < N; i++) {
                as_sequence_add(&s, member(kind, order[i], N));
                as_sequence_add(&plain, member(kind, order[i], N));
                inside &= s.low <= mean + 1e-12 && mean - 1e-12 <= s.high;
                if (i == N * 3 / 4) {
                    half_way += s.high - s.low;
                    endless += plain.high - plain.low;
                }
            }
            assert_true(s.low == s.high && fabs(s.low - mean) < 1e-12);
            missed += !inside;
        }
        within("finite population", missed, trials, 0, 0.2);
        assert_true(half_way < 0.8 * endless);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_multi_bootstrap_covers_and_rejects_as_it_says),
        cmocka_unit_test(test_stats_students_t_holds_where_seeds_are_few),
        cmocka_unit_test(test_stats_friedman_rejects_as_often_as_it_says),
        cmocka_unit_test(test_stats_confidence_sequence_covers_at_all_times_together),
        cmocka_unit_test(test_stats_confidence_sequence_covers_a_finite_population),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
