#include "cli/print_calibration.h"
#include "cli/print_contest.h"
#include "run/calibrate.h"
#include "run/perturb.h"
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
static const char *score_name(as_conformal_score s) { return s == AS_CONFORMAL_LAC ? "lac" : "aps"; }
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
        as_grid_cell(&g, as_str_of(score_name(v->score))), as_grid_fmt(&g, "%g %%", 100 * v->level);
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

/* --- JSON --- */
typedef struct real_field { const char *key; double value; } real_field;
static void reals(as_buf *b, const real_field *f, size_t n) {
    for (size_t i = 0; i < n; i++) as_buf_fmt(b, "%s\"%s\":", b->n > 0 && b->p[b->n - 1] == '{' ? "" : ",", f[i].key), as_buf_real(b, f[i].value);
}
#define REALS(b, ...) reals(b, (const real_field[]){__VA_ARGS__}, AS_COUNT(((const real_field[]){__VA_ARGS__})))
static void text_field(as_buf *b, const char *key, const char *value) {
    if (value) as_buf_fmt(b, ",\"%s\":", key), as_buf_json_str(b, as_str_of(value));
}
static void run_field(as_buf *b, const char *key, int64_t run) {
    if (run > 0) as_buf_fmt(b, ",\"%s\":%" PRId64, key, run);
    else as_buf_fmt(b, ",\"%s\":null", key);
}
static void begin(as_buf *b, const char *kind, const as_eval_result *r, int64_t run, const char *model) {
    as_buf_fmt(b, "{\"kind\":\"%s\"", kind);
    run_field(b, "run", run);
    text_field(b, "model", model), text_field(b, "task", r->task);
}

