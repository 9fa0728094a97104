/* corpus_rules.c: rules on length and repetition of Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from
 * Training Gopher", appendix A.1.1 (quality filtering; repetition: table A1). Their words are separated by white space; here a word
 * is as corpus_words.h says, so that a Chinese text has as many words as characters. */
#include "data/corpus_rules.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const as_rule_row rows[AS_RULE_COUNT] = {
    [AS_RULE_NFC] = {"nfc", "Unicode normalisation form C", 1, 1, 1, 1},
    [AS_RULE_CONTROL] = {"control", "control characters, blanks at the ends of lines", 1, 1, 1, 1},
    [AS_RULE_BOILERPLATE] = {"boilerplate", "lines that stand in so many documents or more", 100, 100, 2, 1e15},
    [AS_RULE_EMPTY] = {"empty", "documents without text", 1, 1, 1, 1},
    [AS_RULE_MIN_WORDS] = {"min-words", "documents of fewer words", NAN, 50, 1, 1e15},
    [AS_RULE_MAX_WORDS] = {"max-words", "documents of more words", 100000, 100000, 1, 1e15},
    [AS_RULE_MIN_WORD_LENGTH] = {"min-word-length", "shorter words on average", NAN, 3, 0, 1e6},
    [AS_RULE_MAX_WORD_LENGTH] = {"max-word-length", "longer words on average", NAN, 10, 0, 1e6},
    [AS_RULE_SYMBOLS] = {"symbols", "more # and ellipses per word", 0.1, 0.1, 0, 1e6},
    [AS_RULE_BULLETS] = {"bullets", "a larger share of lines that begin with a bullet", 0.9, 0.9, 0, 1},
    [AS_RULE_ELLIPSIS] = {"ellipsis", "a larger share of lines that end with an ellipsis", 0.3, 0.3, 0, 1},
    [AS_RULE_ALPHABETIC] = {"alphabetic", "a smaller share of words with a letter", NAN, 0.8, 0, 1},
    [AS_RULE_STOP_WORDS] = {"stop-words", "English with fewer of: the be to of and that have with", NAN, 2, 1, 8},
    [AS_RULE_DUP_LINES] = {"dup-lines", "a larger share of repeated lines", 0.30, 0.30, 0, 1},
    [AS_RULE_DUP_LINE_CHARS] = {"dup-line-chars", "a larger share of characters in repeated lines", 0.20, 0.20, 0, 1},
    [AS_RULE_TOP_2] = {"top-2gram", "a larger share of characters in the most frequent 2-gram", 0.20, 0.20, 0, 1},
    [AS_RULE_TOP_3] = {"top-3gram", "... 3-gram", 0.18, 0.18, 0, 1},
    [AS_RULE_TOP_4] = {"top-4gram", "... 4-gram", 0.16, 0.16, 0, 1},
    [AS_RULE_DUP_5] = {"dup-5gram", "a larger share of characters in repeated 5-grams", 0.15, 0.15, 0, 1},
    [AS_RULE_DUP_6] = {"dup-6gram", "... 6-grams", 0.14, 0.14, 0, 1},
    [AS_RULE_DUP_7] = {"dup-7gram", "... 7-grams", 0.13, 0.13, 0, 1},
    [AS_RULE_DUP_8] = {"dup-8gram", "... 8-grams", 0.12, 0.12, 0, 1},
    [AS_RULE_DUP_9] = {"dup-9gram", "... 9-grams", 0.11, 0.11, 0, 1},
    [AS_RULE_DUP_10] = {"dup-10gram", "... 10-grams", 0.10, 0.10, 0, 1},
    [AS_RULE_LANG] = {"lang", "documents in another language than --lang names", NAN, NAN, 1, 1},
    [AS_RULE_EXACT] = {"exact", "documents that repeat an earlier one", 1, 1, 1, 1},
    [AS_RULE_NEAR] = {"near", "documents nearly like an earlier one: Jaccard at least", 0.8, 0.8, 0.1, 1},
};
const as_rule_row *as_rule_at(as_corpus_rule r) { return &rows[r]; }

/* ---- settings ---- */
as_status as_corpus_rules_preset(as_corpus_rules *out, const char *name, as_err *err) {
    const bool basic = strcmp(name, "basic") == 0, gopher = strcmp(name, "gopher") == 0;
    if (!basic && !gopher && strcmp(name, "none") != 0) {
        (void)as_fail(err, AS_USAGE, "no set of rules \"%.64s\"", name);
        as_hint(err, "There are none, basic and gopher.");
        return AS_USAGE;
    }
    for (int r = 0; r < AS_RULE_COUNT; r++) out->value[r] = basic ? rows[r].basic : gopher ? rows[r].gopher : NAN;
    out->value[AS_RULE_EMPTY] = 1; /* a document without text has nothing to keep */
    return AS_OK;
}

