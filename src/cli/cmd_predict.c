#include "cli/print.h"
#include "cli/task_options.h"

typedef struct predicting {
    as_cli *c;
    as_csv_out *csv;
} predicting;

static as_status print_item(void *ctx, const as_result_item *item, as_err *err) {
    predicting *p = ctx;
    if (p->csv) AS_TRY(as_csv_out_item(p->csv, item, err));
    if (p->c->p.o.json)
        as_print_item_json(&p->c->out.buf, "prediction", item, NULL);
    else if (!p->csv)
        as_print_item_text(&p->c->out.buf, item, false);
    return as_out_flush(&p->c->out, false, err);
}

static as_status predict(as_cli *c, const as_job *j, const as_predict_input *in, as_err *err) {
    predicting p = {.c = c};
    if (c->p.o.csv) AS_TRY(as_csv_out_open(&p.csv, c->p.o.csv, in->data, in->data ? &in->cols->table : NULL, err));
    as_status s = as_run_predict(j, in, print_item, &p, err);
    if (s == AS_OK && p.csv) s = as_csv_out_commit(p.csv, err);
    as_csv_out_free(p.csv);
    return s;
}

as_status as_cmd_predict(as_cli *c, as_err *err) {
    as_job j;
    as_data_cols cols;
    as_cli_texts texts;
    AS_TRY(as_cli_task(c, TASK_PREDICT, err));
    AS_TRY(as_cli_job(&j, c, c->p.args[0], err));
    AS_TRY(as_cli_cols(&cols, c, err));
    j.db = NULL;
    const char *data = c->p.o.data;
    if ((data && (c->p.o.file || c->p.arg_count > 1)) || (!data && !c->p.o.file && c->p.arg_count == 1)) {
        (void)as_fail(err, AS_USAGE, data ? "predict: texts in two places" : "predict: no text");
        as_hint(err, "Give texts behind the model, or --file F, or --data F.");
        return AS_USAGE;
    }
    AS_TRY(as_cli_texts_open(&texts, c, err));
    const as_predict_input in = {.data = data, .cols = &cols, .texts = texts.v, .count = texts.n};
    const as_status s = predict(c, &j, &in, err);
    as_cli_texts_close(&texts);
    return s;
}
