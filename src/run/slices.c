#include "run/slices.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "data/strmap.h"
#include "stats/paired.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- which values there are, and who has them --- */
typedef struct group { as_str name; int64_t n; } group;
typedef struct partition {
    group *v;
    int64_t count;
    int32_t *of;   /* [n] index into v */
} partition;

/* A number, or the first of a range "18-25" or "1e-05-0.1". */
static bool number_of(as_str s, double *x) {
    size_t n = s.n > 0;
    while (n < s.n && (s.p[n] != '-' || s.p[n - 1] == 'e' || s.p[n - 1] == 'E')) n++;
    return as_parse_f64((as_str){s.p, n}, x);
}
static int by_bytes(const void *a, const void *b) { return as_str_cmp(((const group *)a)->name, ((const group *)b)->name); }
static int by_number(const void *a, const void *b) {
    double x = 0, y = 0;
    (void)number_of(((const group *)a)->name, &x), (void)number_of(((const group *)b)->name, &y);
    return x < y ? -1 : x > y ? 1 : by_bytes(a, b); /* dates begin with one number */
}

static void partition_free(partition *p) { as_free(p->v), as_free(p->of); }

/* Values sorted as numbers if all are numbers or ranges, else by bytes. */
static as_status cut(partition *p, char *const *value, int64_t n, as_err *err) {
    as_strmap map = {0};
    size_t cap = 0;
    bool numbers = true, ok = (p->of = as_alloc((size_t)n, sizeof *p->of)) != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        bool added;
        const as_str name = as_str_of(value[i]);
        double unused;
        const int64_t *at = as_strmap_at(&map, name, p->count, &added);
        if ((ok = at != NULL) && added && (ok = as_grow(&p->v, &cap, (size_t)p->count + 1, sizeof *p->v))) {
            p->v[p->count++] = (group){name, 0};
            numbers &= number_of(name, &unused);
        }
    }
    as_strmap_free(&map);
    if (ok && p->count > 1) qsort(p->v, (size_t)p->count, sizeof *p->v, numbers ? by_number : by_bytes);
    for (int64_t k = 0; ok && k < p->count; k++) ok = as_strmap_at(&map, p->v[k].name, k, NULL) != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        p->of[i] = (int32_t)*as_strmap_get(&map, as_str_of(value[i]));
        p->v[p->of[i]].n++;
    }
    as_strmap_free(&map);
    return ok ? AS_OK : as_fail_nomem(err, "slices", (size_t)n * sizeof *p->of);
}

/* --- the score of one slice: the metric's own interval on those items alone --- */
typedef struct subset { as_predictions p; void *block[7]; } subset;

static void *picked(const void *from, size_t bytes, const int32_t *of, int32_t k, int64_t n, int64_t count) {
    if (!from) return NULL;
    unsigned char *v = as_alloc_aligned((size_t)count * bytes + 1, 1), *at = v;
    for (int64_t i = 0; v && i < n; i++)
        if (of[i] == k) memcpy(at, (const unsigned char *)from + (size_t)i * bytes, bytes), at += bytes;
    return v;
}
static bool pick(subset *s, const as_predictions *p, const int32_t *of, int32_t k, int64_t count) {
    const size_t l = (size_t)p->num_labels;
    const struct { const void *from; size_t bytes; } arrays[] = {{p->gold, sizeof *p->gold}, {p->pred, sizeof *p->pred}, {p->probs, l * sizeof *p->probs},
        {p->gold_sets, l}, {p->pred_sets, l}, {p->gold_value, sizeof *p->gold_value}, {p->pred_value, sizeof *p->pred_value}};
    bool ok = true;
    for (size_t i = 0; i < AS_COUNT(arrays); i++) {
        s->block[i] = picked(arrays[i].from, arrays[i].bytes, of, k, p->n, count);
        ok &= !arrays[i].from || s->block[i];
    }
    s->p = *p;
    s->p.n = count, s->p.gold = s->block[0], s->p.pred = s->block[1], s->p.probs = s->block[2], s->p.gold_sets = s->block[3];
    s->p.pred_sets = s->block[4], s->p.gold_value = s->block[5], s->p.pred_value = s->block[6];
    return ok;
}

