#!/usr/bin/env bash
# The grid of a bench: checkpoints that have the task's head already, the time left for all of it, the search that it records.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

part() { head -1 "$data" && sed -n "$1,$2p" "$data"; }
part 2 161 >train.csv
part 162 281 >test.csv
value() { sed -n "s/.*\"kind\":\"metric\".*\"model\":\"$1\".*\"metric\":\"$2\",\"value\":\([0-9.e-]*\),.*/\1/p" out | head -1; }

# --- a checkpoint with the task's labels in another order is scored as it is, its labels matched by name ---
"$ASSAY" finetune "$model" --data train.csv --labels positive,negative --steps 30 --lr 1e-3 --dev-fraction 0 --out turned --quiet >/dev/null 2>&1
"$ASSAY" finetune "$model" --data train.csv --labels negative,positive --steps 30 --lr 1e-3 --dev-fraction 0 --out straight --quiet >/dev/null 2>&1
run bench turned straight --data train.csv --eval-data test.csv --seeds 1 --metric 'accuracy,f1(binary),f1(macro),log_loss' --json
check turned_labels_are_not_trained_again both works test "$(grep -c '"kind":"cell","model":"\(turned\|straight\)".*"finetune_run":0' out)" = 2
check turned_labels_are_told grep -q 'turned numbers the labels in an order of its own' err
t_accuracy=$(value turned accuracy) t_f1=$(value turned 'f1(binary)') t_loss=$(value turned log_loss) s_f1=$(value straight 'f1(binary)')
cp out benched
run eval turned --data test.csv --metric 'accuracy,f1(binary),log_loss' --positive positive --json --quiet --db other.db
check turned_labels_score_as_by_eval test "$t_accuracy $t_f1 $t_loss" = "$(value turned accuracy) $(value turned 'f1(binary)') $(value turned log_loss)"
run eval straight --data test.csv --metric 'f1(binary)' --json --quiet --db other.db
check straight_labels_score_as_by_eval test "$s_f1" = "$(value straight 'f1(binary)')"
run eval turned straight --data test.csv --quiet --db two.db
run compare 1 2 --db two.db --metric accuracy --json
check compare_matches_labels_by_name both works says '"kind":"compare"'
diff_of() { grep '"kind":"compare"' "$1" | grep turned | grep straight | grep '"metric":"accuracy"' | sed 's/.*"diff":\([-0-9.e]*\),.*/\1/'; }
check compare_agrees_with_bench test "$(diff_of out)" = "$(diff_of benched)"
run diff 1 2 --db two.db --only all --json
check diff_matches_labels_by_name both works test "$(grep -c '"kind":"diff"' out)" = 120
awk -F, 'BEGIN { OFS = "," } NR > 1 { sub(/positive/, "good", $3) } { print }' test.csv >renamed.csv
awk -F, 'BEGIN { OFS = "," } NR > 1 { sub(/positive/, "good", $3) } { print }' train.csv >renamed-train.csv
run bench straight --data renamed-train.csv --eval-data renamed.csv --seeds 1 --steps 2 --out renamed --quiet --json
check other_labels_are_trained both works test "$(grep -c '"kind":"cell","model":"straight".*"finetune_run":0' out)" = 0

# --- the search is kept with the bench ---
run bench "$model" --data train.csv --eval-data test.csv --seeds 1 --steps 8 --search 3 --dev-fraction 0.2 --out searched --quiet
check search_is_printed both works says '^  search on the dev data'
bench=$(sed -n 's/^stored    run \([0-9]*\) .*/\1/p' out)
run runs show "$bench"
check search_is_shown_with_the_run test "$(grep -cE '^tried     tiny-bert, lr [0-9.e-]+, [0-9]+ steps: [0-9.]+ on the dev data \(run [0-9]+\)' out)" = 5
check search_says_what_was_kept test "$(grep -c ', kept$' out)" = 3
run runs show "$bench" --json
check search_is_in_the_result says '"result":\{.*"tries":\[\{"system":0,"lr":'
run report "$bench" -o page.html
check search_is_on_the_page both works grep -q 'Learning rates tried' page.html

# --- two commands on one store ---
"$ASSAY" eval turned --data test.csv --db shared.db --json --quiet --threads 1 >one 2>one.err &
"$ASSAY" eval straight --data test.csv --db shared.db --json --quiet --threads 1 >two 2>two.err
wait $! && run runs --db shared.db --json
check two_commands_share_a_store both works test "$(grep -c '"state":"done"' out)" = 2
"$ASSAY" eval turned --data test.csv --db alone.db --json --quiet >three 2>/dev/null
check shared_runs_are_whole cmp -s <(sed 's/"run":[0-9]*//' one) <(sed 's/"run":[0-9]*//' three)

# --- the time of the whole grid, on a terminal of 100 columns ---
if command -v python3 >/dev/null; then
    cat >watch.py <<'PY'
import re, sys
lines = [x.rstrip("\n") for x in sys.stdin if "left (all" in x]
number = lambda s: sum(int(p) * 60 ** i for i, p in enumerate(reversed(s.split(":"))))
left = [tuple(map(number, re.search(r"  ([0-9:]+) left \(all ([0-9:]+)\)", x).groups())) for x in lines]
assert len(left) >= 3, len(left)
assert all(a <= b + 1 for a, b in left), left        # what runs is a part of all
assert all(len(x) < 100 for x in lines)
assert left[0][1] > left[-1][1] or left[0][1] <= 1, left  # it runs down
PY
    on_terminal bench "$model" scratch:"$model" --data train.csv --eval-data test.csv --seeds 2 --steps 60 --dev-fraction 0 --out watched
    check progress_shows_the_time_of_all both works python3 watch.py <out
    check progress_names_model_and_seed says '^  fine-tune (scratch-)?tiny-bert, seed [12] of 2 [━╸─]+ +[0-9]+ % .* [0-9.]+ steps/s +[0-9:]+ left \(all [0-9:]+\)$'
fi
