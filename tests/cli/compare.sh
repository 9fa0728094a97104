#!/usr/bin/env bash
# Comparison of stored runs and of files, gates, slices, removal of runs: on the bundled checkpoint, and on small files.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

# keys FILE KIND KEY...: the first object of that kind has these keys. Without python3: by text.
keys() {
    if command -v python3 >/dev/null; then
        python3 -c 'import json, sys
objects = [o for o in map(json.loads, open(sys.argv[1], encoding="utf-8")) if o["kind"] == sys.argv[2]]
assert objects and not [k for k in sys.argv[3:] for o in objects if k not in o]' "$@"
    else
        local file=$1 kind=$2
        shift 2
        for key in "$@"; do grep "^{\"kind\":\"$kind\"" "$file" | grep -q "\"$key\":" || return 1; done
    fi
}
well_formed() { ! command -v python3 >/dev/null || python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$1"; }
gate_failed() { ((status == 1)) && ! grep -q '^assay: ' err; }

# --- files: 40 items, A has 36 right, B 28, C 27 of which 20 as A ---
for i in $(seq 40); do
    odd=$((i % 2)) other=$((1 - i % 2))
    echo "l$odd" >>gold
    if ((i <= 36)); then echo "l$odd"; else echo "l$other"; fi >>a.txt
    if ((i <= 28)); then echo "l$odd"; else echo "l$other"; fi >>b.txt
    if ((i > 16)) && ((i <= 40)) || ((i <= 3)); then echo "l$odd"; else echo "l$other"; fi >>c.txt
done
two=(--gold gold --pred b.txt --pred a.txt)
run compare "${two[@]}" --metric accuracy
check compare_of_two_files both works says '^  a\.txt +90\.0 \[76\.9, 96\.0\] +a +1 *$'
check compare_has_the_interval_of_newcombe says '^  a\.txt - b\.txt +\+20\.0 \['
check compare_has_the_exact_p says ' 0\.0078 +0\.0078 .*newcombe, mcnemar exact$' # 2 / 2^8
check compare_counts_the_cells says 'both right 28, only a\.txt 8, only b\.txt 0, both wrong 4$'
check compare_ends_with_a_verdict says '^verdict +a\.txt is best: \+20\.0 points'
check compare_fits_100_columns columns out
check compare_of_files_stores_nothing test ! -e assay.db
run compare "${two[@]}" --json
check compare_as_json both works printed_json
check compare_json_has_the_metrics keys out metric run model metric value low high n signature
check compare_json_has_the_differences keys out compare a b metric diff low high p p_adjusted mde n
check compare_json_has_the_verdict keys out verdict best tied text
check compare_json_has_full_digits says '"diff":0\.20000000000000007,'
cp out first
run compare "${two[@]}" --json --threads 1
check compare_does_not_depend_on_threads cmp -s first out
run compare --gold gold --pred a.txt --pred b.txt --pred c.txt --metric 'accuracy,f1(macro)' --json
check compare_of_three_has_all_pairs_and_metrics test "$(grep -c '^{"kind":"compare"' out)" = 6
run compare "${two[@]}" --metric 'accuracy,acc' --json
check compare_of_one_metric_twice test "$(grep -c '^{"kind":"compare"' out)" = 1
run compare "${two[@]}" --metric accuracy --margin 0.05
check compare_with_a_margin both works says '^  within 0\.05: p 0\.9[0-9]+ equivalent, p 0\.000[0-9] not inferior$'
run compare --gold gold --pred a.txt --pred a.txt --metric accuracy
check compare_of_a_file_with_itself both works says '^verdict +No winner'
check compare_of_equals_promises_no_difference test "$(grep -c 'can show differences' out)" = 0
run compare "${two[@]}" --metric accuracy --level 90
check compare_at_another_level both works says 'difference \[90 %\]'
printf '1\n2\n3.5\n4\n5\n' >y
printf '1.1\n2.2\n3.1\n4.5\n5\n' >f1
printf '2\n1\n4\n5.5\n7\n' >f2
run compare --gold y --pred f2 --pred f1 --kind regress --metric mse,pearson --json
check compare_of_numbers both works says '"best":"f1"'
printf 'x;y\n\ny\nx\n' >sets
printf 'x\ny\ny\nx\n' >sets1
run compare --gold sets --pred sets --pred sets1 --kind multilabel --json
check compare_of_sets both works says '"kind":"compare".*"metric":"subset_accuracy"|"kind":"compare".*"metric":"f1'
printf 'gold,one,two,p1,p2\nyes,yes,no,"[0.9,0.1]","[0.4,0.6]"\nno,yes,no,"[0.6,0.4]","[0.2,0.8]"\n' >table.csv

# --- bad input ---
run compare
fails compare_of_nothing 2 ''
run compare 1
fails compare_of_one_run_without_a_store 3 'assay\.db'
run compare --gold gold --pred a.txt
fails compare_of_one_file 2 'at least two'
run compare --gold gold --pred a.txt --pred none.txt
fails compare_of_a_missing_file 3 'none\.txt'
head -39 a.txt >short.txt
run compare --gold gold --pred a.txt --pred short.txt
fails compare_of_different_lengths 4 'short\.txt has 39 values, gold has 40'
run compare "${two[@]}" --metric acuracy
fails compare_of_an_unknown_metric 2 'acuracy' 'accuracy'
run compare "${two[@]}" --metric log_loss
fails compare_without_probabilities 2 'log_loss'
run compare 1 "${two[@]}"
fails compare_of_runs_and_files 2 'at once'
run compare "${two[@]}" --kind regress
fails compare_of_words_as_numbers 4 '(gold|b\.txt):1'
: >empty
run compare --gold empty --pred empty --pred empty
check compare_of_empty_files_is_an_error test "$status" -ge 2 -a "$status" -le 4
printf 'l0\nl\xff\xfe\n' >bytes
run compare --gold bytes --pred bytes --pred bytes
fails compare_of_invalid_bytes 4 'bytes:2'
printf 'l0\n' >single
run compare --gold single --pred single --pred single --json
check compare_of_one_item both works printed_json

# --- gates ---
run compare "${two[@]}" --metric accuracy --fail-if 'accuracy(new) < accuracy(old) - 0.01 at 95%' --junit gate.xml
check gate_that_passes both works says '^gate +passed: accuracy\(new\) < accuracy\(old\) - 0\.01 at 95% \(the difference is 0\.2000 \['
check gate_writes_junit grep -q 'tests="1" failures="0"' gate.xml
run compare "${two[@]}" --metric accuracy --fail-if 'accuracy(old) < accuracy(new) - 0.01 at 95%' --junit gate.xml
check gate_that_fails_is_status_1 both gate_failed says '^gate +FAILED: '
check gate_writes_the_failure grep -q '<failure message="the difference is -0\.2000' gate.xml
check gate_junit_is_well_formed well_formed gate.xml
run compare "${two[@]}" --json --fail-if 'accuracy(b.txt) < 0.8'
check gate_as_json both gate_failed keys out gate fails expression found
check gate_json_says_so says '^\{"kind":"gate","fails":true,'
run compare "${two[@]}" --fail-if 'mcc(new) < 0.5'
check gate_adds_its_metric both works says '^gate +passed: mcc'
run compare "${two[@]}" --fail-if 'accuracy(new) < accuracy(old) - 2e-1'
check gate_is_not_decided_by_rounding both works says 'passed'
run compare "${two[@]}" --fail-if 'accuracy(new) > accuracy(old) + 0.2'
check gate_of_an_exact_limit_passes works
for bad in 'accuracy(new)' 'accuracy(newer) < 1' 'acuracy(new) < 1' 'accuracy(new) < accuracy(old) at 90%' 'accuracy(3) < 1' '< < <' '((((' '%s%n(new) < 1'; do
    run compare "${two[@]}" --fail-if "$bad" --junit bad.xml
    check "gate_refuses_$(echo "$bad" | tr -c 'a-z0-9\n' _)" test "$status" = 2
done
check refused_gate_writes_no_junit test ! -e bad.xml
run compare "${two[@]}" --fail-if 'accuracy(new) < 1' --junit none/gate.xml
check gate_that_cannot_write_is_status_3 test "$status" = 3
hostile='<b a="x">&é模型 at 5%'
cp a.txt "$hostile"
run compare --gold gold --pred b.txt --pred "$hostile" --metric accuracy --json --fail-if "accuracy($hostile) < 0.95" --junit gate.xml
check hostile_name_is_found gate_failed
check hostile_name_is_json printed_json
check hostile_name_is_xml well_formed gate.xml
run compare --gold gold --pred b.txt --pred "$hostile" --metric accuracy
check hostile_name_fits_100_columns both works columns out

# --- stored runs ---
tuned
"$ASSAY" finetune "$model" --data "$data" --limit 80 --steps 20 --lr 1e-3 --seed 2 --out better --db tuned.db --quiet >/dev/null 2>&1
run eval tuned better --data "$data" --limit 120 --quiet
run compare 1 2
check compare_of_two_runs both works says '^verdict '
check compare_of_runs_shows_both test "$(grep -cE '^  (tuned|better) +[01]?[0-9]{1,2}\.[0-9] \[' out)" = 4
check compare_of_runs_fits_100_columns columns out
run compare 1 2 --json
check compare_of_runs_as_json both printed_json keys out metric run model task
check compare_of_runs_as_json_has_pairs keys out compare a b metric diff low high p p_adjusted mde
cp out first
run compare 1 2 --json --threads 3
check compare_of_runs_does_not_depend_on_threads cmp -s first out
run compare 1 1 --metric accuracy --json
check compare_of_a_run_with_itself both works says '"a":"tuned \(run 1\)","b":"tuned \(run 1\)"'
run compare 1 2 --metric accuracy --fail-if 'accuracy(tuned) < 2'
check gate_of_a_run_by_its_model both gate_failed says 'FAILED'
run compare 2 1 --metric 'log_loss,brier' --json
check compare_of_runs_has_probabilities both works says '"metric":"log_loss"'
{ head -1 "$data"; sed -n '2,121p' "$data" | tac; } >turned.csv
run eval tuned --data turned.csv --id id --quiet
run eval better --data "$data" --limit 120 --id id --quiet
ids=$("$ASSAY" runs --json | sed -n 's/.*"run":\([0-9]*\),"command":"eval".*/\1/p' | tail -2 | tr '\n' ' ')
read -r turned straight <<<"$ids"
run compare "$turned" "$straight" --metric accuracy,log_loss --json
grep '"kind":"compare"' out | sed -E 's/"low".*//; s/([0-9]\.[0-9]{12})[0-9]*/\1/g' >by_id
run compare 1 2 --metric accuracy,log_loss --json
grep '"kind":"compare"' out | sed -E 's/"low".*//; s/([0-9]\.[0-9]{12})[0-9]*/\1/g' >by_number
check runs_in_another_order_are_matched_by_id cmp -s by_id by_number
run compare 1 "$turned"
fails runs_of_other_ids_are_refused 2 'are not of the same items' 'same data'
run eval tuned --data "$data" --limit 60 --quiet
run compare 1 5
fails runs_of_fewer_items_are_refused 2 'item "60" is only in the first'
run compare 1 99
fails compare_of_an_unknown_run 2 'no run 99 is stored' 'newest run with items is 5'
for bad in 0 -1 x 1.5 99999999999999999999 ''; do
    run compare 1 "$bad"
    check "compare_refuses_run_$bad" test "$status" = 2
done

# --- removal ---
run runs rm 5
check runs_rm_removes_a_run works
run runs --json
check removed_run_is_gone test "$(grep -c '"run":5,' out)" = 0
check other_runs_stay test "$(grep -c '"kind":"run"' out)" = 4
run runs rm 5
fails runs_rm_of_a_removed_run 2 '5'
run runs rm
fails runs_rm_without_a_number 2 'expected' 'runs rm'
run runs rm x
check runs_rm_of_no_number test "$status" = 2
run runs rm 3 4
check runs_rm_removes_several works
run compare 1 2 --metric accuracy
check compare_after_removal works
run compare 1 3
fails compare_of_a_removed_run 2 'no run 3'

# --- slices ---
awk -F, 'NR == 1 { print "文本,label,语言,number,flat,hole" } NR > 1 { n = NF; print $2 "," $(n - 1) "," ($n == "zh" ? "中文" : "英文") "," NR * 1000003 "," 7 "," (NR % 3 ? "x" : "") }' \
    <(grep -v '"' "$data" | head -201) >sliced.csv
cols=(--data sliced.csv --text 文本)
run eval tuned "${cols[@]}" --slice 语言 --slice @length --slice @label --slice flat --slice hole --slice number
check slices_are_shown both works says '^  语言 = 中文 +[01]\.[0-9]{4} '
check slices_of_lengths says '^  length = [0-9]+-[0-9]+ '
check slices_of_labels says '^  label = positive '
check slices_of_one_value says '^  flat = 7 '
check slices_of_empty_cells says '^  hole =  +[01]\.'
check slices_of_many_numbers_are_quarters test "$(grep -cE '^  number = [0-9]+-[0-9]+' out)" = 4
check slices_fit_100_columns columns out
run eval tuned "${cols[@]}" --slice 语言 --slice @length --json
check slices_as_json both printed_json keys out slice column slice metric value low high n rest diff p p_adjusted test worse
check slices_of_a_stored_run_are_the_same says '"slice":"中文"'
cp out first
run eval tuned "${cols[@]}" --slice 语言 --slice @length --json --again --threads 1
check slices_do_not_depend_on_threads cmp -s <(grep '"slice"' first | sed 's/"run":[0-9]*//') <(grep '"slice"' out | sed 's/"run":[0-9]*//')
run eval tuned "${cols[@]}" --slice 语
fails slice_of_an_unknown_column 2 'no column "语"'
run eval tuned --data "$data" --limit 20 --slice lag
fails slice_names_the_nearest_column 2 'no column "lag"' 'lang'
run eval tuned --data "$data" --limit 20 --slice @lenght
fails slice_of_an_unknown_word 2 '@lenght' '@length'
run eval tuned --data "$data" --limit 20 --slice ''
check slice_without_a_name test "$status" = 2
run eval tuned --data "$data" --limit 1 --slice lang --slice @length
check slices_of_one_item both works says '^  lang = '

# --- clusters ---
awk -F, 'NR == 1 { print "text,label,cluster" } NR > 1 { print $2 "," $(NF - 1) "," (NR % 2 ? "" : "c" NR) }' <(grep -v '"' "$data" | head -101) >clusters.csv
run eval tuned --data clusters.csv --cluster cluster --metric accuracy --json
check a_cluster_each_is_as_wide_as_items both works says '"method":"bca"'

# Other tests by name, and the summary for a build.
printf '%s\n' a b a b a b a b >gold8
printf '%s\n' a b a b a a b b >first8
printf '%s\n' b b a a a a b b >'second|8'
eight=(--gold gold8 --pred first8 --pred 'second|8')
p_of() { sed -n 's/.*"p":\([0-9.]*\).*/\1/p' out; }
for test in mcnemar:0.5 mid-p:0.25 permutation:0.5; do
    run compare "${eight[@]}" --metric accuracy --test "${test%:*}" --json
    check "compare_test_${test%:*}" test "$(p_of)" = "${test#*:}"
done
run compare "${eight[@]}" --metric mcc --test t
fails compare_test_of_a_metric_of_the_whole 2 'means of per-item scores, not for mcc' 'leave --test out'
run compare "${eight[@]}" --metric accuracy --markdown build.md --fail-if 'accuracy(new) < 0.9'
check compare_markdown_says_the_gate grep -q '^\*\*gate FAILED\*\*' build.md
check compare_markdown_escapes_names grep -q 'first8 - second\\|8' build.md
check compare_markdown_ends_with_status_1 test "$status" = 1
