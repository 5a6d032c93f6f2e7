/** How a report looks, by day and by night. */
export const REPORT_STYLE = `
:root { --ground: #fff; --text: #1d2733; --soft: #5b6774; --line: #dde3ea; --tile: #f4f7fa;
  --bar: #2f6fab; --cell: #dbe7f3; --bad: #b3372c; --wait: #9a5b00; --wait-ground: #f6e3c5;
  --gone: #5b6774; --gone-ground: #d5dbe2; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12171d; --text: #e4e9ef; --soft: #9aa7b5; --line: #2c3641; --tile: #1b222a;
    --bar: #6ba7e0; --cell: #22374c; --bad: #f0857b; --wait: #f0b964; --wait-ground: #4a3714;
    --gone: #9aa7b5; --gone-ground: #39444f; }
}
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0; }
h2 { font-size: 18px; margin: 36px 0 8px; }
p { margin: 4px 0 10px; }
.soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin-top: 20px; }
.tiles div { background: var(--tile); border-radius: 6px; padding: 12px 14px; }
.tiles b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 12px; font-weight: 600; color: var(--soft); letter-spacing: .03em; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
.number, .time { width: 1%; }
.text { white-space: normal; overflow-wrap: anywhere; }
td.text:not(:last-child) { max-width: 360px; }
.number { text-align: right; }
.size { position: relative; min-width: 110px; }
td i { position: absolute; z-index: -1; right: 10px; top: 4px; bottom: 4px; max-width: calc(100% - 10px);
  background: var(--cell); border-radius: 2px; }
main { position: relative; z-index: 0; }
svg { width: 100%; height: auto; font-size: 14px; font-family: inherit; fill: var(--text); }
svg .soft { fill: var(--soft); }
svg .bar, svg .read { fill: var(--bar); }
svg .failed { fill: var(--bad); }
svg .waiting-ground { fill: var(--wait-ground); }
svg .waiting-mark { fill: var(--wait); }
svg .gone-ground { fill: var(--gone-ground); }
svg .gone-mark { fill: var(--gone); }
@media print { section { break-inside: avoid; } }
`;
