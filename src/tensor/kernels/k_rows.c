/* k_rows.c: layer norm, activations, dropout, element-wise work, reductions and the optimiser. */
#include "tensor/kernels/k_local.h"
#include <math.h>

/* Walk n elements: body sees offset i and count c (16 but for the last). */
#define EACH(n, i, c) for (int64_t i = 0, c = 0; (c = (n) - i < LANES ? (n) - i : LANES) > 0; i += LANES)
#define LD(p) v_load_n((p), (int)c)
#define ST(p, x) v_store_n((p), (x), (int)c)

/* --- layer norm --- two passes over the row: the mean, then the centred squares (as accurate as a Welford update and faster) */
static void row_stats(const float *x, int64_t dim, float eps, float *mean, float *rstd) {
    vf s = v_set(0.0f);
    EACH(dim, i, c) s = v_add(s, LD(x + i));
    const float mu = v_sum(s) / (float)dim;
    vf q = v_set(0.0f);
    EACH(dim, i, c) {
        const vf d = v_sub(LD(x + i), v_set(mu));
        if (c == LANES) {
            q = v_fma(d, d, q);
        } else { /* the lanes beyond the row hold -mu: they do not count */
            float t[LANES];
            v_to_array(t, d);
            const vf dd = v_load_n(t, (int)c);
            q = v_fma(dd, dd, q);
        }
    }
    *mean = mu;
    *rstd = 1.0f / sqrtf(v_sum(q) / (float)dim + eps);
}

static void layer_norm(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta,
                       int64_t rows, int64_t dim, float eps) {
    for (int64_t r = 0; r < rows; r++, x += dim, y += dim) {
        float mu, rs;
        row_stats(x, dim, eps, &mu, &rs);
        if (mean) mean[r] = mu, rstd[r] = rs;
        EACH(dim, i, c) {
            const vf n = v_mul(v_sub(LD(x + i), v_set(mu)), v_set(rs));
            const vf g = v_mul(n, LD(gamma + i));
            ST(y + i, beta ? v_add(g, LD(beta + i)) : g);
        }
    }
}

static void layer_norm_bwd(float *dx, const float *dy, const float *x, const float *gamma, const float *mean,
                           const float *rstd, int64_t rows, int64_t dim, bool accumulate) {
    for (int64_t r = 0; r < rows; r++, x += dim, dx += dim, dy += dim) {
        const vf mu = v_set(mean[r]), rs = v_set(rstd[r]);
        vf s1 = v_set(0.0f), s2 = v_set(0.0f);
        EACH(dim, i, c) { /* gamma reads 0 beyond the row, so those lanes add nothing */
            const vf g = v_mul(LD(dy + i), LD(gamma + i));
            s1 = v_add(s1, g);
            s2 = v_fma(g, v_mul(v_sub(LD(x + i), mu), rs), s2);
        }
        const vf m1 = v_set(v_sum(s1) / (float)dim), m2 = v_set(v_sum(s2) / (float)dim);
        EACH(dim, i, c) {
            const vf g = v_mul(LD(dy + i), LD(gamma + i));
            const vf n = v_mul(v_sub(LD(x + i), mu), rs);
            const vf d = v_mul(rs, v_sub(v_sub(g, m1), v_mul(n, m2)));
            ST(dx + i, accumulate ? v_add(LD(dx + i), d) : d);
        }
    }
}

static void layer_norm_params(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean,
                              const float *rstd, int64_t rows, int64_t dim, int64_t c0, int64_t c1) {
    EACH(c1 - c0, i, c) {
        const int64_t j = c0 + i;
        vf g = v_set(0.0f), b = v_set(0.0f);
        for (int64_t r = 0; r < rows; r++) {
            const vf d = LD(dy + r * dim + j);
            g = v_fma(d, v_mul(v_sub(LD(x + r * dim + j), v_set(mean[r])), v_set(rstd[r])), g);
            b = v_add(b, d);
        }
        ST(dgamma + j, v_add(LD(dgamma + j), g));
        if (dbeta) ST(dbeta + j, v_add(LD(dbeta + j), b));
    }
}

