/* store.h: the record of every run, in one SQLite file; the only file that contains SQL is store.c (and its kin). Items are committed
 * as they are scored (one transaction per batch or 100 ms), so a killed command goes on where it was. */
#ifndef AS_STORE_STORE_H
#define AS_STORE_STORE_H

#include "base/str.h"

typedef struct as_store as_store;
as_status as_store_open(as_store **out, const char *path, as_err *err) AS_CHECKED; /* creates; WAL, synchronous=NORMAL; schema version + migration */
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
/* Find the newest run with this key (unless `again`), or make one. Another live process on the same run (heartbeat
 * younger than 10 s): AS_IO that says so. */
as_status as_store_run_begin(as_store *s, const as_run_key *key, bool again, as_run *out, as_err *err) AS_CHECKED;
as_status as_store_run_end(as_store *s, int64_t run, as_run_state state, const char *result_json, as_err *err) AS_CHECKED;

/* One scored item. values: parallel arrays of metric names and numbers (for example "logit.0", "loss"). */
typedef struct as_item {
    int64_t index;            /* position in the data, from 0: unique in the run */
    as_str id, cluster;       /* stable id; cluster may be empty */
    as_str text, pair;        /* stored once per content hash */
    as_str gold, pred;        /* labels as strings, or numbers in decimal */
    uint64_t hash;            /* content hash: text, pair, gold */
    const double *values;     /* [count] scores of the item: probabilities, logits, ... */
    int count;
    int64_t tokens; bool truncated;
} as_item;
as_status as_store_item_add(as_store *s, int64_t run, const as_item *item, as_err *err) AS_CHECKED; /* buffered: see flush */
as_status as_store_flush(as_store *s, as_err *err) AS_CHECKED;   /* commit now; also done by itself every 100 ms of adds */
/* done[i] = 1 for each stored item index < n. */
as_status as_store_items_done(as_store *s, int64_t run, uint8_t *done, int64_t n, as_err *err) AS_CHECKED;
as_status as_store_items_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const as_item *item, as_err *err), void *ctx, as_err *err) AS_CHECKED; /* by index */

typedef struct as_aggregate { const char *metric, *signature, *method, *why; double value, low, high, level; int64_t n; } as_aggregate; /* NaN = null */
as_status as_store_aggregate_put(as_store *s, int64_t run, const as_aggregate *a, as_err *err) AS_CHECKED;
as_status as_store_aggregates_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const as_aggregate *a, as_err *err), void *ctx, as_err *err) AS_CHECKED;
/* Training log lines: one row a step or an epoch. json = one object. */
as_status as_store_log_put(as_store *s, int64_t run, int64_t step, const char *json, as_err *err) AS_CHECKED;
as_status as_store_logs_each(as_store *s, int64_t run, as_status (*row)(void *ctx, int64_t step, const char *json, as_err *err), void *ctx, as_err *err) AS_CHECKED;
/* Runs, newest last. */
typedef struct as_run_info { int64_t id; as_run_state state; const char *command, *model, *task, *dtype, *isa, *config_json, *result_json; double started, ended; int64_t items; } as_run_info;
as_status as_store_runs_each(as_store *s, as_status (*row)(void *ctx, const as_run_info *r, as_err *err), void *ctx, as_err *err) AS_CHECKED;
#endif
