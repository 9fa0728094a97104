#!/usr/bin/env bash
# The page of a real bench in headless Chromium: nothing is wider than the window, on a desk and on a phone, and the search works.
# shellcheck source=tests/cli/lib.bash
source "$(dirname "$0")/lib.bash"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    echo "skip report_page_in_a_browser: no chromium is installed"
    exit 0
fi
run bench "$model" --data "$data" --seeds 2 --steps 10 --lr 1e-3 --out grid --quiet
bench=$(sed -n 's/^stored    run \([0-9]*\) .*/\1/p' out)
run report "$bench" -o page.html
check page_is_written both works test -s page.html

# Frames of the real widths (a headless window is never narrower than 500 px), measured from outside.
cat >probe.html <<'PAGE'
<!DOCTYPE html><body><pre id="r">running</pre><script>
const list = [];
async function probe(width) {
  const f = document.createElement("iframe");
  f.style.cssText = "border:0;height:900px;width:" + width + "px";
  f.src = "page.html"; document.body.append(f);
  await new Promise(r => f.onload = r);
  const d = f.contentDocument, over = d.documentElement.scrollWidth - width;
  const box = d.querySelector(".tools input"), state = d.querySelector(".tools [role=status]");
  box.value = "zzzz no such text"; box.dispatchEvent(new Event("input"));
  list.push("measured " + width + " overflow " + over + " found " + state.textContent); f.remove();
}
(async () => { for (const w of [1280, 390, 360]) await probe(w);
  document.getElementById("r").textContent = list.join("\n"); document.title = "done"; })();
</script>
PAGE
timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" --allow-file-access-from-files \
    --virtual-time-budget=20000 --dump-dom "file://$tmp/probe.html" 2>err >dom
grep -oE 'measured [0-9]+ overflow -?[0-9]+ found [^<]*' dom >out
status=$(($(wc -l <out) == 3 ? 0 : 1))
check page_is_drawn works
check page_is_no_wider_than_the_window test "$(grep -c 'overflow [1-9]' out)" = 0
check page_search_finds_nothing_for_nonsense test "$(grep -c 'found 0 of 0' out)" = 3
