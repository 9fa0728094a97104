#include "cli/score_input.h"
#include "run/scored.h"
#include "base/mem.h"
#include "io/json.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- files --- */
static as_status open_table(as_table **out, int *col, const char *path, const char *column, bool table, const as_table_opts *opts, as_err *err) {
    as_table_opts o = *opts;
    if (!table && !opts->columns) o = (as_table_opts){.format = AS_TABLE_LINES, .encoding = opts->encoding, .limit = opts->limit};
    AS_TRY(as_table_open(out, path, &o, err));
    *col = 0;
    return column ? as_table_find(*out, column, col, err) : AS_OK;
}

static as_status missing(as_err *err, const char *what, const char *hint) {
    (void)as_fail(err, AS_USAGE, "score: %s", what);
    as_hint(err, "%s", hint);
    return AS_USAGE;
}
static as_status open_tables(as_score_input *s, const as_options *o, const char *pred, const as_table_opts *opts, as_err *err) {
    if (!o->gold && !o->gold_column) return missing(err, "no gold labels", "Give them with --gold F, or --gold-column COL of the file of --pred.");
    const bool table = o->pred_column || o->probs_column || !o->gold;
    AS_TRY(open_table(&s->pred, &s->pred_col, pred, o->pred_column, table, opts, err));
    if (o->probs_column) AS_TRY(as_table_find(s->pred, o->probs_column, &s->probs_col, err));
    if (!o->pred_column && table) s->pred_col = -1;
    if (s->pred_col < 0 && s->probs_col < 0) return missing(err, "no predictions", "Give the column of the predictions: --pred-column COL.");
    if (!o->gold) {
        s->gold = s->pred;
        return as_table_find(s->gold, o->gold_column, &s->gold_col, err);
    }
    AS_TRY(open_table(&s->gold, &s->gold_col, o->gold, o->gold_column, o->gold_column != NULL, opts, err));
    if (as_table_rows(s->pred) != as_table_rows(s->gold)) {
        (void)as_fail(err, AS_FORMAT, "%s has %" PRId64 " values, %s has %" PRId64, pred, as_table_rows(s->pred), o->gold, as_table_rows(s->gold));
        as_hint(err, "Both files need one value for each item, in the same order.");
        return AS_FORMAT;
    }
    return AS_OK;
}

/* --- names --- */
typedef struct name_list {
    as_str *v;
    size_t n, cap;
} name_list;
static bool add_name(name_list *l, as_str s) {
    if (!as_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v)) return false;
    l->v[l->n++] = s;
    return true;
}
static int by_bytes(const void *a, const void *b) { return as_str_cmp(*(const as_str *)a, *(const as_str *)b); }
static int by_number(const void *a, const void *b) {
    int64_t x = 0, y = 0;
    (void)as_parse_i64(*(const as_str *)a, &x);
    (void)as_parse_i64(*(const as_str *)b, &y);
    return x < y ? -1 : x > y ? 1 : by_bytes(a, b);
}

/* The labels of one cell: itself; for sets what is between ';', or the members of a JSON list (kept in `docs`). */
typedef as_status (*label_sink)(void *ctx, as_str name, as_err *err);
static as_status each_label(as_str cell, bool set, const char *where, int64_t line, label_sink sink, void *ctx, as_err *err) {
    if (!set) return sink(ctx, cell, err);
    if (cell.n > 0 && cell.p[0] == '[') {
        as_json *doc;
        AS_TRY(as_json_parse(&doc, cell, where, line - 1, err));
        as_status s = AS_OK;
        for (size_t i = 0; i < as_json_count(doc) && s == AS_OK; i++) s = sink(ctx, as_json_str(as_json_at(doc, i), AS_LIT("")), err);
        as_json_free(doc);
        return s;
    }
    while (cell.n > 0) {
        const char *cut = memchr(cell.p, ';', cell.n);
        const size_t n = cut ? (size_t)(cut - cell.p) : cell.n;
        AS_TRY(sink(ctx, (as_str){cell.p, n}, err));
        const size_t used = cut ? n + 1 : n;
        cell = (as_str){cell.p + used, cell.n - used};
    }
    return AS_OK;
}

