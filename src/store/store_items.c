/* store_items.c: scored items and log lines. Adds wait in memory and go in together, in one transaction; what a failed
 * transaction held waits on, so nothing is lost when the disk has room again. */
#include "store/store_db.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_SECONDS 0.1
#define FLUSH_BYTES (8u << 20)  /* bounds the memory of what waits */
#define FLUSH_ITEMS 16384u
#define HEARTBEAT_SECONDS 1.0   /* how often a flush that has nothing to write still says "alive" */
#define INLINE_BYTES 48         /* a longer gold or predicted string goes to texts */

/* ---- adding ---- */

static void put_double(unsigned char out[8], double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    for (int i = 0; i < 8; i++) out[i] = (unsigned char)(u >> (8 * i));
}

static double get_double(const unsigned char in[8]) {
    uint64_t u = 0;
    for (int i = 0; i < 8; i++) u |= (uint64_t)in[i] << (8 * i);
    double x;
    memcpy(&x, &u, 8);
    return x;
}

static as_status flush_if_due(as_store *s, as_err *err) {
    const size_t waiting = s->items_n + s->logs_n;
    if (waiting == 1) s->pending_since = as_clock();
    const bool due = s->bytes.n >= FLUSH_BYTES || s->items_n >= FLUSH_ITEMS ||
                     as_clock() - s->pending_since >= FLUSH_SECONDS;
    return due ? as_store_flush(s, err) : AS_OK;
}

as_status as_store_item_add(as_store *s, int64_t run, const as_item *item, as_err *err) {
    AS_ASSERT(item->index >= 0 && item->count >= 0);
    if (!as_grow(&s->items, &s->items_cap, s->items_n + 1, sizeof *s->items))
        return as_fail_nomem(err, "stored items", (s->items_n + 1) * sizeof *s->items);
    const size_t at = s->bytes.n;
    const as_str parts[] = {item->id, item->cluster, item->text, item->pair, item->gold, item->pred};
    for (size_t i = 0; i < AS_COUNT(parts); i++) as_buf_add(&s->bytes, parts[i].p, parts[i].n);
    for (int i = 0; i < item->count; i++) {
        unsigned char le[8];
        put_double(le, item->values[i]);
        as_buf_add(&s->bytes, le, 8);
    }
    if (s->bytes.failed) {
        s->bytes.failed = false;
        s->bytes.n = at;
        return as_fail_nomem(err, "stored items", item->text.n + item->pair.n);
    }
    s->items[s->items_n++] = (as_pending_item){
        .run = run, .index = item->index, .tokens = item->tokens, .hash = item->hash, .at = at,
        .id = item->id.n, .cluster = item->cluster.n, .text = item->text.n, .pair = item->pair.n,
        .gold = item->gold.n, .pred = item->pred.n, .count = item->count, .truncated = item->truncated,
        .has_pair = item->pair.p != NULL,
    };
    return flush_if_due(s, err);
}

as_status as_store_log_put(as_store *s, int64_t run, int64_t step, const char *json, as_err *err) {
    if (!as_grow(&s->logs, &s->logs_cap, s->logs_n + 1, sizeof *s->logs))
        return as_fail_nomem(err, "log lines", (s->logs_n + 1) * sizeof *s->logs);
    const size_t at = s->bytes.n, n = strlen(json);
    as_buf_add(&s->bytes, json, n);
    if (s->bytes.failed) {
        s->bytes.failed = false;
        s->bytes.n = at;
        return as_fail_nomem(err, "log lines", n);
    }
    s->logs[s->logs_n++] = (as_pending_log){run, step, at, n};
    return flush_if_due(s, err);
}

/* ---- writing ---- */

/* The id of a text, stored once. Equal hashes of unequal texts are told apart by content. */
static as_status put_text(as_store *s, as_str text, int64_t *id, as_err *err) {
    sqlite3_stmt *find = NULL, *add = NULL;
    const int64_t hash = (int64_t)as_hash64(text.p, text.n, 0);
    AS_TRY(as_store_statement(s, AS_SQL_TEXT_FIND, &find, err));
    sqlite3_bind_int64(find, 1, hash);
    int rc = SQLITE_DONE;
    bool found = false;
    while (!found && (rc = sqlite3_step(find)) == SQLITE_ROW)
        if (as_str_eq(as_store_column_view(find, 1), text)) {
            *id = sqlite3_column_int64(find, 0);
            found = true;
        }
    const as_status status =
        found || rc == SQLITE_DONE ? AS_OK : as_store_fail(s->db, s->path, "cannot read texts", err);
    sqlite3_reset(find);
    if (found || status != AS_OK) return status;
    AS_TRY(as_store_statement(s, AS_SQL_TEXT_ADD, &add, err));
    sqlite3_bind_int64(add, 1, hash);
    as_store_bind_view(add, 2, text);
    AS_TRY(as_store_step(s, add, "cannot write", err));
    *id = sqlite3_last_insert_rowid(s->db);
    return AS_OK;
}

