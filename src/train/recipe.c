#include "train/recipe.h"
#include "base/str.h"
#include <math.h>
#include <string.h>

static const char *const names[] = {[AS_SCHEDULE_LINEAR] = "linear", [AS_SCHEDULE_COSINE] = "cosine", [AS_SCHEDULE_CONSTANT] = "constant", [AS_SCHEDULE_WSD] = "wsd"};

as_recipe as_recipe_defaults(void) {
    return (as_recipe){.epochs = 3, .batch_size = 16, .accumulate = 1, .lr = 2e-5, .warmup = 0.06, .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999,
                       .eps = 1e-8, .clip = 1.0, .dropout = -1.0, .layer_decay = 1.0, .checkpoint_minutes = 5, .seed = 1};
}

as_status as_schedule_parse(as_schedule *out, const char *name, as_err *err) {
    for (size_t i = 0; i < AS_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) return *out = (as_schedule)i, AS_OK;
    (void)as_fail(err, AS_USAGE, "unknown schedule \"%s\"", name);
    as_hint(err, "The schedules are linear, cosine, constant, wsd.");
    return AS_USAGE;
}
const char *as_schedule_name(as_schedule s) { return names[s]; }

/* As transformers' get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup: step t (from 0) has factor
 * t / warm-up while warming up; the decay reaches 0 after the last step. */
double as_recipe_lr(const as_recipe *r, int64_t t, int64_t total) {
    if (r->rates) {
        AS_ASSERT((size_t)t < r->rates->n);
        return r->rates->v[t];
    }
    const double warm = r->warmup > 1.0 ? floor(r->warmup) : ceil(r->warmup * (double)total), at = (double)t, all = (double)total;
    if (at < warm) return r->lr * at / fmax(1.0, warm);
    const double left = fmax(0.0, all - at), span = fmax(1.0, all - warm);
    switch (r->schedule) {
    case AS_SCHEDULE_COSINE: return r->lr * 0.5 * (1.0 + cos(3.14159265358979323846 * fmin(1.0, (at - warm) / span)));
    case AS_SCHEDULE_CONSTANT: return r->lr;
    case AS_SCHEDULE_WSD: {
        const double tail = fmax(1.0, ceil(0.2 * all));
        return left >= tail ? r->lr : r->lr * left / tail;
    }
    default: return r->lr * left / span;
    }
}
