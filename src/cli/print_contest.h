/* print_contest.h: comparisons as people and programs read them. */
#ifndef AS_CLI_PRINT_CONTEST_H
#define AS_CLI_PRINT_CONTEST_H

#include "cli/job_options.h"
#include "run/compare.h"

/* "90.1 [88.3, 91.8]" in percent, or as the metric is. */
void as_print_score(as_buf *b, double value, double low, double high, bool percent);
/* One line per system: score with interval, group, rank; with costs where they are known. */
void as_print_standings(as_buf *b, const as_contest *c, const as_contest_result *r, const char *metric);
/* One line per pair of a metric: difference with interval, p, adjusted p, smallest difference to be seen, tests. */
void as_print_comparisons(as_buf *b, const as_contest *c, const as_contest_result *r, const char *metric);
/* --fail-if: print what was found; *fails when the command ends with status 1. */
as_status as_cli_gate(as_cli *c, const as_contest *contest, const as_contest_result *result, bool *fails, as_err *err) AS_CHECKED;
void as_print_verdict(as_buf *b, const as_contest_result *r);
/* The same as Markdown tables, for the summary of a build. */
void as_print_contest_markdown(as_buf *b, const as_contest *c, const as_contest_result *r);
#endif
