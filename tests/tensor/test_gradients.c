/* test_gradients.c: the backward of every op of as_ops against central differences of its forward,
 * for inputs, parameters and additive biases; and the losses against their closed forms. */
#include "base/status.h"
#include "tensor/ops.h"
#include "tensor_check.h"
#include <stdlib.h>

enum { VARS = 6 };
typedef struct var { /* something a case has a gradient for */
    int64_t rows, cols;
    float *x, *dx;
    bool fixed;      /* no gradient wanted */
    as_tensor *leaf; /* inputs: the tensor of this forward */
    as_param p;      /* parameters */
    int32_t *slots;  /* sparse ones: slot of each row or -1 */
} var;
typedef struct batch {
    as_seqs s;
    int64_t begin[16];
    int32_t ids[400], types[400], pos[400], item[400];
} batch;
struct grad_case;
typedef struct world {
    const struct grad_case *t;
    as_engine *e;
    as_ctx c;
    var in[VARS], par[VARS], extra; /* extra: attention's additive bias [heads, rows, cols] */
    int n_in, n_par;
    batch q, kv;
    as_grads grads;
    float *dense[VARS];
    int32_t *row_slot[VARS];
    float *proj;
} world;
/* Tolerance: of a five-point difference with h = 1/32 the truncation is h^4/30 f5 = 3e-8 f5; an
 * error of the forward of 1e-6 (its sums have up to some hundred terms of size 1) becomes 1e-6
 * * 1.5 / h = 5e-5. `tol` is relative to 1 + |gradient|. */
typedef struct grad_case {
    const char *name;
    const as_op *op;
    void (*make)(world *w);
    as_tensor *(*build)(world *w); /* NULL for a loss */
    bool (*loss)(world *w);
    double tol;
    int kind; /* the case's own */
} grad_case;
#define STEP 0x1p-5f

/* Values are multiples of 2^-12, so that a step of 2^-5 is exact. */
static float *grid_values(int64_t n, uint32_t seed, float spread) {
    float *x = filled(n, 0, seed, spread);
    for (int64_t i = 0; i < n; i++)
        x[i] = rintf(x[i] * 4096.0f) / 4096.0f;
    return x;
}
static var *input(world *w, int64_t rows, int64_t cols, float spread) {
    var *v = &w->in[w->n_in++];
    *v = (var){
        .rows = rows, .cols = cols, .x = grid_values(rows * cols, 100 + (uint32_t)w->n_in, spread)};
    return v;
}
static var *param(world *w, int64_t rows, int64_t cols, float spread, bool packed) {
    const int i = w->n_par++;
    var *v = &w->par[i];
    *v = (var){.rows = rows,
               .cols = cols,
               .x = grid_values(rows * cols, 200 + (uint32_t)i, spread),
               .dx = room(rows * cols, 0)};
    v->p = (as_param){
        .name = "p", .rows = rows, .cols = cols, .w = v->x, .trainable = true, .index = i};
    if (packed) assert_int_equal(as_pack_new(&v->p.pack, w->e, rows, cols, AS_PACK_BACKWARD, NULL), AS_OK);
    return v;
}
static void sequences(batch *b, const int64_t *lens, int64_t count) {
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        b->begin[i] = at;
        for (int64_t j = 0; j < lens[i]; j++, at++) {
            assert_true(at < 400);
            b->ids[at] = (int32_t)(at * 5 % 7), b->types[at] = (int32_t)(j > lens[i] / 2),
            b->pos[at] = (int32_t)j, b->item[at] = (int32_t)(i * 31 + 4);
        }
    }
    b->begin[count] = at;
    b->s = (as_seqs){.count = count,
                     .tokens = at,
                     .begin = b->begin,
                     .ids = b->ids,
                     .types = b->types,
                     .pos = b->pos,
                     .item = b->item};
}

/* --- running a case --- */
/* The case built once or twice over the same inputs and parameters; the loss is sum(proj * y1) + 2
 * sum(proj * y2), or what the loss op adds up. */
