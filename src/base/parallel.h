/* parallel.h: the only door to threads (OpenMP). Partitions are static; no result may depend on how many
 * threads run, only on the fixed chunks that the caller defines. */
#ifndef AS_BASE_PARALLEL_H
#define AS_BASE_PARALLEL_H

#include <stdint.h>

/* Cores that this process may use: affinity mask and cgroup quota. */
int as_cpu_count(void);
/* Run body(ctx, chunk, thread) for chunk = 0..chunks-1 on `threads` threads. Static: thread t takes the
 * contiguous chunks [t*chunks/threads, (t+1)*chunks/threads). threads <= 1 runs in the calling thread. */
void as_parallel_for(int threads, int64_t chunks, void (*body)(void *ctx, int64_t chunk, int thread), void *ctx);
/* The same, chunks handed out in ascending order to whichever thread is free: for work of uneven size whose
 * results are stored per chunk. */
void as_parallel_dynamic(int threads, int64_t chunks, void (*body)(void *ctx, int64_t chunk, int thread), void *ctx);

#endif
