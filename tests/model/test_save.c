/* What is saved is what was opened: the same bits here, the same model in transformers; and a save that fails leaves the old one. */
#include "model_check.h"
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static as_engine *engine_open(void) { return engine_new((as_isa)(AS_ISA_COUNT - 1), AS_GEMM_AUTO, AS_COMPUTE_F32, 2); }

static as_buf slurp(const char *path) {
    as_buf b = {0};
    as_err err = {0};
    expect_ok(as_file_read(&b, path, 0, &err), &err);
    return b;
}
static void expect_same_file(const char *a, const char *b) {
    as_buf x = slurp(a), y = slurp(b);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    as_buf_free(&x), as_buf_free(&y);
}
static int files_in(const char *path) {
    DIR *d = opendir(path);
    assert_non_null(d);
    int n = 0;
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}
static as_model *open_dir(as_engine *e, const char *path, as_head head, bool train, const as_log *log) {
    as_model *m;
    as_err err = {0};
    expect_ok(as_model_open(&m, e, path, &(as_model_opts){.head = head, .train = train, .log = log}, &err), &err);
    return m;
}
static void save_to(const as_model *m, const char *path) {
    as_err err = {0};
    expect_ok(as_model_save(m, path, &err), &err);
}

/* Saves golden g to dir/NAME, and its outputs to dir/NAME.out; returns the outputs. */
static float *save_golden(as_engine *e, const golden_case *g, const expected *x) {
    char name[64];
    as_err err = {0};
    as_model *m = golden_open(e, g, true, NULL);
    save_to(m, in_dir(g->name));
    float *out = score(m, x, NULL, 8, 1, 1);
    snprintf(name, sizeof name, "%s.out", g->name);
    expect_ok(as_file_write(in_dir(name), out, (size_t)(x->rows * x->cols) * sizeof *out, &err), &err);
    as_model_free(m);
    return out;
}

static void test_save_gives_the_same_bits_back(void **state) {
    (void)state;
    as_engine *e = engine_open();
    for (size_t i = 0; i < AS_COUNT(goldens); i++) {
        expected x = expected_open(goldens[i].name);
        float *want = save_golden(e, &goldens[i], &x);
        for (int train = 0; train < 2; train++) {
            heard h = {0};
            as_model *m = open_dir(e, in_dir(goldens[i].name), goldens[i].head, train, &(as_log){hear, &h});
            /* all that was saved is used; inference alone has no need of a pooler without a head */
            if (goldens[i].head != AS_HEAD_NONE || train) assert_string_equal(h.text, "");
            assert_int_equal(as_model_missing(m), 0);
            float *got = score(m, &x, NULL, 8, 1, 1);
            if (memcmp(got, want, (size_t)(x.rows * x.cols) * sizeof *got) != 0) fail_msg("%s: other bits after saving", goldens[i].name);
            as_free(got);
            if (train) { /* saved once more: the same bytes */
                save_to(m, in_dir("again"));
                char a[128];
                snprintf(a, sizeof a, "%s/model.safetensors", goldens[i].name);
                expect_same_file(in_dir(a), in_dir("again/model.safetensors"));
                snprintf(a, sizeof a, "%s/config.json", goldens[i].name);
                expect_same_file(in_dir(a), in_dir("again/config.json"));
            }
            as_model_free(m);
        }
        as_free(want);
        as_weights_close(x.w);
    }
    as_engine_free(e);
}

static void test_save_loads_in_transformers_without_a_word(void **state) {
    (void)state;
    if (system("python3 -c 'import numpy, safetensors, torch, transformers' 2>/dev/null") != 0) {
        print_message("skip reason: python3 cannot import numpy, safetensors, torch and transformers\n");
        skip();
    }
    as_engine *e = engine_open();
    for (size_t i = 0; i < AS_COUNT(goldens); i++) {
        expected x = expected_open(goldens[i].name);
        as_free(save_golden(e, &goldens[i], &x));
        as_weights_close(x.w);
    }
    as_engine_free(e);
    char command[256];
    snprintf(command, sizeof command, "python3 tests/model/roundtrip.py '%s' > '%s' 2>&1", dir, in_dir("said"));
    const int status = system(command);
    as_buf said = slurp(in_dir("said"));
    as_buf_add(&said, "", 1);
    int ok = 0;
    for (const char *p = said.p; (p = strstr(p, "ok ")); p++) ok++;
    if (status != 0 || ok != (int)AS_COUNT(goldens)) fail_msg("%d cases:\n%s", ok, said.p);
    as_buf_free(&said);
}

/* bfloat16: every number rounded to the nearest, in half the bytes; config.json says so; no allocation fails unseen. */
static void test_save_rounds_to_bfloat16(void **state) {
    (void)state;
    as_engine *e = engine_open();
    for (size_t i = 0; i < AS_COUNT(goldens); i++) {
        as_model *m = golden_open(e, &goldens[i], true, NULL);
        as_weight_files *full, *half;
        as_err err = {0};
        save_to(m, in_dir("full"));
        expect_ok(as_model_save_as(m, in_dir("half"), AS_BF16, &err), &err);
        expect_ok(as_weights_open(&full, in_dir("full"), &err), &err);
        expect_ok(as_weights_open(&half, in_dir("half"), &err), &err);
        assert_int_equal(as_weights_count(half), as_weights_count(full));
        for (size_t k = 0; k < as_weights_count(half); k++) {
            const as_weight_view *h = as_weights_at(half, k), *f = as_weights_find(full, h->name);
            assert_non_null(f);
            assert_int_equal(h->dtype, AS_BF16);
            assert_int_equal(h->numel, f->numel);
            for (int64_t n = 0; n < f->numel; n++) assert_int_equal(((const uint16_t *)h->data)[n], as_f32_to_bf16(((const float *)f->data)[n]));
        }
        as_weights_close(half), as_weights_close(full);
        as_buf config = slurp(in_dir("half/config.json"));
        as_buf_add(&config, "", 1);
        assert_non_null(strstr(config.p, "\"dtype\": \"bfloat16\""));
        as_buf_free(&config);
        as_model_free(open_dir(e, in_dir("half"), goldens[i].head, false, NULL));
        const int64_t live = as_mem_live_blocks();
        for (int64_t n = 1; i == 0; n += 7) {
            as_mem_fail_after(n);
            const as_status s = as_model_save_as(m, in_dir("half"), AS_BF16, &err);
            as_mem_fail_after(0);
            assert_int_equal(as_mem_live_blocks(), live);
            if (s == AS_OK) break;
            assert_int_equal(s, AS_NOMEM);
        }
        as_model_free(m);
    }
    as_engine_free(e);
}

