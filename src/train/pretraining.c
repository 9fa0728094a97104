#include "train/pretraining.h"
#include "train/objective_clm.h"
#include "train/objective_mlm.h"
#include <string.h>

static const as_pretraining_row *const table[] = {&as_pretraining_mlm, &as_pretraining_nsp, &as_pretraining_sop, &as_pretraining_clm, &as_pretraining_rtd};

size_t as_pretraining_count(void) { return AS_COUNT(table); }
const as_pretraining_row *as_pretraining_at(size_t i) { return table[i]; }
const as_pretraining_row *as_pretraining_find(const char *name) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}
