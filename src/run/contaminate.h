/* contaminate.h: how much of an evaluation's items stands in a pre-training corpus. Words are those of data/corpus_words.h, read back
 * from token ids on both sides, so that both passed the same tokenizer; unknown tokens cut the text and never match.
 *   GPT-3   Brown et al. 2020, section 4 and appendix C: an item is contaminated when one of its N-grams stands in the corpus, or,
 *           when it is shorter, all of it as one gram. N is the 5th percentile of the items' lengths in words, from 8 to 13.
 *   PaLM    Chowdhery et al. 2022, section 8: when at least 70 % of its 8-grams do. */
#ifndef AS_RUN_CONTAMINATE_H
#define AS_RUN_CONTAMINATE_H

#include "base/str.h"
#include "data/corpus.h"
#include "stats/interval.h"

enum { AS_GRAM_LEAST = 8, AS_GRAM_MOST = 13, AS_PALM_GRAM = 8 };
#define AS_PALM_SHARE 0.70

typedef struct as_contaminated_item {
    int64_t words, grams, found;   /* of 8 words; of a shorter item, one gram of all its words */
    bool gpt3, palm;
} as_contaminated_item;

typedef struct as_contamination {
    as_contaminated_item *item; /* [n] */
    int64_t n, gram;            /* N */
    int64_t short_items;        /* of fewer than N words: compared as a whole */
    int64_t gpt3, palm;         /* items */
    as_interval gpt3_interval, palm_interval;
    int64_t docs, tokens;       /* of the corpus */
} as_contamination;
void as_contamination_free(as_contamination *c);

/* Items are text and, where pair[i].p is not NULL, a second text (pair may be NULL). gram 0 = by the rule above. Both parts of the corpus are
 * searched. AS_FORMAT: no item has a word. */
as_status as_contamination_of(as_contamination *out, const char *corpus_dir, const as_str *text, const as_str *pair, int64_t n, int64_t gram, double level,
                              int threads, int progress_fd, as_err *err) AS_CHECKED;
#endif
