/* compose.h: one text out of several columns of a table: "{title}: {body}". */
#ifndef AS_DATA_COMPOSE_H
#define AS_DATA_COMPOSE_H

#include "io/table.h"

/* The texts of all records, end to end. */
typedef struct as_composed { as_buf text; size_t *end; } as_composed;
/* Has `form` braces, and is it no column's name? */
bool as_is_composed(const char *form, const as_table *t);
/* The first n records. AS_USAGE: a brace without its partner, no column at all, an unknown column; AS_FORMAT: a JSONL record
 * that lacks one. */
as_status as_compose(as_composed *out, const char *form, const as_table *t, int64_t n, as_err *err) AS_CHECKED;
static inline as_str as_composed_at(const as_composed *c, int64_t i) {
    const size_t begin = i ? c->end[i - 1] : 0;
    return (as_str){c->text.p ? c->text.p + begin : "", c->end[i] - begin};
}
void as_composed_free(as_composed *c);

#endif
