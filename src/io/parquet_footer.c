#include "base/utf8.h"
#include "io/parquet_impl.h"
#include <string.h>

/* The numbers of parquet.thrift. Logical types are the newer way to say what converted types said;
 * where both are given they agree. */
enum {
    LOGICAL_STRING = 1,
    LOGICAL_MAP,
    LOGICAL_LIST,
    LOGICAL_ENUM,
    LOGICAL_DECIMAL,
    LOGICAL_DATE,
    LOGICAL_TIME,
    LOGICAL_TIMESTAMP,
    LOGICAL_INTEGER = 10,
    LOGICAL_UNKNOWN,
    LOGICAL_JSON,
    LOGICAL_BSON,
    LOGICAL_UUID,
    LOGICAL_FLOAT16,
    LOGICAL_INTERVAL = 100 /* known only as a converted type */
};

typedef struct logical {
    int32_t id; /* LOGICAL_STRING.., 0 = none */
    int32_t scale, unit;
    bool is_signed, utc;
} logical;

typedef struct element { /* one SchemaElement */
    as_str name;
    int64_t type, width, repetition, children, converted, scale;
    logical logical;
} element;

/* ---- schema elements ---- */

/* The unit of a time is itself a union of empty structs: 1 milli, 2 micro, 3 nano. */
static int32_t read_unit(as_tc *r) {
    int32_t digits = 0;
    for (as_tc_field f = {0}; as_tc_next(r, &f); as_tc_skip(r, &f))
        digits = f.id >= 1 && f.id <= 3 ? 3 * f.id : -1;
    return digits;
}

static void read_logical(as_tc *r, logical *out) {
    out->is_signed = true;
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        out->id = f.id;
        if (f.type != AS_TC_STRUCT) {
            as_tc_skip(r, &f);
            continue;
        }
        const bool time = f.id == LOGICAL_TIME || f.id == LOGICAL_TIMESTAMP;
        for (as_tc_field g = {0}; as_tc_next(r, &g);) {
            if (f.id == LOGICAL_DECIMAL && g.id == 1)
                out->scale = (int32_t)as_tc_int(r, &g);
            else if (f.id == LOGICAL_INTEGER && g.id == 2)
                out->is_signed = as_tc_bool(r, &g);
            else if (time && g.id == 1)
                out->utc = as_tc_bool(r, &g);
            else if (time && g.id == 2 && g.type == AS_TC_STRUCT)
                out->unit = read_unit(r);
            else
                as_tc_skip(r, &g);
        }
    }
}

static void read_element(as_tc *r, element *e) {
    *e = (element){.type = AS_PQ_GROUP, .converted = -1, .children = -1, .repetition = -1};
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        switch (f.id) {
        case 1:
            e->type = as_tc_int(r, &f);
            break;
        case 2:
            e->width = as_tc_int(r, &f);
            break;
        case 3:
            e->repetition = as_tc_int(r, &f);
            break;
        case 4:
            e->name = as_tc_bytes(r, &f);
            break;
        case 5:
            e->children = as_tc_int(r, &f);
            break;
        case 6:
            e->converted = as_tc_int(r, &f);
            break;
        case 7:
            e->scale = as_tc_int(r, &f);
            break;
        case 10:
            if (f.type == AS_TC_STRUCT)
                read_logical(r, &e->logical);
            else
                as_tc_skip(r, &f);
            break;
        default:
            as_tc_skip(r, &f);
        }
    }
}

