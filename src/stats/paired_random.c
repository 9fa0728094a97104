/* paired_random.c: permutation, approximate randomisation and the paired bootstrap.
 *
 * Which units change sides is a pure function of (seed, resample, unit / 128): one Philox block
 * holds the bits of 128 units, first word first, lowest bit first. The permutation test and
 * as_randomisation_test share these draws, so that on the mean difference they give the same p. */
#include "base/mem.h"
#include "base/parallel.h"
#include "stats/paired.h"
#include "stats/paired_units.h"
#include "stats/resample.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ENUMERATED = 20,  /* units; 2^20 sign patterns */
    TILE = 128,            /* units of one Philox block */
    GROUPS = TILE / 8,     /* a byte of the block each */
    RESAMPLE_CHUNK = 1024, /* resamples that share the tables of a tile */
    PATTERN_BITS =
        10, /* patterns of a chunk of the enumeration: sums start afresh after 2^10 steps */
    VALUE_CHUNK = 16 /* calls of a statistic */
};

/* Draws for sides use the second counter word 1: the bootstrap's jackknife shuffles with 0. */
static as_philox side_bits(uint64_t seed, int64_t resample, int64_t tile) {
    return as_philox_at(seed, AS_STREAM_PERMUTE, (uint32_t)resample, 1, (uint32_t)tile);
}

/* ---- options and the differences ---- */

static as_status settle_options(as_random_opts *o, const as_random_opts *given, as_err *err) {
    *o = given ? *given : (as_random_opts){0};
    if (o->resamples < 0 || o->resamples > 100000000) {
        (void)as_fail(err, AS_USAGE, "%lld resamples asked for; the limit is 100000000",
                      (long long)o->resamples);
        as_hint(err, "Ten thousand resamples are enough for a p of 0.001.");
        return AS_USAGE;
    }
    if (o->resamples == 0) o->resamples = 10000;
    if (o->threads <= 0) o->threads = as_cpu_count();
    return AS_OK;
}

/* A test on differences: per unit, in `unit`. */
typedef struct plan {
    as_random_opts o;
    as_units units;
    const double *unit; /* [units.count] */
    double sum, sum_abs;
    double size;  /* items */
    double reach; /* a |sum| (or |mean - mean|) from here on is as extreme as the observed one */
    int64_t *extreme; /* [chunks] how many of the chunk's draws were as extreme */
} plan;

/* Fills the plan, or sets out->why. */
static as_status begin_plan(plan *p, as_test *out, const double *d, int64_t n,
                            const int32_t *cluster, as_err *err) {
    if (n <= 0) return out->why = "no items", AS_OK;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(d[i])) return out->why = "a score is not a finite number", AS_OK;
    AS_TRY(as_units_of(&p->units, n, cluster, d, err));
    p->unit = p->units.sum ? p->units.sum : d;
    for (int64_t i = 0; i < p->units.count; i++) {
        p->sum += p->unit[i];
        p->sum_abs += fabs(p->unit[i]);
    }
    p->size = (double)n;
    out->statistic = p->sum / p->size;
    if (!isfinite(p->sum_abs)) out->why = "the scores are too large to add";
    return AS_OK;
}

static void end_plan(plan *p) {
    as_units_free(&p->units);
    as_free(p->extreme);
}

static as_status count_extreme(int64_t *count, plan *p, int64_t chunks,
                               void (*body)(void *ctx, int64_t chunk, int thread), as_err *err) {
    p->extreme = as_calloc((size_t)chunks, sizeof *p->extreme);
    if (!p->extreme) return as_fail_nomem(err, "resamples", (size_t)chunks * sizeof *p->extreme);
    as_parallel_for(p->o.threads, chunks, body, p);
    *count = 0;
    for (int64_t c = 0; c < chunks; c++)
        *count += p->extreme[c];
    return AS_OK;
}

static double p_of_draws(int64_t extreme, int64_t resamples) {
    return (double)(1 + extreme) / (double)(resamples + 1);
}

