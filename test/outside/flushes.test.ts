/**
 * The system calls of the real programs: the flushes are there, in their place, and what is written
 * is what was planned. `QSNAP_THOROUGH=1` records every edit on every kind of image.
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPlain, type PlainImage } from '../support/crash-judge-image.js';
import { oneInWithEach } from '../support/left-out.js';
import { loadFixture } from '../support/fixture.js';
import { randomFrom, seedOf } from '../support/model-random.js';
import {
  DOUBTED,
  OUTSIDE_EDITS,
  outsideEdit,
  type OutsideEdit,
  type Workplace,
} from '../support/outside-edits.js';
import {
  flushShortcomings,
  planShortcomings,
  type PlannedWrites,
} from '../support/outside-flushes.js';
import { callsOfEdit, isNaming, record } from '../support/outside-records.js';
import { headerShortcomings, stageShortcomings } from '../support/outside-stages.js';
import { describeWithStrace, type SystemCall } from '../support/strace.js';

const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';
const seed = seedOf();

const KINDS = [
  ...['version-2', 'version-3', 'refcount-1', 'refcount-2', 'refcount-4', 'refcount-8'],
  ...['refcount-16', 'refcount-32', 'refcount-64', 'refcount-many-blocks', 'extended-l2'],
  ...['extended-l2-16k', 'compressed-v2', 'compressed-spanning', 'compressed-zstd'],
  ...['bitmaps-snapshots', 'backing', 'backing-chain', 'luks', 'cluster-512', 'cluster-2m'],
  ...['vm-state', 'everything'],
];
const EDITS_PER_KIND = IS_THOROUGH ? OUTSIDE_EDITS.length : 2;
// A trim switches as often as it has steps, and cuts the file; a scrub does not switch.
const EDITS = OUTSIDE_EDITS.filter(({ output, name }) => {
  return output === undefined && !/^(trim|scrub)/.test(name);
});

const total = { traces: 0, calls: 0, flushes: 0, planned: 0, short: 0 };

/** What the format or an image forbids: counts that can't go up, sizes bound to a saved machine. */
function fits({ name, needs, on, applies }: OutsideEdit, kind: string, image: PlainImage): boolean {
  if (DOUBTED[kind]?.includes(on) === true) return false;
  const { snapshots, version } = image;
  const adds = /create|-c$|save/.test(name);
  if (kind === 'refcount-1' && adds) return false;
  if ((kind === 'refcount-2' || kind === 'refcount-4') && adds) return false;
  const hasBitmaps = kind.startsWith('bitmaps') || kind === 'everything';
  if (hasBitmaps && applies === true) return false;
  if (name.startsWith('resize') && (hasBitmaps || (version === 2 && snapshots.length > 0))) {
    return false;
  }
  return snapshots.length >= needs;
}

/** Of each kind some edits, each edit on some kind. */
function chosen(): [kind: string, what: string, edit: OutsideEdit][] {
  const random = randomFrom(seed);
  const uses = new Map(EDITS.map((edit) => [edit, random.below(1000) / 1000]));
  return KINDS.flatMap((kind) => {
    const image = readPlain(loadFixture(kind));
    return EDITS.filter((edit) => fits(edit, kind, image))
      .sort((a, b) => uses.get(a)! - uses.get(b)!)
      .slice(0, EDITS_PER_KIND)
      .map((edit): [string, string, OutsideEdit] => {
        uses.set(edit, uses.get(edit)! + 1);
        return [kind, `${edit.program} ${edit.name}`, edit];
      });
  });
}

const CHOSEN = IS_THOROUGH
  ? chosen()
  : oneInWithEach(4, chosen(), ([kind, , { name }]) => [kind, name]);

