/* eval_perturb.c: the same items with perturbed texts, each kind an evaluation of its own, and what it costs. */
#include "base/hash.h"
#include "base/mem.h"
#include "run/compare.h"
#include "stats/paired.h"
#include "run/eval_impl.h"
#include "run/perturb.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- one kind against the texts as they are --- */
static int64_t count_flips(const as_predictions *a, const as_predictions *b) {
    int64_t flips = 0;
    const size_t k = (size_t)a->num_labels;
    if (a->kind == AS_PRED_VALUE) return -1;
    for (int64_t i = 0; i < a->n; i++)
        flips += a->kind == AS_PRED_CLASS ? a->pred[i] != b->pred[i] : memcmp(a->pred_sets + (size_t)i * k, b->pred_sets + (size_t)i * k, k) != 0;
    return flips;
}

static void take(as_perturbed *out, const as_contest_result *r) {
    const as_comparison *c = &r->comparisons[0];
    for (int i = 0; i < 2; i++) {
        const as_standing *s = &r->standings[i];
        if (s->system == 0) out->clean = s->value;
        else out->score = s->value, out->low = s->low, out->high = s->high, out->why = s->why;
    }
    /* The contest takes the worse from the better; a drop is clean - perturbed where more is better, else the other way round. */
    const bool turned = (c->a == 0) != c->higher_is_better;
    out->drop = (turned ? -c->diff : c->diff) + 0.0; /* + 0.0: no drop is no negative one */
    out->drop_low = (turned ? -c->high : c->low) + 0.0, out->drop_high = (turned ? -c->low : c->high) + 0.0;
    out->p = c->p, out->interval_method = c->interval_method, out->test_method = c->test_method;
    if (!out->why) out->why = c->why;
    out->percent = c->percent;
}

as_status as_perturbed_compare(as_perturbed *out, const as_predictions *clean, const as_predictions *perturbed, const int32_t *cluster, const char *metric,
                               double level, uint64_t seed, int threads, as_err *err) {
    const as_system systems[2] = {{.name = "clean", .seed = clean, .seeds = 1}, {.name = "perturbed", .seed = perturbed, .seeds = 1}};
    const as_contest c = {.systems = systems, .count = 2, .cluster = cluster, .metrics = metric, .level = level, .seed = seed, .threads = threads};
    as_contest_result r;
    AS_TRY(as_contest_decide(&c, &r, err));
    take(out, &r);
    as_contest_result_free(&r);
    out->n = clean->n, out->flips = count_flips(clean, perturbed);
    out->flip_rate = out->flip_low = out->flip_high = NAN;
    if (out->flips < 0) return AS_OK;
    const as_interval w = as_interval_wilson(out->flips, out->n, level);
    out->flip_rate = (double)out->flips / (double)out->n, out->flip_low = w.low, out->flip_high = w.high;
    return AS_OK;
}

/* --- perturbed records --- */
typedef struct perturbed_texts { as_records view; as_record *rows; as_buf all; size_t *end; } perturbed_texts;

static as_status make_texts(perturbed_texts *t, const as_records *r, as_perturbed *row, uint64_t seed, as_err *err) {
    const int64_t n = r->n;
    *t = (perturbed_texts){.view = *r, .rows = as_alloc((size_t)n, sizeof *t->rows), .end = as_alloc(2 * (size_t)n, sizeof *t->end)};
    if (!t->rows || !t->end) return as_fail_nomem(err, "texts", (size_t)n * sizeof *t->rows);
    memcpy(t->rows, r->v, (size_t)n * sizeof *t->rows);
    for (int64_t i = 0; i < n; i++)
        for (int field = 0; field < 2; field++) { /* an item is known by its id: what happens to it does not depend on its neighbours */
            const as_str text = field ? r->v[i].pair : r->v[i].text;
            as_perturb_text(&t->all, text, row->kind, row->strength, seed, as_hash64(r->v[i].id.p, r->v[i].id.n, (uint64_t)field));
            t->end[2 * i + field] = t->all.n;
        }
    if (t->all.failed) return as_fail_nomem(err, "texts", t->all.n);
    const char *base = as_buf_view(&t->all).p;
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        t->rows[i].text = (as_str){base + at, t->end[2 * i] - at}, at = t->end[2 * i];
        if (r->v[i].pair.p) t->rows[i].pair = (as_str){base + at, t->end[2 * i + 1] - at};
        at = t->end[2 * i + 1];
        row->changed += !as_str_eq(t->rows[i].text, r->v[i].text) || (r->v[i].pair.p && !as_str_eq(t->rows[i].pair, r->v[i].pair));
    }
    t->view.v = t->rows;
    return AS_OK;
}
static void free_texts(perturbed_texts *t) {
    as_free(t->rows), as_free(t->end);
    as_buf_free(&t->all);
}

