#!/usr/bin/env python3
"""Classification from text to labels, assay against transformers, PyTorch sorted and ONNX Runtime, in turn.
Usage: classify.py MODELS_DIR TEXTS [SHAPES [DTYPES [ROUNDS [LIMIT]]]]; SHAPES like tiny,mini,minilm,base"""
import os, sys, tempfile
import numpy as np
sys.path.insert(0, os.path.dirname(__file__))
from turns import Side, in_turn, machine, side_program
models, texts = sys.argv[1:3]
shapes = (sys.argv[3] if len(sys.argv) > 3 else "tiny,mini,minilm,base").split(",")
dtypes = (sys.argv[4] if len(sys.argv) > 4 else "f32").split(",")
rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
limit = int(sys.argv[6]) if len(sys.argv) > 6 else 0
threads = os.environ.get("BENCH_THREADS", "2")
here, tmp = os.path.dirname(__file__), tempfile.mkdtemp()
print(f"# {machine()}; {threads} threads; {os.path.basename(texts)}")
for shape in shapes:
    lines = open(texts, encoding="utf-8", newline="\n").read().split("\n")[:-1]
    n = min(len(lines), limit or {"tiny": 872, "mini": 872, "minilm": 400, "base": 128}[shape])
    part = os.path.join(tmp, f"{shape}.txt")
    open(part, "w", encoding="utf-8", newline="\n").write("".join(l + "\n" for l in lines[:: max(1, len(lines) // n)][:n]))
    for dtype in dtypes:
        def rival(how, batch):
            o = os.path.join(tmp, f"{shape}.{dtype}.{how}{batch}")
            return Side(f"{how} {batch}", [sys.executable, os.path.join(here, "rival.py"), "classify", os.path.join(models, shape), part, o, threads, dtype, how, batch])
        ours = os.path.join(tmp, f"{shape}.{dtype}.assay")
        sides = [Side("assay", [side_program(), "classify", os.path.join(models, shape), part, ours, threads, dtype]),
                 Side("bound", [side_program(), "bound", os.path.join(models, shape), part, "/dev/null", threads, dtype]), rival("eager", 16)]
        sides += [rival("ort", 16), rival("ort", 32), rival("ort", 64)] if dtype == "f32" else [rival("sorted", 16), rival("sorted", 32), rival("sorted", 64)]
        t = in_turn(sides, rounds)
        a, e = np.fromfile(ours, np.float32), np.fromfile(os.path.join(tmp, f"{shape}.{dtype}.eager16"), np.float32)
        diff, same = float(np.abs(a - e).max()), float((a.reshape(n, -1).argmax(1) == e.reshape(n, -1).argmax(1)).mean())
        best = min((k for k in t if k.startswith(("ort", "sorted"))), key=t.get)
        print(f"{shape:7s} {dtype} n={n}  assay {n / t['assay']:8.1f} items/s  {100 * t['bound'] / t['assay']:4.0f} % of the bound | "
              f"eager 16: {n / t['eager 16']:7.1f} ({t['eager 16'] / t['assay']:.2f}x) | {best}: {n / t[best]:7.1f} ({t[best] / t['assay']:.2f}x) | "
              f"same work: max |logit diff| {diff:.1e}, labels {100 * same:.1f} %", flush=True)
