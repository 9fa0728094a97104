/* A report shows what is stored, whatever its texts are: markup that closes, nothing from outside, the same bytes each time. */
#include "fixture.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "io/json.h"
#include "metric/metric.h"
#include "report/report_impl.h"
#include <dirent.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a checker of markup: every tag closes, every attribute is quoted, every & begins an entity --- */
static bool is_void(const char *name) { return !strcmp(name, "meta") || !strcmp(name, "br") || !strcmp(name, "hr") || !strcmp(name, "input"); }

static const char *skip_tag(const char *p, char name[32], bool *self, const char *start) {
    size_t n = 0;
    while (n < 31 && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'))) name[n++] = *p++;
    name[n] = '\0';
    *self = false;
    if (n == 0) fail_msg("a bare < at: %.60s", start);
    while (*p && *p != '>') {
        if (*p == ' ' && (strncmp(p, " on", 3) == 0 || strncmp(p, " src", 4) == 0)) fail_msg("an attribute that acts: %.80s", start);
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            if (!end || memchr(p + 1, '<', (size_t)(end - p))) fail_msg("an attribute does not end: %.80s", start);
            p = end;
        } else if (*p == '<' || *p == '\'') {
            fail_msg("a tag does not end: %.80s", start);
        } else if (*p == '=' && p[1] != '"') {
            fail_msg("an attribute without quotes: %.80s", start);
        }
        *self = *p == '/';
        p++;
    }
    if (*p != '>') fail_msg("a tag does not end: %.80s", start);
    return p + 1;
}

static const char *check_text(const char *p) {
    for (; *p && *p != '<'; p++) {
        if (*p != '&') continue;
        static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
        bool good = false;
        for (size_t i = 0; i < AS_COUNT(known); i++) good = good || strncmp(p, known[i], strlen(known[i])) == 0;
        if (!good) fail_msg("a bare & at: %.60s", p);
    }
    return p;
}

static void check_html(const as_buf *page) {
    assert_int_equal(as_utf8_valid_prefix(page->p, page->n), page->n);
    assert_int_equal(strlen(page->p), page->n);
    char open[64][32];
    int depth = 0;
    const char *p = page->p;
    for (p = check_text(p); *p; p = check_text(p)) {
        const char *const start = p++;
        char name[32];
        bool self;
        if (*p == '!') {
            p = strchr(p, '>') + 1;
        } else if (*p == '/') {
            p = skip_tag(p + 1, name, &self, start);
            if (depth == 0 || strcmp(open[depth - 1], name) != 0) fail_msg("</%s> closes <%s> at: %.80s", name, depth ? open[depth - 1] : "", start - 60);
            depth--;
        } else {
            p = skip_tag(p, name, &self, start);
            if (self || is_void(name)) continue;
            assert_true(depth < 64);
            strcpy(open[depth++], name);
            if (!strcmp(name, "script") || !strcmp(name, "style")) p = strstr(p, !strcmp(name, "script") ? "</script>" : "</style>");
            assert_non_null(p);
        }
    }
    assert_int_equal(depth, 0);
    static const char *const outside[] = {"url(", "@import", "http-equiv", "<link", "<img", "<iframe", "<object", "srcset", "fetch(", "XMLHttp", "nan%", "inf%", "=\"nan", "=\"-nan"};
    for (size_t i = 0; i < AS_COUNT(outside); i++)
        if (strstr(page->p, outside[i])) fail_msg("the page has: %.80s", strstr(page->p, outside[i]));
    for (const char *h = page->p; (h = strstr(h, "href=\"")) != NULL; h++) assert_int_equal(h[6], '#');
}

/* Ids are unique, and every link leads to one. */
static void check_links(const as_buf *page) {
    for (const char *h = page->p; (h = strstr(h, "href=\"#")) != NULL; h++) {
        char want[64];
        const size_t n = strcspn(h + 7, "\"");
        snprintf(want, sizeof want, " id=\"%.*s\"", (int)n, h + 7);
        const char *at = strstr(page->p, want);
        if (!at || strstr(at + 1, want)) fail_msg("%s occurs not once", want);
    }
}

static as_buf html_of(const as_report *r) {
    as_buf page = {0};
    as_err err = {0};
    if (as_report_html(&page, r, &err) != AS_OK) fail_msg("%s", err.msg);
    check_html(&page), check_links(&page);
    return page;
}
static void has(const as_buf *page, const char *text) {
    if (!strstr(page->p, text)) fail_msg("not in the page: %s", text);
}
static void has_not(const as_buf *page, const char *text) {
    if (strstr(page->p, text)) fail_msg("in the page: %.100s", strstr(page->p, text));
}
static int times(const as_buf *page, const char *text) {
    int n = 0;
    for (const char *p = page->p; (p = strstr(p, text)) != NULL; p += strlen(text)) n++;
    return n;
}

