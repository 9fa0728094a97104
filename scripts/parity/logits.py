#!/usr/bin/env python3
"""assay's outputs against those of transformers, fp32 and float64, over real sentences.

    scripts/parity/logits.py --text FILE [--model DIR] [--random NAME]... [--limit 1000] [--dtype f32|bf16] [--batch N]

DIR gets a classification head with fixed random weights unless it has one; NAME is tiny, mini, small or base: BERT of that size,
random weights (N(0, 0.02), and wider, whose attention is sharp). The text is tokenised with DIR's tokenizer, else with one id per
word. Prints, for each model, the largest difference, both errors against float64, and whether the promises hold:
fp32: difference below 1e-4 x max(1, largest logit), error at most twice that of transformers; bf16: error at most that of
PyTorch's own bf16. transformers runs one sequence at a time, or N padded ones: with one, PyTorch computes the head's single row
by a dot product, which sums in fewer dependent steps than any matrix product, its own for more rows included. Needs torch, transformers, safetensors; builds tests/model/dump_logits.c with make.
"""
import argparse, os, subprocess, sys, tempfile, zlib

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy, torch, transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForMaskedLM, BertForSequenceClassification

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRIVER = "build/cc/tests/model/dump_logits"
SIZES = {"tiny": (2, 128, 2), "mini": (4, 256, 4), "small": (4, 512, 8), "base": (12, 768, 12)}


def sentences(path, limit):
    with open(path, encoding="utf-8", errors="replace") as f:
        lines = [line.split(" ", 1)[-1].strip() for line in f]
    return [s for s in lines if s][:limit]


def with_head(path, folder):
    torch.manual_seed(20)
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, num_labels=2)
    model.classifier.weight.data.normal_(0, 0.2)  # outputs of the size that a trained head has
    model.save_pretrained(folder)


def random_model(name, folder, head, std):
    layers, hidden, heads = SIZES[name]
    torch.manual_seed(30)
    c = BertConfig(num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads, intermediate_size=4 * hidden,
                   initializer_range=std, vocab_size=8192 if name != "base" else 30522)
    {"classify": BertForSequenceClassification, "mlm": BertForMaskedLM}[head](c).save_pretrained(folder)


def outputs(folder, head, ids, dtype, batch=1):
    cls = BertForMaskedLM if head == "mlm" else BertForSequenceClassification
    model = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").to(dtype).eval()
    rows = []
    with torch.no_grad():
        for i in range(0, len(ids), batch):
            lines = ids[i:i + batch]
            longest = max(map(len, lines))
            padded = torch.tensor([line + [0] * (longest - len(line)) for line in lines])
            mask = torch.tensor([[1] * len(line) + [0] * (longest - len(line)) for line in lines])
            y = model(input_ids=padded, attention_mask=mask if batch > 1 else None).logits
            rows += [y[k, int(len(line) > 1)] if head == "mlm" else y[k] for k, line in enumerate(lines)]
    return torch.stack(rows).double().numpy()


def ours(folder, head, ids, dtype, work):
    with open(f"{work}/ids", "w") as f:
        f.writelines(" ".join(map(str, line)) + "\n" for line in ids)
    subprocess.run([f"{ROOT}/{DRIVER}", folder, f"{work}/ids", f"{work}/out", head, dtype], check=True)
    return numpy.fromfile(f"{work}/out", dtype=numpy.float32).astype(numpy.float64)


def compare(what, folder, head, ids, dtype, batch, work):
    got = ours(folder, head, ids, dtype, work)
    reference = outputs(folder, head, ids, torch.float32 if dtype == "f32" else torch.bfloat16, batch)
    exact = outputs(folder, head, ids, torch.float64)
    got = got.reshape(exact.shape)
    largest, difference = numpy.abs(exact).max(), numpy.abs(got - reference).max()
    mine, theirs = numpy.abs(got - exact), numpy.abs(reference - exact)
    rms = [float(numpy.sqrt((x**2).mean())) for x in (mine, theirs)]
    if dtype == "f32":
        good = difference < 1e-4 * max(1, largest) and mine.max() <= 2 * theirs.max()
    else:
        good = rms[0] <= rms[1]
    print(f"{'ok' if good else 'not ok'} {what}, {head}, {dtype}: {len(ids)} sequences, largest output {largest:.3g}, difference {difference:.2e}; "
          f"error against float64 {mine.max():.2e} (rms {rms[0]:.2e}), transformers' {theirs.max():.2e} (rms {rms[1]:.2e})", flush=True)
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--text", required=True)
    p.add_argument("--model")
    p.add_argument("--random", action="append", default=[], choices=sorted(SIZES))
    p.add_argument("--limit", type=int, default=1000)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--batch", type=int, default=1, help="sequences at once in transformers, padded")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    subprocess.run(["make", "-s", "-C", ROOT, DRIVER], check=True)
    text, good = sentences(a.text, a.limit), True
    print(f"batches of {a.batch} in transformers; torch {torch.__version__}, transformers {transformers.__version__}")
    if a.model:
        ids = AutoTokenizer.from_pretrained(a.model)(text, truncation=True, max_length=256)["input_ids"]
        with tempfile.TemporaryDirectory() as work:
            with_head(a.model, f"{work}/model")
            good &= compare(os.path.basename(a.model.rstrip("/")), f"{work}/model", "classify", ids, a.dtype, a.batch, work)
    words = [[2] + [5 + zlib.crc32(w.encode()) % 8000 for w in s.split()][:500] + [3] for s in text]
    for name in a.random:
        for head, std in (("classify", 0.02), ("classify", 0.08), ("mlm", 0.02)):
            with tempfile.TemporaryDirectory() as work:
                random_model(name, f"{work}/model", head, std)
                good &= compare(f"random {name}, std {std}", f"{work}/model", head, words, a.dtype, a.batch, work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
