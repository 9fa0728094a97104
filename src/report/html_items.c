/* html_items.c: the table of errors. The rows are plain HTML, readable without the script; the script searches, filters,
 * sorts and pages what is there, and never makes markup of data. */
#include "base/mem.h"
#include "report/report_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "<script>\n\"use strict\";\n"
    "document.querySelectorAll(\"table.items\").forEach(function(table){\n"
    "var PAGE=50,body=table.tBodies[0],rows=Array.prototype.slice.call(body.rows),limit=PAGE;\n"
    "var texts=rows.map(function(r){return r.textContent.toLowerCase()});\n"
    "rows.forEach(function(r,i){r.at=i});\n"
    "var tools=document.createElement(\"div\"),box=document.createElement(\"input\"),pick=document.createElement(\"select\"),"
    "state=document.createElement(\"span\"),more=document.createElement(\"button\");\n"
    "tools.className=\"tools\";box.type=\"search\";box.placeholder=\"Search\";box.setAttribute(\"aria-label\",\"Search the items\");\n"
    "pick.setAttribute(\"aria-label\",\"Gold label\");state.setAttribute(\"role\",\"status\");state.className=\"sub\";\n"
    "more.type=\"button\";more.className=\"pager\";more.textContent=\"Show \"+PAGE+\" more\";\n"
    "function gold(r){var c=r.querySelector(\"td.g\");return c?c.textContent:\"\"}\n"
    "var seen=new Set(rows.map(gold)),names=Array.from(seen).sort();\n"
    "function option(text,value){var o=document.createElement(\"option\");o.textContent=text;o.value=value;pick.appendChild(o)}\n"
    "option(\"any gold label\",\"\");names.forEach(function(n,i){option(n,String(i+1))});\n"
    "tools.appendChild(box);if(table.dataset.kind!==\"value\"&&names.length>1&&names.length<=100)tools.appendChild(pick);tools.appendChild(state);\n"
    "var holder=table.closest(\".scroll\");holder.before(tools);holder.after(more);\n"
    "function show(){var words=box.value.toLowerCase().split(/\\s+/).filter(Boolean),hit=0,shown=0;\n"
    "var want=pick.value===\"\"?null:names[Number(pick.value)-1];\n"
    "rows.forEach(function(r){var t=texts[r.at],ok=(want===null||gold(r)===want)&&words.every(function(w){return t.indexOf(w)>=0});\n"
    "if(ok)hit++;var vis=ok&&hit<=limit;if(vis)shown++;r.hidden=!vis});\n"
    "state.textContent=shown+\" of \"+hit+(hit===1?\" item\":\" items\");more.hidden=shown>=hit}\n"
    "box.addEventListener(\"input\",function(){limit=PAGE;show()});pick.addEventListener(\"change\",function(){limit=PAGE;show()});\n"
    "more.addEventListener(\"click\",function(){limit+=PAGE;show()});\n"
    "function key(r,k){var c=r.cells[k],v=c.dataset.v;return v===undefined?c.textContent:Number(v)}\n"
    "Array.prototype.forEach.call(table.tHead.rows[0].cells,function(th,k){\n"
    "var b=document.createElement(\"button\");b.type=\"button\";b.textContent=th.textContent;th.textContent=\"\";th.appendChild(b);\n"
    "b.addEventListener(\"click\",function(){var down=th.getAttribute(\"aria-sort\")===\"ascending\";\n"
    "Array.prototype.forEach.call(table.tHead.rows[0].cells,function(o){o.removeAttribute(\"aria-sort\")});\n"
    "th.setAttribute(\"aria-sort\",down?\"descending\":\"ascending\");\n"
    "rows.sort(function(a,c){var x=key(a,k),y=key(c,k),d=typeof x===\"number\"&&typeof y===\"number\"?x-y:String(x).localeCompare(String(y),undefined,{numeric:true});\n"
    "return(down?-d:d)||a.at-c.at});rows.forEach(function(r){body.appendChild(r)});limit=PAGE;show()})});\n"
    "show()});\n</script>\n";