/* --- text and numbers --- */
static const struct { const char *in, *out; size_t chars; } texts[] = {
    {"a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&#39;", 0}, {"</script><img onerror>", "&lt;/script&gt;&lt;img onerror&gt;", 0},
    {"\xff" "a\xe4\xb8", "\xef\xbf\xbd" "a\xef\xbf\xbd\xef\xbf\xbd", 0}, {"a\x01\x1b[31m\x7f\xc2\x85z", "a\xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbd\xef\xbf\xbdz", 0},
    {"\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97", "\xe4\xb8\xad\xe6\x96\x87\xe2\x80\xa6", 2}, {"ab", "ab", 2}, {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80\xe2\x80\xa6", 1},
    {"\xe2\x80\xae" "evil", "\xef\xbf\xbd" "evil", 0}, {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 0}, {"line\nnext\t.", "line\nnext\t.", 0}, {"", "", 0}, {NULL, "", 0}};
static void test_report_text_is_escaped_cut_and_cleaned(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(texts); i++) {
        as_buf b = {0};
        as_report_text(&b, texts[i].in, texts[i].chars);
        assert_string_equal(b.p ? b.p : "", texts[i].out);
        as_buf_free(&b);
    }
}

enum { FIXED, SCORE, SIGNED, P_VALUE, SHORT, DURATION };
static const struct { int kind; double x; const char *out; } numbers[] = {
    {FIXED, -0.001, "0.00"}, {FIXED, -1.005e3, "-1005.00"}, {FIXED, (double)NAN, "none"}, {SCORE, 0.91234, "0.9123"}, {SCORE, 12.34567, "12.346"}, {SCORE, 123456.78, "123456.8"},
    {SCORE, (double)INFINITY, "n/a"}, {SIGNED, 0.5, "+0.5000"}, {SIGNED, -0.5, "-0.5000"}, {P_VALUE, 1e-9, "< 0.0001"}, {P_VALUE, 0.03125, "0.0312"}, {P_VALUE, (double)NAN, "n/a"},
    {SHORT, 22713216, "22.7M"}, {SHORT, 1500, "1.5k"}, {SHORT, 999.9, "1k"}, {SHORT, 0.05, "0.05"}, {SHORT, 0, "0"}, {SHORT, 3e-5, "3e-5"}, {SHORT, 1.25e-7, "1.25e-7"}, {SHORT, 0.00099999, "0.001"}, {SHORT, 110e6, "110M"}, {SHORT, -2500, "\xe2\x88\x92" "2.5k"},
    {DURATION, 4.2, "4.2\xc2\xa0s"}, {DURATION, 200, "3\xc2\xa0min 20\xc2\xa0s"}, {DURATION, 7260, "2\xc2\xa0h 1\xc2\xa0min"}, {DURATION, (double)NAN, "n/a"}};
static void test_report_numbers_read_well_in_any_locale(void **state) {
    (void)state;
    for (int locale = 0; locale < 2; locale++) {
        setlocale(LC_ALL, locale ? "de_DE.UTF-8" : "C"); /* where it is installed */
        for (size_t i = 0; i < AS_COUNT(numbers); i++) {
            as_buf b = {0};
            const double x = numbers[i].x;
            switch (numbers[i].kind) {
            case FIXED: as_report_fixed(&b, x, 2, "none", true); break;
            case SCORE: as_report_score(&b, x, true); break;
            case SIGNED: as_report_signed(&b, x, true); break;
            case P_VALUE: as_report_p(&b, x, true); break;
            case SHORT: as_report_short(&b, x); break;
            default: as_report_duration(&b, x);
            }
            assert_string_equal(b.p, numbers[i].out);
            as_buf_free(&b);
        }
    }
    setlocale(LC_ALL, "C");
    as_buf b = {0};
    as_report_count(&b, 22713216), as_buf_char(&b, ' '), as_report_count(&b, -1234), as_buf_char(&b, ' '), as_report_count(&b, 7), as_buf_char(&b, ' '), as_report_date(&b, 1772366400.9);
    assert_string_equal(b.p, "22,713,216 -1,234 7 2026-03-01 12:00:00 UTC");
    as_buf_free(&b);
}

