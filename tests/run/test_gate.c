/* test_gate.c: conditions on a comparison: what they may look like, when they fail, and what a build server reads. */
#include "base/file.h"
#include "base/mem.h"
#include "run/gate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Three systems on 100 items: 60, 70 and 90 of them right. */
enum { N = 100 };
static int32_t truth[N], said[3][N];
static double probs[3][2 * N];
static as_predictions p[3];
static as_system systems[3] = {{.name = "base line", .seeds = 1}, {.name = "cat at home", .seeds = 1}, {.name = "m(v2)", .seeds = 1}};
static as_contest contest;
static as_contest_result result;

static int set_up(void **state) {
    (void)state;
    const int right[] = {60, 70, 90};
    for (int s = 0; s < 3; s++) {
        for (int i = 0; i < N; i++) {
            truth[i] = i % 2;
            said[s][i] = i < right[s] ? truth[i] : 1 - truth[i];
            probs[s][2 * i + said[s][i]] = 0.8, probs[s][2 * i + 1 - said[s][i]] = 0.2;
        }
        p[s] = (as_predictions){.kind = AS_PRED_CLASS, .n = N, .num_labels = 2, .gold = truth, .pred = said[s], .probs = probs[s], .positive = -1};
        systems[s].seed = &p[s];
    }
    contest = (as_contest){.systems = systems, .count = 3, .metrics = "accuracy,f1(macro),log_loss,recall(class:1)", .level = 0.95, .seed = 1};
    return as_contest_decide(&contest, &result, NULL);
}
static int tear_down(void **state) {
    (void)state;
    as_contest_result_free(&result);
    return 0;
}

