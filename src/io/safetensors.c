/* safetensors: 8 bytes little-endian header length, a JSON header, the data. Read strictly, as the
 * safetensors library does (its functions deserialize and validate, version 0.8): tensors cover the
 * data section without overlap or hole. */
#include "base/mem.h"
#include "base/utf8.h"
#include "io/weights_set.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t header_limit = 100000000; /* as in the library */

typedef struct entry {
    as_str name;
    as_dtype dtype;
    int rank;
    int64_t shape[AS_MAX_RANK], numel;
    uint64_t begin, end; /* in the data section */
    size_t place;        /* in the header: a stable order for empty tensors */
} entry;

typedef struct reader {
    const unsigned char *p;
    size_t n;
    uint64_t data, data_size; /* where the data section begins, and how long it is */
    const char *where;
    entry *entries;
    size_t count;
} reader;

static as_status fail_tensor(const reader *r, as_str name, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\": %s", r->where, as_show_name(name).s, what);
    as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
    return ASSAY_FORMAT;
}

static as_status fail_file(const reader *r, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: %s", r->where, what);
    as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
    return ASSAY_FORMAT;
}

/* ---- the header ---- */

static as_status read_shape(const reader *r, entry *e, const as_json *shape, as_err *err) {
    if (as_json_typeof(shape) != AS_JSON_ARRAY) return fail_tensor(r, e->name, "has no shape", err);
    const size_t rank = as_json_count(shape);
    if (rank > AS_MAX_RANK)
        return fail_tensor(r, e->name, "has more than 8 dimensions, which is not supported", err);
    e->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const as_json *const dim = as_json_at(shape, i);
        e->shape[i] = as_json_int(dim, -1);
        if (as_json_typeof(dim) != AS_JSON_INT || e->shape[i] < 0)
            return fail_tensor(r, e->name, "has a dimension that is not a whole number", err);
    }
    if (!as_shape_numel(e->shape, e->rank, &e->numel))
        return fail_tensor(r, e->name, "its shape overflows 64 bits", err);
    return ASSAY_OK;
}

static as_status read_offsets(const reader *r, entry *e, const as_json *offsets, as_err *err) {
    int64_t at[2] = {-1, -1};
    for (size_t i = 0; i < 2 && as_json_count(offsets) == 2; i++)
        if (as_json_typeof(as_json_at(offsets, i)) == AS_JSON_INT)
            at[i] = as_json_int(as_json_at(offsets, i), -1);
    if (as_json_typeof(offsets) != AS_JSON_ARRAY || at[0] < 0 || at[1] < at[0])
        return fail_tensor(r, e->name, "data_offsets are not [begin, end]", err);
    e->begin = (uint64_t)at[0];
    e->end = (uint64_t)at[1];
    uint64_t bytes;
    if (!as_mul_u64((uint64_t)e->numel, as_dtype_size(e->dtype), &bytes) ||
        bytes != e->end - e->begin) {
        as_fail(err, ASSAY_FORMAT,
                "%s: tensor \"%s\": its shape and dtype %s do not make the %s bytes of its "
                "data_offsets",
                r->where, as_show_name(e->name).s, as_dtype_name(e->dtype),
                as_show_count(e->end - e->begin).s);
        as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
        return ASSAY_FORMAT;
    }
    return ASSAY_OK;
}

static as_status read_entry(const reader *r, entry *e, const as_json *v, as_err *err) {
    if (as_json_typeof(v) != AS_JSON_OBJECT)
        return fail_tensor(r, e->name, "is not described by an object", err);
    if (memchr(e->name.p, '\0', e->name.n) != NULL)
        return fail_tensor(r, e->name, "has a NUL byte in its name", err);
    const as_json *const dtype = as_json_get(v, "dtype");
    if (as_json_typeof(dtype) != AS_JSON_STRING)
        return fail_tensor(r, e->name, "has no dtype", err);
    const as_str name = as_json_str(dtype, (as_str){"", 0});
    if (!as_dtype_parse(name, &e->dtype)) {
        as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\" has the unknown dtype \"%s\"", r->where,
                as_show_name(e->name).s, as_show_name(name).s);
        as_hint(err, "Convert the checkpoint to F32, F16 or BF16.");
        return ASSAY_FORMAT;
    }
    AS_TRY(read_shape(r, e, as_json_get(v, "shape"), err));
    return read_offsets(r, e, as_json_get(v, "data_offsets"), err);
}

