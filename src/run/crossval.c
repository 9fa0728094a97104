/* crossval.c: k-fold cross-validation: a fresh fine-tuning per fold, the predictions of all folds scored as one. */
#include "base/mem.h"
#include "run/finetune.h"
#include <stdio.h>
#include <string.h>

static as_status one_fold(as_tuning *t, const as_finetune_job *f, int fold, int folds, as_err *err) {
    as_index train = {0}, test = {0};
    as_trained done;
    as_progress p = {0};
    char what[64];
    snprintf(what, sizeof what, "fold %d of %d", fold + 1, folds);
    as_status s = AS_OK;
    if (fold > 0) { /* each fold starts from the same weights */
        as_session_close(&t->ses);
        as_finetune_job quiet = *f;
        quiet.job.log = NULL;
        s = as_tuning_open_model(t, &quiet, err);
        t->scored.labels = s == AS_OK ? as_model_labels(t->ses.model) : NULL;
    }
    if (s == AS_OK) s = as_split_fold(&train, &test, &t->records, fold, folds, f->recipe.seed, err);
    if (s == AS_OK) {
        as_trainer tr = {.progress = &p};
        as_progress_begin(&p, f->job.progress_fd, f->job.progress_fd < 0, what, as_train_total_steps(&f->recipe, train.n));
        s = as_tuning_train(t, f, train.v, train.n, &tr, &done, err);
        as_progress_end(&p);
    }
    if (s == AS_OK) s = as_evaluate_items(&t->ses, &f->job, &t->scored, test.v, test.n, NULL, 0, what, err);
    as_index_free(&train), as_index_free(&test);
    return s;
}

static as_status crossval(as_tuning *t, const as_finetune_job *f, int folds, as_eval_result *out, as_err *err) {
    AS_TRY(as_tuning_open(t, f, err));
    AS_TRY(as_scored_init(&t->scored, &t->records, &t->encoded, t->records.kind, as_model_labels(t->ses.model), as_model_num_labels(t->ses.model), err));
    const double began = as_clock();
    for (int fold = 0; fold < folds; fold++) AS_TRY(one_fold(t, f, fold, folds, err));
    AS_TRY(as_evaluate_describe(&t->ses, &f->job, f->train, out, err));
    out->head_fresh = false, out->seconds = as_clock() - began, out->tokens = t->encoded.tokens, out->truncated = t->encoded.truncated_count;
    AS_TRY(as_scored_metrics(&t->scored, &f->job, as_engine_threads(t->ses.engine), out, err));
    out->peak_bytes = as_peak_memory();
    return AS_OK;
}

as_status as_run_crossval(const as_finetune_job *f, int folds, as_eval_result *out, as_err *err) {
    memset(out, 0, sizeof *out);
    if (folds < 2) return as_fail(err, AS_USAGE, "cross-validation needs at least 2 folds");
    as_tuning t = {0};
    const as_status s = crossval(&t, f, folds, out, err);
    as_tuning_close(&t);
    if (s != AS_OK) as_eval_result_free(out);
    return s;
}