static void test_report_ticks_are_round_and_inside(void **state) {
    (void)state;
    static const struct { double lo, hi; bool log; } cases[] = {{0, 1, false}, {0.9, 0.93, false}, {5, 5, false}, {0, 0, false}, {-3, 4e9, false}, {20, 9000, true}, {1e-6, 1e6, true}, {3, 4, true}, {-1e300, 1e300, false}, {(double)NAN, 1, false}};
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        double tick[12];
        const as_scale s = as_svg_scale(cases[i].lo, cases[i].hi, cases[i].log);
        const int n = as_svg_ticks(tick, &s, 5);
        assert_in_range(n, 2, 12);
        for (int k = 0; k < n; k++) {
            assert_true(tick[k] >= s.lo - 1e-9 * fabs(s.lo) && tick[k] <= s.hi + 1e-9 * fabs(s.hi));
            if (k > 0) assert_true(tick[k] > tick[k - 1]);
        }
        if (isfinite(cases[i].lo)) assert_true(as_svg_at(&s, cases[i].lo) >= 0 && as_svg_at(&s, cases[i].hi) <= 1 && as_svg_at(&s, cases[i].lo) <= as_svg_at(&s, cases[i].hi));
    }
}

static void test_report_front_holds_what_nothing_dominates(void **state) {
    (void)state;
    enum { N = 8 };
    const as_point p[N] = {{"slow and good", 10, 0.95, NONE, NONE}, {"fast and good", 100, 0.93, NONE, NONE}, {"dominated", 50, 0.90, NONE, NONE}, {"fastest", 1000, 0.6, NONE, NONE},
                           {"equal", 100, 0.93, NONE, NONE}, {"unknown cost", NONE, 0.99, NONE, NONE}, {"worst", 5, 0.1, NONE, NONE}, {"as good, slower", 90, 0.93, NONE, NONE}};
    static const bool want[4][N] = {{1, 1, 0, 1, 1, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 1, 0}, {0, 0, 0, 1, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 0, 1, 0}};
    for (int k = 0; k < 4; k++) {
        bool front[N];
        as_svg_front(front, &(as_scatter){"t", "x", "y", p, N, k % 2 == 0, k < 2});
        assert_memory_equal(front, want[k], sizeof front);
    }
}

/* Confidences on the edges of the bins, as both ways of counting them give them; neighbours are right and wrong in turn, so
 * that an item in the wrong bin changes the ECE. */
static void test_report_bins_agree_with_the_metric(void **state) {
    (void)state;
    for (int labels = 2; labels <= 6; labels++)
        for (int edges = 0; edges < 3; edges++) {
            fixture *f = fix_open(1, AS_PRED_CLASS, edges < 2 ? 15 : 700, labels);
            as_predictions *p = &f->stored[0].p;
            double *probs = (double *)p->probs;
            for (int i = 0; i < 15 && edges < 2; i++) {
                const double step = 1.0 / 15, sure = edges ? 1 - step * (14 - i) : step * (i + 1);
                for (int k = 0; k < labels; k++) probs[i * labels + k] = k == 0 ? fmin(sure, 1) : 0;
                ((int32_t *)p->gold)[i] = i % 2;
            }
            as_bin bins[AS_REPORT_BINS + 1];
            as_metric *m = NULL;
            assert_int_equal(as_metric_open(&m, "ece(bins:15)", p, NULL), AS_OK);
            void *scratch = as_alloc_aligned(as_metric_scratch(m) + 64, 1);
            assert_true(fabs(as_report_bins(bins, p) - as_metric_aggregate(m, NULL, scratch).value) < 1e-12);
            int64_t n = 0;
            for (int b = 0; b <= AS_REPORT_BINS; b++) n += bins[b].n;
            assert_int_equal(n, p->n);
            as_free_aligned(scratch), as_metric_free(m), fix_close(f);
        }
}

static void test_report_confusion_shows_counts_and_shares_of_rows(void **state) {
    (void)state;
    char *labels[] = {(char *)"no", (char *)"yes", (char *)"never"};
    const int64_t cells[] = {8, 2, 0, 1, 9, 2, 0, 0, 0};
    as_buf b = {0};
    as_svg_confusion(&b, "m", labels, 3, cells);
    check_html(&b);
    has(&b, "<td class=\"q7 dg\"><b>8</b><small>80\xc2\xa0%</small></td><td class=\"q2\"><b>2</b><small>20\xc2\xa0%</small></td><td class=\"q0\"><b>0</b></td><td class=\"n\">10</td>");
    has(&b, "<td class=\"q0 dg\"><b>0</b></td><td class=\"n\">0</td>"); /* a label without items */
    as_buf_free(&b);
}

