#!/usr/bin/env bash
# The commands on the bundled checkpoint and sentences: results on standard output, everything else on standard error.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

# --- info, tokenize ---
run info "$model"
check info_of_a_model both works says '^parameters +974,976$'
check info_says_what_it_takes says '^tokens/s +about [0-9,]+ to run, [0-9,]+ to train$'
run info "$model" --json
check info_as_json printed_json
"$ASSAY" finetune "$model" --data "$data" --limit 40 --steps 1 --dev-fraction 0 --out untold --db untold.db --quiet >/dev/null 2>&1
chmod -R u+w untold; sed -i '/"problem_type"/d' untold/config.json
run info untold
check info_says_the_kind_that_is_meant both works says '^classifier +single_label_classification$'
run info
check info_of_the_machine both works says '^instructions +(portable|avx)'
check info_says_what_multiplies says '^products +(oneDNN [0-9.]+|own)$'

run tokenize "$model" '我们 like it'
check tokenize_shows_a_table both works says '^ +[0-9]+  我 +0 +1$'
run tokenize "$model" '我们 like it' --json
check tokenize_offsets_count_characters says '"offsets":\[\[0,0\],\[0,1\],\[1,2\],\[3,7\],\[8,10\],\[0,0\]\],"type_ids":\[0,0,0,0,0,0\]\}$'
check tokenize_as_json printed_json
cut -d, -f2- "$data" >texts
run tokenize "$model" --file texts --json --threads 1
cp out ids
check tokenize_prints_a_line_for_each_text test "$(wc -l <ids)" = "$(wc -l <texts)"
run tokenize "$model" --file texts --json --threads 3
check tokenize_order_does_not_depend_on_threads cmp -s out ids
run tokenize "$model" --check ids
check check_of_the_same_ids_passes both works says '^748 texts'
sed '5s/"ids":\[2,/"ids":[3,/' ids >wrong
run tokenize "$model" --check wrong
check check_shows_the_first_difference says '^line 5, ids\[0\]: stored 3, here 2 \(\[CLS\]\)'
check check_that_fails_is_status_1 test "$status" = 1
run tokenize "$model" --check ids --file "$data"
check check_against_other_texts_fails test "$status" = 1
printf 'one\r\ntwo' >crlf
run tokenize "$model" --file crlf --json
check carriage_return_is_no_text says '"text":"one"'
run tokenize "$model" --file crlf --json --keep-cr
check carriage_return_is_kept_on_demand says '"text":"one\\r"'
printf 'from stdin\n' | "$ASSAY" tokenize "$model" --file - --json >out 2>err
check standard_input_is_read says '"text":"from stdin"'

# --- finetune ---
train=("$model" --data "$data" --limit 80 --steps 5 --batch-size 8)
run finetune "${train[@]}" --dry-run
check dry_run_says_steps_time_memory both works says '^needs +about .* of memory$'
check dry_run_leaves_nothing test ! -e assay.db
run finetune "${train[@]}" --out ft
check finetune_says_where_it_saved both works says '^saved +ft \(step 5 of 5\)$'
check finetune_result_fits_100_columns columns out
check finetune_logs_evaluations_on_stderr grep -q 'step 5: train loss' err
check finetune_saves_a_checkpoint test -s ft/model.safetensors -a -s ft/config.json -a -s ft/tokenizer.json
sum=$(cksum <ft/model.safetensors)
run finetune "${train[@]}" --out ft --json
check finished_finetune_is_a_no_op both works says '"from_store":true'
check finetune_as_json printed_json
run finetune "${train[@]}" --out ft --lr 1e-3
fails out_with_another_result_is_refused 2 'ft: holds the result of another run' '--again'
check refused_run_leaves_the_checkpoint test "$(cksum <ft/model.safetensors)" = "$sum"
run finetune "${train[@]}" --out ft2 --threads 1 --quiet --db other.db
check weights_do_not_depend_on_threads test "$(cksum <ft2/model.safetensors)" = "$sum"
check quiet_is_quiet_but_for_warnings test -z "$(grep -v '^warning: ' err)"
run finetune "$model" --data "$data" --limit 40 --epochs 1 --folds 2 --quiet
check folds_print_one_result both works says '40 items, 2 folds'

