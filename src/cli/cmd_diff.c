/* cmd_diff.c: the items on which two runs differ, with their texts: what the second fixed, and what it broke. */
#include "base/mem.h"
#include "cli/diff_slices.h"
#include "cli/job_options.h"
#include "run/stored.h"
#include "run/stored_refs.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum change { FIXED, BROKEN, BOTH_WRONG, BOTH_RIGHT, CHANGES } change;
static const char *const change_names[] = {"fixed", "broken", "both wrong", "both right"};

/* shift: of the true label's probability, second less first; of numbers, of the closeness to the true one. */
typedef struct row { int64_t item; change change; bool other; double before, after, shift; } row;
typedef struct differing {
    as_cli *c;
    as_stored a, b;
    row *rows;      /* [n] */
    int64_t count[CHANGES], changed, unequal, shown;
} differing;

/* How good the answer is: the true label's probability (of sets: the mean of right decisions' probabilities), or minus the error. */
static double goodness(const as_predictions *p, int64_t i) {
    if (p->kind == AS_PRED_VALUE) return -fabs(p->pred_value[i] - p->gold_value[i]);
    const double *q = p->probs + i * p->num_labels;
    if (p->kind == AS_PRED_CLASS) return q[p->gold[i]];
    double sum = 0.0;
    for (int k = 0; k < p->num_labels; k++) sum += p->gold_sets[i * p->num_labels + k] ? q[k] : 1 - q[k];
    return sum / p->num_labels;
}
/* Numbers are right when they round to the true one's nearest half: a change of the rounded answer is what people see. */
static bool right(const as_stored *s, int64_t i) {
    const as_predictions *p = &s->p;
    if (p->kind == AS_PRED_VALUE) return fabs(p->pred_value[i] - p->gold_value[i]) < 0.5;
    if (p->kind == AS_PRED_CLASS) return p->pred[i] == p->gold[i];
    return memcmp(p->pred_sets + i * p->num_labels, p->gold_sets + i * p->num_labels, (size_t)p->num_labels) == 0;
}

static as_status classify(differing *w, as_err *err) {
    if (!(w->rows = as_calloc((size_t)w->a.n, sizeof *w->rows))) return as_fail_nomem(err, "items", (size_t)w->a.n * sizeof *w->rows);
    for (int64_t i = 0; i < w->a.n; i++) {
        const bool x = right(&w->a, i), y = right(&w->b, i);
        row *r = &w->rows[i];
        *r = (row){.item = i, .change = x ? (y ? BOTH_RIGHT : BROKEN) : y ? FIXED : BOTH_WRONG, .before = goodness(&w->a.p, i), .after = goodness(&w->b.p, i)};
        r->shift = r->after - r->before;
        r->other = w->a.p.kind == AS_PRED_VALUE ? x != y : strcmp(w->a.pred[i], w->b.pred[i]) != 0;
        w->count[r->change]++, w->changed += r->other;
        w->unequal += w->a.p.kind == AS_PRED_VALUE ? w->a.p.pred_value[i] != w->b.p.pred_value[i]
                                                   : memcmp(w->a.p.probs + i * w->a.p.num_labels, w->b.p.probs + i * w->b.p.num_labels, (size_t)w->a.p.num_labels * sizeof(double)) != 0;
    }
    return AS_OK;
}

static bool wanted(const differing *w, const row *r) {
    const as_options *o = &w->c->p.o;
    const char *only = o->only ? o->only : "changed";
    if (o->find && !strstr(w->a.text[r->item], o->find) && !(w->a.pair[r->item] && strstr(w->a.pair[r->item], o->find))) return false;
    if (strcmp(only, "fixed") == 0) return r->change == FIXED;
    if (strcmp(only, "broken") == 0) return r->change == BROKEN;
    if (strcmp(only, "both-wrong") == 0) return r->change == BOTH_WRONG;
    return strcmp(only, "all") == 0 || r->other || r->change == FIXED || r->change == BROKEN;
}

