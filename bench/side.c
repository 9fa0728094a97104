/* side.c: assay's side of a benchmark. Loads once, then answers each line "go" on stdin with one timed pass:
 * "seconds <s>". The driver (classify.py, finetune.py) runs its rival in turn with it.
 *   side classify MODEL TEXTS OUT THREADS DTYPE       a pass = texts to labels, tokenisation included; labels and logits go to OUT
 *   side finetune MODEL TABLE OUT THREADS DTYPE STEPS a pass = STEPS training steps from fresh state; mean seconds a step, without the first 4;
 *                                                     OUT.order: the rows of TABLE in the order they are taken
 *   side pretrain CONFIG.json CORPUS OUT THREADS DTYPE STEPS LENGTH   the same of masked-LM steps, 32 rows; OUT: loss and peak memory
 *   side bound    MODEL TEXTS OUT THREADS DTYPE       a pass = the matrix products of the real tokens alone
 *   side tokenize MODEL TEXTS OUT THREADS DTYPE       a pass = encode every line, offsets included */
#include "data/pack.h"
#include "eval/answer.h"
#include "run/finetune.h"
#include "run/pretrain_start.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct side {
    as_job job;
    as_session ses;
    as_buf text;
    as_records records;
    const char *out;
    float *logits;
    int64_t labels;
} side;

static void die(const as_err *err) {
    fprintf(stderr, "side: %s\n", err->msg);
    exit(1);
}

static void open_texts(side *s, const char *path) {
    as_err err = {0};
    if (as_file_read(&s->text, path, 0, &err) != AS_OK) die(&err);
    int64_t n = 0;
    for (size_t i = 0; i < s->text.n; i++) n += s->text.p[i] == '\n';
    s->records = (as_records){.n = n, .v = as_calloc((size_t)n, sizeof *s->records.v)};
    const char *p = s->text.p;
    for (int64_t i = 0; i < n; i++) {
        const char *e = strchr(p, '\n');
        s->records.v[i] = (as_record){.text = {p, (size_t)(e - p)}, .line = i + 1, .label = -1};
        p = e + 1;
    }
}

static as_status keep(void *ctx, const as_answer *a, int64_t n, as_err *err) {
    (void)err;
    side *s = ctx;
    for (int64_t i = 0; i < n; i++) memcpy(s->logits + a[i].item * s->labels, a[i].v, (size_t)a[i].cols * sizeof(float));
    return AS_OK;
}
static double classify(side *s) {
    as_err err = {0};
    as_encoded e;
    const double t = as_clock();
    if (as_session_encode(&s->ses, &s->job, &s->records, &e, &err) != AS_OK) die(&err);
    const as_answer_opts o = {.request = AS_REQUEST_CLASS};
    if (as_answer_items(s->ses.model, &e, NULL, 0, &o, keep, s, &err) != AS_OK) die(&err);
    const double took = as_clock() - t;
    as_encoded_free(&e);
    if (as_file_write(s->out, s->logits, (size_t)(s->records.n * s->labels) * sizeof(float), &err) != AS_OK) die(&err);
    return took;
}

/* The linear layers of every token, bias and activation left out, on each thread's own rows. */
typedef struct bound_job { as_engine *e; as_pack *p[4]; float *x, *y; int64_t blocks, layers, m, wide; } bound_job;
static void bound_block(void *ctx, int64_t b, int thread) {
    (void)b;
    const bound_job *j = ctx;
    float *x = j->x + thread * j->m * j->wide, *y = j->y + thread * j->m * j->wide;
    for (int64_t l = 0; l < j->layers; l++)
        for (int i = 0; i < 4; i++)
            if (!as_linear_forward(j->e, &(as_linear_args){.y = y, .x = x, .pack = j->p[i], .m = j->m}, thread)) exit(1);
}
static double bound(side *s) {
    as_err err = {0};
    as_encoded e;
    const as_config *c = as_model_config(s->ses.model);
    if (as_session_encode(&s->ses, &s->job, &s->records, &e, &err) != AS_OK) die(&err);
    const int64_t h = c->hidden, shapes[4][2] = {{3 * h, h}, {h, h}, {c->inter, h}, {h, c->inter}};
    bound_job j = {.e = s->ses.engine, .layers = c->layers, .m = AS_ROW_MAX, .wide = c->inter > 3 * h ? c->inter : 3 * h};
    const int threads = as_engine_threads(j.e);
    j.x = as_alloc_aligned((size_t)(threads * j.m * j.wide), sizeof(float)), j.y = as_alloc_aligned((size_t)(threads * j.m * j.wide), sizeof(float));
    for (int i = 0; i < 4; i++) {
        float *w = as_alloc_aligned((size_t)(shapes[i][0] * shapes[i][1]), sizeof *w);
        if (as_pack_new(&j.p[i], j.e, shapes[i][0], shapes[i][1], 0, &err) != AS_OK || as_pack_fill(j.e, j.p[i], w, 0, &err) != AS_OK) die(&err);
        as_free_aligned(w);
    }
    const double blocks = (double)e.tokens / (double)j.m;
    j.blocks = (int64_t)blocks / threads * threads;
    if (j.blocks < threads) j.blocks = threads;
    const double t = as_clock();
    as_parallel_for(threads, j.blocks, bound_block, &j);
    const double took = (as_clock() - t) * blocks / (double)j.blocks;
    for (int i = 0; i < 4; i++) as_pack_free(j.p[i]);
    as_free_aligned(j.x), as_free_aligned(j.y);
    as_encoded_free(&e);
    return took;
}

