#!/usr/bin/env python3
"""Text to token shards on disk, MB/s, 2 threads or processes: `assay data corpus` (start-up included) against datasets' map with
tokenizers (imports not counted), in its two settings: 2 processes, and one process whose tokenizer runs 2 threads. In turn, on the same
lines; token counts are compared. Also assay with its cleaning and duplicate rules on.
Usage: corpus.py ASSAY TOKENIZER TEXT [ROUNDS] [COPIES]"""
import json, os, shutil, statistics, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(__file__))
from turns import machine

RIVAL = r"""
import os, sys, time
out, tokenizer, text, processes = sys.argv[1:5]
os.environ["RAYON_NUM_THREADS"] = "2"
os.environ["TOKENIZERS_PARALLELISM"] = "false" if processes == "2" else "true"
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
import datasets
from tokenizers import Tokenizer
datasets.disable_progress_bars()
tok = Tokenizer.from_file(os.path.join(tokenizer, "tokenizer.json"))
tok.no_padding(); tok.no_truncation()
def encode(batch):
    ids = [e.ids for e in tok.encode_batch(batch["text"], add_special_tokens=False)]
    return {"input_ids": ids, "n": [len(i) for i in ids]}
t = time.perf_counter()
d = datasets.Dataset.from_text(text, cache_dir=out + ".cache")
d = d.map(encode, batched=True, num_proc=int(processes) if processes != "1" else None, remove_columns=["text"], load_from_cache_file=False)
d.save_to_disk(out)
took = time.perf_counter() - t
print("seconds", took, "tokens", sum(d["n"]))
"""


def main():
    assay, tokenizer, source = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    copies = int(sys.argv[5]) if len(sys.argv) > 5 else 8
    tmp = tempfile.mkdtemp()
    text = os.path.join(tmp, "text.txt")
    with open(text, "wb") as f:
        body = open(source, "rb").read()
        for _ in range(copies):
            f.write(body)
    mb = os.path.getsize(text) / 1e6
    print(f"# {machine()}; {os.path.basename(source)} x {copies}, {mb:.1f} MB; BERT WordPiece; 2 threads or processes")
    times, tokens = {}, {}

    def ours(name, rules):
        out = os.path.join(tmp, "a")
        shutil.rmtree(out, ignore_errors=True)
        t = time.perf_counter()
        subprocess.run([assay, "data", "corpus", text, "--tokenizer", tokenizer, "--out", out, "--doc", "line", "--rules", rules, "--threads", "2", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        times.setdefault(name, []).append(time.perf_counter() - t)
        m = json.load(open(os.path.join(out, "corpus.json")))
        tokens[name] = m["parts"]["train"]["tokens"]

    def theirs(name, processes):
        out = os.path.join(tmp, "b")
        r = subprocess.run([sys.executable, "-c", RIVAL, out, tokenizer, text, processes], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split()
        times.setdefault(name, []).append(float(r[1]))
        tokens[name] = int(r[3])
        shutil.rmtree(out, ignore_errors=True), shutil.rmtree(out + ".cache", ignore_errors=True)

    for _ in range(rounds):
        ours("assay", "none")
        theirs("2 processes", "2")
        theirs("2 threads", "1")
    ours("rules", "basic")
    t = {k: statistics.median(v) for k, v in times.items()}
    best = min(t["2 processes"], t["2 threads"])
    print(f"assay {mb / t['assay']:.1f} MB/s; datasets.map with 2 processes {mb / t['2 processes']:.2f} MB/s, with 2 tokenizer threads {mb / t['2 threads']:.2f} MB/s: "
          f"{best / t['assay']:.1f}x the better; tokens equal: {tokens['assay'] == tokens['2 processes'] == tokens['2 threads']} ({tokens['assay']:,})")
    print(f"assay with rules, language and near duplicates: {mb / t['rules']:.1f} MB/s, {tokens['rules']:,} tokens left")
    shutil.rmtree(tmp)


main()
