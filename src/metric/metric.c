/* metric.c: the table of metrics, from a name to an open metric, and what all families share. */
#include "base/mem.h"
#include "metric/family.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define PRF_ARGS      "binary | micro | macro | weighted | class:NAME | per-class"
#define SET_ARGS      "micro | macro | weighted | samples | class:NAME | per-class"
#define RANK_SET_ARGS "micro | macro | weighted | class:NAME | per-class"
#define PRF_REFERENCE "sklearn precision_recall_fscore_support"

/* One row per metric and kind of predictions; within a kind the order is that of help and docs:
 * name, arguments, about, reference, kind, needs probabilities, other names, higher is better, shown in percent, open
 */
// clang-format off
#define METRICS(ROW) \
    ROW("accuracy", "", "share of items with the right label", "sklearn accuracy_score", AS_PRED_CLASS, false, "acc", true, true, as_open_accuracy) \
    ROW("balanced_accuracy", "", "mean recall of the gold labels", "sklearn balanced_accuracy_score", AS_PRED_CLASS, false, NULL, true, true, as_open_balanced_accuracy) \
    ROW("precision", PRF_ARGS, "right among those predicted", PRF_REFERENCE, AS_PRED_CLASS, false, NULL, true, true, as_open_precision) \
    ROW("recall", PRF_ARGS, "found among the gold ones", PRF_REFERENCE, AS_PRED_CLASS, false, NULL, true, true, as_open_recall) \
    ROW("f1", PRF_ARGS, "harmonic mean of precision and recall", PRF_REFERENCE, AS_PRED_CLASS, false, "f1_score", true, true, as_open_f1) \
    ROW("mcc", "", "Matthews correlation (R_K for several classes)", "sklearn matthews_corrcoef", AS_PRED_CLASS, false, "matthews matthews_correlation matthews_corrcoef", true, false, as_open_mcc) \
    ROW("kappa", "linear | quadratic", "Cohen's kappa: agreement beyond chance", "sklearn cohen_kappa_score", AS_PRED_CLASS, false, "cohen_kappa", true, false, as_open_kappa) \
    ROW("roc_auc", "binary | ovr | ovo, macro | weighted | class:NAME | per-class", "chance that a positive scores above a negative", "sklearn roc_auc_score", AS_PRED_CLASS, true, "auc auroc", true, true, as_open_roc_auc) \
    ROW("average_precision", "binary | micro | macro | weighted | class:NAME | per-class", "area under the precision-recall steps", "sklearn average_precision_score", AS_PRED_CLASS, true, "ap", true, true, as_open_average_precision) \
    ROW("log_loss", "", "mean negative log probability of the gold label, in nats", "sklearn log_loss", AS_PRED_CLASS, true, "nll cross_entropy", false, false, as_open_log_loss) \
    ROW("brier", "half | sum", "squared error of the probabilities", "sklearn brier_score_loss", AS_PRED_CLASS, true, "brier_score", false, false, as_open_brier) \
    ROW("ece", "bins:15 | mass:10", "gap between confidence and accuracy of the top label", "torchmetrics multiclass_calibration_error; uncertainty-calibration get_ece_em", AS_PRED_CLASS, true, NULL, false, true, as_open_ece) \
    ROW("precision", SET_ARGS, "right among the labels predicted", PRF_REFERENCE, AS_PRED_MULTILABEL, false, NULL, true, true, as_open_set_precision) \
    ROW("recall", SET_ARGS, "found among the gold labels", PRF_REFERENCE, AS_PRED_MULTILABEL, false, NULL, true, true, as_open_set_recall) \
    ROW("f1", SET_ARGS, "harmonic mean of precision and recall", PRF_REFERENCE, AS_PRED_MULTILABEL, false, "f1_score", true, true, as_open_set_f1) \
    ROW("subset_accuracy", "", "share of items with exactly the right set of labels", "sklearn accuracy_score", AS_PRED_MULTILABEL, false, "exact_match", true, true, as_open_subset_accuracy) \
    ROW("hamming_loss", "", "share of wrong (item, label) decisions", "sklearn hamming_loss", AS_PRED_MULTILABEL, false, NULL, false, true, as_open_hamming_loss) \
    ROW("roc_auc", RANK_SET_ARGS, "chance that a positive scores above a negative", "sklearn roc_auc_score", AS_PRED_MULTILABEL, true, "auc auroc", true, true, as_open_roc_auc) \
    ROW("average_precision", RANK_SET_ARGS, "area under the precision-recall steps", "sklearn average_precision_score", AS_PRED_MULTILABEL, true, "ap", true, true, as_open_average_precision) \
    ROW("pearson", "", "linear correlation", "scipy.stats.pearsonr", AS_PRED_VALUE, false, "pearsonr", true, false, as_open_pearson) \
    ROW("spearman", "", "correlation of ranks, ties share their mean rank", "scipy.stats.spearmanr", AS_PRED_VALUE, false, "spearmanr", true, false, as_open_spearman) \
    ROW("mse", "", "mean squared error", "sklearn mean_squared_error", AS_PRED_VALUE, false, NULL, false, false, as_open_mse) \
    ROW("rmse", "", "root of the mean squared error", "sklearn root_mean_squared_error", AS_PRED_VALUE, false, NULL, false, false, as_open_rmse) \
    ROW("mae", "", "mean absolute error", "sklearn mean_absolute_error", AS_PRED_VALUE, false, NULL, false, false, as_open_mae) \
    ROW("r2", "", "share of the variance that is explained", "sklearn r2_score", AS_PRED_VALUE, false, "r2_score", true, false, as_open_r2)
