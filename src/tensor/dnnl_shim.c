#include "tensor/dnnl_shim.h"

#if AS_DNNL
#include "base/mem.h"
#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#define ROW_TYPICAL 256 /* the row count for which a packed layout is chosen */

struct as_dnnl { dnnl_engine_t engine; };

typedef struct product {
    as_matmul key;
    dnnl_primitive_t run;
    dnnl_memory_t a, b, c, bias, pad;
} product;

struct as_dnnl_slot {
    product *v;       /* open addressing, capacity a power of two */
    size_t n, cap;
    void *pad;        /* scratchpad, shared by all products of the slot */
    size_t pad_bytes;
    dnnl_stream_t stream;
};

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t desc;
static bool desc_make(desc *d, int64_t rows, int64_t cols, int64_t sr, int64_t sc, bool bf16) {
    const dnnl_dims_t dims = {rows, cols}, strides = {sr, sc};
    return dnnl_memory_desc_create_with_strides(d, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, strides) == dnnl_success;
}
static bool desc_any(desc *d, int64_t rows, int64_t cols, bool bf16) {
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_create_with_tag(d, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}
static void desc_free(desc *d) { if (*d) dnnl_memory_desc_destroy(*d), *d = NULL; }
#define DESC_ARG(d) (d)
typedef const_dnnl_memory_desc_t desc_view;
#else
typedef dnnl_memory_desc_t desc;
static bool desc_make(desc *d, int64_t rows, int64_t cols, int64_t sr, int64_t sc, bool bf16) {
    const dnnl_dims_t dims = {rows, cols}, strides = {sr, sc};
    return dnnl_memory_desc_init_by_strides(d, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, strides) == dnnl_success;
}
static bool desc_any(desc *d, int64_t rows, int64_t cols, bool bf16) {
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_init_by_tag(d, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}
static void desc_free(desc *d) { (void)d; }
#define DESC_ARG(d) (&(d))
typedef const dnnl_memory_desc_t *desc_view;
#endif

/* oneDNN sizes its blocking by the number of threads at creation, and would split K at run time: one thread always. */
static int threads_one(void) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

const char *as_dnnl_version_text(void) {
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
    return "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}

int as_dnnl_isa(void) { return (int)dnnl_get_effective_cpu_isa(); }

as_status as_dnnl_open(as_dnnl **out, int max_isa_avx2, as_err *err) {
    *out = NULL;
    /* May be refused when another engine of the process set it before: then the level stays what it was. */
    if (max_isa_avx2) (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    as_dnnl *d = as_calloc(1, sizeof *d);
    if (!d) return as_fail_nomem(err, "oneDNN", sizeof *d);
    if (dnnl_engine_create(&d->engine, dnnl_cpu, 0) != dnnl_success) {
        as_free(d);
        return as_fail(err, AS_NOMEM, "oneDNN could not create its CPU engine");
    }
    *out = d;
    return AS_OK;
}
void as_dnnl_free(as_dnnl *d) {
    if (!d) return;
    dnnl_engine_destroy(d->engine);
    as_free(d);
}

as_dnnl_slot *as_dnnl_slot_new(void) { return as_calloc(1, sizeof(as_dnnl_slot)); }

static void product_free(product *p) {
    if (p->run) dnnl_primitive_destroy(p->run);
    dnnl_memory_t *const m[] = {&p->a, &p->b, &p->c, &p->bias, &p->pad};
    for (size_t i = 0; i < AS_COUNT(m); i++)
        if (*m[i]) dnnl_memory_destroy(*m[i]);
    memset(p, 0, sizeof *p);
}
void as_dnnl_slot_free(as_dnnl_slot *s) {
    if (!s) return;
    for (size_t i = 0; i < s->cap; i++) product_free(&s->v[i]);
    if (s->stream) dnnl_stream_destroy(s->stream);
    as_free_aligned(s->pad);
    as_free(s->v);
    as_free(s);
}

/* The primitive's descriptor for g; b in the packed layout of (n, k) when g->packed and `packed` is given, any layout when
 * it is NULL. */
static dnnl_primitive_desc_t describe(const as_dnnl *d, const as_matmul *g, desc_view packed) {
    desc a, b, c, bias;
    memset(&a, 0, sizeof a), memset(&b, 0, sizeof b), memset(&c, 0, sizeof c), memset(&bias, 0, sizeof bias);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_primitive_desc_t pd = NULL;
    bool ok = desc_make(&a, g->m, g->k, g->a_transposed ? 1 : g->lda, g->a_transposed ? g->lda : 1, g->bf16) &&
              desc_make(&c, g->m, g->n, g->ldc, 1, false) && dnnl_primitive_attr_create(&attr) == dnnl_success &&
              dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success;
    if (ok && !g->packed)
        ok = desc_make(&b, g->k, g->n, g->b_transposed ? 1 : g->ldb, g->b_transposed ? g->ldb : 1, g->bf16);
    if (ok && g->packed && !packed) ok = desc_any(&b, g->k, g->n, g->bf16);
    if (ok && g->bias) ok = desc_make(&bias, 1, g->n, g->n, 1, false);
#if DNNL_VERSION_MAJOR >= 3
    if (ok && g->sum)
        ok = dnnl_post_ops_create(&post) == dnnl_success && dnnl_post_ops_append_sum(post, 1.0f, 0, dnnl_data_type_undef) == dnnl_success &&
             dnnl_primitive_attr_set_post_ops(attr, post) == dnnl_success;
    if (ok) {
        const desc_view bv = g->packed && packed ? packed : b;
        if (dnnl_matmul_primitive_desc_create(&pd, d->engine, a, bv, g->bias ? bias : NULL, c, attr) != dnnl_success) pd = NULL;
    }
#else
    if (ok && g->sum)
        ok = dnnl_post_ops_create(&post) == dnnl_success && dnnl_post_ops_append_sum(post, 1.0f) == dnnl_success &&
             dnnl_primitive_attr_set_post_ops(attr, post) == dnnl_success;
    dnnl_matmul_desc_t op;
    if (ok && dnnl_matmul_desc_init(&op, &a, g->packed && packed ? packed : &b, g->bias ? &bias : NULL, &c) == dnnl_success &&
        dnnl_primitive_desc_create(&pd, &op, attr, d->engine, NULL) != dnnl_success)
        pd = NULL;
#endif
    if (post) dnnl_post_ops_destroy(post);
    if (attr) dnnl_primitive_attr_destroy(attr);
    desc_free(&a), desc_free(&b), desc_free(&c), desc_free(&bias);
    return pd;
}

/* The layout of packed weights is that which oneDNN picks for a typical number of rows. */
static dnnl_primitive_desc_t describe_pack(const as_dnnl *d, int64_t n, int64_t k, bool bf16) {
    return describe(d, &(as_matmul){.m = ROW_TYPICAL, .n = n, .k = k, .lda = k, .ldc = n, .packed = true, .bias = true, .bf16 = bf16}, NULL);
}

size_t as_dnnl_pack_bytes(as_dnnl *d, int64_t n, int64_t k, bool bf16) {
    const int before = threads_one();
    dnnl_primitive_desc_t pd = describe_pack(d, n, k, bf16);
    const size_t bytes = pd ? dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)) : 0;
    if (pd) dnnl_primitive_desc_destroy(pd);
    omp_set_num_threads(before);
    return bytes;
}

static bool slot_stream(const as_dnnl *d, as_dnnl_slot *s) {
    return s->stream || dnnl_stream_create(&s->stream, d->engine, dnnl_stream_default_flags) == dnnl_success;
}

bool as_dnnl_pack(as_dnnl *d, as_dnnl_slot *s, void *packed, const void *w, int64_t n, int64_t k, bool bf16) {
    const int before = threads_one();
    dnnl_primitive_desc_t pd = describe_pack(d, n, k, bf16), rd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    desc plain;
    memset(&plain, 0, sizeof plain);
    bool ok = pd && slot_stream(d, s) && desc_make(&plain, k, n, 1, k, bf16);
    if (ok) {
        desc_view target = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
        ok = dnnl_memory_create(&from, DESC_ARG(plain), d->engine, (void *)(uintptr_t)w) == dnnl_success &&
             dnnl_memory_create(&to, target, d->engine, packed) == dnnl_success &&
             dnnl_reorder_primitive_desc_create(&rd, DESC_ARG(plain), d->engine, target, d->engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&reorder, rd) == dnnl_success;
    }
    if (ok) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        ok = dnnl_primitive_execute(reorder, s->stream, 2, args) == dnnl_success && dnnl_stream_wait(s->stream) == dnnl_success;
    }
    if (reorder) dnnl_primitive_destroy(reorder);
    if (rd) dnnl_primitive_desc_destroy(rd);
    if (from) dnnl_memory_destroy(from);
    if (to) dnnl_memory_destroy(to);
    if (pd) dnnl_primitive_desc_destroy(pd);
    desc_free(&plain);
    omp_set_num_threads(before);
    return ok;
}

static size_t key_hash(const as_matmul *g) {
    const uint64_t parts[] = {(uint64_t)g->m, (uint64_t)g->n, (uint64_t)g->k, (uint64_t)g->lda, (uint64_t)g->ldb, (uint64_t)g->ldc,
                              (uint64_t)(g->a_transposed | g->b_transposed << 1 | g->packed << 2 | g->bias << 3 | g->sum << 4 | g->bf16 << 5)};
    uint64_t h = 0;
    for (size_t i = 0; i < AS_COUNT(parts); i++) h = (h ^ parts[i]) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    return (size_t)h;
}
static bool key_equal(const as_matmul *a, const as_matmul *b) {
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb && a->ldc == b->ldc &&
           a->a_transposed == b->a_transposed && a->b_transposed == b->b_transposed && a->packed == b->packed && a->bias == b->bias &&
           a->sum == b->sum && a->bf16 == b->bf16;
}
static product *slot_find(const as_dnnl_slot *s, const as_matmul *g) {
    for (size_t i = key_hash(g) & (s->cap - 1);; i = (i + 1) & (s->cap - 1))
        if (!s->v[i].run || key_equal(&s->v[i].key, g)) return &s->v[i];
}
static bool slot_room(as_dnnl_slot *s) {
    if (s->cap && s->n * 2 < s->cap) return true;
    as_dnnl_slot wider = {.cap = s->cap ? s->cap * 2 : 64};
    wider.v = as_calloc(wider.cap, sizeof *wider.v);
    if (!wider.v) return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->v[i].run) *slot_find(&wider, &s->v[i].key) = s->v[i];
    as_free(s->v);
    s->v = wider.v, s->cap = wider.cap;
    return true;
}

