/* train.h: tokenizers from text: WordPiece, byte-level BPE and Unigram vocabularies as the trainers of
 * Hugging Face `tokenizers` learn them from the same texts. Where that library's result depends on the
 * order of a hash table, docs/tokenizers.md gives the rule that holds here. Threads do not change the
 * result. */
#ifndef AS_TOKEN_TRAIN_H
#define AS_TOKEN_TRAIN_H

#include "base/str.h"

typedef enum as_token_model {
    AS_TOKEN_WORDPIECE,
    AS_TOKEN_BPE, /* byte-level */
    AS_TOKEN_UNIGRAM
} as_token_model;
/* Keep the letters as they are, or change them; DEFAULT: WordPiece lowers, the others keep. */
typedef enum as_token_switch { AS_TOKEN_DEFAULT, AS_TOKEN_YES, AS_TOKEN_NO } as_token_switch;

typedef struct as_token_train_opts {
    as_token_model model;
    int64_t vocab_size;    /* all tokens, special ones included; 0 = 30,000, Unigram 8,000 */
    int64_t min_frequency; /* of a pair that may be merged (WordPiece, BPE) */
    /* Tokens with the first ids, or NULL for the model's own (as_token_special); count then ignored. */
    const char *const *special;
    int64_t special_count;
    int64_t limit_alphabet;   /* most characters to begin with; 0 = all (WordPiece, BPE) */
    as_str alphabet;          /* characters that are in the vocabulary whether seen or not, UTF-8 */
    const char *prefix;       /* of a piece inside a word; NULL = "##" for WordPiece, none for BPE */
    int64_t max_token_length; /* characters; 0 = any; Unigram: 0 = 16 */
    as_token_switch lower, strip_accents; /* strip_accents DEFAULT: as lower */
    bool join_chinese;        /* WordPiece: no blanks around Chinese characters */
    bool add_prefix_space;    /* BPE: a text begins as if after a blank */
    double shrinking_factor;  /* Unigram: share of the pieces that a round keeps; 0 = 0.75 */
    int64_t sub_iterations;   /* Unigram: EM steps of a round; 0 = 2 */
    int64_t seed_size;        /* Unigram: pieces to begin with; 0 = 1,000,000 */
    int64_t model_max_length; /* of tokenizer_config.json; 0 = left out */
    int threads;              /* 0 = all cores */
    /* May be NULL. `done` of `total` (0 = unknown) of one stage: "reading" (bytes), "merging" (pieces),
     * "pruning" (pieces). Called from the calling thread. Returning false ends the work: AS_INTERRUPTED. */
    bool (*progress)(void *ctx, const char *stage, int64_t done, int64_t total);
    void *progress_ctx;
} as_token_train_opts;

/* What training saw and made. */
typedef struct as_token_trained {
    int64_t texts, bytes, words, distinct; /* words: pre-tokens; distinct ones among them */
    int64_t alphabet, vocab, merges;
    double read_seconds, train_seconds;
} as_token_trained;

/* The next text (valid UTF-8, borrowed until the next call); *more false: there is none left. */
typedef as_status (*as_text_source)(void *ctx, as_str *text, bool *more, as_err *err);

/* The special tokens of a model when none are given: names, NULL-terminated. */
const char *const *as_token_special(as_token_model model);
/* Appends the text of a tokenizer.json. `info` may be NULL. AS_USAGE: the options contradict each other or
 * the texts (no text at all, a vocabulary smaller than its characters for Unigram). */
as_status as_tokenizer_train(as_buf *json, const as_token_train_opts *o, as_text_source next,
                             void *ctx, as_token_trained *info, as_err *err) AS_CHECKED;
/* tokenizer.json, tokenizer_config.json, special_tokens_map.json, and vocab.txt for WordPiece, into a
 * folder that is made when it does not exist. */
as_status as_tokenizer_write(const char *dir, as_str json, const as_token_train_opts *o,
                             as_err *err) AS_CHECKED;
#endif
