/* Opcodes: Lib/pickletools.py of CPython 3.11 describes them. Those of protocols 0 and 1 that only
 * text pickles use, and those that build objects of classes, are refused: torch.save writes none of
 * them for a state dict.
 *
 * What bounds memory and time against a hostile file: a pickle is at most 64 MiB; every opcode
 * costs a bounded number of steps but for those that move what earlier opcodes pushed; `made`
 * counts every value that is kept, and has a limit, because a few bytes can copy a long list again
 * and again; no recursion. */
#include "io/pickle.h"
#include "base/mem.h"
#include "io/weights_set.h"
#include <string.h>

enum {
    PICKLE_LIMIT = 64 << 20, /* bytes of one pickle */
    STACK_LIMIT = 1 << 20,   /* values; Python flushes a dict after 1,000 pairs */
    MADE_LIMIT = 8 << 20,    /* values; a tensor takes about 25 */
    BOX_LIMIT = 1 << 20,     /* lists and dicts; a tensor takes one */
    MEMO_GAP = 1 << 16       /* how far ahead of its size the memo may be written */
};

static const as_pk_global globals[] = {
    {"collections", "OrderedDict", AS_PK_ORDERED_DICT, AS_F32},
    {"torch._utils", "_rebuild_tensor_v2", AS_PK_REBUILD_V2, AS_F32},
    {"torch._utils", "_rebuild_tensor_v3", AS_PK_REBUILD_V3, AS_F32},
    {"torch._utils", "_rebuild_parameter", AS_PK_REBUILD_PARAMETER, AS_F32},
    {"torch", "Size", AS_PK_SIZE, AS_F32},
    {"torch", "FloatStorage", AS_PK_STORAGE_CLASS, AS_F32},
    {"torch", "HalfStorage", AS_PK_STORAGE_CLASS, AS_F16},
    {"torch", "BFloat16Storage", AS_PK_STORAGE_CLASS, AS_BF16},
    {"torch", "DoubleStorage", AS_PK_STORAGE_CLASS, AS_F64},
    {"torch", "LongStorage", AS_PK_STORAGE_CLASS, AS_I64},
    {"torch", "IntStorage", AS_PK_STORAGE_CLASS, AS_I32},
    {"torch", "ShortStorage", AS_PK_STORAGE_CLASS, AS_I16},
    {"torch", "CharStorage", AS_PK_STORAGE_CLASS, AS_I8},
    {"torch", "ByteStorage", AS_PK_STORAGE_CLASS, AS_U8},
    {"torch", "BoolStorage", AS_PK_STORAGE_CLASS, AS_BOOL},
    {"torch.storage", "UntypedStorage", AS_PK_UNTYPED_STORAGE, AS_U8},
    {"torch.storage", "TypedStorage", AS_PK_UNTYPED_STORAGE, AS_U8},
    /* dtypes without a storage class of their own come with _rebuild_tensor_v3 */
    {"torch", "uint16", AS_PK_DTYPE, AS_U16},
    {"torch", "uint32", AS_PK_DTYPE, AS_U32},
    {"torch", "uint64", AS_PK_DTYPE, AS_U64},
    {"torch", "float8_e4m3fn", AS_PK_DTYPE, AS_F8_E4M3},
    {"torch", "float8_e5m2", AS_PK_DTYPE, AS_F8_E5M2},
    {"torch", "float8_e8m0fnu", AS_PK_DTYPE, AS_F8_E8M0},
    {"torch", "float8_e4m3fnuz", AS_PK_DTYPE, AS_F8_E4M3FNUZ},
    {"torch", "float8_e5m2fnuz", AS_PK_DTYPE, AS_F8_E5M2FNUZ},
};

const as_pk_global *as_pk_global_at(int sub) {
    return &globals[sub];
}

/* ---- failing ---- */

