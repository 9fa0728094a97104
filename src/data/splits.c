/* splits.c: parts of a data set that share no cluster and no duplicate, with the same mix of classes.
 * Records are first joined into groups (one record each, where nothing joins them); groups are then dealt whole. All
 * draws come from (seed, AS_STREAM_SPLIT, kind of split), so a split depends on the records and the seed alone. */
#include "base/hash.h"
#include "base/mem.h"
#include "data/records.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAW_DEV = 0, DRAW_FOLDS = 1 };

void as_index_free(as_index *i) {
    if (!i) return;
    as_free(i->v);
    *i = (as_index){0};
}

/* ---- groups ---- */

typedef struct groups {
    int64_t n;
    int64_t *begin;    /* [n + 1] into member */
    int64_t *member;   /* record indices; groups in the order of their first records */
    int64_t classes;
    int64_t *class_n;  /* [classes] records of each class */
} groups;

static void groups_free(groups *g) {
    as_free(g->begin);
    as_free(g->member);
    as_free(g->class_n);
}

static int64_t class_of(const as_records *r, int64_t i) {
    if (r->kind != AS_LABEL_CLASS) return 0;
    return r->v[i].label >= 0 ? r->v[i].label : r->labels.count;
}

/* The least record of i's group; paths are halved on the way, and roots only ever point down. */
static int64_t root_of(int64_t *parent, int64_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void join(int64_t *parent, int64_t a, int64_t b) {
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b) parent[b] = a;
    else parent[a] = b;
}

typedef struct keyed { uint64_t key; int64_t record; } keyed;

static int by_key(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record;
}

/* Join records of equal keys. Equal hashes of unequal contents would join two groups for nothing, which no promise
 * forbids, so contents are not compared. */
static void join_equal(int64_t *parent, keyed *v, int64_t n) {
    if (n > 0) qsort(v, (size_t)n, sizeof *v, by_key);
    for (int64_t i = 1; i < n; i++)
        if (v[i].key == v[i - 1].key) join(parent, v[i - 1].record, v[i].record);
}

static void join_records(int64_t *parent, keyed *v, const as_records *r) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) parent[i] = i;
    for (int64_t i = 0; i < r->n; i++) {
        const as_str text = r->v[i].text, pair = r->v[i].pair;
        v[i] = (keyed){as_hash64(pair.p, pair.n, as_hash64(text.p, text.n, 0)), i};
    }
    join_equal(parent, v, r->n);
    for (int64_t i = 0; i < r->n; i++)
        if (r->v[i].cluster.n) v[n++] = (keyed){as_hash64(r->v[i].cluster.p, r->v[i].cluster.n, 0), i};
    join_equal(parent, v, n);
}

/* Lists from parents: count, sum up, fill. number[root] is the group's number. */
static void list_groups(groups *g, int64_t *parent, int64_t *number, int64_t n) {
    g->n = 0;
    memset(g->begin, 0, (size_t)(n + 1) * sizeof *g->begin);
    for (int64_t i = 0; i < n; i++) {
        const int64_t root = root_of(parent, i);
        if (root == i) number[i] = g->n++;
        g->begin[number[root] + 1]++;
    }
    for (int64_t k = 0; k < g->n; k++) g->begin[k + 1] += g->begin[k];
    for (int64_t i = n - 1; i >= 0; i--) { /* from behind, so that begin[k + 1] ends as the first place of k */
        const int64_t k = number[root_of(parent, i)];
        g->member[--g->begin[k + 1]] = i;
    }
    for (int64_t k = 0; k < g->n; k++) g->begin[k] = g->begin[k + 1];
    g->begin[g->n] = n;
}

static as_status groups_make(groups *g, const as_records *r, as_err *err) {
    const size_t n = (size_t)r->n;
    *g = (groups){.classes = r->kind == AS_LABEL_CLASS ? (int64_t)r->labels.count + 1 : 1};
    int64_t *parent = as_alloc(n + 1, sizeof *parent), *number = as_alloc(n + 1, sizeof *number);
    keyed *v = as_alloc(n + 1, sizeof *v);
    g->begin = as_alloc(n + 1, sizeof *g->begin);
    g->member = as_alloc(n + 1, sizeof *g->member);
    g->class_n = as_calloc((size_t)g->classes, sizeof *g->class_n);
    as_status status = AS_OK;
    if (!parent || !number || !v || !g->begin || !g->member || !g->class_n) {
        status = as_fail_nomem(err, "a split", n * (sizeof *v + 4 * sizeof *parent));
    } else {
        join_records(parent, v, r);
        list_groups(g, parent, number, r->n);
        for (int64_t i = 0; i < r->n; i++) g->class_n[class_of(r, i)]++;
    }
    as_free(parent);
    as_free(number);
    as_free(v);
    if (status != AS_OK) groups_free(g);
    return status;
}

