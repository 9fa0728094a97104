/* dump_training: not a test by itself. Trains on a table with dropout 0 and writes what an oracle needs to repeat it: the
 * initial checkpoint (folder OUT), and one JSON line per step with its loss and the records of its batch.
 * Usage: dump_training MODEL DATA OUT STEPS BATCH LR DTYPE THREADS [SHARDS] */
#include "base/rng.h"
#include "run/finetune.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dump { const as_tuning *t; const as_recipe *r; int64_t n, *order, epoch; } dump;

static as_status on_step(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    dump *d = ctx;
    const int64_t per = (d->n + d->r->batch_size - 1) / d->r->batch_size, epoch = (s->step - 1) / per, at = (s->step - 1) % per * d->r->batch_size;
    if (epoch != d->epoch) {
        for (int64_t i = 0; i < d->n; i++) d->order[i] = i;
        as_rng g = as_rng_at(d->r->seed, AS_STREAM_SHUFFLE, (uint32_t)epoch);
        as_rng_shuffle(&g, d->order, d->n);
        d->epoch = epoch;
    }
    printf("{\"step\":%" PRId64 ",\"loss\":%.9g,\"norm\":%.9g,\"lr\":%.9g,\"items\":[", s->step, s->loss, s->norm, s->lr);
    for (int64_t i = at; i < at + d->r->batch_size && i < d->n; i++) printf("%s%" PRId64, i > at ? "," : "", d->order[i]);
    printf("]}\n");
    return AS_OK;
}

static as_status run(char **argv, int argc, as_err *err) {
    as_data_cols cols = {0};
    as_finetune_job f = {.job = as_job_defaults(), .recipe = as_recipe_defaults(), .train = argv[2], .cols = &cols};
    f.job.model = argv[1], f.job.threads = atoi(argv[8]), f.job.dtype = strcmp(argv[7], "bf16") == 0 ? AS_COMPUTE_BF16 : AS_COMPUTE_F32;
    f.recipe.steps = atoll(argv[4]), f.recipe.batch_size = atoll(argv[5]), f.recipe.lr = atof(argv[6]), f.recipe.dropout = 0.0;
    f.recipe.grad_shards = argc > 9 ? atoll(argv[9]) : 0;
    as_tuning t;
    AS_TRY(as_tuning_open(&t, &f, err));
    as_status s = as_model_save(t.ses.model, argv[3], err);
    if (s == AS_OK) s = as_tokenizer_copy(t.ses.tok, argv[3], err);
    dump d = {.t = &t, .r = &f.recipe, .n = t.records.n, .order = calloc((size_t)t.records.n, sizeof(int64_t)), .epoch = -1};
    int64_t *index = calloc((size_t)t.records.n, sizeof *index);
    for (int64_t i = 0; i < t.records.n; i++) index[i] = i;
    as_trainer tr = {.log = on_step, .ctx = &d};
    as_trained done;
    if (s == AS_OK) s = as_tuning_train(&t, &f, index, t.records.n, &tr, &done, err);
    free(index), free(d.order);
    as_tuning_close(&t);
    return s;
}

int main(int argc, char **argv) {
    as_err err = {0};
    if (argc < 9 || run(argv, argc, &err) != AS_OK) {
        fprintf(stderr, "dump_training: %s\n", argc < 9 ? "arguments: MODEL DATA OUT STEPS BATCH LR DTYPE THREADS [SHARDS]" : err.msg);
        return 1;
    }
    return 0;
}
