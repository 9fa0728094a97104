/* The promises of a run on the bundled checkpoint: the same bits whatever the batch, the threads, or a kill -9 on the way. */
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/job.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "assets/tiny-bert"
#define DATA "assets/sentiment.csv"

static char folder[] = "/tmp/assay-run-XXXXXX";
static char *place(const char *name) { return as_path_join(folder, name); }

static as_finetune_job job(const as_data_cols *cols, const char *out, int threads) {
    as_finetune_job f = {.job = as_job_defaults(), .recipe = as_recipe_defaults(), .train = DATA, .dev_fraction = 0.1, .cols = cols, .out = out};
    f.job.model = MODEL, f.job.threads = threads;
    f.recipe.lr = 5e-4, f.recipe.steps = 24, f.recipe.eval_every = 8;
    return f;
}
static void digest_of(const char *out, char hex[65]) {
    char *path = as_path_join(out, "model.safetensors");
    as_sha256 h;
    assert_int_equal(as_sha256_file(&h, path, NULL), AS_OK);
    memcpy(hex, h.hex, 65);
    as_free(path);
}
static void finetune_ok(const as_finetune_job *f, as_finetune_result *r) {
    as_err err = {0};
    const as_status s = as_run_finetune(f, r, &err);
    if (s != AS_OK) fail_msg("%s", err.msg);
}

static void test_run_finetune_writes_the_same_bytes_for_1_2_and_4_threads(void **state) {
    (void)state;
    const as_data_cols cols = {.limit = 200};
    char want[65] = "";
    const int threads[] = {1, 2, 4};
    for (int shards = 0; shards <= 4; shards += 4) {
        want[0] = '\0';
        for (size_t i = 0; i < AS_COUNT(threads); i++) {
            char name[32], got[65];
            snprintf(name, sizeof name, "t%d-%d", shards, threads[i]);
            char *out = place(name);
            as_finetune_job f = job(&cols, out, threads[i]);
            f.recipe.grad_shards = shards;
            as_finetune_result r;
            finetune_ok(&f, &r);
            digest_of(out, got);
            if (!want[0]) memcpy(want, got, 65);
            assert_string_equal(got, want);
            as_finetune_result_free(&r);
            as_free(out);
        }
    }
}

/* In a child: train with a checkpoint after every step, until it is killed or ends. */
static void child(const char *out) {
    const as_data_cols cols = {.limit = 200};
    as_finetune_job f = job(&cols, out, 1);
    f.recipe.checkpoint_minutes = 0;
    as_finetune_result r;
    _exit(as_run_finetune(&f, &r, NULL));
}
/* A hundred in the long tier. */
static int most_kills(void) {
    const char *full = getenv("ASSAY_FULL");
    return full && full[0] == '1' ? 100 : 3;
}
/* Nothing of a run is left: its folder, or its store. */
static void forget(const char *path) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s' '%s-wal' '%s-shm'", path, path, path);
    assert_int_equal(system(command), 0);
}
static void test_run_finetune_killed_and_repeated_ends_in_the_same_bytes(void **state) {
    (void)state;
    const as_data_cols cols = {.limit = 200};
    char *undisturbed = place("undisturbed"), *killed = place("killed"), want[65], got[65];
    as_finetune_job f = job(&cols, undisturbed, 1);
    as_finetune_result r;
    finetune_ok(&f, &r);
    digest_of(undisturbed, want);
    as_finetune_result_free(&r);
    srand(7);
    /* Each that gets to its end is looked at, and begun anew until there were enough kills. */
    int kills = 0;
    for (int i = 0, ended = 0; !ended || kills < most_kills(); i++) {
        int status = -1;
        if (ended) forget(killed), ended = 0, i = 0;
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) child(killed);
        usleep((useconds_t)(30000 + rand() % (80000 + 20000 * i)));
        ended = waitpid(pid, &status, WNOHANG) == pid;
        if (!ended) kill(pid, SIGKILL), waitpid(pid, &status, 0), kills++;
        if (!ended) continue;
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        digest_of(killed, got);
        assert_string_equal(got, want);
    }
    as_free(undisturbed), as_free(killed);
}

