#!/usr/bin/env python3
"""Is `assay pretrain --pseudo-perplexity` what a plain loop in PyTorch finds? Pre-trains a new model a little on CORPUS, loads the saved
checkpoint in BertForMaskedLM (or BertForPreTraining) and masks the tokens of each held-out document one at a time. All held-out documents
must fit in a row.
Usage: pseudo_perplexity.py ASSAY CORPUS [OBJECTIVE [SHAPE [MAX_LENGTH]]]
Exit 1 when the two differ by more than 1e-4 relative, or do not count the same tokens."""
import json, math, os, struct, subprocess, sys, tempfile
import numpy as np, torch
from transformers import BertForMaskedLM, BertForPreTraining

torch.set_num_threads(1)
assay, corpus, objective, shape, length = [a or d for a, d in zip(sys.argv[1:] + [None] * 5, (None, None, "mlm", "tiny", "128"))]
out = os.path.join(tempfile.mkdtemp(), "out")
line = subprocess.run([assay, "pretrain", "--corpus", corpus, "--shape", shape, "--objective", objective, "--steps", "20", "--batch-size", "8", "--max-length", length,
                       "--out", out, "--db", out + ".db", "--pseudo-perplexity", "1000000", "--json", "--quiet"], check=True, capture_output=True, text=True).stdout
ours = json.loads(line)


def documents():
    """The layout is that of src/data/corpus_shard.h."""
    for row in json.load(open(f"{corpus}/corpus.json"))["parts"]["heldout"]["shards"]:
        raw = open(f"{corpus}/{row['file']}", "rb").read()
        id_bytes, _, docs, segments, tokens = struct.unpack_from("<IIQQQ", raw, 8)
        bounds = np.frombuffer(raw, "<u8", docs + 1, 64)
        at = 64 + 16 * (docs + 1) + (4 * segments + 7) // 8 * 8
        ids = np.frombuffer(raw, "<u2" if id_bytes == 2 else "<u4", tokens, at)
        for d in range(docs):
            yield ids[int(bounds[d]):int(bounds[d + 1])].astype(np.int64).tolist()


model = (BertForMaskedLM if objective == "mlm" else BertForPreTraining).from_pretrained(out, dtype=torch.float32).eval()
vocab = json.load(open(f"{out}/tokenizer.json"))["model"]["vocab"]
cls, sep, mask = vocab["[CLS]"], vocab["[SEP]"], vocab["[MASK]"]
special = {vocab[t] for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
total, count, sequences = 0.0, 0, 0
with torch.no_grad():
    for doc in documents():
        ids = [cls] + doc + [sep]
        assert len(ids) <= int(length), "a document is longer than a row"
        sequences += 1
        for i in range(1, len(ids) - 1):
            if ids[i] in special:
                continue
            logits = model(input_ids=torch.tensor([ids[:i] + [mask] + ids[i + 1:]]))
            logits = logits.logits if objective == "mlm" else logits.prediction_logits
            total -= torch.log_softmax(logits[0, i].double(), -1)[ids[i]].item()
            count += 1
theirs = math.exp(total / count)
difference = abs(theirs - ours["pseudo_perplexity"]) / theirs
print(f"{objective}: torch {theirs:.6f} of {count} tokens in {sequences} sequences, assay {ours['pseudo_perplexity']:.6f} of {ours['pseudo_predictions']}"
      f" in {ours['pseudo_sequences']}: {difference:.1e}")
sys.exit(not (difference <= 1e-4 and count == ours["pseudo_predictions"] and sequences == ours["pseudo_sequences"]))
