/* report.h: what is stored, made readable: one self-contained HTML page, Markdown, JSON, CSV, LaTeX, lm-evaluation-harness'
 * files. A function of stored rows: never loads a model. */
#ifndef AS_REPORT_REPORT_H
#define AS_REPORT_REPORT_H

#include "run/compare.h"
#include "run/slices.h"
#include "run/stored.h"

typedef struct as_report_step { int64_t step; double train_loss, dev_loss, dev_score, lr; } as_report_step; /* NaN = not measured */

/* One evaluation with what belongs to it. */
typedef struct as_report_run {
    const as_stored *stored;
    const as_eval_result *result;    /* metrics with intervals, confusion */
    const as_slice_row *slices;      /* of the first metric */
    size_t slice_count;
    const as_report_step *steps;     /* learning curve of the training that made it; may be empty */
    size_t step_count;
    const char *const *analyses;     /* JSON objects that were stored with it (run/analyses.h) */
    size_t analysis_count;
} as_report_run;

typedef struct as_report {
    const char *title;               /* the task */
    const as_report_run *runs;
    int run_count;
    const as_contest_result *contest; /* NULL with one system */
    const as_system *systems;         /* of the contest: names and costs */
    int system_count;
    const char *command;              /* the exact command that writes this page */
    const char *bench;                /* result of the bench that the runs are of (JSON), or NULL */
    const char *version;
    double level;
} as_report;

/* Each appends a whole document. AS_NOMEM. */
as_status as_report_html(as_buf *out, const as_report *r, as_err *err) AS_CHECKED;
as_status as_report_markdown(as_buf *out, const as_report *r, as_err *err) AS_CHECKED;
as_status as_report_json(as_buf *out, const as_report *r, as_err *err) AS_CHECKED; /* JSON Lines: metric, compare, verdict objects */
/* The compare objects of all pairs and the verdict, as in as_report_json. */
void as_report_contest_json(as_buf *out, const as_contest_result *c, const as_system *systems);
as_status as_report_csv(as_buf *out, const as_report *r, as_err *err) AS_CHECKED;
as_status as_report_latex(as_buf *out, const as_report *r, as_err *err) AS_CHECKED; /* booktabs tables */
/* lm-evaluation-harness 0.4 files: results_*.json and samples_TASK_*.jsonl under DIR/MODEL. */
as_status as_report_lm_eval(const char *dir, const as_report *r, as_err *err) AS_CHECKED;
#endif
