#include "data/corpus_minhash.h"
#include "base/cpu.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

void as_minhash_init(as_minhash *m) {
    m->wide = as_cpu_detect() >= AS_ISA_AVX2; /* asked once: in virtual machines the question is slow */
    for (uint32_t i = 0; i < AS_MINHASH_K; i++) {
        const as_philox x = as_philox_at(1, AS_STREAM_SAMPLE, 0x6D68, i, 0);
        m->mul[i] = x.v[0] | 1;
        m->add[i] = x.v[1];
    }
}

/* ---- shingles ---- */
void as_shingles_free(as_shingles *s) {
    as_free(s->v);
    as_buf_free(&s->fold);
    as_words_free(&s->words);
    *s = (as_shingles){0};
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void make_distinct(as_shingles *s) {
    int64_t n = 0;
    if (s->n > 0) qsort(s->v, (size_t)s->n, sizeof *s->v, by_value);
    for (int64_t i = 0; i < s->n; i++)
        if (i == 0 || s->v[i] != s->v[i - 1]) s->v[n++] = s->v[i];
    s->n = n;
}

static bool by_characters(as_shingles *s, as_str text) {
    as_buf_clear(&s->fold);
    as_text_fold(&s->fold, text);
    const as_str t = as_buf_view(&s->fold);
    size_t begin[AS_SHINGLE_WORDS]; /* where the last characters begin */
    int64_t chars = 0;
    if (s->fold.failed || !as_grow(&s->v, &s->cap, t.n + 1, sizeof *s->v)) return false;
    for (size_t i = 0; i < t.n; chars++) {
        uint32_t cp;
        begin[chars % AS_SHINGLE_WORDS] = i;
        i += as_utf8_next(t.p + i, &cp);
        const size_t from = begin[(chars + 1) % AS_SHINGLE_WORDS];
        if (chars + 1 >= AS_SHINGLE_WORDS) s->v[s->n++] = as_hash64(t.p + from, i - from, 1);
    }
    return true;
}

as_status as_shingles_of(as_shingles *s, as_str text, as_err *err) {
    s->n = 0;
    AS_TRY(as_words_of(&s->words, text, err));
    bool room = true;
    if (s->words.n < AS_SHINGLE_TEXT) {
        room = by_characters(s, text);
    } else {
        room = as_grow(&s->v, &s->cap, (size_t)s->words.n, sizeof *s->v);
        for (int64_t i = 0; room && i + AS_SHINGLE_WORDS <= s->words.n; i++) s->v[s->n++] = as_words_gram(s->words.hash + i, AS_SHINGLE_WORDS);
    }
    if (!room) return as_fail_nomem(err, "the shingles of a document", text.n);
    make_distinct(s);
    return AS_OK;
}

double as_shingles_jaccard(const as_shingles *a, const as_shingles *b) {
    int64_t both = 0;
    for (int64_t i = 0, j = 0; i < a->n && j < b->n;) {
        if (a->v[i] == b->v[j]) both++, i++, j++;
        else if (a->v[i] < b->v[j]) i++;
        else j++;
    }
    const int64_t all = a->n + b->n - both;
    return all > 0 ? (double)both / (double)all : 0;
}

/* ---- signatures: the same integers from either body ---- */
static inline __attribute__((always_inline)) void least_of(uint32_t *restrict least, const as_minhash *m, const uint64_t *v, int64_t n) {
    enum { LANES = 64 };
    for (int from = 0; from < AS_MINHASH_K; from += LANES) {
        uint32_t low[LANES];
        memset(low, 0xFF, sizeof low);
        for (int64_t k = 0; k < n; k++) {
            const uint32_t x = (uint32_t)(v[k] >> 32) ^ (uint32_t)v[k];
            for (int i = 0; i < LANES; i++) {
                const uint32_t h = m->mul[from + i] * x + m->add[from + i];
                low[i] = h < low[i] ? h : low[i];
            }
        }
        memcpy(least + from, low, sizeof low);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void least_avx2(uint32_t *least, const as_minhash *m, const uint64_t *v, int64_t n) { least_of(least, m, v, n); }
#endif

void as_minhash_signature(uint32_t least[AS_MINHASH_K], const as_minhash *m, const as_shingles *s) {
#if defined(__x86_64__)
    if (m->wide) {
        least_avx2(least, m, s->v, s->n);
        return;
    }
#endif
    least_of(least, m, s->v, s->n);
}

void as_minhash_bands(uint64_t band[AS_MINHASH_BANDS], const as_minhash *m, const as_shingles *s) {
    uint32_t least[AS_MINHASH_K];
    as_minhash_signature(least, m, s);
    for (int b = 0; b < AS_MINHASH_BANDS; b++) band[b] = as_hash64(least + b * AS_MINHASH_ROWS, AS_MINHASH_ROWS * sizeof *least, (uint64_t)b);
}

/* ---- clusters ---- */
typedef struct pair { int64_t a, b; } pair;
enum { PAIRS = 1 << 16 }; /* verified at a time */

typedef struct clustering {
    int64_t *parent;
    const as_near_docs *docs;
    double least;
    int threads;
    pair *pairs;
    bool *same;
    int64_t n_pairs;
    as_shingles *room;   /* [threads][2] */
    as_status *status;   /* [threads] */
    as_err *errors;
    as_err *err;
} clustering;

static int64_t root_of(int64_t *parent, int64_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void join(int64_t *parent, int64_t a, int64_t b) {
    a = root_of(parent, a), b = root_of(parent, b);
    if (a < b) parent[b] = a;
    else parent[a] = b;
}

static void verify(void *ctx, int64_t i, int thread) {
    clustering *const c = ctx;
    as_shingles *const a = &c->room[2 * thread], *const b = a + 1;
    as_err *const err = &c->errors[thread];
    if (c->status[thread] != AS_OK) return;
    as_status s = as_shingles_of(a, c->docs->text(c->docs->ctx, c->pairs[i].a), err);
    if (s == AS_OK) s = as_shingles_of(b, c->docs->text(c->docs->ctx, c->pairs[i].b), err);
    c->same[i] = s == AS_OK && as_shingles_jaccard(a, b) >= c->least;
    c->status[thread] = s;
}

static as_status flush_pairs(clustering *c) {
    as_parallel_dynamic(c->threads, c->n_pairs, verify, c);
    for (int t = 0; t < c->threads; t++)
        if (c->status[t] != AS_OK) {
            if (c->err != NULL) *c->err = c->errors[t];
            return c->status[t];
        }
    for (int64_t i = 0; i < c->n_pairs; i++)
        if (c->same[i]) join(c->parent, c->pairs[i].a, c->pairs[i].b);
    c->n_pairs = 0;
    return AS_OK;
}

/* One bucket, v[0..n): documents in ascending order. */
static as_status bucket(clustering *c, const as_keyed *v, int64_t n) {
    for (int64_t j = 1; j < n; j++)
        for (int64_t i = 0; i < j && i < AS_BUCKET_MOST; i++) {
            const int64_t a = (int64_t)v[i].item, b = (int64_t)v[j].item;
            if (root_of(c->parent, a) == root_of(c->parent, b)) continue;
            c->pairs[c->n_pairs++] = (pair){a, b};
            if (c->n_pairs == PAIRS) AS_TRY(flush_pairs(c));
        }
    return AS_OK;
}

static as_status band(clustering *c, int b, as_keyed *v, as_keyed *spare) {
    int64_t n = 0;
    for (int64_t d = 0; d < c->docs->n; d++) {
        const uint64_t *const bands = c->docs->bands(c->docs->ctx, d);
        if (bands != NULL) v[n++] = (as_keyed){bands[b], (uint64_t)d};
    }
    as_keyed_sort(v, spare, n);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[end].key == v[i].key;) end++;
        AS_TRY(bucket(c, v + i, end - i));
    }
    return flush_pairs(c);
}

as_status as_near_clusters(int64_t *parent, const as_near_docs *docs, double least, const char *work_dir, int threads, as_err *err) {
    clustering c = {.parent = parent, .docs = docs, .least = least, .threads = threads < 1 ? 1 : threads, .err = err};
    as_scratch v = {0}, spare = {0};
    c.pairs = as_alloc(PAIRS, sizeof *c.pairs);
    c.same = as_alloc(PAIRS, sizeof *c.same);
    c.room = as_calloc((size_t)c.threads * 2, sizeof *c.room);
    c.status = as_calloc((size_t)c.threads, sizeof *c.status);
    c.errors = as_calloc((size_t)c.threads, sizeof *c.errors);
    as_status s = c.pairs && c.same && c.room && c.status && c.errors ? AS_OK : as_fail_nomem(err, "near duplicates", PAIRS * sizeof *c.pairs);
    for (int64_t i = 0; i < docs->n; i++) parent[i] = i;
    if (s == AS_OK) s = as_scratch_open(&v, work_dir, (uint64_t)docs->n, sizeof(as_keyed), err);
    if (s == AS_OK) s = as_scratch_open(&spare, work_dir, (uint64_t)docs->n, sizeof(as_keyed), err);
    for (int b = 0; b < AS_MINHASH_BANDS && s == AS_OK; b++) s = band(&c, b, v.p, spare.p);
    for (int64_t i = 0; i < docs->n; i++) parent[i] = root_of(parent, i);
    for (int t = 0; c.room != NULL && t < 2 * c.threads; t++) as_shingles_free(&c.room[t]);
    as_scratch_close(&v), as_scratch_close(&spare);
    as_free(c.pairs), as_free(c.same), as_free(c.room), as_free(c.status), as_free(c.errors);
    return s;
}
