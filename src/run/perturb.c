#include "run/perturb.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

static const struct { const char *name; double strength; } kinds_of[AS_PERTURB_COUNT] = {
    [AS_PERTURB_TYPO_SWAP] = {"typo-swap", 0.1},           [AS_PERTURB_TYPO_DELETE] = {"typo-delete", 0.1},
    [AS_PERTURB_TYPO_INSERT] = {"typo-insert", 0.1},       [AS_PERTURB_CASE_LOWER] = {"case-lower", 1.0},
    [AS_PERTURB_CASE_UPPER] = {"case-upper", 1.0},         [AS_PERTURB_PUNCTUATION] = {"punctuation-strip", 1.0},
    [AS_PERTURB_WHITESPACE] = {"whitespace", 0.1},         [AS_PERTURB_WORD_DROP] = {"word-drop", 0.1},
    [AS_PERTURB_WORD_SWAP] = {"word-swap", 0.1},
};
const char *as_perturb_name(as_perturb_kind k) { return kinds_of[k].name; }
double as_perturb_strength(as_perturb_kind k) { return kinds_of[k].strength; }

static as_status unknown_kind(as_str name, as_err *err) {
    const char *names[AS_PERTURB_COUNT];
    char shown[64];
    for (int k = 0; k < AS_PERTURB_COUNT; k++) names[k] = kinds_of[k].name;
    snprintf(shown, sizeof shown, "%.*s", (int)(name.n < 60 ? name.n : 60), name.p);
    const int near = as_nearest(shown, names, AS_PERTURB_COUNT);
    (void)as_fail(err, AS_USAGE, "unknown perturbation \"%s\"", shown);
    as_hint(err, "%s%s%sThey are: all, typo-swap, typo-delete, typo-insert, case-lower, case-upper, punctuation-strip, whitespace, word-drop, word-swap.",
            near >= 0 ? "Did you mean " : "", near >= 0 ? names[near] : "", near >= 0 ? "? " : "");
    return AS_USAGE;
}

as_status as_perturb_parse(uint32_t *kinds, const char *list, as_err *err) {
    *kinds = 0;
    for (const char *at = list;; at++) {
        while (*at == ' ') at++;
        as_str name = {at, strcspn(at, ",")};
        at += name.n;
        while (name.n > 0 && name.p[name.n - 1] == ' ') name.n--;
        int k = 0;
        while (k < AS_PERTURB_COUNT && !as_str_is(name, kinds_of[k].name)) k++;
        if (as_str_is(name, "all")) *kinds |= (1u << AS_PERTURB_COUNT) - 1;
        else if (k < AS_PERTURB_COUNT) *kinds |= 1u << k;
        else return unknown_kind(name, err);
        if (*at == '\0') return AS_OK;
    }
}

/* --- a text as graphemes and words --- */
typedef enum grapheme_class { IS_OTHER, IS_SPACE, IS_PUNCTUATION, IS_WORD, IS_ALONE /* a word by itself */ } grapheme_class;
typedef struct grapheme {
    const char *p;
    uint32_t n;
    uint32_t first;    /* its first code point */
    grapheme_class is;
    bool drop, map;    /* left out; its case changed */
    uint32_t after;    /* a code point put behind it, 0 = none; TWICE = itself */
} grapheme;
#define TWICE UINT32_MAX
typedef struct word { int64_t at, n; } word; /* graphemes */

typedef struct passage {
    grapheme *g;
    word *w;
    int64_t *order, *pick; /* [n] graphemes as they come out; candidates */
    int64_t n, words;
    as_rng rng;
    double strength, fraction; /* fraction: one draw for the rounding */
} passage;

/* Written without blanks between words. */
static bool stands_alone(uint32_t c) {
    return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}
static grapheme_class class_of(uint32_t c) {
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    if (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP) return IS_SPACE;
    if (c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85) return IS_SPACE;
    if (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO) return IS_PUNCTUATION;
    const bool letter = k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO, number = k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
    if (!letter && !number) return IS_OTHER;
    return stands_alone(c) ? IS_ALONE : IS_WORD;
}
static bool is_apostrophe(uint32_t c) { return c == '\'' || c == 0x2019; }

