#include "run/compare_more.h"
#include "base/mem.h"
#include "run/compare_impl.h"
#include <math.h>
#include <string.h>

static as_random_opts random_opts(const as_contest *c) { return (as_random_opts){.seed = c->seed, .threads = c->threads}; }

/* --- one pair --- */
/* d [n]: how much better A is on each item, the mean over seeds. */
static as_status differences(double **out, const as_arena_metric *m, int a, int b, as_err *err) {
    double *d = as_calloc((size_t)m->n, sizeof *d);
    if (!d) return as_fail_nomem(err, "differences", (size_t)m->n * sizeof *d);
    for (int side = 0; side < 2; side++) {
        const int system = side ? b : a;
        const double share = (side ? -1.0 : 1.0) / (double)as_seeds_of(m, system);
        for (int64_t s = 0; s < as_seeds_of(m, system); s++) {
            const double *x = as_metric_items(as_seed_metric(m, system, s));
            for (int64_t i = 0; i < m->n; i++) d[i] += share * x[i];
        }
    }
    for (int64_t i = 0; i < m->n; i++) {
        if (fabs(d[i]) < 1e-14) d[i] = 0.0; /* what rounding leaves of equal means */
        d[i] = as_oriented(m, d[i]);
    }
    *out = d;
    return AS_OK;
}

/* Items that belong together are one: the mean of each cluster. n becomes their number. */
static as_status by_cluster(double *d, int64_t *n, const int32_t *cluster, as_err *err) {
    if (!cluster) return AS_OK;
    int64_t count = 0;
    for (int64_t i = 0; i < *n; i++) count = cluster[i] >= count ? cluster[i] + 1 : count;
    double *sum = as_calloc((size_t)count, sizeof *sum), *size = as_calloc((size_t)count, sizeof *size);
    if (sum && size) {
        for (int64_t i = 0; i < *n; i++) sum[cluster[i]] += d[i], size[cluster[i]] += 1.0;
        for (int64_t k = 0; k < count; k++) d[k] = sum[k] / size[k];
        *n = count;
    }
    const bool ok = sum && size;
    as_free(sum), as_free(size);
    return ok ? AS_OK : as_fail_nomem(err, "clusters", (size_t)count * sizeof *sum);
}

static as_status all_tests(as_more_pair *p, const as_arena_metric *m, const double *d, as_err *err) {
    const int32_t *cluster = m->c->cluster;
    const as_random_opts o = random_opts(m->c);
    if (m->proportion && !cluster) {
        p->test[p->test_count++] = as_mcnemar_exact(p->of->only_a, p->of->only_b);
        p->test[p->test_count++] = as_mcnemar_mid_p(p->of->only_a, p->of->only_b);
        p->test[p->test_count++] = as_mcnemar_chi2(p->of->only_a, p->of->only_b, true);
    }
    AS_TRY(as_permutation_test(&p->test[p->test_count++], d, m->n, cluster, &o, err));
    AS_TRY(as_paired_bootstrap_test(&p->test[p->test_count++], d, m->n, cluster, &o, err));
    p->test[p->test_count++] = as_paired_t(d, m->n, cluster);
    return AS_OK;
}

static as_status multi_bootstrap(as_more_pair *p, const as_arena_metric *m, as_err *err) {
    double *a = as_seed_items(m, p->of->a), *b = as_seed_items(m, p->of->b);
    const as_seeds s = {.a = a, .b = b, .seeds_a = as_seeds_of(m, p->of->a), .seeds_b = as_seeds_of(m, p->of->b), .n = m->n, .cluster = m->c->cluster};
    const as_bootstrap_opts o = {.level = m->c->level, .seed = m->c->seed, .threads = m->c->threads};
    const as_status st = a && b ? as_multi_bootstrap(&p->seeds, &s, &o, err) : as_fail_nomem(err, "scores", (size_t)m->n * sizeof *a);
    p->has_seeds = st == AS_OK;
    as_free(a), as_free(b);
    return st;
}

static double seed_value(const as_arena_metric *m, int system, int64_t seed) {
    const as_metric *one = as_seed_metric(m, system, seed);
    const size_t need = as_metric_scratch(one);
    void *scratch = as_alloc_aligned(need ? need : 1, 1);
    const double v = scratch ? as_oriented(m, as_metric_aggregate(one, NULL, scratch).value) : NAN;
    as_free_aligned(scratch);
    return v;
}

static as_status stochastic_order(as_more_pair *p, const as_arena_metric *m, as_err *err) {
    const int64_t ka = as_seeds_of(m, p->of->a), kb = as_seeds_of(m, p->of->b);
    if (ka < AS_MORE_SEEDS || kb < AS_MORE_SEEDS) return AS_OK;
    double *a = as_alloc((size_t)(ka + kb), sizeof *a);
    if (!a) return as_fail_nomem(err, "scores", (size_t)(ka + kb) * sizeof *a);
    bool defined = true;
    for (int64_t s = 0; s < ka + kb; s++) {
        a[s] = s < ka ? seed_value(m, p->of->a, s) : seed_value(m, p->of->b, s - ka);
        defined &= isfinite(a[s]) != 0;
    }
    const as_random_opts o = random_opts(m->c);
    const as_status st = defined ? as_almost_stochastic_order(&p->aso, a, ka, a + ka, kb, m->c->level, &o, err) : AS_OK;
    as_free(a);
    return st;
}

