/* test_invariance.c: a stack of attention, norms and linear layers gives the same bits for every
 * number of threads and for every company in the batch; a second step allocates nothing; and any
 * allocation may fail. */
#include "base/status.h"
#include "tensor/ops.h"
#include "tensor_check.h"

enum {
    DIM = 48,
    HEADS = 3,
    INNER = 100,
    LAYERS = 2,
    VOCAB = 37,
    LONG = 310,
    CLASSES = 3,
    TOKENS = 900
};
enum {
    P_WORD,
    P_POS,
    P_TYPE,
    P_EMBED_G,
    P_EMBED_B,
    P_LAYER,
    PER_LAYER = 12,
    P_HEAD = P_LAYER + LAYERS * PER_LAYER,
    P_HEAD_B,
    P_COUNT
};
enum { L_QKV, L_QKV_B, L_OUT, L_OUT_B, L_G1, L_B1, L_UP, L_UP_B, L_DOWN, L_DOWN_B, L_G2, L_B2 };

typedef struct stack {
    as_engine *e;
    as_param p[P_COUNT];
    float *grad[P_COUNT];
    as_grads grads;
} stack;
typedef struct batch {
    as_seqs s;
    int64_t begin[16];
    int32_t ids[TOKENS], types[TOKENS], pos[TOKENS], item[TOKENS], target[16];
} batch;
typedef struct result {
    float *hidden, *logits;
    double each[16], loss;
} result;

static const int64_t lengths[] = {33, 1, 70, 16, 5, 300, 130, 2}; /* by item */
enum { ITEMS = 8 };

static void add_param(stack *k, int at, int64_t rows, int64_t cols, float spread, float shift,
                      bool packed) {
    as_param *p = &k->p[at];
    float *w = filled(rows * cols, 0, 1000 + (uint32_t)at, spread);
    for (int64_t i = 0; i < rows * cols; i++)
        w[i] += shift;
    *p =
        (as_param){.name = "p", .rows = rows, .cols = cols, .w = w, .trainable = true, .index = at};
    k->grad[at] = room(rows * cols, 0);
    if (!packed) return;
    assert_int_equal(as_pack_new(&p->pack, k->e, rows, cols, AS_PACK_BACKWARD, NULL), AS_OK);
    assert_int_equal(as_pack_fill(k->e, p->pack, w, 0, NULL), AS_OK);
}
static void open_stack(stack *k, as_isa isa, as_gemm_kind gemm, as_compute compute, bool force) {
    as_engine_opts o = as_engine_defaults();
    o.isa = isa, o.gemm = gemm, o.compute = compute, o.force_bf16 = force, o.threads = 4;
    *k = (stack){0};
    assert_int_equal(as_engine_open(&k->e, &o, NULL), AS_OK);
    add_param(k, P_WORD, VOCAB, DIM, 1.0f, 0.0f, false),
        add_param(k, P_POS, LONG, DIM, 0.5f, 0.0f, false),
        add_param(k, P_TYPE, 2, DIM, 0.5f, 0.0f, false);
    add_param(k, P_EMBED_G, 1, DIM, 0.2f, 1.0f, false),
        add_param(k, P_EMBED_B, 1, DIM, 0.2f, 0.0f, false);
    for (int l = 0; l < LAYERS; l++) {
        const int at = P_LAYER + l * PER_LAYER;
        add_param(k, at + L_QKV, 3 * DIM, DIM, 0.25f, 0.0f, true),
            add_param(k, at + L_QKV_B, 1, 3 * DIM, 0.1f, 0.0f, false);
        add_param(k, at + L_OUT, DIM, DIM, 0.25f, 0.0f, true),
            add_param(k, at + L_OUT_B, 1, DIM, 0.1f, 0.0f, false);
        add_param(k, at + L_UP, INNER, DIM, 0.25f, 0.0f, true),
            add_param(k, at + L_UP_B, 1, INNER, 0.1f, 0.0f, false);
        add_param(k, at + L_DOWN, DIM, INNER, 0.25f, 0.0f, true),
            add_param(k, at + L_DOWN_B, 1, DIM, 0.1f, 0.0f, false);
        for (int n = 0; n < 2; n++)
            add_param(k, at + (n ? L_G2 : L_G1), 1, DIM, 0.2f, 1.0f, false),
                add_param(k, at + (n ? L_B2 : L_B1), 1, DIM, 0.2f, 0.0f, false);
    }
    add_param(k, P_HEAD, CLASSES, DIM, 0.3f, 0.0f, true),
        add_param(k, P_HEAD_B, 1, CLASSES, 0.1f, 0.0f, false);
    k->grads = (as_grads){.dense = k->grad};
}
static void close_stack(stack *k) {
    for (int i = 0; i < P_COUNT; i++)
        as_pack_free(k->p[i].pack);
    as_engine_free(k->e);
    room_free_all();
}

