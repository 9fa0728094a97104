/* eval_calibrate.c: the calibration of an evaluated model: dev data scored by the same session, then run/calibrate.h. */
#include "base/file.h"
#include "base/mem.h"
#include "run/calibrate.h"
#include "run/eval_impl.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int by_hash(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}
/* Items that are in both: what was fitted on them says too much good of them. */
static as_status check_overlap(const as_evaluation *v, const as_evaluation *dev, as_err *err) {
    const int64_t n = v->records.n;
    uint64_t *hash = as_alloc((size_t)n, sizeof *hash);
    if (!hash) return as_fail_nomem(err, "hashes", (size_t)n * sizeof *hash);
    int64_t both = 0;
    for (int64_t i = 0; i < n; i++) hash[i] = as_record_hash(&v->records.v[i], &v->records);
    qsort(hash, (size_t)n, sizeof *hash, by_hash);
    for (int64_t i = 0; i < dev->records.n; i++) {
        const uint64_t h = as_record_hash(&dev->records.v[i], &dev->records);
        both += bsearch(&h, hash, (size_t)n, sizeof *hash, by_hash) != NULL;
    }
    as_free(hash);
    if (both == dev->records.n) {
        (void)as_fail(err, AS_USAGE, "--calibrate: %s has nothing but items of %s", v->j->calibrate, v->data);
        as_hint(err, "Calibrate on labelled items that are not evaluated, those of the dev data for example.");
        return AS_USAGE;
    }
    if (both > 0)
        as_log_line(v->j->log, AS_WARN, "%" PRId64 " of the %" PRId64 " items of %s are evaluated, too: the calibration looks better than it is", both,
                    dev->records.n, v->j->calibrate);
    return AS_OK;
}

static as_status same_labels(const as_evaluation *v, const as_evaluation *dev, as_err *err) {
    const as_labels *a = &v->records.labels, *b = &dev->records.labels;
    bool same = a->count == b->count;
    for (int i = 0; same && i < a->count; i++) same = strcmp(a->names[i], b->names[i]) == 0;
    if (same) return AS_OK;
    (void)as_fail(err, AS_USAGE, "%s and %s have different labels", v->j->calibrate, v->data);
    as_hint(err, "Name the labels of both with --labels.");
    return AS_USAGE;
}

static as_outputs outputs_of(const as_scored *s, const as_predictions *p, const int32_t *cluster) {
    return (as_outputs){.kind = p->kind, .n = p->n, .num_labels = p->num_labels, .logits = s->logits, .gold = p->gold, .gold_sets = p->gold_sets, .cluster = cluster};
}

static as_status calibrate(as_evaluation *v, as_evaluation *dev, as_err *err) {
    as_predictions dev_p, test_p;
    int32_t *cluster;
    AS_TRY(as_scored_predictions(&dev->scored, v->j, &dev_p, err));
    AS_TRY(as_scored_predictions(&v->scored, v->j, &test_p, err));
    AS_TRY(as_records_clusters(&cluster, &v->records, err));
    as_calibration *c = as_calloc(1, sizeof *c);
    const as_outputs on = outputs_of(&dev->scored, &dev_p, NULL), of = outputs_of(&v->scored, &test_p, cluster);
    as_status s = c ? as_calibrate(c, &on, &of, v->j->level, v->j->seed, as_engine_threads(v->ses.engine), err) : as_fail_nomem(err, "a calibration", sizeof *c);
    if (s == AS_OK) {
        c->dev_run = dev->run.id, c->run = v->run.id;
        c->dev = as_strdup(dev->out->task);
        if (!c->dev) s = as_fail_nomem(err, "a calibration", 0);
    }
    as_free(cluster);
    v->out->calibration = c; /* freed with the result, on failure too */
    return s;
}

as_status as_evaluate_calibration(as_evaluation *v, const as_data_cols *cols, as_err *err) {
    as_job j = *v->j;
    as_eval_result r = {0};
    j.task_name = NULL, j.doing = "calibrate", j.until = 0;
    as_evaluation dev = {.j = &j, .data = j.calibrate, .out = &r};
    as_data_cols c = *cols;
    c.slices = NULL, c.slice_count = 0;
    const as_labels known = as_session_labels(&v->ses);
    AS_TRY(as_records_open(&dev.records, j.calibrate, &c, &known, err));
    as_status s = same_labels(v, &dev, err);
    if (s == AS_OK) s = check_overlap(v, &dev, err);
    if (s == AS_OK) s = as_evaluation_part(&dev, v, err);
    if (s == AS_OK) s = calibrate(v, &dev, err);
    as_evaluation_part_close(&dev);
    as_records_free(&dev.records);
    as_eval_result_free(&r);
    return s;
}