static int by_shift(const void *a, const void *b) {
    const row *x = a, *y = b;
    const double p = fabs(x->shift), q = fabs(y->shift);
    if (p != q) return p > q ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}
typedef struct sized { row r; size_t n; } sized;
static int by_length(const void *a, const void *b) {
    const sized *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return x->r.item < y->r.item ? -1 : x->r.item > y->r.item;
}
static as_status sort_rows(differing *w, as_err *err) {
    const char *how = w->c->p.o.sort ? w->c->p.o.sort : "confidence";
    const size_t n = (size_t)w->a.n;
    if (strcmp(how, "confidence") == 0) qsort(w->rows, n, sizeof *w->rows, by_shift);
    if (strcmp(how, "length") != 0) return AS_OK;
    sized *v = as_alloc(n, sizeof *v);
    if (!v) return as_fail_nomem(err, "items", n * sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = (sized){w->rows[i], strlen(w->a.text[w->rows[i].item])};
    qsort(v, n, sizeof *v, by_length);
    for (size_t i = 0; i < n; i++) w->rows[i] = v[i].r;
    as_free(v);
    return AS_OK;
}

/* --- output --- */
static void text_key(as_buf *b, const char *name, const char *s) { as_buf_fmt(b, ",\"%s\":", name), as_buf_json_str(b, as_str_of(s)); }

static void row_json(const differing *w, const row *r) {
    as_buf *b = &w->c->out.buf;
    const int64_t i = r->item;
    as_buf_str(b, "{\"kind\":\"diff\",\"id\":"), as_buf_json_str(b, as_str_of(w->a.id[i]));
    text_key(b, "change", change_names[r->change]), text_key(b, "text", w->a.text[i]);
    if (w->a.pair[i]) text_key(b, "pair", w->a.pair[i]);
    text_key(b, "gold", w->a.gold[i]), text_key(b, "pred_a", w->a.pred[i]), text_key(b, "pred_b", w->b.pred[i]);
    const bool value = w->a.p.kind == AS_PRED_VALUE;
    as_buf_str(b, value ? ",\"error_a\":" : ",\"prob_a\":"), as_buf_real(b, value ? -r->before : r->before);
    as_buf_str(b, value ? ",\"error_b\":" : ",\"prob_b\":"), as_buf_real(b, value ? -r->after : r->after);
    as_buf_str(b, "}\n");
}

static void row_text(as_grid *g, const differing *w, const row *r) {
    const int64_t i = r->item;
    as_grid_cell(g, as_str_of(change_names[r->change]));
    as_grid_cell(g, as_str_of(w->a.id[i]));
    as_grid_cell(g, as_str_of(w->a.gold[i]));
    as_grid_fmt(g, "%s > %s", w->a.pred[i], w->b.pred[i]);
    as_grid_fmt(g, "%.2f > %.2f", fabs(r->before), fabs(r->after));
    as_buf text = {0};
    as_out_cut(&text, as_str_of(w->a.text[i]), AS_OUT_COLUMNS);
    as_grid_cell(g, as_buf_view(&text));
    if (text.failed) g->failed = true;
    as_buf_free(&text);
}

static void summary_text(const differing *w) {
    as_buf *b = &w->c->out.buf;
    as_buf_fmt(b, "%s (run %" PRId64 ") > %s (run %" PRId64 ") · %s · %s items\n\n", w->a.model, w->a.run, w->b.model, w->b.run, w->a.task, as_out_whole(w->a.n).s);
    as_buf_fmt(b, "  fixed %s · broken %s · both wrong %s · both right %s · answers that changed %s\n\n", as_out_whole(w->count[FIXED]).s, as_out_whole(w->count[BROKEN]).s,
               as_out_whole(w->count[BOTH_WRONG]).s, as_out_whole(w->count[BOTH_RIGHT]).s, as_out_whole(w->changed).s);
}
static void summary_json(const differing *w) {
    as_buf_fmt(&w->c->out.buf, "{\"kind\":\"diff_summary\",\"a\":%" PRId64 ",\"b\":%" PRId64 ",\"fixed\":%" PRId64 ",\"broken\":%" PRId64 ",\"both_wrong\":%" PRId64
               ",\"both_right\":%" PRId64 ",\"changed\":%" PRId64 ",\"unequal\":%" PRId64 ",\"n\":%" PRId64 "}\n", w->a.run, w->b.run, w->count[FIXED], w->count[BROKEN],
               w->count[BOTH_WRONG], w->count[BOTH_RIGHT], w->changed, w->unequal, w->a.n);
}

/* Before the rows are sorted. */
static as_status slice_changes(const differing *w, as_err *err) {
    if (w->c->p.o.slices.count == 0) return AS_OK;
    signed char *how = as_calloc((size_t)w->a.n, 1);
    if (!how) return as_fail_nomem(err, "items", (size_t)w->a.n);
    for (int64_t i = 0; i < w->a.n; i++) how[i] = (signed char)((w->rows[i].change == FIXED) - (w->rows[i].change == BROKEN));
    const as_status s = as_diff_slices(w->c, &w->a, how, err);
    as_free(how);
    if (s != AS_OK) as_buf_clear(&w->c->out.buf);
    return s;
}

enum { DEFAULT_ROWS = 20 };
static void print(differing *w) {
    const as_options *o = &w->c->p.o;
    const int64_t most = o->limit > 0 ? o->limit : o->json ? INT64_MAX : DEFAULT_ROWS;
    int64_t left = 0;
    as_grid g;
    as_grid_init(&g, "llLLlL", 2);
    static const char *const heads[] = {"change", "item", "true", "answer", "true label's p", "text"};
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(i == 4 && w->a.p.kind == AS_PRED_VALUE ? "error" : heads[i]));
    for (int64_t i = 0; i < w->a.n; i++) {
        if (!wanted(w, &w->rows[i])) continue;
        if (w->shown == most) {
            left++;
            continue;
        }
        w->shown++;
        if (o->json) row_json(w, &w->rows[i]);
        else row_text(&g, w, &w->rows[i]);
    }
    as_buf unused = {0};
    as_grid_print(&g, o->json || w->shown == 0 ? &unused : &w->c->out.buf);
    as_buf_free(&unused);
    if (!o->json && left > 0) as_buf_fmt(&w->c->out.buf, "\n%s more: --limit N shows them, --json all\n", as_out_whole(left).s);
    if (!o->json && w->shown == 0) as_buf_str(&w->c->out.buf, "no item of this kind\n");
}

