#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_str_compares_by_bytes_and_length(void **state) {
    (void)state;
    assert_true(as_str_eq(as_str_of(NULL), AS_LIT("")));
    assert_true(as_str_eq((as_str){NULL, 0}, AS_LIT("")));
    assert_true(as_str_is(AS_LIT("abc"), "abc"));
    assert_false(as_str_is(AS_LIT("abc"), "abcd"));
    assert_false(as_str_eq(AS_LIT("a\0b"), AS_LIT("a\0c")));
    assert_true(as_str_cmp(AS_LIT("ab"), AS_LIT("abc")) < 0);
    assert_true(as_str_cmp(AS_LIT("b"), AS_LIT("abc")) > 0);
    assert_true(as_str_cmp(AS_LIT("\xFF"), AS_LIT("a")) > 0);
    assert_int_equal(as_str_cmp(AS_LIT("x"), AS_LIT("x")), 0);
}

static void test_buf_appends_and_stays_terminated(void **state) {
    (void)state;
    as_buf b = {0};
    assert_int_equal(as_buf_view(&b).n, 0);
    as_buf_str(&b, "a");
    as_buf_char(&b, 'b');
    as_buf_add(&b, "\0c", 2);
    as_buf_fmt(&b, "%d-%s", 42, "x");
    assert_int_equal(b.n, 8);
    assert_memory_equal(b.p, "ab\0c42-x", 9);
    as_buf_clear(&b);
    assert_string_equal(b.p, "");
    for (int i = 0; i < 5000; i++)
        as_buf_fmt(&b, "%04d", i);
    assert_int_equal(b.n, 20000);
    assert_memory_equal(b.p + 4 * 4321, "4321", 4);
    as_buf_free(&b);
    assert_null(b.p);
}

static void test_buf_remembers_a_failed_append(void **state) {
    (void)state;
    as_buf b = {0};
    as_buf_str(&b, "abc");
    char big[100] = {0};
    as_mem_fail_after(1);
    as_buf_add(&b, big, sizeof big);
    assert_true(b.failed);
    as_buf_str(&b, "d");
    assert_string_equal(b.p, "abc");
    as_buf_free(&b);
    assert_int_equal(as_mem_live_blocks(), 0);
}

static void test_buf_real_round_trips(void **state) {
    (void)state;
    static const double values[] = {
        0.0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, -123456789.125, 1e22, 2.2250738585072014e-308};
    as_buf b = {0};
    for (size_t i = 0; i < AS_COUNT(values); i++) {
        double back;
        as_buf_clear(&b);
        as_buf_real(&b, values[i]);
        assert_true(as_parse_f64(as_buf_view(&b), &back));
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    static const double none[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < AS_COUNT(none); i++) {
        as_buf_clear(&b);
        as_buf_real(&b, none[i]);
        assert_string_equal(b.p, "null");
    }
    as_buf_free(&b);
}

static void test_numbers_do_not_depend_on_the_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; i < AS_COUNT(names) && set == NULL; i++)
        set = setlocale(LC_ALL, names[i]);
    if (set == NULL) {
        print_message("skip reason: no locale with a decimal comma is installed\n");
        skip();
    }
    as_buf b = {0};
    double x;
    as_buf_real(&b, 1234.5);
    const bool parsed = as_parse_f64(AS_LIT("1234.50000000000000000000001"), &x);
    setlocale(LC_ALL, "C");
    assert_string_equal(b.p, "1234.5");
    assert_true(parsed && x == 1234.5);
    as_buf_free(&b);
}

static void test_buf_json_string_escapes_and_replaces(void **state) {
    (void)state;
    static const struct {
        as_str in;
        const char *out;
    } cases[] = {
        {AS_LIT(""), "\"\""},
        {AS_LIT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {AS_LIT("\n\r\t\x01\x1f\0"), "\"\\n\\r\\t\\u0001\\u001f\\u0000\""},
        {AS_LIT("\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\x7F"),
         "\"\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\x7F\""},
        {AS_LIT("x\xFFy\xE4\xB8\"z\xC3"), "\"x\xEF\xBF\xBDy\xEF\xBF\xBD\\\"z\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf b = {0};
        as_buf_json_str(&b, cases[i].in);
        assert_string_equal(b.p, cases[i].out);
        as_buf_free(&b);
    }
}

static void test_parse_i64_takes_whole_views_in_range(void **state) {
    (void)state;
    static const struct {
        const char *in;
        bool ok;
        int64_t want;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"+17", true, 17},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"--1", false, 0},
        {"1e3", false, 0},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        int64_t got = 0;
        if (as_parse_i64(as_str_of(cases[i].in), &got) != cases[i].ok || got != cases[i].want)
            fail_msg("\"%s\"", cases[i].in);
    }
    int64_t got;
    assert_false(as_parse_i64(AS_LIT("1\0"), &got));
    assert_true(as_parse_i64((as_str){"123", 2}, &got));
    assert_int_equal(got, 12);
}

