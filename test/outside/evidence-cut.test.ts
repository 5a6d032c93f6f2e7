/**
 * Power cuts while a command of evidence makes its files: a name stands for nothing or for the whole file. The states come
 * from the recorded calls of the real program.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { seedOf } from '../support/model-random.js';
import { programArgv, settle, type Workplace } from '../support/outside-edits.js';
import { outputShortcoming, outputStates, writtenTwice } from '../support/output-states.js';
import { temporaryDirectory } from '../support/directories.js';
import {
  describeWithStrace,
  NAMING_CALLS,
  traced,
  WRITING_CALLS,
  type SystemCall,
} from '../support/strace.js';
import { deletedUnpunched } from '../support/unpunched.js';

const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 8);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 24);
const seed = seedOf();
const options = { seed, subsetLimit: SUBSETS, samples: SAMPLES };
const total = { commands: 0, files: 0, states: 0 };

/** An image of which a snapshot was deleted on a medium without holes. */
const withRemains = (): Promise<Uint8Array> =>
  deletedUnpunched(loadFixture('five-snapshots'), 'updates applied');
const withVmState = (): Promise<Uint8Array> => Promise.resolve(loadFixture('vm-state'));

interface Case {
  readonly name: string;
  readonly fixture: string;
  readonly bytes: () => Promise<Uint8Array>;
  /** Writes to `out`. */
  readonly words: (image: string, out: string) => readonly string[];
}

const REMAINS = { fixture: 'five-snapshots', bytes: withRemains } as const;
const SAVED = { fixture: 'vm-state', bytes: withVmState } as const;

const CASES: readonly Case[] = [
  {
    ...{ name: 'recover -o', ...REMAINS },
    words: (image, out) => ['recover', '--candidate', '1', image, '-o', out],
  },
  {
    ...{ name: 'recover --into', ...REMAINS },
    words: (image, out) => ['recover', '--candidate', '1', image, '--into', out],
  },
  { ...{ name: 'dehydrate', ...REMAINS }, words: (image, out) => ['dehydrate', image, '-o', out] },
  { ...{ name: 'rehydrate', ...REMAINS }, words: (image, out) => ['rehydrate', image, '-o', out] },
  {
    ...{ name: 'vmstate memory', ...SAVED },
    words: (image, out) => ['vmstate', image, 'running', 'memory', '-o', out],
  },
  {
    ...{ name: 'vmstate memory as ELF', ...SAVED },
    words: (image, out) => ['vmstate', image, 'running', 'memory', '-f', 'elf', '-o', out],
  },
  {
    ...{ name: 'vmstate extract', ...SAVED },
    words: (image, out) => ['vmstate', image, 'running', 'extract', '-o', out],
  },
  {
    ...{ name: 'scan --carve', ...REMAINS },
    words: (image, out) => ['scan', image, '--carve', out],
  },
];

interface Recorded {
  /** The files that were made, by their paths. */
  readonly files: readonly string[];
  readonly calls: readonly SystemCall[];
}

async function recorded({ fixture, bytes, words }: Case): Promise<Recorded> {
  const work: Workplace = settle(temporaryDirectory(), fixture, await bytes());
  const out = path.join(work.folder, 'out');
  const argv = programArgv('qsnap', words(work.image, out));
  const { code, stderr, calls } = await traced(argv, {
    calls: [...WRITING_CALLS, ...NAMING_CALLS],
  });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const isFolder = words(work.image, out).includes('--carve');
  return { calls, files: isFolder ? readdirSync(out).map((one) => path.join(out, one)) : [out] };
}

describeWithStrace('a power cut while evidence is written', () => {
  test.each(oneIn(2, CASES))(`$name (seed ${seed})`, async (one) => {
    const { files, calls } = await recorded(one);
    expect(files.length).toBeGreaterThan(0);
    total.commands += 1;
    for (const file of files) {
      const folder = path.dirname(file);
      const partial = path.join(folder, `.${path.basename(file)}.qsnap-partial`);
      const place = { partial, folder, whole: new Uint8Array(readFileSync(file)) };
      // Of several files in one folder, each has calls of its own that give it its name.
      const own = calls.filter(({ name, args }) => {
        return !/^(link|rename|unlink)/.test(name) || args.includes(`"${partial}"`);
      });
      expect(own.filter(({ name }) => /^(link|rename)/.test(name)).length, file).toBeGreaterThan(0);
      expect(writtenTwice(own, place)).toBe(0);
      const short: string[] = [];
      for (const state of outputStates(own, place, options)) {
        total.states += 1;
        const found = outputShortcoming(state, place);
        if (found !== undefined) short.push(found);
      }
      total.files += 1;
      expect(short.slice(0, 5), file).toEqual([]);
    }
  });

  test('a planted fault is seen', async () => {
    const { files, calls } = await recorded(CASES.find(({ name }) => name === 'vmstate extract')!);
    const [file] = files;
    const folder = path.dirname(file!);
    const partial = path.join(folder, '.out.qsnap-partial');
    const place = { partial, folder, whole: new Uint8Array(readFileSync(file!)) };
    const worse = calls.filter(({ name, file: of }) => !(/sync$/.test(name) && of === partial));
    let isSeen = false;
    for (const state of outputStates(worse, place, options)) {
      isSeen = outputShortcoming(state, place) !== undefined;
      if (isSeen) break;
    }
    expect(isSeen).toBe(true);
  });

  afterAll(() => {
    const { commands, files, states } = total;
    console.log(
      `seed ${seed}: ${states} crash states of ${files} files of ${commands} commands judged`,
    );
  });
});
