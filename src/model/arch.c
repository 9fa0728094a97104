#include "model/arch.h"

static const as_arch *const table[] = {&as_arch_bert};

const as_arch *as_arch_find(as_str model_type) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (as_str_is(model_type, table[i]->model_type)) return table[i];
    return NULL;
}
const char *as_arch_names(void) { return "bert"; }
