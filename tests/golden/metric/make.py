"""Writes cases.txt: predictions and what scikit-learn, scipy, torchmetrics and uncertainty-calibration say about them.
Run in this folder: python3 make.py.  Versions used: the first line of cases.txt.

  case NAME KIND n labels positive      then rows of inputs, then `metric SIGNATURE VALUE` (nan = undefined), then `end`"""
import importlib.metadata as md
import sys
import warnings

import numpy as np
import torch
from scipy import stats
from sklearn import metrics as M
import calibration
from torchmetrics.functional.classification.calibration_error import _ce_compute

warnings.simplefilter("ignore")
rng = np.random.default_rng(20240502)
out = open("cases.txt", "w")
g = lambda x: repr(float(x))
row = lambda name, v: print(name, *[g(x) if isinstance(x, float) else int(x) for x in np.asarray(v).ravel().tolist()], file=out)
versions = " ".join(f"{p} {md.version(p)}" for p in ["numpy", "scipy", "scikit-learn", "torch", "torchmetrics", "uncertainty-calibration"])
print(f"# {versions} python {sys.version.split()[0]}", file=out)


def put(name, f):
    """The reference's value; nan where it refuses the data."""
    try:
        value = float(f())
    except ValueError:
        value = np.nan
    print("metric", name, g(value), file=out)


def probs_metrics(y, P, K, pos):
    labels = list(range(K))
    Y = np.eye(K, dtype=int)[y]
    put("log_loss", lambda: M.log_loss(y, P, labels=labels))
    put("brier(half)", lambda: M.brier_score_loss(y, P, labels=labels, scale_by_half=True))
    put("brier(sum)", lambda: M.brier_score_loss(y, P, labels=labels, scale_by_half=False))
    for bins in (1, 3, 10, 15):
        # multiclass_calibration_error rounds to float32 before it calls _ce_compute
        put(f"ece(bins:{bins})", lambda: _ce_compute(torch.tensor(P.max(1)), torch.tensor((P.argmax(1) == y).astype(float)), bins))
        put(f"ece(mass:{bins})", lambda: calibration.get_ece_em(P.max(1), (P.argmax(1) == y).astype(int), num_bins=bins))
    for k in labels:
        put(f"roc_auc(class:c{k})", lambda: M.roc_auc_score(y == k, P[:, k]))
        put(f"average_precision(class:c{k})", lambda: M.average_precision_score(y == k, P[:, k]))
    if K == 2:
        put("roc_auc(binary)", lambda: M.roc_auc_score(y == pos, P[:, pos]))
        put("average_precision(binary)", lambda: M.average_precision_score(y == pos, P[:, pos]))
    else:
        for scheme in ("ovr", "ovo"):
            for average in ("macro", "weighted"):
                f = lambda: M.roc_auc_score(y, P, multi_class=scheme, average=average, labels=labels)
                put(f"roc_auc({scheme},{average})", (lambda: np.nan) if len(set(y)) == 1 else f)
        absent = len(set(y)) < K
        put("average_precision(macro)", lambda: np.nan if absent else M.average_precision_score(Y, P, average="macro"))
        put("average_precision(weighted)", lambda: M.average_precision_score(Y, P, average="weighted"))
        put("average_precision(micro)", lambda: M.average_precision_score(Y, P, average="micro"))


def classes(name, y, p, K, P=None, pos=-1):
    y, p = np.asarray(y), np.asarray(p)
    print("case", name, "class", len(y), K, pos, file=out)
    row("gold", y)
    row("pred", p)
    if P is not None:
        row("probs", P)
    put("accuracy", lambda: M.accuracy_score(y, p))
    put("balanced_accuracy", lambda: M.balanced_accuracy_score(y, p))
    put("mcc", lambda: M.matthews_corrcoef(y, p))
    put("kappa", lambda: M.cohen_kappa_score(y, p))
    put("kappa(linear)", lambda: M.cohen_kappa_score(y, p, weights="linear"))
    put("kappa(quadratic)", lambda: M.cohen_kappa_score(y, p, weights="quadratic"))
    for f, short in ((M.precision_score, "precision"), (M.recall_score, "recall"), (M.f1_score, "f1")):
        positive = pos if pos >= 0 else 1
        if K == 2:
            put(f"{short}(binary)", lambda: f(y == positive, p == positive))
        for average in ("micro", "macro", "weighted"):
            put(f"{short}({average})", lambda: f(y, p, average=average))
        for k in range(min(K, 4)):
            put(f"{short}(class:c{k})", lambda: f(y == k, p == k))
    if P is not None:
        probs_metrics(y, P, K, pos if pos >= 0 else 1)
    print("end", file=out)


def probs(n, K, y=None, digits=4, scale=1.0):
    """Rows that sum to 1, rounded so that there are ties; leaning towards y."""
    logits = rng.normal(size=(n, K)) * scale
    if y is not None:
        logits[np.arange(n), y] += 1
    P = np.exp(logits)
    P = np.round(P / P.sum(1, keepdims=True), digits)
    P[:, -1] = np.maximum(0, np.round(1 - P[:, :-1].sum(1), digits + 2))
    return P