/* --- all kinds --- */
static as_status score_kind(as_evaluation *v, as_perturbed *row, const as_predictions *clean, const int32_t *cluster, as_err *err) {
    perturbed_texts t;
    as_eval_result r = {0};
    as_job j = *v->j;
    as_buf variant = {0}, task = {0};
    as_buf_fmt(&variant, ",\"perturb\":{\"kind\":\"%s\",\"strength\":%.17g,\"seed\":%" PRIu64 "}", as_perturb_name(row->kind), row->strength, j.seed);
    as_buf_fmt(&task, "%s, %s", v->out->task, as_perturb_name(row->kind));
    j.task_name = task.p, j.doing = as_perturb_name(row->kind), j.until = 0;
    j.log = NULL; /* that texts are long was said of them as they are */
    as_evaluation part = {.j = &j, .data = v->data, .variant = variant.p, .out = &r};
    as_status s = make_texts(&t, &v->records, row, j.seed, err);
    if (s == AS_OK && (variant.failed || task.failed)) s = as_fail_nomem(err, "a run's record", 0);
    part.records = t.view;
    if (s == AS_OK) s = as_evaluation_part(&part, v, err);
    as_predictions p;
    if (s == AS_OK) s = as_scored_predictions(&part.scored, v->j, &p, err);
    if (s == AS_OK) s = as_perturbed_compare(row, clean, &p, cluster, v->out->metrics[0].name, v->j->level, v->j->seed, as_engine_threads(v->ses.engine), err);
    row->run = part.run.id;
    if (s == AS_OK) row->tokens = (double)part.encoded.tokens / (double)v->encoded.tokens;
    as_evaluation_part_close(&part);
    free_texts(&t);
    as_eval_result_free(&r);
    as_buf_free(&variant), as_buf_free(&task);
    return s;
}

static as_status adjust(as_perturbed *rows, size_t n, as_err *err) {
    double p[AS_PERTURB_COUNT];
    for (size_t i = 0; i < n; i++) p[i] = rows[i].p;
    AS_TRY(as_adjust_holm(p, p, (int64_t)n, err));
    for (size_t i = 0; i < n; i++) rows[i].p_adjusted = p[i];
    return AS_OK;
}

as_status as_evaluate_perturbed(as_evaluation *v, as_err *err) {
    uint32_t kinds;
    as_predictions clean;
    int32_t *cluster;
    AS_TRY(as_perturb_parse(&kinds, v->j->perturb, err));
    AS_TRY(as_scored_predictions(&v->scored, v->j, &clean, err));
    if (!(v->out->perturbed = as_calloc(AS_PERTURB_COUNT, sizeof *v->out->perturbed))) return as_fail_nomem(err, "perturbations", 0);
    AS_TRY(as_records_clusters(&cluster, &v->records, err));
    as_status s = AS_OK;
    for (int k = 0; s == AS_OK && k < AS_PERTURB_COUNT; k++) {
        if (!(kinds >> k & 1)) continue;
        as_perturbed *row = &v->out->perturbed[v->out->perturbed_count++];
        *row = (as_perturbed){.kind = (as_perturb_kind)k, .strength = v->j->strength > 0 ? v->j->strength : as_perturb_strength((as_perturb_kind)k)};
        s = score_kind(v, row, &clean, cluster, err);
    }
    as_free(cluster);
    return s == AS_OK ? adjust(v->out->perturbed, v->out->perturbed_count, err) : s;
}