static void test_run_finetune_refuses_a_folder_of_another_run(void **state) {
    (void)state;
    const as_data_cols cols = {.limit = 60};
    char *out = place("taken");
    as_finetune_job f = job(&cols, out, 1);
    f.recipe.steps = 2;
    as_finetune_result r;
    finetune_ok(&f, &r);
    as_finetune_result_free(&r);
    finetune_ok(&f, &r); /* the same command: nothing is done again */
    assert_true(r.from_store);
    as_finetune_result_free(&r);
    f.recipe.lr = 1e-3;
    as_err err = {0};
    assert_int_equal(as_run_finetune(&f, &r, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "another run"));
    f.job.again = true;
    finetune_ok(&f, &r);
    assert_false(r.from_store);
    as_finetune_result_free(&r);
    as_free(out);
}

/* --- evaluation --- */
typedef struct gathered { float logits[2048]; int64_t n; } gathered;
static as_status gather(void *ctx, const as_result_item *item, as_err *err) {
    (void)err;
    gathered *g = ctx;
    for (int k = 0; k < item->num_labels; k++) g->logits[g->n++] = item->logits[k];
    return AS_OK;
}
static void evaluate(const char *model, int threads, int64_t batch, as_isa isa, const char *db, gathered *g, as_eval_result *r) {
    const as_data_cols cols = {.limit = 300};
    as_job j = as_job_defaults();
    j.model = model, j.threads = threads, j.batch_tokens = batch, j.isa = isa, j.db = db;
    as_err err = {0};
    g->n = 0;
    if (as_run_eval(&j, DATA, &cols, gather, g, r, &err) != AS_OK) fail_msg("%s", err.msg);
}

static void test_run_eval_scores_have_the_same_bits_for_every_batch_and_thread_count(void **state) {
    (void)state;
    const as_data_cols cols = {.limit = 200};
    char *out = place("eval");
    as_finetune_job f = job(&cols, out, 2);
    as_finetune_result ft;
    finetune_ok(&f, &ft);
    as_finetune_result_free(&ft);
    static gathered want, got;
    const int64_t batches[] = {1, 40, 256, 4096};
    const int threads[] = {1, 2, 4};
    for (int isa = AS_ISA_PORTABLE; isa <= (int)as_cpu_detect() && isa <= AS_ISA_AVX512; isa++) {
        bool first = true;
        for (size_t b = 0; b < AS_COUNT(batches); b++)
            for (size_t t = 0; t < AS_COUNT(threads); t++) {
                as_eval_result r;
                evaluate(out, threads[t], batches[b], (as_isa)isa, NULL, first ? &want : &got, &r);
                as_eval_result_free(&r);
                if (!first) assert_memory_equal(got.logits, want.logits, sizeof(float) * (size_t)want.n);
                assert_int_equal(want.n, 600);
                first = false;
            }
    }
    as_free(out);
}

static void test_run_eval_again_comes_from_the_store_with_the_same_numbers(void **state) {
    (void)state;
    char *out = place("eval"), *db = place("assay.db");
    static gathered a, b;
    as_eval_result r1, r2;
    evaluate(out, 2, 0, AS_ISA_AVX512, db, &a, &r1);
    assert_false(r1.from_store);
    evaluate(out, 1, 64, AS_ISA_AVX512, db, &b, &r2);
    assert_true(r2.from_store);
    assert_int_equal(r1.run, r2.run);
    assert_memory_equal(a.logits, b.logits, sizeof(float) * (size_t)a.n);
    assert_int_equal(r1.metric_count, r2.metric_count);
    for (size_t i = 0; i < r1.metric_count; i++) {
        assert_string_equal(r1.metrics[i].name, r2.metrics[i].name);
        assert_memory_equal(&r1.metrics[i].value, &r2.metrics[i].value, sizeof(double));
        assert_memory_equal(&r1.metrics[i].low, &r2.metrics[i].low, sizeof(double));
        assert_true(r1.metrics[i].low <= r1.metrics[i].value && r1.metrics[i].value <= r1.metrics[i].high);
    }
    as_eval_result_free(&r1), as_eval_result_free(&r2);
    as_free(out), as_free(db);
}

