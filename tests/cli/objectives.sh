#!/usr/bin/env bash
# Pre-training by next tokens (GPT-2) and by replaced tokens (ELECTRA): what is said, saved and gone on with.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

for i in $(seq 60); do tail -n +2 "$data" | cut -d, -f2 | sed -n "$((i * 5 + 1)),$((i * 5 + 5))p"; echo; done >text.txt
run data corpus text.txt --tokenizer "$model" --heldout 0.2 --out corpus --quiet
check corpus_is_made works
for objective in clm rtd; do
    run pretrain --corpus corpus --shape tiny --objective "$objective" --steps 4 --batch-size 4 --max-length 32 --out "$objective" --quiet --json
    check "${objective}_trains" both works says '"kind":"pretrain".*"steps":4'
    measure=auc; [ "$objective" = rtd ] || measure=bits_per_byte
    check "${objective}_has_an_interval" says "\"$measure\":[0-9.]+,\"${measure}_low\":[0-9.]+,\"${measure}_high\":[0-9.]+"
done
run pretrain --corpus corpus --shape tiny --objective clm --steps 4 --batch-size 4 --max-length 32 --out clm --quiet
check clm_says_bits_per_byte both works says 'next tokens, bits per byte +[0-9.]+ \[[0-9.]+, [0-9.]+\]'
check clm_is_a_gpt2 grep -q '"GPT2LMHeadModel"' clm/config.json
run pretrain --corpus corpus --shape tiny --objective rtd --steps 4 --batch-size 4 --max-length 32 --out rtd --quiet
check rtd_says_both_parts both works says 'replaced tokens, area under the ROC curve +[0-9.]+ \[[0-9.]+, [0-9.]+\]'
check rtd_saves_two_models grep -q '"ElectraForMaskedLM"' rtd/generator/config.json
run fill rtd/generator 'good [MASK] film' --top 1
check generator_fills works
run fill clm 'good [MASK] film'
fails gpt2_has_no_masked_head 2 'gpt2 has no masked-LM head'
run finetune rtd --data "$data" --steps 3 --out tuned --quiet
check electra_is_finetuned works
run eval tuned --data "$data" --limit 40 --quiet
check electra_is_evaluated both works says 'accuracy'
run pretrain --corpus corpus --model rtd --objective rtd --steps 2 --batch-size 4 --max-length 32 --out on --quiet
check rtd_goes_on_from_both both works test -f on/generator/model.safetensors
run pretrain --corpus corpus --model rtd --objective clm --steps 2 --out no --quiet
fails electra_has_no_causal_head 2 'electra has no causal-LM head'
