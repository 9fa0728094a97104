"""Writes compare.txt and slices.txt: expected values of tests/run/test_compare.c and test_slices.c.
Run in this folder: python3 compare.py. Versions used: see the first line of each file."""
import itertools
import sys

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20261124)
versions = (f"# numpy {np.__version__} scipy {scipy.__version__} statsmodels {statsmodels.__version__} scikit-learn {sklearn.__version__}"
            f" python {sys.version.split()[0]}")
out = open("compare.txt", "w")
g = lambda x: repr(float(x))
row = lambda *v: print(*v, file=out)
row(versions)
R_TEST, R_BOOT = 100000, 40000

# --- class labels: A and B, three seeds each ---
N, K, SEEDS = 120, 3, 3
gold = rng.choice(K, size=N, p=[0.5, 0.3, 0.2])
cluster = np.sort(rng.integers(0, 25, size=N))
cluster = np.unique(cluster, return_inverse=True)[1]
hard = rng.normal(size=N)


def system(skill):
    logits = rng.normal(size=(N, K)) + hard[:, None] * rng.normal(0, 0.5, size=(1, K))
    logits[np.arange(N), gold] += skill
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = np.round(p, 4)
    return p.argmax(axis=1), p


A = [system(1.45 + 0.05 * k) for k in range(SEEDS)]
B = [system(0.95 + 0.1 * k) for k in range(SEEDS)]
row("class", N, K, SEEDS)
row(*gold)
row(*cluster)
for s in A + B:
    row(*s[0])
    row(*[f"{x:.4f}" for x in s[1].ravel()])


def confusion(idx, pred):
    gi, pi = gold[idx], pred[idx]
    return np.stack([np.stack([((gi == r) & (pi == c)).sum(axis=-1) for c in range(K)], -1) for r in range(K)], -2).astype(float)


def macro_f1(c):
    tp, gs, ps = np.diagonal(c, axis1=-2, axis2=-1), c.sum(axis=-1), c.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        f = 2 * tp / (gs + ps)
    return np.nanmean(f, axis=-1)  # labels that do not occur do not count


def mcc(c):
    n, tp, gs, ps = c.sum(axis=(-2, -1)), np.trace(c, axis1=-2, axis2=-1), c.sum(axis=-1), c.sum(axis=-2)
    d = np.sqrt((n * n - (ps * ps).sum(-1)) * (n * n - (gs * gs).sum(-1)))
    with np.errstate(invalid="ignore"):
        return np.where(d == 0, 0.0, (n * tp - (gs * ps).sum(-1)) / d)


corpus = {"f1(macro)": macro_f1, "mcc": mcc}
for name, f in corpus.items():
    check = sk.f1_score(gold, A[0][0], average="macro") if name != "mcc" else sk.matthews_corrcoef(gold, A[0][0])
    assert abs(f(confusion(np.arange(N), A[0][0])) - check) < 1e-12


def items(name, s):
    pred, p = s
    if name == "accuracy":
        return (pred == gold).astype(float)
    if name == "log_loss":
        eps = np.finfo(float).eps
        return -np.log(np.clip(p[np.arange(N), gold], eps, 1 - eps))
    return ((p - np.eye(K)[gold]) ** 2).sum(axis=1)  # brier


def newcombe(a, b, c, d, level):
    """Newcombe 1998, method 10."""
    n = a + b + c + d
    p1, p2 = (a + b) / n, (a + c) / n
    l1, u1 = proportion_confint(a + b, n, 1 - level, "wilson")
    l2, u2 = proportion_confint(a + c, n, 1 - level, "wilson")
    q, m = a * d - b * c, float(a + b) * (c + d) * (a + c) * (b + d)
    q = max(q - n / 2, 0) if q > 0 else q
    phi = 0 if m == 0 else q / np.sqrt(m)
    low = np.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = np.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    return p1 - p2 - low, p1 - p2 + high


def bca(statistic, data, vectorized=True, level=0.95):
    r = stats.bootstrap(data, statistic, paired=True, vectorized=vectorized, n_resamples=R_BOOT, confidence_level=level, method="BCa",
                        batch=4000, rng=np.random.default_rng(3))
    return r.confidence_interval.low, r.confidence_interval.high, r.standard_error


