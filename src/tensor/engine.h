/* engine.h: what runs the arithmetic: the kernels of one ISA level, matrix products (oneDNN's or ours), and a work space per
 * thread. Immutable after open but for the work spaces, each of which belongs to one thread at a time.
 *
 * Rows: every buffer that a matrix product reads or writes has room for a multiple of AS_ROW_STEP rows, the rows past
 * the last real one being zero or finite. A row's result does not depend on how many rows a call has: oneDNN's
 * kernels are probed for that at open, and held to one row count where a row differs. */
#ifndef AS_TENSOR_ENGINE_H
#define AS_TENSOR_ENGINE_H

#include "base/arena.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/status.h"
#include "tensor/kernels/kernels.h"

typedef struct as_engine as_engine;

typedef enum as_compute { AS_COMPUTE_F32, AS_COMPUTE_BF16 } as_compute;
typedef enum as_gemm_kind { AS_GEMM_AUTO, AS_GEMM_OWN, AS_GEMM_DNNL } as_gemm_kind;

typedef struct as_engine_opts {
    as_isa isa;            /* at most this level; AS_ISA_COUNT - 1 = whatever the machine has */
    int threads;           /* 0 = as_cpu_count() */
    as_compute compute;    /* operands of linear layers; all else is fp32 */
    as_gemm_kind gemm;     /* AUTO: oneDNN from AVX-512 on, else ours */
    bool force_bf16;       /* tests: oneDNN's bf16 products even where the processor has no such instruction */
    const as_log *log;
} as_engine_opts;
static inline as_engine_opts as_engine_defaults(void) { return (as_engine_opts){.isa = (as_isa)(AS_ISA_COUNT - 1)}; }

as_status as_engine_open(as_engine **out, const as_engine_opts *o, as_err *err) AS_CHECKED;
void as_engine_free(as_engine *e);
const as_kernels *as_engine_kernels(const as_engine *e);
as_isa as_engine_isa(const as_engine *e);
int as_engine_threads(const as_engine *e);
as_compute as_engine_compute(const as_engine *e);
const char *as_engine_gemm_name(const as_engine *e);  /* "oneDNN 2.6.3", "own" */
bool as_engine_rows_fixed(const as_engine *e);        /* the probe found a row that depends on the row count */

#define AS_ROW_STEP 16
#define AS_ROW_MAX 256 /* rows of one product; longer inputs are cut here */
static inline int64_t as_rows_padded(int64_t rows) { return (rows + AS_ROW_STEP - 1) / AS_ROW_STEP * AS_ROW_STEP; }

/* A weight W [n, k] of y = x W^T + b, in the layout that the product asks for. Private copy; refilled after each
 * optimiser step. */
typedef struct as_pack as_pack;
enum {
    AS_PACK_BACKWARD = 1, /* dX is asked for, too */
    AS_PACK_FEW_ROWS = 2, /* a head, which sees one row per sequence: each output is one short-chained fp32 dot product, whatever
                           * the compute type; slower than a matrix product, and several times nearer to the exact sum */
};
as_status as_pack_new(as_pack **out, as_engine *e, int64_t n, int64_t k, unsigned use, as_err *err) AS_CHECKED;
/* The same in the arena's memory, which outlives the pack: many packs side by side lie on few huge pages. */
as_status as_pack_new_in(as_pack **out, as_engine *e, as_arena *from, int64_t n, int64_t k, unsigned use, as_err *err) AS_CHECKED;
void as_pack_free(as_pack *p);
/* w [n, k] row-major. For backward, w is kept by reference for dX (fp32) or copied (bf16). One thread (slot). */
as_status as_pack_fill(as_engine *e, as_pack *p, const float *w, int slot, as_err *err) AS_CHECKED;
size_t as_pack_bytes(const as_pack *p);

/* `slot` names the calling thread's work space, 0 <= slot < threads. A product that runs out of memory for its work space fails. */
typedef struct as_linear_args {
    float *y;            /* [m, n] */
    const float *x;      /* [m, k] */
    const as_pack *pack;
    const float *bias;   /* [n] or NULL */
    as_act act;
    float *pre;          /* [m, n] what the activation is applied to, or NULL */
    int64_t m;
} as_linear_args;
bool as_linear_forward(as_engine *e, const as_linear_args *g, int slot);
/* dx [m, k] (+)= dy [m, n] W */
bool as_linear_dx(as_engine *e, float *dx, const float *dy, const as_pack *pack, int64_t m, bool accumulate, int slot);
/* Panels [p0, p1) of the rows of dw [n, k] (+)= dy^T x, in blocks of AS_ROW_MAX tokens. Panels are fixed by n. */
int64_t as_linear_dw_panels(int64_t n);
bool as_linear_dw(as_engine *e, float *dw, const float *dy, const float *x, int64_t m, int64_t n, int64_t k, int64_t p0, int64_t p1, bool accumulate,
                  int slot);
/* y [m, n] = x [m, k] w^T for a row-major, unpacked w (a slice of an embedding table): the tied head. */
bool as_product_nt(as_engine *e, float *y, int64_t ldy, const float *x, const float *w, int64_t m, int64_t n, int64_t k, int slot);
/* c [m, k] += a [m, n] w [n, k]; and c [n, k] += a [m, n]^T b [m, k]: always our own kernel. */
bool as_product_nn(as_engine *e, float *c, const float *a, int64_t lda, const float *w, int64_t m, int64_t n, int64_t k, int slot);
bool as_product_tn(as_engine *e, float *c, const float *a, int64_t lda, const float *b, int64_t m, int64_t n, int64_t k, int slot);
/* The products of a language-model head with n rows of its table, w [n, k] as it lies, computed as linear layers are: by oneDNN and
 * in bf16 where the engine does so. A slice is lent to one slot until that opens another. */
typedef struct as_slice { const float *w; const void *operand; int64_t n, k; } as_slice;
bool as_slice_open(as_engine *e, as_slice *out, const float *w, int64_t n, int64_t k, int slot);
bool as_slice_logits(as_engine *e, float *y, const float *x, const as_slice *w, int64_t m, int slot);   /* y [m, n] = x [m, k] w^T */
bool as_slice_dx(as_engine *e, float *dx, const float *dy, const as_slice *w, int64_t m, int slot);     /* dx [m, k] += dy [m, n] w */
bool as_slice_dw(as_engine *e, float *dw, const float *dy, const float *x, const as_slice *w, int64_t m, int slot); /* dw [n, k] += dy^T x; dy's padding rows are 0 */
/* A float buffer of the slot, at least n floats, for kernels that ask for scratch. NULL when out of memory. */
float *as_engine_scratch(as_engine *e, int slot, size_t n);

#endif