static void bins_json(as_buf *b, const char *key, const as_reliability_bin *v, int n) {
    as_buf_fmt(b, "\"%s\":[", key);
    for (int i = 0, any = 0; i < n; i++) {
        if (v[i].n == 0) continue;
        as_buf_fmt(b, "%s{\"n\":%" PRId64, any++ ? "," : "", v[i].n);
        REALS(b, {"from", v[i].low}, {"to", v[i].high}, {"confidence", v[i].confidence}, {"accuracy", v[i].accuracy}, {"low", v[i].accuracy_low}, {"high", v[i].accuracy_high});
        as_buf_char(b, '}');
    }
    as_buf_char(b, ']');
}
static void reliability_json(as_buf *b, const char *key, const as_reliability *r) {
    as_buf_fmt(b, "\"%s\":{", key);
    bins_json(b, "width", r->width, AS_WIDTH_BINS + 1), as_buf_char(b, ',');
    bins_json(b, "mass", r->mass, r->mass_count), as_buf_char(b, '}');
}
static void changes_json(as_buf *b, const as_calibration *c) {
    as_buf_str(b, ",\"metrics\":[");
    for (int i = 0; i < AS_CALIBRATION_METRICS; i++) {
        const as_calibration_change *m = &c->change[i];
        as_buf_fmt(b, "%s{\"metric\":\"%s\"", i ? "," : "", m->metric);
        REALS(b, {"before", m->before}, {"before_low", m->before_low}, {"before_high", m->before_high}, {"after", m->after}, {"after_low", m->after_low},
              {"after_high", m->after_high}, {"diff", m->diff}, {"low", m->low}, {"high", m->high}, {"p", m->p}, {"p_adjusted", m->p_adjusted});
        text_field(b, "method", m->interval_method), text_field(b, "test", m->test_method), text_field(b, "why", m->why);
        as_buf_char(b, '}');
    }
    as_buf_char(b, ']');
}
static void selective_json(as_buf *b, const as_selective *s) {
    REALS(b, {"aurc", s->aurc}, {"aurc_low", s->aurc_low}, {"aurc_high", s->aurc_high}, {"e_aurc", s->e_aurc}, {"e_aurc_low", s->e_aurc_low}, {"e_aurc_high", s->e_aurc_high});
    text_field(b, "aurc_method", s->method);
    as_buf_str(b, ",\"coverage\":[");
    for (int i = 0; i < AS_COVERAGES; i++) {
        as_buf_fmt(b, "%s{\"n\":%" PRId64, i ? "," : "", s->at[i].n);
        REALS(b, {"coverage", s->at[i].coverage}, {"threshold", s->at[i].threshold}, {"accuracy", s->at[i].accuracy}, {"low", s->at[i].low}, {"high", s->at[i].high});
        as_buf_char(b, '}');
    }
    as_buf_str(b, "],\"risk_by_coverage\":[");
    for (int i = 0; i < AS_CURVE_POINTS; i++) {
        as_buf_str(b, i ? ",[" : "["), as_buf_real(b, (i + 1.0) / AS_CURVE_POINTS);
        as_buf_char(b, ','), as_buf_real(b, s->curve_risk[i]), as_buf_char(b, ']');
    }
    as_buf_char(b, ']');
}
static void calibration_json(as_buf *b, const as_eval_result *r, const char *model) {
    const as_calibration *c = r->calibration;
    begin(b, "calibration", r, c->run, model);
    text_field(b, "dev", c->dev);
    run_field(b, "dev_run", c->dev_run);
    as_buf_fmt(b, ",\"dev_items\":%" PRId64 ",\"items\":%" PRId64 ",\"unit\":\"%s\",\"n\":%" PRId64, c->dev_items, c->items, c->decisions ? "decision" : "item", c->n);
    REALS(b, {"temperature", c->temperature.t}, {"dev_loss_before", c->temperature.loss_before}, {"dev_loss", c->temperature.loss}, {"level", c->level},
          {"ece_floor", c->floor_mean}, {"ece_floor_95", c->floor_p95});
    text_field(b, "why", c->temperature.why);
    changes_json(b, c);
    as_buf_str(b, ",\"reliability\":{"), reliability_json(b, "before", &c->before), as_buf_char(b, ',');
    reliability_json(b, "after", &c->after), as_buf_char(b, '}');
    selective_json(b, &c->selective);
    as_buf_str(b, "}\n");
}
static void conformal_json(as_buf *b, const as_eval_result *r, const as_conformal *v, const char *model) {
    begin(b, "conformal", r, r->calibration->run, model);
    text_field(b, "score", score_name(v->score));
    REALS(b, {"promised", v->level}, {"threshold", v->threshold}, {"coverage", v->coverage}, {"low", v->low}, {"high", v->high}, {"expected_low", v->beta_low},
          {"expected_high", v->beta_high}, {"size", v->size}, {"size_low", v->size_low}, {"size_high", v->size_high});
    text_field(b, "size_method", v->size_method), text_field(b, "guarantee", "marginal");
    as_buf_fmt(b, ",\"single\":%" PRId64 ",\"empty\":%" PRId64 ",\"n\":%" PRId64 ",\"dev_items\":%" PRId64 "}\n", v->single, v->empty, v->n, v->dev_n);
}
static void perturbed_json(as_buf *b, const as_eval_result *r, const as_perturbed *v, const char *model) {
    begin(b, "perturbation", r, v->run, model);
    text_field(b, "perturbation", as_perturb_name(v->kind)), text_field(b, "metric", r->metrics[0].name);
    REALS(b, {"strength", v->strength}, {"clean", v->clean}, {"value", v->score}, {"low", v->low}, {"high", v->high}, {"drop", v->drop}, {"drop_low", v->drop_low},
          {"drop_high", v->drop_high}, {"p", v->p}, {"p_adjusted", v->p_adjusted}, {"flip_rate", v->flip_rate}, {"flip_low", v->flip_low}, {"flip_high", v->flip_high},
          {"tokens", v->tokens});
    text_field(b, "method", v->interval_method), text_field(b, "test", v->test_method), text_field(b, "why", v->why);
    as_buf_fmt(b, ",\"changed\":%" PRId64 ",\"n\":%" PRId64 "}\n", v->changed, v->n);
}

void as_print_calibration_json(as_buf *b, const as_eval_result *r, const char *model) {
    if (r->calibration) calibration_json(b, r, model);
    for (int i = 0; r->calibration && i < r->calibration->conformal_count; i++) conformal_json(b, r, &r->calibration->conformal[i], model);
    for (size_t i = 0; i < r->perturbed_count; i++) perturbed_json(b, r, &r->perturbed[i], model);
}
