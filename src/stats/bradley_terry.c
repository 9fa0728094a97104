/* bradley_terry.c: abilities from who beat whom (Bradley and Terry 1952):
 * P(i beats j) = 1 / (1 + exp(strength_j - strength_i)). Maximum likelihood by Newton's method; the
 * log-likelihood is concave. */
#include "base/mem.h"
#include "stats/many.h"

#include <math.h>
#include <string.h>

enum { MOST_SYSTEMS = 4096, MOST_STEPS = 200 };

typedef struct model {
    const double *wins;
    int64_t k;
    double prior;
    double *strength; /* [k], strength[0] = 0 */
    double *gradient; /* [k - 1] of the log-likelihood by strength 1 .. k - 1 */
    double *info;     /* [k - 1, k - 1] Fisher information; then its Cholesky factor */
    double *tried;    /* [k] */
} model;

static double wins_of(const model *m, int64_t i, int64_t j) {
    return m->wins[i * m->k + j] + m->prior;
}

static as_status check_wins(const double *wins, int64_t k, double prior, as_err *err) {
    if (k < 1 || k > MOST_SYSTEMS)
        return as_fail(err, AS_USAGE, "%lld systems to rate; 1 to %d can be", (long long)k,
                       MOST_SYSTEMS);
    if (!(prior >= 0 && isfinite(prior)))
        return as_fail(err, AS_USAGE, "%g pseudo-wins as a prior", prior);
    for (int64_t i = 0; i < k * k; i++) {
        const long long row = i / k + 1, column = i % k + 1;
        if (!(wins[i] >= 0 && isfinite(wins[i])))
            return as_fail(err, AS_USAGE, "%g wins of system %lld over system %lld", wins[i], row,
                           column);
        if (row == column && wins[i] != 0)
            return as_fail(err, AS_USAGE, "system %lld has %g wins over itself", row, wins[i]);
    }
    return AS_OK;
}

/* Systems that are reached from system 0 by "won against" (or, backward, by "lost to"). */
static int64_t reach(unsigned char *seen, int64_t *queue, const model *m, bool backward) {
    int64_t count = 1;
    memset(seen, 0, (size_t)m->k);
    seen[0] = 1;
    queue[0] = 0;
    for (int64_t at = 0; at < count; at++)
        for (int64_t j = 0; j < m->k; j++) {
            const int64_t i = queue[at];
            if (!seen[j] && wins_of(m, backward ? j : i, backward ? i : j) > 0) {
                seen[j] = 1;
                queue[count++] = j;
            }
        }
    return count;
}

/* Abilities are finite and unique only where a chain of wins leads from each system to each other
 * one (Ford 1957). */
static as_status check_connected(const model *m, as_err *err) {
    unsigned char *seen = as_alloc((size_t)m->k, sizeof *seen);
    int64_t *queue = as_alloc((size_t)m->k, sizeof *queue);
    as_status status = AS_OK;
    if (!seen || !queue) {
        status = as_fail_nomem(err, "a graph of wins", (size_t)m->k * 9);
        goto done;
    }
    for (int backward = 0; backward < 2 && status == AS_OK; backward++) {
        if (reach(seen, queue, m, backward) == m->k) continue;
        long long lone = 1;
        while (seen[lone])
            lone++;
        const long long from = backward ? lone : 0, to = backward ? 0 : lone;
        status = as_fail(err, AS_NUMERIC,
                         "no chain of wins leads from system %lld to system %lld: their abilities "
                         "cannot be compared",
                         from + 1, to + 1);
        as_hint(err, "Give a prior, such as 0.1 pseudo-wins for each ordered pair.");
    }
done:
    as_free(seen);
    as_free(queue);
    return status;
}

/* log(1 + exp(x)) */
static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double log_likelihood(const model *m, const double *strength) {
    double sum = 0;
    for (int64_t i = 0; i < m->k; i++)
        for (int64_t j = 0; j < m->k; j++)
            if (i != j && wins_of(m, i, j) > 0)
                sum -= wins_of(m, i, j) * softplus(strength[j] - strength[i]);
    return sum;
}

static void fill_derivatives(const model *m) {
    const int64_t k = m->k, free_k = k - 1;
    memset(m->gradient, 0, (size_t)free_k * sizeof *m->gradient);
    memset(m->info, 0, (size_t)(free_k * free_k) * sizeof *m->info);
    for (int64_t i = 1; i < k; i++)
        for (int64_t j = 0; j < i; j++) {
            const double won = wins_of(m, i, j), lost = wins_of(m, j, i);
            const double gap = m->strength[i] - m->strength[j], odds = exp(-fabs(gap));
            const double less = odds / (1 + odds), more = 1 / (1 + odds);
            const double p = gap > 0 ? more : less, q = gap > 0 ? less : more;
            const double push = won * q - lost * p, weight = (won + lost) * p * q;
            m->gradient[i - 1] += push;
            m->info[(i - 1) * free_k + i - 1] += weight;
            if (j == 0) continue;
            m->gradient[j - 1] -= push;
            m->info[(j - 1) * free_k + j - 1] += weight;
            m->info[(i - 1) * free_k + j - 1] -= weight;
            m->info[(j - 1) * free_k + i - 1] -= weight;
        }
}

