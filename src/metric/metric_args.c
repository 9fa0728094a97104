/* metric_args.c: arguments, signatures and input checks that the families share. */
#include "base/mem.h"
#include "metric/family.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- signatures and arguments ---- */

as_status as_metric_sign(as_metric *m, const char *args, as_err *err) {
    as_buf b = {0};
    as_buf_str(&b, m->info->name);
    if (args && *args) {
        as_buf_char(&b, '(');
        as_buf_str(&b, args);
        as_buf_char(&b, ')');
    }
    as_free(m->signature);
    m->signature = b.failed ? NULL : as_strdup(b.p);
    as_buf_free(&b);
    return m->signature ? AS_OK : as_fail_nomem(err, "a metric's name", strlen(m->info->name));
}

as_status as_metric_bad_arg(const as_metric *m, const as_metric_name *name, int arg, as_err *err) {
    const char *key = name->args[arg].key, *value = name->args[arg].value;
    (void)as_fail(err, AS_USAGE, "metric \"%s\": unknown argument \"%.80s%s%.80s\"", m->info->name,
                  key, value ? ":" : "", value ? value : "");
    if (strcmp(key, "per-class") == 0)
        as_hint(err,
                "per-class stands for one metric per label: expand the name before it is opened.");
    else if (*m->info->args)
        as_hint(err, "The arguments of %s are: %s.", m->info->name, m->info->args);
    else
        as_hint(err, "%s takes no arguments.", m->info->name);
    return AS_USAGE;
}

as_status as_metric_no_args(const as_metric *m, const as_metric_name *name, as_err *err) {
    return name->count == 0 ? AS_OK : as_metric_bad_arg(m, name, 0, err);
}

int as_positive_label(const as_predictions *p) {
    return p->positive >= 0 ? p->positive : p->num_labels == 2 ? 1 : -1;
}

static as_status unknown_label(const as_metric *m, const char *label, as_err *err) {
    (void)as_fail(err, AS_USAGE, "metric \"%s\": no label is called \"%.80s\"", m->info->name,
                  label);
    if (!m->p.label_names) {
        as_hint(err, "The labels have no names here; give a number from 0 to %d.",
                m->p.num_labels - 1);
        return AS_USAGE;
    }
    const int near = as_nearest(label, m->p.label_names, (size_t)m->p.num_labels);
    if (near >= 0)
        as_hint(err, "Did you mean \"%.80s\"?", m->p.label_names[near]);
    else if (m->p.num_labels > 0)
        as_hint(err, "There are %d labels; the first is \"%.80s\".", m->p.num_labels,
                m->p.label_names[0]);
    return AS_USAGE;
}

static as_status find_label(as_metric *m, const char *label, as_err *err) {
    const as_predictions *p = &m->p;
    int64_t id = -1;
    if (p->label_names) {
        for (int i = 0; i < p->num_labels && id < 0; i++)
            if (strcmp(p->label_names[i], label) == 0) id = i;
    } else if (!as_parse_i64(as_str_of(label), &id) || id >= p->num_labels) {
        id = -1;
    }
    if (id < 0) return unknown_label(m, label, err);
    m->label = (int)id;
    return AS_OK;
}

static const struct {
    as_average average;
    const char *name;
} average_names[] = {
    {AS_AVERAGE_BINARY, "binary"},     {AS_AVERAGE_MICRO, "micro"},     {AS_AVERAGE_MACRO, "macro"},
    {AS_AVERAGE_WEIGHTED, "weighted"}, {AS_AVERAGE_SAMPLES, "samples"},
};

/* Binary means one positive label against the other one: sklearn refuses it with three, and so do
 * we. */
static as_status set_binary(as_metric *m, as_err *err) {
    m->label = as_positive_label(&m->p);
    if (m->p.num_labels == 2 && m->label >= 0 && m->label < 2) return AS_OK;
    (void)as_fail(err, AS_USAGE, "metric \"%s(binary)\" needs two labels, but there are %d",
                  m->info->name, m->p.num_labels);
    as_hint(err, "Choose macro, weighted or class:NAME.");
    return AS_USAGE;
}

static as_status sign_class(as_metric *m, as_err *err) {
    as_buf b = {0};
    as_buf_str(&b, "class:");
    if (m->p.label_names)
        as_metric_put_label(&b, m->p.label_names[m->label]);
    else
        as_buf_fmt(&b, "%d", m->label);
    const as_status status =
        b.failed ? as_fail_nomem(err, "a metric's name", 16) : as_metric_sign(m, b.p, err);
    as_buf_free(&b);
    return status;
}

