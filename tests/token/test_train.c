/* test_train.c: tokenizers learned from text, against what `tokenizers` learns
 * (tests/golden/token/make_models.py); threads, files, errors, memory. */
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "token/internal.h"
#include "token/train.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/token/"

typedef struct lines {
    as_str text;
    size_t at;
    int times; /* how often all of it comes */
} lines;
static as_status next_line(void *ctx, as_str *text, bool *more, as_err *err) {
    lines *l = ctx;
    (void)err;
    if (l->at >= l->text.n && --l->times > 0) l->at = 0;
    *more = l->at < l->text.n;
    if (!*more) return AS_OK;
    const char *p = l->text.p + l->at, *nl = memchr(p, '\n', l->text.n - l->at);
    const size_t n = nl != NULL ? (size_t)(nl - p) : l->text.n - l->at;
    *text = (as_str){p, n};
    l->at += n + 1;
    return AS_OK;
}

static as_status learn(as_buf *json, const as_token_train_opts *o, as_str text, as_err *err) {
    lines l = {.text = text, .times = 1};
    return as_tokenizer_train(json, o, next_line, &l, NULL, err);
}

static as_token_train_opts opts_of(const as_json *r) {
    const as_str model = as_json_str(as_json_get(r, "model"), (as_str){"", 0}),
                 letter_case = as_json_str(as_json_get(r, "case"), (as_str){"", 0}),
                 accents = as_json_str(as_json_get(r, "accents"), (as_str){"", 0});
    as_token_train_opts o = {
        .model = as_str_is(model, "bpe")       ? AS_TOKEN_BPE
                 : as_str_is(model, "unigram") ? AS_TOKEN_UNIGRAM
                                               : AS_TOKEN_WORDPIECE,
        .vocab_size = as_json_int(as_json_get(r, "vocab_size"), 0),
        .min_frequency = as_json_int(as_json_get(r, "min_frequency"), 0),
        .limit_alphabet = as_json_int(as_json_get(r, "limit_alphabet"), 0),
        .max_token_length = as_json_int(as_json_get(r, "max_piece"), 0),
        .alphabet = as_json_str(as_json_get(r, "alphabet"), (as_str){"", 0}),
        .add_prefix_space = as_json_bool(as_json_get(r, "prefix_space"), false),
    };
    if (letter_case.n > 0) o.lower = as_str_is(letter_case, "keep") ? AS_TOKEN_NO : AS_TOKEN_YES;
    if (accents.n > 0) o.strip_accents = as_str_is(accents, "keep") ? AS_TOKEN_NO : AS_TOKEN_YES;
    return o;
}

static as_json *parsed(const as_buf *json) {
    as_json *root = NULL;
    as_err err = {0};
    if (as_json_parse(&root, as_buf_view(json), "trained", 0, &err)) fail_msg("%s", err.msg);
    return root;
}

static void check_vocab(const as_json *model, const as_json *r, const char *where) {
    const as_json *want = as_json_get(r, "vocab"), *got = as_json_get(model, "vocab");
    if (as_json_count(want) != as_json_count(got))
        fail_msg("%s: %zu pieces, want %zu", where, as_json_count(got), as_json_count(want));
    size_t i = 0;
    for (as_json_iter *it = as_json_first(got); it != NULL; it = as_json_next(got, it), i++) {
        const as_str piece = as_json_str(as_json_at(want, i), (as_str){"", 0}),
                     mine = as_json_iter_key(it);
        if (!as_str_eq(piece, mine) || as_json_int(as_json_iter_value(it), -1) != (int64_t)i)
            fail_msg("%s: piece %zu is \"%.*s\", want \"%.*s\"", where, i, (int)mine.n, mine.p,
                     (int)piece.n, piece.p);
    }
}

