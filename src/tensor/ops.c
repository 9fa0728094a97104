#include "tensor/ops.h"

const as_op *const as_ops[] = {
    &as_op_embed, &as_op_linear, &as_op_norm, &as_op_attention, &as_op_dropout, &as_op_act, &as_op_add, &as_op_pick,
    &as_op_pool, &as_op_unit, &as_op_class_loss, &as_op_binary_loss, &as_op_square_loss, &as_op_vocab_loss, &as_op_recompute,
};
const size_t as_ops_count = AS_COUNT(as_ops);
