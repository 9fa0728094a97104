/* many_options.h: the options of randomised methods, checked and with their defaults in place. */
#ifndef AS_STATS_MANY_OPTIONS_H
#define AS_STATS_MANY_OPTIONS_H

#include "stats/paired.h"

/* given may be NULL; AS_USAGE: draws below 0 or above 10^8. */
as_status as_settle_random(as_random_opts *o, const as_random_opts *given, int64_t draws, as_err *err) AS_CHECKED;
/* AS_USAGE unless 0 < level < 1. */
as_status as_check_level(double level, as_err *err) AS_CHECKED;
#endif
