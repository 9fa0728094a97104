/* train_merges.c: byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909), and WordPiece as
 * Hugging Face trains it: the same with a prefix on pieces inside a word. The order of events is that of
 * `tokenizers`' BpeTrainer, its quirks included:
 *   - a queue of (pair, count, words), highest count first, then lowest pair of ids;
 *   - an entry names the words in which its pair arose together; a pair that arises again later, under
 *     another name for the same string, gets a second entry, and is then merged twice. Its rank is the
 *     later one;
 *   - an entry whose count has changed goes back with the new one;
 *   - with a longest token, pairs that would exceed it are not counted when they arise, but are counted
 *     off when they end: a count below zero reads as the highest of all, as it does there.
 * Ids of characters inside words ("##x") follow code points; the library takes them in the order of a
 * hash table. */
#include "token/train_internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    uint64_t key; /* left id << 32 | right id */
    int64_t count;
    int32_t waiting; /* words in which it has arisen in this step: the newest in `arisen`, or -1 */
    int32_t merge;   /* place of its last merge, or -1 */
} pair;
typedef struct arising {
    uint32_t word;
    int32_t next;
} arising;
typedef struct queued {
    uint64_t count, key;
    uint32_t pair, n;
    const uint32_t *words;
} queued;
typedef struct word {
    size_t at;    /* first symbol */
    uint32_t len; /* symbols */
} word;

typedef struct merger {
    const as_token_train_opts *o;
    as_learned *l;
    as_str prefix;
    as_vocab vocab;
    as_bump text; /* pieces and the queue's word lists */
    word *words;
    const as_word_counts *counted;
    int32_t *ids, *lens; /* symbols of all words; lens only when there is a longest token */
    pair *pairs;
    size_t n_pairs, cap_pairs;
    uint32_t *slots; /* number of the pair + 1 */
    size_t n_slots;
    arising *arisen;
    size_t n_arisen, cap_arisen;
    uint32_t *touched; /* pairs that wait */
    size_t n_touched, cap_touched;
    queued *heap;
    size_t n_heap, cap_heap;
    size_t cap_merges;
} merger;

/* ---- pieces ---- */
static int32_t piece_id(merger *m, as_str a, as_str b, as_err *err) {
    const uint64_t h = as_vocab_hash(as_vocab_hash(AS_VOCAB_START, a), b);
    const int32_t e = as_vocab_find(&m->vocab, h, a, b.p, b.n);
    if (e >= 0) return m->vocab.entries[e].id;
    char *p = as_bump_push(&m->text, a.n + b.n + 1, 1);
    as_learned *l = m->l;
    if (p == NULL || l->n >= AS_ID_LIMIT ||
        !as_grow(&l->pieces, &l->cap, l->n + 1, sizeof *l->pieces)) {
        (void)as_fail_nomem(err, "vocabulary", l->n * sizeof *l->pieces);
        return -1;
    }
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    const as_str piece = {p, a.n + b.n};
    if (as_vocab_add(&m->vocab, piece, (int32_t)l->n, err) != AS_OK) return -1;
    l->pieces[l->n++] = piece;
    return (int32_t)l->n - 1;
}

static int rarest_first(const void *a, const void *b) {
    const as_char_count *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? -1 : 1;
    return x->cp > y->cp ? -1 : x->cp < y->cp;
}
static int by_point(const void *a, const void *b) {
    const as_char_count *x = a, *y = b;
    return x->cp < y->cp ? -1 : x->cp > y->cp;
}

/* Special tokens, then the alphabet in the order of code points. */
static as_status begin_vocab(merger *m, as_err *err) {
    as_char_count *chars;
    size_t n;
    AS_TRY(as_count_chars(&chars, &n, m->counted, m->o->alphabet, err));
    const size_t special = (size_t)m->o->special_count;
    as_status s =
        as_vocab_init(&m->vocab, special + 2 * n + (size_t)m->o->vocab_size + 1, err);
    for (size_t i = 0; i < special && s == AS_OK; i++)
        if (piece_id(m, as_str_of(m->o->special[i]), (as_str){"", 0}, err) < 0) s = AS_NOMEM;
    if (m->o->limit_alphabet > 0 && n > (size_t)m->o->limit_alphabet) {
        qsort(chars, n, sizeof *chars, rarest_first);
        const size_t drop = n - (size_t)m->o->limit_alphabet;
        n -= drop;
        memmove(chars, chars + drop, n * sizeof *chars);
        qsort(chars, n, sizeof *chars, by_point);
    }
    m->l->alphabet = (int64_t)n;
    for (size_t i = 0; i < n && s == AS_OK; i++) {
        char c[4];
        if (piece_id(m, (as_str){c, as_utf8_put(c, chars[i].cp)}, (as_str){"", 0}, err) < 0)
            s = AS_NOMEM;
    }
    as_free(chars);
    return s;
}