typedef struct collector {
    name_list names;
    as_arena copies; /* members of JSON lists do not outlive their document */
    bool copy;
} collector;
static as_status collect(void *ctx, as_str name, as_err *err) {
    collector *c = ctx;
    if (c->copy) {
        name.p = as_arena_text(&c->copies, name);
        if (!name.p) return as_fail_nomem(err, "labels", name.n);
    }
    return add_name(&c->names, name) ? AS_OK : as_fail_nomem(err, "labels", 0);
}
static as_status collect_column(collector *c, const as_table *t, int col, bool set, as_err *err) {
    for (int64_t i = 0; col >= 0 && i < as_table_rows(t); i++) {
        const as_str cell = as_table_cell(t, i, col);
        if (cell.n == 0 && !set) {
            (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": empty label", as_table_path(t), as_table_line(t, i));
            as_hint(err, "Each item needs a label in both files.");
            return AS_FORMAT;
        }
        c->copy = set && cell.n > 0 && cell.p[0] == '[';
        AS_TRY(each_label(cell, set, as_table_path(t), as_table_line(t, i), collect, c, err));
    }
    return AS_OK;
}
/* {"label": p, ...}: the keys are labels too. */
static as_status collect_probs(collector *c, const as_score_input *s, as_err *err) {
    if (s->probs_col < 0 || as_table_rows(s->pred) == 0) return AS_OK;
    const as_str cell = as_table_cell(s->pred, 0, s->probs_col);
    if (cell.n == 0 || cell.p[0] != '{') return AS_OK;
    as_json *doc;
    AS_TRY(as_json_parse(&doc, cell, as_table_path(s->pred), as_table_line(s->pred, 0) - 1, err));
    as_status st = AS_OK;
    c->copy = true;
    for (as_json_iter *it = as_json_first(doc); it && st == AS_OK; it = as_json_next(doc, it)) st = collect(c, as_json_iter_key(it), err);
    as_json_free(doc);
    return st;
}

static as_status distinct(as_labels *out, name_list *l, as_err *err) {
    bool numbers = l->n > 0;
    int64_t unused;
    for (size_t i = 0; i < l->n && numbers; i++) numbers = as_parse_i64(l->v[i], &unused);
    if (l->n > 0) qsort(l->v, l->n, sizeof *l->v, numbers ? by_number : by_bytes);
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++)
        if (kept == 0 || !as_str_eq(l->v[kept - 1], l->v[i])) l->v[kept++] = l->v[i];
    if (kept > 1000000) return as_fail(err, AS_FORMAT, "%zu different labels: numbers need --kind regress", kept);
    out->names = as_calloc(kept, sizeof *out->names);
    if (!out->names) return as_fail_nomem(err, "labels", kept);
    for (; out->count < (int)kept; out->count++)
        if (!(out->names[out->count] = as_strndup(l->v[out->count].p, l->v[out->count].n))) return as_fail_nomem(err, "labels", 0);
    return AS_OK;
}
static as_status find_labels(as_score_input *s, const char *given, bool set, as_err *err) {
    if (given) return as_labels_parse(&s->labels, given, err);
    collector c = {0};
    as_arena_init(&c.copies, 0);
    as_status st = collect_column(&c, s->gold, s->gold_col, set, err);
    if (st == AS_OK) st = collect_column(&c, s->pred, s->pred_col, set, err);
    if (st == AS_OK) st = collect_probs(&c, s, err);
    if (st == AS_OK) st = distinct(&s->labels, &c.names, err);
    as_free(c.names.v);
    as_arena_deinit(&c.copies);
    return st;
}

/* --- ids --- */
typedef struct label_key {
    as_str name;
    int32_t id;
} label_key;
typedef struct label_map {
    label_key *v;
    size_t n;
    const char *path; /* of the cell that is being read */
    int64_t line;
    const as_labels *labels;
    int32_t *id;
    uint8_t *set;
} label_map;
static int by_key(const void *a, const void *b) { return as_str_cmp(((const label_key *)a)->name, ((const label_key *)b)->name); }

static as_status take_label(void *ctx, as_str name, as_err *err) {
    label_map *m = ctx;
    const label_key want = {.name = name}, *found = m->n ? bsearch(&want, m->v, m->n, sizeof *m->v, by_key) : NULL;
    if (!found) {
        char shown[80];
        snprintf(shown, sizeof shown, "%.*s", (int)(name.n < 64 ? name.n : 64), name.p);
        const int near = as_nearest(shown, (const char *const *)m->labels->names, (size_t)m->labels->count);
        (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": label \"%s\" is not among --labels", m->path, m->line, shown);
        if (near >= 0) as_hint(err, "Did you mean \"%s\"?", m->labels->names[near]);
        return AS_FORMAT;
    }
    if (m->set)
        m->set[found->id] = 1;
    else
        *m->id = found->id;
    return AS_OK;
}
static as_status read_labels(label_map *m, const as_table *t, int col, int32_t *ids, uint8_t *sets, as_err *err) {
    m->path = as_table_path(t);
    for (int64_t i = 0; i < as_table_rows(t); i++) {
        m->line = as_table_line(t, i);
        m->id = ids ? ids + i : NULL;
        m->set = sets ? sets + i * m->labels->count : NULL;
        AS_TRY(each_label(as_table_cell(t, i, col), sets != NULL, m->path, m->line, take_label, m, err));
    }
    return AS_OK;
}

