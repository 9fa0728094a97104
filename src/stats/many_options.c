/* many_options.c: the options of randomised methods, checked and with their defaults in place. */
#include "stats/many_options.h"

#include "base/parallel.h"

as_status as_settle_random(as_random_opts *o, const as_random_opts *given, int64_t draws,
                           as_err *err) {
    *o = given ? *given : (as_random_opts){0};
    if (o->resamples < 0 || o->resamples > 100000000) {
        (void)as_fail(err, AS_USAGE, "%lld resamples asked for; the limit is 100000000",
                      (long long)o->resamples);
        as_hint(err, "Leave the number out for the default of %lld.", (long long)draws);
        return AS_USAGE;
    }
    if (o->resamples == 0) o->resamples = draws;
    if (o->threads <= 0) o->threads = as_cpu_count();
    return AS_OK;
}

as_status as_check_level(double level, as_err *err) {
    if (level > 0 && level < 1) return AS_OK;
    (void)as_fail(err, AS_USAGE, "level %g is not between 0 and 1", level);
    as_hint(err, "Give the level as a fraction, such as 0.95.");
    return AS_USAGE;
}
