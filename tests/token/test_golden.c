/* test_golden.c: what the `tokenizers` library made of hard inputs (tests/golden/token/make.py),
 * over both paths. */
#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "token/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN "tests/golden/token/"

static as_status fill(const char *name, as_tokenizer **t, as_err *err) {
    char path[200];
    snprintf(path, sizeof path, GOLDEN "%s.json", name);
    if (!as_file_exists(path)) {
        snprintf(path, sizeof path, GOLDEN "%s", name);
        return as_tokenizer_open(t, path, err);
    }
    as_buf text = {0};
    as_status s = as_file_read(&text, path, 0, err);
    if (s == AS_OK) s = as_tokenizer_parse(t, as_buf_view(&text), path, err);
    as_buf_free(&text);
    return s;
}

/* One window as the goldens have it. */
static void render(as_buf *out, const as_tokens *t, as_str text, as_str pair) {
    as_buf_char(out, '[');
    uint32_t *at = as_alloc((size_t)t->n * 2 + 1, sizeof *at);
    assert_non_null(at);
    for (int64_t i = 0; i < t->n; i++)
        at[2 * i] = t->begin[i], at[2 * i + 1] = t->end[i];
    for (int64_t i = 0;
         i < t->n;) { /* runs of one sequence, so that long texts convert in linear time */
        int64_t k = i;
        while (k < t->n && t->sequence[k] == t->sequence[i])
            k++;
        as_offsets_to_chars(t->sequence[i] == 1 ? pair : text, at + 2 * i, 2 * (k - i));
        i = k;
    }
    for (int64_t i = 0; i < t->n; i++)
        as_buf_fmt(out, "%s[%d,%d,%u,%u,%d,%d]", i > 0 ? "," : "", t->ids[i], t->type_ids[i],
                   at[2 * i], at[2 * i + 1], t->word[i], t->special[i]);
    as_free(at);
    as_buf_char(out, ']');
}

typedef struct seen {
    as_buf out;
    as_str text, pair;
    int windows;
} seen;

static as_status collect(void *ctx, const as_tokens *w, as_err *err) {
    (void)err;
    seen *s = ctx;
    if (s->windows++ > 0) as_buf_char(&s->out, ',');
    render(&s->out, w, s->text, s->pair);
    return AS_OK;
}

static as_str str_of(const as_json *v, as_buf *scratch) {
    const as_json *rep = as_json_get(v, "rep");
    if (rep == NULL) return as_json_str(v, (as_str){"", 0});
    const as_str unit = as_json_str(as_json_at(rep, 0), (as_str){"", 0});
    for (int64_t i = 0; i < as_json_int(as_json_at(rep, 1), 0); i++)
        as_buf_add(scratch, unit.p, unit.n);
    return as_buf_view(scratch);
}

static as_encode_opts opts_of(const as_json *o) {
    as_encode_opts e = {0};
    if (o == NULL) return e;
    const as_str strategy = as_json_str(as_json_at(o, 2), (as_str){"", 0});
    e.max_length = as_json_int(as_json_at(o, 0), 0);
    e.stride = as_json_int(as_json_at(o, 1), 0);
    if (as_str_is(strategy, "only_first")) e.strategy = AS_TRUNCATE_ONLY_FIRST;
    if (as_str_is(strategy, "only_second")) e.strategy = AS_TRUNCATE_ONLY_SECOND;
    e.truncate_left = as_json_bool(as_json_at(o, 3), false);
    e.no_special = as_json_bool(as_json_at(o, 4), false);
    return e;
}

