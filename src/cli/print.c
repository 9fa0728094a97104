#include "cli/print.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/print_calibration.h"
#include "run/slices.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- items --- */
static void put_probs(as_buf *b, const as_result_item *item) {
    as_buf_str(b, ",\"probs\":{");
    for (int k = 0; k < item->num_labels; k++) {
        if (k) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(item->labels[k]));
        as_buf_char(b, ':');
        as_buf_real(b, item->probs[k]);
    }
    as_buf_str(b, "}");
}

/* A label as a string. Several: those of the gold come as a JSON list, those predicted reach a probability of one half. */
static void put_gold(as_buf *b, const as_result_item *item) {
    as_buf_str(b, ",\"gold\":");
    if (item->kind == AS_LABEL_CLASS)
        as_buf_json_str(b, item->gold);
    else
        as_buf_add(b, item->gold.p, item->gold.n);
}
static bool predicted(const as_result_item *item, int k) { return item->logits[k] >= 0.0f; }
static void put_prediction(as_buf *b, const as_result_item *item) {
    if (item->kind == AS_LABEL_CLASS) {
        as_buf_str(b, ",\"label\":"), as_buf_json_str(b, item->pred);
        return;
    }
    bool any = false;
    as_buf_str(b, ",\"labels\":[");
    for (int k = 0; k < item->num_labels; k++) {
        if (!predicted(item, k)) continue;
        if (any) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(item->labels[k]));
        any = true;
    }
    as_buf_char(b, ']');
}

void as_print_item_json(as_buf *b, const char *kind, const as_result_item *item, const char *model) {
    as_buf_fmt(b, "{\"kind\":\"%s\",\"id\":", kind);
    as_buf_json_str(b, item->id);
    if (model) as_buf_str(b, ",\"model\":"), as_buf_json_str(b, as_str_of(model));
    as_buf_str(b, ",\"text\":"), as_buf_json_str(b, item->text);
    if (item->pair.p) as_buf_str(b, ",\"pair\":"), as_buf_json_str(b, item->pair);
    if (item->gold.p) put_gold(b, item);
    if (item->probs) {
        put_prediction(b, item);
        put_probs(b, item);
    } else {
        as_buf_str(b, ",\"value\":"), as_buf_real(b, item->value);
    }
    as_buf_str(b, ",\"logits\":[");
    for (int k = 0; item->logits && k < item->num_labels; k++) {
        if (k) as_buf_char(b, ',');
        as_buf_real(b, (double)item->logits[k]);
    }
    as_buf_fmt(b, "]%s}\n", item->truncated ? ",\"truncated\":true" : "");
}

static double best_prob(const as_result_item *item) {
    double best = 0.0;
    for (int k = 0; k < item->num_labels; k++)
        if (item->probs[k] > best) best = item->probs[k];
    return best;
}
static void pad_to(as_buf *b, as_str s, int width) {
    as_out_cut(b, s, width);
    for (int w = as_utf8_width(s); w < width; w++) as_buf_char(b, ' ');
}

/* Columns that the widest label takes, or a number. */
static int label_width(const as_result_item *item) {
    int width = item->probs ? 1 : 10;
    for (int k = 0; k < item->num_labels && item->probs; k++) {
        const int w = as_utf8_width(as_str_of(item->labels[k]));
        if (w > width) width = w;
    }
    return width > 30 ? 30 : width;
}
/* "positive 0.9731, service 0.6102" */
static void put_set(as_buf *b, const as_result_item *item, int width) {
    as_buf set = {0};
    for (int k = 0; k < item->num_labels; k++)
        if (predicted(item, k)) as_buf_fmt(&set, "%s%s %.4f", set.n ? ", " : "", item->labels[k], item->probs[k]);
    if (set.n == 0) as_buf_str(&set, "-");
    if (set.failed) b->failed = true;
    pad_to(b, as_buf_view(&set), width);
    as_buf_free(&set);
}

void as_print_item_text(as_buf *b, const as_result_item *item, bool with_gold) {
    enum { SET_WIDTH = 36, GOLD_SET_WIDTH = 24 };
    const int width = item->kind == AS_LABEL_MULTI ? GOLD_SET_WIDTH : label_width(item);
    int used = 0;
    if (with_gold && item->gold.p) pad_to(b, item->gold, width), as_buf_str(b, "  "), used += width + 2;
    if (item->kind == AS_LABEL_MULTI) {
        put_set(b, item, SET_WIDTH);
        as_buf_str(b, "  ");
        used += SET_WIDTH + 2;
    } else if (item->probs) {
        pad_to(b, item->pred, width);
        as_buf_fmt(b, "  %.4f  ", best_prob(item));
        used += width + 10;
    } else {
        as_buf_fmt(b, "%*s  ", width, as_out_number(item->value, 4).s);
        used += width + 2;
    }
    as_out_cut(b, item->text, AS_OUT_COLUMNS - used);
    as_buf_char(b, '\n');
}

