#!/usr/bin/env python3
"""Are a bench's numbers right? Recomputes every metric, interval and comparison of `assay bench ... --json` from the items in the store,
with scikit-learn, scipy and statsmodels alone.
Usage: verdict.py STORE BENCH.jsonl
Closed forms must agree to 1e-9; bootstrap intervals within 8 % of their width, randomisation p within 5 Monte-Carlo errors. Needs
single-label runs without clusters."""
import json, math, sqlite3, struct, sys
import numpy as np, scipy.stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
objects = [json.loads(x) for x in open(sys.argv[2], encoding="utf-8")]
kind = lambda k: [o for o in objects if o["kind"] == k]
systems, checked, worst = {}, 0, 0.0
for c in kind("cell"):
    rows = db.execute("SELECT coalesce(i.id, i.item), i.gold, i.pred, v.numbers FROM items i JOIN item_values v USING (run, item) WHERE i.run = ? ORDER BY 1", (c["run"],)).fetchall()
    systems.setdefault(c["model"], []).append((c["run"], np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), [r[0] for r in rows]))
ids = {tuple(s[3]) for runs in systems.values() for s in runs}
assert len(ids) == 1, "the runs are not of the same items"
n = len(next(iter(ids)))
gold = next(iter(systems.values()))[0][1]
labels = sorted(set(gold) | {p for runs in systems.values() for s in runs for p in s[2]})


def close(what, got, want, relative=1e-9):
    global checked, worst
    checked += 1
    off = abs(got - want) / max(1, abs(want))
    worst = max(worst, off)
    assert off <= relative, f"{what}: {got} against {want}"


def value(metric, pred):
    if metric == "accuracy": return sk.accuracy_score(gold, pred)
    if metric == "mcc": return sk.matthews_corrcoef(gold, pred)
    if metric == "f1(macro)": return sk.f1_score(gold, pred, labels=labels, average="macro", zero_division=0)
    if metric == "f1(binary)": return sk.f1_score(gold, pred, pos_label=labels[1], zero_division=0)
    raise SystemExit(f"{metric}: not known here")


def newcombe(both, a, b, neither, z):
    """Newcombe 1998, method 10."""
    m = both + a + b + neither
    def wilson(k):
        p = k / m; d = 1 + z * z / m
        mid, half = (p + z * z / (2 * m)) / d, z * math.sqrt(p * (1 - p) / m + z * z / (4 * m * m)) / d
        return p, mid - half, mid + half
    p1, l1, u1 = wilson(both + a); p2, l2, u2 = wilson(both + b)
    q = (both + a) * (both + b) * (b + neither) * (a + neither)
    num = both * neither - a * b
    if num > 0: num = max(num - m / 2, 0)
    phi = num / math.sqrt(q) if q > 0 else 0
    d = p1 - p2
    return (d - math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2),
            d + math.sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2))


def confusion_metric(metric):
    """The metric of item indexes, from coded cells: fast enough for 10,000 resamples."""
    k = len(labels); code = {x: i for i, x in enumerate(labels)}; g = np.array([code[x] for x in gold])
    def of(pred):
        cells = g * k + np.array([code[x] for x in pred])
        def f(index):
            c = np.bincount(cells[index], minlength=k * k).reshape(k, k).astype(float)
            if metric == "accuracy": return np.trace(c) / c.sum()
            if metric == "f1(macro)":
                d = c.sum(0) + c.sum(1)
                return np.mean(np.where(d > 0, 2 * np.diag(c) / np.maximum(d, 1), 0)[d > 0])
            if metric == "f1(binary)":
                d = c.sum(0)[1] + c.sum(1)[1]
                return 2 * c[1, 1] / d if d else 0.0
            t, p = c.sum(1), c.sum(0)
            d = math.sqrt((c.sum() ** 2 - p @ p) * (c.sum() ** 2 - t @ t))
            return (np.trace(c) * c.sum() - t @ p) / d if d else 0.0
        return f
    return of