/* What a converted type says, as a logical type. */
static logical of_converted(const element *e) {
    static const logical known[] = {
        {LOGICAL_STRING, 0, 0, true, false},   {LOGICAL_MAP, 0, 0, true, false},
        {LOGICAL_MAP, 0, 0, true, false}, /* MAP_KEY_VALUE, as some old writers had it */
        {LOGICAL_LIST, 0, 0, true, false},     {LOGICAL_ENUM, 0, 0, true, false},
        {LOGICAL_DECIMAL, 0, 0, true, false},  {LOGICAL_DATE, 0, 0, true, false},
        {LOGICAL_TIME, 0, 3, true, true},      {LOGICAL_TIME, 0, 6, true, true},
        {LOGICAL_TIMESTAMP, 0, 3, true, true}, {LOGICAL_TIMESTAMP, 0, 6, true, true},
        {LOGICAL_INTEGER, 0, 0, false, false}, {LOGICAL_INTEGER, 0, 0, false, false},
        {LOGICAL_INTEGER, 0, 0, false, false}, {LOGICAL_INTEGER, 0, 0, false, false},
        {LOGICAL_INTEGER, 0, 0, true, false},  {LOGICAL_INTEGER, 0, 0, true, false},
        {LOGICAL_INTEGER, 0, 0, true, false},  {LOGICAL_INTEGER, 0, 0, true, false},
        {LOGICAL_JSON, 0, 0, true, false},     {LOGICAL_BSON, 0, 0, true, false},
        {LOGICAL_INTERVAL, 0, 0, true, false},
    };
    if (e->converted < 0 || e->converted >= (int64_t)AS_COUNT(known)) return (logical){0};
    logical out = known[e->converted];
    if (out.id == LOGICAL_DECIMAL)
        out.scale = e->scale >= INT16_MIN && e->scale <= INT16_MAX ? (int32_t)e->scale : -1;
    return out;
}

/* ---- leaves ---- */

static const char refuse_hint[] = "Leave the column out, or write it as text or as a number, for "
                                  "example with pyarrow or duckdb.";

static as_status refuse_type(const as_pq *q, uint32_t node, const char *what) {
    return as_pq_refuse(q, node, refuse_hint, "%s is not read", what);
}

static as_status decimal_leaf(const as_pq *q, uint32_t at, const logical *l) {
    as_pq_node *const n = &q->nodes[at];
    if (n->type == AS_PQ_FIXED && n->width > 16)
        return refuse_type(q, at, "a decimal of more than 38 digits");
    if (n->type != AS_PQ_INT32 && n->type != AS_PQ_INT64 && n->type != AS_PQ_BYTES &&
        n->type != AS_PQ_FIXED)
        return as_pq_fail(q, at, "a decimal of a type that holds none");
    if (l->scale < 0 || l->scale > 38)
        return as_pq_fail(q, at, "a decimal with %d digits behind its point", (int)l->scale);
    n->kind = AS_PQ_DECIMAL;
    n->scale = l->scale;
    return ASSAY_OK;
}

static as_status time_leaf(const as_pq *q, uint32_t at, const logical *l) {
    as_pq_node *const n = &q->nodes[at];
    const bool fits =
        l->id == LOGICAL_TIME && l->unit == 3 ? n->type == AS_PQ_INT32 : n->type == AS_PQ_INT64;
    if (!fits || l->unit <= 0) return as_pq_fail(q, at, "a time of a type that holds none");
    n->kind = l->id == LOGICAL_TIME ? AS_PQ_TIME : AS_PQ_STAMP;
    n->scale = l->unit;
    n->utc = l->utc;
    return ASSAY_OK;
}

/* How values of the physical type are shown when nothing else is said. */
static as_status plain_leaf(const as_pq *q, uint32_t at) {
    as_pq_node *const n = &q->nodes[at];
    static const as_pq_kind kinds[] = {AS_PQ_BOOL, AS_PQ_INT,  AS_PQ_INT,  AS_PQ_INT,
                                       AS_PQ_REAL, AS_PQ_REAL, AS_PQ_TEXT, AS_PQ_TEXT};
    if (n->type == AS_PQ_INT96)
        return as_pq_refuse(q, at,
                            "Write the file again with timestamps of 64 bits: in Spark "
                            "outputTimestampType is TIMESTAMP_MICROS.",
                            "INT96, a time as old writers have it, is not read");
    n->kind = kinds[n->type];
    return ASSAY_OK;
}

