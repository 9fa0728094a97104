/* cmd_contamination.c: `assay data contamination CORPUS [TASK]`: items of an evaluation that stand in a corpus, and what a stored run
 * scores without them. */
#include "base/mem.h"
#include "cli/cmd_data.h"
#include "data/records.h"
#include "data/strmap.h"
#include "run/contaminate.h"
#include "run/slices.h"
#include "run/stored.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Items from data or from a run; and for each of the run's items its number here. */
typedef struct checking {
    as_records records;
    as_stored stored;
    bool has_records, has_run;
    as_str *text, *pair;
    const char **id;
    char **ids;        /* of records, as strings */
    int64_t n;
    as_contamination found;
    char **group;      /* [stored.n] "clean" or "contaminated"; static strings */
} checking;

static void release(checking *k) {
    as_contamination_free(&k->found);
    for (int64_t i = 0; k->ids != NULL && i < k->n; i++) as_free(k->ids[i]);
    as_free(k->ids), as_free(k->text), as_free(k->pair), as_free(k->id), as_free(k->group);
    if (k->has_run) as_stored_free(&k->stored);
    if (k->has_records) as_records_free(&k->records);
}

static as_status nomem(as_err *err) { return as_fail_nomem(err, "the items", 0); }

static as_status open_data(checking *k, as_cli *c, as_err *err) {
    as_data_cols cols;
    AS_TRY(as_cli_task(c, TASK_ITEMS, err));
    if (c->p.o.data == NULL) return AS_OK;
    AS_TRY(as_cli_cols(&cols, c, err));
    cols.label_ignored = true;
    cols.slices = NULL, cols.slice_count = 0;
    AS_TRY(as_records_open(&k->records, c->p.o.data, &cols, NULL, err));
    k->has_records = true;
    return AS_OK;
}

static as_status open_run(checking *k, as_cli *c, as_err *err) {
    as_store *store;
    int64_t run;
    if (c->p.o.run == NULL) return AS_OK;
    AS_TRY(as_cli_run_number(&run, c->p.o.run, err));
    AS_TRY(as_cli_store(&store, c, err));
    const as_status s = as_stored_open(&k->stored, store, run, err);
    as_store_close(store);
    k->has_run = s == AS_OK;
    return s;
}

static as_status list_items(checking *k, as_err *err) {
    k->n = k->has_records ? k->records.n : k->stored.n;
    k->text = as_calloc((size_t)k->n + 1, sizeof *k->text);
    k->pair = as_calloc((size_t)k->n + 1, sizeof *k->pair);
    k->id = as_calloc((size_t)k->n + 1, sizeof *k->id);
    k->ids = as_calloc((size_t)k->n + 1, sizeof *k->ids);
    if (k->text == NULL || k->pair == NULL || k->id == NULL || k->ids == NULL) return nomem(err);
    for (int64_t i = 0; i < k->n; i++) {
        if (k->has_records) {
            const as_record *const r = &k->records.v[i];
            k->text[i] = r->text, k->pair[i] = r->pair;
            k->id[i] = k->ids[i] = as_strndup(r->id.p, r->id.n);
            if (k->ids[i] == NULL) return nomem(err);
        } else {
            k->text[i] = as_str_of(k->stored.text[i]), k->id[i] = k->stored.id[i];
            if (k->stored.pair[i] != NULL) k->pair[i] = as_str_of(k->stored.pair[i]);
        }
    }
    return AS_OK;
}

/* ---- a run's items among those of the data, by their texts ---- */
static as_status key_of(as_buf *b, as_str text, as_str pair, as_err *err) {
    as_buf_clear(b);
    as_buf_add(b, text.p, text.n);
    as_buf_char(b, '\0');
    if (pair.p != NULL) as_buf_add(b, pair.p, pair.n);
    return b->failed ? nomem(err) : AS_OK;
}

static as_status index_items(const checking *k, as_strmap *map, as_arena *arena, as_err *err) {
    as_buf b = {0};
    as_status s = AS_OK;
    for (int64_t i = 0; i < k->n && s == AS_OK; i++) {
        s = key_of(&b, k->text[i], k->pair[i], err);
        char *const own = s == AS_OK ? as_arena_push(arena, b.n, 1) : NULL;
        if (own != NULL) memcpy(own, b.p, b.n);
        if (s == AS_OK && (own == NULL || as_strmap_at(map, (as_str){own, b.n}, i, NULL) == NULL)) s = nomem(err);
    }
    as_buf_free(&b);
    return s;
}

