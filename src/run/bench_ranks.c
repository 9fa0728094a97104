/* bench_ranks.c: the grid of a bench shared out over processes. Whoever is free takes the next cell and does it alone, into the one
 * store; rank 0 then walks the grid as a single process does, and finds it done. */
#include "base/mem.h"
#include "run/bench_impl.h"
#include <string.h>

static bool trains(const as_bench *w, int model) { return w->cost[model].fit == AS_FIT_NONE; }

/* The others take no new work once something has failed. */
static void take_all(as_comm *comm, int64_t total) {
    while (as_comm_next(comm) < total) continue;
}

static as_status search_models(as_bench *w, double *lr, as_err *err) {
    as_comm *comm = w->b->job.comm;
    const int models = w->b->model_count;
    double *all = as_calloc((size_t)models * (size_t)as_comm_size(comm), sizeof *all);
    as_status s = all ? AS_OK : as_fail_nomem(err, "the search", 0);
    AS_TRY(as_comm_agree(comm, s, err));
    as_comm_count_from_zero(comm);
    for (int64_t i; s == AS_OK && (i = as_comm_next(comm)) < models;)
        if (trains(w, (int)i)) s = as_bench_search(w, (int)i, &w->cost[i].plan, &lr[i], err);
    if (s != AS_OK) take_all(comm, models);
    s = as_comm_agree(comm, s, err);
    if (s == AS_OK) as_comm_all(comm, all, lr, (size_t)models * sizeof *lr);
    for (int k = 0; s == AS_OK && k < as_comm_size(comm) * models; k++)
        if (all[k] > 0) lr[k % models] = all[k];
    as_free(all);
    w->out->try_count = 0; /* told again when rank 0 walks the grid */
    return s;
}

static as_status take_cells(as_bench *w, const double *lr, as_err *err) {
    as_comm *comm = w->b->job.comm;
    as_status s = AS_OK;
    as_comm_count_from_zero(comm);
    int64_t number = 0, mine = as_comm_next(comm);
    for (int i = 0; s == AS_OK && i < w->b->model_count; i++)
        for (int64_t k = 0; s == AS_OK && k < (trains(w, i) ? w->b->seeds : 1); k++, number++) {
            if (number != mine) continue;
            as_bench_cell cell = {.system = i, .seed = w->b->recipe.seed + (uint64_t)k};
            s = as_bench_run_cell(w, &cell, lr[i] > 0 ? lr[i] : w->b->recipe.lr, number + 1, err);
            as_eval_result_free(&cell.result);
            if (s == AS_OK) mine = as_comm_next(comm);
        }
    if (s != AS_OK) take_all(comm, w->planned);
    return as_comm_agree(comm, s, err);
}

as_status as_bench_spread(as_bench *w, as_err *err) {
    as_comm *comm = w->b->job.comm;
    if (as_comm_size(comm) == 1) return AS_OK;
    double *lr = as_calloc((size_t)w->b->model_count, sizeof *lr);
    as_status s = as_comm_agree(comm, lr ? AS_OK : as_fail_nomem(err, "the grid", 0), err);
    if (s == AS_OK && w->b->search > 0) s = search_models(w, lr, err);
    if (s == AS_OK) s = take_cells(w, lr, err);
    w->spread = s == AS_OK;
    as_free(lr);
    return s;
}