static as_status set_leaf(const as_pq *q, uint32_t at, const element *e) {
    as_pq_node *const n = &q->nodes[at];
    const logical l = e->logical.id != 0 ? e->logical : of_converted(e);
    if (n->type == AS_PQ_FIXED && (e->width < 1 || e->width > INT32_MAX))
        return as_pq_fail(q, at, "a fixed length that is no length");
    n->width = n->type == AS_PQ_FIXED ? (int32_t)e->width : 0;
    AS_TRY(plain_leaf(q, at));
    switch (l.id) {
    case LOGICAL_DECIMAL:
        return decimal_leaf(q, at, &l);
    case LOGICAL_TIME:
    case LOGICAL_TIMESTAMP:
        return time_leaf(q, at, &l);
    case LOGICAL_DATE:
        if (n->type != AS_PQ_INT32) return as_pq_fail(q, at, "a date of a type that holds none");
        n->kind = AS_PQ_DATE;
        return ASSAY_OK;
    case LOGICAL_INTEGER:
        if (!l.is_signed && n->kind == AS_PQ_INT) n->kind = AS_PQ_UINT;
        return ASSAY_OK;
    case LOGICAL_UUID:
        if (n->width != 16) return as_pq_fail(q, at, "a UUID that has not 16 bytes");
        n->kind = AS_PQ_UUID;
        return ASSAY_OK;
    case LOGICAL_FLOAT16:
        if (n->width != 2) return as_pq_fail(q, at, "a half-precision real that has not 2 bytes");
        n->kind = AS_PQ_HALF;
        return ASSAY_OK;
    case LOGICAL_BSON:
        return refuse_type(q, at, "BSON");
    case LOGICAL_INTERVAL:
        return refuse_type(q, at, "an interval");
    case 0:
    case LOGICAL_STRING:
    case LOGICAL_ENUM:
    case LOGICAL_UNKNOWN:
    case LOGICAL_JSON:
        return ASSAY_OK;
    default:
        return refuse_type(q, at, "its logical type");
    }
}

/* ---- the tree ---- */

/* Of a list, which node is an element: the field inside the repeated group, or, as older writers
 * had it, the repeated node itself. */
static uint32_t element_of(const as_pq *q, uint32_t list, uint32_t repeated) {
    const as_pq_node *const r = &q->nodes[repeated];
    if (r->type != AS_PQ_GROUP || r->children != 1 || r->is_list) return repeated;
    if (q->nodes[repeated + 1].repetition == AS_PQ_REPEATED) return repeated;
    const as_str outer = q->nodes[list].name;
    if (as_str_is(r->name, "array")) return repeated;
    if (r->name.n == outer.n + 6 && memcmp(r->name.p, outer.p, outer.n) == 0 &&
        memcmp(r->name.p + outer.n, "_tuple", 6) == 0)
        return repeated;
    return repeated + 1;
}

static as_status check_element(const as_pq *q, const element *e, uint32_t at) {
    if (as_utf8_valid_prefix(e->name.p, e->name.n) != e->name.n)
        return as_pq_fail(q, AS_PQ_NO_NODE, "a column's name is not valid UTF-8");
    if (at == 0) return ASSAY_OK;
    if (e->repetition < AS_PQ_REQUIRED || e->repetition > AS_PQ_REPEATED)
        return as_pq_fail(q, at, "neither required, optional nor repeated");
    if (e->type < AS_PQ_BOOLEAN || e->type > AS_PQ_GROUP)
        return as_pq_fail(q, at, "a type that does not exist");
    if (e->type == AS_PQ_GROUP && e->children <= 0)
        return as_pq_fail(q, at, "a group without fields");
    return ASSAY_OK;
}

