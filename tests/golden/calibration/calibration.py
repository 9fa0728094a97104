"""Writes calibration.txt: expected values of tests/run/test_calibrate.c. Run in this folder: python3 calibration.py.
Versions used: see the first line. The order of the fields: see read_case there."""
import itertools
import math
import sys

import numpy as np
import scipy
import statsmodels
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, log_softmax, softmax
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20261125)
out = open("calibration.txt", "w")
row = lambda *v: print(*(repr(float(x)) if isinstance(x, (float, np.floating)) else x for x in v), file=out)
row(f"# numpy {np.__version__} scipy {scipy.__version__} statsmodels {statsmodels.__version__} python {sys.version.split()[0]}")


def nll(z, y, t, multi):
    if multi:
        return -np.mean(y * np.log(expit(z / t)) + (1 - y) * np.log(expit(-z / t)))
    return -np.mean(log_softmax(z / t, axis=1)[np.arange(len(y)), y])


def temperature(z, y, multi):
    """Root of the derivative in log T; minimize_scalar must find the same minimum."""
    def slope(u):
        b = math.exp(-u)
        if multi:
            return -b * np.mean((expit(b * z) - y) * z)
        return -b * np.mean((softmax(b * z, axis=1) * z).sum(axis=1) - z[np.arange(len(y)), y])
    u = brentq(slope, math.log(0.02), math.log(50), xtol=1e-15, rtol=1e-15)
    v = minimize_scalar(lambda w: nll(z, y, math.exp(w), multi), bounds=(math.log(0.02), math.log(50)), method="bounded", options={"xatol": 1e-9}).x
    assert abs(u - v) < 1e-5, (u, v)
    return math.exp(u)


def probs_of(z, t, multi):
    if not multi:
        return softmax(z / t, axis=1)
    p = expit(z / t).ravel()
    return np.stack([1 - p, p], axis=1)


def bins(p, y):
    conf, right = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.linspace(0, 1, 16)
    width = np.digitize(conf, edges[1:])  # low edge within; 15: exactly 1
    return conf, right, width


def ece(p, y):
    conf, right, width = bins(p, y)
    return sum(abs((right[width == b] - conf[width == b]).sum()) for b in range(16)) / len(y)


def bin_rows(name, conf, right, which):
    ids = sorted(set(which))
    row(name, len(ids))
    for b in ids:
        m = which == b
        low, high = proportion_confint(int(right[m].sum()), int(m.sum()), 0.05, "wilson")
        row(int(b), int(m.sum()), float(conf[m].mean()), float(right[m].mean()), float(low), float(high))


def expected_errors(conf, wrong):
    """Expected error at each rank when items of one confidence come in random order."""
    order = np.argsort(-conf, kind="stable")
    c, w = conf[order], wrong[order].astype(float)
    for v in np.unique(c):
        w[c == v] = w[c == v].mean()
    return c, np.cumsum(w)


def aurc(conf, wrong):
    k = np.arange(1, len(conf) + 1)
    area = np.mean(expected_errors(conf, wrong)[1] / k)
    best = np.mean(np.cumsum(np.sort(wrong.astype(float))) / k)
    return area, area - best


def brute_aurc(conf, wrong):
    values = [np.mean(np.cumsum(wrong[list(p)]) / np.arange(1, len(conf) + 1)) for p in itertools.permutations(range(len(conf)))
              if all(conf[p[i]] >= conf[p[i + 1]] for i in range(len(conf) - 1))]
    return np.mean(values)


tiny = np.array([0.9, 0.7, 0.7, 0.7, 0.5, 0.5]), np.array([0, 1, 0, 0, 1, 0])
assert abs(aurc(*tiny)[0] - brute_aurc(*tiny)) < 1e-14


def aps(p):
    """Mass of what ranks before each label."""
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    before[:, 0] = 0
    s = np.empty_like(p)
    np.put_along_axis(s, order, before, axis=1)
    return s


def conformal(dev_p, dev_y, p, y):
    for level in (0.9, 0.95):
        for name, f in (("lac", lambda q: 1 - q), ("aps", aps)):
            s = f(dev_p)[np.arange(len(dev_y)), dev_y]
            n = len(s)
            q = math.ceil((n + 1) * level - 1e-9) / n
            threshold = np.quantile(s, q, method="inverted_cdf") if q <= 1 else math.inf
            scores = f(p)
            # values that stand at the threshold but for rounding must not decide a golden
            assert name == "lac" or np.abs(scores - threshold)[np.abs(scores - threshold) > 0].min() > 1e-9
            sets = scores <= threshold
            size = sets.sum(axis=1)
            row(name, level, float(threshold), float(sets[np.arange(len(y)), y].mean()), float(size.mean()), int((size == 0).sum()), int((size == 1).sum()))


def case(name, n_dev, n, k, scale, multi=False, pool=0, skill=1.2):
    kinds = rng.normal(size=(pool, k))

    def draw(m):
        z = kinds[rng.integers(pool, size=m)] if pool else rng.normal(size=(m, k))  # of a pool: many items of one confidence
        if multi:
            y = (rng.random((m, k)) < expit(skill * z - 0.3)).astype(int)
            z = scale * (skill * z - 0.3)
        else:
            y = np.array([rng.choice(k, p=softmax(skill * r)) for r in z])
            z = scale * skill * z
        return np.round(z, 3).astype(np.float32).astype(np.float64), y
    dz, dy = draw(n_dev)
    z, y = draw(n)
    row("case", name, int(multi), n_dev, n, k)
    for logits, gold in ((dz, dy), (z, y)):
        print(*(np.format_float_positional(np.float32(v), trim="-") for v in logits.ravel()), file=out)
        print(*gold.ravel(), file=out)
    t = temperature(dz, dy, multi)
    row("temperature", t, float(nll(dz, dy, 1.0, multi)), float(nll(dz, dy, t, multi)))
    flat = y.ravel()
    for what, temp in (("before", 1.0), ("after", t)):
        p = probs_of(z, temp, multi)
        onehot = np.eye(p.shape[1])[flat]
        brier = ((p - onehot) ** 2).sum(axis=1).mean() * (0.5 if p.shape[1] == 2 else 1)
        row(what, float(-np.log(p[np.arange(len(flat)), flat]).mean()), float(brier), float(ece(p, flat)))
    p = probs_of(z, 1.0, multi)
    conf, right, width = bins(p, flat)
    bin_rows("width", conf, right, width)
    parts = np.array_split(np.sort(conf), 10)
    edges = np.array([(a[-1] + b[0]) / 2 for a, b in zip(parts, parts[1:])])
    bin_rows("mass", conf, right, np.searchsorted(edges, conf, side="left"))
    row("aurc", *(float(v) for v in aurc(conf, ~right)))
    c, errors = expected_errors(conf, ~right)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        m = math.ceil(coverage * len(c) - 1e-9)
        row("coverage", m, float(c[m - 1]), float(1 - errors[m - 1] / m))
    row("curve", *(float(errors[m - 1] / m) for m in (math.ceil(i / 20 * len(c) - 1e-9) for i in range(1, 21))))
    row("conformal", 0 if multi else 4)
    if not multi:
        conformal(probs_of(dz, 1.0, False), dy, p, flat)


case("binary", 150, 120, 2, 2.5)
case("three", 200, 151, 3, 0.6)
case("ties", 120, 140, 4, 1.7, pool=17)
case("many", 90, 130, 9, 3.0, skill=2.0)
case("small_dev", 12, 40, 3, 1.5)
case("sets", 80, 70, 4, 1.8, multi=True)
