"""Replaced-token detection step by step: assay against PyTorch with the same weights, masks and drawn tokens, dropout 0. Each step's
loss (generator + 50 discriminator) agrees within 1e-4 relative.

    python3 scripts/parity/pretraining_rtd.py DUMP_OBJECTIVE MODEL [STEPS [BATCH [LR]]]

DUMP_OBJECTIVE: the program of tests/train/dump_objective.c (make build/cc/tests/train/dump_objective). MODEL: an ELECTRA
checkpoint of 101 words, tests/golden/model/electra_mlm (the generator is new).
"""
import sys
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import ElectraForMaskedLM, ElectraForPreTraining
from pretraining_steps import compare, dump

out, steps, lr = dump("rtd", sys.argv)
d = ElectraForPreTraining.from_pretrained(f"{out}/initial", dtype=torch.float32)
g = ElectraForMaskedLM.from_pretrained(f"{out}/initial/generator", dtype=torch.float32)
g.electra.embeddings = d.electra.embeddings  # one module: Clark et al. 2020, section 3.2
g.generator_lm_head.weight = d.electra.embeddings.word_embeddings.weight


def loss(step):
    generator, detector, masked, tokens = 0.0, 0.0, 0, 0
    for s in step["seqs"]:
        ids, hidden, filled = (torch.tensor(s[k]) for k in ("ids", "masked", "filled"))
        target = torch.where(hidden != ids, ids, -100)
        if (target != -100).any():
            generator = generator + cross_entropy(g(input_ids=hidden[None]).logits[0], target, ignore_index=-100, reduction="sum")
        detector = detector + binary_cross_entropy_with_logits(d(input_ids=filled[None]).logits[0], (filled != ids).float(), reduction="sum")
        masked, tokens = masked + int((target != -100).sum()), tokens + len(ids)
    return generator / max(masked, 1) + 50.0 * detector / tokens


sys.exit(compare([d, g], loss, steps, lr))