static double forward(world *w, int times, as_tensor *out[2]) {
    as_ctx *c = &w->c;
    as_ctx_reset(c);
    c->drop_seed = 99;
    for (int i = 0; i < w->n_par; i++)
        if (w->par[i].p.pack)
            assert_int_equal(as_pack_fill(w->e, w->par[i].p.pack, w->par[i].x, 0, NULL), AS_OK);
    for (int i = 0; i < w->n_in; i++) {
        var *v = &w->in[i];
        v->leaf = as_tensor_new(c, v->rows, v->cols, !v->fixed);
        assert_non_null(v->leaf);
        memcpy(v->leaf->x, v->x, (size_t)(v->rows * v->cols) * sizeof *v->x);
    }
    double loss = 0;
    for (int t = 0; t < times; t++) {
        out[t] = NULL;
        if (w->t->loss) {
            assert_true(w->t->loss(w));
            continue;
        }
        out[t] = w->t->build(w);
        assert_non_null(out[t]);
        if (!w->proj) w->proj = filled(out[t]->rows * out[t]->cols, 0, 300, 1.0f);
        for (int64_t i = 0; i < out[t]->rows * out[t]->cols; i++)
            loss += (t + 1) * (double)w->proj[i] * (double)out[t]->x[i];
    }
    assert_false(c->failed);
    return w->t->loss ? c->loss : loss;
}
static void backward(world *w, int times, as_tensor *out[2]) {
    for (int i = 0; i < w->n_par; i++)
        memset(w->par[i].dx, 0, (size_t)(w->par[i].rows * w->par[i].cols) * sizeof(float));
    if (w->extra.dx)
        memset(w->extra.dx, 0, (size_t)(w->extra.rows * w->extra.cols) * sizeof(float));
    for (int t = 0; t < times && out[t]; t++) {
        bool fresh;
        float *d = as_tensor_grad(&w->c, out[t], &fresh);
        assert_true(d && fresh);
        for (int64_t i = 0; i < out[t]->rows * out[t]->cols; i++)
            d[i] = (float)(t + 1) * w->proj[i];
    }
    assert_true(as_ctx_backward(&w->c));
}

static double difference(world *w, int times, float *x) {
    as_tensor *out[2];
    const float before = *x;
    double f[4];
    const float step[] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
        *x = before + step[i] * STEP;
        f[i] = forward(w, times, out);
    }
    *x = before;
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)STEP);
}
static void check_var(world *w, const char *who, const char *what, int times, var *v,
                      const float *dx) {
    const int64_t n = v->rows * v->cols;
    const int64_t samples = getenv("ASSAY_FULL") ? 64 : 12;
    as_rng r = as_rng_at(17, AS_STREAM_SAMPLE, (uint32_t)times);
    for (int64_t k = 0; k < (n < samples ? n : samples); k++) {
        const int64_t i = n <= samples ? k : (int64_t)as_rng_below(&r, (uint64_t)n);
        int64_t at = i;
        if (v->slots) {
            if (v->slots[i / v->cols] < 0) continue;
            at = v->slots[i / v->cols] * v->cols + i % v->cols;
        }
        const double got = (double)dx[at], want = difference(w, times, v->x + i);
        NEAR(who, what, i, got, want, w->t->tol * (1.0 + fabs(want)));
    }
}
/* Fill what the context will hand out with NaN: fresh memory is zero, which hides a missing clear.
 */
static void soil(as_ctx *c, int threads) {
    enum { ARENA = 1 << 19, SCRATCH = 1 << 16 };
    float *x = as_ctx_push(c, ARENA, sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < ARENA; i++)
        x[i] = NAN;
    as_ctx_reset(c);
    for (int s = 0; s < threads; s++) {
        float *y = as_engine_scratch(c->e, s, SCRATCH);
        assert_non_null(y);
        for (int i = 0; i < SCRATCH; i++)
            y[i] = NAN;
    }
}
static void run_case(const grad_case *t, as_engine *e, const char *engine, int threads, int times) {
    world w = {.t = t, .e = e};
    char who[128];
    snprintf(who, sizeof who, "%s, %s, %d threads%s", t->name, engine, threads,
             times > 1 ? ", twice" : "");
    assert_int_equal(as_ctx_init(&w.c, e, 0, threads, NULL), AS_OK);
    w.c.training = true;
    t->make(&w);
    for (int i = 0; i < w.n_par; i++)
        w.dense[i] = w.par[i].fixed ? NULL : w.par[i].dx, w.row_slot[i] = w.par[i].slots,
        w.par[i].p.trainable = !w.par[i].fixed;
    w.grads = (as_grads){.dense = w.dense, .row_slot = w.row_slot};
    w.c.grads = &w.grads;
    soil(&w.c, threads);
    as_tensor *out[2];
    forward(&w, times, out);
    backward(&w, times, out);
    for (int i = 0; i < w.n_in; i++) { /* the arena is reused below: keep the analytic gradients */
        var *v = &w.in[i];
        if (v->fixed) continue;
        assert_non_null(v->leaf->dx);
        for (int64_t j = 0; j < v->rows * v->cols; j++)
            assert_true(isfinite(v->leaf->dx[j]));
        v->dx = copied(v->leaf->dx, v->rows * v->cols, 0);
        for (int64_t j = v->rows * v->cols; j < as_rows_padded(v->rows) * v->cols; j++)
            assert_true(v->leaf->dx[j] == 0.0f);
    }
    double size = 0;
    for (int i = 0; i < w.n_in; i++)
        if (!w.in[i].fixed) {
            check_var(&w, who, "dx", times, &w.in[i], w.in[i].dx);
            for (int64_t j = 0; j < w.in[i].rows * w.in[i].cols; j++)
                size += fabs((double)w.in[i].dx[j]);
        }
    for (int i = 0; i < w.n_par; i++)
        if (!w.par[i].fixed) {
            check_var(&w, who, "dw", times, &w.par[i], w.par[i].dx);
            for (int64_t j = 0; j < w.par[i].rows * w.par[i].cols; j++)
                size += fabs((double)w.par[i].dx[j]);
        }
    if (w.extra.dx) check_var(&w, who, "dbias", times, &w.extra, w.extra.dx);
    assert_true(size > 1e-3); /* a gradient of nothing tests nothing */
    for (int i = 0; i < w.n_par; i++)
        as_pack_free(w.par[i].p.pack);
    as_ctx_deinit(&w.c);
    room_free_all();
}

