#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[128];

static int enter(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/assay-test-XXXXXX");
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 && as_mem_live_blocks() == 0 ? 0 : -1;
}

static int files_in(const char *folder) {
    DIR *const d = opendir(folder);
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static void expect_content(const char *file, const char *want, size_t n) {
    as_buf b = {0};
    as_err err;
    assert_int_equal(as_file_read(&b, file, 0, &err), ASSAY_OK);
    assert_int_equal(b.n, n);
    if (n > 0) assert_memory_equal(b.p, want, n + 1);
    as_buf_free(&b);
}

static void test_file_write_then_read_gives_the_bytes(void **state) {
    (void)state;
    as_err err;
    assert_int_equal(as_file_write(path, "a\0b\n", 4, &err), ASSAY_OK);
    expect_content(path, "a\0b\n", 4);
    assert_int_equal(as_file_write(path, "", 0, &err), ASSAY_OK);
    expect_content(path, "", 0);
    assert_int_equal(files_in(dir), 1);
}

static void test_writer_keeps_the_order_of_small_and_large_pieces(void **state) {
    (void)state;
    as_err err;
    as_writer w;
    const size_t big = (1u << 20) + 5;
    char *const piece = as_alloc(big, 1);
    memset(piece, 'x', big);
    as_buf want = {0};
    assert_int_equal(as_writer_open(&w, path, &err), ASSAY_OK);
    for (int i = 0; i < 3; i++) {
        as_writer_add(&w, "small", 5);
        as_writer_add(&w, piece, big);
        as_writer_add(&w, piece, big / 2);
        as_buf_str(&want, "small");
        as_buf_add(&want, piece, big);
        as_buf_add(&want, piece, big / 2);
    }
    assert_int_equal(w.total, want.n);
    assert_false(as_file_exists(path)); /* nothing under the name before commit */
    assert_int_equal(as_writer_commit(&w, &err), ASSAY_OK);
    as_writer_abort(&w);
    expect_content(path, want.p, want.n);
    as_buf_free(&want);
    as_free(piece);
}

static void test_writer_abort_keeps_the_old_file(void **state) {
    (void)state;
    as_err err;
    as_writer w;
    assert_int_equal(as_file_write(path, "old", 3, &err), ASSAY_OK);
    assert_int_equal(as_writer_open(&w, path, &err), ASSAY_OK);
    as_writer_add(&w, "new", 3);
    assert_int_equal(files_in(dir), 2);
    as_writer_abort(&w);
    as_writer_abort(&w);
    expect_content(path, "old", 3);
    assert_int_equal(files_in(dir), 1);
}

static void test_writer_survives_a_full_disk(void **state) {
    (void)state;
    as_err err;
    assert_int_equal(as_file_write(path, "old", 3, &err), ASSAY_OK);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 64 << 10;
    char *const big = as_calloc(3 << 20, 1);
    /* The limit's signal has its default action, death: the writer must not let it through. */
    assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const as_status s = as_file_write(path, big, 3 << 20, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(s, ASSAY_IO);
    assert_non_null(strstr(err.msg, path));
    assert_true(err.hint[0] != '\0');
    expect_content(path, "old", 3);
    assert_int_equal(files_in(dir), 1);
    as_free(big);
}

static void test_writer_names_the_file_that_cannot_be_written(void **state) {
    (void)state;
    as_err err;
    as_writer w;
    char missing[200];
    snprintf(missing, sizeof missing, "%s/no/such/file", dir);
    assert_int_equal(as_writer_open(&w, missing, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, missing));
    as_writer_abort(&w);
    assert_int_equal(as_writer_open(&w, dir, &err), ASSAY_IO);
    assert_int_equal(files_in(dir), 0);
}

static void test_writer_goes_through_links_and_to_devices(void **state) {
    (void)state;
    as_err err;
    char link_path[200];
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    assert_int_equal(as_file_write(path, "old", 3, &err), ASSAY_OK);
    assert_int_equal(symlink("file", link_path), 0);
    assert_int_equal(as_file_write(link_path, "new", 3, &err), ASSAY_OK);
    struct stat st;
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    expect_content(path, "new", 3);
    assert_int_equal(as_file_write("/dev/null", "x", 1, &err), ASSAY_OK);
}

static void test_file_read_appends_and_obeys_the_limit(void **state) {
    (void)state;
    as_err err;
    as_buf b = {0};
    assert_int_equal(as_file_write(path, "12345", 5, &err), ASSAY_OK);
    as_buf_str(&b, "0");
    assert_int_equal(as_file_read(&b, path, 5, &err), ASSAY_OK);
    assert_string_equal(b.p, "012345");
    assert_int_equal(as_file_read(&b, path, 4, &err), ASSAY_FORMAT);
    assert_non_null(strstr(err.msg, path));
    as_buf_free(&b);
    assert_int_equal(as_file_read(&b, "/proc/self/status", 0, &err), ASSAY_OK); /* says size 0 */
    assert_true(b.n > 100);
    as_buf_free(&b);
}

static void test_file_read_names_the_missing_file(void **state) {
    (void)state;
    as_err err;
    as_buf b = {0};
    assert_int_equal(as_file_read(&b, path, 0, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(as_file_read(&b, dir, 0, &err), ASSAY_IO);
    as_buf_free(&b);
}

static void test_file_read_reports_each_failed_allocation(void **state) {
    (void)state;
    as_err err;
    assert_int_equal(as_file_write(path, "12345", 5, &err), ASSAY_OK);
    as_buf b = {0};
    as_mem_fail_after(1);
    assert_int_equal(as_file_read(&b, path, 0, &err), ASSAY_NOMEM);
    as_buf_free(&b);
    for (int n = 1; n <= 3; n++) {
        as_mem_fail_after(n);
        assert_int_equal(as_file_write(path, "new", 3, &err), ASSAY_NOMEM);
    }
    as_mem_fail_after(0);
    expect_content(path, "12345", 5);
}

static void test_map_gives_the_bytes_and_refuses_what_is_no_file(void **state) {
    (void)state;
    as_err err;
    as_map m;
    assert_int_equal(as_file_write(path, "mapped", 6, &err), ASSAY_OK);
    assert_int_equal(as_map_open(&m, path, &err), ASSAY_OK);
    assert_int_equal(m.n, 6);
    assert_memory_equal(m.p, "mapped", 6);
    as_map_close(&m);
    as_map_close(&m);
    assert_int_equal(as_file_write(path, "", 0, &err), ASSAY_OK);
    assert_int_equal(as_map_open(&m, path, &err), ASSAY_OK);
    assert_int_equal(m.n, 0);
    assert_non_null(m.p);
    as_map_close(&m);
    assert_int_equal(as_map_open(&m, dir, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, "folder"));
    assert_int_equal(as_map_open(&m, "/dev/null", &err), ASSAY_IO);
    char missing[200];
    snprintf(missing, sizeof missing, "%s/none", dir);
    assert_int_equal(as_map_open(&m, missing, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, missing));
}

static void test_dir_make_makes_parents_and_accepts_existing(void **state) {
    (void)state;
    as_err err;
    char deep[200], under[220];
    snprintf(deep, sizeof deep, "%s/a/b//c/", dir);
    assert_int_equal(as_dir_make(deep, &err), ASSAY_OK);
    assert_true(as_dir_exists(deep));
    assert_false(as_file_exists(deep));
    assert_int_equal(as_dir_make(deep, &err), ASSAY_OK);
    assert_int_equal(as_dir_make("/", &err), ASSAY_OK);
    assert_int_equal(as_file_write(path, "x", 1, &err), ASSAY_OK);
    snprintf(under, sizeof under, "%s/sub", path);
    assert_int_equal(as_dir_make(under, &err), ASSAY_IO);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(as_dir_make(path, &err), ASSAY_IO);
    assert_true(as_file_exists(path));
    assert_false(as_dir_exists(path));
}

static void test_path_join_and_base(void **state) {
    (void)state;
    static const struct {
        const char *dir, *name, *want;
    } cases[] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {"a", "", "a/"},
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        char *const p = as_path_join(cases[i].dir, cases[i].name);
        assert_string_equal(p, cases[i].want);
        as_free(p);
    }
    assert_string_equal(as_path_base("/a/b.c"), "b.c");
    assert_string_equal(as_path_base("b.c"), "b.c");
}

#define T(name) cmocka_unit_test_setup_teardown(name, enter, leave)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_file_write_then_read_gives_the_bytes),
        T(test_writer_keeps_the_order_of_small_and_large_pieces),
        T(test_writer_abort_keeps_the_old_file),
        T(test_writer_survives_a_full_disk),
        T(test_writer_names_the_file_that_cannot_be_written),
        T(test_writer_goes_through_links_and_to_devices),
        T(test_file_read_appends_and_obeys_the_limit),
        T(test_file_read_names_the_missing_file),
        T(test_file_read_reports_each_failed_allocation),
        T(test_map_gives_the_bytes_and_refuses_what_is_no_file),
        T(test_dir_make_makes_parents_and_accepts_existing),
        T(test_path_join_and_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
