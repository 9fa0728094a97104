#!/usr/bin/env bash
# Pre-training from text, English and Chinese: the same bits whatever the threads, after being killed, and with --recompute.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

for i in {1..60}; do
    printf 'The film number %d was a joy. It had %d scenes, and a story that I liked!\nThe actors were good in part %d.\n\n' "$i" $((i * 7 % 50)) $((i % 9))
    printf '第%d部电影很好看。我喜欢其中的%d个故事，演员也不错。\n\n' "$i" $((i * 3 % 40))
done >text.txt
run data corpus text.txt --tokenizer "$model" --rules none --heldout 0.1 --out corp --quiet
check a_corpus_is_made works
train=(pretrain --corpus corp --shape tiny --steps 12 --batch-size 8 --max-length 64 --quiet)

run "${train[@]}" --out one --threads 2 --json
check pretraining_prints_json both works printed_json
check heldout_loss_has_an_interval grep -Eq '"loss":[0-9.]+,"loss_low":[0-9.]+,"loss_high":[0-9.]+' out
for f in config.json model.safetensors tokenizer.json log.jsonl assay.json; do check "out_holds_$f" test -s "one/$f"; done
check training_folder_is_gone test ! -e one/training
check log_has_each_step test "$(grep -c '"kind":"step"' one/log.jsonl)" = 12
run "${train[@]}" --out two --threads 1 --recompute --db other.db
check one_thread_and_recompute_have_the_same_bits both works cmp -s one/model.safetensors two/model.safetensors
run "${train[@]}" --out one --threads 2
check a_finished_command_is_not_done_again both works says 'nothing to do'
run "${train[@]}" --out one --threads 2 --pseudo-perplexity 5 --json
check pseudo_perplexity_of_a_finished_run both works grep -Eq '"pseudo_perplexity":[0-9.]+,"pseudo_perplexity_low":[0-9.]+,"pseudo_perplexity_high":[0-9.]+,"pseudo_sequences":5' out
pseudo=$(grep -o '"pseudo_perplexity":.*' out)
run "${train[@]}" --out pseudo --threads 1 --pseudo-perplexity 5 --json --db pseudo.db
check pseudo_perplexity_does_not_depend_on_threads test "$pseudo" = "$(grep -o '"pseudo_perplexity":.*' out)"
check pseudo_perplexity_is_logged test "$(tail -1 pseudo/log.jsonl | grep -c '^{"kind":"pseudo_perplexity","step":12,"sequences":5,')" = 1
run runs show 1 --db pseudo.db
check pseudo_perplexity_is_stored says 'pseudo_perplexity'
run "${train[@]}" --out x --objective clm --pseudo-perplexity 5
fails pseudo_perplexity_of_a_causal_model 2 'clm predicts no masked words' 'Leave it out'
check a_refusal_writes_nothing test ! -e x
run "${train[@]}" --out one --save-dtype bf16
fails other_numbers_are_refused 2 'in other numbers' '--again'
run "${train[@]}" --out half --save-dtype bf16 --db half.db
check bfloat16_takes_half_the_bytes both works test $(($(stat -c %s half/model.safetensors) * 2)) -lt $(($(stat -c %s one/model.safetensors) + 20000))
run "${train[@]}" --out half --save-dtype bf16 --db half.db
check bfloat16_is_not_done_again both works says 'nothing to do'
run fill half '电影很[MASK]。'
check bfloat16_can_be_used works
run fill one '电影很[MASK]。'
check the_result_can_be_used works
run info one
check the_result_has_the_head says 'BertForMaskedLM'

# Killed with -9 at random instants, several times over, then to the end.
undisturbed=one/model.safetensors long=(--checkpoint-steps 2)
RANDOM=7 rounds=3 kills=0
if [[ -n ${ASSAY_FULL:-} ]]; then
    rounds=30 undisturbed=whole/model.safetensors long=(--checkpoint-steps 2 --steps 100)
    "$ASSAY" "${train[@]}" "${long[@]}" --out whole --db whole.db >/dev/null 2>&1
fi
for ((i = 0; i < rounds; i++)); do
    "$ASSAY" "${train[@]}" "${long[@]}" --out killed --db killed.db >/dev/null 2>&1 </dev/null &
    pid=$!
    if ((i > 0)); then
        sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
    else # the first as soon as it has made a step: a fast machine is at the end before a second is over
        appears killed/log.jsonl $pid
    fi
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
run "${train[@]}" "${long[@]}" --out killed --db killed.db
check killed_training_ends_as_an_undisturbed_one both works cmp -s "$undisturbed" killed/model.safetensors
check killed_training_logs_each_step_once test "$(grep '"kind":"step"' killed/log.jsonl | grep -o '"step":[0-9]*' | sort -u | wc -l)" = "$(grep -c '"kind":"step"' killed/log.jsonl)"
check training_was_killed test "$kills" -gt 0