/* Read the element at the reader's place and its subtree. */
static as_status read_node(as_pq *q, as_tc *r, size_t *left, uint32_t parent, int depth) {
    element e;
    if (*left == 0 || depth > AS_PQ_MAX_DEPTH)
        return as_pq_fail(q, AS_PQ_NO_NODE,
                          *left == 0 ? "the schema is cut short"
                                     : "the schema is nested too deeply");
    *left -= 1;
    read_element(r, &e);
    if (r->bad) return as_pq_fail(q, AS_PQ_NO_NODE, "the schema is malformed");
    const uint32_t at = (uint32_t)q->node_count;
    if (!as_grow(&q->nodes, &q->node_cap, q->node_count + 1, sizeof *q->nodes))
        return as_pq_nomem(q);
    as_pq_node n = {.name = e.name, .type = AS_PQ_GROUP, .parent = parent, .element = at};
    n.first_leaf = (uint32_t)q->leaf_count;
    if (at > 0) {
        n.repetition = (uint8_t)e.repetition;
        n.def = (uint8_t)(q->nodes[parent].def + (e.repetition != AS_PQ_REQUIRED));
        n.rep = (uint8_t)(q->nodes[parent].rep + (e.repetition == AS_PQ_REPEATED));
    }
    q->nodes[q->node_count++] = n;
    AS_TRY(check_element(q, &e, at));
    if (at > 0 && e.type != AS_PQ_GROUP) {
        if (!as_grow(&q->leaves, &q->leaf_cap, q->leaf_count + 1, sizeof *q->leaves))
            return as_pq_nomem(q);
        q->leaves[q->leaf_count++] = at;
        q->nodes[at].type = (as_pq_type)e.type;
        AS_TRY(as_pq_put_aside(q, at, set_leaf(q, at, &e)));
    }
    const int64_t children = q->nodes[at].type == AS_PQ_GROUP ? e.children : 0;
    const int32_t id = e.logical.id != 0 ? e.logical.id : of_converted(&e).id;
    q->nodes[at].is_list = at > 0 && children == 1 && (id == LOGICAL_LIST || id == LOGICAL_MAP);
    for (int64_t i = 0; i < children; i++)
        AS_TRY(read_node(q, r, left, at, depth + 1));
    as_pq_node *const done = &q->nodes[at];
    done->children = (uint32_t)(children > 0 ? children : 0);
    done->next = (uint32_t)q->node_count;
    done->leaf_count = (uint32_t)(q->leaf_count - done->first_leaf);
    if (done->is_list && q->nodes[at + 1].repetition != AS_PQ_REPEATED) done->is_list = false;
    if (done->is_list && id == LOGICAL_LIST) q->nodes[at + 1].element = element_of(q, at, at + 1);
    return ASSAY_OK;
}

static as_status read_schema(as_pq *q, as_tc *r, const as_tc_field *f) {
    size_t left = as_tc_structs(r, f);
    if (q->node_count > 0) return as_pq_fail(q, AS_PQ_NO_NODE, "two schemas");
    if (r->bad || left == 0) return as_pq_fail(q, AS_PQ_NO_NODE, "the schema is malformed");
    AS_TRY(read_node(q, r, &left, 0, 0));
    return left == 0 ? ASSAY_OK : as_pq_fail(q, AS_PQ_NO_NODE, "the schema has loose ends");
}

/* ---- row groups ---- */

/* ColumnMetaData. */
static void read_chunk_meta(as_tc *r, as_pq_chunk *c) {
    int64_t dictionary = 0;
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        if (f.id == 1)
            c->type = as_tc_int(r, &f);
        else if (f.id == 4)
            c->codec = as_tc_int(r, &f);
        else if (f.id == 5)
            c->values = as_tc_int(r, &f);
        else if (f.id == 9)
            c->at = as_tc_int(r, &f);
        else if (f.id == 11)
            dictionary = as_tc_int(r, &f);
        else
            as_tc_skip(r, &f);
    }
    if (dictionary > 0 && dictionary < c->at) c->at = dictionary; /* some writers say 0 for none */
}

static as_status read_chunk(as_pq *q, as_tc *r) {
    as_pq_chunk c = {.type = -1, .codec = -1, .values = -1, .at = -1};
    bool elsewhere = false, encrypted = false;
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        if (f.id == 3 && f.type == AS_TC_STRUCT) {
            read_chunk_meta(r, &c);
            continue;
        }
        elsewhere |= f.id == 1;
        encrypted |= f.id == 8 || f.id == 9;
        as_tc_skip(r, &f);
    }
    if (r->bad) return as_pq_fail(q, AS_PQ_NO_NODE, "the list of row groups is malformed");
    if (elsewhere || encrypted)
        return as_pq_refuse(
            q, AS_PQ_NO_NODE, "Write the file again, in one piece and not encrypted.",
            elsewhere ? "its columns lie in other files" : "its columns are encrypted");
    if (!as_grow(&q->chunks, &q->chunk_cap, q->chunk_count + 1, sizeof *q->chunks))
        return as_pq_nomem(q);
    q->chunks[q->chunk_count++] = c;
    return ASSAY_OK;
}

