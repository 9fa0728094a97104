#include "io/weights.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/weights_set.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t size, order; /* order: place in the safetensors library's enum Dtype (0.8.0), which its
                            writer sorts by */
} dtypes[AS_DTYPE_COUNT] = {
    [AS_BOOL] = {"BOOL", 1, 0},
    [AS_U8] = {"U8", 1, 1},
    [AS_I8] = {"I8", 1, 2},
    [AS_F8_E5M2] = {"F8_E5M2", 1, 3},
    [AS_F8_E4M3] = {"F8_E4M3", 1, 4},
    [AS_F8_E8M0] = {"F8_E8M0", 1, 5},
    [AS_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 1, 6},
    [AS_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 1, 7},
    [AS_I16] = {"I16", 2, 8},
    [AS_U16] = {"U16", 2, 9},
    [AS_F16] = {"F16", 2, 10},
    [AS_BF16] = {"BF16", 2, 11},
    [AS_I32] = {"I32", 4, 12},
    [AS_U32] = {"U32", 4, 13},
    [AS_F32] = {"F32", 4, 14},
    [AS_C64] = {"C64", 8, 15},
    [AS_F64] = {"F64", 8, 16},
    [AS_I64] = {"I64", 8, 17},
    [AS_U64] = {"U64", 8, 18},
};

size_t as_dtype_size(as_dtype d) {
    return dtypes[d].size;
}
const char *as_dtype_name(as_dtype d) {
    return dtypes[d].name;
}
int as_dtype_order(as_dtype d) {
    return dtypes[d].order;
}

bool as_dtype_parse(as_str name, as_dtype *out) {
    for (int d = 0; d < AS_DTYPE_COUNT; d++)
        if (as_str_is(name, dtypes[d].name)) return *out = (as_dtype)d, true;
    return false;
}

bool as_shape_numel(const int64_t *shape, int rank, int64_t *out) {
    uint64_t numel = 1;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || !as_mul_u64(numel, (uint64_t)shape[i], &numel)) return false;
    *out = (int64_t)numel;
    return numel <= INT64_MAX;
}

/* ---- messages ---- */

as_shown as_show_name(as_str name) {
    as_shown out;
    const size_t room = sizeof out.s - 4;
    size_t n = name.n < room ? name.n : room;
    if (n < name.n) /* not in the middle of a UTF-8 sequence */
        while (n > 0 && ((unsigned char)name.p[n] & 0xC0) == 0x80)
            n--;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)name.p[i];
        out.s[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    memcpy(out.s + n, n < name.n ? "..." : "", n < name.n ? 4 : 1);
    return out;
}

as_shown as_show_count(uint64_t n) {
    as_shown out;
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t k = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) out.s[k++] = ',';
        out.s[k++] = digits[i];
    }
    out.s[k] = '\0';
    return out;
}

as_status as_fail_cut(as_err *err, const char *where, const char *what, as_str name, uint64_t end,
                      uint64_t size) {
    as_fail(err, ASSAY_FORMAT, "%s: %s \"%s\" ends at byte %s, the file at byte %s", where, what,
            as_show_name(name).s, as_show_count(end).s, as_show_count(size).s);
    as_hint(err, "the file is cut short; fetch it again");
    return ASSAY_FORMAT;
}

/* ---- the set ---- */

as_weight_files *as_weights_new(void) {
    as_weight_files *const w = as_calloc(1, sizeof *w);
    if (w != NULL) as_arena_init(&w->text, 64 << 10);
    return w;
}

void as_weights_close(as_weight_files *w) {
    if (w == NULL) return;
    for (size_t i = 0; i < w->file_count; i++)
        as_map_close(&w->files[i].map);
    for (size_t i = 0; i < w->owned_count; i++)
        as_free(w->owned[i]);
    as_free(w->files);
    as_free(w->owned);
    as_free(w->v);
    as_free(w->slot);
    as_arena_deinit(&w->text);
    as_free(w);
}