static as_status score_slice(as_slice_row *row, const as_predictions *p, const int32_t *of, int32_t k, const char *metric, const as_bootstrap_opts *o, as_err *err) {
    subset s = {.block = {NULL}};
    as_metric *m = NULL;
    as_interval iv = {.low = NAN, .high = NAN};
    as_status st = pick(&s, p, of, k, row->n) ? as_metric_open(&m, metric, &s.p, err) : as_fail_nomem(err, "a slice", 0);
    void *scratch = st == AS_OK ? as_alloc_aligned(as_metric_scratch(m) + 1, 1) : NULL;
    if (st == AS_OK && !scratch) st = as_fail_nomem(err, "a slice", 0);
    if (st == AS_OK) {
        const as_metric_value v = as_metric_aggregate(m, NULL, scratch);
        row->score = v.value, row->why = v.why;
        if (!v.why) st = as_metric_interval(&iv, m, NULL, o, err);
        row->low = iv.low, row->high = iv.high;
    }
    as_free_aligned(scratch);
    as_metric_free(m);
    for (size_t i = 0; i < AS_COUNT(s.block); i++) as_free_aligned(s.block[i]);
    return st;
}

/* --- is it different from the rest? --- */
/* lgamma writes a global; this does not. */
static double log_factorial(int64_t n) {
    int sign;
    return lgamma_r((double)n + 1, &sign);
}
/* Fisher's exact test, two-sided: the tables at most as probable as the one seen (R's and scipy's rule). */
static double fisher(int64_t right, int64_t n, int64_t all_right, int64_t all) {
    const int64_t low = all_right - (all - n) > 0 ? all_right - (all - n) : 0, high = n < all_right ? n : all_right;
    const double base = log_factorial(n) + log_factorial(all - n) + log_factorial(all_right) + log_factorial(all - all_right) - log_factorial(all);
    double seen = 0.0, p = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = pass ? low : right; k <= (pass ? high : right); k++) {
            const double log_p = base - log_factorial(k) - log_factorial(n - k) - log_factorial(all_right - k) - log_factorial(all - n - all_right + k);
            if (pass == 0) seen = log_p;
            else if (log_p <= seen + 1e-7) p += exp(log_p);
        }
    return p < 1.0 ? p : 1.0;
}

enum { DRAWS = 10000, CHUNK = 250 };
typedef struct shuffling {
    const as_metric *m;
    const int32_t *of;
    int32_t k;
    int64_t n, size;
    uint64_t seed;
    double seen;
    int64_t extreme[DRAWS / CHUNK];
    unsigned char *work;
    size_t stride, rest_at, order_at, scratch_at;
} shuffling;

static double difference(const shuffling *s, const uint32_t *in, uint32_t *rest, void *scratch) {
    for (int64_t i = 0; i < s->n; i++) rest[i] = 1 - in[i];
    return as_metric_aggregate(s->m, in, scratch).value - as_metric_aggregate(s->m, rest, scratch).value;
}
/* A slice of the same size at random: the first items of a shuffle. */
static void shuffle_chunk(void *ctx, int64_t chunk, int thread) {
    shuffling *s = ctx;
    unsigned char *at = s->work + (size_t)thread * s->stride;
    uint32_t *in = (uint32_t *)(void *)at, *rest = (uint32_t *)(void *)(at + s->rest_at);
    int64_t *order = (int64_t *)(void *)(at + s->order_at), extreme = 0;
    for (int64_t d = chunk * CHUNK; d < (chunk + 1) * CHUNK; d++) {
        as_rng r = as_rng_at(s->seed, AS_STREAM_PERMUTE, (uint32_t)d);
        memset(in, 0, (size_t)s->n * sizeof *in);
        for (int64_t i = 0; i < s->n; i++) order[i] = i;
        for (int64_t i = 0; i < s->size; i++) {
            const int64_t j = i + (int64_t)as_rng_below(&r, (uint64_t)(s->n - i)), t = order[i];
            order[i] = order[j], order[j] = t;
            in[order[i]] = 1;
        }
        const double v = difference(s, in, rest, at + s->scratch_at);
        extreme += isnan(v) || fabs(v) >= fabs(s->seen) * (1 - 1e-12);
    }
    s->extreme[chunk] = extreme;
}

