/* mpi_link.h: the few things that comm.c asks of MPI. mpi_link.c is the only file that knows mpi.h; it loads the library when a launcher
 * is there, since linked it would make every start a millisecond slower. Built without MPI, as_link_open says so. */
#ifndef AS_DIST_MPI_LINK_H
#define AS_DIST_MPI_LINK_H

#include "dist/comm.h"

typedef struct as_link { int rank, size, node; } as_link; /* node: the first rank on this machine */

as_status as_link_open(as_link *out, as_err *err) AS_CHECKED;
void as_link_close(void);
void as_link_abort(int code);
void as_link_barrier(void);
void as_link_broadcast(void *p, size_t n, int from);
void as_link_all(void *out, const void *in, size_t n);
as_status as_link_exchange(const as_parcel *send, size_t send_n, const as_parcel *receive, size_t receive_n, as_err *err) AS_CHECKED;
void as_link_count_from_zero(void);
int64_t as_link_next(void);
as_status as_link_post(const void *p, size_t n, as_err *err) AS_CHECKED;
as_status as_link_take(as_buf *out, int *from, bool wait, as_err *err) AS_CHECKED;
/* A gathering of one int a rank that goes on beside other things: out [size] holds when as_link_met says so. */
void as_link_meet(int *out, const int *in);
bool as_link_met(void);

#endif
