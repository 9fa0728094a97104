#include "data/corpus_check.h"
#include "data/corpus_lang.h"
#include "data/corpus_minhash.h"
#include "data/corpus_rules.h"
#include "base/hash.h"
#include "base/rng.h"
#include <math.h>

/* ---- words ---- */
static const struct { const char *text; int64_t words, single; } word_cases[] = {
    {"", 0, 0},
    {"...!? ---", 0, 0},
    {"Don't stop, 2nd-rate film.", 6, 0},             /* don t stop 2nd rate film */
    {"\xE4\xBD\xA0\xE5\xA5\xBD world", 3, 2},         /* two Chinese characters and a word */
    {"\xE4\xB8\xAD\xE6\x96\x87" "BERT\xE6\xA8\xA1\xE5\x9E\x8B\xE3\x80\x82", 5, 4},
    {"\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 \xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7", 2, 0},
    {"caf\x65\xCC\x81 \xF0\x9F\x98\x80", 1, 0},       /* a combining mark belongs to its word, an emoji to none */
};
static void test_words_are_counted_in_every_script(void **state) {
    (void)state;
    as_words w = {0};
    as_err err = {0};
    for (size_t i = 0; i < AS_COUNT(word_cases); i++) {
        must(as_words_of(&w, as_str_of(word_cases[i].text), &err), err);
        if (w.n != word_cases[i].words || w.single != word_cases[i].single) fail_msg("case %zu: %" PRId64 " words, %" PRId64 " single", i, w.n, w.single);
    }
    must(as_words_of(&w, AS_LIT("HELLO w\xC3\x96rld"), &err), err);
    const uint64_t a = w.hash[0], b = w.hash[1];
    must(as_words_of(&w, AS_LIT("\xC2\xABhello\xC2\xBB, w\xC3\xB6rld!"), &err), err);
    assert_true(w.n == 2 && w.hash[0] == a && w.hash[1] == b);
    as_words_free(&w);
}

/* ---- rules ---- */
static void add_words(as_buf *b, int from, int to) {
    for (int i = from; i < to; i++) as_buf_fmt(b, "%sword%d", b->n > 0 && b->p[b->n - 1] != '\n' ? " " : "", i);
}
/* Documents that break just one rule of Rae et al. 2021, A.1.1, and one that breaks none. */
static void build_case(as_buf *b, as_corpus_rule rule) {
    as_buf_clear(b);
    switch (rule) {
    case AS_RULE_MIN_WORDS: add_words(b, 0, 49); break;
    case AS_RULE_MAX_WORDS: add_words(b, 0, 100001); break;
    case AS_RULE_MIN_WORD_LENGTH: for (int i = 0; i < 80; i++) as_buf_fmt(b, "%c%c ", 'a' + i % 26, 'a' + i / 26); break;
    case AS_RULE_MAX_WORD_LENGTH: for (int i = 0; i < 60; i++) as_buf_fmt(b, "extraordinary%d ", i); break;
    case AS_RULE_SYMBOLS: add_words(b, 0, 50); for (int i = 0; i < 6; i++) as_buf_str(b, " #"); break;
    case AS_RULE_BULLETS: for (int i = 0; i < 20; i++) as_buf_str(b, "- "), add_words(b, 4 * i, 4 * i + 4), as_buf_char(b, '\n'); break;
    case AS_RULE_ELLIPSIS: for (int i = 0; i < 10; i++) add_words(b, 8 * i, 8 * i + 8), as_buf_str(b, i < 4 ? "...\n" : "\n"); break;
    case AS_RULE_ALPHABETIC: for (int i = 0; i < 60; i++) as_buf_fmt(b, i % 4 == 0 ? "%d12345 " : "word%d ", i); break;
    case AS_RULE_STOP_WORDS: add_words(b, 0, 60); break;
    case AS_RULE_DUP_LINES: add_words(b, 0, 60); for (int i = 0; i < 10; i++) as_buf_str(b, i % 2 ? "\nx" : "\nyy"); break;
    case AS_RULE_DUP_LINE_CHARS: for (int k = 0; k < 2; k++) add_words(b, 0, 40), as_buf_char(b, '\n'); for (int i = 0; i < 9; i++) as_buf_fmt(b, "line number%d\n", i); break;
    case AS_RULE_TOP_2: for (int i = 0; i < 30; i++) as_buf_fmt(b, "good film w%d ", i); break;
    case AS_RULE_DUP_5: add_words(b, 0, 30); add_words(b, 100, 116); as_buf_str(b, " between"); add_words(b, 100, 116); break;
    default: add_words(b, 0, 60); as_buf_str(b, " the of"); break;
    }
}
static void test_rules_name_what_is_wrong(void **state) {
    (void)state;
    static const as_corpus_rule rules[] = {AS_RULE_MIN_WORDS, AS_RULE_MAX_WORDS, AS_RULE_MIN_WORD_LENGTH, AS_RULE_MAX_WORD_LENGTH, AS_RULE_SYMBOLS, AS_RULE_BULLETS,
                                           AS_RULE_ELLIPSIS, AS_RULE_ALPHABETIC, AS_RULE_STOP_WORDS, AS_RULE_DUP_LINES, AS_RULE_DUP_LINE_CHARS, AS_RULE_TOP_2,
                                           AS_RULE_DUP_5, AS_RULE_COUNT};
    as_judge j = {0};
    as_buf text = {0};
    as_err err = {0};
    as_corpus_rules gopher, none;
    must(as_corpus_rules_preset(&gopher, "gopher", &err), err);
    must(as_corpus_rules_preset(&none, "none", &err), err);
    for (size_t i = 0; i < AS_COUNT(rules); i++) {
        as_corpus_rule fails;
        build_case(&text, rules[i]);
        must(as_judge_document(&j, &gopher, as_buf_view(&text), rules[i] == AS_RULE_STOP_WORDS || rules[i] == AS_RULE_COUNT, &fails, &err), err);
        if (fails != rules[i]) fail_msg("case %zu: %s", i, fails == AS_RULE_COUNT ? "nothing" : as_rule_at(fails)->name);
        must(as_judge_document(&j, &none, as_buf_view(&text), true, &fails, &err), err);
        assert_int_equal(fails, AS_RULE_COUNT);
        as_corpus_rules without = gopher; /* turned off, it no longer fires */
        if (rules[i] < AS_RULE_COUNT) without.value[rules[i]] = NAN;
        must(as_judge_document(&j, &without, as_buf_view(&text), rules[i] == AS_RULE_STOP_WORDS, &fails, &err), err);
        assert_true(fails != rules[i] || rules[i] == AS_RULE_COUNT);
    }
    as_buf_free(&text);
    as_judge_free(&j);
}

