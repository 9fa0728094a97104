#include "run/bag_of_words.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { PASSES = 20 };
#define RATE 0.5
#define L2 1e-6

static int outputs(const as_records *r) { return r->kind == AS_LABEL_VALUE ? 1 : r->labels.count; }
static uint32_t buckets(const as_records *r) { return outputs(r) <= 16 ? 1u << 18 : 1u << 16; }
int64_t as_bag_parameters(const as_records *train) { return (int64_t)outputs(train) * ((int64_t)buckets(train) + 1); }

/* --- features --- */
typedef struct feature { uint32_t at; float x; } feature;
typedef struct features {
    feature *v;
    size_t n, cap;
    size_t *begin;      /* [records + 1] */
    uint32_t mask;
    uint64_t before;    /* hash of the word before, 0 = none */
    as_buf word;
    bool failed;
} features;

static void add(features *f, uint64_t hash) {
    if (!as_grow(&f->v, &f->cap, f->n + 1, sizeof *f->v)) {
        f->failed = true;
        return;
    }
    f->v[f->n++] = (feature){(uint32_t)(hash & f->mask), 1.0f};
}
static void end_word(features *f, uint64_t space) {
    if (f->word.n == 0) return;
    const uint64_t h = as_hash64(f->word.p, f->word.n, space);
    add(f, h);
    if (f->before) add(f, as_hash64(&h, sizeof h, f->before));
    f->before = h ? h : 1;
    as_buf_clear(&f->word);
}
/* Written without blanks between words. */
static bool stands_alone(utf8proc_int32_t c) {
    return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}
static bool in_word(utf8proc_int32_t c) {
    const utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}
static void add_text(features *f, as_str s, uint64_t space) {
    f->before = 0;
    for (size_t i = 0; i < s.n;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &c);
        i += n > 0 ? (size_t)n : 1;
        if (n <= 0 || !in_word(c)) {
            end_word(f, space);
            continue;
        }
        if (stands_alone(c)) end_word(f, space);
        utf8proc_uint8_t bytes[4];
        const utf8proc_ssize_t m = utf8proc_encode_char(utf8proc_tolower(c), bytes);
        as_buf_add(&f->word, bytes, (size_t)m);
        if (stands_alone(c)) end_word(f, space);
    }
    end_word(f, space);
}

static int by_bucket(const void *a, const void *b) {
    const uint32_t x = ((const feature *)a)->at, y = ((const feature *)b)->at;
    return x < y ? -1 : x > y;
}
/* Features that occur several times in a record become one with their count. */
static void merge(features *f, size_t from) {
    if (f->n > from) qsort(f->v + from, f->n - from, sizeof *f->v, by_bucket);
    size_t kept = from;
    for (size_t i = from; i < f->n; i++) {
        if (kept > from && f->v[kept - 1].at == f->v[i].at) f->v[kept - 1].x += 1.0f;
        else f->v[kept++] = f->v[i];
    }
    f->n = kept;
}
static as_status extract(features *f, const as_records *r, uint32_t count, as_err *err) {
    *f = (features){.mask = count - 1, .begin = as_alloc((size_t)r->n + 1, sizeof *f->begin)};
    if (!f->begin) return as_fail_nomem(err, "features", 0);
    for (int64_t i = 0; i < r->n; i++) {
        f->begin[i] = f->n;
        add_text(f, r->v[i].text, 1);
        if (r->v[i].pair.p) add_text(f, r->v[i].pair, 2);
        merge(f, f->begin[i]);
    }
    f->begin[r->n] = f->n;
    return f->failed || f->word.failed ? as_fail_nomem(err, "features", f->n * sizeof *f->v) : AS_OK;
}
static void features_free(features *f) {
    as_free(f->v), as_free(f->begin);
    as_buf_free(&f->word);
}

/* Document frequencies of the training records weigh both sides. */
static void weigh(features *f, int64_t n, const uint32_t *df, int64_t documents) {
    for (int64_t i = 0; i < n; i++) {
        double squares = 0.0;
        for (size_t k = f->begin[i]; k < f->begin[i + 1]; k++) {
            const double x = (1 + log((double)f->v[k].x)) * (log((1.0 + (double)documents) / (1.0 + df[f->v[k].at])) + 1);
            f->v[k].x = (float)x, squares += x * x;
        }
        const float scale = squares > 0.0 ? (float)(1 / sqrt(squares)) : 0.0f;
        for (size_t k = f->begin[i]; k < f->begin[i + 1]; k++) f->v[k].x *= scale;
    }
}

/* --- the regression: weights [buckets + 1, outputs], the last row the bias --- */
typedef struct regression {
    const as_records *train;
    int k;
    uint32_t buckets;
    float *w, *g2;      /* weights, sums of squared gradients */
    double *z;          /* [k] */
    double mean, scale; /* of the numbers to predict */
} regression;

