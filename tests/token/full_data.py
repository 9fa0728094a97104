#!/usr/bin/env python3
"""Compare assay's tokenizer with the `tokenizers` library on real text, every code point, and random pipelines.

    tests/token/full_data.py [--driver PATH] [--only data|points|random] [--limit BYTES]

Needs the `tokenizers` package (else it says so and exits 0), the driver (make build/cc/tests/token/encode_lines), and for
real text ASSAY_DATA (a folder of data sets), ASSAY_TOKENIZERS (bert-base-uncased/vocab.txt) and ASSAY_MODELS
(all-MiniLM-L6-v2). Exit status 1 on any mismatch. Written against tokenizers 0.23.3.
"""
import argparse
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

try:
    import tokenizers
    from tokenizers import AddedToken, Tokenizer, decoders as D, models as M, normalizers as N
    from tokenizers import pre_tokenizers as P, processors as R
except ImportError:
    print("skipped: the tokenizers package is not installed")
    sys.exit(0)

DRIVER = None


def drive(where, records, *args):
    """One block (list of lines) per text."""
    data = b"".join(struct.pack("<I", len(r)) + r for r in records)
    out = subprocess.run([DRIVER, where, *args], input=data, stdout=subprocess.PIPE, check=True).stdout.decode()
    return out


def line(e):
    seq = e.sequence_ids
    return " ".join(
        "%d:%d:%d:%d:%d:%d:%d" % (i, t, o[0], o[1], -1 if w is None else w, -1 if s is None else s, m)
        for i, t, o, w, s, m in zip(e.ids, e.type_ids, e.offsets, e.word_ids, seq, e.special_tokens_mask))


def compare(name, tok, where, texts, *args):
    """Single texts, no truncation. Returns (texts, mismatches)."""
    want = [line(e) for e in tok.encode_batch(texts, add_special_tokens="bare" not in args)]
    got = drive(where, [t.encode() for t in texts], *args).split("\n\n")
    bad = 0
    if len(got) != len(want) + 1:
        print("%s: %d results for %d texts" % (name, len(got) - 1, len(want)))
        bad += 1
    for t, w, g in zip(texts, want, got):
        if w != g:
            bad += 1
            if bad <= 3:
                print("MISMATCH %s %s\n  text %r\n  want %s\n  got  %s" % (name, args, t[:300], w[:600], g[:600]))
    return len(texts), bad


# ---- real text ----
def lines_of_data(root):
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            path = os.path.join(folder, f)
            raw = gzip.open(path).read() if f.endswith(".gz") else open(path, "rb").read()
            if b"\0" in raw[:1000] or f.endswith((".bz2", ".zip", ".png")):
                continue
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                text = raw.decode("latin-1")
            # JSON holds non-ASCII text as escapes in places: the strings behind them are text as well.
            if f.endswith((".json", ".jsonl")):
                for l in text.split("\n"):
                    try:
                        yield from strings(json.loads(l))
                    except ValueError:
                        pass
                try:
                    yield from strings(json.loads(text))
                except ValueError:
                    pass
            for l in text.split("\n"):
                yield l


def strings(v):
    if isinstance(v, str):
        yield v
    elif isinstance(v, dict):
        for x in v.values():
            yield from strings(x)
    elif isinstance(v, list):
        for x in v:
            yield from strings(x)


def bert_from_vocab(path):
    vocab = {l.rstrip("\n"): i for i, l in enumerate(open(path, encoding="utf-8"))}
    t = Tokenizer(M.WordPiece(vocab, unk_token="[UNK]"))
    t.add_special_tokens(["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"])
    t.normalizer = N.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    t.pre_tokenizer = P.BertPreTokenizer()
    t.post_processor = R.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    return t


def real_tokenizers():
    found = []
    d = os.path.join(os.environ.get("ASSAY_TOKENIZERS", ""), "bert-base-uncased")
    if os.path.exists(os.path.join(d, "vocab.txt")):
        found.append(("bert-base-uncased", bert_from_vocab(os.path.join(d, "vocab.txt")), d))
    for name in ("gpt2/tokenizer.json", "gpt-neox-20b/20B_tokenizer.json", "babyberta-roberta-8k/tokenizer.json"):
        path = os.path.join(os.environ.get("ASSAY_TOKENIZERS", ""), name)
        if os.path.exists(path):
            t = Tokenizer.from_file(path)
            t.no_truncation()
            t.no_padding()
            found.append((name, t, path))
    d = os.path.join(os.environ.get("ASSAY_MODELS", os.path.expanduser("~/.cache/assay-models")), "all-MiniLM-L6-v2")
    if os.path.exists(os.path.join(d, "tokenizer.json")):
        t = Tokenizer.from_file(os.path.join(d, "tokenizer.json"))
        t.no_truncation()
        t.no_padding()
        found.append(("all-MiniLM-L6-v2", t, d))
    return found


