#!/usr/bin/env python3
"""The rivals' side of a benchmark: loads once, then answers each line "go" with one timed pass: "seconds <s>".
  rival.py classify MODEL TEXTS OUT THREADS DTYPE HOW BATCH   HOW: eager | sorted | ort      (logits to OUT, as float32)
  rival.py finetune MODEL TABLE OUT THREADS DTYPE HOW BATCH STEPS ORDER   HOW: dynamic | grouped; ORDER: rows of TABLE to take, a line each
  rival.py pretrain CONFIG.json TEXT OUT THREADS DTYPE TOKENIZER STEPS LENGTH   (masked LM, 32 rows; OUT: loss and peak memory)
  rival.py tokenize MODEL TEXTS OUT THREADS"""
import os, sys, time, csv
kind, model, data, out, threads = sys.argv[1:6]
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = threads
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
import numpy as np
WARM_STEPS = 4  # of a training pass, not timed: memory is touched for the first time, kernels are made; side.c does the same


def serve(run):
    for line in sys.stdin:
        if not line.startswith("go"):
            break
        print(f"seconds {run():.6f}", flush=True)


def tokenize():
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tok.no_padding(); tok.no_truncation()
    lines = open(data, encoding="utf-8", newline="\n").read().split("\n")[:-1]
    def run():
        t = time.perf_counter()
        enc = tok.encode_batch(lines)
        took = time.perf_counter() - t
        np.concatenate([np.array(e.ids, np.int32) for e in enc]).tofile(out)
        return took
    serve(run)


def classify():
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    dtype, how, batch = sys.argv[6], sys.argv[7], int(sys.argv[8])
    torch.set_num_threads(int(threads))
    tok = AutoTokenizer.from_pretrained(model)
    m = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    lines = open(data, encoding="utf-8", newline="\n").read().split("\n")[:-1]
    most = m.config.max_position_embeddings
    session = None
    if how == "ort":
        import onnxruntime as ort
        path = out + ".onnx"
        ex = tok(["a b c", "d"], padding=True, return_tensors="pt")
        names = ["input_ids", "attention_mask", "token_type_ids"]
        m.config.return_dict = False
        axes = {n: {0: "b", 1: "s"} for n in names}; axes["logits"] = {0: "b"}
        torch.onnx.export(m, tuple(ex[n] for n in names), path, input_names=names, output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False)
        so = ort.SessionOptions(); so.intra_op_num_threads = int(threads)
        session = ort.InferenceSession(path, so, providers=["CPUExecutionProvider"])

    def forward(texts):
        if session:
            b = tok(texts, padding=True, truncation=True, max_length=most, return_tensors="np")
            return session.run(None, {k: b[k] for k in ("input_ids", "attention_mask", "token_type_ids")})[0]
        b = tok(texts, padding=True, truncation=True, max_length=most, return_tensors="pt")
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            return m(**b).logits.float().numpy()

    def run():
        t = time.perf_counter()
        order = list(range(len(lines)))
        if how in ("sorted", "ort"):
            order.sort(key=lambda i: len(lines[i]))
        res = [None] * len(lines)
        for i in range(0, len(order), batch):
            part = order[i:i + batch]
            for j, y in zip(part, forward([lines[k] for k in part])):
                res[j] = y
        labels = [int(y.argmax()) for y in res]
        took = time.perf_counter() - t
        np.stack(res).astype(np.float32).tofile(out)
        return took
    serve(run)