static int by_text(const void *a, const void *b) {
    return as_str_cmp(*(const as_str *)a, *(const as_str *)b);
}

/* The JSON reader keeps the last of equal keys, as Python does, but then a tensor would vanish
 * silently. So the keys of the outer object are counted in the text, which is known to be valid
 * JSON by now, and kept in `keys` if not NULL. */
static size_t scan_keys(as_str text, as_str *keys) {
    size_t count = 0;
    int depth = 0;
    as_str last = {"", 0};
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];
        if (c == '"') {
            const size_t from = ++i;
            while (i < text.n && text.p[i] != '"')
                i += text.p[i] == '\\' ? 2 : 1;
            last = (as_str){text.p + from, i < text.n ? i - from : text.n - from};
        } else if (c == ':' && depth == 1) {
            if (keys != NULL) keys[count] = last;
            count++;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return count;
}

static as_status check_duplicates(const reader *r, as_str text, size_t members, as_err *err) {
    const size_t count = scan_keys(text, NULL);
    if (count == members) return ASSAY_OK;
    as_str *const keys = as_alloc(count, sizeof *keys);
    if (keys == NULL) return as_fail_nomem(err, "tensor names", count * sizeof *keys);
    scan_keys(text, keys);
    qsort(keys, count, sizeof *keys, by_text);
    as_str twice = AS_LIT("?"); /* stays when the two are written with different escapes */
    for (size_t i = 1; i < count; i++)
        if (as_str_eq(keys[i - 1], keys[i])) twice = keys[i];
    fail_tensor(r, twice, "is listed twice", err);
    as_free(keys);
    return ASSAY_FORMAT;
}

static as_status read_entries(reader *r, const as_json *root, as_err *err) {
    const size_t members = as_json_count(root);
    r->entries = as_calloc(members, sizeof *r->entries);
    if (r->entries == NULL)
        return as_fail_nomem(err, "the list of tensors", members * sizeof *r->entries);
    for (as_json_iter *it = as_json_first(root); it != NULL; it = as_json_next(root, it)) {
        const as_str name = as_json_iter_key(it);
        if (as_str_is(name, "__metadata__")) {
            if (as_json_typeof(as_json_iter_value(it)) != AS_JSON_OBJECT)
                return fail_file(r, "\"__metadata__\" is not an object", err);
            continue;
        }
        entry *const e = &r->entries[r->count];
        e->name = name;
        e->place = r->count++;
        AS_TRY(read_entry(r, e, as_json_iter_value(it), err));
    }
    return ASSAY_OK;
}

/* ---- the data ---- */

static int by_place(const void *a, const void *b) {
    const entry *const x = a, *const y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Sorted by place, each tensor begins where the one before ends, and the last ends with the file.
 */
static as_status check_cover(const reader *r, as_err *err) {
    uint64_t at = 0;
    for (size_t i = 0; i < r->count; i++) {
        const entry *const e = &r->entries[i];
        if (e->begin < at) {
            as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\" overlaps tensor \"%s\"", r->where,
                    as_show_name(e->name).s, as_show_name(r->entries[i - 1].name).s);
            as_hint(err, "The file is damaged or was made to mislead; fetch it or save it again.");
            return ASSAY_FORMAT;
        }
        if (e->begin > at) {
            as_fail(err, ASSAY_FORMAT, "%s: no tensor covers the %s bytes before tensor \"%s\"",
                    r->where, as_show_count(e->begin - at).s, as_show_name(e->name).s);
            as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
            return ASSAY_FORMAT;
        }
        at = e->end;
    }
    if (at > r->data_size)
        return as_fail_cut(err, r->where, "tensor", r->entries[r->count - 1].name, r->data + at,
                           r->n);
    if (at < r->data_size) {
        as_fail(err, ASSAY_FORMAT, "%s: no tensor covers the last %s bytes", r->where,
                as_show_count(r->data_size - at).s);
        as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
        return ASSAY_FORMAT;
    }
    return ASSAY_OK;
}

