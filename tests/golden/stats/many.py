"""Writes many.txt: expected values of tests/stats/test_many*.c. Run in this folder: python3 many.py
Versions used: see the first line of many.txt."""
import sys
import warnings

import baycomp
import mpmath as mp
import numpy as np
import scikit_posthocs
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import stats

warnings.simplefilter("ignore")
mp.mp.dps = 30
rng = np.random.default_rng(20250311)
out = open("many.txt", "w")
g = lambda x: repr(float(x))
row = lambda *v: print(*v, file=out)
flat = lambda a: " ".join(g(x) for x in np.asarray(a, float).ravel())
row(f"# numpy {np.__version__} scipy {scipy.__version__} statsmodels {statsmodels.__version__} baycomp {baycomp.__version__ if hasattr(baycomp, '__version__') else '1.0.3'}"
    f" scikit-posthocs {scikit_posthocs.__version__} mpmath {mp.__version__} python {sys.version.split()[0]}")

# Friedman: tasks, systems, scores, statistic, p, mean ranks (1 = largest)
tables = [rng.normal(size=(6, 4)), rng.integers(0, 4, size=(9, 5)), rng.normal(size=(30, 3)) + np.array([0, 1, 2]), rng.integers(0, 2, size=(12, 7)),
          rng.normal(size=(1, 5)), rng.normal(size=(25, 64)) + np.linspace(0, 3, 64), rng.integers(0, 3, size=(20, 64))]
for t in tables:
    s, p = stats.friedmanchisquare(*t.T)
    ranks = np.array([stats.rankdata(-r) for r in t]).mean(axis=0)
    row("friedman", *t.shape, flat(t), g(s), g(p), flat(ranks))

# studentised range, infinite df: P(range > q) from the joint density of the extremes (another integral than the code's)
def range_sf(q, k):
    pdf, cdf = lambda z: mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi), lambda z: mp.erfc(-z / mp.sqrt(2)) / 2
    inside = lambda z: k * pdf(z) * (cdf(z + q) - cdf(z)) ** (k - 1)  # z = the smallest
    points = [-20, -10, -6, -4, -3, -2, -1, 0, 1, 2, 4, 8]
    return 1 - mp.quad(inside, sorted(points + [mp.mpf(-q) / 2, mp.mpf(-q) + 1, -q]))

for k in [2, 3, 5, 10, 30, 64]:
    for q in [0.05, 0.5, 1.5, 3, 4.5, 7, 10]:
        n = 17
        sf = range_sf(mp.mpf(q), k)
        assert abs(float(sf) - stats.studentized_range.sf(q, k, np.inf)) < 1e-8, (k, q)
        row("nemenyi_p", g(mp.mpf(q) * mp.sqrt(mp.mpf(k) * (k + 1) / (12 * n))), n, k, g(sf))
for k in [2, 3, 5, 10, 64]:
    for level in [0.5, 0.9, 0.95, 0.999]:
        q = mp.findroot(lambda x: mp.log(range_sf(x, k) / mp.mpf(1 - level)), mp.mpf(stats.studentized_range.ppf(level, k, 1e6)), tol=1e-18)
        for n in [1, 14]:
            row("nemenyi_cd", n, k, g(level), g(q * mp.sqrt(mp.mpf(k) * (k + 1) / (12 * n))))
t = rng.normal(size=(14, 5)) + np.arange(5) * 0.6
ph = scikit_posthocs.posthoc_nemenyi_friedman(t).to_numpy()
ranks = np.array([stats.rankdata(-r) for r in t]).mean(axis=0)
for i in range(5):
    for j in range(i):
        row("nemenyi_table", g(ranks[i] - ranks[j]), 14, 5, g(ph[i, j]))

# Bradley-Terry as a logistic regression: k, prior, wins, strengths, se
def bradley_terry(wins, prior):
    k = len(wins)
    w = wins + prior * (1 - np.eye(k))
    x, y = [], []
    for i in range(k):
        for j in range(i):
            if w[i, j] + w[j, i] > 0:
                r = np.zeros(k)
                r[i], r[j] = 1, -1
                x.append(r[1:])
                y.append([w[i, j], w[j, i]])
    fit = sm.GLM(np.array(y), np.array(x), family=sm.families.Binomial()).fit(tol=1e-14, maxiter=300, tol_criterion="params")
    return np.r_[0, fit.params], np.r_[0, fit.bse]

stigler = np.array([[0, 33, 320, 284], [730, 0, 813, 276], [498, 68, 0, 325], [221, 17, 142, 0]]).T  # [winner, loser]
half = rng.integers(0, 9, size=(7, 7)) / 2.0
np.fill_diagonal(half, 0)
chain = np.zeros((5, 5))
for i in range(4):
    chain[i, i + 1], chain[i + 1, i] = 3 + i, 1
