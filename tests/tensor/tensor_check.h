/* tensor_check.h: what the tests of tensor share: cmocka, the kernel tables of this processor,
 * buffers that end where their data end, and checks against a reference in double. */
#ifndef TESTS_TENSOR_TENSOR_CHECK_H
#define TESTS_TENSOR_TENSOR_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "tensor/kernels/kernels.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The tables that this processor can run, portable first; NULL ends the list. */
static inline const as_kernels *table_at(int i) {
#if defined(__x86_64__)
    const as_kernels *const all[] = {&as_kernels_portable, &as_kernels_avx2, &as_kernels_avx512};
    const int have = (int)as_cpu_detect();
    return i < 3 && i <= have ? all[i] : NULL;
#else
    return i == 0 ? &as_kernels_portable : NULL;
#endif
}
#define EACH_TABLE(k)                                                                              \
    for (const as_kernels *k = table_at(0), *k##_i = NULL; k; k = next_table(k), (void)k##_i)
static inline const as_kernels *next_table(const as_kernels *k) {
    for (int i = 0; table_at(i); i++)
        if (table_at(i) == k) return table_at(i + 1);
    return NULL;
}

/* n floats that end at the end of a heap block, `off` floats behind its start: unaligned, and a
 * sanitizer sees one float too many. Freed by room_free_all. */
enum { ROOM_MAX = 4096 };
typedef struct rooms {
    void *at[ROOM_MAX];
    int n;
} rooms;
static inline rooms *rooms_here(void) {
    static rooms r;
    return &r;
}
static inline float *room(int64_t n, int off) {
    rooms *r = rooms_here();
    assert_true(r->n < ROOM_MAX);
    float *p = as_calloc((size_t)(n + off), sizeof *p);
    assert_non_null(p);
    r->at[r->n++] = p;
    return p + off;
}
static inline void room_free_all(void) {
    rooms *r = rooms_here();
    while (r->n > 0)
        as_free(r->at[--r->n]);
}
static inline int free_rooms(void **state) {
    (void)state;
    room_free_all();
    return 0;
}

/* Uniform in [-a, a], a function of (seed, index). */
static inline void fill(float *x, int64_t n, uint32_t seed, float a) {
    as_rng r = as_rng_at(seed, AS_STREAM_SAMPLE, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(2.0 * as_rng_double(&r) - 1.0) * a;
}
static inline float *filled(int64_t n, int off, uint32_t seed, float a) {
    float *x = room(n, off);
    fill(x, n, seed, a);
    return x;
}
static inline float *copied(const float *from, int64_t n, int off) {
    float *x = room(n, off);
    memcpy(x, from, (size_t)n * sizeof *x);
    return x;
}

#define NEAR(who, what, i, got, want, tol)                                                         \
    near_at((who), (what), (int64_t)(i), (double)(got), (want), (tol), __FILE__, __LINE__)
static inline void near_at(const char *who, const char *what, int64_t i, double got, double want,
                           double tol, const char *file, int line) {
    if (fabs(got - want) <= tol || (isnan(got) && isnan(want)) || (isinf(want) && got == want))
        return;
    print_error("%s: %s[%lld] is %.9g, not %.9g (differs by %.3g, allowed %.3g)\n", who, what,
                (long long)i, got, want, got - want, tol);
    _fail(file, line);
}
#define SAME(who, what, a, b, n) same_at((who), (what), (a), (b), (n), __FILE__, __LINE__)
static inline void same_at(const char *who, const char *what, const float *a, const float *b,
                           int64_t n, const char *file, int line) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0) {
            print_error("%s: %s[%lld]: %.9g and %.9g are not the same bits\n", who, what,
                        (long long)i, (double)a[i], (double)b[i]);
            _fail(file, line);
        }
}

/* The keep-mask of dropout by its definition: sixteen counters, a word's low half before its high
 * half. */
static inline bool kept(as_dropout_key key, uint32_t item, uint32_t pos, int64_t feature) {
    const uint32_t block = (uint32_t)(feature / 128), lane = (uint32_t)(feature % 16),
                   part = (uint32_t)(feature % 128 / 16);
    const uint32_t word =
        as_philox_at(key.seed, key.site, item, pos, block * 16 + lane).v[part / 2];
    return (part % 2 ? word >> 16 : word & 0xFFFFu) < key.keep;
}

/* Rounding units: one float operation is within U of its exact value, relatively. */
#define U 0x1p-24
/* Bound of a sum of n terms in sixteen lanes, each lane a chain: sum |terms| times this. */
static inline double chain(int64_t n) {
    return ((double)n / 16.0 + 8.0) * 2.0 * U;
}

#endif
