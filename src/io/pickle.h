/* pickle.h: a restricted reader of Python pickles, protocols 2 to 5. It is a stack machine that
 * executes nothing: the only callables it knows are those of state dicts, and they build plain
 * values. Any other name ends the reading. */
#ifndef AS_IO_PICKLE_H
#define AS_IO_PICKLE_H

#include "base/str.h"
#include "io/weights.h"

typedef enum as_pk_kind {
    AS_PK_NONE,
    AS_PK_BOOL,    /* i */
    AS_PK_INT,     /* i */
    AS_PK_LONG,    /* wider than 64 bits: bytes at, n */
    AS_PK_STR,     /* bytes at, n */
    AS_PK_OPAQUE,  /* a float, bytes, a set: of no interest */
    AS_PK_MARK,    /* only on the stack */
    AS_PK_TUPLE,   /* pool[at .. at + n) */
    AS_PK_LIST,    /* boxes[at] */
    AS_PK_DICT,    /* boxes[at]: key, value, key, value ... */
    AS_PK_GLOBAL,  /* sub = as_pk_global */
    AS_PK_STORAGE, /* the tuple ("storage", class, key, location, number of elements, ...): pool[at
                      .. at + n) */
    AS_PK_TENSOR   /* the arguments of the rebuilding function: pool[at .. at + n); sub = its
                      as_pk_global */
} as_pk_kind;

/* Rows of the table of known names in pickle.c. */
typedef enum as_pk_what {
    AS_PK_ORDERED_DICT,
    AS_PK_REBUILD_V2,
    AS_PK_REBUILD_V3,
    AS_PK_REBUILD_PARAMETER,
    AS_PK_SIZE,
    AS_PK_STORAGE_CLASS,   /* has a dtype */
    AS_PK_UNTYPED_STORAGE, /* counts bytes */
    AS_PK_DTYPE
} as_pk_what;
typedef struct as_pk_global {
    const char *module, *name;
    as_pk_what what;
    as_dtype dtype;
} as_pk_global;
const as_pk_global *as_pk_global_at(int sub);

typedef struct as_pk { /* a value */
    uint8_t kind, sub;
    uint32_t n;
    union {
        int64_t i;
        uint64_t at;
    };
} as_pk;

typedef struct as_pk_box {
    as_pk *v;
    size_t n, cap;
} as_pk_box;
typedef struct as_pk_list {
    as_pk *v;
    size_t n, cap;
} as_pk_list;

/* Zero-initialise, set p, n, at and where, then run; again for the next pickle of the same bytes.
 * Values stay valid until as_pickle_deinit; stack and memo are those of one pickle. */
typedef struct as_pickle {
    const unsigned char *p;
    size_t n, at; /* reads p[at .. n); after a run, `at` is behind its STOP */
    const char *where;
    as_pk_list stack, memo, pool;
    as_pk_list storages; /* every AS_PK_STORAGE in the order of reading */
    as_pk_box *boxes;
    size_t box_count, box_cap;
    size_t made, start; /* values kept so far; where this pickle began */
} as_pickle;

as_status as_pickle_run(as_pickle *k, as_pk *root, as_err *err) AS_CHECKED;
void as_pickle_deinit(as_pickle *k);
as_str as_pk_text(const as_pickle *k,
                  as_pk v); /* of AS_PK_STR and AS_PK_LONG; else the empty view */
/* The value of a text key in a dict, the last one if several; NULL when absent or when v is no
 * dict. */
const as_pk *as_pk_get(const as_pickle *k, as_pk v, const char *key);

#endif
