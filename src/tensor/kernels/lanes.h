/* lanes.h: sixteen float lanes, the one vector type of all kernels. Each kernel is written once over these few
 * operations and compiled once per ISA level. An operation gives the same bits on every level but for as_fma,
 * which rounds once where the processor has FMA (AVX2 and up) and twice elsewhere.
 * Included by kernel sources only: everything is static inline, so that no code of a high ISA level leaks. */
#ifndef AS_KERNELS_LANES_H
#define AS_KERNELS_LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 16
#define AS_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;
AS_INLINE vf v_set(float x) { return _mm512_set1_ps(x); }
AS_INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
AS_INLINE void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
/* First n (0..16) lanes; the others read 0 and are not written. */
AS_INLINE vf v_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p); }
AS_INLINE void v_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), a); }
AS_INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
AS_INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
AS_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
AS_INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
AS_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); } /* a*b + c */
AS_INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); } /* b when either is NaN */
AS_INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
AS_INLINE vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
AS_INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
AS_INLINE vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
AS_INLINE vf v_blend(vm m, vf no, vf yes) { return _mm512_mask_blend_ps(m, no, yes); }
AS_INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* x * 2^n for integral n in [-150, 128]; exact where the result is normal. */
AS_INLINE vf v_ldexp(vf x, vf n) { return _mm512_scalef_ps(x, n); }
AS_INLINE vf v_copysign(vf mag, vf sign) {
    const vi s = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(s, _mm512_castps_si512(sign), _mm512_castps_si512(mag), 0xCA));
}
/* Round to bfloat16 (nearest even) and back; NaN stays NaN: quiet, lest its upper half alone be an infinity. */
AS_INLINE vf v_bf16(vf a) {
    const vi u = _mm512_castps_si512(a);
    const vi lsb = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const vi r = _mm512_add_epi32(u, _mm512_add_epi32(lsb, _mm512_set1_epi32(0x7FFF)));
    const vi quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x00400000));
    const vi t = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), r, quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(t, _mm512_set1_epi32((int)0xFFFF0000u)));
}
AS_INLINE void v_to_array(float out[LANES], vf a) { _mm512_storeu_ps(out, a); }
/* Sixteen 32-bit products of a constant: high and low halves. */
AS_INLINE void u_mulhilo(uint32_t hi[LANES], uint32_t lo[LANES], const uint32_t x[LANES], uint32_t m) {
    const vi a = _mm512_loadu_si512(x), mm = _mm512_set1_epi32((int)m);
    const vi even = _mm512_mul_epu32(a, mm), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), mm);
    _mm512_storeu_si512(lo, _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32)));
    _mm512_storeu_si512(hi, _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd));
}
#define ROWS_MAX 12 /* of the GEMM tile: 24 accumulators, 2 columns of B, the rest for broadcasts */
#define PANEL_VECS 2

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
typedef struct { __m256 a, b; } vf;
typedef struct { __m256 a, b; } vm;
#define AS_V2(x, y) ((vf){(x), (y)})
AS_INLINE vf v_set(float x) { return AS_V2(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
AS_INLINE vf v_load(const float *p) { return AS_V2(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
AS_INLINE void v_store(float *p, vf v) { _mm256_storeu_ps(p, v.a), _mm256_storeu_ps(p + 8, v.b); }
AS_INLINE __m256i as_mask8(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
AS_INLINE vf v_load_n(const float *p, int n) {
    return AS_V2(_mm256_maskload_ps(p, as_mask8(n)), n > 8 ? _mm256_maskload_ps(p + 8, as_mask8(n - 8)) : _mm256_setzero_ps());
}
AS_INLINE void v_store_n(float *p, vf v, int n) {
    _mm256_maskstore_ps(p, as_mask8(n), v.a);
    if (n > 8) _mm256_maskstore_ps(p + 8, as_mask8(n - 8), v.b);
}
AS_INLINE vf v_add(vf x, vf y) { return AS_V2(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
AS_INLINE vf v_sub(vf x, vf y) { return AS_V2(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
AS_INLINE vf v_mul(vf x, vf y) { return AS_V2(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
AS_INLINE vf v_div(vf x, vf y) { return AS_V2(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)); }
AS_INLINE vf v_fma(vf x, vf y, vf z) { return AS_V2(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)); }
AS_INLINE vf v_max(vf x, vf y) { return AS_V2(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }
AS_INLINE vf v_min(vf x, vf y) { return AS_V2(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)); }
AS_INLINE vf v_sqrt(vf x) { return AS_V2(_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)); }
AS_INLINE vf v_abs(vf x) {
    const __m256 s = _mm256_set1_ps(-0.0f);
    return AS_V2(_mm256_andnot_ps(s, x.a), _mm256_andnot_ps(s, x.b));
}
AS_INLINE vm v_lt(vf x, vf y) { return (vm){_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)}; }
AS_INLINE vf v_blend(vm m, vf no, vf yes) { return AS_V2(_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)); }
AS_INLINE vf v_round(vf x) {
    return AS_V2(_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
AS_INLINE __m256 as_scale2_half(__m256 x, __m256 n) {
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)));
}
AS_INLINE vf v_ldexp(vf x, vf n) { /* in two halves: 2^128 is no float */
    const vf h = v_round(v_mul(n, v_set(0.5f))), l = v_sub(n, h);
    x = AS_V2(as_scale2_half(x.a, h.a), as_scale2_half(x.b, h.b));
    return AS_V2(as_scale2_half(x.a, l.a), as_scale2_half(x.b, l.b));
}
AS_INLINE vf v_copysign(vf mag, vf sign) {
    const __m256 s = _mm256_set1_ps(-0.0f);
    return AS_V2(_mm256_or_ps(_mm256_andnot_ps(s, mag.a), _mm256_and_ps(s, sign.a)), _mm256_or_ps(_mm256_andnot_ps(s, mag.b), _mm256_and_ps(s, sign.b)));
}
AS_INLINE __m256 as_bf16_half(__m256 a) {
    const __m256i u = _mm256_castps_si256(a);
    const __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(_mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x00400000));
    const __m256 t = _mm256_blendv_ps(_mm256_castsi256_ps(r), _mm256_castsi256_ps(quiet), _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_and_ps(t, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xFFFF0000u)));
}
AS_INLINE vf v_bf16(vf x) { return AS_V2(as_bf16_half(x.a), as_bf16_half(x.b)); }
AS_INLINE void v_to_array(float out[LANES], vf x) { v_store(out, x); }
#define ROWS_MAX 6
#define PANEL_VECS 1

#else /* plain C: the oracle of the levels above, and what other processors run */
typedef struct { float v[LANES]; } vf;
typedef struct { uint32_t v[LANES]; } vm;
#define AS_EACH(expr) vf r; for (int i = 0; i < LANES; i++) r.v[i] = (expr); return r
AS_INLINE vf v_set(float x) { AS_EACH(x); }
AS_INLINE vf v_load(const float *p) { vf r; memcpy(r.v, p, sizeof r.v); return r; }
AS_INLINE void v_store(float *p, vf a) { memcpy(p, a.v, sizeof a.v); }
AS_INLINE vf v_load_n(const float *p, int n) { AS_EACH(i < n ? p[i] : 0.0f); }
AS_INLINE void v_store_n(float *p, vf a, int n) { for (int i = 0; i < n; i++) p[i] = a.v[i]; }
AS_INLINE vf v_add(vf a, vf b) { AS_EACH(a.v[i] + b.v[i]); }
AS_INLINE vf v_sub(vf a, vf b) { AS_EACH(a.v[i] - b.v[i]); }
AS_INLINE vf v_mul(vf a, vf b) { AS_EACH(a.v[i] * b.v[i]); }
AS_INLINE vf v_div(vf a, vf b) { AS_EACH(a.v[i] / b.v[i]); }
AS_INLINE vf v_fma(vf a, vf b, vf c) { AS_EACH(a.v[i] * b.v[i] + c.v[i]); }
AS_INLINE vf v_max(vf a, vf b) { AS_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
AS_INLINE vf v_min(vf a, vf b) { AS_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
AS_INLINE vf v_sqrt(vf a) { AS_EACH(__builtin_sqrtf(a.v[i])); }
AS_INLINE vf v_abs(vf a) { AS_EACH(__builtin_fabsf(a.v[i])); }
AS_INLINE vm v_lt(vf a, vf b) { vm r; for (int i = 0; i < LANES; i++) r.v[i] = a.v[i] < b.v[i]; return r; }
AS_INLINE vf v_blend(vm m, vf no, vf yes) { AS_EACH(m.v[i] ? yes.v[i] : no.v[i]); }
/* |a| < 2^22: adding and taking away 1.5 * 2^23 rounds to nearest even. */
AS_INLINE vf v_round(vf a) { AS_EACH((a.v[i] + 12582912.0f) - 12582912.0f); }
AS_INLINE float as_pow2(int32_t n) {
    const uint32_t u = (uint32_t)(n + 127) << 23;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
AS_INLINE vf v_ldexp(vf x, vf n) { /* in two halves: 2^128 is no float */
    vf r;
    for (int i = 0; i < LANES; i++) {
        const int32_t whole = n.v[i] == n.v[i] ? (int32_t)n.v[i] : 0, h = whole / 2; /* NaN is no integer; x is NaN then, too */
        r.v[i] = x.v[i] * as_pow2(h) * as_pow2(whole - h);
    }
    return r;
}
AS_INLINE vf v_copysign(vf mag, vf sign) { AS_EACH(__builtin_copysignf(mag.v[i], sign.v[i])); }
AS_INLINE vf v_bf16(vf a) {
    vf r;
    for (int i = 0; i < LANES; i++) {
        uint32_t u;
        memcpy(&u, &a.v[i], sizeof u);
        u = (a.v[i] == a.v[i] ? u + 0x7FFFu + ((u >> 16) & 1u) : u | 0x00400000u) & 0xFFFF0000u;
        memcpy(&r.v[i], &u, sizeof u);
    }
    return r;
}
AS_INLINE void v_to_array(float out[LANES], vf a) { memcpy(out, a.v, sizeof a.v); }
#define ROWS_MAX 3
#define PANEL_VECS 1
#endif

#define PANEL (LANES * PANEL_VECS)
#if !defined(__AVX512F__)
AS_INLINE void u_mulhilo(uint32_t hi[LANES], uint32_t lo[LANES], const uint32_t x[LANES], uint32_t m) {
    for (int i = 0; i < LANES; i++) {
        const uint64_t p = (uint64_t)x[i] * m;
        hi[i] = (uint32_t)(p >> 32), lo[i] = (uint32_t)p;
    }
}
#endif

/* Store the first n lanes as bfloat16. */
AS_INLINE void v_store_bf16(uint16_t *p, vf a, int n) {
#if defined(__AVX512F__)
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1u), _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v_bf16(a)), 16)));
#else
    uint32_t t[LANES];
    v_to_array((float *)t, v_bf16(a));
    for (int j = 0; j < n; j++) p[j] = (uint16_t)(t[j] >> 16);
#endif
}

/* Fold sixteen lanes in one fixed order: 8, 4, 2, 1 apart. */
#if defined(__AVX512F__)
AS_INLINE float v_sum(vf a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)), d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
#else
AS_INLINE float v_sum(vf a) {
    float t[LANES];
    v_to_array(t, a);
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++) t[i] += t[i + w];
    return t[0];
}
#endif
AS_INLINE float v_reduce_max(vf a) {
    float t[LANES];
    v_to_array(t, a);
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++) t[i] = t[i + w] > t[i] ? t[i + w] : t[i];
    return t[0];
}
AS_INLINE double v_sum_double(vf a) {
    float t[LANES];
    v_to_array(t, a);
    double s = 0.0;
    for (int i = 0; i < LANES; i++) s += (double)t[i];
    return s;
}

