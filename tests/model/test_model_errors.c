/* Bad checkpoints: one clear error each, with the right status, and nothing left behind. */
#include "model_check.h"
#include <sys/stat.h>

static as_engine *engine_open(void) { return engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 2); }

/* --- config.json --- */
#define SMALL                                                                                                                    \
    "\"model_type\": \"bert\", \"vocab_size\": 101, \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, " \
    "\"intermediate_size\": 48, \"max_position_embeddings\": 40"

typedef struct config_case { const char *json, *msg, *hint; } config_case;
static const config_case bad_configs[] = {
    {"", "", NULL},
    {"{" SMALL, "", NULL},
    {"[]", "is not a JSON object", NULL},
    {"{}", "has no \"model_type\"", "Supported: bert"},
    {"{\"model_type\": 3}", "has no \"model_type\"", "Supported: bert"},
    {"{\"model_type\": \"gpt_neo\"}", "architecture \"gpt_neo\" is not supported", "Supported: bert"},
    {"{\"model_type\": \"bert\\u0000x\"}", "is not supported", "Supported: bert"},
    {"{" SMALL ", \"hidden_act\": \"mish\"}", "unknown hidden_act \"mish\"", "gelu_new"},
    {"{" SMALL ", \"hidden_act\": 5}", "unknown hidden_act", "gelu_new"},
    {"{" SMALL ", \"hidden_size\": 0}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": -32}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": 1e12}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": 1000000000000}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": \"32\"}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": 32.5}", "\"hidden_size\" is not a size", NULL},
    {"{" SMALL ", \"hidden_size\": 30}", "\"hidden_size\" 30 is not a multiple of \"num_attention_heads\" 4", NULL},
    {"{" SMALL ", \"vocab_size\": 0}", "\"vocab_size\"", NULL},
    {"{" SMALL ", \"num_hidden_layers\": -1}", "\"num_hidden_layers\"", NULL},
    {"{" SMALL ", \"num_hidden_layers\": 5000}", "\"num_hidden_layers\" is over 4096", NULL},
    {"{" SMALL ", \"num_attention_heads\": 0}", "\"num_attention_heads\"", NULL},
    {"{" SMALL ", \"intermediate_size\": null}", "\"intermediate_size\"", NULL},
    {"{" SMALL ", \"max_position_embeddings\": 99999999999999999999}", "", NULL},
    {"{" SMALL ", \"type_vocab_size\": -2}", "\"type_vocab_size\"", NULL},
    {"{" SMALL ", \"layer_norm_eps\": -1e-12}", "\"layer_norm_eps\"", NULL},
    {"{" SMALL ", \"layer_norm_eps\": \"1e-12\"}", "\"layer_norm_eps\"", NULL},
    {"{" SMALL ", \"layer_norm_eps\": 1e999}", "", NULL},
    {"{" SMALL ", \"initializer_range\": -1}", "\"initializer_range\"", NULL},
    {"{" SMALL ", \"hidden_dropout_prob\": 1.5}", "\"hidden_dropout_prob\" is not a probability", NULL},
    {"{" SMALL ", \"attention_probs_dropout_prob\": -0.1}", "\"attention_probs_dropout_prob\" is not a probability", NULL},
    {"{" SMALL ", \"classifier_dropout\": \"x\"}", "\"classifier_dropout\" is not a probability", NULL},
    {"{" SMALL ", \"position_embedding_type\": \"relative_key\"}", "position_embedding_type \"relative_key\" is not supported", "absolute"},
    {"{" SMALL ", \"is_decoder\": true}", "decoder", NULL},
    {"{" SMALL ", \"problem_type\": \"ranking\"}", "unknown problem_type \"ranking\"", NULL},
    {"{" SMALL ", \"id2label\": {\"0\": \"a\", \"2\": \"b\"}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"id2label\": [\"a\", \"b\"]}", "\"id2label\" is not an object", NULL},
    {"{" SMALL ", \"id2label\": {\"1\": \"a\", \"2\": \"b\"}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"id2label\": {\"0\": \"a\", \"00\": \"b\"}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"id2label\": {\"0\": \"a\", \"-1\": \"b\"}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"id2label\": {\"0\": \"a\", \"one\": \"b\"}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"id2label\": {\"0\": 5}}", "\"id2label\"", NULL},
    {"{" SMALL ", \"num_labels\": 0}", "number of labels", NULL},
    {"{" SMALL ", \"num_labels\": 1e9}", "number of labels", NULL},
    {"{\"model_type\": \"electra\", \"embedding_size\": 0}", "\"embedding_size\" is not a size", NULL},
    {"{\"model_type\": \"electra\", \"hidden_size\": 250}", "\"hidden_size\" 250 is not a multiple of \"num_attention_heads\" 4", NULL},
    {"{\"model_type\": \"gpt2\", \"n_embd\": 100}", "\"n_embd\" 100 is not a multiple of \"n_head\" 12", NULL},
    {"{\"model_type\": \"gpt2\", \"n_inner\": -1}", "\"n_inner\" is not a size", NULL},
    {"{\"model_type\": \"gpt2\", \"resid_pdrop\": 2}", "\"resid_pdrop\" is not a probability", NULL},
    {"{\"model_type\": \"gpt2\", \"activation_function\": \"mish\"}", "unknown activation_function \"mish\"", "gelu_new"},
    {"{\"model_type\": \"gpt2\", \"add_cross_attention\": true}", "decoder", NULL},
};

