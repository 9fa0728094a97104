/* cmd_bench.c: the leaderboard and the verdict. */
#include "base/mem.h"
#include "cli/print.h"
#include "cli/print_contest.h"
#include "cli/task_options.h"
#include "run/bench.h"
#include "run/gate.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* "scratch:MODEL" is that architecture with random weights. */
static as_status models(as_bench_job *b, as_cli *c, as_err *err) {
    const int n = c->p.arg_count;
    const char **d = as_arena_push(&c->arena, (size_t)n, sizeof *d), **m = as_arena_push(&c->arena, (size_t)n, sizeof *m);
    bool *scratch = as_arena_push_zero(&c->arena, (size_t)n, sizeof *scratch);
    if (!d || !m || !scratch) return as_fail_nomem(err, "the command line", 0);
    for (int i = 0; i < n; i++) {
        static const char prefix[] = "scratch:";
        as_job j;
        scratch[i] = strncmp(c->p.args[i], prefix, sizeof prefix - 1) == 0;
        AS_TRY(as_cli_job(&j, c, c->p.args[i] + (scratch[i] ? sizeof prefix - 1 : 0), err));
        d[i] = j.model, m[i] = j.model_name;
        as_buf name = {0};
        as_buf_fmt(&name, "scratch-%s", j.model_name);
        if (scratch[i]) m[i] = name.failed ? NULL : as_arena_text(&c->arena, as_buf_view(&name));
        as_buf_free(&name);
        if (!m[i]) return as_fail_nomem(err, "a name", 0);
    }
    b->models = d, b->names = m, b->scratch = scratch;
    return AS_OK;
}

static as_status fill_job(as_bench_job *b, as_data_cols *cols, as_buf *metrics, as_cli *c, as_err *err) {
    const as_options *o = &c->p.o;
    AS_TRY(as_cli_task(c, TASK_BENCH, err));
    *b = (as_bench_job){.recipe = o->train, .data = o->data, .dev = o->dev, .test = o->eval_data, .dev_fraction = o->dev_fraction, .test_fraction = o->test_fraction,
                        .cols = cols, .out = o->out ? o->out : "bench", .seeds = o->seeds, .search = o->search, .margin = o->margin, .baselines = !o->no_baselines,
                        .model_count = c->p.arg_count};
    if (!o->data) {
        (void)as_fail(err, AS_USAGE, "bench: no data");
        as_hint(err, "Give a table with texts and labels, --data F, or name a task, --task T.");
        return AS_USAGE;
    }
    if (o->dev && as_option_given(&c->p, "dev-fraction")) return as_fail(err, AS_USAGE, "--dev and --dev-fraction at once");
    if (o->eval_data && as_option_given(&c->p, "test-fraction")) return as_fail(err, AS_USAGE, "--eval-data and --test-fraction at once");
    if (o->schedule) AS_TRY(as_schedule_parse(&b->recipe.schedule, o->schedule, err));
    b->recipe.seed = (uint64_t)o->seed;
    AS_TRY(as_cli_cols(cols, c, err));
    AS_TRY(models(b, c, err));
    AS_TRY(as_cli_job(&b->job, c, NULL, err));
    if (o->fail_if) {
        if (o->metric) as_buf_str(metrics, o->metric);
        AS_TRY(as_gate_metrics(metrics, o->fail_if, err));
        b->job.metrics = metrics->p;
    }
    return AS_OK;
}

static void print_search(as_buf *b, const as_bench_result *r) {
    if (r->try_count == 0) return;
    as_grid g;
    as_grid_init(&g, "Lrrrl", 2);
    static const char *const heads[] = {"search on the dev data", "lr", "steps", "score", ""};
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    for (size_t i = 0; i < r->try_count; i++) {
        const as_bench_try *t = &r->tries[i];
        as_grid_cell(&g, as_str_of(r->systems[t->model].name));
        as_grid_fmt(&g, "%g", t->lr), as_grid_fmt(&g, "%s", as_out_whole(t->steps).s), as_grid_fmt(&g, "%.4f", fabs(t->score));
        as_grid_cell(&g, as_str_of(t->kept ? "kept" : ""));
    }
    as_grid_print(&g, b);
    as_buf_char(b, '\n');
}

