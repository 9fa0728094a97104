/* parquet_impl.h: what the parts of the Parquet reader share. Only they include it.
 *   parquet_thrift.c  the compact protocol, and page headers in it
 *   parquet_footer.c  the schema as a tree with levels, row groups, column chunks
 *   parquet_column.c  one column chunk: pages, dictionaries, levels
 *   parquet_codec.c   unpacking a page
 *   parquet_values.c  the encodings: bytes to values
 *   parquet_text.c    values to the text of cells
 *   parquet.c         columns to a table; lists and structs to JSON
 * Every size in a file is checked against the bytes at hand before it is used, and whatever is
 * allocated is charged to one budget, since a file of 1 kB can claim any number of rows. */
#ifndef AS_IO_PARQUET_IMPL_H
#define AS_IO_PARQUET_IMPL_H

#include "io/table_impl.h"

/* ---- the compact protocol: after a malformed byte `bad` is set, and all reads give zero ---- */

typedef struct as_tc {
    const uint8_t *p, *end;
    bool bad;
} as_tc;
typedef struct as_tc_field {
    int32_t id;
    uint8_t type;
} as_tc_field; /* zero before the first field of a struct */

enum { AS_TC_STRUCT = 12 };
/* The next field of the struct; false behind its last one. The caller reads or skips its value. */
bool as_tc_next(as_tc *r, as_tc_field *f);
void as_tc_skip(as_tc *r, const as_tc_field *f);
int64_t as_tc_int(as_tc *r, const as_tc_field *f);
bool as_tc_bool(as_tc *r, const as_tc_field *f);
as_str as_tc_bytes(as_tc *r, const as_tc_field *f); /* a view */
/* The elements of a list, which must be structs. Each takes at least one byte. */
size_t as_tc_structs(as_tc *r, const as_tc_field *f);
bool as_tc_varint(const uint8_t **p, const uint8_t *end, uint64_t *out);
static inline int64_t as_unzigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

enum { AS_PQ_DATA, AS_PQ_INDEX, AS_PQ_DICTIONARY, AS_PQ_DATA_V2 };
typedef struct as_pq_page {
    int64_t type, size, packed, crc, values, encoding, def_encoding, rep_encoding, def_bytes,
        rep_bytes;
    bool has_crc, has_header, plain; /* plain: not packed, whatever the codec */
} as_pq_page;
void as_pq_page_header(as_tc *r, as_pq_page *page);

/* ---- the footer ---- */

typedef enum as_pq_type {
    AS_PQ_BOOLEAN,
    AS_PQ_INT32,
    AS_PQ_INT64,
    AS_PQ_INT96,
    AS_PQ_FLOAT,
    AS_PQ_DOUBLE,
    AS_PQ_BYTES,
    AS_PQ_FIXED,
    AS_PQ_GROUP /* no leaf */
} as_pq_type;

typedef enum as_pq_kind { /* how a leaf is shown */
                          AS_PQ_BOOL,
                          AS_PQ_INT,
                          AS_PQ_UINT,
                          AS_PQ_REAL,
                          AS_PQ_HALF,
                          AS_PQ_TEXT,
                          AS_PQ_DATE,
                          AS_PQ_TIME,
                          AS_PQ_STAMP,
                          AS_PQ_DECIMAL,
                          AS_PQ_UUID
} as_pq_kind;

enum { AS_PQ_REQUIRED, AS_PQ_OPTIONAL, AS_PQ_REPEATED };

/* The schema in depth-first order: the first child of node i is i + 1, and what follows a subtree
 * is `next`. */
typedef struct as_pq_node {
    as_str name;
    as_pq_type type;
    as_pq_kind kind;
    uint32_t parent, children, next;
    uint32_t first_leaf, leaf_count; /* among as_pq.leaves */
    uint32_t element;   /* of a repeated node: the node that is written for each repetition */
    uint8_t repetition; /* AS_PQ_REQUIRED.. */
    uint8_t def, rep;   /* levels of a value that is present down to this node */
    bool is_list;       /* the only child is the repeated node */
    bool utc;
    int32_t width; /* bytes of a fixed-length value */
    int32_t scale; /* digits behind the point: of a decimal, of a second */
} as_pq_node;

typedef struct as_pq_chunk {
    int64_t type, codec, values, at;
} as_pq_chunk;
typedef struct as_pq_group {
    int64_t rows;
    size_t chunks; /* the first of leaf_count ones */
} as_pq_group;

typedef struct as_pq_pool {
    as_table_block *first;
} as_pq_pool;

typedef struct as_pq {
    as_table *t;
    const uint8_t *p; /* the file */
    size_t data_end;  /* where the footer begins */
    as_pq_node *nodes;
    size_t node_count, node_cap;
    uint32_t *leaves; /* their nodes */
    size_t leaf_count, leaf_cap;
    as_pq_group *groups;
    size_t group_count, group_cap;
    as_pq_chunk *chunks;
    size_t chunk_count, chunk_cap;
    int64_t rows;
    uint64_t budget; /* bytes that may still be allocated */
    size_t group;    /* being read, for messages; from 1 */
    bool lossy;
    bool views; /* cells point into the file itself */
    bool *refused; /* set by as_pq_refuse: sound, but not read */
    struct as_pq_refusal *refusals; /* columns that are not read, and why */
    size_t refusal_count, refusal_cap;
    as_err *err;
} as_pq;

