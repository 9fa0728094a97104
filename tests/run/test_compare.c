/* test_compare.c: contests between systems against scipy, statsmodels and numpy (tests/golden/compare/compare.py); what is
 * drawn at random may differ from them by its Monte-Carlo error only. */
#include "base/mem.h"
#include "run/compare.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 3, DRAWS = 10000, GOLDEN_DRAWS = 100000 };
static const char golden[] = "tests/golden/compare/compare.txt";
static struct {
    int64_t n, n_value, n_sets;
    int labels, set_labels;
    int32_t gold[512], cluster[512], pred[2][SEEDS][512];
    double probs[2][SEEDS][1536], value[3][512];
    uint8_t sets[3][1024];
    as_predictions p[2][SEEDS], of_value[2], of_sets[2];
} d;

/* --- the golden file --- */
static FILE *golden_file(void) {
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    return f;
}
static double number(FILE *f) {
    double x;
    if (fscanf(f, "%lf", &x) != 1) fail_msg("%s is too short", golden);
    return x;
}
static void find(FILE *f, const char *word) {
    char line[16384];
    while (fgets(line, sizeof line, f))
        if (strncmp(line, word, strlen(word)) == 0 && line[strlen(word)] == ' ') {
            fseek(f, -(long)strlen(line) + (long)strlen(word), SEEK_CUR);
            return;
        }
    fail_msg("%s: no %s", golden, word);
}
static void ints(FILE *f, int32_t *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) v[i] = (int32_t)number(f);
}
static void reals(FILE *f, double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) v[i] = number(f);
}

static int load(void **state) {
    (void)state;
    FILE *f = golden_file();
    find(f, "class");
    d.n = (int64_t)number(f), d.labels = (int)number(f);
    assert_int_equal((int)number(f), SEEDS);
    ints(f, d.gold, d.n), ints(f, d.cluster, d.n);
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < SEEDS; k++) {
            ints(f, d.pred[s][k], d.n), reals(f, d.probs[s][k], d.n * d.labels);
            d.p[s][k] = (as_predictions){.kind = AS_PRED_CLASS, .n = d.n, .num_labels = d.labels, .gold = d.gold, .pred = d.pred[s][k],
                                         .probs = d.probs[s][k], .positive = -1};
        }
    find(f, "value");
    d.n_value = (int64_t)number(f);
    for (int s = 0; s < 3; s++) reals(f, d.value[s], d.n_value);
    find(f, "sets");
    d.n_sets = (int64_t)number(f), d.set_labels = (int)number(f);
    for (int s = 0; s < 3; s++)
        for (int64_t i = 0; i < d.n_sets * d.set_labels; i++) d.sets[s][i] = (uint8_t)number(f);
    for (int s = 0; s < 2; s++) {
        d.of_value[s] = (as_predictions){.kind = AS_PRED_VALUE, .n = d.n_value, .num_labels = 1, .gold_value = d.value[0], .pred_value = d.value[s + 1], .positive = -1};
        d.of_sets[s] = (as_predictions){.kind = AS_PRED_MULTILABEL, .n = d.n_sets, .num_labels = d.set_labels, .gold_sets = d.sets[0], .pred_sets = d.sets[s + 1], .positive = -1};
    }
    fclose(f);
    return 0;
}

/* --- contests --- */
static as_contest_result decide(const as_contest *c) {
    as_contest_result r;
    as_err err = {0};
    if (as_contest_decide(c, &r, &err) != AS_OK) fail_msg("%s: %s", c->metrics, err.msg);
    return r;
}
static const as_predictions *first_seed(int system, const char *metric) {
    if (strcmp(metric, "mse") == 0 || strcmp(metric, "pearson") == 0) return &d.of_value[system];
    if (strcmp(metric, "f1(micro)") == 0 || strcmp(metric, "subset_accuracy") == 0) return &d.of_sets[system];
    return d.p[system];
}
/* A against B, the better one turned to the front by the contest: turned back, so that it is A - B. */
static as_comparison a_minus_b(const char *metric, int64_t seeds, const int32_t *cluster, double level) {
    const as_system systems[] = {{.name = "A", .seed = first_seed(0, metric), .seeds = seeds}, {.name = "B", .seed = first_seed(1, metric), .seeds = seeds}};
    const as_contest c = {.systems = systems, .count = 2, .cluster = cluster, .metrics = metric, .level = level, .seed = 1, .threads = 2};
    as_contest_result r = decide(&c);
    as_comparison v = r.comparisons[0];
    assert_int_equal(r.comparison_count, 1);
    assert_true(v.p == v.p_adjusted);
    if (v.a == 1) {
        const double value = v.value_a, low = v.low;
        const int64_t only = v.only_a;
        v.a = 0, v.b = 1, v.value_a = v.value_b, v.value_b = value, v.diff = -v.diff, v.low = -v.high, v.high = -low;
        v.only_a = v.only_b, v.only_b = only, v.effect = -v.effect;
    }
    v.metric = NULL; /* the result's own */
    as_contest_result_free(&r);
    return v;
}