/* --- metrics --- */
void as_print_metrics_json(as_buf *b, const as_result_metric *m, size_t count, const as_print_context *x) {
    for (size_t i = 0; i < count; i++) {
        as_buf_str(b, "{\"kind\":\"metric\",\"run\":");
        if (x->run > 0)
            as_buf_fmt(b, "%" PRId64, x->run);
        else
            as_buf_str(b, "null");
        if (x->model) as_buf_str(b, ",\"model\":"), as_buf_json_str(b, as_str_of(x->model));
        if (x->task) as_buf_str(b, ",\"task\":"), as_buf_json_str(b, as_str_of(x->task));
        as_buf_str(b, ",\"metric\":"), as_buf_json_str(b, as_str_of(m[i].name));
        as_buf_str(b, ",\"value\":"), as_buf_real(b, m[i].value);
        as_buf_str(b, ",\"low\":"), as_buf_real(b, m[i].low);
        as_buf_str(b, ",\"high\":"), as_buf_real(b, m[i].high);
        as_buf_fmt(b, ",\"n\":%" PRId64 ",\"signature\":", m[i].n), as_buf_json_str(b, as_str_of(m[i].name));
        as_buf_str(b, ",\"level\":"), as_buf_real(b, m[i].level);
        if (m[i].method) as_buf_str(b, ",\"method\":"), as_buf_json_str(b, as_str_of(m[i].method));
        if (m[i].why) as_buf_str(b, ",\"why\":"), as_buf_json_str(b, as_str_of(m[i].why));
        if (x->dtype) as_buf_fmt(b, ",\"dtype\":\"%s\",\"isa\":\"%s\",\"truncated\":%" PRId64, x->dtype, x->isa, x->truncated);
        if (x->head_fresh) as_buf_str(b, ",\"warning\":\"the classification head is not trained: these scores say nothing about the model\"");
        as_buf_str(b, "}\n");
    }
}

static void metric_row(as_grid *g, const as_result_metric *m) {
    const bool large = isfinite(m->value) && fabs(m->value) >= 1000.0;
    as_grid_cell(g, as_str_of(m->name));
    if (isnan(m->value))
        as_grid_fmt(g, "undefined");
    else if (isnan(m->low) || isnan(m->high))
        as_grid_fmt(g, "%s", as_out_number(m->value, large ? 1 : 4).s);
    else
        as_grid_fmt(g, "%s [%s, %s]", as_out_number(m->value, large ? 1 : 4).s, as_out_number(m->low, large ? 1 : 3).s,
                    as_out_number(m->high, large ? 1 : 3).s);
    as_grid_fmt(g, "%s", as_out_whole(m->n).s);
    as_grid_cell(g, as_str_of(m->method ? m->method : ""));
}
void as_print_metrics(as_buf *b, const as_result_metric *m, size_t count) {
    as_grid g;
    as_grid_init(&g, "LlrL", 2);
    as_grid_cell(&g, AS_LIT("metric"));
    as_grid_fmt(&g, "value [%g %%]", count ? m[0].level * 100.0 : 95.0);
    as_grid_cell(&g, AS_LIT("n")), as_grid_cell(&g, AS_LIT("interval"));
    for (size_t i = 0; i < count; i++) metric_row(&g, &m[i]);
    as_grid_print(&g, b);
    for (size_t i = 0; i < count; i++)
        if (m[i].why) {
            as_buf_fmt(b, "  %s: ", m[i].name);
            as_out_cut(b, as_str_of(m[i].why), AS_OUT_COLUMNS - 4 - as_utf8_width(as_str_of(m[i].name)));
            as_buf_char(b, '\n');
        }
}

/* --- classes --- */
typedef struct class_counts { int64_t gold, pred, both; } class_counts;
static class_counts count_class(const int64_t *confusion, int n, int k) {
    class_counts c = {0, 0, confusion[k * n + k]};
    for (int i = 0; i < n; i++) c.gold += confusion[k * n + i], c.pred += confusion[i * n + k];
    return c;
}
static void ratio(as_grid *g, int64_t over, int64_t under) {
    if (under > 0)
        as_grid_fmt(g, "%.4f", (double)over / (double)under);
    else
        as_grid_cell(g, AS_LIT("-"));
}
static void print_classes(as_buf *b, const int64_t *confusion, char *const *labels, int n) {
    as_grid g;
    as_grid_init(&g, "Lrrrr", 2);
    static const char *const heads[] = {"class", "precision", "recall", "f1", "n"};
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    for (int k = 0; k < n; k++) {
        const class_counts c = count_class(confusion, n, k);
        as_grid_cell(&g, as_str_of(labels[k]));
        ratio(&g, c.both, c.pred), ratio(&g, c.both, c.gold), ratio(&g, 2 * c.both, c.pred + c.gold);
        as_grid_fmt(&g, "%s", as_out_whole(c.gold).s);
    }
    as_grid_print(&g, b);
}

