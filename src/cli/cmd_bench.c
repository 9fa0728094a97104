/* cmd_bench.c: the leaderboard and the verdict. */
#include "base/mem.h"
#include "cli/print.h"
#include "cli/print_contest.h"
#include "cli/print_more.h"
#include "cli/task_options.h"
#include "report/report.h"
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

static void print_json(as_cli *c, const as_bench_result *r) {
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
    as_report_contest_json(b, &r->decision, r->systems);
}

/* One task of the command; its job is read until all tasks are joined. */
typedef struct bench_task {
    as_bench_job job;
    as_data_cols cols;
    as_buf metrics, out;
    as_bench_result result;
} bench_task;

static as_status plan_task(bench_task *t, as_cli *c, const as_options *base, const char *name, bool several, as_whole *whole, as_err *err) {
    c->p.o = *base;
    if (name) c->p.o.task = name;
    AS_TRY(fill_job(&t->job, &t->cols, &t->metrics, c, err));
    t->job.one_of_several = several;
    if (several) {
        as_buf_fmt(&t->out, "%s/%s", t->job.out, t->job.job.task_name ? t->job.job.task_name : name);
        if (t->out.failed) return as_fail_nomem(err, "a path", 0);
        t->job.out = t->out.p;
    }
    t->job.job.whole = whole;
    return as_bench_plan(&t->job, &t->result, err);
}

/* Mean ranks over the tasks, and whether they differ at all. */
static void print_ranks(as_cli *c, const bench_task *t, int n, const as_bench_ranks *r) {
    as_buf *b = &c->out.buf;
    const as_bench_result *first = &t[0].result;
    if (c->p.o.json) {
        as_buf_fmt(b, "{\"kind\":\"ranks\",\"tasks\":%d,\"friedman_p\":", n), as_buf_real(b, r->friedman_p);
        as_buf_str(b, ",\"critical_difference\":"), as_buf_real(b, r->critical_difference), as_buf_str(b, ",\"mean_ranks\":{");
        for (int i = 0; i < first->count; i++) {
            if (i) as_buf_char(b, ',');
            as_buf_json_str(b, as_str_of(first->systems[i].name)), as_buf_char(b, ':'), as_buf_real(b, r->mean_rank[i]);
        }
        as_buf_str(b, "}}\n");
        as_print_abilities_json(b, &first->contest, &r->abilities);
        as_print_task_ropes_json(b, &first->contest, r->ropes);
        return;
    }
    as_grid g;
    as_grid_init(&g, "Lr", 2);
    as_grid_cell(&g, AS_LIT("model")), as_grid_fmt(&g, "mean rank over %d tasks", n);
    for (int place = 0, shown = 0; shown < first->count; place++) /* best first; ranks are halves from 1 to count */
        for (int i = 0; i < first->count; i++)
            if ((int)(r->mean_rank[i] * 2 * n + 0.5) == place) {
                as_grid_cell(&g, as_str_of(first->systems[i].name)), as_grid_fmt(&g, "%.2f", r->mean_rank[i]);
                shown++;
            }
    as_grid_print(&g, b);
    if (isnan(r->friedman_p)) as_buf_fmt(b, "  %s\n", r->why ? r->why : "no test");
    else as_buf_fmt(b, "  Friedman p %.4f; ranks that differ by %.2f or more differ (Nemenyi, %g %%)\n", r->friedman_p, r->critical_difference, c->p.o.level);
    as_buf_char(b, '\n');
    as_print_abilities(b, &first->contest, &r->abilities);
    as_buf_char(b, '\n');
    as_print_task_ropes(b, &first->contest, r->ropes);
}

/* --all-tests. Abilities of one task; those of several are printed once, over all of them. */
static as_status print_other_methods(as_cli *c, const as_bench_result *r, bool alone, as_err *err) {
    as_buf *b = &c->out.buf;
    as_more more;
    AS_TRY(as_more_of(&more, &r->contest, &r->decision, err));
    if (c->p.o.json) as_print_more_json(b, &r->contest, &more);
    else as_print_more(b, &r->contest, &r->decision, &more);
    if (alone && c->p.o.json) as_print_abilities_json(b, &r->contest, &more.abilities);
    else if (alone) as_buf_char(b, '\n'), as_print_abilities(b, &r->contest, &more.abilities);
    as_more_free(&more);
    return AS_OK;
}

static as_status print_tasks(as_cli *c, bench_task *t, int n, bool *fails, as_err *err) {
    for (int i = 0; i < n; i++) {
        if (t[i].job.job.dry_run) {
            as_buf_fmt(&c->out.buf, "needs about %s of training and %s of memory\n", as_out_time(t[i].result.plan_seconds).s, as_out_bytes(t[i].result.plan_bytes).s);
            continue;
        }
        if (i && !c->p.o.json) as_buf_char(&c->out.buf, '\n');
        if (c->p.o.json) print_json(c, &t[i].result);
        else print_text(c, &t[i].job, &t[i].result);
        if (c->p.o.all_tests) AS_TRY(print_other_methods(c, &t[i].result, n == 1, err));
        bool one;
        AS_TRY(as_cli_gate(c, &t[i].result.contest, &t[i].result.decision, &one, err));
        *fails |= one;
    }
    return AS_OK;
}

static as_status run_tasks(as_cli *c, bench_task *t, char **names, int n, as_err *err) {
    const as_options base = c->p.o;
    as_bench_result **results = as_arena_push(&c->arena, (size_t)n, sizeof *results);
    as_bench_ranks ranks = {0};
    bool fails = false;
    if (!results) return as_fail_nomem(err, "a bench", 0);
    as_whole whole = {0}; /* all tasks are planned before the first begins: progress is that of the whole grid */
    for (int i = 0; i < n; i++) {
        AS_TRY(plan_task(&t[i], c, &base, names ? names[i] : NULL, n > 1, &whole, err));
        results[i] = &t[i].result;
    }
    for (int i = 0; i < n && !base.dry_run; i++) {
        if (n > 1) as_log_line(&c->log, AS_INFO, "task %s (%d of %d)", names[i], i + 1, n);
        AS_TRY(as_bench_work(results[i], err));
    }
    if (!as_comm_leads(c->comm)) return AS_OK;
    if (n > 1 && !base.dry_run) AS_TRY(as_bench_join(results, n, &ranks, err));
    as_status s = print_tasks(c, t, n, &fails, err);
    if (s == AS_OK && ranks.mean_rank) {
        if (!base.json) as_buf_char(&c->out.buf, '\n');
        print_ranks(c, t, n, &ranks);
    }
    as_bench_ranks_free(&ranks);
    if (s == AS_OK) s = as_out_flush(&c->out, true, err);
    return s == AS_OK && fails ? AS_FAILED : s;
}

as_status as_cmd_bench(as_cli *c, as_err *err) {
    char **names = NULL;
    size_t n = 1;
    if (c->p.o.task) AS_TRY(as_metric_list_split(c->p.o.task, &names, &n, err)); /* a list with commas, as metrics are */
    bench_task *t = n ? as_calloc(n, sizeof *t) : NULL;
    const as_status s = t ? run_tasks(c, t, names, (int)n, err) : n ? as_fail_nomem(err, "a bench", 0) : as_fail(err, AS_USAGE, "--task: no name");
    for (size_t i = 0; t && i < n; i++) {
        if (t[i].result.owned) as_bench_result_free(&t[i].result);
        as_buf_free(&t[i].metrics), as_buf_free(&t[i].out);
    }
    as_free(t);
    if (names) as_metric_list_free(names, n);
    return s;
}
