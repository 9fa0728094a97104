#!/usr/bin/env python3
"""Goldens for BPE and Unigram models and for training, as make.py's (tokenizers 0.23.3); run in this folder. Writes corpus.txt,
NAME.json and NAME.jsonl of small tokenizers learned from it, and train.jsonl: options, and what the library's trainers learn.
All texts are the project's own. WordPieceTrainer numbers characters inside words in the order of a hash table: here it gets
them in the order of code points, as first tokens. UnigramTrainer gives characters without a piece of their own scores in such
an order: the test allows for that."""
import json
import os
from tokenizers import Regex, Tokenizer, decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as R, trainers as T
import make

SENTENCES = """The cat sat on the mat and the dog sat on the log.
A tokenizer is learned from text: frequent pairs of pieces are joined first, rare words stay in parts.
Evaluation, evaluating, evaluated, evaluator: the same stem with different endings.
It isn't what they've said, it's how they said it; we'll see, and I'd rather not.
Numbers such as 1234, 56.78, 2024-11-27 and 1,000,000 are cut as well.
白日依山尽，黄河入海流。欲穷千里目，更上一层楼。
机器学习模型的评测需要数据、指标和统计检验。评测结果要说明不确定性。
Die Größe des Wörterbuchs bestimmt, wie lang die Stücke sind; größere Wörterbücher haben längere Stücke.
Le modèle apprend à découper les mots à partir des données; l'évaluation vient après l'entraînement.
Модель учится на текстах, а текст состоит из слов и знаков препинания.
テストは毎回同じ結果を返すべきです。順序に依存してはいけません。
aaaaaaaa aaaa aa a abababab abab ababab ====== ====== ==== banana bananas bandana cabana
the theme then there these they thesis other mother another brother bother weather whether
tab\there  two  blanks   three and a trailing blank \u00a0 no-break\u3000wide\u2028line"""


def corpus():
    lines = SENTENCES.split("\n") + [t for t in make.HARD if not set(t) & set("\n\r\0") and len(t) < 90]
    return [l for l in lines for _ in range(2 if "the" in l else 1)]


RO = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BYTES = sorted(P.ByteLevel.alphabet())


def bpe(lines, pre, norm=None, special=(), **kw):
    t = Tokenizer(M.BPE())
    t.pre_tokenizer = pre
    if norm:
        t.normalizer = norm
    t.train_from_iterator(lines, T.BpeTrainer(show_progress=False, special_tokens=list(special), **kw))
    return t


def model_of(t):
    return json.loads(t.to_str())["model"]


