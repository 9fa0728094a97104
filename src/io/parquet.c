/* parquet.c: Parquet files as tables. The columns of the table are those of the top level; a list,
 * a struct or a map is shown as JSON, as JSONL would have it: a map as the list of its pairs, with
 * "key" and "value". */
#include "io/parquet_impl.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ---- */

/* "a.b.c", as far as it fits. */
static void path_of(const as_pq *q, uint32_t node, char out[200]) {
    uint32_t chain[AS_PQ_MAX_DEPTH + 2];
    size_t depth = 0, n = 0;
    for (; node != AS_PQ_NO_NODE && depth < AS_COUNT(chain); node = q->nodes[node].parent)
        chain[depth++] = node;
    out[0] = '\0';
    while (depth > 0 && n < 190) {
        const as_str name = q->nodes[chain[--depth]].name;
        const int most = name.n < 190 - n ? (int)name.n : (int)(190 - n);
        n += (size_t)snprintf(out + n, 200 - n, "%s%.*s", n > 0 ? "." : "", most, name.p);
    }
}

static as_status fail(const as_pq *q, uint32_t node, const char *hint, const char *fmt,
                      va_list args) {
    char what[400], path[200], group[40] = "";
    vsnprintf(what, sizeof what, fmt, args);
    path_of(q, node, path);
    if (q->group > 0) snprintf(group, sizeof group, ", row group %zu", q->group);
    if (node != AS_PQ_NO_NODE)
        as_fail(q->err, ASSAY_FORMAT, "%s: column \"%s\"%s: %s", q->t->where, path, group, what);
    else
        as_fail(q->err, ASSAY_FORMAT, "%s: %s", q->t->where, what);
    as_hint(q->err, "%s", hint);
    return ASSAY_FORMAT;
}

as_status as_pq_fail(const as_pq *q, uint32_t node, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fail(q, node, "The file is cut short or damaged; fetch or write it again.", fmt, args);
    va_end(args);
    return ASSAY_FORMAT;
}

as_status as_pq_refuse(const as_pq *q, uint32_t node, const char *hint, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fail(q, node, hint, fmt, args);
    va_end(args);
    *q->refused = node != AS_PQ_NO_NODE;
    return ASSAY_FORMAT;
}

bool as_pq_is_aside(const as_pq *q, uint32_t top) {
    for (size_t i = 0; i < q->refusal_count; i++)
        if (q->refusals[i].node == top) return true;
    return false;
}

as_status as_pq_put_aside(as_pq *q, uint32_t node, as_status status) {
    if (status == ASSAY_OK || !*q->refused) return status;
    *q->refused = false;
    while (q->nodes[node].parent != AS_PQ_NO_NODE)
        node = q->nodes[node].parent;
    if (as_pq_is_aside(q, node)) return ASSAY_OK; /* the first reason is told */
    const as_err why = *q->err;
    AS_TRY(as_pq_charge(q, 2 * sizeof *q->refusals)); /* twice: the table has a copy of each */
    if (q->refusal_count >= 4096)
        return status; /* each further column would be compared with all of these */
    if (!as_grow(&q->refusals, &q->refusal_cap, q->refusal_count + 1, sizeof *q->refusals))
        return as_pq_nomem(q);
    q->refusals[q->refusal_count++] = (as_pq_refusal){node, why};
    *q->err = (as_err){0};
    return ASSAY_OK;
}

/* ---- memory ---- */

as_status as_pq_nomem(const as_pq *q) {
    as_fail(q->err, ASSAY_NOMEM, "%s: needs more memory than there is", q->t->where);
    as_hint(q->err, "Read a part of it with --limit, or cut it into parts.");
    return ASSAY_NOMEM;
}

as_status as_pq_charge(as_pq *q, uint64_t bytes) {
    if (bytes > q->budget) return as_pq_nomem(q);
    q->budget -= bytes;
    return ASSAY_OK;
}

