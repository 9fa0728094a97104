#!/usr/bin/env python3
"""Goldens for tests/token: small tokenizers, hard inputs, and what `tokenizers` (0.23.3) makes of them; bert_files/ is read
by transformers (5.23.0). Run in this folder; it rewrites *.json, *.jsonl and bert_files/. All texts are the project's own.

A record of NAME.jsonl: {"t": text, "p": pair, "o": [max, stride, strategy, left, bare], "w": windows}; a window is one list
per token: id, type id, begin, end (characters), word, special. Long texts are {"rep": [unit, times]}, and their result is
the SHA-256 of the window's JSON. {"ids": [...], "d": text, "s": text} is a decoding, without and with skipped specials.
"""
import hashlib
import json
import os
import transformers
import tokenizers
from tokenizers import Tokenizer

WORDS = ("the cat sat on a mat hello world un aff able token ization play ing ed s ' t re not do don I was 2 20 202 4 . , ! ? "
         "- ( ) [ ] # cafe naive uber Strasse ist das Haus Cafe").split()
CHARS = "abcdefghijklmnopqrstuvwxyz0123456789"
EXTRA = list("中文字你好世界猫日本語ひらカタ가각ㄱ") + ["ß", "ς", "σ", "α", "ж", "и", "й", "א", "ש", "ا", "ل", "i̇", "€", "…", "’", "“", "ᄀ", "##ᅡ", "##ᆨ",
                                            "😀", "👨", "##字", "e\u0301", "é", "##é", "А", "Б", "##б"]


def wordpiece_vocab(specials, upper):
    v = list(specials) + WORDS + EXTRA + list(CHARS) + (list(CHARS.upper()[:26]) if upper else [])
    v += ["##" + c for c in CHARS] + (["##" + c for c in CHARS.upper()[:26]] if upper else [])
    v += ["##ing", "##ed", "##able", "##ization", "##s", "##er", "##ll", "a" * 20, "##" + "a" * 20]
    out = {}
    for x in v:
        out.setdefault(x, len(out))
    return out


def added(content, **kw):
    t = {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    t.update(kw)
    return t


def bert(**kw):
    n = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    n.update(kw)
    return n


SP = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
RO = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def template(pair_type):
    s = lambda n, t: {"SpecialToken": {"id": n, "type_id": t}}
    q = lambda n, t: {"Sequence": {"id": n, "type_id": t}}
    return {"type": "TemplateProcessing", "single": [s("[CLS]", 0), q("A", 0), s("[SEP]", 0)],
            "pair": [s("[CLS]", 0), q("A", 0), s("[SEP]", 0), q("B", pair_type), s("[SEP]", pair_type)],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}


def wordpiece(vocab, unk="[UNK]"):
    return {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}


def spec(norm, pre, model, post, decoder, tokens):
    return {"version": "1.0", "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
            "padding": None, "added_tokens": tokens, "normalizer": norm, "pre_tokenizer": pre, "post_processor": post,
            "decoder": decoder, "model": model}


WP_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
TOKENIZERS = {
    "uncased": spec(bert(), {"type": "BertPreTokenizer"}, wordpiece(wordpiece_vocab(SP, False)), template(1), WP_DECODER, [added(x) for x in SP]),
    "cased": spec(bert(lowercase=False), {"type": "BertPreTokenizer"}, wordpiece(wordpiece_vocab(SP, True)),
                  {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, WP_DECODER,
                  [added(x) for x in SP] + [added("cat", single_word=True, special=False), added("<x>", lstrip=True, rstrip=True),
                                             added("<l>", lstrip=True), added("<r>", rstrip=True)]),
    "chinese": spec(bert(strip_accents=False, clean_text=False), {"type": "BertPreTokenizer"}, wordpiece(wordpiece_vocab(RO, False), "<unk>"),
                    {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False},
                    None, [added(x) for x in RO[:4]] + [added("<mask>", lstrip=True), added("Hello World", normalized=True, special=False)]),
    "words": spec({"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "NFKC"},
                                                       {"type": "Replace", "pattern": {"String": "..."}, "content": "…"},
                                                       {"type": "Lowercase"}, {"type": "Prepend", "prepend": "_"}]},
                  {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits", "individual_digits": True},
                                                         {"type": "Punctuation", "behavior": "MergedWithPrevious"}]},
                  {"type": "WordLevel", "unk_token": "[UNK]", "vocab": wordpiece_vocab(SP, False)}, template(0),
                  {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "##"}, "content": "~"}, {"type": "Fuse"},
                                                    {"type": "Strip", "content": "~", "start": 1, "stop": 0}]},
                  [added(x) for x in SP] + [added("Foo", normalized=True, special=False)]),
}
HARD = [
    "", "a", " ", "\n", "hello", "Hello, World!", "Don't do   tabs\tand\r\nCRLF\rlines", "unaffable tokenization played playing",
    "x" * 100, "x" * 101, "a" * 100 + " cat", "é" * 101, "a" * 60, "##ing ing ##", "[MASK] is [mask] and [Mask][MASK]",
    "[CLS]the[SEP] cat [PAD][UNK]", "cat catcat cat. _cat cat_ écat cat\u0301", "the <x> cat  <x>  <x>mat", "the <l> cat <r> sat <l><r> <l> ", "a  <mask>b<mask> <mask>",
    "hello world Hello World HELLO WORLD", "Foo foo FOO fOo", "I was 2 20 2024 don't", "e\u0301 é É E\u0301\u0323 e\u0323\u0301",
    "Cafe\u0301 café CAFÉ naïve über Straße STRASSE", "İstanbul ISTANBUL ıi", "ΟΔΥΣΣΕΥΣ Σ σς", "soft\u00adhyphen zero\u200bwidth\u200cjoin\u200d \ufeffbom",
    "a\0b\0 c\u0001d\u007fe\u0080f", "\ufffd a\ufffdb", "\ue000private \uf8ff \U000f0000 \U0010fffd", "你好世界", "猫 sat 中文字。日本語ひらカタ", "가각 각",
    "\uf900\U0002f800\U0002b820\U0002b920", "שלום עולם", "السلام عليكم اَلْ", "😀 👨\u200d👩\u200d👧 👍🏽", "ﬁ ½ Ⅷ ㎏ ① x²", "€5 “quoted” ‘single’ … — –",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f", "don\u2019t ... wait.... ", "\u0301leading mark", "\U0001d165\u302e order \u302e\U0001d165",
    "  leading and trailing  ", "жй ЖЙ й", "user@example.com http://a.b/c?d=e#f", "\u037e \u1fef ; `", "a\u0300" * 40, "1,000.50 -3 +4 =7 <b> ^ | ~ $",
]
PAIRS = [("the cat sat on a mat", "hello world"), ("", "the cat"), ("the cat", ""), ("a b c d e f g h", "a b"), ("a b", "a b c d e f g h"),
         ("caf\u00e9 你好", "[SEP] the 世界")]
