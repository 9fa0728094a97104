#!/usr/bin/env bash
# Tasks by name: the built-in ones, one of our own from YAML to a bench, and what the command line says against it.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"
data_dir=${ASSAY_DATA:-}
unset ASSAY_DATA ASSAY_SHARE
export HF_HUB_CACHE=$tmp/hub

# --- assay tasks ---
run tasks
check tasks_are_listed both works says '^sst2 +- +- +- +accuracy +research +Socher et al. 2013$'
check the_list_fits_100_columns columns out
check every_file_is_a_row test "$(wc -l <out)" = $(($(ls "$root"/share/assay/tasks | wc -l) + 1))
run tasks --json
check tasks_as_json printed_json
check json_has_an_object_for_each test "$(wc -l <out)" = "$(ls "$root"/share/assay/tasks | wc -l)"
run tasks stsb-zh
check a_task_says_its_source both works says '^licence +CC-BY-SA'
check a_task_fits_100_columns columns out
run tasks sst
fails unknown_task 2 'unknown task "sst"' 'The tasks are ag_news, boolq'
run tasks --data sst
fails tasks_take_no_data 2 'tasks takes no --data'
run eval "$model" --task sst2
fails data_that_is_not_there 3 'task sst2: its test data, sst/stsa.binary.test, is not there; looked for: ' '--data-dir DIR'
run eval "$model" --task sst2 --data-dir "$tmp/nowhere"
fails data_that_is_not_in_the_folder 3 'looked for: .*/nowhere/sst/stsa.binary.test$'

# --- a task of our own: the second class stands as 1 in the files, the text has blanks and no header ---
mkdir own own/d
awk -F, 'NR > 1 && !/"/ { n = $3 == "positive" ? 1 : 0; print n " " $2 }' "$data" >all
head -60 all >own/d/train.txt
sed -n 61,90p all >own/d/dev.txt
sed -n 91,130p all >own/d/test.txt
cut -d' ' -f2- own/d/test.txt >own/d/hidden.txt
cat >own/mine.yaml <<'Y'
task: mine
about: Sentences with their sentiment.
kind: classify
files: {train: d/train.txt, dev: d/dev.txt, test: d/test.txt}
sep: " "
max_split: 1
columns: [label, text]
labels: [bad, good]
values: [0, 1]
metrics: [mcc, accuracy]
licence: CC0
Y
run tasks own/mine.yaml
check own_task_is_shown both works says '^train +own/d/train.txt \(60 items\)$'
check own_labels_are_shown says '^labels +bad \(0 in the files\), good \(1 in the files\)$'
train=("$model" --task own/mine.yaml --steps 4 --batch-size 8)
run finetune "${train[@]}" --out ft
check finetune_takes_train_and_dev both works says '^ft · mine · 30 items, held out'
check finetune_takes_the_metrics_of_the_task says '^ +mcc .* 30 '
check the_checkpoint_has_the_names_of_the_task grep -q '"0": "bad"' ft/config.json
run finetune "${train[@]}" --dry-run
check dry_run_knows_the_parts says '^data +60 to train on, 30 to evaluate on$'
run finetune "${train[@]}" --dry-run --dev-fraction 0.1
check dev_fraction_wins says '^data +54 to train on, 6 to evaluate on$'
run finetune "${train[@]}" --dry-run --split dev
check another_part_can_be_trained_on says '^data +27 to train on, 3 to evaluate on$'
run finetune "${train[@]}" --folds 2
check folds_work_inside_train both works says '· mine · 60 items, 2 folds'

run eval ft --task own/mine.yaml
check eval_takes_test both works says '^ft · mine · 40 items'
check eval_names_the_classes says '^ +good +[0-9]'
run eval ft --task own/mine.yaml --split dev --json
check another_part_has_another_name says '"task":"mine:dev","metric":"mcc".*"n":30,'
run eval ft --task own/mine.yaml --metric accuracy --limit 7 --json
check the_command_line_wins says '"metric":"accuracy".*"n":7,'
run eval ft --task own/mine.yaml --data own/d/dev.txt --json
check own_data_is_read_as_the_task_says says '"task":"dev.txt","metric":"mcc".*"n":30,'
run eval ft --task own/mine.yaml --labels good,bad
fails own_labels_drop_the_values 4 'label "[01]" is not one of good, bad'
run predict ft --task own/mine.yaml --split test --json
check predict_takes_a_task both works says '"label":"(bad|good)"'
check predict_answers_each_item test "$(wc -l <out)" = 40

