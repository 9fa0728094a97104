/* test_metric_interval.c: which interval a metric gets, and that its fast paths are the same
 * statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cases.h"

static void near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

enum { N = 600, LABELS = 4 };
typedef struct sample {
    int32_t gold[N], pred[N], cluster[N];
    double probs[N * LABELS];
} sample;

static const sample *make_sample(void) {
    static sample s;
    as_rng r = as_rng_at(19, AS_STREAM_SAMPLE, 4);
    for (int i = 0; i < N; i++) {
        double sum = 0, best = -1;
        s.gold[i] = (int32_t)as_rng_below(&r, LABELS);
        s.cluster[i] = i / 4;
        for (int k = 0; k < LABELS; k++)
            sum += s.probs[i * LABELS + k] = as_rng_double(&r) + (k == s.gold[i]) * 0.5;
        for (int k = 0; k < LABELS; k++) {
            s.probs[i * LABELS + k] /= sum;
            if (s.probs[i * LABELS + k] > best) best = s.probs[i * LABELS + k], s.pred[i] = k;
        }
    }
    return &s;
}

static as_predictions predictions(const sample *s) {
    return (as_predictions){.kind = AS_PRED_CLASS,
                            .n = N,
                            .num_labels = LABELS,
                            .gold = s->gold,
                            .pred = s->pred,
                            .probs = s->probs,
                            .positive = -1};
}

static as_metric *open_metric(const char *name, const as_predictions *p) {
    as_metric *m;
    as_err err = {0};
    if (as_metric_open(&m, name, p, &err) != AS_OK) fail_msg("%s: %s", name, err.msg);
    return m;
}

static as_interval interval(const as_metric *m, const int32_t *cluster, as_bootstrap_opts o) {
    as_interval out;
    as_err err = {0};
    if (as_metric_interval(&out, m, cluster, &o, &err) != AS_OK)
        fail_msg("%s: %s", as_metric_signature(m), err.msg);
    return out;
}

static void test_metric_proportions_get_wilson_unless_clustered(void **state) {
    (void)state;
    const sample *s = make_sample();
    const as_predictions p = predictions(s);
    static const char *const names[] = {"accuracy", "f1(micro)"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_metric *m = open_metric(names[i], &p);
        int64_t right = 0;
        for (int k = 0; k < N; k++)
            right += s->gold[k] == s->pred[k];
        const as_interval got = interval(m, NULL, (as_bootstrap_opts){.level = 0.9}),
                          want = as_interval_wilson(right, N, 0.9);
        assert_string_equal(got.method, "wilson");
        assert_true(got.low == want.low && got.high == want.high && got.level == 0.9);
        assert_string_equal(
            interval(m, NULL, (as_bootstrap_opts){.method = "clopper-pearson"}).method,
            "clopper-pearson");
        const as_interval boot = interval(m, NULL, (as_bootstrap_opts){.method = "bca"});
        assert_string_equal(boot.method, "bca");
        near("bca of a proportion", boot.low, as_interval_wilson(right, N, 0.95).low, 0.006);
        assert_string_equal(interval(m, s->cluster, (as_bootstrap_opts){0}).method, "bca");
        as_metric_free(m);
    }
}

static void test_metric_closed_forms_are_refused_where_they_are_wrong(void **state) {
    (void)state;
    const sample *s = make_sample();
    const as_predictions p = predictions(s);
    as_metric *f1 = open_metric("f1(macro)", &p), *accuracy = open_metric("accuracy", &p);
    as_interval out;
    as_err err = {0};
    assert_int_equal(
        as_metric_interval(&out, f1, NULL, &(as_bootstrap_opts){.method = "wilson"}, &err),
        AS_USAGE);
    assert_non_null(strstr(err.msg, "f1(macro)"));
    assert_int_equal(as_metric_interval(&out, accuracy, s->cluster,
                                        &(as_bootstrap_opts){.method = "wilson"}, &err),
                     AS_USAGE);
    assert_int_equal(
        as_metric_interval(&out, accuracy, NULL, &(as_bootstrap_opts){.level = 2}, &err), AS_USAGE);
    assert_int_equal(
        as_metric_interval(&out, f1, NULL, &(as_bootstrap_opts){.method = "basic"}, &err),
        AS_USAGE);
    as_metric_free(f1);
    as_metric_free(accuracy);
}

static double plain_value(const void *ctx, const uint32_t *weights, void *scratch) {
    return as_metric_aggregate(ctx, weights, scratch).value;
}

/* The interval through cells or means, against items resampled one by one with no fast path. */
static void test_metric_fast_paths_give_the_plain_bootstrap(void **state) {
    (void)state;
    const sample *s = make_sample();
    const as_predictions p = predictions(s);
    static const char *const names[] = {"f1(macro)",          "f1(class:2)",       "mcc",
                                        "kappa(linear)",      "balanced_accuracy", "log_loss",
                                        "roc_auc(ovr,macro)", "ece(mass:10)"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_metric *m = open_metric(names[i], &p);
        const as_statistic plain = {
            .value = plain_value, .ctx = m, .scratch_bytes = as_metric_scratch(m), .n = N};
        const as_bootstrap_opts o = {.resamples = 20000, .seed = 3, .threads = 2};
        as_interval want;
        assert_int_equal(as_interval_bootstrap(&want, &plain, &o, NULL), AS_OK);
        const as_interval got = interval(m, NULL, o);
        assert_string_equal(got.method, "bca");
        near(names[i], got.low, want.low, 0.04 * (want.high - want.low));
        near(names[i], got.high, want.high, 0.04 * (want.high - want.low));
        const as_interval again =
            interval(m, NULL, (as_bootstrap_opts){.resamples = 20000, .seed = 3, .threads = 1});
        assert_true(again.low == got.low && again.high == got.high);
        as_metric_free(m);
    }
}

