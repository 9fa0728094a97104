/* diff_slices.h: in which groups of items a second run is better or worse than a first. */
#ifndef AS_CLI_DIFF_SLICES_H
#define AS_CLI_DIFF_SLICES_H

#include "cli/commands.h"
#include "run/stored.h"

/* Print the groups of --slice: columns that an evaluation noted with its items, @label, @length. change[i] is 1 where the second
 * run fixed item i, -1 where it broke it, else 0. p is McNemar's exact one within the group, Holm over all groups.
 * AS_USAGE: nothing was noted of such a column. */
as_status as_diff_slices(as_cli *c, const as_stored *s, const signed char *change, as_err *err) AS_CHECKED;
#endif
