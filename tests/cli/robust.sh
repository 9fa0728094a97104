#!/usr/bin/env bash
# Calibration and perturbed texts as part of an evaluation: assay eval --calibrate, --perturb.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

part() { head -1 "$data" && sed -n "$1,$2p" "$data"; }
part 2 161 >train.csv
part 162 281 >dev.csv
part 282 401 >test.csv
"$ASSAY" finetune "$model" --data train.csv --steps 60 --lr 1e-3 --dev-fraction 0 --out ft --quiet >/dev/null 2>&1
count() { grep -c -- "$1" out; }
runs() { "$ASSAY" runs --json | wc -l; }

# --- calibration ---
run eval ft --data test.csv --calibrate dev.csv --quiet
check calibration_is_shown both works says '^  calibrated on dev.csv \(120 items\): temperature [0-9.]+, loss there [0-9.]+, before [0-9.]+$'
check calibration_shows_metrics_before_and_after test "$(grep -cE '^  (log_loss|brier\(half\)|ece\(bins:15\)) +[0-9.]+ \[.*\] +[0-9.]+ \[.*\] +[+-][0-9.]+ \[.*\] +[<0-9.]+$' out)" = 3
check calibration_shows_coverage test "$(grep -cE '^ +(50|80|90|95) % +[0-9]+ +[0-9.]+ +[0-9.]+ \[' out)" = 4
check calibration_shows_sets test "$(grep -cE '^  (lac|aps) +9[05] % ' out)" = 4
check calibration_says_what_is_promised says '^  promise  at least this share of sets'
check calibration_fits_100_columns columns out
run eval ft --data test.csv --calibrate dev.csv --json --quiet
check calibration_as_json printed_json
check calibration_json_has_objects test "$(count '"kind":"calibration"'),$(count '"kind":"conformal"')" = 1,4
check dev_data_are_a_run_of_their_own test "$("$ASSAY" runs --json | grep -c '"task":"dev.csv"')" = 1
if command -v python3 >/dev/null; then
    run eval ft --data dev.csv --metric accuracy --items --json --quiet
    cp out devitems
    run eval ft --data test.csv --calibrate dev.csv --metric accuracy --items --json --quiet --level 80
    cat >again.py <<'PY'
import json, math
def items(path): return [o for o in map(json.loads, open(path)) if o["kind"] == "item"]
def nll(rows, t):
    total = 0
    for r in rows:
        z = [x / t for x in r["logits"]]
        total += math.log(sum(math.exp(x) for x in z)) - z[list(r["probs"]).index(r["gold"])]
    return total / len(rows)
dev, test = items("devitems"), items("out")
objects = [json.loads(line) for line in open("out")]
c = next(o for o in objects if o["kind"] == "calibration")
low, high = math.log(0.01), math.log(100)  # golden section on log T
for _ in range(60):
    a, b = high - (high - low) / 1.618033988749895, low + (high - low) / 1.618033988749895
    if nll(dev, math.exp(a)) < nll(dev, math.exp(b)): high = b
    else: low = a
assert abs(math.exp(low) / c["temperature"] - 1) < 1e-5, (math.exp(low), c["temperature"])
assert c["temperature"] > 1.5, c["temperature"]  # a tiny model trained to the end is too sure of itself
assert abs(nll(dev, c["temperature"]) - c["dev_loss"]) < 1e-9 and abs(nll(dev, 1) - c["dev_loss_before"]) < 1e-9
loss = next(m for m in c["metrics"] if m["metric"] == "log_loss")
assert abs(nll(test, 1) - loss["before"]) < 1e-9 and abs(nll(test, c["temperature"]) - loss["after"]) < 1e-9
ranked = sorted(((max(r["probs"].values()), r["label"] != r["gold"]) for r in test), reverse=True)
assert len({p for p, _ in ranked}) == len(ranked)
errors, area = 0, 0
for k, (_, wrong) in enumerate(ranked, 1):
    errors += wrong
    area += errors / k
assert abs(area / len(ranked) - c["aurc"]) < 1e-9
for o in objects:
    if o["kind"] != "conformal" or o["score"] != "lac": continue
    s = sorted(1 - r["probs"][r["gold"]] for r in dev)
    q = s[math.ceil((len(s) + 1) * o["promised"] - 1e-9) - 1]
    covered = sum(1 - r["probs"][r["gold"]] <= q for r in test) / len(test)
    size = sum(1 - p <= q for r in test for p in r["probs"].values()) / len(test)
    assert abs(q - o["threshold"]) < 1e-12 and abs(covered - o["coverage"]) < 1e-12 and abs(size - o["size"]) < 1e-12
assert {o["promised"] for o in objects if o["kind"] == "conformal"} == {0.9, 0.8}
print("agrees")
PY
    check calibration_is_recomputed_from_the_items test "$(python3 again.py 2>&1)" = agrees
fi
run eval ft --data test.csv --calibrate missing.csv
fails missing_dev_data_are_named 3 'missing.csv'
run eval ft --data test.csv --calibrate test.csv
fails calibration_on_the_evaluated_items_is_refused 2 'nothing but items of' 'not evaluated'
(part 162 281 && sed -n 282,285p "$data") >overlap.csv
run eval ft --data test.csv --calibrate overlap.csv --json
check overlap_is_warned_of both works grep -q '^warning: 4 of the 124 items of overlap.csv are evaluated, too' err
run eval ft --data test.csv --calibrate dev.csv --until 0.1
fails until_and_calibrate_exclude_each_other 2 'goes without --calibrate'
awk -F, 'BEGIN { OFS = "," } NR == 1 { print "id,text,label" } NR > 1 { print $1, "text " NR, NR % 7 }' dev.csv >numbers.csv
"$ASSAY" finetune "$model" --data numbers.csv --kind regress --steps 2 --out number --quiet >/dev/null 2>&1
run eval number --data numbers.csv --kind regress --calibrate dev.csv
fails numbers_cannot_be_calibrated 2 'numbers have no probabilities' 'class labels'

