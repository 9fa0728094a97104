/* compare_impl.h: what compare.c, compare_pair.c and verdict.c share. */
#ifndef AS_RUN_COMPARE_IMPL_H
#define AS_RUN_COMPARE_IMPL_H

#include "run/compare.h"
#include "stats/many.h"

/* One metric, opened on every seed of every system. */
typedef struct as_arena_metric {
    const as_contest *c;
    int64_t n;
    as_metric **open;          /* [sum of seeds], those of system s from first[s] on */
    int *first;                /* [count + 1] */
    double *value;             /* [count] mean over the seeds */
    const char *signature;
    bool higher, percent, per_item, proportion;
    int64_t resamples;         /* of the permutation tests: enough to tell the smallest adjusted p from the level */
} as_arena_metric;

static inline int64_t as_seeds_of(const as_arena_metric *m, int system) { return m->c->systems[system].seeds; }
static inline const as_metric *as_seed_metric(const as_arena_metric *m, int system, int64_t seed) { return m->open[m->first[system] + seed]; }
/* Sorted so that more is better. */
static inline double as_oriented(const as_arena_metric *m, double value) { return m->higher ? value : -value; }

/* compare.c: one metric on every seed; close also what open failed on. */
as_status as_arena_open(as_arena_metric *m, const as_contest *c, const char *name, as_err *err) AS_CHECKED;
void as_arena_close(as_arena_metric *m);
/* compare_pair.c: per-item scores [seeds, n] of a system, heap; NULL when out of memory. */
double *as_seed_items(const as_arena_metric *m, int system);
/* compare.c: standard deviation of a system's value over its seeds; NaN with one. */
double as_seed_spread(const as_arena_metric *m, int system);
/* compare_pair.c: everything about a - b but the adjusted p. */
as_status as_compare_pair(as_comparison *out, const as_arena_metric *m, int a, int b, as_err *err) AS_CHECKED;
/* The interval of one system's value over its seeds and items; se_seeds its part from seeds (NaN with one). */
as_status as_system_interval(as_interval *out, const as_arena_metric *m, int system, as_err *err) AS_CHECKED;
/* verdict.c: the verdict in words, a heap string; NULL when out of memory. */
char *as_verdict(const as_contest *c, const as_contest_result *r);
#endif