char *as_pq_take(as_pq *q, as_pq_pool *pool, size_t n) {
    enum { SMALL = 64 << 10 };
    as_table_block *b = pool->first;
    if (b == NULL || b->cap - b->used < n) {
        const size_t cap = n < SMALL / 4 ? SMALL : n;
        if (cap > q->budget || cap > SIZE_MAX - sizeof *b) return NULL;
        as_table_block *const fresh = as_alloc(sizeof *b + cap, 1);
        if (fresh == NULL) return NULL;
        q->budget -= cap;
        fresh->used = 0;
        fresh->cap = cap;
        if (b != NULL && cap != SMALL) { /* full at once: the open one stays first */
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            pool->first = fresh;
        }
        b = fresh;
    }
    b->used += n;
    return b->bytes + b->used - n;
}

void as_pq_pool_free(as_pq *q, as_pq_pool *pool) {
    for (as_table_block *b = pool->first, *next; b != NULL; b = next) {
        next = b->next;
        q->budget += b->cap;
        as_free(b);
    }
    pool->first = NULL;
}

/* ---- lists and structs ---- */

/* A top-level column that is more than one value a row: the leaves below it, read side by side. */
typedef struct nest {
    as_pq *q;
    as_pq_column *columns; /* of the leaves first_leaf.. */
    uint32_t first_leaf, leaf_count;
    as_buf json; /* of one row */
} nest;

static as_pq_column *column_of(const nest *s, uint32_t leaf) {
    return &s->columns[leaf - s->first_leaf];
}

static as_status disagree(const nest *s, uint32_t node) {
    return as_pq_fail(s->q, node, "its parts do not have the same shape");
}

/* Whether another repetition at level `rep` follows; all leaves below must say the same. */
static as_status follows(const nest *s, uint32_t node, unsigned rep, bool *out) {
    const as_pq_node *const n = &s->q->nodes[node];
    for (uint32_t i = 0; i < n->leaf_count; i++) {
        const as_pq_column *const c = column_of(s, n->first_leaf + i);
        const bool more = c->entry < c->entries && c->rep[c->entry] == rep;
        if (i > 0 && more != *out) return disagree(s, node);
        *out = more;
    }
    return ASSAY_OK;
}

/* Whether the value is there at level `def`. If not, it takes one entry of every leaf below. */
static as_status is_there(const nest *s, uint32_t node, unsigned def, bool *out) {
    const as_pq_node *const n = &s->q->nodes[node];
    uint8_t level = 0;
    for (uint32_t i = 0; i < n->leaf_count; i++) {
        const as_pq_column *const c = column_of(s, n->first_leaf + i);
        if (c->entry >= c->entries) return disagree(s, node);
        if (i == 0)
            level = c->def[c->entry];
        else if ((c->def[c->entry] >= def) != (level >= def) ||
                 (level < def && c->def[c->entry] != level))
            return disagree(s, node);
    }
    *out = level >= def;
    for (uint32_t i = 0; i < n->leaf_count && !*out; i++)
        column_of(s, n->first_leaf + i)->entry++;
    return ASSAY_OK;
}

static as_status write_content(nest *s, uint32_t node);

static as_status write_leaf(nest *s, uint32_t node) {
    const as_pq_node *const n = &s->q->nodes[node];
    as_pq_column *const c = column_of(s, n->first_leaf);
    if (c->entry >= c->entries || c->def[c->entry] != n->def || c->next_value >= c->values)
        return disagree(s, node);
    const as_str text = c->value[c->next_value++].s;
    c->entry++;
    if (as_pq_quoted(n))
        as_buf_json_str(&s->json, text);
    else
        as_buf_add(&s->json, text.p, text.n);
    return s->json.failed || s->json.n > s->q->budget ? as_pq_nomem(s->q) : ASSAY_OK;
}

static as_status write_node(nest *s, uint32_t node);

