/* groups.c: which systems can be told apart, as letters and as intervals of ranks. */
#include "stats/many.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 64 };

static bool differ(const double *p, int64_t k, int64_t i, int64_t j, double alpha) {
    return p[i < j ? i * k + j : j * k + i] <= alpha; /* a NaN tells nothing */
}

void as_rank_intervals(int64_t *low, int64_t *high, const double *score, const double *p_adjusted,
                       int64_t k, double alpha) {
    for (int64_t i = 0; i < k; i++) {
        low[i] = 1;
        high[i] = k;
        for (int64_t j = 0; j < k; j++)
            if (i != j && differ(p_adjusted, k, i, j, alpha)) {
                low[i] += score[j] > score[i];
                high[i] -= score[j] < score[i];
            }
    }
}

/* Systems are nodes, numbered by score: bit 63 is the best. */
typedef struct search {
    uint64_t alike[MOST]; /* [place] the others that the system at that place cannot be told from */
    uint64_t group[MOST];
    int count;
    bool too_many;
} search;

static int first_place(uint64_t set) {
    return __builtin_clzll(set);
}

static uint64_t bit_of(int place) {
    return (uint64_t)1 << (63 - place);
}

/* Every largest set of systems that cannot be told apart, once (Bron and Kerbosch 1973): `group`
 * so far, `open` may join, `closed` would give a set that was found before. */
static void grow(search *s, uint64_t group, uint64_t open, uint64_t closed) {
    if (s->too_many) return;
    if (!open && !closed) {
        if (s->count == MOST)
            s->too_many = true;
        else
            s->group[s->count++] = group;
        return;
    }
    /* Every set found from here has the pivot or a system that the pivot is told from. */
    int pivot = 0, most = -1;
    for (uint64_t left = open | closed; left; left &= ~bit_of(first_place(left))) {
        const int covered = __builtin_popcountll(open & s->alike[first_place(left)]);
        if (covered > most) {
            most = covered;
            pivot = first_place(left);
        }
    }
    for (uint64_t left = open & ~s->alike[pivot]; left; left &= ~bit_of(first_place(left))) {
        const int place = first_place(left);
        grow(s, group | bit_of(place), open & s->alike[place], closed & s->alike[place]);
        open &= ~bit_of(place);
        closed |= bit_of(place);
    }
}

typedef struct placed {
    double score;
    int64_t system;
} placed;

static int by_score(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->system < y->system ? -1 : 1;
}

/* The group with the better system where two first differ comes first. */
static int by_members(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

static as_status place_systems(placed *order, const double *score, int64_t k, as_err *err) {
    if (k < 0 || k > MOST) {
        (void)as_fail(err, AS_USAGE, "letters for %lld systems; the limit is %d", (long long)k,
                      MOST);
        as_hint(err, "Compare fewer systems, or read the intervals of ranks.");
        return AS_USAGE;
    }
    for (int64_t i = 0; i < k; i++) {
        if (isnan(score[i]))
            return as_fail(err, AS_NUMERIC, "system %lld has no score", (long long)i + 1);
        order[i] = (placed){score[i], i};
    }
    if (k > 1) qsort(order, (size_t)k, sizeof *order, by_score);
    return AS_OK;
}

/* Insert-and-absorb (Piepho 2004) ends with the largest sets of systems that cannot be told apart;
 * they are listed here directly, as its columns on the way can be many more than those at the end.
 */
as_status as_letter_groups(uint64_t *letters, const double *score, const double *p_adjusted,
                           int64_t k, double alpha, as_err *err) {
    placed order[MOST];
    AS_TRY(place_systems(order, score, k, err));
    if (k == 0) return AS_OK;
    search s = {0};
    uint64_t all = 0;
    for (int i = 0; i < k; i++) {
        all |= bit_of(i);
        for (int j = 0; j < k; j++)
            if (i != j && !differ(p_adjusted, k, order[i].system, order[j].system, alpha))
                s.alike[i] |= bit_of(j);
    }
    grow(&s, 0, all, 0);
    if (s.too_many) {
        (void)as_fail(err, AS_NUMERIC, "%lld systems fall into more than %d groups", (long long)k,
                      MOST);
        as_hint(err, "Compare fewer systems, or read the intervals of ranks.");
        return AS_NUMERIC;
    }
    qsort(s.group, (size_t)s.count, sizeof *s.group, by_members);
    for (int i = 0; i < k; i++) {
        letters[order[i].system] = 0;
        for (int g = 0; g < s.count; g++)
            if (s.group[g] & bit_of(i)) letters[order[i].system] |= (uint64_t)1 << g;
    }
    return AS_OK;
}
