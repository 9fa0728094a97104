/* store_schema.c: the tables, and how a file of an older version becomes one of this version. */
#include "store/store_db.h"
#include <inttypes.h>
#include <stdio.h>

/* Marks the file as assay's ("assa"), so that another program's SQLite file is never written to. */
#define APPLICATION_ID 0x61737361

/* Sizes matter: 10^9 items is a realistic store. Therefore keys are small integers, items and values have no second
 * index, an id that is just the record number is NULL, long gold and predicted strings are references into texts (an
 * integer instead of a string), and values are one blob of little-endian doubles whose names are in the run's config. */
static const char step_1[] =
    "CREATE TABLE runs ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* a run number is never given twice */
    " key TEXT NOT NULL,"                    /* digest of everything that changes results */
    " command TEXT NOT NULL,"
    " state INTEGER NOT NULL,"               /* 0 open, 1 done, 2 failed */
    " model TEXT, task TEXT, dtype TEXT, isa TEXT,"
    " config TEXT, result TEXT,"             /* JSON */
    " started REAL NOT NULL, ended REAL, heartbeat REAL NOT NULL," /* seconds since 1970 */
    " owner INTEGER, owner_pid INTEGER, owner_start INTEGER," /* who works on it: see store_runs.c */
    " items INTEGER);"                       /* counted when the run ends */
    "CREATE INDEX runs_by_key ON runs (key);"
    "CREATE TABLE texts ("
    " id INTEGER PRIMARY KEY,"
    " hash INTEGER NOT NULL,"                /* XXH3 of content */
    " content TEXT NOT NULL);"
    "CREATE INDEX texts_by_hash ON texts (hash);"
    "CREATE TABLE items ("
    " run INTEGER NOT NULL, item INTEGER NOT NULL," /* item = position in the data, from 0 */
    " id TEXT, cluster TEXT,"
    " text INTEGER NOT NULL, pair INTEGER,"  /* texts.id */
    " gold, pred,"                           /* a string, or texts.id when it is long */
    " hash INTEGER NOT NULL, tokens INTEGER NOT NULL, truncated INTEGER NOT NULL,"
    " PRIMARY KEY (run, item)) WITHOUT ROWID;"
    "CREATE TABLE item_values ("
    " run INTEGER NOT NULL, item INTEGER NOT NULL, numbers BLOB NOT NULL,"
    " PRIMARY KEY (run, item)) WITHOUT ROWID;"
    "CREATE TABLE aggregates ("
    " id INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
    " metric TEXT NOT NULL, signature TEXT NOT NULL, method TEXT, why TEXT,"
    " value REAL, low REAL, high REAL, level REAL, n INTEGER NOT NULL,"
    " UNIQUE (run, metric, signature));"
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, step INTEGER NOT NULL, json TEXT NOT NULL);"
    "CREATE INDEX logs_by_run ON logs (run, step);"
    /* For people with the sqlite3 shell: items with their texts in place. */
    "CREATE VIEW item_rows AS SELECT i.run, i.item, coalesce(i.id, i.item) AS id, i.cluster,"
    " t.content AS text, p.content AS pair,"
    " CASE typeof(i.gold) WHEN 'integer' THEN (SELECT content FROM texts WHERE id = i.gold) ELSE i.gold END AS gold,"
    " CASE typeof(i.pred) WHEN 'integer' THEN (SELECT content FROM texts WHERE id = i.pred) ELSE i.pred END AS pred,"
    " i.tokens, i.truncated"
    " FROM items i JOIN texts t ON t.id = i.text LEFT JOIN texts p ON p.id = i.pair;";

/* The groups that an item belongs to: a JSON object, column to value; NULL for runs that were not asked for any. */
static const char step_2[] = "ALTER TABLE items ADD COLUMN slices TEXT;";

/* What was found out about a run beside its metrics: one JSON object for each (kind, name). */
static const char step_3[] =
    "CREATE TABLE analyses ("
    " run INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL,"
    " PRIMARY KEY (run, kind, name)) WITHOUT ROWID;";

const char *const as_store_steps[] = {step_1, step_2, step_3};
const int as_store_step_count = (int)AS_COUNT(as_store_steps);

static as_status read_int(sqlite3 *db, const char *path, const char *sql, int64_t *out, as_err *err) {
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    as_status status = AS_OK;
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(st, 0);
    else status = as_store_fail(db, path, "cannot be read as a store", err);
    sqlite3_finalize(st);
    return status;
}

/* All three from one moment: between single reads, another process may make the file. */
static as_status read_marks(sqlite3 *db, const char *path, int64_t *user, int64_t *application, int64_t *objects, as_err *err) {
    const bool own = sqlite3_get_autocommit(db) != 0;
    if (own && sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) return as_store_fail(db, path, "cannot be read as a store", err);
    as_status status = read_int(db, path, "SELECT count(*) FROM sqlite_master", objects, err); /* takes the read lock */
    if (status == AS_OK) status = read_int(db, path, "PRAGMA user_version", user, err);
    if (status == AS_OK) status = read_int(db, path, "PRAGMA application_id", application, err);
    if (own) sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return status;
}

as_status as_store_version(sqlite3 *db, const char *path, int known, int *version, as_err *err) {
    int64_t user = 0, application = 0, objects = 0;
    AS_TRY(read_marks(db, path, &user, &application, &objects, err));
    const bool empty = objects == 0 && user == 0 && application == 0;
    if (!empty && (application != APPLICATION_ID || user < 1)) {
        const as_status status = as_fail(err, AS_FORMAT, "%s: is an SQLite file of another program", path);
        as_hint(err, "Name another file with --db; assay makes a new one where none exists.");
        return status;
    }
    if (user > known) {
        const as_status status = as_fail(err, AS_FORMAT,
            "%s: has store version %" PRId64 ", this assay knows versions up to %d", path, user, known);
        as_hint(err, "Use the newer assay that wrote this file, or name another file with --db.");
        return status;
    }
    *version = (int)user;
    return AS_OK;
}

static as_status apply(sqlite3 *db, const char *path, const char *sql, as_err *err) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return AS_OK;
    return as_store_fail(db, path, "cannot set up the store", err);
}

as_status as_store_migrate(sqlite3 *db, const char *path, const char *const *steps, int count, as_err *err) {
    int version = 0;
    AS_TRY(as_store_version(db, path, count, &version, err));
    if (version == count) return AS_OK;
    if (sqlite3_db_readonly(db, "main") == 1) {
        const as_status status = as_fail(err, AS_IO, "%s: store version %d needs an update to %d, and the file is "
                                         "read-only", path, version, count);
        as_hint(err, "Make the file writable, or copy it to a folder where it is.");
        return status;
    }
    AS_TRY(apply(db, path, "BEGIN IMMEDIATE", err));
    /* Another process may have been faster between our look and our lock. */
    as_status status = as_store_version(db, path, count, &version, err);
    for (int v = version; status == AS_OK && v < count; v++) status = apply(db, path, steps[v], err);
    if (status == AS_OK) {
        char pragmas[96];
        snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID,
                 count);
        status = apply(db, path, pragmas, err);
    }
    if (status == AS_OK) status = apply(db, path, "COMMIT", err);
    if (status != AS_OK) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}
