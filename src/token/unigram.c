/* unigram.c: the model Unigram (Kudo 2018, arXiv:1804.10959): the most probable way to cut a word into
 * pieces, found byte by byte. A character without a piece of its own costs 10 more than the worst piece;
 * unknown neighbours become one piece. Of equal ways the one that was seen first stays. */
#include "token/internal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a trie over bytes ---- */
void as_trie_free(as_trie *t) {
    as_free(t->slots), as_free(t->value);
    *t = (as_trie){0};
}

static void place(as_trie_slot *slots, unsigned shift, as_trie_slot s) {
    const size_t mask = ((size_t)1 << (64 - shift)) - 1;
    size_t k = (size_t)((s.key * UINT64_C(0x9E3779B97F4A7C15)) >> shift);
    while (slots[k].child != 0)
        k = (k + 1) & mask;
    slots[k] = s;
}

/* Twice the slots, or the first ones; and room for one node more. */
static bool grow(as_trie *t) {
    const size_t old = t->n == 0 ? 0 : (size_t)1 << (64 - t->shift);
    if (!as_grow(&t->value, &t->cap, (size_t)t->n + 2, sizeof *t->value)) return false;
    if (t->n == 0) t->value[0] = -1, t->n = 1;
    if (2 * (size_t)t->n < old) return true;
    const unsigned shift = old == 0 ? 54 : t->shift - 1;
    as_trie_slot *slots = as_calloc((size_t)1 << (64 - shift), sizeof *slots);
    if (slots == NULL || t->n == UINT32_MAX - 1) return as_free(slots), false;
    for (size_t i = 0; i < old; i++)
        if (t->slots[i].child != 0) place(slots, shift, t->slots[i]);
    as_free(t->slots);
    t->slots = slots, t->shift = shift;
    return true;
}

bool as_trie_add(as_trie *t, as_str piece, int32_t value) {
    uint32_t node = 0;
    if (t->n == 0 && !grow(t)) return false;
    for (size_t i = 0; i < piece.n; i++) {
        uint32_t next = as_trie_step(t, node, (unsigned char)piece.p[i]);
        if (next == 0) {
            if (!grow(t)) return false;
            next = t->n++;
            t->value[next] = -1;
            place(t->slots, t->shift, (as_trie_slot){(uint64_t)node << 8 | (unsigned char)piece.p[i], next});
        }
        node = next;
    }
    t->value[node] = value;
    return true;
}

/* ---- reading ---- */
int as_real_digits(double x) {
    for (int digits = 15; digits < 17; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
        if (strtod(text, NULL) == x) return digits;
    }
    return 17;
}

/* The library's JSON reader takes the digits as a whole number and divides by a power of ten, which is
 * not always the nearest number; ways of equal score are decided by such last bits. The digits are the
 * fewest that give x, as all writers of these files have them. */