static as_status unknown_rule(as_str name, as_err *err) {
    const char *names[AS_RULE_COUNT];
    char word[64] = "";
    for (int r = 0; r < AS_RULE_COUNT; r++) names[r] = rows[r].name;
    memcpy(word, name.p, name.n < sizeof word ? name.n : sizeof word - 1);
    const int near = as_nearest(word, names, AS_RULE_COUNT);
    (void)as_fail(err, AS_USAGE, "--rule %s: no such rule", word);
    if (near >= 0) as_hint(err, "Did you mean %s? docs/corpus.md lists the rules.", names[near]);
    else as_hint(err, "docs/corpus.md lists the rules.");
    return AS_USAGE;
}

as_status as_corpus_rules_set(as_corpus_rules *rules, const char *text, as_err *err) {
    const char *const equals = strchr(text, '=');
    const as_str name = {text, equals != NULL ? (size_t)(equals - text) : strlen(text)};
    const char *const value = equals != NULL ? equals + 1 : "";
    int r = 0;
    while (r < AS_RULE_COUNT && !as_str_is(name, rows[r].name)) r++;
    if (r == AS_RULE_COUNT) return unknown_rule(name, err);
    if (r == AS_RULE_LANG || r == AS_RULE_EMPTY) {
        (void)as_fail(err, AS_USAGE, "--rule %s is not set by a value", rows[r].name);
        as_hint(err, r == AS_RULE_LANG ? "--lang en,zh says which languages stay." : "Documents without text are always left out.");
        return AS_USAGE;
    }
    double number;
    if (strcmp(value, "off") == 0) {
        number = NAN;
    } else if (strcmp(value, "on") == 0 && (rows[r].basic == rows[r].basic || rows[r].gopher == rows[r].gopher)) {
        number = rows[r].gopher;
    } else if (!as_parse_f64(as_str_of(value), &number) || !(number >= rows[r].least && number <= rows[r].most)) {
        (void)as_fail(err, AS_USAGE, "--rule %.100s: expected %s=VALUE with a value from %g to %g, on or off", text, rows[r].name, rows[r].least, rows[r].most);
        as_hint(err, "For example --rule %s=%g.", rows[r].name, rows[r].gopher);
        return AS_USAGE;
    }
    rules->value[r] = number;
    return AS_OK;
}

/* ---- judging ---- */
void as_judge_free(as_judge *j) {
    as_words_free(&j->words);
    as_free(j->slot), as_free(j->count), as_free(j->line), as_free(j->covered);
    *j = (as_judge){0};
}

static as_status nomem(as_err *err) { return as_fail_nomem(err, "judging a document", 0); }

static bool starts(as_str s, const char *with) { return s.n >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0; }
static bool ends(as_str s, const char *with) { return s.n >= strlen(with) && memcmp(s.p + s.n - strlen(with), with, strlen(with)) == 0; }

static bool has_bullet(as_str line) {
    static const char *const bullets[] = {"-", "*", "\xE2\x80\xA2", "\xE2\x80\xA3", "\xE2\x97\xA6", "\xE2\x96\xAA", "\xE2\x97\x8F", "\xE2\x80\x93", "\xC2\xB7", "\xE3\x83\xBB"};
    while (line.n > 0 && (*line.p == ' ' || *line.p == '\t')) line.p++, line.n--;
    for (size_t i = 0; i < AS_COUNT(bullets); i++)
        if (starts(line, bullets[i])) return true;
    return false;
}

typedef struct shares { int64_t lines, bullets, ellipses, repeated, chars, repeated_chars, symbols; } shares;

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int64_t count_symbols(as_str text) {
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const as_str rest = {text.p + i, text.n - i};
        if (text.p[i] == '#') n++;
        else if (starts(rest, "...")) n++, i += 2;
        else if (starts(rest, "\xE2\x80\xA6")) n++, i += 2;
    }
    return n;
}

