/* bpe.c: the model BPE. A word begins as its characters; the pair with the lowest rank is joined, the
 * leftmost of several, until none has a rank (Sennrich et al. 2016). What becomes of characters without
 * a piece, and of offsets then, follows `tokenizers`. */
#include "token/internal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>

/* ---- merges: pair of ids -> rank and the piece it becomes ---- */
static size_t slot_of(const as_bpe *m, uint64_t key) {
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> m->shift);
}

static const as_merge *find(const as_bpe *m, int32_t a, int32_t b) {
    const uint64_t key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    const size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
    for (size_t i = slot_of(m, key);; i = (i + 1) & mask) {
        const as_merge *s = &m->slots[i];
        if (s->rank < 0) return NULL;
        if (s->key == key) return s;
    }
}

/* A pair that is there gets the later rank. */
static void put(as_bpe *m, int32_t a, int32_t b, int32_t rank, int32_t made) {
    const uint64_t key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    const size_t mask = ((size_t)1 << (64 - m->shift)) - 1;
    size_t i = slot_of(m, key);
    while (m->slots[i].rank >= 0 && m->slots[i].key != key)
        i = (i + 1) & mask;
    m->slots[i] = (as_merge){key, rank, made};
}

/* ---- reading ---- */
static as_status bad_merge(as_loader *ld, size_t i, const char *why, as_err *err) {
    return as_fail(err, AS_FORMAT, "%s: model.merges: number %zu %s", ld->where, i + 1, why);
}

static bool split_line(as_str line, as_str out[2]) {
    const char *blank = memchr(line.p, ' ', line.n);
    if (blank == NULL) return false;
    out[0] = (as_str){line.p, (size_t)(blank - line.p)};
    out[1] = (as_str){blank + 1, line.n - out[0].n - 1};
    return memchr(out[1].p, ' ', out[1].n) == NULL;
}

/* "a b", or ["a", "b"]; *skip: a line that only names a version. */
static bool read_pair(const as_json *v, as_str out[2], bool *skip) {
    *skip = false;
    if (as_json_typeof(v) == AS_JSON_STRING) {
        const as_str line = as_json_str(v, (as_str){"", 0});
        if (line.n >= 8 && memcmp(line.p, "#version", 8) == 0) return *skip = true;
        return split_line(line, out);
    }
    if (as_json_typeof(v) != AS_JSON_ARRAY || as_json_count(v) != 2) return false;
    for (size_t k = 0; k < 2; k++) {
        if (as_json_typeof(as_json_at(v, k)) != AS_JSON_STRING) return false;
        out[k] = as_json_str(as_json_at(v, k), (as_str){"", 0});
    }
    return true;
}

static as_status read_merges(as_bpe *m, const as_json *list, as_loader *ld, as_err *err) {
    const as_vocab *v = &ld->t->vocab;
    if (as_json_typeof(list) != AS_JSON_ARRAY)
        return as_fail(err, AS_FORMAT, "%s: model.merges must be a list", ld->where);
    const size_t n = as_json_count(list);
    size_t slots = 16;
    for (m->shift = 60; slots < n * 2; m->shift--)
        slots *= 2;
    m->slots = as_load_push(ld, slots, sizeof *m->slots, err);
    if (m->slots == NULL) return AS_NOMEM;
    for (size_t i = 0; i < slots; i++)
        m->slots[i].rank = -1;
    int32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        as_str pair[2];
        bool skip;
        if (!read_pair(as_json_at(list, i), pair, &skip))
            return bad_merge(ld, i, "is not a pair of pieces", err);
        if (skip) continue;
        const int32_t a = as_vocab_id(v, pair[0]), b = as_vocab_id(v, pair[1]);
        if (a < 0 || b < 0) return bad_merge(ld, i, "has a piece that the vocabulary lacks", err);
        if (pair[1].n < m->prefix.n) return bad_merge(ld, i, "is shorter than the prefix", err);
        const as_str rest = {pair[1].p + m->prefix.n, pair[1].n - m->prefix.n};
        const uint64_t h = as_vocab_hash(as_vocab_hash(AS_VOCAB_START, pair[0]), rest);
        const int32_t made = as_vocab_find(v, h, pair[0], rest.p, rest.n);
        if (made < 0) return bad_merge(ld, i, "makes a piece that the vocabulary lacks", err);
        put(m, a, b, rank++, v->entries[made].id);
        m->hash = as_hash64(pair[0].p, pair[0].n, m->hash + (uint64_t)b);
    }
    return AS_OK;
}

