#include "tensor/engine.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "tensor/dnnl_shim.h"
#include "tensor/probe.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct slot {
    as_dnnl_slot *dnnl;
    float *scratch, *bf, *slice; /* kernels' scratch; bf16-rounded or converted operands; those of a slice */
    size_t scratch_n, bf_n, slice_n;
} slot;

struct as_engine {
    const as_kernels *k;
    as_isa isa;
    int threads;
    as_compute compute;
    bool own, bf16_native, rows_fixed;
    as_dnnl *dnnl;
    slot *slots;
    char gemm_name[64];
};

struct as_pack {
    int64_t n, k;
    void *packed;        /* oneDNN's layout or our panels */
    const float *w;      /* fp32: the master, for dX */
    void *plain;         /* bf16: row-major copy for dX: uint16 with native products, else rounded floats */
    unsigned use;
    bool lent;           /* packed and plain are an arena's */
    size_t bytes;
};

static const as_kernels *kernels_of(as_isa isa) {
#if defined(__x86_64__)
    if (isa >= AS_ISA_AVX512) return &as_kernels_avx512;
    if (isa == AS_ISA_AVX2) return &as_kernels_avx2;
#endif
    (void)isa;
    return &as_kernels_portable;
}

static float *grow(float **p, size_t *have, size_t n) {
    if (n <= *have) return *p;
    as_free_aligned(*p);
    *p = as_alloc_aligned(n, sizeof **p);
    *have = *p ? n : 0;
    return *p;
}
float *as_engine_scratch(as_engine *e, int s, size_t n) { return grow(&e->slots[s].scratch, &e->slots[s].scratch_n, n); }

static as_status open_dnnl(as_engine *e, const as_engine_opts *o, as_err *err) {
    AS_TRY(as_dnnl_open(&e->dnnl, e->isa < AS_ISA_AVX512, err));
    for (int i = 0; i < e->threads; i++)
        if (!(e->slots[i].dnnl = as_dnnl_slot_new())) return as_fail_nomem(err, "oneDNN's work space", 0);
    e->bf16_native = e->compute == AS_COMPUTE_BF16 && (e->isa >= AS_ISA_AVX512_BF16 || o->force_bf16);
    char key[256];
    snprintf(key, sizeof key, "1, %s, %s at level 0x%x, %s", as_cpu_name(), as_dnnl_version_text(), (unsigned)as_dnnl_isa(), e->bf16_native ? "bf16" : "f32");
    bool same;
    AS_TRY(as_probe_rows(e, key, &same, err));
    if (!same || getenv("ASSAY_FIXED_ROWS")) {
        e->rows_fixed = true;
        as_log_line(o->log, AS_WARN, "%s: rows depend on the row count here; products are held to %d rows",
                    as_dnnl_version_text(), AS_ROW_STEP);
    }
    return AS_OK;
}

as_status as_engine_open(as_engine **out, const as_engine_opts *o, as_err *err) {
    *out = NULL;
    as_engine *e = as_calloc(1, sizeof *e);
    if (!e) return as_fail_nomem(err, "the engine", sizeof *e);
    const as_isa have = as_cpu_detect();
    e->isa = o->isa < have ? o->isa : have;
    e->k = kernels_of(e->isa);
    e->threads = o->threads > 0 ? o->threads : as_cpu_count();
    e->compute = o->compute;
    e->own = o->gemm == AS_GEMM_OWN || !AS_DNNL || (o->gemm == AS_GEMM_AUTO && e->isa < AS_ISA_AVX512);
    e->slots = as_calloc((size_t)e->threads, sizeof *e->slots);
    as_status s = e->slots ? AS_OK : as_fail_nomem(err, "work spaces", 0);
    if (s == AS_OK && !e->own) s = open_dnnl(e, o, err);
    if (s != AS_OK) {
        as_engine_free(e);
        return s;
    }
    const char *name = e->own ? "own" : as_dnnl_version_text();
    strncpy(e->gemm_name, name, sizeof e->gemm_name - 1);
    *out = e;
    return AS_OK;
}