# --- perturbations ---
before=$(runs)
run eval ft --data test.csv --perturb all --quiet
check perturbations_are_shown both works test "$(grep -cE '^  (typo-(swap|delete|insert)|case-(lower|upper)|punctuation-strip|whitespace|word-(drop|swap)) +[0-9]+ % +[0-9.]+ \[.*\] +-?\+?[0-9.]+ \[.*\] +[<0-9.]+ +[0-9.]+ \[.*\]$' out)" = 9
check perturbations_fit_100_columns columns out
check perturbed_runs_are_stored test "$(runs)" = $((before + 9))
check perturbed_runs_are_named test "$("$ASSAY" runs --json | grep -c '"task":"test.csv, typo-swap"')" = 1
cp out first
run eval ft --data test.csv --perturb all --quiet --threads 1 --batch-tokens 64
check perturbations_are_found_again test "$(runs)" = $((before + 9))
check perturbations_repeat cmp -s <(grep -v '^time\|threads*$' first) <(grep -v '^time\|threads*$' out)
run eval ft --data test.csv --perturb all --quiet --db fresh.db --threads 1
check perturbations_do_not_depend_on_threads cmp -s <(grep '^  [a-z-]* *[0-9]* %' first) <(grep '^  [a-z-]* *[0-9]* %' out)
run eval ft --data test.csv --perturb typo-swap,word-drop --strength 0.5 --seed 2 --json --quiet
check perturbation_as_json printed_json
check perturbation_json_has_objects test "$(count '"kind":"perturbation"')" = 2
check perturbation_changes_answers says '"perturbation":"word-drop".*"flip_rate":0\.[0-9]*[1-9]'
check perturbation_json_says_strength says '"perturbation":"typo-swap","metric":"accuracy","strength":0.5,'
number=$(sed -n 's/^{"kind":"perturbation","run":\([0-9]*\),.*"typo-swap".*/\1/p' out)
run runs show "$number" --json
check perturbed_run_says_how both works says '"perturb":\{"kind":"typo-swap","strength":0\.5,"seed":2\}'
run eval ft --data test.csv --perturb typo-swap,word-drop --strength 0.5 --seed 2 --json --quiet
check other_strength_is_another_run test "$(runs)" = $((before + 11))
run eval number --data numbers.csv --kind regress --perturb word-drop --json --quiet
check numbers_have_no_flips both works says '"perturbation":"word-drop","metric":"pearson".*"flip_rate":null'
run eval ft --data test.csv --perturb typo-swop
fails unknown_perturbation_names_the_nearest 2 'unknown perturbation "typo-swop"' 'Did you mean typo-swap'
run eval ft --data test.csv --strength 0.5
fails strength_needs_perturb 2 'strength is that of --perturb'
run eval ft --data test.csv --perturb all --strength 1.5
fails strength_is_a_share 2 'too large'
printf 'id,text,label\n1,"<>?! 好",positive\n2,👩‍👩‍👧‍👦,negative\n3,!!!,positive\n4,مرحبا بالعالم,negative\n' >odd.csv
run eval ft --data odd.csv --perturb all --strength 1 --quiet
check odd_texts_are_perturbed works

# --- the page has them, from the store alone ---
run eval ft --data test.csv --calibrate dev.csv --perturb all --db page.db --quiet --slice lang
run report 1 --db page.db -o page.html
check page_of_analyses_is_written both works test -s page.html
for words in 'calibrated on dev.csv' 'After the temperature' 'Risk against coverage' 'Conformal sets' 'how much worse on perturbed texts' '>typo-swap<' '>word-drop<' 'other answers'; do
    check "page_shows_${words//[^A-Za-z]/_}" grep -q -- "$words" page.html
done
check page_repeats_the_command grep -q '^<pre><code>assay eval ft --data test.csv --calibrate dev.csv --perturb all --db page.db --quiet --slice lang$' page.html
run eval ft --data test.csv --calibrate dev.csv --db page.db --quiet --json
drop=$(sed -n 's/.*"kind":"calibration".*"temperature":\([0-9.]*\),.*/\1/p' out)
check page_has_the_temperature grep -q "Temperature $(printf '%.4f' "$drop")" page.html
run runs rm 1 --db page.db
check analyses_go_with_the_run works

# --- killed in between ---
rm -f killed.db
for pause in 0.05 0.15 0.3 0.5; do
    { timeout -s KILL "$pause" "$ASSAY" eval ft --data test.csv --calibrate dev.csv --perturb all --db killed.db; } >/dev/null 2>&1
done
run eval ft --data test.csv --calibrate dev.csv --perturb all --db killed.db --quiet --json
cp out one
run eval ft --data test.csv --calibrate dev.csv --perturb all --db whole.db --quiet --json
check killed_evaluations_end_as_undisturbed_ones cmp -s <(sed 's/"\(dev_\)\?run":[0-9]*//' one | sed 's/"dev_run":[0-9]*//') <(sed 's/"\(dev_\)\?run":[0-9]*//' out | sed 's/"dev_run":[0-9]*//')