/* Items side by side: the runs of one table have the same items in the same order. */
typedef struct item_table {
    const as_report *r;
    int run[AS_REPORT_COLUMNS], runs; /* shown as columns */
    int first, last;                  /* counted: runs [first, last) */
} item_table;
typedef struct ranked { int64_t item; int wrong; double weight; } ranked;

static const as_stored *stored_of(const item_table *t, int run) { return t->r->runs[run].stored; }

static bool item_wrong(const as_stored *s, int64_t i) {
    const as_predictions *p = &s->p;
    const size_t k = (size_t)p->num_labels;
    if (p->kind == AS_PRED_CLASS) return p->gold && p->pred && p->gold[i] != p->pred[i];
    if (p->kind == AS_PRED_MULTILABEL) return p->gold_sets && p->pred_sets && memcmp(p->gold_sets + (size_t)i * k, p->pred_sets + (size_t)i * k, k) != 0;
    return p->gold_value && p->pred_value;
}

/* How sure the model was of its prediction; NaN when unknown. */
static double item_confidence(const as_stored *s, int64_t i) {
    const as_predictions *p = &s->p;
    if (p->kind != AS_PRED_CLASS || !p->probs || !p->pred || p->pred[i] < 0 || p->pred[i] >= p->num_labels) return (double)NAN;
    return p->probs[i * p->num_labels + p->pred[i]];
}

static double item_error(const as_stored *s, int64_t i) {
    return s->p.kind == AS_PRED_VALUE && s->p.pred_value && s->p.gold_value ? s->p.pred_value[i] - s->p.gold_value[i] : (double)NAN;
}

static double item_weight(const as_stored *s, int64_t i) {
    const double w = s->p.kind == AS_PRED_VALUE ? fabs(item_error(s, i)) : item_confidence(s, i);
    return isfinite(w) ? w : 0;
}

static int worst_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->wrong != y->wrong) return x->wrong < y->wrong ? 1 : -1;
    if (x->weight < y->weight || x->weight > y->weight) return x->weight < y->weight ? 1 : -1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Items that any run of the table gets wrong, worst first. */
static ranked *rank_items(const item_table *t, int64_t *count) {
    const int64_t n = stored_of(t, t->first)->n;
    ranked *v = as_alloc((size_t)n + 1, sizeof *v);
    *count = 0;
    if (!v) return NULL;
    for (int64_t i = 0; i < n; i++) {
        ranked x = {i, 0, 0};
        for (int k = t->first; k < t->last; k++) {
            const as_stored *s = stored_of(t, k);
            if (!item_wrong(s, i)) continue;
            x.wrong++;
            x.weight = fmax(x.weight, item_weight(s, i));
        }
        if (x.wrong > 0) v[(*count)++] = x;
    }
    qsort(v, (size_t)*count, sizeof *v, worst_first);
    return v;
}

static const char *cell(char *const *column, int64_t i) { return column && column[i] ? column[i] : ""; }

static void number_cell(as_buf *out, const char *head, double x, bool sign) {
    as_buf_fmt(out, "<td class=\"n\" data-h=\"%s\"", head);
    if (isfinite(x)) {
        as_buf_str(out, " data-v=\""), as_report_fixed(out, x, 9, "0", true), as_buf_char(out, '"');
    } else {
        as_buf_str(out, " data-v=\"-1\"");
    }
    as_buf_char(out, '>');
    if (sign) as_report_signed(out, x, false); else as_report_score(out, x, false);
    as_buf_str(out, "</td>");
}

