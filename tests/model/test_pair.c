/* ELECTRA's two models as one to train: embeddings exist once, and what is saved are two checkpoints. */
#include "model_check.h"

static as_engine *engine_open(void) { return engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 2); }
static as_model *pair_open(as_engine *e, const char *path, bool fresh, uint64_t seed, const as_log *log) {
    as_model *m;
    as_err err = {0};
    expect_ok(as_model_open(&m, e, path, &(as_model_opts){.head = AS_HEAD_RTD, .train = true, .fresh = fresh, .seed = seed, .log = log}, &err), &err);
    return m;
}

static void test_pair_lists_shared_embeddings_once(void **state) {
    (void)state;
    as_engine *e = engine_open();
    heard h = {0};
    as_model *m = pair_open(e, GOLDEN "electra_rtd", false, 3, &(as_log){hear, &h}), *g = as_model_generator(m);
    assert_string_equal(h.text, ""); /* a new generator is no missing weight */
    assert_non_null(g);
    const as_config *c = as_model_config(g);
    assert_true(c->hidden == 8 && c->heads == 1 && c->inter == 12 && c->embedding == 24 && c->layers == 2 && c->vocab == 101);
    assert_ptr_equal(as_model_word(g)->w, as_model_word(m)->w);
    size_t theirs = 0;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        assert_int_equal(p->index, i);
        theirs += strncmp(p->name, "generator.", 10) == 0;
        for (size_t k = 0; k < i; k++) assert_string_not_equal(p->name, as_model_param(m, k)->name);
        if (strstr(p->name, "generator.")) assert_null(strstr(p->name, "electra.embeddings."));
        if (strstr(p->name, ".layer.1.")) assert_int_equal(as_model_depth(m, p), 2);
        if (strstr(p->name, "_predictions.")) assert_int_equal(as_model_depth(m, p), 3);
    }
    assert_int_equal(theirs, 2 + 2 * 14 + 5); /* project, layers, generator_predictions with the decoder's bias */
    as_model_free(m);
    as_engine_free(e);
}

static void test_pair_is_saved_as_two_checkpoints(void **state) {
    (void)state;
    as_engine *e = engine_open();
    as_err err = {0};
    as_model *m = pair_open(e, GOLDEN "electra_rtd", true, 3, NULL);
    expect_ok(as_model_save(m, in_dir("pair"), &err), &err);
    char digest[2][65];
    heard h = {0};
    as_model *again = pair_open(e, in_dir("pair"), false, 9, &(as_log){hear, &h});
    assert_string_equal(h.text, "");
    assert_int_equal(as_model_missing(again), 0);
    assert_int_equal(as_model_param_count(again), as_model_param_count(m));
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i), *q = as_model_param(again, i);
        assert_string_equal(p->name, q->name);
        assert_memory_equal(p->w, q->w, (size_t)(p->rows * p->cols) * sizeof *p->w);
    }
    expect_ok(as_model_digest(again, digest[0], &err), &err);
    as_param *bias = as_model_param(again, as_model_param_count(again) - 1); /* the generator's own */
    bias->w[0] += 1.0f;
    expect_ok(as_model_save(again, in_dir("other"), &err), &err);
    as_model_free(again);
    again = pair_open(e, in_dir("other"), false, 9, NULL);
    expect_ok(as_model_digest(again, digest[1], &err), &err);
    assert_string_not_equal(digest[0], digest[1]);
    as_model_free(again);
    as_model_free(m);
    as_engine_free(e);
    if (system("python3 -c 'import torch, transformers' 2>/dev/null") != 0) {
        print_message("skip reason: python3 cannot import torch and transformers\n");
        skip();
    }
    char command[256];
    snprintf(command, sizeof command, "python3 tests/model/pair.py '%s' > '%s' 2>&1", in_dir("pair"), in_dir("said"));
    const int status = system(command);
    as_buf said = {0};
    expect_ok(as_file_read(&said, in_dir("said"), 0, &err), &err);
    as_buf_add(&said, "", 1);
    if (status != 0 || strcmp(said.p, "ok 32 8 1 12 24\n") != 0) fail_msg("%s", said.p);
    as_buf_free(&said);
}

