#include "run/pretrain.h"
#include "cli/job_options.h"
#include "cli/print.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void plan_text(as_cli *c, const as_pretrain_job *j, const as_pretrain_plan *p) {
    as_grid g;
    as_grid_init(&g, "lL", 0);
    as_grid_cell(&g, AS_LIT("data"));
    as_grid_fmt(&g, "%s rows of %s tokens in all, %s held out", as_out_whole(p->rows).s, as_out_whole(p->tokens_epoch).s, as_out_whole(p->heldout_rows).s);
    as_grid_cell(&g, AS_LIT("steps"));
    as_grid_fmt(&g, "%s of %s rows, %s tokens", as_out_whole(p->steps).s, as_out_whole(j->recipe.batch_size * j->recipe.accumulate).s, as_out_whole((int64_t)p->tokens).s);
    as_grid_cell(&g, AS_LIT("weights"));
    as_grid_fmt(&g, "%s, gradients in %s shards", as_out_whole(p->parameters).s, as_out_whole(p->shards).s);
    as_grid_cell(&g, AS_LIT("needs"));
    as_grid_fmt(&g, "about %s, %.3g FLOPs and %s of memory", as_out_time(p->seconds).s, p->flops, as_out_bytes(p->bytes).s);
    as_grid_print(&g, &c->out.buf);
}
static void plan_members(as_buf *b, const as_pretrain_plan *p) {
    as_buf_fmt(b, "\"parameters\":%" PRId64 ",\"rows\":%" PRId64 ",\"tokens_epoch\":%" PRId64 ",\"heldout_rows\":%" PRId64 ",\"total_steps\":%" PRId64 ",\"grad_shards\":%" PRId64,
               p->parameters, p->rows, p->tokens_epoch, p->heldout_rows, p->steps, p->shards);
    as_buf_fmt(b, ",\"planned_tokens\":%.0f,\"planned_flops\":%.6g,\"planned_seconds\":%.6g,\"planned_bytes\":%" PRIu64, p->tokens, p->flops, p->seconds, p->bytes);
}

static void result_json(as_cli *c, const as_pretrain_job *j, const as_pretrain_result *r) {
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"pretrain\",\"out\":"), as_buf_json_str(b, as_str_of(j->out));
    as_buf_fmt(b, ",\"objective\":\"%s\",\"run\":%" PRId64 ",\"steps\":%" PRId64 ",\"train_loss\":", j->objective, r->run, r->steps);
    as_buf_real(b, r->from_store ? (double)NAN : r->train_loss);
    as_buf_str(b, ",\"seconds\":"), as_buf_real(b, r->seconds);
    as_buf_fmt(b, ",\"tokens\":%.0f,\"resumed\":%s,\"from_store\":%s,\"peak_bytes\":%" PRIu64 ",", r->tokens, r->resumed ? "true" : "false",
               r->from_store ? "true" : "false", r->peak_bytes);
    plan_members(b, &r->plan);
    const as_pretrain_part *p = r->heldout;
    if (p[0].name) {
        as_heldout_json(b, "loss", p[0].loss);
        as_heldout_json(b, "perplexity", as_heldout_perplexity(p[0].loss));
        as_heldout_json(b, "accuracy", p[0].accuracy);
        as_buf_fmt(b, ",\"predictions\":%" PRId64, p[0].loss.count);
    }
    if (p[1].name) as_heldout_json(b, "second_loss", p[1].loss), as_heldout_json(b, "second_accuracy", p[1].accuracy);
    if (r->bits_per_byte.count > 0) as_heldout_json(b, "bits_per_byte", r->bits_per_byte);
    if (r->auc.count > 0) as_heldout_json(b, "auc", r->auc);
    const as_heldout_mean q = as_heldout_perplexity(r->pseudo);
    if (q.count > 0) {
        as_heldout_json(b, "pseudo_perplexity", q);
        as_buf_fmt(b, ",\"pseudo_sequences\":%" PRId64 ",\"pseudo_predictions\":%" PRId64, q.n, q.count);
    }
    as_buf_str(b, "}\n");
}