const char *as_weights_keep(as_weight_files *w, as_str s) {
    char *const p = as_arena_push(&w->text, s.n + 1, 1);
    if (p == NULL) return NULL;
    if (s.n > 0) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

as_status as_weights_add(as_weight_files *w, const as_weight_view *v, as_str name, as_err *err) {
    if (w->count >= UINT32_MAX / 4 || !as_grow(&w->v, &w->cap, w->count + 1, sizeof *w->v))
        return as_fail_nomem(err, "the list of tensors", (w->count + 1) * sizeof *w->v);
    as_weight_view *const to = &w->v[w->count];
    *to = *v;
    to->name = as_weights_keep(w, name);
    if (to->name == NULL) return as_fail_nomem(err, "a tensor name", name.n + 1);
    w->count++;
    return ASSAY_OK;
}

/* The slot that holds `name`, or the free one where it belongs. */
static size_t slot_of(const as_weight_files *w, const char *name) {
    size_t at = as_hash64(name, strlen(name), 0) & (w->slots - 1);
    while (w->slot[at] != 0 && strcmp(w->v[w->slot[at] - 1].name, name) != 0)
        at = (at + 1) & (w->slots - 1);
    return at;
}

as_status as_weights_index(as_weight_files *w, const char *where, as_err *err) {
    w->slots = 16;
    while (w->slots < w->count * 2)
        w->slots *= 2;
    w->slot = as_calloc(w->slots, sizeof *w->slot);
    if (w->slot == NULL)
        return as_fail_nomem(err, "the table of tensors", w->slots * sizeof *w->slot);
    for (size_t i = 0; i < w->count; i++) {
        const size_t at = slot_of(w, w->v[i].name);
        if (w->slot[at] != 0) {
            const as_weight_view *const first = &w->v[w->slot[at] - 1];
            as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\" is there twice (in %s and %s)", where,
                    as_show_name(as_str_of(first->name)).s, first->file, w->v[i].file);
            as_hint(err, "The checkpoint is damaged; fetch it or save it again.");
            return ASSAY_FORMAT;
        }
        w->slot[at] = (uint32_t)i + 1;
    }
    return ASSAY_OK;
}

size_t as_weights_count(const as_weight_files *w) {
    return w->count;
}
const as_weight_view *as_weights_at(const as_weight_files *w, size_t i) {
    return &w->v[i];
}
const char *as_weights_format(const as_weight_files *w) {
    return w->pickle ? "pickle" : "safetensors";
}
size_t as_weights_file_count(const as_weight_files *w) {
    return w->file_count;
}
const char *as_weights_file_path(const as_weight_files *w, size_t i) {
    return w->files[i].path;
}

const as_weight_view *as_weights_find(const as_weight_files *w, const char *name) {
    const size_t at = slot_of(w, name);
    return w->slot[at] == 0 ? NULL : &w->v[w->slot[at] - 1];
}

/* ---- opening files ---- */

typedef enum file_kind { KIND_SAFETENSORS, KIND_TORCH, KIND_LFS_POINTER, KIND_UNKNOWN } file_kind;

static bool starts(const unsigned char *p, size_t n, const char *with, size_t len) {
    return n >= len && memcmp(p, with, len) == 0;
}

/* By content, because files are renamed: only a name that ends in .safetensors is taken at its
 * word, so that its errors are those of the format which the user expects. */
static file_kind kind_of(const unsigned char *p, size_t n, const char *path) {
    static const char lfs[] = "version https://git-lfs";
    if (starts(p, n, lfs, sizeof lfs - 1)) return KIND_LFS_POINTER;
    const size_t len = strlen(path), ext = sizeof ".safetensors" - 1;
    if (len >= ext && strcmp(path + len - ext, ".safetensors") == 0) return KIND_SAFETENSORS;
    if (n > 8 && p[8] == '{' && as_le64(p) <= n - 8) return KIND_SAFETENSORS;
    if (starts(p, n, "PK", 2) || (n > 1 && p[0] == 0x80 && p[1] <= 5)) return KIND_TORCH;
    if (n > 262 && memcmp(p + 257, "ustar", 5) == 0)
        return KIND_TORCH; /* refused there, by its name */
    return KIND_UNKNOWN;
}

