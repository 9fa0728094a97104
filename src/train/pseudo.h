/* pseudo.h: pseudo-perplexity of a masked language model (Salazar et al. 2020, arXiv:1910.14659): each token of a held-out sequence is
 * masked in turn, all others stay, and the model is asked for it.
 *   exp(-sum over sequences and positions of log p(token | the rest) / tokens)   special tokens are neither masked nor counted */
#ifndef AS_TRAIN_PSEUDO_H
#define AS_TRAIN_PSEUDO_H

#include "dist/comm.h"
#include "train/objective.h"

/* Scores `most` sequences of an mlm objective (alone or with pairs), or all when there are fewer; the first ones in a random order that
 * is always the same. A sequence is a span, as [CLS] tokens [SEP]. (*each)[*n], which the caller frees, gets a tally of each: what
 * as_heldout_loss takes. The ranks of comm share the work, all get the result; NULL = one process. progress_fd: where a terminal is told how
 * far it is, or -1. */
as_status as_pseudo_score(as_tally **each, int64_t *n, const as_objective *o, int64_t most, as_engine *e, as_comm *comm, int progress_fd,
                          as_err *err) AS_CHECKED;
#endif
