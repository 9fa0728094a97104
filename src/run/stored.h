/* stored.h: the items of a finished run, out of the store and in order, as predictions that metrics read. */
#ifndef AS_RUN_STORED_H
#define AS_RUN_STORED_H

#include "run/job.h"
#include "store/store.h"

typedef struct as_stored {
    int64_t run;
    char *command, *model, *task, *dtype, *isa, *config_json, *result_json;
    double started, ended;
    as_predictions p;              /* arrays owned here; label_names = labels */
    as_labels labels;
    char **id, **text, **pair, **gold, **pred; /* [n]; pair[i] NULL where there is none */
    uint64_t *hash;                /* [n] of the content */
    int32_t *cluster;              /* [n] dense numbers, or NULL when no item has one */
    char **cluster_name;           /* [n] "" where there is none; NULL as cluster */
    char **slices;                 /* [n] JSON object, column to value; "" where there is none */
    int64_t *tokens;
    int64_t n;
} as_stored;

/* AS_USAGE: no such run (lists the newest), a run without items, one that is not finished. */
as_status as_stored_open(as_stored *out, as_store *store, int64_t run, as_err *err) AS_CHECKED;
/* Whether a run is of this command; false when there is none. */
as_status as_stored_is(bool *is, as_store *store, int64_t run, const char *command, as_err *err) AS_CHECKED;
/* A finished run without items, a pre-training: what the store says of it, n 0. */
as_status as_stored_open_bare(as_stored *out, as_store *store, int64_t run, as_err *err) AS_CHECKED;
void as_stored_free(as_stored *s);
/* The same label names in another order: renumber b's labels as in `names`. Other names, or numbers: b stays as it is. */
as_status as_stored_relabel(as_stored *b, const as_labels *names, as_err *err) AS_CHECKED;
/* Bring b's items into a's order by id, and its labels into a's by name. AS_USAGE: an id that the other lacks, items whose content differs (names the first),
 * different label sets. */
as_status as_stored_align(const as_stored *a, as_stored *b, as_err *err) AS_CHECKED;
/* AS_USAGE: there is no such run; newest is the newest one with items, or 0. */
as_status as_stored_none(int64_t run, int64_t newest, as_err *err) AS_CHECKED;
#endif
