#include "run/baseline.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/bag_of_words.h"
#include <math.h>
#include <string.h>

const char *as_baseline_name(as_baseline b) {
    static const char *const names[] = {"majority", "random", "bag of words"};
    return names[b];
}
int64_t as_baseline_parameters(as_baseline b, const as_records *train) { return b == AS_BASELINE_WORDS ? as_bag_parameters(train) : 0; }

static int outputs(const as_records *r) { return r->kind == AS_LABEL_VALUE ? 1 : r->labels.count; }

/* Sigmoid's inverse, kept finite. */
static double logit(double p) {
    const double q = fmin(fmax(p, 1e-6), 1 - 1e-6);
    return log(q / (1 - q));
}

static void majority(double *out, const as_records *train) {
    const int k = outputs(train);
    for (int j = 0; j < k; j++) out[j] = 0.0;
    for (int64_t i = 0; i < train->n; i++) {
        const as_record *r = &train->v[i];
        if (train->kind == AS_LABEL_VALUE) out[0] += r->value;
        if (train->kind == AS_LABEL_CLASS) out[r->label] += 1.0;
        for (int j = 0; train->kind == AS_LABEL_MULTI && j < k; j++) out[j] += r->set && r->set[j];
    }
    for (int j = 0; j < k; j++) {
        const double share = out[j] / (double)train->n;
        out[j] = train->kind == AS_LABEL_VALUE ? share : train->kind == AS_LABEL_MULTI ? logit(share) : log(fmax(share, 1e-12));
    }
}

/* The drawn answer with most of the probability: metrics of probabilities stay finite. */
static void guess(double *out, const as_records *train, int64_t item, uint64_t seed) {
    const int k = outputs(train);
    as_rng rng = as_rng_at(seed, AS_STREAM_SAMPLE, (uint32_t)item);
    const as_record *r = &train->v[as_rng_below(&rng, (uint64_t)train->n)];
    for (int j = 0; j < k; j++) {
        if (train->kind == AS_LABEL_VALUE) out[j] = r->value;
        if (train->kind == AS_LABEL_MULTI) out[j] = r->set && r->set[j] ? 1.0 : -1.0;
        if (train->kind == AS_LABEL_CLASS) out[j] = j == r->label ? 1.0 : 0.0;
    }
}

as_status as_baseline_scores(double *scores, as_baseline b, const as_records *train, const as_records *test, uint64_t seed,
                             as_baseline_cost *cost, as_err *err) {
    const int k = outputs(train);
    const double began = as_clock();
    *cost = (as_baseline_cost){0};
    if (b == AS_BASELINE_WORDS) {
        AS_TRY(as_bag_of_words(scores, train, test, seed, &cost->fit_seconds, err));
        cost->score_seconds = as_clock() - began - cost->fit_seconds;
        return AS_OK;
    }
    for (int64_t i = 0; i < test->n; i++) {
        if (b == AS_BASELINE_RANDOM) guess(scores + i * k, train, i, seed);
        else if (i == 0) majority(scores, train);
        else memcpy(scores + i * k, scores, (size_t)k * sizeof *scores);
    }
    cost->score_seconds = as_clock() - began;
    return AS_OK;
}
