#!/usr/bin/env bash
# Every command of the guide runs and prints what the page shows; both languages show the same commands, so one is run, in the long tier both.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

if [[ $ASSAY == *-address-* ]]; then # minutes of training, which take an instrumented build many; the commands have scripts of their own
    echo 'skip guide_commands: not in an instrumented build'
    exit 0
fi
status=0
: >out && : >err
for page in guide ${ASSAY_FULL:+guide.zh-CN}; do
    "$root/scripts/run-guide" "$ASSAY" "$root/docs/$page.md" >"said" 2>&1
    check "${page}_commands_run_and_print_what_it_shows" test $? = 0
    grep -A9 '^not ok' said | sed 's/^/# /'
done
same_commands() { diff <(grep '^    \$ ' "$root/docs/guide.md") <(grep '^    \$ ' "$root/docs/guide.zh-CN.md"); }
check both_languages_show_the_same_commands same_commands
