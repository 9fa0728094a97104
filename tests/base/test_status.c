#include "base/check.h"
#include "base/status.h"
#include <string.h>

static void test_status_fail_fills_message_and_clears_hint(void **state) {
    (void)state;
    as_err err = {.hint = "old"};
    assert_int_equal(as_fail(&err, ASSAY_FORMAT, "%s:%d: no closing quote", "a.csv", 7),
                     ASSAY_FORMAT);
    assert_int_equal(err.status, ASSAY_FORMAT);
    assert_string_equal(err.msg, "a.csv:7: no closing quote");
    assert_string_equal(err.hint, "");
    as_hint(&err, "Close it with %c.", '"');
    assert_string_equal(err.hint, "Close it with \".");
    assert_int_equal(err.status, ASSAY_FORMAT);
}

static void test_status_accepts_a_null_error(void **state) {
    (void)state;
    assert_int_equal(as_fail(NULL, ASSAY_IO, "%s", "x"), ASSAY_IO);
    as_hint(NULL, "x");
    assert_int_equal(as_fail_nomem(NULL, "x", 1), ASSAY_NOMEM);
}

static void test_status_long_messages_are_cut_inside_the_buffer(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    as_err err;
    assert_int_equal(as_fail(&err, ASSAY_USAGE, "%s", text), ASSAY_USAGE);
    as_hint(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
}

static void test_status_nomem_names_what_and_how_much(void **state) {
    (void)state;
    as_err err;
    assert_int_equal(as_fail_nomem(&err, "the vocabulary", 4096), ASSAY_NOMEM);
    assert_string_equal(err.msg, "not enough memory for the vocabulary (4096 bytes)");
    assert_true(err.hint[0] != '\0');
}

static as_status forward(as_status inner, as_err *err) {
    AS_TRY(as_fail(err, inner, "inner"));
    return as_fail(err, ASSAY_USAGE, "after");
}

static void test_status_try_forwards_only_failures(void **state) {
    (void)state;
    as_err err;
    assert_int_equal(forward(ASSAY_SHAPE, &err), ASSAY_SHAPE);
    assert_string_equal(err.msg, "inner");
    assert_int_equal(forward(ASSAY_OK, &err), ASSAY_USAGE);
    assert_string_equal(err.msg, "after");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_fail_fills_message_and_clears_hint),
        cmocka_unit_test(test_status_accepts_a_null_error),
        cmocka_unit_test(test_status_long_messages_are_cut_inside_the_buffer),
        cmocka_unit_test(test_status_nomem_names_what_and_how_much),
        cmocka_unit_test(test_status_try_forwards_only_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