static void eval_child(const char *model, const char *db) {
    static gathered g;
    as_eval_result r;
    evaluate(model, 1, 16, AS_ISA_PORTABLE, db, &g, &r);
    _exit(0);
}
static void test_run_eval_killed_and_repeated_ends_in_the_same_scores(void **state) {
    (void)state;
    char *out = place("eval"), *db = place("killed.db");
    static gathered want, got;
    as_eval_result r;
    evaluate(out, 1, 0, AS_ISA_PORTABLE, NULL, &want, &r);
    as_eval_result_free(&r);
    srand(11);
    int kills = 0;
    for (int i = 0, ended = 0; !ended || kills < most_kills(); i++) {
        int status = -1;
        if (ended) forget(db), ended = 0, i = 0;
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) eval_child(out, db);
        usleep((useconds_t)(5000 + rand() % (30000 + 10000 * i)));
        ended = waitpid(pid, &status, WNOHANG) == pid;
        if (!ended) kill(pid, SIGKILL), waitpid(pid, &status, 0), kills++;
        if (!ended) continue;
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        evaluate(out, 1, 0, AS_ISA_PORTABLE, db, &got, &r);
        assert_true(r.from_store);
        assert_memory_equal(got.logits, want.logits, sizeof(float) * (size_t)want.n);
        as_eval_result_free(&r);
    }
    as_free(out), as_free(db);
}

static as_status count_vectors(void *ctx, int64_t index, as_str text, const float *v, int64_t dim, as_err *err) {
    (void)index, (void)text, (void)err;
    double s = 0.0;
    for (int64_t i = 0; i < dim; i++) s += (double)v[i] * (double)v[i];
    assert_true(isfinite(s) && s > 0.0);
    ++*(int *)ctx;
    return AS_OK;
}
static as_status count_fills(void *ctx, const as_fill *top, int count, as_err *err) {
    (void)err;
    for (int i = 1; i < count; i++) assert_true(top[i].prob <= top[i - 1].prob);
    ++*(int *)ctx;
    return AS_OK;
}
static void test_run_embed_and_fill_answer_each_text_and_each_mask(void **state) {
    (void)state;
    as_job j = as_job_defaults();
    j.model = MODEL;
    const as_str texts[] = {AS_LIT("Simply a joy."), AS_LIT("\xE5\xBE\x88\xE5\xA5\xBD"), AS_LIT("")};
    int n = 0;
    assert_int_equal(as_run_embed(&j, texts, 3, count_vectors, &n, NULL), AS_OK);
    assert_int_equal(n, 3);
    n = 0;
    assert_int_equal(as_run_fill(&j, AS_LIT("a [MASK] film and a [MASK] book"), 5, count_fills, &n, NULL), AS_OK);
    assert_int_equal(n, 2);
    as_err err = {0};
    assert_int_equal(as_run_fill(&j, AS_LIT("no mask here"), 5, count_fills, &n, &err), AS_USAGE);
    assert_non_null(strstr(err.hint, "[MASK]"));
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}
static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_finetune_writes_the_same_bytes_for_1_2_and_4_threads),
        cmocka_unit_test(test_run_finetune_killed_and_repeated_ends_in_the_same_bytes),
        cmocka_unit_test(test_run_finetune_refuses_a_folder_of_another_run),
        cmocka_unit_test(test_run_eval_scores_have_the_same_bits_for_every_batch_and_thread_count),
        cmocka_unit_test(test_run_eval_again_comes_from_the_store_with_the_same_numbers),
        cmocka_unit_test(test_run_eval_killed_and_repeated_ends_in_the_same_scores),
        cmocka_unit_test(test_run_embed_and_fill_answer_each_text_and_each_mask),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