static void test_parse_f64_takes_whole_views_of_the_grammar(void **state) {
    (void)state;
    static const struct {
        const char *in;
        bool ok;
        double want;
    } cases[] = {
        {"1", true, 1},
        {"-1.5", true, -1.5},
        {"+.5", true, .5},
        {"5.", true, 5},
        {"1e3", true, 1000},
        {"1E-2", true, 0.01},
        {"1e+2", true, 100},
        {"123456789012345678901234567890", true, 123456789012345678901234567890.0},
        {"0.1000000000000000055511151231257827021181583404541015625", true, 0.1},
        {"4.9e-324", true, 5e-324},
        {"1e-400", true, 0},
        {"1e400", false, 0},
        {"-1e400", false, 0},
        {"1e99999999999999999999", false, 0},
        {"0e99999999999999999999", true, 0},
        {"1e-99999999999999999999", true, 0},
        {"1e23", true, 1e23},
        {"9007199254740993", true, 9007199254740992.0},
        {"inf", true, INFINITY},
        {"-Infinity", true, -INFINITY},
        {"", false, 0},
        {".", false, 0},
        {"+", false, 0},
        {"e5", false, 0},
        {".e5", false, 0},
        {"1e", false, 0},
        {"1e+", false, 0},
        {"1 ", false, 0},
        {" 1", false, 0},
        {"0x1p3", false, 0},
        {"1,5", false, 0},
        {"1.2.3", false, 0},
        {"infin", false, 0},
        {"nano", false, 0},
        {"1e5.", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        double got = 0;
        if (as_parse_f64(as_str_of(cases[i].in), &got) != cases[i].ok || got != cases[i].want)
            fail_msg("\"%s\" gave %.17g", cases[i].in, got);
    }
    double got;
    assert_true(as_parse_f64(AS_LIT("NaN"), &got) && isnan(got));
    assert_true(as_parse_f64(AS_LIT("-0"), &got) && signbit(got));
    assert_true(as_parse_f64((as_str){"12345", 2}, &got) && got == 12);
}

static void test_parse_f64_equals_the_c_library_on_random_numbers(void **state) {
    (void)state;
    as_rng r = as_rng_at(1, AS_STREAM_SAMPLE, 0);
    for (int i = 0; i < 20000; i++) {
        char text[400];
        double got;
        const int digits = (int)as_rng_below(&r, 20), e = (int)as_rng_below(&r, 60) - 30;
        snprintf(text, sizeof text,
                 i % 3 == 0   ? "%.*e"
                 : i % 3 == 1 ? "%.*g"
                              : "%.*f",
                 digits, (as_rng_double(&r) - 0.5) * pow(10, e));
        if (!as_parse_f64(as_str_of(text), &got) || got != strtod(text, NULL)) fail_msg("%s", text);
    }
}

static void test_nearest_finds_the_likely_word(void **state) {
    (void)state;
    static const char *const columns[] = {"id", "sentence", "stars", "label"};
    static const struct {
        const char *word;
        int want;
    } cases[] = {
        {"sentense", 1}, {"Label", 3},  {"lable", 3}, {"star", 2},
        {"label", 3},    {"xyzzy", -1}, {"", -1},     {"i", -1},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        if (as_nearest(cases[i].word, columns, AS_COUNT(columns)) != cases[i].want)
            fail_msg("%s", cases[i].word);
    assert_int_equal(as_nearest("a", NULL, 0), -1);
    char word[1000];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    const char *const same[] = {word};
    assert_int_equal(as_nearest(word, same, 1),
                     -1); /* beyond the length that suggestions are worth */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_compares_by_bytes_and_length),
        cmocka_unit_test(test_buf_appends_and_stays_terminated),
        cmocka_unit_test(test_buf_remembers_a_failed_append),
        cmocka_unit_test(test_buf_real_round_trips),
        cmocka_unit_test(test_numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(test_buf_json_string_escapes_and_replaces),
        cmocka_unit_test(test_parse_i64_takes_whole_views_in_range),
        cmocka_unit_test(test_parse_f64_takes_whole_views_of_the_grammar),
        cmocka_unit_test(test_parse_f64_equals_the_c_library_on_random_numbers),
        cmocka_unit_test(test_nearest_finds_the_likely_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
