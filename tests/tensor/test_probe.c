/* test_probe.c: the row probe and the file in which its answer is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tensor/engine.h"

typedef struct place { char dir[64], folder[128], file[160]; } place;

static int set_up(void **state) {
    static place p;
    snprintf(p.dir, sizeof p.dir, "/tmp/assay-probe-XXXXXX");
    if (!mkdtemp(p.dir)) return -1;
    snprintf(p.folder, sizeof p.folder, "%s/assay", p.dir);
    snprintf(p.file, sizeof p.file, "%s/row-probe", p.folder);
    *state = &p;
    return setenv("XDG_CACHE_HOME", p.dir, 1);
}
static int tear_down(void **state) {
    place *p = *state;
    as_dir_remove(p->folder);
    as_dir_remove(p->dir);
    return unsetenv("XDG_CACHE_HOME");
}

/* Opens an engine; whether its rows are fixed. Skips where oneDNN is not used. */
static bool fixed(void) {
    as_engine_opts o = as_engine_defaults();
    o.threads = 1;
    as_engine *e;
    assert_int_equal(as_engine_open(&e, &o, NULL), AS_OK);
    const bool own = strcmp(as_engine_gemm_name(e), "own") == 0, answer = as_engine_rows_fixed(e);
    as_engine_free(e);
    if (own) {
        print_message("skip reason: oneDNN is not in this build, or not used by this processor\n");
        skip();
    }
    return answer;
}
static void read_all(as_buf *b, const place *p) {
    as_buf_clear(b);
    assert_int_equal(as_file_read(b, p->file, 0, NULL), AS_OK);
}

static void test_probe_keeps_its_answer(void **state) {
    const place *p = *state;
    as_buf b = {0}, again = {0};
    const bool first = fixed();
    read_all(&b, p);
    assert_non_null(strstr(b.p, first ? "\tdiffer\n" : "\tsame\n"));
    assert_int_equal(fixed(), first);
    read_all(&again, p);
    assert_string_equal(again.p, b.p); /* found, not added once more */

    /* The answer that is kept is the one that is used. */
    char *tab = strchr(b.p, '\t');
    assert_non_null(tab);
    *tab = '\0';
    as_buf other = {0};
    as_buf_fmt(&other, "another machine\tsame\n%s\t%s\n", b.p, first ? "same" : "differ");
    assert_int_equal(as_file_write(p->file, other.p, other.n, NULL), AS_OK);
    assert_int_equal(fixed(), !first);
    as_buf_free(&b), as_buf_free(&again), as_buf_free(&other);
}

static void test_probe_reads_a_damaged_file_as_none(void **state) {
    const place *p = *state;
    const bool first = fixed();
    as_buf b = {0};
    read_all(&b, p);
    const char *const bad[] = {"", "\n\n\n", "\t", "no tab at all", "\tsame\n"};
    for (size_t i = 0; i < AS_COUNT(bad); i++) {
        assert_int_equal(as_file_write(p->file, bad[i], strlen(bad[i]), NULL), AS_OK);
        assert_int_equal(fixed(), first);
    }
    /* its line cut short: asked anew */
    assert_int_equal(as_file_write(p->file, b.p, b.n - 3, NULL), AS_OK);
    assert_int_equal(fixed(), first);
    as_buf_free(&b);
}

static void test_probe_works_without_a_cache(void **state) {
    (void)state;
    const bool first = fixed();
    assert_int_equal(setenv("XDG_CACHE_HOME", "/dev/null", 1), 0);
    assert_int_equal(fixed(), first);
    unsetenv("XDG_CACHE_HOME");
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "");
    unsetenv("HOME");
    assert_int_equal(fixed(), first);
    setenv("HOME", home, 1);
    free(home);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(test_probe_keeps_its_answer), T(test_probe_reads_a_damaged_file_as_none), T(test_probe_works_without_a_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
