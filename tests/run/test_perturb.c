/* test_perturb.c: perturbed texts stay texts, are a function of their arguments alone, and do what their names say. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "run/perturb.h"
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define E_ACUTE "e\xCC\x81" /* a letter and a combining mark */
static const as_str texts[] = {
    AS_LIT("The quick brown fox doesn't jump over the well-known lazy dog, does it?"),
    AS_LIT("a"), AS_LIT("I"), AS_LIT("ab"), AS_LIT("!!!"), AS_LIT("   "), AS_LIT(" \t\n "), AS_LIT("?"), AS_LIT("x y"), AS_LIT("aaaa aaaa aaaa"),
    AS_LIT("这家养老院很好，我们一家总算放下心来。"), AS_LIT("好"), AS_LIT("好。"), AS_LIT("我们 like it 很多"), AS_LIT("これはテストです。カタカナもある"),
    AS_LIT("👩‍👩‍👧‍👦 family 👍🏽 ok 🇩🇪🇫🇷"), AS_LIT("👩‍👩‍👧‍👦"), AS_LIT("مرحبا بالعالم، كيف حالك؟"), AS_LIT("שָׁלוֹם עוֹלָם"), AS_LIT("नमस्ते दुनिया क्षत्रिय"),
    AS_LIT("caf" E_ACUTE " r" E_ACUTE "sum" E_ACUTE " " E_ACUTE E_ACUTE E_ACUTE "t"), AS_LIT("\xCC\x81""abc def"), AS_LIT("สวัสดีชาวโลก ภาษาไทย"), AS_LIT("각각 한국어 문장입니다"),
    AS_LIT("null\0in the middle"), AS_LIT("\xEF\xBB\xBF""bom first"), AS_LIT("zero\xE2\x80\x8Bwidth \xE2\x80\xAE""right to left\xE2\x80\xAC"), AS_LIT("ǅ ß ŉ İ ﬁ straße İstanbul ΑΣ"),
    AS_LIT("3.14159 and 2,000 (or so)"), AS_LIT("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF end"), AS_LIT("''' don't 'tis rock'n'roll"),
};
static const double strengths[] = {0.001, 0.1, 0.5, 1.0};

static char *perturbed(as_str text, as_perturb_kind kind, double strength, uint64_t seed, uint64_t item, size_t *n) {
    as_buf b = {0};
    as_buf_char(&b, '<'); /* it appends */
    as_perturb_text(&b, text, kind, strength, seed, item);
    assert_false(b.failed);
    assert_true(b.p[0] == '<');
    char *copy = as_strndup(b.p + 1, b.n - 1);
    *n = b.n - 1;
    as_buf_free(&b);
    return copy;
}
static bool visible(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] > ' ') return true;
    return false;
}

