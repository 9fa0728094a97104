/* Bytes as a shard, or (first byte odd) as the manifest of a corpus whose shard is missing or real: whatever is accepted reads within
 * its bounds. */
#include "base/file.h"
#include "data/corpus_shard.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder for the manifests, made once per process and left to the system's cleaning. */
static const char *folder(void) {
    static char dir[64];
    if (dir[0] == '\0') {
        strcpy(dir, "/tmp/assay-fuzz-corpus-XXXXXX");
        if (mkdtemp(dir) == NULL) abort();
    }
    return dir;
}

static void read_all(const as_shard *s) {
    uint64_t sum = 0;
    for (uint64_t d = 0; d < s->head.docs; d++) {
        if (s->doc_token[d] >= s->doc_token[d + 1] || s->doc_token[d + 1] > s->head.tokens) abort();
        for (uint64_t i = s->doc_segment[d]; i < s->doc_segment[d + 1]; i++) sum += s->segment_begin[i];
        for (uint64_t t = s->doc_token[d]; t < s->doc_token[d + 1]; t++) {
            const uint64_t id = s->head.id_bytes == 2 ? ((const uint16_t *)s->ids)[t] : ((const uint32_t *)s->ids)[t];
            if (id >= s->head.vocab) abort();
            sum += id;
        }
    }
    if (sum == UINT64_MAX) printf("%d", 1); /* the sum is used */
}

static void manifest(const uint8_t *data, size_t size) {
    as_corpus *c;
    as_err err;
    char path[128];
    snprintf(path, sizeof path, "%s/corpus.json", folder());
    FILE *const f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
    if (as_corpus_open(&c, folder(), &err) != AS_OK) return;
    for (int p = 0; p < AS_CORPUS_PARTS; p++)
        if (as_corpus_docs(c, (as_corpus_part)p) != 0) abort(); /* there are no shards */
    as_corpus_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_shard s;
    as_err err;
    if (size == 0) return 0;
    if (data[0] & 1) return manifest(data + 1, size - 1), 0;
    void *const copy = malloc(size); /* aligned as a map is */
    if (copy == NULL) return 0;
    memcpy(copy, data + 1, size - 1);
    if (as_shard_parse(&s, copy, size - 1, "fuzz", &err) == AS_OK) read_all(&s);
    free(copy);
    return 0;
}
