/* zip.h: the directory of a zip archive of stored entries, as torch.save writes it (zip64
 * included). Nothing is unpacked: an entry is a place in the file. Compressed, encrypted and split
 * archives are refused. */
#ifndef AS_IO_ZIP_H
#define AS_IO_ZIP_H

#include "base/str.h"

typedef struct as_zip_entry {
    as_str name;           /* view into the archive */
    uint64_t header, size; /* where its local header begins; bytes of data */
} as_zip_entry;

typedef struct as_zip {
    const unsigned char *p;
    size_t n;
    const char *where;
    as_zip_entry *entries; /* sorted by name, each name once */
    size_t count;
    as_str first; /* name of the first entry in the directory */
} as_zip;

/* The bytes are borrowed; `where` names them in messages. Release with as_zip_close, also after a
 * failure. */
as_status as_zip_open(as_zip *z, const unsigned char *p, size_t n, const char *where,
                      as_err *err) AS_CHECKED;
void as_zip_close(as_zip *z);
const as_zip_entry *as_zip_find(const as_zip *z, as_str name); /* NULL when absent */
/* Where the data of an entry begin: offset into the archive; entry->size bytes from there are
 * inside it. */
as_status as_zip_data(const as_zip *z, const as_zip_entry *e, size_t *at, as_err *err) AS_CHECKED;

#endif
