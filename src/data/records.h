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
/* "neg,pos" or ["neg","pos"] (for names with commas): AS_USAGE when a name is empty or given twice. */
as_status as_labels_parse(as_labels *out, const char *list, as_err *err) AS_CHECKED;

/* The data options of the command line; strings borrowed; NULL = default. Columns by name, or by number from 1; text and
 * pair may be composed of columns: "{title}: {body}" ({{ and }} are braces).
 *   text     "text", else "sentence", else the only column, else AS_USAGE that lists the columns
 *   pair     none          id       the record number from 0
 *   label    "label" when there is such a column        cluster  none */
typedef struct as_data_cols {
    as_table_opts table;
    const char *text, *pair, *label, *id, *cluster;
    const char *const *slices;     /* [slice_count] columns whose groups are reported; "@label" and "@length" are the caller's */
    int64_t slice_count;
    const char *labels;            /* "neg,pos" or a JSON list: names in id order */
    const char *values;            /* "0,1" or a JSON list: what stands in the cells for these names (the names serve as well) */
    as_label_kind kind;            /* NONE = default = CLASS */
    int64_t limit;                 /* first so many records; 0 = all */
    bool label_required;           /* training and scoring: a missing label column or an empty label is an error */
    bool label_ignored;            /* predicting: a label column is not read (kind NONE, ids -1) */
} as_data_cols;

typedef struct as_record {
    as_str text, pair;             /* pair.p NULL when the data has none */
    as_str id, cluster;            /* id defaults to the record number from 0 */
    int64_t line;                  /* in its file */
    int32_t label;                 /* CLASS id; -1 = none */
    double value;                  /* VALUE; NaN = none */
    const uint8_t *set;            /* MULTI [labels.count] 0/1; NULL = none (an empty set is all 0) */
} as_record;

typedef struct as_records {
    as_record *v;
    int64_t n;
    as_labels labels;
    as_label_kind kind;
    bool has_pair, has_label;
    char *path;
    as_table *table;               /* owns the texts */
    void *owned;                   /* label sets, generated ids, slices' columns */
} as_records;

/* Labels are compared byte by byte, white space included. A label's id comes from
 *   1. opts->labels, when given;
 *   2. else `known` (the checkpoint's or task's names; may be NULL), by name. When `known` is what transformers writes for
 *      unnamed classes (LABEL_0, LABEL_1, ... LABEL_k-1) and every label of the data is an integer 0..k-1 in plain
 *      decimal, by id instead; labels.names are then "0".."k-1", as in the data;
 *   3. else the distinct labels, sorted as numbers if all are integers, else by bytes; never by first appearance.
 * MULTI cells are cut at ';', or are JSON lists; an empty cell is the empty set. VALUE cells are finite numbers.
 * Texts may be empty. AS_FORMAT with file and line: a label outside the names given (with the nearest), a cell that is
 * not a number, an empty label or id, an id that occurs twice (both lines), a JSONL record without its text, no records.
 * AS_USAGE: unknown column. Names outside the data are fine: labels.count may exceed what occurs. */
as_status as_records_open(as_records *out, const char *path, const as_data_cols *opts, const as_labels *known, as_err *err) AS_CHECKED;
/* The same from an open table, which out owns from then on, on failure too; opts->table is not used, opts->limit is. */
as_status as_records_of_table(as_records *out, as_table *table, const as_data_cols *opts, const as_labels *known, as_err *err) AS_CHECKED;
void as_records_free(as_records *r);
/* The cell of column opts->slices[k]; "" for names that begin with @. */
as_str as_record_slice(const as_records *r, int64_t i, int64_t k);
/* Identity of an item's content: text, pair and label by their bytes, whatever ids the labels have here. */
uint64_t as_record_hash(const as_record *r, const as_records *of);
/* Append the label as a string: its name; the number in 17 digits; a JSON list of names in id order. None: nothing. */
void as_record_gold(as_buf *out, const as_record *r, const as_records *of);

/* Splits, a pure function of the records and the seed; index lists into r, ascending.
 * Records that share a cluster (not an empty one), and records whose text and pair are the same, stay on one side, so
 * neither leaks. CLASS labels are stratified; unlabelled records count as a class of their own.
 * dev: round(fraction * n) records, shares by class rounded to the largest remainder (a class never goes over whole);
 * fewer when clusters do not fit. Both sides get at least one record, else AS_USAGE. */
typedef struct as_index { int64_t *v; int64_t n; } as_index;
as_status as_split_dev(as_index *train, as_index *dev, const as_records *r, double dev_fraction, uint64_t seed, as_err *err) AS_CHECKED;
/* Fold `fold` of `folds`: without clusters and duplicates, sizes of the folds differ by at most one record, in all and in
 * each class; with them, the largest groups are dealt first, each to the fold that has least of its classes. */
as_status as_split_fold(as_index *train, as_index *test, const as_records *r, int fold, int folds, uint64_t seed, as_err *err) AS_CHECKED;
void as_index_free(as_index *i);
#endif