static int64_t chunks_of(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

/* ---- sign flips ---- */

/* All patterns whose high bits are `chunk`, by Gray code: each differs from the last by one unit.
 */
static void enumerate_chunk(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    const plan *p = ctx;
    const int units = (int)p->units.count, low = units < PATTERN_BITS ? units : PATTERN_BITS;
    double sum = 0;
    for (int i = 0; i < units; i++)
        sum += i >= low && (chunk >> (i - low) & 1) ? -p->unit[i] : p->unit[i];
    uint32_t flipped = 0;
    int64_t extreme = 0;
    for (uint32_t step = 1;; step++) {
        extreme += fabs(sum) >= p->reach;
        if (step == 1u << low) break;
        const int i = __builtin_ctz(step);
        flipped ^= 1u << i;
        sum += (flipped >> i & 1 ? -2 : 2) * p->unit[i];
    }
    p->extreme[chunk] = extreme;
}

/* table [GROUPS][256]: the signed sum of eight units for each byte of flips; a zero stands for
 * units past the end. */
static void fill_tables(double (*table)[256], const double *unit, int64_t count) {
    for (int g = 0; g < GROUPS; g++) {
        double *t = table[g];
        t[0] = 0;
        for (int j = 0; j < 8; j++) {
            const double v = g * 8 + j < count ? unit[g * 8 + j] : 0;
            for (int byte = 0; byte < 1 << j; byte++) {
                t[byte | 1 << j] = t[byte] - v;
                t[byte] += v;
            }
        }
    }
}

/* A chunk of resamples, tile by tile: eight signs are applied by one look-up. */
static void flip_chunk(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    const plan *p = ctx;
    double sum[RESAMPLE_CHUNK] = {0}, table[GROUPS][256];
    const int64_t first = chunk * RESAMPLE_CHUNK, left = p->o.resamples - first;
    const int64_t count = left < RESAMPLE_CHUNK ? left : RESAMPLE_CHUNK;
    for (int64_t at = 0; at < p->units.count; at += TILE) {
        fill_tables(table, p->unit + at, p->units.count - at);
        for (int64_t r = 0; r < count; r++) {
            const as_philox bits = side_bits(p->o.seed, first + r, at / TILE);
            double tile = 0;
            for (int g = 0; g < GROUPS; g++)
                tile += table[g][bits.v[g / 4] >> 8 * (g % 4) & 255];
            sum[r] += tile;
        }
    }
    int64_t extreme = 0;
    for (int64_t r = 0; r < count; r++)
        extreme += fabs(sum[r]) >= p->reach;
    p->extreme[chunk] = extreme;
}

as_status as_permutation_test(as_test *out, const double *d, int64_t n, const int32_t *cluster,
                              const as_random_opts *o, as_err *err) {
    *out = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "sign-flip permutation"};
    plan p = {0};
    AS_TRY(settle_options(&p.o, o, err));
    as_status status = begin_plan(&p, out, d, n, cluster, err);
    if (status != AS_OK || out->why) goto done;
    p.reach = fabs(p.sum) - 1e-12 * p.sum_abs;
    int64_t extreme;
    if (p.units.count <= MOST_ENUMERATED) {
        const int64_t patterns = (int64_t)1 << p.units.count;
        const int64_t chunks = chunks_of(patterns, 1 << PATTERN_BITS);
        status = count_extreme(&extreme, &p, chunks, enumerate_chunk, err);
        if (status == AS_OK) out->p = (double)extreme / (double)patterns;
    } else {
        const int64_t chunks = chunks_of(p.o.resamples, RESAMPLE_CHUNK);
        status = count_extreme(&extreme, &p, chunks, flip_chunk, err);
        if (status == AS_OK) out->p = p_of_draws(extreme, p.o.resamples);
        out->resamples = p.o.resamples;
    }
done:
    end_plan(&p);
    return status;
}

/* ---- bootstrap ---- */

static void bootstrap_chunk(void *ctx, int64_t chunk, int thread) {
    (void)thread;
    const plan *p = ctx;
    const int64_t first = chunk * VALUE_CHUNK;
    const int64_t end = first + VALUE_CHUNK < p->o.resamples ? first + VALUE_CHUNK : p->o.resamples;
    const double mean = p->sum / p->size;
    int64_t extreme = 0;
    for (int64_t r = first; r < end; r++) {
        double sum, size;
        as_resample_sums(&sum, &size, p->unit, p->units.size, (uint32_t)p->units.count, p->o.seed,
                         (uint32_t)r);
        extreme += fabs(sum / size - mean) >= p->reach;
    }
    p->extreme[chunk] = extreme;
}

as_status as_paired_bootstrap_test(as_test *out, const double *d, int64_t n, const int32_t *cluster,
                                   const as_random_opts *o, as_err *err) {
    *out = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "paired bootstrap"};
    plan p = {0};
    AS_TRY(settle_options(&p.o, o, err));
    as_status status = begin_plan(&p, out, d, n, cluster, err);
    if (status != AS_OK || out->why) goto done;
    if (p.units.count < 2) {
        out->why = cluster && n > 1 ? "one cluster has no spread" : "one item has no spread";
        goto done;
    }
    p.reach = (fabs(p.sum) - 1e-12 * p.sum_abs) / p.size;
    int64_t extreme;
    status =
        count_extreme(&extreme, &p, chunks_of(p.o.resamples, VALUE_CHUNK), bootstrap_chunk, err);
    if (status == AS_OK) out->p = p_of_draws(extreme, p.o.resamples);
    out->resamples = p.o.resamples;
