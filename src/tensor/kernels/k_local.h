/* k_local.h: what the kernel files of one ISA level share: activations on vectors, and each other's functions. */
#ifndef AS_KERNELS_LOCAL_H
#define AS_KERNELS_LOCAL_H

#include "tensor/kernels/kernels.h"
#include "tensor/kernels/lanes.h"

/* erfc(z) = exp(-z P(z)) for z >= 0; P by weighted least squares against scipy.special.log_ndtr on [0, 5], beyond
 * which erfc is below 2e-12. |error| of the value < 4e-8. */
AS_INLINE vf v_erfc_pos(vf z) {
    z = v_min(v_set(5.0f), z);
    vf p = v_set(5.620362344416208e-07f);
    p = v_fma(p, z, v_set(-1.2444344406447315e-05f));
    p = v_fma(p, z, v_set(0.00011632808309514076f));
    p = v_fma(p, z, v_set(-0.0005854131304658949f));
    p = v_fma(p, z, v_set(0.0015277385246008635f));
    p = v_fma(p, z, v_set(2.6889674700214528e-05f));
    p = v_fma(p, z, v_set(-0.019284410402178764f));
    p = v_fma(p, z, v_set(0.10282502323389053f));
    p = v_fma(p, z, v_set(0.6366117000579834f));
    p = v_fma(p, z, v_set(1.1283795833587646f));
    return v_exp(v_sub(v_set(0.0f), v_mul(z, p)));
}
/* 2 Phi(x) = 1 + erf(x / sqrt 2), without cancellation on the negative side. */
AS_INLINE vf v_twice_phi(vf x) {
    const vf e = v_erfc_pos(v_mul(v_abs(x), v_set(0.70710678118654752f)));
    return v_blend(v_lt(x, v_set(0.0f)), v_sub(v_set(2.0f), e), e);
}
AS_INLINE vf v_sigmoid(vf x) { return v_div(v_set(1.0f), v_add(v_set(1.0f), v_exp(v_sub(v_set(0.0f), x)))); }
AS_INLINE vf v_gelu_inner(vf x) { /* sqrt(2/pi) (x + 0.044715 x^3) */
    const vf c = v_mul(v_set(0.044715f), v_mul(x, x));
    return v_mul(v_set(0.79788456080286536f), v_fma(c, x, x));
}
AS_INLINE vf act_vec(vf x, as_act act) {
    switch (act) {
    case AS_ACT_GELU: return v_mul(v_mul(x, v_set(0.5f)), v_twice_phi(x));
    case AS_ACT_GELU_TANH: return v_mul(v_mul(x, v_set(0.5f)), v_add(v_set(1.0f), v_tanh(v_gelu_inner(x))));
    case AS_ACT_RELU: return v_max(v_set(0.0f), x);
    case AS_ACT_TANH: return v_tanh(x);
    case AS_ACT_SILU: return v_mul(x, v_sigmoid(x));
    default: return x;
    }
}
/* d act(x) / dx */
AS_INLINE vf act_slope(vf x, as_act act) {
    const vf one = v_set(1.0f), half = v_set(0.5f);
    switch (act) {
    case AS_ACT_GELU: { /* Phi(x) + x phi(x) */
        const vf pdf = v_mul(v_set(0.39894228040143268f), v_exp(v_mul(v_mul(x, x), v_set(-0.5f))));
        return v_fma(x, pdf, v_mul(half, v_twice_phi(x)));
    }
    case AS_ACT_GELU_TANH: {
        const vf t = v_tanh(v_gelu_inner(x));
        const vf inner = v_mul(v_set(0.79788456080286536f), v_fma(v_set(3.0f * 0.044715f), v_mul(x, x), one));
        const vf sech2 = v_sub(one, v_mul(t, t));
        return v_mul(half, v_add(v_add(one, t), v_mul(v_mul(x, sech2), inner)));
    }
    case AS_ACT_RELU: return v_blend(v_lt(v_set(0.0f), x), v_set(0.0f), one);
    case AS_ACT_TANH: {
        const vf t = v_tanh(x);
        return v_sub(one, v_mul(t, t));
    }
    case AS_ACT_SILU: {
        const vf s = v_sigmoid(x);
        return v_mul(s, v_fma(x, v_sub(one, s), one));
    }
    default: return one;
    }
}

/* Random keep-masks, sixteen Philox4x32-10 counters at once (base/rng.h has the scalar form and its source): 128 masks of
 * 16 bits each per call. Counter (block * 16 + lane, pos, item, site), key = seed. keep[j] is 1 or 0. */
#define DROP_BLOCK 128
static inline __attribute__((unused)) void drop_mask(float keep[DROP_BLOCK], uint64_t seed, uint32_t site, uint32_t item, uint32_t pos, uint32_t block,
                             uint32_t threshold) {
    uint32_t x[4][LANES], hi0[LANES], lo0[LANES], hi1[LANES], lo1[LANES];
    for (uint32_t i = 0; i < LANES; i++) x[0][i] = block * LANES + i, x[1][i] = pos, x[2][i] = item, x[3][i] = site;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        u_mulhilo(hi0, lo0, x[0], 0xD2511F53u);
        u_mulhilo(hi1, lo1, x[2], 0xCD9E8D57u);
        for (int i = 0; i < LANES; i++) {
            x[0][i] = hi1[i] ^ x[1][i] ^ k0, x[1][i] = lo1[i];
            x[2][i] = hi0[i] ^ x[3][i] ^ k1, x[3][i] = lo0[i];
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    for (int w = 0; w < 4; w++)
        for (int i = 0; i < LANES; i++) {
            keep[(2 * w) * LANES + i] = (x[w][i] & 0xFFFFu) < threshold ? 1.0f : 0.0f;
            keep[(2 * w + 1) * LANES + i] = (x[w][i] >> 16) < threshold ? 1.0f : 0.0f;
        }
}

void AS_K(gemm)(const as_gemm_args *g, float *scratch);
void AS_K(pack_nt)(float *p, const float *w, int64_t n0, int64_t n1, int64_t depth, int64_t ldw);
size_t AS_K(attn_scratch)(int64_t n, int64_t s, int64_t d);
void AS_K(attn)(const as_attn_args *g, float *scratch);
void AS_K(attn_bwd)(const as_attn_args *g, const as_attn_grads *d, float *scratch);
#endif
