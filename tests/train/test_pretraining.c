/* Rows hold whole documents; masks are 15 % with 80/10/10, of whole words where asked, and a function of seed, epoch, span and
 * position; pseudo-perplexity has the bits of one masked copy at a time; the guard ends a training that leaves its course with the last good checkpoint; recomputed layers have the same bits. */
#include "base/file.h"
#include "base/mem.h"
#include "data/corpus_write.h"
#include "train/heldout.h"
#include "train/loop.h"
#include "train/objective_mlm.h"
#include "train/pseudo.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DOCS = 120, CLS = 2, SEP = 3, MASK = 4, LENGTH = 32, SPECIALS = 5 };

typedef struct world {
    char dir[64];
    as_engine *e;
    as_tokenizer *tok;
    as_corpus *corpus;
    as_model *m;
    uint8_t *special, *inner;
    int64_t vocab;
} world;

static int64_t doc_length(int d) { return d % 40 == 7 ? 200 : 1 + d * 7 % 25; }
static void write_corpus(world *w) {
    as_corpus_writer *out;
    char dir[96];
    snprintf(dir, sizeof dir, "%s/corpus", w->dir);
    assert_int_equal(as_corpus_writer_open(&out, dir, w->tok, NULL, NULL), AS_OK);
    for (int d = 0; d < DOCS; d++) {
        int32_t ids[256];
        const int64_t n = doc_length(d);
        for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)(SPECIALS + 3 + (d * 31 + i * 17) % 500);
        const as_corpus_segment s[] = {{ids, n / 2}, {ids + n / 2, n - n / 2}};
        assert_int_equal(as_corpus_writer_add(out, d % 10 == 9 ? AS_CORPUS_HELDOUT : AS_CORPUS_TRAIN, s, 2, n * 4, NULL, NULL), AS_OK);
    }
    assert_int_equal(as_corpus_writer_finish(out, NULL, 1, NULL), AS_OK);
    as_corpus_writer_free(out);
    assert_int_equal(as_corpus_open(&w->corpus, dir, NULL), AS_OK);
}
static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/pretraining-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    as_engine_opts o = as_engine_defaults();
    o.threads = 2;
    assert_int_equal(as_engine_open(&w->e, &o, NULL), AS_OK);
    assert_int_equal(as_tokenizer_open(&w->tok, "assets/tiny-bert", NULL), AS_OK);
    write_corpus(w);
    assert_int_equal(as_model_open(&w->m, w->e, "assets/tiny-bert", &(as_model_opts){.head = AS_HEAD_PRETRAIN, .train = true, .seed = 3}, NULL), AS_OK);
    w->vocab = as_model_config(w->m)->vocab;
    w->special = calloc((size_t)w->vocab, 1), w->inner = calloc((size_t)w->vocab, 1);
    memset(w->special, 1, SPECIALS);
    for (int64_t i = 0; i < w->vocab; i++) w->inner[i] = i % 3 == 0;
    *state = w;
    return 0;
}
static int tear_down(void **state) {
    world *w = *state;
    char path[128];
    as_model_free(w->m), as_corpus_close(w->corpus), as_tokenizer_free(w->tok), as_engine_free(w->e);
    snprintf(path, sizeof path, "%s/corpus", w->dir), as_dir_remove(path);
    snprintf(path, sizeof path, "%s/state", w->dir), as_dir_remove(path);
    as_dir_remove(w->dir);
    free(w->special), free(w->inner), free(w);
    return 0;
}

static as_objective open_named(const world *w, const char *name, bool whole, as_corpus_part part) {
    const as_pretraining p = {.model = w->m, .corpus = w->corpus, .part = part, .max_length = LENGTH, .cls = CLS, .sep = SEP, .mask = MASK, .special = w->special,
                              .inner = w->inner, .mask_share = 0.15, .whole_words = whole};
    as_objective o;
    assert_int_equal(as_pretraining_find(name)->open(&o, &p, NULL), AS_OK);
    return o;
}
static void close_named(as_objective *o, const char *name) { as_pretraining_find(name)->close(o); }

