/* test_metric.c: every metric against its reference (tests/golden/metric), and weights against
 * replicated items. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cases.h"

static const char golden[] = "tests/golden/metric/cases.txt";

static FILE *open_golden(void) {
    FILE *f = fopen(golden, "r");
    if (!f) fail_msg("cannot open %s", golden);
    return f;
}

static as_metric *open_metric(const char *where, const char *name, const as_predictions *p) {
    as_metric *m;
    as_err err = {0};
    if (as_metric_open(&m, name, p, &err) != AS_OK)
        fail_msg("%s, %s: %s (%s)", where, name, err.msg, err.hint);
    return m;
}

static as_metric_value value_with(const as_metric *m, const uint32_t *weights) {
    void *scratch = as_alloc_aligned(1, as_metric_scratch(m) + 1);
    const as_metric_value v = as_metric_aggregate(m, weights, scratch);
    as_free_aligned(scratch);
    return v;
}

static void agree(const char *where, const char *what, as_metric_value got, double want,
                  double tolerance) {
    if (isnan(got.value) != (got.why != NULL))
        fail_msg("%s, %s: value %g, why %s", where, what, got.value, got.why ? got.why : "NULL");
    if (isnan(want) && isnan(got.value)) return;
    if (!(fabs(got.value - want) <= tolerance))
        fail_msg("%s, %s: got %.17g, want %.17g", where, what, got.value, want);
}

static void test_metric_values_equal_their_references(void **state) {
    (void)state;
    FILE *f = open_golden();
    golden_case c;
    int cases = 0, values = 0;
    for (; golden_next(f, &c); golden_free(&c), cases++)
        for (int i = 0; i < c.expected; i++, values++) {
            as_metric *m = open_metric(c.name, c.want[i].signature, &c.p);
            assert_string_equal(as_metric_signature(m), c.want[i].signature);
            /* large_offset has squares near 1e12: relative there */
            agree(c.name, c.want[i].signature, value_with(m, NULL), c.want[i].value,
                  1e-9 * fmax(1, fabs(c.want[i].value)));
            as_metric_free(m);
        }
    fclose(f);
    assert_true(cases >= 50 && values >= 1000);
}

static void test_metric_items_average_to_the_value(void **state) {
    (void)state;
    FILE *f = open_golden();
    golden_case c;
    int seen = 0, proportions = 0;
    for (; golden_next(f, &c); golden_free(&c))
        for (int i = 0; i < c.expected; i++) {
            as_metric *m = open_metric(c.name, c.want[i].signature, &c.p);
            const double *items = as_metric_items(m);
            double sum = 0;
            for (int64_t k = 0; items && k < c.p.n; k++) {
                sum += items[k];
                if (as_metric_is_proportion(m)) assert_true(items[k] == 0 || items[k] == 1);
            }
            if (items)
                agree(c.name, c.want[i].signature, value_with(m, NULL), sum / (double)c.p.n,
                      1e-12 * fmax(1, fabs(sum)));
            seen += items != NULL;
            proportions += as_metric_is_proportion(m);
            as_metric_free(m);
        }
    fclose(f);
    assert_true(seen > 200 && proportions > 100);
}

/* The predictions in which item i stands weights[i] times. */
static void golden_replicate(golden_case *out, const golden_case *in, const uint32_t *weights) {
    const int labels = in->p.num_labels;
    int64_t n = 0;
    *out = *in;
    for (int64_t i = 0; i < in->p.n; i++)
        n += weights[i];
#define COPY(field, width, type)                                                                   \
    if (in->field) {                                                                               \
        out->field = malloc((size_t)n * (size_t)(width) * sizeof(type) + 1);                       \
        for (int64_t i = 0, to = 0; i < in->p.n; i++)                                              \
            for (uint32_t w = 0; w < weights[i]; w++, to++)                                        \
                memcpy(out->field + to * (width), in->field + i * (width),                         \
                       (size_t)(width) * sizeof(type));                                            \
        out->p.field = out->field;                                                                 \
    }
    COPY(gold, 1, int32_t)
    COPY(pred, 1, int32_t)
    COPY(gold_sets, labels, uint8_t)
    COPY(pred_sets, labels, uint8_t)
    COPY(probs, labels, double)
    COPY(gold_value, 1, double)
    COPY(pred_value, 1, double)
#undef COPY
    out->p.n = n;
}

/* Random weights, many of them 0: the aggregate must be the metric of the replicated items. */
static void check_weights(const golden_case *c, const char *name, uint32_t trial) {
    uint32_t *weights = malloc((size_t)c->p.n * sizeof *weights);
    as_rng r = as_rng_at(31, AS_STREAM_SAMPLE, trial);
    const uint64_t most = 1 + as_rng_below(&r, 4);
    int64_t total = 0;
    for (int64_t i = 0; i < c->p.n; i++) {
        weights[i] = (uint32_t)as_rng_below(&r, most + 1);
        if (as_rng_below(&r, 3) == 0) weights[i] = 0;
        total += weights[i];
    }
    golden_case copy;
    golden_replicate(&copy, c, weights);
    as_metric *m = open_metric(c->name, name, &c->p), *plain = open_metric(c->name, name, &copy.p);
    const as_metric_value want = value_with(plain, NULL), got = value_with(m, weights);
    if (total == 0) assert_string_equal(want.why, "no items");
    agree(c->name, name, got, want.value, 1e-9 * fmax(1, fabs(want.value)));
    as_metric_free(m);
    as_metric_free(plain);
    golden_free(&copy);
    free(weights);
}

