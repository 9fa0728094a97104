/* pretraining.h: the pre-training objectives by name. A new one is a file (train/objective_NAME.c) and a row of the table in
 * pretraining.c. An objective's items are rows: up to max_length tokens of the corpus, one document or several, each document a
 * sequence of its own, so that none attends to another (train/rows.h). */
#ifndef AS_TRAIN_PRETRAINING_H
#define AS_TRAIN_PRETRAINING_H

#include "data/corpus.h"
#include "train/objective.h"

/* What an objective is made from. All of it stays alive while the objective is used. */
typedef struct as_pretraining {
    as_model *model;             /* with the head of the objective's row */
    const as_corpus *corpus;
    as_corpus_part part;
    int64_t max_length;          /* tokens of a row, special ones included */
    int64_t cls, sep, mask, pad; /* ids of special tokens; -1 = the tokenizer has none */
    const uint8_t *special;      /* [vocab] 1: never masked, never drawn as a replacement */
    const uint8_t *inner;        /* [vocab] 1: the piece continues a word ("##ing"): for whole words */
    double mask_share;           /* 0.15 */
    bool whole_words;
} as_pretraining;

typedef struct as_pretraining_row {
    const char *name, *what;     /* "mlm", and what help says of it */
    as_head head;
    as_status (*open)(as_objective *out, const as_pretraining *p, as_err *err);
    void (*close)(as_objective *o);
} as_pretraining_row;

size_t as_pretraining_count(void);
const as_pretraining_row *as_pretraining_at(size_t i);
const as_pretraining_row *as_pretraining_find(const char *name); /* NULL when there is none */
#endif
