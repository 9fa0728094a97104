"""Writes stats.txt: expected values of tests/stats. Run in this folder: python3 make.py
Versions used: see the first line of stats.txt."""
import sys
import numpy as np
import scipy
from scipy import special, stats

rng = np.random.default_rng(20240501)
out = open("stats.txt", "w")
g = lambda x: repr(float(x))
print(f"# numpy {np.__version__} scipy {scipy.__version__} python {sys.version.split()[0]}", file=out)

for p in [1e-300, 1e-100, 1e-20, 1e-10, 1e-5, 0.001, 0.025, 0.1, 0.2499, 0.25, 0.2501, 0.4, 0.49999, 0.5, 0.5000001, 0.6, 0.75, 0.9, 0.975, 0.999, 1 - 1e-10]:
    print("normal_quantile", g(p), g(special.ndtri(p)), file=out)
for x in [-37, -20, -8, -3, -1.959963984540054, -1, -1e-5, 0, 1e-9, 0.3, 1, 2, 5, 8]:
    print("normal_cdf", g(x), g(special.ndtr(x)), file=out)

ab = [(0.5, 0.5), (1, 1), (1, 20), (20, 1), (2, 3), (0.3, 7), (50, 60), (15, 134), (500, 20), (1, 1000000), (1000, 9001), (300000, 700001), (0.01, 3)]
for a, b in ab:
    for p in [1e-8, 0.001, 0.025, 0.05, 0.3, 0.5, 0.7, 0.95, 0.975, 0.999999]:
        x = special.betaincinv(a, b, p)
        if x < 1e-200:
            continue
        print("beta_quantile", g(p), g(a), g(b), g(x), file=out)
        print("beta_cdf", g(x), g(a), g(b), g(special.betainc(a, b, x)), file=out)

for k, n in [(0, 1), (1, 1), (0, 20), (1, 29), (15, 148), (81, 263), (263, 263), (500000, 1000000), (3, 1000000)]:
    for level in [0.9, 0.95, 0.99]:
        lo, hi = stats.binomtest(k, n).proportion_ci(level, "wilson")
        print("wilson", k, n, g(level), g(lo), g(hi), file=out)
        # binomtest's "exact" solves for these quantiles with an absolute tolerance of 2e-12 only
        lo = 0 if k == 0 else special.betaincinv(k, n - k + 1, (1 - level) / 2)
        hi = 1 if k == n else special.betaincinv(k + 1, n - k, 1 - (1 - level) / 2)
        assert np.allclose([lo, hi], stats.binomtest(k, n).proportion_ci(level, "exact"), atol=1e-10)
        print("clopper_pearson", k, n, g(level), g(lo), g(hi), file=out)


def bca(name, data, statistic, paired, level):
    """One scipy BCa interval, with the replicates and leave-one-out values that it came from."""
    res = stats.bootstrap(data, statistic, paired=paired, vectorized=False, n_resamples=300, confidence_level=level, method="BCa", rng=np.random.default_rng(5))
    n = len(data[0])
    jack = [statistic(*[np.delete(d, i) for d in data]) for i in range(n)]
    ci = res.confidence_interval
    theta = res.bootstrap_distribution
    print("replicates", name, g(level), g(statistic(*data)), g(ci.low), g(ci.high), len(theta), n, file=out)
    print(*[g(t) for t in theta], file=out)
    print(*[g(t) for t in jack], file=out)


lsat = np.array([576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594.0])
gpa = np.array([3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96])
corr = lambda x, y: stats.pearsonr(x, y).statistic
bca("law_school", (lsat, gpa), corr, True, 0.95)
bca("law_school", (lsat, gpa), corr, True, 0.9)
bca("skewed_mean", (rng.exponential(size=40),), np.mean, False, 0.95)
bca("ties", (rng.integers(0, 3, size=12).astype(float),), np.mean, False, 0.95)
bca("variance", (rng.normal(size=25),), np.var, False, 0.99)