static as_status fail_kind(file_kind kind, const char *path, as_err *err) {
    if (kind == KIND_LFS_POINTER) {
        as_fail(err, ASSAY_FORMAT, "%s: is a Git LFS pointer, not the weights themselves", path);
        as_hint(err, "Run \"git lfs pull\" in that folder, or fetch the file again.");
    } else {
        as_fail(err, ASSAY_FORMAT, "%s: is neither a safetensors file nor one of torch.save", path);
        as_hint(err, "Name a checkpoint folder, or a .safetensors or .bin file.");
    }
    return ASSAY_FORMAT;
}

/* Map one file and add its tensors. */
static as_status load_file(as_weight_files *w, const char *path, as_err *err) {
    if (!as_grow(&w->files, &w->file_cap, w->file_count + 1, sizeof *w->files))
        return as_fail_nomem(err, "the list of files", (w->file_count + 1) * sizeof *w->files);
    as_weight_file *const f = &w->files[w->file_count];
    AS_TRY(as_map_open(&f->map, path, err));
    w->file_count++;
    f->path = as_weights_keep(w, as_str_of(path));
    if (f->path == NULL) return as_fail_nomem(err, "a path", strlen(path) + 1);
    f->base = as_path_base(f->path);
    const unsigned char *const p = f->map.p;
    const size_t n = f->map.n;
    if (n == 0) {
        as_fail(err, ASSAY_FORMAT, "%s: is empty", path);
        as_hint(err, "Fetch the file again.");
        return ASSAY_FORMAT;
    }
    const file_kind kind = kind_of(p, n, path);
    if (kind == KIND_SAFETENSORS) return as_safetensors_load(w, p, n, f->path, f->base, err);
    if (kind != KIND_TORCH) return fail_kind(kind, path, err);
    w->pickle = true;
    return as_torch_load(w, p, n, f->path, f->base, err);
}

static bool shard_name_ok(as_str s) {
    if (s.n == 0 || s.n > 255 || memchr(s.p, '\0', s.n) != NULL || memchr(s.p, '/', s.n) != NULL)
        return false;
    return memchr(s.p, '\\', s.n) == NULL && !as_str_is(s, ".") &&
           memmem(s.p, s.n, "..", 2) == NULL;
}

static int by_text(const void *a, const void *b) {
    return as_str_cmp(*(const as_str *)a, *(const as_str *)b);
}

/* The shards that weight_map names, sorted and each once. *out is heap memory. */
static as_status list_shards(as_str **out, size_t *count, const as_json *map, const char *index,
                             as_err *err) {
    const size_t n = as_json_count(map);
    *count = 0;
    as_str *const list = *out = as_alloc(n, sizeof *list);
    if (list == NULL) return as_fail_nomem(err, "the list of shards", n * sizeof *list);
    size_t k = 0;
    for (as_json_iter *it = as_json_first(map); it != NULL; it = as_json_next(map, it)) {
        const as_json *const value = as_json_iter_value(it);
        const as_str name = as_json_str(value, (as_str){"", 0});
        if (as_json_typeof(value) != AS_JSON_STRING || !shard_name_ok(name)) {
            as_fail(err, ASSAY_FORMAT,
                    "%s: weight_map gives tensor \"%s\" the file \"%s\": refused", index,
                    as_show_name(as_json_iter_key(it)).s, as_show_name(name).s);
            as_hint(err, "A shard must be the plain name of a file in the same folder, without "
                         "\"/\" or \"..\".");
            return ASSAY_FORMAT;
        }
        list[k++] = name;
    }
    qsort(list, k, sizeof *list, by_text);
    for (size_t i = 0; i < k; i++)
        if (i == 0 || !as_str_eq(list[i], list[*count - 1])) list[(*count)++] = list[i];
    return ASSAY_OK;
}