static bool product_make(const as_dnnl *d, as_dnnl_slot *s, const as_matmul *g, product *p) {
    dnnl_primitive_desc_t typical = g->packed ? describe_pack(d, g->n, g->k, g->bf16) : NULL;
    dnnl_primitive_desc_t pd = describe(d, g, typical ? dnnl_primitive_desc_query_md(typical, dnnl_query_weights_md, 0) : NULL);
    product q = {.key = *g};
    bool ok = pd && slot_stream(d, s);
    if (ok) {
        desc_view pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        const size_t need = dnnl_memory_desc_get_size(pad);
        if (need > s->pad_bytes) {
            as_free_aligned(s->pad);
            s->pad = as_alloc_aligned(need, 1);
            s->pad_bytes = s->pad ? need : 0;
            ok = s->pad != NULL;
        }
        ok = ok && dnnl_primitive_create(&q.run, pd) == dnnl_success &&
             dnnl_memory_create(&q.a, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0), d->engine, NULL) == dnnl_success &&
             dnnl_memory_create(&q.b, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), d->engine, NULL) == dnnl_success &&
             dnnl_memory_create(&q.c, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0), d->engine, NULL) == dnnl_success &&
             dnnl_memory_create(&q.pad, pad, d->engine, NULL) == dnnl_success &&
             (!g->bias || dnnl_memory_create(&q.bias, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1), d->engine, NULL) == dnnl_success);
    }
    if (typical) dnnl_primitive_desc_destroy(typical);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (ok)
        *p = q, s->n++;
    else
        product_free(&q);
    return ok;
}

