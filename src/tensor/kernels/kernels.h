/* kernels.h: the table of compute kernels of one ISA level. Kernels return void and cannot fail: shapes are checked where
 * an op is recorded. Matrices are row-major; ld is the distance between rows in elements. No kernel splits a row
 * over threads, and each output depends on its own row (or column) alone, so that results do not depend on how
 * the caller cuts rows into calls. */
#ifndef AS_KERNELS_KERNELS_H
#define AS_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum as_act { AS_ACT_NONE, AS_ACT_GELU, AS_ACT_GELU_TANH, AS_ACT_RELU, AS_ACT_TANH, AS_ACT_SILU, AS_ACT_COUNT } as_act;

/* B of C = A B, cut into panels of `panel` columns: element (k, n) lies at p[((n / panel) * depth + k) * panel + n % panel];
 * the columns that fill the last panel are zero. */
typedef struct as_gemm_args {
    const float *a;    /* A(i, k) = a[i * a_row + k * a_depth] */
    int64_t a_row, a_depth;
    const float *b;    /* panels, or with b_plain a row-major [depth, n] matrix of row distance ldb */
    int64_t ldb;
    bool b_plain;
    float *c;          /* [m, n] */
    int64_t ldc;
    int64_t m, n, depth;
    const float *bias; /* [n] or NULL: added last */
    float *pre;        /* [m, n] like c: what the activation is applied to; NULL when not needed */
    as_act act;
    bool accumulate;   /* C += instead of C = ; excludes bias and act */
} as_gemm_args;

/* One attention problem: one sequence, one head. */
typedef struct as_attn_args {
    const float *q, *k, *v;   /* [n, d], [s, d], [s, d] with their row distances */
    int64_t ldq, ldk, ldv;
    float *out;               /* [n, d] */
    int64_t ldo;
    int64_t n, s, d;
    float scale, soft_cap;    /* soft cap 0 = none: c * tanh(x / c) before bias and mask */
    const float *bias;        /* [n, s] with row distance ldbias, added to the scores; NULL = none */
    int64_t ldbias;
    int64_t causal_offset;    /* query i sees keys j <= i + offset; INT64_MAX = all */
    int64_t window;           /* and |i + q0 - j| <= window on either side; INT64_MAX = all */
    int64_t window_offset;    /* q0: position of query 0 on the key axis */
    float *lse;               /* [n] log-sum-exp of each row of scores, for backward; NULL = not needed */
    float *taps;              /* [n, s] the attention weights, for explanations; NULL = not needed */
    uint32_t drop_keep;       /* keep a weight when its 16 random bits are below this; 65536 = no dropout */
    uint64_t drop_seed;
    uint32_t drop_item, drop_site; /* counters of the mask: see dropout */
} as_attn_args;
typedef struct as_attn_grads {
    const float *dout;        /* [n, d], row distance lddo */
    int64_t lddo;
    const float *out;         /* the forward's output */
    float *dq, *dk, *dv;      /* += */
    int64_t lddq, lddk, lddv;
    float *dbias;             /* += [n, s] or NULL */
} as_attn_grads;

typedef struct as_dropout_key { uint64_t seed; uint32_t site, keep; } as_dropout_key; /* keep of 65536; 65536 = off */

typedef struct as_adamw {
    float lr, beta1, beta2, eps, decay;
    float fresh1, fresh2; /* 1 - beta1, 1 - beta2, rounded once */
    float scale;        /* gradient multiplier: clip and 1/accumulation */
    float bias1, bias2; /* 1 - beta1^t, 1 - beta2^t */
} as_adamw;

typedef struct as_kernels {
    const char *name;
    int panel, tile_rows;
    /* --- matrix products --- */
    void (*gemm)(const as_gemm_args *g, float *scratch);  /* scratch: gemm_scratch(depth) floats (used when b_plain) */
    /* Pack B = W^T for y = x W^T, W [n, depth] row-major: columns [n0, n1) of B, n0 a multiple of panel. */
    void (*pack_nt)(float *p, const float *w, int64_t n0, int64_t n1, int64_t depth, int64_t ldw);
    /* --- rows --- */
    /* y = LN(x) * gamma + beta over [rows, dim]; mean, rstd [rows] out or NULL. */
    void (*layer_norm)(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta, int64_t rows, int64_t dim, float eps);
    /* dx (+)= ; dgamma, dbeta are separate: layer_norm_params. */
    void (*layer_norm_bwd)(float *dx, const float *dy, const float *x, const float *gamma, const float *mean, const float *rstd, int64_t rows, int64_t dim, bool accumulate);
    /* dgamma, dbeta += over columns [c0, c1), all rows in order. */
    void (*layer_norm_params)(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean, const float *rstd, int64_t rows, int64_t dim, int64_t c0, int64_t c1);
    void (*column_sum)(float *out, const float *x, int64_t rows, int64_t ld, int64_t c0, int64_t c1); /* += */
    void (*act)(float *y, const float *x, int64_t n, as_act act);
    void (*act_bwd)(float *dx, const float *dy, const float *pre, int64_t n, as_act act); /* dx = dy * act'(pre); dx may be dy */
    /* y = residual + dropout(x); residual may be NULL. item, pos [rows] key the mask. y may be x. */
    void (*dropout_add)(float *y, const float *x, const float *residual, const int32_t *item, const int32_t *pos, int64_t rows, int64_t dim, as_dropout_key key);
    /* dx (+)= mask * dy */
    void (*dropout_bwd)(float *dx, const float *dy, const int32_t *item, const int32_t *pos, int64_t rows, int64_t dim, as_dropout_key key, bool accumulate);
    void (*add)(float *y, const float *x, int64_t n);                    /* y += x */
    void (*axpy)(float *y, const float *x, float a, int64_t n);          /* y += a x */
    void (*scale)(float *y, float a, int64_t n);
    void (*round_bf16)(float *y, const float *x, int64_t n);             /* to bf16 values kept as float */
    void (*to_bf16)(uint16_t *y, const float *x, int64_t n);
    /* --- attention --- */
    size_t (*attn_scratch)(int64_t n, int64_t s, int64_t d);             /* floats, for forward and backward */
    void (*attn)(const as_attn_args *g, float *scratch);
    void (*attn_bwd)(const as_attn_args *g, const as_attn_grads *d, float *scratch);
    /* --- losses --- */
    float (*row_max)(const float *x, int64_t n);
    /* sum of exp(x - shift), sixteen lanes folded, then double over blocks */
    double (*sum_exp)(const float *x, int64_t n, float shift);
    /* y = a * exp(x - shift) (+ y when accumulate) */
    void (*exp_shift)(float *y, const float *x, int64_t n, float shift, float a, bool accumulate);
    float (*dot)(const float *x, const float *y, int64_t n);
    double (*sum_squares)(const float *x, int64_t n);
    /* --- optimiser --- */
    void (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, const as_adamw *o); /* g NULL = zero gradient */
} as_kernels;

size_t as_gemm_scratch(int64_t depth); /* floats that gemm needs */

extern const as_kernels as_kernels_portable, as_kernels_avx2, as_kernels_avx512;

#define AS_KERNEL_CAT2(a, b) a##b
#define AS_KERNEL_CAT(a, b) AS_KERNEL_CAT2(a, b)
#define AS_KERNEL_NAME2(x) #x
#define AS_KERNEL_NAME(x) AS_KERNEL_NAME2(x)
/* A function shared between the kernel files of one ISA level: as_k_gemm -> as_k_gemm_avx2. */
#define AS_K(name) AS_KERNEL_CAT(AS_KERNEL_CAT(as_k_##name, _), AS_KERNEL_ISA)
#endif
