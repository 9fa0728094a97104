#include "base/file.h"
#include "base/mem.h"
#include "io/json.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static as_json *parse(const char *text) {
    as_json *v = NULL;
    as_err err = {0};
    if (as_json_parse(&v, as_str_of(text), "t.json", 0, &err) != ASSAY_OK)
        fail_msg("%s: %s", text, err.msg);
    return v;
}

static void test_json_reads_every_type(void **state) {
    (void)state;
    as_json *const v = parse("\xEF\xBB\xBF{\"i\": -7, \"r\": 2.5, \"whole\": 3.0, \"s\": "
                             "\"a\\u0000b\", \"t\": true, \"n\": null, \"a\": [1, [], {}]}");
    assert_int_equal(as_json_typeof(v), AS_JSON_OBJECT);
    assert_int_equal(as_json_count(v), 7);
    assert_int_equal(as_json_int(as_json_get(v, "i"), 0), -7);
    assert_true(as_json_real(as_json_get(v, "i"), 0) == -7.0);
    assert_true(as_json_real(as_json_get(v, "r"), 0) == 2.5);
    assert_int_equal(as_json_int(as_json_get(v, "r"), 99), 99);
    assert_int_equal(as_json_int(as_json_get(v, "whole"), 99), 3);
    assert_int_equal(as_json_typeof(as_json_get(v, "whole")), AS_JSON_REAL);
    assert_true(as_str_eq(as_json_str(as_json_get(v, "s"), AS_LIT("")), (as_str){"a\0b", 3}));
    assert_true(as_json_bool(as_json_get(v, "t"), false));
    assert_int_equal(as_json_typeof(as_json_get(v, "n")), AS_JSON_NULL);
    const as_json *const a = as_json_get(v, "a");
    assert_int_equal(as_json_count(a), 3);
    assert_int_equal(as_json_typeof(as_json_at(a, 1)), AS_JSON_ARRAY);
    assert_null(as_json_at(a, 3));
    assert_null(as_json_get(a, "x"));
    assert_null(as_json_get(NULL, "x"));
    assert_int_equal(as_json_count(NULL), 0);
    assert_int_equal(as_json_typeof(NULL), AS_JSON_NULL);
    assert_null(as_json_first(a));
    assert_true(as_str_is(as_json_str(a, AS_LIT("fallback")), "fallback"));
    as_json_free(v);
    as_json_free(NULL);
}

static void test_json_keeps_file_order_and_the_last_duplicate(void **state) {
    (void)state;
    as_json *const v = parse("{\"z\":1,\"a\":2,\"m\":3,\"a\":4,\"\":5}");
    static const char *const keys[] = {"z", "a", "m", ""};
    static const int64_t values[] = {1, 4, 3, 5};
    size_t i = 0;
    for (as_json_iter *it = as_json_first(v); it != NULL; it = as_json_next(v, it), i++) {
        assert_true(i < 4 && as_str_is(as_json_iter_key(it), keys[i]));
        assert_int_equal(as_json_int(as_json_iter_value(it), -1), values[i]);
    }
    assert_int_equal(i, 4);
    as_json_free(v);
}

static void test_json_reads_integers_beyond_int64_as_reals(void **state) {
    (void)state;
    as_json *const v = parse("{\"max\":1000000000000000019884624838656,\"s\":"
                             "\"99999999999999999999 \\\" 1\",\"edge\":9223372036854775807,"
                             "\"low\":-9223372036854775808,\"over\":9223372036854775808,\"e\":"
                             "12345678901234567890e-1,\"neg\":-99999999999999999999}");
    assert_int_equal(as_json_typeof(as_json_get(v, "max")), AS_JSON_REAL);
    assert_true(as_json_real(as_json_get(v, "max"), 0) == 1e30);
    assert_true(
        as_str_is(as_json_str(as_json_get(v, "s"), AS_LIT("")), "99999999999999999999 \" 1"));
    assert_true(as_json_int(as_json_get(v, "edge"), 0) == INT64_MAX);
    assert_true(as_json_int(as_json_get(v, "low"), 0) == INT64_MIN);
    assert_int_equal(as_json_typeof(as_json_get(v, "edge")), AS_JSON_INT);
    assert_true(as_json_real(as_json_get(v, "over"), 0) == 0x1p63);
    assert_int_equal(as_json_int(as_json_get(v, "over"), -1), -1);
    assert_true(as_json_real(as_json_get(v, "e"), 0) == 1234567890123456789.0);
    assert_true(as_json_real(as_json_get(v, "neg"), 0) == -1e20);
    as_json_free(v);
}

