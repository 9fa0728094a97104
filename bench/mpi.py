#!/usr/bin/env python3
"""A training step (AdamW, clipping, dropout) in two MPI processes with one thread each, against one process with two threads; and that both
save the same bytes. Usage: mpi.py ASSAY MODEL_DIR TABLE.csv(text,label) [STEPS [ROUNDS [BATCH [TOKENS]]]]"""
import csv, hashlib, json, os, random, shutil, statistics, subprocess, sys, tempfile
assay, model, table = (os.path.abspath(p) for p in sys.argv[1:4])
steps, rounds, batch, tokens = (int(a) for a in (sys.argv[4:] + ["20", "5", "32", "128"][len(sys.argv) - 4:]))
if not shutil.which("mpirun"):
    sys.exit("mpi.py: no mpirun")
tmp = tempfile.mkdtemp()
rows, words = list(csv.DictReader(open(table, encoding="utf-8", newline=""))), []
random.seed(7)
with open(f"{tmp}/long.csv", "w", encoding="utf-8", newline="") as f:  # texts that fill the length, as pre-training has them
    w = csv.writer(f)
    w.writerow(["text", "label"])
    for i in range(batch * steps):
        w.writerow([" ".join(random.choice(rows)["text"] for _ in range(2 + tokens // 12)), "AB"[i % 2]])
common = [assay, "finetune", model, "--data", f"{tmp}/long.csv", "--max-length", tokens, "--batch-size", batch, "--steps", steps, "--dev-fraction", "0", "--json", "--quiet"]
launch = ["mpirun", "-n", "2"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])
sides = {"two threads": common + ["--threads", "2"], "two ranks": launch + common + ["--threads", "1"]}
got, digest = {k: [] for k in sides}, {}
for i in range(rounds + 1):  # in turn; the first is thrown away
    for k, command in sides.items():
        out = f"{tmp}/out"
        shutil.rmtree(out, ignore_errors=True)
        p = subprocess.run([str(c) for c in command] + ["--out", out, "--db", f"{tmp}/{k}{i}.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if p.returncode != 0:
            sys.exit(f"{k}: status {p.returncode}\n{p.stderr}")
        seconds = next(o["seconds"] for o in map(json.loads, p.stdout.splitlines()) if o["kind"] == "finetune")
        if i:
            got[k].append(seconds / steps)
        digest[k] = hashlib.sha256(open(f"{out}/model.safetensors", "rb").read()).hexdigest()
shutil.rmtree(tmp)
a, b = (statistics.median(got[k]) for k in sides)
print(f"{os.path.basename(model)}, batch {batch}, {tokens} tokens: two threads {1e3 * a:.1f} ms a step | two ranks {1e3 * b:.1f} ms ({a / b:.3f} of its speed) | "
      f"{'the same bytes' if len(set(digest.values())) == 1 else 'OTHER BYTES'}")
sys.exit(len(set(digest.values())) != 1)
