"""Causal LM step by step: assay against PyTorch with the same weights and documents, dropout 0. Each step's loss agrees within
1e-4 relative.

    python3 scripts/parity/pretraining_clm.py DUMP_OBJECTIVE MODEL [STEPS [BATCH [LR]]]

DUMP_OBJECTIVE: the program of tests/train/dump_objective.c (make build/cc/tests/train/dump_objective). MODEL: a GPT-2 checkpoint of
101 words, tests/golden/model/gpt2_lm.
"""
import sys
import torch
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel
from pretraining_steps import compare, dump

out, steps, lr = dump("clm", sys.argv)
model = GPT2LMHeadModel.from_pretrained(f"{out}/initial", dtype=torch.float32)
end = model.config.eos_token_id


def loss(step):
    total, count = 0.0, 0
    for s in step["seqs"]:
        ids = torch.tensor(s["ids"])
        target = torch.cat([ids[1:], torch.tensor([end if s["ends"] else -100])])
        total = total + cross_entropy(model(input_ids=ids[None]).logits[0], target, ignore_index=-100, reduction="sum")
        count += int((target != -100).sum())
    return total / count


sys.exit(compare([model], loss, steps, lr))