static void item_row(as_buf *out, const item_table *t, const ranked *x) {
    const as_stored *s = stored_of(t, t->first);
    const int64_t i = x->item;
    as_buf_str(out, "<tr><td data-h=\"id\">"), as_report_text(out, cell(s->id, i), AS_REPORT_NAME);
    as_buf_str(out, "</td><td class=\"x\">"), as_report_text(out, cell(s->text, i), AS_REPORT_TEXT);
    if (s->pair && s->pair[i]) as_buf_str(out, "<hr>"), as_report_text(out, s->pair[i], AS_REPORT_TEXT);
    as_buf_fmt(out, "</td><td class=\"g%s\" data-h=\"gold\"", s->p.kind == AS_PRED_VALUE ? " n" : "");
    if (s->p.kind == AS_PRED_VALUE && s->p.gold_value) as_buf_str(out, " data-v=\""), as_report_fixed(out, s->p.gold_value[i], 9, "0", true), as_buf_char(out, '"');
    as_buf_char(out, '>'), as_report_text(out, cell(s->gold, i), AS_REPORT_NAME), as_buf_str(out, "</td>");
    for (int k = 0; k < t->runs; k++) {
        const as_stored *run = stored_of(t, t->run[k]);
        as_buf_str(out, run->p.kind == AS_PRED_VALUE ? "<td class=\"n\" data-h=\"" : "<td data-h=\"");
        if (t->last - t->first == 1) as_buf_str(out, "predicted");
        else {
            as_buf name = {0};
            as_report_run_name(&name, t->r, t->run[k]), as_report_text(out, name.p, AS_REPORT_NAME);
            out->failed = out->failed || name.failed;
            as_buf_free(&name);
        }
        as_buf_str(out, run->p.kind == AS_PRED_VALUE ? "\">" : item_wrong(run, i) ? "\"><i class=\"no\">\xE2\x9C\x97</i>\xC2\xA0" : "\"><i class=\"ok\">\xE2\x9C\x93</i>\xC2\xA0");
        as_report_text(out, cell(run->pred, i), AS_REPORT_NAME);
        const double sure = item_confidence(run, i);
        if (t->last - t->first > 1 && isfinite(sure)) as_buf_str(out, " <small>"), as_report_fixed(out, sure, 3, "", false), as_buf_str(out, "</small>");
        as_buf_str(out, "</td>");
    }
    if (t->last - t->first > 1 && s->p.kind != AS_PRED_VALUE)
        as_buf_fmt(out, "<td class=\"n\" data-h=\"wrong in\" data-v=\"%d\">%d of %d</td>", x->wrong, x->wrong, t->last - t->first);
    else if (s->p.kind == AS_PRED_VALUE)
        number_cell(out, "error", item_error(stored_of(t, t->run[0]), i), true);
    else if (s->p.kind == AS_PRED_CLASS && s->p.probs)
        number_cell(out, "confidence", item_confidence(s, i), false);
    as_buf_str(out, "</tr>\n");
}

static void item_heads(as_buf *out, const item_table *t) {
    const as_predictions *p = &stored_of(t, t->first)->p;
    const bool many = t->last - t->first > 1;
    as_buf_str(out, "<div class=\"scroll\"><table class=\"items wide\" data-kind=\"");
    as_buf_str(out, p->kind == AS_PRED_VALUE ? "value" : "label");
    as_buf_fmt(out, "\"><thead><tr><th scope=\"col\">id</th><th scope=\"col\" class=\"t\">text</th><th scope=\"col\"%s>gold</th>", p->kind == AS_PRED_VALUE ? " class=\"n\"" : "");
    for (int k = 0; k < t->runs; k++) {
        as_buf name = {0};
        if (many) as_report_run_name(&name, t->r, t->run[k]); else as_buf_str(&name, "predicted");
        as_buf_str(out, p->kind == AS_PRED_VALUE ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, "</th>");
        out->failed = out->failed || name.failed;
        as_buf_free(&name);
    }
    if (many && p->kind != AS_PRED_VALUE) as_buf_str(out, "<th scope=\"col\" class=\"n\">wrong in</th>");
    else if (p->kind == AS_PRED_VALUE) as_buf_str(out, many ? "<th scope=\"col\" class=\"n\">error of the first</th>" : "<th scope=\"col\" class=\"n\">error</th>");
    else if (p->kind == AS_PRED_CLASS && p->probs) as_buf_str(out, "<th scope=\"col\" class=\"n\">confidence</th>");
    as_buf_str(out, "</tr></thead><tbody>\n");
}