static as_status write_repeated(nest *s, uint32_t node) {
    const as_pq_node *const n = &s->q->nodes[node];
    bool more;
    AS_TRY(is_there(s, node, n->def, &more));
    as_buf_char(&s->json, '[');
    for (bool first = true; more; first = false) {
        if (!first) as_buf_char(&s->json, ',');
        AS_TRY(n->element == node ? write_content(s, node) : write_node(s, n->element));
        AS_TRY(follows(s, node, n->rep, &more));
        if (s->json.failed || s->json.n > s->q->budget) return as_pq_nomem(s->q);
    }
    as_buf_char(&s->json, ']');
    return ASSAY_OK;
}

/* What a node holds once it is known to be there. */
static as_status write_content(nest *s, uint32_t node) {
    const as_pq_node *const n = &s->q->nodes[node];
    if (n->type != AS_PQ_GROUP) return write_leaf(s, node);
    if (n->is_list) return write_repeated(s, node + 1);
    uint32_t child = node + 1;
    as_buf_char(&s->json, '{');
    for (uint32_t i = 0; i < n->children; i++) {
        if (i > 0) as_buf_char(&s->json, ',');
        as_buf_json_str(&s->json, s->q->nodes[child].name);
        as_buf_char(&s->json, ':');
        AS_TRY(write_node(s, child));
        child = s->q->nodes[child].next;
    }
    as_buf_char(&s->json, '}');
    return ASSAY_OK;
}

static as_status write_node(nest *s, uint32_t node) {
    const as_pq_node *const n = &s->q->nodes[node];
    bool there = true;
    if (n->repetition == AS_PQ_REPEATED) return write_repeated(s, node);
    if (n->repetition == AS_PQ_OPTIONAL) AS_TRY(is_there(s, node, n->def, &there));
    if (there) return write_content(s, node);
    as_buf_str(&s->json, "null");
    return ASSAY_OK;
}

/* The cell of the next row; p == NULL for null. */
static as_status write_row(nest *s, uint32_t node, as_pq_pool *cells, as_str *cell) {
    const as_pq_node *const n = &s->q->nodes[node];
    bool good = false, there = true;
    as_buf_clear(&s->json);
    AS_TRY(follows(s, node, 0, &good));
    if (!good) return disagree(s, node);
    if (n->repetition == AS_PQ_OPTIONAL) AS_TRY(is_there(s, node, n->def, &there));
    *cell = (as_str){NULL, 0};
    if (!there) return ASSAY_OK;
    AS_TRY(n->repetition == AS_PQ_REPEATED ? write_repeated(s, node) : write_content(s, node));
    char *const p = s->json.failed ? NULL : as_pq_take(s->q, cells, s->json.n);
    if (p == NULL) return as_pq_nomem(s->q);
    memcpy(p, s->json.p, s->json.n);
    *cell = (as_str){p, s->json.n};
    return ASSAY_OK;
}

/* Read pages until `rows` whole rows are there, or the chunk ends. */
static as_status read_rows(as_pq *q, as_pq_column *c, int64_t rows) {
    bool more = true;
    int64_t begun = 0;
    for (size_t seen = 0; more && begun <= rows;) {
        AS_TRY(as_pq_next_page(q, c, &more));
        for (; seen < c->entries; seen++)
            begun += c->rep[seen] == 0;
    }
    return ASSAY_OK;
}

/* ---- columns of a row group ---- */

/* Where the rows of this group go. */
typedef struct place {
    const as_pq_group *group;
    as_str *cells; /* of the first row and the column; the next row is t->cols further */
    int64_t rows;  /* wanted */
    as_pq_pool *pool;
} place;

