/* store.c: the connection: opening, statements, transactions, and SQLite's failures in the user's words. */
#include "store/store_db.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#define BUSY_MS 10000 /* how long a writer waits for another; a flush takes milliseconds */

static const char *const statement_sql[AS_SQL_COUNT] = {
    [AS_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [AS_SQL_COMMIT] = "COMMIT",
    [AS_SQL_ROLLBACK] = "ROLLBACK",
    [AS_SQL_TEXT_FIND] = "SELECT id, content FROM texts WHERE hash = ?1",
    [AS_SQL_TEXT_ADD] = "INSERT INTO texts (hash, content) VALUES (?1, ?2)",
    [AS_SQL_ITEM_ADD] = ("REPLACE INTO items (run, item, id, cluster, text, pair, gold, pred, hash, tokens, truncated)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
    [AS_SQL_VALUES_ADD] = "REPLACE INTO item_values (run, item, numbers) VALUES (?1, ?2, ?3)",
    [AS_SQL_LOG_ADD] = "INSERT INTO logs (run, step, json) VALUES (?1, ?2, ?3)",
    [AS_SQL_HEARTBEAT] = "UPDATE runs SET heartbeat = ?2 WHERE id = ?1",
};

/* What SQLite calls an I/O error or "full", named by the system where it says more. */
static as_status fail_write(const char *path, const char *what, int system_errno, int rc, as_err *err) {
    const bool full = rc == SQLITE_FULL || system_errno == ENOSPC || system_errno == EDQUOT;
    const as_status status = as_fail(err, AS_IO, "%s: %s: %s", path, what,
                                     full ? "no space left on the disk"
                                          : system_errno ? strerror(system_errno) : sqlite3_errstr(rc));
    if (full || system_errno == EFBIG)
        as_hint(err, "Make room and give the same command again; what was stored before is safe.");
    else
        as_hint(err, "Check the disk that holds the file, then give the same command again.");
    return status;
}

as_status as_store_fail(sqlite3 *db, const char *path, const char *what, as_err *err) {
    const int saved = errno; /* SQLite does not pass the reason of every failed write on */
    const int extended = sqlite3_extended_errcode(db), rc = extended & 0xff;
    as_status status = AS_IO;
    switch (rc) {
    case SQLITE_NOMEM:
        return as_fail_nomem(err, "the store", 0);
    case SQLITE_NOTADB:
        status = as_fail(err, AS_FORMAT, "%s: is not an assay store (not an SQLite file)", path);
        as_hint(err, "Name another file with --db; assay makes a new one where none exists.");
        return status;
    case SQLITE_CORRUPT:
        status = as_fail(err, AS_FORMAT, "%s: %s: the file is damaged (%s)", path, what, sqlite3_errmsg(db));
        as_hint(err, "Restore a copy, or save what can be read with: sqlite3 FILE .recover");
        return status;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = as_fail(err, AS_IO, "%s: %s: another process has locked the file for %d s", path, what,
                         BUSY_MS / 1000);
        as_hint(err, "Wait for the other command to end, or work in another file with --db.");
        return status;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        status = as_fail(err, AS_IO, "%s: %s: the file or its folder is read-only", path, what);
        as_hint(err, "Make it writable, or work in another file with --db.");
        return status;
    case SQLITE_CANTOPEN:
        status = as_fail(err, AS_IO, "%s: cannot be opened: %s", path,
                         sqlite3_system_errno(db) ? strerror(sqlite3_system_errno(db)) : sqlite3_errmsg(db));
        as_hint(err, "Check that the folder exists and can be written to, or name another file with --db.");
        return status;
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return fail_write(path, what, sqlite3_system_errno(db) ? sqlite3_system_errno(db) : saved, extended, err);
    default:
        return as_fail(err, AS_IO, "%s: %s: %s", path, what, sqlite3_errmsg(db));
    }
}

/* WAL needs memory shared between the processes that use the file, which network file systems do not give. */
static bool on_network(const char *path) {
#ifdef __linux__
    static const uint32_t network[] = {
        0x6969 /* NFS */,     0xFF534D42 /* CIFS */,  0xFE534D42 /* SMB2 */, 0x517B /* SMB */,
        0x0BD00BD0 /* Lustre */, 0x47504653 /* GPFS */, 0x65735546 /* FUSE */, 0x01021997 /* 9P */,
        0x5346414F /* AFS */, 0x00C36400 /* Ceph */,  0x19830326 /* BeeGFS */,
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0) return false;
    for (size_t i = 0; i < AS_COUNT(network); i++)
        if ((uint32_t)fs.f_type == network[i]) return true;
#else
    (void)path;
#endif
    return false;
}

/* Switching to WAL takes an exclusive lock for a moment, and SQLite does not wait for it in every case itself. */
static as_status set_journal(as_store *s, as_err *err) {
    const char *sql = on_network(s->path) ? "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
                                          : "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
    const double until = as_clock() + BUSY_MS / 1000.0;
    int rc;
    while (((rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL)) & 0xFF) == SQLITE_BUSY && as_clock() < until) { /* extended codes, too */
        const struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    }
    return rc == SQLITE_OK ? AS_OK : as_store_fail(s->db, s->path, "cannot set up the store", err);
}

static as_status open_connection(as_store *s, as_err *err) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK) {
        if (!s->db) return as_fail_nomem(err, "the store", 0);
        return as_store_fail(s->db, s->path, "cannot be opened", err);
    }
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    s->readonly = sqlite3_db_readonly(s->db, "main") == 1;
    /* Look before anything is written: a file that is not ours stays as it is. */
    int version = 0;
    AS_TRY(as_store_version(s->db, s->path, as_store_step_count, &version, err));
    if (!s->readonly) AS_TRY(set_journal(s, err));
    AS_TRY(as_store_migrate(s->db, s->path, as_store_steps, as_store_step_count, err));
    /* A longer log between checkpoints: a page that many flushes touch is then copied back once. */
    if (sqlite3_exec(s->db, "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
                            "PRAGMA cache_size = -8000;", NULL, NULL, NULL) != SQLITE_OK)
        return as_store_fail(s->db, s->path, "cannot set up the store", err);
    return AS_OK;
}

