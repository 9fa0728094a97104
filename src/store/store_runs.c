/* store_runs.c: runs, who works on them, their aggregates and logs.
 *
 * A run is held by one process at a time. The holder is recorded as (machine, process id, start time of the process),
 * machine being a hash of the boot id and of the process id namespace: on the same machine a killed holder is known at
 * once, and the same command goes on without waiting; from elsewhere the heartbeat decides. Nothing recorded names the
 * machine. */
#include "store/store_db.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ALIVE_SECONDS 10.0

typedef struct owner { int64_t machine, pid, start; } owner; /* machine 0 = unknown */

/* Up to cap - 1 bytes of a small file of /proc; "" when there is none. */
static size_t read_small(const char *path, char *buf, size_t cap) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    if (fd >= 0) {
        n = read(fd, buf, cap - 1);
        close(fd);
    }
    buf[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* Ticks since boot at which a process started: field 22 of its stat, counted behind the name, which may hold anything.
 * 0 when there is no such process, when it is dead and only not yet waited for (state Z or X), or without /proc. */
static int64_t process_start(int64_t pid) {
    char path[64], buf[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (!read_small(path, buf, sizeof buf)) return 0;
    const char *p = strrchr(buf, ')');
    if (p && (p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')) return 0;
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    int64_t start = 0;
    if (p) {
        const size_t n = strspn(p + 1, "0123456789");
        if (!as_parse_i64((as_str){p + 1, n}, &start)) start = 0;
    }
    return start;
}

static owner owner_self(void) {
    char id[512];
    size_t n = read_small("/proc/sys/kernel/random/boot_id", id, 256);
    const ssize_t space = n ? readlink("/proc/self/ns/pid", id + n, 255) : -1;
    owner self = {.pid = (int64_t)getpid()};
    self.start = process_start(self.pid);
    if (space > 0 && self.start != 0) {
        n += (size_t)space;
        self.machine = (int64_t)as_hash64(id, n, 0);
        if (self.machine == 0) self.machine = 1;
    }
    return self;
}

/* Does another process hold the run? */
static bool held_elsewhere(owner holder, double heartbeat, owner self) {
    if (holder.pid == 0) return false;
    if (holder.machine != 0 && holder.machine == self.machine) {
        if (holder.pid == self.pid && holder.start == self.start) return false;
        return holder.start != 0 && process_start(holder.pid) == holder.start;
    }
    return fabs(as_clock_wall() - heartbeat) < ALIVE_SECONDS;
}

/* ---- begin and end ---- */

typedef struct found { int64_t id; as_run_state state; owner holder; double heartbeat; } found;

static as_status find_newest(as_store *s, const char *key, found *out, as_err *err) {
    sqlite3_stmt *st = NULL;
    *out = (found){0};
    AS_TRY(as_store_prepare(s, &st,
        "SELECT id, state, heartbeat, owner, owner_pid, owner_start FROM runs WHERE key = ?1 ORDER BY id DESC LIMIT 1",
        "cannot read runs", err));
    as_store_bind_str(st, 1, key);
    const int rc = sqlite3_step(st);
    as_status status = AS_OK;
    if (rc == SQLITE_ROW) {
        out->id = sqlite3_column_int64(st, 0);
        out->state = (as_run_state)sqlite3_column_int(st, 1);
        out->heartbeat = sqlite3_column_double(st, 2);
        out->holder = (owner){sqlite3_column_int64(st, 3), sqlite3_column_int64(st, 4), sqlite3_column_int64(st, 5)};
    } else if (rc != SQLITE_DONE) {
        status = as_store_fail(s->db, s->path, "cannot read runs", err);
    }
    sqlite3_finalize(st);
    return status;
}

static as_status insert_run(as_store *s, const as_run_key *key, owner self, int64_t *id, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st,
        "INSERT INTO runs (key, command, state, model, task, dtype, isa, config, started, heartbeat, owner, owner_pid,"
        " owner_start) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)", "cannot write", err));
    const char *text[] = {key->key, key->command, key->model, key->task, key->dtype, key->isa, key->config_json};
    for (int i = 0; i < (int)AS_COUNT(text); i++) as_store_bind_str(st, i + 1, text[i]);
    sqlite3_bind_double(st, 8, as_clock_wall());
    sqlite3_bind_int64(st, 9, self.machine);
    sqlite3_bind_int64(st, 10, self.pid);
    sqlite3_bind_int64(st, 11, self.start);
    const as_status status = as_store_step(s, st, "cannot write", err);
    sqlite3_finalize(st);
    *id = sqlite3_last_insert_rowid(s->db);
    return status;
}

static as_status take_over(as_store *s, int64_t id, owner self, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st,
        "UPDATE runs SET state = 0, ended = NULL, items = NULL, result = NULL, heartbeat = ?2, owner = ?3,"
        " owner_pid = ?4, owner_start = ?5 WHERE id = ?1", "cannot write", err));
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_double(st, 2, as_clock_wall());
    sqlite3_bind_int64(st, 3, self.machine);
    sqlite3_bind_int64(st, 4, self.pid);
    sqlite3_bind_int64(st, 5, self.start);
    const as_status status = as_store_step(s, st, "cannot write", err);
    sqlite3_finalize(st);
    return status;
}

