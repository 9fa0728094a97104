#include "cli/print_more.h"
#include "cli/print_contest.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void p_cell(as_grid *g, double p) {
    if (isnan(p)) as_grid_cell(g, AS_LIT("-"));
    else as_grid_fmt(g, p < 0.0001 ? "<0.0001" : "%.4f", p);
}
static void share_cell(as_grid *g, double share) {
    if (isnan(share)) as_grid_cell(g, AS_LIT("-"));
    else as_grid_fmt(g, "%.1f %%", 100 * share);
}
static void heads(as_grid *g, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) as_grid_cell(g, as_str_of(names[i]));
}
static void pair_cell(as_grid *g, const as_contest *c, int a, int b) { as_grid_fmt(g, "%s - %s", c->systems[a].name, c->systems[b].name); }

/* --- pairs --- */
static void overview(as_buf *b, const as_contest *c, const as_more *m, const char *metric) {
    static const char *const names[] = {"pair", "p (BH)", "better", "same", "worse", "order"};
    as_grid g;
    as_grid_init(&g, "Lrrrrr", 2);
    heads(&g, names, AS_COUNT(names));
    for (size_t i = 0; i < m->count; i++) {
        const as_more_pair *p = &m->pairs[i];
        if (strcmp(p->of->metric, metric) != 0) continue;
        pair_cell(&g, c, p->of->a, p->of->b), p_cell(&g, p->p_bh);
        share_cell(&g, p->bayes.right), share_cell(&g, p->bayes.rope), share_cell(&g, p->bayes.left);
        if (isnan(p->aso)) as_grid_cell(&g, AS_LIT("-"));
        else as_grid_fmt(&g, "%.3f", p->aso);
    }
    as_grid_print(&g, b);
}

static void tests(as_buf *b, const as_contest *c, const as_more *m, const char *metric) {
    const as_more_pair *first = NULL;
    for (size_t i = 0; i < m->count && !first; i++)
        if (strcmp(m->pairs[i].of->metric, metric) == 0 && m->pairs[i].test_count > 0) first = &m->pairs[i];
    if (!first) return;
    as_grid g;
    as_grid_init(&g, "Lrrrrrr", 2);
    as_grid_cell(&g, AS_LIT("p of each test"));
    const bool shares = first->test_count == AS_MORE_TESTS;
    static const char *const names[] = {"mcnemar", "mid-p", "chi2", "permutation", "bootstrap", "t"};
    heads(&g, names + (shares ? 0 : 3), AS_COUNT(names) - (shares ? 0 : 3));
    for (int k = shares ? 6 : 3; k < AS_MORE_TESTS; k++) as_grid_cell(&g, AS_LIT(""));
    for (size_t i = 0; i < m->count; i++) {
        const as_more_pair *p = &m->pairs[i];
        if (strcmp(p->of->metric, metric) != 0) continue;
        pair_cell(&g, c, p->of->a, p->of->b);
        for (int k = 0; k < AS_MORE_TESTS; k++)
            if (k < p->test_count) p_cell(&g, p->test[k].p);
            else as_grid_cell(&g, AS_LIT(""));
    }
    as_grid_print(&g, b);
}

static void seeds(as_buf *b, const as_contest *c, const as_more *m, const char *metric) {
    bool any = false;
    for (size_t i = 0; i < m->count; i++) any |= strcmp(m->pairs[i].of->metric, metric) == 0 && m->pairs[i].has_seeds;
    if (!any) return;
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, "Lrrrr", 2);
    as_grid_cell(&g, AS_LIT("several seeds")), as_grid_fmt(&g, "multi-bootstrap [%g %%]", 100 * c->level);
    as_grid_cell(&g, AS_LIT("p")), as_grid_fmt(&g, "welch t [%g %%]", 100 * c->level), as_grid_cell(&g, AS_LIT("p"));
    for (size_t i = 0; i < m->count; i++) {
        const as_more_pair *p = &m->pairs[i];
        if (strcmp(p->of->metric, metric) != 0 || !p->has_seeds) continue;
        const as_seeds_result *s = &p->seeds;
        pair_cell(&g, c, p->of->a, p->of->b);
        as_print_score(&t, s->diff, s->interval.low, s->interval.high, p->of->percent), as_grid_cell(&g, as_buf_view(&t)), as_buf_clear(&t);
        p_cell(&g, s->test.p);
        as_print_score(&t, s->diff, s->student_interval.low, s->student_interval.high, p->of->percent), as_grid_cell(&g, as_buf_view(&t)), as_buf_clear(&t);
        p_cell(&g, s->student.p);
    }
    if (t.failed) g.failed = true;
    as_grid_print(&g, b);
    as_buf_free(&t);
}

