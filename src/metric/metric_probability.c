/* metric_probability.c: log loss, Brier score and calibration error. */
#include "base/mem.h"
#include "metric/family.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static as_status check(const as_metric *m, as_err *err) {
    AS_TRY(as_check_classes(m, false, err));
    return as_check_scores(m, true, err);
}

static const double *probs_of(const as_metric *m, int64_t i) {
    return m->p.probs + (size_t)i * (size_t)m->p.num_labels;
}

/* ---- log loss ---- */

/* Probabilities are clipped to [eps, 1 - eps], eps = 2^-52, as sklearn clips float64. */
as_status as_open_log_loss(as_metric *m, const as_metric_name *name, as_err *err) {
    AS_TRY(as_metric_no_args(m, name, err));
    AS_TRY(as_metric_sign(m, NULL, err));
    AS_TRY(check(m, err));
    AS_TRY(as_metric_use_items(m, false, err));
    for (int64_t i = 0; i < m->p.n; i++) {
        const double p = probs_of(m, i)[m->p.gold[i]];
        m->items[i] = -log(p < DBL_EPSILON       ? DBL_EPSILON
                           : p > 1 - DBL_EPSILON ? 1 - DBL_EPSILON
                                                 : p);
    }
    return AS_OK;
}

/* ---- Brier ---- */

/* half: 1/2 of the sum over labels, in [0, 1], the usual score of two labels; sum: in [0, 2]. The
 * default follows sklearn's scale_by_half="auto": half below three labels. */
as_status as_open_brier(as_metric *m, const as_metric_name *name, as_err *err) {
    bool half = m->p.num_labels < 3;
    for (int i = 0; i < name->count; i++) {
        const char *key = name->args[i].key;
        if (i > 0 || name->args[i].value || (strcmp(key, "half") != 0 && strcmp(key, "sum") != 0))
            return as_metric_bad_arg(m, name, i, err);
        half = strcmp(key, "half") == 0;
    }
    AS_TRY(as_metric_sign(m, half ? "half" : "sum", err));
    AS_TRY(check(m, err));
    AS_TRY(as_metric_use_items(m, false, err));
    for (int64_t i = 0; i < m->p.n; i++) {
        const double *p = probs_of(m, i);
        double sum = 0;
        for (int k = 0; k < m->p.num_labels; k++) {
            const double d = p[k] - (k == m->p.gold[i]);
            sum += d * d;
        }
        m->items[i] = half ? sum / 2 : sum;
    }
    return AS_OK;
}

/* ---- expected calibration error ---- */

typedef struct confident {
    double confidence;
    uint32_t item;
    bool right;
} confident;
typedef struct calibration {
    int bins;
    confident *v;    /* [n]; by rising confidence for equal mass, in item order for equal width */
    int32_t *bin_of; /* [n], equal width only */
} calibration;
typedef struct bin {
    double confidence, right;
} bin;

static void free_calibration(void *data) {
    calibration *c = data;
    as_free(c->v);
    as_free(c->bin_of);
    as_free(c);
}

static int by_confidence(const void *a, const void *b) {
    const confident *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence < y->confidence ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Sum over bins of |right - confidence| / n: each bin's gap, weighted by its share of the items. */
static as_metric_value gap_of(const bin *bins, int count, double total) {
    double gap = 0;
    for (int b = 0; b < count; b++)
        gap += fabs(bins[b].right - bins[b].confidence);
    return total > 0 ? as_defined(gap / total) : as_undefined("no items");
}

static as_metric_value ece_width(const as_metric *m, const uint32_t *weights, void *scratch) {
    const calibration *c = m->data;
    bin *bins = scratch;
    memset(bins, 0, ((size_t)c->bins + 1) * sizeof *bins);
    double total = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[i] : 1;
        bins[c->bin_of[i]].confidence += w * c->v[i].confidence;
        bins[c->bin_of[i]].right += w * c->v[i].right;
        total += w;
    }
    return gap_of(bins, c->bins + 1, total);
}

/* Upper edges of the bins: halfway between the last of one equal part and the first of the next,
 * where the first (total mod bins) parts hold one item more. Returns the number of bins. */