static as_status read_runs(differing *w, as_err *err) {
    as_store *store;
    as_refs refs = {0};
    AS_TRY(as_cli_store(&store, w->c, err));
    as_status s = as_refs_add(&refs, store, w->c->p.args[0], err);
    if (s == AS_OK) s = as_refs_add(&refs, store, w->c->p.args[1], err);
    if (s == AS_OK && refs.n != 2) {
        s = as_fail(err, AS_USAGE, "diff: %zu runs where two are compared", refs.n);
        as_hint(err, "Name the cells of a bench: assay diff 12.1 12.2");
    }
    if (s == AS_OK) s = as_stored_open(&w->a, store, refs.v[0].run, err);
    if (s == AS_OK) s = as_stored_open(&w->b, store, refs.v[1].run, err);
    if (s == AS_OK) s = as_stored_align(&w->a, &w->b, err);
    as_refs_free(&refs);
    as_store_close(store);
    return s;
}

as_status as_cmd_diff(as_cli *c, as_err *err) {
    differing w = {.c = c};
    as_status s = read_runs(&w, err);
    if (s == AS_OK) s = classify(&w, err);
    if (s == AS_OK && c->p.o.json) summary_json(&w);
    else if (s == AS_OK) summary_text(&w);
    if (s == AS_OK) s = slice_changes(&w, err);
    if (s == AS_OK) s = sort_rows(&w, err);
    if (s == AS_OK) print(&w);
    as_free(w.rows);
    as_stored_free(&w.a), as_stored_free(&w.b);
    return s == AS_OK ? as_out_flush(&c->out, true, err) : s;
}
