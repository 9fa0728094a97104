#include "base/rng.h"
#include <math.h>

as_philox as_philox_at(uint64_t seed, uint32_t stream, uint32_t a, uint32_t b, uint32_t c) {
    uint32_t x0 = c, x1 = b, x2 = a, x3 = stream;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)p1;
        x3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    return (as_philox){{x0, x1, x2, x3}};
}

as_rng as_rng_at(uint64_t seed, uint32_t stream, uint32_t a) {
    return (as_rng){.seed = seed, .stream = stream, .a = a};
}

uint32_t as_rng_u32(as_rng *r) {
    if (r->left == 0) {
        r->block = as_philox_at(r->seed, r->stream, r->a, r->b, r->c);
        r->left = 4;
        if (++r->c == 0) r->b++;
    }
    return r->block.v[4 - r->left--];
}

double as_rng_double(as_rng *r) {
    const uint32_t hi = as_rng_u32(r);
    return as_u32x2_to_double(hi, as_rng_u32(r));
}

static uint64_t next_u64(as_rng *r) {
    const uint64_t hi = as_rng_u32(r);
    return (hi << 32) | as_rng_u32(r);
}

/* Lemire 2019, "Fast random integer generation in an interval": the high half of draw * n, redrawn
 * while the low half lies in the part that would favour some results. n of 32 bits takes one word a
 * draw, larger n two. */
uint64_t as_rng_below(as_rng *r, uint64_t n) {
    if (n <= UINT32_MAX) {
        const uint32_t n32 = (uint32_t)n;
        uint64_t product = (uint64_t)as_rng_u32(r) * n32;
        if ((uint32_t)product < n32)
            for (const uint32_t floor = (0u - n32) % n32; (uint32_t)product < floor;)
                product = (uint64_t)as_rng_u32(r) * n32;
        return product >> 32;
    }
    unsigned __int128 product = (unsigned __int128)next_u64(r) * n;
    if ((uint64_t)product < n)
        for (const uint64_t floor = (0u - n) % n; (uint64_t)product < floor;)
            product = (unsigned __int128)next_u64(r) * n;
    return (uint64_t)(product >> 64);
}

double as_rng_normal(as_rng *r) {
    const double u = 1.0 - as_rng_double(r); /* (0, 1]: the logarithm is finite */
    const double v = as_rng_double(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

void as_rng_shuffle(as_rng *r, int64_t *v, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)as_rng_below(r, (uint64_t)i + 1);
        const int64_t t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}
