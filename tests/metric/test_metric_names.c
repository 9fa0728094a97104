/* test_metric_names.c: names, arguments, lists, and the errors of bad names and bad predictions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "metric/metric.h"

static const char *const three_names[] = {"neg", "a, \"b\" (c)", "pos"};
static const int32_t gold[4] = {0, 1, 1, 0}, pred[4] = {0, 1, 0, 0};
static const double probs3[12] = {.8, .1, .1, .2, .7, .1, .5, .3, .2, .6, .2, .2},
                    probs2[8] = {.9, .1, .2, .8, .6, .4, .7, .3};
static const uint8_t sets[12] = {1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0};
static const double values[4] = {1, 2, 3, 5}, guesses[4] = {1, 3, 2, 4};

static as_predictions two(void) {
    return (as_predictions){.kind = AS_PRED_CLASS,
                            .n = 4,
                            .num_labels = 2,
                            .gold = gold,
                            .pred = pred,
                            .probs = probs2,
                            .positive = -1};
}
static as_predictions three(void) {
    return (as_predictions){.kind = AS_PRED_CLASS,
                            .n = 4,
                            .num_labels = 3,
                            .label_names = three_names,
                            .gold = gold,
                            .pred = pred,
                            .probs = probs3,
                            .positive = -1};
}
static as_predictions multi(void) {
    return (as_predictions){.kind = AS_PRED_MULTILABEL,
                            .n = 4,
                            .num_labels = 3,
                            .label_names = three_names,
                            .gold_sets = sets,
                            .pred_sets = sets,
                            .probs = probs3};
}
static as_predictions numbers(void) {
    return (as_predictions){
        .kind = AS_PRED_VALUE, .n = 4, .gold_value = values, .pred_value = guesses};
}

static void test_metric_signatures_are_explicit(void **state) {
    (void)state;
    const as_predictions kinds[] = {two(), three(), multi(), numbers()};
    static const struct {
        int kind;
        const char *name, *signature;
        int label;
    } cases[] = {
        {0, "f1", "f1(binary)", 1},
        {0, " f1 ( binary ) ", "f1(binary)", 1},
        {0, "F1", "f1(binary)", 1},
        {0, "f1_score", "f1(binary)", 1},
        {0, "f1:macro", "f1(macro)", -1},
        {0, "f1_macro", "f1(macro)", -1},
        {0, "f1()", "f1(binary)", 1},
        {0, "precision(class:0)", "precision(class:0)", 0},
        {0, "roc_auc", "roc_auc(binary)", 1},
        {0, "auc", "roc_auc(binary)", 1},
        {0, "ap", "average_precision(binary)", 1},
        {0, "brier", "brier(half)", -1},
        {0, "brier_score_sum", "brier(sum)", -1},
        {0, "matthews_correlation", "mcc", -1},
        {1, "f1", "f1(macro)", -1},
        {1, "recall:weighted", "recall(weighted)", -1},
        {1, "f1(class:pos)", "f1(class:pos)", 2},
        {1, "f1:class:pos", "f1(class:pos)", 2},
        {1, "f1(class:\"pos\")", "f1(class:pos)", 2},
        {1, "f1(class:\"a, \\\"b\\\" (c)\")", "f1(class:\"a, \\\"b\\\" (c)\")", 1},
        {1, "roc_auc", "roc_auc(ovr,macro)", -1},
        {1, "roc_auc(ovo)", "roc_auc(ovo,macro)", -1},
        {1, "roc_auc(weighted, ovo)", "roc_auc(ovo,weighted)", -1},
        {1, "roc_auc_ovo_weighted", "roc_auc(ovo,weighted)", -1},
        {1, "roc_auc(weighted)", "roc_auc(ovr,weighted)", -1},
        {1, "roc_auc(class:neg)", "roc_auc(class:neg)", 0},
        {1, "brier", "brier(sum)", -1},
        {1, "ece", "ece(bins:15)", -1},
        {1, "ece(bins:20)", "ece(bins:20)", -1},
        {1, "ece:bins:20", "ece(bins:20)", -1},
        {1, "ece(mass)", "ece(mass:10)", -1},
        {1, "kappa:quadratic", "kappa(quadratic)", -1},
        {2, "f1", "f1(macro)", -1},
        {2, "f1(samples)", "f1(samples)", -1},
        {2, "exact_match", "subset_accuracy", -1},
        {3, "pearsonr", "pearson", -1},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_metric *m;
        as_err err = {0};
        if (as_metric_open(&m, cases[i].name, &kinds[cases[i].kind], &err) != AS_OK)
            fail_msg("%s: %s", cases[i].name, err.msg);
        if (strcmp(as_metric_signature(m), cases[i].signature) != 0)
            fail_msg("%s: %s", cases[i].name, as_metric_signature(m));
        assert_int_equal(as_metric_label(m), cases[i].label);
        /* a signature opens as itself */
        as_metric *again;
        assert_int_equal(
            as_metric_open(&again, as_metric_signature(m), &kinds[cases[i].kind], NULL), AS_OK);
        assert_string_equal(as_metric_signature(again), cases[i].signature);
        as_metric_free(m);
        as_metric_free(again);
    }
}

