#include "train/masking.h"

void as_mask_choose(const as_pretraining *p, const as_train_at *at, int64_t span, const int32_t *ids, int64_t n, int32_t *target) {
    bool word = false;
    for (int64_t i = 0; i < n; i++) {
        target[i] = AS_IGNORE;
        if (p->special[ids[i]]) {
            word = false;
            continue;
        }
        const bool goes_on = p->whole_words && p->inner[ids[i]] && i > 0 && !p->special[ids[i - 1]];
        if (!goes_on) word = (double)as_mask_draw(at, span, i).v[0] < p->mask_share * 4294967296.0;
        if (word) target[i] = ids[i];
    }
}
