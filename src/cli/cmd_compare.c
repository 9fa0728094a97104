/* cmd_compare.c: paired statistics between stored runs, or between predictions in files. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/print.h"
#include "cli/print_contest.h"
#include "cli/print_more.h"
#include "cli/score_input.h"
#include "report/report.h"
#include "run/gate.h"
#include "run/scored.h"
#include "run/stored.h"
#include "run/stored_refs.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct comparing {
    as_cli *c;
    int count;                 /* runs or files */
    int system_count;          /* those of a bench are its models: runs of one are its seeds */
    as_stored *runs;           /* [count], or */
    as_score_input *inputs;    /* [count] */
    as_predictions *preds;     /* [count] */
    as_system *systems;        /* [count] */
    as_contest contest;
    as_contest_result result;
} comparing;

static as_status allocate(comparing *w, int count, as_err *err) {
    w->count = count;
    w->runs = as_calloc((size_t)count, sizeof *w->runs), w->inputs = as_calloc((size_t)count, sizeof *w->inputs);
    w->preds = as_calloc((size_t)count, sizeof *w->preds), w->systems = as_calloc((size_t)count, sizeof *w->systems);
    return w->runs && w->inputs && w->preds && w->systems ? AS_OK : as_fail_nomem(err, "a comparison", 0);
}
static void release(comparing *w) {
    for (int i = 0; w->runs && i < w->count; i++) as_stored_free(&w->runs[i]);
    for (int i = 0; w->inputs && i < w->count; i++) as_score_input_close(&w->inputs[i]);
    as_free(w->runs), as_free(w->inputs), as_free(w->preds), as_free(w->systems);
    as_contest_result_free(&w->result);
}

/* --- stored runs --- */
/* Names as shown; where two runs have the same model, the number is added. */
static const char *run_name(const comparing *w, int i) {
    bool twice = false;
    for (int k = 0; k < w->count; k++) twice |= k != i && strcmp(w->runs[k].model, w->runs[i].model) == 0;
    if (!twice) return w->runs[i].model;
    char text[512];
    snprintf(text, sizeof text, "%s (run %" PRId64 ")", w->runs[i].model, w->runs[i].run);
    return as_arena_text(&w->c->arena, as_str_of(text));
}

/* Each run is a system; with a bench among what was named, neighbours of one model are seeds of one. */
static as_status make_systems(comparing *w, bool seeds, as_err *err) {
    for (int i = 0; i < w->count; i++) {
        w->preds[i] = w->runs[i].p;
        as_system *last = w->system_count > 0 ? &w->systems[w->system_count - 1] : NULL;
        const as_stored *r = &w->runs[i];
        if (seeds && last && strcmp(r->model, r[-1].model) == 0 && strcmp(r->dtype, r[-1].dtype) == 0 && strcmp(r->isa, r[-1].isa) == 0) {
            last->seeds++;
            continue;
        }
        w->systems[w->system_count++] = (as_system){.name = seeds ? r->model : run_name(w, i), .seed = &w->preds[i], .seeds = 1};
        if (!w->systems[w->system_count - 1].name) return as_fail_nomem(err, "a name", 0);
    }
    w->contest.cluster = w->runs[0].cluster;
    return AS_OK;
}

static as_status read_runs(comparing *w, as_err *err) {
    as_cli *c = w->c;
    as_store *store;
    as_refs refs = {0};
    int64_t number;
    bool file = false; /* a name is no run: say what would have helped */
    for (int i = 0; i < c->p.arg_count && !file; i++) file = !strchr(c->p.args[i], '.') && as_cli_run_number(&number, c->p.args[i], err) != AS_OK;
    if (file) return AS_USAGE;
    AS_TRY(as_cli_store(&store, c, err));
    as_status s = AS_OK;
    for (int i = 0; s == AS_OK && i < c->p.arg_count; i++) s = as_refs_add(&refs, store, c->p.args[i], err);
    if (s == AS_OK) s = allocate(w, (int)refs.n, err);
    for (int i = 0; s == AS_OK && i < w->count; i++) {
        s = as_stored_open(&w->runs[i], store, refs.v[i].run, err);
        if (s == AS_OK && i > 0) s = as_stored_align(&w->runs[0], &w->runs[i], err);
    }
    as_store_close(store);
    if (s == AS_OK) s = make_systems(w, w->count > c->p.arg_count, err);
    as_refs_free(&refs);
    return s;
}

