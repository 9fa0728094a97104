#include "base/check.h"
#include "base/log.h"
#include "base/utf8.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct seen {
    int count;
    as_level level;
    char line[4096];
} seen;

static void remember(void *ctx, as_level level, const char *line) {
    seen *const s = ctx;
    s->count++;
    s->level = level;
    snprintf(s->line, sizeof s->line, "%s", line);
}

static void test_log_passes_formatted_lines_to_the_sink(void **state) {
    (void)state;
    seen s = {0};
    const as_log log = {remember, &s}, silent = {NULL, NULL};
    as_log_line(&log, AS_WARN, "%d of %s", 3, "x");
    assert_int_equal(s.count, 1);
    assert_int_equal(s.level, AS_WARN);
    assert_string_equal(s.line, "3 of x");
    as_log_line(&silent, AS_ERROR, "x");
    as_log_line(NULL, AS_ERROR, "x");
    assert_int_equal(s.count, 1);
}

static void test_progress_counts_but_draws_nothing_off_a_terminal(void **state) {
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    as_progress p;
    as_progress_begin(&p, fd[1], false, "score", 10);
    p.last_drawn -= 1;
    as_progress_add(&p, 4, 100);
    as_progress_add(&p, 6, 200);
    assert_false(p.on);
    assert_int_equal(p.done, 10);
    assert_int_equal(p.tokens, 300);
    as_progress_end(&p);
    struct pollfd ready = {.fd = fd[0], .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0);
    close(fd[0]);
    close(fd[1]);
}

/* What a terminal of 80 columns (a pseudo-terminal, which says 0) receives. */
static size_t drawn_on_terminal(char *out, size_t size, bool quiet, double since) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        print_message("skip reason: no pseudo-terminal here\n");
        skip();
    }
    const int fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    as_progress p;
    as_progress_begin(&p, fd, quiet, "fine-tune, epoch 2 of 3, \xE4\xB8\xAD\xE6\x96\x87", 200);
    p.last_drawn -= since;
    p.started -= 10;
    as_progress_add(&p, 100, 5000);
    struct pollfd ready = {.fd = master, .events = POLLIN};
    const ssize_t n = poll(&ready, 1, 20) == 1 ? read(master, out, size - 1) : 0;
    as_progress_end(&p);
    close(fd);
    close(master);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void test_progress_draws_one_line_that_fits(void **state) {
    (void)state;
    char out[4096];
    assert_true(drawn_on_terminal(out, sizeof out, false, 1) > 0);
    assert_non_null(strstr(out, "fine-tune, epoch 2 of 3"));
    assert_non_null(strstr(out, "50 %"));
    assert_non_null(strstr(out, "0:10 left")); /* what is less needed has gone: the line is narrow */
    assert_null(strstr(out, "tokens/s"));
    assert_null(strchr(out, '\n'));
    char *const end = strstr(out, "\x1b[K");
    assert_non_null(end);
    assert_true(as_utf8_width((as_str){out + 1, (size_t)(end - out) - 1}) < 80);
}

static void test_progress_is_silent_when_quiet_or_just_drawn(void **state) {
    (void)state;
    char out[4096];
    assert_int_equal(drawn_on_terminal(out, sizeof out, true, 1), 0);
    assert_int_equal(drawn_on_terminal(out, sizeof out, false, 0), 0);
}

/* Three pieces of 10, 20 and 70 predicted seconds; the first was found done, the second took twice its time. */
static void test_whole_is_corrected_by_what_was_measured(void **state) {
    (void)state;
    as_whole w = {.planned = 100};
    assert_true(as_whole_left(NULL) == 0);
    assert_true(as_whole_left(&w) == 100);
    as_whole_begin(&w, 10);
    as_whole_end(&w, false);
    assert_true(as_whole_left(&w) == 90);
    as_whole_begin(&w, 20);
    w.began -= 40;
    as_whole_end(&w, true);
    assert_true(as_whole_left(&w) > 139.9 && as_whole_left(&w) < 141);
    /* the last was half done when it began, and is at three quarters after 35 s: 17.5 predicted ones */
    as_whole_begin(&w, 70);
    w.first = 0.5, w.share = 0.75, w.began -= 35;
    assert_true(as_whole_left(&w) > 34.9 && as_whole_left(&w) < 36);
    as_whole_end(&w, true);
    assert_true(as_whole_left(&w) == 0);
    as_whole_begin(NULL, 1);
    as_whole_end(NULL, true);
}

static void test_progress_counts_what_was_done_before_apart(void **state) {
    (void)state;
    as_whole w = {.planned = 50};
    as_progress p;
    as_whole_begin(&w, 50);
    as_progress_begin(&p, -1, true, "train", 200);
    p.whole = &w;
    as_progress_skip(&p, 100);
    assert_int_equal(p.done, 100);
    assert_int_equal(p.skipped, 100);
    assert_true(w.first == 0.5 && w.share == 0.5);
    as_progress_end(&p);
}

static void test_times_are_written_as_clocks(void **state) {
    (void)state;
    char out[32];
    static const struct { double seconds; const char *want; } cases[] = {{0, "0:00"}, {8.4, "0:08"}, {68, "1:08"}, {400, "6:40"}, {7268, "2:01:08"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        as_format_time(out, sizeof out, cases[i].seconds);
        assert_string_equal(out, cases[i].want);
    }
}

static void test_clocks_advance(void **state) {
    (void)state;
    const double a = as_clock(), w = as_clock_wall();
    assert_true(as_clock() >= a);
    assert_true(w > 1.6e9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_passes_formatted_lines_to_the_sink),
        cmocka_unit_test(test_progress_counts_but_draws_nothing_off_a_terminal),
        cmocka_unit_test(test_progress_draws_one_line_that_fits),
        cmocka_unit_test(test_progress_is_silent_when_quiet_or_just_drawn),
        cmocka_unit_test(test_whole_is_corrected_by_what_was_measured),
        cmocka_unit_test(test_progress_counts_what_was_done_before_apart),
        cmocka_unit_test(test_times_are_written_as_clocks),
        cmocka_unit_test(test_clocks_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