static void test_rows_hold_every_token_once_and_documents_apart(void **state) {
    const world *w = *state;
    as_rows r;
    assert_int_equal(as_rows_make(&r, w->corpus, AS_CORPUS_TRAIN, LENGTH, 2, 1, NULL), AS_OK);
    int64_t tokens = 0;
    for (int64_t i = 0; i < r.n; i++) {
        assert_true(as_rows_tokens(&r, i) <= LENGTH && r.begin[i] < r.begin[i + 1]);
        tokens += as_rows_tokens(&r, i);
    }
    assert_int_equal(tokens, as_corpus_tokens(w->corpus, AS_CORPUS_TRAIN) + 2 * r.span_count);
    assert_int_equal(tokens, r.tokens);
    for (int64_t s = 1; s < r.span_count; s++) {
        const as_span *a = &r.spans[s - 1], *b = &r.spans[s];
        assert_true(a->doc == b->doc ? b->from == a->from + a->n : b->doc == a->doc + 1 && b->from == 0);
        /* a document that fits in a row is not cut */
        if (as_corpus_doc_tokens(w->corpus, AS_CORPUS_TRAIN, b->doc) <= LENGTH - 2) assert_int_equal(b->n, as_corpus_doc_tokens(w->corpus, AS_CORPUS_TRAIN, b->doc));
    }
    as_rows_free(&r);
    assert_int_equal(as_rows_make(&r, w->corpus, AS_CORPUS_TRAIN, 2, 2, 1, NULL), AS_USAGE);
}

static void test_masks_have_their_shares_and_are_new_in_each_epoch(void **state) {
    const world *w = *state;
    as_objective o = open_named(w, "mlm", false, AS_CORPUS_TRAIN);
    const as_rows *r = as_mlm_rows(&o);
    int32_t ids[LENGTH], types[LENGTH], target[LENGTH], again[LENGTH], plain[LENGTH], label;
    int64_t tokens = 0, masked = 0, mask = 0, kept = 0, same = 0;
    for (int64_t epoch = 0; epoch < 60; epoch++)
        for (int64_t s = 0; s < r->span_count; s++) {
            const as_train_at at = {.seed = 5, .epoch = epoch}, next = {.seed = 5, .epoch = epoch + 1};
            const int64_t n = as_mlm_sequence(&o, &at, s, ids, types, target, &label);
            as_corpus_read(w->corpus, AS_CORPUS_TRAIN, r->spans[s].doc, r->spans[s].from, r->spans[s].n, plain + 1);
            assert_true(n == r->spans[s].n + 2 && ids[0] == CLS && ids[n - 1] == SEP && target[0] == AS_IGNORE && target[n - 1] == AS_IGNORE);
            for (int64_t i = 1; i + 1 < n; i++) {
                tokens++;
                if (target[i] == AS_IGNORE) {
                    assert_int_equal(ids[i], plain[i]);
                    continue;
                }
                assert_int_equal(target[i], plain[i]);
                masked++, mask += ids[i] == MASK, kept += ids[i] == plain[i];
                assert_true(ids[i] == MASK || ids[i] >= SPECIALS);
            }
            (void)as_mlm_sequence(&o, &at, s, plain, types, again, &label);
            assert_memory_equal(target, again, (size_t)n * sizeof *target);
            (void)as_mlm_sequence(&o, &next, s, plain, types, again, &label);
            same += memcmp(target, again, (size_t)n * sizeof *target) == 0;
        }
    const double all = (double)masked; /* four standard errors */
    assert_true(fabs(all / (double)tokens - 0.15) < 4.0 * sqrt(0.15 * 0.85 / (double)tokens));
    assert_true(fabs((double)mask / all - 0.8) < 4.0 * sqrt(0.16 / all));
    assert_true(fabs((double)kept / all - 0.1) < 4.0 * sqrt(0.09 / all) + 1.0 / (double)w->vocab);
    assert_true(same < 30 * r->span_count);
    close_named(&o, "mlm");
}

static void test_whole_words_are_masked_whole(void **state) {
    const world *w = *state;
    as_objective o = open_named(w, "mlm", true, AS_CORPUS_TRAIN);
    const as_rows *r = as_mlm_rows(&o);
    int32_t ids[LENGTH], types[LENGTH], target[LENGTH], plain[LENGTH], label;
    int64_t inner = 0;
    for (int64_t s = 0; s < r->span_count; s++) {
        const int64_t n = as_mlm_sequence(&o, &(as_train_at){.seed = 5}, s, ids, types, target, &label);
        as_corpus_read(w->corpus, AS_CORPUS_TRAIN, r->spans[s].doc, r->spans[s].from, r->spans[s].n, plain + 1);
        for (int64_t i = 2; i + 1 < n; i++)
            if (w->inner[plain[i]]) assert_int_equal(target[i] == AS_IGNORE, target[i - 1] == AS_IGNORE), inner += target[i] != AS_IGNORE;
    }
    assert_true(inner > 10);
    close_named(&o, "mlm");
}

