/* strmap.h: strings to numbers: an open-addressing table. Keys are borrowed and must outlive the map. */
#ifndef AS_DATA_STRMAP_H
#define AS_DATA_STRMAP_H

#include "base/str.h"

typedef struct as_strmap_slot { as_str key; uint64_t hash; int64_t value; bool used; } as_strmap_slot;
typedef struct as_strmap { as_strmap_slot *slot; size_t cap, n; } as_strmap; /* zero-initialise */

/* The value of a key, put in as `fresh` when it is new (*added tells; may be NULL); NULL when out of memory. */
int64_t *as_strmap_at(as_strmap *m, as_str key, int64_t fresh, bool *added);
const int64_t *as_strmap_get(const as_strmap *m, as_str key); /* NULL when absent */
void as_strmap_free(as_strmap *m);

#endif
