/* store_check.h: what the store's tests share: a fresh folder per test, made-up items, a dump of what a store holds. */
#ifndef TESTS_STORE_CHECK_H
#define TESTS_STORE_CHECK_H

#include "base/check.h"
#include "base/mem.h"
#include "store/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], db[96];

static inline int enter(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-test-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(db, sizeof db, "%s/assay.db", folder);
    return 0;
}

static inline int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

/* Fail with the message that the call left. */
#define must(call, err)                                                    \
    do {                                                                   \
        if ((call) != AS_OK) fail_msg("%s: %s", #call, (err).msg);         \
    } while (0)

static const as_run_key sample_key = {.command = "eval", .key = "a1b2", .config_json = "{\"values\":[\"p.0\",\"p.1\"]}",
                                      .model = "bert", .task = "sst2", .dtype = "f32", .isa = "avx2"};

/* Item i of a made-up data set: every third shares its text with others, every fifth has a pair, some gold strings are
 * long. The strings live in `room`. */
typedef struct sample_room { char id[32], cluster[32], text[64], pair[32], gold[96]; double values[3]; } sample_room;
static inline as_item sample_item(int64_t i, sample_room *room) {
    as_item item = {.index = i, .hash = (uint64_t)i * 0x9E3779B97F4A7C15u, .tokens = 3 + i % 40, .count = (int)(i % 4)};
    snprintf(room->id, sizeof room->id, i % 2 ? "%" PRId64 : "item-%" PRId64, i);
    snprintf(room->cluster, sizeof room->cluster, "c%" PRId64, i / 10);
    snprintf(room->text, sizeof room->text, "a sentence, number %" PRId64, i % 3 ? i : i % 7);
    snprintf(room->pair, sizeof room->pair, "its pair %" PRId64, i);
    snprintf(room->gold, sizeof room->gold, i % 11 ? "positive" : "an answer that is longer than what is worth "
             "keeping in place, number %" PRId64, i % 22);
    for (int k = 0; k < item.count; k++) room->values[k] = (double)(i + 1) / (double)(k + 3);
    item.id = as_str_of(room->id);
    item.cluster = i % 4 ? as_str_of(room->cluster) : (as_str){0};
    item.text = as_str_of(room->text);
    item.pair = i % 5 ? (as_str){0} : as_str_of(room->pair);
    item.gold = as_str_of(room->gold);
    item.pred = AS_LIT("negative");
    item.values = room->values;
    item.truncated = i % 13 == 0;
    return item;
}

static inline as_status dump_row(void *ctx, const as_item *item, as_err *err) {
    as_buf *b = ctx;
    (void)err;
    as_buf_fmt(b, "%" PRId64 " %.*s [%.*s] ", item->index, (int)item->id.n, item->id.p, (int)item->cluster.n,
               item->cluster.p);
    as_buf_json_str(b, item->text);
    if (item->pair.p) as_buf_json_str(b, item->pair);
    as_buf_fmt(b, " %.*s %.*s %" PRIx64 " %" PRId64 " %d", (int)item->gold.n, item->gold.p, (int)item->pred.n,
               item->pred.p, item->hash, item->tokens, item->truncated);
    for (int i = 0; i < item->count; i++) as_buf_fmt(b, " %a", item->values[i]);
    as_buf_char(b, '\n');
    return AS_OK;
}

/* All items of a run as text; the caller frees. */
static inline as_buf dump_items(as_store *s, int64_t run) {
    as_buf b = {0};
    as_err err = {0};
    must(as_store_items_each(s, run, dump_row, &b, &err), err);
    assert_false(b.failed);
    return b;
}

#endif
