/* bag_of_words.h: logistic (classes, sets) or linear (numbers) regression on hashed words and pairs of neighbouring words. */
#ifndef AS_RUN_BAG_OF_WORDS_H
#define AS_RUN_BAG_OF_WORDS_H

#include "data/records.h"

int64_t as_bag_parameters(const as_records *train);
/* Features: words (runs of letters and digits, lower case; each Chinese character or kana by itself) and pairs of neighbours, of text
 * and pair apart; (1 + log count) x smoothed idf, length 1. AdaGrad in an order that the seed shuffles, 20 passes. Scores as in
 * as_baseline_scores; *fit_seconds: all but the test items' part. */
as_status as_bag_of_words(double *scores, const as_records *train, const as_records *test, uint64_t seed, double *fit_seconds, as_err *err) AS_CHECKED;
#endif