/* --- files --- */
static as_status read_files(comparing *w, as_err *err) {
    as_cli *c = w->c;
    const as_texts *preds = &c->p.o.preds;
    AS_TRY(as_score_input_check(c, "compare", err));
    AS_TRY(allocate(w, (int)preds->count, err));
    as_status s = AS_OK;
    for (int i = 0; s == AS_OK && i < w->count; i++) s = as_score_input_open(&w->inputs[i], c, preds->v[i], NULL, err);
    if (s == AS_OK && !c->p.o.labels && w->inputs[0].p.kind != AS_PRED_VALUE) { /* one set of labels for all */
        as_labels all;
        AS_TRY(as_score_labels_union(&all, w->inputs, w->count, err));
        for (int i = 0; s == AS_OK && i < w->count; i++)
            if (w->inputs[i].labels.count != all.count) {
                as_score_input_close(&w->inputs[i]);
                s = as_score_input_open(&w->inputs[i], c, preds->v[i], &all, err);
            }
        as_labels_free(&all);
    }
    for (int i = 0; s == AS_OK && i < w->count; i++) {
        bool twice = false;
        for (int k = 0; k < w->count; k++) twice |= k != i && strcmp(as_path_base(preds->v[k]), as_path_base(preds->v[i])) == 0;
        w->preds[i] = w->inputs[i].p;
        w->systems[i] = (as_system){.name = twice ? preds->v[i] : as_path_base(preds->v[i]), .seed = &w->preds[i], .seeds = 1};
    }
    w->system_count = w->count;
    return s;
}

/* --- the gate --- */
as_status as_cli_gate(as_cli *c, const as_contest *contest, const as_contest_result *result, bool *fails, as_err *err) {
    const as_options *o = &c->p.o;
    *fails = false;
    if (!o->fail_if) return AS_OK;
    as_gate g;
    AS_TRY(as_gate_check(&g, o->fail_if, contest, result, err));
    *fails = g.fails;
    as_buf *b = &c->out.buf;
    if (o->json) {
        as_buf_fmt(b, "{\"kind\":\"gate\",\"fails\":%s,\"expression\":", g.fails ? "true" : "false");
        as_buf_json_str(b, as_str_of(o->fail_if)), as_buf_str(b, ",\"found\":"), as_buf_json_str(b, as_str_of(g.text)), as_buf_str(b, "}\n");
    } else {
        as_buf_fmt(b, "gate      %s: %s (%s)\n", g.fails ? "FAILED" : "passed", o->fail_if, g.text);
    }
    return o->junit ? as_gate_junit(o->junit, o->fail_if, &g, err) : AS_OK;
}

static as_status decide(comparing *w, as_err *err) {
    const as_options *o = &w->c->p.o;
    as_buf metrics = {0};
    as_status s = AS_OK;
    if (o->metric) as_buf_str(&metrics, o->metric);
    if (o->fail_if && s == AS_OK) s = as_gate_metrics(&metrics, o->fail_if, err);
    w->contest.systems = w->systems, w->contest.count = w->system_count, w->contest.metrics = metrics.n ? metrics.p : NULL;
    w->contest.level = o->level / 100, w->contest.test = o->test, w->contest.margin = o->margin, w->contest.seed = (uint64_t)o->seed, w->contest.threads = (int)o->threads;
    for (int i = 0; s == AS_OK && i < w->count; i++) s = as_find_positive(&w->preds[i], o->positive, err);
    if (s == AS_OK) s = as_contest_decide(&w->contest, &w->result, err);
    as_buf_free(&metrics);
    w->contest.metrics = NULL;
    return s;
}