static as_status group_run(checking *k, as_arena *arena, as_err *err) {
    static char clean[] = "clean", contaminated[] = "contaminated";
    as_strmap map = {0};
    as_buf b = {0};
    k->group = as_calloc((size_t)k->stored.n + 1, sizeof *k->group);
    as_status s = k->group != NULL ? index_items(k, &map, arena, err) : nomem(err);
    for (int64_t i = 0; i < k->stored.n && s == AS_OK; i++) {
        s = key_of(&b, as_str_of(k->stored.text[i]), k->stored.pair[i] != NULL ? as_str_of(k->stored.pair[i]) : (as_str){NULL, 0}, err);
        const int64_t *const at = s == AS_OK ? as_strmap_get(&map, as_buf_view(&b)) : NULL;
        if (s == AS_OK && at == NULL) {
            s = as_fail(err, AS_USAGE, "item \"%.80s\" of run %" PRId64 " is not in the data", k->stored.id[i], k->stored.run);
            as_hint(err, "Leave out the task: --run alone takes the run's own items.");
        }
        if (s == AS_OK) k->group[i] = k->found.item[*at].gpt3 ? contaminated : clean;
    }
    as_buf_free(&b);
    as_strmap_free(&map);
    return s;
}

/* ---- output ---- */
static void print_found(as_buf *b, const checking *k, const char *corpus) {
    const as_contamination *const f = &k->found;
    const double n = (double)f->n;
    as_buf_fmt(b, "corpus        %s: %s documents, ", corpus, as_out_whole(f->docs).s);
    as_buf_fmt(b, "%s tokens\n", as_out_whole(f->tokens).s);
    as_buf_fmt(b, "items         %s; %s shorter than %" PRId64 " words, compared as a whole\n", as_out_whole(f->n).s, as_out_whole(f->short_items).s, f->gram);
    as_buf_fmt(b, "contaminated  %s, %.2f %% [%.2f, %.2f]: a %" PRId64 "-gram of the item is in the corpus\n", as_out_whole(f->gpt3).s, 100 * (double)f->gpt3 / n,
               100 * f->gpt3_interval.low, 100 * f->gpt3_interval.high, f->gram);
    as_buf_fmt(b, "mostly seen   %s, %.2f %% [%.2f, %.2f]: at least 70 %% of the item's %d-grams are\n", as_out_whole(f->palm).s, 100 * (double)f->palm / n,
               100 * f->palm_interval.low, 100 * f->palm_interval.high, AS_PALM_GRAM);
}

static void json_found(as_buf *b, const checking *k, const char *corpus) {
    const as_contamination *const f = &k->found;
    as_buf_str(b, "{\"kind\":\"contamination\",\"corpus\":");
    as_buf_json_str(b, as_str_of(corpus));
    as_buf_fmt(b, ",\"items\":%" PRId64 ",\"gram\":%" PRId64 ",\"short_items\":%" PRId64 ",\"contaminated\":%" PRId64 ",\"low\":", f->n, f->gram, f->short_items, f->gpt3);
    as_buf_real(b, f->gpt3_interval.low);
    as_buf_str(b, ",\"high\":");
    as_buf_real(b, f->gpt3_interval.high);
    as_buf_fmt(b, ",\"mostly_seen\":%" PRId64 "}\n", f->palm);
}

static void json_items(as_buf *b, const checking *k) {
    for (int64_t i = 0; i < k->n; i++) {
        const as_contaminated_item *const item = &k->found.item[i];
        as_buf_str(b, "{\"kind\":\"item\",\"id\":");
        as_buf_json_str(b, as_str_of(k->id[i]));
        as_buf_fmt(b, ",\"words\":%" PRId64 ",\"contaminated\":%s,\"mostly_seen\":%s,\"grams\":%" PRId64 ",\"found\":%" PRId64 "}\n", item->words,
                   item->gpt3 ? "true" : "false", item->palm ? "true" : "false", item->grams, item->found);
    }
}

static void list_items_found(as_buf *b, const checking *k) {
    as_grid g;
    as_buf_char(b, '\n');
    as_grid_init(&g, "lrrL", 0);
    as_grid_cell(&g, AS_LIT("item")), as_grid_cell(&g, AS_LIT("words")), as_grid_cell(&g, AS_LIT("8-grams")), as_grid_cell(&g, AS_LIT("text"));
    for (int64_t i = 0; i < k->n; i++) {
        const as_contaminated_item *const item = &k->found.item[i];
        if (!item->gpt3 && !item->palm) continue;
        as_grid_cell(&g, as_str_of(k->id[i]));
        as_grid_fmt(&g, "%" PRId64, item->words);
        as_grid_fmt(&g, "%" PRId64 "/%" PRId64, item->found, item->grams);
        as_grid_cell(&g, k->text[i]);
    }
    as_grid_print(&g, b);
}

static void print_row(as_cli *c, const as_slice_row *r, const char *metric) {
    as_buf *const b = &c->out.buf;
    if (c->p.o.json) {
        as_buf_fmt(b, "{\"kind\":\"subset\",\"subset\":\"%s\",\"metric\":", r->value);
        as_buf_json_str(b, as_str_of(metric));
        as_buf_fmt(b, ",\"n\":%" PRId64 ",\"value\":", r->n), as_buf_real(b, r->score);
        as_buf_str(b, ",\"low\":"), as_buf_real(b, r->low), as_buf_str(b, ",\"high\":"), as_buf_real(b, r->high);
        as_buf_str(b, ",\"difference\":"), as_buf_real(b, r->diff), as_buf_str(b, ",\"p\":"), as_buf_real(b, r->p);
        as_buf_str(b, "}\n");
        return;
    }
    as_buf_fmt(b, "%-12s  %s %s [%s, %s]  %s items\n", r->value, metric, as_out_number(r->score, 4).s, as_out_number(r->low, 4).s, as_out_number(r->high, 4).s,
               as_out_whole(r->n).s);
}