static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

static as_status shuffle_test(as_slice_row *row, shuffling *s, int threads, as_err *err) {
    const size_t weights = lines((size_t)s->n * sizeof(uint32_t));
    s->rest_at = weights, s->order_at = 2 * weights, s->scratch_at = s->order_at + lines((size_t)s->n * sizeof(int64_t));
    s->stride = s->scratch_at + lines(as_metric_scratch(s->m)) + 64;
    if (!(s->work = as_alloc_aligned((size_t)threads * s->stride, 1))) return as_fail_nomem(err, "slices", (size_t)threads * s->stride);
    uint32_t *in = (uint32_t *)(void *)s->work;
    for (int64_t i = 0; i < s->n; i++) in[i] = s->of[i] == s->k;
    void *scratch = s->work + s->scratch_at;
    s->seen = difference(s, in, (uint32_t *)(void *)(s->work + s->rest_at), scratch);
    row->diff = s->seen, row->rest = row->score - s->seen;
    row->test_method = "permutation of membership";
    if (!isnan(s->seen)) {
        as_parallel_for(threads, DRAWS / CHUNK, shuffle_chunk, s);
        int64_t extreme = 0;
        for (size_t i = 0; i < AS_COUNT(s->extreme); i++) extreme += s->extreme[i];
        row->p = (1.0 + (double)extreme) / (DRAWS + 1.0);
    }
    as_free_aligned(s->work);
    return AS_OK;
}

static as_status test_slice(as_slice_row *row, const as_metric *m, const int32_t *of, int32_t k, int64_t n, uint64_t seed, int threads, as_err *err) {
    if (row->n == n || isnan(row->score)) return AS_OK;
    if (!as_metric_is_proportion(m)) {
        shuffling s = {.m = m, .of = of, .k = k, .n = n, .size = row->n, .seed = seed};
        return shuffle_test(row, &s, threads, err);
    }
    const double *x = as_metric_items(m);
    int64_t right = 0, all = 0;
    for (int64_t i = 0; i < n; i++) all += x[i] != 0, right += x[i] != 0 && of[i] == k;
    row->rest = (double)(all - right) / (double)(n - row->n), row->diff = row->score - row->rest;
    row->p = fisher(right, row->n, all, n), row->test_method = "fisher exact";
    return AS_OK;
}

typedef struct slicing_job {
    const as_predictions *p;
    const as_metric *whole;
    as_bootstrap_opts o;
    const char *metric;
    as_slice_row *rows;
    size_t count, cap;
} slicing_job;

static as_status one_slicing(slicing_job *j, const as_slicing *s, as_err *err) {
    partition part = {0};
    as_status st = cut(&part, s->value, j->p->n, err);
    if (st == AS_OK && !as_grow(&j->rows, &j->cap, j->count + (size_t)part.count, sizeof *j->rows)) st = as_fail_nomem(err, "slices", 0);
    for (int64_t k = 0; st == AS_OK && k < part.count; k++) {
        as_slice_row *row = &j->rows[j->count++];
        *row = (as_slice_row){.column = as_strdup(s->column), .value = as_strndup(part.v[k].name.p, part.v[k].name.n), .n = part.v[k].n, .score = NAN, .low = NAN, .high = NAN, .rest = NAN, .diff = NAN,
                              .p = NAN, .p_adjusted = NAN, .test_method = "none"};
        st = row->column && row->value ? AS_OK : as_fail_nomem(err, "slices", 0);
        if (st == AS_OK) st = score_slice(row, j->p, part.of, (int32_t)k, j->metric, &j->o, err);
        if (st == AS_OK) st = test_slice(row, j->whole, part.of, (int32_t)k, j->p->n, j->o.seed, j->o.threads, err);
    }
    partition_free(&part);
    return st;
}