static as_status read_nested(as_pq *q, uint32_t node, const place *to) {
    const as_pq_node *const n = &q->nodes[node];
    nest s = {.q = q, .first_leaf = n->first_leaf, .leaf_count = n->leaf_count};
    as_pq_pool texts = {0};
    s.columns = as_calloc(n->leaf_count, sizeof *s.columns);
    as_status status = s.columns != NULL ? ASSAY_OK : as_pq_nomem(q);
    for (uint32_t i = 0; i < n->leaf_count && status == ASSAY_OK; i++) {
        const as_pq_chunk *const chunk = &q->chunks[to->group->chunks + n->first_leaf + i];
        s.columns[i] = (as_pq_column){.node = q->leaves[n->first_leaf + i],
                                      .chunk = chunk,
                                      .at = (size_t)chunk->at,
                                      .texts = &texts};
        status = read_rows(q, &s.columns[i], to->rows);
    }
    for (int64_t row = 0; row < to->rows && status == ASSAY_OK; row++)
        status = write_row(&s, node, to->pool, &to->cells[(size_t)row * q->t->cols]);
    bool rest = false; /* what is left begins with a row of its own, or the levels make no rows */
    if (status == ASSAY_OK) status = follows(&s, node, 0, &rest);
    const as_pq_column *const first = s.columns;
    if (status == ASSAY_OK && (first->entry < first->entries) != rest) status = disagree(&s, node);
    if (status == ASSAY_OK && rest && to->rows == to->group->rows)
        status = as_pq_fail(q, node, "more rows than its row group");
    for (uint32_t i = 0; i < n->leaf_count && s.columns != NULL; i++)
        as_pq_column_free(q, &s.columns[i]);
    as_free(s.columns);
    as_pq_pool_free(q, &texts);
    as_buf_free(&s.json);
    return status;
}

static as_status read_flat(as_pq *q, uint32_t node, const place *to) {
    const as_pq_node *const n = &q->nodes[node];
    const as_pq_chunk *const chunk = &q->chunks[to->group->chunks + n->first_leaf];
    as_pq_column c = {.node = node, .chunk = chunk, .at = (size_t)chunk->at, .texts = to->pool};
    as_status status = ASSAY_OK;
    bool more = true;
    for (int64_t row = 0; row < to->rows && status == ASSAY_OK;) {
        status = as_pq_next_page(q, &c, &more);
        if (status == ASSAY_OK && !more) status = as_pq_fail(q, node, "fewer values than rows");
        size_t value = 0;
        for (size_t i = 0; i < c.entries && status == ASSAY_OK && row < to->rows; i++, row++)
            to->cells[(size_t)row * q->t->cols] =
                c.def[i] == n->def ? c.value[value++].s : (as_str){NULL, 0};
        as_pq_column_clear(q, &c);
    }
    as_pq_column_free(q, &c);
    return status;
}

/* ---- the table ---- */

static as_status set_names(as_pq *q) {
    as_table *const t = q->t;
    const as_pq_node *const nodes = q->nodes;
    size_t bytes = 0;
    for (uint32_t i = 1; i < q->node_count; i = nodes[i].next)
        as_buf_add(&t->made, nodes[i].name.p, nodes[i].name.n);
    if (t->made.failed) return as_pq_nomem(q);
    for (uint32_t i = 1; i < q->node_count; i = nodes[i].next) { /* the buffer grows no more */
        if (t->cols >= AS_TABLE_MAX_COLS)
            return as_pq_fail(q, AS_PQ_NO_NODE, "more than %d columns", AS_TABLE_MAX_COLS);
        const as_str name = {nodes[i].name.n > 0 ? t->made.p + bytes : "", nodes[i].name.n};
        bytes += name.n;
        if (!as_table_push_name(t, name)) return as_pq_nomem(q);
    }
    return ASSAY_OK;
}

static as_status make_cells(as_pq *q, int64_t rows) {
    as_table *const t = q->t;
    uint64_t cells, bytes, lines;
    if (!as_mul_u64((uint64_t)rows, t->cols, &cells) ||
        !as_mul_u64(cells, sizeof *t->cells, &bytes) ||
        !as_mul_u64((uint64_t)rows, sizeof *t->row_line, &lines) ||
        !as_add_u64(bytes, lines, &bytes))
        return as_pq_nomem(q);
    AS_TRY(as_pq_charge(q, bytes));
    t->cells = as_calloc((size_t)cells, sizeof *t->cells);
    t->row_line = as_alloc((size_t)rows, sizeof *t->row_line);
    if (t->cells == NULL || t->row_line == NULL) return as_pq_nomem(q);
    t->cell_count = t->cell_cap = (size_t)cells;
    t->rows = t->line_cap = (size_t)rows;
    for (int64_t i = 0; i < rows; i++)
        t->row_line[i] = i + 1;
    return ASSAY_OK;
}

