/* model_check.h: opens the golden checkpoints of tests/golden/model and runs them in any batch composition and either way of
 * being parallel. */
#ifndef TESTS_MODEL_MODEL_CHECK_H
#define TESTS_MODEL_MODEL_CHECK_H

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "model/model.h"
#include "io/weights.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/model/"

typedef struct golden_case { const char *name; as_head head; } golden_case;
static const golden_case goldens[] = {
    {"single", AS_HEAD_CLASSIFY}, {"multi", AS_HEAD_CLASSIFY}, {"regression", AS_HEAD_CLASSIFY}, {"mlm_tied", AS_HEAD_MLM},
    {"mlm_untied", AS_HEAD_MLM}, {"mlm_both", AS_HEAD_MLM}, {"nsp", AS_HEAD_NSP}, {"base", AS_HEAD_NONE}, {"legacy_bin", AS_HEAD_MLM},
    {"sharded", AS_HEAD_CLASSIFY}, {"bf16", AS_HEAD_CLASSIFY}, {"f16", AS_HEAD_NONE}, {"gelu_new", AS_HEAD_MLM}, {"relu", AS_HEAD_CLASSIFY},
    {"extra", AS_HEAD_CLASSIFY},
    {"electra_mlm", AS_HEAD_MLM}, {"electra_untied", AS_HEAD_MLM}, {"electra_rtd", AS_HEAD_RTD}, {"electra_class", AS_HEAD_CLASSIFY},
    {"electra_base", AS_HEAD_NONE}, {"gpt2_lm", AS_HEAD_CLM}, {"gpt2_untied", AS_HEAD_CLM}, {"gpt2_plain", AS_HEAD_CLM},
    {"gpt2_class", AS_HEAD_CLASSIFY}, {"gpt2_base", AS_HEAD_NONE}, {"gpt2_unscaled", AS_HEAD_NONE},
};

static inline void expect_ok(as_status s, const as_err *err) {
    if (s != AS_OK) fail_msg("status %d: %s (%s)", (int)s, err->msg, err->hint);
}

/* What expected.safetensors holds. */
typedef struct expected {
    as_weight_files *w;
    const int64_t *begin, *want;
    const int32_t *ids, *types;
    const float *f32;
    const double *f64;
    const uint16_t *bf16;
    int64_t count, tokens, wanted, rows, cols;
} expected;

static inline const void *view_data(const expected *x, const char *name, as_dtype dtype, int64_t *rows, int64_t *cols) {
    const as_weight_view *v = as_weights_find(x->w, name);
    if (!v || v->dtype != dtype || (uintptr_t)v->data % as_dtype_size(dtype) != 0) fail_msg("%s is not in the golden file as %s", name, as_dtype_name(dtype));
    if (rows) *rows = v->shape[0];
    if (cols) *cols = v->rank > 1 ? v->shape[1] : 1;
    return v->data;
}
static inline expected expected_open(const char *name) {
    char path[256];
    snprintf(path, sizeof path, GOLDEN "%s/expected.safetensors", name);
    expected x = {0};
    as_err err = {0};
    expect_ok(as_weights_open(&x.w, path, &err), &err);
    x.begin = view_data(&x, "begin", AS_I64, &x.count, NULL);
    x.count--;
    x.ids = view_data(&x, "ids", AS_I32, &x.tokens, NULL);
    x.types = view_data(&x, "types", AS_I32, NULL, NULL);
    x.want = view_data(&x, "want", AS_I64, &x.wanted, NULL);
    x.f32 = view_data(&x, "f32", AS_F32, &x.rows, &x.cols);
    x.f64 = view_data(&x, "f64", AS_F64, NULL, NULL);
    x.bf16 = as_weights_find(x.w, "bf16")->data;
    return x;
}

static inline as_engine *engine_new(as_isa isa, as_gemm_kind gemm, as_compute compute, int threads) {
    as_engine *e;
    as_err err = {0};
    as_engine_opts o = as_engine_defaults();
    o.isa = isa, o.gemm = gemm, o.compute = compute, o.threads = threads;
    expect_ok(as_engine_open(&e, &o, &err), &err);
    return e;
}
static inline as_model *golden_open(as_engine *e, const golden_case *g, bool train, const as_log *log) {
    char dir[256];
    as_model *m;
    as_err err = {0};
    snprintf(dir, sizeof dir, GOLDEN "%s", g->name);
    expect_ok(as_model_open(&m, e, dir, &(as_model_opts){.head = g->head, .train = train, .log = log}, &err), &err);
    return m;
}

