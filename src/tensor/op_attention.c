/* op_attention.c: the one attention op: self and cross, causal, windowed, grouped heads, biased, tapped. Work is cut by
 * (sequence, key-value head): what one unit writes, no other touches. */
#include "tensor/ops.h"
#include <stdatomic.h>
#include <string.h>

typedef struct saved {
    as_attention a;
    float *lse;             /* [heads, q rows] */
    as_dropout_key key;
    int64_t *tap_at;        /* [count + 1] offset of each sequence's taps */
    size_t scratch;
} saved;
typedef struct job {
    as_ctx *c;
    const saved *v;
    float *out;
    const float *dout;
    float *dq, *dk, *dv;
    atomic_bool failed;
} job;

static as_attn_args problem(const saved *v, int64_t seq, int64_t head, float *out) {
    const as_attention *a = &v->a;
    const int64_t q0 = a->q_seqs->begin[seq], k0 = a->kv_seqs->begin[seq], kv = head / (a->heads / a->kv_heads);
    const int64_t n = a->q_seqs->begin[seq + 1] - q0, s = a->kv_seqs->begin[seq + 1] - k0, d = a->head_dim, width = a->heads * d;
    return (as_attn_args){
        .q = a->q->x + q0 * a->q->cols + a->q_at + head * d, .k = a->k->x + k0 * a->k->cols + a->k_at + kv * d,
        .v = a->v->x + k0 * a->v->cols + a->v_at + kv * d, .ldq = a->q->cols, .ldk = a->k->cols, .ldv = a->v->cols,
        .out = out + q0 * width + head * d, .ldo = width, .n = n, .s = s, .d = d, .scale = a->scale, .soft_cap = a->soft_cap,
        .bias = a->bias ? a->bias + head * a->bias_rows * a->bias_cols : NULL, .ldbias = a->bias_cols,
        .causal_offset = a->causal ? s - n : INT64_MAX, .window = a->window > 0 ? a->window : INT64_MAX, .window_offset = s - n,
        .lse = v->lse ? v->lse + head * a->q->rows + q0 : NULL,
        .taps = a->taps ? a->taps + v->tap_at[seq] + head * n * s : NULL,
        /* sites of their own, one per head: the other ops' are below 2^31 */
        .drop_keep = v->key.keep, .drop_seed = v->key.seed, .drop_site = 1u << 31 | v->key.site << 16 | (uint32_t)head,
        .drop_item = n > 0 ? (uint32_t)a->q_seqs->item[q0] : 0};
}

static void forward_units(void *arg, int64_t u0, int64_t u1, int slot) {
    job *j = arg;
    const as_attention *a = &j->v->a;
    float *scratch = as_engine_scratch(j->c->e, slot, j->v->scratch);
    if (!scratch) { j->failed = true; return; }
    const int64_t group = a->heads / a->kv_heads;
    for (int64_t u = u0; u < u1; u++)
        for (int64_t h = 0; h < group; h++) {
            const as_attn_args g = problem(j->v, u / a->kv_heads, u % a->kv_heads * group + h, j->out);
            if (g.n > 0) j->c->k->attn(&g, scratch);
        }
}

/* Scratch for the longest problem. */
static size_t scratch_need(const as_ctx *c, const as_attention *a) {
    size_t most = 0;
    for (int64_t i = 0; i < a->q_seqs->count; i++) {
        const size_t need = c->k->attn_scratch(a->q_seqs->begin[i + 1] - a->q_seqs->begin[i], a->kv_seqs->begin[i + 1] - a->kv_seqs->begin[i], a->head_dim);
        if (need > most) most = need;
    }
    return most;
}

