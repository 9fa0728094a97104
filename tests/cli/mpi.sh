#!/usr/bin/env bash
# Several processes under mpirun: the same bits as one, one message for what fails, and nothing lost when a rank is killed.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

if ! command -v mpirun >/dev/null; then
    echo "skip mpi: no mpirun here"
    exit 0
fi
launch=(timeout 300 mpirun --oversubscribe)
[[ $(id -u) -ne 0 ]] || launch+=(--allow-run-as-root)
export ASAN_OPTIONS=detect_leaks=0 # of the MPI library
# ranks N ARGS...: as run, in N processes. What mpirun itself says of a status other than 0 is not ours.
ranks() {
    local n=$1
    shift
    "${launch[@]}" -n "$n" "$ASSAY" "$@" >out 2>all </dev/null
    status=$?
    grep -E '^(assay|hint|warning|epoch|saved)' all >err
    out=$(<out) err=$(<err)
}
ranks 2 eval "$model" --data "$data" --limit 2 --db none.db --quiet
if grep -q 'built without MPI' err; then
    check a_build_without_mpi_refuses test "$status $(grep -c '^assay: ' err)" = "2 1"
    echo "skip mpi: built without MPI"
    exit 0
fi
sizes=(2)
[[ -z ${ASSAY_FULL:-} ]] || sizes=(2 3 4)

# --- the same bits ---
recipe=(--data "$data" --limit 200 --batch-size 32 --lr 1e-3 --quiet)
"$ASSAY" finetune "$model" "${recipe[@]}" --steps 12 --eval-every 5 --out ft1 --db one.db --json >train1 2>/dev/null
"$ASSAY" eval ft1 --data "$data" --db one.db --items --json --quiet >items1 2>/dev/null
same() { sed -E 's/"(seconds|peak_bytes|items_per_second|train_seconds|run|finetune_run|threads|out|model)":[^,}]*//g' "$1"; }
held() { grep -o '"loss":.*' "$1"; } # of the held-out text, to the end of the object
logs() { "$ASSAY" runs show 1 --db "$1" 2>/dev/null | grep -Ec 'accuracy'; }
for n in "${sizes[@]}"; do
    ranks "$n" finetune "$model" "${recipe[@]}" --steps 12 --eval-every 5 --out "ft$n" --db "$n.db" --json
    check "finetune_on_${n}_ranks_works" both works printed_json
    check "finetune_on_${n}_ranks_saves_the_same_bytes" cmp -s ft1/model.safetensors "ft$n/model.safetensors"
    check "finetune_on_${n}_ranks_scores_the_same" cmp -s <(same train1) <(same out)
    check "finetune_on_${n}_ranks_is_stored_once" test "$("$ASSAY" runs --db "$n.db" --json | wc -l),$(logs "$n.db")" = "1,$(logs one.db)"
    ranks "$n" eval ft1 --data "$data" --db "$n.db" --items --json --quiet
    check "eval_on_${n}_ranks_has_the_same_items" cmp -s <(same items1) <(same out)
    "$ASSAY" eval ft1 --data "$data" --db "$n.db" --items --json --quiet >out 2>err
    check "eval_on_${n}_ranks_is_stored" cmp -s <(same items1) <(same out)
done
if [[ -n ${ASSAY_FULL:-} ]]; then # what has code of its own: bf16, folds, patience, accumulation, frozen weights
    more=(--batch-size 16 --accumulate 2 --grad-shards 4 --freeze 'bert.encoder.layer.0.*' --weight-decay 0.1 --dtype bf16 --steps 9)
    run finetune "$model" "${recipe[@]}" "${more[@]}" --out more1
    ranks 4 finetune "$model" "${recipe[@]}" "${more[@]}" --out more4
    check finetune_with_other_options_saves_the_same_bytes cmp -s more1/model.safetensors more4/model.safetensors
    run finetune "$model" "${recipe[@]}" --epochs 1 --folds 2 --json
    cp out folds1
    ranks 2 finetune "$model" "${recipe[@]}" --epochs 1 --folds 2 --json
    check folds_on_2_ranks_score_the_same cmp -s <(same folds1) <(same out)
    head -50 "$data" >small.csv
    run eval ft1 --data "$data" --calibrate small.csv --perturb all --json --quiet
    cp out extra1
    ranks 3 eval ft1 --data "$data" --calibrate small.csv --perturb all --json --quiet --db extra.db
    check extras_on_3_ranks_are_the_same cmp -s <(same extra1 | sed 's/"dev_run":[0-9]*//') <(same out | sed 's/"dev_run":[0-9]*//')
    run eval ft1 --data "$data" --until 0.06 --metric accuracy --json --quiet
    cp out until1
    ranks 2 eval ft1 --data "$data" --until 0.06 --metric accuracy --json --quiet --db until.db
    check until_on_2_ranks_stops_at_the_same_item cmp -s <(same until1) <(same out)
fi
grid=("$model" "scratch:$model" --data "$data" --limit 120 --seeds 2 --steps 4 --json --quiet)
run bench "${grid[@]}" --out bench1 --db bench1.db
cp out bench1.out
for n in "${sizes[@]}"; do
    ranks "$n" bench "${grid[@]}" --out "bench$n" --db "bench$n.db"
    check "bench_on_${n}_ranks_has_the_same_numbers" cmp -s <(same bench1.out) <(same out)
done