static void column_sum(float *out, const float *x, int64_t rows, int64_t ld, int64_t c0, int64_t c1) {
    EACH(c1 - c0, i, c) {
        vf s = v_set(0.0f);
        for (int64_t r = 0; r < rows; r++) s = v_add(s, LD(x + r * ld + c0 + i));
        ST(out + c0 + i, v_add(LD(out + c0 + i), s));
    }
}

/* --- activations: one loop per kind, so that the choice is not made per vector --- */
#define ACT_LOOP(kind, expr)           \
    case kind:                         \
        EACH(n, i, c) { expr; }        \
        break;
#define ACT_EACH(body) \
    switch (act) {     \
        body(AS_ACT_GELU) body(AS_ACT_GELU_TANH) body(AS_ACT_RELU) body(AS_ACT_TANH) body(AS_ACT_SILU) default : break; \
    }
static void act_fwd(float *y, const float *x, int64_t n, as_act act) {
#define BODY(kind) ACT_LOOP(kind, ST(y + i, act_vec(LD(x + i), kind)))
    if (act == AS_ACT_NONE && y != x) memcpy(y, x, (size_t)n * sizeof *y);
    ACT_EACH(BODY)
#undef BODY
}
static void act_bwd(float *dx, const float *dy, const float *pre, int64_t n, as_act act) {
#define BODY(kind) ACT_LOOP(kind, ST(dx + i, v_mul(LD(dy + i), act_slope(LD(pre + i), kind))))
    if (act == AS_ACT_NONE && dx != dy) memcpy(dx, dy, (size_t)n * sizeof *dx);
    ACT_EACH(BODY)
#undef BODY
}

/* --- element-wise --- */
static void add(float *y, const float *x, int64_t n) { EACH(n, i, c) ST(y + i, v_add(LD(y + i), LD(x + i))); }
static void axpy(float *y, const float *x, float a, int64_t n) { EACH(n, i, c) ST(y + i, v_fma(v_set(a), LD(x + i), LD(y + i))); }
static void scale(float *y, float a, int64_t n) { EACH(n, i, c) ST(y + i, v_mul(LD(y + i), v_set(a))); }
static void round_bf16(float *y, const float *x, int64_t n) { EACH(n, i, c) ST(y + i, v_bf16(LD(x + i))); }
static void to_bf16(uint16_t *y, const float *x, int64_t n) { EACH(n, i, c) v_store_bf16(y + i, LD(x + i), (int)c); }

/* --- dropout --- */
/* y = residual + keep ? x / p : 0. Both directions are this one loop: the backward has x = dy and residual = dx. */
static void dropout_add(float *y, const float *x, const float *residual, const int32_t *item, const int32_t *pos,
                        int64_t rows, int64_t dim, as_dropout_key key) {
    if (key.keep >= 65536) {
        for (int64_t r = 0; r < rows * dim; r += dim)
            EACH(dim, i, c) ST(y + r + i, residual ? v_add(LD(residual + r + i), LD(x + r + i)) : LD(x + r + i));
        return;
    }
    const vf up = v_set(65536.0f / (float)key.keep);
    float mask[DROP_BLOCK];
    for (int64_t r = 0; r < rows; r++) {
        const int64_t row = r * dim;
        for (int64_t j = 0; j < dim; j += DROP_BLOCK) {
            drop_mask(mask, key.seed, key.site, (uint32_t)item[r], (uint32_t)pos[r], (uint32_t)(j / DROP_BLOCK), key.keep);
            EACH(dim - j < DROP_BLOCK ? dim - j : DROP_BLOCK, i, c) {
                const vf d = v_mul(v_mul(LD(x + row + j + i), up), v_load(mask + i));
                ST(y + row + j + i, residual ? v_add(LD(residual + row + j + i), d) : d);
            }
        }
    }
}
static void dropout_bwd(float *dx, const float *dy, const int32_t *item, const int32_t *pos, int64_t rows, int64_t dim,
                        as_dropout_key key, bool accumulate) {
    dropout_add(dx, dy, accumulate ? dx : NULL, item, pos, rows, dim, key);
}