static void check_merges(const as_json *model, const as_json *r, const char *where) {
    as_buf want = {0}, got = {0};
    as_json_dump(&want, as_json_get(r, "merges"), 0);
    as_json_dump(&got, as_json_get(model, "merges"), 0);
    if (want.n != got.n || memcmp(want.p, got.p, got.n) != 0) fail_msg("%s: other merges", where);
    as_buf_free(&want), as_buf_free(&got);
}

/* The same pieces; their scores differ by what characters without a piece were numbered in. */
static void check_scores(const as_json *model, const as_json *r, const char *where) {
    const as_json *want = as_json_get(r, "vocab"), *scores = as_json_get(r, "scores"),
                  *got = as_json_get(model, "vocab");
    const size_t n = as_json_count(want);
    if (as_json_count(got) != n) fail_msg("%s: %zu pieces, want %zu", where, as_json_count(got), n);
    for (size_t i = 0; i < n; i++) {
        const as_str piece = as_json_str(as_json_at(as_json_at(got, i), 0), (as_str){"", 0});
        size_t k = 0;
        while (k < n && !as_str_eq(as_json_str(as_json_at(want, k), (as_str){"", 0}), piece))
            k++;
        if (k == n) fail_msg("%s: piece %zu \"%.*s\" is not the library's", where, i, (int)piece.n, piece.p);
        const double mine = as_json_real(as_json_at(as_json_at(got, i), 1), 0),
                     theirs = as_json_real(as_json_at(scores, k), 0);
        if (i != k && fabs(mine - theirs) > 0.03) fail_msg("%s: piece %zu, want %zu", where, i, k);
        if (fabs(mine - theirs) > 0.03)
            fail_msg("%s: \"%.*s\" has %.6f, want %.6f", where, (int)piece.n, piece.p, mine, theirs);
    }
}

static void check_record(const as_json *r, as_str text, const char *where) {
    as_token_train_opts o = opts_of(r);
    as_buf json[2] = {{0}, {0}};
    as_err err = {0};
    for (int k = 0; k < 2; k++) {
        o.threads = k == 0 ? 1 : 3;
        if (learn(&json[k], &o, text, &err)) fail_msg("%s: %s", where, err.msg);
    }
    if (json[0].n != json[1].n || memcmp(json[0].p, json[1].p, json[0].n) != 0)
        fail_msg("%s: three threads learn something else", where);
    as_json *root = parsed(&json[0]);
    const as_json *model = as_json_get(root, "model");
    if (o.model == AS_TOKEN_UNIGRAM)
        check_scores(model, r, where);
    else
        check_vocab(model, r, where);
    if (o.model == AS_TOKEN_BPE) check_merges(model, r, where);
    as_json_free(root);
    as_buf_free(&json[0]), as_buf_free(&json[1]);
}

static as_buf read_golden(const char *name) {
    as_buf b = {0};
    as_err err = {0};
    if (as_file_read(&b, name, 0, &err)) fail_msg("%s", err.msg);
    return b;
}

static void test_train_learns_what_the_library_learns_on_any_threads(void **state) {
    (void)state;
    as_buf text = read_golden(GOLDEN "corpus.txt"), records = read_golden(GOLDEN "train.jsonl");
    int line = 0;
    for (size_t i = 0; i < records.n; line++) {
        const char *nl = memchr(records.p + i, '\n', records.n - i);
        assert_non_null(nl);
        as_json *r = NULL;
        as_err err = {0};
        char where[64];
        snprintf(where, sizeof where, "train.jsonl:%d", line + 1);
        if (as_json_parse(&r, (as_str){records.p + i, (size_t)(nl - records.p) - i}, where, 0, &err))
            fail_msg("%s", err.msg);
        check_record(r, as_buf_view(&text), where);
        as_json_free(r);
        i = (size_t)(nl - records.p) + 1;
    }
    assert_int_equal(line, 11);
    as_buf_free(&text), as_buf_free(&records);
}