static void print_text(as_cli *c, const as_bench_job *j, const as_bench_result *r) {
    as_buf *b = &c->out.buf;
    as_buf head = {0};
    as_buf_fmt(&head, "%s · %s train, %s test · %s · %d model%s x %" PRId64 " seed%s · %s, %s, %d thread%s", r->task, as_out_whole(r->train_items).s,
               as_out_whole(r->test_items).s, r->decision.metrics[0], j->model_count, j->model_count == 1 ? "" : "s", j->seeds, j->seeds == 1 ? "" : "s",
               j->job.dtype == AS_COMPUTE_BF16 ? "bf16" : "f32", r->isa, r->threads, r->threads == 1 ? "" : "s");
    as_out_cut(b, as_buf_view(&head), AS_OUT_COLUMNS);
    as_buf_free(&head);
    as_buf_str(b, "\n\n");
    print_search(b, r);
    for (size_t i = 0; i < r->decision.metric_count; i++) {
        as_print_standings(b, &r->contest, &r->decision, r->decision.metrics[i]);
        as_buf_char(b, '\n');
    }
    as_print_verdict(b, &r->decision);
    as_buf_fmt(b, "stored    run %" PRId64 " in %s · assay report %" PRId64 " -o %s.html · assay diff %" PRId64 ".1 %" PRId64 ".2\n", r->run, c->p.o.db, r->run, r->task,
               r->run, r->run);
    as_buf_fmt(b, "models    %s\n", j->out);
}

static void print_json(as_cli *c, const as_bench_job *j, const as_bench_result *r) {
    as_buf *b = &c->out.buf;
    for (size_t i = 0; i < r->try_count; i++) {
        const as_bench_try *t = &r->tries[i];
        as_buf_str(b, "{\"kind\":\"try\",\"model\":"), as_buf_json_str(b, as_str_of(r->systems[t->model].name));
        as_buf_str(b, ",\"lr\":"), as_buf_real(b, t->lr);
        as_buf_fmt(b, ",\"steps\":%" PRId64 ",\"run\":%" PRId64 ",\"kept\":%s,\"dev_score\":", t->steps, t->run, t->kept ? "true" : "false");
        as_buf_real(b, fabs(t->score)), as_buf_str(b, "}\n");
    }
    for (size_t i = 0; i < r->cell_count; i++) {
        const as_bench_cell *l = &r->cells[i];
        as_buf_str(b, "{\"kind\":\"cell\",\"model\":"), as_buf_json_str(b, as_str_of(r->systems[l->system].name));
        as_buf_fmt(b, ",\"seed\":%" PRIu64 ",\"run\":%" PRId64 ",\"finetune_run\":%" PRId64 "}\n", l->seed, l->eval_run, l->finetune_run);
        as_print_eval_json(c, &l->result, r->systems[l->system].name);
    }
    for (int i = 0; i < r->count; i++) {
        const as_system *s = &r->systems[i];
        as_buf_str(b, "{\"kind\":\"system\",\"model\":"), as_buf_json_str(b, as_str_of(s->name));
        as_buf_fmt(b, ",\"seeds\":%" PRId64 ",\"parameters\":%" PRId64 ",\"peak_bytes\":%" PRIu64 ",\"train_seconds\":", s->seeds, s->parameters, s->peak_bytes);
        as_buf_real(b, s->train_seconds), as_buf_str(b, ",\"items_per_second\":"), as_buf_real(b, s->items_per_second), as_buf_str(b, "}\n");
    }
    (void)j;
    as_print_contest_json(b, &r->contest, &r->decision);
}

as_status as_cmd_bench(as_cli *c, as_err *err) {
    as_bench_job b;
    as_data_cols cols;
    as_bench_result r = {0};
    as_buf metrics = {0};
    bool fails = false;
    as_status s = fill_job(&b, &cols, &metrics, c, err);
    if (s == AS_OK) s = as_run_bench(&b, &r, err);
    if (s == AS_OK && b.job.dry_run) {
        as_buf_fmt(&c->out.buf, "needs about %s of training and %s of memory\n", as_out_time(r.plan_seconds).s, as_out_bytes(r.plan_bytes).s);
    } else if (s == AS_OK) {
        if (c->p.o.json) print_json(c, &b, &r);
        else print_text(c, &b, &r);
        s = as_cli_gate(c, &r.contest, &r.decision, &fails, err);
    }
    if (r.owned) as_bench_result_free(&r);
    as_buf_free(&metrics);
    if (s == AS_OK) s = as_out_flush(&c->out, true, err);
    return s == AS_OK && fails ? AS_FAILED : s;
}