static as_status one_pair(as_more_pair *p, const as_arena_metric *m, as_err *err) {
    const int a = p->of->a, b = p->of->b;
    const bool single = as_seeds_of(m, a) == 1 && as_seeds_of(m, b) == 1;
    if (isnan(p->of->diff)) return AS_OK;
    AS_TRY(stochastic_order(p, m, err));
    if (!m->per_item) return AS_OK;
    if (!single) AS_TRY(multi_bootstrap(p, m, err));
    double *d;
    AS_TRY(differences(&d, m, a, b, err));
    const as_random_opts o = random_opts(m->c);
    int64_t units = m->n;
    as_status s = single ? all_tests(p, m, d, err) : AS_OK;
    if (s == AS_OK) s = by_cluster(d, &units, m->c->cluster, err);
    /* An answer is right or wrong: a margin, which is one of their mean, is none of a single item's. */
    const double rope = m->proportion ? 0.0 : m->c->margin;
    int64_t kept = 0;
    for (int64_t i = 0; i < units; i++)
        if (rope > 0 || d[i] != 0) d[kept++] = d[i]; /* without a region, items that tie say nothing */
    if (s == AS_OK && kept == 0) p->bayes = (as_rope){0.5, 0, 0.5};
    else if (s == AS_OK) s = as_bayes_sign(&p->bayes, d, kept, rope, &o, err);
    as_free(d);
    return s;
}

static as_status false_discovery(as_more *out, as_err *err) {
    double *p = as_alloc(out->count + 1, sizeof *p);
    if (!p) return as_fail_nomem(err, "p values", out->count * sizeof *p);
    for (size_t i = 0; i < out->count; i++) p[i] = out->pairs[i].of->p;
    const as_status s = as_adjust_benjamini_hochberg(p, p, (int64_t)out->count, err);
    for (size_t i = 0; s == AS_OK && i < out->count; i++) out->pairs[i].p_bh = p[i];
    as_free(p);
    return s;
}

static as_status fill(as_more *out, const as_contest *c, const as_contest_result *r, as_err *err) {
    if (!(out->pairs = as_calloc(r->comparison_count, sizeof *out->pairs))) return as_fail_nomem(err, "comparisons", r->comparison_count * sizeof *out->pairs);
    out->count = r->comparison_count;
    for (size_t i = 0; i < out->count; i++)
        out->pairs[i] = (as_more_pair){.of = &r->comparisons[i], .p_bh = NAN, .bayes = {NAN, NAN, NAN}, .aso = NAN};
    for (size_t k = 0; k < r->metric_count; k++) {
        as_arena_metric m;
        as_status s = as_arena_open(&m, c, r->metrics[k], err);
        for (size_t i = 0; s == AS_OK && i < out->count; i++)
            if (out->pairs[i].of->metric == r->metrics[k]) s = one_pair(&out->pairs[i], &m, err);
        as_arena_close(&m);
        AS_TRY(s);
    }
    AS_TRY(false_discovery(out, err));
    return as_abilities_of(&out->abilities, &c, &r, 1, err);
}

as_status as_more_of(as_more *out, const as_contest *c, const as_contest_result *r, as_err *err) {
    *out = (as_more){.count = 0};
    const as_status s = fill(out, c, r, err);
    if (s != AS_OK) as_more_free(out);
    return s;
}
void as_more_free(as_more *m) {
    as_free(m->pairs);
    as_abilities_free(&m->abilities);
    *m = (as_more){.count = 0};
}

/* --- abilities --- */
/* Adds who has the better score, item by item; ties are no match. */
static as_status item_wins(double *wins, const as_arena_metric *m, as_err *err) {
    const int k = m->c->count;
    for (int a = 0; a < k; a++)
        for (int b = a + 1; b < k; b++) {
            double *d;
            int64_t units = m->n;
            AS_TRY(differences(&d, m, a, b, err));
            const as_status s = by_cluster(d, &units, m->c->cluster, err);
            for (int64_t i = 0; s == AS_OK && i < units; i++) wins[a * k + b] += d[i] > 0, wins[b * k + a] += d[i] < 0;
            as_free(d);
            AS_TRY(s);
        }
    return AS_OK;
}
static void task_wins(double *wins, const as_arena_metric *m) {
    const int k = m->c->count;
    for (int a = 0; a < k; a++)
        for (int b = 0; b < k; b++) wins[a * k + b] += as_oriented(m, m->value[a]) > as_oriented(m, m->value[b]);
}