def from_probs(name, y, P, pos=-1):
    classes(name, y, P.argmax(1), P.shape[1], P, pos)


for n, K in ((50, 2), (60, 3), (80, 5), (7, 4)):
    y = rng.integers(0, K, n)
    from_probs(f"random_{n}_{K}", y, probs(n, K, y))
y = (rng.random(90) < 0.1).astype(int)
from_probs("rare_positive", y, probs(90, 2, y))
from_probs("first_label_positive", y, probs(90, 2, y), pos=0)
y = rng.integers(0, 3, 60)
from_probs("many_ties", y, probs(60, 3, y, digits=1))
y = rng.integers(0, 2, 40)
from_probs("ties_of_two", y, probs(40, 2, y, digits=1))
from_probs("all_tied", y, np.full((40, 2), 0.5))
from_probs("certain", y, np.eye(2)[y])
from_probs("certain_and_wrong", y, np.eye(2)[1 - y])
from_probs("certain_at_random", rng.integers(0, 3, 30), np.eye(3)[rng.integers(0, 3, 30)])
from_probs("gold_only_0", np.zeros(12, int), probs(12, 2))
from_probs("gold_only_1", np.ones(12, int), probs(12, 2))
from_probs("gold_only_1_of_3", np.ones(12, int), probs(12, 3))
from_probs("label_absent", np.array([0, 2, 2, 0, 0, 2, 2, 2]), probs(8, 3))
from_probs("label_never_predicted", np.array([0, 1, 2, 1, 0]), np.array([[0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.45, 0.35, 0.2], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]))
from_probs("one_item_right", np.array([1]), np.array([[0.2, 0.8]]))
from_probs("one_item_wrong", np.array([0]), np.array([[0.2, 0.8]]))
from_probs("one_item_of_three", np.array([2]), np.array([[0.2, 0.5, 0.3]]))
from_probs("two_items", np.array([0, 1]), np.array([[0.6, 0.4], [0.4, 0.6]]))
from_probs("bin_edges", np.array([0, 0, 1, 0, 1, 0, 1, 1, 0, 0]), np.array([[i / 15, 1 - i / 15] if i < 8 else [i / 10, 1 - i / 10] for i in (0, 1, 3, 5, 6, 7, 8, 9, 10, 10)]))
from_probs("confidence_tiny_and_one", np.array([0, 1, 0]), np.array([[1e-300, 1 - 1e-16], [1.0, 0.0], [0.5, 0.5]]))
classes("all_wrong", [0, 1, 2, 0], [1, 2, 0, 2], 3)
classes("perfect", [0, 1, 2, 0], [0, 1, 2, 0], 3)
classes("perfect_one_label", [1, 1, 1], [1, 1, 1], 2)
classes("labels_only_predicted", [0, 0, 0, 1], [2, 3, 0, 3], 5)
classes("gap_in_label_ids", [0, 4, 4, 0, 7], [4, 4, 7, 0, 0], 9)
classes("no_positive_at_all", [0, 0, 0], [0, 0, 0], 2)
classes("never_positive", [0, 1, 0, 1], [0, 0, 0, 0], 2)
classes("never_gold_positive", [0, 0, 0, 0], [0, 1, 0, 1], 2)
classes("disjoint_labels", [0, 0, 1], [2, 2, 2], 3)
classes("many_labels", rng.integers(0, 40, 150), rng.integers(0, 40, 150), 40)
y = rng.integers(0, 6, 200)
classes("ordinal", y, np.clip(y + rng.integers(-2, 3, 200), 0, 5), 6)


def sets(name, Y, Q, P=None):
    Y, Q = np.asarray(Y), np.asarray(Q)
    K = Y.shape[1]
    print("case", name, "sets", len(Y), K, -1, file=out)
    row("gold_sets", Y)
    row("pred_sets", Q)
    if P is not None:
        row("probs", P)
    put("subset_accuracy", lambda: M.accuracy_score(Y, Q))
    put("hamming_loss", lambda: M.hamming_loss(Y, Q))
    for f, short in ((M.precision_score, "precision"), (M.recall_score, "recall"), (M.f1_score, "f1")):
        for average in ("micro", "macro", "weighted", "samples"):
            put(f"{short}({average})", lambda: f(Y, Q, average=average))
        for k in range(K):
            put(f"{short}(class:c{k})", lambda: f(Y[:, k], Q[:, k]))
    for f, short in ((M.roc_auc_score, "roc_auc"), (M.average_precision_score, "average_precision")):
        for average in ("micro", "macro", "weighted"):
            if P is not None:
                put(f"{short}({average})", lambda: f(Y, P, average=average))
        if P is not None:
            put(f"{short}(class:c1)", lambda: f(Y[:, 1], P[:, 1]))
    print("end", file=out)