static void check_encode(const as_tokenizer *t, const as_json *r, as_tokens *work,
                         const char *where) {
    as_err err = {0};
    as_buf scratch = {0}, want = {0};
    seen s = {.text = str_of(as_json_get(r, "t"), &scratch)};
    const as_json *p = as_json_get(r, "p");
    if (p != NULL) s.pair = as_json_str(p, (as_str){"", 0});
    const as_encode_opts o = opts_of(as_json_get(r, "o"));
    if (as_encode_windows(t, s.text, p != NULL ? &s.pair : NULL, &o, work, collect, &s, &err))
        fail_msg("%s: %s", where, err.msg);
    as_buf_char(&s.out, ']');
    const as_json *sha = as_json_get(r, "sha");
    if (sha != NULL) {
        const as_sha256 h = as_sha256_of(s.out.p, s.out.n - 1);
        if (!as_str_is(as_json_str(sha, (as_str){"", 0}), h.hex))
            fail_msg("%s: another result for the long text", where);
    } else {
        as_json_dump(&want, as_json_get(r, "w"), 0);
        /* want is "[[..],..]": our list has no opening bracket */
        if (want.n != s.out.n + 1 || memcmp(want.p + 1, s.out.p, s.out.n) != 0)
            fail_msg("%s: \"%.*s\"\n want %s\n got  [%s", where, (int)s.text.n, s.text.p, want.p,
                     s.out.p);
    }
    as_buf_free(&scratch), as_buf_free(&want), as_buf_free(&s.out);
}

static void check_decode(const as_tokenizer *t, const as_json *r, const char *where) {
    const as_json *list = as_json_get(r, "ids");
    int32_t ids[64];
    const int64_t n = (int64_t)as_json_count(list);
    assert_in_range(n, 1, 64);
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)as_json_int(as_json_at(list, (size_t)i), -1);
    for (int skip = 0; skip < 2; skip++) {
        as_buf out = {0};
        as_err err = {0};
        const as_str want = as_json_str(as_json_get(r, skip ? "s" : "d"), (as_str){"", 0});
        assert_int_equal(as_decode(t, ids, n, skip, &out, &err), AS_OK);
        if (!as_str_eq(as_buf_view(&out), want))
            fail_msg("%s: decoded \"%s\", want \"%.*s\"", where, out.p, (int)want.n, want.p);
        as_buf_free(&out);
    }
}

static void check_file(const char *name, bool general) {
    as_tokenizer *t = NULL;
    as_err err = {0};
    if (fill(name, &t, &err)) fail_msg("%s %s", err.msg, err.hint);
    if (general) as_tokenizer_force_general(t);
    char path[200];
    snprintf(path, sizeof path, GOLDEN "%s.jsonl", name);
    as_buf text = {0};
    assert_int_equal(as_file_read(&text, path, 0, &err), AS_OK);
    as_tokens work = {0};
    int64_t line = 0;
    for (size_t i = 0; i < text.n; line++) {
        const char *nl = memchr(text.p + i, '\n', text.n - i);
        assert_non_null(nl);
        as_json *r = NULL;
        if (as_json_parse(&r, (as_str){text.p + i, (size_t)(nl - text.p) - i}, path, line, &err))
            fail_msg("%s", err.msg);
        char where[240];
        snprintf(where, sizeof where, "%s:%" PRId64, path, line + 1);
        if (as_json_get(r, "ids") != NULL)
            check_decode(t, r, where);
        else
            check_encode(t, r, &work, where);
        as_json_free(r);
        i = (size_t)(nl - text.p) + 1;
    }
    assert_true(line > 60);
    as_tokens_free(&work);
    as_buf_free(&text);
    as_tokenizer_free(t);
}

static const char *const names[] = {"uncased",  "cased",  "chinese", "words",
                                    "bert_files", "bytes",  "roberta", "regex",
                                    "fallback", "suffix", "unigram", "unigram_bytes", "roberta_files"};

static void test_token_results_equal_the_library_on_hard_inputs(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(names); i++)
        check_file(names[i], false);
}
static void test_token_general_path_equals_the_library_on_hard_inputs(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(names); i++)
        check_file(names[i], true);
}
static void test_token_fast_path_is_on_for_bert_and_off_for_the_rest(void **state) {
    (void)state;
    static const bool fast[] = {true, true, false, false,
                                true}; /* "chinese" has a normalised added token */
    for (size_t i = 0; i < AS_COUNT(fast); i++) {
        as_tokenizer *t = NULL;
        as_err err = {0};
        assert_int_equal(fill(names[i], &t, &err), AS_OK);
        assert_int_equal(t->fast.on, fast[i]);
        as_tokenizer_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_results_equal_the_library_on_hard_inputs),
        cmocka_unit_test(test_token_general_path_equals_the_library_on_hard_inputs),
        cmocka_unit_test(test_token_fast_path_is_on_for_bert_and_off_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
