#include "data/batch.h"
#include "data/data_check.h"

static const char tokenizer_json[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},"
    "{\"id\":1,\"content\":\"[UNK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},"
    "{\"id\":2,\"content\":\"[CLS]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true},"
    "{\"id\":3,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
    "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"good\":4,\"bad\":5,"
    "\"film\":6,\"##s\":7}}}";

static as_tokenizer *tokenizer(void) {
    as_tokenizer *t = NULL;
    as_err err = {0};
    must(as_tokenizer_parse(&t, as_str_of(tokenizer_json), "tokenizer.json", &err), err);
    return t;
}

static void check_sequence(const as_encoded *e, int64_t i, const int32_t *ids, const int32_t *types, int64_t n) {
    assert_int_equal(e->offset[i + 1] - e->offset[i], n);
    assert_memory_equal(e->ids + e->offset[i], ids, (size_t)n * sizeof *ids);
    assert_memory_equal(e->types + e->offset[i], types, (size_t)n * sizeof *types);
}

static void test_batch_encoding_packs_sequences_end_to_end(void **state) {
    (void)state;
    as_tokenizer *tok = tokenizer();
    as_records r;
    as_err err;
    as_encoded e;
    const as_data_cols opts = {.pair = "pair"};
    must(read_text(&r, "d.csv", "text,pair\ngood films,bad\n,\nbad bad bad bad,film\n", &opts, NULL, &err), err);
    must(as_encode_records(&e, tok, &r, 6, 2, &err), err);
    assert_int_equal(e.n, 3);
    assert_int_equal(e.offset[0], 0);
    check_sequence(&e, 0, (const int32_t[]){2, 4, 6, 3, 5, 3}, (const int32_t[]){0, 0, 0, 0, 1, 1}, 6); /* one cut off */
    check_sequence(&e, 1, (const int32_t[]){2, 3, 3}, (const int32_t[]){0, 0, 1}, 3);
    check_sequence(&e, 2, (const int32_t[]){2, 5, 5, 3, 6, 3}, (const int32_t[]){0, 0, 0, 0, 1, 1}, 6);
    assert_true(e.truncated[0] && !e.truncated[1] && e.truncated[2]);
    assert_true(e.truncated_count == 2 && e.tokens == 15 && e.max_len == 6);
    as_encoded_free(&e);
    must(as_encode_records(&e, tok, &r, 0, 1, &err), err);
    assert_true(e.truncated_count == 0 && e.max_len == 8);
    check_sequence(&e, 0, (const int32_t[]){2, 4, 6, 7, 3, 5, 3}, (const int32_t[]){0, 0, 0, 0, 0, 1, 1}, 7);
    as_encoded_free(&e);
    as_encoded_free(NULL);
    as_records_free(&r);
    as_tokenizer_free(tok);
}

static bool same(const as_encoded *a, const as_encoded *b) {
    const size_t bytes = (size_t)a->tokens * sizeof *a->ids;
    return a->n == b->n && a->tokens == b->tokens && a->max_len == b->max_len &&
           a->truncated_count == b->truncated_count &&
           memcmp(a->offset, b->offset, (size_t)(a->n + 1) * sizeof *a->offset) == 0 &&
           memcmp(a->truncated, b->truncated, (size_t)a->n) == 0 && memcmp(a->ids, b->ids, bytes) == 0 &&
           memcmp(a->types, b->types, bytes) == 0;
}

/* Over many chunks and uneven lengths: as one thread, and as the tokenizer itself, record by record. */
static void check_threads(const as_tokenizer *tok, const as_records *r, int64_t max_length) {
    as_encoded one;
    as_err err = {0};
    as_tokens t = {0};
    const as_encode_opts opts = {.max_length = max_length};
    must(as_encode_records(&one, tok, r, max_length, 1, &err), err);
    for (int threads = 2; threads <= 4; threads++) {
        as_encoded e;
        must(as_encode_records(&e, tok, r, max_length, threads, &err), err);
        assert_true(same(&one, &e));
        as_encoded_free(&e);
    }
    for (int64_t i = 0; i < r->n; i++) {
        must(as_encode(tok, r->v[i].text, NULL, &opts, &t, &err), err);
        check_sequence(&one, i, t.ids, t.type_ids, t.n);
        assert_int_equal(one.truncated[i], t.overflow > 0);
    }
    as_tokens_free(&t);
    as_encoded_free(&one);
}

static void test_batch_encoding_does_not_depend_on_threads(void **state) {
    (void)state;
    as_tokenizer *tok = tokenizer();
    as_buf csv = {0};
    as_records r;
    as_err err;
    const as_data_cols opts = {0};
    static const char *const words[] = {"good", "films", "bad", "film", "unheard"};
    as_buf_str(&csv, "text\n");
    for (int i = 0; i < 1000; i++) {
        as_buf_str(&csv, "good");
        for (int k = 0; k < i * 37 % 61; k++) as_buf_fmt(&csv, " %s", words[(i + k * k) % 5]);
        as_buf_char(&csv, '\n');
    }
    must(read_text(&r, "d.csv", csv.p, &opts, NULL, &err), err);
    check_threads(tok, &r, 32);
    as_records_free(&r);
    as_buf_free(&csv);
    as_tokenizer_free(tok);
}

