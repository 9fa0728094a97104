/* analyses.h: what --calibrate and --perturb found out, as JSON objects of one line each, and kept with the run. */
#ifndef AS_RUN_ANALYSES_H
#define AS_RUN_ANALYSES_H

#include "run/calibrate.h"
#include "run/perturb.h"
#include "store/store.h"

/* Each appends one object and a newline; `model` as it is shown. */
void as_calibration_json(as_buf *b, const as_eval_result *r, const char *model);
void as_conformal_json(as_buf *b, const as_eval_result *r, const as_conformal *v, const char *model);
void as_perturbed_json(as_buf *b, const as_eval_result *r, const as_perturbed *v, const char *model);
const char *as_conformal_name(as_conformal_score s); /* "lac", "aps" */
/* Keep what r has of them with its run; what was kept before is replaced. */
as_status as_analyses_store(const as_eval_result *r, as_store *store, int64_t run, as_err *err) AS_CHECKED;
#endif
