/* train_unigram.c: Unigram (Kudo 2018, arXiv:1804.10959) as `tokenizers` trains it: many seeds, then
 * rounds of expectation maximisation with a sparse prior (digamma), each followed by dropping the pieces
 * whose loss costs least, until 1.1 times the wanted number is left. Sums over words run in the order of
 * the words, in a fixed number of parts, so they do not depend on threads. */
#include "token/lattice.h"
#include "token/train_internal.h"

#include "base/mem.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 8 }; /* of the words; sums of parts are added in order */
static const double UNK_PENALTY = 10.0, LEAST_EXPECTED = 0.5, MISSING_STEP = 0.0001;

typedef struct unigram {
    const as_token_train_opts *o;
    const as_word_counts *w;
    as_learned *l; /* the pieces under way; 0 is <UNK>, which no text matches */
    as_trie trie;
    double min_score;
    int threads;
    double *sums[PARTS]; /* by piece */
    as_lattice lattice[PARTS];
    as_status status[PARTS];
    as_err errs[PARTS];
    uint8_t *kinds;      /* of pieces: KEEP, DROP, or has an alternative */
    size_t *alternative_at;
} unigram;

/* ---- the model of a round ---- */
static double digamma(double x) {
    double result = 0;
    for (; x < 7; x += 1)
        result -= 1 / x;
    x -= 0.5;
    const double xx = 1 / x, xx2 = xx * xx, xx4 = xx2 * xx2;
    return result + (log(x) + (1.0 / 24) * xx2 - 7.0 / 960 * xx4 + (31.0 / 8064) * xx4 * xx2 -
                     (127.0 / 30720) * xx4 * xx4);
}

static as_status build(unigram *u, as_err *err) {
    as_trie_free(&u->trie);
    u->min_score = INFINITY;
    for (size_t i = 1; i < u->l->n; i++) {
        if (!as_trie_add(&u->trie, u->l->pieces[i], (int32_t)i))
            return as_fail_nomem(err, "pieces", u->l->n);
        if (u->l->scores[i] < u->min_score) u->min_score = u->l->scores[i];
    }
    return as_trie_add(&u->trie, (as_str){"", 0}, -1) ? AS_OK : as_fail_nomem(err, "pieces", 0);
}

static as_scored_pieces scored(const unigram *u) {
    return (as_scored_pieces){&u->trie, u->l->scores, u->min_score - UNK_PENALTY};
}

/* ---- over all words: expectations, or how often the best ways use a piece ---- */
static as_status sum_part(unigram *u, int64_t part, bool best, as_err *err) {
    const as_scored_pieces p = scored(u);
    as_lattice *l = &u->lattice[part];
    double *sum = u->sums[part];
    const size_t from = u->w->n * (size_t)part / PARTS, to = u->w->n * (size_t)(part + 1) / PARTS;
    for (size_t i = from; i < to; i++) {
        const double count = (double)u->w->v[i].count;
        AS_TRY(as_lattice_build(l, u->w->v[i].word, &p, -1, err));
        if (!best) {
            if (isnan(as_lattice_expect(l, count, sum)))
                return as_fail(err, AS_NUMERIC, "a word of %zu bytes is too long for Unigram",
                               u->w->v[i].word.n);
            continue;
        }
        AS_TRY(as_lattice_viterbi(l, err));
        for (size_t k = 0; k < l->n_path; k++)
            sum[l->nodes[l->path[k]].id] += count;
    }
    return AS_OK;
}
static void expect_part(void *ctx, int64_t part, int thread) {
    unigram *u = ctx;
    (void)thread;
    u->status[part] = sum_part(u, part, false, &u->errs[part]);
}
static void best_part(void *ctx, int64_t part, int thread) {
    unigram *u = ctx;
    (void)thread;
    u->status[part] = sum_part(u, part, true, &u->errs[part]);
}

static as_status joined_status(const unigram *u, as_err *err) {
    for (int i = 0; i < PARTS; i++) {
        if (u->status[i] == AS_OK) continue;
        if (err != NULL) *err = u->errs[i];
        return u->status[i];
    }
    return AS_OK;
}

