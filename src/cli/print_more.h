/* print_more.h: the same comparisons by other methods (--all-tests), and what several tasks say together. */
#ifndef AS_CLI_PRINT_MORE_H
#define AS_CLI_PRINT_MORE_H

#include "cli/out.h"
#include "run/compare_more.h"

/* r: of c. The abilities come apart: several tasks have them once. */
void as_print_more(as_buf *b, const as_contest *c, const as_contest_result *r, const as_more *m);
void as_print_abilities(as_buf *b, const as_contest *c, const as_abilities *a);
void as_print_more_json(as_buf *b, const as_contest *c, const as_more *m);
void as_print_abilities_json(as_buf *b, const as_contest *c, const as_abilities *a);
/* The best system over tasks against the others: rows [systems - 1]. */
void as_print_task_ropes(as_buf *b, const as_contest *c, const as_task_rope *rows);
void as_print_task_ropes_json(as_buf *b, const as_contest *c, const as_task_rope *rows);
#endif
