#!/usr/bin/env python3
"""Ten AdamW steps of a tiny BertForMaskedLM in PyTorch, for tests/train/test_pretraining_golden.c: mlm.txt gets loss and gradient norm of each step,
mlm.jsonl the masked sequences it was trained on. The corpus, masks, batches and schedule are those of tests/train/dump_objective.c; the
weights, tests/golden/model/mlm_tied; dropout 0. From the root of the project:
    make build/cc/tests/train/dump_objective && python3 tests/golden/train/mlm.py
"""
import json, math, subprocess, tempfile
import torch, transformers

STEPS, BATCH, LR = 10, 8, 2e-3
torch.set_num_threads(1)
model = transformers.BertForMaskedLM.from_pretrained("tests/golden/model/mlm_tied", dtype=torch.float32).train()
for m in model.modules():
    if isinstance(m, torch.nn.Dropout):
        m.p = 0.0
lines = subprocess.run(["build/cc/tests/train/dump_objective", "mlm", "tests/golden/model/mlm_tied", tempfile.mkdtemp(), str(STEPS), str(BATCH), str(LR)],
                       check=True, capture_output=True, text=True).stdout.splitlines()
steps = [json.loads(line)["seqs"] for line in lines]
opt = torch.optim.AdamW([{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.01},
                         {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}], lr=LR, betas=(0.9, 0.999), eps=1e-8)
schedule = transformers.get_linear_schedule_with_warmup(opt, math.ceil(0.06 * STEPS), STEPS)
with open("tests/golden/train/mlm.txt", "w") as out, open("tests/golden/train/mlm.jsonl", "w") as dump:
    print(f"# loss norm; torch {torch.__version__} transformers {transformers.__version__}", file=out)
    for seqs in steps:
        print(json.dumps(seqs, separators=(",", ":")), file=dump)
        n = max(len(s["ids"]) for s in seqs)
        pad = lambda key, fill: torch.tensor([s[key] + [fill] * (n - len(s["ids"])) for s in seqs])
        target = pad("target", -100)
        target[target < 0] = -100
        loss = model(input_ids=pad("ids", 0), attention_mask=torch.tensor([[1] * len(s["ids"]) + [0] * (n - len(s["ids"])) for s in seqs]), labels=target).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step(), schedule.step(), opt.zero_grad()
        print(f"{loss.item():.8g} {norm.item():.8g}", file=out)
