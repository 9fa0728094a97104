/* The loop in the caller's hands: the bits of assay_train, views that mean what they say, and errors for calls out of turn. */
#include "base/mem.h"
#include <assay.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka needs what stands above
#include <cmocka.h>

#define MODEL "assets/tiny-bert"
#define DATA "assets/sentiment.csv"
enum { ITEMS = 48, STEPS = 10 };

#define OK(call)                                               \
    do {                                                       \
        assay_err err_ = {0}, *const err = &err_;              \
        if ((call) != ASSAY_OK) fail_msg("%s: %s", #call, err->msg); \
    } while (0)
#define REFUSED(call, says)                                    \
    do {                                                       \
        assay_err err_ = {0}, *err = &err_;                    \
        assert_int_equal(call, ASSAY_USAGE);                   \
        assert_int_equal(err->status, ASSAY_USAGE);            \
        if (!strstr(err->msg, says)) fail_msg("says \"%s\", not \"%s\"", err->msg, says); \
        assert_true(err->hint[0] != '\0');                     \
        err = NULL;                                            \
        assert_int_equal(call, ASSAY_USAGE);                   \
    } while (0)

typedef struct loop {
    assay_model *m;
    assay_data *d;
    assay_batches *b;
    assay_optimizer *o;
    assay_batch batch;
    assay_output out;
} loop;

static assay_model *open_model(assay_head head, int threads) {
    assay_model *m = NULL;
    assay_model_opts o = assay_model_defaults();
    o.head = head, o.num_labels = 2, o.threads = threads;
    OK(assay_model_open(&m, MODEL, &o, err));
    return m;
}
static assay_data *open_path(const char *path, int64_t limit) {
    assay_data *d = NULL;
    assay_data_opts o = assay_data_defaults();
    o.limit = limit;
    OK(assay_data_open(&d, path, &o, err));
    return d;
}
static assay_data *open_data(int64_t limit) { return open_path(DATA, limit); }
/* 12 records of another kind: sets of labels, or numbers. */
static void write_kind(assay_head head, char *path) {
    static const char *const sets[] = {"a", "b", "a;b", ""};
    const int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fputs("text,label\n", f);
    for (int i = 0; i < 12; i++)
        if (head == ASSAY_MULTILABEL) fprintf(f, "it is number %d of all,%s\n", i, sets[i % 4]);
        else fprintf(f, "it is number %d of all,%d.5\n", i, i % 5 - 2);
    fclose(f);
}
static assay_optimizer_opts fast(void) {
    assay_optimizer_opts o = assay_optimizer_defaults();
    o.lr = 1e-3, o.weight_decay = 0.1;
    return o;
}
static loop open_loop(int64_t items, int64_t batch_size, const assay_optimizer_opts *opts, int threads) {
    const assay_optimizer_opts usual = fast();
    loop l = {.m = open_model(ASSAY_CLASSIFY, threads), .d = open_data(items)};
    assay_batches_opts o = assay_batches_defaults();
    o.batch_size = batch_size;
    OK(assay_batches_open(&l.b, l.m, l.d, &o, err));
    OK(assay_optimizer_open(&l.o, l.m, opts ? opts : &usual, err));
    return l;
}
static void close_loop(loop *l) {
    assay_optimizer_free(l->o), assay_batches_free(l->b), assay_data_free(l->d), assay_model_free(l->m);
}
/* The next batch, over the end of an epoch. */
static void take(loop *l) {
    OK(assay_next_batch(l->b, &l->batch, err));
    if (l->batch.count == 0) OK(assay_next_batch(l->b, &l->batch, err));
    assert_true(l->batch.count > 0);
}
static void forward_backward(loop *l) {
    OK(assay_forward(l->m, &l->batch, &l->out, err));
    OK(assay_backward(l->m, err));
}

/* The weights, as saved. */
typedef struct bytes { char *p; size_t n; } bytes;
static bytes weights(const assay_model *m) {
    static const char *const files[] = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"};
    char dir[] = "/tmp/assay-loop-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    OK(assay_model_save(m, dir, err));
    bytes b = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        if (i == 0) {
            FILE *f = fopen(path, "rb");
            assert_non_null(f);
            fseek(f, 0, SEEK_END);
            b.n = (size_t)ftell(f), b.p = malloc(b.n);
            rewind(f);
            assert_int_equal(fread(b.p, 1, b.n, f), b.n);
            fclose(f);
        }
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return b;
}
static int same(bytes a, bytes b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }

typedef struct recipe {
    const char *name, *schedule;
    assay_head head;
    int64_t batch_size, accumulate;
    uint64_t seed;
    int threads;
} recipe;
static bytes by_train(const recipe *r, const assay_data *d) {
    assay_train_opts t = assay_train_defaults();
    const assay_optimizer_opts f = fast();
    t.steps = STEPS, t.batch_size = r->batch_size, t.accumulate = r->accumulate, t.lr = f.lr, t.warmup = 0.0;
    t.schedule = r->schedule, t.grad_shards = 1, t.weight_decay = f.weight_decay, t.seed = r->seed;
    assay_model *m = open_model(r->head, 2);
    const bytes fresh = weights(m);
    OK(assay_train(m, d, NULL, &t, err));
    const bytes trained = weights(m);
    if (same(trained, fresh)) fail_msg("%s: nothing was trained", r->name);
    free(fresh.p);
    assay_model_free(m);
    return trained;
}
static void by_loop(const recipe *r, const assay_data *d, bytes want) {
    assay_optimizer_opts o = fast();
    o.accumulate = r->accumulate, o.seed = r->seed;
    loop l = {.m = open_model(r->head, r->threads)};
    const assay_batches_opts b = {.batch_size = r->batch_size, .shuffle = 1, .seed = r->seed};
    OK(assay_batches_open(&l.b, l.m, d, &b, err));
    OK(assay_optimizer_open(&l.o, l.m, &o, err));
    for (int s = 0; s < STEPS; s++) {
        assay_zero_grad(l.o);
        for (int64_t a = 0; a < r->accumulate; a++) {
            take(&l), forward_backward(&l);
            assert_int_equal(l.batch.label != NULL, r->head == ASSAY_CLASSIFY);
        }
        if (strcmp(r->schedule, "linear") == 0) assay_set_lr(l.o, o.lr * (double)(STEPS - s) / STEPS);
        OK(assay_step(l.o, err));
    }
    assert_int_equal(assay_steps(l.o), STEPS);
    /* Weights are whole whether the optimizer is still open or was freed. */
    if (r->threads == 2) assay_optimizer_free(l.o), l.o = NULL;
    const bytes got = weights(l.m);
    if (!same(got, want)) fail_msg("%s: other bits", r->name);
    close_loop(&l);
    free(got.p);
}
static void test_loop_has_the_bits_of_assay_train(void **state) {
    (void)state;
    static const recipe cases[] = {
        {"constant", "constant", ASSAY_CLASSIFY, 8, 1, 1, 1},
        {"linear", "linear", ASSAY_CLASSIFY, 8, 1, 7, 2},
        {"one shard of a batch of 16", "constant", ASSAY_CLASSIFY, 16, 1, 1, 2},
        {"accumulated", "constant", ASSAY_CLASSIFY, 4, 3, 1, 1},
        {"sets", "constant", ASSAY_MULTILABEL, 4, 1, 1, 1},
        {"numbers", "constant", ASSAY_REGRESS, 4, 1, 1, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char path[] = "/tmp/assay-kind-XXXXXX.csv";
        const bool usual = cases[c].head == ASSAY_CLASSIFY;
        if (!usual) write_kind(cases[c].head, path);
        assay_data *d = open_path(usual ? DATA : path, usual ? ITEMS : 0);
        const bytes want = by_train(&cases[c], d);
        by_loop(&cases[c], d, want);
        assay_data_free(d);
        if (!usual) (void)unlink(path);
        free(want.p);
    }
}

/* Steps of the first batch of a data set, with something between that must leave no trace (or must). */
static bytes after_two_steps(void (*between)(loop *l)) {
    loop l = open_loop(16, 4, NULL, 1);
    take(&l), forward_backward(&l);
    OK(assay_step(l.o, err));
    take(&l);
    between(&l);
    forward_backward(&l);
    OK(assay_step(l.o, err));
    const bytes w = weights(l.m);
    close_loop(&l);
    return w;
}
static void clear(loop *l) { assay_zero_grad(l->o); }
static void keep(loop *l) { (void)l; }
static void add_and_clear(loop *l) {
    forward_backward(l);
    assay_zero_grad(l->o);
}
static void drop_a_pass(loop *l) {
    OK(assay_forward(l->m, &l->batch, &l->out, err));
    assay_zero_grad(l->o);
}
static void look_around(loop *l) {
    static const char *const texts[] = {"Simply a joy."};
    double probs[2];
    assay_scores s = {0};
    assay_zero_grad(l->o);
    assay_set_training(l->m, 0);
    OK(assay_forward(l->m, &l->batch, &l->out, err));
    assay_set_training(l->m, 1);
    OK(assay_evaluate(l->m, l->d, "accuracy", &s, err));
    OK(assay_predict(l->m, texts, 1, probs, err));
    assay_scores_free(&s);
}
static void fail_to_begin(loop *l) {
    assay_zero_grad(l->o);
    for (int64_t n = 1; n <= 2; n++) {
        as_mem_fail_after(n);
        const assay_status s = assay_forward(l->m, &l->batch, &l->out, NULL);
        as_mem_fail_after(0);
        assert_true(s == ASSAY_OK || s == ASSAY_NOMEM);
        assay_zero_grad(l->o);
    }
}
static void test_loop_zero_grad_clears_and_gradients_stay_without_it(void **state) {
    (void)state;
    static const struct { const char *name; void (*between)(loop *l); int trace; } cases[] = {
        {"keep", keep, 1},           {"add_and_clear", add_and_clear, 0}, {"drop_a_pass", drop_a_pass, 0},
        {"look_around", look_around, 0}, {"fail_to_begin", fail_to_begin, 0},
    };
    const bytes want = after_two_steps(clear);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const bytes got = after_two_steps(cases[c].between);
        if (same(got, want) != !cases[c].trace) fail_msg("%s", cases[c].name);
        free(got.p);
    }
    free(want.p);
}

static void test_loop_batches_hold_each_record_once_an_epoch(void **state) {
    (void)state;
    assay_model *m = open_model(ASSAY_CLASSIFY, 1);
    assay_data *d = open_data(22);
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        const assay_batches_opts o = {.batch_size = 5, .shuffle = shuffle, .seed = 3};
        assay_batches *b = NULL;
        assay_batch v;
        int64_t order[2][22];
        OK(assay_batches_open(&b, m, d, &o, err));
        assert_int_equal(assay_batches_count(b), 5);
        for (int epoch = 0; epoch < 2; epoch++) {
            int64_t n = 0, seen[22] = {0};
            for (int i = 0; i < 5; i++) {
                OK(assay_next_batch(b, &v, err));
                assert_int_equal(v.count, i < 4 ? 5 : 2);
                assert_true(v.tokens >= 3 * v.count);
                for (int64_t j = 0; j < v.count; j++) {
                    assert_true(v.record[j] >= 0 && v.record[j] < 22 && (v.label[j] == 0 || v.label[j] == 1));
                    seen[v.record[j]]++, order[epoch][n++] = v.record[j];
                }
            }
            OK(assay_next_batch(b, &v, err));
            assert_int_equal(v.count, 0);
            for (int j = 0; j < 22; j++) assert_int_equal(seen[j], 1);
        }
        for (int j = 0; !shuffle && j < 22; j++) assert_int_equal(order[1][j], j);
        assert_int_equal(memcmp(order[0], order[1], sizeof *order) != 0, shuffle);
        assay_batches_free(b);
    }
    assay_data_free(d), assay_model_free(m);
}

