/* json.h: a thin, strict reader over jansson, with places in its errors. Duplicate keys: the last
 * one wins, as in Python. Depth is limited. Used for config.json, tokenizer.json, safetensors
 * headers, JSONL records. */
#ifndef AS_IO_JSON_H
#define AS_IO_JSON_H

#include "base/str.h"

typedef struct as_json as_json; /* a value; owned by its document's root */
typedef enum as_json_type {
    AS_JSON_NULL,
    AS_JSON_BOOL,
    AS_JSON_INT,
    AS_JSON_REAL,
    AS_JSON_STRING,
    AS_JSON_ARRAY,
    AS_JSON_OBJECT
} as_json_type;

/* Parse a whole document. `where` names it in errors: "config.json"; line is added to line numbers
 * (JSONL). */
as_status as_json_parse(as_json **out, as_str text, const char *where, int64_t line,
                        as_err *err) AS_CHECKED;
as_status as_json_read(as_json **out, const char *path, as_err *err) AS_CHECKED; /* a whole file */
void as_json_free(as_json *root);

as_json_type as_json_typeof(const as_json *v); /* NULL reads as AS_JSON_NULL */
const as_json *as_json_get(const as_json *obj,
                           const char *key);             /* NULL when absent or not an object */
size_t as_json_count(const as_json *v);                  /* elements or members; 0 for others */
const as_json *as_json_at(const as_json *arr, size_t i); /* O(1) */
/* Members in file order: for (it = as_json_first(o); it; it = as_json_next(o, it)). */
typedef struct as_json_iter as_json_iter;
as_json_iter *as_json_first(const as_json *obj);
as_json_iter *as_json_next(const as_json *obj, as_json_iter *it);
as_str as_json_iter_key(const as_json_iter *it);
const as_json *as_json_iter_value(const as_json_iter *it);

as_str as_json_str(const as_json *v, as_str fallback);   /* may hold NUL bytes */
int64_t as_json_int(const as_json *v, int64_t fallback); /* integral reals count */
double as_json_real(const as_json *v, double fallback);
bool as_json_bool(const as_json *v, bool fallback);
/* Serialise v compactly (round trip exact, key order kept); indent 0 or 2. */
void as_json_dump(as_buf *out, const as_json *v, int indent);
#endif
