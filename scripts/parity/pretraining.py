#!/usr/bin/env python3
"""Does assay pre-train as PyTorch does? Repeats a run of tests/train/dump_pretraining with BertForMaskedLM or BertForPreTraining
and torch.optim.AdamW: the same initial checkpoint, masks, batches, schedule and clipping, dropout 0; compares the loss of every
step. The initial checkpoint must load without a missing, unexpected or mismatched weight.
Usage: pretraining.py DUMP_PROGRAM CORPUS [OBJECTIVE [STEPS [BATCH [LR [SHAPE [MAX_LENGTH]]]]]]
Exit 1 when a loss differs by more than 1e-4 (relative above 1, absolute below)."""
import json, math, subprocess, sys, tempfile, torch
from transformers import BertForMaskedLM, BertForPreTraining, get_linear_schedule_with_warmup

torch.set_num_threads(1)
arg = sys.argv[1:] + [None] * 8
program, corpus, objective, steps, batch, lr, shape, length = [a or d for a, d in zip(arg, (None, None, "mlm", "100", "8", "5e-4", "tiny", "128"))]
out = tempfile.mkdtemp()
lines = subprocess.run([program, corpus, shape, out, objective, steps, batch, lr, "f32", "1", length], check=True, capture_output=True, text=True).stdout
ours = [json.loads(x) for x in lines.splitlines()]
pair = objective != "mlm"
m, info = (BertForPreTraining if pair else BertForMaskedLM).from_pretrained(out, dtype=torch.float32, output_loading_info=True)
bad = {k: list(v) for k, v in info.items() if v}
print(f"loading: {bad or 'nothing missing, nothing unexpected'}")
for mod in m.modules():
    if isinstance(mod, torch.nn.Dropout):
        mod.p = 0.0
m.train()
plain = lambda n: n.endswith("bias") or "LayerNorm" in n
opt = torch.optim.AdamW([{"params": [p for n, p in m.named_parameters() if not plain(n)], "weight_decay": 0.01},
                         {"params": [p for n, p in m.named_parameters() if plain(n)], "weight_decay": 0.0}], lr=float(lr), betas=(0.9, 0.98), eps=1e-6)
sched = get_linear_schedule_with_warmup(opt, math.ceil(0.06 * int(steps)), int(steps))
worst = 0.0
for o in ours:
    s = o["sequences"]
    n = max(len(x["ids"]) for x in s)
    t = lambda key, fill: torch.tensor([x[key] + [fill] * (n - len(x["ids"])) for x in s])
    b = dict(input_ids=t("ids", 0), token_type_ids=t("types", 0), attention_mask=torch.tensor([[1] * len(x["ids"]) + [0] * (n - len(x["ids"])) for x in s]), labels=t("target", -100))
    if pair:
        b["next_sentence_label"] = torch.tensor([x["label"] for x in s])
    loss = m(**b).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
    opt.step(); sched.step(); opt.zero_grad()
    worst = max(worst, abs(loss.item() - o["loss"]) / max(1.0, abs(loss.item())))
    if o["step"] in (1, 2, 10, 50, 100) or o["step"] == int(steps):
        print(f"step {o['step']:4d}  torch {loss.item():.7f}  assay {o['loss']:.7f}  norm {norm.item():.6f} / {o['norm']:.6f}")
print(f"largest difference over {len(ours)} steps: {worst:.2e}")
sys.exit(worst > 1e-4 or bool(bad))
