/* cgroup.h: the control groups of this process (Linux, v1 and v2), for limits of memory and
 * processor time. */
#ifndef AS_BASE_CGROUP_H
#define AS_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Call visit(ctx, folder) for the process's group of `controller` and each of its parents,
 * innermost first: v1 folders of that controller and v2 folders. Folders that a container hides may
 * not exist. */
void as_cgroup_each(const char *controller, void (*visit)(void *ctx, const char *folder),
                    void *ctx);
/* The first `count` numbers (0..2) of folder/name; "max" gives INT64_MAX. false when the file is
 * absent or holds fewer. */
bool as_cgroup_read(const char *folder, const char *name, int count, int64_t out[2]);

#endif