/* ---- words as symbols ---- */
static int32_t char_id(const merger *m, as_str c) { return as_vocab_id(&m->vocab, c); }

/* Pieces for characters inside words, in the order of code points. */
static as_status add_inner(merger *m, as_err *err) {
    if (m->prefix.n == 0) return AS_OK;
    enum { POINTS = 0x110000 };
    unsigned char *inner = as_calloc(POINTS / 8, 1);
    if (inner == NULL) return as_fail_nomem(err, "alphabet", POINTS / 8);
    as_status s = AS_OK;
    uint32_t cp;
    for (size_t i = 0; i < m->counted->n; i++) {
        const as_str w = m->counted->v[i].word;
        for (size_t k = 0, len = 0; k < w.n; k += len) {
            len = as_utf8_next(w.p + k, &cp);
            if (k > 0) inner[cp >> 3] |= (unsigned char)(1u << (cp & 7));
        }
    }
    for (cp = 0; cp < POINTS && s == AS_OK; cp++) {
        if (!(inner[cp >> 3] >> (cp & 7) & 1)) continue;
        char c[4];
        const as_str one = {c, as_utf8_put(c, cp)};
        if (char_id(m, one) >= 0 && piece_id(m, m->prefix, one, err) < 0) s = AS_NOMEM;
    }
    as_free(inner);
    return s;
}

/* Characters outside the alphabet are left out. */
static as_status spell_words(merger *m, as_err *err) {
    size_t chars = 0, at = 0;
    const size_t n = m->counted->n;
    for (size_t i = 0; i < n; i++)
        chars += as_utf8_count(m->counted->v[i].word.p, m->counted->v[i].word.n);
    m->words = as_alloc(n + 1, sizeof *m->words);
    m->ids = as_alloc(chars + 1, sizeof *m->ids);
    if (m->o->max_token_length > 0) m->lens = as_alloc(chars + 1, sizeof *m->lens);
    if (m->words == NULL || m->ids == NULL || (m->o->max_token_length > 0 && m->lens == NULL))
        return as_fail_nomem(err, "words", chars * sizeof *m->ids);
    uint32_t cp;
    for (size_t i = 0; i < n; i++) {
        const as_str w = m->counted->v[i].word;
        m->words[i] = (word){at, 0};
        for (size_t k = 0, len = 0; k < w.n; k += len) {
            len = as_utf8_next(w.p + k, &cp);
            const as_str one = {w.p + k, len};
            int32_t id = char_id(m, one);
            if (id < 0) continue;
            if (k > 0 && m->prefix.n > 0) id = piece_id(m, m->prefix, one, err);
            if (id < 0) return AS_NOMEM;
            if (m->lens != NULL) m->lens[at] = 1;
            m->ids[at++] = id, m->words[i].len++;
        }
    }
    return AS_OK;
}

/* ---- pairs ---- */
static size_t slot_of(uint64_t key, size_t n_slots) {
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (n_slots - 1);
}

static bool grow_slots(merger *m) {
    const size_t n = m->n_slots > 0 ? m->n_slots * 2 : 1 << 14;
    uint32_t *slots = as_calloc(n, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < m->n_pairs; i++) {
        size_t k = slot_of(m->pairs[i].key, n);
        while (slots[k] != 0)
            k = (k + 1) & (n - 1);
        slots[k] = (uint32_t)i + 1;
    }
    as_free(m->slots);
    m->slots = slots, m->n_slots = n;
    return true;
}

static as_status pair_of(merger *m, uint32_t *out, int32_t a, int32_t b, as_err *err) {
    const uint64_t key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    if (m->n_pairs * 2 >= m->n_slots && !grow_slots(m)) goto full;
    size_t k = slot_of(key, m->n_slots);
    for (; m->slots[k] != 0; k = (k + 1) & (m->n_slots - 1))
        if (m->pairs[m->slots[k] - 1].key == key) return *out = m->slots[k] - 1, AS_OK;
    if (m->n_pairs >= INT32_MAX || !as_grow(&m->pairs, &m->cap_pairs, m->n_pairs + 1, sizeof(pair)))
        goto full;
    m->pairs[m->n_pairs++] = (pair){key, 0, -1, -1};
    m->slots[k] = (uint32_t)m->n_pairs;
    *out = (uint32_t)m->n_pairs - 1;
    return AS_OK;
full:
    return as_fail_nomem(err, "pairs", m->n_pairs * sizeof(pair));
}

