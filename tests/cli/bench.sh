#!/usr/bin/env bash
# bench, diff, report and eval --until, from end to end on the bundled checkpoint.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

options=(--data "$data" --seeds 2 --steps 20 --lr 1e-3 --out grid --quiet)
run bench "$model" "${options[@]}"
check bench_prints_a_leaderboard both works says '^  model +accuracy \[95 %\] +group +rank +params +train +items/s +memory$'
check bench_has_baselines says '^  bag of words +[0-9.]+ \[[0-9.]+, [0-9.]+\] +a'
check bench_ends_in_a_verdict says '^verdict   [A-Za-z].* (best|No winner)'
check bench_names_what_to_do_next says '^stored    run [0-9]+ in assay.db · assay report [0-9]+ -o .*html · assay diff [0-9]+\.1 [0-9]+\.2$'
check bench_fits_100_columns columns out
check bench_keeps_checkpoints test -f grid/tiny-bert-seed2/model.safetensors
check bench_keeps_its_split test -s grid/data/test.jsonl
check bench_warns_once_for_all_seeds test "$(grep -c 'start at random' err)" = 1
bench=$(sed -n 's/^stored    run \([0-9]*\) .*/\1/p' out)
cp out first
run bench "$model" "${options[@]}"
check bench_repeated_prints_the_same cmp -s out first
run bench "$model" "${options[@]}" --json
check bench_json both works printed_json
for kind in cell metric system compare verdict; do check "bench_json_has_$kind" says "^\\{\"kind\":\"$kind\""; done
check bench_json_compare_keys says '"kind":"compare","a":.*"b":.*"metric":.*"diff":.*"low":.*"high":.*"p":.*"p_adjusted":.*"mde":'
run bench "$model" "${options[@]}" --fail-if 'accuracy(tiny-bert) < accuracy(majority) - 0.5 at 95%'
check bench_gate_passes both works says '^gate      passed'
run bench "$model" "${options[@]}" --fail-if 'accuracy(tiny-bert) < 2'
check bench_gate_fails test "$status" = 1
run bench "$model" "${options[@]}" --dry-run
check bench_plans both works says '^needs about .* of training and .* of memory$'
run bench "$model" --data "$data" --eval-data "$data" --seeds 1 --steps 2 --out other --quiet --no-baselines
fails bench_of_one_system_is_refused 2 'two systems or more'
run bench "$model" --seeds 2
fails bench_without_data 2 'no data' '--data'
run bench nowhere --data "$data"
fails bench_of_a_missing_model 3 'nowhere'
run bench "$model" --data "$data" --seeds 0
fails bench_without_seeds 2 'too small'
run bench "$model" --data "$data" --eval-data missing.csv --out none --quiet
fails bench_with_missing_test_data 3 'missing.csv'

run runs
check runs_lists_the_bench says "^ +$bench +bench"
run report "$bench" -o page.html
check report_writes_the_page both works says '^written   page.html$'
check report_is_one_file test "$(grep -Ec '(src|href)="(https?:)?//' page.html)" = 0
check report_has_the_verdict grep -q 'bag of words' page.html
run report "$bench" --markdown t.md --csv t.csv --latex t.tex --lm-eval-output lm
check markdown_has_the_command_that_repeats_it grep -q '^    assay bench tiny-bert ' t.md
check report_writes_tables both works test -s t.md
check report_writes_csv test -s t.csv
check report_writes_latex grep -q toprule t.tex
check report_writes_lm_eval test -n "$(find lm -name 'results_*.json')"
run report "$bench" --json
check report_json both works printed_json
run report 999
fails report_of_an_unknown_run 2 'no run 999 is stored' 'assay runs'

run diff "$bench.1" "$bench.2" --limit 3
check diff_counts both works says '^  fixed [0-9,]+ · broken [0-9,]+ · both wrong [0-9,]+ · both right [0-9,]+ · answers that changed [0-9,]+$'
check diff_fits_100_columns columns out
run diff "$bench.1" "$bench.2" --slice @label --slice @length --limit 3
check diff_of_slices both works says '^  label = (positive|negative) +[0-9]+ +[0-9]+ +[-+]'
check diff_of_slices_fits_100_columns columns out
run diff "$bench.1" "$bench.5" --slice @label --json --limit 1
of() { echo $(($(grep "\"$1\"" out | grep -o "\"$2\":[0-9]*" | cut -d: -f2 | paste -sd+))); }
check slices_add_up_to_all test "$(of diff_slice fixed) $(of diff_slice broken) $(of diff_slice n)" = "$(of diff_summary fixed) $(of diff_summary broken) $(of diff_summary n)"
run diff "$bench.1" "$bench.2" --slice nothing
fails slices_that_were_not_noted 2 'has no groups of "nothing"' 'assay eval --slice'
run diff "$bench.1" "$bench.5" --json --only all
check diff_json both works printed_json
check diff_json_has_every_item test "$(grep -c '"kind":"diff"' out)" = "$(wc -l <grid/data/test.jsonl)"
run diff "$bench.1" "$bench.2" --find '这一句不在数据里'
check diff_of_nothing both works says '^no item of this kind$'
run diff "$bench" "$bench.1"
fails diff_of_a_whole_bench 2 'runs where two are compared' 'cells of a bench'
run diff "$bench.1" "$bench.99"
fails diff_of_an_unknown_cell 2 'no cell'

run eval grid/tiny-bert-seed1 --data "$data" --until 0.2 --quiet
check until_stops_early both works says '^items     [0-9]+ of 747 were enough$'
check until_has_its_interval says '^  accuracy .* confidence sequence$'
run eval grid/tiny-bert-seed1 --data "$data" --until 0.2 --quiet --threads 1
check until_is_stored both works says 'all was stored'
run eval grid/tiny-bert-seed1 --data "$data" --until 0.2 --metric mcc
fails until_of_a_metric_of_the_whole 2 'mcc is not a share' 'accuracy'
run eval grid/tiny-bert-seed1 --data "$data" --until 0.2 --items
fails until_with_items 2 'only part of the items'
