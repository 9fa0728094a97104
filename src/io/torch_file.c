/* pytorch_model.bin: what torch.save writes, in both its forms.
 *   zip (since 1.6): PREFIX/data.pkl is a pickle of the state dict; its storages are
 * PREFIX/data/KEY, stored uncompressed. legacy: five pickles in a row (magic number, protocol
 * version, system, the state dict, the list of storage keys), then each storage of that list: its
 * number of elements as int64, its bytes. In both, the pickle refers to storages by ("storage",
 * class, key, location, number of elements), and a tensor is a view: (storage, offset, size,
 * stride, ...), all in elements. Source: torch/serialization.py, torch/_utils.py of PyTorch 2.x. */
#include "base/mem.h"
#include "io/pickle.h"
#include "io/weights_set.h"
#include "io/zip.h"
#include <stdlib.h>
#include <string.h>

/* Contiguous copies may need more room than the file, through strides of 0 and shared storages;
 * beyond this they are refused: a file of 1 kB could ask for any amount. */
static const uint64_t copy_slack = 16 << 20;

typedef struct span {
    as_str key;
    size_t elem;
    uint64_t at, bytes;
    bool found;
} span; /* a storage of a legacy file */

typedef struct torch_file {
    as_weight_files *w;
    const unsigned char *p;
    size_t n;
    const char *where, *base;
    as_pickle pickle;
    bool zipped;
    as_zip zip;
    as_str prefix; /* of the names in the archive, with its '/' */
    span *spans;   /* sorted by key */
    size_t span_count;
    uint64_t copied; /* bytes */
} torch_file;

static as_status fail_file(const torch_file *t, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: %s", t->where, what);
    as_hint(err, "Fetch the file again, or use the safetensors file of this checkpoint.");
    return ASSAY_FORMAT;
}

static as_status fail_tensor(const torch_file *t, as_str name, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\": %s", t->where, as_show_name(name).s, what);
    as_hint(err, "Fetch the file again, or use the safetensors file of this checkpoint.");
    return ASSAY_FORMAT;
}

/* ---- storages ---- */

static const as_pk *item(const torch_file *t, as_pk tuple, size_t i) {
    return &t->pickle.pool.v[tuple.at + i];
}

static const as_pk_global *class_of(const torch_file *t, as_pk storage) {
    return as_pk_global_at(item(t, storage, 1)->sub);
}

static int by_key(const void *a, const void *b) {
    return as_str_cmp(((const span *)a)->key, ((const span *)b)->key);
}

static as_status entry_of(const torch_file *t, const char *name, as_str tail,
                          const as_zip_entry **out, as_err *err) {
    as_buf b = {0};
    as_buf_add(&b, t->prefix.p, t->prefix.n);
    as_buf_str(&b, name);
    as_buf_add(&b, tail.p, tail.n);
    const as_status s = b.failed ? as_fail_nomem(err, "a path", b.n) : ASSAY_OK;
    if (s == ASSAY_OK) *out = as_zip_find(&t->zip, as_buf_view(&b));
    as_buf_free(&b);
    return s;
}

/* The place of a storage in the file, as large as its reference says at least. */
static as_status find_storage(const torch_file *t, as_pk storage, as_str name,
                              const unsigned char **data, uint64_t *bytes, as_err *err) {
    const as_str key = as_pk_text(&t->pickle, *item(t, storage, 2));
    uint64_t want;
    if (!as_mul_u64((uint64_t)item(t, storage, 4)->i, as_dtype_size(class_of(t, storage)->dtype),
                    &want))
        return fail_tensor(t, name, "the size of its storage overflows 64 bits", err);
    if (t->zipped) {
        const as_zip_entry *e = NULL;
        size_t at;
        AS_TRY(entry_of(t, "data/", key, &e, err));
        if (e == NULL) return fail_tensor(t, name, "its storage is not in the file", err);
        AS_TRY(as_zip_data(&t->zip, e, &at, err));
        *data = t->p + at;
        *bytes = e->size;
    } else {
        const span want_key = {.key = key};
        const span *const s = t->span_count == 0
                                  ? NULL
                                  : bsearch(&want_key, t->spans, t->span_count, sizeof *s, by_key);
        if (s == NULL || !s->found)
            return fail_tensor(t, name, "its storage is not in the file", err);
        *data = t->p + s->at;
        *bytes = s->bytes;
    }
    if (*bytes < want)
        return fail_tensor(t, name, "its storage is smaller than the pickle says", err);
    *bytes = want;
    return ASSAY_OK;
}

