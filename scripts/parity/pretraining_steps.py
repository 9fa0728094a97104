"""What the scripts pretraining_*.py share: assay's run, and PyTorch's steps beside it."""
import json, math, subprocess, tempfile
import torch
from transformers import get_linear_schedule_with_warmup

torch.set_num_threads(1)


def dump(objective, argv):
    program, model = argv[1], argv[2]
    count, batch, lr = argv[3] if len(argv) > 3 else "100", argv[4] if len(argv) > 4 else "8", argv[5] if len(argv) > 5 else "5e-4"
    out = tempfile.mkdtemp()
    lines = subprocess.run([program, objective, model, out, count, batch, lr], check=True, capture_output=True, text=True).stdout
    return out, [json.loads(x) for x in lines.splitlines()], float(lr)


def compare(models, loss_of, steps, lr):
    """1 when a step's loss or gradient norm differs by more than 1e-4 relative."""
    named, seen = [], set()
    for m in models:
        m.train()
        for module in m.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for name, p in m.named_parameters():
            if id(p) not in seen:
                seen.add(id(p))
                named.append((name, p))
    groups = [{"params": [p for _, p in named if p.dim() > 1], "weight_decay": 0.01},
              {"params": [p for _, p in named if p.dim() == 1], "weight_decay": 0.0}]
    opt = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), eps=1e-8)
    sched = get_linear_schedule_with_warmup(opt, math.ceil(0.06 * len(steps)), len(steps))
    worst = worst_norm = 0.0
    for o in steps:
        loss = loss_of(o)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0).item()
        opt.step(); sched.step(); opt.zero_grad()
        worst = max(worst, abs(loss.item() - o["loss"]) / max(1.0, abs(loss.item())))
        worst_norm = max(worst_norm, abs(norm - o["norm"]) / max(1.0, norm))
        if o["step"] in (1, 2, 10, 50, 100) or o["step"] == len(steps):
            print(f"step {o['step']:4d}  torch {loss.item():.7f}  assay {o['loss']:.7f}  norm {norm:.6f} / {o['norm']:.6f}")
    print(f"largest relative difference over {len(steps)} steps: loss {worst:.2e}, gradient norm {worst_norm:.2e}")
    return int(worst > 1e-4 or worst_norm > 1e-4)
