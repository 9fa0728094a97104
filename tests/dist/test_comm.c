/* The tree has the bits of one process for any number of ranks; the communicator moves what it is given. The parts that need ranks start
 * this program again under mpirun. */
#include "base/mem.h"
#include "dist/comm.h"
#include "dist/tree.h"
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *self;

/* --- the tree --- */
typedef struct sums { float v[8]; int adds; } sums;
static void add(void *ctx, int to, int from) {
    sums *s = ctx;
    s->v[to] += s->v[from], s->adds++;
}
static float value(int shard) { return (shard % 2 ? -1.0f : 1.0f) * (float[]){1e8f, 3.25f, 1e-3f, 7e7f, 0.1f, 123456.7f, 2e-7f, 9e7f}[shard]; }

static void test_dist_tree_has_the_bits_of_one_rank(void **state) {
    (void)state;
    for (int shards = 1; shards <= 8; shards *= 2) {
        sums want = {0};
        for (int i = 0; i < shards; i++) want.v[i] = value(i);
        const as_tree alone = {shards, 1, 0};
        as_tree_fold_own(&alone, add, &want);
        assert_int_equal(want.adds, shards - 1);
        as_tree_fold_rest(&alone, add, &want);
        assert_int_equal(want.adds, shards - 1);
        if (shards == 8) assert_true(want.v[0] == ((value(0) + value(1)) + (value(2) + value(3))) + ((value(4) + value(5)) + (value(6) + value(7))));
        for (int ranks = 1; ranks <= shards; ranks++) {
            sums all = {0};
            int owned = 0;
            for (int rank = 0; rank < ranks; rank++) {
                const as_tree t = {shards, ranks, rank};
                sums own = {0};
                int first, end;
                as_tree_range(&t, rank, &first, &end);
                assert_true(end > first);
                owned += end - first;
                for (int i = first; i < end; i++) own.v[i] = value(i);
                as_tree_fold_own(&t, add, &own);
                all.adds += own.adds;
                for (int i = first; i < end; i++)
                    if (as_tree_root(&t, i)) all.v[i] = own.v[i];
            }
            const as_tree t = {shards, ranks, 0};
            as_tree_fold_rest(&t, add, &all);
            assert_int_equal(owned, shards);
            assert_int_equal(all.adds, shards - 1);
            assert_memory_equal(&all.v[0], &want.v[0], sizeof(float));
        }
    }
}

/* --- one process --- */
static void test_dist_one_process_needs_no_communicator(void **state) {
    (void)state;
    as_err err = {0};
    as_comm *c = (as_comm *)&err;
    bool lost = true;
    int out = 0, in = 7, from = 3;
    as_buf buf = {0};
    assert_int_equal(as_comm_open(&c, &err), AS_OK);
    assert_null(c);
    assert_int_equal(as_comm_rank(c), 0);
    assert_int_equal(as_comm_size(c), 1);
    assert_int_equal(as_comm_local_size(c), 1);
    assert_true(as_comm_leads(c) && as_comm_threads(c) >= 1);
    as_comm_barrier(c), as_comm_broadcast(c, &in, sizeof in), as_comm_all(c, &out, &in, sizeof in);
    assert_int_equal(out, 7);
    assert_int_equal(as_comm_any(c, 5), 5);
    assert_int_equal(as_comm_agree(c, as_fail(&err, AS_IO, "so"), &err), AS_IO);
    assert_string_equal(err.msg, "so");
    assert_int_equal(as_comm_take(c, &buf, &from, false, &err), AS_OK);
    assert_int_equal(from, -1);
    assert_true(as_comm_meet(c, AS_IO, &lost));
    assert_false(lost);
    as_comm_free(c);
}