static as_status count_wins(double *wins, bool *by_item, const as_contest *const *c, const as_contest_result *const *r, int tasks, as_err *err) {
    *by_item = true;
    for (int pass = 0; pass < 2; pass++) /* first whether all tasks have per-item scores: items and tasks are not added up */
        for (int t = 0; t < tasks; t++) {
            as_arena_metric m;
            as_status s = as_arena_open(&m, c[t], r[t]->metrics[0], err);
            if (s == AS_OK && pass == 0) *by_item &= m.per_item;
            else if (s == AS_OK && *by_item) s = item_wins(wins, &m, err);
            else if (s == AS_OK) task_wins(wins, &m);
            as_arena_close(&m);
            AS_TRY(s);
        }
    return AS_OK;
}

/* Strengths are relative to the first system of the table: the reference is put there. */
static void exchange(double *wins, int k, int reference) {
    for (int i = 0; i < k; i++) {
        const double x = wins[i];
        wins[i] = wins[reference * k + i], wins[reference * k + i] = x;
    }
    for (int i = 0; i < k; i++) {
        const double x = wins[i * k];
        wins[i * k] = wins[i * k + reference], wins[i * k + reference] = x;
    }
}

static as_status abilities(as_abilities *out, double *wins, double level, as_err *err) {
    const int k = out->count;
    double *se = out->low; /* becomes the lower end */
    for (int i = 0; i < k * k; i++) out->matches += wins[i];
    if (out->matches == 0) return out->why = "no two systems ever differ", AS_OK;
    exchange(wins, k, out->reference);
    as_err unseen = {0};
    as_status s = as_bradley_terry(out->strength, se, wins, k, 0, &unseen);
    if (s == AS_NUMERIC) { /* somebody never lost, or never played: a little of both keeps it finite */
        out->prior = 0.1;
        s = as_bradley_terry(out->strength, se, wins, k, out->prior, err);
    } else if (s != AS_OK && err) {
        *err = unseen;
    }
    const double z = as_normal_quantile(0.5 + level / 2);
    for (int i = 0; s == AS_OK && i < k; i++) out->high[i] = out->strength[i] + z * se[i], out->low[i] = out->strength[i] - z * se[i];
    double *all[] = {out->strength, out->low, out->high};
    for (size_t v = 0; s == AS_OK && v < AS_COUNT(all); v++) {
        const double x = all[v][0];
        all[v][0] = all[v][out->reference], all[v][out->reference] = x;
    }
    return s;
}

as_status as_abilities_of(as_abilities *out, const as_contest *const *c, const as_contest_result *const *r, int tasks, as_err *err) {
    const int k = c[0]->count;
    *out = (as_abilities){.count = k, .reference = r[0]->best >= 0 ? r[0]->best : 0};
    double *wins = as_calloc((size_t)(k * k), sizeof *wins);
    out->strength = as_calloc((size_t)k, sizeof *out->strength), out->low = as_calloc((size_t)k, sizeof *out->low), out->high = as_calloc((size_t)k, sizeof *out->high);
    as_status s = wins && out->strength && out->low && out->high ? AS_OK : as_fail_nomem(err, "abilities", (size_t)(k * k) * sizeof *wins);
    if (s == AS_OK) s = count_wins(wins, &out->by_item, c, r, tasks, err);
    if (s == AS_OK) s = abilities(out, wins, c[0]->level, err);
    as_free(wins);
    if (s != AS_OK) as_abilities_free(out);
    return s;
}
void as_abilities_free(as_abilities *a) {
    as_free(a->strength), as_free(a->low), as_free(a->high);
    *a = (as_abilities){.count = 0};
}

/* --- over tasks --- */
/* Value of a system on the first metric, turned so that more is better. */
static double standing_value(const as_contest_result *r, int system, int count) {
    for (int i = 0; i < count; i++) /* those of the first metric stand first */
        if (r->standings[i].system == system) return r->standings[i].higher_is_better ? r->standings[i].value : -r->standings[i].value;
    return NAN;
}

as_status as_bayes_of_tasks(as_task_rope *out, int best, const as_contest *const *c, const as_contest_result *const *r, int tasks, as_err *err) {
    double *d = as_alloc((size_t)tasks, sizeof *d);
    as_status s = d ? AS_OK : as_fail_nomem(err, "differences", (size_t)tasks * sizeof *d);
    const as_random_opts o = random_opts(c[0]);
    for (int i = 0, n = 0; s == AS_OK && i < c[0]->count; i++) {
        if (i == best) continue;
        bool defined = true;
        for (int t = 0; t < tasks; t++) {
            d[t] = standing_value(r[t], best, c[0]->count) - standing_value(r[t], i, c[0]->count);
            defined &= isfinite(d[t]) != 0;
        }
        out[n] = (as_task_rope){best, i, {NAN, NAN, NAN}, {NAN, NAN, NAN}};
        if (defined) s = as_bayes_signed_rank(&out[n].signed_rank, d, tasks, c[0]->margin, &o, err);
        if (defined && s == AS_OK) s = as_bayes_sign(&out[n].sign, d, tasks, c[0]->margin, &o, err);
        n++;
    }
    as_free(d);
    return s;
}