static as_status fail_at(const as_pickle *k, const char *what, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: pickle, byte %s: %s", k->where, as_show_count(k->at).s, what);
    as_hint(err, "The file is damaged or is no state dict; fetch it again, or use the safetensors "
                 "file of this checkpoint.");
    return ASSAY_FORMAT;
}

static as_status fail_short(const as_pickle *k, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: the pickle in it ends at byte %s, in the middle", k->where,
            as_show_count(k->n).s);
    as_hint(err, "the file is cut short; fetch it again");
    return ASSAY_FORMAT;
}

static as_status refuse_call(const as_pickle *k, as_str module, as_str name, as_err *err) {
    as_fail(err, ASSAY_FORMAT, "%s: pickle wants to call \"%s.%s\": refused", k->where,
            as_show_name(module).s, as_show_name(name).s);
    as_hint(err, "Nothing of it was run. Use the safetensors file of this checkpoint, or save its "
                 "state dict alone.");
    return ASSAY_FORMAT;
}

/* ---- values ---- */

static as_status append(as_pk_list *to, as_pk v, as_err *err) {
    if (!as_grow(&to->v, &to->cap, to->n + 1, sizeof v))
        return as_fail_nomem(err, "a pickle", (to->n + 1) * sizeof v);
    to->v[to->n++] = v;
    return ASSAY_OK;
}

static as_status push(as_pickle *k, as_pk v, as_err *err) {
    if (k->stack.n >= STACK_LIMIT) return fail_at(k, "its stack is too deep", err);
    return append(&k->stack, v, err);
}

/* Counts `more` values that will be kept. */
static as_status afford(as_pickle *k, size_t more, as_err *err) {
    if (more > MADE_LIMIT - k->made) return fail_at(k, "it makes more than 8 million values", err);
    k->made += more;
    return ASSAY_OK;
}

static as_status pop(as_pickle *k, as_pk *out, as_err *err) {
    if (k->stack.n == 0 || k->stack.v[k->stack.n - 1].kind == AS_PK_MARK)
        return fail_at(k, "its stack is empty", err);
    *out = k->stack.v[--k->stack.n];
    return ASSAY_OK;
}

/* The values above the topmost mark stay at v[0..n) until the next push; they and the mark are off
 * the stack. */
static as_status pop_mark(as_pickle *k, const as_pk **v, size_t *n, as_err *err) {
    size_t at = k->stack.n;
    while (at > 0 && k->stack.v[at - 1].kind != AS_PK_MARK)
        at--;
    if (at == 0) return fail_at(k, "its stack has no mark", err);
    *v = k->stack.v + at;
    *n = k->stack.n - at;
    k->stack.n = at - 1;
    return ASSAY_OK;
}

/* The container of `kind` on top of the stack. */
static as_status top_box(as_pickle *k, as_pk_kind kind, as_pk_box **out, as_err *err) {
    const as_pk *const top = k->stack.n > 0 ? &k->stack.v[k->stack.n - 1] : NULL;
    if (top == NULL || top->kind != kind)
        return fail_at(k,
                       kind == AS_PK_DICT ? "it sets items of what is no dict"
                                          : "it appends to what is no list",
                       err);
    *out = &k->boxes[top->at];
    return ASSAY_OK;
}

static as_status fill(as_pickle *k, as_pk_box *box, const as_pk *v, size_t n, as_err *err) {
    AS_TRY(afford(k, n, err));
    if (!as_grow(&box->v, &box->cap, box->n + n, sizeof *v))
        return as_fail_nomem(err, "a pickle", (box->n + n) * sizeof *v);
    if (n > 0) memcpy(box->v + box->n, v, n * sizeof *v);
    box->n += n;
    return ASSAY_OK;
}

static as_status push_box(as_pickle *k, as_pk_kind kind, as_err *err) {
    if (k->box_count >= BOX_LIMIT)
        return fail_at(k, "it makes more than a million lists and dicts", err);
    if (!as_grow(&k->boxes, &k->box_cap, k->box_count + 1, sizeof *k->boxes))
        return as_fail_nomem(err, "a pickle", (k->box_count + 1) * sizeof *k->boxes);
    k->boxes[k->box_count] = (as_pk_box){0};
    return push(k, (as_pk){.kind = (uint8_t)kind, .at = k->box_count++}, err);
}

