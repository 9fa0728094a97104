/* bench_impl.h: what the files of bench share. */
#ifndef AS_RUN_BENCH_IMPL_H
#define AS_RUN_BENCH_IMPL_H

#include "run/baseline.h"
#include "run/bench.h"
#include "run/finetune.h"
#include "run/scored.h"
#include "run/stored.h"

/* What a model needs, as predicted. */
typedef struct as_bench_cost { as_fit fit; as_plan plan; double eval_seconds; } as_bench_cost;

typedef struct as_bench {
    const as_bench_job *b;
    as_bench_result *out;
    char *train_path, *dev_path, *test_path, *labels; /* files in out (dev NULL: split off by each training); label names as a JSON list */
    char *task;
    as_records train, test;
    as_data_cols cols;                      /* of those files */
    as_stored *stored;                      /* [cells] */
    as_predictions *preds;                  /* [cells] in the order of the systems */
    char **names;                           /* [systems] */
    as_bench_cost *cost;                    /* [systems]; of baselines zeros */
    int64_t planned;                        /* cells of the grid, baselines apart */
    bool spread;                            /* the processes of the job have done the cells: none is done again */
} as_bench;

/* bench_data.c: read the data, split, write OUT/data/train.jsonl, dev.jsonl and test.jsonl, read them again. */
as_status as_bench_data(as_bench *w, as_err *err) AS_CHECKED;
/* bench_baseline.c: score a baseline and store it as an evaluation. */
as_status as_bench_baseline(as_bench *w, as_baseline which, uint64_t seed, as_eval_result *out, as_err *err) AS_CHECKED;
/* bench_search.c: the learning rate for a model, found on the dev data alone; its tries go to w->out. */
as_status as_bench_search(as_bench *w, int model, const as_plan *plan, double *lr, as_err *err) AS_CHECKED;
double as_bench_search_share(int64_t search); /* its cost, in trainings */
/* bench_store.c: the bench itself as a run: what its cells and costs were, and the verdict. */
as_status as_bench_store(as_bench *w, as_err *err) AS_CHECKED;
/* bench_ranks.c: searches and cells of the grid by all processes of the job, together. */
as_status as_bench_spread(as_bench *w, as_err *err) AS_CHECKED;
/* bench.c: train (unless the model fits) and evaluate; place: of the cell, from 1. */
as_status as_bench_run_cell(as_bench *w, as_bench_cell *cell, double lr, int64_t place, as_err *err) AS_CHECKED;
/* bench.c: the job of a training. out is a path's buffer. */
as_finetune_job as_bench_training(const as_bench *w, int model, uint64_t seed, const char *out);
#endif
