/* train_internal.h: between the files of training. */
#ifndef AS_TOKEN_TRAIN_INTERNAL_H
#define AS_TOKEN_TRAIN_INTERNAL_H

#include "base/arena.h"
#include "token/internal.h"
#include "token/train.h"

/* Small things without alignment, in blocks of the arena. */
typedef struct as_bump {
    as_arena *arena;
    char *at;
    size_t left;
} as_bump;
void *as_bump_push(as_bump *b, size_t bytes, size_t align); /* NULL without memory */

typedef struct as_counted_word {
    as_str word;
    uint64_t count;
} as_counted_word;
typedef struct as_word_counts { /* distinct pre-tokens, ascending by bytes */
    as_counted_word *v;
    size_t n;
    as_arena text;
} as_word_counts;
/* train_words.c: all texts through normalizer and pre-tokenizer of `t`. */
as_status as_word_counts_make(as_word_counts *out, const as_tokenizer *t, const as_token_train_opts *o,
                         as_text_source next, void *ctx, as_token_trained *info,
                         as_err *err) AS_CHECKED;
void as_word_counts_free(as_word_counts *w);

/* What was learned. Ids are places in `pieces`, special tokens first. */
typedef struct as_learned {
    as_arena arena;
    as_str *pieces;
    double *scores; /* Unigram only */
    size_t n, cap;
    int32_t (*merges)[2]; /* BPE: pairs of ids, in the order of their rank */
    size_t n_merges;
    int64_t alphabet;
} as_learned;
void as_learned_free(as_learned *l);
as_status as_learn_merges(as_learned *out, const as_word_counts *w, const as_token_train_opts *o,
                          as_err *err) AS_CHECKED;
as_status as_learn_unigram(as_learned *out, const as_word_counts *w, const as_token_train_opts *o,
                           as_err *err) AS_CHECKED;

/* Seeds behind what `out` holds; scores are counts. */
as_status as_find_seeds(as_learned *out, as_bump *text, const as_word_counts *w,
                        const as_token_train_opts *o, as_err *err) AS_CHECKED;

/* Characters of the words with how often they occur, ascending by code point. */
typedef struct as_char_count {
    uint32_t cp;
    uint64_t count;
} as_char_count;
as_status as_count_chars(as_char_count **out, size_t *n, const as_word_counts *w, as_str also,
                         as_err *err) AS_CHECKED;

static inline bool as_train_goes_on(const as_token_train_opts *o, const char *stage, int64_t done,
                                    int64_t total) {
    return o->progress == NULL || o->progress(o->progress_ctx, stage, done, total);
}
as_status as_train_stopped(as_err *err);
#endif