void as_engine_free(as_engine *e) {
    if (!e) return;
    for (int i = 0; e->slots && i < e->threads; i++) {
        as_dnnl_slot_free(e->slots[i].dnnl);
        as_free_aligned(e->slots[i].scratch);
        as_free_aligned(e->slots[i].bf), as_free_aligned(e->slots[i].slice);
    }
    as_dnnl_free(e->dnnl);
    as_free(e->slots);
    as_free(e);
}

const as_kernels *as_engine_kernels(const as_engine *e) { return e->k; }
as_isa as_engine_isa(const as_engine *e) { return e->isa; }
int as_engine_threads(const as_engine *e) { return e->threads; }
as_compute as_engine_compute(const as_engine *e) { return e->compute; }
const char *as_engine_gemm_name(const as_engine *e) { return e->gemm_name; }
bool as_engine_rows_fixed(const as_engine *e) { return e->rows_fixed; }

/* --- packed weights --- */
static int64_t panels(const as_engine *e, int64_t n) { return (n + e->k->panel - 1) / e->k->panel * e->k->panel; }

static void *pack_memory(as_arena *from, size_t bytes) { return from ? as_arena_push(from, bytes, 1) : as_alloc_aligned(bytes, 1); }

as_status as_pack_new(as_pack **out, as_engine *e, int64_t n, int64_t k, unsigned use, as_err *err) {
    return as_pack_new_in(out, e, NULL, n, k, use, err);
}
as_status as_pack_new_in(as_pack **out, as_engine *e, as_arena *from, int64_t n, int64_t k, unsigned use, as_err *err) {
    *out = NULL;
    as_pack *p = as_calloc(1, sizeof *p);
    if (!p) return as_fail_nomem(err, "a packed weight", sizeof *p);
    p->n = n, p->k = k, p->use = use, p->lent = from != NULL;
    const bool copied = (use & AS_PACK_BACKWARD) && e->compute == AS_COMPUTE_BF16;
    if (use & AS_PACK_FEW_ROWS)
        p->bytes = (size_t)(n * k) * sizeof(float);
    else
        p->bytes = e->own ? (size_t)(panels(e, n) * k) * sizeof(float)
                          : as_dnnl_pack_bytes(e->dnnl, n, k, e->bf16_native);
    p->packed = p->bytes ? pack_memory(from, p->bytes) : NULL;
    if (p->packed && copied) {
        const size_t plain = (size_t)(n * k) * (e->bf16_native ? sizeof(uint16_t) : sizeof(float));
        p->plain = pack_memory(from, plain);
        p->bytes += plain;
    }
    if (!p->packed || (copied && !p->plain)) {
        const size_t want = p->bytes;
        as_pack_free(p);
        return as_fail_nomem(err, "a packed weight", want);
    }
    *out = p;
    return AS_OK;
}
void as_pack_free(as_pack *p) {
    if (!p) return;
    if (!p->lent) as_free_aligned(p->packed), as_free_aligned(p->plain);
    as_free(p);
}
size_t as_pack_bytes(const as_pack *p) { return p->bytes; }

/* n floats in the products' bf16: 16 bits each with native products, else rounded floats. */
static void convert(const as_engine *e, void *out, const float *x, int64_t n) {
    if (e->bf16_native)
        e->k->to_bf16(out, x, n);
    else
        e->k->round_bf16(out, x, n);
}
/* n floats as the products want them: as they are, rounded to bf16, or converted to it. NULL when out of memory. */
static const void *operand(as_engine *e, int s, const float *x, int64_t n) {
    if (e->compute == AS_COMPUTE_F32) return x;
    if (!grow(&e->slots[s].bf, &e->slots[s].bf_n, (size_t)n)) return NULL;
    convert(e, e->slots[s].bf, x, n);
    return e->slots[s].bf;
}

as_status as_pack_fill(as_engine *e, as_pack *p, const float *w, int s, as_err *err) {
    p->w = w;
    const void *src = w;
    if (e->compute == AS_COMPUTE_BF16 && p->plain) {
        convert(e, p->plain, w, p->n * p->k);
        src = p->plain;
    } else {
        src = operand(e, s, w, p->n * p->k);
    }
    if (!src) return as_fail_nomem(err, "a packed weight", p->bytes);
    if (p->use & AS_PACK_FEW_ROWS)
        memcpy(p->packed, w, (size_t)(p->n * p->k) * sizeof *w);
    else if (e->own)
        e->k->pack_nt(p->packed, src, 0, p->n, p->k, p->k);
    else if (!as_dnnl_pack(e->dnnl, e->slots[s].dnnl, p->packed, src, p->n, p->k, e->bf16_native))
        return as_fail(err, AS_NOMEM, "oneDNN could not pack a weight of %" PRId64 " x %" PRId64, p->n, p->k);
    return AS_OK;
}

