/* guard.h: has training gone wrong? Watches the loss of each step: its running mean and spread, and steps far above them. */
#ifndef AS_TRAIN_GUARD_H
#define AS_TRAIN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct as_guard { double mean, var; int64_t n, bad; } as_guard; /* bad: steps above the limit, without a break */
enum { AS_GUARD_WARM = 50, AS_GUARD_BAD = 10 };
/* A loss above this is bad; INFINITY for the first AS_GUARD_WARM steps. */
double as_guard_limit(const as_guard *g);
/* Takes a step's loss; true when AS_GUARD_BAD steps in a row were bad. */
bool as_guard_see(as_guard *g, double loss);
#endif