/* Logits belong to the records that the batch names, and see what the optimizer has done so far. */
static void test_loop_logits_are_in_the_batchs_order(void **state) {
    (void)state;
    loop l = open_loop(40, 8, NULL, 2);
    for (int s = 0; s < 3; s++) {
        assay_zero_grad(l.o);
        take(&l), forward_backward(&l);
        OK(assay_step(l.o, err));
    }
    assay_batches *all = NULL;
    assay_batch v;
    assay_output out;
    assay_scores want = {0};
    const assay_batches_opts o = {.batch_size = 7, .shuffle = 1, .seed = 9};
    OK(assay_batches_open(&all, l.m, l.d, &o, err));
    assay_set_training(l.m, 0);
    OK(assay_next_batch(all, &v, err));
    OK(assay_forward(l.m, &v, &out, err));
    float first[14];
    memcpy(first, out.logits, sizeof first);
    OK(assay_evaluate(l.m, l.d, "accuracy", &want, err));
    double right = 0.0;
    while (v.count > 0) {
        OK(assay_forward(l.m, &v, &out, err));
        if (v.number == 1) assert_memory_equal(out.logits, first, sizeof first);
        double mean = 0.0;
        for (int64_t i = 0; i < v.count; i++) {
            const double x = (double)out.logits[2 * i], y = (double)out.logits[2 * i + 1];
            right += (y > x) == (v.label[i] == 1);
            mean += log(exp(x) + exp(y)) - (v.label[i] ? y : x);
        }
        assert_true(fabs(mean / (double)v.count - out.loss) < 1e-7); /* 1 / count is a float */
        OK(assay_next_batch(all, &v, err));
    }
    assert_true(fabs(right / 40.0 - want.v[0].value) < 1e-12);
    assert_true(right > 0.0 && right < 40.0); /* all alike would show no order */
    assay_scores_free(&want), assay_batches_free(all);
    close_loop(&l);
}