/** Writing calls on files that are neither the image nor one that the edit is to make. */
function strayWrites(calls: readonly SystemCall[], allowed: readonly string[]): string[] {
  const strays = calls.filter(
    ({ name, file, args }) =>
      (!isNaming({ name } as SystemCall) &&
        file?.startsWith('/') === true &&
        !file.startsWith('/dev/') &&
        !allowed.includes(file)) ||
      (isNaming({ name } as SystemCall) &&
        /O_WRONLY|O_RDWR|O_CREAT|^rename|^unlink|^link/.test(`${name}(${args}`) &&
        !allowed.some((one) => args.includes(`"${one}"`)) &&
        !/"\/dev\/(null|tty)"/.test(args)),
  );
  return strays.map(({ name, args }) => `${name}(${args})`);
}

describeWithStrace('the system calls of an edit', () => {
  test('every kind is there, and every edit', () => {
    expect(new Set(CHOSEN.map(([kind]) => kind)).size).toBe(KINDS.length);
    expect(new Set(CHOSEN.map(([, , edit]) => edit)).size).toBe(EDITS.length);
  });

  test.each(CHOSEN)(`%s, %s (seed ${seed})`, async (kind, _, edit) => {
    const { place, plan, calls } = await record(kind, edit, seed);
    const { image, folder } = place;
    const ours = callsOfEdit(calls, place, edit);
    const short =
      edit.inPlace === true
        ? headerShortcomings(ours)
        : flushShortcomings(ours, { restores: edit.name === 'undo' });
    if (plan !== undefined && 'stages' in plan) short.push(...stageShortcomings(ours, plan));
    else if (plan !== undefined) short.push(...planShortcomings(ours, plan, statSync(image).size));
    const made = edit.beside === undefined ? [] : [path.join(folder, edit.beside)];
    short.push(...strayWrites(calls, [image, ...made, folder]));
    if (made.length > 0 && edit.name !== 'undo')
      short.push(...undoFileShortcomings(calls, place, ours[0]!));
    total.traces += 1;
    total.calls += ours.length;
    total.flushes += ours.filter(({ name }) => /sync$/.test(name)).length;
    total.planned += plan === undefined ? 0 : 1;
    total.short += short.length;
    expect(short).toEqual([]);
  });

  test('an export has its name when its bytes are on the medium, and keeps it', async () => {
    for (const name of ['export', 'export --force']) {
      const edit = outsideEdit(name);
      const { place, calls } = await record('five-snapshots', edit, seed);
      const out = path.join(place.folder, edit.output!.name);
      const partial = path.join(place.folder, `.${edit.output!.name}.qsnap-partial`);
      const writes = calls.filter((call) => call.file === partial && /write/.test(call.name));
      const sync = calls.findLast((call) => call.file === partial && /sync$/.test(call.name));
      // In place of an older file by a rename, else by a link, which replaces nothing.
      const step = name === 'export' ? 'link' : 'rename';
      const naming = calls.find((call) => call.name.startsWith(step));
      const folder = calls.find((call) => call.file === place.folder && call.name === 'fsync');
      expect(writes.length).toBeGreaterThan(0);
      expect(naming?.args).toBe(`"${partial}", "${out}"`);
      for (const write of writes) expect(write.over).toBeLessThan(sync!.began);
      expect(sync!.over).toBeLessThan(naming!.began);
      expect(naming!.over).toBeLessThan(folder!.began);
      expect(strayWrites(calls, [partial, out, place.folder])).toEqual([]);
    }
  });

  test('what convert makes is on the medium when it ends', async () => {
    const { place, calls } = await record('five-snapshots', outsideEdit('convert'), seed);
    const out = path.join(place.folder, 'out.qcow2');
    const ours = calls.filter((call) => call.file === out && !isNaming(call));
    expect(ours.at(-1)).toMatchObject({ name: 'fdatasync', result: 0 });
    expect(strayWrites(calls, [out])).toEqual([]);
  });

  afterAll(() => {
    console.log(
      `seed ${seed}: ${total.traces} edits recorded, ${total.calls} calls on the image, ` +
        `${total.flushes} of them flushes; ${total.planned} compared with their plans; ` +
        `${total.short} fell short`,
    );
  });
});

