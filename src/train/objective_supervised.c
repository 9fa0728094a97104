#include "train/objective_supervised.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/pack.h"
#include <string.h>

static void order(const void *self, int64_t *out, uint64_t seed, int64_t epoch) {
    const as_supervised *s = self;
    memcpy(out, s->index, (size_t)s->n * sizeof *out);
    as_rng g = as_rng_at(seed, AS_STREAM_SHUFFLE, (uint32_t)epoch);
    as_rng_shuffle(&g, out, s->n);
}

static int64_t length(const void *self, int64_t item) {
    const as_encoded *e = ((const as_supervised *)self)->data;
    return e->offset[item + 1] - e->offset[item];
}

static as_status token_ids(const void *self, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err) {
    (void)at;
    const as_encoded *e = ((const as_supervised *)self)->data;
    for (int64_t i = 0; i < n; i++) {
        const int64_t len = length(self, items[i]);
        if (!as_grow(ids, cap, (size_t)(*count + len), sizeof **ids)) return as_fail_nomem(err, "a step", 0);
        memcpy(*ids + *count, e->ids + e->offset[items[i]], (size_t)len * sizeof **ids);
        *count += len;
    }
    return AS_OK;
}

/* Items, their class weights, or items times labels: torch's means. */
static void denominators(const void *self, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    (void)at;
    const as_supervised *s = self;
    const as_targets *t = &s->targets;
    out[0] = t->sets ? (double)(n * as_model_num_labels(s->model)) : 0.0, out[1] = 1.0;
    for (int64_t i = 0; !t->sets && i < n; i++) out[0] += t->label && t->class_weight ? (double)t->class_weight[t->label[items[i]]] : 1.0;
}

/* Loss of the items into c->loss; false when memory ran out. */
static bool item_losses(const as_supervised *s, as_ctx *c, as_tensor *logits, const int64_t *items, int64_t n, float scale) {
    const as_targets *t = &s->targets;
    const int64_t labels = as_model_num_labels(s->model);
    if (t->label) {
        int32_t *y = as_ctx_push(c, (size_t)n, sizeof *y);
        for (int64_t i = 0; y && i < n; i++) y[i] = t->label[items[i]];
        return y && as_class_loss(c, logits, y, t->class_weight, (float)s->label_smoothing, scale, NULL);
    }
    if (t->sets) {
        uint8_t *y = as_ctx_push(c, (size_t)(n * labels), sizeof *y);
        for (int64_t i = 0; y && i < n; i++) memcpy(y + i * labels, t->sets + items[i] * labels, (size_t)labels);
        return y && as_binary_loss(c, logits, y, scale, NULL);
    }
    float *y = as_ctx_push(c, (size_t)n, sizeof *y);
    for (int64_t i = 0; y && i < n; i++) y[i] = t->value[items[i]];
    return y && as_square_loss(c, logits, y, scale, NULL);
}

as_tensor *as_supervised_forward(const as_supervised *s, as_ctx *c, const int64_t *items, int64_t n, float scale) {
    const as_seqs *q = as_seqs_pack(&c->arena, s->data, items, n);
    as_tensor *logits = q ? as_model_classify(s->model, c, q) : NULL;
    return logits && item_losses(s, c, logits, items, n, scale) ? logits : NULL;
}
static bool forward(const void *self, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    (void)at;
    if (each) memset(each, 0, (size_t)n * sizeof *each);
    return as_supervised_forward(self, c, items, n, scale[0]) != NULL;
}

as_objective as_supervised_objective(const as_supervised *s) {
    return (as_objective){.name = "supervised", .self = (void *)(uintptr_t)s, .n = s->n, .order = order, .length = length, .ids = token_ids,
                          .denominators = denominators, .forward = forward};
}