static int64_t group_size(const groups *g, int64_t k) { return g->begin[k + 1] - g->begin[k]; }

/* Group numbers in an order drawn from the seed. */
static int64_t *shuffled(const groups *g, uint64_t seed, uint32_t draw, as_err *err) {
    int64_t *order = as_alloc((size_t)g->n + 1, sizeof *order);
    if (!order) {
        const as_status status = as_fail_nomem(err, "a split", (size_t)g->n * sizeof *order);
        (void)status;
        return NULL;
    }
    for (int64_t k = 0; k < g->n; k++) order[k] = k;
    as_rng rng = as_rng_at(seed, AS_STREAM_SPLIT, draw);
    as_rng_shuffle(&rng, order, g->n);
    return order;
}

/* side[record]: false = a, true = b. */
static as_status deal_out(as_index *a, as_index *b, const bool *side, int64_t n, as_err *err) {
    a->v = as_alloc((size_t)n + 1, sizeof *a->v);
    b->v = as_alloc((size_t)n + 1, sizeof *b->v);
    if (!a->v || !b->v) {
        as_index_free(a);
        as_index_free(b);
        return as_fail_nomem(err, "a split", (size_t)n * 2 * sizeof *a->v);
    }
    for (int64_t i = 0; i < n; i++) {
        as_index *to = side[i] ? b : a;
        to->v[to->n++] = i;
    }
    return AS_OK;
}

static as_status fail_groups(const as_records *r, const groups *g, int64_t parts, as_err *err) {
    const as_status status = as_fail(err, AS_USAGE, "%s: %" PRId64 " records in %" PRId64 " groups cannot be cut into "
                                     "%" PRId64 " parts", r->path ? r->path : "data", r->n, g->n, parts);
    as_hint(err, "Records with the same cluster or the same text stay together; give more data or ask for fewer parts.");
    return status;
}

/* ---- dev ---- */

typedef struct share { double remainder; int64_t class; } share;

static int by_remainder(const void *a, const void *b) {
    const share *x = a, *y = b;
    if (x->remainder != y->remainder) return x->remainder > y->remainder ? -1 : 1;
    return x->class < y->class ? -1 : x->class > y->class;
}

/* quota[class]: what dev takes of it. Largest remainders get what rounding down leaves over. */
static as_status dev_quota(int64_t *quota, const groups *g, int64_t n, double fraction, as_err *err) {
    share *v = as_alloc((size_t)g->classes, sizeof *v);
    if (!v) return as_fail_nomem(err, "a split", (size_t)g->classes * sizeof *v);
    int64_t left = (int64_t)floor(fraction * (double)n + 0.5);
    if (left < 1) left = 1;
    if (left > n - 1) left = n - 1;
    for (int64_t c = 0; c < g->classes; c++) {
        const double exact = fraction * (double)g->class_n[c];
        quota[c] = (int64_t)floor(exact);
        v[c] = (share){exact - floor(exact), c};
        left -= quota[c];
    }
    qsort(v, (size_t)g->classes, sizeof *v, by_remainder);
    for (int64_t i = 0; i < g->classes && left > 0; i++) {
        const int64_t c = v[i].class;
        if (quota[c] + 1 >= g->class_n[c] && g->class_n[c] > 0) continue; /* train keeps one of each class */
        if (g->class_n[c] == 0) continue;
        quota[c]++;
        left--;
    }
    as_free(v);
    return AS_OK;
}

/* Does the group fit in what is left of each of its classes? Takes it when it does. */
static bool take_if_fits(int64_t *quota, const groups *g, int64_t k, const as_records *r) {
    int64_t i = g->begin[k];
    while (i < g->begin[k + 1] && quota[class_of(r, g->member[i])] > 0) quota[class_of(r, g->member[i++])]--;
    if (i == g->begin[k + 1]) return true;
    while (i-- > g->begin[k]) quota[class_of(r, g->member[i])]++;
    return false;
}

static void mark(bool *side, const groups *g, int64_t k) {
    for (int64_t i = g->begin[k]; i < g->begin[k + 1]; i++) side[g->member[i]] = true;
}

static void choose_dev(bool *side, int64_t *quota, const int64_t *order, const groups *g, const as_records *r) {
    bool any = false;
    int64_t smallest = order[0];
    for (int64_t i = 0; i < g->n; i++) {
        if (group_size(g, order[i]) < group_size(g, smallest)) smallest = order[i];
        if (!take_if_fits(quota, g, order[i], r)) continue;
        mark(side, g, order[i]);
        any = true;
    }
    if (!any) mark(side, g, smallest);
}