static as_status push_tuple(as_pickle *k, const as_pk *v, size_t n, as_err *err) {
    AS_TRY(afford(k, n, err));
    const as_pk tuple = {.kind = AS_PK_TUPLE, .n = (uint32_t)n, .at = k->pool.n};
    for (size_t i = 0; i < n; i++)
        AS_TRY(append(&k->pool, v[i], err));
    return push(k, tuple, err);
}

/* The topmost n values become a tuple. */
static as_status op_tuple(as_pickle *k, size_t n, as_err *err) {
    as_pk v[3];
    for (size_t i = n; i-- > 0;)
        AS_TRY(pop(k, &v[i], err));
    return push_tuple(k, v, n, err);
}

/* ---- arguments in the byte stream ---- */

static as_status take(as_pickle *k, size_t n, const unsigned char **out, as_err *err) {
    if (n > k->n - k->at) return fail_short(k, err);
    *out = k->p + k->at;
    k->at += n;
    return ASSAY_OK;
}

/* A little-endian length or number of 1, 2, 4 or 8 bytes. */
static as_status take_uint(as_pickle *k, size_t width, uint64_t *out, as_err *err) {
    const unsigned char *p;
    AS_TRY(take(k, width, &p, err));
    *out = 0;
    for (size_t i = width; i-- > 0;)
        *out = *out << 8 | p[i];
    return ASSAY_OK;
}

/* A value whose bytes follow their length of `width` bytes. */
static as_status op_bytes(as_pickle *k, size_t width, as_pk_kind kind, as_err *err) {
    uint64_t n;
    const unsigned char *p;
    AS_TRY(take_uint(k, width, &n, err));
    if (n > k->n - k->at) return fail_short(k, err);
    if (n > PICKLE_LIMIT) return fail_at(k, "it holds a text of more than 64 MiB", err);
    AS_TRY(take(k, (size_t)n, &p, err));
    return push(k, (as_pk){.kind = (uint8_t)kind, .n = (uint32_t)n, .at = (uint64_t)(p - k->p)},
                err);
}

/* LONG1 and LONG4: two's complement, little-endian, any length. */
static as_status op_long(as_pickle *k, size_t width, as_err *err) {
    AS_TRY(op_bytes(k, width, AS_PK_LONG, err));
    as_pk *const v = &k->stack.v[k->stack.n - 1];
    if (v->n > 8) return ASSAY_OK;
    const unsigned char *const p = k->p + v->at;
    uint64_t x = v->n > 0 && p[v->n - 1] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = v->n; i-- > 0;)
        x = x << 8 | p[i];
    *v = (as_pk){.kind = AS_PK_INT, .i = (int64_t)x};
    return ASSAY_OK;
}

static as_status op_int(as_pickle *k, size_t width, as_err *err) {
    uint64_t x;
    AS_TRY(take_uint(k, width, &x, err));
    return push(k, (as_pk){.kind = AS_PK_INT, .i = width == 4 ? (int32_t)(uint32_t)x : (int64_t)x},
                err);
}

static as_status op_skip(as_pickle *k, size_t n, as_err *err) {
    const unsigned char *p;
    return take(k, n, &p, err);
}

static as_status take_line(as_pickle *k, as_str *out, as_err *err) {
    const size_t room = k->n - k->at, limit = 512;
    const unsigned char *const p = k->p + k->at, *const end =
                                                     memchr(p, '\n', room < limit ? room : limit);
    if (end == NULL)
        return room < limit ? fail_short(k, err)
                            : fail_at(k, "it holds a name of more than 512 bytes", err);
    *out = (as_str){(const char *)p, (size_t)(end - p)};
    k->at += out->n + 1;
    return ASSAY_OK;
}