# A training whose weights grow without bound ends with status 7, and leaves its last good checkpoint as the result.
wild=(pretrain --corpus corp --shape tiny --steps 100 --batch-size 2 --max-length 32 --warmup 0.9 --lr 10 --weight-decay 1 --clip 1e6 --checkpoint-steps 5 --quiet)
run "${wild[@]}" --out wild --db wild.db
fails a_training_off_its_course_ends 7 'step [0-9]+: the (loss|gradient) is' 'smaller --lr'
check the_last_good_step_is_named grep -Eq '^warning: wild: holds the weights of step [0-9]*[05], the last good checkpoint' err
run info wild
check the_last_good_model_is_saved both works says 'BertForMaskedLM'
run fill wild '电影很[MASK]。' --json
check the_last_good_model_can_be_used both works test "$(grep -c nan out)" = 0
check what_went_wrong_is_not_finished grep -q '"finished": false' wild/assay.json
run "${wild[@]}" --out wild2 --db wild2.db
check it_ends_at_the_same_step test "$status" = 7
check the_last_good_model_is_the_same cmp -s wild/model.safetensors wild2/model.safetensors

for o in mlm+nsp mlm+sop; do
    run "${train[@]}" --steps 3 --objective $o --out "pair-$o" --whole-words --json
    check "pairs_${o#*+}" both works grep -q '"second_accuracy":' out
    run info "pair-$o"
    check "pairs_${o#*+}_save_both_heads" says 'BertForPreTraining'
done
run pretrain --corpus corp --model one --steps 3 --batch-size 8 --max-length 64 --out on --dtype bf16 --batch-warmup 2 --schedule wsd --quiet
check training_goes_on_from_a_checkpoint works
run pretrain --corpus text.txt --tokenizer "$model" --shape tiny --tokens 2000 --batch-size 4 --max-length 64 --out raw --quiet
check plain_texts_become_a_corpus both works test -s raw/corpus/corpus.json
run pretrain --corpus corp --shape tiny --out dry --dry-run --json
check a_plan_is_printed both works grep -q '"kind":"plan"' out

for i in {1..40}; do printf 'Another text, number %d, about 书 and trains.\n\n' "$i"; done >more.txt
run data corpus more.txt --tokenizer "$model" --rules none --heldout 0.1 --out more --quiet
run "${train[@]}" --corpus more --steps 3 --out joined --db joined.db
check several_corpora_are_trained_on_as_one works
run runs --db joined.db
check several_corpora_are_named says 'corp\+more'
run "${train[@]}" --corpus more.txt --out x
fails a_corpus_beside_a_text 2 'a corpus folder beside texts' 'assay data corpus'
cp -r more other && sed -i 's/\("tokenizer.json":"\)...../\100000/' other/corpus.json
run "${train[@]}" --corpus other --out x
fails corpora_of_two_tokenizers 2 'other: was made with another tokenizer than corp' 'same --tokenizer'
run "${train[@]}" --out one --seed 2
fails another_run_is_refused 2 'one: holds the result of another run' 'another --out'
run pretrain --shape tiny --out x
fails no_corpus 2 'no corpus' '--corpus'
run pretrain --corpus corp --out x
fails no_model 2 'no model' '--shape'
run "${train[@]}" --out x --objective dream
fails unknown_objective 2 'objective "dream"' 'mlm'
run "${train[@]}" --out x --tokens 5
fails two_budgets 2 'two budgets' 'one of'
run "${train[@]}" --out x --max-length 1000
fails too_long 2 'beyond the 512 positions' 'at most 512'
run pretrain --corpus nowhere.txt --tokenizer "$model" --shape tiny --out x --quiet
fails missing_text 3 'nowhere.txt'

run "${train[@]}" --out one --threads 2 --json
number=$(grep -o '"run":[0-9]*' out | cut -d: -f2)
run report "$number" -o page.html
check a_report_plots_the_curve both works grep -q 'Training loss' page.html
check a_report_shows_heldout_metrics grep -q 'perplexity' page.html
check a_report_plots_the_heldout_loss grep -q 'Held-out loss' page.html

# --- the line on a terminal ---
if command -v python3 >/dev/null; then
    on_terminal pretrain --corpus corp --shape tiny --steps 240 --batch-size 8 --max-length 64 --eval-every 80 --out drawn
    line='^  pre-train, loss [0-9.]+ [━╸─]+ +[0-9]+ % .* [0-9.]+ steps?/s'
    check progress_is_drawn both works says "$line"
    check progress_goes_on_behind_an_evaluation test "$(awk '/step 80, epoch/ {seen = 1} seen' out | grep -Ec "$line")" -ge 2
    run data corpus "$data" --text text --tokenizer "$model" --rules none --heldout 0.5 --out half --quiet
    on_terminal pretrain --corpus half --shape tiny --steps 2 --batch-size 8 --max-length 64 --out scored --pseudo-perplexity 400
    check progress_of_pseudo_perplexity both works says '^  pseudo-perplexity [━╸─]+ +[0-9]+ %'
fi