static void test_gate_decides_as_its_words_say(void **state) {
    (void)state;
    /* values 0.6, 0.7, 0.9; new - old 0.3 with an interval of about [0.21, 0.39]; 0.9 has Wilson's [0.826, 0.945] */
    static const struct { const char *expression; bool fails; } cases[] = {
        {"accuracy(new) < accuracy(old)", false},
        {"accuracy(old) < accuracy(new)", true},
        {"accuracy(new)<accuracy(old)", false},
        {"  accuracy ( 3 )  >  0.5 ", true},
        {"accuracy(new) > accuracy(old)", true},
        {"accuracy(new) < accuracy(old) + 0.3001", true},
        {"accuracy(new) < accuracy(old) + 0.2999", false},
        {"accuracy(old) < accuracy(new) - 0.2999", true},
        {"accuracy(old) < accuracy(new) - 0.3001", false},
        {"accuracy(old) < accuracy(new) - 3e-1", false},
        {"accuracy(old) < accuracy(new) - 2.999e-1", true},
        {"accuracy(old) < accuracy(new) - 1E-3", true},
        {"accuracy(old) < accuracy(new) + 1e+1", true},
        /* unless: fails where it does not hold; with a level, where it does not surely hold */
        {"unless accuracy(new) >= accuracy(old)", false},
        {"unless accuracy(old) >= accuracy(new)", true},
        {"  unless  accuracy(new) >= accuracy(old) - 0.01 at 95%", false},
        {"unless accuracy(new) > accuracy(old) + 0.1 at 95%", false},
        {"unless accuracy(new) > accuracy(old) + 0.29 at 95%", true}, /* it holds, but not surely */
        {"accuracy(new) < accuracy(old) + 0.31 at 95%", false},       /* and the opposite is not sure, either */
        {"unless accuracy(new) > accuracy(old) + 0.31 at 95%", true},
        {"unless accuracy(new) > 0.8 at 95%", false},
        {"unless accuracy(new) > 0.85 at 95%", true},
        {"unless log_loss(new) < log_loss(old) + 0.01 at 95%", false},
        {"unless log_loss(old) < log_loss(new) + 0.01 at 95%", true},
        /* 0.6 - 0.9 is below -0.3 by a rounding error, and so on */
        {"accuracy(old) < accuracy(new) - 0.3", false},
        {"accuracy(old) <= accuracy(new) - 0.3", true},
        {"accuracy(new) > accuracy(old) + 0.3", false},
        {"accuracy(new) >= accuracy(old) + 0.3", true},
        {"accuracy(2) > accuracy(1) + 0.1", false},
        {"accuracy(2) < accuracy(1) + 0.1", false},
        {"accuracy(new) > 1 - 0.1", false},
        {"accuracy(new) < 0.9", false},
        {"accuracy(new) <= 0.9", true},
        {"accuracy(new) >= 0.9", true},
        {"accuracy(new) > 0.9", false},
        {"accuracy(new) < 1e0 - 5e-2", true},
        {"accuracy(new) > -0.5", true},
        {"accuracy(1) < 0.65", true},
        {"accuracy(2) < 0.65", false},
        {"accuracy(base line) < 0.65", true},
        {"accuracy(cat at home) < 0.65", false},
        {"accuracy(cat at home) < 0.75", true},
        {"accuracy(m(v2)) < 0.95", true},
        {"accuracy(m(v2)) < accuracy(base line)", false},
        {"acc(new) < 0.95", true},
        {"f1(macro)(new) < f1:macro(old)", false},
        {"f1(macro)(old) < f1(macro)(new)", true},
        {"recall(class:1)(new) < recall(class:1)(old)", false},
        {"log_loss(new) > log_loss(old)", false},
        {"log_loss(new) < log_loss(old)", true},
        {"accuracy(new) < f1(macro)(new)", false},
        /* only what is sure fails */
        {"accuracy(new) < accuracy(old) at 95%", false},
        {"accuracy(old) < accuracy(new) at 95%", true},
        {"accuracy(old) < accuracy(new) at 95", true},
        {"accuracy(old) < accuracy(new) at 95 %  ", true},
        {"accuracy(old) < accuracy(new) - 0.15 at 95%", true},
        {"accuracy(old) < accuracy(new) - 0.25 at 95%", false}, /* -0.3, but perhaps -0.21 */
        {"accuracy(old) < accuracy(new) - 0.25", true},
        {"accuracy(new) > accuracy(old) + 0.15 at 95%", true},
        {"accuracy(new) > accuracy(old) + 0.25 at 95%", false},
        {"accuracy(new) < 0.93 at 95%", false},
        {"accuracy(new) < 0.96 at 95%", true},
        {"accuracy(new) > 0.8 at 95%", true},
        {"accuracy(new) > 0.85 at 95%", false},
        {"accuracy(cat at home) < 0.9 at 95%", true},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_gate g;
        as_err err = {0};
        if (as_gate_check(&g, cases[i].expression, &contest, &result, &err) != AS_OK) fail_msg("%s: %s", cases[i].expression, err.msg);
        if (g.fails != cases[i].fails) fail_msg("%s: %s (%s)", cases[i].expression, g.fails ? "fails" : "passes", g.text);
    }
}

