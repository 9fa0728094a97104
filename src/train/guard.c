#include "train/guard.h"
#include <math.h>

double as_guard_limit(const as_guard *g) {
    return g->n < AS_GUARD_WARM ? (double)INFINITY : g->mean + fmax(6.0 * sqrt(g->var), 0.5);
}
bool as_guard_see(as_guard *g, double loss) {
    if (loss > as_guard_limit(g)) return ++g->bad >= AS_GUARD_BAD;
    g->bad = 0;
    const double share = g->n < 50 ? 1.0 / (double)(g->n + 1) : 0.02, d = loss - g->mean;
    g->mean += share * d;
    g->var = (1.0 - share) * (g->var + share * d * d);
    g->n++;
    return false;
}