/* Chinese prose has no blanks, one "word" by white space, and shorter repetition: rules take no more of it than
 * of English. */
static void test_rules_leave_chinese_text(void **state) {
    (void)state;
    char path[512];
    if (data_file(path, sizeof path, "flores200/dev/zho_Hans.dev") == NULL) {
        print_message("skip reason: no flores200 in ASSAY_DATA\n");
        skip();
    }
    as_judge j = {0};
    as_buf all = {0};
    as_err err = {0};
    as_corpus_rules gopher;
    must(as_corpus_rules_preset(&gopher, "gopher", &err), err);
    must(as_file_read(&all, path, 0, &err), err);
    int64_t lines = 0, docs = 0, taken = 0;
    for (const char *p = all.p, *begin = p; (p = memchr(p, '\n', (size_t)(all.p + all.n - p))) != NULL; p++) {
        if (++lines % 5 != 0) continue; /* documents of five lines */
        as_corpus_rule fails;
        must(as_judge_document(&j, &gopher, (as_str){begin, (size_t)(p - begin)}, false, &fails, &err), err);
        docs++, taken += fails != AS_RULE_COUNT;
        begin = p + 1;
    }
    if (docs < 190 || taken > docs / 100) fail_msg("%" PRId64 " of %" PRId64 " documents are taken", taken, docs); /* of English ones: 0 */
    as_buf_free(&all);
    as_judge_free(&j);
}

static void test_rules_are_set_by_name(void **state) {
    (void)state;
    as_corpus_rules r;
    as_err err = {0};
    must(as_corpus_rules_preset(&r, "basic", &err), err);
    must(as_corpus_rules_set(&r, "min-words=20", &err), err);
    must(as_corpus_rules_set(&r, "near=off", &err), err);
    must(as_corpus_rules_set(&r, "stop-words=on", &err), err);
    assert_true(r.value[AS_RULE_MIN_WORDS] == 20 && isnan(r.value[AS_RULE_NEAR]) && r.value[AS_RULE_STOP_WORDS] == 2);
    static const char *const wrong[] = {"min-word=3", "near=2", "near", "lang=en", "symbols=x", "=", ""};
    for (size_t i = 0; i < AS_COUNT(wrong); i++) {
        assert_int_equal(as_corpus_rules_set(&r, wrong[i], &err), AS_USAGE);
        assert_true(err.hint[0] != '\0');
    }
    assert_int_equal(as_corpus_rules_preset(&r, "strict", &err), AS_USAGE);
}