/* --- reductions --- */
static float row_max(const float *x, int64_t n) {
    vf m = v_set(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) m = v_max(v_load(x + i), m);
    float top = v_reduce_max(m);
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}
static double sum_exp(const float *x, int64_t n, float shift) {
    double total = 0.0;
    const vf s = v_set(shift);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) total += v_sum_double(v_exp(v_sub(v_load(x + i), s)));
    if (i < n) {
        float t[LANES];
        v_to_array(t, v_exp(v_sub(v_load_n(x + i, (int)(n - i)), s)));
        for (int64_t j = 0; j < n - i; j++) total += (double)t[j];
    }
    return total;
}
static void exp_shift(float *y, const float *x, int64_t n, float shift, float a, bool accumulate) {
    EACH(n, i, c) {
        const vf e = v_mul(v_set(a), v_exp(v_sub(LD(x + i), v_set(shift))));
        ST(y + i, accumulate ? v_add(LD(y + i), e) : e);
    }
}
static float dot(const float *x, const float *y, int64_t n) {
    vf s = v_set(0.0f);
    EACH(n, i, c) s = v_fma(LD(x + i), LD(y + i), s);
    return v_sum(s);
}
/* Blocks of 64 vectors in float lanes, then double: 1e-7 relative whatever n. */
static double sum_squares(const float *x, int64_t n) {
    double total = 0.0;
    for (int64_t j = 0; j < n; j += 64 * LANES) {
        vf s = v_set(0.0f);
        const int64_t len = n - j < 64 * LANES ? n - j : 64 * LANES;
        EACH(len, i, c) {
            const vf a = LD(x + j + i);
            s = v_fma(a, a, s);
        }
        total += v_sum_double(s);
    }
    return total;
}

/* Loshchilov & Hutter 2019 (arXiv:1711.05101), in the order of torch.optim.AdamW: decay, moments, step. */
static void adamw(float *w, float *m, float *v, const float *g, int64_t n, const as_adamw *o) {
    const vf b1 = v_set(o->beta1), b2 = v_set(o->beta2), c1 = v_set(o->fresh1), c2 = v_set(o->fresh2);
    const vf keep = v_set(1.0f - o->lr * o->decay), step = v_set(-o->lr / o->bias1);
    const vf root = v_set(1.0f / sqrtf(o->bias2)), eps = v_set(o->eps), gs = v_set(o->scale);
    EACH(n, i, c) {
        vf mm = v_mul(LD(m + i), b1), vv = v_mul(LD(v + i), b2);
        if (g) {
            const vf gg = v_mul(LD(g + i), gs);
            mm = v_fma(c1, gg, mm);
            vv = v_fma(v_mul(c2, gg), gg, vv);
        }
        const vf denom = v_fma(v_sqrt(vv), root, eps);
        const vf ww = v_fma(step, v_div(mm, denom), v_mul(LD(w + i), keep));
        ST(m + i, mm), ST(v + i, vv), ST(w + i, ww);
    }
}

const as_kernels AS_KERNEL_CAT(as_kernels_, AS_KERNEL_ISA) = {
    .name = AS_KERNEL_NAME(AS_KERNEL_ISA), .panel = PANEL, .tile_rows = ROWS_MAX,
    .gemm = AS_K(gemm), .pack_nt = AS_K(pack_nt),
    .layer_norm = layer_norm, .layer_norm_bwd = layer_norm_bwd, .layer_norm_params = layer_norm_params,
    .column_sum = column_sum, .act = act_fwd, .act_bwd = act_bwd,
    .dropout_add = dropout_add, .dropout_bwd = dropout_bwd, .add = add, .axpy = axpy, .scale = scale,
    .round_bf16 = round_bf16, .to_bf16 = to_bf16,
    .attn_scratch = AS_K(attn_scratch), .attn = AS_K(attn), .attn_bwd = AS_K(attn_bwd),
    .row_max = row_max, .sum_exp = sum_exp, .exp_shift = exp_shift, .dot = dot, .sum_squares = sum_squares,
    .adamw = adamw,
};