static double library_reads(double x) {
    static const double tens[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (x == 0 || !isfinite(x)) return x;
    char text[40];
    uint64_t whole = 0;
    int exponent, zeros = 0;
    snprintf(text, sizeof text, "%.*e", as_real_digits(x) - 1, fabs(x));
    const char *e = strchr(text, 'e');
    exponent = atoi(e + 1);
    for (const char *p = text; p < e; p++) {
        if (*p < '0' || *p > '9') continue;
        zeros = *p == '0' ? zeros + 1 : 0;
        whole = whole * 10 + (uint64_t)(*p - '0');
        if (p > text) exponent--;
    }
    for (; zeros > 0; zeros--)
        whole /= 10, exponent++;
    if (exponent < -22 || exponent > 22) return x;
    const double f = exponent < 0 ? (double)whole / tens[-exponent] : (double)whole * tens[exponent];
    return x < 0 ? -f : f;
}

static as_status read_piece(as_unigram *m, const as_json *entry, size_t i, char **text, as_loader *ld,
                            as_err *err) {
    const as_json *name = as_json_at(entry, 0), *score = as_json_at(entry, 1);
    if (as_json_typeof(entry) != AS_JSON_ARRAY || as_json_count(entry) != 2 ||
        as_json_typeof(name) != AS_JSON_STRING ||
        (as_json_typeof(score) != AS_JSON_REAL && as_json_typeof(score) != AS_JSON_INT))
        return as_fail(err, AS_FORMAT, "%s: model.vocab: number %zu is not [piece, score]", ld->where,
                       i + 1);
    const as_str s = as_json_str(name, (as_str){"", 0});
    if (s.n > 0) memcpy(*text, s.p, s.n);
    m->score[i] = library_reads(as_json_real(score, 0));
    if (m->score[i] < m->min_score) m->min_score = m->score[i];
    m->hash = as_hash64(&m->score[i], sizeof m->score[i], m->hash);
    AS_TRY(as_vocab_add(&ld->t->vocab, (as_str){*text, s.n}, (int32_t)i, err));
    *text += s.n;
    return AS_OK;
}

/* An unknown stretch of bytes may fall back to pieces <0x00>. */
static void read_bytes(as_unigram *m, const as_vocab *v) {
    static const char hex[] = "0123456789ABCDEF";
    for (unsigned c = 0; c < 256; c++) {
        char name[] = "<0x00>";
        name[3] = hex[c >> 4], name[4] = hex[c & 15];
        m->fallback[c] = as_vocab_id(v, (as_str){name, 6});
    }
}

as_status as_parse_unigram(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    const as_json *list = as_json_get(spec, "vocab");
    as_unigram *m = as_load_push(ld, 1, sizeof *m, err);
    if (m == NULL) return AS_NOMEM;
    self->settings = m;
    if (as_json_typeof(list) != AS_JSON_ARRAY)
        return as_fail(err, AS_FORMAT, "%s: model.vocab must be a list of [piece, score]", ld->where);
    const size_t n = as_json_count(list);
    if (n >= AS_ID_LIMIT) return as_fail(err, AS_FORMAT, "%s: model.vocab: too many pieces", ld->where);
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += as_json_str(as_json_at(as_json_at(list, i), 0), (as_str){"", 0}).n;
    char *text = as_load_push(ld, bytes, 1, err);
    m->score = as_load_push(ld, n + 1, sizeof *m->score, err);
    if (text == NULL || m->score == NULL) return AS_NOMEM;
    m->min_score = INFINITY;
    AS_TRY(as_vocab_init(&ld->t->vocab, n, err));
    for (size_t i = 0; i < n; i++)
        AS_TRY(read_piece(m, as_json_at(list, i), i, &text, ld, err));
    int64_t unk;
    AS_TRY(as_load_int(ld, &unk, spec, "unk_id", -1, 0, n > 0 ? (int64_t)n - 1 : 0, err));
    if (unk >= 0 && n == 0) return as_fail(err, AS_FORMAT, "%s: model.vocab is empty", ld->where);
    AS_TRY(as_load_bool(ld, &m->byte_fallback, spec, "byte_fallback", false, err));
    m->unk = (int32_t)unk;
    m->hash = m->hash * 31 + (uint64_t)(unk + 1) * 2 + m->byte_fallback;
    read_bytes(m, &ld->t->vocab);
    for (size_t i = 0; i < ld->t->vocab.count; i++) {
        const as_vocab_entry e = ld->t->vocab.entries[i];
        if (e.piece.n > 0 && !as_trie_add(&ld->t->trie, e.piece, e.id))
            return as_fail_nomem(err, "pieces", bytes);
    }
    return as_trie_add(&ld->t->trie, (as_str){"", 0}, -1) ? AS_OK : as_fail_nomem(err, "pieces", 0);
}

/* ---- the best way ---- */
static as_status no_unknown(as_err *err) {
    const as_status s = as_fail(
        err, AS_FORMAT, "the Unigram model meets an unknown character and has no unk_id");
    as_hint(err, "Check unk_id in tokenizer.json.");
    return s;
}

static inline void reach(as_best *to, double score, int32_t id, uint32_t from) {
    if (to->from == UINT32_MAX || score > to->score) *to = (as_best){score, id, from};
}

static as_status viterbi(const as_unigram *m, as_work *w, const as_word *x, as_err *err) {
    const as_trie *t = &w->t->trie;
    if (w->cap_best < x->n + 1 && !as_grow(&w->best, &w->cap_best, x->n + 1, sizeof *w->best))
        return as_fail_nomem(err, "ways", x->n * sizeof *w->best);
    as_best *best = w->best;
    for (size_t i = 0; i <= x->n; i++)
        best[i] = (as_best){0, 0, UINT32_MAX};
    uint32_t cp;
    for (size_t i = 0, len = 0; i < x->n; i += len) {
        len = as_utf8_next(x->p + i, &cp);
        bool single = false;
        uint32_t node = 0;
        for (size_t k = i; k < x->n; k++) {
            node = as_trie_step(t, node, (unsigned char)x->p[k]);
            if (node == 0) break;
            const int32_t id = t->value[node];
            if (id < 0) continue;
            reach(&best[k + 1], m->score[id] + best[i].score, id, (uint32_t)i);
            single = single || k + 1 - i == len;
        }
        if (single) continue;
        const double score = m->min_score - 10.0 + best[i].score;
        as_best *to = &best[i + len];
        if (m->unk < 0 && (to->from == UINT32_MAX || score > to->score)) return no_unknown(err);
        reach(to, score, m->unk, (uint32_t)i);
    }
    return AS_OK;
}

/* w->units hold the pieces backwards; `match` is not used, ids lie beside them in w->symbols. */
static as_status add_way(as_work *w, int32_t id, size_t from, size_t to, as_err *err) {
    if (w->n_symbols >= w->cap_symbols &&
        !as_grow(&w->symbols, &w->cap_symbols, w->n_symbols + 1, sizeof *w->symbols))
        return as_fail_nomem(err, "pieces", w->n_symbols * sizeof *w->symbols);
    w->symbols[w->n_symbols++] = (as_symbol){.id = id};
    return as_unit_add(w, (uint32_t)from, (uint32_t)to, false, err);
}

static as_status add_unknown(const as_unigram *m, as_work *w, size_t from, size_t to, as_str text,
                             as_err *err) {
    int32_t id = as_vocab_id(&w->t->vocab, (as_str){text.p + from, to - from});
    bool bytes = id < 0 && m->byte_fallback;
    for (size_t i = from; i < to && bytes; i++)
        bytes = m->fallback[(unsigned char)text.p[i]] >= 0;
    if (id < 0) id = m->unk;
    /* Pieces are gathered from the last one to the first, so bytes go in backwards, too. */
    for (size_t i = to; bytes && i-- > from;)
        AS_TRY(add_way(w, m->fallback[(unsigned char)text.p[i]], from, to, err));
    return bytes ? AS_OK : add_way(w, id, from, to, err);
}

static as_status walk_back(const as_unigram *m, as_work *w, const as_word *x, as_err *err) {
    const as_str text = {x->p, x->n};
    w->n_units = w->n_symbols = 0;
    for (size_t to = x->n; to > 0;) {
        size_t from = w->best[to].from;
        const int32_t id = w->best[to].id;
        if (id != m->unk) {
            AS_TRY(add_way(w, id, from, to, err));
        } else {
            while (from > 0 && w->best[from].id == m->unk)
                from = w->best[from].from;
            AS_TRY(add_unknown(m, w, from, to, text, err));
        }
        to = from;
    }
    return AS_OK;
}

static void remember(as_work *w, const as_word *x) {
    size_t last = 0;
    if (x->n > CACHE_KEY || w->n_units > CACHE_IDS) return;
    for (size_t i = w->n_units; i-- > 0; last = w->units[i].end)
        if (w->units[i].begin != last) return; /* bytes share a range: not kept */
    as_cached_word *c = &w->cache[(x->hash * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - CACHE_BITS)];
    *c = (as_cached_word){.hash = x->hash, .len = (uint8_t)x->n, .count = (uint8_t)w->n_units};
    memcpy(c->key, x->p, x->n);
    for (size_t i = 0; i < w->n_units; i++) {
        const size_t k = w->n_units - 1 - i;
        c->id[i] = w->symbols[k].id, c->end[i] = (uint8_t)w->units[k].end;
    }
}

as_status as_run_unigram(const as_part *self, as_work *w, as_err *err) {
    const as_unigram *m = self->settings;
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split *s = &w->splits[i];
        if (s->added != NULL) {
            AS_TRY(as_added_split(w, s, i, err));
            continue;
        }
        const as_word x = as_word_of(w, s, i);
        as_status status;
        if (as_cached_pieces(w, &x, &status, err)) {
            AS_TRY(status);
            continue;
        }
        AS_TRY(viterbi(m, w, &x, err));
        AS_TRY(walk_back(m, w, &x, err));
        for (size_t k = w->n_units; k-- > 0;)
            AS_TRY(as_piece_add(w->out, w->symbols[k].id, x.begin[w->units[k].begin],
                                x.end[w->units[k].end - 1], x.number, err));
        remember(w, &x);
    }
    return AS_OK;
}