/* ---- near duplicates ---- */
/* Two sets of `n` random shingles, a share of which is common: Jaccard j exactly. */
static double make_pair(as_shingles *a, as_shingles *b, int64_t n, double j, as_rng *rng) {
    const int64_t common = (int64_t)floor(2 * j / (1 + j) * (double)n + 0.5);
    a->n = b->n = n;
    for (int64_t i = 0; i < n; i++) {
        a->v[i] = (uint64_t)as_rng_u32(rng) << 32 | as_rng_u32(rng);
        b->v[i] = i < common ? a->v[i] : (uint64_t)as_rng_u32(rng) << 32 | as_rng_u32(rng);
    }
    return (double)common / (double)(2 * n - common);
}

static void test_minhash_estimates_and_finds_as_the_formulas_say(void **state) {
    (void)state;
    enum { N = 60, PAIRS = 1500 };
    as_minhash m;
    as_shingles a = {.v = as_alloc(N, 8), .cap = N}, b = {.v = as_alloc(N, 8), .cap = N};
    as_rng rng = as_rng_at(3, AS_STREAM_SAMPLE, 77);
    static const double similarity[] = {0.5, 0.6, 0.7, 0.8, 0.9};
    as_minhash_init(&m);
    for (size_t s = 0; s < AS_COUNT(similarity); s++) {
        int64_t met = 0;
        double sum = 0, squares = 0, j = 0;
        for (int k = 0; k < PAIRS; k++) {
            uint32_t x[AS_MINHASH_K], y[AS_MINHASH_K];
            uint64_t p[AS_MINHASH_BANDS], q[AS_MINHASH_BANDS];
            int agree = 0;
            bool meet = false;
            j = make_pair(&a, &b, N, similarity[s], &rng);
            as_minhash_signature(x, &m, &a), as_minhash_signature(y, &m, &b);
            for (int i = 0; i < AS_MINHASH_K; i++) agree += x[i] == y[i];
            as_minhash_bands(p, &m, &a), as_minhash_bands(q, &m, &b);
            for (int i = 0; i < AS_MINHASH_BANDS; i++) meet |= p[i] == q[i];
            const double estimate = (double)agree / AS_MINHASH_K;
            sum += estimate, squares += (estimate - j) * (estimate - j), met += meet;
        }
        const double want = 1 - pow(1 - pow(j, AS_MINHASH_ROWS), AS_MINHASH_BANDS), sigma = sqrt(want * (1 - want) / PAIRS);
        const double variance = j * (1 - j) / AS_MINHASH_K;
        if (fabs((double)met / PAIRS - want) > 3 * sigma + 1e-3) fail_msg("J %.3f: found %.4f, expected %.4f +- %.4f", j, (double)met / PAIRS, want, sigma);
        if (fabs(sum / PAIRS - j) > 3 * sqrt(variance / PAIRS)) fail_msg("J %.3f: mean estimate %.4f", j, sum / PAIRS);
        if (fabs(squares / PAIRS / variance - 1) > 0.15) fail_msg("J %.3f: variance %.6f, expected %.6f", j, squares / PAIRS, variance);
    }
    as_shingles_free(&a), as_shingles_free(&b);
}

/* Portable code and the vector units give the same numbers: known value of the first implementation. */
static void test_minhash_does_not_depend_on_the_processor(void **state) {
    (void)state;
    as_minhash m;
    as_shingles s = {0};
    as_err err = {0};
    uint32_t least[AS_MINHASH_K];
    as_minhash_init(&m);
    must(as_shingles_of(&s, AS_LIT("the quick brown fox jumps over the lazy dog and the small cat looks on from the wall of the old house by the sea"), &err), err);
    as_minhash_signature(least, &m, &s);
    for (int i = 0; i < AS_MINHASH_K; i++) {
        uint32_t want = UINT32_MAX;
        for (int64_t k = 0; k < s.n; k++) {
            const uint32_t h = m.mul[i] * ((uint32_t)(s.v[k] >> 32) ^ (uint32_t)s.v[k]) + m.add[i];
            if (h < want) want = h;
        }
        assert_int_equal(least[i], want);
    }
    as_shingles_free(&s);
}

typedef struct texts { const char *const *v; uint64_t band[8][AS_MINHASH_BANDS]; bool compared[8]; } texts;
static const uint64_t *bands_at(void *ctx, int64_t i) { const texts *t = ctx; return t->compared[i] ? t->band[i] : NULL; }
static as_str text_at(void *ctx, int64_t i) { const texts *t = ctx; return as_str_of(t->v[i]); }

