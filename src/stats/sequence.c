/* sequence.c: a confidence sequence for the mean of bounded values, read after every item.
 *
 * Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", theorem
 * 2; without replacement Waudby-Smith and Ramdas 2020, "Confidence sequences for sampling without
 * replacement". Values are taken to [0, 1]. With bets l_i that depend on earlier items only,
 *     exp(sum l_i (x_i - m_i) - v_i psi(l_i)),  v_i = 4 (x_i - mean of earlier items)^2,
 * is a supermartingale where m_i is the mean of x_i given the earlier items: the mean m itself, or
 * (N m - sum of earlier items) / (N - i + 1) when N items are drawn without replacement. Ville's
 * inequality in both directions bounds m at all times together. */
#include "stats/many.h"

#include <math.h>

/* Bets are cut here; the paper finds 1/2 and 3/4 sensible. */
static const double largest_bet = 0.5;

static void spoil(as_sequence *s) {
    s->low = s->high = NAN;
}

as_sequence as_sequence_begin(double lower, double upper, double level, int64_t population) {
    as_sequence s = {.lower = lower,
                     .upper = upper,
                     .level = level,
                     .population = population,
                     .run_high = 1,
                     .low = lower,
                     .high = upper};
    if (!(lower < upper && isfinite(upper - lower) && level > 0 && level < 1 && population >= 0))
        spoil(&s);
    return s;
}

/* The bet on item t, from the t - 1 items before it. */
static double bet_on(const as_sequence *s, double t, double log_2_alpha) {
    const double variance = (0.25 + s->squares) / t;
    return fmin(largest_bet, sqrt(2 * log_2_alpha / (variance * t * log1p(t))));
}

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* The interval from the running one; the items that were seen bound the mean of a finite
 * population for certain. */
static void publish(as_sequence *s) {
    double low = s->run_low, high = s->run_high;
    if (s->population > 0) {
        const double all = (double)s->population, unseen = all - (double)s->t;
        const double least = s->sum / all, most = (s->sum + unseen) / all;
        low = clamp(low, least, most);
        high = clamp(high, least, most);
    }
    s->low = s->lower + (s->upper - s->lower) * low;
    s->high = s->lower + (s->upper - s->lower) * high;
}

void as_sequence_add(as_sequence *s, double x) {
    const bool room = s->population == 0 || s->t < s->population;
    if (isnan(s->low) || !room || !(x >= s->lower && x <= s->upper)) {
        spoil(s);
        return;
    }
    const double unit = (x - s->lower) / (s->upper - s->lower), t = (double)++s->t;
    const double log_2_alpha = log(2 / (1 - s->level)), bet = bet_on(s, t, log_2_alpha);
    const double off = unit - (0.5 + s->sum) / t; /* from the mean of the earlier items */
    const double left = (double)s->population - (t - 1);
    s->bets += bet * unit;
    s->base += s->population > 0 ? bet * (double)s->population / left : bet;
    s->known += s->population > 0 ? bet * s->sum / left : 0;
    s->penalty += off * off * (-log1p(-bet) - bet); /* 4 off^2 psi(bet) */
    s->sum += unit;
    const double rest = unit - (0.5 + s->sum) / (t + 1);
    s->squares += rest * rest;
    const double centre = (s->bets + s->known) / s->base;
    const double half = (log_2_alpha + s->penalty) / s->base;
    /* An empty intersection (probability below 1 - level) leaves one point. */
    s->run_low = clamp(centre - half, s->run_low, s->run_high);
    s->run_high = clamp(centre + half, s->run_low, s->run_high);
    publish(s);
}
