#include "base/cgroup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096 };

static bool has_controller(const char *list, const char *controller) {
    const size_t n = strlen(controller);
    for (const char *p = list; p != NULL && *p != '\0';) {
        if (strncmp(p, controller, n) == 0 && (p[n] == ',' || p[n] == '\0')) return true;
        p = strchr(p, ',');
        if (p != NULL) p++;
    }
    return false;
}

static void walk_up(const char *root, char *path, void (*visit)(void *, const char *), void *ctx) {
    char folder[LINE_MAX_BYTES + 64];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", root, strcmp(path, "/") == 0 ? "" : path);
        visit(ctx, folder);
        char *const slash = strrchr(path, '/');
        if (slash == NULL || path[0] == '\0' || strcmp(path, "/") == 0) return;
        *slash = '\0';
    }
}

void as_cgroup_each(const char *controller, void (*visit)(void *ctx, const char *folder),
                    void *ctx) {
    FILE *const f = fopen("/proc/self/cgroup", "r");
    if (f == NULL) return;
    char line[LINE_MAX_BYTES], root[64];
    while (fgets(line, sizeof line, f) != NULL) {
        /* "hierarchy:controllers:path"; v2 is "0::path". The path itself may hold colons. */
        line[strcspn(line, "\n")] = '\0';
        char *const list = strchr(line, ':');
        char *const path = list != NULL ? strchr(list + 1, ':') : NULL;
        if (path == NULL) continue;
        *path = '\0';
        if (list[1] == '\0')
            snprintf(root, sizeof root, "/sys/fs/cgroup");
        else if (has_controller(list + 1, controller))
            snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
        else
            continue;
        walk_up(root, path + 1, visit, ctx);
    }
    fclose(f);
}

bool as_cgroup_read(const char *folder, const char *name, int count, int64_t out[2]) {
    char path[LINE_MAX_BYTES + 128], text[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const f = fopen(path, "r");
    if (f == NULL) return false;
    const bool any = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    if (!any) return false;
    char *p = text;
    for (int i = 0; i < count; i++) {
        p += strspn(p, " ");
        char *end = p;
        if (strncmp(p, "max", 3) == 0) {
            out[i] = INT64_MAX;
            end = p + 3;
        } else {
            out[i] = strtoll(p, &end, 10); /* v1 writes "no limit" as -1 or as a number near 2^63 */
        }
        if (end == p) return false;
        p = end;
    }
    return true;
}
