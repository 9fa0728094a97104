/* bench.h: the main job: several models on one task, fine-tuned where they lack its head, evaluated, compared. */
#ifndef AS_RUN_BENCH_H
#define AS_RUN_BENCH_H

#include "run/compare_more.h"

typedef struct as_bench_job {
    as_job job;                    /* db is needed; model and names are set for each cell */
    as_recipe recipe;
    const char *const *models, *const *names; /* [model_count] folders, and how they are shown */
    const bool *scratch;           /* [model_count] begin with random weights: config and tokenizer alone are read; NULL = none */
    int model_count;
    const char *data, *dev, *test; /* dev, test NULL: split off data */
    double dev_fraction, test_fraction;
    const as_data_cols *cols;
    const char *out;               /* folder: the split data, one checkpoint for each model and seed */
    int64_t seeds;                 /* seed .. seed + seeds - 1 */
    int64_t search;                /* learning rates to try on the dev data; 0 = the recipe's */
    double margin;
    bool baselines;
    bool one_of_several;           /* as_bench_join finishes it, and reads this job until then */
} as_bench_job;

/* One cell of the grid: a model (or baseline) and a seed. */
typedef struct as_bench_cell { int system; uint64_t seed; int64_t finetune_run, eval_run; as_eval_result result; } as_bench_cell;
/* One try of the search. */
typedef struct as_bench_try { int model; double lr, score; int64_t steps, run; bool kept; } as_bench_try;

typedef struct as_bench_result {
    as_bench_cell *cells;
    size_t cell_count;
    as_bench_try *tries;
    size_t try_count;
    as_system *systems;            /* models, then baselines */
    int count;
    as_contest contest;
    as_contest_result decision;
    int64_t run;                   /* the bench in the store; its cells are evaluations of their own */
    int64_t train_items, test_items;
    double plan_seconds;           /* what all trainings need, as predicted; 0 when nothing is left to train */
    uint64_t plan_bytes;
    char *isa, *task;
    int threads;
    void *owned;
} as_bench_result;

/* In two steps, so that several benches know what all of them will take before the first begins: read the data, split it, predict
 * (job.whole, if any, gets what is planned; b is read until the end); and do the work. What fails is freed. */
as_status as_bench_plan(const as_bench_job *b, as_bench_result *out, as_err *err) AS_CHECKED;
as_status as_bench_work(as_bench_result *out, as_err *err) AS_CHECKED;
/* Both. With job.dry_run only the plan is filled. A finished cell comes from the store and the folder; an interrupted bench goes on. */
as_status as_run_bench(const as_bench_job *b, as_bench_result *out, as_err *err) AS_CHECKED;
/* Several systems on several tasks: mean ranks, and whether they differ at all. */
typedef struct as_bench_ranks {
    double *mean_rank;             /* [systems], 1 = best; NULL when there is one task */
    double friedman_p, critical_difference; /* of mean ranks (Nemenyi), at the level */
    const char *why;               /* static: why there is no p, else NULL */
    as_abilities abilities;        /* over the items of all tasks, or over tasks */
    as_task_rope *ropes;           /* [systems - 1] the best by mean rank against the others */
} as_bench_ranks;
void as_bench_ranks_free(as_bench_ranks *r);
/* Benches of the same systems on different tasks: p values adjusted over all of them, verdicts anew, and all are stored. The first
 * metric of each task ranks. */
as_status as_bench_join(as_bench_result *const *results, int n, as_bench_ranks *ranks, as_err *err) AS_CHECKED;
void as_bench_result_free(as_bench_result *r);
#endif