static void test_pairs_are_of_one_document_or_of_two(void **state) {
    const world *w = *state;
    static const char *const names[] = {"mlm+nsp", "mlm+sop"};
    for (int k = 0; k < 2; k++) {
        as_objective o = open_named(w, names[k], false, AS_CORPUS_TRAIN);
        const as_rows *r = as_mlm_rows(&o);
        int64_t ones = 0;
        for (int64_t s = 0; s < r->span_count; s++) {
            int32_t ids[LENGTH], types[LENGTH], target[LENGTH], label, plain[LENGTH];
            const int64_t n = as_mlm_sequence(&o, &(as_train_at){.seed = 5}, s, ids, types, target, &label);
            int64_t b = 0;
            while (types[b] == 0) b++;
            assert_true(n <= LENGTH && ids[0] == CLS && ids[b - 1] == SEP && ids[n - 1] == SEP && b > 2 && n - b > 1);
            for (int64_t i = 0; i < n; i++) {
                assert_int_equal(types[i], i >= b);
                if (target[i] != AS_IGNORE) ids[i] = target[i];
            }
            as_corpus_read(w->corpus, AS_CORPUS_TRAIN, r->spans[s].doc, r->spans[s].from, r->spans[s].n, plain);
            const int64_t a_n = b - 2, b_n = n - b - 1;
            const int32_t *first = label && k == 1 ? ids + b : ids + 1, *second = label && k == 1 ? ids + 1 : ids + b;
            const int64_t first_n = label && k == 1 ? b_n : a_n, second_n = label && k == 1 ? a_n : b_n;
            assert_memory_equal(first, plain, (size_t)first_n * sizeof *plain);
            if (!(label && k == 0)) assert_true(first_n + second_n == r->spans[s].n && memcmp(second, plain + first_n, (size_t)second_n * sizeof *plain) == 0);
            ones += label;
        }
        assert_true(ones > r->span_count / 4 && ones < 3 * r->span_count / 4);
        close_named(&o, names[k]);
    }
}