/* ---- memo ---- */

static as_status memo_put(as_pickle *k, uint64_t i, as_err *err) {
    if (k->stack.n == 0) return fail_at(k, "its stack is empty", err);
    if (i > k->memo.n + MEMO_GAP || i >= MADE_LIMIT)
        return fail_at(k, "its memo is written out of order", err);
    const as_pk none = {.kind = AS_PK_MARK}; /* unset: a mark is never stored */
    while (k->memo.n <= i)
        AS_TRY(append(&k->memo, none, err));
    k->memo.v[i] = k->stack.v[k->stack.n - 1];
    return ASSAY_OK;
}

static as_status op_put(as_pickle *k, size_t width, as_err *err) {
    uint64_t i;
    AS_TRY(take_uint(k, width, &i, err));
    return memo_put(k, i, err);
}

static as_status op_get(as_pickle *k, size_t width, as_err *err) {
    uint64_t i;
    AS_TRY(take_uint(k, width, &i, err));
    if (i >= k->memo.n || k->memo.v[i].kind == AS_PK_MARK)
        return fail_at(k, "it reads what its memo does not hold", err);
    return push(k, k->memo.v[i], err);
}

/* ---- containers ---- */

static as_status op_fill(as_pickle *k, as_pk_kind kind, as_err *err) {
    const as_pk *v;
    size_t n;
    as_pk_box *box;
    AS_TRY(pop_mark(k, &v, &n, err));
    AS_TRY(top_box(k, kind, &box, err));
    if (kind == AS_PK_DICT && n % 2 != 0) return fail_at(k, "it sets a key without a value", err);
    return fill(k, box, v, n, err);
}

static as_status op_fill_one(as_pickle *k, as_pk_kind kind, as_err *err) {
    as_pk v[2];
    as_pk_box *box;
    const size_t n = kind == AS_PK_DICT ? 2 : 1;
    for (size_t i = n; i-- > 0;)
        AS_TRY(pop(k, &v[i], err));
    AS_TRY(top_box(k, kind, &box, err));
    return fill(k, box, v, n, err);
}

/* LIST, DICT, TUPLE and FROZENSET: what lies above the mark becomes one value. */
static as_status op_collect(as_pickle *k, as_pk_kind kind, as_err *err) {
    const as_pk *v;
    size_t n;
    AS_TRY(pop_mark(k, &v, &n, err));
    if (kind == AS_PK_OPAQUE) return push(k, (as_pk){.kind = AS_PK_OPAQUE}, err);
    if (kind == AS_PK_TUPLE) return push_tuple(k, v, n, err); /* copies before it pushes */
    if (kind == AS_PK_DICT && n % 2 != 0) return fail_at(k, "it sets a key without a value", err);
    as_pk_box box = {0};
    AS_TRY(fill(k, &box, v, n, err));
    const as_status s = push_box(k, kind, err);
    if (s == ASSAY_OK)
        k->boxes[k->box_count - 1] = box;
    else
        as_free(box.v);
    return s;
}

/* ---- names and calls ---- */

static as_status push_global(as_pickle *k, as_str module, as_str name, as_err *err) {
    for (size_t i = 0; i < AS_COUNT(globals); i++)
        if (as_str_is(module, globals[i].module) && as_str_is(name, globals[i].name))
            return push(k, (as_pk){.kind = AS_PK_GLOBAL, .sub = (uint8_t)i}, err);
    return refuse_call(k, module, name, err);
}

static as_status op_global(as_pickle *k, as_err *err) {
    as_str module, name;
    AS_TRY(take_line(k, &module, err));
    AS_TRY(take_line(k, &name, err));
    return push_global(k, module, name, err);
}

static as_status op_stack_global(as_pickle *k, as_err *err) {
    as_pk module, name;
    AS_TRY(pop(k, &name, err));
    AS_TRY(pop(k, &module, err));
    if (name.kind != AS_PK_STR || module.kind != AS_PK_STR)
        return fail_at(k, "it names a global by what is no text", err);
    return push_global(k, as_pk_text(k, module), as_pk_text(k, name), err);
}

