#include "io/parquet_impl.h"
#include <string.h>

/* Up to 8 bytes, the least first. */
static uint64_t load(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* `width` <= 64 bits from bit `at` of n bytes on; the caller has checked that they are there. */
static uint64_t bits(const uint8_t *p, size_t n, uint64_t at, unsigned width) {
    const size_t byte = (size_t)(at / 8), here = n - byte;
    const unsigned shift = (unsigned)(at % 8);
    if (width == 0) return 0;
    uint64_t v = (here >= 8 ? load(p + byte, 8) : load(p + byte, here)) >> shift;
    if (shift + width > 64) v |= (uint64_t)p[byte + 8] << (64 - shift);
    return width == 64 ? v : v & ((UINT64_C(1) << width) - 1);
}

/* ---- run lengths and bit packing, mixed ---- */

static bool next_run(as_pq_hybrid *h) {
    uint64_t head;
    if (!as_tc_varint(&h->p, h->end, &head)) return false;
    const size_t here = (size_t)(h->end - h->p);
    h->packed = (head & 1) != 0;
    if (!h->packed) {
        const size_t n = (h->width + 7) / 8;
        if (here < n) return false;
        h->value = (uint32_t)load(h->p, n);
        h->p += n;
        h->left = head >> 1;
        return true;
    }
    /* Groups of 8 values, of `width` bytes each. The last may be cut: only its values count. */
    const uint64_t groups = head >> 1;
    if (groups > UINT32_MAX) return false;
    const uint64_t want = groups * h->width;
    h->run = h->p;
    h->run_bytes = want < here ? (size_t)want : here;
    h->bit = 0;
    h->left = want <= here ? 8 * groups : 8 * (uint64_t)here / h->width;
    h->p += h->run_bytes;
    return true;
}

bool as_pq_hybrid_read(as_pq_hybrid *h, uint32_t *out, size_t n) {
    for (size_t i = 0; i < n;) {
        if (h->left == 0) {
            if (!next_run(h)) return false;
            continue;
        }
        const size_t some = h->left < n - i ? (size_t)h->left : n - i;
        for (size_t k = 0; k < some; k++) {
            out[i + k] =
                h->packed ? (uint32_t)bits(h->run, h->run_bytes, h->bit, h->width) : h->value;
            h->bit += h->width;
        }
        h->left -= some;
        i += some;
    }
    return true;
}

/* ---- plain ---- */

static size_t width_of(const as_pq_node *leaf) {
    static const size_t widths[] = {0, 4, 8, 12, 4, 8, 0, 0};
    return leaf->type == AS_PQ_FIXED ? (size_t)leaf->width : widths[leaf->type];
}

static int64_t number_of(const as_pq_node *leaf, const uint8_t *p) {
    const size_t n = width_of(leaf);
    const uint64_t v = load(p, n);
    return leaf->type == AS_PQ_INT32 ? (int32_t)(uint32_t)v : (int64_t)v;
}

static bool plain_arrays(as_str bytes, as_pq_value *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bytes.n < 4) return false;
        const size_t length = (size_t)load((const uint8_t *)bytes.p, 4);
        if (length > bytes.n - 4) return false;
        out[i].s = (as_str){bytes.p + 4, length};
        bytes = (as_str){bytes.p + 4 + length, bytes.n - 4 - length};
    }
    return true;
}

static bool plain(const as_pq_node *leaf, as_str bytes, as_pq_value *out, size_t n) {
    const uint8_t *const p = (const uint8_t *)bytes.p;
    const size_t width = width_of(leaf);
    if (leaf->type == AS_PQ_BYTES) return plain_arrays(bytes, out, n);
    if (leaf->type == AS_PQ_BOOLEAN) {
        if (bytes.n < (n + 7) / 8) return false;
        for (size_t i = 0; i < n; i++)
            out[i].i = p[i / 8] >> i % 8 & 1;
        return true;
    }
    if (bytes.n / width < n) return false;
    for (size_t i = 0; i < n; i++) {
        if (leaf->type == AS_PQ_FIXED)
            out[i].s = (as_str){bytes.p + i * width, width};
        else
            out[i].i = number_of(leaf, p + i * width);
    }
    return true;
}