/* sums[0] holds the result. */
static as_status sum_all(unigram *u, bool best, as_err *err) {
    for (int i = 0; i < PARTS; i++) {
        as_free(u->sums[i]);
        u->sums[i] = as_calloc(u->l->n, sizeof *u->sums[i]);
        if (u->sums[i] == NULL) return as_fail_nomem(err, "pieces", u->l->n * sizeof(double));
    }
    as_parallel_dynamic(u->threads, PARTS, best ? best_part : expect_part, u);
    AS_TRY(joined_status(u, err));
    for (int i = 1; i < PARTS; i++)
        for (size_t k = 0; k < u->l->n; k++)
            u->sums[0][k] += u->sums[i][k];
    return AS_OK;
}

/* Expectations become scores; rare pieces go. */
static as_status maximise(unigram *u, as_err *err) {
    as_learned *l = u->l;
    double sum = 0;
    size_t n = 1;
    for (size_t i = 1; i < l->n; i++) {
        if (u->sums[0][i] < LEAST_EXPECTED) continue;
        l->pieces[n] = l->pieces[i];
        l->scores[n++] = u->sums[0][i];
        sum += u->sums[0][i];
    }
    l->n = n;
    const double logsum = digamma(sum);
    for (size_t i = 1; i < n; i++)
        l->scores[i] = digamma(l->scores[i]) - logsum;
    return build(u, err);
}

/* ---- dropping pieces ---- */
enum { KEEP, DROP, REPLACE };

typedef struct choice { /* of a part of the pieces */
    int32_t *v;
    size_t n, cap;
} choice;
typedef struct choosing {
    unigram *u;
    choice parts[PARTS];
} choosing;

/* What a piece would be cut into without itself: the second best way, when it is the best one. */
static as_status choose(unigram *u, as_lattice *l, choice *c, size_t id, as_err *err) {
    const as_scored_pieces p = scored(u);
    const as_str piece = u->l->pieces[id];
    uint32_t cp;
    u->kinds[id] = KEEP;
    u->alternative_at[id] = c->n;
    if (as_utf8_next(piece.p, &cp) == piece.n) return AS_OK;
    AS_TRY(as_lattice_build(l, piece, &p, -1, err));
    AS_TRY(as_lattice_viterbi(l, err));
    if (l->n_path >= 2) return u->kinds[id] = DROP, AS_OK;
    AS_TRY(as_lattice_build(l, piece, &p, (int32_t)id, err));
    AS_TRY(as_lattice_viterbi(l, err));
    if (l->n_path == 0) return AS_OK;
    if (c->cap < c->n + l->n_path + 1 && !as_grow(&c->v, &c->cap, c->n + l->n_path + 1, sizeof *c->v))
        return as_fail_nomem(err, "pieces", c->n * sizeof *c->v);
    u->kinds[id] = REPLACE;
    c->v[c->n++] = (int32_t)l->n_path;
    for (size_t k = 0; k < l->n_path; k++)
        c->v[c->n++] = l->nodes[l->path[k]].id;
    return AS_OK;
}

static size_t part_of(const unigram *u, int64_t part) {
    return 1 + (u->l->n - 1) * (size_t)part / PARTS;
}

static void choose_part(void *ctx, int64_t part, int thread) {
    choosing *c = ctx;
    unigram *u = c->u;
    (void)thread;
    u->status[part] = AS_OK;
    for (size_t id = part_of(u, part); id < part_of(u, part + 1) && u->status[part] == AS_OK; id++)
        u->status[part] = choose(u, &u->lattice[part], &c->parts[part], id, &u->errs[part]);
}

typedef struct candidate {
    double loss;
    size_t id;
} candidate;
static int by_loss(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->loss != y->loss) return x->loss > y->loss ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* How much likelier the text is with the piece than with its alternative, whose pieces take over. The sum
 * grows by as many occurrences as there are PIECES, less one: the library counts its list of
 * alternatives there, not the alternative's length. */
static double loss_of(const unigram *u, size_t id, const int32_t *alternative, double words, double sum) {
    const double *freq = u->sums[0], f = freq[id];
    const int32_t n = alternative[0];
    const double log_alt_sum = log(sum + f * (double)(u->l->n - 1));
    double log_alt = 0;
    for (int32_t k = 1; k <= n; k++)
        log_alt += log(freq[alternative[k]] + f) - log_alt_sum;
    return f / words * (log(f) - log(sum) - log_alt);
}