/* --- the cases --- */
static const int64_t lens_mixed[] = {1, 5, 17, 2};

static void make_embed(world *w) {
    sequences(&w->q, lens_mixed, 4);
    param(w, 7, 19, 1.0f, false), param(w, 17, 19, 1.0f, false), param(w, 2, 19, 1.0f, false);
    if (w->t->kind == 1) { /* the word table keeps slots for the rows 0..6 but 3, in another order;
                              3 is not in the batch */
        var *v = &w->par[0];
        v->slots = as_calloc(7, sizeof *v->slots);
        rooms_here()->at[rooms_here()->n++] = v->slots;
        for (int i = 0; i < 7; i++)
            v->slots[i] = i == 3 ? -1 : i == 6 ? 3 : i;
        for (int64_t i = 0; i < w->q.s.tokens; i++)
            if (w->q.ids[i] == 3) w->q.ids[i] = 4;
        v->slots[5] = 4, v->slots[4] = 5;
        v->p.sparse = true;
    }
}
static as_tensor *build_embed(world *w) {
    const bool bare = w->t->kind == 2;
    return as_embed(&w->c, &w->q.s, &w->par[0].p, bare ? NULL : &w->par[1].p,
                    bare ? NULL : &w->par[2].p);
}
static void make_embed_bare(world *w) {
    sequences(&w->q, lens_mixed, 4), param(w, 7, 19, 1.0f, false);
}

static void make_linear(world *w) {
    input(w, 37, 21, 1.0f), param(w, 11, 21, 0.5f, true), param(w, 1, 11, 1.0f, false);
    if (w->t->kind == AS_ACT_RELU) /* far from the kink */
        for (int j = 0; j < 11; j++)
            w->par[1].x[j] = j % 2 ? 13.0f : -13.0f;
}
static void make_linear_wide(world *w) {
    input(w, 20, 6, 1.0f), param(w, 600, 6, 0.5f, true), param(w, 1, 600, 1.0f, false);
}
static void make_linear_long(world *w) {
    input(w, 290, 6, 1.0f), param(w, 5, 6, 0.5f, true), param(w, 1, 5, 1.0f, false);
}
static void make_linear_frozen(world *w) {
    make_linear(w), w->par[0].fixed = true;
}
static void make_linear_first(world *w) {
    make_linear(w), w->in[0].fixed = true;
}
static as_tensor *build_linear(world *w) {
    return as_linear(&w->c, w->in[0].leaf, &w->par[0].p, &w->par[1].p, (as_act)w->t->kind);
}
static void make_linear_bare(world *w) {
    input(w, 9, 21, 1.0f), param(w, 11, 21, 0.5f, true);
}
static as_tensor *build_linear_bare(world *w) {
    return as_linear(&w->c, w->in[0].leaf, &w->par[0].p, NULL, AS_ACT_GELU);
}

enum {
    NORM_PLAIN = 0,
    NORM_RESIDUAL = 1,
    NORM_DROP = 2,
    NORM_NO_BETA = 4,
    NORM_FIXED_X = 8,
    NORM_FIXED_RES = 16,
    NORM_SELF = 32,
    NORM_BETA_ONLY = 64,
    NORM_GAMMA_ONLY = 128
};
static void make_norm(world *w) {
    const int64_t dim = 35;
    const int k = w->t->kind;
    sequences(&w->q, lens_mixed, 4);
    input(w, w->q.s.tokens, dim, 2.0f)->fixed = k & NORM_FIXED_X;
    if (k & NORM_RESIDUAL) input(w, w->q.s.tokens, dim, 2.0f)->fixed = k & NORM_FIXED_RES;
    param(w, 1, dim, 1.5f, false)->fixed = k & NORM_BETA_ONLY;
    if (!(k & NORM_NO_BETA)) param(w, 1, dim, 1.0f, false)->fixed = k & NORM_GAMMA_ONLY;
}
static as_tensor *build_norm(world *w) {
    const int k = w->t->kind;
    as_tensor *res = k & NORM_SELF ? w->in[0].leaf : k & NORM_RESIDUAL ? w->in[1].leaf : NULL;
    return as_norm(&w->c, w->in[0].leaf, res, k & NORM_DROP ? 0.25f : 0.0f,
                   k & NORM_DROP ? &w->q.s : NULL, &w->par[0].p,
                   k & NORM_NO_BETA ? NULL : &w->par[1].p, 1e-5f);
}