/* A gold or predicted string: in place, or as a reference when it is long. */
static as_status bind_answer(as_store *s, sqlite3_stmt *st, int at, as_str answer, as_err *err) {
    if (answer.n <= INLINE_BYTES) {
        as_store_bind_view(st, at, answer);
        return AS_OK;
    }
    int64_t id = 0;
    AS_TRY(put_text(s, answer, &id, err));
    sqlite3_bind_int64(st, at, id);
    return AS_OK;
}

/* An id that is the index in decimal is not stored. */
static void bind_id(sqlite3_stmt *st, int at, as_str id, int64_t index) {
    char number[24];
    const int n = snprintf(number, sizeof number, "%" PRId64, index);
    if (as_str_eq(id, (as_str){number, (size_t)n})) sqlite3_bind_null(st, at);
    else as_store_bind_view(st, at, id);
}

static as_str take(const char **p, size_t n) {
    const as_str view = {*p, n};
    *p += n;
    return view;
}

static as_status write_item(as_store *s, const as_pending_item *item, as_err *err) {
    sqlite3_stmt *st = NULL, *numbers = NULL;
    const char *p = s->bytes.p ? s->bytes.p + item->at : "";
    const as_str id = take(&p, item->id), cluster = take(&p, item->cluster), text = take(&p, item->text),
                 pair = take(&p, item->pair), gold = take(&p, item->gold), pred = take(&p, item->pred);
    int64_t text_id = 0, pair_id = 0;
    AS_TRY(put_text(s, text, &text_id, err));
    if (item->has_pair) AS_TRY(put_text(s, pair, &pair_id, err));
    AS_TRY(as_store_statement(s, AS_SQL_ITEM_ADD, &st, err));
    sqlite3_bind_int64(st, 1, item->run);
    sqlite3_bind_int64(st, 2, item->index);
    bind_id(st, 3, id, item->index);
    if (cluster.n) as_store_bind_view(st, 4, cluster);
    else sqlite3_bind_null(st, 4);
    sqlite3_bind_int64(st, 5, text_id);
    if (item->has_pair) sqlite3_bind_int64(st, 6, pair_id);
    else sqlite3_bind_null(st, 6);
    AS_TRY(bind_answer(s, st, 7, gold, err));
    AS_TRY(bind_answer(s, st, 8, pred, err));
    sqlite3_bind_int64(st, 9, (int64_t)item->hash);
    sqlite3_bind_int64(st, 10, item->tokens);
    sqlite3_bind_int64(st, 11, item->truncated);
    AS_TRY(as_store_step(s, st, "cannot write", err));
    if (item->count == 0) return AS_OK;
    AS_TRY(as_store_statement(s, AS_SQL_VALUES_ADD, &numbers, err));
    sqlite3_bind_int64(numbers, 1, item->run);
    sqlite3_bind_int64(numbers, 2, item->index);
    sqlite3_bind_blob64(numbers, 3, p, (sqlite3_uint64)item->count * 8, SQLITE_STATIC);
    return as_store_step(s, numbers, "cannot write", err);
}

static as_status write_log(as_store *s, const as_pending_log *log, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_statement(s, AS_SQL_LOG_ADD, &st, err));
    sqlite3_bind_int64(st, 1, log->run);
    sqlite3_bind_int64(st, 2, log->step);
    as_store_bind_view(st, 3, (as_str){s->bytes.p + log->at, log->n});
    return as_store_step(s, st, "cannot write", err);
}

/* Key order makes neighbours in the tree neighbours in time; of two adds of one item the later wins. */
static int by_key(const void *a, const void *b) {
    const as_pending_item *x = a, *y = b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

as_status as_store_flush(as_store *s, as_err *err) {
    const bool nothing = s->items_n == 0 && s->logs_n == 0;
    if (nothing && (s->held_n == 0 || as_clock() - s->heartbeat_at < HEARTBEAT_SECONDS)) return AS_OK;
    if (s->items_n > 1) qsort(s->items, s->items_n, sizeof *s->items, by_key);
    AS_TRY(as_store_begin(s, err));
    as_status status = AS_OK;
    for (size_t i = 0; status == AS_OK && i < s->items_n; i++) status = write_item(s, &s->items[i], err);
    for (size_t i = 0; status == AS_OK && i < s->logs_n; i++) status = write_log(s, &s->logs[i], err);
    if (status == AS_OK) status = as_store_heartbeats(s, err);
    status = as_store_finish(s, status, err);
    if (status != AS_OK) {
        s->pending_since = as_clock(); /* the next try after another 100 ms, not at every add */
        return status;
    }
    s->items_n = s->logs_n = 0;
    as_buf_clear(&s->bytes);
    return AS_OK;
}

as_status as_store_slices_put(as_store *s, int64_t run, const as_str *json, int64_t n, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, "UPDATE items SET slices = ?3 WHERE run = ?1 AND item = ?2", "cannot write", err));
    as_status status = as_store_begin(s, err);
    const bool begun = status == AS_OK;
    for (int64_t i = 0; status == AS_OK && i < n; i++) {
        sqlite3_bind_int64(st, 1, run);
        sqlite3_bind_int64(st, 2, i);
        as_store_bind_view(st, 3, json[i]);
        status = as_store_step(s, st, "cannot write", err);
    }
    if (begun) status = as_store_finish(s, status, err);
    sqlite3_finalize(st);
    return status;
}