def run_data(limit):
    root = os.environ.get("ASSAY_DATA")
    if not root:
        print("data: skipped, ASSAY_DATA is not set")
        return 0
    total = 0
    for name, tok, where in real_tokenizers():
        n = bad = size = chunks = 0
        chunk, held = [], 0
        for l in lines_of_data(root):
            chunk.append(l)
            held += len(l) + 10
            if held > 2_000_000:
                size += held
                chunks += 1
                for args in ((), ("general",)) if chunks % 8 == 1 else ((),):
                    k, b = compare(name, tok, where, chunk, *args)
                    n, bad = n + (k if not args else 0), bad + b
                chunk, held = [], 0
                if limit and size > limit:
                    break
        k, b = compare(name, tok, where, chunk)
        n, bad = n + k, bad + b
        print("data: %s: %d lines compared, %d mismatches" % (name, n, bad), flush=True)
        total += bad
    return total


# ---- every code point ----
def spell(parts):
    """A tokenizer whose every token is one character, so that offsets of all of them show."""
    spec = {"version": "1.0", "added_tokens": [], "post_processor": None, "decoder": None,
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "b": 2}, "unk_token": "<unk>"}}
    spec.update(parts)
    return spec


def write_spec(folder, spec):
    path = os.path.join(folder, "t.json")
    with open(path, "w") as f:
        json.dump(spec, f)
    return Tokenizer.from_str(json.dumps(spec)), path


def bert(**kw):
    base = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    base.update(kw)
    return base


def run_points():
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    # Runs of 8 points with letters between: cheap, and neighbours meet each other.
    texts = ["a" + "b".join(points[i:i + 4]) + "a" + "".join(points[i + 4:i + 8]) + "b" for i in range(0, len(points), 8)]
    vocab = {"[UNK]": 0, "a": 1, "b": 2, "##a": 3, "##b": 4}
    for i in range(0x20, 0x2FF):
        vocab.setdefault(chr(i), len(vocab))
        vocab.setdefault("##" + chr(i), len(vocab))
    wp = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}
    specs = [spell({"normalizer": n, "pre_tokenizer": p, "model": m}) for n, p, m in (
        (bert(), {"type": "BertPreTokenizer"}, wp),
        (bert(lowercase=False), {"type": "BertPreTokenizer"}, wp),
        (bert(strip_accents=False), {"type": "BertPreTokenizer"}, wp),
        (bert(clean_text=False, handle_chinese_chars=False), {"type": "BertPreTokenizer"}, wp),
        ({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}, {"type": "Whitespace"}, wp),
        ({"type": "NFC"}, {"type": "Punctuation", "behavior": "Isolated"}, wp),
        ({"type": "NFKC"}, {"type": "Digits", "individual_digits": True}, wp),
        ({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}]}, {"type": "WhitespaceSplit"}, wp),
    )]
    for s in specs[:1]:
        s2 = json.loads(json.dumps(s))
        s2["added_tokens"] = [{"id": 9999, "content": "b", "single_word": True, "lstrip": True, "rstrip": True,
                               "normalized": False, "special": True}]
        specs.append(s2)
    n = bad = 0
    with tempfile.TemporaryDirectory() as d:
        for s in specs:
            tok, path = write_spec(d, s)
            for args in ((), ("general",)):
                for i in range(0, len(texts), 50000):
                    k, b = compare(json.dumps([s["normalizer"], s["pre_tokenizer"]]), tok, path, texts[i:i + 50000], *args)
                    n, bad = n + k, bad + b
    print("points: all %d code points, %d texts under %d pipelines, %d mismatches" % (len(points), n, len(specs), bad), flush=True)
    return bad