/* --- pages --- */
static void test_report_one_run_has_every_section(void **state) {
    (void)state;
    fixture *f = fix_open(1, AS_PRED_CLASS, 872, 2);
    fix_slices(f, 0), fix_steps(f, 0, 80);
    f->result[0].truncated = 3, f->result[0].head_fresh = true;
    as_buf page = html_of(&f->r);
    static const char *const parts[] = {"id=\"verdict\"", "id=\"scores\"", "id=\"learning\"", "id=\"confusion\"", "id=\"calibration\"", "id=\"slices\"", "id=\"errors\"", "id=\"provenance\"",
        "recipe.lr", "3e-05", "9f2c51d1c0b4a7e6", "2026-03-01 12:01:00 UTC", "assay compare 1 2 --metrics &#39;accuracy,f1(macro)&#39; --html report.html", "3 texts were longer", "not trained",
        "&lt;b&gt;forum&lt;/b&gt;", "lower is better", "prefers-color-scheme:dark", "@media print", "PingFang SC"};
    for (size_t i = 0; i < AS_COUNT(parts); i++) has(&page, parts[i]);
    has_not(&page, "id=\"differences\""), has_not(&page, "id=\"cost\"");
    const int plots = times(&page, "role=\"img\""), tables = times(&page, "<details class=\"data\">");
    assert_true(plots > 4 && tables + 1 == plots); /* one table for the reliability diagram and its counts */
    assert_int_equal(times(&page, "aria-label=\""), plots + 1);
    as_buf_free(&page), fix_close(f);
}

static void test_report_contest_names_pairs_and_undefined_values(void **state) {
    (void)state;
    fixture *f = fix_open(4, AS_PRED_CLASS, 400, 3);
    fix_contest(f);
    for (int i = 0; i < 4; i++) fix_steps(f, i, 40);
    as_buf page = html_of(&f->r);
    static const char *const parts[] = {"id=\"differences\"", "id=\"cost\"", "all-MiniLM-L6-v2 wins", "only one class is predicted", "the second is undefined", "undefined", "Score against speed",
        "Score against peak memory", "Score against training time", "class=\"front\"", "700 / 100 / 40 / 32", "p,<br>not worse", "1,921", "wrong in", "mcnemar exact", "+0.0350"};
    for (size_t i = 0; i < AS_COUNT(parts); i++) has(&page, parts[i]);
    has(&page, "#cost"), has_not(&page, ">nan"), has_not(&page, "-nan");
    assert_int_equal(times(&page, "wins: "), 1);
    as_buf_free(&page), fix_close(f);
}

static const struct { const char *name; as_pred_kind kind; int64_t n; int runs, labels; } kinds[] = {
    {"nothing", AS_PRED_CLASS, 0, 0, 2}, {"two runs", AS_PRED_CLASS, 50, 2, 2}, {"no items", AS_PRED_CLASS, 0, 1, 2}, {"one class", AS_PRED_CLASS, 20, 1, 1}, {"one item", AS_PRED_CLASS, 1, 1, 2},
    {"many labels", AS_PRED_CLASS, 300, 1, 60}, {"twelve labels", AS_PRED_CLASS, 300, 1, 12}, {"regression", AS_PRED_VALUE, 120, 1, 0}, {"two regressions", AS_PRED_VALUE, 120, 2, 0},
    {"multilabel", AS_PRED_MULTILABEL, 90, 2, 4}, {"ten runs", AS_PRED_CLASS, 40, 10, 2}, {"no labels", AS_PRED_CLASS, 0, 1, 0}};
static void test_report_every_kind_and_size_is_well_formed(void **state) {
    (void)state;
    for (size_t i = 0; i < AS_COUNT(kinds); i++) {
        fixture *f = fix_open(kinds[i].runs, kinds[i].kind, kinds[i].n, kinds[i].labels);
        as_buf page = html_of(&f->r), again = html_of(&f->r);
        assert_int_equal(page.n, again.n);
        assert_memory_equal(page.p, again.p, page.n);
        if (strcmp(kinds[i].name, "many labels") == 0) has(&page, "60 labels: the 20 most frequent confusions");
        if (kinds[i].kind == AS_PRED_VALUE) has(&page, "the largest errors first"), has_not(&page, "id=\"calibration\"");
        if (kinds[i].runs == 10) has(&page, "The predictions of the first 6 of 10 runs"), has(&page, "all-MiniLM-L6-v2 (run 1)"), has(&page, "of 10</td>");
        as_buf_free(&page), as_buf_free(&again), fix_close(f);
    }
}

static void test_report_runs_without_results_or_items_still_show(void **state) {
    (void)state;
    fixture *f = fix_open(3, AS_PRED_CLASS, 30, 2);
    f->run[0].stored = NULL, f->run[1].result = NULL;
    fix_text(&f->stored[2].config_json, "not json");
    as_buf page = html_of(&f->r);
    has(&page, "<td>not json</td>"), has(&page, "no score is defined");
    as_buf_free(&page);
    f->r.title = NULL, f->r.command = NULL, f->r.version = NULL;
    page = html_of(&f->r);
    f->run[0].stored = &f->stored[0];
    as_buf_free(&page), fix_close(f);
}