enum {
    AT_CAUSAL = 1,
    AT_WINDOW = 2,
    AT_GROUPS = 4,
    AT_CAP = 8,
    AT_BIAS = 16,
    AT_DROP = 32,
    AT_CROSS = 64,
    AT_LONG = 128,
    AT_APART = 256
};
static void make_attention(world *w) {
    static const int64_t shorter[] = {1, 5, 49, 3}, longer[] = {60, 1, 101},
                         cross_q[] = {1, 50, 6, 3}, cross_k[] = {7, 2, 1, 55},
                         causal_k[] = {4, 50, 9, 55};
    const int k = w->t->kind;
    const int64_t heads = 4, kv = k & AT_GROUPS ? 2 : 4, d = 6;
    if (k & AT_CROSS) {
        sequences(&w->q, cross_q, 4), sequences(&w->kv, k & AT_CAUSAL ? causal_k : cross_k, 4);
        input(w, w->q.s.tokens, heads * d, 1.5f), input(w, w->kv.s.tokens, 2 * kv * d + 1, 1.5f);
    } else {
        sequences(&w->q, k & AT_LONG ? longer : shorter, k & AT_LONG ? 3 : 4), w->kv = w->q;
        w->kv.s.begin = w->kv.begin;
        if (k & AT_APART)
            input(w, w->q.s.tokens, heads * d, 1.5f), input(w, w->q.s.tokens, kv * d, 1.5f),
                input(w, w->q.s.tokens, kv * d, 1.5f);
        else
            input(w, w->q.s.tokens, (heads + 2 * kv) * d, 1.5f);
    }
    if (k & AT_BIAS) {
        const int64_t n = heads * 110;
        w->extra = (var){
            .rows = n, .cols = 110, .x = grid_values(n * 110, 7, 1.0f), .dx = room(n * 110, 0)};
    }
}
static as_tensor *build_attention(world *w) {
    const int k = w->t->kind;
    const int64_t heads = 4, kv = k & AT_GROUPS ? 2 : 4, d = 6;
    const bool cross = k & AT_CROSS, apart = k & AT_APART;
    const as_attention a = {.q = w->in[0].leaf,
                            .k = cross || apart ? w->in[1].leaf : w->in[0].leaf,
                            .v = apart   ? w->in[2].leaf
                                 : cross ? w->in[1].leaf
                                         : w->in[0].leaf,
                            .q_at = 0,
                            .k_at = cross || apart ? 0 : heads * d,
                            .v_at = apart   ? 0
                                    : cross ? kv * d + 1
                                            : (heads + kv) * d,
                            .q_seqs = &w->q.s,
                            .kv_seqs = cross ? &w->kv.s : &w->q.s,
                            .heads = heads,
                            .kv_heads = kv,
                            .head_dim = d,
                            .scale = 0.4f,
                            .soft_cap = k & AT_CAP ? 1.0f : 0.0f,
                            .dropout = k & AT_DROP ? 0.25f : 0.0f,
                            .causal = k & AT_CAUSAL,
                            .window = k & AT_WINDOW ? 4 : 0,
                            .bias = w->extra.x,
                            .dbias = w->extra.dx,
                            .bias_rows = 110,
                            .bias_cols = 110};
    return as_attend(&w->c, &a);
}

static void make_rows(world *w) {
    sequences(&w->q, lens_mixed, 4), input(w, w->q.s.tokens, 21, 2.0f);
}
static as_tensor *build_dropout(world *w) {
    return as_dropout(&w->c, w->in[0].leaf, 0.3f, w->q.item, w->q.pos);
}
static void make_act(world *w) {
    make_rows(w);
    for (int64_t i = 0; i < w->in[0].rows * w->in[0].cols && w->t->kind == AS_ACT_RELU; i++)
        w->in[0].x[i] += w->in[0].x[i] < 0 ? -0.25f : 0.25f;
}
static as_tensor *build_act(world *w) {
    return as_activate(&w->c, w->in[0].leaf, (as_act)w->t->kind);
}
static void make_two(world *w) {
    input(w, 19, 7, 1.0f), input(w, 19, 7, 1.0f);
}
static as_tensor *build_add(world *w) {
    return as_add_tensors(&w->c, w->in[0].leaf, w->in[w->t->kind].leaf);
}
static void make_one(world *w) {
    input(w, 19, 7, 1.0f);
}
static const int64_t picked[] = {3, 0, 18, 3, 3, 7};
static as_tensor *build_pick(world *w) {
    return as_pick(&w->c, w->in[0].leaf, picked, AS_COUNT(picked));
}
static void make_pool(world *w) {
    static const int64_t lens[] = {1, 5, 0, 17, 2};
    sequences(&w->q, lens, 5);
    var *v = input(w, w->q.s.tokens, 21, 2.0f);
    if (w->t->kind == AS_POOL_MAX) /* maxima half a unit ahead of all others */
        for (int64_t i = 0; i < v->rows * v->cols; i++)
            v->x[i] = 0.5f * (float)((i / v->cols * 7 + i % v->cols * 3) % v->rows);
}
static as_tensor *build_pool(world *w) {
    return as_pool(&w->c, w->in[0].leaf, &w->q.s, (as_pooling)w->t->kind);
}
static as_tensor *build_unit(world *w) {
    return as_unit(&w->c, w->in[0].leaf);
}

