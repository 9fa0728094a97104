/* weights_set.h: what the readers of checkpoint files share: the set of tensors that they fill. Not
 * for other folders. */
#ifndef AS_IO_WEIGHTS_SET_H
#define AS_IO_WEIGHTS_SET_H

#include "base/arena.h"
#include "base/file.h"
#include "io/weights.h"

typedef struct as_weight_file {
    as_map map;
    const char *path, *base; /* in the arena of the set */
} as_weight_file;

/* Invariants: after as_weights_index the table holds every view; names, paths and tables live in
 * `text`; copies of tensors that do not lie contiguously in their file are in `owned`. */
struct as_weight_files {
    as_weight_view *v;
    size_t count, cap;
    uint32_t *slot; /* open addressing, 0 = free, else index + 1; slots is a power of two */
    size_t slots;
    as_weight_file *files;
    size_t file_count, file_cap;
    void **owned;
    size_t owned_count, owned_cap;
    as_arena text;
    bool pickle;
};

as_weight_files *as_weights_new(void); /* NULL without memory */
/* NUL-terminated copy that lives as long as the set; NULL without memory. */
const char *as_weights_keep(as_weight_files *w, as_str s);
/* Append a tensor; its name is copied, everything else is taken as it is. */
as_status as_weights_add(as_weight_files *w, const as_weight_view *v, as_str name,
                         as_err *err) AS_CHECKED;
/* Build the table after the last as_weights_add. A name that occurs twice is AS_FORMAT. */
as_status as_weights_index(as_weight_files *w, const char *where, as_err *err) AS_CHECKED;

/* The readers: add the tensors of bytes p[0..n) to the set. `where` is the path for messages,
 * `base` what views name. */
as_status as_safetensors_load(as_weight_files *w, const unsigned char *p, size_t n,
                              const char *where, const char *base, as_err *err) AS_CHECKED;
as_status as_torch_load(as_weight_files *w, const unsigned char *p, size_t n, const char *where,
                        const char *base, as_err *err) AS_CHECKED;

bool as_dtype_parse(as_str name, as_dtype *out);
int as_dtype_order(
    as_dtype d); /* rank in safetensors' list of dtypes: its writer puts high ranks first */

/* Product of a shape; false when it does not fit int64_t. */
bool as_shape_numel(const int64_t *shape, int rank, int64_t *out);

/* For messages: a name from a file with control bytes replaced, cut to fit; and a count as
 * "90,868,376". */
typedef struct as_shown {
    char s[136];
} as_shown;
as_shown as_show_name(as_str name);
as_shown as_show_count(uint64_t n);
/* `WHERE: WHAT "NAME" ends at byte END, the file at byte SIZE`, with the hint to fetch it again. */
as_status as_fail_cut(as_err *err, const char *where, const char *what, as_str name, uint64_t end,
                      uint64_t size);

static inline uint16_t as_le16(const unsigned char *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t as_le32(const unsigned char *p) {
    return (uint32_t)as_le16(p) | (uint32_t)as_le16(p + 2) << 16;
}
static inline uint64_t as_le64(const unsigned char *p) {
    return (uint64_t)as_le32(p) | (uint64_t)as_le32(p + 4) << 32;
}

#endif