static void test_dist_launchers_are_known_by_their_variables(void **state) {
    (void)state;
    static const struct { const char *rank, *rank_is, *size, *size_is; int want_rank, want_size; } cases[] = {
        {"OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "4", 1, 4}, /* Open MPI */
        {"PMI_RANK", "0", "PMI_SIZE", "2", 0, 2},                         /* MPICH's hydra, Slurm's PMI */
        {"SLURM_PROCID", "3", "SLURM_STEP_NUM_TASKS", "4", 3, 4},         /* srun */
        {"SLURM_PROCID", "0", "SLURM_NTASKS", "4", 0, 1},                 /* the shell of an sbatch script: one process */
        {"OMPI_COMM_WORLD_RANK", "0", "OMPI_COMM_WORLD_SIZE", "1", 0, 1}, /* mpirun -n 1 */
        {"PMI_RANK", "x", "PMI_SIZE", "2", 0, 1},
        {"PMI_RANK", "2", "PMI_SIZE", "2", 0, 1},                         /* no such rank */
    };
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        setenv(cases[i].rank, cases[i].rank_is, 1), setenv(cases[i].size, cases[i].size_is, 1);
        const as_launch l = as_launch_detect();
        assert_int_equal(l.rank, cases[i].want_rank);
        assert_int_equal(l.size, cases[i].want_size);
        assert_true((l.size > 1) == (l.by != NULL));
        unsetenv(cases[i].rank), unsetenv(cases[i].size);
    }
}