static int mass_edges(double *edge, const calibration *c, const uint32_t *weights, int64_t n,
                      int64_t total) {
    const int bins = total < c->bins ? (int)total : c->bins;
    const int64_t size = total / bins, longer = total % bins;
    int64_t seen = 0, end = 0; /* items so far; where part b ends */
    double last = 0;
    bool open_edge = false; /* a part has just ended: its edge waits for the next confidence */
    int b = 0;
    for (int64_t i = 0; i < n && b < bins - 1; i++) {
        const uint32_t w = weights ? weights[c->v[i].item] : 1;
        if (w == 0) continue;
        if (open_edge) {
            edge[b++] = (last + c->v[i].confidence) / 2;
            open_edge = false;
        }
        seen += w;
        last = c->v[i].confidence;
        /* parts that end inside these w equal items have an edge at their value */
        while (b < bins - 1 && end + size + (b < longer) <= seen) {
            end += size + (b < longer);
            if (end == seen) {
                open_edge = true;
                break;
            }
            edge[b++] = last;
        }
    }
    return bins;
}

static as_metric_value ece_mass(const as_metric *m, const uint32_t *weights, void *scratch) {
    const calibration *c = m->data;
    bin *bins = scratch;
    double *edge = (double *)(void *)(bins + c->bins + 1);
    int64_t total = 0;
    for (int64_t i = 0; i < m->p.n; i++)
        total += weights ? weights[i] : 1;
    if (total == 0) return as_undefined("no items");
    memset(bins, 0, ((size_t)c->bins + 1) * sizeof *bins);
    const int count = mass_edges(edge, c, weights, m->p.n, total);
    int b = 0;
    for (int64_t i = 0; i < m->p.n; i++) {
        const double w = weights ? weights[c->v[i].item] : 1;
        if (w == 0) continue;
        while (b < count - 1 && c->v[i].confidence > edge[b])
            b++;
        bins[b].confidence += w * c->v[i].confidence;
        bins[b].right += w * c->v[i].right;
    }
    return gap_of(bins, count, (double)total);
}

/* torch.linspace(0, 1, bins + 1): counted from the nearer end. */
static double width_edge(int bins, int i) {
    const double step = 1.0 / bins;
    return i < (bins + 1) / 2 ? step * i : 1 - step * (bins - i);
}

/* Bins are [low, high); a confidence of exactly 1 has one of its own, as torchmetrics' bucketize
 * gives it. */
static int width_bin(int bins, double confidence) {
    int b = (int)(confidence * bins);
    if (b > bins) b = bins;
    while (b < bins && confidence >= width_edge(bins, b + 1))
        b++;
    while (b > 0 && confidence < width_edge(bins, b))
        b--;
    return b;
}

static as_status fill_calibration(as_metric *m, calibration *c, bool mass, as_err *err) {
    const size_t n = (size_t)m->p.n;
    c->v = as_alloc(n, sizeof *c->v);
    c->bin_of = as_alloc(n, sizeof *c->bin_of);
    if (!c->v || !c->bin_of)
        return as_fail_nomem(err, "confidences", n * (sizeof *c->v + sizeof *c->bin_of));
    for (size_t i = 0; i < n; i++) {
        const double *p = probs_of(m, (int64_t)i);
        int top = 0;
        for (int k = 1; k < m->p.num_labels; k++)
            if (p[k] > p[top]) top = k;
        c->v[i] = (confident){p[top], (uint32_t)i, m->p.gold[i] == top};
        if (!mass) c->bin_of[i] = width_bin(c->bins, p[top]);
    }
    if (mass) qsort(c->v, n, sizeof *c->v, by_confidence);
    return AS_OK;
}

as_status as_open_ece(as_metric *m, const as_metric_name *name, as_err *err) {
    int64_t bins = 15;
    bool mass = false;
    for (int i = 0; i < name->count; i++) {
        const char *key = name->args[i].key, *value = name->args[i].value;
        mass = strcmp(key, "mass") == 0;
        if (i > 0 || (!mass && strcmp(key, "bins") != 0)) return as_metric_bad_arg(m, name, i, err);
        if (!value)
            bins = mass ? 10 : 15;
        else if (!as_parse_i64(as_str_of(value), &bins) || bins < 1 || bins > 100000)
            return as_metric_bad_arg(m, name, i, err);
    }
    as_buf args = {0};
    as_buf_fmt(&args, "%s:%d", mass ? "mass" : "bins", (int)bins);
    const as_status signed_ok =
        args.failed ? as_fail_nomem(err, "a metric's name", 16) : as_metric_sign(m, args.p, err);
    as_buf_free(&args);
    AS_TRY(signed_ok);
    AS_TRY(check(m, err));
    calibration *c = as_calloc(1, sizeof *c);
    if (!c) return as_fail_nomem(err, "confidences", sizeof *c);
    c->bins = (int)bins;
    m->data = c;
    m->free_data = free_calibration;
    m->aggregate = mass ? ece_mass : ece_width;
    m->scratch_bytes = ((size_t)bins + 1) * (sizeof(bin) + sizeof(double));
    return fill_calibration(m, c, mass, err);
}