/* exp(x), |relative error| < 1.3e-7 on [-87.3, 88.3]; 0 below, clamped above, NaN of NaN: v_min and v_max
 * return their second operand when one is NaN, so x stands there. Cody-Waite reduction by ln 2 in two parts,
 * then a degree-6 polynomial, by minimax of the relative error on [-ln2/2, ln2/2] (3e-9). */
AS_INLINE vf v_exp(vf x) {
    const vm tiny = v_lt(x, v_set(-87.33654f));
    x = v_min(v_set(88.37626f), v_max(v_set(-87.33654f), x));
    const vf n = v_round(v_mul(x, v_set(1.44269504088896341f)));
    vf r = v_fma(n, v_set(-0.693359375f), x);
    r = v_fma(n, v_set(2.12194440e-4f), r);
    vf p = v_set(1.3820658e-3f);
    p = v_fma(p, r, v_set(8.3686747e-3f));
    p = v_fma(p, r, v_set(4.1668266e-2f));
    p = v_fma(p, r, v_set(1.6666521e-1f));
    p = v_fma(p, r, v_set(4.9999994e-1f));
    p = v_fma(v_mul(p, r), r, v_add(r, v_set(1.0f)));
    return v_blend(tiny, v_ldexp(p, n), v_set(0.0f));
}
AS_INLINE vf v_tanh(vf x) {
    const vf a = v_min(v_set(9.1f), v_abs(x));
    /* Small arguments by an odd polynomial, where 1 - 2/(e+1) would cancel. */
    const vf s = v_mul(x, x);
    vf p = v_set(-5.70498872745e-3f);
    p = v_fma(p, s, v_set(2.06390887954e-2f));
    p = v_fma(p, s, v_set(-5.37397155531e-2f));
    p = v_fma(p, s, v_set(1.33314422036e-1f));
    p = v_fma(p, s, v_set(-3.33332819422e-1f));
    const vf small = v_fma(v_mul(p, s), x, x);
    const vf e = v_exp(v_add(a, a));
    const vf big = v_copysign(v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(e, v_set(1.0f)))), x);
    return v_blend(v_lt(a, v_set(0.625f)), big, small);
}
#endif
