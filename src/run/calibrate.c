#include "run/calibrate.h"
#include "base/mem.h"
#include "base/rng.h"
#include "run/compare.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- temperature --- */
static double log1pexp(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/* One row: its loss and the first two derivatives of it in beta = 1 / T. */
static void row_terms(double sum[3], const as_outputs *o, int64_t i, double beta) {
    const float *z = o->logits + i * o->num_labels;
    const int k = o->num_labels;
    if (o->kind == AS_PRED_MULTILABEL) {
        for (int j = 0; j < k; j++) {
            const double x = (double)z[j], y = o->gold_sets[i * k + j], p = 1 / (1 + exp(-beta * x));
            sum[0] += log1pexp(beta * x) - y * beta * x;
            sum[1] += (p - y) * x, sum[2] += p * (1 - p) * x * x;
        }
        return;
    }
    double top = (double)z[0], mass = 0, first = 0, second = 0;
    for (int j = 1; j < k; j++) top = fmax(top, (double)z[j]);
    for (int j = 0; j < k; j++) { /* relative to the top one: no overflow, and the variance does not cancel */
        const double x = (double)z[j] - top, w = exp(beta * x);
        mass += w, first += w * x, second += w * x * x;
    }
    first /= mass, second /= mass;
    const double gold = (double)z[o->gold[i]] - top;
    sum[0] += log(mass) - beta * gold;
    sum[1] += first - gold, sum[2] += second - first * first;
}
typedef struct slope { double loss, first, second; } slope;
static slope slope_at(const as_outputs *o, double beta) {
    double sum[3] = {0, 0, 0};
    for (int64_t i = 0; i < o->n; i++) row_terms(sum, o, i, beta);
    const double n = (double)o->n * (o->kind == AS_PRED_MULTILABEL ? o->num_labels : 1);
    return (slope){sum[0] / n, sum[1] / n, sum[2] / n};
}

static as_status check_outputs(const as_outputs *o, as_err *err) {
    if (o->kind == AS_PRED_VALUE) {
        (void)as_fail(err, AS_USAGE, "numbers have no probabilities that could be calibrated");
        as_hint(err, "Calibration is for class labels and for sets of labels.");
        return AS_USAGE;
    }
    if (o->n < 1) return as_fail(err, AS_USAGE, "calibration needs items");
    for (int64_t i = 0; i < o->n * o->num_labels; i++)
        if (!isfinite(o->logits[i])) return as_fail(err, AS_NUMERIC, "item %lld: a logit is not finite", (long long)(i / o->num_labels + 1));
    return AS_OK;
}

/* Beyond these the loss has no minimum that could be told from its limit. */
#define LEAST_T 1e-3
#define MOST_T 1e3
as_status as_temperature_fit(as_temperature *out, const as_outputs *dev, as_err *err) {
    AS_TRY(check_outputs(dev, err));
    const slope one = slope_at(dev, 1.0);
    *out = (as_temperature){.t = 1.0, .loss_before = one.loss, .loss = one.loss};
    double low = 1 / MOST_T, high = 1 / LEAST_T, beta = 1.0;
    const slope at_low = slope_at(dev, low), at_high = slope_at(dev, high);
    if (at_low.first >= 0 && at_high.first <= 0) out->why = "the logits of the dev data are all alike: no temperature changes anything";
    else if (at_low.first >= 0) out->why = "on the dev data the model is no better than chance: the best temperature is infinite";
    else if (at_high.first <= 0) out->why = "the dev data are too easy: the lower the temperature, the better";
    if (out->why) return AS_OK;
    for (int step = 0; step < 200; step++) {
        const slope s = slope_at(dev, beta);
        if (s.first < 0) low = beta;
        else high = beta;
        double next = s.second > 0 ? beta - s.first / s.second : low;
        if (!(next > low && next < high)) next = sqrt(low * high); /* halves the bracket on the scale of log T */
        const bool near = fabs(next - beta) <= 1e-12 * beta;
        beta = next;
        if (s.first == 0 || near) break;
    }
    out->t = 1 / beta, out->loss = slope_at(dev, beta).loss;
    return AS_OK;
}

void as_temperature_apply(double *probs, const as_outputs *o, double t) {
    const int k = o->num_labels;
    for (int64_t i = 0; i < o->n; i++) {
        const float *z = o->logits + i * k;
        double *p = probs + i * k, top = (double)z[0], sum = 0;
        for (int j = 1; j < k; j++) top = fmax(top, (double)z[j]);
        for (int j = 0; j < k; j++) {
            if (o->kind == AS_PRED_MULTILABEL) p[j] = 1 / (1 + exp(-(double)z[j] / t));
            else sum += p[j] = exp(((double)z[j] - top) / t);
        }
        for (int j = 0; o->kind == AS_PRED_CLASS && j < k; j++) p[j] /= sum;
    }
}

/* --- reliability --- */
typedef struct confident { double confidence; bool right; } confident;
static int by_confidence(const void *a, const void *b) {
    const confident *x = a, *y = b;
    return (x->confidence > y->confidence) - (x->confidence < y->confidence);
}
static confident *confidences(const as_predictions *p) {
    confident *v = as_alloc((size_t)p->n, sizeof *v);
    for (int64_t i = 0; v && i < p->n; i++) {
        const double *row = p->probs + i * p->num_labels;
        int top = 0;
        for (int k = 1; k < p->num_labels; k++)
            if (row[k] > row[top]) top = k;
        v[i] = (confident){row[top], p->gold[i] == top};
    }
    return v;
}

/* As torch.linspace(0, 1, bins + 1), counted from the nearer end; the same edges as the metric's. */
static double width_edge(int i) {
    const double step = 1.0 / AS_WIDTH_BINS;
    return i < (AS_WIDTH_BINS + 1) / 2 ? step * i : 1 - step * (AS_WIDTH_BINS - i);
}
static int width_bin(double confidence) {
    int b = (int)(confidence * AS_WIDTH_BINS);
    if (b > AS_WIDTH_BINS) b = AS_WIDTH_BINS;
    while (b < AS_WIDTH_BINS && confidence >= width_edge(b + 1)) b++;
    while (b > 0 && confidence < width_edge(b)) b--;
    return b;
}

/* confidence and accuracy hold sums until here. */
static void finish_bin(as_reliability_bin *b, double level) {
    const as_interval i = as_interval_wilson(b->n > 0 ? (int64_t)b->accuracy : 0, b->n, level);
    b->accuracy_low = b->n > 0 ? i.low : NAN, b->accuracy_high = b->n > 0 ? i.high : NAN;
    b->confidence = b->n > 0 ? b->confidence / (double)b->n : NAN;
    b->accuracy = b->n > 0 ? b->accuracy / (double)b->n : NAN;
}
static void count(as_reliability_bin *b, const confident *c) { b->n++, b->confidence += c->confidence, b->accuracy += c->right; }

static void mass_bins(as_reliability *out, const confident *v, int64_t n) {
    const int bins = n < AS_MASS_BINS ? (int)n : AS_MASS_BINS;
    out->mass_count = bins;
    for (int64_t b = 0, end = 0; b < bins; b++) { /* edges halfway between two parts; the first ones hold one item more */
        end += n / bins + (b < n % bins);
        out->mass[b].low = b > 0 ? out->mass[b - 1].high : 0.0;
        out->mass[b].high = b == bins - 1 ? 1.0 : (v[end - 1].confidence + v[end].confidence) / 2;
    }
    int b = 0;
    for (int64_t i = 0; i < n; i++) {
        while (b < bins - 1 && v[i].confidence > out->mass[b].high) b++;
        count(&out->mass[b], &v[i]);
    }
}

as_status as_reliability_of(as_reliability *out, const as_predictions *p, double level, as_err *err) {
    *out = (as_reliability){.mass_count = 0};
    confident *v = confidences(p);
    if (!v) return as_fail_nomem(err, "confidences", (size_t)p->n * sizeof *v);
    for (int b = 0; b <= AS_WIDTH_BINS; b++) out->width[b].low = width_edge(b), out->width[b].high = b == AS_WIDTH_BINS ? 1.0 : width_edge(b + 1);
    for (int64_t i = 0; i < p->n; i++) count(&out->width[width_bin(v[i].confidence)], &v[i]);
    qsort(v, (size_t)p->n, sizeof *v, by_confidence);
    mass_bins(out, v, p->n);
    for (int b = 0; b <= AS_WIDTH_BINS; b++) finish_bin(&out->width[b], level);
    for (int b = 0; b < out->mass_count; b++) finish_bin(&out->mass[b], level);
    as_free(v);
    return AS_OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
as_status as_ece_floor(double *mean, double *p95, const as_predictions *p, int draws, uint64_t seed, as_err *err) {
    confident *v = confidences(p);
    int *bin = as_alloc((size_t)p->n, sizeof *bin);
    double *ece = as_calloc((size_t)draws, sizeof *ece), sum = 0;
    const as_status s = v && bin && ece ? AS_OK : as_fail_nomem(err, "confidences", (size_t)p->n * sizeof *v);
    for (int64_t i = 0; s == AS_OK && i < p->n; i++) bin[i] = width_bin(v[i].confidence);
    for (int d = 0; s == AS_OK && d < draws; d++) {
        as_rng r = as_rng_at(seed, AS_STREAM_SAMPLE, (uint32_t)d);
        r.b = 1; /* b 0 orders items (until.c) */
        double gap[AS_WIDTH_BINS + 1] = {0};
        for (int64_t i = 0; i < p->n; i++) gap[bin[i]] += (as_rng_double(&r) < v[i].confidence) - v[i].confidence;
        for (int b = 0; b <= AS_WIDTH_BINS; b++) ece[d] += fabs(gap[b]) / (double)p->n;
        sum += ece[d];
    }
    if (s == AS_OK) {
        qsort(ece, (size_t)draws, sizeof *ece, by_value);
        *mean = sum / draws, *p95 = ece[(int)(0.95 * (draws - 1))];
    }
    as_free(v), as_free(bin), as_free(ece);
    return s;
}

/* --- all of it --- */
/* A set of labels as one decision per label: two classes, no and yes, an item's decisions one cluster. */
typedef struct decided { as_predictions p; double *probs; int32_t *gold, *pred, *cluster; } decided;
static void decided_free(decided *d) { as_free(d->probs), as_free(d->gold), as_free(d->pred), as_free(d->cluster); }

static void as_decisions(decided *d, const as_outputs *o) {
    const int k = o->num_labels;
    const int64_t n = o->n * k;
    for (int64_t i = n - 1; i >= 0; i--) { /* from the end: one array for both */
        const double yes = d->probs[i];
        d->probs[2 * i] = 1 - yes, d->probs[2 * i + 1] = yes;
        d->gold[i] = o->gold_sets[i], d->cluster[i] = o->cluster ? o->cluster[i / k] : (int32_t)(i / k);
    }
    d->p.n = n, d->p.num_labels = 2;
}
static as_status decide(decided *d, const as_outputs *o, double t, as_err *err) {
    const bool sets = o->kind == AS_PRED_MULTILABEL;
    const size_t cells = (size_t)o->n * (size_t)o->num_labels, rows = sets ? cells : (size_t)o->n;
    *d = (decided){.probs = as_alloc(cells * (sets ? 2 : 1), sizeof *d->probs), .gold = as_alloc(rows, sizeof *d->gold),
                   .pred = as_alloc(rows, sizeof *d->pred), .cluster = sets || o->cluster ? as_alloc(rows, sizeof *d->cluster) : NULL};
    if (!d->probs || !d->gold || !d->pred || ((sets || o->cluster) && !d->cluster)) return as_fail_nomem(err, "probabilities", cells * sizeof(double));
    d->p = (as_predictions){.kind = AS_PRED_CLASS, .n = o->n, .num_labels = o->num_labels, .gold = d->gold, .pred = d->pred, .probs = d->probs, .positive = -1};
    as_temperature_apply(d->probs, o, t);
    if (sets) as_decisions(d, o);
    else memcpy(d->gold, o->gold, rows * sizeof *d->gold);
    if (!sets && o->cluster) memcpy(d->cluster, o->cluster, rows * sizeof *d->cluster);
    for (int64_t i = 0; i < d->p.n; i++) {
        int top = 0;
        for (int k = 1; k < d->p.num_labels; k++)
            if (d->probs[i * d->p.num_labels + k] > d->probs[i * d->p.num_labels + top]) top = k;
        d->pred[i] = top;
    }
    return AS_OK;
}

static void take_change(as_calibration_change *out, const as_contest_result *r, int metric) {
    const as_standing *s = r->standings + 2 * metric;
    const as_comparison *c = r->comparisons + metric;
    snprintf(out->metric, sizeof out->metric, "%s", r->metrics[metric]);
    for (int i = 0; i < 2; i++)
        if (s[i].system == 0) out->before = s[i].value, out->before_low = s[i].low, out->before_high = s[i].high;
        else out->after = s[i].value, out->after_low = s[i].low, out->after_high = s[i].high;
    const bool turned = c->a == 0; /* the contest takes the worse from the better */
    /* + 0.0: no difference is no negative one */
    out->diff = (turned ? -c->diff : c->diff) + 0.0, out->low = (turned ? -c->high : c->low) + 0.0, out->high = (turned ? -c->low : c->high) + 0.0;
    out->p = c->p, out->p_adjusted = c->p_adjusted;
    out->interval_method = c->interval_method, out->test_method = c->test_method, out->why = c->why;
}
static as_status compare(as_calibration *out, const decided *before, const decided *after, uint64_t seed, int threads, as_err *err) {
    const as_system systems[2] = {{.name = "before", .seed = &before->p, .seeds = 1}, {.name = "after", .seed = &after->p, .seeds = 1}};
    const as_contest c = {.systems = systems, .count = 2, .cluster = before->cluster, .metrics = "log_loss,brier,ece", .level = out->level, .seed = seed, .threads = threads};
    as_contest_result r;
    AS_TRY(as_contest_decide(&c, &r, err));
    for (int m = 0; m < AS_CALIBRATION_METRICS; m++) take_change(&out->change[m], &r, m);
    as_contest_result_free(&r);
    return AS_OK;
}

static as_status promise(as_calibration *out, const as_outputs *dev_outputs, const decided *test, uint64_t seed, int threads, as_err *err) {
    decided dev;
    as_status s = decide(&dev, dev_outputs, 1.0, err);
    const double levels[2] = {0.9, out->level};
    const as_bootstrap_opts o = {.level = out->level, .seed = seed, .threads = threads};
    for (int l = 0; s == AS_OK && l < (fabs(out->level - 0.9) < 1e-9 ? 1 : 2); l++)
        for (int k = 0; s == AS_OK && k < 2; k++)
            s = as_conformal_of(&out->conformal[out->conformal_count++], k ? AS_CONFORMAL_APS : AS_CONFORMAL_LAC, &dev.p, &test->p, test->cluster, levels[l], &o, err);
    decided_free(&dev);
    return s;
}

static as_status look(as_calibration *out, const as_outputs *dev, const decided *before, const decided *after, uint64_t seed, int threads, as_err *err) {
    AS_TRY(as_reliability_of(&out->before, &before->p, out->level, err));
    AS_TRY(as_reliability_of(&out->after, &after->p, out->level, err));
    AS_TRY(as_ece_floor(&out->floor_mean, &out->floor_p95, &after->p, 1000, seed, err));
    AS_TRY(compare(out, before, after, seed, threads, err));
    AS_TRY(as_selective_of(&out->selective, &before->p, before->cluster, out->level, seed, threads, err));
    return out->decisions ? AS_OK : promise(out, dev, before, seed, threads, err);
}

as_status as_calibrate(as_calibration *out, const as_outputs *dev, const as_outputs *test, double level, uint64_t seed, int threads, as_err *err) {
    *out = (as_calibration){.level = level, .dev_items = dev->n, .items = test->n, .decisions = test->kind == AS_PRED_MULTILABEL};
    AS_TRY(check_outputs(test, err));
    AS_TRY(as_temperature_fit(&out->temperature, dev, err));
    decided before = {.probs = NULL}, after = {.probs = NULL};
    as_status s = decide(&before, test, 1.0, err);
    if (s == AS_OK) s = decide(&after, test, out->temperature.t, err);
    out->n = before.p.n;
    if (s == AS_OK) s = look(out, dev, &before, &after, seed, threads, err);
    decided_free(&before), decided_free(&after);
    return s;
}
void as_calibration_free(as_calibration *c) {
    if (!c) return;
    as_free(c->dev);
    *c = (as_calibration){.dev = NULL};
}
