/* friedman.c: several systems on several tasks, by their ranks. */
#include "base/mem.h"
#include "stats/many.h"

#include <math.h>
#include <stdlib.h>

typedef struct placed {
    double score;
    int64_t system;
} placed;

static int by_score(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->system < y->system ? -1 : 1;
}

/* Adds the ranks on one task (1 = largest score, ties share their mean) to rank_sum [systems];
 * returns the sum of t^3 - t over groups of t tied systems. */
static double add_ranks(double *rank_sum, placed *order, const double *score, int64_t systems) {
    for (int64_t i = 0; i < systems; i++)
        order[i] = (placed){score[i], i};
    qsort(order, (size_t)systems, sizeof *order, by_score);
    double ties = 0;
    for (int64_t from = 0, to; from < systems; from = to) {
        for (to = from + 1; to < systems && order[to].score == order[from].score;)
            to++;
        const double size = (double)(to - from);
        ties += size * (size * size - 1);
        for (int64_t i = from; i < to; i++)
            rank_sum[order[i].system] += 0.5 * (double)(from + to + 1);
    }
    return ties;
}

static const char *first_problem(const double *score, int64_t tasks, int64_t systems) {
    if (tasks <= 0) return "no tasks";
    if (systems < 2) return "fewer than two systems";
    for (int64_t i = 0; i < tasks * systems; i++)
        if (isnan(score[i])) return "a score is not a number";
    return NULL;
}

/* Where all systems tie on all tasks the statistic is 0 / 0 (NaN in scipy); nothing differs: p = 1.
 */
as_status as_friedman_test(as_test *out, double *mean_rank, const double *score, int64_t tasks,
                           int64_t systems, as_err *err) {
    *out = (as_test){.p = NAN, .statistic = NAN, .df = NAN, .method = "friedman"};
    for (int64_t j = 0; mean_rank && j < systems; j++)
        mean_rank[j] = NAN;
    out->why = first_problem(score, tasks, systems);
    if (out->why) return AS_OK;
    double *rank_sum = as_calloc((size_t)systems, sizeof *rank_sum);
    placed *order = as_alloc((size_t)systems, sizeof *order);
    as_status status = AS_OK;
    if (!rank_sum || !order) {
        status = as_fail_nomem(err, "ranks", (size_t)systems * (sizeof *rank_sum + sizeof *order));
        goto done;
    }
    double ties = 0, squares = 0;
    for (int64_t i = 0; i < tasks; i++)
        ties += add_ranks(rank_sum, order, score + i * systems, systems);
    const double n = (double)tasks, k = (double)systems;
    for (int64_t j = 0; j < systems; j++) {
        const double off = rank_sum[j] - 0.5 * n * (k + 1);
        squares += off * off;
        if (mean_rank) mean_rank[j] = rank_sum[j] / n;
    }
    const double untied = 1 - ties / (k * (k * k - 1) * n);
    out->statistic = squares == 0 ? 0 : 12 * squares / (n * k * (k + 1) * untied);
    out->df = k - 1;
    out->p = as_chi2_sf(out->statistic, out->df);
done:
    as_free(rank_sum);
    as_free(order);
    return status;
}

/* ---- the studentised range with infinite df: the range of k independent normals ---- */

/* P(range > q) = integral of k phi(z) (Phi(z)^(k-1) - (Phi(z) - Phi(z - q))^(k-1)), z the largest.
 * The bracket is taken as Phi^(k-1) (1 - (1 - r)^(k-1)), r = Phi(z - q) / Phi(z), so that tails
 * keep their digits. The integrand is entire and falls off as exp(-z^2) around q / 2: the trapezoid
 * rule converges faster than any power of the step. */
static double range_tail(double q, double k) {
    enum { STEPS = 640 };
    const double step = 1.0 / 64;
    double sum = 0;
    for (int i = -STEPS; i <= STEPS; i++) {
        const double z = 0.5 * q + i * step, below = as_normal_cdf(z);
        const double r = as_normal_cdf(z - q) / below;
        if (!(r > 0)) continue; /* both underflow */
        const double bracket = r < 1 ? -expm1((k - 1) * log1p(-r)) : 1;
        sum += exp(-0.5 * z * z + (k - 1) * log(below)) * bracket;
    }
    return fmin(1, k * sum * step * 0.39894228040143267794);
}

/* Bisection of a monotone tail; the bracket holds for any k that fits in memory. */
static double range_quantile(double tail, double k) {
    double low = 0, high = 80;
    for (int i = 0; i < 70 && high - low > 1e-15 * high; i++) {
        const double middle = 0.5 * (low + high);
        if (range_tail(middle, k) > tail)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static double rank_error(int64_t tasks, int64_t systems) {
    const double k = (double)systems;
    return sqrt(k * (k + 1) / (12 * (double)tasks));
}

double as_nemenyi_critical_difference(int64_t tasks, int64_t systems, double level) {
    if (tasks < 1 || systems < 2 || !(level > 0 && level < 1)) return NAN;
    return range_quantile(1 - level, (double)systems) * rank_error(tasks, systems);
}

double as_nemenyi_p(double rank_difference, int64_t tasks, int64_t systems) {
    if (tasks < 1 || systems < 2 || isnan(rank_difference)) return NAN;
    if (rank_difference == 0) return 1;
    return range_tail(fabs(rank_difference) / rank_error(tasks, systems), (double)systems);
}