# --- pre-training ---
tail -n +2 "$data" | head -240 | sed 'n;n;n;G' >text.txt
"$ASSAY" data corpus text.txt --tokenizer "$model" --out corpus --heldout 0.2 --quiet >/dev/null 2>&1
objectives=(mlm)
[[ -z ${ASSAY_FULL:-} ]] || objectives=(mlm clm rtd)
for objective in "${objectives[@]}"; do
    pre=(--shape tiny --tokenizer "$model" --corpus corpus --objective "$objective" --steps 6 --eval-every 3 --max-length 64 --quiet --json)
    [[ $objective != mlm ]] || pre+=(--pseudo-perplexity 7)
    run pretrain "${pre[@]}" --out "pre1$objective" --db pre1.db
    cp out pre1.out
    for n in "${sizes[@]}"; do
        ranks "$n" pretrain "${pre[@]}" --out "pre$n$objective" --db "pre$n.db"
        check "pretrain_${objective}_on_${n}_ranks_saves_the_same_bytes" cmp -s "pre1$objective/model.safetensors" "pre$n$objective/model.safetensors"
        check "pretrain_${objective}_on_${n}_ranks_has_the_same_heldout_loss" cmp -s <(held pre1.out) <(held out)
        [[ $objective != mlm ]] || check "pretrain_on_${n}_ranks_has_the_same_pseudo_perplexity" cmp -s <(grep -o '"pseudo_perplexity":.*' pre1.out) <(grep -o '"pseudo_perplexity":.*' out)
    done
done

# --- one message ---
ranks 2 eval ft1 --data missing.csv --quiet
fails a_missing_file_is_told_once 3 'missing\.csv'
ranks 2 eval ft1 --data - --quiet
fails standard_input_cannot_be_shared 2 'several processes'
ranks 2 finetune "$model" "${recipe[@]}" --steps 3 --grad-shards 1 --out refused
fails more_ranks_than_shards_are_refused 2 '2 processes, and 1 gradient shard' 'grad-shards'
check what_is_refused_leaves_nothing test ! -e refused
ranks 2 eval --no-such-option
fails a_wrong_option_is_told_once 2 'no-such-option'
ranks 2 runs --db one.db
check other_commands_run_once test "$status $(grep -c ' finetune ' out)" = "0 1"
# one_sees_another FILE...: rank 1 is given another file than rank 0.
cat >differ <<'SH'
#!/bin/bash
data=$1 other=$2
shift 2
[[ $OMPI_COMM_WORLD_RANK == 0 ]] || data=$other
exec "$ASSAY" eval ft1 --data "$data" --db differ.db --quiet
SH
chmod +x differ
printf 'text,label\na,b\n"unclosed,b\n' >bad.csv
"${launch[@]}" -n 2 ./differ "$data" bad.csv >out 2>all </dev/null
status=$?
grep -E '^(assay|hint)' all >err
check an_error_on_one_rank_is_told_once test "$status $(grep -c '^assay: bad.csv' err) $(grep -c '^assay: ' err)" = "4 1 1"

# --- killed ---
long=("${recipe[@]}" --steps 40 --eval-every 15 --checkpoint-every 0.0005)
"$ASSAY" finetune "$model" "${long[@]}" --out whole --db whole.db >/dev/null 2>&1
kills=0 rounds=3 code=1
RANDOM=11
[[ -z ${ASSAY_FULL:-} ]] || rounds=25
for ((i = 0; i < rounds; i++)); do
    "${launch[@]}" -n 2 "$ASSAY" finetune "$model" "${long[@]}" --out killed --db killed.db >/dev/null 2>&1 </dev/null &
    job=$!
    for ((wait = 0; wait < 200; wait++)); do # until mpirun has started the ranks, which a slow build takes its time for
        mapfile -t pids < <(pgrep -P "$(pgrep -P "$job" -x mpirun || echo "$job")" | sort -n)
        ((${#pids[@]} == 0)) && kill -0 "$job" 2>/dev/null || break
        sleep 0.05
    done
    if ((i > 0)); then
        sleep "$((i % 3 ? 1 : 0)).$((RANDOM % 900 + 100))"
    else # the first as soon as there is a checkpoint: a fast machine is soon at the end
        appears killed/training/state.safetensors "$job"
    fi
    if ((${#pids[@]} > 0)) && kill -9 "${pids[RANDOM % ${#pids[@]}]}" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$job"
    code=$?
    ((code != 0)) || break
done
((code == 0)) || ranks 2 finetune "$model" "${long[@]}" --out killed --db killed.db
check a_killed_rank_ends_the_job_and_the_same_command_ends_in_the_same_bytes cmp -s whole/model.safetensors killed/model.safetensors
check a_rank_was_killed_at_least_once test "$kills" -gt 0

# --- Ctrl-C, then another number of ranks ---
"${launch[@]}" -n 2 "$ASSAY" finetune "$model" "${long[@]}" --steps 4000 --out stopped --db stopped.db >out 2>all </dev/null &
job=$!
for ((i = 0; i < 200; i++)); do
    [[ -s stopped/training/state.safetensors ]] && break
    sleep 0.05
done
kill -INT "$(pgrep -P "$job" -x mpirun || echo "$job")"
wait "$job"
status=$?
grep -E '^(assay|hint)' all >err
check an_interrupt_ends_all_with_one_message test "$((status != 0)) $(grep -c '^assay: interrupted at step' err) $(grep -c '^assay: ' err)" = "1 1 1"
check an_interrupt_leaves_a_checkpoint test -s stopped/training/state.safetensors