static void close_to(const char *what, const char *part, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: %s is %.10g, want %.10g within %.2g", what, part, got, want, tolerance);
}
/* Two estimates of one p from so many draws: within five standard deviations of their difference, and the "1 +". */
static void p_close(const char *what, double got, double want) {
    const double p = fmax(want, 1.0 / DRAWS);
    close_to(what, "p", got, want, 5 * sqrt(p * (1 - p) * (1.0 / DRAWS + 1.0 / GOLDEN_DRAWS)) + 1.0 / DRAWS);
}
/* An end is a 2.5 % quantile: its standard deviation is 0.027 standard errors with 10,000 draws, 0.013 with 40,000. */
static void interval_close(const char *what, const as_comparison *v, double low, double high, double se) {
    close_to(what, "low", v->low, low, 0.15 * se), close_to(what, "high", v->high, high, 0.15 * se);
}

static void test_compare_of_shares_is_newcombe_and_mcnemar(void **state) {
    (void)state;
    FILE *f = golden_file();
    char line[16384], metric[64];
    double level, diff, low, high, p;
    int64_t cell[4];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "proportion %63s %lf %ld %ld %ld %ld %lf %lf %lf %lf", metric, &level, &cell[0], &cell[1], &cell[2], &cell[3], &diff, &low, &high, &p) != 10) continue;
        const as_comparison v = a_minus_b(metric, 1, NULL, level);
        const int64_t got[] = {v.both, v.only_a, v.only_b, v.neither};
        assert_memory_equal(got, cell, sizeof cell);
        close_to(metric, "difference", v.diff, diff, 1e-14), close_to(metric, "low", v.low, low, 1e-12), close_to(metric, "high", v.high, high, 1e-12);
        close_to(metric, "p", v.p, p, 1e-12);
        assert_string_equal(v.interval_method, "newcombe");
        assert_string_equal(v.test_method, "mcnemar exact");
        assert_true(v.level == level && v.percent && v.higher_is_better && v.design_effect == 1.0 && !v.why);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 3);
}

static void check_random(const char *kind, const char *test, int want) {
    FILE *f = golden_file();
    char line[16384], metric[64], word[32];
    double a, b, low, high, se, p;
    int clustered, seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %63s %d %lf %lf %lf %lf %lf %lf", word, metric, &clustered, &a, &b, &low, &high, &se, &p) != 9 || strcmp(word, kind) != 0) continue;
        const as_comparison v = a_minus_b(metric, 1, clustered ? d.cluster : NULL, 0.95);
        close_to(metric, "value of A", v.value_a, a, 1e-12), close_to(metric, "value of B", v.value_b, b, 1e-12);
        close_to(metric, "difference", v.diff, a - b, 1e-12);
        interval_close(metric, &v, low, high, se);
        p_close(metric, v.p, p);
        assert_string_equal(v.interval_method, "bca");
        if (strncmp(v.test_method, test, strlen(test)) != 0) fail_msg("%s: the test is %s", metric, v.test_method);
        /* (z of 0.975 + z of 0.8) standard errors */
        close_to(metric, "detectable difference", v.mde, 2.8016 * se, 0.1 * se);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, want);
}
static void test_compare_of_means_is_bca_and_sign_flips_like_scipy(void **state) {
    (void)state;
    check_random("mean", "sign-flip permutation", 6);
}
static void test_compare_of_corpus_metrics_is_bca_and_swapped_items_like_numpy(void **state) {
    (void)state;
    check_random("corpus", "", 6);
}