/* A new head: its labels, count and kind are in the saved config. */
static void test_save_keeps_the_labels_of_a_new_head(void **state) {
    (void)state;
    static char *const labels[] = {"no \"way\"", "na\xc3\xafve\\", "\xe5\xa5\xbd", "tab\there"};
    static const struct { int n; as_problem asked, got; } cases[] = {
        {4, AS_PROBLEM_UNSET, AS_PROBLEM_SINGLE}, {3, AS_PROBLEM_MULTI, AS_PROBLEM_MULTI}, {1, AS_PROBLEM_UNSET, AS_PROBLEM_REGRESSION},
        {2, AS_PROBLEM_REGRESSION, AS_PROBLEM_REGRESSION},
    };
    as_engine *e = engine_open();
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        as_model *m;
        as_err err = {0};
        const as_model_opts o = {.head = AS_HEAD_CLASSIFY, .train = true, .labels = labels, .num_labels = cases[i].n, .problem = cases[i].asked};
        expect_ok(as_model_open(&m, e, GOLDEN "base", &o, &err), &err);
        save_to(m, in_dir("new"));
        as_model_free(m);
        m = open_dir(e, in_dir("new"), AS_HEAD_CLASSIFY, false, NULL);
        assert_int_equal(as_model_missing(m), 0);
        assert_int_equal(as_model_num_labels(m), cases[i].n);
        assert_int_equal(as_model_problem(m), cases[i].got);
        for (int k = 0; k < cases[i].n; k++) assert_string_equal(as_model_labels(m)[k], labels[k]);
        assert_string_equal(as_model_config(m)->architecture, "BertForSequenceClassification");
        as_model_free(m);
    }
    as_engine_free(e);
}

static void test_save_refuses_a_model_opened_for_inference(void **state) {
    (void)state;
    as_engine *e = engine_open();
    as_model *m = golden_open(e, &goldens[0], false, NULL);
    as_err err = {0};
    assert_int_equal(as_model_save(m, in_dir("none"), &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "opened for inference"));
    assert_false(as_file_exists(in_dir("none/model.safetensors")) || as_file_exists(in_dir("none/config.json")));
    as_model_free(m);
    as_engine_free(e);
}

/* The disk is full after any number of bytes: an error, and the old checkpoint as it was. */
static void test_save_on_a_full_disk_leaves_the_old_files(void **state) {
    (void)state;
    as_engine *e = engine_open();
    as_model *m = golden_open(e, &goldens[0], true, NULL), *other = golden_open(e, &(golden_case){"multi", AS_HEAD_CLASSIFY}, true, NULL);
    save_to(m, in_dir("old")), save_to(m, in_dir("kept"));
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    static const rlim_t sizes[] = {0, 1, 100, 4096, 30000};
    for (size_t i = 0; i < AS_COUNT(sizes); i++) {
        as_err err = {0};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){sizes[i], before.rlim_max}), 0);
        const as_status s = as_model_save(other, in_dir("old"), &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(s, AS_IO);
        assert_non_null(strstr(err.msg, "model.safetensors"));
        expect_same_file(in_dir("old/model.safetensors"), in_dir("kept/model.safetensors"));
        expect_same_file(in_dir("old/config.json"), in_dir("kept/config.json"));
        assert_int_equal(files_in(in_dir("old")), 2); /* and no temporary file */
    }
    (void)signal(SIGXFSZ, handler);
    as_model_free(other), as_model_free(m);
    as_engine_free(e);
}

/* No allocation of saving may fail unseen. */
static void test_save_survives_failing_allocations(void **state) {
    (void)state;
    as_engine *e = engine_open();
    as_model *m = golden_open(e, &goldens[0], true, NULL);
    const int64_t live = as_mem_live_blocks();
    for (int64_t n = 1;; n++) {
        as_err err = {0};
        as_mem_fail_after(n);
        const as_status s = as_model_save(m, in_dir("saved"), &err);
        as_mem_fail_after(0);
        assert_int_equal(as_mem_live_blocks(), live);
        if (s == AS_OK) break;
        if (s != AS_NOMEM || !err.msg[0]) fail_msg("allocation %d: status %d: %s", (int)n, (int)s, err.msg);
        assert_true(n < 10000);
    }
    as_model_free(open_dir(e, in_dir("saved"), AS_HEAD_CLASSIFY, false, NULL));
    as_model_free(m);
    as_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_save_gives_the_same_bits_back, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_loads_in_transformers_without_a_word, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_rounds_to_bfloat16, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_keeps_the_labels_of_a_new_head, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_refuses_a_model_opened_for_inference, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_on_a_full_disk_leaves_the_old_files, enter, leave),
        cmocka_unit_test_setup_teardown(test_save_survives_failing_allocations, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