/* --- probabilities --- */
static as_status bad_probs(const as_score_input *s, int64_t row, const char *what, as_err *err) {
    (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": %s", as_table_path(s->pred), as_table_line(s->pred, row), what);
    as_hint(err, "Write [p, p, ...] in the order of --labels, {\"label\": p, ...}, or, for two labels, the positive one's p.");
    return AS_FORMAT;
}
static as_status read_probs_row(as_score_input *s, int64_t row, double *out, as_err *err) {
    const as_str cell = as_table_cell(s->pred, row, s->probs_col);
    const int k = s->labels.count;
    double p;
    if (k == 2 && as_parse_f64(cell, &p)) {
        const int positive = s->p.positive >= 0 ? s->p.positive : 1;
        out[positive] = p, out[1 - positive] = 1.0 - p;
        return AS_OK;
    }
    as_json *doc;
    AS_TRY(as_json_parse(&doc, cell, as_table_path(s->pred), as_table_line(s->pred, row) - 1, err));
    as_status st = AS_OK;
    const bool list = as_json_typeof(doc) == AS_JSON_ARRAY;
    if (list ? as_json_count(doc) != (size_t)k : as_json_typeof(doc) != AS_JSON_OBJECT)
        st = bad_probs(s, row, list ? "not one probability for each label" : "not a list of probabilities", err);
    for (int i = 0; i < k && st == AS_OK; i++) {
        const as_json *v = list ? as_json_at(doc, (size_t)i) : as_json_get(doc, s->labels.names[i]);
        out[i] = as_json_real(v, NAN);
        if (isnan(out[i])) st = bad_probs(s, row, list ? "a probability is not a number" : "a label has no probability", err);
    }
    as_json_free(doc);
    return st;
}
/* Without a column of predictions the most probable label is the prediction (the first among equals), sets are what
 * reaches one half. */
static void predict_from_probs(as_score_input *s, int64_t row) {
    const int k = s->labels.count;
    const double *p = s->probs + row * k;
    int best = 0;
    for (int i = 1; i < k; i++)
        if (p[i] > p[best]) best = i;
    if (s->pred_id) s->pred_id[row] = best;
    for (int i = 0; s->pred_set && i < k; i++) s->pred_set[row * k + i] = p[i] >= 0.5;
}

static as_status read_numbers(double *out, const as_table *t, int col, as_err *err) {
    for (int64_t i = 0; i < as_table_rows(t); i++) {
        const as_str cell = as_table_cell(t, i, col);
        if (as_parse_f64(cell, &out[i])) continue;
        (void)as_fail(err, AS_FORMAT, "%s:%" PRId64 ": \"%.*s\" is not a number", as_table_path(t), as_table_line(t, i),
                      (int)(cell.n < 64 ? cell.n : 64), cell.p);
        as_hint(err, "With --kind regress every value is a number.");
        return AS_FORMAT;
    }
    return AS_OK;
}

static as_status read_values(as_score_input *s, as_err *err) {
    const size_t n = (size_t)s->p.n;
    if (s->pred_col < 0) return missing(err, "--kind regress without predicted numbers", "Give --pred-column COL.");
    s->pred_value = as_alloc(n, sizeof *s->pred_value), s->gold_value = as_alloc(n, sizeof *s->gold_value);
    if (!s->pred_value || !s->gold_value) return as_fail_nomem(err, "predictions", n * 16);
    AS_TRY(read_numbers(s->pred_value, s->pred, s->pred_col, err));
    AS_TRY(read_numbers(s->gold_value, s->gold, s->gold_col, err));
    s->p.pred_value = s->pred_value, s->p.gold_value = s->gold_value;
    return AS_OK;
}