static const int32_t classes[] = {0, 2, AS_IGNORE, 1, 1, 0, 2, 2, AS_IGNORE, 0};
static const float class_weights[] = {0.5f, 2.0f, 1.25f};
static void make_classes(world *w) {
    input(w, 10, 3, 3.0f);
}
static bool loss_class(world *w) {
    return as_class_loss(&w->c, w->in[0].leaf, classes, w->t->kind ? class_weights : NULL,
                         w->t->kind ? 0.2f : 0.0f, 0.7f, NULL);
}
static const uint8_t flags[30] = {1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1};
static bool loss_binary(world *w) {
    return as_binary_loss(&w->c, w->in[0].leaf, flags, 0.7f, NULL);
}
static const float numbers[10] = {1.0f, -2.0f, 0.5f, 3.0f};
static bool loss_square(world *w) {
    return as_square_loss(&w->c, w->in[0].leaf, numbers, 0.7f, NULL);
}
enum { VOCAB = 2048 + 37 };
static const int32_t words[] = {0, 2047, AS_IGNORE, 2048, VOCAB - 1, 5, AS_IGNORE};
static void make_vocab(world *w) {
    input(w, 7, 9, 1.5f), param(w, VOCAB, 9, 1.0f, false);
    if (w->t->kind) param(w, 1, VOCAB, 1.0f, false);
}
static bool loss_vocab(world *w) {
    return as_vocab_loss(&w->c, w->in[0].leaf, &w->par[0].p, w->t->kind ? &w->par[1].p : NULL,
                         words, 0.7f, NULL, NULL);
}
static as_tensor *run_again(void *arg, as_ctx *c, as_tensor *x) {
    const world *w = arg;
    x = as_dropout(c, x, 0.3f, w->q.item, w->q.pos);
    return as_norm(c, x, x, 0.25f, &w->q.s, &w->par[0].p, &w->par[1].p, 1e-5f);
}
static as_tensor *build_recompute(world *w) {
    as_tensor *x = w->in[0].leaf;
    return as_recompute(&w->c, run_again, w, as_activate(&w->c, x, AS_ACT_TANH), x->rows, x->cols);
}

