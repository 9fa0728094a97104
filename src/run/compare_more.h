/* compare_more.h: the same pairs of a contest by other methods: every paired test that applies, Bayesian sign tests, almost
 * stochastic order and the multi-bootstrap over seeds; and abilities of all systems after Bradley and Terry. */
#ifndef AS_RUN_COMPARE_MORE_H
#define AS_RUN_COMPARE_MORE_H

#include "run/compare.h"
#include "stats/many.h"

enum { AS_MORE_TESTS = 6 };
typedef struct as_more_pair {
    const as_comparison *of;
    double p_bh;               /* Benjamini and Hochberg over all pairs and metrics, of the contest's p */
    as_test test[AS_MORE_TESTS]; /* single seeds and per-item scores: each that applies */
    int test_count;
    as_rope bayes;             /* sign test over items (clusters): right: A has the larger share of them; turned so that more is better. NaN: no per-item scores */
    double aso;                /* eps_min of "A's seeds are stochastically better"; NaN below AS_MORE_SEEDS */
    as_seeds_result seeds;     /* several seeds and per-item scores */
    bool has_seeds;
} as_more_pair;
enum { AS_MORE_SEEDS = 3 };

/* Who wins how often: log odds against `reference`, and the chance to win against it. */
typedef struct as_abilities {
    int count, reference;
    double *strength, *low, *high; /* [count]; of the reference 0, 0, 0 */
    double matches;            /* that one of the two won */
    bool by_item;              /* matches are items that one of two systems answers better; else one per task */
    double prior;              /* pseudo-wins for each ordered pair; 0 unless somebody never lost */
    const char *why;           /* static: why there are none, else NULL */
} as_abilities;

typedef struct as_more { as_more_pair *pairs; size_t count; as_abilities abilities; } as_more;

/* r is the result of c, and lives longer. */
as_status as_more_of(as_more *out, const as_contest *c, const as_contest_result *r, as_err *err) AS_CHECKED;
void as_more_free(as_more *m);
/* From several contests of the same systems (one for each task), on the first metric of each. */
as_status as_abilities_of(as_abilities *out, const as_contest *const *c, const as_contest_result *const *r, int tasks, as_err *err) AS_CHECKED;
void as_abilities_free(as_abilities *a);
/* Over tasks: d [tasks] = how much better the first is on each. */
typedef struct as_task_rope { int a, b; as_rope signed_rank, sign; } as_task_rope;
/* The best by mean rank against each other system: out [systems - 1]. */
as_status as_bayes_of_tasks(as_task_rope *out, int best, const as_contest *const *c, const as_contest_result *const *r, int tasks, as_err *err) AS_CHECKED;
#endif