/* The distinct keys that the pickle refers to, sorted, not yet found. */
static as_status collect_spans(torch_file *t, as_err *err) {
    const size_t n = t->pickle.storages.n;
    t->spans = as_calloc(n, sizeof *t->spans);
    if (t->spans == NULL) return as_fail_nomem(err, "the list of storages", n * sizeof *t->spans);
    for (size_t i = 0; i < n; i++) {
        const as_pk s = t->pickle.storages.v[i];
        t->spans[i].key = as_pk_text(&t->pickle, *item(t, s, 2));
        t->spans[i].elem = as_dtype_size(class_of(t, s)->dtype);
    }
    if (n > 0) qsort(t->spans, n, sizeof *t->spans, by_key);
    for (size_t i = 0; i < n; i++) {
        span *const last = t->span_count > 0 ? &t->spans[t->span_count - 1] : NULL;
        if (last == NULL || !as_str_eq(last->key, t->spans[i].key))
            t->spans[t->span_count++] = t->spans[i];
        else if (last->elem != t->spans[i].elem)
            return fail_file(t, "one storage has two types", err);
    }
    return ASSAY_OK;
}

static as_status place_span(torch_file *t, as_str key, size_t *at, as_err *err) {
    const span want = {.key = key};
    span *const s =
        t->span_count == 0 ? NULL : bsearch(&want, t->spans, t->span_count, sizeof *s, by_key);
    if (s == NULL || s->found)
        return fail_file(t, "its list of storages does not match its tensors", err);
    uint64_t end;
    if (t->n - *at < 8) return as_fail_cut(err, t->where, "storage", key, (uint64_t)*at + 8, t->n);
    const uint64_t numel = as_le64(t->p + *at);
    *at += 8;
    if (!as_mul_u64(numel, s->elem, &s->bytes) || !as_add_u64(s->bytes, *at, &end))
        return fail_file(t, "the size of a storage overflows 64 bits", err);
    if (end > t->n) return as_fail_cut(err, t->where, "storage", key, end, t->n);
    s->at = *at;
    s->found = true;
    *at = (size_t)end;
    return ASSAY_OK;
}

/* ---- tensors ---- */

typedef struct layout {
    uint64_t offset, stride[AS_MAX_RANK];
} layout; /* in elements */

/* (storage, offset, size, stride, ...) into a view without data, and where its elements lie. */
static as_status read_layout(const torch_file *t, as_pk tensor, as_str name, as_weight_view *v,
                             layout *l, as_err *err) {
    const bool v3 = as_pk_global_at(tensor.sub)->what == AS_PK_REBUILD_V3;
    if (tensor.n < (v3 ? 7 : 4)) return fail_tensor(t, name, "is rebuilt from too few values", err);
    const as_pk storage = *item(t, tensor, 0), offset = *item(t, tensor, 1),
                size = *item(t, tensor, 2), stride = *item(t, tensor, 3);
    if (storage.kind != AS_PK_STORAGE || offset.kind != AS_PK_INT || offset.i < 0 ||
        size.kind != AS_PK_TUPLE || stride.kind != AS_PK_TUPLE || size.n != stride.n)
        return fail_tensor(t, name, "is rebuilt from unexpected values", err);
    if (size.n > AS_MAX_RANK)
        return fail_tensor(t, name, "has more than 8 dimensions, which is not supported", err);
    v->rank = (int)size.n;
    l->offset = (uint64_t)offset.i;
    for (size_t i = 0; i < size.n; i++) {
        const as_pk dim = *item(t, size, i), step = *item(t, stride, i);
        if (dim.kind != AS_PK_INT || step.kind != AS_PK_INT || dim.i < 0 || step.i < 0)
            return fail_tensor(t, name, "has a size or stride that is no whole number", err);
        v->shape[i] = dim.i;
        l->stride[i] = (uint64_t)step.i;
    }
    const as_pk_global *const class = class_of(t, storage);
    v->dtype = class->dtype;
    if (v3) {
        const as_pk dtype = *item(t, tensor, 6);
        if (dtype.kind != AS_PK_GLOBAL || as_pk_global_at(dtype.sub)->what != AS_PK_DTYPE)
            return fail_tensor(t, name, "has an unknown dtype", err);
        v->dtype = as_pk_global_at(dtype.sub)->dtype;
    } else if (class->what == AS_PK_UNTYPED_STORAGE) {
        return fail_tensor(t, name, "has a storage without a dtype", err);
    }
    if (!as_shape_numel(v->shape, v->rank, &v->numel))
        return fail_tensor(t, name, "its shape overflows 64 bits", err);
    return ASSAY_OK;
}

/* The offset behind the last element in bytes; an empty tensor ends where it begins. */
static bool extent(const as_weight_view *v, const layout *l, uint64_t *out) {
    uint64_t end = l->offset, step;
    for (int i = 0; v->numel > 0 && i < v->rank; i++)
        if (!as_mul_u64((uint64_t)v->shape[i] - 1, l->stride[i], &step) ||
            !as_add_u64(end, step, &end))
            return false;
    return as_add_u64(end, v->numel > 0 ? 1 : 0, &end) &&
           as_mul_u64(end, as_dtype_size(v->dtype), out);
}

