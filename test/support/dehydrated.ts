/** What commands say of two images by their tables, to be compared. */
import { printable, utf8Bytes } from '../../src/base/text.js';
import { qsnap } from '../cli/qsnap/harness.js';

/** What the host tells of a file, not the image. */
const OF_THE_HOST = new Set(['actual-size', 'allocated-bytes', 'filename']);

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

interface ListedSnapshot {
  readonly id: string;
  readonly name: string;
  /** Of a name that is no UTF-8, in hex. */
  readonly 'name-bytes'?: string;
}

interface Listed {
  readonly images: readonly { readonly snapshots?: readonly ListedSnapshot[] }[];
}

async function snapshotsOf(image: string): Promise<readonly ListedSnapshot[]> {
  const { stdout } = await qsnap(['list', '--json', image]);
  return (JSON.parse(stdout) as Listed).images[0]?.snapshots ?? [];
}

/** Pairs grow with the square of the disks: of many the first and the last ones. */
const DISKS_MOST = 7;

async function disksOf(image: string): Promise<readonly string[]> {
  const snapshots = (await snapshotsOf(image)).map((_, index) => `#${index}`);
  const last = snapshots.slice(DISKS_MOST - 2).slice(-1);
  return ['active', ...snapshots.slice(0, DISKS_MOST - 2), ...last];
}

/** What stands for names in JSON and in messages. */
async function namesOf(image: string): Promise<readonly string[]> {
  return (await snapshotsOf(image)).flatMap(({ id, name, 'name-bytes': hex }) => {
    const bytes = hex === undefined ? utf8Bytes(name) : Buffer.from(hex, 'hex');
    return [id, name, hex ?? '', printable(bytes)];
  });
}

function plain(value: unknown, image: string): unknown {
  if (typeof value === 'string') return value.replaceAll(image, 'IMAGE');
  if (Array.isArray(value)) return value.map((one) => plain(one, image));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => !OF_THE_HOST.has(key));
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one, image)]));
}

/** Keys under which names stand, and texts that have them in quotes. */
const NAME_KEY = /(^|-)(name|name-bytes|id)$/;

function renamed(
  value: unknown,
  from: readonly string[],
  to: readonly string[],
  key = '',
): unknown {
  if (Array.isArray(value)) return value.map((one) => renamed(one, from, to, key));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([own, one]) => [own, renamed(one, from, to, own)]);
    return Object.fromEntries(entries) as unknown;
  }
  if (typeof value !== 'string') return value;
  if (NAME_KEY.test(key) && from.includes(value)) return to[from.indexOf(value)];
  return from.reduce((text, name, i) => {
    return name === '' ? text : text.replaceAll(`"${name}"`, `"${to[i]!}"`);
  }, value);
}