/* ---- many texts: several batches and chunks ---- */
static void test_train_counts_over_many_batches_like_over_one(void **state) {
    (void)state;
    as_buf text = read_golden(GOLDEN "corpus.txt"), once = {0}, many = {0};
    as_err err = {0};
    as_token_trained a, b;
    lines l = {.text = as_buf_view(&text), .times = 1}, m = {.text = as_buf_view(&text), .times = 4000};
    as_token_train_opts o = {.vocab_size = 400, .threads = 2};
    assert_int_equal(as_tokenizer_train(&once, &o, next_line, &l, &a, &err), AS_OK);
    assert_int_equal(as_tokenizer_train(&many, &o, next_line, &m, &b, &err), AS_OK);
    assert_int_equal(b.texts, 4000 * a.texts);
    assert_int_equal(b.words, 4000 * a.words);
    assert_int_equal(a.distinct, b.distinct);
    assert_string_equal(once.p, many.p); /* only proportions count */
    as_buf_free(&text), as_buf_free(&once), as_buf_free(&many);
}

/* ---- files ---- */
static const struct {
    as_token_model model;
    int64_t size;
    const char *text;
} folders[] = {
    {AS_TOKEN_WORDPIECE, 400, "the cat 黄河 sat"},
    {AS_TOKEN_BPE, 400, "the cat 黄河 sat\n"},
    {AS_TOKEN_UNIGRAM, 320, "the cat 黄河 sat"},
};

static void test_train_folder_is_read_back_with_its_roles(void **state) {
    (void)state;
    as_buf text = read_golden(GOLDEN "corpus.txt");
    for (size_t i = 0; i < AS_COUNT(folders); i++) {
        char dir[] = "/tmp/assay-train-XXXXXX";
        assert_non_null(mkdtemp(dir));
        as_buf json = {0}, back = {0};
        as_err err = {0};
        const as_token_train_opts o = {.model = folders[i].model, .vocab_size = folders[i].size};
        assert_int_equal(learn(&json, &o, as_buf_view(&text), &err), AS_OK);
        assert_int_equal(as_tokenizer_write(dir, as_buf_view(&json), &o, &err), AS_OK);
        as_tokenizer *t = NULL;
        if (as_tokenizer_open(&t, dir, &err)) fail_msg("%s", err.msg);
        assert_int_equal(as_tokenizer_vocab_size(t), folders[i].size);
        for (as_special s = AS_TOKEN_PAD; s <= AS_TOKEN_MASK; s++)
            assert_in_range(as_tokenizer_special(t, s), 0, 4);
        as_tokens e = {0};
        assert_int_equal(as_encode(t, as_str_of(folders[i].text), NULL, NULL, &e, &err), AS_OK);
        assert_int_equal(e.ids[0], as_tokenizer_special(t, AS_TOKEN_CLS));
        assert_int_equal(e.ids[e.n - 1], as_tokenizer_special(t, AS_TOKEN_SEP));
        assert_int_equal(as_decode(t, e.ids, e.n, true, &back, &err), AS_OK);
        if (folders[i].model != AS_TOKEN_WORDPIECE) assert_string_equal(back.p, folders[i].text);
        static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                            "special_tokens_map.json", "vocab.txt"};
        for (size_t k = 0; k < AS_COUNT(names); k++) {
            char *path = as_path_join(dir, names[k]);
            assert_int_equal(as_file_exists(path), k < 3 || folders[i].model == AS_TOKEN_WORDPIECE);
            as_free(path);
        }
        as_tokens_free(&e);
        as_tokenizer_free(t);
        as_dir_remove(dir);
        as_buf_free(&json), as_buf_free(&back);
    }
    as_buf_free(&text);
}

