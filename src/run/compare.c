/* compare.c: all systems, all metrics, all pairs: values, intervals, tests, Holm over everything, groups and ranks. */
#include "base/mem.h"
#include "run/compare_impl.h"
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- one metric on every seed --- */
void as_arena_close(as_arena_metric *m) {
    for (int i = 0; m->first && m->open && i < m->first[m->c->count]; i++) as_metric_free(m->open[i]);
    as_free(m->open), as_free(m->first), as_free(m->value);
}

static as_status mean_value(as_arena_metric *m, int system, as_err *err) {
    double sum = 0.0;
    for (int64_t s = 0; s < as_seeds_of(m, system); s++) {
        const as_metric *one = as_seed_metric(m, system, s);
        const size_t need = as_metric_scratch(one);
        void *scratch = as_alloc_aligned(need ? need : 1, 1);
        if (!scratch) return as_fail_nomem(err, "a metric", need);
        sum += as_metric_aggregate(one, NULL, scratch).value;
        as_free_aligned(scratch);
    }
    m->value[system] = sum / (double)as_seeds_of(m, system);
    return AS_OK;
}

as_status as_arena_open(as_arena_metric *m, const as_contest *c, const char *name, as_err *err) {
    *m = (as_arena_metric){.c = c, .n = c->systems[0].seed[0].n};
    int64_t seeds = 0;
    for (int i = 0; i < c->count; i++) seeds += c->systems[i].seeds;
    m->open = as_calloc((size_t)seeds, sizeof *m->open), m->first = as_calloc((size_t)c->count + 1, sizeof *m->first);
    m->value = as_calloc((size_t)c->count, sizeof *m->value);
    if (!m->open || !m->first || !m->value) return as_fail_nomem(err, "a comparison", (size_t)seeds * sizeof *m->open);
    for (int i = 0; i < c->count; i++) m->first[i + 1] = m->first[i] + (int)c->systems[i].seeds; /* close_metric goes by it, whatever is open */
    m->per_item = m->proportion = true;
    for (int i = 0; i < c->count; i++) {
        for (int64_t s = 0; s < c->systems[i].seeds; s++) {
            as_metric **one = &m->open[m->first[i] + s];
            AS_TRY(as_metric_open(one, name, &c->systems[i].seed[s], err));
            m->per_item &= as_metric_items(*one) != NULL;
            m->proportion &= as_metric_is_proportion(*one);
        }
        AS_TRY(mean_value(m, i, err));
    }
    m->higher = as_metric_higher_is_better(m->open[0]), m->percent = as_metric_is_percentage(m->open[0]);
    return AS_OK;
}

/* --- standings of one metric --- */
double as_seed_spread(const as_arena_metric *m, int system) {
    const int64_t k = as_seeds_of(m, system);
    if (k < 2) return NAN;
    double squares = 0.0;
    for (int64_t s = 0; s < k; s++) {
        const as_metric *one = as_seed_metric(m, system, s);
        const size_t need = as_metric_scratch(one);
        void *scratch = as_alloc_aligned(need ? need : 1, 1);
        const double d = (scratch ? as_metric_aggregate(one, NULL, scratch).value : NAN) - m->value[system];
        as_free_aligned(scratch);
        squares += d * d;
    }
    return sqrt(squares / (double)(k - 1));
}

