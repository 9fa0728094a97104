#include "train/state.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>
#include <string.h>

enum { META = 8, REALS = 3, GUARD = 4 };
static const char meta_name[] = "meta", real_name[] = "meta_reals", guard_name[] = "meta_guard", identity_name[] = "meta_identity";

static as_status file_in(const as_trainer *t, const char *name, char **out, as_err *err) {
    *out = as_path_join(t->state_dir, name);
    return *out ? AS_OK : as_fail_nomem(err, "a path", 0);
}

/* --- which checkpoints there are --- */
enum { AT_MOST = 64 };
static const char numbered[] = "state-%012" PRId64 ".safetensors";
/* Steps of the numbered checkpoints, the newest first; at most AT_MOST of them. */
static int list_states(const as_trainer *t, int64_t *steps) {
    int n = 0;
    DIR *d = opendir(t->state_dir);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        int64_t step;
        char name[64];
        if (strncmp(e->d_name, "state-", 6) != 0 || sscanf(e->d_name + 6, "%" SCNd64, &step) != 1) continue;
        snprintf(name, sizeof name, numbered, step);
        if (strcmp(name, e->d_name) != 0) continue; /* a temporary file of a process that was killed */
        int at = n < AT_MOST ? n++ : n - 1;
        while (at > 0 && steps[at - 1] < step) steps[at] = steps[at - 1], at--;
        steps[at] = step;
    }
    if (d) closedir(d);
    return n;
}
static void remove_old(const as_trainer *t) {
    int64_t steps[AT_MOST];
    const int n = list_states(t, steps);
    for (int i = (int)t->keep; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, numbered, steps[i]);
        char *path = as_path_join(t->state_dir, name);
        if (path) (void)unlink(path); /* one that stays is removed next time */
        as_free(path);
    }
}

as_status as_state_write(as_train_state *s, const as_trainer *t, as_optimizer *o, as_err *err) {
    as_weight_view *v, *all;
    size_t n;
    char *path;
    AS_TRY(as_optimizer_gather(o, err));
    if (!as_comm_leads(t->comm)) return AS_OK;
    AS_TRY(as_dir_make(t->state_dir, err));
    AS_TRY(as_optimizer_views(o, &v, &n, err));
    all = as_realloc(v, n + 4, sizeof *all);
    if (!all) {
        as_free(v);
        return as_fail_nomem(err, "a checkpoint", 0);
    }
    const int64_t meta[META] = {1, s->step, s->total, s->best_step, s->stale, s->stopped, s->loss_n, 0};
    const double reals[REALS] = {s->best_score, s->loss_sum, s->loss_last};
    const double guard[GUARD] = {s->guard.mean, s->guard.var, (double)s->guard.n, (double)s->guard.bad};
    const int64_t id = (int64_t)strlen(t->identity);
    char name[64] = "state.safetensors";
    if (t->keep > 0) snprintf(name, sizeof name, numbered, s->step);
    all[n++] = (as_weight_view){.name = meta_name, .dtype = AS_I64, .rank = 1, .shape = {META}, .numel = META, .data = meta};
    all[n++] = (as_weight_view){.name = real_name, .dtype = AS_F64, .rank = 1, .shape = {REALS}, .numel = REALS, .data = reals};
    if (t->guard) all[n++] = (as_weight_view){.name = guard_name, .dtype = AS_F64, .rank = 1, .shape = {GUARD}, .numel = GUARD, .data = guard};
    all[n++] = (as_weight_view){.name = identity_name, .dtype = AS_U8, .rank = 1, .shape = {id}, .numel = id, .data = t->identity};
    as_status st = file_in(t, name, &path, err);
    if (st == AS_OK) st = as_safetensors_write(path, all, n, err);
    if (st == AS_OK && t->keep > 0) remove_old(t);
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
    const double *g = meta_of(w, guard_name, AS_F64, GUARD);
    double guard[GUARD] = {0};
    if (g) memcpy(guard, g, sizeof guard);
    s->guard = (as_guard){guard[0], guard[1], (int64_t)guard[2], (int64_t)guard[3]};
    s->best_score = reals[0], s->loss_sum = reals[1], s->loss_last = reals[2];
    *resumed = true;
    return AS_OK;
}

static as_status resume_from(as_train_state *s, const as_trainer *t, as_optimizer *o, const char *name, bool *resumed, as_err *err) {
    char *path;
    AS_TRY(file_in(t, name, &path, err));
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

as_status as_state_read(as_train_state *s, const as_trainer *t, as_optimizer *o, bool *resumed, as_err *err) {
    *resumed = false;
    if (!t->state_dir) return AS_OK;
    if (t->keep <= 0) return resume_from(s, t, o, "state.safetensors", resumed, err);
    int64_t steps[AT_MOST];
    const int n = list_states(t, steps);
    as_status st = AS_OK;
    for (int i = 0; i < n && !*resumed; i++) { /* a damaged one: the one before it serves */
        char name[64];
        snprintf(name, sizeof name, numbered, steps[i]);
        st = resume_from(s, t, o, name, resumed, err);
        if (st != AS_OK && st != AS_FORMAT) return st;
    }
    return st;
}

/* Rank 0 reads, and tells the others: they need not see the file. */
as_status as_state_resume(as_train_state *s, const as_trainer *t, as_optimizer *o, bool *resumed, as_err *err) {
    *resumed = false;
    if (!t->state_dir) return AS_OK;
    AS_TRY(as_comm_agree(t->comm, as_comm_leads(t->comm) ? as_state_read(s, t, o, resumed, err) : AS_OK, err));
    as_comm_broadcast(t->comm, resumed, sizeof *resumed);
    if (!*resumed || as_comm_size(t->comm) == 1) return AS_OK;
    as_comm_broadcast(t->comm, s, sizeof *s); /* its pointers are NULL yet */
    return as_optimizer_share(o, err);
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
    if (!as_comm_leads(t->comm)) return AS_OK;
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

static as_status take_best(as_train_state *s, const as_trainer *t, as_err *err) {
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
    return st;
}
as_status as_state_take_best(as_train_state *s, const as_trainer *t, as_err *err) {
    const bool reads = as_comm_leads(t->comm) || !t->state_dir;
    AS_TRY(as_comm_agree(t->comm, reads ? take_best(s, t, err) : AS_OK, err));
    for (size_t i = 0; i < as_model_param_count(t->model); i++) {
        const as_param *p = as_model_param(t->model, i);
        as_comm_broadcast(t->comm, p->w, (size_t)(p->rows * p->cols) * sizeof *p->w);
    }
    return as_comm_agree(t->comm, as_model_repack(t->model, err), err);
}

void as_state_free(as_train_state *s) {
    for (size_t i = 0; i < s->best_n; i++) as_free(s->best[i]);
    as_free(s->best);
    memset(s, 0, sizeof *s);
}
