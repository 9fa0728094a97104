/* dnnl_shim.h: the one door to oneDNN's matmul primitive. Its C API changed with version 3 (no op descriptors); both are
 * behind these few functions. Everything is created and run single-threaded: assay cuts the work. */
#ifndef AS_TENSOR_DNNL_SHIM_H
#define AS_TENSOR_DNNL_SHIM_H

#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct as_dnnl as_dnnl;         /* engine, shared */
typedef struct as_dnnl_slot as_dnnl_slot; /* one thread's primitives, memories and scratchpad */

typedef struct as_matmul {
    int64_t m, n, k;      /* c [m, n] = a [m, k] b [k, n] */
    bool a_transposed;    /* a is stored [k, lda]: element (i, j) at a[j * lda + i] */
    bool b_transposed;    /* b is stored [n, ldb] */
    int64_t lda, ldb, ldc;
    bool packed;          /* b is in the layout that as_dnnl_pack_bytes / as_dnnl_pack made for (n, k) */
    bool bias, sum, bf16; /* + bias [n]; c += ; a and b are bf16 */
} as_matmul;

as_status as_dnnl_open(as_dnnl **out, int max_isa_avx2, as_err *err) AS_CHECKED;
void as_dnnl_free(as_dnnl *d);
const char *as_dnnl_version_text(void);
int as_dnnl_isa(void);        /* what its products really use: a cap of another engine, or of the environment, holds for the whole process */
as_dnnl_slot *as_dnnl_slot_new(void);
void as_dnnl_slot_free(as_dnnl_slot *s);
/* Bytes of packed W for y = x W^T, n outputs and k inputs; 0 when oneDNN has no packed layout. */
size_t as_dnnl_pack_bytes(as_dnnl *d, int64_t n, int64_t k, bool bf16);
bool as_dnnl_pack(as_dnnl *d, as_dnnl_slot *s, void *packed, const void *w, int64_t n, int64_t k, bool bf16);
/* false when out of memory, or when oneDNN has no such product. */
bool as_dnnl_matmul(as_dnnl *d, as_dnnl_slot *s, const as_matmul *g, const void *a, const void *b, const float *bias, float *c);
#endif
