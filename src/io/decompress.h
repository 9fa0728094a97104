/* decompress.h: gzip (also of several members) and zstd (also of several frames), recognised by
 * their content. */
#ifndef AS_IO_DECOMPRESS_H
#define AS_IO_DECOMPRESS_H

#include "base/str.h"

/* Append to out what `in` unpacks to; bytes of no known packing are appended as they are. More than
 * `limit` bytes is AS_NOMEM (0 = no limit); cut or damaged data, and packings that are known but
 * not read (bzip2, xz, zip), AS_FORMAT. `where` names the data in errors. */
as_status as_decompress(as_buf *out, as_str in, const char *where, uint64_t limit,
                        as_err *err) AS_CHECKED;
/* Whether as_decompress would only copy. */
bool as_is_plain(as_str in);
#endif
