/* fuzz_metric_name.c: names and lists of metrics; what opens must reopen under its own signature.
 */
#include "base/mem.h"
#include "metric/metric.h"

#include <stdlib.h>
#include <string.h>

static const char *const labels[] = {"a", "b,\"c)", " "};
static const int32_t ids[3] = {0, 1, 2};
static const double probs[9] = {.5, .25, .25, .1, .8, .1, .2, .2, .6};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = as_strndup((const char *)data, size), **names;
    const as_predictions p = {.kind = AS_PRED_CLASS,
                              .n = 3,
                              .num_labels = 3,
                              .label_names = labels,
                              .gold = ids,
                              .pred = ids,
                              .probs = probs,
                              .positive = -1};
    size_t count;
    if (!text || as_metric_list_split(text, &names, &count, NULL) != AS_OK) return as_free(text), 0;
    for (size_t i = 0; i < count; i++) {
        as_metric *m, *again;
        if (as_metric_open(&m, names[i], &p, NULL) != AS_OK) continue;
        if (as_metric_open(&again, as_metric_signature(m), &p, NULL) != AS_OK ||
            strcmp(as_metric_signature(again), as_metric_signature(m)) != 0)
            abort();
        as_metric_free(again);
        as_metric_free(m);
    }
    as_metric_list_free(names, count);
    as_free(text);
    return 0;
}
