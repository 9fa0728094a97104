#!/usr/bin/env python3
"""Golden files for the Parquet reader, written by pyarrow, and golden.json: what their cells must be.

python3 make.py    writes NAME.parquet and golden.json beside itself, and the seeds of the fuzz target into
                   ../../fuzz/corpus/parquet. The cells are made from the values that were written, not read back.
"""
import datetime as dt
import decimal
import gzip
import json
import pathlib
import platform
import random
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "../../fuzz/corpus/parquet"


# ---- the text of a value ----

def moment(v, unit, utc):
    """ISO 8601 of ticks since 1970, with a fraction only when there is one."""
    ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds, rest = divmod(v, ticks)
    text = (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)).isoformat()
    if rest:
        text += "." + str(rest).zfill(len(str(ticks)) - 1)
    return text + ("Z" if utc else "")


def clock(v, unit):
    return moment(v, unit, False)[11:]


def scalar(v, t):
    """The text of a value and whether it stands in quotes inside JSON."""
    if pa.types.is_boolean(t):
        return ("true" if v else "false"), False
    if pa.types.is_integer(t):
        return str(v), False
    if pa.types.is_floating(t):
        return json.dumps(float(np.float32(v)) if t == pa.float32() else float(v)), False
    if pa.types.is_decimal(t):
        return format(v, ".%df" % t.scale), False
    if pa.types.is_date(t):
        return v.isoformat(), True
    if pa.types.is_timestamp(t):
        return moment(v, "ms" if t.unit == "s" else t.unit, t.tz is not None), True
    if pa.types.is_time(t):
        return clock(v, t.unit), True
    if isinstance(v, bytes):
        return (str(uuid.UUID(bytes=v)) if t == pa.uuid() else v.decode()), True
    if pa.types.is_dictionary(t):
        return scalar(v, t.value_type)
    return v, True


def nested(v, t):
    if v is None:
        return "null"
    if pa.types.is_map(t):
        pair = '{{"key":{},"value":{}}}'
        return "[" + ",".join(pair.format(nested(k, t.key_type), nested(x, t.item_type)) for k, x in v) + "]"
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return "[" + ",".join(nested(x, t.value_type) for x in v) + "]"
    if pa.types.is_struct(t):
        parts = (json.dumps(f.name, ensure_ascii=False) + ":" + nested(v[f.name], f.type) for f in t)
        return "{" + ",".join(parts) + "}"
    text, quoted = scalar(v, t)
    return json.dumps(text, ensure_ascii=False) if quoted else text


def cell(v, t):
    if v is None:
        return None
    return nested(v, t) if pa.types.is_nested(t) else scalar(v, t)[0]


# ---- tables: {name: (type, values)} ----

def holes(values, every):
    return [None if every and i % every == every - 1 else v for i, v in enumerate(values)]


WORDS = ["", "good", "bad", "caf\u00e9", "\u8fd9\u90e8\u7535\u5f71\u5f88\u597d", "\U0001f600 fine", "a \"quoted\" one",
         "line\nend\ttab", "back\\slash", "good", "nul\0byte", "\u2028", "prefix", "prefixed", "prefixes", "pre"]