static void test_config_refuses_what_it_cannot_run(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(bad_configs); i++) {
        const config_case *k = &bad_configs[i];
        as_config c;
        as_err err = {0};
        const as_status s = as_config_parse(&c, as_str_of(k->json), "here/config.json", &err);
        assert_null(c.raw);
        if (s != AS_FORMAT || !strstr(err.msg, "here/config.json") || !strstr(err.msg, k->msg) || !err.hint[0] || (k->hint && !strstr(err.hint, k->hint)))
            fail_msg("%s: status %d: %s (%s)", k->json, (int)s, err.msg, err.hint);
        assert_null(strchr(err.msg, '\n'));
    }
}

/* Absent keys have the defaults of transformers' BertConfig. */
static void test_config_defaults_are_those_of_transformers(void **state) {
    (void)state;
    as_config c;
    as_err err = {0};
    expect_ok(as_config_parse(&c, AS_LIT("{\"model_type\": \"bert\"}"), "config.json", &err), &err);
    assert_true(c.vocab == 30522 && c.hidden == 768 && c.layers == 12 && c.heads == 12 && c.inter == 3072 && c.max_pos == 512 && c.types == 2);
    assert_true(c.act == AS_ACT_GELU && c.eps == 1e-12f && c.dropout == 0.1f && c.attention_dropout == 0.1f && c.classifier_dropout == 0.1f);
    assert_true(c.init_range == 0.02f && c.pad_id == 0 && c.tied && c.problem == AS_PROBLEM_UNSET && c.num_labels == 2 && !c.labels_given);
    assert_string_equal(c.labels[1], "LABEL_1");
    as_config_free(&c);
    expect_ok(as_config_parse(&c, AS_LIT("{\"model_type\": \"bert\", \"hidden_dropout_prob\": 0.25, \"classifier_dropout\": null, \"pad_token_id\": null,"
                                         "\"id2label\": {\"1\": \"y\", \"0\": \"x\"}, \"num_labels\": 7, \"problem_type\": null}"), "config.json", &err), &err);
    assert_true(c.classifier_dropout == 0.25f && c.num_labels == 2 && c.labels_given);
    assert_string_equal(c.labels[0], "x");
    as_config_free(&c);
    expect_ok(as_config_parse(&c, AS_LIT("{\"model_type\": \"electra\"}"), "config.json", &err), &err);
    assert_true(c.vocab == 30522 && c.embedding == 128 && c.hidden == 256 && c.layers == 12 && c.heads == 4 && c.inter == 1024 && c.max_pos == 512);
    assert_true(c.types == 2 && c.act == AS_ACT_GELU && c.eps == 1e-12f && c.dropout == 0.1f && c.embedding_dropout == 0.1f && c.pad_id == 0);
    as_config_free(&c);
    expect_ok(as_config_parse(&c, AS_LIT("{\"model_type\": \"gpt2\", \"n_inner\": null}"), "config.json", &err), &err);
    assert_true(c.vocab == 50257 && c.embedding == 768 && c.hidden == 768 && c.layers == 12 && c.heads == 12 && c.inter == 3072 && c.max_pos == 1024);
    assert_true(c.types == 0 && c.act == AS_ACT_GELU_TANH && c.eps == 1e-5f && c.dropout == 0.1f && c.attention_dropout == 0.1f && c.pad_id == -1);
    assert_true(c.embedding_dropout == 0.1f && c.scale_by_width && !c.scale_by_layer && c.tied);
    as_config_free(&c);
}

