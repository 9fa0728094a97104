/* The first byte chooses the kind of label, the rest is a table with labels: no id outside the names, splits whole. */
#include "data/records.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *names[] = {"LABEL_0", "LABEL_1"};
    const as_labels known = {names, 2};
    if (size == 0) return 0;
    const as_data_cols opts = {.kind = (as_label_kind)(data[0] & 3), .id = data[0] & 4 ? "id" : NULL,
                               .cluster = data[0] & 8 ? "cluster" : NULL, .label_required = data[0] & 16,
                               .table = {.format = data[0] & 32 ? AS_TABLE_JSONL : AS_TABLE_CSV}};
    as_table *t = NULL;
    as_records r;
    as_index train, dev;
    as_err err;
    const as_str text = {(const char *)data + 1, size - 1};
    if (as_table_parse(&t, text, "fuzz", &opts.table, &err) != AS_OK) return 0;
    if (as_records_of_table(&r, t, &opts, data[0] & 64 ? &known : NULL, &err) != AS_OK) return 0;
    for (int64_t i = 0; i < r.n; i++)
        if (r.v[i].label < -1 || (r.v[i].label >= 0 && r.v[i].label >= r.labels.count)) abort();
    if (as_split_dev(&train, &dev, &r, 0.3, 1, &err) == AS_OK && train.n + dev.n != r.n) abort();
    as_index_free(&train);
    as_index_free(&dev);
    as_records_free(&r);
    return 0;
}