static void cut_graphemes(passage *t, as_str text) {
    utf8proc_int32_t state = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < text.n;) {
        uint32_t c;
        const uint32_t bytes = as_utf8_next(text.p + i, &c);
        if (i == 0 || utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state))
            t->g[t->n++] = (grapheme){.p = text.p + i, .first = c, .is = class_of(c)};
        t->g[t->n - 1].n += bytes;
        before = c, i += bytes;
    }
}
/* Runs of letters and digits, with an apostrophe between two of them. */
static void find_words(passage *t) {
    for (int64_t i = 1; i + 1 < t->n; i++)
        if (is_apostrophe(t->g[i].first) && t->g[i - 1].is == IS_WORD && class_of(t->g[i + 1].first) == IS_WORD) t->g[i].is = IS_WORD;
    for (int64_t i = 0; i < t->n; i++) {
        if (t->g[i].is != IS_WORD && t->g[i].is != IS_ALONE) continue;
        const bool goes_on = i > 0 && t->g[i].is == IS_WORD && t->g[i - 1].is == IS_WORD;
        if (goes_on) t->w[t->words - 1].n++;
        else t->w[t->words++] = (word){i, 1};
    }
}

static bool same(const grapheme *a, const grapheme *b) { return a->n == b->n && memcmp(a->p, b->p, a->n) == 0; }

/* Which of the m candidates in pick are changed: the first of the result, of `total` units in all. */
static int64_t choose(passage *t, int64_t m, int64_t total) {
    as_rng_shuffle(&t->rng, t->pick, m);
    double k = floor(t->strength * (double)total + t->fraction);
    if (k < 1) k = 1;
    return k < (double)m ? (int64_t)k : m;
}

/* --- typing --- */
static bool alone(const passage *t, word w) { return t->g[w.at].is == IS_ALONE; }

/* Where a swap may begin in a word: the i whose neighbour differs. Chinese characters swap with the next, which is the next word. */
static int64_t swap_sites(const passage *t, int64_t which, int64_t *site) {
    const word w = t->w[which];
    if (alone(t, w)) {
        const bool next = w.at + 1 < t->n && t->g[w.at + 1].is == IS_ALONE && !same(&t->g[w.at], &t->g[w.at + 1]);
        if (next) *site = w.at;
        return next;
    }
    const int64_t from = w.n >= 3, to = w.n >= 4 ? w.n - 2 : w.n - 1;
    int64_t count = 0;
    for (int64_t i = from; i < to; i++)
        if (!same(&t->g[w.at + i], &t->g[w.at + i + 1])) site[count++] = w.at + i;
    return count;
}
static void typo_swap(passage *t, int64_t *site) {
    int64_t m = 0;
    for (int64_t i = 0; i < t->words; i++)
        if (swap_sites(t, i, site) > 0) t->pick[m++] = i;
    const int64_t k = choose(t, m, t->words);
    for (int64_t i = 0; i < k; i++) {
        const int64_t count = swap_sites(t, t->pick[i], site), at = site[as_rng_below(&t->rng, (uint64_t)count)];
        const int64_t g = t->order[at];
        t->order[at] = t->order[at + 1], t->order[at + 1] = g;
    }
}

/* A character inside the word, any of a short one; never all of it but for Chinese, where a word is one. */
static void typo_delete(passage *t) {
    int64_t m = 0;
    for (int64_t i = 0; i < t->words; i++)
        if (t->w[i].n > 1 || alone(t, t->w[i])) t->pick[m++] = i;
    const int64_t k = choose(t, m, t->words);
    int64_t left = t->words;
    for (int64_t i = 0; i < k; i++) {
        const word w = t->w[t->pick[i]];
        if (w.n == 1 && left-- == 1) break; /* the last word stays */
        const int64_t first = w.n >= 4, last = w.n >= 4 ? w.n - 2 : w.n - 1;
        t->g[w.at + first + (int64_t)as_rng_below(&t->rng, (uint64_t)(last - first + 1))].drop = true;
    }
}

