#!/usr/bin/env python3
"""WordPiece with offsets, MB/s: assay against HF tokenizers encode_batch, 1 and 2 threads, in turn; ids compared.
Usage: wordpiece.py MODEL TEXTS [ROUNDS]"""
import os, sys, tempfile
import numpy as np
sys.path.insert(0, os.path.dirname(__file__))
from turns import Side, in_turn, machine, side_program
model, texts = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
here, tmp, mb = os.path.dirname(__file__), tempfile.mkdtemp(), os.path.getsize(texts) / 1e6
print(f"# {machine()}; {os.path.basename(texts)}, {mb:.2f} MB")
for threads in ("1", "2"):
    a, b = os.path.join(tmp, "a"), os.path.join(tmp, "b")
    t = in_turn([Side("assay", [side_program(), "tokenize", model, texts, a, threads, "f32"]),
                 Side("hf", [sys.executable, os.path.join(here, "rival.py"), "tokenize", model, texts, b, threads])], rounds)
    same = np.array_equal(np.fromfile(a, np.int32), np.fromfile(b, np.int32))
    print(f"{threads} threads: assay {mb / t['assay']:.1f} MB/s, HF tokenizers {mb / t['hf']:.2f} MB/s: {t['hf'] / t['assay']:.1f}x; ids equal: {same}")
