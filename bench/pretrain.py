#!/usr/bin/env python3
"""A masked-LM step (32 rows, AdamW, clipping, dropout 0.1), assay against transformers' BertForMaskedLM in PyTorch: the same text,
vocabulary (30,522), shapes and lengths, every row full; a warm-up pass of PyTorch and four steps of assay are not timed. Prints medians, the ratio and the peak memory of both.
Usage: pretrain.py ASSAY TOKENIZER_DIR TEXT [SHAPE:LENGTH:DTYPE,...]"""
import json, os, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(__file__))
from turns import Side, in_turn, machine, side_program
assay, tokenizer, text = sys.argv[1:4]
cases = (sys.argv[4] if len(sys.argv) > 4 and sys.argv[4] else "mini:128:f32,mini:128:bf16,mini:512:f32,small:128:f32,small:128:bf16").split(",")
shapes = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}
threads, here, tmp = os.environ.get("BENCH_THREADS", "2"), os.path.dirname(__file__), tempfile.mkdtemp()
one, corpus = os.path.join(tmp, "text.txt"), os.path.join(tmp, "corpus")
open(one, "w", encoding="utf-8").write(" ".join(open(text, encoding="utf-8").read().split())[:3_000_000])  # one long document: full rows
subprocess.run([assay, "data", "corpus", one, "--tokenizer", tokenizer, "--rules", "none", "--doc", "file", "--out", corpus, "--quiet"], check=True, stdout=subprocess.DEVNULL)
print(f"# {machine()}; {threads} threads; 32 rows a step")
for case in cases:
    shape, length, dtype = case.split(":")
    layers, dim = shapes[shape]
    steps = 2 if int(length) > 128 else 4
    config = os.path.join(tmp, f"{shape}.json")
    json.dump({"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": 30522, "hidden_size": dim, "num_hidden_layers": layers, "num_attention_heads": dim // 64,
               "intermediate_size": 4 * dim, "max_position_embeddings": 512}, open(config, "w"))
    a, b = os.path.join(tmp, "a"), os.path.join(tmp, "b")
    t = in_turn([Side("assay", [side_program(), "pretrain", config, corpus, a, threads, dtype, 4 + 4 * steps, length]),
                 Side("torch", [sys.executable, os.path.join(here, "rival.py"), "pretrain", config, one, b, threads, dtype, tokenizer, 4 + steps, length])], int(os.environ.get("BENCH_ROUNDS", "3")))
    (la, ma), (lb, mb) = (open(x).read().split() for x in (a, b))
    print(f"{shape:5s} {length:>3s} tokens {dtype:4s}  assay {1e3 * t['assay']:7.0f} ms, {int(ma) / 1e6:5.0f} MB | PyTorch {1e3 * t['torch']:7.0f} ms, {int(mb) / 1e6:5.0f} MB | "
          f"{t['torch'] / t['assay']:.2f}x, memory {int(ma) / int(mb):.2f} | losses {float(la):.3f} {float(lb):.3f}", flush=True)