/* Lines as (hash, length) pairs in j->line; repeated = those beyond the first of their kind. */
static as_status count_lines(as_judge *j, as_str text, shares *s, as_err *err) {
    size_t n = 0;
    for (const char *p = text.p, *const end = text.p + text.n; p < end;) {
        const char *const lf = memchr(p, '\n', (size_t)(end - p));
        const as_str line = {p, (size_t)((lf != NULL ? lf : end) - p)};
        if (!as_grow(&j->line, &j->line_cap, n + 2, sizeof *j->line)) return nomem(err);
        const uint64_t chars = as_utf8_count(line.p, line.n);
        /* one word: hash in the upper 40 bits, length in the lower 24; a line of 16 million characters counts as that */
        j->line[n++] = (as_hash64(line.p, line.n, 0) & ~(uint64_t)0xFFFFFF) | (chars < 0xFFFFFF ? chars : 0xFFFFFF);
        s->lines++, s->chars += (int64_t)chars;
        s->bullets += has_bullet(line);
        s->ellipses += ends(line, "...") || ends(line, "\xE2\x80\xA6");
        p = lf != NULL ? lf + 1 : end;
    }
    qsort(j->line, n, sizeof *j->line, by_value);
    for (size_t i = 1; i < n; i++)
        if (j->line[i] == j->line[i - 1]) s->repeated++, s->repeated_chars += (int64_t)(j->line[i] & 0xFFFFFF);
    s->symbols = count_symbols(text);
    return AS_OK;
}

/* Empty the table of at least 2n slots; *mask gets its size less 1. */
static bool clear_table(as_judge *j, int64_t n, size_t *mask) {
    size_t size = 64;
    while (size < 2 * (size_t)n) size *= 2;
    if (!as_grow(&j->slot, &j->slot_cap, size, sizeof *j->slot) || !as_grow(&j->count, &j->count_cap, size, sizeof *j->count)) return false;
    memset(j->slot, 0, size * sizeof *j->slot);
    memset(j->count, 0, size * sizeof *j->count);
    *mask = size - 1;
    return true;
}

static size_t slot_of(const as_judge *j, uint64_t key, size_t mask) {
    size_t i = (size_t)key & mask;
    while (j->slot[i] != 0 && j->slot[i] != key) i = (i + 1) & mask;
    return i;
}

/* Characters in the most frequent n-gram, all its occurrences: its length times its count. */
static as_status top_gram(as_judge *j, int64_t n, int64_t *chars, as_err *err) {
    const as_words *const w = &j->words;
    size_t mask;
    uint32_t most = 1;
    *chars = 0;
    if (!clear_table(j, w->n, &mask)) return nomem(err);
    for (int64_t i = 0; i + n <= w->n; i++) {
        const uint64_t key = as_words_gram(w->hash + i, n) | 1;
        const size_t at = slot_of(j, key, mask);
        j->slot[at] = key;
        const uint32_t count = ++j->count[at];
        int64_t length = 0;
        for (int64_t k = 0; k < n; k++) length += w->chars[i + k];
        if (count > 1 && (count > most || (count == most && length * count > *chars))) most = count, *chars = length * count;
    }
    return AS_OK;
}

/* Characters in n-grams that occurred before, each character once. */
static as_status dup_gram(as_judge *j, int64_t n, int64_t *chars, as_err *err) {
    const as_words *const w = &j->words;
    size_t mask;
    *chars = 0;
    if (!clear_table(j, w->n, &mask) || !as_grow(&j->covered, &j->covered_cap, (size_t)w->n + 1, 1)) return nomem(err);
    memset(j->covered, 0, (size_t)w->n);
    for (int64_t i = 0; i + n <= w->n; i++) {
        const uint64_t key = as_words_gram(w->hash + i, n) | 1;
        const size_t at = slot_of(j, key, mask);
        if (j->slot[at] != 0) memset(j->covered + i, 1, (size_t)n);
        j->slot[at] = key;
    }
    for (int64_t i = 0; i < w->n; i++)
        if (j->covered[i]) *chars += w->chars[i];
    return AS_OK;
}

static int64_t stop_words(as_judge *j, as_err *err, as_status *status) {
    static const char text[] = "the be to of and that have with";
    as_words stop = {0};
    int64_t found = 0;
    *status = as_words_of(&stop, AS_LIT(text), err);
    for (int64_t k = 0; k < stop.n; k++) {
        int64_t i = 0;
        while (i < j->words.n && j->words.hash[i] != stop.hash[k]) i++;
        found += i < j->words.n;
    }
    as_words_free(&stop);
    return found;
}

/* Is the share larger than the rule allows? */
static bool beyond(const as_corpus_rules *rules, as_corpus_rule rule, int64_t part, int64_t whole) {
    return as_rule_on(rules, rule) && whole > 0 && (double)part > rules->value[rule] * (double)whole;
}