/* --- files --- */
static void put(const char *name, const void *p, size_t n) {
    as_err err = {0};
    expect_ok(as_file_write(in_dir(name), p, n, &err), &err);
}
static void copy_golden(const char *golden, const char *file, size_t cut) {
    char path[256];
    as_buf b = {0};
    as_err err = {0};
    snprintf(path, sizeof path, GOLDEN "%s/%s", golden, file);
    expect_ok(as_file_read(&b, path, 0, &err), &err);
    put(file, b.p, cut < b.n ? b.n - cut : 0);
    as_buf_free(&b);
}

static void expect_refused(const char *path, as_head head, as_status status, const char *const words[4]) {
    as_engine *e = engine_open();
    for (int train = 0; train < 2; train++) {
        heard h = {0};
        as_err err = {0};
        as_model *m;
        const int64_t live = as_mem_live_blocks();
        const as_status s = as_model_open(&m, e, path, &(as_model_opts){.head = head, .train = train, .log = &(as_log){hear, &h}}, &err);
        assert_null(m);
        assert_int_equal(as_mem_live_blocks(), live);
        bool said = s == status && err.hint[0] && !strchr(err.msg, '\n') && h.text[0] == '\0';
        for (int i = 0; i < 4 && words[i]; i++) said = said && strstr(err.msg, words[i]);
        if (!said) fail_msg("status %d, not %d: %s (%s)\n%s", (int)s, (int)status, err.msg, err.hint, h.text);
    }
    as_engine_free(e);
}
#define REFUSED(path, status, ...) expect_refused(path, AS_HEAD_CLASSIFY, status, (const char *const[4]){__VA_ARGS__})

static void test_open_names_what_is_missing(void **state) {
    (void)state;
    REFUSED(in_dir("nowhere"), AS_IO, "nowhere", "no such model folder");
    REFUSED(in_dir(""), AS_IO, "config.json");
    put("config.json", "{" SMALL "}", strlen("{" SMALL "}"));
    REFUSED(in_dir(""), AS_IO, dir, "model.safetensors", "pytorch_model.bin");
    put("config.json", "{\"model_type\": \"t5\"}", 20);
    REFUSED(in_dir(""), AS_FORMAT, "config.json", "\"t5\" is not supported");
}

static void test_open_refuses_a_head_that_the_architecture_lacks(void **state) {
    (void)state;
    expect_refused(GOLDEN "gpt2_lm", AS_HEAD_MLM, AS_USAGE, (const char *const[4]){"gpt2_lm", "gpt2 has no masked-LM head"});
    expect_refused(GOLDEN "electra_mlm", AS_HEAD_NSP, AS_USAGE, (const char *const[4]){"electra has no next-sentence head"});
    expect_refused(GOLDEN "base", AS_HEAD_RTD, AS_USAGE, (const char *const[4]){"bert has no replaced-token head"});
}

static void test_open_refuses_damaged_weight_files(void **state) {
    (void)state;
    copy_golden("single", "config.json", 0);
    put("model.safetensors", "", 0);
    REFUSED(in_dir(""), AS_FORMAT, "model.safetensors");
    put("model.safetensors", "\xff\xff\xff\x7f\0\0\0\0{}", 10);
    REFUSED(in_dir(""), AS_FORMAT, "model.safetensors", "header");
    static const size_t cuts[] = {1, 100, 50000};
    for (size_t i = 0; i < AS_COUNT(cuts); i++) {
        copy_golden("single", "model.safetensors", cuts[i]);
        REFUSED(in_dir(""), AS_FORMAT, "model.safetensors", "ends at byte");
    }
    copy_golden("single", "model.safetensors", 0);
    copy_golden("base", "config.json", 0); /* another model's config */
    REFUSED(in_dir(""), AS_SHAPE, "model.safetensors", "shape [101, 32]", "for [101, 24]");
}

