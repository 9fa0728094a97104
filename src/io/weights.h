/* weights.h: named tensors out of and into checkpoint files: safetensors (single and sharded by
 * model.safetensors.index.json) and pytorch_model.bin (zip or legacy pickle, read by a restricted
 * reader that executes nothing; sharded too). Data stay memory-mapped. Every offset and size is
 * checked before a pointer is formed. */
#ifndef AS_IO_WEIGHTS_H
#define AS_IO_WEIGHTS_H

#include "base/status.h"
#include "io/json.h"
#include <stdbool.h>
#include <stdint.h>

/* From AS_U16 on: read and written, but never converted. */
typedef enum as_dtype {
    AS_F32,
    AS_F16,
    AS_BF16,
    AS_F64,
    AS_I64,
    AS_I32,
    AS_I16,
    AS_I8,
    AS_U8,
    AS_BOOL,
    AS_U16,
    AS_U32,
    AS_U64,
    AS_C64,
    AS_F8_E4M3,
    AS_F8_E5M2,
    AS_F8_E8M0,
    AS_F8_E4M3FNUZ,
    AS_F8_E5M2FNUZ,
    AS_DTYPE_COUNT
} as_dtype;
size_t as_dtype_size(as_dtype d);
const char *as_dtype_name(as_dtype d); /* safetensors' names: "F32" ... */

#define AS_MAX_RANK 8
typedef struct as_weight_view {
    const char *name;
    as_dtype dtype;
    int rank;
    int64_t shape[AS_MAX_RANK];
    int64_t numel;
    const void *data; /* contiguous, row-major; may be unaligned; lives as long as the file set */
    const char *file; /* base name of the file that holds it, for messages */
} as_weight_view;

typedef struct as_weight_files as_weight_files;
/* Open what a checkpoint folder holds: model.safetensors, else its index, else pytorch_model.bin,
 * else its index. Or a single file by path. Missing: AS_IO that lists what was looked for. */
as_status as_weights_open(as_weight_files **out, const char *dir_or_file, as_err *err) AS_CHECKED;
void as_weights_close(as_weight_files *w);
size_t as_weights_count(const as_weight_files *w);
const as_weight_view *as_weights_at(const as_weight_files *w, size_t i);
const as_weight_view *as_weights_find(const as_weight_files *w,
                                      const char *name); /* hash lookup; NULL when absent */
const char *as_weights_format(const as_weight_files *w); /* "safetensors" or "pickle" */
size_t as_weights_file_count(const as_weight_files *w);
const char *as_weights_file_path(const as_weight_files *w, size_t i); /* for hashing: provenance */
/* Convert to float: out [numel]. AS_FORMAT for dtypes other than F32, F16, BF16 and F64. */
as_status as_weight_to_f32(float *out, const as_weight_view *v, as_err *err) AS_CHECKED;

/* Write one safetensors file, atomically: metadata {"format":"pt"}, header padded with spaces to 8
 * bytes, tensors sorted as the safetensors library sorts them (by its order of dtypes, widest
 * first, then by name): the bytes are those of Python's safetensors.torch.save_file. Tied tensors
 * are written as often as they are listed. */
as_status as_safetensors_write(const char *path, const as_weight_view *v, size_t count,
                               as_err *err) AS_CHECKED;

/* Parse from memory, for fuzzing and tests. The bytes are borrowed: they must outlive the file set.
 * The pickle one takes what torch.save writes, zip or legacy. `where` names the bytes in messages.
 */
as_status as_safetensors_parse(as_weight_files **out, const void *bytes, size_t n,
                               const char *where, as_err *err) AS_CHECKED;
as_status as_pickle_parse(as_weight_files **out, const void *bytes, size_t n, const char *where,
                          as_err *err) AS_CHECKED;

float as_f16_to_f32(uint16_t h);
static inline float as_bf16_to_f32(uint16_t h) {
    const union {
        uint32_t u;
        float f;
    } x = {(uint32_t)h << 16};
    return x.f;
}
uint16_t as_f32_to_bf16(float f); /* round to nearest even; NaN stays NaN */
#endif
