/* model_load.c: parameters from files, or at random. In inference, what the files hold as aligned fp32 is used where it is
 * mapped, and linear weights exist only in their packed form; in training everything is a private master. */
#include "base/mem.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "model/model_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

const as_weight_view *as_model_find(const as_model *m, const char *name) {
    if (!name || !m->files) return NULL;
    const as_weight_view *v = as_weights_find(m->files, name);
    const size_t prefix = strlen(m->arch->prefix);
    if (!v && strncmp(name, m->arch->prefix, prefix) == 0) v = as_weights_find(m->files, name + prefix);
    return v;
}
static const as_weight_view *find_slot(const as_model *m, const as_slot *s) {
    if (m->opts.new_head && s->row->piece == PIECE_CLASSIFIER) return NULL;
    const as_weight_view *v = as_model_find(m, s->name);
    return v ? v : as_model_find(m, s->alias);
}

void as_transpose(float *out, const float *in, int64_t rows, int64_t cols) {
    enum { TILE = 16 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < cols; c0 += TILE)
            for (int64_t r = r0; r < rows && r < r0 + TILE; r++)
                for (int64_t c = c0; c < cols && c < c0 + TILE; c++) out[c * rows + r] = in[r * cols + c];
}

static as_status check_shape(const as_model *m, const as_slot *s, const as_weight_view *v, as_err *err) {
    const bool turned = s->row->flags & ROW_TRANSPOSED;
    const int64_t rows = turned ? s->cols : s->rows, cols = turned ? s->rows : s->cols;
    const bool vector = rows == 1 && v->rank == 1 && v->shape[0] == cols;
    if (vector || (v->rank == 2 && v->shape[0] == rows && v->shape[1] == cols)) return AS_OK;
    char got[128] = "";
    for (int i = 0; i < v->rank; i++) {
        const size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%" PRId64, i ? ", " : "", v->shape[i]);
    }
    if (rows == 1)
        (void)as_fail(err, AS_SHAPE, "%s/%s: tensor \"%s\" has shape [%s], the config asks for [%" PRId64 "]", m->dir, v->file, v->name, got, cols);
    else
        (void)as_fail(err, AS_SHAPE, "%s/%s: tensor \"%s\" has shape [%s], the config asks for [%" PRId64 ", %" PRId64 "]", m->dir, v->file, v->name,
                      got, rows, cols);
    as_hint(err, "config.json and the weights are of different models; fetch both again, or correct the config.");
    return AS_SHAPE;
}

/* Normal weights from the counter-based stream; norms 1, biases 0; a table's padding row 0. HF: _init_weights. */
static void randomise(const as_model *m, const as_slot *s, float *w) {
    const int64_t n = s->rows * s->cols;
    const bool norm = s->row->kind == WEIGHT_NORM, random = s->row->kind == WEIGHT_LINEAR || s->row->kind == WEIGHT_TABLE;
    as_rng r = as_rng_at(m->opts.seed, AS_STREAM_INIT, (uint32_t)(s - m->slots));
    const double narrower = s->row->flags & ROW_RESIDUAL ? sqrt(2.0 * (double)m->config.layers) : 1.0;
    for (int64_t i = 0; i < n; i++) w[i] = random ? (float)((double)m->config.init_range / narrower * as_rng_normal(&r)) : norm ? 1.0f : 0.0f;
    if (s->row->kind == WEIGHT_TABLE && s->row->rows == DIM_VOCAB && m->config.pad_id >= 0 && m->config.pad_id < s->rows)
        memset(w + m->config.pad_id * s->cols, 0, (size_t)s->cols * sizeof *w);
}

/* The largest magnitude as bits: infinities and NaNs are those from 0x7F800000 on. Sixteen side by side, so that the
 * compiler makes it one vectorised pass over memory. */
static bool all_finite(const float *w, int64_t n) {
    enum { SIDE = 16 };
    uint32_t most[SIDE] = {0};
    int64_t i = 0;
    for (; i + SIDE <= n; i += SIDE) {
        uint32_t bits[SIDE];
        memcpy(bits, w + i, sizeof bits);
        for (int k = 0; k < SIDE; k++) {
            const uint32_t size = bits[k] & 0x7FFFFFFFu;
            most[k] = most[k] > size ? most[k] : size;
        }
    }
    bool ok = true;
    for (int k = 0; k < SIDE; k++) ok = ok && most[k] < 0x7F800000u;
    for (; i < n; i++) ok = ok && isfinite(w[i]);
    return ok;
}

static as_status check_finite(const as_model *m, const as_slot *s, const float *w, as_err *err) {
    const int64_t n = s->rows * s->cols;
    if (all_finite(w, n)) return AS_OK;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i])) {
            (void)as_fail(err, AS_NUMERIC, "%s: weight \"%s\" is not finite at row %" PRId64 ", column %" PRId64, m->dir, s->name, i / s->cols, i % s->cols);
            break;
        }
    as_hint(err, "The checkpoint is damaged or its training diverged; use another one.");
    return AS_NUMERIC;
}

