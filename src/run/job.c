#include "run/job.h"
#include "run/calibrate.h"
#include "run/perturb.h"
#include "run/slices.h"
#include "base/mem.h"
#include <signal.h>
#include <string.h>

as_job as_job_defaults(void) {
    return (as_job){.isa = (as_isa)(AS_ISA_COUNT - 1), .seed = 1, .level = 0.95, .progress_fd = -1, .version = AS_VERSION};
}

void as_eval_result_free(as_eval_result *r) {
    for (size_t i = 0; i < r->metric_count; i++) as_free(r->metrics[i].name), as_free(r->metrics[i].method), as_free(r->metrics[i].why);
    for (int i = 0; r->labels && i < r->num_labels; i++) as_free(r->labels[i]);
    as_free(r->metrics), as_free(r->labels), as_free(r->confusion), as_slice_rows_free(r->slices, r->slice_count), as_free(r->model), as_free(r->task), as_free(r->dtype), as_free(r->isa);
    as_calibration_free(r->calibration), as_free(r->calibration), as_free(r->perturbed);
    memset(r, 0, sizeof *r);
}
void as_finetune_result_free(as_finetune_result *r) {
    as_eval_result_free(&r->dev);
    memset(r, 0, sizeof *r);
}

/* The one flag that a signal handler may write. */
static volatile sig_atomic_t interrupted;
void as_interrupt(void) { interrupted = 1; }
bool as_interrupted(void) { return interrupted != 0; }
