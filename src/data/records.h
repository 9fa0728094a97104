/* records.h: a table read as labelled records: texts, pairs, labels, ids, clusters; label maps; splits and folds. */
#ifndef AS_DATA_RECORDS_H
#define AS_DATA_RECORDS_H

#include "base/rng.h"
#include "io/table.h"

typedef enum as_label_kind { AS_LABEL_NONE, AS_LABEL_CLASS, AS_LABEL_MULTI, AS_LABEL_VALUE } as_label_kind;

/* Label names in id order; owns its strings. */
typedef struct as_labels { char **names; int count; } as_labels;
void as_labels_free(as_labels *l);
int as_labels_find(const as_labels *l, as_str name); /* -1 when unknown */
as_status as_labels_copy(as_labels *out, const as_labels *from, as_err *err) AS_CHECKED;

typedef struct as_data_cols {      /* the data options of the command line; strings borrowed; NULL = default */
    as_table_opts table;
    const char *text, *pair, *label, *id, *cluster;   /* defaults: "text" (or the only column), none, "label" if present, none, none */
    const char *labels;            /* "neg,pos": names in id order */
    as_label_kind kind;            /* CLASS unless told otherwise */
    int64_t limit;
    bool label_required;           /* training and scoring: a missing label column or an empty label is an error */
} as_data_cols;

typedef struct as_record {
    as_str text, pair;             /* pair.p NULL when the data has none */
    as_str id, cluster;            /* id defaults to the record number from 0 */
    int64_t line;                  /* in its file */
    int32_t label;                 /* CLASS id; -1 = none */
    double value;                  /* VALUE */
    const uint8_t *set;            /* MULTI [labels.count] */
} as_record;

typedef struct as_records {
    as_record *v;
    int64_t n;
    as_labels labels;
    as_label_kind kind;
    bool has_pair, has_label;
    char *path;
    as_table *table;               /* owns the texts */
    void *owned;                   /* label sets, generated ids */
} as_records;

/* `known` (may be NULL) are the checkpoint's or task's labels: used when opts->labels is NULL; a label outside them is AS_FORMAT
 * with file, line and the known names. With neither: the distinct labels, sorted as numbers if all are integers, else by bytes. */
as_status as_records_open(as_records *out, const char *path, const as_data_cols *opts, const as_labels *known, as_err *err) AS_CHECKED;
void as_records_free(as_records *r);
uint64_t as_record_hash(const as_record *r, const as_records *of);

/* Deterministic, stratified by label (CLASS), whole clusters kept together: index lists into r. */
typedef struct as_index { int64_t *v; int64_t n; } as_index;
as_status as_split_dev(as_index *train, as_index *dev, const as_records *r, double dev_fraction, uint64_t seed, as_err *err) AS_CHECKED;
as_status as_split_fold(as_index *train, as_index *test, const as_records *r, int fold, int folds, uint64_t seed, as_err *err) AS_CHECKED;
void as_index_free(as_index *i);
#endif
