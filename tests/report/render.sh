#!/usr/bin/env bash
# Draws the test's pages in headless Chromium: wide and phone, light and dark, and checks that nothing is wider than the
# page and that the script runs. Screenshots go to build/report/. Prints "skipped" where no Chromium is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || { echo "skipped: no chromium"; exit 0; }
program=${1:-build/cc/tests/report/test_report}
[ -x "$program" ] || { echo "skipped: build $program first (make t-report)"; exit 0; }
out=$PWD/build/report
mkdir -p "$out"
ASSAY_REPORT_PAGES=$out "$program" >/dev/null 2>&1
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chrome() { timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" "$@" 2>/dev/null; }
# Two frames at the real widths (a headless window is never narrower than 500 px), measured from outside.
cat >"$out/probe.html" <<'PAGE'
<!DOCTYPE html><body><pre id="r">running</pre><script>
const list = [], widths = [1280, 390, 360];
async function probe(name, width) {
  const f = document.createElement("iframe");
  f.style.cssText = "border:0;height:900px;width:" + width + "px";
  f.src = name; document.body.append(f);
  await new Promise(r => f.onload = r);
  const d = f.contentDocument, over = d.documentElement.scrollWidth - width;
  const box = d.querySelector(".tools input"), state = d.querySelector(".tools [role=status]");
  let found = "none";
  if (box) { const before = state.textContent; box.value = "zzzz no such text"; box.dispatchEvent(new Event("input")); found = before + " / " + state.textContent; }
  list.push(name + " " + width + " overflow " + over + " search " + found); f.remove();
}
(async () => { for (let k = 0; k < 4; k++) for (const w of widths) await probe("page" + k + ".html", w);
  document.getElementById("r").textContent = list.join("\n"); document.title = "done"; })();
</script>
PAGE
chrome --allow-file-access-from-files --virtual-time-budget=20000 --dump-dom "file://$out/probe.html" | sed -n '/<pre/,/<\/pre>/p' | sed 's/.*<pre[^>]*>//; s/<.*//' | grep '^page' >"$out/probe.txt" || true
cat "$out/probe.txt"
[ "$(wc -l <"$out/probe.txt")" -eq 12 ] || { echo "the pages could not be measured"; exit 1; }
! grep -qE 'overflow [1-9]' "$out/probe.txt" || { echo "a page is wider than its window"; exit 1; }
! grep -vqE 'search (none|.*[0-9] of [0-9]+ items? / 0 of 0 items)$' "$out/probe.txt" || { echo "the search does not work"; exit 1; }
for page in 0 1 2 3; do
    for width in 1280 390; do
        cat >"$out/frame.html" <<PAGE
<!DOCTYPE html><meta name="color-scheme" content="light dark"><body style="margin:0"><iframe src="page$page.html" style="border:0;width:${width}px;height:7000px"></iframe>
PAGE
        for scheme in light dark; do
            dark=(); [ $scheme = light ] || dark=(--blink-settings=preferredColorScheme=0)
            chrome "${dark[@]}" --window-size="$width,7000" --screenshot="$out/page$page-$width-$scheme.png" "file://$out/frame.html" || true
        done
    done
done
rm -f "$out/frame.html" "$out/probe.html"
echo "screenshots: $out"
