/* parquet_column.c: the pages of a column chunk, one after the other: a dictionary first, if there
 * is one; then data pages of either version, each with its own encoding, so that a writer may leave
 * the dictionary when it grows too large. */
#include "io/parquet_impl.h"
#include <string.h>
#include <zlib.h>

static unsigned width_of_level(unsigned most) {
    unsigned width = 0;
    for (; most > 0; most >>= 1)
        width++;
    return width;
}

/* ---- room ---- */

static as_status reserve(as_pq *q, as_pq_column *c, size_t entries) {
    const uint64_t bytes = (uint64_t)entries * (2 + sizeof *c->value);
    AS_TRY(as_pq_charge(q, bytes));
    c->charged += bytes;
    const size_t need = c->entries + entries;
    if (!as_grow(&c->def, &c->def_cap, need, 1) || !as_grow(&c->rep, &c->rep_cap, need, 1) ||
        !as_grow(&c->value, &c->value_cap, c->values + entries, sizeof *c->value))
        return as_pq_nomem(q);
    return ASSAY_OK;
}

void as_pq_column_clear(as_pq *q, as_pq_column *c) {
    c->entries = c->values = c->entry = c->next_value = 0;
    q->budget += c->charged;
    c->charged = 0;
}

void as_pq_column_free(as_pq *q, as_pq_column *c) {
    as_pq_column_clear(q, c);
    as_pq_pool_free(q, &c->scratch);
    q->budget += (uint64_t)c->dictionary_count * sizeof *c->dictionary;
    as_free(c->dictionary);
    as_free(c->def);
    as_free(c->rep);
    as_free(c->value);
    *c = (as_pq_column){0};
}

/* ---- levels ---- */

static as_status read_levels(as_pq *q, const as_pq_column *c, as_str bytes, unsigned most,
                             uint8_t *out, size_t n) {
    as_pq_hybrid h = {.p = (const uint8_t *)bytes.p, .width = width_of_level(most)};
    h.end = h.p + bytes.n;
    if (most == 0 && n > 0) memset(out, 0, n); /* none are stored */
    for (size_t i = 0; i < n && most > 0;) {
        uint32_t some[256];
        const size_t count = n - i < AS_COUNT(some) ? n - i : AS_COUNT(some);
        if (!as_pq_hybrid_read(&h, some, count))
            return as_pq_fail(q, c->node, "a page with fewer levels than it says");
        for (size_t k = 0; k < count; k++) {
            if (some[k] > most) return as_pq_fail(q, c->node, "a level beyond the deepest one");
            out[i + k] = (uint8_t)some[k];
        }
        i += count;
    }
    return ASSAY_OK;
}

/* Cut n bytes off the front. */
static bool cut(as_str *from, uint64_t n, as_str *out) {
    if (n > from->n) return false;
    *out = (as_str){from->p, (size_t)n};
    *from = (as_str){from->p + n, from->n - (size_t)n};
    return true;
}

/* Version 1: each kind of levels behind its length, and packed with the values. */
static as_status cut_levels(as_pq *q, const as_pq_column *c, as_str *body, unsigned most,
                            int64_t encoding, as_str *out) {
    *out = (as_str){"", 0};
    if (most == 0) return ASSAY_OK;
    if (encoding != AS_PQ_RLE)
        return as_pq_refuse(q, c->node, "Write the file again with a newer writer.",
                            "levels that are bit-packed, as before 2014, are not read");
    as_str length;
    if (!cut(body, 4, &length)) return as_pq_fail(q, c->node, "a page that is cut short");
    const unsigned char *const u = (const unsigned char *)length.p;
    const uint64_t n = u[0] | (uint64_t)u[1] << 8 | (uint64_t)u[2] << 16 | (uint64_t)u[3] << 24;
    return cut(body, n, out) ? ASSAY_OK : as_pq_fail(q, c->node, "a page that is cut short");
}

/* ---- values ---- */

static as_status read_indexes(as_pq *q, as_pq_column *c, as_str bytes, as_pq_value *out, size_t n) {
    if (n == 0) return ASSAY_OK;
    if (!c->has_dictionary) return as_pq_fail(q, c->node, "a dictionary is used before it comes");
    if (bytes.n == 0 || (unsigned char)bytes.p[0] > 32)
        return as_pq_fail(q, c->node, "malformed places in the dictionary");
    as_pq_hybrid h = {.p = (const uint8_t *)bytes.p + 1, .width = (unsigned char)bytes.p[0]};
    h.end = (const uint8_t *)bytes.p + bytes.n;
    for (size_t i = 0; i < n;) {
        uint32_t some[256];
        const size_t count = n - i < AS_COUNT(some) ? n - i : AS_COUNT(some);
        if (!as_pq_hybrid_read(&h, some, count))
            return as_pq_fail(q, c->node, "a page with fewer values than it says");
        for (size_t k = 0; k < count; k++) {
            if (some[k] >= c->dictionary_count)
                return as_pq_fail(q, c->node, "place %u of a dictionary of %zu values", some[k],
                                  c->dictionary_count);
            out[i + k] = c->dictionary[some[k]];
        }
        i += count;
    }
    return ASSAY_OK;
}

/* Whether the texts of a page are its own bytes, which must then stay. */
static bool keeps_bytes(const as_pq *q, const as_pq_column *c, const as_pq_page *page) {
    if (q->nodes[c->node].kind != AS_PQ_TEXT) return false;
    return page->type == AS_PQ_DICTIONARY || page->encoding == AS_PQ_PLAIN ||
           page->encoding == AS_PQ_DELTA_LENGTH;
}