done:
    end_plan(&p);
    return status;
}

/* ---- any statistic ---- */

typedef struct exchange {
    const as_swap_statistic *s;
    as_random_opts o;
    as_units units;
    bool all; /* every pattern, pattern k being the bits of k */
    int64_t draws;
    double *value; /* [draws] */
    unsigned char
        *work; /* per thread, `stride` bytes: side of each unit; side of each item; scratch */
    size_t stride, swap_at, scratch_at;
} exchange;

static void choose_sides(uint8_t *side, const exchange *e, int64_t draw) {
    as_philox bits = {{(uint32_t)draw, 0, 0, 0}};
    for (int64_t u = 0; u < e->units.count; u++) {
        const int64_t lane = u % TILE;
        if (lane == 0 && !e->all) bits = side_bits(e->o.seed, draw, u / TILE);
        side[u] = bits.v[lane / 32] >> (lane % 32) & 1;
    }
}

static void value_chunk(void *ctx, int64_t chunk, int thread) {
    const exchange *e = ctx;
    unsigned char *work = e->work + (size_t)thread * e->stride;
    uint8_t *side = work, *swap = e->units.of ? work + e->swap_at : side;
    const int64_t first = chunk * VALUE_CHUNK;
    const int64_t end = first + VALUE_CHUNK < e->draws ? first + VALUE_CHUNK : e->draws;
    for (int64_t draw = first; draw < end; draw++) {
        choose_sides(side, e, draw);
        if (e->units.of)
            for (int64_t i = 0; i < e->s->n; i++)
                swap[i] = side[e->units.of[i]];
        e->value[draw] = e->s->value(e->s->ctx, swap, work + e->scratch_at);
    }
}

static size_t round_to_line(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static as_status allocate_exchange(exchange *e, as_err *err) {
    e->swap_at = round_to_line((size_t)e->units.count);
    e->scratch_at = e->swap_at + (e->units.of ? round_to_line((size_t)e->s->n) : 0);
    e->stride = e->scratch_at + round_to_line(e->s->scratch_bytes) + 64;
    e->work = as_alloc_aligned((size_t)e->o.threads, e->stride);
    if (!e->work) return as_fail_nomem(err, "resamples", (size_t)e->o.threads * e->stride);
    e->value = as_alloc((size_t)e->draws, sizeof *e->value);
    if (!e->value) return as_fail_nomem(err, "resamples", (size_t)e->draws * sizeof *e->value);
    return AS_OK;
}

/* Draws at least as extreme as the observed value. The size of a metric's rounding errors is not
 * known here, only that of its differences: values within 1e-10 of the largest difference count as
 * equal. */
static int64_t count_values(const exchange *e, double observed) {
    double largest = fabs(observed);
    for (int64_t i = 0; i < e->draws; i++)
        if (isfinite(e->value[i])) largest = fmax(largest, fabs(e->value[i]));
    const double reach = fabs(observed) - 1e-10 * largest;
    int64_t extreme = 0;
    for (int64_t i = 0; i < e->draws; i++)
        extreme += !(fabs(e->value[i]) < reach); /* NaN counts */
    return extreme;
}

as_status as_randomisation_test(as_test *out, const as_swap_statistic *s, const as_random_opts *o,
                                as_err *err) {
    *out = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "approximate randomisation"};
    exchange e = {.s = s};
    AS_TRY(settle_options(&e.o, o, err));
    if (s->n <= 0) return out->why = "no items", AS_OK;
    AS_TRY(as_units_of(&e.units, s->n, s->cluster, NULL, err));
    e.all = e.units.count <= MOST_ENUMERATED;
    e.draws = e.all ? (int64_t)1 << e.units.count : e.o.resamples;
    as_status status = allocate_exchange(&e, err);
    if (status != AS_OK) goto done;
    out->statistic = s->value(s->ctx, NULL, e.work + e.scratch_at);
    if (!isfinite(out->statistic)) {
        out->why = "undefined on all items";
        goto done;
    }
    as_parallel_for(e.o.threads, chunks_of(e.draws, VALUE_CHUNK), value_chunk, &e);
    const int64_t extreme = count_values(&e, out->statistic);
    out->p = e.all ? (double)extreme / (double)e.draws : p_of_draws(extreme, e.draws);
    out->resamples = e.all ? 0 : e.draws;
done:
    as_units_free(&e.units);
    as_free_aligned(e.work);
    as_free(e.value);
    return status;
}