/* --- several processes --- */
#define NEED(cond)                                                                    \
    do {                                                                              \
        if (!(cond)) {                                                                \
            fprintf(stderr, "rank %d, line %d: %s\n", as_comm_rank(c), __LINE__, #cond); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static int rank_of(const as_comm *c, int ahead) { return (as_comm_rank(c) + ahead + as_comm_size(c)) % as_comm_size(c); }

static void move_pieces(as_comm *c) {
    enum { N = 300000 };
    const int n = as_comm_size(c), me = as_comm_rank(c);
    as_err err = {0};
    char *from = as_alloc(N, 1), *to = as_calloc((size_t)n, N);
    as_parcel send[64], receive[64];
    size_t count = 0;
    for (int i = 0; i < N; i++) from[i] = (char)(i * 7 + me);
    for (int ahead = 1; ahead < n; ahead++) /* two pieces to each, one of them short */
        for (size_t k = 0; k < 2; k++, count++) {
            send[count] = (as_parcel){from + k * 1000, k ? N - 1000 : 3, rank_of(c, ahead)};
            receive[count] = (as_parcel){to + (size_t)rank_of(c, -ahead) * N + k * 1000, k ? N - 1000 : 3, rank_of(c, -ahead)};
        }
    NEED(as_comm_exchange(c, send, count, receive, count, &err) == AS_OK);
    for (int r = 0; r < n; r++)
        for (int i = 0; i < N; i++)
            if (r != me && (i < 3 || i >= 1000)) NEED(to[r * N + i] == (char)(i * 7 + r));
    as_free(from), as_free(to);
}

static void send_messages(as_comm *c) {
    const int n = as_comm_size(c);
    as_err err = {0};
    int next[64] = {0}, left = 50 * (n - 1), from;
    as_buf got = {0};
    int text[5000] = {0};
    for (int i = 0; i < 50 && !as_comm_leads(c); i++) { /* small ones and large ones, in order */
        text[0] = i;
        NEED(as_comm_post(c, text, i % 3 ? sizeof(int) : sizeof text, &err) == AS_OK);
    }
    for (; as_comm_leads(c) && left > 0; left--) {
        NEED(as_comm_take(c, &got, &from, true, &err) == AS_OK);
        NEED(from > 0 && from < n && *(const int *)(const void *)got.p == next[from]);
        NEED(got.n == (next[from] % 3 ? sizeof(int) : sizeof text));
        next[from]++;
    }
    if (as_comm_leads(c)) NEED(as_comm_take(c, &got, &from, false, &err) == AS_OK && from == -1);
    as_buf_free(&got);
}

static void agree(as_comm *c) {
    as_err err = {0};
    NEED(as_comm_any(c, as_comm_rank(c) == 1 ? 2 : as_comm_leads(c) ? 1 : 0) == 3);
    NEED(as_comm_agree(c, AS_OK, &err) == AS_OK);
    const bool bad = as_comm_rank(c) > 0;
    const as_status s = bad ? as_fail(&err, AS_FORMAT, "rank %d: line 3", as_comm_rank(c)) : AS_OK;
    if (bad) as_hint(&err, "Mend it.");
    NEED(as_comm_agree(c, s, &err) == AS_FORMAT);
    NEED(strcmp(err.msg, "rank 1: line 3") == 0 && strcmp(err.hint, "Mend it.") == 0);
    NEED(as_comm_agree(c, AS_OK, &err) == AS_FORMAT); /* all are on their way out */
    NEED(as_comm_agree(c, AS_IO, &err) == AS_IO);
}

static void count(as_comm *c) {
    for (int round = 0; round < 2; round++) {
        int64_t mine = 0, all[64], sum = 0, times = 0;
        as_comm_count_from_zero(c);
        for (int64_t i; (i = as_comm_next(c)) < 100; times++) mine += i;
        as_comm_all(c, all, &mine, sizeof mine);
        for (int i = 0; i < as_comm_size(c); i++) sum += all[i];
        NEED(sum == 4950);
        as_comm_barrier(c);
    }
}

/* "lost": rank 1 fails while the others are in a call together; it must be able to tell, and to end them. */
static int as_rank(const char *how) {
    as_comm *c;
    as_err err = {0};
    bool lost;
    if (as_comm_open(&c, &err) != AS_OK) return fprintf(stderr, "%s\n", err.msg), (int)err.status;
    NEED(as_comm_local_size(c) == as_comm_size(c) && as_comm_local_rank(c) == as_comm_rank(c));
    if (strcmp(how, "lost") == 0) {
        if (as_comm_rank(c) != 1) as_comm_barrier(c), sleep(60);
        NEED(as_comm_meet(c, AS_IO, &lost) && lost);
        fprintf(stderr, "told\n");
        as_comm_abort(c, 3);
        return 3;
    }
    int seed = as_comm_leads(c) ? 41 : 0;
    as_comm_broadcast(c, &seed, sizeof seed);
    NEED(seed == 41);
    move_pieces(c), send_messages(c), count(c), agree(c);
    const bool tell = as_comm_meet(c, as_comm_rank(c) == 0 ? AS_OK : AS_IO, &lost);
    NEED(!lost && tell == (as_comm_rank(c) == 1));
    as_comm_free(c);
    return 0;
}

static int under_mpirun(int ranks, const char *how, const char *log) {
    char command[1024];
    snprintf(command, sizeof command, "ASAN_OPTIONS=detect_leaks=0 timeout 100 mpirun %s --oversubscribe -n %d '%s' %s >%s 2>&1", geteuid() == 0 ? "--allow-run-as-root" : "", ranks, self, how, log);
    const int status = system(command);
    return status < 0 ? -1 : (status >> 8) & 0xff;
}
static bool no_mpi(void) {
    const bool none = system("command -v mpirun >/dev/null 2>&1") != 0;
    if (none) printf("skip reason: no mpirun here\n");
    return none;
}
static void show(const char *log) {
    char line[512];
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof line, f)) print_message("%s", line);
    if (f) fclose(f);
}

static void test_dist_ranks_exchange_and_agree(void **state) {
    (void)state;
    if (no_mpi()) skip();
    char log[] = "/tmp/assay-comm-XXXXXX";
    close(mkstemp(log));
    for (int ranks = 2; ranks <= 3; ranks++) {
        const int status = under_mpirun(ranks, "all", log);
        if (status == 2) { /* AS_USAGE */
            unlink(log);
            printf("skip reason: built without MPI\n");
            skip();
        }
        if (status != 0) show(log);
        assert_int_equal(status, 0);
    }
    unlink(log);
}

static void test_dist_a_rank_that_fails_alone_ends_the_job(void **state) {
    (void)state;
    if (no_mpi()) skip();
    char log[] = "/tmp/assay-comm-XXXXXX", line[512];
    close(mkstemp(log));
    const int status = under_mpirun(3, "lost", log);
    int told = 0;
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof line, f)) told += strcmp(line, "told\n") == 0;
    if (f) fclose(f);
    if (status == 2) printf("skip reason: built without MPI\n");
    else if (status != 3 || told != 1) show(log);
    unlink(log);
    if (status == 2) skip();
    assert_int_equal(status, 3);
    assert_int_equal(told, 1);
}

int main(int argc, char **argv) {
    self = argv[0];
    if (argc > 1) return as_rank(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dist_tree_has_the_bits_of_one_rank),
        cmocka_unit_test(test_dist_one_process_needs_no_communicator),
        cmocka_unit_test(test_dist_launchers_are_known_by_their_variables),
        cmocka_unit_test(test_dist_ranks_exchange_and_agree),
        cmocka_unit_test(test_dist_a_rank_that_fails_alone_ends_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
