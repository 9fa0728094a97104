/* test_tokenizer.c: what tokenizer.h promises beside the library's results: errors, folders, roles,
 * limits, memory. */
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "token/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/token/"

static as_tokenizer *open_golden(const char *name) {
    as_tokenizer *t = NULL;
    as_err err = {0};
    as_buf text = {0};
    assert_int_equal(as_file_read(&text, name, 0, &err), AS_OK);
    if (as_tokenizer_parse(&t, as_buf_view(&text), name, &err)) fail_msg("%s", err.msg);
    as_buf_free(&text);
    return t;
}

/* ---- errors ---- */
#define WORD_LEVEL                                                                                 \
    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1}}"
static const struct {
    const char *json, *msg, *hint;
} bad_files[] = {
    {"{}", "t.json: there is no \"model\"", ""},
    {"{\"model\":{\"type\":\"Bigram\"}}", "t.json: model \"Bigram\" is not supported",
     "WordLevel, WordPiece"},
    {"{\"normalizer\":{\"type\":\"Nmt2\"}," WORD_LEVEL "}",
     "t.json: normalizer \"Nmt2\" is not supported", "BertNormalizer"},
    {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt2\"}]}," WORD_LEVEL
     "}",
     "normalizer \"Nmt2\"", "NFKC"},
    {"{\"pre_tokenizer\":{\"type\":\"Cut\"}," WORD_LEVEL "}", "pre-tokenizer \"Cut\"",
     "WhitespaceSplit"},
    {"{\"post_processor\":{\"type\":\"Cut\"}," WORD_LEVEL "}", "post-processor \"Cut\"",
     "TemplateProcessing"},
    {"{\"decoder\":{\"type\":\"Cut\"}," WORD_LEVEL "}", "decoder \"Cut\"", "Fuse"},
    {"{\"normalizer\":{\"strip\":1}," WORD_LEVEL "}", "the normalizer has no \"type\"", ""},
    {"{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":3}," WORD_LEVEL "}",
     "\"lowercase\" must be true or false", ""},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a(\"},\"content\":\"\"}"
     "," WORD_LEVEL "}",
     "the regular expression \"a(\" is not one", ""},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Cut\"}," WORD_LEVEL
     "}",
     "Split: unknown behavior \"Cut\"", ""},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," WORD_LEVEL "}",
     "replacement must be one character", ""},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}," WORD_LEVEL
     "}",
     "unknown prepend_scheme \"last\"", ""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":3}}", "model.merges must be a list",
     ""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]}}",
     "model.merges: number 1 is not a pair", ""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\"]]}}",
     "number 1 has a piece that the vocabulary lacks", ""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}",
     "number 1 makes a piece that the vocabulary lacks", ""},
    {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}}",
     "dropout is not supported", ""},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", "model.vocab must be a list", ""},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", "number 1 is not [piece, score]", ""},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}", "\"unk_id\" must be", ""},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":[1]}}", "model.vocab must be an object", ""},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":4000000000}}}",
     "id of \"a\" is not a number", ""},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":-1}}}", "id of \"a\" is not a number",
     ""},
    {"{\"added_tokens\":[{\"content\":3}]," WORD_LEVEL "}", "\"content\" must be a string", ""},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"[X]\",\"type_id\":0}}],\"pair\":[],"
     "\"special_tokens\":{}}," WORD_LEVEL "}",
     "the template uses \"[X]\"", ""},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":\"x\"}," WORD_LEVEL "}",
     "post_processor.cls must be [token, id]", ""},
    {"{", "t.json", ""},
};

