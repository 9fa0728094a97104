#!/usr/bin/env bash
# Bad input gives one clear error with its exit status, and nothing half-written.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"
export -n ASAN_OPTIONS 2>/dev/null

weights=model.safetensors
# broken NAME: a copy of the bundled checkpoint, to be damaged in the folder NAME.
broken() { cp -r "$model" "$1"; chmod -R u+w "$1"; }
# same-length replacement in a binary file
patch() { LC_ALL=C sed -i "$2" "$1"; }
# bytes FILE OFFSET ESCAPES
bytes() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }

# --- models ---
broken missing; rm "missing/$weights"
run predict missing hi
fails missing_weights 3 'missing: holds no weights'
broken noconfig; rm noconfig/config.json
run predict noconfig hi
fails missing_config 3 'noconfig/config.json'
broken notok; rm notok/tokenizer.json notok/vocab.txt
run predict notok hi
fails missing_tokenizer 3 'notok'
broken short; head -c 100000 "$model/$weights" >"short/$weights"
run predict short hi
fails truncated_weights 4 'ends at byte .*, the file at byte 100,000' 'cut short'
broken zero; : >"zero/$weights"
run predict zero hi
fails zero_length_weights 4 "zero/$weights: is empty"
broken header; bytes "header/$weights" 0 '\377\377\377\005\0\0\0\0'
run predict header hi
fails header_longer_than_the_file 4 "header/$weights"
broken overlap; patch "overlap/$weights" 's/"data_offsets":\[256,512\]/"data_offsets":[128,384]/'
run predict overlap hi
fails overlapping_tensors 4 "overlap/$weights"
broken range; patch "range/$weights" 's/"data_offsets":\[256,512\]/"data_offsets":[256,999]/'
run predict range hi
fails tensor_out_of_range 4 "range/$weights"
broken dtype; patch "dtype/$weights" 's/"dtype":"BF16","shape":\[128\],"data_offsets":\[256,512\]/"dtype":"XX16","shape":[128],"data_offsets":[256,512]/'
run predict dtype hi
fails unknown_dtype 4 "dtype/$weights"
broken ints; patch "ints/$weights" 's/"dtype":"BF16","shape":\[128\],"data_offsets":\[256,512\]/"dtype":"I16" ,"shape":[128],"data_offsets":[256,512]/'
run predict ints hi
fails wrong_dtype 4 'LayerNorm.* I16' 'F32'
broken shape; patch "shape/$weights" 's/"shape":\[128\],"data_offsets":\[256,512\]/"shape":[2,64],"data_offsets":[256,512]/; s/"format":"pt"/"format":"p"/'
run predict shape hi
fails wrong_shape 5 'LayerNorm.*\[2, 64\]' 'config'
broken sizes; patch sizes/config.json 's/"intermediate_size": 512/"intermediate_size": 256/'
run predict sizes hi
fails shapes_disagree_with_the_config 5 'intermediate'
tuned
cp -r tuned nan
begin=$(($(od -An -t u8 -N 8 "nan/$weights") + 8))
offset=$(LC_ALL=C sed -n '1s/.*"classifier\.weight":{[^}]*"data_offsets":\[\([0-9]*\),.*/\1/p' <(head -c "$begin" "nan/$weights" | tail -c +9; echo))
bytes "nan/$weights" $((begin + offset)) '\377\377\377\177'
run predict nan hi
fails nan_weight 7 'classifier\.weight'
broken component; patch component/tokenizer.json 's/"WordPiece"/"WordPeace"/'
run tokenize component hi
fails unknown_tokenizer_component 4 'WordPeace' 'WordPiece'
broken vocab; patch vocab/tokenizer.json 's/"vocab":{/"vocab":{"qqqq":5000,/'
run predict vocab hi
fails vocabulary_larger_than_the_embedding 4 'tokenizer has ids up to 5000, the embedding has 4096 rows'
broken arch; patch arch/config.json 's/"model_type": "bert"/"model_type": "bart"/'
run predict arch hi
fails unsupported_architecture 4 'bart' 'bert'
broken badjson; head -c 200 "$model/config.json" >badjson/config.json
run predict badjson hi
fails config_that_is_no_json 4 'badjson/config.json:[0-9]+'
broken pickle; rm "pickle/$weights"; cp "$root/tests/fuzz/corpus/pickle/evil.bin" pickle/pytorch_model.bin
run predict pickle hi
fails pickle_that_wants_to_run_something 4 'pickle/pytorch_model.bin'
broken legacy; rm "legacy/$weights"; cp "$root/tests/fuzz/corpus/pickle/evil_legacy.bin" legacy/pytorch_model.bin
run predict legacy hi
fails old_pickle_that_wants_to_run_something 4 'legacy/pytorch_model.bin'
broken huge; patch huge/config.json 's/"hidden_size": 128/"hidden_size": 131072/; s/"num_hidden_layers": 2/"num_hidden_layers": 500/; s/"intermediate_size": 512/"intermediate_size": 524288/'
run finetune huge --scratch --data "$data" --out big
fails not_enough_memory_is_said_before_the_start 6 'memory'
check nothing_of_it_is_left test ! -e big
# A limit of the address space: said before the start, and where a file does not fit (a sanitizer's shadow fits no limit).
if (ulimit -v 400000 && "$ASSAY" --version) >out 2>err; then
    wide=(--scratch --data "$data" --out big --steps 1 --threads 1)
    broken wide; patch wide/config.json 's/"num_hidden_layers": 2/"num_hidden_layers": 400/'
    (ulimit -v 500000 && "$ASSAY" finetune wide "${wide[@]}" >out 2>err)
    status=$?
    fails a_limit_of_addresses_is_seen_before_the_start 6 'wide: needs about [0-9]+ MB of memory, [0-9]+ MB are free'
    broken sparse; truncate -s 600M "sparse/$weights"
    (ulimit -v 400000 && "$ASSAY" predict sparse hi --threads 1 >out 2>err)
    status=$?
    fails a_file_that_does_not_fit_is_no_io_error 6 'not enough memory for sparse'