void as_print_more(as_buf *b, const as_contest *c, const as_contest_result *r, const as_more *m) {
    bool bayes = false, order = false;
    for (size_t i = 0; i < m->count; i++) bayes |= !isnan(m->pairs[i].bayes.right), order |= !isnan(m->pairs[i].aso);
    for (size_t k = 0; k < r->metric_count; k++) {
        as_buf_fmt(b, "\n  %s by other methods\n", r->metrics[k]);
        overview(b, c, m, r->metrics[k]);
        tests(b, c, m, r->metrics[k]), seeds(b, c, m, r->metrics[k]);
    }
    as_buf_char(b, '\n');
    as_out_wrap(b, "  p (BH)", 10, AS_LIT("adjusted after Benjamini and Hochberg: a share of false discoveries, where Holm keeps out any"));
    if (bayes) as_out_wrap(b, "  better", 10, AS_LIT("probability that the first of the two has the larger share of the items on which they differ (Bayesian sign test)"));
    if (order) as_out_wrap(b, "  order", 10, AS_LIT("almost stochastic order of the seeds' scores: below 0.5 the first is better, 0: at every quantile"));
}

/* --- abilities --- */
void as_print_abilities(as_buf *b, const as_contest *c, const as_abilities *a) {
    if (a->why) {
        as_buf_fmt(b, "  no Bradley-Terry strengths: %s\n", a->why);
        return;
    }
    as_grid g;
    as_grid_init(&g, "Lrr", 2);
    as_grid_cell(&g, AS_LIT("Bradley-Terry")), as_grid_fmt(&g, "strength [%g %%]", 100 * c->level);
    as_grid_fmt(&g, "wins against %s", c->systems[a->reference].name);
    for (int place = 0; place < a->count; place++) /* the strongest first; equal ones as given */
        for (int i = 0; i < a->count; i++) {
            int before = 0;
            for (int k = 0; k < a->count; k++) before += a->strength[k] > a->strength[i] || (a->strength[k] == a->strength[i] && k < i);
            if (before != place) continue;
            as_grid_cell(&g, as_str_of(c->systems[i].name));
            if (i == a->reference) {
                as_grid_cell(&g, AS_LIT("0")), as_grid_cell(&g, AS_LIT("-"));
                continue;
            }
            as_grid_fmt(&g, "%+.2f [%.2f, %.2f]", a->strength[i], a->low[i], a->high[i]);
            as_grid_fmt(&g, "%.1f %%", 100 / (1 + exp(-a->strength[i])));
        }
    as_grid_print(&g, b);
    as_buf_fmt(b, "  of %s %s\n", as_out_whole((int64_t)a->matches).s, a->by_item ? "items that only one of two systems answers better" : "pairs of scores, one for each two systems and task");
    if (a->prior > 0) as_buf_fmt(b, "  somebody never lost: %g wins and losses were added between each two systems\n", a->prior);
}