/* Lower triangle in place; false where the matrix is not positive definite. */
static bool factor(double *a, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t l = 0; l < j; l++)
                sum -= a[i * n + l] * a[j * n + l];
            if (i != j)
                a[i * n + j] = sum / a[j * n + j];
            else if (sum > 0)
                a[i * n + i] = sqrt(sum);
            else
                return false;
        }
    return true;
}

static void solve_lower(const double *a, int64_t n, double *x, int64_t from) {
    for (int64_t i = from; i < n; i++) {
        for (int64_t l = from; l < i; l++)
            x[i] -= a[i * n + l] * x[l];
        x[i] /= a[i * n + i];
    }
}

static void solve_upper(const double *a, int64_t n, double *x) {
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t l = i + 1; l < n; l++)
            x[i] -= a[l * n + i] * x[l];
        x[i] /= a[i * n + i];
    }
}

/* One damped step; *moved = its largest change. false: the information is singular. */
static bool step(const model *m, double *moved) {
    const int64_t k = m->k, free_k = k - 1;
    fill_derivatives(m);
    if (!factor(m->info, free_k)) return false;
    solve_lower(m->info, free_k, m->gradient, 0);
    solve_upper(m->info, free_k, m->gradient);
    const double now = log_likelihood(m, m->strength);
    double share = 1;
    for (int halving = 0; halving < 60; halving++, share /= 2) {
        m->tried[0] = 0;
        *moved = 0;
        for (int64_t i = 1; i < k; i++) {
            m->tried[i] = m->strength[i] + share * m->gradient[i - 1];
            *moved = fmax(*moved, fabs(share * m->gradient[i - 1]));
        }
        /* near the maximum the gain is below the rounding of the sum */
        if (*moved < 1e-6 || log_likelihood(m, m->tried) >= now) break;
    }
    memcpy(m->strength, m->tried, (size_t)k * sizeof *m->strength);
    return true;
}

/* se_i^2 = (info^-1)_ii = |L^-1 e_i|^2. */
static bool standard_errors(const model *m, double *se) {
    const int64_t n = m->k - 1;
    fill_derivatives(m);
    if (!factor(m->info, n)) return false;
    se[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        double squares = 0;
        memset(m->tried, 0, (size_t)n * sizeof *m->tried);
        m->tried[i] = 1;
        solve_lower(m->info, n, m->tried, i);
        for (int64_t l = i; l < n; l++)
            squares += m->tried[l] * m->tried[l];
        se[i + 1] = sqrt(squares);
    }
    return true;
}

static as_status not_converged(as_err *err) {
    (void)as_fail(err, AS_NUMERIC, "the abilities did not settle after %d steps", MOST_STEPS);
    as_hint(err, "Give a prior, such as 0.1 pseudo-wins for each ordered pair.");
    return AS_NUMERIC;
}

as_status as_bradley_terry(double *strength, double *se, const double *wins, int64_t k,
                           double prior, as_err *err) {
    AS_TRY(check_wins(wins, k, prior, err));
    const size_t free_k = (size_t)k - 1;
    model m = {.wins = wins, .k = k, .prior = prior, .strength = strength};
    memset(strength, 0, (size_t)k * sizeof *strength);
    AS_TRY(check_connected(&m, err));
    m.gradient = as_alloc(free_k, sizeof *m.gradient);
    m.info = as_alloc(free_k * free_k, sizeof *m.info);
    m.tried = as_alloc((size_t)k, sizeof *m.tried);
    as_status status = AS_OK;
    if (!m.gradient || !m.info || !m.tried) {
        status = as_fail_nomem(err, "abilities", (free_k + 2) * (free_k + 2) * sizeof *m.info);
        goto done;
    }
    double moved = INFINITY;
    for (int i = 0; i < MOST_STEPS && moved > 1e-13; i++)
        if (!step(&m, &moved)) {
            status = not_converged(err);
            goto done;
        }
    if (moved > 1e-9 || !standard_errors(&m, se)) status = not_converged(err);
done:
    as_free(m.gradient);
    as_free(m.info);
    as_free(m.tried);
    return status;
}
