#include "cli/print_calibration.h"
#include "cli/print_contest.h"
#include "run/analyses.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- cells --- */
static void cell(as_grid *g, as_buf *t) {
    as_grid_cell(g, as_buf_view(t));
    if (t->failed) g->failed = true;
    as_buf_clear(t);
}
static void score_cell(as_grid *g, as_buf *t, double value, double low, double high, bool percent) { as_print_score(t, value, low, high, percent), cell(g, t); }
static void p_cell(as_grid *g, double p) {
    if (isnan(p)) as_grid_cell(g, AS_LIT("-"));
    else as_grid_fmt(g, p < 0.0001 ? "<0.0001" : "%.4f", p);
}
/* "+0.0123 [0.001, 0.024]" */
static void change_cell(as_grid *g, double value, double low, double high) {
    if (isnan(value)) as_grid_cell(g, AS_LIT("-"));
    else if (isnan(low)) as_grid_fmt(g, "%+.4f", value);
    else as_grid_fmt(g, "%+.4f [%.4f, %.4f]", value, low, high);
}
static void value_cell(as_grid *g, double value, double low, double high) {
    if (isnan(value)) as_grid_cell(g, AS_LIT("-"));
    else if (isnan(low)) as_grid_fmt(g, "%.4f", value);
    else as_grid_fmt(g, "%.4f [%.3f, %.3f]", value, low, high);
}
static void heads(as_grid *g, const char *const *head, size_t n) {
    for (size_t i = 0; i < n; i++) as_grid_cell(g, as_str_of(head[i]));
}

/* --- tables --- */
static void print_changes(as_buf *b, const as_calibration *c) {
    as_grid g;
    as_grid_init(&g, "llllr", 2);
    as_grid_cell(&g, AS_LIT("metric")), as_grid_fmt(&g, "before [%g %%]", 100 * c->level);
    static const char *const head[] = {"after", "after less before", "p adjusted"};
    heads(&g, head, AS_COUNT(head));
    for (int i = 0; i < AS_CALIBRATION_METRICS; i++) {
        const as_calibration_change *m = &c->change[i];
        as_grid_cell(&g, as_str_of(m->metric));
        value_cell(&g, m->before, m->before_low, m->before_high), value_cell(&g, m->after, m->after_low, m->after_high);
        change_cell(&g, m->diff, m->low, m->high), p_cell(&g, m->p_adjusted);
    }
    as_grid_print(&g, b);
    as_buf_fmt(b, "  were every confidence true, ece would still be %.4f, and above %.4f in 1 of 20 such data sets\n", c->floor_mean, c->floor_p95);
}
static void print_bins(as_buf *b, const as_calibration *c) {
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, "lrrll", 2);
    as_buf_char(b, '\n');
    as_grid_fmt(&g, "confidence, of %s", c->decisions ? "decisions" : "items");
    static const char *const head[] = {"n", "mean"};
    heads(&g, head, AS_COUNT(head));
    as_grid_fmt(&g, "right [%g %%]", 100 * c->level), as_grid_cell(&g, AS_LIT(""));
    for (int i = 0; i < c->before.mass_count; i++) {
        const as_reliability_bin *v = &c->before.mass[i];
        if (v->n == 0) continue;
        as_grid_fmt(&g, "%.4f to %.4f", v->low, v->high);
        as_grid_fmt(&g, "%s", as_out_whole(v->n).s), as_grid_fmt(&g, "%.1f", 100 * v->confidence);
        score_cell(&g, &t, v->accuracy, v->accuracy_low, v->accuracy_high, true);
        as_grid_cell(&g, as_str_of(v->accuracy_high < v->confidence ? "too sure" : v->accuracy_low > v->confidence ? "not sure enough" : ""));
    }
    as_grid_print(&g, b);
    as_buf_free(&t);
}
static void print_coverage(as_buf *b, const as_calibration *c) {
    const as_selective *s = &c->selective;
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, "rrrl", 2);
    as_buf_char(b, '\n');
    static const char *const head[] = {"most confident", "n", "confidence from"};
    heads(&g, head, AS_COUNT(head));
    as_grid_fmt(&g, "right [%g %%]", 100 * c->level);
    for (int i = 0; i < AS_COVERAGES; i++) {
        as_grid_fmt(&g, "%.0f %%", 100 * s->at[i].coverage), as_grid_fmt(&g, "%s", as_out_whole(s->at[i].n).s);
        as_grid_fmt(&g, "%.4f", s->at[i].threshold);
        score_cell(&g, &t, s->at[i].accuracy, s->at[i].low, s->at[i].high, true);
    }
    as_grid_print(&g, b);
    as_buf_free(&t);
    as_buf_fmt(b, "  error rate averaged over all coverages (AURC) %.4f [%.4f, %.4f]\n", s->aurc, s->aurc_low, s->aurc_high);
    as_buf_fmt(b, "  that is %.4f [%.4f, %.4f] more than in the best order (E-AURC)\n", s->e_aurc, s->e_aurc_low, s->e_aurc_high);
}

