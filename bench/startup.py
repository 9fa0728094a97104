#!/usr/bin/env python3
"""First prediction in a fresh process: assay against python + transformers. Seconds, and private (anonymous) memory.
Usage: startup.py ASSAY MODEL [ROUNDS]"""
import os, re, statistics, subprocess, sys, time
assay, model = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
text = "a gripping and often very funny film ."
hf = f"""
import torch
from transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T
t = T.from_pretrained({model!r}); m = M.from_pretrained({model!r}).eval()
with torch.inference_mode(): print(m(**t({text!r}, return_tensors='pt')).logits.argmax().item())
"""
def once(cmd):
    t = time.perf_counter()
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    anon = 0
    while p.poll() is None:
        try:
            s = open(f"/proc/{p.pid}/status").read()
            anon = max(anon, int(re.search(r"RssAnon:\s+(\d+)", s).group(1)))
        except Exception:
            pass
        time.sleep(0.005)  # not oftener: looking takes a core away
    took = time.perf_counter() - t
    return took, anon / 1024
sides = {"assay": [assay, "predict", model, text], "transformers": [sys.executable, "-c", hf]}
got = {k: [] for k in sides}
for i in range(rounds + 1):
    for k, c in sides.items():
        r = once(c)
        if i: got[k].append(r)
m = {k: (statistics.median(x[0] for x in v), statistics.median(x[1] for x in v)) for k, v in got.items()}
for k, v in m.items(): print(f"{k:13s} {1e3 * v[0]:8.1f} ms  {v[1]:7.1f} MB anonymous")
print(f"{m['transformers'][0] / m['assay'][0]:.0f}x sooner, {m['assay'][1] / m['transformers'][1]:.2f} of the memory")