static void test_report_hostile_texts_stay_text(void **state) {
    (void)state;
    static const char *const bad[] = {"</script><img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "' onclick='x", "\xff\xfe\x80 invalid", "\xe2\x80\xae rtl \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "<!-- ", "]]>", "&amp;&#x3c;", "a\nb\tc\r\x1b[0m", "</td></tr></table></body>", "{{template}} ${x} `y`"};
    fixture *f = fix_open(2, AS_PRED_CLASS, 24, 2);
    fix_contest(f), fix_slices(f, 0), fix_steps(f, 0, 5);
    for (int64_t i = 0; i < 24; i++)
        for (int k = 0; k < 2; k++) {
            const char *text = bad[i % 12];
            as_stored *s = &f->stored[k];
            fix_text(&s->text[i], text), fix_text(&s->pair[i], text), fix_text(&s->id[i], text), fix_text(&s->gold[i], text), fix_text(&s->pred[i], text);
        }
    for (size_t i = 0; i < 11; i++) f->slices[0][i].column = bad[i], f->slices[0][i].value = bad[i], f->slices[0][i].why = i == 10 ? "<why>" : NULL;
    for (int k = 0; k < 2; k++) {
        fix_text(&f->result[k].model, bad[k]), fix_text(&f->result[k].labels[0], bad[0]), fix_text(&f->result[k].labels[1], bad[3]);
        fix_text(&f->result[k].metrics[0].name, bad[1]), fix_text(&f->result[k].metrics[2].why, bad[1]), fix_text(&f->result[k].dtype, bad[2]);
        f->system[k].name = f->result[k].model;
        fix_text(&f->stored[k].config_json, "{\"</script>\":\"<b>&\",\"\\u0000x\":[\"</td>\"],\"deep\":{\"a\":{\"\\\"\":{}}}}");
    }
    f->r.title = bad[0], f->r.command = bad[1], f->r.version = bad[10], f->contest.verdict = (char *)"</section><b>\n\n&\xff";
    as_buf page = html_of(&f->r);
    assert_int_equal(times(&page, "<script>"), 1), assert_int_equal(times(&page, "</script>"), 1);
    has(&page, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"), has_not(&page, "\x1b"), has_not(&page, "\xe2\x80\xae");
    f->r.contest = NULL;
    as_buf plain = html_of(&f->r);
    as_buf_free(&page), as_buf_free(&plain), fix_close(f);
}

static void test_report_long_texts_and_many_errors_are_cut_and_counted(void **state) {
    (void)state;
    fixture *f = fix_open(1, AS_PRED_CLASS, 9000, 2);
    for (int64_t i = 0; i < 9000; i++) ((int32_t *)f->stored[0].p.pred)[i] = 1 - f->stored[0].p.gold[i];
    char *huge = as_alloc(100001, 1);
    memset(huge, 'x', 100000), huge[100000] = '\0';
    for (int64_t i = 0; i < 9000; i += 1000) fix_text(&f->stored[0].text[i], huge);
    as_free(huge);
    as_buf page = html_of(&f->r);
    has(&page, "2,000 are in this page, 7,000 are left out."), has(&page, "assay eval --items"), has(&page, "assay diff");
    assert_int_equal(times(&page, "<td class=\"x\">"), 2000);
    assert_true(page.n < 2000000);
    as_buf_free(&page), fix_close(f);
}

static void test_report_runs_of_other_items_get_tables_of_their_own(void **state) {
    (void)state;
    fixture *f = fix_open(2, AS_PRED_CLASS, 60, 2);
    f->stored[1].hash[5]++;
    as_buf page = html_of(&f->r);
    assert_int_equal(times(&page, "<table class=\"items"), 2), has_not(&page, "wrong in");
    as_buf_free(&page);
    f->stored[1].hash[5]--;
    page = html_of(&f->r);
    assert_int_equal(times(&page, "<table class=\"items"), 1), has(&page, "wrong in");
    as_buf_free(&page), fix_close(f);
}

static void test_report_long_curves_are_averaged(void **state) {
    (void)state;
    fixture *f = fix_open(1, AS_PRED_CLASS, 10, 2);
    fix_steps(f, 0, 20000);
    as_buf page = html_of(&f->r);
    has(&page, "the mean of 67 neighbours"), has(&page, "20000 were measured");
    assert_true(page.n < 200000);
    as_buf_free(&page), fix_close(f);
}

/* --- the other forms --- */
typedef as_status (*writer)(as_buf *out, const as_report *r, as_err *err);
static const writer writers[] = {as_report_html, as_report_markdown, as_report_json, as_report_csv, as_report_latex};

static as_buf text_of(writer w, const as_report *r) {
    as_buf b = {0};
    assert_int_equal(w(&b, r, NULL), AS_OK);
    if (b.n > 0) assert_int_equal(as_utf8_valid_prefix(b.p, b.n), b.n);
    return b;
}

static void test_report_every_allocation_may_fail(void **state) {
    (void)state;
    fixture *f = fix_open(2, AS_PRED_CLASS, 12, 2);
    fix_contest(f), fix_slices(f, 0), fix_steps(f, 0, 3);
    for (size_t w = 0; w < AS_COUNT(writers) * 2; w++) {
        f->r.contest = w < AS_COUNT(writers) ? &f->contest : NULL;
        const int64_t live = as_mem_live_blocks();
        as_status status = AS_NOMEM;
        for (int64_t n = 1; status != AS_OK; n++) {
            as_buf b = {0};
            as_err err = {0};
            as_mem_fail_after(n);
            status = writers[w % AS_COUNT(writers)](&b, &f->r, &err);
            as_mem_fail_after(0);
            as_buf_free(&b);
            assert_true(status == AS_OK || status == AS_NOMEM);
            assert_int_equal(as_mem_live_blocks(), live);
            assert_true(n < 20000);
        }
    }
    fix_close(f);
}

static void test_report_json_lines_are_objects_with_the_names_of_eval(void **state) {
    (void)state;
    fixture *f = fix_open(3, AS_PRED_CLASS, 40, 2);
    fix_contest(f);
    as_buf b = text_of(as_report_json, &f->r);
    int metrics = 0, standings = 0, compares = 0, verdicts = 0;
    for (char *line = b.p; *line; line = strchr(line, '\n') + 1) {
        as_json *v = NULL;
        const size_t n = strcspn(line, "\n");
        assert_int_equal(as_json_parse(&v, (as_str){line, n}, "line", 0, NULL), AS_OK);
        const as_str kind = as_json_str(as_json_get(v, "kind"), AS_LIT(""));
        metrics += as_str_is(kind, "metric"), standings += as_str_is(kind, "standing"), compares += as_str_is(kind, "compare"), verdicts += as_str_is(kind, "verdict");
        if (as_str_is(kind, "metric") && metrics == 1) {
            assert_int_equal(as_json_int(as_json_get(v, "run"), 0), 1);
            assert_true(as_str_is(as_json_str(as_json_get(v, "signature"), AS_LIT("")), "accuracy"));
            assert_true(as_json_real(as_json_get(v, "value"), 0) == f->result[0].metrics[0].value);
        }
        if (as_str_is(kind, "verdict")) assert_true(as_str_is(as_json_str(as_json_at(as_json_get(v, "tied"), 0), AS_LIT("")), "bert-base-uncased"));
        if (as_str_is(kind, "compare") && compares == 6) assert_int_equal(as_json_typeof(as_json_get(v, "p")), AS_JSON_NULL);
        as_json_free(v);
    }
    assert_int_equal(metrics, 12), assert_int_equal(standings, 6), assert_int_equal(compares, 6), assert_int_equal(verdicts, 1);
    as_buf_free(&b), fix_close(f);
}

static void test_report_csv_rows_have_as_many_cells_as_the_head(void **state) {
    (void)state;
    fixture *f = fix_open(2, AS_PRED_CLASS, 40, 2);
    fix_contest(f);
    f->system[1].name = "a \"name\", with\ncommas";
    as_buf b = text_of(as_report_csv, &f->r);
    int cells = 1, head = 0, rows = 0;
    bool quoted = false;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == '"') quoted = !quoted;
        cells += b.p[i] == ',' && !quoted;
        if (b.p[i] != '\n' || quoted) continue;
        if (rows++ == 0) head = cells;
        assert_int_equal(cells, head);
        cells = 1;
    }
    assert_int_equal(rows, 1 + 8 + 4 + 2);
    has(&b, "\"a \"\"name\"\", with commas\"");
    as_buf_free(&b), fix_close(f);
}