/* OrderedDict() or, by Python 2, OrderedDict([[key, value], ...]). */
static as_status call_ordered_dict(as_pickle *k, as_pk args, as_err *err) {
    AS_TRY(push_box(k, AS_PK_DICT, err));
    if (args.n == 0) return ASSAY_OK;
    as_pk_box *const dict = &k->boxes[k->box_count - 1];
    const as_pk list = k->pool.v[args.at];
    if (args.n != 1 || list.kind != AS_PK_LIST)
        return fail_at(k, "it makes an OrderedDict of something else than a list", err);
    const as_pk_box *const from = &k->boxes[list.at];
    for (size_t i = 0; i < from->n; i++) {
        const as_pk pair = from->v[i];
        const as_pk *v = NULL;
        if (pair.kind == AS_PK_TUPLE && pair.n == 2) v = &k->pool.v[pair.at];
        if (pair.kind == AS_PK_LIST && k->boxes[pair.at].n == 2) v = k->boxes[pair.at].v;
        if (v == NULL) return fail_at(k, "it makes an OrderedDict of what are no pairs", err);
        AS_TRY(fill(k, dict, v, 2, err));
    }
    return ASSAY_OK;
}

static as_status op_reduce(as_pickle *k, as_err *err) {
    as_pk args, fn;
    AS_TRY(pop(k, &args, err));
    AS_TRY(pop(k, &fn, err));
    if (args.kind != AS_PK_TUPLE || fn.kind != AS_PK_GLOBAL)
        return fail_at(k, "it calls what is no known function", err);
    const as_pk_global *const g = &globals[fn.sub];
    const as_pk *const v = args.n > 0 ? &k->pool.v[args.at] : NULL;
    switch (g->what) {
    case AS_PK_ORDERED_DICT:
        return call_ordered_dict(k, args, err);
    case AS_PK_REBUILD_V2:
    case AS_PK_REBUILD_V3: /* looked at when its name is known: as_torch_load */
        return push(k, (as_pk){.kind = AS_PK_TENSOR, .sub = fn.sub, .n = args.n, .at = args.at},
                    err);
    case AS_PK_REBUILD_PARAMETER:
        if (args.n < 1 || v[0].kind != AS_PK_TENSOR)
            return fail_at(k, "it makes a parameter of what is no tensor", err);
        return push(k, v[0], err);
    case AS_PK_SIZE:
        if (args.n != 1 || v[0].kind != AS_PK_TUPLE)
            return fail_at(k, "it makes a size of what is no tuple", err);
        return push(k, v[0], err);
    default:
        return refuse_call(k, as_str_of(g->module), as_str_of(g->name), err);
    }
}

/* State given to a dict (_metadata) or tensor (hooks) changes no weight; anything else should not
 * be here. */
static as_status op_build(as_pickle *k, as_err *err) {
    as_pk state, on;
    AS_TRY(pop(k, &state, err));
    AS_TRY(pop(k, &on, err));
    if (on.kind != AS_PK_DICT && on.kind != AS_PK_TENSOR)
        return fail_at(k, "it sets the state of an unknown object", err);
    return push(k, on, err);
}

static as_status op_persistent(as_pickle *k, as_err *err) {
    as_pk id;
    AS_TRY(pop(k, &id, err));
    const as_pk *const v = id.kind == AS_PK_TUPLE && id.n >= 5 ? &k->pool.v[id.at] : NULL;
    if (v == NULL || v[0].kind != AS_PK_STR || !as_str_is(as_pk_text(k, v[0]), "storage") ||
        v[1].kind != AS_PK_GLOBAL || v[2].kind != AS_PK_STR || v[4].kind != AS_PK_INT || v[4].i < 0)
        return fail_at(k, "it refers to what is no storage", err);
    const as_pk_what what = globals[v[1].sub].what;
    if (what != AS_PK_STORAGE_CLASS && what != AS_PK_UNTYPED_STORAGE)
        return fail_at(k, "it refers to what is no storage", err);
    if (id.n > 5 && v[5].kind != AS_PK_NONE)
        return fail_at(k,
                       "it has storages that are views of others, as torch before 0.4 saved them: "
                       "not supported",
                       err);
    const as_pk storage = {.kind = AS_PK_STORAGE, .n = id.n, .at = id.at};
    AS_TRY(afford(k, 1, err));
    AS_TRY(append(&k->storages, storage, err));
    return push(k, storage, err);
}

