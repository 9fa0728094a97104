#!/usr/bin/env python3
"""Does a whole pre-training end where PyTorch's does? The same initial weights, rows, masks, order, schedule and clipping, dropout 0,
out of tests/train/dump_pretraining (DTYPE none): trains a BertForMaskedLM with torch.optim.AdamW, and scores the held-out rows at the
steps that assay's log has, in their masks.
    heldout.py DUMP_PROGRAM CORPUS LOG.jsonl SHAPE STEPS BATCH LR [MAX_LENGTH [SEED [THREADS [DTYPE]]]]
LOG.jsonl is that of `assay pretrain` with the same recipe; DTYPE bf16: autocast. Prints a line per evaluation; exit 1 when the last differs by over 2 %."""
import json, math, subprocess, sys, tempfile, time, torch
import torch.nn.functional as F
from transformers import BertForMaskedLM, get_linear_schedule_with_warmup

program, corpus, log, shape, steps, batch, lr, length, seed, threads, dtype = sys.argv[1:] + ["128", "1", "2", "f32"][len(sys.argv) - 8:]
torch.set_num_threads(int(threads))
theirs = {e["step"]: e for e in map(json.loads, open(log)) if e["kind"] == "evaluation"}
out = tempfile.mkdtemp()
run = subprocess.Popen([program, corpus, shape, out, "mlm", steps, batch, lr, "none", threads, length, "-", seed], stdout=subprocess.PIPE, text=True)
lines = map(json.loads, run.stdout)
held = next(lines)["sequences"]
m = BertForMaskedLM.from_pretrained(out, dtype=torch.float32)
for module in m.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
plain = lambda n: n.endswith("bias") or "LayerNorm" in n
opt = torch.optim.AdamW([{"params": [p for n, p in m.named_parameters() if not plain(n)], "weight_decay": 0.01},
                         {"params": [p for n, p in m.named_parameters() if plain(n)], "weight_decay": 0.0}], lr=float(lr), betas=(0.9, 0.98), eps=1e-6)
sched = get_linear_schedule_with_warmup(opt, math.ceil(0.06 * int(steps)), int(steps))


def parts(sequences, most=4096):
    """Sequences in groups of like length, padded within: BertForMaskedLM wants rectangles, and padding costs time, not numbers."""
    group = []
    for s in sorted(sequences, key=lambda s: len(s["ids"])):
        if group and (len(s["ids"]) > 1.5 * len(group[0]["ids"]) + 4 or len(s["ids"]) * (len(group) + 1) > most):
            yield group
            group = []
        group.append(s)
    if group:
        yield group


def loss_of(group):
    """Sum over the masked tokens; the head on these alone, which is what the others' ignored labels come to."""
    n = max(len(s["ids"]) for s in group)
    t = lambda key, fill: torch.tensor([s[key] + [fill] * (n - len(s["ids"])) for s in group])
    mask = torch.tensor([[1] * len(s["ids"]) + [0] * (n - len(s["ids"])) for s in group])
    target = t("target", -100)
    at = target != -100
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
        hidden = m.bert(input_ids=t("ids", 0), token_type_ids=t("types", 0), attention_mask=mask).last_hidden_state
        return F.cross_entropy(m.cls(hidden[at]).float(), target[at], reduction="sum")


def masked(sequences):
    return sum(y != -100 for s in sequences for y in s["target"])


def evaluate():
    with torch.inference_mode():
        return sum(loss_of(g).item() for g in parts(held)) / masked(held)


begin, ratio = time.time(), math.nan
for line in lines:
    n = masked(line["sequences"])
    for g in parts(line["sequences"]):
        (loss_of(g) / n).backward()
    torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
    opt.step(); sched.step(); opt.zero_grad()
    if line["step"] in theirs:
        ours, loss = theirs[line["step"]]["loss"], evaluate()
        ratio = ours / loss
        print(f"step {line['step']:5d}  {time.time() - begin:6.0f} s  held-out loss: assay {ours:.5f}  torch {loss:.5f}  ratio {ratio:.5f}", flush=True)
if run.wait() != 0:
    sys.exit("the dump failed")
sys.exit(not abs(ratio - 1.0) <= 0.02)
