#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

#define R "\xEF\xBF\xBD"
/* Lossy results as Rust's String::from_utf8_lossy and Python's errors="replace" give them
 * (Unicode 3.9, U+FFFD per maximal subpart); valid = bytes before the first error. */
static const struct {
    const char *name;
    as_str in;
    size_t valid;
    const char *lossy;
    size_t replaced;
} cases[] = {
    {"empty", AS_LIT(""), 0, "", 0},
    {"ascii over a word", AS_LIT("0123456789abcdef"), 16, "0123456789abcdef", 0},
    {"all lengths",
     AS_LIT("a\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), 19,
     "a\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 0},
    {"lone follower", AS_LIT("a\x80z"), 1, "a" R "z", 1},
    {"overlong 2", AS_LIT("\xC0\x80"), 0, R R, 2},
    {"overlong 3", AS_LIT("\xE0\x80\x80"), 0, R R R, 3},
    {"overlong 4", AS_LIT("\xF0\x80\x80\x80"), 0, R R R R, 4},
    {"surrogate", AS_LIT("\xED\xA0\x80"), 0, R R R, 3},
    {"above 10FFFF", AS_LIT("\xF4\x90\x80\x80"), 0, R R R R, 4},
    {"F5", AS_LIT("ab\xF5z"), 2, "ab" R "z", 1},
    {"cut 3", AS_LIT("\xE4\xB8"), 0, R, 1},
    {"cut 4", AS_LIT("x\xF0\x9F\x98"), 1, "x" R, 1},
    {"cut then ascii", AS_LIT("\xE4\xB8z\xF0\x9F!"), 0, R "z" R "!", 2},
    {"cut then lead", AS_LIT("\xE4\xB8\xE4\xB8\xAD"), 0, R "\xE4\xB8\xAD", 1},
    {"late error", AS_LIT("12345678901\xFFz"), 11, "12345678901" R "z", 1},
};

static void test_utf8_finds_the_first_error(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        if (as_utf8_valid_prefix(cases[i].in.p, cases[i].in.n) != cases[i].valid)
            fail_msg("%s", cases[i].name);
}

static void test_utf8_lossy_replaces_maximal_subparts(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_buf b = {0};
        const size_t replaced = as_utf8_lossy(&b, cases[i].in);
        if (replaced != cases[i].replaced || !as_str_is(as_buf_view(&b), cases[i].lossy))
            fail_msg("%s", cases[i].name);
        assert_int_equal(as_utf8_valid_prefix(as_buf_view(&b).p, b.n), b.n);
        as_buf_free(&b);
    }
}

static void test_utf8_put_and_next_are_inverse_for_every_point(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        char text[4];
        uint32_t back = 0;
        const uint32_t n = as_utf8_put(text, cp);
        if (as_utf8_valid_prefix(text, n) != n || as_utf8_next(text, &back) != n || back != cp ||
            as_utf8_count(text, n) != 1)
            fail_msg("U+%04X", cp);
    }
    char text[4];
    static const uint32_t bad[] = {0xD800, 0xDFFF, 0x110000, UINT32_MAX};
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        assert_int_equal(as_utf8_put(text, bad[i]), 3);
        assert_memory_equal(text, R, 3);
    }
}

static void test_utf8_latin1_maps_every_byte(void **state) {
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    as_buf b = {0};
    as_latin1_to_utf8(&b, (as_str){all, 256});
    assert_int_equal(b.n, 128 + 256);
    const char *p = b.p;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t cp;
        p += as_utf8_next(p, &cp);
        assert_int_equal(cp, i);
    }
    as_buf_free(&b);
}

static void test_utf8_width_counts_terminal_columns(void **state) {
    (void)state;
    assert_int_equal(as_utf8_width(AS_LIT("abc")), 3);
    assert_int_equal(as_utf8_width(AS_LIT("\xE4\xB8\xAD\xE6\x96\x87")), 4);
    assert_int_equal(as_utf8_width(AS_LIT("e\xCC\x81")), 1);
    assert_int_equal(as_utf8_width(AS_LIT("")), 0);
    assert_int_equal(as_utf8_width(AS_LIT("a\xFF")), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_finds_the_first_error),
        cmocka_unit_test(test_utf8_lossy_replaces_maximal_subparts),
        cmocka_unit_test(test_utf8_put_and_next_are_inverse_for_every_point),
        cmocka_unit_test(test_utf8_latin1_maps_every_byte),
        cmocka_unit_test(test_utf8_width_counts_terminal_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
