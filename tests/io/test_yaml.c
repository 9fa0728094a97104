#include "base/mem.h"
#include "io/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* want: the tree as compact JSON; from the YAML 1.2 specification, chapter 10.3, unless told
 * otherwise. */
// clang-format off
static const struct { const char *name, *text, *want; } good[] = {
    {"empty", "", "null"},
    {"comment only", "# nothing\n", "null"},
    {"block", "task: sst2\nlabels: [negative, positive]\nn: 3\nsource:\n  hub: a/b\n  config: c\n",
     "{\"task\":\"sst2\",\"labels\":[\"negative\",\"positive\"],\"n\":3,\"source\":{\"hub\":\"a/b\",\"config\":\"c\"}}"},
    {"nulls", "[~, null, Null, NULL, nUll, ]", "[null,null,null,null,\"nUll\"]"},
    {"empty value", "a:\nb: 1", "{\"a\":null,\"b\":1}"},
    {"booleans", "[true, True, TRUE, tRue, false, False, FALSE, yes, no, on, off]",
     "[true,true,true,\"tRue\",false,false,false,\"yes\",\"no\",\"on\",\"off\"]"},
    {"integers", "[0, -12, +5, 007, 0x1F, 0o17, 0b1, 1_000]", "[0,-12,5,7,31,15,\"0b1\",\"1_000\"]"},
    {"reals", "[1.5, -0.5, .5, 1., 2e-5, 1E3, +1.5e+2, 1e, ., 1.2.3]",
     "[1.5,-0.5,0.5,1.0,2e-05,1000.0,150.0,\"1e\",\".\",\"1.2.3\"]"},
    {"integer beyond int64", "99999999999999999999", "1e+20"},
    {"quoted stay strings", "['1', \"true\", '', \"~\"]", "[\"1\",\"true\",\"\",\"~\"]"},
    {"tags", "[!!str 1, !!float 1, !!int 7, ! 8, !!seq [], !!map {}]", "[\"1\",1.0,7,\"8\",[],{}]"},
    {"literal and folded", "a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
    {"number keys", "{0: a, 1.50: b, true: c}", "{\"0\":\"a\",\"1.50\":\"b\",\"true\":\"c\"}"},
    {"aliases", "a: &x [1, 2]\nb: *x\nc: &y z\nd: *y", "{\"a\":[1,2],\"b\":[1,2],\"c\":\"z\",\"d\":\"z\"}"},
    {"anchor set again", "[&a 1, *a, &a 2, *a]", "[1,1,2,2]"},
    {"merge", "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3", "{\"base\":{\"x\":1,\"y\":2},\"use\":{\"y\":3,\"x\":1}}"},
    {"merge of a list", "- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n", "[{\"x\":1},{\"x\":2,\"y\":2},{\"x\":1,\"y\":2}]"},
    {"quoted << is a key", "{'<<': 1}", "{\"<<\":1}"},
    {"byte-order mark", "\xEF\xBB\xBF" "a: \xC3\xA9", "{\"a\":\"\xC3\xA9\"}"},
    {"document marks", "---\na: 1\n...\n", "{\"a\":1}"},
    {"escapes", "\"\\u00e9\\x41\\0\"", "\"\xC3\xA9" "A\\u0000\""},
};
// clang-format on

static void test_yaml_reads_the_core_schema(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(good); i++) {
        as_json *v = NULL;
        as_err err = {0};
        if (as_yaml_parse(&v, as_str_of(good[i].text), "t.yaml", &err) != ASSAY_OK)
            fail_msg("%s: %s", good[i].name, err.msg);
        as_buf out = {0};
        as_json_dump(&out, v, 0);
        if (strcmp(out.p, good[i].want) != 0) fail_msg("%s: %s", good[i].name, out.p);
        as_buf_free(&out);
        as_json_free(v);
    }
}

// clang-format off
static const struct { const char *name, *text, *place, *says; } bad[] = {
    {"unknown tag", "a: 1\nb: !function utils.f", "t.yaml:2:", "!function"},
    {"unknown tag on a list", "a: !x []", "t.yaml:1:", "!x"},
    {"unknown tag on a mapping", "a:\n  !x {}", "t.yaml:2:", "!x"},
    {"a tag that does not fit", "!!int abc", "t.yaml:1:", "abc"},
    {"infinity", "a: .inf", "t.yaml:1:", ".inf"},
    {"not a number", "\n- .NaN", "t.yaml:2:", ".NaN"},
    {"out of range", "1e999", "t.yaml:1:", "1e999"},
    {"unknown alias", "a: *nobody", "t.yaml:1:", "*nobody"},
    {"cycle", "&a [*a]", "t.yaml:1:", "*a"},
    {"twice", "a: 1\nb: 2\na: 3", "t.yaml:3:", "\"a\" appears twice"},
    {"two documents", "a: 1\n---\nb: 2", "t.yaml:2:", "second document"},
    {"a list as key", "? [1]\n: 2", "t.yaml:1:", "key"},
    {"merge of a scalar", "a:\n  <<: 1", "t.yaml:2:", "<<"},
    {"tab", "a:\n\t- b", "t.yaml:2:", ""},
    {"unclosed", "a: [1, 2\nb: 3", "t.yaml:2:", ""},
    {"invalid UTF-8", "a: b\nc: \xE9\n", "t.yaml:2:", "UTF-8"},
    {"control character", "a: \x01", "t.yaml:1:", "control characters"},
};
// clang-format on

static void test_yaml_names_the_line_of_every_error(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        as_json *v = NULL;
        as_err err = {0};
        assert_int_equal(as_yaml_parse(&v, as_str_of(bad[i].text), "t.yaml", &err), ASSAY_FORMAT);
        assert_null(v);
        if (strncmp(err.msg, bad[i].place, strlen(bad[i].place)) != 0 ||
            strstr(err.msg, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].name, err.msg);
    }
}

static void test_yaml_bounds_aliases_and_depth(void **state) {
    (void)state;
    as_buf text = {0};
    as_json *v = NULL;
    as_err err = {0};
    as_buf_str(&text, "- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        as_buf_fmt(&text, "- &a%d [", i);
        for (int k = 0; k < 10; k++)
            as_buf_fmt(&text, "*a%d, ", i - 1);
        as_buf_str(&text, "]\n");
    }
    assert_int_equal(as_yaml_parse(&v, as_buf_view(&text), "bomb", &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "bomb:6:"));
    as_buf_clear(&text);
    for (int i = 0; i < 500; i++)
        as_buf_char(&text, '[');
    assert_int_equal(as_yaml_parse(&v, as_buf_view(&text), "deep", &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "levels deep"));
    as_buf_free(&text);
}

static void test_yaml_survives_every_failed_allocation(void **state) {
    (void)state;
    const as_str text = as_str_of("a: &x {k: 1}\nb: *x\nc: &y [1, 2]\nd: {<<: *x, z: 1}\n");
    const int64_t before = as_mem_live_blocks();
    for (int64_t n = 1;; n++) {
        as_json *v = NULL;
        as_err err = {0};
        as_mem_fail_after(n);
        const as_status s = as_yaml_parse(&v, text, "t.yaml", &err);
        as_mem_fail_after(0);
        as_json_free(v);
        assert_int_equal(as_mem_live_blocks(), before);
        if (s == ASSAY_OK) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(s, ASSAY_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_reads_the_core_schema),
        cmocka_unit_test(test_yaml_names_the_line_of_every_error),
        cmocka_unit_test(test_yaml_bounds_aliases_and_depth),
        cmocka_unit_test(test_yaml_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