static void test_compare_of_few_seeds_is_welchs_t_over_seeds_and_items(void **state) {
    (void)state;
    FILE *f = golden_file();
    char line[16384], metric[64];
    double a, b, low, high, se, p, sd[2];
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "few %63s %lf %lf %lf %lf %lf %lf %lf %lf", metric, &a, &b, &low, &high, &se, &p, &sd[0], &sd[1]) != 9) continue;
        const as_comparison v = a_minus_b(metric, SEEDS, NULL, 0.95);
        close_to(metric, "value of A", v.value_a, a, 1e-12), close_to(metric, "value of B", v.value_b, b, 1e-12);
        assert_int_equal(v.both, -1);
        assert_string_equal(v.interval_method, "welch t");
        assert_string_equal(v.test_method, "welch t");
        /* of a corpus metric the part of the items is drawn: 1 / sqrt(2 R) of it, here and there */
        const double error = strchr(metric, '(') || strcmp(metric, "mcc") == 0 ? 5 * sqrt(0.5 / DRAWS + 0.5 / 40000) : 1e-9;
        close_to(metric, "low", v.low, low, 2.5 * error * se), close_to(metric, "high", v.high, high, 2.5 * error * se), close_to(metric, "p", v.p, p, error * 0.5);
        close_to(metric, "detectable difference", v.mde, 2.8015852181 * se, 2.9 * se * fmax(error, 1e-9));
        const as_system systems[] = {{.name = "A", .seed = d.p[0], .seeds = SEEDS}, {.name = "B", .seed = d.p[1], .seeds = SEEDS}};
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = metric, .level = 0.95, .seed = 1, .threads = 2});
        for (int i = 0; i < 2; i++) {
            close_to(metric, "spread of seeds", r.standings[i].sd_seeds, sd[r.standings[i].system], 1e-12);
            assert_true(r.standings[i].low < r.standings[i].value && r.standings[i].value < r.standings[i].high);
        }
        as_contest_result_free(&r);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 4);
}

static void test_compare_of_many_seeds_draws_seeds_and_items_together(void **state) {
    (void)state;
    enum { COPIES = 7 };
    as_predictions many[2][SEEDS * COPIES];
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < SEEDS * COPIES; k++) many[s][k] = d.p[s][k % SEEDS];
    const as_system systems[] = {{.name = "A", .seed = many[0], .seeds = SEEDS * COPIES}, {.name = "B", .seed = many[1], .seeds = SEEDS * COPIES}};
    FILE *f = golden_file();
    char line[16384], metric[64];
    double a, b, low, high, se, p;
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "many %63s %lf %lf %lf %lf %lf %lf", metric, &a, &b, &low, &high, &se, &p) != 7) continue;
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = metric, .level = 0.95, .seed = 1, .threads = 2});
        const as_comparison *v = &r.comparisons[0];
        assert_int_equal(v->a, 0); /* A is better in all of them */
        close_to(metric, "value of A", v->value_a, a, 1e-12), close_to(metric, "value of B", v->value_b, b, 1e-12);
        assert_string_equal(v->test_method, "multi-bootstrap");
        interval_close(metric, v, low, high, se);
        p_close(metric, v->p, p);
        as_contest_result_free(&r);
        seen++;
    }
    fclose(f);
    assert_int_equal(seen, 4);
}

static void test_compare_of_seeds_that_never_differ_has_an_interval(void **state) {
    (void)state;
    as_predictions right = d.p[0][0];
    right.pred = d.gold;
    const as_predictions seeds[] = {right, right, right};
    const as_system systems[] = {{.name = "A", .seed = seeds, .seeds = 3}, {.name = "B", .seed = seeds, .seeds = 3}};
    as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = "accuracy,f1(macro)", .level = 0.95, .seed = 1});
    for (int i = 0; i < 2; i++) {
        const as_comparison *v = &r.comparisons[i];
        assert_true(v->diff == 0 && v->p == 1 && v->low == 0 && v->high == 0);
    }
    for (int i = 0; i < 4; i++) assert_true(r.standings[i].value == 1 && r.standings[i].low == 1 && r.standings[i].high == 1 && r.standings[i].sd_seeds == 0);
    as_contest_result_free(&r);
}