/* The items, packed in this order; an item's content is a function of its number. */
static void pack_items(batch *b, const int *items, int count) {
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        b->begin[i] = at;
        b->target[i] = items[i] % CLASSES;
        for (int64_t j = 0; j < lengths[items[i]]; j++, at++) {
            b->ids[at] = (int32_t)((items[i] * 101 + j * j * 7 + j) % VOCAB),
            b->types[at] = (int32_t)(j * 2 > lengths[items[i]]);
            b->pos[at] = (int32_t)j, b->item[at] = items[i];
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

static as_tensor *layer(as_ctx *c, const stack *k, const as_seqs *s, as_tensor *x, int l) {
    const as_param *p = k->p + P_LAYER + l * PER_LAYER;
    as_tensor *qkv = as_linear(c, x, p + L_QKV, p + L_QKV_B, AS_ACT_NONE);
    const as_attention a = {.q = qkv,
                            .k = qkv,
                            .v = qkv,
                            .k_at = DIM,
                            .v_at = 2 * DIM,
                            .q_seqs = s,
                            .kv_seqs = s,
                            .heads = HEADS,
                            .kv_heads = HEADS,
                            .head_dim = DIM / HEADS,
                            .scale = 0.25f,
                            .dropout = 0.1f,
                            .causal = l == 1};
    as_tensor *mixed = as_linear(c, as_attend(c, &a), p + L_OUT, p + L_OUT_B, AS_ACT_NONE);
    x = as_norm(c, mixed, x, 0.1f, s, p + L_G1, p + L_B1, 1e-12f);
    as_tensor *up = as_linear(c, x, p + L_UP, p + L_UP_B, AS_ACT_GELU);
    return as_norm(c, as_linear(c, up, p + L_DOWN, p + L_DOWN_B, AS_ACT_NONE), x, 0.1f, s, p + L_G2,
                   p + L_B2, 1e-12f);
}
/* One step; the outputs are copied to r when given. */
static bool step(as_ctx *c, stack *k, const batch *b, result *r) {
    as_ctx_reset(c);
    c->drop_seed = 5, c->grads = c->training ? &k->grads : NULL;
    as_tensor *x = as_embed(c, &b->s, &k->p[P_WORD], &k->p[P_POS], &k->p[P_TYPE]);
    x = as_norm(c, x, NULL, 0.1f, &b->s, &k->p[P_EMBED_G], &k->p[P_EMBED_B], 1e-12f);
    for (int l = 0; l < LAYERS; l++)
        x = layer(c, k, &b->s, x, l);
    as_tensor *logits = as_linear(c, as_pool(c, x, &b->s, AS_POOL_MEAN), &k->p[P_HEAD],
                                  &k->p[P_HEAD_B], AS_ACT_NONE);
    double each[16];
    if (!as_class_loss(c, logits, b->target, NULL, 0.0f, 1.0f / (float)b->s.count, each))
        return false;
    if (r) {
        r->hidden = copied(x->x, x->rows * DIM, 0),
        r->logits = copied(logits->x, logits->rows * CLASSES, 0), r->loss = c->loss;
        memcpy(r->each, each, sizeof each);
    }
    if (!c->training) return !c->failed;
    for (int i = 0; i < P_COUNT; i++)
        memset(k->grad[i], 0, (size_t)(k->p[i].rows * k->p[i].cols) * sizeof(float));
    return as_ctx_backward(c);
}

typedef struct setup {
    const char *name;
    as_isa isa;
    as_gemm_kind gemm;
    as_compute compute;
    bool force;
} setup;
static const setup setups[] = {
    {"portable", AS_ISA_PORTABLE, AS_GEMM_OWN, AS_COMPUTE_F32, false},
    {"avx2", AS_ISA_AVX2, AS_GEMM_OWN, AS_COMPUTE_F32, false},
    {"avx512", AS_ISA_AVX512, AS_GEMM_OWN, AS_COMPUTE_F32, false},
    {"avx512, bf16", AS_ISA_AVX512, AS_GEMM_OWN, AS_COMPUTE_BF16, false},
#if AS_DNNL
    {"oneDNN", AS_ISA_AVX512, AS_GEMM_DNNL, AS_COMPUTE_F32, false},
    {"oneDNN, bf16", AS_ISA_AVX512, AS_GEMM_DNNL, AS_COMPUTE_BF16, true},
#endif
};
static bool open_setup(stack *k, const setup *s) {
    if (s->isa > as_cpu_detect()) return false;
    open_stack(k, s->isa, s->gemm, s->compute, s->force);
    return true;
}

static void test_invariance_of_the_number_of_threads(void **state) {
    (void)state;
    const int all[ITEMS] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (size_t i = 0; i < AS_COUNT(setups); i++) {
        stack k;
        if (!open_setup(&k, &setups[i])) continue;
        batch b;
        pack_items(&b, all, ITEMS);
        result first = {0};
        float *kept_grads[P_COUNT] = {0};
        for (int t = 1; t <= 4; t *= 2) {
            as_ctx c;
            assert_int_equal(as_ctx_init(&c, k.e, 0, t, NULL), AS_OK);
            c.training = true;
            result r;
            assert_true(step(&c, &k, &b, &r));
            if (t == 1) first = r;
            SAME(setups[i].name, "hidden", r.hidden, first.hidden, b.s.tokens * DIM);
            SAME(setups[i].name, "logits", r.logits, first.logits, ITEMS * CLASSES);
            assert_true(r.loss == first.loss && isfinite(r.loss) && r.loss > 0.1);
            for (int p = 0; p < P_COUNT; p++) {
                const int64_t n = k.p[p].rows * k.p[p].cols;
                double size = 0;
                for (int64_t j = 0; j < n; j++)
                    size += fabs((double)k.grad[p][j]);
                assert_true(size > 0.0 && isfinite(size));
                if (t == 1) kept_grads[p] = copied(k.grad[p], n, 0);
                SAME(setups[i].name, "gradient", k.grad[p], kept_grads[p], n);
            }
            as_ctx_deinit(&c);
        }
        close_stack(&k);
    }
}

/* Dropout is on in training, and its masks go with the item: so the same test holds for both modes.
 */
static void test_invariance_of_the_company(void **state) {
    (void)state;
    static const int orders[][ITEMS] = {
        {0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0}, {5, 1, 7, 3, 0, 2, 6, 4}};
    for (size_t i = 0; i < AS_COUNT(setups); i++)
        for (int training = 0; training < 2; training++) {
            stack k;
            if (!open_setup(&k, &setups[i])) continue;
            as_ctx c;
            assert_int_equal(as_ctx_init(&c, k.e, 1, 1 + training, NULL), AS_OK);
            c.training = training;
            result alone[ITEMS];
            batch b;
            for (int s = 0; s < ITEMS; s++) {
                pack_items(&b, &s, 1);
                assert_true(step(&c, &k, &b, &alone[s]));
            }
            for (size_t o = 0; o < AS_COUNT(orders); o++)
                for (int n = o ? ITEMS : 3; n <= ITEMS; n += ITEMS - 3) {
                    result r;
                    pack_items(&b, orders[o], n);
                    assert_true(step(&c, &k, &b, &r));
                    for (int s = 0; s < n; s++) {
                        const result *a = &alone[orders[o][s]];
                        SAME(setups[i].name, "hidden", r.hidden + b.begin[s] * DIM, a->hidden,
                             lengths[orders[o][s]] * DIM);
                        SAME(setups[i].name, "logits", r.logits + s * CLASSES, a->logits, CLASSES);
                        assert_true(r.each[s] == a->each[0]);
                    }
                }
            as_ctx_deinit(&c);
            close_stack(&k);
        }
}

/* Over many blocks the arena is merged at the first reset: then nothing is allocated any more. */
static void test_tape_repeats_a_step_without_the_heap(void **state) {
    (void)state;
    const int all[ITEMS] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (size_t i = 0; i < AS_COUNT(setups); i++) {
        stack k;
        if (!open_setup(&k, &setups[i])) continue;
        batch b;
        pack_items(&b, all, ITEMS);
        for (int threads = 1; threads <= 2; threads++) {
            as_ctx c;
            assert_int_equal(as_ctx_init(&c, k.e, 0, threads, NULL), AS_OK);
            c.training = true;
            assert_true(step(&c, &k, &b, NULL));
            as_ctx_reset(&c);
            if (c.arena.first == NULL)
                assert_true(step(&c, &k, &b, NULL)); /* merged: one more block, the last */
            const int64_t blocks = as_mem_live_blocks();
            as_mem_fail_after(1);
            const bool ok = step(&c, &k, &b, NULL);
            as_mem_fail_after(0);
            assert_true(ok);
            assert_int_equal(as_mem_live_blocks(), blocks);
            as_ctx_deinit(&c);
        }
        close_stack(&k);
    }
}

static void test_tape_fails_clean_without_memory(void **state) {
    (void)state;
    const int two[] = {2, 4};
    for (size_t i = 0; i < AS_COUNT(setups); i++) {
        batch b;
        pack_items(&b, two, 2);
        int failures = 0;
        for (int64_t n = 1; n < 40; n++) { /* the arena tries a smaller block before it gives up:
                                              not every n ends a step */
            stack k;                       /* afresh: its work spaces are empty */
            if (!open_setup(&k, &setups[i])) break;
            as_ctx c;
            assert_int_equal(as_ctx_init(&c, k.e, 0, 1, NULL), AS_OK);
            c.arena.block_bytes = 4096;
            c.training = true;
            as_mem_fail_after(n);
            const bool done = step(&c, &k, &b, NULL);
            as_mem_fail_after(0);
            failures += !done;
            assert_true(step(&c, &k, &b, NULL)); /* and the context is none the worse for it */
            as_ctx_deinit(&c);
            close_stack(&k);
        }
        if (setups[i].isa <= as_cpu_detect()) assert_true(failures > 3);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_teardown(f, free_rooms)
    const struct CMUnitTest tests[] = {
        T(test_invariance_of_the_number_of_threads), T(test_invariance_of_the_company),
        T(test_tape_repeats_a_step_without_the_heap), T(test_tape_fails_clean_without_memory)};
    return cmocka_run_group_tests_name("invariance", tests, NULL, NULL);
}
