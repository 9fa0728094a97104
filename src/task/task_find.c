/* task_find.c: where tasks and their files lie. */
#include "base/file.h"
#include "base/mem.h"
#include "io/hub.h"
#include "task/task_impl.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef AS_SHARE
#define AS_SHARE "/usr/local/share/assay"
#endif

static as_status keep(const char **out, as_arena *arena, as_buf *b, as_err *err) {
    *out = b->failed ? NULL : as_task_text(arena, as_buf_view(b));
    as_buf_free(b);
    return *out ? AS_OK : as_fail_nomem(err, "a path", 0);
}

static const char *env(const char *name) {
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

/* --- the built-in folder --- */
/* up + "/share/assay/tasks" from the folder of the running program; false when there is none. */
static bool beside_program(as_buf *b, const char *up) {
    char exe[4096];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return false;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash) return false;
    *slash = '\0';
    char real[PATH_MAX];
    as_buf_clear(b);
    as_buf_fmt(b, "%s%s/share/assay/tasks", exe, up);
    if (b->failed || !as_dir_exists(b->p) || !realpath(b->p, real)) return false;
    as_buf_clear(b);
    as_buf_str(b, real);
    return true;
}

as_status as_task_folder(const char **out, as_arena *arena, as_err *err) {
    as_buf b = {0};
    const char *share = env("ASSAY_SHARE");
    if (share)
        as_buf_fmt(&b, "%s/tasks", share);
    else if (!beside_program(&b, "/..") && !beside_program(&b, "/../.."))
        as_buf_clear(&b), as_buf_str(&b, AS_SHARE "/tasks");
    AS_TRY(keep(out, arena, &b, err));
    if (as_dir_exists(*out)) return AS_OK;
    (void)as_fail(err, AS_IO, "%s: no such folder, where the built-in tasks should be", *out);
    as_hint(err, "Set ASSAY_SHARE to the installed share/assay, or name a task by its path.");
    return AS_IO;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

as_status as_task_names(const char *const **names, size_t *count, as_arena *arena, as_err *err) {
    const char *folder, **list = NULL;
    size_t n = 0, cap = 0;
    AS_TRY(as_task_folder(&folder, arena, err));
    DIR *dir = opendir(folder);
    if (!dir) return as_fail(err, AS_IO, "%s: %s", folder, strerror(errno));
    as_status s = AS_OK;
    for (struct dirent *e = readdir(dir); e && s == AS_OK; e = readdir(dir)) {
        const size_t len = strlen(e->d_name);
        if (e->d_name[0] == '.' || len < 6 || strcmp(e->d_name + len - 5, ".yaml") != 0) continue;
        const char *name = as_grow(&list, &cap, n + 1, sizeof *list) ? as_task_text(arena, (as_str){e->d_name, len - 5}) : NULL;
        if (name) list[n++] = name;
        else s = as_fail_nomem(err, "task names", 0);
    }
    (void)closedir(dir);
    if (s == AS_OK) {
        if (n) qsort(list, n, sizeof *list, by_name);
        const char **kept = as_arena_push(arena, n + 1, sizeof *kept);
        if (!kept) s = as_fail_nomem(err, "task names", 0);
        else if (n) memcpy(kept, list, n * sizeof *kept);
        *names = kept, *count = n;
    }
    as_free(list);
    return s;
}

static bool is_path(const char *name) {
    const size_t n = strlen(name);
    return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0) || (n > 4 && strcmp(name + n - 4, ".yml") == 0);
}

as_status as_task_open(as_task *out, const char *name, as_arena *arena, as_err *err) {
    const char *const *names;
    size_t count;
    if (is_path(name)) return as_task_read(out, name, arena, err);
    AS_TRY(as_task_names(&names, &count, arena, err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) != 0) continue;
        const char *folder, *path;
        as_buf b = {0};
        AS_TRY(as_task_folder(&folder, arena, err));
        as_buf_fmt(&b, "%s/%s.yaml", folder, name);
        AS_TRY(keep(&path, arena, &b, err));
        AS_TRY(as_task_read(out, path, arena, err));
        out->built_in = true;
        return AS_OK;
    }
    (void)as_fail(err, AS_USAGE, "unknown task \"%.64s\"", name);
    as_task_hint_names(name, "tasks", names, count, err);
    return AS_USAGE;
}

/* --- the files of a task --- */
/* folder/file into b; is it there? Notes the place in `looked` otherwise. */
static bool lies_in(as_buf *b, const char *folder, const char *file, as_buf *looked) {
    as_buf_clear(b);
    if (file[0] == '/')
        as_buf_str(b, file);
    else
        as_buf_fmt(b, "%s/%s", folder, file);
    if (!b->failed && as_file_exists(b->p)) return true;
    if (looked) as_buf_fmt(looked, "%s%s", looked->n ? ", " : "", b->p ? b->p : "");
    return false;
}

static bool in_hub_cache(as_buf *b, const as_task *t, const char *file, as_buf *looked) {
    if (!t->hub || file[0] == '/') return false;
    char *snapshot = as_hub_find(AS_HUB_DATASET, t->hub);
    const bool found = snapshot && (lies_in(b, snapshot, file, NULL) || lies_in(b, snapshot, as_path_base(file), looked));
    if (!snapshot) as_buf_fmt(looked, "%sthe Hub cache (%s)", looked->n ? ", " : "", t->hub);
    as_free(snapshot);
    return found;
}

/* Beside a task's YAML, when it was opened by path. */
static bool beside_task(as_buf *b, const as_task *t, const char *file, as_buf *looked) {
    if (t->built_in) return false;
    const char *slash = strrchr(t->path, '/');
    as_buf folder = {0};
    if (slash)
        as_buf_add(&folder, t->path, slash == t->path ? 1 : (size_t)(slash - t->path));
    else
        as_buf_char(&folder, '.');
    const bool found = !folder.failed && lies_in(b, folder.p, file, looked);
    as_buf_free(&folder);
    return found;
}

static as_status no_split(const as_task *t, as_split s, as_err *err) {
    as_buf list = {0};
    for (int i = 0; i < AS_SPLIT_COUNT; i++)
        if (t->files[i]) as_buf_fmt(&list, "%s%s", list.n ? ", " : "", as_split_name((as_split)i));
    (void)as_fail(err, AS_USAGE, "task %s has no %s data", t->name, as_split_name(s));
    as_hint(err, "It has %s; give other data with --data F.", list.p ? list.p : "none");
    as_buf_free(&list);
    return AS_USAGE;
}

as_status as_task_file(const char **out, const as_task *t, as_split s, const char *data_dir, as_arena *arena, as_err *err) {
    const char *file = t->files[s], *data = env("ASSAY_DATA");
    if (!file) return no_split(t, s, err);
    as_buf b = {0}, looked = {0};
    bool found;
    if (data_dir)
        found = lies_in(&b, data_dir, file, &looked);
    else
        found = beside_task(&b, t, file, &looked) || (data && lies_in(&b, data, file, &looked)) || in_hub_cache(&b, t, file, &looked);
    as_status status = AS_OK;
    if (found) {
        status = keep(out, arena, &b, err);
    } else {
        status = as_fail(err, AS_IO, "task %s: its %s data, %s, is not there; looked for: %.600s", t->name, as_split_name(s), file, looked.n ? looked.p : "nothing");
        as_hint(err, "Give the folder that holds it: --data-dir DIR, or the environment variable ASSAY_DATA. assay tasks %s says where the data comes from.",
                t->built_in ? t->name : t->path);
        as_buf_free(&b);
    }
    as_buf_free(&looked);
    return status;
}
