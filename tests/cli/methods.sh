#!/usr/bin/env bash
# The same comparisons by other methods (--all-tests), recomputed where Python has the methods; several seeds; several tasks.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

count() { grep -c -- "$1" out; }
awk 'BEGIN { srand(7); for (i = 0; i < 300; i++) { g = rand() < 0.5; a = rand() < 0.80 ? g : 1 - g; b = rand() < 0.68 ? g : 1 - g; c = rand() < 0.5;
    print g > "gold"; print a > "a.txt"; print b > "b.txt"; print c > "c.txt" } }'
run compare --gold gold --pred a.txt --pred b.txt --pred c.txt --metric 'accuracy,mcc' --all-tests
check other_methods_are_shown both works says '^  accuracy by other methods$'
check other_methods_fit_100_columns columns out
check every_test_is_shown both works says '^  p of each test +mcnemar +mid-p +chi2 +permutation +bootstrap +t$'
check strengths_are_shown says '^  Bradley-Terry +strength \[95 %\] +wins against a.txt$'
run compare --gold gold --pred a.txt --pred b.txt --pred c.txt --metric 'accuracy,mcc' --all-tests --json
check other_methods_as_json both works printed_json
check other_methods_json_has_objects test "$(count '"kind":"tests"'),$(count '"kind":"ability"')" = 6,3
if command -v python3 >/dev/null && python3 -c 'import scipy, statsmodels' 2>/dev/null; then
    cat >again.py <<'PY'
import json, math
import numpy as np, scipy.stats
from scipy.optimize import minimize
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
objects = [json.loads(x) for x in open("out")]
read = lambda f: np.array(open(f).read().split())
gold = read("gold"); right = {s: read(s) == gold for s in ("a.txt", "b.txt", "c.txt")}
compare, tests = ([o for o in objects if o["kind"] == k] for k in ("compare", "tests"))
for o, p in zip(tests, multipletests([o["p"] for o in compare], method="fdr_bh")[1]): assert abs(o["p_bh"] - p) < 1e-12
for o in tests:
    if o["metric"] != "accuracy": continue
    x, y = right[o["a"]], right[o["b"]]
    only_a, only_b = int((x & ~y).sum()), int((~x & y).sum())
    table = [[0, only_a], [only_b, 0]]
    assert abs(o["p"]["mcnemar exact"] - mcnemar(table, exact=True).pvalue) < 1e-9
    assert abs(o["p"]["mcnemar chi-squared, corrected"] - mcnemar(table, exact=False, correction=True).pvalue) < 1e-9
    assert abs(o["p"]["paired t"] - scipy.stats.ttest_rel(x.astype(float), y.astype(float)).pvalue) < 1e-9
    # the share that A wins is Beta under the sign test's Dirichlet, whose ties' part cancels; the prior stands at the ties
    assert abs(o["bayes_sign"]["better"] - scipy.stats.beta.sf(0.5, only_a, only_b)) < 0.01, (o, scipy.stats.beta.sf(0.5, only_a, only_b))
names = [o["model"] for o in objects if o["kind"] == "ability"]
ability = {o["model"]: o for o in objects if o["kind"] == "ability"}
wins = {(p, q): int((right[p] & ~right[q]).sum()) for p in names for q in names if p != q}
ref = ability[names[0]]["reference"]; rest = [n for n in names if n != ref]
def loss(v):
    s = {ref: 0.0, **dict(zip(rest, v))}
    return -sum(w * (s[p] - math.log(math.exp(s[p]) + math.exp(s[q]))) for (p, q), w in wins.items())
best = minimize(loss, np.zeros(len(rest)), method="BFGS", options={"gtol": 1e-9})
for n, v in zip(rest, best.x):
    assert abs(ability[n]["strength"] - v) < 1e-5, (n, v, ability[n])
    assert abs(ability[n]["wins_against_reference"] - 1 / (1 + math.exp(-v))) < 1e-5 and ability[n]["low"] < v < ability[n]["high"]
h = 1e-4; k = len(rest); hess = np.zeros((k, k)); e = np.eye(k) * h
for i in range(k):
    for j in range(k): hess[i, j] = (loss(best.x + e[i] + e[j]) - loss(best.x + e[i] - e[j]) - loss(best.x - e[i] + e[j]) + loss(best.x - e[i] - e[j])) / (4 * h * h)
se = np.sqrt(np.diag(np.linalg.inv(hess)))
for n, s in zip(rest, se): assert abs((ability[n]["high"] - ability[n]["low"]) / (2 * 1.959963984540054) - s) < 1e-3, (n, s, ability[n])
print("agrees")
PY
    check other_methods_are_recomputed test "$(python3 again.py 2>&1)" = agrees
fi
run compare --gold gold --pred a.txt --pred gold --all-tests --metric accuracy
check who_never_lost_has_a_finite_strength both works says 'somebody never lost'
run compare --gold gold --pred a.txt --pred ./a.txt --all-tests --metric accuracy
check equal_systems_have_no_strengths both works says 'no two systems ever differ'

# --- seeds and tasks ---
part() { head -1 "$data" && sed -n "$1,$2p" "$data"; }
part 2 121 >train.csv
part 122 221 >test.csv
part 222 321 >test2.csv
run bench "$model" --data train.csv --eval-data test.csv --seeds 3 --steps 12 --lr 1e-3 --out grid --quiet --all-tests
check bench_shows_other_methods both works says '^  several seeds +multi-bootstrap \[95 %\] +p +welch t \[95 %\] +p$'
check bench_other_methods_fit_100_columns columns out
bench=$(sed -n 's/^stored    run \([0-9]*\) .*/\1/p' out)
cp out benched
run compare "$bench" --all-tests --metric accuracy
check compare_takes_a_bench_with_its_seeds both works says '^  tiny-bert - random|random - tiny-bert'
check compare_of_a_bench_agrees cmp -s <(sed -n '/^  several seeds/,/^$/p' benched) <(sed -n '/^  several seeds/,/^$/p' out)
run compare "$bench.1" "$bench.2" --metric accuracy
check compare_takes_cells works
for t in one two; do
    printf 'task: %s\nkind: classify\nfiles:\n  train: train.csv\n  test: %s\ntext: text\nlabel: label\nmetrics: [accuracy]\n' \
        $t "$([[ $t = one ]] && echo test.csv || echo test2.csv)" >$t.yaml
done
run bench "$model" --task ./one.yaml,./two.yaml --data-dir . --seeds 1 --steps 4 --out tasks --quiet
check tasks_have_ranks both works says '^  Friedman p'
check tasks_have_strengths says '^  Bradley-Terry +strength'
check tasks_have_probabilities says '^  over tasks +better +same +worse$'
run bench "$model" --task ./one.yaml,./two.yaml --data-dir . --seeds 1 --steps 4 --out tasks --quiet --json --margin 0.01
check tasks_json_has_objects test "$(count '"kind":"ability"'),$(count '"kind":"over_tasks"')" = 4,3
