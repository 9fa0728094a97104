/* Bytes as a safetensors file: whatever is accepted gives readable views that can be found. */
#include "io/weights.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_weight_files *w;
    as_err err;
    if (as_safetensors_parse(&w, data, size, "fuzz", &err) != ASSAY_OK) return 0;
    for (size_t i = 0; i < as_weights_count(w); i++) {
        const as_weight_view *const v = as_weights_at(w, i);
        const size_t n = (size_t)v->numel * as_dtype_size(v->dtype);
        void *const copy = malloc(n + 1);
        if (copy == NULL || as_weights_find(w, v->name) != v) abort();
        memcpy(copy, v->data, n);
        free(copy);
    }
    as_weights_close(w);
    return 0;
}
