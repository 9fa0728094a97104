#!/usr/bin/env python3
"""Does assay train as PyTorch does? Repeats a run of tests/train/dump_training with torch.optim.AdamW: the same initial
checkpoint, batches, order, schedule and clipping, dropout 0; compares the loss of every step.
Usage: training.py DUMP_PROGRAM MODEL DATA.csv [STEPS [BATCH [LR]]]
Exit 1 when a loss differs by more than 1e-4 (relative above 1, absolute below)."""
import csv, json, subprocess, sys, tempfile, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

torch.set_num_threads(1)
program, model, data = sys.argv[1:4]
steps, batch, lr = int(sys.argv[4] if len(sys.argv) > 4 else 100), sys.argv[5] if len(sys.argv) > 5 else "16", sys.argv[6] if len(sys.argv) > 6 else "5e-5"
out = tempfile.mkdtemp()
lines = subprocess.run([program, model, data, out, str(steps), batch, lr, "f32", "1"], check=True, capture_output=True, text=True).stdout
ours = [json.loads(x) for x in lines.splitlines()]
rows = list(csv.DictReader(open(data, encoding="utf-8", newline="")))
tok = AutoTokenizer.from_pretrained(out)
m = AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32)
for mod in m.modules():
    if isinstance(mod, torch.nn.Dropout):
        mod.p = 0.0
m.train()
key = "text" if "text" in rows[0] else "sentence"
decay = [p for n, p in m.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
plain = [p for n, p in m.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=float(lr), betas=(0.9, 0.999), eps=1e-8)
import math
sched = get_linear_schedule_with_warmup(opt, math.ceil(0.06 * steps), steps)
worst = 0.0
for o in ours:
    items = o["items"]
    b = tok([rows[i][key] for i in items], padding=True, truncation=True, max_length=m.config.max_position_embeddings, return_tensors="pt")
    y = torch.tensor([m.config.label2id[rows[i]["label"]] for i in items])
    loss = m(**b, labels=y).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
    opt.step(); sched.step(); opt.zero_grad()
    d = abs(loss.item() - o["loss"]) / max(1.0, abs(loss.item()))
    worst = max(worst, d)
    if o["step"] in (1, 2, 10, 50, 100) or o["step"] == steps:
        print(f"step {o['step']:4d}  torch {loss.item():.7f}  assay {o['loss']:.7f}  norm {norm.item():.6f} / {o['norm']:.6f}")
print(f"largest difference over {len(ours)} steps: {worst:.2e}")
sys.exit(worst > 1e-4)