# --- eval, runs ---
run eval ft --data "$data" --limit 60
check eval_prints_value_and_interval both works says '^  accuracy +[01]\.[0-9]{4} \[[01]\.[0-9]{3}, [01]\.[0-9]{3}\]  60  wilson$'
check eval_prints_classes_and_confusion both works says '^  gold . predicted +negative +positive$'
check eval_fits_100_columns columns out
check eval_says_where_it_is_stored says '^stored +run [0-9]+ in assay.db$'
run eval ft --data "$data" --limit 60 --json
check eval_as_json printed_json
check eval_repeated_has_the_same_run says "^\{\"kind\":\"metric\",\"run\":$("$ASSAY" runs --json | sed -n '$s/.*"run":\([0-9]*\),.*/\1/p'),"
grep -v confusion out >first
run eval ft --data "$data" --limit 60 --json --again --threads 1 --batch-tokens 64
grep -v confusion out | sed 's/"run":[0-9]*/"run":/' >second
sed -i 's/"run":[0-9]*/"run":/' first
check eval_again_gives_the_same_numbers cmp -s first second
run eval ft --data "$data" --limit 60 --json --items --metric accuracy
check eval_items_are_printed test "$(grep -c '"kind":"item"' out)" = 60
check eval_items_are_json printed_json
run eval ft "$model/../tiny-bert" --data "$data" --limit 60 --labels negative,positive
check eval_of_two_models test "$(grep -c '^  accuracy' out)" = 2
check fresh_head_is_in_the_result says '^warning +the classification head is not trained'
run eval ft --data "$data" --limit 60 --csv with.csv --quiet
check csv_has_the_predictions grep -q '^id,text,label,lang,prediction,probability:negative,probability:positive$' with.csv
check csv_has_every_record test "$(wc -l <with.csv)" = 61
run eval ft --data "$data" --limit 60 --max-length 5
check truncated_items_are_in_the_result says '^warning +[0-9]+ of 60 items were cut'
run runs
check runs_are_listed both works says '^ +1  finetune +tiny-bert +sentiment.csv'
cp -r ft 一个名字很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长的模型
run eval 一个* --data "$data" --limit 10
check long_names_fit_100_columns columns out
run runs
check runs_fit_100_columns both works columns out
run runs show 1
check runs_show_one both works says '^run 1  finetune  tiny-bert on sentiment.csv  done$'
check runs_show_says_of_which_bytes says "^weights +[0-9a-f]{64}$"
check runs_show_says_the_program says "^program +$(sha256sum "$ASSAY" | cut -d' ' -f1)$"
check runs_show_says_the_command says '^typed +assay finetune tiny-bert --data sentiment.csv '
check runs_show_has_no_path test "$(grep -c "$tmp\|$root" out)" = 0
run runs --json
check runs_as_json printed_json
run runs show 999
fails runs_of_an_unknown_number 2 'no run 999'
run runs --db none.db
fails runs_without_a_store 3 'none.db'
check a_missing_store_is_not_made test ! -e none.db

# --- what is replaced is counted ---
replaces() { grep -qx "warning: $1: invalid UTF-8 was replaced in $2" err; }
printf 'text,label\nb\303\050d \377,negative\ngood,positive\n' >lossy.csv
run eval ft --data lossy.csv --encoding utf-8-lossy
check replaced_bytes_are_counted both works replaces lossy.csv '2 places'
run predict ft --data lossy.csv --encoding utf-8-lossy --quiet
check quiet_predictions_count_them_too both works replaces lossy.csv '2 places'
printf 'a\377\n' >lossy.txt
run tokenize ft --file lossy.txt --encoding utf-8-lossy
check replaced_bytes_of_lines_are_counted both works replaces lossy.txt '1 place'
run score --pred lossy.txt --gold lossy.txt --encoding utf-8-lossy --metric accuracy
check replaced_bytes_of_scores_are_counted both works replaces lossy.txt '1 place'

# --- predict, fill, embed ---
run predict ft 'Simply a joy.' '我们都很失望，服务员说话凶巴巴的，这是一个很长很长很长很长很长很长很长很长很长的句子，真的很长很长很长。'
check predict_prints_a_line_each test "$(grep -cE '^(negative|positive)  0\.[0-9]{4}  ' out)" = 2
check predict_fits_100_columns columns out
check predict_has_nothing_to_add silent
run predict ft 'Simply a joy.' --json
check predict_as_json both printed_json says '"probs":\{"negative":0\.[0-9]+,"positive":0\.[0-9]+\},"logits":\[.*\]\}$'
run predict ft --file texts --json
check predict_file_keeps_the_order test "$(wc -l <out)" = "$(wc -l <texts)"
run predict ft --data "$data" --csv predicted.csv --limit 5
check predict_writes_csv test "$(wc -l <predicted.csv)" = 6
run fill "$model" 'The food was [MASK] and [MASK].' --top 3 --json
check fill_as_json both printed_json test "$(wc -l <out)" = 6
run fill "$model" 'The food was [MASK].'
check fill_prints_words test "$(grep -cE '^0\.[0-9]{4}  ' out)" = 5
run embed "$model" hello 世界 --json
check embed_as_json both printed_json test "$(grep -c '"dim":128' out)" = 2
run embed "$model" hello
check embed_prints_numbers test "$(wc -w <out)" = 128