static void print_text(const comparing *w) {
    as_buf *b = &w->c->out.buf;
    for (size_t i = 0; i < w->result.metric_count; i++) {
        if (i) as_buf_char(b, '\n');
        as_print_standings(b, &w->contest, &w->result, w->result.metrics[i]);
        as_buf_char(b, '\n');
        as_print_comparisons(b, &w->contest, &w->result, w->result.metrics[i]);
    }
    as_buf_char(b, '\n');
    as_print_verdict(b, &w->result);
}

static void print_json(const comparing *w) {
    for (int i = 0; i < w->system_count; i++)
        for (size_t k = 0; k < w->result.standing_count; k++) {
            const as_standing *s = &w->result.standings[k];
            if (s->system != i) continue;
            as_result_metric m = {.name = (char *)(uintptr_t)s->metric, .value = s->value, .low = s->low, .high = s->high, .level = w->contest.level,
                                  .method = (char *)(uintptr_t)s->method, .why = (char *)(uintptr_t)s->why, .n = w->preds[i].n};
            const as_stored *r = &w->runs[w->systems[i].seed - w->preds]; /* of the first seed; several have no run of their own */
            as_print_metrics_json(&w->c->out.buf, &m, 1, &(as_print_context){.model = w->systems[i].name, .task = r->task, .run = w->systems[i].seeds > 1 ? 0 : r->run});
        }
    as_report_contest_json(&w->c->out.buf, &w->result, w->systems);
}

/* --all-tests */
static as_status print_other_methods(const comparing *w, as_err *err) {
    as_buf *b = &w->c->out.buf;
    as_more more;
    if (!w->c->p.o.all_tests) return AS_OK;
    AS_TRY(as_more_of(&more, &w->contest, &w->result, err));
    if (w->c->p.o.json) as_print_more_json(b, &w->contest, &more), as_print_abilities_json(b, &w->contest, &more.abilities);
    else as_print_more(b, &w->contest, &w->result, &more), as_buf_char(b, '\n'), as_print_abilities(b, &w->contest, &more.abilities);
    as_more_free(&more);
    return AS_OK;
}

static as_status write_markdown(const comparing *w, as_err *err) {
    const as_options *o = &w->c->p.o;
    as_buf b = {0};
    as_gate g;
    as_status s = o->fail_if ? as_gate_check(&g, o->fail_if, &w->contest, &w->result, err) : AS_OK;
    if (s == AS_OK && o->fail_if) as_buf_fmt(&b, "**gate %s**: `%s` (%s)\n\n", g.fails ? "FAILED" : "passed", o->fail_if, g.text);
    as_print_contest_markdown(&b, &w->contest, &w->result);
    if (s == AS_OK) s = b.failed ? as_fail_nomem(err, "a report", 0) : as_file_write(o->markdown, b.p, b.n, err);
    as_buf_free(&b);
    return s;
}

as_status as_cmd_compare(as_cli *c, as_err *err) {
    comparing w = {.c = c, .result = {.best = -1}};
    AS_TRY(as_cli_check_metrics(c, c->p.o.metric, err));
    if (c->p.o.preds.count > 0 && c->p.arg_count > 0) return as_fail(err, AS_USAGE, "compare: stored runs and --pred at once");
    as_status s = c->p.arg_count > 0 ? read_runs(&w, err) : read_files(&w, err);
    if (s == AS_OK) s = decide(&w, err);
    bool fails = false;
    if (s == AS_OK && c->p.o.json) print_json(&w);
    else if (s == AS_OK) print_text(&w);
    if (s == AS_OK) s = print_other_methods(&w, err);
    if (s == AS_OK) s = as_cli_gate(c, &w.contest, &w.result, &fails, err);
    if (s == AS_OK && c->p.o.markdown) s = write_markdown(&w, err);
    release(&w);
    if (s == AS_OK) s = as_out_flush(&c->out, true, err);
    return s == AS_OK && fails ? AS_FAILED : s;
}