def finetune():
    import torch, random
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup
    dtype, how, batch, steps = sys.argv[6], sys.argv[7], int(sys.argv[8]), int(sys.argv[9])
    torch.set_num_threads(int(threads))
    tok = AutoTokenizer.from_pretrained(model)
    rows = list(csv.DictReader(open(data, encoding="utf-8", newline="")))
    names = sorted({r["label"] for r in rows})
    texts, y = [r["text"] for r in rows], [names.index(r["label"]) for r in rows]

    def run():
        torch.manual_seed(1)
        m = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32, num_labels=len(names)).train()
        decay = [p for n, p in m.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
        plain = [p for n, p in m.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
        opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=2e-5)
        sched = get_linear_schedule_with_warmup(opt, max(1, steps // 16), steps)
        order = [int(k) for k in open(sys.argv[10])]
        batches = [order[i:i + batch] for i in range(0, len(order), batch)]
        if how == "grouped":  # as LengthGroupedSampler does with megabatches: sorted by length, the batches shuffled; those of the clock among themselves
            rest = sorted(order[WARM_STEPS * batch:], key=lambda k: -len(texts[k]))
            rest = [rest[i:i + batch] for i in range(0, len(rest), batch)]
            random.Random(2).shuffle(rest)
            batches = batches[:WARM_STEPS] + rest
        batches = [b for b in batches if len(b) == batch]
        enc = [tok([texts[k] for k in b], truncation=True, max_length=m.config.max_position_embeddings) for b in batches[:steps]]
        last = 0.0
        for s in range(steps):
            if s == WARM_STEPS:
                t = time.perf_counter()
            b, part = enc[s % len(enc)], batches[s % len(enc)]
            x = tok.pad(b, return_tensors="pt")
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
                loss = m(**x, labels=torch.tensor([y[k] for k in part])).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
            opt.step(); sched.step(); opt.zero_grad()
            last = loss.item()
        took = (time.perf_counter() - t) / (steps - WARM_STEPS)
        open(out, "w").write(f"{last}\n")
        return took
    serve(run)


def pretrain():
    import resource, torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertForMaskedLM, get_linear_schedule_with_warmup
    dtype, tokenizer, steps, length = sys.argv[6], sys.argv[7], int(sys.argv[8]), int(sys.argv[9])
    torch.set_num_threads(int(threads))
    tok = Tokenizer.from_file(os.path.join(tokenizer, "tokenizer.json"))
    tok.no_padding(); tok.no_truncation()
    ids = tok.encode(open(data, encoding="utf-8").read(), add_special_tokens=False).ids
    rows = [[101] + ids[i:i + length - 2] + [102] for i in range(0, len(ids) - length, length - 2)]
    g = torch.Generator().manual_seed(1)

    def masked(x):  # as DataCollatorForLanguageModeling
        y, pick = x.clone(), torch.rand(x.shape, generator=g) < 0.15
        pick[:, 0] = pick[:, -1] = False
        y[~pick] = -100
        how = torch.rand(x.shape, generator=g)
        x = x.clone()
        x[pick & (how < 0.8)] = 103
        other = pick & (how >= 0.8) & (how < 0.9)
        x[other] = torch.randint(1000, 30522, x.shape, generator=g)[other]
        return x, y

    def run():
        torch.manual_seed(1)
        m = BertForMaskedLM(BertConfig.from_json_file(model)).train()
        plain = lambda n: n.endswith("bias") or "LayerNorm" in n
        opt = torch.optim.AdamW([{"params": [p for n, p in m.named_parameters() if not plain(n)], "weight_decay": 0.01},
                                 {"params": [p for n, p in m.named_parameters() if plain(n)], "weight_decay": 0.0}], lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
        sched = get_linear_schedule_with_warmup(opt, max(1, steps // 16), steps)
        order = torch.randperm(len(rows), generator=g).tolist()
        batches = [masked(torch.tensor([rows[order[(32 * s + i) % len(rows)]] for i in range(32)])) for s in range(steps)]
        total = 0.0
        for s, (x, y) in enumerate(batches):
            if s == WARM_STEPS:
                t = time.perf_counter()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
                loss = m(input_ids=x, labels=y).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
            opt.step(); sched.step(); opt.zero_grad()
            total += loss.item()
        took = (time.perf_counter() - t) / (steps - WARM_STEPS)
        open(out, "w").write(f"{total / steps} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}\n")
        return took
    serve(run)


{"pretrain": pretrain, "classify": classify, "finetune": finetune, "tokenize": tokenize}[kind]()
