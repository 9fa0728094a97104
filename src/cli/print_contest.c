#include "cli/print_contest.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void one_number(as_buf *b, double x, bool percent, bool sign) {
    if (percent && fabs(x) < 0.0005) x = 0.0; /* no "-0.0" */
    if (isnan(x)) as_buf_str(b, "-");
    else if (percent) as_buf_fmt(b, sign ? "%+.1f" : "%.1f", 100 * x);
    else as_buf_fmt(b, sign ? "%+.4g" : "%.4g", x);
}
static void with_interval(as_buf *b, double value, double low, double high, bool percent, bool sign) {
    one_number(b, value, percent, sign);
    if (isnan(value) || isnan(low) || isnan(high)) return;
    as_buf_str(b, " [");
    one_number(b, low, percent, false), as_buf_str(b, ", "), one_number(b, high, percent, false);
    as_buf_char(b, ']');
}
void as_print_score(as_buf *b, double value, double low, double high, bool percent) { with_interval(b, value, low, high, percent, false); }

static void cell(as_grid *g, as_buf *b) {
    as_grid_cell(g, as_buf_view(b));
    if (b->failed) g->failed = true;
    as_buf_clear(b);
}
static void p_text(as_buf *b, double p) {
    if (isnan(p)) as_buf_str(b, "-");
    else if (p < 0.0001) as_buf_str(b, "<0.0001");
    else as_buf_fmt(b, "%.4f", p);
}

/* Bit 0 is "a"; a column for each letter, so that groups stand below each other. */
static void letters_text(as_buf *b, uint64_t letters) {
    for (int i = 0; i < 26 && letters >> i; i++) as_buf_char(b, letters >> i & 1 ? (char)('a' + i) : ' ');
}

void as_print_standings(as_buf *b, const as_contest *c, const as_contest_result *r, const char *metric) {
    bool costs = false;
    for (int i = 0; i < c->count; i++) costs |= c->systems[i].items_per_second > 0;
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, costs ? "Llllrrrr" : "Llll", 2);
    as_grid_cell(&g, AS_LIT("model"));
    as_grid_fmt(&g, "%s [%g %%]", metric, 100 * c->level);
    as_grid_cell(&g, AS_LIT("group")), as_grid_cell(&g, AS_LIT("rank"));
    if (costs) as_grid_cell(&g, AS_LIT("params")), as_grid_cell(&g, AS_LIT("train")), as_grid_cell(&g, AS_LIT("items/s")), as_grid_cell(&g, AS_LIT("memory"));
    for (size_t i = 0; i < r->standing_count; i++) {
        const as_standing *s = &r->standings[i];
        if (strcmp(s->metric, metric) != 0) continue;
        const as_system *y = &c->systems[s->system];
        as_grid_cell(&g, as_str_of(y->name));
        as_print_score(&t, s->value, s->low, s->high, s->percent), cell(&g, &t);
        letters_text(&t, s->letters), cell(&g, &t);
        if (s->rank_low == s->rank_high) as_grid_fmt(&g, "%" PRId64, s->rank_low);
        else as_grid_fmt(&g, "%" PRId64 "-%" PRId64, s->rank_low, s->rank_high);
        if (!costs) continue;
        if (y->parameters > 0) as_grid_fmt(&g, "%.1f M", (double)y->parameters / 1e6);
        else as_grid_cell(&g, AS_LIT("-"));
        as_grid_fmt(&g, "%s", y->train_seconds > 0 ? as_out_time(y->train_seconds).s : "-");
        as_grid_fmt(&g, "%s", y->items_per_second > 0 ? as_out_whole((int64_t)y->items_per_second).s : "-");
        as_grid_fmt(&g, "%s", y->peak_bytes > 0 ? as_out_bytes(y->peak_bytes).s : "-");
    }
    as_grid_print(&g, b);
    for (size_t i = 0; i < r->standing_count; i++)
        if (strcmp(r->standings[i].metric, metric) == 0 && r->standings[i].why)
            as_buf_fmt(b, "  %s: %s\n", c->systems[r->standings[i].system].name, r->standings[i].why);
    as_buf_free(&t);
}

