/* pretrain_start.h: what pre-training begins with: a corpus, a tokenizer, a model and an objective that fit each other. */
#ifndef AS_RUN_PRETRAIN_START_H
#define AS_RUN_PRETRAIN_START_H

#include "data/corpus.h"
#include "run/pretrain.h"
#include "run/session.h"
#include "train/pretraining.h"

typedef struct as_pretrain_start {
    as_corpus *corpus;
    char *corpus_dir, *model_dir; /* of several corpora, the first */
    char *corpus_name;            /* "wiki+books" */
    as_session ses;
    const as_pretraining_row *row;
    uint8_t *special, *inner;     /* as as_pretraining's */
    as_objective train, heldout;  /* heldout.n 0: the corpus holds nothing out */
    int64_t max_length;
} as_pretrain_start;
as_status as_pretrain_start_open(as_pretrain_start *s, const as_pretrain_job *j, as_err *err) AS_CHECKED;
void as_pretrain_start_close(as_pretrain_start *s);
#endif