as_tensor *as_attend(as_ctx *c, const as_attention *a) {
    const as_dropout_key key = as_ctx_drop(c, a->dropout);
    if (!a->q || !a->k || !a->v) return NULL;
    AS_ASSERT(a->heads % a->kv_heads == 0 && a->q_seqs->count == a->kv_seqs->count);
    as_tensor *y = as_tensor_new(c, a->q->rows, a->heads * a->head_dim, true);
    saved *v = as_ctx_push(c, 1, sizeof *v);
    if (!y || !v) return NULL;
    *v = (saved){.a = *a, .key = key, .scratch = scratch_need(c, a)};
    if (c->training && !(v->lse = as_ctx_push(c, (size_t)(a->heads * a->q->rows), sizeof *v->lse))) return NULL;
    if (a->taps) {
        if (!(v->tap_at = as_ctx_push(c, (size_t)a->q_seqs->count + 1, sizeof *v->tap_at))) return NULL;
        v->tap_at[0] = 0;
        for (int64_t i = 0; i < a->q_seqs->count; i++)
            v->tap_at[i + 1] = v->tap_at[i] + a->heads * (a->q_seqs->begin[i + 1] - a->q_seqs->begin[i]) * (a->kv_seqs->begin[i + 1] - a->kv_seqs->begin[i]);
    }
    job j = {.c = c, .v = v, .out = y->x};
    as_ctx_rows(c, a->q_seqs->count * a->kv_heads, 1, forward_units, &j);
    if (j.failed) return c->failed = true, NULL;
    as_ctx_record(c, &as_op_attention, y, a->q, a->k, a->v, v);
    return y;
}

static void backward_units(void *arg, int64_t u0, int64_t u1, int slot) {
    job *j = arg;
    const as_attention *a = &j->v->a;
    float *scratch = as_engine_scratch(j->c->e, slot, j->v->scratch);
    if (!scratch) { j->failed = true; return; }
    const int64_t group = a->heads / a->kv_heads, width = a->heads * a->head_dim;
    for (int64_t u = u0; u < u1; u++) {
        const int64_t seq = u / a->kv_heads, kv = u % a->kv_heads, q0 = a->q_seqs->begin[seq], k0 = a->kv_seqs->begin[seq];
        for (int64_t h = kv * group; h < (kv + 1) * group; h++) {
            const as_attn_args g = problem(j->v, seq, h, j->out);
            const as_attn_grads d = {
                .dout = j->dout + q0 * width + h * a->head_dim, .lddo = width, .out = g.out,
                .dq = j->dq + q0 * a->q->cols + a->q_at + h * a->head_dim, .lddq = a->q->cols,
                .dk = j->dk + k0 * a->k->cols + a->k_at + kv * a->head_dim, .lddk = a->k->cols,
                .dv = j->dv + k0 * a->v->cols + a->v_at + kv * a->head_dim, .lddv = a->v->cols,
                .dbias = a->dbias ? a->dbias + h * a->bias_rows * a->bias_cols : NULL};
            if (g.n > 0) j->c->k->attn_bwd(&g, &d, scratch);
        }
    }
}

static float *zeroed_grad(as_ctx *c, as_tensor *t) {
    bool fresh;
    float *g = as_tensor_grad(c, t, &fresh);
    if (g && fresh) memset(g, 0, (size_t)(t->rows * t->cols) * sizeof *g);
    return g;
}
static bool backward(as_ctx *c, as_tape_record *r) {
    const saved *v = r->saved;
    job j = {.c = c, .v = v, .out = r->out->x, .dout = r->out->dx};
    j.dq = zeroed_grad(c, v->a.q), j.dk = zeroed_grad(c, v->a.k), j.dv = zeroed_grad(c, v->a.v);
    if (!j.dq || !j.dk || !j.dv) return false;
    /* The bias is shared by all sequences: its gradient is summed in order, by one thread. */
    if (v->a.dbias)
        backward_units(&j, 0, v->a.q_seqs->count * v->a.kv_heads, c->slot);
    else
        as_ctx_rows(c, v->a.q_seqs->count * v->a.kv_heads, 1, backward_units, &j);
    return !j.failed;
}
const as_op as_op_attention = {"attention", backward};