static bool contiguous(const as_weight_view *v, const layout *l) {
    uint64_t want = 1;
    for (int i = v->rank; v->numel > 0 && i-- > 0;) {
        if (v->shape[i] != 1 && l->stride[i] != want) return false;
        want *= (uint64_t)v->shape[i]; /* divides numel: cannot overflow */
    }
    return true;
}

/* Gather in row-major order: an odometer over all dimensions. The strides were checked against the
 * storage. */
static void gather(unsigned char *out, const unsigned char *in, const as_weight_view *v,
                   const layout *l) {
    const size_t elem = as_dtype_size(v->dtype);
    int64_t index[AS_MAX_RANK] = {0};
    uint64_t at = 0;
    for (int64_t k = 0; k < v->numel; k++, out += elem) {
        memcpy(out, in + at * elem, elem);
        for (int d = v->rank - 1; d >= 0; d--) {
            at += l->stride[d];
            if (++index[d] < v->shape[d]) break;
            at -= l->stride[d] * (uint64_t)v->shape[d];
            index[d] = 0;
        }
    }
}

static as_status own_copy(torch_file *t, as_str name, as_weight_view *v, const layout *l,
                          const unsigned char *data, as_err *err) {
    as_weight_files *const w = t->w;
    uint64_t bytes;
    if (!as_mul_u64((uint64_t)v->numel, as_dtype_size(v->dtype), &bytes) ||
        !as_add_u64(t->copied, bytes, &t->copied) || t->copied / 2 > t->n + copy_slack / 2)
        return fail_tensor(t, name, "its strides ask for much more memory than the file has", err);
    if (!as_grow(&w->owned, &w->owned_cap, w->owned_count + 1, sizeof *w->owned))
        return as_fail_nomem(err, "the list of tensors", (w->owned_count + 1) * sizeof *w->owned);
    unsigned char *const copy = as_alloc((size_t)bytes, 1);
    if (copy == NULL) return as_fail_nomem(err, "a tensor", (size_t)bytes);
    w->owned[w->owned_count++] = copy;
    gather(copy, data, v, l);
    v->data = copy;
    return ASSAY_OK;
}

static as_status add_tensor(torch_file *t, as_str name, as_pk tensor, as_err *err) {
    as_weight_view v = {.file = t->base};
    layout l;
    const unsigned char *data;
    uint64_t bytes, end;
    if (memchr(name.p, '\0', name.n) != NULL)
        return fail_tensor(t, name, "has a NUL byte in its name", err);
    AS_TRY(read_layout(t, tensor, name, &v, &l, err));
    AS_TRY(find_storage(t, *item(t, tensor, 0), name, &data, &bytes, err));
    if (!extent(&v, &l, &end) || end > bytes)
        return fail_tensor(t, name, "reaches past the end of its storage", err);
    v.data = data + l.offset * as_dtype_size(v.dtype);
    if (!contiguous(&v, &l)) AS_TRY(own_copy(t, name, &v, &l, v.data, err));
    return as_weights_add(t->w, &v, name, err);
}

/* ---- the state dict ---- */

static bool has_tensors(const torch_file *t, as_pk dict) {
    if (dict.kind != AS_PK_DICT) return false;
    const as_pk_box *const box = &t->pickle.boxes[dict.at];
    for (size_t i = 0; i + 1 < box->n; i += 2)
        if (box->v[i].kind == AS_PK_STR && box->v[i + 1].kind == AS_PK_TENSOR) return true;
    return false;
}

/* The state dict is the whole, or lies one level deeper in what training scripts save. Other values
 * are ignored. */
static as_status add_state_dict(torch_file *t, as_pk root, as_err *err) {
    static const char *const deeper[] = {"state_dict", "model_state_dict", "model"};
    as_pk dict = root;
    for (size_t i = AS_COUNT(deeper); i-- > 0;) { /* the first name in the list wins */
        const as_pk *const inner = as_pk_get(&t->pickle, root, deeper[i]);
        if (inner != NULL && has_tensors(t, *inner)) dict = *inner;
    }
    if (!has_tensors(t, dict)) return fail_file(t, "holds no dict of tensors", err);
    const as_pk_box *const box = &t->pickle.boxes[dict.at];
    for (size_t i = 0; i + 1 < box->n; i += 2)
        if (box->v[i].kind == AS_PK_STR && box->v[i + 1].kind == AS_PK_TENSOR)
            AS_TRY(add_tensor(t, as_pk_text(&t->pickle, box->v[i]), box->v[i + 1], err));
    return ASSAY_OK;
}

/* ---- the two forms ---- */

