/* Causal LM and replaced-token detection: what counts, that a token's loss depends on its document alone, and that training is the
 * same bits on any threads and after a stop. Parity with PyTorch: scripts/parity/pretraining_*.py. */
#include "base/check.h"
#include "train/objective_check.h"
#include <math.h>

#define GOLDEN "tests/golden/model/"
#define OK(call) do { as_err err = {0}; const as_status ok_ = (call); if (ok_ != AS_OK) fail_msg("%s: %s", #call, err.msg); } while (0)

static char dir[64];
static int enter(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

/* An objective on its model, with `threads`. */
typedef struct world {
    as_engine *e;
    as_model *m;
    as_corpus *c;
    as_pretraining p;
    const as_pretraining_row *row;
    as_objective o;
    as_ctx ctx;
} world;
static void world_open(world *w, const char *name, int threads, as_corpus_part part, int64_t max_length) {
    *w = (world){.row = as_pretraining_find(name)};
    assert_non_null(w->row);
    as_engine_opts o = as_engine_defaults();
    o.threads = threads;
    OK(words_corpus(&w->c, dir, 200, &err));
    OK(as_engine_open(&w->e, &o, &err));
    const bool clm = w->row->head == AS_HEAD_CLM;
    OK(as_model_open(&w->m, w->e, clm ? GOLDEN "gpt2_lm" : GOLDEN "electra_mlm", &(as_model_opts){.head = w->row->head, .train = true, .seed = 1}, &err));
    w->p = words_pretraining(w->m, w->c);
    w->p.part = part, w->p.max_length = max_length;
    OK(w->row->open(&w->o, &w->p, &err));
    OK(as_ctx_init(&w->ctx, w->e, 0, threads, &err));
}
static void world_close(world *w) {
    as_ctx_deinit(&w->ctx);
    w->row->close(&w->o);
    as_model_free(w->m), as_engine_free(w->e), as_corpus_close(w->c);
}
static void tally(world *w, const as_train_at *at, const int64_t *items, int64_t n, as_tally *each) {
    static const float one[AS_LOSSES] = {1.0f, 1.0f};
    as_ctx_reset(&w->ctx);
    assert_true(w->o.forward(w->o.self, &w->ctx, at, items, n, one, each));
}

static const char *const names[] = {"clm", "rtd"};

static void test_objective_counts_what_its_denominators_say(void **state) {
    (void)state;
    for (size_t k = 0; k < AS_COUNT(names); k++) {
        world w;
        world_open(&w, names[k], 1, AS_CORPUS_TRAIN, MOST_TOKENS);
        const as_train_at at = {.seed = 5};
        int64_t items[16], tokens = 0;
        as_tally each[16];
        double d[AS_LOSSES], loss = 0, count[AS_LOSSES] = {0};
        for (int64_t i = 0; i < 16; i++) items[i] = 3 * i % w.o.n, tokens += w.o.length(w.o.self, items[i]);
        w.o.denominators(w.o.self, &at, items, 16, d);
        tally(&w, &at, items, 16, each);
        for (int i = 0; i < 16; i++)
            for (int l = 0; l < AS_LOSSES; l++) {
                loss += (l == 1 ? 50.0 : 1.0) * each[i].loss[l], count[l] += (double)each[i].count[l];
                assert_in_range(each[i].correct[l], 0, each[i].count[l]);
            }
        assert_true(fabs(loss - w.ctx.loss) < 1e-4 * fabs(loss));
        assert_true(count[0] == d[0] && count[0] > 0);
        if (k == 1) assert_true(count[1] == d[1] && (int64_t)count[1] == tokens);
        world_close(&w);
    }
}

/* One item or many, one thread or two, other documents in the row or not: the same bits. */
static void test_objective_losses_depend_on_the_document_alone(void **state) {
    (void)state;
    for (size_t k = 0; k < AS_COUNT(names); k++) {
        as_tally want[24];
        int64_t items[24];
        for (int way = 0; way < 4; way++) {
            world w;
            world_open(&w, names[k], way == 3 ? 2 : 1, AS_CORPUS_HELDOUT, MOST_TOKENS);
            const as_train_at at = {.seed = 5, .epoch = 2};
            as_tally got[24];
            const int64_t n = w.o.n < 24 ? w.o.n : 24, size = way == 0 ? n : way == 1 ? 1 : 5;
            for (int64_t i = 0; i < n; i++) items[i] = way == 2 ? n - 1 - i : i;
            for (int64_t i = 0; i < n; i += size) tally(&w, &at, items + i, n - i < size ? n - i : size, got + i);
            for (int64_t i = 0; i < n; i++) {
                as_tally *t = &want[items[i]];
                if (way == 0) *t = got[i];
                else if (memcmp(t->loss, got[i].loss, sizeof t->loss) != 0 || memcmp(t->correct, got[i].correct, sizeof t->correct) != 0)
                    fail_msg("%s, way %d, item %d: loss %.17g, %.17g", names[k], way, (int)items[i], got[i].loss[0], t->loss[0]);
            }
            world_close(&w);
        }
    }
}

/* The loss of a row is the sum over its documents alone: with rows of one document each, the corpus has the same loss. */
static void test_clm_documents_do_not_see_each_other(void **state) {
    (void)state;
    world w;
    world_open(&w, "clm", 1, AS_CORPUS_TRAIN, MOST_TOKENS);
    const as_span_source *from = w.o.self;
    const as_rows *r = &from->rows;
    int64_t shared = 0;
    for (int64_t row = 0; row < w.o.n; row++) {
        as_tally together, apart = {0};
        tally(&w, &(as_train_at){0}, &row, 1, &together);
        if (r->begin[row + 1] - r->begin[row] < 2) continue;
        shared++;
        as_span_source one = *from;
        for (int64_t s = r->begin[row]; s < r->begin[row + 1]; s++) { /* by hand: this span as a batch of its own */
            int32_t ids[MOST_TOKENS], target[MOST_TOKENS], pos[MOST_TOKENS], item[MOST_TOKENS] = {0};
            double loss[MOST_TOKENS];
            const int64_t len = as_packed_span(&one, s, ids), begin[2] = {0, len};
            for (int64_t t = 0; t < len; t++) pos[t] = (int32_t)t, target[t] = t + 1 < len ? ids[t + 1] : AS_IGNORE;
            const as_span *span = &r->spans[s];
            if (span->from + span->n == as_corpus_doc_tokens(w.c, AS_CORPUS_TRAIN, span->doc)) target[len - 1] = 0; /* eos of the golden config */
            as_ctx_reset(&w.ctx);
            const as_seqs q = {.count = 1, .tokens = len, .begin = begin, .ids = ids, .pos = pos, .item = item};
            assert_true(as_vocab_loss(&w.ctx, as_model_mlm_hidden(w.m, &w.ctx, &q, NULL, 0), as_model_decoder(w.m), NULL, target, 1.0f, loss, NULL));
            for (int64_t t = 0; t < len; t++) apart.loss[0] += loss[t], apart.count[0] += target[t] != AS_IGNORE;
            assert_int_equal(ids[0], 0); /* bos */
        }
        assert_int_equal(together.count[0], apart.count[0]);
        assert_true(fabs(together.loss[0] - apart.loss[0]) < 1e-12 * apart.loss[0]);
    }
    assert_true(shared > 3);
    world_close(&w);
}

static void test_rtd_masks_words_and_draws_from_the_generator(void **state) {
    (void)state;
    world w;
    world_open(&w, "rtd", 1, AS_CORPUS_TRAIN, MOST_TOKENS);
    int64_t tokens = 0, masked = 0, replaced = 0, other_epoch = 0;
    for (int64_t item = 0; item < w.o.n; item++) {
        as_rtd_batch b[2];
        as_ctx_reset(&w.ctx);
        for (int64_t epoch = 0; epoch < 2; epoch++) assert_true(as_rtd_read(&w.o, &w.ctx, &(as_train_at){.seed = 3, .epoch = epoch}, &item, 1, &b[epoch]));
        for (int64_t t = 0, k = 0; t < b->k.s->tokens; t++) {
            const bool hidden = k < b->want_n && b->want[k] == t, special = b->k.ids[t] < SPECIALS;
            assert_int_equal(b->masked[t], hidden ? 4 : b->k.ids[t]);
            assert_int_equal(b->replaced[t], b->filled[t] != b->k.ids[t]);
            assert_false(special && hidden);
            if (!hidden) assert_int_equal(b->filled[t], b->k.ids[t]);
            if (hidden) assert_int_equal(b->target[k++], b->k.ids[t]);
            tokens += !special, masked += hidden, replaced += b->replaced[t];
            other_epoch += b[0].masked[t] != b[1].masked[t];
        }
    }
    /* 15 %, five standard errors */
    assert_true(fabs((double)masked / (double)tokens - 0.15) < 5 * sqrt(0.15 * 0.85 / (double)tokens));
    assert_true(replaced > masked / 2 && replaced < masked); /* a new generator is seldom right */
    assert_true(other_epoch > masked / 2);
    world_close(&w);
}

/* --- training --- */
typedef struct course { double first, last; int64_t steps, stop_at; } course;
static course *running;
static as_status on_step(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    course *k = ctx;
    if (s->step == 1) k->first = s->loss;
    k->last = s->loss, k->steps = s->step;
    return AS_OK;
}
static bool stop(void) { return running->steps == running->stop_at; }

static as_status train(world *w, int64_t steps, int64_t stop_at, const char *state, course *k) {
    as_recipe r = as_recipe_defaults();
    r.steps = steps, r.batch_size = 8, r.grad_shards = 2, r.lr = 2e-3;
    *k = (course){.stop_at = stop_at};
    running = k;
    const as_trainer t = {.model = w->m, .recipe = &r, .objective = &w->o, .state_dir = state, .identity = "x", .log = on_step, .ctx = k, .stop = stop};
    as_trained done;
    as_err err = {0};
    return as_train(&t, &done, &err);
}
static uint64_t weights_sum(const as_model *m) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        const unsigned char *b = (const unsigned char *)p->w;
        for (size_t k = 0; k < (size_t)(p->rows * p->cols) * sizeof(float); k++) h = (h ^ b[k]) * 1099511628211u;
    }
    return h;
}

