/* stored_refs.h: run numbers as people write them: 7; 12, a bench, which stands for all its cells; 12.2, its second cell. */
#ifndef AS_RUN_STORED_REFS_H
#define AS_RUN_STORED_REFS_H

#include "store/store.h"

typedef struct as_ref { int64_t run, finetune; } as_ref; /* an evaluation, and the training that made its model (0 = unknown) */
typedef struct as_refs { as_ref *v; size_t n, cap; int64_t bench; } as_refs; /* bench: the bench that was named last, 0 = none */

/* Append what `text` names. AS_USAGE: not a number, no such run or cell. */
as_status as_refs_add(as_refs *refs, as_store *store, const char *text, as_err *err) AS_CHECKED;
void as_refs_free(as_refs *refs);
/* The result of a run as it was stored (JSON), into out; nothing when there is none. */
as_status as_refs_result(as_buf *out, as_store *store, int64_t run, as_err *err) AS_CHECKED;
#endif