static as_status check_byte_order(const torch_file *t, as_err *err) {
    const as_zip_entry *e = NULL;
    size_t at;
    AS_TRY(entry_of(t, "byteorder", (as_str){"", 0}, &e, err));
    if (e == NULL) return ASSAY_OK; /* before torch 2.1 */
    AS_TRY(as_zip_data(&t->zip, e, &at, err));
    if (e->size == 6 && memcmp(t->p + at, "little", 6) == 0) return ASSAY_OK;
    return fail_file(t, "was saved on a big-endian machine, which is not supported", err);
}

static as_status load_zip(torch_file *t, as_err *err) {
    AS_TRY(as_zip_open(&t->zip, t->p, t->n, t->where, err));
    const char *const slash = memchr(t->zip.first.p, '/', t->zip.first.n);
    if (slash != NULL) t->prefix = (as_str){t->zip.first.p, (size_t)(slash - t->zip.first.p) + 1};
    const as_zip_entry *e = NULL;
    AS_TRY(entry_of(t, "data.pkl", (as_str){"", 0}, &e, err));
    if (e == NULL)
        return fail_file(t, "is a zip archive without data.pkl: not written by torch.save", err);
    AS_TRY(check_byte_order(t, err));
    AS_TRY(as_zip_data(&t->zip, e, &t->pickle.at, err));
    t->pickle.n = t->pickle.at + (size_t)e->size;
    as_pk root;
    AS_TRY(as_pickle_run(&t->pickle, &root, err));
    return add_state_dict(t, root, err);
}

static as_status load_legacy(torch_file *t, as_err *err) {
    static const char magic[] =
        "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"; /* 0x1950a86a20f9469cfc6c */
    as_pk v, root, keys;
    AS_TRY(as_pickle_run(&t->pickle, &v, err));
    if (v.kind != AS_PK_LONG ||
        !as_str_eq(as_pk_text(&t->pickle, v), (as_str){magic, sizeof magic - 1}))
        return fail_file(t, "is a pickle, but not one of torch.save", err);
    AS_TRY(as_pickle_run(&t->pickle, &v, err));
    if (v.kind != AS_PK_INT || v.i != 1001)
        return fail_file(t, "has an unknown version of torch.save's legacy format", err);
    AS_TRY(as_pickle_run(&t->pickle, &v, err));
    const as_pk *const little = as_pk_get(&t->pickle, v, "little_endian");
    if (little != NULL && (little->kind != AS_PK_BOOL || little->i != 1))
        return fail_file(t, "was saved on a big-endian machine, which is not supported", err);
    AS_TRY(as_pickle_run(&t->pickle, &root, err));
    AS_TRY(collect_spans(t, err));
    AS_TRY(as_pickle_run(&t->pickle, &keys, err));
    if (keys.kind != AS_PK_LIST) return fail_file(t, "has no list of storages", err);
    const as_pk_box *const list = &t->pickle.boxes[keys.at];
    size_t at = t->pickle.at;
    for (size_t i = 0; i < list->n; i++)
        AS_TRY(place_span(t, as_pk_text(&t->pickle, list->v[i]), &at, err));
    return add_state_dict(t, root, err);
}

as_status as_torch_load(as_weight_files *w, const unsigned char *p, size_t n, const char *where,
                        const char *base, as_err *err) {
    torch_file t = {.w = w, .p = p, .n = n, .where = where, .base = base};
    t.pickle = (as_pickle){.p = p, .n = n, .where = where};
    t.zipped = n >= 2 && memcmp(p, "PK", 2) == 0;
    as_status s;
    if (n == 0)
        s = fail_file(&t, "is empty", err);
    else if (n > 262 && memcmp(p + 257, "ustar", 5) == 0)
        s = fail_file(&t, "is in the tar format of torch before 0.2, which is not supported", err);
    else
        s = t.zipped ? load_zip(&t, err) : load_legacy(&t, err);
    as_pickle_deinit(&t.pickle);
    as_zip_close(&t.zip);
    as_free(t.spans);
    return s;
}

as_status as_pickle_parse(as_weight_files **out, const void *bytes, size_t n, const char *where,
                          as_err *err) {
    *out = NULL;
    as_weight_files *const w = as_weights_new();
    if (w == NULL) return as_fail_nomem(err, "a checkpoint", sizeof *w);
    w->pickle = true;
    const char *const kept = as_weights_keep(w, as_str_of(where));
    as_status s = kept == NULL ? as_fail_nomem(err, "a path", strlen(where) + 1) : ASSAY_OK;
    if (s == ASSAY_OK) s = as_torch_load(w, bytes, n, kept, as_path_base(kept), err);
    if (s == ASSAY_OK) s = as_weights_index(w, kept, err);
    if (s == ASSAY_OK)
        *out = w;
    else
        as_weights_close(w);
    return s;
}
