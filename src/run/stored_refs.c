#include "run/stored_refs.h"
#include "base/mem.h"
#include "io/json.h"
#include "run/stored.h"
#include <inttypes.h>
#include <string.h>

typedef struct search { int64_t run, newest; bool found, bench; as_buf result; } search;

static as_status look(void *ctx, const as_run_info *r, as_err *err) {
    search *s = ctx;
    if (r->items > 0) s->newest = r->id;
    if (r->id != s->run) return AS_OK;
    s->found = true, s->bench = strcmp(r->command, "bench") == 0;
    if (r->result_json) as_buf_str(&s->result, r->result_json);
    return s->result.failed ? as_fail_nomem(err, "a stored run", 0) : AS_OK;
}

static as_status fail_ref(const char *text, const char *what, as_err *err) {
    (void)as_fail(err, AS_USAGE, "\"%.64s\" %s", text, what);
    as_hint(err, "assay runs lists what is stored. A run is 7; a bench is 12, its second cell 12.2.");
    return AS_USAGE;
}

static as_status add(as_refs *refs, as_ref ref, as_err *err) {
    if (!as_grow(&refs->v, &refs->cap, refs->n + 1, sizeof *refs->v)) return as_fail_nomem(err, "runs", 0);
    refs->v[refs->n++] = ref;
    return AS_OK;
}

static as_status add_cells(as_refs *refs, const search *s, int64_t only, const char *text, as_err *err) {
    as_json *doc;
    AS_TRY(as_json_parse(&doc, as_buf_view(&s->result), "a bench's result", 0, err));
    const as_json *cells = as_json_get(doc, "cells");
    const int64_t n = (int64_t)as_json_count(cells);
    as_status st = n == 0 ? fail_ref(text, "is a bench that is not finished", err) : only > n ? fail_ref(text, "is no cell of that bench", err) : AS_OK;
    for (int64_t i = 0; st == AS_OK && i < n; i++) {
        const as_json *c = as_json_at(cells, (size_t)i);
        if (only == 0 || only == i + 1) st = add(refs, (as_ref){as_json_int(as_json_get(c, "run"), 0), as_json_int(as_json_get(c, "finetune_run"), 0)}, err);
    }
    as_json_free(doc);
    refs->bench = s->run;
    return st;
}

as_status as_refs_add(as_refs *refs, as_store *store, const char *text, as_err *err) {
    const char *dot = strchr(text, '.');
    const as_str whole = {text, dot ? (size_t)(dot - text) : strlen(text)};
    search s = {.run = 0};
    int64_t cell = 0;
    if (!as_parse_i64(whole, &s.run) || s.run < 1 || (dot && (!as_parse_i64(as_str_of(dot + 1), &cell) || cell < 1))) return fail_ref(text, "is not a run's number", err);
    as_status st = as_store_runs_each(store, look, &s, err);
    if (st == AS_OK && !s.found) st = as_stored_none(s.run, s.newest, err);
    else if (st == AS_OK && dot && !s.bench) st = fail_ref(text, "names a cell, but that run is no bench", err);
    else if (st == AS_OK) st = s.bench ? add_cells(refs, &s, cell, text, err) : add(refs, (as_ref){s.run, 0}, err);
    as_buf_free(&s.result);
    return st;
}
void as_refs_free(as_refs *refs) {
    as_free(refs->v);
    *refs = (as_refs){0};
}

as_status as_refs_result(as_buf *out, as_store *store, int64_t run, as_err *err) {
    search s = {.run = run};
    const as_status st = as_store_runs_each(store, look, &s, err);
    if (st == AS_OK && s.result.n) as_buf_add(out, s.result.p, s.result.n);
    as_buf_free(&s.result);
    return st == AS_OK && out->failed ? as_fail_nomem(err, "a stored run", 0) : st;
}