static void item_summary(as_buf *out, const item_table *t, int64_t found, int64_t shown) {
    const as_stored *s = stored_of(t, t->first);
    const bool many = t->last - t->first > 1, value = s->p.kind == AS_PRED_VALUE;
    as_buf_str(out, "<p>"), as_report_count(out, found);
    as_buf_str(out, " of "), as_report_count(out, s->n), as_buf_str(out, s->n == 1 ? " item" : " items");
    as_buf_str(out, value ? ", the largest errors first." : many ? ", wrong in at least one run: those that most runs get wrong first." : " wrong, the most confident first.");
    if (s->p.kind == AS_PRED_MULTILABEL) as_buf_str(out, " An item is right when its whole set of labels is.");
    if (many && t->runs < t->last - t->first) as_buf_fmt(out, " The predictions of the first %d of %d runs are shown.", t->runs, t->last - t->first);
    as_buf_str(out, "</p>\n");
    if (shown < found) {
        as_buf_str(out, "<p class=\"warn\">"), as_report_count(out, shown), as_buf_str(out, " are in this page, "), as_report_count(out, found - shown);
        as_buf_str(out, " are left out. <code>assay eval --items</code> writes every item of one model, <code>assay diff</code> every item on which two runs differ.</p>\n");
    }
}

static void one_table(as_buf *out, const item_table *t, int64_t limit) {
    int64_t found = 0;
    ranked *v = rank_items(t, &found);
    if (!v) {
        out->failed = true;
        return;
    }
    const int64_t shown = found < limit ? found : limit;
    item_summary(out, t, found, shown);
    if (shown > 0) {
        item_heads(out, t);
        for (int64_t i = 0; i < shown; i++)
            item_row(out, t, &v[i]);
        as_buf_str(out, "</tbody></table></div>\n");
    }
    as_free(v);
}

static bool same_items(const as_stored *a, const as_stored *b) {
    if (a->n != b->n || a->p.kind != b->p.kind) return false;
    for (int64_t i = 0; i < a->n; i++)
        if (strcmp(cell(a->id, i), cell(b->id, i)) != 0 || (a->hash && b->hash && a->hash[i] != b->hash[i])) return false;
    return true;
}

void as_report_items(as_buf *out, const as_report *r) {
    int with = 0;
    bool aligned = true;
    for (int i = 0; i < r->run_count; i++) {
        with += r->runs[i].stored != NULL;
        aligned = aligned && r->runs[i].stored && same_items(r->runs[0].stored, r->runs[i].stored);
    }
    if (with == 0) return;
    as_html_head(out, "errors", "Errors");
    if (aligned) {
        item_table t = {.r = r, .first = 0, .last = r->run_count};
        for (; t.runs < r->run_count && t.runs < AS_REPORT_COLUMNS; t.runs++)
            t.run[t.runs] = t.runs;
        one_table(out, &t, AS_REPORT_ITEMS);
    }
    const int tables = aligned ? 0 : with < AS_REPORT_FIGURES ? with : AS_REPORT_FIGURES;
    for (int i = 0, done = 0; done < tables; i++) {
        if (!r->runs[i].stored) continue;
        const item_table t = {.r = r, .run = {i}, .runs = 1, .first = i, .last = i + 1};
        as_buf name = {0};
        as_report_run_name(&name, r, i);
        as_buf_str(out, "<h3>"), as_report_text(out, name.p, AS_REPORT_NAME), as_buf_str(out, "</h3>\n");
        out->failed = out->failed || name.failed;
        as_buf_free(&name);
        one_table(out, &t, AS_REPORT_ITEMS / tables);
        done++;
    }
    if (!aligned && with > tables) as_buf_fmt(out, "<p class=\"warn\">%d more runs are left out here: they have other items.</p>\n", with - tables);
    as_buf_str(out, script), as_buf_str(out, "</section>\n");
}