static void test_perturb_gives_valid_texts_that_are_not_empty(void **state) {
    (void)state;
    for (size_t t = 0; t < AS_COUNT(texts); t++)
        for (int k = 0; k < AS_PERTURB_COUNT; k++)
            for (size_t s = 0; s < AS_COUNT(strengths); s++)
                for (uint64_t item = 0; item < 30; item++) {
                    size_t n, m;
                    char *a = perturbed(texts[t], (as_perturb_kind)k, strengths[s], 1, item, &n);
                    char *b = perturbed(texts[t], (as_perturb_kind)k, strengths[s], 1, item, &m);
                    assert_int_equal(n, m);
                    assert_memory_equal(a, b, n);
                    if (as_utf8_valid_prefix(a, n) != n) fail_msg("%s of text %zu is not valid UTF-8", as_perturb_name((as_perturb_kind)k), t);
                    if (visible(texts[t].p, texts[t].n) && !visible(a, n)) fail_msg("%s of text %zu is empty", as_perturb_name((as_perturb_kind)k), t);
                    assert_true(n > 0);
                    as_free(a), as_free(b);
                }
}
/* Bytes at random, made valid: marks, controls, surrogates' neighbours, whatever comes. */
static void test_perturb_survives_random_code_points(void **state) {
    (void)state;
    static const uint32_t from[] = {0, 0x20, 0x300, 0x590, 0x600, 0x900, 0x1100, 0x200B, 0x3041, 0x4E00, 0xAC00, 0xFE00, 0x1F1E6, 0x1F3FB, 0x1F600, 0x20000, 0xE0100};
    for (uint32_t round = 0; round < 1500; round++) {
        as_rng r = as_rng_at(3, AS_STREAM_SAMPLE, round);
        as_buf text = {0};
        const uint64_t length = as_rng_below(&r, 24);
        for (uint64_t i = 0; i < length; i++) {
            char c[4];
            as_buf_add(&text, c, as_utf8_put(c, from[as_rng_below(&r, AS_COUNT(from))] + (uint32_t)as_rng_below(&r, 0x60)));
        }
        for (int k = 0; k < AS_PERTURB_COUNT; k++) {
            size_t n;
            char *a = perturbed(as_buf_view(&text), (as_perturb_kind)k, strengths[round % AS_COUNT(strengths)], round, 5, &n);
            assert_int_equal(as_utf8_valid_prefix(a, n), n);
            assert_true((n > 0) == (text.n > 0));
            as_free(a);
        }
        as_buf_free(&text);
    }
}
static void test_perturb_of_strength_0_changes_nothing(void **state) {
    (void)state;
    for (size_t t = 0; t < AS_COUNT(texts); t++)
        for (int k = 0; k < AS_PERTURB_COUNT; k++) {
            size_t n;
            char *a = perturbed(texts[t], (as_perturb_kind)k, 0.0, 1, t, &n);
            assert_int_equal(n, texts[t].n);
            assert_memory_equal(a, texts[t].p, n);
            as_free(a);
        }
}
static void test_perturb_leaves_invalid_and_empty_texts_as_they_are(void **state) {
    (void)state;
    const as_str bad = AS_LIT("bad \xFF\xFE bytes and words");
    as_buf b = {0};
    for (int k = 0; k < AS_PERTURB_COUNT; k++) {
        size_t n;
        char *a = perturbed(bad, (as_perturb_kind)k, 1.0, 1, 1, &n);
        assert_int_equal(n, bad.n);
        assert_memory_equal(a, bad.p, n);
        as_free(a);
        as_perturb_text(&b, (as_str){NULL, 0}, (as_perturb_kind)k, 1.0, 1, 1);
    }
    assert_int_equal(b.n, 0);
    as_buf_free(&b);
}
static void test_perturb_depends_on_seed_kind_and_item(void **state) {
    (void)state;
    const as_str t = texts[0];
    int differ[3] = {0};
    for (uint64_t i = 0; i < 40; i++) {
        size_t n, m;
        char *a = perturbed(t, AS_PERTURB_TYPO_SWAP, 0.2, 1, i, &n);
        const struct { uint64_t seed, item; } other[3] = {{2, i}, {1, i + 1}, {1, i + (1ull << 40)}};
        for (int k = 0; k < 3; k++) {
            char *b = perturbed(t, AS_PERTURB_TYPO_SWAP, 0.2, other[k].seed, other[k].item, &m);
            differ[k] += n != m || memcmp(a, b, n) != 0;
            as_free(b);
        }
        as_free(a);
    }
    for (int k = 0; k < 3; k++) assert_in_range(differ[k], 34, 40);
}

