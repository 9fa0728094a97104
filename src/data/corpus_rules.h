/* corpus_rules.h: what is taken out of a corpus, and the count of it: one table of rules, from which options, the manifest and the
 * printed table come. */
#ifndef AS_DATA_CORPUS_RULES_H
#define AS_DATA_CORPUS_RULES_H

#include "data/corpus_words.h"

/* In the order in which they are applied. */
typedef enum as_corpus_rule {
    AS_RULE_NFC, AS_RULE_CONTROL, AS_RULE_BOILERPLATE, AS_RULE_EMPTY,
    AS_RULE_MIN_WORDS, AS_RULE_MAX_WORDS, AS_RULE_MIN_WORD_LENGTH, AS_RULE_MAX_WORD_LENGTH,
    AS_RULE_SYMBOLS, AS_RULE_BULLETS, AS_RULE_ELLIPSIS, AS_RULE_ALPHABETIC, AS_RULE_STOP_WORDS,
    AS_RULE_DUP_LINES, AS_RULE_DUP_LINE_CHARS,
    AS_RULE_TOP_2, AS_RULE_TOP_3, AS_RULE_TOP_4,
    AS_RULE_DUP_5, AS_RULE_DUP_6, AS_RULE_DUP_7, AS_RULE_DUP_8, AS_RULE_DUP_9, AS_RULE_DUP_10,
    AS_RULE_LANG, AS_RULE_EXACT, AS_RULE_NEAR,
    AS_RULE_COUNT
} as_corpus_rule;

typedef struct as_rule_row {
    const char *name, *about;
    double basic, gopher;  /* values; NAN = off */
    double least, most;    /* of a value */
} as_rule_row;
const as_rule_row *as_rule_at(as_corpus_rule r);

/* NAN = off. */
typedef struct as_corpus_rules { double value[AS_RULE_COUNT]; } as_corpus_rules;
/* "none", "basic", "gopher". */
as_status as_corpus_rules_preset(as_corpus_rules *out, const char *name, as_err *err) AS_CHECKED;
/* "min-words=20", "near=off", "nfc=on" */
as_status as_corpus_rules_set(as_corpus_rules *rules, const char *text, as_err *err) AS_CHECKED;
static inline bool as_rule_on(const as_corpus_rules *r, as_corpus_rule rule) { return r->value[rule] == r->value[rule]; }

/* What a rule took: whole documents, single lines, bytes of text. */
typedef struct as_rule_drop { int64_t docs, lines, bytes; } as_rule_drop;

/* Work space of judging; zero-initialise, reuse, free. */
typedef struct as_judge {
    as_words words;
    uint64_t *slot, *line;
    uint32_t *count;
    bool *covered;
    size_t slot_cap, count_cap, line_cap, covered_cap;
} as_judge;
void as_judge_free(as_judge *j);
/* The first rule that the document fails, AS_RULE_COUNT when none: rules MIN_WORDS to DUP_10. Lines are separated by '\n'. english: the
 * document's language, for the stop words. */
as_status as_judge_document(as_judge *j, const as_corpus_rules *rules, as_str text, bool english, as_corpus_rule *fails, as_err *err) AS_CHECKED;
enum { AS_JUDGED_WORDS = 50 }; /* rules on shares are for documents of at least so many words, or twice as many characters */
#endif
