#include "cli/print.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/json.h"
#include "store/store.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

static const char *const states[] = {[AS_RUN_OPEN] = "open", [AS_RUN_DONE] = "done", [AS_RUN_FAILED] = "failed"};

typedef struct listing {
    as_cli *c;
    as_store *store;
    as_grid grid;
    int64_t only;     /* 0 = all */
    int64_t rows;
} listing;

static void when(double t, char out[24]) {
    const time_t seconds = (time_t)t;
    struct tm tm;
    out[0] = '\0';
    if (localtime_r(&seconds, &tm)) (void)strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm);
}

static void run_json(as_buf *b, const as_run_info *r) {
    as_buf_fmt(b, "{\"kind\":\"run\",\"run\":%" PRId64 ",\"command\":", r->id);
    as_buf_json_str(b, as_str_of(r->command));
    as_buf_str(b, ",\"state\":");
    as_buf_json_str(b, as_str_of(states[r->state]));
    as_buf_str(b, ",\"model\":");
    as_buf_json_str(b, as_str_of(r->model));
    as_buf_str(b, ",\"task\":");
    as_buf_json_str(b, as_str_of(r->task));
    as_buf_str(b, ",\"dtype\":");
    as_buf_json_str(b, as_str_of(r->dtype));
    as_buf_str(b, ",\"isa\":");
    as_buf_json_str(b, as_str_of(r->isa));
    as_buf_fmt(b, ",\"items\":%" PRId64 ",\"started\":", r->items);
    as_buf_real(b, r->started);
    as_buf_str(b, ",\"ended\":");
    as_buf_real(b, r->ended);
    as_buf_fmt(b, ",\"config\":%s", r->config_json && r->config_json[0] ? r->config_json : "null");
    as_buf_fmt(b, ",\"result\":%s}\n", r->result_json && r->result_json[0] ? r->result_json : "null");
}

/* Of a bench: the learning rates that its search tried. */
static void print_tries(as_buf *b, const as_json *bench) {
    const as_json *all = as_json_get(bench, "tries"), *systems = as_json_get(bench, "systems");
    for (size_t i = 0; i < as_json_count(all); i++) {
        const as_json *t = as_json_at(all, i);
        const as_str name = as_json_str(as_json_get(as_json_at(systems, (size_t)as_json_int(as_json_get(t, "system"), 0)), "name"), AS_LIT("?"));
        as_buf_fmt(b, "tried     %.*s, lr %g, %" PRId64 " steps: %.4f on the dev data (run %" PRId64 ")%s\n", (int)name.n, name.p, as_json_real(as_json_get(t, "lr"), NAN),
                   as_json_int(as_json_get(t, "steps"), 0), as_json_real(as_json_get(t, "dev_score"), NAN), as_json_int(as_json_get(t, "run"), 0),
                   as_json_bool(as_json_get(t, "kept"), false) ? ", kept" : "");
    }
}

/* Of a bench: its cells and what they came to. */
static void print_verdict(as_buf *b, const as_run_info *r) {
    as_json *doc;
    if (strcmp(r->command, "bench") != 0 || !r->result_json || as_json_parse(&doc, as_str_of(r->result_json), "a bench's result", 0, NULL) != AS_OK) return;
    const as_json *cells = as_json_get(doc, "cells");
    as_buf_str(b, "cells    ");
    for (size_t i = 0; i < as_json_count(cells); i++) as_buf_fmt(b, " %" PRId64, as_json_int(as_json_get(as_json_at(cells, i), "run"), 0));
    as_buf_char(b, '\n');
    print_tries(b, doc);
    as_out_wrap(b, "verdict", 10, as_json_str(as_json_get(doc, "verdict"), AS_LIT("")));
    as_json_free(doc);
}

static void say(as_buf *b, const as_json *from, const char *key, const char *label) {
    const as_str v = as_json_str(as_json_get(from, key), AS_LIT(""));
    if (v.n) as_buf_fmt(b, "%-10s%.*s\n", label, (int)v.n, v.p);
}

/* What the run was made of and with: enough to repeat it, and to see that two runs are of the same bytes. */
static void print_provenance(as_buf *b, const as_run_info *r) {
    static const struct {
        const char *key, *label;
    } sums[] = {{"model_sha256", "weights"}, {"tokenizer_sha256", "tokenizer"}, {"data_sha256", "data"}, {"train_sha256", "trained"},
                {"dev_sha256", "dev"}, {"task_sha256", "task"}, {"program_sha256", "program"}};
    as_json *doc;
    if (!r->config_json || !r->config_json[0] || as_json_parse(&doc, as_str_of(r->config_json), "a run's configuration", 0, NULL) != AS_OK) return;
    const as_json *threads = as_json_get(doc, "threads");
    const as_str gemm = as_json_str(as_json_get(doc, "gemm"), AS_LIT("")), version = as_json_str(as_json_get(doc, "version"), AS_LIT(""));
    if (version.n) as_buf_fmt(b, "assay     %.*s", (int)version.n, version.p);
    if (version.n && gemm.n) as_buf_fmt(b, ", %.*s", (int)gemm.n, gemm.p);
    if (version.n && threads) as_buf_fmt(b, ", threads: %" PRId64, as_json_int(threads, 0));
    if (version.n) as_buf_char(b, '\n');
    for (size_t i = 0; i < AS_COUNT(sums); i++) say(b, doc, sums[i].key, sums[i].label);
    say(b, doc, "command_line", "typed");
    as_json_free(doc);
}