static void test_loop_refuses_calls_out_of_turn(void **state) {
    (void)state;
    loop l = open_loop(12, 4, NULL, 1);
    assay_optimizer *second = (assay_optimizer *)&l;
    assay_model *other = open_model(ASSAY_CLASSIFY, 1);
    const assay_batch none = {0};
    REFUSED(assay_step(l.o, err), "no gradient");
    REFUSED(assay_backward(l.m, err), "no forward pass");
    REFUSED(assay_forward(l.m, NULL, &l.out, err), "empty");
    REFUSED(assay_forward(l.m, &none, &l.out, err), "empty");
    take(&l);
    REFUSED(assay_forward(other, &l.batch, &l.out, err), "another model");
    OK(assay_forward(l.m, &l.batch, &l.out, err));
    REFUSED(assay_forward(l.m, &l.batch, &l.out, err), "no backward");
    assert_null(l.out.logits);
    REFUSED(assay_step(l.o, err), "no backward");
    OK(assay_backward(l.m, err));
    REFUSED(assay_backward(l.m, err), "no forward pass");
    assay_set_lr(l.o, NAN);
    REFUSED(assay_step(l.o, err), "learning rate");
    assay_set_lr(l.o, -1.0);
    REFUSED(assay_step(l.o, err), "learning rate");
    assay_set_lr(l.o, 1e-3);
    OK(assay_step(l.o, err));
    REFUSED(assay_step(l.o, err), "no gradient");
    const assay_batch old = l.batch;
    take(&l);
    REFUSED(assay_forward(l.m, &old, &l.out, err), "newest");
    REFUSED(assay_optimizer_open(&second, l.m, NULL, err), "an optimizer is open");
    assert_null(second);
    REFUSED(assay_train(l.m, l.d, NULL, NULL, err), "an optimizer is open");
    assay_optimizer_free(l.o), l.o = NULL;
    assay_set_training(l.m, 1);
    REFUSED(assay_forward(l.m, &l.batch, &l.out, err), "without an optimizer");
    assay_set_training(l.m, 0);
    OK(assay_forward(l.m, &l.batch, &l.out, err));
    REFUSED(assay_backward(l.m, err), "no forward pass");
    do OK(assay_next_batch(l.b, &l.batch, err));
    while (l.batch.count > 0);
    REFUSED(assay_forward(l.m, &l.batch, &l.out, err), "empty");
    assay_model_free(other);
    close_loop(&l);
}

