/* verdict.c: what a contest comes to, in words: who wins, by how much, how sure, what a tie costs, what would settle it. */
#include "base/mem.h"
#include "run/compare_impl.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* A number of the metric: in percent and points, or as it is. */
static void number(as_buf *b, double x, bool percent, bool sign) {
    if (percent && fabs(x) < 0.0005) x = 0.0; /* no "-0.0" */
    if (percent) as_buf_fmt(b, sign ? "%+.1f" : "%.1f", 100 * x);
    else as_buf_fmt(b, sign ? "%+.4g" : "%.4g", x);
}
static const char *points(bool percent) { return percent ? " points" : ""; }

static void p_value(as_buf *b, double p) {
    if (p < 0.0001) as_buf_str(b, "p < 0.0001");
    else as_buf_fmt(b, p < 0.001 ? "p %.4f" : "p %.3f", p);
}

/* 1234567 as 1,234,567. */
static void grouped(as_buf *b, double x) {
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%.0f", x);
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) as_buf_char(b, ',');
        as_buf_char(b, digits[i]);
    }
}

/* "a", "a and b", "a, b and c" */
static void names(as_buf *b, const as_contest *c, const int *v, int n) {
    for (int i = 0; i < n; i++) as_buf_fmt(b, "%s%s", i == 0 ? "" : i == n - 1 ? " and " : ", ", c->systems[v[i]].name);
}

static void how(as_buf *b, const as_contest *c, const as_comparison *v) {
    const bool seeds = c->systems[v->a].seeds > 1 || c->systems[v->b].seeds > 1;
    as_buf_str(b, "paired over ");
    as_buf_str(b, c->cluster ? "clusters" : "items");
    if (seeds) as_buf_str(b, " and seeds");
    as_buf_str(b, ", ");
    p_value(b, v->p_adjusted);
    as_buf_str(b, " after Holm");
}

/* Times the cost per item of the second, where both are known and differ by a tenth or more. */
static void cost(as_buf *b, const as_contest *c, const as_comparison *v) {
    const double x = c->systems[v->a].items_per_second, y = c->systems[v->b].items_per_second;
    if (!(x > 0) || !(y > 0) || c->systems[v->b].parameters == 0) return; /* nobody weighs a model's cost against a constant answer's */
    if (y / x >= 1.1) as_buf_fmt(b, y / x < 10 ? ", for %.1f times the cost per item" : ", for %.0f times the cost per item", y / x);
    else if (x / y >= 1.1) as_buf_fmt(b, ", and takes %.2g of the time per item", y / x);
}

/* The best against the best of those that are really worse. */
static void winner(as_buf *b, const as_contest *c, const as_contest_result *r) {
    const as_comparison *first = NULL;
    for (int i = 0; i < c->count - 1 && !first; i++)
        if (r->comparisons[i].p_adjusted <= 1 - c->level) first = &r->comparisons[i];
    if (!first) {
        as_buf_fmt(b, "No winner: %s scores best, but no system can be told from it.", c->systems[r->best].name);
        return;
    }
    as_buf_fmt(b, "%s %s: ", c->systems[r->best].name, r->tied_count ? "scores best" : "is best");
    number(b, first->diff, first->percent, true);
    as_buf_fmt(b, "%s [", points(first->percent));
    number(b, first->low, first->percent, false), as_buf_str(b, ", "), number(b, first->high, first->percent, false);
    as_buf_fmt(b, "] over %s (", c->systems[first->b].name);
    how(b, c, first);
    as_buf_char(b, ')');
    cost(b, c, first);
    as_buf_char(b, '.');
}

/* Which of those that tie is the cheapest, and what the tie may hide. */
static void ties(as_buf *b, const as_contest *c, const as_contest_result *r) {
    if (r->tied_count == 0) return;
    as_buf_char(b, ' ');
    names(b, c, r->tied, r->tied_count);
    as_buf_fmt(b, " cannot be told from %s", c->systems[r->best].name);
    const as_comparison *v = NULL;
    int cheap = r->best;
    for (int i = 0; i < r->tied_count; i++)
        if (c->systems[r->tied[i]].parameters > 0 && c->systems[r->tied[i]].items_per_second > c->systems[cheap].items_per_second * 1.1) cheap = r->tied[i];
    for (int i = 0; i < c->count - 1; i++)
        if (r->comparisons[i].b == (cheap != r->best ? cheap : r->tied[0])) v = &r->comparisons[i];
    if (v && cheap != r->best) {
        const double faster = c->systems[cheap].items_per_second / c->systems[r->best].items_per_second;
        as_buf_fmt(b, faster < 10 ? "; taking %s, %.1f times as fast, costs at most " : "; taking %s, %.0f times as fast, costs at most ", c->systems[cheap].name, faster);
        number(b, v->higher_is_better ? v->high : -v->low, v->percent, false);
        as_buf_str(b, points(v->percent));
    } else if (v) {
        as_buf_str(b, r->tied_count > 1 ? ": the first is " : ": it is ");
        number(b, v->diff, v->percent, true);
        as_buf_fmt(b, "%s [", points(v->percent));
        number(b, v->low, v->percent, false), as_buf_str(b, ", "), number(b, v->high, v->percent, false), as_buf_char(b, ']');
    }
    as_buf_char(b, '.');
}

/* What these items can show, and what would settle the closest open question. */
static void power(as_buf *b, const as_contest *c, const as_contest_result *r) {
    const as_comparison *open = NULL, *any = &r->comparisons[0];
    for (int i = 0; i < c->count - 1 && !open; i++)
        if (!(r->comparisons[i].p_adjusted <= 1 - c->level) && !isnan(r->comparisons[i].p)) open = &r->comparisons[i];
    const as_comparison *v = open ? open : any;
    if (!(v->mde > 0.0)) return; /* 0: the two never differ, so these items say nothing of what they could show */
    as_buf_str(b, " These ");
    grouped(b, (double)v->n);
    as_buf_str(b, " items can show differences of ");
    number(b, v->mde, v->percent, false);
    as_buf_fmt(b, "%s or more", points(v->percent));
    if (open && isfinite(open->items_needed) && open->items_needed > (double)open->n) {
        as_buf_str(b, "; about ");
        const double scale = pow(10, floor(log10(open->items_needed)) - 1);
        grouped(b, ceil(open->items_needed / scale) * scale);
        as_buf_fmt(b, " items would settle a difference like that to %s", c->systems[open->b].name);
    } else if (open && isinf(open->items_needed)) {
        as_buf_fmt(b, "; the seeds of %s and %s differ so much that only more seeds would settle it", c->systems[open->a].name, c->systems[open->b].name);
    }
    as_buf_char(b, '.');
}

char *as_verdict(const as_contest *c, const as_contest_result *r) {
    as_buf b = {0};
    if (r->best < 0) {
        as_buf_fmt(&b, "No verdict: %s is undefined on this data.", r->metrics[0]);
    } else {
        winner(&b, c, r);
        ties(&b, c, r);
        power(&b, c, r);
        bool single = true;
        for (int i = 0; i < c->count; i++) single &= c->systems[i].seeds < 2;
        if (single) as_buf_str(&b, " This holds for these checkpoints; other seeds of the same training were not tried.");
    }
    if (b.failed) as_buf_free(&b);
    return b.p;
}