static void test_objective_training_is_the_same_bits_on_threads_and_after_a_stop(void **state) {
    (void)state;
    char at[128];
    for (size_t k = 0; k < AS_COUNT(names); k++) {
        uint64_t sum[3];
        course way;
        for (int i = 0; i < 3; i++) {
            world w;
            world_open(&w, names[k], i == 1 ? 2 : 1, AS_CORPUS_TRAIN, MOST_TOKENS);
            snprintf(at, sizeof at, "%s/state-%s", dir, names[k]);
            if (i == 2) { /* stopped, and on with a model as it was at first */
                assert_int_equal(train(&w, 20, 7, at, &way), AS_INTERRUPTED);
                world_close(&w);
                world_open(&w, names[k], 2, AS_CORPUS_TRAIN, MOST_TOKENS);
            }
            assert_int_equal(train(&w, 20, -1, i == 2 ? at : NULL, &way), AS_OK);
            assert_int_equal(way.steps, 20);
            sum[i] = weights_sum(w.m);
            world_close(&w);
        }
        if (sum[0] != sum[1] || sum[0] != sum[2]) fail_msg("%s: other bits on %s", names[k], sum[0] != sum[1] ? "two threads" : "resuming");
    }
}

static void test_objective_training_learns(void **state) {
    (void)state;
    for (size_t k = 0; k < AS_COUNT(names); k++) {
        world w;
        course way;
        world_open(&w, names[k], 2, AS_CORPUS_TRAIN, MOST_TOKENS);
        assert_int_equal(train(&w, 150, -1, NULL, &way), AS_OK);
        if (!(way.last < 0.8 * way.first)) fail_msg("%s: loss %g, then %g", names[k], way.first, way.last);
        world_close(&w);
    }
}