/* --- products --- */
/* The next cut of `left` rows: oneDNN's row counts are multiples of AS_ROW_STEP, or just that one when the probe says so. */
static int64_t cut(const as_engine *e, int64_t left) {
    if (e->rows_fixed) return AS_ROW_STEP;
    return left < AS_ROW_MAX ? as_rows_padded(left) : AS_ROW_MAX;
}

static bool forward_cut(as_engine *e, const as_linear_args *g, float *y, const float *x, float *pre, int64_t rows, int s) {
    const int64_t n = g->pack->n, k = g->pack->k;
    const void *a = operand(e, s, x, rows * k);
    if (!a) return false;
    if (e->own) {
        e->k->gemm(&(as_gemm_args){.a = a, .a_row = k, .a_depth = 1, .b = g->pack->packed, .c = y, .ldc = n, .m = rows, .n = n, .depth = k,
                                   .bias = g->bias, .pre = pre, .act = g->act}, NULL);
        return true;
    }
    float *c = pre ? pre : y;
    const as_matmul mm = {.m = rows, .n = n, .k = k, .lda = k, .ldc = n, .packed = true, .bias = g->bias != NULL, .bf16 = e->bf16_native};
    if (!as_dnnl_matmul(e->dnnl, e->slots[s].dnnl, &mm, a, g->pack->packed, g->bias, c)) return false;
    if (g->act != AS_ACT_NONE || c != y) e->k->act(y, c, rows * n, g->act);
    return true;
}

/* Each weight row is read once for all rows of x. */
static void forward_few(const as_engine *e, const as_linear_args *g) {
    const int64_t n = g->pack->n, k = g->pack->k;
    const float *w = g->pack->packed;
    float *c = g->pre ? g->pre : g->y;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < g->m; i++) c[i * n + j] = e->k->dot(g->x + i * k, w + j * k, k) + (g->bias ? g->bias[j] : 0.0f);
    if (g->act != AS_ACT_NONE || c != g->y) e->k->act(g->y, c, g->m * n, g->act);
}

bool as_linear_forward(as_engine *e, const as_linear_args *g, int s) {
    const int64_t n = g->pack->n, k = g->pack->k;
    if (g->pack->use & AS_PACK_FEW_ROWS) {
        forward_few(e, g);
        return true;
    }
    for (int64_t i = 0, rows; i < g->m; i += rows) {
        rows = e->own ? g->m - i : cut(e, g->m - i);
        if (e->own && rows > AS_ROW_MAX) rows = AS_ROW_MAX;
        if (!forward_cut(e, g, g->y + i * n, g->x + i * k, g->pre ? g->pre + i * n : NULL, rows, s)) return false;
    }
    return true;
}

bool as_linear_dx(as_engine *e, float *dx, const float *dy, const as_pack *p, int64_t m, bool accumulate, int s) {
    const void *w = e->compute == AS_COMPUTE_BF16 ? p->plain : (const void *)p->w;
    float *scratch = e->own ? as_engine_scratch(e, s, as_gemm_scratch(p->n)) : NULL;
    if (e->own && !scratch) return false;
    for (int64_t i = 0, rows; i < m; i += rows) {
        rows = e->own ? (m - i < AS_ROW_MAX ? m - i : AS_ROW_MAX) : cut(e, m - i);
        const void *a = operand(e, s, dy + i * p->n, rows * p->n);
        if (!a) return false;
        if (e->own) {
            e->k->gemm(&(as_gemm_args){.a = a, .a_row = p->n, .a_depth = 1, .b = w, .ldb = p->k, .b_plain = true, .c = dx + i * p->k, .ldc = p->k,
                                       .m = rows, .n = p->k, .depth = p->n, .accumulate = accumulate}, scratch);
            continue;
        }
        const as_matmul mm = {.m = rows, .n = p->k, .k = p->n, .lda = p->n, .ldb = p->k, .ldc = p->k, .sum = accumulate, .bf16 = e->bf16_native};
        if (!as_dnnl_matmul(e->dnnl, e->slots[s].dnnl, &mm, a, w, NULL, dx + i * p->k)) return false;
    }
    return true;
}

