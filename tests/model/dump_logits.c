/* What a checkpoint computes, as raw float32, for comparison elsewhere (scripts/parity/logits.py).
 *     dump_logits DIR IDS OUT none|classify|mlm|nsp|clm|rtd [f32|bf16] [THREADS]
 * IDS: a text file, one sequence a line: token ids separated by spaces. OUT: hidden states of each token, logits of each
 * sequence, or language-model logits of each sequence's second token, or a logit of each token (rtd), in order. */
#include "base/mem.h"
#include "base/str.h"
#include "model/model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 };
static const char *const heads[] = {[AS_HEAD_NONE] = "none", [AS_HEAD_CLASSIFY] = "classify", [AS_HEAD_MLM] = "mlm", [AS_HEAD_NSP] = "nsp", [AS_HEAD_CLM] = "clm", [AS_HEAD_RTD] = "rtd"};

static as_tensor *forward(as_model *m, as_ctx *c, const as_seqs *s) {
    const int64_t second = s->tokens > 1;
    switch (as_model_head(m)) {
    case AS_HEAD_CLASSIFY: return as_model_classify(m, c, s);
    case AS_HEAD_NSP: return as_model_next_sentence(m, c, s);
    case AS_HEAD_RTD: return as_model_detect(m, c, s);
    case AS_HEAD_CLM:
    case AS_HEAD_MLM: return as_model_mlm_logits(m, c, as_model_mlm_hidden(m, c, s, &second, 1));
    default: return as_model_encode(m, c, s);
    }
}

static int run(as_model *m, as_ctx *c, FILE *in, FILE *out) {
    const as_config *f = as_model_config(m);
    char line[16 * MOST];
    while (fgets(line, sizeof line, in)) {
        int64_t begin[2] = {0, 0};
        int32_t ids[MOST], pos[MOST], item[MOST] = {0};
        char *p = line, *end;
        for (long id = strtol(p, &end, 10); end != p; p = end, id = strtol(p, &end, 10)) {
            if (begin[1] == MOST || begin[1] == f->max_pos || id < 0 || id >= f->vocab) return 0;
            pos[begin[1]] = (int32_t)begin[1], ids[begin[1]++] = (int32_t)id;
        }
        if (begin[1] == 0) return 0;
        const as_seqs s = {.count = 1, .tokens = begin[1], .begin = begin, .ids = ids, .pos = pos, .item = item};
        const as_tensor *y = forward(m, c, &s);
        if (!y || fwrite(y->x, sizeof *y->x, (size_t)(y->rows * y->cols), out) != (size_t)(y->rows * y->cols)) return 0;
        as_ctx_reset(c);
    }
    return 1;
}

int main(int argc, char **argv) {
    as_err err = {0};
    as_engine *e = NULL;
    as_model *m = NULL;
    as_ctx c;
    int head = argc > 4 ? (int)AS_COUNT(heads) - 1 : -1;
    while (head >= 0 && strcmp(argv[4], heads[head]) != 0) head--;
    if (head < 0) return fprintf(stderr, "dump_logits DIR IDS OUT none|classify|mlm|nsp|clm|rtd [f32|bf16] [THREADS]\n"), 2;
    as_engine_opts o = as_engine_defaults();
    o.compute = argc > 5 && strcmp(argv[5], "bf16") == 0 ? AS_COMPUTE_BF16 : AS_COMPUTE_F32;
    o.threads = argc > 6 ? atoi(argv[6]) : 1;
    if (as_engine_open(&e, &o, &err) != AS_OK || as_model_open(&m, e, argv[1], &(as_model_opts){.head = (as_head)head}, &err) != AS_OK ||
        as_ctx_init(&c, e, 0, as_engine_threads(e), &err) != AS_OK)
        return fprintf(stderr, "%s\n%s\n", err.msg, err.hint), 1;
    FILE *in = fopen(argv[2], "r"), *out = fopen(argv[3], "wb");
    int ok = in && out && run(m, &c, in, out);
    if (in) fclose(in);
    if (out) ok = fclose(out) == 0 && ok;
    if (!ok) fprintf(stderr, "%s: a line is no sequence of ids of this model, or a file failed\n", argv[2]);
    as_ctx_deinit(&c), as_model_free(m), as_engine_free(e);
    return !ok;
}