/* In word w the pair (a, b) has arisen (sign 1) or ended (-1). */
static as_status change(merger *m, uint32_t w, int32_t a, int32_t b, int sign, as_err *err) {
    uint32_t i;
    AS_TRY(pair_of(m, &i, a, b, err));
    pair *p = &m->pairs[i];
    p->count += sign * (int64_t)m->counted->v[w].count;
    if (sign < 0 || (p->waiting >= 0 && m->arisen[p->waiting].word == w)) return AS_OK;
    if (m->n_arisen >= INT32_MAX ||
        !as_grow(&m->arisen, &m->cap_arisen, m->n_arisen + 1, sizeof *m->arisen) ||
        !as_grow(&m->touched, &m->cap_touched, m->n_touched + 1, sizeof *m->touched))
        return as_fail_nomem(err, "pairs", m->n_arisen * sizeof *m->arisen);
    if (p->waiting < 0) m->touched[m->n_touched++] = i;
    m->arisen[m->n_arisen] = (arising){w, p->waiting};
    p->waiting = (int32_t)m->n_arisen++;
    return AS_OK;
}

/* ---- the queue ---- */
static bool before(const queued *a, const queued *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void sift_down(merger *m, size_t i) {
    const queued x = m->heap[i];
    for (size_t c = 4 * i + 1; c < m->n_heap; c = 4 * i + 1) {
        size_t best = c;
        for (size_t k = c + 1; k < c + 4 && k < m->n_heap; k++)
            if (before(&m->heap[k], &m->heap[best])) best = k;
        if (!before(&m->heap[best], &x)) break;
        m->heap[i] = m->heap[best];
        i = best;
    }
    m->heap[i] = x;
}

static as_status push(merger *m, queued x, as_err *err) {
    if (!as_grow(&m->heap, &m->cap_heap, m->n_heap + 1, sizeof *m->heap))
        return as_fail_nomem(err, "queue", m->n_heap * sizeof *m->heap);
    size_t i = m->n_heap++;
    for (; i > 0 && before(&x, &m->heap[(i - 1) / 4]); i = (i - 1) / 4)
        m->heap[i] = m->heap[(i - 1) / 4];
    m->heap[i] = x;
    return AS_OK;
}

static void pop(merger *m) {
    m->heap[0] = m->heap[--m->n_heap];
    if (m->n_heap > 0) sift_down(m, 0);
}

/* Pairs that have arisen in this step enter the queue with their words. */
static as_status enqueue(merger *m, as_err *err) {
    for (size_t t = 0; t < m->n_touched; t++) {
        pair *p = &m->pairs[m->touched[t]];
        uint32_t n = 0;
        for (int32_t i = p->waiting; i >= 0; i = m->arisen[i].next)
            n++;
        if (p->count > 0) {
            uint32_t *words = as_bump_push(&m->text, n * sizeof *words, sizeof *words);
            if (words == NULL) return as_fail_nomem(err, "queue", n * sizeof *words);
            uint32_t k = n;
            for (int32_t i = p->waiting; i >= 0; i = m->arisen[i].next)
                words[--k] = m->arisen[i].word;
            AS_TRY(push(m, (queued){(uint64_t)p->count, p->key, m->touched[t], n, words}, err));
        }
        p->waiting = -1;
    }
    m->n_touched = m->n_arisen = 0;
    return AS_OK;
}

static as_status count_pairs(merger *m, as_err *err) {
    for (size_t i = 0; i < m->counted->n; i++)
        for (uint32_t k = 1; k < m->words[i].len; k++) {
            const int32_t *id = m->ids + m->words[i].at + k;
            AS_TRY(change(m, (uint32_t)i, id[-1], id[0], 1, err));
        }
    return enqueue(m, err);
}

/* ---- one merge ---- */
/* All occurrences of (a, b) in word w become `made`, left to right. */
static as_status merge_word(merger *m, uint32_t w, int32_t a, int32_t b, int32_t made, as_err *err) {
    word *x = &m->words[w];
    int32_t *id = m->ids + x->at, *len = m->lens != NULL ? m->lens + x->at : NULL;
    const int64_t most = m->o->max_token_length;
    uint32_t out = 0;
    for (uint32_t i = 0; i < x->len; i++, out++) {
        if (id[i] != a || i + 1 >= x->len || id[i + 1] != b) {
            id[out] = id[i];
            if (len != NULL) len[out] = len[i];
            continue;
        }
        const int32_t size = len != NULL ? len[i] + len[i + 1] : 0;
        if (out > 0) {
            AS_TRY(change(m, w, id[out - 1], a, -1, err));
            if (len == NULL || len[out - 1] + size < most)
                AS_TRY(change(m, w, id[out - 1], made, 1, err));
        }
        if (i + 2 < x->len) {
            AS_TRY(change(m, w, b, id[i + 2], -1, err));
            if (len == NULL || len[i + 2] + size < most)
                AS_TRY(change(m, w, made, id[i + 2], 1, err));
        }
        id[out] = made;
        if (len != NULL) len[out] = size;
        i++;
    }
    x->len = out;
    return AS_OK;
}

static as_status merge_top(merger *m, as_err *err) {
    const queued top = m->heap[0];
    as_learned *l = m->l;
    pop(m);
    const int32_t a = (int32_t)(top.key >> 32), b = (int32_t)(top.key & UINT32_MAX);
    const as_str left = l->pieces[a];
    as_str right = l->pieces[b];
    if (m->prefix.n > 0 && right.n >= m->prefix.n &&
        memcmp(right.p, m->prefix.p, m->prefix.n) == 0)
        right.p += m->prefix.n, right.n -= m->prefix.n;
    const int32_t made = piece_id(m, left, right, err);
    if (made < 0) return AS_NOMEM;
    if (!as_grow(&l->merges, &m->cap_merges, l->n_merges + 1, sizeof *l->merges))
        return as_fail_nomem(err, "merges", l->n_merges * sizeof *l->merges);
    m->pairs[top.pair].merge = (int32_t)l->n_merges;
    l->merges[l->n_merges][0] = a, l->merges[l->n_merges++][1] = b;
    for (uint32_t i = 0; i < top.n; i++)
        AS_TRY(merge_word(m, top.words[i], a, b, made, err));
    return enqueue(m, err);
}

static as_status merge_all(merger *m, as_err *err) {
    while ((int64_t)m->l->n < m->o->vocab_size && m->n_heap > 0) {
        const uint64_t now = (uint64_t)m->pairs[m->heap[0].pair].count;
        if (m->heap[0].count != now) {
            m->heap[0].count = now;
            sift_down(m, 0);
            continue;
        }
        if (now < 1 || (uint64_t)m->o->min_frequency > now) break;
        AS_TRY(merge_top(m, err));
        if (m->l->n_merges % 256 == 0 &&
            !as_train_goes_on(m->o, "merging", (int64_t)m->l->n, m->o->vocab_size))
            return as_train_stopped(err);
    }
    return AS_OK;
}

/* Of a pair that was merged twice the later rank stays. */
static as_status drop_repeated(merger *m, as_err *err) {
    as_learned *l = m->l;
    size_t n = 0;
    for (size_t i = 0; i < l->n_merges; i++) {
        uint32_t p;
        AS_TRY(pair_of(m, &p, l->merges[i][0], l->merges[i][1], err));
        if (m->pairs[p].merge != (int32_t)i) continue;
        l->merges[n][0] = l->merges[i][0], l->merges[n++][1] = l->merges[i][1];
    }
    l->n_merges = n;
    return AS_OK;
}

as_status as_learn_merges(as_learned *out, const as_word_counts *w, const as_token_train_opts *o,
                          as_err *err) {
    *out = (as_learned){0};
    as_arena_init(&out->arena, 0);
    if (w->n >= UINT32_MAX) return as_fail(err, AS_USAGE, "there are more than 4 billion words");
    merger m = {.o = o, .l = out, .prefix = as_str_of(o->prefix), .text = {.arena = &out->arena},
                .counted = w};
    as_status s = begin_vocab(&m, err);
    if (s == AS_OK) s = add_inner(&m, err);
    if (s == AS_OK) s = spell_words(&m, err);
    if (s == AS_OK) s = count_pairs(&m, err);
    if (s == AS_OK) s = merge_all(&m, err);
    if (s == AS_OK) s = drop_repeated(&m, err);
    as_vocab_deinit(&m.vocab);
    as_free(m.words), as_free(m.ids), as_free(m.lens), as_free(m.pairs), as_free(m.slots);
    as_free(m.arisen), as_free(m.touched), as_free(m.heap);
    return s;
}