/* --- pseudo-perplexity --- */
/* -sum of log p by hand: one copy at a time, the head on all of its tokens. */
static double alone(const world *w, const as_objective *o, int64_t span, int64_t *tokens) {
    const as_span *s = &as_mlm_rows(o)->spans[span];
    int32_t ids[LENGTH], types[LENGTH] = {0}, pos[LENGTH], item[LENGTH] = {0}, target[LENGTH];
    double sum = 0.0, loss[LENGTH];
    const int64_t n = s->n + 2, begin[2] = {0, n};
    as_ctx c;
    assert_int_equal(as_ctx_init(&c, w->e, 0, 1, NULL), AS_OK);
    ids[0] = CLS, ids[n - 1] = SEP;
    as_corpus_read(w->corpus, AS_CORPUS_HELDOUT, s->doc, s->from, s->n, ids + 1);
    for (int64_t t = 0; t < n; t++) pos[t] = (int32_t)t, target[t] = AS_IGNORE;
    for (int64_t t = 1; t + 1 < n; t++) {
        if (w->special[ids[t]]) continue;
        target[t] = ids[t], ids[t] = MASK;
        const as_seqs q = {.count = 1, .tokens = n, .begin = begin, .ids = ids, .types = types, .pos = pos, .item = item};
        as_ctx_reset(&c);
        assert_true(as_vocab_loss(&c, as_model_mlm_hidden(w->m, &c, &q, NULL, 0), as_model_decoder(w->m), as_model_decoder_bias(w->m), target, 1.0f, loss, NULL));
        sum += loss[t], (*tokens)++;
        ids[t] = target[t], target[t] = AS_IGNORE;
    }
    as_ctx_deinit(&c);
    return sum;
}
static void test_pseudo_perplexity_is_that_of_one_copy_at_a_time(void **state) {
    world *w = *state;
    w->special[SPECIALS + 3 + (9 * 31) % 500] = 1; /* the first word of a held-out document is as [UNK]: not masked */
    as_objective o = open_named(w, "mlm", false, AS_CORPUS_HELDOUT), pairs = open_named(w, "mlm+sop", false, AS_CORPUS_HELDOUT);
    as_tally *all, *some, *of_pairs;
    int64_t n, few, m, copies = 0, tokens = 0, found = 0;
    assert_int_equal(as_pseudo_score(&all, &n, &o, 1000, w->e, NULL, -1, NULL), AS_OK);
    assert_int_equal(as_pseudo_score(&some, &few, &o, 3, w->e, NULL, -1, NULL), AS_OK);
    assert_int_equal(as_pseudo_score(&of_pairs, &m, &pairs, 1000, w->e, NULL, -1, NULL), AS_OK);
    assert_true(n == as_mlm_rows(&o)->span_count && m == as_mlm_rows(&pairs)->span_count && few == 3);
    assert_memory_equal(all, some, 3 * sizeof *all);
    for (int64_t i = 0; i < n; i++) copies += all[i].count[0];
    bool used[DOCS] = {false};
    for (int64_t s = 0; s < n; s++) { /* a random order: each sequence is one of the scored */
        int64_t count = 0, k = 0;
        const double want = alone(w, &o, s, &count);
        while (k < n && (used[k] || memcmp(&all[k].loss[0], &want, sizeof want) != 0 || all[k].count[0] != count)) k++;
        if (k == n) fail_msg("sequence %d: %.17g of %d tokens is not there", (int)s, want, (int)count);
        used[k] = true, found++, tokens += count;
    }
    assert_true(found == n && tokens == copies && tokens < as_corpus_tokens(w->corpus, AS_CORPUS_HELDOUT));
    const as_heldout_mean mean = as_heldout_loss(all, n, 0, 0.95), perplexity = as_heldout_perplexity(mean);
    assert_true(mean.n == n && mean.count == tokens && perplexity.value == exp(mean.value) && perplexity.low < perplexity.value && perplexity.value < perplexity.high);
    w->special[SPECIALS + 3 + (9 * 31) % 500] = 0;
    as_free(all), as_free(some), as_free(of_pairs);
    close_named(&o, "mlm"), close_named(&pairs, "mlm+sop");
}

/* --- training --- */
static as_recipe small_recipe(void) {
    as_recipe r = as_recipe_defaults();
    r.steps = 12, r.batch_size = 8, r.lr = 1e-3, r.checkpoint_minutes = 1e6;
    return r;
}
static float *weights_after(const world *w, const char *name, bool recompute, int64_t shards, size_t *n, as_tally *each) {
    as_model *m;
    assert_int_equal(as_model_open(&m, w->e, "assets/tiny-bert", &(as_model_opts){.head = as_pretraining_find(name)->head, .train = true, .seed = 3}, NULL), AS_OK);
    world v = *w;
    v.m = m;
    as_objective o = open_named(&v, name, false, AS_CORPUS_TRAIN), held = open_named(&v, name, false, AS_CORPUS_HELDOUT);
    as_recipe r = small_recipe();
    r.grad_shards = shards;
    const as_trainer t = {.model = m, .recipe = &r, .objective = &o, .recompute = recompute};
    as_trained done;
    assert_int_equal(as_train(&t, &done, NULL), AS_OK);
    assert_int_equal(as_heldout_score(&held, w->e, NULL, NULL, each, NULL), AS_OK);
    float *all = NULL;
    *n = 0;
    for (size_t i = 0; i < as_model_param_count(m); i++) {
        const as_param *p = as_model_param(m, i);
        const size_t k = (size_t)(p->rows * p->cols);
        all = realloc(all, (*n + k) * sizeof *all);
        memcpy(all + *n, p->w, k * sizeof *all);
        *n += k;
    }
    close_named(&o, name), close_named(&held, name);
    as_model_free(m);
    return all;
}
static void test_recomputed_layers_have_the_same_bits(void **state) {
    const world *w = *state;
    for (int64_t shards = 1; shards <= 2; shards++) { /* threads share rows; threads take shards */
        size_t n, m;
        as_tally a[DOCS], b[DOCS];
        float *kept = weights_after(w, "mlm+nsp", false, shards, &n, a), *again = weights_after(w, "mlm+nsp", true, shards, &m, b);
        assert_int_equal(n, m);
        assert_memory_equal(kept, again, n * sizeof *kept);
        const as_heldout_mean loss = as_heldout_loss(a, 5, 0, 0.95);
        assert_true(loss.value > 1.0 && loss.value < 9.0 && loss.low < loss.value && loss.high > loss.value);
        free(kept), free(again);
    }
}

