/* fixture.h: reports made by hand, of any kind and size, from a seed. */
#ifndef AS_TESTS_REPORT_FIXTURE_H
#define AS_TESTS_REPORT_FIXTURE_H

#include "base/mem.h"
#include "report/report.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIX_RUNS = 12 };
typedef struct fixture {
    as_report r;
    as_report_run run[FIX_RUNS];
    as_stored stored[FIX_RUNS];
    as_eval_result result[FIX_RUNS];
    as_report_step *steps[FIX_RUNS];
    as_slice_row slices[FIX_RUNS][24];
    as_system system[FIX_RUNS];
    as_contest_result contest;
    as_standing standing[3 * FIX_RUNS];
    as_comparison comparison[3 * FIX_RUNS * FIX_RUNS];
    int tied[FIX_RUNS];
} fixture;

#define NONE ((double)NAN)
static uint64_t fix_state;
static double fix_uniform(void) { /* splitmix64 */
    uint64_t z = (fix_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u, z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static const char *const fix_texts[] = {
    "It's a charming and often affecting journey .", "unflinchingly bleak and desperate", "allows us to hope that nolan is poised to embark on a major career",
    "\xe8\xbf\x99\xe5\xae\xb6\xe9\x85\x92\xe5\xba\x97\xe7\x9a\x84\xe6\x9c\x8d\xe5\x8a\xa1\xe5\xbe\x88\xe5\xa5\xbd\xef\xbc\x8c\xe4\xbd\x86\xe6\x88\xbf\xe9\x97\xb4\xe5\xa4\xaa\xe5\xb0\x8f\xe3\x80\x82",
    "the acting , costumes , music , cinematography and sound are all astounding given the production 's austere locales . a long sentence follows , which shows how a row wraps when its text does not fit in one line of the table .",
    "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d (right to left)", "\xf0\x9f\x98\x80 fun \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "it 's slow -- very , very slow ."};

static as_result_metric fix_metric(const char *name, double value, double half, int64_t n, bool higher) {
    return (as_result_metric){.name = as_strdup(name), .value = value, .low = value - half, .high = value + half, .level = 0.95, .higher_is_better = higher,
                              .method = as_strdup(half > 0 ? "wilson" : "none"), .why = isnan(value) ? as_strdup("only one class occurs") : NULL, .n = n};
}

static void fix_result(fixture *f, int i, const char *model, const char *task, as_pred_kind kind, double accuracy) {
    as_eval_result *e = &f->result[i];
    const as_stored *s = &f->stored[i];
    e->run = i + 1, e->model = as_strdup(model), e->task = as_strdup(task), e->n = s->n, e->seconds = 1.5 + i, e->peak_bytes = (uint64_t)(200 + 90 * i) << 20;
    e->dtype = as_strdup("f32"), e->isa = as_strdup("avx2"), e->threads = 2;
    e->metrics = as_calloc(4, sizeof *e->metrics), e->metric_count = 4;
    const double half = s->n > 0 ? 1.96 * sqrt(accuracy * (1 - accuracy) / (double)s->n) : NONE;
    const char *const value[] = {"pearson", "spearman", "mse", "mae"}, *const label[] = {"accuracy", "f1(macro)", "mcc", "log_loss"};
    const char *const *names = kind == AS_PRED_VALUE ? value : label;
    e->metrics[0] = fix_metric(names[0], s->n > 0 ? accuracy : NONE, half, s->n, true);
    e->metrics[1] = fix_metric(names[1], accuracy - 0.004, half, s->n, true);
    e->metrics[2] = fix_metric(names[2], i == 1 ? NONE : 2 * accuracy - 1, 2 * half, s->n, kind != AS_PRED_VALUE);
    e->metrics[3] = fix_metric(names[3], 12.5 - accuracy, 0.25, s->n, false);
    e->num_labels = s->labels.count;
    e->labels = as_calloc((size_t)e->num_labels + 1, sizeof *e->labels);
    for (int k = 0; k < e->num_labels; k++) e->labels[k] = as_strdup(s->labels.names[k]);
    if (kind != AS_PRED_CLASS || e->num_labels == 0) return;
    e->confusion = as_calloc((size_t)e->num_labels * (size_t)e->num_labels, sizeof *e->confusion);
    for (int64_t k = 0; k < s->n; k++) e->confusion[s->p.gold[k] * e->num_labels + s->p.pred[k]]++;
}

static void fix_label_items(as_stored *s, int labels, double accuracy, bool multi) {
    int32_t *gold = as_calloc((size_t)s->n + 1, sizeof *gold), *pred = as_calloc((size_t)s->n + 1, sizeof *pred);
    double *probs = as_calloc((size_t)s->n * (size_t)labels + 1, sizeof *probs);
    uint8_t *gold_sets = as_calloc((size_t)s->n * (size_t)labels + 1, 1), *pred_sets = as_calloc((size_t)s->n * (size_t)labels + 1, 1);
    const uint64_t seed = fix_state;
    for (int64_t i = 0; i < s->n; i++) {
        fix_state = 1000u + (uint64_t)i; /* gold does not depend on the run */
        gold[i] = (int32_t)(fix_uniform() * labels);
        fix_state = seed * 31 + (uint64_t)i * 7919;
        const double sure = 1.0 / labels + (1 - 1.0 / labels) * sqrt(fix_uniform());
        const bool right = fix_uniform() < accuracy * (0.75 + 0.3 * sure);
        pred[i] = right ? gold[i] : (int32_t)((gold[i] + 1 + (int32_t)(fix_uniform() * fix_uniform() * (labels - 1))) % labels);
        for (int k = 0; k < labels; k++) probs[i * labels + k] = k == pred[i] ? sure : labels > 1 ? (1 - sure) / (labels - 1) : 0;
        gold_sets[i * labels + gold[i]] = 1, pred_sets[i * labels + pred[i]] = 1;
        s->gold[i] = as_strdup(s->labels.names[gold[i]]), s->pred[i] = as_strdup(s->labels.names[pred[i]]);
    }
    s->p.num_labels = labels, s->p.label_names = (const char *const *)s->labels.names, s->p.positive = -1;
    s->p.probs = probs;
    if (multi) {
        s->p.gold_sets = gold_sets, s->p.pred_sets = pred_sets;
        as_free(gold), as_free(pred);
    } else {
        s->p.gold = gold, s->p.pred = pred;
        as_free(gold_sets), as_free(pred_sets);
    }
}

static void fix_value_items(as_stored *s) {
    double *gold = as_calloc((size_t)s->n + 1, sizeof *gold), *pred = as_calloc((size_t)s->n + 1, sizeof *pred);
    for (int64_t i = 0; i < s->n; i++) {
        char text[32];
        gold[i] = 5 * fix_uniform(), pred[i] = gold[i] + fix_uniform() - 0.5;
        snprintf(text, sizeof text, "%.3f", gold[i]), s->gold[i] = as_strdup(text);
        snprintf(text, sizeof text, "%.3f", pred[i]), s->pred[i] = as_strdup(text);
    }
    s->p.gold_value = gold, s->p.pred_value = pred;
}

static void fix_stored(as_stored *s, int64_t run, const char *model, const char *task, as_pred_kind kind, int64_t n, int labels, double accuracy) {
    s->run = run, s->command = as_strdup("eval"), s->model = as_strdup(model), s->task = as_strdup(task), s->dtype = as_strdup("f32"), s->isa = as_strdup("avx2");
    s->config_json = as_strdup("{\"weights\":\"9f2c51d1c0b4a7e6d8f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6\",\"tokenizer\":\"77aa00\",\"seed\":7,\"recipe\":{\"lr\":3e-5,\"epochs\":3,\"warmup\":null},\"metrics\":[\"accuracy\",\"f1(macro)\"]}");
    s->result_json = as_strdup("{}"), s->started = 1772366400 + (double)run * 60, s->ended = s->started + 12.25, s->n = n, s->p.n = n, s->p.kind = kind;
    s->id = as_calloc((size_t)n + 1, sizeof *s->id), s->text = as_calloc((size_t)n + 1, sizeof *s->text), s->pair = as_calloc((size_t)n + 1, sizeof *s->pair);
    s->gold = as_calloc((size_t)n + 1, sizeof *s->gold), s->pred = as_calloc((size_t)n + 1, sizeof *s->pred);
    s->hash = as_calloc((size_t)n + 1, sizeof *s->hash), s->tokens = as_calloc((size_t)n + 1, sizeof *s->tokens);
    for (int64_t i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof id, "%lld", (long long)i);
        s->id[i] = as_strdup(id), s->text[i] = as_strdup(fix_texts[i % 8]), s->hash[i] = (uint64_t)i * 77;
        if (i % 5 == 4) s->pair[i] = as_strdup("a second text of the pair");
    }
    static const char *const names[] = {"negative", "positive", "neutral", "\xe4\xb8\xad\xe7\xab\x8b", "entity", "number"};
    s->labels.count = kind == AS_PRED_VALUE ? 0 : labels, s->labels.names = as_calloc((size_t)labels + 1, sizeof *s->labels.names);
    for (int k = 0; k < s->labels.count; k++) {
        char name[32];
        if (k < 6) snprintf(name, sizeof name, "%s", names[k]);
        else snprintf(name, sizeof name, "label %d", k);
        s->labels.names[k] = as_strdup(name);
    }
    if (kind == AS_PRED_VALUE) fix_value_items(s);
    else fix_label_items(s, labels, accuracy, kind == AS_PRED_MULTILABEL);
}

static void fix_slices(fixture *f, int i) {
    static const char *const column[] = {"label", "length", "source"}, *const value[] = {"negative", "positive", "0-12", "13-20", "21-34", "35-60", "blog", "news", "<b>forum</b>", ""};
    for (int k = 0; k < 10; k++) {
        const double score = 0.93 - 0.011 * k - 0.01 * i, half = 0.02 + 0.004 * k;
        f->slices[i][k] = (as_slice_row){column[k < 2 ? 0 : k < 6 ? 1 : 2], value[k], 400 - 35 * k, score, score - half, score + half, NULL, 0.9, score - 0.9, 0.001 * (10 - k), 0.01 * (10 - k), "fisher exact", k >= 8};
    }
    f->slices[i][10] = (as_slice_row){"source", "one item", 1, NONE, NONE, NONE, "too few items", NONE, NONE, NONE, NONE, "fisher exact", false};
    f->run[i].slices = f->slices[i], f->run[i].slice_count = 11;
}

static void fix_steps(fixture *f, int i, size_t count) {
    f->steps[i] = as_calloc(count + 1, sizeof **f->steps);
    for (size_t k = 0; k < count; k++) {
        const double t = (double)k / (double)count;
        f->steps[i][k] = (as_report_step){(int64_t)(k * 20), 0.7 * exp(-3 * t) + 0.05 + 0.04 * fix_uniform(), k % 10 == 9 ? 0.4 * exp(-2 * t) + 0.2 : NONE,
                                          k % 10 == 9 ? 0.92 - 0.3 * exp(-4 * t) - 0.01 * i : NONE, k < count / 10 ? 3e-5 * (double)k / ((double)count / 10) : 3e-5 * (1 - t)};
    }
    f->run[i].steps = f->steps[i], f->run[i].step_count = count;
}

/* `runs` runs of one task. */
static fixture *fix_open(int runs, as_pred_kind kind, int64_t n, int labels) {
    static const char *const models[] = {"all-MiniLM-L6-v2", "bert-base-uncased", "bert-mini from scratch", "bag of words", "majority", "chinese-roberta-wwm-ext"};
    fixture *f = as_calloc(1, sizeof *f);
    fix_state = 7;
    for (int i = 0; i < runs; i++) {
        const double accuracy = 0.93 - 0.035 * i;
        fix_state = 7 + (uint64_t)i;
        fix_stored(&f->stored[i], i + 1, models[i % 6], "sst2", kind, n, labels, accuracy);
        fix_result(f, i, models[i % 6], "sst2", kind, accuracy);
        f->run[i].stored = &f->stored[i], f->run[i].result = &f->result[i];
    }
    f->r = (as_report){.title = "sst2", .runs = f->run, .run_count = runs, .command = "assay compare 1 2 --metrics 'accuracy,f1(macro)' --html report.html", .version = "0.1.0", .level = 0.95};
    return f;
}

/* The runs as systems of a contest on two metrics; the last system is undefined on the second. */
static void fix_contest(fixture *f) {
    const int k = f->r.run_count;
    static char *metrics[] = {(char *)"accuracy", (char *)"f1(macro)"};
    as_contest_result *c = &f->contest;
    for (int i = 0; i < k; i++)
        f->system[i] = (as_system){.name = f->result[i].model, .seeds = 3, .parameters = (int64_t)(110e6 / pow(3, i)), .train_seconds = i == 3 ? 4.2 : 600.0 / (i + 1),
                                   .items_per_second = i == 1 ? 150 : 90 * pow(4, i), .peak_bytes = (uint64_t)(900 / (i + 1)) << 20};
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < k; i++) {
            const as_result_metric *v = &f->result[i].metrics[m];
            const bool gone = m == 1 && i == k - 1;
            c->standings = f->standing;
            f->standing[c->standing_count++] = (as_standing){.system = i, .metric = metrics[m], .higher_is_better = true, .value = gone ? NONE : v->value, .low = gone ? NONE : v->low,
                .high = gone ? NONE : v->high, .method = "wilson", .why = gone ? "only one class is predicted" : NULL, .sd_seeds = i == 0 ? 0.0031 : NONE, .letters = i < 2 ? 1u : i == 2 ? 3u : 4u, .rank_low = i + 1, .rank_high = i < 2 ? 2 : i + 1};
        }
    for (int m = 0; m < 2; m++)
        for (int a = 0; a < k; a++)
            for (int b = a + 1; b < k; b++) {
                const bool gone = m == 1 && b == k - 1;
                const double d = f->result[a].metrics[m].value - f->result[b].metrics[m].value;
                c->comparisons = f->comparison;
                f->comparison[c->comparison_count++] = (as_comparison){.a = a, .b = b, .metric = metrics[m], .higher_is_better = true, .value_a = f->result[a].metrics[m].value,
                    .value_b = f->result[b].metrics[m].value, .diff = gone ? NONE : d, .low = gone ? NONE : d - 0.021, .high = gone ? NONE : d + 0.02, .level = 0.95, .interval_method = gone ? NULL : "newcombe",
                    .p = gone ? NONE : d > 0.05 ? 3e-7 : 0.0214, .p_adjusted = gone ? NONE : d > 0.05 ? 2e-6 : 0.0642, .test_method = gone ? NULL : "mcnemar exact", .why = gone ? "the second is undefined" : NULL,
                    .mde = 0.0312, .items_needed = gone ? NONE : 1920.4, .p_equivalent = NONE, .p_noninferior = m == 0 ? 0.0004 : NONE, .both = m == 0 ? 700 : -1, .only_a = m == 0 ? 100 : -1, .only_b = m == 0 ? 40 : -1,
                    .neither = m == 0 ? 32 : -1, .effect = 0.11, .design_effect = 1, .n = f->r.runs[0].result->n};
            }
    c->metrics = metrics, c->metric_count = 2, c->best = 0, c->tied = f->tied, f->tied[0] = 1, c->tied_count = 1;
    c->verdict = (char *)"all-MiniLM-L6-v2 wins: accuracy 0.9300 against 0.8950 of bert-base-uncased, +0.0350 [0.0140, 0.0550], p = 0.0642 after correction.\n"
                         "The two cannot be told apart at 95 %; a tie costs 110 M parameters against 37 M.\nAbout 1,921 items would settle it; this set has 872.";
    f->r.contest = c, f->r.systems = f->system, f->r.system_count = k;
}

static void fix_stored_close(as_stored *s) {
    as_free(s->command), as_free(s->model), as_free(s->task), as_free(s->dtype), as_free(s->isa), as_free(s->config_json), as_free(s->result_json);
    for (int64_t i = 0; i < s->n; i++) as_free(s->id[i]), as_free(s->text[i]), as_free(s->pair[i]), as_free(s->gold[i]), as_free(s->pred[i]);
    as_free(s->id), as_free(s->text), as_free(s->pair), as_free(s->gold), as_free(s->pred), as_free(s->hash), as_free(s->tokens);
    for (int k = 0; k < s->labels.count; k++) as_free(s->labels.names[k]);
    as_free(s->labels.names), as_free((void *)s->p.gold), as_free((void *)s->p.pred), as_free((void *)s->p.probs);
    as_free((void *)s->p.gold_sets), as_free((void *)s->p.pred_sets), as_free((void *)s->p.gold_value), as_free((void *)s->p.pred_value);
}

static void fix_close(fixture *f) {
    for (int i = 0; i < FIX_RUNS; i++) {
        if (f->run[i].stored) fix_stored_close(&f->stored[i]);
        as_eval_result *e = &f->result[i];
        as_free(e->model), as_free(e->task), as_free(e->dtype), as_free(e->isa), as_free(e->confusion);
        for (size_t k = 0; k < e->metric_count; k++) as_free(e->metrics[k].name), as_free(e->metrics[k].method), as_free(e->metrics[k].why);
        for (int k = 0; e->labels && k < e->num_labels; k++) as_free(e->labels[k]);
        as_free(e->metrics), as_free(e->labels), as_free(f->steps[i]);
    }
    as_free(f);
}
static void fix_text(char **place, const char *text) { as_free(*place), *place = as_strdup(text); }
#endif
