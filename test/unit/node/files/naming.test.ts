import {
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { link, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { identityOfName } from '../../../../src/node/files/identity.js';
import { giveFreeName, syncName, type NameCalls } from '../../../../src/node/files/naming.js';
import { nextDescriptor } from '../../../support/descriptors.js';
import { temporaryDirectory } from '../../../support/directories.js';

const systemError = (code: string) => Object.assign(new Error(`${code}: it failed`), { code });
const fails = (code: string) => () => Promise.reject(systemError(code));

/** The system's calls but for `changes`. */
function callsWith(changes: Partial<NameCalls>): NameCalls {
  const folder = { sync: () => Promise.resolve(), close: () => Promise.resolve() };
  return { link, rename, openFolder: () => Promise.resolve(folder), ...changes };
}

function place(): { directory: string; from: string; to: string; identity: string } {
  const directory = temporaryDirectory();
  const [from, to] = [join(directory, 'from'), join(directory, 'to')];
  writeFileSync(from, 'whole');
  return { directory, from, to, identity: identityOfName(from)! };
}

/** What the file systems do that tests have at hand, and one without hard links, such as FAT. */
const kinds: readonly (readonly [string, NameCalls])[] = [
  ['with hard links', callsWith({})],
  ...['EPERM', 'EOPNOTSUPP', 'ENOSYS'].map(
    (code) => [`without hard links: ${code}`, callsWith({ link: fails(code) })] as const,
  ),
];

describe.each(kinds)('%s', (_, calls) => {
  test('a free name is given, and the other one is gone', async () => {
    const { directory, from, to, identity } = place();
    const before = nextDescriptor();
    await giveFreeName(from, to, identity, calls);
    expect(readdirSync(directory)).toEqual(['to']);
    expect(readFileSync(to, 'utf8')).toBe('whole');
    expect(identityOfName(to)).toBe(identity);
    expect(nextDescriptor()).toBe(before);
  });

  test('a name that something has stays with it', async () => {
    const { directory, from, to, identity } = place();
    writeFileSync(to, '');
    const before = nextDescriptor();
    const giving = giveFreeName(from, to, identity, calls);
    await expect(giving).rejects.toMatchObject({ code: 'OUTPUT_EXISTS', details: { file: to } });
    expect(readdirSync(directory)).toEqual(['from', 'to']);
    expect(statSync(to).size).toBe(0);
    expect(nextDescriptor()).toBe(before);
  });
});

describe('without hard links', () => {
  test('the name that was taken first goes again where the file can not have it', async () => {
    const { directory, from, to, identity } = place();
    const calls = callsWith({ link: fails('EPERM'), rename: fails('EIO') });
    const before = nextDescriptor();
    await expect(giveFreeName(from, to, identity, calls)).rejects.toThrow('EIO');
    expect(readdirSync(directory)).toEqual(['from']);
    expect(nextDescriptor()).toBe(before);
  });

  test('what somebody made of it meanwhile stays', async () => {
    const { directory, from, to, identity } = place();
    const theirs = () => {
      writeFileSync(to, 'theirs');
      return Promise.reject(systemError('EIO'));
    };
    const calls = callsWith({ link: fails('EPERM'), rename: theirs });
    await expect(giveFreeName(from, to, identity, calls)).rejects.toThrow('EIO');
    expect(readFileSync(to, 'utf8')).toBe('theirs');
    expect(readdirSync(directory)).toEqual(['from', 'to']);
  });
});

test('another failure of the link is no reason to try what is less safe', async () => {
  const { directory, from, to, identity } = place();
  const giving = giveFreeName(from, to, identity, callsWith({ link: fails('EIO') }));
  await expect(giving).rejects.toThrow('EIO');
  expect(readdirSync(directory)).toEqual(['from']);
});

// Servers of network file systems do a call twice whose first answer was lost.
test('a link that was made by a call that then failed counts', async () => {
  const { directory, from, to, identity } = place();
  const twice = async (a: string, b: string): Promise<void> => {
    await link(a, b);
    await link(a, b);
  };
  await giveFreeName(from, to, identity, callsWith({ link: twice }));
  expect(readdirSync(directory)).toEqual(['to']);
});

test('an old name that another file has by then stays', async () => {
  const { from, to, identity } = place();
  const swapped = async (a: string, b: string): Promise<void> => {
    await link(a, b);
    writeFileSync(`${a}2`, 'theirs');
    renameSync(`${a}2`, a);
  };
  await giveFreeName(from, to, identity, callsWith({ link: swapped }));
  expect(readFileSync(from, 'utf8')).toBe('theirs');
  expect(existsSync(to)).toBe(true);
});

describe('a name is brought to the medium', () => {
  /** What is called, in order, where the folder's calls fail so. */
  async function called(openFails?: string, syncFails?: string, closeFails?: string) {
    const log: string[] = [];
    const step = (name: string, code: string | undefined) => () => {
      log.push(name);
      return code === undefined ? Promise.resolve() : Promise.reject(systemError(code));
    };
    const folder = { sync: step('folder', syncFails), close: step('close', closeFails) };
    const openFolder = (): Promise<typeof folder> =>
      openFails === undefined ? Promise.resolve(folder) : Promise.reject(systemError(openFails));
    const file = { sync: step('file', undefined) };
    await syncName('/a/b', file, callsWith({ openFolder })).catch((error: unknown) => {
      log.push((error as { code: string }).code);
    });
    return log;
  }

  test.each([
    ['by its folder', [], ['folder', 'close']],
    ['by the file where the folder can not be opened', ['EACCES'], ['file']],
    ['by the file where no descriptor is left', ['EMFILE'], ['file']],
    [
      'by the file where folders have no such call',
      [undefined, 'EINVAL'],
      ['folder', 'file', 'close'],
    ],
    ['or is not, and that is an error', [undefined, 'EIO'], ['folder', 'close', 'EIO']],
    ['however the folder is closed', [undefined, undefined, 'EIO'], ['folder', 'close']],
  ] as const)('%s', async (_, [openFails, syncFails, closeFails], expected) => {
    expect(await called(openFails, syncFails, closeFails)).toEqual(expected);
  });
});