/* A column that is not read does not spoil the others: the error waits until it is asked for. */
typedef struct as_pq_refusal {
    uint32_t node; /* of the top level */
    as_err err;
} as_pq_refusal;

enum { AS_PQ_NO_NODE = 0, AS_PQ_MAX_DEPTH = 64 }; /* node 0 is the root, which is no column */

/* "FILE: column "a.b", row group 2: ..." with the hint that the file is damaged; and for what is
 * sound but not read, with a hint of its own. */
as_status as_pq_fail(const as_pq *q, uint32_t node, const char *fmt, ...) AS_PRINTF(3, 4);
as_status as_pq_refuse(const as_pq *q, uint32_t node, const char *hint, const char *fmt, ...)
    AS_PRINTF(4, 5);
/* After a failure at `node`: when it was refused, keep why with its column, and go on; else the failure. */
as_status as_pq_put_aside(as_pq *q, uint32_t node, as_status status) AS_CHECKED;
bool as_pq_is_aside(const as_pq *q, uint32_t top); /* the column with this node of the top level */
/* Take bytes from the budget, or fail. */
as_status as_pq_charge(as_pq *q, uint64_t bytes) AS_CHECKED;
/* n bytes that live as long as the pool; NULL when the budget or the memory does not allow it. */
char *as_pq_take(as_pq *q, as_pq_pool *pool, size_t n);
as_status as_pq_nomem(const as_pq *q);
void as_pq_pool_free(as_pq *q, as_pq_pool *pool); /* gives its bytes back to the budget */

as_status as_pq_read_footer(as_pq *q) AS_CHECKED;

/* ---- values ---- */

/* Decoded: integers and the bits of reals in i, byte arrays in s. Shown: the text in s. */
typedef union as_pq_value {
    int64_t i;
    as_str s;
} as_pq_value;

/* Run lengths and bit packing, mixed. */
typedef struct as_pq_hybrid {
    const uint8_t *p, *end, *run;
    size_t run_bytes;
    uint64_t left, bit;
    uint32_t width, value;
    bool packed;
} as_pq_hybrid;
bool as_pq_hybrid_read(as_pq_hybrid *h, uint32_t *out, size_t n); /* false: the data end early */

enum {
    AS_PQ_PLAIN = 0,
    AS_PQ_PLAIN_DICTIONARY = 2,
    AS_PQ_RLE = 3,
    AS_PQ_BIT_PACKED = 4,
    AS_PQ_DELTA_BINARY = 5,
    AS_PQ_DELTA_LENGTH = 6,
    AS_PQ_DELTA_BYTES = 7,
    AS_PQ_RLE_DICTIONARY = 8,
    AS_PQ_STREAM_SPLIT = 9
};

/* n values of a leaf, of any encoding but the dictionary ones; byte arrays are views into `bytes`,
 * or, where they must be put together, lie in `made`. */
as_status as_pq_decode(as_pq *q, uint32_t node, int64_t encoding, as_str bytes, as_pq_value *out,
                       size_t n, as_pq_pool *made) AS_CHECKED;
/* Values to texts, in place; what is made lies in `made`. */
as_status as_pq_show(as_pq *q, uint32_t node, as_pq_value *v, size_t n,
                     as_pq_pool *made) AS_CHECKED;
/* Whether the texts of a leaf stand in quotes inside JSON. */
bool as_pq_quoted(const as_pq_node *leaf);

/* ---- pages ---- */

/* The bytes of a page or a part of it, unpacked to exactly `size` bytes: a view when they are not
 * packed, else in `made`. */
as_status as_pq_unpack(as_pq *q, uint32_t node, int64_t codec, as_str packed, size_t size,
                       as_pq_pool *made, as_str *out) AS_CHECKED;

/* A column chunk while it is read. Per entry its levels, per entry that is no null its text. */
typedef struct as_pq_column {
    uint32_t node;
    const as_pq_chunk *chunk;
    size_t at;         /* of the next page */
    int64_t read;      /* entries of the pages so far */
    as_pq_pool *texts; /* where texts live */
    as_pq_pool scratch;
    as_pq_value *dictionary;
    size_t dictionary_count;
    bool has_dictionary;
    uint8_t *def, *rep;
    as_pq_value *value;
    size_t entries, values, def_cap, rep_cap, value_cap;
    uint64_t charged;
    size_t entry, next_value; /* the reader's place */
} as_pq_column;

/* Append the entries of the next data page; *more is false when the chunk has no further one. */
as_status as_pq_next_page(as_pq *q, as_pq_column *c, bool *more) AS_CHECKED;
void as_pq_column_clear(as_pq *q, as_pq_column *c); /* forgets the entries, not the dictionary */
void as_pq_column_free(as_pq *q, as_pq_column *c);
#endif