/* The weights of "single" with one tensor changed. */
typedef struct change { const char *name; as_dtype dtype; int rank; int64_t shape[3]; int poison; float value; } change;
static void put_changed(const change *k) {
    as_weight_files *w;
    as_err err = {0};
    expect_ok(as_weights_open(&w, GOLDEN "single", &err), &err);
    const size_t n = as_weights_count(w);
    as_weight_view *v = as_calloc(n, sizeof *v);
    float *data = as_calloc(101 * 64, sizeof *data);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        v[i] = *as_weights_at(w, i);
        if (strcmp(v[i].name, k->name) != 0) continue;
        found = true;
        if (k->poison) memcpy(data, v[i].data, (size_t)v[i].numel * sizeof *data), data[k->poison] = k->value;
        if (k->rank) {
            v[i].rank = k->rank, v[i].dtype = k->dtype, v[i].numel = 1;
            for (int d = 0; d < k->rank; d++) v[i].shape[d] = k->shape[d], v[i].numel *= k->shape[d];
        }
        v[i].data = data;
    }
    assert_true(found);
    expect_ok(as_safetensors_write(in_dir("model.safetensors"), v, n, &err), &err);
    as_free(v), as_free(data);
    as_weights_close(w);
    copy_golden("single", "config.json", 0);
}

static void test_open_names_the_tensor_and_both_shapes(void **state) {
    (void)state;
#define LAYER "bert.encoder.layer.1."
    static const struct { change c; const char *words[3]; } cases[] = {
        {{LAYER "attention.self.key.weight", AS_F32, 2, {32, 31}, 0, 0}, {"[32, 31]", "[32, 32]"}},
        {{LAYER "attention.self.value.bias", AS_F32, 1, {64}, 0, 0}, {"[64]", "[32]"}},
        {{LAYER "intermediate.dense.weight", AS_F32, 2, {32, 48}, 0, 0}, {"[32, 48]", "[48, 32]"}}, /* transposed */
        {{LAYER "output.LayerNorm.weight", AS_F32, 2, {1, 32}, 0, 0}, {NULL}},                         /* harmless: accepted */
        {{"bert.embeddings.word_embeddings.weight", AS_F32, 2, {100, 32}, 0, 0}, {"[100, 32]", "[101, 32]"}},
        {{"bert.embeddings.position_embeddings.weight", AS_F32, 1, {1280}, 0, 0}, {"[1280]", "[40, 32]"}},
        {{"classifier.weight", AS_F32, 2, {2, 32}, 0, 0}, {"[2, 32]", "[3, 32]"}},
        {{"classifier.bias", AS_F32, 3, {1, 1, 3}, 0, 0}, {"[1, 1, 3]", "[3]"}},
        {{"classifier.bias", AS_F32, 1, {0}, 0, 0}, {"[0]", "[3]"}},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        put_changed(&cases[i].c);
        if (cases[i].words[0]) REFUSED(in_dir(""), AS_SHAPE, cases[i].c.name, "model.safetensors", cases[i].words[0], cases[i].words[1]);
    }
}

static void test_open_refuses_integer_weights(void **state) {
    (void)state;
    static const change cases[] = {
        {LAYER "attention.self.query.weight", AS_I8, 2, {32, 32}, 0, 0}, {LAYER "output.dense.bias", AS_I32, 1, {32}, 0, 0},
        {"bert.embeddings.word_embeddings.weight", AS_I64, 2, {101, 32}, 0, 0}, {"classifier.bias", AS_BOOL, 1, {3}, 0, 0},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        put_changed(&cases[i]);
        REFUSED(in_dir(""), AS_FORMAT, cases[i].name, as_dtype_name(cases[i].dtype));
    }
}