/** The undo file and its name are on the medium before the image is touched. */
function undoFileShortcomings(
  calls: readonly SystemCall[],
  { folder }: Workplace,
  first: SystemCall,
): string[] {
  const undo = path.join(folder, 'undo');
  const writes = calls.filter((call) => call.file === undo && /write/.test(call.name));
  const lastWrite = writes.at(-1)!;
  const isSynced = (file: string, after: number): boolean =>
    calls.some(
      (call) =>
        call.file === file &&
        /sync$/.test(call.name) &&
        call.began > after &&
        call.over < first.began,
    );
  const short: string[] = [];
  if (!isSynced(undo, lastWrite.over)) short.push('the undo file is not flushed before');
  if (!isSynced(folder, -1)) short.push('the folder of the undo file is not flushed before');
  return short;
}

describeWithStrace('a planted fault is seen', () => {
  let calls: readonly SystemCall[] = [];
  let plan: PlannedWrites;
  let fileBytes = 0;

  const record1 = async (): Promise<void> => {
    const edit = outsideEdit('apply');
    const recorded = await record('five-snapshots', edit, seed);
    calls = callsOfEdit(recorded.calls, recorded.place, edit);
    plan = recorded.plan as PlannedWrites;
    fileBytes = statSync(recorded.place.image).size;
  };
  beforeAll(record1);

  const indexOf = (name: string, nth: number): number =>
    calls.map((call, i) => (call.name === name ? i : -1)).filter((i) => i >= 0)[nth]!;
  const at = (call: SystemCall, line: number): SystemCall => ({ ...call, began: line, over: line });
  const inOrder = (list: readonly SystemCall[]): SystemCall[] => list.map(at);
  const without = (index: number): SystemCall[] => inOrder(calls.filter((_, i) => i !== index));
  const moved = (from: number, to: number): SystemCall[] => {
    const list = [...calls];
    list.splice(to, 0, ...list.splice(from, 1));
    return inOrder(list);
  };
  const theSwitch = (): number => indexOf('fdatasync', 0) + 1;

  test('none is planted in what the program does', () => {
    expect(calls.map(({ name }) => name)).toContain('fallocate');
    expect(flushShortcomings(inOrder(calls))).toEqual([]);
    expect(planShortcomings(calls, plan, fileBytes)).toEqual([]);
  });

  test.each([
    ['the flush before the switch left out', () => without(indexOf('fdatasync', 0))],
    ['the flush after it left out', () => without(indexOf('fdatasync', 1))],
    ['the switch before the new tables', () => moved(theSwitch(), 0)],
    ['a new table after the switch', () => moved(0, theSwitch())],
    ['a hole before the switch', () => moved(indexOf('fallocate', 0), 0)],
    ['a hole before the second flush', () => moved(indexOf('fallocate', 0), theSwitch() + 1)],
    [
      'the switch in two writes',
      () => inOrder(calls.flatMap((call, i) => (i === theSwitch() ? [call, call] : [call]))),
    ],
    ['no switch at all', () => without(theSwitch())],
    [
      'a flush that failed',
      () =>
        inOrder(calls.map((call) => (call.name === 'fdatasync' ? { ...call, result: -1 } : call))),
    ],
  ])('%s', (_, fault) => {
    expect(flushShortcomings(fault())).not.toEqual([]);
  });

  test('a write that was not planned, and a planned one that is not there', () => {
    expect(planShortcomings(without(0), plan, fileBytes)).not.toEqual([]);
    expect(planShortcomings([...calls, calls[0]!], plan, fileBytes)).not.toEqual([]);
    expect(planShortcomings(without(theSwitch()), plan, fileBytes)).not.toEqual([]);
    expect(planShortcomings(without(indexOf('fallocate', 0)), plan, fileBytes)).not.toEqual([]);
  });
});