# --- other kinds of labels, pairs ---
awk -F, 'NR == 1 { print "text,label" } NR > 1 && NR <= 41 { print $1 "," $NF ";" (NR % 2 ? "odd" : "even") }' "$data" >sets.csv
run finetune "$model" --data sets.csv --kind multilabel --steps 2 --out multi --quiet
check multilabel_is_trained both works says '^  f1\(micro\)'
run eval multi --data sets.csv --limit 3 --items --json
check multilabel_items_have_lists both printed_json says '"gold":\["[a-z]+","(odd|even)"\],"labels":\['
awk -F, 'NR == 1 { print "text,label" } NR > 1 && NR <= 41 { print $1 "," NR / 10 }' "$data" >numbers.csv
run finetune "$model" --data numbers.csv --kind regress --steps 2 --out number --quiet
check regression_is_trained both works says '^  pearson'
run predict number hi --json
check regression_predicts_a_number both printed_json says '"value":-?[0-9.e-]+,'
awk -F, 'NR == 1 { print "first,second,label" } NR > 1 && NR <= 41 { print $1 ",again," (NR % 2 ? "odd" : "even") }' "$data" >pairs.csv
run finetune "$model" --data pairs.csv --text first --pair second --steps 2 --out pair --quiet
check pairs_are_trained works
run predict pair --data pairs.csv --text 1 --pair 2 --limit 1 --json
check pairs_are_predicted both printed_json says '"text":"[^"]*","pair":"again"'
printf 'odd one two\neven three\nodd four\neven five\n' >plain
run eval pair --data plain --sep ' ' --max-split 1 --columns label,text --metric accuracy
check other_tables_are_read both works says '^  accuracy .*  4  wilson'

# --- score ---
printf 'a\nb\na\nb\na\n' >gold
printf 'a\nb\nb\nb\na\n' >pred
run score --pred pred --gold gold --metric 'accuracy,f1(class:b),mcc'
check score_of_two_files both works says '^  accuracy +0\.8000 \[0\.376, 0\.964\]  5  wilson$'
check score_of_a_class says '^  f1\(class:b\) +0\.8000 '
run score --pred pred --gold gold --json
check score_as_json printed_json
printf 'truth,said,p\nyes,yes,"{""yes"":0.9,""no"":0.1}"\nno,yes,"{""yes"":0.6,""no"":0.4}"\nno,no,"{""yes"":0.2,""no"":0.8}"\n' >both.csv
run score --pred both.csv --pred-column said --gold-column truth --probs-column p --metric accuracy,log_loss --labels yes,no
check score_of_one_table both works says '^  log_loss +0\.4149 '
run score --pred both.csv --gold-column truth --probs-column p --labels yes,no --metric accuracy
check score_takes_the_most_probable_label says '^  accuracy +0\.6667 '
printf '1\n2\n3.5\n' >x
run score --pred x --gold x --kind regress --metric mse,pearson
check score_of_numbers both works says '^  mse +0\.0000'
printf 'x;y\n\ny\n' >sets
run score --pred sets --gold sets --kind multilabel --metric subset_accuracy
check score_of_sets both works says '^  subset_accuracy +1\.0000'
printf 'a\na\na\na\na\n' >one
run score --pred one --gold one --metric mcc,roc_auc --json
check score_without_probabilities_is_an_error test "$status" = 2
run score --pred both.csv --pred-column said --gold-column said --probs-column p --metric roc_auc --labels yes,no --limit 1 --json
check undefined_is_null_with_a_reason both works says '"value":null,.*"why":"'
printf 'a\nb\n' >short
run score --pred short --gold gold
fails score_of_different_lengths 4 'short has 2 values, gold has 5'
run score --pred both.csv --pred-column sad --gold gold
fails score_of_an_unknown_column 2 'no column "sad"' 'said'