static as_status list_row(void *ctx, const as_run_info *r, as_err *err) {
    (void)err;
    listing *l = ctx;
    if (l->only && r->id != l->only) return AS_OK;
    l->rows++;
    if (l->c->p.o.json) {
        run_json(&l->c->out.buf, r);
        return AS_OK;
    }
    if (l->only) {
        char text[24];
        when(r->started, text);
        as_buf_fmt(&l->c->out.buf, "run %" PRId64 "  %s  %s on %s  %s\n", r->id, r->command, r->model, r->task, states[r->state]);
        print_verdict(&l->c->out.buf, r);
        as_buf_fmt(&l->c->out.buf, "started   %s\nitems     %" PRId64 "\nprecision %s, %s\n", text, r->items, r->dtype, r->isa);
        print_provenance(&l->c->out.buf, r);
        return AS_OK;
    }
    char text[24];
    when(r->started, text);
    as_grid_fmt(&l->grid, "%" PRId64, r->id);
    as_grid_cell(&l->grid, as_str_of(r->command));
    as_grid_cell(&l->grid, as_str_of(r->model));
    as_grid_cell(&l->grid, as_str_of(r->task));
    as_grid_fmt(&l->grid, "%" PRId64, r->items);
    as_grid_cell(&l->grid, as_str_of(states[r->state]));
    as_grid_cell(&l->grid, as_str_of(text));
    return AS_OK;
}

typedef struct aggregates {
    as_result_metric *v;
    size_t n, cap;
} aggregates;
static char *copy_of(const char *s) { return s && *s ? as_strdup(s) : NULL; }
static as_status take_aggregate(void *ctx, const as_aggregate *a, as_err *err) {
    aggregates *g = ctx;
    if (!as_grow(&g->v, &g->cap, g->n + 1, sizeof *g->v)) return as_fail_nomem(err, "metrics", 0);
    as_result_metric *m = &g->v[g->n++];
    *m = (as_result_metric){.name = as_strdup(a->signature && *a->signature ? a->signature : a->metric), .value = a->value, .low = a->low,
                            .high = a->high, .level = a->level, .method = copy_of(a->method), .why = copy_of(a->why), .n = a->n};
    return m->name ? AS_OK : as_fail_nomem(err, "metrics", 0);
}
static as_status print_aggregates(const listing *l, as_err *err) {
    aggregates g = {0};
    const as_status s = as_store_aggregates_each(l->store, l->only, take_aggregate, &g, err);
    if (s == AS_OK && l->c->p.o.json) {
        as_print_metrics_json(&l->c->out.buf, g.v, g.n, &(as_print_context){.run = l->only});
    } else if (s == AS_OK && g.n > 0) {
        as_buf_char(&l->c->out.buf, '\n');
        as_print_metrics(&l->c->out.buf, g.v, g.n);
    }
    for (size_t i = 0; i < g.n; i++) as_free(g.v[i].name), as_free(g.v[i].method), as_free(g.v[i].why);
    as_free(g.v);
    return s;
}

static as_status show(listing *l, as_err *err) {
    AS_TRY(as_store_runs_each(l->store, list_row, l, err));
    if (l->rows == 0) {
        (void)as_fail(err, AS_USAGE, "%s: no run %" PRId64, l->c->p.o.db, l->only);
        as_hint(err, "assay runs lists them.");
        return AS_USAGE;
    }
    return print_aggregates(l, err);
}
static as_status list(listing *l, as_err *err) {
    static const char *const heads[] = {"run", "command", "model", "task", "items", "state", "started"};
    as_grid_init(&l->grid, "rlLLrll", 0);
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&l->grid, as_str_of(heads[i]));
    const as_status s = as_store_runs_each(l->store, list_row, l, err);
    if (l->c->p.o.json) {
        as_buf unused = {0};
        as_grid_print(&l->grid, &unused);
        as_buf_free(&unused);
    } else {
        as_grid_print(&l->grid, &l->c->out.buf);
    }
    return s;
}

as_status as_cmd_runs(as_cli *c, as_err *err) {
    listing l = {.c = c};
    const char *verb = c->p.arg_count > 0 ? c->p.args[0] : "";
    const bool remove = strcmp(verb, "rm") == 0, shows = strcmp(verb, "show") == 0;
    if (verb[0] && (c->p.arg_count < 2 || (!remove && !(shows && c->p.arg_count == 2)))) {
        (void)as_fail(err, AS_USAGE, "runs: expected `show RUN` or `rm RUN...`");
        as_hint(err, "assay runs lists what is stored; assay runs show 1 shows one run; assay runs rm 1 2 deletes two.");
        return AS_USAGE;
    }
    if (shows) AS_TRY(as_cli_run_number(&l.only, c->p.args[1], err));
    AS_TRY(as_cli_store(&l.store, c, err));
    as_status s = AS_OK;
    for (int i = 1; remove && s == AS_OK && i < c->p.arg_count; i++) {
        int64_t run;
        s = as_cli_run_number(&run, c->p.args[i], err);
        if (s == AS_OK) s = as_store_run_remove(l.store, run, err);
    }
    if (!remove) s = l.only ? show(&l, err) : list(&l, err);
    as_store_close(l.store);
    return s == AS_OK ? as_out_flush(&c->out, true, err) : s;
}