static as_corpus_rule judge_shares(const as_corpus_rules *rules, const as_words *w, const shares *s, int64_t chars) {
    const double mean = (double)chars / (double)w->n;
    const bool spaced = 2 * w->single < w->n; /* the mean length of words says nothing where characters are words */
    if (spaced && as_rule_on(rules, AS_RULE_MIN_WORD_LENGTH) && mean < rules->value[AS_RULE_MIN_WORD_LENGTH]) return AS_RULE_MIN_WORD_LENGTH;
    if (spaced && as_rule_on(rules, AS_RULE_MAX_WORD_LENGTH) && mean > rules->value[AS_RULE_MAX_WORD_LENGTH]) return AS_RULE_MAX_WORD_LENGTH;
    if (beyond(rules, AS_RULE_SYMBOLS, s->symbols, w->n)) return AS_RULE_SYMBOLS;
    if (beyond(rules, AS_RULE_BULLETS, s->bullets, s->lines)) return AS_RULE_BULLETS;
    if (beyond(rules, AS_RULE_ELLIPSIS, s->ellipses, s->lines)) return AS_RULE_ELLIPSIS;
    if (as_rule_on(rules, AS_RULE_ALPHABETIC) && (double)w->alphabetic < rules->value[AS_RULE_ALPHABETIC] * (double)w->n) return AS_RULE_ALPHABETIC;
    if (beyond(rules, AS_RULE_DUP_LINES, s->repeated, s->lines)) return AS_RULE_DUP_LINES;
    if (beyond(rules, AS_RULE_DUP_LINE_CHARS, s->repeated_chars, s->chars)) return AS_RULE_DUP_LINE_CHARS;
    return AS_RULE_COUNT;
}

/* A Chinese word has about two characters: lengths that were chosen for words are twice as many characters. */
static int64_t per_word(const as_words *w) { return 2 * w->single >= w->n ? 2 : 1; }

static as_status judge_grams(as_judge *j, const as_corpus_rules *rules, int64_t chars, as_corpus_rule *fails, as_err *err) {
    const int64_t words = per_word(&j->words);
    int64_t n, taken;
    for (n = 2; n <= 4; n++) {
        const as_corpus_rule rule = (as_corpus_rule)(AS_RULE_TOP_2 + n - 2);
        if (!as_rule_on(rules, rule)) continue;
        AS_TRY(top_gram(j, n * words, &taken, err));
        if (beyond(rules, rule, taken, chars)) return *fails = rule, AS_OK;
        if (taken == 0) break; /* what does not repeat does not repeat in longer pieces */
    }
    for (n = 5; n <= 10; n++) {
        const as_corpus_rule rule = (as_corpus_rule)(AS_RULE_DUP_5 + n - 5);
        if (!as_rule_on(rules, rule)) continue;
        AS_TRY(dup_gram(j, n * words, &taken, err));
        if (beyond(rules, rule, taken, chars)) return *fails = rule, AS_OK;
        if (taken == 0) break;
    }
    return AS_OK;
}

static bool any_on(const as_corpus_rules *rules) {
    bool any = false;
    for (int r = AS_RULE_MIN_WORDS; r <= AS_RULE_DUP_10; r++) any |= as_rule_on(rules, (as_corpus_rule)r);
    return any;
}

as_status as_judge_document(as_judge *j, const as_corpus_rules *rules, as_str text, bool english, as_corpus_rule *fails, as_err *err) {
    shares s = {0};
    int64_t chars = 0;
    *fails = AS_RULE_COUNT;
    if (!any_on(rules)) return AS_OK;
    AS_TRY(as_words_of(&j->words, text, err));
    const as_words *const w = &j->words;
    if (as_rule_on(rules, AS_RULE_MIN_WORDS) && (double)w->n < rules->value[AS_RULE_MIN_WORDS]) return *fails = AS_RULE_MIN_WORDS, AS_OK;
    if (as_rule_on(rules, AS_RULE_MAX_WORDS) && (double)w->n > rules->value[AS_RULE_MAX_WORDS]) return *fails = AS_RULE_MAX_WORDS, AS_OK;
    if (w->n < AS_JUDGED_WORDS * per_word(w)) return AS_OK;
    for (int64_t i = 0; i < w->n; i++) chars += w->chars[i];
    AS_TRY(count_lines(j, text, &s, err));
    *fails = judge_shares(rules, w, &s, chars);
    if (*fails != AS_RULE_COUNT) return AS_OK;
    if (english && as_rule_on(rules, AS_RULE_STOP_WORDS)) {
        as_status status;
        const int64_t found = stop_words(j, err, &status);
        if (status != AS_OK) return status;
        if ((double)found < rules->value[AS_RULE_STOP_WORDS]) return *fails = AS_RULE_STOP_WORDS, AS_OK;
    }
    return judge_grams(j, rules, chars, fails, err);
}