LONG = [("the cat ", 12500), ("xy", 50000), ("你好, ", 9000), ("é ", 20000)]


def rows(e):
    return [[i, t, o[0], o[1], -1 if w is None else w, m]
            for i, t, o, w, m in zip(e.ids, e.type_ids, e.offsets, e.word_ids, e.special_tokens_mask)]


def record(tok, text, pair, o):
    length, stride, strategy, left, bare = o
    if length:
        tok.enable_truncation(length, stride=stride, strategy=strategy, direction="left" if left else "right")
    else:
        tok.no_truncation()
    e = tok.encode(text, pair, add_special_tokens=not bare)
    r = {"t": text}
    if pair is not None:
        r["p"] = pair
    if o != PLAIN:
        r["o"] = o
    r["w"] = [rows(x) for x in [e] + e.overflowing]
    return r


PLAIN = [0, 0, "longest_first", False, False]


def cases(tok):
    for t in HARD:
        yield record(tok, t, None, PLAIN)
    for t in HARD[5:8]:
        yield record(tok, t, None, [0, 0, "longest_first", False, True])
    for a, b in PAIRS:
        yield record(tok, a, b, PLAIN)
    yield record(tok, PAIRS[0][0], PAIRS[0][1], [0, 0, "longest_first", False, True])
    for length in (4, 7, 8):
        yield record(tok, HARD[7], None, [length, 0, "longest_first", False, False])
        yield record(tok, HARD[7], None, [length, 1, "longest_first", True, False])
    for a, b in (PAIRS[3], PAIRS[4], PAIRS[0]):
        for left in (False, True):
            yield record(tok, a, b, [8, 1, "longest_first", left, False])
    yield record(tok, PAIRS[3][0], PAIRS[3][1], [10, 2, "only_first", False, False])
    yield record(tok, PAIRS[4][0], PAIRS[4][1], [10, 2, "only_second", False, False])
    yield record(tok, PAIRS[4][0], PAIRS[4][1], [10, 3, "only_second", True, False])
    for unit, times in LONG:
        r = record(tok, unit * times, None, PLAIN)
        flat = json.dumps(r["w"][0], separators=(",", ":"))
        yield {"t": {"rep": [unit, times]}, "sha": hashlib.sha256(flat.encode()).hexdigest()}
    n = tok.get_vocab_size()
    for k in range(8):
        ids = [(k * 37 + i * i * 11) % (n + 2) for i in range(4 + 3 * k)]
        yield {"ids": ids, "d": tok.decode(ids, skip_special_tokens=False), "s": tok.decode(ids)}


def same_types(r, name):
    """Windows beyond the first: assay keeps the post-processor's type ids, the library leaves 0 and 1."""
    if name in ("words",) and "w" in r:
        for w in r["w"]:
            for row in w:
                row[1] = 0
    return r


def dump(path, records):
    with open(path, "w") as f:
        for r in records:
            f.write(json.dumps(r, separators=(",", ":")) + "\n")


def bert_files():
    os.makedirs("bert_files", exist_ok=True)
    pieces = list(wordpiece_vocab(["<pad>", "[UNK]", "[CLS]", "[SEP]"], True))
    pieces[30] = "the"  # a duplicate: the later line has the id
    with open("bert_files/vocab.txt", "w", encoding="utf-8") as f:
        f.write("\n".join(pieces) + "\n")
    json.dump({"do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": True, "pad_token": "<pad>",
               "model_max_length": 512, "tokenizer_class": "BertTokenizer"}, open("bert_files/tokenizer_config.json", "w"))
    json.dump({"mask_token": {"content": "<mask>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}},
              open("bert_files/special_tokens_map.json", "w"))
    t = transformers.BertTokenizerFast.from_pretrained("bert_files", mask_token="<mask>")
    dump("bert_files.jsonl", list(cases(t.backend_tokenizer)))


def main():
    print("tokenizers", tokenizers.__version__, "transformers", transformers.__version__)
    for name, s in TOKENIZERS.items():
        with open(name + ".json", "w") as f:
            json.dump(s, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")
        dump(name + ".jsonl", (same_types(r, name) for r in cases(Tokenizer.from_str(json.dumps(s)))))
    bert_files()


if __name__ == "__main__":
    main()