static void test_token_bad_files_give_one_error_that_names_the_part(void **state) {
    (void)state;
    const int64_t live = as_mem_live_blocks();
    for (size_t i = 0; i < AS_COUNT(bad_files); i++) {
        as_tokenizer *t = NULL;
        as_err err = {0};
        assert_int_equal(as_tokenizer_parse(&t, as_str_of(bad_files[i].json), "t.json", &err),
                         AS_FORMAT);
        assert_null(t);
        if (strstr(err.msg, bad_files[i].msg) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", err.msg, bad_files[i].msg);
        if (strstr(err.hint, bad_files[i].hint) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", err.hint, bad_files[i].hint);
    }
    assert_int_equal(as_mem_live_blocks(), live);
}

static as_status no_window(void *ctx, const as_tokens *w, as_err *err) {
    return (void)ctx, (void)w, (void)err, AS_OK;
}

static const struct {
    const char *text, *pair;
    as_encode_opts o;
    bool windows;
    as_status want;
    const char *msg;
} limits[] = {
    {"a b c", NULL, {.max_length = 1}, false, AS_USAGE, "leaves no room"},
    {"a b c", NULL, {.max_length = 2}, false, AS_OK, ""},
    {"a b c", NULL, {.max_length = 2, .stride = 1}, true, AS_USAGE, "cannot overlap"},
    {"a b c", NULL, {.max_length = 4, .stride = 2}, true, AS_USAGE, "cannot overlap"},
    {"a b c",
     NULL,
     {.max_length = 4, .strategy = AS_TRUNCATE_ONLY_SECOND},
     false,
     AS_USAGE,
     "needs a second text"},
    {"a",
     "a b c d",
     {.max_length = 4, .strategy = AS_TRUNCATE_ONLY_FIRST},
     false,
     AS_USAGE,
     "the first text has 1 tokens"},
    {"a", NULL, {.max_length = -1}, false, AS_USAGE, "cannot be negative"},
    {"a b",
     NULL,
     {.max_length = 4, .strategy = AS_TRUNCATE_ONLY_SECOND},
     false,
     AS_OK,
     ""}, /* fits: nothing to cut */
};

static void test_token_impossible_lengths_are_refused(void **state) {
    (void)state;
    as_tokenizer *t = open_golden(GOLDEN "uncased.json");
    for (size_t i = 0; i < AS_COUNT(limits); i++) {
        as_tokens out = {0};
        as_err err = {0};
        const as_str pair = as_str_of(limits[i].pair), *p = limits[i].pair != NULL ? &pair : NULL;
        const as_str text = as_str_of(limits[i].text);
        const as_status got = limits[i].windows ? as_encode_windows(t, text, p, &limits[i].o, &out,
                                                                    no_window, NULL, &err)
                                                : as_encode(t, text, p, &limits[i].o, &out, &err);
        assert_int_equal(got, limits[i].want);
        if (strstr(err.msg, limits[i].msg) == NULL) fail_msg("case %zu: \"%s\"", i, err.msg);
        as_tokens_free(&out);
    }
    as_tokenizer_free(t);
}

static void test_token_truncation_counts_what_it_drops(void **state) {
    (void)state;
    as_tokenizer *t = open_golden(GOLDEN "uncased.json");
    as_tokens out = {0};
    as_err err = {0};
    const as_str pair = AS_LIT("a b c d");
    assert_int_equal(
        as_encode(t, AS_LIT("a b c d e f"), &pair, &(as_encode_opts){.max_length = 9}, &out, &err),
        AS_OK);
    assert_int_equal(out.n, 9);
    assert_int_equal(out.overflow, 4);
    assert_int_equal(
        as_encode(t, AS_LIT("a b"), NULL, &(as_encode_opts){.max_length = 4}, &out, &err), AS_OK);
    assert_int_equal(out.overflow, 0);
    as_tokens_free(&out);
    as_tokenizer_free(t);
}

static void test_token_unknown_word_without_unknown_token_is_an_error(void **state) {
    (void)state;
    as_tokenizer *t = NULL;
    as_err err = {0};
    as_tokens out = {0};
    assert_int_equal(
        as_tokenizer_parse(&t, AS_LIT("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}"),
                           "t.json", &err),
        AS_OK);
    assert_int_equal(as_encode(t, AS_LIT("a"), NULL, NULL, &out, &err), AS_OK);
    assert_int_equal(out.n, 1);
    assert_int_equal(as_encode(t, AS_LIT("b"), NULL, NULL, &out, &err), AS_FORMAT);
    assert_non_null(strstr(err.msg, "[UNK]"));
    as_tokens_free(&out);
    as_tokenizer_free(t);
}

/* ---- folders ---- */
static void test_token_folder_without_tokenizer_json_knows_roles_and_copies(void **state) {
    (void)state;
    as_tokenizer *t = NULL, *copy = NULL;
    as_err err = {0};
    if (as_tokenizer_open(&t, GOLDEN "bert_files", &err)) fail_msg("%s", err.msg);
    assert_int_equal(as_tokenizer_model_max(t), 512);
    assert_int_equal(as_tokenizer_special(t, AS_TOKEN_PAD), 0);
    assert_int_equal(as_tokenizer_special(t, AS_TOKEN_UNK), 1);
    assert_int_equal(as_tokenizer_special(t, AS_TOKEN_CLS), 2);
    assert_int_equal(as_tokenizer_special(t, AS_TOKEN_SEP), 3);
    assert_int_equal(as_tokenizer_special(t, AS_TOKEN_BOS), -1);
    const int32_t mask =
        as_tokenizer_special(t, AS_TOKEN_MASK); /* not in vocab.txt: given an id after it */
    assert_true(as_str_is(as_tokenizer_piece(t, mask), "<mask>"));
    assert_int_equal(as_tokenizer_id(t, AS_LIT("<mask>")), mask);
    assert_int_equal(as_tokenizer_id(t, AS_LIT("the")), 30); /* the later of two lines */
    assert_int_equal(as_tokenizer_piece(t, 1 << 20).n, 0);
    assert_int_equal(as_tokenizer_id(t, AS_LIT("no such piece")), -1);

    char dir[] = "/tmp/assay-token-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(as_tokenizer_copy(t, dir, &err), AS_OK);
    if (as_tokenizer_open(&copy, dir, &err)) fail_msg("%s", err.msg);
    assert_true(copy->identity == t->identity);
    as_tokenizer_free(copy);
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    assert_false(as_file_exists(path));
    static const char *const files[] = {"vocab.txt", "tokenizer_config.json",
                                        "special_tokens_map.json"};
    for (size_t i = 0; i < AS_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(as_tokenizer_open(&copy, dir, &err), AS_IO);
    assert_null(copy);
    assert_int_equal(rmdir(dir), 0);
    as_tokenizer_free(t);
}

/* ---- offsets ---- */
static void test_token_byte_offsets_become_character_offsets_in_any_order(void **state) {
    (void)state;
    const as_str text = AS_LIT("a\xC3\xA9"
                               "b\xF0\x9F\x98\x80"
                               "c"); /* bytes 0 1 3 4 8 9 */
    uint32_t at[] = {0, 1, 3, 4, 8, 9, 9, 8, 4, 3, 1, 0, 9};
    static const uint32_t want[] = {0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0, 5};
    as_offsets_to_chars(text, at, AS_COUNT(at));
    for (size_t i = 0; i < AS_COUNT(at); i++)
        assert_int_equal(at[i], want[i]);
}

/* ---- the two paths, the cache, memory ---- */
static const char *const shards[] = {"a",
                                     "cat",
                                     "the",
                                     " ",
                                     " ",
                                     "ing",
                                     ".",
                                     "X",
                                     "\xC3\xA9",
                                     "e\xCC\x81",
                                     "\xE4\xB8\xAD",
                                     "\xCC\xA3",
                                     "\0x",
                                     "[MASK]",
                                     "[mask]",
                                     "\xF0\x9D\x85\xA5",
                                     "\xE3\x80\xAE",
                                     "\xC4\xB0",
                                     "\xC2\xAD",
                                     "unaffable",
                                     "'s",
                                     "\xEA\xB0\x81",
                                     "\n"};

static void random_text(as_buf *b, as_rng *r) {
    as_buf_clear(b);
    for (uint64_t n = as_rng_below(r, 30); n > 0; n--) {
        const char *s = shards[as_rng_below(r, AS_COUNT(shards))];
        as_buf_add(b, s, s[0] == '\0' ? 2 : strlen(s));
    }
}

static void same(const as_tokens *a, const as_tokens *b, const as_buf *text) {
    if (a->n != b->n)
        fail_msg("\"%s\": %lld and %lld tokens", text->p, (long long)a->n, (long long)b->n);
    const size_t n = (size_t)a->n;
    if (n == 0) return;
    assert_memory_equal(a->ids, b->ids, n * sizeof *a->ids);
    assert_memory_equal(a->begin, b->begin, n * sizeof *a->begin);
    assert_memory_equal(a->end, b->end, n * sizeof *a->end);
    assert_memory_equal(a->word, b->word, n * sizeof *a->word);
    assert_memory_equal(a->special, b->special, n * sizeof *a->special);
}

static void test_token_fast_path_equals_general_path_on_random_text(void **state) {
    (void)state;
    static const char *const files[] = {GOLDEN "uncased.json", GOLDEN "cased.json"};
    as_rng r = as_rng_at(7, AS_STREAM_SAMPLE, 0);
    as_tokens a = {0}, b = {0};
    as_buf text = {0};
    as_err err = {0};
    for (size_t f = 0; f < AS_COUNT(files);
         f++) { /* the same work space for both: its cache must notice */
        as_tokenizer *fast = open_golden(files[f]), *general = open_golden(files[f]);
        as_tokenizer_force_general(general);
        for (int i = 0; i < 3000; i++) {
            random_text(&text, &r);
            assert_int_equal(as_encode(fast, as_buf_view(&text), NULL, NULL, &a, &err), AS_OK);
            assert_int_equal(as_encode(general, as_buf_view(&text), NULL, NULL, &b, &err), AS_OK);
            same(&a, &b, &text);
        }
        as_tokenizer_free(fast), as_tokenizer_free(general);
    }
    as_tokens_free(&a), as_tokens_free(&b);
    as_buf_free(&text);
}

static void test_token_steady_state_allocates_nothing(void **state) {
    (void)state;
    as_tokenizer *t = open_golden(GOLDEN "uncased.json");
    as_tokens out = {0};
    as_err err = {0};
    const as_str text = AS_LIT("The un\xC3\xA0"
                               "ffable cat, [MASK] playing \xE4\xB8\xAD\xE6\x96\x87.");
    for (int i = 0; i < 3; i++) {
        as_mem_fail_after(i > 0 ? 1 : 0);
        const as_status s =
            as_encode(t, text, &text, &(as_encode_opts){.max_length = 20}, &out, &err);
        as_mem_fail_after(0);
        assert_int_equal(s, AS_OK);
    }
    as_tokens_free(&out);
    as_tokenizer_free(t);
}

static as_status whole_life(const char *path, as_err *err) {
    as_tokenizer *t = NULL;
    as_tokens out = {0};
    as_buf file = {0}, back = {0};
    as_status s =
        as_dir_exists(path) ? as_tokenizer_open(&t, path, err) : as_file_read(&file, path, 0, err);
    if (s == AS_OK && t == NULL) s = as_tokenizer_parse(&t, as_buf_view(&file), path, err);
    const as_str text = AS_LIT("The un\xC3\xA0"
                               "ffable cat plays \xE4\xB8\xAD.");
    if (s == AS_OK)
        s = as_encode_windows(t, text, &text, &(as_encode_opts){.max_length = 12, .stride = 1},
                              &out, no_window, NULL, err);
    if (s == AS_OK) s = as_decode(t, out.ids, out.n, true, &back, err);
    as_tokens_free(&out);
    as_tokenizer_free(t);
    as_buf_free(&file), as_buf_free(&back);
    return s;
}

static void test_token_every_failed_allocation_is_a_clean_error(void **state) {
    (void)state;
    static const char *const paths[] = {GOLDEN "words.json", GOLDEN "uncased.json",
                                        GOLDEN "bert_files"};
    for (size_t p = 0; p < AS_COUNT(paths); p++) {
        const int64_t live = as_mem_live_blocks();
        int failed = 0;
        as_status s = AS_NOMEM;
        for (int64_t n = 1; n <= 150;
             n++) { /* a success means that a smaller block served, or that n is past the end */
            as_err err = {0};
            as_mem_fail_after(n);
            s = whole_life(paths[p], &err);
            as_mem_fail_after(0);
            if (s != AS_OK && s != AS_NOMEM)
                fail_msg("%s, allocation %lld: %s", paths[p], (long long)n, err.msg);
            failed += s == AS_NOMEM;
            assert_int_equal(as_mem_live_blocks(), live);
        }
        assert_int_equal(s, AS_OK);
        assert_true(failed > 20);
    }
}

/* ---- a real vocabulary ---- */
static void test_token_real_vocabulary_gives_known_ids(void **state) {
    (void)state;
    const char *models = getenv("ASSAY_MODELS");
    char dir[512];
    snprintf(dir, sizeof dir, "%s/all-MiniLM-L6-v2", models != NULL ? models : "");
    if (models == NULL || !as_dir_exists(dir)) skip();
    as_tokenizer *t = NULL;
    as_err err = {0};
    as_tokens out = {0};
    if (as_tokenizer_open(&t, dir, &err)) fail_msg("%s", err.msg);
    assert_int_equal(as_tokenizer_vocab_size(t), 30522);
    assert_int_equal(as_tokenizer_model_max(t), 512);
    assert_int_equal(as_encode(t, AS_LIT("Hello, unaffable world!"), NULL, NULL, &out, &err),
                     AS_OK);
    static const int32_t want[] = {101, 7592, 1010, 14477, 20961, 3468, 2088, 999, 102};
    assert_int_equal(out.n, AS_COUNT(want));
    assert_memory_equal(out.ids, want, sizeof want);
    as_tokens_free(&out);
    as_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_bad_files_give_one_error_that_names_the_part),
        cmocka_unit_test(test_token_impossible_lengths_are_refused),
        cmocka_unit_test(test_token_truncation_counts_what_it_drops),
        cmocka_unit_test(test_token_unknown_word_without_unknown_token_is_an_error),
        cmocka_unit_test(test_token_folder_without_tokenizer_json_knows_roles_and_copies),
        cmocka_unit_test(test_token_byte_offsets_become_character_offsets_in_any_order),
        cmocka_unit_test(test_token_fast_path_equals_general_path_on_random_text),
        cmocka_unit_test(test_token_steady_state_allocates_nothing),
        cmocka_unit_test(test_token_every_failed_allocation_is_a_clean_error),
        cmocka_unit_test(test_token_real_vocabulary_gives_known_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