# ---- random pipelines ----
ALPHABET = (list("abcdefABC   .,!#[]'-_09") + ["\t", "\n", "\r\n", "\0", "\u00e9", "e\u0301", "\u0323", "\u0301", "\u0344", "\u0308",
            "\u0130", "\u03a3", "\u03c3", "\u00ad", "\u200d", "\u200b", "\ufeff", "\ufffd", "\u4e2d", "\u6587", "\uf900", "\U0002b830",
            "\u3042", "\uac01", "\u1100\u1161\u11a8", "\u0e33", "\u0e49", "\u05d0", "\u0627\u0651", "\U0001f468\u200d\U0001f469",
            "\u00df", "\u1e9e", "\ufb01", "\u2026", "\u2019", "\u00a0", "\u2003", "\u3000", "\ue000", "\uf8ff", "\U0001d165", "\u302e",
            "\u00bd", "\u0663", "\u0f71\u0f72", "\u212b", "[MASK]", "[mask]", "foo", " foo ", "Foo", "foobar", "\u037e", "\u1fef"])


def random_text(r):
    return "".join(r.choice(ALPHABET) for _ in range(r.randrange(0, r.choice((4, 12, 40)))))


def random_normalizer(r, depth=0):
    kind = r.randrange(13 if depth < 2 else 11)
    flag = lambda: r.random() < 0.5
    if kind == 0:
        return bert(clean_text=flag(), handle_chinese_chars=flag(), strip_accents=r.choice((None, True, False)), lowercase=flag())
    if kind in (1, 2, 3, 4, 5, 6):
        return {"type": ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents")[kind - 1]}
    if kind == 7:
        return {"type": "Strip", "strip_left": flag(), "strip_right": flag()}
    if kind == 8:
        return {"type": "Replace", "pattern": {"String": r.choice(("a", "foo", " ", "\u00e9", "ab"))},
                "content": r.choice(("", "x", "\u2581", "foo", "\u00e9\u0323"))}
    if kind == 9:
        return {"type": "Prepend", "prepend": r.choice(("\u2581", "x", "a\u0301"))}
    if kind == 10:
        return None
    parts = [random_normalizer(r, depth + 1) for _ in range(r.randrange(0, 4))]
    return {"type": "Sequence", "normalizers": [p for p in parts if p]}


def random_pre(r, depth=0):
    kind = r.randrange(8 if depth < 2 else 6)
    if kind == 0:
        return None
    if kind == 4:
        return {"type": "Punctuation", "behavior": r.choice(("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"))}
    if kind == 5:
        return {"type": "Digits", "individual_digits": r.random() < 0.5}
    if kind < 4:
        return {"type": ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")[kind - 1]}
    parts = [random_pre(r, depth + 1) for _ in range(r.randrange(0, 4))]
    return {"type": "Sequence", "pretokenizers": [p for p in parts if p]}


def random_spec(r):
    flag = lambda: r.random() < 0.3
    names = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "foo", "Foo bar", " foo", "\u00e9", "a", "ab", "[mask]", "."]
    added = [{"id": 0, "content": c, "single_word": flag(), "lstrip": flag(), "rstrip": flag(), "normalized": flag(), "special": flag()}
             for c in r.sample(names, r.randrange(0, 6))]
    pieces = ["[UNK]", "[CLS]", "[SEP]"] + sorted(set(
        ["".join(r.choice("abcdefx.\u00e9\u0301 9[") for _ in range(r.randrange(1, 4))) for _ in range(40)]
        + list("abcdefABC.,!#[]'-_09x\u4e2d\u6587i") + ["foo", "bar"]))
    vocab = {p: i for i, p in enumerate(pieces)}
    for p in r.sample(pieces[3:], 25) + list("abcdef\u0301x"):
        vocab.setdefault("##" + p, len(vocab))
    if r.random() < 0.7:
        model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": r.choice(("##", "##", "")),
                 "max_input_chars_per_word": r.choice((100, 5)), "vocab": vocab}
    else:
        model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocab}
    piece = lambda name, t: {"SpecialToken": {"id": name, "type_id": t}}
    post = r.choice((None, {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
                     {"type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": True, "add_prefix_space": r.random() < 0.5},
                     {"type": "TemplateProcessing",
                      "single": [piece("[CLS]", 0), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]", 0)],
                      "pair": [piece("[CLS]", 0), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]", 0),
                               {"Sequence": {"id": "B", "type_id": 1}}, piece("[SEP]", 1)],
                      "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                                         "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}}))
    deco = r.choice((None, {"type": "WordPiece", "prefix": "##", "cleanup": r.random() < 0.5}, {"type": "Fuse"},
                     {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "##"}, "content": r.choice(("", " "))},
                                                       {"type": "Fuse"}, {"type": "Strip", "content": "a", "start": 1, "stop": 2}]}))
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": random_normalizer(r),
            "pre_tokenizer": random_pre(r), "model": model, "post_processor": post, "decoder": deco}


