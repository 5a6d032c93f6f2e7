/** The fuzzer itself: what it must not let pass, it does not let pass. */
import { afterEach, describe, expect, test } from 'vitest';
import { QsnapError } from '../../../src/errors.js';
import { checkImage, openForReading } from '../../../src/index.js';
import { printable } from '../../../src/internal.js';
import { seededRandom } from '../../support/mutate.js';
import { loadFixture } from '../../support/fixture.js';
import { Coverage } from './coverage.js';
import { gatherEvidence } from './evidence.js';
import { fieldsOf } from './fields.js';
import { Meter, boundsOf } from './meter.js';
import { mutated } from './mutations.js';
import { plainImage } from './plain-image.js';
import { SpecimenDevice, specimenOf } from './specimen.js';

const specimen = specimenOf(plainImage());
const meterOf = (): Meter => new Meter(specimen, { cpuMs: 0, pieceBytes: 0, residentBytes: 0 });

describe('a use of an image', () => {
  test('may be refused', async () => {
    const meter = meterOf();
    await meter.use('x', () => Promise.reject(new QsnapError('HEADER_INVALID', 'no')));
    expect(meter.faults).toEqual([]);
    expect([...meter.refusals]).toEqual(['HEADER_INVALID']);
  });

  test('must not end with any other error', async () => {
    const meter = meterOf();
    await meter.use('x', () => Promise.reject(new TypeError('oops')));
    await meter.use('y', () => Promise.reject(new QsnapError('INTERNAL', 'oops')));
    expect(meter.faults.map((fault) => fault.slice(0, 12))).toEqual([
      'x: TypeError',
      'y: QsnapErro',
    ]);
  });

  test('must not keep more memory than its bound', async () => {
    const meter = meterOf();
    const bytes = boundsOf(specimen).residentBytes + 2 ** 26;
    await meter.use('x', () => {
      // Touched, so that the system has to give it.
      const pages = new Uint8Array(bytes);
      for (let at = 0; at < bytes; at += 4096) pages[at] = 1;
      return Promise.resolve();
    });
    const expected = process.platform === 'linux' ? [/^x: residentBytes/] : [];
    expect(meter.faults).toEqual(expected.map((one) => expect.stringMatching(one) as string));
  });
});

test('what evidence tells is judged: a copy without data has what a check says of the image', async () => {
  const device = new SpecimenDevice(specimen);
  const readable = await openForReading(device);
  const check = await checkImage(device);
  const meter = meterOf();
  await gatherEvidence({ specimen, readable, image: readable, check }, meter);
  expect(meter.faults).toEqual([]);
  const other = { ...check, totals: { ...check.totals, leaks: check.totals.leaks + 1 } };
  await gatherEvidence({ specimen, readable, image: readable, check: other }, meter);
  expect(meter.faults).toEqual([
    expect.stringMatching(/^dehydrateImage: a check says/),
    expect.stringMatching(/^rehydrateImage: a check says/),
  ]);
});

describe('coverage', () => {
  let coverage: Coverage | undefined;
  afterEach(() => {
    coverage?.stop();
  });

  test('tells code that runs for the first time from code that ran before', () => {
    coverage = Coverage.start();
    printable(new Uint8Array([65]));
    coverage.take();
    printable(new Uint8Array([66]));
    expect(coverage.take()).toBe(0);
    printable(new Uint8Array([0x1b]));
    expect(coverage.take()).toBeGreaterThan(0);
    const { covered, known } = coverage.blocks();
    expect(covered).toBeGreaterThan(0);
    expect(known).toBeGreaterThanOrEqual(covered);
  });
});

describe('mutants', () => {
  test('of one seed are the same', () => {
    const make = () => mutated(specimen, specimen, seededRandom(3));
    expect(make()).toEqual(make());
  });

  test('come of every kind of field', () => {
    const kinds = new Set(
      ['bitmaps', 'luks', 'backing', 'extended-l2-16k', 'five-snapshots', 'vm-state-v2'].flatMap(
        (name) => [...fieldsOf(loadFixture(name)).keys()],
      ),
    );
    const expected = ['header', 'extension', 'active L1', 'inactive L1', 'L2', 'refcount table'];
    expected.push('refcount block', 'snapshot', 'snapshot extra', 'snapshot text', 'backing name');
    expected.push('bitmap', 'bitmap table', 'bitmap name', 'LUKS', 'subcluster bitmap');
    expected.push('VM section', 'VM RAM', 'VM description');
    for (const kind of expected) expect(kinds).toContain(kind);
  });
});

describe('a specimen', () => {
  test('is a device with a hole behind its bytes, and is not changed by writes', async () => {
    const device = new SpecimenDevice(specimenOf(new Uint8Array([1, 2, 3]), 2 ** 50));
    const into = new Uint8Array(4);
    await device.writeBatch([{ at: 2 ** 49, bytes: new Uint8Array([9]) }]);
    await device.readBatch([{ at: 2 ** 49 - 1, into }]);
    expect([...into]).toEqual([0, 9, 0, 0]);
    const fork = device.fork();
    expect(await fork.equals(device)).toBe(true);
    await fork.punchBatch([{ at: 0, length: 2 ** 50 }]);
    expect(await fork.equals(device)).toBe(false);
    await device.readBatch([{ at: 0, into }]);
    expect([...into]).toEqual([1, 2, 3, 0]);
    await fork.truncate(1);
    expect(await fork.sizeBytes()).toBe(1);
  });
});