/* Few clusters: the items' part has as many degrees of freedom as there are clusters, less one. */
static void test_compare_of_seeds_with_clusters_counts_clusters(void **state) {
    (void)state;
    int32_t cluster[512];
    for (int64_t i = 0; i < d.n; i++) cluster[i] = (int32_t)(i % 3);
    as_predictions same[2][2];
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < 2; k++) same[s][k] = d.p[s][0]; /* seeds that do not vary: only clusters do */
    const as_system systems[] = {{.name = "A", .seed = same[0], .seeds = 2}, {.name = "B", .seed = same[1], .seeds = 2}};
    as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = "accuracy,f1(macro)", .level = 0.95, .seed = 1, .cluster = cluster});
    for (int i = 0; i < 2; i++) { /* t with 2 degrees of freedom over the normal: 4.3027 / 1.96; mde = 2.8016 se */
        const as_comparison *v = &r.comparisons[i];
        close_to(v->metric, "half width", (v->high - v->low) / 2, 4.302653 * v->mde / 2.8015852, 1e-3 * v->mde);
    }
    as_contest_result_free(&r);
}

/* A system of one seed (a constant answer, say) against one of three: the seeds of the other still count, and more items narrow
 * only what comes from items. */
static void test_compare_of_one_seed_with_several_keeps_their_spread(void **state) {
    (void)state;
    const char *const metrics[] = {"accuracy", "f1(macro)"};
    for (int k = 0; k < 2; k++) {
        const as_system systems[] = {{.name = "A", .seed = d.p[0], .seeds = SEEDS}, {.name = "B", .seed = d.p[1], .seeds = 1}};
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = metrics[k], .level = 0.95, .seed = 1});
        const as_comparison *v = &r.comparisons[0];
        const double sd = r.standings[0].sd_seeds, seeds = sd * sd / SEEDS, se = v->mde / 2.8015852181, items = se * se - seeds, z = 2.8015852181;
        assert_int_equal(v->a, 0);
        if (k == 0) { /* accuracy: the variance over items of A's mean less B */
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < d.n; i++) {
                double x = -(double)(d.pred[1][0][i] == d.gold[i]);
                for (int s = 0; s < SEEDS; s++) x += (d.pred[0][s][i] == d.gold[i]) / (double)SEEDS;
                sum += x, squares += x * x;
            }
            close_to("accuracy", "variance from items", items, (squares - sum * sum / (double)d.n) / (double)(d.n - 1) / (double)d.n, 1e-9);
        }
        assert_true(items > 0 && isnan(r.standings[1].sd_seeds));
        assert_true((v->high - v->low) / 2 > 1.95 * se); /* the interval has the same standard error, and t's longer tails */
        const double rest = v->diff * v->diff / (z * z) - seeds;
        if (rest > 0) close_to(metrics[k], "items needed", v->items_needed, ceil(items * (double)d.n / rest), 1 + 1e-6 * v->items_needed);
        else assert_true(isinf(v->items_needed));
        as_contest_result_free(&r);
    }
}

/* --- over all pairs and metrics --- */
/* Holm's definition, in quadratic time: the greatest of (m - rank) p over those not above it. */
static double holm(const as_contest_result *r, size_t at) {
    double worst = 0;
    for (size_t i = 0; i < r->comparison_count; i++) {
        if (!(r->comparisons[i].p <= r->comparisons[at].p)) continue;
        int left = 0;
        for (size_t k = 0; k < r->comparison_count; k++) left += r->comparisons[k].p >= r->comparisons[i].p;
        worst = fmax(worst, fmin(1.0, left * r->comparisons[i].p));
    }
    return worst;
}