/* An objective whose loss goes wrong from a step on. */
typedef struct broken { const as_objective *o; int64_t from; float factor; } broken;
static void b_order(const void *s, int64_t *out, uint64_t seed, int64_t epoch) { const as_objective *o = ((const broken *)s)->o; o->order(o->self, out, seed, epoch); }
static int64_t b_length(const void *s, int64_t item) { const as_objective *o = ((const broken *)s)->o; return o->length(o->self, item); }
static as_status b_ids(const void *s, const as_train_at *at, const int64_t *items, int64_t n, int32_t **ids, size_t *cap, int64_t *count, as_err *err) {
    const as_objective *o = ((const broken *)s)->o;
    return o->ids(o->self, at, items, n, ids, cap, count, err);
}
static void b_denominators(const void *s, const as_train_at *at, const int64_t *items, int64_t n, double out[AS_LOSSES]) {
    const as_objective *o = ((const broken *)s)->o;
    o->denominators(o->self, at, items, n, out);
}
static bool b_forward(const void *s, as_ctx *c, const as_train_at *at, const int64_t *items, int64_t n, const float scale[AS_LOSSES], as_tally *each) {
    const broken *b = s;
    const float f = at->step >= b->from ? b->factor : 1.0f, scaled[AS_LOSSES] = {scale[0] * f, scale[1] * f};
    return b->o->forward(b->o->self, c, at, items, n, scaled, each);
}

static void stops_with_good_state(const world *w, float factor, int64_t from, int64_t good) {
    as_objective o = open_named(w, "mlm", false, AS_CORPUS_TRAIN);
    const broken b = {&o, from, factor};
    const as_objective bad = {.name = "broken", .self = (void *)(uintptr_t)&b, .n = o.n, .order = b_order, .length = b_length, .ids = b_ids,
                              .denominators = b_denominators, .forward = b_forward};
    char dir[96];
    snprintf(dir, sizeof dir, "%s/state", w->dir);
    as_dir_remove(dir);
    as_recipe r = small_recipe();
    r.steps = 200;
    as_trainer t = {.model = w->m, .recipe = &r, .objective = &bad, .state_dir = dir, .identity = "x", .keep = 2, .checkpoint_steps = 10, .guard = true};
    as_trained done;
    as_err err = {0};
    assert_int_equal(as_train(&t, &done, &err), AS_NUMERIC);
    assert_true(done.rolled_back && done.steps == good);
    assert_non_null(strstr(err.msg, "loss"));
    for (size_t i = 0; i < as_model_param_count(w->m); i++)
        for (int64_t k = 0; k < as_model_param(w->m, i)->rows * as_model_param(w->m, i)->cols; k++) assert_true(isfinite(as_model_param(w->m, i)->w[k]));
    /* the two newest checkpoints are there, and no other */
    char path[160];
    snprintf(path, sizeof path, "%s/state-%012d.safetensors", dir, (int)good);
    assert_true(as_file_exists(path));
    snprintf(path, sizeof path, "%s/state-%012d.safetensors", dir, (int)good - 20);
    assert_false(as_file_exists(path));
    close_named(&o, "mlm");
}
static void test_a_loss_that_is_not_finite_rolls_back(void **state) { stops_with_good_state(*state, NAN, 47, 40); }
static void test_a_loss_off_its_course_rolls_back(void **state) { stops_with_good_state(*state, 9.0f, 74, 70); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_hold_every_token_once_and_documents_apart), cmocka_unit_test(test_masks_have_their_shares_and_are_new_in_each_epoch),
        cmocka_unit_test(test_whole_words_are_masked_whole), cmocka_unit_test(test_pairs_are_of_one_document_or_of_two),
        cmocka_unit_test(test_pseudo_perplexity_is_that_of_one_copy_at_a_time),
        cmocka_unit_test(test_recomputed_layers_have_the_same_bits), cmocka_unit_test(test_a_loss_that_is_not_finite_rolls_back),
        cmocka_unit_test(test_a_loss_off_its_course_rolls_back)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