/* Systems by value, the best first, undefined ones last, equal ones as given. */
static void order_of(int *order, const as_arena_metric *m) {
    for (int i = 0; i < m->c->count; i++) {
        const double v = as_oriented(m, m->value[i]);
        int at = i;
        for (; at > 0; at--) {
            const double before = as_oriented(m, m->value[order[at - 1]]);
            if (!(isnan(before) && !isnan(v)) && !(v > before)) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

static as_status stand(as_contest_result *out, const as_arena_metric *m, const int *order, as_err *err) {
    for (int k = 0; k < m->c->count; k++) {
        as_standing *s = &out->standings[out->standing_count];
        const int i = order[k];
        as_interval iv;
        AS_TRY(as_system_interval(&iv, m, i, err));
        *s = (as_standing){.system = i, .metric = m->signature, .higher_is_better = m->higher, .percent = m->percent, .value = m->value[i], .low = iv.low,
                           .high = iv.high, .method = iv.method, .why = isnan(m->value[i]) ? "undefined on this data" : iv.why, .sd_seeds = as_seed_spread(m, i)};
        out->standing_count++;
    }
    return AS_OK;
}

static as_status compare_all(as_contest_result *out, const as_arena_metric *m, const int *order, as_err *err) {
    for (int x = 0; x < m->c->count; x++)
        for (int y = x + 1; y < m->c->count; y++) {
            AS_TRY(as_compare_pair(&out->comparisons[out->comparison_count], m, order[x], order[y], err));
            out->comparison_count++;
        }
    return AS_OK;
}

static bool is_done(const as_contest_result *r, const char *signature) {
    for (size_t i = 0; i < r->metric_count; i++)
        if (strcmp(r->metrics[i], signature) == 0) return true;
    return false;
}

/* A metric that was named before, perhaps in another way, is left out: twice in the family it would double the adjusted p. */
static as_status one_metric(as_contest_result *out, const as_contest *c, const char *name, int64_t resamples, as_err *err) {
    as_arena_metric m;
    int *order = as_calloc((size_t)c->count, sizeof *order);
    as_status s = as_arena_open(&m, c, name, err);
    if (s == AS_OK && !order) s = as_fail_nomem(err, "a comparison", 0);
    const bool again = s == AS_OK && is_done(out, as_metric_signature(m.open[0]));
    if (s == AS_OK && !again && !(out->metrics[out->metric_count] = as_strdup(as_metric_signature(m.open[0])))) s = as_fail_nomem(err, "a metric", 0);
    if (s == AS_OK && !again) {
        m.signature = out->metrics[out->metric_count++], m.resamples = resamples;
        order_of(order, &m);
        s = stand(out, &m, order, err);
    }
    if (s == AS_OK && !again) s = compare_all(out, &m, order, err);
    as_arena_close(&m);
    as_free(order);
    return s;
}

/* --- over all metrics --- */
static as_status adjust(as_contest_result *const *r, int n, as_err *err) {
    size_t all = 0, at = 0;
    for (int k = 0; k < n; k++) all += r[k]->comparison_count;
    double *p = as_alloc(all + 1, sizeof *p);
    if (!p) return as_fail_nomem(err, "p values", 0);
    for (int k = 0; k < n; k++)
        for (size_t i = 0; i < r[k]->comparison_count; i++) p[at++] = r[k]->comparisons[i].p;
    const as_status s = as_adjust_holm(p, p, (int64_t)all, err);
    at = 0;
    for (int k = 0; s == AS_OK && k < n; k++)
        for (size_t i = 0; i < r[k]->comparison_count; i++) r[k]->comparisons[i].p_adjusted = p[at++];
    as_free(p);
    return s;
}

/* Groups and rank intervals of the metric whose standings start at `at`. */
static as_status group(as_contest_result *r, const as_contest *c, size_t metric, as_err *err) {
    const int64_t k = c->count;
    as_standing *s = r->standings + metric * (size_t)k;
    const as_comparison *v = r->comparisons + metric * (size_t)(k * (k - 1) / 2);
    double *score = as_alloc((size_t)k, sizeof *score), *p = as_alloc((size_t)(k * k), sizeof *p);
    uint64_t *letters = as_calloc((size_t)k, sizeof *letters);
    int64_t *low = as_calloc((size_t)k, sizeof *low), *high = as_calloc((size_t)k, sizeof *high);
    as_status st = score && p && letters && low && high ? AS_OK : as_fail_nomem(err, "groups", 0);
    if (st == AS_OK) {
        for (int64_t i = 0; i < k; i++) {
            score[i] = isnan(s[i].value) ? -DBL_MAX : s[i].higher_is_better ? s[i].value : -s[i].value; /* undefined: last, told from none */
            p[i * k + i] = 1.0;
        }
        for (int64_t x = 0; x < k; x++)
            for (int64_t y = x + 1; y < k; y++, v++) p[x * k + y] = p[y * k + x] = isnan(v->p_adjusted) ? 1.0 : v->p_adjusted;
        as_rank_intervals(low, high, score, p, k, 1 - c->level);
        if (k <= 64) st = as_letter_groups(letters, score, p, k, 1 - c->level, err);
        for (int64_t i = 0; i < k; i++) s[i].letters = letters[i], s[i].rank_low = low[i], s[i].rank_high = high[i];
    }
    as_free(score), as_free(p), as_free(letters), as_free(low), as_free(high);
    return st;
}

static as_status find_best(as_contest_result *r, const as_contest *c, as_err *err) {
    r->best = isnan(r->standings[0].value) ? -1 : r->standings[0].system;
    if (!(r->tied = as_calloc((size_t)c->count, sizeof *r->tied))) return as_fail_nomem(err, "a verdict", 0);
    for (int i = 0; r->best >= 0 && i < c->count - 1; i++) /* the first pairs are those of the best */
        if (!(r->comparisons[i].p_adjusted <= 1 - c->level)) r->tied[r->tied_count++] = r->comparisons[i].b;
    return AS_OK;
}

static as_status check(const as_contest *c, as_err *err) {
    if (c->count < 2) {
        (void)as_fail(err, AS_USAGE, "a comparison needs at least two systems");
        as_hint(err, "Name two runs, or two --pred files.");
        return AS_USAGE;
    }
    if (!(c->level > 0 && c->level < 1)) return as_fail(err, AS_USAGE, "the level %g is not between 0 and 1", c->level);
    const as_predictions *first = &c->systems[0].seed[0];
    for (int i = 0; i < c->count; i++)
        for (int64_t s = 0; s < c->systems[i].seeds; s++) {
            const as_predictions *p = &c->systems[i].seed[s];
            if (p->n != first->n || p->kind != first->kind || p->num_labels != first->num_labels)
                return as_fail(err, AS_USAGE, "%s and %s are not predictions of the same items", c->systems[0].name, c->systems[i].name);
        }
    return AS_OK;
}

/* All names of the list, with those that stand for several written out. */
static as_status metric_names(const as_contest *c, char ***names, size_t *count, as_err *err) {
    const as_predictions *p = &c->systems[0].seed[0];
    char **given, **all = NULL;
    size_t n, total = 0, cap = 0;
    AS_TRY(as_metric_list_split(c->metrics ? c->metrics : as_metric_defaults(p->kind, p->num_labels), &given, &n, err));
    as_status s = AS_OK;
    for (size_t i = 0; s == AS_OK && i < n; i++) {
        char **each;
        size_t k;
        s = as_metric_expand(given[i], p->label_names, p->num_labels, &each, &k, err);
        if (s != AS_OK) break;
        if (!as_grow(&all, &cap, total + k, sizeof *all)) s = as_fail_nomem(err, "metrics", 0);
        for (size_t e = 0; s == AS_OK && e < k; e++) all[total++] = each[e], each[e] = NULL;
        as_metric_list_free(each, k);
    }
    as_metric_list_free(given, n);
    if (s != AS_OK) as_metric_list_free(all, total);
    else *names = all, *count = total;
    return s;
}

/* Groups, the best and the verdict, from the adjusted p values. */
static as_status conclude(as_contest_result *r, const as_contest *c, as_err *err) {
    as_free(r->tied), as_free(r->verdict);
    r->tied = NULL, r->verdict = NULL, r->tied_count = 0;
    for (size_t i = 0; i < r->metric_count; i++) AS_TRY(group(r, c, i, err));
    AS_TRY(find_best(r, c, err));
    r->verdict = as_verdict(c, r);
    return r->verdict ? AS_OK : as_fail_nomem(err, "a verdict", 0);
}

as_status as_contests_adjust(as_contest_result *const *results, const as_contest *const *contests, int n, as_err *err) {
    AS_TRY(adjust(results, n, err));
    for (int k = 0; k < n; k++) AS_TRY(conclude(results[k], contests[k], err));
    return AS_OK;
}

static as_status decide(as_contest_result *out, const as_contest *c, char **names, size_t n, as_err *err) {
    const size_t k = (size_t)c->count, pairs = k * (k - 1) / 2;
    out->standings = as_calloc(n * k, sizeof *out->standings), out->comparisons = as_calloc(n * pairs, sizeof *out->comparisons);
    out->metrics = as_calloc(n, sizeof *out->metrics);
    if (!out->standings || !out->comparisons || !out->metrics) return as_fail_nomem(err, "a comparison", n * pairs * sizeof *out->comparisons);
    /* The smallest p of R draws is 1 / (R + 1); Holm multiplies it by all pairs and metrics. */
    const double enough = 20.0 * (double)(n * pairs) / (1 - c->level);
    const int64_t resamples = enough > 1e6 ? 1000000 : enough > 10000 ? (int64_t)enough : 10000;
    for (size_t i = 0; i < n; i++) AS_TRY(one_metric(out, c, names[i], resamples, err));
    AS_TRY(adjust(&out, 1, err));
    return conclude(out, c, err);
}

as_status as_contest_decide(const as_contest *c, as_contest_result *out, as_err *err) {
    *out = (as_contest_result){.best = -1};
    AS_TRY(check(c, err));
    char **names;
    size_t n;
    AS_TRY(metric_names(c, &names, &n, err));
    const as_status s = decide(out, c, names, n, err);
    as_metric_list_free(names, n);
    if (s != AS_OK) as_contest_result_free(out);
    return s;
}

void as_contest_result_free(as_contest_result *r) {
    for (size_t i = 0; r->metrics && i < r->metric_count; i++) as_free(r->metrics[i]);
    as_free(r->metrics), as_free(r->standings), as_free(r->comparisons), as_free(r->tied), as_free(r->verdict);
    *r = (as_contest_result){.best = -1};
}