else
    echo 'skip address_limit: this build does not start under one'
fi

# --- data ---
train() { run finetune "$model" --out never --db never.db --quiet --data "$@"; }
: >zero.csv
train zero.csv
fails zero_length_data 4 'zero.csv: no records'
printf 'text,label\n' >header.csv
train header.csv
fails data_without_records 4 'header.csv: no records'
printf 'sentence,stars\na,1\n' >columns.csv
train columns.csv --text sentense --label stars
fails missing_column_shows_the_nearest 2 'columns.csv:1: no column "sentense"' 'did you mean "sentence"'
train columns.csv
fails missing_label_column 2 'columns.csv:1: .*label' 'stars'
printf 'text,label\ngood,a\nb\303\050d,b\n' >utf8.csv
train utf8.csv
fails invalid_utf8_has_line_and_byte 4 'utf8.csv:3: byte 2 is not valid UTF-8' 'latin-1'
printf 'text,label\none,a\ntwo,b,c\n' >ragged.csv
train ragged.csv
fails ragged_row_has_its_line 4 'ragged.csv:3: '
printf 'text,label\n"one,a\ntwo,b\n' >quote.csv
train quote.csv
fails open_quote_has_its_line 4 'quote.csv:2: '
printf 'text,label\none,a\ntwo,\n' >nolabel.csv
train nolabel.csv
fails empty_label_has_its_line 4 'nolabel.csv:3: '
printf 'text,label\none,1.5\ntwo,b\n' >value.csv
train value.csv --kind regress
fails label_that_is_no_number 4 'value.csv:3: '
printf '{"text":"one","label":"a"}\n{"text":"two","label":\n' >lines.jsonl
train lines.jsonl
fails bad_json_has_its_line 4 'lines.jsonl:2: '
train nowhere.csv
fails missing_data_file 3 'nowhere.csv' 
cp "$data" data.bin
train data.bin
fails unknown_kind_of_table 2 'data.bin' ''
check nothing_is_left_of_bad_data test ! -e never
run eval tuned --data "$data" --labels negative,positive,neutral
fails labels_that_disagree_with_the_head 2 '3 labels, the model.s head has 2' 'finetune'
printf 'text,label\none,positive\ntwo,postive\n' >label.csv
run eval tuned --data label.csv
fails label_outside_the_model_has_its_line 4 'label.csv:3: label "postive"' 'positive'
{ echo text,label; head -c 1000000 /dev/zero | tr '\0' x; printf ' word,positive\n'; head -c 1000000 /dev/zero | tr '\0' ' '; echo 'end,negative'; } >long.csv
run eval tuned --data long.csv --metric accuracy
check lines_of_one_megabyte_are_read both works says '^  accuracy .* 2 '
run predict tuned "$(printf 'b\303\050d')"
fails argument_with_invalid_utf8 4 'text 1 of the command line: invalid UTF-8 at byte 2' '--file'
echo 'not a database, but a text that is longer than the header of one: 0123456789012345678901234567890123456789' >text.db
run eval tuned --data "$data" --limit 5 --db text.db
fails store_that_is_no_store 4 'text.db'
check foreign_file_stays_as_it_is grep -q '^not a database' text.db

