/* labels.h: how label cells become ids; shared by the files of src/data, nobody else includes it. */
#ifndef AS_DATA_LABELS_H
#define AS_DATA_LABELS_H

#include "base/arena.h"
#include "data/records.h"
#include "data/strmap.h"

/* The distinct labels of a file in the order of first appearance. Names are views into the table or `copies`. */
typedef struct as_label_set {
    as_strmap map;       /* name -> place in name[] */
    as_str *name;
    int64_t *row;        /* row of the first appearance, for messages */
    size_t n, cap, row_cap;
    as_arena copies;
} as_label_set;
void as_label_set_init(as_label_set *s);
void as_label_set_deinit(as_label_set *s);
/* Place of a label, added when new; -1 when out of memory. `copy`: the name does not outlive the call. */
int64_t as_label_set_add(as_label_set *s, as_str name, int64_t row, bool copy);

/* The names of a multilabel cell, in order, each given to `sink`: a JSON list when the cell begins with '[', else cut at
 * ';'. An empty cell and [] have none. */
typedef as_status (*as_label_sink)(void *ctx, as_str name, bool copy, as_err *err);
as_status as_label_cell_split(as_str cell, const char *where, int64_t line, as_label_sink sink, void *ctx,
                              as_err *err) AS_CHECKED;

/* Which id each of the found labels has: out gets the names in id order, id_of[place] the ids. The names are
 * `fixed` when given, with two forms of agreement: by name; or, when `fixed` is LABEL_0, LABEL_1... (`by_id` allowed) and
 * the labels found are integers among 0..k-1, by id, and then the names are those integers. Else what was found, sorted.
 * values[i] (NULL = none; as many as fixed) stands for fixed[i] in the file. */
as_status as_labels_resolve(as_labels *out, int32_t *id_of, const as_label_set *found, const as_labels *fixed, const as_labels *values,
                            bool by_id, const as_table *table, as_err *err) AS_CHECKED;

#endif