def mixed(every, n=37):
    r = random.Random(5)
    big = [0, 1, -1, 2**63 - 1, -2**63] + [r.randrange(-2**40, 2**40) for _ in range(n - 5)]
    reals = [0.0, -0.0, 1.0, 0.1, -2.5, 1e16, 1e15, 123456789012345680.0, 1e-5, 0.0001, 5e-324, 1.7976931348623157e308,
             float("nan"), float("inf"), float("-inf"), 1 / 3, 100.0, 1e22] + [r.gauss(0, 1e3) for _ in range(n - 18)]
    words = [WORDS[i % len(WORDS)] for i in range(n)]
    days = [dt.date(1970, 1, 1), dt.date(2000, 2, 29), dt.date(1900, 3, 1), dt.date(1, 1, 1), dt.date(9999, 12, 31),
            dt.date(2024, 12, 31)] + [dt.date(1900, 1, 1) + dt.timedelta(days=r.randrange(60000)) for _ in range(n - 6)]
    ticks = [0, 1, -1, 951782400000, -2208988800001] + [r.randrange(-10**12, 10**12) for _ in range(n - 5)]
    decs = [decimal.Decimal(r.randrange(-10**9, 10**9)).scaleb(-2) for _ in range(n)]
    wide = [decimal.Decimal(r.randrange(-10**37, 10**37)).scaleb(-10, decimal.Context(prec=40)) for _ in range(n)]
    wide[:4] = [decimal.Decimal(x) for x in ("0", "-0.0000000001", "9" * 28 + "." + "9" * 10, "-1.5")]
    t = {
        "bool": (pa.bool_(), [i % 3 == 0 for i in range(n)]),
        "i8": (pa.int8(), [(i * 37) % 256 - 128 for i in range(n)]),
        "i32": (pa.int32(), [0, 1, -1, 2**31 - 1, -2**31] + [r.randrange(-2**31, 2**31) for _ in range(n - 5)]),
        "i64": (pa.int64(), big),
        "u8": (pa.uint8(), [(i * 53) % 256 for i in range(n)]),
        "u32": (pa.uint32(), [2**32 - 1 - i for i in range(n)]),
        "u64": (pa.uint64(), [2**64 - 1 - i * i for i in range(n)]),
        "f16": (pa.float16(), [np.float16(x) for x in ([0.0, -1.5, 65504.0, 6e-8, float("inf")] + [i / 7 for i in range(n - 5)])]),
        "f32": (pa.float32(), [np.float32(min(x, 1e30)) for x in reals]),
        "f64": (pa.float64(), reals),
        "text": (pa.string(), words),
        "label": (pa.int64(), [i % 3 for i in range(n)]),
        "bytes": (pa.binary(), [w.encode() for w in reversed(words)]),
        "four": (pa.binary(4), [b"%04d" % (i * i) for i in range(n)]),
        "uuid": (pa.uuid(), [uuid.UUID(int=r.getrandbits(128)).bytes for _ in range(n)]),
        "date": (pa.date32(), days),
        "ms": (pa.timestamp("ms"), ticks),
        "us": (pa.timestamp("us", "UTC"), [x * 1000 + x % 7 for x in ticks]),
        "ns": (pa.timestamp("ns"), [x * 1000000 for x in ticks]),
        "clock": (pa.time32("ms"), [abs(x) % 86400000 for x in ticks]),
        "fine": (pa.time64("us"), [abs(x) % 86400000 * 1000 for x in ticks]),
        "dec": (pa.decimal128(12, 2), decs),
        "wide": (pa.decimal128(38, 10), wide),
        "kind": (pa.dictionary(pa.int8(), pa.string()), [("x", "y", "\u4e2d")[i % 3] for i in range(n)]),
    }
    if every:
        t["none"] = (pa.null(), [None] * n)
    return {k: (ty, holes(v, every and every + i % 3)) for i, (k, (ty, v)) in enumerate(t.items())}


def lists(n=23):
    r = random.Random(6)
    texts = pa.list_(pa.string())
    pair = pa.struct([("text", texts), ("label", texts)])
    squad = pa.struct([("text", texts), ("answer_start", pa.list_(pa.int32()))])
    point = pa.struct([pa.field("x", pa.int32(), nullable=False), pa.field("name", pa.string())])

    def some(make, most=4):
        return [make() for _ in range(r.randrange(most))]

    def maybe(make, part=0.2):
        return None if r.random() < part else make()

    def word():
        return maybe(lambda: r.choice(WORDS))

    def number():
        return maybe(lambda: r.randrange(-1000, 1000))

    def where():
        return {"x": r.randrange(9), "name": word()}

    t = {
        "id": (pa.int32(), lambda: r.randrange(100)),
        "endings": (texts, lambda: maybe(lambda: some(word))),
        "choices": (pair, lambda: maybe(lambda: {"text": maybe(lambda: some(word)), "label": some(word)})),
        "answers": (squad, lambda: {"text": some(word), "answer_start": some(number)}),
        "points": (pa.list_(point), lambda: maybe(lambda: some(lambda: maybe(where)))),
        "deep": (pa.list_(pa.list_(pa.list_(pa.int16()))),
                 lambda: maybe(lambda: some(lambda: maybe(lambda: some(lambda: maybe(lambda: some(number))))))),
        "inner": (pa.struct([("a", pa.struct([("b", pa.struct([("c", pa.float64())]))]))]),
                  lambda: maybe(lambda: {"a": maybe(lambda: {"b": maybe(lambda: {"c": maybe(lambda: r.random())})})})),
        "map": (pa.map_(pa.string(), pa.list_(pa.int64())),
                lambda: maybe(lambda: [(r.choice(WORDS), maybe(lambda: some(number))) for _ in range(r.randrange(3))])),
        "flags": (pa.large_list(pa.bool_()), lambda: maybe(lambda: some(lambda: maybe(lambda: r.random() < 0.5), 12))),
        "days": (pa.list_(pa.date32()), lambda: some(lambda: dt.date(2020, 1, 1) + dt.timedelta(days=r.randrange(999)))),
        "price": (pa.list_(pa.decimal128(9, 2)), lambda: some(lambda: decimal.Decimal(r.randrange(9999)).scaleb(-2))),
    }
    return {k: (ty, [make() for _ in range(n)]) for k, (ty, make) in t.items()}