/* --- several tasks --- */
void as_print_task_ropes(as_buf *b, const as_contest *c, const as_task_rope *rows) {
    static const char *const names[] = {"over tasks", "better", "same", "worse"};
    as_grid g;
    as_grid_init(&g, "Lrrr", 2);
    heads(&g, names, AS_COUNT(names));
    for (int i = 0; i < c->count - 1; i++) {
        pair_cell(&g, c, rows[i].a, rows[i].b);
        share_cell(&g, rows[i].signed_rank.right), share_cell(&g, rows[i].signed_rank.rope), share_cell(&g, rows[i].signed_rank.left);
    }
    as_grid_print(&g, b);
    as_buf_fmt(b, "  Bayesian signed-rank test; same: within %g (--margin)\n", c->margin);
}

/* --- JSON --- */
static void name(as_buf *b, const char *key, const char *value) { as_buf_fmt(b, ",\"%s\":", key), as_buf_json_str(b, as_str_of(value)); }
static void number(as_buf *b, const char *key, double x) { as_buf_fmt(b, ",\"%s\":", key), as_buf_real(b, x); }
static void rope(as_buf *b, const char *key, const as_rope *r) {
    as_buf_fmt(b, ",\"%s\":{\"better\":", key), as_buf_real(b, r->right), number(b, "same", r->rope), number(b, "worse", r->left), as_buf_char(b, '}');
}

void as_print_more_json(as_buf *b, const as_contest *c, const as_more *m) {
    for (size_t i = 0; i < m->count; i++) {
        const as_more_pair *p = &m->pairs[i];
        as_buf_str(b, "{\"kind\":\"tests\""), name(b, "a", c->systems[p->of->a].name), name(b, "b", c->systems[p->of->b].name), name(b, "metric", p->of->metric);
        number(b, "p_bh", p->p_bh), rope(b, "bayes_sign", &p->bayes), number(b, "aso", p->aso);
        as_buf_str(b, ",\"p\":{");
        for (int k = 0; k < p->test_count; k++) as_buf_str(b, k ? "," : ""), as_buf_json_str(b, as_str_of(p->test[k].method)), as_buf_char(b, ':'), as_buf_real(b, p->test[k].p);
        as_buf_char(b, '}');
        if (p->has_seeds) {
            const as_seeds_result *s = &p->seeds;
            as_buf_str(b, ",\"multi_bootstrap\":{\"diff\":"), as_buf_real(b, s->diff), number(b, "low", s->interval.low), number(b, "high", s->interval.high), number(b, "p", s->test.p);
            as_buf_str(b, "},\"welch_t\":{\"low\":"), as_buf_real(b, s->student_interval.low), number(b, "high", s->student_interval.high), number(b, "p", s->student.p), as_buf_char(b, '}');
        }
        as_buf_str(b, "}\n");
    }
}

void as_print_abilities_json(as_buf *b, const as_contest *c, const as_abilities *a) {
    for (int i = 0; i < a->count; i++) {
        as_buf_str(b, "{\"kind\":\"ability\""), name(b, "model", c->systems[i].name), name(b, "reference", c->systems[a->reference].name);
        number(b, "strength", a->why ? NAN : a->strength[i]), number(b, "low", a->why ? NAN : a->low[i]), number(b, "high", a->why ? NAN : a->high[i]);
        number(b, "wins_against_reference", a->why ? NAN : 1 / (1 + exp(-a->strength[i])));
        as_buf_fmt(b, ",\"unit\":\"%s\"", a->by_item ? "item" : "task"), number(b, "matches", a->matches), number(b, "prior", a->prior);
        if (a->why) name(b, "why", a->why);
        as_buf_str(b, "}\n");
    }
}

void as_print_task_ropes_json(as_buf *b, const as_contest *c, const as_task_rope *rows) {
    for (int i = 0; i < c->count - 1; i++) {
        as_buf_str(b, "{\"kind\":\"over_tasks\""), name(b, "a", c->systems[rows[i].a].name), name(b, "b", c->systems[rows[i].b].name);
        number(b, "margin", c->margin), rope(b, "bayes_signed_rank", &rows[i].signed_rank), rope(b, "bayes_sign", &rows[i].sign), as_buf_str(b, "}\n");
    }
}
