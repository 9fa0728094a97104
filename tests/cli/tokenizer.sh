#!/usr/bin/env bash
# assay tokenizer: each model from text files, what it writes, that assay and (where installed) tokenizers and transformers read
# it alike, and what is refused.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

corpus=$root/tests/golden/token/corpus.txt
same_files() { # two folders hold the same
    diff -r "$1" "$2" >/dev/null
}
absent() { [[ ! -e $1 ]]; }
present() {
    local f
    for f in "${@:2}"; do [[ -s $1/$f ]] || return 1; done
}

run tokenizer "$corpus" --model wordpiece --vocab-size 500 --out wp
check wordpiece_says_what_it_learned both works says '^learned +500 pieces \(wordpiece, [0-9]+ characters'
check wordpiece_folder_is_whole present wp tokenizer.json tokenizer_config.json special_tokens_map.json vocab.txt
check it_is_silent_off_a_terminal silent
run tokenizer "$corpus" --model bpe --vocab-size 420 --out bpe --json
check json_summary both printed_json says '"kind":"tokenizer","model":"bpe","folder":"bpe","vocab":420,"alphabet":256'
run tokenizer "$corpus" --model unigram --vocab-size 300 --out uni
check unigram_is_learned works
check only_wordpiece_has_vocab_txt absent uni/vocab.txt

# The same bytes whatever the threads, the packing and the way to the text.
gzip -c "$corpus" >c.txt.gz
mkdir -p folder/inner
split -l 20 "$corpus" folder/inner/part-
for m in wordpiece:wp:500 bpe:bpe:420 unigram:uni:300; do
    IFS=: read -r name folder size <<<"$m"
    run tokenizer c.txt.gz --model "$name" --vocab-size "$size" --threads 1 --out "$folder-gz"
    check "${name}_from_gzip_on_one_thread_is_the_same" both works same_files "$folder" "$folder-gz"
    run tokenizer folder --model "$name" --vocab-size "$size" --threads 3 -o "$folder-parts"
    check "${name}_from_a_folder_is_the_same" both works same_files "$folder" "$folder-parts"
done
"$ASSAY" tokenizer - --model bpe --vocab-size 420 --out bpe-stdin <"$corpus" >out 2>err
status=$?
check standard_input_is_the_same both works same_files bpe bpe-stdin

# Chinese, accents, emoji: round trips of the lossless models.
printf '%s\n' '白日依山尽，黄河入海流。 café naïve 😀 don'"'"'t' >line
run tokenize bpe --file line
check bpe_reads_any_text works
run tokenize wp --file line
check wordpiece_reads_chinese both works says '白 +0 +1'

if python3 -c 'import tokenizers' 2>/dev/null; then
    cat >check.py <<'PY'
import json, subprocess, sys
from tokenizers import Tokenizer
lines = [l.rstrip("\r\n") for l in open(sys.argv[2], encoding="utf-8", newline="\n")]
for folder in sys.argv[3:]:
    t = Tokenizer.from_file(folder + "/tokenizer.json")
    out = subprocess.run([sys.argv[1], "tokenize", folder, "--file", sys.argv[2], "--json"], stdout=subprocess.PIPE, check=True).stdout
    got = [json.loads(l) for l in out.decode().split("\n") if l]
    assert len(got) == len(lines)
    for l, g in zip(lines, got):
        e = t.encode(l)
        assert e.ids == g["ids"] and [list(x) for x in e.offsets] == g["offsets"] and e.type_ids == g["type_ids"], (folder, l, e.ids, g)
PY
    run --version
    check tokenizers_reads_them_alike python3 check.py "$ASSAY" "$corpus" wp bpe uni
else
    echo "skip tokenizers_reads_them_alike: no python3 with tokenizers"
fi
if [[ -n ${ASSAY_FULL:-} ]] && python3 -c 'import transformers' 2>/dev/null; then
    cat >load.py <<'PY'
import sys, transformers
for folder in sys.argv[1:]:
    t = transformers.AutoTokenizer.from_pretrained(folder)
    assert t.cls_token_id is not None and t.mask_token_id is not None and t.pad_token_id is not None, folder
    ids = t("the cat")["input_ids"]
    assert ids[0] == t.cls_token_id and ids[-1] == t.sep_token_id, (folder, ids)
PY
    check transformers_loads_them python3 load.py wp bpe uni
else
    echo "skip transformers_loads_them: needs ASSAY_FULL and python3 with transformers"
fi

# What is refused.
run tokenizer "$corpus" --model bpe --out bpe
fails a_folder_that_holds_something_is_refused 2 'bpe: holds something already' 'empty'
run tokenizer "$corpus" --model bpe --out "$corpus"
fails a_file_is_no_folder 2 'is a file'
run tokenizer "$corpus" --out x
fails the_model_is_asked_for 2 'needs --model' 'wordpiece'
run tokenizer "$corpus" --model bpe
fails the_folder_is_asked_for 2 'needs --out'
run tokenizer "$corpus" --model glove --out x
fails unknown_model 2 'glove' 'wordpiece'
run tokenizer nothing.txt --model bpe --out x
fails missing_file 3 'nothing.txt'
: >empty
run tokenizer empty --model bpe --out x
fails no_text 2 'no text to learn from'
printf 'good\nb\xffd\n' >bad.txt
run tokenizer bad.txt --model wordpiece --out x
fails invalid_utf8_names_its_place 4 'bad.txt:2: byte 2' 'latin-1'
check nothing_was_written absent x
run tokenizer bad.txt --model wordpiece --vocab-size 40 --encoding latin-1 --out latin
check latin_1_is_read works
run tokenizer bad.txt --model wordpiece --vocab-size 40 --encoding utf-8-lossy --out lossy
check lossy_is_read works
run tokenizer "$corpus" --model unigram --vocab-size 20 --out x
fails unigram_keeps_every_character 2 'different characters' 'Raise'
run tokenizer "$corpus" --model wordpiece --special '[PAD],[CLS]' --out x
fails wordpiece_needs_unknown 2 'unknown words' 'UNK'

# Special tokens, case, line ends.
run tokenizer "$corpus" --model bpe --special '<|endoftext|>' --vocab-size 300 --out gpt
check own_special_tokens both works grep -q '"content":"<|endoftext|>"' gpt/tokenizer.json
run tokenizer "$corpus" --model wordpiece --case keep --vocab-size 500 --out cased
check case_is_kept both works grep -qx 'The' cased/vocab.txt
run tokenizer "$corpus" --model bpe --vocab-size 420 --line-ends --out ends
check line_ends_belong_to_the_text both works grep -q '"Ċ"' ends/tokenizer.json
