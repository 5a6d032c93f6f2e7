import { printableText } from '../../../internal.js';
import { escapedXml } from '../../qsnap/present/svg.js';
import { countText, sizeText } from '../../text.js';
import type { Answer, AnswerColumn } from '../questions/answer.js';
import type { AgeFreed, FleetTotals, ReportFacts, RuleCount } from '../questions/report-facts.js';
import { cellText } from './answer-text.js';
import { barPlot, statePlot } from './report-plots.js';
import { REPORT_STYLE } from './report-style.js';

/** A page that stands alone: no script, no font, nothing from elsewhere; a browser is told to load nothing. */
export function reportPage(facts: ReportFacts): string {
  const { label, at, states, totals, ages, findings } = facts;
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">',
    `<title>Images and snapshots</title><style>${REPORT_STYLE}</style></head><body><main>`,
    '<h1>Images and snapshots</h1>',
    `<p class="soft">Catalogue in ${escapedXml(printableText(label))}, ${momentText(at)}</p>`,
    tiles(totals, ages),
    section('Images by state', statePlot(states)),
    section('What deleting old snapshots frees', agePlot(ages), AGES_NOTE),
    list('Largest images', facts.largestImages),
    list('Snapshots that free most', facts.largest, 'What deleting each one alone frees.'),
    list('Oldest snapshots', facts.oldest),
    section('Findings by rule', findingsTable(findings)),
    list('Overlays without their backing file', facts.orphans),
    list('Images that could not be read', facts.failed),
    list('Changes, the newest first', facts.drift),
    '</main></body></html>\n',
  ].join('\n');
}

const AGES_NOTE =
  'Each bar stands for all snapshots of that age together. What several share becomes free with the last of them.';

const momentText = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

function tiles(totals: FleetTotals, ages: readonly AgeFreed[]): string {
  const texts = [
    ['images', totals.images.toLocaleString('en')],
    ['snapshots', totals.snapshots.toLocaleString('en')],
    ['taken on the host', sizeText(totals.allocated_bytes)],
    ['held by snapshots', sizeText(ages.at(-1)!.freedBytes)],
    ['free inside images', sizeText(totals.free_bytes)],
    ['leaked', sizeText(totals.leaked_bytes)],
  ];
  const tile = ([what, value]: readonly string[]): string =>
    `<div><b>${escapedXml(value!)}</b><span>${what!}</span></div>`;
  return `<div class="tiles">${texts.map(tile).join('')}</div>`;
}

function agePlot(ages: readonly AgeFreed[]): string {
  return barPlot(
    'Bytes that become free by age of the snapshots',
    ages.map(({ olderThan, snapshots, freedBytes }) => ({
      label: olderThan === undefined ? 'all' : `older than ${olderThan}`,
      value: freedBytes,
      text: `${sizeText(freedBytes)}, ${countText(snapshots, 'snapshot')}`,
    })),
  );
}

const FINDING_COLUMNS: Answer['columns'] = [
  { name: 'level', title: 'LEVEL', kind: 'printed' },
  { name: 'findings', title: 'FINDINGS', kind: 'count' },
  { name: 'images', title: 'IMAGES', kind: 'count' },
  { name: 'rule', title: 'RULE', kind: 'printed' },
  { name: 'rule_name', title: 'NAME', kind: 'printed' },
];

function findingsTable(findings: readonly RuleCount[]): string {
  const rows = findings.map((one) => [
    one.level,
    one.findings,
    one.images,
    one.rule,
    one.rule_name,
  ]);
  return table({ columns: FINDING_COLUMNS, rows, hasMore: false, ifNone: 'No findings.' });
}

function section(title: string, body: string, note?: string): string {
  const told = note === undefined ? '' : `<p class="soft">${note}</p>`;
  return `<section><h2>${title}</h2>${told}${body}</section>`;
}

function list(title: string, answer: Answer, note?: string): string {
  const more = answer.hasMore ? '<p class="soft">There are more.</p>' : '';
  return section(title, table(answer) + more, note);
}

/** Long texts are broken; numbers and dates are not. */
function classOf({ kind }: AnswerColumn, hasBar: boolean): string {
  if (hasBar) return ' class="number size"';
  if (kind === 'bytes' || kind === 'count') return ' class="number"';
  return kind === 'time' ? ' class="time"' : ' class="text"';
}

/** Rows with a bar behind the first column, where that is a size. */
function table({ columns, rows, ifNone }: Answer): string {
  if (rows.length === 0) return `<p>${escapedXml(ifNone)}</p>`;
  const head = columns.map(
    (column) => `<th${classOf(column, false)}>${escapedXml(column.title)}</th>`,
  );
  const longest = Math.max(...rows.map(([first]) => Number(first)), 1);
  const hasBars = columns[0]!.kind === 'bytes';
  const line = (row: Answer['rows'][number]): string => {
    const cells = row.map((value, i) => {
      const column = columns[i]!;
      const text = escapedXml(cellText(column, value));
      const percent = ((Number(value) / longest) * 100).toFixed(1);
      const hasBar = i === 0 && hasBars;
      const bar = hasBar ? `<i style="width:${percent}%"></i>` : '';
      return `<td${classOf(column, hasBar)}>${bar}${text}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  };
  return (
    `<div class="wide"><table><thead><tr>${head.join('')}</tr></thead>` +
    `<tbody>${rows.map(line).join('\n')}</tbody></table></div>`
  );
}