static void test_metric_aggregate_equals_replicated_items(void **state) {
    (void)state;
    FILE *f = open_golden();
    golden_case c;
    uint32_t trial = 0;
    for (; golden_next(f, &c); golden_free(&c))
        for (int i = 0; i < c.expected; i++)
            for (int t = 0; t < 5; t++)
                check_weights(&c, c.want[i].signature, trial++);
    fclose(f);
    assert_true(trial > 5000);
}

/* torchmetrics' documented examples. */
static void test_metric_ece_matches_the_documented_example(void **state) {
    (void)state;
    const double probs[12] = {.25, .20, .55, .55, .05, .40, .10, .30, .60, .90, .05, .05};
    const int32_t gold[4] = {0, 1, 2, 0};
    const as_predictions p = {.kind = AS_PRED_CLASS,
                              .n = 4,
                              .num_labels = 3,
                              .gold = gold,
                              .probs = probs,
                              .positive = -1};
    as_metric *m = open_metric("documented", "ece(bins:3)", &p);
    agree("documented", "ece", value_with(m, NULL), 0.2, 1e-12);
    assert_false(as_metric_higher_is_better(m));
    as_metric_free(m);
}

/* scipy.stats.pearsonr 1.17.1: neither side's squares fit a double; and a value that does not fit one has a reason. */
static void test_metric_numbers_at_the_ends_of_the_range(void **state) {
    (void)state;
    static const double gold[2][4] = {{1e-301, -2e-301, 4e-301, 3e-301}, {1e160, -2e160, 4e160, 3e160}},
                        pred[2][4] = {{1000.5, 999, 1002, 1000}, {1.5e-200, -1e-200, 2e-200, 0}},
                        want[2] = {0.8315218406203, 0.7091389668511002};
    for (int i = 0; i < 2; i++) {
        const as_predictions p = {.kind = AS_PRED_VALUE, .n = 4, .gold_value = gold[i], .pred_value = pred[i]};
        as_metric *m = open_metric("range", "pearson", &p);
        agree("range", "pearson", value_with(m, NULL), want[i], 1e-12);
        as_metric_free(m);
    }
    const as_predictions p = {.kind = AS_PRED_VALUE, .n = 4, .gold_value = gold[1], .pred_value = pred[1]};
    as_metric *m = open_metric("range", "mse", &p);
    const as_metric_value v = value_with(m, NULL);
    assert_true(isnan(v.value) && v.why);
    as_metric_free(m);
}

static void test_metric_confusion_counts_gold_by_predicted(void **state) {
    (void)state;
    const int32_t gold[5] = {0, 0, 1, 2, 2}, pred[5] = {0, 1, 1, 0, 0};
    const as_predictions p = {
        .kind = AS_PRED_CLASS, .n = 5, .num_labels = 3, .gold = gold, .pred = pred};
    int64_t got[9];
    as_confusion(got, &p);
    const int64_t want[9] = {1, 1, 0, 0, 1, 0, 2, 0, 0};
    assert_memory_equal(got, want, sizeof want);
}

/* Cheap even with as many labels as items: cells and labels that are absent cost nothing. */
static void test_metric_of_many_labels_is_linear(void **state) {
    (void)state;
    enum { N = 50000 };
    static int32_t gold[N], pred[N];
    for (int i = 0; i < N; i++)
        gold[i] = i * 7 % N, pred[i] = i % 3 ? gold[i] : i;
    const as_predictions p = {
        .kind = AS_PRED_CLASS, .n = N, .num_labels = N, .gold = gold, .pred = pred, .positive = -1};
    static const char *const names[] = {"f1(macro)", "mcc", "kappa(linear)", "kappa(quadratic)",
                                        "balanced_accuracy"};
    for (size_t i = 0; i < AS_COUNT(names); i++) {
        as_metric *m = open_metric("many", names[i], &p);
        assert_true(as_metric_scratch(m) < 100 * N);
        const double v = value_with(m, NULL).value;
        assert_true(v > 0.5 && v < 1);
        as_metric_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_values_equal_their_references),
        cmocka_unit_test(test_metric_items_average_to_the_value),
        cmocka_unit_test(test_metric_aggregate_equals_replicated_items),
        cmocka_unit_test(test_metric_ece_matches_the_documented_example),
        cmocka_unit_test(test_metric_numbers_at_the_ends_of_the_range),
        cmocka_unit_test(test_metric_confusion_counts_gold_by_predicted),
        cmocka_unit_test(test_metric_of_many_labels_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