static void read_bytes(as_bpe *m, const as_vocab *v) {
    static const char hex[] = "0123456789ABCDEF";
    for (unsigned c = 0; c < 256; c++) {
        char name[] = "<0x00>", spelled[4];
        name[3] = hex[c >> 4], name[4] = hex[c & 15];
        m->fallback[c] = as_vocab_id(v, (as_str){name, 6});
        m->byte[c] = as_vocab_id(v, (as_str){spelled, as_utf8_put(spelled, as_byte_char((unsigned char)c))});
    }
}

as_status as_parse_bpe(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_bpe *m = as_load_push(ld, 1, sizeof *m, err);
    if (m == NULL) return AS_NOMEM;
    self->settings = m;
    if (as_json_real(as_json_get(spec, "dropout"), 0) > 0)
        return as_fail(err, AS_FORMAT, "%s: a BPE model with dropout is not supported", ld->where);
    AS_TRY(as_load_str(ld, &m->unk_token, spec, "unk_token", "", err));
    AS_TRY(as_load_str(ld, &m->prefix, spec, "continuing_subword_prefix", "", err));
    AS_TRY(as_load_str(ld, &m->suffix, spec, "end_of_word_suffix", "", err));
    AS_TRY(as_load_bool(ld, &m->fuse_unk, spec, "fuse_unk", false, err));
    AS_TRY(as_load_bool(ld, &m->byte_fallback, spec, "byte_fallback", false, err));
    AS_TRY(as_load_bool(ld, &m->ignore_merges, spec, "ignore_merges", false, err));
    AS_TRY(as_model_vocab(as_json_get(spec, "vocab"), ld, err));
    m->has_unk = as_json_typeof(as_json_get(spec, "unk_token")) == AS_JSON_STRING;
    m->unk = m->has_unk ? as_vocab_id(&ld->t->vocab, m->unk_token) : -1;
    read_bytes(m, &ld->t->vocab);
    m->hash = as_hash64(m->suffix.p, m->suffix.n, as_hash64(m->prefix.p, m->prefix.n, 1));
    m->hash = m->hash * 31 + (uint64_t)(m->fuse_unk + 2 * m->byte_fallback + 4 * m->ignore_merges) + 8 * (uint64_t)(m->unk + 1);
    return read_merges(m, as_json_get(spec, "merges"), ld, err);
}

/* ---- a word as symbols ---- */
static as_status add_symbol(as_work *w, int32_t id, uint32_t len, as_err *err) {
    if (w->n_symbols >= w->cap_symbols &&
        !as_grow(&w->symbols, &w->cap_symbols, w->n_symbols + 1, sizeof *w->symbols))
        return as_fail_nomem(err, "symbols", w->n_symbols * sizeof *w->symbols);
    w->symbols[w->n_symbols++] = (as_symbol){.id = id, .len = len};
    return AS_OK;
}

static int32_t char_piece(const as_bpe *m, const as_vocab *v, as_str c, bool first, bool last) {
    uint64_t h = AS_VOCAB_START;
    if (first && (!last || m->suffix.n == 0)) return as_vocab_id(v, c);
    char name[300];
    size_t n = 0;
    if (m->prefix.n + m->suffix.n + c.n > sizeof name) return -1;
    if (!first) memcpy(name, m->prefix.p, m->prefix.n), n = m->prefix.n;
    memcpy(name + n, c.p, c.n), n += c.n;
    if (last) memcpy(name + n, m->suffix.p, m->suffix.n), n += m->suffix.n;
    h = as_vocab_hash(h, (as_str){name, n});
    const int32_t e = as_vocab_find(v, h, (as_str){"", 0}, name, n);
    return e < 0 ? -1 : v->entries[e].id;
}

/* Bytes of the character, with prefix and suffix as the library has it, when all have a piece. */
static as_status fall_back(const as_bpe *m, as_work *w, as_str c, bool first, bool last, bool *done,
                           as_err *err) {
    const as_str parts[3] = {first ? (as_str){"", 0} : m->prefix, c, last ? m->suffix : (as_str){"", 0}};
    *done = false;
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < parts[k].n; i++)
            if (m->fallback[(unsigned char)parts[k].p[i]] < 0) return AS_OK;
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < parts[k].n; i++)
            AS_TRY(add_symbol(w, m->fallback[(unsigned char)parts[k].p[i]], 1, err));
    *done = true;
    return AS_OK;
}