static as_status load_shard(as_weight_files *w, const char *index, as_str shard, as_err *err) {
    as_buf path = {0};
    as_buf_add(&path, index, (size_t)(as_path_base(index) - index));
    as_buf_add(&path, shard.p, shard.n);
    as_status s = path.failed ? as_fail_nomem(err, "a path", path.n) : ASSAY_OK;
    if (s == ASSAY_OK && !as_file_exists(path.p)) {
        s = as_fail(err, ASSAY_IO, "%s: the file \"%s\" that it names is missing", index,
                    as_show_name(shard).s);
        as_hint(err, "Fetch the missing file into the same folder.");
    }
    if (s == ASSAY_OK) s = load_file(w, path.p, err);
    as_buf_free(&path);
    return s;
}

/* Each tensor that the index lists must be in the file that it lists. */
static as_status check_shards(const as_weight_files *w, const as_json *map, const char *index,
                              as_err *err) {
    for (as_json_iter *it = as_json_first(map); it != NULL; it = as_json_next(map, it)) {
        const as_str name = as_json_iter_key(it),
                     file = as_json_str(as_json_iter_value(it), (as_str){"", 0});
        const bool whole = memchr(name.p, '\0', name.n) == NULL; /* no tensor has such a name */
        const as_weight_view *const v = whole ? as_weights_find(w, name.p) : NULL;
        if (v != NULL && as_str_is(file, v->file)) continue;
        as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\" is not in \"%s\"", index,
                as_show_name(name).s, as_show_name(file).s);
        as_hint(err, "The index and its files do not belong together; fetch all of them again.");
        return ASSAY_FORMAT;
    }
    return ASSAY_OK;
}

static as_status load_index(as_weight_files *w, const char *path, as_err *err) {
    as_json *root = NULL;
    as_status s = as_json_read(&root, path, err);
    if (s == ASSAY_FORMAT) as_hint(err, "Fetch this index again.");
    if (s != ASSAY_OK) return s;
    const as_json *const map = as_json_get(root, "weight_map");
    as_str *shards = NULL;
    size_t count = 0;
    if (as_json_typeof(map) != AS_JSON_OBJECT || as_json_count(map) == 0) {
        s = as_fail(err, ASSAY_FORMAT,
                    "%s: has no \"weight_map\" that names the files of its tensors", path);
        as_hint(err, "Name the checkpoint folder, or fetch this index again.");
    }
    if (s == ASSAY_OK) s = list_shards(&shards, &count, map, path, err);
    for (size_t i = 0; s == ASSAY_OK && i < count; i++)
        s = load_shard(w, path, shards[i], err);
    if (s == ASSAY_OK) s = as_weights_index(w, path, err);
    if (s == ASSAY_OK) s = check_shards(w, map, path, err);
    as_free(shards);
    as_json_free(root);
    return s;
}

static bool ends(const char *s, const char *with) {
    const size_t n = strlen(s), m = strlen(with);
    return n >= m && strcmp(s + n - m, with) == 0;
}

static as_status load_path(as_weight_files *w, const char *path, as_err *err) {
    if (ends(path, ".json")) return load_index(w, path, err);
    AS_TRY(load_file(w, path, err));
    return as_weights_index(w, path, err);
}

static as_status load_folder(as_weight_files *w, const char *dir, as_err *err) {
    static const char *const wanted[] = {"model.safetensors", "model.safetensors.index.json",
                                         "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < AS_COUNT(wanted); i++) {
        char *const path = as_path_join(dir, wanted[i]);
        if (path == NULL) return as_fail_nomem(err, "a path", strlen(dir) + 64);
        const bool there = as_file_exists(path);
        const as_status s = there ? load_path(w, path, err) : ASSAY_OK;
        as_free(path);
        if (there) return s;
    }
    as_fail(err, ASSAY_IO, "%s: holds no weights (looked for %s, %s, %s and %s)", dir, wanted[0],
            wanted[1], wanted[2], wanted[3]);
    as_hint(err, "Check the folder; other formats must be converted to safetensors first.");
    return ASSAY_IO;
}

