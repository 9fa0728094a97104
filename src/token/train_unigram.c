#include "token/train_internal.h"
as_status as_learn_unigram(as_learned *out, const as_words *w, const as_token_train_opts *o,
                           as_err *err) {
    (void)out, (void)w, (void)o;
    return as_fail(err, AS_USAGE, "not yet");
}
