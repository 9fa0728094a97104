/* A program that is built without MPI refuses to be one of several processes: each would do all the work, and write over the others. */
#define AS_MPI 0
#include "dist/mpi_link.c" /* in place of the archive's */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>

static void test_dist_without_mpi_several_processes_are_refused(void **state) {
    (void)state;
    as_err err = {0};
    as_comm *c = (as_comm *)&err;
    setenv("OMPI_COMM_WORLD_RANK", "1", 1), setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    assert_int_equal(as_comm_open(&c, &err), AS_USAGE);
    assert_null(c);
    assert_string_equal(err.msg, "several processes were started, and this assay was built without MPI");
    assert_int_equal(as_mem_live_blocks(), 0);
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1), setenv("OMPI_COMM_WORLD_RANK", "0", 1); /* mpirun -n 1 */
    assert_int_equal(as_comm_open(&c, &err), AS_OK);
    assert_null(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dist_without_mpi_several_processes_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