/* ---- the machine ---- */

static as_status op_pop(as_pickle *k, as_err *err) {
    if (k->stack.n == 0) return fail_at(k, "its stack is empty", err);
    k->stack.n--;
    return ASSAY_OK;
}

static as_status op_dup(as_pickle *k, as_err *err) {
    as_pk v;
    AS_TRY(pop(k, &v, err));
    k->stack.n++; /* it is still there */
    return push(k, v, err);
}

static as_status op_pop_mark(as_pickle *k, as_err *err) {
    const as_pk *v;
    size_t n;
    return pop_mark(k, &v, &n, err);
}

static as_status op_proto(as_pickle *k, as_err *err) {
    uint64_t version;
    AS_TRY(take_uint(k, 1, &version, err));
    return version >= 2 && version <= 5 ? ASSAY_OK
                                        : fail_at(k, "its protocol is none of 2 to 5", err);
}

static as_status refuse_opcode(const as_pickle *k, unsigned char op, as_err *err) {
    as_fail(err, ASSAY_FORMAT,
            "%s: pickle, byte %s: opcode 0x%02x, which no state dict needs: refused", k->where,
            as_show_count(k->at - 1).s, op);
    as_hint(err, "Nothing of it was run. Use the safetensors file of this checkpoint, or save its "
                 "state dict alone.");
    return ASSAY_FORMAT;
}