static void test_gate_refuses_what_it_cannot_read(void **state) {
    (void)state;
    static const struct { const char *expression, *says; } cases[] = {
        {"", "no <"},
        {"accuracy(new)", "no <"},
        {"accuracy(new) = accuracy(old)", "no <"},
        {"accuracy(new) << accuracy(old)", "< accuracy"},
        {"accuracy(new) =< accuracy(old)", "left side"},
        {"0.9 > accuracy(new)", "left side"},
        {"accuracy < 0.9", "left side"},
        {"accuracy() < 0.9", "left side"},
        {"(new) < 0.9", "left side"},
        {"accuracy(new < 0.9", ""},
        {"accuracy)new( < 0.9", ""},
        {"accuracy(new) < ", "right side"},
        {"accuracy(new) < accuracy", "right side"},
        {"accuracy(new) < nan", "right side"},
        {"accuracy(new) < inf", "right side"},
        {"accuracy(new) < 0x10", "right side"},
        {"accuracy(new) < accuracy(old) - x", "not a number"},
        {"accuracy(new) < accuracy(old) -", "not a number"},
        {"accuracy(new) < accuracy(old) - 0.01 - 0.02", "right side"},
        {"accuracy(new) < accuracy(old) - 1e", "not a number"},
        {"accuracy(new) < accuracy(old) at", ""},
        {"accuracy(new) < accuracy(old) at x%", "level"},
        {"accuracy(new) < accuracy(old) at 0.95", "level"},
        {"accuracy(new) < accuracy(old) at 100%", "level"},
        {"accuracy(new) < accuracy(old) at -95%", "level"},
        {"accuracy(new) < accuracy(old) at 90%", "intervals are of 95 %"},
        {"accuracy(newer) < 0.9", "no system is called \"newer\""},
        {"accuracy(0) < 0.9", "no system"},
        {"accuracy(4) < 0.9", "no system"},
        {"accuracy(99999999999999999999) < 0.9", "no system"},
        {"mcc(new) < 0.9", "not computed"},
        {"acuracy(new) < 0.9", "acuracy"},
        {"pearson(new) < 0.9", "pearson"},
        {"accuracy(new) < f1(macro)(old) at 95%", "no common interval"},
        {"accuracy(new) < log_loss(new) at 95%", "no common interval"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_gate g;
        as_err err = {0};
        const as_status s = as_gate_check(&g, cases[i].expression, &contest, &result, &err);
        if (s != AS_USAGE || !strstr(err.msg, cases[i].says)) fail_msg("\"%s\": status %d, \"%s\"", cases[i].expression, s, err.msg);
    }
    static char names[3][8192]; /* a metric, a system and a text that are too long */
    for (int i = 0; i < 3; i++) memset(names[i], 'x', sizeof names[i] - 1);
    memcpy(names[0] + 8000, "(new) < 1", 10);
    memcpy(names[1], "accuracy(", 9), memcpy(names[1] + 8000, ") < 1", 6);
    for (int i = 0; i < 3; i++) {
        as_gate g;
        assert_int_equal(as_gate_check(&g, names[i], &contest, &result, NULL), AS_USAGE);
    }
}

static void test_gate_takes_names_before_numbers_and_old_and_new(void **state) {
    (void)state;
    as_system odd[3];
    memcpy(odd, systems, sizeof odd);
    odd[0].name = "new", odd[1].name = "1", odd[2].name = "old";
    const as_contest c = {.systems = odd, .count = 3, .level = 0.95};
    static const struct { const char *expression; bool fails; } cases[] = {
        {"accuracy(new) < 0.65", true}, {"accuracy(1) < 0.75", true}, {"accuracy(1) < 0.65", false}, {"accuracy(old) < 0.85", false}, {"accuracy(3) < 0.85", false}, {"accuracy(2) < 0.65", false}};
    as_gate g;
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        assert_int_equal(as_gate_check(&g, cases[i].expression, &c, &result, NULL), AS_OK);
        if (g.fails != cases[i].fails) fail_msg("%s", cases[i].expression);
    }
    odd[1].name = "new";
    as_err err = {0};
    assert_int_equal(as_gate_check(&g, "accuracy(new) < 0.65", &c, &result, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "more than one system"));
}

static void test_gate_fails_where_a_value_is_undefined(void **state) {
    (void)state;
    int32_t one[N] = {0};
    as_predictions q[2] = {p[0], p[1]};
    q[0].gold = q[1].gold = one;
    const as_system s[] = {{.name = "a", .seed = &q[0], .seeds = 1}, {.name = "b", .seed = &q[1], .seeds = 1}};
    const as_contest c = {.systems = s, .count = 2, .metrics = "roc_auc", .level = 0.95};
    as_contest_result r;
    assert_int_equal(as_contest_decide(&c, &r, NULL), AS_OK);
    static const char *const expressions[] = {"roc_auc(new) < roc_auc(old)", "roc_auc(new) > roc_auc(old)", "roc_auc(new) < 0.5", "roc_auc(new) > 0.5 at 95%", "roc_auc(a) <= roc_auc(b) at 95%"};
    for (size_t i = 0; i < AS_COUNT(expressions); i++) {
        as_gate g;
        assert_int_equal(as_gate_check(&g, expressions[i], &c, &r, NULL), AS_OK);
        assert_true(g.fails);
        assert_non_null(strstr(g.text, "undefined"));
    }
    as_contest_result_free(&r);
}