static as_status begin_locked(as_store *s, const as_run_key *key, bool again, as_run *out, as_err *err) {
    found newest;
    const owner self = owner_self();
    AS_TRY(find_newest(s, key->key, &newest, err));
    out->existed = newest.id != 0 && !again;
    out->state = AS_RUN_OPEN;
    if (!out->existed) return insert_run(s, key, self, &out->id, err);
    out->id = newest.id;
    if (newest.state == AS_RUN_DONE) {
        out->state = AS_RUN_DONE;
        return AS_OK;
    }
    if (newest.state == AS_RUN_OPEN && held_elsewhere(newest.holder, newest.heartbeat, self)) {
        const as_status status = as_fail(err, AS_IO, "%s: run %" PRId64 " is being worked on by another process "
                                         "(process %" PRId64 ")", s->path, newest.id, newest.holder.pid);
        as_hint(err, "Wait for that command to end, or start a run of its own with --again.");
        return status;
    }
    return take_over(s, newest.id, self, err);
}

as_status as_store_run_begin(as_store *s, const as_run_key *key, bool again, as_run *out, as_err *err) {
    *out = (as_run){0};
    AS_ASSERT(key->key && key->command);
    AS_TRY(as_store_flush(s, err));
    if (!as_grow(&s->held, &s->held_cap, s->held_n + 1, sizeof *s->held))
        return as_fail_nomem(err, "runs", (s->held_n + 1) * sizeof *s->held);
    AS_TRY(as_store_begin(s, err));
    AS_TRY(as_store_finish(s, begin_locked(s, key, again, out, err), err));
    if (out->state == AS_RUN_DONE) return AS_OK;
    for (size_t i = 0; i < s->held_n; i++)
        if (s->held[i] == out->id) return AS_OK;
    s->held[s->held_n++] = out->id;
    s->heartbeat_at = as_clock();
    return AS_OK;
}

static void forget(as_store *s, int64_t run) {
    for (size_t i = 0; i < s->held_n; i++)
        if (s->held[i] == run) s->held[i] = s->held[--s->held_n];
}

as_status as_store_run_end(as_store *s, int64_t run, as_run_state state, const char *result_json, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st,
        "UPDATE runs SET state = ?2, result = ?3, ended = ?4, heartbeat = ?4, owner = NULL, owner_pid = NULL,"
        " owner_start = NULL, items = (SELECT count(*) FROM items WHERE run = ?1) WHERE id = ?1", "cannot write", err));
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int(st, 2, (int)state);
    as_store_bind_str(st, 3, result_json);
    sqlite3_bind_double(st, 4, as_clock_wall());
    as_status status = as_store_step(s, st, "cannot write", err);
    if (status == AS_OK && sqlite3_changes(s->db) == 0)
        status = as_fail(err, AS_USAGE, "%s: no run %" PRId64, s->path, run);
    sqlite3_finalize(st);
    if (status == AS_OK) forget(s, run);
    return status;
}

as_status as_store_heartbeats(as_store *s, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_statement(s, AS_SQL_HEARTBEAT, &st, err));
    for (size_t i = 0; i < s->held_n; i++) {
        sqlite3_bind_int64(st, 1, s->held[i]);
        sqlite3_bind_double(st, 2, as_clock_wall());
        AS_TRY(as_store_step(s, st, "cannot write", err));
    }
    s->heartbeat_at = as_clock();
    return AS_OK;
}

void as_store_let_go(as_store *s) {
    for (size_t i = 0; i < s->held_n; i++) {
        sqlite3_stmt *st = NULL;
        if (as_store_prepare(s, &st, "UPDATE runs SET owner = NULL, owner_pid = NULL, owner_start = NULL WHERE id = ?1",
                             "cannot write", NULL) != AS_OK)
            return;
        sqlite3_bind_int64(st, 1, s->held[i]);
        sqlite3_step(st);
        sqlite3_finalize(st);
    }
    s->held_n = 0;
}

/* ---- removing ---- */