static void test_rtd_refuses_a_tokenizer_without_a_mask(void **state) {
    (void)state;
    world w;
    as_objective o;
    as_err err = {0};
    world_open(&w, "rtd", 1, AS_CORPUS_TRAIN, MOST_TOKENS);
    as_pretraining p = w.p;
    p.mask = -1;
    assert_int_equal(w.row->open(&o, &p, &err), AS_USAGE);
    assert_non_null(strstr(err.msg, "no mask token"));
    p = w.p, p.max_length = 2;
    assert_int_equal(w.row->open(&o, &p, &err), AS_USAGE);
    assert_null(o.self);
    world_close(&w);
}

/* Obuchowski 1997 by its three covariances, in numpy and scipy: 12 tokens of 4 rows, with ties. */
static void test_rtd_area_varies_by_row(void **state) {
    (void)state;
    static const float score[] = {1, 4, 2, 2, 7, 3, 5, 5, 0, 6, 2, 4};
    static const bool replaced[] = {0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0};
    as_rtd_token t[12];
    double over[4];
    for (int i = 0; i < 12; i++) t[i] = (as_rtd_token){score[i], replaced[i], i / 3};
    as_heldout_mean m = as_rtd_area(t, 12, 4, over, 0.5);
    assert_float_equal(m.value, 0.8285714285714286, 1e-12);
    assert_float_equal(m.low, 0.7737661545550975, 1e-12);
    assert_float_equal(m.high, 0.8833767025877598, 1e-12);
    assert_int_equal(m.n, 4);
    assert_int_equal(m.count, 12);
    m = as_rtd_area(t, 12, 4, over, 0.95);
    assert_float_equal(m.high, 1.0, 0.0); /* 1.0566, of an area */
    for (int i = 0; i < 12; i++) t[i].replaced = true;
    m = as_rtd_area(t, 12, 4, over, 0.95);
    assert_true(isnan(m.value) && m.count == 0);
    for (int i = 0; i < 12; i++) t[i].replaced = i == 0;
    for (int i = 0; i < 12; i++) t[i].item = 0;
    m = as_rtd_area(t, 12, 1, over, 0.95);
    assert_true(!isnan(m.value) && isnan(m.low)); /* one row alone: no interval */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_objective_counts_what_its_denominators_say, enter, leave),
        cmocka_unit_test_setup_teardown(test_objective_losses_depend_on_the_document_alone, enter, leave),
        cmocka_unit_test_setup_teardown(test_clm_documents_do_not_see_each_other, enter, leave),
        cmocka_unit_test_setup_teardown(test_rtd_masks_words_and_draws_from_the_generator, enter, leave),
        cmocka_unit_test_setup_teardown(test_objective_training_is_the_same_bits_on_threads_and_after_a_stop, enter, leave),
        cmocka_unit_test_setup_teardown(test_objective_training_learns, enter, leave),
        cmocka_unit_test(test_rtd_area_varies_by_row),
        cmocka_unit_test_setup_teardown(test_rtd_refuses_a_tokenizer_without_a_mask, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