static void test_loop_open_names_what_is_wrong(void **state) {
    (void)state;
    static const struct { double lr, decay, beta1, eps, clip, dropout; int64_t accumulate; const char *says; } cases[] = {
        {-1.0, 0.0, 0.9, 1e-8, 1.0, -1.0, 1, "lr"},          {NAN, 0.0, 0.9, 1e-8, 1.0, -1.0, 1, "lr"},
        {1e-3, INFINITY, 0.9, 1e-8, 1.0, -1.0, 1, "decay"},  {1e-3, 0.0, 1.0, 1e-8, 1.0, -1.0, 1, "beta1"},
        {1e-3, 0.0, 0.9, 0.0, 1.0, -1.0, 1, "eps"},          {1e-3, 0.0, 0.9, 1e-8, -1.0, -1.0, 1, "clip"},
        {1e-3, 0.0, 0.9, 1e-8, 1.0, 1.0, 1, "dropout"},      {1e-3, 0.0, 0.9, 1e-8, 1.0, NAN, 1, "dropout"},
        {1e-3, 0.0, 0.9, 1e-8, 1.0, -1.0, 0, "accumulate"},
    };
    assay_model *m = open_model(ASSAY_CLASSIFY, 1);
    assay_data *d = open_data(8);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        assay_optimizer *o = (assay_optimizer *)&d;
        assay_optimizer_opts opts = assay_optimizer_defaults();
        opts.lr = cases[c].lr, opts.weight_decay = cases[c].decay, opts.beta1 = cases[c].beta1, opts.eps = cases[c].eps;
        opts.clip = cases[c].clip, opts.dropout = cases[c].dropout, opts.accumulate = cases[c].accumulate;
        REFUSED(assay_optimizer_open(&o, m, &opts, err), cases[c].says);
        assert_null(o);
    }
    assay_batches *b = (assay_batches *)&d;
    const assay_batches_opts empty = {0};
    REFUSED(assay_batches_open(&b, m, d, &empty, err), "batch_size");
    assert_null(b);
    assay_train_opts t = assay_train_defaults();
    t.schedule = "sawtooth";
    REFUSED(assay_train(m, d, NULL, &t, err), "sawtooth");
    assay_data_free(d), assay_model_free(m);
}