/* Systems that are right on known ranges of 200 items: A and C differ, B can be told from neither. */
enum { ITEMS = 200 };
static int32_t truth[ITEMS], said[3][ITEMS];
static double believed[3][2 * ITEMS];
static as_predictions built[3];
static void build(void) {
    for (int i = 0; i < ITEMS; i++) {
        const bool right[3] = {i < 160, i < 140 || (i >= 160 && i < 170), i < 122 || (i >= 160 && i < 178)};
        truth[i] = i % 2;
        for (int s = 0; s < 3; s++) {
            said[s][i] = right[s] ? truth[i] : 1 - truth[i];
            believed[s][2 * i + said[s][i]] = 0.9, believed[s][2 * i + 1 - said[s][i]] = 0.1;
        }
    }
    for (int s = 0; s < 3; s++)
        built[s] = (as_predictions){.kind = AS_PRED_CLASS, .n = ITEMS, .num_labels = 2, .gold = truth, .pred = said[s], .probs = believed[s], .positive = -1};
}
static as_contest_result contest_of_three(const char *metrics, as_contest *c) {
    static as_system systems[3];
    build();
    /* given in another order than that of merit */
    systems[0] = (as_system){.name = "C", .seed = &built[2], .seeds = 1};
    systems[1] = (as_system){.name = "A", .seed = &built[0], .seeds = 1};
    systems[2] = (as_system){.name = "B", .seed = &built[1], .seeds = 1};
    *c = (as_contest){.systems = systems, .count = 3, .metrics = metrics, .level = 0.95, .seed = 1, .threads = 2};
    return decide(c);
}
static const as_contest_result *check_holm(const as_contest_result *r) {
    for (size_t i = 0; i < r->comparison_count; i++) close_to(r->comparisons[i].metric, "adjusted p", r->comparisons[i].p_adjusted, holm(r, i), 1e-15);
    return r;
}

static void test_compare_adjusts_over_all_pairs_and_metrics(void **state) {
    (void)state;
    as_contest c;
    as_contest_result r = contest_of_three("accuracy,f1(macro),brier", &c);
    assert_int_equal(r.comparison_count, 9);
    assert_int_equal(r.metric_count, 3);
    check_holm(&r);
    as_contest_result_free(&r);
    r = contest_of_three("accuracy", &c);
    assert_true(check_holm(&r)->comparisons[1].p_adjusted == fmin(1.0, 3 * r.comparisons[1].p)); /* A - C is the smallest */
    as_contest_result_free(&r);
}

static void test_compare_counts_a_metric_named_twice_once(void **state) {
    (void)state;
    as_contest c;
    as_contest_result r = contest_of_three("accuracy,acc,f1(macro),f1:macro,accuracy,f1(per-class),f1(class:1)", &c);
    assert_int_equal(r.metric_count, 4);
    assert_int_equal(r.standing_count, 12);
    assert_int_equal(r.comparison_count, 12);
    const char *const want[] = {"accuracy", "f1(macro)", "f1(class:0)", "f1(class:1)"};
    for (int i = 0; i < 4; i++) assert_string_equal(r.metrics[i], want[i]);
    check_holm(&r);
    as_contest_result_free(&r);
}

static void test_compare_groups_and_ranks_say_what_can_be_told(void **state) {
    (void)state;
    const char *const metrics[] = {"accuracy", "brier"}; /* higher is better, lower is better */
    for (int k = 0; k < 2; k++) {
        as_contest c;
        as_contest_result r = contest_of_three(metrics[k], &c);
        const struct { int system; uint64_t letters; int64_t low, high; } want[] = {{1, 1, 1, 2}, {2, 3, 1, 3}, {0, 2, 2, 3}};
        for (int i = 0; i < 3; i++) {
            assert_int_equal(r.standings[i].system, want[i].system);
            assert_int_equal(r.standings[i].letters, want[i].letters);
            assert_int_equal(r.standings[i].rank_low, want[i].low);
            assert_int_equal(r.standings[i].rank_high, want[i].high);
            assert_true(r.standings[i].low <= r.standings[i].value && r.standings[i].value <= r.standings[i].high);
            assert_true(r.standings[i].higher_is_better == (k == 0) && isnan(r.standings[i].sd_seeds));
        }
        for (int i = 0; i < 3; i++) assert_true(k == 0 ? r.comparisons[i].diff > 0 : r.comparisons[i].diff < 0);
        assert_int_equal(r.best, 1);
        assert_int_equal(r.tied_count, 1);
        assert_int_equal(r.tied[0], 2);
        assert_non_null(strstr(r.verdict, "A scores best: "));
        assert_non_null(strstr(r.verdict, " over C ("));
        assert_non_null(strstr(r.verdict, " B cannot be told from A"));
        as_contest_result_free(&r);
    }
}

