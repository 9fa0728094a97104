/* Bytes up to the first NUL as tokenizer.json, the rest as text: what opens must encode on both
 * paths alike, with ranges inside the text, and decode. */
#include "base/utf8.h"
#include "token/internal.h"
#include <stdlib.h>
#include <string.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data, *nul = size > 0 ? memchr(bytes, 0, size) : NULL;
    const size_t n = nul != NULL ? (size_t)(nul - bytes) : size;
    as_tokenizer *t = NULL;
    as_err err;
    if (as_tokenizer_parse(&t, (as_str){bytes, n}, "fuzz", &err) != ASSAY_OK) return 0;
    as_buf text = {0}, back = {0};
    if (nul != NULL) (void)as_utf8_lossy(&text, (as_str){nul + 1, size - n - 1});
    as_tokens fast = {0}, general = {0};
    const as_status a = as_encode(t, as_buf_view(&text), NULL, NULL, &fast, &err);
    as_tokenizer_force_general(t);
    if (as_encode(t, as_buf_view(&text), NULL, NULL, &general, &err) != a || fast.n != general.n)
        abort();
    for (int64_t i = 0; a == ASSAY_OK && i < fast.n; i++)
        if (fast.ids[i] != general.ids[i] || fast.begin[i] != general.begin[i] ||
            fast.end[i] != general.end[i] || fast.begin[i] > fast.end[i] || fast.end[i] > text.n)
            abort();
    if (as_decode(t, fast.ids, a == ASSAY_OK ? fast.n : 0, true, &back, &err) != ASSAY_OK) abort();
    as_tokens_free(&fast), as_tokens_free(&general), as_buf_free(&text), as_buf_free(&back);
    as_tokenizer_free(t);
    return 0;
}