static as_status add_entries(const reader *r, as_weight_files *w, const char *base, as_err *err) {
    for (size_t i = 0; i < r->count; i++) {
        const entry *const e = &r->entries[i];
        as_weight_view v = {.dtype = e->dtype, .rank = e->rank, .numel = e->numel, .file = base};
        memcpy(v.shape, e->shape, sizeof v.shape);
        v.data = r->p + r->data + e->begin;
        AS_TRY(as_weights_add(w, &v, e->name, err));
    }
    return ASSAY_OK;
}

static as_status check_length(reader *r, uint64_t *length, as_err *err) {
    if (r->n == 0) return fail_file(r, "is empty", err);
    if (r->n < 8)
        return fail_file(r, "is shorter than the 8 bytes with which a safetensors file begins",
                         err);
    *length = as_le64(r->p);
    if (*length > header_limit) {
        as_fail(err, ASSAY_FORMAT,
                "%s: its first 8 bytes ask for a header of %s bytes; 100,000,000 are allowed",
                r->where, as_show_count(*length).s);
        as_hint(err, "This is probably not a safetensors file.");
        return ASSAY_FORMAT;
    }
    if (*length > r->n - 8) {
        as_fail(err, ASSAY_FORMAT, "%s: its header ends at byte %s, the file at byte %s", r->where,
                as_show_count(8 + *length).s, as_show_count(r->n).s);
        as_hint(err, "the file is cut short; fetch it again");
        return ASSAY_FORMAT;
    }
    r->data = 8 + *length;
    r->data_size = r->n - r->data;
    return ASSAY_OK;
}

as_status as_safetensors_load(as_weight_files *w, const unsigned char *p, size_t n,
                              const char *where, const char *base, as_err *err) {
    reader r = {.p = p, .n = n, .where = where};
    uint64_t length;
    AS_TRY(check_length(&r, &length, err));
    if (length == 0 || p[8] != '{')
        return fail_file(&r, "its header does not begin with \"{\"", err);
    const as_str text = {(const char *)p + 8, (size_t)length};
    as_json *root = NULL;
    as_status s = as_json_parse(&root, text, where, 0, err);
    if (s != ASSAY_OK) {
        if (s == ASSAY_FORMAT)
            as_hint(err, "The file is damaged or not safetensors; fetch it or save it again.");
        return s;
    }
    s = check_duplicates(&r, text, as_json_count(root), err);
    if (s == ASSAY_OK) s = read_entries(&r, root, err);
    if (s == ASSAY_OK && r.count > 0) qsort(r.entries, r.count, sizeof *r.entries, by_place);
    if (s == ASSAY_OK) s = check_cover(&r, err);
    if (s == ASSAY_OK) s = add_entries(&r, w, base, err);
    as_free(r.entries);
    as_json_free(root);
    return s;
}

as_status as_safetensors_parse(as_weight_files **out, const void *bytes, size_t n,
                               const char *where, as_err *err) {
    *out = NULL;
    as_weight_files *const w = as_weights_new();
    if (w == NULL) return as_fail_nomem(err, "a checkpoint", sizeof *w);
    const char *const kept = as_weights_keep(w, as_str_of(where));
    as_status s = kept == NULL ? as_fail_nomem(err, "a path", strlen(where) + 1) : ASSAY_OK;
    if (s == ASSAY_OK) s = as_safetensors_load(w, bytes, n, kept, as_path_base(kept), err);
    if (s == ASSAY_OK) s = as_weights_index(w, kept, err);
    if (s == ASSAY_OK)
        *out = w;
    else
        as_weights_close(w);
    return s;
}

/* ---- the writer ---- */

