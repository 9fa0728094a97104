#!/usr/bin/env bash
# The examples compile against the library as a user's program would, and run on the bundled checkpoint.
set -uo pipefail
cd "$(dirname "$0")/../.."
build=$(dirname "$ASSAY") tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
flags=(-std=c11 -Wall -Wextra -Werror -Iinclude -fopenmp)
compiler=${CC:-cc}
case $(basename "$build") in clang*) compiler=clang ;; esac # its OpenMP is in the library
case $build in *address*) flags+=(-fsanitize=address,undefined) ;; esac
libs=("$build/libassay.a" -lsnappy) packages="jansson yaml-0.1 oniguruma libutf8proc libcrypto zlib libzstd sqlite3 libxxhash"
case $build in *nodnnl*) ;; *) libs+=(-ldnnl) ;; esac
read -ra more <<<"$(pkg-config --libs $packages)"
for name in finetune loop predict; do
    if "$compiler" "${flags[@]}" "examples/$name.c" -o "$tmp/$name" "${libs[@]}" "${more[@]}" -lm 2>"$tmp/log"; then
        echo "ok example_${name}_compiles"
    else
        cat "$tmp/log"
        echo "not ok example_${name}_compiles"
    fi
done
head -n 241 assets/sentiment.csv >"$tmp/train.csv"
{ head -n 1 assets/sentiment.csv; tail -n 60 assets/sentiment.csv; } >"$tmp/dev.csv"
if "$tmp/finetune" assets/tiny-bert "$tmp/train.csv" "$tmp/dev.csv" "$tmp/out" >"$tmp/scores" 2>"$tmp/log" &&
    grep -Eq '^accuracy +0\.[0-9]{4} \[0\.[0-9]{4}, 0\.[0-9]{4}\]$' "$tmp/scores" && [[ -s $tmp/out/model.safetensors && -s $tmp/out/tokenizer.json ]]; then
    echo "ok example_finetune_trains_scores_and_saves"
else
    cat "$tmp/log" "$tmp/scores"
    echo "not ok example_finetune_trains_scores_and_saves"
fi
if "$tmp/loop" assets/tiny-bert "$tmp/train.csv" "$tmp/dev.csv" >"$tmp/scores" 2>"$tmp/log" && (($(grep -cE '^epoch [1-3]: loss [0-9]\.[0-9]{4}$' "$tmp/scores") == 3)) &&
    grep -Eq '^accuracy +0\.[0-9]{4} \[0\.[0-9]{4}, 0\.[0-9]{4}\]$' "$tmp/scores"; then
    echo "ok example_loop_trains_and_scores"
else
    cat "$tmp/log" "$tmp/scores"
    echo "not ok example_loop_trains_and_scores"
fi
if "$tmp/loop" assets/tiny-bert "$tmp/train.csv" "$tmp/none.csv" 2>"$tmp/log" >/dev/null || ! grep -q "none.csv" "$tmp/log"; then
    echo "not ok example_loop_tells_what_is_wrong"
else
    echo "ok example_loop_tells_what_is_wrong"
fi
if "$tmp/predict" "$tmp/out" "Simply a joy." "很好" >"$tmp/said" 2>"$tmp/log" && (($(grep -cE '^(negative|positive) +[01]\.[0-9]{4}  ' "$tmp/said") == 2)); then
    echo "ok example_predict_says_a_label_for_each_text"
else
    cat "$tmp/log" "$tmp/said"
    echo "not ok example_predict_says_a_label_for_each_text"
fi
if "$tmp/predict" no-such-model "x" 2>"$tmp/log" >/dev/null || ! grep -q "no such model folder" "$tmp/log"; then
    echo "not ok example_predict_tells_what_is_wrong"
else
    echo "ok example_predict_tells_what_is_wrong"
fi