as_status as_metric_average(as_average *out, as_metric *m, const as_metric_name *name, int allowed,
                            as_err *err) {
    *out = (allowed & AS_AVERAGE_BINARY) && m->p.num_labels == 2 ? AS_AVERAGE_BINARY
                                                                 : AS_AVERAGE_MACRO;
    if (name->count > 1) return as_metric_bad_arg(m, name, 1, err);
    const char *key = name->count == 1 ? name->args[0].key : NULL,
               *value = name->count == 1 ? name->args[0].value : NULL;
    if (key && value) {
        if (!(allowed & AS_AVERAGE_CLASS) || strcmp(key, "class") != 0)
            return as_metric_bad_arg(m, name, 0, err);
        *out = AS_AVERAGE_CLASS;
        AS_TRY(find_label(m, value, err));
        return sign_class(m, err);
    }
    bool found = !key;
    for (size_t i = 0; i < AS_COUNT(average_names) && !found; i++) {
        if (!(allowed & (int)average_names[i].average) || strcmp(key, average_names[i].name) != 0)
            continue;
        *out = average_names[i].average;
        found = true;
    }
    if (!found) return as_metric_bad_arg(m, name, 0, err);
    if (*out == AS_AVERAGE_BINARY) AS_TRY(set_binary(m, err));
    for (size_t i = 0; i < AS_COUNT(average_names); i++)
        if (average_names[i].average == *out) return as_metric_sign(m, average_names[i].name, err);
    return AS_OK;
}

/* ---- input checks ---- */

static as_status missing(const as_metric *m, const char *what, as_err *err) {
    return as_fail(err, AS_USAGE, "metric \"%s\" needs %s, and there are none", m->info->name,
                   what);
}

static as_status check_ids(const as_metric *m, const int32_t *ids, const char *what, as_err *err) {
    if (!ids && m->p.n > 0) return missing(m, what, err);
    for (int64_t i = 0; i < m->p.n; i++)
        if (ids[i] < 0 || ids[i] >= m->p.num_labels)
            return as_fail(err, AS_FORMAT,
                           "item %" PRId64 " of %" PRId64 ": %s: label id %d is not below %d",
                           i + 1, m->p.n, what, (int)ids[i], m->p.num_labels);
    return AS_OK;
}

as_status as_check_classes(const as_metric *m, bool needs_pred, as_err *err) {
    AS_TRY(check_ids(m, m->p.gold, "gold labels", err));
    return needs_pred ? check_ids(m, m->p.pred, "predicted labels", err) : AS_OK;
}

as_status as_check_scores(const as_metric *m, bool probabilities, as_err *err) {
    const size_t labels = (size_t)m->p.num_labels;
    for (int64_t i = 0; i < m->p.n; i++)
        for (size_t k = 0; k < labels; k++) {
            const double x = m->p.probs[(size_t)i * labels + k];
            /* a float32 softmax may exceed 1 by its rounding */
            const bool good = probabilities ? x >= 0 && x <= 1 + 1e-6 : isfinite(x);
            if (good) continue;
            (void)as_fail(err, AS_NUMERIC,
                          "item %" PRId64 " of %" PRId64 ": the probability of label %zu is %g",
                          i + 1, m->p.n, k, x);
            as_hint(err, probabilities
                             ? "Probabilities lie between 0 and 1; logits need a softmax first."
                             : "Look at the model's output for this item.");
            return AS_NUMERIC;
        }
    return AS_OK;
}

static as_status check_bits(const as_metric *m, const uint8_t *sets, const char *what,
                            as_err *err) {
    if (!sets && m->p.n > 0 && m->p.num_labels > 0) return missing(m, what, err);
    for (int64_t i = 0; i < m->p.n; i++)
        for (int k = 0; k < m->p.num_labels; k++)
            if (sets[(size_t)i * (size_t)m->p.num_labels + (size_t)k] > 1)
                return as_fail(err, AS_FORMAT,
                               "item %" PRId64 " of %" PRId64 ": %s: an entry is neither 0 nor 1",
                               i + 1, m->p.n, what);
    return AS_OK;
}

as_status as_check_sets(const as_metric *m, bool needs_pred, as_err *err) {
    AS_TRY(check_bits(m, m->p.gold_sets, "gold sets of labels", err));
    return needs_pred ? check_bits(m, m->p.pred_sets, "predicted sets of labels", err) : AS_OK;
}

static as_status check_numbers(const as_metric *m, const double *v, const char *what, as_err *err) {
    if (!v && m->p.n > 0) return missing(m, what, err);
    for (int64_t i = 0; i < m->p.n; i++) {
        if (isfinite(v[i])) continue;
        (void)as_fail(err, AS_NUMERIC, "item %" PRId64 " of %" PRId64 ": %s: %g", i + 1, m->p.n,
                      what, v[i]);
        as_hint(err, "Every value must be a finite number; correct or leave out this item.");
        return AS_NUMERIC;
    }
    return AS_OK;
}

as_status as_check_values(const as_metric *m, as_err *err) {
    AS_TRY(check_numbers(m, m->p.gold_value, "gold values", err));
    return check_numbers(m, m->p.pred_value, "predicted values", err);
}