static void test_metric_bad_names_are_usage_errors_with_advice(void **state) {
    (void)state;
    as_predictions kinds[] = {two(), three(), multi(), numbers(), two()};
    kinds[4].probs = NULL;
    static const struct {
        int kind;
        const char *name, *msg, *hint;
    } cases[] = {
        {0, "acuracy", "unknown metric \"acuracy\"", "Did you mean accuracy?"},
        {0, "", "the name is empty", "NAME(ARGUMENT,...)"},
        {0, "(macro)", "the name is empty", ""},
        {0, "zzzzzzzzzzzz", "unknown metric", "balanced_accuracy"},
        {0, "f1(macr", "parenthesis", "f1(macro)"},
        {0, "f1(macro,)", "empty", ""},
        {0, "f1(mean)", "unknown argument \"mean\"", "micro | macro"},
        {0, "f1(macro,micro)", "unknown argument \"micro\"", ""},
        {0, "f1(samples)", "unknown argument \"samples\"", ""},
        {0, "f1(class:)", "no value", ""},
        {0, "f1(class:5)", "no label is called \"5\"", "0 to 1"},
        {0, "f1(per-class)", "per-class", "expand"},
        {0, "accuracy(macro)", "unknown argument", "takes no arguments"},
        {0, "ece(bins:0)", "unknown argument \"bins:0\"", ""},
        {0, "ece(bins:x)", "bins:x", ""},
        {0, "ece(1,2,3,4,5,6)", "too many arguments", ""},
        {1, "f1(binary)", "needs two labels, but there are 3", "macro"},
        {1, "f1(class:pss)", "no label is called \"pss\"", "\"pos\""},
        {1, "pearson", "is for numbers", "accuracy"},
        {2, "accuracy", "is for class labels, but these predictions are sets of labels",
         "subset_accuracy"},
        {3, "f1", "these predictions are numbers", "spearman"},
        {4, "log_loss", "needs the probability", ""},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_metric *m = (as_metric *)(uintptr_t)1;
        as_err err = {0};
        if (as_metric_open(&m, cases[i].name, &kinds[cases[i].kind], &err) != AS_USAGE)
            fail_msg("\"%s\" opened", cases[i].name);
        assert_null(m);
        if (!strstr(err.msg, cases[i].msg)) fail_msg("\"%s\": %s", cases[i].name, err.msg);
        if (!strstr(err.hint, cases[i].hint)) fail_msg("\"%s\": hint %s", cases[i].name, err.hint);
    }
}

static void refuse(const char *name, as_predictions p, as_status want, const char *msg) {
    as_metric *m;
    as_err err = {0};
    assert_int_equal(as_metric_open(&m, name, &p, &err), want);
    if (!strstr(err.msg, msg)) fail_msg("%s: %s", name, err.msg);
}