# A checkpoint with the same names in the other order is scored by name; with other names by id, and that is said.
cp -R ft other
sed -i 's/"0": "bad"/"0": "Good"/; s/"1": "good"/"1": "Bad"/' other/config.json
run eval ft --task own/mine.yaml --metric accuracy --json
same=$(grep -o '"gold_by_predicted":.*' out)
run eval other --task own/mine.yaml --metric accuracy --json
check labels_follow_the_checkpoint says '"labels":\["good","bad"\]'
sum=$(grep -o '"gold_by_predicted":.*' out)
check swapped_names_swap_the_predictions test "$same" = "$(sed -E 's/\[\[([0-9]+),([0-9]+)\],\[([0-9]+),([0-9]+)\]\]/[[\3,\4],[\1,\2]]/' <<<"$sum")"
sed -i 's/"0": "Good"/"0": "x"/; s/"1": "Bad"/"1": "y"/' other/config.json
run eval other --task own/mine.yaml --json
check other_names_are_said grep -q 'warning: other: its labels (x, ...) have other names' err
check other_names_are_taken_by_id says '"labels":\["bad","good"\]'

bench=("$model" --task own/mine.yaml --steps 2 --seeds 1 --metric accuracy --out bench)
run bench "${bench[@]}"
check bench_trains_on_train_and_scores_test both works says '^mine · 60 train, 40 test'
run bench "${bench[@]}" --split dev --out bench2
check bench_scores_another_part both works says '^mine:dev · 60 train, 30 test'
run bench "${bench[@]}" --split train --out bench3
check bench_works_inside_one_part both works says '^mine:train · 48 train, 12 test'
run runs --json
check the_task_is_what_is_stored says '"command":"bench","state":"done".*"task":"mine"'

sed 's/^task.*/task: second/' own/mine.yaml >own/second.yaml
run bench "${bench[@]}" --task own/second.yaml --out bench6
check a_second_task_is_added both works says '^second · 60 train, 40 test'
check the_first_task_is_kept says '^mine · 60 train, 40 test'

# --- parts that are missing, or have no labels ---
sed 's/test: [^}]*/test: d\/hidden.txt/; s/^labels/unlabelled: [test]\n&/; s/^task.*/task: hidden/' own/mine.yaml >own/hidden.yaml
run eval ft --task own/hidden.yaml
check eval_takes_dev_when_test_has_no_labels both works says '^ft · hidden · 30 items'
run eval ft --task own/hidden.yaml --split test
fails labels_that_are_not_public 2 'task hidden: the labels of its test data are not public' 'assay predict --task'
run bench "$model" --task own/hidden.yaml --steps 2 --seeds 1 --metric accuracy --out bench4
check bench_scores_dev_without_a_test both works says '^hidden · 60 train, 30 test'
sed 's/^files.*/files: {dev: d\/dev.txt}/; s/^task.*/task: small/' own/mine.yaml >own/small.yaml
run finetune "$model" --task own/small.yaml --out no
fails no_train_part 2 'task small has no train data' '--split dev, to work inside its dev data'
run finetune "$model" --task own/small.yaml --split test --out no
fails no_such_part 2 'task small has no test data' 'It has dev'
run bench "$model" --task own/small.yaml --steps 2 --seeds 1 --data own/d/train.txt --metric accuracy --out bench5
check bench_takes_training_data_of_ones_own both works says '^small · 60 train, 30 test'
run eval ft --split dev --data own/d/dev.txt
fails split_without_task 2 '--split without --task'
run eval ft --task own/mine.yaml --split dev --data own/d/dev.txt
fails split_and_data 2 '--data and --split at once'
sed 's/^kind.*/kimd: classify/' own/mine.yaml >own/bad.yaml
run eval ft --task own/bad.yaml
fails bad_key 4 'own/bad.yaml: unknown key "kimd"' 'Did you mean kind\?'
cat >recipe.yaml <<'Y'
task: own/mine.yaml
split: dev
Y
run eval ft --recipe recipe.yaml --json
check a_recipe_may_name_the_task says '"task":"mine:dev"'

# --- where the built-in tasks and their data are found ---
mkdir -p share/tasks hub/datasets--who--what/refs hub/datasets--who--what/snapshots/c0
sed 's/^files.*/files: {test: x\/test.txt}\nsource: {hub: who\/what}/; s/^task.*/task: elsewhere/' own/mine.yaml >share/tasks/elsewhere.yaml
printf c0 >hub/datasets--who--what/refs/main
cp own/d/test.txt hub/datasets--who--what/snapshots/c0/test.txt
ASSAY_SHARE=$tmp/share run tasks
check another_folder_of_tasks both works says '^elsewhere +40 +mcc,accuracy +CC0 *$'
mkdir -p prefix/bin prefix/share/assay
cp "$ASSAY" prefix/bin/assay
cp -R share/tasks prefix/share/assay/tasks
binary=$ASSAY ASSAY=$tmp/prefix/bin/assay
run tasks
check tasks_beside_an_installed_program both works says '^elsewhere '
ASSAY=$binary

# --- real data ---
if [[ -n $data_dir ]]; then
    run tasks --data-dir "$data_dir"
    check items_of_real_data says '^sst2 +6,920 +872 +1,821 +accuracy '
    run eval "$model" --task rte --data-dir "$data_dir" --limit 8
    check a_fresh_head_on_real_data both works says '^ *accuracy .* 8 '
else
    echo "skip items_of_real_data: no ASSAY_DATA"
fi