/* The gradient of the shared table is that of both models: each moves it. */
static void test_pair_gives_both_models_gradients_to_the_shared_embeddings(void **state) {
    (void)state;
    as_engine *e = engine_open();
    as_err err = {0};
    as_model *m = pair_open(e, GOLDEN "electra_rtd", true, 3, NULL), *g = as_model_generator(m);
    as_model_set_dropout(m, 0.0f);
    assert_true(as_model_config(g)->dropout == 0.0f);
    const size_t n = as_model_param_count(m);
    float **grad = as_calloc(n, sizeof *grad);
    for (size_t i = 0; i < n; i++) grad[i] = as_calloc((size_t)(as_model_param(m, i)->rows * as_model_param(m, i)->cols), sizeof(float));
    as_grads grads = {.dense = grad};
    expected x = expected_open("electra_rtd");
    static batch b;
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    batch_fill(&b, &x, all, 8);
    as_ctx c;
    expect_ok(as_ctx_init(&c, e, 0, 1, &err), &err);
    static float of_word[3][101 * 24];
    for (int way = 0; way < 3; way++) { /* the generator alone, the discriminator alone, both */
        for (size_t i = 0; i < n; i++) memset(grad[i], 0, (size_t)(as_model_param(m, i)->rows * as_model_param(m, i)->cols) * sizeof(float));
        as_ctx_reset(&c);
        c.training = true, c.grads = &grads;
        int32_t target[64];
        uint8_t replaced[128];
        for (int64_t i = 0; i < b.wanted; i++) target[i] = b.ids[b.want[i]];
        for (int64_t i = 0; i < b.s.tokens; i++) replaced[i] = i % 3 == 0;
        if (way != 1) {
            as_tensor *h = as_model_mlm_hidden(g, &c, &b.s, b.want, b.wanted);
            assert_true(as_vocab_loss(&c, h, as_model_decoder(g), as_model_decoder_bias(g), target, 1.0f / 24.0f, NULL, NULL));
        }
        if (way != 0) assert_true(as_binary_loss(&c, as_model_detect(m, &c, &b.s), replaced, 50.0f / 93.0f, NULL));
        assert_true(as_ctx_backward(&c));
        const as_param *word = as_model_word(m);
        for (int64_t i = 0; i < word->rows * word->cols; i++) of_word[way][i] = grad[word->index][i];
        for (size_t i = 0; i < n; i++) { /* what only the other model has stays still */
            const as_param *p = as_model_param(m, i);
            const bool of_generator = strncmp(p->name, "generator.", 10) == 0, shared = strstr(p->name, "electra.embeddings.") && !of_generator;
            double sum = 0;
            for (int64_t k = 0; k < p->rows * p->cols; k++) sum += fabs((double)grad[i][k]);
            if (shared || way == 2) continue;
            if ((sum > 0) != (of_generator == (way == 0))) fail_msg("way %d, %s: gradient %g", way, p->name, sum);
        }
    }
    double size[2] = {0};
    for (int i = 0; i < 101 * 24; i++) {
        const double a = (double)of_word[0][i], b2 = (double)of_word[1][i], both = (double)of_word[2][i];
        size[0] += fabs(a), size[1] += fabs(b2);
        assert_true(fabs(a + b2 - both) < 1e-5 * (1.0 + fabs(a) + fabs(b2)));
    }
    assert_true(size[0] > 1e-3 && size[1] > 1e-3);
    as_ctx_deinit(&c);
    for (size_t i = 0; i < n; i++) as_free(grad[i]);
    as_free(grad);
    as_weights_close(x.w);
    as_model_free(m);
    as_engine_free(e);
}

static void test_pair_survives_failing_allocations(void **state) {
    (void)state;
    as_engine *e = engine_open();
    const int64_t live = as_mem_live_blocks();
    for (int64_t n = 1;; n += 1 + n / 40) {
        as_err err = {0};
        as_model *m;
        as_mem_fail_after(n);
        const as_status s = as_model_open(&m, e, GOLDEN "electra_rtd", &(as_model_opts){.head = AS_HEAD_RTD, .train = true}, &err);
        as_mem_fail_after(0);
        if (s == AS_OK) {
            as_model_free(m);
            break;
        }
        assert_null(m);
        assert_int_equal(as_mem_live_blocks(), live);
        if (s != AS_NOMEM || !err.msg[0]) fail_msg("allocation %d: status %d: %s", (int)n, (int)s, err.msg);
    }
    as_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pair_lists_shared_embeddings_once, enter, leave),
        cmocka_unit_test_setup_teardown(test_pair_is_saved_as_two_checkpoints, enter, leave),
        cmocka_unit_test_setup_teardown(test_pair_gives_both_models_gradients_to_the_shared_embeddings, enter, leave),
        cmocka_unit_test_setup_teardown(test_pair_survives_failing_allocations, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