static as_status step(as_pickle *k, unsigned char op, as_err *err) {
    const as_pk opaque = {.kind = AS_PK_OPAQUE};
    switch (op) {
    case 0x80:
        return op_proto(k, err);
    case 0x95:
        return op_skip(k, 8, err); /* FRAME */
    case '(':
        return push(k, (as_pk){.kind = AS_PK_MARK}, err);
    case '0':
        return op_pop(k, err);
    case '1':
        return op_pop_mark(k, err);
    case '2':
        return op_dup(k, err);
    case 'N':
        return push(k, (as_pk){.kind = AS_PK_NONE}, err);
    case 0x88:
        return push(k, (as_pk){.kind = AS_PK_BOOL, .i = 1}, err);
    case 0x89:
        return push(k, (as_pk){.kind = AS_PK_BOOL, .i = 0}, err);
    case 'K':
        return op_int(k, 1, err); /* BININT1 */
    case 'M':
        return op_int(k, 2, err); /* BININT2 */
    case 'J':
        return op_int(k, 4, err); /* BININT */
    case 0x8a:
        return op_long(k, 1, err);
    case 0x8b:
        return op_long(k, 4, err);
    case 'G':
        AS_TRY(op_skip(k, 8, err));
        return push(k, opaque, err); /* BINFLOAT */
    case 'U':
        return op_bytes(k, 1, AS_PK_STR, err); /* SHORT_BINSTRING: text of Python 2 */
    case 'T':
        return op_bytes(k, 4, AS_PK_STR, err); /* BINSTRING */
    case 0x8c:
        return op_bytes(k, 1, AS_PK_STR, err); /* SHORT_BINUNICODE */
    case 'X':
        return op_bytes(k, 4, AS_PK_STR, err); /* BINUNICODE */
    case 0x8d:
        return op_bytes(k, 8, AS_PK_STR, err); /* BINUNICODE8 */
    case 'C':
        return op_bytes(k, 1, AS_PK_OPAQUE, err); /* SHORT_BINBYTES */
    case 'B':
        return op_bytes(k, 4, AS_PK_OPAQUE, err); /* BINBYTES */
    case 0x8e:
        return op_bytes(k, 8, AS_PK_OPAQUE, err); /* BINBYTES8 */
    case 0x96:
        return op_bytes(k, 8, AS_PK_OPAQUE, err); /* BYTEARRAY8 */
    case ')':
        return push_tuple(k, NULL, 0, err);
    case 0x85:
        return op_tuple(k, 1, err);
    case 0x86:
        return op_tuple(k, 2, err);
    case 0x87:
        return op_tuple(k, 3, err);
    case 't':
        return op_collect(k, AS_PK_TUPLE, err);
    case ']':
        return push_box(k, AS_PK_LIST, err);
    case 'l':
        return op_collect(k, AS_PK_LIST, err);
    case 'a':
        return op_fill_one(k, AS_PK_LIST, err);
    case 'e':
        return op_fill(k, AS_PK_LIST, err);
    case '}':
        return push_box(k, AS_PK_DICT, err);
    case 'd':
        return op_collect(k, AS_PK_DICT, err);
    case 's':
        return op_fill_one(k, AS_PK_DICT, err);
    case 'u':
        return op_fill(k, AS_PK_DICT, err);
    case 0x8f:
        return push_box(k, AS_PK_LIST, err); /* EMPTY_SET: as good as a list here */
    case 0x90:
        return op_fill(k, AS_PK_LIST, err); /* ADDITEMS */
    case 0x91:
        return op_collect(k, AS_PK_OPAQUE, err); /* FROZENSET */
    case 'q':
        return op_put(k, 1, err);
    case 'r':
        return op_put(k, 4, err);
    case 0x94:
        return memo_put(k, k->memo.n, err); /* MEMOIZE */
    case 'h':
        return op_get(k, 1, err);
    case 'j':
        return op_get(k, 4, err);
    case 'c':
        return op_global(k, err);
    case 0x93:
        return op_stack_global(k, err);
    case 'R':
        return op_reduce(k, err);
    case 0x81:
        return op_reduce(k, err); /* NEWOBJ: cls.__new__(cls, *args) */
    case 'b':
        return op_build(k, err);
    case 'Q':
        return op_persistent(k, err);
    default:
        return refuse_opcode(k, op, err);
    }
}

as_status as_pickle_run(as_pickle *k, as_pk *root, as_err *err) {
    k->start = k->at;
    k->stack.n = k->memo.n = 0;
    for (;;) {
        if (k->at >= k->n) return fail_short(k, err);
        if (k->at - k->start > PICKLE_LIMIT) return fail_at(k, "it is longer than 64 MiB", err);
        const unsigned char op = k->p[k->at++];
        if (op == '.') return pop(k, root, err);
        AS_TRY(step(k, op, err));
    }
}

void as_pickle_deinit(as_pickle *k) {
    for (size_t i = 0; i < k->box_count; i++)
        as_free(k->boxes[i].v);
    as_free(k->boxes);
    as_free(k->stack.v);
    as_free(k->memo.v);
    as_free(k->pool.v);
    as_free(k->storages.v);
    *k = (as_pickle){0};
}

as_str as_pk_text(const as_pickle *k, as_pk v) {
    if (v.kind != AS_PK_STR && v.kind != AS_PK_LONG) return (as_str){"", 0};
    return (as_str){(const char *)k->p + v.at, v.n};
}

const as_pk *as_pk_get(const as_pickle *k, as_pk v, const char *key) {
    if (v.kind != AS_PK_DICT) return NULL;
    const as_pk_box *const dict = &k->boxes[v.at];
    for (size_t i = dict->n / 2; i-- > 0;)
        if (dict->v[2 * i].kind == AS_PK_STR && as_str_is(as_pk_text(k, dict->v[2 * i]), key))
            return &dict->v[2 * i + 1];
    return NULL;
}