static void print_conformal(as_buf *b, const as_calibration *c) {
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, "lrlllrr", 2);
    as_buf_char(b, '\n');
    static const char *const head[] = {"sets", "promised", NULL, "expected", "labels in a set", "single", "empty"};
    for (size_t i = 0; i < AS_COUNT(head); i++)
        if (head[i]) as_grid_cell(&g, as_str_of(head[i]));
        else as_grid_fmt(&g, "hold the label [%g %%]", 100 * c->level);
    for (int i = 0; i < c->conformal_count; i++) {
        const as_conformal *v = &c->conformal[i];
        as_grid_cell(&g, as_str_of(as_conformal_name(v->score))), as_grid_fmt(&g, "%g %%", 100 * v->level);
        score_cell(&g, &t, v->coverage, v->low, v->high, true);
        as_grid_fmt(&g, "%.1f to %.1f", 100 * v->beta_low, 100 * v->beta_high);
        if (isnan(v->size_low)) as_grid_fmt(&g, "%.3f", v->size);
        else as_grid_fmt(&g, "%.3f [%.3f, %.3f]", v->size, v->size_low, v->size_high);
        as_grid_fmt(&g, "%s", as_out_whole(v->single).s), as_grid_fmt(&g, "%s", as_out_whole(v->empty).s);
    }
    as_grid_print(&g, b);
    as_buf_free(&t);
    as_out_wrap(b, "  promise  ", 11,
                AS_LIT("at least this share of sets holds the true label, on average over draws of dev and evaluated items from one source; not for "
                       "each label or group by itself"));
}

static void print_calibration(as_buf *b, const as_calibration *c) {
    const as_temperature *t = &c->temperature;
    as_buf_char(b, '\n');
    as_buf_fmt(b, "  calibrated on %s (%s items): temperature %.4f, loss there %.4f, before %.4f\n", c->dev, as_out_whole(c->dev_items).s, t->t, t->loss, t->loss_before);
    if (t->why) as_out_wrap(b, "  it stays 1  ", 14, as_str_of(t->why));
    as_buf_char(b, '\n');
    print_changes(b, c), print_bins(b, c), print_coverage(b, c);
    if (c->conformal_count > 0) print_conformal(b, c);
}

static void print_perturbed(as_buf *b, const as_eval_result *r) {
    const as_perturbed *first = &r->perturbed[0];
    as_grid g;
    as_buf t = {0};
    bool flips = false;
    for (size_t i = 0; i < r->perturbed_count; i++) flips |= r->perturbed[i].flips >= 0;
    as_grid_init(&g, flips ? "Lrllrl" : "Lrllr", 2);
    as_buf_char(b, '\n');
    as_grid_cell(&g, AS_LIT("perturbed")), as_grid_cell(&g, AS_LIT("share"));
    as_grid_fmt(&g, "%.14s [%g %%]", r->metrics[0].name, 100 * r->metrics[0].level);
    static const char *const head[] = {"drop", "p adjusted", "other answers"};
    heads(&g, head, AS_COUNT(head) - !flips);
    for (size_t i = 0; i < r->perturbed_count; i++) {
        const as_perturbed *v = &r->perturbed[i];
        as_grid_cell(&g, as_str_of(as_perturb_name(v->kind))), as_grid_fmt(&g, "%g %%", 100 * v->strength);
        score_cell(&g, &t, v->score, v->low, v->high, v->percent), score_cell(&g, &t, v->drop, v->drop_low, v->drop_high, v->percent);
        p_cell(&g, v->p_adjusted);
        if (flips) score_cell(&g, &t, v->flip_rate, v->flip_low, v->flip_high, true);
    }
    as_grid_print(&g, b);
    if (first->test_method) as_buf_fmt(b, "  drop: paired, %s; p: %s, Holm over %zu kind%s\n", first->interval_method, first->test_method, r->perturbed_count, r->perturbed_count == 1 ? "" : "s");
    for (size_t i = 0; i < r->perturbed_count; i++)
        if (r->perturbed[i].changed < r->perturbed[i].n)
            as_buf_fmt(b, "  %s: %s of %s texts have nothing to change\n", as_perturb_name(r->perturbed[i].kind),
                       as_out_whole(r->perturbed[i].n - r->perturbed[i].changed).s, as_out_whole(r->perturbed[i].n).s);
    as_buf_free(&t);
}

void as_print_calibration(as_buf *b, const as_eval_result *r) {
    if (r->calibration) print_calibration(b, r->calibration);
    if (r->perturbed_count > 0) print_perturbed(b, r);
}

void as_print_calibration_json(as_buf *b, const as_eval_result *r, const char *model) {
    if (r->calibration) as_calibration_json(b, r, model);
    for (int i = 0; r->calibration && i < r->calibration->conformal_count; i++) as_conformal_json(b, r, &r->calibration->conformal[i], model);
    for (size_t i = 0; i < r->perturbed_count; i++) as_perturbed_json(b, r, &r->perturbed[i], model);
}