static void test_near_clusters_are_verified(void **state) {
    (void)state;
#define LONG "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty " \
             "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega"
    static const char *const v[] = {
        LONG " end", "something else entirely that has enough words to be compared with the other documents of this small list of documents here",
        LONG " stop", LONG, "short", "short",
        "\xE4\xBB\x8A\xE5\xA4\xA9\xE5\xA4\xA9\xE6\xB0\x94\xE5\xBE\x88\xE5\xA5\xBD\xEF\xBC\x8C\xE6\x88\x91\xE4\xBB\xAC\xE5\x8E\xBB\xE5\x85\xAC\xE5\x9B\xAD\xE6\x95\xA3\xE6\xAD\xA5\xE5\x90\xA7\xE3\x80\x82",
        "\xE4\xBB\x8A\xE5\xA4\xA9\xE5\xA4\xA9\xE6\xB0\x94\xE5\xBE\x88\xE5\xA5\xBD\xEF\xBC\x8C\xE6\x88\x91\xE4\xBB\xAC\xE5\x8E\xBB\xE5\x85\xAC\xE5\x9B\xAD\xE6\x95\xA3\xE6\xAD\xA5\xE5\x90\xA7\xEF\xBC\x81",
    };
    texts t = {.v = v};
    as_minhash m;
    as_shingles s = {0};
    as_err err = {0};
    as_minhash_init(&m);
    for (int i = 0; i < 8; i++) {
        must(as_shingles_of(&s, as_str_of(v[i]), &err), err);
        t.compared[i] = s.n >= AS_SHINGLE_LEAST;
        as_minhash_bands(t.band[i], &m, &s);
    }
    as_shingles_free(&s);
    const as_near_docs docs = {8, &t, bands_at, text_at};
    for (int threads = 1; threads <= 3; threads += 2) {
        int64_t parent[8];
        must(as_near_clusters(parent, &docs, 0.8, "/tmp", threads, &err), err);
        static const int64_t want[] = {0, 1, 0, 0, 4, 5, 6, 6};
        assert_memory_equal(parent, want, sizeof want);
        must(as_near_clusters(parent, &docs, 1, "/tmp", threads, &err), err); /* nothing is quite the same */
        for (int64_t i = 0; i < 8; i++) assert_int_equal(parent[i], i);
    }
}

/* ---- language ---- */
static void test_languages_are_told_apart(void **state) {
    (void)state;
    static const char *const names[AS_LANGS] = {"arb_Arab", "deu_Latn", "eng_Latn", "spa_Latn", "fra_Latn", "jpn_Jpan", "ron_Latn", "rus_Cyrl", "zho_Hans"};
    for (int l = 0; l < AS_LANGS; l++) {
        char name[64], path[512];
        as_buf all = {0};
        as_err err = {0};
        int64_t lines = 0, right = 0;
        snprintf(name, sizeof name, "flores200/devtest/%s.devtest", names[l]);
        if (data_file(path, sizeof path, name) == NULL) {
            print_message("skip reason: no flores200 in ASSAY_DATA\n");
            skip();
        }
        must(as_file_read(&all, path, 0, &err), err);
        for (const char *p = all.p, *end = p + all.n; p < end;) {
            const char *const lf = memchr(p, '\n', (size_t)(end - p)), *const stop = lf != NULL ? lf : end;
            lines++, right += as_lang_of((as_str){p, (size_t)(stop - p)}) == l;
            p = stop + 1;
        }
        as_buf_free(&all);
        if (lines < 1000 || (double)right < 0.99 * (double)lines) fail_msg("%s: %" PRId64 " of %" PRId64, as_lang_name(l), right, lines);
    }
}

static void test_languages_unknown_and_named(void **state) {
    (void)state;
    unsigned mask;
    as_err err = {0};
    assert_int_equal(as_lang_of(AS_LIT("")), AS_LANG_OTHER);
    assert_int_equal(as_lang_of(AS_LIT("123 !!! \xF0\x9F\x98\x80")), AS_LANG_OTHER);
    assert_int_equal(as_lang_of(AS_LIT("\xEC\x95\x88\xEB\x85\x95\xED\x95\x98\xEC\x84\xB8\xEC\x9A\x94")), AS_LANG_OTHER); /* Korean */
    assert_int_equal(as_lang_of(AS_LIT("\xE4\xBD\xA0\xE5\xA5\xBD")), AS_LANG_ZH);
    must(as_lang_parse(&mask, "en,zh", &err), err);
    assert_int_equal(mask, 1u << AS_LANG_EN | 1u << AS_LANG_ZH);
    assert_int_equal(as_lang_parse(&mask, "en,xx", &err), AS_USAGE);
    assert_int_equal(as_lang_parse(&mask, "", &err), AS_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_words_are_counted_in_every_script), TEST(test_rules_name_what_is_wrong), TEST(test_rules_leave_chinese_text), TEST(test_rules_are_set_by_name),
        TEST(test_minhash_estimates_and_finds_as_the_formulas_say), TEST(test_minhash_does_not_depend_on_the_processor), TEST(test_near_clusters_are_verified),
        TEST(test_languages_are_told_apart), TEST(test_languages_unknown_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
