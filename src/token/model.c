/* model.c: the models. Each turns the splits of w->norm into pieces of w->out; the word number of a
 * piece is the place of its split. */
#include "token/internal.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>

/* ---- shared ---- */
as_status as_model_vocab(const as_json *vocab, as_loader *ld, as_err *err) {
    as_vocab *v = &ld->t->vocab;
    if (as_json_typeof(vocab) != AS_JSON_OBJECT)
        return as_fail(err, AS_FORMAT, "%s: model.vocab must be an object of piece: id", ld->where);
    AS_TRY(as_vocab_init(v, as_json_count(vocab), err));
    size_t bytes = 0; /* all pieces in one block */
    for (as_json_iter *it = as_json_first(vocab); it != NULL; it = as_json_next(vocab, it))
        bytes += as_json_iter_key(it).n;
    char *p = as_load_push(ld, bytes + 1, 1, err);
    if (p == NULL) return AS_NOMEM;
    for (as_json_iter *it = as_json_first(vocab); it != NULL; it = as_json_next(vocab, it)) {
        const as_str key = as_json_iter_key(it);
        const int64_t id = as_json_int(as_json_iter_value(it), -1);
        if (id < 0 || id >= AS_ID_LIMIT)
            return as_fail(err, AS_FORMAT,
                           "%s: model.vocab: id of \"%.*s\" is not a number from 0 to %d",
                           ld->where, (int)(key.n < 80 ? key.n : 80), key.p, AS_ID_LIMIT - 1);
        memcpy(p, key.p, key.n);
        AS_TRY(as_vocab_add(v, (as_str){p, key.n}, (int32_t)id, err));
        p += key.n;
    }
    return AS_OK;
}

as_status as_no_unknown(const as_str *unk, as_err *err) {
    const as_status s =
        as_fail(err, AS_FORMAT,
                "the tokenizer's vocabulary lacks its unknown token \"%.*s\", and a word needs it",
                (int)unk->n, unk->p);
    as_hint(err,
            "Check unk_token in tokenizer.json or tokenizer_config.json against the vocabulary.");
    return s;
}

as_status as_added_split(as_work *w, const as_split *s, size_t number, as_err *err) {
    return as_added_piece(w, s->added, w->norm.text + s->begin, s->end - s->begin,
                          w->norm.begin[s->begin], w->norm.end[s->end - 1], (int32_t)number, err);
}

as_word as_word_of(const as_work *w, const as_split *s, size_t number) {
    const as_str text = {w->norm.text + s->begin, s->end - s->begin};
    return (as_word){text.p,
                     text.n,
                     as_vocab_hash(AS_VOCAB_START, text),
                     w->norm.begin + s->begin,
                     w->norm.end + s->begin,
                     0,
                     (int32_t)number};
}

/* ---- WordLevel ---- */
typedef struct word_level {
    as_str unk_token;
    int32_t unk;
} word_level;

static as_status parse_word_level(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    word_level *m = as_load_push(ld, 1, sizeof *m, err);
    if (m == NULL) return AS_NOMEM;
    AS_TRY(as_load_str(ld, &m->unk_token, spec, "unk_token", "<unk>", err));
    AS_TRY(as_model_vocab(as_json_get(spec, "vocab"), ld, err));
    m->unk = as_vocab_id(&ld->t->vocab, m->unk_token);
    self->settings = m;
    return AS_OK;
}

static as_status run_word_level(const as_part *self, as_work *w, as_err *err) {
    const word_level *m = self->settings;
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split *s = &w->splits[i];
        if (s->added != NULL) {
            AS_TRY(as_added_split(w, s, i, err));
            continue;
        }
        int32_t id =
            as_vocab_id(&w->t->vocab, (as_str){w->norm.text + s->begin, s->end - s->begin});
        if (id < 0) id = m->unk;
        if (id < 0) return as_no_unknown(&m->unk_token, err);
        AS_TRY(as_piece_add(w->out, id, w->norm.begin[s->begin], w->norm.end[s->end - 1],
                            (int32_t)i, err));
    }
    return AS_OK;
}

/* ---- WordPiece ---- */
static as_status parse_wordpiece(as_part *self, const as_json *spec, as_loader *ld, as_err *err) {
    as_wordpiece *m = as_load_push(ld, 1, sizeof *m, err);
    if (m == NULL) return AS_NOMEM;
    AS_TRY(as_load_str(ld, &m->unk_token, spec, "unk_token", "[UNK]", err));
    AS_TRY(as_load_str(ld, &m->prefix, spec, "continuing_subword_prefix", "##", err));
    AS_TRY(
        as_load_int(ld, &m->max_chars, spec, "max_input_chars_per_word", 100, 0, INT32_MAX, err));
    AS_TRY(as_model_vocab(as_json_get(spec, "vocab"), ld, err));
    m->prefix_hash = as_vocab_hash(AS_VOCAB_START, m->prefix);
    m->unk = as_vocab_id(&ld->t->vocab, m->unk_token);
    self->settings = m;
    return AS_OK;
}

static as_status emit(as_work *w, const as_word *word, int32_t id, size_t from, size_t to,
                      as_err *err) {
    const bool plain = word->begin == NULL;
    return as_piece_add(w->out, id, plain ? word->start + (uint32_t)from : word->begin[from],
                        plain ? word->start + (uint32_t)to : word->end[to - 1], word->number, err);
}

