import { expect, test } from 'vitest';
import { parseLocks, programName, touches } from '../../../../src/node/files/proc-locks.js';

const PROC_LOCKS = `1: OFDLCK ADVISORY  READ -1 fe:00:2146403 200 204
2: POSIX  ADVISORY  WRITE 1234 00:1a:77 0 EOF
2: -> POSIX  ADVISORY  WRITE 99 00:1a:77 100 100
3: FLOCK  ADVISORY  WRITE 55 08:01:12 0 EOF
`;
const FDINFO = `pos:\t0
flags:\t02100002
lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:2146403 100 104
`;

test('held locks are listed, waiting ones are not', () => {
  expect(parseLocks(PROC_LOCKS)).toEqual([
    { file: 'fe:00:2146403', first: 200, last: 204 },
    { file: '00:1a:77', first: 0, last: Infinity },
    { file: '08:01:12', first: 0, last: Infinity },
  ]);
});

test('fdinfo has the same lines behind a word', () => {
  expect(parseLocks(FDINFO)).toEqual([{ file: 'fe:00:2146403', first: 100, last: 104 }]);
});

test('a lock touches a range from its first byte to its last', () => {
  const lock = { file: 'x', first: 100, last: 104 };
  expect(touches(lock, [[104, 110]])).toBe(true);
  expect(touches(lock, [[0, 100]])).toBe(true);
  expect(
    touches(lock, [
      [105, 110],
      [0, 99],
    ]),
  ).toBe(false);
});

test('a program has its whole name, and qsnap its own', () => {
  expect(programName('qemu-storage-da', ['qemu-storage-daemon', '--blockdev'])).toBe(
    'qemu-storage-daemon',
  );
  expect(programName('qemu-system-x86', ['/usr/bin/qemu-system-x86_64', '-S'])).toBe(
    'qemu-system-x86_64',
  );
  expect(programName('node', ['node', '/opt/bin/qsnap.js', 'create'])).toBe('qsnap');
  expect(programName('MainThread', ['/usr/bin/node', '/usr/bin/qsnap-img', 'snapshot'])).toBe(
    'qsnap-img',
  );
  expect(programName('node', ['node', 'server.js'])).toBe('node');
  expect(programName('worker', ['something else'])).toBe('worker');
  expect(programName('kthreadd', [''])).toBe('kthreadd');
  expect(programName('', ['x'])).toBe('');
});