Y = (rng.random((60, 4)) < 0.35).astype(int)
P = np.round(np.clip(0.4 * Y + 0.6 * rng.random((60, 4)), 0, 1), 2)
sets("random_sets", Y, (P > 0.5).astype(int), P)
sets("independent_sets", Y, (rng.random((60, 4)) < 0.5).astype(int), np.round(rng.random((60, 4)), 1))
sets("empty_sets", np.zeros((5, 3), int), np.zeros((5, 3), int), np.full((5, 3), 0.5))
sets("nothing_gold", np.zeros((5, 3), int), np.eye(5, 3, dtype=int), np.round(rng.random((5, 3)), 2))
sets("nothing_predicted", np.eye(5, 3, dtype=int), np.zeros((5, 3), int))
sets("label_never_gold", np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]]), np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]]), np.array([[0.9, 0.2, 0.6], [0.3, 0.4, 0.1], [0.8, 0.7, 0.2]]))
sets("full_sets", np.ones((3, 2), int), np.ones((3, 2), int), np.full((3, 2), 0.9))
sets("one_item", np.array([[1, 0, 1]]), np.array([[1, 1, 0]]), np.array([[0.9, 0.8, 0.1]]))


def values(name, y, p):
    y, p = np.asarray(y, float), np.asarray(p, float)
    print("case", name, "value", len(y), 0, -1, file=out)
    row("gold_value", y)
    row("pred_value", p)
    put("pearson", lambda: stats.pearsonr(y, p).statistic)
    put("spearman", lambda: stats.spearmanr(y, p).statistic)
    put("mse", lambda: M.mean_squared_error(y, p))
    put("rmse", lambda: M.root_mean_squared_error(y, p))
    put("mae", lambda: M.mean_absolute_error(y, p))
    put("r2", lambda: M.r2_score(y, p))
    print("end", file=out)


y = rng.normal(size=80)
values("random_values", y, 0.5 * y + rng.normal(size=80))
values("tied_values", rng.integers(0, 6, 70), rng.integers(0, 4, 70))
values("large_offset", 1e6 + y, 1e6 + y + rng.normal(size=80))
values("perfect_values", [1, 2, 3], [1, 2, 3])
values("reversed_values", [1, 2, 3, 4], [4, 3, 2, 1])
values("constant_gold", [2, 2, 2], [1, 2, 3])
values("constant_gold_right", [2, 2, 2], [2, 2, 2])
values("constant_pred", [1, 2, 3], [2, 2, 2])
values("one_value", [1], [2])
values("two_values", [1, 2], [5, 3])
values("worse_than_mean", [1, 2, 3, 4], [10, -5, 3, 8])
out.close()

# intervals.txt: scipy's BCa intervals of some cases above, in their order. Slow metrics are written out in numpy.
out = open("intervals.txt", "w")
print("# scipy", md.version("scipy"), "bootstrap(method='BCa', n_resamples=100000), level 0.95", file=out)


def read(name):
    """The inputs of one case."""
    rows, inside = {}, False
    for line in open("cases.txt"):
        word, *rest = line.split()
        if word == "case":
            inside = rest[0] == name
        elif inside and word in ("gold", "pred", "probs", "gold_value", "pred_value"):
            rows[word] = np.array([float(x) for x in rest])
    return rows


def macro_f1(y, p, axis=-1):
    scores, present = 0, 0
    for k in range(8):
        hit = ((y == k) & (p == k)).sum(axis)
        both = (y == k).sum(axis) + (p == k).sum(axis)
        scores = scores + np.where(both > 0, 2 * hit / np.maximum(both, 1), 0)
        present = present + (both > 0)
    return scores / present


def f1_of_1(y, p, axis=-1):
    hit = ((y == 1) & (p == 1)).sum(axis)
    both = (y == 1).sum(axis) + (p == 1).sum(axis)
    return np.where(both > 0, 2 * hit / np.maximum(both, 1), 0)


def interval(name, signature, data, f):
    res = stats.bootstrap(data, f, paired=True, vectorized=True, n_resamples=100000, batch=5000, method="BCa", rng=np.random.default_rng(7))
    print("interval", name, signature, g(res.confidence_interval.low), g(res.confidence_interval.high), file=out)


for name, signature, f in [("random_50_2", "f1(binary)", f1_of_1), ("random_60_3", "f1(macro)", macro_f1), ("random_80_5", "f1(macro)", macro_f1), ("ordinal", "f1(macro)", macro_f1)]:
    r = read(name)
    interval(name, signature, (r["gold"], r["pred"]), f)
r = read("random_values")
y, p = r["gold_value"], r["pred_value"]
interval("random_values", "pearson", (y, p), lambda y, p, axis=-1: stats.pearsonr(y, p, axis=axis).statistic)
interval("random_values", "mse", (y, p), lambda y, p, axis=-1: ((y - p) ** 2).mean(axis))
interval("random_values", "rmse", (y, p), lambda y, p, axis=-1: np.sqrt(((y - p) ** 2).mean(axis)))
out.close()