// clang-format off
static const struct { const char *name, *text, *place, *says, *hint; } bad[] = {
    {"empty", "", "t.json:1:", "expected", ""},
    {"cut", "{\"a\": [1,\n2", "t.json:2:", "end of", "cut short"},
    {"trailing comma", "[1,\n2,]", "t.json:2:", "unexpected token", ""},
    {"text behind", "{}\n\n{}", "t.json:3:", "end of file expected", ""},
    {"single quotes", "{'a': 1}", "t.json:1:", "string or '}' expected", ""},
    {"NaN", "[NaN]", "t.json:1:", "NaN", "NaN and Infinity"},
    {"Infinity", "[-Infinity]", "t.json:1:", "invalid token", "NaN and Infinity"},
    {"too large real", "[\n1e400]", "t.json:2:", "real number overflow", ""},
    {"too large integer", "[1" /* and 400 zeros, see below */, "t.json:1:", "", ""},
    {"half a pair", "[\"\\ud800\"]", "t.json:1:", "\\uD800", "surrogate"},
    {"invalid UTF-8", "[\"caf\xE9\"]", "t.json:1:", "0xe9", "UTF-8"},
    {"NUL in a key", "{\"a\\u0000b\":1}", "t.json:1:", "NUL", ""},
    {"control character", "[\"a\x01\"]", "t.json:1:", "control character", ""},
};
// clang-format on

static void test_json_names_the_place_of_every_error(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        char text[512];
        snprintf(text, sizeof text, "%s", bad[i].text);
        if (strcmp(bad[i].name, "too large integer") == 0) {
            memset(text + 2, '0', 400);
            strcpy(text + 402, "]");
        }
        as_json *v = NULL;
        as_err err = {0};
        assert_int_equal(as_json_parse(&v, as_str_of(text), "t.json", 0, &err), ASSAY_FORMAT);
        assert_null(v);
        if (strncmp(err.msg, bad[i].place, strlen(bad[i].place)) != 0 ||
            strstr(err.msg, bad[i].says) == NULL || strstr(err.hint, bad[i].hint) == NULL)
            fail_msg("%s: \"%s\" hint \"%s\"", bad[i].name, err.msg, err.hint);
        for (const char *c = err.msg; *c != '\0'; c++)
            assert_true((unsigned char)*c >= 0x20);
    }
}

static void test_json_refuses_raw_nul_bytes(void **state) {
    (void)state;
    static const as_str cases[] = {AS_LIT("[1,\n true\0]"), AS_LIT("\n [1\0]"),
                                   AS_LIT("{\n\"\0\":1}"), AS_LIT("\n\0")};
    static const char *const places[] = {
        "t.json:2: a NUL byte (column 6)", "t.json:2: a NUL byte (column 4)",
        "t.json:2: a NUL byte (column 2)", "t.json:2: a NUL byte (column 1)"};
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_json *v = NULL;
        as_err err = {0};
        assert_int_equal(as_json_parse(&v, cases[i], "t.json", 0, &err), ASSAY_FORMAT);
        assert_string_equal(err.msg, places[i]);
    }
}

static void test_json_adds_the_line_it_is_told(void **state) {
    (void)state;
    as_json *v = NULL;
    as_err err = {0};
    assert_int_equal(as_json_parse(&v, as_str_of("{"), "d.jsonl", 41, &err), ASSAY_FORMAT);
    assert_ptr_equal(strstr(err.msg, "d.jsonl:42:"), err.msg);
}

static void test_json_refuses_deep_nesting(void **state) {
    (void)state;
    char *const text = as_alloc(200001, 1);
    memset(text, '[', 200000);
    text[200000] = '\0';
    as_json *v = NULL;
    as_err err = {0};
    assert_int_equal(as_json_parse(&v, as_str_of(text), "deep", 0, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, "depth"));
    as_free(text);
}

// clang-format off
static const struct { const char *text, *want, *indented; } dumps[] = {
    {"[]", "[]", "[]"},
    {"{}", "{}", "{}"},
    {" {\"b\" : [1, 2.0, {}], \"a\": null} ", "{\"b\":[1,2.0,{}],\"a\":null}",
     "{\n  \"b\": [\n    1,\n    2.0,\n    {}\n  ],\n  \"a\": null\n}"},
    {"[0.1, 1e-12, -0.0, 1e300, 123456789.123456789, 3.141592653589793]",
     "[0.1,1e-12,-0.0,1e+300,123456789.12345679,3.141592653589793]", NULL},
    {"\"\\u00e9\\n\\\"\\u0000\"", "\"\xC3\xA9\\n\\\"\\u0000\"", NULL},
    {"true", "true", "true"},
    {"9223372036854775807", "9223372036854775807", NULL},
};
// clang-format on

static void test_json_dump_round_trips(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(dumps); i++) {
        as_json *const v = parse(dumps[i].text);
        as_buf out = {0};
        as_json_dump(&out, v, 0);
        assert_string_equal(out.p, dumps[i].want);
        as_json *const again = parse(out.p);
        as_buf_clear(&out);
        as_json_dump(&out, again, 0);
        assert_string_equal(out.p, dumps[i].want);
        as_buf_clear(&out);
        as_json_dump(&out, v, 2);
        if (dumps[i].indented != NULL) assert_string_equal(out.p, dumps[i].indented);
        as_buf_free(&out);
        as_json_free(again);
        as_json_free(v);
    }
}

