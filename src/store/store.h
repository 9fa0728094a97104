/* store.h: the record of every run, in one SQLite file; the only folder that contains SQL. Items are committed as they
 * are scored, so a killed command goes on where it was.
 * Adds (items, log lines) wait in memory and are written in one transaction by as_store_flush, or by the first add that
 * comes 100 ms after the oldest one that waits: call flush after each batch. When a flush fails (disk full: AS_IO) its
 * adds keep waiting, and the next flush tries again. Reading calls flush first, so they see their own adds.
 * Several processes may use one file; each as_store serves one thread at a time. Texts, ids and labels are stored as
 * given; the store adds no host names and no paths. A callback's pointers hold for that call only; a callback that does
 * not return AS_OK ends the loop, and its status is returned. */
#ifndef AS_STORE_STORE_H
#define AS_STORE_STORE_H

#include "base/str.h"

typedef struct as_store as_store;
/* Opens or creates; an older version of the schema is brought up to date. WAL with synchronous=NORMAL (safe against
 * kill -9; a power cut may cost the last moments), a rollback journal on network file systems. A read-only file can be
 * read. AS_FORMAT: not SQLite, another program's SQLite file (which stays untouched), a newer version, damaged.
 * AS_IO: cannot be opened or written, or locked by another process for 10 s. */
as_status as_store_open(as_store **out, const char *path, as_err *err) AS_CHECKED;
/* Flushes (failures go unseen: flush first to see them) and lets go of open runs, which stay open. NULL allowed. */
void as_store_close(as_store *s);

typedef enum as_run_state { AS_RUN_OPEN, AS_RUN_DONE, AS_RUN_FAILED } as_run_state;
/* What identifies "the same command": a digest over everything that changes results. */
typedef struct as_run_key {
    const char *command;      /* "eval", "finetune" */
    const char *key;          /* hex digest of options that change results + hashes of weights, tokenizer, data + dtype + ISA */
    const char *config_json;  /* the same, readable; plus model, task, versions */
    const char *model, *task; /* display names */
    const char *dtype, *isa;
} as_run_key;
typedef struct as_run { int64_t id; as_run_state state; bool existed; } as_run;
/* Find the newest run with this key (unless `again`), or make one. A finished run comes back as it is (AS_RUN_DONE, the
 * stored result is valid); an open or failed one is taken over and open again. Another live process on the same run:
 * AS_IO that says so. On the same machine a holder that was killed is known as dead at once; a holder elsewhere counts as
 * alive while its heartbeat (written with each flush) is younger than 10 s. */
as_status as_store_run_begin(as_store *s, const as_run_key *key, bool again, as_run *out, as_err *err) AS_CHECKED;
as_status as_store_run_end(as_store *s, int64_t run, as_run_state state, const char *result_json, as_err *err) AS_CHECKED;

/* One scored item. values: parallel arrays of metric names and numbers (for example "logit.0", "loss"). */
typedef struct as_item {
    int64_t index;            /* position in the data, from 0: unique in the run */
    as_str id, cluster;       /* stable id; cluster may be empty */
    as_str text, pair;        /* stored once per content hash */
    as_str gold, pred;        /* labels as strings, or numbers in decimal */
    as_str slices;            /* a JSON object, column to value; empty = none. Written by as_store_slices_put alone */
    uint64_t hash;            /* content hash: text, pair, gold */
    const double *values;     /* [count] scores of the item: probabilities, logits...; their names belong in the run's
                               * config. NaN and infinities come back as they went in */
    int count;
    int64_t tokens; bool truncated;
} as_item;
/* Copies the item. An item added again (same run and index) replaces the stored one. pair.p NULL = no pair. */
as_status as_store_item_add(as_store *s, int64_t run, const as_item *item, as_err *err) AS_CHECKED;
as_status as_store_flush(as_store *s, as_err *err) AS_CHECKED; /* commit now; with nothing to write: a heartbeat */
/* done[i] = 1 for each stored item index < n. */
as_status as_store_items_done(as_store *s, int64_t run, uint8_t *done, int64_t n, as_err *err) AS_CHECKED;
as_status as_store_items_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const as_item *item, as_err *err), void *ctx, as_err *err) AS_CHECKED; /* by index */

/* Note to which groups the items of a run belong: json [n], for the items 0 .. n - 1. One transaction; replaces earlier notes. */
as_status as_store_slices_put(as_store *s, int64_t run, const as_str *json, int64_t n, as_err *err) AS_CHECKED;
/* Delete a run with its items, aggregates and logs, and the texts that no other run has. AS_USAGE: no such run; AS_IO: another
 * process works on it. */
as_status as_store_run_remove(as_store *s, int64_t run, as_err *err) AS_CHECKED;

/* One per (run, metric, signature): a second put replaces the values and keeps the place in the order. */
typedef struct as_aggregate { const char *metric, *signature, *method, *why; double value, low, high, level; int64_t n; } as_aggregate; /* NaN = null */
as_status as_store_aggregate_put(as_store *s, int64_t run, const as_aggregate *a, as_err *err) AS_CHECKED;
as_status as_store_aggregates_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const as_aggregate *a, as_err *err), void *ctx, as_err *err) AS_CHECKED;
/* What was found out about a run beside its metrics (calibration, perturbed texts): a JSON object for each kind and name; a
 * second put replaces it. Read in the order of kind and name. */
as_status as_store_analysis_put(as_store *s, int64_t run, const char *kind, const char *name, const char *json, as_err *err) AS_CHECKED;
as_status as_store_analyses_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const char *kind, const char *name, const char *json, as_err *err), void *ctx,
                                 as_err *err) AS_CHECKED;
/* Training log lines, in the order (step, time of adding). json = one object. A run that goes on from its checkpoint of
 * step k first cuts what was logged behind it, so that no step is logged twice; flush before a checkpoint is written. */
as_status as_store_logs_cut(as_store *s, int64_t run, int64_t last_step, as_err *err) AS_CHECKED; /* drops steps > last_step */
as_status as_store_log_put(as_store *s, int64_t run, int64_t step, const char *json, as_err *err) AS_CHECKED;
as_status as_store_logs_each(as_store *s, int64_t run, as_status (*row)(void *ctx, int64_t step, const char *json, as_err *err), void *ctx, as_err *err) AS_CHECKED;
/* Runs, newest last. ended is NaN and result_json NULL while a run is open. */
typedef struct as_run_info { int64_t id; as_run_state state; const char *command, *model, *task, *dtype, *isa, *config_json, *result_json; double started, ended; int64_t items; } as_run_info;
as_status as_store_runs_each(as_store *s, as_status (*row)(void *ctx, const as_run_info *r, as_err *err), void *ctx, as_err *err) AS_CHECKED;
#endif
