/** What a run found, by kind of damage, as a table to read. */
import type { Judgement, Trial } from './trial.js';

const COLUMNS = [
  ['soundAfterLoss', 'sound after loss'],
  ['refused', 'refused'],
  ['harmed', 'harmed'],
  ['freed', 'freed'],
  ['changed', 'changed'],
  ['invented', 'invented'],
  ['soundAfterRepair', 'sound after repair'],
  ['hurtByWrites', 'writes hurt'],
  ['qemuDisagrees', 'QEMU disagrees'],
  ['fault', 'fault'],
  ['unjudged', 'unjudged'],
] as const satisfies readonly (readonly [keyof Judgement, string])[];

/** What fails a run. Freed data is bounded by a share, and a refusal is right. */
export const FAILURES = [
  'soundAfterLoss',
  'harmed',
  'soundAfterRepair',
  'hurtByWrites',
  'qemuDisagrees',
  'fault',
] as const satisfies readonly (keyof Judgement)[];

type Subject = 'qsnap' | 'qemu';

export function countOf(
  trials: readonly Trial[],
  column: keyof Judgement,
  subject: Subject = 'qsnap',
): number {
  return trials.filter((trial) => trial[subject]?.[column] !== undefined).length;
}

export function tableOf(trials: readonly Trial[], subject: Subject): string {
  const kinds = [...new Set(trials.map(({ specimen }) => specimen.kind))];
  const row = (name: string, some: readonly Trial[]): readonly string[] => [
    name,
    String(some.length),
    String(some.filter(({ loss }) => loss !== undefined).length),
    ...COLUMNS.map(([column]) => String(countOf(some, column, subject))),
  ];
  const rows = [
    [subject, 'images', 'losses', ...COLUMNS.map(([, heading]) => heading)],
    ...kinds.map((kind) =>
      row(
        kind,
        trials.filter(({ specimen }) => specimen.kind === kind),
      ),
    ),
    row('all', trials),
  ];
  return aligned(rows);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((each) => each[i]!.length)));
  return rows
    .map((each) =>
      each.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))),
    )
    .map((cells) => cells.join('  ').trimEnd())
    .join('\n');
}

/** Rows as a table in Markdown, as the formatter leaves it: the first column to the left, numbers to the right. */
function markdownOf(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((each) => each[i]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [heading, ...others] = rows.map((each) =>
    line(each.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))),
  );
  const ruler = line(
    widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)),
  );
  return [heading!, ruler, ...others].join('\n');
}

/**
 * What a rescue brought back by kind of damage: of how many images everything, which share of the bytes
 * of their disks the damage left in the file, and which share came back. docs/rescue.md has it.
 */
export function rescueTableOf(trials: readonly Trial[]): string {
  const kinds = [...new Set(trials.map(({ specimen }) => specimen.kind))];
  const row = (name: string, some: readonly Trial[]): readonly string[] => {
    const shares = some.map((trial) => trial.shares ?? []);
    const whole = shares.filter((each) => each.every(({ bytes, back }) => bytes === back)).length;
    const disks = shares.flat();
    const sum = (of: 'bytes' | 'there' | 'back'): number =>
      disks.reduce((total, each) => total + each[of], 0);
    const percent = (part: number, of: number): string => `${((100 * part) / of).toFixed(1)} %`;
    return [
      name,
      String(some.length),
      percent(whole, some.length),
      percent(sum('there'), sum('bytes')),
      percent(sum('back'), sum('bytes')),
    ];
  };
  return markdownOf([
    ['kind of damage', 'images', 'whole', 'bytes still there', 'bytes back'],
    ...kinds.map((kind) =>
      row(
        kind,
        trials.filter(({ specimen }) => specimen.kind === kind),
      ),
    ),
    row('all', trials),
  ]);
}

/** A line for each thing that went wrong. */
export function storiesOf({ specimen, qsnap }: Trial, seed: number): readonly string[] {
  const { kind, index, where, sound } = specimen;
  return [...FAILURES, 'freed' as const]
    .filter((column) => qsnap[column] !== undefined)
    .map((column) => {
      const heading = COLUMNS.find(([name]) => name === column)![1];
      return (
        `${heading.toUpperCase()} seed ${seed} index ${index} ${kind} [${sound.image.name}] ` +
        `${where} => ${qsnap[column]!}`
      );
    });
}
