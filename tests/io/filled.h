/* filled.h: the tensors of tests/golden/weights/make.py, whose element i is known by formula. */
#ifndef TESTS_IO_FILLED_H
#define TESTS_IO_FILLED_H

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/weights/"

/* Element i as a number: (i - 3) / 2 for floats, i - 3 for signed integers, i for unsigned, i odd
 * for bool. */
static inline double filled(as_dtype d, int64_t i) {
    if (d == AS_BOOL) return (double)(i % 2);
    if (d == AS_U8) return (double)i;
    const double x = (double)(i - 3);
    return d == AS_F32 || d == AS_F16 || d == AS_BF16 || d == AS_F64 ? x / 2 : x;
}

/* Element i of a view, whatever its dtype and alignment. */
static inline double element(const as_weight_view *v, int64_t i) {
    unsigned char b[8] = {0};
    const size_t size = as_dtype_size(v->dtype);
    memcpy(b, (const unsigned char *)v->data + (size_t)i * size, size);
    int64_t x = 0;
    double f64;
    float f32;
    for (size_t k = size; k-- > 0;)
        x = (int64_t)((uint64_t)x << 8 | b[k]);
    memcpy(&f64, b, sizeof f64);
    memcpy(&f32, b, sizeof f32);
    switch (v->dtype) {
    case AS_F32:
        return (double)f32;
    case AS_F64:
        return f64;
    case AS_F16:
        return (double)as_f16_to_f32((uint16_t)x);
    case AS_BF16:
        return (double)as_bf16_to_f32((uint16_t)x);
    case AS_I8:
        return (double)(int8_t)x;
    case AS_I16:
        return (double)(int16_t)x;
    case AS_I32:
        return (double)(int32_t)x;
    default:
        return (double)x;
    }
}

typedef struct expected {
    const char *name;
    as_dtype dtype;
    int rank;
    int64_t shape[AS_MAX_RANK];
} expected;

#define ODD_NAME "n\xc3\xa4me \"q\" \\ \n \x01 \x7f \xe2\x80\xa8 \xe5\x97\xa8"
static const expected all_tensors[] = {
    {"f32", AS_F32, 2, {3, 4}},      {"f16", AS_F16, 2, {3, 4}},   {"bf16", AS_BF16, 2, {3, 4}},
    {"f64", AS_F64, 2, {3, 4}},      {"i64", AS_I64, 2, {3, 4}},   {"i32", AS_I32, 2, {3, 4}},
    {"i16", AS_I16, 2, {3, 4}},      {"i8", AS_I8, 2, {3, 4}},     {"u8", AS_U8, 1, {5}},
    {"bool", AS_BOOL, 1, {7}},       {"empty", AS_F32, 2, {0, 3}}, {"scalar", AS_F32, 0, {0}},
    {"a.long_row", AS_F16, 1, {77}}, {ODD_NAME, AS_BF16, 1, {2}},
};

/* The view is what `want` says; element i holds value(i), or the formula when value is NULL. */
static inline void expect_view(const as_weight_files *w, const expected *want,
                               int64_t (*value)(int64_t)) {
    const as_weight_view *const v = as_weights_find(w, want->name);
    if (v == NULL) fail_msg("no tensor %s", want->name);
    assert_string_equal(v->name, want->name);
    assert_int_equal(v->dtype, want->dtype);
    assert_int_equal(v->rank, want->rank);
    int64_t numel = 1;
    for (int d = 0; d < want->rank; d++) {
        assert_int_equal(v->shape[d], want->shape[d]);
        numel *= want->shape[d];
    }
    assert_int_equal(v->numel, numel);
    for (int64_t i = 0; i < numel; i++) {
        const double x = filled(v->dtype, value != NULL ? value(i) : i);
        if (element(v, i) != x) fail_msg("%s[%d] is %g, not %g", v->name, (int)i, element(v, i), x);
    }
}

static inline void expect_all(const as_weight_files *w) {
    for (size_t i = 0; i < AS_COUNT(all_tensors); i++)
        expect_view(w, &all_tensors[i], NULL);
}

/* Reads every byte that the views give, so that a sanitizer sees a bad one; returns a number that
 * depends on all. */
static inline unsigned touch(const as_weight_files *w) {
    unsigned sum = 0;
    for (size_t i = 0; i < as_weights_count(w); i++) {
        const as_weight_view *const v = as_weights_at(w, i);
        const unsigned char *const p = v->data;
        for (size_t k = 0; k < (size_t)v->numel * as_dtype_size(v->dtype); k++)
            sum = sum * 31 + p[k];
    }
    return sum;
}

static inline as_buf slurp(const char *path) {
    as_buf b = {0};
    as_err err;
    if (as_file_read(&b, path, 0, &err) != ASSAY_OK) fail_msg("%s", err.msg);
    return b;
}

typedef as_status (*parser)(as_weight_files **, const void *, size_t, const char *, as_err *);

/* Parse an exact copy of the bytes: reading past the end is then seen. */
static inline as_status parse_exact(parser parse, const void *p, size_t n, as_err *err) {
    void *const copy = malloc(n > 0 ? n : 1);
    if (n > 0) memcpy(copy, p, n);
    as_weight_files *w;
    const as_status s = parse(&w, copy, n, "model", err);
    if (s == ASSAY_OK) {
        const volatile unsigned seen = touch(w);
        (void)seen;
        as_weights_close(w);
    } else {
        assert_null(w);
        if (err->msg[0] == '\0' || err->hint[0] == '\0')
            fail_msg("no message or no hint: %s", err->msg);
    }
    free(copy);
    return s;
}

/* Every prefix of the bytes must be refused, and every change of one byte must do no harm. */
static inline void expect_hardened(parser parse, const as_buf *b) {
    as_err err;
    assert_int_equal(parse_exact(parse, b->p, b->n, &err), ASSAY_OK);
    for (size_t n = 0; n < b->n; n++)
        assert_int_equal(parse_exact(parse, b->p, n, &err), ASSAY_FORMAT);
    static const unsigned char values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, '(', '}', 'R', 'q', '"'};
    for (size_t i = 0; i < b->n; i++) {
        const char before = b->p[i];
        for (size_t k = 0; k < sizeof values; k++) {
            b->p[i] = (char)values[k];
            const as_status s = parse_exact(parse, b->p, b->n, &err);
            if (s != ASSAY_OK && s != ASSAY_FORMAT)
                fail_msg("byte %d: status %d: %s", (int)i, (int)s, err.msg);
        }
        b->p[i] = before;
    }
}

/* Fails the 1st, 2nd, ... allocation until parsing succeeds: a clean error and nothing left each
 * time. */
static inline void expect_survives_failing_memory(parser parse, const as_buf *b) {
    const int64_t live = as_mem_live_blocks();
    as_err err;
    for (int64_t n = 1;; n++) {
        as_weight_files *w;
        as_mem_fail_after(n);
        const as_status s = parse(&w, b->p, b->n, "model", &err);
        as_mem_fail_after(0);
        as_weights_close(w);
        assert_int_equal(as_mem_live_blocks(), live);
        if (s == ASSAY_OK) return;
        assert_int_equal(s, ASSAY_NOMEM);
        assert_true(n < 100000);
    }
}

#endif