# 1. each cell: values, and Wilson for accuracy
for o in kind("metric"):
    runs = {r: pred for s in systems.values() for r, _, pred, _ in s}
    if o.get("run") not in runs: continue
    pred = runs[o["run"]]
    close(f"run {o['run']} {o['metric']}", o["value"], value(o["metric"], pred))
    if o["method"] == "wilson":
        low, high = proportion_confint(int((pred == gold).sum()), n, 1 - o["level"], "wilson")
        close("wilson", o["low"], low), close("wilson", o["high"], high)

# 2. each pair
rng = np.random.default_rng(7)
compared = kind("compare")
for o in compared:
    a, b, z = systems[o["a"]], systems[o["b"]], scipy.stats.norm.ppf(0.5 + o["level"] / 2)
    va, vb = ([value(o["metric"], s[2]) for s in x] for x in (a, b))
    close("difference", o["diff"], np.mean(va) - np.mean(vb))
    if o["test"] == "mcnemar exact":
        x, y = a[0][2] == gold, b[0][2] == gold
        both, only_a, only_b, neither = int((x & y).sum()), int((x & ~y).sum()), int((~x & y).sum()), int((~x & ~y).sum())
        assert (both, only_a, only_b, neither) == (o["both"], o["only_a"], o["only_b"], o["neither"])
        close("mcnemar", o["p"], mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue)
        low, high = newcombe(both, only_a, only_b, neither, z)
        close("newcombe", o["low"], low), close("newcombe", o["high"], high)
    elif o["test"] == "welch t":
        seeds = [np.var(v, ddof=1) / len(v) if len(v) > 1 else 0.0 for v in (va, vb)]
        if o["metric"] == "accuracy":
            d = np.mean([s[2] == gold for s in a], axis=0) - np.mean([s[2] == gold for s in b], axis=0)
            items, exact = np.var(d, ddof=1) / n, 1e-9
        else:
            of = confusion_metric(o["metric"]); fa, fb = [of(s[2]) for s in a], [of(s[2]) for s in b]
            r = [np.mean([f(i) for f in fa]) - np.mean([f(i) for f in fb]) for i in (rng.integers(0, n, n) for _ in range(2000))]
            items, exact = np.var(r), 0.05
        over = items ** 2 / (n - 1) + sum(v * v / (len(x) - 1) for v, x in zip(seeds, (a, b)) if len(x) > 1)
        if items + sum(seeds) == 0:  # two constants: nothing varies, and there are no degrees of freedom
            close("welch low", o["low"], o["diff"]), close("welch high", o["high"], o["diff"])
            continue
        se, df = math.sqrt(items + sum(seeds)), (items + sum(seeds)) ** 2 / over
        half = scipy.stats.t.ppf(0.5 + o["level"] / 2, df) * se
        close("welch low", o["low"], o["diff"] - half, exact * max(1, 2 * half)), close("welch high", o["high"], o["diff"] + half, exact * max(1, 2 * half))
        if exact < 1e-6: close("welch p", o["p"], 2 * scipy.stats.t.sf(abs(o["diff"]) / se, df))
    else:  # one seed each, a metric of the whole set
        of = confusion_metric(o["metric"]); code = np.arange(n); fa, fb = of(a[0][2]), of(b[0][2])
        r = scipy.stats.bootstrap((code,), lambda i: fa(i) - fb(i), vectorized=False, n_resamples=4000, batch=100, method="BCa", rng=rng).confidence_interval
        width = r.high - r.low
        for got, want in ((o["low"], r.low), (o["high"], r.high)): close("bca", got / width, want / width, 0.08)
        pa, pb, extreme = a[0][2], b[0][2], 0
        for _ in range(2000):
            swap = rng.random(n) < 0.5
            extreme += abs(of(np.where(swap, pb, pa))(code) - of(np.where(swap, pa, pb))(code)) >= abs(o["diff"]) - 1e-12
        p = (1 + extreme) / 2001
        close("randomisation", o["p"], p, 5 * math.sqrt(max(p * (1 - p), 1e-4) / 2000))
adjusted = multipletests([o["p"] for o in compared], method="holm")[1]
for o, p in zip(compared, adjusted): close("holm", o["p_adjusted"], p)
print(f"{checked} numbers agree over {n} items, {len(systems)} systems, {len(compared)} comparisons")
