/* eval_impl.h: an evaluation under way, shared by eval.c and what looks further (eval_calibrate.c, eval_perturb.c). */
#ifndef AS_RUN_EVAL_IMPL_H
#define AS_RUN_EVAL_IMPL_H

#include "run/evaluate.h"

typedef struct as_evaluation {
    const as_job *j;
    const char *data;
    const char *variant;   /* JSON members, ",\"key\":...", that tell the run from one on data as they are; or NULL */
    as_session ses;
    as_records records;
    as_encoded encoded;
    as_scored scored;
    as_store *store;
    as_run run;
    as_eval_result *out;
} as_evaluation;

/* Evaluate `part`, whose j, data, variant, records and out are set, with the session and store of `of`: encode, take what is stored,
 * score the rest, metrics, store. Afterwards as_evaluation_part_close(part), which leaves the records to the caller. */
as_status as_evaluation_part(as_evaluation *part, const as_evaluation *of, as_err *err) AS_CHECKED;
void as_evaluation_part_close(as_evaluation *part);

/* --calibrate and --perturb, into v->out. */
as_status as_evaluate_calibration(as_evaluation *v, const as_data_cols *cols, as_err *err) AS_CHECKED;
as_status as_evaluate_perturbed(as_evaluation *v, as_err *err) AS_CHECKED;
#endif
