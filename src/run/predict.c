/* predict.c: `assay predict`: what the head says about texts without gold. */
#include "base/mem.h"
#include "run/evaluate.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES = 20 };
/* Texts as records, borrowed; their ids are their numbers from 0, as those of a table. */
static as_status records_of_texts(as_records *r, const as_predict_input *in, char **ids, as_err *err) {
    *r = (as_records){.n = in->count, .has_pair = in->pairs != NULL, .kind = AS_LABEL_NONE};
    r->v = as_calloc((size_t)in->count, sizeof *r->v);
    *ids = as_calloc((size_t)in->count, ID_BYTES);
    if (!r->v || !*ids || !(r->path = as_strdup("the command line"))) return as_fail_nomem(err, "texts", 0);
    for (int64_t i = 0; i < in->count; i++) {
        char *id = *ids + i * ID_BYTES;
        const int n = snprintf(id, ID_BYTES, "%" PRId64, i);
        r->v[i] = (as_record){.id = {id, (size_t)n}, .text = in->texts[i], .pair = in->pairs ? in->pairs[i] : (as_str){NULL, 0}, .line = i + 1, .label = -1};
    }
    return AS_OK;
}

static as_status predict(const as_job *j, as_session *ses, as_records *r, as_encoded *e, as_scored *s, as_item_sink sink, void *ctx, as_err *err) {
    AS_TRY(as_session_encode(ses, j, r, e, err));
    AS_TRY(as_scored_init(s, r, e, as_session_kind(ses), as_model_labels(ses->model), as_model_num_labels(ses->model), err));
    AS_TRY(as_evaluate_items(ses, j, s, NULL, 0, NULL, 0, "predict", err));
    return as_scored_each(s, sink, ctx, err);
}

as_status as_run_predict(const as_job *j, const as_predict_input *in, as_item_sink sink, void *ctx, as_err *err) {
    as_session ses;
    as_records r = {0};
    as_encoded e = {0};
    as_scored s = {0};
    char *ids = NULL;
    AS_TRY(as_session_open(&ses, j, (as_model_opts){.head = AS_HEAD_CLASSIFY, .seed = j->seed}, err));
    if (as_model_head_is_fresh(ses.model))
        as_log_line(j->log, AS_WARN, "%s: its classification head is not trained: these predictions mean nothing", j->model);
    as_status st;
    if (in->data) {
        as_data_cols cols = *in->cols;
        cols.label_ignored = true, cols.label_required = false;
        st = as_records_open(&r, in->data, &cols, NULL, err);
    } else {
        st = records_of_texts(&r, in, &ids, err);
    }
    if (st == AS_OK && r.n > 0) st = predict(j, &ses, &r, &e, &s, sink, ctx, err);
    as_scored_free(&s);
    as_encoded_free(&e);
    as_records_free(&r);
    as_free(ids);
    as_session_close(&ses);
    return st;
}