static void test_report_latex_and_markdown_escape_their_own_signs(void **state) {
    (void)state;
    fixture *f = fix_open(2, AS_PRED_CLASS, 40, 2);
    fix_contest(f), fix_slices(f, 0);
    f->system[0].name = "50%_of {all} #1 & $x$ \\ ~ ^ | <b> `c` [l](u)";
    f->r.title = f->system[0].name;
    as_buf tex = text_of(as_report_latex, &f->r), md = text_of(as_report_markdown, &f->r);
    has(&tex, "50\\%\\_of \\{all\\} \\#1 \\& \\$x\\$ \\textbackslash{} \\textasciitilde{} \\textasciicircum{} | \\textless{}b\\textgreater{}");
    has(&tex, "\\toprule"), assert_int_equal(times(&tex, "\\begin{tabular}"), 2), assert_int_equal(times(&tex, "\\end{table}"), 2);
    has(&tex, "$0.0214$ & $0.0642$ \\\\"), has(&tex, "-- & -- \\\\");
    has(&md, "50%\\_of {all} \\#1 &amp; $x$ \\\\ \\~ ^ \\| &lt;b\\> \\`c\\` \\[l\\](u)");
    int bars = 0;
    for (const char *p = md.p; *p; p++) { /* every row of a table has the bars of its head */
        if (p != md.p && p[-1] != '\n') continue;
        int n = 0;
        for (const char *q = p; *q && *q != '\n'; q++) n += *q == '|' && q[-1] != '\\';
        if (*p == '|' && bars > 0) assert_int_equal(n, bars);
        bars = *p == '|' ? n : 0;
    }
    as_buf_free(&tex), as_buf_free(&md), fix_close(f);
}

