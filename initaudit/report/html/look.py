"""How the page looks and what it does when it is touched; nothing is fetched."""

from __future__ import annotations

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
"""What the browser may load for the page: what is in it, and nothing else."""

STYLE = """
:root{--ink:#1c1c1e;--paper:#fff;--panel:#f6f6f8;--soft:#5c5c66;--line:#d4d4da;--s0:#0072b2;
--s1:#b34700;--ok:#00694d;--error:#b3001b;--warning:#7a5c00;--note:#0a5a9c}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--paper:#16161a;--panel:#202026;
--soft:#a2a2ae;--line:#3a3a44;--s0:#56b4e9;--s1:#ff9f5a;--ok:#3fd6a8;--error:#ff8f9c;
--warning:#f0d24f;--note:#8cc8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:80rem;padding:1.5rem 1rem 4rem;color:var(--ink);
background:var(--paper);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.25rem;margin:0 0 .5rem;overflow-wrap:anywhere}
h3{font-size:1rem;margin:1.5rem 0 .5rem}p{max-width:50rem;margin:.5rem 0}
a{color:var(--s0)}a:focus-visible,button:focus-visible,input:focus-visible,summary:focus-visible,
tr:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
.verdict{font-size:1.15rem;margin:.25rem 0 1rem}
.error{color:var(--error)}.warning{color:var(--warning)}.note{color:var(--note)}
.clean{color:var(--ok)}.unjudged,.soft{color:var(--soft)}
.badge{font-size:.75rem;font-weight:700;text-transform:uppercase;letter-spacing:.04em;
border:1px solid currentColor;border-radius:.75rem;padding:.05rem .5rem;white-space:nowrap}
section{border-top:1px solid var(--line);padding-top:1.5rem;margin-top:2rem}
article{background:var(--panel);border-left:4px solid var(--line);border-radius:.25rem;
padding:.75rem 1rem;margin:.75rem 0}
article.error{border-color:var(--error)}article.warning{border-color:var(--warning)}
article.note{border-color:var(--note)}article>*{color:var(--ink)}article h4{margin:0;
font-size:1rem}article h4 .badge{margin-right:.5rem}
article.error .badge{color:var(--error)}article.warning .badge{color:var(--warning)}
article.note .badge{color:var(--note)}
pre,code{font:.875em/1.45 ui-monospace,Menlo,Consolas,monospace}code{overflow-wrap:anywhere}
pre{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:.25rem;
padding:.5rem .75rem}pre code{overflow-wrap:normal}
details>summary{cursor:pointer;color:var(--s0)}details.page{margin-top:.5rem}
details.page h1{font-size:1.1rem;margin:.75rem 0}details.page h2{font-size:1rem;margin:.75rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem;
font-variant-numeric:tabular-nums}td,th{padding:.25rem .75rem .25rem 0;text-align:right;
vertical-align:middle;white-space:nowrap}
td.text,th.text{text-align:left}td.wide{white-space:normal;min-width:14rem}
th{border-bottom:1px solid var(--line);font-weight:600}
tbody tr{border-bottom:1px solid var(--line)}tr:target{background:var(--panel)}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}
tbody th{border-bottom:0}th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
input{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--soft);
border-radius:.25rem;padding:.25rem .5rem;max-width:100%}
.histograms{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,23rem),1fr));
gap:.75rem 1.25rem;list-style:none;padding:0;margin:0}
.histograms li{min-width:0;font-size:.8125rem}
.histograms.many li{content-visibility:auto;contain-intrinsic-size:auto 8rem}
.histograms b{overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:repeat(3,1fr);gap:.25rem .75rem;line-height:1.35;
margin-top:.25rem}
article{scroll-margin-top:1rem}tr{scroll-margin-top:4rem}
.many article{content-visibility:auto;contain-intrinsic-size:auto 16rem}
svg{display:block;max-width:100%;height:auto}.plot svg{min-width:40rem}
svg text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:var(--soft)}
svg .grid{stroke:var(--line)}svg .s0{stroke:var(--s0);fill:none}svg .s1{stroke:var(--s1);fill:none}
svg .f0{fill:var(--s0)}svg .f1{fill:var(--s1)}svg .f2{fill:var(--ok)}
svg circle.aside{opacity:.8}svg .cursor{stroke:var(--soft);stroke-dasharray:2 3}
.plot{cursor:pointer;outline-offset:4px;max-width:62rem}
.plot:focus-visible{outline:2px solid var(--s0)}
.readout{min-height:1.5rem;font-variant-numeric:tabular-nums;max-width:60rem}
.keys{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;max-width:none}
svg a circle.zero{fill:var(--paper);stroke:currentColor}
svg a:focus circle,svg a:hover circle{stroke:var(--ink);
stroke-width:3}
.key{display:inline-block;width:1.25rem;height:.25rem;vertical-align:middle;margin:0 .35rem 0 0}
.key.dashed{background:repeating-linear-gradient(90deg,var(--s0) 0 6px,transparent 6px 10px)}
.key0{background:var(--s0)}.key1{background:var(--s1)}.key2{background:var(--ok)}
footer{margin-top:3rem;color:var(--soft);font-size:.875rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tally{margin:.5rem 0 1rem}.checklist td.wide{width:99%}
@media(max-width:38rem){.checklist tr{display:grid;grid-template-columns:1fr auto;
padding:.35rem 0}.checklist th{border:0;padding:0}.checklist td{padding:0;white-space:normal}
.checklist td.wide{grid-column:1/-1;width:auto;min-width:0;overflow-wrap:anywhere}}
@media print{.readout,.keys+.soft{display:none}.many article{content-visibility:visible}
.histograms.many li{content-visibility:visible}
body{max-width:none;padding:0}.filter{display:none}section{break-inside:auto}
article,.histograms li{break-inside:avoid}.scroll{overflow:visible}.plot svg{min-width:0}}
"""

