/* diff_slices.c: fixed and broken items by group. */
#include "cli/diff_slices.h"
#include "base/mem.h"
#include "io/json.h"
#include "run/slices.h"
#include "stats/paired.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct member { const char *value; signed char change; } member;
typedef struct group { const char *column, *value; int64_t n, fixed, broken; } group;
typedef struct groups {
    group *v;
    size_t n, cap;
    double *p, *adjusted; /* [n] */
} groups;

/* Numbers and ranges by their first number, texts by bytes. */
static int by_value(const void *a, const void *b) {
    const char *x = ((const member *)a)->value, *y = ((const member *)b)->value;
    if (x[0] >= '0' && x[0] <= '9' && y[0] >= '0' && y[0] <= '9') {
        const double p = strtod(x, NULL), q = strtod(y, NULL);
        if (p < q || p > q) return p < q ? -1 : 1;
    }
    return strcmp(x, y);
}

static as_status nothing_noted(const as_stored *s, const char *column, as_err *err) {
    (void)as_fail(err, AS_USAGE, "--slice: run %" PRId64 " has no groups of \"%.80s\" with its items", s->run, column);
    as_hint(err, "assay eval --slice %.80s notes them, also of a finished run; @label and @length are always there.", column);
    return AS_USAGE;
}

/* A value per item of what eval --slice noted, in the arena. */
static as_status noted_values(member *m, as_cli *c, const as_stored *s, const char *column, as_err *err) {
    bool any = false;
    for (int64_t i = 0; i < s->n; i++) {
        as_json *doc = NULL;
        m[i].value = "";
        if (!s->slices[i][0] || as_json_parse(&doc, as_str_of(s->slices[i]), "slices", 0, NULL) != AS_OK) continue;
        const as_json *v = as_json_get(doc, column);
        any = any || v;
        m[i].value = as_arena_text(&c->arena, as_json_str(v, AS_LIT("")));
        as_json_free(doc);
        if (!m[i].value) return as_fail_nomem(err, "slices", 0);
    }
    return any ? AS_OK : nothing_noted(s, column, err);
}

/* Of sorted members. */
static as_status add_groups(groups *g, const member *m, int64_t n, const char *column, as_err *err) {
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(m[i].value, m[i - 1].value) != 0) {
            if (!as_grow(&g->v, &g->cap, g->n + 1, sizeof *g->v)) return as_fail_nomem(err, "slices", 0);
            g->v[g->n++] = (group){.column = column, .value = m[i].value};
        }
        group *last = &g->v[g->n - 1];
        last->n++, last->fixed += m[i].change > 0, last->broken += m[i].change < 0;
    }
    return AS_OK;
}

static as_status cut(groups *g, char ***quarters, as_cli *c, const as_stored *s, const signed char *change, const char *column, as_err *err) {
    const bool length = strcmp(column, "@length") == 0, label = strcmp(column, "@label") == 0;
    member *m = as_calloc((size_t)s->n, sizeof *m);
    as_status st = m ? AS_OK : as_fail_nomem(err, "slices", (size_t)s->n * sizeof *m);
    if (st == AS_OK && length && !*quarters) {
        double *x = as_alloc((size_t)s->n, sizeof *x);
        for (int64_t i = 0; x && i < s->n; i++) x[i] = (double)s->tokens[i];
        *quarters = x ? as_slicing_quarters(x, s->n) : NULL;
        as_free(x);
        if (!*quarters) st = as_fail_nomem(err, "slices", 0);
    }
    if (st == AS_OK && !length && !label) st = noted_values(m, c, s, column, err);
    for (int64_t i = 0; st == AS_OK && i < s->n; i++) {
        if (length || label) m[i].value = length ? (*quarters)[i] : s->gold[i];
        m[i].change = change[i];
    }
    if (st == AS_OK) qsort(m, (size_t)s->n, sizeof *m, by_value);
    if (st == AS_OK) st = add_groups(g, m, s->n, column + (length || label), err);
    as_free(m);
    return st;
}

static as_status adjust(groups *g, as_err *err) {
    g->p = as_calloc(g->n, sizeof *g->p), g->adjusted = as_calloc(g->n, sizeof *g->adjusted);
    if (!g->p || !g->adjusted) return as_fail_nomem(err, "p values", 0);
    for (size_t i = 0; i < g->n; i++) g->p[i] = as_mcnemar_exact(g->v[i].fixed, g->v[i].broken).p;
    return as_adjust_holm(g->adjusted, g->p, (int64_t)g->n, err);
}

static void print_json(as_buf *b, const groups *g) {
    for (size_t i = 0; i < g->n; i++) {
        const group *v = &g->v[i];
        as_buf_str(b, "{\"kind\":\"diff_slice\",\"column\":"), as_buf_json_str(b, as_str_of(v->column));
        as_buf_str(b, ",\"slice\":"), as_buf_json_str(b, as_str_of(v->value));
        as_buf_fmt(b, ",\"fixed\":%" PRId64 ",\"broken\":%" PRId64 ",\"n\":%" PRId64 ",\"p\":", v->fixed, v->broken, v->n), as_buf_real(b, g->p[i]);
        as_buf_str(b, ",\"p_adjusted\":"), as_buf_real(b, g->adjusted[i]), as_buf_str(b, "}\n");
    }
}

static void print_text(as_buf *b, const groups *g, double alpha) {
    static const char *const heads[] = {"slice", "fixed", "broken", "change", "p adjusted", "n", ""};
    as_grid t;
    const group *worst = NULL;
    double least = alpha;
    as_grid_init(&t, "Lrrrrrl", 2);
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&t, as_str_of(heads[i]));
    for (size_t i = 0; i < g->n; i++) {
        const group *v = &g->v[i];
        const bool sure = g->adjusted[i] < alpha, loss = v->broken > v->fixed;
        as_grid_fmt(&t, "%s = %s", v->column, v->value);
        as_grid_fmt(&t, "%s", as_out_whole(v->fixed).s), as_grid_fmt(&t, "%s", as_out_whole(v->broken).s);
        as_grid_fmt(&t, "%+.1f", 100.0 * (double)(v->fixed - v->broken) / (double)v->n);
        as_grid_fmt(&t, g->adjusted[i] < 0.0001 ? "<0.0001" : "%.4f", g->adjusted[i]);
        as_grid_fmt(&t, "%s", as_out_whole(v->n).s), as_grid_cell(&t, as_str_of(!sure ? "" : loss ? "worse than before" : "better than before"));
        if (loss && g->adjusted[i] < least) worst = v, least = g->adjusted[i];
    }
    as_grid_print(&t, b);
    as_buf_str(b, "  change in points; p: mcnemar exact, Holm over all slices\n");
    if (worst) as_buf_fmt(b, "  surest loss: %s = %s\n", worst->column, worst->value);
    as_buf_char(b, '\n');
}

as_status as_diff_slices(as_cli *c, const as_stored *s, const signed char *change, as_err *err) {
    groups g = {0};
    char **quarters = NULL;
    as_status st = AS_OK;
    const as_texts *columns = &c->p.o.slices;
    for (int k = 0; k < columns->count && st == AS_OK && s->n > 0; k++) st = cut(&g, &quarters, c, s, change, columns->v[k], err);
    if (st == AS_OK && g.n > 0) st = adjust(&g, err);
    if (st == AS_OK && g.n > 0 && c->p.o.json) print_json(&c->out.buf, &g);
    else if (st == AS_OK && g.n > 0) print_text(&c->out.buf, &g, 1.0 - c->p.o.level / 100.0);
    as_free(quarters), as_free(g.v), as_free(g.p), as_free(g.adjusted);
    return st;
}
