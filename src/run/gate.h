/* gate.h: a condition on a comparison that fails a build: "accuracy(new) < accuracy(old) - 0.01 at 95%". */
#ifndef AS_RUN_GATE_H
#define AS_RUN_GATE_H

#include "run/compare.h"

/* METRIC(SYSTEM) OP METRIC(SYSTEM) [+|- NUMBER] [at LEVEL%], or a number on the right. OP is <, <=, > or >=. SYSTEM is the name
 * of one, its number from 1, or old = the first, new = the last. Without `at`, values are compared as they are. With it, the
 * gate fails only when the difference is sure: when the whole interval of that level lies on the failing side. */
typedef struct as_gate { bool fails; char text[512]; /* what was found, in words */ } as_gate;

/* AS_USAGE: syntax, unknown system, a metric that was not computed. A value that is undefined fails the gate. */
as_status as_gate_check(as_gate *out, const char *expression, const as_contest *c, const as_contest_result *r, as_err *err) AS_CHECKED;
/* The outcome as a JUnit XML file of one test case. AS_IO. */
as_status as_gate_junit(const char *path, const char *expression, const as_gate *g, as_err *err) AS_CHECKED;
/* The metrics that the expression names, appended to list with commas where the list lacks them (by text). */
as_status as_gate_metrics(as_buf *list, const char *expression, as_err *err) AS_CHECKED;
#endif
