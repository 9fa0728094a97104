#!/usr/bin/env bash
# Help, completion and the man page come from the tables; wrong usage is said with the nearest name.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

run --help
check help_lists_commands both works says '^  finetune '
commands=$(sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' out)
run
check no_arguments_show_help_with_status_2 test "$status" = 2
run --version
check version_is_one_line says '^assay [0-9]+\.[0-9]+\.[0-9]+$'

"$ASSAY" --man >man
"$ASSAY" --completion bash >bash
"$ASSAY" --completion zsh >zsh
for c in $commands; do
    run "$c" --help
    check "help_of_${c}_has_an_example" both works says "^  \\$ assay $c"
    check "help_of_${c}_fits_100_columns" columns out
    check "manual_has_$c" grep -q "^\.B assay $c " man
    check "completions_have_$c" grep -q "^        $c) words='" bash
    # Each option that help shows is taken: with a value that cannot be, or without one, never as unknown.
    refused=
    while read -r name arg; do
        grep -q -- "--$name" bash && grep -q -- "--$name" zsh && grep -q -- "$(sed 's/-/\\\\-/g' <<<"--$name")" man || refused+=" unlisted:$name"
        [[ $name == help ]] && continue
        if [[ -n $arg ]]; then run "$c" "--$name"; else run "$c" "--$name=x"; fi
        ((status == 2)) && grep -Eq -- "^assay: --$name (needs a value|takes no value)" err || refused+=" $name"
    done < <("$ASSAY" "$c" --help | sed -n 's/^  --\([a-z-]*\) \{0,1\}\([^ ]*\).*/\1 \2/p')
    check "options_of_${c}_are_taken" test -z "$refused"
done
if command -v man >/dev/null; then
    man --warnings -l man >/dev/null 2>manlog
    check manual_has_no_roff_warnings test ! -s manlog
fi
bash -n bash
check bash_completion_parses test $? = 0

run evla
fails unknown_command_names_the_nearest 2 'unknown command "evla"' 'Did you mean eval'
run --hlep
fails unknown_option_before_a_command 2 'unknown option --hlep' 'help'
run eval "$model" --dta x
fails unknown_option_names_the_nearest 2 'unknown option --dta' 'Did you mean --data'
run eval "$model" --lr 1
fails option_of_another_command_says_whose 2 'eval takes no --lr' 'finetune'
run eval -x
fails short_options_are_unknown 2 'unknown option -x' 'two dashes'
run finetune "$model" --lr
fails missing_value 2 '--lr needs a value' '--lr X'
run finetune "$model" --lr abc
fails value_is_no_number 2 '--lr: "abc" is not a number'
run finetune "$model" --batch-size=1.5
fails value_is_no_whole_number 2 '--batch-size: "1.5" is not a whole number'
run finetune "$model" --batch-size 0
fails value_out_of_range 2 '--batch-size: "0" is too small' 'from 1'
run finetune "$model" --schedule linaer
fails unknown_choice_lists_them 2 'unknown value "linaer"' 'linear\|cosine'
run eval "$model" --data "$data" --isa sse9
fails unknown_isa 2 '--isa: unknown level "sse9"' 'portable'
run eval
fails missing_argument 2 'eval needs an argument' 'Usage: assay eval MODEL'
run eval "$model"
fails missing_data 2 'eval: no data' '--data'
run finetune "$model" --data "$data"
fails missing_out 2 'no folder for the result' '--out'
run finetune "$model" second --data "$data"
fails too_many_arguments 2 'one argument too many: "second"'
run predict "$model"
fails missing_text 2 'predict: no text' '--file'
run eval nowhere/model/at/all --data "$data"
fails missing_model 3 'no such folder' 'config.json'
run eval "$model" --data "$data" --metric accuracy,acuracy
fails unknown_metric_names_the_nearest 2 'unknown metric "acuracy"' 'accuracy'
run finetune "$model" --data "$data" --out never --metric acuracy
fails unknown_metric_before_training 2 'unknown metric' 'accuracy'
check nothing_is_left_of_wrong_usage test ! -e never -a ! -e assay.db

printf 'epochs: 1\nbatch_size: 4\nlr: 1e-4\nlimit: 40\nmetric: [accuracy, mcc]\n' >recipe.yaml
run finetune "$model" --data "$data" --recipe recipe.yaml --dry-run --dev-fraction 0
check recipe_sets_options both works says '^steps +10 of 4 items'
run finetune "$model" --data "$data" --recipe recipe.yaml --batch-size 8 --dry-run --dev-fraction 0
check command_line_wins_over_recipe both works says '^steps +5 of 8 items'
echo 'batchsize: 4' >recipe.yaml
run finetune "$model" --data "$data" --recipe recipe.yaml
fails recipe_with_unknown_option 2 'recipe.yaml: unknown option --batchsize' '--batch-size'
echo 'lr: fast' >recipe.yaml
run finetune "$model" --data "$data" --recipe recipe.yaml
fails recipe_with_a_wrong_value 2 'recipe.yaml: lr: "fast" is not a number'
printf 'lr: [1\n' >recipe.yaml
run finetune "$model" --data "$data" --recipe recipe.yaml
fails recipe_that_is_no_yaml 4 'recipe.yaml'

run tokenize "$model" -- --help
check two_dashes_end_the_options both works says '^ *[0-9]+  help +2 +6'