static as_status unpack(as_pq *q, as_pq_column *c, const as_pq_page *page, as_str packed,
                        uint64_t size, as_str *out) {
    const bool keep = keeps_bytes(q, c, page);
    const int64_t codec = page->plain ? 0 : c->chunk->codec;
    if (keep && codec == 0) q->views = true;
    return as_pq_unpack(q, c->node, codec, packed, (size_t)size, keep ? c->texts : &c->scratch,
                        out);
}

static as_status data_page(as_pq *q, as_pq_column *c, const as_pq_page *page, as_str packed) {
    const as_pq_node *const leaf = &q->nodes[c->node];
    as_str body = packed, rep, def;
    if (page->type == AS_PQ_DATA) {
        AS_TRY(unpack(q, c, page, packed, (uint64_t)page->size, &body));
        AS_TRY(cut_levels(q, c, &body, leaf->rep, page->rep_encoding, &rep));
        AS_TRY(cut_levels(q, c, &body, leaf->def, page->def_encoding, &def));
    } else { /* version 2: the levels are never packed */
        const uint64_t levels = (uint64_t)page->rep_bytes + (uint64_t)page->def_bytes;
        if (page->rep_bytes < 0 || page->def_bytes < 0 || levels > (uint64_t)page->size ||
            !cut(&body, (uint64_t)page->rep_bytes, &rep) ||
            !cut(&body, (uint64_t)page->def_bytes, &def))
            return as_pq_fail(q, c->node, "a page that is cut short");
        AS_TRY(unpack(q, c, page, body, (uint64_t)page->size - levels, &body));
    }
    const size_t n = (size_t)page->values;
    AS_TRY(reserve(q, c, n));
    uint8_t *const defs = n > 0 ? c->def + c->entries : NULL, *const reps =
                                                                  n > 0 ? c->rep + c->entries
                                                                        : NULL;
    as_pq_value *const values = n > 0 ? c->value + c->values : NULL;
    AS_TRY(read_levels(q, c, rep, leaf->rep, reps, n));
    AS_TRY(read_levels(q, c, def, leaf->def, defs, n));
    size_t present = 0;
    for (size_t i = 0; i < n; i++)
        present += defs[i] == leaf->def;
    if (page->encoding == AS_PQ_PLAIN_DICTIONARY || page->encoding == AS_PQ_RLE_DICTIONARY) {
        AS_TRY(read_indexes(q, c, body, values, present));
    } else {
        AS_TRY(as_pq_decode(q, c->node, page->encoding, body, values, present, c->texts));
        AS_TRY(as_pq_show(q, c->node, values, present, c->texts));
    }
    c->entries += n;
    c->values += present;
    return ASSAY_OK;
}

static as_status dictionary_page(as_pq *q, as_pq_column *c, const as_pq_page *page, as_str packed) {
    const size_t n = (size_t)page->values;
    as_str body;
    if (c->has_dictionary || c->read > 0)
        return as_pq_fail(q, c->node, "a dictionary where none may be");
    if (page->encoding != AS_PQ_PLAIN && page->encoding != AS_PQ_PLAIN_DICTIONARY)
        return as_pq_fail(q, c->node, "a dictionary of an encoding that none may have");
    AS_TRY(unpack(q, c, page, packed, (uint64_t)page->size, &body));
    AS_TRY(as_pq_charge(q, (uint64_t)n * sizeof *c->dictionary));
    c->dictionary_count = n;
    c->has_dictionary = true;
    c->dictionary = as_alloc(n, sizeof *c->dictionary);
    if (c->dictionary == NULL) return as_pq_nomem(q);
    AS_TRY(as_pq_decode(q, c->node, AS_PQ_PLAIN, body, c->dictionary, n, c->texts));
    return as_pq_show(q, c->node, c->dictionary, n, c->texts);
}

/* ---- pages ---- */

/* The header at c->at, and the bytes behind it, which are inside the file. */
static as_status page_at(as_pq *q, as_pq_column *c, as_pq_page *page, as_str *packed) {
    as_tc r = {q->p + c->at, q->p + q->data_end, false};
    as_pq_page_header(&r, page);
    if (r.bad) return as_pq_fail(q, c->node, "a malformed page header");
    if (page->size < 0 || page->size > INT32_MAX || page->packed < 0 || page->packed > r.end - r.p)
        return as_pq_fail(q, c->node, "a page that reaches beyond the data");
    *packed = (as_str){(const char *)r.p, (size_t)page->packed};
    c->at = (size_t)(r.p - q->p) + packed->n;
    if (page->has_crc && page->packed <= INT32_MAX &&
        crc32(0, (const unsigned char *)packed->p, (unsigned)packed->n) != (uint32_t)page->crc)
        return as_pq_fail(q, c->node, "a page whose checksum is wrong");
    return ASSAY_OK;
}

as_status as_pq_next_page(as_pq *q, as_pq_column *c, bool *more) {
    *more = false;
    while (c->read < c->chunk->values) {
        as_pq_page page;
        as_str packed;
        AS_TRY(page_at(q, c, &page, &packed));
        const bool data = page.type == AS_PQ_DATA || page.type == AS_PQ_DATA_V2;
        if (!data && page.type != AS_PQ_DICTIONARY) continue; /* other pages are for searching */
        if (!page.has_header || page.values < 0 || page.values > INT32_MAX)
            return as_pq_fail(q, c->node, "a malformed page header");
        as_status status;
        if (!data) {
            status = dictionary_page(q, c, &page, packed);
        } else if (page.values > c->chunk->values - c->read) {
            status = as_pq_fail(q, c->node, "pages with more values than the column has");
        } else {
            c->read += page.values;
            status = data_page(q, c, &page, packed);
        }
        as_pq_pool_free(q, &c->scratch);
        if (status != ASSAY_OK) return status;
        if (data) {
            *more = true;
            return ASSAY_OK;
        }
    }
    return ASSAY_OK;
}
