/* The lazy update of a table's rows has the bits of the dense one; the schedule has the values of transformers. */
#include "base/mem.h"
#include "train/optimizer.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 9, IDS = 4 };

static as_param *word_table(as_model *m) {
    for (size_t i = 0; i < as_model_param_count(m); i++)
        if (strstr(as_model_param(m, i)->name, "word_embeddings")) return as_model_param(m, i);
    return NULL;
}

/* The bundled classifier, to be trained with a number of threads (0: all). */
static as_model *tiny(as_engine **e, int threads) {
    as_model *m;
    as_engine_opts eo = as_engine_defaults();
    eo.threads = threads;
    assert_int_equal(as_engine_open(e, &eo, NULL), AS_OK);
    assert_int_equal(as_model_open(&m, *e, "assets/tiny-bert", &(as_model_opts){.head = AS_HEAD_CLASSIFY, .train = true, .seed = 1}, NULL), AS_OK);
    return m;
}

static void test_train_lazy_rows_have_the_bits_of_the_dense_update(void **state) {
    (void)state;
    as_engine *e;
    as_model *m = tiny(&e, 2);
    as_recipe r = as_recipe_defaults();
    r.lr = 1e-2, r.clip = 0.0, r.warmup = 2;
    const as_param *p = word_table(m);
    const int64_t all = p->rows * p->cols;
    float *w = malloc((size_t)all * 4), *m1 = calloc((size_t)all, 4), *m2 = calloc((size_t)all, 4), *g = malloc((size_t)all * 4);
    memcpy(w, p->w, (size_t)all * 4);
    as_optimizer *o;
    assert_int_equal(as_optimizer_new(&o, m, &r, 2, STEPS, NULL), AS_OK);
    assert_true(p->sparse);
    for (int s = 0; s < STEPS; s++) {
        const int32_t ids[IDS] = {5, (int32_t)(7 + s % 3), 4000, 5}; /* rows that come, stay away and come again */
        assert_int_equal(as_optimizer_begin(o, ids, IDS, NULL), AS_OK);
        memset(g, 0, (size_t)all * 4);
        for (int shard = 0; shard < 2; shard++) {
            const as_grads *gr = as_optimizer_shard(o, shard);
            for (int i = 0; i < 3; i++)
                for (int64_t c = 0; c < p->cols; c++) {
                    const float v = (float)(((s + 1) * (i + 2) * (shard + 1) * 31 + c * 7) % 97) / 97.0f - 0.4f;
                    gr->dense[p->index][gr->row_slot[p->index][ids[i]] * p->cols + c] = v;
                    g[ids[i] * p->cols + c] += v;
                }
        }
        const double t = s + 1;
        const as_adamw a = {.lr = (float)as_recipe_lr(&r, s, STEPS), .beta1 = 0.9f, .beta2 = 0.999f, .fresh1 = 0.1f, .fresh2 = 0.001f, .eps = 1e-8f, .decay = 0.01f, .scale = 1.0f,
                            .bias1 = (float)(1.0 - pow(0.9, t)), .bias2 = (float)(1.0 - pow(0.999, t))};
        as_engine_kernels(e)->adamw(w, m1, m2, g, all, &a);
        assert_int_equal(as_optimizer_step(o, NULL, NULL), AS_OK);
        if (s == 4) as_optimizer_settle(o);
    }
    as_optimizer_settle(o);
    assert_memory_equal(p->w, w, (size_t)all * 4);
    free(w), free(m1), free(m2), free(g);
    as_optimizer_free(o);
    as_model_free(m);
    as_engine_free(e);
}

/* What a step adds nothing to has the gradient 0, whatever the step before left there. */
static void test_train_gradient_that_nothing_adds_to_is_zero(void **state) {
    (void)state;
    as_engine *e;
    as_model *m = tiny(&e, 2);
    as_recipe r = as_recipe_defaults();
    as_optimizer *o;
    assert_int_equal(as_optimizer_new(&o, m, &r, 2, 4, NULL), AS_OK);
    const int32_t ids[] = {5};
    double norm[3];
    for (int s = 0; s < 3; s++) {
        assert_int_equal(as_optimizer_begin(o, ids, 1, NULL), AS_OK);
        if (s == 1) {
            as_optimizer_fill(o);
            for (size_t i = 0; i < as_model_param_count(m); i++) as_optimizer_shard(o, 1)->dense[as_model_param(m, i)->index][0] = 1.0f;
        }
        assert_int_equal(as_optimizer_step(o, &norm[s], NULL), AS_OK);
    }
    assert_true(norm[0] == 0.0 && norm[2] == 0.0);
    assert_true(fabs(norm[1] * norm[1] - (double)as_model_param_count(m)) < 1e-6);
    as_optimizer_free(o);
    as_model_free(m);
    as_engine_free(e);
}

/* Values of transformers' get_linear_schedule_with_warmup(2 of 10) and get_cosine_schedule_with_warmup, worked by hand. */
static void test_train_schedules_have_the_values_of_transformers(void **state) {
    (void)state;
    as_recipe r = as_recipe_defaults();
    r.lr = 1.0, r.warmup = 2;
    const double linear[] = {0.0, 0.5, 1.0, 0.875, 0.75};
    for (int t = 0; t < 5; t++) assert_true(fabs(as_recipe_lr(&r, t, 10) - linear[t]) < 1e-12);
    r.schedule = AS_SCHEDULE_COSINE;
    assert_true(fabs(as_recipe_lr(&r, 6, 10) - 0.5) < 1e-12);
    assert_true(fabs(as_recipe_lr(&r, 4, 10) - 0.5 * (1.0 + cos(acos(-1.0) * 0.25))) < 1e-12);
    r.schedule = AS_SCHEDULE_CONSTANT;
    assert_true(as_recipe_lr(&r, 9, 10) == 1.0);
    r.schedule = AS_SCHEDULE_WSD;
    assert_true(as_recipe_lr(&r, 7, 10) == 1.0 && fabs(as_recipe_lr(&r, 9, 10) - 0.5) < 1e-12);
}

static void test_train_freeze_patterns_match_and_unknown_ones_are_errors(void **state) {
    (void)state;
    as_engine *e;
    as_model *m = tiny(&e, 0);
    as_optimizer *o;
    as_recipe r = as_recipe_defaults();
    r.freeze = "bert.embeddings.*,*.layer.0.*";
    assert_int_equal(as_optimizer_new(&o, m, &r, 1, 10, NULL), AS_OK);
    int frozen = 0;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        const int want = strncmp(p->name, "bert.embeddings.", 16) == 0 || strstr(p->name, ".layer.0.") != NULL;
        assert_int_equal(!p->trainable, want);
        frozen += want;
    }
    assert_true(frozen > 10);
    as_optimizer_free(o);
    r.freeze = "no.such.*";
    as_err err = {0};
    assert_int_equal(as_optimizer_new(&o, m, &r, 1, 10, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "no.such.*"));
    as_model_free(m);
    as_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_lazy_rows_have_the_bits_of_the_dense_update),
        cmocka_unit_test(test_train_gradient_that_nothing_adds_to_is_zero),
        cmocka_unit_test(test_train_schedules_have_the_values_of_transformers),
        cmocka_unit_test(test_train_freeze_patterns_match_and_unknown_ones_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