/* The longest piece of the vocabulary at byte `from`: its entry, its end in *to; -1 when there is
 * none. Hashes of all prefixes come from one pass, so a try costs one probe. */
static int32_t longest_at(const as_wordpiece *m, const as_work *w, const as_word *word, size_t from,
                          size_t *to) {
    const as_vocab *v = &w->t->vocab;
    const as_str prefix = from > 0 ? m->prefix : (as_str){"", 0};
    if (v->longest < prefix.n) return -1;
    size_t stop = word->n - from;
    if (stop > v->longest - prefix.n) stop = v->longest - prefix.n;
    uint64_t h = from > 0 ? m->prefix_hash : AS_VOCAB_START;
    for (size_t k = 0; k < stop; k++)
        w->prefix_hash[k] = h = as_vocab_step(h, (unsigned char)word->p[from + k]);
    for (; stop > 0; stop--) {
        const int32_t e = as_vocab_find(v, w->prefix_hash[stop - 1], prefix, word->p + from, stop);
        if (e >= 0) return *to = from + stop, e;
    }
    return -1;
}

static as_status unknown(const as_wordpiece *m, as_work *w, const as_word *word, size_t keep,
                         as_err *err) {
    if (m->unk < 0) return as_no_unknown(&m->unk_token, err);
    w->out->n = keep;
    return emit(w, word, m->unk, 0, word->n, err);
}

/* Pieces of a word from its place in the cache; false when another word, or none, is there. */
static bool from_cache(as_work *w, const as_cached_word *c, const as_word *word, as_status *status,
                       as_err *err) {
    if (c->hash != word->hash || c->len != word->n || memcmp(c->key, word->p, word->n) != 0)
        return false;
    *status = emit(w, word, c->id[0], 0, c->end[0], err);
    for (int i = 1; i < c->count && *status == AS_OK; i++)
        *status = emit(w, word, c->id[i], c->end[i - 1], c->end[i], err);
    return true;
}

static as_status split_word(const as_wordpiece *m, as_work *w, const as_word *word, as_err *err) {
    const size_t keep = w->out->n;
    const as_vocab *v = &w->t->vocab;
    if ((int64_t)word->n > m->max_chars && (int64_t)as_utf8_count(word->p, word->n) > m->max_chars)
        return unknown(m, w, word, keep, err);
    const int32_t e = as_vocab_find(v, word->hash, (as_str){"", 0}, word->p, word->n);
    if (e >= 0) return emit(w, word, v->entries[e].id, 0, word->n, err);
    if (w->cap_prefix < v->longest + 1 &&
        !as_grow(&w->prefix_hash, &w->cap_prefix, v->longest + 1, sizeof *w->prefix_hash))
        return as_fail_nomem(err, "tokenizer work space", v->longest);
    for (size_t from = 0, to = 0; from < word->n; from = to) {
        const int32_t entry = longest_at(m, w, word, from, &to);
        if (entry < 0) return unknown(m, w, word, keep, err);
        AS_TRY(emit(w, word, v->entries[entry].id, from, to, err));
    }
    return AS_OK;
}

as_status as_wordpiece_word(const as_wordpiece *m, as_work *w, const as_word *word, as_err *err) {
    if (word->n > CACHE_KEY || word->begin != NULL) return split_word(m, w, word, err);
    as_cached_word *c = &w->cache[(word->hash * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - CACHE_BITS)];
    as_status status;
    if (from_cache(w, c, word, &status, err)) return status;
    const size_t keep = w->out->n;
    AS_TRY(split_word(m, w, word, err));
    const size_t count = w->out->n - keep;
    if (count > CACHE_IDS) return AS_OK;
    *c = (as_cached_word){.hash = word->hash, .len = (uint8_t)word->n, .count = (uint8_t)count};
    memcpy(c->key, word->p, word->n);
    for (size_t i = 0; i < count;
         i++) { /* a plain word: original bytes are its own, shifted by start */
        c->id[i] = w->out->v[keep + i].id;
        c->end[i] = (uint8_t)(w->out->v[keep + i].end - word->start);
    }
    return AS_OK;
}

static as_status run_wordpiece(const as_part *self, as_work *w, as_err *err) {
    for (size_t i = 0; i < w->n_splits; i++) {
        const as_split *s = &w->splits[i];
        if (s->added != NULL) {
            AS_TRY(as_added_split(w, s, i, err));
            continue;
        }
        const as_word word = as_word_of(w, s, i);
        AS_TRY(as_wordpiece_word(self->settings, w, &word, err));
    }
    return AS_OK;
}

static const as_part_type types[] = {
    {"BPE", as_parse_bpe, as_run_bpe},
    {"Unigram", as_parse_unigram, as_run_unigram},
    {"WordLevel", parse_word_level, run_word_level},
    {"WordPiece", parse_wordpiece, run_wordpiece},
};
const as_part_kind as_models = {"model", NULL, types, AS_COUNT(types)};
const as_part_type *const as_wordpiece_type = &types[3];
const as_part_type *const as_bpe_type = &types[0];
const as_part_type *const as_unigram_type = &types[1];
