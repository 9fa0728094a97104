#!/usr/bin/env python3
"""A training step (AdamW, clipping, dropout) in two MPI processes with one thread each, against one process with two threads; and that both
save the same bytes. Fine-tuning, and masked-LM pre-training of the same shape. Usage: mpi.py ASSAY MODEL_DIR TABLE.csv(text,label)
[STEPS [ROUNDS [BATCH [TOKENS]]]]"""
import csv, hashlib, json, os, random, shutil, statistics, subprocess, sys, tempfile
assay, model, table = (os.path.abspath(p) for p in sys.argv[1:4])
steps, rounds, batch, tokens = (int(a) for a in (sys.argv[4:] + ["20", "5", "32", "128"][len(sys.argv) - 4:]))
if not shutil.which("mpirun"):
    sys.exit("mpi.py: no mpirun")
tmp, first = tempfile.mkdtemp(), 3  # a training of `first` steps is subtracted: pages touched for the first time, products made
rows = list(csv.DictReader(open(table, encoding="utf-8", newline="")))
random.seed(7)
texts = [" ".join(random.choice(rows)["text"] for _ in range(2 + tokens // 12)) for _ in range(batch * (steps + first))]  # as long as pre-training has them
with open(f"{tmp}/long.csv", "w", encoding="utf-8", newline="") as f:
    csv.writer(f).writerows([["text", "label"]] + [[t, "AB"[i % 2]] for i, t in enumerate(texts)])
open(f"{tmp}/long.txt", "w", encoding="utf-8").write("\n\n".join(texts))
subprocess.run([assay, "data", "corpus", f"{tmp}/long.txt", "--tokenizer", model, "--out", f"{tmp}/corpus", "--heldout", "0", "--quiet"],
               check=True, stdout=subprocess.DEVNULL)
shared = ["--max-length", tokens, "--batch-size", batch, "--lr", "1e-4", "--json", "--quiet"]
works = {"finetune": ["finetune", model, "--data", f"{tmp}/long.csv", "--dev-fraction", "0"] + shared,
         "pretrain, masked LM": ["pretrain", "--config", f"{model}/config.json", "--tokenizer", model, "--corpus", f"{tmp}/corpus"] + shared}
launch = ["mpirun", "-n", "2"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])


def one(command, count, out):
    shutil.rmtree(out, ignore_errors=True)
    p = subprocess.run([str(c) for c in command] + ["--steps", str(count), "--out", out, "--db", f"{tmp}/{random.random()}.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode != 0:
        sys.exit(f"status {p.returncode}: {' '.join(map(str, command))}\n{p.stderr}")
    seconds = next(o["seconds"] for o in map(json.loads, p.stdout.splitlines()) if o["kind"] in ("finetune", "pretrain"))
    return seconds, hashlib.sha256(open(f"{out}/model.safetensors", "rb").read()).hexdigest()


same = True
for name, work in works.items():
    sides = {"two threads": [assay] + work + ["--threads", 2], "two ranks": launch + [assay] + work + ["--threads", 1]}
    got, digests = {k: [] for k in sides}, set()
    for i in range(rounds + 1):  # in turn; the first is thrown away
        for k, command in sides.items():
            before = one(command, first, f"{tmp}/out")[0]
            seconds, digest = one(command, first + steps, f"{tmp}/out")
            digests.add(digest)
            if i:
                got[k].append((seconds - before) / steps)
    a, b = (statistics.median(got[k]) for k in sides)
    same &= len(digests) == 1
    print(f"{os.path.basename(model)}, {name}, batch {batch}, {tokens} tokens: two threads {1e3 * a:.1f} ms a step | two ranks {1e3 * b:.1f} ms "
          f"({a / b:.3f} of its speed) | {'the same bytes' if len(digests) == 1 else 'OTHER BYTES'}", flush=True)
shutil.rmtree(tmp)
sys.exit(not same)
