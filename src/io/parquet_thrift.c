#include "io/parquet_impl.h"
#include <string.h>

/* Types of the compact protocol. A boolean field has its value in its type. */
enum { STOP, YES, NO, BYTE, I16, I32, I64, REAL, BINARY, LIST, SET, MAP, STRUCT, UUID };
enum { DEPTH_LIMIT = 32 };

bool as_tc_varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        const uint8_t byte = *(*p)++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static uint64_t varint(as_tc *r) {
    uint64_t v = 0;
    if (r->bad || !as_tc_varint(&r->p, r->end, &v)) r->bad = true;
    return r->bad ? 0 : v;
}

static uint8_t byte(as_tc *r) {
    if (r->bad || r->p == r->end) {
        r->bad = true;
        return 0;
    }
    return *r->p++;
}

static const uint8_t *take(as_tc *r, uint64_t n) {
    if (r->bad || n > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return r->p - n;
}

bool as_tc_next(as_tc *r, as_tc_field *f) {
    const uint8_t head = byte(r);
    f->type = head & 0x0F;
    if (r->bad || head == STOP) return false;
    const int64_t id = head >> 4 != 0 ? f->id + (head >> 4) : as_unzigzag(varint(r));
    if (id < INT16_MIN || id > INT16_MAX || f->type == STOP) r->bad = true;
    f->id = r->bad ? 0 : (int32_t)id;
    return !r->bad;
}

/* The head of a list or set: its length, and the type of its elements. */
static uint64_t list_head(as_tc *r, uint8_t *type) {
    const uint8_t head = byte(r);
    *type = head & 0x0F;
    const uint64_t n = head >> 4 == 15 ? varint(r) : head >> 4;
    if (n > (uint64_t)(r->end - r->p)) r->bad = true; /* no element is smaller than a byte */
    return r->bad ? 0 : n;
}

static void skip(as_tc *r, uint8_t type, bool in_list, int depth);

static void skip_list(as_tc *r, int depth) {
    uint8_t type;
    for (uint64_t n = list_head(r, &type); n > 0 && !r->bad; n--)
        skip(r, type, true, depth + 1);
}

static void skip_map(as_tc *r, int depth) {
    const uint64_t n = varint(r);
    const uint8_t types = n > 0 ? byte(r) : 0;
    for (uint64_t i = 0; i < n && !r->bad; i++) {
        skip(r, types >> 4, true, depth + 1);
        skip(r, types & 0x0F, true, depth + 1);
    }
}

static void skip(as_tc *r, uint8_t type, bool in_list, int depth) {
    as_tc_field f = {0};
    if (depth > DEPTH_LIMIT) r->bad = true;
    if (r->bad) return;
    switch (type) {
    case YES:
    case NO:
        if (in_list) byte(r);
        return;
    case BYTE:
        byte(r);
        return;
    case I16:
    case I32:
    case I64:
        varint(r);
        return;
    case REAL:
        take(r, 8);
        return;
    case BINARY:
        take(r, varint(r));
        return;
    case LIST:
    case SET:
        skip_list(r, depth);
        return;
    case MAP:
        skip_map(r, depth);
        return;
    case STRUCT:
        while (as_tc_next(r, &f))
            skip(r, f.type, false, depth + 1);
        return;
    case UUID:
        take(r, 16);
        return;
    default:
        r->bad = true;
    }
}

void as_tc_skip(as_tc *r, const as_tc_field *f) {
    skip(r, f->type, false, 0);
}

int64_t as_tc_int(as_tc *r, const as_tc_field *f) {
    if (f->type == BYTE) return (int8_t)byte(r);
    if (f->type < I16 || f->type > I64) r->bad = true;
    return as_unzigzag(varint(r));
}

bool as_tc_bool(as_tc *r, const as_tc_field *f) {
    if (f->type != YES && f->type != NO) r->bad = true;
    return f->type == YES;
}

as_str as_tc_bytes(as_tc *r, const as_tc_field *f) {
    if (f->type != BINARY) r->bad = true;
    const uint64_t n = varint(r);
    const uint8_t *const p = take(r, n);
    return p != NULL ? (as_str){(const char *)p, (size_t)n} : (as_str){"", 0};
}

size_t as_tc_structs(as_tc *r, const as_tc_field *f) {
    uint8_t type = 0;
    if (f->type != LIST) r->bad = true;
    const uint64_t n = list_head(r, &type);
    if (n > 0 && type != AS_TC_STRUCT) r->bad = true;
    return r->bad ? 0 : (size_t)n;
}

/* Page headers. */

/* The three kinds number their fields alike only for the first two. */
static void kind_header(as_tc *r, as_pq_page *page, bool v2) {
    page->has_header = true;
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        if (f.id == 1)
            page->values = as_tc_int(r, &f);
        else if (f.id == (v2 ? 4 : 2))
            page->encoding = as_tc_int(r, &f);
        else if (f.id == 3 && !v2 && page->type == AS_PQ_DATA)
            page->def_encoding = as_tc_int(r, &f);
        else if (f.id == 4 && !v2)
            page->rep_encoding = as_tc_int(r, &f);
        else if (f.id == 5 && v2)
            page->def_bytes = as_tc_int(r, &f);
        else if (f.id == 6 && v2)
            page->rep_bytes = as_tc_int(r, &f);
        else if (f.id == 7 && v2)
            page->plain = !as_tc_bool(r, &f);
        else
            as_tc_skip(r, &f);
    }
}

void as_pq_page_header(as_tc *r, as_pq_page *page) {
    *page = (as_pq_page){.type = -1, .size = -1, .packed = -1, .values = -1};
    for (as_tc_field f = {0}; as_tc_next(r, &f);) {
        const bool known = (f.id == 5 && page->type == AS_PQ_DATA) ||
                           (f.id == 7 && page->type == AS_PQ_DICTIONARY) ||
                           (f.id == 8 && page->type == AS_PQ_DATA_V2);
        if (f.id == 1)
            page->type = as_tc_int(r, &f);
        else if (f.id == 2)
            page->size = as_tc_int(r, &f);
        else if (f.id == 3)
            page->packed = as_tc_int(r, &f);
        else if (f.id == 4) {
            page->crc = as_tc_int(r, &f);
            page->has_crc = true;
        } else if (known && f.type == AS_TC_STRUCT)
            kind_header(r, page, f.id == 8);
        else
            as_tc_skip(r, &f);
    }
}