static void release(as_store *s) {
    if (!s) return;
    for (int i = 0; i < AS_SQL_COUNT; i++) sqlite3_finalize(s->statement[i]);
    sqlite3_close(s->db);
    as_free(s->items);
    as_free(s->logs);
    as_free(s->held);
    as_buf_free(&s->bytes);
    as_free(s->path);
    as_free(s);
}

as_status as_store_open(as_store **out, const char *path, as_err *err) {
    *out = NULL;
    as_store *s = as_calloc(1, sizeof *s);
    if (s) s->path = as_strdup(path);
    if (!s || !s->path) {
        as_free(s);
        return as_fail_nomem(err, "the store", sizeof *s);
    }
    const as_status status = open_connection(s, err);
    if (status != AS_OK) {
        release(s);
        return status;
    }
    *out = s;
    return AS_OK;
}

void as_store_close(as_store *s) {
    if (!s) return;
    /* Nobody is left to tell: a caller that wants to know flushes first. */
    if (as_store_flush(s, NULL) == AS_OK) as_store_let_go(s);
    release(s);
}

as_status as_store_prepare(as_store *s, sqlite3_stmt **out, const char *sql, const char *what, as_err *err) {
    if (sqlite3_prepare_v2(s->db, sql, -1, out, NULL) == SQLITE_OK) return AS_OK;
    return as_store_fail(s->db, s->path, what, err);
}

as_status as_store_statement(as_store *s, as_statement which, sqlite3_stmt **out, as_err *err) {
    if (!s->statement[which]) {
        sqlite3_stmt *st = NULL;
        if (sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
            return as_store_fail(s->db, s->path, "cannot write", err);
        s->statement[which] = st;
    }
    *out = s->statement[which];
    return AS_OK;
}

as_status as_store_step(as_store *s, sqlite3_stmt *st, const char *what, as_err *err) {
    errno = 0;
    const int rc = sqlite3_step(st);
    const as_status status = rc == SQLITE_DONE || rc == SQLITE_ROW ? AS_OK : as_store_fail(s->db, s->path, what, err);
    sqlite3_reset(st);
    return status;
}

static as_status run_statement(as_store *s, as_statement which, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_statement(s, which, &st, err));
    return as_store_step(s, st, "cannot write", err);
}

as_status as_store_begin(as_store *s, as_err *err) { return run_statement(s, AS_SQL_BEGIN, err); }

as_status as_store_finish(as_store *s, as_status status, as_err *err) {
    if (status == AS_OK) status = run_statement(s, AS_SQL_COMMIT, err);
    /* SQLite has rolled back by itself after some failures; another ROLLBACK would then be an error of its own. */
    if (status != AS_OK && !sqlite3_get_autocommit(s->db)) {
        const as_status rolled_back = run_statement(s, AS_SQL_ROLLBACK, NULL);
        (void)rolled_back;
    }
    return status;
}

void as_store_bind_str(sqlite3_stmt *st, int at, const char *cstr) {
    if (cstr) sqlite3_bind_text(st, at, cstr, -1, SQLITE_STATIC);
    else sqlite3_bind_null(st, at);
}

void as_store_bind_view(sqlite3_stmt *st, int at, as_str s) {
    sqlite3_bind_text64(st, at, s.p ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

as_str as_store_column_view(sqlite3_stmt *st, int col) {
    const char *p = (const char *)sqlite3_column_text(st, col); /* before its length: the call converts */
    return p ? (as_str){p, (size_t)sqlite3_column_bytes(st, col)} : (as_str){"", 0};
}
