#include "cli/print.h"
#include "cli/task_options.h"
#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

typedef struct evaluating {
    as_cli *c;
    const char *model; /* as the user named it, its last component */
    as_csv_out *csv;
    bool heading;
} evaluating;

static as_status print_item(void *ctx, const as_result_item *item, as_err *err) {
    evaluating *e = ctx;
    as_cli *c = e->c;
    if (e->csv) AS_TRY(as_csv_out_item(e->csv, item, err));
    if (!c->p.o.items) return AS_OK;
    if (c->p.o.json)
        as_print_item_json(&c->out.buf, "item", item, e->model);
    else
        as_print_item_text(&c->out.buf, item, true);
    e->heading = true;
    return as_out_flush(&c->out, false, err);
}

static void print_plan(as_cli *c, const as_eval_result *r, const char *model) {
    as_buf *b = &c->out.buf;
    if (!c->p.o.json) {
        as_buf_fmt(b, "%s · %s items, %s tokens, %s cut · needs about %s and %s of memory\n", model, as_out_whole(r->n).s, as_out_whole(r->tokens).s,
                   as_out_whole(r->truncated).s, as_out_time(r->seconds).s, as_out_bytes(r->peak_bytes).s);
        return;
    }
    as_buf_str(b, "{\"kind\":\"plan\",\"model\":"), as_buf_json_str(b, as_str_of(model));
    as_buf_fmt(b, ",\"items\":%" PRId64 ",\"tokens\":%" PRId64 ",\"truncated\":%" PRId64 ",\"bytes\":%" PRIu64 ",\"seconds\":", r->n, r->tokens, r->truncated, r->peak_bytes);
    as_buf_real(b, r->seconds), as_buf_str(b, "}\n");
}

static as_status eval_one(as_cli *c, const char *model, const as_data_cols *cols, as_err *err) {
    as_job j;
    evaluating e = {.c = c};
    as_eval_result r = {0};
    as_data_cols own = *cols;
    AS_TRY(as_cli_job(&j, c, model, err));
    AS_TRY(as_cli_task_order(&own, c, &j, err));
    e.model = j.model_name;
    if (c->p.o.csv) AS_TRY(as_csv_out_open(&e.csv, c->p.o.csv, c->p.o.data, &cols->table, err));
    const bool sink = c->p.o.items || e.csv;
    as_status s = as_run_eval(&j, c->p.o.data, &own, sink ? print_item : NULL, &e, &r, err);
    if (s == AS_OK && e.csv) s = as_csv_out_commit(e.csv, err);
    if (s == AS_OK && c->p.o.dry_run)
        print_plan(c, &r, e.model);
    else if (s == AS_OK && c->p.o.json)
        as_print_eval_json(c, &r, e.model);
    else if (s == AS_OK) {
        if (e.heading) as_buf_char(&c->out.buf, '\n');
        as_print_eval(c, &r, e.model, "");
    }
    as_csv_out_free(e.csv);
    as_eval_result_free(&r);
    return s == AS_OK ? as_out_flush(&c->out, true, err) : s;
}

as_status as_cmd_eval(as_cli *c, as_err *err) {
    as_data_cols cols;
    const int models = c->p.arg_count;
    AS_TRY(as_cli_task(c, TASK_EVAL, err));
    AS_TRY(as_cli_cols(&cols, c, err));
    cols.label_required = true;
    if (!c->p.o.data) {
        (void)as_fail(err, AS_USAGE, "eval: no data");
        as_hint(err, "Give a table with texts and labels, --data F, or name a task, --task T.");
        return AS_USAGE;
    }
    if (c->p.o.until > 0 && (c->p.o.items || c->p.o.csv || c->p.o.slices.count > 0))
        return as_fail(err, AS_USAGE, "--until scores only part of the items: it goes without --items, --csv and --slice");
    if (c->p.o.until > 0 && (c->p.o.calibrate || c->p.o.perturb))
        return as_fail(err, AS_USAGE, "--until scores only part of the items: it goes without --calibrate and --perturb");
    if (c->p.o.strength > 0 && !c->p.o.perturb) return as_fail(err, AS_USAGE, "--strength is that of --perturb");
    if (c->p.o.calibrate && strcmp(c->p.o.calibrate, "-") == 0) return as_fail(err, AS_USAGE, "--calibrate needs a file, not standard input");
    if (models > 1 && (c->p.o.csv || strcmp(c->p.o.data, "-") == 0))
        return as_fail(err, AS_USAGE, "%s goes with one model only", c->p.o.csv ? "--csv" : "--data -");
    for (int i = 0; i < models; i++) {
        if (i > 0 && !c->p.o.json) as_buf_char(&c->out.buf, '\n');
        AS_TRY(eval_one(c, c->p.args[i], &cols, err));
    }
    return AS_OK;
}