static void test_open_refuses_weights_that_are_not_finite(void **state) {
    (void)state;
    static const struct { change c; const char *place; } cases[] = {
        {{LAYER "attention.self.value.weight", AS_F32, 0, {0}, 32 * 5 + 7, NAN}, "row 5, column 7"},
        {{LAYER "attention.self.key.bias", AS_F32, 0, {0}, 31, INFINITY}, "column 31"},
        {{"bert.embeddings.word_embeddings.weight", AS_F32, 0, {0}, 101 * 32 - 1, -INFINITY}, "row 100, column 31"},
        {{"classifier.weight", AS_F32, 0, {0}, 1, NAN}, "row 0, column 1"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        put_changed(&cases[i].c);
        REFUSED(in_dir(""), AS_NUMERIC, cases[i].c.name, "not finite", cases[i].place);
    }
}

static void test_open_refuses_weights_of_something_else(void **state) {
    (void)state;
    as_err err = {0};
    static const float x[4] = {1, 2, 3, 4};
    const as_weight_view v = {.name = "transformer.wte.weight", .dtype = AS_F32, .rank = 2, .shape = {2, 2}, .numel = 4, .data = x};
    expect_ok(as_safetensors_write(in_dir("model.safetensors"), &v, 1, &err), &err);
    copy_golden("single", "config.json", 0);
    REFUSED(in_dir(""), AS_FORMAT, "none of its tensors is a weight of a bert model");
}

/* Sizes that no machine has: said before anything is read or reserved. */
static void test_open_says_that_memory_will_not_do_before_it_starts(void **state) {
    (void)state;
    copy_golden("single", "model.safetensors", 0);
    static const char *const sizes[] = {
        "\"hidden_size\": 2147483644, \"num_attention_heads\": 4", "\"vocab_size\": 2147483647, \"hidden_size\": 1048576",
        "\"num_hidden_layers\": 4096, \"hidden_size\": 262144", "\"intermediate_size\": 2147483647, \"hidden_size\": 2147483647, \"num_attention_heads\": 1",
    };
    for (size_t i = 0; i < AS_COUNT(sizes); i++) {
        char text[512];
        snprintf(text, sizeof text, "{" SMALL ", %s}", sizes[i]);
        put("config.json", text, strlen(text));
        REFUSED(in_dir(""), AS_NOMEM, dir, "needs about", "MB of memory");
    }
}

/* --- allocations --- */
static void test_open_survives_failing_allocations(void **state) {
    (void)state;
    static const golden_case cases[] = {{"regression", AS_HEAD_CLASSIFY}, {"mlm_both", AS_HEAD_MLM}, {"legacy_bin", AS_HEAD_NSP}, {"sharded", AS_HEAD_CLASSIFY}};
    as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_OWN, AS_COMPUTE_F32, 1); /* one thread: the same order each time */
    for (size_t i = 0; i < AS_COUNT(cases); i++)
        for (int train = 0; train < 2; train++) {
            char path[256];
            heard h = {0};
            snprintf(path, sizeof path, GOLDEN "%s", cases[i].name);
            const as_model_opts o = {.head = cases[i].head, .train = train, .log = &(as_log){hear, &h}};
            const int64_t live = as_mem_live_blocks();
            for (int64_t n = 1;; n++) {
                as_model *m;
                as_err err = {0};
                h.text[0] = '\0';
                as_mem_fail_after(n);
                const as_status s = as_model_open(&m, e, path, &o, &err);
                as_mem_fail_after(0);
                as_model_free(m);
                assert_int_equal(as_mem_live_blocks(), live);
                if (s == AS_OK) break;
                if (s != AS_NOMEM || !err.msg[0]) fail_msg("%s, allocation %d: status %d: %s", path, (int)n, (int)s, err.msg);
                assert_true(n < 100000);
            }
        }
    as_engine_free(e);
}

/* Running out of memory while computing gives NULL, not a crash; the context is as good as new afterwards. */
static void test_forward_survives_failing_allocations(void **state) {
    (void)state;
    static const golden_case cases[] = {{"regression", AS_HEAD_CLASSIFY}, {"mlm_tied", AS_HEAD_MLM}, {"nsp", AS_HEAD_NSP}, {"base", AS_HEAD_NONE}};
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static batch b;
    as_err err = {0};
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        expected x = expected_open(cases[i].name);
        batch_fill(&b, &x, all, 8);
        for (int64_t n = 1, done = 0; !done; n++) {
            as_engine *e = engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_OWN, AS_COMPUTE_F32, 1);
            as_model *m = golden_open(e, &cases[i], false, NULL);
            as_ctx c;
            expect_ok(as_ctx_init(&c, e, 0, 1, &err), &err);
            c.arena.block_bytes = 4096; /* many blocks, many places to fail */
            as_mem_fail_after(n);
            const as_tensor *y = forward(m, &c, &b);
            as_mem_fail_after(0);
            done = y != NULL;
            as_ctx_reset(&c);
            assert_non_null(forward(m, &c, &b));
            as_ctx_deinit(&c);
            as_model_free(m);
            as_engine_free(e);
            assert_true(n < 10000);
        }
        as_weights_close(x.w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_refuses_what_it_cannot_run, enter, leave),
        cmocka_unit_test_setup_teardown(test_config_defaults_are_those_of_transformers, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_names_what_is_missing, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_refuses_a_head_that_the_architecture_lacks, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_refuses_damaged_weight_files, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_names_the_tensor_and_both_shapes, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_refuses_integer_weights, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_refuses_weights_that_are_not_finite, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_refuses_weights_of_something_else, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_says_that_memory_will_not_do_before_it_starts, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_survives_failing_allocations, enter, leave),
        cmocka_unit_test_setup_teardown(test_forward_survives_failing_allocations, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