static as_status prune_with(unigram *u, const choosing *c, as_err *err) {
    as_learned *l = u->l;
    double sum = 0, words = 0;
    for (size_t i = 0; i < l->n; i++)
        sum += u->sums[0][i];
    for (size_t i = 0; i < u->w->n; i++)
        words += (double)u->w->v[i].count;
    candidate *v = as_alloc(l->n, sizeof *v);
    as_str *pieces = as_alloc(l->n, sizeof *pieces);
    double *scores = as_alloc(l->n, sizeof *scores);
    size_t n = 1, count = 0;
    as_status s = AS_OK;
    if (v == NULL || pieces == NULL || scores == NULL) {
        s = as_fail_nomem(err, "pieces", l->n * sizeof *v);
        goto done;
    }
    for (int part = 0; part < PARTS; part++)
        for (size_t id = part_of(u, part); id < part_of(u, part + 1); id++) {
            const double f = u->sums[0][id];
            if (f == 0 && u->kinds[id] == DROP) continue;
            if (u->kinds[id] != REPLACE) {
                pieces[n] = l->pieces[id], scores[n++] = l->scores[id];
            } else if (f > 0) {
                const int32_t *alternative = c->parts[part].v + u->alternative_at[id];
                v[count++] = (candidate){loss_of(u, id, alternative, words, sum), id};
            }
        }
    const size_t want = (size_t)(u->o->vocab_size * 11 / 10),
                 shrunk = (size_t)((double)l->n * u->o->shrinking_factor),
                 target = want > shrunk ? want : shrunk;
    if (count > 1) qsort(v, count, sizeof *v, by_loss);
    for (size_t i = 0; i < count && n != target; i++)
        pieces[n] = l->pieces[v[i].id], scores[n++] = l->scores[v[i].id];
    memcpy(l->pieces + 1, pieces + 1, (n - 1) * sizeof *pieces);
    memcpy(l->scores + 1, scores + 1, (n - 1) * sizeof *scores);
    l->n = n;
    s = build(u, err);
done:
    as_free(v), as_free(pieces), as_free(scores);
    return s;
}

static as_status prune(unigram *u, as_err *err) {
    choosing c = {.u = u};
    as_free(u->kinds), as_free(u->alternative_at);
    u->kinds = as_calloc(u->l->n, 1);
    u->alternative_at = as_alloc(u->l->n, sizeof *u->alternative_at);
    as_status s = AS_OK;
    if (u->kinds == NULL || u->alternative_at == NULL) s = as_fail_nomem(err, "pieces", u->l->n);
    if (s == AS_OK) {
        as_parallel_dynamic(u->threads, PARTS, choose_part, &c);
        s = joined_status(u, err);
    }
    if (s == AS_OK) s = sum_all(u, true, err);
    if (s == AS_OK) s = prune_with(u, &c, err);
    for (int i = 0; i < PARTS; i++)
        as_free(c.parts[i].v);
    return s;
}

