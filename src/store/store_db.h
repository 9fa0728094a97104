/* store_db.h: what the files of src/store share; included by nothing else.
 * A store is one SQLite connection, its prepared statements, and the adds that wait for the next transaction.
 * Adds wait in memory, not in an open transaction: the write lock is held for the milliseconds of a flush only, never
 * while a model computes, so several processes can write to one file. */
#ifndef AS_STORE_DB_H
#define AS_STORE_DB_H

#include "store/store.h"
#include <sqlite3.h>

typedef enum as_statement {
    AS_SQL_BEGIN,
    AS_SQL_COMMIT,
    AS_SQL_ROLLBACK,
    AS_SQL_TEXT_FIND,
    AS_SQL_TEXT_ADD,
    AS_SQL_ITEM_ADD,
    AS_SQL_VALUES_ADD,
    AS_SQL_LOG_ADD,
    AS_SQL_HEARTBEAT,
    AS_SQL_COUNT
} as_statement;

/* One add that waits. Its bytes lie in as_store.bytes from `at` on: the strings in the order of the fields, then the
 * values as little-endian doubles. */
typedef struct as_pending_item {
    int64_t run, index, tokens;
    uint64_t hash;
    size_t at, id, cluster, text, pair, gold, pred; /* lengths in bytes */
    int count;
    bool truncated, has_pair;
} as_pending_item;
typedef struct as_pending_log { int64_t run, step; size_t at, n; } as_pending_log;

struct as_store {
    sqlite3 *db;
    char *path; /* as the caller wrote it: for messages, never stored */
    bool readonly;
    sqlite3_stmt *statement[AS_SQL_COUNT]; /* prepared on first use */
    as_pending_item *items;
    size_t items_n, items_cap;
    as_pending_log *logs;
    size_t logs_n, logs_cap;
    as_buf bytes;
    double pending_since;   /* as_clock of the first add that waits */
    int64_t *held;          /* runs that this handle works on: their heartbeats go with each flush */
    size_t held_n, held_cap;
    double heartbeat_at;    /* as_clock of the last heartbeat */
};

/* Version of a file that is ours, 0 for an empty one; else AS_FORMAT (another program's file, or newer than `known`). */
as_status as_store_version(sqlite3 *db, const char *path, int known, int *version, as_err *err) AS_CHECKED;
/* One step per schema version: steps[v] takes a file from version v to v + 1. Applied in one transaction, so a crash
 * leaves the old version. AS_FORMAT for files of another program and of newer versions. */
as_status as_store_migrate(sqlite3 *db, const char *path, const char *const *steps, int count, as_err *err) AS_CHECKED;
extern const char *const as_store_steps[];
extern const int as_store_step_count;

/* The last failure of the connection as a status: message "PATH: WHAT: reason", hint by kind. */
as_status as_store_fail(sqlite3 *db, const char *path, const char *what, as_err *err);
as_status as_store_statement(as_store *s, as_statement which, sqlite3_stmt **out, as_err *err) AS_CHECKED;
/* Step a statement that returns no rows, and reset it. */
as_status as_store_step(as_store *s, sqlite3_stmt *st, const char *what, as_err *err) AS_CHECKED;
as_status as_store_prepare(as_store *s, sqlite3_stmt **out, const char *sql, const char *what, as_err *err) AS_CHECKED;
as_status as_store_begin(as_store *s, as_err *err) AS_CHECKED; /* BEGIN IMMEDIATE; waits for other writers */
/* COMMIT when status is AS_OK, else (or when that fails) ROLLBACK; returns the first failure. */
as_status as_store_finish(as_store *s, as_status status, as_err *err) AS_CHECKED;

void as_store_bind_str(sqlite3_stmt *st, int at, const char *cstr); /* NULL stays NULL */
void as_store_bind_view(sqlite3_stmt *st, int at, as_str s);        /* borrowed until the step is done */
as_str as_store_column_view(sqlite3_stmt *st, int col);

void as_store_let_go(as_store *s); /* the runs that this handle still holds are free for others at once */
as_status as_store_heartbeats(as_store *s, as_err *err) AS_CHECKED; /* inside a transaction */

#endif
