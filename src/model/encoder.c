/* encoder.c: embeddings and post-norm layers of Devlin et al. 2019, arXiv:1810.04805, as transformers 5 computes them; key and
 * value projections are one fused parameter. */
#include "model/encoder.h"
#include "model/model.h"
#include <math.h>
#include <string.h>

const as_seqs *as_query_seqs(as_ctx *c, const as_seqs *s, const int64_t *want, int64_t n) {
    as_seqs *q = as_ctx_push(c, 1, sizeof *q);
    int64_t *begin = as_ctx_push(c, (size_t)s->count + 1, sizeof *begin);
    int32_t *pos = as_ctx_push(c, (size_t)n + 1, sizeof *pos), *item = as_ctx_push(c, (size_t)n + 1, sizeof *item);
    if (!q || !begin || !pos || !item) return NULL;
    for (int64_t i = 0; i < n; i++) pos[i] = s->pos[want[i]], item[i] = s->item[want[i]];
    for (int64_t i = 0, at = 0; i <= s->count; i++) {
        while (i < s->count && at < n && want[at] < s->begin[i]) at++;
        if (i == s->count) at = n;
        begin[i] = at;
        while (i < s->count && at < n && want[at] < s->begin[i + 1]) at++;
    }
    *q = (as_seqs){.count = s->count, .tokens = n, .begin = begin, .pos = pos, .item = item};
    return q;
}

as_tensor *as_layer_input(as_ctx *c, as_tensor *x, as_tensor *keep, as_arena_mark mark) {
    if (c->training) return x;
    memcpy(keep->x, x->x, (size_t)(x->rows * x->cols) * sizeof *x->x);
    as_arena_release(&c->arena, mark);
    return keep;
}

as_tensor *as_head_dropout(as_model *m, as_ctx *c, const as_seqs *s, as_tensor *x) {
    if (!x) return NULL;
    int32_t *item = as_ctx_push(c, (size_t)s->count + 1, sizeof *item), *pos = as_ctx_push(c, (size_t)s->count + 1, sizeof *pos);
    if (!item || !pos) return NULL;
    for (int64_t i = 0; i < s->count; i++) item[i] = s->item[s->begin[i]], pos[i] = 0;
    return as_dropout(c, x, as_model_config(m)->classifier_dropout, item, pos);
}

/* One layer for the queries xq (rows of q) over all of x. */
static as_tensor *layer(const as_model *m, as_ctx *c, const as_encoder_layer *l, as_tensor *x, as_tensor *xq, const as_seqs *s, const as_seqs *q) {
    const as_config *f = as_model_config(m);
    const int64_t d = f->hidden / f->heads;
    as_tensor *query = as_linear(c, xq, &l->q_w, &l->q_b, AS_ACT_NONE);
    as_tensor *kv = as_linear(c, x, &l->kv_w, &l->kv_b, AS_ACT_NONE);
    as_tensor *a = as_attend(c, &(as_attention){.q = query, .k = kv, .v = kv, .v_at = f->hidden, .q_seqs = q, .kv_seqs = s, .heads = f->heads,
                                                .kv_heads = f->heads, .head_dim = d, .scale = 1.0f / sqrtf((float)d),
                                                .dropout = f->attention_dropout});
    a = as_linear(c, a, &l->attn_out_w, &l->attn_out_b, AS_ACT_NONE);
    a = as_norm(c, a, xq, f->dropout, q, &l->attn_norm_w, &l->attn_norm_b, f->eps);
    as_tensor *h = as_linear(c, a, &l->inter_w, &l->inter_b, f->act);
    h = as_linear(c, h, &l->out_w, &l->out_b, AS_ACT_NONE);
    return as_norm(c, h, a, f->dropout, q, &l->norm_w, &l->norm_b, f->eps);
}

/* A layer as as_recompute runs it. */
typedef struct layer_run { as_model *m; const as_encoder_layer *layer; const as_seqs *s, *q; const int64_t *want; int64_t want_n; } layer_run;
static as_tensor *run_layer(void *arg, as_ctx *c, as_tensor *x) {
    const layer_run *r = arg;
    return layer(r->m, c, r->layer, x, r->want ? as_pick(c, x, r->want, r->want_n) : x, r->s, r->q);
}
static as_tensor *recomputed(as_ctx *c, const layer_run *r, as_tensor *x) {
    layer_run *kept = as_ctx_push(c, 1, sizeof *kept);
    if (!kept) return NULL;
    *kept = *r;
    return as_recompute(c, run_layer, kept, x, r->q->tokens, as_model_config(r->m)->hidden);
}

as_tensor *as_encoder_run(as_model *m, as_ctx *c, const as_encoder *w, const as_seqs *s, const int64_t *want, int64_t want_n) {
    const as_config *f = as_model_config(m);
    const as_seqs *q = want ? as_query_seqs(c, s, want, want_n) : s;
    as_tensor *keep = as_tensor_new(c, s->tokens, f->hidden, true);
    if (!q || !keep) return NULL;
    const as_arena_mark mark = as_arena_mark_here(&c->arena);
    as_tensor *x = as_embed(c, s, &w->word, &w->position, &w->type);
    x = as_norm(c, x, NULL, 0.0f, NULL, &w->norm_w, &w->norm_b, f->eps);
    x = as_dropout(c, x, f->embedding_dropout, s->item, s->pos);
    if (f->embedding != f->hidden) x = as_linear(c, x, &w->project_w, &w->project_b, AS_ACT_NONE);
    for (int64_t i = 0; i < f->layers && x; i++) {
        const bool last = i + 1 == f->layers;
        x = as_layer_input(c, x, keep, mark);
        layer_run r = {.m = m, .layer = &w->layers[i], .s = s, .q = last ? q : s, .want = last ? want : NULL, .want_n = want_n};
        x = c->training && c->recompute ? recomputed(c, &r, x) : run_layer(&r, c, x);
    }
    return x;
}