// clang-format on
#define INFO_OF(name, args, about, reference, kind, probs, aliases, higher, percent, open)                  \
    {name, args, about, reference, kind, probs},
#define ROW_OF(name, args, about, reference, kind, probs, aliases, higher, percent, open)                   \
    {aliases, higher, percent, open},
static const as_metric_info infos[] = {METRICS(INFO_OF)};
static const as_metric_row rows[] = {METRICS(ROW_OF)};

static const char *const kind_names[] = {"class labels", "sets of labels", "numbers"};

size_t as_metric_table(const as_metric_info **out) {
    *out = infos;
    return AS_COUNT(infos);
}

const char *as_metric_defaults(as_pred_kind kind, int num_labels) {
    if (kind == AS_PRED_VALUE) return "pearson,spearman,mse";
    if (kind == AS_PRED_MULTILABEL) return "f1(micro),f1(macro),subset_accuracy";
    return num_labels == 2 ? "accuracy,f1(binary),mcc" : "accuracy,f1(macro),mcc";
}

/* ---- from a name to a row ---- */

static bool is_alias(const char *aliases, const char *name, size_t n) {
    for (const char *at = aliases; at && *at;) {
        const size_t length = strcspn(at, " ");
        if (length == n && strncasecmp(at, name, n) == 0) return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

/* The row of this name, of this kind if there is one, else of another kind; -1. */
static int find_row(const char *name, size_t n, as_pred_kind kind) {
    int other = -1;
    for (size_t i = 0; i < AS_COUNT(rows); i++) {
        const bool same = strlen(infos[i].name) == n && strncasecmp(infos[i].name, name, n) == 0;
        if (!same && !is_alias(rows[i].aliases, name, n)) continue;
        if (infos[i].kind == kind) return (int)i;
        other = (int)i;
    }
    return other;
}

/* "f1_macro", "roc_auc_ovo_weighted": the longest known name before an underscore, the rest as
 * arguments. */
static as_status split_suffix(as_metric_name *name, as_pred_kind kind, int *row, as_err *err) {
    for (size_t n = strlen(name->base); n-- > 1;) {
        if (name->base[n] != '_') continue;
        *row = find_row(name->base, n, kind);
        if (*row < 0) continue;
        as_buf text = {0};
        as_buf_add(&text, name->base, n);
        for (const char *c = name->base + n; *c; c++)
            as_buf_char(&text, *c != '_' ? *c : c == name->base + n ? ':' : ',');
        as_metric_name split = {0};
        const as_status status = text.failed ? as_fail_nomem(err, "a metric's name", n)
                                             : as_metric_name_parse(&split, text.p, err);
        as_buf_free(&text);
        if (status != AS_OK) return status;
        as_metric_name_free(name);
        *name = split;
        return AS_OK;
    }
    return AS_OK;
}

/* Lists the names of a kind into hint-sized text. */
static void list_names(char *out, size_t size, as_pred_kind kind) {
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < AS_COUNT(infos); i++) {
        const size_t length = strlen(infos[i].name);
        if (infos[i].kind != kind || n + length + 3 > size) continue;
        if (n > 0) {
            memcpy(out + n, ", ", 2);
            n += 2;
        }
        memcpy(out + n, infos[i].name, length + 1);
        n += length;
    }
}

static as_status unknown_name(const char *name, as_pred_kind kind, as_err *err) {
    const char *known[AS_COUNT(infos)];
    char list[400];
    size_t count = 0;
    for (size_t i = 0; i < AS_COUNT(infos); i++)
        if (infos[i].kind == kind) known[count++] = infos[i].name;
    list_names(list, sizeof list, kind);
    const int near = as_nearest(name, known, count);
    (void)as_fail(err, AS_USAGE, "unknown metric \"%.100s\"", name);
    if (near >= 0)
        as_hint(err, "Did you mean %s? Metrics of %s are: %s.", known[near], kind_names[kind],
                list);
    else
        as_hint(err, "Metrics of %s are: %s.", kind_names[kind], list);
    return AS_USAGE;
}

static as_status resolve(as_metric *m, as_metric_name *name, as_err *err) {
    const as_pred_kind kind = m->p.kind;
    int row = find_row(name->base, strlen(name->base), kind);
    if (row < 0 && name->count == 0) AS_TRY(split_suffix(name, kind, &row, err));
    if (row < 0) return unknown_name(name->base, kind, err);
    m->info = &infos[row];
    m->row = &rows[row];
    if (m->info->kind != kind) {
        char list[400];
        list_names(list, sizeof list, kind);
        (void)as_fail(err, AS_USAGE, "metric \"%s\" is for %s, but these predictions are %s",
                      m->info->name, kind_names[m->info->kind], kind_names[kind]);
        as_hint(err, "Metrics of %s are: %s.", kind_names[kind], list);
        return AS_USAGE;
    }
    if (m->info->needs_probs && !m->p.probs) {
        (void)as_fail(
            err, AS_USAGE,
            "metric \"%s\" needs the probability of each label, and these predictions have none",
            m->info->name);
        as_hint(err,
                "Give the probabilities of the predictions, or choose a metric of labels only.");
        return AS_USAGE;
    }
    return AS_OK;
}

/* ---- the public object ---- */

as_status as_metric_open(as_metric **out, const char *name, const as_predictions *p, as_err *err) {
    *out = NULL;
    if (p->n < 0 || p->n >= INT64_C(1) << 30)
        return as_fail(err, AS_FORMAT, "%lld items: metrics take fewer than 2^30", (long long)p->n);
    as_metric_name parsed;
    AS_TRY(as_metric_name_parse(&parsed, name, err));
    as_metric *m = as_calloc(1, sizeof *m);
    as_status status = m ? AS_OK : as_fail_nomem(err, "a metric", sizeof *m);
    if (m) {
        m->p = *p;
        m->label = -1;
        status = resolve(m, &parsed, err);
    }
    if (status == AS_OK) status = m->row->open(m, &parsed, err);
    as_metric_name_free(&parsed);
    if (status != AS_OK) {
        as_metric_free(m);
        return status;
    }
    *out = m;
    return AS_OK;
}

void as_metric_free(as_metric *m) {
    if (!m) return;
    if (m->free_data && m->data) m->free_data(m->data);
    as_free(m->items);
    as_free(m->signature);
    as_free(m);
}

const char *as_metric_signature(const as_metric *m) {
    return m->signature;
}
as_metric_value as_metric_aggregate(const as_metric *m, const uint32_t *weights, void *scratch) {
    int64_t first = 0;
    while (weights && first < m->p.n && weights[first] == 0)
        first++;
    if (first == m->p.n) return as_undefined("no items");
    const as_metric_value v = m->aggregate(m, weights, scratch);
    return v.value - v.value == 0 || v.why
               ? v
               : as_undefined("the values are too small or too large for floating point");
}
size_t as_metric_scratch(const as_metric *m) {
    return m->scratch_bytes;
}
const double *as_metric_items(const as_metric *m) {
    return m->items;
}
bool as_metric_is_proportion(const as_metric *m) {
    return m->proportion;
}
bool as_metric_is_percentage(const as_metric *m) {
    return m->row->percent;
}
bool as_metric_higher_is_better(const as_metric *m) {
    return m->row->higher_is_better;
}
int as_metric_label(const as_metric *m) {
    return m->label;
}

void as_confusion(int64_t *out, const as_predictions *p) {
    const size_t labels = p->num_labels > 0 ? (size_t)p->num_labels : 0;
    memset(out, 0, labels * labels * sizeof *out);
    for (int64_t i = 0; i < p->n; i++)
        out[(size_t)p->gold[i] * labels + (size_t)p->pred[i]]++;
}

/* ---- means of items ---- */

as_metric_value as_undefined(const char *why) {
    return (as_metric_value){NAN, why};
}

static as_metric_value aggregate_mean(const as_metric *m, const uint32_t *weights, void *scratch) {
    (void)scratch;
    double sum = 0, count = (double)m->p.n;
    if (!weights) {
        for (int64_t i = 0; i < m->p.n; i++)
            sum += m->items[i];
        return as_defined(sum / count);
    }
    count = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        sum += weights[i] * m->items[i];
        count += weights[i];
    }
    return count > 0 ? as_defined(sum / count) : as_undefined("no items");
}

as_status as_metric_use_items(as_metric *m, bool proportion, as_err *err) {
    m->items = as_calloc((size_t)m->p.n, sizeof *m->items);
    if (!m->items) return as_fail_nomem(err, "per-item scores", (size_t)m->p.n * sizeof *m->items);
    m->proportion = proportion;
    m->aggregate = aggregate_mean;
    return AS_OK;
}
