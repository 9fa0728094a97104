/* fast.c: BertNormalizer + BertPreTokenizer + WordPiece in one pass over the text, the pair that
 * nearly all BERT-type checkpoints use. ASCII goes through a table of byte kinds; other characters
 * through the same Unicode tables as the general path, one at a time. That is the same thing as
 * running the stages one after the other, except where marks must be put into canonical order and
 * survive it; such a text goes back to the general path. tests/token compares the two paths. */
#include "token/internal.h"

#include "base/utf8.h"
#include <string.h>

void as_fast_prepare(as_tokenizer *t) {
    as_fast *f = &t->fast;
    f->on = t->normalizer.type == as_bert_normalizer_type &&
            t->pre_tokenizer.type == as_bert_pre_tokenizer_type &&
            t->model.type == as_wordpiece_type && t->added.normalized.count == 0;
    if (!f->on) return;
    f->bert = *(const as_bert_settings *)t->normalizer.settings;
    f->model = t->model.settings;
    for (unsigned c = 0; c < 256; c++) {
        const unsigned u = c < 128 ? as_uc_flags(c) : 0;
        f->kind[c] = c >= 128                             ? FAST_UNICODE
                     : f->bert.clean && (u & AS_UC_OTHER) ? FAST_DROP
                     : u & AS_UC_WHITE                    ? FAST_SPACE
                     : u & AS_UC_PUNCT                    ? FAST_PUNCT
                                                          : FAST_WORD;
        if (c >= 128) continue;
        f->low[c] = (uint8_t)(f->bert.lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
        const char byte = (char)c;
        f->punct[c] = f->kind[c] == FAST_PUNCT && f->model->max_chars > 0
                          ? as_vocab_id(&t->vocab, (as_str){&byte, 1})
                          : -1;
    }
}

void as_tokenizer_force_general(as_tokenizer *t) {
    t->fast.on = false;
}

/* The word under way: bytes in w->word.text[0..n), their original ranges beside them unless the
 * word is plain. */
typedef struct scan {
    as_work *w;
    const as_fast *f;
    const char *text;
    uint64_t hash;
    size_t n;
    uint32_t start; /* plain: byte k of the word is byte start + k of the text */
    bool plain;
    int32_t number; /* pre-tokens so far */
} scan;

static as_status flush(scan *s, as_err *err) {
    if (s->n == 0) return AS_OK;
    const as_norm *b = &s->w->word;
    const as_word word = {
        b->text,  s->n,       s->hash, s->plain ? NULL : b->begin, s->plain ? NULL : b->end,
        s->start, s->number++};
    s->n = 0;
    s->hash = AS_VOCAB_START;
    s->plain = true;
    return as_wordpiece_word(s->f->model, s->w, &word, err);
}

/* Append a character that stands for the bytes [begin, end) of the text. */
static as_status put(scan *s, uint32_t cp, uint32_t begin, uint32_t end, as_err *err) {
    as_norm *b = &s->w->word;
    if (b->cap < s->n + 4) AS_TRY(as_norm_reserve(b, s->n + 4, err));
    if (s->n > 0 && s->plain)
        for (size_t k = 0; k < s->n; k++)
            b->begin[k] = s->start + (uint32_t)k, b->end[k] = s->start + (uint32_t)k + 1;
    s->plain = false;
    const uint32_t len = as_utf8_put(b->text + s->n, cp);
    for (uint32_t k = 0; k < len; k++, s->n++) {
        s->hash = as_vocab_step(s->hash, (unsigned char)b->text[s->n]);
        b->begin[s->n] = begin, b->end[s->n] = end;
    }
    return AS_OK;
}

/* A character after normalisation: cut here, or take it into the word. */
static as_status put_cut(scan *s, uint32_t cp, uint32_t begin, uint32_t end, as_err *err) {
    const unsigned f = as_uc_flags(cp);
    if (!(f & (AS_UC_WHITE | AS_UC_PUNCT))) return put(s, cp, begin, end, err);
    AS_TRY(flush(s, err));
    if (f & AS_UC_WHITE) return AS_OK;
    AS_TRY(put(s, cp, begin, end, err));
    return flush(s, err);
}

static as_status put_lower(scan *s, uint32_t cp, uint32_t begin, uint32_t end, as_err *err) {
    if (!s->f->bert.lower || !(as_uc_flags(cp) & AS_UC_LOWER))
        return put_cut(s, cp, begin, end, err);
    const uint32_t *low = as_uc_lower(cp);
    for (uint32_t k = 1; k <= low[0]; k++)
        AS_TRY(put_cut(s, low[k], begin, end, err));
    return AS_OK;
}

/* *ok false: this character may have to change places with a neighbour. */
static as_status put_unicode(scan *s, uint32_t cp, uint32_t begin, uint32_t end, bool *ok,
                             as_err *err) {
    const as_bert_settings *b = &s->f->bert;
    const unsigned f = as_uc_flags(cp);
    if (b->clean && (f & AS_UC_OTHER)) return AS_OK;
    if (b->clean && (f & AS_UC_WHITE)) return flush(s, err);
    const bool alone = b->chinese && as_uc_is_chinese(cp);
    if (alone) AS_TRY(flush(s, err));
    if (!b->strip || (!(f & (AS_UC_NFD | AS_UC_MN | AS_UC_CCC)) && !as_uc_is_hangul(cp))) {
        AS_TRY(put_lower(s, cp, begin, end, err));
    } else {
        uint32_t points[AS_UC_MAX];
        const int n = as_uc_decompose(points, cp, false);
        for (int k = 0; k < n; k++) {
            const unsigned g = as_uc_flags(points[k]);
            if (g & AS_UC_MN) continue;
            if (g & AS_UC_CCC) return *ok = false, AS_OK;
            AS_TRY(put_lower(s, points[k], begin, end, err));
        }
    }
    return alone ? flush(s, err) : AS_OK;
}

/* A run of ASCII letters and digits from i on; returns where it ends. */
static size_t ascii_run(scan *s, size_t i, size_t end) {
    as_norm *b = &s->w->word;
    const as_fast *f = s->f;
    size_t n = s->n;
    uint64_t h = s->hash;
    if (n == 0)
        s->start = (uint32_t)i, s->plain = true;
    else if (s->plain &&
             s->start + n != i) { /* something was dropped inside the word: no longer one to one */
        for (size_t k = 0; k < n; k++)
            b->begin[k] = s->start + (uint32_t)k, b->end[k] = s->start + (uint32_t)k + 1;
        s->plain = false;
    }
    const size_t first = i, base = n;
    for (; i < end; i++) {
        const unsigned char c = (unsigned char)s->text[i];
        if (f->kind[c] != FAST_WORD) break;
        const uint8_t low = f->low[c];
        b->text[n++] = (char)low;
        h = as_vocab_step(h, low);
    }
    if (!s->plain)
        for (size_t k = 0; k < i - first; k++)
            b->begin[base + k] = (uint32_t)(first + k),
                            b->end[base + k] = (uint32_t)(first + k + 1);
    s->n = n, s->hash = h;
    return i;
}

static as_status scan_piece(scan *s, size_t i, size_t end, bool *ok, as_err *err) {
    while (i < end) {
        const unsigned char c = (unsigned char)s->text[i];
        switch (s->f->kind[c]) {
        case FAST_WORD:
            /* Room for all that is left of the piece, so that the run needs no check per byte. */
            if (s->w->word.cap < s->n + (end - i))
                AS_TRY(as_norm_reserve(&s->w->word, s->n + (end - i), err));
            i = ascii_run(s, i, end);
            break;
        case FAST_SPACE:
            AS_TRY(flush(s, err));
            i++;
            break;
        case FAST_DROP:
            i++;
            break;
        case FAST_PUNCT:
            AS_TRY(flush(s, err));
            if (s->f->punct[c] >= 0) {
                AS_TRY(as_piece_add(s->w->out, s->f->punct[c], (uint32_t)i, (uint32_t)i + 1,
                                    s->number++, err));
            } else {
                AS_TRY(put(s, c, (uint32_t)i, (uint32_t)i + 1, err));
                AS_TRY(flush(s, err));
            }
            i++;
            break;
        default: {
            uint32_t cp;
            const uint32_t len = as_utf8_next(s->text + i, &cp);
            AS_TRY(put_unicode(s, cp, (uint32_t)i, (uint32_t)i + len, ok, err));
            if (!*ok) return AS_OK;
            i += len;
        }
        }
    }
    return flush(s, err);
}

as_status as_fast_encode(as_work *w, as_str text, bool *done, as_err *err) {
    scan s = {.w = w, .f = &w->t->fast, .text = text.p, .hash = AS_VOCAB_START, .plain = true};
    w->out->n = 0;
    *done = true;
    size_t pos = 0, from = 0;
    as_match m;
    while (as_matcher_next(&w->t->added.raw, text, &pos, from, &m)) {
        AS_TRY(scan_piece(&s, from, m.begin, done, err));
        if (!*done) return AS_OK;
        AS_TRY(as_added_piece(w, m.token, text.p + m.begin, m.end - m.begin, (uint32_t)m.begin,
                              (uint32_t)m.end, s.number++, err));
        from = m.end;
    }
    return from < text.n ? scan_piece(&s, from, text.n, done, err) : AS_OK;
}