static as_status fill(as_model *m, as_slot *s, float *w, as_err *err) {
    const as_weight_view *v = find_slot(m, s);
    if (!v) {
        randomise(m, s, w);
        return AS_OK;
    }
    s->found = true;
    AS_TRY(check_shape(m, s, v, err));
    if (!(s->row->flags & ROW_TRANSPOSED)) {
        AS_TRY(as_weight_to_f32(w, v, err));
        return check_finite(m, s, w, err);
    }
    float *turned = as_alloc((size_t)(s->rows * s->cols), sizeof *turned);
    as_status st = turned ? as_weight_to_f32(turned, v, err) : as_fail_nomem(err, s->name, (size_t)(s->rows * s->cols) * sizeof *turned);
    if (st == AS_OK) as_transpose(w, turned, s->cols, s->rows);
    as_free(turned);
    return st == AS_OK ? check_finite(m, s, w, err) : st;
}

/* A table that can be read where it is mapped: fp32, whole, aligned, not transposed. */
static const float *mapped(const as_model *m, const as_slot *s) {
    const as_weight_view *v = m->opts.train || (s->row->flags & ROW_TRANSPOSED) ? NULL : find_slot(m, s);
    return v && v->dtype == AS_F32 && s->param->rows == s->rows && (uintptr_t)v->data % sizeof(float) == 0 ? v->data : NULL;
}

/* --- one job per parameter, on all threads --- */
typedef struct loading {
    as_model *m;
    as_err *errs;       /* [params] */
    _Atomic int64_t failed; /* the first parameter that failed: the message does not depend on threads */
} loading;

static float *only_mapped(const as_model *m, const as_param *p) {
    for (size_t i = 0; i < m->slot_count; i++)
        if (m->slots[i].param == p && m->slots[i].row->parts == 0) return (float *)(uintptr_t)mapped(m, &m->slots[i]); /* never written */
    return NULL;
}

static as_status load_param(as_model *m, as_param *p, int slot, as_err *err) {
    const bool linear = !p->w && p->pack;
    float *w = linear ? only_mapped(m, p) : p->w; /* packed from the map where one tensor is the whole parameter */
    const bool copy = linear && !w;
    if (copy) w = as_alloc_aligned((size_t)(p->rows * p->cols), sizeof *w);
    as_status s = w ? AS_OK : as_fail_nomem(err, p->name, (size_t)(p->rows * p->cols) * sizeof *w);
    for (size_t i = 0; s == AS_OK && i < m->slot_count; i++) {
        as_slot *t = &m->slots[i];
        if (t->param != p) continue;
        const float *map = mapped(m, t);
        if (map && w == map) {
            t->found = true;
            s = check_shape(m, t, find_slot(m, t), err);
            if (s == AS_OK && (linear || p->rows * p->cols < 1 << 20)) s = check_finite(m, t, map, err);
            continue;
        }
        s = fill(m, t, w + (p->rows == 1 ? t->at : t->at * p->cols), err);
    }
    if (s == AS_OK && p->pack) s = as_pack_fill(m->e, p->pack, w, slot, err);
    if (copy) as_free_aligned(w);
    return s;
}
static void load_job(void *ctx, int64_t i, int thread) {
    loading *l = ctx;
    if (i-- == 0) {
        if (l->m->opts.beside) l->m->opts.beside(l->m->opts.beside_ctx);
        return;
    }
    int64_t first = l->failed;
    if (i > first || load_param(l->m, l->m->params[i], thread, &l->errs[i]) == AS_OK) return;
    while (i < first && !atomic_compare_exchange_weak(&l->failed, &first, i)) {}
}

enum { PACK_BLOCK = 8 << 20 }; /* large enough for huge pages: faulting small ones in takes longer than packing */

