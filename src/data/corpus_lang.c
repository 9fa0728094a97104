#include "data/corpus_lang.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>
#include <utf8proc.h>

enum { READ_CHARS = 200 };

const char *as_lang_name(int lang) { return lang >= 0 && lang < AS_LANGS ? as_lang_codes[lang] : "other"; }

/* A letter or mark lower-cased, else a blank. */
static uint32_t plain(uint32_t cp) {
    if (cp < 0x80) {
        const uint32_t low = cp | 0x20;
        return low >= 'a' && low <= 'z' ? low : ' ';
    }
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    const bool letter = c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME;
    return letter ? (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp) : ' ';
}

static const as_lang_gram *find(uint64_t gram) {
    size_t at = (size_t)((gram * 0x9E3779B97F4A7C15u) >> 51);
    while (as_lang_grams[at].gram != gram && as_lang_grams[at].gram != 0) at = (at + 1) % AS_LANG_SLOTS;
    return as_lang_grams[at].gram == gram ? &as_lang_grams[at] : NULL;
}

typedef struct tally { int32_t cost[AS_LANG_ROOM], single, known, kana, han; } tally;

static void add(tally *t, uint64_t gram) {
    const as_lang_gram *const g = find(gram);
    const bool single = (gram & (((uint64_t)1 << 42) - 1)) == 0;
    const uint64_t cp = gram >> 42;
    t->single += single;
    t->kana += single && cp >= 0x3041 && cp <= 0x30FA;
    t->han += single && cp >= 0x3400 && cp <= 0x9FFF;
    t->known += single && (g != NULL || (cp >= 0x3040 && cp <= 0x9FFF)); /* no table holds all ideographs */
    if (g == NULL) return;
    for (int l = 0; l < AS_LANG_ROOM; l++) t->cost[l] += g->cost[l]; /* the compiler's vectors like 16 */
}

/* c is the character, b and a those before it (0 = none). */
static void add_all(tally *t, uint64_t a, uint64_t b, uint64_t c) {
    if (c != ' ') add(t, c << 42);
    if (b != 0 && (b != ' ' || c != ' ')) add(t, b << 42 | c << 21);
    if (a != 0) add(t, a << 42 | b << 21 | c);
}

/* Ideographs serve two languages, and one of them cannot do without kana. */
static int by_script(const tally *t, int best) {
    if (2 * (t->han + t->kana) < t->single) return best;
    return 20 * t->kana >= t->han + t->kana ? AS_LANG_JA : AS_LANG_ZH;
}

int as_lang_of(as_str text) {
    tally t = {0};
    uint64_t a = 0, b = ' ';
    int read = 0;
    for (size_t i = 0; i < text.n && read < READ_CHARS; read++) {
        uint32_t cp;
        i += as_utf8_next(text.p + i, &cp);
        const uint64_t c = plain(cp);
        if (c == ' ' && b == ' ') continue;
        add_all(&t, a, b, c);
        a = b, b = c;
    }
    if (b != ' ') add_all(&t, a, b, ' ');
    if (t.known == 0 || 2 * t.known < t.single) return AS_LANG_OTHER;
    int best = 0;
    for (int l = 1; l < AS_LANGS; l++)
        if (t.cost[l] < t.cost[best]) best = l;
    return by_script(&t, best);
}

as_status as_lang_parse(unsigned *out, const char *list, as_err *err) {
    *out = 0;
    for (const char *p = list;; p++) {
        const char *const comma = strchr(p, ',');
        const as_str name = {p, comma != NULL ? (size_t)(comma - p) : strlen(p)};
        int l = 0;
        while (l <= AS_LANGS && !as_str_is(name, as_lang_name(l))) l++;
        if (l > AS_LANGS) {
            (void)as_fail(err, AS_USAGE, "--lang: no language \"%.*s\"", (int)(name.n < 40 ? name.n : 40), name.p);
            as_hint(err, "Known are ar, de, en, es, fr, ja, ro, ru, zh; what is none of them is \"other\". For example --lang en,zh.");
            return AS_USAGE;
        }
        *out |= 1u << l;
        if (comma == NULL) return AS_OK;
        p = comma;
    }
}