as_status as_weights_open(as_weight_files **out, const char *dir_or_file, as_err *err) {
    *out = NULL;
    as_weight_files *const w = as_weights_new();
    if (w == NULL) return as_fail_nomem(err, "a checkpoint", sizeof *w);
    const as_status s = as_dir_exists(dir_or_file) ? load_folder(w, dir_or_file, err)
                                                   : load_path(w, dir_or_file, err);
    if (s == ASSAY_OK)
        *out = w;
    else
        as_weights_close(w);
    return s;
}

/* ---- conversion ---- */

/* Masks instead of branches: the loops over it are vectorised. */
static inline float f16_to_f32(uint16_t h) {
    const uint32_t magnitude = h & 0x7FFFu;
    const union {
        float f;
        uint32_t u;
    } tiny = {(float)(int32_t)magnitude * 0x1p-24f}; /* subnormal: exact */
    const uint32_t bias = 112u << 23; /* 127 - 15; twice for infinity and NaN: 31 becomes 255 */
    const uint32_t is_tiny = 0u - (uint32_t)(magnitude < 0x0400u);
    const uint32_t is_special = 0u - (uint32_t)(magnitude >= 0x7C00u);
    const uint32_t normal = (magnitude << 13) + bias + (bias & is_special);
    const union {
        uint32_t u;
        float f;
    } out = {(tiny.u & is_tiny) | (normal & ~is_tiny) | (uint32_t)(h & 0x8000u) << 16};
    return out.f;
}

float as_f16_to_f32(uint16_t h) {
    return f16_to_f32(h);
}

uint16_t as_f32_to_bf16(float f) {
    const union {
        float f;
        uint32_t u;
    } x = {f};
    if ((x.u & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(x.u >> 16 | 0x40u); /* stays NaN, and quiet */
    return (uint16_t)((x.u + 0x7FFFu + (x.u >> 16 & 1u)) >> 16);
}

/* Blocks of a fixed length let the compiler vectorise at -O2; memcpy because data in a file may be
 * unaligned. */
enum { BLOCK = 32 };

#define DEFINE_CONVERT(name, type, convert)                                                        \
    static void name(float *out, const unsigned char *in, int64_t n) {                             \
        type x[BLOCK];                                                                             \
        int64_t i = 0;                                                                             \
        for (; i + BLOCK <= n; i += BLOCK) {                                                       \
            memcpy(x, in + (size_t)i * sizeof *x, sizeof x);                                       \
            for (int j = 0; j < BLOCK; j++)                                                        \
                out[i + j] = convert(x[j]);                                                        \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            memcpy(x, in + (size_t)i * sizeof *x, sizeof *x);                                      \
            out[i] = convert(x[0]);                                                                \
        }                                                                                          \
    }
DEFINE_CONVERT(from_f16, uint16_t, f16_to_f32)
DEFINE_CONVERT(from_bf16, uint16_t, as_bf16_to_f32)
DEFINE_CONVERT(from_f64, double, (float))

as_status as_weight_to_f32(float *out, const as_weight_view *v, as_err *err) {
    switch (v->dtype) {
    case AS_F32:
        if (v->numel > 0) memcpy(out, v->data, (size_t)v->numel * sizeof *out);
        return ASSAY_OK;
    case AS_F16:
        from_f16(out, v->data, v->numel);
        return ASSAY_OK;
    case AS_BF16:
        from_bf16(out, v->data, v->numel);
        return ASSAY_OK;
    case AS_F64:
        from_f64(out, v->data, v->numel);
        return ASSAY_OK;
    default:
        break;
    }
    as_fail(err, ASSAY_FORMAT, "%s: tensor \"%s\" has dtype %s, which cannot be converted to float",
            v->file, as_show_name(as_str_of(v->name)).s, as_dtype_name(v->dtype));
    as_hint(err, "Weights must be F32, F16, BF16 or F64; convert the checkpoint first.");
    return ASSAY_FORMAT;
}
