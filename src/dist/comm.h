/* comm.h: the processes of one job, started by mpirun or srun, as ranks 0 .. size - 1 that run the same command. A NULL
 * communicator is one process alone: every call is then a no-op, or a copy, with the result that one rank has.
 *
 * Calls below "together" are made by all ranks, in the same order, from one thread at a time. No sum is made here: bytes move, and
 * who adds them does so in an order of its own (dist/tree.h). A peer that is lost ends the job: MPI kills it, no call returns. */
#ifndef AS_DIST_COMM_H
#define AS_DIST_COMM_H

#include "base/str.h"

typedef struct as_comm as_comm;

/* What the environment says about a launcher (Open MPI, MPICH, Slurm), without MPI. size 1 and by NULL where there is none. */
typedef struct as_launch { int rank, size; const char *by; } as_launch;
as_launch as_launch_detect(void);

/* *out NULL when nobody started several processes. AS_USAGE: several were started, and this program was built without MPI, or the
 * launcher's MPI is not that of the program; AS_IO: the MPI library cannot be loaded. */
as_status as_comm_open(as_comm **out, as_err *err) AS_CHECKED;
/* The last call together, after as_comm_meet. */
void as_comm_free(as_comm *c);
int as_comm_rank(const as_comm *c);
int as_comm_size(const as_comm *c);
int as_comm_local_rank(const as_comm *c); /* among those on the same machine */
int as_comm_local_size(const as_comm *c);
/* Rank 0, which alone writes files and the store. */
static inline bool as_comm_leads(const as_comm *c) { return as_comm_rank(c) == 0; }
/* Threads for this rank: the cores that it may use, divided by the ranks of the machine that may use them, too; at least 1. */
int as_comm_threads(const as_comm *c);

/* --- together --- */
void as_comm_barrier(as_comm *c);
void as_comm_broadcast(as_comm *c, void *p, size_t n);                   /* from rank 0 */
void as_comm_all(as_comm *c, void *out, const void *in, size_t n);       /* out [size][n]: what each rank has */
unsigned as_comm_any(as_comm *c, unsigned flags);                        /* the flags that some rank has */
/* AS_OK only if all ranks bring it; else the status and the error of the first rank that failed, on all. What can fail on one rank alone
 * comes before a call of this, and no other call together between. After a failure all are on their way out: a further call here
 * returns at once, and no other call together is allowed. */
as_status as_comm_agree(as_comm *c, as_status s, as_err *err) AS_CHECKED;

/* Pieces of any size between any two ranks: the k-th piece that a sends to b fills the k-th that b expects from a, which has as
 * many bytes. Own pieces (peer = rank) are not allowed. Returns when all are here and the sent ones may be overwritten. */
typedef struct as_parcel { void *p; size_t n; int peer; } as_parcel;
as_status as_comm_exchange(as_comm *c, const as_parcel *send, size_t send_n, const as_parcel *receive, size_t receive_n, as_err *err) AS_CHECKED;

/* Work that is handed out to whoever is free: 0, 1, 2, ... over all ranks, each number once. as_comm_count_from_zero begins anew,
 * together; as_comm_next is each rank's own call. Not for a NULL communicator. */
void as_comm_count_from_zero(as_comm *c);
int64_t as_comm_next(as_comm *c);

/* --- messages to rank 0, at any time --- */
/* Copies the bytes; of one rank they arrive in their order. */
as_status as_comm_post(as_comm *c, const void *p, size_t n, as_err *err) AS_CHECKED;
/* Rank 0: the next message into out, or *from = -1 when none is there (wait: not before one is there). */
as_status as_comm_take(as_comm *c, as_buf *out, int *from, bool wait, as_err *err) AS_CHECKED;

/* --- the end --- */
/* Together, when the work is done or has failed with s: whether this rank is the one to tell of it. A rank that failed waits a
 * while for the others; when they do not come (they are at work, and know nothing of it), *lost is set, and all that is left to do
 * is to tell, and as_comm_abort. */
bool as_comm_meet(as_comm *c, as_status s, bool *lost);
void as_comm_abort(as_comm *c, int code); /* ends all ranks */

#endif
