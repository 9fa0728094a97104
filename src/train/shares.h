/* shares.h: the sum of gradient shards over the ranks of a job. Each rank adds up one region of the gradient, in the order of the tree
 * (dist/tree.h), updates the weights of that region, and spreads them. A rank sends and receives what it does not own twice, once as
 * gradients and once as weights: about 2 x 4 bytes x parameters a step. */
#ifndef AS_TRAIN_SHARES_H
#define AS_TRAIN_SHARES_H

#include "dist/comm.h"
#include "dist/tree.h"

enum { AS_SHARDS_MAX = 8 };

typedef struct as_shares {
    as_comm *comm;
    as_tree tree;
    int first, end;                 /* this rank's shards */
    int root[AS_SHARDS_MAX], root_n; /* roots of the other ranks' subtrees: what this rank receives of its region */
} as_shares;

/* Where the shards of one sum lie: the float at offset `at` of shard s is p[s][at - skip[s]]. Own shards are whole; of the others' roots
 * there is room for the own region. Other shards have none. */
typedef struct as_sums { float *p[AS_SHARDS_MAX]; size_t skip[AS_SHARDS_MAX]; } as_sums;
static inline float *as_sums_at(const as_sums *g, int shard, size_t at) { return g->p[shard] + (at - g->skip[shard]); }

/* AS_USAGE when there are more ranks than shards: some would have nothing to do. */
as_status as_shares_init(as_shares *s, as_comm *comm, int shards, as_err *err) AS_CHECKED;
static inline bool as_shares_alone(const as_shares *s) { return s->tree.ranks == 1; }
/* Parts of [0, n) for the ranks, in multiples of `step` but for the last: begin [ranks + 1]. */
void as_shares_cut(const as_shares *s, size_t begin[AS_SHARDS_MAX + 1], size_t n, size_t step);
/* Together: the others' roots of this rank's region [begin[rank], begin[rank + 1]) of floats. */
as_status as_shares_collect(const as_shares *s, const as_sums *g, const size_t *begin, as_err *err) AS_CHECKED;
/* Together: elements of `size` bytes, of which each rank has its part; afterwards all have all. */
as_status as_shares_spread(const as_shares *s, void *base, size_t size, const size_t *begin, as_err *err) AS_CHECKED;
/* Together: the same to rank 0 alone. */
as_status as_shares_gather(const as_shares *s, void *base, size_t size, const size_t *begin, as_err *err) AS_CHECKED;

#endif
