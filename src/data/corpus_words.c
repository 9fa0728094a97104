#include "data/corpus_words.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <string.h>
#include <utf8proc.h>

bool as_is_unspaced(uint32_t cp) {
    static const struct { uint32_t first, last; } range[] = {
        {0x0E00, 0x0EFF}, /* Thai, Lao */
        {0x1000, 0x109F}, /* Burmese */
        {0x1780, 0x17FF}, /* Khmer */
        {0x2E80, 0x2FDF}, /* radicals */
        {0x3005, 0x3007},   {0x3040, 0x30FF}, /* kana */
        {0x31F0, 0x31FF},   {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0xFF66, 0xFF9F}, {0x20000, 0x3FFFF},
    };
    if (cp < range[0].first) return false;
    for (size_t i = 0; i < AS_COUNT(range); i++)
        if (cp >= range[i].first && cp <= range[i].last) return true;
    return false;
}

bool as_is_blank(uint32_t cp) {
    if (cp < 0x80) return cp == ' ' || (cp >= '\t' && cp <= '\r');
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

typedef enum kind { SEPARATOR, LETTER, DIGIT, MARK } kind;

static kind kind_of(uint32_t cp) {
    if (cp < 0x80) {
        const uint32_t low = cp | 0x20;
        return low >= 'a' && low <= 'z' ? LETTER : cp >= '0' && cp <= '9' ? DIGIT : SEPARATOR;
    }
    if (cp >= 0x4E00 && cp <= 0x9FFF) return LETTER;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO:
        return LETTER;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO:
        return DIGIT;
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
        return MARK;
    default:
        return SEPARATOR;
    }
}

static uint32_t lower(uint32_t cp) {
    if (cp < 0x80) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    if (cp >= 0x2E80 && cp < 0xA000) return cp; /* kana, ideographs */
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

uint64_t as_words_gram(const uint64_t *hash, int64_t n) { return as_hash64(hash, (size_t)n * sizeof *hash, (uint64_t)n); }

void as_words_free(as_words *w) {
    as_free(w->hash), as_free(w->chars);
    *w = (as_words){0};
}

/* The word that is being read. */
typedef struct open_word { uint64_t hash; uint32_t chars; bool letter; } open_word;

static bool close_word(as_words *w, open_word *o) {
    if (o->chars == 0) return true;
    if (!as_grow(&w->hash, &w->hash_cap, (size_t)w->n + 1, sizeof *w->hash) || !as_grow(&w->chars, &w->chars_cap, (size_t)w->n + 1, sizeof *w->chars))
        return false;
    w->hash[w->n] = mix(o->hash, o->chars);
    w->chars[w->n++] = o->chars;
    w->alphabetic += o->letter;
    *o = (open_word){0};
    return true;
}

as_status as_words_of(as_words *w, as_str text, as_err *err) {
    open_word o = {0};
    w->n = w->single = w->alphabetic = 0;
    bool room = true;
    for (size_t i = 0; i < text.n && room;) {
        uint32_t cp;
        i += as_utf8_next(text.p + i, &cp);
        const kind k = kind_of(cp);
        const bool single = k == LETTER && as_is_unspaced(cp);
        if (k == SEPARATOR || (k == MARK && o.chars == 0) || single) room = close_word(w, &o);
        if (k == SEPARATOR || (k == MARK && o.chars == 0)) continue;
        o.hash = mix(o.hash, lower(cp));
        o.chars++;
        o.letter |= k == LETTER;
        if (single) room = room && close_word(w, &o), w->single++;
    }
    if (!room || !close_word(w, &o)) return as_fail_nomem(err, "the words of a document", (size_t)w->n * sizeof *w->hash);
    return AS_OK;
}

void as_text_fold(as_buf *out, as_str text) {
    enum { ROOM = 256 };
    char room[ROOM + 8];
    size_t n = 0;
    bool blank = false, any = false;
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        i += as_utf8_next(text.p + i, &cp);
        if (as_is_blank(cp)) {
            blank = true;
            continue;
        }
        if (blank && any) room[n++] = ' ';
        blank = false, any = true;
        n += as_utf8_put(room + n, lower(cp));
        if (n >= ROOM) as_buf_add(out, room, n), n = 0;
    }
    as_buf_add(out, room, n);
}