/* Zou and Donner 2008 (MOVER): the interval of a difference of two independent numbers from the interval of each; of shares
 * with Wilson's, Newcombe's 1998. rows: clean, contaminated; the difference is the second less the first. */
typedef struct difference { double value, low, high; } difference;
static difference difference_of(const as_slice_row *rows) {
    const as_slice_row *const a = &rows[1], *const b = &rows[0];
    const double d = a->score - b->score;
    return (difference){d, d - hypot(a->score - a->low, b->high - b->score), d + hypot(a->high - a->score, b->score - b->low)};
}

static void print_difference(as_cli *c, const as_slice_row *rows, size_t count) {
    as_buf *const b = &c->out.buf;
    if (count != 2) {
        if (!c->p.o.json) as_buf_fmt(b, "difference    none to see: all items are %s\n", count > 0 ? rows[0].value : "");
        return;
    }
    const difference d = difference_of(rows);
    if (c->p.o.json) {
        as_buf_str(b, "{\"kind\":\"difference\",\"value\":"), as_buf_real(b, d.value);
        as_buf_str(b, ",\"low\":"), as_buf_real(b, d.low), as_buf_str(b, ",\"high\":"), as_buf_real(b, d.high);
        as_buf_str(b, ",\"p\":"), as_buf_real(b, rows[0].p), as_buf_str(b, "}\n");
        return;
    }
    as_buf_fmt(b, "difference    %s [%s, %s] between them, unpaired (they share no item), p %.4f", as_out_number(d.value, 4).s, as_out_number(d.low, 4).s,
               as_out_number(d.high, 4).s, rows[0].p);
    as_buf_fmt(b, " (%s)\n", rows[0].test_method != NULL ? rows[0].test_method : "no test");
}

static const char *metric_of(const as_cli *c, const as_stored *s) {
    if (c->p.o.metric != NULL) return c->p.o.metric;
    return s->p.kind == AS_PRED_CLASS ? "accuracy" : s->p.kind == AS_PRED_VALUE ? "pearson" : "f1(micro)";
}

static as_status print_subsets(as_cli *c, checking *k, as_err *err) {
    as_slice_row *rows;
    size_t count;
    const char *const metric = metric_of(c, &k->stored);
    AS_TRY(group_run(k, &c->arena, err));
    const as_slicing slicing = {"contamination", k->group};
    const int threads = c->p.o.threads > 0 ? (int)c->p.o.threads : as_cpu_count();
    AS_TRY(as_slices_of(&rows, &count, &k->stored.p, &slicing, 1, metric, c->p.o.level / 100, (uint64_t)c->p.o.seed, threads, err));
    as_buf *const b = &c->out.buf;
    if (!c->p.o.json) as_buf_fmt(b, "\nrun %" PRId64 ", %s on %s\n", k->stored.run, k->stored.model, k->stored.task);
    for (size_t i = 0; i < count; i++) print_row(c, &rows[i], metric);
    print_difference(c, rows, count);
    as_slice_rows_free(rows, count);
    return AS_OK;
}

static as_status report(as_cli *c, checking *k, as_err *err) {
    const char *const corpus = c->p.args[1];
    if (c->p.o.json) json_found(&c->out.buf, k, corpus);
    else print_found(&c->out.buf, k, corpus);
    if (k->has_run) AS_TRY(print_subsets(c, k, err));
    if (c->p.o.json) json_items(&c->out.buf, k);
    else if (c->p.o.items) list_items_found(&c->out.buf, k);
    return AS_OK;
}

as_status as_data_contamination(as_cli *c, as_err *err) {
    checking k = {0};
    if (c->p.arg_count > 2) {
        if (c->p.o.task != NULL || c->p.o.data != NULL) return as_fail(err, AS_USAGE, "data contamination: give one of TASK, --task and --data");
        c->p.o.task = c->p.args[2];
    }
    if (c->p.o.task == NULL && c->p.o.data == NULL && c->p.o.run == NULL) {
        (void)as_fail(err, AS_USAGE, "data contamination needs items: a task, --data or --run");
        as_hint(err, "For example: assay data contamination corpus sst2; assay data contamination corpus --run 3");
        return AS_USAGE;
    }
    as_status s = open_data(&k, c, err);
    if (s == AS_OK) s = open_run(&k, c, err);
    if (s == AS_OK) s = list_items(&k, err);
    if (s == AS_OK)
        s = as_contamination_of(&k.found, c->p.args[1], k.text, k.pair, k.n, c->p.o.ngram, c->p.o.level / 100, (int)c->p.o.threads, c->p.o.quiet ? -1 : 2, err);
    if (s == AS_OK) s = report(c, &k, err);
    release(&k);
    return s;
}
