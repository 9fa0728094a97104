/* style.c: the page's own style sheet. Colours of series are Okabe and Ito's, which people with any colour vision tell apart;
 * each comes with a shape. Data never enters it. */
#include "report/report_impl.h"

static const char *const sheet[] = {
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--line:#d0d7de;--faint:#eaeef2;--card:#f6f8fa;--tint:0,114,178;"
    "--c0:#0072b2;--c1:#c44f00;--c2:#00805e;--c3:#a8447e;--c4:#8a6100;--c5:#1e87c4;--warn:#fff4e5;--warnline:#c44f00}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--fg:#e6e9ed;--soft:#9aa5b1;--line:#353c45;--faint:#20262d;--card:#171c22;"
    "--tint:86,180,233;--c0:#56b4e9;--c1:#f0883e;--c2:#2fc79d;--c3:#e39ac4;--c4:#e6b422;--c5:#8fd0ff;--warn:#2b1f10;--warnline:#f0883e}}\n",
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}"
    "body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,"
    "\"PingFang SC\",\"Hiragino Sans GB\",\"Microsoft YaHei\",\"Noto Sans CJK SC\",\"Noto Sans SC\",\"Source Han Sans SC\",\"Noto Sans\",sans-serif;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
    "main,header,footer{max-width:68rem;margin:0 auto;padding:0 1.25rem}\n"
    "header{padding-top:2rem}h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-bottom:.3rem;"
    "border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.5rem 0 .5rem}p{margin:.5rem 0}.sub{color:var(--soft);margin:0}\n"
    "nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;margin:1rem 0 0;padding:0}a{color:var(--c0)}\n",
    ".verdict{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--c0);border-radius:6px;padding:.9rem 1.1rem;margin:1.25rem 0}"
    ".verdict h2{border:0;margin:0 0 .25rem;padding:0;font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft)}"
    ".verdict p:first-of-type{font-size:1.15rem;font-weight:600;line-height:1.4}.verdict p{margin:.3rem 0}\n"
    ".warn{background:var(--warn);border-left:5px solid var(--warnline);padding:.6rem 1rem;border-radius:6px;margin:1rem 0}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.75rem;margin:1rem 0;padding:0;list-style:none}"
    ".tiles li{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem}"
    ".tiles b{display:block;font-size:1.25rem;line-height:1.3}.tiles span{display:block;color:var(--soft);font-size:.85rem}\n",
    "figure{margin:1.25rem 0}.half{max-width:34rem}figcaption{font-weight:600;margin-bottom:.5rem}.key{color:var(--soft);font-size:.85rem;margin:.35rem 0}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 2rem;align-items:start}.pair figure{min-width:0}\n"
    "details.data{margin-top:.4rem;font-size:.9rem}summary{cursor:pointer;color:var(--soft)}details.more>summary{font-weight:600;color:var(--fg);margin:.75rem 0}\n"
    ".scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}\n"
    "table{border-collapse:collapse;font-size:.9rem;line-height:1.4;margin:.4rem 0}th,td{padding:.3rem .7rem .3rem 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--faint);overflow-wrap:normal}td:last-child,th:last-child{padding-right:0}thead th{border-bottom:1px solid var(--line);color:var(--soft);"
    "font-weight:600;vertical-align:bottom}tbody th{font-weight:500}.n{text-align:right;white-space:nowrap}.n+td:not(.n),.n+th:not(.n){padding-left:1.1rem}.wide{width:100%}hr{border:0;border-top:1px dashed var(--line);margin:.35rem 0}"
    "td.t,th.t{min-width:11rem;overflow-wrap:anywhere}tr.best th,tr.best td{font-weight:700}.iv,small{color:var(--soft);font-size:.85em;font-weight:400}"
    ".bad{color:var(--c1);font-weight:600}td .iv{white-space:nowrap}td small{white-space:normal}\n",
    "svg{display:block;max-width:100%;overflow:visible}svg text{fill:var(--soft);font-size:12px}svg text.yn{fill:var(--fg)}"
    ".grid{stroke:var(--faint);fill:none;vector-effect:non-scaling-stroke}.axis{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke}"
    ".ref{stroke:var(--soft);stroke-dasharray:4 3;stroke-width:1.5;fill:none;vector-effect:non-scaling-stroke}"
    ".front{stroke:var(--soft);stroke-dasharray:6 4;stroke-width:1.5;fill:none;vector-effect:non-scaling-stroke}"
    ".l{fill:none;stroke-width:2;stroke-linejoin:round;vector-effect:non-scaling-stroke;stroke:var(--k)}.d1{stroke-dasharray:7 4}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}"
    ".m path{fill:var(--k);stroke:var(--bg);stroke-width:1}.m.ho path{fill:var(--bg);stroke:var(--k);stroke-width:2}.w{stroke:var(--k);stroke-width:1.5}"
    ".ci{stroke:var(--c0);stroke-width:2}.ci.b{stroke:var(--c1)}.bar{fill:rgba(var(--tint),.35)}.bar2{fill:var(--soft);opacity:.55}"
    ".c0{--k:var(--c0)}.c1{--k:var(--c1)}.c2{--k:var(--c2)}.c3{--k:var(--c3)}.c4{--k:var(--c4)}.c5{--k:var(--c5)}\n",
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.4rem 0;padding:0;font-size:.9rem}.legend li{display:flex;align-items:center;gap:.4rem;min-width:0}"
    ".legend svg{flex:none}.dash{display:inline-block;width:1.8em;border-top:2px dashed var(--soft);vertical-align:middle}\n"
    ".fr{display:grid;grid-template-columns:minmax(0,15rem) minmax(0,1fr) 13.5rem;gap:0 .9rem;align-items:center}.fr+.fr{border-top:1px solid var(--faint)}.fr.ax{border-top:1px solid var(--line)}"
    ".fl{line-height:1.25;padding:.2rem 0}.fl small{display:block}.fv{white-space:nowrap}.st .fl,.st .fv{font-weight:600}\n",
    "table.cm{border-spacing:2px;border-collapse:separate}.cm td,.cm th{border:0;padding:.35rem .5rem}.cm td{text-align:center;border-radius:3px;min-width:3.1rem;line-height:1.2}"
    ".cm thead th{text-align:center}.cm thead th:first-child,.cm tbody th{text-align:left}.cm tbody th{white-space:nowrap;max-width:12rem;overflow:hidden;text-overflow:ellipsis}"
    ".cm small{display:block;color:inherit;opacity:.85}.cm b{font-weight:600}.cm td.n{text-align:right;color:var(--soft);min-width:0}.dg{outline:2px solid var(--fg);outline-offset:-2px}"
    ".vert thead span{writing-mode:vertical-rl;text-orientation:sideways;transform:rotate(180deg);max-height:9rem;overflow:hidden;white-space:nowrap}.vert td{min-width:2.2rem;padding:.25rem .2rem;font-size:.8rem}.vert td small{font-size:.75em}"
    ".q0{background:rgba(var(--tint),.04)}.q1{background:rgba(var(--tint),.1)}.q2{background:rgba(var(--tint),.16)}.q3{background:rgba(var(--tint),.22)}.q4{background:rgba(var(--tint),.28)}"
    ".q5{background:rgba(var(--tint),.34)}.q6{background:rgba(var(--tint),.4)}.q7{background:rgba(var(--tint),.46)}.q8{background:rgba(var(--tint),.52)}.q9{background:rgba(var(--tint),.58)}\n",
    ".tools{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.75rem 0}.tools input,.tools select,button{font:inherit;color:inherit;background:var(--bg);"
    "border:1px solid var(--line);border-radius:5px;padding:.35rem .6rem;max-width:100%}.tools input{flex:1 1 14rem;min-width:0}button{cursor:pointer}"
    "th button{border:0;background:none;padding:0;font-weight:600;color:inherit;text-align:inherit}th[aria-sort] button{color:var(--fg)}"
    "th[aria-sort=ascending] button::after{content:\" \\25B2\"}th[aria-sort=descending] button::after{content:\" \\25BC\"}"
    ".items td.x{white-space:pre-wrap;overflow-wrap:anywhere;min-width:16rem;unicode-bidi:plaintext}.items tr[hidden]{display:none}.ok,.no{font-style:normal;color:var(--c2)}.no{color:var(--c1)}\n"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}"
    "code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,\"Liberation Mono\",\"Noto Sans Mono CJK SC\",monospace}.kv td{overflow-wrap:anywhere}.kv th{white-space:nowrap;color:var(--soft)}"
    "footer{color:var(--soft);font-size:.85rem;padding:2rem 1.25rem}\n",
    "@media(max-width:44rem){body{font-size:16px}main,header,footer{padding-left:1rem;padding-right:1rem}.fr{grid-template-columns:minmax(0,1fr) auto}.fl{order:1}.fv{order:2;text-align:right;font-size:.9rem}"
    ".fr .strip{order:3;grid-column:1/-1}.fr.ax .fl,.fr.ax .fv,.fr.un .strip{display:none}tbody th,td.t{min-width:8.5rem}.kv th{min-width:0}.cm th{min-width:0}.kv th{white-space:normal}"
    ".items thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}.items,.items tbody,.items tr,.items td{display:block;width:100%}"
    ".items tr{border-bottom:1px solid var(--line);padding:.6rem 0}.items td{border:0;padding:.1rem 0;text-align:left;white-space:normal;min-width:0}.items td[data-h]::before{content:attr(data-h) \": \";color:var(--soft);font-size:.85em}}\n"
    "@media print{:root{--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--faint:#ddd;--card:#fff;--c0:#0072b2;--c1:#c44f00;--c2:#00805e;--c3:#a8447e;--c4:#8a6100;--c5:#1e87c4;--tint:0,114,178}"
    "body{font-size:10pt}nav,.tools,.pager,summary{display:none}figure,.verdict,.tiles li,tr{break-inside:avoid}h2,h3,figcaption{break-after:avoid}.scroll{overflow:visible}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n",
};

void as_report_style(as_buf *out) {
    as_buf_str(out, "<style>\n");
    for (size_t i = 0; i < AS_COUNT(sheet); i++)
        as_buf_str(out, sheet[i]);
    as_buf_str(out, "</style>\n");
}
