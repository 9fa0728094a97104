#include "train/state.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { META = 8, REALS = 3 };
static const char meta_name[] = "meta", real_name[] = "meta_reals", identity_name[] = "meta_identity";

static as_status file_in(const as_trainer *t, const char *name, char **out, as_err *err) {
    *out = as_path_join(t->state_dir, name);
    return *out ? AS_OK : as_fail_nomem(err, "a path", 0);
}

as_status as_state_write(as_train_state *s, const as_trainer *t, as_optimizer *o, as_err *err) {
    as_weight_view *v, *all;
    size_t n;
    char *path;
    AS_TRY(as_dir_make(t->state_dir, err));
    AS_TRY(as_optimizer_views(o, &v, &n, err));
    all = as_realloc(v, n + 3, sizeof *all);
    if (!all) {
        as_free(v);
        return as_fail_nomem(err, "a checkpoint", 0);
    }
    const int64_t meta[META] = {1, s->step, s->total, s->best_step, s->stale, s->stopped, s->loss_n, 0};
    const double reals[REALS] = {s->best_score, s->loss_sum, s->loss_last};
    const int64_t id = (int64_t)strlen(t->identity);
    all[n++] = (as_weight_view){.name = meta_name, .dtype = AS_I64, .rank = 1, .shape = {META}, .numel = META, .data = meta};
    all[n++] = (as_weight_view){.name = real_name, .dtype = AS_F64, .rank = 1, .shape = {REALS}, .numel = REALS, .data = reals};
    all[n++] = (as_weight_view){.name = identity_name, .dtype = AS_U8, .rank = 1, .shape = {id}, .numel = id, .data = t->identity};
    as_status st = file_in(t, "state.safetensors", &path, err);
    if (st == AS_OK) st = as_safetensors_write(path, all, n, err);
    as_free(path), as_free(all);
    return st;
}

static const void *meta_of(const as_weight_files *w, const char *name, as_dtype type, int64_t n) {
    const as_weight_view *v = as_weights_find(w, name);
    return v && v->dtype == type && v->numel == n ? v->data : NULL;
}

static as_status read_state(as_train_state *s, const as_trainer *t, as_optimizer *o, const as_weight_files *w, const char *path, bool *resumed, as_err *err) {
    int64_t meta[META];
    double reals[REALS];
    const void *m = meta_of(w, meta_name, AS_I64, META), *r = meta_of(w, real_name, AS_F64, REALS);
    const as_weight_view *id = as_weights_find(w, identity_name);
    if (!m || !r || !id) return as_fail(err, AS_FORMAT, "%s: is not a training checkpoint", path);
    if (id->numel != (int64_t)strlen(t->identity) || memcmp(id->data, t->identity, (size_t)id->numel) != 0) {
        (void)as_fail(err, AS_USAGE, "%s: belongs to another run (other data, options or weights)", path);
        as_hint(err, "Choose another --out, or remove the folder to start afresh.");
        return AS_USAGE;
    }
    memcpy(meta, m, sizeof meta), memcpy(reals, r, sizeof reals);
    AS_TRY(as_optimizer_restore(o, w, meta[1], err));
    s->step = meta[1], s->best_step = meta[3], s->stale = meta[4], s->stopped = meta[5] != 0, s->loss_n = meta[6];
    s->best_score = reals[0], s->loss_sum = reals[1], s->loss_last = reals[2];
    *resumed = true;
    return AS_OK;
}

as_status as_state_resume(as_train_state *s, const as_trainer *t, as_optimizer *o, bool *resumed, as_err *err) {
    *resumed = false;
    if (!t->state_dir) return AS_OK;
    char *path;
    AS_TRY(file_in(t, "state.safetensors", &path, err));
    as_weight_files *w = NULL;
    as_status st = AS_OK;
    if (as_file_exists(path)) {
        st = as_weights_open(&w, path, err);
        if (st == AS_OK) st = read_state(s, t, o, w, path, resumed, err);
    }
    as_weights_close(w);
    as_free(path);
    return st;
}

/* The best weights go to a file named by their step, so that a checkpoint and the best that it speaks of always agree. */
static as_status best_path(const as_train_state *s, const as_trainer *t, char **out, as_err *err) {
    char name[64];
    snprintf(name, sizeof name, "best-%" PRId64 ".safetensors", s->best_step);
    return file_in(t, name, out, err);
}

as_status as_state_keep_best(as_train_state *s, const as_trainer *t, as_err *err) {
    const size_t n = as_model_param_count(t->model);
    if (!t->state_dir) {
        if (!s->best && !(s->best = as_calloc(n, sizeof *s->best))) return as_fail_nomem(err, "the best weights", 0);
        s->best_n = n;
        for (size_t i = 0; i < n; i++) {
            const as_param *p = as_model_param(t->model, i);
            const size_t bytes = (size_t)(p->rows * p->cols) * sizeof(float);
            if (!s->best[i] && !(s->best[i] = as_alloc(bytes, 1))) return as_fail_nomem(err, "the best weights", bytes);
            memcpy(s->best[i], p->w, bytes);
        }
        return AS_OK;
    }
    as_weight_view *v = as_calloc(n, sizeof *v);
    char *path = NULL;
    as_status st = v ? best_path(s, t, &path, err) : as_fail_nomem(err, "the best weights", 0);
    for (size_t i = 0; st == AS_OK && i < n; i++) {
        const as_param *p = as_model_param(t->model, i);
        v[i] = (as_weight_view){.name = p->name, .dtype = AS_F32, .rank = 2, .shape = {p->rows, p->cols}, .numel = p->rows * p->cols, .data = p->w};
    }
    if (st == AS_OK) st = as_dir_make(t->state_dir, err);
    if (st == AS_OK) st = as_safetensors_write(path, v, n, err);
    as_free(v), as_free(path);
    return st;
}

as_status as_state_take_best(as_train_state *s, const as_trainer *t, as_err *err) {
    const size_t n = as_model_param_count(t->model);
    as_weight_files *w = NULL;
    char *path = NULL;
    as_status st = AS_OK;
    if (t->state_dir) {
        st = best_path(s, t, &path, err);
        if (st == AS_OK) st = as_weights_open(&w, path, err);
    }
    for (size_t i = 0; st == AS_OK && i < n; i++) {
        const as_param *p = as_model_param(t->model, i);
        const as_weight_view *v = w ? as_weights_find(w, p->name) : NULL;
        if (w && (!v || v->numel != p->rows * p->cols || v->dtype != AS_F32))
            st = as_fail(err, AS_FORMAT, "%s: has no tensor \"%s\" of this shape", path, p->name);
        else
            memcpy(p->w, w ? v->data : (const void *)s->best[i], (size_t)(p->rows * p->cols) * sizeof(float));
    }
    as_weights_close(w);
    as_free(path);
    return st == AS_OK ? as_model_repack(t->model, err) : st;
}

void as_state_free(as_train_state *s) {
    for (size_t i = 0; i < s->best_n; i++) as_free(s->best[i]);
    as_free(s->best);
    memset(s, 0, sizeof *s);
}