# Sorting and filtering, the plot's numbers under the pointer and by the arrow keys, and places of a
# finding unfolded for print: without it all rows are there, in the order of the network.
SCRIPT = """
addEventListener('beforeprint', () => {
  for (const held of document.querySelectorAll('details:not(.page)')) held.open = true;
});
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  table.querySelectorAll('th button').forEach((button) => button.addEventListener('click', () => {
    const head = button.parentElement, at = head.cellIndex;
    const down = head.getAttribute('aria-sort') === 'ascending';
    table.querySelectorAll('th').forEach((th) => th.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = (row) => row.cells[at].dataset.v ?? row.cells[at].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y, 'en', {numeric: true}) : x - y;
      return down ? -order : order;
    });
    body.append(...rows);
  }));
  filtered(document.getElementById(table.dataset.filter), body.rows);
}
for (const input of document.querySelectorAll('input[data-list]')) {
  filtered(input, document.getElementById(input.dataset.list).children);
}
function filtered(input, items) {
  const told = document.getElementById(input.id + '-told');
  input.addEventListener('input', () => {
    const word = input.value.toLowerCase();
    let shown = 0;
    for (const item of items) {
      item.hidden = !item.textContent.toLowerCase().includes(word);
      shown += !item.hidden;
    }
    told.textContent = word ? shown + ' of ' + items.length : '';
  });
}
// A link to what a filter hides shows it.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (target.hidden) for (const input of document.querySelectorAll('input[type=search]')) {
    input.value = '';
    input.dispatchEvent(new Event('input'));
  }
  if (target.tagName === 'TR') target.tabIndex = -1;
  target.focus();
  target.scrollIntoView();
};
addEventListener('hashchange', reveal);
for (const plot of document.querySelectorAll('.plot')) {
  const svg = plot.querySelector('svg'), readout = plot.nextElementSibling, stops = new Map();
  for (const link of svg.querySelectorAll('a')) {
    const x = +link.querySelector('circle').getAttribute('cx');
    if (!stops.has(x)) stops.set(x, {x, href: link.getAttribute('href'), told: []});
    stops.get(x).told.push(link.querySelector('title').textContent);
  }
  const all = [...stops.values()].sort((a, b) => a.x - b.x);
  if (!all.length) continue;
  const cursor = document.createElementNS(svg.namespaceURI, 'path');
  cursor.setAttribute('class', 'cursor');
  svg.prepend(cursor);
  const words = (stop) => {
    const parts = stop.told.map((text) => text.slice(text.lastIndexOf(': ') + 2));
    return stop.told[0].slice(0, stop.told[0].lastIndexOf(': ')) + ': ' + parts.join(', ');
  };
  let at = 0;
  const show = (to) => {
    at = Math.max(0, Math.min(all.length - 1, to));
    cursor.setAttribute('d', 'M' + all[at].x + ' 12V' + (svg.viewBox.baseVal.height - 44));
    readout.textContent = words(all[at]);
    plot.setAttribute('aria-valuenow', at + 1);
    plot.setAttribute('aria-valuetext', words(all[at]));
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    return all.reduce((best, stop, i) =>
      Math.abs(stop.x - x) < Math.abs(all[best].x - x) ? i : best, 0);
  };
  const named = {
    tabindex: 0, role: 'slider', 'aria-label': svg.getAttribute('aria-label'), 'aria-valuemin': 1,
    'aria-valuemax': all.length, 'aria-valuenow': 1, 'aria-valuetext': words(all[0]),
  };
  for (const [name, value] of Object.entries(named)) plot.setAttribute(name, value);
  const go = () => {
    if (location.hash === all[at].href) reveal();
    else location.hash = all[at].href;
  };
  svg.addEventListener('pointermove', (event) => show(nearest(event)));
  svg.addEventListener('click', (event) => {
    event.preventDefault();
    show(nearest(event));
    go();
  });
  plot.addEventListener('focus', () => show(at));
  plot.addEventListener('keydown', (event) => {
    const to = {ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0,
      End: all.length - 1, PageDown: at + 10, PageUp: at - 10}[event.key];
    if (to !== undefined) show(to);
    else if (event.key === 'Enter') go();
    else return;
    event.preventDefault();
  });
}
"""