static void test_loop_handles_are_freed_in_any_order(void **state) {
    (void)state;
    loop l = open_loop(12, 4, NULL, 1);
    assay_batches *more = NULL;
    OK(assay_batches_open(&more, l.m, l.d, NULL, err));
    take(&l), forward_backward(&l);
    OK(assay_step(l.o, err));
    OK(assay_forward(l.m, &l.batch, &l.out, err));
    assay_batches_free(more);
    assay_model_free(l.m);
    assay_model *m = open_model(ASSAY_CLASSIFY, 1); /* perhaps where the other was */
    REFUSED(assay_forward(m, &l.batch, &l.out, err), "another model");
    REFUSED(assay_next_batch(l.b, &l.batch, err), "freed");
    REFUSED(assay_step(l.o, err), "freed");
    assay_zero_grad(l.o), assay_zero_grad(NULL);
    assert_int_equal(assay_steps(l.o), 1);
    assay_optimizer_free(l.o), assay_optimizer_free(NULL);
    assay_batches_free(l.b), assay_batches_free(NULL);
    assay_data_free(l.d), assay_model_free(m);
}

/* Fail the n-th allocation for n = 1, 2, ...: each time one clean error, until all is well. */
static assay_status whole_loop(assay_model *m, const assay_data *d, assay_err *err) {
    assay_batches *b = NULL;
    assay_optimizer *o = NULL;
    assay_batch v;
    assay_output out;
    const assay_batches_opts opts = {.batch_size = 2, .shuffle = 1, .seed = 1};
    assay_status s = assay_batches_open(&b, m, d, &opts, err);
    if (!s) s = assay_optimizer_open(&o, m, NULL, err);
    for (int i = 0; !s && i < 4; i++) {
        s = assay_next_batch(b, &v, err);
        if (!s) s = assay_forward(m, &v, &out, err);
        if (!s) s = assay_backward(m, err);
        if (!s && i % 2) s = assay_step(o, err);
    }
    assay_optimizer_free(o), assay_batches_free(b);
    return s;
}
static void test_loop_survives_each_failed_allocation(void **state) {
    (void)state;
    assay_data *d = open_data(8);
    assay_status s = ASSAY_NOMEM;
    int64_t n = 1;
    assay_model *m = open_model(ASSAY_CLASSIFY, 1);
    assert_int_equal(whole_loop(m, d, NULL), ASSAY_OK); /* what the engine keeps is there */
    for (; s != ASSAY_OK && n < 5000; n++) {
        assay_err err = {0};
        const int64_t live = as_mem_live_blocks();
        as_mem_fail_after(n);
        s = whole_loop(m, d, &err);
        as_mem_fail_after(0);
        if (s != ASSAY_OK && s != ASSAY_NOMEM) fail_msg("allocation %d: status %d: %s", (int)n, (int)s, err.msg);
        assert_int_equal(err.status, s);
        if (as_mem_live_blocks() != live) fail_msg("allocation %d: %d blocks leaked", (int)n, (int)(as_mem_live_blocks() - live));
    }
    assert_true(n > 20 && n < 5000);
    assay_model_free(m), assay_data_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_has_the_bits_of_assay_train),
        cmocka_unit_test(test_loop_zero_grad_clears_and_gradients_stay_without_it),
        cmocka_unit_test(test_loop_batches_hold_each_record_once_an_epoch),
        cmocka_unit_test(test_loop_logits_are_in_the_batchs_order),
        cmocka_unit_test(test_loop_refuses_calls_out_of_turn),
        cmocka_unit_test(test_loop_open_names_what_is_wrong),
        cmocka_unit_test(test_loop_handles_are_freed_in_any_order),
        cmocka_unit_test(test_loop_survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