static int by_library_order(const void *a, const void *b) {
    const as_weight_view *const x = *(const as_weight_view *const *)a,
                                *const y = *(const as_weight_view *const *)b;
    const int order = as_dtype_order(y->dtype) - as_dtype_order(x->dtype);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const as_weight_view *const *)a)->name,
                  (*(const as_weight_view *const *)b)->name);
}

/* A file that no reader accepts is never begun. */
static as_status check_views(const as_weight_view **sorted, size_t count, const char *path,
                             as_err *err) {
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        const as_weight_view *const v = sorted[i];
        int64_t numel;
        uint64_t bytes;
        const char *what = NULL;
        if (i > 0 && strcmp(sorted[i - 1]->name, v->name) == 0) what = "is given twice";
        if (strcmp(v->name, "__metadata__") == 0) what = "has a name that the format reserves";
        if (as_utf8_valid_prefix(v->name, strlen(v->name)) != strlen(v->name))
            what = "has a name that is not UTF-8";
        if (v->rank < 0 || v->rank > AS_MAX_RANK || (unsigned)v->dtype >= AS_DTYPE_COUNT ||
            !as_shape_numel(v->shape, v->rank, &numel) || numel != v->numel ||
            !as_mul_u64((uint64_t)numel, as_dtype_size(v->dtype), &bytes) || bytes > INT64_MAX)
            what = "has a shape that does not make its size";
        if (what == NULL) continue;
        as_fail(err, ASSAY_FORMAT, "%s: cannot be written: tensor \"%s\" %s", path,
                as_show_name(as_str_of(v->name)).s, what);
        as_hint(err, "Give each tensor one plain name and its own shape.");
        return ASSAY_FORMAT;
    }
    return ASSAY_OK;
}

static void write_header(as_buf *b, const as_weight_view *const *sorted, size_t count) {
    as_buf_str(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const as_weight_view *const v = sorted[i];
        as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(v->name));
        as_buf_fmt(b, ":{\"dtype\":\"%s\",\"shape\":[", as_dtype_name(v->dtype));
        for (int d = 0; d < v->rank; d++)
            as_buf_fmt(b, "%s%" PRId64, d > 0 ? "," : "", v->shape[d]);
        const uint64_t end = at + (uint64_t)v->numel * as_dtype_size(v->dtype);
        as_buf_fmt(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    as_buf_char(b, '}');
    while (b->n % 8 != 0 && !b->failed)
        as_buf_char(b, ' ');
}

static as_status write_all(const char *path, const as_buf *header,
                           const as_weight_view *const *sorted, size_t count, as_err *err) {
    as_writer out;
    AS_TRY(as_writer_open(&out, path, err));
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header->n >> (8 * i));
    as_writer_add(&out, length, sizeof length);
    as_writer_add(&out, header->p, header->n);
    for (size_t i = 0; i < count && !out.failed; i++)
        as_writer_add(&out, sorted[i]->data,
                      (size_t)sorted[i]->numel * as_dtype_size(sorted[i]->dtype));
    return as_writer_commit(&out, err);
}

as_status as_safetensors_write(const char *path, const as_weight_view *v, size_t count,
                               as_err *err) {
    const as_weight_view **const sorted = as_alloc(count, sizeof *sorted);
    if (sorted == NULL) return as_fail_nomem(err, "the list of tensors", count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &v[i];
    as_buf header = {0};
    as_status s = check_views(sorted, count, path, err);
    if (s == ASSAY_OK) {
        qsort(sorted, count, sizeof *sorted, by_library_order);
        write_header(&header, sorted, count);
        if (header.failed) s = as_fail_nomem(err, "a safetensors header", header.n);
    }
    if (s == ASSAY_OK && header.n > header_limit) {
        s = as_fail(err, ASSAY_FORMAT,
                    "%s: cannot be written: its header would be longer than 100,000,000 bytes",
                    path);
        as_hint(err, "Write fewer tensors into one file.");
    }
    if (s == ASSAY_OK) s = write_all(path, &header, sorted, count, err);
    as_buf_free(&header);
    as_free(sorted);
    return s;
}
