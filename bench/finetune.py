#!/usr/bin/env python3
"""A fine-tuning step (batch 16, AdamW, clipping, dropout), assay against PyTorch with dynamic padding (the same batches) and with the same
items grouped by length.
Usage: finetune.py MODELS_DIR TABLE.csv(text,label) [SHAPES [DTYPES [STEPS [ROUNDS]]]]"""
import os, sys, tempfile
sys.path.insert(0, os.path.dirname(__file__))
from turns import Side, in_turn, machine, side_program
models, table = sys.argv[1:3]
shapes = (sys.argv[3] if len(sys.argv) > 3 else "mini,minilm,base").split(",")
dtypes = (sys.argv[4] if len(sys.argv) > 4 else "f32").split(",")
steps = int(sys.argv[5]) if len(sys.argv) > 5 else 20
rounds = int(sys.argv[6]) if len(sys.argv) > 6 else 3
threads = os.environ.get("BENCH_THREADS", "2")
here, tmp = os.path.dirname(__file__), tempfile.mkdtemp()
print(f"# {machine()}; {threads} threads; {os.path.basename(table)}, batch 16, {steps} steps a pass, of which the first 4 are not timed")
for shape in shapes:
    k = steps if shape != "base" else max(8, steps * 3 // 5)
    for dtype in dtypes:
        rival = lambda how: Side(how, [sys.executable, os.path.join(here, "rival.py"), "finetune", os.path.join(models, shape), table, os.path.join(tmp, how), threads, dtype, how, 16, k,
                                        os.path.join(tmp, "a.order")])
        t = in_turn([Side("assay", [side_program(), "finetune", os.path.join(models, shape), table, os.path.join(tmp, "a"), threads, dtype, k]),
                     rival("dynamic"), rival("grouped")], rounds)
        loss = {w: open(os.path.join(tmp, w)).read().strip() for w in ("a", "dynamic", "grouped")}
        print(f"{shape:7s} {dtype}  assay {1e3 * t['assay']:7.1f} ms/step | dynamic padding {1e3 * t['dynamic']:7.1f} ({t['dynamic'] / t['assay']:.2f}x) | "
              f"grouped {1e3 * t['grouped']:7.1f} ({t['grouped'] / t['assay']:.2f}x) | losses {loss['a'][:6]} (mean) {loss['dynamic'][:6]} {loss['grouped'][:6]} (last)", flush=True)
