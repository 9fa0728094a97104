/* metric_check.c: names of metrics are checked before the work that they are to judge. Arguments that depend on the data
 * (classes) are checked later, with the data. */
#include "cli/job_options.h"
#include <string.h>

/* Whether any kind knows the name without its arguments, tried on two items. */
static as_status check_base(const char *name, as_pred_kind wanted, as_err *err) {
    static const int32_t ids[2] = {0, 1};
    static const double probs[4] = {0.75, 0.25, 0.25, 0.75}, values[2] = {0, 1};
    static const uint8_t sets[4] = {1, 0, 0, 1};
    as_err first = {.status = AS_OK};
    as_status s = AS_USAGE;
    for (int i = 0; i < 3 && s == AS_USAGE; i++) {
        const as_predictions p = {.kind = (as_pred_kind)((wanted + i) % 3), .n = 2, .num_labels = 2, .gold = ids, .pred = ids, .probs = probs,
                                  .gold_sets = sets, .pred_sets = sets, .gold_value = values, .pred_value = values, .positive = 1};
        as_metric *m = NULL;
        as_err own = {.status = AS_OK};
        s = as_metric_open(&m, name, &p, &own);
        as_metric_free(m);
        if (i == 0) first = own;
    }
    if (s == AS_USAGE && err) *err = first;
    return s;
}

as_status as_cli_check_metrics(const as_cli *c, const char *list, as_err *err) {
    if (!list) return AS_OK;
    const char *kind = c->p.o.kind;
    const as_pred_kind wanted = !kind || strcmp(kind, "classify") == 0 ? AS_PRED_CLASS : kind[0] == 'm' ? AS_PRED_MULTILABEL : AS_PRED_VALUE;
    char **names;
    size_t n;
    AS_TRY(as_metric_list_split(list, &names, &n, err));
    as_status s = AS_OK;
    for (size_t i = 0; i < n && s == AS_OK; i++) {
        names[i][strcspn(names[i], "(:")] = '\0';
        s = check_base(names[i], wanted, err);
    }
    as_metric_list_free(names, n);
    return s;
}