static void test_compare_turns_losses_round(void **state) {
    (void)state;
    const char *const metrics[] = {"brier", "log_loss", "mse"};
    for (int k = 0; k < 3; k++) {
        const as_system systems[] = {{.name = "bad", .seed = first_seed(1, metrics[k]), .seeds = 1}, {.name = "good", .seed = first_seed(0, metrics[k]), .seeds = 1}};
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = metrics[k], .level = 0.95, .margin = 10, .seed = 1});
        assert_int_equal(r.best, 1);
        assert_true(r.standings[0].value < r.standings[1].value);
        assert_true(r.comparisons[0].a == 1 && r.comparisons[0].diff < 0 && !r.comparisons[0].higher_is_better && r.comparisons[0].effect < 0);
        /* the better one is not worse by a wide margin, and both lie within it */
        assert_true(r.comparisons[0].p_noninferior < 1e-6 && r.comparisons[0].p_equivalent < 1e-6);
        as_contest_result_free(&r);
    }
}

static void test_compare_with_a_margin_tests_the_right_side(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *metrics[] = {"accuracy", "brier"};
        as_contest c;
        as_contest_result first = contest_of_three(metrics[k], &c);
        as_contest_result_free(&first);
        c.margin = 0.02;
        as_contest_result r = decide(&c);
        /* A - C is +-0.1 or more: never within 0.02, and A is surely not worse than C */
        assert_true(r.comparisons[1].p_equivalent > 0.9 && r.comparisons[1].p_noninferior < 0.01);
        as_contest_result_free(&r);
    }
}

static double normal(double z) { return 0.5 * erfc(-z / sqrt(2)); }
/* Where there are no per-item differences: the normal curve over the standard error. */
static void test_compare_of_corpus_metrics_has_margins_too(void **state) {
    (void)state;
    const struct { const char *metric; int64_t seeds; const as_predictions *a, *b; } cases[] = {
        {"f1(macro)", 1, d.p[0], d.p[1]}, {"rmse", 1, &d.of_value[0], &d.of_value[1]}, {"f1(macro)", SEEDS, d.p[0], d.p[1]}, {"log_loss", SEEDS, d.p[0], d.p[1]}};
    for (size_t k = 0; k < AS_COUNT(cases); k++) {
        const as_system systems[] = {{.name = "A", .seed = cases[k].a, .seeds = cases[k].seeds}, {.name = "B", .seed = cases[k].b, .seeds = cases[k].seeds}};
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = cases[k].metric, .level = 0.95, .margin = 0.01, .seed = 1});
        const as_comparison *v = &r.comparisons[0]; /* the better one comes first: by the difference, and by the margin */
        const double se = v->mde / 2.8015852181, over = fabs(v->diff);
        close_to(cases[k].metric, "p not inferior", v->p_noninferior, normal((-over - 0.01) / se), 1e-8);
        close_to(cases[k].metric, "p equivalent", v->p_equivalent, normal((over - 0.01) / se), 1e-8);
        as_contest_result_free(&r);
    }
}