/* Where each parameter lives: mapped, in the private block, or (linear, inference) in its pack alone. */
static as_status place(as_model *m, as_err *err) {
    size_t floats = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            m->block_floats = floats;
            m->block = as_alloc_aligned(floats + 16, sizeof *m->block);
            if (!m->block) return as_fail_nomem(err, "the weights", floats * sizeof *m->block);
            floats = 0;
        }
        for (size_t i = 0; i < m->slot_count; i++) {
            const as_slot *s = &m->slots[i];
            as_param *p = s->param;
            if (s->row->part != 0) continue;
            const float *map = mapped(m, s);
            if (map && p->rows * p->cols * 4 > 1 << 16 && s->row->kind == WEIGHT_TABLE) {
                p->w = (float *)(uintptr_t)map; /* read only: inference never writes masters */
                continue;
            }
            if (s->row->kind == WEIGHT_LINEAR && !m->opts.train) continue;
            if (pass == 1) p->w = m->block + floats;
            floats += ((size_t)(p->rows * p->cols) + 15) / 16 * 16; /* each starts on a cache line */
        }
    }
    as_arena_init(&m->packs, PACK_BLOCK);
    for (size_t i = 0; i < m->slot_count; i++) {
        const as_slot *s = &m->slots[i];
        if (s->row->kind != WEIGHT_LINEAR || s->row->part != 0) continue;
        const bool head = (s->row->piece & (PIECE_POOLER | PIECE_CLASSIFIER | PIECE_NSP)) || s->row->rows == DIM_1;
        const unsigned use = (m->opts.train ? AS_PACK_BACKWARD : 0u) | (head ? AS_PACK_FEW_ROWS : 0u);
        AS_TRY(as_pack_new_in(&s->param->pack, m->e, &m->packs, s->param->rows, s->param->cols, use, err));
        m->pack_bytes += as_pack_bytes(s->param->pack);
    }
    return AS_OK;
}

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}
/* Is the file's tensor `name` one of ours (or a tied copy, or a buffer)? */
static bool known(const as_model *m, const char *name) {
    const size_t prefix = strlen(m->arch->prefix);
    for (size_t i = 0; i < AS_COUNT(m->arch->ignore) && m->arch->ignore[i]; i++)
        if (ends_with(name, m->arch->ignore[i])) return true;
    for (size_t i = 0; i < m->slot_count; i++) {
        const as_slot *s = &m->slots[i];
        const char *const names[] = {s->name, s->alias};
        for (int k = 0; k < 2; k++)
            if (names[k] && (strcmp(names[k], name) == 0 || (strncmp(names[k], m->arch->prefix, prefix) == 0 && strcmp(names[k] + prefix, name) == 0)))
                return true;
    }
    for (size_t i = 0; as_model_is_lm(m) && i < AS_COUNT(m->arch->ties) && m->arch->ties[i].copy; i++)
        if (strcmp(name, m->arch->ties[i].copy) == 0) return true;
    return false;
}

/* Tell once what the file lacks and what nobody asked for. */
static void tell(as_model *m) {
    as_buf lacks = {0}, unused = {0};
    int64_t extra = 0;
    for (size_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].found) continue;
        m->missing++;
        if (!(m->slots[i].row->piece & (PIECE_BASE | PIECE_PROJECT))) m->head_fresh = true;
        if (m->missing <= 6) as_buf_fmt(&lacks, "%s%s", m->missing > 1 ? ", " : "", m->slots[i].name);
    }
    for (size_t i = 0; !m->opts.fresh && i < as_weights_count(m->files); i++)
        if (!known(m, as_weights_at(m->files, i)->name) && ++extra <= 6)
            as_buf_fmt(&unused, "%s%s", extra > 1 ? ", " : "", as_weights_at(m->files, i)->name);
    if (m->missing && !m->opts.fresh)
        as_log_line(m->opts.log, AS_WARN, "%s: %" PRId64 " weights are not in the file and start at random: %s%s", m->dir, m->missing,
                    lacks.p ? lacks.p : "", m->missing > 6 ? ", ..." : "");
    if (extra)
        as_log_line(m->opts.log, AS_INFO, "%s: %" PRId64 " weights of the file are not used: %s%s", m->dir, extra, unused.p ? unused.p : "",
                    extra > 6 ? ", ..." : "");
    as_buf_free(&lacks), as_buf_free(&unused);
}

/* A checkpoint none of whose base weights is there is of something else. */
static as_status check_any(const as_model *m, as_err *err) {
    if (m->opts.fresh) return AS_OK;
    for (size_t i = 0; i < m->slot_count; i++)
        if (m->slots[i].row->piece == PIECE_BASE && find_slot(m, &m->slots[i])) return AS_OK;
    (void)as_fail(err, AS_FORMAT, "%s: none of its tensors is a weight of a %s model", m->dir, m->arch->model_type);
    as_hint(err, "The weights do not belong to this config.json.");
    return AS_FORMAT;
}

as_status as_model_load(as_model *m, as_err *err) {
    AS_TRY(check_any(m, err));
    AS_TRY(place(m, err));
    const int threads = as_engine_threads(m->e);
    loading l = {.m = m, .errs = as_calloc(m->param_count, sizeof *l.errs), .failed = INT64_MAX};
    if (!l.errs) return as_fail_nomem(err, "loading", 0);
    as_parallel_dynamic(threads, (int64_t)m->param_count + 1, load_job, &l);
    as_status s = AS_OK;
    if (l.failed != INT64_MAX) {
        s = l.errs[l.failed].status;
        if (err) *err = l.errs[l.failed];
    }
    as_free(l.errs);
    if (s == AS_OK) tell(m);
    return s;
}

typedef struct repacking { as_model *m; atomic_bool failed; } repacking;
static void repack_job(void *ctx, int64_t i, int thread) {
    repacking *r = ctx;
    as_param *p = r->m->params[i];
    if (p->pack && p->trainable && as_pack_fill(r->m->e, p->pack, p->w, thread, NULL) != AS_OK) r->failed = true;
}
as_status as_model_repack(as_model *m, as_err *err) {
    repacking r = {.m = m};
    as_parallel_dynamic(as_engine_threads(m->e), (int64_t)m->param_count, repack_job, &r);
    return r.failed ? as_fail_nomem(err, "packed weights", m->pack_bytes) : AS_OK;
}
