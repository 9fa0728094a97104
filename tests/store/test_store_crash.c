/* Several processes, kill -9, full disks. */
#include "store/store_check.h"
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { ITEMS = 3000, BATCH = 37 };

/* Shared with the children: how many items a flush has confirmed (by the first letter of the run's key), and a signal. */
typedef struct board { _Atomic int confirmed[128], ready; } board;
static board *shared;

static _Atomic int *confirmed_of(const char *key) { return &shared->confirmed[(unsigned char)key[0] & 127]; }

static int setup_group(void **state) {
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

/* Item at place k of the order in which they are scored: a permutation of 0..ITEMS-1. */
static int64_t scored_at(int k) { return (int64_t)k * 1741 % ITEMS; }

/* A command's work: find the run, score what is not done, end. Returns an exit status; runs in children. */
static int work(const char *key) {
    static uint8_t done[ITEMS];
    as_store *s = NULL;
    as_run run;
    as_run_key k = sample_key;
    sample_room room;
    k.key = key;
    if (as_store_open(&s, db, NULL) != AS_OK) return 10;
    if (as_store_run_begin(s, &k, false, &run, NULL) != AS_OK) return 11;
    if (run.state == AS_RUN_DONE) return 0;
    if (as_store_items_done(s, run.id, done, ITEMS, NULL) != AS_OK) return 12;
    for (int i = 0; i < *confirmed_of(key); i++)
        if (!done[scored_at(i)]) return 13; /* a confirmed item is gone */
    int since = 0;
    for (int i = 0; i < ITEMS; i++) {
        if (done[scored_at(i)]) continue;
        const as_item item = sample_item(scored_at(i), &room);
        if (as_store_item_add(s, run.id, &item, NULL) != AS_OK) return 14;
        if (++since % BATCH == 0) {
            if (as_store_flush(s, NULL) != AS_OK) return 15;
            *confirmed_of(key) = i + 1;
        }
    }
    if (as_store_run_end(s, run.id, AS_RUN_DONE, "{}", NULL) != AS_OK) return 16;
    as_store_close(s);
    return 0;
}

static pid_t start(int (*body)(const char *), const char *arg) {
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) _exit(body(arg));
    assert_true(pid > 0);
    return pid;
}

