#include "cli/print.h"
#include "cli/score_input.h"
#include "run/scored.h"

as_status as_cmd_score(as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    AS_TRY(as_score_input_check(c, "score", err));
    if (o->preds.count > 1) {
        (void)as_fail(err, AS_USAGE, "score: more than one --pred");
        as_hint(err, "assay compare takes several, and compares them.");
        return AS_USAGE;
    }
    as_score_input in;
    as_eval_result r = {0};
    as_job j = as_job_defaults();
    j.seed = (uint64_t)o->seed, j.level = o->level / 100.0, j.ci = o->ci, j.metrics = o->metric, j.threads = (int)o->threads;
    AS_TRY(as_cli_check_metrics(c, o->metric, err));
    AS_TRY(as_score_input_open(&in, c, o->preds.v[0], NULL, err));
    as_status s = as_score_predictions(&in.p, NULL, &j, j.threads, &r, err);
    if (s == AS_OK && o->json) {
        as_print_metrics_json(&c->out.buf, r.metrics, r.metric_count, &(as_print_context){.model = o->preds.v[0], .task = o->gold ? o->gold : o->preds.v[0]});
    } else if (s == AS_OK) {
        as_print_metrics(&c->out.buf, r.metrics, r.metric_count);
        if (r.confusion) as_print_confusion(&c->out.buf, r.confusion, r.labels, r.num_labels);
    }
    as_eval_result_free(&r);
    as_score_input_close(&in);
    return s == AS_OK ? as_out_flush(&c->out, true, err) : s;
}