static const char *const keys[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm"};
/* A key beside it in its row, in its case; 0 when it is on none of them. */
static uint32_t neighbour_key(uint32_t c, as_rng *r) {
    const bool upper = c >= 'A' && c <= 'Z';
    const char low = (char)(c < 0x80 ? c | (upper ? 0x20u : 0u) : 0);
    for (size_t row = 0; low && row < AS_COUNT(keys); row++) {
        const char *at = strchr(keys[row], low);
        if (!at) continue;
        const bool left = at == keys[row] ? false : !at[1] ? true : as_rng_below(r, 2) != 0;
        const uint32_t key = (unsigned char)at[left ? -1 : 1];
        return upper ? key - 0x20 : key;
    }
    return 0;
}
static void typo_insert(passage *t) {
    for (int64_t i = 0; i < t->words; i++) t->pick[i] = i;
    const int64_t k = choose(t, t->words, t->words);
    for (int64_t i = 0; i < k; i++) {
        const word w = t->w[t->pick[i]];
        grapheme *g = &t->g[w.at + (int64_t)as_rng_below(&t->rng, (uint64_t)w.n)];
        const uint32_t key = neighbour_key(g->first, &t->rng);
        g->after = key ? key : TWICE;
    }
}

/* --- case, punctuation, blanks --- */
static uint32_t mapped(uint32_t c, as_perturb_kind kind) {
    return (uint32_t)(kind == AS_PERTURB_CASE_UPPER ? utf8proc_toupper((utf8proc_int32_t)c) : utf8proc_tolower((utf8proc_int32_t)c));
}
static bool maps(const grapheme *g, as_perturb_kind kind) {
    for (uint32_t i = 0; i < g->n;) {
        uint32_t c;
        i += as_utf8_next(g->p + i, &c);
        if (mapped(c, kind) != c) return true;
    }
    return false;
}
static void change_case(passage *t, as_perturb_kind kind) {
    int64_t m = 0;
    for (int64_t i = 0; i < t->words; i++) {
        bool any = false;
        for (int64_t k = 0; k < t->w[i].n && !any; k++) any = maps(&t->g[t->w[i].at + k], kind);
        if (any) t->pick[m++] = i;
    }
    const int64_t k = choose(t, m, t->words);
    for (int64_t i = 0; i < k; i++) {
        const word w = t->w[t->pick[i]];
        for (int64_t j = 0; j < w.n; j++) t->g[w.at + j].map = true;
    }
}
static void strip_punctuation(passage *t) {
    int64_t m = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (class_of(t->g[i].first) == IS_PUNCTUATION) t->pick[m++] = i;
    const int64_t k = choose(t, m, m);
    for (int64_t i = 0; i < k; i++) t->g[t->pick[i]].drop = true;
}
static void add_blanks(passage *t) {
    int64_t m = 0;
    for (int64_t i = 0; i + 1 < t->n; i++) {
        const bool gap = t->g[i].is == IS_SPACE && t->g[i + 1].is != IS_SPACE, between = t->g[i].is == IS_ALONE && t->g[i + 1].is == IS_ALONE;
        if (gap || between) t->pick[m++] = i;
    }
    const int64_t k = choose(t, m, m);
    for (int64_t i = 0; i < k; i++) t->g[t->pick[i]].after = ' ';
}

/* --- words --- */
/* The blank beside a word that goes: the one behind it, else the one before. */
static void drop_word(passage *t, word w) {
    for (int64_t i = 0; i < w.n; i++) t->g[w.at + i].drop = true;
    const int64_t behind = w.at + w.n, before = w.at - 1;
    const bool opens = before < 0 || t->g[before].is == IS_SPACE; /* else "word," would lose its blank to the comma */
    if (opens && behind < t->n && t->g[behind].is == IS_SPACE) t->g[behind].drop = true;
    else if (before >= 0 && t->g[before].is == IS_SPACE) t->g[before].drop = true;
}
static void word_drop(passage *t) {
    for (int64_t i = 0; i < t->words; i++) t->pick[i] = i;
    int64_t k = choose(t, t->words, t->words);
    if (k >= t->words) k = t->words - 1;
    for (int64_t i = 0; i < k; i++) drop_word(t, t->w[t->pick[i]]);
}

static bool blank_between(const passage *t, word a, word b) {
    for (int64_t i = a.at + a.n; i < b.at; i++)
        if (t->g[i].is != IS_SPACE) return false;
    return true;
}
static bool same_word(const passage *t, word a, word b) {
    if (a.n != b.n) return false;
    for (int64_t i = 0; i < a.n; i++)
        if (!same(&t->g[a.at + i], &t->g[b.at + i])) return false;
    return true;
}
static void word_swap(passage *t, int64_t *place) {
    int64_t m = 0;
    for (int64_t i = 0; i + 1 < t->words; i++)
        if (blank_between(t, t->w[i], t->w[i + 1]) && !same_word(t, t->w[i], t->w[i + 1])) t->pick[m++] = i;
    const int64_t k = choose(t, m, t->words);
    for (int64_t i = 0; i < t->words; i++) place[i] = i;
    for (int64_t i = 0; i < k; i++) {
        const int64_t at = t->pick[i], was = place[at];
        place[at] = place[at + 1], place[at + 1] = was;
    }
    int64_t out = 0, next = 0; /* words at their new places, everything else where it was */
    for (int64_t i = 0; i < t->n;) {
        if (next < t->words && t->w[next].at == i) {
            const word w = t->w[place[next]];
            for (int64_t j = 0; j < w.n; j++) t->order[out++] = w.at + j;
            i += t->w[next++].n;
        } else {
            t->order[out++] = i++;
        }
    }
}

/* --- in and out --- */
static void put(as_buf *out, uint32_t c) {
    char bytes[4];
    as_buf_add(out, bytes, as_utf8_put(bytes, c));
}
static void put_grapheme(as_buf *out, const grapheme *g, as_perturb_kind kind) {
    if (!g->map) {
        as_buf_add(out, g->p, g->n);
        return;
    }
    for (uint32_t i = 0; i < g->n;) {
        uint32_t c;
        i += as_utf8_next(g->p + i, &c);
        put(out, mapped(c, kind));
    }
}
static void put_all(as_buf *out, const passage *t, as_perturb_kind kind) {
    for (int64_t i = 0; i < t->n; i++) {
        const grapheme *g = &t->g[t->order[i]];
        if (g->drop) continue;
        put_grapheme(out, g, kind);
        if (g->after == TWICE) put_grapheme(out, g, kind);
        else if (g->after) put(out, g->after);
    }
}
static bool leaves_something(const passage *t) {
    for (int64_t i = 0; i < t->n; i++)
        if (!t->g[i].drop && t->g[i].is != IS_SPACE) return true;
    return false;
}

static void perturb(passage *t, as_perturb_kind kind, int64_t *room) {
    switch (kind) {
    case AS_PERTURB_TYPO_SWAP: typo_swap(t, room); break;
    case AS_PERTURB_TYPO_DELETE: typo_delete(t); break;
    case AS_PERTURB_TYPO_INSERT: typo_insert(t); break;
    case AS_PERTURB_CASE_LOWER:
    case AS_PERTURB_CASE_UPPER: change_case(t, kind); break;
    case AS_PERTURB_PUNCTUATION: strip_punctuation(t); break;
    case AS_PERTURB_WHITESPACE: add_blanks(t); break;
    case AS_PERTURB_WORD_DROP: word_drop(t); break;
    case AS_PERTURB_WORD_SWAP: word_swap(t, room); break;
    default: break;
    }
}

void as_perturb_text(as_buf *out, as_str text, as_perturb_kind kind, double strength, uint64_t seed, uint64_t item) {
    if (text.n == 0) return;
    if (!(strength > 0) || as_utf8_valid_prefix(text.p, text.n) != text.n) {
        as_buf_add(out, text.p, text.n);
        return;
    }
    passage t = {.g = as_alloc(text.n, sizeof *t.g), .w = as_alloc(text.n, sizeof *t.w), .order = as_alloc(text.n, sizeof *t.order),
                 .pick = as_alloc(text.n, sizeof *t.pick), .rng = as_rng_at(seed, AS_STREAM_PERTURB, (uint32_t)item), .strength = strength > 1 ? 1 : strength};
    int64_t *room = as_alloc(text.n, sizeof *room);
    if (t.g && t.w && t.order && t.pick && room) {
        t.rng.b = (uint32_t)(item >> 32) ^ (uint32_t)kind << 24;
        t.fraction = as_rng_double(&t.rng);
        cut_graphemes(&t, text);
        find_words(&t);
        for (int64_t i = 0; i < t.n; i++) t.order[i] = i;
        perturb(&t, kind, room);
        if (leaves_something(&t)) put_all(out, &t, kind);
        else as_buf_add(out, text.p, text.n);
    } else {
        out->failed = true;
    }
    as_free(t.g), as_free(t.w), as_free(t.order), as_free(t.pick), as_free(room);
}