static void test_gate_names_the_metrics_that_it_needs(void **state) {
    (void)state;
    static const struct { const char *list, *expression, *want; } cases[] = {
        {"", "accuracy(new) < 0.9", "accuracy"},
        {"", "accuracy(new) < accuracy(old) - 0.01 at 95%", "accuracy"},
        {"mcc", "accuracy(new) < 0.9", "mcc,accuracy"},
        {"accuracy,mcc", "mcc(new) < mcc(old)", "accuracy,mcc"},
        {"balanced_accuracy", "accuracy(new) < 0.9", "balanced_accuracy,accuracy"},
        {"f1(macro)", "f1(new) < f1(macro)(old)", "f1(macro),f1"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf list = {0};
        as_buf_str(&list, cases[i].list);
        assert_int_equal(as_gate_metrics(&list, cases[i].expression, NULL), AS_OK);
        assert_string_equal(list.p, cases[i].want);
        as_buf_free(&list);
    }
    as_buf list = {0};
    assert_int_equal(as_gate_metrics(&list, "accuracy", NULL), AS_USAGE);
    as_buf_free(&list);
}

/* Well-formed, by a parser of another make: python3's, where it is there. */
static bool parses(const char *path) {
    char command[512];
    if (system("command -v python3 >/dev/null 2>&1") != 0) return true;
    snprintf(command, sizeof command, "python3 -c 'import sys, xml.dom.minidom as m; t = m.parse(sys.argv[1]).getElementsByTagName(\"testcase\")[0]; assert t.getAttribute(\"name\")' %s", path);
    return system(command) == 0;
}
static void test_gate_junit_is_well_formed_whatever_the_names(void **state) {
    (void)state;
    char path[] = "/tmp/assay-gate-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    static const char *const expressions[] = {
        "accuracy(new) < accuracy(old) - 0.01 at 95%", "accuracy(<b a=\"1\" c='2'>&amp;]]>) < 1", "accuracy(\xE6\xA8\xA1\xE5\x9E\x8B \xF0\x9F\x98\x80) < 1",
        "accuracy(\x01\x02\t\n\r\x1B[0m\x7F) < 1", "accuracy(\xFF\xFE\xC3\x28\xE6\xA8) < 1", "accuracy(\xEF\xBF\xBF\xEF\xBF\xBE) < 1", "<!--", "]]>", "&", "\""};
    for (size_t i = 0; i < AS_COUNT(expressions); i++)
        for (int fails = 0; fails < 2; fails++) {
            as_gate g = {.fails = fails};
            snprintf(g.text, sizeof g.text, "f1(class:\"<&>\") is 0.5, the limit 0.6");
            assert_int_equal(as_gate_junit(path, expressions[i], &g, NULL), AS_OK);
            as_buf file = {0};
            assert_int_equal(as_file_read(&file, path, 1 << 20, NULL), AS_OK);
            assert_true((strstr(file.p, "<failure ") != NULL) == fails);
            assert_true((strstr(file.p, "failures=\"1\"") != NULL) == fails);
            assert_non_null(strstr(file.p, "f1(class:&quot;&lt;&amp;&gt;&quot;)"));
            as_buf_free(&file);
            if (!parses(path)) fail_msg("\"%s\" breaks the XML", expressions[i]);
        }
    remove(path);
    as_gate g = {.fails = true};
    as_err err = {0};
    assert_int_equal(as_gate_junit("/nowhere/at/all.xml", "accuracy(new) < 1", &g, &err), AS_IO);
    assert_non_null(strstr(err.msg, "/nowhere/at/all.xml"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_decides_as_its_words_say),
        cmocka_unit_test(test_gate_refuses_what_it_cannot_read),
        cmocka_unit_test(test_gate_takes_names_before_numbers_and_old_and_new),
        cmocka_unit_test(test_gate_fails_where_a_value_is_undefined),
        cmocka_unit_test(test_gate_names_the_metrics_that_it_needs),
        cmocka_unit_test(test_gate_junit_is_well_formed_whatever_the_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