/* --- lm-evaluation-harness --- */
static as_json *read_json(const char *path) {
    as_json *v = NULL;
    as_err err = {0};
    if (as_json_read(&v, path, &err) != AS_OK) fail_msg("%s", err.msg);
    return v;
}
static bool hash_is(const as_json *v, const char *key, const char *want) { return as_str_is(as_json_str(as_json_get(v, key), AS_LIT("")), want); }

static void test_report_lm_eval_files_have_the_harness_shape(void **state) {
    (void)state;
    char dir[] = "/tmp/assay-report-XXXXXX";
    assert_non_null(mkdtemp(dir));
    fixture *f = fix_open(2, AS_PRED_CLASS, 40, 2);
    for (int i = 0; i < 2; i++) fix_text(&f->result[i].model, "org/model: a?"), f->stored[i].ended = 1772366412.25;
    fix_text(&f->stored[0].text[0], "a \"b\"\n\x0c\xe4\xb8\xad"), fix_text(&f->stored[0].gold[0], "pos"); /* hashes: Python's json and hashlib */
    assert_int_equal(as_report_lm_eval(dir, &f->r, NULL), AS_OK);
    char path[256];
    snprintf(path, sizeof path, "%s/org__model__ a__/results_2026-03-01T12-00-12.250000.json", dir);
    as_json *v = read_json(path);
    const as_json *acc = as_json_get(as_json_get(as_json_get(v, "results"), "sst2"), "acc,none"), *se = as_json_get(as_json_get(as_json_get(v, "results"), "sst2"), "acc_stderr,none");
    const double p = f->result[0].metrics[0].value;
    assert_true(as_json_real(acc, 0) == p && fabs(as_json_real(se, 0) - sqrt(p * (1 - p) / 39)) < 1e-15);
    assert_true(as_str_is(as_json_str(as_json_get(as_json_get(as_json_get(v, "results"), "sst2"), "f1(macro)_stderr,none"), AS_LIT("")), "N/A"));
    assert_int_equal(as_json_int(as_json_get(as_json_get(as_json_get(v, "n-samples"), "sst2"), "effective"), 0), 40);
    assert_true(hash_is(v, "model_name_sanitized", "org__model__ a__"));
    as_json_free(v);
    snprintf(path, sizeof path, "%s/org__model__ a__/samples_sst2_2026-03-01T12-00-12.250000.jsonl", dir);
    as_buf b = {0};
    assert_int_equal(as_file_read(&b, path, 0, NULL), AS_OK);
    int lines = 0;
    for (char *line = b.p; *line; line = strchr(line, '\n') + 1, lines++) {
        assert_int_equal(as_json_parse(&v, (as_str){line, strcspn(line, "\n")}, "line", 0, NULL), AS_OK);
        assert_int_equal(as_json_int(as_json_get(v, "doc_id"), -1), lines);
        assert_int_equal(as_json_count(as_json_get(v, "filtered_resps")), 2), assert_int_equal(as_json_count(as_json_get(v, "arguments")), 2);
        assert_true(as_json_real(as_json_get(v, "acc"), -1) == (f->stored[0].p.gold[lines] == f->stored[0].p.pred[lines]));
        if (lines == 0)
            assert_true(hash_is(v, "doc_hash", "95deefca31ca6fcee237ed7688c043a30b509d7b25ab5fbdb16f028e113f9cc3") && hash_is(v, "target_hash", "7160f8688035138fcbc9a6c8041949ebea0c0d21a1b1d063f839f38d5c2be8f9") &&
                        hash_is(v, "prompt_hash", "e89cbf433f9bb4d7c374444417387c31c439b3633b1de567756c38e757ef952d"));
        as_json_free(v);
    }
    assert_int_equal(lines, 40);
    snprintf(path, sizeof path, "%s/org__model__ a__/results_2026-03-01T12-00-12.250001.json", dir); /* the second run */
    assert_true(as_file_exists(path));
    snprintf(path, sizeof path, "%s/org__model__ a__", dir), as_dir_remove(path), as_dir_remove(dir);
    as_buf_free(&b), fix_close(f);
}