static as_status find_run(as_store *s, int64_t run, found *out, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st, "SELECT id, state, heartbeat, owner, owner_pid, owner_start FROM runs WHERE id = ?1", "cannot read runs", err));
    sqlite3_bind_int64(st, 1, run);
    const int rc = sqlite3_step(st);
    as_status status = AS_OK;
    if (rc == SQLITE_ROW) {
        *out = (found){.id = run, .state = (as_run_state)sqlite3_column_int(st, 1), .heartbeat = sqlite3_column_double(st, 2),
                       .holder = {sqlite3_column_int64(st, 3), sqlite3_column_int64(st, 4), sqlite3_column_int64(st, 5)}};
    } else if (rc == SQLITE_DONE) {
        status = as_fail(err, AS_USAGE, "%s: no run %" PRId64, s->path, run);
        as_hint(err, "assay runs lists what is stored.");
    } else {
        status = as_store_fail(s->db, s->path, "cannot read runs", err);
    }
    sqlite3_finalize(st);
    return status;
}

static as_status remove_locked(as_store *s, int64_t run, as_err *err) {
    found f = {0};
    AS_TRY(find_run(s, run, &f, err));
    if (f.state == AS_RUN_OPEN && held_elsewhere(f.holder, f.heartbeat, owner_self())) {
        (void)as_fail(err, AS_IO, "%s: run %" PRId64 " is being worked on by another process (process %" PRId64 ")", s->path, run, f.holder.pid);
        as_hint(err, "Stop that command first.");
        return AS_IO;
    }
    /* Texts that only this run has: those of its items less those of all others. */
    static const char *const sql[] = {
        "CREATE TEMP TABLE gone AS SELECT text AS id FROM items WHERE run = ?1 UNION SELECT pair FROM items WHERE run = ?1 AND pair NOT NULL"
        " UNION SELECT gold FROM items WHERE run = ?1 AND typeof(gold) = 'integer' UNION SELECT pred FROM items WHERE run = ?1 AND typeof(pred) = 'integer'",
        "DELETE FROM items WHERE run = ?1",
        "DELETE FROM gone WHERE id IN (SELECT text FROM items) OR id IN (SELECT pair FROM items)"
        " OR id IN (SELECT gold FROM items WHERE typeof(gold) = 'integer') OR id IN (SELECT pred FROM items WHERE typeof(pred) = 'integer')",
        "DELETE FROM texts WHERE id IN (SELECT id FROM gone)",
        "DROP TABLE gone",
        "DELETE FROM item_values WHERE run = ?1",
        "DELETE FROM aggregates WHERE run = ?1",
        "DELETE FROM analyses WHERE run = ?1",
        "DELETE FROM logs WHERE run = ?1",
        "DELETE FROM runs WHERE id = ?1",
    };
    for (size_t i = 0; i < AS_COUNT(sql); i++) {
        sqlite3_stmt *st = NULL;
        AS_TRY(as_store_prepare(s, &st, sql[i], "cannot write", err));
        if (sqlite3_bind_parameter_count(st) > 0) sqlite3_bind_int64(st, 1, run);
        const as_status status = as_store_step(s, st, "cannot write", err);
        sqlite3_finalize(st);
        AS_TRY(status);
    }
    return AS_OK;
}

as_status as_store_run_remove(as_store *s, int64_t run, as_err *err) {
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_begin(s, err));
    AS_TRY(as_store_finish(s, remove_locked(s, run, err), err));
    forget(s, run);
    return AS_OK;
}

/* ---- reading runs ---- */

static const char runs_sql[] =
    "SELECT id, state, command, model, task, dtype, isa, config, result, started, ended,"
    " coalesce(items, (SELECT count(*) FROM items WHERE run = runs.id)) FROM runs ORDER BY id";

as_status as_store_runs_each(as_store *s, as_status (*row)(void *ctx, const as_run_info *r, as_err *err), void *ctx,
                             as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, runs_sql, "cannot read runs", err));
    int rc = SQLITE_DONE;
    as_status status = AS_OK;
    while (status == AS_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text[7];
        for (int i = 0; i < 7; i++) text[i] = (const char *)sqlite3_column_text(st, 2 + i);
        const as_run_info info = {
            .id = sqlite3_column_int64(st, 0), .state = (as_run_state)sqlite3_column_int(st, 1),
            .command = text[0], .model = text[1] ? text[1] : "", .task = text[2] ? text[2] : "",
            .dtype = text[3] ? text[3] : "", .isa = text[4] ? text[4] : "", .config_json = text[5],
            .result_json = text[6], .started = sqlite3_column_double(st, 9),
            .ended = sqlite3_column_type(st, 10) == SQLITE_NULL ? NAN : sqlite3_column_double(st, 10),
            .items = sqlite3_column_int64(st, 11),
        };
        status = row(ctx, &info, err);
    }
    if (status == AS_OK && rc != SQLITE_DONE) status = as_store_fail(s->db, s->path, "cannot read runs", err);
    sqlite3_finalize(st);
    return status;
}

/* ---- aggregates ---- */