static void test_compare_of_a_system_with_itself_finds_nothing(void **state) {
    (void)state;
    const char *const metrics[] = {"accuracy", "log_loss", "f1(macro)", "mse", "pearson", "f1(micro)"};
    for (size_t k = 0; k < AS_COUNT(metrics); k++)
        for (int clustered = 0; clustered < 2; clustered++) {
            const as_predictions *p = first_seed(0, metrics[k]);
            const as_system systems[] = {{.name = "one", .seed = p, .seeds = 1}, {.name = "same", .seed = p, .seeds = 1}};
            const as_contest c = {.systems = systems, .count = 2, .metrics = metrics[k], .level = 0.95, .seed = 3, .cluster = clustered && p == d.p[0] ? d.cluster : NULL};
            as_contest_result r = decide(&c);
            const as_comparison *v = r.comparisons;
            assert_int_equal(v->a, 0); /* equal ones stay as given */
            assert_true(v->diff == 0 && v->p == 1 && v->p_adjusted == 1 && v->low <= 0 && v->high >= 0 && isnan(v->items_needed));
            assert_true(r.standings[0].letters == 1 && r.standings[1].letters == 1 && r.standings[1].rank_low == 1 && r.standings[0].rank_high == 2);
            assert_non_null(strstr(r.verdict, "No winner"));
            assert_null(strstr(r.verdict, "can show differences"));
            as_contest_result_free(&r);
        }
    const as_system seeds[] = {{.name = "one", .seed = d.p[0], .seeds = SEEDS}, {.name = "same", .seed = d.p[0], .seeds = SEEDS}};
    as_contest_result r = decide(&(as_contest){.systems = seeds, .count = 2, .metrics = "accuracy,mcc", .level = 0.95, .seed = 3});
    for (int i = 0; i < 2; i++) assert_true(r.comparisons[i].diff == 0 && r.comparisons[i].p == 1);
    as_contest_result_free(&r);
}

static void test_compare_of_an_undefined_metric_says_why_and_goes_on(void **state) {
    (void)state;
    int32_t one_class[40] = {0}, a[40] = {0}, b[40] = {0};
    double probs[80];
    for (int i = 0; i < 40; i++) a[i] = i % 4 == 0, b[i] = i % 7 == 0, probs[2 * i] = 0.01 * i, probs[2 * i + 1] = 1 - 0.01 * i;
    const as_predictions pa = {.kind = AS_PRED_CLASS, .n = 40, .num_labels = 2, .gold = one_class, .pred = a, .probs = probs, .positive = -1};
    as_predictions pb = pa;
    pb.pred = b;
    const as_system systems[] = {{.name = "x", .seed = &pa, .seeds = 1}, {.name = "y", .seed = &pb, .seeds = 1}};
    as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .metrics = "roc_auc,accuracy", .level = 0.95});
    assert_int_equal(r.best, -1);
    assert_true(isnan(r.standings[0].value) && r.standings[0].why && isnan(r.comparisons[0].p) && isnan(r.comparisons[0].p_adjusted) && r.comparisons[0].why);
    assert_true(r.comparisons[1].p == r.comparisons[1].p_adjusted); /* the undefined one is not counted */
    assert_non_null(strstr(r.verdict, "No verdict: roc_auc"));
    as_contest_result_free(&r);
}

static void test_compare_has_the_same_bits_for_1_2_and_4_threads(void **state) {
    (void)state;
    for (int64_t seeds = 1; seeds <= SEEDS; seeds += SEEDS - 1)
        for (int clustered = 0; clustered < 2; clustered++) {
            as_contest_result want = {.best = -1};
            const as_system systems[] = {{.name = "A", .seed = d.p[0], .seeds = seeds}, {.name = "B", .seed = d.p[1], .seeds = seeds}};
            for (int threads = 1; threads <= 4; threads *= 2) {
                const as_contest c = {.systems = systems, .count = 2, .metrics = "accuracy,log_loss,f1(macro),roc_auc", .level = 0.95, .seed = 7, .threads = threads,
                                      .cluster = clustered ? d.cluster : NULL};
                as_contest_result r = decide(&c);
                if (threads == 1) {
                    want = r;
                    continue;
                }
                for (size_t i = 0; i < r.comparison_count; i++) {
                    const as_comparison *x = &r.comparisons[i], *y = &want.comparisons[i];
                    const double got[] = {x->diff, x->low, x->high, x->p, x->p_adjusted, x->mde}, expected[] = {y->diff, y->low, y->high, y->p, y->p_adjusted, y->mde};
                    assert_memory_equal(got, expected, sizeof got);
                }
                for (size_t i = 0; i < r.standing_count; i++) assert_memory_equal(&r.standings[i].low, &want.standings[i].low, 2 * sizeof(double));
                assert_string_equal(r.verdict, want.verdict);
                as_contest_result_free(&r);
            }
            as_contest_result_free(&want);
        }
}