void as_print_comparisons(as_buf *b, const as_contest *c, const as_contest_result *r, const char *metric) {
    as_grid g;
    as_buf t = {0};
    as_grid_init(&g, "LlrrrL", 2);
    static const char *const heads[] = {"pair", NULL, "p", "adjusted", "can show", "interval, test"};
    for (size_t i = 0; i < AS_COUNT(heads); i++) {
        if (heads[i]) as_grid_cell(&g, as_str_of(heads[i]));
        else as_grid_fmt(&g, "difference [%g %%]", 100 * c->level);
    }
    for (size_t i = 0; i < r->comparison_count; i++) {
        const as_comparison *v = &r->comparisons[i];
        if (strcmp(v->metric, metric) != 0) continue;
        as_grid_fmt(&g, "%s - %s", c->systems[v->a].name, c->systems[v->b].name);
        with_interval(&t, v->diff, v->low, v->high, v->percent, true), cell(&g, &t);
        p_text(&t, v->p), cell(&g, &t);
        p_text(&t, v->p_adjusted), cell(&g, &t);
        one_number(&t, v->mde, v->percent, false), cell(&g, &t);
        as_grid_fmt(&g, "%s, %s", v->interval_method, v->test_method);
    }
    as_grid_print(&g, b);
    for (size_t i = 0; i < r->comparison_count; i++) {
        const as_comparison *v = &r->comparisons[i];
        if (strcmp(v->metric, metric) != 0) continue;
        if (v->why) as_buf_fmt(b, "  %s - %s: %s\n", c->systems[v->a].name, c->systems[v->b].name, v->why);
        if (v->both >= 0)
            as_buf_fmt(b, "  both right %s, only %s %s, only %s %s, both wrong %s\n", as_out_whole(v->both).s, c->systems[v->a].name, as_out_whole(v->only_a).s,
                       c->systems[v->b].name, as_out_whole(v->only_b).s, as_out_whole(v->neither).s);
        if (!isnan(v->p_equivalent)) {
            as_buf_fmt(b, "  within %g: p ", c->margin), p_text(b, v->p_equivalent), as_buf_str(b, " equivalent, p ");
            p_text(b, v->p_noninferior), as_buf_str(b, " not inferior\n");
        }
        if (v->design_effect > 1.0 + 1e-9) as_buf_fmt(b, "  clusters multiply the variance by %.2f (design effect)\n", v->design_effect);
    }
    as_buf_free(&t);
}

void as_print_verdict(as_buf *b, const as_contest_result *r) { as_out_wrap(b, "verdict", 10, as_str_of(r->verdict)); }

/* A cell: what would end it or begin markup is escaped. */
static void markdown_text(as_buf *b, const char *s) {
    for (; *s; s++) {
        if (strchr("|\\`*_<>[]", *s)) as_buf_char(b, '\\');
        as_buf_char(b, (unsigned char)*s < ' ' ? ' ' : *s);
    }
}

void as_print_contest_markdown(as_buf *b, const as_contest *c, const as_contest_result *r) {
    as_buf_fmt(b, "| metric | system | value [%g %%] | rank |\n|---|---|---|---|\n", 100 * c->level);
    for (size_t i = 0; i < r->standing_count; i++) {
        const as_standing *s = &r->standings[i];
        as_buf_str(b, "| "), markdown_text(b, s->metric), as_buf_str(b, " | "), markdown_text(b, c->systems[s->system].name), as_buf_str(b, " | ");
        as_print_score(b, s->value, s->low, s->high, s->percent);
        as_buf_fmt(b, s->rank_low == s->rank_high ? " | %" PRId64 " |\n" : " | %" PRId64 "-%" PRId64 " |\n", s->rank_low, s->rank_high);
    }
    as_buf_fmt(b, "\n| metric | pair | difference [%g %%] | p | adjusted | can show | test |\n|---|---|---|---|---|---|---|\n", 100 * c->level);
    for (size_t i = 0; i < r->comparison_count; i++) {
        const as_comparison *v = &r->comparisons[i];
        as_buf_str(b, "| "), markdown_text(b, v->metric), as_buf_str(b, " | "), markdown_text(b, c->systems[v->a].name), as_buf_str(b, " - ");
        markdown_text(b, c->systems[v->b].name), as_buf_str(b, " | ");
        with_interval(b, v->diff, v->low, v->high, v->percent, true), as_buf_str(b, " | ");
        p_text(b, v->p), as_buf_str(b, " | "), p_text(b, v->p_adjusted), as_buf_str(b, " | ");
        one_number(b, v->mde, v->percent, false);
        as_buf_fmt(b, " | %s |\n", v->test_method);
    }
    as_buf_str(b, "\n"), markdown_text(b, r->verdict), as_buf_char(b, '\n');
}