def tidy(block, special):
    """Without what the library loses in later windows: sequence numbers, and type ids where no special tokens are added."""
    rows = [[x.split(":") for x in l.split(" ") if x] for l in block.rstrip("\n").split("\n")]
    return [[x[:1] + (x[1:2] if special else []) + x[2:5] + x[6:] for x in r] for r in rows]


def windows_of(tok, a, b, special):
    e = tok.encode(a, b, add_special_tokens=special)
    return "".join(line(x) + "\n" for x in [e] + e.overflowing)


def decoded(tok, ids, skip):
    try:
        return tok.decode(ids, skip_special_tokens=skip)
    except BaseException:  # the library panics where Strip leaves nothing
        return None


def run_random(rounds):
    n = bad = 0
    with tempfile.TemporaryDirectory() as d:
        for k in range(rounds):
            r = random.Random(k)
            s = random_spec(r)
            tok, path = write_spec(d, s)
            texts = [random_text(r) for _ in range(60)]
            for args in ((), ("bare",), ("general",)):
                m, b = compare("random %d %s" % (k, json.dumps({x: s[x] for x in ("normalizer", "pre_tokenizer", "added_tokens", "post_processor")})),
                               tok, path, texts, *args)
                n, bad = n + m, bad + b
            # Pairs, truncation, windows.
            special = r.random() < 0.8
            length, stride = r.randrange(6, 12), r.randrange(0, 2)
            strategy, left = r.choice(("longest_first", "only_first", "only_second")), r.random() < 0.3
            tok.enable_truncation(length, stride=stride, strategy=strategy, direction="left" if left else "right")
            pairs, want = [], []
            for i in range(0, 60, 2):
                try:
                    want.append(windows_of(tok, texts[i], texts[i + 1], special))
                except BaseException:
                    continue
                pairs += [texts[i].encode(), texts[i + 1].encode()]
            args = ["pairs", "windows", "max=%d" % length, "stride=%d" % stride, strategy[5:]]
            got = drive(path, pairs, *args, *([] if special else ["bare"]), *(["left"] if left else [])).split("\n\n")
            for w, g in zip(want, got):
                n += 1
                if tidy(w, special) != tidy(g, special) and not g.startswith("! windows of"):
                    bad += 1
                    if bad <= 3:
                        print("MISMATCH windows random %d %s\n want %s\n got %s" % (k, args, w, g))
            ids = [[r.randrange(0, tok.get_vocab_size() + 3) for _ in range(r.randrange(0, 12))] for _ in range(20)]
            for skip in (False, True):
                want = [decoded(tok, x, skip) for x in ids]
                out = drive(path, [" ".join(map(str, x)).encode() for x in ids], "decode_skip" if skip else "decode")
                for x, w, g in zip(ids, want, out.split("\n")):
                    n += 1
                    if w is not None and json.loads(g) != w:
                        bad += 1
                        if bad <= 3:
                            print("MISMATCH decode random %d %s %s\n want %r\n got  %s" % (k, x, s["decoder"], w, g))
    print("random: %d pipelines, %d results compared, %d mismatches" % (rounds, n, bad), flush=True)
    return bad


def main():
    global DRIVER
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--driver", default="build/cc/tests/token/encode_lines")
    a.add_argument("--only", choices=("data", "points", "random"))
    a.add_argument("--limit", type=int, default=0, help="bytes of real text; 0 = all")
    a.add_argument("--rounds", type=int, default=300)
    o = a.parse_args()
    DRIVER = o.driver
    print("tokenizers", tokenizers.__version__)
    bad = 0
    if o.only in (None, "points"):
        bad += run_points()
    if o.only in (None, "random"):
        bad += run_random(o.rounds)
    if o.only in (None, "data"):
        bad += run_data(o.limit)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