enum { MOST_CLASSES = 40, MOST_COLUMNS = 12 };
static bool matrix_fits(const int64_t *confusion, char *const *labels, int n) {
    if (n < 1 || n > MOST_COLUMNS) return false;
    int widest = 4, all = 2;
    for (int k = 0; k < n; k++) {
        int w = as_utf8_width(as_str_of(labels[k]));
        if (w > widest) widest = w;
        for (int i = 0; i < n; i++) {
            const int digits = (int)strlen(as_out_whole(confusion[i * n + k]).s);
            if (digits > w) w = digits;
        }
        all += w + 2;
    }
    return all + widest <= AS_OUT_COLUMNS;
}
void as_print_confusion(as_buf *b, const int64_t *confusion, char *const *labels, int n) {
    if (n < 1 || n > MOST_CLASSES) return;
    as_buf_char(b, '\n');
    print_classes(b, confusion, labels, n);
    if (!matrix_fits(confusion, labels, n)) return;
    char align[MOST_COLUMNS + 2] = "l";
    memset(align + 1, 'r', (size_t)n);
    as_grid g;
    as_buf_char(b, '\n');
    as_grid_init(&g, align, 2);
    as_grid_cell(&g, AS_LIT("gold \\ predicted"));
    for (int k = 0; k < n; k++) as_grid_cell(&g, as_str_of(labels[k]));
    for (int r = 0; r < n; r++) {
        as_grid_cell(&g, as_str_of(labels[r]));
        for (int k = 0; k < n; k++) as_grid_fmt(&g, "%s", as_out_whole(confusion[r * n + k]).s);
    }
    as_grid_print(&g, b);
}

/* --- slices --- */
static void slice_row(as_grid *g, const as_slice_row *s) {
    as_grid_fmt(g, "%s = %s", s->column, s->value);
    if (isnan(s->score)) as_grid_cell(g, AS_LIT("undefined"));
    else if (isnan(s->low)) as_grid_fmt(g, "%.4f", s->score);
    else as_grid_fmt(g, "%.4f [%.3f, %.3f]", s->score, s->low, s->high);
    if (isnan(s->diff)) as_grid_cell(g, AS_LIT("-"));
    else as_grid_fmt(g, "%+.4f", s->diff);
    if (isnan(s->p_adjusted)) as_grid_cell(g, AS_LIT("-"));
    else as_grid_fmt(g, s->p_adjusted < 0.0001 ? "<0.0001" : "%.4f", s->p_adjusted);
    as_grid_fmt(g, "%s", as_out_whole(s->n).s);
    as_grid_cell(g, as_str_of(s->worse ? "worse than the rest" : ""));
}
static void print_slices(as_buf *b, const as_eval_result *r) {
    as_grid g;
    as_buf_char(b, '\n');
    as_grid_init(&g, "Llrrrl", 2);
    as_grid_cell(&g, AS_LIT("slice")), as_grid_fmt(&g, "%s [%g %%]", r->metrics[0].name, r->metrics[0].level * 100);
    static const char *const heads[] = {"less rest", "p adjusted", "n", ""};
    for (size_t i = 0; i < AS_COUNT(heads); i++) as_grid_cell(&g, as_str_of(heads[i]));
    const as_slice_row *worst = NULL;
    for (size_t i = 0; i < r->slice_count; i++) {
        const as_slice_row *s = &r->slices[i];
        slice_row(&g, s);
        if (s->worse && (!worst || s->p_adjusted < worst->p_adjusted)) worst = s;
    }
    as_grid_print(&g, b);
    if (worst) as_buf_fmt(b, "  surest weakness: %s = %s (%s, Holm over all slices)\n", worst->column, worst->value, worst->test_method);
}
static void slices_json(as_buf *b, const as_eval_result *r, const char *model) {
    for (size_t i = 0; i < r->slice_count; i++) {
        const as_slice_row *s = &r->slices[i];
        const struct { const char *key; double value; } numbers[] = {{"value", s->score}, {"low", s->low}, {"high", s->high}, {"rest", s->rest}, {"diff", s->diff},
                                                                     {"p", s->p}, {"p_adjusted", s->p_adjusted}};
        as_buf_str(b, "{\"kind\":\"slice\",\"model\":"), as_buf_json_str(b, as_str_of(model));
        as_buf_str(b, ",\"column\":"), as_buf_json_str(b, as_str_of(s->column));
        as_buf_str(b, ",\"slice\":"), as_buf_json_str(b, as_str_of(s->value));
        as_buf_str(b, ",\"metric\":"), as_buf_json_str(b, as_str_of(r->metrics[0].name));
        for (size_t k = 0; k < AS_COUNT(numbers); k++) as_buf_fmt(b, ",\"%s\":", numbers[k].key), as_buf_real(b, numbers[k].value);
        as_buf_fmt(b, ",\"test\":\"%s\",\"worse\":%s", s->test_method, s->worse ? "true" : "false");
        if (s->why) as_buf_str(b, ",\"why\":"), as_buf_json_str(b, as_str_of(s->why));
        as_buf_fmt(b, ",\"n\":%" PRId64 "}\n", s->n);
    }
}