def sign_flip(sums):
    seen, extreme, left = abs(sums.sum()), 0, R_TEST
    while left:
        k = min(left, 5000)
        v = np.abs((rng.integers(0, 2, size=(k, len(sums))) * 2 - 1) @ sums)
        extreme, left = extreme + int((v >= seen * (1 - 1e-12)).sum()), left - k
    return (1 + extreme) / (R_TEST + 1)


# proportion METRIC both only_a only_b neither diff low high p (level 0.9 and 0.95)
x, y = items("accuracy", A[0]), items("accuracy", B[0])
cells = [int(((x == i) & (y == j)).sum()) for i, j in [(1, 1), (1, 0), (0, 1), (0, 0)]]
for level in [0.9, 0.95]:
    row("proportion", "accuracy", g(level), *cells, g(x.mean() - y.mean()), *map(g, newcombe(*cells, level)),
        g(mcnemar([[cells[0], cells[1]], [cells[2], cells[3]]], exact=True).pvalue))

# mean METRIC clustered value_a value_b low high se p
for name in ["log_loss", "brier", "accuracy"]:
    x, y = items(name, A[0]), items(name, B[0])
    d = x - y
    if name != "accuracy":
        low, high, se = bca(lambda v, axis: v.mean(axis=axis), (d,))
        p = stats.permutation_test((x, y), lambda u, v, axis: (u - v).mean(axis=axis), permutation_type="samples", n_resamples=R_TEST,
                                   vectorized=True, batch=5000, rng=np.random.default_rng(4)).pvalue
        row("mean", name, 0, g(x.mean()), g(y.mean()), g(low), g(high), g(se), g(p))
    sums, sizes = np.bincount(cluster, d), np.bincount(cluster).astype(float)
    low, high, se = bca(lambda s, m, axis: s.sum(axis=axis) / m.sum(axis=axis), (sums, sizes))
    row("mean", name, 1, g(x.mean()), g(y.mean()), g(low), g(high), g(se), g(sign_flip(sums)))

# corpus METRIC clustered value_a value_b low high se p: whole items (clusters) change sides
members = [np.flatnonzero(cluster == c) for c in range(cluster.max() + 1)]
for name, f in corpus.items():
    a, b = A[0][0], B[0][0]
    whole = np.arange(N)
    value_a, value_b = f(confusion(whole, a)), f(confusion(whole, b))
    for clustered in [0, 1]:
        if clustered:  # confusion matrices of clusters add up
            ca, cb = (np.stack([confusion(m, s) for m in members]) for s in (a, b))
            low, high, se = bca(lambda i, axis: f(ca[i].sum(axis=-3)) - f(cb[i].sum(axis=-3)), (np.arange(len(members)),))
        else:
            low, high, se = bca(lambda i, axis: f(confusion(i, a)) - f(confusion(i, b)), (whole,))
        extreme, left = 0, R_TEST
        while left:
            k = min(left, 5000)
            swap = rng.integers(0, 2, size=(k, len(members) if clustered else N)).astype(bool)
            swap = swap[:, cluster] if clustered else swap
            w = np.broadcast_to(whole, swap.shape)
            pa, pb = np.where(swap, b, a), np.where(swap, a, b)
            count = lambda p: np.stack([np.stack([((gold == r) & (p == c)).sum(-1) for c in range(K)], -1) for r in range(K)], -2).astype(float)
            v = np.abs(f(count(pa)) - f(count(pb)))
            extreme, left = extreme + int((v >= abs(value_a - value_b) * (1 - 1e-12)).sum()), left - k
        row("corpus", name, clustered, g(value_a), g(value_b), g(low), g(high), g(se), g((1 + extreme) / (R_TEST + 1)))

