/* dump_pretraining: not a test by itself. Pre-trains a new model with dropout 0 and writes what an oracle needs to repeat it: the
 * initial checkpoint (folder OUT), and one JSON line per step with its loss and the masked sequences of its batch.
 * Usage: dump_pretraining CORPUS SHAPE OUT OBJECTIVE STEPS BATCH LR DTYPE THREADS [MAX_LENGTH [FINAL [SEED]]]
 * FINAL: the trained model's folder, or - for none. DTYPE none: nothing is trained; the masked held-out rows come first, as step 0. */
#include "run/pretrain_start.h"
#include "train/heldout.h"
#include "train/loop.h"
#include "train/objective_mlm.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dump { const as_pretrain_start *s; const as_recipe *r; int64_t *order, epoch; int32_t *buf; } dump;

static void print_ids(const char *name, const int32_t *v, int64_t n) {
    printf(",\"%s\":[", name);
    for (int64_t i = 0; i < n; i++) printf("%s%d", i ? "," : "", v[i]);
    printf("]");
}
static void print_sequences(dump *d, const as_objective *o, const as_train_at *where, const int64_t *order, int64_t begin, int64_t end) {
    const as_rows *rows = as_mlm_rows(o);
    const int64_t m = d->s->max_length;
    printf("\"sequences\":[");
    for (int64_t i = begin, any = 0; i < end; i++)
        for (int64_t row = order ? order[i] : i, k = rows->begin[row]; k < rows->begin[row + 1]; k++, any = 1) {
            int32_t label;
            const int64_t n = as_mlm_sequence(o, where, k, d->buf, d->buf + m, d->buf + 2 * m, &label);
            printf("%s{\"label\":%d", any ? "," : "", label);
            print_ids("ids", d->buf, n), print_ids("types", d->buf + m, n), print_ids("target", d->buf + 2 * m, n);
            printf("}");
        }
    printf("]}\n");
}
static as_status on_step(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    dump *d = ctx;
    const as_objective *o = &d->s->train;
    const int64_t size = d->r->batch_size, per = (o->n + size - 1) / size, at = (s->step - 1) % per * size;
    const as_train_at where = {.seed = d->r->seed, .step = s->step - 1, .epoch = (s->step - 1) / per};
    if (where.epoch != d->epoch) o->order(o->self, d->order, d->r->seed, d->epoch = where.epoch);
    printf("{\"step\":%" PRId64 ",\"loss\":%.9g,\"norm\":%.9g,\"lr\":%.9g,", s->step, s->loss, s->norm, s->lr);
    print_sequences(d, o, &where, d->order, at, at + size < o->n ? at + size : o->n);
    return AS_OK;
}
static as_status batches_only(dump *d, as_err *err) {
    const as_objective *held = &d->s->heldout;
    const as_train_at fixed = as_heldout_at();
    printf("{\"step\":0,");
    print_sequences(d, held, &fixed, NULL, 0, held->n);
    for (int64_t i = 0; i < d->r->steps; i++) {
        const as_train_step s = {.step = i + 1, .lr = as_recipe_lr(d->r, i, d->r->steps)};
        AS_TRY(on_step(d, &s, err));
    }
    return AS_OK;
}

static as_status run(char **argv, int argc, as_err *err) {
    const char *corpus = argv[1];
    as_pretrain_job j = {.job = as_job_defaults(), .recipe = as_pretrain_recipe(), .shape = argv[2], .out = argv[3], .objective = argv[4], .corpus = &corpus,
                         .corpus_count = 1, .mask_share = 0.15};
    j.recipe.steps = atoll(argv[5]), j.recipe.batch_size = atoll(argv[6]), j.recipe.lr = atof(argv[7]), j.recipe.dropout = 0.0;
    j.job.dtype = strcmp(argv[8], "bf16") == 0 ? AS_COMPUTE_BF16 : AS_COMPUTE_F32, j.job.threads = atoi(argv[9]);
    j.job.max_length = argc > 10 ? atoll(argv[10]) : 0;
    if (argc > 12) j.recipe.seed = (uint64_t)atoll(argv[12]);
    as_pretrain_start s;
    AS_TRY(as_pretrain_start_open(&s, &j, err));
    as_status st = as_model_save(s.ses.model, argv[3], err);
    if (st == AS_OK) st = as_tokenizer_copy(s.ses.tok, argv[3], err);
    dump d = {.s = &s, .r = &j.recipe, .epoch = -1, .order = calloc((size_t)s.train.n, sizeof(int64_t)), .buf = calloc((size_t)(3 * s.max_length), sizeof(int32_t))};
    as_trainer tr = {.model = s.ses.model, .recipe = &j.recipe, .objective = &s.train, .log = on_step, .ctx = &d};
    as_trained done;
    const bool trains = strcmp(argv[8], "none") != 0;
    if (st == AS_OK) st = trains ? as_train(&tr, &done, err) : batches_only(&d, err);
    if (st == AS_OK && trains && argc > 11 && strcmp(argv[11], "-") != 0) st = as_model_save(s.ses.model, argv[11], err);
    free(d.order), free(d.buf);
    as_pretrain_start_close(&s);
    return st;
}

int main(int argc, char **argv) {
    if (argc < 10) return fprintf(stderr, "usage: see the head of tests/train/dump_pretraining.c\n"), 2;
    as_err err = {0};
    if (run(argv, argc, &err) == AS_OK) return 0;
    fprintf(stderr, "%s\n", err.msg);
    return 1;
}