as_status as_split_dev(as_index *train, as_index *dev, const as_records *r, double dev_fraction, uint64_t seed,
                       as_err *err) {
    groups g;
    *train = *dev = (as_index){0};
    if (!(dev_fraction > 0 && dev_fraction < 1)) {
        const as_status status = as_fail(err, AS_USAGE, "a dev fraction of %g is not between 0 and 1", dev_fraction);
        as_hint(err, "Use a share of the records such as 0.1.");
        return status;
    }
    AS_TRY(groups_make(&g, r, err));
    as_status status = g.n >= 2 ? AS_OK : fail_groups(r, &g, 2, err);
    int64_t *order = status == AS_OK ? shuffled(&g, seed, DRAW_DEV, err) : NULL;
    int64_t *quota = as_alloc((size_t)g.classes, sizeof *quota);
    bool *side = as_calloc((size_t)r->n + 1, sizeof *side);
    if (status == AS_OK && (!order || !quota || !side)) status = as_fail_nomem(err, "a split", (size_t)r->n);
    if (status == AS_OK) status = dev_quota(quota, &g, r->n, dev_fraction, err);
    if (status == AS_OK) {
        choose_dev(side, quota, order, &g, r);
        status = deal_out(train, dev, side, r->n, err);
    }
    as_free(order);
    as_free(quota);
    as_free(side);
    groups_free(&g);
    return status;
}

/* ---- folds ---- */

typedef struct dealt { int64_t group, size, class, place; } dealt;

/* Large groups first, while there is still room to even them out; then class by class, in drawn order. */
static int by_deal(const void *a, const void *b) {
    const dealt *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* The fold that holds least of the group's classes (as shares of each class), then least in all, then the first.
 * held [folds, classes]. */
static int best_fold(const int64_t *held, const int64_t *total, int folds, const groups *g, int64_t k,
                     const as_records *r) {
    int best = 0;
    double least = INFINITY;
    for (int f = 0; f < folds; f++) {
        double load = 0;
        for (int64_t i = g->begin[k]; i < g->begin[k + 1]; i++) {
            const int64_t c = class_of(r, g->member[i]);
            load += (double)held[f * g->classes + c] / (double)g->class_n[c];
        }
        if (load < least || (load == least && total[f] < total[best])) {
            least = load;
            best = f;
        }
    }
    return best;
}

static as_status choose_folds(int *fold_of, int folds, const int64_t *order, const groups *g, const as_records *r,
                              as_err *err) {
    dealt *v = as_alloc((size_t)g->n + 1, sizeof *v);
    int64_t *total = as_calloc((size_t)folds, sizeof *total), *held = NULL;
    uint64_t cells;
    if (as_mul_u64((uint64_t)folds, (uint64_t)g->classes, &cells) && cells <= SIZE_MAX)
        held = as_calloc((size_t)cells, sizeof *held);
    as_status status = AS_OK;
    if (!v || !total || !held) {
        status = as_fail_nomem(err, "folds", (size_t)g->n * sizeof *v);
        goto done;
    }
    for (int64_t i = 0; i < g->n; i++)
        v[i] = (dealt){order[i], group_size(g, order[i]), class_of(r, g->member[g->begin[order[i]]]), i};
    qsort(v, (size_t)g->n, sizeof *v, by_deal);
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t k = v[i].group;
        const int f = best_fold(held, total, folds, g, k, r);
        fold_of[k] = f;
        total[f] += v[i].size;
        for (int64_t m = g->begin[k]; m < g->begin[k + 1]; m++) held[f * g->classes + class_of(r, g->member[m])]++;
    }
done:
    as_free(v);
    as_free(total);
    as_free(held);
    return status;
}

as_status as_split_fold(as_index *train, as_index *test, const as_records *r, int fold, int folds, uint64_t seed,
                        as_err *err) {
    groups g;
    *train = *test = (as_index){0};
    if (folds < 2 || fold < 0 || fold >= folds) {
        const as_status status = as_fail(err, AS_USAGE, "fold %d of %d does not exist", fold, folds);
        as_hint(err, "Folds are counted from 0, and there are at least 2.");
        return status;
    }
    AS_TRY(groups_make(&g, r, err));
    as_status status = g.n >= folds ? AS_OK : fail_groups(r, &g, folds, err);
    int64_t *order = status == AS_OK ? shuffled(&g, seed, DRAW_FOLDS, err) : NULL;
    int *fold_of = as_alloc((size_t)g.n + 1, sizeof *fold_of);
    bool *side = as_calloc((size_t)r->n + 1, sizeof *side);
    if (status == AS_OK && (!order || !fold_of || !side)) status = as_fail_nomem(err, "folds", (size_t)r->n);
    if (status == AS_OK) status = choose_folds(fold_of, folds, order, &g, r, err);
    if (status == AS_OK) {
        for (int64_t k = 0; k < g.n; k++)
            if (fold_of[k] == fold) mark(side, &g, k);
        status = deal_out(train, test, side, r->n, err);
    }
    as_free(order);
    as_free(fold_of);
    as_free(side);
    groups_free(&g);
    return status;
}