/* scipy.stats.bootstrap(method="BCa", 100,000 resamples) of three metrics on cases of cases.txt, to
 * Monte Carlo error. */
static void test_metric_intervals_agree_with_scipy(void **state) {
    (void)state;
    FILE *f = fopen("tests/golden/metric/intervals.txt", "r"),
         *cases = fopen("tests/golden/metric/cases.txt", "r");
    assert_non_null(f);
    assert_non_null(cases);
    char line[256], name[64], signature[64];
    golden_case c = {0};
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        double low, high;
        if (sscanf(line, "interval %63s %63s %lf %lf", name, signature, &low, &high) != 4) continue;
        while (strcmp(c.name, name) != 0) {
            golden_free(&c);
            if (!golden_next(cases, &c)) fail_msg("no case %s", name);
        }
        as_metric *m = open_metric(signature, &c.p);
        const as_interval got =
            interval(m, NULL, (as_bootstrap_opts){.resamples = 100000, .seed = 1, .method = "bca"});
        if (fabs(got.low - low) > 0.03 * (high - low) ||
            fabs(got.high - high) > 0.03 * (high - low))
            fail_msg("%s %s: got [%g, %g], want [%g, %g]", name, signature, got.low, got.high, low,
                     high);
        as_metric_free(m);
        seen++;
    }
    golden_free(&c);
    fclose(f);
    fclose(cases);
    assert_true(seen >= 6);
}

static void test_metric_undefined_value_has_an_undefined_interval(void **state) {
    (void)state;
    const double flat[5] = {2, 2, 2, 2, 2}, x[5] = {1, 2, 3, 4, 5};
    const as_predictions p = {.kind = AS_PRED_VALUE, .n = 5, .gold_value = flat, .pred_value = x};
    as_metric *m = open_metric("pearson", &p);
    const as_interval got = interval(m, NULL, (as_bootstrap_opts){0});
    assert_true(isnan(got.low) && isnan(got.high));
    assert_non_null(got.why);
    as_metric_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_proportions_get_wilson_unless_clustered),
        cmocka_unit_test(test_metric_closed_forms_are_refused_where_they_are_wrong),
        cmocka_unit_test(test_metric_fast_paths_give_the_plain_bootstrap),
        cmocka_unit_test(test_metric_intervals_agree_with_scipy),
        cmocka_unit_test(test_metric_undefined_value_has_an_undefined_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