static void metric_row(as_grid *g, const char *part, const char *what, as_heldout_mean m) {
    as_grid_fmt(g, "%s, %s", part, what);
    as_grid_fmt(g, "%.4f [%.4f, %.4f]", m.value, m.low, m.high);
    as_grid_cell(g, as_str_of(as_out_whole(m.count).s));
}
static void result_text(as_cli *c, const as_pretrain_job *j, const as_pretrain_result *r) {
    as_buf *b = &c->out.buf;
    as_grid g;
    as_grid_init(&g, "llr", 0);
    for (int i = 0; i < AS_LOSSES; i++) {
        const as_pretrain_part *p = &r->heldout[i];
        if (!p->name) continue;
        metric_row(&g, p->name, "loss", p->loss);
        if (i == 0) metric_row(&g, p->name, "perplexity", as_heldout_perplexity(p->loss));
        metric_row(&g, p->name, "accuracy", p->accuracy);
    }
    const as_heldout_mean q = as_heldout_perplexity(r->pseudo);
    if (q.count > 0) metric_row(&g, "masked one by one", "pseudo-perplexity", q);
    if (r->bits_per_byte.count > 0) metric_row(&g, r->heldout[0].name, "bits per byte", r->bits_per_byte);
    if (r->auc.count > 0) metric_row(&g, r->heldout[1].name, "area under the ROC curve", r->auc);
    as_grid_print(&g, b);
    if (r->from_store) {
        as_buf_fmt(b, "saved     %s: nothing to do, this command was finished before\n", j->out);
    } else {
        as_buf_fmt(b, "saved     %s (%s steps)\n", j->out, as_out_whole(r->steps).s);
        as_buf_fmt(b, "training  loss %.4f, %s, %s tokens at %s a second, %s of memory%s\n", r->train_loss, as_out_time(r->seconds).s, as_out_whole((int64_t)r->tokens).s,
                   as_out_whole((int64_t)(r->tokens / fmax(1e-9, r->seconds))).s, as_out_bytes(r->peak_bytes).s, r->resumed ? ", went on from a checkpoint" : "");
        as_buf_fmt(b, "planned   %s, %.3g FLOPs, %s of memory\n", as_out_time(r->plan.seconds).s, r->plan.flops, as_out_bytes(r->plan.bytes).s);
    }
    if (r->run > 0) as_buf_fmt(b, "stored    run %" PRId64 " in %s\n", r->run, c->p.o.db);
}

/* The options' defaults are those of fine-tuning: what is not given has pre-training's. */
static as_status fill_recipe(as_recipe *r, const as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    const as_recipe d = as_pretrain_recipe();
    *r = o->train;
    r->beta2 = d.beta2, r->eps = d.eps, r->select = d.select, r->seed = (uint64_t)o->seed;
    if (!as_option_given(&c->p, "lr")) r->lr = d.lr;
    if (!as_option_given(&c->p, "epochs")) r->epochs = d.epochs;
    if (!as_option_given(&c->p, "batch-size")) r->batch_size = d.batch_size;
    if (o->schedule) AS_TRY(as_schedule_parse(&r->schedule, o->schedule, err));
    if ((o->tokens > 0) + as_option_given(&c->p, "steps") + as_option_given(&c->p, "epochs") <= 1) return AS_OK;
    (void)as_fail(err, AS_USAGE, "pretrain: two budgets at once");
    as_hint(err, "Give one of --tokens, --steps and --epochs.");
    return AS_USAGE;
}

as_status as_cmd_pretrain(as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    as_pretrain_job j = {.config = o->config, .shape = o->shape, .corpus = o->corpora.v, .corpus_count = o->corpora.count, .tokenizer = o->tokenizer,
                         .objective = o->objective, .out = o->out, .tokens = o->tokens, .mask_share = o->mask_share, .whole_words = o->whole_words,
                         .save_bf16 = o->save_dtype && strcmp(o->save_dtype, "bf16") == 0, .recompute = o->recompute, .keep = o->keep, .checkpoint_steps = o->checkpoint_steps,
                         .pseudo = o->pseudo};
    as_pretrain_result r;
    AS_TRY(as_cli_job(&j.job, c, o->from, err));
    AS_TRY(fill_recipe(&j.recipe, c, err));
    AS_TRY(as_run_pretrain(&j, &r, err));
    if (o->dry_run && o->json) {
        as_buf_str(&c->out.buf, "{\"kind\":\"plan\","), plan_members(&c->out.buf, &r.plan), as_buf_str(&c->out.buf, "}\n");
    } else if (o->dry_run) {
        plan_text(c, &j, &r.plan);
    } else if (o->json) {
        result_json(c, &j, &r);
    } else {
        result_text(c, &j, &r);
    }
    return AS_OK;
}
