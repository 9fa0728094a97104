/* probe.h: is a row of a matrix product the same whatever the number of rows beside it? */
#ifndef AS_TENSOR_PROBE_H
#define AS_TENSOR_PROBE_H

#include "tensor/engine.h"

/* Multiplies the same rows in products of 256, 240, ... 16 rows, forward and backward, over shapes small and large, and
 * compares every bit. About 0.1 s; the answer is kept in a small file of the user's cache folder ($XDG_CACHE_HOME, else
 * ~/.cache) under `key`, which names everything that the answer can depend on. A cache that cannot be read or written is
 * no error. AS_NOMEM: the products could not run. */
as_status as_probe_rows(as_engine *e, const char *key, bool *same, as_err *err) AS_CHECKED;
#endif