static void test_compare_refuses_what_cannot_be_compared(void **state) {
    (void)state;
    as_predictions fewer = d.p[1][0], bare = d.p[1][0];
    fewer.n--, bare.probs = NULL;
    const as_system a = {.name = "a", .seed = d.p[0], .seeds = 1};
    const struct { const char *name; as_system b; int count; const char *metrics; double level; const char *says; } cases[] = {
        {"one system", {.name = "b", .seed = d.p[1], .seeds = 1}, 1, "accuracy", 0.95, "at least two"},
        {"other items", {.name = "b", .seed = &fewer, .seeds = 1}, 2, "accuracy", 0.95, "a and b are not predictions of the same items"},
        {"another kind", {.name = "b", .seed = d.of_value, .seeds = 1}, 2, "accuracy", 0.95, "same items"},
        {"unknown metric", {.name = "b", .seed = d.p[1], .seeds = 1}, 2, "accuracy,acuracy", 0.95, "acuracy"},
        {"no metric", {.name = "b", .seed = d.p[1], .seeds = 1}, 2, "accuracy,,mcc", 0.95, ""},
        {"no probabilities of the second", {.name = "b", .seed = &bare, .seeds = 1}, 2, "log_loss", 0.95, "log_loss"},
        {"level", {.name = "b", .seed = d.p[1], .seeds = 1}, 2, "accuracy", 95, "level"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        const as_system systems[] = {a, cases[i].b};
        const as_contest c = {.systems = systems, .count = cases[i].count, .metrics = cases[i].metrics, .level = cases[i].level};
        as_contest_result r;
        as_err err = {0};
        const as_status s = as_contest_decide(&c, &r, &err);
        if (s != AS_USAGE || !strstr(err.msg, cases[i].says)) fail_msg("%s: status %d, \"%s\"", cases[i].name, s, err.msg);
    }
}

static void test_compare_takes_the_defaults_of_the_kind(void **state) {
    (void)state;
    const as_predictions *p[] = {d.p[0], d.of_value, d.of_sets};
    for (int k = 0; k < 3; k++) {
        const as_system systems[] = {{.name = "A", .seed = p[k], .seeds = 1}, {.name = "B", .seed = k ? p[k] + 1 : d.p[1], .seeds = 1}};
        as_contest_result r = decide(&(as_contest){.systems = systems, .count = 2, .level = 0.95, .seed = 1});
        assert_true(r.metric_count > 1 && r.best == 0 && r.comparison_count == r.metric_count);
        as_contest_result_free(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare_of_shares_is_newcombe_and_mcnemar),
        cmocka_unit_test(test_compare_of_means_is_bca_and_sign_flips_like_scipy),
        cmocka_unit_test(test_compare_of_corpus_metrics_is_bca_and_swapped_items_like_numpy),
        cmocka_unit_test(test_compare_of_few_seeds_is_welchs_t_over_seeds_and_items),
        cmocka_unit_test(test_compare_of_many_seeds_draws_seeds_and_items_together),
        cmocka_unit_test(test_compare_of_seeds_that_never_differ_has_an_interval),
        cmocka_unit_test(test_compare_of_seeds_with_clusters_counts_clusters),
        cmocka_unit_test(test_compare_of_one_seed_with_several_keeps_their_spread),
        cmocka_unit_test(test_compare_adjusts_over_all_pairs_and_metrics),
        cmocka_unit_test(test_compare_counts_a_metric_named_twice_once),
        cmocka_unit_test(test_compare_groups_and_ranks_say_what_can_be_told),
        cmocka_unit_test(test_compare_turns_losses_round),
        cmocka_unit_test(test_compare_with_a_margin_tests_the_right_side),
        cmocka_unit_test(test_compare_of_corpus_metrics_has_margins_too),
        cmocka_unit_test(test_compare_of_a_system_with_itself_finds_nothing),
        cmocka_unit_test(test_compare_of_an_undefined_metric_says_why_and_goes_on),
        cmocka_unit_test(test_compare_has_the_same_bits_for_1_2_and_4_threads),
        cmocka_unit_test(test_compare_refuses_what_cannot_be_compared),
        cmocka_unit_test(test_compare_takes_the_defaults_of_the_kind),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