/* Byte k of every value, for each k in turn. */
static as_status stream_split(as_pq *q, uint32_t node, as_str bytes, as_pq_value *out, size_t n,
                              as_pq_pool *made) {
    const as_pq_node *const leaf = &q->nodes[node];
    const size_t width = width_of(leaf);
    if (width == 0) return as_pq_fail(q, node, "an encoding that its type cannot have");
    if (bytes.n / width < n || bytes.n % width != 0)
        return as_pq_fail(q, node, "a page with fewer values than it says");
    const size_t stride = bytes.n / width;
    char *const all = as_pq_take(q, made, n * width);
    if (all == NULL) return as_pq_nomem(q);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++)
            all[i * width + k] = bytes.p[k * stride + i];
    (void)plain(leaf, (as_str){all, n * width}, out, n);
    return ASSAY_OK;
}

static bool booleans(as_str bytes, as_pq_value *out, size_t n) {
    const uint8_t *const p = (const uint8_t *)bytes.p;
    if (bytes.n < 4 || load(p, 4) > bytes.n - 4) return false;
    as_pq_hybrid h = {.p = p + 4, .end = p + 4 + load(p, 4), .width = 1};
    for (size_t i = 0; i < n; i++) {
        uint32_t v;
        if (!as_pq_hybrid_read(&h, &v, 1) || v > 1) return false;
        out[i].i = v;
    }
    return true;
}

/* ---- deltas ---- */

typedef struct delta {
    const uint8_t *p, *end;
    uint64_t last;            /* of the values so far; sums wrap around */
    size_t block, per, minis; /* values of a block and of each of its parts */
} delta;

/* One part of a block: `count` values of `width` bits. */
static bool delta_part(delta *d, uint64_t least, unsigned width, as_pq_value *out, size_t count) {
    const size_t here = (size_t)(d->end - d->p), whole = d->per / 8 * width;
    if (width > 64 || here < (count * width + 7) / 8) return false;
    for (size_t i = 0; i < count; i++) {
        d->last += least + bits(d->p, here, (uint64_t)i * width, width);
        out[i].i = (int64_t)d->last;
    }
    d->p += whole < here ? whole : here;
    return true;
}

/* Exactly n numbers; goes behind them. */
static bool deltas(delta *d, as_pq_value *out, size_t n) {
    uint64_t block, minis, total, first, least;
    if (!as_tc_varint(&d->p, d->end, &block) || !as_tc_varint(&d->p, d->end, &minis) ||
        !as_tc_varint(&d->p, d->end, &total) || !as_tc_varint(&d->p, d->end, &first))
        return false;
    if (minis == 0 || block > 1 << 24 || block % minis != 0 || block / minis % 8 != 0 ||
        block == 0 || total != n)
        return false;
    d->per = (size_t)(block / minis);
    d->last = (uint64_t)as_unzigzag(first);
    if (n > 0) out[0].i = (int64_t)d->last;
    for (size_t i = 1; i < n;) {
        if (!as_tc_varint(&d->p, d->end, &least) || (uint64_t)(d->end - d->p) < minis) return false;
        const uint8_t *const widths = d->p;
        d->p += minis;
        for (size_t m = 0; m < minis && i < n; m++) {
            const size_t count = d->per < n - i ? d->per : n - i;
            if (!delta_part(d, (uint64_t)as_unzigzag(least), widths[m], out + i, count))
                return false;
            i += count;
        }
    }
    return true;
}

/* All lengths, then all bytes. */
static bool delta_lengths(delta *d, as_pq_value *out, size_t n) {
    if (!deltas(d, out, n)) return false;
    for (size_t i = 0; i < n; i++) {
        const int64_t length = out[i].i;
        if (length < 0 || length > d->end - d->p) return false;
        out[i].s = (as_str){(const char *)d->p, (size_t)length};
        d->p += length;
    }
    return true;
}