static void test_batch_encoding_of_real_text_by_a_real_tokenizer(void **state) {
    (void)state;
    char room[512], dir[512];
    const char *path = data_file(room, sizeof room, "sst/stsa.binary.dev"), *models = getenv("ASSAY_MODELS");
    if (!path || !models) skip();
    as_tokenizer *tok = NULL;
    as_records r;
    as_err err = {0};
    const as_data_cols opts = {.table = {.sep = ' ', .max_split = 1, .no_header = true, .columns = "label,text"}};
    snprintf(dir, sizeof dir, "%s/all-MiniLM-L6-v2", models);
    if (as_tokenizer_open(&tok, dir, &err) == AS_IO) skip();
    assert_non_null(tok);
    must(as_records_open(&r, path, &opts, NULL, &err), err);
    check_threads(tok, &r, 0);
    check_threads(tok, &r, 20);
    as_records_free(&r);
    as_tokenizer_free(tok);
}

static void test_batch_encoding_survives_failing_allocations(void **state) {
    (void)state;
    as_tokenizer *tok = tokenizer();
    as_records r;
    as_err err;
    const as_data_cols opts = {0};
    must(read_text(&r, "d.csv", "text\ngood film\nbad\n", &opts, NULL, &err), err);
    const int64_t live = as_mem_live_blocks();
    for (int64_t n = 1;; n++) {
        as_encoded e;
        as_mem_fail_after(n);
        const as_status status = as_encode_records(&e, tok, &r, 8, 1, &err);
        as_mem_fail_after(0);
        as_encoded_free(&e);
        assert_int_equal(as_mem_live_blocks(), live);
        if (status == AS_OK) {
            assert_true(n > 8);
            break;
        }
        assert_int_equal(status, AS_NOMEM);
    }
    as_records_free(&r);
    as_tokenizer_free(tok);
}

/* ---- batches ---- */

/* A data set of given lengths, without tokens. */
static as_encoded of_lengths(const int64_t *length, int64_t n, int64_t *offset) {
    as_encoded e = {.offset = offset, .n = n};
    offset[0] = 0;
    for (int64_t i = 0; i < n; i++) offset[i + 1] = offset[i] + length[i];
    return e;
}

static void test_batch_cut_is_by_length_then_index(void **state) {
    (void)state;
    static const struct { const char *name; int64_t length[8], n, max; const char *want; } cases[] = {
        {"fits in one", {3, 5, 4}, 3, 12, "1 2 0 |"},
        {"ties by index", {4, 4, 4, 4, 4}, 5, 8, "0 1 | 2 3 | 4 |"},
        {"longest first", {1, 9, 2, 7, 2}, 5, 10, "1 | 3 2 | 4 0 |"},
        {"one too long is alone", {2, 50, 3}, 3, 10, "1 | 2 0 |"},
        {"all too long", {11, 12, 13}, 3, 10, "2 | 1 | 0 |"},
        {"one token", {1, 1, 1}, 3, 1, "0 | 1 | 2 |"},
        {"exact", {5, 5, 6, 4}, 4, 10, "2 | 0 1 | 3 |"},
        {"empty sequences ride along", {0, 12, 0}, 3, 10, "1 | 0 2 |"},
        {"none", {0}, 0, 10, ""},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        int64_t offset[9];
        as_batches b;
        as_err err = {0};
        as_buf got = {0};
        const as_encoded e = of_lengths(cases[i].length, cases[i].n, offset);
        must(as_batches_make(&b, &e, NULL, 0, cases[i].max, &err), err);
        for (int64_t k = 0; k < b.count; k++) {
            assert_true(b.begin[k] < b.begin[k + 1]);
            for (int64_t j = b.begin[k]; j < b.begin[k + 1]; j++) as_buf_fmt(&got, "%" PRId64 " ", b.item[j]);
            as_buf_str(&got, k + 1 < b.count ? "| " : "|");
        }
        if (!as_str_is(as_buf_view(&got), cases[i].want)) fail_msg("%s: %s", cases[i].name, got.p);
        assert_int_equal(b.begin[b.count], cases[i].n);
        as_buf_free(&got);
        as_batches_free(&b);
    }
}

static void test_batch_cut_takes_a_part_in_any_order(void **state) {
    (void)state;
    static const int64_t length[] = {5, 9, 2, 7, 7, 1}, part[] = {4, 0, 3, 5}, turned[] = {5, 3, 0, 4};
    int64_t offset[7];
    as_batches a, b;
    as_err err = {0};
    const as_encoded e = of_lengths(length, 6, offset);
    must(as_batches_make(&a, &e, part, 4, 14, &err), err);
    must(as_batches_make(&b, &e, turned, 4, 14, &err), err);
    assert_int_equal(a.count, 2);
    assert_memory_equal(a.item, ((const int64_t[]){3, 4, 0, 5}), 4 * sizeof(int64_t));
    assert_memory_equal(a.begin, ((const int64_t[]){0, 2, 4}), 3 * sizeof(int64_t));
    assert_memory_equal(a.item, b.item, 4 * sizeof(int64_t));
    as_batches_free(&a);
    as_batches_free(&b);
    assert_int_equal(as_batches_make(&a, &e, NULL, 0, 0, &err), AS_USAGE);
    assert_non_null(strstr(err.hint, "--batch-tokens"));
    as_batches_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_batch_encoding_packs_sequences_end_to_end),
        TEST(test_batch_encoding_does_not_depend_on_threads),
        TEST(test_batch_encoding_of_real_text_by_a_real_tokenizer),
        TEST(test_batch_encoding_survives_failing_allocations),
        TEST(test_batch_cut_is_by_length_then_index),
        TEST(test_batch_cut_takes_a_part_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