/* --- an evaluation --- */
static as_print_context context_of(const as_eval_result *r, const char *model) {
    return (as_print_context){.model = model, .task = r->task, .dtype = r->dtype, .isa = r->isa, .run = r->run, .truncated = r->truncated,
                              .head_fresh = r->head_fresh};
}
void as_print_eval_json(as_cli *c, const as_eval_result *r, const char *model) {
    const as_print_context x = context_of(r, model);
    as_print_metrics_json(&c->out.buf, r->metrics, r->metric_count, &x);
    slices_json(&c->out.buf, r, model);
    as_print_calibration_json(&c->out.buf, r, model);
    if (!r->confusion || r->num_labels > MOST_CLASSES) return;
    as_buf *b = &c->out.buf;
    as_buf_str(b, "{\"kind\":\"confusion\",\"model\":"), as_buf_json_str(b, as_str_of(model));
    as_buf_str(b, ",\"labels\":[");
    for (int k = 0; k < r->num_labels; k++) {
        if (k) as_buf_char(b, ',');
        as_buf_json_str(b, as_str_of(r->labels[k]));
    }
    as_buf_str(b, "],\"gold_by_predicted\":[");
    for (int i = 0; i < r->num_labels; i++) {
        as_buf_str(b, i ? ",[" : "[");
        for (int k = 0; k < r->num_labels; k++) as_buf_fmt(b, "%s%" PRId64, k ? "," : "", r->confusion[i * r->num_labels + k]);
        as_buf_char(b, ']');
    }
    as_buf_str(b, "]}\n");
}

void as_print_eval(as_cli *c, const as_eval_result *r, const char *model, const char *what) {
    as_buf *b = &c->out.buf, head = {0};
    as_buf_fmt(&head, "%s · %s · %s items%s%s · %s, %s, %d thread%s", model, r->task, as_out_whole(r->n).s, what[0] ? ", " : "", what, r->dtype,
               r->isa, r->threads, r->threads == 1 ? "" : "s");
    if (head.failed) b->failed = true;
    as_out_cut(b, as_buf_view(&head), AS_OUT_COLUMNS);
    as_buf_free(&head);
    as_buf_str(b, "\n\n");
    as_print_metrics(b, r->metrics, r->metric_count);
    if (r->confusion) as_print_confusion(b, r->confusion, r->labels, r->num_labels);
    if (r->slice_count > 0) print_slices(b, r);
    as_print_calibration(b, r);
    as_buf_char(b, '\n');
    if (r->head_fresh) as_buf_str(b, "warning   the classification head is not trained: these scores say nothing about the model\n");
    if (r->truncated > 0) as_buf_fmt(b, "warning   %s of %s items were cut to the longest length\n", as_out_whole(r->truncated).s, as_out_whole(r->n).s);
    if (r->from_store)
        as_buf_str(b, "time      nothing to compute: all was stored");
    else if (r->seconds > 0)
        as_buf_fmt(b, "time      %s (%s items/s)", as_out_time(r->seconds).s, as_out_whole((int64_t)((double)(r->n - r->resumed) / r->seconds)).s);
    if (r->from_store || r->seconds > 0) as_buf_fmt(b, ", %s of memory\n", as_out_bytes(r->peak_bytes).s);
    if (r->population > 0) as_buf_fmt(b, "items     %s of %s were enough\n", as_out_whole(r->n).s, as_out_whole(r->population).s);
    if (r->population > 0 && r->metric_count > 0 && (r->metrics[0].value < r->metrics[0].low || r->metrics[0].value > r->metrics[0].high))
        as_buf_str(b, "          the interval is what all looks on the way allow: the score of these items lies outside of it\n");
    if (r->run > 0) as_buf_fmt(b, "stored    run %" PRId64 " in %s\n", r->run, c->p.o.db);
}