static void test_report_lm_eval_writes_other_kinds_and_stays_in_its_folder(void **state) {
    (void)state;
    char dir[] = "/tmp/assay-report-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    static const char *const metric[] = {[AS_PRED_CLASS] = "acc", [AS_PRED_MULTILABEL] = "exact_match", [AS_PRED_VALUE] = "mse"};
    for (int kind = 0; kind < 3; kind++) {
        fixture *f = fix_open(1, (as_pred_kind)kind, 10, 3);
        fix_text(&f->result[0].model, ".."), fix_text(&f->result[0].task, "../../up\xff");
        if (kind == AS_PRED_CLASS) as_free((void *)f->stored[0].p.probs), f->stored[0].p.probs = NULL;
        assert_int_equal(as_report_lm_eval(dir, &f->r, NULL), AS_OK);
        snprintf(path, sizeof path, "%s/..__/samples_..__..__up\xff_2026-03-01T12-01-12.250000.jsonl", dir);
        as_buf b = {0};
        assert_int_equal(as_file_read(&b, path, 0, NULL), AS_OK);
        char want[64];
        snprintf(want, sizeof want, "\"metrics\": [\"%s\"]", metric[kind]);
        assert_int_equal(times(&b, want), 10);
        snprintf(path, sizeof path, "%s/..__", dir), as_dir_remove(path);
        as_buf_free(&b), fix_close(f);
    }
    as_dir_remove(dir);
    fixture *f = fix_open(1, AS_PRED_CLASS, 10, 3);
    as_err err = {0};
    assert_int_equal(as_report_lm_eval("/proc/nowhere", &f->r, &err), AS_IO);
    assert_true(err.msg[0] != '\0');
    fix_close(f);
}

/* With ASSAY_REPORT_PAGES=FOLDER the pages that render.sh draws are written there. */
static void test_report_pages_for_the_browser(void **state) {
    (void)state;
    const char *dir = getenv("ASSAY_REPORT_PAGES");
    if (!dir) {
        print_message("skip reason: ASSAY_REPORT_PAGES names no folder for render.sh\n");
        skip();
    }
    for (int k = 0; k < 4; k++) {
        fixture *f = k == 0 ? fix_open(4, AS_PRED_CLASS, 872, 2) : k == 1 ? fix_open(1, AS_PRED_CLASS, 500, 6) : k == 2 ? fix_open(2, AS_PRED_VALUE, 300, 0) : fix_open(1, AS_PRED_CLASS, 400, 14);
        if (k == 0) fix_contest(f);
        for (int i = 0; k != 2 && i < f->r.run_count; i++) fix_steps(f, i, (size_t)(40 + 200 * (k == 1)));
        if (k != 2) fix_slices(f, 0);
        if (k == 1) f->result[0].truncated = 12;
        as_buf page = html_of(&f->r);
        char path[512];
        snprintf(path, sizeof path, "%s/page%d.html", dir, k);
        assert_int_equal(as_file_write(path, page.p, page.n, NULL), AS_OK);
        as_buf_free(&page), fix_close(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_text_is_escaped_cut_and_cleaned), cmocka_unit_test(test_report_numbers_read_well_in_any_locale),
        cmocka_unit_test(test_report_ticks_are_round_and_inside), cmocka_unit_test(test_report_front_holds_what_nothing_dominates),
        cmocka_unit_test(test_report_bins_agree_with_the_metric), cmocka_unit_test(test_report_confusion_shows_counts_and_shares_of_rows), cmocka_unit_test(test_report_one_run_has_every_section),
        cmocka_unit_test(test_report_contest_names_pairs_and_undefined_values), cmocka_unit_test(test_report_every_kind_and_size_is_well_formed),
        cmocka_unit_test(test_report_runs_without_results_or_items_still_show), cmocka_unit_test(test_report_hostile_texts_stay_text),
        cmocka_unit_test(test_report_long_texts_and_many_errors_are_cut_and_counted), cmocka_unit_test(test_report_runs_of_other_items_get_tables_of_their_own),
        cmocka_unit_test(test_report_long_curves_are_averaged), cmocka_unit_test(test_report_every_allocation_may_fail),
        cmocka_unit_test(test_report_json_lines_are_objects_with_the_names_of_eval), cmocka_unit_test(test_report_csv_rows_have_as_many_cells_as_the_head),
        cmocka_unit_test(test_report_latex_and_markdown_escape_their_own_signs), cmocka_unit_test(test_report_lm_eval_files_have_the_harness_shape),
        cmocka_unit_test(test_report_lm_eval_writes_other_kinds_and_stays_in_its_folder), cmocka_unit_test(test_report_pages_for_the_browser)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