static int finish(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static as_buf stored(int64_t run) {
    as_store *s = NULL;
    as_err err = {0};
    must(as_store_open(&s, db, &err), err);
    as_buf b = dump_items(s, run);
    as_store_close(s);
    return b;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(double seconds) {
    const struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    nanosleep(&t, NULL);
}

static void test_store_kill_9_at_any_instant_loses_nothing_confirmed(void **state) {
    (void)state;
    const int instants = getenv("ASSAY_FULL") ? 100 : 20;
    const double begun = now();
    *confirmed_of("k") = 0;
    assert_int_equal(finish(start(work, "k")), 0);
    const double whole = now() - begun;
    as_buf want = stored(1);
    int killed = 0;
    srand(7);
    for (int i = 0; i < instants; i++) {
        char command[320];
        snprintf(command, sizeof command, "rm -f '%s' '%s-wal' '%s-shm'", db, db, db);
        assert_int_equal(system(command), 0);
        *confirmed_of("k") = 0;
        const pid_t pid = start(work, "k");
        nap(whole * ((double)i + (double)rand() / RAND_MAX) / instants);
        kill(pid, SIGKILL);
        killed += finish(pid) == 1000 + SIGKILL;
        const int status = finish(start(work, "k")); /* at once: nobody has to wait for a dead process */
        if (status != 0) fail_msg("instant %d: status %d", i, status);
        as_buf got = stored(1);
        assert_string_equal(got.p, want.p);
        as_buf_free(&got);
    }
    print_message("killed in time: %d of %d\n", killed, instants);
    assert_true(killed > instants / 2);
    as_buf_free(&want);
}

static void test_store_two_processes_write_to_one_file(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d"};
    pid_t pids[4];
    for (int i = 0; i < 4; i++) *confirmed_of(keys[i]) = 0;
    for (int i = 0; i < 4; i++) pids[i] = start(work, keys[i]); /* they also create the file together */
    for (int i = 0; i < 4; i++) assert_int_equal(finish(pids[i]), 0);
    as_buf first = stored(1);
    for (int64_t run = 2; run <= 4; run++) {
        as_buf other = stored(run);
        assert_string_equal(other.p, first.p);
        as_buf_free(&other);
    }
    assert_non_null(strstr(first.p, "2999 2999 "));
    as_buf_free(&first);
}

/* ---- who holds a run ---- */

static int hold(const char *key) {
    as_store *s = NULL;
    as_run run;
    as_run_key k = sample_key;
    k.key = key;
    if (as_store_open(&s, db, NULL) != AS_OK || as_store_run_begin(s, &k, false, &run, NULL) != AS_OK) return 10;
    shared->ready = 1;
    for (;;) pause();
}

static as_status try_begin(const char *key, as_run *run, as_err *err) {
    as_store *s = NULL;
    as_run_key k = sample_key;
    k.key = key;
    must(as_store_open(&s, db, err), *err);
    const as_status status = as_store_run_begin(s, &k, false, run, err);
    as_store_close(s);
    return status;
}

static void test_store_refuses_a_run_that_a_live_process_holds(void **state) {
    (void)state;
    as_run run;
    as_err err = {0};
    shared->ready = 0;
    const pid_t pid = start(hold, "k");
    while (!shared->ready) nap(0.001);
    assert_int_equal(try_begin("k", &run, &err), AS_IO);
    assert_non_null(strstr(err.msg, "run 1 is being worked on by another process"));
    assert_non_null(strstr(err.hint, "--again"));
    must(try_begin("other", &run, &err), err);
    kill(pid, SIGKILL);
    nap(0.02); /* dead, but not waited for: a zombie holds nothing */
    must(try_begin("k", &run, &err), err);
    assert_true(run.existed && run.id == 1);
    assert_int_equal(finish(pid), 1000 + SIGKILL);
}

static void test_store_heartbeat_decides_for_holders_on_other_machines(void **state) {
    (void)state;
    static const struct { double age; as_status want; } cases[] = {{2, AS_IO}, {9, AS_IO}, {11, AS_OK}, {1e6, AS_OK}};
    as_run run;
    as_err err = {0};
    must(try_begin("k", &run, &err), err);
    for (size_t i = 0; i < AS_COUNT(cases); i++) {
        sqlite3 *c = NULL;
        char sql[200];
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        snprintf(sql, sizeof sql, "UPDATE runs SET owner = 12345, owner_pid = 1, owner_start = 1, heartbeat = %.3f",
                 (double)t.tv_sec + 1e-9 * (double)t.tv_nsec - cases[i].age);
        assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
        assert_int_equal(sqlite3_exec(c, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(c);
        assert_int_equal(try_begin("k", &run, &err), cases[i].want);
    }
}

/* ---- full disk ---- */

/* Adds until the file size limit is hit; then the error is as promised, what was confirmed can be read, and with room
 * again the same handle goes on. */
static int fill_disk(const char *arg) {
    (void)arg;
    as_store *s = NULL;
    as_run run;
    as_err err = {0};
    sample_room room;
    uint8_t done[ITEMS];
    signal(SIGXFSZ, SIG_IGN);
    if (as_store_open(&s, db, &err) != AS_OK || as_store_run_begin(s, &sample_key, false, &run, &err) != AS_OK) return 10;
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 300000;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 11;
    as_status status = AS_OK;
    int i = 0, confirmed = 0;
    for (; i < ITEMS; i++) {
        const as_item item = sample_item(i, &room);
        status = as_store_item_add(s, run.id, &item, &err);
        if (status == AS_OK && i % BATCH == BATCH - 1) {
            status = as_store_flush(s, &err);
            if (status == AS_OK) confirmed = i + 1;
        }
        if (status != AS_OK) break;
    }
    if (status != AS_IO || confirmed == 0) return 12;
    if (!strstr(err.msg, db) || !strstr(err.msg, "File too large") || !strstr(err.hint, "room")) {
        print_error("%s / %s\n", err.msg, err.hint);
        return 13;
    }
    if (as_store_flush(s, &err) != AS_IO) return 14; /* still full */
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 15;
    if (as_store_items_done(s, run.id, done, ITEMS, &err) != AS_OK) return 16;
    for (int k = 0; k <= i; k++)
        if (!done[k]) return 17;
    *confirmed_of(sample_key.key) = 0;
    as_store_close(s);
    return work(sample_key.key);
}

/* The same, but the process gives up while the disk is full. */
static int fill_and_give_up(const char *arg) {
    (void)arg;
    as_store *s = NULL;
    as_run run;
    sample_room room;
    const struct rlimit limit = {300000, 300000};
    signal(SIGXFSZ, SIG_IGN);
    if (as_store_open(&s, db, NULL) != AS_OK || as_store_run_begin(s, &sample_key, false, &run, NULL) != AS_OK) return 10;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 11;
    for (int i = 0; i < ITEMS; i++) {
        const as_item item = sample_item(scored_at(i), &room);
        if (as_store_item_add(s, run.id, &item, NULL) != AS_OK) break;
        if (i % BATCH == BATCH - 1) {
            if (as_store_flush(s, NULL) != AS_OK) break;
            *confirmed_of(sample_key.key) = i + 1;
        }
    }
    as_store_close(s);
    return 0;
}

static void test_store_full_disk_is_an_error_that_loses_nothing(void **state) {
    (void)state;
    assert_int_equal(finish(start(fill_disk, NULL)), 0);
    as_buf got = stored(1);
    assert_non_null(strstr(got.p, "2999 2999 "));
    as_buf_free(&got);
}

static void test_store_stays_readable_after_a_full_disk(void **state) {
    (void)state;
    *confirmed_of(sample_key.key) = 0;
    assert_int_equal(finish(start(fill_and_give_up, NULL)), 0);
    const int confirmed = *confirmed_of(sample_key.key);
    assert_true(confirmed > 0 && confirmed < ITEMS);
    assert_int_equal(finish(start(work, sample_key.key)), 0); /* checks that what was confirmed is there */
    as_buf got = stored(1);
    assert_non_null(strstr(got.p, "2999 2999 "));
    as_buf_free(&got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_store_kill_9_at_any_instant_loses_nothing_confirmed),
        TEST(test_store_two_processes_write_to_one_file),
        TEST(test_store_refuses_a_run_that_a_live_process_holds),
        TEST(test_store_heartbeat_decides_for_holders_on_other_machines),
        TEST(test_store_full_disk_is_an_error_that_loses_nothing),
        TEST(test_store_stays_readable_after_a_full_disk),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