/* --- what each does --- */
static int by_byte(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }
static void test_typo_swap_keeps_the_characters_and_the_ends_of_words(void **state) {
    (void)state;
    const as_str t = AS_LIT("Several perfectly ordinary sentences follow another");
    for (uint64_t item = 0; item < 50; item++) {
        size_t n;
        char *a = perturbed(t, AS_PERTURB_TYPO_SWAP, 1.0, 1, item, &n), *sorted = as_strndup(a, n), *want = as_strndup(t.p, t.n);
        assert_int_equal(n, t.n);
        for (size_t i = 0; i < n; i++) { /* blanks, and letters beside them, stay */
            const bool end = i == 0 || i + 1 == n || t.p[i] == ' ' || t.p[i - 1] == ' ' || t.p[i + 1] == ' ';
            if (end) assert_int_equal(a[i], t.p[i]);
        }
        int words = 0;
        for (size_t i = 0, changed = 0; i <= n; i++) {
            if (i < n && t.p[i] != ' ') changed += a[i] != t.p[i];
            else words += changed == 2, changed = 0;
        }
        assert_int_equal(words, 6);
        qsort(sorted, n, 1, by_byte), qsort(want, n, 1, by_byte);
        assert_memory_equal(sorted, want, n);
        as_free(a), as_free(sorted), as_free(want);
    }
}
static void test_typos_change_as_many_words_as_asked(void **state) {
    (void)state;
    const as_str t = AS_LIT("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty");
    double deleted = 0, inserted = 0;
    for (uint64_t item = 0; item < 400; item++) {
        size_t n, m;
        char *a = perturbed(t, AS_PERTURB_TYPO_DELETE, 0.125, 1, item, &n), *b = perturbed(t, AS_PERTURB_TYPO_INSERT, 0.125, 1, item, &m);
        assert_in_range(t.n - n, 2, 3); /* 2.5 of 20, rounded at random */
        assert_in_range(m - t.n, 2, 3);
        deleted += (double)(t.n - n), inserted += (double)(m - t.n);
        as_free(a), as_free(b);
    }
    assert_true(fabs(deleted / 400 - 2.5) < 0.11 && fabs(inserted / 400 - 2.5) < 0.11); /* 4 x 0.5 / sqrt(400) = 0.1 */
    size_t n;
    char *a = perturbed(AS_LIT("just three words"), AS_PERTURB_TYPO_DELETE, 0.01, 1, 1, &n);
    assert_int_equal(n, 15); /* at least one */
    as_free(a);
}
static void test_typo_insert_hits_a_neighbouring_key(void **state) {
    (void)state;
    static const char *const rows[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm"};
    for (size_t row = 0; row < AS_COUNT(rows); row++)
        for (size_t i = 0; rows[row][i]; i++)
            for (int upper = 0; upper < 2; upper++)
                for (uint64_t item = 0; item < 8; item++) {
                    const char c = (char)(upper ? toupper(rows[row][i]) : rows[row][i]);
                    size_t n;
                    char *a = perturbed((as_str){&c, 1}, AS_PERTURB_TYPO_INSERT, 1.0, 1, item, &n);
                    assert_int_equal(n, 2);
                    assert_int_equal(a[0], c);
                    assert_true((isupper((unsigned char)a[1]) != 0) == upper);
                    const char *at = strchr(rows[row], tolower(a[1]));
                    assert_non_null(at);
                    assert_int_equal(abs((int)(at - rows[row]) - (int)i), 1);
                    as_free(a);
                }
    size_t n;
    char *a = perturbed(AS_LIT("好"), AS_PERTURB_TYPO_INSERT, 1.0, 1, 1, &n);
    assert_string_equal(a, "好好");
    as_free(a);
}
static const struct { as_perturb_kind kind; const char *in, *out; } whole[] = {
    {AS_PERTURB_CASE_LOWER, "Hello WORLD, Ünïcödé ΑΒΓ ПРИВЕТ 好 9!", "hello world, ünïcödé αβγ привет 好 9!"},
    {AS_PERTURB_CASE_UPPER, "Hello world, " E_ACUTE "t" E_ACUTE " привет 好 9!", "HELLO WORLD, E\xCC\x81" "TE\xCC\x81 ПРИВЕТ 好 9!"},
    {AS_PERTURB_PUNCTUATION, "Don't; stop -- (now), 好的。“yes”!", "Dont stop  now 好的yes"},
    {AS_PERTURB_PUNCTUATION, "?!...", "?!..."},
    {AS_PERTURB_WHITESPACE, "a b\tc", "a  b\t c"},
    {AS_PERTURB_WHITESPACE, "我们好", "我 们 好"},
    {AS_PERTURB_WHITESPACE, "word", "word"},
    {AS_PERTURB_WORD_DROP, "one", "one"},
    {AS_PERTURB_WORD_SWAP, "one two", "two one"},
    {AS_PERTURB_WORD_SWAP, "same same", "same same"},
    {AS_PERTURB_WORD_SWAP, "one. Two", "one. Two"},
    {AS_PERTURB_WORD_SWAP, "好人", "人好"},
    {AS_PERTURB_TYPO_SWAP, "好人", "人好"},
    {AS_PERTURB_TYPO_SWAP, "ab, cc", "ba, cc"},
    {AS_PERTURB_TYPO_SWAP, E_ACUTE "a", "a" E_ACUTE},
    {AS_PERTURB_TYPO_DELETE, "好", "好"},
    {AS_PERTURB_TYPO_DELETE, "a", "a"},
};
static void test_perturb_of_full_strength_does_what_it_says(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(whole); i++) {
        size_t n;
        char *a = perturbed(as_str_of(whole[i].in), whole[i].kind, 1.0, 1, i, &n);
        if (strcmp(a, whole[i].out) != 0) fail_msg("%s of \"%s\" is \"%s\", want \"%s\"", as_perturb_name(whole[i].kind), whole[i].in, a, whole[i].out);
        as_free(a);
    }
}
static void test_word_drop_leaves_whole_words_and_single_blanks(void **state) {
    (void)state;
    const as_str t = AS_LIT("alpha beta gamma, delta epsilon zeta.");
    for (size_t s = 0; s < AS_COUNT(strengths); s++)
        for (uint64_t item = 0; item < 60; item++) {
            size_t n;
            int words = 0;
            char *a = perturbed(t, AS_PERTURB_WORD_DROP, strengths[s], 1, item, &n);
            assert_null(strstr(a, "  "));
            for (char *save, *w = strtok_r(a, " ,.", &save); w; w = strtok_r(NULL, " ,.", &save)) {
                assert_non_null(strstr(t.p, w));
                words++;
            }
            assert_in_range(words, strengths[s] == 1 ? 1 : strengths[s] > 0.4 ? 3 : 5, strengths[s] == 1 ? 1 : strengths[s] > 0.4 ? 3 : 5);
            as_free(a);
        }
}
static void test_word_swap_keeps_the_words(void **state) {
    (void)state;
    const as_str t = AS_LIT("a bb ccc dddd eeeee ffffff ggggggg");
    for (uint64_t item = 0; item < 60; item++) {
        size_t n;
        char *a = perturbed(t, AS_PERTURB_WORD_SWAP, 0.5, 1, item, &n);
        bool seen[8] = {false};
        assert_int_equal(n, t.n);
        assert_memory_not_equal(a, t.p, n);
        for (char *save, *w = strtok_r(a, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
            assert_in_range(strlen(w), 1, 7);
            assert_false(seen[strlen(w)]);
            seen[strlen(w)] = true;
        }
        for (int i = 1; i < 8; i++) assert_true(seen[i]);
        as_free(a);
    }
}
static void test_perturb_keeps_marks_with_their_letters(void **state) {
    (void)state;
    const as_str t = AS_LIT("xa" E_ACUTE "b c" E_ACUTE "de" E_ACUTE "fg " E_ACUTE "hij kl" E_ACUTE);
    for (int k = 0; k < AS_PERTURB_COUNT; k++)
        for (uint64_t item = 0; item < 60; item++) {
            size_t n;
            char *a = perturbed(t, (as_perturb_kind)k, 0.5, 1, item, &n);
            for (const char *at = a; (at = strstr(at, "\xCC\x81")) != NULL; at += 2) {
                assert_true(at > a);
                if (at[-1] != 'e' && at[-1] != 'E') fail_msg("%s: \"%s\"", as_perturb_name((as_perturb_kind)k), a);
            }
            as_free(a);
        }
}
static void test_greater_strength_changes_the_same_words_and_more(void **state) {
    (void)state;
    const as_str t = AS_LIT("some words that are all in lower case and that become upper case one after the other as strength grows");
    for (uint64_t item = 0; item < 30; item++) {
        char *before = as_strndup(t.p, t.n);
        for (int s = 1; s <= 10; s++) {
            size_t n;
            char *a = perturbed(t, AS_PERTURB_CASE_UPPER, s / 10.0, 1, item, &n);
            int more = 0;
            for (size_t i = 0; i < n; i++) {
                if (isupper((unsigned char)before[i])) assert_int_equal(a[i], before[i]);
                more += a[i] != before[i];
            }
            assert_true(more > 0);
            as_free(before);
            before = a;
        }
        as_free(before);
    }
}

/* --- names --- */
static void test_perturb_lists_are_read(void **state) {
    (void)state;
    uint32_t kinds;
    as_err err = {0};
    assert_int_equal(as_perturb_parse(&kinds, "all", &err), AS_OK);
    assert_int_equal(kinds, (1 << AS_PERTURB_COUNT) - 1);
    assert_int_equal(as_perturb_parse(&kinds, "typo-swap, word-drop", &err), AS_OK);
    assert_int_equal(kinds, 1 << AS_PERTURB_TYPO_SWAP | 1 << AS_PERTURB_WORD_DROP);
    for (int k = 0; k < AS_PERTURB_COUNT; k++) {
        assert_int_equal(as_perturb_parse(&kinds, as_perturb_name((as_perturb_kind)k), &err), AS_OK);
        assert_int_equal(kinds, 1 << k);
        assert_true(as_perturb_strength((as_perturb_kind)k) > 0 && as_perturb_strength((as_perturb_kind)k) <= 1);
    }
    assert_int_equal(as_perturb_parse(&kinds, "typo-swop", &err), AS_USAGE);
    assert_non_null(strstr(err.hint, "Did you mean typo-swap?"));
    assert_int_equal(as_perturb_parse(&kinds, "", &err), AS_USAGE);
    assert_int_equal(as_perturb_parse(&kinds, "typo-swap,", &err), AS_USAGE);
}

/* --- what it costs --- */
static void test_perturbed_scores_are_compared_in_the_right_direction(void **state) {
    (void)state;
    static const int32_t gold[] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, clean[] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 0}, dirty[] = {0, 1, 0, 1, 1, 0, 1, 1, 0, 1};
    as_predictions a = {.kind = AS_PRED_CLASS, .n = 10, .num_labels = 2, .gold = gold, .pred = clean, .positive = -1}, b = a;
    b.pred = dirty;
    as_perturbed v = {0};
    as_err err = {0};
    assert_int_equal(as_perturbed_compare(&v, &a, &b, NULL, "accuracy", 0.95, 1, 1, &err), AS_OK);
    assert_true(fabs(v.clean - 0.9) < 1e-12 && fabs(v.score - 0.7) < 1e-12 && fabs(v.drop - 0.2) < 1e-12 && v.drop_low < 0.2 && v.drop_high > 0.2);
    assert_true(fabs(v.p - 0.625) < 1e-12); /* 3 against 1, exact McNemar */
    assert_int_equal(v.flips, 4);
    assert_true(fabs(v.flip_rate - 0.4) < 1e-12 && fabs(v.flip_low - 0.16818032970623614) < 1e-9 && fabs(v.flip_high - 0.6873262302663417) < 1e-9);
    assert_int_equal(as_perturbed_compare(&v, &b, &a, NULL, "accuracy", 0.95, 1, 1, &err), AS_OK);
    assert_true(fabs(v.drop + 0.2) < 1e-12 && v.drop_low < v.drop && v.drop < v.drop_high);
    assert_int_equal(as_perturbed_compare(&v, &a, &a, NULL, "accuracy", 0.95, 1, 1, &err), AS_OK);
    assert_true(v.drop == 0 && !signbit(v.drop) && v.p == 1 && v.flips == 0);

    static const double y[] = {1, 2, 3, 4, 5}, f[] = {1, 2, 3, 4, 5.5}, g[] = {2, 2.5, 3, 4, 7};
    as_predictions m = {.kind = AS_PRED_VALUE, .n = 5, .num_labels = 1, .gold_value = y, .pred_value = f, .positive = -1}, w = m;
    w.pred_value = g;
    assert_int_equal(as_perturbed_compare(&v, &m, &w, NULL, "mse", 0.95, 1, 1, &err), AS_OK);
    assert_true(fabs(v.clean - 0.05) < 1e-12 && fabs(v.score - 1.05) < 1e-12 && fabs(v.drop - 1.0) < 1e-12); /* worse: a drop above 0 */
    assert_int_equal(v.flips, -1);
    assert_true(isnan(v.flip_rate));
    assert_int_equal(as_perturbed_compare(&v, &w, &m, NULL, "mse", 0.95, 1, 1, &err), AS_OK);
    assert_true(fabs(v.drop + 1.0) < 1e-12);

    static const uint8_t s[] = {1, 0, 0, 1}, t[] = {1, 0, 1, 1};
    as_predictions p = {.kind = AS_PRED_MULTILABEL, .n = 2, .num_labels = 2, .gold_sets = s, .pred_sets = s, .positive = -1}, q = p;
    q.pred_sets = t;
    assert_int_equal(as_perturbed_compare(&v, &p, &q, NULL, "subset_accuracy", 0.95, 1, 1, &err), AS_OK);
    assert_int_equal(v.flips, 1);
    assert_true(v.drop == 0.5);
}
static void test_perturb_without_memory_says_so(void **state) {
    (void)state;
    const int64_t before = as_mem_live_blocks();
    for (int64_t n = 1; n < 20; n++) {
        as_buf b = {0};
        as_mem_fail_after(n);
        as_perturb_text(&b, texts[0], AS_PERTURB_WORD_SWAP, 0.5, 1, 1);
        as_mem_fail_after(0);
        const bool failed = b.failed;
        as_buf_free(&b);
        assert_int_equal(as_mem_live_blocks(), before);
        if (!failed) {
            assert_true(n > 5);
            return;
        }
    }
    fail_msg("it never succeeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perturb_gives_valid_texts_that_are_not_empty),
        cmocka_unit_test(test_perturb_survives_random_code_points),
        cmocka_unit_test(test_perturb_of_strength_0_changes_nothing),
        cmocka_unit_test(test_perturb_leaves_invalid_and_empty_texts_as_they_are),
        cmocka_unit_test(test_perturb_depends_on_seed_kind_and_item),
        cmocka_unit_test(test_typo_swap_keeps_the_characters_and_the_ends_of_words),
        cmocka_unit_test(test_typos_change_as_many_words_as_asked),
        cmocka_unit_test(test_typo_insert_hits_a_neighbouring_key),
        cmocka_unit_test(test_perturb_of_full_strength_does_what_it_says),
        cmocka_unit_test(test_word_drop_leaves_whole_words_and_single_blanks),
        cmocka_unit_test(test_word_swap_keeps_the_words),
        cmocka_unit_test(test_perturb_keeps_marks_with_their_letters),
        cmocka_unit_test(test_greater_strength_changes_the_same_words_and_more),
        cmocka_unit_test(test_perturb_lists_are_read),
        cmocka_unit_test(test_perturbed_scores_are_compared_in_the_right_direction),
        cmocka_unit_test(test_perturb_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