# --- writing ---
(ulimit -f 1000 && "$ASSAY" finetune "$model" --data "$data" --limit 40 --steps 1 --dev-fraction 0 --out full --db full.db --checkpoint-every 0 >out 2>err)
status=$?
fails disk_full_while_saving 3 'full/' ''
check disk_full_leaves_no_half_file test -z "$(find full -name 'model.safetensors*' 2>/dev/null | grep -v training/)"
run finetune "$model" --data "$data" --limit 40 --steps 1 --dev-fraction 0 --out full --db full.db --checkpoint-every 0
check after_a_full_disk_the_same_command_works both works test -s "full/$weights"
run predict tuned hi --csv nowhere/at/all.csv
fails csv_in_a_missing_folder 3 'nowhere/at'
if [[ -e /dev/full ]]; then
    "$ASSAY" tokenize "$model" hi >/dev/full 2>err
    status=$?
    : >out
    fails full_standard_output 3 'standard output: No space'
fi
"$ASSAY" tokenize "$model" hi >&- 2>err
status=$?
: >out
fails closed_standard_output 3 'standard output'
"$ASSAY" eval tuned --data "$data" --limit 5 --items --csv closed.csv --db closed.db >&- 2>err
cp closed.csv out 2>/dev/null
check results_do_not_go_into_other_files test "$(wc -l <out)" = 6 -a -z "$(grep stored out)"
for _ in {1..200}; do cat "$data"; done >many
"$ASSAY" tokenize "$model" --file many --json 2>err | head -n 1 >out
status=${PIPESTATUS[0]}
check reader_that_goes_away_is_no_error both silent test "$status" = 141

# --- signals ---
stopped() { # SIGNAL: a long training that is stopped once it has begun
    : >err # the last run's lines must not be taken for this one's
    "$ASSAY" finetune "$model" --data "$data" --steps 100000 --eval-every 20 --out "stop-$1" --db stop.db >out 2>err </dev/null &
    local pid=$!
    for _ in {1..600}; do grep -q 'step 20' err && break; sleep 0.1; done
    kill "-$1" "$pid"
    wait "$pid"
    status=$?
}
for s in INT TERM; do
    stopped $s
    check "stopped_by_$s" test "$status" = 130
    check "no_result_after_$s" test ! -s out -a ! -e "stop-$s/model.safetensors"
done
