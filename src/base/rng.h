/* rng.h: counter-based random numbers, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"). A draw is a pure function of (seed, stream, a, b, c): it does not depend on threads or order.
 *   key = (seed lo32, seed hi32); counter = (c, b, a, stream). */
#ifndef AS_BASE_RNG_H
#define AS_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef enum as_stream { /* what the draw is for; never renumber: results depend on it */
    AS_STREAM_INIT = 1,     /* weight initialisation: a = tensor, (b,c) = element block */
    AS_STREAM_SHUFFLE = 2,  /* a = epoch */
    AS_STREAM_DROPOUT = 3,  /* a = step, b = site, c = element block within item */
    AS_STREAM_SPLIT = 4,    /* train/dev splits and folds */
    AS_STREAM_BOOTSTRAP = 5,/* a = resample */
    AS_STREAM_PERMUTE = 6,  /* a = resample */
    AS_STREAM_MASK = 7,     /* masked LM */
    AS_STREAM_SAMPLE = 8,   /* everything else that draws items */
    AS_STREAM_PERTURB = 9   /* a = item, b = kind of perturbation and the item's other half */
} as_stream;

typedef struct as_philox { uint32_t v[4]; } as_philox;
as_philox as_philox_at(uint64_t seed, uint32_t stream, uint32_t a, uint32_t b, uint32_t c);
/* [0, 1) with 24 and 53 bits. */
static inline float as_u32_to_float(uint32_t x) { return (float)(x >> 8) * 0x1p-24f; }
static inline double as_u32x2_to_double(uint32_t hi, uint32_t lo) {
    return (double)((((uint64_t)hi << 32) | lo) >> 11) * 0x1p-53;
}

/* A sequential view of one (seed, stream, a): for shuffles and resampling. */
typedef struct as_rng { uint64_t seed; uint32_t stream, a, b, c, left; as_philox block; } as_rng;
as_rng as_rng_at(uint64_t seed, uint32_t stream, uint32_t a);
uint32_t as_rng_u32(as_rng *r);
double as_rng_double(as_rng *r);                 /* [0,1), 53 bits */
uint64_t as_rng_below(as_rng *r, uint64_t n);    /* unbiased (Lemire), n > 0 */
double as_rng_normal(as_rng *r);                 /* Box-Muller */
void as_rng_shuffle(as_rng *r, int64_t *v, int64_t n); /* Fisher-Yates */

#endif
