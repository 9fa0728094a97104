/* fill.c: the most probable pieces for each mask of a text. */
#include "base/mem.h"
#include "data/pack.h"
#include "run/session.h"
#include <math.h>
#include <string.h>

static as_status top_pieces(const as_session *s, const float *x, int mask, int top, as_fill_sink sink, void *ctx, as_err *err) {
    const int64_t vocab = as_model_config(s->model)->vocab, known = as_tokenizer_vocab_size(s->tok);
    as_fill *best = as_calloc((size_t)top, sizeof *best);
    if (!best) return as_fail_nomem(err, "pieces", 0);
    double max = -INFINITY, sum = 0.0;
    for (int64_t v = 0; v < vocab; v++) max = fmax(max, (double)x[v]);
    for (int64_t v = 0; v < vocab; v++) sum += exp((double)x[v] - max);
    int n = 0;
    for (int64_t v = 0; v < vocab && v < known; v++) { /* insertion into a short sorted list; ties keep the lower id */
        if (n == top && !(x[v] > x[best[n - 1].id])) continue;
        int at = n < top ? n++ : n - 1;
        while (at > 0 && x[v] > x[best[at - 1].id]) best[at] = best[at - 1], at--;
        best[at] = (as_fill){.mask = mask, .id = (int32_t)v};
    }
    for (int i = 0; i < n; i++) best[i].piece = as_tokenizer_piece(s->tok, best[i].id), best[i].prob = exp((double)x[best[i].id] - max) / sum;
    const as_status st = sink(ctx, best, n, err);
    as_free(best);
    return st;
}

static as_status fill(as_session *s, const as_job *j, as_records *r, as_encoded *e, int top, as_fill_sink sink, void *ctx, as_err *err) {
    AS_TRY(as_session_encode(s, j, r, e, err));
    const int32_t mask = as_tokenizer_special(s->tok, AS_TOKEN_MASK);
    int64_t *want = as_alloc((size_t)e->tokens + 1, sizeof *want), n = 0, zero = 0;
    if (!want) return as_fail_nomem(err, "masks", 0);
    for (int64_t t = 0; t < e->tokens; t++)
        if (e->ids[t] == mask) want[n++] = t;
    as_status st = AS_OK;
    if (n == 0) {
        const as_str piece = as_tokenizer_piece(s->tok, mask);
        st = as_fail(err, AS_USAGE, "the text has no mask token");
        as_hint(err, "Write %.*s where a word is to be filled in.", (int)piece.n, piece.n ? piece.p : "");
    }
    as_ctx c;
    if (st == AS_OK) st = as_ctx_init(&c, s->engine, 0, as_engine_threads(s->engine), err);
    if (st == AS_OK) {
        const as_seqs *q = as_seqs_pack(&c.arena, e, &zero, 1);
        const as_tensor *y = q ? as_model_mlm_logits(s->model, &c, as_model_mlm_hidden(s->model, &c, q, want, n)) : NULL;
        if (!y) st = as_fail_nomem(err, "the vocabulary's logits", 0);
        for (int64_t i = 0; st == AS_OK && i < n; i++) st = top_pieces(s, y->x + i * y->cols, (int)i, top, sink, ctx, err);
        as_ctx_deinit(&c);
    }
    as_free(want);
    return st;
}

as_status as_run_fill(const as_job *j, as_str text, int top, as_fill_sink sink, void *ctx, as_err *err) {
    as_session s;
    as_encoded e = {0};
    as_record row = {.text = text, .line = 1, .label = -1};
    as_records r = {.n = 1, .v = &row};
    AS_TRY(as_session_open(&s, j, (as_model_opts){.head = AS_HEAD_MLM, .seed = j->seed}, err));
    if (as_model_head_is_fresh(s.model))
        as_log_line(j->log, AS_WARN, "%s: its masked-LM head is not in the checkpoint: these words mean nothing", j->model);
    const as_status st = fill(&s, j, &r, &e, top, sink, ctx, err);
    as_encoded_free(&e);
    as_session_close(&s);
    return st;
}
