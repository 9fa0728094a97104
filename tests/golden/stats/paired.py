"""Writes paired.txt: expected values of tests/stats/test_paired*.c. Run in this folder: python3 paired.py
Versions used: see the first line of paired.txt."""
import sys
from math import comb

import mpmath as mp
import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

mp.mp.dps = 40
rng = np.random.default_rng(20240612)
out = open("paired.txt", "w")
g = lambda x: repr(float(x))
row = lambda *v: print(*v, file=out)
row(f"# numpy {np.__version__} scipy {scipy.__version__} statsmodels {statsmodels.__version__} mpmath {mp.__version__} python {sys.version.split()[0]}")

# distributions, with more digits than scipy has
def t_cdf(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return tail if t < 0 else 1 - tail

for df in [0.3, 1, 2, 3.5, 9, 29, 299, 9999, 1e5]:
    for t in [-1e8, -1e3, -40, -12, -5, -2, -1, -0.3, -1e-9, 1e-5, 0.4, 1.5, 3, 8]:
        v = t_cdf(t, df)
        if v > mp.mpf("1e-290"):
            row("t_cdf", g(t), g(df), g(v))
for df in [1, 2, 3.5, 9, 29, 299, 9999]:
    for p in [1e-12, 0.001, 0.025, 0.2, 0.26, 0.45, 0.7, 0.95, 0.975, 0.9995]:
        t = mp.findroot(lambda x: t_cdf(x, df) / mp.mpf(p) - 1, mp.mpf(stats.t.ppf(p, df)))
        row("t_quantile", g(p), g(df), g(t))
for df in [0.02, 1, 2, 3, 7.5, 29, 999, 1e5]:
    for x in [1e-9, 0.3, 1, 2, 5, 20, 50, 300, 1200, 1e5]:
        v = mp.gammainc(mp.mpf(df) / 2, mp.mpf(x) / 2, regularized=True)
        if v > mp.mpf("1e-290"):
            row("chi2_sf", g(x), g(df), g(v))

# McNemar
def exact_mass(k, n):
    return mp.mpf(comb(n, k)) / mp.mpf(2) ** n

for b, c in [(0, 1), (1, 0), (1, 1), (3, 3), (0, 12), (6, 16), (121, 59), (70, 59), (80, 59), (30, 60), (10, 30), (10, 10), (2, 900), (5000, 5200), (40000, 39000)]:
    table = [[0, b], [c, 0]]
    term = total = 1
    for k in range(min(b, c)):
        term = term * (b + c - k) // (k + 1)
        total += term
    exact = min(mp.mpf(1), 2 * mp.mpf(total) / mp.mpf(2) ** (b + c))
    assert abs(float(exact) - mcnemar(table, exact=True).pvalue) < 1e-9
    mid = exact - exact_mass(min(b, c), b + c) if b != c else 1 - exact_mass(b, b + c) / 2
    plain, corrected = mcnemar(table, exact=False, correction=False), mcnemar(table, exact=False, correction=True)
    # chi2 with one degree of freedom is a squared normal: its tail, with all digits
    tail = lambda x: mp.erfc(mp.sqrt(mp.mpf(x) / 2))
    assert abs(tail(plain.statistic) - plain.pvalue) < 1e-12 and abs(tail(corrected.statistic) - corrected.pvalue) < 1e-12
    row("mcnemar", b, c, g(exact), g(mid), g(plain.statistic), g(tail(plain.statistic)), g(corrected.statistic), g(tail(corrected.statistic)))

# Newcombe 1998, Statistics in Medicine 17:2635, method 10, from the paper's formula; Wilson bounds of statsmodels
def newcombe(e, f, g_, h, level):
    n = e + f + g_ + h
    l2, u2 = proportion_confint(e + f, n, 1 - level, "wilson")
    l3, u3 = proportion_confint(e + g_, n, 1 - level, "wilson")
    l2, l3 = max(l2, 0) if e + f else 0, max(l3, 0) if e + g_ else 0
    u2, u3 = 1 if e + f == n else u2, 1 if e + g_ == n else u3
    p2, p3 = (e + f) / n, (e + g_) / n
    a = (e + f) * (g_ + h) * (e + g_) * (f + h)
    b = e * h - f * g_
    c = b - n / 2 if b > n / 2 else 0 if b >= 0 else b
    phi = 0 if a == 0 else c / a ** 0.5
    dl2, du2, dl3, du3 = p2 - l2, u2 - p2, p3 - l3, u3 - p3
    delta = (dl2 ** 2 - 2 * phi * dl2 * du3 + du3 ** 2) ** 0.5
    eps = (du2 ** 2 - 2 * phi * du2 * dl3 + dl3 ** 2) ** 0.5
    return (f - g_) / n - delta, (f - g_) / n + eps

cells = [(14, 5, 0, 22), (1, 1, 7, 12), (59, 6, 16, 80), (7, 25, 2, 68), (20, 0, 0, 30), (0, 5, 5, 0), (10, 0, 0, 0), (0, 0, 0, 10), (0, 9, 0, 1), (0, 0, 7, 0), (1, 0, 0, 0), (800, 30, 12, 30), (5, 1, 0, 5), (300000, 5000, 4800, 90000)]
for _ in range(8):
    cells.append(tuple(int(v) for v in rng.integers(0, 40, 4)))
for c in cells:
    for level in [0.9, 0.95]:
        row("newcombe", *c, g(level), *map(g, newcombe(*c, level)))

# one vector of differences, perhaps clustered
def case(name, d, cluster=None, enumerate_signs=False):
    d = np.asarray(d, float)
    row("case", name, len(d), 0 if cluster is None else 1)
    row(*map(g, d))
    if cluster is not None:
        row(*cluster)
    x = np.ones_like(d)
    naive = d.std(ddof=1) / len(d) ** 0.5
    if cluster is None:
        se, df = naive, len(d) - 1
        res = stats.ttest_rel(d, np.zeros_like(d))
        t, p = res.statistic, res.pvalue
    else:
        groups = np.unique(cluster, return_inverse=True)[1]
        fit = sm.OLS(d, x).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
        se, t, p, df = fit.bse[0], fit.tvalues[0], fit.pvalues[0], groups.max()
    row("se", g(se), g((se / naive) ** 2))
    row("t", g(t), df, g(p))
    for level in [0.9, 0.95]:
        half = stats.t.ppf((1 + level) / 2, df) * se
        row("interval", g(level), g(d.mean() - half), g(d.mean() + half))
    for margin in [0.01, 0.2, 1.5]:
        lower, upper = (d.mean() + margin) / se, (d.mean() - margin) / se
        tost = max(stats.t.sf(lower, df), stats.t.cdf(upper, df))
        if cluster is None:
            assert np.isclose(tost, ttost_paired(d, np.zeros_like(d), -margin, margin)[0], rtol=1e-9)
            assert np.isclose(stats.t.sf(lower, df), stats.ttest_1samp(d, -margin, alternative="greater").pvalue, rtol=1e-9)
        row("margin", g(margin), g(tost), g(lower), g(stats.t.sf(lower, df)))
    if enumerate_signs:
        v = d if cluster is None else np.bincount(groups, weights=d)
        # scipy counts ties with a relative slack of its own (gamma = 100 eps of the statistic)
        r = stats.permutation_test((v,), lambda a, axis: np.sum(a, axis=axis), permutation_type="samples", n_resamples=np.inf, alternative="two-sided", vectorized=True) if len(v) > 1 else None
        brute = np.array([v @ (1 - 2 * ((k >> np.arange(len(v))) & 1)) for k in range(2 ** len(v))])
        p_brute = np.mean(np.abs(brute) >= abs(v.sum()) - 1e-12 * np.abs(v).sum())
        if r is not None:
            assert np.isclose(r.pvalue, p_brute), (name, r.pvalue, p_brute)
        row("signs", g(p_brute))
    row("end")

case("normal", rng.normal(0.3, 1, 40))
case("small", rng.normal(0.5, 1, 7), enumerate_signs=True)
case("two", [0.25, 1.0], enumerate_signs=True)
case("ties", rng.integers(-1, 2, 14), enumerate_signs=True)
case("rounded_ties", np.round(rng.normal(0.05, 0.1, 12), 1), enumerate_signs=True)
case("far", 1e6 + rng.normal(0, 1, 30))
case("skewed", rng.exponential(1, 60) - 0.8)
case("strong", rng.normal(3, 0.5, 25))
case("big", rng.normal(0.01, 0.3, 500))
ids = np.sort(rng.integers(0, 12, 60))
case("clusters", rng.normal(0.2, 1, 60) + rng.normal(0, 1, 12)[ids], ids, enumerate_signs=True)
ids = rng.choice([-2147483648, 2147483647, -5, 0, 77, 1000000, 3], 30)
case("odd_ids", rng.normal(0.2, 1, 30), ids, enumerate_signs=True)
case("each_its_own", rng.normal(0.2, 1, 15), rng.permutation(15) * 1000 - 7, enumerate_signs=True)
case("ten_by_five", np.repeat(rng.normal(size=10), 5), np.repeat(np.arange(10), 5), enumerate_signs=True)

# adjusted p values
for m in [1, 2, 5, 12, 30]:
    p = rng.uniform(0, 1, m) ** 3
    if m == 12:
        p[3] = p[7] = p[2]
        p[0], p[5] = 0.0, 1.0
    row("adjust", m)
    row(*map(g, p))
    row(*map(g, multipletests(p, method="holm")[1]))
    row(*map(g, multipletests(p, method="fdr_bh")[1]))

# power
for se in [0.01, 2.5]:
    for level, power in [(0.95, 0.8), (0.9, 0.5), (0.99, 0.95)]:
        z = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)
        row("mde", g(se), g(level), g(power), g(z * se))
        row("items", g(se), g(0.03), g(level), g(power), g(z * z * se / 0.03 ** 2))
        mde = mp.findroot(lambda x: x - mp.mpf(z) * mp.sqrt((mp.mpf("0.08") - x * x) / 408), 0.03)
        row("mde_proportions", g(0.08), 408, g(level), g(power), g(mde))

def mcnemar_power(pa, pb, n, alpha):
    """All outcomes of the trinomial."""
    total = 0
    for b in range(n + 1):
        for c in range(n - b + 1):
            p = 2 * sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
            if p <= alpha * (1 + 1e-9):
                total += comb(n, b) * comb(n - b, c) * pa ** b * pb ** c * (1 - pa - pb) ** (n - b - c)
    return total

for pa, pb, n, level in [(0.3, 0.1, 40, 0.95), (0.5, 0.5, 30, 0.95), (0.2, 0.2, 45, 0.9), (0.4, 0, 25, 0.95), (0.05, 0.02, 60, 0.99), (0.6, 0.2, 1, 0.95), (1, 0, 5, 0.9375)]:
    row("mcnemar_power", g(pa), g(pb), n, g(level), g(mcnemar_power(pa, pb, n, 1 - level)))
