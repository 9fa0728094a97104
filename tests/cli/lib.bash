# lib.bash: what the tests of the command line share. Sourced; prints `ok NAME` or `not ok NAME` with what was seen.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export LC_ALL=C.UTF-8 NO_COLOR=1
model=$root/assets/tiny-bert data=$root/assets/sentiment.csv

# run ARGS...: the binary; its status, standard output and error are in $status, $out and $err (files of the same name).
run() {
    "$ASSAY" "$@" >out 2>err </dev/null
    status=$?
    out=$(<out) err=$(<err)
}
# on_terminal ARGS...: the binary on a terminal of 100 columns; $out is what it drew, one drawing a line. Needs python3.
on_terminal() {
    python3 - "$ASSAY" "$@" >out 2>err <<'PY'
import fcntl, os, pty, re, struct, sys, termios
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
seen = b""
while True:
    try: more = os.read(fd, 65536)
    except OSError: break
    if not more: break
    seen += more
print("\n".join(x for x in re.split("[\r\n]|\x1b\\[K", seen.decode()) if x))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
    status=$?
    out=$(<out) err=$(<err)
}
# appears FILE PID: waits until the file holds something or the process has ended.
appears() {
    while [[ ! -s $1 ]] && kill -0 "$2" 2>/dev/null; do sleep 0.01; done
}
check() { # NAME TEST...
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        printf '  status %s\n  stdout: %s\n  stderr: %s\n' "$status" "$(head -c 1500 out)" "$(head -c 1500 err)" | sed 's/^ok /(ok) /; s/^not ok /(not ok) /'
    fi
}
# fails NAME STATUS MESSAGE [HINT]: the last run ended so, with one error (regular expressions), and printed no result.
fails() {
    check "$1" failed "$2" "$3" "${4:-}"
}
failed() {
    ((status == $1)) && [[ ! -s out ]] && (($(grep -c '^assay: ' err) == 1)) && grep -Eq "^assay: .*$2" err &&
        { [[ -z $3 ]] || grep -Eq "^hint: .*$3" err; }
}
printed_json() { json out; } # standard output is JSON Lines
works() { ((status == 0)) && ! grep -q '^assay: ' err; }
says() { grep -Eq -- "$1" out; }
silent() { [[ ! -s err ]]; }
# json FILE: each line is one object with a kind. Without python3: begins and ends as one.
json() {
    [[ -s $1 ]] || return 1
    if command -v python3 >/dev/null; then
        python3 -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8"): assert json.loads(line)["kind"]' "$1"
    else
        ! grep -Evq '^\{"kind":"[a-z]+".*\}$' "$1"
    fi
}
# columns FILE: no line is wider than 100 columns, wide characters counted twice.
columns() {
    if command -v python3 >/dev/null; then
        python3 -c 'import sys, unicodedata
for line in open(sys.argv[1], encoding="utf-8"):
    assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line.rstrip("\n")) <= 100, line' "$1"
    else
        ! grep -Eq '^.{101}' "$1"
    fi
}
both() { "$1" && "${@:2}"; } # a predicate without arguments, and a test
# tuned: a fine-tuned checkpoint, made once per program.
tuned() {
    [[ -d tuned ]] || "$ASSAY" finetune "$model" --data "$data" --limit 80 --steps 5 --batch-size 8 --out tuned --db tuned.db --quiet >/dev/null 2>&1
}
