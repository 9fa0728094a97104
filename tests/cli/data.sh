#!/usr/bin/env bash
# Corpora for pre-training: assay data corpus, show, verify, contamination.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

digest() { sed -n 's/^digest    //p' "${1:-out}"; }
same_files() { # the shards and the manifest of two corpora
    for f in corpus.json "$1"/*.bin; do cmp -s "$1/$(basename "$f")" "$2/$(basename "$f")" || return 1; done
}
# Running text: each record of the bundled set a document of two lines,
# some of them twice; and more Chinese.
sed -E '1d; s/^([^,]*),(.*),(positive|negative),..$/\2\nThis is remark \1.\n/; s/^"//; s/"$//; s/"\n/\n/' "$data" >text.txt
sed -n 1,60p text.txt >>text.txt
printf '今天天气很好，我们去公园散步。\n他喜欢读书，也喜欢写字。\n\n今天天气很好，我们去公园散步。\n他喜欢读书，也喜欢写字。\n' >zh.txt

# --- build, show, verify ---
run data corpus text.txt zh.txt --tokenizer "$model" --out c --heldout 0.05 --quiet
check corpus_is_built both works says '^train +[0-9,]+ +[0-9,]+ '
check corpus_counts_duplicates says '^exact +[0-9,]+ +[0-9]+'
check corpus_keeps_a_part_apart says '^heldout +[1-9]'
check corpus_names_languages says '^languages .*en [0-9.]+ %.*zh [0-9.]+ %'
check corpus_fits_100_columns columns out
check corpus_leaves_no_work test ! -e c/work
first=$(digest)
run data show c
check show_prints_the_same test "$(digest)" = "$first"
run data verify c
check verify_says_ok both works says '^ok +c: 2 shards as written'
run data show c --json
check show_as_json printed_json
run data corpus text.txt zh.txt --tokenizer "$model" --out c --heldout 0.05
check a_finished_corpus_is_left_as_it_is both works grep -q 'was finished before' err
run data corpus text.txt --tokenizer "$model" --out c
fails another_corpus_is_refused 2 'c: holds a corpus of another command' 'again'
run data corpus text.txt zh.txt --tokenizer "$model" --out c1 --heldout 0.05 --threads 1 --quiet
check threads_change_nothing same_files c c1

# --- inputs ---
run data corpus - --tokenizer "$model" --out s --doc line --quiet <text.txt
"$ASSAY" data corpus - --tokenizer "$model" --out s --doc line --quiet <text.txt >out 2>err; status=$?
check standard_input_is_read both works says '^train +[1-9]'
printf '{"id":1,"body":"A first text."}\n{"id":2,"body":"你好，世界。"}\n' >a.jsonl
run data corpus a.jsonl --tokenizer "$model" --text body --out j --quiet
check jsonl_by_column both works says '^train +2 '
run data corpus "$data" --tokenizer "$model" --out t --rules none --quiet
check csv_is_read both works says '^train +[1-9]'
mkdir -p tree/sub && cp text.txt tree/b.txt && gzip -c zh.txt >tree/sub/a.txt.gz
run data corpus tree --tokenizer "$model" --out f --quiet
check folders_are_read both works says '^read +2 files'
run data corpus text.txt zh.txt --tokenizer "$model" --lang zh --out z --quiet
check language_is_chosen both works says '^lang '
check language_drops_the_rest says '^languages zh 100.0 %'
run data corpus text.txt --tokenizer "$model" --rule min-words=12 --rule exact=off --out r --quiet
check rules_are_tuned both works says '^min-words +12 +[1-9]'
absent() { ! grep -Eq -- "$1" out; }
check rules_are_turned_off absent '^exact'

run tokenizer text.txt --model unigram --vocab-size 3000 --out uni --quiet
run data corpus text.txt --tokenizer uni --out u --quiet
check line_ends_are_no_unknown_tokens both works says 'unknown tokens 0.000 %'

# --- errors ---
printf 'good\n\nbad \377 film\n' >bad.txt
run data corpus bad.txt --tokenizer "$model" --out e
fails invalid_utf8_names_the_line 4 'bad.txt:3: byte 5 is not valid UTF-8' 'utf-8-lossy'
run data corpus bad.txt --tokenizer "$model" --out e --encoding utf-8-lossy --quiet
check and_can_be_replaced both works says '^replaced  1 invalid'
printf '{"text":"a"}\n{"text":}\n' >bad.jsonl
run data corpus bad.jsonl --tokenizer "$model" --out e2
fails bad_json_names_the_line 4 'bad.jsonl:2: byte 9'
run data corpus nothing.txt --tokenizer "$model" --out e3
fails missing_input 3 'nothing.txt: there is no such file'
run data corpus text.txt --out e3
fails tokenizer_is_needed 2 'needs --tokenizer'
run data corpus text.txt --tokenizer "$model" --out e3 --rule min-wrds=3
fails unknown_rule 2 'min-wrds: no such rule' 'min-words'
run data corpus text.txt --tokenizer "$model" --out e3 --rule min-words=1000
fails nothing_left 4 'none is left' 'min-words took [0-9]+'
run data show tree
fails no_corpus 3 'tree/corpus.json' 'no finished corpus'
run data corpus text.txt --tokenizer "$model" --out e3 --limit 5
fails options_of_other_verbs_are_refused 2 'data corpus does not take --limit'
run data frobnicate
fails unknown_verb 2 'expected .corpus INPUT'
cp -r c d && printf 'x' | dd of=d/train-00000.bin bs=1 seek=200 conv=notrunc 2>/dev/null
run data verify d
fails damage_is_named 4 'd/train-00000.bin: '
cp c/train-00000.bin d/ && truncate -s -8 d/heldout-00000.bin
run data verify d
fails a_cut_shard_is_named 4 'd/heldout-00000.bin: '

cp c/heldout-00000.bin d/ && printf ' ' >>d/tokenizer.json
run data verify d
fails a_changed_tokenizer_is_named 4 'd/tokenizer.json: damaged'

# --- killed at any moment, the same command ends in the same bytes ---
for i in $(seq 20); do awk -v seed="$i" 'BEGIN {srand(seed)} NF {for (k = 0; k < 20; k++) $0 = $0 " " int(rand() * 99999)} {print}' text.txt; done >long.txt
big=(data corpus long.txt zh.txt --tokenizer "$model" --heldout 0.1 --shard-tokens 100000 --quiet)
begin=${EPOCHREALTIME//[!0-9]/}
"$ASSAY" "${big[@]}" --out whole >/dev/null 2>&1
took=$((${EPOCHREALTIME//[!0-9]/} - begin)) # microseconds
kills=0 rounds=${ASSAY_FULL:+60}
for i in $(seq 1 "${rounds:-8}"); do
    [[ -e k/corpus.json ]] && rm -rf k
    "$ASSAY" "${big[@]}" --out k >/dev/null 2>&1 &
    pid=$!
    # In the first quarter of a run's time: each goes on from the one before, so the instants lie anywhere, on fast machines as on slow ones.
    sleep "$(awk -v took=$took -v part=$RANDOM 'BEGIN {printf "%.3f", took / 4e6 * part / 32768}')"
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
run "${big[@]}" --out k
check killed_and_given_again_the_bytes_are_the_same both works same_files whole k
check nothing_is_left_of_the_work test -z "$(find k -name '*.tmp*' -o -name work -o -name lock)"
check it_was_killed test "$kills" -gt 2

# --- contamination ---
{
    sed -n 1,60p "$data"
    printf '%s\n' 'x1,a sentence about zebras that certainly nobody wrote down in this small corpus before today at noon,negative,en' \
        'x2,你好世界这是一个没有出现过的句子我们从来没有写过它,positive,zh' 'x3,今天天气很好，我们去公园散步。,positive,zh' 'x4,zebras again,positive,en'
} >items.csv
run data contamination c --data items.csv --items --quiet
check contamination_is_counted both works says '^contaminated +[0-9]+, [0-9.]+ % \[[0-9.]+, [0-9.]+\]'
check contamination_lists_items says '今天天气很好'
check contamination_leaves_the_clean absent zebras
run data contamination c --data items.csv --json --quiet
check contamination_as_json printed_json
if command -v python3 >/dev/null; then
    cat >again.py <<'PY'
import csv, json, re, sys
words = lambda t: [w for w in re.findall(r"[\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+", t.lower())]
docs = [words(d) for f in ("text.txt", "zh.txt") for d in re.split(r"\n\s*\n", open(f, encoding="utf-8").read())]
items = [words(r["text"]) for r in csv.DictReader(open("items.csv", encoding="utf-8", newline=""))]
n = max(8, min(13, sorted(map(len, items))[len(items) // 20]))
grams = lambda w, k: [tuple(w[i:i + k]) for i in range(len(w) - k + 1)]
lengths = {min(len(w), k) for w in items for k in (n, 8)}
seen = {k: {g for d in docs for g in grams(d, k)} for k in lengths}
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
got = [r for r in rows if r["kind"] == "item"]
assert rows[0]["gram"] == n and len(got) == len(items), (rows[0], n)
wrong = 0
for w, r in zip(items, got):
    k = min(len(w), n)
    eight = grams(w, min(len(w), 8))
    found = sum(g in seen[len(g)] for g in eight)
    same = r["words"] == len(w)  # a word that the small tokenizer does not know counts for neither
    if same: wrong += r["contaminated"] != any(g in seen[k] for g in grams(w, k)) or r["found"] != found or r["mostly_seen"] != (found >= 0.7 * len(eight))
assert wrong == 0 and sum(r["contaminated"] for r in got) > 40, (wrong, sum(r["contaminated"] for r in got))
PY
    python3 again.py 2>>err
    check contamination_as_a_plain_program_finds_it test $? = 0
else
    echo 'skip contamination_as_a_plain_program_finds_it: no python3'
fi
tuned
"$ASSAY" eval tuned --data items.csv --quiet >/dev/null 2>&1
number=$("$ASSAY" runs --json | grep '"command":"eval"' | tail -1 | sed 's/.*"run":\([0-9]*\).*/\1/')
run data contamination c --run "$number" --quiet
check contamination_scores_the_clean_part both works says '^clean +accuracy [0-9.]+ \['
check contamination_scores_the_other_part says '^contaminated +accuracy [0-9.]+ \['
check contamination_tests_the_difference says '^difference +-?[0-9.]+ \[-?[0-9.]+, -?[0-9.]+\] between.*'
run data contamination c --data items.csv --run "$number" --quiet
check contamination_matches_a_run_with_data both works says '^clean +accuracy'
run data contamination c --data "$data" --run "$number" --quiet
check items_of_another_data_set_are_named test "$status" = 2
run data contamination c
fails items_are_needed 2 'needs items'
if [[ -d ${ASSAY_DATA:-}/sst ]]; then
    run data contamination c sst2 --quiet
    check contamination_of_a_task both works says '^items +1,821;'
else
    echo 'skip contamination_of_a_task: no sst in ASSAY_DATA'
fi
run data contamination c sst3
check unknown_task test "$status" = 2