/* Each begins as the one before it: the lengths of those beginnings, then the rest of each. */
static as_status delta_arrays(as_pq *q, uint32_t node, delta *d, as_pq_value *out, size_t n,
                              as_pq_pool *made) {
    static const char short_of[] = "a page with fewer values than it says, or malformed ones";
    size_t cap = 0;
    as_pq_value *prefix = NULL;
    AS_TRY(as_pq_charge(q, (uint64_t)n * sizeof *prefix));
    if (!as_grow(&prefix, &cap, n, sizeof *prefix)) return as_pq_nomem(q);
    as_status status = ASSAY_OK;
    if (!deltas(d, prefix, n) || !delta_lengths(d, out, n)) status = as_pq_fail(q, node, short_of);
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        const as_str before = i > 0 ? out[i - 1].s : (as_str){"", 0}, rest = out[i].s;
        if (prefix[i].i < 0 || (uint64_t)prefix[i].i > before.n) {
            status = as_pq_fail(q, node, short_of);
            break;
        }
        const size_t same = (size_t)prefix[i].i;
        char *const p = as_pq_take(q, made, same + rest.n);
        if (p == NULL) {
            status = as_pq_nomem(q);
            break;
        }
        memcpy(p, before.p, same);
        memcpy(p + same, rest.p, rest.n);
        out[i].s = (as_str){p, same + rest.n};
    }
    as_free(prefix);
    q->budget += (uint64_t)n * sizeof *prefix;
    return status;
}

/* ---- all ---- */

/* A fixed-length value may come out of an encoding of any lengths. */
static as_status check_widths(const as_pq *q, uint32_t node, const as_pq_value *v, size_t n) {
    const as_pq_node *const leaf = &q->nodes[node];
    for (size_t i = 0; i < n && leaf->type == AS_PQ_FIXED; i++)
        if (v[i].s.n != (size_t)leaf->width)
            return as_pq_fail(q, node, "a value of another length than the schema says");
    return ASSAY_OK;
}

as_status as_pq_decode(as_pq *q, uint32_t node, int64_t encoding, as_str bytes, as_pq_value *out,
                       size_t n, as_pq_pool *made) {
    const as_pq_node *const leaf = &q->nodes[node];
    const uint8_t *const p = (const uint8_t *)bytes.p;
    delta d = {.p = p, .end = p + bytes.n};
    const bool whole = leaf->type == AS_PQ_INT32 || leaf->type == AS_PQ_INT64;
    const bool arrays = leaf->type == AS_PQ_BYTES || leaf->type == AS_PQ_FIXED;
    bool good;
    if (n == 0) return ASSAY_OK;
    if (encoding == AS_PQ_PLAIN) {
        good = plain(leaf, bytes, out, n);
    } else if (encoding == AS_PQ_RLE && leaf->type == AS_PQ_BOOLEAN) {
        good = booleans(bytes, out, n);
    } else if (encoding == AS_PQ_DELTA_BINARY && whole) {
        good = deltas(&d, out, n);
        for (size_t i = 0; i < n && good && leaf->type == AS_PQ_INT32; i++)
            out[i].i = (int32_t)(uint32_t)(uint64_t)out[i].i;
    } else if (encoding == AS_PQ_DELTA_LENGTH && leaf->type == AS_PQ_BYTES) {
        good = delta_lengths(&d, out, n);
    } else if (encoding == AS_PQ_DELTA_BYTES && arrays) {
        AS_TRY(delta_arrays(q, node, &d, out, n, made));
        return check_widths(q, node, out, n);
    } else if (encoding == AS_PQ_STREAM_SPLIT) {
        return stream_split(q, node, bytes, out, n, made);
    } else {
        return as_pq_refuse(q, node,
                            "Write the file again with a common encoding, for example with "
                            "the defaults of pyarrow.",
                            "encoding %lld is not read for its type", (long long)encoding);
    }
    return good ? ASSAY_OK : as_pq_fail(q, node, "a page with fewer values than it says");
}
