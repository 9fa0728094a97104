/* Layout and field numbers: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12
 * (directory), 4.3.14 to 4.3.16 (its end, and the zip64 one), 4.5.3 (zip64 sizes). Check sums are
 * not read: torch.load does not read them either, and may be told to leave them out when saving. */
#include "io/zip.h"
#include "base/mem.h"
#include "io/weights_set.h"
#include <stdlib.h>
#include <string.h>

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56 };
static const uint32_t sign_local = 0x04034b50, sign_central = 0x02014b50, sign_end = 0x06054b50,
                      sign_locator = 0x07064b50, sign_end64 = 0x06064b50;

typedef struct directory {
    uint64_t at, size, count;
} directory;

static as_status fail_zip(const as_zip *z, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: %s", z->where, what);
    as_hint(err, "The file is damaged; fetch it or save it again.");
    return ASSAY_FORMAT;
}

static as_status fail_entry(const as_zip *z, as_str name, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: zip entry \"%s\" %s", z->where, as_show_name(name).s, what);
    as_hint(err, "Save the checkpoint again with torch.save or as safetensors.");
    return ASSAY_FORMAT;
}

/* The end record is the last thing in the file, but for a comment of at most 65,535 bytes. */
static bool find_end(const as_zip *z, size_t *at) {
    if (z->n < END_BYTES) return false;
    const size_t last = z->n - END_BYTES, first = last > 0xFFFF ? last - 0xFFFF : 0;
    for (size_t i = last + 1; i-- > first;)
        if (as_le32(z->p + i) == sign_end && i + END_BYTES + as_le16(z->p + i + 20) == z->n)
            return *at = i, true;
    return false;
}

static as_status read_end(const as_zip *z, directory *d, as_err *err) {
    size_t end;
    if (!find_end(z, &end)) {
        as_fail(err, ASSAY_FORMAT, "%s: has no zip directory at its end", z->where);
        as_hint(err, "the file is cut short; fetch it again");
        return ASSAY_FORMAT;
    }
    const unsigned char *const p = z->p + end;
    if (as_le16(p + 4) != 0 && as_le16(p + 4) != 0xFFFF)
        return fail_zip(z, "is one part of a split zip archive", err);
    *d = (directory){.count = as_le16(p + 10), .size = as_le32(p + 12), .at = as_le32(p + 16)};
    if (end >= LOCATOR_BYTES && as_le32(p - LOCATOR_BYTES) == sign_locator) {
        const uint64_t at = as_le64(p - LOCATOR_BYTES + 8);
        if (end < END64_BYTES || at > end - END64_BYTES || as_le32(z->p + at) != sign_end64)
            return fail_zip(z, "its zip64 directory end is not where it should be", err);
        const unsigned char *const q = z->p + at;
        *d = (directory){.count = as_le64(q + 32), .size = as_le64(q + 40), .at = as_le64(q + 48)};
    }
    if (d->at > end || d->size > end - d->at || d->count > d->size / CENTRAL_BYTES)
        return fail_zip(z, "its zip directory lies outside the file", err);
    return ASSAY_OK;
}

/* Extra field 1 holds, in this order, those of size, stored size and header offset that do not fit
 * 32 bits. */
static bool read_zip64(const unsigned char *extra, size_t n, uint64_t *size, uint64_t *stored,
                       uint64_t *header) {
    uint64_t *const wide[] = {size, stored, header};
    while (n >= 4) {
        const size_t id = as_le16(extra), len = as_le16(extra + 2);
        if (len > n - 4) return false;
        if (id == 1) {
            size_t at = 0;
            for (size_t i = 0; i < AS_COUNT(wide); i++) {
                if (*wide[i] != UINT32_MAX) continue;
                if (len - at < 8) return false;
                *wide[i] = as_le64(extra + 4 + at);
                at += 8;
            }
            return true;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return true;
}

/* One directory record at p, of which `room` bytes are left; *used = its length. */
static as_status read_central(const as_zip *z, const unsigned char *p, size_t room, as_zip_entry *e,
                              size_t *used, as_err *err) {
    if (room < CENTRAL_BYTES || as_le32(p) != sign_central)
        return fail_zip(z, "its zip directory is malformed", err);
    const size_t name = as_le16(p + 28), extra = as_le16(p + 30), comment = as_le16(p + 32);
    *used = CENTRAL_BYTES + name + extra + comment;
    if (*used > room) return fail_zip(z, "its zip directory is malformed", err);
    e->name = (as_str){(const char *)p + CENTRAL_BYTES, name};
    uint64_t stored = as_le32(p + 20);
    e->size = as_le32(p + 24);
    e->header = as_le32(p + 42);
    if (!read_zip64(p + CENTRAL_BYTES + name, extra, &e->size, &stored, &e->header))
        return fail_entry(z, e->name, "has a malformed zip64 field", err);
    if (as_le16(p + 8) & 1u)
        return fail_entry(z, e->name, "is encrypted, which is not supported", err);
    if (as_le16(p + 10) != 0)
        return fail_entry(z, e->name, "is compressed, which torch.save never does", err);
    if (stored != e->size) return fail_entry(z, e->name, "has two sizes", err);
    return ASSAY_OK;
}

static int by_text(const void *a, const void *b) {
    return as_str_cmp(((const as_zip_entry *)a)->name, ((const as_zip_entry *)b)->name);
}

as_status as_zip_open(as_zip *z, const unsigned char *p, size_t n, const char *where, as_err *err) {
    *z = (as_zip){.p = p, .n = n, .where = where};
    directory d;
    AS_TRY(read_end(z, &d, err));
    z->entries = as_alloc((size_t)d.count, sizeof *z->entries);
    if (z->entries == NULL)
        return as_fail_nomem(err, "a zip directory", (size_t)d.count * sizeof *z->entries);
    size_t at = 0, used = 0;
    for (; z->count < d.count; z->count++, at += used)
        AS_TRY(
            read_central(z, p + d.at + at, (size_t)d.size - at, &z->entries[z->count], &used, err));
    if (z->count == 0) return fail_zip(z, "is an empty zip archive", err);
    z->first = z->entries[0].name;
    qsort(z->entries, z->count, sizeof *z->entries, by_text);
    for (size_t i = 1; i < z->count; i++)
        if (as_str_eq(z->entries[i - 1].name, z->entries[i].name))
            return fail_entry(z, z->entries[i].name, "is listed twice", err);
    return ASSAY_OK;
}

void as_zip_close(as_zip *z) {
    as_free(z->entries);
    z->entries = NULL;
    z->count = 0;
}

const as_zip_entry *as_zip_find(const as_zip *z, as_str name) {
    const as_zip_entry key = {.name = name};
    return z->count == 0 ? NULL : bsearch(&key, z->entries, z->count, sizeof key, by_text);
}

as_status as_zip_data(const as_zip *z, const as_zip_entry *e, size_t *at, as_err *err) {
    if (e->header > z->n || z->n - e->header < LOCAL_BYTES ||
        as_le32(z->p + e->header) != sign_local)
        return fail_entry(z, e->name, "is not where the zip directory says", err);
    const unsigned char *const p = z->p + e->header;
    const uint64_t skip = (uint64_t)LOCAL_BYTES + as_le16(p + 26) + as_le16(p + 28),
                   room = z->n - e->header;
    if (skip > room || e->size > room - skip)
        return fail_entry(z, e->name, "reaches past the end of the file", err);
    *at = (size_t)(e->header + skip);
    return ASSAY_OK;
}
