#include "dist/mpi_link.h"
#include "base/mem.h"

#if AS_MPI
#include <dlfcn.h>
#include <mpi.h>
#include <stddef.h>
#include <string.h>

/* --- the library --- */
#define MPI_FUNCTIONS(F)                                                                                                      \
    F(Abort) F(Allgather) F(Barrier) F(Bcast) F(Comm_dup) F(Comm_free) F(Comm_rank) F(Comm_size) F(Comm_split_type)           \
    F(Fetch_and_op) F(Finalize) F(Get_count) F(Iallgather) F(Init_thread) F(Irecv) F(Isend) F(Improbe) F(Mprobe) F(Mrecv)     \
    F(Test) F(Waitall) F(Win_allocate) F(Win_free) F(Win_lock) F(Win_unlock)

enum { PIECES = 1, POSTS = 2 };      /* tags */
static const size_t most = 1u << 30; /* bytes of a message: MPI counts with int */

typedef struct post { struct post *next; MPI_Request request; char bytes[]; } post;

/* One per process, as MPI itself is. */
static struct {
#define MPI_POINTER(name) __typeof__(&MPI_##name) name;
    MPI_FUNCTIONS(MPI_POINTER)
    MPI_Comm world, end;             /* end: for the meeting alone, which may cross other traffic */
    MPI_Datatype byte, int64;
    MPI_Op sum;
    MPI_Info none;
    MPI_Request meeting, *requests;
    size_t requests_cap;
    MPI_Win window;                  /* the counter, on rank 0 */
    int64_t *counter;
    bool counting;
    post *posts;                     /* not yet known to have left */
    int rank, size;
} mpi;

/* The predefined handles: numbers with MPICH, addresses of the library's objects with Open MPI. */
#ifdef OPEN_MPI
#define HANDLE(library, object, standard) (dlsym(library, object))
static const char *const names[] = {"libmpi.so.40", "libmpi.so", "libmpi.40.dylib"};
#else
#define HANDLE(library, object, standard) (standard)
static const char *const names[] = {"libmpi.so.12", "libmpich.so.12", "libmpi.so", "libmpi.12.dylib"};
#endif

static bool load(void) {
    static const struct { const char *name; size_t at; } functions[] = {
#define MPI_ROW(name) {"MPI_" #name, offsetof(__typeof__(mpi), name)},
        MPI_FUNCTIONS(MPI_ROW)
    };
    void *library = NULL; /* GLOBAL: Open MPI's own plug-ins look for its symbols */
    for (size_t i = 0; i < AS_COUNT(names) && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
    if (!library) return false;
    for (size_t i = 0; i < AS_COUNT(functions); i++) {
        void *const f = dlsym(library, functions[i].name);
        if (!f) return false;
        memcpy((char *)&mpi + functions[i].at, &f, sizeof f); /* POSIX: a pointer to a function fits */
    }
    mpi.world = HANDLE(library, "ompi_mpi_comm_world", MPI_COMM_WORLD);
    mpi.byte = HANDLE(library, "ompi_mpi_byte", MPI_BYTE);
    mpi.int64 = HANDLE(library, "ompi_mpi_int64_t", MPI_INT64_T);
    mpi.sum = HANDLE(library, "ompi_mpi_op_sum", MPI_SUM);
    mpi.none = HANDLE(library, "ompi_mpi_info_null", MPI_INFO_NULL);
    return true;
}

as_status as_link_open(as_link *out, as_err *err) {
    if (!load()) {
        (void)as_fail(err, AS_IO, "the MPI library %s cannot be loaded", names[0]);
        as_hint(err, "Install it on every machine of the job (Debian: libopenmpi3), or start one process only.");
        return AS_IO;
    }
    int provided = 0, local = 0;
    mpi.Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    mpi.Comm_rank(mpi.world, &mpi.rank), mpi.Comm_size(mpi.world, &mpi.size);
    if (provided < MPI_THREAD_SERIALIZED) {
        mpi.Finalize();
        return as_fail(err, AS_USAGE, "this MPI library lets only a process's first thread send");
    }
    mpi.Comm_dup(mpi.world, &mpi.end);
    MPI_Comm node;
    mpi.Comm_split_type(mpi.world, MPI_COMM_TYPE_SHARED, 0, mpi.none, &node);
    *out = (as_link){.rank = mpi.rank, .size = mpi.size, .node = mpi.rank};
    mpi.Bcast(&out->node, sizeof out->node, mpi.byte, 0, node);
    mpi.Comm_rank(node, &local);
    mpi.Comm_free(&node);
    return AS_OK;
}

static void posts_drop(bool wait) {
    for (post **at = &mpi.posts; *at;) {
        int done = 0;
        if (wait) mpi.Waitall(1, &(*at)->request, MPI_STATUSES_IGNORE), done = 1;
        else mpi.Test(&(*at)->request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            at = &(*at)->next;
            continue;
        }
        post *gone = *at;
        *at = gone->next;
        as_free(gone);
    }
}

void as_link_close(void) {
    posts_drop(true);
    if (mpi.counting) mpi.Win_free(&mpi.window);
    mpi.Comm_free(&mpi.end);
    mpi.Finalize();
    as_free(mpi.requests);
    mpi.requests = NULL, mpi.requests_cap = 0;
}
void as_link_abort(int code) { mpi.Abort(mpi.world, code); }

/* --- together --- */
void as_link_barrier(void) { mpi.Barrier(mpi.world); }
void as_link_broadcast(void *p, size_t n, int from) {
    for (size_t at = 0; at < n; at += most) mpi.Bcast((char *)p + at, (int)(n - at < most ? n - at : most), mpi.byte, from, mpi.world);
}
void as_link_all(void *out, const void *in, size_t n) {
    AS_ASSERT(n <= most);
    mpi.Allgather(in, (int)n, mpi.byte, out, (int)n, mpi.byte, mpi.world);
}

static size_t messages(const as_parcel *v, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += (v[i].n + most - 1) / most;
    return count;
}
as_status as_link_exchange(const as_parcel *send, size_t send_n, const as_parcel *receive, size_t receive_n, as_err *err) {
    const size_t all = messages(send, send_n) + messages(receive, receive_n);
    if (!as_grow(&mpi.requests, &mpi.requests_cap, all, sizeof *mpi.requests)) return as_fail_nomem(err, "messages", all * sizeof *mpi.requests);
    size_t n = 0;
    for (size_t i = 0; i < receive_n; i++)
        for (size_t at = 0; at < receive[i].n; at += most)
            mpi.Irecv((char *)receive[i].p + at, (int)(receive[i].n - at < most ? receive[i].n - at : most), mpi.byte, receive[i].peer, PIECES, mpi.world, &mpi.requests[n++]);
    for (size_t i = 0; i < send_n; i++)
        for (size_t at = 0; at < send[i].n; at += most)
            mpi.Isend((const char *)send[i].p + at, (int)(send[i].n - at < most ? send[i].n - at : most), mpi.byte, send[i].peer, PIECES, mpi.world, &mpi.requests[n++]);
    mpi.Waitall((int)n, mpi.requests, MPI_STATUSES_IGNORE);
    return AS_OK;
}

void as_link_count_from_zero(void) {
    if (!mpi.counting) mpi.Win_allocate(mpi.rank == 0 ? sizeof *mpi.counter : 0, sizeof *mpi.counter, mpi.none, mpi.world, &mpi.counter, &mpi.window);
    mpi.counting = true;
    if (mpi.rank == 0) {
        mpi.Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, mpi.window);
        *mpi.counter = 0;
        mpi.Win_unlock(0, mpi.window);
    }
    mpi.Barrier(mpi.world);
}
int64_t as_link_next(void) {
    const int64_t one = 1;
    int64_t got = 0;
    mpi.Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, mpi.window);
    mpi.Fetch_and_op(&one, &got, mpi.int64, 0, 0, mpi.sum, mpi.window);
    mpi.Win_unlock(0, mpi.window);
    return got;
}