bool as_dnnl_matmul(as_dnnl *d, as_dnnl_slot *s, const as_matmul *g, const void *a, const void *b, const float *bias, float *c) {
    const int before = threads_one();
    bool ok = slot_room(s);
    product *p = ok ? slot_find(s, g) : NULL;
    if (ok && !p->run) ok = product_make(d, s, g, p);
    ok = ok && dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)a) == dnnl_success &&
         dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)b) == dnnl_success &&
         dnnl_memory_set_data_handle(p->c, c) == dnnl_success && dnnl_memory_set_data_handle(p->pad, s->pad) == dnnl_success &&
         (!g->bias || dnnl_memory_set_data_handle(p->bias, (void *)(uintptr_t)bias) == dnnl_success);
    if (ok) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c},
                                        {DNNL_ARG_SCRATCHPAD, p->pad}, {DNNL_ARG_BIAS, p->bias}};
        ok = dnnl_primitive_execute(p->run, s->stream, g->bias ? 5 : 4, args) == dnnl_success && dnnl_stream_wait(s->stream) == dnnl_success;
    }
    omp_set_num_threads(before);
    return ok;
}

#else /* built with DNNL=0: our own products serve everywhere */
as_status as_dnnl_open(as_dnnl **out, int max_isa_avx2, as_err *err) {
    (void)max_isa_avx2;
    *out = NULL;
    return as_fail(err, AS_USAGE, "this build has no oneDNN (DNNL=0)");
}
void as_dnnl_free(as_dnnl *d) { (void)d; }
const char *as_dnnl_version_text(void) { return "none"; }
int as_dnnl_isa(void) { return 0; }
as_dnnl_slot *as_dnnl_slot_new(void) { return NULL; }
void as_dnnl_slot_free(as_dnnl_slot *s) { (void)s; }
size_t as_dnnl_pack_bytes(as_dnnl *d, int64_t n, int64_t k, bool bf16) {
    (void)d, (void)n, (void)k, (void)bf16;
    return 0;
}
bool as_dnnl_pack(as_dnnl *d, as_dnnl_slot *s, void *packed, const void *w, int64_t n, int64_t k, bool bf16) {
    (void)d, (void)s, (void)packed, (void)w, (void)n, (void)k, (void)bf16;
    return false;
}
bool as_dnnl_matmul(as_dnnl *d, as_dnnl_slot *s, const as_matmul *g, const void *a, const void *b, const float *bias, float *c) {
    (void)d, (void)s, (void)g, (void)a, (void)b, (void)bias, (void)c;
    return false;
}
#endif
