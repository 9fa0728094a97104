/* bench_store.c: a finished bench as a run of its own, so that `assay report 12` and `assay diff 12.1 12.2` find its cells. */
#include "base/hash.h"
#include "run/bench_impl.h"
#include "run/evaluate.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Its identity is what its cells are of. */
static as_status identify(const as_bench *w, as_buf *config, char key[65], as_err *err) {
    as_buf_str(config, "{\"command\":\"bench\",\"cells\":[");
    for (size_t i = 0; i < w->out->cell_count; i++) {
        const as_stored *s = &w->stored[i];
        as_buf_fmt(config, "%s{\"model\":", i ? "," : ""), as_buf_json_str(config, as_str_of(s->model));
        as_buf_fmt(config, ",\"seed\":%" PRIu64 ",\"config\":", w->out->cells[i].seed), as_buf_str(config, s->config_json), as_buf_char(config, '}');
    }
    as_buf_str(config, "],\"metrics\":[");
    for (size_t i = 0; i < w->out->decision.metric_count; i++) {
        if (i) as_buf_char(config, ',');
        as_buf_json_str(config, as_str_of(w->out->decision.metrics[i]));
    }
    as_buf_str(config, "]");
    if (config->failed) return as_fail_nomem(err, "a run's record", 0);
    memcpy(key, as_sha256_of(config->p, config->n).hex, 65);
    if (w->b->job.command_line) as_buf_str(config, ",\"command_line\":"), as_buf_json_str(config, as_str_of(w->b->job.command_line));
    as_buf_char(config, '}');
    return config->failed ? as_fail_nomem(err, "a run's record", 0) : AS_OK;
}

/* What --search tried, and what it kept. */
static void tries(const as_bench *w, as_buf *b) {
    const as_bench_result *r = w->out;
    as_buf_str(b, "],\"tries\":[");
    for (size_t i = 0; i < r->try_count; i++) {
        const as_bench_try *t = &r->tries[i];
        as_buf_fmt(b, "%s{\"system\":%d,\"lr\":", i ? "," : "", t->model), as_buf_real(b, t->lr);
        as_buf_fmt(b, ",\"steps\":%" PRId64 ",\"run\":%" PRId64 ",\"kept\":%s,\"dev_score\":", t->steps, t->run, t->kept ? "true" : "false");
        as_buf_real(b, fabs(t->score)), as_buf_char(b, '}');
    }
    as_buf_str(b, "],\"labels\":[");
    for (int i = 0; i < w->train.labels.count; i++) {
        if (i) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(w->train.labels.names[i]));
    }
}

static as_status result(const as_bench *w, as_buf *b, as_err *err) {
    const as_bench_result *r = w->out;
    as_buf_str(b, "{\"cells\":[");
    for (size_t i = 0; i < r->cell_count; i++) {
        const as_bench_cell *c = &r->cells[i];
        as_buf_fmt(b, "%s{\"system\":%d,\"seed\":%" PRIu64 ",\"run\":%" PRId64 ",\"finetune_run\":%" PRId64 "}", i ? "," : "", c->system, c->seed, c->eval_run, c->finetune_run);
    }
    as_buf_str(b, "],\"systems\":[");
    for (int i = 0; i < r->count; i++) {
        const as_system *s = &r->systems[i];
        as_buf_str(b, i ? ",{\"name\":" : "{\"name\":"), as_buf_json_str(b, as_str_of(s->name));
        as_buf_fmt(b, ",\"parameters\":%" PRId64 ",\"peak_bytes\":%" PRIu64 ",\"train_seconds\":", s->parameters, s->peak_bytes), as_buf_real(b, s->train_seconds);
        as_buf_str(b, ",\"items_per_second\":"), as_buf_real(b, s->items_per_second), as_buf_char(b, '}');
    }
    as_buf_str(b, "],\"metrics\":[");
    for (size_t i = 0; i < r->decision.metric_count; i++) {
        if (i) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(r->decision.metrics[i]));
    }
    tries(w, b);
    as_buf_str(b, "],\"verdict\":"), as_buf_json_str(b, as_str_of(r->decision.verdict)), as_buf_char(b, '}');
    return b->failed ? as_fail_nomem(err, "a result", 0) : AS_OK;
}

as_status as_bench_store(as_bench *w, as_err *err) {
    as_store *store;
    as_run run;
    as_buf config = {0}, json = {0};
    char key[65];
    AS_TRY(as_store_open(&store, w->b->job.db, err));
    as_status s = identify(w, &config, key, err);
    const as_run_key k = {.command = "bench", .key = key, .config_json = config.p, .model = "", .task = w->task, .dtype = w->out->cells[0].result.dtype, .isa = w->out->isa};
    if (s == AS_OK) s = as_store_run_begin(store, &k, w->b->job.again, &run, err);
    if (s == AS_OK && run.state != AS_RUN_DONE) {
        s = result(w, &json, err);
        if (s == AS_OK) s = as_store_run_end(store, run.id, AS_RUN_DONE, json.p, err);
    }
    if (s == AS_OK) w->out->run = run.id;
    as_buf_free(&config), as_buf_free(&json);
    as_store_close(store);
    return s;
}
