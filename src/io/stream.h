/* stream.h: a file read piece by piece, unpacked on the way (gzip and zstd, recognised by their content), so that its size does
 * not matter. "-" is standard input. */
#ifndef AS_IO_STREAM_H
#define AS_IO_STREAM_H

#include "base/str.h"

typedef struct as_stream as_stream;
as_status as_stream_open(as_stream **out, const char *path, as_err *err) AS_CHECKED;
void as_stream_close(as_stream *s);
/* Up to `cap` bytes into p; *n = 0 at the end. Cut or damaged data: AS_FORMAT that names the file. */
as_status as_stream_read(as_stream *s, void *p, size_t cap, size_t *n, as_err *err) AS_CHECKED;
#endif
