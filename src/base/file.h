/* file.h: whole files in, whole files out (atomically), and read-only maps. */
#ifndef AS_BASE_FILE_H
#define AS_BASE_FILE_H

#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

/* Read-only map of a regular file. Empty files map to p = "" and n = 0. */
typedef struct as_map { const unsigned char *p; size_t n; } as_map;
as_status as_map_open(as_map *out, const char *path, as_err *err) AS_CHECKED;
void as_map_close(as_map *m);

/* Append a whole file ("-" = stdin) to out. limit 0 = none; larger files are AS_FORMAT. */
as_status as_file_read(as_buf *out, const char *path, uint64_t limit, as_err *err) AS_CHECKED;
bool as_file_exists(const char *path);
bool as_dir_exists(const char *path);
as_status as_dir_make(const char *path, as_err *err) AS_CHECKED; /* with parents; existing is fine */
/* Remove a folder and the plain files in it; folders inside it stay, and so does then the folder. */
void as_dir_remove(const char *path);
/* "dir/name" into a NUL-terminated heap string (as_free); NULL on failure. */
char *as_path_join(const char *dir, const char *name);
const char *as_path_base(const char *path); /* last component, ignoring a trailing '/' is the caller's job */

/* Atomic replacement: bytes go to PATH.tmp-PID, are fsync'ed, then renamed over PATH. On any error (disk full
 * included) the old file stays and the temporary is gone. */
typedef struct as_writer { int fd; char *path, *tmp; bool failed; int error; char *buf; size_t used; uint64_t total; } as_writer;
as_status as_writer_open(as_writer *w, const char *path, as_err *err) AS_CHECKED;
void as_writer_add(as_writer *w, const void *p, size_t n);          /* errors are kept for commit */
as_status as_writer_commit(as_writer *w, as_err *err) AS_CHECKED;   /* fsync + rename; closes */
void as_writer_abort(as_writer *w);                                 /* no-op after commit */
as_status as_file_write(const char *path, const void *p, size_t n, as_err *err) AS_CHECKED; /* all three */

#endif
