#!/usr/bin/env bash
# assay pull against a server on the loopback interface: what it says, kill -9 in the middle, two at once.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

read -ra flags <<<"${CFLAGS:-} $(pkg-config --cflags --libs libcrypto)"
if ! "${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra "$root/tests/io/hub_serve.c" -o hub_serve "${flags[@]}" -lpthread 2>log; then
    cat log
    echo "not ok the_server_of_the_tests_compiles"
    exit 1
fi

unset HF_HOME HUGGINGFACE_HUB_CACHE HF_HUB_OFFLINE TRANSFORMERS_OFFLINE HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY XDG_CACHE_HOME HF_HUB_DISABLE_SYMLINKS
export HOME=$tmp HF_HUB_CACHE=$tmp/hub
server=
# serve FAULTS...: starts the server with the bundled checkpoint as test/tiny-bert.
serve() {
    rm -f port
    ./hub_serve port test/tiny-bert "$model" "$@" >heads 2>&1 &
    server=$!
    appears port "$server"
    export HF_ENDPOINT=http://127.0.0.1:$(<port)
}
stop() { # its requests are in `heads` then
    kill "$server" && wait "$server"
}
same() { # the pulled files are those of the checkpoint
    local f
    for f in "$model"/*; do cmp -s "$f" "$1/${f##*/}" || return 1; done
}
snapshot=$tmp/hub/models--test--tiny-bert/snapshots/0123456789abcdef0123456789abcdef01234567

serve
run pull test/tiny-bert
check pull_says_what_it_did both works says '^pulled +test/tiny-bert, revision main, commit 0123456789ab$'
check pull_names_the_folder says "^folder +$snapshot"
check pull_is_silent_off_a_terminal silent
check pulled_files_are_those_of_the_server same "$snapshot"
run info test/tiny-bert
check a_pulled_id_stands_for_the_model both works says '^parameters +974,976'
check a_pulled_model_keeps_its_name says '^model +test/tiny-bert \('
run info test/tiny-bert@main
check an_id_may_name_its_revision both works says '^parameters +974,976'
run tokenize test/tiny-bert hi
check a_pulled_tokenizer_is_read both works says "\[CLS\]"
run pull test/tiny-bert --json
check a_second_pull_fetches_nothing both printed_json says '"fetched":0,"fetched_bytes":0'
run pull test/tiny-bert --file 'conf*' --file nothing.txt
fails unknown_file_is_named 2 'test/tiny-bert has no file "nothing.txt"' '\*'
run pull test/other
fails missing_repository 3 'test/other: no such model at http://127' 'spelling'
run pull test/tiny-bert@nope
fails missing_revision 3 'no revision "nope"' 'branch'
run pull ../x
fails bad_id 2 '"../x" is no id of the Hub' 'ORG/NAME'
run info test/unknown
fails unknown_id_says_how_to_fetch_it 3 'test/unknown: no such folder' 'assay pull test/unknown'
HF_HUB_OFFLINE=1 run pull test/tiny-bert
check offline_is_what_the_cache_holds both works says 'offline'
HF_HUB_OFFLINE=1 run pull test/other
fails offline_and_not_in_the_cache 3 'HF_HUB_OFFLINE forbids' 'Unset'
stop
run pull test/tiny-bert@v2
fails no_network 3 'http://127.0.0.1:[0-9]*: no answer' 'Check the network'

# Killed in the middle, again and again: each goes on where the one before stopped, and nothing half is ever visible.
rm -rf hub
serve slow 40 -1 'GET /cdn/' ''
kills=0
for ((i = 0; i < 40; i++)); do
    "$ASSAY" pull test/tiny-bert >out 2>err &
    pid=$!
    sleep 0.$((RANDOM % 8 + 1))
    if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null && break
    [[ -e $snapshot/model.safetensors ]] && ! cmp -s "$model/model.safetensors" "$snapshot/model.safetensors" && break
    [[ -e hub/models--test--tiny-bert/refs/main ]] && ! same "$snapshot" && break
done
run pull test/tiny-bert
check pull_survives_kill_9 both works same "$snapshot"
check pull_was_killed_at_least_once test "$kills" -gt 0
stop
check transfers_went_on_where_they_were_cut grep -q '^Range: bytes=[1-9]' heads
check no_partial_file_is_left test -z "$(find hub -name '*.incomplete')"

rm -rf hub
serve slow 10 -1 'GET /cdn/' ''
pids=()
for i in 1 2 3; do
    "$ASSAY" pull test/tiny-bert >"out$i" 2>"err$i" &
    pids+=($!)
done
failures=0
for pid in "${pids[@]}"; do wait "$pid" || failures=$((failures + 1)); done
run pull test/tiny-bert
check pulls_at_once_all_succeed test "$failures" = 0
check pulls_at_once_end_alike both works same "$snapshot"
stop
check pulls_at_once_fetch_once test "$(grep -c '^GET /cdn/' heads)" = 1

rm -rf hub
serve status 401 1 'GET /api/' $'X-Error-Code: GatedRepo\r\n' flip 1000 1 'GET /cdn/' '' status 429 1 'HEAD' $'Retry-After: 1\r\n'
run pull test/tiny-bert
fails gated 3 'test/tiny-bert is gated' 'ccept its terms at http.* HF_TOKEN'
run pull test/tiny-bert
fails wrong_checksum 4 'model.safetensors: its checksum is not'
check a_wait_is_told grep -q 'busy (HTTP 429): waiting 1 s' err
check what_failed_the_check_is_no_model test ! -e "$snapshot/model.safetensors"
run info test/tiny-bert
fails a_failed_pull_is_no_model 3 'no such folder'
run pull test/tiny-bert
check after_a_failure_the_rest_is_fetched both works same "$snapshot"
stop
