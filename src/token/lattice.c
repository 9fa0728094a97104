#include "token/lattice.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <math.h>

static as_status reserve(as_lattice *l, size_t len, as_err *err) {
    l->len = len, l->n = l->n_path = 0;
    if (len + 2 <= l->room) return AS_OK;
    size_t c[5] = {l->room, l->room, l->room, l->room, l->room};
    if (!as_grow(&l->first, &c[0], len + 2, sizeof *l->first) ||
        !as_grow(&l->last, &c[1], len + 2, sizeof *l->last) ||
        !as_grow(&l->at, &c[2], len + 2, sizeof *l->at) ||
        !as_grow(&l->alpha, &c[3], len + 2, sizeof *l->alpha) ||
        !as_grow(&l->beta, &c[4], len + 2, sizeof *l->beta))
        return as_fail_nomem(err, "ways", len * sizeof *l->alpha);
    l->room = c[0];
    return AS_OK;
}

static as_status add(as_lattice *l, size_t begin, size_t end, int32_t id, double score, as_err *err) {
    if (l->n >= l->cap && !as_grow(&l->nodes, &l->cap, l->n + 1, sizeof *l->nodes))
        return as_fail_nomem(err, "ways", l->n * sizeof *l->nodes);
    const int32_t i = (int32_t)l->n;
    l->nodes[l->n++] = (as_node){(uint32_t)begin, (uint32_t)end, id, -1, -1, score, 0};
    if (l->first[end] < 0)
        l->first[end] = i;
    else
        l->nodes[l->last[end]].next = i;
    l->last[end] = i;
    return AS_OK;
}

as_status as_lattice_build(as_lattice *l, as_str word, const as_scored_pieces *p, int32_t skip,
                           as_err *err) {
    AS_TRY(reserve(l, word.n, err));
    for (size_t i = 0; i <= word.n; i++)
        l->first[i] = -1;
    uint32_t cp;
    for (size_t i = 0, len = 0; i < word.n; i += len) {
        len = as_utf8_next(word.p + i, &cp);
        bool single = false;
        uint32_t node = 0;
        l->at[i] = (uint32_t)l->n;
        for (size_t k = i; k < word.n; k++) {
            node = as_trie_step(p->trie, node, (unsigned char)word.p[k]);
            if (node == 0) break;
            const int32_t id = p->trie->value[node];
            if (id < 0 || id == skip) continue;
            AS_TRY(add(l, i, k + 1, id, p->score[id], err));
            single = single || k + 1 - i == len;
        }
        if (!single) AS_TRY(add(l, i, i + len, 0, p->unk_score, err));
        for (size_t k = 1; k < len; k++)
            l->at[i + k] = (uint32_t)l->n;
    }
    l->at[word.n] = (uint32_t)l->n;
    return AS_OK;
}

/* Best predecessor of something that begins at byte `at` and scores `score`: the first of equal ones. */
static bool best_before(const as_lattice *l, size_t at, double score, int32_t *prev, double *best) {
    if (at == 0) return *prev = -1, *best = 0.0 + score, true;
    bool any = false;
    for (int32_t i = l->first[at]; i >= 0; i = l->nodes[i].next) {
        const double s = l->nodes[i].best + score;
        if (any && !(s > *best)) continue;
        *prev = i, *best = s, any = true;
    }
    return any;
}

as_status as_lattice_viterbi(as_lattice *l, as_err *err) {
    l->n_path = 0;
    for (size_t i = 0; i < l->n; i++) {
        as_node *x = &l->nodes[i];
        if (!best_before(l, x->begin, x->score, &x->prev, &x->best)) return AS_OK;
    }
    int32_t last;
    double best;
    if (l->len == 0 || !best_before(l, l->len, 0.0, &last, &best)) return AS_OK;
    size_t n = 0;
    for (int32_t i = last; i >= 0; i = l->nodes[i].prev)
        n++;
    if (l->cap_path < n && !as_grow(&l->path, &l->cap_path, n, sizeof *l->path))
        return as_fail_nomem(err, "ways", n * sizeof *l->path);
    l->n_path = n;
    for (int32_t i = last; i >= 0; i = l->nodes[i].prev)
        l->path[--n] = i;
    return AS_OK;
}

/* log(exp(x) + exp(y)) */
static double log_add(double x, double y) {
    const double low = x > y ? y : x, high = x > y ? x : y;
    return high > low + 50.0 ? high : high + log(exp(low - high) + 1.0);
}

double as_lattice_expect(as_lattice *l, double count, double *expected) {
    l->alpha[0] = 0.0;
    for (size_t pos = 1; pos <= l->len; pos++) {
        bool any = false;
        for (int32_t i = l->first[pos]; i >= 0; i = l->nodes[i].next) {
            const double x = l->nodes[i].score + l->alpha[l->nodes[i].begin];
            l->alpha[pos] = any ? log_add(l->alpha[pos], x) : x;
            any = true;
        }
    }
    l->beta[l->len] = 0.0;
    for (size_t pos = l->len; pos-- > 0;) {
        for (uint32_t i = l->at[pos]; i < l->at[pos + 1]; i++) {
            const double x = l->nodes[i].score + l->beta[l->nodes[i].end];
            l->beta[pos] = i > l->at[pos] ? log_add(l->beta[pos], x) : x;
        }
    }
    const double z = l->alpha[l->len];
    for (size_t i = 0; i < l->n; i++) {
        const as_node *x = &l->nodes[i];
        expected[x->id] += count * exp(l->alpha[x->begin] + x->score + l->beta[x->end] - z);
    }
    return count * z;
}

void as_lattice_free(as_lattice *l) {
    as_free(l->nodes), as_free(l->first), as_free(l->last), as_free(l->at);
    as_free(l->alpha), as_free(l->beta), as_free(l->path);
    *l = (as_lattice){0};
}