static void test_metric_bad_predictions_name_the_first_item(void **state) {
    (void)state;
    const double with_nan[4] = {1, 2, NAN, INFINITY}, over[8] = {.9, .1, 1.5, .8, .6, .4, .7, .3},
                 nan_probs[8] = {.9, .1, .2, .8, .6, NAN, .7, .3};
    const int32_t outside[4] = {0, 1, 2, -1};
    const uint8_t not_bits[12] = {0, 0, 0, 2};
    as_predictions p = numbers();
    p.pred_value = with_nan;
    static const char *const value_metrics[] = {"pearson", "spearman", "mse", "rmse", "mae", "r2"};
    for (size_t i = 0; i < AS_COUNT(value_metrics); i++)
        refuse(value_metrics[i], p, AS_NUMERIC, "item 3 of 4");
    p = two();
    p.probs = nan_probs;
    static const char *const prob_metrics[] = {"log_loss",  "brier",   "ece",
                                               "ece(mass)", "roc_auc", "average_precision"};
    for (size_t i = 0; i < AS_COUNT(prob_metrics); i++)
        refuse(prob_metrics[i], p, AS_NUMERIC, "item 3 of 4");
    p.probs = over;
    refuse("log_loss", p, AS_NUMERIC, "item 2 of 4");
    p = two();
    p.pred = outside;
    refuse("accuracy", p, AS_FORMAT, "item 3 of 4");
    refuse("f1(macro)", p, AS_FORMAT, "label id 2 is not below 2");
    p.gold = NULL;
    refuse("mcc", p, AS_USAGE, "gold labels");
    p = multi();
    p.pred_sets = not_bits;
    refuse("f1(micro)", p, AS_FORMAT, "item 2 of 4");
}

static void test_metric_of_no_items_is_undefined(void **state) {
    (void)state;
    as_predictions kinds[] = {two(), multi(), numbers()};
    const as_metric_info *info;
    const size_t count = as_metric_table(&info);
    for (size_t i = 0; i < count; i++) {
        as_predictions p = kinds[info[i].kind];
        p.n = 0;
        as_metric *m;
        as_err err = {0};
        if (as_metric_open(&m, info[i].name, &p, &err) != AS_OK)
            fail_msg("%s: %s", info[i].name, err.msg);
        const as_metric_value v = as_metric_aggregate(m, NULL, NULL);
        assert_true(isnan(v.value));
        assert_string_equal(v.why, "no items");
        as_interval interval;
        assert_int_equal(as_metric_interval(&interval, m, NULL, NULL, NULL), AS_OK);
        assert_non_null(interval.why);
        as_metric_free(m);
    }
}

static void expect_split(const char *list, size_t want_count, const char *const *want) {
    char **names;
    size_t count;
    as_err err = {0};
    if (as_metric_list_split(list, &names, &count, &err) != AS_OK)
        fail_msg("%s: %s", list, err.msg);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names[i], want[i]);
    as_metric_list_free(names, count);
}

static void test_metric_lists_split_outside_parentheses(void **state) {
    (void)state;
    expect_split("accuracy", 1, (const char *const[]){"accuracy"});
    expect_split(" accuracy , roc_auc(ovo,weighted),f1:macro", 3,
                 (const char *const[]){"accuracy", "roc_auc(ovo,weighted)", "f1:macro"});
    expect_split("f1(class:\"a, \\\")\"),mcc", 2,
                 (const char *const[]){"f1(class:\"a, \\\")\")", "mcc"});
    static const char *const bad[] = {"",         "accuracy,", ",mcc",
                                      "f1(macro", "f1)",       "f1(class:\"x),mcc"};
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        char **names = (char **)(uintptr_t)1;
        size_t count = 9;
        assert_int_equal(as_metric_list_split(bad[i], &names, &count, NULL), AS_USAGE);
        assert_null(names);
        assert_int_equal(count, 0);
    }
    for (int kind = 0; kind < 3; kind++)
        for (int labels = 2; labels < 4; labels++) {
            as_predictions p = kind == 0   ? (labels == 2 ? two() : three())
                               : kind == 1 ? multi()
                                           : numbers();
            char **names;
            size_t count;
            assert_int_equal(as_metric_list_split(as_metric_defaults((as_pred_kind)kind, labels),
                                                  &names, &count, NULL),
                             AS_OK);
            for (size_t i = 0; i < count; i++) {
                as_metric *m;
                assert_int_equal(as_metric_open(&m, names[i], &p, NULL), AS_OK);
                as_metric_free(m);
            }
            as_metric_list_free(names, count);
        }
}