/* Panels of at most 512 rows of dW, equal but for the last; a multiple of AS_ROW_STEP. */
enum { DW_PANEL = 512 };
static int64_t dw_step(int64_t n) {
    const int64_t count = (n + DW_PANEL - 1) / DW_PANEL;
    return as_rows_padded((n + count - 1) / count);
}
int64_t as_linear_dw_panels(int64_t n) { return n > 0 ? (n + dw_step(n) - 1) / dw_step(n) : 0; }

/* A block of tokens as dW wants its operands: as they are, or both rounded to bf16 (dy first), converted once for all panels. */
typedef struct dw_block { const float *dy, *x; int64_t depth; } dw_block;
static bool dw_operands(as_engine *e, dw_block *b, int64_t n, int64_t k, int s) {
    if (e->compute == AS_COMPUTE_F32) return true;
    const int64_t na = b->depth * n, nb = b->depth * k;
    if (!grow(&e->slots[s].bf, &e->slots[s].bf_n, (size_t)(na + nb))) return false;
    float *bf = e->slots[s].bf;
    convert(e, bf, b->dy, na), convert(e, bf + na, b->x, nb);
    b->dy = bf, b->x = bf + na;
    return true;
}

static bool dw_panel(as_engine *e, float *dw, const dw_block *b, int64_t n, int64_t k, int64_t panel, bool accumulate, int s) {
    const int64_t n0 = panel * dw_step(n), rows = n - n0 < dw_step(n) ? n - n0 : dw_step(n);
    const void *a = e->bf16_native ? (const void *)((const uint16_t *)b->dy + n0) : b->dy + n0;
    if (e->own) {
        float *scratch = as_engine_scratch(e, s, as_gemm_scratch(b->depth));
        if (!scratch) return false;
        e->k->gemm(&(as_gemm_args){.a = a, .a_row = 1, .a_depth = n, .b = b->x, .ldb = k, .b_plain = true, .c = dw + n0 * k, .ldc = k,
                                   .m = rows, .n = k, .depth = b->depth, .accumulate = accumulate}, scratch);
        return true;
    }
    const as_matmul mm = {.m = rows, .n = k, .k = b->depth, .a_transposed = true, .lda = n, .ldb = k, .ldc = k, .sum = accumulate, .bf16 = e->bf16_native};
    return as_dnnl_matmul(e->dnnl, e->slots[s].dnnl, &mm, a, b->x, NULL, dw + n0 * k);
}

bool as_linear_dw(as_engine *e, float *dw, const float *dy, const float *x, int64_t m, int64_t n, int64_t k, int64_t p0, int64_t p1, bool accumulate,
                  int s) {
    for (int64_t t = 0; t < m; t += AS_ROW_MAX) {
        const int64_t left = m - t < AS_ROW_MAX ? m - t : AS_ROW_MAX;
        dw_block b = {.dy = dy + t * n, .x = x + t * k, .depth = e->own ? left : as_rows_padded(left)};
        if (!dw_operands(e, &b, n, k, s)) return false;
        for (int64_t p = p0; p < p1; p++)
            if (!dw_panel(e, dw, &b, n, k, p, accumulate || t > 0, s)) return false;
    }
    return true;
}