static void test_json_dump_keeps_every_bit_of_reals(void **state) {
    (void)state;
    uint64_t bits = 88172645463325252u; /* xorshift64 */
    for (int i = 0; i < 2000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) continue;
        char text[64];
        snprintf(text, sizeof text, "[%.17g%s]", x, "");
        as_json *const v = parse(text);
        const double read = as_json_real(as_json_at(v, 0), NAN);
        as_buf out = {0};
        as_json_dump(&out, v, 0);
        as_json *const again = parse(out.p);
        assert_true(read == x && as_json_real(as_json_at(again, 0), NAN) == x);
        as_buf_free(&out);
        as_json_free(again);
        as_json_free(v);
    }
}

static void test_json_reports_files_that_are_not_there(void **state) {
    (void)state;
    as_json *v = NULL;
    as_err err = {0};
    assert_int_equal(as_json_read(&v, "no/such/config.json", &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, "no/such/config.json"));
}

/* The promise is 100 ms for 3 MB; the bound here is loose, for sanitizers and busy machines. */
static long allocations_left = -1;
static void *scarce(size_t n) {
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return malloc(n > 0 ? n : 1);
}

/* Each allocation of jansson fails once. Within a token it calls that a syntax error; elsewhere it says nothing at all, and
 * nothing is not a message. */
static void test_json_tells_memory_from_malformed_text(void **state) {
    (void)state;
    json_set_alloc_funcs(scarce, free);
    as_json *v = NULL;
    long n = 0, memory = 0;
    for (as_status s = ASSAY_NOMEM; s != ASSAY_OK; n++) {
        as_err err = {0};
        allocations_left = n;
        s = as_json_parse(&v, as_str_of("{\"a\": [1, 2.5, \"text\", {\"b\": null}], \"c\": \"\\u00e9\"}"), "t.json", 0,
                          &err);
        memory += s == ASSAY_NOMEM;
        if (strstr(err.msg, ":  (")) {
            json_set_alloc_funcs(malloc, free);
            fail_msg("allocation %ld: %s", n, err.msg);
        }
    }
    allocations_left = -1;
    as_json_free(v);
    json_set_alloc_funcs(malloc, free);
    assert_true(n > 10 && memory > n / 4);
}

static void test_json_reads_a_large_vocabulary_in_time(void **state) {
    (void)state;
    as_buf text = {0};
    as_buf_str(&text, "{\"vocab\":{");
    for (int i = 0; i < 50000; i++)
        as_buf_fmt(&text, "%s\"token%d\":%d", i > 0 ? "," : "", i, i);
    as_buf_str(&text, "},\"merges\":[");
    for (int i = 0; i < 50000; i++)
        as_buf_fmt(&text, "%s[\"a%d\",\"b%d\"]", i > 0 ? "," : "", i, i);
    as_buf_str(&text, "]}");
    const clock_t begin = clock();
    as_json *const v = parse(text.p);
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    assert_int_equal(as_json_int(as_json_get(as_json_get(v, "vocab"), "token49999"), -1), 49999);
    assert_int_equal(as_json_count(as_json_get(v, "merges")), 50000);
    print_message("%.1f MB in %.0f ms\n", (double)text.n / 1e6, seconds * 1e3);
    assert_true(seconds < 2.0);
    as_json_free(v);
    as_buf_free(&text);
}

static void test_json_reads_a_real_tokenizer(void **state) {
    (void)state;
    const char *const models = getenv("ASSAY_MODELS");
    if (models == NULL) skip();
    char path[512];
    snprintf(path, sizeof path, "%s/all-MiniLM-L6-v2/tokenizer.json", models);
    if (!as_file_exists(path)) skip();
    as_json *v = NULL;
    as_err err = {0};
    const clock_t begin = clock();
    assert_int_equal(as_json_read(&v, path, &err), ASSAY_OK);
    print_message("%.1f ms\n", (double)(clock() - begin) / CLOCKS_PER_SEC * 1e3);
    const as_json *const vocab = as_json_get(as_json_get(v, "model"), "vocab");
    assert_int_equal(as_json_count(vocab), 30522);
    assert_true(as_str_is(as_json_iter_key(as_json_first(vocab)), "[PAD]"));
    as_json_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_reads_every_type),
        cmocka_unit_test(test_json_keeps_file_order_and_the_last_duplicate),
        cmocka_unit_test(test_json_reads_integers_beyond_int64_as_reals),
        cmocka_unit_test(test_json_names_the_place_of_every_error),
        cmocka_unit_test(test_json_refuses_raw_nul_bytes),
        cmocka_unit_test(test_json_adds_the_line_it_is_told),
        cmocka_unit_test(test_json_refuses_deep_nesting),
        cmocka_unit_test(test_json_dump_round_trips),
        cmocka_unit_test(test_json_dump_keeps_every_bit_of_reals),
        cmocka_unit_test(test_json_reports_files_that_are_not_there),
        cmocka_unit_test(test_json_tells_memory_from_malformed_text),
        cmocka_unit_test(test_json_reads_a_large_vocabulary_in_time),
        cmocka_unit_test(test_json_reads_a_real_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