/* --- messages to rank 0 --- */
as_status as_link_post(const void *p, size_t n, as_err *err) {
    AS_ASSERT(n <= most);
    posts_drop(false);
    post *m = as_alloc(sizeof *m + n, 1);
    if (!m) return as_fail_nomem(err, "a message", n);
    if (n) memcpy(m->bytes, p, n);
    m->next = mpi.posts, mpi.posts = m;
    mpi.Isend(m->bytes, (int)n, mpi.byte, 0, POSTS, mpi.world, &m->request);
    return AS_OK;
}
as_status as_link_take(as_buf *out, int *from, bool wait, as_err *err) {
    int there = 1, n = 0;
    MPI_Message message;
    MPI_Status status;
    if (wait) mpi.Mprobe(MPI_ANY_SOURCE, POSTS, mpi.world, &message, &status);
    else mpi.Improbe(MPI_ANY_SOURCE, POSTS, mpi.world, &there, &message, &status);
    *from = -1;
    if (!there) return AS_OK;
    mpi.Get_count(&status, mpi.byte, &n);
    char *bytes = as_alloc((size_t)n, 1);
    if (!bytes) return as_fail_nomem(err, "a message", (size_t)n);
    mpi.Mrecv(bytes, n, mpi.byte, &message, MPI_STATUS_IGNORE);
    as_buf_clear(out);
    as_buf_add(out, bytes, (size_t)n);
    as_free(bytes);
    *from = status.MPI_SOURCE;
    return out->failed ? as_fail_nomem(err, "a message", (size_t)n) : AS_OK;
}

/* --- the end --- */
void as_link_meet(int *out, const int *in) { mpi.Iallgather(in, sizeof *in, mpi.byte, out, sizeof *out, mpi.byte, mpi.end, &mpi.meeting); }
bool as_link_met(void) {
    int done = 0;
    mpi.Test(&mpi.meeting, &done, MPI_STATUS_IGNORE);
    return done != 0;
}

#else /* without MPI */

as_status as_link_open(as_link *out, as_err *err) {
    (void)out;
    (void)as_fail(err, AS_USAGE, "several processes were started, and this assay was built without MPI");
    as_hint(err, "Start one process, or build it where an MPI is installed (Debian: libopenmpi-dev); assay's Makefile finds it.");
    return AS_USAGE;
}
/* Of a communicator that is never open. */
void as_link_close(void) {}
void as_link_abort(int code) { (void)code; }
void as_link_barrier(void) {}
void as_link_broadcast(void *p, size_t n, int from) { (void)p, (void)n, (void)from; }
void as_link_all(void *out, const void *in, size_t n) { (void)out, (void)in, (void)n; }
as_status as_link_exchange(const as_parcel *send, size_t send_n, const as_parcel *receive, size_t receive_n, as_err *err) {
    (void)send, (void)send_n, (void)receive, (void)receive_n, (void)err;
    return AS_OK;
}
void as_link_count_from_zero(void) {}
int64_t as_link_next(void) { return 0; }
as_status as_link_post(const void *p, size_t n, as_err *err) { return (void)p, (void)n, (void)err, AS_OK; }
as_status as_link_take(as_buf *out, int *from, bool wait, as_err *err) { return (void)out, (void)wait, (void)err, *from = -1, AS_OK; }
void as_link_meet(int *out, const int *in) { (void)out, (void)in; }
bool as_link_met(void) { return true; }
#endif
