#include "train/shares.h"
#include <string.h>

enum { MOST = AS_SHARDS_MAX * AS_SHARDS_MAX }; /* roots of all ranks, to all ranks */

as_status as_shares_init(as_shares *s, as_comm *comm, int shards, as_err *err) {
    *s = (as_shares){.comm = comm, .tree = {shards, as_comm_size(comm), as_comm_rank(comm)}};
    if (s->tree.ranks > shards) {
        (void)as_fail(err, AS_USAGE, "%d processes, and %d gradient shard%s: some would have nothing to do", s->tree.ranks, shards, shards == 1 ? "" : "s");
        if (s->tree.ranks <= AS_SHARDS_MAX) as_hint(err, "Start at most %d, or give --grad-shards %d; shards are part of the recipe, and change the result by rounding.", shards, AS_SHARDS_MAX);
        else as_hint(err, "Start at most %d; --grad-shards makes up to %d.", shards, AS_SHARDS_MAX);
        return AS_USAGE;
    }
    as_tree_range(&s->tree, s->tree.rank, &s->first, &s->end);
    for (int i = 0; i < shards; i++)
        if (!as_tree_mine(&s->tree, i) && as_tree_root(&s->tree, i)) s->root[s->root_n++] = i;
    return AS_OK;
}

void as_shares_cut(const as_shares *s, size_t begin[AS_SHARDS_MAX + 1], size_t n, size_t step) {
    const size_t steps = (n + step - 1) / step, ranks = (size_t)s->tree.ranks;
    for (size_t r = 0; r <= ranks; r++) {
        const size_t at = steps * r / ranks * step;
        begin[r] = at < n ? at : n;
    }
}

as_status as_shares_collect(const as_shares *s, const as_sums *g, const size_t *begin, as_err *err) {
    as_parcel send[MOST], receive[MOST];
    size_t send_n = 0, receive_n = 0;
    const int me = s->tree.rank;
    for (int r = 0; r < s->tree.ranks; r++)
        for (int i = s->first; r != me && i < s->end; i++)
            if (as_tree_root(&s->tree, i)) send[send_n++] = (as_parcel){as_sums_at(g, i, begin[r]), (begin[r + 1] - begin[r]) * sizeof(float), r};
    for (int k = 0; k < s->root_n; k++)
        receive[receive_n++] = (as_parcel){as_sums_at(g, s->root[k], begin[me]), (begin[me + 1] - begin[me]) * sizeof(float), as_tree_owner(&s->tree, s->root[k])};
    return as_comm_exchange(s->comm, send, send_n, receive, receive_n, err);
}

static as_status hand_on(const as_shares *s, void *base, size_t size, const size_t *begin, bool all, as_err *err) {
    as_parcel send[AS_SHARDS_MAX], receive[AS_SHARDS_MAX];
    size_t send_n = 0, receive_n = 0;
    const int me = s->tree.rank;
    for (int r = 0; r < s->tree.ranks; r++) {
        if (r == me) continue;
        if (all || r == 0) send[send_n++] = (as_parcel){(char *)base + begin[me] * size, (begin[me + 1] - begin[me]) * size, r};
        if (all || me == 0) receive[receive_n++] = (as_parcel){(char *)base + begin[r] * size, (begin[r + 1] - begin[r]) * size, r};
    }
    return as_comm_exchange(s->comm, send, send_n, receive, receive_n, err);
}
as_status as_shares_spread(const as_shares *s, void *base, size_t size, const size_t *begin, as_err *err) { return hand_on(s, base, size, begin, true, err); }
as_status as_shares_gather(const as_shares *s, void *base, size_t size, const size_t *begin, as_err *err) { return hand_on(s, base, size, begin, false, err); }