def many(n=1080):
    r = random.Random(7)
    walk, at = [], 10**12
    for _ in range(n):
        at += r.randrange(-5, 300)
        walk.append(at)
    return {
        "walk": (pa.int64(), walk),
        "jump": (pa.int32(), [r.choice((1, -1)) * r.getrandbits(r.randrange(1, 31)) for _ in range(n)]),
        "run": (pa.int32(), holes([i // 300 for i in range(n)], 11)),
        "path": (pa.string(), ["/usr/%d/%d" % (i // 100, i) for i in range(n)]),
    }


def long_texts():
    return {"text": (pa.string(), ["\u957f" * 7000, "x" * 9000, "", None, "tail"]), "n": (pa.int64(), [1, 2, 3, 4, 5])}


def glue():
    return {"sentence": (pa.string(), ["it 's fine .", "\u4e0d\u597d", "so-so"]), "label": (pa.int64(), [1, 0, -1]),
            "idx": (pa.int32(), [0, 1, 2])}


def table(columns, nullable=True, metadata=None):
    arrays, fields = [], []
    for name, (t, values) in columns.items():
        if t == pa.uuid():
            a = pa.ExtensionArray.from_storage(t, pa.array(values, pa.binary(16)))
        elif pa.types.is_dictionary(t):
            a = pa.array(values, t.value_type).dictionary_encode().cast(t)
        else:
            a = pa.array(values, t)
        arrays.append(a)
        fields.append(pa.field(name, t, nullable=nullable))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def golden(columns):
    return {"columns": list(columns), "rows": [list(r) for r in zip(*([cell(v, t) for v in vs] for t, vs in columns.values()))]}


# ---- files that pyarrow does not write: older lists, and what is wrong ----

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12


def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out + bytes([v]))


def struct(*fields):
    """The compact protocol; a field is (id, type, value), and None as value leaves it out."""
    out, last = b"", 0
    for number, kind, value in fields:
        if value is None:
            continue
        out += bytes([(number - last) << 4 | kind])
        last = number
        if kind in (I32, I64):
            out += varint(value << 1 if value >= 0 else ~(value << 1))
        elif kind == BINARY:
            out += varint(len(value)) + value
        elif kind == LIST:
            element = STRUCT if value and isinstance(value[0], bytes) else I32
            head = bytes([len(value) << 4 | element]) if len(value) < 15 else bytes([0xF0 | element]) + varint(len(value))
            out += head + b"".join(v if element == STRUCT else varint(v << 1) for v in value)
        else:
            out += value
    return out + b"\0"


def node(name, repetition=None, kind=None, children=None, converted=None):
    return struct((1, I32, kind), (3, I32, repetition), (4, BINARY, name.encode()), (5, I32, children), (6, I32, converted))


def levels(values):
    runs = b"".join(varint(1 << 1) + bytes([v]) for v in values)
    return len(runs).to_bytes(4, "little") + runs


def page(reps, defs, values):
    body = levels(reps) + levels(defs) + b"".join(v.to_bytes(4, "little") for v in values)
    head = struct((1, I32, len(reps)), (2, I32, 0), (3, I32, 3), (4, I32, 3))
    return struct((1, I32, 0), (2, I32, len(body)), (3, I32, len(body)), (5, STRUCT, head)) + body


def dictionary(values):
    body = b"".join(v.to_bytes(4, "little") for v in values)
    head = struct((1, I32, len(values)), (2, I32, 0))
    return struct((1, I32, 2), (2, I32, len(body)), (3, I32, len(body)), (7, STRUCT, head)) + body


def places(values):
    """A data page of a required column: places in the dictionary, of 8 bits each."""
    body = b"\x08" + b"".join(varint(1 << 1) + bytes([v]) for v in values)
    head = struct((1, I32, len(values)), (2, I32, 8), (3, I32, 3), (4, I32, 3))
    return struct((1, I32, 0), (2, I32, len(body)), (3, I32, len(body)), (5, STRUCT, head)) + body


def zipped(values, size, count=2):
    body = gzip.compress(b"".join(v.to_bytes(4, "little") for v in values), mtime=0)
    head = struct((1, I32, count), (2, I32, 0), (3, I32, 3), (4, I32, 3))
    return struct((1, I32, 0), (2, I32, size), (3, I32, len(body)), (5, STRUCT, head)) + body


def by_hand(path, schema, pages, rows, codec=0):
    out, chunks = b"PAR1", []
    for p, n in pages:
        meta = struct((1, I32, 1), (2, LIST, [0]), (4, I32, codec), (5, I64, n), (6, I64, len(p)), (7, I64, len(p)), (9, I64, len(out)))
        chunks.append(struct((2, I64, 0), (3, STRUCT, meta)))
        out += p
    group = struct((1, LIST, chunks), (2, I64, 0), (3, I64, rows))
    footer = struct((1, I32, 1), (2, LIST, schema), (3, I64, rows), (4, LIST, [group]))
    path.write_bytes(out + footer + len(footer).to_bytes(4, "little") + b"PAR1")


REQUIRED, OPTIONAL, REPEATED, INT32, AS_LIST = 0, 1, 2, 1, 3


def old_lists():
    """Lists without the group in the middle, or with one that is itself the element."""
    schema = [node("root", children=5), node("tags", REPEATED, INT32),
              node("old", OPTIONAL, children=1, converted=AS_LIST), node("element", REPEATED, INT32),
              node("t", OPTIONAL, children=1, converted=AS_LIST), node("t_tuple", REPEATED, children=1), node("a", REQUIRED, INT32),
              node("arr", OPTIONAL, children=1, converted=AS_LIST), node("array", REPEATED, children=1), node("a", REQUIRED, INT32),
              node("two", OPTIONAL, children=1, converted=AS_LIST), node("item", REPEATED, children=2), node("a", REQUIRED, INT32),
              node("b", OPTIONAL, INT32)]
    pairs = (page([0, 1, 0, 0], [2, 2, 0, 1], [5, 6]), 4)
    pages = [(page([0, 1, 0, 0], [1, 1, 0, 1], [1, 2, 3]), 4), (page([0, 0, 0], [2, 0, 1], [4]), 3), pairs, pairs, pairs,
             (page([0, 1, 0, 0], [3, 2, 0, 1], [7]), 4)]
    wrong = pages[:5] + [(page([0, 0, 0], [3, 0, 1], [7]), 3)]
    cells = [["[1,2]", "[4]", '[{"a":5},{"a":6}]', '[{"a":5},{"a":6}]', '[{"a":5,"b":7},{"a":6,"b":null}]'],
             ["[]", None, None, None, None], ["[3]", "[]", "[]", "[]", "[]"]]
    return schema, pages, wrong, {"columns": ["tags", "old", "t", "arr", "two"], "rows": cells}


# ---- files ----

LEAN = {"write_statistics": False, "store_schema": False}
BYTE_TYPES = {"text", "bytes", "path"}


def encodings(columns, ints, texts, split=False):
    out = {}
    for name, (t, _) in columns.items():
        if pa.types.is_boolean(t):
            out[name] = "RLE"
        elif pa.types.is_integer(t) or pa.types.is_date(t) or pa.types.is_timestamp(t) or pa.types.is_time(t):
            out[name] = "BYTE_STREAM_SPLIT" if split else ints
        elif pa.types.is_float32(t) or pa.types.is_float64(t) or pa.types.is_float16(t):
            out[name] = "BYTE_STREAM_SPLIT" if split else "PLAIN"
        elif pa.types.is_string(t) or t == pa.binary():
            out[name] = texts
        elif pa.types.is_fixed_size_binary(t) or pa.types.is_decimal(t) or t == pa.uuid():
            out[name] = "BYTE_STREAM_SPLIT" if split else "DELTA_BYTE_ARRAY" if texts == "DELTA_BYTE_ARRAY" else "PLAIN"
    return out


def write(path, t, **options):
    pq.write_table(t, path, **{**LEAN, **options})


def main():
    tables = {"mixed": mixed(5), "full": mixed(0), "lists": lists(), "many": many(), "long": long_texts(), "glue": glue()}
    del tables["full"]["kind"]
    files = {}

    def file(name, of, nullable=True, metadata=None, **options):
        write(HERE / (name + ".parquet"), table(tables[of], nullable, metadata), **options)
        files[name + ".parquet"] = of

    features = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}, "idx": {"dtype": "int32", "_type": "Value"}}
    hf = {"huggingface": json.dumps({"info": {"features": features}})}
    file("glue", "glue", metadata=hf, write_statistics=True, store_schema=True, write_page_index=True)
    file("snappy_v1", "mixed", compression="snappy", write_statistics=True, store_schema=True)
    file("zstd_v2", "mixed", compression="zstd", data_page_version="2.0")
    file("gzip_v1", "mixed", compression="gzip", write_page_checksum=True)
    file("plain_v2", "mixed", compression="none", data_page_version="2.0", use_dictionary=False)
    file("plain_v1", "full", compression="none", nullable=False, use_dictionary=False)
    file("groups", "full", compression="snappy", nullable=False, row_group_size=19, data_page_version="2.0")
    file("fallback", "mixed", compression="zstd", dictionary_pagesize_limit=60, write_batch_size=4, data_page_size=60)
    for name, of, ints, texts, split in (("delta_length", "mixed", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", False),
                                         ("delta_bytes", "full", "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", False),
                                         ("split", "mixed", "PLAIN", "PLAIN", True)):
        kind = {} if of == "full" else {"kind": "PLAIN"}
        file(name, of, compression="snappy", use_dictionary=False, data_page_version="2.0" if split else "1.0",
             column_encoding={**encodings(tables[of], ints, texts, split), **kind})
    file("many_delta", "many", compression="zstd", use_dictionary=False,
         column_encoding=encodings(tables["many"], "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY"))
    file("many_pages", "many", compression="zstd", data_page_size=500, write_batch_size=64, data_page_version="2.0",
         row_group_size=700)
    file("many_groups", "many", compression="gzip", row_group_size=500)
    file("lists_v1", "lists", compression="snappy", store_schema=True)
    file("lists_v2", "lists", compression="zstd", data_page_version="2.0", use_dictionary=False)
    file("lists_pages", "lists", compression="zstd", data_page_size=20, write_batch_size=2, row_group_size=9)
    file("lists_old", "lists", compression="gzip", use_compliant_nested_type=False)
    file("long", "long", compression="zstd", use_dictionary=False)

    # What must be refused.
    write(HERE / "empty.parquet", table({"a": (pa.string(), []), "b": (pa.int64(), [])}))
    write(HERE / "no_columns.parquet", pa.table({"a": [1, 2, 3]}).select([]))
    write(HERE / "brotli.parquet", table(glue()), compression="brotli")
    write(HERE / "lz4.parquet", table(glue()), compression="lz4")
    write(HERE / "int96.parquet", table({"ok": (pa.int32(), [1]), "when": (pa.timestamp("ns"), [1])}),
          use_deprecated_int96_timestamps=True)
    write(HERE / "binary.parquet", table({"ok": (pa.int32(), [1, 2]), "image": (pa.struct([("bytes", pa.binary())]),
                                          [{"bytes": b"fine"}, {"bytes": b"\x89PNG"}])}))
    write(HERE / "wide_decimal.parquet", table({"d": (pa.decimal256(60, 2), [decimal.Decimal("1.25")])}))

    schema, pages, wrong, cells = old_lists()
    by_hand(HERE / "lists_older.parquet", schema, pages, 3)
    by_hand(HERE / "shape.parquet", schema, wrong, 3)
    one = [node("root", children=1), node("n", OPTIONAL, INT32)]
    by_hand(HERE / "huge.parquet", one, [(page([], [1], [1]), 1 << 50)], 1 << 50)
    must = [node("root", children=1), node("n", REQUIRED, INT32)]
    by_hand(HERE / "place.parquet", must, [(dictionary([4, 5]) + places([1, 0, 2]), 3)], 3)
    by_hand(HERE / "twice.parquet", must, [(dictionary([4, 5]) + dictionary([4, 5, 6]) + places([1, 0, 2]), 3)], 3)
    by_hand(HERE / "late.parquet", must, [(places([0]) + dictionary([4]), 1)], 1)
    by_hand(HERE / "zip_short.parquet", must, [(zipped([1, 2], 12), 2)], 2, codec=2)
    by_hand(HERE / "zip_long.parquet", must, [(zipped([1, 2, 3], 8), 2)], 2, codec=2)
    deep = [node("g%d" % i, None if i == 0 else OPTIONAL, children=1) for i in range(100)] + [node("n", OPTIONAL, INT32)]
    by_hand(HERE / "deep.parquet", deep, [(page([0], [1], [1]), 1)], 1)
    files["lists_older.parquet"] = "older"

    json.dump({"pyarrow": pa.__version__, "python": platform.python_version(), "files": files,
               "tables": {**{k: golden(v) for k, v in tables.items()}, "older": cells}},
              open(HERE / "golden.json", "w"), ensure_ascii=False, separators=(",", ":"))

    # Seeds of the fuzz target: one way to write a column each, small.
    CORPUS.mkdir(parents=True, exist_ok=True)

    def seed(name, columns, **options):
        write(CORPUS / name, table(columns), **options)

    def take(columns, *names, n=9):
        return {k: (columns[k][0], columns[k][1][:n]) for k in names}

    m, li = tables["mixed"], tables["lists"]
    seed("numbers", take(m, "bool", "i8", "u64", "f32", "f64"), compression="none", use_dictionary=False)
    seed("texts", take(m, "text", "bytes", "four"), compression="snappy")
    seed("times", take(m, "date", "ms", "us", "clock", "f16"), compression="none", data_page_version="2.0")
    seed("decimals", take(m, "dec", "wide", "uuid", "none"), compression="none", use_dictionary=False)
    seed("zstd", take(m, "text", "label"), compression="zstd", data_page_version="2.0", row_group_size=4)
    seed("gzip", take(m, "text", "label"), compression="gzip", write_page_checksum=True)
    seed("delta", take(m, "i64", "i32"), compression="none", use_dictionary=False,
         column_encoding={"i64": "DELTA_BINARY_PACKED", "i32": "DELTA_BINARY_PACKED"})
    seed("delta_texts", {**take(m, "text", "four", n=16), "t2": m["text"][:1] + (m["text"][1][:16],)}, compression="none",
         use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY", "t2": "DELTA_LENGTH_BYTE_ARRAY",
                                                "four": "DELTA_BYTE_ARRAY"})
    seed("split", take(m, "i64", "f32", "four"), compression="none", use_dictionary=False,
         column_encoding={k: "BYTE_STREAM_SPLIT" for k in ("i64", "f32", "four")})
    seed("rle_bool", take(m, "bool", n=20), compression="none", use_dictionary=False, column_encoding={"bool": "RLE"})
    seed("fallback", take(m, "text", n=16), compression="none", dictionary_pagesize_limit=30, write_batch_size=4, data_page_size=30)
    for name in ("endings", "choices", "points", "deep", "map", "inner"):
        seed("nested_" + name, take(li, name), compression="none")
    by_hand(CORPUS / "nested_older", schema, pages, 3)
    seed("nested_v2", take(li, "answers", "flags"), compression="snappy", data_page_version="2.0")


if __name__ == "__main__":
    main()
