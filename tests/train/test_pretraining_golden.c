/* The losses and gradient norms of a masked-LM pre-training are those of BertForMaskedLM and torch.optim.AdamW in PyTorch
 * (tests/golden/train/mlm.py), masks and batches those that it was given. */
#include "base/check.h"
#include "train/objective_check.h"
#include "train/objective_mlm.h"
#include <inttypes.h>
#include <math.h>

enum { STEPS = 10, BATCH = 8 };
#define OK(call) do { as_err err = {0}; const as_status ok_ = (call); if (ok_ != AS_OK) fail_msg("%s: %s", #call, err.msg); } while (0)

typedef struct course { const as_objective *o; FILE *losses, *masks; int64_t steps; } course;

/* The masked sequences of a step must be those of mlm.jsonl. */
static void check_masks(course *k, int64_t step) {
    const as_rows *r = as_mlm_rows(k->o);
    const int64_t per = (k->o->n + BATCH - 1) / BATCH, at = step % per * BATCH;
    const as_train_at where = {.seed = 1, .step = step, .epoch = step / per};
    int64_t *order = as_alloc((size_t)k->o->n, sizeof *order);
    int32_t ids[MOST_TOKENS], types[MOST_TOKENS], target[MOST_TOKENS], label;
    static char line[1 << 16];
    assert_true(order && fgets(line, sizeof line, k->masks));
    k->o->order(k->o->self, order, 1, where.epoch);
    size_t found = 0, all = 0;
    for (const char *p = line; (p = strstr(p, "{\"ids\"")); p++) all++;
    for (int64_t i = at; i < at + BATCH && i < k->o->n; i++)
        for (int64_t s = r->begin[order[i]]; s < r->begin[order[i] + 1]; s++, found++) {
            const int64_t n = as_mlm_sequence(k->o, &where, s, ids, types, target, &label);
            as_buf b = {0};
            as_buf_str(&b, "{"), put_ids(&b, "ids", ids, n), as_buf_str(&b, ","), put_ids(&b, "target", target, n), as_buf_str(&b, "}");
            if (!strstr(line, b.p)) fail_msg("step %" PRId64 ": %s is not what PyTorch was given", step + 1, b.p);
            as_buf_free(&b);
        }
    assert_int_equal(found, all);
    as_free(order);
}
static as_status on_step(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    course *k = ctx;
    double loss, norm;
    check_masks(k, s->step - 1);
    assert_int_equal(fscanf(k->losses, "%lf %lf", &loss, &norm), 2);
    const double d = fmax(fabs(s->loss - loss) / loss, fabs(s->norm - norm) / norm);
    if (!(d < 1e-5)) fail_msg("step %" PRId64 ": loss %.8g and norm %.8g, in PyTorch %.8g and %.8g", s->step, s->loss, s->norm, loss, norm);
    k->steps++;
    return AS_OK;
}

static void test_masked_lm_trains_as_in_pytorch(void **state) {
    (void)state;
    char dir[64] = "/tmp/assay-golden-XXXXXX", command[128];
    assert_non_null(mkdtemp(dir));
    as_corpus *c;
    as_engine *e;
    as_model *m;
    as_objective o;
    as_trained done;
    as_engine_opts opts = as_engine_defaults();
    opts.threads = 2;
    OK(words_corpus(&c, dir, 200, &err));
    OK(as_engine_open(&e, &opts, &err));
    OK(as_model_open(&m, e, "tests/golden/model/mlm_tied", &(as_model_opts){.head = AS_HEAD_MLM, .train = true, .seed = 1}, &err));
    const as_pretraining p = words_pretraining(m, c);
    OK(as_pretraining_find("mlm")->open(&o, &p, &err));
    as_recipe r = as_recipe_defaults();
    r.steps = STEPS, r.batch_size = BATCH, r.lr = 2e-3, r.dropout = 0.0;
    course k = {.o = &o, .losses = fopen("tests/golden/train/mlm.txt", "r"), .masks = fopen("tests/golden/train/mlm.jsonl", "r")};
    assert_true(k.losses && k.masks && fscanf(k.losses, "%*[^\n]") == 0);
    const as_trainer t = {.model = m, .recipe = &r, .objective = &o, .log = on_step, .ctx = &k};
    OK(as_train(&t, &done, &err));
    assert_int_equal(k.steps, STEPS);
    fclose(k.losses), fclose(k.masks);
    as_pretraining_find("mlm")->close(&o);
    as_model_free(m), as_engine_free(e), as_corpus_close(c);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(as_mem_live_blocks(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masked_lm_trains_as_in_pytorch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
