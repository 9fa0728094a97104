/* slices.h: the score within groups of items: values of a column, labels, lengths; and which of them differ from the rest. */
#ifndef AS_RUN_SLICES_H
#define AS_RUN_SLICES_H

#include "run/job.h"
#include "store/store.h"

/* A way of cutting the items into groups: one value per item. */
typedef struct as_slicing { const char *column; char *const *value; /* [n] */ } as_slicing;

typedef struct as_slice_row {
    const char *column, *value;    /* the row's own */
    int64_t n;
    double score, low, high;       /* of the metric within the slice */
    const char *why;               /* static; why the score is undefined, else NULL */
    double rest, diff;             /* the metric on all other items; score - rest */
    double p, p_adjusted;          /* of the difference; Holm over all rows. NaN where undefined, or the slice is everything */
    const char *test_method;       /* static: "fisher exact", "permutation of membership" */
    bool worse;                    /* significantly worse than the rest at 1 - level */
} as_slice_row;

void as_slice_rows_free(as_slice_row *rows, size_t count);
/* Rows in the order of the slicings, values sorted as numbers where all are numbers or ranges, else by bytes; slices of fewer than 2 items have no interval. Numeric
 * columns with more than 12 different values are cut into quarters: the caller does so (as_slicing_quarters). */
as_status as_slices_of(as_slice_row **out, size_t *count, const as_predictions *p, const as_slicing *slicings, size_t slicing_count,
                       const char *metric, double level, uint64_t seed, int threads, as_err *err) AS_CHECKED;
/* Quarters of a number per item, as texts "0-12", "13-20", ...; ties stay together. The result is [n] strings in one block
 * (as_free frees all). NULL: out of memory. */
char **as_slicing_quarters(const double *x, int64_t n);

struct as_scored;
/* The slices that --slice asks for, into out; "@label" is the true label, "@length" quarters of the tokens, a column of more
 * than 12 different numbers is cut into quarters. With a store, each item's groups are noted there, too. */
as_status as_evaluate_slices(struct as_scored *s, const as_job *j, const as_data_cols *cols, int threads, as_store *store, int64_t run,
                             as_eval_result *out, as_err *err) AS_CHECKED;
#endif