static as_status read_group(as_pq *q, as_tc *r) {
    as_pq_group g = {.rows = -1, .chunks = q->chunk_count};
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        if (f.id == 1)
            for (size_t n = as_tc_structs(r, &f); n > 0; n--)
                AS_TRY(read_chunk(q, r));
        else if (f.id == 3)
            g.rows = as_tc_int(r, &f);
        else
            as_tc_skip(r, &f);
    }
    if (r->bad || g.rows < 0)
        return as_pq_fail(q, AS_PQ_NO_NODE, "the list of row groups is malformed");
    if (!as_grow(&q->groups, &q->group_cap, q->group_count + 1, sizeof *q->groups))
        return as_pq_nomem(q);
    q->groups[q->group_count++] = g;
    return ASSAY_OK;
}

/* The schema may follow the row groups: what depends on both is checked at the end. */
static as_status check_groups(as_pq *q) {
    uint64_t rows = 0;
    for (q->group = 1; q->group <= q->group_count; q->group++) {
        const as_pq_group *const g = &q->groups[q->group - 1];
        const size_t end = q->group < q->group_count ? q->groups[q->group].chunks : q->chunk_count;
        if (end - g->chunks != q->leaf_count)
            return as_pq_fail(q, AS_PQ_NO_NODE, "row group %zu has %zu columns, the schema %zu",
                              q->group, end - g->chunks, q->leaf_count);
        if (!as_add_u64(rows, (uint64_t)g->rows, &rows) || rows > INT64_MAX)
            return as_pq_fail(q, AS_PQ_NO_NODE, "more rows than can be counted");
        for (size_t i = 0; i < q->leaf_count; i++) {
            const as_pq_chunk *const c = &q->chunks[g->chunks + i];
            const as_pq_node *const leaf = &q->nodes[q->leaves[i]];
            if (c->type != (int64_t)leaf->type)
                return as_pq_fail(q, q->leaves[i], "another type than in the schema");
            if (c->values < 0 || (leaf->rep == 0 && c->values != g->rows))
                return as_pq_fail(q, q->leaves[i], "not as many values as rows");
            if (c->values > 0 && (c->at < 4 || (uint64_t)c->at >= q->data_end))
                return as_pq_fail(q, q->leaves[i], "lies outside the file");
        }
    }
    q->group = 0;
    if ((int64_t)rows != q->rows)
        return as_pq_fail(q, AS_PQ_NO_NODE, "the row groups do not add up to the number of rows");
    return ASSAY_OK;
}

static as_status read_metadata(as_pq *q, as_tc *r) {
    q->rows = -1;
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        if (f.id == 2)
            AS_TRY(read_schema(q, r, &f));
        else if (f.id == 3)
            q->rows = as_tc_int(r, &f);
        else if (f.id == 4)
            for (size_t n = as_tc_structs(r, &f); n > 0; n--)
                AS_TRY(read_group(q, r));
        else
            as_tc_skip(r, &f);
    }
    if (r->bad) return as_pq_fail(q, AS_PQ_NO_NODE, "the footer is malformed");
    if (q->node_count == 0 || q->rows < 0)
        return as_pq_fail(q, AS_PQ_NO_NODE, "the footer is not complete");
    return check_groups(q);
}

/* PAR1, the data, the footer, its length in 4 bytes, PAR1. */
as_status as_pq_read_footer(as_pq *q) {
    const as_buf *const text = &q->t->text;
    if (text->n >= 8 && memcmp(text->p + text->n - 4, "PARE", 4) == 0)
        return as_pq_refuse(q, AS_PQ_NO_NODE, "Write it again without encryption.",
                            "its footer is encrypted");
    if (text->n < 12 || memcmp(text->p, "PAR1", 4) != 0)
        return as_pq_refuse(q, AS_PQ_NO_NODE, "Such a file begins and ends with PAR1.",
                            "not a Parquet file");
    if (memcmp(text->p + text->n - 4, "PAR1", 4) != 0)
        return as_pq_fail(q, AS_PQ_NO_NODE, "the file does not end as a Parquet file does");
    const uint8_t *const end = q->p + text->n - 8;
    const uint64_t n =
        end[0] | (uint64_t)end[1] << 8 | (uint64_t)end[2] << 16 | (uint64_t)end[3] << 24;
    if (n > text->n - 12) return as_pq_fail(q, AS_PQ_NO_NODE, "the footer is longer than the file");
    q->data_end = text->n - 8 - (size_t)n;
    as_tc r = {q->p + q->data_end, end, false};
    return read_metadata(q, &r);
}