/* An unknown stretch enters the word before the next known character, not before bytes of a fall-back. */
static as_status spell(const as_bpe *m, as_work *w, as_str text, as_err *err) {
    const as_vocab *v = &w->t->vocab;
    uint32_t unk = 0, cp;
    w->n_symbols = 0;
    for (size_t i = 0, n = 0; i < text.n; i += n) {
        n = as_utf8_next(text.p + i, &cp);
        const as_str c = {text.p + i, n};
        const bool first = i == 0, last = i + n == text.n;
        const int byte = m->prefix.n + m->suffix.n == 0 ? as_char_byte(cp) : -1;
        const int32_t id = byte >= 0 ? m->byte[byte] : char_piece(m, v, c, first, last);
        if (id >= 0) {
            if (unk > 0) AS_TRY(add_symbol(w, m->unk, unk, err));
            unk = 0;
            AS_TRY(add_symbol(w, id, (uint32_t)n, err));
            continue;
        }
        bool done = false;
        if (m->byte_fallback) AS_TRY(fall_back(m, w, c, first, last, &done, err));
        if (done || !m->has_unk) continue;
        if (m->unk < 0) return as_no_unknown(&m->unk_token, err);
        if (unk > 0 && !m->fuse_unk) {
            AS_TRY(add_symbol(w, m->unk, unk, err));
            unk = 0;
        }
        unk += (uint32_t)n;
    }
    return unk > 0 ? add_symbol(w, m->unk, unk, err) : AS_OK;
}

/* ---- merging ---- */
enum { SHORT = 40 }; /* symbols: below, looking at all pairs is faster than a queue */

static void merge_short(const as_bpe *m, as_work *w) {
    as_symbol *s = w->symbols;
    int32_t rank[SHORT], made[SHORT];
    int n = (int)w->n_symbols;
    for (int i = 0; i + 1 < n; i++) {
        const as_merge *x = find(m, s[i].id, s[i + 1].id);
        rank[i] = x != NULL ? x->rank : INT32_MAX, made[i] = x != NULL ? x->made : 0;
    }
    for (;;) {
        int best = -1;
        int32_t lowest = INT32_MAX;
        for (int i = 0; i + 1 < n; i++)
            if (rank[i] < lowest) lowest = rank[i], best = i;
        if (best < 0) break;
        s[best].id = made[best], s[best].len += s[best + 1].len;
        n--;
        for (int i = best + 1; i < n; i++)
            s[i] = s[i + 1];
        for (int i = best + 1; i + 1 < n; i++)
            rank[i] = rank[i + 1], made[i] = made[i + 1];
        for (int i = best > 0 ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const as_merge *x = find(m, s[i].id, s[i + 1].id);
            rank[i] = x != NULL ? x->rank : INT32_MAX, made[i] = x != NULL ? x->made : 0;
        }
    }
    w->n_symbols = (size_t)n;
}