static const grad_case cases[] = {
    {"embed", &as_op_embed, make_embed, build_embed, NULL, 1e-4, 0},
    {"embed, sparse table", &as_op_embed, make_embed, build_embed, NULL, 1e-4, 1},
    {"embed, words alone", &as_op_embed, make_embed_bare, build_embed, NULL, 1e-4, 2},
    {"linear", &as_op_linear, make_linear, build_linear, NULL, 2e-4, AS_ACT_NONE},
    {"linear, gelu", &as_op_linear, make_linear, build_linear, NULL, 2e-4, AS_ACT_GELU},
    {"linear, gelu_tanh", &as_op_linear, make_linear, build_linear, NULL, 2e-4, AS_ACT_GELU_TANH},
    {"linear, relu", &as_op_linear, make_linear, build_linear, NULL, 1e-3, AS_ACT_RELU},
    {"linear, tanh", &as_op_linear, make_linear, build_linear, NULL, 2e-4, AS_ACT_TANH},
    {"linear, silu", &as_op_linear, make_linear, build_linear, NULL, 2e-4, AS_ACT_SILU},
    {"linear, two panels", &as_op_linear, make_linear_wide, build_linear, NULL, 3e-4, AS_ACT_TANH},
    {"linear, two blocks of tokens", &as_op_linear, make_linear_long, build_linear, NULL, 3e-4,
     AS_ACT_GELU},
    {"linear, frozen weight", &as_op_linear, make_linear_frozen, build_linear, NULL, 2e-4,
     AS_ACT_GELU},
    {"linear, fixed input", &as_op_linear, make_linear_first, build_linear, NULL, 2e-4,
     AS_ACT_GELU},
    {"linear, no bias", &as_op_linear, make_linear_bare, build_linear_bare, NULL, 2e-4, 0},
    {"norm", &as_op_norm, make_norm, build_norm, NULL, 3e-4, NORM_PLAIN},
    {"norm, no beta", &as_op_norm, make_norm, build_norm, NULL, 3e-4, NORM_NO_BETA},
    {"norm, residual", &as_op_norm, make_norm, build_norm, NULL, 3e-4, NORM_RESIDUAL},
    {"norm, residual, dropout", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_DROP},
    {"norm, dropout", &as_op_norm, make_norm, build_norm, NULL, 3e-4, NORM_DROP},
    {"norm, residual is the input", &as_op_norm, make_norm, build_norm, NULL, 3e-4, NORM_SELF},
    {"norm, residual is the input, dropout", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_SELF | NORM_DROP},
    {"norm, fixed residual", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_DROP | NORM_FIXED_RES},
    {"norm, fixed residual, no dropout", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_FIXED_RES},
    {"norm, fixed input", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_DROP | NORM_FIXED_X},
    {"norm, frozen gamma", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_BETA_ONLY},
    {"norm, frozen beta", &as_op_norm, make_norm, build_norm, NULL, 3e-4,
     NORM_RESIDUAL | NORM_GAMMA_ONLY},
    {"attention", &as_op_attention, make_attention, build_attention, NULL, 2e-4, 0},
    {"attention, apart", &as_op_attention, make_attention, build_attention, NULL, 2e-4, AT_APART},
    {"attention, long", &as_op_attention, make_attention, build_attention, NULL, 2e-4, AT_LONG},
    {"attention, causal", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_CAUSAL | AT_LONG},
    {"attention, window", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_WINDOW | AT_LONG},
    {"attention, causal window", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_CAUSAL | AT_WINDOW},
    {"attention, groups", &as_op_attention, make_attention, build_attention, NULL, 2e-4, AT_GROUPS},
    {"attention, groups apart, dropout", &as_op_attention, make_attention, build_attention, NULL,
     2e-4, AT_GROUPS | AT_APART | AT_DROP},
    {"attention, soft cap", &as_op_attention, make_attention, build_attention, NULL, 2e-4, AT_CAP},
    {"attention, bias", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_BIAS | AT_LONG},
    {"attention, bias, cap, causal, dropout", &as_op_attention, make_attention, build_attention,
     NULL, 2e-4, AT_BIAS | AT_CAP | AT_CAUSAL | AT_DROP | AT_LONG},
    {"attention, dropout", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_DROP | AT_LONG},
    {"attention, cross", &as_op_attention, make_attention, build_attention, NULL, 2e-4, AT_CROSS},
    {"attention, cross, groups, bias", &as_op_attention, make_attention, build_attention, NULL,
     2e-4, AT_CROSS | AT_GROUPS | AT_BIAS},
    {"attention, cache", &as_op_attention, make_attention, build_attention, NULL, 2e-4,
     AT_CROSS | AT_CAUSAL | AT_DROP},
    {"recompute", &as_op_recompute, make_norm, build_recompute, NULL, 3e-4, NORM_PLAIN},
    {"dropout", &as_op_dropout, make_rows, build_dropout, NULL, 1e-4, 0},
    {"gelu", &as_op_act, make_act, build_act, NULL, 1e-4, AS_ACT_GELU},
    {"gelu_tanh", &as_op_act, make_act, build_act, NULL, 1e-4, AS_ACT_GELU_TANH},
    {"relu", &as_op_act, make_act, build_act, NULL, 1e-4, AS_ACT_RELU},
    {"tanh", &as_op_act, make_act, build_act, NULL, 1e-4, AS_ACT_TANH},
    {"silu", &as_op_act, make_act, build_act, NULL, 1e-4, AS_ACT_SILU},
    {"add", &as_op_add, make_two, build_add, NULL, 1e-4, 1},
    {"add to itself", &as_op_add, make_one, build_add, NULL, 1e-4, 0},
    {"pick", &as_op_pick, make_one, build_pick, NULL, 1e-4, 0},
    {"mean pooling", &as_op_pool, make_pool, build_pool, NULL, 1e-4, AS_POOL_MEAN},
    {"max pooling", &as_op_pool, make_pool, build_pool, NULL, 1e-4, AS_POOL_MAX},
    {"mean-sqrt pooling", &as_op_pool, make_pool, build_pool, NULL, 1e-4, AS_POOL_MEAN_SQRT},
    {"unit", &as_op_unit, make_one, build_unit, NULL, 1e-4, 0},
    {"class loss", &as_op_class_loss, make_classes, NULL, loss_class, 1e-5, 0},
    {"class loss, weights and smoothing", &as_op_class_loss, make_classes, NULL, loss_class, 1e-5,
     1},
    {"binary loss", &as_op_binary_loss, make_classes, NULL, loss_binary, 1e-5, 0},
    {"square loss", &as_op_square_loss, make_classes, NULL, loss_square, 1e-5, 0},
    {"vocab loss", &as_op_vocab_loss, make_vocab, NULL, loss_vocab, 1e-4, 0},
    {"vocab loss, bias", &as_op_vocab_loss, make_vocab, NULL, loss_vocab, 1e-4, 1},
};