static as_status adjust(slicing_job *j, bool higher, as_err *err) {
    double *p = as_alloc(j->count + 1, sizeof *p);
    if (!p) return as_fail_nomem(err, "slices", 0);
    for (size_t i = 0; i < j->count; i++) p[i] = j->rows[i].p;
    const as_status s = as_adjust_holm(p, p, (int64_t)j->count, err);
    for (size_t i = 0; s == AS_OK && i < j->count; i++) {
        j->rows[i].p_adjusted = p[i];
        j->rows[i].worse = p[i] < 1 - j->o.level && (higher ? j->rows[i].diff < 0 : j->rows[i].diff > 0);
    }
    as_free(p);
    return s;
}

void as_slice_rows_free(as_slice_row *rows, size_t count) {
    for (size_t i = 0; rows && i < count; i++) as_free((void *)(uintptr_t)rows[i].column), as_free((void *)(uintptr_t)rows[i].value);
    as_free(rows);
}

as_status as_slices_of(as_slice_row **out, size_t *count, const as_predictions *p, const as_slicing *slicings, size_t slicing_count, const char *metric,
                       double level, uint64_t seed, int threads, as_err *err) {
    *out = NULL, *count = 0;
    as_metric *whole;
    AS_TRY(as_metric_open(&whole, metric, p, err));
    slicing_job j = {.p = p, .whole = whole, .metric = metric, .o = {.level = level, .seed = seed, .threads = threads > 0 ? threads : as_cpu_count()}};
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < slicing_count; i++) s = one_slicing(&j, &slicings[i], err);
    if (s == AS_OK) s = adjust(&j, as_metric_higher_is_better(whole), err);
    as_metric_free(whole);
    if (s != AS_OK) as_slice_rows_free(j.rows, j.count);
    else *out = j.rows, *count = j.count;
    return s;
}

/* --- numbers in quarters --- */
static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
enum { LONGEST = 64, PARTS = 4 };
/* Six digits, or as many as tell the parts from each other and the first of a part from its last; whole numbers in full. */
static void name_parts(char *names, const double *first, const double *last) {
    static const int digits[] = {6, 9, 12, 15, 17};
    bool whole = true;
    for (int k = 0; k < PARTS; k++) whole &= first[k] == floor(first[k]) && last[k] == floor(last[k]);
    for (size_t d = whole ? 3 : 0; d < AS_COUNT(digits); d++) {
        bool distinct = true;
        for (int k = 0; k < PARTS; k++) {
            char *name = names + k * LONGEST, *end = name + snprintf(name, LONGEST, "%.*g", digits[d], first[k]);
            if (first[k] != last[k]) {
                snprintf(end, LONGEST / 2, "-%.*g", digits[d], last[k]);
                distinct &= strncmp(name, end + 1, (size_t)(end - name)) != 0 || end[1 + (end - name)] != '\0';
            }
            for (int other = 0; other < k; other++) distinct &= last[other] == last[k] || strcmp(names + other * LONGEST, name) != 0;
        }
        if (distinct) return;
    }
}
char **as_slicing_quarters(const double *x, int64_t n) {
    char **out = as_alloc((size_t)n * sizeof *out + PARTS * LONGEST + 1, 1);
    double *sorted = as_alloc((size_t)n + 1, sizeof *sorted);
    if (!out || !sorted) {
        as_free(out), as_free(sorted);
        return NULL;
    }
    char *names = (char *)(out + n);
    memcpy(sorted, x, (size_t)n * sizeof *x);
    if (n > 1) qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    double first[PARTS], last[PARTS]; /* the smallest and the greatest value of each part; one without values is as the one before it */
    for (int k = 0; k < PARTS; k++) last[k] = n ? sorted[((k + 1) * n + PARTS - 1) / PARTS - 1] : 0;
    for (int k = 0; k < PARTS; k++) {
        int64_t i = 0;
        while (k > 0 && i < n && sorted[i] <= last[k - 1]) i++;
        first[k] = k > 0 && last[k] == last[k - 1] ? first[k - 1] : n ? sorted[i] : 0;
    }
    name_parts(names, first, last);
    for (int64_t i = 0; i < n; i++) {
        int k = 0;
        while (k < PARTS - 1 && x[i] > last[k]) k++;
        out[i] = names + k * LONGEST;
    }
    as_free(sorted);
    return out;
}
