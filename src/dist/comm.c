#include "dist/comm.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "dist/mpi_link.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct as_comm {
    as_link link;
    int local_rank, local_size, threads;
    int *each, *meeting;     /* [size] */
    int mine;                /* what this rank brings to the meeting */
    as_status agreed;        /* the failure that all have agreed on: they are on their way out */
};

/* --- the launcher --- */
static int number(const char *name) {
    const char *text = getenv(name);
    int64_t v;
    return text && as_parse_i64(as_str_of(text), &v) && v >= 0 && v < 1 << 24 ? (int)v : -1;
}

/* Slurm sets SLURM_NTASKS in a batch script's own shell too: only within a step is there a number of its tasks. */
as_launch as_launch_detect(void) {
    static const struct { const char *by, *rank, *size; } launchers[] = {
        {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        {"mpiexec", "PMI_RANK", "PMI_SIZE"},
        {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
    };
    for (size_t i = 0; i < AS_COUNT(launchers); i++) {
        const int rank = number(launchers[i].rank), size = number(launchers[i].size);
        if (rank >= 0 && size > 1 && rank < size) return (as_launch){rank, size, launchers[i].by};
    }
    return (as_launch){0, 1, NULL};
}

/* --- where the ranks are --- */
typedef struct place { int node; unsigned char cpus[128]; } place;

static void own_cpus(unsigned char mask[128]) {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    _Static_assert(sizeof set == 128, "1,024 processors");
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        memcpy(mask, &set, sizeof set);
        return;
    }
#endif
    memset(mask, 0xff, 128); /* unknown: shared by all */
}
static bool overlap(const place *a, const place *b) {
    for (size_t i = 0; i < sizeof a->cpus; i++)
        if (a->cpus[i] & b->cpus[i]) return true;
    return false;
}

static as_status find_place(as_comm *c, as_err *err) {
    const int size = c->link.size, rank = c->link.rank;
    place mine = {.node = c->link.node}, *all = as_calloc((size_t)size, sizeof *all);
    int sharers = 0;
    own_cpus(mine.cpus);
    if (!all) return as_fail_nomem(err, "the ranks", (size_t)size * sizeof *all);
    as_link_all(all, &mine, sizeof mine);
    for (int i = 0; i < size; i++) {
        if (all[i].node != mine.node) continue;
        c->local_rank += i < rank, c->local_size++;
        sharers += overlap(&all[i], &mine);
    }
    as_free(all);
    c->threads = as_cpu_count() / (sharers > 0 ? sharers : 1);
    if (c->threads < 1) c->threads = 1;
    return AS_OK;
}

as_status as_comm_open(as_comm **out, as_err *err) {
    *out = NULL;
    const as_launch l = as_launch_detect();
    if (l.size == 1) return AS_OK;
    as_comm *c = as_calloc(1, sizeof *c);
    int *each = as_calloc((size_t)l.size * 2, sizeof *each);
    as_status s = c && each ? as_link_open(&c->link, err) : as_fail_nomem(err, "the ranks", 0);
    if (s == AS_OK && c->link.size != l.size) {
        s = as_fail(err, AS_USAGE, "%s started %d processes, MPI sees %d", l.by, l.size, c->link.size);
        as_hint(err, "The launcher is not that of the MPI library which assay was built with; with srun, give --mpi=pmix or --mpi=pmi2.");
        as_link_close();
    } else if (s == AS_OK) {
        s = find_place(c, err);
    }
    if (s != AS_OK) {
        as_free(each), as_free(c);
        return s;
    }
    c->each = each, c->meeting = each + l.size;
    *out = c;
    return AS_OK;
}
void as_comm_free(as_comm *c) {
    if (!c) return;
    as_link_close();
    as_free(c->each), as_free(c);
}
int as_comm_rank(const as_comm *c) { return c ? c->link.rank : 0; }
int as_comm_size(const as_comm *c) { return c ? c->link.size : 1; }
int as_comm_local_rank(const as_comm *c) { return c ? c->local_rank : 0; }
int as_comm_local_size(const as_comm *c) { return c ? c->local_size : 1; }
int as_comm_threads(const as_comm *c) { return c ? c->threads : as_cpu_count(); }

/* --- together --- */
void as_comm_barrier(as_comm *c) {
    if (c) as_link_barrier();
}
void as_comm_broadcast(as_comm *c, void *p, size_t n) {
    if (c && n) as_link_broadcast(p, n, 0);
}
void as_comm_all(as_comm *c, void *out, const void *in, size_t n) {
    if (c) as_link_all(out, in, n);
    else memcpy(out, in, n);
}
unsigned as_comm_any(as_comm *c, unsigned flags) {
    if (!c) return flags;
    const int mine = (int)flags;
    unsigned any = 0;
    as_link_all(c->each, &mine, sizeof mine);
    for (int i = 0; i < c->link.size; i++) any |= (unsigned)c->each[i];
    return any;
}

static int first_failed(const int *status, int size) {
    int i = 0;
    while (i < size && status[i] == AS_OK) i++;
    return i;
}
as_status as_comm_agree(as_comm *c, as_status s, as_err *err) {
    if (!c) return s;
    if (c->agreed != AS_OK) return s != AS_OK ? s : c->agreed;
    const int mine = (int)s;
    as_link_all(c->each, &mine, sizeof mine);
    const int from = first_failed(c->each, c->link.size);
    if (from == c->link.size) return AS_OK;
    as_err told = {.status = s};
    if (err && s != AS_OK) told = *err;
    as_link_broadcast(&told, sizeof told, from);
    if (err) *err = told;
    return c->agreed = (as_status)c->each[from];
}

as_status as_comm_exchange(as_comm *c, const as_parcel *send, size_t send_n, const as_parcel *receive, size_t receive_n, as_err *err) {
    return c ? as_link_exchange(send, send_n, receive, receive_n, err) : AS_OK;
}

void as_comm_count_from_zero(as_comm *c) {
    if (c) as_link_count_from_zero();
}
int64_t as_comm_next(as_comm *c) { return c ? as_link_next() : 0; }

/* --- messages to rank 0 --- */
as_status as_comm_post(as_comm *c, const void *p, size_t n, as_err *err) { return c ? as_link_post(p, n, err) : AS_OK; }
as_status as_comm_take(as_comm *c, as_buf *out, int *from, bool wait, as_err *err) {
    *from = -1;
    return c ? as_link_take(out, from, wait, err) : AS_OK;
}

/* --- the end --- */
static const double patience = 3.0; /* seconds that a rank which failed waits for those that may be failing alike */

bool as_comm_meet(as_comm *c, as_status s, bool *lost) {
    *lost = false;
    if (!c) return true;
    const double began = as_clock();
    c->mine = (int)s;
    as_link_meet(c->meeting, &c->mine);
    while (!as_link_met()) {
        if (s != AS_OK && as_clock() - began > patience) return *lost = true;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL); /* the others may need the core */
    }
    const int first = first_failed(c->meeting, c->link.size);
    return first == c->link.rank || first == c->link.size;
}
void as_comm_abort(as_comm *c, int code) {
    if (c) as_link_abort(code);
}