/* ---- errors ---- */
static const char *const two[] = {"[UNK]", "[UNK]"}, *const none[] = {"<s>"}, *const unk[] = {"[UNK]", "<unk>"};
static const struct {
    as_token_train_opts o;
    const char *text, *msg;
} bad[] = {
    {{.vocab_size = 100}, "", "there is no text to learn from"},
    {{.vocab_size = 100}, " \n\n \n", "there is no text to learn from: 3 texts"},
    {{.vocab_size = 3}, "a", "cannot hold 5 special tokens"},
    {{.vocab_size = -1}, "a", "a vocabulary of -1 pieces"},
    {{.special = two, .special_count = 2}, "a", "\"[UNK]\" is given twice"},
    {{.special = none, .special_count = 1}, "a", "needs a token for unknown words"},
    {{.model = AS_TOKEN_UNIGRAM, .special = none, .special_count = 1}, "a", "needs a token for unknown"},
    {{.model = AS_TOKEN_UNIGRAM, .vocab_size = 7, .special = unk, .special_count = 2}, "abcdefgh",
     "have 9 different characters, more than the 7"},
};

static void test_train_bad_requests_give_one_error(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        as_buf json = {0};
        as_err err = {0};
        assert_int_equal(learn(&json, &bad[i].o, as_str_of(bad[i].text), &err), AS_USAGE);
        if (strstr(err.msg, bad[i].msg) == NULL) fail_msg("\"%s\" lacks \"%s\"", err.msg, bad[i].msg);
        as_buf_free(&json);
    }
}

/* Tiny texts do not confuse anyone. */
static void test_train_takes_texts_of_one_character(void **state) {
    (void)state;
    static const char *const texts[] = {"a", "黄", "a a a", "\xF0\x9F\x98\x80", "ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (int m = 0; m < 3; m++)
        for (size_t i = 0; i < AS_COUNT(texts); i++) {
            as_buf json = {0};
            as_err err = {0};
            as_tokenizer *t = NULL;
            const as_token_train_opts o = {.model = (as_token_model)m, .vocab_size = 400};
            if (learn(&json, &o, as_str_of(texts[i]), &err)) fail_msg("%s: %s", texts[i], err.msg);
            if (as_tokenizer_parse(&t, as_buf_view(&json), "t", &err)) fail_msg("%s", err.msg);
            as_tokenizer_free(t);
            as_buf_free(&json);
        }
}

static bool stop_at_once(void *ctx, const char *stage, int64_t done, int64_t total) {
    (void)stage, (void)done, (void)total;
    ++*(int *)ctx;
    return false;
}
static void test_train_stops_when_told(void **state) {
    (void)state;
    for (int m = 0; m < 3; m++) {
        int calls = 0;
        as_buf json = {0};
        as_err err = {0};
        const as_token_train_opts o = {.model = (as_token_model)m, .progress = stop_at_once, .progress_ctx = &calls};
        assert_int_equal(learn(&json, &o, AS_LIT("some text"), &err), AS_INTERRUPTED);
        assert_int_equal(calls, 1);
        as_buf_free(&json);
    }
}

static void test_train_survives_every_failing_allocation(void **state) {
    (void)state;
    const as_str text = AS_LIT("ab abc abcd abcde bcde cde de ab abc\nxy xyz xyzxyz");
    const int64_t live = as_mem_live_blocks();
    for (int m = 0; m < 3; m++) {
        bool done = false;
        for (int64_t n = 1; !done; n++) {
            as_buf json = {0};
            as_err err = {0};
            const as_token_train_opts o = {.model = (as_token_model)m, .vocab_size = 300, .threads = 1};
            as_mem_fail_after(n);
            const as_status s = learn(&json, &o, text, &err);
            as_mem_fail_after(0);
            done = s == AS_OK;
            if (!done) assert_int_equal(s, AS_NOMEM);
            as_buf_free(&json);
            if (as_mem_live_blocks() != live) fail_msg("model %d: blocks are left after failure %" PRId64, m, n);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_learns_what_the_library_learns_on_any_threads),
        cmocka_unit_test(test_train_counts_over_many_batches_like_over_one),
        cmocka_unit_test(test_train_folder_is_read_back_with_its_roles),
        cmocka_unit_test(test_train_bad_requests_give_one_error),
        cmocka_unit_test(test_train_takes_texts_of_one_character),
        cmocka_unit_test(test_train_stops_when_told),
        cmocka_unit_test(test_train_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