static void test_gradients_have_a_case_for_every_op(void **state) {
    (void)state;
    for (size_t o = 0; o < as_ops_count; o++) {
        bool found = false;
        for (size_t i = 0; i < AS_COUNT(cases); i++)
            found = found || cases[i].op == as_ops[o];
        if (!found) fail_msg("no case for op %s", as_ops[o]->name);
    }
}
static void test_gradients_equal_central_differences(void **state) {
    (void)state;
    for (int isa = 0; isa <= (int)as_cpu_detect() && isa <= AS_ISA_AVX512; isa++)
        for (int gemm = AS_GEMM_OWN;
             gemm <= (AS_DNNL && isa == AS_ISA_AVX512 ? AS_GEMM_DNNL : AS_GEMM_OWN); gemm++) {
            as_engine_opts o = as_engine_defaults();
            o.isa = (as_isa)isa, o.gemm = (as_gemm_kind)gemm, o.threads = 3;
            as_engine *e = NULL;
            assert_int_equal(as_engine_open(&e, &o, NULL), AS_OK);
            char name[64];
            snprintf(name, sizeof name, "%s %s", as_isa_name(o.isa), as_engine_gemm_name(e));
            for (size_t i = 0; i < AS_COUNT(cases); i++) {
                run_case(&cases[i], e, name, 1, 1);
                run_case(&cases[i], e, name, 3, 2);
            }
            as_engine_free(e);
        }
}

/* --- losses and their values --- */
typedef struct bench {
    as_engine *e;
    as_ctx c;
} bench;
static void open_bench(bench *b, bool training) {
    as_engine_opts o = as_engine_defaults();
    o.threads = 1, o.gemm = AS_GEMM_OWN;
    assert_int_equal(as_engine_open(&b->e, &o, NULL), AS_OK);
    assert_int_equal(as_ctx_init(&b->c, b->e, 0, 1, NULL), AS_OK);
    b->c.training = training;
}
static void close_bench(bench *b) {
    as_ctx_deinit(&b->c), as_engine_free(b->e);
}
static as_tensor *tensor_of(as_ctx *c, const float *x, int64_t rows, int64_t cols) {
    as_tensor *t = as_tensor_new(c, rows, cols, true);
    assert_non_null(t);
    memcpy(t->x, x, (size_t)(rows * cols) * sizeof *x);
    return t;
}

static void test_losses_equal_their_closed_forms(void **state) {
    (void)state;
    enum { N = 10, C = 3 };
    for (int training = 0; training < 2; training++) {
        bench b;
        open_bench(&b, training);
        const float *x = filled(N * C, 0, 5, 6.0f);
        double each[N], total = 0, want;
        as_tensor *t = tensor_of(&b.c, x, N, C);
        const double e = (double)0.2f;
        assert_true(as_class_loss(&b.c, t, classes, class_weights, 0.2f, 0.5f, each));
        for (int i = 0; i < N; i++) {
            double sum = 0, nll = 0, smooth = 0;
            for (int j = 0; j < C; j++)
                sum += exp((double)x[i * C + j]);
            for (int j = 0; j < C; j++) {
                const double l = (double)class_weights[j] * (log(sum) - (double)x[i * C + j]);
                smooth += l / C;
                if (j == classes[i]) nll = l;
            }
            want = classes[i] == AS_IGNORE ? 0.0 : (1 - e) * nll + e * smooth;
            NEAR("class_loss", "each", i, each[i], want, 1e-12);
            total += want;
        }
        NEAR("class_loss", "total", 0, b.c.loss, 0.5 * total, 1e-12);
        b.c.loss = total = 0;
        assert_true(as_binary_loss(&b.c, t, flags, 2.0f, each));
        for (int i = 0; i < N; i++) {
            want = 0;
            for (int j = 0; j < C; j++) {
                const double p = 1.0 / (1.0 + exp(-(double)x[i * C + j]));
                want -= flags[i * C + j] ? log(p) : log(1.0 - p);
            }
            NEAR("binary_loss", "each", i, each[i], want, 1e-9);
            total += want;
        }
        NEAR("binary_loss", "total", 0, b.c.loss, 2.0 * total, 1e-8);
        b.c.loss = 0;
        assert_true(as_square_loss(&b.c, t, numbers, 1.0f, each));
        for (int i = 0; i < N; i++)
            NEAR("square_loss", "each", i, each[i],
                 ((double)x[i * C] - (double)numbers[i]) * ((double)x[i * C] - (double)numbers[i]),
                 1e-12);
        close_bench(&b);
    }
}
/* Logits far out: no overflow, and a NaN shows. */
static void test_losses_take_extremes(void **state) {
    (void)state;
    bench b;
    open_bench(&b, false);
    const float x[] = {1e30f, -1e30f, 0.0f, -3e38f, 3e38f, 0.0f, 0.0f, NAN, 0.0f};
    const int32_t target[] = {0, 1, 2};
    const uint8_t one[9] = {1, 0, 1, 0, 1, 1, 0, 0, 0};
    double each[3];
    assert_true(as_class_loss(&b.c, tensor_of(&b.c, x, 3, 3), target, NULL, 0.0f, 1.0f, each));
    assert_true(each[0] == 0.0 && each[1] == 0.0 && isnan(each[2]) && isnan(b.c.loss));
    assert_true(as_binary_loss(&b.c, tensor_of(&b.c, x, 3, 3), one, 1.0f, each));
    NEAR("binary_loss", "each", 0, each[0], log(2.0), 1e-12);
    NEAR("binary_loss", "each", 1, each[1], log(2.0), 1e-12);
    assert_true(isnan(each[2]));
    const float wild[] = {NAN, 0.0f};
    float table[2 * 40];
    fill(table, 80, 1, 1.0f);
    as_param p = {.rows = 40, .cols = 2, .w = table};
    const int32_t at[] = {39};
    assert_true(as_vocab_loss(&b.c, tensor_of(&b.c, wild, 1, 2), &p, NULL, at, 1.0f, each, NULL));
    assert_true(isnan(each[0]));
    close_bench(&b);
}