/* The items of a golden file, in any order, as one batch. At most 64 items of at most 64 tokens. */
typedef struct batch {
    as_seqs s;
    int64_t begin[65], want[64 * 64], wanted;
    int32_t ids[64 * 64], types[64 * 64], pos[64 * 64], item[64 * 64];
} batch;
static inline void batch_fill(batch *b, const expected *x, const int *items, int n) {
    b->s = (as_seqs){.count = n, .begin = b->begin, .ids = b->ids, .types = b->types, .pos = b->pos, .item = b->item};
    b->wanted = b->begin[0] = 0;
    for (int i = 0; i < n; i++) {
        const int64_t from = x->begin[items[i]];
        for (int64_t k = from, at = b->begin[i]; k < x->begin[items[i] + 1]; k++, at++) {
            b->ids[at] = x->ids[k], b->types[at] = x->types[k], b->pos[at] = (int32_t)(k - from), b->item[at] = items[i];
            for (int64_t w = 0; w < x->wanted; w++)
                if (x->want[w] == k) b->want[b->wanted++] = at;
        }
        b->begin[i + 1] = b->begin[i] + x->begin[items[i] + 1] - from;
    }
    b->s.tokens = b->begin[n];
}

static inline as_tensor *forward(as_model *m, as_ctx *c, const batch *b) {
    switch (as_model_head(m)) {
    case AS_HEAD_CLASSIFY: return as_model_classify(m, c, &b->s);
    case AS_HEAD_NSP: return as_model_next_sentence(m, c, &b->s);
    case AS_HEAD_RTD: return as_model_detect(m, c, &b->s);
    case AS_HEAD_CLM:
    case AS_HEAD_MLM: return as_model_mlm_logits(m, c, as_model_mlm_hidden(m, c, &b->s, b->want, b->wanted));
    default: return as_model_encode(m, c, &b->s);
    }
}

/* Scatter the rows of batch b to where the whole golden input has them. */
static inline void scatter(float *out, const expected *x, const batch *b, const as_tensor *y, as_head head) {
    assert_int_equal(y->cols, x->cols);
    int64_t row = 0;
    for (int64_t i = 0; i < b->s.count; i++) {
        const int item = b->item[b->begin[i]];
        int64_t at = item, n = 1;
        if (head == AS_HEAD_NONE || head == AS_HEAD_RTD) at = x->begin[item], n = x->begin[item + 1] - at;
        if (head == AS_HEAD_MLM || head == AS_HEAD_CLM) {
            for (at = 0; at < x->wanted && x->want[at] < x->begin[item];) at++;
            for (n = 0; at + n < x->wanted && x->want[at + n] < x->begin[item + 1];) n++;
        }
        memcpy(out + at * x->cols, y->x + row * x->cols, (size_t)(n * x->cols) * sizeof *out);
        row += n;
    }
    assert_int_equal(row, y->rows);
}

/* Outputs [rows, cols] of all items, cut into batches of `size` in the given order; teams of `team` threads, `teams` of them. */
typedef struct scoring {
    as_model *m;
    const expected *x;
    as_ctx *ctx;
    const int *order;
    int size;
    float *out;
} scoring;
static void score_batch(void *arg, int64_t i, int thread) {
    const scoring *s = arg;
    batch *b = as_alloc(1, sizeof *b);
    const int64_t left = s->x->count - i * s->size;
    batch_fill(b, s->x, s->order + i * s->size, (int)(left < s->size ? left : s->size));
    as_ctx *c = &s->ctx[thread];
    const as_tensor *y = forward(s->m, c, b);
    assert_non_null(y);
    scatter(s->out, s->x, b, y, as_model_head(s->m));
    as_ctx_reset(c);
    as_free(b);
}
static inline float *score(as_model *m, const expected *x, const int *order, int size, int teams, int team) {
    as_engine *e = as_model_engine(m);
    as_err err = {0};
    as_ctx ctx[8];
    static const int straight[] = {0, 1, 2, 3, 4, 5, 6, 7};
    assert_true(x->count == 8 && teams <= 8);
    for (int i = 0; i < teams; i++) expect_ok(as_ctx_init(&ctx[i], e, i * team, team, &err), &err);
    scoring s = {.m = m, .x = x, .ctx = ctx, .order = order ? order : straight, .size = size};
    s.out = as_calloc((size_t)(x->rows * x->cols), sizeof *s.out);
    as_parallel_dynamic(teams, (x->count + size - 1) / size, score_batch, &s);
    for (int i = 0; i < teams; i++) as_ctx_deinit(&ctx[i]);
    return s.out;
}

/* --- a folder of one's own --- */
static char dir[64];
static inline int enter(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static inline int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}
/* The folder's path with a name behind it; three at a time. */
static inline const char *in_dir(const char *name) {
    static char path[3][256];
    static int turn;
    turn = (turn + 1) % 3;
    snprintf(path[turn], sizeof path[turn], "%s%s%s", dir, name[0] ? "/" : "", name);
    return path[turn];
}

/* Log lines, joined. */
typedef struct heard { char text[4096]; int warnings, infos; } heard;
static void hear(void *ctx, as_level level, const char *line) {
    heard *h = ctx;
    const size_t n = strlen(h->text);
    snprintf(h->text + n, sizeof h->text - n, "%s\n", line);
    h->warnings += level == AS_WARN, h->infos += level == AS_INFO;
}

#endif