static void score(const regression *r, const features *f, int64_t i, double *z) {
    const float *bias = r->w + (size_t)r->buckets * (size_t)r->k;
    for (int j = 0; j < r->k; j++) z[j] = (double)bias[j];
    for (size_t a = f->begin[i]; a < f->begin[i + 1]; a++) {
        const float *w = r->w + (size_t)f->v[a].at * (size_t)r->k;
        for (int j = 0; j < r->k; j++) z[j] += (double)f->v[a].x * (double)w[j];
    }
}

/* z becomes the gradient of the loss with respect to it. */
static void loss_gradient(const regression *r, const as_record *v, double *z) {
    if (r->train->kind == AS_LABEL_VALUE) {
        z[0] -= (v->value - r->mean) / r->scale;
    } else if (r->train->kind == AS_LABEL_MULTI) {
        for (int j = 0; j < r->k; j++) z[j] = 1 / (1 + exp(-z[j])) - (v->set && v->set[j] ? 1.0 : 0.0);
    } else {
        double top = z[0], sum = 0.0;
        for (int j = 1; j < r->k; j++) top = fmax(top, z[j]);
        for (int j = 0; j < r->k; j++) sum += z[j] = exp(z[j] - top);
        for (int j = 0; j < r->k; j++) z[j] = z[j] / sum - (j == v->label ? 1.0 : 0.0);
    }
}

static void update_row(const regression *r, size_t row, double x) {
    float *w = r->w + row * (size_t)r->k, *g2 = r->g2 + row * (size_t)r->k;
    for (int j = 0; j < r->k; j++) {
        const double g = r->z[j] * x + L2 * (double)w[j];
        g2[j] += (float)(g * g);
        if (g != 0.0) w[j] -= (float)(RATE * g / (sqrt((double)g2[j]) + 1e-8));
    }
}

static void fit(regression *r, const features *f, int64_t *order, uint64_t seed) {
    const int64_t n = r->train->n;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int pass = 0; pass < PASSES; pass++) {
        as_rng rng = as_rng_at(seed, AS_STREAM_SHUFFLE, (uint32_t)pass);
        as_rng_shuffle(&rng, order, n);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = order[i];
            score(r, f, at, r->z);
            loss_gradient(r, &r->train->v[at], r->z);
            for (size_t a = f->begin[at]; a < f->begin[at + 1]; a++) update_row(r, f->v[a].at, (double)f->v[a].x);
            update_row(r, r->buckets, 1.0);
        }
    }
}

static void standardise(regression *r) {
    double sum = 0.0, squares = 0.0;
    r->mean = 0.0, r->scale = 1.0;
    if (r->train->kind != AS_LABEL_VALUE) return;
    for (int64_t i = 0; i < r->train->n; i++) sum += r->train->v[i].value;
    r->mean = sum / (double)r->train->n;
    for (int64_t i = 0; i < r->train->n; i++) squares += (r->train->v[i].value - r->mean) * (r->train->v[i].value - r->mean);
    if (squares > 0.0) r->scale = sqrt(squares / (double)r->train->n);
}

as_status as_bag_of_words(double *scores, const as_records *train, const as_records *test, uint64_t seed, double *fit_seconds, as_err *err) {
    const double began = as_clock();
    features f = {0}, t = {0};
    regression r = {.train = train, .k = outputs(train), .buckets = buckets(train)};
    const size_t cells = ((size_t)r.buckets + 1) * (size_t)r.k;
    uint32_t *df = as_calloc(r.buckets, sizeof *df);
    int64_t *order = as_alloc((size_t)train->n, sizeof *order);
    r.w = as_calloc(cells, sizeof *r.w), r.g2 = as_calloc(cells, sizeof *r.g2), r.z = as_calloc((size_t)r.k, sizeof *r.z);
    as_status s = df && order && r.w && r.g2 && r.z ? AS_OK : as_fail_nomem(err, "a bag of words", cells * 2 * sizeof *r.w);
    if (s == AS_OK) s = extract(&f, train, r.buckets, err);
    if (s == AS_OK) {
        for (size_t i = 0; i < f.n; i++) df[f.v[i].at]++;
        weigh(&f, train->n, df, train->n);
        standardise(&r);
        fit(&r, &f, order, seed);
        *fit_seconds = as_clock() - began;
        s = extract(&t, test, r.buckets, err);
    }
    if (s == AS_OK) {
        weigh(&t, test->n, df, train->n);
        for (int64_t i = 0; i < test->n; i++) {
            score(&r, &t, i, scores + i * r.k);
            if (train->kind == AS_LABEL_VALUE) scores[i] = scores[i] * r.scale + r.mean;
        }
    }
    features_free(&f), features_free(&t);
    as_free(df), as_free(order), as_free(r.w), as_free(r.g2), as_free(r.z);
    return s;
}
