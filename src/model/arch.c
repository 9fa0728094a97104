#include "model/arch.h"

static const as_arch *const table[] = {&as_arch_bert, &as_arch_electra, &as_arch_gpt2};

const as_arch *as_arch_find(as_str model_type) {
    for (size_t i = 0; i < AS_COUNT(table); i++)
        if (as_str_is(model_type, table[i]->model_type)) return table[i];
    return NULL;
}
const char *as_arch_names(void) { return "bert, electra, gpt2"; }

static const char *const heads[AS_HEAD_COUNT] = {
    [AS_HEAD_NONE] = "base", [AS_HEAD_CLASSIFY] = "classification", [AS_HEAD_MLM] = "masked-LM",
    [AS_HEAD_NSP] = "next-sentence", [AS_HEAD_PRETRAIN] = "masked-LM and next-sentence",
    [AS_HEAD_CLM] = "causal-LM", [AS_HEAD_RTD] = "replaced-token",
};
const char *as_head_name(as_head h) { return heads[h]; }