/* ---- reading ---- */

as_status as_store_items_done(as_store *s, int64_t run, uint8_t *done, int64_t n, as_err *err) {
    sqlite3_stmt *st = NULL;
    if (n > 0) memset(done, 0, (size_t)n);
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, "SELECT item FROM items WHERE run = ?1 AND item < ?2", "cannot read items", err));
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, n);
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        const int64_t index = sqlite3_column_int64(st, 0);
        if (index >= 0 && index < n) done[index] = 1;
    }
    const as_status status = rc == SQLITE_DONE ? AS_OK : as_store_fail(s->db, s->path, "cannot read items", err);
    sqlite3_finalize(st);
    return status;
}

static const char items_sql[] =
    "SELECT i.item, i.id, i.cluster, t.content, p.content, i.gold, g.content, i.pred, q.content, i.hash, i.tokens,"
    " i.truncated, v.numbers, i.slices FROM items i"
    " LEFT JOIN texts t ON t.id = i.text LEFT JOIN texts p ON p.id = i.pair"
    " LEFT JOIN texts g ON typeof(i.gold) = 'integer' AND g.id = i.gold"
    " LEFT JOIN texts q ON typeof(i.pred) = 'integer' AND q.id = i.pred"
    " LEFT JOIN item_values v ON v.run = i.run AND v.item = i.item"
    " WHERE i.run = ?1 ORDER BY i.item";

static as_str read_answer(sqlite3_stmt *st, int col) {
    return as_store_column_view(st, sqlite3_column_type(st, col) == SQLITE_INTEGER ? col + 1 : col);
}

/* Values of the row into *values (grown); false when out of memory. */
static bool read_values(sqlite3_stmt *st, int col, double **values, size_t *cap, int *count) {
    const unsigned char *blob = sqlite3_column_blob(st, col);
    const size_t n = (size_t)sqlite3_column_bytes(st, col) / 8;
    *count = (int)n;
    if (n == 0) return true;
    if (!as_grow(values, cap, n, sizeof **values)) return false;
    for (size_t i = 0; i < n; i++) (*values)[i] = get_double(blob + 8 * i);
    return true;
}

as_status as_store_items_each(as_store *s, int64_t run, as_status (*row)(void *ctx, const as_item *item, as_err *err),
                              void *ctx, as_err *err) {
    sqlite3_stmt *st = NULL;
    AS_TRY(as_store_flush(s, err));
    AS_TRY(as_store_prepare(s, &st, items_sql, "cannot read items", err));
    sqlite3_bind_int64(st, 1, run);
    double *values = NULL;
    size_t cap = 0;
    int rc = SQLITE_DONE;
    as_status status = AS_OK;
    while (status == AS_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        char number[24];
        as_item item = {.index = sqlite3_column_int64(st, 0)};
        const int digits = snprintf(number, sizeof number, "%" PRId64, item.index);
        item.id = sqlite3_column_type(st, 1) == SQLITE_NULL ? (as_str){number, (size_t)digits}
                                                            : as_store_column_view(st, 1);
        item.cluster = as_store_column_view(st, 2);
        item.text = as_store_column_view(st, 3);
        if (sqlite3_column_type(st, 4) != SQLITE_NULL) item.pair = as_store_column_view(st, 4);
        item.gold = read_answer(st, 5);
        item.pred = read_answer(st, 7);
        item.hash = (uint64_t)sqlite3_column_int64(st, 9);
        item.tokens = sqlite3_column_int64(st, 10);
        item.truncated = sqlite3_column_int(st, 11) != 0;
        item.slices = as_store_column_view(st, 13);
        if (!read_values(st, 12, &values, &cap, &item.count)) status = as_fail_nomem(err, "item values", cap);
        item.values = values;
        if (status == AS_OK) status = row(ctx, &item, err);
    }
    if (status == AS_OK && rc != SQLITE_DONE) status = as_store_fail(s->db, s->path, "cannot read items", err);
    as_free(values);
    sqlite3_finalize(st);
    return status;
}