/* y = x w^T with w as it lies: its panels are packed here, one after the other. */
bool as_product_nt(as_engine *e, float *y, int64_t ldy, const float *x, const float *w, int64_t m, int64_t n, int64_t k, int s) {
    const int64_t step = e->k->panel;
    float *panel = as_engine_scratch(e, s, (size_t)(step * k));
    if (!panel) return false;
    for (int64_t n0 = 0; n0 < n; n0 += step) {
        const int64_t cols = n - n0 < step ? n - n0 : step;
        e->k->pack_nt(panel, w + n0 * k, 0, cols, k, k);
        e->k->gemm(&(as_gemm_args){.a = x, .a_row = k, .a_depth = 1, .b = panel, .c = y + n0, .ldc = ldy, .m = m, .n = cols, .depth = k}, NULL);
    }
    return true;
}
bool as_product_nn(as_engine *e, float *c, const float *a, int64_t lda, const float *w, int64_t m, int64_t n, int64_t k, int s) {
    float *scratch = as_engine_scratch(e, s, as_gemm_scratch(n));
    if (scratch)
        e->k->gemm(&(as_gemm_args){.a = a, .a_row = lda, .a_depth = 1, .b = w, .ldb = k, .b_plain = true, .c = c, .ldc = k, .m = m, .n = k,
                                   .depth = n, .accumulate = true}, scratch);
    return scratch != NULL;
}
bool as_product_tn(as_engine *e, float *c, const float *a, int64_t lda, const float *b, int64_t m, int64_t n, int64_t k, int s) {
    float *scratch = as_engine_scratch(e, s, as_gemm_scratch(m));
    if (scratch)
        e->k->gemm(&(as_gemm_args){.a = a, .a_row = 1, .a_depth = lda, .b = b, .ldb = k, .b_plain = true, .c = c, .ldc = k, .m = n, .n = k,
                                   .depth = m, .accumulate = true}, scratch);
    return scratch != NULL;
}

/* --- a language-model head --- */
bool as_slice_open(as_engine *e, as_slice *out, const float *w, int64_t n, int64_t k, int s) {
    slot *t = &e->slots[s];
    *out = (as_slice){w, w, n, k};
    if (e->compute == AS_COMPUTE_F32) return true;
    if (!grow(&t->slice, &t->slice_n, (size_t)(n * k))) return false;
    convert(e, t->slice, w, n * k);
    out->operand = t->slice;
    return true;
}
bool as_slice_logits(as_engine *e, float *y, const float *x, const as_slice *w, int64_t m, int s) {
    for (int64_t i = 0, rows; i < m; i += rows) {
        rows = e->own ? (m - i < AS_ROW_MAX ? m - i : AS_ROW_MAX) : cut(e, m - i);
        const void *a = operand(e, s, x + i * w->k, rows * w->k);
        const as_matmul mm = {.m = rows, .n = w->n, .k = w->k, .b_transposed = true, .lda = w->k, .ldb = w->k, .ldc = w->n, .bf16 = e->bf16_native};
        if (!a || !(e->own ? as_product_nt(e, y + i * w->n, w->n, a, w->operand, rows, w->n, w->k, s)
                           : as_dnnl_matmul(e->dnnl, e->slots[s].dnnl, &mm, a, w->operand, NULL, y + i * w->n)))
            return false;
    }
    return true;
}
bool as_slice_dx(as_engine *e, float *dx, const float *dy, const as_slice *w, int64_t m, int s) {
    for (int64_t i = 0, rows; i < m; i += rows) {
        rows = e->own ? (m - i < AS_ROW_MAX ? m - i : AS_ROW_MAX) : cut(e, m - i);
        const void *a = operand(e, s, dy + i * w->n, rows * w->n);
        const as_matmul mm = {.m = rows, .n = w->k, .k = w->n, .lda = w->n, .ldb = w->k, .ldc = w->k, .sum = true, .bf16 = e->bf16_native};
        if (!a || !(e->own ? as_product_nn(e, dx + i * w->k, a, w->n, w->operand, rows, w->n, w->k, s)
                           : as_dnnl_matmul(e->dnnl, e->slots[s].dnnl, &mm, a, w->operand, NULL, dx + i * w->k)))
            return false;
    }
    return true;
}
/* As a linear layer's panel: blocks of AS_ROW_MAX rows. */
bool as_slice_dw(as_engine *e, float *dw, const float *dy, const float *x, const as_slice *w, int64_t m, int s) {
    return as_linear_dw(e, dw, dy, x, m, w->n, w->k, 0, as_linear_dw_panels(w->n), true, s);
}

/* One panel of one block of the depth: the widest panel of any ISA level. */
size_t as_gemm_scratch(int64_t depth) { return (size_t)(depth < 384 ? depth : 384) * 32; }