as_status as_store_aggregate_put(as_store *s, int64_t run, const as_aggregate *a, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st,
        "INSERT INTO aggregates (run, metric, signature, method, why, value, low, high, level, n)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (run, metric, signature) DO UPDATE SET"
        " method = ?4, why = ?5, value = ?6, low = ?7, high = ?8, level = ?9, n = ?10", "cannot write", err));
    sqlite3_bind_int64(st, 1, run);
    as_store_bind_str(st, 2, a->metric);
    as_store_bind_str(st, 3, a->signature ? a->signature : "");
    as_store_bind_str(st, 4, a->method);
    as_store_bind_str(st, 5, a->why);
    const double real[] = {a->value, a->low, a->high, a->level};
    for (int i = 0; i < 4; i++) sqlite3_bind_double(st, 6 + i, real[i]); /* NaN is bound as NULL */
    sqlite3_bind_int64(st, 10, a->n);
    const as_status status = as_store_step(s, st, "cannot write", err);
    sqlite3_finalize(st);
    return status;
}

static double read_real(sqlite3_stmt *st, int col) {
    return sqlite3_column_type(st, col) == SQLITE_NULL ? NAN : sqlite3_column_double(st, col);
}

as_status as_store_aggregates_each(as_store *s, int64_t run,
                                   as_status (*row)(void *ctx, const as_aggregate *a, as_err *err), void *ctx,
                                   as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st,
        "SELECT metric, signature, method, why, value, low, high, level, n FROM aggregates WHERE run = ?1 ORDER BY id",
        "cannot read aggregates", err));
    sqlite3_bind_int64(st, 1, run);
    int rc = SQLITE_DONE;
    as_status status = AS_OK;
    while (status == AS_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const as_aggregate a = {
            .metric = (const char *)sqlite3_column_text(st, 0), .signature = (const char *)sqlite3_column_text(st, 1),
            .method = (const char *)sqlite3_column_text(st, 2), .why = (const char *)sqlite3_column_text(st, 3),
            .value = read_real(st, 4), .low = read_real(st, 5), .high = read_real(st, 6), .level = read_real(st, 7),
            .n = sqlite3_column_int64(st, 8),
        };
        status = row(ctx, &a, err);
    }
    if (status == AS_OK && rc != SQLITE_DONE) status = as_store_fail(s->db, s->path, "cannot read aggregates", err);
    sqlite3_finalize(st);
    return status;
}

/* ---- analyses ---- */

as_status as_store_analysis_put(as_store *s, int64_t run, const char *kind, const char *name, const char *json, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st, "INSERT OR REPLACE INTO analyses (run, kind, name, json) VALUES (?1, ?2, ?3, ?4)", "cannot write", err));
    sqlite3_bind_int64(st, 1, run);
    as_store_bind_str(st, 2, kind), as_store_bind_str(st, 3, name), as_store_bind_str(st, 4, json);
    const as_status status = as_store_step(s, st, "cannot write", err);
    sqlite3_finalize(st);
    return status;
}

as_status as_store_analyses_each(as_store *s, int64_t run,
                                 as_status (*row)(void *ctx, const char *kind, const char *name, const char *json, as_err *err),
                                 void *ctx, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_prepare(s, &st, "SELECT kind, name, json FROM analyses WHERE run = ?1 ORDER BY kind, name", "cannot read analyses", err));
    sqlite3_bind_int64(st, 1, run);
    int rc = SQLITE_DONE;
    as_status status = AS_OK;
    while (status == AS_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        status = row(ctx, (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1), (const char *)sqlite3_column_text(st, 2), err);
    if (status == AS_OK && rc != SQLITE_DONE) status = as_store_fail(s->db, s->path, "cannot read analyses", err);
    sqlite3_finalize(st);
    return status;
}

/* ---- logs ---- */

as_status as_store_logs_cut(as_store *s, int64_t run, int64_t last_step, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, "DELETE FROM logs WHERE run = ?1 AND step > ?2", "cannot write", err));
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, last_step);
    const as_status status = as_store_step(s, st, "cannot write", err);
    sqlite3_finalize(st);
    return status;
}

as_status as_store_logs_each(as_store *s, int64_t run,
                             as_status (*row)(void *ctx, int64_t step, const char *json, as_err *err), void *ctx,
                             as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, "SELECT step, json FROM logs WHERE run = ?1 ORDER BY step, id", "cannot read logs",
                            err));
    sqlite3_bind_int64(st, 1, run);
    int rc = SQLITE_DONE;
    as_status status = AS_OK;
    while (status == AS_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        status = row(ctx, sqlite3_column_int64(st, 0), (const char *)sqlite3_column_text(st, 1), err);
    if (status == AS_OK && rc != SQLITE_DONE) status = as_store_fail(s->db, s->path, "cannot read logs", err);
    sqlite3_finalize(st);
    return status;
}
