#include "cli/print.h"
#include "cli/task_options.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void plan_text(as_cli *c, const as_finetune_job *f, const as_plan *p) {
    as_grid g;
    as_grid_init(&g, "lL", 0);
    as_grid_cell(&g, AS_LIT("data"));
    as_grid_fmt(&g, "%s to train on, %s to evaluate on", as_out_whole(p->train_items).s, as_out_whole(p->dev_items).s);
    as_grid_cell(&g, AS_LIT("steps"));
    as_grid_fmt(&g, "%s of %s items, %s tokens an epoch", as_out_whole(p->steps).s,
                as_out_whole(f->recipe.batch_size * f->recipe.accumulate).s, as_out_whole(p->tokens_epoch).s);
    as_grid_cell(&g, AS_LIT("weights"));
    as_grid_fmt(&g, "%s, %s of them trained", as_out_whole(p->parameters).s, as_out_whole(p->trainable).s);
    as_grid_cell(&g, AS_LIT("needs"));
    as_grid_fmt(&g, "about %s and %s of memory", as_out_time(p->seconds).s, as_out_bytes(p->bytes).s);
    as_grid_print(&g, &c->out.buf);
}
static void plan_json(as_cli *c, const as_plan *p) {
    as_buf *b = &c->out.buf;
    as_buf_fmt(b, "{\"kind\":\"plan\",\"steps\":%" PRId64 ",\"tokens_epoch\":%" PRId64 ",\"parameters\":%" PRId64 ",\"trainable\":%" PRId64, p->steps,
               p->tokens_epoch, p->parameters, p->trainable);
    as_buf_fmt(b, ",\"train_items\":%" PRId64 ",\"dev_items\":%" PRId64 ",\"bytes\":%" PRIu64 ",\"seconds\":", p->train_items, p->dev_items, p->bytes);
    as_buf_real(b, p->seconds);
    as_buf_str(b, "}\n");
}

static void result_json(as_cli *c, const as_finetune_job *f, const as_finetune_result *r) {
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"finetune\",\"out\":"), as_buf_json_str(b, as_str_of(f->out));
    as_buf_fmt(b, ",\"run\":%" PRId64 ",\"steps\":%" PRId64 ",\"best_step\":%" PRId64 ",\"grad_shards\":%" PRId64 ",\"train_loss\":", r->run, r->steps,
               r->best_step, r->grad_shards);
    as_buf_real(b, r->from_store ? (double)NAN : r->train_loss);
    as_buf_str(b, ",\"seconds\":"), as_buf_real(b, r->seconds);
    as_buf_fmt(b, ",\"resumed\":%s,\"from_store\":%s,\"stopped_early\":%s,\"peak_bytes\":%" PRIu64 "}\n", r->resumed ? "true" : "false",
               r->from_store ? "true" : "false", r->stopped_early ? "true" : "false", r->peak_bytes);
    if (r->dev.n > 0) as_print_eval_json(c, &r->dev, f->out);
}
static void result_text(as_cli *c, const as_finetune_job *f, const as_finetune_result *r) {
    as_buf *b = &c->out.buf;
    as_eval_result dev = r->dev;
    if (dev.n > 0) {
        dev.seconds = 0, dev.run = 0, dev.from_store = false; /* the training's are told below */
        as_print_eval(c, &dev, f->out, "held out");
    }
    if (r->from_store)
        as_buf_fmt(b, "saved     %s: nothing to do, this command was finished before\n", f->out);
    else {
        as_buf_fmt(b, "saved     %s", f->out);
        if (dev.n > 0) as_buf_fmt(b, " (step %s of %s%s)", as_out_whole(r->best_step).s, as_out_whole(r->plan.steps).s, r->stopped_early ? ", stopped early" : "");
        as_buf_char(b, '\n');
        as_buf_fmt(b, "training  %s steps, loss %.4f, %s, %s of memory%s\n", as_out_whole(r->steps).s, r->train_loss, as_out_time(r->seconds).s,
                   as_out_bytes(r->peak_bytes).s, r->resumed ? ", went on from a checkpoint" : "");
    }
    if (r->run > 0) as_buf_fmt(b, "stored    run %" PRId64 " in %s\n", r->run, c->p.o.db);
}

static as_status fill_job(as_finetune_job *f, as_data_cols *cols, as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    AS_TRY(as_cli_task(c, TASK_FINETUNE, err));
    *f = (as_finetune_job){.recipe = o->train, .train = o->data, .dev = o->dev, .dev_fraction = o->dev_fraction, .cols = cols, .out = o->out,
                           .scratch = o->scratch};
    if (!o->data) {
        (void)as_fail(err, AS_USAGE, "finetune: no data");
        as_hint(err, "Give a table with texts and labels, --data F, or name a task, --task T.");
        return AS_USAGE;
    }
    if (!o->out && !o->folds && !o->dry_run) {
        (void)as_fail(err, AS_USAGE, "finetune: no folder for the result");
        as_hint(err, "Give --out DIR; or --folds N to cross-validate, or --dry-run for time and memory.");
        return AS_USAGE;
    }
    if (o->dev && as_option_given(&c->p, "dev-fraction")) return as_fail(err, AS_USAGE, "--dev and --dev-fraction at once");
    if (o->folds && (o->dev || o->out)) return as_fail(err, AS_USAGE, "--folds with --%s: folds are evaluated on the data, and keep no checkpoint", o->dev ? "dev" : "out");
    const char *select = o->train.select;
    if (select && strcmp(select, "last") != 0 && strcmp(select, "loss") != 0) AS_TRY(as_cli_check_metrics(c, select, err));
    if (o->schedule) AS_TRY(as_schedule_parse(&f->recipe.schedule, o->schedule, err));
    f->recipe.seed = (uint64_t)o->seed;
    if (o->folds) f->dev_fraction = 1.0 / (double)o->folds; /* of a plan */
    AS_TRY(as_cli_cols(cols, c, err));
    cols->label_required = true;
    return as_cli_job(&f->job, c, c->p.args[0], err);
}

static as_status cross_validate(as_cli *c, const as_finetune_job *f, as_err *err) {
    as_eval_result r = {0};
    AS_TRY(as_run_crossval(f, (int)c->p.o.folds, &r, err));
    char what[48];
    snprintf(what, sizeof what, "%" PRId64 " folds", c->p.o.folds);
    if (c->p.o.json)
        as_print_eval_json(c, &r, r.model);
    else
        as_print_eval(c, &r, r.model, what);
    as_eval_result_free(&r);
    return AS_OK;
}

as_status as_cmd_finetune(as_cli *c, as_err *err) {
    as_finetune_job f;
    as_data_cols cols;
    AS_TRY(fill_job(&f, &cols, c, err));
    if (c->p.o.folds && !c->p.o.dry_run) return cross_validate(c, &f, err);
    as_finetune_result r = {0};
    AS_TRY(as_run_finetune(&f, &r, err));
    if (c->p.o.folds > 0) { /* each fold trains on what the others hold; planned with the share that a fold has */
        r.plan.steps *= c->p.o.folds, r.plan.seconds *= (double)c->p.o.folds;
    }
    if (c->p.o.dry_run && c->p.o.json)
        plan_json(c, &r.plan);
    else if (c->p.o.dry_run)
        plan_text(c, &f, &r.plan);
    else if (c->p.o.json)
        result_json(c, &f, &r);
    else
        result_text(c, &f, &r);
    as_finetune_result_free(&r);
    return AS_OK;
}