def tokenizers(lines):
    level = P.ByteLevel(add_prefix_space=False)
    gpt = bpe(lines, level, special=["<|endoftext|>"], vocab_size=420, initial_alphabet=BYTES)
    gpt.decoder, gpt.post_processor = D.ByteLevel(), R.ByteLevel(trim_offsets=False)
    yield "bytes", gpt
    rob = bpe(lines, P.ByteLevel(add_prefix_space=True), special=RO, vocab_size=400, initial_alphabet=BYTES)
    rob.decoder = D.ByteLevel()
    rob.post_processor = R.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    rob.add_special_tokens([make.tokenizers.AddedToken("<mask>", lstrip=True, normalized=False)])
    yield "roberta", rob
    split = Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    cut = P.Sequence([P.Split(split, "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)])
    cl = bpe(lines, cut, N.NFC(), ["<|end|>"], vocab_size=420, initial_alphabet=BYTES)
    spec = json.loads(cl.to_str())
    spec["model"]["ignore_merges"] = True
    cl = Tokenizer.from_str(json.dumps(spec))
    cl.decoder = D.ByteLevel()
    cl.post_processor = R.Sequence([R.ByteLevel(trim_offsets=True), R.TemplateProcessing(
        single="<|end|> $A", pair="<|end|> $A <|end|> $B:1", special_tokens=[("<|end|>", 0)])])
    yield "regex", cl
    small = bpe(lines, P.Metaspace(), special=["<unk>"], vocab_size=330, limit_alphabet=120)
    m = model_of(small)
    vocab = m["vocab"]
    for b in range(256):
        if b % 5:
            vocab.setdefault("<0x%02X>" % b, len(vocab))
    llama = Tokenizer(M.BPE(vocab, [tuple(x) for x in m["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    llama.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    llama.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    yield "fallback", llama
    old = bpe(lines, P.BertPreTokenizer(), special=["[UNK]"], vocab_size=300, limit_alphabet=80, end_of_word_suffix="</w>")
    old = Tokenizer.from_str(json.dumps(dict(json.loads(old.to_str()), model=dict(model_of(old), unk_token="[UNK]"))))
    old.decoder = D.BPEDecoder()
    yield "suffix", old
    for name, pre, decoder, bytes_too in (("unigram", P.Metaspace(), D.Metaspace(), False),
                                          ("unigram_bytes", P.Metaspace(prepend_scheme="first", split=False),
                                           D.Sequence([D.ByteFallback(), D.Metaspace(prepend_scheme="never")]), True)):
        t = unigram(lines, 300, pre, ["<unk>", "<s>", "</s>"])
        pieces = [tuple(x) for x in model_of(t)["vocab"]]
        if bytes_too:
            pieces = [p for i, p in enumerate(pieces) if i % 4 or i < 3] + [("<0x%02X>" % b, -9.0) for b in range(256)]
        u = Tokenizer(M.Unigram(pieces, 0, bytes_too))
        u.normalizer = N.Sequence([N.NFKC(), N.Replace(Regex(" {2,}"), " ")])
        u.pre_tokenizer, u.decoder = pre, decoder
        yield name, u


def unigram(lines, size, pre, special, **kw):
    t = Tokenizer(M.Unigram())
    t.normalizer, t.pre_tokenizer = N.NFKC(), pre
    t.train_from_iterator(lines, T.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False, **kw))
    return t


BERT = make.SP


def wordpiece(lines, norm, size, **kw):
    def run(special):
        t = Tokenizer(M.WordPiece(unk_token="[UNK]"))
        t.normalizer, t.pre_tokenizer = norm, P.BertPreTokenizer()
        t.train_from_iterator(lines, T.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False, **kw))
        return sorted(t.get_vocab(), key=t.get_vocab().get)
    free = run(BERT)
    return run(BERT + [x for x in free if len(x) == 1] + sorted(x for x in free if len(x) == 3 and x[:2] == "##"))


def clear_limit(lines, most):
    """A number of characters at which the next rarer one is rarer indeed: of equal ones the library drops any."""
    count = {}
    for c in N.BertNormalizer().normalize_str(" ".join(lines)).replace(" ", ""):
        count[c] = count.get(c, 0) + 1
    counts = sorted(count.values(), reverse=True)
    return max(n for n in range(1, most) if counts[n - 1] > counts[n])


def trained(lines):
    limit = clear_limit(lines, 60)
    for opts, norm, kw in (({"vocab_size": 500}, N.BertNormalizer(), {}),
                           ({"vocab_size": 450, "case": "keep"}, N.BertNormalizer(lowercase=False), {}),
                           ({"vocab_size": 400, "min_frequency": 3, "limit_alphabet": limit}, N.BertNormalizer(),
                            {"min_frequency": 3, "limit_alphabet": limit}),
                           ({"vocab_size": 300, "accents": "keep", "alphabet": "øÿ中"}, N.BertNormalizer(strip_accents=False),
                            {"initial_alphabet": ["ø", "ÿ", "中"]})):
        yield dict(opts, model="wordpiece", vocab=wordpiece(lines, norm, **{"size": opts["vocab_size"], **kw}))
    for opts, norm, pre, kw in (({"vocab_size": 600}, None, False, {}),
                                ({"vocab_size": 5000, "min_frequency": 2}, None, False, {"min_frequency": 2}),
                                ({"vocab_size": 700, "max_piece": 4}, None, True, {"max_token_length": 4}),
                                ({"vocab_size": 330, "case": "lower"}, N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase()]), False, {})):
        m = model_of(bpe(lines, P.ByteLevel(add_prefix_space=pre), norm, RO, initial_alphabet=BYTES,
                         **{"vocab_size": opts["vocab_size"], **kw}))
        yield dict(opts, model="bpe", prefix_space=pre, vocab=sorted(m["vocab"], key=m["vocab"].get), merges=m["merges"])
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    for opts, kw in (({"vocab_size": 400}, {}), ({"vocab_size": 300}, {}), ({"vocab_size": 420, "max_piece": 6}, {"max_piece_length": 6})):
        m = model_of(unigram(lines, opts["vocab_size"], P.Metaspace(), special, **kw))
        yield dict(opts, model="unigram", vocab=[x[0] for x in m["vocab"]], scores=[x[1] for x in m["vocab"]])


def roberta_files():
    """vocab.json and merges.txt alone, as transformers (5.24.0) reads them; the mask takes the blank before it, as
    roberta-base's tokenizer.json and the class of transformers 4 have it."""
    import transformers
    m = json.load(open("roberta.json", encoding="utf-8"))["model"]
    os.makedirs("roberta_files", exist_ok=True)
    json.dump(m["vocab"], open("roberta_files/vocab.json", "w", encoding="utf-8"), ensure_ascii=False)
    with open("roberta_files/merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(a + " " + b + "\n" for a, b in m["merges"]))
    json.dump({"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False, "model_max_length": 128},
              open("roberta_files/tokenizer_config.json", "w"))
    t = transformers.RobertaTokenizer.from_pretrained(
        "roberta_files", mask_token=make.tokenizers.AddedToken("<mask>", lstrip=True, normalized=False, special=True))
    make.dump("roberta_files.jsonl", make.cases(t.backend_tokenizer))


def main():
    lines = corpus()
    with open("corpus.txt", "w", encoding="utf-8", newline="") as f:
        f.write("\n".join(lines) + "\n")
    for name, t in tokenizers(lines):
        with open(name + ".json", "w", encoding="utf-8") as f:
            json.dump(json.loads(t.to_str()), f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")
        t = Tokenizer.from_file(name + ".json")
        make.dump(name + ".jsonl", make.cases(t))
    make.dump("train.jsonl", trained(lines))
    roberta_files()


if __name__ == "__main__":
    main()
