/** What commands say of two images by their tables, to be compared. */
import { hexOfBytes, printable } from '../../src/base/text.js';
import { openForReading, type ReadableImage } from '../../src/image/open-for-reading.js';
import { openFile } from '../../src/node/index.js';
import { qsnap } from '../cli/qsnap/harness.js';

/** Runs commands on both images; names of the first one are given as those of the second one. */
export async function compared(
  image: string,
  copy: string,
  names: 'with their names' | 'with other names' = 'with other names',
): Promise<{ readonly theirs: unknown; readonly ours: unknown }> {
  const [theirs, ours] = [await said(image), await said(copy)];
  if (names === 'with their names') return { theirs, ours };
  return { theirs: renamed(theirs, await namesOf(image), await namesOf(copy)), ours };
}

async function said(image: string): Promise<unknown> {
  const commands = [
    ...[['check'], ['usage'], ['tree']].map(([command]) => [command!, '--json', image]),
    ...(await disksOf(image)).flatMap((a, i, all) =>
      all.slice(i + 1).map((b) => ['diff', '--json', image, a, b]),
    ),
  ];
  const answers: unknown[] = [];
  for (const argv of commands) {
    const { code, stdout } = await qsnap(argv);
    answers.push([argv.filter((word) => word !== image), code, plain(JSON.parse(stdout), image)]);
  }
  return answers;
}

/** Pairs grow with the square of the disks: of many the first and the last ones. */
const DISKS_MOST = 7;

async function disksOf(image: string): Promise<readonly string[]> {
  const snapshots = (await readOf(image)).snapshots.map((_, index) => `#${index}`);
  const last = snapshots.slice(DISKS_MOST - 2).slice(-1);
  return ['active', ...snapshots.slice(0, DISKS_MOST - 2), ...last];
}

async function readOf(image: string): Promise<ReadableImage> {
  const source = await openFile(image);
  try {
    return await openForReading(source);
  } finally {
    await source.close();
  }
}

/** What stands for names in JSON and in messages. */
async function namesOf(image: string): Promise<Names> {
  const { snapshots, bitmaps } = await readOf(image);
  return {
    ids: snapshots.map(({ id }) => id),
    names: [...snapshots, ...bitmaps].flatMap(({ name, nameBytes }) => {
      return [name, hexOfBytes(nameBytes), printable(nameBytes)];
    }),
  };
}

interface Names {
  readonly ids: readonly string[];
  readonly names: readonly string[];
}

/** What the host tells of a file, and what was found in clusters that nothing refers to. */
const LEFT_OUT = new Set(['actual-size', 'allocated-bytes', 'filename', 'unreferenced']);

function plain(value: unknown, image: string): unknown {
  if (typeof value === 'string') return value.replaceAll(image, 'IMAGE');
  if (Array.isArray(value)) return value.map((one) => plain(one, image));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => !LEFT_OUT.has(key));
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one, image)]));
}

function renamed(value: unknown, from: Names, to: Names, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => renamed(one, from, to, key));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([own, one]) => [own, renamed(one, from, to, own)]);
    return Object.fromEntries(entries) as unknown;
  }
  if (typeof value !== 'string') return value;
  if (/(^|-)id$/.test(key)) return otherOf(value, from.ids, to.ids);
  if (/(^|-)name(-bytes)?$/.test(key)) return otherOf(value, from.names, to.names);
  return key === 'message' ? renamedText(value, from, to) : value;
}

function otherOf(value: string, from: readonly string[], to: readonly string[]): string {
  return to[from.indexOf(value)] ?? value;
}

/** A message has names in quotes. */
function renamedText(text: string, from: Names, to: Names): string {
  return from.names.reduce((left, name, i) => {
    return name === '' ? left : left.replaceAll(`"${name}"`, `"${to.names[i]!}"`);
  }, text);
}