static double tokenize(side *s) {
    as_err err = {0};
    as_encoded e;
    const double t = as_clock();
    if (as_encode_records(&e, s->ses.tok, &s->records, 0, as_engine_threads(s->ses.engine), &err) != AS_OK) die(&err);
    const double took = as_clock() - t;
    if (as_file_write(s->out, e.ids, (size_t)e.tokens * sizeof *e.ids, &err) != AS_OK) die(&err);
    as_encoded_free(&e);
    return took;
}

/* The first steps make oneDNN's products and touch the memory for the first time; a training has thousands. */
enum { WARM_STEPS = 4 };
static as_status warm_up(void *ctx, const as_train_step *s, as_err *err) {
    (void)err;
    if (s->step == WARM_STEPS) *(double *)ctx = s->seconds;
    return AS_OK;
}
/* Which items the steps take, in order, to OUT.order: the rival takes the same. */
static void write_order(const side *s, const as_finetune_job *f, const as_tuning *t, const int64_t *index, int64_t steps) {
    const as_supervised all = {.model = t->ses.model, .data = &t->encoded, .index = index, .n = t->records.n};
    const as_objective o = as_supervised_objective(&all);
    int64_t *order = as_alloc((size_t)o.n, sizeof *order);
    char path[4096];
    snprintf(path, sizeof path, "%s.order", s->out);
    FILE *file = fopen(path, "w");
    o.order(o.self, order, f->recipe.seed, 0);
    for (int64_t i = 0; file && i < steps * f->recipe.batch_size && i < o.n; i++) fprintf(file, "%" PRId64 "\n", order[i]);
    if (!file || fclose(file) != 0) fprintf(stderr, "side: %s: could not be written\n", path), exit(1);
    as_free(order);
}

static double finetune(side *s, const char *model, const char *table, int64_t steps) {
    as_err err = {0};
    as_data_cols cols = {0};
    as_finetune_job f = {.job = s->job, .recipe = as_recipe_defaults(), .train = table, .cols = &cols};
    f.job.model = model, f.recipe.steps = steps;
    as_tuning t;
    if (as_tuning_open(&t, &f, &err) != AS_OK) die(&err);
    int64_t *index = as_alloc((size_t)t.records.n, sizeof *index);
    for (int64_t i = 0; i < t.records.n; i++) index[i] = i;
    write_order(s, &f, &t, index, steps);
    double warm = 0.0;
    as_trainer tr = {.log = warm_up, .ctx = &warm};
    as_trained done;
    if (as_tuning_train(&t, &f, index, t.records.n, &tr, &done, &err) != AS_OK) die(&err);
    FILE *o = fopen(s->out, "w");
    if (o) fprintf(o, "%.9g\n", done.loss), fclose(o);
    as_free(index);
    as_tuning_close(&t);
    return (done.seconds - warm) / (double)(steps - WARM_STEPS);
}

static double pretrain(const side *s, const char *config, const char *corpus, int64_t steps, int64_t length) {
    as_err err = {0};
    char dir[4096];
    snprintf(dir, sizeof dir, "%s.work", s->out);
    as_pretrain_job j = {.job = s->job, .recipe = as_pretrain_recipe(), .config = config, .corpus = &corpus, .corpus_count = 1, .objective = "mlm", .out = dir,
                         .mask_share = 0.15};
    j.job.model = NULL, j.job.max_length = length, j.recipe.steps = steps;
    as_pretrain_start p;
    as_trained done;
    if (as_pretrain_start_open(&p, &j, &err) != AS_OK) die(&err);
    double warm = 0.0;
    const as_trainer t = {.model = p.ses.model, .recipe = &j.recipe, .objective = &p.train, .log = warm_up, .ctx = &warm};
    if (as_train(&t, &done, &err) != AS_OK) die(&err);
    FILE *o = fopen(s->out, "w");
    if (o) fprintf(o, "%.9g %" PRIu64 "\n", done.loss, as_peak_memory()), fclose(o);
    as_pretrain_start_close(&p);
    return (done.seconds - warm) / (double)(steps - WARM_STEPS);
}

int main(int argc, char **argv) {
    if (argc < 7) return fprintf(stderr, "usage: see the head of bench/side.c\n"), 2;
    as_err err = {0};
    side s = {.job = as_job_defaults(), .out = argv[4]};
    s.job.model = argv[2], s.job.threads = atoi(argv[5]), s.job.dtype = strcmp(argv[6], "bf16") == 0 ? AS_COMPUTE_BF16 : AS_COMPUTE_F32;
    const bool tune = strcmp(argv[1], "finetune") == 0, pre = strcmp(argv[1], "pretrain") == 0 && argc > 8;
    if (!tune && !pre) {
        if (as_session_open(&s.ses, &s.job, (as_model_opts){.head = AS_HEAD_CLASSIFY, .seed = 1}, &err) != AS_OK) die(&err);
        open_texts(&s, argv[3]);
        s.labels = as_model_num_labels(s.ses.model);
        s.logits = as_calloc((size_t)(s.records.n * s.labels) + 1, sizeof *s.logits);
    }
    char line[64];
    while (fgets(line, sizeof line, stdin) && strncmp(line, "go", 2) == 0) {
        const double t = pre ? pretrain(&s, argv[2], argv[3], atoll(argv[7]), atoll(argv[8]))
                         : tune ? finetune(&s, argv[2], argv[3], argc > 7 ? atoll(argv[7]) : 20)
                         : strcmp(argv[1], "bound") == 0 ? bound(&s) : strcmp(argv[1], "tokenize") == 0 ? tokenize(&s) : classify(&s);
        printf("seconds %.6f\n", t);
        fflush(stdout);
    }
    return 0;
}
