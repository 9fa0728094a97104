/* corpus_words.h: the words of a text as hashes, for rules, duplicates and contamination: lower-cased, without punctuation.
 * A character of a script written without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese) is a word by itself, so that a rule
 * on words does not harm such text. */
#ifndef AS_DATA_CORPUS_WORDS_H
#define AS_DATA_CORPUS_WORDS_H

#include "base/str.h"

/* Caller-owned, zero-initialised, reused. */
typedef struct as_words {
    uint64_t *hash;
    uint32_t *chars;    /* code points of each word */
    int64_t n;
    size_t hash_cap, chars_cap;
    int64_t single;     /* words that are one character of a script without blanks */
    int64_t alphabetic; /* words with a letter */
} as_words;
void as_words_free(as_words *w);
/* Overwrites *w. Text is valid UTF-8; separators are whatever is no letter, mark or digit. */
as_status as_words_of(as_words *w, as_str text, as_err *err) AS_CHECKED;

/* n words from hash[0] on as one hash. */
uint64_t as_words_gram(const uint64_t *hash, int64_t n);

/* Append text lower-cased, each run of white space as one blank, none at the ends: what exact duplicates are compared by. */
void as_text_fold(as_buf *out, as_str text);
bool as_is_unspaced(uint32_t cp); /* of a script without blanks between words */
bool as_is_blank(uint32_t cp);    /* white space, line ends included */
#endif
