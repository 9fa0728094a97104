/* analyses.c: calibration, conformal sets and perturbed texts as JSON, for people's programs, for the store and for the page. */
#include "run/analyses.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *as_conformal_name(as_conformal_score s) { return s == AS_CONFORMAL_LAC ? "lac" : "aps"; }

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
void as_calibration_json(as_buf *b, const as_eval_result *r, const char *model) {
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
void as_conformal_json(as_buf *b, const as_eval_result *r, const as_conformal *v, const char *model) {
    begin(b, "conformal", r, r->calibration->run, model);
    text_field(b, "score", as_conformal_name(v->score));
    REALS(b, {"promised", v->level}, {"threshold", v->threshold}, {"coverage", v->coverage}, {"low", v->low}, {"high", v->high}, {"expected_low", v->beta_low},
          {"expected_high", v->beta_high}, {"size", v->size}, {"size_low", v->size_low}, {"size_high", v->size_high});
    text_field(b, "size_method", v->size_method), text_field(b, "guarantee", "marginal");
    as_buf_fmt(b, ",\"single\":%" PRId64 ",\"empty\":%" PRId64 ",\"n\":%" PRId64 ",\"dev_items\":%" PRId64 "}\n", v->single, v->empty, v->n, v->dev_n);
}
void as_perturbed_json(as_buf *b, const as_eval_result *r, const as_perturbed *v, const char *model) {
    begin(b, "perturbation", r, v->run, model);
    text_field(b, "perturbation", as_perturb_name(v->kind)), text_field(b, "metric", r->metrics[0].name);
    REALS(b, {"strength", v->strength}, {"clean", v->clean}, {"value", v->score}, {"low", v->low}, {"high", v->high}, {"drop", v->drop}, {"drop_low", v->drop_low},
          {"drop_high", v->drop_high}, {"p", v->p}, {"p_adjusted", v->p_adjusted}, {"flip_rate", v->flip_rate}, {"flip_low", v->flip_low}, {"flip_high", v->flip_high},
          {"tokens", v->tokens});
    text_field(b, "method", v->interval_method), text_field(b, "test", v->test_method), text_field(b, "why", v->why);
    as_buf_fmt(b, ",\"changed\":%" PRId64 ",\"n\":%" PRId64 "}\n", v->changed, v->n);
}

static as_status put(as_store *store, int64_t run, const char *kind, const char *name, as_buf *json, as_err *err) {
    if (json->n > 0 && json->p[json->n - 1] == '\n') json->p[json->n - 1] = '\0';
    const as_status s = json->failed ? as_fail_nomem(err, "an analysis", json->n) : as_store_analysis_put(store, run, kind, name, json->p, err);
    as_buf_clear(json);
    return s;
}

as_status as_analyses_store(const as_eval_result *r, as_store *store, int64_t run, as_err *err) {
    as_buf b = {0};
    as_status s = AS_OK;
    const as_calibration *c = r->calibration;
    if (c) as_calibration_json(&b, r, r->model), s = put(store, run, "calibration", "", &b, err);
    for (int i = 0; s == AS_OK && c && i < c->conformal_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %g", as_conformal_name(c->conformal[i].score), c->conformal[i].level);
        as_conformal_json(&b, r, &c->conformal[i], r->model);
        s = put(store, run, "conformal", name, &b, err);
    }
    for (size_t i = 0; s == AS_OK && i < r->perturbed_count; i++) {
        as_perturbed_json(&b, r, &r->perturbed[i], r->model);
        s = put(store, run, "perturbation", as_perturb_name(r->perturbed[i].kind), &b, err);
    }
    as_buf_free(&b);
    return s;
}