# few METRIC value_a value_b low high se p sd_a sd_b: three seeds, Welch's t: seeds of each system and items are three sources of
# variance. many METRIC value_a value_b low high se p: 21 seeds (each of the three seven times), drawn together with items.
MANY = 21
for name in ["accuracy", "log_loss", "f1(macro)", "mcc"]:
    per_item = name not in corpus
    whole = np.arange(N)
    if per_item:
        va, vb = (np.stack([items(name, s) for s in side]) for side in (A, B))
        of_a, of_b = va.mean(axis=1), vb.mean(axis=1)
    else:
        of_a, of_b = (np.array([corpus[name](confusion(whole, s[0])) for s in side]) for side in (A, B))
    point, theta, fixed = of_a.mean() - of_b.mean(), [], []
    for _ in range(R_BOOT // 1000):
        i = rng.integers(0, N, size=(1000, N))
        sa, sb = rng.integers(0, SEEDS, size=(2, 1000, MANY))  # which of the copies does not matter
        each = [np.stack([(v[k][i].mean(axis=1) if per_item else corpus[name](confusion(i, side[k][0]))) for k in range(SEEDS)])
                for v, side in ((va if per_item else None, A), (vb if per_item else None, B))]
        at = np.arange(1000)[:, None]
        theta.append(each[0][sa, at].mean(axis=1) - each[1][sb, at].mean(axis=1))
        fixed.append(each[0].mean(axis=0) - each[1].mean(axis=0))
    theta, fixed = np.concatenate(theta), np.concatenate(fixed)
    low, high = np.quantile(theta, [0.025, 0.975])
    p = (1 + (np.abs(theta - point) >= abs(point)).sum()) / (len(theta) + 1)
    row("many", name, g(of_a.mean()), g(of_b.mean()), g(low), g(high), g(theta.std()), g(p))
    parts = np.array([of_a.var(ddof=1) / SEEDS, of_b.var(ddof=1) / SEEDS, (va.mean(axis=0) - vb.mean(axis=0)).var(ddof=1) / N if per_item else fixed.var()])
    se, df = np.sqrt(parts.sum()), parts.sum() ** 2 / (parts ** 2 / np.array([SEEDS - 1, SEEDS - 1, N - 1])).sum()
    half = stats.t.ppf(0.975, df) * se
    row("few", name, g(of_a.mean()), g(of_b.mean()), g(point - half), g(point + half), g(se), g(2 * stats.t.sf(abs(point) / se, df)), g(of_a.std(ddof=1)),
        g(of_b.std(ddof=1)))

# --- numbers ---
N2 = 70
y = np.round(rng.normal(size=N2), 3)
fa, fb = np.round(y + rng.normal(0, 0.8, size=N2), 3), np.round(0.8 * y + rng.normal(0, 1.0, size=N2), 3)
row("value", N2)
for v in (y, fa, fb):
    row(*[f"{x:.3f}" for x in v])
d = (y - fa) ** 2 - (y - fb) ** 2
p = stats.permutation_test((d,), lambda v, axis: v.mean(axis=axis), permutation_type="samples", n_resamples=R_TEST, batch=5000, vectorized=True,
                           rng=np.random.default_rng(4)).pvalue
low, high, se = bca(lambda v, axis: v.mean(axis=axis), (d,))
row("mean", "mse", 0, g(((y - fa) ** 2).mean()), g(((y - fb) ** 2).mean()), g(low), g(high), g(se), g(p))


def pearson(u, v):
    u, v = u - u.mean(axis=-1, keepdims=True), v - v.mean(axis=-1, keepdims=True)
    return (u * v).sum(-1) / np.sqrt((u * u).sum(-1) * (v * v).sum(-1))


low, high, se = bca(lambda i, axis: pearson(y[i], fa[i]) - pearson(y[i], fb[i]), (np.arange(N2),))
seen, extreme = pearson(y, fa) - pearson(y, fb), 0
for _ in range(R_TEST // 5000):
    swap = rng.integers(0, 2, size=(5000, N2)).astype(bool)
    v = pearson(np.broadcast_to(y, swap.shape), np.where(swap, fb, fa)) - pearson(np.broadcast_to(y, swap.shape), np.where(swap, fa, fb))
    extreme += int((np.abs(v) >= abs(seen) * (1 - 1e-12)).sum())
row("corpus", "pearson", 0, g(pearson(y, fa)), g(pearson(y, fb)), g(low), g(high), g(se), g((1 + extreme) / (R_TEST + 1)))

# --- sets of labels ---
N3, K3 = 60, 4
gs = (rng.random((N3, K3)) < 0.4).astype(int)
pa, pb = (np.where(rng.random((N3, K3)) < e, 1 - gs, gs) for e in (0.15, 0.3))
row("sets", N3, K3)
for v in (gs, pa, pb):
    row(*v.ravel())


def micro_f1(gi, pi):
    return 2 * (gi & pi).sum(axis=(-2, -1)) / (gi.sum(axis=(-2, -1)) + pi.sum(axis=(-2, -1)))


assert abs(micro_f1(gs, pa) - sk.f1_score(gs, pa, average="micro")) < 1e-12
low, high, se = bca(lambda i, axis: micro_f1(gs[i], pa[i]) - micro_f1(gs[i], pb[i]), (np.arange(N3),))
seen, extreme = micro_f1(gs, pa) - micro_f1(gs, pb), 0
for _ in range(R_TEST // 5000):
    swap = rng.integers(0, 2, size=(5000, N3, 1)).astype(bool)
    v = micro_f1(gs, np.where(swap, pb, pa)) - micro_f1(gs, np.where(swap, pa, pb))
    extreme += int((np.abs(v) >= abs(seen) * (1 - 1e-12)).sum())
row("corpus", "f1(micro)", 0, g(micro_f1(gs, pa)), g(micro_f1(gs, pb)), g(low), g(high), g(se), g((1 + extreme) / (R_TEST + 1)))
x, z = (gs == pa).all(axis=1).astype(int), (gs == pb).all(axis=1).astype(int)
cells = [int(((x == i) & (z == j)).sum()) for i, j in [(1, 1), (1, 0), (0, 1), (0, 0)]]
row("proportion", "subset_accuracy", g(0.95), *cells, g(x.mean() - z.mean()), *map(g, newcombe(*cells, 0.95)),
    g(mcnemar([[cells[0], cells[1]], [cells[2], cells[3]]], exact=True).pvalue))
out.close()

# --- slices ---
rng = np.random.default_rng(20261125)
out = open("slices.txt", "w")
row(versions)
# fisher right n all_right all p: a slice of n items, `right` of them right, among all items, all_right of them right
tables = [(0, 1, 0, 2), (0, 1, 1, 2), (1, 1, 1, 2), (3, 4, 4, 8), (4, 4, 4, 8), (0, 5, 10, 15), (5, 5, 10, 15), (2, 7, 11, 40), (7, 7, 11, 40),
          (30, 50, 60, 100), (20, 50, 60, 100), (1, 90, 3, 100), (500, 1000, 1100, 2000), (450, 1000, 1000, 2000), (900, 1000, 1700, 2000),
          (1, 2, 9999, 10000), (4800, 10000, 50500, 100000), (5300, 10000, 50000, 100000), (60, 100, 200000, 400000), (100000, 200000, 199000, 400000)]
for _ in range(30):
    total = int(rng.integers(2, 300))
    n = int(rng.integers(1, total))
    right, rest = int(rng.integers(0, n + 1)), int(rng.integers(0, total - n + 1))
    tables.append((right, n, right + rest, total))
for right, n, all_right, total in tables:
    table = [[right, n - right], [all_right - right, total - n - all_right + right]]
    row("fisher", right, n, all_right, total, g(stats.fisher_exact(table).pvalue))

# exact METRIC n size then gold, prediction; the slice is the first `size` items: score, rest, p over all slices of that size
n, size = 12, 5
y, f = np.round(rng.normal(size=n), 2), None
f = np.round(y + rng.normal(size=n) * np.where(np.arange(n) < size, 2.5, 0.4), 2)
sq = (y - f) ** 2
seen = sq[:size].mean() - sq[size:].mean()
diffs = np.array([sq[list(c)].mean() - sq[[i for i in range(n) if i not in c]].mean() for c in itertools.combinations(range(n), size)])
row("exact", "mse", n, size, g(sq[:size].mean()), g(sq[size:].mean()), g((np.abs(diffs) >= abs(seen) - 1e-12).mean()))
row(*map(g, y))
row(*map(g, f))
yc = np.array([0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0])
fc = np.array([1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0])
f1 = lambda i: sk.f1_score(yc[i], fc[i], average="macro")
every = [(np.array(c), np.array([i for i in range(n) if i not in c])) for c in itertools.combinations(range(n), size)]
seen = f1(every[0][0]) - f1(every[0][1])
diffs = np.array([f1(i) - f1(j) for i, j in every])
row("exact", "f1(macro)", n, size, g(f1(every[0][0])), g(f1(every[0][1])), g((np.abs(diffs) >= abs(seen) - 1e-12).mean()))
row(*yc)
row(*fc)
out.close()