static void test_metric_per_class_expands_to_names_that_open(void **state) {
    (void)state;
    static const char *const forms[] = {"f1(per-class)", "f1:per-class", "f1_per_class"};
    const as_predictions p = three();
    for (size_t f = 0; f < AS_COUNT(forms); f++) {
        char **names;
        size_t count;
        assert_int_equal(as_metric_expand(forms[f], three_names, 3, &names, &count, NULL), AS_OK);
        assert_int_equal(count, 3);
        assert_string_equal(names[0], "f1(class:neg)");
        for (int i = 0; i < 3; i++) {
            as_metric *m;
            assert_int_equal(as_metric_open(&m, names[i], &p, NULL), AS_OK);
            assert_int_equal(as_metric_label(m), i);
            assert_string_equal(as_metric_signature(m), names[i]);
            as_metric_free(m);
        }
        as_metric_list_free(names, count);
        assert_int_equal(as_metric_expand("recall(per-class)", NULL, 2, &names, &count, NULL),
                         AS_OK);
        assert_string_equal(names[1], "recall(class:1)");
        as_metric_list_free(names, count);
        assert_int_equal(as_metric_expand("accuracy", three_names, 3, &names, &count, NULL), AS_OK);
        assert_int_equal(count, 1);
        assert_string_equal(names[0], "accuracy");
        as_metric_list_free(names, count);
    }
}

static void test_metric_table_rows_all_open(void **state) {
    (void)state;
    const as_predictions kinds[] = {two(), multi(), numbers()};
    const as_metric_info *info;
    const size_t count = as_metric_table(&info);
    assert_true(count > 20);
    for (size_t i = 0; i < count; i++) {
        assert_true(info[i].about[0] && info[i].reference[0] && info[i].args);
        as_metric *m;
        assert_int_equal(as_metric_open(&m, info[i].name, &kinds[info[i].kind], NULL), AS_OK);
        as_metric_free(m);
    }
}

/* Opening, expanding and splitting, with the n-th allocation failing, for n = 1, 2, ... until all
 * of it succeeds. */
static as_status open_with_failure(const char *name, const as_predictions *p, int64_t n) {
    as_metric *m = NULL;
    as_err err = {0};
    as_mem_fail_after(n);
    const as_status status = as_metric_open(&m, name, p, &err);
    as_mem_fail_after(0);
    as_metric_free(m);
    return status;
}

static void test_metric_survives_every_failed_allocation(void **state) {
    (void)state;
    const as_predictions kinds[] = {two(), multi(), numbers()}, more = three();
    const as_metric_info *info;
    const size_t count = as_metric_table(&info);
    for (size_t i = 0; i < count + 2; i++) {
        const char *name = i < count    ? info[i].name
                           : i == count ? "roc_auc_ovo_weighted"
                                        : "f1(class:pos)";
        const as_predictions *p = i < count ? &kinds[info[i].kind] : &more;
        const int64_t before = as_mem_live_blocks();
        as_status status = AS_NOMEM;
        for (int64_t n = 1; status == AS_NOMEM && n < 200; n++) {
            status = open_with_failure(name, p, n);
            assert_int_equal(as_mem_live_blocks(), before);
        }
        if (status != AS_OK) fail_msg("%s: status %d", name, status);
    }
    as_status status = AS_NOMEM;
    for (int64_t n = 1; status == AS_NOMEM && n < 200; n++) {
        char **names;
        size_t listed;
        const int64_t before = as_mem_live_blocks();
        as_mem_fail_after(n);
        status = as_metric_expand("f1(per-class)", three_names, 3, &names, &listed, NULL);
        as_mem_fail_after(0);
        as_metric_list_free(names, listed);
        assert_int_equal(as_mem_live_blocks(), before);
    }
    assert_int_equal(status, AS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_signatures_are_explicit),
        cmocka_unit_test(test_metric_bad_names_are_usage_errors_with_advice),
        cmocka_unit_test(test_metric_bad_predictions_name_the_first_item),
        cmocka_unit_test(test_metric_of_no_items_is_undefined),
        cmocka_unit_test(test_metric_lists_split_outside_parentheses),
        cmocka_unit_test(test_metric_per_class_expands_to_names_that_open),
        cmocka_unit_test(test_metric_table_rows_all_open),
        cmocka_unit_test(test_metric_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