static as_status fail_empty(const as_pq *q) {
    as_fail(q->err, ASSAY_FORMAT, "%s: no %s", q->t->where,
            q->leaf_count > 0 ? "records" : "columns");
    as_hint(q->err, "The file is sound, but empty.");
    return ASSAY_FORMAT;
}

static as_status read_group(as_pq *q, const as_pq_group *group, size_t first, int64_t rows,
                            as_pq_pool *pool) {
    size_t col = 0;
    for (uint32_t i = 1; i < q->node_count; i = q->nodes[i].next, col++) {
        const as_pq_node *const n = &q->nodes[i];
        const place to = {group, q->t->cells + first * q->t->cols + col, rows, pool};
        if (as_pq_is_aside(q, i)) continue;
        const bool nested = n->type == AS_PQ_GROUP || n->repetition == AS_PQ_REPEATED;
        const as_status status = nested ? read_nested(q, i, &to) : read_flat(q, i, &to);
        AS_TRY(as_pq_put_aside(q, i, status));
    }
    return ASSAY_OK;
}

static as_status read_all(as_pq *q, int64_t limit, as_pq_pool *pool) {
    AS_TRY(as_pq_read_footer(q));
    const int64_t rows = limit > 0 && limit < q->rows ? limit : q->rows;
    if (rows == 0 || q->leaf_count == 0) return fail_empty(q);
    AS_TRY(set_names(q));
    AS_TRY(make_cells(q, rows));
    int64_t done = 0;
    for (q->group = 1; q->group <= q->group_count && done < rows; q->group++) {
        const as_pq_group *const g = &q->groups[q->group - 1];
        const int64_t want = g->rows < rows - done ? g->rows : rows - done;
        if (want > 0) AS_TRY(read_group(q, g, (size_t)done, want, pool));
        done += want;
    }
    return ASSAY_OK;
}

/* Why columns are not read, to the table, by their place in it. */
static as_status tell_refusals(as_pq *q) {
    if (q->refusal_count == 0) return ASSAY_OK;
    AS_TRY(as_pq_charge(q, q->t->cols * (uint64_t)sizeof *q->t->refused));
    if (!(q->t->refused = as_calloc(q->t->cols, sizeof *q->t->refused))) return as_pq_nomem(q);
    size_t col = 0;
    for (uint32_t i = 1; i < q->node_count; i = q->nodes[i].next, col++)
        for (size_t k = 0; k < q->refusal_count; k++)
            if (q->refusals[k].node == i) q->t->refused[col] = q->refusals[k].err;
    return ASSAY_OK;
}

as_status as_parquet_parse(as_table *t, const as_table_opts *opts, uint64_t budget, as_err *err) {
    as_err local = {0}; /* what is refused is kept, also when nobody asks for errors */
    bool refused = false;
    as_pq q = {.t = t,
               .p = (const uint8_t *)t->text.p,
               .budget = budget,
               .err = err != NULL ? err : &local,
               .refused = &refused};
    as_pq_pool pool = {0};
    q.lossy = opts->encoding == AS_UTF8_LOSSY;
    as_status status = read_all(&q, opts->limit, &pool);
    if (status == ASSAY_OK) status = tell_refusals(&q);
    t->blocks = pool.first;
    if (status == ASSAY_OK && !q.views) as_buf_free(&t->text);
    as_free(q.nodes);
    as_free(q.leaves);
    as_free(q.groups);
    as_free(q.chunks);
    as_free(q.refusals);
    return status;
}