static bool before(const as_candidate *a, const as_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static as_status offer(const as_bpe *m, as_work *w, int32_t at, as_err *err) {
    const int32_t next = w->symbols[at].next;
    const as_merge *x = next < 0 ? NULL : find(m, w->symbols[at].id, w->symbols[next].id);
    if (x == NULL) return AS_OK;
    if (w->n_candidates >= w->cap_candidates &&
        !as_grow(&w->candidates, &w->cap_candidates, w->n_candidates + 1, sizeof *w->candidates))
        return as_fail_nomem(err, "merges", w->n_candidates * sizeof *w->candidates);
    const as_candidate c = {x->rank, at, x->made};
    size_t i = w->n_candidates++;
    for (; i > 0 && before(&c, &w->candidates[(i - 1) / 2]); i = (i - 1) / 2)
        w->candidates[i] = w->candidates[(i - 1) / 2];
    w->candidates[i] = c;
    return AS_OK;
}

static as_candidate take(as_work *w) {
    as_candidate *h = w->candidates;
    const as_candidate top = h[0], x = h[--w->n_candidates];
    size_t i = 0;
    for (size_t c = 1; c < w->n_candidates; c = 2 * i + 1) {
        if (c + 1 < w->n_candidates && before(&h[c + 1], &h[c])) c++;
        if (!before(&h[c], &x)) break;
        h[i] = h[c], i = c;
    }
    h[i] = x;
    return top;
}

static as_status merge_long(const as_bpe *m, as_work *w, as_err *err) {
    as_symbol *s = w->symbols;
    const int32_t n = (int32_t)w->n_symbols;
    w->n_candidates = 0;
    for (int32_t i = 0; i < n; i++)
        s[i].prev = i - 1, s[i].next = i + 1 < n ? i + 1 : -1;
    for (int32_t i = 0; i + 1 < n; i++)
        AS_TRY(offer(m, w, i, err));
    while (w->n_candidates > 0) {
        const as_candidate c = take(w);
        const int32_t right = s[c.at].next;
        if (s[c.at].len == 0 || right < 0) continue;
        const as_merge *x = find(m, s[c.at].id, s[right].id);
        if (x == NULL || x->made != c.made) continue;
        s[c.at].id = c.made, s[c.at].len += s[right].len;
        s[c.at].next = s[right].next;
        s[right].len = 0;
        if (s[c.at].next >= 0) s[s[c.at].next].prev = c.at;
        if (s[c.at].prev >= 0) AS_TRY(offer(m, w, s[c.at].prev, err));
        AS_TRY(offer(m, w, c.at, err));
    }
    size_t k = 0;
    for (int32_t i = 0; i < n; i++)
        if (s[i].len > 0) s[k++] = s[i];
    w->n_symbols = k;
    return AS_OK;
}

static as_status merge(const as_bpe *m, as_work *w, as_err *err) {
    if (w->n_symbols > INT32_MAX / 2)
        return as_fail(err, AS_FORMAT, "a word is longer than a billion characters");
    if (w->n_symbols > SHORT) return merge_long(m, w, err);
    merge_short(m, w);
    return AS_OK;
}

/* ---- the model ---- */
static as_status emit(as_work *w, const as_word *x, int32_t id, size_t from, size_t to, as_err *err) {
    if (to > x->n) to = x->n;
    if (from >= to) from = to > 0 ? to - 1 : 0;
    const bool plain = x->begin == NULL;
    return as_piece_add(w->out, id, plain ? x->start + (uint32_t)from : x->begin[from],
                        plain ? x->start + (uint32_t)to : x->end[to - 1], x->number, err);
}

static as_cached_word *place_of(as_work *w, const as_word *x) {
    return &w->cache[(x->hash * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - CACHE_BITS)];
}

bool as_cached_pieces(as_work *w, const as_word *x, as_status *status, as_err *err) {
    if (x->n > CACHE_KEY) return false;
    const as_cached_word *c = place_of(w, x);
    if (c->hash != x->hash || c->len != x->n || memcmp(c->key, x->p, x->n) != 0) return false;
    *status = AS_OK;
    for (int i = 0; i < c->count && *status == AS_OK; i++)
        *status = emit(w, x, c->id[i], i > 0 ? c->end[i - 1] : 0, c->end[i], err);
    return true;
}

static as_status emit_symbols(as_work *w, const as_word *x, as_err *err) {
    size_t from = 0;
    for (size_t i = 0; i < w->n_symbols; i++) {
        const size_t to = from + w->symbols[i].len;
        AS_TRY(emit(w, x, w->symbols[i].id, from, to, err));
        from = to;
    }
    if (x->n > CACHE_KEY || w->n_symbols > CACHE_IDS || from > x->n) return AS_OK;
    as_cached_word *c = place_of(w, x);
    *c = (as_cached_word){.hash = x->hash, .len = (uint8_t)x->n, .count = (uint8_t)w->n_symbols};
    memcpy(c->key, x->p, x->n);
    for (size_t i = 0, end = 0; i < w->n_symbols; i++) {
        end += w->symbols[i].len;
        c->id[i] = w->symbols[i].id, c->end[i] = (uint8_t)end;
    }
    return AS_OK;
}

static as_status encode_word(const as_bpe *m, as_work *w, const as_word *x, as_err *err) {
    as_status s;
    if (as_cached_pieces(w, x, &s, err)) return s;
    if (m->ignore_merges) {
        const int32_t id = as_vocab_id(&w->t->vocab, (as_str){x->p, x->n});
        if (id >= 0) return emit(w, x, id, 0, x->n, err);
    }
    AS_TRY(spell(m, w, (as_str){x->p, x->n}, err));
    AS_TRY(merge(m, w, err));
    return emit_symbols(w, x, err);
}

as_status as_run_bpe(const as_part *self, as_work *w, as_err *err) {
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split *s = &w->splits[i];
        if (s->added != NULL) {
            AS_TRY(as_added_split(w, s, i, err));
            continue;
        }
        const as_word x = as_word_of(w, s, i);
        AS_TRY(encode_word(self->settings, w, &x, err));
    }
    return AS_OK;
}