many = rng.poisson(1.5, size=(64, 64)).astype(float)
np.fill_diagonal(many, 0)
islands = np.zeros((4, 4))
islands[0, 1], islands[1, 0], islands[2, 3] = 5, 2, 4
for wins, prior in [(stigler, 0), (half, 0), (half, 0.1), (chain, 0), (islands, 0.1), (many, 0)]:
    s, e = bradley_terry(wins, prior)
    row("bradley_terry", len(wins), g(prior), flat(wins), flat(s), flat(e))

# Bayesian comparisons: n, folds or 0, rope, d, left, rope, right. The two of tasks are Monte-Carlo
for d, folds, rope in [(np.array([1, 5, -3.0]), 3, 0), (np.array([1, 5, -3.0]), 3, 1), (rng.normal(0.01, 0.02, 100), 10, 0.01), (rng.normal(-0.3, 0.1, 10), 5, 0.05),
                       (rng.normal(0, 0.001, 20), 2, 0.01)]:
    zero = np.zeros(len(d))
    p = baycomp.CorrelatedTTest.probs(zero, d, rope=rope, runs=len(d) // folds)
    p = p if rope else (p[0], 0, p[1])
    row("correlated_t", len(d), folds, g(rope), flat(d), flat(p))
sets = [(rng.normal(0.3, 1, 15), 0.2), (rng.normal(0.0, 1, 40), 0.5), (np.round(rng.normal(0.2, 1, 12)), 0), (np.round(rng.normal(0.4, 1, 20)), 1), (rng.normal(-0.5, 1, 9), 0), (np.array([0.7]), 0.1)]
for d, rope in sets:
    zero = np.zeros(len(d))
    for name, test in [("signed_rank", baycomp.SignedRankTest), ("sign", baycomp.SignTest)]:
        p = test.probs(zero, d, rope=rope, nsamples=200000, random_state=7)
        p = p if rope else (p[0], 0, p[1])
        row(name, len(d), 0, g(rope), flat(d), flat(p))

# Almost stochastic order: na, nb, a, b, ratio A over B, ratio B over A; of the ratio over R resamples: R, sd, kurtosis
def violation(a, b):
    a, b = np.sort(a, axis=-1), np.sort(b, axis=-1)
    i = np.arange(1, 200)
    qa, qb = a[..., -(-i * a.shape[-1] // 200) - 1], b[..., -(-i * b.shape[-1] // 200) - 1]
    gap = qb - qa
    all_ = (gap ** 2).sum(-1)
    return np.where(all_ > 0, (np.maximum(gap, 0) ** 2).sum(-1) / np.where(all_ > 0, all_, 1), 0.5)

for a, b in [(rng.normal(0.2, 1, 20), rng.normal(0, 1, 20)), (rng.normal(0.5, 1, 7), rng.normal(0, 1.5, 13)), (rng.normal(0, 1, 300), rng.normal(0, 1, 257)),
             (np.round(rng.normal(0, 1, 30)), np.round(rng.normal(0.3, 1, 31))), (rng.normal(0.3, 1, 50), rng.normal(0, 1, 60))]:
    R = 100000 if len(a) < 100 else 20000
    draw = lambda x: x[rng.integers(0, len(x), size=(R, len(x)))]
    row("aso", len(a), len(b), flat(a), flat(b), g(violation(a, b)), g(violation(b, a)), R, g((drawn := violation(draw(a), draw(b))).std()), g(stats.kurtosis(drawn, fisher=False)))

# Confidence sequence, in numpy from the papers' formulas: n, lower, upper, level, population, x, then low and high after each item
def sequence(x, lower, upper, level, N):
    z, n, alpha = (x - lower) / (upper - lower), len(x), 1 - level
    t = np.arange(1, n + 1)
    S = np.cumsum(z)
    mu = (0.5 + S) / (t + 1)
    mu_before = np.r_[0.5, mu[:-1]]
    var = (0.25 + np.cumsum((z - mu) ** 2)) / (t + 1)
    var_before = np.r_[0.25, var[:-1]]
    lam = np.minimum(np.sqrt(2 * np.log(2 / alpha) / (var_before * t * np.log(1 + t))), 0.5)
    v, psi = 4 * (z - mu_before) ** 2, (-np.log(1 - lam) - lam) / 4
    if N:
        seen = np.r_[0, S[:-1]]
        centre = np.cumsum(lam * (z + seen / (N - t + 1))) / np.cumsum(lam * (1 + (t - 1) / (N - t + 1)))
        half = (np.log(2 / alpha) + np.cumsum(v * psi)) / np.cumsum(lam * (1 + (t - 1) / (N - t + 1)))
    else:
        centre = np.cumsum(lam * z) / np.cumsum(lam)
        half = (np.log(2 / alpha) + np.cumsum(v * psi)) / np.cumsum(lam)
    low, high = np.maximum.accumulate(np.maximum(centre - half, 0)), np.minimum.accumulate(np.minimum(centre + half, 1))
    if N:
        least, most = S / N, (S + N - t) / N
        low, high = np.clip(low, least, most), np.clip(high, least, most)
    return lower + (upper - lower) * low, lower + (upper - lower) * high

finite = rng.permutation(np.r_[np.ones(70), np.zeros(50)])
for x, lower, upper, level, N in [(rng.integers(0, 2, 200).astype(float), 0, 1, 0.95, 0), (rng.beta(2, 5, 150) * 4 - 1, -1, 3, 0.9, 0), (rng.integers(-1, 2, 120).astype(float), -1, 1, 0.99, 400),
                                  (finite, 0, 1, 0.95, 120)]:
    low, high = sequence(x, lower, upper, level, N)
    assert (low <= high).all()
    row("sequence", len(x), g(lower), g(upper), g(level), N, flat(x), flat(low), flat(high))

# Letters by insert-and-absorb (Piepho 2004), and rank intervals: k, alpha, scores, p, letters, low, high
def letters(score, p, alpha):
    k = len(score)
    order = sorted(range(k), key=lambda i: (-score[i], i))
    columns = [frozenset(range(k))]
    for i in range(k):
        for j in range(i):
            if p[i, j] <= alpha:
                split = []
                for c in columns:
                    split += [c - {i}, c - {j}] if i in c and j in c else [c]
                columns = [c for c in dict.fromkeys(split) if not any(c < d for d in split)]
    columns.sort(key=lambda c: [0 if s in c else 1 for s in order])
    return [sum(1 << b for b, c in enumerate(columns) if i in c) for i in range(k)]

for k, noise in [(1, 0), (2, 0.1), (5, 0.3), (8, 1.0), (12, 0.2), (12, 3), (20, 0.4), (64, 0.02)]:
    score = np.round(rng.normal(size=k), 1)
    p = np.exp(-3 * np.abs(score[:, None] - score[None, :])) * np.exp(noise * rng.normal(size=(k, k)))
    p = np.minimum(1, np.tril(p, -1) + np.tril(p, -1).T + np.eye(k))
    bits = letters(score, p, 0.05)
    assert max(bits) < 1 << 64
    low = [1 + sum(p[i, j] <= 0.05 and score[j] > score[i] for j in range(k) if j != i) for i in range(k)]
    high = [k - sum(p[i, j] <= 0.05 and score[j] < score[i] for j in range(k) if j != i) for i in range(k)]
    row("letters", k, g(0.05), flat(score), " ".join("%.6g" % v for v in p.ravel()), *bits, *low, *high)

# Multi-bootstrap: seeds_a, seeds_b (0 = one system), n, paired, clusters, a, b, [cluster], a, b, se of seeds, sd and quantiles of 100,000 resamples, share as extreme
def multi(sa, sb, n, paired, clusters):
    common = rng.normal(size=n)
    shared = rng.normal(size=max(sa, sb, 1)) * 0.3
    a = 0.3 + common + (shared[:sa, None] if paired else rng.normal(size=(sa, 1)) * 0.3) + rng.normal(size=(sa, n)) * 0.5
    b = common + (shared[:sb, None] if paired else rng.normal(size=(sb, 1)) * 0.3) + rng.normal(size=(sb, n)) * 0.5
    a, b = np.round(a, 3), np.round(b, 3)
    cluster = np.sort(rng.integers(0, clusters, n)) if clusters else np.arange(n)
    of = np.unique(cluster, return_inverse=True)[1]
    units = of.max() + 1
    diffs = []
    for _ in range(100000):
        c = np.bincount(rng.integers(0, units, units), minlength=units)[of]
        i = rng.integers(0, sa, sa)
        d = (a[i] @ c).mean() / c.sum()
        if sb:
            d -= (b[i if paired else rng.integers(0, sb, sb)] @ c).mean() / c.sum()
        diffs.append(d)
    diffs = np.array(diffs)
    point = a.mean() - (b.mean() if sb else 0)
    ma, mb = a.mean(1), b.mean(1)
    se = np.sqrt((ma - mb).var(ddof=1) / sa) if sb and paired else np.sqrt(ma.var(ddof=1) / sa + (mb.var(ddof=1) / sb if sb else 0))
    row("multi", sa, sb, n, int(paired), clusters, flat(a), flat(b), " ".join(map(str, cluster)), g(a.mean()), g(b.mean() if sb else "nan"), g(se),
        g(diffs.std()), g(np.quantile(diffs, 0.025)), g(np.quantile(diffs, 0.975)), g(np.mean(np.abs(diffs - point) >= abs(point))))

multi(4, 5, 30, False, 0)
multi(6, 6, 40, True, 0)
multi(5, 5, 60, True, 12)
multi(8, 0, 25, False, 0)
out.close()
