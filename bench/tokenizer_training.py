#!/usr/bin/env python3
"""Training WordPiece and byte-level BPE, seconds: assay tokenizer against HF tokenizers' trainers on files (no Python in
their loop), 2 threads, in turn; the vocabularies are compared. HF numbers WordPiece's inner characters in the order of a
hash table, so its check run gets them in assay's order as first tokens; the timed runs do not.
Usage: tokenizer_training.py ASSAY TEXTS [ROUNDS [VOCAB]]"""
import json, os, shutil, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(__file__))
SPECIAL = {"wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "bpe": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}


def hf(model, texts, out, vocab, first):
    """One line per `go`: the rival, in a process of its own."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    def train(special):
        if model == "wordpiece":
            t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
            t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
            r = trainers.WordPieceTrainer(vocab_size=vocab, special_tokens=special, show_progress=False)
        else:
            t = Tokenizer(models.BPE())
            t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            r = trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False,
                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        start = time.perf_counter()
        t.train([texts], r)
        return t, time.perf_counter() - start

    special = SPECIAL[model]
    for k, _ in enumerate(sys.stdin):
        if k == 0 and first:
            special = json.load(open(first, encoding="utf-8"))
        t, seconds = train(special)
        if k == 0:
            t.save(out)
        special = SPECIAL[model]
        print(f"seconds {seconds:.6f}", flush=True)


def assay(program, model, texts, out, vocab):
    """The same for assay: the whole command, start and files included."""
    for _ in sys.stdin:
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        subprocess.run([program, "tokenizer", texts, "--model", model, "--vocab-size", str(vocab), "--line-ends", "--threads", "2",
                        "--out", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        print(f"seconds {time.perf_counter() - start:.6f}", flush=True)


def main():
    from turns import Side, in_turn, machine
    program, texts = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    vocab = int(sys.argv[4]) if len(sys.argv) > 4 else 30000
    os.environ["RAYON_NUM_THREADS"] = "2"
    tmp = tempfile.mkdtemp()
    print(f"# {machine()}; {os.path.basename(texts)}, {os.path.getsize(texts) / 1e6:.1f} MB, {vocab} pieces, 2 threads")
    for model in ("wordpiece", "bpe"):
        mine, theirs, first = (os.path.join(tmp, x) for x in (model, model + ".json", model + ".first"))
        me = [sys.executable, __file__, "--assay", program, model, texts, mine, str(vocab)]
        if model == "wordpiece":  # characters, and characters inside words, in assay's order
            subprocess.run(me, input=b"go\n", check=True, stdout=subprocess.DEVNULL)
            names = [l.rstrip("\n") for l in open(os.path.join(mine, "vocab.txt"), encoding="utf-8")]
            n = next(i for i, x in enumerate(names) if i > 5 and len(x.replace("##", "", 1)) > 1)
            json.dump(names[:n], open(first, "w", encoding="utf-8"))
        t = in_turn([Side("assay", me), Side("hf", [sys.executable, __file__, "--hf", model, texts, theirs, str(vocab),
                                                    first if model == "wordpiece" else ""])], rounds)
        a, b = (json.load(open(p, encoding="utf-8"))["model"] for p in (os.path.join(mine, "tokenizer.json"), theirs))
        same = a["vocab"] == b["vocab"] and a.get("merges") == b.get("merges")
        print(f"{model}: assay {t['assay']:.2f} s, HF tokenizers {t['hf']:.2f} s: {t['hf'] / t['assay']:.1f}x; vocabulary equal: {same}")
    shutil.rmtree(tmp)


if __name__ == "__main__":
    if sys.argv[1] == "--hf":
        hf(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), sys.argv[6])
    elif sys.argv[1] == "--assay":
        assay(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]))
    else:
        main()