static void test_vocab_loss_equals_the_dense_loss(void **state) {
    (void)state;
    static const int64_t vocabs[] = {1, 2, 33, 2047, 2048, 2049, 5000};
    enum { N = 21, D = 33 };
    for (size_t s = 0; s < AS_COUNT(vocabs); s++) {
        bench b;
        open_bench(&b, true);
        const int64_t vocab = vocabs[s];
        const float *x = filled(N * D, 0, 1, 1.0f), *bias = filled(vocab, 0, 3, 2.0f);
        as_param table = {.rows = vocab, .cols = D, .w = filled(vocab * D, 0, 2, 1.0f)},
                 add = {.rows = 1, .cols = vocab, .w = (float *)(uintptr_t)bias};
        int32_t target[N];
        double each[N], total = 0;
        for (int i = 0; i < N; i++)
            target[i] = i % 5 == 4 ? AS_IGNORE : (int32_t)(i * 977 % vocab);
        target[0] = (int32_t)vocab - 1;
        assert_true(
            as_vocab_loss(&b.c, tensor_of(&b.c, x, N, D), &table, &add, target, 0.25f, each, NULL));
        for (int i = 0; i < N; i++) {
            double top = -INFINITY, sum = 0, gold = 0;
            double *z = as_calloc((size_t)vocab, sizeof *z);
            for (int64_t v = 0; v < vocab; v++) {
                z[v] = (double)bias[v];
                for (int d = 0; d < D; d++)
                    z[v] += (double)x[i * D + d] * (double)table.w[v * D + d];
                top = fmax(top, z[v]);
            }
            for (int64_t v = 0; v < vocab; v++)
                sum += exp(z[v] - top);
            if (target[i] != AS_IGNORE) gold = top + log(sum) - z[target[i]];
            as_free(z);
            NEAR("vocab_loss", "each", i, each[i], gold,
                 5e-6); /* logits of size 10: 33 products, u each */
            total += gold;
        }
        NEAR("vocab_loss", "total", 0, b.c.loss, 0.25 * total, 5e-5);
        close_bench(&b);
        room_free_all();
    }
}

/* Frozen and inference: nothing recorded, no gradient, and NULL goes through. */
static void test_ops_record_nothing_in_inference(void **state) {
    (void)state;
    bench b;
    open_bench(&b, false);
    const float x[6] = {1, 2, 3, 4, 5, 6};
    as_tensor *t = tensor_of(&b.c, x, 2, 3);
    const int32_t zero[2] = {0};
    assert_ptr_equal(as_dropout(&b.c, t, 0.5f, zero, zero), t);
    assert_ptr_equal(as_activate(&b.c, t, AS_ACT_NONE), t);
    assert_non_null(as_activate(&b.c, t, AS_ACT_GELU));
    assert_non_null(as_unit(&b.c, t));
    assert_true(b.c.tape_n == 0 && !t->wants_grad);
    assert_null(as_unit(&b.c, NULL));
    assert_null(as_add_tensors(&b.c, t, NULL));
    assert_null(as_linear(&b.c, NULL, NULL, NULL, AS_ACT_NONE));
    assert_null(as_norm(&b.c, NULL, NULL, 0.0f, NULL, NULL, NULL, 1e-5f));
    assert_null(as_pick(&b.c, NULL, picked, 1));
    assert_null(as_pool(&b.c, NULL, NULL, AS_POOL_MEAN));
    assert_null(as_attend(&b.c, &(as_attention){0}));
    assert_false(as_class_loss(&b.c, NULL, classes, NULL, 0.0f, 1.0f, NULL));
    close_bench(&b);
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, free_rooms)
    const struct CMUnitTest tests[] = {
        T(test_gradients_have_a_case_for_every_op), T(test_gradients_equal_central_differences),
        T(test_losses_equal_their_closed_forms),    T(test_losses_take_extremes),
        T(test_vocab_loss_equals_the_dense_loss),   T(test_ops_record_nothing_in_inference),
    };
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