/* ---- the vocabulary ---- */
typedef struct ranked {
    double score;
    size_t order;
    as_str piece;
} ranked;
static int by_rank(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* All characters in the order of code points, then pieces in their order until there are enough. */
static as_status finish_with(unigram *u, ranked *v, const as_char_count *chars, size_t n_chars,
                             uint8_t *taken, as_bump *text, as_err *err) {
    as_learned *l = u->l;
    const size_t special = (size_t)u->o->special_count, room = (size_t)u->o->vocab_size - special;
    double penalty = 0;
    size_t n = 0;
    for (size_t i = 0; i < n_chars; i++) {
        char *c = as_bump_push(text, 4, 1);
        if (c == NULL) return as_fail_nomem(err, "pieces", 4);
        const as_str piece = {c, as_utf8_put(c, chars[i].cp)};
        uint32_t node = 0;
        for (size_t k = 0; k < piece.n && (k == 0 || node != 0); k++)
            node = as_trie_step(&u->trie, node, (unsigned char)c[k]);
        const int32_t id = node != 0 ? u->trie.value[node] : -1;
        if (id >= 0) taken[id] = 1;
        v[n] = (ranked){id >= 0 ? l->scores[id] : u->min_score + penalty, n, piece};
        if (id < 0) penalty += MISSING_STEP;
        n++;
    }
    for (size_t i = 1; i < l->n; i++) {
        if (taken[i]) continue;
        v[n] = (ranked){isnan(l->scores[i]) ? 0 : l->scores[i], n, l->pieces[i]};
        if (++n == room) break;
    }
    qsort(v, n, sizeof *v, by_rank);
    size_t cap_a = 0, cap_b = 0;
    as_free(l->pieces), as_free(l->scores);
    l->pieces = NULL, l->scores = NULL, l->n = 0, l->cap = 0;
    if (!as_grow(&l->pieces, &cap_a, special + n + 1, sizeof *l->pieces) ||
        !as_grow(&l->scores, &cap_b, special + n + 1, sizeof *l->scores))
        return as_fail_nomem(err, "pieces", n * sizeof *l->pieces);
    for (size_t i = 0; i < special; i++)
        l->pieces[l->n] = as_str_of(u->o->special[i]), l->scores[l->n++] = 0;
    for (size_t i = 0; i < n; i++)
        l->pieces[l->n] = v[i].piece, l->scores[l->n++] = v[i].score;
    return AS_OK;
}

static as_status finish(unigram *u, const as_char_count *chars, size_t n_chars, as_bump *text,
                        as_err *err) {
    ranked *v = as_alloc(n_chars + u->l->n + 1, sizeof *v);
    uint8_t *taken = as_calloc(u->l->n + 1, 1);
    const as_status s = v == NULL || taken == NULL
                            ? as_fail_nomem(err, "pieces", u->l->n * sizeof *v)
                            : finish_with(u, v, chars, n_chars, taken, text, err);
    as_free(v), as_free(taken);
    return s;
}

static as_status train(unigram *u, as_err *err) {
    const size_t want = (size_t)(u->o->vocab_size * 11 / 10);
    AS_TRY(build(u, err));
    for (;;) {
        for (int64_t i = 0; i < u->o->sub_iterations; i++) {
            AS_TRY(sum_all(u, false, err));
            AS_TRY(maximise(u, err));
        }
        if (!as_train_goes_on(u->o, "pruning", (int64_t)u->l->n, 0)) return as_train_stopped(err);
        if (u->l->n <= want) return AS_OK;
        AS_TRY(prune(u, err));
    }
}

static as_status begin(unigram *u, as_bump *text, as_err *err) {
    as_learned *l = u->l;
    size_t cap = 0;
    if (!as_grow(&l->pieces, &cap, 16, sizeof *l->pieces) ||
        !as_grow(&l->scores, &l->cap, 16, sizeof *l->scores))
        return as_fail_nomem(err, "pieces", 16);
    l->cap = 16;
    l->pieces[0] = AS_LIT("<UNK>"), l->scores[0] = NAN, l->n = 1;
    AS_TRY(as_find_seeds(l, text, u->w, u->o, err));
    double sum = 0;
    for (size_t i = 1; i < l->n; i++)
        sum += l->scores[i];
    for (size_t i = 1; i < l->n; i++)
        l->scores[i] = log(l->scores[i]) - log(sum);
    return AS_OK;
}

as_status as_learn_unigram(as_learned *out, const as_word_counts *w, const as_token_train_opts *o,
                           as_err *err) {
    *out = (as_learned){0};
    as_arena_init(&out->arena, 0);
    unigram u = {.o = o, .w = w, .l = out, .threads = o->threads > 0 ? o->threads : as_cpu_count()};
    as_bump text = {.arena = &out->arena};
    as_char_count *chars = NULL;
    size_t n_chars = 0;
    as_status s = as_count_chars(&chars, &n_chars, w, o->alphabet, err);
    if (s == AS_OK && (int64_t)n_chars > o->vocab_size) {
        s = as_fail(err, AS_USAGE, "the texts have %zu different characters, more than the %lld pieces asked for",
                    n_chars, (long long)o->vocab_size);
        as_hint(err, "Raise the size of the vocabulary; Unigram keeps every character.");
    }
    out->alphabet = (int64_t)n_chars;
    if (s == AS_OK) s = begin(&u, &text, err);
    if (s == AS_OK) s = train(&u, err);
    if (s == AS_OK) s = finish(&u, chars, n_chars, &text, err);
    as_free(chars), as_free(u.kinds), as_free(u.alternative_at);
    as_trie_free(&u.trie);
    for (int i = 0; i < PARTS; i++) {
        as_free(u.sums[i]);
        as_lattice_free(&u.lattice[i]);
    }
    return s;
}