static as_status allocate(as_score_input *s, bool set, as_err *err) {
    const size_t n = (size_t)s->p.n, k = (size_t)s->labels.count;
    uint64_t cells;
    bool ok = as_mul_u64(n, k ? k : 1, &cells);
    if (ok && set) ok = (s->pred_set = as_calloc(n, k)) && (s->gold_set = as_calloc(n, k));
    if (ok && !set) ok = (s->pred_id = as_calloc(n, sizeof *s->pred_id)) && (s->gold_id = as_calloc(n, sizeof *s->gold_id));
    if (ok && s->probs_col >= 0) ok = (s->probs = as_calloc(cells, sizeof *s->probs)) != NULL;
    s->p.pred = s->pred_id, s->p.gold = s->gold_id, s->p.pred_sets = s->pred_set, s->p.gold_sets = s->gold_set, s->p.probs = s->probs;
    s->p.num_labels = s->labels.count, s->p.label_names = (const char *const *)s->labels.names;
    return ok ? AS_OK : as_fail_nomem(err, "predictions", n * k);
}
static as_status read_classes(as_score_input *s, const as_options *o, const as_labels *known, bool set, as_err *err) {
    AS_TRY(known ? as_labels_copy(&s->labels, known, err) : find_labels(s, o->labels, set, err));
    AS_TRY(allocate(s, set, err));
    AS_TRY(as_find_positive(&s->p, o->positive, err));
    label_map m = {.labels = &s->labels, .n = (size_t)s->labels.count};
    if (!(m.v = as_calloc(m.n, sizeof *m.v))) return as_fail_nomem(err, "labels", m.n);
    for (size_t i = 0; i < m.n; i++) m.v[i] = (label_key){as_str_of(s->labels.names[i]), (int32_t)i};
    if (m.n > 0) qsort(m.v, m.n, sizeof *m.v, by_key);
    as_status st = read_labels(&m, s->gold, s->gold_col, s->gold_id, s->gold_set, err);
    if (st == AS_OK && s->pred_col >= 0) st = read_labels(&m, s->pred, s->pred_col, s->pred_id, s->pred_set, err);
    as_free(m.v);
    for (int64_t i = 0; i < s->p.n && st == AS_OK && s->probs; i++) {
        st = read_probs_row(s, i, s->probs + i * s->labels.count, err);
        if (st == AS_OK && s->pred_col < 0) predict_from_probs(s, i);
    }
    return st;
}

static as_status open_input(as_score_input *s, const as_cli *c, const char *pred, const as_labels *known, as_err *err) {
    const as_options *o = &c->p.o;
    as_table_opts opts;
    AS_TRY(as_cli_table_opts(&opts, c, err));
    opts.limit = o->limit;
    AS_TRY(open_tables(s, o, pred, &opts, err));
    s->p.n = as_table_rows(s->gold);
    if (s->p.n == 0) return as_fail(err, AS_FORMAT, "%s: no items", as_table_path(s->gold));
    const bool values = o->kind && strcmp(o->kind, "regress") == 0, sets = o->kind && strcmp(o->kind, "multilabel") == 0;
    s->p.kind = values ? AS_PRED_VALUE : sets ? AS_PRED_MULTILABEL : AS_PRED_CLASS;
    return values ? read_values(s, err) : read_classes(s, o, known, sets, err);
}

as_status as_score_input_check(const as_cli *c, const char *command, as_err *err) {
    const as_options *o = &c->p.o;
    if (o->preds.count > 0 && (o->gold || o->gold_column)) return AS_OK;
    (void)as_fail(err, AS_USAGE, "%s: %s", command, o->preds.count > 0 ? "no true labels" : "no predictions");
    as_hint(err, "Give --pred FILE and --gold FILE, one value a line; or tables with --pred-column and --gold-column.");
    return AS_USAGE;
}

as_status as_score_labels_union(as_labels *out, const as_score_input *v, int64_t n, as_err *err) {
    name_list all = {0};
    as_status s = AS_OK;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; s == AS_OK && k < v[i].labels.count; k++)
            if (!add_name(&all, as_str_of(v[i].labels.names[k]))) s = as_fail_nomem(err, "labels", 0);
    *out = (as_labels){0};
    if (s == AS_OK) s = distinct(out, &all, err);
    as_free(all.v);
    return s;
}

as_status as_score_input_open(as_score_input *out, const as_cli *c, const char *pred, const as_labels *known, as_err *err) {
    *out = (as_score_input){.p = {.positive = -1}, .pred_col = -1, .gold_col = -1, .probs_col = -1};
    const as_status s = open_input(out, c, pred, known, err);
    if (s == AS_OK) as_table_warn_replaced(out->pred, &c->log);
    if (s == AS_OK && out->gold != out->pred) as_table_warn_replaced(out->gold, &c->log);
    if (s != AS_OK) as_score_input_close(out);
    return s;
}
void as_score_input_close(as_score_input *s) {
    if (s->gold != s->pred) as_table_free(s->gold);
    as_table_free(s->pred);
    as_labels_free(&s->labels);
    as_free(s->pred_id), as_free(s->gold_id), as_free(s->pred_set), as_free(s->gold_set);
    as_free(s->pred_value), as_free(s->gold_value), as_free(s->probs);
    *s = (as_score_input){0};
}
